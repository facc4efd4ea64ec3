/* Golden numbers of docs/training.md 8.1: torch 2.x and numpy 1.26. */
#include "check.h"

#include "dataset/permute.h"

static void test_mt19937_gives_torch_numbers(void **state)
{
    (void)state;
    static const uint32_t want[] = { 1608637542u, 3421126067u, 4083286876u, 787846414u };
    struct weft_mt19937 g;
    weft_mt19937_init(&g, 42);
    for (size_t i = 0; i < WEFT_COUNT(want); i++) assert_int_equal(weft_mt19937_u32(&g), want[i]);
    /* Seeds are taken modulo 2^32. */
    weft_mt19937_init(&g, 42 + (UINT64_C(1) << 32));
    assert_int_equal(weft_mt19937_u32(&g), want[0]);
}

static void check_order(const uint32_t *got, const uint32_t *want, size_t n)
{
    for (size_t i = 0; i < n; i++) assert_int_equal(got[i], want[i]);
}

static void test_randperm_equals_torch(void **state)
{
    (void)state;
    static const uint32_t ten42[] = { 2, 6, 1, 8, 4, 5, 0, 9, 3, 7 },
                          ten43[] = { 8, 4, 9, 0, 5, 1, 6, 7, 2, 3 };
    static const uint32_t seven0[] = { 4, 0, 5, 3, 2, 6, 1 }, thousand42[] = { 542, 618, 816, 68 };
    uint32_t out[1000];
    weft_randperm(42, 10, out);
    check_order(out, ten42, 10);
    weft_randperm(43, 10, out);
    check_order(out, ten43, 10);
    weft_randperm(0, 7, out);
    check_order(out, seven0, 7);
    weft_randperm(42, 1000, out);
    check_order(out, thousand42, 4);
    weft_randperm(42, 1, out);
    assert_int_equal(out[0], 0);
    weft_randperm(42, 0, out);
}

static void test_permutation_equals_numpy(void **state)
{
    (void)state;
    static const uint32_t ten42[] = { 5, 6, 0, 7, 3, 2, 4, 9, 1, 8 };
    uint32_t out[10];
    weft_numpy_permutation(42, 10, out);
    check_order(out, ten42, 10);
}

static void test_permutations_have_every_number_once(void **state)
{
    (void)state;
    enum { N = 5000 };
    static uint32_t out[N];
    static unsigned char seen[N];
    for (int which = 0; which < 2; which++) {
        memset(seen, 0, sizeof seen);
        if (which) weft_numpy_permutation(7, N, out);
        else weft_randperm(7, N, out);
        for (size_t i = 0; i < N; i++) {
            assert_true(out[i] < N && !seen[out[i]]);
            seen[out[i]] = 1;
        }
    }
}

static void test_val_size_is_a_fraction_or_a_count(void **state)
{
    (void)state;
    assert_int_equal(weft_val_count(101, 0.1), 11);
    assert_int_equal(weft_val_count(100, 0.1), 10);
    assert_int_equal(weft_val_count(100, 7), 7);
    assert_int_equal(weft_val_count(5, 7), 5);
    assert_int_equal(weft_val_count(5, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mt19937_gives_torch_numbers),
        cmocka_unit_test(test_randperm_equals_torch),
        cmocka_unit_test(test_permutation_equals_numpy),
        cmocka_unit_test(test_permutations_have_every_number_once),
        cmocka_unit_test(test_val_size_is_a_fraction_or_a_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
