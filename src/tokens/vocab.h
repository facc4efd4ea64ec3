/* tokens/vocab.h - token content <-> id
 *
 * Contents are as in tokenizer.json.  Ids may have holes.  Strings belong to the caller and must outlive
 * this.
 * Owner:   weft_vocab_clear.   Threads: immutable after the last add.
 */
#ifndef WEFT_TOKENS_VOCAB_H
#define WEFT_TOKENS_VOCAB_H

#include "base/str.h"

enum { WEFT_MAX_TOKEN_ID = 16777215 };

struct weft_vocab {
    uint32_t *nth;             /* [size] by id: number of the token + 1, 0 for a hole */
    size_t size, cap;          /* size: highest id + 1 */
    struct weft_str *contents; /* [n] in the order they were added */
    int32_t *ids;              /* [n] */
    size_t n, cap_n;
    uint32_t *slots; /* hash table by content: number of the token + 1, 0: free */
    size_t n_slots;  /* a power of two, at least 2n */
};

void weft_vocab_clear(struct weft_vocab *v);

/* id in 0..WEFT_MAX_TOKEN_ID.  *taken: the id has another content already, or the content another id; then
 * nothing is added. */
WEFT_MUST_USE enum weft_status weft_vocab_add(struct weft_vocab *v, struct weft_str content, int32_t id,
                                              bool *taken, struct weft_err *err);
int32_t weft_vocab_id(const struct weft_vocab *v, struct weft_str content); /* -1: none */

static inline struct weft_str weft_vocab_content(const struct weft_vocab *v, int32_t id)
{
    return id >= 0 && (size_t)id < v->size && v->nth[id] ? v->contents[v->nth[id] - 1]
                                                         : (struct weft_str){ 0 };
}

#endif
