/* Lines of pages become paragraphs: PDFs of other programs give their source text again, and tables of words made here
 * try one decision each. */
#include "check.h"

#include "text/read_pdf.h"
#include "text/text.h"

#include <unistd.h>

struct fixture {
    struct weft_arena arena;
    struct weft_err err;
    struct weft_text text;
    struct weft_pdf_result result;
    int page;
    float y;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    if (f) f->result.words = true;
    *state = f;
    return f ? 0 : -1;
}
static int teardown(void **state)
{
    struct fixture *f = *state;
    weft_arena_clear(&f->arena);
    weft_pdf_result_clear(&f->result);
    free(f);
    return 0;
}

/* ---- tables of words: type of 10 points, Latin letters 5 wide, Chinese ones 10, lines 15 apart ---- */

static void row(struct fixture *f, int level, float x, float y, float width, float height, struct weft_str text)
{
    weft_buf_printf(&f->result.text, "%d\t%d\t0\t0\t0\t0\t%.2f\t%.2f\t%.2f\t%.2f\t100\t%.*s\n", level, f->page, (double)x,
                    (double)y, (double)width, (double)height, (int)text.len, text.s);
}

static void page(struct fixture *f)
{
    f->page++;
    f->y = 50;
    row(f, 1, 0, 0, 400, 600, WEFT_STR("###PAGE###"));
    row(f, 3, 0, 0, 400, 600, WEFT_STR("###FLOW###"));
}

static float width_of(struct weft_str s)
{
    float width = 0;
    for (size_t i = 0; i < s.len;) {
        uint32_t cp;
        i += weft_utf8_decode(s.s + i, s.len - i, &cp, NULL);
        width += cp < 0x1100 || (cp > 0x2000 && cp < 0x2027) ? 5 : 10;
    }
    return width;
}

/* A line at x: its words are parted by spaces of 3 points. */
static void line_at(struct fixture *f, float x, const char *text)
{
    struct weft_str s = weft_str_c(text);
    row(f, 4, x, f->y, width_of(s), 12, WEFT_STR("###LINE###"));
    while (s.len) {
        size_t end = weft_str_find(s, WEFT_STR(" "), 0);
        struct weft_str word = weft_str_sub(s, 0, end);
        row(f, 5, x, f->y, width_of(word), 12, word);
        x += width_of(word) + 3;
        s = weft_str_skip(s, word.len + 1);
    }
    f->y += 15;
}
static void line(struct fixture *f, const char *text) { line_at(f, 50, text); }

static void read_table(struct fixture *f)
{
    f->text = (struct weft_text){ .name = WEFT_STR("a.pdf") };
    assert_false(f->result.text.failed);
    check_ok(weft_pdf_text(&f->arena, &f->result, &f->text, &f->err), &f->err);
}

#define FULL_LINE "the quick brown fox that nobody ever saw jumped over a dog"

static void test_a_line_goes_on_where_the_next_word_did_not_fit(void **state)
{
    struct fixture *f = *state;
    page(f);
    line(f, FULL_LINE);
    line(f, "and went its way.");
    line(f, "It came back and went.");
    line(f, "It went.");
    line(f, "It was a fox that nobody ever saw, said all who met it,");
    line(f, "extraordinarily.");          /* the longer word did not fit where "a" would have */
    read_table(f);
    check_str(f->text.text, FULL_LINE " and went its way.\nIt came back and went.\nIt went.\n"
                            "It was a fox that nobody ever saw, said all who met it, extraordinarily.\n");
}

static void test_chinese_is_joined_without_a_space(void **state)
{
    struct fixture *f = *state;
    page(f);
    line_at(f, 70, "渡口的灯亮了一夜，到天明也没有熄灭，");
    line(f, "“风吹过来，它就转；没有风的日子，它就停”");
    line(f, "着。");
    line_at(f, 70, "阿沅没有再问，只把窗子关上，又打开。");
    line(f, "夜里下过雨，路上的石板都还没有干透，走在");
    line(f, "上面要小心。");
    read_table(f);
    check_str(f->text.text, "渡口的灯亮了一夜，到天明也没有熄灭，“风吹过来，它就转；没有风的日子，它就停”着。\n"
                            "阿沅没有再问，只把窗子关上，又打开。夜里下过雨，路上的石板都还没有干透，走在上面要小心。\n");
}

