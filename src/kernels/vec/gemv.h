/* kernels/vec/gemv.h - products with few rows of A; included after a level's simd.h
 *
 * Decoding reads every weight once, so the memory is the limit: B is streamed where it lies, one row after the other
 * with a prefetch some rows ahead, expanded to f32 in registers and multiplied by FMA.  Exact in f32 at no cost. */
#ifndef WEFT_KERNELS_VEC_GEMV_H
#define WEFT_KERNELS_VEC_GEMV_H

#include "kernels/vec/load.h"

enum { STREAM_AHEAD = 2048 };           /* bytes */

VEC_INLINE void put(float *c, float sum, bool accumulate, float alpha, const float *bias)
{
    sum *= alpha;
    if (bias) sum += *bias;
    *c = accumulate ? *c + sum : sum;
}

/* nb rows of B against m rows of A, k in steps of `steps` vectors. */
VEC_INLINE void dots(const size_t m, const size_t nb, const size_t steps, size_t k, const float *a,
                     size_t lda, const char *b, const enum weft_dtype type, size_t ldb, float *c, size_t ldc,
                     bool accumulate, float alpha, const float *bias)
{
    const size_t bytes = type == WEFT_F32 ? 4 : 2;
    vec s[WEFT_GEMV_ROWS][4];           /* [m][nb], or [1][steps] for one by one */
    size_t p = 0;
    if (m == 1 && nb == 1) {
#pragma GCC unroll 4
        for (size_t u = 0; u < steps; u++) s[0][u] = v_zero();
        for (; p + steps * VEC_LEN <= k; p += steps * VEC_LEN) {
#pragma GCC unroll 4
            for (size_t o = 0; o < steps * VEC_LEN * bytes; o += 64)
                _mm_prefetch(b + p * bytes + STREAM_AHEAD + o, _MM_HINT_T0);
#pragma GCC unroll 4
            for (size_t u = 0; u < steps; u++)
                s[0][u] = v_fma(v_load_any(b + (p + u * VEC_LEN) * bytes, type), v_load(a + p + u * VEC_LEN), s[0][u]);
        }
        for (; p < k; p += VEC_LEN) {
            vmask w = v_first(k - p);
            s[0][0] = v_fma(v_load_any_m(w, b + p * bytes, type), v_load_m(w, a + p), s[0][0]);
        }
        put(c, v_sum(v_add(v_add(s[0][0], s[0][1]), v_add(s[0][2], s[0][3]))), accumulate, alpha, bias);
        return;
    }
#pragma GCC unroll 8
    for (size_t i = 0; i < m; i++)
#pragma GCC unroll 4
        for (size_t j = 0; j < nb; j++) s[i][j] = v_zero();
    /* Short rows: the same place of the next rows; long ones: further on in this row. */
    size_t ahead = nb * ldb * bytes <= 4 * STREAM_AHEAD ? nb * ldb * bytes : STREAM_AHEAD;
    for (; p + VEC_LEN <= k; p += VEC_LEN) {
        vec x[4];
#pragma GCC unroll 4
        for (size_t j = 0; j < nb; j++) {
            _mm_prefetch(b + (j * ldb + p) * bytes + ahead, _MM_HINT_T0);
            x[j] = v_load_any(b + (j * ldb + p) * bytes, type);
        }
#pragma GCC unroll 8
        for (size_t i = 0; i < m; i++) {
            vec y = v_load(a + i * lda + p);
#pragma GCC unroll 4
            for (size_t j = 0; j < nb; j++) s[i][j] = v_fma(x[j], y, s[i][j]);
        }
    }
    if (p < k) {
        vmask w = v_first(k - p);
#pragma GCC unroll 8
        for (size_t i = 0; i < m; i++)
#pragma GCC unroll 4
            for (size_t j = 0; j < nb; j++)
                s[i][j] = v_fma(v_load_any_m(w, b + (j * ldb + p) * bytes, type),
                                v_load_m(w, a + i * lda + p), s[i][j]);
    }
#pragma GCC unroll 8
    for (size_t i = 0; i < m; i++)
#pragma GCC unroll 4
        for (size_t j = 0; j < nb; j++) put(c + i * ldc + j, v_sum(s[i][j]), accumulate, alpha, bias ? bias + j : NULL);
}

