/* BAdam (arXiv:2404.02827): AdamW on one block of the model at a time.
 *
 * Layer mode: a block is a decoder layer; token table, final norm and head never train.  The active block has an f32
 * copy of its bf16 matrices, moments and gradients; a switch drops them and begins the next block's anew.  As in the
 * reference (Q7) the switch comes after update u when (u + 1) mod badam_switch_interval is 0, so that the first block
 * has one update less, and every tensor of the block decays by 0.01 whatever weight_decay says; compat: clean gives all
 * blocks the same number of updates and decays by weight_decay, matrices alone.
 *
 * Ratio mode: all tensors but token table and head train a part of their entries, every 100 updates the next part, by
 * Adam with eps outside the bias correction and without decay; compat: clean trains tensors of fewer than 100 entries
 * whole and clips, as badam means to and does not do.  `adjacent`: neighbours; `scatter`: entries spread by a
 * permutation, which is computed (four Feistel rounds over the index and cycle walking) and never stored.
 *
 * Which block or part trains in an update is a function of how many updates came before it, and of the seed: a
 * checkpoint needs to hold no more than the step, the copies and the moments. */
#include "base/rng.h"
#include "train/moments.h"
#include "train/optimizers.h"

#include <math.h>

enum { COPY = WEFT_MOMENT_SLOTS, RATIO_UPDATES = 100, DENSE_BELOW = 100 };

struct badam {
    size_t n_blocks, active;    /* layers; the one that trains, SIZE_MAX: none yet */
    float **grad;               /* [params->n] where each keeps its gradients */
    size_t *at;                 /* [params->n] place in its block */
    float *moments[2], *copy;   /* of the largest block */
    size_t *order;              /* [n_blocks] scratch of random orders */
    float *part;                /* ratio mode: the trained entries of the largest tensor */
};

static bool in_layers(const struct weft_recipe *r) { return r->badam_mode == WEFT_BADAM_LAYER; }
static size_t len_of(const struct weft_param *p) { return p->rows * p->cols; }

/* Entries of a tensor that train at a time. */
static size_t part_of(const struct weft_recipe *r, size_t n)
{
    if (n < DENSE_BELOW && r->compat == WEFT_COMPAT_CLEAN) return n;
    return (size_t)((double)n * r->badam_update_ratio);
}

/* ---- what trains when ---- */

/* Switches before update s + 1, and the update after which the last of them came. */
static uint64_t switches(const struct weft_recipe *r, uint64_t s, uint64_t *since)
{
    uint64_t k = (uint64_t)r->badam_switch_interval, early = r->compat == WEFT_COMPAT_HF;
    *since = 0;
    if (r->badam_switch_interval <= 0 || r->badam_switch_mode == WEFT_BADAM_FIXED) return 0;
    uint64_t n = (s + early) / k - (early && k == 1);
    if (n) *since = (s + early) / k * k - early;
    return n;
}

static size_t block_of(const struct weft_optimizer_state *s, uint64_t switched)
{
    const struct weft_recipe *r = s->recipe;
    struct badam *b = s->scratch;
    size_t n = b->n_blocks, start = r->badam_start_block >= 0 ? (size_t)r->badam_start_block : 0;
    switch ((enum weft_badam_switch)r->badam_switch_mode) {
    case WEFT_BADAM_FIXED:
    case WEFT_BADAM_ASCENDING: return (start + switched) % n;
    case WEFT_BADAM_DESCENDING:
        if (r->badam_start_block < 0) start = n - 1;
        return (start + n - switched % n) % n;
    case WEFT_BADAM_RANDOM: break;
    }
    if (r->badam_start_block >= 0 && !switched) return start;
    if (r->badam_start_block >= 0) switched--;
    struct weft_rng rng;
    weft_rng_init(&rng, (uint64_t)r->seed, WEFT_RNG_OPTIMIZER, (uint64_t)1 << 32 | switched / n);
    for (size_t i = 0; i < n; i++) b->order[i] = i;
    for (size_t i = n; i-- > 1;) {
        size_t k = (size_t)weft_rng_below(&rng, i + 1), t = b->order[i];
        b->order[i] = b->order[k];
        b->order[k] = t;
    }
    return b->order[n - 1 - switched % n];      /* an order is consumed from its end */
}

