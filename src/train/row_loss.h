/* train/row_loss.h - what every row of a run has cost so far
 *
 * Per example (a row, or a bin of packed rows): how often it was trained, its mean loss the first time and the last
 * time.  What does not fall is worth a look: a wrong answer, a contradiction, a text of another kind.  Kept in
 * row_loss.safetensors of each checkpoint, written as row_loss.jsonl when a run ends or stops.
 */
#ifndef WEFT_TRAIN_ROW_LOSS_H
#define WEFT_TRAIN_ROW_LOSS_H

#include "base/arena.h"
#include "tokens/collate.h"

struct weft_row_loss {
    size_t n;                       /* examples */
    float *seen, *first, *last;     /* [n] */
    /* Of the update at hand: they count when it has taken effect. */
    uint32_t *pending;              /* [cap] indices */
    float *pending_loss;
    size_t n_pending, cap;
};

/* `update_rows`: the most examples one update sees. */
WEFT_MUST_USE enum weft_status weft_row_loss_init(struct weft_row_loss *r, struct weft_arena *a, size_t n,
                                                  size_t update_rows, struct weft_err *err);
size_t weft_row_loss_bytes(size_t n, size_t update_rows);
void weft_row_loss_note(struct weft_row_loss *r, size_t example, double loss);     /* not finite: left out */
void weft_row_loss_commit(struct weft_row_loss *r, bool took_effect);

/* row_loss.safetensors into a checkpoint, and back; a folder without one leaves all at zero. */
WEFT_MUST_USE enum weft_status weft_row_loss_save(const struct weft_row_loss *r, const char *dir, struct weft_err *err);
WEFT_MUST_USE enum weft_status weft_row_loss_load(struct weft_row_loss *r, const char *dir, struct weft_err *err);

/* The `most` examples with the highest last loss, highest first; returns how many there are. */
size_t weft_row_loss_dearest(const struct weft_row_loss *r, size_t *examples, size_t most);
/* {"row", "rows", "seen", "first", "last"} a line, in the order of the data; name(ctx, row_idx) may be NULL or return
 * NULL: the number of the row, from 1. */
WEFT_MUST_USE enum weft_status weft_row_loss_write(const struct weft_row_loss *r, const char *path,
                                                   const struct weft_examples *ex,
                                                   const char *(*name)(void *ctx, uint32_t row_idx), void *ctx,
                                                   struct weft_err *err);

#endif
