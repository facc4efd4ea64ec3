/* kernels/vec/dequant.h - quantised rows as f32 or bf16; included after a level's simd.h
 *
 * Whatever the format, 32 elements of a row come as 32 small integers and one or two scales: y = d q + m.  Only how the
 * integers are unpacked differs, so each format is a short function and the rest is shared.  Products d q are exact in
 * f32 wherever there is an m, so a fused multiply-add has the bits of ref/.  Ends of a row that are no whole 32 go
 * through ref/.
 *
 * A level with a faster way to round 32 floats to bf16 defines WEFT_PUT_BF16(out, y) before it includes this file; it
 * may take denormals for zero, because it is not called for them. */
#ifndef WEFT_KERNELS_VEC_DEQUANT_H
#define WEFT_KERNELS_VEC_DEQUANT_H

#include "kernels/ref/ref.h"

enum { GRAIN = 32, GRAIN_VECS = GRAIN / VEC_LEN };

/* The integers of 32 elements, in order, and what they are multiplied with. */
struct grain {
    __m256i q;
    float d[2], m;              /* of each half; m added where the format has a minimum */
};

VEC_INLINE float load_half(const unsigned char *p)
{
    uint16_t h;
    memcpy(&h, p, 2);
    return _cvtsh_ss(h);
}

/* 16 bytes: low nibbles, then high ones. */
VEC_INLINE __m256i nibbles(const unsigned char *p)
{
    __m128i b = _mm_loadu_si128((const void *)p);
    return _mm256_and_si256(_mm256_set_m128i(_mm_srli_epi16(b, 4), b), _mm256_set1_epi8(15));
}

/* 32 bits as 32 bytes of 0 or `value`. */
VEC_INLINE __m256i spread_bits(const unsigned char *p, char value)
{
    int32_t bits;
    memcpy(&bits, p, 4);
    const __m256i byte = _mm256_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 3,
                                          3, 3, 3, 3, 3, 3, 3);
    const __m256i bit = _mm256_set1_epi64x((long long)0x8040201008040201ull);
    __m256i b = _mm256_and_si256(_mm256_shuffle_epi8(_mm256_set1_epi32(bits), byte), bit);
    return _mm256_and_si256(_mm256_cmpeq_epi8(b, bit), _mm256_set1_epi8(value));
}

VEC_INLINE void sub_scales_of(const unsigned char *s, size_t b, int *scale, int *min)
{
    *scale = b < 4 ? s[b] & 63 : (s[b + 4] & 15) | (s[b - 4] >> 6) << 4;
    *min = b < 4 ? s[b + 4] & 63 : s[b + 4] >> 4 | (s[b] >> 6) << 4;
}

