/* The memory of a pass is laid out once: the same functions count it (the plan) and hand it out. */
#include "model/pass.h"
#include "model/rope.h"

#include <stdlib.h>

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
static uint16_t *halves(struct layout *l, size_t a, size_t b) { return take(l, a, b, sizeof(uint16_t)); }

/* The arrays of a layer that may be kept in bf16 instead; then mid and o lend their places to others in between. */
static struct weft_acts lay_out_wide(struct layout *l, const struct weft_pass_shape *s)
{
    size_t T = s->T, q = s->H * s->d, kv = s->Hk * s->d;
    struct weft_acts a = {
        .mid = floats(l, T, s->low ? weft_max_size(s->D, q) : s->D),
        .q = floats(l, T, q),
        .k = floats(l, T, kv),
        .v = floats(l, T, kv),
        .o = floats(l, T, s->low ? weft_max_size(s->D, q) : q),
        .gate = floats(l, T, s->F),
        .up = floats(l, T, s->F),
    };
    if (s->qk_norm) {
        a.q_raw = floats(l, T, q);
        a.k_raw = floats(l, T, kv);
    }
    return a;
}

static struct weft_kept lay_out_kept(struct layout *l, const struct weft_pass_shape *s)
{
    size_t T = s->T, q = s->H * s->d, kv = s->Hk * s->d;
    struct weft_kept k = {
        .x = halves(l, T, s->D), .mid = halves(l, T, s->D), .q = halves(l, T, q), .k = halves(l, T, kv),
        .v = halves(l, T, kv), .o = halves(l, T, q), .pair = floats(l, T, s->F),
    };
    if (s->qk_norm) {
        k.q_raw = halves(l, T, q);
        k.k_raw = halves(l, T, kv);
    }
    return k;
}

/* `shared`: the wide arrays of a pass that keeps bf16. */
static void lay_out_activations(struct layout *l, const struct weft_pass_shape *s, const struct weft_acts *shared,
                                float **x, struct weft_acts *acts)
{
    size_t T = s->T;
    for (size_t i = 0; i < s->n_x; i++) {
        float *p = floats(l, T, s->D);
        if (x) x[i] = p;
    }
    for (size_t i = 0; i < s->n_acts; i++) {
        struct weft_acts a = s->low ? *shared : lay_out_wide(l, s);
        if (s->low) a.kept = lay_out_kept(l, s);
        a.lse = floats(l, T, s->H);
        a.r1 = floats(l, T, 1);
        a.r2 = floats(l, T, 1);
        a.t = floats(l, T, s->rank_sum);
        if (s->qk_norm) {
            a.rq = floats(l, T, s->H);
            a.rk = floats(l, T, s->Hk);
        }
        if (acts) acts[i] = a;
    }
}

/* What is alive while the head works. */
static void lay_out_head(struct layout *l, const struct weft_pass_shape *s, struct weft_pass *p)
{
    size_t T = s->T, D = s->D;
    p->rows = take(l, T, 1, sizeof(int32_t));
    p->targets = take(l, T, 1, sizeof(int32_t));
    p->row_seq = take(l, T, 1, sizeof(int32_t));
    p->last_x = floats(l, T, D);
    p->last_o = floats(l, T, s->H * s->d);
    p->final = floats(l, T, D);
    p->r_final = floats(l, T, 1);
    p->dh = s->backward ? floats(l, T, D) : NULL;
    p->coef = floats(l, s->loss_rows, 1);
    p->loss = take(l, s->loss_rows, 1, sizeof(double));
}

static void lay_out_scratch(struct layout *l, const struct weft_pass_shape *s, struct weft_pass *p,
                            struct weft_acts *shared)
{
    size_t T = s->T, D = s->D, F = s->F, q = s->H * s->d, kv = s->Hk * s->d, narrow = weft_max_size(D, q);
    *shared = s->low ? lay_out_wide(l, s) : (struct weft_acts){ 0 };
    p->x_again = shared->o;
    p->norm = floats(l, T, D);
    p->dora = floats(l, T, s->dora);
    if (!s->low) p->wide = floats(l, T, weft_max_size(F, narrow));
    if (s->backward) {
        p->dnorm = floats(l, T, D);
        /* gate and up as they come are of no use any more when their gradients are made from what was kept of them */
        p->dgate = s->low ? shared->gate : floats(l, T, F);
        p->dup = s->low ? shared->up : floats(l, T, F);
        p->dq = s->low ? shared->mid : floats(l, T, q);
        p->dk = floats(l, T, kv);
        p->dv = floats(l, T, kv);
        p->dout = floats(l, T, q);
        p->delta = floats(l, T, s->H);
        p->dt = floats(l, T, s->rank_sum);
    }
    /* last: without dropout nobody touches it */
    p->x_drop = s->rank_sum && s->backward ? floats(l, T, narrow) : NULL;
    if (s->low) p->wide = p->x_drop;
}

