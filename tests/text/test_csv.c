/* Rules CS1-CS4: cells as spreadsheets write them, rows that know their lines, and back again. */
#include "check.h"

#include "text/csv.h"
#include "text/text.h"

static struct weft_csv csv;
static struct weft_csv_row row;
static struct weft_err err;

static void begin(const char *text, char separator)
{
    weft_csv_clear(&csv);
    weft_err_clear(&err);
    weft_csv_init(&csv, "t.csv", weft_str_c(text), separator);
}

/* The next row, its cells joined by "/"; "" at the end. */
#define row_is(want) row_is_at((want), __FILE__, __LINE__)
static void row_is_at(const char *want, const char *file, int line)
{
    struct weft_buf b = { 0 };
    check_ok_at(weft_csv_next(&csv, &row, &err), &err, file, line);
    for (size_t i = 0; row.cells && i < row.n; i++) {
        if (i) weft_buf_char(&b, '/');
        weft_buf_str(&b, row.cells[i]);
    }
    check_str_at(weft_buf_view(&b), weft_str_c(want), file, line);
    weft_buf_clear(&b);
}

static int finish(void **state)
{
    (void)state;
    weft_csv_clear(&csv);
    return 0;
}

static void test_rows_and_cells(void **state)
{
    (void)state;
    begin("a,b,c\r\n1,,3\n\n,,\nx, y ,\"z\"", ',');
    row_is("a/b/c");
    row_is("1//3");
    assert_int_equal(row.line, 2);
    row_is("//");
    assert_int_equal(row.line, 4);
    assert_int_equal(csv.blank, 1);
    row_is("x/ y /z");
    assert_false(row.loose || row.ragged);
    row_is("");
    assert_null(row.cells);
    row_is("");
}

static void test_quotes_and_line_breaks(void **state)
{
    (void)state;
    begin("\xEF\xBB\xBF\"她说：\"\"走吧\"\"\",\"一\r\n二\n\n三\"\n\"\",\"\"\"\"\nq\"q,\"\n\"", ',');
    row_is("她说：\"走吧\"/一\r\n二\n\n三");
    assert_int_equal(row.begin, 3);
    assert_int_equal(row.line, 1);
    assert_int_equal(row.last_line, 4);
    row_is("/\"");
    assert_int_equal(row.line, 5);
    row_is("q\"q/\n");
    assert_int_equal(row.last_line, 7);
    row_is("");
}

static void test_text_behind_a_closing_quote_is_kept_and_told(void **state)
{
    (void)state;
    begin("\"a\"b,\"c\" \"d\",e\nf,g,h", ',');
    row_is("ab/c \"d\"/e");
    assert_true(row.loose);
    row_is("f/g/h");
    assert_false(row.loose);
}

static void test_an_open_quote_is_refused_with_its_line(void **state)
{
    (void)state;
    begin("a,b\n\"x\ny\",\"从前有座山\nz,1\n", ',');
    row_is("a/b");
    check_fails(weft_csv_next(&csv, &row, &err), &err, WEFT_EINPUT, "CS3", "t.csv:3:");
    check_contains(err.msg, "从前有座山");
}

static void test_ragged_rows_are_told(void **state)
{
    (void)state;
    begin("a,b\n1\n1,2\n1,2,3\n", ',');
    row_is("a/b");
    row_is("1");
    assert_true(row.ragged);
    row_is("1/2");
    assert_false(row.ragged);
    row_is("1/2/3");
    assert_true(row.ragged);
}

static void test_the_separator_is_found(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        char separator;
    } cases[] = {
        { "a,b\n1,2\n", ',' },
        { "a;b\n1,5;2\n\"x,y,z\";3\n", ';' },
        { "q\ta\n你好，在吗\t在, 你说\n再见\t再见; 慢走\n", '\t' },
        { "a|b|c\n1|2|3\n", '|' },
        { "\"a;b\",c\n\"d;e;f\",g\n", ',' },
        { "one column\nof words\n", ',' },
        { "", ',' },
        { "a,b", ',' },
        { "a;b", ';' },
    };
    for (size_t i = 0; i < WEFT_COUNT(cases); i++)
        assert_int_equal(weft_csv_separator(weft_str_c(cases[i].text)), cases[i].separator);
    begin("问;答\n你好;在\n", 0);
    row_is("问/答");
    row_is("你好/在");
}

