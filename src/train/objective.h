/* train/objective.h - what a micro-batch is trained for: tokens (sft, pt), or whole answers (dpo, kto)
 *
 * The loop (trainer.c) knows updates, micro-batches and their bookkeeping; an objective turns the rows of one
 * micro-batch into a loss and gradients.
 */
#ifndef WEFT_TRAIN_OBJECTIVE_H
#define WEFT_TRAIN_OBJECTIVE_H

#include "train/run.h"

/* Rows of an update whose loss was not finite. */
enum { WEFT_BAD_ROWS = 16 };
struct weft_bad_rows {
    uint32_t idx[WEFT_BAD_ROWS];
    size_t n;
};
static inline void weft_bad_rows_add(struct weft_bad_rows *bad, uint32_t idx)
{
    if (bad->n < WEFT_BAD_ROWS) bad->idx[bad->n++] = idx;
}

/* What a micro-batch of training or validation gives beside gradients.  Those of an update are added up in their
 * order, whichever rank computed them. */
struct weft_micro_result {
    double loss;                /* training: its part of the update's.  Validation: its loss times its weight ... */
    double weight;              /* ... which is this (Q4) */
    uint64_t tokens;
    double worst;               /* highest mean loss of a row, and its row; NaN: none */
    uint64_t worst_row;
    struct weft_pref_sums metrics;
    struct weft_bad_rows bad;
    size_t n_notes;             /* rows whose loss was noted */
};

/* Rows perm[first] ... perm[first + n - 1] of `ex`. */
struct weft_micro {
    const struct weft_examples *ex;
    const uint32_t *perm;
    size_t first, n;
    double share;               /* its part of the update's loss: see `share` below */
    uint64_t micro_step;
};

struct weft_objective {
    /* By what each micro-batch's loss is multiplied, so that those of an update add up: tokens 1 / N, N their number in
     * the update; answers 1 / micro-batches (Q3).  0: no row of the update carries loss. */
    double (*share)(const struct weft_run *r, const struct weft_group *g);
    /* Adds gradients.  `out` is zeroed by the caller, worst NaN. */
    enum weft_status (*micro)(struct weft_run *r, const struct weft_micro *m, struct weft_micro_result *out,
                              struct weft_err *err);
    enum weft_status (*measure)(struct weft_run *r, const struct weft_micro *m, struct weft_micro_result *out,
                                struct weft_err *err);
};
/* n examples of `order` from `first` on, in the arena of the step. */
static inline WEFT_MUST_USE enum weft_status weft_objective_batch(struct weft_run *r, const struct weft_examples *ex,
                                                                  const uint32_t *order, size_t first, size_t n,
                                                                  struct weft_batch *out, struct weft_err *err)
{
    WEFT_SPAN(span) = weft_span(r->job->compute, WEFT_OP_DATA, 0);
    return weft_batch_make(&r->step_arena, ex, order, first, n, out, err);
}

const struct weft_objective *weft_objective_of(const struct weft_recipe *r);
extern const struct weft_objective weft_objective_tokens, weft_objective_answers;

/* The loss of an example, for the ledger of rows: at most one for each row of the micro-batch. */
void weft_micro_note(struct weft_run *r, uint32_t example, double loss);

#endif