/* Two rows of B share each load of A where there are several rows of A. */
VEC_INLINE void gemv_nt_m(const size_t m, size_t n, size_t k, const float *a, size_t lda, const char *b,
                          const enum weft_dtype type, size_t ldb, float *c, size_t ldc, bool accumulate,
                          float alpha, const float *bias)
{
    const size_t nb = m == 1 ? 1 : 2;
    size_t j = 0, row_bytes = ldb * (type == WEFT_F32 ? 4 : 2);
    for (; j + nb <= n; j += nb)
        dots(m, nb, 4, k, a, lda, b + j * row_bytes, type, ldb, c + j, ldc, accumulate, alpha, bias ? bias + j : NULL);
    for (; j < n; j++)
        dots(m, 1, 4, k, a, lda, b + j * row_bytes, type, ldb, c + j, ldc, accumulate, alpha,
             bias ? bias + j : NULL);
}

/* A strip of nv vectors of columns runs down B [k,n]. */
VEC_INLINE void strip(const size_t m, const size_t nv, size_t n, size_t k, const float *a, size_t lda,
                      const char *b, const enum weft_dtype type, size_t ldb, float *c, size_t ldc,
                      bool accumulate, float alpha, const float *bias)
{
    const size_t bytes = type == WEFT_F32 ? 4 : 2;
    vec s[WEFT_GEMV_ROWS][4];
    vmask w[4];
#pragma GCC unroll 4
    for (size_t j = 0; j < nv; j++) w[j] = n > j * VEC_LEN ? v_first(n - j * VEC_LEN) : v_first(0);
#pragma GCC unroll 8
    for (size_t i = 0; i < m; i++)
#pragma GCC unroll 4
        for (size_t j = 0; j < nv; j++) s[i][j] = v_zero();
    for (size_t p = 0; p < k; p++, b += ldb * bytes) {
        vec x[4];
#pragma GCC unroll 4
        for (size_t j = 0; j < nv; j++) x[j] = v_load_any_m(w[j], b + j * VEC_LEN * bytes, type);
#pragma GCC unroll 8
        for (size_t i = 0; i < m; i++) {
            vec y = v_set1(a[i * lda + p]);
#pragma GCC unroll 4
            for (size_t j = 0; j < nv; j++) s[i][j] = v_fma(x[j], y, s[i][j]);
        }
    }
    vec factor = v_set1(alpha);
#pragma GCC unroll 8
    for (size_t i = 0; i < m; i++)
#pragma GCC unroll 4
        for (size_t j = 0; j < nv; j++) {
            float *q = c + i * ldc + j * VEC_LEN;
            vec v = v_mul(s[i][j], factor);
            if (bias) v = v_add(v, v_load_m(w[j], bias + j * VEC_LEN));
            if (accumulate) v = v_add(v, v_load_m(w[j], q));
            v_store_m(w[j], q, v);
        }
}

VEC_INLINE void gemv_nn_m(const size_t m, size_t n, size_t k, const float *a, size_t lda, const char *b,
                          const enum weft_dtype type, size_t ldb, float *c, size_t ldc, bool accumulate,
                          float alpha, const float *bias)
{
    const size_t nv = VEC_LEN == 16 ? (m <= 6 ? 4 : 2) : (m <= 2 ? 4 : 1), cols = nv * VEC_LEN,
                 bytes = type == WEFT_F32 ? 4 : 2;
    for (size_t j = 0; j < n; j += cols)
        strip(m, nv, n - j, k, a, lda, b + j * bytes, type, ldb, c + j, ldc, accumulate, alpha, bias ? bias + j : NULL);
}

/* m and the type become constants here. */
#define WEFT_GEMV_TYPES(name, count)                                                                                   \
    case count:                                                                                                        \
        if (type == WEFT_F32) name##_m(count, n, k, a, lda, b, WEFT_F32, ldb, c, ldc, accumulate, alpha, bias);        \
        else if (type == WEFT_BF16) name##_m(count, n, k, a, lda, b, WEFT_BF16, ldb, c, ldc, accumulate, alpha, bias); \
        else name##_m(count, n, k, a, lda, b, WEFT_F16, ldb, c, ldc, accumulate, alpha, bias);                         \
        break;
#define WEFT_GEMV(name)                                                                                             \
    static void name(size_t m, size_t n, size_t k, const float *a, size_t lda, const void *b, enum weft_dtype type, \
                     size_t ldb, float *c, size_t ldc, bool accumulate, float alpha, const float *bias)             \
    {                                                                                                               \
        switch (m) {                                                                                                \
            WEFT_GEMV_TYPES(name, 1) WEFT_GEMV_TYPES(name, 2) WEFT_GEMV_TYPES(name, 3) WEFT_GEMV_TYPES(name, 4)     \
            WEFT_GEMV_TYPES(name, 5) WEFT_GEMV_TYPES(name, 6) WEFT_GEMV_TYPES(name, 7) WEFT_GEMV_TYPES(name, 8)     \
        }                                                                                                           \
    }
WEFT_GEMV(gemv_nt)
WEFT_GEMV(gemv_nn)

#endif
