/* Everything that is not a product, by the formula. */
#include "kernels/ref/ref.h"

#include "base/rng.h"

#include <math.h>

static void rmsnorm(float *y, float *r, const float *x, const float *w, size_t rows, size_t d, float eps)
{
    for (size_t i = 0; i < rows; i++, x += d, y += d) {
        double sum = 0;
        for (size_t j = 0; j < d; j++) sum += (double)x[j] * x[j];
        float ri = (float)(1 / sqrt(sum / (double)d + eps));
        for (size_t j = 0; j < d; j++) y[j] = w[j] * (x[j] * ri);
        if (r) r[i] = ri;
    }
}

/* dx = r (g - xhat * mean(g xhat)), g = dy w, xhat = x r */
static void rmsnorm_backward(float *dx, bool accumulate, const float *dy, const float *x, const float *w,
                             const float *r, size_t rows, size_t d)
{
    for (size_t i = 0; i < rows; i++, x += d, dy += d, dx += d) {
        double sum = 0;
        for (size_t j = 0; j < d; j++) sum += (double)dy[j] * w[j] * x[j];
        double mean = sum * r[i] / (double)d;
        for (size_t j = 0; j < d; j++) {
            float g = (float)(r[i] * ((double)dy[j] * w[j] - x[j] * (double)r[i] * mean));
            dx[j] = accumulate ? dx[j] + g : g;
        }
    }
}

static void rmsnorm_dw(float *dw, const float *dy, const float *x, const float *r, size_t rows, size_t ld, size_t n)
{
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < n; j++) dw[j] += dy[i * ld + j] * (x[i * ld + j] * r[i]);
}

static void column_sums(float *db, const float *dy, size_t rows, size_t ld, size_t n)
{
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < n; j++) db[j] += dy[i * ld + j];
}

static void rope(float *x, const float *cos, const float *sin, size_t heads, size_t d, float sign)
{
    for (size_t h = 0; h < heads; h++, x += d)
        for (size_t j = 0; j < d / 2; j++) {
            float a = x[j], b = x[j + d / 2], s = sign * sin[j];
            x[j] = a * cos[j] - b * s;
            x[j + d / 2] = b * cos[j] + a * s;
        }
}

static double cross_entropy(float *z, size_t v, int32_t target, bool gradient, float coef)
{
    double max = -INFINITY, sum = 0;
    for (size_t j = 0; j < v; j++)
        if (!(z[j] <= max)) max = z[j];         /* so that a NaN is taken */
    for (size_t j = 0; j < v; j++) sum += exp(z[j] - max);
    double lse = max + log(sum), loss = lse - z[target];
    if (gradient)
        for (size_t j = 0; j < v; j++) z[j] = (float)(coef * (exp(z[j] - lse) - ((size_t)target == j)));
    return loss;
}

static void swiglu(float *h, const float *gate, const float *up, size_t n)
{
    for (size_t i = 0; i < n; i++) h[i] = gate[i] / (1 + expf(-gate[i])) * up[i];
}

static void swiglu_backward(float *dgate, float *dup, float *h, const float *dh, const float *gate,
                            const float *up, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float g = gate[i], u = up[i], d = dh[i], sigmoid = 1 / (1 + expf(-g)), silu = g * sigmoid;
        if (h) h[i] = silu * u;
        dup[i] = d * silu;
        dgate[i] = d * u * (sigmoid * (1 + g * (1 - sigmoid)));
    }
}

static void swiglu_keep(float *h, float *pair, const float *gate, const float *up, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float g = gate[i], u = up[i];
        uint32_t both = (uint32_t)weft_f32_to_bf16(u) << 16 | weft_f32_to_bf16(g);
        memcpy(&pair[i], &both, sizeof both);
        if (h) h[i] = g / (1 + expf(-g)) * u;
    }
}

static void swiglu_backward_kept(float *dgate, float *dup, float *pair, const float *dh, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t both;
        memcpy(&both, &pair[i], sizeof both);
        float g = weft_bf16_to_f32((uint16_t)both), u = weft_bf16_to_f32((uint16_t)(both >> 16));
        float d = dh[i], h;
        swiglu_backward(&dgate[i], &dup[i], &h, &d, &g, &u, 1);
        pair[i] = h;
    }
}

static void add(float *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) y[i] += x[i];
}

static void scale(float *y, float alpha, size_t n)
{
    for (size_t i = 0; i < n; i++) y[i] *= alpha;
}

/* The square of a float is exact in f64, so a level that keeps these 16 lanes and this order of adding them gives
 * the same bits. */
static double sum_squares(const float *x, size_t n)
{
    double lane[16] = { 0 };
    for (size_t i = 0; i < n; i++) lane[i % 16] += (double)x[i] * x[i];
    for (size_t step = 8; step; step /= 2)
        for (size_t i = 0; i < step; i++) lane[i] += lane[i + step];
    return lane[0];
}

static bool all_finite(const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(x[i])) return false;
    return true;
}

static void dropout(float *y, const float *x, size_t n, uint64_t first, const struct weft_dropout *d, bool accumulate)
{
    struct weft_rng r;
    weft_rng_init(&r, d->seed, WEFT_RNG_DROPOUT, d->stream);
    uint32_t draw[4];
    for (size_t i = 0; i < n; i++) {
        uint64_t block = (first + i) / 4;
        if (i % 4 == 0) {
            uint32_t counter[4] = { (uint32_t)block, (uint32_t)(block >> 32), r.stream[0], r.stream[1] };
            weft_philox(r.key[0], r.key[1], counter, draw);
        }
        float v = draw[i % 4] >= d->threshold ? x[i] * d->scale : 0;
        y[i] = accumulate ? y[i] + v : v;
    }
}