static void test_a_gap_and_a_size_end_a_paragraph(void **state)
{
    struct fixture *f = *state;
    page(f);
    for (int i = 0; i < 3; i++) {
        for (int k = 0; k < 3; k++) line(f, FULL_LINE);
        f->y += 5;
    }
    row(f, 4, 50, f->y, 50, 20, WEFT_STR("###LINE###"));
    row(f, 5, 50, f->y, 50, 20, WEFT_STR("Large"));
    f->y += 25;
    line(f, FULL_LINE);
    read_table(f);
    assert_int_equal(f->text.n_lines, 5);
    check_str(weft_text_line(&f->text, 0), FULL_LINE " " FULL_LINE " " FULL_LINE);
    check_str(weft_text_line(&f->text, 3), "Large");
}

static void test_indentation_means_what_it_means_elsewhere_in_the_document(void **state)
{
    struct fixture *f = *state;
    page(f);
    /* A list: its items go on at an indentation, so a line there begins nothing. */
    for (int i = 0; i < 3; i++) {
        line(f, FULL_LINE);
        line_at(f, 70, "the quick brown fox that nobody ever saw jumped over");
        line_at(f, 70, "the quick brown fox that nobody ever saw jumped over");
    }
    read_table(f);
    assert_int_equal(f->text.n_lines, 3);
    weft_buf_reset(&f->result.text);
    f->page = 0;
    page(f);
    /* First lines: full lines stand before one of them too. */
    for (int i = 0; i < 4; i++) {
        line_at(f, 70, "the quick brown fox that nobody ever saw jumped over");
        line(f, FULL_LINE);
        line(f, i == 1 ? FULL_LINE : "and went.");
    }
    read_table(f);
    assert_int_equal(f->text.n_lines, 4);
}

static void test_hyphens_of_the_break_go_and_those_of_words_stay(void **state)
{
    struct fixture *f = *state;
    page(f);
    line(f, "nobody knew the lighthouse and its well-known keeper, he");
    line(f, "was seldom seen outside, and then nobody saw the light-");
    line(f, "house was dark; he was a well-known man, yes, quite well-");
    line(f, "known here as there: a pilot of the Anglo-Swedish and Anglo-");
    line(f, "American line, who had been a sailor on the ocean and con\u2010");
    line(f, "tinued to be one, long after the days of sailing were done\u00AD");
    line(f, "done.");
    read_table(f);
    check_str(f->text.text, "nobody knew the lighthouse and its well-known keeper, he was seldom seen outside, and then "
                            "nobody saw the lighthouse was dark; he was a well-known man, yes, quite well-known here as there: "
                            "a pilot of the Anglo-Swedish and Anglo-American line, who had been a sailor on the ocean and "
                            "continued to be one, long after the days of sailing were donedone.\n");
}

static void test_a_document_that_hyphenates_loses_its_hyphens(void **state)
{
    struct fixture *f = *state;
    page(f);
    for (int i = 0; i < 6; i++) {
        line(f, "the keeper of the lamp had been a sailor and he contin-");
        line(f, "ued to be one for as long as the days of sailing did last");
    }
    read_table(f);
    check_contains(f->text.text.s, "he continued to be one");
    assert_null(strchr(f->text.text.s, '-'));
}

static void test_running_titles_and_page_numbers_are_left_out_and_counted(void **state)
{
    struct fixture *f = *state;
    static const char *const words[] = { "quick", "brown", "large", "quiet", "older", "black", "white", "small", "tired",
                                         "proud" };
    for (int i = 0; i < 4; i++) {
        char number[16], text[80];
        page(f);
        f->y = 20;
        line_at(f, 150, "The Ferry");
        f->y = 50;
        for (int k = 0; k < 10; k++) {
            snprintf(text, sizeof text, "the %s %s fox that nobody ever saw jumped over a dog", words[(k + i) % 10],
                     words[(3 * k + i) % 10]);
            line(f, text);
        }
        snprintf(number, sizeof number, "%d", i + 7);
        f->y = 560;
        line_at(f, 195, number);
    }
    read_table(f);
    assert_int_equal(f->text.n_notes, 1);
    check_contains(f->text.notes[0].s, "8 lines that come again");
    check_contains(f->text.notes[0].s, "on page 1: The Ferry");
    assert_null(strstr(f->text.text.s, "Ferry"));
    assert_null(strpbrk(f->text.text.s, "0123456789"));
    assert_false(weft_text_partial(&f->text));
    assert_int_equal(f->text.n_lines, 1);       /* and the paragraph goes on over the pages */
}

