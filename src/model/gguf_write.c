/* A model as one GGUF file: keys, the list of tensors with offsets that follow from their sizes, then the tensors in
 * pieces of whole heads, so that the interleaved rows of q and k in llama files are put in order piece by piece. */
#include "model/gguf.h"
#include "model/rope.h"
#include "model/slots.h"

#include "base/json.h"
#include "tokens/pattern.h"

#include <math.h>
#include <stdio.h>

enum { ALIGNMENT = 32, PIECE_FLOATS = 1 << 20 };
enum { NORMAL = 1, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE };

struct writing {
    const struct weft_model *m;
    const struct weft_gguf_save *s;
    const char *architecture;
    bool interleaved;
    const struct weft_gguf_tensor_type *type;
    struct weft_compute compute;
    struct weft_arena arena;
    struct weft_buf header;             /* keys, then tensors */
    uint64_t n_keys;
    struct weft_slot *slots;
    size_t n_slots;
    float *floats, *ordered;            /* [PIECE_FLOATS or a head's rows] */
    unsigned char *bytes;
    uint64_t done, total;
};

/* ---- values ---- */

static void put(struct weft_buf *b, uint64_t v, size_t n)
{
    for (size_t i = 0; i < n; i++) weft_buf_char(b, (char)(v >> 8 * i));
}

static void put_str(struct weft_buf *b, struct weft_str s)
{
    put(b, s.len, 8);
    weft_buf_str(b, s);
}

static void put_key(struct writing *w, const char *key, enum weft_gguf_type type)
{
    put_str(&w->header, weft_str_c(key));
    put(&w->header, type, 4);
    w->n_keys++;
}

static void put_uint(struct writing *w, const char *key, uint64_t v)
{
    put_key(w, key, WEFT_GGUF_U32);
    put(&w->header, v, 4);
}

static void put_float(struct writing *w, const char *key, double v)
{
    float f = (float)v;
    uint32_t bits;
    memcpy(&bits, &f, 4);
    put_key(w, key, WEFT_GGUF_F32);
    put(&w->header, bits, 4);
}

static void put_bool(struct writing *w, const char *key, bool v)
{
    put_key(w, key, WEFT_GGUF_BOOL);
    put(&w->header, v, 1);
}

static void put_text(struct writing *w, const char *key, struct weft_str v)
{
    put_key(w, key, WEFT_GGUF_STRING);
    put_str(&w->header, v);
}

static void put_array(struct writing *w, const char *key, enum weft_gguf_type item, uint64_t n)
{
    put_key(w, key, WEFT_GGUF_ARRAY);
    put(&w->header, item, 4);
    put(&w->header, n, 8);
}

/* "llama.block_count" */
static const char *own(const struct writing *w, const char *name, char out[120])
{
    snprintf(out, 120, "%s.%s", w->architecture, name);
    return out;
}

/* ---- configuration ---- */

static unsigned file_type(const char *name)
{
    static const struct {
        const char *name;
        unsigned number;
    } types[] = { { "F32", 0 }, { "F16", 1 }, { "Q4_0", 2 }, { "Q8_0", 7 }, { "BF16", 32 } };
    for (size_t i = 0; i < WEFT_COUNT(types); i++)
        if (!strcmp(types[i].name, name)) return types[i].number;
    return 0;
}

