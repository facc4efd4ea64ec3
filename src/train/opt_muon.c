/* Muon: momentum whose matrices are made orthogonal before they are applied (Jordan et al. 2024; the scale that lets
 * it share AdamW's learning rate and decay is that of arXiv:2502.16982).
 *
 *     buf <- 0.95 buf + g;   G = g + 0.95 buf;   X = G / (|G|_F + 1e-7)
 *     five times:  A = X X^T;  B = b A + c A^2;  X <- a X + B X        (a, b, c) = (3.4445, -4.7750, 2.0315)
 *     p <- p (1 - lr wd) - lr 0.2 sqrt(max(rows, cols)) X
 *
 * for every matrix that is neither embedding nor head, each by itself (q, k and v too).  The Gram matrix is taken
 * over the shorter side: for a tall X that is A = X^T X and X <- a X + X B, the same polynomial without a transpose.
 * Products go through weft_gemm, in bf16 where the level multiplies so; X itself stays f32.
 *
 * All other tensors move by Adam in the form of that optimizer, with eps outside the bias correction:
 *     p <- p (1 - lr wd) - lr sqrt(1-b2^t)/(1-b1^t) * m / ( sqrt(v) + eps )
 * There the reference decays norms and biases as well; compat: clean leaves them alone. */
#include "train/optimizers.h"

#include <math.h>

enum { NS_STEPS = 5, CHUNK = 1 << 15 };
static const float momentum = 0.95f;
static const float ns_a = 3.4445f, ns_b = -4.7750f, ns_c = 2.0315f;

struct muon {
    float *x, *next;        /* [rows, cols] of the largest matrix */
    float *gram, *poly;     /* [short side, short side] of the largest */
};

static bool by_muon(const struct weft_param *p) { return p->rows > 1 && p->cols > 1 && !p->embedding; }

static void largest(const struct weft_params *p, size_t *area, size_t *side)
{
    *area = *side = 0;
    for (size_t i = 0; i < p->n; i++) {
        const struct weft_param *q = &p->items[i];
        if (!by_muon(q)) continue;
        *area = weft_max_size(*area, q->rows * q->cols);
        *side = weft_max_size(*side, weft_min_size(q->rows, q->cols));
    }
}

static size_t bytes(const struct weft_recipe *r, const struct weft_params *p)
{
    (void)r;
    size_t area, side, n = 0;
    largest(p, &area, &side);
    for (size_t i = 0; i < p->n; i++)
        n += (by_muon(&p->items[i]) ? 1 : 2) * p->items[i].rows * p->items[i].cols;
    return sizeof(float) * (n + 2 * area + 2 * side * side);
}

static enum weft_status init(struct weft_optimizer_state *s, struct weft_arena *a, struct weft_err *err)
{
    size_t n = s->params->n, area, side;
    size_t *first = WEFT_NEWS(a, size_t, n), *second = WEFT_NEWS(a, size_t, n);
    if (!first || !second) return weft_fail_nomem(err, n * sizeof *first, "optimizer state");
    for (size_t i = 0; i < n; i++) {
        const struct weft_param *p = &s->params->items[i];
        first[i] = p->rows * p->cols;
        second[i] = by_muon(p) ? 0 : first[i];
    }
    enum weft_status st = weft_optimizer_slot(s, 0, first, a, err);
    if (!st) st = weft_optimizer_slot(s, 1, second, a, err);
    if (st) return st;

    largest(s->params, &area, &side);
    struct muon *m = WEFT_NEW(a, struct muon);
    if (m) {
        m->x = WEFT_NEWS(a, float, area);
        m->next = WEFT_NEWS(a, float, area);
        m->gram = WEFT_NEWS(a, float, side * side);
        m->poly = WEFT_NEWS(a, float, side * side);
    }
    if (!m || !m->x || !m->next || !m->gram || !m->poly)
        return weft_fail_nomem(err, sizeof(float) * (2 * area + 2 * side * side), "optimizer scratch");
    s->scratch = m;
    return WEFT_OK;
}

/* ---- elementwise parts, cut over the pool ---- */

struct elements {
    float *p, *buf, *x;
    const float *g;
    size_t n;
    float g_scale, keep, scale;
};

static void momentum_chunk(void *ctx, size_t chunk, int thread)
{
    (void)thread;
    const struct elements *e = ctx;
    size_t end = weft_min_size((chunk + 1) * CHUNK, e->n);
    for (size_t i = chunk * CHUNK; i < end; i++) {
        float g = e->g[i] * e->g_scale, b = momentum * e->buf[i] + g;
        e->buf[i] = b;
        e->x[i] = g + momentum * b;
    }
}

/* x becomes scale * x, kept in `p`. */
static void scaled_chunk(void *ctx, size_t chunk, int thread)
{
    (void)thread;
    const struct elements *e = ctx;
    size_t end = weft_min_size((chunk + 1) * CHUNK, e->n);
    for (size_t i = chunk * CHUNK; i < end; i++) e->p[i] = e->scale * e->x[i];
}

static void apply_chunk(void *ctx, size_t chunk, int thread)
{
    (void)thread;
    const struct elements *e = ctx;
    size_t end = weft_min_size((chunk + 1) * CHUNK, e->n);
    for (size_t i = chunk * CHUNK; i < end; i++) e->p[i] = e->p[i] * e->keep - e->scale * e->x[i];
}

