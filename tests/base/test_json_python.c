/* Our reader beside Python's, on texts made at random and spoiled at random: the same verdict wherever our rules are
 * not stricter on purpose, and the same value where both accept.  Skipped without python3. */
#include "base/file.h"
#include "base/json.h"
#include "base/rng.h"
#include "check.h"

enum { TEXTS = 20000 };

static struct weft_rng rng;

static uint64_t below(uint64_t n) { return weft_rng_below(&rng, n); }

static void random_string(struct weft_buf *b)
{
    static const char *const pieces[] = {
        "a",
        "key",
        "臣妾",
        "é",
        "😀",
        "\\n",
        "\\\"",
        "\\\\",
        "\\/",
        "\\u4e2d",
        "\\ud83d\\ude00",
        "\\u0000",
        "\x7f",
        " ",
        "",
        "\\b\\f\\r\\t",
        "\xE2\x80\xA8",
        "'",
        "/",
        "0",
        "\\uFFFF",
        "\xEF\xBF\xBD",
        "long plain text beyond eight bytes",
    };
    weft_buf_char(b, '"');
    for (uint64_t n = below(6); n; n--) weft_buf_cstr(b, pieces[below(WEFT_COUNT(pieces))]);
    weft_buf_char(b, '"');
}

static void random_number(struct weft_buf *b)
{
    double v = (weft_rng_f64(&rng) - 0.5) * pow(10, (double)below(40) - 20);
    uint64_t bits;
    switch (below(8)) {
    case 0: weft_buf_printf(b, "%lld", (long long)below(1000)); break;
    case 1: weft_buf_printf(b, "%.*e", (int)below(25), v); break;
    case 2: weft_buf_printf(b, "%.*f", (int)below(25), v); break;
    case 3:
        weft_buf_printf(b, "-%llu%llu", (unsigned long long)below(1000),
                        (unsigned long long)below(UINT64_MAX));
        break;
    case 4: weft_buf_printf(b, "%llu", (unsigned long long)below(UINT64_MAX)); break;
    case 5:
        weft_buf_printf(b, "%lluE%s%d", (unsigned long long)below(100), below(2) ? "+" : "-",
                        (int)below(330));
        break;
    case 6:
        bits = below(UINT64_MAX);
        memcpy(&v, &bits, sizeof v);
        weft_buf_printf(b, "%.17g", isfinite(v) ? v : 0);
        break;
    default: weft_buf_cstr(b, below(2) ? "-0" : "0.0");
    }
}

static void spaces(struct weft_buf *b)
{
    static const char *const kinds[] = { " ", "\n", "\t", "\r\n", "  " };
    if (!below(4)) weft_buf_cstr(b, kinds[below(WEFT_COUNT(kinds))]);
}

static void random_value(struct weft_buf *b, int depth)
{
    uint64_t kind = below(depth > 5 ? 5 : 9);
    spaces(b);
    if (kind == 0) weft_buf_cstr(b, "null");
    else if (kind == 1) weft_buf_cstr(b, below(2) ? "true" : "false");
    else if (kind == 2) random_string(b);
    else if (kind < 5) random_number(b);
    else {
        bool object = kind > 6;
        uint64_t n = below(below(10) ? 5 : 30);
        weft_buf_char(b, object ? '{' : '[');
        for (uint64_t i = 0; i < n; i++) {
            if (i) weft_buf_char(b, ',');
            spaces(b);
            if (object) {
                if (below(8)) weft_buf_printf(b, "\"k%llu\"", (unsigned long long)(below(30) ? i : below(n)));
                else random_string(b);
                spaces(b);
                weft_buf_char(b, ':');
            }
            random_value(b, depth + 1);
        }
        weft_buf_char(b, object ? '}' : ']');
    }
    spaces(b);
}

