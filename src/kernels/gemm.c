/* Matrix products: cutting, packing, and which way a shape goes.
 *
 * Weights stay row-major as in the file.  A task packs one panel (64 columns x 128 units = 32 KiB on AVX-512) into
 * its scratch, where it sits in L1 while all rows pass over it: forward by 16 x 16 transposes, backward (dx = dy W)
 * by interleaving rows, so one copy of W serves both.  A is converted and packed once per call, by all threads, into
 * the shared scratch, one k-block after the other so that a tile reads consecutive memory.
 *
 * How many tasks there are follows the number of threads; the result does not, because every element of C is the
 * same chain of operations (k-blocks in order, units in order) whatever tile it falls into. */
#include "kernels/profile.h"
#include "kernels/ref/ref.h"

enum {
    ROW_BLOCK = 1008,       /* rows that share one packed panel; a multiple of every tile height */
    K_CHUNK = 8192,         /* elements of k packed at a time; bounds the packed A to 16 (bf16) or 32 MiB */
    PACK_ROWS = 32,         /* rows of A that one task packs */
    FAR_BYTES = 2 << 20,    /* packed A larger than this streams from L3 for every panel */
    SPLIT_ROWS = 96,        /* fewer rows than this are not worth a panel of their own */
    REF_ROWS = 16, REF_COLS = 64,
    GEMV_BYTES = 64 << 10   /* of B that one task streams */
};

/* ---- packed ---- */

struct product {
    struct weft_compute *c;
    const struct weft_gemm *g;
    const struct weft_gemm_level *level;
    size_t m0, rows;                    /* this row block */
    size_t k0, k_len, n_blocks, lda;    /* this chunk of k; lda: units between rows of packed A */
    size_t panels, row_parts, part_rows;
    size_t pack_tasks;                  /* that pack A; those after them pack panels ahead */
    uint32_t *a, *b;                    /* [n_blocks][rows][lda]; [panels][n_blocks][block_units][panel_cols] or NULL */
    float alpha;
};

static size_t block_len(const struct product *p) { return p->level->block_units * p->level->unit_len; }
static size_t panel_units(const struct product *p) { return p->level->block_units * p->level->panel_cols; }

static const float *a_at(const struct weft_gemm *g, size_t row, size_t k)
{
    return g->a_transposed ? g->a + k * g->lda + row : g->a + row * g->lda + k;
}

static const char *b_at(const struct weft_gemm *g, size_t col, size_t k)
{
    return weft_element(g->b, g->b_type, g->b_rows_are_outputs ? col * g->ldb + k : k * g->ldb + col);
}

/* ---- B quantised: dequantised a few rows at a time, which stay in L1 between dequantising and packing ---- */

enum { TILE_ROWS = 16, TILE_LEN = 256 };        /* a multiple of any vector; the longest block_len of the levels */

static enum weft_dtype tile_type(const struct weft_gemm_level *level)
{
    return level->unit_len == 2 ? WEFT_BF16 : WEFT_F32;
}

/* n columns by len of k from (col, k) on. */
static void pack_quantised(const struct product *p, uint32_t *out, uint32_t *tile, size_t col, size_t k, size_t n,
                           size_t len)
{
    const struct weft_gemm *g = p->g;
    const struct weft_quant *q = g->b;
    const struct weft_gemm_level *level = p->level;
    enum weft_dtype type = tile_type(level);
    size_t row_bytes = weft_dtype_bytes(type) * (g->b_rows_are_outputs ? TILE_LEN : level->panel_cols);
    if (g->b_rows_are_outputs) {
        for (size_t j = 0; j < n; j += TILE_ROWS) {
            size_t rows = weft_min_size(TILE_ROWS, n - j);
            for (size_t i = 0; i < rows; i++)
                p->c->k->dequantise((char *)tile + i * row_bytes, type, q, col + j + i, k, len);
            level->pack_b(out + j, tile, type, TILE_LEN, true, rows, len);
        }
        return;
    }
    for (size_t e = 0; e < len; e += TILE_ROWS) {
        size_t rows = weft_min_size(TILE_ROWS, len - e);
        for (size_t i = 0; i < rows; i++)
            p->c->k->dequantise((char *)tile + i * row_bytes, type, q, k + e + i, col, n);
        level->pack_b(out + e / level->unit_len * level->panel_cols, tile, type, level->panel_cols, false, n, rows);
    }
}

