/* int8 products by vpdpbusd: a unit is four bytes along k, sums are exact 32-bit integers.
 *
 * The instruction multiplies unsigned by signed bytes, so rows of A carry 128 more than they mean; what that adds, 128
 * times the sum of a column of B, is taken off when a block of k is done.  Tiles of 6 rows x 4 vectors, as the products
 * in bf16 have them. */
#include "kernels/table.h"

#include "kernels/avx512/simd.h"
#include "kernels/avx512bf16/avx512bf16.h"

#include <math.h>

enum { UNIT = 4, COLS = 64, TILE_ROWS = 6, VECS = 4, VEC_BYTES = 64 };

static float quantise_row(uint32_t *out, size_t block_stride, const float *x, const float *factor, size_t n)
{
    const __m512 magnitude = _mm512_castsi512_ps(_mm512_set1_epi32(0x7fffffff));
    __m512 most = v_zero();
    for (size_t i = 0; i < n; i += VEC_LEN) {
        vmask m = v_first(n - i);
        __m512 v = v_load_m(m, x + i);
        if (factor) v = v_mul(v, v_load_m(m, factor + i));
        most = v_max(most, _mm512_and_ps(v, magnitude));
    }
    float max = v_max_across(most), inverse = max != 0 ? 127 / max : 0;
    for (size_t i = 0; i < n; i += VEC_LEN) {
        vmask m = v_first(n - i);
        __m512 v = v_load_m(m, x + i);
        if (factor) v = v_mul(v, v_load_m(m, factor + i));
        __m512i q = _mm512_cvtps_epi32(v_mul(v, v_set1(inverse)));             /* ties to even */
        q = _mm512_add_epi32(_mm512_max_epi32(_mm512_min_epi32(q, _mm512_set1_epi32(127)), _mm512_set1_epi32(-127)),
                             _mm512_set1_epi32(128));
        size_t block = i / WEFT_INT8_BLOCK;
        unsigned char *to = (unsigned char *)(out + block * block_stride) + i % WEFT_INT8_BLOCK;
        _mm_mask_storeu_epi8(to, n - i >= VEC_LEN ? 0xffff : (__mmask16)((1u << (n - i + 3) / 4 * 4) - 1),
                             _mm512_cvtepi32_epi8(q));
    }
    return max / 127;
}

static __mmask64 first_bytes(size_t n) { return n >= 64 ? ~0ull : (1ull << n) - 1; }

static void pack_nk(uint32_t *out, const int8_t *b, size_t ldb, size_t n, size_t k)
{
    for (size_t j = 0; j < n; j += VEC_LEN)
        for (size_t p = 0; p < k; p += VEC_BYTES) {
            vec r[VEC_LEN];
            __mmask64 m = first_bytes(k - p);
            size_t units = (k - p + UNIT - 1) / UNIT;
#pragma GCC unroll 16
            for (size_t e = 0; e < VEC_LEN; e++)
                r[e] = j + e < n ? _mm512_castsi512_ps(_mm512_maskz_loadu_epi8(m, b + (j + e) * ldb + p)) : v_zero();
            v_transpose(r);
            uint32_t *o = out + p / UNIT * COLS + j;
#pragma GCC unroll 16
            for (size_t e = 0; e < VEC_LEN; e++)
                if (e < units) v_store(o + e * COLS, r[e]);
        }
}

/* Four rows of B become units of their columns. */
static void pack_kn(uint32_t *out, const int8_t *b, size_t ldb, size_t n, size_t k)
{
    __mmask64 m = first_bytes(n);
    for (size_t p = 0; p < k; p += UNIT, b += UNIT * ldb, out += COLS) {
        __m512i r[UNIT];
        for (size_t e = 0; e < UNIT; e++)
            r[e] = p + e < k ? _mm512_maskz_loadu_epi8(m, b + e * ldb) : _mm512_setzero_si512();
        __m512i ab0 = _mm512_unpacklo_epi8(r[0], r[1]), ab1 = _mm512_unpackhi_epi8(r[0], r[1]);
        __m512i cd0 = _mm512_unpacklo_epi8(r[2], r[3]), cd1 = _mm512_unpackhi_epi8(r[2], r[3]);
        /* q[i], lane L: columns 16 L + 4 i ...; a transpose of the 4 x 4 lanes puts them in order */
        __m512i q0 = _mm512_unpacklo_epi16(ab0, cd0), q1 = _mm512_unpackhi_epi16(ab0, cd0);
        __m512i q2 = _mm512_unpacklo_epi16(ab1, cd1), q3 = _mm512_unpackhi_epi16(ab1, cd1);
        __m512i s0 = _mm512_shuffle_i32x4(q0, q1, 0x44), s1 = _mm512_shuffle_i32x4(q0, q1, 0xee);
        __m512i s2 = _mm512_shuffle_i32x4(q2, q3, 0x44), s3 = _mm512_shuffle_i32x4(q2, q3, 0xee);
        _mm512_storeu_si512(out, _mm512_shuffle_i32x4(s0, s2, 0x88));
        _mm512_storeu_si512(out + 16, _mm512_shuffle_i32x4(s0, s2, 0xdd));
        _mm512_storeu_si512(out + 32, _mm512_shuffle_i32x4(s1, s3, 0x88));
        _mm512_storeu_si512(out + 48, _mm512_shuffle_i32x4(s1, s3, 0xdd));
    }
}

