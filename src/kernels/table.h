/* kernels/table.h - what an instruction level provides
 *
 * Inner loops, single-threaded, over pieces that the public functions of kernels.h cut.  A level starts as a copy of
 * the one below and overwrites the slots in which it does better.  Only kernels/ and its tests include this file.
 */
#ifndef WEFT_KERNELS_TABLE_H
#define WEFT_KERNELS_TABLE_H

#include "kernels/kernels.h"
#include "kernels/quant.h"

#define WEFT_LOG2_E 1.44269504f
#define WEFT_LN_2 0.693147181f

/* ---- matrix products ---- */

/* The parts of a packed product.  Operands are cut along k into 32-bit "units" of `unit_len` elements: 1 float, or 2
 * bf16 for vdpbf16ps.  Packing, blocking and loops are the same for both; only the dot instruction differs.
 *
 *   packed A   [rows][units]            row-major; a tile reads it by 32-bit broadcasts
 *   panel of B [units][panel_cols]      `panel_cols` columns side by side; columns past n and a k that does not
 *                                       fill the last unit are zero
 *
 * A panel of `block_units` units is made to fit the L1 cache; longer k is cut and accumulated in C. */
struct weft_panel {
    const uint32_t *units;
    size_t n;                           /* columns that exist, 1 ... panel_cols */
    bool far_a, far_c;                  /* A, C come from beyond the L2 cache: prefetch them tile by tile */
    /* Where the next panel will be packed from, pulled towards the cache while this one is used; NULL: nowhere. */
    const char *next;
    size_t next_rows, next_row_bytes, next_ld_bytes;
};

struct weft_gemm_level {
    size_t unit_len, panel_cols, block_units;
    /* rows x k floats of A (k x rows when transposed), lda apart, to out rows `ldo` units apart. */
    void (*pack_a)(uint32_t *out, size_t ldo, const float *a, size_t lda, bool transposed, size_t rows, size_t k);
    /* n columns (at most panel_cols) by k of B to a panel; b points at the first element. */
    void (*pack_b)(uint32_t *out, const void *b, enum weft_dtype type, size_t ldb, bool rows_are_outputs,
                   size_t n, size_t k);
    /* C [rows, b->n] = alpha * A B + (accumulate ? C : 0) + (bias ? bias : 0) */
    void (*multiply)(size_t rows, size_t units, const uint32_t *a, size_t lda, const struct weft_panel *b, float *c,
                     size_t ldc, bool accumulate, float alpha, const float *bias);
    /* C [rows,n] with B [n,k] bf16 where it lies, for rows from few_from to few_to; A packed, its rows up to a
     * multiple of 4 readable and zero.  few_to 0: the level has no such loop. */
    size_t few_from, few_to;
    void (*few)(size_t rows, size_t n, size_t k, const uint32_t *a, size_t lda, const void *b, size_t ldb,
                float *c, size_t ldc, bool accumulate, float alpha, const float *bias);
};

/* The low-rank term of a product while it runs (low_rank.c): packed t, added to a piece of C that was just made. */
struct weft_low_term {
    const struct weft_low_rank *low;    /* NULL: there is none, all else is zero */
    const struct weft_gemm_level *level;
    bool rows_are_outputs;
    size_t n, rows, blocks, lda;        /* columns of C; of packed t */
    uint32_t *t;                        /* [blocks][rows][lda], rows of C from the first of the running block of rows */
};
/* For `rows` rows of g at a time; the caller gives t that many units. */
size_t weft_low_term_plan(struct weft_low_term *term, const struct weft_gemm_level *level, const struct weft_gemm *g,
                          size_t rows);
/* Rows m0 ... of the low-rank product's t. */
void weft_low_term_pack(struct weft_compute *c, struct weft_low_term *term, size_t m0);
/* c: C at (row, col), row counted in packed t; panel: scratch of the thread. */
void weft_low_term_add(const struct weft_low_term *term, uint32_t *panel, size_t row, size_t rows, size_t col, size_t n,
                       float *c, size_t ldc);

/* C [m,n] = A^T B with A [k,m], B [k,n] f32 and few columns n (gemm_narrow.c).  False: another way, nothing done. */
WEFT_MUST_USE bool weft_gemm_narrow(struct weft_compute *c, const struct weft_gemm *g,
                                    const struct weft_gemm_level *level);

