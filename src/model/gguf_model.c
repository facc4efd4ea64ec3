/* A model from GGUF files.  The metadata is written down as the config.json it stands for, so that one reader and one
 * set of rules hold; matrices stay where they lie, in whatever format, except the rows of q and k in llama files, which
 * are interleaved there and are put in our order in memory. */
#include "model/gguf.h"
#include "model/rope.h"
#include "model/slots.h"

#include "base/lang.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { NAMED_OFFENDERS = 5, MAX_SPLITS = 9999 };

/* Architectures of the format that weft reads, and how the rows of their q and k stand. */
static const struct architecture {
    const char *name, *model_type;
    bool interleaved;
} architectures[] = {
    { "llama", "llama", true }, { "mistral", "mistral", true }, { "qwen2", "qwen2", false }, { "qwen3", "qwen3", false }
};

static enum weft_status find_architecture(const struct weft_gguf *g, const struct architecture **out,
                                          struct weft_err *err)
{
    struct weft_str name;
    char shown[80];
    enum weft_status st = weft_gguf_text(g, "general.architecture", true, &name, err);
    for (size_t i = 0; !st && i < WEFT_COUNT(architectures); i++)
        if (weft_str_is(name, architectures[i].name)) {
            *out = &architectures[i];
            return WEFT_OK;
        }
    if (st) return st;
    return weft_fail_rule(err, WEFT_EINPUT, "GG9", "%s: architecture \"%s\"; weft reads llama, mistral, qwen2 and qwen3",
                          g->path, weft_escape(shown, sizeof shown, name));
}

/* ---- names ---- */

static const struct {
    const char *ours, *theirs;
} parts[] = {
    { "input_layernorm", "attn_norm" },          { "post_attention_layernorm", "ffn_norm" },
    { "self_attn.q_proj", "attn_q" },            { "self_attn.k_proj", "attn_k" },
    { "self_attn.v_proj", "attn_v" },            { "self_attn.o_proj", "attn_output" },
    { "self_attn.q_norm", "attn_q_norm" },       { "self_attn.k_norm", "attn_k_norm" },
    { "mlp.gate_proj", "ffn_gate" },             { "mlp.up_proj", "ffn_up" },
    { "mlp.down_proj", "ffn_down" },
};

bool weft_gguf_tensor_name(const char *name, char *out, size_t out_bytes)
{
    static const char *const whole[][2] = { { "model.embed_tokens.weight", "token_embd.weight" },
                                            { "model.norm.weight", "output_norm.weight" },
                                            { "lm_head.weight", "output.weight" } };
    static const char prefix[] = "model.layers.";
    for (size_t i = 0; i < WEFT_COUNT(whole); i++)
        if (!strcmp(name, whole[i][0])) return snprintf(out, out_bytes, "%s", whole[i][1]) < (int)out_bytes;
    if (strncmp(name, prefix, sizeof prefix - 1) != 0) return false;
    char *part;
    unsigned long layer = strtoul(name + sizeof prefix - 1, &part, 10);
    const char *suffix = strrchr(name, '.');
    if (*part != '.' || suffix <= part) return false;
    part++;
    for (size_t i = 0; i < WEFT_COUNT(parts); i++)
        if (strlen(parts[i].ours) == (size_t)(suffix - part) && !strncmp(part, parts[i].ours, (size_t)(suffix - part)))
            return snprintf(out, out_bytes, "blk.%lu.%s%s", layer, parts[i].theirs, suffix) < (int)out_bytes;
    return false;
}

/* ---- configuration ---- */

struct metadata {
    const struct weft_gguf *g;
    const char *architecture;
    struct weft_err *err;
    enum weft_status st;
    struct weft_json_out *json;
};

/* "llama.block_count" */
static const char *key_of(const struct metadata *m, const char *name, char out[120])
{
    snprintf(out, 120, "%s.%s", m->architecture, name);
    return out;
}

/* 0: absent */
static uint64_t whole(struct metadata *m, const char *name, bool needed)
{
    char key[120];
    uint64_t v = 0;
    if (!m->st) m->st = weft_gguf_uint(m->g, key_of(m, name, key), needed, &v, m->err);
    if (!m->st && needed && !v)
        m->st = weft_fail_rule(m->err, WEFT_EINPUT, "GG9", "%s: key \"%s\" is 0; expected at least 1", m->g->path, key);
    return v;
}

