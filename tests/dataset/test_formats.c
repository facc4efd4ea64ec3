/* Rules DS1-DS11: every good shape is read, every bad row is left out by name, and what was read is written back. */
#include "check.h"

#include "dataset/formats.h"

struct fixture {
    struct weft_arena arena;
    struct weft_err err;
    struct weft_rows rows;
    struct weft_report report;
    struct weft_rows_shape shape;
};

#include "fixture.h"

static enum weft_status parse_with(struct fixture *f, const char *text, const struct weft_rows_settings *s)
{
    weft_err_clear(&f->err);
    f->rows = (struct weft_rows){ 0 };
    f->report = (struct weft_report){ 0 };
    struct weft_str copy = weft_str_dup(&f->arena, weft_str_c(text));
    return weft_rows_parse(&f->arena, "t.jsonl", copy, s, &f->rows, &f->report, &f->shape, &f->err);
}

/* Parses and checks that every unit is accounted for. */
static void parse(struct fixture *f, const char *text)
{
    check_ok(parse_with(f, text, NULL), &f->err);
    assert_int_equal(f->report.units_in,
                     f->report.rows_out + f->report.blank + weft_report_dropped(&f->report));
    assert_int_equal(f->report.rows_out, f->rows.n);
}

static struct weft_str to_json(struct fixture *f, const struct weft_row *row, enum weft_format format,
                               bool origin)
{
    struct weft_buf b = { 0 };
    struct weft_json_out o;
    weft_json_out_init(&o, &b);
    check_ok(weft_row_to_json(&o, row, format, origin, &f->err), &f->err);
    struct weft_str s = weft_str_dup(&f->arena, weft_buf_view(&b));
    weft_buf_clear(&b);
    return s;
}

static void check_turn(const struct weft_row *row, size_t i, enum weft_role role, const char *text)
{
    assert_true(i < row->n_turns);
    assert_int_equal(row->turns[i].role, role);
    check_str(row->turns[i].text, text);
}

/* ---- layouts ---- */

static void test_layout_is_told_by_content(void **state)
{
    struct fixture *f = *state;
    parse(f, "{\"instruction\":\"一\",\"output\":\"二\"}\n\n{\"instruction\":\"三\",\"output\":\"四\"}\r\n");
    assert_int_equal(f->rows.n, 2);
    assert_int_equal(f->report.blank, 1);
    assert_int_equal(f->shape.layout, WEFT_LAYOUT_JSONL);
    assert_false(f->shape.mislabelled);

    parse(
        f,
        "\xEF\xBB\xBF [\n  {\"instruction\":\"一\",\"output\":\"二\"},\n  {\"instruction\":\"三\",\"output\":\"四\"}\n]\n");
    assert_int_equal(f->rows.n, 2);
    assert_int_equal(f->shape.layout, WEFT_LAYOUT_ARRAY);
    assert_true(f->shape.mislabelled && f->shape.bom);

    parse(f, "{\n  \"instruction\": \"一\",\n  \"output\": \"二\"\n}\n");
    assert_int_equal(f->rows.n, 1);
    assert_true(f->shape.single);

    parse(f, "\xEF\xBB\xBF{\"instruction\":\"一\",\"output\":\"二\"}");
    assert_int_equal(f->rows.n, 1);
    assert_true(f->shape.bom);
}

static void test_lines_end_at_lf_and_nowhere_else(void **state)
{
    struct fixture *f = *state;
    parse(f, "{\"instruction\":\"a\xE2\x80\xA8"
             "b\xC2\x85\",\"output\":\"c\"}\r\n\n \n{\"instruction\":\"d\",\"output\":\"e\"}");
    assert_int_equal(f->rows.n, 2);
    assert_int_equal(f->report.units_in, 4);
    assert_int_equal(f->report.blank, 2);
    check_turn(&f->rows.items[0], 0, WEFT_ROLE_USER, "a\xE2\x80\xA8" "b\xC2\x85");
}

/* ---- shapes ---- */

