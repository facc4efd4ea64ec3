/* What is repaired, masked and left out, what is logged, and what passes untouched. */
#include "check.h"

#include "dataset/clean.h"
#include "dataset/formats.h"

struct fixture {
    struct weft_arena arena;
    struct weft_err err;
    struct weft_clean *c;
    struct weft_rows rows;
    struct weft_clean_result *results;
};

#define FIXTURE_CLEAR(f) weft_clean_free((f)->c)
#include "fixture.h"

static void clean(struct fixture *f, const struct weft_clean_settings *s, const char *jsonl)
{
    f->rows = (struct weft_rows){ 0 };
    check_ok(weft_rows_parse(&f->arena, "t", weft_str_c(jsonl), NULL, &f->rows, NULL, NULL, &f->err),
             &f->err);
    weft_clean_free(f->c);
    f->c = NULL;
    check_ok(weft_clean_new(&f->c, s, &f->err), &f->err);
    f->results = WEFT_NEWS(&f->arena, struct weft_clean_result, f->rows.n);
    for (size_t i = 0; i < f->rows.n; i++)
        check_ok(weft_clean_row(f->c, &f->arena, &f->rows.items[i], &f->results[i], &f->err), &f->err);
    const struct weft_clean_counts *k = weft_clean_counts(f->c);
    assert_int_equal(k->rows_in, f->rows.n);
    assert_int_equal(k->rows_in, k->rows_out + weft_report_dropped(&k->report));
}

static const char *row_json(struct fixture *f, const struct weft_row *row, enum weft_format format)
{
    struct weft_buf b = { 0 };
    struct weft_json_out o;
    weft_json_out_init(&o, &b);
    check_ok(weft_row_to_json(&o, row, format, true, &f->err), &f->err);
    const char *copy = weft_arena_strndup(&f->arena, b.s, b.len);
    weft_buf_clear(&b);
    return copy;
}

#define ROW(q, a) "{\"instruction\":\"" q "\",\"output\":\"" a "\"}\n"
enum { ALL_REPAIRS = (1 << WEFT_N_REPAIRS) - 1 };

static void check_answer(struct fixture *f, unsigned repairs, const char *json_answer, const char *want)
{
    struct weft_buf b = { 0 };
    weft_buf_printf(&b, "{\"instruction\":\"问\",\"output\":\"%s\"}", json_answer);
    clean(f, &(struct weft_clean_settings){ .repairs = repairs }, b.s);
    check_str(f->results[0].row.turns[1].text, want);
    weft_buf_clear(&b);
}

static void test_each_repair_does_its_own_and_no_other(void **state)
{
    struct fixture *f = *state;
    check_answer(f, 1 << WEFT_REPAIR_TRIM, " 　好 的\\n", "好 的");
    check_answer(f, 1 << WEFT_REPAIR_LINES, "一\\r\\n二\\r三\\n\\n\\n\\n四", "一\n二\n三\n\n四");
    check_answer(f, 1 << WEFT_REPAIR_STRAY, "好\\u0007的\\u200b\\t啊", "好的\t啊");
    check_answer(f, 1 << WEFT_REPAIR_NFC, "e\\u0301", "\u00e9");
    check_answer(f, 1 << WEFT_REPAIR_NEWLINES, "一\\\\n二", "一\n二");
    check_answer(f, 1 << WEFT_REPAIR_NOTES, "【这句有误】好【注】。", "好。");
    check_answer(f, 1 << WEFT_REPAIR_DIRECTIONS, "（笑）好(起身)。北京（Beijing）", "好。北京（Beijing）");
    check_answer(f, 1 << WEFT_REPAIR_MOJIBAKE, "æˆ‘æ˜¯", "我是");
    check_answer(f, 0, " （笑）【注】\\r\\n ", " （笑）【注】\r\n ");
    check_answer(f, ALL_REPAIRS, " （笑）\\r\\n【注】好\\\\n的 ", "好\n的");
}

static void test_changes_are_handed_out_with_before_and_after(void **state)
{
    struct fixture *f = *state;
    clean(
        f, &(struct weft_clean_settings){ .repairs = ALL_REPAIRS },
        "{\"instruction\":\"问 \",\"output\":\"（笑）答\",\"system\":\" 你\",\"weft\":{\"flags\":[\"merged\"]}}\n" ROW(
            "问", "答"));
    assert_int_equal(f->results[0].n_changes, 3);
    const struct weft_change *c = f->results[0].changes;
    assert_string_equal(c[0].what, "trim");
    check_str(c[0].where, "system");
    check_str(c[0].before, " 你");
    check_str(c[0].after, "你");
    check_str(c[1].where, "turn 1");
    assert_string_equal(c[2].what, "directions");
    check_str(f->results[0].row.origin.flags, "merged,cleaned");
    check_str(f->rows.items[0].turns[1].text, "（笑）答"); /* the row given is as it was */
    assert_int_equal(f->results[1].n_changes, 0);
    assert_ptr_equal(f->results[1].row.turns, f->rows.items[1].turns);
    assert_int_equal(weft_clean_counts(f->c)->changed, 1);
    assert_int_equal(weft_clean_counts(f->c)->repairs[WEFT_REPAIR_TRIM], 2);
}

