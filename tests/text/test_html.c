/* Rules HT1-HT5: what of a page is text, where its lines stood, and that no page takes long. */
#include "check.h"
#include "text/encode.h"

#include "text/html.h"
#include "text/html_names.h"
#include "text/layout.h"

struct fixture {
    struct weft_arena arena;
    struct weft_err err;
    struct weft_text text;
};

#include "fixture.h"

static enum weft_status read_page(struct fixture *f, struct weft_str bytes)
{
    weft_err_clear(&f->err);
    f->text = (struct weft_text){ .name = WEFT_STR("p.html") };
    return weft_html_read(&f->arena, bytes, NULL, &f->text, &f->err);
}

#define page_is(f, html, want) page_is_at((f), (html), (want), __FILE__, __LINE__)
static void page_is_at(struct fixture *f, const char *html, const char *want, const char *file, int line)
{
    check_ok_at(read_page(f, weft_str_c(html)), &f->err, file, line);
    check_str_at(f->text.text, weft_str_c(want), file, line);
}

static void test_blocks_make_lines_and_inline_does_not(void **state)
{
    struct fixture *f = *state;
    page_is(f, "<p>雨下了<b>整整</b>一夜。</p><p>天<i>亮</i>了。", "雨下了整整一夜。\n天亮了。\n");
    page_is(f, "<div><div>a</div></div><div></div><section>b<p>c</section>d", "a\nb\nc\nd\n");
    page_is(f, "a<br>b<br/><br>c<br></p>d", "a\nb\n\nc\nd\n");
    page_is(f, "<p>a</p><br>b</br>c", "a\n\nb\nc\n");
    page_is(f, "<h1>T</h1>x<hr>y<custom-tag>z</custom-tag>", "T\nx\nyz\n");
}

static void test_white_space_collapses(void **state)
{
    struct fixture *f = *state;
    page_is(f, " <p> a \t b\n\n c </p> \n <p> d<b> e </b> f </p> ", "a b c\nd e f\n");
    page_is(f, "<p>a&nbsp;&nbsp;b　c</p>", "a\xC2\xA0\xC2\xA0" "b　c\n");
    page_is(f, "<p>x &#32; y&#10;z</p>", "x y z\n");
}

static void test_a_line_break_between_chinese_is_no_space(void **state)
{
    struct fixture *f = *state;
    page_is(f, "<p>雨下了\n  整整一夜，\n“天亮了。”\n她说。</p>", "雨下了整整一夜，“天亮了。”她说。\n");
    page_is(f, "<p>用 weft\n训练，训练\nweft</p>", "用 weft 训练，训练 weft\n");
    page_is(f, "<p>甲 乙</p><p>가\n나</p>", "甲 乙\n가 나\n");
}

static void test_pre_keeps_everything(void **state)
{
    struct fixture *f = *state;
    page_is(f, "a <pre>\n  x\n\n\ty  \n</pre>b", "a\n  x\n\n\ty  \nb\n");
    page_is(f, "<pre>a &lt;b&gt;\n<i>c</i>\n", "a <b>\nc\n");
    page_is(f, "<div><pre>a\nb</div>c\nd", "a\nb\nc d\n");
    page_is(f, "<textarea>\n a\n &amp;<p></textarea>", " a\n &<p>\n");
}

static void test_what_is_no_text_is_left_out_and_counted(void **state)
{
    struct fixture *f = *state;
    page_is(f,
            "<html><head><title>T</title><style>p{}</style><script>if (a<b) '</p>'</script>loose</head>"
            "<body>a<script>var x = '<p>';</script>b<style><!-- p --></style>c"
            "<template>no<p>no</template>d<!-- no --><iframe><p>no</iframe>e</body>",
            "abcde\n");
    assert_int_equal(f->text.ignored, 7);
    page_is(f, "<script><!-- <script>x</script> y --></script>z", "z\n");
    page_is(f, "<template><template>a</template>b</template>c</template>d", "cd\n");
    page_is(f, "x<script>never closed <p>", "x\n");
    page_is(f, "<p hidden>kept</p>", "kept\n");
}

static void test_ruby_readings_are_left_out(void **state)
{
    struct fixture *f = *state;
    page_is(f, "<ruby>漢<rp>(</rp><rt>hàn</rt><rp>)</rp>字<rt>zì</ruby>好", "漢字好\n");
    page_is(f, "<ruby>漢<rt>hàn<p>next", "漢\nnext\n");
    assert_int_equal(f->text.ignored, 1);
}