static void put_config(struct writing *w)
{
    const struct weft_config *c = &w->m->config;
    const struct weft_rope_config *rope = &c->rope;
    char key[120];
    put_text(w, "general.architecture", weft_str_c(w->architecture));
    put_text(w, "general.type", WEFT_STR("model"));
    put_text(w, "general.name", weft_str_c(w->s->name ? w->s->name : "model"));
    put_uint(w, "general.file_type", file_type(w->s->type));
    if (w->type->kind == WEFT_GGUF_QUANT) put_uint(w, "general.quantization_version", 2);
    put_uint(w, own(w, "vocab_size", key), c->vocab_size);
    put_uint(w, own(w, "context_length", key), c->max_position_embeddings);
    put_uint(w, own(w, "embedding_length", key), c->hidden_size);
    put_uint(w, own(w, "block_count", key), c->n_layers);
    put_uint(w, own(w, "feed_forward_length", key), c->intermediate_size);
    put_uint(w, own(w, "attention.head_count", key), c->n_heads);
    put_uint(w, own(w, "attention.head_count_kv", key), c->n_kv_heads);
    put_uint(w, own(w, "attention.key_length", key), c->head_dim);
    put_uint(w, own(w, "attention.value_length", key), c->head_dim);
    put_uint(w, own(w, "rope.dimension_count", key), c->head_dim);
    put_float(w, own(w, "attention.layer_norm_rms_epsilon", key), (double)c->rms_norm_eps);
    put_float(w, own(w, "rope.freq_base", key), rope->theta);
    if (c->sliding_window) put_uint(w, own(w, "attention.sliding_window", key), c->sliding_window);
    if (rope->type == WEFT_ROPE_LINEAR || rope->type == WEFT_ROPE_YARN) {
        put_text(w, own(w, "rope.scaling.type", key), rope->type == WEFT_ROPE_YARN ? WEFT_STR("yarn") : WEFT_STR("linear"));
        put_float(w, own(w, "rope.scaling.factor", key), rope->factor);
    }
    if (rope->type == WEFT_ROPE_YARN) {
        put_uint(w, own(w, "rope.scaling.original_context_length", key), rope->original_max_position_embeddings);
        put_float(w, own(w, "rope.scaling.yarn_beta_fast", key), rope->beta_fast);
        put_float(w, own(w, "rope.scaling.yarn_beta_slow", key), rope->beta_slow);
    }
}

/* What the format has no word for. */
static enum weft_status check_config(struct writing *w, struct weft_err *err)
{
    const struct weft_config *c = &w->m->config;
    bool llama = !strcmp(c->model_type, "llama") || !strcmp(c->model_type, "mistral");
    w->architecture = llama ? "llama" : c->model_type;
    w->interleaved = llama;
    w->type = weft_gguf_tensor_type_by_name(w->s->type);
    if (!w->type || w->type->kind == WEFT_GGUF_NO_WEIGHT
        || (w->type->kind == WEFT_GGUF_QUANT && !weft_quant_format(w->type->quant)->quantise_row))
        return weft_fail(err, WEFT_EARG, "weft does not write GGUF tensors of type %s; it writes F32, F16, BF16, Q8_0 and Q4_0",
                         w->s->type);
    if (c->rope.type == WEFT_ROPE_YARN && (c->rope.attention_factor > 0 || !c->rope.truncate))
        return weft_fail(err, WEFT_EARG, "this model's yarn has an attention factor of its own; GGUF files cannot say that");
    if (c->sliding_window && strcmp(c->model_type, "mistral") != 0)
        return weft_fail(err, WEFT_EARG, "window layers of %s cannot be told in a GGUF file", c->model_type);
    return WEFT_OK;
}

/* ---- tokenizer ---- */

struct words {
    struct weft_str *tokens;
    int32_t *types;
    float *scores;
    size_t n;
};

static void set_word(struct words *w, const struct weft_json_value *id, struct weft_str text, int32_t type)
{
    if (!id || !id->is_int || id->integer < 0 || (size_t)id->integer >= w->n) return;
    w->tokens[id->integer] = text;
    w->types[id->integer] = type;
}

static bool is_byte_token(struct weft_str s)
{
    return s.len == 6 && weft_str_starts(s, WEFT_STR("<0x")) && s.s[5] == '>';
}

