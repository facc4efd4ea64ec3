/* train/moments.h - Adam's two moments of one tensor, in f32 or in 8-bit codes, and the step they give
 *
 *     m <- b1 m + (1-b1) g;   v <- b2 v + (1-b2) g^2;   N = m / (sqrt(v) + eps)
 *
 * The bias corrections are the caller's: they go into its step size, which is where the optimizers that share this
 * file have them (Q5).
 *
 * Codes: blocks of 256 consecutive values, each with its largest magnitude; a value is that times one of 256 numbers of
 * a table whose steps grow with the value (arXiv:2110.02861).  m is signed, v is not.
 *
 * Threads: a step cuts its tensor over the pool in pieces that hang on nothing but its length.
 */
#ifndef WEFT_TRAIN_MOMENTS_H
#define WEFT_TRAIN_MOMENTS_H

#include "train/optimizer.h"

enum { WEFT_CODE_BLOCK = 256, WEFT_CODE_LEAST = 4096 };     /* shorter tensors keep f32 */

struct weft_code_map {
    float value[256];       /* ascending */
    float bound[255];       /* halfway from value i to i+1; on it, the lower code */
};
void weft_code_map(struct weft_code_map *map, bool with_sign);
/* The code whose value is nearest x, |x| <= 1. */
unsigned weft_code_of(const struct weft_code_map *map, float x);

struct weft_moments {
    float *m, *v;           /* [n] NULL: in codes */
    uint8_t *qm, *qv;       /* [n] */
    float *am, *av;         /* [ceil(n / 256)] */
    size_t n;
};

struct weft_moments_step {
    const struct weft_code_map *maps;       /* [2] with and without sign; not read for f32 */
    const float *g;         /* [n] */
    float g_scale;          /* of g (clipping) */
    double beta1, beta2, eps;
    bool skip_bad;          /* where g is NaN or infinite the moments become 0 and p stays */
    float *out;             /* [n] N; NULL: not wanted; may be g */
    /* p [n] <- (p - rate N) keep; NULL: no such tensor */
    float *p;
    double rate, keep;
};
void weft_moments_step(struct weft_compute *c, const struct weft_moments *m, const struct weft_moments_step *s);

/* sqrt(1 - b2^t) / (1 - b1^t): the bias corrections of update t (1, 2 ...) as a factor of the rate. */
double weft_moments_correction(const struct weft_recipe *r, double t);

/* The reference's own optimizers leave out of the decay what is called a bias, and nothing else (Q8). */
bool weft_decays_unless_bias(const struct weft_param *p);

/* p <- (p - rate x) keep. */
void weft_step_apply(struct weft_compute *c, float *p, const float *x, size_t n, double rate, double keep);

/* ---- slots of an optimizer ---- */

/* The slots that moments take, from number 0 on: two of f32, two of codes and two of their scales. */
enum { WEFT_MOMENT_SLOTS = 6 };
#define WEFT_MOMENT_SLOT_NAMES \
    "exp_avg", "exp_avg_sq", "exp_avg_codes", "exp_avg_sq_codes", "exp_avg_scales", "exp_avg_sq_scales"
/* Bytes of the moments of n values. */
size_t weft_moments_bytes(size_t n, bool coded);
/* len [params->n]: how many values of each parameter have moments (0: none); of those of at least WEFT_CODE_LEAST and
 * coded [params->n] (NULL: none) in codes. */
WEFT_MUST_USE enum weft_status weft_moments_slots(struct weft_optimizer_state *s, const size_t *len, const bool *coded,
                                                  struct weft_arena *a, struct weft_err *err);
struct weft_moments weft_moments_of(const struct weft_optimizer_state *s, size_t param);

#endif
