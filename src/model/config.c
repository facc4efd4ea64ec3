/* One table of architectures, one reader over the JSON tree: a key is looked up where it is needed, so that the
 * reader reads like the document it reads.  Every complaint names file, line, column and key. */
#include "model/config.h"

#include "base/file.h"
#include "base/lang.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_HIDDEN = 65536, MAX_INTERMEDIATE = 524288, MAX_HEADS = 1024, MAX_HEAD_DIM = 1024,
    MAX_VOCAB = 16777216, MAX_POSITIONS = 16777216
};

/* ---- architectures ---- */

enum window_rule { WINDOW_NEVER, WINDOW_IF_USED, WINDOW_ALWAYS };

/* What a model_type says beyond its keys.  `biases_from_keys`: attention_bias and mlp_bias decide, else fixed. */
static const struct architecture {
    const char *model_type, *class_name;
    bool qkv_bias, qkv_bias_from_key, o_bias_from_key, mlp_bias_from_key, qk_norm;
    enum window_rule window;
} architectures[] = {
    { .model_type = "qwen2", .class_name = "Qwen2ForCausalLM", .qkv_bias = true, .window = WINDOW_IF_USED },
    { .model_type = "qwen3", .class_name = "Qwen3ForCausalLM", .qkv_bias_from_key = true, .o_bias_from_key = true,
      .qk_norm = true, .window = WINDOW_IF_USED },
    { .model_type = "llama", .class_name = "LlamaForCausalLM", .qkv_bias_from_key = true, .o_bias_from_key = true,
      .mlp_bias_from_key = true },
    { .model_type = "mistral", .class_name = "MistralForCausalLM", .window = WINDOW_ALWAYS },
};

static const struct architecture *find_architecture(struct weft_str model_type)
{
    for (size_t i = 0; i < WEFT_COUNT(architectures); i++)
        if (weft_str_is(model_type, architectures[i].model_type)) return &architectures[i];
    return NULL;
}

/* ---- reading one key ---- */

struct reader {
    struct weft_json json;
    const struct weft_json_value *object;
    struct weft_err *err;
};

static enum weft_lang language(const struct reader *r) { return r->err ? r->err->lang : WEFT_LANG_EN; }

/* A null member counts as absent (CF6). */
static const struct weft_json_value *member(const struct weft_json_value *object, const char *key)
{
    const struct weft_json_value *v = weft_json_get(object, key);
    return v && v->kind != WEFT_JSON_NULL ? v : NULL;
}

struct place {
    unsigned long long line, column;
};

static struct place place_of(const struct reader *r, const struct weft_json_value *v)
{
    uint64_t line, column;
    weft_json_place(&r->json, v->at, &line, &column);
    return (struct place){ line, column };
}

/* What stands there, for "x is ...": numbers and strings as written, else the kind. */
static const char *shown(char *out, size_t out_bytes, const struct weft_json_value *v, enum weft_lang lang)
{
    switch (v->kind) {
    case WEFT_JSON_NUMBER: return weft_escape(out, out_bytes, v->text);
    case WEFT_JSON_BOOL: return v->boolean ? "true" : "false";
    case WEFT_JSON_STRING: {
        char text[160];
        snprintf(out, out_bytes, "\"%s\"", weft_escape(text, sizeof text, v->text));
        return out;
    }
    default: return weft_tr(lang, weft_json_kind_name(v->kind));
    }
}

static enum weft_status missing(struct reader *r, const char *rule, const char *key)
{
    return weft_fail_rule(r->err, WEFT_EINPUT, rule, "%s: there is no key \"%s\"; a model's config.json must have it",
                          r->json.name, key);
}

static enum weft_status bad(struct reader *r, const char *rule, const char *key, const struct weft_json_value *v,
                            const char *expected)
{
    char text[192];
    struct place p = place_of(r, v);
    return weft_fail_rule(r->err, WEFT_EINPUT, rule, "%s:%llu:%llu: %s is %s; expected %s", r->json.name,
                          p.line, p.column, key, shown(text, sizeof text, v, language(r)),
                          weft_tr(language(r), expected));
}

static enum weft_status check_int(struct reader *r, const char *rule, const char *key, const struct weft_json_value *v,
                                  int64_t min, int64_t max)
{
    char text[192];
    if (v->kind == WEFT_JSON_NUMBER && v->is_int && v->integer >= min && v->integer <= max) return WEFT_OK;
    struct place p = place_of(r, v);
    return weft_fail_rule(r->err, WEFT_EINPUT, rule,
                          "%s:%llu:%llu: %s is %s; expected a whole number from %lld to %lld", r->json.name,
                          p.line, p.column, key, shown(text, sizeof text, v, language(r)), (long long)min,
                          (long long)max);
}

