/* tests/train/steps.h - single updates from given gradients, for the tests of the optimizers */
#ifndef WEFT_TESTS_TRAIN_STEPS_H
#define WEFT_TESTS_TRAIN_STEPS_H

#include "check.h"
#include "train/optimizers.h"

struct setup {
    struct weft_arena arena;
    struct weft_pool *pool;
    struct weft_compute compute;
    struct weft_params params;
    struct weft_recipe recipe;
    struct weft_optimizer_state opt;
    struct weft_err err;
};

static inline void set_up(struct setup *s, int threads)
{
    static const char *all[] = { "all" };
    memset(s, 0, sizeof *s);
    s->recipe = (struct weft_recipe){
        .learning_rate = 0.01, .adam_beta1 = 0.9, .adam_beta2 = 0.999, .adam_epsilon = 1e-8, .optim = "adamw",
        .galore_target = { all, 1 }, .galore_rank = 4, .galore_update_interval = 200, .galore_scale = 2,
        .apollo_target = { all, 1 }, .apollo_rank = 4, .apollo_update_interval = 200, .apollo_scale = 32,
    };
    check_ok(weft_pool_new(&s->pool, threads, &s->err), &s->err);
    check_ok(weft_compute_init(&s->compute, NULL, s->pool, &s->err), &s->err);
}

static inline struct weft_param *add(struct setup *s, const char *name, size_t rows, size_t cols, bool decay)
{
    struct weft_param p = { .name = name, .rows = rows, .cols = cols, .decay = decay };
    p.w = WEFT_NEWS(&s->arena, float, rows * cols);
    p.grad = WEFT_NEWS(&s->arena, float, rows * cols);
    assert_true(p.w && p.grad);
    check_ok(weft_params_add(&s->params, &s->arena, &p, &s->err), &s->err);
    return &s->params.items[s->params.n - 1];
}

static inline void begin(struct setup *s, const char *name)
{
    const struct weft_optimizer *kind = weft_optimizer_find(name, NULL, NULL);
    assert_non_null(kind);
    s->recipe.optim = name;
    check_ok(weft_optimizer_init(&s->opt, kind, &s->recipe, &s->params, &s->arena, &s->err), &s->err);
}

static inline void tear_down(struct setup *s)
{
    weft_compute_clear(&s->compute);
    weft_pool_free(s->pool);
    weft_arena_clear(&s->arena);
}

static inline void check_values(const float *got, const float *want, size_t n, double tolerance)
{
    for (size_t i = 0; i < n; i++) check_near(got[i], want[i], tolerance);
}

static inline void fill(float *x, size_t n, uint64_t seed, float scale)
{
    struct weft_rng rng;
    weft_rng_init(&rng, seed, WEFT_RNG_TEST, 0);
    for (size_t i = 0; i < n; i++) x[i] = scale * weft_rng_normal(&rng);
}

#endif
