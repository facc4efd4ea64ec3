/* Figures and hints, one at a time. */
#include "check.h"

#include "dataset/formats.h"
#include "dataset/stats.h"

struct fixture {
    struct weft_arena arena;
    struct weft_err err;
    struct weft_rows rows;
    struct weft_stats s;
};

#include "fixture.h"

static void stats(struct fixture *f, const char *jsonl, const struct weft_row_tokens *tokens)
{
    f->rows = (struct weft_rows){ 0 };
    check_ok(weft_rows_parse(&f->arena, "t", weft_str_c(jsonl), NULL, &f->rows, NULL, NULL, &f->err),
             &f->err);
    check_ok(weft_stats_rows(&f->arena, &f->rows, tokens, &f->s, &f->err), &f->err);
}

#define ROW(q, a) "{\"instruction\":\"" q "\",\"output\":\"" a "\"}\n"

static void test_bins_are_1_2_5_and_lengths_know_their_5_percent(void **state)
{
    (void)state;
    static const uint64_t first[WEFT_LENGTH_BINS] = { 0,   1,   2,    5,    10,   20,    50,   100,
                                                      200, 500, 1000, 2000, 5000, 10000, 20000 };
    uint32_t len[40];
    struct weft_lengths l = { 0 };
    for (size_t i = 0; i < WEFT_LENGTH_BINS; i++) assert_int_equal(weft_length_bin(i), first[i]);
    for (uint32_t i = 0; i < 40; i++) len[i] = 40 - i; /* 1 ... 40 */
    assert_true(weft_lengths_of(len, 40, &l));
    assert_int_equal(l.p5, 2);
    assert_int_equal(l.p50, 20);
    assert_int_equal(l.p95, 38);
    assert_int_equal(l.bins[1], 1); /* 1 */
    assert_int_equal(l.bins[2], 3); /* 2 3 4 */
    assert_int_equal(l.bins[3], 5); /* 5 ... 9 */
    assert_int_equal(l.bins[4], 10);
    assert_int_equal(l.bins[5], 21); /* 20 ... 40 */
}

static void test_letters_and_the_main_script_of_rows(void **state)
{
    struct fixture *f = *state;
    stats(f,
          ROW("你好，world", "三 3") ROW("Hello", "there") ROW("こんにちは", "今日は天気がいい")
              ROW("Привет", "안") ROW("12", "3！"),
          NULL);
    assert_int_equal(f->s.letters[WEFT_LETTER_HAN], 3 + 4);
    assert_int_equal(f->s.letters[WEFT_LETTER_LATIN], 5 + 10);
    assert_int_equal(f->s.letters[WEFT_LETTER_KANA], 5 + 4);
    assert_int_equal(f->s.letters[WEFT_LETTER_CYRILLIC], 6);
    assert_int_equal(f->s.letters[WEFT_LETTER_HANGUL], 1);
    assert_int_equal(f->s.letters[WEFT_LETTER_DIGIT], 1 + 3);
    assert_int_equal(f->s.letters[WEFT_LETTER_MARK], 2);
    assert_int_equal(f->s.mostly[WEFT_LETTER_LATIN], 2);
    assert_int_equal(f->s.mostly[WEFT_LETTER_KANA], 1);
    assert_int_equal(f->s.mostly[WEFT_LETTER_CYRILLIC], 1);
    assert_int_equal(f->s.mostly[WEFT_LETTER_DIGIT], 1);
}

static void test_speakers_and_ways_are_counted(void **state)
{
    struct fixture *f = *state;
    stats(
        f,
        "{\"instruction\":\"1\",\"output\":\"a\",\"weft\":{\"speaker\":\"甲\",\"via\":\"script/default@1\"}}\n"
        "{\"instruction\":\"2\",\"output\":\"b\",\"weft\":{\"speaker\":\"乙\",\"prompt_speaker\":\"甲\"}}\n"
        "{\"instruction\":\"3\",\"output\":\"c\",\"weft\":{\"speaker\":\"乙\"}}\n",
        NULL);
    assert_int_equal(f->s.n_speakers, 2);
    check_str(f->s.speakers[0].text, "乙");
    assert_int_equal(f->s.speakers[0].count, 2);
    check_str(f->s.check.speakers[0].text, "甲");
    check_str(f->s.vias[0].text, "script/default@1");
    assert_int_equal(f->s.tokens.n, 0);
    assert_int_equal(f->s.cutoff_len, 0);
}