static void test_alpaca_joins_instruction_and_input(void **state)
{
    struct fixture *f = *state;
    parse(
        f,
        "{\"instruction\":\"翻译\",\"input\":\"你好\",\"output\":\"hello\",\"system\":\"译者\",\"history\":[[\"q\",\"a\"]]}\n"
        "{\"instruction\":\"只有指令\",\"input\":\"\",\"output\":\"x\",\"history\":\"\"}\n"
        "{\"instruction\":\"\",\"input\":\"只有输入\",\"output\":\"y\",\"history\":null,\"system\":null}\n"
        "{\"instruction\":\"i\",\"input\":null,\"output\":\"z\",\"history\":[]}");
    assert_int_equal(f->rows.n, 4);
    const struct weft_row *row = f->rows.items;
    assert_int_equal(row->n_turns, 4);
    check_turn(row, 0, WEFT_ROLE_USER, "q");
    check_turn(row, 1, WEFT_ROLE_ASSISTANT, "a");
    check_turn(row, 2, WEFT_ROLE_USER, "翻译\n你好");
    check_turn(row, 3, WEFT_ROLE_ASSISTANT, "hello");
    check_str(row->system, "译者");
    assert_true(row->split_input);
    check_turn(row + 1, 0, WEFT_ROLE_USER, "只有指令");
    assert_null(row[1].system.s);
    assert_false(row[1].split_input);
    check_turn(row + 2, 0, WEFT_ROLE_USER, "只有输入");
    check_turn(row + 3, 0, WEFT_ROLE_USER, "i");
    assert_int_equal(f->shape.format, WEFT_FORMAT_ALPACA);
}

static void test_sharegpt_with_tools_is_read(void **state)
{
    struct fixture *f = *state;
    parse(
        f,
        "{\"conversations\":[{\"from\":\"system\",\"value\":\"你是助手\"},{\"from\":\"human\",\"value\":\"天气？\"},"
        "{\"from\":\"function_call\",\"value\":\"{\\\"name\\\":\\\"w\\\",\\\"arguments\\\":{}}\"},"
        "{\"from\":\"observation\",\"value\":\"晴\"},{\"from\":\"gpt\",\"value\":\"晴天。\"}],\"tools\":\"[]\"}");
    const struct weft_row *row = f->rows.items;
    check_str(row->system, "你是助手");
    assert_int_equal(row->n_turns, 4);
    check_turn(row, 1, WEFT_ROLE_TOOL_CALL, "{\"name\":\"w\",\"arguments\":{}}");
    check_turn(row, 2, WEFT_ROLE_TOOL_RESULT, "晴");
    check_str(row->tools, "[]");
}

static void test_messages_are_read_with_parts_and_calls(void **state)
{
    struct fixture *f = *state;
    parse(
        f,
        "{\"messages\":[{\"role\":\"developer\",\"content\":\"s\"},{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},"
        "{\"type\":\"text\",\"text\":\"b\"}]},{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"c1\",\"type\":\"function\","
        "\"function\":{\"name\":\"w\",\"arguments\":\"{\\\"x\\\": 1}\"}}]},{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"7\"},"
        "{\"role\":\"assistant\",\"content\":\"七\"}],\"tools\":[{\"type\":\"function\"}]}");
    const struct weft_row *row = f->rows.items;
    check_str(row->system, "s");
    check_turn(row, 0, WEFT_ROLE_USER, "ab");
    check_turn(row, 1, WEFT_ROLE_TOOL_CALL, "{\"name\": \"w\", \"arguments\": {\"x\": 1}}");
    check_turn(row, 2, WEFT_ROLE_TOOL_RESULT, "7");
    check_turn(row, 3, WEFT_ROLE_ASSISTANT, "七");
    check_str(row->turn_extras[2], "{\"tool_call_id\":\"c1\"}");
    check_str(
        to_json(f, row, WEFT_FORMAT_MESSAGES, false),
        "{\"messages\":[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\",\"content\":\"ab\"},"
        "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"w\","
        "\"arguments\":\"{\\\"x\\\": 1}\"}}]},{\"role\":\"tool\",\"content\":\"7\",\"tool_call_id\":\"c1\"},"
        "{\"role\":\"assistant\",\"content\":\"七\"}],\"tools\":[{\"type\":\"function\"}]}");
}

static void test_one_side_may_speak_twice_in_messages(void **state)
{
    struct fixture *f = *state;
    parse(
        f,
        "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"user\",\"content\":\"b\"},{\"role\":\"assistant\",\"content\":\"c\"}]}");
    assert_int_equal(f->rows.items[0].n_turns, 3);
    struct weft_buf b = { 0 };
    struct weft_json_out o;
    weft_json_out_init(&o, &b);
    check_fails(weft_row_to_json(&o, f->rows.items, WEFT_FORMAT_SHAREGPT, true, &f->err), &f->err,
                WEFT_EINPUT, NULL, "write messages");
    weft_buf_clear(&b);
}

