/* Sampling against its definition, written here the slow way. */
#include "check.h"
#include "model/sample.h"

#include <math.h>

enum { V = 500, N = 480 };

static const struct weft_sample_settings plain = { .temperature = 1, .top_p = 1, .repetition_penalty = 1 };

static void make_logits(float *z, uint64_t seed)
{
    struct weft_rng rng;
    weft_rng_init(&rng, seed, WEFT_RNG_TEST, 0);
    for (size_t i = 0; i < V; i++) z[i] = 3 * weft_rng_normal(&rng);
    z[V - 1] = 99;      /* beyond the tokenizer: never drawn */
    for (size_t i = 7; i < 40; i += 3) z[i] = z[4];     /* ties */
}

static const double *sort_key;
static int heavier(const void *a, const void *b)
{
    int x = *(const int *)a, y = *(const int *)b;
    return sort_key[x] != sort_key[y] ? (sort_key[x] > sort_key[y] ? -1 : 1) : x - y;
}

/* The distribution that the settings define: p [V], zero where a token is cut. */
static void define(double *p, const float *z, const struct weft_sample_settings *s)
{
    static double w[V];
    int order[N], n = N;
    double max = -INFINITY, sum = 0, kept = 0;
    for (int i = 0; i < N; i++) max = fmax(max, (double)z[i]);
    for (int i = 0; i < N; i++) {
        w[i] = (double)expf((z[i] - (float)max) * (float)(1 / s->temperature));
        order[i] = i;
    }
    sort_key = w;
    qsort(order, N, sizeof *order, heavier);
    if (s->top_k > 0 && s->top_k < n) n = (int)s->top_k;
    for (int i = 0; i < n; i++) sum += w[order[i]];
    if (s->top_p < 1) {
        int k = 0;
        while (k < n && kept < s->top_p * sum) kept += w[order[k++]];
        n = k;
    }
    if (s->min_p > 0)
        while (n > 1 && w[order[n - 1]] < (double)(float)s->min_p) n--;
    sum = 0;
    memset(p, 0, V * sizeof *p);
    for (int i = 0; i < n; i++) sum += w[order[i]];
    for (int i = 0; i < n; i++) p[order[i]] = w[order[i]] / sum;
}

static void test_draws_follow_the_definition(void **state)
{
    static const struct weft_sample_settings settings[] = {
        { .temperature = 1, .top_p = 1, .repetition_penalty = 1 },
        { .temperature = 0.7, .top_p = 1, .repetition_penalty = 1, .top_k = 12 },
        { .temperature = 1.5, .top_p = 0.9, .repetition_penalty = 1 },
        { .temperature = 1, .top_p = 0.5, .repetition_penalty = 1, .top_k = 40 },
        { .temperature = 1, .top_p = 1, .repetition_penalty = 1, .min_p = 0.1 },
        { .temperature = 0.9, .top_p = 0.95, .repetition_penalty = 1, .min_p = 0.02, .top_k = 100 },
        { .temperature = 1, .top_p = 1e-9, .repetition_penalty = 1 },
        { .temperature = 1, .top_p = 1, .repetition_penalty = 1, .top_k = 1 },
    };
    enum { DRAWS = 20000 };
    for (size_t k = 0; k < WEFT_COUNT(settings); k++) {
        struct weft_sample_settings s = settings[k];
        struct weft_sampler *sampler;
        struct weft_err err = { 0 };
        float z[V], work[V], logprob;
        double p[V], chi = 0;
        size_t count[V] = { 0 }, cells = 0;
        make_logits(z, k);
        define(p, z, &s);
        s.seed = 5;
        check_ok(weft_sampler_new(&sampler, V, N, &s, &err), &err);
        for (int i = 0; i < DRAWS; i++) {
            memcpy(work, z, sizeof z);
            int32_t id = weft_sampler_next(sampler, work, &logprob);
            if (!(p[id] > 0)) fail_msg("settings %zu: token %d must not be drawn", k, id);
            assert_true(fabs((double)logprob - log(p[id])) < 1e-4);
            count[id]++;
        }
        for (size_t i = 0; i < V; i++)
            if (p[i] * DRAWS >= 5) {
                double d = (double)count[i] - p[i] * DRAWS;
                chi += d * d / (p[i] * DRAWS);
                cells++;
            }
        /* mean cells, deviation sqrt(2 cells): five deviations */
        if (!(chi <= (double)cells + 5 * sqrt(2 * (double)cells) + 5))
            fail_msg("settings %zu: chi^2 %.1f of %zu cells", k, chi, cells);
        weft_sampler_free(sampler);
    }
}

