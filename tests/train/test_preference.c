/* Losses over compared and judged answers: values and derivatives worked out by hand and by the reference stack
 * (docs/training.md, "Preferences"), and every derivative against differences. */
#include "check.h"
#include "train/preference.h"

enum { N = 2 };

static const struct weft_pref_settings usual = { .beta = 0.1, .gamma = 0.5, .chosen_weight = 1, .rejected_weight = 1 };

/* Two pairs whose sums are known; one token each, so that means are sums. */
static void two_pairs(struct weft_answer a[2 * N])
{
    static const double lp[] = { -10, -12, -11, -9 }, ref[] = { -10.5, -11, -10, -10 };
    for (size_t i = 0; i < 2 * N; i++) a[i] = (struct weft_answer){ .lp = lp[i], .ref = ref[i], .n = 1 };
}

static void two_sure_pairs(struct weft_answer a[2 * N])
{
    static const double lp[] = { -.5, -1.2, -.9, -.7 };
    for (size_t i = 0; i < 2 * N; i++) a[i] = (struct weft_answer){ .lp = lp[i], .n = 1 };
}

/* Loss of pair i alone. */
static double loss_of(const struct weft_pref_settings *s, const struct weft_answer a[2 * N], size_t i)
{
    struct weft_answer pair[2] = { a[i], a[N + i] };
    double grad[2];
    return weft_pref_pairs(s, pair, 1, grad, NULL, NULL);
}

static void test_sums_of_pairs(void **state)
{
    struct weft_answer a[2 * N];
    struct weft_pref_settings s = usual;
    double grad[2 * N];
    (void)state;
    two_pairs(a);
    check_near(loss_of(&s, a, 0), .62095705, 1e-8);
    check_near(loss_of(&s, a, 1), .79813887, 1e-8);
    check_near(weft_pref_pairs(&s, a, N, grad, NULL, NULL), (.62095705 + .79813887) / 2, 1e-8);
    /* by the mean over both pairs */
    check_near(grad[0], -.02312851, 1e-8);
    check_near(grad[1], -.0274917, 1e-8);
    check_near(grad[2], .02312851, 1e-8);
    check_near(grad[3], .0274917, 1e-8);
    s.smoothing = .1;
    check_near(loss_of(&s, a, 0), .63595705, 1e-8);
    check_near(loss_of(&s, a, 1), .77813887, 1e-8);
    s.smoothing = 0;
    s.loss = WEFT_PREF_HINGE;
    check_near(loss_of(&s, a, 0), .85, 1e-12);
    check_near(loss_of(&s, a, 1), 1.2, 1e-12);
    s.loss = WEFT_PREF_IPO;
    check_near(loss_of(&s, a, 0), 12.25, 1e-12);
    check_near(loss_of(&s, a, 1), 49, 1e-12);
}

static void test_means_of_pairs(void **state)
{
    struct weft_answer a[2 * N];
    struct weft_pref_settings s = usual;
    double grad[2 * N];
    (void)state;
    two_sure_pairs(a);
    s.loss = WEFT_PREF_ORPO;
    check_near(loss_of(&s, a, 0), .53677289, 1e-8);
    check_near(loss_of(&s, a, 1), 1.31904747, 1e-8);
    (void)weft_pref_pairs(&s, a, N, grad, NULL, NULL);
    check_near(grad[0], -.53910028, 1e-8);
    check_near(grad[1], -.54979374, 1e-8);
    check_near(grad[2], .02592513, 1e-8);
    check_near(grad[3], .06912026, 1e-8);
    s.loss = WEFT_PREF_SIMPO;
    check_near(loss_of(&s, a, 0), .94936722, 1e-8);
    check_near(loss_of(&s, a, 1), 1.00549248, 1e-8);
}

static void test_judged_answers(void **state)
{
    /* r = lp - ref: 0.5 and -1 of desirable rows, 1 of an undesirable one; the yardstick is 0.3 */
    struct weft_answer a[3] = { { .lp = -10, .ref = -10.5, .n = 1, .desirable = true },
                                { .lp = -12, .ref = -11, .n = 1, .desirable = true },
                                { .lp = -9, .ref = -10, .n = 1 } };
    struct weft_answer kl[2] = { { .lp = -3, .ref = -3.2, .n = 1 }, { .lp = -3, .ref = -3.4, .n = 1 } };
    struct weft_pref_sums sums = { 0 };
    double grad[3];
    (void)state;
    check_near(weft_pref_kto(&usual, a, 3, kl, 2, grad, NULL, &sums), .51498244, 1e-8);
    check_near(grad[0], -.0083325, 1e-8);
    check_near(grad[1], -.00829822, 1e-8);
    check_near(grad[2], .00832313, 1e-8);
    check_near(sums.sum[WEFT_PREF_KL], .3, 1e-12);
    assert_int_equal(sums.n[WEFT_PREF_CHOSEN], 2);
    assert_int_equal(sums.n[WEFT_PREF_REJECTED], 1);
    check_near(sums.sum[WEFT_PREF_CHOSEN], .1 * (.5 - 1), 1e-12);
    /* a yardstick below 0 counts as 0: the loss of r = 0 is a half */
    struct weft_answer same = { .lp = -4, .ref = -4, .n = 1, .desirable = true };
    kl[0].ref = kl[1].ref = 0;
    check_near(weft_pref_kto(&usual, &same, 1, kl, 2, grad, NULL, NULL), .5, 1e-12);
}

