/* tests/adapter/adapters.h - an adapter's fixture (tests/parity/model.py) and the model it belongs to */
#ifndef WEFT_TESTS_ADAPTER_ADAPTERS_H
#define WEFT_TESTS_ADAPTER_ADAPTERS_H

#include "adapter/lora.h"
#include "model/models.h"

struct setup {
    struct weft_arena arena;
    struct weft_pool *pool;
    struct weft_compute compute;
    struct weft_model *model;
    struct weft_params params;
    struct fixture expect;
    struct weft_batch batch;
    struct weft_err err;
};

static inline void set_up_on(struct setup *s, const char *base, const char *adapter, bool f32)
{
    char path[128];
    *s = (struct setup){ 0 };
    check_ok(weft_pool_new(&s->pool, 2, &s->err), &s->err);
    check_ok(weft_compute_init(&s->compute, NULL, s->pool, &s->err), &s->err);
    struct weft_model_settings settings = { .exact = true, .f32 = f32 };
    snprintf(path, sizeof path, "tests/model/data/%s", base);
    check_ok(
        weft_model_load(&s->model, check_source(&s->arena, path), &settings, &s->err),
        &s->err);
    snprintf(path, sizeof path, "tests/adapter/data/%s/expect.safetensors", adapter);
    fixture_open(&s->expect, path);
    s->batch = fixture_batch(&s->expect);
}

static inline void set_up(struct setup *s, const char *adapter) { set_up_on(s, "untied", adapter, false); }

static inline void tear_down(struct setup *s)
{
    fixture_close(&s->expect);
    weft_model_free(s->model);
    weft_compute_clear(&s->compute);
    weft_pool_free(s->pool);
    weft_arena_clear(&s->arena);
}

static inline struct weft_pass *new_pass(struct setup *s, bool backward)
{
    struct weft_pass *pass;
    struct weft_pass_settings settings = { .max_tokens = s->batch.n_tokens, .backward = backward };
    check_ok(weft_pass_new(&pass, &s->compute, s->model, &settings, &s->err), &s->err);
    return pass;
}

/* Logits of the fixture's rows, in the arena. */
static inline float *logits_of(struct setup *s, size_t *n)
{
    size_t n_rows;
    const int32_t *rows = fixture_values(&s->expect, "rows", &n_rows);
    *n = n_rows * s->model->config.vocab_size;
    float *logits = WEFT_NEWS(&s->arena, float, *n);
    struct weft_pass *pass = new_pass(s, false);
    check_ok(weft_model_logits(s->model, pass, &s->batch, rows, n_rows, logits, &s->err), &s->err);
    weft_pass_free(pass);
    return logits;
}

static inline double error_to_fixture(struct setup *s)
{
    size_t n, n_want;
    const float *got = logits_of(s, &n), *want = fixture_values(&s->expect, "logits", &n_want);
    assert_int_equal(n, n_want);
    return rel_l2(got, want, n);
}

static inline const char *peft_folder(struct setup *s, const char *name)
{
    char path[64];
    snprintf(path, sizeof path, "tests/adapter/data/%s", name);
    return check_source(&s->arena, path);
}

static inline void attach(struct setup *s, struct weft_lora_settings settings)
{
    check_ok(weft_lora_attach(&s->arena, s->model, &settings, &s->params, &s->err), &s->err);
}

/* Loss and gradients over the fixture's batch, as its expectation has them: of loss / n. */
static inline void run_backward(struct setup *s, bool checkpointing)
{
    struct weft_loss loss;
    struct weft_pass *pass;
    struct weft_pass_settings settings = { .max_tokens = s->batch.n_tokens, .backward = true,
                                           .checkpointing = checkpointing };
    size_t n;
    const int32_t *want_n = fixture_values(&s->expect, "n", &n);
    check_ok(weft_pass_new(&pass, &s->compute, s->model, &settings, &s->err), &s->err);
    zero_grads(&s->params);
    check_ok(weft_model_loss_backward(s->model, pass, &s->batch, 1 / (float)want_n[0], 0, 0, &loss, NULL,
                                      NULL, &s->err),
             &s->err);
    weft_pass_free(pass);
}

/* Every gradient beside the fixture's, relative L2 at most 1e-5. */
static inline void check_gradients(struct setup *s, const char *what)
{
    size_t n;
    double worst = 0;
    run_backward(s, false);
    for (size_t p = 0; p < s->params.n; p++) {
        char key[160];
        snprintf(key, sizeof key, "grad.%s", s->params.items[p].name);
        const float *want = fixture_values(&s->expect, key, &n);
        assert_int_equal(n, s->params.items[p].rows * s->params.items[p].cols);
        double error = rel_l2(s->params.items[p].grad, want, n);
        if (!(error <= 1e-5)) fail_msg("%s: gradient of %s differs by %.3g", what, s->params.items[p].name, error);
        worst = fmax(worst, error);
    }
    print_message("%s: worst of %zu gradients %.1e\n", what, s->params.n, worst);
}

#endif