static void run(struct weft_compute *c, weft_pool_fn *fn, struct elements *e)
{
    weft_pool_run(c->pool, weft_ceil_div(e->n, CHUNK), fn, e);
}

/* ---- orthogonalisation ---- */

/* x [rows, cols] becomes nearly orthogonal; *x and *next may trade places. */
static void orthogonalise(struct weft_compute *c, float **x, float **next, float *gram, float *poly, size_t rows,
                          size_t cols, bool exact)
{
    bool tall = rows > cols;
    size_t side = tall ? cols : rows, n = rows * cols;
    float norm = (float)sqrt(weft_sum_squares(c, *x, n));
    weft_scale(c, *x, 1 / (norm + 1e-7f), n);
    for (int i = 0; i < NS_STEPS; i++) {
        struct weft_gemm g = {
            .m = side, .n = side, .k = tall ? rows : cols,
            .a = *x, .lda = cols, .a_transposed = tall,
            .b = *x, .b_type = WEFT_F32, .ldb = cols, .b_rows_are_outputs = !tall,
            .c = gram, .ldc = side, .exact = exact,
        };
        weft_gemm(c, &g);                                       /* A */
        run(c, scaled_chunk, &(struct elements){ .p = poly, .x = gram, .n = side * side, .scale = ns_b });
        g = (struct weft_gemm){
            .m = side, .n = side, .k = side,
            .a = gram, .lda = side, .b = gram, .b_type = WEFT_F32, .ldb = side,
            .c = poly, .ldc = side, .accumulate = true, .alpha = ns_c, .exact = exact,
        };
        weft_gemm(c, &g);                                       /* B = b A + c A A */
        run(c, scaled_chunk, &(struct elements){ .p = *next, .x = *x, .n = n, .scale = ns_a });
        g = (struct weft_gemm){
            .m = rows, .n = cols, .k = side,
            .a = tall ? *x : poly, .lda = side,                 /* a tall X has `side` columns */
            .b = tall ? poly : *x, .b_type = WEFT_F32, .ldb = cols,
            .c = *next, .ldc = cols, .accumulate = true, .exact = exact,
        };
        weft_gemm(c, &g);                                       /* a X + B X, or a X + X B */
        float *t = *x;
        *x = *next;
        *next = t;
    }
}

void weft_muon_orthogonalise(struct weft_compute *c, float *x, size_t rows, size_t cols, float *scratch, bool exact)
{
    size_t side = weft_min_size(rows, cols);
    float *gram = scratch, *poly = gram + side * side, *a = x, *b = poly + side * side;
    orthogonalise(c, &a, &b, gram, poly, rows, cols, exact);
    if (a != x) memcpy(x, a, rows * cols * sizeof *x);
}

static void step(struct weft_optimizer_state *s, struct weft_compute *c, double lr, float g_scale)
{
    const struct weft_recipe *r = s->recipe;
    struct muon *m = s->scratch;
    double t = (double)++s->step;
    /* The schedule moves both rates alike. */
    double adam_lr = r->muon_adam_lr > 0 && r->learning_rate > 0 ? lr * (r->muon_adam_lr / r->learning_rate) : lr;
    struct weft_adamw_step k = {
        .beta1 = (float)r->adam_beta1,
        .beta2 = (float)r->adam_beta2,
        .eps = (float)r->adam_epsilon,
        .inv_sqrt_bc2 = 1,
        .g_scale = g_scale,
    };
    double bc = sqrt(1 - pow((double)k.beta2, t)) / (1 - pow((double)k.beta1, t));

    for (size_t i = 0; i < s->params->n; i++) {
        const struct weft_param *p = &s->params->items[i];
        size_t n = p->rows * p->cols;
        double wd = p->decay || r->compat == WEFT_COMPAT_HF ? r->weight_decay : 0;
        if (!by_muon(p)) {
            double rate = weft_param_lr(p, adam_lr);
            k.lr = (float)rate;
            k.step_size = (float)(rate * bc);
            k.wd = (float)wd;
            weft_adamw(c, p->w, s->slot[0][i], s->slot[1][i], p->grad, n, &k);
            continue;
        }
        struct elements e = { .p = p->w, .buf = s->slot[0][i], .x = m->x, .g = p->grad, .n = n, .g_scale = g_scale };
        run(c, momentum_chunk, &e);
        orthogonalise(c, &m->x, &m->next, m->gram, m->poly, p->rows, p->cols, !r->bf16);
        e.x = m->x;
        double rate = weft_param_lr(p, lr);
        e.keep = (float)(1 - rate * wd);
        e.scale = (float)(rate * 0.2 * sqrt((double)weft_max_size(p->rows, p->cols)));
        run(c, apply_chunk, &e);
    }
}

const struct weft_optimizer weft_opt_muon = {
    .name = "muon",
    .help = "Muon for matrices, Adam for the rest",
    .paper = "arXiv:2502.16982",
    .bytes = bytes,
    .init = init,
    .step = step,
    .slot_names = { "momentum", "exp_avg_sq" },
};
