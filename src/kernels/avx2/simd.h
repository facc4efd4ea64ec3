/* kernels/avx2/simd.h - the vector words of kernels/vec/, 8 floats wide
 *
 * All masks there are "the first n lanes", so a mask is a count here. */
#ifndef WEFT_KERNELS_AVX2_SIMD_H
#define WEFT_KERNELS_AVX2_SIMD_H

#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define VEC_LEN 8
#define PANEL_VECS 2            /* vectors in a row of a packed panel: 6 x 2 accumulators of 16 registers */
#define vec __m256
#define ivec __m256i            /* lanes of 32 bits */
#define vmask size_t

#define VEC_INLINE static inline __attribute__((always_inline, unused))

VEC_INLINE vmask v_first(size_t n) { return n < 8 ? n : 8; }

VEC_INLINE __m256i v_lanes(vmask n)
{
    static const int32_t ones[16] = { -1, -1, -1, -1, -1, -1, -1, -1 };
    return _mm256_loadu_si256((const void *)(ones + 8 - n));
}

VEC_INLINE vec v_load(const void *p) { return _mm256_loadu_ps(p); }
VEC_INLINE vec v_load_m(vmask n, const void *p) { return n == 8 ? v_load(p) : _mm256_maskload_ps(p, v_lanes(n)); }
VEC_INLINE void v_store(void *p, vec v) { _mm256_storeu_ps(p, v); }
VEC_INLINE void v_store_m(vmask n, void *p, vec v)
{
    if (n == 8) v_store(p, v);
    else _mm256_maskstore_ps(p, v_lanes(n), v);
}

/* n <= 8 elements of 16 bits; those past them are zero. */
VEC_INLINE __m128i v_load_16(vmask n, const void *p)
{
    if (n == 8) return _mm_loadu_si128(p);
    uint16_t some[8] = { 0 };
    memcpy(some, p, 2 * n);
    return _mm_loadu_si128((const void *)some);
}
VEC_INLINE void v_store_16(vmask n, void *p, __m128i h)
{
    if (n == 8) {
        _mm_storeu_si128(p, h);
        return;
    }
    uint16_t some[8];
    _mm_storeu_si128((void *)some, h);
    memcpy(p, some, 2 * n);
}
VEC_INLINE vec v_bf16_to_f32(__m128i h) { return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(h), 16)); }
VEC_INLINE vec v_load_bf16(const void *p) { return v_bf16_to_f32(_mm_loadu_si128(p)); }
VEC_INLINE vec v_load_bf16_m(vmask n, const void *p) { return v_bf16_to_f32(v_load_16(n, p)); }
VEC_INLINE vec v_load_f16(const void *p) { return _mm256_cvtph_ps(_mm_loadu_si128(p)); }
VEC_INLINE vec v_load_f16_m(vmask n, const void *p) { return _mm256_cvtph_ps(v_load_16(n, p)); }

/* Round to nearest even, in the upper halves of the lanes; a NaN stays a quiet NaN.  The lower halves are of no use. */
VEC_INLINE __m256i v_round_bf16(vec v)
{
    __m256i u = _mm256_castps_si256(v), odd = _mm256_and_si256(_mm256_srli_epi32(u, 16), _mm256_set1_epi32(1));
    __m256i r = _mm256_add_epi32(u, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7FFF)));
    __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(v, v, _CMP_UNORD_Q));
    return _mm256_blendv_epi8(r, _mm256_or_si256(u, _mm256_set1_epi32(0x400000)), nan);
}
/* lo and hi as bf16 in the halves of each lane */
VEC_INLINE vec v_pair_bf16(vec lo, vec hi)
{
    return _mm256_castsi256_ps(_mm256_blend_epi16(_mm256_srli_epi32(v_round_bf16(lo), 16), v_round_bf16(hi), 0xaa));
}
VEC_INLINE vec v_pair_lo(vec pair) { return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(pair), 16)); }
VEC_INLINE vec v_pair_hi(vec pair)
{
    return _mm256_castsi256_ps(_mm256_and_si256(_mm256_castps_si256(pair), _mm256_set1_epi32((int)0xFFFF0000u)));
}
VEC_INLINE void v_store_bf16_m(vmask n, void *p, vec v)
{
    __m256i r = _mm256_srli_epi32(v_round_bf16(v), 16);
    r = _mm256_permute4x64_epi64(_mm256_packus_epi32(r, r), 0x08);
    v_store_16(n, p, _mm256_castsi256_si128(r));
}
VEC_INLINE void v_store_f16_m(vmask n, void *p, vec v)
{
    v_store_16(n, p, _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
}

/* The lower 8 signed bytes. */
VEC_INLINE vec v_from_i8(__m128i b) { return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(b)); }
/* table[byte] for bytes 0 ... 15 */
VEC_INLINE vec v_lookup16(const float *table, __m128i b)
{
    __m256i i = _mm256_cvtepi8_epi32(b);
    vec low = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table), i);
    vec high = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table + 8), i);
    return _mm256_blendv_ps(low, high, _mm256_castsi256_ps(_mm256_slli_epi32(i, 28)));     /* bit 3 to the sign */
}

