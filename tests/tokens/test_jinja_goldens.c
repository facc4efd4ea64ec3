/* The template language against what Python's jinja2 printed: tests/tokens/chat_data/jinja.jsonl, made by
 * tests/parity/chat.py.  One case a line: {"template", "vars", "text"} or {"template", "vars", "error": "..."} where
 * Python raised (its words are not compared).
 * With a file as argument the program is the live half of the comparison: it prints {"text"} or {"error"} for each
 * line of the file. */
#include "check.h"

#include "base/json.h"
#include "tokens/jinja.h"

static enum weft_status run_case(struct weft_arena *a, const struct weft_json_value *c,
                                 struct weft_jinja_text *out, struct weft_err *err)
{
    const struct weft_jinja *t;
    struct weft_jinja_run *r;
    const struct weft_json_value *vars = weft_json_get(c, "vars"), *date = weft_json_get(c, "date");
    enum weft_status st = weft_jinja_parse(a, "case", weft_json_get(c, "template")->text, &t, err);
    if (!st) st = weft_jinja_begin(&r, a, t, err);
    if (st) return st;
    for (size_t i = 0; vars && i < vars->n; i++)
        weft_jinja_set_str(r, vars->keys[i], weft_jinja_json(r, &vars->items[i], 1));
    if (date) weft_jinja_date(r, date->text);
    st = weft_jinja_render(r, out, err);
    return st;
}

static void each_case(const char *path, bool print)
{
    struct weft_arena a = { 0 };
    struct weft_err err = { 0 };
    struct weft_lines lines = { 0 };
    struct weft_str line;
    size_t n = 0, bad = 0;
    check_ok(weft_file_read(&a, path, 0, &lines.text, &err), &err);
    while (weft_lines_next(&lines, &line)) {
        struct weft_arena_mark mark = weft_arena_mark(&a);
        struct weft_json_value c;
        struct weft_jinja_text x = { 0 };
        struct weft_err failed = { 0 };
        check_ok(weft_json_parse(&a, path, line, &c, &err), &err);
        enum weft_status st = run_case(&a, &c, &x, &failed);
        if (print) {
            struct weft_buf buf = { 0 };
            struct weft_json_out w;
            weft_json_out_init(&w, &buf);
            weft_json_out_object(&w);
            weft_json_out_key(&w, st ? "error" : "text");
            if (st) weft_json_out_cstr(&w, failed.msg);
            else weft_json_out_str(&w, x.text);
            weft_json_out_object_end(&w);
            printf("%s\n", buf.s);
            weft_buf_clear(&buf);
        } else {
            const struct weft_json_value *want = weft_json_get(&c, "text");
            if (want ? st || !weft_str_eq(x.text, want->text) : st != WEFT_EINPUT) {
                bad++;
                print_error("%s:%llu: %.*s\n  got      %s\n  expected %.*s\n", path,
                            (unsigned long long)lines.line, (int)line.len, line.s, st ? failed.msg : x.text.s,
                            want ? (int)want->text.len : 8, want ? want->text.s : "an error");
            }
        }
        n++;
        weft_arena_release(&a, mark);
    }
    weft_arena_clear(&a);
    if (!print) {
        assert_true(n > 0);
        assert_int_equal(bad, 0);
    }
}

static void test_prints_what_jinja2_prints(void **state)
{
    (void)state;
    each_case(WEFT_SOURCE_DIR "/tests/tokens/chat_data/jinja.jsonl", false);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_prints_what_jinja2_prints) };
    if (argc == 2) {
        each_case(argv[1], true);
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
