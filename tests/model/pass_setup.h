/* tests/model/pass_setup.h - a small model, a batch and the pass over it */
#ifndef WEFT_TESTS_MODEL_PASS_SETUP_H
#define WEFT_TESTS_MODEL_PASS_SETUP_H

#include "model/models.h"

struct setup {
    struct weft_arena arena;
    struct weft_compute compute;
    struct weft_model *model;
    struct weft_params params;
    struct weft_batch batch;
    struct weft_pass *pass;
    struct weft_err err;
};

/* The model of seed 7, multiplying in f32, and n sequences of these lengths. */
static inline void set_up_model(struct setup *s, const struct weft_config *c, const uint32_t *lengths, size_t n)
{
    *s = (struct setup){ 0 };
    check_ok(weft_compute_init(&s->compute, NULL, NULL, &s->err), &s->err);
    check_ok(weft_model_random(&s->model, c, 7, NULL, &s->err), &s->err);
    s->model->exact = true;
    s->batch = random_batch(&s->arena, lengths, n, c->vocab_size, 5);
}

static inline void tear_down(struct setup *s)
{
    weft_pass_free(s->pass);
    weft_model_free(s->model);
    weft_compute_clear(&s->compute);
    weft_arena_clear(&s->arena);
}

#endif
