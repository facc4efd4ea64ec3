/* Writing an adapter folder. */
#include "adapter/lora.h"

#include "adapter/parts.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* "q_proj" of "model.layers.0.self_attn.q_proj" */
static const char *last_part(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot ? dot + 1 : path;
}

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

static void write_tables(struct weft_json_out *o, const struct weft_model *m)
{
    if (!m->embed_copy.w && !m->head_copy.w) {
        weft_json_out_null(o);
        return;
    }
    weft_json_out_array(o);
    if (m->embed_copy.w) weft_json_out_cstr(o, "embed_tokens");
    if (m->head_copy.w) weft_json_out_cstr(o, "lm_head");
    weft_json_out_array_end(o);
}

static void write_config(struct weft_buf *out, const struct weft_linear *const *linears, size_t n,
                         const char *const *targets, size_t n_targets, const struct weft_branch *first,
                         const struct weft_model *model, const char *base_model)
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
        { "megatron_config", NOTHING, 0 }, { "megatron_core", TEXT, "megatron.core" }, { "modules_to_save", OURS, 0 },
        { "peft_type", TEXT, "LORA" }, { "qalora_group_size", NUMBER, "16" }, { "r", OURS, 0 }, { "rank_pattern", OURS, 0 },
        { "revision", NOTHING, 0 }, { "target_modules", OURS, 0 }, { "target_parameters", NOTHING, 0 },
        { "task_type", TEXT, "CAUSAL_LM" }, { "trainable_token_indices", NOTHING, 0 }, { "use_dora", OURS, 0 },
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
        else if (!strcmp(key, "use_dora")) weft_json_out_bool(&o, first->dora != NULL);
        else if (!strcmp(key, "modules_to_save")) write_tables(&o, model);
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
    if (info && info->rope_length) {
        weft_json_out_key(&o, "rope_scaling");
        weft_json_out_cstr(&o, weft_rope_type_name(info->rope));
        weft_json_out_key(&o, "rope_length");
        weft_json_out_uint(&o, info->rope_length);
    }
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

/* A PiSSA branch moved from s B0 A0 to s B A, and W lacks s B0 A0: beside the whole W that is s (B A - B0 A0), plain
 * LoRA of rank 2r.  Its scale stays s, so alpha doubles (rsLoRA: times the root of 2). */
static struct weft_branch *convert(struct weft_arena *a, const struct weft_linear *l)
{
    const struct weft_branch *b = l->branch;
    size_t r = b->rank, n_a = r * l->n_in;
    struct weft_branch *out = WEFT_NEW(a, struct weft_branch);
    if (!out) return NULL;
    *out = *b;
    out->rank = 2 * r;
    out->alpha = b->alpha * (b->rslora ? sqrt(2) : 2);
    out->a0 = out->b0 = NULL;
    out->a = WEFT_NEWS(a, float, 2 * n_a);
    out->b = WEFT_NEWS(a, float, 2 * r * l->n_out);
    if (!out->a || !out->b) return NULL;
    memcpy(out->a, b->a, n_a * sizeof(float));
    memcpy(out->a + n_a, b->a0, n_a * sizeof(float));
    for (size_t o = 0; o < l->n_out; o++)
        for (size_t j = 0; j < r; j++) {
            out->b[o * 2 * r + j] = b->b[o * r + j];
            out->b[o * 2 * r + r + j] = -b->b0[o * r + j];
        }
    return out;
}

struct saving {
    struct weft_arena arena;
    struct weft_st_out *tensors;
    size_t n;
    struct weft_err *err;
};

