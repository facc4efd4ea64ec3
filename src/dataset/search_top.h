/* dataset/search_top.h - the best few of many hits, met one by one
 *
 * A heap whose root is the worst of those kept, so that a query goes through its hits once, counts them on the way and
 * never sorts them all.  Equal scores are in the order of their ids.
 *
 * Owner:   the arena of _init.
 */
#ifndef WEFT_DATASET_SEARCH_TOP_H
#define WEFT_DATASET_SEARCH_TOP_H

#include "base/arena.h"

struct weft_search_best {
    int64_t id;
    double score;       /* larger is better */
};

struct weft_search_top {
    struct weft_search_best *items;     /* [n] a heap; after _sort best first */
    size_t n, limit;
    uint64_t met;
};

WEFT_MUST_USE enum weft_status weft_search_top_init(struct weft_search_top *t, struct weft_arena *a, size_t limit,
                                                    struct weft_err *err);
void weft_search_top_add(struct weft_search_top *t, int64_t id, double score);
/* Would a hit with this score, or a lower one, be left out? */
static inline bool weft_search_top_is_beyond(const struct weft_search_top *t, double score)
{
    return t->n && t->n == t->limit && score < t->items[0].score;
}
void weft_search_top_sort(struct weft_search_top *t);

#endif
