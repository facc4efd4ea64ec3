/* Rules EP1-EP6: how a book is found in its container, in which order it is read, what a bad chapter costs. */
#include "text/container.h"

#define CONTAINER(path)                                                                                               \
    "<?xml version=\"1.0\"?><container version=\"1.0\" xmlns=\"urn:oasis:names:tc:opendocument:xmlns:container\">"      \
    "<rootfiles><rootfile full-path=\"" path "\" media-type=\"application/oebps-package+xml\"/></rootfiles></container>"
#define PACKAGE(manifest, spine)                                                                                      \
    "<package xmlns=\"http://www.idpf.org/2007/opf\"><metadata xmlns:dc=\"http://purl.org/dc/elements/1.1/\">"           \
    "<dc:title>夜雨 &amp; 灯</dc:title></metadata><manifest>" manifest "</manifest><spine>" spine "</spine></package>"
#define ITEM(id, href) "<item id=\"" id "\" href=\"" href "\" media-type=\"application/xhtml+xml\"/>"
#define REF(id) "<itemref idref=\"" id "\"/>"
#define PAGE(body)                                                                                                    \
    "<?xml version=\"1.0\" encoding=\"utf-8\"?><!DOCTYPE html><html xmlns=\"http://www.w3.org/1999/xhtml\"><head>"        \
    "<title/><script src=\"x.js\"/></head><body>" body "</body></html>"

static enum weft_status read_made(struct fixture *f) { return read_as(f, "t.epub"); }

static void begin(struct fixture *f, const char *package)
{
    zip_clear(&f->make);
    zip_add_as(&f->make, WEFT_STR("mimetype"), WEFT_STR("application/epub+zip"), 0, false);
    zip_add(&f->make, "META-INF/container.xml", CONTAINER("OEBPS/book.opf"));
    zip_add(&f->make, "OEBPS/book.opf", package);
}

/* A book of two chapters, the first of them this page. */
static enum weft_status read_first_chapter(struct fixture *f, const char *page)
{
    begin(f, PACKAGE(ITEM("a", "a.xhtml") ITEM("b", "b.xhtml"), REF("a") REF("b")));
    zip_add(&f->make, "OEBPS/a.xhtml", page);
    zip_add(&f->make, "OEBPS/b.xhtml", PAGE("<p>第二章</p>"));
    return read_made(f);
}

static void test_a_book_is_read_with_its_sections_and_bytes(void **state)
{
    struct fixture *f = *state;
    check_ok(read_first_chapter(f, PAGE("<h1>第一章</h1><p>雨下了<br/>一夜&#8230;&hellip;</p>\n<h2>灯</h2><p>亮着。</p>")), &f->err);
    check_str(f->text.text, "第一章\n雨下了\n一夜……\n灯\n亮着。\n第二章\n");
    check_str(f->text.title, "夜雨 & 灯");
    assert_string_equal(f->text.format, "epub");
    assert_false(weft_text_partial(&f->text));
    assert_int_equal(f->text.n_notes, 0);
    assert_int_equal(f->text.n_sections, 3);
    check_str(weft_text_section_of(&f->text, 1)->title, "第一章");
    check_str(weft_text_section_of(&f->text, 4)->title, "灯");
    check_str(weft_text_section_of(&f->text, 4)->part, "OEBPS/a.xhtml");
    check_str(weft_text_section_of(&f->text, 5)->part, "OEBPS/b.xhtml");
    assert_int_equal(weft_text_section_of(&f->text, 5)->title.len, 0);
    struct weft_zip z;
    struct weft_str page;
    check_ok(weft_zip_open(&z, &f->arena, "t", weft_buf_view(&f->make.b), NULL, &f->err), &f->err);
    check_ok(weft_zip_read(&z, &f->arena, weft_zip_find(&z, WEFT_STR("OEBPS/a.xhtml")), &page, &f->err), &f->err);
    struct weft_text_span span = weft_text_span_of(&f->text, 1, 2);
    check_str(span.part, "OEBPS/a.xhtml");
    check_str(weft_str_sub(page, span.begin, span.end), "雨下了<br/>一夜&#8230;&hellip;");
    span = weft_text_span_of(&f->text, 4, 5);      /* into the next chapter: cut where the part ends */
    check_str(weft_str_sub(page, span.begin, span.end), "亮着。");
}

/* ---- EP1 ---- */

