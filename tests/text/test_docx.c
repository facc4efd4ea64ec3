/* Rules DX1-DX4: where the text of a Word document is found, what is text in it, what is left out and told. */
#include "text/container.h"

#define W "xmlns:w=\"http://schemas.openxmlformats.org/wordprocessingml/2006/main\""
#define REL "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
#define RELATIONS(items)                                                                                              \
    "<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\">" items "</Relationships>"
#define RELATION(type, target) "<Relationship Id=\"r\" Type=\"" REL "/" type "\" Target=\"" target "\"/>"

static const char types[] = "<Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\"/>";

static enum weft_status read_made(struct fixture *f) { return read_as(f, "t.docx"); }

static void begin(struct fixture *f)
{
    zip_clear(&f->make);
    zip_add(&f->make, "[Content_Types].xml", types);
    zip_add(&f->make, "_rels/.rels", RELATIONS(RELATION("officeDocument", "word/document.xml")));
}

/* A document of this body and nothing else. */
static enum weft_status read_body(struct fixture *f, const char *body)
{
    struct weft_buf b = { 0 };
    begin(f);
    weft_buf_printf(&b,
                    "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?><w:document " W
                    " xmlns:mc=\"http://schemas.openxmlformats.org/markup-compatibility/2006\""
                    " xmlns:m=\"http://schemas.openxmlformats.org/officeDocument/2006/math\">"
                    "<w:body>%s<w:sectPr/></w:body></w:document>",
                    body);
    zip_add(&f->make, "word/document.xml", b.s);
    weft_buf_clear(&b);
    return read_made(f);
}

#define P(runs) "<w:p>" runs "</w:p>"
#define R(text) "<w:r><w:t xml:space=\"preserve\">" text "</w:t></w:r>"

static void body_is(struct fixture *f, const char *body, const char *want)
{
    check_ok(read_body(f, body), &f->err);
    check_str(f->text.text, want);
}

/* ---- DX1 ---- */

static void test_dx1_the_main_part_is_found_by_its_relation(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *target, *part;
    } good[] = {
        { "word/document.xml", "word/document.xml" }, { "/word/document.xml", "word/document.xml" },
        { "word/document2.xml", "word/document2.xml" }, { "./word/../word/a%20b.xml", "word/a b.xml" },
        { "main.xml", "main.xml" },
    };
    for (size_t i = 0; i < WEFT_COUNT(good); i++) {
        char rels[512];
        snprintf(rels, sizeof rels, RELATIONS("<Relationship Type=\"x\" Target=\"y.xml\"/>" RELATION("officeDocument", "%s")),
                 good[i].target);
        zip_clear(&f->make);
        zip_add(&f->make, "[Content_Types].xml", types);
        zip_add(&f->make, "_rels/.rels", rels);
        zip_add(&f->make, good[i].part, "<w:document " W "><w:body>" P(R("文")) "</w:body></w:document>");
        check_ok(read_made(f), &f->err);
        check_str(f->text.text, "文\n");
        check_str(f->text.sections[0].part, good[i].part);
    }
    static const struct {
        const char *rels, *message;
    } bad[] = {
        { RELATIONS(""), "no main part" },
        { RELATIONS(RELATION("officeDocument", "word/other.xml")), "word/other.xml is not in the file" },
        { RELATIONS(RELATION("officeDocument", "../document.xml")), "outside the file" },
        { RELATIONS(RELATION("officeDocument", "file:///etc/passwd")), "outside the file" },
        { RELATIONS("<Relationship Type=\"" REL "/officeDocument\" TargetMode=\"External\" Target=\"word/document.xml\"/>"),
          "outside the file" },
    };
    for (size_t i = 0; i < WEFT_COUNT(bad); i++) {
        zip_clear(&f->make);
        zip_add(&f->make, "[Content_Types].xml", types);
        zip_add(&f->make, "_rels/.rels", bad[i].rels);
        zip_add(&f->make, "word/document.xml", "<w:document " W "><w:body>" P(R("文")) "</w:body></w:document>");
        check_fails(read_made(f), &f->err, WEFT_EINPUT, "DX1", bad[i].message);
    }
    begin(f);
    zip_add(&f->make, "word/document.xml", "<html>x</html>");
    check_fails(read_made(f), &f->err, WEFT_EINPUT, "DX1", "the root element is html");
}

