/* From every format to every other: items 2 to 9 of the checklist in docs/dataset.md by number, tables for
 * spreadsheets, OpenAI's fine-tuning lines, and LLaMA-Factory's dataset_info.json. */
#include "check.h"

#include "dataset/canon.h"
#include "dataset/info.h"

struct fixture {
    struct weft_arena arena;
    struct weft_err err;
    const char *folder;
    struct weft_rows rows;
    struct weft_report report;
    struct weft_rows_shape shape;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    if (!f) return -1;
    f->folder = check_folder();
    *state = f;
    return 0;
}
static int teardown(void **state)
{
    struct fixture *f = *state;
    check_folder_gone(f->folder);
    weft_arena_clear(&f->arena);
    free(f);
    return 0;
}

/* Writes `text` as the file `name` and reads its rows; every unit is accounted for. */
static const char *read_as(struct fixture *f, const char *name, const char *text, const struct weft_rows_settings *s)
{
    const char *path = weft_path_join(&f->arena, f->folder, name);
    check_ok(weft_file_write(path, weft_str_c(text), &f->err), &f->err);
    f->rows = (struct weft_rows){ 0 };
    f->report = (struct weft_report){ 0 };
    check_ok(weft_rows_read(&f->arena, path, s, &f->rows, &f->report, &f->shape, &f->err), &f->err);
    assert_int_equal(f->report.units_in, f->report.rows_out + f->report.blank + weft_report_dropped(&f->report));
    return path;
}

static struct weft_str file(struct fixture *f, const char *name)
{
    struct weft_str s;
    check_ok(weft_file_read(&f->arena, weft_path_join(&f->arena, f->folder, name), 0, &s, &f->err), &f->err);
    return s;
}

static const char *write_as(struct fixture *f, const char *name, const struct weft_rows *rows,
                            const struct weft_rows_writer_settings *s)
{
    const char *path = weft_path_join(&f->arena, f->folder, name);
    check_ok(weft_rows_write(path, s, rows, &f->err), &f->err);
    return path;
}

static void hash(struct fixture *f, const struct weft_rows *rows, char out[WEFT_SHA256_HEX])
{
    check_ok(weft_dataset_hash_rows(rows, out, &f->err), &f->err);
}

/* ---- the checklist ---- */

static void test_item_2_content_decides_what_a_file_is(void **state)
{
    static const struct {
        const char *name, *text;
        enum weft_layout layout;
        size_t rows;
    } files[] = {
        { "a.jsonl", "\xEF\xBB\xBF \n[{\"text\":\"a\"},\n{\"text\":\"b\"}]\n\n", WEFT_LAYOUT_ARRAY, 2 },
        { "b.json", "{\"text\":\"a\"}\r\n{\"text\":\"b\"}\r\n\r\n", WEFT_LAYOUT_JSONL, 2 },
        { "c.txt", "{\n  \"text\": \"a\"\n}\n", WEFT_LAYOUT_ARRAY, 1 },
        { "d.jsonl", "{\"text\":\"a\"}\n{\"text\":3}\n{\"text\" \"b\"}\n", WEFT_LAYOUT_JSONL, 1 },
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < WEFT_COUNT(files); i++) {
        read_as(f, files[i].name, files[i].text, NULL);
        assert_int_equal(f->shape.layout, files[i].layout);
        assert_int_equal(f->rows.n, files[i].rows);
    }
    check_contains(f->report.places[0].s, "d.jsonl:2:9: DS3");
    check_contains(f->report.places[1].s, "d.jsonl:3:9: JS2");
}