static void test_ep1_the_package_is_found_through_the_container(void **state)
{
    struct fixture *f = *state;
    static const char package[] = PACKAGE(ITEM("a", "a.xhtml"), REF("a"));
    zip_add_as(&f->make, WEFT_STR("mimetype"), WEFT_STR("application/epub+zip"), 0, false);
    zip_add(&f->make, "book.opf", package);
    zip_add(&f->make, "a.xhtml", PAGE("<p>文</p>"));
    check_fails(read_made(f), &f->err, WEFT_EINPUT, "EP1", "META-INF/container.xml is not in the book");
    static const struct {
        const char *container, *message;
    } bad[] = {
        { CONTAINER("OEBPS/book.opf"), "the package file OEBPS/book.opf is not in the book" },
        { CONTAINER("../book.opf"), "is not in the book" },
        { "<container><rootfiles/></container>", "names no package file" },
        { "<container><rootfile full-path='x.pdf' media-type='application/pdf'/></container>", "names no package file" },
    };
    for (size_t i = 0; i < WEFT_COUNT(bad); i++) {
        zip_clear(&f->make);
        zip_add_as(&f->make, WEFT_STR("mimetype"), WEFT_STR("application/epub+zip"), 0, false);
        zip_add(&f->make, "META-INF/container.xml", bad[i].container);
        zip_add(&f->make, "book.opf", package);
        zip_add(&f->make, "a.xhtml", PAGE("<p>文</p>"));
        check_fails(read_made(f), &f->err, WEFT_EINPUT, "EP1", bad[i].message);
    }
    zip_clear(&f->make);
    zip_add_as(&f->make, WEFT_STR("mimetype"), WEFT_STR("application/epub+zip"), 0, false);
    zip_add(&f->make, "META-INF/container.xml", CONTAINER("book.opf"));
    zip_add(&f->make, "book.opf", package);
    zip_add(&f->make, "a.xhtml", PAGE("<p>文</p>"));
    check_ok(read_made(f), &f->err);
    check_str(f->text.text, "文\n");
}

/* ---- EP2 ---- */

static void test_ep2_hrefs_are_decoded_and_stay_inside(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *href, *part;
    } good[] = {
        { "a.xhtml", "OEBPS/a.xhtml" },           { "text/%E7%AC%AC1.xhtml", "OEBPS/text/第1.xhtml" },
        { "a%20b.xhtml#top", "OEBPS/a b.xhtml" }, { "../other/a.xhtml", "other/a.xhtml" },
        { "/root.xhtml", "root.xhtml" },          { "./x/./../a.xhtml?q#f", "OEBPS/a.xhtml" },
        { "50%.xhtml", "OEBPS/50%.xhtml" },
    };
    for (size_t i = 0; i < WEFT_COUNT(good); i++) {
        char package[1024];
        snprintf(package, sizeof package, PACKAGE(ITEM("a", "%s"), REF("a")), good[i].href);
        begin(f, package);
        zip_add(&f->make, good[i].part, PAGE("<p>文</p>"));
        check_ok(read_made(f), &f->err);
        check_str(weft_text_section_of(&f->text, 0)->part, good[i].part);
        assert_false(weft_text_partial(&f->text));
    }
    static const struct {
        const char *href, *why;
    } bad[] = {
        { "http://127.0.0.1:1/a.xhtml", "another machine" }, { "//host/a.xhtml", "another machine" },
        { "file:///etc/passwd", "another machine" },         { "../../a.xhtml", "outside the book" },
        { "%2e%2e/%2E%2E/a.xhtml", "outside the book" },     { "..\\..\\a.xhtml", "outside the book" },
        { "a%00.xhtml", "outside the book" },
    };
    for (size_t i = 0; i < WEFT_COUNT(bad); i++) {
        char package[1024];
        snprintf(package, sizeof package, PACKAGE(ITEM("a", "%s") ITEM("b", "b.xhtml"), REF("a") REF("b")), bad[i].href);
        begin(f, package);
        zip_add(&f->make, "OEBPS/b.xhtml", PAGE("<p>文</p>"));
        zip_add(&f->make, "a.xhtml", PAGE("<p>wrong</p>"));
        check_ok(read_made(f), &f->err);
        check_str(f->text.text, "文\n");
        assert_int_equal(f->text.left_out, 1);
        assert_true(weft_text_partial(&f->text));
        assert_true(noted(f, bad[i].why));
    }
}

/* ---- EP3 ---- */