/* `tile`: behind the thread's panel. */
static void pack_panel(const struct product *p, uint32_t *out, uint32_t *tile, size_t panel, size_t block)
{
    const struct weft_gemm *g = p->g;
    size_t col = panel * p->level->panel_cols, k = block * block_len(p);
    if (g->b_type == WEFT_QUANT) {
        pack_quantised(p, out, tile, col, p->k0 + k, weft_min_size(p->level->panel_cols, g->n - col),
                       weft_min_size(block_len(p), p->k_len - k));
        return;
    }
    p->level->pack_b(out, b_at(g, col, p->k0 + k), g->b_type, g->ldb, g->b_rows_are_outputs,
                     weft_min_size(p->level->panel_cols, g->n - col), weft_min_size(block_len(p), p->k_len - k));
}

static uint32_t *thread_tile(const struct product *p, int thread)
{
    return (uint32_t *)p->c->scratch[thread] + panel_units(p);
}

static void pack_task(void *ctx, size_t chunk, int thread)
{
    const struct product *p = ctx;
    if (chunk >= p->pack_tasks) {
        size_t i = chunk - p->pack_tasks;
        pack_panel(p, p->b + i * panel_units(p), thread_tile(p, thread), i / p->n_blocks, i % p->n_blocks);
        return;
    }
    size_t row = chunk * PACK_ROWS, rows = weft_min_size(PACK_ROWS, p->rows - row);
    for (size_t block = 0; block < p->n_blocks; block++) {
        size_t k = block * block_len(p);
        p->level->pack_a(p->a + (block * p->rows + row) * p->lda, p->lda, a_at(p->g, p->m0 + row, p->k0 + k), p->g->lda,
                         p->g->a_transposed, rows, weft_min_size(block_len(p), p->k_len - k));
    }
}

/* Where the panel that this thread most likely packs next lies. */
static void look_ahead(const struct product *p, struct weft_panel *panel, size_t col, size_t block)
{
    const struct weft_gemm *g = p->g;
    size_t k = (block + 1) * block_len(p), cols = p->level->panel_cols;
    if (k >= p->k_len) {
        k = 0;
        col += cols * (size_t)weft_pool_threads(p->c->pool);
    }
    if (col + cols > g->n) return;
    size_t len = weft_min_size(block_len(p), p->k_len - k);
    panel->next_rows = g->b_rows_are_outputs ? cols : len;
    if (g->b_type == WEFT_QUANT) {
        const struct weft_quant *q = g->b;
        size_t row = g->b_rows_are_outputs ? col : p->k0 + k, at = g->b_rows_are_outputs ? p->k0 + k : col;
        panel->next = (const char *)weft_quant_at(q, row, at);
        panel->next_row_bytes = (g->b_rows_are_outputs ? len : cols) * q->format->block_bytes / q->format->block;
        panel->next_ld_bytes = q->cols * q->format->block_bytes / q->format->block;
        return;
    }
    size_t bytes = weft_dtype_bytes(g->b_type);
    panel->next = b_at(g, col, p->k0 + k);
    panel->next_row_bytes = bytes * (g->b_rows_are_outputs ? len : cols);
    panel->next_ld_bytes = g->ldb * bytes;
}

static void multiply_task(void *ctx, size_t chunk, int thread)
{
    const struct product *p = ctx;
    const struct weft_gemm *g = p->g;
    size_t index = chunk / p->row_parts, row = chunk % p->row_parts * p->part_rows, col = index * p->level->panel_cols;
    size_t rows = weft_min_size(p->part_rows, p->rows - row);
    float *c = g->c + (p->m0 + row) * g->ldc + col;
    for (size_t block = 0; block < p->n_blocks; block++) {
        size_t len = weft_min_size(block_len(p), p->k_len - block * block_len(p));
        struct weft_panel panel = { .n = weft_min_size(p->level->panel_cols, g->n - col) };
        bool first = p->k0 == 0 && block == 0;
        panel.far_a = p->n_blocks * p->rows * p->lda * sizeof *p->a > FAR_BYTES;
        panel.far_c = block == 0 && (!first || g->accumulate);
        if (p->b) {
            panel.units = p->b + (index * p->n_blocks + block) * panel_units(p);
        } else {
            pack_panel(p, p->c->scratch[thread], thread_tile(p, thread), index, block);
            panel.units = p->c->scratch[thread];
            look_ahead(p, &panel, col, block);
        }
        p->level->multiply(rows, weft_ceil_div(len, p->level->unit_len),
                           p->a + (block * p->rows + row) * p->lda, p->lda, &panel, c, g->ldc,
                           !first || g->accumulate, p->alpha, first && g->bias ? g->bias + col : NULL);
    }
}

