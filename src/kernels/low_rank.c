/* The third product of a low-rank term, C += alpha * t op(out).
 *
 * Its sums are short (the rank), so on its own it would be bound by reading and writing C.  Therefore a task of the
 * large product adds it to its panel of C, which is still in L2. */
#include "kernels/table.h"

enum { PIECE = 16384 };                 /* elements of t that one task packs: mostly all of them */

static size_t block_len(const struct weft_low_term *term) { return term->level->block_units * term->level->unit_len; }

static const float *out_at(const struct weft_low_term *term, size_t col, size_t r)
{
    return term->rows_are_outputs ? term->low->out + col * term->low->rank + r : term->low->out + r * term->n + col;
}

size_t weft_low_term_plan(struct weft_low_term *term, const struct weft_gemm_level *level, const struct weft_gemm *g,
                          size_t rows)
{
    *term = (struct weft_low_term){ 0 };
    if (!g->low) return 0;
    size_t units = weft_ceil_div(g->low->rank, level->unit_len);
    *term = (struct weft_low_term){ .low = g->low, .level = level, .rows_are_outputs = g->b_rows_are_outputs, .n = g->n,
                                    .rows = rows, .blocks = weft_ceil_div(units, level->block_units),
                                    .lda = weft_min_size(units, level->block_units) };
    return (term->blocks * rows * term->lda + 15) / 16 * 16;
}

struct packing {
    const struct weft_low_term *term;
    size_t m0, per_piece;
};

static void pack_task(void *ctx, size_t chunk, int thread)
{
    const struct packing *p = ctx;
    const struct weft_low_term *term = p->term;
    size_t row = chunk * p->per_piece, rows = weft_min_size(p->per_piece, term->rows - row), rank = term->low->rank;
    for (size_t b = 0; b < term->blocks; b++) {
        size_t r = b * block_len(term);
        term->level->pack_a(term->t + (b * term->rows + row) * term->lda, term->lda,
                            term->low->t + (p->m0 + row) * rank + r, rank, false, rows,
                            weft_min_size(block_len(term), rank - r));
    }
}

void weft_low_term_pack(struct weft_compute *c, struct weft_low_term *term, size_t m0)
{
    if (!term->low) return;
    struct packing p = { term, m0, weft_max_size(PIECE / term->low->rank, 1) };
    weft_compute_run(c, weft_ceil_div(term->rows, p.per_piece), pack_task, &p);
}

void weft_low_term_add(const struct weft_low_term *term, uint32_t *panel, size_t row, size_t rows, size_t col, size_t n,
                       float *c, size_t ldc)
{
    if (!term->low) return;
    size_t rank = term->low->rank, ldb = term->rows_are_outputs ? rank : term->n;
    for (size_t b = 0; b < term->blocks; b++) {
        size_t r = b * block_len(term), len = weft_min_size(block_len(term), rank - r);
        term->level->pack_b(panel, out_at(term, col, r), WEFT_F32, ldb, term->rows_are_outputs, n, len);
        term->level->multiply(rows, weft_ceil_div(len, term->level->unit_len),
                              term->t + (b * term->rows + row) * term->lda, term->lda,
                              &(struct weft_panel){ .units = panel, .n = n }, c, ldc, true,
                              term->low->alpha != 0 ? term->low->alpha : 1, NULL);
    }
}