static void test_ep3_the_spine_gives_the_order(void **state)
{
    struct fixture *f = *state;
    begin(f, PACKAGE(ITEM("z", "3.xhtml") ITEM("b", "1.xhtml") ITEM("a", "2.xhtml") ITEM("unused", "4.xhtml"),
                     REF("b") REF("a") REF("z") REF("b")));
    zip_add(&f->make, "OEBPS/3.xhtml", PAGE("<p>三</p>"));
    zip_add(&f->make, "OEBPS/2.xhtml", PAGE("<p>二</p>"));
    zip_add(&f->make, "OEBPS/1.xhtml", PAGE("<p>一</p>"));
    zip_add(&f->make, "OEBPS/4.xhtml", PAGE("<p>四</p>"));
    check_ok(read_made(f), &f->err);
    check_str(f->text.text, "一\n二\n三\n");
    assert_true(noted(f, "OEBPS/1.xhtml stands twice"));
    assert_false(weft_text_partial(&f->text));
}

static void test_ep3_what_is_missing_costs_only_itself(void **state)
{
    struct fixture *f = *state;
    begin(f, PACKAGE(ITEM("a", "a.xhtml") ITEM("gone", "gone.xhtml")
                         "<item id=\"pic\" href=\"p.jpg\" media-type=\"image/jpeg\"/>",
                     REF("nobody") REF("a") REF("gone") REF("pic") REF("")));
    zip_add(&f->make, "OEBPS/a.xhtml", PAGE("<p>文</p>"));
    zip_add(&f->make, "OEBPS/p.jpg", "JPEG");
    check_ok(read_made(f), &f->err);
    check_str(f->text.text, "文\n");
    assert_int_equal(f->text.left_out, 4);
    assert_true(noted(f, "chapter nobody is left out: the manifest has no such id"));
    assert_true(noted(f, "chapter OEBPS/gone.xhtml is left out: it is not in the book"));
    assert_true(noted(f, "its type is image/jpeg"));
}

static void test_ep3_nothing_readable_is_an_error(void **state)
{
    struct fixture *f = *state;
    begin(f, PACKAGE("", ""));
    check_fails(read_made(f), &f->err, WEFT_EINPUT, "EP3", "OEBPS/book.opf: no text: 0 of 0 chapters");
    begin(f, PACKAGE(ITEM("a", "gone.xhtml"), REF("a")));
    check_fails(read_made(f), &f->err, WEFT_EINPUT, "EP3", "gone.xhtml is left out");
    begin(f, PACKAGE(ITEM("a", "a.xhtml"), REF("a")));
    zip_add(&f->make, "OEBPS/a.xhtml", PAGE("<img src=\"a.jpg\"/>"));
    check_fails(read_made(f), &f->err, WEFT_EINPUT, "EP3", "1 of 1 chapters in the reading order could be read");
}

static void test_the_table_of_contents_is_left_out_and_told(void **state)
{
    struct fixture *f = *state;
    begin(f, PACKAGE("<item id=\"toc\" href=\"nav.xhtml\" media-type=\"application/xhtml+xml\" properties=\"scripted nav\"/>"
                     "<item id=\"a\" href=\"a.xhtml\" media-type=\"application/xhtml+xml\" properties=\"navy\"/>",
                     REF("toc") REF("a")));
    zip_add(&f->make, "OEBPS/nav.xhtml", PAGE("<nav><ol><li>文</li></ol></nav>"));
    zip_add(&f->make, "OEBPS/a.xhtml", PAGE("<p>文</p>"));
    check_ok(read_made(f), &f->err);
    check_str(f->text.text, "文\n");
    assert_true(noted(f, "the table of contents is left out"));
    assert_false(weft_text_partial(&f->text));
}

/* ---- EP4 ---- */

#define ENCRYPTION(uri)                                                                                               \
    "<encryption xmlns=\"urn:oasis:names:tc:opendocument:xmlns:container\" "                                            \
    "xmlns:e=\"http://www.w3.org/2001/04/xmlenc#\"><e:EncryptedData><e:CipherData><e:CipherReference URI=\"" uri         \
    "\"/></e:CipherData></e:EncryptedData></encryption>"

