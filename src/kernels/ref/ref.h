/* kernels/ref/ref.h - the definition of products, attention and quantised weights: plain loops, no scratch */
#ifndef WEFT_KERNELS_REF_REF_H
#define WEFT_KERNELS_REF_REF_H

#include "kernels/table.h"

/* Rows m0 ... m1-1 and columns n0 ... n1-1 of the product. */
void weft_ref_gemm(const struct weft_gemm *g, size_t m0, size_t m1, size_t n0, size_t n1);

/* Keys and values of one head as rows: query i (0-based, at position offset + i) of q [n_q] sees keys
 * max(0, offset + i - window + 1) ... offset + i. */
struct weft_ref_head {
    const float *q, *k, *v;
    size_t ldq, ldk, ldv;
    size_t n_q, offset, d, window;
};
/* Rows of out are ldo apart; lse [n_q] or NULL. */
void weft_ref_attention(float *out, size_t ldo, float *lse, const struct weft_ref_head *h);
/* dq overwritten; dk, dv [offset + n_q] accumulated.  All with the row distance of their forward operand. */
void weft_ref_attention_backward(float *dq, float *dk, float *dv, const float *dout, size_t ldo, const float *lse,
                                 const float *delta, const struct weft_ref_head *h);

/* One element, and some of one row, of a quantised matrix; the scale of an NF4 block. */
float weft_ref_quant_element(const struct weft_quant *q, size_t row, size_t col);
void weft_ref_dequantise(void *out, enum weft_dtype type, const struct weft_quant *q, size_t row, size_t col, size_t n);
float weft_quant_scale(const struct weft_quant *q, size_t block);

#endif