/* The parts of a product in int8 (int8.c): a unit is four bytes along k. */
enum { WEFT_INT8_BLOCK = 512 };         /* of k: sums over it are exact, blocks are added in f32 */
struct weft_int8_level {
    size_t panel_cols;
    /* n floats, times `factor` [n] where it is not NULL, to bytes 128 + rint(x 127 / max|x|); block b of k goes to
     * out + b * block_stride.  Returns max|x| / 127. */
    float (*quantise_row)(uint32_t *out, size_t block_stride, const float *x, const float *factor, size_t n);
    /* n columns by k of B to a panel, as weft_gemm_level.pack_b; sums [panel_cols]: of each column. */
    void (*pack)(uint32_t *out, int32_t *sums, const int8_t *b, size_t ldb, bool rows_are_outputs, size_t n, size_t k);
    /* C [rows, n] = (A B - 128 sums) * row_scale * col_scale (+ C) (+ bias); col_scale NULL: 1 */
    void (*multiply)(size_t rows, size_t units, const uint32_t *a, size_t lda, const uint32_t *b, const int32_t *sums,
                     size_t n, float *c, size_t ldc, bool accumulate, const float *row_scale, const float *col_scale,
                     const float *bias);
};
/* n products with the same A, alpha and direction, of which more than one go forward; t of their low-rank terms is
 * there already.  False: no memory, nothing done. */
WEFT_MUST_USE bool weft_int8_gemm(struct weft_compute *c, const struct weft_gemm *const *g, size_t n);
void weft_ref_int8_gemm(struct weft_compute *c, const struct weft_gemm *g);

enum { WEFT_GEMV_ROWS = 8 };            /* the most rows of A that the two loops below take */

struct weft_dropout {
    uint64_t seed, stream;
    uint32_t threshold;                 /* keep where the draw is at least this */
    float scale;                        /* 1 / (1-p) */
};

struct weft_kernels {
    const char *isa;

    /* NULL at ref, where the plain loops of ref/ref.h do all products and attention. */
    const struct weft_gemm_level *gemm;         /* the fastest product of the level */
    const struct weft_gemm_level *gemm_exact;   /* f32 FMA; the same where the level has no other */
    const struct weft_int8_level *int8;         /* NULL: the level has none */
    /* C [m,n] for m <= WEFT_GEMV_ROWS, f32 arithmetic, B streamed once where it lies: [n,k] and [k,n]. */
    void (*gemv_nt)(size_t m, size_t n, size_t k, const float *a, size_t lda, const void *b,
                    enum weft_dtype type, size_t ldb, float *c, size_t ldc, bool accumulate, float alpha,
                    const float *bias);
    void (*gemv_nn)(size_t m, size_t n, size_t k, const float *a, size_t lda, const void *b,
                    enum weft_dtype type, size_t ldb, float *c, size_t ldc, bool accumulate, float alpha,
                    const float *bias);

    /* ---- attention, on tiles; -INFINITY marks what a query does not see ---- */

    /* Scores come in units of log 2 (times WEFT_LOG2_E), because powers of two are cheaper than powers of e.
     * One step of the online softmax over s [rows, cols] in place: s = 2^(s - m'), m' = max(m, row maximum);
     * l = l * 2^(m - m') + row sum; o [rows, d] *= 2^(m - m'). */
    void (*softmax_step)(float *s, size_t lds, size_t rows, size_t cols, float *m, float *l, float *o,
                         size_t ldo, size_t d);
    /* Transposed tiles [keys, queries]: p = 2^(p - lse[query] * log2 e), dp = p * (dp - delta[query]). */
    void (*softmax_backward)(float *p, float *dp, size_t ld, size_t keys, size_t queries, const float *lse,
                             const float *delta);
    float (*dot)(const float *x, const float *y, size_t n);

    /* ---- rows ---- */