static void test_what_is_written_reads_back(void **state)
{
    (void)state;
    static const char *const texts[] = { "", "a", " a", "a ", "\"", "a,b", "a;b", "一\n二", "\r\n", "\"\"x\"", "\t", "," };
    static const char separators[] = { ',', ';', '\t' };
    struct weft_buf b = { 0 };
    for (size_t s = 0; s < WEFT_COUNT(separators); s++) {
        weft_buf_reset(&b);
        for (size_t i = 0; i < WEFT_COUNT(texts); i++) {
            struct weft_str cells[] = { weft_str_c(texts[i]), weft_str_c(texts[(i + 5) % WEFT_COUNT(texts)]) };
            weft_csv_write(&b, cells, 2, separators[s]);
            weft_csv_write(&b, cells, 1, separators[s]);
        }
        begin(b.s, separators[s]);
        for (size_t i = 0; i < WEFT_COUNT(texts); i++)
            for (size_t n = 2; n > 0; n--) {
                check_ok(weft_csv_next(&csv, &row, &err), &err);
                assert_int_equal(row.n, n);
                check_str(row.cells[0], texts[i]);
                if (n == 2) check_str(row.cells[1], texts[(i + 5) % WEFT_COUNT(texts)]);
            }
        row_is("");
    }
    weft_buf_clear(&b);
}

static struct weft_arena arena;
static struct weft_text text;
static enum weft_status read_as(const char *name, struct weft_str bytes)
{
    weft_err_clear(&err);
    text = (struct weft_text){ 0 };
    return weft_text_from_memory(&arena, name, bytes, NULL, &text, &err);
}

static void test_a_table_reads_as_lines_with_tabs(void **state)
{
    (void)state;
    struct weft_str bytes = WEFT_STR("\xEF\xBB\xBF问;答\r\n\r\n\"第一\r\n行\"\"\";二\r\n三;\r\n");
    check_ok(read_as("t.CSV", bytes), &err);
    assert_string_equal(text.format, "csv");
    check_str(text.text, "问\t答\n第一\n行\"\t二\n三\t\n");
    static const uint64_t lines[] = { 1, 3, 4, 5 };
    static const char *const begins[] = { "问;", "\"第一", "行", "三" };
    static const char *const ends[] = { "\r\n\r", "\r\n行", "\r\n三", "\r\n" };
    assert_int_equal(text.n_lines, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(weft_text_source_line(&text, i), lines[i]);
        assert_true(weft_str_starts(weft_str_skip(bytes, text.lines[i].begin), weft_str_c(begins[i])));
        assert_true(weft_str_starts(weft_str_skip(bytes, text.lines[i].end), weft_str_c(ends[i])));
    }
    assert_int_equal(text.n_notes, 0);
    assert_false(weft_text_partial(&text));
    weft_arena_clear(&arena);
}

static void test_odd_rows_are_noted_once(void **state)
{
    (void)state;
    check_ok(read_as("t.csv", WEFT_STR("a,b\n1,2,3\n\"x\"y,z\n4\n")), &err);
    check_str(text.text, "a\tb\n1\t2\t3\nxy\tz\n4\n");
    assert_int_equal(text.n_notes, 2);
    check_contains(text.notes[0].s, "t.csv:2: not 2 cells as in the first row; 2 of 4 rows");
    check_contains(text.notes[1].s, "t.csv:3: something stands behind the closing quote");
    check_fails(read_as("t.csv", WEFT_STR("a,\"b\n")), &err, WEFT_EINPUT, "CS3", "t.csv:1");
    check_fails(read_as("t.csv", WEFT_STR(",,\n,,\n")), &err, WEFT_EINPUT, "TX5", NULL);
    check_fails(read_as("t.csv", WEFT_STR("PK\x03\x04xxxx")), &err, WEFT_EINPUT, "TX4", "zip");
    weft_arena_clear(&arena);
}

static void test_commas_alone_make_no_table_and_a_reader_can_be_named(void **state)
{
    (void)state;
    struct weft_str bytes = WEFT_STR("a,b\n1,2\n");
    check_ok(read_as("t.txt", bytes), &err);
    check_str(text.text, "a,b\n1,2\n");
    struct weft_text_settings s = { .reader = "csv" };
    check_ok(weft_text_from_memory(&arena, "t.txt", bytes, &s, &text, &err), &err);
    check_str(text.text, "a\tb\n1\t2\n");
    s.reader = "txt";
    check_ok(weft_text_from_memory(&arena, "t.csv", bytes, &s, &text, &err), &err);
    check_str(text.text, "a,b\n1,2\n");
    s.reader = "cvs";
    check_fails(weft_text_from_memory(&arena, "t.csv", bytes, &s, &text, &err), &err, WEFT_EARG, "", "csv");
    weft_arena_clear(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_and_cells),
        cmocka_unit_test(test_quotes_and_line_breaks),
        cmocka_unit_test(test_text_behind_a_closing_quote_is_kept_and_told),
        cmocka_unit_test(test_an_open_quote_is_refused_with_its_line),
        cmocka_unit_test(test_ragged_rows_are_told),
        cmocka_unit_test(test_the_separator_is_found),
        cmocka_unit_test(test_what_is_written_reads_back),
        cmocka_unit_test(test_a_table_reads_as_lines_with_tabs),
        cmocka_unit_test(test_odd_rows_are_noted_once),
        cmocka_unit_test(test_commas_alone_make_no_table_and_a_reader_can_be_named),
    };
    return cmocka_run_group_tests(tests, NULL, finish);
}