static void test_preference_and_kto_members_survive(void **state)
{
    struct fixture *f = *state;
    const char *alpaca = "{\"instruction\":\"i\",\"input\":\"\",\"chosen\":\"好\",\"rejected\":\"坏\"}";
    const char *kto = "{\"instruction\":\"i\",\"input\":\"\",\"output\":\"o\",\"kto_tag\":false}";
    const char *share =
        "{\"conversations\":[{\"from\":\"human\",\"value\":\"q\"}],\"chosen\":{\"from\":\"gpt\",\"value\":\"好\"},"
        "\"rejected\":{\"from\":\"gpt\",\"value\":\"坏\"}}";
    char text[1024];
    snprintf(text, sizeof text, "%s\n%s\n%s\n", alpaca, kto, share);
    parse(f, text);
    assert_int_equal(f->rows.n, 3);
    assert_int_equal(f->rows.items[0].n_turns, 1);
    check_str(f->rows.items[0].chosen.text, "好");
    check_str(to_json(f, &f->rows.items[0], WEFT_FORMAT_ALPACA, false), alpaca);
    assert_int_equal(f->rows.items[1].kto_tag, 0);
    check_str(to_json(f, &f->rows.items[1], WEFT_FORMAT_ALPACA, false), kto);
    check_str(to_json(f, &f->rows.items[2], WEFT_FORMAT_SHAREGPT, false), share);
    check_str(to_json(f, &f->rows.items[2], WEFT_FORMAT_ALPACA, false),
              "{\"instruction\":\"q\",\"input\":\"\",\"chosen\":\"好\",\"rejected\":\"坏\"}");
}

static void test_text_rows_are_read_where_nothing_else_is(void **state)
{
    struct fixture *f = *state;
    parse(f, "{\"text\":\"一段\"}\n{\"instruction\":\"i\",\"output\":\"o\",\"text\":\"别的\"}\n");
    check_str(f->rows.items[0].text, "一段");
    assert_int_equal(f->rows.items[0].n_turns, 0);
    assert_null(f->rows.items[1].text.s);
    check_str(f->rows.items[1].extra, "{\"text\":\"别的\"}");
    assert_int_equal(f->shape.format, WEFT_FORMAT_AUTO);
}

static void test_columns_rename_members_and_tags(void **state)
{
    struct fixture *f = *state;
    const char *alpaca[] = { "instruction=question", "response=answer" };
    const char *share[] = { "conversations=dialog", "from=who", "value=said", "human=user", "gpt=bot" };
    struct weft_rows_settings s = { .columns = { alpaca, 2 } };
    check_ok(parse_with(f, "{\"question\":\"q\",\"answer\":\"a\",\"output\":\"unread\"}", &s), &f->err);
    check_turn(f->rows.items, 1, WEFT_ROLE_ASSISTANT, "a");
    check_str(f->rows.items[0].extra, "{\"output\":\"unread\"}");
    /* The writer needs the name "output" itself, and no key may come twice. */
    check_str(to_json(f, f->rows.items, WEFT_FORMAT_ALPACA, false),
              "{\"instruction\":\"q\",\"input\":\"\",\"output\":\"a\",\"_output\":\"unread\"}");
    check_ok(parse_with(f, "{\"question\":\"q\",\"answer\":\"a\",\"output\":1,\"_output\":2}", &s), &f->err);
    check_str(to_json(f, f->rows.items, WEFT_FORMAT_ALPACA, false),
              "{\"instruction\":\"q\",\"input\":\"\",\"output\":\"a\",\"__output\":1,\"_output\":2}");
    s.columns = (struct weft_str_list){ share, 5 };
    check_ok(parse_with(
                 f, "{\"dialog\":[{\"who\":\"user\",\"said\":\"q\"},{\"who\":\"bot\",\"said\":\"a\"}]}", &s),
             &f->err);
    check_turn(f->rows.items, 1, WEFT_ROLE_ASSISTANT, "a");
}

/* ---- bad rows ---- */

