/* tokens/collate.h - rows to examples (ids and labels), examples to padding-free micro-batches
 *
 * Labels are unshifted: position i predicts label[i + 1]; WEFT_IGNORE carries no loss.  A micro-batch is the
 * examples one behind the other with cu_seqlens; nothing is padded.
 */
#ifndef WEFT_TOKENS_COLLATE_H
#define WEFT_TOKENS_COLLATE_H

#include "tokens/chat.h"
#include "tokens/tokenizer.h"

enum { WEFT_IGNORE = -100 };

struct weft_example {
    int32_t *ids, *labels;          /* [n] */
    uint32_t n;
    uint32_t n_labels;              /* labels that are not WEFT_IGNORE, label[0] included (docs/training.md Q2) */
    uint32_t row_idx;               /* in the rows this came from */
    uint32_t full_len;              /* tokens before truncation */
};

struct weft_examples {
    struct weft_example *items;
    size_t n, cap;
    /* the account: rows in = n + no_loss (+ rows merged into blocks by stage pt) */
    uint64_t rows_in, truncated, no_loss, longest, total_tokens, total_labels;
};

enum weft_stage { WEFT_STAGE_SFT, WEFT_STAGE_PT };

struct weft_collate_settings {
    enum weft_stage stage;
    int64_t cutoff_len;             /* tokens, >= 2 */
    bool train_on_prompt, mask_history;
    bool packing;                   /* pt: cut into blocks of cutoff_len (default for pt) */
};

/* Encodes one row; truncation by the pair rule of docs/training.md 9.2.  An example without a label that could be
 * trained gets n_labels 0: the caller counts it. */
WEFT_MUST_USE enum weft_status
weft_collate_row(struct weft_arena *a, struct weft_encoder *e, const struct weft_tokenizer *t, const struct weft_chat_template *chat,
                 const struct weft_row *row, const struct weft_collate_settings *s, struct weft_example *out, struct weft_err *err);

/* All rows; by `pool` threads, same result for any number of them. */
WEFT_MUST_USE enum weft_status
weft_collate_rows(struct weft_arena *a, const struct weft_tokenizer *t, const struct weft_chat_template *chat,
                  const struct weft_rows *rows, const struct weft_collate_settings *s, struct weft_pool *pool,
                  struct weft_examples *out, struct weft_err *err);

/* What a model sees at once. */
struct weft_batch {
    const int32_t *ids, *labels;    /* [n_tokens]; labels NULL: no loss wanted */
    const int32_t *pos;             /* [n_tokens] position within its sequence */
    const int32_t *cu;              /* [n_seqs + 1] */
    size_t n_tokens, n_seqs;
    size_t n_labels;                /* sum of the examples' n_labels */
};

/* Joins examples[order[first]] ... examples[order[first + count - 1]] in arena `a`. */
WEFT_MUST_USE enum weft_status weft_batch_make(struct weft_arena *a, const struct weft_examples *ex, const uint32_t *order, size_t first,
                                               size_t count, struct weft_batch *out, struct weft_err *err);

#endif
