/* kernels/vec/pack.h - packing where a unit is one float; included after a level's simd.h and tiles.h */
#ifndef WEFT_KERNELS_VEC_PACK_H
#define WEFT_KERNELS_VEC_PACK_H

#include "kernels/vec/load.h"

/* VEC_LEN columns of [k][columns] memory become rows: one block of at most VEC_LEN x VEC_LEN. */
VEC_INLINE void pack_a_transposed(uint32_t *out, size_t ldo, const float *a, size_t lda, size_t rows, size_t k)
{
    for (size_t i = 0; i < rows; i += VEC_LEN)
        for (size_t p = 0; p < k; p += VEC_LEN) {
            vec r[VEC_LEN];
            vmask m = v_first(rows - i), w = v_first(k - p);
#pragma GCC unroll 16
            for (size_t e = 0; e < VEC_LEN; e++) r[e] = p + e < k ? v_load_m(m, a + (p + e) * lda + i) : v_zero();
            v_transpose(r);
#pragma GCC unroll 16
            for (size_t e = 0; e < VEC_LEN; e++)
                if (i + e < rows) v_store_m(w, out + (i + e) * ldo + p, r[e]);
        }
}

static void pack_a(uint32_t *out, size_t ldo, const float *a, size_t lda, bool transposed, size_t rows, size_t k)
{
    if (transposed) {
        pack_a_transposed(out, ldo, a, lda, rows, k);
        return;
    }
    for (size_t i = 0; i < rows; i++) memcpy(out + i * ldo, a + i * lda, k * sizeof *a);
}

/* B [n,k]: each block of VEC_LEN rows is transposed into the panel.  The panel has whole rows, so the rows past k
 * of the last block, all zero, stay inside only if they are not stored. */
VEC_INLINE void pack_b_nk(uint32_t *out, const char *b, const enum weft_dtype type, size_t ldb, size_t n, size_t k)
{
    for (size_t j = 0; j < n; j += VEC_LEN)
        for (size_t p = 0; p < k; p += VEC_LEN) {
            vec r[VEC_LEN];
            vmask w = v_first(k - p);
#pragma GCC unroll 16
            for (size_t e = 0; e < VEC_LEN; e++)
                r[e] = j + e < n ? v_load_any_m(w, weft_element(b, type, (j + e) * ldb + p), type) : v_zero();
            v_transpose(r);
#pragma GCC unroll 16
            for (size_t e = 0; e < VEC_LEN; e++)
                if (p + e < k) v_store(out + (p + e) * PANEL_COLS + j, r[e]);
        }
}

VEC_INLINE void pack_b_kn(uint32_t *out, const char *b, const enum weft_dtype type, size_t ldb, size_t n, size_t k)
{
    for (size_t p = 0; p < k; p++)
        for (size_t j = 0; j < n; j += VEC_LEN)
            v_store(out + p * PANEL_COLS + j, v_load_any_m(v_first(n - j), weft_element(b, type, p * ldb + j), type));
}

static void pack_b(uint32_t *out, const void *b, enum weft_dtype type, size_t ldb, bool rows_are_outputs,
                   size_t n, size_t k)
{
    switch (type) {
    case WEFT_F32:
        rows_are_outputs ? pack_b_nk(out, b, WEFT_F32, ldb, n, k) : pack_b_kn(out, b, WEFT_F32, ldb, n, k);
        break;
    case WEFT_BF16:
        rows_are_outputs ? pack_b_nk(out, b, WEFT_BF16, ldb, n, k) : pack_b_kn(out, b, WEFT_BF16, ldb, n, k);
        break;
    case WEFT_F16:
        rows_are_outputs ? pack_b_nk(out, b, WEFT_F16, ldb, n, k) : pack_b_kn(out, b, WEFT_F16, ldb, n, k);
        break;
    case WEFT_QUANT: break;             /* gemm.c hands over what it has dequantised */
    }
}

#endif
