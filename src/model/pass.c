/* Forward and backward over one padding-free batch.
 *
 * All memory is laid out once, in weft_pass_new: the same function counts it (the plan) and hands it out.  What a layer
 * keeps for its backward stands in struct acts; norms' outputs and silu(gate)*up are recomputed there, since they
 * cost a pass over the cache and would cost D + D + F floats a token to keep.  With checkpointing all layers share
 * one struct acts and only their inputs x[i] are kept.  Layers below the lowest trainable one keep nothing. */
#include "model/linear.h"
#include "model/rope.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

/* What one layer's backward reads. */
struct acts {
    float *mid;             /* [T, D] the residual stream after attention */
    float *q, *k, *v;       /* [T, H|Hk|Hk, d] q and k after norm and rotation */
    float *o;               /* [T, H, d] attention output */
    float *lse;             /* [H, T] */
    float *r1, *r2;         /* [T] 1 / rms of the two norms */
    float *gate, *up;       /* [T, F] */
    float *t;               /* [T, rank] of each branch, one behind the other */
    float *q_raw, *k_raw;   /* qk_norm: before the norm */
    float *rq, *rk;         /* qk_norm: [T, H], [T, Hk] */
};

/* Sizes that decide the memory of a pass. */
struct shape {
    size_t T, D, F, H, Hk, d, L, V;
    size_t rank_sum;        /* of the branches of a layer */
    size_t lowest;          /* the lowest layer with something to train; L: none */
    size_t n_x, n_acts;     /* residual streams and layers kept */
    size_t loss_rows;
    bool qk_norm, backward, checkpointing;
};

struct weft_pass {
    struct weft_compute *compute;
    struct weft_arena arena;
    struct shape s;
    float **x;              /* [n_x] each [T, D] */
    struct acts *acts;      /* [n_acts] */

    /* scratch */
    float *norm;            /* [T, D] a norm's output, and its gradient's */
    float *x_drop;          /* [T, max(D, Hd)] */
    float *wide;            /* [T, max(F, D, Hd)] silu(gate)*up; the dropout scratch of backward */
    float *dh, *dnorm;      /* [T, D] */
    float *dgate, *dup;     /* [T, F] */
    float *dq, *dk, *dv;    /* [T, H|Hk|Hk, d] */
    float *dout;            /* [T, H, d] */
    float *delta;           /* [H, T] */
    float *dt;              /* [T, rank_sum] */

    /* the head */
    int32_t *rows, *targets, *row_seq;  /* [T] of the rows that carry loss */
    float *picked, *picked_norm, *dpicked;  /* [T, D] */
    float *r_picked;        /* [T] */
    float *logits;          /* [loss_rows, V] */
    float *coef;            /* [loss_rows] */
    double *loss;           /* [loss_rows] */

    float *rope_cos, *rope_sin, *rope_inv;  /* own table, where sequences may be longer than the model's */
    size_t n_positions;
};

/* ---- memory ---- */

struct layout {
    char *base;             /* NULL: only count */
    size_t used;
    bool overflow;
};

static void *take(struct layout *l, size_t a, size_t b, size_t item)
{
    size_t n, end;
    if (!weft_size_mul3(a, b, item, &n) || !weft_size_align(n, 64, &n) || !weft_size_add(l->used, n, &end)) {
        l->overflow = true;
        return NULL;
    }
    void *p = l->base ? l->base + l->used : NULL;
    l->used = end;
    return p;
}

static float *floats(struct layout *l, size_t a, size_t b) { return take(l, a, b, sizeof(float)); }

