/* bf16 products by vdpbf16ps: a unit is a pair of bf16 along k, sums are f32.
 *
 * The instruction takes denormals for zero and adds the two products of a unit in its own order; level avx512 is the
 * one to compare with.  f32 and f16 operands are rounded to bf16 on the way into the panel. */
#include "kernels/table.h"

#include "kernels/avx512/simd.h"
#define WEFT_DOT(s, x, w) \
    _mm512_dpbf16_ps(s, (__m512bh)_mm512_castps_si512(x), (__m512bh)_mm512_castps_si512(w))
#include "kernels/vec/tiles.h"
#include "kernels/vec/load.h"
#include "kernels/avx512bf16/avx512bf16.h"

enum { UNIT = 2, BLOCK = 2 * VEC_LEN };         /* elements of a unit, and of a vector of units */

/* lo in elements 0 ... 15, hi in 16 ... 31 */
VEC_INLINE __m512i to_bf16(vec hi, vec lo) { return (__m512i)_mm512_cvtne2ps_pbh(hi, lo); }

/* 16 units = 32 elements along k, `left` of them real. */
VEC_INLINE vec load_units(const void *p, const enum weft_dtype type, size_t left)
{
    if (type == WEFT_BF16) {
        __mmask32 m = left >= BLOCK ? 0xffffffffu : (1u << left) - 1;
        return _mm512_castsi512_ps(_mm512_maskz_loadu_epi16(m, p));
    }
    vec lo = v_load_any_m(v_first(left), p, type);
    vec hi = left > VEC_LEN ? v_load_any_m(v_first(left - VEC_LEN), weft_element(p, type, VEC_LEN), type) : v_zero();
    return _mm512_castsi512_ps(to_bf16(hi, lo));
}

/* Where two rows of 16 become 16 units: even elements from the first, odd ones from the second. */
VEC_INLINE __m512i zip_order(void)
{
    return _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5,
                            20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
}

VEC_INLINE vec zip_rows(vec even, vec odd)
{
    return _mm512_castsi512_ps(_mm512_permutexvar_epi16(zip_order(), to_bf16(odd, even)));
}

static void pack_a_transposed(uint32_t *out, size_t ldo, const float *a, size_t lda, size_t rows, size_t k)
{
    for (size_t i = 0; i < rows; i += VEC_LEN)
        for (size_t p = 0; p < k; p += BLOCK) {
            vec r[VEC_LEN];
            vmask m = v_first(rows - i), w = v_first((k - p + 1) / UNIT);
#pragma GCC unroll 16
            for (size_t e = 0; e < VEC_LEN; e++) {
                size_t q = p + UNIT * e;
                vec even = q < k ? v_load_m(m, a + q * lda + i) : v_zero();
                vec odd = q + 1 < k ? v_load_m(m, a + (q + 1) * lda + i) : v_zero();
                r[e] = zip_rows(even, odd);
            }
            v_transpose(r);
#pragma GCC unroll 16
            for (size_t e = 0; e < VEC_LEN; e++)
                if (i + e < rows) v_store_m(w, out + (i + e) * ldo + p / UNIT, r[e]);
        }
}

static void pack_a(uint32_t *out, size_t ldo, const float *a, size_t lda, bool transposed, size_t rows, size_t k)
{
    if (transposed) {
        pack_a_transposed(out, ldo, a, lda, rows, k);
        return;
    }
    for (size_t i = 0; i < rows; i++) {
        const float *x = a + i * lda;
        uint32_t *o = out + i * ldo;
        size_t p = 0;
        for (; p + BLOCK <= k; p += BLOCK) v_store(o + p / UNIT, load_units(x + p, WEFT_F32, BLOCK));
        if (p < k) v_store_m(v_first((k - p + 1) / UNIT), o + p / UNIT, load_units(x + p, WEFT_F32, k - p));
    }
}

