/* Matrix products: cutting, packing, and which way a shape goes.
 *
 * Weights stay row-major as in the file.  A task packs two panels side by side (64 columns x 128 units = 32 KiB each on
 * AVX-512) into its scratch, and all rows pass over them, 96 at a time over the one and then the other: forward by 16 x
 * 16 transposes, backward (dx = dy W) by interleaving rows, so one copy of W serves both.  Two rather than one, because
 * then A comes from afar half as often, and backward, where a panel is a short piece of each of many rows of W, meets
 * half as many pages; a panel that has left L1 for L2 multiplies as fast.  A is converted and packed once per call,
 * by all threads, into the shared scratch, one k-block after the other so that a tile reads consecutive memory;
 * products of one A run as one, and a low-rank term is added to each panel of C before it leaves the cache.
 *
 * How many tasks there are follows the number of threads; the result does not, because every element of C is the
 * same chain of operations (k-blocks in order, units in order) whatever tile it falls into. */
#include "kernels/profile.h"
#include "kernels/ref/ref.h"

#include <assert.h>

enum {
    ROW_BLOCK = 1008,       /* rows that share one packed panel; a multiple of every tile height */
    K_CHUNK = 8192,         /* elements of k packed at a time; bounds the packed A to 16 (bf16) or 32 MiB */
    PACK_ROWS = 32,         /* rows of A that one task packs */
    FAR_BYTES = 2 << 20,    /* packed A larger than this streams from L3 for every panel */
    SPLIT_ROWS = 96,        /* fewer rows than this are not worth a panel of their own */
    ACROSS = 2,             /* panels that one task packs and multiplies together */
    NEAR_ROWS = 96,         /* rows of A that stay near while they pass over all of these */
    REF_ROWS = 16, REF_COLS = 64,
    GEMV_BYTES = 64 << 10   /* of B that one task streams */
};

/* ---- packed: products with one A ---- */

struct part {                           /* a product */
    const struct weft_gemm *g;
    size_t first;                       /* its first panel */
    float alpha;
    struct weft_low_term low;
};

/* What runs at once: the panels of all parts, one part's behind the other's. */
struct round {
    struct part parts[WEFT_GEMM_GROUP];
    size_t n, panels;                   /* each part begins at a multiple of ACROSS; some panels may not exist */
    size_t across, row_parts, part_rows;        /* of a task */
    uint32_t *b;                        /* [panels][n_blocks][block_units][panel_cols], packed ahead, or NULL */
};