static void lay_out_activations(struct layout *l, const struct shape *s, float **x, struct acts *acts)
{
    size_t T = s->T, q = s->H * s->d, kv = s->Hk * s->d;
    for (size_t i = 0; i < s->n_x; i++) {
        float *p = floats(l, T, s->D);
        if (x) x[i] = p;
    }
    for (size_t i = 0; i < s->n_acts; i++) {
        struct acts a = {
            .mid = floats(l, T, s->D), .q = floats(l, T, q), .k = floats(l, T, kv), .v = floats(l, T, kv),
            .o = floats(l, T, q), .lse = floats(l, T, s->H), .r1 = floats(l, T, 1), .r2 = floats(l, T, 1),
            .gate = floats(l, T, s->F), .up = floats(l, T, s->F), .t = floats(l, T, s->rank_sum),
        };
        if (s->qk_norm) {
            a.q_raw = floats(l, T, q);
            a.k_raw = floats(l, T, kv);
            a.rq = floats(l, T, s->H);
            a.rk = floats(l, T, s->Hk);
        }
        if (acts) acts[i] = a;
    }
}

static void lay_out_scratch(struct layout *l, const struct shape *s, struct weft_pass *p)
{
    size_t T = s->T, D = s->D, F = s->F, q = s->H * s->d, kv = s->Hk * s->d, narrow = weft_max_size(D, q);
    p->norm = floats(l, T, D);
    p->x_drop = s->rank_sum && s->backward ? floats(l, T, narrow) : NULL;
    p->wide = floats(l, T, weft_max_size(F, narrow));
    p->rows = take(l, T, 1, sizeof(int32_t));
    p->targets = take(l, T, 1, sizeof(int32_t));
    p->row_seq = take(l, T, 1, sizeof(int32_t));
    p->picked = floats(l, T, D);
    p->picked_norm = floats(l, T, D);
    p->r_picked = floats(l, T, 1);
    if (!s->backward) return;
    p->dpicked = floats(l, T, D);
    p->dh = floats(l, T, D);
    p->dnorm = floats(l, T, D);
    p->dgate = floats(l, T, F);
    p->dup = floats(l, T, F);
    p->dq = floats(l, T, q);
    p->dk = floats(l, T, kv);
    p->dv = floats(l, T, kv);
    p->dout = floats(l, T, q);
    p->delta = floats(l, T, s->H);
    p->dt = floats(l, T, s->rank_sum);
}

static void lay_out_logits(struct layout *l, const struct shape *s, struct weft_pass *p)
{
    p->logits = floats(l, s->loss_rows, s->V);
    p->coef = floats(l, s->loss_rows, 1);
    p->loss = take(l, s->loss_rows, 1, sizeof(double));
}

/* Rows of logits at a time.  The head is read once for each chunk and multiplied at full speed from about 256 rows
 * on, so: as many rows as 160 MiB hold, 64 at least, 1024 at most. */
static size_t default_loss_rows(size_t V)
{
    size_t rows = (160u << 20) / sizeof(float) / V / 64 * 64;
    return rows < 64 ? 64 : weft_min_size(rows, 1024);
}

static struct shape shape_of(const struct weft_config *c, const struct weft_pass_settings *s, size_t rank_sum, size_t lowest)
{
    struct shape out = {
        .T = s->max_tokens, .D = c->hidden_size, .F = c->intermediate_size, .H = c->n_heads, .Hk = c->n_kv_heads,
        .d = c->head_dim, .L = c->n_layers, .V = c->vocab_size, .rank_sum = rank_sum, .lowest = s->backward ? lowest : c->n_layers,
        .qk_norm = c->qk_norm, .backward = s->backward, .checkpointing = s->checkpointing,
        .loss_rows = weft_min_size(s->loss_rows ? s->loss_rows : default_loss_rows(c->vocab_size), s->max_tokens),
    };
    size_t kept = out.L - out.lowest;
    out.n_x = weft_max_size(kept + 1, 2);
    out.n_acts = s->checkpointing ? 1 : weft_max_size(kept, 1);
    return out;
}

static enum weft_status check_settings(const struct weft_pass_settings *s, struct weft_err *err)
{
    if (s->max_tokens < 1 || s->max_tokens > INT32_MAX)
        return weft_fail(err, WEFT_EARG, "a batch of %zu tokens; expected 1 to %d", s->max_tokens, INT32_MAX);
    return WEFT_OK;
}