static void test_tables_part_cells_by_tabs(void **state)
{
    struct fixture *f = *state;
    page_is(f,
            "<table><caption>C</caption><thead><tr><th>a</th> <th>b</th></tr></thead>\n"
            "<tbody><tr>\n<td>1</td>\n<td> </td><td>3</td></tr><tr><td></td><td>x</td></tr></table>y",
            "C\na\tb\n1\t\t3\n\tx\ny\n");
    page_is(f, "<table><tr><td>a<td>b<tr><td>c<td>d</table>", "a\tb\nc\td\n");
    page_is(f, "<table><tr><td><p>a</p><p>b</p></td><td><div>c</div></td></tr></table>", "a\nb\tc\n");
    page_is(f, "<table><tr><td>a</td><td><table><tr><td>b</td><td>c</td></tr></table></td><td>d</td></tr></table>",
            "a\tb\tc\td\n");
}

static void test_lists_are_lines(void **state)
{
    struct fixture *f = *state;
    page_is(f, "<ul><li>a<li>b<ul><li>c</ul></ul><dl><dt>t<dd>d</dl>", "a\nb\nc\nt\nd\n");
}

/* HT5. */
static void test_references(void **state)
{
    struct fixture *f = *state;
    page_is(f, "&lt;&gt;&amp;&quot;&#39; &hellip;&mdash; &NotEqualTilde; &frac12", "<>&\"' …— ≂̸ ½\n");
    page_is(f, "&#x7532;&#20057; &#150; &#0;&#xD800;&#x110000;&#99999999999;", "甲乙 – \xEF\xBF\xBD\xEF\xBF\xBD"
                                                                              "\xEF\xBF\xBD\xEF\xBF\xBD\n");
    page_is(f, "&notit; &notin; &copy2 &nosuch; & &; &# &#x; a&b AT&T&", "¬it; ∉ ©2 &nosuch; & &; &# &#x; a&b AT&T&\n");
    uint32_t cp[2];
    bool bare;
    assert_true(weft_html_name(WEFT_STR("amp"), cp, &bare) && bare && cp[0] == '&' && cp[1] == 0);
    assert_true(weft_html_name(WEFT_STR("hellip"), cp, &bare) && !bare);
    assert_false(weft_html_name(WEFT_STR("Hellip"), cp, NULL));
    assert_false(weft_html_name(WEFT_STR(""), cp, NULL));
}

/* HT1: anything is a page. */
static void test_syntax_never_fails(void **state)
{
    struct fixture *f = *state;
    page_is(f, "1 < 2 <3 <> </> </ x> <!x> <?x?> <", "1 < 2 <3 <> <\n");
    page_is(f, "a<!-->b<!--->c<!-- x --!>d<!-- never", "abcd\n");
    page_is(f, "<p a=1 b='>' c=\"</p>\" d = e/f =g>x</p q='>'>y", "x\ny\n");
    page_is(f, "x<p title=\"never closed>y</p>", "x\n");
    page_is(f, "</div></table></pre></ruby></template>x</title>y", "xy\n");
    page_is(f, "<![CDATA[x]]>y", "y\n");
    page_is(f, "<?xml version=\"1.0\"?><html xmlns=\"http://www.w3.org/1999/xhtml\"><title/><p>a<![CDATA[<b>]]></p>",
            "a<b>\n");
    page_is(f, "<xmp><b>&amp;</xmp><plaintext></plaintext><i>", "<b>&amp;\n</plaintext><i>\n");
}

static void test_title_and_headings_are_sections(void **state)
{
    struct fixture *f = *state;
    page_is(f, "<title> 河 &amp;\n灯 </title><p>序</p><h2>第一章\n 雨夜</h2><p>雨。</p><h2><br></h2><h2>第二章</h2>灯。",
            "序\n第一章雨夜\n雨。\n\n第二章\n灯。\n");
    check_str(f->text.title, "河 & 灯");
    assert_int_equal(f->text.n_sections, 3);
    check_str(f->text.sections[0].title, "河 & 灯");
    check_str(f->text.sections[1].title, "第一章雨夜");
    assert_int_equal(f->text.sections[1].first_line, 1);
    check_str(f->text.sections[2].title, "第二章");
    assert_int_equal(f->text.sections[2].first_line, 4);
    page_is(f, "<p>no title</p>", "no title\n");
    assert_int_equal(f->text.n_sections, 0);
    assert_int_equal(f->text.title.len, 0);
}

static void line_stood(const struct fixture *f, struct weft_str bytes, size_t i, uint64_t source_line, const char *at,
                       const char *behind)
{
    const struct weft_text_line *line = &f->text.lines[i];
    struct weft_str from = weft_str_skip(bytes, line->begin);
    assert_int_equal(weft_text_source_line(&f->text, i), source_line);
    assert_true(weft_str_starts(from, weft_str_c(at)));
    assert_true(weft_str_starts(weft_str_skip(bytes, line->end), weft_str_c(behind)));
}