static double number(struct metadata *m, const char *name, bool needed, double absent)
{
    char key[120];
    double v = absent;
    if (!m->st) m->st = weft_gguf_float(m->g, key_of(m, name, key), needed, &v, m->err);
    return v;
}

static void put_uint(struct metadata *m, const char *key, uint64_t v)
{
    weft_json_out_key(m->json, key);
    weft_json_out_uint(m->json, v);
}

static void put_double(struct metadata *m, const char *key, double v)
{
    weft_json_out_key(m->json, key);
    weft_json_out_double(m->json, v);
}

static void put_text(struct metadata *m, const char *key, const char *v)
{
    weft_json_out_key(m->json, key);
    weft_json_out_cstr(m->json, v);
}

/* Llama 3 files say by how much each frequency is divided instead of by which rule.  The two rules in use divide by 8
 * and by 32; the largest divisor tells which, and every other one must agree. */
static bool matches_llama3(const struct weft_gguf_tensor *t, double theta, size_t head_dim, double *factor)
{
    struct weft_config plain = { .head_dim = head_dim, .rope = { .theta = theta, .factor = 1 } }, scaled;
    size_t half = head_dim / 2;
    float a[512], b[512], divisor;
    if (t->type->kind != WEFT_GGUF_PLAIN || t->type->dtype != WEFT_F32 || t->n_elements != half || half > WEFT_COUNT(a))
        return false;
    *factor = 1;
    for (size_t i = 0; i < half; i++) {
        memcpy(&divisor, t->data + 4 * i, 4);
        if (!(divisor >= 1)) return false;
        *factor = fmax(*factor, (double)divisor);
    }
    scaled = plain;
    scaled.rope = (struct weft_rope_config){ .type = WEFT_ROPE_LLAMA3, .theta = theta, .factor = *factor,
        .low_freq_factor = 1, .high_freq_factor = 4, .original_max_position_embeddings = 8192 };
    (void)weft_rope_frequencies(&plain, a);
    (void)weft_rope_frequencies(&scaled, b);
    for (size_t i = 0; i < half; i++) {
        memcpy(&divisor, t->data + 4 * i, 4);
        if (!(fabs((double)a[i] / (double)divisor - (double)b[i]) <= 1e-4 * (double)b[i])) return false;
    }
    return true;
}

static void put_rope(struct metadata *m, size_t head_dim)
{
    struct weft_str type = WEFT_STR("none");
    char key[120];
    double theta = number(m, "rope.freq_base", false, 10000), factor = number(m, "rope.scaling.factor", false, 0);
    uint64_t original = whole(m, "rope.scaling.original_context_length", false);
    const struct weft_gguf_tensor *divisors = weft_gguf_tensor(m->g, "rope_freqs.weight");
    put_double(m, "rope_theta", theta);
    if (!m->st) m->st = weft_gguf_text(m->g, key_of(m, "rope.scaling.type", key), false, &type, m->err);
    if (m->st) return;
    bool linear = weft_str_is(type, "linear"), yarn = weft_str_is(type, "yarn");
    double attention = number(m, "rope.scaling.attn_factor", false, 1);
    if (!(weft_str_is(type, "none") || linear || yarn) || attention != 1) {
        char shown[80];
        m->st = weft_fail_rule(m->err, WEFT_EINPUT, "GG9",
                               "%s: %s is \"%s\" with attn_factor %g; weft reads none, linear and yarn, with 1", m->g->path,
                               key_of(m, "rope.scaling.type", key), weft_escape(shown, sizeof shown, type), attention);
        return;
    }
    if (divisors) {
        double found = 0;
        if (linear || yarn || !matches_llama3(divisors, theta, head_dim, &found)) {
            m->st = weft_fail_rule(m->err, WEFT_EINPUT, "GG9",
                                   "%s: rope_freqs.weight does not follow the rule of Llama 3 (low 1, high 4, 8192 tokens)",
                                   m->g->path);
            return;
        }
        weft_json_out_key(m->json, "rope_scaling");
        weft_json_out_object(m->json);
        put_text(m, "rope_type", "llama3");
        put_double(m, "factor", found);
        put_double(m, "low_freq_factor", 1);
        put_double(m, "high_freq_factor", 4);
        put_uint(m, "original_max_position_embeddings", 8192);
        weft_json_out_object_end(m->json);
    } else if (linear || yarn) {
        weft_json_out_key(m->json, "rope_scaling");
        weft_json_out_object(m->json);
        put_text(m, "rope_type", linear ? "linear" : "yarn");
        if (factor > 0) put_double(m, "factor", factor);
        if (original) put_uint(m, "original_max_position_embeddings", original);
        if (yarn) {
            put_double(m, "beta_fast", number(m, "rope.scaling.yarn_beta_fast", false, 32));
            put_double(m, "beta_slow", number(m, "rope.scaling.yarn_beta_slow", false, 1));
        }
        weft_json_out_object_end(m->json);
    }
}

