/* The forward pass of pass.c for one sequence that grows.  New tokens are computed in blocks; their keys and values are
 * copied behind those of their head, [n_kv_heads, cap, head_dim], so that attention reads each head's past in one run.
 * Nothing is allocated after weft_kv_new, unless an adapter of a higher rank is hung on meanwhile. */
#include "model/kv.h"

#include "model/linear.h"
#include "model/rope.h"

#include <stdlib.h>

enum { DEFAULT_BLOCK = 256 };

struct weft_kv {
    struct weft_compute *compute;
    struct weft_model *model;
    struct weft_arena arena;
    size_t cap, block, len, in_blocks;
    uint64_t branches;          /* which branches computed it */
    int32_t *ids;               /* [cap] */
    float **k, **v;             /* [n_layers] each [n_kv_heads, cap, d] */

    /* scratch for a block of tokens */
    int32_t *pos;
    float *x, *norm;            /* [block, D] */
    float *q, *o;               /* [block, n_heads, d] */
    float *new_k, *new_v;       /* [block, n_kv_heads, d] */
    float *gate, *up;           /* [block, F] */
    float *t;                   /* [block, max_rank] */
    size_t max_rank, dora_wide;
    float *dora;                /* [block, dora_wide] */
    float *last;                /* [D] */
    float *rope_cos, *rope_sin;
};

/* Which branches and copies of tables are on. */
static uint64_t branches_of(struct weft_model *m)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < weft_model_n_linears(m); i++) {
        const struct weft_branch *b = weft_model_linear(m, i)->branch;
        const struct weft_branch *on = b && b->enabled ? b : NULL;
        sum = weft_xxh3(&on, sizeof on, sum);
    }
    const void *tables[] = { m->embed, m->head.w };
    return weft_xxh3(tables, sizeof tables, sum);
}

static size_t highest_rank(struct weft_model *m)
{
    size_t most = 0;
    for (size_t i = 0; i < weft_model_n_linears(m); i++) {
        const struct weft_branch *b = weft_model_linear(m, i)->branch;
        if (b) most = weft_max_size(most, b->rank);
    }
    return most;
}

static size_t widest_dora(struct weft_model *m)
{
    size_t most = 0;
    for (size_t i = 0; i < weft_model_n_linears(m); i++) {
        const struct weft_linear *l = weft_model_linear(m, i);
        if (l->branch && l->branch->dora) most = weft_max_size(most, l->n_out);
    }
    return most;
}

enum weft_status weft_kv_new(struct weft_kv **out, struct weft_compute *c, struct weft_model *m, size_t cap,
                             size_t block, struct weft_err *err)
{
    const struct weft_config *cfg = &m->config;
    size_t D = cfg->hidden_size, F = cfg->intermediate_size, d = cfg->head_dim, head_values;
    *out = NULL;
    if (cap < 1 || cap > INT32_MAX || !weft_size_mul3(cap, cfg->n_kv_heads * d, sizeof(float), &head_values))
        return weft_fail(err, WEFT_EARG, "a context of %zu tokens; expected 1 to %d", cap, INT32_MAX);
    block = weft_min_size(block ? block : DEFAULT_BLOCK, cap);

    struct weft_kv *kv = calloc(1, sizeof *kv);
    if (!kv) return weft_fail_nomem(err, sizeof *kv, "a context");
    struct weft_arena *a = &kv->arena;
    kv->compute = c;
    kv->model = m;
    kv->cap = cap;
    kv->block = block;
    kv->max_rank = highest_rank(m);
    kv->dora_wide = widest_dora(m);
    kv->ids = WEFT_NEWS(a, int32_t, cap);
    kv->pos = WEFT_NEWS(a, int32_t, block);
    kv->k = WEFT_NEWS(a, float *, cfg->n_layers);
    kv->v = WEFT_NEWS(a, float *, cfg->n_layers);
    bool ok = kv->ids && kv->pos && kv->k && kv->v;
    for (size_t i = 0; ok && i < cfg->n_layers; i++) {
        kv->k[i] = weft_arena_alloc(a, head_values);
        kv->v[i] = weft_arena_alloc(a, head_values);
        ok = kv->k[i] && kv->v[i];
    }
    struct {
        float **p;
        size_t n;
    } scratch[] = {
        { &kv->x, block * D },
        { &kv->norm, block * D },
        { &kv->q, block * cfg->n_heads * d },
        { &kv->o, block * cfg->n_heads * d },
        { &kv->new_k, block * cfg->n_kv_heads * d },
        { &kv->new_v, block * cfg->n_kv_heads * d },
        { &kv->gate, block * F },
        { &kv->up, block * F },
        { &kv->t, block * kv->max_rank },
        { &kv->dora, block * kv->dora_wide },
        { &kv->last, D },
    };
    for (size_t i = 0; ok && i < WEFT_COUNT(scratch); i++)
        ok = (*scratch[i].p = WEFT_NEWS(a, float, scratch[i].n)) != NULL;
    kv->rope_cos = m->rope_cos;
    kv->rope_sin = m->rope_sin;
    if (ok && cap > m->n_positions) {
        float *inv = WEFT_NEWS(a, float, d / 2);
        kv->rope_cos = WEFT_NEWS(a, float, cap * (d / 2));
        kv->rope_sin = WEFT_NEWS(a, float, cap * (d / 2));
        ok = inv && kv->rope_cos && kv->rope_sin;
        if (ok) weft_rope_table(cfg, cap, inv, kv->rope_cos, kv->rope_sin);
    }
    if (!ok) {
        weft_kv_free(kv);
        return weft_fail_nomem(err, 2 * cfg->n_layers * head_values, "keys and values; use a shorter context");
    }
    *out = kv;
    return WEFT_OK;
}

