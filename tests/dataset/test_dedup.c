/* Which rows stay, which row each of the others names, and that threads do not matter. */
#include "check.h"

#include "dataset/dedup.h"
#include "dataset/formats.h"

struct fixture {
    struct weft_arena arena;
    struct weft_err err;
    struct weft_dedup *d;
    struct weft_dedup_result r;
};

#define FIXTURE_CLEAR(f) weft_dedup_free((f)->d)
#include "fixture.h"

static void dedup(struct fixture *f, const struct weft_dedup_settings *s, const char *jsonl)
{
    struct weft_rows rows = { 0 };
    check_ok(weft_rows_parse(&f->arena, "t", weft_str_c(jsonl), NULL, &rows, NULL, NULL, &f->err), &f->err);
    weft_dedup_free(f->d);
    f->d = NULL;
    check_ok(weft_dedup_new(&f->d, s, &f->err), &f->err);
    for (size_t i = 0; i < rows.n; i++) check_ok(weft_dedup_add(f->d, &rows.items[i], &f->err), &f->err);
    check_ok(weft_dedup_finish(f->d, NULL, NULL, &f->r, &f->err), &f->err);
    assert_int_equal(f->r.n, f->r.kept + f->r.exact + f->r.near);
}

#define ROW(q, a) "{\"instruction\":\"" q "\",\"output\":\"" a "\"}\n"

static void check_fate(const struct fixture *f, size_t row, enum weft_dedup_kind kind, size_t equals)
{
    if (f->r.fates[row].kind != kind || f->r.fates[row].row != equals)
        fail_msg("row %zu: kind %d of row %u, expected kind %d of row %zu", row, f->r.fates[row].kind,
                 f->r.fates[row].row, kind, equals);
}

static void test_the_first_of_equal_and_of_near_rows_stays(void **state)
{
    struct fixture *f = *state;
    dedup(f, &(struct weft_dedup_settings){ 0 },
          ROW("春眠不觉晓", "夜来风雨声，花落知多少") ROW("床前明月光", "疑是地上霜")
              ROW(" 春眠不觉晓\\n", "夜来风雨声，花落知多少") ROW("春眠不觉晓", "夜来风雨声，花落知多少！")
                  ROW("春眠不觉晓", "夜来风雨声，花落知多少！"));
    check_fate(f, 0, WEFT_ROW_KEPT, 0);
    check_fate(f, 1, WEFT_ROW_KEPT, 1);
    check_fate(f, 2, WEFT_ROW_EXACT, 0);
    check_fate(f, 3, WEFT_ROW_NEAR, 0);
    check_near((double)f->r.fates[3].jaccard, 15.0 / 16, 1e-6);
    check_fate(f, 4, WEFT_ROW_NEAR, 0); /* equal to a row that went: it names the one that stays */
    assert_int_equal(f->r.kept, 2);
}

static void test_exact_alone_leaves_near_rows(void **state)
{
    struct fixture *f = *state;
    dedup(f, &(struct weft_dedup_settings){ .exact = true },
          ROW("春眠不觉晓", "夜来风雨声，花落知多少") ROW("春眠不觉晓", "夜来风雨声，花落知多少！")
              ROW("春眠不觉晓", "夜来风雨声，花落知多少"));
    assert_int_equal(f->r.kept, 2);
    check_fate(f, 2, WEFT_ROW_EXACT, 0);
}

static void test_the_longest_stays_when_asked_for(void **state)
{
    struct fixture *f = *state;
    struct weft_dedup_settings s = { .keep = WEFT_KEEP_LONGEST };
    dedup(f, &s,
          ROW("春眠不觉晓", "夜来风雨声，花落知多少") ROW("春眠不觉晓", "夜来风雨声，花落知多少！！")
              ROW("甲", "乙") ROW("春眠不觉晓       ", "夜来风雨声，花落知多少"));
    check_fate(f, 0, WEFT_ROW_NEAR, 1);
    check_fate(f, 1, WEFT_ROW_KEPT, 1);
    check_fate(f, 2, WEFT_ROW_KEPT, 2);
    check_fate(f, 3, WEFT_ROW_NEAR, 1);
    /* one prompt, several answers: the row with the longest answer */
    s.field = WEFT_FIELD_PROMPT;
    dedup(f, &s, ROW("问", "短") ROW("问", "长一些") ROW("问", "最长的回答") ROW("另问", "短"));
    check_fate(f, 0, WEFT_ROW_EXACT, 2);
    check_fate(f, 1, WEFT_ROW_EXACT, 2);
    check_fate(f, 3, WEFT_ROW_KEPT, 3);
}

static void test_a_field_may_be_compared_alone(void **state)
{
    struct fixture *f = *state;
    const char *rows = ROW("同一个问题", "甲") ROW("同一个问题", "乙") ROW("别的问题", "乙");
    dedup(f, &(struct weft_dedup_settings){ .field = WEFT_FIELD_PROMPT }, rows);
    check_fate(f, 1, WEFT_ROW_EXACT, 0);
    check_fate(f, 2, WEFT_ROW_KEPT, 2);
    dedup(f, &(struct weft_dedup_settings){ .field = WEFT_FIELD_ANSWER }, rows);
    check_fate(f, 1, WEFT_ROW_KEPT, 1);
    check_fate(f, 2, WEFT_ROW_EXACT, 1);
    dedup(f, &(struct weft_dedup_settings){ 0 }, rows);
    assert_int_equal(f->r.kept, 3);
    /* rows without that field are compared as wholes */
    dedup(f, &(struct weft_dedup_settings){ .field = WEFT_FIELD_PROMPT },
          ROW("", "甲") ROW("", "乙") ROW("", "甲") ROW("甲", "丙"));
    assert_int_equal(f->r.kept, 3);
    check_fate(f, 2, WEFT_ROW_EXACT, 0);
}

