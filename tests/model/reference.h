/* tests/model/reference.h - the forward pass again, scalar and in f64, as docs/model.md writes it
 *
 * Slow and plain, one sequence after the other, no kernels: what gradients are checked against by central differences.
 * One entry of one array of weights can be moved by less than an f32 resolves; a DoRA layer's norms are those of the
 * weights as they stand, since the gradient takes them as constant.
 */
#ifndef WEFT_TESTS_MODEL_REFERENCE_H
#define WEFT_TESTS_MODEL_REFERENCE_H

#include "check.h"
#include "model/model.h"
#include "model/rope.h"

#include <math.h>

struct ref {
    const struct weft_model *model;
    const float *moved;         /* the array that an entry of ... */
    size_t moved_idx;
    double moved_by;
    struct weft_compute *compute;   /* for the masks of dropout; NULL: none */
    uint64_t seed, micro_step;
    struct weft_arena arena;
};

static inline double *ref_new(struct ref *r, size_t n)
{
    double *p = WEFT_NEWS(&r->arena, double, n);
    assert_non_null(p);
    return p;
}

/* Element i of an f32 array. */
static inline double ref_at(const struct ref *r, const float *w, size_t i)
{
    return (double)w[i] + (w == r->moved && i == r->moved_idx ? r->moved_by : 0);
}

static inline double ref_weight(const struct ref *r, const void *w, enum weft_dtype type, size_t i)
{
    if (type == WEFT_F32) return ref_at(r, w, i);
    uint16_t h;
    memcpy(&h, (const char *)w + 2 * i, 2);
    return (double)(type == WEFT_BF16 ? weft_bf16_to_f32(h) : weft_f16_to_f32(h));
}

/* x as a branch sees it: rows `first` ... of the batch's T rows, whose mask counts elements from the batch's start.
 * The last layer computes only rows that carry loss behind its attention, so that `row_of` says where a row stands
 * among those computed; NULL: all are. */
static inline const double *ref_dropped(struct ref *r, const struct weft_linear *l, const double *x, size_t first,
                                        size_t T, size_t all, const int32_t *row_of)
{
    const struct weft_branch *b = l->branch;
    if (!r->compute || !b->dropout) return x;
    float *ones = WEFT_NEWS(&r->arena, float, all * l->n_in);
    double *out = ref_new(r, T * l->n_in);
    assert_non_null(ones);
    for (size_t i = 0; i < all * l->n_in; i++) ones[i] = 1;
    weft_dropout(r->compute, ones, ones, all * l->n_in, b->dropout, r->seed, r->micro_step << 32 | b->module_id);
    for (size_t t = 0; t < T; t++)
        for (size_t i = 0; i < l->n_in; i++) {
            int32_t row = row_of ? row_of[first + t] : (int32_t)(first + t);
            out[t * l->n_in + i] = row < 0 ? 0 : x[t * l->n_in + i] * (double)ones[(size_t)row * l->n_in + i];
        }
    return out;
}

/* y [T, n_out] (+)= the layer of x [T, n_in]. */
static inline void ref_linear(struct ref *r, const struct weft_linear *l, double *y, bool add, const double *x,
                              size_t first, size_t T, size_t all, const int32_t *row_of)
{
    const struct weft_branch *b = l->branch && l->branch->enabled ? l->branch : NULL;
    const double *d = b ? ref_dropped(r, l, x, first, T, all, row_of) : x;
    struct ref still = { .model = r->model };
    for (size_t o = 0; o < l->n_out; o++) {
        double k = 1;
        if (b && b->dora) {
            double norm = 0;
            for (size_t i = 0; i < l->n_in; i++) {
                double w = ref_weight(&still, l->w, l->type, o * l->n_in + i);
                for (size_t j = 0; j < b->rank; j++)
                    w += (double)b->scale * (double)b->b[o * b->rank + j] * (double)b->a[j * l->n_in + i];
                norm += w * w;
            }
            k = ref_at(r, b->dora->m, o) / sqrt(norm);
        }
        for (size_t t = 0; t < T; t++) {
            double plain = 0, dropped = 0, low = 0;
            for (size_t i = 0; i < l->n_in; i++) {
                double w = ref_weight(r, l->w, l->type, o * l->n_in + i);
                plain += w * x[t * l->n_in + i];
                dropped += w * d[t * l->n_in + i];
            }
            for (size_t j = 0; b && j < b->rank; j++) {
                double a = 0;
                for (size_t i = 0; i < l->n_in; i++) a += ref_at(r, b->a, j * l->n_in + i) * d[t * l->n_in + i];
                low += ref_at(r, b->b, o * b->rank + j) * a;
            }
            double v = plain + (k - 1) * dropped + (b ? k * (double)b->scale * low : 0);
            if (l->bias) v += ref_at(r, l->bias, o);
            y[t * l->n_out + o] = v + (add ? y[t * l->n_out + o] : 0);
        }
    }
}

static inline void ref_norm(struct ref *r, const struct weft_norm *n, double *y, const double *x, size_t rows, size_t d)
{
    for (size_t t = 0; t < rows; t++) {
        double sum = 0;
        for (size_t i = 0; i < d; i++) sum += x[t * d + i] * x[t * d + i];
        double s = 1 / sqrt(sum / (double)d + (double)r->model->config.rms_norm_eps);
        for (size_t i = 0; i < d; i++) y[t * d + i] = ref_at(r, n->w, i) * x[t * d + i] * s;
    }
}