void weft_kv_free(struct weft_kv *kv)
{
    if (!kv) return;
    weft_arena_clear(&kv->arena);
    free(kv);
}

size_t weft_kv_len(const struct weft_kv *kv) { return kv->len; }
size_t weft_kv_cap(const struct weft_kv *kv) { return kv->cap; }
size_t weft_kv_vocab_size(const struct weft_kv *kv) { return kv->model->config.vocab_size; }
const int32_t *weft_kv_ids(const struct weft_kv *kv) { return kv->ids; }
bool weft_kv_stale(const struct weft_kv *kv) { return kv->len && kv->branches != branches_of(kv->model); }
size_t weft_kv_in_blocks(const struct weft_kv *kv) { return kv->in_blocks; }

void weft_kv_truncate(struct weft_kv *kv, size_t len)
{
    kv->len = weft_min_size(kv->len, len);
    kv->in_blocks = weft_min_size(kv->in_blocks, len);
}

size_t weft_kv_reusable(const struct weft_kv *kv, const int32_t *ids, size_t n)
{
    size_t same = 0, most = n < WEFT_KV_FEW ? 0 : weft_min_size(kv->in_blocks, n - WEFT_KV_FEW);
    while (same < most && kv->ids[same] == ids[same]) same++;
    return same;
}

/* The next block of n tokens that are left: the last one, too, is one that is computed as a block if that can be. */
static size_t block_of(const struct weft_kv *kv, size_t n)
{
    if (n <= kv->block) return n;
    bool few_left = n - kv->block < WEFT_KV_FEW && kv->block >= 2 * WEFT_KV_FEW;
    return few_left ? n - WEFT_KV_FEW : kv->block;
}

/* Keys or values of n new tokens [n, n_kv_heads, d] behind the `len` of each head. */
static void store(float *cache, const float *fresh, size_t n, size_t len, size_t cap, size_t heads, size_t d)
{
    for (size_t t = 0; t < n; t++)
        for (size_t h = 0; h < heads; h++)
            memcpy(cache + (h * cap + len + t) * d, fresh + (t * heads + h) * d, d * sizeof *fresh);
}

/* One layer over kv->x [n, D], in place; of the last layer only the keys and values of all tokens and the output of the
 * last `wanted` are computed. */