/* Every derivative of the loss by every lp, by central differences. */
static void check_pair_gradients(const struct weft_pref_settings *s)
{
    struct weft_answer a[2 * N];
    double grad[2 * N], other[2 * N];
    static const size_t len[] = { 3, 1, 2, 5 };
    two_pairs(a);
    for (size_t i = 0; i < 2 * N; i++) a[i].n = len[i];
    (void)weft_pref_pairs(s, a, N, grad, NULL, NULL);
    for (size_t i = 0; i < 2 * N; i++) {
        const double h = 1e-5, lp = a[i].lp;
        a[i].lp = lp + h;
        double up = weft_pref_pairs(s, a, N, other, NULL, NULL);
        a[i].lp = lp - h;
        double down = weft_pref_pairs(s, a, N, other, NULL, NULL);
        a[i].lp = lp;
        check_near((up - down) / (2 * h), grad[i], 1e-7);
    }
}

static void test_derivatives_of_pairs(void **state)
{
    (void)state;
    for (int loss = WEFT_PREF_SIGMOID; loss <= WEFT_PREF_SIMPO; loss++) {
        struct weft_pref_settings s = usual;
        s.loss = (enum weft_pref_loss)loss;
        check_pair_gradients(&s);
        s.ftx = .7;
        if (loss == WEFT_PREF_SIGMOID) s.smoothing = .2;
        check_pair_gradients(&s);
    }
}

static void test_derivatives_of_judged_answers(void **state)
{
    struct weft_pref_settings s = { .beta = .3, .ftx = .5, .chosen_weight = 1.5, .rejected_weight = .7 };
    struct weft_answer a[3] = { { .lp = -10, .ref = -10.5, .n = 4, .desirable = true },
                                { .lp = -12, .ref = -11, .n = 2 },
                                { .lp = -7, .ref = -6, .n = 3, .desirable = true } };
    struct weft_answer kl[1] = { { .lp = -3, .ref = -3.2, .n = 1 } };
    double grad[3], other[3];
    (void)state;
    (void)weft_pref_kto(&s, a, 3, kl, 1, grad, NULL, NULL);
    for (size_t i = 0; i < 3; i++) {
        const double h = 1e-5, lp = a[i].lp;
        a[i].lp = lp + h;
        double up = weft_pref_kto(&s, a, 3, kl, 1, other, NULL, NULL);
        a[i].lp = lp - h;
        double down = weft_pref_kto(&s, a, 3, kl, 1, other, NULL, NULL);
        a[i].lp = lp;
        check_near((up - down) / (2 * h), grad[i], 1e-7);
    }
}

static void test_metrics_of_pairs(void **state)
{
    struct weft_answer a[2 * N];
    struct weft_pref_sums sums = { 0 };
    double grad[2 * N];
    (void)state;
    two_pairs(a);
    (void)weft_pref_pairs(&usual, a, N, grad, NULL, &sums);
    check_near(sums.sum[WEFT_PREF_CHOSEN], .1 * (.5 - 1), 1e-12);
    check_near(sums.sum[WEFT_PREF_REJECTED], .1 * (-1 + 1), 1e-12);
    check_near(sums.sum[WEFT_PREF_ACCURACY], 1, 1e-12);
    check_near(sums.sum[WEFT_PREF_LP_CHOSEN], -22, 1e-12);
    assert_int_equal(sums.n[WEFT_PREF_MARGIN], 2);
    assert_int_equal(sums.n[WEFT_PREF_SFT], 0);
}

/* An answer that the model is sure of, or that was cut away, gives finite numbers. */
static void test_extremes_stay_finite(void **state)
{
    (void)state;
    for (int loss = WEFT_PREF_SIGMOID; loss <= WEFT_PREF_SIMPO; loss++) {
        struct weft_pref_settings s = usual;
        s.loss = (enum weft_pref_loss)loss;
        struct weft_answer a[4] = { { .lp = 0, .n = 5 }, { .n = 0 }, { .lp = -1e5, .n = 5 }, { .lp = -2, .n = 1 } };
        double grad[4];
        assert_true(isfinite(weft_pref_pairs(&s, a, 2, grad, NULL, NULL)));
        for (size_t i = 0; i < 4; i++) assert_true(isfinite(grad[i]));
        assert_true(grad[1] == 0 || s.loss == WEFT_PREF_SIGMOID || s.loss == WEFT_PREF_HINGE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sums_of_pairs),           cmocka_unit_test(test_means_of_pairs),
        cmocka_unit_test(test_judged_answers),          cmocka_unit_test(test_derivatives_of_pairs),
        cmocka_unit_test(test_derivatives_of_judged_answers), cmocka_unit_test(test_metrics_of_pairs),
        cmocka_unit_test(test_extremes_stay_finite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
