/* Rows and elements: cutting over the pool.  Pieces follow from the shape alone; what one piece computes is the
 * level's loop.  An array of one piece runs on the caller's thread. */
#include "kernels/profile.h"
#include "kernels/table.h"

#include "base/rng.h"

#include <assert.h>
#include <math.h>
#include <stdatomic.h>

enum {
    PIECE = 16384,          /* elements of one task: some 10 microseconds, a few hundred KiB */
    COLUMNS = 64,           /* of one task that sums along the rows */
    MAX_SUMS = 1024
};

static size_t rows_per_piece(size_t d) { return weft_max_size(PIECE / weft_max_size(d, 1), 1); }

/* The elements of piece `chunk` of n. */
static size_t piece(size_t n, size_t chunk, size_t *first)
{
    *first = chunk * PIECE;
    return weft_min_size(PIECE, n - *first);
}

/* ---- normalisation ---- */

struct norm {
    const struct weft_kernels *k;
    float *y, *r_out, *dw;
    const float *x, *w, *r, *dy;
    size_t rows, d, per_piece;
    float eps;
    bool accumulate;
};

static void rmsnorm_task(void *ctx, size_t chunk, int thread)
{
    const struct norm *o = ctx;
    size_t i = chunk * o->per_piece, rows = weft_min_size(o->per_piece, o->rows - i);
    o->k->rmsnorm(o->y + i * o->d, o->r_out ? o->r_out + i : NULL, o->x + i * o->d, o->w, rows, o->d, o->eps);
}

void weft_rmsnorm(struct weft_compute *c, float *y, float *r, const float *x, const float *w, size_t rows,
                  size_t d, float eps)
{
    WEFT_SPAN(span) = weft_span(c, WEFT_OP_NORM, 4.0 * (double)(2 * rows * d));
    struct norm o = { .k = c->k, .y = y, .r_out = r, .x = x, .w = w, .rows = rows, .d = d, .eps = eps,
                      .per_piece = rows_per_piece(d) };
    weft_pool_run(c->pool, weft_ceil_div(rows, o.per_piece), rmsnorm_task, &o);
}

static void rmsnorm_dw_task(void *ctx, size_t chunk, int thread)
{
    const struct norm *o = ctx;
    size_t j = chunk * COLUMNS;
    o->k->rmsnorm_dw(o->dw + j, o->dy + j, o->x + j, o->r, o->rows, o->d, weft_min_size(COLUMNS, o->d - j));
}

static void rmsnorm_backward_task(void *ctx, size_t chunk, int thread)
{
    const struct norm *o = ctx;
    size_t i = chunk * o->per_piece, rows = weft_min_size(o->per_piece, o->rows - i);
    o->k->rmsnorm_backward(o->y + i * o->d, o->accumulate, o->dy + i * o->d, o->x + i * o->d, o->w, o->r + i,
                           rows, o->d);
}

void weft_rmsnorm_backward(struct weft_compute *c, float *dx, bool accumulate, float *dw, const float *dy,
                           const float *x, const float *w, const float *r, size_t rows, size_t d)
{
    WEFT_SPAN(span) = weft_span(c, WEFT_OP_NORM_BACKWARD, 4.0 * (double)((accumulate ? 4 : 3) * rows * d));
    struct norm o = { .k = c->k, .y = dx, .dw = dw, .dy = dy, .x = x, .w = w, .r = r, .rows = rows, .d = d,
                      .accumulate = accumulate, .per_piece = rows_per_piece(d) };
    /* before dx may overwrite dy */
    if (dw && rows) weft_pool_run(c->pool, weft_ceil_div(d, COLUMNS), rmsnorm_dw_task, &o);
    weft_pool_run(c->pool, weft_ceil_div(rows, o.per_piece), rmsnorm_backward_task, &o);
}

struct sums {
    const struct weft_kernels *k;
    float *db;
    const float *dy;
    size_t rows, n;
};