static void test_dx1_the_strict_form_and_other_prefixes_are_read(void **state)
{
    struct fixture *f = *state;
    zip_add(&f->make, "[Content_Types].xml", types);
    zip_add(&f->make, "_rels/.rels",
            RELATIONS("<Relationship Type=\"http://purl.oclc.org/ooxml/officeDocument/relationships/officeDocument\" "
                      "Target=\"word/document.xml\"/>"));
    zip_add(&f->make, "word/document.xml",
            "<document xmlns='http://purl.oclc.org/ooxml/wordprocessingml/main'><body><p><r><t>文</t></r></p></body></document>");
    check_ok(read_made(f), &f->err);
    check_str(f->text.text, "文\n");
}

/* ---- DX2 ---- */

static void test_dx2_paragraphs_tabs_and_breaks(void **state)
{
    struct fixture *f = *state;
    body_is(f, P(R("雨下了") R("一夜")) P("") P(R("a") "<w:r><w:tab/><w:t>b</w:t></w:r>"),
            "雨下了一夜\n\na\tb\n");
    body_is(f, P("<w:r><w:t>a</w:t><w:br/><w:t>b</w:t><w:cr/><w:br w:type='page'/><w:t>c</w:t></w:r>"), "a\nb\n\nc\n");
    body_is(f, P("<w:pPr><w:tabs><w:tab w:val='left' w:pos='720'/></w:tabs></w:pPr>" R("x")), "x\n");
    body_is(f, P("<w:r><w:t>a</w:t><w:noBreakHyphen/><w:t>b</w:t><w:softHyphen/><w:t>c</w:t></w:r>"), "a-bc\n");
    body_is(f, P("<w:r><w:t xml:space='preserve'> a </w:t><w:t>\nb\r\nc</w:t></w:r>"), " a  b c\n");
    body_is(f, P("<w:r><w:sym w:font='Wingdings' w:char='F0E0'/><w:t>x</w:t></w:r>"), "\xEF\x83\xA0x\n");
    assert_int_equal(f->text.private_use, 1);
    body_is(f, P("<w:hyperlink>" R("link") "</w:hyperlink><w:smartTag>" R(" tag") "</w:smartTag>")
                "<w:sdt><w:sdtContent>" P(R("control")) "</w:sdtContent></w:sdt>",
            "link tag\ncontrol\n");
}

static void test_dx2_lines_know_their_part_and_bytes(void **state)
{
    struct fixture *f = *state;
    check_ok(read_body(f, P(R("第一行") R("&amp;尾")) P("") P(R("二"))), &f->err);
    assert_int_equal(f->text.n_lines, 3);
    assert_int_equal(f->text.n_sections, 1);
    check_str(weft_text_section_of(&f->text, 2)->part, "word/document.xml");
    struct weft_text_span span = weft_text_span_of(&f->text, 0, 0);
    check_str(span.part, "word/document.xml");
    /* The bytes of the part itself: from the first character to the last. */
    struct weft_zip z;
    struct weft_str xml;
    check_ok(weft_zip_open(&z, &f->arena, "t", weft_buf_view(&f->make.b), NULL, &f->err), &f->err);
    check_ok(weft_zip_read(&z, &f->arena, weft_zip_find(&z, span.part), &xml, &f->err), &f->err);
    check_str(weft_str_sub(xml, span.begin, span.end),
              "第一行</w:t></w:r><w:r><w:t xml:space=\"preserve\">&amp;尾");
    span = weft_text_span_of(&f->text, 2, 2);
    check_str(weft_str_sub(xml, span.begin, span.end), "二");
    span = weft_text_span_of(&f->text, 1, 1);
    assert_int_equal(span.begin, span.end);
    assert_true(weft_str_starts(weft_str_skip(xml, span.begin), WEFT_STR("</w:p>")));
    assert_int_equal(f->text.charset, WEFT_CHARSET_UTF8);
    assert_string_equal(f->text.format, "docx");
}