static void test_instruction_and_input_stay_two(void **state)
{
    struct fixture *f = *state;
    clean(
        f, &(struct weft_clean_settings){ .repairs = 1 << WEFT_REPAIR_TRIM },
        "{\"instruction\":\" 翻译 \",\"input\":\" 你好 \",\"output\":\"hi\"}\n{\"instruction\":\"翻译\",\"input\":\" \",\"output\":\"hi\"}\n");
    check_contains(row_json(f, &f->results[0].row, WEFT_FORMAT_ALPACA),
                   "{\"instruction\":\"翻译\",\"input\":\"你好\",\"output\":\"hi\"");
    check_contains(row_json(f, &f->results[1].row, WEFT_FORMAT_ALPACA),
                   "{\"instruction\":\"翻译\",\"input\":\"\",\"output\":\"hi\"");
}

static void test_private_data_is_masked_everywhere_or_drops_the_row(void **state)
{
    struct fixture *f = *state;
    const char *rows =
        "{\"instruction\":\"打13812345678\",\"output\":\"好\",\"system\":\"a@b.cn\"}\n" ROW("问", "答");
    clean(f, &(struct weft_clean_settings){ .mask = WEFT_PII_ALL }, rows);
    check_str(f->results[0].row.turns[0].text, "打[PHONE]****");
    check_str(f->results[0].row.system, "[MAIL]");
    check_str(f->results[0].row.origin.flags, "masked");
    assert_int_equal(weft_clean_counts(f->c)->masked[WEFT_PII_MOBILE], 1);
    assert_int_equal(weft_clean_counts(f->c)->rows_out, 2);
    clean(f, &(struct weft_clean_settings){ .drop_pii = 1u << WEFT_PII_EMAIL }, rows);
    assert_false(f->results[0].kept);
    check_str(f->results[0].reason, "private data");
    assert_true(f->results[1].kept);
    clean(f, &(struct weft_clean_settings){ .drop_pii = 1u << WEFT_PII_IPV4 }, rows);
    assert_true(f->results[0].kept);
}

static void test_signs_are_judged_after_repairs(void **state)
{
    struct fixture *f = *state;
    struct weft_clean_settings s = { .drop = 1u << WEFT_Q_DIRECTION | 1u << WEFT_Q_EMPTY_ANSWER };
    clean(f, &s, ROW("问", "（笑）好") ROW("问", "") ROW("问", "（笑）"));
    check_str(f->results[0].reason, "quality: direction");
    check_str(f->results[1].reason, "quality: empty_answer");
    s.repairs = 1 << WEFT_REPAIR_DIRECTIONS;
    clean(f, &s, ROW("问", "（笑）好") ROW("问", "") ROW("问", "（笑）"));
    assert_true(f->results[0].kept);
    check_str(f->results[2].reason, "quality: empty_answer");
}

static void test_so_many_answers_are_kept_for_one_prompt(void **state)
{
    struct fixture *f = *state;
    clean(f, &(struct weft_clean_settings){ .keep_per_prompt = 2 },
          ROW("问", "一") ROW(" 问", "二") ROW("问", "三") ROW("问", "一") ROW("另", "三") ROW("问", "三")
              ROW("问", "四"));
    static const bool want[] = { true, true, false, true, true, false, false };
    for (size_t i = 0; i < WEFT_COUNT(want); i++) assert_int_equal(f->results[i].kept, want[i]);
    check_str(f->results[2].reason, "enough answers to this prompt");
    /* many prompts: the table grows */
    struct weft_buf b = { 0 };
    for (int i = 0; i < 9000; i++) weft_buf_printf(&b, ROW("问题%d", "答%d"), i % 3000, i);
    clean(f, &(struct weft_clean_settings){ .keep_per_prompt = 2 }, b.s);
    assert_int_equal(weft_clean_counts(f->c)->rows_out, 6000);
    weft_buf_clear(&b);
}