static void pack(uint32_t *out, int32_t *sums, const int8_t *b, size_t ldb, bool rows_are_outputs, size_t n, size_t k)
{
    const __m512i ones = _mm512_set1_epi8(1);
    __m512i s[VECS] = { _mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512(),
                        _mm512_setzero_si512() };
    if (rows_are_outputs) {
        /* vectors of columns that nothing is packed into */
        for (size_t u = 0; n <= COLS - VEC_LEN && u < (k + UNIT - 1) / UNIT; u++)
            for (size_t j = (n + VEC_LEN - 1) / VEC_LEN * VEC_LEN; j < COLS; j += VEC_LEN)
                v_store(out + u * COLS + j, v_zero());
        pack_nk(out, b, ldb, n, k);
    } else {
        pack_kn(out, b, ldb, n, k);
    }
    for (size_t u = 0; u < (k + UNIT - 1) / UNIT; u++)
#pragma GCC unroll 4
        for (size_t j = 0; j < VECS; j++)
            s[j] = _mm512_dpbusd_epi32(s[j], ones, _mm512_loadu_si512(out + u * COLS + j * VEC_LEN));
    for (size_t j = 0; j < VECS; j++) _mm512_storeu_si512(sums + j * VEC_LEN, s[j]);
}

/* gcc 12 keeps sums in registers only when they have the type that the instruction works on; as vectors of 64-bit lanes
 * each of them goes over the stack at every step, at half the speed. */
#define sums32 int32_t __attribute__((vector_size(64)))

VEC_INLINE void tile(const size_t mr, size_t units, const uint32_t *a, size_t lda, const uint32_t *b,
                     const int32_t *sums, size_t n, float *c, size_t ldc, bool accumulate,
                     const float *row_scale, const float *col_scale, const float *bias)
{
    sums32 s[TILE_ROWS][VECS];
#pragma GCC unroll 6
    for (size_t i = 0; i < mr; i++)
#pragma GCC unroll 4
        for (size_t j = 0; j < VECS; j++) s[i][j] = (sums32){ 0 };
    for (size_t p = 0; p < units; p++, b += COLS) {
        __m512i w[VECS];
#pragma GCC unroll 4
        for (size_t j = 0; j < VECS; j++) w[j] = _mm512_loadu_si512(b + j * VEC_LEN);
#pragma GCC unroll 6
        for (size_t i = 0; i < mr; i++) {
            __m512i x = _mm512_set1_epi32((int)a[i * lda + p]);
#pragma GCC unroll 4
            for (size_t j = 0; j < VECS; j++) s[i][j] = (sums32)_mm512_dpbusd_epi32((__m512i)s[i][j], x, w[j]);
        }
    }
#pragma GCC unroll 4
    for (size_t j = 0; j < VECS; j++) {
        vmask m = n > j * VEC_LEN ? v_first(n - j * VEC_LEN) : 0;
        __m512i offset = _mm512_slli_epi32(_mm512_loadu_si512(sums + j * VEC_LEN), 7);
        vec scale = col_scale ? v_load_m(m, col_scale + j * VEC_LEN) : v_set1(1);
        vec add = bias ? v_load_m(m, bias + j * VEC_LEN) : v_zero();
#pragma GCC unroll 6
        for (size_t i = 0; i < mr; i++) {
            float *q = c + i * ldc + j * VEC_LEN;
            vec v = v_mul(
                v_mul(_mm512_cvtepi32_ps(_mm512_sub_epi32((__m512i)s[i][j], offset)), v_set1(row_scale[i])),
                scale);
            if (accumulate) v = v_add(v, v_load_m(m, q));
            if (bias) v = v_add(v, add);
            v_store_m(m, q, v);
        }
    }
}

#define WEFT_TILE(mr)                                                                                               \
    static __attribute__((noinline)) void tile_##mr(size_t units, const uint32_t *a, size_t lda, const uint32_t *b, \
                                                    const int32_t *sums, size_t n, float *c, size_t ldc,            \
                                                    bool accumulate, const float *row_scale,                        \
                                                    const float *col_scale, const float *bias)                      \
    {                                                                                                               \
        tile(mr, units, a, lda, b, sums, n, c, ldc, accumulate, row_scale, col_scale, bias);                        \
    }
WEFT_TILE(1) WEFT_TILE(2) WEFT_TILE(3) WEFT_TILE(4) WEFT_TILE(5) WEFT_TILE(6)

static void multiply(size_t rows, size_t units, const uint32_t *a, size_t lda, const uint32_t *b, const int32_t *sums,
                     size_t n, float *c, size_t ldc, bool accumulate, const float *row_scale, const float *col_scale,
                     const float *bias)
{
    static void (*const tiles[TILE_ROWS])(size_t units, const uint32_t *a, size_t lda, const uint32_t *b,
                                          const int32_t *sums, size_t n, float *c, size_t ldc, bool accumulate,
                                          const float *row_scale, const float *col_scale, const float *bias) = {
        tile_1, tile_2, tile_3, tile_4, tile_5, tile_6
    };
    for (size_t i = 0; i < rows; i += TILE_ROWS) {
        size_t mr = weft_min_size(TILE_ROWS, rows - i);
        tiles[mr - 1](units, a + i * lda, lda, b, sums, n, c + i * ldc, ldc, accumulate, row_scale + i,
                      col_scale, bias);
    }
}

static const struct weft_int8_level level = { .panel_cols = COLS, .quantise_row = quantise_row, .pack = pack,
                                              .multiply = multiply };

void weft_kernels_avx512bf16_int8(struct weft_kernels *k) { k->int8 = &level; }