static void test_bad_rows_are_left_out_with_rule_and_place(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *row, *rule, *words, *at;       /* at: what stands at the place named; NULL: any */
    } cases[] = {
        { "[1]", "DS1", "not an object", "[1]" },
        { "{\"q\":\"x\",\"a\":\"y\"}", "DS2", "found q, a", "{\"q\"" },
        { "{\"instruction\":\"x\",\"output\":\"y\",\"messages\":[]}", "DS2", "two shapes", "{\"instr" },
        { "{\"instruction\":1,\"output\":\"y\"}", "DS3", "instruction is not a string: found a number", "1," },
        { "{\"instruction\":\"x\"}", "DS3", "output is missing", "{\"instr" },
        { "{\"instruction\":\"x\",\"output\":null}", "DS3", "output is not a string", "null" },
        { "{\"instruction\":\"x\",\"output\":\"y\",\"input\":[]}", "DS3", "input is not a string", "[]}" },
        { "{\"instruction\":\"x\",\"output\":\"y\",\"history\":\"q\"}", "DS3", "history", "\"q\"}" },
        { "{\"instruction\":\"x\",\"output\":\"y\",\"history\":[[\"q\"]]}", "DS3", "history", "[\"q\"]" },
        { "{\"instruction\":\"x\",\"output\":\"y\",\"history\":[[\"q\",1]]}", "DS3", "item 1", "[\"q\",1" },
        { "{\"instruction\":\"x\",\"output\":\"y\",\"kto_tag\":1}", "DS3", "kto_tag", "1}" },
        { "{\"conversations\":[]}", "DS4", "empty", "[]}" },
        { "{\"conversations\":[{\"from\":\"human\",\"value\":\"x\"}]}", "DS4", "no answer", "{\"from" },
        { "{\"conversations\":[{\"from\":\"gpt\",\"value\":\"x\"},{\"from\":\"human\",\"value\":\"y\"}]}", "DS4", "alternate", "{\"from" },
        { "{\"conversations\":[{\"from\":\"usr\",\"value\":\"x\"}]}", "DS4", "turn 1 is from \"usr\"", "\"usr\"" },
        { "{\"conversations\":[{\"from\":\"human\",\"text\":\"x\"}]}", "DS4", "lacks from or value", "{\"from" },
        { "{\"conversations\":[{\"from\":\"human\",\"value\":\"x\"},{\"from\":\"system\",\"value\":\"y\"}]}", "DS4", "stands first", "{\"from\":\"sys" },
        { "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}", "DS5", "not from the assistant", "{\"role" },
        { "{\"messages\":[{\"role\":\"bot\",\"content\":\"x\"}]}", "DS5", "from \"bot\"", "\"bot" },
        { "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\"}]}]}", "DS5", "text parts", "{\"type" },
        { "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"},{\"role\":\"system\",\"content\":\"x\"}]}", "DS5", "stands first", "{\"role\":\"sys" },
        { "{\"messages\":[{\"role\":\"user\"}]}", "DS5", "lacks its content", "{\"role" },
        { "{\"instruction\":\"x\",\"output\":\"y\",\"tools\":\"{\"}", "DS6", "tools is not JSON", "\"{\"}" },
        { "{\"conversations\":[{\"from\":\"human\",\"value\":\"x\"},{\"from\":\"function_call\",\"value\":\"f()\"}]}", "DS6", "not JSON", "\"f()" },
        { "{\"conversations\":[{\"from\":\"human\",\"value\":\"x\"},{\"from\":\"function_call\",\"value\":\"{}\"}]}", "DS6", "lacks name", "\"{}\"" },
        { "{\"instruction\":\"x\",\"output\":\"y\"", "JS2", "expected", NULL },
        { "{\"instruction\":\"x\",\"output\":\"y\",}", "JS2", "comma", NULL },
        { "{\"instruction\":\"x\",\"output\":\"y\",\"output\":\"z\"}", "JS4", "twice", NULL },
        { "{\"instruction\":\"x\",\"output\":\"\\ud800\"}", "JS5", "surrogate", NULL },
        { "{\"instruction\":\"x\",\"output\":\"\xFF\"}", "JS1", "UTF-8", NULL },
    };
    for (size_t i = 0; i < WEFT_COUNT(cases); i++) {
        char text[512], place[64];
        snprintf(text, sizeof text, "{\"instruction\":\"好\",\"output\":\"行\"}\n%s\n", cases[i].row);
        parse(f, text);
        assert_int_equal(f->rows.n, 1);
        assert_int_equal(f->report.n_places, 1);
        const char *at = cases[i].at ? strstr(cases[i].row, cases[i].at) : NULL;
        assert_true(at || !cases[i].at);
        if (at) snprintf(place, sizeof place, "t.jsonl:2:%zd: %s: ", at - cases[i].row + 1, cases[i].rule);
        else snprintf(place, sizeof place, " %s: ", cases[i].rule);
        const char *got = f->report.places[0].s;
        if (!strstr(got, place) || !strstr(got, cases[i].words) || strncmp(got, "t.jsonl:2:", 10))
            fail_msg("row %s\ngot \"%s\"\nexpected \"%s ... %s\"", cases[i].row, got, place, cases[i].words);
        assert_int_equal(weft_report_dropped(&f->report), 1);
        assert_true(weft_str_starts(f->report.drops[0].reason, weft_str_c(cases[i].rule)));
    }
}