static void test_item_3_json_lines_are_lines_and_a_mislabelled_array_is_read(void **state)
{
    struct fixture *f = *state;
    read_as(
        f, "seed.jsonl",
        "[\n    {\n        \"instruction\": \"问\",\n        \"input\": \"\",\n        \"output\": \"答\\n二\"\n    }\n]",
        NULL);
    assert_true(f->shape.mislabelled);
    assert_int_equal(f->rows.n, 1);
    write_as(f, "out.jsonl", &f->rows, NULL);
    check_str(file(f, "out.jsonl"), "{\"instruction\":\"问\",\"input\":\"\",\"output\":\"答\\n二\"}\n");
    struct weft_rows again = { 0 };
    check_ok(weft_rows_read(&f->arena, weft_path_join(&f->arena, f->folder, "out.jsonl"), NULL, &again, NULL,
                            NULL, &f->err),
             &f->err);
    write_as(f, "again.jsonl", &again, NULL);
    check_str(file(f, "again.jsonl"), file(f, "out.jsonl").s);
}

static void test_item_4_alpaca_joins_and_takes_every_form_of_history(void **state)
{
    static const char *const histories[] = { "", ",\"history\":\"\"", ",\"history\":null", ",\"history\":[]",
                                             ",\"history\":[[\"q0\",\"a0\"]]" };
    struct fixture *f = *state;
    for (size_t i = 0; i < WEFT_COUNT(histories); i++) {
        struct weft_str line =
            weft_str_printf(&f->arena, "{\"instruction\":\"q\",\"input\":\"i\",\"output\":\"a\"%s}", histories[i]);
        read_as(f, "h.jsonl", line.s, NULL);
        assert_int_equal(f->rows.items[0].n_turns, i == 4 ? 4 : 2);
        check_str(f->rows.items[0].turns[i == 4 ? 2 : 0].text, "q\ni");
    }
    read_as(
        f, "h.jsonl",
        "{\"instruction\":\"q\",\"input\":\"\",\"output\":\"a\"}\n{\"instruction\":\"q\"}\n{\"output\":\"a\",\"instruction\":1}",
        NULL);
    check_str(f->rows.items[0].turns[0].text, "q");
    assert_int_equal(weft_report_dropped(&f->report), 2);
}

static void test_item_6_sharegpt_faults_are_named_by_row_and_turn(void **state)
{
#define TURN(from, value) "{\"from\":\"" from "\",\"value\":\"" value "\"}"
    static const char lines[] =
        "{\"conversations\":[" TURN("system", "s") "," TURN("human", "q") "," TURN("function_call", "{\\\"name\\\":\\\"f\\\",\\\"arguments\\\":{}}") "," TURN(
            "observation",
            "o") "," TURN("gpt",
                          "a") "]}\n"
                               "{\"conversations\":[" TURN(
                                   "human",
                                   "q") "]}\n"
                                        "{\"conversations\":[" TURN("human", "q") "," TURN(
                                            "human",
                                            "q") "]}\n"
                                                 "{\"conversations\":[" TURN("human", "q") "," TURN(
                                                     "bot",
                                                     "a") "]}\n"
                                                          "{\"conversations\":[" TURN("human", "q") "," TURN(
                                                              "function",
                                                              "{\\\"name\\\":\\\"f\\\",\\\"arguments\\\":{}}") "]}\n";
    static const char *const places[] = { "s.jsonl:2:", "s.jsonl:3:", "s.jsonl:4:" },
                             *const turns[] = { "turn 1", "turn 2", "turn 2 is from \"bot\"" };
    struct fixture *f = *state;
    read_as(f, "s.jsonl", lines, NULL);
    assert_int_equal(f->rows.n, 2);
    assert_int_equal(f->report.n_places, 3);
    for (size_t i = 0; i < 3; i++) {
        check_contains(f->report.places[i].s, places[i]);
        check_contains(f->report.places[i].s, turns[i]);
    }
}

