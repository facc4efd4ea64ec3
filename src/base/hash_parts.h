/* base/hash_parts.h - what hash.c takes from hash_wide.c where the processor has AVX-512; not for others */
#ifndef WEFT_BASE_HASH_PARTS_H
#define WEFT_BASE_HASH_PARTS_H

#include "base/hash.h"

uint64_t weft_xxh3_wide(const void *p, size_t n, uint64_t seed);
void weft_xxh3_128_wide(const void *p, size_t n, unsigned char out[WEFT_XXH3_BYTES]);

#endif