enum weft_status weft_pass_plan(const struct weft_config *config, const struct weft_pass_settings *s, size_t branch_rank_sum,
                                struct weft_pass_bytes *out, struct weft_err *err)
{
    enum weft_status st = check_settings(s, err);
    if (st) return st;
    struct shape shape = shape_of(config, s, branch_rank_sum, 0);
    struct weft_pass pass = { 0 };
    struct layout kept = { 0 }, scratch = { 0 }, logits = { 0 };
    lay_out_activations(&kept, &shape, NULL, NULL);
    lay_out_scratch(&scratch, &shape, &pass);
    lay_out_logits(&logits, &shape, &pass);
    if (kept.overflow || scratch.overflow || logits.overflow)
        return weft_fail(err, WEFT_ELIMIT, "a batch of %zu tokens needs more memory than can be addressed; make it smaller",
                         s->max_tokens);
    *out = (struct weft_pass_bytes){ kept.used, scratch.used, logits.used };
    return WEFT_OK;
}

static size_t rank_of(const struct weft_linear *l) { return l->branch ? l->branch->rank : 0; }

static size_t rank_sum_of(const struct weft_model *m)
{
    size_t most = 0;
    for (size_t i = 0; i < m->config.n_layers; i++) {
        const struct weft_layer *l = &m->layers[i];
        size_t sum = rank_of(&l->q) + rank_of(&l->k) + rank_of(&l->v) + rank_of(&l->o) + rank_of(&l->gate) + rank_of(&l->up) +
                     rank_of(&l->down);
        most = weft_max_size(most, sum);
    }
    return most;
}

static bool layer_trained(const struct weft_layer *l)
{
    return weft_linear_trained(&l->q) || weft_linear_trained(&l->k) || weft_linear_trained(&l->v) || weft_linear_trained(&l->o) ||
           weft_linear_trained(&l->gate) || weft_linear_trained(&l->up) || weft_linear_trained(&l->down) || l->input_norm.dw ||
           l->post_norm.dw || l->q_norm.dw || l->k_norm.dw;
}

/* The lowest layer whose backward must run; n_layers when only the final norm or the head train, or nothing. */
static size_t lowest_trained(const struct weft_model *m)
{
    if (m->dembed) return 0;
    for (size_t i = 0; i < m->config.n_layers; i++)
        if (layer_trained(&m->layers[i])) return i;
    return m->config.n_layers;
}

enum weft_status weft_pass_new(struct weft_pass **out, struct weft_compute *c, const struct weft_model *m,
                               const struct weft_pass_settings *settings, struct weft_err *err)
{
    struct weft_pass_bytes bytes;
    size_t total = 0, half = m->config.head_dim / 2, T = settings->max_tokens;
    *out = NULL;
    enum weft_status st = check_settings(settings, err);
    if (!st) st = weft_pass_plan(&m->config, settings, rank_sum_of(m), &bytes, err);
    if (st) return st;

    struct weft_pass *p = calloc(1, sizeof *p);
    if (!p) return weft_fail_nomem(err, sizeof *p, "a pass");
    p->compute = c;
    p->s = shape_of(&m->config, settings, rank_sum_of(m), lowest_trained(m));
    struct layout count = { 0 };
    lay_out_activations(&count, &p->s, NULL, NULL);
    lay_out_scratch(&count, &p->s, p);
    lay_out_logits(&count, &p->s, p);
    total = count.used;
    struct layout real = { .base = weft_arena_alloc(&p->arena, total) };
    p->x = WEFT_NEWS(&p->arena, float *, p->s.n_x);
    p->acts = WEFT_NEWS(&p->arena, struct acts, p->s.n_acts);
    if (!real.base || !p->x || !p->acts) goto no_memory;
    lay_out_activations(&real, &p->s, p->x, p->acts);
    lay_out_scratch(&real, &p->s, p);
    lay_out_logits(&real, &p->s, p);

    p->rope_cos = m->rope_cos;
    p->rope_sin = m->rope_sin;
    p->n_positions = m->n_positions;
    if (T > m->n_positions) {           /* a sequence may be as long as the batch */
        p->rope_cos = WEFT_NEWS(&p->arena, float, T * half);
        p->rope_sin = WEFT_NEWS(&p->arena, float, T * half);
        p->rope_inv = WEFT_NEWS(&p->arena, float, half);
        if (!p->rope_cos || !p->rope_sin || !p->rope_inv) goto no_memory;
        weft_rope_table(&m->config, T, p->rope_inv, p->rope_cos, p->rope_sin);
        p->n_positions = T;
    }
    *out = p;
    return WEFT_OK;

no_memory:
    weft_pass_free(p);
    return weft_fail_nomem(err, total, "a pass over a batch; use a smaller cutoff_len or batch, or gradient checkpointing");
}

