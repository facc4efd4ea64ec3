/* kernels/profile.h - where the time of a run goes: seconds, calls, FLOP and bytes of every kind of operation
 *
 * A profile hangs on a struct weft_compute; without one an operation pays a branch.  The kernels open a span each, and
 * so may whoever uses them, around work of their own (an optimizer, the reading of rows); of spans within spans the
 * outermost counts.
 * FLOP are those of the mathematics (2 m n k of a product), bytes what must be read and written at least once.
 * Threads: as its compute, one caller's at a time.
 */
#ifndef WEFT_KERNELS_PROFILE_H
#define WEFT_KERNELS_PROFILE_H

#include "kernels/kernels.h"

enum weft_op {
    WEFT_OP_FORWARD, WEFT_OP_BACKWARD_X, WEFT_OP_BACKWARD_W,    /* products: y = x W^T, dx = dy W, dW = dy^T x */
    WEFT_OP_ATTENTION, WEFT_OP_ATTENTION_BACKWARD, WEFT_OP_NORM, WEFT_OP_NORM_BACKWARD, WEFT_OP_ROPE, WEFT_OP_SWIGLU,
    WEFT_OP_SWIGLU_BACKWARD, WEFT_OP_LOSS, WEFT_OP_EMBED, WEFT_OP_EMBED_BACKWARD, WEFT_OP_ELEMENTS, WEFT_OP_CONVERT,
    WEFT_OP_GRADIENTS, WEFT_OP_OPTIMIZER, WEFT_OP_DATA, WEFT_OP_VALIDATION, WEFT_OP_SAVE,
    WEFT_N_OPS
};

/* One line: an operation, and of products the shape and type of the matrix W [n_out, n_in]. */
struct weft_profile_row {
    enum weft_op op;
    size_t n_out, n_in;
    const char *type;                   /* "f32", "bf16", "q4_0"; NULL: no product */
    char matrix[64];                    /* for the caller: what W is; "" */
    uint64_t calls;
    double seconds, flop, bytes;
};

enum { WEFT_PROFILE_ROWS = 96 };
struct weft_profile {
    struct weft_profile_row rows[WEFT_PROFILE_ROWS];    /* products beyond are added to the last row of their op */
    size_t n;
    int depth;
    double began, seconds;              /* wall time: of weft_profile_start, and from there to weft_profile_stop */
    double peak, read;                  /* of this machine, FLOP/s and bytes/s, measured at the start */
};

/* Measures the machine (some milliseconds; `bytes` at `memory` are read, e.g. the weights), empties p and hangs it on
 * c.  exact: products are f32. */
void weft_profile_start(struct weft_profile *p, struct weft_compute *c, bool exact, const void *memory, size_t bytes);
/* Takes it off again. */
void weft_profile_stop(struct weft_profile *p, struct weft_compute *c);

/* English; keys of the catalogue: "attention forward". */
const char *weft_op_name(enum weft_op op);

/* ---- spans ---- */

struct weft_span {
    struct weft_profile *profile;       /* NULL: nothing is measured */
    struct weft_profile_row *row;       /* NULL: within another span */
    double begun;
};
struct weft_span weft_profile_open(struct weft_profile *p, enum weft_op op, const struct weft_gemm *g, double bytes);
void weft_profile_close(struct weft_span *s);

static inline struct weft_span weft_span(const struct weft_compute *c, enum weft_op op, double bytes)
{
    return c->profile ? weft_profile_open(c->profile, op, NULL, bytes) : (struct weft_span){ 0 };
}
static inline struct weft_span weft_span_gemm(const struct weft_compute *c, const struct weft_gemm *g)
{
    return c->profile ? weft_profile_open(c->profile, WEFT_OP_FORWARD, g, 0) : (struct weft_span){ 0 };
}
static inline void weft_span_end(struct weft_span *s)
{
    if (s->profile) weft_profile_close(s);
}
/* WEFT_SPAN(span) = weft_span(c, ...); ends with its block, which clang 14 does not take for a use. */
#define WEFT_SPAN(name) __attribute__((cleanup(weft_span_end), unused)) struct weft_span name

#endif
