/* tokens/bpe_train.h - learns a byte-level BPE vocabulary from text
 *
 * Words (pieces of the pre-tokenizer) are counted; then the most frequent adjacent pair is merged until
 * the vocabulary is full or no pair occurs min_frequency times; ties go to the pair with the smaller ids,
 * so that the result depends on nothing but the text and the settings.
 */
#ifndef WEFT_TOKENS_BPE_TRAIN_H
#define WEFT_TOKENS_BPE_TRAIN_H

#include "base/progress.h"
#include "base/str.h"

struct weft_bpe_settings {
    size_t vocab_size;           /* in all: 256 bytes + merges + special tokens */
    size_t min_frequency;        /* 0 means 2 */
    const char *pattern;         /* "qwen2", "llama3", "gpt2" */
    const char *const *specials; /* special tokens, given the highest ids in this order */
    size_t n_specials;
    bool nfc;
};

/* Writes tokenizer.json (text) into out.  Texts may be many; each is pre-tokenized by itself. */
WEFT_MUST_USE enum weft_status weft_bpe_train(const struct weft_bpe_settings *s, const struct weft_str *texts,
                                              size_t n_texts, const struct weft_progress *progress,
                                              struct weft_buf *out, struct weft_err *err);

#endif