VEC_INLINE vec v_zero(void) { return _mm256_setzero_ps(); }
VEC_INLINE vec v_set1(float f) { return _mm256_set1_ps(f); }
VEC_INLINE vec v_add(vec a, vec b) { return _mm256_add_ps(a, b); }
VEC_INLINE vec v_sub(vec a, vec b) { return _mm256_sub_ps(a, b); }
VEC_INLINE vec v_mul(vec a, vec b) { return _mm256_mul_ps(a, b); }
VEC_INLINE vec v_div(vec a, vec b) { return _mm256_div_ps(a, b); }
VEC_INLINE vec v_sqrt(vec a) { return _mm256_sqrt_ps(a); }
VEC_INLINE vec v_fma(vec a, vec b, vec c) { return _mm256_fmadd_ps(a, b, c); }
VEC_INLINE vec v_fnma(vec a, vec b, vec c) { return _mm256_fnmadd_ps(a, b, c); }     /* c - a b */
VEC_INLINE vec v_max(vec a, vec b) { return _mm256_max_ps(a, b); }                    /* b where either is NaN */
VEC_INLINE vec v_min(vec a, vec b) { return _mm256_min_ps(a, b); }
VEC_INLINE vec v_round(vec v) { return _mm256_round_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
/* v * 2^n for whole n between -252 and 254, in two steps so that both factors exist as floats */
VEC_INLINE vec v_scale2(vec v, vec n)
{
    __m256i whole = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(whole, 1), bias = _mm256_set1_epi32(127);
    __m256i rest = _mm256_sub_epi32(whole, half);
    v = _mm256_mul_ps(v, _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(half, bias), 23)));
    return _mm256_mul_ps(v, _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(rest, bias), 23)));
}
VEC_INLINE bool v_all_finite(vec v)
{
    __m256i exponent = _mm256_and_si256(_mm256_castps_si256(v), _mm256_set1_epi32(0x7F800000));
    return _mm256_movemask_epi8(_mm256_cmpeq_epi32(exponent, _mm256_set1_epi32(0x7F800000))) == 0;
}

/* Sums and maxima across lanes, halves first. */
VEC_INLINE float v_sum(vec v)
{
    __m128 q = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    q = _mm_add_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_add_ss(q, _mm_movehdup_ps(q)));
}
VEC_INLINE float v_max_across(vec v)
{
    __m128 q = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    q = _mm_max_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_max_ss(q, _mm_movehdup_ps(q)));
}
/* The 16 f64 lanes of a sum of squares, and their total in the order that ref/ adds them. */
struct v_squares {
    __m256d lane[4];
};
/* n <= 16 elements */
VEC_INLINE void v_add_squares(struct v_squares *s, const float *x, size_t n)
{
    for (size_t h = 0; h < 2 && 8 * h < n; h++) {
        __m256 v = v_load_m(v_first(n - 8 * h), x + 8 * h);
        __m256d lo = _mm256_cvtps_pd(_mm256_castps256_ps128(v)), hi = _mm256_cvtps_pd(_mm256_extractf128_ps(v, 1));
        s->lane[2 * h] = _mm256_fmadd_pd(lo, lo, s->lane[2 * h]);
        s->lane[2 * h + 1] = _mm256_fmadd_pd(hi, hi, s->lane[2 * h + 1]);
    }
}
VEC_INLINE double v_total(const struct v_squares *s)
{
    __m256d q = _mm256_add_pd(_mm256_add_pd(s->lane[0], s->lane[2]), _mm256_add_pd(s->lane[1], s->lane[3]));
    __m128d d = _mm_add_pd(_mm256_castpd256_pd128(q), _mm256_extractf128_pd(q, 1));
    return _mm_cvtsd_f64(_mm_add_sd(d, _mm_unpackhi_pd(d, d)));
}

