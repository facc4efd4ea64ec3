#include "model/linear.h"

#include "kernels/quant.h"

#include <math.h>

static uint64_t mask_stream(const struct weft_run *run, const struct weft_branch *b)
{
    return run->micro_step << 32 | b->module_id;
}

static bool drops(const struct weft_run *run, const struct weft_branch *b) { return run->dropout && b->dropout > 0; }

/* The x that A sees. */
static const float *dropped(const struct weft_run *run, const struct weft_linear *l, const float *x,
                            float *x_drop, size_t T)
{
    const struct weft_branch *b = l->branch;
    if (!drops(run, b)) return x;
    weft_dropout(run->compute, x_drop, x, T * l->n_in, b->dropout, run->seed, mask_stream(run, b));
    return x_drop;
}

/* ---- products ---- */

/* y [T, n_out] (+)= x W^T (+ bias) */
static struct weft_gemm w_product(const struct weft_linear *l, float *y, bool accumulate, const float *x,
                                  const float *bias, size_t T)
{
    return (struct weft_gemm){
        .m = T, .n = l->n_out, .k = l->n_in, .a = x, .lda = l->n_in, .b = l->w, .b_type = l->type, .ldb = l->n_in,
        .b_rows_are_outputs = true, .c = y, .ldc = l->n_out, .accumulate = accumulate, .bias = bias };
}

/* y += scale * t B^T, t [T, rank] = x A^T, as a term of that product. */
static const struct weft_low_rank *branch_of(struct weft_low_rank *low, const struct weft_linear *l, float *t)
{
    const struct weft_branch *b = l->branch;
    *low = (struct weft_low_rank){ .in = b->a, .out = b->b, .t = t, .rank = b->rank, .alpha = b->scale };
    return low;
}

static void times_w(const struct weft_run *run, const struct weft_linear *l, float *y, bool accumulate, const float *x,
                    const float *bias, size_t T)
{
    struct weft_gemm g = w_product(l, y, accumulate, x, bias, T);
    weft_gemm(run->compute, &g);
}

/* dx [T, n_in] (+)= dy W (+ dt A, dt [T, rank] = scale * dy B, where low is a place for that term) */
static void back_w(const struct weft_run *run, const struct weft_linear *l, float *dx, bool accumulate, const float *dy,
                   struct weft_low_rank *low, float *dt, size_t T)
{
    const struct weft_branch *b = l->branch;
    if (low) *low = (struct weft_low_rank){ .in = b->b, .out = b->a, .t = dt, .rank = b->rank, .t_alpha = b->scale };
    weft_gemm(run->compute, &(struct weft_gemm){
        .m = T, .n = l->n_in, .k = l->n_out, .a = dy, .lda = l->n_out, .b = l->w, .b_type = l->type, .ldb = l->n_in,
        .c = dx, .ldc = l->n_in, .accumulate = accumulate, .low = low });
}

/* t [T, rank] = x A^T */
static void times_a(const struct weft_run *run, const struct weft_linear *l, float *t, const float *x, size_t T)
{
    const struct weft_branch *b = l->branch;
    weft_gemm(run->compute, &(struct weft_gemm){
        .m = T, .n = b->rank, .k = l->n_in, .a = x, .lda = l->n_in, .b = b->a, .ldb = l->n_in,
        .b_rows_are_outputs = true, .c = t, .ldc = b->rank });
}

/* y [T, n_out] (+)= scale * t B^T */
static void times_b(const struct weft_run *run, const struct weft_linear *l, float *y, bool accumulate, const float *t,
                    size_t T)
{
    const struct weft_branch *b = l->branch;
    weft_gemm(run->compute, &(struct weft_gemm){
        .m = T, .n = l->n_out, .k = b->rank, .a = t, .lda = b->rank, .b = b->b, .ldb = b->rank,
        .b_rows_are_outputs = true, .c = y, .ldc = l->n_out, .accumulate = accumulate, .alpha = b->scale });
}

/* dt [T, rank] = scale * dy B */
static void back_b(const struct weft_run *run, const struct weft_linear *l, float *dt, const float *dy, size_t T)
{
    const struct weft_branch *b = l->branch;
    weft_gemm(run->compute, &(struct weft_gemm){
        .m = T, .n = b->rank, .k = l->n_out, .a = dy, .lda = l->n_out, .b = b->b, .ldb = b->rank, .c = dt,
        .ldc = b->rank, .alpha = b->scale });
}

