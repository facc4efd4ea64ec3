/* A folder as PEFT writes it.  The tensors say which modules have a branch and of which rank; the configuration says
 * how strong they are, and must agree.  A feature that is switched on and unknown here is refused: an adapter that is
 * half understood answers wrongly and says nothing. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "adapter/parts.h"
#include "base/lang.h"

#include <math.h>
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>

enum { NAMED_OFFENDERS = 5, MAX_PATTERN_BYTES = 4096, MAX_STEPS = 1 << 20 };

struct loading {
    struct weft_arena scratch;
    struct weft_model *model;
    const char *config_path;
    struct weft_json_value config;
    struct weft_json json;
    size_t rank;
    double alpha, dropout;
    bool rslora;
    struct weft_err *err;
};

/* ---- the configuration ---- */

static const struct weft_json_value *member(const struct loading *l, const char *key)
{
    const struct weft_json_value *v = weft_json_get(&l->config, key);
    return v && v->kind != WEFT_JSON_NULL ? v : NULL;
}

static enum weft_status bad(struct loading *l, const char *rule, const char *key,
                            const struct weft_json_value *v, const char *expected)
{
    uint64_t line, column;
    enum weft_lang lang = l->err ? l->err->lang : WEFT_LANG_EN;
    char text[160];
    weft_json_place(&l->json, v->at, &line, &column);
    bool written = v->kind == WEFT_JSON_NUMBER || v->kind == WEFT_JSON_STRING;
    return weft_fail_rule(l->err, WEFT_EINPUT, rule, "%s:%llu:%llu: %s is %s; expected %s", l->config_path,
                          (unsigned long long)line, (unsigned long long)column, key,
                          written                     ? weft_escape(text, sizeof text, v->text)
                          : v->kind == WEFT_JSON_BOOL ? (v->boolean ? "true" : "false")
                                                      : weft_tr(lang, weft_json_kind_name(v->kind)),
                          weft_tr(lang, expected));
}

static bool is_empty(const struct weft_json_value *v)
{
    return (v->kind == WEFT_JSON_ARRAY || v->kind == WEFT_JSON_OBJECT) && v->n == 0;
}

/* Features of the format that change what an adapter computes and that weft lacks. */
static enum weft_status refuse_features(struct loading *l)
{
    static const char *const must_be_off[] = {
        "use_dora",
        "lora_bias",
        "fan_in_fan_out",
        "use_qalora",
        "modules_to_save",
        "layer_replication",
        "trainable_token_indices",
        "target_parameters",
        "megatron_config",
        "alora_invocation_tokens",
        "use_bdlora",
        "arrow_config",
        "kasa_config",
        "velora_config",
        "monteclora_config",
        "loftq_config",
    };
    const struct weft_json_value *v;
    for (size_t i = 0; i < WEFT_COUNT(must_be_off); i++) {
        v = member(l, must_be_off[i]);
        if (v && !(v->kind == WEFT_JSON_BOOL && !v->boolean) && !is_empty(v))
            return bad(l, "AD2", must_be_off[i], v, "this feature switched off: it is not supported");
    }
    v = member(l, "bias");
    if (v && !(v->kind == WEFT_JSON_STRING && weft_str_is(v->text, "none")))
        return bad(l, "AD2", "bias", v, "\"none\"");
    v = member(l, "init_lora_weights");
    if (v && v->kind == WEFT_JSON_STRING) {
        /* These change the base model too, so that the adapter alone is not the difference. */
        static const char *const residual[] = { "pissa", "olora", "loftq", "corda", "lora_ga" };
        for (size_t i = 0; i < WEFT_COUNT(residual); i++)
            if (weft_str_starts(v->text, weft_str_c(residual[i])))
                return bad(l, "AD2", "init_lora_weights", v,
                           "an adapter for an unchanged base; convert it to plain LoRA first");
    }
    return WEFT_OK;
}