static void test_in_an_array_a_double_key_costs_its_row_and_other_faults_the_file(void **state)
{
    struct fixture *f = *state;
    parse(
        f,
        "[{\"instruction\":\"一\",\"output\":\"}\"},\n {\"instruction\":\"x\",\"instruction\":\"y]\",\"output\":\"\\\"}\"},\n"
        " {\"instruction\":\"三\",\"output\":\"z\"}, 5]");
    assert_int_equal(f->rows.n, 2);
    check_turn(&f->rows.items[1], 0, WEFT_ROLE_USER, "三");
    assert_int_equal(f->report.n_places, 2);
    assert_true(weft_str_starts(f->report.places[0], WEFT_STR("t.jsonl:2:21: JS4: ")));
    assert_true(weft_str_starts(f->report.places[1], WEFT_STR("t.jsonl:3:36: DS1: ")));
    check_fails(
        parse_with(f, "[{\"instruction\":\"一\",\"output\":\"二\"},\n {\"instruction\":\"x\",}]", NULL),
        &f->err, WEFT_EINPUT, "JS2", "t.jsonl:2:");
    check_fails(parse_with(f, "[{\"instruction\":\"一\",\"output\":\"二\"}", NULL), &f->err, WEFT_EINPUT,
                "JS2", "t.jsonl:1:");
    check_fails(parse_with(f, "[{\"instruction\":\"一\",\"output\":\"二\"}]\nx", NULL), &f->err, WEFT_EINPUT,
                "JS2", "t.jsonl:2:1");
}

static void test_a_file_without_a_good_row_is_refused(void **state)
{
    struct fixture *f = *state;
    check_fails(parse_with(f, "{\"a\":1}\n", NULL), &f->err, WEFT_EINPUT, "DS9", "t.jsonl:1:1: DS2");
    check_fails(parse_with(f, "", NULL), &f->err, WEFT_EINPUT, "DS9", "empty");
    check_fails(parse_with(f, " \n\n", NULL), &f->err, WEFT_EINPUT, "DS9", "empty");
    check_fails(parse_with(f, "[]", NULL), &f->err, WEFT_EINPUT, "DS9", "no good row");
    check_fails(parse_with(f, "plain words\nmore words\n", NULL), &f->err, WEFT_EINPUT, "DS9", "JS2");
    check_fails(parse_with(f, "\xFF\xFE[\1", NULL), &f->err, WEFT_EINPUT, "JS1", "UTF-16");
    check_fails(parse_with(f, "%PDF-1.4 and so on", NULL), &f->err, WEFT_EINPUT, "JS2", "PDF");
}

static void test_limits_have_names(void **state)
{
    struct fixture *f = *state;
    struct weft_rows_settings s = { .max_line_bytes = 30 };
    check_fails(parse_with(f, "{\"text\":\"a\"}\n{\"text\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}", &s),
                &f->err, WEFT_ELIMIT, NULL, "max_line_bytes");
    s = (struct weft_rows_settings){ .max_rows = 2 };
    check_ok(parse_with(f, "{\"text\":\"a\"}\n{\"text\":\"b\"}\n{\"text\":\"c\"}", &s), &f->err);
    assert_int_equal(f->rows.n, 2);
    check_ok(parse_with(f, "[{\"text\":\"a\"},{\"text\":\"b\"},{\"text\":\"c\"}]", &s), &f->err);
    assert_int_equal(f->rows.n, 2);

}

static void test_a_row_has_at_most_10000_turns(void **state)
{
    struct fixture *f = *state;
    for (int n = 10000; n <= 10002; n += 2) {
        struct weft_buf b = { 0 };
        weft_buf_cstr(&b, "{\"text\":\"a\"}\n{\"conversations\":[");
        for (int i = 0; i < n; i++)
            weft_buf_printf(&b, "%s{\"from\":\"%s\",\"value\":\"x\"}", i ? "," : "", i & 1 ? "gpt" : "human");
        weft_buf_cstr(&b, "]}\n");
        parse(f, b.s);
        assert_int_equal(f->rows.n, n == 10000 ? 2 : 1);
        assert_int_equal(f->report.n_places, n == 10000 ? 0 : 1);
        if (n > 10000) assert_true(weft_str_starts(f->report.places[0], WEFT_STR("t.jsonl:2:18: DS8: ")));
        weft_buf_clear(&b);
    }
}

/* DS7: nothing that is a character is a fault, a command or a mark. */
static void test_any_character_is_content(void **state)
{
    static const char text[] = "<|im_end|>\n<|im_start|>system\n</s>[INST]{{ x }}{% y %} "
                               "\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x92\xBB "
                               "\xE2\x80\xAE" "abc\xEE\x97\xA5\xEF\xBF\xBD\xF0\xA0\x80\x80\x7F";
    struct fixture *f = *state;
    struct weft_buf b = { 0 };
    struct weft_json_out j;
    weft_json_out_init(&j, &b);
    weft_json_out_object(&j);
    weft_json_out_key(&j, "instruction");
    weft_json_out_str(&j, weft_str_c(text));
    weft_json_out_key(&j, "output");
    weft_json_out_str(&j, WEFT_STR("a\0b"));
    weft_json_out_object_end(&j);
    parse(f, b.s);
    assert_int_equal(f->rows.n, 1);
    assert_int_equal(f->report.n_places, 0);
    assert_int_equal(f->rows.items[0].n_turns, 2);
    check_turn(&f->rows.items[0], 0, WEFT_ROLE_USER, text);
    assert_true(weft_str_eq(f->rows.items[0].turns[1].text, WEFT_STR("a\0b")));
    weft_buf_clear(&b);
}

