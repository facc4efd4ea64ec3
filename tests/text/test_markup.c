/* Files that other programs made of a text of ours (tests/text/data/markup/README.md): their text is the text that went
 * in, and every line stands where it says. */
#include "check.h"

#include "text/text.h"

static struct weft_str content(struct weft_arena *a, const char *path, struct weft_err *err)
{
    struct weft_str s;
    check_ok(weft_file_read(a, check_source(a, path), 0, &s, err), err);
    return s;
}

/* The first character of a line is what stands at its first byte, for files in which it is written as itself. */
static void check_places(const struct weft_text *t, struct weft_str bytes)
{
    uint64_t last = 0, line = 0;
    for (size_t i = 0; i < t->n_lines; i++) {
        struct weft_str s = weft_text_line(t, i);
        assert_true(t->lines[i].begin >= last && t->lines[i].begin < t->lines[i].end && t->lines[i].end <= bytes.len);
        assert_true(weft_text_source_line(t, i) > line);
        last = t->lines[i].end;
        line = weft_text_source_line(t, i);
        if (t->charset == WEFT_CHARSET_UTF8) assert_int_equal(bytes.s[t->lines[i].begin], s.s[0]);
    }
}

static void test_the_text_is_what_went_in(void **state)
{
    static const struct {
        const char *file, *source, *format;
        enum weft_charset charset;
    } cases[] = {
        { "pandoc.html", "source.txt", "html", WEFT_CHARSET_UTF8 },
        { "pandoc-gb18030.html", "source.txt", "html", WEFT_CHARSET_GB18030 },
        { "pandoc-utf16.html", "source.txt", "html", WEFT_CHARSET_UTF16LE },
        { "libreoffice.html", "source.txt", "html", WEFT_CHARSET_UTF8 },
        { "pandoc.md", "source.txt", "markdown", WEFT_CHARSET_UTF8 },
        { "iconv-gb18030.txt", "source.txt", "txt", WEFT_CHARSET_GB18030 },
        { "iconv-big5.txt", "hant.txt", "txt", WEFT_CHARSET_BIG5 },
        { "python-gbk.txt", "source.txt", "txt", WEFT_CHARSET_GB18030 },
        { "python-utf-16.txt", "source.txt", "txt", WEFT_CHARSET_UTF16LE },
    };
    struct weft_arena a = { 0 };
    struct weft_err err = { 0 };
    (void)state;
    for (size_t i = 0; i < WEFT_COUNT(cases); i++) {
        struct weft_text t;
        struct weft_str want = content(&a, check_path("tests/text/data/containers", cases[i].source), &err);
        const char *path = check_path("tests/text/data/markup", cases[i].file);
        check_ok(weft_text_read(&a, check_source(&a, path), NULL, &t, &err), &err);
        check_str_at(t.text, want, __FILE__, __LINE__);
        assert_string_equal(t.format, cases[i].format);
        assert_int_equal(t.charset, cases[i].charset);
        assert_false(weft_text_partial(&t));
        assert_int_equal(t.n_notes, 0);
        check_places(&t, content(&a, path, &err));
    }
    weft_arena_clear(&a);
}

static void test_a_table_of_another_program(void **state)
{
    struct weft_arena a = { 0 };
    struct weft_err err = { 0 };
    struct weft_text t;
    (void)state;
    struct weft_lines want = { .text = content(&a, "tests/text/data/containers/source.txt", &err) };
    check_ok(weft_text_read(&a, check_source(&a, "tests/text/data/markup/python.csv"), NULL, &t, &err), &err);
    assert_string_equal(t.format, "csv");
    struct weft_str line;
    for (size_t i = 0; i < t.n_lines; i++) {
        assert_true(weft_lines_next(&want, &line));
        check_str(weft_text_line(&t, i), weft_str_printf(&a, "%zu\t%.*s", i + 1, (int)line.len, line.s).s);
    }
    assert_false(weft_lines_next(&want, &line));
    assert_int_equal(t.n_notes, 0);
    weft_arena_clear(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_text_is_what_went_in),
        cmocka_unit_test(test_a_table_of_another_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