/* dx [T, n_in] (+)= dt A */
static void back_a(const struct weft_run *run, const struct weft_linear *l, float *dx, bool accumulate, const float *dt,
                   size_t T)
{
    const struct weft_branch *b = l->branch;
    weft_gemm(run->compute, &(struct weft_gemm){
        .m = T, .n = l->n_in, .k = b->rank, .a = dt, .lda = b->rank, .b = b->a, .ldb = l->n_in, .c = dx,
        .ldc = l->n_in, .accumulate = accumulate });
}

/* ---- DoRA: rows and columns scaled ---- */

enum { ROWS_AT_ONCE = 16, COLUMNS_AT_ONCE = 64 };

struct scaling {
    float *y;
    const float *x, *k, *bias;
    float less;
    bool accumulate;
    size_t T, n;
};

/* y (+)= (k - less) x + bias, row by row. */
static void scale_chunk(void *ctx, size_t chunk, int thread)
{
    const struct scaling *s = ctx;
    size_t end = weft_min_size((chunk + 1) * ROWS_AT_ONCE, s->T);
    (void)thread;
    for (size_t t = chunk * ROWS_AT_ONCE; t < end; t++) {
        float *y = s->y + t * s->n;
        const float *x = s->x + t * s->n;
        for (size_t o = 0; o < s->n; o++) {
            float v = (s->k[o] - s->less) * x[o] + (s->bias ? s->bias[o] : 0);
            y[o] = s->accumulate ? y[o] + v : v;
        }
    }
}

static void scale_rows(struct weft_compute *c, struct scaling s)
{
    weft_pool_run(c->pool, weft_ceil_div(s.T, ROWS_AT_ONCE), scale_chunk, &s);
}

struct column_sums {
    float *dm;
    const float *dy, *z, *inv;
    size_t T, n;
};

/* dm[o] += inv[o] * sum over t of dy z, in row order. */
static void sum_chunk(void *ctx, size_t chunk, int thread)
{
    const struct column_sums *s = ctx;
    size_t from = chunk * COLUMNS_AT_ONCE, n = weft_min_size(COLUMNS_AT_ONCE, s->n - from);
    double sum[COLUMNS_AT_ONCE] = { 0 };
    (void)thread;
    for (size_t t = 0; t < s->T; t++) {
        const float *dy = s->dy + t * s->n + from, *z = s->z + t * s->n + from;
        for (size_t o = 0; o < n; o++) sum[o] += (double)dy[o] * (double)z[o];
    }
    for (size_t o = 0; o < n; o++) s->dm[from + o] += (float)(sum[o] * (double)s->inv[from + o]);
}

void weft_linear_rows(struct weft_compute *c, const struct weft_linear *l, size_t row, size_t n, float *out)
{
    const char *w = l->w;
    if (l->type == WEFT_QUANT) weft_dequantise(c, out, WEFT_F32, l->w, row, n);
    else weft_to_f32(c, out, w + row * l->n_in * weft_dtype_bytes(l->type), l->type, n * l->n_in);
}

void weft_dora_measure(struct weft_compute *c, const struct weft_linear *l, float *tmp)
{
    for (size_t o = 0; o < l->n_out; o++) {
        weft_linear_rows(c, l, o, 1, tmp);
        l->branch->dora->w2[o] = (float)weft_sum_squares(c, tmp, l->n_in);
    }
}