#define TC(paragraphs) "<w:tc><w:tcPr/>" paragraphs "</w:tc>"
#define TR(cells) "<w:tr>" cells "</w:tr>"
#define TBL(rows) "<w:tbl><w:tblPr/><w:tblGrid/>" rows "</w:tbl>"

static void test_dx2_tables_are_rows_of_cells(void **state)
{
    struct fixture *f = *state;
    body_is(f, P(R("前")) TBL(TR(TC(P(R("甲"))) TC(P(R("乙")))) TR(TC(P("")) TC(P(R("丁"))) TC(P("")))) P(R("后")),
            "前\n甲\t乙\n\t丁\t\n后\n");
    body_is(f, TBL(TR(TC(P(R("a")) P(R("b"))) TC(P(R("c")) P(""))) TR(TC(P("") P(R("d"))) TC(P(R("e"))))),
            "a\nb\tc\nd\te\n");
    /* A table in a cell: its rows are lines of that cell. */
    body_is(f,
            TBL(TR(TC(P(R("x")) TBL(TR(TC(P(R("1"))) TC(P(R("2")))) TR(TC(P("")) TC(P(R("4"))))) P("")) TC(P(R("y"))))),
            "x\n1\t2\n\t4\ty\n");
    body_is(f, TBL(TR("<w:sdt><w:sdtContent>" TC(P(R("a"))) "</w:sdtContent></w:sdt>" TC(P(R("b"))))), "a\tb\n");
}

static void test_dx2_insertions_stay_deletions_go(void **state)
{
    struct fixture *f = *state;
    body_is(f,
            P(R("留") "<w:ins w:id='1'>" R("新") "</w:ins><w:del w:id='2'><w:r><w:delText>旧</w:delText></w:r></w:del>"
                "<w:moveFrom>" R("移走") "</w:moveFrom><w:moveTo>" R("移来") "</w:moveTo>"),
            "留新移来\n");
    assert_true(noted(f, "2 deletions marked in review are left out"));
    assert_false(weft_text_partial(&f->text));
    /* w:t inside w:del is gone too, however deep. */
    body_is(f, P(R("a") "<w:del><w:ins>" R("b") "<w:r><w:tab/><w:br/></w:r></w:ins></w:del>" R("c")), "ac\n");
    /* A paragraph whose end was deleted goes on with the next. */
    body_is(f, P("<w:pPr><w:rPr><w:del w:id='3'/></w:rPr></w:pPr>" R("一")) P(R("二")) P(R("三")), "一二\n三\n");
    body_is(f, P("<w:pPr><w:rPr><w:ins w:id='3'/></w:rPr></w:pPr>" R("一")) P(R("二")), "一\n二\n");
    body_is(f, P("<w:r><w:rPr><w:del w:id='3'/></w:rPr><w:t>一</w:t></w:r>") P(R("二")), "一\n二\n");
    body_is(f, P(R("x")) P("<w:pPr><w:rPr><w:del w:id='3'/></w:rPr></w:pPr>" R("last")), "x\nlast\n");
}

#define FLD(type) "<w:r><w:fldChar w:fldCharType='" type "'/></w:r>"

