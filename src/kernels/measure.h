/* kernels/measure.h - what this machine can do at most, and how near the kernels come
 *
 * Every figure is a rate measured now, as the best of several short runs: on a busy machine a long run measures the
 * neighbours.  With one thread the time is what that thread ran.  A share is a ratio of two rates measured
 * beside each other, and is what to compare between days. */
#ifndef WEFT_KERNELS_MEASURE_H
#define WEFT_KERNELS_MEASURE_H

#include "kernels/kernels.h"

double weft_clock_seconds(void);        /* monotonic */

/* Multiply-adds on registers only, all threads of the pool at once, in FLOP/s (2 per multiply-add): ymm FMA at
 * avx2, zmm FMA at avx512 and wherever `exact`, vdpbf16ps at avx512bf16.  0: this level has no such loop
 * (ref). */
double weft_measure_peak(struct weft_pool *pool, enum weft_isa isa, bool exact);

/* Plain reading of `bytes` at p by all threads, in bytes/s.  Beyond the caches this is what decoding can reach. */
double weft_measure_read(struct weft_pool *pool, const void *p, size_t bytes);

/* The same product again and again over weights that rotate through `pool_bytes` of memory, as the layers
 * of a model do. */
struct weft_measured_gemm {
    double flops;                       /* FLOP/s */
    double peak;                        /* of weft_measure_peak beside it */
    double share;                       /* best flops / peak */
    double seconds;                     /* of one product, the best */
};
struct weft_gemm_shape {
    size_t m, n, k;
    enum { WEFT_Y, WEFT_DX, WEFT_DW } product;      /* y = x W^T, dx = dy W, dW = dy^T x (both f32) */
    enum weft_dtype type;                           /* of W */
    bool exact;
};
/* `repeats` products, at least one. */
WEFT_MUST_USE enum weft_status weft_measure_gemm(struct weft_compute *c, const struct weft_gemm_shape *shape,
                                                 int repeats, struct weft_measured_gemm *out,
                                                 struct weft_err *err);

/* Attention of `seqs` sequences of `len` tokens, forward and backward, counted as 4 and 10 d FLOP for every pair of a
 * query and a key it sees (FlashAttention's count: no recomputation). */
struct weft_measured_attention {
    double forward, backward;           /* FLOP/s */
    double peak;
};
WEFT_MUST_USE enum weft_status weft_measure_attention(struct weft_compute *c, size_t seqs, size_t len,
                                                      size_t n_heads, size_t n_kv_heads, size_t d,
                                                      int repeats, struct weft_measured_attention *out,
                                                      struct weft_err *err);

/* m x n x k products with few rows against the read loop over the same memory. */
struct weft_measured_decode {
    double bytes;                       /* weight bytes/s */
    double read;                        /* of weft_measure_read beside it */
    double share;
};
WEFT_MUST_USE enum weft_status
weft_measure_decode(struct weft_compute *c, size_t m, size_t n, size_t k, enum weft_dtype type, int repeats,
                    struct weft_measured_decode *out, struct weft_err *err);

#endif