void weft_pass_free(struct weft_pass *p)
{
    if (!p) return;
    weft_arena_clear(&p->arena);
    free(p);
}

/* The residual stream that enters layer i (i == L: leaves the last).  Below the lowest trained layer two streams take
 * turns, so that the one written last is x of the lowest. */
static float *stream(const struct weft_pass *p, size_t i)
{
    if (i >= p->s.lowest) return p->x[i - p->s.lowest];
    return p->x[(p->s.lowest - i) % 2];
}

static struct acts *acts_of(const struct weft_pass *p, size_t i)
{
    return p->s.n_acts == 1 || i < p->s.lowest ? &p->acts[0] : &p->acts[i - p->s.lowest];
}

/* ---- one layer ---- */

/* Where each branch's t stands in acts.t. */
struct branch_parts {
    float *q, *k, *v, *o, *gate, *up, *down;
};

static struct branch_parts split_branches(float *t, const struct weft_layer *l, size_t T)
{
    struct branch_parts b;
    b.q = t, t += T * rank_of(&l->q);
    b.k = t, t += T * rank_of(&l->k);
    b.v = t, t += T * rank_of(&l->v);
    b.o = t, t += T * rank_of(&l->o);
    b.gate = t, t += T * rank_of(&l->gate);
    b.up = t, t += T * rank_of(&l->up);
    b.down = t;
    return b;
}

static struct weft_attn attention_of(const struct weft_model *m, const struct acts *a, const struct weft_batch *b, size_t layer)
{
    const struct weft_config *c = &m->config;
    size_t q = c->n_heads * c->head_dim, kv = c->n_kv_heads * c->head_dim;
    return (struct weft_attn){
        .q = a->q, .k = a->k, .v = a->v, .ldq = q, .ldk = kv, .ldv = kv, .cu = b->cu, .n_seqs = b->n_seqs, .T = b->n_tokens,
        .n_heads = c->n_heads, .n_kv_heads = c->n_kv_heads, .d = c->head_dim,
        .window = layer >= c->window_first_layer ? c->sliding_window : 0,
    };
}