static void test_dx2_field_codes_go_results_stay(void **state)
{
    struct fixture *f = *state;
    body_is(f, P(R("第") FLD("begin") "<w:r><w:instrText> PAGE </w:instrText></w:r>" FLD("separate") R("3") FLD("end") R("页")),
            "第3页\n");
    body_is(f, P("<w:fldSimple w:instr='DATE'>" R("今天") "</w:fldSimple>"), "今天\n");
    /* One field in the code of another: only the outer result is text. */
    body_is(f,
            P(FLD("begin") R(" IF ") FLD("begin") R("inner code") FLD("separate") R("inner result") FLD("end") R(" = 1 ")
                  FLD("separate") R("outer") FLD("end")),
            "outer\n");
    body_is(f, P(FLD("begin") "<w:r><w:instrText>XE \"x\"</w:instrText></w:r>" FLD("end") R("text")), "text\n");
    /* A result over several paragraphs, as a table of contents has it. */
    body_is(f, P(FLD("begin") R("TOC") FLD("separate") R("一")) P(R("二") FLD("end")) P(R("三")), "一\n二\n三\n");
    assert_false(weft_text_partial(&f->text));
    /* A code without end hides text: that is told. */
    body_is(f, P(R("a") FLD("end") FLD("separate") R("b")) P(FLD("begin") R("lost")) P(R("lost")), "ab\n");
    assert_true(weft_text_partial(&f->text));
    assert_true(noted(f, "never ends"));
}

static void test_dx2_comments_formulas_and_readings_are_counted(void **state)
{
    struct fixture *f = *state;
    body_is(f, P(R("a") "<w:r><w:commentReference w:id='0'/></w:r><m:oMath><m:r><m:t>x</m:t><w:t>y</w:t></m:r></m:oMath>"
                 "<w:r><w:ruby><w:rubyPr/><w:rt>" R("zhēn") "</w:rt><w:rubyBase>" R("甄") "</w:rubyBase></w:ruby></w:r>"),
            "a甄\n");
    assert_true(noted(f, "1 comments"));
    assert_true(noted(f, "1 formulas"));
    assert_true(noted(f, "1 readings"));
    assert_false(weft_text_partial(&f->text));
}

static void test_dx2_one_branch_of_alternate_content(void **state)
{
    struct fixture *f = *state;
    static const char box[] =
        P(R("锚") "<w:r><mc:AlternateContent><mc:Choice Requires='wps'><w:txbxContent>" P(R("框一")) P(R("框二"))
              "</w:txbxContent></mc:Choice><mc:Choice Requires='x'>" P(R("second")) "</mc:Choice><mc:Fallback><w:pict><w:txbxContent>"
                  P(R("框一")) "</w:txbxContent></w:pict></mc:Fallback></mc:AlternateContent></w:r>" R("尾"));
    body_is(f, box, "锚\n框一\n框二\n尾\n");
    body_is(f, P("<w:r><mc:AlternateContent><mc:Fallback><w:t>only</w:t></mc:Fallback></mc:AlternateContent></w:r>"), "only\n");
    body_is(f, P(R("x") "<w:r><mc:AlternateContent><mc:Choice Requires='a'><w:txbxContent>" P(R("box"))
                   "</w:txbxContent></mc:Choice></mc:AlternateContent></w:r>")
                P(R("next")),
            "x\nbox\nnext\n");
    /* Each of several has a branch of its own, nested ones too. */
    body_is(f, P("<w:r><mc:AlternateContent><mc:Choice><mc:AlternateContent><mc:Choice><w:t>1</w:t></mc:Choice><mc:Fallback><w:t>2</w:t>"
                 "</mc:Fallback></mc:AlternateContent></mc:Choice><mc:Fallback><w:t>3</w:t></mc:Fallback></mc:AlternateContent>"
                 "<mc:AlternateContent><mc:Choice><w:t>4</w:t></mc:Choice></mc:AlternateContent></w:r>"),
            "14\n");
}

static void test_documents_brought_in_are_left_out_by_name(void **state)
{
    struct fixture *f = *state;
    body_is(f, P(R("a")) "<w:altChunk/>" P(R("b")), "a\nb\n");
    assert_int_equal(f->text.left_out, 1);
    assert_true(noted(f, "1 other documents"));
    assert_true(weft_text_partial(&f->text));
}