static enum weft_status read_number(struct loading *l, const char *key, double min, bool above, double max, double *out)
{
    const struct weft_json_value *v = member(l, key);
    char expected[80];
    if (!v) return WEFT_OK;
    if (v->kind == WEFT_JSON_NUMBER && isfinite(v->number) && v->number <= max
        && (above ? v->number > min : v->number >= min)) {
        *out = v->number;
        return WEFT_OK;
    }
    snprintf(expected, sizeof expected,
             weft_tr(l->err ? l->err->lang : WEFT_LANG_EN, "a number from %g to %g"), min, max);
    return bad(l, "AD2", key, v, expected);
}

static enum weft_status read_config(struct loading *l, const char *dir)
{
    const struct weft_json_value *v;
    struct weft_str text;
    double rank = 8;
    enum weft_status st;

    l->config_path = weft_path_join(&l->scratch, dir, "adapter_config.json");
    const char *pickle = weft_path_join(&l->scratch, dir, "adapter_model.bin");
    const char *weights = weft_path_join(&l->scratch, dir, "adapter_model.safetensors");
    if (!l->config_path || !pickle || !weights) return weft_fail_nomem(l->err, 256, "a path");
    if (!weft_file_exists(weights) && weft_file_exists(pickle))
        return weft_fail_rule(l->err, WEFT_EINPUT, "AD1",
                              "%s: a Python pickle can run any program and is not opened; expected "
                              "adapter_model.safetensors",
                              pickle);
    if (!weft_file_exists(l->config_path) || !weft_file_exists(weights))
        return weft_fail_rule(l->err, WEFT_EINPUT, "AD1", "%s: expected an adapter folder with adapter_config.json and "
                              "adapter_model.safetensors; there is no %s", dir,
                              weft_file_exists(l->config_path) ? "adapter_model.safetensors" : "adapter_config.json");
    st = weft_file_read(&l->scratch, l->config_path, 256u << 20, &text, l->err);
    if (!st) st = weft_json_init(&l->json, &l->scratch, l->config_path, text, l->err);
    if (!st) st = weft_json_tree(&l->json, &l->config, l->err);
    if (!st) st = weft_json_end(&l->json, l->err);
    if (st) return st;
    if (l->config.kind != WEFT_JSON_OBJECT) return bad(l, "AD2", "adapter_config.json", &l->config, "one JSON object");

    v = member(l, "peft_type");
    if (!v)
        return weft_fail_rule(l->err, WEFT_EINPUT, "AD2",
                              "%s: there is no key \"peft_type\"; expected \"LORA\"", l->config_path);
    if (v->kind != WEFT_JSON_STRING || !weft_str_is(v->text, "LORA")) return bad(l, "AD2", "peft_type", v, "\"LORA\"");
    v = member(l, "r");
    if (v && !(v->kind == WEFT_JSON_NUMBER && v->is_int)) return bad(l, "AD2", "r", v, "a whole number");
    st = read_number(l, "r", 1, false, WEFT_LORA_MAX_RANK, &rank);
    l->rank = (size_t)rank;
    l->alpha = 8;
    if (!st) st = read_number(l, "lora_alpha", 0, true, 1e9, &l->alpha);
    if (!st) st = read_number(l, "lora_dropout", 0, false, 0.999, &l->dropout);
    if (st) return st;
    v = member(l, "use_rslora");
    if (v && v->kind != WEFT_JSON_BOOL) return bad(l, "AD2", "use_rslora", v, "true or false");
    l->rslora = v && v->boolean;
    return refuse_features(l);
}

/* ---- patterns ---- */

