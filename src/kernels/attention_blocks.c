/* Attention in blocks (FlashAttention-2, arXiv:2307.08691) on the packed products of a level.
 *
 * Forward: a task owns a block of queries of one sequence for all heads that share a kv head (they share the packed
 * keys and values, too) and runs over the keys it sees, 64 at a time: scores, one step of the online softmax,
 * weighted values.  Backward: a task owns one head, or one kv head with all its heads, and runs over blocks of 64
 * keys by 64 queries.  There the tiles are transposed, [keys, queries]: the probabilities are then already in the
 * form in which dV += P^T dO and dK += dS^T Q read them, and only dQ needs a transpose.
 *
 * No task writes what another writes, and the order of every sum follows from the shape, so the number of threads
 * changes nothing.  Masked scores are set to -infinity in the tiles that a mask cuts; tiles that nobody sees are
 * never computed. */
#include "kernels/table.h"

#include <math.h>

enum {
    TILE = 64,              /* queries and keys of a tile */
    QUERIES_MAX = 256,      /* of a forward task, for each of its heads */
    HEADS_MAX = 8,          /* of a forward task */
    KEYS = 256,             /* that a backward task packs at a time */
    SPLIT_BELOW = 16,       /* fewer (sequence, kv head) pairs than this: a backward task takes one head */
    DECODE_KEYS = 512       /* of a decoding task */
};

/* ---- packed operands of any width ---- */

static size_t units_of(const struct weft_gemm_level *g, size_t k) { return weft_ceil_div(k, g->unit_len); }

static size_t panels_len(const struct weft_gemm_level *g, size_t n, size_t k)
{
    return weft_ceil_div(n, g->panel_cols) * g->panel_cols * units_of(g, k);
}

static void pack_wide(const struct weft_gemm_level *g, uint32_t *out, const float *b, size_t ldb,
                      bool rows_are_outputs, size_t n, size_t k)
{
    for (size_t j = 0; j < n; j += g->panel_cols, out += g->panel_cols * units_of(g, k))
        g->pack_b(out, b + (rows_are_outputs ? j * ldb : j), WEFT_F32, ldb, rows_are_outputs,
                  weft_min_size(g->panel_cols, n - j), k);
}

/* C [rows,n] (+)= alpha * A B, k elements. */
static void multiply_wide(const struct weft_gemm_level *g, size_t rows, size_t n, size_t k, const uint32_t *a,
                          const uint32_t *b, float *c, size_t ldc, bool accumulate, float alpha)
{
    size_t units = units_of(g, k);
    for (size_t j = 0; j < n; j += g->panel_cols) {
        struct weft_panel panel = { .units = b + j * units, .n = weft_min_size(g->panel_cols, n - j) };
        g->multiply(rows, units, a, units, &panel, c + j, ldc, accumulate, alpha, NULL);
    }
}

/* ---- forward ---- */

/* The queries and keys of one sequence; query i stands at position offset + i and sees no later key. */
struct span {
    const float *q, *k, *v;     /* of head 0 and kv head 0 */
    size_t ldq, ldk, ldv;       /* floats between tokens */
    size_t k_head, v_head;      /* floats between kv heads */
    size_t n_q, offset;
    float *out;                 /* [n_q, n_heads, d] */
    float *lse;                 /* of head 0; heads are lse_head apart; NULL: not wanted */
    size_t lse_head;
};

struct forward {
    struct weft_compute *c;
    const struct weft_gemm_level *g;
    const struct weft_attn *a;  /* NULL: one span */
    struct span one;
    float *out, *lse;
    size_t n_heads, group, d, window;
    size_t heads, head_parts, queries;      /* of a task */
    size_t n_blocks;                        /* of queries, over all sequences */
};

static struct span span_of(const struct forward *f, size_t seq)
{
    const struct weft_attn *a = f->a;
    size_t first = (size_t)a->cu[seq];
    return (struct span){
        .q = a->q + first * a->ldq,
        .k = a->k + first * a->ldk,
        .v = a->v + first * a->ldv,
        .ldq = a->ldq,
        .ldk = a->ldk,
        .ldv = a->ldv,
        .k_head = a->d,
        .v_head = a->d,
        .n_q = (size_t)a->cu[seq + 1] - first,
        .out = f->out + first * a->n_heads * a->d,
        .lse = f->lse ? f->lse + first : NULL,
        .lse_head = a->T,
    };
}

static size_t first_key(size_t window, size_t position)
{
    return window && position + 1 > window ? position + 1 - window : 0;
}