static void test_one_line_on_each_page_is_no_furniture(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 4; i++) {
        char label[32];
        page(f);
        snprintf(label, sizeof label, "Exhibit %d", i + 1);
        line(f, label);
    }
    read_table(f);
    assert_int_equal(f->text.n_lines, 4);
    assert_int_equal(f->text.n_notes, 0);
}

static void test_a_paragraph_over_a_page_end_knows_both_pages(void **state)
{
    struct fixture *f = *state;
    page(f);
    line(f, "A short one.");
    line(f, FULL_LINE);
    size_t begin = weft_str_find(weft_buf_view(&f->result.text), WEFT_STR("the\n"), 0);
    while (f->result.text.s[begin - 1] != '\n') begin--;
    page(f);
    line(f, "ends here.");
    line(f, "Another.");
    size_t end = weft_str_find(weft_buf_view(&f->result.text), WEFT_STR("here.\n"), 0) + 5;
    read_table(f);
    check_str(f->text.text, "A short one.\n" FULL_LINE " ends here.\nAnother.\n");
    struct weft_text_span span = weft_text_span_of(&f->text, 1, 1);
    assert_int_equal(span.page, 1);
    assert_int_equal(span.last_page, 2);
    assert_int_equal(span.begin, begin);
    assert_int_equal(span.end, end);
    check_str(span.part, "pdftotext -tsv");
    assert_int_equal(weft_text_page_of(&f->text, 0), 1);
    assert_int_equal(weft_text_span_of(&f->text, 0, 0).last_page, 1);
    assert_int_equal(weft_text_page_of(&f->text, 2), 2);
    assert_int_equal(weft_text_span_of(&f->text, 0, 2).last_page, 2);
}

static void test_columns_are_read_one_after_the_other(void **state)
{
    struct fixture *f = *state;
    page(f);
    line_at(f, 90, "A title above both of the columns of the page");
    /* As a drawing program may give them: row by row. */
    for (int i = 0; i < 6; i++) {
        float y = f->y;
        line_at(f, 50, i == 5 ? "left ends." : "a left line of the page");
        f->y = y;
        line_at(f, 210, i == 5 ? "right ends." : "a right line of the page");
    }
    read_table(f);
    assert_int_equal(f->text.n_lines, 3);
    check_contains(f->text.text.s, "of the page left ends.\na right line");
    assert_true(weft_str_starts(f->text.text, WEFT_STR("A title above both of the columns of the page\na left line")));
}

static void test_cells_of_a_table_are_no_columns(void **state)
{
    struct fixture *f = *state;
    page(f);
    static const char *const names[] = { "oar", "rope and anchor of iron", "lamp", "sail", "net" };
    for (int i = 0; i < 5; i++) {
        float y = f->y;
        line_at(f, 50, names[i]);
        f->y = y;
        line_at(f, 250, i == 2 ? "one hundred and twelve" : "3");
    }
    read_table(f);
    assert_int_equal(f->text.n_lines, 10);
    check_str(weft_text_line(&f->text, 1), "3");
    check_str(weft_text_line(&f->text, 2), "rope and anchor of iron");
}

static void test_pieces_of_a_row_are_one_line(void **state)
{
    struct fixture *f = *state;
    page(f);
    float y = f->y;
    line_at(f, 50, "第一章");
    f->y = y;
    row(f, 3, 0, 0, 400, 600, WEFT_STR("###FLOW###"));
    line_at(f, 90, "渡口");
    read_table(f);
    check_str(f->text.text, "第一章\u3000渡口\n");
}

static void test_a_font_that_changes_within_a_word_makes_no_space(void **state)
{
    struct fixture *f = *state;
    page(f);
    row(f, 4, 50, 50, 100, 12, WEFT_STR("###LINE###"));
    row(f, 5, 50, 50, 5, 12, WEFT_STR("“"));
    row(f, 5, 55.1F, 50, 40, 12, WEFT_STR("可这盏灯"));
    row(f, 5, 96.5F, 50, 20, 12, WEFT_STR("亮着"));     /* stretched: no space in Chinese */
    row(f, 5, 120, 50, 10, 12, WEFT_STR("12"));
    row(f, 5, 136, 50, 20, 12, WEFT_STR("ﬁre"));
    read_table(f);
    check_str(f->text.text, "“可这盏灯亮着 12 fire\n");
}