static void bias_task(void *ctx, size_t chunk, int thread)
{
    const struct sums *o = ctx;
    size_t j = chunk * COLUMNS;
    o->k->column_sums(o->db + j, o->dy + j, o->rows, o->n, weft_min_size(COLUMNS, o->n - j));
}

void weft_bias_backward(struct weft_compute *c, float *db, const float *dy, size_t rows, size_t n)
{
    WEFT_SPAN(span) = weft_span(c, WEFT_OP_ELEMENTS, 4.0 * (double)(rows * n));
    struct sums o = { c->k, db, dy, rows, n };
    if (rows) weft_pool_run(c->pool, weft_ceil_div(n, COLUMNS), bias_task, &o);
}

/* ---- position ---- */

struct rope {
    const struct weft_kernels *k;
    float *x;
    size_t ld;
    const float *cos, *sin;
    const int32_t *pos;
    size_t T, heads, d, per_piece;
    float sign;
};

static void rope_task(void *ctx, size_t chunk, int thread)
{
    const struct rope *o = ctx;
    size_t first = chunk * o->per_piece, end = weft_min_size(first + o->per_piece, o->T);
    for (size_t t = first; t < end; t++) {
        size_t at = (size_t)o->pos[t] * (o->d / 2);
        o->k->rope(o->x + t * o->ld, o->cos + at, o->sin + at, o->heads, o->d, o->sign);
    }
}

void weft_rope(struct weft_compute *c, float *x, size_t ld, const float *cos, const float *sin,
               const int32_t *pos, size_t T, size_t heads, size_t d, bool inverse)
{
    WEFT_SPAN(span) = weft_span(c, WEFT_OP_ROPE, 4.0 * (double)(2 * T * heads * d));
    struct rope o = { c->k, x, ld, cos, sin, pos, T, heads, d, rows_per_piece(heads * d), inverse ? -1 : 1 };
    weft_pool_run(c->pool, weft_ceil_div(T, o.per_piece), rope_task, &o);
}

/* ---- elements ---- */

struct elements {
    const struct weft_kernels *k;
    float *y, *y2, *y3;
    const float *x, *x2, *x3;
    size_t n;
    float alpha;
};

static void swiglu_task(void *ctx, size_t chunk, int thread)
{
    const struct elements *o = ctx;
    size_t i, n = piece(o->n, chunk, &i);
    o->k->swiglu(o->y + i, o->x + i, o->x2 + i, n);
}

void weft_swiglu(struct weft_compute *c, float *h, const float *gate, const float *up, size_t n)
{
    WEFT_SPAN(span) = weft_span(c, WEFT_OP_SWIGLU, 4.0 * (double)(3 * n));
    struct elements o = { .k = c->k, .y = h, .x = gate, .x2 = up, .n = n };
    weft_pool_run(c->pool, weft_ceil_div(n, PIECE), swiglu_task, &o);
}

static void swiglu_backward_task(void *ctx, size_t chunk, int thread)
{
    const struct elements *o = ctx;
    size_t i, n = piece(o->n, chunk, &i);
    o->k->swiglu_backward(o->y + i, o->y2 + i, o->y3 ? o->y3 + i : NULL, o->x + i, o->x2 + i, o->x3 + i, n);
}

void weft_swiglu_backward(struct weft_compute *c, float *dgate, float *dup, float *h, const float *dh,
                          const float *gate, const float *up, size_t n)
{
    WEFT_SPAN(span) = weft_span(c, WEFT_OP_SWIGLU_BACKWARD, 4.0 * (double)((h ? 6 : 5) * n));
    struct elements o = { .k = c->k, .y = dgate, .y2 = dup, .y3 = h, .x = dh, .x2 = gate, .x3 = up, .n = n };
    weft_pool_run(c->pool, weft_ceil_div(n, PIECE), swiglu_backward_task, &o);
}

static void swiglu_keep_task(void *ctx, size_t chunk, int thread)
{
    const struct elements *o = ctx;
    size_t i, n = piece(o->n, chunk, &i);
    o->k->swiglu_keep(o->y ? o->y + i : NULL, o->y2 + i, o->x + i, o->x2 + i, n);
}

