/* IEEE 754 binary16 in plain C: used at load and in ref/, where speed does not matter. */
#include "kernels/dtype.h"

#include <math.h>

float weft_f16_to_f32(uint16_t h)
{
    int sign = h >> 15, exponent = h >> 10 & 31, fraction = h & 1023;
    float v = exponent == 31 ? (fraction ? NAN : INFINITY)
              : exponent     ? ldexpf((float)(1024 + fraction), exponent - 25)
                             : ldexpf((float)fraction, -24);
    return sign ? -v : v;
}

uint16_t weft_f32_to_f16(float f)
{
    uint32_t u;
    memcpy(&u, &f, 4);
    uint16_t sign = (uint16_t)(u >> 16 & 0x8000);
    float x = fabsf(f);
    if (isnan(f)) return (uint16_t)(sign | 0x7E00);
    if (x >= 65520.0f) return (uint16_t)(sign | 0x7C00);        /* half way to the next step rounds to infinity */
    if (x < 0x1p-14f) return (uint16_t)(sign | (uint16_t)lrintf(ldexpf(x, 24)));
    int e;
    float m = frexpf(x, &e);                                    /* x = m * 2^e, m in [0.5, 1) */
    long q = lrintf(ldexpf(m, 11));                             /* 1024 ... 2048, ties to even */
    return (uint16_t)(sign | (((unsigned)(e + 14) << 10) + (unsigned)(q - 1024)));
}
