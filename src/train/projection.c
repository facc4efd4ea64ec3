#include "train/projection.h"

#include "base/rng.h"
#include "kernels/eigen.h"

#include <math.h>

enum { GRAM_ROWS = 16 };

bool weft_projection_wanted(const struct weft_str_list *targets, const struct weft_param *p)
{
    static const char *const all[] = { "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj" };
    if (p->rows < 2 || p->cols < 2 || p->embedding) return false;
    for (size_t i = 0; i < targets->n; i++) {
        if (strstr(p->name, targets->items[i])) return true;
        for (size_t k = 0; strcmp(targets->items[i], "all") == 0 && k < WEFT_COUNT(all); k++)
            if (strstr(p->name, all[k])) return true;
    }
    return false;
}

struct weft_projection_shape weft_projection_shape(enum weft_proj_type type, size_t m, size_t n, size_t rank)
{
    struct weft_projection_shape s = { .m = m, .n = n, .r = weft_min_size(rank, weft_min_size(m, n)) };
    bool tall = m >= n;
    s.right = type == WEFT_PROJ_RIGHT || type == WEFT_PROJ_FULL || (type == WEFT_PROJ_STD && tall)
              || (type == WEFT_PROJ_REVERSE_STD && !tall);
    s.left = !s.right || type == WEFT_PROJ_FULL;
    return s;
}

size_t weft_projected_len(const struct weft_projection_shape *s)
{
    return (s->left ? s->r : s->m) * (s->right ? s->r : s->n);
}

size_t weft_projection_low_len(const struct weft_projection_shape *s)
{
    return s->r ? weft_projected_len(s) : s->m * s->n;
}

void weft_projection_room_add(struct weft_projection_room *room, const struct weft_projection_shape *s)
{
    if (!s->r) return;
    room->side = weft_max_size(room->side, weft_min_size(s->m, s->n));
    room->longest = weft_max_size(room->longest, weft_max_size(s->m, s->n));
    room->rows = weft_max_size(room->rows, s->m);
    room->r = weft_max_size(room->r, s->r);
    room->low = weft_max_size(room->low, weft_projected_len(s));
    if (s->left && s->right) room->half = weft_max_size(room->half, s->r * s->n);
}

size_t weft_svd_bytes(size_t side, size_t longest, size_t r)
{
    return sizeof(double) * (2 * side * side + 4 * side + r * longest);
}

enum weft_status weft_svd_init(struct weft_svd *s, size_t side, size_t longest, size_t r, struct weft_arena *a,
                               struct weft_err *err)
{
    s->gram = WEFT_NEWS(a, double, side * side);
    s->vectors = WEFT_NEWS(a, double, side * side);
    s->values = WEFT_NEWS(a, double, side);
    s->work = WEFT_NEWS(a, double, 3 * side);
    s->across = WEFT_NEWS(a, double, r * longest);
    if (s->gram && s->vectors && s->values && s->work && s->across) return WEFT_OK;
    return weft_fail_nomem(err, weft_svd_bytes(side, longest, r), "optimizer scratch");
}

/* ---- singular vectors ---- */

struct svd_job {
    const float *g;             /* [m, n] */
    size_t m, n, side, r;
    bool by_rows;               /* the Gram matrix is G G^T */
    struct weft_svd *s;
};

/* Some rows of the Gram matrix, up to the diagonal. */
static void gram_chunk(void *ctx, size_t chunk, int thread)
{
    const struct svd_job *j = ctx;
    size_t from = chunk * GRAM_ROWS, to = weft_min_size(from + GRAM_ROWS, j->side);
    (void)thread;
    for (size_t i = from; i < to; i++) memset(j->s->gram + i * j->side, 0, (i + 1) * sizeof(double));
    if (j->by_rows) {
        for (size_t k = 0; k < to; k++)
            for (size_t i = weft_max_size(k, from); i < to; i++) {
                const float *x = j->g + i * j->n, *y = j->g + k * j->n;
                double sum = 0;
                for (size_t c = 0; c < j->n; c++) sum += (double)x[c] * (double)y[c];
                j->s->gram[i * j->side + k] = sum;
            }
        return;
    }
    for (size_t row = 0; row < j->m; row++) {
        const float *x = j->g + row * j->n;
        for (size_t i = from; i < to; i++) {
            double *out = j->s->gram + i * j->side, a = (double)x[i];
            for (size_t k = 0; k <= i; k++) out[k] += a * (double)x[k];
        }
    }
}