void weft_swiglu_keep(struct weft_compute *c, float *h, float *pair, const float *gate, const float *up, size_t n)
{
    WEFT_SPAN(span) = weft_span(c, WEFT_OP_SWIGLU, 4.0 * (double)((h ? 4 : 3) * n));
    struct elements o = { .k = c->k, .y = h, .y2 = pair, .x = gate, .x2 = up, .n = n };
    weft_pool_run(c->pool, weft_ceil_div(n, PIECE), swiglu_keep_task, &o);
}

static void swiglu_backward_kept_task(void *ctx, size_t chunk, int thread)
{
    const struct elements *o = ctx;
    size_t i, n = piece(o->n, chunk, &i);
    o->k->swiglu_backward_kept(o->y + i, o->y2 + i, o->y3 + i, o->x + i, n);
}

void weft_swiglu_backward_kept(struct weft_compute *c, float *dgate, float *dup, float *pair, const float *dh, size_t n)
{
    WEFT_SPAN(span) = weft_span(c, WEFT_OP_SWIGLU_BACKWARD, 4.0 * (double)(5 * n));
    struct elements o = { .k = c->k, .y = dgate, .y2 = dup, .y3 = pair, .x = dh, .n = n };
    weft_pool_run(c->pool, weft_ceil_div(n, PIECE), swiglu_backward_kept_task, &o);
}

static void add_task(void *ctx, size_t chunk, int thread)
{
    const struct elements *o = ctx;
    size_t i, n = piece(o->n, chunk, &i);
    o->k->add(o->y + i, o->x + i, n);
}

void weft_add(struct weft_compute *c, float *y, const float *x, size_t n)
{
    WEFT_SPAN(span) = weft_span(c, WEFT_OP_ELEMENTS, 4.0 * (double)(3 * n));
    struct elements o = { .k = c->k, .y = y, .x = x, .n = n };
    weft_pool_run(c->pool, weft_ceil_div(n, PIECE), add_task, &o);
}

struct taken {
    const struct weft_kernels *k;
    float *y, *x;
    size_t n;
    bool first;
};

static void take_task(void *ctx, size_t chunk, int thread)
{
    const struct taken *o = ctx;
    size_t i, n = piece(o->n, chunk, &i);
    if (o->first) memcpy(o->y + i, o->x + i, n * sizeof *o->y);
    else o->k->add(o->y + i, o->x + i, n);
    memset(o->x + i, 0, n * sizeof *o->x);
}

void weft_take(struct weft_compute *c, float *y, float *x, size_t n, bool first)
{
    struct taken o = { .k = c->k, .y = y, .x = x, .n = n, .first = first };
    WEFT_SPAN(span) = weft_span(c, WEFT_OP_GRADIENTS, (first ? 3.0 : 4.0) * (double)(n * sizeof *x));
    weft_pool_run(c->pool, weft_ceil_div(n, PIECE), take_task, &o);
}

static void scale_task(void *ctx, size_t chunk, int thread)
{
    const struct elements *o = ctx;
    size_t i, n = piece(o->n, chunk, &i);
    o->k->scale(o->y + i, o->alpha, n);
}

void weft_scale(struct weft_compute *c, float *y, float alpha, size_t n)
{
    WEFT_SPAN(span) = weft_span(c, WEFT_OP_ELEMENTS, 4.0 * (double)(2 * n));
    struct elements o = { .k = c->k, .y = y, .alpha = alpha, .n = n };
    weft_pool_run(c->pool, weft_ceil_div(n, PIECE), scale_task, &o);
}

/* ---- sums ---- */

struct total {
    const struct weft_kernels *k;
    const float *x;
    size_t n, piece;
    double *sum;            /* [pieces] */
    atomic_bool bad;
};

static void sum_squares_task(void *ctx, size_t chunk, int thread)
{
    struct total *o = ctx;
    size_t i = chunk * o->piece;
    o->sum[chunk] = o->k->sum_squares(o->x + i, weft_min_size(o->piece, o->n - i));
}