static void put_ids(struct metadata *m)
{
    static const struct {
        const char *theirs, *ours;
    } ids[] = { { "tokenizer.ggml.bos_token_id", "bos_token_id" }, { "tokenizer.ggml.padding_token_id", "pad_token_id" } };
    uint64_t v, eos = UINT64_MAX, eot = UINT64_MAX;
    for (size_t i = 0; i < WEFT_COUNT(ids) && !m->st; i++) {
        v = UINT64_MAX;
        m->st = weft_gguf_uint(m->g, ids[i].theirs, false, &v, m->err);
        if (v != UINT64_MAX) put_uint(m, ids[i].ours, v);
    }
    if (!m->st) m->st = weft_gguf_uint(m->g, "tokenizer.ggml.eos_token_id", false, &eos, m->err);
    if (!m->st) m->st = weft_gguf_uint(m->g, "tokenizer.ggml.eot_token_id", false, &eot, m->err);
    if (eos == UINT64_MAX && eot == UINT64_MAX) return;
    weft_json_out_key(m->json, "eos_token_id");
    weft_json_out_array(m->json);
    if (eos != UINT64_MAX) weft_json_out_uint(m->json, eos);
    if (eot != UINT64_MAX && eot != eos) weft_json_out_uint(m->json, eot);
    weft_json_out_array_end(m->json);
}

/* The matrix of the token table says how large the vocabulary is: the key is missing in many files. */
static void put_shape(struct metadata *m, const struct architecture *arch)
{
    uint64_t D = whole(m, "embedding_length", true), heads = whole(m, "attention.head_count", true);
    uint64_t kv = whole(m, "attention.head_count_kv", false), head_dim = whole(m, "attention.key_length", false);
    uint64_t value_length = whole(m, "attention.value_length", false), rotated = whole(m, "rope.dimension_count", false);
    uint64_t window = whole(m, "attention.sliding_window", false);
    const struct weft_gguf_tensor *embed = weft_gguf_tensor(m->g, "token_embd.weight");
    bool qkv_bias = weft_gguf_tensor(m->g, "blk.0.attn_q.bias") != NULL;
    if (!m->st && (!embed || embed->n_dims != 2))
        m->st = weft_fail_rule(m->err, WEFT_EINPUT, "GG9", "%s: there is no matrix token_embd.weight", m->g->path);
    if (m->st) return;
    if (!head_dim && heads) head_dim = D / heads;
    if ((value_length && value_length != head_dim) || (rotated && rotated != head_dim)) {
        m->st = weft_fail_rule(m->err, WEFT_EINPUT, "GG9",
                               "%s: heads of %llu with values of %llu and %llu rotated; weft reads one width for all three",
                               m->g->path, (unsigned long long)head_dim, (unsigned long long)value_length,
                               (unsigned long long)rotated);
        return;
    }
    /* Files of architecture llama hold Mistral models too: those that slide. */
    bool mistral = !strcmp(arch->model_type, "mistral") || (!strcmp(arch->model_type, "llama") && window && !qkv_bias);
    put_text(m, "model_type", mistral ? "mistral" : arch->model_type);
    put_uint(m, "hidden_size", D);
    put_uint(m, "num_hidden_layers", whole(m, "block_count", true));
    put_uint(m, "intermediate_size", whole(m, "feed_forward_length", true));
    put_uint(m, "num_attention_heads", heads);
    put_uint(m, "num_key_value_heads", kv ? kv : heads);
    put_uint(m, "head_dim", head_dim);
    put_uint(m, "vocab_size", embed->dims[1]);
    put_uint(m, "max_position_embeddings", whole(m, "context_length", true));
    put_double(m, "rms_norm_eps", number(m, "attention.layer_norm_rms_epsilon", true, 0));
    weft_json_out_key(m->json, "tie_word_embeddings");
    weft_json_out_bool(m->json, !weft_gguf_tensor(m->g, "output.weight"));
    if (mistral && window) put_uint(m, "sliding_window", window);
    if (qkv_bias && strcmp(arch->model_type, "qwen2") != 0) {
        weft_json_out_key(m->json, "attention_bias");
        weft_json_out_bool(m->json, true);
    }
    put_rope(m, (size_t)head_dim);
}

