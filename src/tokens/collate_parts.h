/* tokens/collate_parts.h - what the files of collation share: a thread's tools and the encoding of a row.  Only
 * collate*.c include it. */
#ifndef WEFT_TOKENS_COLLATE_PARTS_H
#define WEFT_TOKENS_COLLATE_PARTS_H

#include "tokens/collate.h"

struct weft_ints {
    int32_t *v;
    size_t n, cap;
};
bool weft_ints_reserve(struct weft_ints *a, size_t more);
bool weft_ints_add(struct weft_ints *a, const int32_t *v, size_t n);

/* What every row needs to know of the tokenizer, found once. */
struct weft_collate_tokens {
    const struct weft_tokenizer *t;
    struct weft_chat_settings chat;
    struct weft_chat_shape shape;
    int32_t end_id, pad_id; /* -1: none */
    int32_t bos_id;         /* put before plain texts; -1: the tokenizer does not */
    int32_t eos_id;         /* struct weft_chat_rules, eos_label; -1: the template prints its end marks */
};
WEFT_MUST_USE enum weft_status weft_collate_tokens_init(struct weft_collate_tokens *k, const struct weft_tokenizer *t,
                                                        const struct weft_chat_template *chat, struct weft_encoder *e,
                                                        const struct weft_collate_settings *s, struct weft_err *err);

struct weft_collate_worker {
    struct weft_arena scratch; /* released after each row */
    struct weft_encoder *encoder;
    bool own_encoder;
    struct weft_ids ids; /* of the row at hand */
    unsigned char *loss; /* [loss_cap], one flag for each of ids */
    size_t loss_cap;
    struct weft_ints out_ids, out_labels; /* of the chunk at hand */
    struct weft_example *items;      /* of the chunk at hand; ids and labels not set yet */
    size_t n_items, cap_items;
    enum weft_status st;
    size_t failed_chunk;
    struct weft_err err;
    uint64_t over_long, by_length[WEFT_COLLATE_BINS]; /* of the chunk at hand */
    size_t full_len; /* tokens of the row at hand before truncation; what nobody reads left out */
};
void weft_collate_worker_clear(struct weft_collate_worker *w);
WEFT_MUST_USE enum weft_status weft_collate_add_item(struct weft_collate_worker *w, const struct weft_example *item,
                                                     struct weft_err *err);

/* "chat.jsonl:17", or the row's number. */
const char *weft_collate_place(const struct weft_row *row, uint32_t row_idx, char place[160]);
/* Counts a row of full_len tokens; *drop: it is longer than the settings allow. */
WEFT_MUST_USE enum weft_status weft_collate_length(struct weft_collate_worker *w, const struct weft_collate_settings *s,
                                                   const struct weft_row *row, uint32_t row_idx, size_t full_len,
                                                   bool *drop, struct weft_err *err);

/* Renders and encodes a row into w->ids and w->loss. */
WEFT_MUST_USE enum weft_status weft_collate_encode(struct weft_collate_worker *w, const struct weft_collate_tokens *k,
                                                   const struct weft_chat_template *chat, const struct weft_row *row,
                                                   const struct weft_collate_settings *s, struct weft_err *err);

/* Rows of stages pair and kto into the worker's chunk, two items each: see struct weft_examples.  rows [n]: a group of
 * KTO, of which the answers of one row serve as the mismatched ones of the next. */
WEFT_MUST_USE enum weft_status weft_collate_compared(struct weft_collate_worker *w, const struct weft_collate_tokens *k,
                                                     const struct weft_chat_template *chat, const struct weft_row *rows,
                                                     size_t n, uint32_t first_idx,
                                                     const struct weft_collate_settings *s, uint64_t *no_loss,
                                                     struct weft_err *err);

#endif
