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
    int32_t *ids, *labels;          /* [n]; read-only: the two may be one array, and lie inside another's block */
    uint32_t n;
    uint32_t n_labels;              /* labels that are not WEFT_IGNORE, label[0] included (docs/training.md Q2) */
    uint32_t row_idx;               /* in the rows this came from; of a block or bin: its first row */
    uint32_t full_len;              /* tokens before truncation */
    /* Bins of packed rows (stage sft): lengths of the rows inside, NULL elsewhere. */
    const uint32_t *part_lens;      /* [n_parts], sum n */
    uint32_t n_parts;
    bool joined;                    /* one attention sequence over all parts, positions still reset per part */
    bool desirable;                 /* stage kto: the row's kto_tag */
};

enum { WEFT_COLLATE_BINS = 24 };
struct weft_examples {
    struct weft_example *items;     /* [n], in stages pair and kto [2n] */
    size_t n, cap;
    /* Stages pair and kto: items[n + i] belongs to items[i].  pair: the chosen and the rejected answer to one prompt;
     * kto: the judged answer, and the same prompt with the answer of the row before. */
    bool two;
    /* the account: rows_in = n + no_loss + over_long, where stage pt with packing and packed bins count rows as
     * `merged` instead: rows_in = merged + no_loss + over_long */
    uint64_t rows_in, truncated, no_loss, longest, total_tokens, total_labels;
    uint64_t merged;                /* rows that went into blocks or bins */
    uint64_t over_long;             /* rows left out because they are longer than cutoff_len */
    uint64_t by_length[WEFT_COLLATE_BINS];  /* rows of 2^i to 2^(i+1) - 1 tokens before they were cut or left out */
    uint64_t dropped_tokens;        /* stage pt with packing: tokens behind the last whole block of each 1000 rows */
};

/* What becomes of rows longer than cutoff_len.  In stage pt with packing no row is too long. */
enum weft_over_length { WEFT_OVER_CUT, WEFT_OVER_DROP, WEFT_OVER_REFUSE };

enum weft_stage { WEFT_STAGE_SFT, WEFT_STAGE_PT, WEFT_STAGE_PAIR, WEFT_STAGE_KTO };

struct weft_collate_settings {
    enum weft_stage stage;
    int64_t cutoff_len;             /* tokens, >= 2 */
    enum weft_over_length over_length;      /* cut: by the pair rule; refuse: WEFT_EINPUT names the first such row */
    bool train_on_prompt, mask_history;     /* mask_history: only the last answer is trained; not both */
    bool packing;                   /* pt: cut into blocks of cutoff_len (default for pt); sft: fill bins */
    bool neat_packing;              /* sft: as packing, but every row attends to itself alone */
    /* Where the reference trainer and good sense differ (the recipe's compat: hf or clean).
     * false: the numbers of LLaMA-Factory.  Prompt and answer are encoded separately; the text behind the end-of-turn
     *        token (ChatML's newline) is trained too (Q13); pt with packing drops the tokens behind the last whole
     *        block of each group.
     * true:  the joined text is encoded once, a token belongs to the span of its first byte; nothing behind the
     *        end-of-turn token is trained, and what stands behind the last label is left out; pt keeps the rest as a
     *        shorter block. */
    bool clean;
    bool strict_specials;           /* special tokens are recognised in the template's text only, not in the data */
    struct weft_str date;           /* for templates that print one; s == NULL: today */
    const struct weft_json_value *kwargs;   /* for templates: enable_thinking and the like; NULL: none */
};

/* Encodes one row; truncation by the pair rule of docs/training.md 9.2.  An example without a label that could be
 * trained gets n_labels 0: the caller counts it.
 * A row of plain text becomes text + end mark with every token a label; in stage pt a conversation does too, as
 * its template renders it.  `chat` NULL: only plain texts.
 * The example lies in `a`.  WEFT_EINPUT: the template refuses the row; the message names the row's place. */
WEFT_MUST_USE enum weft_status
weft_collate_row(struct weft_arena *a, struct weft_encoder *e, const struct weft_tokenizer *t,
                 const struct weft_chat_template *chat, const struct weft_row *row,
                 const struct weft_collate_settings *s, struct weft_example *out, struct weft_err *err);

/* All rows; by `pool` threads, same result for any number of them.  Rows without a label are left out and counted.
 * Stage pt with packing: rows are joined by groups of 1000 and cut into blocks of cutoff_len, so an example holds
 * parts of several rows; blocks of one group share one array, labels too unless the pad token is among them (Q11).
 * Stage sft with packing or neat_packing: rows are cut at cutoff_len - 1 and put into bins, by groups of 1000 (Q12).
 * Stages pair and kto: two examples a row; WEFT_EINPUT: a row has no compared answers, or no kto_tag. */
WEFT_MUST_USE enum weft_status
weft_collate_rows(struct weft_arena *a, const struct weft_tokenizer *t, const struct weft_chat_template *chat,
                  const struct weft_rows *rows, const struct weft_collate_settings *s, struct weft_pool *pool,
                  struct weft_examples *out, struct weft_err *err);

/* A rendered prompt as ids, appended to `ids`: at once, or by the pieces of its template.  Special tokens
 * count wherever they stand. */
WEFT_MUST_USE enum weft_status weft_collate_prompt(struct weft_encoder *e, const struct weft_chat_text *x,
                                                   struct weft_ids *ids, struct weft_err *err);

/* The pair rule: how much of a prompt of `source` tokens and an answer of `target` tokens fits into `room`. */
void weft_collate_fit(int64_t source, int64_t target, int64_t room, int64_t *keep_source, int64_t *keep_target);

/* Which lengths share a bin of `room` tokens: bins are filled one after the other, always with the longest that
 * still fits, among equals with the later one.  order[k] is the index placed k-th, bins[k] (ascending) its bin.
 * Lengths are 1 ... room; order and bins have n elements. */
WEFT_MUST_USE enum weft_status weft_collate_bins(const uint32_t *lens, size_t n, uint32_t room, uint32_t *order,
                                                 uint32_t *bins, size_t *n_bins, struct weft_err *err);

/* What a model sees at once. */
struct weft_batch {
    const int32_t *ids, *labels;    /* [n_tokens]; labels NULL: no loss wanted */
    const int32_t *pos;             /* [n_tokens] position within its sequence */
    const int32_t *cu;              /* [n_seqs + 1] */
    size_t n_tokens, n_seqs;
    size_t n_labels;                /* sum of the examples' n_labels */
};

/* Tokens of row i in its longest batch: of both examples of a pair; of the longer one of a judged row, whose two go
 * one after the other. */
static inline size_t weft_example_tokens(const struct weft_examples *ex, size_t i, enum weft_stage stage)
{
    size_t n = ex->items[i].n, other = ex->two ? ex->items[ex->n + i].n : 0;
    if (stage == WEFT_STAGE_PAIR) return n + other;
    return n > other ? n : other;
}

/* Joins examples[order[first]] ... examples[order[first + count - 1]] in arena `a`. */
WEFT_MUST_USE enum weft_status weft_batch_make(struct weft_arena *a, const struct weft_examples *ex,
                                               const uint32_t *order, size_t first, size_t count,
                                               struct weft_batch *out, struct weft_err *err);

#endif