static void rest(struct weft_optimizer_state *s, size_t i)
{
    struct weft_param *p = &s->params->items[i];
    p->grad = NULL;
    *p->grad_at = NULL;
    for (int k = 0; k < 2; k++) s->slot[k][i] = NULL, s->slot_len[k][i] = 0;
    s->slot[COPY][i] = NULL, s->slot_len[COPY][i] = 0;
}

static void wake(struct weft_optimizer_state *s, size_t i)
{
    struct badam *b = s->scratch;
    struct weft_param *p = &s->params->items[i];
    size_t n = len_of(p);
    p->grad = *p->grad_at = b->grad[i];
    for (int k = 0; k < 2; k++) {
        s->slot[k][i] = memset(b->moments[k] + b->at[i], 0, n * sizeof(float));
        s->slot_len[k][i] = n;
    }
    if (!p->w16) return;
    float *copy = b->copy + b->at[i];
    for (size_t e = 0; e < n; e++) copy[e] = weft_bf16_to_f32(p->w16[e]);
    s->slot[COPY][i] = copy;
    s->slot_len[COPY][i] = n;
}

static void place(struct weft_optimizer_state *s)
{
    struct badam *b = s->scratch;
    uint64_t since, switched = switches(s->recipe, s->step, &since);
    if (!in_layers(s->recipe)) {
        if (s->step % RATIO_UPDATES == 0)
            for (size_t i = 0; i < s->params->n; i++)
                for (int k = 0; k < 2; k++)
                    if (s->slot_len[k][i]) memset(s->slot[k][i], 0, s->slot_len[k][i] * sizeof(float));
        return;
    }
    size_t next = block_of(s, switched);
    if (next == b->active && since != s->step) return;
    for (size_t i = 0; i < s->params->n; i++)
        if (s->params->items[i].layer != next) rest(s, i);
    for (size_t i = 0; i < s->params->n; i++)
        if (s->params->items[i].layer == next) wake(s, i);
    b->active = next;
}

/* ---- memory ---- */

/* Values of the largest block, and of its bf16 matrices. */
static void largest(const struct weft_params *p, size_t *values, size_t *low, size_t *n_blocks)
{
    *values = *low = *n_blocks = 0;
    for (size_t i = 0; i < p->n;) {
        size_t layer = p->items[i].layer, sum = 0, sum_low = 0;
        for (; i < p->n && p->items[i].layer == layer; i++) {
            sum += len_of(&p->items[i]);
            if (p->items[i].w16) sum_low = sum;     /* as copies stand: up to the last of them */
        }
        *values = weft_max_size(*values, sum);
        *low = weft_max_size(*low, sum_low);
        *n_blocks = weft_max_size(*n_blocks, layer + 1);
    }
}

static size_t bytes(const struct weft_recipe *r, const struct weft_params *p)
{
    size_t values, low, n_blocks, sum = 0, most = 0;
    if (in_layers(r)) {
        largest(p, &values, &low, &n_blocks);
        return sizeof(float) * (2 * values + low);
    }
    for (size_t i = 0; i < p->n; i++) {
        size_t n = part_of(r, len_of(&p->items[i]));
        sum += n;
        most = weft_max_size(most, n);
    }
    return sizeof(float) * (2 * sum + most);
}

