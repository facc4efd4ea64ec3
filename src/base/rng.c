#include "base/rng.h"

#include <math.h>
#include <stddef.h>

void weft_philox(uint32_t key0, uint32_t key1, const uint32_t counter[4], uint32_t out[4])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ key0, n2 = (uint32_t)(p0 >> 32) ^ c3 ^ key1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        c0 = n0;
        c2 = n2;
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
    out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

void weft_rng_init(struct weft_rng *r, uint64_t seed, enum weft_rng_purpose purpose, uint64_t stream)
{
    *r = (struct weft_rng){
        /* 64 bits of seed and the purpose into 64 bits of key: the high half is spread by a odd constant, so that
         * seeds below 2^32 keep purposes apart exactly. */
        .key = { (uint32_t)seed, (uint32_t)purpose ^ (uint32_t)(seed >> 32) * 0x9E3779B9u },
        .stream = { (uint32_t)stream, (uint32_t)(stream >> 32) },
    };
}

/* The four words that hold draw number `drawn`. */
static void block_of(const struct weft_rng *r, uint32_t out[4])
{
    uint64_t block = r->drawn / 4;
    const uint32_t counter[4] = { (uint32_t)block, (uint32_t)(block >> 32), r->stream[0], r->stream[1] };
    weft_philox(r->key[0], r->key[1], counter, out);
}

uint32_t weft_rng_u32(struct weft_rng *r)
{
    uint32_t out[4];
    block_of(r, out);
    return out[r->drawn++ % 4];
}

/* Two draws; nearly always from one block. */
static void two(struct weft_rng *r, uint32_t *first, uint32_t *second)
{
    uint32_t out[4];
    size_t i = r->drawn % 4;
    block_of(r, out);
    *first = out[i];
    r->drawn++;
    if (i == 3) block_of(r, out);
    *second = out[(i + 1) % 4];
    r->drawn++;
}

uint64_t weft_rng_below(struct weft_rng *r, uint64_t n)
{
    uint64_t limit = UINT64_MAX - UINT64_MAX % n, v;
    uint32_t high, low;
    do {
        two(r, &high, &low);
        v = (uint64_t)high << 32 | low;
    } while (v >= limit);
    return v % n;
}

float weft_rng_f32(struct weft_rng *r) { return (float)(weft_rng_u32(r) >> 8) * 0x1p-24f; }

double weft_rng_f64(struct weft_rng *r)
{
    uint32_t high, low;
    two(r, &high, &low);
    return (double)((uint64_t)(high >> 5) << 26 | low >> 6) * 0x1p-53;
}

float weft_rng_normal(struct weft_rng *r)
{
    uint32_t first, second;
    two(r, &first, &second);
    double u = ((double)first + 0.5) * 0x1p-32, v = (double)second * 0x1p-32;
    return (float)(sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v));
}
