/* tokens/measure.h - how fast text becomes token ids on this machine, for `weft bench tokenize` and bench/
 *
 * A rate is a ratio waiting to be taken: checking the same bytes for UTF-8 is measured in the same call, and moves
 * with the machine.
 */
#ifndef WEFT_TOKENS_MEASURE_H
#define WEFT_TOKENS_MEASURE_H

#include "tokens/tokenizer.h"

struct weft_measured_tokens {
    size_t n_bytes, n_tokens;
    double bytes_per_s; /* the best of several passes on one thread, each with a fresh encoder */
    double check_bytes_per_s;
};

/* Encodes all texts `rounds` times.  WEFT_EINPUT: a text is not UTF-8. */
WEFT_MUST_USE enum weft_status weft_measure_tokens(const struct weft_tokenizer *t, const struct weft_str *texts,
                                                   size_t n_texts, int rounds, struct weft_measured_tokens *out,
                                                   struct weft_err *err);

/* About `bytes` bytes of lines made of the vocabulary's own tokens, the earlier ones oftener (Zipf's law over their
 * ids, which follow the frequency of merges): a text with the vocabulary's mix of languages, where none is at hand.
 * The same at every call.  Valid UTF-8. */
WEFT_MUST_USE enum weft_status weft_measure_tokens_text(const struct weft_tokenizer *t, size_t bytes,
                                                        struct weft_buf *out, struct weft_err *err);

#endif