static enum weft_status get_size(struct reader *r, const char *key, size_t min, size_t max, size_t *out)
{
    const struct weft_json_value *v = member(r->object, key);
    if (!v) return missing(r, "CF2", key);
    enum weft_status st = check_int(r, "CF2", key, v, (int64_t)min, (int64_t)max);
    if (!st) *out = (size_t)v->integer;
    return st;
}

/* Leaves *out as it is when the key is absent. */
static enum weft_status get_bool(struct reader *r, const char *key, bool *out)
{
    const struct weft_json_value *v = member(r->object, key);
    if (!v) return WEFT_OK;
    if (v->kind != WEFT_JSON_BOOL) return bad(r, "CF2", key, v, "true or false");
    *out = v->boolean;
    return WEFT_OK;
}

static enum weft_status get_positive(struct reader *r, const char *rule, const struct weft_json_value *object,
                                     const char *key, double *out)
{
    const struct weft_json_value *v = member(object, key);
    if (!v) return WEFT_OK;
    /* as a float too: 1e-60 would be 0 */
    if (v->kind != WEFT_JSON_NUMBER || !isfinite((float)v->number) || !((float)v->number > 0))
        return bad(r, rule, key, v, "a number above 0");
    *out = v->number;
    return WEFT_OK;
}

/* ---- parts ---- */

static const char *const rope_names[] = { "default", "linear", "llama3", "yarn" };

const char *weft_rope_type_name(enum weft_rope_type type) { return rope_names[type]; }

enum weft_rope_type weft_rope_type_find(const char *name)
{
    for (size_t i = 0; i < WEFT_COUNT(rope_names); i++)
        if (strcmp(rope_names[i], name) == 0) return (enum weft_rope_type)i;
    return WEFT_ROPE_DEFAULT;
}

bool weft_config_stretch(struct weft_config *c, enum weft_rope_type type, size_t length)
{
    bool has_original = c->rope.type == WEFT_ROPE_LLAMA3 || c->rope.type == WEFT_ROPE_YARN;
    size_t old = has_original ? c->rope.original_max_position_embeddings : c->max_position_embeddings;
    if (type == WEFT_ROPE_DEFAULT || length <= old) return false;
    size_t factor = (length + old - 1) / old;
    c->max_position_embeddings = old * factor;
    c->rope = (struct weft_rope_config){ .type = type, .theta = c->rope.theta, .factor = (double)factor,
                                         .low_freq_factor = 1, .high_freq_factor = 4, .beta_fast = 32, .beta_slow = 1,
                                         .truncate = true, .original_max_position_embeddings = old };
    return true;
}

/* rope_scaling beside rope_theta (older files) or rope_parameters holding both (newer); "type" is "rope_type". */
static enum weft_status read_rope(struct reader *r, struct weft_config *c)
{
    struct weft_rope_config *rope = &c->rope;
    const struct weft_json_value *v = member(r->object, "rope_parameters"), *type, *member_value;
    const char *key = "rope_parameters";
    enum weft_status st;

    *rope = (struct weft_rope_config){ .theta = 10000, .factor = 1, .beta_fast = 32, .beta_slow = 1, .truncate = true,
                                       .original_max_position_embeddings = c->max_position_embeddings };
    st = get_positive(r, "CF2", r->object, "rope_theta", &rope->theta);
    if (st) return st;
    if (!v) v = member(r->object, key = "rope_scaling");
    if (!v) return WEFT_OK;
    if (v->kind != WEFT_JSON_OBJECT) return bad(r, "CF4", key, v, "an object");
    for (size_t i = 0; i < v->n; i++)
        if (v->items[i].kind == WEFT_JSON_OBJECT)
            return bad(r, "CF4", key, &v->items[i], "one set of values for all layers");
    st = get_positive(r, "CF2", v, "rope_theta", &rope->theta);
    if (st) return st;

    type = member(v, "rope_type");
    if (!type) type = member(v, "type");
    if (!type) return v->n && !member(v, "rope_theta") ? bad(r, "CF4", key, v, "a rope_type in it") : WEFT_OK;
    size_t i = 0;
    while (i < WEFT_COUNT(rope_names) && !(type->kind == WEFT_JSON_STRING && weft_str_is(type->text, rope_names[i])))
        i++;
    if (i == WEFT_COUNT(rope_names)) return bad(r, "CF4", "rope_type", type, "one of default, linear, llama3, yarn");
    rope->type = (enum weft_rope_type)i;
    if (rope->type == WEFT_ROPE_DEFAULT) return WEFT_OK;