/* Row i of the result is column i of what r[] held. */
VEC_INLINE void v_transpose(vec *r)
{
    vec t[8];
#pragma GCC unroll 8
    for (int i = 0; i < 4; i++) {
        t[2 * i] = _mm256_unpacklo_ps(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm256_unpackhi_ps(r[2 * i], r[2 * i + 1]);
    }
#pragma GCC unroll 8
    for (int i = 0; i < 2; i++) {
        r[4 * i] = _mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0x44);
        r[4 * i + 1] = _mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0xee);
        r[4 * i + 2] = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0x44);
        r[4 * i + 3] = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0xee);
    }
#pragma GCC unroll 8
    for (int i = 0; i < 4; i++) {
        vec lo = r[i], hi = r[4 + i];
        r[i] = _mm256_permute2f128_ps(lo, hi, 0x20);
        r[4 + i] = _mm256_permute2f128_ps(lo, hi, 0x31);
    }
}

/* ---- integers, for the random numbers of dropout ---- */

VEC_INLINE ivec i_set1(uint32_t u) { return _mm256_set1_epi32((int)u); }
VEC_INLINE ivec i_iota(void) { return _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7); }
VEC_INLINE ivec i_add(ivec a, ivec b) { return _mm256_add_epi32(a, b); }
VEC_INLINE ivec i_xor(ivec a, ivec b) { return _mm256_xor_si256(a, b); }
/* All ones where a >= b, unsigned. */
VEC_INLINE ivec i_at_least(ivec a, ivec b) { return _mm256_cmpeq_epi32(_mm256_max_epu32(a, b), a); }
/* hi + 1 in the lanes where low = start + lane went past 2^32 */
VEC_INLINE ivec i_carry(ivec hi, ivec low, uint32_t start)
{
    return _mm256_add_epi32(hi, _mm256_add_epi32(_mm256_set1_epi32(1), i_at_least(low, i_set1(start))));
}
/* All 64 bits of a * m by lane. */
VEC_INLINE void i_mul_wide(ivec a, uint32_t m, ivec *lo, ivec *hi)
{
    __m256i k = _mm256_set1_epi32((int)m), even = _mm256_mul_epu32(a, k),
            odd = _mm256_mul_epu32(_mm256_srli_epi64(a, 32), k);
    *lo = _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xaa);
    *hi = _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xaa);
}
/* v where the unsigned lane is at least `limit`, else 0 */
VEC_INLINE vec v_keep_from(vec v, ivec draw, uint32_t limit)
{
    return _mm256_and_ps(v, _mm256_castsi256_ps(i_at_least(draw, i_set1(limit))));
}
/* w[0..3] hold words 0..3 of 8 blocks; afterwards w[i] holds words 8 i ... 8 i + 7 in the order of the stream. */
VEC_INLINE void i_interleave4(ivec *w)
{
    __m256i a = _mm256_unpacklo_epi32(w[0], w[1]), b = _mm256_unpackhi_epi32(w[0], w[1]);
    __m256i c = _mm256_unpacklo_epi32(w[2], w[3]), d = _mm256_unpackhi_epi32(w[2], w[3]);
    __m256i e = _mm256_unpacklo_epi64(a, c), f = _mm256_unpackhi_epi64(a, c);       /* blocks 0 4 and 1 5 */
    __m256i g = _mm256_unpacklo_epi64(b, d), h = _mm256_unpackhi_epi64(b, d);       /* blocks 2 6 and 3 7 */
    w[0] = _mm256_permute2x128_si256(e, f, 0x20);
    w[1] = _mm256_permute2x128_si256(g, h, 0x20);
    w[2] = _mm256_permute2x128_si256(e, f, 0x31);
    w[3] = _mm256_permute2x128_si256(g, h, 0x31);
}

#endif
