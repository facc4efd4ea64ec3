/* model/kv.h - one sequence, token after token, with its keys and values kept
 *
 * Keys and values are f32, [n_layers][n_kv_heads, cap, head_dim] each, so that decoding and the training pass
 * compute the same numbers.
 */
#ifndef WEFT_MODEL_KV_H
#define WEFT_MODEL_KV_H

#include "model/model.h"

struct weft_kv;

/* What is kept was computed with the adapter of that moment.  When branches have been hung on, taken off or switched
 * since, the sequence must begin anew (weft_kv_truncate to 0); append refuses to mix.  After training steps on the same
 * branches the caller truncates. */

/* Room for `cap` tokens; prompts are processed in blocks of at most `block` tokens (0: 256). */
WEFT_MUST_USE enum weft_status weft_kv_new(struct weft_kv **out, struct weft_compute *c, struct weft_model *m,
                                           size_t cap, size_t block, struct weft_err *err);
void weft_kv_free(struct weft_kv *kv);
size_t weft_kv_len(const struct weft_kv *kv);
const int32_t *weft_kv_ids(const struct weft_kv *kv);       /* [len] the tokens it holds */
size_t weft_kv_cap(const struct weft_kv *kv);
size_t weft_kv_vocab_size(const struct weft_kv *kv);        /* how many logits append writes */
bool weft_kv_stale(const struct weft_kv *kv);               /* the branches have changed since */
void weft_kv_truncate(struct weft_kv *kv, size_t len);     /* forgets tokens from len on */

/* Tokens appended one by one, or a few at once, are computed row by row, longer pieces in blocks: two orders of adding,
 * equal but for rounding.  The first weft_kv_in_blocks tokens were computed in blocks: of no others may a prompt be
 * continued whose logits shall not depend, in any bit, on what kv held before (weft_kv_reusable). */
enum { WEFT_KV_FEW = WEFT_FEW_ROWS };                       /* fewer tokens than this are not a block */
size_t weft_kv_in_blocks(const struct weft_kv *kv);
size_t weft_kv_reusable(const struct weft_kv *kv, const int32_t *ids, size_t n);   /* of the prompt ids [n] */

/* Appends ids [n] and writes the logits [V] after the last of them; rows of the vocabulary above the tokenizer's
 * size are the caller's to mask.  WEFT_ELIMIT when cap is exceeded.  logits may be NULL. */
WEFT_MUST_USE enum weft_status
weft_kv_append(struct weft_kv *kv, const int32_t *ids, size_t n, float *logits, struct weft_err *err);

#endif