/* y [T, D] = the layer of x [T, D].  y NULL: the recomputation of a checkpointed layer, whose output nobody reads. */
static void layer_forward(const struct weft_run *run, const struct weft_model *m, struct weft_pass *p, const struct weft_batch *b,
                          size_t layer, struct acts *a, const float *x, float *y)
{
    const struct weft_config *c = &m->config;
    const struct weft_layer *l = &m->layers[layer];
    struct weft_compute *k = run->compute;
    size_t T = b->n_tokens, D = c->hidden_size, H = c->n_heads, Hk = c->n_kv_heads, d = c->head_dim;
    struct branch_parts t = split_branches(a->t, l, T);
    float *q = c->qk_norm ? a->q_raw : a->q, *key = c->qk_norm ? a->k_raw : a->k;

    weft_rmsnorm(k, p->norm, a->r1, x, l->input_norm.w, T, D, c->rms_norm_eps);
    weft_linear_forward(run, &l->q, q, false, t.q, p->norm, p->x_drop, T);
    weft_linear_forward(run, &l->k, key, false, t.k, p->norm, p->x_drop, T);
    weft_linear_forward(run, &l->v, a->v, false, t.v, p->norm, p->x_drop, T);
    if (c->qk_norm) {
        weft_rmsnorm(k, a->q, a->rq, q, l->q_norm.w, T * H, d, c->rms_norm_eps);
        weft_rmsnorm(k, a->k, a->rk, key, l->k_norm.w, T * Hk, d, c->rms_norm_eps);
    }
    weft_rope(k, a->q, H * d, p->rope_cos, p->rope_sin, b->pos, T, H, d, false);
    weft_rope(k, a->k, Hk * d, p->rope_cos, p->rope_sin, b->pos, T, Hk, d, false);
    struct weft_attn attn = attention_of(m, a, b, layer);
    weft_attention(k, a->o, a->lse, &attn);

    memcpy(a->mid, x, T * D * sizeof(float));
    weft_linear_forward(run, &l->o, a->mid, true, t.o, a->o, p->x_drop, T);
    weft_rmsnorm(k, p->norm, a->r2, a->mid, l->post_norm.w, T, D, c->rms_norm_eps);
    weft_linear_forward(run, &l->gate, a->gate, false, t.gate, p->norm, p->x_drop, T);
    weft_linear_forward(run, &l->up, a->up, false, t.up, p->norm, p->x_drop, T);
    if (!y && !weft_linear_branched(&l->down)) return;
    weft_swiglu(k, p->wide, a->gate, a->up, T * c->intermediate_size);
    if (!y) {
        weft_linear_branch_in(run, &l->down, t.down, p->wide, p->wide, T);
        return;
    }
    memcpy(y, a->mid, T * D * sizeof(float));
    weft_linear_forward(run, &l->down, y, true, t.down, p->wide, p->wide, T);
}

/* p->dh [T, D] holds the gradient of the layer's output and receives that of its input, which is only computed when
 * `below` wants it.  The order is that of docs/training.md 2.1. */
