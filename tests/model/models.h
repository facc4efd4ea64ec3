/* tests/model/models.h - small models and batches that several tests share */
#ifndef WEFT_TESTS_MODEL_MODELS_H
#define WEFT_TESTS_MODEL_MODELS_H

#include "check.h"
#include "model/model.h"
#include "model/safetensors.h"

#include <math.h>

/* A model of awkward sizes: nothing is a multiple of a vector. */
static inline struct weft_config small_config(void)
{
    struct weft_config c;
    if (!weft_config_preset("tiny", &c, NULL, NULL)) fail_msg("no preset tiny");
    c.vocab_size = 333;
    c.hidden_size = 60;
    c.intermediate_size = 172;
    c.n_layers = 3;
    c.n_heads = 6;
    c.n_kv_heads = 2;
    c.head_dim = 10;
    c.max_position_embeddings = 256;
    c.initializer_range = 0.15f;
    return c;
}

/* Norms away from 1 and biases away from 0, so that a wrong gradient shows. */
static inline void roughen(struct weft_params *params, uint64_t seed)
{
    struct weft_rng rng;
    weft_rng_init(&rng, seed, WEFT_RNG_TEST, 0);
    for (size_t i = 0; i < params->n; i++) {
        struct weft_param *p = &params->items[i];
        if (p->rows > 1) continue;
        for (size_t k = 0; k < p->cols; k++) p->w[k] += 0.3f * (weft_rng_f32(&rng) - 0.5f);
    }
}

/* Sequences of these lengths with random ids; labels are ids with leading, inner and trailing holes; every fifth
 * sequence has none. */
static inline struct weft_batch random_batch(struct weft_arena *a, const uint32_t *lengths, size_t n_seqs,
                                             size_t vocab, uint64_t seed)
{
    struct weft_batch b = { .n_seqs = n_seqs };
    struct weft_rng rng;
    weft_rng_init(&rng, seed, WEFT_RNG_TEST, 1);
    for (size_t s = 0; s < n_seqs; s++) b.n_tokens += lengths[s];
    int32_t *ids = WEFT_NEWS(a, int32_t, b.n_tokens), *labels = WEFT_NEWS(a, int32_t, b.n_tokens);
    int32_t *pos = WEFT_NEWS(a, int32_t, b.n_tokens), *cu = WEFT_NEWS(a, int32_t, n_seqs + 1);
    assert_true(ids && labels && pos && cu);
    size_t t = 0;
    for (size_t s = 0; s < n_seqs; s++) {
        for (uint32_t i = 0; i < lengths[s]; i++, t++) {
            ids[t] = (int32_t)weft_rng_below(&rng, vocab);
            pos[t] = (int32_t)i;
            bool hole = i < lengths[s] / 4 || i % 7 == 3 || (i + 1 == lengths[s] && s % 2) || s % 5 == 4;
            labels[t] = hole ? WEFT_IGNORE : ids[t];
            b.n_labels += !hole;
        }
        cu[s + 1] = (int32_t)t;
    }
    b.ids = ids, b.labels = labels, b.pos = pos, b.cu = cu;
    return b;
}

static inline void zero_grads(struct weft_params *p)
{
    for (size_t i = 0; i < p->n; i++) memset(p->items[i].grad, 0, p->items[i].rows * p->items[i].cols * sizeof(float));
}

/* ---- fixtures: tensors of a safetensors file of the tests ---- */

struct fixture {
    struct weft_safetensors file;
    struct weft_arena arena;
};

static inline void fixture_open_at(struct fixture *f, const char *path)
{
    struct weft_err err = { 0 };
    *f = (struct fixture){ 0 };
    check_ok(weft_safetensors_open(&f->file, &f->arena, path, &err), &err);
}
static inline void fixture_open(struct fixture *f, const char *path)
{
    struct weft_arena a = { 0 };
    fixture_open_at(f, check_source(&a, path));
    weft_arena_clear(&a);
}
static inline void fixture_close(struct fixture *f)
{
    weft_safetensors_close(&f->file);
    weft_arena_clear(&f->arena);
}
/* An aligned copy of the values, which are all of 4 or 8 bytes. */
static inline void *fixture_values(struct fixture *f, const char *name, size_t *n)
{
    const struct weft_st_tensor *t = weft_safetensors_find(&f->file, weft_str_c(name));
    if (!t) fail_msg("the fixture has no %s", name);
    void *p = weft_arena_alloc(&f->arena, t->bytes);
    assert_non_null(p);
    memcpy(p, t->data, t->bytes);
    *n = t->n_elements;
    return p;
}
static inline struct weft_batch fixture_batch(struct fixture *f)
{
    struct weft_batch b = { 0 };
    size_t n_labels, n_cu;
    b.ids = fixture_values(f, "ids", &b.n_tokens);
    b.labels = fixture_values(f, "labels", &n_labels);
    b.cu = fixture_values(f, "cu", &n_cu);
    assert_int_equal(n_labels, b.n_tokens);
    b.n_seqs = n_cu - 1;
    int32_t *pos = WEFT_NEWS(&f->arena, int32_t, b.n_tokens);
    assert_non_null(pos);
    for (size_t s = 0; s < b.n_seqs; s++)
        for (int32_t t = b.cu[s]; t < b.cu[s + 1]; t++) pos[t] = t - b.cu[s];
    b.pos = pos;
    return b;
}

/* ||a - b|| / ||b|| */
static inline double rel_l2(const float *a, const float *b, size_t n)
{
    double diff = 0, norm = 0;
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(a[i])) return INFINITY;
        diff += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
        norm += (double)b[i] * (double)b[i];
    }
    return norm > 0 ? sqrt(diff / norm) : sqrt(diff);
}

/* The tensors of a safetensors file, as `change` leaves their n descriptions and says how many there are; there is room
 * for a few more. */
static inline void change_tensors(struct weft_arena *a, const char *path,
                                  size_t (*change)(struct weft_st_out *t, size_t n), struct weft_err *err)
{
    struct weft_safetensors f;
    struct weft_st_out out[64];
    check_ok(weft_safetensors_open(&f, a, path, err), err);
    assert_true(f.n + 6 < WEFT_COUNT(out));
    for (size_t i = 0; i < f.n; i++) {
        const struct weft_st_tensor *t = &f.tensors[i];
        out[i] = (struct weft_st_out){ .name = weft_str_dup(a, t->name).s, .dtype = t->dtype, .n_dims = t->n_dims,
                                       .data = t->data };
        memcpy(out[i].shape, t->shape, sizeof t->shape);
    }
    size_t n = change(out, f.n);
    check_ok(weft_safetensors_write(path, out, n, NULL, err), err);
    weft_safetensors_close(&f);
}

static inline struct weft_st_out *named(struct weft_st_out *t, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(t[i].name, name)) return &t[i];
    fail_msg("no %s", name);
    return NULL;
}

#endif
