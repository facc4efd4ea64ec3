#include "kernels/profile.h"

#include "kernels/measure.h"
#include "kernels/quant.h"

static const char *const names[WEFT_N_OPS] = {
    [WEFT_OP_FORWARD] = "products, forward",
    [WEFT_OP_BACKWARD_X] = "products, backward by x",
    [WEFT_OP_BACKWARD_W] = "products, backward by W",
    [WEFT_OP_ATTENTION] = "attention, forward",
    [WEFT_OP_ATTENTION_BACKWARD] = "attention, backward",
    [WEFT_OP_NORM] = "norms, forward",
    [WEFT_OP_NORM_BACKWARD] = "norms, backward",
    [WEFT_OP_ROPE] = "rotary positions",
    [WEFT_OP_SWIGLU] = "SwiGLU, forward",
    [WEFT_OP_SWIGLU_BACKWARD] = "SwiGLU, backward",
    [WEFT_OP_LOSS] = "cross entropy",
    [WEFT_OP_EMBED] = "token vectors",
    [WEFT_OP_EMBED_BACKWARD] = "token vectors, backward",
    [WEFT_OP_ELEMENTS] = "sums, dropout, biases",
    [WEFT_OP_CONVERT] = "conversion, dequantising",
    [WEFT_OP_GRADIENTS] = "gradients: clearing, norm",
    [WEFT_OP_OPTIMIZER] = "optimizer",
    [WEFT_OP_DATA] = "making batches",
    [WEFT_OP_VALIDATION] = "validation",
    [WEFT_OP_SAVE] = "saving",
};

const char *weft_op_name(enum weft_op op) { return names[op]; }

void weft_profile_start(struct weft_profile *p, struct weft_compute *c, bool exact, const void *memory, size_t bytes)
{
    *p = (struct weft_profile){ 0 };
    p->peak = weft_measure_peak(c->pool, c->isa, exact || c->exact);
    if (bytes) p->read = weft_measure_read(c->pool, memory, bytes);
    p->began = weft_clock_seconds();
    c->profile = p;
}

void weft_profile_stop(struct weft_profile *p, struct weft_compute *c)
{
    if (c->profile != p) return;
    p->seconds = weft_clock_seconds() - p->began;
    c->profile = NULL;
}

static struct weft_profile_row *row_of(struct weft_profile *p, enum weft_op op, size_t n_out, size_t n_in,
                                       const char *type)
{
    struct weft_profile_row *same_op = NULL;
    for (size_t i = 0; i < p->n; i++) {
        struct weft_profile_row *r = &p->rows[i];
        if (r->op == op && r->n_out == n_out && r->n_in == n_in && r->type == type) return r;
        if (r->op == op) same_op = r;
    }
    /* room is left for a row of every other operation */
    if (p->n + WEFT_N_OPS >= WEFT_PROFILE_ROWS && (same_op || p->n == WEFT_PROFILE_ROWS)) return same_op;
    p->rows[p->n] = (struct weft_profile_row){ .op = op, .n_out = n_out, .n_in = n_in, .type = type };
    return &p->rows[p->n++];
}

static struct weft_profile_row *row_of_gemm(struct weft_profile *p, const struct weft_gemm *g)
{
    static const char *const types[] = { [WEFT_F32] = "f32", [WEFT_BF16] = "bf16", [WEFT_F16] = "f16" };
    const struct weft_quant *q = g->b_type == WEFT_QUANT ? g->b : NULL;
    const char *type = q ? q->format->name : types[g->b_type];
    if (g->a_transposed) return row_of(p, WEFT_OP_BACKWARD_W, g->m, g->n, type);
    if (g->b_rows_are_outputs) return row_of(p, WEFT_OP_FORWARD, g->n, g->k, type);
    return row_of(p, WEFT_OP_BACKWARD_X, g->k, g->n, type);
}

struct weft_span weft_profile_open(struct weft_profile *p, enum weft_op op, const struct weft_gemm *g, double bytes)
{
    struct weft_span s = { .profile = p };
    if (p->depth++) return s;
    s.row = g ? row_of_gemm(p, g) : row_of(p, op, 0, 0, NULL);
    if (s.row) {
        s.row->calls++;
        s.row->bytes += bytes;
        if (g) s.row->flop += 2.0 * (double)g->m * (double)g->n * (double)g->k;
    }
    s.begun = weft_clock_seconds();
    return s;
}

void weft_profile_close(struct weft_span *s)
{
    s->profile->depth--;
    if (s->row) s->row->seconds += weft_clock_seconds() - s->begun;
}
