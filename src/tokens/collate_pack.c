/* How much of a pair fits, what shares a bin, and how examples become a micro-batch: the arithmetic of
 * collation. */
#include "tokens/collate.h"

#include <stdlib.h>

void weft_collate_fit(int64_t source, int64_t target, int64_t room, int64_t *keep_source,
                      int64_t *keep_target)
{
    int64_t most; /* of the target */
    if (target * 2 < room) most = room;
    else if (source * 2 < room) most = room - source;
    else most = (int64_t)((double)room * ((double)target / (double)(source + target)));
    *keep_target = most < target ? most : target;
    int64_t rest = room - *keep_target > 0 ? room - *keep_target : 0;
    *keep_source = rest < source ? rest : source;
}

/* Index of the first element above `x` in an ascending array. */
static size_t upper_bound(const uint32_t *order, const uint32_t *lens, size_t n, uint32_t x)
{
    size_t lo = 0, hi = n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (lens[order[mid]] <= x) lo = mid + 1;
        else hi = mid;
    }
    return lo;
}

enum weft_status weft_collate_bins(const uint32_t *lens, size_t n, uint32_t room, uint32_t *order,
                                   uint32_t *bins, size_t *n_bins, struct weft_err *err)
{
    uint32_t *left = n ? malloc(n * sizeof *left) : NULL; /* indices not placed yet, by length, then index */
    if (n && !left) return weft_fail_nomem(err, n * sizeof *left, "packing");
    for (size_t i = 0; i < n; i++) { /* insertion keeps equal lengths in index order */
        size_t at = upper_bound(left, lens, i, lens[i]);
        memmove(left + at + 1, left + at, (i - at) * sizeof *left);
        left[at] = (uint32_t)i;
    }
    uint32_t bin = 0;
    for (size_t done = 0, n_left = n; n_left; bin++) {
        uint32_t rest = room;
        for (;;) {
            size_t at = upper_bound(left, lens, n_left, rest);
            if (!at) break;
            at--;
            rest -= lens[left[at]];
            order[done] = left[at];
            bins[done++] = bin;
            memmove(left + at, left + at + 1, (n_left - at - 1) * sizeof *left);
            n_left--;
        }
    }
    *n_bins = bin;
    free(left);
    return WEFT_OK;
}

enum weft_status weft_batch_make(struct weft_arena *a, const struct weft_examples *ex, const uint32_t *order,
                                 size_t first, size_t count, struct weft_batch *out, struct weft_err *err)
{
    size_t n = 0, n_seqs = 0, n_labels = 0;
    for (size_t i = first; i < first + count; i++) {
        const struct weft_example *x = &ex->items[order[i]];
        n += x->n;
        n_labels += x->n_labels;
        n_seqs += x->part_lens && !x->joined ? x->n_parts : 1;
    }
    if (n > INT32_MAX)
        return weft_fail(err, WEFT_ELIMIT, "a micro-batch of %zu tokens; at most %d", n, INT32_MAX);
    int32_t *ids = weft_arena_alloc(a, n * sizeof *ids), *labels = weft_arena_alloc(a, n * sizeof *labels);
    int32_t *pos = weft_arena_alloc(a, n * sizeof *pos), *cu = weft_arena_alloc(a, (n_seqs + 1) * sizeof *cu);
    if (!ids || !labels || !pos || !cu) return weft_fail_nomem(err, n * 12, "a micro-batch");
    size_t at = 0, seq = 0;
    cu[0] = 0;
    for (size_t i = first; i < first + count; i++) {
        const struct weft_example *x = &ex->items[order[i]];
        uint32_t n_parts = x->part_lens ? x->n_parts : 1;
        memcpy(ids + at, x->ids, x->n * sizeof *ids);
        memcpy(labels + at, x->labels, x->n * sizeof *labels);
        for (uint32_t p = 0; p < n_parts; p++) {
            uint32_t len = x->part_lens ? x->part_lens[p] : x->n;
            for (uint32_t k = 0; k < len; k++) pos[at++] = (int32_t)k;
            if (!x->joined || p + 1 == n_parts) cu[++seq] = (int32_t)at;
        }
    }
    *out = (struct weft_batch){ .ids = ids,
                                .labels = labels,
                                .pos = pos,
                                .cu = cu,
                                .n_tokens = n,
                                .n_seqs = n_seqs,
                                .n_labels = n_labels };
    return WEFT_OK;
}
