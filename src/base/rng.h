/* base/rng.h - counter-based random numbers
 *
 * Philox4x32-10 (Salmon et al., SC'11): a pure function of (key, counter).  Whatever needs randomness names its
 * purpose and a counter, so that results do not depend on order, threads, recomputation or resume.
 */
#ifndef WEFT_BASE_RNG_H
#define WEFT_BASE_RNG_H

#include <stdint.h>

/* The second key word: streams of different purpose never meet, even under one seed. */
enum weft_rng_purpose {
    WEFT_RNG_INIT = 1, /* weights and adapters */
    WEFT_RNG_DROPOUT,
    WEFT_RNG_SAMPLE, /* generation */
    WEFT_RNG_DATA,   /* row sampling, augmentation, splits */
    WEFT_RNG_TEST,
    WEFT_RNG_NOISE,  /* on embeddings while training */
    WEFT_RNG_OPTIMIZER /* projections, orders of blocks */
};

void weft_philox(uint32_t key0, uint32_t key1, const uint32_t counter[4], uint32_t out[4]);

/* A sequential view: draws number 0, 1, 2 ... of (seed, purpose, stream).  Copy the struct to fork or save it. */
struct weft_rng {
    uint32_t key[2];
    uint32_t stream[2];
    uint64_t drawn; /* 32-bit words drawn so far: the whole state */
};

void weft_rng_init(struct weft_rng *r, uint64_t seed, enum weft_rng_purpose purpose, uint64_t stream);
uint32_t weft_rng_u32(struct weft_rng *r);
uint64_t weft_rng_below(struct weft_rng *r, uint64_t n); /* uniform in [0, n), without bias; n >= 1 */
float weft_rng_f32(struct weft_rng *r);                  /* uniform in [0, 1), 24 bits */
double weft_rng_f64(struct weft_rng *r);                 /* uniform in [0, 1), 53 bits */
float weft_rng_normal(struct weft_rng *r);               /* N(0, 1), Box-Muller, two words a draw */

#endif