/* The name of the first pattern in a pre-tokenizer, ByteLevel's own counted as gpt2's; NULL: none that has one. */
static const char *pattern_name(const struct weft_json_value *pre)
{
    static const char *const names[][2] = { { "qwen2", "qwen2" }, { "llama3", "llama-bpe" }, { "gpt2", "gpt-2" },
                                            { "tekken", "tekken" }, { "o200k", "gpt-4o" } };
    const struct weft_json_value *list = weft_json_get(pre, "pretokenizers");
    size_t n = list ? list->n : 1, splits = 0;
    const char *found = NULL;
    for (size_t i = 0; pre && i < n; i++) {
        const struct weft_json_value *step = list ? &list->items[i] : pre, *type = weft_json_get(step, "type");
        const struct weft_json_value *regex = weft_json_get(weft_json_get(step, "pattern"), "Regex");
        const struct weft_json_value *own_pattern = weft_json_get(step, "use_regex");
        const struct weft_pattern *p = regex ? weft_pattern_by_text(regex->text) : NULL;
        if (type && weft_str_is(type->text, "ByteLevel") && (!own_pattern || own_pattern->boolean))
            p = weft_pattern_by_name("gpt2");
        else if (!type || !weft_str_is(type->text, "Split")) continue;
        splits++;
        for (size_t k = 0; p && k < WEFT_COUNT(names); k++)
            if (!strcmp(p->name, names[k][0])) found = names[k][1];
    }
    return splits == 1 ? found : NULL;
}

/* A merge is "a b" or ["a", "b"]. */
static struct weft_str merge_text(struct weft_arena *a, const struct weft_json_value *v)
{
    if (v->kind == WEFT_JSON_STRING) return v->text;
    if (v->kind != WEFT_JSON_ARRAY || v->n != 2) return WEFT_STR("");
    return weft_str_printf(a, "%.*s %.*s", (int)v->items[0].text.len, v->items[0].text.s, (int)v->items[1].text.len,
                           v->items[1].text.s);
}