/* rank_pattern, alpha_pattern: the value of the first key that matches the module as (.*\.)?(key)$, else *out stays. */
static enum weft_status look_up_pattern(struct loading *l, const char *which, const char *module, double *out)
{
    const struct weft_json_value *patterns = member(l, which);
    if (!patterns) return WEFT_OK;
    if (patterns->kind != WEFT_JSON_OBJECT) return bad(l, "AD2", which, patterns, "an object");
    for (size_t i = 0; i < patterns->n; i++) {
        struct weft_str key = patterns->keys[i];
        const struct weft_json_value *v = &patterns->items[i];
        char shown[120];
        int code, found = PCRE2_ERROR_NOMATCH;
        size_t at;
        if (v->kind != WEFT_JSON_NUMBER || !isfinite(v->number) || v->number <= 0)
            return bad(l, "AD2", which, v, "numbers above 0");
        if (key.len > MAX_PATTERN_BYTES)
            return weft_fail_rule(l->err, WEFT_ELIMIT, "AD3",
                                  "%s: a pattern of %s has %zu bytes; at most %d are allowed", l->config_path,
                                  which, key.len, MAX_PATTERN_BYTES);
        struct weft_str regex = weft_str_printf(&l->scratch, "^(.*\\.)?(%.*s)$", (int)key.len, key.s);
        if (!regex.s) return weft_fail_nomem(l->err, key.len, "a pattern");
        pcre2_code *re = pcre2_compile((PCRE2_SPTR)regex.s, regex.len, PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C,
                                       &code, &at, NULL);
        pcre2_match_data *match = re ? pcre2_match_data_create(1, NULL) : NULL;
        pcre2_match_context *limits = re ? pcre2_match_context_create(NULL) : NULL;
        if (match && limits) {
            pcre2_set_match_limit(limits, MAX_STEPS);
            pcre2_set_heap_limit(limits, 16 << 10);
            found = pcre2_match(re, (PCRE2_SPTR)module, strlen(module), 0, 0, match, limits);
        }
        pcre2_match_context_free(limits);
        pcre2_match_data_free(match);
        pcre2_code_free(re);
        if (!re || (found < 0 && found != PCRE2_ERROR_NOMATCH))
            return weft_fail_rule(l->err, WEFT_EINPUT, "AD3",
                                  "%s: pattern \"%s\" of %s cannot be used: it is malformed or takes too "
                                  "many steps",
                                  l->config_path, weft_escape(shown, sizeof shown, key), which);
        if (found >= 0) {
            *out = v->number;
            return WEFT_OK;
        }
    }
    return WEFT_OK;
}

/* ---- the tensors ---- */

struct offenders {
    struct weft_buf text;
    size_t n;
};

static void offend(struct offenders *o, struct weft_str name, const char *what)
{
    if (o->n++ >= NAMED_OFFENDERS) return;
    if (o->text.len) weft_buf_cstr(&o->text, "; ");
    weft_buf_escaped(&o->text, name, 120);
    weft_buf_cstr(&o->text, " ");
    weft_buf_cstr(&o->text, what);
}

/* "base_model.model.X.lora_A.default.weight" -> X and 'A'; false: another kind of name. */
static bool split_name(struct weft_str name, struct weft_str *module, int *half)
{
    static const char *const ends[2][2] = { { ".lora_A.weight", ".lora_A.default.weight" },
                                            { ".lora_B.weight", ".lora_B.default.weight" } };
    const struct weft_str prefix = WEFT_STR("base_model.model.");
    if (weft_str_starts(name, prefix)) name = weft_str_skip(name, prefix.len);
    for (int h = 0; h < 2; h++)
        for (int k = 0; k < 2; k++)
            if (weft_str_ends(name, weft_str_c(ends[h][k]))) {
                *module = weft_str_sub(name, 0, name.len - strlen(ends[h][k]));
                *half = h;
                return true;
            }
    return false;
}

static size_t find_linear(struct weft_model *m, struct weft_str module)
{
    size_t n = weft_model_n_linears(m), i = 0;
    while (i < n && !weft_str_is(module, weft_model_linear(m, i)->name)) i++;
    return i;
}

static void copy_values(float *out, const struct weft_st_tensor *t)
{
    for (size_t i = 0; i < t->n_elements; i++) {
        uint16_t half;
        if (t->dtype == WEFT_ST_F32) {
            memcpy(&out[i], t->data + 4 * i, 4);
        } else {
            memcpy(&half, t->data + 2 * i, 2);
            out[i] = t->dtype == WEFT_ST_BF16 ? weft_bf16_to_f32(half) : weft_f16_to_f32(half);
        }
    }
}