static void test_item_7_tools_are_json_and_calls_have_name_and_arguments(void **state)
{
    struct fixture *f = *state;
    read_as(
        f, "t.jsonl",
        "{\"conversations\":[" TURN("human", "q") "," TURN(
            "gpt", "a") "],\"tools\":\"[{\\\"name\\\":\\\"f\\\"}]\"}\n"
                        "{\"conversations\":[" TURN("human", "q") "," TURN(
                            "gpt", "a") "],\"tools\":\"[{\"}\n"
                                        "{\"conversations\":[" TURN("human", "q") "," TURN(
                                            "function_call",
                                            "f()") "]}\n"
                                                   "{\"conversations\":[" TURN("human", "q") "," TURN(
                                                       "function_call", "{\\\"name\\\":\\\"f\\\"}") "]}\n",
        NULL);
    assert_int_equal(f->rows.n, 1);
    check_str(f->rows.items[0].tools, "[{\"name\":\"f\"}]");
    check_contains(f->report.places[0].s, "DS6: tools is not JSON");
    check_contains(f->report.places[1].s, "DS6: a tool call is not JSON");
    check_contains(f->report.places[2].s, "DS6: a tool call lacks name or arguments");
}

/* Alpaca -> every other shape and container -> Alpaca: the same bytes. */
static void test_item_8_round_trips_are_equal(void **state)
{
    static const char lines[] =
        "{\"instruction\":\"q\",\"input\":\"i\",\"output\":\"a\",\"system\":\"s\",\"history\":[[\"q0\",\"a0\"]],\"topic\":\"x\"}\n"
        "{\"instruction\":\"换行\\n\\r\\n和\\t\\\"引号\\\"，逗号,\",\"input\":\"\",\"output\":\" 空格 \"}\n";
    static const int formats[] = { WEFT_FORMAT_SHAREGPT, WEFT_FORMAT_MESSAGES, WEFT_FORMAT_ALPACA };
    static const char *const names[] = { "x.jsonl", "x.json", "x.csv", "x.tsv" };
    struct fixture *f = *state;
    read_as(f, "in.jsonl", lines, NULL);
    struct weft_rows in = f->rows;
    for (size_t i = 0; i < WEFT_COUNT(formats); i++)
        for (size_t k = 0; k < WEFT_COUNT(names); k++) {
            struct weft_rows back = { 0 };
            const char *path = write_as(f, names[k], &in, &(struct weft_rows_writer_settings){ .format = formats[i] });
            check_ok(weft_rows_read(&f->arena, path, NULL, &back, NULL, &f->shape, &f->err), &f->err);
            assert_int_equal(f->shape.layout, k == 0 ? WEFT_LAYOUT_JSONL : k + 1);
            assert_int_equal(f->shape.format, formats[i]);
            write_as(f, "back.jsonl", &back, NULL);
            check_str(file(f, "back.jsonl"), lines);
        }
}

static void test_item_9_preference_and_kto_rows_pass_untouched(void **state)
{
    static const char lines[] =
        "{\"instruction\":\"q\",\"input\":\"\",\"system\":\"s\",\"chosen\":\"good\",\"rejected\":\"bad\"}\n"
        "{\"instruction\":\"q\",\"input\":\"\",\"output\":\"a\",\"kto_tag\":false}\n"
        "{\"instruction\":\"q\",\"input\":\"\",\"output\":\"b\",\"kto_tag\":true}\n";
    static const int formats[] = { WEFT_FORMAT_SHAREGPT, WEFT_FORMAT_MESSAGES };
    static const char *const names[] = { "p.jsonl", "p.csv" };
    struct fixture *f = *state;
    read_as(f, "in.jsonl", lines, NULL);
    struct weft_rows in = f->rows;
    for (size_t i = 0; i < WEFT_COUNT(formats); i++)
        for (size_t k = 0; k < WEFT_COUNT(names); k++) {
            struct weft_rows back = { 0 };
            const char *path = write_as(f, names[k], &in, &(struct weft_rows_writer_settings){ .format = formats[i] });
            check_ok(weft_rows_read(&f->arena, path, NULL, &back, NULL, NULL, &f->err), &f->err);
            write_as(f, "back.jsonl", &back, NULL);
            check_str(file(f, "back.jsonl"), lines);
        }
}

/* ---- OpenAI ---- */

