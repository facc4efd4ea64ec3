/* Quantised matrices read element by element, by the formulas of kernels/quant.h.
 *
 * Every product here but the last of each formula is exact in f32 (an f16 times small integers), so the order of
 * operations is settled by the formula and the fast levels give the same bits. */
#include "kernels/ref/ref.h"

static float half_at(const unsigned char *p) { return weft_f16_to_f32((uint16_t)(p[0] | p[1] << 8)); }

/* n[i] of a block of 32: low nibbles first, then high ones. */
static int nibble(const unsigned char *q, size_t i) { return i < 16 ? q[i] & 15 : q[i - 16] >> 4; }

static int fifth_bit(const unsigned char *h, size_t i) { return (h[i / 8] >> i % 8 & 1) << 4; }

static float q8_0(const unsigned char *b, size_t i) { return half_at(b) * (float)(int8_t)b[2 + i]; }
static float q4_0(const unsigned char *b, size_t i) { return half_at(b) * (float)(nibble(b + 2, i) - 8); }
static float q4_1(const unsigned char *b, size_t i)
{
    return half_at(b) * (float)nibble(b + 4, i) + half_at(b + 2);
}
static float q5_0(const unsigned char *b, size_t i)
{
    return half_at(b) * (float)((nibble(b + 6, i) | fifth_bit(b + 2, i)) - 16);
}
static float q5_1(const unsigned char *b, size_t i)
{
    return half_at(b) * (float)(nibble(b + 8, i) | fifth_bit(b + 4, i)) + half_at(b + 2);
}

/* Scale and minimum of sub-block b of 8, 6 bits each in 12 bytes. */
static void sub_scales(const unsigned char *s, size_t b, int *scale, int *min)
{
    if (b < 4) {
        *scale = s[b] & 63;
        *min = s[b + 4] & 63;
    } else {
        *scale = (s[b + 4] & 15) | (s[b - 4] >> 6) << 4;
        *min = s[b + 4] >> 4 | (s[b] >> 6) << 4;
    }
}

/* Q4_K and Q5_K: bytes 32 g ... of q hold elements 64 g ... in the low nibbles and 64 g + 32 ... in the high ones. */
static float k_element(const unsigned char *b, const unsigned char *q, size_t i, int high)
{
    int scale, min;
    sub_scales(b + 4, i / 32, &scale, &min);
    unsigned char byte = q[i / 64 * 32 + i % 32];
    int n = (i % 64 < 32 ? byte & 15 : byte >> 4) + high;
    return half_at(b) * (float)scale * (float)n - half_at(b + 2) * (float)min;
}
static float q4_k(const unsigned char *b, size_t i) { return k_element(b, b + 16, i, 0); }
static float q5_k(const unsigned char *b, size_t i)
{
    return k_element(b, b + 48, i, (b[16 + i % 32] >> i / 32 & 1) << 4);
}
static float q6_k(const unsigned char *b, size_t i)
{
    const unsigned char *ql = b, *qh = b + 128, *scales = b + 192;
    size_t half = i / 128, l = i % 32, k = i % 128 / 32;
    unsigned char low = ql[64 * half + 32 * (k & 1) + l];
    int n = (k < 2 ? low & 15 : low >> 4) | (qh[32 * half + l] >> 2 * k & 3) << 4;
    return half_at(b + 208) * (float)(int8_t)scales[i / 16] * (float)(n - 32);
}

float weft_quant_scale(const struct weft_quant *q, size_t block)
{
    if (!q->scale_codes) return q->scales[block];
    float a = q->nested_code[q->scale_codes[block]] * q->nested_scales[block / WEFT_NESTED_BLOCK];
    return a + q->nested_offset;
}

float weft_ref_quant_element(const struct weft_quant *q, size_t row, size_t col)
{
    static float (*const blocks[WEFT_N_QUANT_TYPES])(const unsigned char *b, size_t i) = {
        [WEFT_Q8_0] = q8_0, [WEFT_Q4_0] = q4_0, [WEFT_Q4_1] = q4_1, [WEFT_Q5_0] = q5_0, [WEFT_Q5_1] = q5_1,
        [WEFT_Q4_K] = q4_k, [WEFT_Q5_K] = q5_k, [WEFT_Q6_K] = q6_k,
    };
    size_t i = row * q->cols + col;
    unsigned char byte;
    switch (q->format->type) {
    case WEFT_NF4:
        byte = q->data[i / 2];
        return weft_nf4_code[i % 2 ? byte & 15 : byte >> 4] * weft_quant_scale(q, i / WEFT_NF4_BLOCK);
    case WEFT_INT8: return q->scales[row] * (float)(int8_t)q->data[i];
    default: return blocks[q->format->type](weft_quant_at(q, row, col), i % q->format->block);
    }
}

void weft_ref_dequantise(void *out, enum weft_dtype type, const struct weft_quant *q, size_t row, size_t col, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float v = weft_ref_quant_element(q, row, col + i);
        if (type == WEFT_F32) ((float *)out)[i] = v;
        else ((uint16_t *)out)[i] = weft_f32_to_bf16(v);
    }
}