static void layer(const struct weft_run *run, struct weft_kv *kv, size_t i, size_t n, size_t wanted)
{
    const struct weft_config *c = &kv->model->config;
    const struct weft_layer *l = &kv->model->layers[i];
    struct weft_compute *k = run->compute;
    size_t D = c->hidden_size, H = c->n_heads, Hk = c->n_kv_heads, d = c->head_dim, skip = n - wanted;
    const float *norm = kv->norm + skip * D;
    float *x = kv->x + skip * D;

    weft_rmsnorm(k, kv->norm, NULL, kv->x, l->input_norm.w, n, D, c->rms_norm_eps);
    weft_linear_forward(run, &l->k, kv->new_k, false, kv->t, kv->norm, NULL, n);
    weft_linear_forward(run, &l->v, kv->new_v, false, kv->t, kv->norm, NULL, n);
    if (c->qk_norm) weft_rmsnorm(k, kv->new_k, NULL, kv->new_k, l->k_norm.w, n * Hk, d, c->rms_norm_eps);
    weft_rope(k, kv->new_k, Hk * d, kv->rope_cos, kv->rope_sin, kv->pos, n, Hk, d, false);
    store(kv->k[i], kv->new_k, n, kv->len, kv->cap, Hk, d);
    store(kv->v[i], kv->new_v, n, kv->len, kv->cap, Hk, d);
    if (!wanted) return;

    weft_linear_forward(run, &l->q, kv->q, false, kv->t, norm, NULL, wanted);
    if (c->qk_norm) weft_rmsnorm(k, kv->q, NULL, kv->q, l->q_norm.w, wanted * H, d, c->rms_norm_eps);
    weft_rope(k, kv->q, H * d, kv->rope_cos, kv->rope_sin, kv->pos + skip, wanted, H, d, false);
    weft_attention_cached(k, kv->o, kv->q, kv->k[i], kv->v[i], kv->cap, kv->len + skip, wanted, H, Hk, d,
                          weft_config_window(c, i));
    weft_linear_forward(run, &l->o, x, true, kv->t, kv->o, NULL, wanted);

    weft_rmsnorm(k, kv->norm, NULL, x, l->post_norm.w, wanted, D, c->rms_norm_eps);
    weft_linear_forward(run, &l->gate, kv->gate, false, kv->t, kv->norm, NULL, wanted);
    weft_linear_forward(run, &l->up, kv->up, false, kv->t, kv->norm, NULL, wanted);
    weft_swiglu(k, kv->gate, kv->gate, kv->up, wanted * c->intermediate_size);
    weft_linear_forward(run, &l->down, x, true, kv->t, kv->gate, NULL, wanted);
}

enum weft_status weft_kv_append(struct weft_kv *kv, const int32_t *ids, size_t n, float *logits, struct weft_err *err)
{
    struct weft_model *m = kv->model;
    const struct weft_config *c = &m->config;
    struct weft_run run = { 0 };
    size_t D = c->hidden_size, rank = highest_rank(m), wide = widest_dora(m), in_block = 0;

    if (!kv->len) kv->branches = branches_of(m);
    if (weft_kv_stale(kv))
        return weft_fail(err, WEFT_EARG,
                         "the adapter was changed or switched within a context; begin the context anew");
    if (n > kv->cap - kv->len)
        return weft_fail(err, WEFT_ELIMIT, "%zu tokens after %zu do not fit into a context of %zu", n,
                         kv->len, kv->cap);
    for (size_t i = 0; i < n; i++)
        if (ids[i] < 0 || (size_t)ids[i] >= c->vocab_size)
            return weft_fail_rule(
                err, WEFT_EINPUT, "B6",
                "token %zu has id %d; the model knows ids 0 to %zu: its tokenizer belongs to "
                "another model",
                kv->len + i, ids[i], c->vocab_size - 1);
    if (rank > kv->max_rank) {
        kv->t = WEFT_NEWS(&kv->arena, float, kv->block * rank);
        if (!kv->t) return weft_fail_nomem(err, kv->block * rank * sizeof(float), "a context");
        kv->max_rank = rank;
    }
    if (wide > kv->dora_wide) {
        kv->dora = WEFT_NEWS(&kv->arena, float, kv->block * wide);
        if (!kv->dora) return weft_fail_nomem(err, kv->block * wide * sizeof(float), "a context");
        kv->dora_wide = wide;
    }
    weft_run_begin(&run, kv->compute, m);
    run.dora = kv->dora;
    if (!kv->len) weft_model_dora_update(run.compute, m);
    for (size_t at = 0; at < n; at += in_block) {
        in_block = block_of(kv, n - at);
        for (size_t i = 0; i < in_block; i++) kv->pos[i] = (int32_t)(kv->len + i);
        weft_embed(run.compute, kv->x, m->embed, m->embed_type, ids + at, in_block, D);
        for (size_t i = 0; i < c->n_layers; i++)
            layer(&run, kv, i, in_block, i + 1 < c->n_layers ? in_block : logits && at + in_block == n);
        memcpy(kv->ids + kv->len, ids + at, in_block * sizeof *ids);
        if (in_block >= WEFT_KV_FEW && kv->in_blocks == kv->len) kv->in_blocks += in_block;
        kv->len += in_block;
    }
    if (logits && n) {
        weft_rmsnorm(run.compute, kv->last, NULL, kv->x + (in_block - 1) * D, m->norm.w, 1, D, c->rms_norm_eps);
        weft_linear_forward(&run, &m->head, logits, false, NULL, kv->last, NULL, 1);
    }
    weft_run_end(&run);
    return WEFT_OK;
}