/* All of it, in one piece: what lives through a pass, then what the layers and the head use by turns. */
static struct weft_pass_bytes lay_out(char *base, const struct weft_pass_shape *s, struct weft_pass *p,
                                      bool *overflow)
{
    struct layout l = { .base = base };
    struct weft_pass_bytes bytes = { 0 };
    struct weft_acts shared;
    lay_out_head(&l, s, p);
    size_t lasting = l.used, turns = 0;
    lay_out_scratch(&l, s, p, &shared);
    bytes.scratch = l.used;
    turns = l.used - lasting;
    struct layout head = { .base = base, .used = lasting };
    p->logits = floats(&head, s->loss_rows, s->V);
    bytes.logits = head.used - lasting > turns ? head.used - lasting - turns : 0;
    l.used = weft_max_size(l.used, head.used);
    size_t before = l.used;
    lay_out_activations(&l, s, &shared, p->x, p->acts);
    bytes.activations = l.used - before;
    *overflow = l.overflow || head.overflow;
    return bytes;
}

/* Rows of logits at a time: as many as find room where the layers have their scratch.  The head is read once for each
 * chunk and multiplied a twentieth slower with 128 rows than with 256, so: 96 at least, 1024 at most. */
static size_t default_loss_rows(const struct weft_pass_shape *s)
{
    struct layout l = { 0 };
    struct weft_pass p;
    struct weft_acts shared;
    lay_out_scratch(&l, s, &p, &shared);
    size_t rows = l.used / sizeof(float) / s->V / 32 * 32;
    return rows < 96 ? 96 : weft_min_size(rows, 1024);
}

static size_t rank_sum_of(const struct weft_model *m);
static size_t widest_dora(const struct weft_model *m);

static struct weft_pass_shape shape_of(const struct weft_compute *compute, const struct weft_model *m,
                                       const struct weft_pass_settings *s)
{
    const struct weft_config *c = &m->config;
    struct weft_pass_shape out = {
        .T = s->max_tokens,
        .D = c->hidden_size,
        .F = c->intermediate_size,
        .H = c->n_heads,
        .Hk = c->n_kv_heads,
        .d = c->head_dim,
        .L = c->n_layers,
        .V = c->vocab_size,
        .rank_sum = rank_sum_of(m),
        .dora = widest_dora(m),
        .lowest = !s->backward ? c->n_layers : s->in_turns ? 0 : weft_lowest_trained(m),
        .qk_norm = c->qk_norm,
        .backward = s->backward,
        .checkpointing = s->checkpointing,
        .low = s->backward && weft_compute_rounds(compute) && !compute->exact && !m->exact,
    };
    out.loss_rows = weft_min_size(s->loss_rows ? s->loss_rows : default_loss_rows(&out), s->max_tokens);
    size_t kept = out.L - out.lowest;
    out.n_x = out.low && !s->checkpointing ? 2 : weft_max_size(kept + 1, 2);
    out.n_acts = s->checkpointing ? 1 : weft_max_size(kept, 1);
    return out;
}

static enum weft_status check_settings(const struct weft_pass_settings *s, struct weft_err *err)
{
    size_t most = weft_max_size(s->max_tokens, s->loss_tokens);
    if (s->max_tokens < 1 || most > INT32_MAX)
        return weft_fail(err, WEFT_EARG, "a batch of %zu tokens; expected 1 to %d", most, INT32_MAX);
    return WEFT_OK;
}

/* Batches that are only measured have a layout of their own. */
static bool measures_apart(const struct weft_pass_settings *s) { return s->backward && s->loss_tokens > 0; }

static struct weft_pass_settings of_losses(const struct weft_pass_settings *s)
{
    struct weft_pass_settings out = *s;
    out.max_tokens = weft_max_size(s->max_tokens, s->loss_tokens);
    out.backward = out.in_turns = out.checkpointing = false;
    out.neftune_noise_alpha = 0;
    return out;
}

/* ---- the kernels' scratch ---- */