static void layer_backward(const struct weft_run *run, struct weft_model *m, struct weft_pass *p, const struct weft_batch *b,
                           size_t layer, const struct acts *a, const float *x, bool below)
{
    const struct weft_config *c = &m->config;
    struct weft_layer *l = &m->layers[layer];
    struct weft_compute *k = run->compute;
    size_t T = b->n_tokens, D = c->hidden_size, H = c->n_heads, Hk = c->n_kv_heads, d = c->head_dim;
    struct branch_parts t = split_branches(a->t, l, T), dt = split_branches(p->dt, l, T);

    /* down, then silu(gate) * up */
    weft_linear_backward_x(run, &l->down, p->dgate, false, dt.down, p->dh, p->dup, T);
    bool wide_wanted = weft_linear_wants_x(&l->down);
    weft_swiglu_backward(k, p->dgate, p->dup, wide_wanted ? p->wide : NULL, p->dgate, a->gate, a->up, T * c->intermediate_size);
    weft_linear_backward_w(run, &l->down, p->dh, t.down, dt.down, p->wide, p->wide, T);

    /* gate and up */
    weft_linear_backward_x(run, &l->gate, p->dnorm, false, dt.gate, p->dgate, p->wide, T);
    weft_linear_backward_x(run, &l->up, p->dnorm, true, dt.up, p->dup, p->wide, T);
    if (weft_linear_wants_x(&l->gate) || weft_linear_wants_x(&l->up))
        weft_rmsnorm(k, p->norm, NULL, a->mid, l->post_norm.w, T, D, c->rms_norm_eps);
    weft_linear_backward_w(run, &l->gate, p->dgate, t.gate, dt.gate, p->norm, p->wide, T);
    weft_linear_backward_w(run, &l->up, p->dup, t.up, dt.up, p->norm, p->wide, T);
    weft_rmsnorm_backward(k, p->dh, true, l->post_norm.dw, p->dnorm, a->mid, l->post_norm.w, a->r2, T, D);

    /* attention */
    weft_linear_backward_x(run, &l->o, p->dout, false, dt.o, p->dh, p->wide, T);
    weft_linear_backward_w(run, &l->o, p->dh, t.o, dt.o, a->o, p->wide, T);
    struct weft_attn attn = attention_of(m, a, b, layer);
    weft_attention_backward(k, p->dq, p->dk, p->dv, p->delta, p->dout, a->o, a->lse, &attn);
    weft_rope(k, p->dq, H * d, p->rope_cos, p->rope_sin, b->pos, T, H, d, true);
    weft_rope(k, p->dk, Hk * d, p->rope_cos, p->rope_sin, b->pos, T, Hk, d, true);
    if (c->qk_norm) {
        weft_rmsnorm_backward(k, p->dq, false, l->q_norm.dw, p->dq, a->q_raw, l->q_norm.w, a->rq, T * H, d);
        weft_rmsnorm_backward(k, p->dk, false, l->k_norm.dw, p->dk, a->k_raw, l->k_norm.w, a->rk, T * Hk, d);
    }

    /* q, k, v */
    bool dx = below || l->input_norm.dw;
    weft_linear_backward_x(run, &l->q, dx ? p->dnorm : NULL, false, dt.q, p->dq, p->wide, T);
    weft_linear_backward_x(run, &l->k, dx ? p->dnorm : NULL, true, dt.k, p->dk, p->wide, T);
    weft_linear_backward_x(run, &l->v, dx ? p->dnorm : NULL, true, dt.v, p->dv, p->wide, T);
    if (weft_linear_wants_x(&l->q) || weft_linear_wants_x(&l->k) || weft_linear_wants_x(&l->v))
        weft_rmsnorm(k, p->norm, NULL, x, l->input_norm.w, T, D, c->rms_norm_eps);
    weft_linear_backward_w(run, &l->q, p->dq, t.q, dt.q, p->norm, p->wide, T);
    weft_linear_backward_w(run, &l->k, p->dk, t.k, dt.k, p->norm, p->wide, T);
    weft_linear_backward_w(run, &l->v, p->dv, t.v, dt.v, p->norm, p->wide, T);
    if (dx) weft_rmsnorm_backward(k, p->dh, true, l->input_norm.dw, p->dnorm, x, l->input_norm.w, a->r1, T, D);
}

/* ---- the batch ---- */

static enum weft_status check_batch(const struct weft_model *m, const struct weft_pass *p, const struct weft_batch *b,
                                    struct weft_err *err)
{
    size_t V = m->config.vocab_size;
    if (b->n_tokens > p->s.T)
        return weft_fail(err, WEFT_EARG, "a batch of %zu tokens; this pass has room for %zu", b->n_tokens, p->s.T);
    if (rank_sum_of(m) > p->s.rank_sum || (p->s.backward && lowest_trained(m) < p->s.lowest))
        return weft_fail(err, WEFT_EARG, "the model got other trainable tensors after the pass was made; make it anew");
    for (size_t t = 0; t < b->n_tokens; t++) {
        if (b->ids[t] < 0 || (size_t)b->ids[t] >= V)
            return weft_fail_rule(err, WEFT_EINPUT, "B6", "token %zu of the batch has id %d; the model knows ids 0 to %zu: its "
                                  "tokenizer belongs to another model", t, b->ids[t], V - 1);
        if (b->pos[t] < 0 || (size_t)b->pos[t] >= p->n_positions)
            return weft_fail(err, WEFT_EARG, "token %zu of the batch is at position %d; this pass has positions 0 to %zu", t,
                             b->pos[t], p->n_positions - 1);
    }
    return WEFT_OK;
}

static void forward(const struct weft_run *run, const struct weft_model *m, struct weft_pass *p, const struct weft_batch *b)
{
    weft_embed(run->compute, stream(p, 0), m->embed, m->embed_type, b->ids, b->n_tokens, m->config.hidden_size);
    for (size_t i = 0; i < m->config.n_layers; i++)
        layer_forward(run, m, p, b, i, acts_of(p, i), stream(p, i), stream(p, i + 1));
}

