/* model/pass.h - what a pass consists of; only pass.c and pass_memory.c include it */
#ifndef WEFT_MODEL_PASS_H
#define WEFT_MODEL_PASS_H

#include "model/linear.h"

/* What of a layer is kept in bf16 from forward to backward, where products round to bf16 anyway: shapes as below. */
struct weft_kept {
    uint16_t *x;            /* [T, D] the layer's input */
    uint16_t *mid, *q, *k, *v, *o;
    float *pair;            /* [T, F] gate and up in the place of one f32; backward turns it into silu(gate) * up */
    uint16_t *q_raw, *k_raw;
};

/* What one layer's backward reads.  In a pass that keeps bf16, the arrays that `kept` has copies of are shared by all
 * layers: they are filled again before the layer's backward. */
struct weft_acts {
    float *mid;             /* [T, D] the residual stream after attention */
    float *q, *k, *v;       /* [T, H|Hk|Hk, d] q and k after norm and rotation */
    float *o;               /* [T, H, d] attention output */
    float *lse;             /* [H, T] */
    float *r1, *r2;         /* [T] 1 / rms of the two norms */
    float *gate, *up;       /* [T, F] */
    float *t;               /* [T, rank] of each branch, one behind the other */
    float *q_raw, *k_raw;   /* qk_norm: before the norm */
    float *rq, *rk;         /* qk_norm: [T, H], [T, Hk] */
    struct weft_kept kept;  /* zero: kept in f32, in the arrays above */
};

/* Sizes that decide the memory of a pass. */
struct weft_pass_shape {
    size_t T, D, F, H, Hk, d, L, V;
    size_t rank_sum;        /* of the branches of a layer */
    size_t dora;            /* widest output of a layer with DoRA; 0: none */
    size_t lowest;          /* the lowest layer with something to train; L: none */
    size_t n_x, n_acts;     /* residual streams and layers kept */
    size_t loss_rows;
    bool qk_norm, backward, checkpointing;
    bool low;               /* layers are kept in bf16 */
};

struct weft_pass {
    struct weft_compute *compute;
    struct weft_arena arena;
    struct weft_pass_shape s;
    float **x;              /* [n_x] each [T, D] */
    struct weft_acts *acts;      /* [n_acts] */

    /* scratch; the head's logits stand in the same place, since either is at rest while the other is in use */
    float *x_again;         /* [T, D] s.low: a layer's input as its backward reads it, where o was */
    float *norm;            /* [T, D] a norm's output, and its gradient's */
    float *dora;            /* [T, s.dora] */
    float *x_drop;          /* [T, max(D, Hd)] */
    float *wide;            /* [T, max(F, D, Hd)] silu(gate)*up; the dropout scratch of backward; s.low: x_drop */
    float *dnorm;           /* [T, D] */
    float *dgate, *dup;     /* [T, F] */
    float *dq, *dk, *dv;    /* [T, H|Hk|Hk, d] */
    float *dout;            /* [T, H, d] */
    float *delta;           /* [H, T] */
    float *dt;              /* [T, rank_sum] */

    /* the head */
    int32_t *rows, *targets, *row_seq;  /* [T] of the rows that carry loss, n of them, ascending */
    float *last_x, *last_o; /* [n, D], [n, H, d] input and attention output of the last layer in those rows */
    float *final;           /* [n, D] final norm of the last layer's output */
    float *r_final;         /* [n] */
    float *dh;              /* [T, D] the gradient of the residual stream */
    float *logits;          /* [loss_rows, V] */
    float *coef;            /* [loss_rows] */
    double *loss;           /* [loss_rows] */

    float *rope_cos, *rope_sin, *rope_inv;  /* own table, where sequences may be longer than the model's */
    size_t n_positions;
    struct weft_pass *losses;   /* the same memory laid out for batches that are only measured; NULL: as it is */
    float noise_alpha;
    void (*layer_done)(void *ctx, size_t layer);
    void *layer_ctx;
};

static inline size_t weft_rank_of(const struct weft_linear *l) { return l->branch ? l->branch->rank : 0; }

/* The lowest layer whose backward must run; n_layers when only the final norm or the head train, or nothing. */
size_t weft_lowest_trained(const struct weft_model *m);

/* The model's branches and trainable tensors are still those that the pass was made for. */
bool weft_pass_fits(const struct weft_pass *p, const struct weft_model *m);

#endif