static void test_ep4_an_encrypted_chapter_is_drm_a_font_is_not(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *encryption;
        bool refused;
    } cases[] = {
        { ENCRYPTION("OEBPS/a.xhtml"), true },
        { ENCRYPTION("OEBPS/%61.xhtml"), true },
        { ENCRYPTION("OEBPS/fonts/kai.otf"), false },
        { ENCRYPTION("OEBPS/not-in-the-book.xhtml"), false },
    };
    for (size_t i = 0; i < WEFT_COUNT(cases); i++) {
        begin(f, PACKAGE(ITEM("a", "a.xhtml"), REF("a")));
        zip_add(&f->make, "META-INF/encryption.xml", cases[i].encryption);
        zip_add(&f->make, "OEBPS/a.xhtml", PAGE("<p>文</p>"));
        zip_add(&f->make, "OEBPS/fonts/kai.otf", "font");
        if (cases[i].refused) check_fails(read_made(f), &f->err, WEFT_EINPUT, "EP4", "OEBPS/a.xhtml is encrypted (DRM");
        else check_ok(read_made(f), &f->err);
    }
    /* Encrypted by the container itself. */
    begin(f, PACKAGE(ITEM("a", "a.xhtml"), REF("a")));
    zip_add(&f->make, "OEBPS/a.xhtml", PAGE("<p>文</p>"))->flags = 1;
    check_fails(read_made(f), &f->err, WEFT_EINPUT, "EP4", "DRM");
}

/* ---- EP5 ---- */

static void test_ep5_a_missing_or_late_mimetype_is_only_told(void **state)
{
    struct fixture *f = *state;
    static const char package[] = PACKAGE(ITEM("a", "a.xhtml"), REF("a"));
    for (int kind = 0; kind < 3; kind++) {
        zip_clear(&f->make);
        if (kind == 1) zip_add_as(&f->make, WEFT_STR("mimetype"), WEFT_STR("text/plain"), 0, false);
        zip_add(&f->make, "META-INF/container.xml", CONTAINER("OEBPS/book.opf"));
        zip_add(&f->make, "OEBPS/book.opf", package);
        zip_add(&f->make, "OEBPS/a.xhtml", PAGE("<p>文</p>"));
        if (kind == 2) zip_add_as(&f->make, WEFT_STR("mimetype"), WEFT_STR("application/epub+zip"), 0, false);
        check_ok(read_made(f), &f->err);
        check_str(f->text.text, "文\n");
        assert_true(noted(f, "expected a first part \"mimetype\""));
        assert_false(weft_text_partial(&f->text));
    }
}

/* ---- EP6, XM3 ---- */

static void test_ep6_a_chapter_that_is_not_well_formed_is_read_as_html(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *page, *note;
    } cases[] = {
        { "<html><body><p>一<br>二<p>三&amp;四</body></html>", "not well-formed XML" },
        { "<html><body><p>一</p>二<p>三&nosuch;四</p></body></html>", "&nosuch;" },
        { "<?xml version='1.0' encoding='iso-8859-1'?><html><body><p>一</p>二</body></html>", "iso-8859-1" },
    };
    static const char *const texts[] = { "一\n二\n三&四\n第二章\n", "一\n二\n三&nosuch;四\n第二章\n", "一\n二\n第二章\n" };
    for (size_t i = 0; i < WEFT_COUNT(cases); i++) {
        check_ok(read_first_chapter(f, cases[i].page), &f->err);
        check_str(f->text.text, texts[i]);
        assert_true(noted(f, cases[i].note));
        assert_true(noted(f, "t.epub: OEBPS/a.xhtml"));
        assert_true(noted(f, "is read as HTML"));
        assert_false(weft_text_partial(&f->text));
        check_str(weft_text_section_of(&f->text, 0)->part, "OEBPS/a.xhtml");
    }
    struct weft_buf deep = { 0 };
    for (int i = 0; i < 600; i++) weft_buf_cstr(&deep, "<div>");
    weft_buf_cstr(&deep, "深");
    for (int i = 0; i < 600; i++) weft_buf_cstr(&deep, "</div>");
    check_ok(read_first_chapter(f, deep.s), &f->err);
    check_str(f->text.text, "深\n第二章\n");
    weft_buf_clear(&deep);
}

