/* dataset/grow.h - arrays that grow in an arena; inside dataset/ only
 *
 * Doubling leaves the older copies behind until the arena goes: at most as much again as the final array, the price
 * for lists that need no free. */
#ifndef WEFT_DATASET_GROW_H
#define WEFT_DATASET_GROW_H

#include "base/arena.h"

#include <string.h>

/* Room for one more of n items in *items, a pointer to an array of *cap; false when memory is out. */
static inline bool weft_grow(struct weft_arena *a, void *items, size_t n, size_t *cap, size_t size,
                             size_t first)
{
    if (n < *cap) return true;
    size_t want;
    void *old, *grown;
    if (!weft_size_mul(*cap, 2, &want)) return false;
    if (want < first) want = first;
    grown = weft_arena_calloc(a, want, size);
    if (!grown) return false;
    memcpy(&old, items, sizeof old);
    if (n) memcpy(grown, old, n * size);
    memcpy(items, &grown, sizeof grown);
    *cap = want;
    return true;
}

/* WEFT_GROW(arena, list, field_n, field_cap): list is the array itself. */
#define WEFT_GROW(arena, list, n, cap) weft_grow((arena), &(list), (n), &(cap), sizeof *(list), 16)

#endif
