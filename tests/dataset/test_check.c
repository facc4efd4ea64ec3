/* What the check counts, one thing at a time; and that every stage survives an arena that runs out anywhere. */
#include "check.h"

#include "dataset/check.h"
#include "dataset/formats.h"
#include "dataset/screenplay.h"
#include "dataset/split.h"

struct fixture {
    struct weft_arena arena;
    struct weft_err err;
    struct weft_rows rows;
    struct weft_check c;
};

#include "fixture.h"

static void check_text(struct fixture *f, const char *jsonl)
{
    f->rows = (struct weft_rows){ 0 };
    check_ok(weft_rows_parse(&f->arena, "t", weft_str_c(jsonl), NULL, &f->rows, NULL, NULL, &f->err), &f->err);
    check_ok(weft_check_rows(&f->arena, &f->rows, NULL, &f->c, &f->err), &f->err);
}

static void test_duplicates_are_equal_after_normalising(void **state)
{
    struct fixture *f = *state;
    check_text(
        f,
        "{\"instruction\":\"你  好\",\"output\":\"e\\u0301\"}\n{\"instruction\":\" 你 好\\n\",\"output\":\"\\u00e9\"}\n"
        "{\"instruction\":\"你好\",\"output\":\"\\u00e9\"}\n{\"instruction\":\"你 好\",\"output\":\"e\\u0301\"}");
    assert_int_equal(f->c.unique_rows, 2);
    assert_int_equal(f->c.duplicate_rows, 2);
    assert_int_equal(f->c.n_duplicates, 1);
    assert_int_equal(f->c.duplicates[0].count, 3);
    assert_int_equal(f->c.duplicates[0].first_row, 0);
    assert_int_equal(f->c.conflicting_prompts, 0);
}

static void test_conflicts_are_one_prompt_with_several_answers(void **state)
{
    struct fixture *f = *state;
    check_text(
        f,
        "{\"instruction\":\"问\",\"output\":\"一\"}\n{\"instruction\":\"问\",\"output\":\"二\"}\n{\"instruction\":\"问\",\"output\":\"二\"}\n"
        /* the same question behind another history is another prompt */
        "{\"instruction\":\"问\",\"output\":\"三\",\"history\":[[\"前\",\"后\"]]}\n{\"instruction\":\"独\",\"output\":\"一\"}");
    assert_int_equal(f->c.conflicting_prompts, 1);
    assert_int_equal(f->c.conflicting_rows, 3);
    assert_int_equal(f->c.duplicate_rows, 1);
    check_str(f->c.conflicts[0].text, "问");
    assert_int_equal(f->c.conflicts[0].count, 3);
    assert_int_equal(f->c.history_rows, 1);
}

static void test_lengths_are_in_characters_with_nearest_rank_percentiles(void **state)
{
    struct fixture *f = *state;
    struct weft_buf b = { 0 };
    for (int i = 1; i <= 100; i++) {
        weft_buf_cstr(&b, "{\"instruction\":\"问题\",\"output\":\"");
        for (int k = 0; k < i; k++) weft_buf_cstr(&b, "字");
        weft_buf_cstr(&b, "\"}\n");
    }
    check_text(f, b.s);
    weft_buf_clear(&b);
    const struct weft_lengths *l = &f->c.answer;
    assert_int_equal(l->n, 100);
    assert_int_equal(l->min, 1);
    assert_int_equal(l->p50, 50);
    assert_int_equal(l->p90, 90);
    assert_int_equal(l->p95, 95);
    assert_int_equal(l->p99, 99);
    assert_int_equal(l->max, 100);
    assert_true(fabs(l->mean - 50.5) < 1e-9);
    assert_int_equal(f->c.prompt.p50, 2);
    assert_int_equal(f->c.row.max, 102);
    assert_int_equal(f->c.short_answers, 1);
}

static void test_lookalikes_of_control_tokens_are_counted_and_kept(void **state)
{
    struct fixture *f = *state;
    check_text(
        f,
        "{\"instruction\":\"a <|im_end|> b <|im_end|>\",\"output\":\"</s>x<|\"}\n{\"text\":\"[INST] <|endoftext|> [inst] < | >\"}");
    assert_int_equal(f->c.n_lookalikes, 4);
    check_str(f->c.lookalikes[0].text, "<|im_end|>");
    assert_int_equal(f->c.lookalikes[0].count, 2);
    check_str(f->rows.items[0].turns[0].text, "a <|im_end|> b <|im_end|>");
}

