/* train/fit.h - settings of a run that fit into the memory there is
 *
 * Several settings leave the result of a run as it is and change what it takes:
 *   per_device_train_batch_size, gradient_accumulation_steps   their product, the rows of an update, stays
 *   gradient_checkpointing                                     is only ever switched on; not one bit changes
 * Of all of them the fastest that fits is taken (docs/training.md, "What fits").  Where the user allows it, and nothing
 * else fits, the frozen base is quantised, which does change the result.
 *
 * Micro-batches are left alone where more than rounding would hang on them: stage kto, whose KL is that of a micro-
 * batch; stage dpo, unless all are full; dropout and noise, whose masks they name; optimizers that consume gradients
 * layer by layer.
 */
#ifndef WEFT_TRAIN_FIT_H
#define WEFT_TRAIN_FIT_H

#include "train/trainer.h"

enum weft_fit_base { WEFT_FIT_AS_IT_IS, WEFT_FIT_INT8, WEFT_FIT_NF4, WEFT_FIT_BASES };

struct weft_fit_plan {
    int64_t batch, accumulation;        /* per_device_train_batch_size, gradient_accumulation_steps (of all ranks) */
    bool checkpointing;
    int base;                           /* enum weft_fit_base */
    size_t bytes;
    double cost;                        /* of an epoch, in tokens of a run that computes nothing again */
};
struct weft_fit {
    struct weft_fit_plan asked, chosen;
    struct weft_fit_plan faster;        /* the least of the faster ones that do not fit; bytes 0: there is none */
    size_t available_bytes;
    const char *bound;                  /* as in struct weft_memory_plan */
};

struct weft_fit_limits {
    bool precision;             /* the base may be quantised */
    bool begun;                 /* the run has a checkpoint: only gradient_checkpointing may change */
};
/* For the job as it is made, with its recipe.  Ranks choose together.
 * WEFT_ELIMIT (E6): nothing fits; the smallest plan is named. */
WEFT_MUST_USE enum weft_status weft_fit_choose(const struct weft_train_job *job, const struct weft_fit_limits *limits,
                                               struct weft_fit *out, struct weft_err *err);
/* The recipe receives it. */
void weft_fit_apply(const struct weft_fit_plan *plan, struct weft_recipe *r);
/* "per_device_train_batch_size: 2, gradient_accumulation_steps: 8, gradient_checkpointing: true" */
void weft_fit_text(const struct weft_fit_plan *plan, struct weft_buf *out);

/* The choice as it is kept in output_dir/fit.yaml, so that a run goes on with it wherever it is resumed. */
WEFT_MUST_USE enum weft_status weft_fit_save(const char *output_dir, const struct weft_recipe *r, struct weft_err *err);
/* Takes the kept choice over into a recipe that has as many rows an update and says nothing else about its base.  Where
 * nothing is kept, or it is that of another run, the recipe stays. */
WEFT_MUST_USE enum weft_status weft_fit_resume(const char *output_dir, struct weft_arena *a, struct weft_recipe *r,
                                               struct weft_err *err);
/* Forgets it: a new run begins there. */
WEFT_MUST_USE enum weft_status weft_fit_forget(const char *output_dir, struct weft_err *err);
/* output_dir holds a checkpoint that a run would go on from. */
bool weft_fit_begun(const char *output_dir, const struct weft_recipe *r);

/* Whether the recipe wants it: fit, or mem alone. */
bool weft_fit_wanted(const struct weft_recipe *r);

#endif
