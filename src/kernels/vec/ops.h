/* kernels/vec/ops.h - everything that is not a product, on vectors; included after a level's simd.h
 *
 * Loops do whole vectors and then one partial vector: `left` is the number of elements from here to the end, and
 * `whole` is a constant wherever a body is inlined. */
#ifndef WEFT_KERNELS_VEC_OPS_H
#define WEFT_KERNELS_VEC_OPS_H

#include "kernels/vec/exp.h"
#include "kernels/vec/load.h"

#include "base/rng.h"

#include <math.h>

VEC_INLINE vec get(const float *p, size_t left, const bool whole)
{
    return whole ? v_load(p) : v_load_m(v_first(left), p);
}

VEC_INLINE void put(float *p, vec v, size_t left, const bool whole)
{
    if (whole) v_store(p, v);
    else v_store_m(v_first(left), p, v);
}

/* ---- normalisation ---- */

/* Sum of a*b*c (c NULL: a*b) in four chains. */
VEC_INLINE float sum_of_products(const float *a, const float *b, const float *c, size_t n)
{
    vec s[4] = { v_zero(), v_zero(), v_zero(), v_zero() };
    size_t i = 0;
    for (; i + 4 * VEC_LEN <= n; i += 4 * VEC_LEN)
#pragma GCC unroll 4
        for (size_t u = 0; u < 4; u++) {
            vec x = v_load(a + i + u * VEC_LEN);
            if (c) x = v_mul(x, v_load(c + i + u * VEC_LEN));
            s[u] = v_fma(x, v_load(b + i + u * VEC_LEN), s[u]);
        }
    for (; i < n; i += VEC_LEN) {
        vmask m = v_first(n - i);
        vec x = v_load_m(m, a + i);
        if (c) x = v_mul(x, v_load_m(m, c + i));
        s[0] = v_fma(x, v_load_m(m, b + i), s[0]);
    }
    return v_sum(v_add(v_add(s[0], s[1]), v_add(s[2], s[3])));
}

static float dot(const float *x, const float *y, size_t n) { return sum_of_products(x, y, NULL, n); }

VEC_INLINE void rmsnorm_part(float *y, const float *x, const float *w, vec r, size_t left, const bool whole)
{
    put(y, v_mul(get(w, left, whole), v_mul(get(x, left, whole), r)), left, whole);
}

static void rmsnorm(float *y, float *r, const float *x, const float *w, size_t rows, size_t d, float eps)
{
    for (size_t i = 0; i < rows; i++, x += d, y += d) {
        float ri = (float)(1 / sqrt((double)sum_of_products(x, x, NULL, d) / (double)d + eps));
        size_t j = 0;
        for (; j + VEC_LEN <= d; j += VEC_LEN) rmsnorm_part(y + j, x + j, w + j, v_set1(ri), VEC_LEN, true);
        if (j < d) rmsnorm_part(y + j, x + j, w + j, v_set1(ri), d - j, false);
        if (r) r[i] = ri;
    }
}

VEC_INLINE void rmsnorm_backward_part(float *dx, bool accumulate, const float *dy, const float *x,
                                      const float *w, vec r, vec t, size_t left, const bool whole)
{
    vec g = v_mul(v_mul(get(dy, left, whole), get(w, left, whole)), r);
    g = v_fnma(get(x, left, whole), t, g);
    if (accumulate) g = v_add(get(dx, left, whole), g);
    put(dx, g, left, whole);
}

/* dx = r g - x t, t = r^3 mean(g x) */
static void rmsnorm_backward(float *dx, bool accumulate, const float *dy, const float *x, const float *w,
                             const float *r, size_t rows, size_t d)
{
    for (size_t i = 0; i < rows; i++, x += d, dy += d, dx += d) {
        double ri = r[i];
        vec rv = v_set1(r[i]), t = v_set1((float)(ri * ri * ri * sum_of_products(dy, w, x, d) / (double)d));
        size_t j = 0;
        for (; j + VEC_LEN <= d; j += VEC_LEN)
            rmsnorm_backward_part(dx + j, accumulate, dy + j, x + j, w + j, rv, t, VEC_LEN, true);
        if (j < d) rmsnorm_backward_part(dx + j, accumulate, dy + j, x + j, w + j, rv, t, d - j, false);
    }
}

/* One vector of columns runs down the rows. */
static void rmsnorm_dw(float *dw, const float *dy, const float *x, const float *r, size_t rows, size_t ld, size_t n)
{
    for (size_t j = 0; j < n; j += VEC_LEN) {
        vmask m = v_first(n - j);
        vec s = v_load_m(m, dw + j);
        for (size_t i = 0; i < rows; i++)
            s = v_fma(v_load_m(m, dy + i * ld + j), v_mul(v_load_m(m, x + i * ld + j), v_set1(r[i])), s);
        v_store_m(m, dw + j, s);
    }
}

