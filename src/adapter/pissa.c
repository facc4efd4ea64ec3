/* PiSSA (arXiv:2404.02948): W = U S V^T; B = U_r sqrt(S_r / s), A = sqrt(S_r / s) V_r^T, and the base becomes
 * W - s B A, rounded to its type.
 *
 * The leading directions come from a subspace iteration with a few directions to spare (arXiv:0909.4061, 4.4):
 * only products with W are needed, so that W may be of any type.  The values within the subspace are then exact, by the
 * eigenvectors of a small Gram matrix.  pissa_iter -1 takes the Gram matrix of W's shorter side instead: exact, and
 * cubic in that side. */
#include "adapter/parts.h"
#include "kernels/eigen.h"
#include "model/linear.h"

#include <math.h>
#include <stdlib.h>

enum { SPARE = 8, DEFAULT_STEPS = 16, ROWS_AT_ONCE = 64, LANES = 16 };

struct pissa {
    struct weft_compute compute;
    struct weft_arena scratch;          /* of one module */
    const struct weft_linear *l;        /* with W itself */
    struct weft_branch *b;
    struct weft_err *err;
};

/* In f64, by LANES sums side by side: one would wait for itself at every step. */
static double dot(const float *x, const float *y, size_t n)
{
    double lane[LANES] = { 0 }, sum = 0;
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t k = 0; k < LANES; k++) lane[k] += (double)x[i + k] * (double)y[i + k];
    for (; i < n; i++) sum += (double)x[i] * (double)y[i];
    for (size_t k = 0; k < LANES; k++) sum += lane[k];
    return sum;
}

/* Rows of x [q, n] become orthonormal: Gram-Schmidt, twice, so that nearly parallel rows part too.  A row without a
 * direction of its own becomes zero. */
static void orthonormalise(float *x, size_t q, size_t n)
{
    for (size_t i = 0; i < q; i++) {
        float *row = x + i * n;
        double before = dot(row, row, n);
        for (int again = 0; again < 2; again++)
            for (size_t k = 0; k < i; k++) {
                const float *other = x + k * n;
                float c = (float)dot(row, other, n);
                for (size_t j = 0; j < n; j++) row[j] -= c * other[j];
            }
        double sum = dot(row, row, n);
        float scale = sum > 1e-12 * before && sum > 0 ? (float)(1 / sqrt(sum)) : 0;
        for (size_t j = 0; j < n; j++) row[j] *= scale;
    }
}

/* y [q, n_out] = x W^T of x [q, n_in], or y [q, n_in] = x W of x [q, n_out]. */
static void product(struct pissa *p, float *y, const float *x, size_t q, bool transposed)
{
    const struct weft_linear *l = p->l;
    size_t n = transposed ? l->n_out : l->n_in, k = transposed ? l->n_in : l->n_out;
    weft_gemm(&p->compute, &(struct weft_gemm){
        .m = q, .n = n, .k = k, .a = x, .lda = k, .b = l->w, .b_type = l->type, .ldb = l->n_in,
        .b_rows_are_outputs = transposed, .c = y, .ldc = n, .exact = true });
}

/* Direction j of the r largest: u [n_out], v [n_in] of length 1, sigma; into B's column and A's row. */
static void take(struct weft_branch *b, const struct weft_linear *l, size_t j, const double *u, const double *v,
                 double sigma)
{
    double root = sqrt(fmax(sigma, 0) / (double)b->scale);
    for (size_t i = 0; i < l->n_in; i++) b->a[j * l->n_in + i] = (float)(root * v[i]);
    for (size_t o = 0; o < l->n_out; o++) b->b[o * b->rank + j] = (float)(root * u[o]);
}

