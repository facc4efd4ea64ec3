/* Making and switching adapters; their folders are lora_save.c and lora_load.c, PiSSA is pissa.c. */
#include "adapter/lora.h"

#include "adapter/parts.h"
#include "base/rng.h"
#include "dataset/permute.h"
#include "model/linear.h"

#include <math.h>

/* ---- names ---- */

/* A target names a module by its whole path or by the end of it, at a dot. */
bool weft_lora_matches(const char *path, struct weft_str target)
{
    struct weft_str p = weft_str_c(path);
    if (weft_str_eq(p, target)) return true;
    return p.len > target.len && weft_str_ends(p, target) && p.s[p.len - target.len - 1] == '.';
}

static bool is_all(const char *target) { return !strcmp(target, "all") || !strcmp(target, "all-linear"); }

static bool wanted(const struct weft_lora_settings *s, const char *path)
{
    for (size_t i = 0; i < s->n_targets; i++)
        if (is_all(s->targets[i]) || weft_lora_matches(path, weft_str_c(s->targets[i]))) return true;
    return s->n_targets == 0;
}

static enum weft_status check_settings(struct weft_model *m, const struct weft_lora_settings *s, struct weft_err *err)
{
    if (s->rank < 1 || s->rank > WEFT_LORA_MAX_RANK)
        return weft_fail(err, WEFT_EARG, "lora_rank is %zu; expected 1 to %d", s->rank, WEFT_LORA_MAX_RANK);
    if (!isfinite(s->alpha) || s->alpha < 0)
        return weft_fail(err, WEFT_EARG,
                         "lora_alpha is %g; expected a number above 0, or 0 for twice the rank", s->alpha);
    if (!(s->dropout >= 0 && s->dropout < 1))
        return weft_fail(err, WEFT_EARG, "lora_dropout is %g; expected 0 or more and less than 1", s->dropout);
    for (size_t t = 0; t < s->n_targets; t++) {
        size_t i = 0, n = weft_model_n_linears(m);
        char shown[120];
        if (is_all(s->targets[t])) continue;
        while (i < n && !weft_lora_matches(weft_model_linear(m, i)->name, weft_str_c(s->targets[t]))) i++;
        if (i == n)
            return weft_fail(
                err, WEFT_EARG,
                "lora_target: no linear layer is named %s; there are q_proj, k_proj, v_proj, o_proj, "
                "gate_proj, up_proj, down_proj, and all",
                weft_escape(shown, sizeof shown, weft_str_c(s->targets[t])));
    }
    for (size_t t = 0; t < s->n_tables; t++) {
        char shown[120];
        if (strcmp(s->tables[t], "embed_tokens") != 0 && strcmp(s->tables[t], "lm_head") != 0)
            return weft_fail(err, WEFT_EARG, "additional_target: %s cannot be trained beside an adapter; expected "
                             "embed_tokens or lm_head", weft_escape(shown, sizeof shown, weft_str_c(s->tables[t])));
    }
    if (s->pissa && s->dora) return weft_fail(err, WEFT_EARG, "pissa_init and use_dora exclude each other");
    if (s->torch_rng && s->init != WEFT_LORA_KAIMING)
        return weft_fail(err, WEFT_EARG, "init_rng: torch knows the uniform start only; lora_init: gaussian excludes it");
    return WEFT_OK;
}

/* ---- parts ---- */

/* A branch with room for its values, and for gradients when it is trained. */
struct weft_branch *weft_lora_branch(struct weft_arena *a, const struct weft_linear *l, size_t rank,
                                     double alpha, double dropout, bool rslora, size_t module_id, bool train,
                                     struct weft_err *err)
{
    struct weft_branch *b = WEFT_NEW(a, struct weft_branch);
    size_t n_a = rank * l->n_in, n_b = rank * l->n_out;
    bool ok = b != NULL;
    if (ok) {
        *b = (struct weft_branch){
            .rank = rank,
            .scale = (float)(alpha / (rslora ? sqrt((double)rank) : (double)rank)),
            .dropout = (float)dropout,
            .enabled = true,
            .rslora = rslora,
            .alpha = alpha,
            .module_id = (uint32_t)module_id,
            .a = WEFT_NEWS(a, float, n_a),
            .b = WEFT_NEWS(a, float, n_b),
        };
        ok = b->a && b->b;
    }
    if (ok && train) {
        b->da = WEFT_NEWS(a, float, n_a);
        b->db = WEFT_NEWS(a, float, n_b);
        ok = b->da && b->db;
    }
    if (ok) return b;
    (void)weft_fail_nomem(err, (n_a + n_b) * 2 * sizeof(float), "an adapter");
    return NULL;
}