struct product {
    struct weft_compute *c;
    const struct weft_gemm *g;          /* the first: A, m and k are those of all */
    const struct weft_gemm_level *level;
    size_t m0, rows;                    /* this row block */
    size_t k0, k_len, n_blocks, lda;    /* this chunk of k; lda: units between rows of packed A */
    size_t a_tasks;                     /* that pack A; those after them pack panels ahead */
    uint32_t *a;                        /* [n_blocks][rows][lda] */
    struct weft_gemm thin[WEFT_GEMM_GROUP];     /* t of the low-rank terms */
    struct round ts, cs;                /* first the ts, then the C */
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

static const struct part *part_of(const struct round *r, size_t panel)
{
    size_t i = r->n - 1;
    while (r->parts[i].first > panel) i--;
    return &r->parts[i];
}

static bool exists(const struct product *p, const struct round *r, size_t panel)
{
    const struct part *part = part_of(r, panel);
    return (panel - part->first) * p->level->panel_cols < part->g->n;
}

/* ---- B quantised: dequantised a few rows at a time, which stay in L1 between dequantising and packing ---- */

enum { TILE_ROWS = 16, TILE_LEN = 256 };        /* a multiple of any vector; the longest block_len of the levels */

static enum weft_dtype tile_type(const struct weft_gemm_level *level)
{
    return level->unit_len == 2 ? WEFT_BF16 : WEFT_F32;
}

/* n columns by len of k from (col, k) on. */
static void pack_quantised(const struct product *p, const struct weft_gemm *g, uint32_t *out, uint32_t *tile,
                           size_t col, size_t k, size_t n, size_t len)
{
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

/* `tile`: behind the thread's panels. */
static void pack_panel(const struct product *p, const struct part *part, uint32_t *out, uint32_t *tile, size_t panel,
                       size_t block)
{
    const struct weft_gemm *g = part->g;
    size_t col = (panel - part->first) * p->level->panel_cols, k = block * block_len(p);
    size_t n = weft_min_size(p->level->panel_cols, g->n - col), len = weft_min_size(block_len(p), p->k_len - k);
    if (g->b_type == WEFT_QUANT) pack_quantised(p, g, out, tile, col, p->k0 + k, n, len);
    else p->level->pack_b(out, b_at(g, col, p->k0 + k), g->b_type, g->ldb, g->b_rows_are_outputs, n, len);
}

static uint32_t *thread_tile(const struct product *p, int thread)
{
    return (uint32_t *)p->c->scratch[thread] + ACROSS * panel_units(p);
}

static void pack_ahead(const struct product *p, const struct round *r, size_t i, int thread)
{
    size_t panel = i / p->n_blocks;
    if (!exists(p, r, panel)) return;
    pack_panel(p, part_of(r, panel), r->b + i * panel_units(p), thread_tile(p, thread), panel, i % p->n_blocks);
}

static void pack_task(void *ctx, size_t chunk, int thread)
{
    const struct product *p = ctx;
    if (chunk >= p->a_tasks) {
        size_t i = chunk - p->a_tasks, ts = p->ts.panels * p->n_blocks;
        if (i < ts) pack_ahead(p, &p->ts, i, thread);
        else pack_ahead(p, &p->cs, i - ts, thread);
        return;
    }
    size_t row = chunk * PACK_ROWS, rows = weft_min_size(PACK_ROWS, p->rows - row);
    for (size_t block = 0; block < p->n_blocks; block++) {
        size_t k = block * block_len(p);
        p->level->pack_a(p->a + (block * p->rows + row) * p->lda, p->lda, a_at(p->g, p->m0 + row, p->k0 + k), p->g->lda,
                         p->g->a_transposed, rows, weft_min_size(block_len(p), p->k_len - k));
    }
}

/* Where the panels that this thread most likely packs next lie. */
static void look_ahead(const struct product *p, const struct weft_gemm *g, struct weft_panel *panel, size_t col,
                       size_t across, size_t block)
{
    size_t k = (block + 1) * block_len(p), cols = p->level->panel_cols;
    if (k >= p->k_len) {
        k = 0;
        col += cols * across * (size_t)weft_pool_threads(p->c->pool);
    }
    if (col + cols > g->n) return;
    cols = weft_min_size(cols * across, g->n - col);
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

/* One block of k of `across` panels, `rows` rows: a few rows pass over all panels while they are near. */
static void multiply_near(const struct product *p, const struct part *part, const struct weft_panel *all, size_t across,
                          size_t rows, const uint32_t *a, size_t units, float *c, bool accumulate, const float *bias)
{
    const struct weft_gemm *g = part->g;
    size_t cols = p->level->panel_cols, near = across > 1 ? NEAR_ROWS : rows;
    size_t n_calls = weft_ceil_div(rows, near) * across, share = weft_ceil_div(all->next_rows, n_calls), done = 0;
    for (size_t row = 0; row < rows; row += near)
        for (size_t i = 0; i < across; i++) {
            struct weft_panel panel = *all;
            panel.units += i * panel_units(p);
            panel.n = weft_min_size(cols, all->n - i * cols);
            panel.far_a = all->far_a && i == 0;
            panel.next_rows = weft_min_size(share, all->next_rows - done);
            if (panel.next) panel.next += done * panel.next_ld_bytes;
            done += panel.next_rows;
            p->level->multiply(weft_min_size(near, rows - row), units, a + row * p->lda, p->lda, &panel,
                               c + row * g->ldc + i * cols, g->ldc, accumulate, part->alpha,
                               bias ? bias + i * cols : NULL);
        }
}

static void multiply_panels(const struct product *p, const struct round *r, size_t chunk, int thread)
{
    size_t index = chunk / r->row_parts * r->across, row = chunk % r->row_parts * r->part_rows;
    if (!exists(p, r, index)) return;
    const struct part *part = part_of(r, index);
    const struct weft_gemm *g = part->g;
    size_t rows = weft_min_size(r->part_rows, p->rows - row), cols = p->level->panel_cols;
    size_t col = (index - part->first) * cols, n = weft_min_size(cols * r->across, g->n - col);
    size_t across = weft_ceil_div(n, cols);
    uint32_t *own = p->c->scratch[thread];
    float *c = g->c + (p->m0 + row) * g->ldc + col;
    for (size_t block = 0; block < p->n_blocks; block++) {
        size_t len = weft_min_size(block_len(p), p->k_len - block * block_len(p));
        struct weft_panel panel = { .n = n };
        bool first = p->k0 == 0 && block == 0;
        panel.far_a = p->n_blocks * p->rows * p->lda * sizeof *p->a > FAR_BYTES;
        panel.far_c = block == 0 && (!first || g->accumulate);
        if (r->b) {
            panel.units = r->b + (index * p->n_blocks + block) * panel_units(p);
        } else {
            for (size_t i = 0; i < across; i++)
                pack_panel(p, part, own + i * panel_units(p), thread_tile(p, thread), index + i, block);
            panel.units = own;
            look_ahead(p, g, &panel, col, r->across, block);
        }
        multiply_near(p, part, &panel, across, rows, p->a + (block * p->rows + row) * p->lda,
                      weft_ceil_div(len, p->level->unit_len), c, !first || g->accumulate,
                      first && g->bias ? g->bias + col : NULL);
    }
    if (p->k0 + p->k_len != g->k) return;
    for (size_t i = 0; i < across; i++)
        weft_low_term_add(&part->low, own, row, rows, col + i * cols, weft_min_size(cols, n - i * cols), c + i * cols,
                          g->ldc);
}

static void multiply_ts(void *ctx, size_t chunk, int thread)
{
    const struct product *p = ctx;
    multiply_panels(p, &p->ts, chunk, thread);
}

static void multiply_cs(void *ctx, size_t chunk, int thread)
{
    const struct product *p = ctx;
    multiply_panels(p, &p->cs, chunk, thread);
}

/* Too few panels to go round: the rows are cut as well, and the panels packed ahead, once. */
static void cut_round(const struct product *p, struct round *r)
{
    size_t threads = (size_t)weft_pool_threads(p->c->pool);
    r->row_parts = 1;
    r->across = r->panels >= 4 * ACROSS * threads ? ACROSS : 1;
    if (r->panels < 4 * threads)
        r->row_parts = weft_min_size(weft_ceil_div(4 * threads, r->panels), weft_ceil_div(p->rows, SPLIT_ROWS));
    r->part_rows = weft_ceil_div(weft_ceil_div(p->rows, r->row_parts), 12) * 12;
    r->row_parts = weft_ceil_div(p->rows, r->part_rows);
}

/* One block of rows by one chunk of k.  False: no memory, nothing done. */
static bool multiply_block(struct product *p)
{
    size_t units = weft_ceil_div(p->k_len, p->level->unit_len), t_units[WEFT_GEMM_GROUP];
    p->n_blocks = weft_ceil_div(units, p->level->block_units);
    p->lda = weft_min_size(units, p->level->block_units);
    cut_round(p, &p->cs);
    if (p->ts.n) cut_round(p, &p->ts);
    size_t a_units = (p->n_blocks * p->rows * p->lda + 15) / 16 * 16, ts = p->ts.panels * p->n_blocks;
    size_t cs = p->cs.row_parts > 1 ? p->cs.panels * p->n_blocks : 0, all = a_units + (ts + cs) * panel_units(p);
    for (size_t i = 0; i < p->cs.n; i++) {
        t_units[i] = weft_low_term_plan(&p->cs.parts[i].low, p->level, p->cs.parts[i].g, p->rows);
        all += t_units[i];
    }
    if (!weft_compute_need_shared(p->c, 4 * all)) return false;
    if (!weft_compute_need_scratch(p->c, 4 * (ACROSS * panel_units(p) + TILE_ROWS * TILE_LEN))) return false;
    p->a = p->c->shared;
    p->ts.b = p->a + a_units;
    p->cs.b = cs ? p->ts.b + ts * panel_units(p) : NULL;
    uint32_t *t = p->ts.b + (ts + cs) * panel_units(p);
    for (size_t i = 0; i < p->cs.n; t += t_units[i++]) p->cs.parts[i].low.t = t;
    p->a_tasks = weft_ceil_div(p->rows, PACK_ROWS);
    weft_compute_run(p->c, p->a_tasks + ts + cs, pack_task, p);
    weft_compute_run(p->c, p->ts.panels / p->ts.across * p->ts.row_parts, multiply_ts, p);
    if (p->k0 + p->k_len == p->g->k)
        for (size_t i = 0; i < p->cs.n; i++) weft_low_term_pack(p->c, &p->cs.parts[i].low, p->m0);
    weft_compute_run(p->c, p->cs.panels / p->cs.across * p->cs.row_parts, multiply_cs, p);
    return true;
}

static void add_part(const struct weft_gemm_level *level, struct round *r, const struct weft_gemm *g)
{
    r->parts[r->n++] = (struct part){ .g = g, .first = r->panels, .alpha = g->alpha != 0 ? g->alpha : 1 };
    r->panels += weft_ceil_div(g->n, level->panel_cols * ACROSS) * ACROSS;
}

/* t of g's low-rank term as a product of its own. */
static struct weft_gemm thin_product(const struct weft_gemm *g)
{
    const struct weft_low_rank *l = g->low;
    return (struct weft_gemm){ .m = g->m, .n = l->rank, .k = g->k, .a = g->a, .lda = g->lda, .b = l->in,
                               .ldb = g->b_rows_are_outputs ? g->k : l->rank,
                               .b_rows_are_outputs = g->b_rows_are_outputs, .c = l->t, .ldc = l->rank,
                               .exact = g->exact, .alpha = l->t_alpha };
}

static bool multiply_packed(struct weft_compute *c, const struct weft_gemm *const *g, size_t n,
                            const struct weft_gemm_level *level)
{
    struct product p = { .c = c, .g = g[0], .level = level, .ts.across = 1, .ts.row_parts = 1 };
    for (size_t i = 0; i < n; i++) {
        add_part(level, &p.cs, g[i]);
        if (!g[i]->low) continue;
        p.thin[i] = thin_product(g[i]);
        add_part(level, &p.ts, &p.thin[i]);
    }
    for (p.m0 = 0; p.m0 < p.g->m; p.m0 += ROW_BLOCK)
        for (p.k0 = 0; p.k0 < p.g->k; p.k0 += K_CHUNK) {
            p.rows = weft_min_size(ROW_BLOCK, p.g->m - p.m0);
            p.k_len = weft_min_size(K_CHUNK, p.g->k - p.k0);
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
    weft_compute_run(f->c, weft_ceil_div(g->n, f->cols), few_quantised_task, f);
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
    weft_compute_run(f->c, weft_ceil_div(f->g->n, f->cols), few_task, f);
}

static bool takes_few_packed_rows(const struct weft_gemm *g, const struct weft_gemm_level *level)
{
    return g->m >= level->few_from && g->m <= level->few_to && g->b_type == WEFT_BF16 && g->b_rows_are_outputs;
}

/* False: this shape goes another way, or there is no memory for A. */
static bool multiply_few_packed_rows(struct few *f, const struct weft_gemm_level *level)
{
    const struct weft_gemm *g = f->g;
    if (!takes_few_packed_rows(g, level)) return false;
    size_t units = weft_ceil_div(g->k, level->unit_len), rows = weft_ceil_div(g->m, 4) * 4;
    f->lda = weft_ceil_div(units, 16) * 16;
    if (!weft_compute_need_shared(f->c, rows * f->lda * sizeof(uint32_t))) return false;
    if (f->c->counted) return true;
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

static void plain(struct weft_compute *c, const struct weft_gemm *g)
{
    struct weft_gemm task = *g;
    weft_compute_run(c, weft_ceil_div(g->m, REF_ROWS) * weft_ceil_div(g->n, REF_COLS), plain_task, &task);
}

/* ---- which way ---- */

static const struct weft_gemm_level *level_of(const struct weft_compute *c, const struct weft_gemm *g)
{
    return g->exact || c->exact ? c->k->gemm_exact : c->k->gemm;
}

/* One product; its low-rank term is another's concern. */
static void multiply_one(struct weft_compute *c, const struct weft_gemm *g)
{
    const struct weft_gemm_level *level = level_of(c, g);
    WEFT_SPAN(span) = weft_span_gemm(c, g);
    if (wants_int8(c, g)) {
        if (!c->k->gemm) {
            weft_ref_int8_gemm(c, g);
            return;
        }
        if (c->k->int8 && weft_int8_gemm(c, &g, 1)) return;
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
        } else if (weft_gemm_narrow(c, g, level)) {
            return;
        }
        if (multiply_packed(c, &g, 1, level)) return;
    }
    plain(c, g);
}

/* C += alpha * t op(out) as a product of its own. */
static struct weft_gemm third_product(const struct weft_gemm *g)
{
    const struct weft_low_rank *l = g->low;
    return (struct weft_gemm){ .m = g->m, .n = g->n, .k = l->rank, .a = l->t, .lda = l->rank, .b = l->out,
                               .ldb = g->b_rows_are_outputs ? l->rank : g->n,
                               .b_rows_are_outputs = g->b_rows_are_outputs, .c = g->c, .ldc = g->ldc,
                               .accumulate = true, .exact = g->exact, .alpha = l->alpha };
}

static void multiply_apart(struct weft_compute *c, const struct weft_gemm *g)
{
    struct weft_gemm base = *g;
    base.low = NULL;
    multiply_one(c, &base);
    if (!g->low) return;
    struct weft_gemm thin = thin_product(g), third = third_product(g);
    multiply_one(c, &thin);
    multiply_one(c, &third);
}

/* The products of a group that share one packed A, n of them, and what they multiply in. */
struct sharing {
    const struct weft_gemm *g[WEFT_GEMM_GROUP];
    size_t n;
    const struct weft_gemm_level *level;
};

/* A profile shows every product on a line of its own, so there each runs alone. */
static bool may_share(const struct weft_compute *c, const struct weft_gemm *g)
{
    const struct weft_gemm_level *level = level_of(c, g);
    if (c->profile || !level || !g->k || g->m <= WEFT_GEMV_ROWS || g->a_transposed) return false;
    if (g->low && !g->low->rank) return false;
    return wants_int8(c, g) ? c->k->int8 != NULL : !takes_few_packed_rows(g, level);
}

static void add_to(struct sharing *s, const struct weft_compute *c, const struct weft_gemm *g)
{
    s->level = level_of(c, g);
    s->g[s->n++] = g;
}

/* The ts multiply as ever, in one group; only the large products are in int8. */
static bool share_int8(struct weft_compute *c, const struct sharing *s)
{
    struct weft_gemm thin[WEFT_GEMM_GROUP];
    const struct weft_gemm *ts[WEFT_GEMM_GROUP];
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++) {
        if (!s->g[i]->low) continue;
        thin[n] = thin_product(s->g[i]);
        ts[n] = &thin[n];
        n++;
    }
    if (n && !multiply_packed(c, ts, n, s->level)) return false;
    return weft_int8_gemm(c, s->g, s->n);
}

void weft_gemm_group(struct weft_compute *c, const struct weft_gemm *g, size_t n)
{
    struct sharing packed = { .n = 0 }, int8 = { .n = 0 };
    assert(n <= WEFT_GEMM_GROUP);
    for (size_t i = 0; i < n; i++) {
        if (!g[i].m || !g[i].n) continue;
        if (!may_share(c, &g[i])) {
            multiply_apart(c, &g[i]);
            continue;
        }
        if (!wants_int8(c, &g[i])) {
            add_to(&packed, c, &g[i]);
        } else if (g[i].b_rows_are_outputs && (g[i].alpha == 0 || g[i].alpha == 1)) {
            add_to(&int8, c, &g[i]);
        } else {                        /* scales of its own in its A */
            struct sharing alone = { .n = 0 };
            add_to(&alone, c, &g[i]);
            if (!share_int8(c, &alone)) multiply_apart(c, &g[i]);
        }
    }
    if (packed.n && !multiply_packed(c, packed.g, packed.n, packed.level))
        for (size_t i = 0; i < packed.n; i++) multiply_apart(c, packed.g[i]);
    if (int8.n && !share_int8(c, &int8))
        for (size_t i = 0; i < int8.n; i++) multiply_apart(c, int8.g[i]);
}

void weft_gemm(struct weft_compute *c, const struct weft_gemm *g) { weft_gemm_group(c, g, 1); }