struct forward_scratch {
    uint32_t *q, *k, *v, *p;
    float *s, *o, *m, *l;
    size_t bytes;
};

/* Lays the pieces out in memory; base NULL only counts. */
static struct forward_scratch forward_scratch(const struct forward *f, char *base)
{
    struct forward_scratch w = { 0 };
    size_t rows = f->heads * f->queries, len[] = {
        rows * units_of(f->g, f->d),
        panels_len(f->g, TILE, f->d),
        panels_len(f->g, f->d, TILE),
        TILE * units_of(f->g, TILE),
        TILE * TILE,
        rows * f->d,
        rows,
        rows,
    };
    void *at[8];
    for (size_t i = 0; i < 8; i++) {
        at[i] = base ? base + w.bytes : NULL;
        w.bytes += (len[i] * 4 + 63) / 64 * 64;
    }
    w.q = at[0], w.k = at[1], w.v = at[2], w.p = at[3], w.s = at[4], w.o = at[5], w.m = at[6], w.l = at[7];
    return w;
}

/* Row i of s is a query at `position` + i, column j is key k0 + j. */
static void mask_scores(float *s, size_t rows, size_t cols, size_t position, size_t k0, size_t window)
{
    for (size_t i = 0; i < rows; i++) {
        size_t last = position + i, from = first_key(window, last);
        for (size_t j = 0; j < cols && k0 + j < from; j++) s[i * TILE + j] = -INFINITY;
        for (size_t j = last + 1 > k0 ? last + 1 - k0 : 0; j < cols; j++) s[i * TILE + j] = -INFINITY;
    }
}

/* One head: queries i0 ... i0+rows-1 of the span against the packed keys k0 ... k0+cols-1. */
static void forward_tile(const struct forward *f, const struct forward_scratch *w, size_t at, size_t rows,
                         size_t position, size_t k0, size_t cols)
{
    float *o = w->o + at * f->d;
    multiply_wide(f->g, rows, cols, f->d, w->q + at * units_of(f->g, f->d), w->k, w->s, TILE, false,
                  WEFT_LOG2_E / sqrtf((float)f->d));
    if (k0 + cols > position + 1 || first_key(f->window, position + rows - 1) > k0)
        mask_scores(w->s, rows, cols, position, k0, f->window);
    f->c->k->softmax_step(w->s, TILE, rows, cols, w->m + at, w->l + at, o, f->d, f->d);
    f->g->pack_a(w->p, units_of(f->g, cols), w->s, TILE, false, rows, cols);
    multiply_wide(f->g, rows, f->d, cols, w->p, w->v, o, f->d, true, 1);
}

static void forward_task(void *ctx, size_t chunk, int thread)
{
    const struct forward *f = ctx;
    struct forward_scratch w = forward_scratch(f, f->c->scratch[thread]);
    size_t n_kv_heads = f->n_heads / f->group, part = chunk % f->head_parts, kv = chunk / f->head_parts % n_kv_heads;
    size_t block = f->n_blocks - 1 - chunk / (f->head_parts * n_kv_heads);      /* late blocks see more keys: first */
    struct span s = f->one;
    if (f->a) {
        size_t seq = 0;
        for (;; seq++) {
            size_t blocks = weft_ceil_div((size_t)(f->a->cu[seq + 1] - f->a->cu[seq]), f->queries);
            if (block < blocks) break;
            block -= blocks;
        }
        s = span_of(f, seq);
    }
    size_t h0 = kv * f->group + part * f->heads, heads = weft_min_size(f->heads, (kv + 1) * f->group - h0);
    size_t i0 = block * f->queries, n_q = weft_min_size(f->queries, s.n_q - i0), du = units_of(f->g, f->d);
    for (size_t h = 0; h < heads; h++)
        f->g->pack_a(w.q + h * f->queries * du, du, s.q + i0 * s.ldq + (h0 + h) * f->d, s.ldq, false, n_q, f->d);
    memset(w.o, 0, heads * f->queries * f->d * sizeof *w.o);
    for (size_t i = 0; i < heads * f->queries; i++) w.m[i] = -INFINITY, w.l[i] = 0;
    size_t end = s.offset + i0 + n_q;
    for (size_t k0 = first_key(f->window, s.offset + i0) / TILE * TILE; k0 < end; k0 += TILE) {
        size_t cols = weft_min_size(TILE, end - k0);
        pack_wide(f->g, w.k, s.k + k0 * s.ldk + kv * s.k_head, s.ldk, true, cols, f->d);
        pack_wide(f->g, w.v, s.v + k0 * s.ldv + kv * s.v_head, s.ldv, false, f->d, cols);
        for (size_t i = 0; i < n_q; i += TILE) {
            size_t rows = weft_min_size(TILE, n_q - i), position = s.offset + i0 + i;
            if (position + rows <= k0 || first_key(f->window, position) >= k0 + cols) continue;
            for (size_t h = 0; h < heads; h++) forward_tile(f, &w, h * f->queries + i, rows, position, k0, cols);
        }
    }
    for (size_t h = 0; h < heads; h++)
        for (size_t i = 0; i < n_q; i++) {
            size_t at = h * f->queries + i;
            float *out = s.out + ((i0 + i) * f->n_heads + h0 + h) * f->d;
            for (size_t e = 0; e < f->d; e++) out[e] = w.o[at * f->d + e] / w.l[at];
            if (s.lse) s.lse[(h0 + h) * s.lse_head + i0 + i] = w.m[at] * WEFT_LN_2 + logf(w.l[at]);
        }
}