/* The other side's vector number i: G v / sigma or G^T u / sigma. */
static void across_chunk(void *ctx, size_t i, int thread)
{
    const struct svd_job *j = ctx;
    size_t longest = j->by_rows ? j->n : j->m;
    const double *x = j->s->vectors + i * j->side;
    double *out = j->s->across + i * longest, sum = 0;
    (void)thread;
    memset(out, 0, longest * sizeof *out);
    for (size_t row = 0; row < j->m; row++) {
        const float *g = j->g + row * j->n;
        if (j->by_rows)
            for (size_t c = 0; c < j->n; c++) out[c] += x[row] * (double)g[c];
        else
            for (size_t c = 0; c < j->n; c++) out[row] += (double)g[c] * x[c];
    }
    for (size_t k = 0; k < longest; k++) sum += out[k] * out[k];
    /* Below this the vector is noise of the rounding. */
    double scale = sum > 1e-24 * fabs(j->s->values[0]) && sum > 0 ? 1 / sqrt(sum) : 0;
    for (size_t k = 0; k < longest; k++) out[k] *= scale;
}

/* Rows x [r, len] into out, each with its largest entry positive. */
static void store(float *out, const double *x, size_t r, size_t len)
{
    for (size_t i = 0; i < r; i++, x += len, out += len) {
        size_t at = 0;
        for (size_t k = 1; k < len; k++)
            if (fabs(x[k]) > fabs(x[at])) at = k;
        double sign = x[at] < 0 ? -1 : 1;
        for (size_t k = 0; k < len; k++) out[k] = (float)(sign * x[k]);
    }
}

void weft_projection_singular(struct weft_compute *c, const struct weft_projection *p, struct weft_svd *s,
                              const float *g)
{
    struct svd_job j = { .g = g, .m = p->m, .n = p->n, .r = p->r, .s = s, .by_rows = p->m < p->n };
    j.side = j.by_rows ? p->m : p->n;
    weft_pool_run(c->pool, weft_ceil_div(j.side, GRAM_ROWS), gram_chunk, &j);
    for (size_t i = 0; i < j.side; i++)
        for (size_t k = 0; k < i; k++) s->gram[k * j.side + i] = s->gram[i * j.side + k];
    weft_eigen_symmetric(s->gram, s->values, s->vectors, s->work, j.side);

    float *near = j.by_rows ? p->left : p->right, *far = j.by_rows ? p->right : p->left;
    if (far) weft_pool_run(c->pool, p->r, across_chunk, &j);
    if (near) store(near, s->vectors, p->r, j.side);
    if (far) store(far, s->across, p->r, j.by_rows ? p->n : p->m);
}

void weft_projection_random(const struct weft_projection *p, uint64_t seed, uint64_t stream)
{
    struct weft_rng rng;
    float scale = (float)(1 / sqrt((double)p->r));
    weft_rng_init(&rng, seed, WEFT_RNG_OPTIMIZER, stream);
    for (size_t i = 0; p->left && i < p->r * p->m; i++) p->left[i] = scale * weft_rng_normal(&rng);
    for (size_t i = 0; p->right && i < p->r * p->n; i++) p->right[i] = scale * weft_rng_normal(&rng);
}

/* ---- there and back ---- */

void weft_project(struct weft_compute *c, const struct weft_projection *p, const float *g, float scale, bool accumulate,
                  float *out, float *half)
{
    size_t m = p->m, n = p->n, r = p->r;
    if (p->left) {                                              /* U G */
        weft_gemm(c, &(struct weft_gemm){
            .m = r, .n = n, .k = m, .a = p->left, .lda = m, .b = g, .b_type = WEFT_F32, .ldb = n,
            .c = p->right ? half : out, .ldc = n, .accumulate = !p->right && accumulate,
            .alpha = p->right ? 1 : scale, .exact = true });
        if (!p->right) return;
        m = r;
        g = half;
    }
    weft_gemm(c, &(struct weft_gemm){                           /* G Q^T */
        .m = m, .n = r, .k = n, .a = g, .lda = n, .b = p->right, .b_type = WEFT_F32, .ldb = n,
        .b_rows_are_outputs = true, .c = out, .ldc = r, .accumulate = accumulate, .alpha = scale, .exact = true });
}

void weft_project_back(struct weft_compute *c, const struct weft_projection *p, const float *x, double scale, float *w,
                       float *half)
{
    size_t m = p->m, n = p->n, r = p->r;
    if ((float)scale == 0) return;                              /* weft_gemm takes a factor of 0 for 1 */
    if (p->right) {                                             /* N Q */
        weft_gemm(c, &(struct weft_gemm){
            .m = p->left ? r : m, .n = n, .k = r, .a = x, .lda = r, .b = p->right, .b_type = WEFT_F32, .ldb = n,
            .c = p->left ? half : w, .ldc = n, .accumulate = !p->left, .alpha = p->left ? 1 : (float)scale,
            .exact = true });
        if (!p->left) return;
        x = half;
    }
    weft_gemm(c, &(struct weft_gemm){                           /* U^T N */
        .m = m, .n = n, .k = r, .a = p->left, .lda = m, .a_transposed = true, .b = x, .b_type = WEFT_F32, .ldb = n,
        .c = w, .ldc = n, .accumulate = true, .alpha = (float)scale, .exact = true });
}
