/* train/projection.h - gradients of a matrix seen in r directions of its rows, of its columns, or of both
 *
 * G [m, n] becomes
 *   right:  R = G Q^T        [m, r]     Q [r, n] orthonormal rows, the leading right singular vectors of a gradient
 *   left:   R = U G          [r, n]     U [r, m] the leading left ones, as rows
 *   full:   R = U G Q^T      [r, r]
 * and a step N of R's shape goes back by N Q, U^T N, U^T N Q.  GaLore (arXiv:2403.03507), section 4; APOLLO takes
 * random numbers for the vectors (arXiv:2412.05270).
 *
 * Singular vectors come from the eigenvectors of the Gram matrix of the gradient's shorter side, in f64: the same for
 * every thread count.  A singular vector's sign is free; here its entry of largest magnitude is positive.
 */
#ifndef WEFT_TRAIN_PROJECTION_H
#define WEFT_TRAIN_PROJECTION_H

#include "train/optimizer.h"

enum weft_proj_type { WEFT_PROJ_STD, WEFT_PROJ_REVERSE_STD, WEFT_PROJ_RIGHT, WEFT_PROJ_LEFT, WEFT_PROJ_FULL };

/* Is p one of the matrices that `targets` names?  As the reference reads galore_target and apollo_target: "all" is every
 * linear layer, anything else a part of the name, "mlp" too. */
bool weft_projection_wanted(const struct weft_str_list *targets, const struct weft_param *p);

struct weft_projection {
    size_t m, n, r;
    float *left, *right;    /* [r, m], [r, n]; NULL: not of this kind */
};
/* The shape of a matrix's projection: which sides it has, and r <= min(m, n).  left and right are not yet set. */
struct weft_projection_shape {
    size_t m, n, r;
    bool left, right;
};
struct weft_projection_shape weft_projection_shape(enum weft_proj_type type, size_t m, size_t n, size_t rank);
/* Values of R. */
size_t weft_projected_len(const struct weft_projection_shape *s);

/* Values kept of a matrix: R's, or of one that is not projected (r 0) its own. */
size_t weft_projection_low_len(const struct weft_projection_shape *s);

/* The largest of several matrices in each respect; those that are not projected do not count. */
struct weft_projection_room {
    size_t side, longest, rows;     /* shorter side, longer side, m */
    size_t r, low, half;            /* rank, values of R, scratch of projections to both sides */
};
void weft_projection_room_add(struct weft_projection_room *room, const struct weft_projection_shape *s);

/* Scratch for matrices of up to `side` on their shorter side and `longest` on the longer, rank `r`. */
struct weft_svd {
    double *gram, *vectors, *values, *work, *across;
};
size_t weft_svd_bytes(size_t side, size_t longest, size_t r);
WEFT_MUST_USE enum weft_status weft_svd_init(struct weft_svd *s, size_t side, size_t longest, size_t r,
                                             struct weft_arena *a, struct weft_err *err);

/* The vectors of g [m, n].  Directions in which g has nothing are zero. */
void weft_projection_singular(struct weft_compute *c, const struct weft_projection *p, struct weft_svd *s,
                              const float *g);
/* N(0, 1) / sqrt(r), a function of seed and stream. */
void weft_projection_random(const struct weft_projection *p, uint64_t seed, uint64_t stream);

/* out (R's shape) = scale * the projection of g [m, n], += when accumulate; half [r * n]: scratch, read for full
 * only. */
void weft_project(struct weft_compute *c, const struct weft_projection *p, const float *g, float scale, bool accumulate,
                  float *out, float *half);
/* w [m, n] += scale * x (R's shape) brought back. */
void weft_project_back(struct weft_compute *c, const struct weft_projection *p, const float *x, double scale, float *w,
                       float *half);

#endif
