/* XXH3 by AVX-512, for long texts: three times as fast as by what every processor of this kind has.  The one file of
 * this folder that is compiled with an instruction level's flag, as the library's header asks for it. */
#if defined(__AVX512F__)
#include "base/hash_parts.h"

#define XXH_INLINE_ALL
#define XXH_VECTOR XXH_AVX512
#include <xxhash.h>

uint64_t weft_xxh3_wide(const void *p, size_t n, uint64_t seed) { return XXH3_64bits_withSeed(p, n, seed); }

void weft_xxh3_128_wide(const void *p, size_t n, unsigned char out[WEFT_XXH3_BYTES])
{
    XXH128_canonical_t digest;
    XXH128_canonicalFromHash(&digest, XXH3_128bits(p, n));
    memcpy(out, digest.digest, WEFT_XXH3_BYTES);
}
#endif
