/* Making, switching and writing branches; reading a folder is lora_load.c. */
#include "adapter/lora.h"

#include "adapter/parts.h"
#include "base/rng.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- names ---- */

/* "q_proj" of "model.layers.0.self_attn.q_proj" */
static const char *last_part(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot ? dot + 1 : path;
}

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
    return WEFT_OK;
}

/* ---- making ---- */

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

/* Hangs the new branches on, in one step; layers without one lose theirs. */
enum weft_status weft_lora_hang(struct weft_arena *a, struct weft_model *model, struct weft_branch *const *branches,
                                struct weft_params *params, struct weft_err *err)
{
    size_t n = weft_model_n_linears(model);
    enum weft_status st = WEFT_OK;
    for (size_t i = 0; !st && params && i < n; i++) {
        const struct weft_linear *l = weft_model_linear(model, i);
        const struct weft_branch *b = branches[i];
        if (!b) continue;
        struct weft_param pa = { .rows = b->rank, .cols = l->n_in, .w = b->a, .grad = b->da, .decay = true };
        struct weft_param pb = { .rows = l->n_out, .cols = b->rank, .w = b->b, .grad = b->db, .decay = true };
        pa.name = weft_str_printf(a, "%s.lora_A.weight", l->name).s;
        pb.name = weft_str_printf(a, "%s.lora_B.weight", l->name).s;
        if (!pa.name || !pb.name) return weft_fail_nomem(err, 256, "an adapter");
        st = weft_params_add(params, a, &pa, err);
        if (!st) st = weft_params_add(params, a, &pb, err);
    }
    for (size_t i = 0; !st && i < n; i++) weft_model_linear(model, i)->branch = branches[i];
    return st;
}

enum weft_status weft_lora_attach(struct weft_arena *a, struct weft_model *model, const struct weft_lora_settings *s,
                                  struct weft_params *params, struct weft_err *err)
{
    size_t n = weft_model_n_linears(model);
    enum weft_status st = check_settings(model, s, err);
    if (st) return st;
    double alpha = s->alpha > 0 ? s->alpha : 2 * (double)s->rank;
    struct weft_branch **branches = WEFT_NEWS(a, struct weft_branch *, n);
    if (!branches) return weft_fail_nomem(err, n * sizeof *branches, "an adapter");
    for (size_t i = 0; i < n; i++) {
        const struct weft_linear *l = weft_model_linear(model, i);
        if (!wanted(s, l->name)) continue;
        branches[i] = weft_lora_branch(a, l, s->rank, alpha, s->dropout, s->rslora, i, params != NULL, err);
        if (!branches[i]) return WEFT_ENOMEM;
        /* Kaiming-uniform with slope sqrt 5, as PEFT; a stream of its own for each module */
        struct weft_rng rng;
        float bound = 1 / sqrtf((float)l->n_in);
        weft_rng_init(&rng, s->seed, WEFT_RNG_INIT, (uint64_t)1 << 32 | i);
        for (size_t k = 0; k < s->rank * l->n_in; k++) branches[i]->a[k] = (2 * weft_rng_f32(&rng) - 1) * bound;
    }
    return weft_lora_hang(a, model, branches, params, err);
}

void weft_lora_enable(struct weft_model *model, bool enabled)
{
    for (size_t i = 0; i < weft_model_n_linears(model); i++) {
        struct weft_branch *b = weft_model_linear(model, i)->branch;
        if (b) b->enabled = enabled;
    }
}

size_t weft_lora_rank_sum(const struct weft_model *model)
{
    size_t most = 0;
    for (size_t i = 0; i < model->config.n_layers; i++) {
        const struct weft_layer *l = &model->layers[i];
        const struct weft_linear *const all[] = { &l->q, &l->k, &l->v, &l->o, &l->gate, &l->up, &l->down };
        size_t sum = 0;
        for (size_t k = 0; k < WEFT_COUNT(all); k++) sum += all[k]->branch ? all[k]->branch->rank : 0;
        most = weft_max_size(most, sum);
    }
    return most;
}

/* ---- writing ---- */

/* The linear layers of a const model, in model order: an array in `a`. */
static const struct weft_linear **list_linears(const struct weft_model *m, struct weft_arena *a, size_t *n)
{
    *n = weft_model_n_linears(m);
    const struct weft_linear **list = WEFT_NEWS(a, const struct weft_linear *, *n);
    for (size_t i = 0; list && i < m->config.n_layers; i++) {
        const struct weft_layer *l = &m->layers[i];
        const struct weft_linear *const all[] = { &l->q, &l->k, &l->v, &l->o, &l->gate, &l->up, &l->down };
        memcpy(&list[i * WEFT_COUNT(all)], all, sizeof all);
    }
    return list;
}