/* "base_model.model." module suffix; shape [rows, cols], or [cols] when rows is 0. */
static enum weft_status add_tensor(struct saving *s, const char *module, const char *suffix, const float *w,
                                   size_t rows, size_t cols)
{
    const char *name = weft_str_printf(&s->arena, "base_model.model.%s.%s", module, suffix).s;
    if (!name) return weft_fail_nomem(s->err, 256, "the list of tensors");
    for (size_t k = 0; k < (rows ? rows : 1) * cols; k++)
        if (!isfinite(w[k]))
            return weft_fail_rule(s->err, WEFT_EINPUT, "B5",
                                  "%s has a value that is not a number or infinite; such an adapter is not written",
                                  name);
    s->tensors[s->n] = (struct weft_st_out){ .name = name, .dtype = WEFT_ST_F32, .n_dims = rows ? 2 : 1, .data = w };
    s->tensors[s->n].shape[0] = rows ? rows : cols;
    s->tensors[s->n++].shape[1] = cols;
    return WEFT_OK;
}

static enum weft_status add_branch(struct saving *s, const struct weft_linear *l)
{
    const struct weft_branch *b = l->branch;
    enum weft_status st = add_tensor(s, l->name, "lora_A.weight", b->a, b->rank, l->n_in);
    if (!st) st = add_tensor(s, l->name, "lora_B.weight", b->b, l->n_out, b->rank);
    if (!st && b->dora) st = add_tensor(s, l->name, "lora_magnitude_vector", b->dora->m, 0, l->n_out);
    return st;
}

/* The linear layers as they are saved: PiSSA's branches converted. */
static enum weft_status list_saved(struct saving *s, const struct weft_linear **linears, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!linears[i]->branch || !linears[i]->branch->a0) continue;
        struct weft_linear *copy = WEFT_NEW(&s->arena, struct weft_linear);
        if (copy) {
            *copy = *linears[i];
            copy->branch = convert(&s->arena, linears[i]);
        }
        if (!copy || !copy->branch)
            return weft_fail_nomem(s->err, linears[i]->branch->rank * linears[i]->n_in * sizeof(float), "an adapter");
        linears[i] = copy;
    }
    return WEFT_OK;
}

enum weft_status weft_lora_save(const struct weft_model *model, const char *dir,
                                const struct weft_lora_info *info, struct weft_err *err)
{
    struct saving s = { .err = err };
    struct weft_buf config = { 0 }, fingerprints = { 0 };
    const struct weft_branch *first = NULL;
    const struct weft_linear **linears;
    const char **targets, *path;
    size_t n, n_targets, V = model->config.vocab_size, D = model->config.hidden_size;
    enum weft_status st = WEFT_OK;

    linears = list_linears(model, &s.arena, &n);
    s.tensors = WEFT_NEWS(&s.arena, struct weft_st_out, 3 * n + 2);
    targets = WEFT_NEWS(&s.arena, const char *, n);
    path = weft_path_join(&s.arena, dir, "adapter_model.safetensors");
    if (!linears || !s.tensors || !targets || !path) {
        st = weft_fail_nomem(err, n * 3 * sizeof *s.tensors, "the list of tensors");
        goto done;
    }
    if (!info || !info->keep_pissa) st = list_saved(&s, linears, n);
    for (size_t i = 0; !st && i < n; i++) {
        if (!linears[i]->branch) continue;
        if (!first) first = linears[i]->branch;
        st = add_branch(&s, linears[i]);
    }
    if (!st && model->embed_copy.w) st = add_tensor(&s, "model.embed_tokens", "weight", model->embed_copy.w, V, D);
    if (!st && model->head_copy.w) st = add_tensor(&s, "lm_head", "weight", model->head_copy.w, V, D);
    if (!st && !first) st = weft_fail(err, WEFT_EARG, "the model has no adapter to save");
    if (st) goto done;
    n_targets = list_targets(linears, n, targets);
    write_config(&config, linears, n, targets, n_targets, first, model, info ? info->base_model : NULL);
    write_fingerprints(&fingerprints, info);
    st = weft_safetensors_write(path, s.tensors, s.n, NULL, err);
    if (!st) st = write_text(&s.arena, dir, "adapter_config.json", &config, err);
    if (!st) st = write_text(&s.arena, dir, "weft.json", &fingerprints, err);
done:
    weft_buf_clear(&config);
    weft_buf_clear(&fingerprints);
    weft_arena_clear(&s.arena);
    return st;
}