/* One to three small harms. */
static void spoil(struct weft_buf *b)
{
    static const char *const inserts[] = {
        "{",         "}",
        "[",         "]",
        "\"",        ",",
        ":",         "\\",
        "\\u",       "0",
        "-",         "+",
        ".",         "e",
        "E",         " ",
        "\n",        "\x01",
        "t",         "nul",
        "NaN",       "Infinity",
        "-Infinity", "\xFF",
        "\xC0",      "\xED\xA0\x80",
        "//",        "'",
        "\\ud800",   "\\udc00",
        "1e999",     "\xEF\xBB\xBF",
        "\\x",       "null",
        "[]",        "{}",
        "\xE4",      "\xC2\xA0",
    };
    struct weft_buf out = { 0 };
    for (uint64_t n = 1 + below(3); n; n--) {
        size_t at = below(b->len + 1), end = weft_min_size(b->len, at + below(4));
        struct weft_str all = weft_buf_view(b);
        weft_buf_reset(&out);
        weft_buf_str(&out, weft_str_sub(all, 0, at));
        switch (below(5)) {
        case 0: break; /* cut off or cut out */
        case 1:
            weft_buf_cstr(&out, inserts[below(WEFT_COUNT(inserts))]);
            end = at;
            break;
        case 2: weft_buf_cstr(&out, inserts[below(WEFT_COUNT(inserts))]); break;
        case 3:
            weft_buf_str(&out, weft_str_sub(all, at, end));
            end = at;
            break; /* doubled */
        default: weft_buf_char(&out, (char)below(256));
        }
        if (below(10)) weft_buf_str(&out, weft_str_skip(all, end));
        weft_buf_reset(b);
        weft_buf_str(b, weft_buf_view(&out));
    }
    weft_buf_clear(&out);
}

static void make_corpus(struct weft_buf *corpus)
{
    struct weft_buf text = { 0 };
    for (int i = 0; i < TEXTS; i++) {
        weft_buf_reset(&text);
        if (i % 500 == 499) { /* around the depth limit */
            int depth = 120 + (int)below(16);
            for (int k = 0; k < depth; k++) weft_buf_cstr(&text, k % 2 ? "{\"a\":" : "[");
            weft_buf_cstr(&text, "1");
            for (int k = depth - 1; k >= 0; k--) weft_buf_cstr(&text, k % 2 ? "}" : "]");
        } else random_value(&text, 0);
        if (i % 2) spoil(&text);
        weft_buf_printf(corpus, "%zu\n", text.len);
        weft_buf_str(corpus, weft_buf_view(&text));
    }
    weft_buf_clear(&text);
}

static void test_python_agrees(void **state)
{
    struct weft_err err = { 0 };
    struct weft_buf corpus = { 0 }, ours = { 0 };
    struct weft_arena a = { 0 };
    char command[8192];
    char *line = NULL;
    size_t cap = 0, at = 0;
    int ok = 0, bad = 0, strict = 0;
    if (system("python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null") != 0) {
        print_message("skipped: no python3 from 3.11 on\n");
        skip();
    }
    const char *dir = check_folder();
    weft_rng_init(&rng, 20, WEFT_RNG_TEST, 0);
    make_corpus(&corpus);
    check_ok(weft_file_write(check_path(dir, "corpus"), weft_buf_view(&corpus), &err), &err);
    snprintf(command, sizeof command, "python3 '%s/tests/base/json_peer.py' '%s/corpus'", WEFT_SOURCE_DIR,
             dir);
    FILE *peer = popen(command, "r");
    assert_non_null(peer);
    for (int i = 0; i < TEXTS; i++) {
        size_t len = strtoul(corpus.s + at, NULL, 10);
        at = (size_t)(strchr(corpus.s + at, '\n') - corpus.s) + 1;
        struct weft_str text = { corpus.s + at, len };
        at += len;
        ssize_t n = getline(&line, &cap, peer);
        if (n <= 0) fail_msg("Python stopped at text %d", i);
        line[--n] = '\0';

        struct weft_json_value v;
        struct weft_json_out o;
        weft_err_clear(&err);
        enum weft_status st = weft_json_parse(&a, "t", text, &v, &err);
        if (strncmp(line, "ok ", 3) == 0) {
            if (st) fail_msg("Python accepts, we say %s: %.*s", err.msg, (int)len, text.s);
            weft_buf_reset(&ours);
            weft_json_out_init(&o, &ours);
            weft_json_out_value(&o, &v);
            if (strcmp(ours.s, line + 3) != 0) fail_msg("values differ:\n%s\n%s", ours.s, line + 3);
            ok++;
        } else {
            if (st != WEFT_EINPUT) fail_msg("Python says %s, we accept: %.*s", line, (int)len, text.s);
            if (line[0] == 's') strict++;
            else bad++;
        }
        if (i % 1000 == 0) weft_arena_clear(&a);
    }
    print_message("%d accepted by both with equal values, %d refused by both, %d by our rules alone\n", ok,
                  bad, strict);
    assert_true(ok > TEXTS / 3 && bad > TEXTS / 5 && strict > TEXTS / 100);
    assert_int_equal(pclose(peer), 0);
    free(line);
    weft_buf_clear(&corpus);
    weft_buf_clear(&ours);
    weft_arena_clear(&a);
    check_folder_gone(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_python_agrees) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