/* Sorts the file's tensors to modules: pairs [n_linears][A, B]. */
static enum weft_status sort_tensors(struct loading *l, const char *path, const struct weft_safetensors *f,
                                     const struct weft_st_tensor *(*pairs)[2])
{
    enum weft_lang lang = l->err ? l->err->lang : WEFT_LANG_EN;
    struct offenders o = { 0 };
    size_t n = weft_model_n_linears(l->model);
    char what[160];
    enum weft_status st = WEFT_OK;

    for (size_t i = 0; i < f->n; i++) {
        const struct weft_st_tensor *t = &f->tensors[i];
        struct weft_str module;
        int half;
        size_t k = split_name(t->name, &module, &half) ? find_linear(l->model, module) : n;
        if (k == n) offend(&o, t->name, weft_tr(lang, "belongs to no linear layer of this model"));
        else if (pairs[k][half]) offend(&o, t->name, weft_tr(lang, "stands there twice"));
        else if (t->dtype != WEFT_ST_F32 && t->dtype != WEFT_ST_BF16 && t->dtype != WEFT_ST_F16)
            offend(&o, t->name, weft_tr(lang, "is not of type F32, BF16 or F16"));
        else pairs[k][half] = t;
    }
    for (size_t i = 0; i < n; i++) {
        const struct weft_linear *linear = weft_model_linear(l->model, i);
        const struct weft_st_tensor *a = pairs[i][0], *b = pairs[i][1];
        double rank = (double)l->rank;
        if (!a && !b) continue;
        if (!a || !b) {
            offend(&o, (a ? a : b)->name, weft_tr(lang, a ? "has no lora_B beside it" : "has no lora_A beside it"));
            continue;
        }
        st = look_up_pattern(l, "rank_pattern", linear->name, &rank);
        if (st) goto done;
        for (int half = 0; half < 2; half++) {
            const struct weft_st_tensor *t = pairs[i][half];
            size_t rows = half ? linear->n_out : (size_t)rank, cols = half ? (size_t)rank : linear->n_in;
            if (t->n_dims == 2 && t->shape[0] == rows && t->shape[1] == cols) continue;
            snprintf(what, sizeof what, weft_tr(lang, "has shape [%zu, %zu] (expected [%zu, %zu])"),
                     t->n_dims > 0 ? t->shape[0] : 0, t->n_dims > 1 ? t->shape[1] : 0, rows, cols);
            offend(&o, t->name, what);
        }
    }
    if (o.n)
        st = weft_fail_rule(l->err, WEFT_EINPUT, "AD4",
                            "%s: %zu tensors do not fit the model and adapter_config.json: %s%s", path, o.n,
                            o.text.s ? o.text.s : "", o.n > NAMED_OFFENDERS ? " ..." : "");
done:
    weft_buf_clear(&o.text);
    return st;
}

/* Where the targets are a plain list, each module they name must have its tensors. */
static enum weft_status check_targets(struct loading *l, const char *path, const struct weft_st_tensor *(*pairs)[2])
{
    const struct weft_json_value *targets = member(l, "target_modules");
    if (!targets || targets->kind != WEFT_JSON_ARRAY || member(l, "layers_to_transform")
        || member(l, "exclude_modules"))
        return WEFT_OK;
    for (size_t i = 0; i < weft_model_n_linears(l->model); i++) {
        const char *name = weft_model_linear(l->model, i)->name;
        if (pairs[i][0]) continue;
        for (size_t k = 0; k < targets->n; k++)
            if (targets->items[k].kind == WEFT_JSON_STRING && weft_lora_matches(name, targets->items[k].text))
                return weft_fail_rule(l->err, WEFT_EINPUT, "AD4",
                                      "%s: %s is a target of adapter_config.json but has no tensors here",
                                      path, name);
    }
    return WEFT_OK;
}

static enum weft_status read_tensors(struct loading *l, struct weft_arena *a, const char *dir,
                                     struct weft_branch **branches, bool train)
{
    struct weft_safetensors f = { 0 };
    size_t n = weft_model_n_linears(l->model);
    const char *path = weft_path_join(&l->scratch, dir, "adapter_model.safetensors");
    const struct weft_st_tensor *(*pairs)[2] = weft_arena_calloc(&l->scratch, n, sizeof *pairs);
    enum weft_status st;