    member_value = member(v, "original_max_position_embeddings");
    if (member_value) {
        st = check_int(r, "CF4", "original_max_position_embeddings", member_value, 1, MAX_POSITIONS);
        if (st) return st;
        rope->original_max_position_embeddings = (size_t)member_value->integer;
    }
    member_value = member(v, "factor");
    if (member_value) {
        if (member_value->kind != WEFT_JSON_NUMBER || !isfinite((float)member_value->number)
            || member_value->number < 1)
            return bad(r, "CF4", "factor", member_value, "a number of at least 1");
        rope->factor = member_value->number;
    } else if (rope->type == WEFT_ROPE_YARN) {
        rope->factor = (double)c->max_position_embeddings / (double)rope->original_max_position_embeddings;
        if (rope->factor < 1) rope->factor = 1;
    } else {
        return bad(r, "CF4", key, v, "a factor in it");
    }
    if (rope->type == WEFT_ROPE_LLAMA3) {
        static const char *const needed[] = { "low_freq_factor", "high_freq_factor",
                                              "original_max_position_embeddings" };
        for (size_t k = 0; k < WEFT_COUNT(needed); k++)
            if (!member(v, needed[k])) return bad(r, "CF4", key, v, "low_freq_factor, high_freq_factor and "
                                                                   "original_max_position_embeddings in it");
        st = get_positive(r, "CF4", v, "low_freq_factor", &rope->low_freq_factor);
        if (!st) st = get_positive(r, "CF4", v, "high_freq_factor", &rope->high_freq_factor);
        if (st) return st;
        if (rope->high_freq_factor <= rope->low_freq_factor)
            return bad(r, "CF4", "high_freq_factor", member(v, "high_freq_factor"), "more than low_freq_factor");
    }
    if (rope->type == WEFT_ROPE_YARN) {
        st = get_positive(r, "CF4", v, "beta_fast", &rope->beta_fast);
        if (!st) st = get_positive(r, "CF4", v, "beta_slow", &rope->beta_slow);
        if (!st) st = get_positive(r, "CF4", v, "attention_factor", &rope->attention_factor);
        if (st) return st;
        member_value = member(v, "truncate");
        if (member_value) {
            if (member_value->kind != WEFT_JSON_BOOL) return bad(r, "CF4", "truncate", member_value, "true or false");
            rope->truncate = member_value->boolean;
        }
        static const char *const weights[] = { "mscale", "mscale_all_dim" };    /* another family's extension */
        for (size_t k = 0; k < WEFT_COUNT(weights); k++)
            if (member(v, weights[k]))
                return bad(r, "CF4", weights[k], member(v, weights[k]), "no such key in these families");
    }
    return WEFT_OK;
}

void weft_config_slide_from(struct weft_config *c, size_t first)
{
    memset(c->slides, 0, sizeof c->slides);
    for (size_t i = first; i < c->n_layers; i++) c->slides[i / 8] |= (uint8_t)(1u << i % 8);
}

/* The first layer from which on all slide, if they do so in this manner; else n_layers + 1. */
static size_t slides_from(const struct weft_config *c)
{
    size_t first = 0;
    while (first < c->n_layers && !weft_config_window(c, first)) first++;
    for (size_t i = first; i < c->n_layers; i++)
        if (!weft_config_window(c, i)) return c->n_layers + 1;
    return first;
}

/* layer_types says it layer by layer; without it, layers from max_window_layers on slide. */
static enum weft_status read_layer_types(struct reader *r, const struct weft_json_value *types, struct weft_config *c)
{
    if (types->kind != WEFT_JSON_ARRAY || types->n != c->n_layers)
        return bad(r, "CF2", "layer_types", types, "a list with one name for each layer");
    memset(c->slides, 0, sizeof c->slides);
    for (size_t i = 0; i < types->n; i++) {
        const struct weft_json_value *v = &types->items[i];
        bool full = v->kind == WEFT_JSON_STRING && weft_str_is(v->text, "full_attention");
        if (!full && !(v->kind == WEFT_JSON_STRING && weft_str_is(v->text, "sliding_attention")))
            return bad(r, "CF2", "layer_types", v, "full_attention or sliding_attention");
        if (!full) c->slides[i / 8] |= (uint8_t)(1u << i % 8);
    }
    return WEFT_OK;
}

