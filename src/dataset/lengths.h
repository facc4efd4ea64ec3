/* dataset/lengths.h - lengths counted one by one: percentiles without keeping or sorting them; inside dataset/ only */
#ifndef WEFT_DATASET_LENGTHS_H
#define WEFT_DATASET_LENGTHS_H

#include "dataset/check.h"

enum { WEFT_LENGTHS_COUNTED = 4096 };

/* Zeroed is empty. */
struct weft_length_counts {
    uint64_t n[WEFT_LENGTHS_COUNTED];   /* how often each short length came */
    struct weft_buf longer;             /* uint32_t, the others */
};
/* A failed growth shows at the end. */
void weft_length_counts_add(struct weft_length_counts *c, uint32_t length);
void weft_length_counts_join(struct weft_length_counts *c, const struct weft_length_counts *other);
/* Fills `out`, which must be zero; false: memory was out on the way. */
WEFT_MUST_USE bool weft_length_counts_finish(struct weft_length_counts *c, struct weft_lengths *out);
void weft_length_counts_clear(struct weft_length_counts *c);

#endif