static enum weft_status by_iteration(struct pissa *p, int steps, uint64_t seed)
{
    const struct weft_linear *l = p->l;
    size_t r = p->b->rank, q = weft_min_size(r + SPARE, weft_min_size(l->n_in, l->n_out));
    float *in = WEFT_NEWS(&p->scratch, float, q * l->n_in), *out = WEFT_NEWS(&p->scratch, float, q * l->n_out);
    double *gram = WEFT_NEWS(&p->scratch, double, q * q), *values = WEFT_NEWS(&p->scratch, double, q);
    double *vectors = WEFT_NEWS(&p->scratch, double, q * q), *work = WEFT_NEWS(&p->scratch, double, 3 * q);
    double *u = WEFT_NEWS(&p->scratch, double, l->n_out), *v = WEFT_NEWS(&p->scratch, double, l->n_in);
    struct weft_rng rng;
    if (!in || !out || !gram || !values || !vectors || !work || !u || !v)
        return weft_fail_nomem(p->err, q * (l->n_in + l->n_out) * sizeof(float), "singular vectors");
    weft_rng_init(&rng, seed, WEFT_RNG_INIT, (uint64_t)2 << 32 | p->b->module_id);
    for (size_t i = 0; i < q * l->n_in; i++) in[i] = weft_rng_normal(&rng);
    for (int step = 0; step <= steps; step++) {
        product(p, out, in, q, true);
        orthonormalise(out, q, l->n_out);
        product(p, in, out, q, false);                      /* Q^T W, of the last step kept as it is */
        if (step < steps) orthonormalise(in, q, l->n_in);
    }
    for (size_t i = 0; i < q; i++)
        for (size_t k = 0; k <= i; k++)
            gram[i * q + k] = gram[k * q + i] = dot(in + i * l->n_in, in + k * l->n_in, l->n_in);
    weft_eigen_symmetric(gram, values, vectors, work, q);
    for (size_t j = 0; j < r; j++) {
        double sigma = sqrt(fmax(values[j], 0));
        memset(u, 0, l->n_out * sizeof *u);
        memset(v, 0, l->n_in * sizeof *v);
        for (size_t i = 0; i < q; i++) {
            double c = vectors[j * q + i];
            for (size_t o = 0; o < l->n_out; o++) u[o] += c * (double)out[i * l->n_out + o];
            for (size_t k = 0; k < l->n_in; k++) v[k] += c * (double)in[i * l->n_in + k];
        }
        for (size_t k = 0; k < l->n_in; k++) v[k] = sigma > 0 ? v[k] / sigma : 0;
        take(p->b, l, j, u, v, sigma);
    }
    return WEFT_OK;
}

struct gram_job {
    const float *w;
    double *gram;
    size_t rows, cols, side;
    bool by_rows;
};

/* Row i of the Gram matrix, up to its diagonal. */
static void gram_row(void *ctx, size_t i, int thread)
{
    const struct gram_job *g = ctx;
    double *row = g->gram + i * g->side;
    (void)thread;
    if (g->by_rows) {
        for (size_t k = 0; k <= i; k++) row[k] = dot(g->w + i * g->cols, g->w + k * g->cols, g->cols);
        return;
    }
    for (size_t k = 0; k <= i; k++) row[k] = 0;
    for (size_t o = 0; o < g->rows; o++) {
        const float *w = g->w + o * g->cols;
        for (size_t k = 0; k <= i; k++) row[k] += (double)w[i] * (double)w[k];
    }
}

static enum weft_status exactly(struct pissa *p)
{
    const struct weft_linear *l = p->l;
    bool by_rows = l->n_out <= l->n_in;
    size_t side = by_rows ? l->n_out : l->n_in, other = by_rows ? l->n_in : l->n_out;
    float *w = WEFT_NEWS(&p->scratch, float, l->n_out * l->n_in);
    double *gram = WEFT_NEWS(&p->scratch, double, side * side), *values = WEFT_NEWS(&p->scratch, double, side);
    double *vectors = WEFT_NEWS(&p->scratch, double, side * side), *work = WEFT_NEWS(&p->scratch, double, 3 * side);
    double *across = WEFT_NEWS(&p->scratch, double, other);
    if (!w || !gram || !values || !vectors || !work || !across)
        return weft_fail_nomem(p->err, l->n_out * l->n_in * sizeof(float) + 2 * side * side * sizeof(double),
                               "singular vectors");
    weft_linear_rows(&p->compute, l, 0, l->n_out, w);
    struct gram_job g = { .w = w, .gram = gram, .rows = l->n_out, .cols = l->n_in, .side = side, .by_rows = by_rows };
    weft_pool_run(p->compute.pool, side, gram_row, &g);
    for (size_t i = 0; i < side; i++)
        for (size_t k = 0; k < i; k++) gram[k * side + i] = gram[i * side + k];
    weft_eigen_symmetric(gram, values, vectors, work, side);
    for (size_t j = 0; j < p->b->rank; j++) {
        const double *x = vectors + j * side;
        double sigma = sqrt(fmax(values[j], 0));
        memset(across, 0, other * sizeof *across);
        for (size_t o = 0; o < l->n_out; o++) {
            const float *row = w + o * l->n_in;
            if (by_rows)
                for (size_t i = 0; i < l->n_in; i++) across[i] += x[o] * (double)row[i];
            else
                for (size_t i = 0; i < l->n_in; i++) across[o] += (double)row[i] * x[i];
        }
        for (size_t i = 0; i < other; i++) across[i] = sigma > 0 ? across[i] / sigma : 0;
        take(p->b, l, j, by_rows ? x : across, by_rows ? across : x, sigma);
    }
    return WEFT_OK;
}