static void test_history_counts_and_the_system_text_does_not(void **state)
{
    struct fixture *f = *state;
    dedup(f, &(struct weft_dedup_settings){ .exact = true },
          "{\"instruction\":\"问\",\"output\":\"答\"}\n"
          "{\"instruction\":\"问\",\"output\":\"答\",\"system\":\"你是甲\"}\n"
          "{\"instruction\":\"问\",\"output\":\"答\",\"history\":[[\"前\",\"后\"]]}\n");
    check_fate(f, 1, WEFT_ROW_EXACT, 0);
    check_fate(f, 2, WEFT_ROW_KEPT, 2);
}

static void test_preference_and_kto_rows_are_doubles_only_as_wholes(void **state)
{
    struct fixture *f = *state;
    dedup(f, &(struct weft_dedup_settings){ .field = WEFT_FIELD_PROMPT },
          ROW("问题在此", "答") "{\"instruction\":\"问题在此\",\"output\":\"答\",\"kto_tag\":true}\n"
                                "{\"instruction\":\"问题在此\",\"output\":\"答\",\"kto_tag\":false}\n"
                                "{\"instruction\":\"问题在此\",\"chosen\":\"好\",\"rejected\":\"坏\"}\n"
                                "{\"instruction\":\"问题在此\",\"chosen\":\"好\",\"rejected\":\"差\"}\n"
                                "{\"instruction\":\"问题在此\",\"chosen\":\"好\",\"rejected\":\"坏\"}\n"
                                "{\"instruction\":\"问题在此\",\"output\":\"答\",\"kto_tag\":true}\n");
    assert_int_equal(f->r.kept, 5);
    assert_int_equal(f->r.judged, 6);
    check_fate(f, 5, WEFT_ROW_EXACT, 3);
    check_fate(f, 6, WEFT_ROW_EXACT, 1);
}

static void test_text_rows_are_compared_by_their_text(void **state)
{
    struct fixture *f = *state;
    dedup(
        f, &(struct weft_dedup_settings){ .field = WEFT_FIELD_ANSWER },
        "{\"text\":\"话说天下大势，分久必合\"}\n{\"text\":\"话说天下大势，分久必合。\"}\n{\"text\":\"却说\"}\n");
    check_fate(f, 1, WEFT_ROW_NEAR, 0);
    check_fate(f, 2, WEFT_ROW_KEPT, 2);
}

/* Families of near rows, more than one batch of them; `out` gets a copy of the fates. */
static void many(struct fixture *f, int threads, struct weft_dedup_fate *out, size_t n)
{
    struct weft_pool *pool = NULL;
    struct weft_turn turns[2];
    struct weft_row row = { .turns = turns, .n_turns = 2, .kto_tag = -1 };
    uint64_t seed = 1;
    check_ok(weft_pool_new(&pool, threads, &f->err), &f->err);
    weft_dedup_free(f->d);
    f->d = NULL;
    check_ok(weft_dedup_new(&f->d, &(struct weft_dedup_settings){ 0 }, &f->err), &f->err);
    char text[3 * 30 + 1] = "";
    for (size_t i = 0; i < n; i++) {
        if (i % 4 == 0)
            for (size_t k = 0; k < 30; k++)
                weft_utf8_encode(0x4E00 + check_random(&seed) % 3000, text + 3 * k);
        else weft_utf8_encode(0x4E00 + check_random(&seed) % 3000, text + 3 * (check_random(&seed) % 30));
        turns[0] = (struct weft_turn){ WEFT_ROLE_USER, { text, 45 } };
        turns[1] = (struct weft_turn){ WEFT_ROLE_ASSISTANT, { text + 45, 45 } };
        check_ok(weft_dedup_add(f->d, &row, &f->err), &f->err);
    }
    check_ok(weft_dedup_finish(f->d, pool, NULL, &f->r, &f->err), &f->err);
    memcpy(out, f->r.fates, n * sizeof *out);
    weft_pool_free(pool);
}

static void test_threads_do_not_change_the_result(void **state)
{
    struct fixture *f = *state;
    enum { ROWS = 10000 };
    static struct weft_dedup_fate one[ROWS], four[ROWS];
    many(f, 1, one, ROWS);
    many(f, 4, four, ROWS);
    for (size_t i = 0; i < ROWS; i++)
        if (one[i].row != four[i].row || one[i].kind != four[i].kind || one[i].jaccard != four[i].jaccard)
            fail_msg("row %zu differs", i);
    assert_in_range(f->r.near, ROWS / 2, ROWS); /* three of four are made from the row before */
    assert_true(f->r.kept >= ROWS / 4);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_the_first_of_equal_and_of_near_rows_stays),
        TEST(test_exact_alone_leaves_near_rows),
        TEST(test_the_longest_stays_when_asked_for),
        TEST(test_a_field_may_be_compared_alone),
        TEST(test_history_counts_and_the_system_text_does_not),
        TEST(test_preference_and_kto_rows_are_doubles_only_as_wholes),
        TEST(test_text_rows_are_compared_by_their_text),
        TEST(test_threads_do_not_change_the_result),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
