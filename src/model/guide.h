/* model/guide.h - a model kept to a grammar: which tokens may stand next
 *
 * A vocabulary is laid out once as sorted bytes; of a place in the text the tokens that may follow are then found by
 * walking it with the grammar, common beginnings once, and kept: texts pass through few different places.
 *
 * Every answer ends within its room.  A token that would leave too little of it to complete the text is not taken;
 * the shortest completion is written instead, token by token.
 *
 *     weft_guide_vocab_new(&v, tokenizer, &err);           once
 *     weft_guide_new(&g, v, grammar, &err);                for each shape
 *     settings.guide = g; weft_generate(...);              begins, allows, takes
 *
 * Threads: a vocabulary is immutable; a guide is one answer's, and one thread's.
 */
#ifndef WEFT_MODEL_GUIDE_H
#define WEFT_MODEL_GUIDE_H

#include "model/grammar.h"
#include "tokens/tokenizer.h"

struct weft_guide_vocab;
/* WEFT_EARG: tokens that add no bytes of their own (a decoder with a suffix). */
WEFT_MUST_USE enum weft_status weft_guide_vocab_new(struct weft_guide_vocab **out, const struct weft_tokenizer *t,
                                                    struct weft_err *err);
void weft_guide_vocab_free(struct weft_guide_vocab *v);     /* accepts NULL */

struct weft_guide;
/* For one text after the other of the grammar's shape; vocabulary and grammar outlive it. */
WEFT_MUST_USE enum weft_status weft_guide_new(struct weft_guide **out, const struct weft_guide_vocab *v,
                                              const struct weft_grammar *g, struct weft_err *err);
void weft_guide_free(struct weft_guide *g);                 /* accepts NULL */

/* Begins an answer of at most max_tokens.  WEFT_ELIMIT: the shortest one is longer; the message says how long. */
WEFT_MUST_USE enum weft_status weft_guide_begin(struct weft_guide *g, size_t max_tokens, struct weft_err *err);

/* Logits of tokens [0, n) that may not stand next become -infinity; some token always remains. */
void weft_guide_allow(struct weft_guide *g, float *logits, size_t n);

/* Takes a token that was allowed, or another in its place, which it returns. */
int32_t weft_guide_take(struct weft_guide *g, int32_t id);

bool weft_guide_complete(const struct weft_guide *g);       /* the text is whole, nothing may follow */
bool weft_guide_cut(const struct weft_guide *g);            /* it was completed for want of room */

#endif