/* As many tokens as the number in the question; questions of -1 are refused. */
static enum weft_status count(void *ctx, const struct weft_row *row, uint64_t *tokens, bool *counted,
                              struct weft_err *err)
{
    (void)ctx, (void)err;
    long n = strtol(row->turns[0].text.s, NULL, 10);
    *tokens = (uint64_t)n;
    *counted = n >= 0;
    return WEFT_OK;
}

static void suggest(struct fixture *f, size_t n, size_t n_long, long length)
{
    struct weft_buf b = { 0 };
    struct weft_row_tokens tokens = { count, NULL };
    for (size_t i = 0; i < n; i++) weft_buf_printf(&b, ROW("%ld ", "a"), i < n_long ? length : 100);
    weft_buf_cstr(&b, ROW("-1 ", "a"));
    stats(f, b.s, &tokens);
    weft_buf_clear(&b);
}

static void test_the_smallest_cutoff_that_cuts_less_than_one_in_a_hundred(void **state)
{
    struct fixture *f = *state;
    suggest(f, 200, 1, 600);
    assert_int_equal(f->s.cutoff_len, 512);
    assert_int_equal(f->s.longer[0], 1);
    assert_int_equal(f->s.not_counted, 1);
    assert_int_equal(f->s.tokens.n, 200);
    suggest(f, 200, 2, 600); /* one in a hundred is too many */
    assert_int_equal(f->s.cutoff_len, 1024);
    suggest(f, 200, 2, 1025);
    assert_int_equal(f->s.cutoff_len, 2048);
    suggest(f, 200, 2, 512); /* not longer than it */
    assert_int_equal(f->s.cutoff_len, 512);
    suggest(f, 200, 150, 5000);
    assert_int_equal(f->s.cutoff_len, 2048);
    assert_int_equal(f->s.longer[2], 150);
}

static void test_epochs_go_down_with_the_logarithm_of_the_rows(void **state)
{
    (void)state;
    static const struct {
        uint64_t rows;
        int from, to, middle;
    } cases[] = { { 0, 0, 0, 0 },     { 1, 10, 20, 15 }, { 100, 10, 20, 15 }, { 316, 8, 15, 11 },
                  { 1000, 5, 10, 8 }, { 3162, 4, 8, 6 }, { 10000, 2, 5, 4 },  { 1000000, 2, 5, 4 } };
    for (size_t i = 0; i < WEFT_COUNT(cases); i++) {
        int from, to, middle;
        weft_suggest_epochs(cases[i].rows, &from, &to, &middle);
        if (from != cases[i].from || to != cases[i].to || middle != cases[i].middle)
            fail_msg("%d rows: %d to %d, %d", (int)cases[i].rows, from, to, middle);
    }
}

static void test_findings_name_the_first_row_and_turn(void **state)
{
    struct fixture *f = *state;
    struct weft_findings x;
    stats(f,
          ROW("问", "好的呀") ROW("打13812345678或13912345678", "（笑）好") ROW("问", "打13812345678")
              ROW("问", "（叹气）唉"),
          NULL);
    weft_find_rows(&f->rows, NULL, &x);
    assert_int_equal(x.signs[WEFT_Q_DIRECTION].rows, 2);
    assert_int_equal(x.signs[WEFT_Q_DIRECTION].first_row, 1);
    assert_int_equal(x.signs[WEFT_Q_DIRECTION].first_turn, 1);
    assert_int_equal(x.rows_with_signs, 2);
    assert_int_equal(x.pii[WEFT_PII_MOBILE].rows, 2);
    assert_int_equal(x.pii[WEFT_PII_MOBILE].pieces, 3);
    assert_int_equal(x.pii[WEFT_PII_MOBILE].first_row, 1);
    assert_int_equal(x.pii[WEFT_PII_MOBILE].first_turn, 0);
    assert_int_equal(x.rows_with_pii, 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_bins_are_1_2_5_and_lengths_know_their_5_percent),
        TEST(test_letters_and_the_main_script_of_rows),
        TEST(test_speakers_and_ways_are_counted),
        TEST(test_the_smallest_cutoff_that_cuts_less_than_one_in_a_hundred),
        TEST(test_epochs_go_down_with_the_logarithm_of_the_rows),
        TEST(test_findings_name_the_first_row_and_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
