/* kernels/vec/load.h - a vector of any element type as f32; included after a level's simd.h
 *
 * `type` is a constant wherever these are inlined, so that the switch disappears. */
#ifndef WEFT_KERNELS_VEC_LOAD_H
#define WEFT_KERNELS_VEC_LOAD_H

#include "kernels/table.h"

VEC_INLINE vec v_load_any(const void *p, enum weft_dtype type)
{
    if (type == WEFT_BF16) return v_load_bf16(p);
    if (type == WEFT_F16) return v_load_f16(p);
    return v_load(p);
}

VEC_INLINE vec v_load_any_m(vmask m, const void *p, enum weft_dtype type)
{
    if (type == WEFT_BF16) return v_load_bf16_m(m, p);
    if (type == WEFT_F16) return v_load_f16_m(m, p);
    return v_load_m(m, p);
}

#endif
