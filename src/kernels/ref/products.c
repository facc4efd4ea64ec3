/* Matrix products and attention by the formula, sums in f64. */
#include "kernels/ref/ref.h"

#include <math.h>

/* A tensor in a file may lie at an odd address. */
static double element(const void *b, enum weft_dtype type, size_t i)
{
    if (type == WEFT_QUANT) {
        const struct weft_quant *q = b;
        return weft_ref_quant_element(q, i / q->cols, i % q->cols);
    }
    const char *p = weft_element(b, type, i);
    float f = NAN;
    uint16_t h;
    if (type == WEFT_F32) memcpy(&f, p, sizeof f);
    else memcpy(&h, p, sizeof h), f = type == WEFT_BF16 ? weft_bf16_to_f32(h) : weft_f16_to_f32(h);
    return f;
}

void weft_ref_gemm(const struct weft_gemm *g, size_t m0, size_t m1, size_t n0, size_t n1)
{
    size_t ldb = g->b_type == WEFT_QUANT ? ((const struct weft_quant *)g->b)->cols : g->ldb;
    float alpha = g->alpha != 0 ? g->alpha : 1;
    for (size_t i = m0; i < m1; i++)
        for (size_t j = n0; j < n1; j++) {
            double sum = 0;
            for (size_t p = 0; p < g->k; p++) {
                double a = g->a_transposed ? g->a[p * g->lda + i] : g->a[i * g->lda + p];
                sum += a * element(g->b, g->b_type, g->b_rows_are_outputs ? j * ldb + p : p * ldb + j);
            }
            sum *= alpha;
            if (g->bias) sum += g->bias[j];
            float *c = g->c + i * g->ldc + j;
            *c = (float)(g->accumulate ? *c + sum : sum);
        }
}

static double dot(const float *x, const float *y, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)x[i] * y[i];
    return sum;
}

static size_t first_key(const struct weft_ref_head *h, size_t i)
{
    size_t position = h->offset + i;
    return h->window && position + 1 > h->window ? position + 1 - h->window : 0;
}

/* Without room for a row of scores, each is computed three times: maximum, sum, weighted values. */
void weft_ref_attention(float *out, size_t ldo, float *lse, const struct weft_ref_head *h)
{
    double scale = 1 / sqrt((double)h->d);
    for (size_t i = 0; i < h->n_q; i++) {
        const float *q = h->q + i * h->ldq;
        size_t j0 = first_key(h, i), j1 = h->offset + i + 1;
        double max = -INFINITY, sum = 0;
        for (size_t j = j0; j < j1; j++) max = fmax(max, scale * dot(q, h->k + j * h->ldk, h->d));
        for (size_t j = j0; j < j1; j++) sum += exp(scale * dot(q, h->k + j * h->ldk, h->d) - max);
        for (size_t e = 0; e < h->d; e++) out[i * ldo + e] = 0;
        for (size_t j = j0; j < j1; j++) {
            double p = exp(scale * dot(q, h->k + j * h->ldk, h->d) - max) / sum;
            for (size_t e = 0; e < h->d; e++) out[i * ldo + e] += (float)(p * h->v[j * h->ldv + e]);
        }
        if (lse) lse[i] = (float)(max + log(sum));
    }
}

void weft_ref_attention_backward(float *dq, float *dk, float *dv, const float *dout, size_t ldo, const float *lse,
                                 const float *delta, const struct weft_ref_head *h)
{
    double scale = 1 / sqrt((double)h->d);
    for (size_t i = 0; i < h->n_q; i++) {
        const float *q = h->q + i * h->ldq, *go = dout + i * ldo;
        for (size_t e = 0; e < h->d; e++) dq[i * h->ldq + e] = 0;
        for (size_t j = first_key(h, i); j <= h->offset + i; j++) {
            const float *k = h->k + j * h->ldk;
            double p = exp(scale * dot(q, k, h->d) - lse[i]);
            double ds = scale * p * (dot(go, h->v + j * h->ldv, h->d) - delta[i]);
            for (size_t e = 0; e < h->d; e++) {
                dv[j * h->ldv + e] += (float)(p * go[e]);
                dk[j * h->ldk + e] += (float)(ds * q[e]);
                dq[i * h->ldq + e] += (float)(ds * k[e]);
            }
        }
    }
}