static bool run_forward(struct forward *f, size_t n_q_of_one)
{
    f->heads = weft_min_size(f->group, HEADS_MAX);
    f->head_parts = weft_ceil_div(f->group, f->heads);
    f->queries = f->heads >= 4 ? TILE : f->heads >= 2 ? 2 * TILE : QUERIES_MAX;
    f->n_blocks = weft_ceil_div(n_q_of_one, f->queries);
    for (size_t s = 0; f->a && s < f->a->n_seqs; s++)
        f->n_blocks += weft_ceil_div((size_t)(f->a->cu[s + 1] - f->a->cu[s]), f->queries);
    if (!weft_compute_need_scratch(f->c, forward_scratch(f, NULL).bytes)) return false;
    weft_compute_run(f->c, f->n_blocks * f->n_heads / f->group * f->head_parts, forward_task, f);
    return true;
}

bool weft_attention_blocks(struct weft_compute *c, const struct weft_gemm_level *g, float *out, float *lse,
                           const struct weft_attn *a)
{
    struct forward f = { .c = c,
                         .g = g,
                         .a = a,
                         .out = out,
                         .lse = lse,
                         .n_heads = a->n_heads,
                         .group = a->n_heads / a->n_kv_heads,
                         .d = a->d,
                         .window = a->window };
    return run_forward(&f, 0);
}

/* ---- backward ---- */

struct backward {
    struct weft_compute *c;
    const struct weft_gemm_level *g;
    const struct weft_attn *a;
    float *dq, *dk, *dv;
    const float *delta, *dout, *lse;
    float scale;
    size_t group;
    bool split;                 /* one head to a task; dk and dv of each into `part`, then added up */
    float *part;                /* [2][n_heads][T, d]: dk, dv */
};

struct backward_scratch {
    uint32_t *k_rows, *v_rows, *k_panels;               /* KEYS keys: as A, as A, as B for dq (by TILE keys) */
    uint32_t *q_cols, *q_panels, *do_cols, *do_panels;  /* TILE queries: as B for scores, as B for dk and dv */
    uint32_t *packed;                                   /* a tile as A */
    float *p, *dp;
    size_t bytes;
};

static struct backward_scratch backward_scratch(const struct weft_gemm_level *g, size_t d, char *base)
{
    struct backward_scratch w = { 0 };
    size_t rows = KEYS * units_of(g, d), cols = panels_len(g, TILE, d), wide = panels_len(g, d, TILE),
           tile = TILE * TILE;
    size_t len[] = { rows, rows, wide * (KEYS / TILE), cols, wide, cols, wide, tile, tile, tile };
    void *at[10];
    for (size_t i = 0; i < 10; i++) {
        at[i] = base ? base + w.bytes : NULL;
        w.bytes += (len[i] * 4 + 63) / 64 * 64;
    }
    w.k_rows = at[0], w.v_rows = at[1], w.k_panels = at[2], w.q_cols = at[3], w.q_panels = at[4],
    w.do_cols = at[5], w.do_panels = at[6];
    w.packed = at[7], w.p = at[8], w.dp = at[9];
    return w;
}

/* Where the gradients of one (sequence, kv head) or (sequence, head) go: rows of token 0 of the sequence. */
struct target {
    float *dk, *dv;
    size_t ldk, ldv;
};