enum weft_status weft_lora_add_dora(struct weft_arena *a, struct weft_model *model, struct weft_branch *const *branches,
                                    bool train, struct weft_err *err)
{
    size_t n = weft_model_n_linears(model), work = 0;
    for (size_t i = 0; i < n; i++)
        if (branches[i])
            work = weft_max_size(work, branches[i]->rank
                                           * (2 * weft_model_linear(model, i)->n_out + branches[i]->rank));
    float *scratch = WEFT_NEWS(a, float, work);
    if (!scratch) return weft_fail_nomem(err, work * sizeof(float), "an adapter");
    for (size_t i = 0; i < n; i++) {
        size_t out = weft_model_linear(model, i)->n_out;
        if (!branches[i]) continue;
        struct weft_dora *d = branches[i]->dora = WEFT_NEW(a, struct weft_dora);
        if (d)
            *d = (struct weft_dora){ .m = WEFT_NEWS(a, float, out), .dm = train ? WEFT_NEWS(a, float, out) : NULL,
                                     .inv = WEFT_NEWS(a, float, out), .k = WEFT_NEWS(a, float, out),
                                     .w2 = WEFT_NEWS(a, float, out), .work = scratch };
        if (!d || !d->m || (train && !d->dm) || !d->inv || !d->k || !d->w2)
            return weft_fail_nomem(err, 5 * out * sizeof(float), "an adapter");
    }
    return WEFT_OK;
}

enum weft_status weft_lora_start_dora(struct weft_model *model, struct weft_branch *const *branches, bool fresh,
                                      struct weft_pool *pool, struct weft_err *err)
{
    struct weft_compute c = { 0 };
    struct weft_arena scratch = { 0 };
    size_t n = weft_model_n_linears(model), widest = 0;
    enum weft_status st = weft_compute_init(&c, NULL, pool, err);
    for (size_t i = 0; i < n; i++) widest = weft_max_size(widest, weft_model_linear(model, i)->n_in);
    float *row = WEFT_NEWS(&scratch, float, widest);
    if (!st && !row) st = weft_fail_nomem(err, widest * sizeof(float), "an adapter");
    for (size_t i = 0; !st && i < n; i++) {
        struct weft_linear l = *weft_model_linear(model, i);
        if (!branches[i]) continue;
        if (l.branch && l.branch->whole) l.w = l.branch->whole;
        l.branch = branches[i];
        struct weft_dora *d = l.branch->dora;
        weft_dora_measure(&c, &l, row);
        /* B is zero: the length of W's rows */
        for (size_t o = 0; fresh && o < l.n_out; o++) d->m[o] = (float)sqrt((double)d->w2[o]);
        weft_dora_update(&c, &l);
    }
    weft_compute_clear(&c);
    weft_arena_clear(&scratch);
    return st;
}

/* ---- copies of tables ---- */

static void base_table(const struct weft_model *m, bool head, const void **w, enum weft_dtype *type)
{
    const struct weft_table_copy *copy = head ? &m->head_copy : &m->embed_copy;
    *w = copy->w ? copy->base : head ? m->head.w : m->embed;
    *type = copy->w ? copy->base_type : head ? m->head.type : m->embed_type;
}

enum weft_status weft_lora_copy_table(struct weft_arena *a, struct weft_model *model, bool head, bool train,
                                      struct weft_table_copy *out, struct weft_err *err)
{
    struct weft_compute c = { 0 };
    size_t n = model->config.vocab_size * model->config.hidden_size;
    struct weft_table_copy copy = { .w = WEFT_NEWS(a, float, n), .dw = train ? WEFT_NEWS(a, float, n) : NULL };
    if (!copy.w || (train && !copy.dw)) return weft_fail_nomem(err, 2 * n * sizeof(float), "a copy of a table");
    base_table(model, head, &copy.base, &copy.base_type);
    enum weft_status st = weft_compute_init(&c, NULL, NULL, err);
    if (st) return st;
    struct weft_linear table = { .n_in = model->config.hidden_size, .n_out = model->config.vocab_size, .w = copy.base,
                                 .type = copy.base_type };
    weft_linear_rows(&c, &table, 0, table.n_out, copy.w);
    weft_compute_clear(&c);
    *out = copy;
    return WEFT_OK;
}

