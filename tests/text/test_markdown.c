/* Markdown: markup goes, text stays, lines and code as they were; plain text is never taken for it. */
#include "check.h"

#include "text/text.h"

static struct weft_arena arena;
static struct weft_err err;
static struct weft_text text;

static int finish(void **state)
{
    (void)state;
    weft_arena_clear(&arena);
    return 0;
}

static enum weft_status read_as(const char *name, const char *reader, struct weft_str bytes)
{
    struct weft_text_settings s = { .reader = reader };
    weft_err_clear(&err);
    text = (struct weft_text){ 0 };
    return weft_text_from_memory(&arena, name, bytes, &s, &text, &err);
}

#define markdown_is(markdown, want) markdown_is_at((markdown), (want), __FILE__, __LINE__)
static void markdown_is_at(const char *markdown, const char *want, const char *file, int line)
{
    check_ok_at(read_as("t.md", "markdown", weft_str_c(markdown)), &err, file, line);
    check_str_at(text.text, weft_str_c(want), file, line);
}

static void test_markup_goes_and_text_stays(void **state)
{
    (void)state;
    markdown_is("# 第一章 *雨*\n\n雨下了**整整**一夜，[阿沅](http://x/y \"t\")推开窗。\n", "第一章 雨\n雨下了整整一夜，阿沅推开窗。\n");
    markdown_is("题目\n====\n\n> 引文\n> 第二行\n\n---\n尾", "题目\n引文\n第二行\n尾\n");
    markdown_is("a `b*c*` \\*d\\* &amp; &hellip; &nosuch; <http://e/f> ![图](p.png)g", "a b*c* *d* & … &nosuch; http://e/f g\n");
    assert_int_equal(text.ignored, 1);
    markdown_is("[甲]: http://x\n\n见[甲]，见[乙]。", "见甲，见[乙]。\n");
    markdown_is("~~划去~~ 好~ 来了~ $a_1*b*c$ 和 $$x$$ 5$", "~~划去~~ 好~ 来了~ $a_1*b*c$ 和 $$x$$ 5$\n");
}

static void test_lines_stay_lines(void **state)
{
    (void)state;
    markdown_is("**幕一**\n阿沅：你好。\n船夫：走吧。  \n（下）\n\n　　雪。", "幕一\n阿沅：你好。\n船夫：走吧。\n（下）\n　　雪。\n");
}

static void test_lists_keep_their_numbers(void **state)
{
    (void)state;
    markdown_is("- a\n- b\n  1. c\n  2. d\n- [x] e\n- [ ] f\n", "a\nb\n1. c\n2. d\n[x] e\n[ ] f\n");
    markdown_is("3) 三\n4) 四\n\n   续\n5)\n6) - a\n", "3) 三\n4) 四\n续\n5)\n6)\na\n");
}

static void test_code_is_kept_as_it_is(void **state)
{
    (void)state;
    markdown_is("甲\n```c\n\tif (a)\n\n\t    b  ; // *c* &amp; <b>\n  d\n```\n乙", "甲\n\tif (a)\n\n\t    b  ; // *c* &amp; <b>\n  d\n乙\n");
    markdown_is("x\n\n    code\n      more\n\ny", "x\ncode\n  more\ny\n");
    markdown_is("- a\n\n      code\n        in\n", "a\ncode\n  in\n");
    markdown_is("```\n\nfirst line is blank\n```", "\nfirst line is blank\n");
}

static void test_tables_have_tabs(void **state)
{
    (void)state;
    markdown_is("| 问 | 答 |\n|---|:-:|\n| **a** | b\\|c |\n| d |\n", "问\t答\na\tb|c\nd\t\n");
}

static void test_html_inside_goes_too(void **state)
{
    (void)state;
    markdown_is("a<br>b <span\n class='x'>c</span> <!-- no\nno --> d 1 <2\n\n<div align=center>\n<b>e</b> &lt;f\n</div>\n\n"
                "<script>\nx\n</script>\ng",
                "a\nb c d 1 <2\ne <f\ng\n");
}

