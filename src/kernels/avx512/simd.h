/* kernels/avx512/simd.h - the vector words of kernels/vec/, 16 floats wide */
#ifndef WEFT_KERNELS_AVX512_SIMD_H
#define WEFT_KERNELS_AVX512_SIMD_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#define VEC_LEN 16
#define PANEL_VECS 4            /* vectors in a row of a packed panel: 6 x 4 accumulators of 32 registers */
#define vec __m512
#define ivec __m512i            /* lanes of 32 bits */
#define vmask __mmask16         /* a lane each */

#define VEC_INLINE static inline __attribute__((always_inline, unused))

/* The first n lanes; all from VEC_LEN on. */
VEC_INLINE vmask v_first(size_t n) { return n >= 16 ? (vmask)0xffff : (vmask)((1u << n) - 1); }

VEC_INLINE vec v_load(const void *p) { return _mm512_loadu_ps(p); }
VEC_INLINE vec v_load_m(vmask m, const void *p) { return _mm512_maskz_loadu_ps(m, p); }
VEC_INLINE void v_store(void *p, vec v) { _mm512_storeu_ps(p, v); }
VEC_INLINE void v_store_m(vmask m, void *p, vec v) { _mm512_mask_storeu_ps(p, m, v); }

VEC_INLINE vec v_bf16_to_f32(__m256i h) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16)); }
VEC_INLINE vec v_load_bf16(const void *p) { return v_bf16_to_f32(_mm256_loadu_si256(p)); }
VEC_INLINE vec v_load_bf16_m(vmask m, const void *p) { return v_bf16_to_f32(_mm256_maskz_loadu_epi16(m, p)); }
VEC_INLINE vec v_load_f16(const void *p) { return _mm512_cvtph_ps(_mm256_loadu_si256(p)); }
VEC_INLINE vec v_load_f16_m(vmask m, const void *p) { return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(m, p)); }

/* Round to nearest even by integers, because vcvtneps2bf16 takes denormals for zero; a NaN stays a quiet NaN.  In the
 * upper halves of the lanes; the lower halves are of no use. */
VEC_INLINE __m512i v_round_bf16(vec v)
{
    __m512i u = _mm512_castps_si512(v), odd = _mm512_and_si512(_mm512_srli_epi32(u, 16), _mm512_set1_epi32(1));
    __m512i r = _mm512_add_epi32(u, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7FFF)));
    return _mm512_mask_or_epi32(r, _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q), u, _mm512_set1_epi32(0x400000));
}
VEC_INLINE __m256i v_f32_to_bf16(vec v) { return _mm512_cvtepi32_epi16(_mm512_srli_epi32(v_round_bf16(v), 16)); }
/* lo and hi as bf16 in the halves of each lane */
VEC_INLINE vec v_pair_bf16(vec lo, vec hi)
{
    __m512i low = _mm512_srli_epi32(v_round_bf16(lo), 16);
    return _mm512_castsi512_ps(_mm512_mask_mov_epi16(low, 0xaaaaaaaau, v_round_bf16(hi)));
}
VEC_INLINE vec v_pair_lo(vec pair) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(pair), 16)); }
VEC_INLINE vec v_pair_hi(vec pair)
{
    return _mm512_castsi512_ps(_mm512_and_si512(_mm512_castps_si512(pair), _mm512_set1_epi32((int)0xFFFF0000u)));
}
VEC_INLINE void v_store_bf16_m(vmask m, void *p, vec v) { _mm256_mask_storeu_epi16(p, m, v_f32_to_bf16(v)); }
VEC_INLINE void v_store_f16_m(vmask m, void *p, vec v)
{
    _mm256_mask_storeu_epi16(p, m, _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}

/* 16 signed bytes */
VEC_INLINE vec v_from_i8(__m128i b) { return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(b)); }
/* table[byte] for bytes 0 ... 15 */
VEC_INLINE vec v_lookup16(const float *table, __m128i b)
{
    return _mm512_permutexvar_ps(_mm512_cvtepi8_epi32(b), _mm512_loadu_ps(table));
}