VEC_INLINE void pack_b_nk(uint32_t *out, const char *b, const enum weft_dtype type, size_t ldb, size_t n, size_t k)
{
    for (size_t j = 0; j < n; j += VEC_LEN)
        for (size_t p = 0; p < k; p += BLOCK) {
            vec r[VEC_LEN];
            size_t units = (k - p + 1) / UNIT;
            const char *from = weft_element(b, type, j * ldb + p);
            if (n - j >= VEC_LEN && k - p >= BLOCK) {
#pragma GCC unroll 16
                for (size_t e = 0; e < VEC_LEN; e++) r[e] = load_units(weft_element(from, type, e * ldb), type, BLOCK);
            } else {
#pragma GCC unroll 16
                for (size_t e = 0; e < VEC_LEN; e++)
                    r[e] = j + e < n ? load_units(weft_element(from, type, e * ldb), type, k - p) : v_zero();
            }
            v_transpose(r);
            uint32_t *o = out + p / UNIT * PANEL_COLS + j;
#pragma GCC unroll 16
            for (size_t e = 0; e < VEC_LEN; e++)
                if (e < units) v_store(o + e * PANEL_COLS, r[e]);
        }
}

/* Two rows of B, 32 columns: their 16-bit elements are zipped into 32 units. */
static void pack_b_kn_bf16(uint32_t *out, const char *b, size_t ldb, size_t n, size_t k)
{
    const __m512i first = _mm512_set_epi16(47, 15, 46, 14, 45, 13, 44, 12, 43, 11, 42, 10, 41, 9, 40, 8, 39,
                                           7, 38, 6, 37, 5, 36, 4, 35, 3, 34, 2, 33, 1, 32, 0);
    const __m512i second = _mm512_add_epi16(first, _mm512_set1_epi16(16));
    for (size_t p = 0; p < k; p += UNIT, out += PANEL_COLS)
        for (size_t j = 0; j < n; j += BLOCK) {
            __mmask32 m = n - j >= BLOCK ? 0xffffffffu : (1u << (n - j)) - 1;
            const char *at = weft_element(b, WEFT_BF16, p * ldb + j);
            __m512i even = _mm512_maskz_loadu_epi16(m, at);
            __m512i odd = p + 1 < k ? _mm512_maskz_loadu_epi16(m, at + 2 * ldb) : _mm512_setzero_si512();
            _mm512_storeu_si512(out + j, _mm512_permutex2var_epi16(even, first, odd));
            _mm512_storeu_si512(out + j + VEC_LEN, _mm512_permutex2var_epi16(even, second, odd));
        }
}

VEC_INLINE void pack_b_kn(uint32_t *out, const char *b, const enum weft_dtype type, size_t ldb, size_t n, size_t k)
{
    for (size_t p = 0; p < k; p += UNIT, out += PANEL_COLS)
        for (size_t j = 0; j < n; j += VEC_LEN) {
            vmask m = v_first(n - j);
            vec even = v_load_any_m(m, weft_element(b, type, p * ldb + j), type);
            vec odd = p + 1 < k ? v_load_any_m(m, weft_element(b, type, (p + 1) * ldb + j), type) : v_zero();
            v_store(out + j, zip_rows(even, odd));
        }
}

static void pack_b(uint32_t *out, const void *b, enum weft_dtype type, size_t ldb, bool rows_are_outputs,
                   size_t n, size_t k)
{
    switch (type) {
    case WEFT_F32:
        rows_are_outputs ? pack_b_nk(out, b, WEFT_F32, ldb, n, k) : pack_b_kn(out, b, WEFT_F32, ldb, n, k);
        break;
    case WEFT_BF16:
        rows_are_outputs ? pack_b_nk(out, b, WEFT_BF16, ldb, n, k) : pack_b_kn_bf16(out, b, ldb, n, k);
        break;
    case WEFT_F16:
        rows_are_outputs ? pack_b_nk(out, b, WEFT_F16, ldb, n, k) : pack_b_kn(out, b, WEFT_F16, ldb, n, k);
        break;
    case WEFT_QUANT: break;             /* gemm.c hands over what it has dequantised */
    }
}

/* ---- few rows: B is not packed, both operands are read as vectors along k ---- */

VEC_INLINE vec load_left(const void *p, size_t left)
{
    return left >= BLOCK ? v_load(p) : _mm512_castsi512_ps(_mm512_maskz_loadu_epi16((1u << left) - 1, p));
}