/* One block of rows by one chunk of k.  False: no memory, nothing done. */
static bool multiply_block(struct product *p)
{
    size_t units = weft_ceil_div(p->k_len, p->level->unit_len), threads = (size_t)weft_pool_threads(p->c->pool);
    p->n_blocks = weft_ceil_div(units, p->level->block_units);
    p->lda = weft_min_size(units, p->level->block_units);
    p->panels = weft_ceil_div(p->g->n, p->level->panel_cols);
    /* Too few panels to go round: cut the rows as well, and pack the panels ahead, once. */
    p->row_parts = 1;
    if (p->panels < 4 * threads)
        p->row_parts = weft_min_size(weft_ceil_div(4 * threads, p->panels), weft_ceil_div(p->rows, SPLIT_ROWS));
    p->part_rows = weft_ceil_div(weft_ceil_div(p->rows, p->row_parts), 12) * 12;
    p->row_parts = weft_ceil_div(p->rows, p->part_rows);
    size_t a_units = (p->n_blocks * p->rows * p->lda + 15) / 16 * 16, b_tasks = 0;
    if (p->row_parts > 1) b_tasks = p->panels * p->n_blocks;
    if (!weft_compute_need_shared(p->c, 4 * (a_units + b_tasks * panel_units(p)))) return false;
    size_t tile = p->g->b_type == WEFT_QUANT ? TILE_ROWS * TILE_LEN : 0;
    if (!weft_compute_need_scratch(p->c, 4 * (panel_units(p) + tile))) return false;
    p->a = p->c->shared;
    p->b = b_tasks ? p->a + a_units : NULL;
    p->pack_tasks = weft_ceil_div(p->rows, PACK_ROWS);
    weft_pool_run(p->c->pool, p->pack_tasks + b_tasks, pack_task, p);
    weft_pool_run(p->c->pool, p->panels * p->row_parts, multiply_task, p);
    return true;
}

static bool multiply_packed(struct weft_compute *c, const struct weft_gemm *g, const struct weft_gemm_level *level)
{
    struct product p = { .c = c, .g = g, .level = level, .alpha = g->alpha != 0 ? g->alpha : 1 };
    for (p.m0 = 0; p.m0 < g->m; p.m0 += ROW_BLOCK)
        for (p.k0 = 0; p.k0 < g->k; p.k0 += K_CHUNK) {
            p.rows = weft_min_size(ROW_BLOCK, g->m - p.m0);
            p.k_len = weft_min_size(K_CHUNK, g->k - p.k0);
            /* The first block is the largest: when memory is out, it is before anything was written. */
            if (!multiply_block(&p)) return false;
        }
    return true;
}

/* ---- few rows: B is streamed where it lies ---- */

struct few {
    struct weft_compute *c;
    const struct weft_gemm *g;
    const struct weft_gemm_level *level;        /* NULL: gemv, A as it is in f32 */
    size_t cols;                                /* of each task */
    size_t lda;                                 /* of packed A */
    float alpha;
};

/* Rows of a quantised B pass through the scratch as f32, eight at a time. */
enum { FEW_COLS = 8 };

static void few_quantised_task(void *ctx, size_t chunk, int thread)
{
    const struct few *f = ctx;
    const struct weft_gemm *g = f->g;
    size_t end = weft_min_size((chunk + 1) * f->cols, g->n);
    float *rows = f->c->scratch[thread];
    for (size_t col = chunk * f->cols; col < end; col += FEW_COLS) {
        size_t n = weft_min_size(FEW_COLS, end - col);
        for (size_t j = 0; j < n; j++) f->c->k->dequantise(rows + j * g->k, WEFT_F32, g->b, col + j, 0, g->k);
        f->c->k->gemv_nt(g->m, n, g->k, g->a, g->lda, rows, WEFT_F32, g->k, g->c + col, g->ldc, g->accumulate, f->alpha,
                         g->bias ? g->bias + col : NULL);
    }
}

/* False: another way, as below. */
static bool multiply_few_quantised(struct few *f)
{
    const struct weft_gemm *g = f->g;
    if (g->m > WEFT_GEMV_ROWS || g->a_transposed || !g->b_rows_are_outputs) return false;
    if (!weft_compute_need_scratch(f->c, FEW_COLS * g->k * sizeof(float))) return false;
    f->cols = weft_ceil_div(GEMV_BYTES / g->k + 1, FEW_COLS) * FEW_COLS;
    weft_pool_run(f->c->pool, weft_ceil_div(g->n, f->cols), few_quantised_task, f);
    return true;
}

