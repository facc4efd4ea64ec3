#include "dataset/permute.h"

#include <assert.h>
#include <math.h>

/* ---- torch: mt19937 ---- */

enum { MT_N = 624, MT_M = 397 };

void weft_mt19937_init(struct weft_mt19937 *g, uint64_t seed)
{
    g->state[0] = (uint32_t)seed;
    for (uint32_t j = 1; j < MT_N; j++)
        g->state[j] = UINT32_C(1812433253) * (g->state[j - 1] ^ (g->state[j - 1] >> 30)) + j;
    g->at = MT_N;
}

static void twist(struct weft_mt19937 *g)
{
    for (unsigned i = 0; i < MT_N; i++) {
        uint32_t y = (g->state[i] & 0x80000000u) | (g->state[(i + 1) % MT_N] & 0x7FFFFFFFu);
        g->state[i] = g->state[(i + MT_M) % MT_N] ^ (y >> 1) ^ (y & 1 ? 0x9908B0DFu : 0);
    }
    g->at = 0;
}

uint32_t weft_mt19937_u32(struct weft_mt19937 *g)
{
    if (g->at >= MT_N) twist(g);
    uint32_t y = g->state[g->at++];
    y ^= y >> 11;
    y ^= y << 7 & 0x9D2C5680u;
    y ^= y << 15 & 0xEFC60000u;
    return y ^ y >> 18;
}

void weft_randperm(uint64_t seed, size_t n, uint32_t *out)
{
    struct weft_mt19937 g;
    assert(n < UINT32_MAX / 20);        /* from there on torch draws 64 bits */
    weft_mt19937_init(&g, seed);
    for (size_t i = 0; i < n; i++) out[i] = (uint32_t)i;
    for (size_t i = 0; i + 1 < n; i++) {
        size_t z = weft_mt19937_u32(&g) % (n - i);
        uint32_t t = out[i];
        out[i] = out[i + z];
        out[i + z] = t;
    }
}

/* ---- numpy: SeedSequence and PCG64 ---- */

static uint32_t hash_word(uint32_t *h, uint32_t v)
{
    v ^= *h;
    *h *= 0x931E8875u;
    v *= *h;
    return v ^ v >> 16;
}

static uint32_t mix(uint32_t x, uint32_t y)
{
    uint32_t r = 0xCA01F9DDu * x - 0x4973F715u * y;
    return r ^ r >> 16;
}

static void seed_sequence(uint64_t seed, uint64_t out[4])
{
    uint32_t h = 0x43B0D7E5u, pool[4], words[8], g = 0x8B51F9DDu;
    for (int i = 0; i < 4; i++) pool[i] = hash_word(&h, i < 2 ? (uint32_t)(seed >> 32 * i) : 0);
    for (int src = 0; src < 4; src++)
        for (int dst = 0; dst < 4; dst++)
            if (src != dst) pool[dst] = mix(pool[dst], hash_word(&h, pool[src]));
    for (int i = 0; i < 8; i++) {
        uint32_t v = pool[i % 4] ^ g;
        g *= 0x58F38DEDu;
        v *= g;
        words[i] = v ^ v >> 16;
    }
    for (int i = 0; i < 4; i++) out[i] = (uint64_t)words[2 * i + 1] << 32 | words[2 * i];
}

struct pcg64 {
    unsigned __int128 state, inc;
    uint32_t high;              /* the other half of the last 64 bits */
    bool has_high;
};

static uint64_t pcg_u64(struct pcg64 *g)
{
    const unsigned __int128 multiplier =
        (unsigned __int128)UINT64_C(0x2360ED051FC65DA4) << 64 | UINT64_C(0x4385DF649FCCF645);
    g->state = g->state * multiplier + g->inc;
    uint64_t x = (uint64_t)(g->state >> 64) ^ (uint64_t)g->state;
    unsigned r = (unsigned)(g->state >> 122);
    return x >> r | x << (-r & 63);
}

static uint32_t pcg_u32(struct pcg64 *g)
{
    if (g->has_high) {
        g->has_high = false;
        return g->high;
    }
    uint64_t x = pcg_u64(g);
    g->high = (uint32_t)(x >> 32);
    g->has_high = true;
    return (uint32_t)x;
}

static void pcg_init(struct pcg64 *g, uint64_t seed)
{
    uint64_t w[4];
    seed_sequence(seed, w);
    *g = (struct pcg64){ .inc = ((unsigned __int128)w[2] << 64 | w[3]) << 1 | 1 };
    pcg_u64(g);
    g->state += (unsigned __int128)w[0] << 64 | w[1];
    pcg_u64(g);
}

void weft_numpy_permutation(uint64_t seed, size_t n, uint32_t *out)
{
    struct pcg64 g;
    assert(n <= UINT32_MAX);
    pcg_init(&g, seed);
    for (size_t i = 0; i < n; i++) out[i] = (uint32_t)i;
    for (size_t i = n; i-- > 1;) {
        uint32_t mask = (uint32_t)i, j;
        for (int s = 1; s < 32; s *= 2) mask |= mask >> s;
        do j = pcg_u32(&g) & mask;
        while (j > i);
        uint32_t t = out[i];
        out[i] = out[j];
        out[j] = t;
    }
}

size_t weft_val_count(size_t n, double val_size)
{
    double want = val_size < 1 ? ceil((double)n * val_size) : val_size;
    return want <= 0 ? 0 : want >= (double)n ? n : (size_t)want;
}
