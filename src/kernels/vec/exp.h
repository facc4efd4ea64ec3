/* kernels/vec/exp.h - powers of e and of two; included after a level's simd.h
 *
 * Polynomials of our own: least maximal relative error on the reduced interval, coefficients rounded one after the
 * other (the lower ones take up the rounding of the higher), constant term exactly 1.  Within about one unit in the
 * last place of f32.  NaN stays NaN, -infinity gives 0, overflow gives infinity. */
#ifndef WEFT_KERNELS_VEC_EXP_H
#define WEFT_KERNELS_VEC_EXP_H

#include <stddef.h>

/* c[0] x^n-1 + c[1] x^n-2 + ... */
VEC_INLINE vec v_polynomial(vec x, const float *c, const size_t n)
{
    vec p = v_set1(c[0]);
#pragma GCC unroll 8
    for (size_t i = 1; i < n; i++) p = v_fma(p, x, v_set1(c[i]));
    return p;
}

/* e^x = 2^n e^r, |r| <= ln 2 / 2; ln 2 in two parts, the first short enough for an exact product with n. */
VEC_INLINE vec v_exp(vec x)
{
    static const float c[] = { 0.00138214661f, 0.00836866256f, 0.0416682549f, 0.166665211f, 0.49999994f, 1, 1 };
    x = v_min(v_set1(90), v_max(v_set1(-110), x));      /* in this order of arguments a NaN passes */
    vec n = v_round(v_mul(x, v_set1(1.44269504f)));
    vec r = v_fnma(n, v_set1(-2.12194440e-4f), v_fnma(n, v_set1(0.693359375f), x));
    return v_scale2(v_polynomial(r, c, 7), n);
}

/* 2^x for x <= 0, where softmax lives. */
VEC_INLINE vec v_exp2_of_negative(vec x)
{
    static const float c[] = { 0.0013269406f, 0.00967129413f, 0.0555071123f, 0.240222469f, 0.693147004f, 1 };
    x = v_max(v_set1(-150), x);
    vec n = v_round(x);
    return v_scale2(v_polynomial(v_sub(x, n), c, 6), n);
}

#endif