static void test_lines_know_their_place_in_the_page(void **state)
{
    struct fixture *f = *state;
    struct weft_str page = WEFT_STR("<html>\r\n<p>雨&hellip;<b>下</b></p>\n\n<div> 天亮\r\n了 </div><pre>\na\nb</pre>");
    check_ok(read_page(f, page), &f->err);
    check_str(f->text.text, "雨…下\n天亮了\na\nb\n");
    line_stood(f, page, 0, 2, "雨&hellip;", "</b></p>");
    line_stood(f, page, 1, 4, "天亮", " </div>");
    line_stood(f, page, 2, 6, "a\n", "\nb");
    line_stood(f, page, 3, 7, "b<", "</pre>");
}

/* HT2, and places in bytes of every charset. */
static void test_charsets_declared_and_found(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *label, *iconv;
        enum weft_charset charset;
    } cases[] = { { "gb2312", "GB18030", WEFT_CHARSET_GB18030 },
                  { "big5", "BIG5", WEFT_CHARSET_BIG5 },
                  { "utf-8", "UTF-8", WEFT_CHARSET_UTF8 },
                  { "gbk", "UTF-8", WEFT_CHARSET_UTF8 },        /* a page that is wrong about itself */
                  { "utf-8", "GB18030", WEFT_CHARSET_GB18030 },
                  { "x-unknown", "GB18030", WEFT_CHARSET_GB18030 } };
    for (size_t i = 0; i < WEFT_COUNT(cases); i++) {
        struct weft_str html =
            weft_str_printf(&f->arena, "<!-- <meta charset=big5> --><meta http-equiv=\"Content-Type\" content=\"text/html; "
                                       "charset=%s\"><p>他的一天是不了在有人我你好</p>\n<p>好的，我的一天。</p>", cases[i].label);
        struct weft_str bytes = encode(&f->arena, html.s, cases[i].iconv);
        check_ok(read_page(f, bytes), &f->err);
        check_str(f->text.text, "他的一天是不了在有人我你好\n好的，我的一天。\n");
        assert_int_equal(f->text.charset, cases[i].charset);
        struct weft_str second = encode(&f->arena, "好的，我的一天。", cases[i].iconv);
        assert_int_equal(f->text.lines[1].end - f->text.lines[1].begin, second.len);
        assert_memory_equal(bytes.s + f->text.lines[1].begin, second.s, second.len);
    }
    struct weft_str wide = encode(&f->arena, "\xEF\xBB\xBF<meta charset=gbk><p>甲𠀀</p>乙", "UTF-16LE");
    check_ok(read_page(f, wide), &f->err);
    check_str(f->text.text, "甲𠀀\n乙\n");
    assert_int_equal(f->text.lines[1].begin, wide.len - 2);
    check_fails(read_page(f, WEFT_STR("<meta charset=\"Shift_JIS\"><p>\x93\xFA\x96\x7B</p>")), &f->err, WEFT_EINPUT,
                "HT2", "Shift_JIS");
    check_ok(read_page(f, WEFT_STR("<meta charset=iso-8859-1><p>plain</p>")), &f->err);
}

static void test_damage_is_repaired_and_placed(void **state)
{
    struct fixture *f = *state;
    struct weft_text_settings s = { .charset = WEFT_CHARSET_GB18030 };
    struct weft_str bytes = WEFT_STR("<p>a\xFF\xC4\xE3</p><p>b\x84\x31\xA4\x37 \xBA\xC3</p>");
    f->text = (struct weft_text){ .name = WEFT_STR("p.html") };
    check_ok(weft_html_read(&f->arena, bytes, &s, &f->text, &f->err), &f->err);
    check_str(f->text.text, "a\xEF\xBF\xBD你\nb\xEF\xBF\xBD 好\n");
    assert_int_equal(f->text.repaired, 1);
    assert_true(weft_text_partial(&f->text));
    assert_int_equal(f->text.lines[0].end, 7);
    assert_int_equal(f->text.lines[1].begin, 14);
    assert_int_equal(f->text.lines[1].end, 22);
}

static void test_a_page_without_ink_is_refused(void **state)
{
    struct fixture *f = *state;
    check_fails(read_page(f, WEFT_STR("<html><head><title>T</title></head><body> &nbsp; </body>")), &f->err, WEFT_EINPUT,
                "TX5", "no visible character");
}

/* HT4: deep nesting is flattened, not refused, and the text behind it is laid out as before. */
static void test_depth_is_capped(void **state)
{
    struct fixture *f = *state;
    struct weft_buf b = { 0 };
    enum { DEEP = 20000 };
    for (int i = 0; i < DEEP; i++) weft_buf_cstr(&b, "<div>");
    weft_buf_cstr(&b, "<pre> a\n b</pre>");
    for (int i = 0; i < DEEP; i++) weft_buf_cstr(&b, "</div>");
    weft_buf_cstr(&b, "<pre> a\n b</pre>");
    page_is(f, b.s, "a b\n a\n b\n");
    weft_buf_reset(&b);
    for (int i = 0; i < DEEP; i++) weft_buf_cstr(&b, "<table><tr><td>");
    weft_buf_cstr(&b, "x");
    check_ok(read_page(f, weft_buf_view(&b)), &f->err);
    check_str(f->text.text, "x\n");
    weft_buf_clear(&b);
}