    void (*rmsnorm)(float *y, float *r, const float *x, const float *w, size_t rows, size_t d, float eps);
    void (*rmsnorm_backward)(float *dx, bool accumulate, const float *dy, const float *x, const float *w,
                             const float *r, size_t rows, size_t d);
    /* dw [n] += columns of dy * x * r; dy, x point at the first column, ld apart. */
    void (*rmsnorm_dw)(float *dw, const float *dy, const float *x, const float *r, size_t rows, size_t ld, size_t n);
    void (*column_sums)(float *db, const float *dy, size_t rows, size_t ld, size_t n);
    /* One token [heads, d]; sign -1 turns backwards. */
    void (*rope)(float *x, const float *cos, const float *sin, size_t heads, size_t d, float sign);
    /* One row; `gradient` false leaves z alone and ignores coef. */
    double (*cross_entropy)(float *z, size_t v, int32_t target, bool gradient, float coef);

    /* ---- elements; signatures as in kernels.h ---- */

    void (*swiglu)(float *h, const float *gate, const float *up, size_t n);
    void (*swiglu_backward)(float *dgate, float *dup, float *h, const float *dh, const float *gate,
                            const float *up, size_t n);
    void (*swiglu_keep)(float *h, float *pair, const float *gate, const float *up, size_t n);
    void (*swiglu_backward_kept)(float *dgate, float *dup, float *pair, const float *dh, size_t n);
    void (*add)(float *y, const float *x, size_t n);
    void (*scale)(float *y, float alpha, size_t n);
    double (*sum_squares)(const float *x, size_t n);
    bool (*all_finite)(const float *x, size_t n);
    /* x[0] is element number `first`, a multiple of 4; `add`: y += instead of y =. */
    void (*dropout)(float *y, const float *x, size_t n, uint64_t first, const struct weft_dropout *d, bool add);
    void (*adamw)(float *p, float *m, float *v, const float *g, size_t n, const struct weft_adamw_step *s);
    void (*to_f32)(float *y, const void *x, enum weft_dtype type, size_t n);
    void (*from_f32)(void *y, enum weft_dtype type, const float *x, size_t n);
    /* Elements col ... col+n-1 of one row of q as f32 or bf16 (`type`), the same bits at every level. */
    void (*dequantise)(void *out, enum weft_dtype type, const struct weft_quant *q, size_t row, size_t col, size_t n);
};

/* Every slot filled, then overwritten by each level up to `isa`.  The processor must have that level. */
void weft_kernels_init(struct weft_kernels *k, enum weft_isa isa);
void weft_kernels_ref(struct weft_kernels *k);
void weft_kernels_avx2(struct weft_kernels *k);
void weft_kernels_avx512(struct weft_kernels *k);
void weft_kernels_avx512bf16(struct weft_kernels *k);

/* At least `bytes` in each thread's scratch, or in the shared one; false when memory is out (the caller then
 * takes the plain loops, which need none).  Contents are lost. */
WEFT_MUST_USE bool weft_compute_need_scratch(struct weft_compute *c, size_t bytes);
WEFT_MUST_USE bool weft_compute_need_shared(struct weft_compute *c, size_t bytes);

/* The work of an operation that takes scratch: a compute that only counts does none. */
static inline void weft_compute_run(const struct weft_compute *c, size_t n_chunks, weft_pool_fn *fn, void *ctx)
{
    if (!c->counted) weft_pool_run(c->pool, n_chunks, fn, ctx);
}

/* Attention in blocks on top of a level's products (attention.c falls back to ref/ when there are none). */
WEFT_MUST_USE bool weft_attention_blocks(struct weft_compute *c, const struct weft_gemm_level *g, float *out,
                                         float *lse, const struct weft_attn *a);
WEFT_MUST_USE bool weft_attention_blocks_backward(struct weft_compute *c, const struct weft_gemm_level *g,
                                                  float *dq, float *dk, float *dv, const float *delta,
                                                  const float *dout, const float *lse,
                                                  const struct weft_attn *a);

/* The arguments of weft_attention_cached. */
struct weft_cached_attn {
    float *out;
    const float *q, *kc, *vc;
    size_t cap, n_past, n_q, n_heads, n_kv_heads, d, window;
};
WEFT_MUST_USE bool weft_attention_blocks_cached(struct weft_compute *c, const struct weft_gemm_level *g,
                                                const struct weft_cached_attn *a);

static inline const char *weft_element(const void *p, enum weft_dtype type, size_t index)
{
    return (const char *)p + index * weft_dtype_bytes(type);
}

#endif
