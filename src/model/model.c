/* Making, training and freeing a model; reading and writing its files is model_files.c. */
#include "model/rope.h"
#include "model/slots.h"

#include <math.h>
#include <stdlib.h>

enum { DEFAULT_POSITIONS = 4096 };

enum weft_status weft_params_add(struct weft_params *p, struct weft_arena *a, const struct weft_param *item,
                                 struct weft_err *err)
{
    if (p->n == p->cap) {
        /* The old array stays in the arena until its end: lists double, so that this costs one more list at most. */
        size_t cap = p->cap ? p->cap * 2 : 64;
        struct weft_param *items = WEFT_NEWS(a, struct weft_param, cap);
        if (!items) return weft_fail_nomem(err, cap * sizeof *items, "the list of parameters");
        if (p->n) memcpy(items, p->items, p->n * sizeof *items);
        p->items = items;
        p->cap = cap;
    }
    p->items[p->n++] = *item;
    p->n_values += item->rows * item->cols;
    return WEFT_OK;
}

void weft_model_free(struct weft_model *m)
{
    if (!m) return;
    weft_weights_close(&m->weights);
    weft_arena_clear(&m->arena);
    free(m);
}

enum weft_status weft_model_make_rope(struct weft_model *m, size_t n, struct weft_err *err)
{
    size_t half = m->config.head_dim / 2, floats;
    if (!n) n = weft_min_size(m->config.max_position_embeddings, DEFAULT_POSITIONS);
    if (!weft_size_mul3(n, half, sizeof(float), &floats)) return weft_fail(err, WEFT_EARG, "%zu positions", n);
    float *inv = WEFT_NEWS(&m->arena, float, half);
    m->rope_cos = weft_arena_alloc(&m->arena, floats);
    m->rope_sin = weft_arena_alloc(&m->arena, floats);
    if (!inv || !m->rope_cos || !m->rope_sin) return weft_fail_nomem(err, 2 * floats, "the table of positions");
    weft_rope_table(&m->config, n, inv, m->rope_cos, m->rope_sin);
    m->n_positions = n;
    return WEFT_OK;
}

/* ---- fresh weights ---- */

/* n values N(0, sd) of a stream, rounded to `type`.  Two words make two normals (Box-Muller); value i depends on seed,
 * stream and i alone. */
static void fill_normal(void *w, enum weft_dtype type, size_t n, float sd, uint64_t seed, uint32_t stream)
{
    struct weft_rng key;
    weft_rng_init(&key, seed, WEFT_RNG_INIT, stream);
    for (size_t at = 0; at < n; at += 4) {
        uint32_t counter[4] = { (uint32_t)(at / 4), (uint32_t)((uint64_t)at / 4 >> 32), key.stream[0],
                                key.stream[1] },
                 word[4];
        float z[4];
        weft_philox(key.key[0], key.key[1], counter, word);
        for (int i = 0; i < 4; i += 2) {
            float r = sd * sqrtf(-2 * logf(((float)(word[i] >> 8) + 0.5f) * 0x1p-24f));
            float angle = (float)(word[i + 1] >> 8) * (6.2831853f * 0x1p-24f);
            z[i] = r * cosf(angle);
            z[i + 1] = r * sinf(angle);
        }
        for (size_t i = 0; i < 4 && at + i < n; i++) {
            if (type == WEFT_F32) ((float *)w)[at + i] = z[i];
            else ((uint16_t *)w)[at + i] = type == WEFT_BF16 ? weft_f32_to_bf16(z[i]) : weft_f32_to_f16(z[i]);
        }
    }
}

enum weft_status weft_model_random(struct weft_model **out, const struct weft_config *config, uint64_t seed,
                                   const struct weft_model_settings *s, struct weft_err *err)
{
    static const struct weft_model_settings defaults;
    struct weft_arena names = { 0 };
    struct weft_model *m = NULL;
    struct weft_slot *slots;
    size_t n_slots;
    enum weft_status st;

    *out = NULL;
    if (!s) s = &defaults;
    st = weft_model_new(&m, config, err);
    if (!st) st = weft_model_slots(m, &names, &slots, &n_slots, err);
    if (!st) st = weft_model_make_rope(m, s->max_positions, err);
    for (size_t i = 0; !st && i < n_slots; i++) {
        bool matrix = slots[i].kind == WEFT_SLOT_EMBED || slots[i].kind == WEFT_SLOT_WEIGHT;
        enum weft_dtype type = matrix ? s->random_type : WEFT_F32;
        size_t n = slots[i].rows * slots[i].cols, bytes = n * weft_dtype_bytes(type);
        void *w = weft_arena_alloc(&m->arena, bytes);
        if (!w) {
            st = weft_fail_nomem(err, bytes, slots[i].name);
            break;
        }
        if (matrix) fill_normal(w, type, n, config->initializer_range, seed, (uint32_t)i);
        else for (size_t k = 0; k < n; k++) ((float *)w)[k] = slots[i].kind == WEFT_SLOT_NORM;
        weft_slot_set(m, &slots[i], w, type);
    }
    weft_arena_clear(&names);
    if (st) {
        weft_model_free(m);
        return st;
    }
    m->exact = s->exact;
    *out = m;
    return WEFT_OK;
}

/* ---- full training ---- */

static void widen(float *y, const struct weft_slot *s)
{
    size_t n = s->rows * s->cols;
    const unsigned char *from = s->w;
    if (s->type == WEFT_F32) {
        memcpy(y, from, n * sizeof *y);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        uint16_t half;
        memcpy(&half, from + 2 * i, 2);         /* files may place tensors at odd addresses */
        y[i] = s->type == WEFT_BF16 ? weft_bf16_to_f32(half) : weft_f16_to_f32(half);
    }
}

enum weft_status weft_model_train_all(struct weft_model *m, struct weft_arena *a, struct weft_params *params,
                                      struct weft_err *err)
{
    struct weft_slot *slots;
    size_t n_slots;
    enum weft_status st = weft_model_slots(m, a, &slots, &n_slots, err);
    for (size_t i = 0; !st && i < n_slots; i++) {
        const struct weft_slot *s = &slots[i];
        size_t n = s->rows * s->cols;
        bool head = s->kind == WEFT_SLOT_WEIGHT && s->layer == m->config.n_layers;
        struct weft_param param = {
            .name = s->name, .rows = s->rows, .cols = s->cols, .w = weft_arena_alloc(a, n * sizeof(float)),
            .grad = WEFT_NEWS(a, float, n), .decay = s->kind == WEFT_SLOT_EMBED || s->kind == WEFT_SLOT_WEIGHT,
            .embedding = s->kind == WEFT_SLOT_EMBED || head,
        };
        if (!param.w || !param.grad)
            return weft_fail_nomem(err, 2 * n * sizeof(float), "trainable weights and their gradients");
        widen(param.w, s);
        weft_slot_set(m, s, param.w, WEFT_F32);
        weft_slot_set_grad(m, s, param.grad);
        st = weft_params_add(params, a, &param, err);
    }
    return st;
}