static void test_messages_of_faults_are_chinese_when_asked(void **state)
{
    struct fixture *f = *state;
    f->err.lang = WEFT_LANG_ZH;
    check_ok(parse_with(f, "{\"text\":\"a\"}\n[1]\n", NULL), &f->err);
    assert_non_null(strstr(f->report.places[0].s, "DS1: 一行应当是一个 JSON 对象"));
    check_str(f->report.drops[0].reason, "DS1: a row is not an object");
}

/* ---- unknown members, origins, round trips ---- */

static void test_unknown_members_and_origin_are_kept_and_written_back(void **state)
{
    struct fixture *f = *state;
    const char *row =
        "{\"instruction\":\"i\",\"input\":\"\",\"output\":\"o\",\"score\":4.5,\"tags\":[\"a\",{\"b\":null}],"
        "\"weft\":{\"id\":\"s000007\",\"src\":{\"file\":\"剧本.txt\",\"sha256\":\"ab\",\"part\":\"word/document.xml\",\"line\":3,"
        "\"last_line\":4,\"bytes\":[10,99],\"page\":12},\"via\":\"script/default@1\",\"episode\":\"第一集\",\"scene\":\"第二幕\",\"speaker\":\"甲\","
        "\"prompt_speaker\":\"乙\",\"confidence\":0.75,"
        "\"flags\":[\"merged\",\"chorus\"],\"parents\":[\"s1\"]}}";
    parse(f, row);
    const struct weft_origin *o = &f->rows.items[0].origin;
    check_str(o->id, "s000007");
    check_str(o->flags, "merged,chorus");
    assert_int_equal(o->last_line, 4);
    assert_int_equal(o->byte_end, 99);
    assert_int_equal(o->page, 12);
    check_str(o->part, "word/document.xml");
    assert_true(o->confidence == 0.75);
    check_str(f->rows.items[0].extra, "{\"score\":4.5,\"tags\":[\"a\",{\"b\":null}]}");
    check_str(to_json(f, &f->rows.items[0], WEFT_FORMAT_ALPACA, true), row);
    check_str(to_json(f, &f->rows.items[0], WEFT_FORMAT_ALPACA, false),
              "{\"instruction\":\"i\",\"input\":\"\",\"output\":\"o\",\"score\":4.5,\"tags\":[\"a\",{\"b\":null}]}");
    /* A member of that name which is not ours does no harm. */
    parse(
        f,
        "{\"instruction\":\"i\",\"output\":\"o\",\"weft\":{\"id\":7,\"src\":[],\"flags\":{},\"instruction_bytes\":99999}}\n"
        "{\"instruction\":\"i\",\"output\":\"o\",\"weft\":\"cloth\"}");
    assert_int_equal(f->rows.n, 2);
    check_str(to_json(f, &f->rows.items[0], WEFT_FORMAT_ALPACA, false),
              "{\"instruction\":\"i\",\"input\":\"\",\"output\":\"o\"}");
}

static void test_alpaca_to_sharegpt_to_alpaca_is_equal(void **state)
{
    struct fixture *f = *state;
    static const char *const rows[] = {
        "{\"instruction\":\"翻译\",\"input\":\"你好\\n世界\",\"output\":\"hello\",\"system\":\"译者\",\"history\":[[\"q\",\"a\"],[\"\",\"\"]],\"x\":[1]}",
        "{\"instruction\":\"两\\n行\",\"input\":\"\",\"output\":\"\"}",
        "{\"instruction\":\"\",\"input\":\"只有输入\",\"output\":\"y\",\"system\":\"\"}",
        "{\"instruction\":\"i\",\"input\":\"\",\"output\":\"o\",\"tools\":\"[{\\\"name\\\": \\\"f\\\"}]\",\"kto_tag\":true}",
    };
    static const enum weft_format through[] = { WEFT_FORMAT_SHAREGPT, WEFT_FORMAT_MESSAGES };
    for (size_t k = 0; k < WEFT_COUNT(through); k++)
        for (size_t i = 0; i < WEFT_COUNT(rows); i++) {
            if (through[k] == WEFT_FORMAT_MESSAGES && i == 3) continue;    /* tools become a list there */
            parse(f, rows[i]);
            struct weft_str other = to_json(f, f->rows.items, through[k], true);
            parse(f, other.s);
            assert_int_equal(f->shape.format, through[k]);
            check_str(to_json(f, f->rows.items, WEFT_FORMAT_ALPACA, true), rows[i]);
        }
}

