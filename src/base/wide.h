/* base/wide.h - text 64 bytes at a time
 *
 * AVX-512 with bytes permuted, compressed and expanded, which processors since Ice Lake and Zen 4 have.  The
 * instructions are chosen while the program runs, beside a plain way that is the definition; they stand with their
 * text and not in kernels/, which is above base/. */
#ifndef WEFT_BASE_WIDE_H
#define WEFT_BASE_WIDE_H

#if defined(__x86_64__)
#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Marks a function that may be called only where weft_wide says so. */
#define WEFT_WIDE __attribute__((target("avx512bw,avx512vbmi,avx512vbmi2,bmi,bmi2,popcnt")))

static inline bool weft_wide(void)
{
    return __builtin_cpu_supports("avx512vbmi2") && __builtin_cpu_supports("avx512vbmi")
           && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("bmi2");
}

/* A bit for each of the next `left` bytes, at most 64. */
WEFT_WIDE static inline uint64_t weft_wide_here(size_t left)
{
    return left < 64 ? _bzhi_u64(UINT64_MAX, (unsigned)left) : UINT64_MAX;
}
/* The next bytes, at most `left` of them, and zeros.  A masked load waits where a plain one would not. */
WEFT_WIDE static inline __m512i weft_wide_load(const char *p, size_t left)
{
    return left < 64 ? _mm512_maskz_loadu_epi8(weft_wide_here(left), p) : _mm512_loadu_si512(p);
}
#endif

#endif