static enum weft_status read_window(struct reader *r, const struct architecture *arch, struct weft_config *c)
{
    const struct weft_json_value *window = member(r->object, "sliding_window"),
                                 *types = member(r->object, "layer_types"), *first;
    bool used = arch->window == WINDOW_ALWAYS;
    size_t from = 0;
    enum weft_status st;

    if (arch->window == WINDOW_NEVER) return WEFT_OK;
    if (arch->window == WINDOW_IF_USED) {
        st = get_bool(r, "use_sliding_window", &used);
        if (st) return st;
    }
    if (window) {
        st = check_int(r, "CF2", "sliding_window", window, 1, MAX_POSITIONS);
        if (st) return st;
        if (used) c->sliding_window = (size_t)window->integer;
    }
    if (arch->window == WINDOW_IF_USED) {
        from = c->n_layers;
        first = member(r->object, "max_window_layers");
        if (first) {
            st = check_int(r, "CF2", "max_window_layers", first, 0, WEFT_MAX_LAYERS);
            if (st) return st;
            from = weft_min_size((size_t)first->integer, c->n_layers);
        }
    }
    if (!c->sliding_window) return WEFT_OK;
    weft_config_slide_from(c, from);
    if (types) {
        st = read_layer_types(r, types, c);
        if (st) return st;
    }
    if (slides_from(c) == c->n_layers) c->sliding_window = 0;       /* no layer has it */
    return WEFT_OK;
}

static enum weft_status read_token_id(struct reader *r, const char *key, const struct weft_json_value *v,
                                      const struct weft_config *c, int32_t *out)
{
    if (v->kind == WEFT_JSON_NUMBER && v->is_int && v->integer == -1) return WEFT_OK;    /* older files' "none" */
    enum weft_status st = check_int(r, "CF8", key, v, 0, (int64_t)c->vocab_size - 1);
    if (!st) *out = (int32_t)v->integer;
    return st;
}

static enum weft_status read_token_ids(struct reader *r, struct weft_config *c)
{
    const struct weft_json_value *v;
    enum weft_status st = WEFT_OK;
    c->bos_token_id = c->pad_token_id = -1;
    if ((v = member(r->object, "bos_token_id"))) st = read_token_id(r, "bos_token_id", v, c, &c->bos_token_id);
    if (!st && (v = member(r->object, "pad_token_id"))) st = read_token_id(r, "pad_token_id", v, c, &c->pad_token_id);
    if (st || !(v = member(r->object, "eos_token_id"))) return st;
    size_t n = v->kind == WEFT_JSON_ARRAY ? v->n : 1;
    if (n > WEFT_MAX_EOS) return bad(r, "CF8", "eos_token_id", v, "at most 16 ids");
    for (size_t i = 0; i < n; i++) {
        int32_t id = -1;
        st = read_token_id(r, "eos_token_id", v->kind == WEFT_JSON_ARRAY ? &v->items[i] : v, c, &id);
        if (st) return st;
        if (id >= 0) c->eos_token_id[c->n_eos++] = id;
    }
    return WEFT_OK;
}

static enum weft_status read_dtype(struct reader *r, struct weft_config *c)
{
    const struct weft_json_value *v = member(r->object, "dtype");
    if (!v) v = member(r->object, "torch_dtype");
    /* Only a note: the tensors say what they are (safetensors), so that an unknown name is no fault. */
    if (v && v->kind == WEFT_JSON_STRING)
        c->dtype = weft_str_is(v->text, "bfloat16") ? WEFT_BF16 : weft_str_is(v->text, "float16") ? WEFT_F16 : WEFT_F32;
    return WEFT_OK;
}

static const char *const known_keys[] = {
    "model_type",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "vocab_size",
    "rms_norm_eps",
    "rope_theta",
    "rope_scaling",
    "rope_parameters",
    "max_position_embeddings",
    "tie_word_embeddings",
    "hidden_act",
    "attention_dropout",
    "attention_bias",
    "mlp_bias",
    "pad_token_id",
    "bos_token_id",
    "eos_token_id",
    "torch_dtype",
    "dtype",
    "initializer_range",
    "use_sliding_window",
    "sliding_window",
    "max_window_layers",
    "layer_types",
    /* read by nobody here, and rightly so */
    "architectures",
    "transformers_version",
    "use_cache",
    "pretraining_tp",
    "_name_or_path",
    "use_mrope",
    "return_dict",
    "chunk_size_feed_forward",
    "id2label",
    "label2id",
    "is_encoder_decoder",
    "output_attentions",
    "output_hidden_states",
    "problem_type",
    "quantization_config",
};

