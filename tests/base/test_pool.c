#include "base/pool.h"
#include "check.h"

enum { CHUNKS = 257, PER_CHUNK = 1000 };

struct sums {
    float out[CHUNKS];
    int done[CHUNKS]; /* how often each chunk was computed */
    int threads;
    bool bad_thread;
};

static void sum_chunk(void *ctx, size_t chunk, int thread)
{
    struct sums *s = ctx;
    float sum = 0;
    for (int i = 0; i < PER_CHUNK; i++) sum += 1.0f / (float)(chunk * PER_CHUNK + (size_t)i + 1);
    s->out[chunk] = sum;
    s->done[chunk]++;
    if (thread < 0 || thread >= s->threads) __atomic_store_n(&s->bad_thread, true, __ATOMIC_RELAXED);
}

static void test_any_number_of_threads_gives_the_same_bits(void **state)
{
    static const int counts[] = { 1, 2, 5 };
    struct weft_err err = { 0 };
    struct sums want = { .threads = 1 };
    weft_pool_run(NULL, CHUNKS, sum_chunk, &want);
    for (size_t i = 0; i < WEFT_COUNT(counts); i++) {
        struct weft_pool *p;
        struct sums got = { .threads = counts[i] };
        check_ok(weft_pool_new(&p, counts[i], &err), &err);
        assert_int_equal(weft_pool_threads(p), counts[i]);
        weft_pool_run(p, CHUNKS, sum_chunk, &got);
        assert_memory_equal(got.out, want.out, sizeof want.out);
        for (int c = 0; c < CHUNKS; c++) assert_int_equal(got.done[c], 1);
        assert_false(got.bad_thread);
        weft_pool_free(p);
    }
}

static void count_chunk(void *ctx, size_t chunk, int thread)
{
    int *done = ctx;
    done[chunk]++;
}

/* Every region must see all its chunks once, however quickly the next follows; now and then the workers are let
 * fall asleep. */
static void test_many_regions(void **state)
{
    struct weft_err err = { 0 };
    struct weft_pool *p;
    int done[9] = { 0 };
    enum { REGIONS = 3000 };
    check_ok(weft_pool_new(&p, 4, &err), &err);
    for (int r = 0; r < REGIONS; r++) {
        weft_pool_run(p, (size_t)(r % 10), count_chunk, done);
        if (r % 500 == 0) usleep(2000);
    }
    for (int c = 0; c < 9; c++) assert_int_equal(done[c], REGIONS / 10 * (9 - c));
    weft_pool_free(p);
}

static void slow_chunk(void *ctx, size_t chunk, int thread)
{
    int *done = ctx;
    if (chunk % 3 == 0) usleep(1000);
    done[chunk]++;
}

/* The caller, who finds no more chunks, sleeps until the others have ended theirs; workers fall asleep meanwhile. */
static void test_a_chunk_that_takes_long_is_waited_for(void **state)
{
    struct weft_err err = { 0 };
    struct weft_pool *p;
    int done[5] = { 0 };
    enum { REGIONS = 60 };
    check_ok(weft_pool_new(&p, 3, &err), &err);
    for (int r = 1; r <= REGIONS; r++) {
        weft_pool_run(p, 5, slow_chunk, done);
        for (int c = 0; c < 5; c++) assert_int_equal(done[c], r);
    }
    weft_pool_free(p);
}

static void test_pools_start_and_stop(void **state)
{
    struct weft_err err = { 0 };
    for (int i = 0; i < 50; i++) {
        struct weft_pool *p;
        int done[3] = { 0 };
        check_ok(weft_pool_new(&p, 1 + i % 4, &err), &err);
        if (i % 3) weft_pool_run(p, 3, count_chunk, done);
        weft_pool_free(p);
    }
    weft_pool_free(NULL);
    assert_int_equal(weft_pool_threads(NULL), 1);
}

static void test_thread_counts_are_checked(void **state)
{
    struct weft_err err = { 0 };
    struct weft_pool *p;
    check_refuses(weft_pool_new(&p, -1, &err), &err, WEFT_EARG, "", "threads is -1");
    check_refuses(weft_pool_new(&p, 5000, &err), &err, WEFT_EARG, "", "threads is 5000");
    assert_null(p);
    check_ok(weft_pool_new(&p, 0, &err), &err);
    assert_true(weft_pool_threads(p) >= 1);
    weft_pool_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_number_of_threads_gives_the_same_bits),
        cmocka_unit_test(test_many_regions),
        cmocka_unit_test(test_a_chunk_that_takes_long_is_waited_for),
        cmocka_unit_test(test_pools_start_and_stop),
        cmocka_unit_test(test_thread_counts_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