static enum weft_status put_tokenizer(struct writing *w, struct weft_err *err)
{
    static const struct {
        const char *key;
        enum weft_special_token token;
    } specials[] = { { "tokenizer.ggml.bos_token_id", WEFT_BOS }, { "tokenizer.ggml.eos_token_id", WEFT_EOS },
                     { "tokenizer.ggml.unknown_token_id", WEFT_UNK }, { "tokenizer.ggml.padding_token_id", WEFT_PAD } };
    struct weft_arena *a = &w->arena;
    const struct weft_tokenizer *t = w->s->tokenizer;
    struct weft_json_value root;
    struct weft_encoder *encoder = NULL;
    struct weft_ids ids = { 0 };
    struct words words = { .n = w->m->config.vocab_size };
    enum weft_status st;
    if (!w->s->tokenizer_json.s || !t) return WEFT_OK;
    st = weft_json_parse(a, "tokenizer.json", w->s->tokenizer_json, &root, err);
    if (st) return st;
    const struct weft_json_value *model = weft_json_get(&root, "model"), *vocab = weft_json_get(model, "vocab");
    const struct weft_json_value *merges = weft_json_get(model, "merges"), *added = weft_json_get(&root, "added_tokens");
    const struct weft_json_value *fallback = weft_json_get(model, "byte_fallback");
    bool llama = fallback && fallback->boolean;
    words.tokens = WEFT_NEWS(a, struct weft_str, words.n);
    words.types = WEFT_NEWS(a, int32_t, words.n);
    words.scores = WEFT_NEWS(a, float, words.n);
    if (!words.tokens || !words.types || !words.scores) return weft_fail_nomem(err, words.n * 24, "a tokenizer");
    for (size_t i = 0; vocab && i < vocab->n; i++)
        set_word(&words, &vocab->items[i], vocab->keys[i], llama && is_byte_token(vocab->keys[i]) ? BYTE : NORMAL);
    for (size_t i = 0; added && i < added->n; i++) {
        const struct weft_json_value *id = weft_json_get(&added->items[i], "id"),
                                     *text = weft_json_get(&added->items[i], "content");
        bool control = text && id && id->is_int && weft_tokenizer_is_special(t, (int32_t)id->integer);
        bool unknown = llama && id && id->is_int && id->integer == weft_tokenizer_special(t, WEFT_UNK);
        if (text) set_word(&words, id, text->text, unknown ? UNKNOWN : control ? CONTROL : USER_DEFINED);
    }
    for (size_t i = 0; i < words.n; i++)
        if (!words.types[i]) {
            words.tokens[i] = weft_str_printf(a, "[PAD%zu]", i);
            words.types[i] = UNUSED;
        }
    const char *pre = llama ? "default" : pattern_name(weft_json_get(&root, "pre_tokenizer"));
    put_text(w, "tokenizer.ggml.model", llama ? WEFT_STR("llama") : WEFT_STR("gpt2"));
    put_text(w, "tokenizer.ggml.pre", weft_str_c(pre ? pre : "default"));
    put_array(w, "tokenizer.ggml.tokens", WEFT_GGUF_STRING, words.n);
    for (size_t i = 0; i < words.n; i++) put_str(&w->header, words.tokens[i]);
    put_array(w, "tokenizer.ggml.token_type", WEFT_GGUF_I32, words.n);
    for (size_t i = 0; i < words.n; i++) put(&w->header, (uint64_t)words.types[i], 4);
    if (llama) {
        /* the first merge that makes a piece is the one that counts: best score first is lowest rank first */
        for (size_t i = merges ? merges->n : 0; i-- > 0;) {
            struct weft_str both = merge_text(a, &merges->items[i]);
            size_t space = weft_str_find(both, WEFT_STR(" "), 1);
            if (!both.s || space == SIZE_MAX) continue;
            struct weft_str made = weft_str_printf(a, "%.*s%.*s", (int)space, both.s, (int)(both.len - space - 1),
                                                   both.s + space + 1);
            int32_t id = made.s ? weft_tokenizer_id(t, made) : -1;
            if (id >= 0 && (size_t)id < words.n) words.scores[id] = -(float)i;
        }
        put_array(w, "tokenizer.ggml.scores", WEFT_GGUF_F32, words.n);
        weft_buf_add(&w->header, words.scores, words.n * sizeof *words.scores);
    } else {
        put_array(w, "tokenizer.ggml.merges", WEFT_GGUF_STRING, merges ? merges->n : 0);
        for (size_t i = 0; merges && i < merges->n; i++) put_str(&w->header, merge_text(a, &merges->items[i]));
    }
    for (size_t i = 0; i < WEFT_COUNT(specials); i++) {
        bool other = specials[i].token == WEFT_EOS && w->s->eos_token.s;
        int32_t id = other ? weft_tokenizer_id(t, w->s->eos_token) : weft_tokenizer_special(t, specials[i].token);
        if (id >= 0) put_uint(w, specials[i].key, (uint64_t)id);
    }
    st = weft_encoder_new(&encoder, t, err);
    if (!st) st = weft_encode(encoder, WEFT_STR("a"), WEFT_ENCODE_ADD, &ids, err);
    int32_t bos = weft_tokenizer_special(t, WEFT_BOS), eos = weft_tokenizer_special(t, WEFT_EOS);
    put_bool(w, "tokenizer.ggml.add_bos_token", ids.n && bos >= 0 && ids.ids[0] == bos);
    put_bool(w, "tokenizer.ggml.add_eos_token", ids.n && eos >= 0 && ids.ids[ids.n - 1] == eos);
    if (w->s->chat_template.s) put_text(w, "tokenizer.chat_template", w->s->chat_template);
    put_text(w, "tokenizer.huggingface.json", w->s->tokenizer_json);
    weft_ids_clear(&ids);
    weft_encoder_free(encoder);
    return st;
}

/* ---- tensors ---- */

static bool is_vector(const struct weft_slot *s) { return s->kind == WEFT_SLOT_NORM || s->kind == WEFT_SLOT_BIAS; }

/* The table and the head of a Q4_0 file keep eight bits: they make every answer's last step. */
static const struct weft_gguf_tensor_type *type_of(const struct writing *w, const struct weft_slot *s)
{
    bool head = s->kind == WEFT_SLOT_EMBED || s->layer == w->m->config.n_layers;
    if (is_vector(s)) return weft_gguf_tensor_type_by_name("F32");
    if (s->cols % w->type->block) return weft_gguf_tensor_type_by_name("F16");
    if (head && w->type->kind == WEFT_GGUF_QUANT && w->type->quant == WEFT_Q4_0)
        return weft_gguf_tensor_type_by_name("Q8_0");
    return w->type;
}

static size_t bytes_of(const struct writing *w, const struct weft_slot *s)
{
    const struct weft_gguf_tensor_type *t = type_of(w, s);
    return s->rows * s->cols / t->block * t->block_bytes;
}