static void test_a_chapter_with_declarations_is_refused_alone(void **state)
{
    struct fixture *f = *state;
    check_ok(read_first_chapter(f, "<!DOCTYPE html [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><html><body>&x;</body></html>"), &f->err);
    check_str(f->text.text, "第二章\n");
    assert_int_equal(f->text.left_out, 1);
    assert_true(noted(f, "declarations of its own"));
    assert_false(noted(f, "is read as HTML"));
    /* One without is what every older book has. */
    check_ok(read_first_chapter(f, "<!DOCTYPE html PUBLIC \"-//W3C//DTD XHTML 1.1//EN\" \"http://www.w3.org/TR/xhtml11/DTD/xhtml11.dtd\">"
                                   "<html><body><p>a&nbsp;b&mdash;</p></body></html>"),
             &f->err);
    check_str(f->text.text, "a\xC2\xA0" "b—\n第二章\n");
    assert_int_equal(f->text.n_notes, 0);
}

static void test_a_damaged_chapter_is_left_out_by_name(void **state)
{
    struct fixture *f = *state;
    begin(f, PACKAGE(ITEM("a", "a.xhtml") ITEM("b", "b.xhtml"), REF("a") REF("b")));
    struct zip_part *p = zip_add_as(&f->make, WEFT_STR("OEBPS/a.xhtml"), WEFT_STR(PAGE("<p>一</p>")), 0, false);
    zip_add(&f->make, "OEBPS/b.xhtml", PAGE("<p>二</p>"));
    zip_end(&f->make);
    f->make.b.s[p->data_at + 40] ^= 1;
    weft_err_clear(&f->err);
    check_ok(weft_text_from_memory(&f->arena, "t.epub", weft_buf_view(&f->make.b), NULL, &f->text, &f->err), &f->err);
    check_str(f->text.text, "二\n");
    assert_int_equal(f->text.left_out, 1);
    assert_true(noted(f, "its checksum is"));
}

/* ---- the whole ---- */

static void test_layout_of_chapters(void **state)
{
    struct fixture *f = *state;
    check_ok(read_first_chapter(f, PAGE("<div><p>\n  中文\n  换行 and\n  English </p><table><tr><td>a</td><td>b</td></tr></table>"
                                        "<p><ruby>甄<rt>zhen</rt></ruby>嬛</p><style>p{}</style><pre>x\n  y</pre><p>　　缩进</p></div>")),
             &f->err);
    check_str(f->text.text, "中文换行 and English\na\tb\n甄嬛\nx\n  y\n　　缩进\n第二章\n");
}

static void test_every_prefix_is_refused(void **state)
{
    struct fixture *f = *state;
    check_ok(read_first_chapter(f, PAGE("<p>一</p>")), &f->err);
    struct weft_str whole = weft_buf_view(&f->make.b);
    for (size_t n = 4; n < whole.len; n++) {
        struct weft_arena a = { 0 };
        struct weft_text t;
        weft_err_clear(&f->err);
        check_fails(weft_text_from_memory(&a, "t.epub", weft_str_sub(whole, 0, n), NULL, &t, &f->err), &f->err, WEFT_EINPUT,
                    NULL, "t.epub: byte ");
        weft_arena_clear(&a);
    }
}

static void test_memory_that_gives_out_is_told(void **state)
{
    struct fixture *f = *state;
    check_ok(read_first_chapter(f, PAGE("<h1>一</h1><p>二</p>")), &f->err);
    memory_gives_out(f, 100000);
}

static void test_messages_and_notes_are_written_in_chinese_too(void **state)
{
    struct fixture *f = *state;
    f->err.lang = WEFT_LANG_ZH;
    check_ok(read_first_chapter(f, "<html><p>一<br>二</html>"), &f->err);
    assert_true(noted(f, "该章节按 HTML 读取"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_book_is_read_with_its_sections_and_bytes),
        TEST(test_ep1_the_package_is_found_through_the_container),
        TEST(test_ep2_hrefs_are_decoded_and_stay_inside),
        TEST(test_ep3_the_spine_gives_the_order),
        TEST(test_ep3_what_is_missing_costs_only_itself),
        TEST(test_ep3_nothing_readable_is_an_error),
        TEST(test_the_table_of_contents_is_left_out_and_told),
        TEST(test_ep4_an_encrypted_chapter_is_drm_a_font_is_not),
        TEST(test_ep5_a_missing_or_late_mimetype_is_only_told),
        TEST(test_ep6_a_chapter_that_is_not_well_formed_is_read_as_html),
        TEST(test_a_chapter_with_declarations_is_refused_alone),
        TEST(test_a_damaged_chapter_is_left_out_by_name),
        TEST(test_layout_of_chapters),
        TEST(test_every_prefix_is_refused),
        TEST(test_memory_that_gives_out_is_told),
        TEST(test_messages_and_notes_are_written_in_chinese_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
