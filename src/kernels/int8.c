/* Products whose weights are int8 with a scale for each output row, multiplied in int8.
 *
 * A row of A becomes bytes and one scale, its largest magnitude / 127.  Forward (y = x W^T) the scale of an output
 * multiplies its column; backward (dx = dy W) the sum runs over the outputs, so their scales multiply dy before it is
 * rounded, and one copy of W serves both.  Sums over a block of k are exact integers; blocks are added in f32, in
 * order, so that ref and the fast level give the same bits, and so do any number of threads. */
#include "kernels/ref/ref.h"

#include <math.h>

enum { ROW_BLOCK = 1008, PACK_ROWS = 16, SPLIT_ROWS = 96, UNIT = 4 };

struct int8_part {                      /* a product */
    const struct weft_gemm *g;
    const struct weft_quant *q;
    size_t first;                       /* its first panel */
    struct weft_low_term low;
};

struct int8_product {
    struct weft_compute *c;
    const struct weft_int8_level *level;
    const struct weft_gemm *g;          /* the first: A, alpha and direction are those of all */
    struct int8_part parts[WEFT_GEMM_GROUP];
    size_t n, m0, rows, n_blocks, lda, panels, row_parts, part_rows;
    uint32_t *a;                        /* [n_blocks][rows][lda] */
    float *scales;                      /* [rows] */
    float alpha;
};

static void pack_task(void *ctx, size_t chunk, int thread)
{
    const struct int8_product *p = ctx;
    const float *factor = p->g->b_rows_are_outputs ? NULL : p->parts[0].q->scales;
    size_t end = weft_min_size((chunk + 1) * PACK_ROWS, p->rows);
    for (size_t i = chunk * PACK_ROWS; i < end; i++)
        p->scales[i] = p->alpha
                       * p->level->quantise_row(p->a + i * p->lda, p->rows * p->lda,
                                                p->g->a + (p->m0 + i) * p->g->lda, factor, p->g->k);
}

static void multiply_task(void *ctx, size_t chunk, int thread)
{
    const struct int8_product *p = ctx;
    size_t index = chunk / p->row_parts, row = chunk % p->row_parts * p->part_rows, i = p->n - 1;
    while (p->parts[i].first > index) i--;
    const struct int8_part *part = &p->parts[i];
    const struct weft_gemm *g = part->g;
    size_t cols = p->level->panel_cols, col = (index - part->first) * cols, ldq = part->q->cols;
    size_t rows = weft_min_size(p->part_rows, p->rows - row), n = weft_min_size(cols, g->n - col);
    uint32_t *panel = p->c->scratch[thread];
    int32_t *sums = (int32_t *)(panel + WEFT_INT8_BLOCK / UNIT * cols);
    float *c = g->c + (p->m0 + row) * g->ldc + col;
    for (size_t block = 0; block < p->n_blocks; block++) {
        size_t k = block * WEFT_INT8_BLOCK, len = weft_min_size(WEFT_INT8_BLOCK, g->k - k);
        const int8_t *b = (const int8_t *)part->q->data + (g->b_rows_are_outputs ? col * ldq + k : k * ldq + col);
        p->level->pack(panel, sums, b, ldq, g->b_rows_are_outputs, n, len);
        p->level->multiply(rows, weft_ceil_div(len, UNIT), p->a + (block * p->rows + row) * p->lda, p->lda,
                           panel, sums, n, c, g->ldc, block || g->accumulate, p->scales + row,
                           g->b_rows_are_outputs ? part->q->scales + col : NULL,
                           !block && g->bias ? g->bias + col : NULL);
    }
    weft_low_term_add(&part->low, panel, row, rows, col, n, c, g->ldc);
}