static void test_greedy_takes_the_lowest_of_equals(void **state)
{
    struct weft_sample_settings s = plain;
    struct weft_sampler *sampler;
    struct weft_err err = { 0 };
    float z[V];
    s.temperature = 0;
    make_logits(z, 1);
    z[300] = z[200] = 50;
    check_ok(weft_sampler_new(&sampler, V, N, &s, &err), &err);
    assert_int_equal(weft_sampler_next(sampler, z, NULL), 200);
    weft_sampler_free(sampler);
}

static void test_one_seed_gives_one_sequence(void **state)
{
    struct weft_err err = { 0 };
    int32_t first[32];
    int differs = 0;
    for (int run = 0; run < 3; run++) {
        struct weft_sample_settings s = plain;
        struct weft_sampler *sampler;
        s.seed = run == 2 ? 8 : 7;
        check_ok(weft_sampler_new(&sampler, V, N, &s, &err), &err);
        for (size_t i = 0; i < WEFT_COUNT(first); i++) {
            float z[V];
            make_logits(z, i);
            int32_t id = weft_sampler_next(sampler, z, NULL);
            if (run == 0) first[i] = id;
            if (run == 1) assert_int_equal(id, first[i]);
            if (run == 2) differs += id != first[i];
        }
        weft_sampler_free(sampler);
    }
    assert_true(differs > 10);
}

static void test_penalty_divides_positive_and_multiplies_negative(void **state)
{
    struct weft_sample_settings s = plain;
    struct weft_sampler *sampler;
    struct weft_err err = { 0 };
    float z[4] = { 4, 3, -1, -1.5f };
    s.temperature = 0;
    s.repetition_penalty = 2;
    check_ok(weft_sampler_new(&sampler, 4, 4, &s, &err), &err);
    weft_sampler_see(sampler, 0);
    weft_sampler_see(sampler, 0);       /* twice seen, once punished */
    weft_sampler_see(sampler, 2);
    assert_int_equal(weft_sampler_next(sampler, z, NULL), 1);
    assert_true(z[0] == 2 && z[1] == 3 && z[2] == -2 && z[3] == -1.5f);
    weft_sampler_free(sampler);
}

static void test_settings_out_of_range_are_refused(void **state)
{
    static const struct weft_sample_settings wrong[] = {
        { .temperature = -1, .top_p = 1, .repetition_penalty = 1 },
        { .temperature = NAN, .top_p = 1, .repetition_penalty = 1 },
        { .temperature = 1, .top_p = 0, .repetition_penalty = 1 },
        { .temperature = 1, .top_p = 1.1, .repetition_penalty = 1 },
        { .temperature = 1, .top_p = 1, .repetition_penalty = 0 },
        { .temperature = 1, .top_p = 1, .min_p = 2, .repetition_penalty = 1 },
        { .temperature = 1, .top_p = 1, .top_k = -1, .repetition_penalty = 1 },
    };
    for (size_t i = 0; i < WEFT_COUNT(wrong); i++) {
        struct weft_sampler *sampler;
        struct weft_err err = { 0 };
        check_fails(weft_sampler_new(&sampler, V, N, &wrong[i], &err), &err, WEFT_EARG, "", " is ");
        assert_null(sampler);
    }
}

static void test_logits_that_are_no_numbers_do_no_harm(void **state)
{
    static const struct weft_sample_settings settings[] = {
        { .temperature = 0, .top_p = 1, .repetition_penalty = 1 },
        { .temperature = 1, .top_p = 0.9, .top_k = 10, .min_p = 0.1, .repetition_penalty = 1.1 },
    };
    for (size_t i = 0; i < WEFT_COUNT(settings); i++) {
        struct weft_sampler *sampler;
        struct weft_err err = { 0 };
        float z[V];
        for (size_t k = 0; k < V; k++) z[k] = k % 3 ? NAN : k % 2 ? INFINITY : 0;
        check_ok(weft_sampler_new(&sampler, V, N, &settings[i], &err), &err);
        int32_t id = weft_sampler_next(sampler, z, NULL);
        assert_true(id >= 0 && id < N);
        weft_sampler_free(sampler);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_draws_follow_the_definition),
        cmocka_unit_test(test_greedy_takes_the_lowest_of_equals),
        cmocka_unit_test(test_one_seed_gives_one_sequence),
        cmocka_unit_test(test_penalty_divides_positive_and_multiplies_negative),
        cmocka_unit_test(test_settings_out_of_range_are_refused),
        cmocka_unit_test(test_logits_that_are_no_numbers_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