/* The products of `rows` tokens with W [n_out, n_in]; frozen: dW is not wanted. */
static void count_products(struct weft_compute *c, const void *w, enum weft_dtype type, size_t n_out, size_t n_in,
                           size_t rows, bool backward, bool frozen)
{
    weft_gemm(c, &(struct weft_gemm){ .m = rows, .n = n_out, .k = n_in, .lda = n_in, .b = w, .b_type = type,
                                      .ldb = n_in, .b_rows_are_outputs = true, .ldc = n_out });
    if (!backward) return;
    weft_gemm(c, &(struct weft_gemm){ .m = rows, .n = n_in, .k = n_out, .lda = n_out, .b = w, .b_type = type,
                                      .ldb = n_in, .ldc = n_in });
    if (!frozen)
        weft_gemm(c, &(struct weft_gemm){ .m = n_out, .n = n_in, .k = rows, .lda = n_out, .a_transposed = true,
                                          .ldb = n_in, .ldc = n_in });
}

static void count_linear(struct weft_compute *c, const struct weft_linear *l, size_t rows, bool backward)
{
    const struct weft_branch *b = l->branch;
    count_products(c, l->w, l->type, l->n_out, l->n_in, rows, backward, !l->dw);
    if (!b) return;
    count_products(c, NULL, WEFT_F32, b->rank, l->n_in, rows, backward, false);
    count_products(c, NULL, WEFT_F32, l->n_out, b->rank, rows, backward, false);
    if (!b->dora) return;               /* weft_dora_update */
    weft_gemm(c, &(struct weft_gemm){ .m = b->rank, .n = l->n_out, .k = l->n_in, .lda = l->n_in, .b = l->w,
                                      .b_type = l->type, .ldb = l->n_in, .b_rows_are_outputs = true, .ldc = l->n_out,
                                      .exact = true });
    weft_gemm(c, &(struct weft_gemm){ .m = b->rank, .n = b->rank, .k = l->n_in, .lda = l->n_in, .ldb = l->n_in,
                                      .b_rows_are_outputs = true, .ldc = b->rank, .exact = true });
    weft_gemm(c, &(struct weft_gemm){ .m = l->n_out, .n = b->rank, .k = b->rank, .lda = b->rank, .ldb = b->rank,
                                      .ldc = b->rank, .exact = true });
}

/* What reads the same x is multiplied together, an adapter's t among it (weft_linear_forward_all); backward it rides
 * along with W alone. */
static void count_together(struct weft_compute *c, const struct weft_linear *const *l, size_t n, size_t rows,
                           bool backward)
{
    struct weft_gemm g[WEFT_GEMM_GROUP] = { 0 };
    struct weft_low_rank low[WEFT_GEMM_GROUP];
    for (size_t i = 0; i < n; i++) {
        g[i] = (struct weft_gemm){ .m = rows, .n = l[i]->n_out, .k = l[i]->n_in, .lda = l[i]->n_in, .b = l[i]->w,
                                   .b_type = l[i]->type, .ldb = l[i]->n_in, .b_rows_are_outputs = true,
                                   .ldc = l[i]->n_out };
        low[i] = (struct weft_low_rank){ .rank = weft_rank_of(l[i]) };
        if (low[i].rank) g[i].low = &low[i];
    }
    weft_gemm_group(c, g, n);
    for (size_t i = 0; backward && i < n; i++)
        weft_gemm(c, &(struct weft_gemm){ .m = rows, .n = l[i]->n_in, .k = l[i]->n_out, .lda = l[i]->n_out,
                                          .b = l[i]->w, .b_type = l[i]->type, .ldb = l[i]->n_in, .ldc = l[i]->n_in,
                                          .low = low[i].rank ? &low[i] : NULL });
}