static void test_footnotes_stand_behind_the_text(void **state)
{
    struct fixture *f = *state;
    begin(f);
    zip_add(&f->make, "word/document.xml",
            "<w:document " W "><w:body>" P(R("正文") "<w:r><w:footnoteReference w:id='2'/></w:r>" R("。")) "</w:body></w:document>");
    zip_add(&f->make, "word/_rels/document.xml.rels",
            RELATIONS(RELATION("endnotes", "endnotes.xml") RELATION("footnotes", "/word/notes/foot.xml")));
    zip_add(&f->make, "word/notes/foot.xml",
            "<w:footnotes " W "><w:footnote w:type='separator' w:id='0'>" P(R("----")) "</w:footnote>"
            "<w:footnote w:id='2'>" P("<w:r><w:footnoteRef/></w:r>" R("注一")) "</w:footnote></w:footnotes>");
    zip_add(&f->make, "word/endnotes.xml",
            "<w:endnotes " W "><w:endnote w:type='normal' w:id='1'>" P(R("尾注")) "</w:endnote></w:endnotes>");
    check_ok(read_made(f), &f->err);
    check_str(f->text.text, "正文。\n注一\n尾注\n");
    assert_int_equal(f->text.n_sections, 3);
    check_str(weft_text_section_of(&f->text, 0)->part, "word/document.xml");
    check_str(weft_text_section_of(&f->text, 1)->part, "word/notes/foot.xml");
    check_str(weft_text_section_of(&f->text, 2)->part, "word/endnotes.xml");
    assert_true(noted(f, "2 footnotes and endnotes"));
    assert_false(weft_text_partial(&f->text));

    begin(f);
    zip_add(&f->make, "word/document.xml", "<w:document " W "><w:body>" P(R("正文")) "</w:body></w:document>");
    zip_add(&f->make, "word/_rels/document.xml.rels", RELATIONS(RELATION("footnotes", "gone.xml")));
    check_ok(read_made(f), &f->err);
    assert_true(weft_text_partial(&f->text));
    assert_true(noted(f, "word/gone.xml are not in the file"));
}

/* ---- DX3, DX4, and the layers below ---- */

static void test_dx3_old_documents_are_named(void **state)
{
    struct fixture *f = *state;
    static const char ole[64] = "\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1";
    weft_err_clear(&f->err);
    struct weft_str bytes = { ole, sizeof ole };
    check_fails(weft_text_from_memory(&f->arena, "t.docx", bytes, NULL, &f->text, &f->err), &f->err, WEFT_EINPUT,
                "DX3", "old Office document (.doc, .xls) or one with a password");
}

static void test_dx4_a_document_without_text_is_refused(void **state)
{
    struct fixture *f = *state;
    check_fails(read_body(f, ""), &f->err, WEFT_EINPUT, "DX4", "word/document.xml: no text");
    check_fails(read_body(f, P("<w:r><w:drawing/></w:r>") P(R("　 "))), &f->err, WEFT_EINPUT, "DX4", "no text");
}

static void test_faults_of_zip_and_xml_name_file_and_part(void **state)
{
    struct fixture *f = *state;
    check_fails(read_body(f, "<w:p>\n</w:q>"), &f->err, WEFT_EINPUT, "XM2", "t.docx: word/document.xml:2:");
    check_fails(read_body(f, P(R("&nbsp;"))), &f->err, WEFT_EINPUT, "XM4", "t.docx: word/document.xml:1:");
    begin(f);
    zip_add(&f->make, "word/document.xml", "<!DOCTYPE x><w:document " W "><w:body>" P(R("a")) "</w:body></w:document>");
    check_fails(read_made(f), &f->err, WEFT_EINPUT, "XM3", "t.docx: word/document.xml:1:");
    begin(f);
    struct zip_part *p = zip_add(&f->make, "word/document.xml", "<w:document " W "/>");
    p->flags = 1;
    check_fails(read_made(f), &f->err, WEFT_EINPUT, "ZP3", "word/document.xml is encrypted");
}

