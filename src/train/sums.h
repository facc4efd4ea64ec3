/* train/sums.h - the gradient of an update from those of its micro-batches
 *
 * The gradient of an update is ((g1 + g2) + g3) + ..., each g computed apart, from zero, and rounded to f32; a
 * micro-batch without a token that carries loss is left out.  This one rule holds for one rank and for many: ranks send
 * each other slices of what they have, each adds up its slice in the order of the micro-batches, and when the update is
 * whole everybody gets all slices.  A rank sends and receives 4 bytes a value and micro-batch, and 4 more an update.
 *
 * Why not add into one place as the products go, which needs no second place: what is added would then depend on what
 * is there already, and two ranks that work at the same time could not agree with one that works twice.
 *
 * Where layers share the room for their gradients (weft_model_train_layerwise), each is added as soon as its layer is
 * complete, so that the second place costs no more than the first would have.
 */
#ifndef WEFT_TRAIN_SUMS_H
#define WEFT_TRAIN_SUMS_H

#include "model/model.h"
#include "train/cluster.h"
#include "train/recipe.h"

struct weft_sums {
    bool on;                    /* off: an update is one micro-batch, whose gradients are taken as they are */
    bool by_layer;
    struct weft_params *params;
    struct weft_compute *compute;
    struct weft_cluster *cluster;
    size_t n_layers;
    float *sum;                 /* [len] */
    size_t len;
    size_t *at;                 /* [params->n] where each parameter stands in it, this update */
    bool *begun;                /* [params->n] something was added to it */
    float **micro;              /* [params->n] where the model leaves the gradients of a micro-batch */
    size_t block;               /* values of one exchange */
    float *send, *recv;         /* [block + size] each */
};

/* Values in a sum: of all parameters, or of the largest layer where one trains at a time. */
size_t weft_sums_len(const struct weft_recipe *r, const struct weft_params *p);
/* Bytes that init takes: the memory plan. */
size_t weft_sums_bytes(const struct weft_recipe *r, const struct weft_params *p, int ranks);

WEFT_MUST_USE enum weft_status weft_sums_init(struct weft_sums *s, const struct weft_recipe *r, struct weft_params *p,
                                              size_t n_layers, struct weft_compute *compute,
                                              struct weft_cluster *cluster, struct weft_arena *a, struct weft_err *err);

/* Before the micro-batches of an update. */
void weft_sums_begin(struct weft_sums *s);
/* Adds what the parameters of `layer` (SIZE_MAX: all) hold, and zeroes it.  present [size]: the ranks that have
 * something to add; of no meaning to one rank, which calls only when it has. */
WEFT_MUST_USE enum weft_status weft_sums_add(struct weft_sums *s, size_t layer, const bool *present,
                                             struct weft_err *err);
/* Every rank gets the whole sum, and the parameters' grad is that ... */
WEFT_MUST_USE enum weft_status weft_sums_end(struct weft_sums *s, struct weft_err *err);
/* ... until the update is done. */
void weft_sums_back(struct weft_sums *s);

#endif
