/* Near texts: the exact measure, the estimate of the sketches, and that the index finds what comparing each with each
 * finds. */
#include "check.h"

#include "dataset/minhash.h"

struct fixture {
    struct weft_arena arena;
    struct weft_err err;
    struct weft_minhash *m;
};

#define FIXTURE_CLEAR(f) weft_minhash_free((f)->m)
#include "fixture.h"

static double jaccard(struct fixture *f, const char *a, const char *b, int64_t n)
{
    double j = -1;
    check_ok(weft_jaccard(&f->arena, weft_str_c(a), weft_str_c(b), n, &j, &f->err), &f->err);
    return j;
}

static void test_jaccard_is_shared_shingles_over_all(void **state)
{
    struct fixture *f = *state;
    /* abc bcd | bcd cde: one of three */
    check_near(jaccard(f, "abcd", "bcde", 3), 1.0 / 3, 1e-12);
    /* 春眠不 眠不觉 不觉晓 | 春眠不 眠不知 不知晓: one of five */
    check_near(jaccard(f, "春眠不觉晓", "春眠不知晓", 0), 1.0 / 5, 1e-12);
    check_near(jaccard(f, "aaaa", "aaaaaaaa", 3), 1, 0); /* sets: repeats do not count */
    check_near(jaccard(f, "ab", "cd", 1), 0, 0);
    check_near(jaccard(f, "abcdef", "abcdeg", 5), 1.0 / 3, 1e-12);
}

static void test_short_and_empty_texts_are_equal_or_strangers(void **state)
{
    struct fixture *f = *state;
    check_near(jaccard(f, "是。", "是。", 3), 1, 0);
    check_near(jaccard(f, "是。", "是的", 3), 0, 0);
    check_near(jaccard(f, "是", "是的呀", 3), 0, 0);
    check_near(jaccard(f, "", "", 3), 1, 0);
    check_near(jaccard(f, "", "是", 3), 0, 0);
    check_near(jaccard(f, " 你  好吗 ", "你 好吗", 3), 1, 0); /* after normalising */
}

static void new_index(struct fixture *f, int64_t ngram, double threshold, int64_t most)
{
    struct weft_minhash_settings s = { ngram, threshold, most };
    check_ok(weft_minhash_new(&f->m, &s, &f->err), &f->err);
}

static struct weft_near nearest(struct fixture *f, const char *text)
{
    struct weft_near near;
    check_ok(weft_minhash_nearest(f->m, weft_str_c(text), &near, &f->err), &f->err);
    return near;
}

static void add(struct fixture *f, const char *text)
{
    size_t id, before = weft_minhash_count(f->m);
    check_ok(weft_minhash_add(f->m, weft_str_c(text), &id, &f->err), &f->err);
    assert_int_equal(id, before);
}

static void test_the_index_names_the_nearest_text_added_before(void **state)
{
    struct fixture *f = *state;
    new_index(f, 3, 0.5, 0);
    assert_false(nearest(f, "夜来风雨声，花落知多少").found);
    add(f, "床前明月光，疑是地上霜");
    add(f, "夜来风雨声，花落知多少。");
    add(f, "夜来风雨声，花落知几何");
    add(f, "夜来风雨声，花落知多少。"); /* as near as number 1: the first counts */
    struct weft_near near = nearest(f, "夜来风雨声，花落知多少");
    assert_true(near.found);
    assert_int_equal(near.id, 1);
    check_near(near.jaccard, 9.0 / 10, 1e-12);
    check_str(weft_minhash_text(f->m, near.id), "夜来风雨声，花落知多少。");
    assert_false(nearest(f, "举头望明月，低头思故乡").found);
}

static void test_settings_out_of_range_are_refused(void **state)
{
    struct fixture *f = *state;
    struct weft_minhash_settings s = { .ngram = 65 };
    check_refuses(weft_minhash_new(&f->m, &s, &f->err), &f->err, WEFT_EARG, NULL, "65");
    s = (struct weft_minhash_settings){ .threshold = 1.5 };
    check_refuses(weft_minhash_new(&f->m, &s, &f->err), &f->err, WEFT_EARG, NULL, "1.5");
    s = (struct weft_minhash_settings){ .threshold = (double)NAN };
    check_refuses(weft_minhash_new(&f->m, &s, &f->err), &f->err, WEFT_EARG, NULL, NULL);
}

/* A random text of `n` characters of a small alphabet, and a copy with `changes` characters replaced. */
static void random_text(uint64_t *seed, char *out, size_t n)
{
    for (size_t i = 0; i < n; i++) out += weft_utf8_encode(0x4E00 + check_random(seed) % 400, out);
    *out = 0;
}

static void change_text(uint64_t *seed, char *text, size_t n, size_t changes)
{
    while (changes--) weft_utf8_encode(0x4E00 + check_random(seed) % 400, text + check_random(seed) % n * 3);
}