    if (!path || !pairs) return weft_fail_nomem(l->err, n * sizeof *pairs, "an adapter");
    st = weft_safetensors_open(&f, &l->scratch, path, l->err);
    if (!st) st = sort_tensors(l, path, &f, pairs);
    if (!st) st = check_targets(l, path, pairs);
    for (size_t i = 0; !st && i < n; i++) {
        const struct weft_linear *linear = weft_model_linear(l->model, i);
        double alpha = l->alpha;
        if (!pairs[i][0]) continue;
        st = look_up_pattern(l, "alpha_pattern", linear->name, &alpha);
        if (st) break;
        size_t rank = pairs[i][0]->shape[0];
        struct weft_branch *b = branches[i] =
            weft_lora_branch(a, linear, rank, alpha, l->dropout, l->rslora, i, train, l->err);
        if (!b) {
            st = WEFT_ENOMEM;
            break;
        }
        copy_values(b->a, pairs[i][0]);
        copy_values(b->b, pairs[i][1]);
        for (size_t k = 0; !st && k < rank * linear->n_in; k++)
            if (!isfinite(b->a[k])) st = WEFT_EINPUT;
        for (size_t k = 0; !st && k < rank * linear->n_out; k++)
            if (!isfinite(b->b[k])) st = WEFT_EINPUT;
        if (st)
            st = weft_fail_rule(l->err, st, "AD5",
                                "%s: the branch of %s has a value that is not a number or infinite", path,
                                linear->name);
    }
    weft_safetensors_close(&f);
    return st;
}

/* ---- fingerprints ---- */

static const char *text_of(struct weft_arena *a, const struct weft_json_value *object, const char *key)
{
    const struct weft_json_value *v = weft_json_get(object, key);
    return v && v->kind == WEFT_JSON_STRING ? weft_arena_strndup(a, v->text.s, v->text.len) : NULL;
}

/* weft.json is ours and optional; an adapter of another base is refused (AD6). */
static enum weft_status read_fingerprints(struct loading *l, struct weft_arena *a, const char *dir,
                                          struct weft_lora_info *info)
{
    struct weft_json_value root = { 0 };
    struct weft_str text;
    char base[WEFT_SHA256_HEX];
    const char *path = weft_path_join(&l->scratch, dir, "weft.json");
    enum weft_status st = WEFT_OK;

    if (!path) return weft_fail_nomem(l->err, 256, "a path");
    *info = (struct weft_lora_info){ .base_model = text_of(a, &l->config, "base_model_name_or_path") };
    if (!info->base_model) info->base_model = "";
    if (!weft_file_exists(path)) return WEFT_OK;
    st = weft_file_read(&l->scratch, path, 1 << 20, &text, l->err);
    if (!st) st = weft_json_parse(&l->scratch, path, text, &root, l->err);
    if (st) return st;
    info->base_sha256 = text_of(a, &root, "base_sha256");
    info->template_sha256 = text_of(a, &root, "template_sha256");
    if (!info->base_sha256) return WEFT_OK;
    st = weft_model_fingerprint(l->model, base, l->err);
    if (!st && strcmp(base, info->base_sha256) != 0)
        st = weft_fail_rule(l->err, WEFT_EINPUT, "AD6",
                            "%s: this adapter was trained on another base model (fingerprint %.12s...; this "
                            "one has %.12s...)",
                            dir, info->base_sha256, base);
    return st;
}

enum weft_status weft_lora_load(struct weft_arena *a, struct weft_model *model, const char *dir,
                                struct weft_params *params, struct weft_lora_info *info, struct weft_err *err)
{
    struct loading l = { .model = model, .err = err };
    struct weft_lora_info found;
    struct weft_branch **branches = WEFT_NEWS(a, struct weft_branch *, weft_model_n_linears(model));
    enum weft_status st;

    if (!branches) return weft_fail_nomem(err, weft_model_n_linears(model) * sizeof *branches, "an adapter");
    st = read_config(&l, dir);
    if (!st) st = read_tensors(&l, a, dir, branches, params != NULL);
    if (!st) st = read_fingerprints(&l, a, dir, &found);
    if (!st) st = weft_lora_hang(a, model, branches, params, err);
    if (!st && info) *info = found;
    weft_arena_clear(&l.scratch);
    return st;
}
