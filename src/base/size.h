/* base/size.h - sizes that come from a file, a request or a user are checked before they are used */
#ifndef WEFT_BASE_SIZE_H
#define WEFT_BASE_SIZE_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

/* Each writes *out and returns true, or returns false when the result does not fit (*out then unspecified). */
static inline WEFT_MUST_USE bool weft_size_add(size_t a, size_t b, size_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}

static inline WEFT_MUST_USE bool weft_size_mul(size_t a, size_t b, size_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}

static inline WEFT_MUST_USE bool weft_size_mul3(size_t a, size_t b, size_t c, size_t *out)
{
    size_t ab;
    return !__builtin_mul_overflow(a, b, &ab) && !__builtin_mul_overflow(ab, c, out);
}

/* n rounded up to a multiple of `align` (a power of two). */
static inline WEFT_MUST_USE bool weft_size_align(size_t n, size_t align, size_t *out)
{
    if (__builtin_add_overflow(n, align - 1, out)) return false;
    *out &= ~(align - 1);
    return true;
}

#define WEFT_COUNT(array) (sizeof(array) / sizeof((array)[0]))

static inline size_t weft_min_size(size_t a, size_t b) { return a < b ? a : b; }
static inline size_t weft_max_size(size_t a, size_t b) { return a > b ? a : b; }
static inline size_t weft_ceil_div(size_t a, size_t b) { return a / b + (a % b != 0); }

#endif