double weft_sum_squares(struct weft_compute *c, const float *x, size_t n)
{
    WEFT_SPAN(span) = weft_span(c, WEFT_OP_GRADIENTS, 4.0 * (double)(n));
    double sum[MAX_SUMS], all = 0;
    size_t per_piece = weft_max_size(PIECE, weft_ceil_div(weft_ceil_div(n, MAX_SUMS), 16) * 16);
    size_t pieces = weft_ceil_div(n, per_piece);
    struct total o = { .k = c->k, .x = x, .n = n, .piece = per_piece, .sum = sum };
    weft_pool_run(c->pool, pieces, sum_squares_task, &o);
    for (size_t i = 0; i < pieces; i++) all += sum[i];
    return all;
}

static void all_finite_task(void *ctx, size_t chunk, int thread)
{
    struct total *o = ctx;
    if (atomic_load_explicit(&o->bad, memory_order_relaxed)) return;
    size_t i, n = piece(o->n, chunk, &i);
    if (!o->k->all_finite(o->x + i, n)) atomic_store_explicit(&o->bad, true, memory_order_relaxed);
}

bool weft_all_finite(struct weft_compute *c, const float *x, size_t n)
{
    WEFT_SPAN(span) = weft_span(c, WEFT_OP_GRADIENTS, 4.0 * (double)(n));
    struct total o = { .k = c->k, .x = x, .n = n };
    weft_pool_run(c->pool, weft_ceil_div(n, PIECE), all_finite_task, &o);
    return !atomic_load(&o.bad);
}

/* ---- dropout ---- */

struct drop {
    const struct weft_kernels *k;
    float *y;
    const float *x;
    size_t n;
    struct weft_dropout d;
    bool add;
};

static void dropout_task(void *ctx, size_t chunk, int thread)
{
    const struct drop *o = ctx;
    size_t i, n = piece(o->n, chunk, &i);
    o->k->dropout(o->y + i, o->x + i, n, i, &o->d, o->add);
}

static void drop(struct weft_compute *c, float *y, const float *x, size_t n, float p, uint64_t seed,
                 uint64_t stream, bool add)
{
    assert(p >= 0 && p < 1);
    WEFT_SPAN(span) = weft_span(c, WEFT_OP_ELEMENTS, 4.0 * (double)((add ? 3 : 2) * n));
    struct drop o = { c->k, y, x, n, { seed, stream, (uint32_t)((double)p * 0x1p32), 1 / (1 - p) }, add };
    weft_pool_run(c->pool, weft_ceil_div(n, PIECE), dropout_task, &o);
}

void weft_dropout(struct weft_compute *c, float *y, const float *x, size_t n, float p, uint64_t seed, uint64_t stream)
{
    drop(c, y, x, n, p, seed, stream, false);
}

void weft_dropout_add(struct weft_compute *c, float *y, const float *x, size_t n, float p, uint64_t seed,
                      uint64_t stream)
{
    drop(c, y, x, n, p, seed, stream, true);
}

/* ---- noise ---- */

struct noise {
    float *y;
    size_t n;
    float most;
    uint64_t seed, stream;
};

static void noise_task(void *ctx, size_t chunk, int thread)
{
    const struct noise *o = ctx;
    struct weft_rng rng;
    size_t i, n = piece(o->n, chunk, &i);
    weft_rng_init(&rng, o->seed, WEFT_RNG_NOISE, o->stream);
    rng.drawn = i;
    for (size_t k = i; k < i + n; k++) o->y[k] += (2 * weft_rng_f32(&rng) - 1) * o->most;
}

void weft_add_noise(struct weft_compute *c, float *y, size_t n, float most, uint64_t seed, uint64_t stream)
{
    WEFT_SPAN(span) = weft_span(c, WEFT_OP_ELEMENTS, 4.0 * (double)(2 * n));
    struct noise o = { y, n, most, seed, stream };
    weft_pool_run(c->pool, weft_ceil_div(n, PIECE), noise_task, &o);
}

/* ---- embedding ---- */