static bool multiply_block(struct int8_product *p)
{
    const struct weft_gemm_level *thin = p->c->k->gemm;
    size_t threads = (size_t)weft_pool_threads(p->c->pool), units = weft_ceil_div(p->g->k, UNIT);
    size_t panel = (WEFT_INT8_BLOCK / UNIT + 1) * p->level->panel_cols, t_units[WEFT_GEMM_GROUP];
    p->n_blocks = weft_ceil_div(p->g->k, WEFT_INT8_BLOCK);
    p->lda = weft_min_size(units, WEFT_INT8_BLOCK / UNIT);
    p->row_parts = 1;
    if (p->panels < 4 * threads)        /* each part packs its panels anew; parts are few */
        p->row_parts = weft_min_size(weft_ceil_div(2 * threads, p->panels), weft_ceil_div(p->rows, SPLIT_ROWS));
    p->part_rows = weft_ceil_div(weft_ceil_div(p->rows, p->row_parts), 6) * 6;
    p->row_parts = weft_ceil_div(p->rows, p->part_rows);
    size_t a_units = p->n_blocks * p->rows * p->lda, all = (a_units + p->rows + 15) / 16 * 16, t = all;
    for (size_t i = 0; i < p->n; i++) {
        t_units[i] = weft_low_term_plan(&p->parts[i].low, thin, p->parts[i].g, p->rows);
        all += t_units[i];
    }
    if (!weft_compute_need_shared(p->c, 4 * all)) return false;
    if (!weft_compute_need_scratch(p->c, 4 * weft_max_size(panel, thin->block_units * thin->panel_cols))) return false;
    p->a = p->c->shared;
    p->scales = (float *)p->c->shared + a_units;
    weft_compute_run(p->c, weft_ceil_div(p->rows, PACK_ROWS), pack_task, p);
    for (size_t i = 0; i < p->n; t += t_units[i++]) {
        p->parts[i].low.t = p->a + t;
        weft_low_term_pack(p->c, &p->parts[i].low, p->m0);
    }
    weft_compute_run(p->c, p->panels * p->row_parts, multiply_task, p);
    return true;
}

bool weft_int8_gemm(struct weft_compute *c, const struct weft_gemm *const *g, size_t n)
{
    struct int8_product p = { .c = c, .g = g[0], .level = c->k->int8, .n = n,
                              .alpha = g[0]->alpha != 0 ? g[0]->alpha : 1 };
    for (size_t i = 0; i < n; i++) {
        p.parts[i] = (struct int8_part){ .g = g[i], .q = g[i]->b, .first = p.panels };
        p.panels += weft_ceil_div(g[i]->n, p.level->panel_cols);
    }
    for (p.m0 = 0; p.m0 < p.g->m; p.m0 += ROW_BLOCK) {
        p.rows = weft_min_size(ROW_BLOCK, p.g->m - p.m0);
        /* The first block is the largest: when memory is out, it is before anything was written. */
        if (!multiply_block(&p)) return false;
    }
    return true;
}

/* ---- the definition ---- */

static float value(const struct weft_gemm *g, const struct weft_quant *q, size_t row, size_t k)
{
    float a = g->a[row * g->lda + k];
    return g->b_rows_are_outputs ? a : a * q->scales[k];
}

static void plain_row(void *ctx, size_t row, int thread)
{
    const struct weft_gemm *g = ctx;
    const struct weft_quant *q = g->b;
    float max = 0, alpha = g->alpha != 0 ? g->alpha : 1;
    for (size_t k = 0; k < g->k; k++) max = fmaxf(max, fabsf(value(g, q, row, k)));
    float inverse = max != 0 ? 127 / max : 0, scale = alpha * (max / 127);
    for (size_t j = 0; j < g->n; j++) {
        float *c = g->c + row * g->ldc + j;
        for (size_t from = 0; from < g->k; from += WEFT_INT8_BLOCK) {
            int32_t sum = 0;
            for (size_t k = from; k < weft_min_size(from + WEFT_INT8_BLOCK, g->k); k++) {
                float byte = fminf(fmaxf(rintf(value(g, q, row, k) * inverse), -127), 127);
                sum += (int32_t)byte * (int8_t)q->data[g->b_rows_are_outputs ? j * q->cols + k : k * q->cols + j];
            }
            float v = (float)sum * scale * (g->b_rows_are_outputs ? q->scales[j] : 1);
            if (from || g->accumulate) v += *c;
            if (!from && g->bias) v += g->bias[j];
            *c = v;
        }
    }
}

void weft_ref_int8_gemm(struct weft_compute *c, const struct weft_gemm *g)
{
    struct weft_gemm plain = *g;
    weft_compute_run(c, g->m, plain_row, &plain);
}
