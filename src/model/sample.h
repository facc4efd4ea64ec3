/* model/sample.h - from logits to the next token
 *
 * Order as in the reference runtime: repetition penalty, temperature, top-k, top-p, min-p, then one draw.
 * temperature 0 is greedy (lowest id on ties).  One seed gives one text: draw i uses Philox counter i.
 */
#ifndef WEFT_MODEL_SAMPLE_H
#define WEFT_MODEL_SAMPLE_H

#include "base/rng.h"
#include "base/str.h"
#include "tokens/tokenizer.h"

struct weft_sample_settings {
    double temperature;             /* 0: greedy */
    int64_t top_k;                  /* 0: off */
    double top_p, min_p;            /* 1 and 0: off */
    double repetition_penalty;      /* 1: off; divides positive, multiplies negative logits of tokens seen */
    uint64_t seed;
};

struct weft_sampler;
/* For a vocabulary of n_vocab rows, of which the first n_tokens may be drawn. */
WEFT_MUST_USE enum weft_status weft_sampler_new(struct weft_sampler **out, size_t n_vocab, size_t n_tokens,
                                                const struct weft_sample_settings *s, struct weft_err *err);
void weft_sampler_free(struct weft_sampler *s);
/* Tells the penalty of a token that stands in the context. */
void weft_sampler_see(struct weft_sampler *s, int32_t id);
/* Draws the next token; logits [n_vocab] are overwritten.  logprob (may be NULL): log p under the distribution drawn
 * from; greedy: under the softmax of the logits. */
int32_t weft_sampler_next(struct weft_sampler *s, float *logits, float *logprob);

#endif