/* Batches are as large as planned or smaller; a few rows go other ways. */
static void count_kernels(const struct weft_compute *compute, const struct weft_model *m,
                          const struct weft_pass_shape *s, struct weft_compute_bytes *most)
{
    struct weft_compute c = weft_compute_counter(compute, most);
    int32_t cu[2] = { 0, 0 };
    c.exact |= m->exact;
    for (size_t rows = s->T;; rows /= 2) {
        for (size_t i = 0; i < m->config.n_layers; i++) {
            const struct weft_layer *l = &m->layers[i];
            const struct weft_linear *const all[] = { &l->q, &l->k, &l->v, &l->o, &l->gate, &l->up, &l->down };
            for (size_t k = 0; k < WEFT_COUNT(all); k++) count_linear(&c, all[k], rows, s->backward);
            count_together(&c, (const struct weft_linear *const[]){ &l->q, &l->k, &l->v }, 3, rows, s->backward);
            count_together(&c, (const struct weft_linear *const[]){ &l->gate, &l->up }, 2, rows, s->backward);
            count_together(&c, (const struct weft_linear *const[]){ &l->o }, 1, rows, s->backward);
            count_together(&c, (const struct weft_linear *const[]){ &l->down }, 1, rows, s->backward);
        }
        count_products(&c, m->head.w, m->head.type, s->V, s->D, weft_min_size(rows, s->loss_rows), s->backward,
                       !m->head.dw);
        if (rows == 1) break;
    }
    cu[1] = (int32_t)s->T;              /* of one sequence: the most */
    struct weft_attn a = { .ldq = s->H * s->d, .ldk = s->Hk * s->d, .ldv = s->Hk * s->d, .cu = cu, .n_seqs = 1,
                           .T = s->T, .n_heads = s->H, .n_kv_heads = s->Hk, .d = s->d };
    weft_attention(&c, NULL, NULL, &a);
    if (s->backward) weft_attention_backward(&c, NULL, NULL, NULL, NULL, NULL, NULL, NULL, &a);
}

static size_t sum_of(const struct weft_pass_bytes *b) { return b->activations + b->scratch + b->logits; }

enum weft_status weft_pass_plan(const struct weft_compute *c, const struct weft_model *m,
                                const struct weft_pass_settings *s, struct weft_pass_bytes *out,
                                struct weft_err *err)
{
    enum weft_status st = check_settings(s, err);
    if (st) return st;
    struct weft_pass_shape shape = shape_of(c, m, s);
    struct weft_pass pass = { 0 };
    struct weft_compute_bytes most = { 0 };
    bool overflow, too_long = false;
    struct weft_pass_bytes bytes = lay_out(NULL, &shape, &pass, &overflow);
    if (!overflow) count_kernels(c, m, &shape, &most);
    if (measures_apart(s)) {
        struct weft_pass_settings only = of_losses(s);
        struct weft_pass_shape losses = shape_of(c, m, &only);
        struct weft_pass_bytes b = lay_out(NULL, &losses, &pass, &too_long);
        if (!too_long) count_kernels(c, m, &losses, &most);
        bytes.losses = sum_of(&b) > sum_of(&bytes) ? sum_of(&b) - sum_of(&bytes) : 0;
    }
    if (overflow || too_long)
        return weft_fail(err, WEFT_ELIMIT,
                         "a batch of %zu tokens needs more memory than can be addressed; make it smaller",
                         weft_max_size(s->max_tokens, s->loss_tokens));
    bytes.kernels = weft_compute_missing(c, &most);
    *out = bytes;
    return WEFT_OK;
}

static size_t rank_sum_of(const struct weft_model *m)
{
    size_t most = 0;
    for (size_t i = 0; i < m->config.n_layers; i++) {
        const struct weft_layer *l = &m->layers[i];
        size_t sum = weft_rank_of(&l->q) + weft_rank_of(&l->k) + weft_rank_of(&l->v) + weft_rank_of(&l->o)
                     + weft_rank_of(&l->gate) + weft_rank_of(&l->up) + weft_rank_of(&l->down);
        most = weft_max_size(most, sum);
    }
    return most;
}

/* The widest output of a linear layer with DoRA; 0: there is none. */
static size_t widest_dora(const struct weft_model *m)
{
    size_t widest = 0;
    for (size_t i = 0; i < m->config.n_layers; i++) {
        const struct weft_layer *l = &m->layers[i];
        const struct weft_linear *const all[] = { &l->q, &l->k, &l->v, &l->o, &l->gate, &l->up, &l->down };
        for (size_t k = 0; k < WEFT_COUNT(all); k++)
            if (all[k]->branch && all[k]->branch->dora) widest = weft_max_size(widest, all[k]->n_out);
    }
    return widest;
}

static bool layer_trained(const struct weft_layer *l)
{
    return weft_linear_trained(&l->q) || weft_linear_trained(&l->k) || weft_linear_trained(&l->v)
           || weft_linear_trained(&l->o) || weft_linear_trained(&l->gate) || weft_linear_trained(&l->up)
           || weft_linear_trained(&l->down) || l->input_norm.dw || l->post_norm.dw || l->q_norm.dw
           || l->k_norm.dw;
}

