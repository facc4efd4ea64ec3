/* Whole conversations against what transformers rendered (tests/tokens/chat_data/chat.jsonl, made by
 * tests/parity/chat.py), spans and loss, and what templates are found to be able to do. */
#include "check.h"

#include "tokens/chat.h"

static const struct weft_chat_template *load(struct weft_arena *a, const char *name)
{
    struct weft_err err = {0};
    struct weft_str source;
    const struct weft_chat_template *t;
    check_ok(weft_file_read(a, check_path(WEFT_SOURCE_DIR "/tests/tokens/chat_data", name), 0, &source, &err), &err);
    check_ok(weft_chat_parse(a, name, source, &t, &err), &err);
    return t;
}

static const struct weft_chat_template *parse(struct weft_arena *a, const char *source)
{
    struct weft_err err = {0};
    const struct weft_chat_template *t;
    check_ok(weft_chat_parse(a, "t", weft_str_c(source), &t, &err), &err);
    return t;
}

static struct weft_json_value json(struct weft_arena *a, const char *text)
{
    struct weft_err err = {0};
    struct weft_json_value v;
    check_ok(weft_json_parse(a, "json", weft_str_c(text), &v, &err), &err);
    return v;
}

static struct weft_chat_settings settings(void)
{
    return (struct weft_chat_settings){ .bos_token = WEFT_STR("<s>"), .eos_token = WEFT_STR("</s>"), .pad_token = WEFT_STR("<pad>"),
                                        .date = WEFT_STR("2026-11-24") };
}

/* Spans cover the text, ascending, without gaps, none empty, neighbours differ. */
static void check_spans(const struct weft_chat_text *x)
{
    size_t at = 0;
    for (size_t i = 0; i < x->n_spans; i++) {
        assert_int_equal(x->spans[i].begin, at);
        assert_true(x->spans[i].end > at);
        if (i) assert_true(x->spans[i].loss != x->spans[i - 1].loss || x->spans[i].from_template != x->spans[i - 1].from_template);
        at = x->spans[i].end;
    }
    assert_int_equal(at, x->text.len);
}

/* The loss intervals as text: "one" "two" joined by U+001F, so that a failure shows them. */
static struct weft_str loss_text(struct weft_arena *a, const struct weft_chat_text *x)
{
    struct weft_buf buf = {0};
    for (size_t i = 0; i < x->n_spans; i++) {
        if (!x->spans[i].loss) continue;
        if (buf.len && !x->spans[i - 1].loss) weft_buf_char(&buf, '\x1f');
        weft_buf_str(&buf, weft_str_sub(x->text, x->spans[i].begin, x->spans[i].end));
    }
    struct weft_str s = weft_str_dup(a, weft_buf_view(&buf));
    weft_buf_clear(&buf);
    return s;
}

/* The expected intervals are in code points: [begin, end, end with trailing space]. */
static struct weft_str want_loss(struct weft_arena *a, const struct weft_json_value *c, bool trailing)
{
    const struct weft_json_value *loss = weft_json_get(c, "loss");
    struct weft_str text = weft_json_get(c, "text")->text;
    struct weft_buf buf = {0};
    for (size_t i = 0; i < loss->n; i++) {
        const struct weft_json_value *v = loss->items[i].items;
        if (buf.len) weft_buf_char(&buf, '\x1f');
        weft_buf_str(&buf, weft_str_sub(text, weft_utf8_offset(text, (size_t)v[0].integer), weft_utf8_offset(text, (size_t)v[trailing ? 2 : 1].integer)));
    }
    struct weft_str s = weft_str_dup(a, weft_buf_view(&buf));
    weft_buf_clear(&buf);
    return s;
}

static void test_renders_what_transformers_renders_and_marks_the_answers(void **state)
{
    struct weft_arena a = {0};
    struct weft_err err = {0};
    struct weft_lines lines = {0};
    struct weft_str line;
    size_t n = 0, bad = 0;
    (void)state;
    check_ok(weft_file_read(&a, WEFT_SOURCE_DIR "/tests/tokens/chat_data/chat.jsonl", 0, &lines.text, &err), &err);
    while (weft_lines_next(&lines, &line)) {
        struct weft_json_value c;
        check_ok(weft_json_parse(&a, "chat.jsonl", line, &c, &err), &err);
        struct weft_str name = weft_json_get(&c, "template")->text;
        const char *file = weft_str_printf(&a, "%.*s.jinja", (int)name.len, name.s).s;
        const struct weft_chat_template *t = load(&a, file);
        const struct weft_json_value *tools = weft_json_get(&c, "tools"), *kwargs = weft_json_get(&c, "kwargs"), *want = weft_json_get(&c, "text");
        for (int trailing = 0; trailing < 2; trailing++, n++) {
            struct weft_chat_settings s = settings();
            struct weft_chat_text x = {0};
            struct weft_err failed = {0};
            s.kwargs = kwargs;
            s.train_trailing = trailing;
            if (weft_json_get(kwargs, "add_generation_prompt")) s.add_generation_prompt = true;
            enum weft_status st = weft_chat_render(&a, t, weft_json_get(&c, "messages"), tools->kind == WEFT_JSON_NULL ? NULL : tools, &s, &x, &failed);
            if (!want) {
                const struct weft_json_value *error = weft_json_get(&c, "error");
                if (st != WEFT_EINPUT || !strstr(failed.msg, weft_str_dup(&a, error->text).s)) {
                    bad++;
                    print_error("%.*s\n  %s\n", (int)line.len, line.s, failed.msg);
                }
                continue;
            }
            if (st || !weft_str_eq(x.text, want->text)) {
                bad++;
                print_error("%.*s\n  got %s%.*s\n", (int)line.len, line.s, failed.msg, (int)x.text.len, x.text.s);
                continue;
            }
            check_spans(&x);
            struct weft_str got = loss_text(&a, &x), expected = want_loss(&a, &c, trailing);
            if (!weft_str_eq(got, expected)) {
                bad++;
                print_error("%s, trailing %d: %.*s\n  loss     %s\n  expected %s\n", file, trailing, (int)line.len, line.s, got.s, expected.s);
            }
        }
    }
    weft_arena_clear(&a);
    assert_true(n > 200);
    assert_int_equal(bad, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_renders_what_transformers_renders_and_marks_the_answers),
    };
    (void)parse;
    (void)json;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
