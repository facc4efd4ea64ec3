#include "dataset/lengths.h"

#include <stdlib.h>

uint64_t weft_length_bin(size_t bin)
{
    static const unsigned char steps[3] = { 1, 2, 5 };
    uint64_t first = 1;
    if (!bin) return 0;
    for (size_t i = 3; i <= bin - 1; i += 3) first *= 10;
    return first * steps[(bin - 1) % 3];
}

void weft_length_counts_add(struct weft_length_counts *c, uint32_t length)
{
    if (length < WEFT_LENGTHS_COUNTED) c->n[length]++;
    else weft_buf_add(&c->longer, &length, sizeof length);
}

void weft_length_counts_join(struct weft_length_counts *c, const struct weft_length_counts *other)
{
    for (size_t i = 0; i < WEFT_LENGTHS_COUNTED; i++) c->n[i] += other->n[i];
    weft_buf_str(&c->longer, weft_buf_view(&other->longer));
    c->longer.failed |= other->longer.failed;
}

void weft_length_counts_clear(struct weft_length_counts *c) { weft_buf_clear(&c->longer); }

static int by_length(const void *x, const void *y)
{
    const uint32_t *a = x, *b = y;
    return (*a > *b) - (*a < *b);
}

/* `count` more of one length, lengths ascending: the nearest-rank percentiles (the smallest value with at least p
 * hundredths of the values at or below it) whose rank lies among them are this length. */
static void take(struct weft_lengths *out, uint64_t n, uint64_t length, uint64_t count)
{
    const struct {
        unsigned percent;
        uint64_t *to;
    } ranks[] = { { 5, &out->p5 }, { 50, &out->p50 }, { 90, &out->p90 }, { 95, &out->p95 }, { 99, &out->p99 } };
    size_t bin = 0;
    if (!out->n) out->min = length;
    out->max = length;
    for (size_t i = 0; i < WEFT_COUNT(ranks); i++) {
        uint64_t rank = (n * ranks[i].percent + 99) / 100;
        if (out->n < rank && rank <= out->n + count) *ranks[i].to = length;
    }
    while (bin + 1 < WEFT_LENGTH_BINS && length >= weft_length_bin(bin + 1)) bin++;
    out->bins[bin] += count;
    out->total += length * count;
    out->n += count;
}

bool weft_length_counts_finish(struct weft_length_counts *c, struct weft_lengths *out)
{
    size_t n_longer = c->longer.len / sizeof(uint32_t);
    uint32_t *longer = (uint32_t *)(void *)c->longer.s;
    uint64_t n = n_longer;
    if (c->longer.failed) return false;
    for (size_t i = 0; i < WEFT_LENGTHS_COUNTED; i++) n += c->n[i];
    if (!n) return true;
    if (n_longer) qsort(longer, n_longer, sizeof *longer, by_length);
    for (size_t i = 0; i < WEFT_LENGTHS_COUNTED; i++)
        if (c->n[i]) take(out, n, i, c->n[i]);
    for (size_t i = 0; i < n_longer; i++) take(out, n, longer[i], 1);
    out->mean = (double)out->total / (double)n;
    return true;
}

bool weft_lengths_of(const uint32_t *len, size_t n, struct weft_lengths *out)
{
    struct weft_length_counts *c = calloc(1, sizeof *c);
    if (!c) return false;
    for (size_t i = 0; i < n; i++) weft_length_counts_add(c, len[i]);
    bool ok = weft_length_counts_finish(c, out);
    weft_length_counts_clear(c);
    free(c);
    return ok;
}