enum weft_status weft_gguf_config(const struct weft_gguf *g, struct weft_arena *a, struct weft_config *out,
                                  struct weft_err *err)
{
    const struct architecture *arch = NULL;
    struct weft_buf text = { 0 };
    struct weft_json_out json;
    struct metadata m = { .g = g, .err = err, .json = &json };
    m.st = find_architecture(g, &arch, err);
    if (m.st) return m.st;
    m.architecture = arch->name;
    weft_json_out_init(&json, &text);
    weft_json_out_object(&json);
    put_shape(&m, arch);
    if (!m.st) put_ids(&m);
    weft_json_out_object_end(&json);
    if (!m.st) m.st = weft_buf_check(&text, g->path, err);
    if (!m.st) {
        struct weft_str kept = weft_str_dup(a, weft_buf_view(&text));
        m.st = kept.s ? weft_config_parse(a, g->path, kept, out, err) : weft_fail_nomem(err, text.len, g->path);
    }
    weft_buf_clear(&text);
    return m.st;
}

/* ---- weights ---- */

/* All files of a split model, the one that was named first (GG11). */
static enum weft_status open_files(struct weft_model *m, const char *path, struct weft_err *err)
{
    struct weft_arena *a = &m->arena;
    uint64_t count = 1, no = 0, tensors = 0, all;
    struct weft_gguf first;
    char ending[64];
    enum weft_status st = weft_gguf_open(&first, a, path, err);
    if (st) return st;
    all = first.n_tensors;
    st = weft_gguf_uint(&first, "split.count", false, &count, err);
    if (!st) st = weft_gguf_uint(&first, "split.no", false, &no, err);
    if (!st) st = weft_gguf_uint(&first, "split.tensors.count", count > 1, &tensors, err);
    snprintf(ending, sizeof ending, "-%05d-of-%05llu.gguf", 1, (unsigned long long)count);
    if (!st && count > 1 && (count > MAX_SPLITS || no != 0 || !weft_str_ends(weft_str_c(path), weft_str_c(ending))))
        st = weft_fail_rule(err, WEFT_EINPUT, "GG11",
                            "%s: file %llu of %llu; name the first one, which ends in %s", path,
                            (unsigned long long)no + 1, (unsigned long long)count, ending);
    if (!st) {
        m->gguf = WEFT_NEWS(a, struct weft_gguf, count > 1 ? count : 1);
        if (!m->gguf) st = weft_fail_nomem(err, (size_t)count * sizeof *m->gguf, path);
    }
    if (st) {
        weft_gguf_close(&first);
        return st;
    }
    m->gguf[m->n_gguf++] = first;
    for (uint64_t i = 1; !st && i < count; i++) {
        uint64_t own_count = 0, own_no = 0;
        struct weft_str name = weft_str_printf(a, "%.*s-%05llu-of-%05llu.gguf", (int)(strlen(path) - strlen(ending)), path,
                                               (unsigned long long)i + 1, (unsigned long long)count);
        st = name.s ? weft_gguf_open(&m->gguf[i], a, name.s, err) : weft_fail_nomem(err, strlen(path), "a path");
        if (st) break;
        m->n_gguf++;
        all += m->gguf[i].n_tensors;
        st = weft_gguf_uint(&m->gguf[i], "split.count", true, &own_count, err);
        if (!st) st = weft_gguf_uint(&m->gguf[i], "split.no", true, &own_no, err);
        if (!st && (own_count != count || own_no != i))
            st = weft_fail_rule(err, WEFT_EINPUT, "GG11", "%s: says it is file %llu of %llu; expected %llu of %llu", name.s,
                                (unsigned long long)own_no + 1, (unsigned long long)own_count,
                                (unsigned long long)i + 1, (unsigned long long)count);
    }
    if (!st && count > 1 && all != tensors)
        st = weft_fail_rule(err, WEFT_EINPUT, "GG11", "%s: the files hold %llu tensors together; expected %llu", path,
                            (unsigned long long)all, (unsigned long long)tensors);
    return st;
}

static const struct weft_gguf_tensor *find_tensor(const struct weft_model *m, const char *name)
{
    const struct weft_gguf_tensor *t = NULL;
    for (size_t i = 0; i < m->n_gguf && !t; i++) t = weft_gguf_tensor(&m->gguf[i], name);
    return t;
}