/* m rows of A by nb rows of B, m * nb = 16 sums that one transpose adds up: sums[i * nb + j]. */
VEC_INLINE void few_dots(const size_t m, const size_t nb, size_t k, const uint32_t *a, size_t lda,
                         const char *b, size_t ldb, float sums[16])
{
    vec s[16];
#pragma GCC unroll 16
    for (size_t i = 0; i < 16; i++) s[i] = v_zero();
    size_t p = 0;
    for (; p + BLOCK <= k; p += BLOCK) {
        vec w[4];
#pragma GCC unroll 4
        for (size_t j = 0; j < nb; j++) {
            const char *at = b + 2 * (j * ldb + p);
            _mm_prefetch(at + 2 * nb * ldb, _MM_HINT_T0);               /* the same place of the next rows */
            w[j] = v_load(at);
        }
#pragma GCC unroll 8
        for (size_t i = 0; i < m; i++) {
            vec x = v_load(a + i * lda + p / UNIT);
#pragma GCC unroll 4
            for (size_t j = 0; j < nb; j++) s[i * nb + j] = WEFT_DOT(s[i * nb + j], x, w[j]);
        }
    }
    if (p < k) {
        vmask units = v_first((k - p + 1) / UNIT);
#pragma GCC unroll 8
        for (size_t i = 0; i < m; i++)
#pragma GCC unroll 4
            for (size_t j = 0; j < nb; j++)
                s[i * nb + j] = WEFT_DOT(s[i * nb + j], v_load_m(units, a + i * lda + p / UNIT),
                                         load_left(b + 2 * (j * ldb + p), k - p));
    }
    v_transpose(s);
#pragma GCC unroll 4
    for (size_t step = 8; step; step /= 2)
#pragma GCC unroll 8
        for (size_t i = 0; i < step; i++) s[i] = v_add(s[i], s[i + step]);
    v_store(sums, s[0]);
}

static void few_put(const float *sums, size_t nb, size_t rows, size_t cols, float *c, size_t ldc,
                    bool accumulate, float alpha, const float *bias)
{
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < cols; j++) {
            float v = sums[i * nb + j] * alpha;
            if (accumulate) v += c[i * ldc + j];
            c[i * ldc + j] = bias ? v + bias[j] : v;
        }
}

/* Four rows of B pass over all rows of A while they are in L1. */
static void few(size_t rows, size_t n, size_t k, const uint32_t *a, size_t lda, const void *b, size_t ldb,
                float *c, size_t ldc, bool accumulate, float alpha, const float *bias)
{
    float sums[16];
    for (size_t j = 0; j < n; j += 4) {
        const char *row = (const char *)b + 2 * j * ldb;
        size_t cols = weft_min_size(4, n - j), i = 0;
        if (cols == 4)
            for (; i < rows; i += 4) {
                few_dots(4, 4, k, a + i * lda, lda, row, ldb, sums);
                few_put(sums, 4, weft_min_size(4, rows - i), 4, c + i * ldc + j, ldc, accumulate, alpha,
                        bias ? bias + j : NULL);
            }
        else
            for (; i < rows; i++)
                for (size_t e = 0; e < cols; e++) {
                    few_dots(1, 1, k, a + i * lda, lda, row + 2 * e * ldb, ldb, sums);
                    few_put(sums, 1, 1, 1, c + i * ldc + j + e, ldc, accumulate, alpha, bias ? bias + j + e : NULL);
                }
    }
}

static const struct weft_gemm_level level = {
    .unit_len = UNIT, .panel_cols = PANEL_COLS, .block_units = 128,     /* 32 KiB */
    .pack_a = pack_a, .pack_b = pack_b, .multiply = multiply, .few_from = 3, .few_to = 40, .few = few,
};

void weft_kernels_avx512bf16(struct weft_kernels *k)
{
    k->isa = "avx512bf16";
    weft_kernels_avx512bf16_quant(k);
    weft_kernels_avx512bf16_int8(k);
    k->gemm = &level;                   /* gemm_exact and everything else as at level avx512 */
}