static enum weft_status note_unknown_keys(struct weft_arena *a, const struct weft_json_value *object,
                                          struct weft_config *c)
{
    struct weft_buf names = { .max_bytes = 4096 };
    for (size_t i = 0; i < object->n; i++) {
        size_t k = 0;
        while (k < WEFT_COUNT(known_keys) && !weft_str_is(object->keys[i], known_keys[k])) k++;
        if (k < WEFT_COUNT(known_keys)) continue;
        if (names.len) weft_buf_cstr(&names, ", ");
        weft_buf_escaped(&names, object->keys[i], 64);
    }
    if (names.len) c->unknown_keys = weft_arena_strndup(a, names.s, names.len);
    weft_buf_clear(&names);
    return WEFT_OK;
}

enum weft_status weft_config_parse(struct weft_arena *a, const char *name, struct weft_str json,
                                   struct weft_config *out, struct weft_err *err)
{
    struct weft_config c = { 0 };
    struct reader r = { .err = err };
    struct weft_json_value root;
    const struct weft_json_value *v;
    const struct architecture *arch;
    double number;
    size_t bytes;
    enum weft_status st;

    st = weft_json_init(&r.json, a, name, json, err);
    if (!st) st = weft_json_tree(&r.json, &root, err);
    if (!st) st = weft_json_end(&r.json, err);
    if (st) return st;
    r.object = &root;
    if (root.kind != WEFT_JSON_OBJECT) return bad(&r, "CF1", "config.json", &root, "one JSON object");

    v = member(&root, "model_type");
    if (!v) return missing(&r, "CF5", "model_type");
    arch = v->kind == WEFT_JSON_STRING ? find_architecture(v->text) : NULL;
    if (!arch) return bad(&r, "CF5", "model_type", v, "one of qwen2, qwen3, llama, mistral");
    c.model_type = arch->model_type;
    v = member(&root, "quantization_config");
    /* of bitsandbytes the tensors say the rest themselves (model/quantise.h) */
    const struct weft_json_value *method = weft_json_get(v, "quant_method");
    if (v && !(method && weft_str_is(method->text, "bitsandbytes")))
        return bad(&r, "CF5", "quantization_config", v, "unquantised weights, or those of quant_method bitsandbytes");

    if ((st = get_size(&r, "hidden_size", 1, MAX_HIDDEN, &c.hidden_size))) return st;
    if ((st = get_size(&r, "intermediate_size", 1, MAX_INTERMEDIATE, &c.intermediate_size))) return st;
    if ((st = get_size(&r, "num_hidden_layers", 1, WEFT_MAX_LAYERS, &c.n_layers))) return st;
    if ((st = get_size(&r, "num_attention_heads", 1, MAX_HEADS, &c.n_heads))) return st;
    if ((st = get_size(&r, "vocab_size", 1, MAX_VOCAB, &c.vocab_size))) return st;
    if ((st = get_size(&r, "max_position_embeddings", 1, MAX_POSITIONS, &c.max_position_embeddings))) return st;

    c.n_kv_heads = c.n_heads;
    v = member(&root, "num_key_value_heads");
    if (v) {
        st = check_int(&r, "CF3", "num_key_value_heads", v, 1, (int64_t)c.n_heads);
        if (st) return st;
        c.n_kv_heads = (size_t)v->integer;
        if (c.n_heads % c.n_kv_heads)
            return bad(&r, "CF3", "num_key_value_heads", v, "a divisor of num_attention_heads");
    }
    v = member(&root, "head_dim");
    if (v) {
        st = check_int(&r, "CF3", "head_dim", v, 2, MAX_HEAD_DIM);
        if (st) return st;
        c.head_dim = (size_t)v->integer;
        if (c.head_dim % 2) return bad(&r, "CF3", "head_dim", v, "an even number");
    } else {
        c.head_dim = c.hidden_size / c.n_heads;
        if (c.hidden_size % c.n_heads || c.head_dim < 2 || c.head_dim % 2 || c.head_dim > MAX_HEAD_DIM)
            return bad(&r, "CF3", "hidden_size", member(&root, "hidden_size"),
                       "num_attention_heads times an even number from 2 to 1024, or a head_dim");
    }