/* |W_o + s B_o A|^2 = |W_o|^2 + 2 s B_o (A W_o^T) + s^2 B_o (A A^T) B_o^T: no matrix of W's size is made. */
void weft_dora_update(struct weft_compute *c, const struct weft_linear *l)
{
    const struct weft_branch *b = l->branch;
    struct weft_dora *d = b->dora;
    size_t r = b->rank;
    float *aw = d->work, *bg = aw + r * l->n_out, *gram = bg + r * l->n_out;
    double s = (double)b->scale;
    weft_gemm(c, &(struct weft_gemm){
        .m = r, .n = l->n_out, .k = l->n_in, .a = b->a, .lda = l->n_in, .b = l->w, .b_type = l->type, .ldb = l->n_in,
        .b_rows_are_outputs = true, .c = aw, .ldc = l->n_out, .exact = true });
    weft_gemm(c, &(struct weft_gemm){
        .m = r, .n = r, .k = l->n_in, .a = b->a, .lda = l->n_in, .b = b->a, .ldb = l->n_in, .b_rows_are_outputs = true,
        .c = gram, .ldc = r, .exact = true });
    weft_gemm(c, &(struct weft_gemm){
        .m = l->n_out, .n = r, .k = r, .a = b->b, .lda = r, .b = gram, .ldb = r, .c = bg, .ldc = r, .exact = true });
    for (size_t o = 0; o < l->n_out; o++) {
        double sum = (double)d->w2[o];
        for (size_t j = 0; j < r; j++)
            sum += (double)b->b[o * r + j] * s * (2 * (double)aw[j * l->n_out + o] + s * (double)bg[o * r + j]);
        double inv = sum > 0 ? 1 / sqrt(sum) : 0;       /* a row of zeros stays one */
        d->inv[o] = (float)inv;
        d->k[o] = (float)((double)d->m[o] * inv);
    }
}

void weft_model_dora_update(struct weft_compute *c, const struct weft_model *m)
{
    for (size_t i = 0; i < m->config.n_layers; i++) {
        const struct weft_layer *l = &m->layers[i];
        const struct weft_linear *const all[] = { &l->q, &l->k, &l->v, &l->o, &l->gate, &l->up, &l->down };
        for (size_t k = 0; k < WEFT_COUNT(all); k++)
            if (weft_linear_branched(all[k]) && all[k]->branch->dora && all[k]->branch->da) weft_dora_update(c, all[k]);
    }
}

/* ---- the layer ---- */

void weft_linear_branch_in(const struct weft_run *run, const struct weft_linear *l, float *t, const float *x,
                           float *x_drop, size_t T)
{
    if (!weft_linear_branched(l)) return;
    times_a(run, l, t, dropped(run, l, x, x_drop, T), T);
}

/* W and the branch read the same x, and nothing stretches W. */
static bool plainly_branched(const struct weft_run *run, const struct weft_linear *l)
{
    return weft_linear_branched(l) && !l->branch->dora && !drops(run, l->branch);
}

void weft_linear_forward_all(const struct weft_run *run, const struct weft_linear_call *calls, size_t n, const float *x,
                             float *x_drop, size_t T)
{
    struct weft_gemm g[WEFT_GEMM_GROUP];
    struct weft_low_rank low[WEFT_GEMM_GROUP];
    size_t n_g = 0;
    for (size_t i = 0; i < n; i++) {
        const struct weft_linear *l = calls[i].l;
        bool branch = plainly_branched(run, l);
        if (weft_linear_branched(l) && !branch) {
            weft_linear_forward(run, l, calls[i].y, false, calls[i].t, x, x_drop, T);
            continue;
        }
        g[n_g] = w_product(l, calls[i].y, false, x, l->bias, T);
        if (branch) g[n_g].low = branch_of(&low[n_g], l, calls[i].t);
        n_g++;
    }
    weft_gemm_group(run->compute, g, n_g);
}

void weft_linear_forward(const struct weft_run *run, const struct weft_linear *l, float *y, bool accumulate, float *t,
                         const float *x, float *x_drop, size_t T)
{
    const struct weft_dora *d = weft_linear_branched(l) ? l->branch->dora : NULL;
    if (!d) {
        struct weft_gemm g = w_product(l, y, accumulate, x, l->bias, T);
        struct weft_low_rank low;
        if (plainly_branched(run, l)) g.low = branch_of(&low, l, t);
        weft_gemm(run->compute, &g);
        if (!weft_linear_branched(l) || g.low) return;
        weft_linear_branch_in(run, l, t, x, x_drop, T);
        times_b(run, l, y, true, t, T);
        return;
    }
    float *z = run->dora;
    bool masked = drops(run, l->branch);
    struct scaling s = { .y = y, .x = z, .k = d->k, .bias = l->bias, .accumulate = accumulate, .T = T, .n = l->n_out };
    if (masked) {                       /* y = x W^T + b + (k - 1) d W^T ... */
        times_w(run, l, y, accumulate, x, l->bias, T);
        s.bias = NULL;
        s.accumulate = true;
    }
    const float *xd = dropped(run, l, x, x_drop, T);
    times_a(run, l, t, xd, T);
    times_w(run, l, z, false, xd, NULL, T);
    if (masked) {
        s.less = 1;
        scale_rows(run->compute, s);
        s.less = 0;
    }
    times_b(run, l, z, !masked, t, T);  /* ... + k scale t B^T */
    scale_rows(run->compute, s);
}