/* Lists the rows that carry loss: those whose next token has a label.  Sequences bound the shift. */
static enum weft_status select_rows(const struct weft_model *m, struct weft_pass *p, const struct weft_batch *b, size_t *n,
                                    struct weft_err *err)
{
    *n = 0;
    if (!b->labels) return weft_fail(err, WEFT_EARG, "a loss needs labels; the batch has none");
    for (size_t s = 0; s < b->n_seqs; s++)
        for (int32_t t = b->cu[s]; t + 1 < b->cu[s + 1]; t++) {
            int32_t label = b->labels[t + 1];
            if (label == WEFT_IGNORE) continue;
            if (label < 0 || (size_t)label >= m->config.vocab_size)
                return weft_fail_rule(err, WEFT_EINPUT, "B6", "label %d of the batch is not an id of the model (0 to %zu)", label,
                                      m->config.vocab_size - 1);
            p->rows[*n] = t;
            p->targets[*n] = label;
            p->row_seq[*n] = (int32_t)s;
            ++*n;
        }
    return WEFT_OK;
}

/* picked = the chosen rows of the last stream, picked_norm = their final norm. */
static void pick(const struct weft_run *run, const struct weft_model *m, struct weft_pass *p, const int32_t *rows, size_t n)
{
    size_t D = m->config.hidden_size;
    weft_embed(run->compute, p->picked, stream(p, m->config.n_layers), WEFT_F32, rows, n, D);
    weft_rmsnorm(run->compute, p->picked_norm, p->r_picked, p->picked, m->norm.w, n, D, m->config.rms_norm_eps);
}

/* Loss over n picked rows, logits a chunk at a time; with `dx` also dpicked (gradient at the final norm's output) and
 * the head's dW. */
static void head_loss(const struct weft_run *run, const struct weft_model *m, struct weft_pass *p, size_t n, bool backward,
                      float coef, struct weft_loss *out, double *row_loss)
{
    const struct weft_linear *head = &m->head;
    size_t D = m->config.hidden_size, V = m->config.vocab_size;
    size_t n_chunks = weft_ceil_div(n, p->s.loss_rows), chunk = n_chunks ? weft_ceil_div(n, n_chunks) : 0;

    *out = (struct weft_loss){ .n = n };
    for (size_t i = 0; i < chunk; i++) p->coef[i] = coef;
    for (size_t at = 0; at < n; at += chunk) {
        size_t rows = weft_min_size(chunk, n - at);
        const float *x = p->picked_norm + at * D;
        weft_gemm(run->compute, &(struct weft_gemm){
            .m = rows, .n = V, .k = D, .a = x, .lda = D, .b = head->w, .b_type = head->type, .ldb = D,
            .b_rows_are_outputs = true, .c = p->logits, .ldc = V });
        weft_cross_entropy(run->compute, p->loss, p->logits, V, p->targets + at, backward ? p->coef : NULL, rows, V);
        for (size_t i = 0; i < rows; i++) {
            out->sum += p->loss[i];
            if (row_loss) row_loss[p->row_seq[at + i]] += p->loss[i];
        }
        if (!backward) continue;
        weft_gemm(run->compute, &(struct weft_gemm){
            .m = rows, .n = D, .k = V, .a = p->logits, .lda = V, .b = head->w, .b_type = head->type, .ldb = D,
            .c = p->dpicked + at * D, .ldc = D });
        if (head->dw)
            weft_gemm(run->compute, &(struct weft_gemm){
                .m = V, .n = D, .k = rows, .a = p->logits, .lda = V, .a_transposed = true, .b = x, .ldb = D, .c = head->dw,
                .ldc = D, .accumulate = true });
    }
}