VEC_INLINE vec v_zero(void) { return _mm512_setzero_ps(); }
VEC_INLINE vec v_set1(float f) { return _mm512_set1_ps(f); }
VEC_INLINE vec v_add(vec a, vec b) { return _mm512_add_ps(a, b); }
VEC_INLINE vec v_sub(vec a, vec b) { return _mm512_sub_ps(a, b); }
VEC_INLINE vec v_mul(vec a, vec b) { return _mm512_mul_ps(a, b); }
VEC_INLINE vec v_div(vec a, vec b) { return _mm512_div_ps(a, b); }
VEC_INLINE vec v_sqrt(vec a) { return _mm512_sqrt_ps(a); }
VEC_INLINE vec v_fma(vec a, vec b, vec c) { return _mm512_fmadd_ps(a, b, c); }
VEC_INLINE vec v_fnma(vec a, vec b, vec c) { return _mm512_fnmadd_ps(a, b, c); }     /* c - a b */
VEC_INLINE vec v_max(vec a, vec b) { return _mm512_max_ps(a, b); }                    /* b where either is NaN */
VEC_INLINE vec v_min(vec a, vec b) { return _mm512_min_ps(a, b); }
VEC_INLINE vec v_round(vec v) { return _mm512_roundscale_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
/* v * 2^n for whole n, to zero and infinity where that leaves the range */
VEC_INLINE vec v_scale2(vec v, vec n) { return _mm512_scalef_ps(v, n); }
VEC_INLINE bool v_all_finite(vec v)
{
    /* quiet NaN, +inf, -inf, signalling NaN */
    return _mm512_fpclass_ps_mask(v, 0x01 | 0x08 | 0x10 | 0x80) == 0;
}

/* Sums and maxima across lanes, halves first. */
VEC_INLINE float v_sum(vec v)
{
    __m256 h = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    __m128 q = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
    q = _mm_add_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_add_ss(q, _mm_movehdup_ps(q)));
}
VEC_INLINE float v_max_across(vec v)
{
    __m256 h = _mm256_max_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    __m128 q = _mm_max_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
    q = _mm_max_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_max_ss(q, _mm_movehdup_ps(q)));
}
/* The 16 f64 lanes of a sum of squares, and their total in the order that ref/ adds them. */
struct v_squares {
    __m512d lo, hi;
};
/* n <= 16 elements */
VEC_INLINE void v_add_squares(struct v_squares *s, const float *x, size_t n)
{
    __m512 v = v_load_m(v_first(n), x);
    __m512d lo = _mm512_cvtps_pd(_mm512_castps512_ps256(v)), hi = _mm512_cvtps_pd(_mm512_extractf32x8_ps(v, 1));
    s->lo = _mm512_fmadd_pd(lo, lo, s->lo);
    s->hi = _mm512_fmadd_pd(hi, hi, s->hi);
}
VEC_INLINE double v_total(const struct v_squares *s)
{
    __m512d e = _mm512_add_pd(s->lo, s->hi);
    __m256d q = _mm256_add_pd(_mm512_castpd512_pd256(e), _mm512_extractf64x4_pd(e, 1));
    __m128d d = _mm_add_pd(_mm256_castpd256_pd128(q), _mm256_extractf128_pd(q, 1));
    return _mm_cvtsd_f64(_mm_add_sd(d, _mm_unpackhi_pd(d, d)));
}

/* Row i of the result is column i of what r[] held. */
VEC_INLINE void v_transpose(vec *r)
{
    __m512i *q = (__m512i *)r, t[16];
#pragma GCC unroll 16
    for (int i = 0; i < 8; i++) {
        t[2 * i] = _mm512_unpacklo_epi32(q[2 * i], q[2 * i + 1]);
        t[2 * i + 1] = _mm512_unpackhi_epi32(q[2 * i], q[2 * i + 1]);
    }
#pragma GCC unroll 16
    for (int i = 0; i < 4; i++) {
        q[4 * i] = _mm512_unpacklo_epi64(t[4 * i], t[4 * i + 2]);
        q[4 * i + 1] = _mm512_unpackhi_epi64(t[4 * i], t[4 * i + 2]);
        q[4 * i + 2] = _mm512_unpacklo_epi64(t[4 * i + 1], t[4 * i + 3]);
        q[4 * i + 3] = _mm512_unpackhi_epi64(t[4 * i + 1], t[4 * i + 3]);
    }
#pragma GCC unroll 16
    for (int i = 0; i < 4; i++) {
        t[i] = _mm512_shuffle_i32x4(q[i], q[4 + i], 0x88);
        t[4 + i] = _mm512_shuffle_i32x4(q[i], q[4 + i], 0xdd);
        t[8 + i] = _mm512_shuffle_i32x4(q[8 + i], q[12 + i], 0x88);
        t[12 + i] = _mm512_shuffle_i32x4(q[8 + i], q[12 + i], 0xdd);
    }
#pragma GCC unroll 16
    for (int i = 0; i < 4; i++) {
        q[i] = _mm512_shuffle_i32x4(t[i], t[8 + i], 0x88);
        q[4 + i] = _mm512_shuffle_i32x4(t[4 + i], t[12 + i], 0x88);
        q[8 + i] = _mm512_shuffle_i32x4(t[i], t[8 + i], 0xdd);
        q[12 + i] = _mm512_shuffle_i32x4(t[4 + i], t[12 + i], 0xdd);
    }
}