void weft_linear_backward_x(const struct weft_run *run, const struct weft_linear *l, float *dx,
                            bool accumulate, float *dt, const float *dy, float *tmp, size_t T)
{
    const struct weft_branch *b = weft_linear_branched(l) ? l->branch : NULL;
    const struct weft_dora *d = b ? b->dora : NULL;
    bool masked = b && drops(run, b);
    struct scaling stretched = { .y = run->dora, .x = dy, .T = T, .n = l->n_out };
    const float *dz = dy;               /* the gradient of what k stretches */
    if (!dx && !(b && b->da)) return;
    if (d) {
        stretched.k = d->k;
        scale_rows(run->compute, stretched);
        dz = run->dora;
    }
    /* with DoRA and a mask, W's part is split: (x - d) W^T gets dy, k d W^T gets k dy */
    struct weft_low_rank low;
    bool as_term = b && !masked && dx;
    if (dx) back_w(run, l, dx, accumulate, masked ? dy : dz, as_term ? &low : NULL, dt, T);
    if (!b || as_term) return;
    back_b(run, l, dt, dz, T);
    if (!dx) return;
    back_a(run, l, tmp, false, dt, T);
    if (d) {
        stretched.less = 1;
        scale_rows(run->compute, stretched);
        back_w(run, l, tmp, true, run->dora, NULL, NULL, T);
    }
    weft_dropout_add(run->compute, dx, tmp, T * l->n_in, b->dropout, run->seed, mask_stream(run, b));
}

void weft_linear_backward_w(const struct weft_run *run, const struct weft_linear *l, const float *dy, const float *t,
                            const float *dt, const float *x, float *x_drop, size_t T)
{
    const struct weft_branch *b = l->branch;
    if (l->dbias) weft_bias_backward(run->compute, l->dbias, dy, T, l->n_out);
    if (l->dw)
        weft_gemm(run->compute, &(struct weft_gemm){
            .m = l->n_out, .n = l->n_in, .k = T, .a = dy, .lda = l->n_out, .a_transposed = true, .b = x, .ldb = l->n_in,
            .c = l->dw, .ldc = l->n_in, .accumulate = true });
    if (!weft_linear_branched(l) || !b->da) return;
    const float *xd = dropped(run, l, x, x_drop, T);
    weft_gemm(run->compute, &(struct weft_gemm){
        .m = b->rank, .n = l->n_in, .k = T, .a = dt, .lda = b->rank, .a_transposed = true, .b = xd, .ldb = l->n_in,
        .c = b->da, .ldc = l->n_in, .accumulate = true });
    if (b->dora) {
        struct weft_dora *d = b->dora;
        float *z = run->dora;
        times_w(run, l, z, false, xd, NULL, T);         /* again: keeping it would cost n_out floats a token */
        times_b(run, l, z, true, t, T);
        struct column_sums sums = { .dm = d->dm, .dy = dy, .z = z, .inv = d->inv, .T = T, .n = l->n_out };
        weft_pool_run(run->compute->pool, weft_ceil_div(l->n_out, COLUMNS_AT_ONCE), sum_chunk, &sums);
        scale_rows(run->compute, (struct scaling){ .y = z, .x = dy, .k = d->k, .T = T, .n = l->n_out });
        dy = z;
    }
    weft_gemm(run->compute, &(struct weft_gemm){
        .m = l->n_out, .n = b->rank, .k = T, .a = dy, .lda = l->n_out, .a_transposed = true, .b = t, .ldb = b->rank,
        .c = b->db, .ldc = b->rank, .accumulate = true, .alpha = b->scale });
}