/* Row j is key k0 + j, column i is query i0 + i. */
static void mask_transposed(float *s, size_t keys, size_t queries, size_t k0, size_t i0, size_t window)
{
    for (size_t j = 0; j < keys; j++) {
        size_t key = k0 + j;
        for (size_t i = 0; i < queries && i0 + i < key; i++) s[j * TILE + i] = -INFINITY;
        for (size_t i = window && key + window > i0 ? key + window - i0
                        : window                    ? 0
                                                    : queries;
             i < queries; i++)
            s[j * TILE + i] = -INFINITY;
    }
}

/* Keys k0 ... of the packed ones (the first is `base`) by queries i0 ... of one head. */
static void backward_tile(const struct backward *b, const struct backward_scratch *w, const struct target *t,
                          float *dq, const float *lse, const float *delta, size_t base, size_t k0,
                          size_t keys, size_t i0, size_t queries)
{
    const struct weft_gemm_level *g = b->g;
    size_t d = b->a->d, at = (k0 - base) * units_of(g, d);
    multiply_wide(g, keys, queries, d, w->k_rows + at, w->q_cols, w->p, TILE, false, b->scale * WEFT_LOG2_E);
    multiply_wide(g, keys, queries, d, w->v_rows + at, w->do_cols, w->dp, TILE, false, 1);
    if (i0 < k0 + keys || (b->a->window && i0 + queries > k0 + b->a->window))
        mask_transposed(w->p, keys, queries, k0, i0, b->a->window);
    b->c->k->softmax_backward(w->p, w->dp, TILE, keys, queries, lse + i0, delta + i0);
    g->pack_a(w->packed, units_of(g, queries), w->p, TILE, false, keys, queries);
    multiply_wide(g, keys, d, queries, w->packed, w->do_panels, t->dv + k0 * t->ldv, t->ldv, true, 1);
    g->pack_a(w->packed, units_of(g, queries), w->dp, TILE, false, keys, queries);
    multiply_wide(g, keys, d, queries, w->packed, w->q_panels, t->dk + k0 * t->ldk, t->ldk, true, b->scale);
    g->pack_a(w->packed, units_of(g, keys), w->dp, TILE, true, queries, keys);
    multiply_wide(g, queries, d, keys, w->packed, w->k_panels + (k0 - base) / TILE * panels_len(g, d, TILE),
                  dq + i0 * b->a->ldq, b->a->ldq, true, b->scale);
}

static void zero_rows(float *p, size_t ld, size_t rows, size_t d)
{
    for (size_t i = 0; i < rows; i++) memset(p + i * ld, 0, d * sizeof *p);
}

/* Heads h0 ... h1-1 of one kv head, one sequence. */
static void backward_heads(const struct backward *b, size_t seq, size_t h0, size_t h1, const struct target *t,
                           char *scratch)
{
    const struct weft_attn *a = b->a;
    const struct weft_gemm_level *g = b->g;
    struct backward_scratch w = backward_scratch(g, a->d, scratch);
    size_t d = a->d, first = (size_t)a->cu[seq], n = (size_t)a->cu[seq + 1] - first, kv = h0 / b->group,
           du = units_of(g, d);
    const float *k = a->k + first * a->ldk + kv * d, *v = a->v + first * a->ldv + kv * d;
    zero_rows(t->dk, t->ldk, n, d);
    zero_rows(t->dv, t->ldv, n, d);
    zero_rows(b->dq + first * a->ldq + h0 * d, a->ldq, n, (h1 - h0) * d);
    for (size_t base = 0; base < n; base += KEYS) {
        size_t keys = weft_min_size(KEYS, n - base);
        g->pack_a(w.k_rows, du, k + base * a->ldk, a->ldk, false, keys, d);
        g->pack_a(w.v_rows, du, v + base * a->ldv, a->ldv, false, keys, d);
        for (size_t j = 0; j < keys; j += TILE)
            pack_wide(g, w.k_panels + j / TILE * panels_len(g, d, TILE), k + (base + j) * a->ldk, a->ldk,
                      false, d, weft_min_size(TILE, keys - j));
        size_t end = a->window ? weft_min_size(n, base + keys - 1 + a->window) : n;
        for (size_t h = h0; h < h1; h++)
            for (size_t i0 = base; i0 < end; i0 += TILE) {
                size_t queries = weft_min_size(TILE, n - i0);
                const float *q = a->q + (first + i0) * a->ldq + h * d,
                            *go = b->dout + ((first + i0) * a->n_heads + h) * d;
                pack_wide(g, w.q_cols, q, a->ldq, true, queries, d);
                pack_wide(g, w.q_panels, q, a->ldq, false, d, queries);
                pack_wide(g, w.do_cols, go, a->n_heads * d, true, queries, d);
                pack_wide(g, w.do_panels, go, a->n_heads * d, false, d, queries);
                for (size_t k0 = base; k0 < base + keys && k0 < i0 + queries; k0 += TILE) {
                    size_t some = weft_min_size(TILE, base + keys - k0);
                    if (a->window && first_key(a->window, i0) >= k0 + some) continue;
                    backward_tile(b, &w, t, b->dq + first * a->ldq + h * d, b->lse + h * a->T + first,
                                  b->delta + h * a->T + first, base, k0, some, i0, queries);
                }
            }
    }
}