size_t weft_lowest_trained(const struct weft_model *m)
{
    if (m->dembed) return 0;
    for (size_t i = 0; i < m->config.n_layers; i++)
        if (layer_trained(&m->layers[i])) return i;
    return m->config.n_layers;
}

bool weft_pass_fits(const struct weft_pass *p, const struct weft_model *m)
{
    const struct weft_config *c = &m->config;
    const struct weft_pass_shape *s = &p->s;
    bool shape = c->hidden_size == s->D && c->intermediate_size == s->F && c->n_heads == s->H && c->n_kv_heads == s->Hk
                 && c->head_dim == s->d && c->n_layers == s->L && c->vocab_size == s->V && c->qk_norm == s->qk_norm;
    return shape && rank_sum_of(m) <= p->s.rank_sum && widest_dora(m) <= p->s.dora
           && (!p->s.backward || weft_lowest_trained(m) >= p->s.lowest);
}

/* The shape, and all that points into `base`. */
static bool lay_out_pass(struct weft_pass *p, char *base, const struct weft_model *m,
                         const struct weft_pass_settings *settings, struct weft_arena *a)
{
    bool overflow;
    p->s = shape_of(p->compute, m, settings);
    p->x = WEFT_NEWS(a, float *, p->s.n_x);
    p->acts = WEFT_NEWS(a, struct weft_acts, p->s.n_acts);
    if (!p->x || !p->acts) return false;
    lay_out(base, &p->s, p, &overflow);
    return !overflow;
}

static bool make_rope(struct weft_pass *p, const struct weft_model *m, size_t longest)
{
    size_t half = m->config.head_dim / 2;
    p->rope_cos = m->rope_cos;
    p->rope_sin = m->rope_sin;
    p->n_positions = m->n_positions;
    if (longest <= m->n_positions) return true;
    p->rope_cos = WEFT_NEWS(&p->arena, float, longest * half);
    p->rope_sin = WEFT_NEWS(&p->arena, float, longest * half);
    p->rope_inv = WEFT_NEWS(&p->arena, float, half);
    if (!p->rope_cos || !p->rope_sin || !p->rope_inv) return false;
    weft_rope_table(&m->config, longest, p->rope_inv, p->rope_cos, p->rope_sin);
    p->n_positions = longest;
    return true;
}

enum weft_status weft_pass_new(struct weft_pass **out, struct weft_compute *c, const struct weft_model *m,
                               const struct weft_pass_settings *settings, struct weft_err *err)
{
    struct weft_pass_bytes bytes;
    struct weft_compute_bytes most = { 0 };
    struct weft_pass_settings only = of_losses(settings);
    *out = NULL;
    enum weft_status st = weft_pass_plan(c, m, settings, &bytes, err);
    if (st) return st;

    size_t total = sum_of(&bytes) + bytes.losses;
    struct weft_pass *p = calloc(1, sizeof *p);
    if (!p) return weft_fail_nomem(err, sizeof *p, "a pass");
    p->compute = c;
    p->noise_alpha = settings->neftune_noise_alpha;
    char *base = weft_arena_alloc(&p->arena, total);
    if (!base || !lay_out_pass(p, base, m, settings, &p->arena)) goto no_memory;
    count_kernels(c, m, &p->s, &most);
    if (!make_rope(p, m, only.max_tokens)) goto no_memory;      /* a sequence may be as long as the batch */
    if (measures_apart(settings)) {
        struct weft_pass *losses = WEFT_NEW(&p->arena, struct weft_pass);
        if (!losses) goto no_memory;
        losses->compute = c;
        if (!lay_out_pass(losses, base, m, &only, &p->arena)) goto no_memory;
        count_kernels(c, m, &losses->s, &most);
        losses->rope_cos = p->rope_cos;
        losses->rope_sin = p->rope_sin;
        losses->n_positions = p->n_positions;
        p->losses = losses;
    }
    if (!weft_compute_reserve(c, &most)) goto no_memory;
    *out = p;
    return WEFT_OK;

no_memory:
    weft_pass_free(p);
    return weft_fail_nomem(
        err, total, "a pass over a batch; use a smaller cutoff_len or batch, or gradient checkpointing");
}

void weft_pass_free(struct weft_pass *p)
{
    if (!p) return;
    weft_arena_clear(&p->arena);
    free(p);
}
