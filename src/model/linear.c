#include "model/linear.h"

static uint64_t mask_stream(const struct weft_run *run, const struct weft_branch *b)
{
    return run->micro_step << 32 | b->module_id;
}

static bool drops(const struct weft_run *run, const struct weft_branch *b) { return run->dropout && b->dropout > 0; }

/* The x that A sees. */
static const float *dropped(const struct weft_run *run, const struct weft_linear *l, const float *x,
                            float *x_drop, size_t T)
{
    const struct weft_branch *b = l->branch;
    if (!drops(run, b)) return x;
    weft_dropout(run->compute, x_drop, x, T * l->n_in, b->dropout, run->seed, mask_stream(run, b));
    return x_drop;
}

void weft_linear_branch_in(const struct weft_run *run, const struct weft_linear *l, float *t, const float *x,
                           float *x_drop, size_t T)
{
    const struct weft_branch *b = l->branch;
    if (!weft_linear_branched(l)) return;
    weft_gemm(run->compute, &(struct weft_gemm){
        .m = T, .n = b->rank, .k = l->n_in, .a = dropped(run, l, x, x_drop, T), .lda = l->n_in,
        .b = b->a, .ldb = l->n_in, .b_rows_are_outputs = true, .c = t, .ldc = b->rank });
}

void weft_linear_forward(const struct weft_run *run, const struct weft_linear *l, float *y, bool accumulate, float *t,
                         const float *x, float *x_drop, size_t T)
{
    const struct weft_branch *b = l->branch;
    weft_gemm(run->compute, &(struct weft_gemm){
        .m = T, .n = l->n_out, .k = l->n_in, .a = x, .lda = l->n_in, .b = l->w, .b_type = l->type, .ldb = l->n_in,
        .b_rows_are_outputs = true, .c = y, .ldc = l->n_out, .accumulate = accumulate, .bias = l->bias });
    if (!weft_linear_branched(l)) return;
    weft_linear_branch_in(run, l, t, x, x_drop, T);
    weft_gemm(run->compute, &(struct weft_gemm){ .m = T,
                                                 .n = l->n_out,
                                                 .k = b->rank,
                                                 .a = t,
                                                 .lda = b->rank,
                                                 .b = b->b,
                                                 .ldb = b->rank,
                                                 .b_rows_are_outputs = true,
                                                 .c = y,
                                                 .ldc = l->n_out,
                                                 .accumulate = true,
                                                 .alpha = b->scale });
}

void weft_linear_backward_x(const struct weft_run *run, const struct weft_linear *l, float *dx,
                            bool accumulate, float *dt, const float *dy, float *tmp, size_t T)
{
    const struct weft_branch *b = l->branch;
    if (dx)
        weft_gemm(run->compute, &(struct weft_gemm){
            .m = T, .n = l->n_in, .k = l->n_out, .a = dy, .lda = l->n_out, .b = l->w, .b_type = l->type, .ldb = l->n_in,
            .c = dx, .ldc = l->n_in, .accumulate = accumulate });
    if (!weft_linear_branched(l) || (!dx && !b->da)) return;
    weft_gemm(run->compute, &(struct weft_gemm){ .m = T,
                                                 .n = b->rank,
                                                 .k = l->n_out,
                                                 .a = dy,
                                                 .lda = l->n_out,
                                                 .b = b->b,
                                                 .ldb = b->rank,
                                                 .c = dt,
                                                 .ldc = b->rank,
                                                 .alpha = b->scale });
    if (!dx) return;
    bool masked = drops(run, b);
    weft_gemm(run->compute, &(struct weft_gemm){
        .m = T, .n = l->n_in, .k = b->rank, .a = dt, .lda = b->rank, .b = b->a, .ldb = l->n_in, .c = masked ? tmp : dx,
        .ldc = l->n_in, .accumulate = !masked });
    if (masked) weft_dropout_add(run->compute, dx, tmp, T * l->n_in, b->dropout, run->seed, mask_stream(run, b));
}

void weft_linear_backward_w(const struct weft_run *run, const struct weft_linear *l, const float *dy, const float *t,
                            const float *dt, const float *x, float *x_drop, size_t T)
{
    const struct weft_branch *b = l->branch;
    if (l->dbias) weft_bias_backward(run->compute, l->dbias, dy, T, l->n_out);
    if (l->dw)
        weft_gemm(run->compute, &(struct weft_gemm){
            .m = l->n_out, .n = l->n_in, .k = T, .a = dy, .lda = l->n_out, .a_transposed = true, .b = x, .ldb = l->n_in,
            .c = l->dw, .ldc = l->n_in, .accumulate = true });
    if (!weft_linear_branched(l) || !b->da) return;
    weft_gemm(run->compute, &(struct weft_gemm){
        .m = l->n_out, .n = b->rank, .k = T, .a = dy, .lda = l->n_out, .a_transposed = true, .b = t, .ldb = b->rank,
        .c = b->db, .ldc = b->rank, .accumulate = true, .alpha = b->scale });
    weft_gemm(run->compute, &(struct weft_gemm){
        .m = b->rank, .n = l->n_in, .k = T, .a = dt, .lda = b->rank, .a_transposed = true,
        .b = dropped(run, l, x, x_drop, T), .ldb = l->n_in, .c = b->da, .ldc = l->n_in, .accumulate = true });
}