static void test_files_are_written_whole_and_read_back_equal(void **state)
{
    struct fixture *f = *state;
    const char *folder = check_folder();
    static const char *const names[] = { "a.jsonl", "a.json" };
    parse(
        f,
        "{\"instruction\":\"一\",\"input\":\"\",\"output\":\"二\\n\\\"三\\\"\"}\n{\"instruction\":\"四\",\"input\":\"\",\"output\":\"五\"}\n");
    struct weft_rows rows = f->rows;
    for (int i = 0; i < 2; i++) {
        const char *path = weft_path_join(&f->arena, folder, names[i]);
        struct weft_str first, second;
        check_ok(weft_rows_write(path, NULL, &rows, &f->err), &f->err);
        check_ok(weft_file_read(&f->arena, path, 0, &first, &f->err), &f->err);
        struct weft_rows again = { 0 };
        check_ok(weft_rows_read(&f->arena, path, NULL, &again, NULL, &f->shape, &f->err), &f->err);
        assert_int_equal(f->shape.layout, i ? WEFT_LAYOUT_ARRAY : WEFT_LAYOUT_JSONL);
        assert_false(f->shape.mislabelled);
        check_ok(weft_rows_write(path, NULL, &again, &f->err), &f->err);
        check_ok(weft_file_read(&f->arena, path, 0, &second, &f->err), &f->err);
        assert_true(weft_str_eq(first, second));
        if (i)      /* json.dump(rows, f, ensure_ascii=False, indent=4) */
            check_str(
                first,
                "[\n    {\n        \"instruction\": \"一\",\n        \"input\": \"\",\n        \"output\": \"二\\n\\\"三\\\"\"\n    },\n"
                "    {\n        \"instruction\": \"四\",\n        \"input\": \"\",\n        \"output\": \"五\"\n    }\n]");
        else
            check_str(
                first,
                "{\"instruction\":\"一\",\"input\":\"\",\"output\":\"二\\n\\\"三\\\"\"}\n{\"instruction\":\"四\",\"input\":\"\",\"output\":\"五\"}\n");
    }
    /* A row that cannot be written leaves the old file as it was, and what was written before it whole. */
    struct weft_rows_writer w = { 0 };
    struct weft_rows_writer_settings s = { .format = WEFT_FORMAT_TEXT };
    const char *path = weft_path_join(&f->arena, folder, "a.json");
    check_ok(weft_rows_writer_open(&w, path, &s, &f->err), &f->err);
    check_fails(weft_rows_writer_add(&w, &rows.items[0], &f->err), &f->err, WEFT_EINPUT, NULL, "conversation");
    weft_rows_writer_close(&w);
    weft_err_clear(&f->err);
    check_ok(weft_rows_read(&f->arena, path, NULL, &f->rows, NULL, NULL, &f->err), &f->err);
    check_folder_gone(folder);
}

static void test_rows_written_by_threads_are_those_written_one_by_one(void **state)
{
    struct fixture *f = *state;
    enum { ROWS = 5000 };
    const char *folder = check_folder(), *path = weft_path_join(&f->arena, folder, "a.jsonl");
    struct weft_rows rows = { 0 };
    struct weft_buf want = { 0 };
    for (size_t i = 0; i < ROWS; i++) {
        struct weft_row *row = weft_rows_add(&rows, &f->arena);
        row->turns = WEFT_NEWS(&f->arena, struct weft_turn, 2);
        row->n_turns = 2;
        row->turns[0] = (struct weft_turn){ WEFT_ROLE_USER, weft_str_printf(&f->arena, "问 %zu", i) };
        row->turns[1] = (struct weft_turn){ WEFT_ROLE_ASSISTANT,
                                            weft_str_printf(&f->arena, "答 %0*d", (int)(i % 97), 0) };
        weft_buf_str(&want, to_json(f, row, WEFT_FORMAT_ALPACA, true));
        weft_buf_char(&want, '\n');
    }
    for (int64_t threads = 1; threads <= 5; threads += 2) {
        struct weft_str got;
        check_ok(weft_rows_write(path, &(struct weft_rows_writer_settings){ .threads = threads }, &rows, &f->err),
                 &f->err);
        check_ok(weft_file_read(&f->arena, path, 0, &got, &f->err), &f->err);
        assert_true(weft_str_eq(got, weft_buf_view(&want)));
    }
    /* Two rows that Alpaca cannot hold: the first is told, and the file stays as it was. */
    rows.items[4000].turns[1].role = WEFT_ROLE_USER;
    rows.items[3000].n_turns = 1;
    for (int64_t threads = 1; threads <= 5; threads += 2) {
        struct weft_str got;
        check_fails(weft_rows_write(path, &(struct weft_rows_writer_settings){ .threads = threads }, &rows, &f->err),
                    &f->err, WEFT_EINPUT, NULL, "this row has 1 turns");
        weft_err_clear(&f->err);
        check_ok(weft_file_read(&f->arena, path, 0, &got, &f->err), &f->err);
        assert_true(weft_str_eq(got, weft_buf_view(&want)));
    }
    weft_buf_clear(&want);
    check_folder_gone(folder);
}