static int by_text(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

/* What PEFT calls target_modules: "q_proj" where every q_proj has a branch, else whole paths; sorted. */
static size_t list_targets(const struct weft_linear *const *linears, size_t n, const char **targets)
{
    size_t n_targets = 0;
    for (size_t i = 0; i < n; i++) {
        bool everywhere = true, seen = false;
        const char *name = last_part(linears[i]->name);
        if (!linears[i]->branch) continue;
        for (size_t k = 0; k < n; k++)
            if (!linears[k]->branch && !strcmp(last_part(linears[k]->name), name)) everywhere = false;
        if (!everywhere) name = linears[i]->name;
        for (size_t k = 0; k < n_targets && !seen; k++) seen = !strcmp(targets[k], name);
        if (!seen) targets[n_targets++] = name;
    }
    if (n_targets) qsort(targets, n_targets, sizeof *targets, by_text);
    return n_targets;
}

/* Modules whose rank (or alpha) is not that of the first, as a pattern for each. */
static void write_patterns(struct weft_json_out *o, const struct weft_linear *const *linears, size_t n,
                           const struct weft_branch *first, bool alpha)
{
    weft_json_out_object(o);
    for (size_t i = 0; i < n; i++) {
        const struct weft_branch *b = linears[i]->branch;
        if (!b || (alpha ? b->alpha == first->alpha : b->rank == first->rank)) continue;
        weft_json_out_key(o, linears[i]->name);
        if (!alpha) weft_json_out_uint(o, b->rank);
        else if (b->alpha == floor(b->alpha) && b->alpha < 1e15) weft_json_out_int(o, (int64_t)b->alpha);
        else weft_json_out_double(o, b->alpha);
    }
    weft_json_out_object_end(o);
}

static void write_config(struct weft_buf *out, const struct weft_linear *const *linears, size_t n,
                         const char *const *targets, size_t n_targets, const struct weft_branch *first,
                         const char *base_model)
{
    enum { NOTHING, FALSE, TRUE, EMPTY, TEXT, NUMBER, OURS };
    /* In the order of the file; what PEFT writes for an adapter without further features. */
    static const struct {
        const char *key;
        int kind;
        const char *text;
    } keys[] = {
        { "alpha_pattern", OURS, 0 }, { "auto_mapping", NOTHING, 0 }, { "base_model_name_or_path", OURS, 0 },
        { "bias", TEXT, "none" }, { "corda_config", NOTHING, 0 }, { "eva_config", NOTHING, 0 }, { "exclude_modules", NOTHING, 0 },
        { "fan_in_fan_out", FALSE, 0 }, { "inference_mode", TRUE, 0 }, { "init_lora_weights", TRUE, 0 },
        { "layer_replication", NOTHING, 0 }, { "layers_pattern", NOTHING, 0 }, { "layers_to_transform", NOTHING, 0 },
        { "loftq_config", EMPTY, 0 }, { "lora_alpha", OURS, 0 }, { "lora_bias", FALSE, 0 }, { "lora_dropout", OURS, 0 },
        { "megatron_config", NOTHING, 0 }, { "megatron_core", TEXT, "megatron.core" }, { "modules_to_save", NOTHING, 0 },
        { "peft_type", TEXT, "LORA" }, { "qalora_group_size", NUMBER, "16" }, { "r", OURS, 0 }, { "rank_pattern", OURS, 0 },
        { "revision", NOTHING, 0 }, { "target_modules", OURS, 0 }, { "target_parameters", NOTHING, 0 },
        { "task_type", TEXT, "CAUSAL_LM" }, { "trainable_token_indices", NOTHING, 0 }, { "use_dora", FALSE, 0 },
        { "use_qalora", FALSE, 0 }, { "use_rslora", OURS, 0 },
    };
    struct weft_json_out o;
    weft_json_out_init(&o, out);
    o.indent = 2;
    weft_json_out_object(&o);
    for (size_t i = 0; i < WEFT_COUNT(keys); i++) {
        const char *key = keys[i].key;
        weft_json_out_key(&o, key);
        switch (keys[i].kind) {
        case NOTHING: weft_json_out_null(&o); continue;
        case FALSE:
        case TRUE: weft_json_out_bool(&o, keys[i].kind == TRUE); continue;
        case EMPTY: weft_json_out_object(&o); weft_json_out_object_end(&o); continue;
        case TEXT: weft_json_out_cstr(&o, keys[i].text); continue;
        case NUMBER: weft_json_out_raw(&o, weft_str_c(keys[i].text)); continue;
        }
        if (!strcmp(key, "alpha_pattern")) write_patterns(&o, linears, n, first, true);
        else if (!strcmp(key, "rank_pattern")) write_patterns(&o, linears, n, first, false);
        else if (!strcmp(key, "base_model_name_or_path")) weft_json_out_cstr(&o, base_model ? base_model : "");
        else if (!strcmp(key, "lora_alpha")) {
            if (first->alpha == floor(first->alpha) && first->alpha < 1e15)
                weft_json_out_int(&o, (int64_t)first->alpha);
            else weft_json_out_double(&o, first->alpha);
        } else if (!strcmp(key, "lora_dropout")) {
            char text[32];
            snprintf(text, sizeof text, "%.6g", (double)first->dropout);    /* 0.1, not the float nearest to it */
            weft_json_out_double(&o, strtod(text, NULL));
        } else if (!strcmp(key, "r")) weft_json_out_uint(&o, first->rank);
        else if (!strcmp(key, "use_rslora")) weft_json_out_bool(&o, first->rslora);
        else {
            weft_json_out_array(&o);
            for (size_t k = 0; k < n_targets; k++) weft_json_out_cstr(&o, targets[k]);
            weft_json_out_array_end(&o);
        }
    }
    weft_json_out_object_end(&o);
    weft_buf_char(out, '\n');
}

static void write_fingerprints(struct weft_buf *out, const struct weft_lora_info *info)
{
    struct weft_json_out o;
    weft_json_out_init(&o, out);
    o.indent = 2;
    weft_json_out_object(&o);
    weft_json_out_key(&o, "base_sha256");
    if (info && info->base_sha256) weft_json_out_cstr(&o, info->base_sha256);
    else weft_json_out_null(&o);
    weft_json_out_key(&o, "template_sha256");
    if (info && info->template_sha256) weft_json_out_cstr(&o, info->template_sha256);
    else weft_json_out_null(&o);
    weft_json_out_key(&o, "weft_version");
    weft_json_out_cstr(&o, WEFT_VERSION);
    weft_json_out_object_end(&o);
    weft_buf_char(out, '\n');
}

static enum weft_status write_text(struct weft_arena *a, const char *dir, const char *name,
                                   struct weft_buf *text, struct weft_err *err)
{
    const char *path = weft_path_join(a, dir, name);
    enum weft_status st = weft_buf_check(text, name, err);
    if (!st && !path) st = weft_fail_nomem(err, 256, "a path");
    return st ? st : weft_file_write(path, weft_buf_view(text), err);
}

enum weft_status weft_lora_save(const struct weft_model *model, const char *dir,
                                const struct weft_lora_info *info, struct weft_err *err)
{
    struct weft_arena a = { 0 };
    struct weft_buf config = { 0 }, fingerprints = { 0 };
    const struct weft_branch *first = NULL;
    struct weft_st_out *tensors;
    const struct weft_linear **linears;
    const char **targets, *path;
    size_t n, n_tensors = 0, n_targets;
    enum weft_status st = WEFT_OK;

    linears = list_linears(model, &a, &n);
    tensors = WEFT_NEWS(&a, struct weft_st_out, 2 * n);
    targets = WEFT_NEWS(&a, const char *, n);
    path = weft_path_join(&a, dir, "adapter_model.safetensors");
    if (!linears || !tensors || !targets || !path) {
        st = weft_fail_nomem(err, n * 2 * sizeof *tensors, "the list of tensors");
        goto done;
    }
    for (size_t i = 0; i < n; i++) {
        const struct weft_branch *b = linears[i]->branch;
        if (!b) continue;
        if (!first) first = b;
        for (int half = 0; half < 2; half++) {
            const char *name =
                weft_str_printf(&a, "base_model.model.%s.lora_%c.weight", linears[i]->name, half ? 'B' : 'A')
                    .s;
            const float *w = half ? b->b : b->a;
            size_t rows = half ? linears[i]->n_out : b->rank, cols = half ? b->rank : linears[i]->n_in;
            if (!name) {
                st = weft_fail_nomem(err, 256, "the list of tensors");
                goto done;
            }
            for (size_t k = 0; k < rows * cols; k++)
                if (!isfinite(w[k])) {
                    st = weft_fail_rule(err, WEFT_EINPUT, "B5",
                                        "%s has a value that is not a number or infinite; such an adapter "
                                        "is not written",
                                        name);
                    goto done;
                }
            tensors[n_tensors++] = (struct weft_st_out){ .name = name, .dtype = WEFT_ST_F32, .n_dims = 2,
                .shape = { rows, cols },
                                                         .data = w };
        }
    }
    if (!first) {
        st = weft_fail(err, WEFT_EARG, "the model has no adapter to save");
        goto done;
    }
    n_targets = list_targets(linears, n, targets);
    write_config(&config, linears, n, targets, n_targets, first, info ? info->base_model : NULL);
    write_fingerprints(&fingerprints, info);
    st = weft_safetensors_write(path, tensors, n_tensors, NULL, err);
    if (!st) st = write_text(&a, dir, "adapter_config.json", &config, err);
    if (!st) st = write_text(&a, dir, "weft.json", &fingerprints, err);
done:
    weft_buf_clear(&config);
    weft_buf_clear(&fingerprints);
    weft_arena_clear(&a);
    return st;
}