static void test_sketches_estimate_the_measure_without_bias(void **state)
{
    struct fixture *f = *state;
    uint64_t seed = 7;
    double error = 0, square = 0;
    enum { PAIRS = 400, CHARS = 60 };
    new_index(f, 3, 0.7, 0);
    for (int i = 0; i < PAIRS; i++) {
        char a[3 * CHARS + 1], b[3 * CHARS + 1];
        struct weft_sketch x, y;
        int equal = 0;
        random_text(&seed, a, CHARS);
        memcpy(b, a, sizeof b);
        change_text(&seed, b, CHARS, 1 + (size_t)i % 8);
        weft_minhash_sketch(f->m, weft_str_c(a), &x);
        weft_minhash_sketch(f->m, weft_str_c(b), &y);
        for (int k = 0; k < WEFT_SKETCH_BYTES; k++) equal += x.v[k] == y.v[k];
        double j = jaccard(f, a, b, 3), e = (double)equal / WEFT_SKETCH_BYTES - (j + (1 - j) / 256);
        error += e;
        square += e * e / (j * (1 - j) / WEFT_SKETCH_BYTES + 1e-9);
    }
    /* The mean of 400 errors of 0.04 or so; their size as the binomial distribution has it. */
    check_near(error / PAIRS, 0, 0.008);
    check_near(square / PAIRS, 1, 0.25);
}

/* 3,000 texts in families of near ones: the index against comparing each with each. */
static void test_the_index_finds_what_comparing_each_with_each_finds(void **state)
{
    struct fixture *f = *state;
    enum { TEXTS = 1500, CHARS = 40 };
    static char texts[TEXTS][3 * CHARS + 1];
    uint64_t seed = 11;
    size_t wanted = 0, found = 0, right = 0;
    new_index(f, 3, 0.7, 0);
    for (size_t i = 0; i < TEXTS; i++) {
        if (i % 3) {
            memcpy(texts[i], texts[i - 1], sizeof texts[i]);
            change_text(&seed, texts[i], CHARS, 1 + i % 4);
        } else random_text(&seed, texts[i], CHARS);
        struct weft_near near = nearest(f, texts[i]);
        double best = 0;
        size_t best_id = 0;
        for (size_t k = i - weft_min_size(i, 2); k < i;
             k++) { /* strangers of other families share next to nothing */
            double j = jaccard(f, texts[i], texts[k], 3);
            if (j > best) best = j, best_id = k;
        }
        wanted += best >= 0.7;
        found += near.found;
        right += near.found && near.id == best_id && near.jaccard == best;
        add(f, texts[i]);
    }
    assert_true(wanted > 300);
    assert_int_equal(found, right);   /* nothing wrong is ever found */
    assert_true(found + 1 >= wanted); /* one in a thousand may be missed */
}

static void test_every_threshold_finds_pairs_above_it(void **state)
{
    struct fixture *f = *state;
    static const double thresholds[] = { 0.2, 0.5, 0.8, 0.95, 1 };
    uint64_t seed = 3;
    for (size_t t = 0; t < WEFT_COUNT(thresholds); t++) {
        size_t wanted = 0, found = 0;
        new_index(f, 2, thresholds[t], 0);
        for (int i = 0; i < 300; i++) {
            char a[3 * 50 + 1], b[3 * 50 + 1];
            random_text(&seed, a, 50);
            memcpy(b, a, sizeof b);
            change_text(&seed, b, 50, (size_t)i % 12);
            add(f, a);
            struct weft_near near = nearest(f, b);
            double j = jaccard(f, a, b, 2);
            wanted += j >= thresholds[t];
            found += near.found;
            if (near.found) check_near(near.jaccard, j, 1e-12);
        }
        assert_true(wanted >= 20);
        assert_in_range(found, wanted - 2, wanted);
        weft_minhash_free(f->m);
        f->m = NULL;
    }
}

static void test_too_many_candidates_are_cut_and_said(void **state)
{
    struct fixture *f = *state;
    char text[64];
    new_index(f, 3, 0.5, 10);
    for (int i = 0; i < 40; i++) {
        snprintf(text, sizeof text, "the same long sentence, number %d", i);
        add(f, text);
    }
    assert_true(nearest(f, "the same long sentence, number x").cut);
    assert_false(nearest(f, "something else altogether").cut);
}

static void test_long_texts_of_strangers_stay_strangers(void **state)
{
    struct fixture *f = *state;
    uint64_t seed = 5;
    enum { CHARS = 60000 };
    char *a = malloc(3 * CHARS + 1), *b = malloc(3 * CHARS + 1);
    struct weft_sketch x, y;
    int equal = 0;
    assert_non_null(a);
    assert_non_null(b);
    new_index(f, 3, 0.7, 0);
    random_text(&seed, a, CHARS);
    random_text(&seed, b, CHARS);
    weft_minhash_sketch(f->m, weft_str_c(a), &x);
    weft_minhash_sketch(f->m, weft_str_c(b), &y);
    for (int k = 0; k < WEFT_SKETCH_BYTES; k++) equal += x.v[k] == y.v[k];
    assert_true(equal < 6);
    free(a);
    free(b);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_jaccard_is_shared_shingles_over_all),
        TEST(test_short_and_empty_texts_are_equal_or_strangers),
        TEST(test_the_index_names_the_nearest_text_added_before),
        TEST(test_settings_out_of_range_are_refused),
        TEST(test_sketches_estimate_the_measure_without_bias),
        TEST(test_the_index_finds_what_comparing_each_with_each_finds),
        TEST(test_every_threshold_finds_pairs_above_it),
        TEST(test_too_many_candidates_are_cut_and_said),
        TEST(test_long_texts_of_strangers_stay_strangers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