static void test_front_matter_is_left_out(void **state)
{
    (void)state;
    markdown_is("---\ntitle: \"河灯\"\ntags:\n  - a\n- b\n# c\ndate: 2024\n---\n# 一\n文", "一\n文\n");
    check_str(text.title, "河灯");
    assert_int_equal(text.ignored, 1);
    assert_int_equal(text.n_sections, 1);
    markdown_is("---\n他说：不走。\n---\n文", "他说：不走。\n文\n");
    markdown_is("---\ntitle: never closed\n\nx", "title: never closed\nx\n");
}

static void test_headings_are_sections(void **state)
{
    (void)state;
    markdown_is("序\n\n# 第一章\n\n雨\n\n## 一 *节*\n雪", "序\n第一章\n雨\n一 节\n雪\n");
    assert_int_equal(text.n_sections, 3);
    assert_int_equal(text.sections[0].title.len, 0);
    check_str(text.sections[1].title, "第一章");
    assert_int_equal(text.sections[1].first_line, 1);
    check_str(text.sections[2].title, "一 节");
    assert_int_equal(text.sections[2].first_line, 3);
}

static void line_stood(struct weft_str bytes, size_t i, uint64_t line, const char *from, const char *to)
{
    assert_int_equal(weft_text_source_line(&text, i), line);
    assert_true(weft_str_starts(weft_str_skip(bytes, text.lines[i].begin), weft_str_c(from)));
    assert_true(weft_str_starts(weft_str_skip(bytes, text.lines[i].end), weft_str_c(to)));
}

static void test_lines_know_their_bytes(void **state)
{
    (void)state;
    struct weft_str bytes =
        WEFT_STR("\xEF\xBB\xBF# 章 #\r\n\r\n> *雨*&hellip;\r\n> 雪\r\n\r\n1. a\r\n\r\n```\r\n\tx\r\n\r\n  y\r\n```\r\n|b|c|\n|---|---|\n|d|e|\n");
    check_ok(read_as("t.md", NULL, bytes), &err);
    assert_string_equal(text.format, "markdown");
    check_str(text.text, "章\n雨…\n雪\n1. a\n\tx\n\n  y\nb\tc\nd\te\n");
    line_stood(bytes, 0, 1, "章", " #");
    line_stood(bytes, 1, 3, "雨", "\r\n> 雪");
    line_stood(bytes, 2, 4, "雪", "\r\n");
    line_stood(bytes, 3, 6, "a", "\r\n");
    line_stood(bytes, 4, 9, "\tx", "\r\n");
    line_stood(bytes, 6, 11, "  y", "\r\n");
    line_stood(bytes, 7, 13, "b", "|\n");
    line_stood(bytes, 8, 15, "d", "|\n");
}

static void test_tabs_in_html_do_not_shift_what_follows(void **state)
{
    (void)state;
    static const char source[] = "<html>\n\t</style>\n<body lang=\"zh\"><pre><span>渡口的灯</span>";
    const char *lamp = strstr(source, "渡口的灯");
    check_ok(read_as("t.md", "markdown", weft_str_c(source)), &err);
    size_t last = text.n_lines - 1;
    check_str(weft_text_line(&text, last), "渡口的灯");
    assert_int_equal(text.lines[last].begin, lamp - source);
    assert_int_equal(text.lines[last].end, lamp - source + 12);
}