static void put_tensor(struct weft_buf *b, const char *name, size_t rows, size_t cols, unsigned type, uint64_t offset)
{
    put_str(b, weft_str_c(name));
    put(b, rows > 1 ? 2 : 1, 4);
    put(b, cols, 8);
    if (rows > 1) put(b, rows, 8);
    put(b, type, 4);
    put(b, offset, 8);
}

static uint64_t padded(uint64_t n) { return (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT; }

static bool has_rope_tensor(const struct writing *w) { return w->m->config.rope.type == WEFT_ROPE_LLAMA3; }

static enum weft_status put_tensors(struct writing *w, struct weft_err *err)
{
    uint64_t offset = 0;
    char name[80];
    for (size_t i = 0; i < w->n_slots; i++) {
        const struct weft_slot *s = &w->slots[i];
        if (!weft_gguf_tensor_name(s->name, name, sizeof name))
            return weft_fail(err, WEFT_EARG, "%s has no name in GGUF files", s->name);
        put_tensor(&w->header, name, is_vector(s) ? 1 : s->rows, s->cols, type_of(w, s)->id, offset);
        offset = padded(offset + bytes_of(w, s));
        w->total += bytes_of(w, s);
    }
    if (has_rope_tensor(w)) put_tensor(&w->header, "rope_freqs.weight", 1, w->m->config.head_dim / 2, 0, offset);
    return WEFT_OK;
}

static void pad(struct weft_out *o, uint64_t n)
{
    static const char zeros[ALIGNMENT];
    weft_out_add(o, zeros, (size_t)(padded(n) - n));
}

/* q and k, weight and bias, of a llama file. */
static bool is_reordered(const struct writing *w, const struct weft_slot *s)
{
    struct weft_str name = weft_str_c(s->name);
    return w->interleaved && s->kind != WEFT_SLOT_NORM
           && (weft_str_find(name, WEFT_STR(".q_proj."), 0) != SIZE_MAX
               || weft_str_find(name, WEFT_STR(".k_proj."), 0) != SIZE_MAX);
}

static enum weft_status write_piece(struct writing *w, struct weft_out *o, const struct weft_slot *s, const float *x,
                                    size_t n, struct weft_err *err)
{
    const struct weft_gguf_tensor_type *t = type_of(w, s);
    size_t bytes = n / t->block * t->block_bytes;
    if (!weft_all_finite(&w->compute, x, n))
        return weft_fail_rule(err, WEFT_EINPUT, "B5",
                              "%s has a value that is not a number or infinite; such a model is not written", s->name);
    if (t->kind == WEFT_GGUF_QUANT) {
        weft_quant_format(t->quant)->quantise_row(w->bytes, x, n);
    } else if (t->dtype == WEFT_F32) {
        weft_out_add(o, x, bytes);
        return WEFT_OK;
    } else {
        weft_from_f32(&w->compute, w->bytes, t->dtype, x, n);
        for (size_t i = 0; t->dtype == WEFT_F16 && i < n; i++)
            if (fabsf(x[i]) >= 65520.0f)
                return weft_fail(err, WEFT_EINPUT, "%s has the value %g, which F16 cannot hold; write BF16 instead", s->name,
                                 (double)x[i]);
    }
    weft_out_add(o, w->bytes, bytes);
    return WEFT_OK;
}

static enum weft_status write_tensor(struct writing *w, struct weft_out *o, const struct weft_slot *s,
                                     struct weft_err *err)
{
    size_t head_dim = w->m->config.head_dim;
    /* a bias is one row of heads; here it is a column of them */
    struct weft_slot flat = *s;
    bool reorder = is_reordered(w, s);
    if (is_vector(s)) {
        flat.rows = s->cols;
        flat.cols = 1;
    }
    size_t piece = weft_max_size(PIECE_FLOATS / flat.cols / head_dim, 1) * head_dim;
    enum weft_status st = WEFT_OK;
    for (size_t row = 0; !st && row < flat.rows; row += piece) {
        size_t rows = weft_min_size(piece, flat.rows - row);
        if (weft_progress_cancelled(w->s->progress)) return weft_fail(err, WEFT_ECANCEL, "stopped");
        weft_slot_rows(&w->compute, &flat, w->s->merge, row, rows, w->floats);
        for (size_t r = 0; reorder && r < rows; r++)
            memcpy(w->ordered + r * flat.cols, w->floats + weft_gguf_rope_row(r, head_dim) * flat.cols,
                   flat.cols * sizeof(float));
        st = write_piece(w, o, s, reorder ? w->ordered : w->floats, rows * flat.cols, err);
        w->done += rows * flat.cols / type_of(w, s)->block * type_of(w, s)->block_bytes;
        weft_progress_update(w->s->progress, "writing", w->done, w->total, "bytes", "");
    }
    if (!st) pad(o, bytes_of(w, s));
    return st;
}

/* By how much each frequency is divided. */
static enum weft_status write_rope_tensor(struct writing *w, struct weft_out *o, struct weft_err *err)
{
    struct weft_config plain = w->m->config;
    size_t half = plain.head_dim / 2;
    float *a = WEFT_NEWS(&w->arena, float, half), *b = WEFT_NEWS(&w->arena, float, half);
    if (!a || !b) return weft_fail_nomem(err, 2 * half * sizeof *a, "the frequencies");
    plain.rope.type = WEFT_ROPE_DEFAULT;
    (void)weft_rope_frequencies(&plain, a);
    (void)weft_rope_frequencies(&w->m->config, b);
    for (size_t i = 0; i < half; i++) a[i] = (float)((double)a[i] / (double)b[i]);
    weft_out_add(o, a, half * sizeof *a);
    pad(o, half * sizeof *a);
    return WEFT_OK;
}

static enum weft_status write_file(struct writing *w, struct weft_out *o, struct weft_err *err)
{
    struct weft_buf start = { 0 };
    weft_buf_cstr(&start, "GGUF");
    put(&start, 3, 4);
    put(&start, w->n_slots + has_rope_tensor(w), 8);
    put(&start, w->n_keys, 8);
    enum weft_status st = weft_buf_check(&start, "a header", err);
    if (!st) st = weft_buf_check(&w->header, "a header", err);
    if (!st) {
        weft_out_str(o, weft_buf_view(&start));
        weft_out_str(o, weft_buf_view(&w->header));
        pad(o, start.len + w->header.len);
    }
    for (size_t i = 0; !st && i < w->n_slots; i++) st = write_tensor(w, o, &w->slots[i], err);
    if (!st && has_rope_tensor(w)) st = write_rope_tensor(w, o, err);
    weft_buf_clear(&start);
    return st;
}

enum weft_status weft_gguf_write(const struct weft_model *m, const char *path, const struct weft_gguf_save *s,
                                 struct weft_err *err)
{
    struct writing w = { .m = m, .s = s };
    struct weft_out o = { 0 };
    size_t widest = PIECE_FLOATS;
    enum weft_status st = check_config(&w, err);
    if (!st) st = weft_compute_init(&w.compute, NULL, NULL, err);
    if (!st) st = weft_model_slots(m, &w.arena, &w.slots, &w.n_slots, err);
    for (size_t i = 0; !st && i < w.n_slots; i++)
        widest = weft_max_size(widest, w.slots[i].cols * m->config.head_dim);
    if (!st) {
        w.floats = WEFT_NEWS(&w.arena, float, widest);
        w.ordered = WEFT_NEWS(&w.arena, float, w.interleaved ? widest : 0);
        w.bytes = WEFT_NEWS(&w.arena, unsigned char, widest * sizeof(float));
        if (!w.floats || !w.ordered || !w.bytes) st = weft_fail_nomem(err, widest * 12, "writing a model");
    }
    if (!st) put_config(&w);
    if (!st) st = put_tokenizer(&w, err);
    if (!st) st = put_tensors(&w, err);
    if (!st) st = weft_out_open(&o, path, err);
    if (!st) st = write_file(&w, &o, err);
    if (!st) st = weft_out_commit(&o, err);
    weft_out_close(&o);
    weft_buf_clear(&w.header);
    weft_compute_clear(&w.compute);
    weft_arena_clear(&w.arena);
    return st;
}