static void set_tables(struct weft_model *m, bool on)
{
    if (m->embed_copy.w) {
        m->embed = on ? m->embed_copy.w : m->embed_copy.base;
        m->embed_type = on ? WEFT_F32 : m->embed_copy.base_type;
        m->dembed = on ? m->embed_copy.dw : NULL;
    }
    if (m->head_copy.w) {
        m->head.w = on ? m->head_copy.w : m->head_copy.base;
        m->head.type = on ? WEFT_F32 : m->head_copy.base_type;
        m->head.dw = on ? m->head_copy.dw : NULL;
    }
}

/* ---- on the model ---- */

static enum weft_status list_param(struct weft_arena *a, struct weft_params *params, struct weft_param p,
                                   const char *module, const char *suffix, struct weft_err *err)
{
    p.decay = true;
    p.name = weft_str_printf(a, "%s.%s", module, suffix).s;
    return p.name ? weft_params_add(params, a, &p, err) : weft_fail_nomem(err, 256, "an adapter");
}

static enum weft_status list_table(const struct weft_model *m, struct weft_arena *a, struct weft_params *params,
                                   const struct weft_table_copy *copy, const char *module, struct weft_err *err)
{
    if (!copy->w) return WEFT_OK;
    return list_param(a, params, (struct weft_param){ .rows = m->config.vocab_size, .cols = m->config.hidden_size,
                                                      .w = copy->w, .grad = copy->dw, .embedding = true },
                      module, "weight", err);
}

/* All or nothing: the list grows before anything hangs. */
enum weft_status weft_lora_hang(struct weft_arena *a, struct weft_model *model, const struct weft_lora_parts *parts,
                                struct weft_params *params, struct weft_err *err)
{
    size_t n = weft_model_n_linears(model);
    enum weft_status st = WEFT_OK;
    for (size_t i = 0; !st && params && i < n; i++) {
        const struct weft_linear *l = weft_model_linear(model, i);
        const struct weft_branch *b = parts->branches[i];
        if (!b) continue;
        struct weft_param pa = { .rows = b->rank, .cols = l->n_in, .w = b->a, .grad = b->da };
        struct weft_param pb = { .rows = l->n_out, .cols = b->rank, .w = b->b, .grad = b->db };
        st = list_param(a, params, pa, l->name, "lora_A.weight", err);
        if (!st) st = list_param(a, params, pb, l->name, "lora_B.weight", err);
        if (!st && b->dora)
            st = list_param(a, params,
                            (struct weft_param){ .rows = 1, .cols = l->n_out, .w = b->dora->m, .grad = b->dora->dm },
                            l->name, "lora_magnitude_vector", err);
    }
    if (!st && params) st = list_table(model, a, params, &parts->embed, "model.embed_tokens", err);
    if (!st && params) st = list_table(model, a, params, &parts->head, "lm_head", err);
    if (st) return st;

    for (size_t i = 0; i < n; i++) {
        struct weft_linear *l = weft_model_linear(model, i);
        if (l->branch && l->branch->whole) l->w = l->branch->whole;
        l->branch = parts->branches[i];
        if (parts->residuals && parts->residuals[i]) l->w = l->branch->residual = parts->residuals[i];
    }
    set_tables(model, false);
    model->embed_copy = parts->embed;
    model->head_copy = parts->head;
    set_tables(model, true);
    return WEFT_OK;
}

/* ---- making ---- */

/* torch's uniform_: 24 bits of each draw. */
static float torch_uniform(struct weft_mt19937 *g, float low, float high)
{
    float u = (float)(weft_mt19937_u32(g) & 0xFFFFFF) * 0x1p-24f;
    return u * (high - low) + low;
}

/* A of one module.  torch: peft makes each matrix three times, of which the last A stays (docs/adapter.md). */
static void start(const struct weft_lora_settings *s, const struct weft_linear *l, struct weft_branch *b,
                  struct weft_mt19937 *torch)
{
    size_t n = b->rank * l->n_in;
    float bound = (float)(1 / sqrt((double)l->n_in));
    struct weft_rng rng;
    if (s->torch_rng) {
        for (size_t k = 0; k < n + b->rank * l->n_out; k++) (void)weft_mt19937_u32(torch);
        for (size_t k = 0; k < n; k++) b->a[k] = torch_uniform(torch, -bound, bound);
        return;
    }
    /* a stream of its own for each module */
    weft_rng_init(&rng, s->seed, WEFT_RNG_INIT, (uint64_t)1 << 32 | b->module_id);
    bound = 1 / sqrtf((float)l->n_in);
    for (size_t k = 0; k < n; k++)
        b->a[k] = s->init == WEFT_LORA_GAUSSIAN ? weft_rng_normal(&rng) / (float)b->rank
                                                : (2 * weft_rng_f32(&rng) - 1) * bound;
}