static void test_plain_text_is_not_taken_for_markdown(void **state)
{
    (void)state;
    static const struct {
        const char *name, *bytes, *format;
    } cases[] = {
        { "a.md", "# 章\n雨", "markdown" },
        { "a.MD", "见 [甲](x)", "markdown" },
        { "a.markdown", "[甲]: x\n[甲]", "markdown" },
        { "a.md", "x **y** z", "markdown" },
        { "a.md", "```\nx\n```", "markdown" },
        { "a.md", "a|b\n---|---\n", "markdown" },
        { "a.txt", "# 章\n[甲](x) **y**", "txt" },
        { "md", "# 章\n", "txt" },
        /* what plain text has by chance */
        { "a.md", "#话题# 今天\n- 走吧\n* 你\n1. 一\n> 引\n----\n***\n好*的* ~~\n    缩进\n[甲] (乙) **\n======\n", "txt" },
        { "a.md", "2 ** 3 ** 4\n_a_\n`x`\n", "txt" },
    };
    for (size_t i = 0; i < WEFT_COUNT(cases); i++) {
        check_ok(read_as(cases[i].name, NULL, weft_str_c(cases[i].bytes)), &err);
        if (strcmp(text.format, cases[i].format) != 0) fail_msg("%s: %s", cases[i].bytes, text.format);
        if (strcmp(text.format, "txt") == 0) check_str(text.text, cases[i].bytes);
    }
}

/* A8: what takes md4c quadratic time is cut; nothing of the text is lost by it. */
static void test_long_runs_of_lines_are_cut(void **state)
{
    (void)state;
    struct weft_buf b = { 0 };
    enum { LINES = 400000 };
    weft_buf_cstr(&b, "# t\n");
    for (int i = 0; i < LINES; i++) weft_buf_cstr(&b, "[a] *b*\n");
    check_ok(read_as("t.md", NULL, weft_buf_view(&b)), &err);
    assert_int_equal(text.n_lines, LINES + 1);
    for (size_t i = 1; i < text.n_lines; i++) {
        if (!weft_str_is(weft_text_line(&text, i), "[a] b")) fail_msg("line %zu", i);
        assert_int_equal(weft_text_source_line(&text, i), i + 1);
    }
    weft_arena_clear(&arena);
    weft_buf_reset(&b);
    for (int i = 0; i < 5000; i++) weft_buf_cstr(&b, "|a");
    weft_buf_char(&b, '\n');
    for (int i = 0; i < 5000; i++) weft_buf_cstr(&b, "|---");
    weft_buf_char(&b, '\n');
    for (int i = 0; i < 5000; i++) weft_buf_cstr(&b, "|b\n");
    check_ok(read_as("t.md", NULL, weft_buf_view(&b)), &err);
    assert_true(text.text.len <= b.len);
    weft_buf_clear(&b);
}

static void test_odd_input(void **state)
{
    (void)state;
    check_fails(read_as("t.md", "markdown", WEFT_STR("<!-- # only -->\n\n[a]: b\n")), &err, WEFT_EINPUT, "TX5", NULL);
    check_fails(read_as("t.md", "markdown", WEFT_STR("# \xFF\xFE\xFD\n")), &err, WEFT_EINPUT, "TX1", NULL);
    check_fails(read_as("t.md", NULL, WEFT_STR("\x1F\x8B\x08\n# x\n")), &err, WEFT_EINPUT, "TX4", "gzip");
    markdown_is("&#13;x&#10;y&#0;", "x y\xEF\xBF\xBD\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_markup_goes_and_text_stays),
        cmocka_unit_test(test_lines_stay_lines),
        cmocka_unit_test(test_lists_keep_their_numbers),
        cmocka_unit_test(test_code_is_kept_as_it_is),
        cmocka_unit_test(test_tables_have_tabs),
        cmocka_unit_test(test_html_inside_goes_too),
        cmocka_unit_test(test_front_matter_is_left_out),
        cmocka_unit_test(test_headings_are_sections),
        cmocka_unit_test(test_lines_know_their_bytes),
        cmocka_unit_test(test_tabs_in_html_do_not_shift_what_follows),
        cmocka_unit_test(test_plain_text_is_not_taken_for_markdown),
        cmocka_unit_test(test_long_runs_of_lines_are_cut),
        cmocka_unit_test(test_odd_input),
    };
    return cmocka_run_group_tests(tests, NULL, finish);
}
