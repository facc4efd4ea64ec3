/* dataset/permute.h - the two random orders of the reference stack, bit for bit
 *
 * The order of an epoch is torch.randperm over a generator of its own (mt19937); the validation split is
 * numpy.random.default_rng(seed).permutation (SeedSequence, PCG64).  Everything else in weft draws from base/rng.h.
 */
#ifndef WEFT_DATASET_PERMUTE_H
#define WEFT_DATASET_PERMUTE_H

#include "base/arena.h"

#include <stdint.h>

/* torch.Generator().manual_seed(seed); the first outputs for seed 42: 1608637542, 3421126067, 4083286876. */
struct weft_mt19937 {
    uint32_t state[624];
    unsigned at;
};
void weft_mt19937_init(struct weft_mt19937 *g, uint64_t seed);
uint32_t weft_mt19937_u32(struct weft_mt19937 *g);

/* torch.randperm(n, generator seeded `seed`) into out [n].  Epoch e of a run uses seed data_seed + e. */
void weft_randperm(uint64_t seed, size_t n, uint32_t *out);

/* numpy.random.default_rng(seed).permutation(n) into out [n]. */
void weft_numpy_permutation(uint64_t seed, size_t n, uint32_t *out);

/* How many of n rows val_size asks for: ceil(n * v) below 1, else v itself, at most n. */
size_t weft_val_count(size_t n, double val_size);

#endif