/* W - s B A, rounded to W's type, in the model's arena. */
static enum weft_status make_residual(struct pissa *p, struct weft_arena *a, const void **out)
{
    const struct weft_linear *l = p->l;
    const struct weft_branch *b = p->b;
    size_t item = weft_dtype_bytes(l->type);
    char *w = weft_arena_alloc(a, l->n_out * l->n_in * item);
    float *rows = WEFT_NEWS(&p->scratch, float, ROWS_AT_ONCE * l->n_in);
    if (!w || !rows) return weft_fail_nomem(p->err, l->n_out * l->n_in * item, "the base without its leading directions");
    for (size_t o = 0; o < l->n_out; o += ROWS_AT_ONCE) {
        size_t n = weft_min_size(ROWS_AT_ONCE, l->n_out - o);
        weft_linear_rows(&p->compute, l, o, n, rows);
        weft_gemm(&p->compute, &(struct weft_gemm){
            .m = n, .n = l->n_in, .k = b->rank, .a = b->b + o * b->rank, .lda = b->rank, .b = b->a, .ldb = l->n_in,
            .c = rows, .ldc = l->n_in, .accumulate = true, .exact = true, .alpha = -b->scale });
        if (l->type == WEFT_F32) memcpy(w + o * l->n_in * item, rows, n * l->n_in * item);
        else weft_from_f32(&p->compute, w + o * l->n_in * item, l->type, rows, n * l->n_in);
    }
    *out = w;
    return WEFT_OK;
}

static float *duplicate(struct weft_arena *a, const float *x, size_t n)
{
    float *y = WEFT_NEWS(a, float, n);
    if (y) memcpy(y, x, n * sizeof *y);
    return y;
}

enum weft_status weft_lora_pissa(struct weft_arena *a, struct weft_model *model, const struct weft_lora_settings *s,
                                 struct weft_lora_parts *parts, struct weft_err *err)
{
    struct pissa p = { .err = err };
    size_t n = weft_model_n_linears(model);
    enum weft_status st = weft_compute_init(&p.compute, NULL, s->pool, err);
    parts->residuals = WEFT_NEWS(a, const void *, n);
    if (!st && !parts->residuals) st = weft_fail_nomem(err, n * sizeof(void *), "an adapter");
    for (size_t i = 0; !st && i < n; i++) {
        struct weft_linear l = *weft_model_linear(model, i);
        struct weft_branch *b = parts->branches[i];
        if (!b) continue;
        if (l.branch && l.branch->whole) l.w = l.branch->whole;
        if (l.type != WEFT_F32 && l.type != WEFT_BF16 && l.type != WEFT_F16)
            st = weft_fail(err, WEFT_EARG, "pissa_init needs a base of f32, bf16 or f16; %s is quantised", l.name);
        else if (b->rank > weft_min_size(l.n_in, l.n_out))
            st = weft_fail(err, WEFT_EARG, "pissa_init: lora_rank is %zu; %s has only %zu singular directions", b->rank,
                           l.name, weft_min_size(l.n_in, l.n_out));
        if (st) break;
        p.l = &l;
        p.b = b;
        st = s->pissa_iter < 0 ? exactly(&p)
                               : by_iteration(&p, s->pissa_iter ? s->pissa_iter : DEFAULT_STEPS, s->seed);
        if (!st) st = make_residual(&p, &model->arena, &parts->residuals[i]);
        if (!st) {
            b->whole = l.w;
            weft_model_forget(model, l.w, l.n_in * l.n_out * weft_dtype_bytes(l.type));
            b->a0 = duplicate(a, b->a, b->rank * l.n_in);
            b->b0 = duplicate(a, b->b, b->rank * l.n_out);
            if (!b->a0 || !b->b0) st = weft_fail_nomem(err, b->rank * (l.n_in + l.n_out) * sizeof(float), "an adapter");
        }
        weft_arena_clear(&p.scratch);
    }
    weft_arena_clear(&p.scratch);
    weft_compute_clear(&p.compute);
    return st;
}