enum weft_status weft_model_loss(const struct weft_model *m, struct weft_pass *p, const struct weft_batch *b, struct weft_loss *out,
                                 struct weft_err *err)
{
    struct weft_run run = { 0 };
    size_t n;
    *out = (struct weft_loss){ 0 };
    enum weft_status st = check_batch(m, p, b, err);
    if (!st) st = select_rows(m, p, b, &n, err);
    if (st || !n) return st;
    weft_run_begin(&run, p->compute, m);
    forward(&run, m, p, b);
    pick(&run, m, p, p->rows, n);
    head_loss(&run, m, p, n, false, 0, out, NULL);
    weft_run_end(&run);
    return WEFT_OK;
}

enum weft_status weft_model_loss_backward(struct weft_model *m, struct weft_pass *p, const struct weft_batch *b, float coef,
                                          uint64_t seed, uint64_t micro_step, struct weft_loss *out, double *row_loss,
                                          const struct weft_progress *progress, struct weft_err *err)
{
    struct weft_run run = { .dropout = true, .seed = seed, .micro_step = micro_step };
    size_t n, D = m->config.hidden_size, L = m->config.n_layers;
    *out = (struct weft_loss){ 0 };
    if (row_loss) memset(row_loss, 0, b->n_seqs * sizeof *row_loss);
    if (!p->s.backward) return weft_fail(err, WEFT_EARG, "this pass was made without backward");
    enum weft_status st = check_batch(m, p, b, err);
    if (!st) st = select_rows(m, p, b, &n, err);
    if (st || !n) return st;

    weft_run_begin(&run, p->compute, m);
    forward(&run, m, p, b);
    if (weft_progress_cancelled(progress)) goto cancelled;
    pick(&run, m, p, p->rows, n);
    head_loss(&run, m, p, n, true, coef, out, row_loss);
    weft_rmsnorm_backward(run.compute, p->dpicked, false, m->norm.dw, p->dpicked, p->picked, m->norm.w, p->r_picked, n, D);
    if (p->s.lowest == L && !m->dembed) goto done;

    memset(p->dh, 0, b->n_tokens * D * sizeof(float));
    for (size_t i = 0; i < n; i++) memcpy(p->dh + (size_t)p->rows[i] * D, p->dpicked + i * D, D * sizeof(float));
    for (size_t i = L; i-- > p->s.lowest;) {
        if (weft_progress_cancelled(progress)) goto cancelled;
        if (p->s.checkpointing && i + 1 < L) layer_forward(&run, m, p, b, i, acts_of(p, i), stream(p, i), NULL);
        layer_backward(&run, m, p, b, i, acts_of(p, i), stream(p, i), i > p->s.lowest || m->dembed);
    }
    if (m->dembed)
        weft_embed_backward(run.compute, m->dembed, p->dh, b->ids, b->n_tokens, D, m->config.pad_token_id);
    goto done;
cancelled:
    st = weft_fail(err, WEFT_ECANCEL, "stopped");
done:
    weft_run_end(&run);
    return st;
}

enum weft_status weft_model_logits(const struct weft_model *m, struct weft_pass *p, const struct weft_batch *b, const int32_t *rows,
                                   size_t n_rows, float *logits, struct weft_err *err)
{
    struct weft_run run = { 0 };
    size_t D = m->config.hidden_size, V = m->config.vocab_size;
    enum weft_status st = check_batch(m, p, b, err);
    if (st) return st;
    for (size_t i = 0; i < n_rows; i++)
        if (rows[i] < 0 || (size_t)rows[i] >= b->n_tokens)
            return weft_fail(err, WEFT_EARG, "logits of row %d of a batch of %zu tokens", rows[i], b->n_tokens);
    weft_run_begin(&run, p->compute, m);
    forward(&run, m, p, b);
    for (size_t at = 0; at < n_rows; at += p->s.T) {
        size_t n = weft_min_size(p->s.T, n_rows - at);
        pick(&run, m, p, rows + at, n);
        weft_gemm(run.compute, &(struct weft_gemm){
            .m = n, .n = V, .k = D, .a = p->picked_norm, .lda = D, .b = m->head.w, .b_type = m->head.type, .ldb = D,
            .b_rows_are_outputs = true, .c = logits + at * V, .ldc = V });
    }
    weft_run_end(&run);
    return WEFT_OK;
}