static void test_openai_lines_keep_weights(void **state)
{
    static const char line[] =
        "{\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":\"a\",\"weight\":0},"
        "{\"role\":\"user\",\"content\":\"r\"},{\"role\":\"assistant\",\"content\":\"b\",\"weight\":1}],\"parallel_tool_calls\":false}\n";
    struct fixture *f = *state;
    read_as(f, "w.jsonl", line, NULL);
    write_as(f, "back.jsonl", &f->rows, &(struct weft_rows_writer_settings){ .format = WEFT_FORMAT_MESSAGES });
    check_str(file(f, "back.jsonl"), line);
}

static void test_openai_preference_lines_in_and_out(void **state)
{
    static const char line[] =
        "{\"input\":{\"messages\":[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\",\"content\":\"q\"}],"
        "\"tools\":[{\"type\":\"function\"}],\"parallel_tool_calls\":true},"
        "\"preferred_output\":[{\"role\":\"assistant\",\"content\":\"good\"}],"
        "\"non_preferred_output\":[{\"role\":\"assistant\",\"content\":\"bad\"}],\"topic\":\"x\"}\n";
    struct fixture *f = *state;
    read_as(f, "d.jsonl", line, NULL);
    assert_int_equal(f->shape.format, WEFT_FORMAT_DPO);
    check_str(f->rows.items[0].chosen.text, "good");
    check_str(f->rows.items[0].system, "s");
    write_as(f, "back.jsonl", &f->rows, &(struct weft_rows_writer_settings){ .format = WEFT_FORMAT_DPO });
    check_str(file(f, "back.jsonl"), line);
    struct weft_rows table = { 0 };
    check_ok(weft_rows_read(&f->arena,
                            write_as(f, "d.csv", &f->rows,
                                     &(struct weft_rows_writer_settings){ .format = WEFT_FORMAT_DPO }),
                            NULL, &table, NULL, NULL, &f->err),
             &f->err);
    write_as(f, "back.jsonl", &table, &(struct weft_rows_writer_settings){ .format = WEFT_FORMAT_DPO });
    check_str(file(f, "back.jsonl"), line);
    /* By way of Alpaca: the same row. */
    struct weft_rows in = f->rows, back = { 0 };
    char want[WEFT_SHA256_HEX], got[WEFT_SHA256_HEX];
    const char *path = write_as(f, "alpaca.jsonl", &in, NULL);
    check_ok(weft_rows_read(&f->arena, path, NULL, &back, NULL, NULL, &f->err), &f->err);
    hash(f, &in, want);
    hash(f, &back, got);
    assert_string_equal(got, want);
    /* A row without a choice has no place in it; a bad line is named. */
    read_as(f, "bad.jsonl",
            "{\"input\":{\"messages\":[{\"role\":\"user\",\"content\":\"q\"}]},\"preferred_output\":[]}\n"
            "{\"input\":{},\"preferred_output\":[]}\n{\"instruction\":\"q\",\"output\":\"a\"}\n", NULL);
    check_contains(f->report.places[0].s, "non_preferred_output is missing");
    check_contains(f->report.places[1].s, "input.messages is missing");
    check_fails(weft_rows_write(path, &(struct weft_rows_writer_settings){ .format = WEFT_FORMAT_DPO },
                                &f->rows, &f->err),
                &f->err, WEFT_EINPUT, "", "no chosen and rejected");
}

/* ---- tables ---- */

