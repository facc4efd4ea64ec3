/* model/linear.h - a linear layer with its low-rank branch, forward and backward
 *
 *   y = x W^T + b + scale * (drop(x) A^T) B^T
 *
 * and with DoRA, d = drop(x), k = m / |W + scale B A| by row:
 *
 *   y = (x - d) W^T + b + k (d W^T + scale * (d A^T) B^T)
 *
 * Backward comes in two halves, because a caller that recomputes x has it only after dx exists: first the half that
 * needs no x (dx, and dt = scale * dy B), then the half that does (dW, db, dA, dB).  arXiv:2106.09685; docs/adapter.md.
 */
#ifndef WEFT_MODEL_LINEAR_H
#define WEFT_MODEL_LINEAR_H

#include "model/model.h"

/* What all products of one pass share. */
struct weft_run {
    struct weft_compute *compute;
    bool was_exact;                 /* compute->exact before */
    bool dropout;                   /* a training pass */
    uint64_t seed, micro_step;      /* name the masks */
    float *dora;                    /* scratch [T, n_out], where a branch has DoRA */
};

/* An exact model multiplies in f32 for the time of the run. */
static inline void weft_run_begin(struct weft_run *run, struct weft_compute *c, const struct weft_model *m)
{
    run->compute = c;
    run->was_exact = c->exact;
    c->exact |= m->exact;
}
static inline void weft_run_end(struct weft_run *run) { run->compute->exact = run->was_exact; }

static inline bool weft_linear_branched(const struct weft_linear *l) { return l->branch && l->branch->enabled; }
static inline bool weft_linear_trained(const struct weft_linear *l)
{
    return l->dw || l->dbias || (weft_linear_branched(l) && l->branch->da);
}
/* x is read again by the second half. */
static inline bool weft_linear_wants_x(const struct weft_linear *l)
{
    return l->dw || (weft_linear_branched(l) && l->branch->da);
}

/* Rows row ... row + n - 1 of the weights as f32, out [n, n_in]. */
void weft_linear_rows(struct weft_compute *c, const struct weft_linear *l, size_t row, size_t n, float *out);
/* |W|^2 of each row into l->branch->dora->w2; once, the weights are frozen.  tmp [n_in]. */
void weft_dora_measure(struct weft_compute *c, const struct weft_linear *l, float *tmp);
/* inv and k of a DoRA branch from A, B and m as they are. */
void weft_dora_update(struct weft_compute *c, const struct weft_linear *l);
/* The same for every branch that is trained: A, B and m may have moved since the last pass. */
void weft_model_dora_update(struct weft_compute *c, const struct weft_model *m);

/* y [T, n_out] = (or +=) the layer of x [T, n_in].  With a branch t [T, rank] receives drop(x) A^T; x_drop [T, n_in]
 * is scratch for dropout and may be x itself when x is not needed afterwards. */
void weft_linear_forward(const struct weft_run *run, const struct weft_linear *l, float *y, bool accumulate, float *t,
                         const float *x, float *x_drop, size_t T);
/* The layers that read one x, e.g. q, k and v: the bits of a call of weft_linear_forward for each. */
struct weft_linear_call {
    const struct weft_linear *l;
    float *y, *t;
};
void weft_linear_forward_all(const struct weft_run *run, const struct weft_linear_call *calls, size_t n, const float *x,
                             float *x_drop, size_t T);
/* t alone, as forward leaves it: for a layer whose output is not needed again. */
void weft_linear_branch_in(const struct weft_run *run, const struct weft_linear *l, float *t, const float *x,
                           float *x_drop, size_t T);
/* dx [T, n_in] = (or +=) gradient; NULL: nobody below needs it.  With a branch dt [T, rank] is written for the second
 * half; tmp [T, n_in] is scratch for dropout. */
void weft_linear_backward_x(const struct weft_run *run, const struct weft_linear *l, float *dx,
                            bool accumulate, float *dt, const float *dy, float *tmp, size_t T);
/* dW, db, dA, dB += gradients, where they are trained. x as in forward; x_drop as in forward. */
void weft_linear_backward_w(const struct weft_run *run, const struct weft_linear *l, const float *dy, const float *t,
                            const float *dt, const float *x, float *x_drop, size_t T);

#endif
