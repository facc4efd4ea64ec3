/* Datasets as text: told by content under any name, every line at its row. */
#include "check.h"

#include "dataset/rows_text.h"

static struct weft_arena arena;
static struct weft_err err;
static struct weft_text text;
static struct weft_report report;
static const char *folder;

static int setup(void **state)
{
    (void)state;
    folder = check_folder();
    return 0;
}
static int teardown(void **state)
{
    (void)state;
    check_folder_gone(folder);
    weft_arena_clear(&arena);
    return 0;
}

static const char *file_of(const char *content)
{
    const char *path = check_path(folder, "rows.txt");
    check_ok(weft_file_write(path, weft_str_c(content), &err), &err);
    return path;
}

static enum weft_status read_rows(const char *content)
{
    weft_err_clear(&err);
    text = (struct weft_text){ 0 };
    report = (struct weft_report){ 0 };
    return weft_rows_text(&arena, file_of(content), NULL, &text, &report, &err);
}

static void test_every_shape_becomes_lines(void **state)
{
    (void)state;
    const char *rows =
        "{\"system\":\"你是阿沅\",\"instruction\":\"你好\",\"input\":\"吗\",\"output\":\"好\\r\\n\\n啊\",\"history\":[[\"一\",\"二\"]]}\n\n"
        "{\"conversations\":[{\"from\":\"human\",\"value\":\"天气\"},{\"from\":\"function_call\",\"value\":"
        "\"{\\\"name\\\":\\\"w\\\",\\\"arguments\\\":{}}\"},{\"from\":\"observation\",\"value\":\"雨\"},{\"from\":\"gpt\",\"value\":\"下雨\"}]}\n"
        "{\"text\":\"一段话\"}\n"
        "{\"instruction\":\"q\",\"chosen\":\"a\",\"rejected\":\"b\"}\n";
    check_ok(read_rows(rows), &err);
    check_str(text.text, "system: 你是阿沅\nuser: 一\nassistant: 二\nuser: 你好\n吗\nassistant: 好\n\n啊\n"
                         "\nuser: 天气\ntool_call: {\"name\":\"w\",\"arguments\":{}}\ntool: 雨\nassistant: 下雨\n"
                         "\n一段话\n"
                         "\nuser: q\nchosen: a\nrejected: b\n");
    assert_string_equal(text.format, "rows");
    assert_int_equal(weft_text_source_line(&text, 0), 1);
    assert_int_equal(weft_text_source_line(&text, 9), 3);
    struct weft_str third = weft_str_sub(weft_str_c(rows), text.lines[14].begin, text.lines[14].end);
    check_str(third, "{\"text\":\"一段话\"}");
    assert_int_equal(text.cr, 1);
    assert_false(weft_text_partial(&text));
}

static void test_bad_rows_are_counted_and_named(void **state)
{
    (void)state;
    check_ok(read_rows("[{\"text\":\"a\"},\n{\"text\":1},\n{\"text\":\"b\\u0000\"}]"), &err);
    check_str(text.text, "a\n\nb\xEF\xBF\xBD\n");
    assert_int_equal(text.left_out, 1);
    assert_true(weft_text_partial(&text));
    assert_int_equal(text.n_notes, 1);
    check_contains(text.notes[0].s, "rows.txt:2:");
    assert_int_equal(weft_text_source_line(&text, 2), 3);
    check_fails(read_rows("{\"name\":\"x\"}"), &err, WEFT_EINPUT, NULL, "rows.txt");
}

static void test_only_json_objects_look_like_rows(void **state)
{
    (void)state;
    static const struct {
        const char *content;
        bool rows;
    } cases[] = {
        { "{\"text\":\"a\"}", true },   { "\xEF\xBB\xBF\n [ {\n\"text\":1}]", true }, { "[场景一]\n甲：你好", false },
        { "{甲}你好", false },          { "[[{\"a\":1}]]", false },                   { "[1,2]", false },
        { "", false },                  { "[", false },                               { "text", false },
    };
    for (size_t i = 0; i < WEFT_COUNT(cases); i++)
        assert_int_equal(weft_rows_sniff(file_of(cases[i].content)), cases[i].rows);
    assert_false(weft_rows_sniff("-"));
    assert_false(weft_rows_sniff(folder));
    assert_false(weft_rows_sniff("/dev/zero"));
    assert_false(weft_rows_sniff(check_path(folder, "none")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_every_shape_becomes_lines, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_rows_are_counted_and_named, setup, teardown),
        cmocka_unit_test_setup_teardown(test_only_json_objects_look_like_rows, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