static void column_sums(float *db, const float *dy, size_t rows, size_t ld, size_t n)
{
    for (size_t j = 0; j < n; j += VEC_LEN) {
        vmask m = v_first(n - j);
        vec s = v_load_m(m, db + j);
        for (size_t i = 0; i < rows; i++) s = v_add(s, v_load_m(m, dy + i * ld + j));
        v_store_m(m, db + j, s);
    }
}

/* ---- position ---- */

VEC_INLINE void rope_part(float *a, float *b, const float *cos, const float *sin, vec sign, size_t left,
                          const bool whole)
{
    vec x = get(a, left, whole), y = get(b, left, whole), c = get(cos, left, whole),
        s = v_mul(get(sin, left, whole), sign);
    put(a, v_fnma(y, s, v_mul(x, c)), left, whole);
    put(b, v_fma(x, s, v_mul(y, c)), left, whole);
}

static void rope(float *x, const float *cos, const float *sin, size_t heads, size_t d, float sign)
{
    size_t half = d / 2;
    for (size_t h = 0; h < heads; h++, x += d) {
        size_t j = 0;
        for (; j + VEC_LEN <= half; j += VEC_LEN)
            rope_part(x + j, x + half + j, cos + j, sin + j, v_set1(sign), VEC_LEN, true);
        if (j < half) rope_part(x + j, x + half + j, cos + j, sin + j, v_set1(sign), half - j, false);
    }
}

/* ---- activation ---- */

VEC_INLINE vec sigmoid(vec g) { return v_div(v_set1(1), v_add(v_set1(1), v_exp(v_sub(v_zero(), g)))); }

VEC_INLINE void swiglu_part(float *h, const float *gate, const float *up, size_t left, const bool whole)
{
    vec g = get(gate, left, whole);
    put(h, v_mul(v_mul(g, sigmoid(g)), get(up, left, whole)), left, whole);
}

static void swiglu(float *h, const float *gate, const float *up, size_t n)
{
    size_t i = 0;
    for (; i + VEC_LEN <= n; i += VEC_LEN) swiglu_part(h + i, gate + i, up + i, VEC_LEN, true);
    if (i < n) swiglu_part(h + i, gate + i, up + i, n - i, false);
}

VEC_INLINE void swiglu_backward_part(float *dgate, float *dup, float *h, const float *dh, const float *gate,
                                     const float *up, size_t left, const bool whole)
{
    vec g = get(gate, left, whole), u = get(up, left, whole), d = get(dh, left, whole), s = sigmoid(g),
        silu = v_mul(g, s);
    if (h) put(h, v_mul(silu, u), left, whole);
    put(dup, v_mul(d, silu), left, whole);
    vec slope = v_mul(s, v_fma(g, v_sub(v_set1(1), s), v_set1(1)));
    put(dgate, v_mul(v_mul(d, u), slope), left, whole);
}

static void swiglu_backward(float *dgate, float *dup, float *h, const float *dh, const float *gate,
                            const float *up, size_t n)
{
    size_t i = 0;
    for (; i + VEC_LEN <= n; i += VEC_LEN)
        swiglu_backward_part(dgate + i, dup + i, h ? h + i : NULL, dh + i, gate + i, up + i, VEC_LEN, true);
    if (i < n) swiglu_backward_part(dgate + i, dup + i, h ? h + i : NULL, dh + i, gate + i, up + i, n - i, false);
}

/* pair = gate and up in bf16; h as above.  h may be gate. */
VEC_INLINE void swiglu_keep_part(float *h, float *pair, const float *gate, const float *up, size_t left,
                                 const bool whole)
{
    vec g = get(gate, left, whole), u = get(up, left, whole);
    put(pair, v_pair_bf16(g, u), left, whole);
    if (h) put(h, v_mul(v_mul(g, sigmoid(g)), u), left, whole);
}

static void swiglu_keep(float *h, float *pair, const float *gate, const float *up, size_t n)
{
    size_t i = 0;
    for (; i + VEC_LEN <= n; i += VEC_LEN)
        swiglu_keep_part(h ? h + i : NULL, pair + i, gate + i, up + i, VEC_LEN, true);
    if (i < n) swiglu_keep_part(h ? h + i : NULL, pair + i, gate + i, up + i, n - i, false);
}