struct embed {
    const struct weft_kernels *k;
    float *y;                   /* [T,d]; backward: dE [V,d] */
    const void *e;
    enum weft_dtype e_type;
    const float *dy;
    const int32_t *ids;
    size_t T, d, per_piece;
    int32_t skip;
};

static void embed_task(void *ctx, size_t chunk, int thread)
{
    const struct embed *o = ctx;
    size_t first = chunk * o->per_piece, end = weft_min_size(first + o->per_piece, o->T);
    for (size_t t = first; o->e_type == WEFT_QUANT && t < end; t++)
        o->k->dequantise(o->y + t * o->d, WEFT_F32, o->e, (size_t)o->ids[t], 0, o->d);
    for (size_t t = first; o->e_type != WEFT_QUANT && t < end; t++)
        o->k->to_f32(o->y + t * o->d, weft_element(o->e, o->e_type, (size_t)o->ids[t] * o->d), o->e_type, o->d);
}

void weft_embed(struct weft_compute *c, float *y, const void *e, enum weft_dtype e_type, const int32_t *ids,
                size_t T, size_t d)
{
    WEFT_SPAN(span) = weft_span(c, WEFT_OP_EMBED, 4.0 * (double)(2 * T * d));
    struct embed o = { .k = c->k,
                       .y = y,
                       .e = e,
                       .e_type = e_type,
                       .ids = ids,
                       .T = T,
                       .d = d,
                       .per_piece = rows_per_piece(d) };
    weft_pool_run(c->pool, weft_ceil_div(T, o.per_piece), embed_task, &o);
}

/* Cut along d: each task goes through all tokens in order, so rows of one id are added in order without locks. */
static void embed_backward_task(void *ctx, size_t chunk, int thread)
{
    const struct embed *o = ctx;
    size_t j = chunk * COLUMNS, n = weft_min_size(COLUMNS, o->d - j);
    for (size_t t = 0; t < o->T; t++)
        if (o->ids[t] != o->skip) o->k->add(o->y + (size_t)o->ids[t] * o->d + j, o->dy + t * o->d + j, n);
}

void weft_embed_backward(struct weft_compute *c, float *de, const float *dy, const int32_t *ids, size_t T,
                         size_t d, int32_t skip)
{
    WEFT_SPAN(span) = weft_span(c, WEFT_OP_EMBED_BACKWARD, 4.0 * (double)(3 * T * d));
    struct embed o = { .k = c->k, .y = de, .dy = dy, .ids = ids, .T = T, .d = d, .skip = skip };
    weft_pool_run(c->pool, weft_ceil_div(d, COLUMNS), embed_backward_task, &o);
}

/* ---- loss ---- */

struct loss {
    const struct weft_kernels *k;
    double *loss;
    float *z;
    size_t ldz, v;
    const int32_t *target;
    const float *coef;
};

static void cross_entropy_task(void *ctx, size_t row, int thread)
{
    const struct loss *o = ctx;
    o->loss[row] = o->k->cross_entropy(o->z + row * o->ldz, o->v, o->target[row], o->coef, o->coef ? o->coef[row] : 0);
}

void weft_cross_entropy(struct weft_compute *c, double *loss, float *z, size_t ldz, const int32_t *target,
                        const float *coef, size_t rows, size_t v)
{
    WEFT_SPAN(span) = weft_span(c, WEFT_OP_LOSS, 4.0 * (double)((coef ? 3 : 1) * rows * v));
    struct loss o = { c->k, loss, z, ldz, v, target, coef };
    weft_pool_run(c->pool, rows, cross_entropy_task, &o);
}

/* ---- optimizers ---- */

struct adamw {
    const struct weft_kernels *k;
    float *p, *m, *v;
    const float *g;
    size_t n;
    const struct weft_adamw_step *s;
};

static void adamw_task(void *ctx, size_t chunk, int thread)
{
    const struct adamw *o = ctx;
    size_t i, n = piece(o->n, chunk, &i);
    o->k->adamw(o->p + i, o->m + i, o->v + i, o->g + i, n, o->s);
}