/* A8: what would be slow in a parser that looks back or ahead; 400,000 of each in a test of seconds. */
static void test_hostile_repetition_is_linear(void **state)
{
    struct fixture *f = *state;
    static const char *const pieces[] = { "<", "&", "<a ", "<!--", "<b>", "</b>", "<div>", "</div>", "<table>", "</td>",
                                          "<p a=\"", "<title>", "</", "&#", "&amp", "<br>", "<script><!--", "\r", "<td>" };
    struct weft_buf b = { 0 };
    for (size_t k = 0; k < WEFT_COUNT(pieces); k++) {
        weft_buf_reset(&b);
        weft_buf_cstr(&b, "x<section>");
        for (int i = 0; i < 400000; i++) weft_buf_cstr(&b, pieces[k]);
        for (int i = 0; i < 400000; i++) weft_buf_cstr(&b, "</i>");
        check_ok(read_page(f, weft_buf_view(&b)), &f->err);
        weft_arena_clear(&f->arena);
    }
    weft_buf_reset(&b);
    weft_buf_cstr(&b, "x<a ");
    for (int i = 0; i < 400000; i++) weft_buf_printf(&b, "a%d ", i);
    weft_buf_cstr(&b, ">y");
    page_is(f, b.s, "xy\n");
    weft_buf_clear(&b);
}

static void test_pages_are_recognised(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *name, *bytes;
        bool page;
    } cases[] = {
        { "a.txt", "<!DOCTYPE HTML>\n<p>x", true },
        { "-", " \n<!-- c -->\n<HTML lang=zh>", true },
        { "-", "<?xml version='1.0'?>\n<!DOCTYPE html PUBLIC 'x'><html/>", true },
        { "a.htm", "<p>x", true },
        { "A.HTML", "x &nbsp; y", true },
        { "a.html", "1 < 2 & 3 > 2\n  kept as it is", false },
        { "a.txt", "<p>x</p>", false },
        { "a.txt", "甲：<html> 是什么？", false },
        { "a.md", "<htmlx>", false },
        { "a.xml", "<?xml version='1.0'?><book/>", false },
    };
    for (size_t i = 0; i < WEFT_COUNT(cases); i++)
        assert_int_equal(weft_html_sniff(weft_str_c(cases[i].bytes), weft_str_c(cases[i].name)), cases[i].page);
    struct weft_str wide = encode(&f->arena, "\xEF\xBB\xBF<!doctype html>甲", "UTF-16BE");
    assert_true(weft_html_sniff(wide, WEFT_STR("a")));
    check_ok(weft_text_from_memory(&f->arena, "a.txt", wide, NULL, &f->text, &f->err), &f->err);
    assert_string_equal(f->text.format, "html");
    check_str(f->text.text, "甲\n");
}

static void test_memory_may_run_out(void **state)
{
    struct fixture *f = *state;
    struct weft_str page = WEFT_STR("<title>t</title><h1>甲</h1><p>乙&amp;</p>");
    enum weft_status st = WEFT_ENOMEM;
    for (size_t limit = 64; st == WEFT_ENOMEM; limit += 64) {
        struct weft_arena small = { .max_bytes = limit, .block_bytes = 64 };
        weft_err_clear(&f->err);
        f->text = (struct weft_text){ .name = WEFT_STR("p.html") };
        st = weft_html_read(&small, page, NULL, &f->text, &f->err);
        if (st) assert_int_equal(f->text.n_lines, 0);
        weft_arena_clear(&small);
        assert_true(limit < 1 << 20);
    }
    check_ok(st, &f->err);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_blocks_make_lines_and_inline_does_not),
        TEST(test_white_space_collapses),
        TEST(test_a_line_break_between_chinese_is_no_space),
        TEST(test_pre_keeps_everything),
        TEST(test_what_is_no_text_is_left_out_and_counted),
        TEST(test_ruby_readings_are_left_out),
        TEST(test_tables_part_cells_by_tabs),
        TEST(test_lists_are_lines),
        TEST(test_references),
        TEST(test_syntax_never_fails),
        TEST(test_title_and_headings_are_sections),
        TEST(test_lines_know_their_place_in_the_page),
        TEST(test_charsets_declared_and_found),
        TEST(test_damage_is_repaired_and_placed),
        TEST(test_a_page_without_ink_is_refused),
        TEST(test_depth_is_capped),
        TEST(test_hostile_repetition_is_linear),
        TEST(test_pages_are_recognised),
        TEST(test_memory_may_run_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
