#include "base/rng.h"
#include "check.h"

/* The known answers that come with the paper's own code, for ten rounds. */
static void test_philox_known_answers(void **state)
{
    static const struct {
        uint32_t counter[4], key[2], want[4];
    } rows[] = {
        { { 0, 0, 0, 0 }, { 0, 0 }, { 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 } },
        { { 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff },
          { 0xffffffff, 0xffffffff },
          { 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd } },
        { { 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344 },
          { 0xa4093822, 0x299f31d0 },
          { 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 } },
    };
    for (size_t i = 0; i < WEFT_COUNT(rows); i++) {
        uint32_t out[4];
        weft_philox(rows[i].key[0], rows[i].key[1], rows[i].counter, out);
        for (int k = 0; k < 4; k++) assert_int_equal(out[k], rows[i].want[k]);
    }
}

static void test_sequence_is_a_function_of_its_count(void **state)
{
    struct weft_rng r, again;
    uint32_t first[100];
    weft_rng_init(&r, 42, WEFT_RNG_TEST, 7);
    for (int i = 0; i < 100; i++) first[i] = weft_rng_u32(&r);
    assert_int_equal(r.drawn, 100);
    for (int i = 0; i < 100; i++) {
        weft_rng_init(&again, 42, WEFT_RNG_TEST, 7);
        again.drawn = (uint64_t)i;
        assert_int_equal(weft_rng_u32(&again), first[i]);
    }
}

/* Frozen: every run, adapter and dropout mask depends on these.  Taken at each place within a block of four. */
static void test_draws_are_built_from_words_in_order(void **state)
{
    for (uint64_t start = 0; start < 8; start++) {
        struct weft_rng words, r;
        weft_rng_init(&words, 42, WEFT_RNG_TEST, 7);
        words.drawn = start;
        r = words;
        uint64_t a = weft_rng_u32(&words), b = weft_rng_u32(&words);
        assert_true(weft_rng_below(&r, UINT64_MAX) == (a << 32 | b));
        assert_int_equal(r.drawn, start + 2);
        r.drawn = start;
        assert_true(weft_rng_f64(&r) == (double)((a >> 5) << 26 | b >> 6) * 0x1p-53);
        r.drawn = start;
        float want = (float)(sqrt(-2 * log(((double)a + 0.5) * 0x1p-32))
                             * cos(6.283185307179586 * (double)b * 0x1p-32));
        check_near(weft_rng_normal(&r), want, 1e-6 * fabs(want));
        assert_int_equal(r.drawn, start + 2);
    }
}

static void test_streams_differ(void **state)
{
    struct weft_rng r[6];
    weft_rng_init(&r[0], 1, WEFT_RNG_INIT, 0);
    weft_rng_init(&r[1], 2, WEFT_RNG_INIT, 0);
    weft_rng_init(&r[2], 1, WEFT_RNG_DROPOUT, 0);
    weft_rng_init(&r[3], 1, WEFT_RNG_INIT, 1);
    weft_rng_init(&r[4], 1, WEFT_RNG_INIT, 1ull << 32);
    weft_rng_init(&r[5], 1 + (1ull << 32), WEFT_RNG_INIT, 0);
    uint32_t first[6];
    for (int i = 0; i < 6; i++) {
        first[i] = weft_rng_u32(&r[i]);
        for (int k = 0; k < i; k++) assert_int_not_equal(first[i], first[k]);
    }
}

static void test_below_is_even(void **state)
{
    struct weft_rng r;
    int count[7] = { 0 };
    enum { N = 70000 };
    weft_rng_init(&r, 3, WEFT_RNG_TEST, 0);
    for (int i = 0; i < N; i++) count[weft_rng_below(&r, 7)]++;
    double chi2 = 0;
    for (int i = 0; i < 7; i++) chi2 += (count[i] - N / 7.0) * (count[i] - N / 7.0) / (N / 7.0);
    assert_true(chi2 < 22.46); /* 6 degrees of freedom, p = 0.001 */
    for (int i = 0; i < 100; i++) assert_int_equal(weft_rng_below(&r, 1), 0);
    for (int i = 0; i < 100; i++) assert_true(weft_rng_below(&r, UINT64_MAX) < UINT64_MAX);
}

static void test_reals_stay_in_range_and_have_their_moments(void **state)
{
    struct weft_rng r;
    enum { N = 200000 };
    double sum = 0, sum2 = 0, normal = 0, normal2 = 0, normal4 = 0;
    weft_rng_init(&r, 5, WEFT_RNG_TEST, 0);
    for (int i = 0; i < N; i++) {
        float f = weft_rng_f32(&r);
        double d = weft_rng_f64(&r), x = weft_rng_normal(&r);
        assert_true(f >= 0 && f < 1 && d >= 0 && d < 1 && isfinite(x));
        sum += d;
        sum2 += d * d;
        normal += x;
        normal2 += x * x;
        normal4 += x * x * x * x;
    }
    check_near(sum / N, 0.5, 0.003);
    check_near(sum2 / N, 1.0 / 3, 0.003);
    check_near(normal / N, 0, 0.01);
    check_near(normal2 / N, 1, 0.015);
    check_near(normal4 / N, 3, 0.1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_philox_known_answers),
        cmocka_unit_test(test_sequence_is_a_function_of_its_count),
        cmocka_unit_test(test_draws_are_built_from_words_in_order),
        cmocka_unit_test(test_streams_differ),
        cmocka_unit_test(test_below_is_even),
        cmocka_unit_test(test_reals_stay_in_range_and_have_their_moments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