static void test_text_that_runs_down_the_page(void **state)
{
    struct fixture *f = *state;
    page(f);
    static const char *const lines[] = { "渡口的灯亮了一夜到天明也没有", "熄灭。", "阿沅没有再问。" };
    for (int i = 0; i < 3; i++) {
        struct weft_str s = weft_str_c(lines[i]);
        row(f, 4, 350 - 20 * (float)i, 50, 12, width_of(s), WEFT_STR("###LINE###"));
        row(f, 5, 350 - 20 * (float)i, 50, 12, width_of(s), s);
    }
    read_table(f);
    check_str(f->text.text, "渡口的灯亮了一夜到天明也没有熄灭。\n阿沅没有再问。\n");
}

/* Characters by themselves in columns of `pitch` points from character to character, the first column's middle at x and
 * the next ones 18 points to the left, given row by row as pdftotext does. */
static void columns(struct fixture *f, const char *const *texts, int n, float x, float top, float pitch)
{
    size_t at[16] = { 0 };
    bool more = true;
    assert_in_range(n, 1, WEFT_COUNT(at));
    for (int k = 0; more; k++) {
        more = false;
        row(f, 4, 0, 0, 400, 12, WEFT_STR("###LINE###"));
        for (int i = n - 1; i >= 0; i--) {
            struct weft_str rest = weft_str_skip(weft_str_c(texts[i]), at[i]);
            if (!rest.len) continue;
            uint32_t cp;
            size_t len = weft_utf8_decode(rest.s, rest.len, &cp, NULL);
            bool digits = cp >= '0' && cp <= '9';
            while (digits && len < rest.len && rest.s[len] >= '0' && rest.s[len] <= '9') len++;
            at[i] += len;
            more = true;
            if (cp == '_') continue;            /* an empty place */
            float mid = x - 18 * (float)i, y = top + pitch * (float)k;
            if (digits) row(f, 5, mid - 6.5F, y + 0.7F, 13, 10, weft_str_sub(rest, 0, len));   /* on their side */
            else row(f, 5, mid - 5, y, 10, 13, weft_str_sub(rest, 0, len));
        }
    }
}

static const char *const upright[] = { "渡口的灯亮了一夜到天明也没有", "熄灭。", "阿沅没有再问只把窗子关上又打", "开_了走12里就到。" };

static void test_columns_of_upright_characters(void **state)
{
    struct fixture *f = *state;
    page(f);
    line_at(f, 60, "渡口的灯");                      /* a running title, and a page number close below */
    columns(f, upright, 4, 350, 100, 10);
    f->y = 245;
    line_at(f, 348, "7");
    read_table(f);
    check_str(f->text.text, "渡口的灯\n渡口的灯亮了一夜到天明也没有熄灭。\n阿沅没有再问只把窗子关上又打开　了走12里就到。\n7\n");
}

static void test_a_page_of_few_upright_characters_behind_a_vertical_one(void **state)
{
    static const char *const end[] = { "再没有熄", "灭。" };
    struct fixture *f = *state;
    page(f);
    columns(f, upright, 1, 350, 100, 10);
    page(f);
    columns(f, end, 2, 350, 100, 10);
    read_table(f);
    check_str(f->text.text, "渡口的灯亮了一夜到天明也没有再没有熄灭。\n");
    weft_buf_reset(&f->result.text);                /* alone they prove nothing */
    f->page = 0;
    page(f);
    columns(f, end, 2, 350, 100, 10);
    read_table(f);
    assert_true(weft_str_starts(f->text.text, WEFT_STR("灭")));
}

static void test_tiers_of_columns_below_each_other(void **state)
{
    static const char *const above[] = { "渡口的灯亮了一夜到", "天明也没有熄灭风吹", "过来它就轻轻地转像", "有人在水底。" };
    static const char *const below[] = { "船夫把竹篙横在膝上", "说那时候我还没有到", "这条河上来替人在北", "边的山里烧炭卖炭。" };
    struct fixture *f = *state;
    page(f);
    columns(f, above, 4, 350, 60, 10);
    columns(f, below, 4, 350, 180, 10);
    read_table(f);
    check_str(f->text.text, "渡口的灯亮了一夜到天明也没有熄灭风吹过来它就轻轻地转像有人在水底。\n"
                            "船夫把竹篙横在膝上说那时候我还没有到这条河上来替人在北边的山里烧炭卖炭。\n");
}

