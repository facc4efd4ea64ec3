/* Documents that other programs made of texts of ours (tests/text/data/containers/README.md): their text is the text
 * that went in, and every line lies in the part it names. */
#include "check.h"

#include "text/text.h"

static const char folder[] = "tests/text/data/containers";

static struct weft_str content(struct weft_arena *a, const char *name, struct weft_err *err)
{
    struct weft_str s;
    check_ok(weft_file_read(a, check_source(a, check_path(folder, name)), 0, &s, err), err);
    return s;
}

/* Each line's range lies inside the part, and ranges rise through it. */
static void check_places(struct weft_arena *a, struct weft_str container, const struct weft_text *t,
                         struct weft_err *err)
{
    struct weft_zip z;
    struct weft_str part = { NULL, 0 }, bytes = { NULL, 0 };
    uint64_t last = 0;
    check_ok(weft_zip_open(&z, a, "t", container, NULL, err), err);
    for (size_t i = 0; i < t->n_lines; i++) {
        const struct weft_text_section *s = weft_text_section_of(t, i);
        assert_non_null(s);
        if (!weft_str_eq(s->part, part)) {
            const struct weft_zip_entry *e = weft_zip_find(&z, s->part);
            assert_non_null(e);
            check_ok(weft_zip_read(&z, a, e, &bytes, err), err);
            part = s->part;
            last = 0;
        }
        struct weft_text_span span = weft_text_span_of(t, i, i);
        assert_true(span.begin >= last && span.begin <= span.end && span.end <= bytes.len);
        last = span.end;
        /* What begins the line in the text begins it in the part, unless it is written as a reference or an element. */
        struct weft_str line = weft_text_line(t, i), raw = weft_str_sub(bytes, span.begin, span.end);
        if (line.len && raw.s[0] != '&' && raw.s[0] != '<') assert_int_equal(raw.s[0], line.s[0]);
    }
}

static void test_the_text_is_what_went_in(void **state)
{
    static const struct {
        const char *file, *source, *before;
        size_t n_notes;
    } cases[] = {
        { "python-docx.docx", "source.txt", "", 0 },      { "pandoc.docx", "source.txt", "", 0 },
        { "libreoffice.docx", "source.txt", "", 0 },      { "libreoffice-rich.docx", "rich.txt", "", 2 },
        { "ebooklib.epub", "source.txt", "", 1 },         { "pandoc.epub", "source.txt", "灯\n灯\n", 0 },
        { "libreoffice.epub", "source.txt", "", 0 },
    };
    struct weft_arena a = { 0 };
    struct weft_err err = { 0 };
    for (size_t i = 0; i < WEFT_COUNT(cases); i++) {
        struct weft_text t;
        struct weft_str want = content(&a, cases[i].source, &err);
        check_ok(weft_text_read(&a, check_source(&a, check_path(folder, cases[i].file)), NULL, &t, &err), &err);
        check_str(t.text, weft_str_printf(&a, "%s%.*s", cases[i].before, (int)want.len, want.s).s);
        assert_string_equal(t.format, strrchr(cases[i].file, '.') + 1);
        assert_false(weft_text_partial(&t));
        assert_int_equal(t.n_notes, cases[i].n_notes);
        check_places(&a, content(&a, cases[i].file, &err), &t, &err);
    }
    weft_arena_clear(&a);
}

static void test_headings_of_books_name_their_sections(void **state)
{
    static const char *const files[] = { "ebooklib.epub", "pandoc.epub" };
    struct weft_arena a = { 0 };
    struct weft_err err = { 0 };
    for (size_t i = 0; i < WEFT_COUNT(files); i++) {
        struct weft_text t;
        check_ok(weft_text_read(&a, check_source(&a, check_path(folder, files[i])), NULL, &t, &err), &err);
        check_str(weft_text_section_of(&t, t.n_lines - 1)->title, "第二章 账本");
        assert_true(t.title.len > 0);
    }
    weft_arena_clear(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_text_is_what_went_in),
        cmocka_unit_test(test_headings_of_books_name_their_sections),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