static enum weft_status init_layers(struct weft_optimizer_state *s, struct badam *b, const size_t *none,
                                    struct weft_arena *a, struct weft_err *err)
{
    size_t n = s->params->n, values, low, at = 0;
    largest(s->params, &values, &low, &b->n_blocks);
    if (s->recipe->badam_start_block >= (int64_t)b->n_blocks)
        return weft_fail(err, WEFT_EARG, "badam_start_block is %lld; the model has layers 0 to %zu",
                         (long long)s->recipe->badam_start_block, b->n_blocks - 1);
    b->grad = WEFT_NEWS(a, float *, n);
    b->at = WEFT_NEWS(a, size_t, n);
    b->order = WEFT_NEWS(a, size_t, b->n_blocks);
    b->moments[0] = WEFT_NEWS(a, float, values);
    b->moments[1] = WEFT_NEWS(a, float, values);
    b->copy = WEFT_NEWS(a, float, low);
    if (!b->grad || !b->at || !b->order || !b->moments[0] || !b->moments[1] || !b->copy)
        return weft_fail_nomem(err, (2 * values + low) * sizeof(float), "optimizer state");
    for (size_t i = 0; i < n; i++) {
        if (i && s->params->items[i].layer != s->params->items[i - 1].layer) at = 0;
        b->at[i] = at;
        b->grad[i] = s->params->items[i].grad;
        at += len_of(&s->params->items[i]);
    }
    enum weft_status st = weft_moments_slots(s, none, NULL, a, err);
    return st ? st : weft_optimizer_slot(s, COPY, none, a, err);
}

static enum weft_status init(struct weft_optimizer_state *s, struct weft_arena *a, struct weft_err *err)
{
    size_t n = s->params->n, most = 0;
    struct badam *b = WEFT_NEW(a, struct badam);
    size_t *len = WEFT_NEWS(a, size_t, n);
    if (!b || !len) return weft_fail_nomem(err, n * sizeof *len, "optimizer state");
    s->scratch = b;
    b->active = SIZE_MAX;
    enum weft_status st;
    if (in_layers(s->recipe)) {
        st = init_layers(s, b, len, a, err);
    } else {
        for (size_t i = 0; i < n; i++) {
            len[i] = part_of(s->recipe, len_of(&s->params->items[i]));
            most = weft_max_size(most, len[i]);
        }
        st = weft_moments_slots(s, len, NULL, a, err);
        b->part = st ? NULL : WEFT_NEWS(a, float, most);
        if (!st && !b->part) st = weft_fail_nomem(err, most * sizeof(float), "optimizer scratch");
    }
    if (!st) place(s);
    return st;
}

/* ---- layer mode ---- */

static void step_layer(struct weft_optimizer_state *s, struct weft_compute *c, double lr, float g_scale)
{
    const struct weft_recipe *r = s->recipe;
    uint64_t since;
    switches(r, s->step, &since);
    double t = (double)(s->step - since + 1);
    struct weft_adamw_step k = { .beta1 = (float)r->adam_beta1, .beta2 = (float)r->adam_beta2,
                                 .eps = (float)r->adam_epsilon, .g_scale = g_scale, .lr = (float)lr };
    k.step_size = (float)(lr / (1 - pow((double)k.beta1, t)));
    k.inv_sqrt_bc2 = (float)(1 / sqrt(1 - pow((double)k.beta2, t)));
    for (size_t i = 0; i < s->params->n; i++) {
        const struct weft_param *p = &s->params->items[i];
        if (!p->grad) continue;
        float *w = p->w16 ? s->slot[COPY][i] : p->w;
        k.wd = r->compat == WEFT_COMPAT_HF ? 0.01f : p->decay ? (float)r->weight_decay : 0;
        weft_adamw(c, w, s->slot[0][i], s->slot[1][i], p->grad, len_of(p), &k);
        if (p->w16) weft_from_f32(c, p->w16, WEFT_BF16, w, len_of(p));
    }
}

/* ---- ratio mode ---- */

/* The trained entries of a tensor of `numel`: number j of them is at entry(e, j). */
struct entries {
    size_t numel, offset, n;
    bool scatter;
    uint32_t key[4];
    unsigned half_bits;
};