static enum weft_status count_row(void *ctx, const struct weft_row *row, struct weft_err *err)
{
    (void)err;
    uint64_t *sum = ctx;
    *sum += row->n_turns == 2 ? row->turns[1].text.len : 1000000;
    return WEFT_OK;
}

static void test_each_reads_a_large_file_in_little_memory(void **state)
{
    struct fixture *f = *state;
    const char *folder = check_folder(), *layouts[] = { "big.jsonl", "big.json" };
    for (int k = 0; k < 2; k++) {
        const char *path = weft_path_join(&f->arena, folder, layouts[k]);
        struct weft_buf b = { 0 };
        if (k) weft_buf_char(&b, '[');
        for (int i = 0; i < 20000; i++)
            weft_buf_printf(
                &b, "%s{\"instruction\":\"问\\n%d\",\"output\":\"答\\t\",\"a\":[[[[[[[[[[[[%d]]]]]]]]]]]]}%s",
                k && i ? ",\n" : "", i, i, k ? "" : "\n");
        if (k) weft_buf_char(&b, ']');
        check_ok(weft_file_write(path, weft_buf_view(&b), &f->err), &f->err);
        weft_buf_clear(&b);
        struct weft_report report = { 0 };
        uint64_t sum = 0;
        size_t before = f->arena.used_bytes;
        check_ok(weft_rows_each(&f->arena, path, NULL, count_row, &sum, &report, NULL, &f->err), &f->err);
        assert_int_equal(report.rows_out, 20000);
        assert_int_equal(sum, 20000 * 4);
        assert_true(f->arena.used_bytes - before < 16384);
    }
    check_folder_gone(folder);
}

/* Many faults in one line, or one long line without end: time grows with length, not with its square. */
static void test_hostile_arrays_take_linear_time(void **state)
{
    struct fixture *f = *state;
    struct weft_buf b = { 0 };
    weft_buf_cstr(&b, "[{\"text\":\"a\"}");
    for (int i = 0; i < 60000; i++) weft_buf_cstr(&b, ",{\"a\":1,\"a\":2}");
    for (int i = 0; i < 60000; i++) weft_buf_cstr(&b, ",7");
    weft_buf_char(&b, ']');
    parse(f, b.s);
    assert_int_equal(weft_report_dropped(&f->report), 120000);
    assert_int_equal(f->report.n_places, WEFT_REPORT_PLACES);
    weft_buf_clear(&b);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_layout_is_told_by_content),
        TEST(test_lines_end_at_lf_and_nowhere_else),
        TEST(test_alpaca_joins_instruction_and_input),
        TEST(test_sharegpt_with_tools_is_read),
        TEST(test_messages_are_read_with_parts_and_calls),
        TEST(test_one_side_may_speak_twice_in_messages),
        TEST(test_preference_and_kto_members_survive),
        TEST(test_text_rows_are_read_where_nothing_else_is),
        TEST(test_columns_rename_members_and_tags),
        TEST(test_bad_rows_are_left_out_with_rule_and_place),
        TEST(test_in_an_array_a_double_key_costs_its_row_and_other_faults_the_file),
        TEST(test_a_file_without_a_good_row_is_refused),
        TEST(test_limits_have_names),
        TEST(test_a_row_has_at_most_10000_turns),
        TEST(test_any_character_is_content),
        TEST(test_messages_of_faults_are_chinese_when_asked),
        TEST(test_unknown_members_and_origin_are_kept_and_written_back),
        TEST(test_alpaca_to_sharegpt_to_alpaca_is_equal),
        TEST(test_files_are_written_whole_and_read_back_equal),
        TEST(test_rows_written_by_threads_are_those_written_one_by_one),
        TEST(test_each_reads_a_large_file_in_little_memory),
        TEST(test_hostile_arrays_take_linear_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