static void few_task(void *ctx, size_t chunk, int thread)
{
    const struct few *f = ctx;
    const struct weft_gemm *g = f->g;
    const struct weft_kernels *k = f->c->k;
    size_t col = chunk * f->cols, n = weft_min_size(f->cols, g->n - col);
    const char *b = b_at(g, col, 0);
    const float *bias = g->bias ? g->bias + col : NULL;
    if (f->level)
        f->level->few(g->m, n, g->k, f->c->shared, f->lda, b, g->ldb, g->c + col, g->ldc, g->accumulate,
                      f->alpha, bias);
    else
        (g->b_rows_are_outputs ? k->gemv_nt : k->gemv_nn)(g->m, n, g->k, g->a, g->lda, b, g->b_type, g->ldb,
                                                          g->c + col, g->ldc, g->accumulate, f->alpha, bias);
}

static void multiply_few_rows(struct few *f)
{
    size_t column_bytes = f->g->k * weft_dtype_bytes(f->g->b_type), step = f->g->b_rows_are_outputs ? 8 : 128;
    f->cols = weft_ceil_div(GEMV_BYTES / column_bytes + 1, step) * step;
    weft_pool_run(f->c->pool, weft_ceil_div(f->g->n, f->cols), few_task, f);
}

/* False: this shape goes another way, or there is no memory for A. */
static bool multiply_few_packed_rows(struct few *f, const struct weft_gemm_level *level)
{
    const struct weft_gemm *g = f->g;
    if (g->m < level->few_from || g->m > level->few_to || g->b_type != WEFT_BF16 || !g->b_rows_are_outputs)
        return false;
    size_t units = weft_ceil_div(g->k, level->unit_len), rows = weft_ceil_div(g->m, 4) * 4;
    f->lda = weft_ceil_div(units, 16) * 16;
    if (!weft_compute_need_shared(f->c, rows * f->lda * sizeof(uint32_t))) return false;
    memset(f->c->shared, 0, rows * f->lda * sizeof(uint32_t));
    level->pack_a(f->c->shared, f->lda, g->a, g->lda, g->a_transposed, g->m, g->k);
    f->level = level;
    multiply_few_rows(f);
    return true;
}

/* ---- plain ---- */

static void plain_task(void *ctx, size_t chunk, int thread)
{
    const struct weft_gemm *g = ctx;
    size_t across = weft_ceil_div(g->n, REF_COLS), row = chunk / across * REF_ROWS, col = chunk % across * REF_COLS;
    weft_ref_gemm(g, row, weft_min_size(row + REF_ROWS, g->m), col, weft_min_size(col + REF_COLS, g->n));
}

static bool wants_int8(const struct weft_compute *c, const struct weft_gemm *g)
{
    return c->int8 && !c->exact && !g->exact && g->b_type == WEFT_QUANT && g->m > WEFT_GEMV_ROWS && g->k
           && !g->a_transposed && ((const struct weft_quant *)g->b)->format->type == WEFT_INT8;
}

void weft_gemm(struct weft_compute *c, const struct weft_gemm *g)
{
    const struct weft_gemm_level *level = g->exact || c->exact ? c->k->gemm_exact : c->k->gemm;
    if (!g->m || !g->n) return;
    WEFT_SPAN(span) = weft_span_gemm(c, g);
    if (wants_int8(c, g)) {
        if (!c->k->gemm) {
            weft_ref_int8_gemm(c, g);
            return;
        }
        if (c->k->int8 && weft_int8_gemm(c, g)) return;
    }
    if (level && g->k) {
        struct few f = { .c = c, .g = g, .alpha = g->alpha != 0 ? g->alpha : 1 };
        if (g->b_type == WEFT_QUANT) {
            if (multiply_few_quantised(&f)) return;
        } else if (multiply_few_packed_rows(&f, level)) {
            return;
        } else if (g->m <= WEFT_GEMV_ROWS && !g->a_transposed) {
            multiply_few_rows(&f);
            return;
        }
        if (multiply_packed(c, g, level)) return;
    }
    struct weft_gemm plain = *g;
    weft_pool_run(c->pool, weft_ceil_div(g->m, REF_ROWS) * weft_ceil_div(g->n, REF_COLS), plain_task, &plain);
}