static void adamw(float *p, float *m, float *v, const float *g, size_t n, const struct weft_adamw_step *s)
{
    float keep = 1 - s->lr * s->wd, w1 = 1 - s->beta1, w2 = 1 - s->beta2;
    for (size_t i = 0; i < n; i++) {
        float gi = g[i] * s->g_scale;
        float mi = m[i] + w1 * (gi - m[i]), vi = s->beta2 * v[i] + w2 * gi * gi;
        m[i] = mi;
        v[i] = vi;
        p[i] = p[i] * keep - s->step_size * mi / (sqrtf(vi) * s->inv_sqrt_bc2 + s->eps);
    }
}

/* Tensors in files may lie at odd addresses, hence the copies. */
static void to_f32(float *y, const void *x, enum weft_dtype type, size_t n)
{
    const char *p = x;
    if (type == WEFT_F32 && n) memmove(y, x, n * sizeof *y);
    if (type == WEFT_F32) return;
    for (size_t i = 0; i < n; i++) {
        uint16_t h;
        memcpy(&h, p + 2 * i, 2);
        y[i] = type == WEFT_BF16 ? weft_bf16_to_f32(h) : weft_f16_to_f32(h);
    }
}

static void from_f32(void *y, enum weft_dtype type, const float *x, size_t n)
{
    char *p = y;
    if (type == WEFT_F32 && n) memmove(y, x, n * sizeof *x);
    if (type == WEFT_F32) return;
    for (size_t i = 0; i < n; i++) {
        uint16_t h = type == WEFT_BF16 ? weft_f32_to_bf16(x[i]) : weft_f32_to_f16(x[i]);
        memcpy(p + 2 * i, &h, 2);
    }
}

static float dot(const float *x, const float *y, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)x[i] * y[i];
    return (float)sum;
}

static void softmax_step(float *s, size_t lds, size_t rows, size_t cols, float *m, float *l, float *o,
                         size_t ldo, size_t d)
{
    for (size_t i = 0; i < rows; i++, s += lds, o += ldo) {
        float max = m[i];
        for (size_t j = 0; j < cols; j++) max = fmaxf(max, s[j]);
        float base = max == -INFINITY ? 0 : max, keep = exp2f(m[i] - base), sum = 0;
        for (size_t j = 0; j < cols; j++) sum += s[j] = exp2f(s[j] - base);
        for (size_t e = 0; e < d; e++) o[e] *= keep;
        l[i] = l[i] * keep + sum;
        m[i] = max;
    }
}

static void softmax_backward(float *p, float *dp, size_t ld, size_t keys, size_t queries, const float *lse,
                             const float *delta)
{
    for (size_t j = 0; j < keys; j++, p += ld, dp += ld)
        for (size_t i = 0; i < queries; i++) {
            p[i] = exp2f(p[i] - lse[i] * WEFT_LOG2_E);
            dp[i] = p[i] * (dp[i] - delta[i]);
        }
}

/* Few rows: the same loops as every other product of this level. */
static void gemv(bool rows_are_outputs, size_t m, size_t n, size_t k, const float *a, size_t lda,
                 const void *b, enum weft_dtype type, size_t ldb, float *c, size_t ldc, bool accumulate,
                 float alpha, const float *bias)
{
    struct weft_gemm g = { .m = m, .n = n, .k = k, .a = a, .lda = lda, .b = b, .b_type = type, .ldb = ldb,
                           .b_rows_are_outputs = rows_are_outputs, .c = c, .ldc = ldc, .accumulate = accumulate,
                           .alpha = alpha, .bias = bias };
    weft_ref_gemm(&g, 0, m, 0, n);
}

static void gemv_nt(size_t m, size_t n, size_t k, const float *a, size_t lda, const void *b,
                    enum weft_dtype type, size_t ldb, float *c, size_t ldc, bool accumulate, float alpha,
                    const float *bias)
{
    gemv(true, m, n, k, a, lda, b, type, ldb, c, ldc, accumulate, alpha, bias);
}

static void gemv_nn(size_t m, size_t n, size_t k, const float *a, size_t lda, const void *b,
                    enum weft_dtype type, size_t ldb, float *c, size_t ldc, bool accumulate, float alpha,
                    const float *bias)
{
    gemv(false, m, n, k, a, lda, b, type, ldb, c, ldc, accumulate, alpha, bias);
}

void weft_kernels_ref(struct weft_kernels *k)
{
    *k = (struct weft_kernels){
        .isa = "ref",
        .gemv_nt = gemv_nt, .gemv_nn = gemv_nn,
        .softmax_step = softmax_step, .softmax_backward = softmax_backward, .dot = dot,
        .rmsnorm = rmsnorm, .rmsnorm_backward = rmsnorm_backward, .rmsnorm_dw = rmsnorm_dw,
        .column_sums = column_sums, .rope = rope, .cross_entropy = cross_entropy,
        .swiglu = swiglu, .swiglu_backward = swiglu_backward, .swiglu_keep = swiglu_keep,
        .swiglu_backward_kept = swiglu_backward_kept, .add = add, .scale = scale,
        .sum_squares = sum_squares, .all_finite = all_finite, .dropout = dropout, .adamw = adamw,
        .to_f32 = to_f32, .from_f32 = from_f32, .dequantise = weft_ref_dequantise,
    };
}