/* Sub-block `sub` of 32 in block b. */
VEC_INLINE struct grain unpack(const enum weft_quant_type type, const unsigned char *b, size_t sub)
{
    struct grain g = { .m = 0 };
    if (type == WEFT_Q8_0) {
        g.q = _mm256_loadu_si256((const void *)(b + 2));
        g.d[0] = g.d[1] = load_half(b);
    } else if (type == WEFT_Q4_0) {
        g.q = _mm256_sub_epi8(nibbles(b + 2), _mm256_set1_epi8(8));
        g.d[0] = g.d[1] = load_half(b);
    } else if (type == WEFT_Q4_1) {
        g.q = nibbles(b + 4);
        g.d[0] = g.d[1] = load_half(b);
        g.m = load_half(b + 2);
    } else if (type == WEFT_Q5_0) {
        g.q = _mm256_sub_epi8(_mm256_or_si256(nibbles(b + 6), spread_bits(b + 2, 16)), _mm256_set1_epi8(16));
        g.d[0] = g.d[1] = load_half(b);
    } else if (type == WEFT_Q5_1) {
        g.q = _mm256_or_si256(nibbles(b + 8), spread_bits(b + 4, 16));
        g.d[0] = g.d[1] = load_half(b);
        g.m = load_half(b + 2);
    } else if (type == WEFT_Q4_K || type == WEFT_Q5_K) {
        int scale, min;
        sub_scales_of(b + 4, sub, &scale, &min);
        const unsigned char *q = b + (type == WEFT_Q4_K ? 16 : 48);
        g.q = _mm256_loadu_si256((const void *)(q + sub / 2 * 32));
        g.q = _mm256_and_si256(_mm256_srl_epi16(g.q, _mm_cvtsi32_si128(sub % 2 ? 4 : 0)), _mm256_set1_epi8(15));
        if (type == WEFT_Q5_K) {
            __m256i h = _mm256_loadu_si256((const void *)(b + 16));
            h = _mm256_and_si256(_mm256_srl_epi16(h, _mm_cvtsi32_si128((int)sub)), _mm256_set1_epi8(1));
            g.q = _mm256_or_si256(g.q, _mm256_slli_epi16(h, 4));
        }
        g.d[0] = g.d[1] = load_half(b) * (float)scale;
        g.m = -(load_half(b + 2) * (float)min);
    } else {                    /* Q6_K: half H of 128, quarter k of it */
        size_t H = sub / 4, k = sub % 4;
        __m256i low = _mm256_loadu_si256((const void *)(b + 64 * H + 32 * (k & 1)));
        __m256i high = _mm256_loadu_si256((const void *)(b + 128 + 32 * H));
        low = _mm256_and_si256(_mm256_srl_epi16(low, _mm_cvtsi32_si128(k < 2 ? 0 : 4)), _mm256_set1_epi8(15));
        high = _mm256_and_si256(_mm256_srl_epi16(high, _mm_cvtsi32_si128((int)(2 * k))), _mm256_set1_epi8(3));
        g.q = _mm256_sub_epi8(_mm256_or_si256(low, _mm256_slli_epi16(high, 4)), _mm256_set1_epi8(32));
        float d = load_half(b + 208);
        g.d[0] = d * (float)(int8_t)b[192 + 2 * sub];
        g.d[1] = d * (float)(int8_t)b[193 + 2 * sub];
    }
    return g;
}

VEC_INLINE bool has_min(const enum weft_quant_type type)
{
    return type == WEFT_Q4_1 || type == WEFT_Q5_1 || type == WEFT_Q4_K || type == WEFT_Q5_K;
}

/* The vec of bytes VEC_LEN i ... of q, sign-extended. */
VEC_INLINE __m128i bytes_of(__m256i q, size_t i)
{
    __m128i half = i * VEC_LEN < 16 ? _mm256_castsi256_si128(q) : _mm256_extracti128_si256(q, 1);
    return i * VEC_LEN % 16 ? _mm_srli_si128(half, 8) : half;
}

VEC_INLINE void put_grain(void *out, const enum weft_dtype to, const vec *y, bool flushes)
{
    if (to == WEFT_F32) {
#pragma GCC unroll 4
        for (size_t i = 0; i < GRAIN_VECS; i++) v_store((float *)out + i * VEC_LEN, y[i]);
        return;
    }
#ifdef WEFT_PUT_BF16
    if (!flushes) {
        WEFT_PUT_BF16(out, y);
        return;
    }
#endif
#pragma GCC unroll 4
    for (size_t i = 0; i < GRAIN_VECS; i++) v_store_bf16_m(v_first(VEC_LEN), (uint16_t *)out + i * VEC_LEN, y[i]);
}

/* `grains` whole 32s of a row from element (row, col) on. */
VEC_INLINE void blocks(void *out, const enum weft_dtype to, const struct weft_quant *q, const enum weft_quant_type type,
                       size_t row, size_t col, size_t grains)
{
    const size_t size = to == WEFT_F32 ? 4 : 2, block = type >= WEFT_Q4_K ? 256 : 32,
                 bytes = q->format->block_bytes;
    const unsigned char *base = q->data + row * (q->cols / block) * bytes;
    for (size_t n = 0; n < grains; n++, col += GRAIN) {
        struct grain g = unpack(type, base + col / block * bytes, col % block / GRAIN);
        vec y[GRAIN_VECS];
#pragma GCC unroll 4
        for (size_t i = 0; i < GRAIN_VECS; i++) {
            vec d = v_set1(g.d[i * VEC_LEN / 16]), v = v_from_i8(bytes_of(g.q, i));
            y[i] = has_min(type) ? v_fma(d, v, v_set1(g.m)) : v_mul(d, v);
        }
        put_grain((char *)out + n * GRAIN * size, to, y, false);
    }
}

/* Below this a product of a scale and a code may be denormal. */
VEC_INLINE bool tiny(float scale) { return !(scale >= 0x1p-100f || scale <= -0x1p-100f); }