enum weft_status weft_lora_attach(struct weft_arena *a, struct weft_model *model, const struct weft_lora_settings *s,
                                  struct weft_params *params, struct weft_err *err)
{
    size_t n = weft_model_n_linears(model);
    struct weft_mt19937 torch;
    struct weft_lora_parts parts = { 0 };
    enum weft_status st = check_settings(model, s, err);
    if (st) return st;
    double alpha = s->alpha > 0 ? s->alpha : 2 * (double)s->rank;
    parts.branches = WEFT_NEWS(a, struct weft_branch *, n);
    if (!parts.branches) return weft_fail_nomem(err, n * sizeof *parts.branches, "an adapter");
    weft_mt19937_init(&torch, s->seed);
    for (size_t i = 0; i < n; i++) {
        const struct weft_linear *l = weft_model_linear(model, i);
        if (!wanted(s, l->name)) continue;
        parts.branches[i] = weft_lora_branch(a, l, s->rank, alpha, s->dropout, s->rslora, i, params != NULL, err);
        if (!parts.branches[i]) return WEFT_ENOMEM;
        if (!s->pissa) start(s, l, parts.branches[i], &torch);
    }
    if (s->pissa) st = weft_lora_pissa(a, model, s, &parts, err);
    if (!st && s->dora) st = weft_lora_add_dora(a, model, parts.branches, params != NULL, err);
    if (!st && s->dora) st = weft_lora_start_dora(model, parts.branches, true, s->pool, err);
    for (size_t i = 0; !st && i < s->n_tables; i++) {
        bool head = strcmp(s->tables[i], "lm_head") == 0;
        struct weft_table_copy *copy = head ? &parts.head : &parts.embed;
        if (!copy->w) st = weft_lora_copy_table(a, model, head, params != NULL, copy, err);
    }
    return st ? st : weft_lora_hang(a, model, &parts, params, err);
}

void weft_lora_plus(struct weft_params *params, double ratio)
{
    for (size_t i = 0; i < params->n; i++) {
        struct weft_param *p = &params->items[i];
        if (p->rows == 1 || strstr(p->name, "lora_B")) p->lr_ratio = (float)ratio;
    }
}

void weft_lora_enable(struct weft_model *model, bool enabled)
{
    for (size_t i = 0; i < weft_model_n_linears(model); i++) {
        struct weft_linear *l = weft_model_linear(model, i);
        if (!l->branch) continue;
        l->branch->enabled = enabled;
        if (l->branch->whole) l->w = enabled ? l->branch->residual : l->branch->whole;
    }
    set_tables(model, enabled);
}

size_t weft_lora_held_bytes(const struct weft_model *model)
{
    size_t floats = 0, work = 0;
    for (size_t i = 0; i < model->config.n_layers; i++) {
        const struct weft_layer *l = &model->layers[i];
        const struct weft_linear *const all[] = { &l->q, &l->k, &l->v, &l->o, &l->gate, &l->up, &l->down };
        for (size_t k = 0; k < WEFT_COUNT(all); k++) {
            const struct weft_branch *b = all[k]->branch;
            if (b && b->a0) floats += b->rank * (all[k]->n_in + all[k]->n_out);
            if (!b || !b->dora) continue;
            floats += 3 * all[k]->n_out;
            work = weft_max_size(work, b->rank * (2 * all[k]->n_out + b->rank));
        }
    }
    return (floats + work) * sizeof(float);
}

size_t weft_lora_save_bytes(const struct weft_model *model)
{
    size_t floats = 0;
    for (size_t i = 0; i < model->config.n_layers; i++) {
        const struct weft_layer *l = &model->layers[i];
        const struct weft_linear *const all[] = { &l->q, &l->k, &l->v, &l->o, &l->gate, &l->up, &l->down };
        for (size_t k = 0; k < WEFT_COUNT(all); k++)
            if (all[k]->branch && all[k]->branch->a0)
                floats += 2 * all[k]->branch->rank * (all[k]->n_in + all[k]->n_out);
    }
    return floats * sizeof(float);
}
