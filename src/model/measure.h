/* model/measure.h - how fast a model trains and decodes here, beside what the machine can do
 *
 * As in kernels/measure.h: rates are measured now, the best of several runs; a share is a ratio of two rates measured
 * beside each other.  `weft bench` and bench/ are fronts over these.
 */
#ifndef WEFT_MODEL_MEASURE_H
#define WEFT_MODEL_MEASURE_H

#include "model/model.h"

struct weft_measured_training {
    double tokens_per_s;            /* of the fastest step: forward, backward, AdamW */
    /* for each second of processor time, all threads: what neighbours do not change much */
    double tokens_per_cpu_s;
    double flops;                   /* FLOP/s of that step: products and attention, nothing recomputed counted */
    double peak;                    /* of the machine, between the steps (kernels/measure.h) */
    double share;                   /* best of flops / peak over the steps */
    double flop_per_token;
    size_t peak_rss_bytes;          /* of the process so far */
};
/* Steps over one random batch of n_seqs sequences of `len` tokens, the later half of each with loss; `params`
 * are those of `model` that train. */
WEFT_MUST_USE enum weft_status weft_measure_training(struct weft_compute *c, struct weft_model *model,
                                                     struct weft_params *params, size_t n_seqs, size_t len,
                                                     bool checkpointing, int steps,
                                                     struct weft_measured_training *out,
                                                     struct weft_err *err);

struct weft_measured_decoding {
    double tokens_per_s;            /* one sequence, greedy */
    double prefill_tokens_per_s;
    double bytes;                   /* bytes of weights and cache that a token reads, times tokens/s */
    double read;                    /* the plain read loop over the same weights */
    double share;                   /* best of bytes / read */
};
WEFT_MUST_USE enum weft_status
weft_measure_decoding(struct weft_compute *c, struct weft_model *model, size_t prompt, size_t tokens,
                      struct weft_measured_decoding *out, struct weft_err *err);

#endif