VEC_INLINE void int8_row(void *out, const enum weft_dtype to, const struct weft_quant *q, size_t row, size_t col,
                         size_t grains)
{
    const size_t size = to == WEFT_F32 ? 4 : 2;
    const unsigned char *b = q->data + row * q->cols + col;
    float scale = q->scales[row];
    for (size_t n = 0; n < grains; n++, b += GRAIN) {
        __m256i bytes = _mm256_loadu_si256((const void *)b);
        vec y[GRAIN_VECS];
#pragma GCC unroll 4
        for (size_t i = 0; i < GRAIN_VECS; i++) y[i] = v_mul(v_set1(scale), v_from_i8(bytes_of(bytes, i)));
        put_grain((char *)out + n * GRAIN * size, to, y, tiny(scale));
    }
}

/* From element `at` of the flattened matrix on, a multiple of 32. */
VEC_INLINE void nf4_run(void *out, const enum weft_dtype to, const struct weft_quant *q, size_t at, size_t grains)
{
    const size_t size = to == WEFT_F32 ? 4 : 2;
    float scale = 0;
    for (size_t n = 0; n < grains; n++, at += GRAIN) {
        if (n == 0 || at % WEFT_NF4_BLOCK == 0) scale = weft_quant_scale(q, at / WEFT_NF4_BLOCK);
        __m128i b = _mm_loadu_si128((const void *)(q->data + at / 2)), mask = _mm_set1_epi8(15);
        __m128i low = _mm_and_si128(b, mask), high = _mm_and_si128(_mm_srli_epi16(b, 4), mask);
        __m256i idx = _mm256_set_m128i(_mm_unpackhi_epi8(high, low), _mm_unpacklo_epi8(high, low));
        vec y[GRAIN_VECS];
#pragma GCC unroll 4
        for (size_t i = 0; i < GRAIN_VECS; i++)
            y[i] = v_mul(v_lookup16(weft_nf4_code, bytes_of(idx, i)), v_set1(scale));
        put_grain((char *)out + n * GRAIN * size, to, y, tiny(scale));
    }
}

#define WEFT_DEQUANT_CASE(type)                                                                                    \
    case type:                                                                                                     \
        if (to == WEFT_F32) blocks(out, WEFT_F32, q, type, row, col, grains);                                      \
        else blocks(out, WEFT_BF16, q, type, row, col, grains);                                                    \
        break;

static void dequantise(void *out, enum weft_dtype to, const struct weft_quant *q, size_t row, size_t col, size_t n)
{
    const size_t size = to == WEFT_F32 ? 4 : 2;
    enum weft_quant_type type = q->format->type;
    size_t head = type == WEFT_INT8 ? 0 : (GRAIN - (type == WEFT_NF4 ? row * q->cols + col : col) % GRAIN) % GRAIN;
    head = weft_min_size(head, n);
    if (head) weft_ref_dequantise(out, to, q, row, col, head);
    out = (char *)out + head * size;
    col += head;
    n -= head;
    size_t grains = n / GRAIN;
    switch (type) {
        WEFT_DEQUANT_CASE(WEFT_Q8_0)
        WEFT_DEQUANT_CASE(WEFT_Q4_0)
        WEFT_DEQUANT_CASE(WEFT_Q4_1)
        WEFT_DEQUANT_CASE(WEFT_Q5_0)
        WEFT_DEQUANT_CASE(WEFT_Q5_1)
        WEFT_DEQUANT_CASE(WEFT_Q4_K)
        WEFT_DEQUANT_CASE(WEFT_Q5_K)
        WEFT_DEQUANT_CASE(WEFT_Q6_K)
    case WEFT_NF4:
        if (to == WEFT_F32) nf4_run(out, WEFT_F32, q, row * q->cols + col, grains);
        else nf4_run(out, WEFT_BF16, q, row * q->cols + col, grains);
        break;
    case WEFT_INT8:
        if (to == WEFT_F32) int8_row(out, WEFT_F32, q, row, col, grains);
        else int8_row(out, WEFT_BF16, q, row, col, grains);
        break;
    case WEFT_N_QUANT_TYPES: break;
    }
    if (n % GRAIN)
        weft_ref_dequantise((char *)out + grains * GRAIN * size, to, q, row, col + grains * GRAIN, n % GRAIN);
}
#undef WEFT_DEQUANT_CASE

#endif
