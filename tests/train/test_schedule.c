/* Steps and learning rates; the expected numbers are those of docs/training.md, computed apart from this code. */
#include "check.h"
#include "train/optimizer.h"

static struct weft_recipe recipe(int scheduler)
{
    return (struct weft_recipe){ .lr_scheduler_type = scheduler,
                                 .learning_rate = 1e-3,
                                 .num_train_epochs = 1,
                                 .max_steps = -1,
                                 .per_device_train_batch_size = 1,
                                 .gradient_accumulation_steps = 1,
                                 .warmup_steps = 2 };
}

static void check_rates(const struct weft_recipe *r, const double *want, size_t n)
{
    for (size_t u = 0; u < n; u++) check_near(weft_schedule(r, u, n), want[u], 1e-6);
}

static void test_linear(void **state)
{
    const double want[] = { 0, .5, 1, .875, .75, .625, .5, .375, .25, .125 };
    struct weft_recipe r = recipe(WEFT_SCHED_LINEAR);
    check_rates(&r, want, 10);
}

static void test_cosine(void **state)
{
    const double want[] = { 0, .5, 1, .961940, .853553, .691342, .5, .308658, .146447, .038060 };
    struct weft_recipe r = recipe(WEFT_SCHED_COSINE);
    check_rates(&r, want, 10);
}

static void test_cosine_with_min_lr(void **state)
{
    const double want[] = { 0, .5, 1, .965746, .868198, .722208, .55, .377792, .231802, .134254 };
    struct weft_recipe r = recipe(WEFT_SCHED_COSINE_MIN_LR);
    r.min_lr_rate = 0.1;
    check_rates(&r, want, 10);
    r.min_lr_rate = 0, r.min_lr = 1e-4;
    check_rates(&r, want, 10);
}

static void test_warmup_stable_decay(void **state)
{
    const double want[] = { 0, .5, 1, 1, 1, .933013, .75, .5, .25, .066987 };
    struct weft_recipe r = recipe(WEFT_SCHED_WSD);
    check_rates(&r, want, 10);
}

/* A quarter of the updates, straight down to 2 %. */
static void test_warmup_stable_decay_linear_tail(void **state)
{
    struct weft_recipe r = recipe(WEFT_SCHED_WSD);
    r.warmup_steps = 100, r.min_lr_rate = 0.02, r.wsd_decay_ratio = 0.25, r.wsd_decay_type = WEFT_WSD_LINEAR;
    check_near(weft_schedule(&r, 0, 4000), 0.02, 1e-12);
    check_near(weft_schedule(&r, 50, 4000), 0.51, 1e-12);
    check_near(weft_schedule(&r, 100, 4000), 1, 0);
    check_near(weft_schedule(&r, 3000, 4000), 1, 0);
    check_near(weft_schedule(&r, 3500, 4000), 0.51, 1e-12);
    check_near(weft_schedule(&r, 4000, 4000), 0.02, 1e-12);
}

static void test_constants_and_the_rest(void **state)
{
    struct weft_recipe r = recipe(WEFT_SCHED_CONSTANT);
    check_near(weft_schedule(&r, 0, 10), 1, 0);
    r.lr_scheduler_type = WEFT_SCHED_CONSTANT_WARMUP;
    check_near(weft_schedule(&r, 1, 10), .5, 0);
    check_near(weft_schedule(&r, 9, 10), 1, 0);
    r.lr_scheduler_type = WEFT_SCHED_POLYNOMIAL;
    check_near(weft_schedule(&r, 6, 10), ((1e-3 - 1e-7) * .5 + 1e-7) / 1e-3, 1e-12);
    r.lr_scheduler_type = WEFT_SCHED_INVERSE_SQRT;
    check_near(weft_schedule(&r, 2, 10), 1, 0);
    check_near(weft_schedule(&r, 8, 10), 1 / sqrt(4), 1e-12);
    r.lr_scheduler_type = WEFT_SCHED_COSINE_RESTARTS;
    check_near(weft_schedule(&r, 6, 10), .5, 1e-12);
}

/* Q1: the first update of a warmup does nothing in the reference. */
static void test_q1_first_update_with_warmup_has_rate_zero(void **state)
{
    struct weft_recipe r = recipe(WEFT_SCHED_LINEAR);
    check_near(weft_schedule(&r, 0, 10), 0, 0);
    r.compat = WEFT_COMPAT_CLEAN;
    check_near(weft_schedule(&r, 0, 10), .5, 0);
    check_near(weft_schedule(&r, 1, 10), 1, 0);
    r.compat = WEFT_COMPAT_HF, r.warmup_steps = 0;
    check_near(weft_schedule(&r, 0, 10), 1, 0);
}

static void test_warmup_may_be_a_ratio(void **state)
{
    struct weft_recipe r = recipe(WEFT_SCHED_LINEAR);
    r.warmup_steps = 0, r.warmup_ratio = 0.11;      /* ceil(1.1) = 2 */
    check_near(weft_schedule(&r, 1, 10), .5, 0);
    r.warmup_ratio = 0, r.warmup_steps = 0.11;
    check_near(weft_schedule(&r, 1, 10), .5, 0);
}

static void check_steps(int64_t b, int64_t ga, double epochs, int64_t max_steps, uint64_t n, uint64_t micro,
                        uint64_t per_epoch, uint64_t total, uint64_t loops)
{
    struct weft_recipe r = recipe(WEFT_SCHED_LINEAR);
    r.per_device_train_batch_size = b, r.gradient_accumulation_steps = ga, r.num_train_epochs = epochs,
    r.max_steps = max_steps;
    struct weft_steps s = weft_steps_of(&r, n);
    assert_int_equal(s.micro_per_epoch, micro);
    assert_int_equal(s.updates_per_epoch, per_epoch);
    assert_int_equal(s.total, total);
    assert_int_equal(s.epochs, loops);
}

static void test_steps(void **state)
{
    check_steps(2, 3, 2, -1, 13, 7, 3, 6, 2);       /* 7 micro-batches: groups of 3, 3 and 1 */
    check_steps(2, 3, 1.5, -1, 13, 7, 3, 5, 2);     /* ceil(4.5) updates */
    check_steps(4, 8, 3, -1, 10, 3, 1, 3, 3);       /* fewer micro-batches than accumulation: one update */
    check_steps(1, 1, 3, 25, 10, 10, 10, 25, 3);
    check_steps(1, 1, 3, 1, 10, 10, 10, 1, 1);
    check_steps(1, 1, 3, -1, 0, 0, 0, 0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_linear),
        cmocka_unit_test(test_cosine),
        cmocka_unit_test(test_cosine_with_min_lr),
        cmocka_unit_test(test_warmup_stable_decay),
        cmocka_unit_test(test_warmup_stable_decay_linear_tail),
        cmocka_unit_test(test_constants_and_the_rest),
        cmocka_unit_test(test_q1_first_update_with_warmup_has_rate_zero),
        cmocka_unit_test(test_warmup_may_be_a_ratio),
        cmocka_unit_test(test_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
