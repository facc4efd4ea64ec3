/* kernels/dtype.h - element types of tensors and their conversions */
#ifndef WEFT_KERNELS_DTYPE_H
#define WEFT_KERNELS_DTYPE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The types that compute; files know more (model/safetensors.h).  A matrix of type WEFT_QUANT is not an array of
 * elements: the pointer beside the type leads to a struct weft_quant (kernels/quant.h), which says how to read it. */
enum weft_dtype { WEFT_F32, WEFT_BF16, WEFT_F16, WEFT_QUANT };

/* Of one element; a WEFT_QUANT has none of its own (weft_quant_bytes counts the matrix). */
static inline size_t weft_dtype_bytes(enum weft_dtype t) { return t == WEFT_F32 ? 4 : 2; }

static inline float weft_bf16_to_f32(uint16_t b)
{
    uint32_t u = (uint32_t)b << 16;
    float f;
    memcpy(&f, &u, 4);
    return f;
}

/* Round to nearest even; a NaN stays a quiet NaN. */
static inline uint16_t weft_f32_to_bf16(float f)
{
    uint32_t u;
    memcpy(&u, &f, 4);
    if ((u & 0x7FFFFFFFu) > 0x7F800000u) return (uint16_t)(u >> 16 | 0x40);
    return (uint16_t)((u + 0x7FFF + (u >> 16 & 1)) >> 16);
}

float weft_f16_to_f32(uint16_t h);
uint16_t weft_f32_to_f16(float f);      /* round to nearest even; above 65504: infinity */

#endif
