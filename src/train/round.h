/* train/round.h - one micro-batch on every rank, and what they give together
 *
 * A rank alone has rounds of one.
 */
#ifndef WEFT_TRAIN_ROUND_H
#define WEFT_TRAIN_ROUND_H

#include "train/objective.h"

/* What a rank tells all others about its micro-batch. */
struct weft_given {
    int status;                 /* enum weft_status */
    bool given;                 /* false: there were not enough micro-batches for this rank */
    bool trained;               /* it has left gradients */
    struct weft_micro_result result;
    struct weft_row_note notes[];       /* [result.n_notes] */
};

/* The micro-batches of an update or a validation: rows perm[first] ... perm[first + n - 1] in groups of `batch`. */
struct weft_micros {
    const struct weft_examples *ex;
    const uint32_t *perm;
    size_t first, n, batch;
    double share;               /* training: struct weft_micro */
    uint64_t micro_step;
    bool train;
};

WEFT_MUST_USE enum weft_status weft_round_init(struct weft_run *r, struct weft_err *err);
/* Micro-batches i, i + 1 ... of `m`, one a rank.  All ranks return the same status. */
WEFT_MUST_USE enum weft_status weft_round(struct weft_run *r, const struct weft_micros *m, size_t i,
                                          struct weft_err *err);
/* Of the last round, by rank, which is the order of the micro-batches. */
const struct weft_given *weft_round_given(const struct weft_run *r, int rank);

#endif
