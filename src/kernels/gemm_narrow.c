/* C [m,n] = A^T B for a narrow B: the gradient dB [out, rank] += dy^T t of an adapter.
 *
 * Packed as usual, the wide operand would be A, and transposed, which is the dearest way to pack.  So the operands
 * change places: C^T = B^T A, the few columns of B become the rows, and panels of A are packed as they lie, two rows
 * zipped at a time.  C is turned into scratch and back, 64 of its rows at a time; every element goes through the same
 * chain as ever, since the dot instructions do not mind which operand comes first. */
#include "kernels/table.h"

struct narrow {
    struct weft_compute *c;
    const struct weft_gemm *g;
    const struct weft_gemm_level *level;
    size_t n_blocks, lda;
    uint32_t *rows;                     /* [n_blocks][n][lda]: B^T */
    float alpha;
};

static size_t block_len(const struct narrow *p) { return p->level->block_units * p->level->unit_len; }

static void multiply_task(void *ctx, size_t chunk, int thread)
{
    const struct narrow *p = ctx;
    const struct weft_gemm *g = p->g;
    size_t cols = p->level->panel_cols, from = chunk * cols, n = weft_min_size(cols, g->m - from);
    uint32_t *panel = p->c->scratch[thread];
    float *turned = (float *)(panel + p->level->block_units * cols), *c = g->c + from * g->ldc;     /* [g->n, cols] */
    for (size_t i = 0; g->accumulate && i < n; i++)
        for (size_t j = 0; j < g->n; j++) turned[j * cols + i] = c[i * g->ldc + j];
    for (size_t b = 0; b < p->n_blocks; b++) {
        size_t k = b * block_len(p), len = weft_min_size(block_len(p), g->k - k);
        p->level->pack_b(panel, g->a + k * g->lda + from, WEFT_F32, g->lda, false, n, len);
        p->level->multiply(g->n, weft_ceil_div(len, p->level->unit_len), p->rows + b * g->n * p->lda, p->lda,
                           &(struct weft_panel){ .units = panel, .n = n }, turned, cols, b || g->accumulate,
                           p->alpha, NULL);
    }
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < g->n; j++) c[i * g->ldc + j] = turned[j * cols + i];
}

bool weft_gemm_narrow(struct weft_compute *c, const struct weft_gemm *g, const struct weft_gemm_level *level)
{
    if (!g->a_transposed || g->b_type != WEFT_F32 || g->b_rows_are_outputs || g->bias || g->n > level->panel_cols
        || g->m < 2 * g->n)
        return false;
    size_t units = weft_ceil_div(g->k, level->unit_len);
    struct narrow p = { .c = c, .g = g, .level = level, .n_blocks = weft_ceil_div(units, level->block_units),
                        .lda = weft_min_size(units, level->block_units), .alpha = g->alpha != 0 ? g->alpha : 1 };
    if (!weft_compute_need_shared(c, 4 * p.n_blocks * g->n * p.lda)) return false;
    if (!weft_compute_need_scratch(c, 4 * (level->block_units + g->n) * level->panel_cols)) return false;
    p.rows = c->shared;
    for (size_t b = 0; b < p.n_blocks && !c->counted; b++) {
        size_t k = b * block_len(&p);
        level->pack_a(p.rows + b * g->n * p.lda, p.lda, (const float *)g->b + k * g->ldb, g->ldb, true, g->n,
                      weft_min_size(block_len(&p), g->k - k));
    }
    weft_compute_run(c, weft_ceil_div(g->m, level->panel_cols), multiply_task, &p);
    return true;
}