static void test_a_limit_of_the_settings_is_met(void **state)
{
    struct fixture *f = *state;
    struct weft_text_settings s = { .zip = { .max_entry_bytes = 64 } };
    check_ok(read_body(f, P(R("a"))), &f->err);
    weft_err_clear(&f->err);
    check_fails(weft_text_from_memory(&f->arena, "t.docx", weft_buf_view(&f->make.b), &s, &f->text, &f->err), &f->err,
                WEFT_ELIMIT, "ZP5", "max_zip_part_bytes");
}

/* A1: every prefix of a whole document is an error with a place, never a shorter document. */
static void test_every_prefix_is_refused(void **state)
{
    struct fixture *f = *state;
    check_ok(read_body(f, P(R("雨下了一夜"))), &f->err);
    struct weft_str whole = weft_buf_view(&f->make.b);
    for (size_t n = 4; n < whole.len; n++) {        /* less than a signature is a text: "PK" */
        struct weft_arena a = { 0 };
        struct weft_text t;
        weft_err_clear(&f->err);
        check_fails(weft_text_from_memory(&a, "t.docx", weft_str_sub(whole, 0, n), NULL, &t, &f->err), &f->err, WEFT_EINPUT,
                    NULL, "t.docx: byte ");
        weft_arena_clear(&a);
    }
}

/* O1 */
static void test_memory_that_gives_out_is_told(void **state)
{
    struct fixture *f = *state;
    check_ok(read_body(f, P(R("雨下了一夜")) TBL(TR(TC(P(R("a")))))), &f->err);
    memory_gives_out(f, 200000);
}

static void test_other_containers_say_what_to_do(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *first, *content, *second, *message;
    } cases[] = {
        { "[Content_Types].xml", "<x/>", "xl/workbook.xml", "an Excel workbook (.xlsx): save its sheets as CSV first" },
        { "[Content_Types].xml", "<x/>", "ppt/presentation.xml", "a PowerPoint presentation (.pptx)" },
        { "mimetype", "application/vnd.oasis.opendocument.text", "content.xml", "(.odt): save it as .docx first" },
        { "mimetype", "application/vnd.oasis.opendocument.spreadsheet", "content.xml", "(.ods): save its sheets as CSV" },
        { "a.txt", "x", "b.txt", "a zip archive: unpack it first" },
    };
    for (size_t i = 0; i < WEFT_COUNT(cases); i++) {
        zip_clear(&f->make);
        zip_add_as(&f->make, weft_str_c(cases[i].first), weft_str_c(cases[i].content), 0, false);
        zip_add(&f->make, cases[i].second, "<x/>");
        check_fails(read_made(f), &f->err, WEFT_EINPUT, "TX4", cases[i].message);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_dx1_the_main_part_is_found_by_its_relation),
        TEST(test_dx1_the_strict_form_and_other_prefixes_are_read),
        TEST(test_dx2_paragraphs_tabs_and_breaks),
        TEST(test_dx2_lines_know_their_part_and_bytes),
        TEST(test_dx2_tables_are_rows_of_cells),
        TEST(test_dx2_insertions_stay_deletions_go),
        TEST(test_dx2_field_codes_go_results_stay),
        TEST(test_dx2_comments_formulas_and_readings_are_counted),
        TEST(test_dx2_one_branch_of_alternate_content),
        TEST(test_documents_brought_in_are_left_out_by_name),
        TEST(test_footnotes_stand_behind_the_text),
        TEST(test_dx3_old_documents_are_named),
        TEST(test_dx4_a_document_without_text_is_refused),
        TEST(test_faults_of_zip_and_xml_name_file_and_part),
        TEST(test_a_limit_of_the_settings_is_met),
        TEST(test_every_prefix_is_refused),
        TEST(test_memory_that_gives_out_is_told),
        TEST(test_other_containers_say_what_to_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