static void test_single_characters_in_rows_are_not_vertical(void **state)
{
    static const char *const rows[] = { "渡口灯亮", "船夫竹篙", "田里稻子", "旧窑竹林", "罐里没信" };
    /* From line to line and from character to character: a table with close lines, spaced letters, squared paper. */
    static const float pitches[][2] = { { 12, 30 }, { 15, 13 }, { 11.5F, 11.5F }, { 11, 11 } };
    struct fixture *f = *state;
    for (size_t k = 0; k < WEFT_COUNT(pitches); k++) {
        weft_buf_reset(&f->result.text);
        f->page = 0;
        page(f);
        for (size_t i = 0; i < WEFT_COUNT(rows); i++) {
            struct weft_str s = weft_str_c(rows[i]);
            row(f, 4, 50, f->y, 100, 12, WEFT_STR("###LINE###"));
            for (size_t c = 0; c < s.len / 3; c++)
                row(f, 5, 50 + pitches[k][1] * (float)c, f->y, 10, 12, weft_str_sub(s, 3 * c, 3 * c + 3));
            f->y += pitches[k][0];
        }
        read_table(f);
        const char *first = strstr(f->text.text.s, "渡"), *second = strstr(f->text.text.s, "口");
        assert_true(first == f->text.text.s && second && second < strstr(f->text.text.s, "船"));
    }
}

static void test_foreign_bytes_in_the_table(void **state)
{
    struct fixture *f = *state;
    page(f);
    line(f, "good.");
    line(f, "b\xFF" "d and\tmore.");
    weft_buf_cstr(&f->result.text, "no row at all\n9\t1\n5\t1\t0\t0\t0\t0\tnan\t1\t1\t1\t100\tstray\n");
    weft_buf_add(&f->result.text, "a\0b\n", 4);
    read_table(f);
    check_str(weft_text_line(&f->text, 1),
              "b\uFFFDd and more. no row at all 9 1 5 1 0 0 0 0 nan 1 1 1 100 stray ab");
    assert_int_equal(f->text.repaired, 1);
    assert_int_equal(f->text.nul_dropped, 1);
    assert_int_equal(f->text.places[0].line, 2);
    assert_int_equal(f->result.text.s[f->text.places[0].byte] & 0xFF, 0xFF);
    assert_true(weft_text_partial(&f->text));
}

static void test_pages_that_ended_are_kept(void **state)
{
    struct fixture *f = *state;
    f->result.end = WEFT_PDF_CRASHED;
    f->result.code = 11;
    weft_buf_cstr(&f->result.text, "level\tpage_num\tpar_num\n");
    page(f);
    line(f, "The first page.");
    size_t whole = f->result.text.len;
    page(f);
    line(f, "Half of the second.");
    read_table(f);
    check_str(f->text.text, "The first page.\n");
    check_contains(f->text.notes[0].s, "from page 2 on is missing: pdftotext was ended by signal 11");
    f->result.text.len = whole;                     /* killed before the second began: how much of the first is told? */
    f->text = (struct weft_text){ .name = WEFT_STR("a.pdf") };
    check_fails(weft_pdf_text(&f->arena, &f->result, &f->text, &f->err), &f->err, WEFT_EINPUT, "PD1", "a.pdf: page 1");
}

/* ---- other programs ---- */

static void same_text(struct fixture *f, const char *pdf, const char *source)
{
    char path[512];
    struct weft_text want;
    if (!weft_pdf_program()) skip();
    snprintf(path, sizeof path, WEFT_SOURCE_DIR "/tests/text/data/pdf/%s", source);
    check_ok(weft_text_read(&f->arena, path, NULL, &want, &f->err), &f->err);
    snprintf(path, sizeof path, WEFT_SOURCE_DIR "/tests/text/data/pdf/%s", pdf);
    check_ok(weft_text_read(&f->arena, path, NULL, &f->text, &f->err), &f->err);
    for (size_t i = 0; i < want.n_lines && i < f->text.n_lines; i++) {
        struct weft_str w = weft_text_line(&want, i), got = weft_text_line(&f->text, i);
        if (!weft_str_eq(w, got))
            fail_msg("%s, paragraph %zu:\n%.*s\nexpected\n%.*s", pdf, i + 1, (int)got.len, got.s, (int)w.len, w.s);
    }
    assert_int_equal(f->text.n_lines, want.n_lines);
    assert_false(weft_text_partial(&f->text));
}