/* What looks like JSON, numbers, emptiness or quotes in a cell is still the text that it was. */
static void test_csv_reads_back_equal_whatever_stands_in_a_cell(void **state)
{
    static const char *const texts[] = { "123",           "true", "null",      "[1,2]",
                                         "{\\\"a\\\":1}", "\\\"", "\\\"x\\\"", "",
                                         "=1+1",          " ",    "a,b;c\\td", "行一\\n行二\\r\\n行三\\r",
                                         "\\\"\\\"",      "'",    "\\ufeff",   "第一集" };
    struct fixture *f = *state;
    struct weft_buf lines = { 0 };
    for (size_t i = 0; i < WEFT_COUNT(texts); i++) {
        const char *t = texts[i];
        weft_buf_printf(
            &lines,
            "{\"instruction\":\"%s\",\"input\":\"\",\"output\":\"%s\",\"system\":\"%s\",\"note\":\"%s\",\"n\":%zu}\n",
            t, t, t, t, i);
        weft_buf_printf(
            &lines,
            "{\"instruction\":\"q\",\"input\":\"\",\"chosen\":\"%s\",\"rejected\":\"%s\",\"note\":null,\"list\":[\"%s\",1.50]}\n",
            t, t, t);
        weft_buf_printf(
            &lines,
            "{\"instruction\":\"q\",\"input\":\"i\",\"output\":\"a\",\"history\":[[\"%s\",\"%s\"]],\"weft\":{\"id\":\"r%zu\","
            "\"src\":{\"file\":\"f\",\"line\":3,\"last_line\":4,\"bytes\":[5,6]},\"flags\":[\"self\"]}}\n",
            t, t, i);
    }
    read_as(f, "in.jsonl", lines.s, NULL);
    assert_int_equal(f->rows.n, 3 * WEFT_COUNT(texts));
    struct weft_rows in = f->rows;
    struct weft_str want = file(f, write_as(f, "want.jsonl", &in, NULL) + strlen(f->folder) + 1);
    for (size_t k = 0; k < 2; k++) {
        struct weft_rows back = { 0 };
        const char *path = write_as(f, k ? "x.tsv" : "x.csv", &in, NULL);
        check_ok(weft_rows_read(&f->arena, path, NULL, &back, NULL, NULL, &f->err), &f->err);
        write_as(f, "back.jsonl", &back, NULL);
        check_str(file(f, "back.jsonl"), want.s);
    }
    struct weft_str csv = file(f, "x.csv");
    assert_memory_equal(csv.s, "\xEF\xBB\xBFinstruction,input,output,system,note,n,", 42);
    weft_buf_clear(&lines);
}

/* As a spreadsheet gives it: semicolons, GB18030, a column nobody knows, empty cells, a row that is too long. */
static void test_csv_of_a_spreadsheet_is_read(void **state)
{
    static const char gb[] = "instruction,output,\xB1\xB8\xD7\xA2\r\n\xC4\xE3\xCA\xC7\xCB\xAD,\xBB\xAA\xE5\xFA,1\r\n";
    struct fixture *f = *state;
    read_as(f, "gb.csv", gb, NULL);
    check_str(f->rows.items[0].turns[0].text, "你是谁");
    check_str(f->rows.items[0].extra, "{\"备注\":1}");
    read_as(
        f, "semi.csv", "问;答;\n你是谁;华妃;\n;空;\n多;余;的;列\n少\n",
        &(struct weft_rows_settings){ .columns = { (const char *[]){ "instruction=问", "output=答" }, 2 } });
    assert_int_equal(f->rows.n, 2);
    assert_int_equal(f->report.units_in, 4);
    check_contains(f->report.places[0].s, "semi.csv:4:1: DS13: a row has more cells");
    check_contains(f->report.places[1].s, "semi.csv:5:1: DS3: output is missing");
    check_str(f->rows.items[1].turns[0].text, "");
    const char *path = weft_path_join(&f->arena, f->folder, "twice.csv");
    check_ok(weft_file_write(path, WEFT_STR("text,a,a\nx,1,2\n"), &f->err), &f->err);
    check_fails(weft_rows_read(&f->arena, path, NULL, &f->rows, NULL, NULL, &f->err), &f->err, WEFT_EINPUT,
                "DS13", "two columns are named a");
}

static void test_rows_of_a_table_are_found_by_number(void **state)
{
    struct fixture *f = *state;
    struct weft_row_index ix;
    struct weft_row row;
    const char *path = read_as(f, "t.csv", "text,weft\r\n\"a\nb\",\"{\"\"id\"\":\"\"x\"\"}\"\r\nc,\r\n", NULL);
    check_ok(weft_row_index_open(&f->arena, path, NULL, &ix, NULL, &f->err), &f->err);
    assert_int_equal(ix.n, 2);
    check_ok(weft_row_index_get(&ix, &f->arena, 1, &row, &f->err), &f->err);
    check_str(row.text, "c");
    check_ok(weft_row_index_get(&ix, &f->arena, 0, &row, &f->err), &f->err);
    check_str(row.text, "a\nb");
    check_str(row.origin.id, "x");
    assert_int_equal(ix.spans[1].line, 4);
    weft_row_index_close(&ix);
}

