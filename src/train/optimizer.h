/* train/optimizer.h - how parameters move: a registry, one file and one line per optimizer
 *
 * Threads: a state belongs to the one caller that trains.
 */
#ifndef WEFT_TRAIN_OPTIMIZER_H
#define WEFT_TRAIN_OPTIMIZER_H

#include "kernels/kernels.h"
#include "model/model.h"
#include "train/recipe.h"

struct weft_optimizer;

enum { WEFT_OPTIMIZER_SLOTS = 12 };

/* State of one run: moments of every parameter, in the arena given to init. */
struct weft_optimizer_state {
    const struct weft_optimizer *kind;
    const struct weft_recipe *recipe;
    struct weft_params *params;
    uint64_t step;                                  /* updates done */
    /* [n_slots][params->n]: NULL where a tensor has no such state; f32 unless the kind says otherwise */
    void **slot[WEFT_OPTIMIZER_SLOTS];
    size_t *slot_len[WEFT_OPTIMIZER_SLOTS];         /* elements */
    int n_slots;
    void *scratch;                                  /* the optimizer's own */
};

struct weft_optimizer {
    const char *name, *help, *paper;
    /* Bytes of state and scratch for these parameters: the memory plan. */
    size_t (*bytes)(const struct weft_recipe *r, const struct weft_params *p);
    enum weft_status (*init)(struct weft_optimizer_state *s, struct weft_arena *a, struct weft_err *err);
    /* One update with rate lr; every gradient is read times g_scale (clipping). */
    void (*step)(struct weft_optimizer_state *s, struct weft_compute *c, double lr, float g_scale);
    /* Layer by layer, where the kind can (NULL: it cannot).  step_param: one parameter's part of the update after
     * s->step, which the caller counts; gather_param: its gradient of one micro-batch of several, before step_param. */
    void (*step_param)(struct weft_optimizer_state *s, struct weft_compute *c, size_t param, double lr, float g_scale);
    void (*gather_param)(struct weft_optimizer_state *s, struct weft_compute *c, size_t param);
    /* Kinds that train in turns (NULL: all at once).  place: what trains in the update after s->step gets its gradients
     * and slots, all else rests; init and step end with it, and so does reading a checkpoint before it fills the slots.
     * norm: of the gradients that count, where these are not all. */
    void (*place)(struct weft_optimizer_state *s);
    double (*norm)(struct weft_optimizer_state *s, struct weft_compute *c);
    const char *slot_names[WEFT_OPTIMIZER_SLOTS];   /* "exp_avg", "exp_avg_sq": names in checkpoint files */
    bool slot_is_codes[WEFT_OPTIMIZER_SLOTS];       /* one byte a value, not an f32 */
    bool slot_is_bf16[WEFT_OPTIMIZER_SLOTS];
};
/* Bytes of a value in a slot. */
static inline size_t weft_optimizer_slot_item(const struct weft_optimizer *kind, int slot)
{
    return kind->slot_is_codes[slot] ? 1 : kind->slot_is_bf16[slot] ? sizeof(uint16_t) : sizeof(float);
}

/* NULL and, in `names`, the list: no such optimizer. */
const struct weft_optimizer *weft_optimizer_find(const char *name, const char *const **names, size_t *n_names);
/* Zeroed state.  recipe and params must outlive it. */
WEFT_MUST_USE enum weft_status weft_optimizer_init(struct weft_optimizer_state *s, const struct weft_optimizer *kind,
                                                   const struct weft_recipe *r, struct weft_params *p,
                                                   struct weft_arena *a, struct weft_err *err);

/* For init functions: a zeroed slot of len[i] values per parameter (0: none). */
WEFT_MUST_USE enum weft_status weft_optimizer_slot(struct weft_optimizer_state *s, int slot, const size_t *len,
                                                   struct weft_arena *a, struct weft_err *err);

/* No value is NaN or infinite. */
bool weft_all_finite_bf16(const uint16_t *x, size_t n);
bool weft_param_finite(struct weft_compute *c, const struct weft_param *p);
/* Norm of all gradients as one vector (f64). */
double weft_grad_norm(struct weft_compute *c, const struct weft_params *p);
/* min(1, max_norm / (norm + 1e-6)); max_norm <= 0: 1. */
float weft_clip_factor(double norm, double max_norm);

/* Learning-rate factor of update u (0-based) of n: docs/training.md, schedules. */
double weft_schedule(const struct weft_recipe *r, uint64_t u, uint64_t n);

/* Updates and order of a run: docs/training.md, steps. */
struct weft_steps {
    uint64_t micro_per_epoch, updates_per_epoch, total, epochs;
};
struct weft_steps weft_steps_of(const struct weft_recipe *r, uint64_t n_examples);

#endif