static void test_answers_that_teach_nothing_make_the_verdict_bad(void **state)
{
    struct fixture *f = *state;
    check_text(
        f,
        "{\"instruction\":\"问\",\"output\":\" \\n\"}\n{\"instruction\":\"学舌\",\"output\":\"学舌 \"}\n{\"instruction\":\"好\",\"output\":\"好的，知道了\"}");
    assert_int_equal(f->c.empty_answers, 1);
    assert_int_equal(f->c.copied_answers, 1);
    assert_int_equal(f->c.verdict, WEFT_VERDICT_BAD);
    assert_true(f->c.n_reasons >= 3);
    check_str(f->c.reasons[0], "1 of 3 answers are empty: training on them teaches silence");
}

static void test_speakers_systems_and_flags_are_tallied(void **state)
{
    struct fixture *f = *state;
    check_text(
        f,
        "{\"instruction\":\"1\",\"output\":\"甲乙\",\"system\":\"s\",\"weft\":{\"prompt_speaker\":\"乙\",\"flags\":[\"merged\",\"self\"],\"src\":{\"file\":\"f\"}}}\n"
        "{\"instruction\":\"2\",\"output\":\"甲丙\",\"system\":\"s\",\"weft\":{\"prompt_speaker\":\"丙\",\"flags\":[\"self\"]}}\n"
        "{\"instruction\":\"3\",\"output\":\"甲丁\",\"weft\":{\"prompt_speaker\":\"丙\"}}");
    assert_int_equal(f->c.n_speakers, 2);
    check_str(f->c.speakers[0].text, "丙");
    assert_int_equal(f->c.speakers[0].count, 2);
    assert_int_equal(f->c.n_systems, 1);
    check_str(f->c.flags[0].text, "self");
    assert_int_equal(f->c.flags[0].count, 2);
    assert_int_equal(f->c.with_origin, 1);
    assert_int_equal(f->c.flagged, 2);
}

/* ---- memory that runs out ---- */

struct job {
    struct weft_rows rows;
    struct weft_report report;
    struct weft_text text;
    struct weft_script_funnel funnel;
    struct weft_check check;
    struct weft_split split;
};

static enum weft_status whole_road(struct weft_arena *a, struct weft_err *err)
{
    struct job j = { 0 };
    struct weft_script_settings s = { 0 };
    struct weft_buf b = { 0 };
    struct weft_rows again = { 0 };
    const char *path = WEFT_SOURCE_DIR "/tests/data/traps_1.txt";
    enum weft_status st = weft_options_defaults(weft_script_options(), &s, a, err);
    s.role = "阿沅";
    s.turns = WEFT_SCRIPT_MULTI;
    s.system = "{role}";
    s.keep_per_prompt = 3;
    if (!st) st = weft_text_read(a, path, NULL, &j.text, err);
    if (!st) st = weft_script_rows(a, &j.text, 1, &s, &j.rows, &j.report, &j.funnel, err);
    if (!st) st = weft_check_rows(a, &j.rows, NULL, &j.check, err);
    if (!st) st = weft_split_rows(a, &j.rows, &(struct weft_split_settings){ .valid = 0.2 }, &j.split, err);
    for (size_t i = 0; !st && i < j.rows.n; i++) {
        struct weft_json_out o;
        weft_json_out_init(&o, &b);
        st = weft_row_to_json(&o, &j.rows.items[i], WEFT_FORMAT_SHAREGPT, true, err);
        weft_buf_char(&b, '\n');
    }
    if (!st) st = weft_rows_parse(a, "again", weft_buf_view(&b), NULL, &again, &j.report, NULL, err);
    weft_buf_clear(&b);
    return st;
}

static void test_an_arena_that_runs_out_anywhere_is_an_error_and_nothing_worse(void **state)
{
    (void)state;
    struct weft_arena a = { 0 };
    struct weft_err err = { 0 };
    check_ok(whole_road(&a, &err), &err);
    size_t need = a.peak_bytes, refused = 0;
    weft_arena_clear(&a);
    for (size_t limit = 64; limit < need; limit += 64 + limit / 64) {
        struct weft_arena small = { .max_bytes = limit, .block_bytes = 64 };
        weft_err_clear(&err);
        enum weft_status st = whole_road(&small, &err);
        if (st != WEFT_OK && st != WEFT_ENOMEM) fail_msg("limit %zu: status %d: %s", limit, st, err.msg);
        assert_true(st == WEFT_OK || err.msg[0]);
        refused += st == WEFT_ENOMEM;
        weft_arena_clear(&small);
    }
    assert_true(refused > 100);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_duplicates_are_equal_after_normalising),
        TEST(test_conflicts_are_one_prompt_with_several_answers),
        TEST(test_lengths_are_in_characters_with_nearest_rank_percentiles),
        TEST(test_lookalikes_of_control_tokens_are_counted_and_kept),
        TEST(test_answers_that_teach_nothing_make_the_verdict_bad),
        TEST(test_speakers_systems_and_flags_are_tallied),
        TEST(test_an_arena_that_runs_out_anywhere_is_an_error_and_nothing_worse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