/* ---- dataset_info.json ---- */

static const char info_text[] =
    "{\n  \"mine\": {\"file_name\": \"mine.json\", \"columns\": {\"prompt\": \"问\", \"response\": \"答\"}},\n"
    "  \"chat\": {\"file_name\": \"chat.json\", \"formatting\": \"sharegpt\", \"columns\": {\"messages\": \"dialog\"},"
    " \"tags\": {\"role_tag\": \"who\", \"content_tag\": \"said\", \"user_tag\": \"U\", \"assistant_tag\": \"A\"}},\n"
    "  \"openai\": {\"file_name\": \"o.json\", \"formatting\": \"sharegpt\", \"columns\": {\"messages\": \"messages\"},"
    " \"tags\": {\"role_tag\": \"role\", \"content_tag\": \"content\", \"user_tag\": \"user\", \"assistant_tag\": \"assistant\"}},\n"
    "  \"book\": {\"file_name\": \"/abs/book.json\", \"columns\": {\"prompt\": \"content\"}},\n"
    "  \"pairs\": {\"file_name\": \"p.json\", \"ranking\": true, \"columns\": {\"prompt\": \"q\", \"chosen\": \"win\", \"rejected\": \"lose\"}},\n"
    "  \"far\": {\"hf_hub_url\": \"x/y\"},\n  \"odd\": {\"unknown\": [1, 1.50, null]}\n}\n";

static void test_info_entries_say_file_shape_and_names(void **state)
{
    static const struct {
        const char *name;
        enum weft_format format;
        const char *row, *first;
    } entries[] = {
        { "mine", WEFT_FORMAT_ALPACA, "[{\"问\":\"q\",\"答\":\"a\"}]", "q" },
        { "chat", WEFT_FORMAT_SHAREGPT,
          "[{\"dialog\":[{\"who\":\"U\",\"said\":\"q\"},{\"who\":\"A\",\"said\":\"a\"}]}]", "q" },
        { "openai", WEFT_FORMAT_MESSAGES,
          "[{\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":\"a\"}]}]",
          "q" },
        { "book", WEFT_FORMAT_TEXT, "[{\"content\":\"q\"}]", NULL },
        { "pairs", WEFT_FORMAT_ALPACA, "[{\"q\":\"q\",\"win\":\"w\",\"lose\":\"l\"}]", "q" },
    };
    struct fixture *f = *state;
    const char *path = weft_path_join(&f->arena, f->folder, "dataset_info.json");
    struct weft_info info;
    check_ok(weft_file_write(path, weft_str_c(info_text), &f->err), &f->err);
    for (size_t i = 0; i < WEFT_COUNT(entries); i++) {
        check_ok(weft_info_find(&f->arena, path, entries[i].name, &info, &f->err), &f->err);
        assert_int_equal(info.format, entries[i].format);
        struct weft_rows_settings s = { .format = info.format, .columns = info.columns };
        read_as(f, "row.json", entries[i].row, &s);
        assert_int_equal(f->rows.n, 1);
        if (entries[i].first) check_str(f->rows.items[0].turns[0].text, entries[i].first);
        else check_str(f->rows.items[0].text, "q");
        assert_int_equal(info.ranking, i == 4);
        assert_int_equal(f->rows.items[0].chosen.text.s != NULL, i == 4);
    }
    check_ok(weft_info_find(&f->arena, path, "book", &info, &f->err), &f->err);
    check_str(weft_str_c(info.path), "/abs/book.json");
    check_ok(weft_info_find(&f->arena, path, "mine", &info, &f->err), &f->err);
    check_str(weft_str_c(info.path), check_path(f->folder, "mine.json"));
    check_refuses(weft_info_find(&f->arena, path, "mien", &info, &f->err), &f->err, WEFT_EINPUT, "DS12",
                  "did you mean \"mine\"");
    check_refuses(weft_info_find(&f->arena, path, "far", &info, &f->err), &f->err, WEFT_EINPUT, "DS12", "weft pull");
    check_refuses(weft_info_find(&f->arena, path, "odd", &info, &f->err), &f->err, WEFT_EINPUT, "DS12", "no file_name");
}