void weft_adamw(struct weft_compute *c, float *p, float *m, float *v, const float *g, size_t n,
                const struct weft_adamw_step *s)
{
    WEFT_SPAN(span) = weft_span(c, WEFT_OP_OPTIMIZER, 4.0 * (double)(7 * n));
    struct adamw o = { c->k, p, m, v, g, n, s };
    weft_pool_run(c->pool, weft_ceil_div(n, PIECE), adamw_task, &o);
}

struct adamw_bf16 {
    const struct weft_kernels *k;
    uint16_t *p16, *m, *v;
    float *p;
    const float *g;
    size_t n;
    const struct weft_adamw_step *s;
};

static void adamw_bf16_task(void *ctx, size_t chunk, int thread)
{
    enum { PART = 512 };
    const struct adamw_bf16 *o = ctx;
    float p[PART], m[PART], v[PART];
    size_t from, n = piece(o->n, chunk, &from);
    (void)thread;
    for (size_t at = from, left = n; left;) {
        size_t len = weft_min_size(left, PART);
        if (o->p) memcpy(p, o->p + at, len * sizeof *p);
        else o->k->to_f32(p, o->p16 + at, WEFT_BF16, len);
        o->k->to_f32(m, o->m + at, WEFT_BF16, len);
        o->k->to_f32(v, o->v + at, WEFT_BF16, len);
        o->k->adamw(p, m, v, o->g + at, len, o->s);
        o->k->from_f32(o->m + at, WEFT_BF16, m, len);
        o->k->from_f32(o->v + at, WEFT_BF16, v, len);
        if (o->p)
            for (size_t i = 0; i < len; i++) o->p[at + i] = weft_bf16_to_f32(weft_f32_to_bf16(p[i]));
        else o->k->from_f32(o->p16 + at, WEFT_BF16, p, len);
        at += len;
        left -= len;
    }
}

void weft_adamw_bf16(struct weft_compute *c, uint16_t *p16, float *p, uint16_t *m, uint16_t *v, const float *g,
                     size_t n, const struct weft_adamw_step *s)
{
    WEFT_SPAN(span) = weft_span(c, WEFT_OP_OPTIMIZER, (double)n * (p ? 20 : 16));
    struct adamw_bf16 o = { c->k, p16, m, v, p, g, n, s };
    weft_pool_run(c->pool, weft_ceil_div(n, PIECE), adamw_bf16_task, &o);
}

/* ---- conversions ---- */

struct convert {
    const struct weft_kernels *k;
    float *f32_out;
    char *out;
    const char *in;
    const float *f32_in;
    enum weft_dtype type;
    size_t n;
};

static void to_f32_task(void *ctx, size_t chunk, int thread)
{
    const struct convert *o = ctx;
    size_t i, n = piece(o->n, chunk, &i);
    o->k->to_f32(o->f32_out + i, o->in + i * weft_dtype_bytes(o->type), o->type, n);
}

void weft_to_f32(struct weft_compute *c, float *y, const void *x, enum weft_dtype type, size_t n)
{
    WEFT_SPAN(span) = weft_span(c, WEFT_OP_CONVERT, (double)(n * (4 + weft_dtype_bytes(type))));
    struct convert o = { .k = c->k, .f32_out = y, .in = x, .type = type, .n = n };
    weft_pool_run(c->pool, weft_ceil_div(n, PIECE), to_f32_task, &o);
}

static void from_f32_task(void *ctx, size_t chunk, int thread)
{
    const struct convert *o = ctx;
    size_t i, n = piece(o->n, chunk, &i);
    o->k->from_f32(o->out + i * weft_dtype_bytes(o->type), o->type, o->f32_in + i, n);
}

void weft_from_f32(struct weft_compute *c, void *y, enum weft_dtype type, const float *x, size_t n)
{
    WEFT_SPAN(span) = weft_span(c, WEFT_OP_CONVERT, (double)(n * (4 + weft_dtype_bytes(type))));
    struct convert o = { .k = c->k, .out = y, .f32_in = x, .type = type, .n = n };
    weft_pool_run(c->pool, weft_ceil_div(n, PIECE), from_f32_task, &o);
}
