/* dataset/tally.h - how often each text comes up: a hash table in an arena; inside dataset/ only */
#ifndef WEFT_DATASET_TALLY_H
#define WEFT_DATASET_TALLY_H

#include "base/str.h"

struct weft_tally_item {
    struct weft_str text;       /* the caller's, not copied */
    uint64_t count;
    size_t first;               /* the `at` of the first time */
};

/* Set arena; zero the rest. */
struct weft_tally {
    struct weft_arena *arena;
    struct weft_tally_item *items;      /* in order of first appearance */
    size_t n, cap;
    uint32_t *slots;
    size_t n_slots;
};

/* Counts `text` once more and returns its item (valid until the next add), or NULL when memory is out. */
WEFT_MUST_USE struct weft_tally_item *weft_tally_add(struct weft_tally *t, struct weft_str text, size_t at);
/* Most first; then by first appearance.  No more adds after it. */
void weft_tally_sort(struct weft_tally *t);

#endif