static struct entries entries_of(const struct weft_optimizer_state *s, size_t i)
{
    struct entries e = { .numel = len_of(&s->params->items[i]), .n = s->slot_len[0][i] };
    uint64_t turn = s->step / RATIO_UPDATES;
    e.offset = e.n < e.numel ? (size_t)((turn % e.numel) * e.n % e.numel) : 0;
    e.scatter = s->recipe->badam_mask_mode == WEFT_BADAM_SCATTER && e.n < e.numel;
    const uint32_t counter[4] = { (uint32_t)i, 2, 0, 0 };
    if (e.scatter) weft_philox((uint32_t)s->recipe->seed, WEFT_RNG_OPTIMIZER, counter, e.key);
    while ((size_t)1 << 2 * e.half_bits < e.numel) e.half_bits++;
    return e;
}

static size_t entry(const struct entries *e, size_t j)
{
    size_t x = e->offset + j;
    if (x >= e->numel) x -= e->numel;
    if (!e->scatter) return x;
    size_t mask = ((size_t)1 << e->half_bits) - 1;
    do {                                        /* a permutation of a power of 4; out of range: once more */
        size_t left = x >> e->half_bits, right = x & mask;
        for (int round = 0; round < 4; round++) {
            uint32_t f = (uint32_t)right * 2654435761u ^ e->key[round];
            f ^= f >> 15, f *= 0x85EBCA6Bu, f ^= f >> 13;
            size_t t = left ^ (f & mask);
            left = right;
            right = t;
        }
        x = left << e->half_bits | right;
    } while (x >= e->numel);
    return x;
}

static double norm(struct weft_optimizer_state *s, struct weft_compute *c)
{
    double sum = 0;
    if (in_layers(s->recipe)) return weft_grad_norm(c, s->params);
    for (size_t i = 0; i < s->params->n; i++) {
        struct entries e = entries_of(s, i);
        for (size_t j = 0; j < e.n; j++) {
            double g = (double)s->params->items[i].grad[entry(&e, j)];
            sum += g * g;
        }
    }
    return sqrt(sum);
}

static void step_ratio(struct weft_optimizer_state *s, struct weft_compute *c, double lr, float g_scale)
{
    const struct weft_recipe *r = s->recipe;
    struct badam *b = s->scratch;
    double rate = lr * weft_moments_correction(r, (double)(s->step % RATIO_UPDATES + 1));
    if (r->compat == WEFT_COMPAT_HF) g_scale = 1;       /* there clipping scales a copy of the sparse gradient */
    for (size_t i = 0; i < s->params->n; i++) {
        struct weft_param *p = &s->params->items[i];
        struct entries e = entries_of(s, i);
        struct weft_moments m = weft_moments_of(s, i);
        if (!e.n) continue;
        for (size_t j = 0; j < e.n; j++) b->part[j] = p->grad[entry(&e, j)];
        weft_moments_step(c, &m, &(struct weft_moments_step){
            .g = b->part, .g_scale = g_scale, .beta1 = r->adam_beta1, .beta2 = r->adam_beta2, .eps = r->adam_epsilon,
            .out = b->part });
        for (size_t j = 0; j < e.n; j++) {
            size_t at = entry(&e, j);
            float x = (float)rate * b->part[j];
            if (p->w) p->w[at] -= x;
            else p->w16[at] = weft_f32_to_bf16(weft_bf16_to_f32(p->w16[at]) - x);
        }
    }
}

static void step(struct weft_optimizer_state *s, struct weft_compute *c, double lr, float g_scale)
{
    if (in_layers(s->recipe)) step_layer(s, c, lr, g_scale);
    else step_ratio(s, c, lr, g_scale);
    s->step++;
    place(s);
}

const struct weft_optimizer weft_opt_badam = {
    .name = "badam",
    .help = "AdamW on one layer, or a part of the entries, at a time",
    .paper = "arXiv:2404.02827",
    .bytes = bytes,
    .init = init,
    .step = step,
    .place = place,
    .norm = norm,
    .slot_names = { WEFT_MOMENT_SLOT_NAMES, "copy" },
    .slot_is_codes = { [2] = true, [3] = true },
};
