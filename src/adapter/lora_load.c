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
    bool rslora, dora;
    bool embed, head;           /* modules_to_save */
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
        "lora_bias",
        "fan_in_fan_out",
        "use_qalora",
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
    v = member(l, "use_dora");
    if (v && v->kind != WEFT_JSON_BOOL) return bad(l, "AD2", "use_dora", v, "true or false");
    l->dora = v && v->boolean;
    v = member(l, "modules_to_save");
    if (v && v->kind != WEFT_JSON_ARRAY) return bad(l, "AD2", "modules_to_save", v, "a list");
    for (size_t i = 0; v && i < v->n; i++) {
        bool named = v->items[i].kind == WEFT_JSON_STRING;
        if (named && weft_lora_matches("model.embed_tokens", v->items[i].text)) l->embed = true;
        else if (named && weft_str_is(v->items[i].text, "lm_head")) l->head = true;
        else return bad(l, "AD2", "modules_to_save", &v->items[i], "embed_tokens or lm_head");
    }
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

/* The tensors of a module, and of a copied table. */
enum part { PART_A, PART_B, PART_M, N_PARTS, PART_TABLE = N_PARTS };

/* "base_model.model.X.lora_A.default.weight" -> X and PART_A; false: another kind of name. */
static bool split_name(struct weft_str name, struct weft_str *module, enum part *part)
{
    static const struct {
        const char *end;
        enum part part;
    } ends[] = {
        { ".lora_A.weight", PART_A },
        { ".lora_A.default.weight", PART_A },
        { ".lora_B.weight", PART_B },
        { ".lora_B.default.weight", PART_B },
        { ".lora_magnitude_vector", PART_M },
        { ".lora_magnitude_vector.weight", PART_M },
        { ".lora_magnitude_vector.default.weight", PART_M },
        { ".modules_to_save.default.weight", PART_TABLE },
        { ".modules_to_save.weight", PART_TABLE },
        { ".weight", PART_TABLE },
    };
    const struct weft_str prefix = WEFT_STR("base_model.model.");
    if (weft_str_starts(name, prefix)) name = weft_str_skip(name, prefix.len);
    for (size_t i = 0; i < WEFT_COUNT(ends); i++)
        if (weft_str_ends(name, weft_str_c(ends[i].end))) {
            *module = weft_str_sub(name, 0, name.len - strlen(ends[i].end));
            *part = ends[i].part;
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

/* Of an adapter file, sorted. */
struct sorted {
    const struct weft_st_tensor *(*parts)[N_PARTS];     /* [n_linears] */
    const struct weft_st_tensor *embed, *head;
};

static bool has_shape(const struct weft_st_tensor *t, size_t rows, size_t cols)
{
    if (!rows) return t->n_elements == cols && (t->n_dims == 1 || (t->n_dims == 2 && t->shape[0] == 1));
    return t->n_dims == 2 && t->shape[0] == rows && t->shape[1] == cols;
}

static void check_shape(struct offenders *o, const struct weft_st_tensor *t, size_t rows, size_t cols,
                        enum weft_lang lang)
{
    char what[160];
    if (has_shape(t, rows, cols)) return;
    snprintf(what, sizeof what, weft_tr(lang, "has shape [%zu, %zu] (expected [%zu, %zu])"),
             t->n_dims > 0 ? t->shape[0] : 0, t->n_dims > 1 ? t->shape[1] : 0, rows ? rows : cols, rows ? cols : 0);
    offend(o, t->name, what);
}

/* The copies of tables that the configuration names, and no others. */
static void check_table(struct loading *l, struct offenders *o, const struct weft_st_tensor *t, bool named,
                        const char *module, enum weft_lang lang)
{
    const struct weft_config *c = &l->model->config;
    if (named && !t) offend(o, weft_str_c(module), weft_tr(lang, "is named in modules_to_save and has no tensor here"));
    if (!named && t) offend(o, t->name, weft_tr(lang, "is not named in modules_to_save"));
    if (t) check_shape(o, t, c->vocab_size, c->hidden_size, lang);
}

/* Sorts the file's tensors to modules. */
static enum weft_status sort_tensors(struct loading *l, const char *path, const struct weft_safetensors *f,
                                     struct sorted *sorted)
{
    enum weft_lang lang = l->err ? l->err->lang : WEFT_LANG_EN;
    struct offenders o = { 0 };
    size_t n = weft_model_n_linears(l->model);
    enum weft_status st = WEFT_OK;

    for (size_t i = 0; i < f->n; i++) {
        const struct weft_st_tensor *t = &f->tensors[i], **place = NULL;
        struct weft_str module = { 0 };
        enum part part = N_PARTS;
        if (split_name(t->name, &module, &part)) {
            size_t k = part == PART_TABLE ? n : find_linear(l->model, module);
            if (k < n) place = &sorted->parts[k][part];
            else if (part == PART_TABLE && weft_str_is(module, "model.embed_tokens")) place = &sorted->embed;
            else if (part == PART_TABLE && weft_str_is(module, "lm_head")) place = &sorted->head;
        }
        if (!place) offend(&o, t->name, weft_tr(lang, "belongs to no linear layer of this model"));
        else if (*place) offend(&o, t->name, weft_tr(lang, "stands there twice"));
        else if (t->dtype != WEFT_ST_F32 && t->dtype != WEFT_ST_BF16 && t->dtype != WEFT_ST_F16)
            offend(&o, t->name, weft_tr(lang, "is not of type F32, BF16 or F16"));
        else *place = t;
    }
    for (size_t i = 0; i < n; i++) {
        const struct weft_linear *linear = weft_model_linear(l->model, i);
        const struct weft_st_tensor *a = sorted->parts[i][PART_A], *b = sorted->parts[i][PART_B];
        const struct weft_st_tensor *m = sorted->parts[i][PART_M];
        double rank = (double)l->rank;
        if (!a && !b && !m) continue;
        if (!a || !b) {
            offend(&o, (a ? a : b ? b : m)->name,
                   weft_tr(lang, a ? "has no lora_B beside it" : "has no lora_A beside it"));
            continue;
        }
        if (l->dora && !m) offend(&o, a->name, weft_tr(lang, "has no lora_magnitude_vector beside it, as use_dora asks"));
        if (!l->dora && m) offend(&o, m->name, weft_tr(lang, "belongs to DoRA, and use_dora is off"));
        st = look_up_pattern(l, "rank_pattern", linear->name, &rank);
        if (st) goto done;
        check_shape(&o, a, (size_t)rank, linear->n_in, lang);
        check_shape(&o, b, linear->n_out, (size_t)rank, lang);
        if (m) check_shape(&o, m, 0, linear->n_out, lang);
    }
    check_table(l, &o, sorted->embed, l->embed, "model.embed_tokens", lang);
    check_table(l, &o, sorted->head, l->head, "lm_head", lang);
    if (o.n)
        st = weft_fail_rule(l->err, WEFT_EINPUT, "AD4",
                            "%s: %zu tensors do not fit the model and adapter_config.json: %s%s", path, o.n,
                            o.text.s ? o.text.s : "", o.n > NAMED_OFFENDERS ? " ..." : "");
done:
    weft_buf_clear(&o.text);
    return st;
}

/* Where the targets are a plain list, each module they name must have its tensors. */
static enum weft_status check_targets(struct loading *l, const char *path, const struct sorted *sorted)
{
    const struct weft_json_value *targets = member(l, "target_modules");
    if (!targets || targets->kind != WEFT_JSON_ARRAY || member(l, "layers_to_transform")
        || member(l, "exclude_modules"))
        return WEFT_OK;
    for (size_t i = 0; i < weft_model_n_linears(l->model); i++) {
        const char *name = weft_model_linear(l->model, i)->name;
        if (sorted->parts[i][PART_A]) continue;
        for (size_t k = 0; k < targets->n; k++)
            if (targets->items[k].kind == WEFT_JSON_STRING && weft_lora_matches(name, targets->items[k].text))
                return weft_fail_rule(l->err, WEFT_EINPUT, "AD4",
                                      "%s: %s is a target of adapter_config.json but has no tensors here",
                                      path, name);
    }
    return WEFT_OK;
}

static enum weft_status check_finite(struct loading *l, const char *path, const char *module, const float *w, size_t n)
{
    for (size_t k = 0; k < n; k++)
        if (!isfinite(w[k]))
            return weft_fail_rule(l->err, WEFT_EINPUT, "AD5",
                                  "%s: the branch of %s has a value that is not a number or infinite", path, module);
    return WEFT_OK;
}

static enum weft_status read_branch(struct loading *l, struct weft_arena *a, const char *path, size_t i,
                                    const struct weft_st_tensor *const parts[N_PARTS], bool train,
                                    struct weft_branch **out)
{
    const struct weft_linear *linear = weft_model_linear(l->model, i);
    double alpha = l->alpha;
    size_t rank = parts[PART_A]->shape[0];
    enum weft_status st = look_up_pattern(l, "alpha_pattern", linear->name, &alpha);
    if (st) return st;
    struct weft_branch *b = weft_lora_branch(a, linear, rank, alpha, l->dropout, l->rslora, i, train, l->err);
    if (!b) return WEFT_ENOMEM;
    *out = b;
    copy_values(b->a, parts[PART_A]);
    copy_values(b->b, parts[PART_B]);
    st = check_finite(l, path, linear->name, b->a, rank * linear->n_in);
    return st ? st : check_finite(l, path, linear->name, b->b, rank * linear->n_out);
}

static enum weft_status read_table(struct loading *l, struct weft_arena *a, const char *path, bool head, bool train,
                                   const struct weft_st_tensor *t, struct weft_table_copy *out)
{
    if (!t) return WEFT_OK;
    enum weft_status st = weft_lora_copy_table(a, l->model, head, train, out, l->err);
    if (st) return st;
    copy_values(out->w, t);
    return check_finite(l, path, head ? "lm_head" : "model.embed_tokens", out->w, t->n_elements);
}

static enum weft_status read_tensors(struct loading *l, struct weft_arena *a, const char *dir,
                                     struct weft_lora_parts *parts, bool train)
{
    struct weft_safetensors f = { 0 };
    struct sorted sorted = { 0 };
    size_t n = weft_model_n_linears(l->model);
    const char *path = weft_path_join(&l->scratch, dir, "adapter_model.safetensors");
    enum weft_status st;

    sorted.parts = weft_arena_calloc(&l->scratch, n, sizeof *sorted.parts);
    if (!path || !sorted.parts) return weft_fail_nomem(l->err, n * sizeof *sorted.parts, "an adapter");
    st = weft_safetensors_open(&f, &l->scratch, path, l->err);
    if (!st) st = sort_tensors(l, path, &f, &sorted);
    if (!st) st = check_targets(l, path, &sorted);
    for (size_t i = 0; !st && i < n; i++)
        if (sorted.parts[i][PART_A])
            st = read_branch(l, a, path, i, sorted.parts[i], train, &parts->branches[i]);
    if (!st && l->dora) st = weft_lora_add_dora(a, l->model, parts->branches, train, l->err);
    for (size_t i = 0; !st && l->dora && i < n; i++) {
        if (!parts->branches[i]) continue;
        copy_values(parts->branches[i]->dora->m, sorted.parts[i][PART_M]);
        st = check_finite(l, path, weft_model_linear(l->model, i)->name, parts->branches[i]->dora->m,
                          sorted.parts[i][PART_M]->n_elements);
    }
    if (!st && l->dora) st = weft_lora_start_dora(l->model, parts->branches, false, NULL, l->err);
    if (!st) st = read_table(l, a, path, false, train, sorted.embed, &parts->embed);
    if (!st) st = read_table(l, a, path, true, train, sorted.head, &parts->head);
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
    const char *rope = text_of(a, &root, "rope_scaling");
    const struct weft_json_value *length = weft_json_get(&root, "rope_length");
    if (rope && length && length->is_int && length->integer > 0 && length->integer <= 1 << 20) {
        info->rope = weft_rope_type_find(rope);
        info->rope_length = (size_t)length->integer;
    }
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
    struct weft_lora_parts parts = { .branches = WEFT_NEWS(a, struct weft_branch *, weft_model_n_linears(model)) };
    enum weft_status st;

    if (!parts.branches) return weft_fail_nomem(err, weft_model_n_linears(model) * sizeof *parts.branches, "an adapter");
    st = read_config(&l, dir);
    if (!st) st = read_tensors(&l, a, dir, &parts, params != NULL);
    if (!st) st = read_fingerprints(&l, a, dir, &found);
    if (!st) st = weft_lora_hang(a, model, &parts, params, err);
    if (!st && info) *info = found;
    weft_arena_clear(&l.scratch);
    return st;
}