/* What is written is found again with the same shape, and nothing else in the file changes. */
static void test_info_entry_is_added_and_the_rest_stays(void **state)
{
    static const enum weft_format formats[] = { WEFT_FORMAT_ALPACA, WEFT_FORMAT_SHAREGPT,
                                                WEFT_FORMAT_MESSAGES, WEFT_FORMAT_TEXT };
    struct fixture *f = *state;
    const char *path = weft_path_join(&f->arena, f->folder, "dataset_info.json");
    struct weft_json_value before, after;
    struct weft_info info;
    bool replaced;
    check_ok(weft_file_write(path, weft_str_c(info_text), &f->err), &f->err);
    check_ok(weft_json_parse(&f->arena, "x", weft_str_c(info_text), &before, &f->err), &f->err);
    for (size_t i = 0; i < WEFT_COUNT(formats); i++) {
        struct weft_info_entry e = { .file_name = WEFT_STR("new.jsonl"),
                                     .format = formats[i],
                                     .system = true,
                                     .tools = true,
                                     .history = true,
                                     .kto = i == 0,
                                     .ranking = i == 1 };
        check_ok(weft_info_write(path, "新", &e, &replaced, &f->err), &f->err);
        assert_int_equal(replaced, i > 0);
        check_ok(weft_info_find(&f->arena, path, "新", &info, &f->err), &f->err);
        assert_int_equal(info.format, formats[i]);
        assert_int_equal(info.ranking, i == 1);
    }
    check_ok(weft_json_parse(&f->arena, "x", file(f, "dataset_info.json"), &after, &f->err), &f->err);
    assert_int_equal(after.n, before.n + 1);
    for (size_t i = 0; i < before.n; i++) {
        struct weft_buf x = { 0 }, y = { 0 };
        struct weft_json_out o;
        weft_json_out_init(&o, &x);
        weft_json_out_value(&o, &before.items[i]);
        weft_json_out_init(&o, &y);
        weft_json_out_value(&o, &after.items[i]);
        check_str(weft_buf_view(&y), x.s);
        weft_buf_clear(&x);
        weft_buf_clear(&y);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_item_2_content_decides_what_a_file_is, setup, teardown),
        cmocka_unit_test_setup_teardown(test_item_3_json_lines_are_lines_and_a_mislabelled_array_is_read,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_item_4_alpaca_joins_and_takes_every_form_of_history, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_item_6_sharegpt_faults_are_named_by_row_and_turn, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_item_7_tools_are_json_and_calls_have_name_and_arguments, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_item_8_round_trips_are_equal, setup, teardown),
        cmocka_unit_test_setup_teardown(test_item_9_preference_and_kto_rows_pass_untouched, setup, teardown),
        cmocka_unit_test_setup_teardown(test_openai_lines_keep_weights, setup, teardown),
        cmocka_unit_test_setup_teardown(test_openai_preference_lines_in_and_out, setup, teardown),
        cmocka_unit_test_setup_teardown(test_csv_reads_back_equal_whatever_stands_in_a_cell, setup, teardown),
        cmocka_unit_test_setup_teardown(test_csv_of_a_spreadsheet_is_read, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rows_of_a_table_are_found_by_number, setup, teardown),
        cmocka_unit_test_setup_teardown(test_info_entries_say_file_shape_and_names, setup, teardown),
        cmocka_unit_test_setup_teardown(test_info_entry_is_added_and_the_rest_stays, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