static bool fits(const struct weft_gguf_tensor *t, const struct weft_slot *s)
{
    if (s->kind == WEFT_SLOT_BIAS || s->kind == WEFT_SLOT_NORM)
        return t->n_elements == s->cols && t->dims[0] == s->cols && t->type->kind == WEFT_GGUF_PLAIN;
    return t->n_dims == 2 && t->dims[0] == s->cols && t->dims[1] == s->rows && t->type->kind != WEFT_GGUF_NO_WEIGHT;
}

/* The first offenders by name and the count of all (B2). */
static enum weft_status check_tensors(const struct weft_model *m, const struct weft_slot *slots, size_t n,
                                      struct weft_err *err)
{
    enum weft_lang lang = err ? err->lang : WEFT_LANG_EN;
    struct weft_buf text = { 0 };
    size_t n_bad = 0, n_found = 0, n_all = 0;
    char name[80], shown[100];
    for (size_t i = 0; i < n; i++) {
        const struct weft_gguf_tensor *t =
            weft_gguf_tensor_name(slots[i].name, name, sizeof name) ? find_tensor(m, name) : NULL;
        n_found += t != NULL;
        if (t && fits(t, &slots[i])) continue;
        if (n_bad++ >= NAMED_OFFENDERS) continue;
        if (text.len) weft_buf_cstr(&text, "; ");
        if (!t)
            weft_buf_printf(&text, weft_tr(lang, "%s [%zu, %zu] is missing"), name, slots[i].rows, slots[i].cols);
        else
            weft_buf_printf(&text, weft_tr(lang, "%s is %s [%zu, %zu], expected [%zu, %zu]"), name, t->type->name,
                            t->n_dims > 1 ? t->dims[1] : 1, t->dims[0], slots[i].rows, slots[i].cols);
    }
    for (size_t f = 0; f < m->n_gguf; f++) n_all += m->gguf[f].n_tensors;
    for (size_t f = 0; n_found < n_all && f < m->n_gguf; f++)
        for (size_t i = 0; i < m->gguf[f].n_tensors; i++) {
            struct weft_str found = m->gguf[f].tensors[i].name;
            size_t k = 0;
            if (weft_str_is(found, "rope_freqs.weight")) continue;
            while (k < n && !(weft_gguf_tensor_name(slots[k].name, name, sizeof name) && weft_str_is(found, name))) k++;
            if (k < n || n_bad++ >= NAMED_OFFENDERS) continue;
            if (text.len) weft_buf_cstr(&text, "; ");
            weft_buf_printf(&text, weft_tr(lang, "%s is not a tensor of this architecture"),
                            weft_escape(shown, sizeof shown, found));
        }
    enum weft_status st = WEFT_OK;
    if (n_bad)
        st = weft_fail_rule(err, WEFT_EINPUT, "GG9", "%s: %zu tensors do not fit its keys: %s%s", m->gguf[0].path, n_bad,
                            text.s ? text.s : "", n_bad > NAMED_OFFENDERS ? " ..." : "");
    weft_buf_clear(&text);
    return st;
}

/* A copy of the tensor with the rows of each head in our order. */
static unsigned char *reorder_rows(struct weft_arena *a, const struct weft_gguf_tensor *t, size_t rows, size_t head_dim)
{
    size_t row_bytes = t->bytes / rows;
    unsigned char *out = weft_arena_alloc(a, t->bytes);
    for (size_t r = 0; out && r < rows; r++)
        memcpy(out + weft_gguf_rope_row(r, head_dim) * row_bytes, t->data + r * row_bytes, row_bytes);
    return out;
}

static enum weft_status place_vector(struct weft_model *m, const struct weft_slot *s, const struct weft_gguf_tensor *t,
                                     bool reorder, struct weft_compute *c, struct weft_err *err)
{
    size_t head_dim = m->config.head_dim;
    float *w = WEFT_NEWS(&m->arena, float, s->cols), *from = WEFT_NEWS(&m->arena, float, reorder ? s->cols : 0);
    if (!w || !from) return weft_fail_nomem(err, s->cols * sizeof *w, s->name);
    weft_to_f32(c, reorder ? from : w, t->data, t->type->dtype, s->cols);
    for (size_t i = 0; reorder && i < s->cols; i++) w[weft_gguf_rope_row(i, head_dim)] = from[i];
    weft_slot_set(m, s, w, WEFT_F32);
    return WEFT_OK;
}