VEC_INLINE void swiglu_backward_kept_part(float *dgate, float *dup, float *pair, const float *dh, size_t left,
                                          const bool whole)
{
    vec both = get(pair, left, whole), g = v_pair_lo(both), u = v_pair_hi(both), d = get(dh, left, whole),
        s = sigmoid(g), silu = v_mul(g, s);
    put(pair, v_mul(silu, u), left, whole);
    put(dup, v_mul(d, silu), left, whole);
    vec slope = v_mul(s, v_fma(g, v_sub(v_set1(1), s), v_set1(1)));
    put(dgate, v_mul(v_mul(d, u), slope), left, whole);
}

static void swiglu_backward_kept(float *dgate, float *dup, float *pair, const float *dh, size_t n)
{
    size_t i = 0;
    for (; i + VEC_LEN <= n; i += VEC_LEN)
        swiglu_backward_kept_part(dgate + i, dup + i, pair + i, dh + i, VEC_LEN, true);
    if (i < n) swiglu_backward_kept_part(dgate + i, dup + i, pair + i, dh + i, n - i, false);
}

/* ---- elements ---- */

static void add(float *y, const float *x, size_t n)
{
    size_t i = 0;
    for (; i + VEC_LEN <= n; i += VEC_LEN) v_store(y + i, v_add(v_load(y + i), v_load(x + i)));
    vmask m = v_first(n - i);
    if (i < n) v_store_m(m, y + i, v_add(v_load_m(m, y + i), v_load_m(m, x + i)));
}

static void scale(float *y, float alpha, size_t n)
{
    size_t i = 0;
    for (; i + VEC_LEN <= n; i += VEC_LEN) v_store(y + i, v_mul(v_load(y + i), v_set1(alpha)));
    vmask m = v_first(n - i);
    if (i < n) v_store_m(m, y + i, v_mul(v_load_m(m, y + i), v_set1(alpha)));
}

/* The 16 lanes of ref/, so the same bits. */
static double sum_squares(const float *x, size_t n)
{
    struct v_squares s = { 0 };
    size_t i = 0;
    for (; i + 16 <= n; i += 16) v_add_squares(&s, x + i, 16);
    if (i < n) v_add_squares(&s, x + i, n - i);
    return v_total(&s);
}

static bool all_finite(const float *x, size_t n)
{
    bool fine = true;
    for (size_t i = 0; i < n; i += VEC_LEN) fine &= v_all_finite(v_load_m(v_first(n - i), x + i));
    return fine;
}

/* ---- dropout ---- */

