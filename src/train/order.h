/* train/order.h - which rows make which micro-batch
 *
 * The permutation of epoch e is a function of data_seed + e alone (docs/training.md, order of the data), so nothing of
 * it is saved: a resumed run computes it again.
 */
#ifndef WEFT_TRAIN_ORDER_H
#define WEFT_TRAIN_ORDER_H

#include "tokens/collate.h"
#include "train/optimizer.h"

struct weft_order {
    const struct weft_recipe *recipe;
    uint32_t *perm;             /* [n] of `epoch` */
    size_t n;
    uint64_t epoch;             /* UINT64_MAX: none yet */
};
WEFT_MUST_USE enum weft_status weft_order_init(struct weft_order *o, const struct weft_recipe *r, size_t n,
                                               struct weft_arena *a, struct weft_err *err);
void weft_order_epoch(struct weft_order *o, uint64_t epoch);

/* The micro-batches of update u: rows perm[first] ... perm[first + n_rows - 1] in groups of the batch size. */
struct weft_group {
    uint64_t epoch;
    size_t first, n_rows;
    uint64_t micro_step;        /* of its first micro-batch, counted over the run: names the dropout masks */
    double epoch_after;         /* epochs passed when it is done: 1.5 */
};
struct weft_group weft_group_of(const struct weft_recipe *r, const struct weft_steps *s, size_t n_rows, uint64_t u);

/* The most rows one update sees. */
size_t weft_recipe_update_rows(const struct weft_recipe *r, size_t n_rows);

/* How rows become examples in the recipe's stage. */
enum weft_stage weft_recipe_collate_stage(const struct weft_recipe *r);

/* Batches of validation are measured in pieces of some rows: the next piece of the n rows perm[first] ... is the
 * longest one of at most `room` tokens, or one row.  Stage kto takes them whole, since a row is scored against its
 * neighbours. */
size_t weft_piece_rows(const struct weft_examples *e, enum weft_stage stage, const uint32_t *perm,
                       size_t first, size_t n, size_t room);
/* The room of a run whose longest micro-batch has so many tokens. */
size_t weft_piece_room(size_t train_tokens);

/* Tokens of the run's longest micro-batches. */
struct weft_longest {
    size_t train, valid;        /* valid: of a piece; 0: no validation */
};
/* The order of each epoch is tried unless that would take long, in which case the longest rows are taken to meet in
 * one. */
WEFT_MUST_USE enum weft_status weft_longest_batch(const struct weft_recipe *r, const struct weft_examples *train,
                                                  const struct weft_examples *valid, struct weft_longest *out,
                                                  struct weft_err *err);

#endif