static void backward_task(void *ctx, size_t chunk, int thread)
{
    const struct backward *b = ctx;
    const struct weft_attn *a = b->a;
    size_t per_seq = b->split ? a->n_heads : a->n_kv_heads, seq = chunk / per_seq, which = chunk % per_seq,
           first = (size_t)a->cu[seq];
    size_t h0 = b->split ? which : which * b->group, kv = h0 / b->group;
    struct target t = { b->dk + first * a->ldk + kv * a->d, b->dv + first * a->ldv + kv * a->d, a->ldk, a->ldv };
    if (b->split) {
        t.dk = b->part + (h0 * a->T + first) * a->d;
        t.dv = t.dk + a->n_heads * a->T * a->d;
        t.ldk = t.ldv = a->d;
    }
    backward_heads(b, seq, h0, b->split ? h0 + 1 : h0 + b->group, &t, b->c->scratch[thread]);
}

/* dk and dv of TILE tokens: the heads of each group in order. */
static void add_heads_task(void *ctx, size_t chunk, int thread)
{
    const struct backward *b = ctx;
    const struct weft_attn *a = b->a;
    size_t end = weft_min_size((chunk + 1) * TILE, a->T), d = a->d;
    for (size_t t = chunk * TILE; t < end; t++)
        for (size_t kv = 0; kv < a->n_kv_heads; kv++)
            for (size_t which = 0; which < 2; which++) {
                float *out = which ? b->dv + t * a->ldv + kv * d : b->dk + t * a->ldk + kv * d;
                const float *in = b->part + ((which * a->n_heads + kv * b->group) * a->T + t) * d;
                memcpy(out, in, d * sizeof *out);
                for (size_t h = 1; h < b->group; h++) b->c->k->add(out, in + h * a->T * d, d);
            }
}

bool weft_attention_blocks_backward(struct weft_compute *c, const struct weft_gemm_level *g, float *dq,
                                    float *dk, float *dv, const float *delta, const float *dout,
                                    const float *lse, const struct weft_attn *a)
{
    struct backward b = { .c = c,
                          .g = g,
                          .a = a,
                          .dq = dq,
                          .dk = dk,
                          .dv = dv,
                          .delta = delta,
                          .dout = dout,
                          .lse = lse,
                          .scale = 1 / sqrtf((float)a->d),
                          .group = a->n_heads / a->n_kv_heads };
    b.split = b.group > 1 && a->n_seqs * a->n_kv_heads < SPLIT_BELOW;
    if (!weft_compute_need_scratch(c, backward_scratch(g, a->d, NULL).bytes)) return false;
    if (b.split) {
        if (!weft_compute_need_shared(c, 2 * a->n_heads * a->T * a->d * sizeof *b.part)) return false;
        b.part = c->shared;
    }
    weft_compute_run(c, a->n_seqs * (b.split ? a->n_heads : a->n_kv_heads), backward_task, &b);
    if (b.split) weft_compute_run(c, weft_ceil_div(a->T, TILE), add_heads_task, &b);
    return true;
}

/* ---- over a cache ---- */

/* Few queries: every task takes one kv head and a run of keys, multiplies row by row in f32, and leaves its maximum,
 * sum and weighted values; the runs are then put together in order. */
struct decode {
    struct weft_compute *c;
    const struct weft_cached_attn *a;
    size_t group, runs;
    float *part;                /* [runs][n_q][n_heads][2 + d]: maximum, sum, values */
};

static float *part_of(const struct decode *s, size_t run, size_t t, size_t head)
{
    return s->part + ((run * s->a->n_q + t) * s->a->n_heads + head) * (2 + s->a->d);
}