    v = member(&root, "hidden_act");
    if (v && !(v->kind == WEFT_JSON_STRING && weft_str_is(v->text, "silu")))
        return bad(&r, "CF5", "hidden_act", v, "\"silu\"");
    v = member(&root, "attention_dropout");
    if (v && !(v->kind == WEFT_JSON_NUMBER && v->number == 0)) return bad(&r, "CF5", "attention_dropout", v, "0");
    number = 1e-6;
    if ((st = get_positive(&r, "CF2", &root, "rms_norm_eps", &number))) return st;
    c.rms_norm_eps = (float)number;
    number = 0.02;
    if ((st = get_positive(&r, "CF2", &root, "initializer_range", &number))) return st;
    c.initializer_range = (float)number;
    if ((st = get_bool(&r, "tie_word_embeddings", &c.tie_word_embeddings))) return st;

    c.qkv_bias = arch->qkv_bias;
    c.qk_norm = arch->qk_norm;
    if (arch->qkv_bias_from_key && (st = get_bool(&r, "attention_bias", &c.qkv_bias))) return st;
    if (arch->o_bias_from_key && (st = get_bool(&r, "attention_bias", &c.o_bias))) return st;
    if (arch->mlp_bias_from_key && (st = get_bool(&r, "mlp_bias", &c.mlp_bias))) return st;
    if ((st = read_rope(&r, &c))) return st;
    if ((st = read_window(&r, arch, &c))) return st;
    if ((st = read_token_ids(&r, &c))) return st;
    if ((st = read_dtype(&r, &c))) return st;
    if (!weft_size_mul(weft_config_n_params(&c), sizeof(float), &bytes))
        return weft_fail_rule(err, WEFT_EINPUT, "CF7",
                              "%s: a model of this shape has more bytes than can be addressed", name);
    if ((st = note_unknown_keys(a, &root, &c))) return st;
    *out = c;
    return WEFT_OK;
}

enum weft_status weft_config_load(struct weft_arena *a, const char *path, struct weft_config *out, struct weft_err *err)
{
    struct weft_str json;
    if (weft_dir_exists(path) && !(path = weft_path_join(a, path, "config.json")))
        return weft_fail_nomem(err, 256, "a path");
    enum weft_status st = weft_file_read(a, path, 256u << 20, &json, err);
    return st ? st : weft_config_parse(a, path, json, out, err);
}

/* ---- writing ---- */

static void write_rope(struct weft_json_out *o, const struct weft_config *c)
{
    const struct weft_rope_config *rope = &c->rope;
    weft_json_out_key(o, "rope_scaling");
    if (rope->type == WEFT_ROPE_DEFAULT) {
        weft_json_out_null(o);
        return;
    }
    weft_json_out_object(o);
    if (rope->type == WEFT_ROPE_YARN) {
        if (rope->attention_factor > 0) {
            weft_json_out_key(o, "attention_factor");
            weft_json_out_double(o, rope->attention_factor);
        }
        weft_json_out_key(o, "beta_fast");
        weft_json_out_double(o, rope->beta_fast);
        weft_json_out_key(o, "beta_slow");
        weft_json_out_double(o, rope->beta_slow);
    }
    weft_json_out_key(o, "factor");
    weft_json_out_double(o, rope->factor);
    if (rope->type == WEFT_ROPE_LLAMA3) {
        weft_json_out_key(o, "high_freq_factor");
        weft_json_out_double(o, rope->high_freq_factor);
        weft_json_out_key(o, "low_freq_factor");
        weft_json_out_double(o, rope->low_freq_factor);
    }
    if (rope->type != WEFT_ROPE_LINEAR) {
        weft_json_out_key(o, "original_max_position_embeddings");
        weft_json_out_uint(o, rope->original_max_position_embeddings);
    }
    weft_json_out_key(o, "rope_type");
    weft_json_out_cstr(o, rope_names[rope->type]);
    if (rope->type == WEFT_ROPE_YARN && !rope->truncate) {
        weft_json_out_key(o, "truncate");
        weft_json_out_bool(o, false);
    }
    weft_json_out_object_end(o);
}

static void write_id(struct weft_json_out *o, const char *key, int32_t id)
{
    weft_json_out_key(o, key);
    if (id < 0) weft_json_out_null(o);
    else weft_json_out_int(o, id);
}

static void write_uint(struct weft_json_out *o, const char *key, size_t v)
{
    weft_json_out_key(o, key);
    weft_json_out_uint(o, v);
}

static void write_bool(struct weft_json_out *o, const char *key, bool v)
{
    weft_json_out_key(o, key);
    weft_json_out_bool(o, v);
}

/* A double whose shortest text is that of the float: 1e-06, not 9.999999974752427e-07. */
static double float_as_written(float f)
{
    char text[32];
    double v;
    for (int digits = 6; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)f);
        v = strtod(text, NULL);
        if ((float)v == f) return v;
    }
    return (double)f;
}