static inline void ref_rotate(struct ref *r, double *x, size_t T, size_t heads)
{
    const struct weft_config *c = &r->model->config;
    size_t d = c->head_dim, half = d / 2;
    float inv[512];
    double af = (double)weft_rope_frequencies(c, inv);
    for (size_t t = 0; t < T; t++)
        for (size_t h = 0; h < heads; h++)
            for (size_t j = 0; j < half; j++) {
                double angle = (double)((float)t * inv[j]), cs = cos(angle) * af, sn = sin(angle) * af;
                double *p = x + (t * heads + h) * d, lo = p[j], hi = p[j + half];
                p[j] = lo * cs - hi * sn;
                p[j + half] = hi * cs + lo * sn;
            }
}

/* Sum of the losses of one sequence; `first`: its place in the batch of `all` tokens. */
static inline double ref_sequence(struct ref *r, const struct weft_batch *b, size_t first, size_t T,
                                  const int32_t *row_of)
{
    const struct weft_model *m = r->model;
    const struct weft_config *c = &m->config;
    size_t D = c->hidden_size, F = c->intermediate_size, H = c->n_heads, Hk = c->n_kv_heads, d = c->head_dim;
    size_t all = b->n_tokens;
    double *h = ref_new(r, T * D), *a = ref_new(r, T * D), *q = ref_new(r, T * H * d), *k = ref_new(r, T * Hk * d);
    double *v = ref_new(r, T * Hk * d), *o = ref_new(r, T * H * d), *s = ref_new(r, T), *gate = ref_new(r, T * F);
    double *up = ref_new(r, T * F), *z = ref_new(r, c->vocab_size), loss = 0;

    for (size_t t = 0; t < T; t++)
        for (size_t i = 0; i < D; i++)
            h[t * D + i] = ref_weight(r, m->embed, m->embed_type, (size_t)b->ids[first + t] * D + i);
    for (size_t n = 0; n < c->n_layers; n++) {
        const struct weft_layer *l = &m->layers[n];
        const int32_t *rows = n + 1 == c->n_layers ? row_of : NULL;
        size_t window = weft_config_window(c, n);
        ref_norm(r, &l->input_norm, a, h, T, D);
        ref_linear(r, &l->q, q, false, a, first, T, all, NULL);
        ref_linear(r, &l->k, k, false, a, first, T, all, NULL);
        ref_linear(r, &l->v, v, false, a, first, T, all, NULL);
        if (c->qk_norm) {
            ref_norm(r, &l->q_norm, q, q, T * H, d);
            ref_norm(r, &l->k_norm, k, k, T * Hk, d);
        }
        ref_rotate(r, q, T, H);
        ref_rotate(r, k, T, Hk);
        for (size_t t = 0; t < T; t++)
            for (size_t g = 0; g < H; g++) {
                size_t kv = g / (H / Hk), from = window && t + 1 > window ? t + 1 - window : 0;
                double sum = 0, top = -INFINITY;
                for (size_t j = from; j <= t; j++) {
                    s[j] = 0;
                    for (size_t i = 0; i < d; i++) s[j] += q[(t * H + g) * d + i] * k[(j * Hk + kv) * d + i];
                    s[j] /= sqrt((double)d);
                    top = fmax(top, s[j]);
                }
                for (size_t j = from; j <= t; j++) sum += s[j] = exp(s[j] - top);
                for (size_t i = 0; i < d; i++) {
                    double out = 0;
                    for (size_t j = from; j <= t; j++) out += s[j] / sum * v[(j * Hk + kv) * d + i];
                    o[(t * H + g) * d + i] = out;
                }
            }
        ref_linear(r, &l->o, h, true, o, first, T, all, rows);
        ref_norm(r, &l->post_norm, a, h, T, D);
        ref_linear(r, &l->gate, gate, false, a, first, T, all, rows);
        ref_linear(r, &l->up, up, false, a, first, T, all, rows);
        for (size_t i = 0; i < T * F; i++) gate[i] *= up[i] / (1 + exp(-gate[i]));
        ref_linear(r, &l->down, h, true, gate, first, T, all, rows);
    }
    ref_norm(r, &m->norm, a, h, T, D);
    for (size_t t = 0; t + 1 < T; t++) {
        int32_t label = b->labels[first + t + 1];
        double top = -INFINITY, sum = 0;
        if (label == WEFT_IGNORE) continue;
        for (size_t y = 0; y < c->vocab_size; y++) {
            z[y] = 0;
            for (size_t i = 0; i < D; i++) z[y] += ref_weight(r, m->head.w, m->head.type, y * D + i) * a[t * D + i];
            top = fmax(top, z[y]);
        }
        for (size_t y = 0; y < c->vocab_size; y++) sum += exp(z[y] - top);
        loss += top + log(sum) - z[label];
    }
    return loss;
}

/* Sum over the batch of -log p(label). */
static inline double ref_loss(struct ref *r, const struct weft_batch *b)
{
    struct weft_arena_mark mark = weft_arena_mark(&r->arena);
    int32_t *row_of = WEFT_NEWS(&r->arena, int32_t, b->n_tokens), n = 0;
    double sum = 0;
    assert_non_null(row_of);
    for (size_t s = 0; s < b->n_seqs; s++)
        for (int32_t t = b->cu[s]; t < b->cu[s + 1]; t++)
            row_of[t] = t + 1 < b->cu[s + 1] && b->labels[t + 1] != WEFT_IGNORE ? n++ : -1;
    for (size_t s = 0; s < b->n_seqs; s++) {
        struct weft_arena_mark one = weft_arena_mark(&r->arena);
        sum += ref_sequence(r, b, (size_t)b->cu[s], (size_t)(b->cu[s + 1] - b->cu[s]), row_of);
        weft_arena_release(&r->arena, one);
    }
    weft_arena_release(&r->arena, mark);
    return sum;
}

#endif