static void decode_task(void *ctx, size_t chunk, int thread)
{
    const struct decode *s = ctx;
    const struct weft_cached_attn *a = s->a;
    size_t kv = chunk % a->n_kv_heads, run = chunk / a->n_kv_heads, d = a->d;
    const float *k = a->kc + kv * a->cap * d, *v = a->vc + kv * a->cap * d;
    float *scores = s->c->scratch[thread], m[WEFT_GEMV_ROWS], l[WEFT_GEMV_ROWS];
    for (size_t t = 0; t < a->n_q; t++) {
        size_t from = weft_max_size(run * DECODE_KEYS, first_key(a->window, a->n_past + t));
        size_t to = weft_min_size((run + 1) * DECODE_KEYS, a->n_past + t + 1);
        for (size_t h = kv * s->group, rows; h < (kv + 1) * s->group; h += rows) {
            rows = weft_min_size(WEFT_GEMV_ROWS, (kv + 1) * s->group - h);
            float *part = part_of(s, run, t, h);
            for (size_t i = 0; i < rows; i++) m[i] = -INFINITY, l[i] = 0;
            if (from < to) {
                size_t n = to - from;
                s->c->k->gemv_nt(rows, n, d, a->q + (t * a->n_heads + h) * d, d, k + from * d, WEFT_F32, d,
                                 scores, DECODE_KEYS, false, WEFT_LOG2_E / sqrtf((float)d), NULL);
                s->c->k->softmax_step(scores, DECODE_KEYS, rows, n, m, l, scores, 0, 0);
                s->c->k->gemv_nn(rows, d, n, scores, DECODE_KEYS, v + from * d, WEFT_F32, d, part + 2, 2 + d,
                                 false, 1, NULL);
            }
            for (size_t i = 0; i < rows; i++) part[i * (2 + d)] = m[i], part[i * (2 + d) + 1] = l[i];
        }
    }
}

static void put_together(const struct decode *s, size_t t, size_t head)
{
    size_t d = s->a->d;
    float *out = s->a->out + (t * s->a->n_heads + head) * d, max = -INFINITY, sum = 0;
    for (size_t run = 0; run < s->runs; run++) max = fmaxf(max, part_of(s, run, t, head)[0]);
    memset(out, 0, d * sizeof *out);
    for (size_t run = 0; run < s->runs; run++) {
        const float *part = part_of(s, run, t, head);
        if (part[1] == 0) continue;                     /* this run sees nothing; its values were not written */
        float w = exp2f(part[0] - max);
        sum += w * part[1];
        for (size_t e = 0; e < d; e++) out[e] += w * part[2 + e];
    }
    for (size_t e = 0; e < d; e++) out[e] /= sum;
}

static bool decode(struct weft_compute *c, const struct weft_cached_attn *a)
{
    size_t n = a->n_past + a->n_q;
    struct decode s = { .c = c, .a = a, .group = a->n_heads / a->n_kv_heads, .runs = weft_ceil_div(n, DECODE_KEYS) };
    if (!weft_compute_need_scratch(c, WEFT_GEMV_ROWS * DECODE_KEYS * sizeof(float))) return false;
    if (!weft_compute_need_shared(c, s.runs * a->n_q * a->n_heads * (2 + a->d) * sizeof(float))) return false;
    s.part = c->shared;
    weft_compute_run(c, s.runs * a->n_kv_heads, decode_task, &s);
    for (size_t t = 0; t < a->n_q; t++)
        for (size_t h = 0; h < a->n_heads; h++) put_together(&s, t, h);
    return true;
}

bool weft_attention_blocks_cached(struct weft_compute *c, const struct weft_gemm_level *g,
                                  const struct weft_cached_attn *a)
{
    if (a->n_q < WEFT_FEW_QUERIES) return decode(c, a);
    struct forward f = { .c = c,
                         .g = g,
                         .n_heads = a->n_heads,
                         .group = a->n_heads / a->n_kv_heads,
                         .d = a->d,
                         .window = a->window,
                         .one = { .q = a->q,
                                  .k = a->kc,
                                  .v = a->vc,
                                  .ldq = a->n_heads * a->d,
                                  .ldk = a->d,
                                  .ldv = a->d,
                                  .k_head = a->cap * a->d,
                                  .v_head = a->cap * a->d,
                                  .n_q = a->n_q,
                                  .offset = a->n_past,
                                  .out = a->out } };
    return run_forward(&f, a->n_q);
}