enum weft_status weft_config_write(const struct weft_config *c, struct weft_buf *out, struct weft_err *err)
{
    static const char *const dtypes[] = { [WEFT_F32] = "float32", [WEFT_BF16] = "bfloat16", [WEFT_F16] = "float16" };
    const struct architecture *arch = find_architecture(weft_str_c(c->model_type));
    struct weft_json_out o;

    if (!arch) return weft_fail(err, WEFT_EARG, "model_type \"%s\" is not known", c->model_type);
    weft_json_out_init(&o, out);
    o.indent = 2;
    weft_json_out_object(&o);
    weft_json_out_key(&o, "architectures");
    weft_json_out_array(&o);
    weft_json_out_cstr(&o, arch->class_name);
    weft_json_out_array_end(&o);
    if (arch->qkv_bias_from_key) write_bool(&o, "attention_bias", c->qkv_bias);
    weft_json_out_key(&o, "attention_dropout");
    weft_json_out_double(&o, 0);
    write_id(&o, "bos_token_id", c->bos_token_id);
    weft_json_out_key(&o, "eos_token_id");
    if (c->n_eos == 1) weft_json_out_int(&o, c->eos_token_id[0]);
    else if (!c->n_eos) weft_json_out_null(&o);
    else {
        weft_json_out_array(&o);
        for (size_t i = 0; i < c->n_eos; i++) weft_json_out_int(&o, c->eos_token_id[i]);
        weft_json_out_array_end(&o);
    }
    /* Older readers of qwen2 know no head_dim: say it only where it cannot be computed. */
    if (strcmp(c->model_type, "qwen2") != 0 || c->head_dim * c->n_heads != c->hidden_size)
        write_uint(&o, "head_dim", c->head_dim);
    weft_json_out_key(&o, "hidden_act");
    weft_json_out_cstr(&o, "silu");
    write_uint(&o, "hidden_size", c->hidden_size);
    weft_json_out_key(&o, "initializer_range");
    weft_json_out_double(&o, float_as_written(c->initializer_range));
    write_uint(&o, "intermediate_size", c->intermediate_size);
    size_t slide_from = c->sliding_window ? slides_from(c) : c->n_layers;
    if (slide_from > c->n_layers) {         /* only a list can say so */
        weft_json_out_key(&o, "layer_types");
        weft_json_out_array(&o);
        for (size_t i = 0; i < c->n_layers; i++)
            weft_json_out_cstr(&o, weft_config_window(c, i) ? "sliding_attention" : "full_attention");
        weft_json_out_array_end(&o);
    }
    write_uint(&o, "max_position_embeddings", c->max_position_embeddings);
    if (arch->window == WINDOW_IF_USED)
        write_uint(&o, "max_window_layers", weft_min_size(slide_from, c->n_layers));
    if (arch->mlp_bias_from_key) write_bool(&o, "mlp_bias", c->mlp_bias);
    weft_json_out_key(&o, "model_type");
    weft_json_out_cstr(&o, c->model_type);
    write_uint(&o, "num_attention_heads", c->n_heads);
    write_uint(&o, "num_hidden_layers", c->n_layers);
    write_uint(&o, "num_key_value_heads", c->n_kv_heads);
    write_id(&o, "pad_token_id", c->pad_token_id);
    weft_json_out_key(&o, "rms_norm_eps");
    weft_json_out_double(&o, float_as_written(c->rms_norm_eps));
    write_rope(&o, c);
    weft_json_out_key(&o, "rope_theta");
    weft_json_out_double(&o, c->rope.theta);
    if (arch->window != WINDOW_NEVER) {
        weft_json_out_key(&o, "sliding_window");
        if (c->sliding_window) weft_json_out_uint(&o, c->sliding_window);
        else weft_json_out_null(&o);
    }
    write_bool(&o, "tie_word_embeddings", c->tie_word_embeddings);
    weft_json_out_key(&o, "torch_dtype");
    weft_json_out_cstr(&o, dtypes[c->dtype]);
    write_bool(&o, "use_cache", true);
    if (arch->window == WINDOW_IF_USED) write_bool(&o, "use_sliding_window", c->sliding_window > 0);
    write_uint(&o, "vocab_size", c->vocab_size);
    weft_json_out_object_end(&o);
    weft_buf_char(out, '\n');
    return weft_buf_check(out, "config.json", err);
}

/* ---- shapes by name ---- */