static void test_libreoffice(void **state)
{
    same_text(*state, "libreoffice.zh.pdf", "zh.txt");
    same_text(*state, "libreoffice.en.pdf", "en.txt");
}
static void test_libreoffice_vertical(void **state)
{
    same_text(*state, "libreoffice.zh.vertical.pdf", "vertical.txt");
    same_text(*state, "libreoffice.zh.vertical.indented.pdf", "vertical.txt");
}
/* pdftotext takes the columns of the table for columns of the page; nothing is turned round. */
static void test_libreoffice_grid(void **state)
{
    struct fixture *f = *state;
    if (!weft_pdf_program()) skip();
    check_ok(weft_text_read(&f->arena, WEFT_SOURCE_DIR "/tests/text/data/pdf/libreoffice.zh.grid.pdf", NULL, &f->text,
                            &f->err), &f->err);
    assert_true(weft_str_starts(f->text.text, WEFT_STR("渡船对田旧罐一竹")));
    check_contains(f->text.text.s, "熄说木稻塌只了是");
}
static void test_typst(void **state)
{
    same_text(*state, "typst.zh.columns.pdf", "zh.txt");
    same_text(*state, "typst.en.pdf", "en.txt");
}
static void test_weasyprint(void **state) { same_text(*state, "weasyprint.en.pdf", "en.txt"); }
static void test_reportlab(void **state) { same_text(*state, "reportlab.en.columns.pdf", "en.txt"); }

static void test_the_lines_of_the_pages_on_demand(void **state)
{
    struct fixture *f = *state;
    struct weft_text_settings s = { .page_lines = true };
    if (!weft_pdf_program()) skip();
    check_ok(weft_text_read(&f->arena, WEFT_SOURCE_DIR "/tests/text/data/pdf/weasyprint.en.pdf", &s, &f->text, &f->err),
             &f->err);
    assert_true(f->text.n_lines > 40);
    check_contains(f->text.text.s, "The Ferry\n");
    check_str(weft_text_section_of(&f->text, 0)->part, "pdftotext");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_line_goes_on_where_the_next_word_did_not_fit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_chinese_is_joined_without_a_space, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_gap_and_a_size_end_a_paragraph, setup, teardown),
        cmocka_unit_test_setup_teardown(test_indentation_means_what_it_means_elsewhere_in_the_document, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_hyphens_of_the_break_go_and_those_of_words_stay, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_document_that_hyphenates_loses_its_hyphens, setup, teardown),
        cmocka_unit_test_setup_teardown(test_running_titles_and_page_numbers_are_left_out_and_counted, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_one_line_on_each_page_is_no_furniture, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_paragraph_over_a_page_end_knows_both_pages, setup, teardown),
        cmocka_unit_test_setup_teardown(test_columns_are_read_one_after_the_other, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cells_of_a_table_are_no_columns, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pieces_of_a_row_are_one_line, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_font_that_changes_within_a_word_makes_no_space, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_text_that_runs_down_the_page, setup, teardown),
        cmocka_unit_test_setup_teardown(test_columns_of_upright_characters, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_page_of_few_upright_characters_behind_a_vertical_one, setup, teardown),
        cmocka_unit_test_setup_teardown(test_tiers_of_columns_below_each_other, setup, teardown),
        cmocka_unit_test_setup_teardown(test_single_characters_in_rows_are_not_vertical, setup, teardown),
        cmocka_unit_test_setup_teardown(test_foreign_bytes_in_the_table, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pages_that_ended_are_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(test_libreoffice, setup, teardown),
        cmocka_unit_test_setup_teardown(test_libreoffice_vertical, setup, teardown),
        cmocka_unit_test_setup_teardown(test_libreoffice_grid, setup, teardown),
        cmocka_unit_test_setup_teardown(test_typst, setup, teardown),
        cmocka_unit_test_setup_teardown(test_weasyprint, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reportlab, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_lines_of_the_pages_on_demand, setup, teardown),
    };
    return cmocka_run_group_tests_name("text/pdf paragraphs", tests, NULL, NULL);
}