/* ---- integers, for the random numbers of dropout ---- */

VEC_INLINE ivec i_set1(uint32_t u) { return _mm512_set1_epi32((int)u); }
VEC_INLINE ivec i_iota(void) { return _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15); }
VEC_INLINE ivec i_add(ivec a, ivec b) { return _mm512_add_epi32(a, b); }
VEC_INLINE ivec i_xor(ivec a, ivec b) { return _mm512_xor_si512(a, b); }
/* hi + 1 in the lanes where low = start + lane went past 2^32 */
VEC_INLINE ivec i_carry(ivec hi, ivec low, uint32_t start)
{
    return _mm512_mask_add_epi32(hi, _mm512_cmplt_epu32_mask(low, i_set1(start)), hi, _mm512_set1_epi32(1));
}
/* All 64 bits of a * m by lane. */
VEC_INLINE void i_mul_wide(ivec a, uint32_t m, ivec *lo, ivec *hi)
{
    __m512i k = _mm512_set1_epi32((int)m), even = _mm512_mul_epu32(a, k),
            odd = _mm512_mul_epu32(_mm512_srli_epi64(a, 32), k);
    *lo = _mm512_mask_blend_epi32(0xaaaa, even, _mm512_slli_epi64(odd, 32));
    *hi = _mm512_mask_blend_epi32(0xaaaa, _mm512_srli_epi64(even, 32), odd);
}
/* v where the unsigned lane is at least `limit`, else 0 */
VEC_INLINE vec v_keep_from(vec v, ivec draw, uint32_t limit)
{
    return _mm512_maskz_mov_ps(_mm512_cmpge_epu32_mask(draw, _mm512_set1_epi32((int)limit)), v);
}
/* w[0..3] hold words 0..3 of 16 blocks; afterwards w[i] holds words 16 i ... 16 i + 15 in the order of the stream. */
VEC_INLINE void i_interleave4(ivec *w)
{
    __m512i a = _mm512_unpacklo_epi32(w[0], w[1]), b = _mm512_unpackhi_epi32(w[0], w[1]);
    __m512i c = _mm512_unpacklo_epi32(w[2], w[3]), d = _mm512_unpackhi_epi32(w[2], w[3]);
    __m512i e = _mm512_unpacklo_epi64(a, c), f = _mm512_unpackhi_epi64(a, c);       /* blocks 0 4 8 12 and 1 5 9 13 */
    __m512i g = _mm512_unpacklo_epi64(b, d), h = _mm512_unpackhi_epi64(b, d);       /* blocks 2 6 10 14 and 3 7 11 15 */
    __m512i p = _mm512_shuffle_i32x4(e, f, 0x44), q = _mm512_shuffle_i32x4(e, f, 0xee); /* 0 4 1 5 and 8 12 9 13 */
    __m512i r = _mm512_shuffle_i32x4(g, h, 0x44), s = _mm512_shuffle_i32x4(g, h, 0xee); /* 2 6 3 7 and 10 14 11 15 */
    w[0] = _mm512_shuffle_i32x4(p, r, 0x88);
    w[1] = _mm512_shuffle_i32x4(p, r, 0xdd);
    w[2] = _mm512_shuffle_i32x4(q, s, 0x88);
    w[3] = _mm512_shuffle_i32x4(q, s, 0xdd);
}

#endif