/* Words of VEC_LEN consecutive blocks of Philox4x32-10, in stream order: 4 VEC_LEN draws. */
VEC_INLINE void philox(ivec w[4], uint64_t block, const struct weft_rng *r)
{
    ivec lane = i_add(i_set1((uint32_t)block), i_iota());
    ivec c0 = lane, c1 = i_carry(i_set1((uint32_t)(block >> 32)), lane, (uint32_t)block),
         c2 = i_set1(r->stream[0]), c3 = i_set1(r->stream[1]);
    uint32_t key0 = r->key[0], key1 = r->key[1];
    for (int round = 0; round < 10; round++) {
        ivec lo0, hi0, lo1, hi1;
        i_mul_wide(c0, 0xD2511F53u, &lo0, &hi0);
        i_mul_wide(c2, 0xCD9E8D57u, &lo1, &hi1);
        c0 = i_xor(i_xor(hi1, c1), i_set1(key0));
        c1 = lo1;
        c2 = i_xor(i_xor(hi0, c3), i_set1(key1));
        c3 = lo0;
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
    w[0] = c0, w[1] = c1, w[2] = c2, w[3] = c3;
    i_interleave4(w);
}

static void dropout(float *y, const float *x, size_t n, uint64_t first, const struct weft_dropout *d, bool accumulate)
{
    struct weft_rng r;
    weft_rng_init(&r, d->seed, WEFT_RNG_DROPOUT, d->stream);
    for (size_t i = 0; i < n; i += 4 * VEC_LEN) {
        ivec w[4];
        philox(w, (first + i) / 4, &r);
#pragma GCC unroll 4
        for (size_t u = 0; u < 4; u++) {
            size_t at = i + u * VEC_LEN;
            if (at >= n) break;
            vmask m = v_first(n - at);
            vec v = v_keep_from(v_mul(v_load_m(m, x + at), v_set1(d->scale)), w[u], d->threshold);
            if (accumulate) v = v_add(v_load_m(m, y + at), v);
            v_store_m(m, y + at, v);
        }
    }
}

/* ---- optimizer ---- */

/* No FMA: each operation is rounded by itself, as in ref/, so the same bits. */
VEC_INLINE void adamw_part(float *p, float *m, float *v, const float *g, const struct weft_adamw_step *s,
                           size_t left, const bool whole)
{
    vec gi = v_mul(get(g, left, whole), v_set1(s->g_scale)), mi = get(m, left, whole), vi = get(v, left, whole);
    mi = v_add(mi, v_mul(v_set1(1 - s->beta1), v_sub(gi, mi)));
    vi = v_add(v_mul(v_set1(s->beta2), vi), v_mul(v_mul(v_set1(1 - s->beta2), gi), gi));
    put(m, mi, left, whole);
    put(v, vi, left, whole);
    vec below = v_add(v_mul(v_sqrt(vi), v_set1(s->inv_sqrt_bc2)), v_set1(s->eps));
    vec step = v_div(v_mul(v_set1(s->step_size), mi), below);
    put(p, v_sub(v_mul(get(p, left, whole), v_set1(1 - s->lr * s->wd)), step), left, whole);
}

static void adamw(float *p, float *m, float *v, const float *g, size_t n, const struct weft_adamw_step *s)
{
    size_t i = 0;
    for (; i + VEC_LEN <= n; i += VEC_LEN) adamw_part(p + i, m + i, v + i, g + i, s, VEC_LEN, true);
    if (i < n) adamw_part(p + i, m + i, v + i, g + i, s, n - i, false);
}

/* ---- conversions ---- */

VEC_INLINE void to_f32_of(float *y, const char *x, const enum weft_dtype type, size_t n)
{
    size_t i = 0;
    for (; i + VEC_LEN <= n; i += VEC_LEN) v_store(y + i, v_load_any(weft_element(x, type, i), type));
    vmask m = v_first(n - i);
    if (i < n) v_store_m(m, y + i, v_load_any_m(m, weft_element(x, type, i), type));
}

static void to_f32(float *y, const void *x, enum weft_dtype type, size_t n)
{
    if (type == WEFT_BF16) to_f32_of(y, x, WEFT_BF16, n);
    else if (type == WEFT_F16) to_f32_of(y, x, WEFT_F16, n);
    else if (n) memmove(y, x, n * sizeof *y);
}

static void from_f32(void *y, enum weft_dtype type, const float *x, size_t n)
{
    if (type == WEFT_F32) {
        if (n) memmove(y, x, n * sizeof *x);
        return;
    }
    char *h = y;
    for (size_t i = 0; i < n; i += VEC_LEN) {
        vmask m = v_first(n - i);
        if (type == WEFT_BF16) v_store_bf16_m(m, h + 2 * i, v_load_m(m, x + i));
        else v_store_f16_m(m, h + 2 * i, v_load_m(m, x + i));
    }
}

/* ---- loss ---- */

enum { LOSS_BLOCK = 4096 };             /* elements, so that the second look at them finds them in L1 */

VEC_INLINE float maximum(const float *z, size_t n, float max)
{
    vec m[4] = { v_set1(max), v_set1(max), v_set1(max), v_set1(max) };
    size_t i = 0;
    for (; i + 4 * VEC_LEN <= n; i += 4 * VEC_LEN)
#pragma GCC unroll 4
        for (size_t u = 0; u < 4; u++) m[u] = v_max(v_load(z + i + u * VEC_LEN), m[u]);     /* a NaN is left out */
    max = v_max_across(v_max(v_max(m[0], m[1]), v_max(m[2], m[3])));
    for (; i < n; i++) max = z[i] > max ? z[i] : max;
    return max;
}

/* Sum of e^(z - max) over a block. */
VEC_INLINE double sum_of_powers(const float *z, size_t n, float max)
{
    vec s[2] = { v_zero(), v_zero() }, base = v_set1(max);
    size_t i = 0;
    for (; i + 2 * VEC_LEN <= n; i += 2 * VEC_LEN)
#pragma GCC unroll 2
        for (size_t u = 0; u < 2; u++) s[u] = v_add(s[u], v_exp(v_sub(v_load(z + i + u * VEC_LEN), base)));
    double sum = (double)v_sum(v_add(s[0], s[1]));
    for (; i < n; i += VEC_LEN) {
        vmask m = v_first(n - i);
        float e[VEC_LEN];
        v_store(e, v_exp(v_sub(v_load_m(m, z + i), base)));
        for (size_t j = 0; j < VEC_LEN && i + j < n; j++) sum += (double)e[j];
    }
    return sum;
}

/* The maximum and the sum in one pass, block by block; a NaN is in no maximum but in the sum. */
static double cross_entropy(float *z, size_t v, int32_t target, bool gradient, float coef)
{
    float max = -INFINITY;
    double sum = 0;
    for (size_t i = 0; i < v; i += LOSS_BLOCK) {
        size_t n = weft_min_size(LOSS_BLOCK, v - i);
        float higher = maximum(z + i, n, max);
        if (higher > max) sum *= exp((double)max - (double)higher);
        max = higher;
        sum += sum_of_powers(z + i, n, max == -INFINITY ? 0 : max);
    }
    double loss = (double)max + log(sum) - (double)z[target];
    if (!gradient) return loss;
    vec base = v_set1(max), factor = v_set1((float)((double)coef / sum));
    for (size_t i = 0; i < v; i += VEC_LEN) {
        vmask m = v_first(v - i);
        v_store_m(m, z + i, v_mul(v_exp(v_sub(v_load_m(m, z + i), base)), factor));
    }
    z[target] = (float)((double)coef * expm1(-loss));
    return loss;
}

/* ---- attention ---- */

/* s = 2^(s - base) and the sum of that, lane by lane: masked keys behind the last one a query sees change no bit. */
VEC_INLINE float powers_of_row(float *s, size_t cols, float base)
{
    vec sums = v_zero(), b = v_set1(base);
    size_t j = 0;
    for (; j + VEC_LEN <= cols; j += VEC_LEN) {
        vec p = v_exp2_of_negative(v_sub(v_load(s + j), b));
        v_store(s + j, p);
        sums = v_add(sums, p);
    }
    if (j < cols) {
        vmask m = v_first(cols - j);
        v_store_m(m, s + j, v_exp2_of_negative(v_sub(v_load_m(m, s + j), b)));
        sums = v_add(sums, v_load_m(m, s + j));
    }
    return v_sum(sums);
}

/* VEC_LEN rows at a time, so that how much of the past each keeps is one power for all of them. */
static void softmax_step(float *s, size_t lds, size_t rows, size_t cols, float *m, float *l, float *o,
                         size_t ldo, size_t d)
{
    for (size_t i0 = 0; i0 < rows; i0 += VEC_LEN) {
        size_t n = weft_min_size(VEC_LEN, rows - i0);
        float base[VEC_LEN] = { 0 }, keep[VEC_LEN];
        for (size_t i = 0; i < n; i++) {
            float max = maximum(s + (i0 + i) * lds, cols, m[i0 + i]);
            base[i] = max == -INFINITY ? 0 : max;               /* a row that has seen nothing yet: 2^-inf, not NaN */
        }
        v_store(keep, v_exp2_of_negative(v_sub(v_load_m(v_first(n), m + i0), v_load(base))));
        for (size_t i = 0; i < n; i++) {
            float sum = powers_of_row(s + (i0 + i) * lds, cols, base[i]);
            if (keep[i] != 1) scale(o + (i0 + i) * ldo, keep[i], d);
            l[i0 + i] = l[i0 + i] * keep[i] + sum;
            if (sum != 0) m[i0 + i] = base[i];
        }
    }
}

static void softmax_backward(float *p, float *dp, size_t ld, size_t keys, size_t queries, const float *lse,
                             const float *delta)
{
    for (size_t i = 0; i < queries; i += VEC_LEN) {
        vmask m = v_first(queries - i);
        vec base = v_mul(v_load_m(m, lse + i), v_set1(WEFT_LOG2_E)), d = v_load_m(m, delta + i);
        for (size_t j = 0; j < keys; j++) {
            vec e = v_exp2_of_negative(v_sub(v_load_m(m, p + j * ld + i), base));
            v_store_m(m, p + j * ld + i, e);
            v_store_m(m, dp + j * ld + i, v_mul(e, v_sub(v_load_m(m, dp + j * ld + i), d)));
        }
    }
}

/* The slots that this file fills. */
VEC_INLINE void fill_ops(struct weft_kernels *k)
{
    k->softmax_step = softmax_step;
    k->softmax_backward = softmax_backward;
    k->dot = dot;
    k->rmsnorm = rmsnorm;
    k->rmsnorm_backward = rmsnorm_backward;
    k->rmsnorm_dw = rmsnorm_dw;
    k->column_sums = column_sums;
    k->rope = rope;
    k->cross_entropy = cross_entropy;
    k->swiglu = swiglu;
    k->swiglu_backward = swiglu_backward;
    k->swiglu_keep = swiglu_keep;
    k->swiglu_backward_kept = swiglu_backward_kept;
    k->add = add;
    k->scale = scale;
    k->sum_squares = sum_squares;
    k->all_finite = all_finite;
    k->dropout = dropout;
    k->adamw = adamw;
    k->to_f32 = to_f32;
    k->from_f32 = from_f32;
}

#endif