static enum weft_status place_matrix(struct weft_model *m, const struct weft_slot *s, const struct weft_gguf_tensor *t,
                                     bool reorder, bool f32, struct weft_compute *c, struct weft_err *err)
{
    struct weft_arena *a = &m->arena;
    const unsigned char *data = reorder ? reorder_rows(a, t, s->rows, m->config.head_dim) : t->data;
    struct weft_quant *q;
    float *w;
    if (!data) return weft_fail_nomem(err, t->bytes, s->name);
    if (t->type->kind == WEFT_GGUF_PLAIN && (!f32 || t->type->dtype == WEFT_F32)) {
        weft_slot_set(m, s, data, t->type->dtype);
        return WEFT_OK;
    }
    struct weft_quant of_file = { .rows = s->rows, .cols = s->cols, .data = data };
    if (t->type->kind == WEFT_GGUF_QUANT) of_file.format = weft_quant_format(t->type->quant);
    if (!f32) {
        q = WEFT_NEW(a, struct weft_quant);
        if (!q) return weft_fail_nomem(err, sizeof *q, s->name);
        *q = of_file;
        weft_slot_set(m, s, q, WEFT_QUANT);
        return WEFT_OK;
    }
    w = WEFT_NEWS(a, float, s->rows * s->cols);
    if (!w) return weft_fail_nomem(err, s->rows * s->cols * sizeof *w, s->name);
    if (of_file.format) weft_dequantise(c, w, WEFT_F32, &of_file, 0, s->rows);
    else weft_to_f32(c, w, data, t->type->dtype, s->rows * s->cols);
    weft_slot_set(m, s, w, WEFT_F32);
    return WEFT_OK;
}

/* q and k, weight and bias, of a llama file. */
static bool is_reordered(const struct architecture *arch, const struct weft_slot *s)
{
    struct weft_str name = weft_str_c(s->name);
    return arch->interleaved && (s->kind == WEFT_SLOT_WEIGHT || s->kind == WEFT_SLOT_BIAS)
           && (weft_str_find(name, WEFT_STR(".q_proj."), 0) != SIZE_MAX
               || weft_str_find(name, WEFT_STR(".k_proj."), 0) != SIZE_MAX);
}

enum weft_status weft_gguf_load(struct weft_model **out, const char *path, const struct weft_model_settings *s,
                                struct weft_err *err)
{
    static const struct weft_model_settings defaults;
    struct weft_arena scratch = { 0 };
    struct weft_compute c = { 0 };
    struct weft_model *m = NULL;
    struct weft_gguf g = { 0 };
    struct weft_config config;
    const struct architecture *arch = NULL;
    struct weft_slot *slots;
    char name[80];
    size_t n;
    enum weft_status st;

    *out = NULL;
    if (!s) s = &defaults;
    st = weft_gguf_open(&g, &scratch, path, err);
    if (!st) st = find_architecture(&g, &arch, err);
    if (!st) st = weft_gguf_config(&g, &scratch, &config, err);
    if (!st) st = weft_model_new(&m, &config, err);
    if (!st) st = open_files(m, path, err);
    if (!st && m->n_gguf > 1) {                 /* whether the head is tied, all files decide */
        config.tie_word_embeddings = m->config.tie_word_embeddings = !find_tensor(m, "output.weight");
    }
    if (!st) st = weft_model_slots(m, &scratch, &slots, &n, err);
    if (!st) st = check_tensors(m, slots, n, err);
    if (!st) st = weft_compute_init(&c, NULL, NULL, err);
    for (size_t i = 0; !st && i < n; i++) {
        bool reorder = is_reordered(arch, &slots[i]);
        bool vector = slots[i].kind == WEFT_SLOT_NORM || slots[i].kind == WEFT_SLOT_BIAS;
        if (!weft_gguf_tensor_name(slots[i].name, name, sizeof name)) continue;         /* checked above */
        const struct weft_gguf_tensor *t = find_tensor(m, name);
        st = vector ? place_vector(m, &slots[i], t, reorder, &c, err)
                    : place_matrix(m, &slots[i], t, reorder, s->f32, &c, err);
    }
    if (!st) st = weft_model_make_rope(m, s->max_positions, err);
    if (st) goto done;
    m->exact = s->exact;
    *out = m;
    m = NULL;
done:
    weft_gguf_close(&g);
    weft_model_free(m);
    weft_compute_clear(&c);
    weft_arena_clear(&scratch);
    return st;
}