/* Shapes are facts of published models; "tiny" is weft's own (docs/model.md). */
static const struct preset {
    const char *name, *model_type;
    size_t hidden, intermediate, n_layers, n_heads, n_kv_heads, head_dim, vocab, positions;
    double rope_theta;
    float eps;
    bool tied;
    size_t window;
    int32_t bos, eos;
} presets[] = {
    { "tiny", "qwen2", 384, 1024, 8, 6, 2, 64, 8192, 4096, 1e4, 1e-6f, true, 0, -1, -1 },
    { "qwen2.5-0.5b", "qwen2", 896, 4864, 24, 14, 2, 64, 151936, 32768, 1e6, 1e-6f, true, 0, 151643, 151645 },
    { "qwen2.5-1.5b", "qwen2", 1536, 8960, 28, 12, 2, 128, 151936, 32768, 1e6, 1e-6f, true, 0, 151643, 151645 },
    { "qwen2.5-3b", "qwen2", 2048, 11008, 36, 16, 2, 128, 151936, 32768, 1e6, 1e-6f, true, 0, 151643, 151645 },
    { "qwen2.5-7b", "qwen2", 3584, 18944, 28, 28, 4, 128, 152064, 32768, 1e6, 1e-6f, false, 0, 151643, 151645 },
    { "qwen3-0.6b", "qwen3", 1024, 3072, 28, 16, 8, 128, 151936, 40960, 1e6, 1e-6f, true, 0, 151643, 151645 },
    { "llama-3-8b", "llama", 4096, 14336, 32, 32, 8, 128, 128256, 8192, 5e5, 1e-5f, false, 0, 128000, 128001 },
    { "mistral-7b-v0.1", "mistral", 4096, 14336, 32, 32, 8, 128, 32000, 32768, 1e4, 1e-5f, false, 4096, 1, 2 },
};
static const char *const preset_names[] = { "tiny", "qwen2.5-0.5b", "qwen2.5-1.5b", "qwen2.5-3b", "qwen2.5-7b",
                                            "qwen3-0.6b", "llama-3-8b", "mistral-7b-v0.1" };

bool weft_config_preset(const char *name, struct weft_config *out, const char *const **names, size_t *n_names)
{
    static_assert(WEFT_COUNT(presets) == WEFT_COUNT(preset_names), "one name for each preset");
    if (names) *names = preset_names;
    if (n_names) *n_names = WEFT_COUNT(preset_names);
    for (size_t i = 0; name && i < WEFT_COUNT(presets); i++) {
        const struct preset *p = &presets[i];
        if (strcmp(name, p->name) != 0) continue;
        const struct architecture *arch = find_architecture(weft_str_c(p->model_type));
        if (out) {
            *out = (struct weft_config){
                .model_type = arch->model_type,
                .hidden_size = p->hidden,
                .intermediate_size = p->intermediate,
                .n_layers = p->n_layers,
                .n_heads = p->n_heads,
                .n_kv_heads = p->n_kv_heads,
                .head_dim = p->head_dim,
                .vocab_size = p->vocab,
                .max_position_embeddings = p->positions,
                .rms_norm_eps = p->eps,
                .initializer_range = 0.02f,
                .tie_word_embeddings = p->tied,
                .qkv_bias = arch->qkv_bias,
                .qk_norm = arch->qk_norm,
                .sliding_window = p->window,
                .rope = { .theta = p->rope_theta,
                          .factor = 1,
                          .beta_fast = 32,
                          .beta_slow = 1,
                          .truncate = true,
                          .original_max_position_embeddings = p->positions },
                .bos_token_id = p->bos,
                .pad_token_id = -1,
                .eos_token_id = { p->eos >= 0 ? p->eos : 0 },
                .n_eos = p->eos >= 0,
                .dtype = WEFT_BF16,
            };
            if (p->window) weft_config_slide_from(out, 0);
        }
        return true;
    }
    return false;
}

size_t weft_config_n_params(const struct weft_config *c)
{
    size_t D = c->hidden_size, F = c->intermediate_size, q = c->n_heads * c->head_dim, kv = c->n_kv_heads * c->head_dim;
    size_t layer = 2 * D * q + 2 * D * kv + 3 * D * F + 2 * D;
    if (c->qkv_bias) layer += q + 2 * kv;
    if (c->o_bias) layer += D;
    if (c->mlp_bias) layer += 2 * F + D;
    if (c->qk_norm) layer += 2 * c->head_dim;
    return c->n_layers * layer + c->vocab_size * D * (c->tie_word_embeddings ? 1 : 2) + D;
}