static void test_filters_by_origin_and_length(void **state)
{
    struct fixture *f = *state;
    const char *a[] = { "甄嬛" }, *b[] = { "皇帝", "皇后" }, *flags[] = { "self" };
    const char *rows =
        "{\"instruction\":\"问\",\"output\":\"答\",\"weft\":{\"speaker\":\"甄嬛\",\"prompt_speaker\":\"皇帝\"}}\n"
        "{\"instruction\":\"问\",\"output\":\"答\",\"weft\":{\"speaker\":\"甄嬛\",\"prompt_speaker\":\"眉庄\"}}\n"
        "{\"instruction\":\"问\",\"output\":\"答\",\"weft\":{\"speaker\":\"甄嬛\",\"prompt_speaker\":\"皇后\",\"flags\":[\"merged\",\"self\"]}}\n" ROW(
            "问", "答");
    clean(f,
          &(struct weft_clean_settings){
              .speakers = { a, 1 }, .prompt_speakers = { b, 2 }, .flags = { flags, 1 } },
          rows);
    assert_true(f->results[0].kept);
    check_str(f->results[1].reason, "another speaker asks");
    check_str(f->results[2].reason, "has a flag");
    check_str(f->results[3].reason, "another speaker");
    clean(f, &(struct weft_clean_settings){ .min_chars = 3, .max_chars = 4 },
          ROW("问", "答") ROW("问", "答案") ROW("问", "答案很长"));
    check_str(f->results[0].reason, "too short");
    assert_true(f->results[1].kept);
    check_str(f->results[2].reason, "too long");
}

static void test_preference_and_kto_rows_pass_untouched(void **state)
{
    struct fixture *f = *state;
    struct weft_clean_settings s = { .repairs = ALL_REPAIRS,
                                     .mask = WEFT_PII_ALL,
                                     .drop_pii = WEFT_PII_ALL,
                                     .drop = (1u << WEFT_N_QUALITY) - 1,
                                     .keep_per_prompt = 1,
                                     .min_chars = 1000 };
    const char *rows = "{\"instruction\":\" 打13812345678 \",\"chosen\":\" 好\",\"rejected\":\"\"}\n"
                       "{\"instruction\":\" 打13812345678 \",\"output\":\"\",\"kto_tag\":false}\n";
    clean(f, &s, rows);
    for (size_t i = 0; i < 2; i++) {
        assert_true(f->results[i].kept);
        assert_int_equal(f->results[i].n_changes, 0);
        assert_string_equal(row_json(f, &f->results[i].row, WEFT_FORMAT_ALPACA),
                            row_json(f, &f->rows.items[i], WEFT_FORMAT_ALPACA));
    }
    assert_int_equal(weft_clean_counts(f->c)->judged, 2);
    /* asked for, they are worked on */
    s = (struct weft_clean_settings){ .repairs = ALL_REPAIRS, .mask = WEFT_PII_ALL, .judged = true };
    clean(f, &s, rows);
    check_str(f->results[0].row.turns[0].text, "打[PHONE]****");
    check_str(f->results[0].row.chosen.text, "好");
}

static void test_names_of_repairs_and_kinds(void **state)
{
    (void)state;
    struct weft_err err = { 0 };
    const char *items[] = { "trim", "notes" }, *all[] = { "all" }, *wrong[] = { "mobil" };
    unsigned bits;
    check_ok(weft_repair_bits(&(struct weft_str_list){ items, 2 }, &bits, &err), &err);
    assert_int_equal(bits, 1 << WEFT_REPAIR_TRIM | 1 << WEFT_REPAIR_NOTES);
    check_ok(weft_pii_bits(&(struct weft_str_list){ all, 1 }, &bits, &err), &err);
    assert_int_equal(bits, WEFT_PII_ALL);
    check_refuses(weft_pii_bits(&(struct weft_str_list){ wrong, 1 }, &bits, &err), &err, WEFT_EARG, NULL,
                  "mobile");
}

static void test_memory_that_runs_out_is_an_error(void **state)
{
    struct fixture *f = *state;
    size_t refused = 0;
    struct weft_clean_settings s = { .repairs = ALL_REPAIRS, .mask = WEFT_PII_ALL };
    clean(f, &s, ROW(" 打13812345678 ", " （笑）好\\\\n的 "));
    for (size_t limit = 64; limit < 4096; limit += 64) {
        struct weft_arena small = { .max_bytes = limit, .block_bytes = 64 };
        struct weft_clean_result r;
        weft_err_clear(&f->err);
        enum weft_status st = weft_clean_row(f->c, &small, &f->rows.items[0], &r, &f->err);
        assert_true(st == WEFT_OK || (st == WEFT_ENOMEM && f->err.msg[0]));
        refused += st != WEFT_OK;
        weft_arena_clear(&small);
    }
    assert_true(refused > 3);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_each_repair_does_its_own_and_no_other),
        TEST(test_changes_are_handed_out_with_before_and_after),
        TEST(test_instruction_and_input_stay_two),
        TEST(test_private_data_is_masked_everywhere_or_drops_the_row),
        TEST(test_signs_are_judged_after_repairs),
        TEST(test_so_many_answers_are_kept_for_one_prompt),
        TEST(test_filters_by_origin_and_length),
        TEST(test_preference_and_kto_rows_pass_untouched),
        TEST(test_names_of_repairs_and_kinds),
        TEST(test_memory_that_runs_out_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
