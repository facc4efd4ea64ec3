/* A model directory, read and written.  Weights stay mapped in the type of their file; only vectors (norms, biases)
 * become f32, and all of them when asked. */
#include "model/gguf.h"
#include "model/quantise.h"
#include "model/slots.h"

#include "base/lang.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

enum { NAMED_OFFENDERS = 5, PIECE_FLOATS = 1 << 18 };
static const uint64_t shard_bytes = UINT64_C(5000000000);

/* ---- reading ---- */

/* The first offenders by name and the count of all, for one message (B2). */
struct offenders {
    struct weft_buf text;
    size_t n;
};

static void offend(struct offenders *o, struct weft_str name, const char *what)
{
    if (o->n++ >= NAMED_OFFENDERS) return;
    if (o->text.len) weft_buf_cstr(&o->text, "; ");
    weft_buf_escaped(&o->text, name, 100);
    weft_buf_cstr(&o->text, " ");
    weft_buf_cstr(&o->text, what);
}

/* "[64, 60]" */
static void print_shape(char *out, size_t out_bytes, const size_t *shape, int n_dims)
{
    int at = snprintf(out, out_bytes, "[");
    for (int d = 0; d < n_dims && at >= 0 && (size_t)at < out_bytes; d++)
        at += snprintf(out + at, out_bytes - (size_t)at, "%s%zu", d ? ", " : "", shape[d]);
    if (at >= 0 && (size_t)at < out_bytes) snprintf(out + at, out_bytes - (size_t)at, "]");
}

static bool shape_fits(const struct weft_st_tensor *t, const struct weft_slot *s)
{
    if (s->kind == WEFT_SLOT_BIAS || s->kind == WEFT_SLOT_NORM) return t->n_dims == 1 && t->shape[0] == s->cols;
    return t->n_dims == 2 && t->shape[0] == s->rows && t->shape[1] == s->cols;
}

static bool is_weight_type(enum weft_st_dtype t)
{
    return t == WEFT_ST_F32 || t == WEFT_ST_BF16 || t == WEFT_ST_F16 || t == WEFT_ST_F8_E4M3 || t == WEFT_ST_F8_E5M2;
}

static void check_tensor(struct offenders *o, const struct weft_st_tensor *t, const struct weft_slot *s,
                         enum weft_lang lang)
{
    size_t want[2] = { s->rows, s->cols };
    bool vector = s->kind == WEFT_SLOT_BIAS || s->kind == WEFT_SLOT_NORM;
    char found[120], expected[60], what[320];
    print_shape(expected, sizeof expected, vector ? want + 1 : want, vector ? 1 : 2);
    if (!t) {
        snprintf(what, sizeof what, weft_tr(lang, "is missing (expected %s)"), expected);
        offend(o, weft_str_c(s->name), what);
    } else if (!shape_fits(t, s)) {
        print_shape(found, sizeof found, t->shape, t->n_dims);
        snprintf(what, sizeof what, weft_tr(lang, "has shape %s (expected %s)"), found, expected);
        offend(o, t->name, what);
    } else if (!is_weight_type(t->dtype)) {
        snprintf(what, sizeof what, weft_tr(lang, "has type %s (expected F32, BF16, F16 or F8)"),
                 weft_st_dtype_name(t->dtype));
        offend(o, t->name, what);
    }
}

/* Tables that old files carry and that are computed from config.json. */
static bool is_harmless(struct weft_str name) { return weft_str_ends(name, WEFT_STR(".rotary_emb.inv_freq")); }

static enum weft_status check_tensors(const struct weft_model *m, const char *dir,
                                      const struct weft_slot *slots, size_t n, struct weft_err *err)
{
    const struct weft_weights *w = &m->weights;
    enum weft_lang lang = err ? err->lang : WEFT_LANG_EN;
    struct offenders o = { 0 };
    size_t n_found = 0;
    enum weft_status st = WEFT_OK;

    for (size_t i = 0; i < n; i++) {
        const struct weft_st_tensor *t = weft_weights_find(w, slots[i].name);
        n_found += t != NULL;
        if (slots[i].kind == WEFT_SLOT_WEIGHT && weft_bnb_is(w, slots[i].name)) continue;      /* checked when read */
        check_tensor(&o, t, &slots[i], lang);
    }
    for (size_t i = 0; n_found < w->n && i < w->n; i++) {
        struct weft_str name = w->tensors[i]->name;
        size_t k = 0;
        if (is_harmless(name) || weft_bnb_part(name)
            || (m->config.tie_word_embeddings && weft_str_is(name, "lm_head.weight")))
            continue;
        while (k < n && !weft_str_is(name, slots[k].name)) k++;
        if (k == n) offend(&o, name, weft_tr(lang, "is not a tensor of this architecture"));
    }
    if (o.n)
        st = weft_fail_rule(err, WEFT_EINPUT, "ST11", "%s: %zu tensors do not fit config.json: %s%s", dir, o.n,
                            o.text.s ? o.text.s : "", o.n > NAMED_OFFENDERS ? " ..." : "");
    weft_buf_clear(&o.text);
    return st;
}

static uint16_t f8_to_bf16(uint8_t v, bool e5m2)
{
    /* Both fit bf16 exactly: e5m2 is the upper half of an f16; e4m3 has bias 7, no infinity, NaN 0x7F. */
    if (e5m2) return weft_f32_to_bf16(weft_f16_to_f32((uint16_t)(v << 8)));
    int exponent = v >> 3 & 15, mantissa = v & 7;
    float f = exponent ? (float)(8 + mantissa) * 0.125f : (float)mantissa * 0.125f;
    for (int e = exponent ? exponent - 7 : -6; e > 0; e--) f *= 2;
    for (int e = exponent ? exponent - 7 : -6; e < 0; e++) f *= 0.5f;
    if ((v & 0x7F) == 0x7F) return 0x7FC0;
    return weft_f32_to_bf16(v & 0x80 ? -f : f);
}

static float element(const struct weft_st_tensor *t, size_t i)
{
    uint16_t half;
    float f;
    switch (t->dtype) {
    case WEFT_ST_F32: memcpy(&f, t->data + 4 * i, 4); return f;
    case WEFT_ST_BF16: memcpy(&half, t->data + 2 * i, 2); return weft_bf16_to_f32(half);
    case WEFT_ST_F16: memcpy(&half, t->data + 2 * i, 2); return weft_f16_to_f32(half);
    default: return weft_bf16_to_f32(f8_to_bf16(t->data[i], t->dtype == WEFT_ST_F8_E5M2));
    }
}

/* A weight that another program quantised: as it is, or as f32. */
static enum weft_status place_quantised(struct weft_model *m, const struct weft_slot *s, bool f32, struct weft_err *err)
{
    struct weft_quant *q = WEFT_NEW(&m->arena, struct weft_quant);
    struct weft_compute c = { 0 };
    float *w = NULL;
    if (!q) return weft_fail_nomem(err, sizeof *q, s->name);
    enum weft_status st = weft_bnb_read(&m->weights, s, &m->arena, q, err);
    if (!st && f32) {
        w = WEFT_NEWS(&m->arena, float, s->rows * s->cols);
        st = w ? weft_compute_init(&c, NULL, NULL, err) : weft_fail_nomem(err, s->rows * s->cols * sizeof *w, s->name);
        if (!st) weft_dequantise(&c, w, WEFT_F32, q, 0, s->rows);
        weft_compute_clear(&c);
    }
    if (!st) weft_slot_set(m, s, f32 ? (const void *)w : q, f32 ? WEFT_F32 : WEFT_QUANT);
    return st;
}

/* Points the slot at the mapped tensor, or at a copy where it must be one. */
static enum weft_status place_tensor(struct weft_model *m, const struct weft_slot *s,
                                     const struct weft_st_tensor *t, bool f32, struct weft_err *err)
{
    bool matrix = s->kind == WEFT_SLOT_EMBED || s->kind == WEFT_SLOT_WEIGHT;
    if (s->kind == WEFT_SLOT_WEIGHT && weft_bnb_is(&m->weights, s->name)) return place_quantised(m, s, f32, err);
    bool f8 = t->dtype == WEFT_ST_F8_E4M3 || t->dtype == WEFT_ST_F8_E5M2;
    if (matrix && !f8 && !(f32 && t->dtype != WEFT_ST_F32)) {
        weft_slot_set(m, s, t->data,
                      t->dtype == WEFT_ST_F32    ? WEFT_F32
                      : t->dtype == WEFT_ST_BF16 ? WEFT_BF16
                                                 : WEFT_F16);
        return WEFT_OK;
    }
    size_t n = t->n_elements, item = matrix && !f32 ? sizeof(uint16_t) : sizeof(float);
    void *w = n <= SIZE_MAX / item ? weft_arena_alloc(&m->arena, n * item) : NULL;
    if (!w) return weft_fail_nomem(err, n * item, s->name);
    if (item == sizeof(float))
        for (size_t i = 0; i < n; i++) ((float *)w)[i] = element(t, i);
    else
        for (size_t i = 0; i < n; i++) ((uint16_t *)w)[i] = f8_to_bf16(t->data[i], t->dtype == WEFT_ST_F8_E5M2);
    weft_slot_set(m, s, w, item == sizeof(float) ? WEFT_F32 : WEFT_BF16);
    return WEFT_OK;
}

/* A head of its own beside tie_word_embeddings: the same values are one tensor, others untie. */
static void settle_head(struct weft_model *m)
{
    const struct weft_st_tensor *embed = weft_weights_find(&m->weights, "model.embed_tokens.weight");
    const struct weft_st_tensor *head = weft_weights_find(&m->weights, "lm_head.weight");
    if (!m->config.tie_word_embeddings || !embed || !head) return;
    if (head->dtype == embed->dtype && head->bytes == embed->bytes
        && !memcmp(head->data, embed->data, head->bytes))
        return;
    m->config.tie_word_embeddings = false;
}

enum weft_status weft_model_load(struct weft_model **out, const char *dir,
                                 const struct weft_model_settings *s, struct weft_err *err)
{
    static const struct weft_model_settings defaults;
    struct weft_arena scratch = { 0 };
    struct weft_config config;
    struct weft_model *m = NULL;
    struct weft_slot *slots = NULL;
    size_t n = 0;
    enum weft_status st;

    *out = NULL;
    if (!s) s = &defaults;
    if (weft_gguf_is(dir)) return weft_gguf_load(out, dir, s, err);
    st = weft_config_load(&scratch, dir, &config, err);
    if (!st) st = weft_model_new(&m, &config, err);
    if (!st) st = weft_weights_open(&m->weights, &m->arena, dir, err);
    if (st) goto done;
    settle_head(m);
    st = weft_model_slots(m, &scratch, &slots, &n, err);
    if (!st) st = check_tensors(m, dir, slots, n, err);
    for (size_t i = 0; !st && i < n; i++)
        st = place_tensor(m, &slots[i], weft_weights_find(&m->weights, slots[i].name), s->f32, err);
    if (!st) st = weft_model_make_rope(m, s->max_positions, err);
    if (st) goto done;
    m->exact = s->exact;
    *out = m;
    m = NULL;
done:
    weft_model_free(m);
    weft_arena_clear(&scratch);
    return st;
}

const char *weft_model_nonfinite(const struct weft_model *m, struct weft_arena *a)
{
    struct weft_slot *slots;
    size_t n;
    if (weft_model_slots(m, a, &slots, &n, NULL)) return NULL;
    for (size_t i = 0; i < n; i++) {
        const unsigned char *w = slots[i].w;
        size_t bytes = weft_dtype_bytes(slots[i].type), values = slots[i].rows * slots[i].cols;
        uint32_t mask = slots[i].type == WEFT_F32    ? 0x7F800000u
                        : slots[i].type == WEFT_BF16 ? 0x7F80u
                                                     : 0x7C00u;
        uint32_t bad = 0;
        if (slots[i].type == WEFT_QUANT)
            bad = !weft_quant_finite(slots[i].w);
        else if (bytes == 4)
            for (size_t k = 0; k < values; k++) {
                uint32_t v;
                memcpy(&v, w + 4 * k, 4);
                bad |= (v & mask) == mask;
            }
        else
            for (size_t k = 0; k < values; k++) {
                uint16_t v;
                memcpy(&v, w + 2 * k, 2);
                bad |= (v & mask) == mask;
            }
        if (bad) return slots[i].name;
    }
    return NULL;
}

/* ---- fingerprint ---- */

static void hash_text(struct weft_sha256 *h, const char *s) { weft_sha256_add(h, s, strlen(s) + 1); }

/* Values enter as XXH3 of their bytes: SHA-256 over gigabytes would be most of a start. */
static void hash_tensor(struct weft_sha256 *h, const struct weft_model *m, struct weft_str name, const char *type,
                        const size_t *shape, int n_dims, const void *data, size_t bytes)
{
    char text[80];
    weft_sha256_add(h, name.s, name.len);
    snprintf(text, sizeof text, " %s", type);
    hash_text(h, text);
    for (int d = 0; d < n_dims; d++) {
        snprintf(text, sizeof text, "%zu", shape[d]);
        hash_text(h, text);
    }
    snprintf(text, sizeof text, "%016" PRIx64 "%016" PRIx64, weft_xxh3(data, bytes, 0), weft_xxh3(data, bytes, 1));
    hash_text(h, text);
    weft_model_forget(m, data, bytes);  /* not all of it may be trained on as it lies */
}

/* What a quantised matrix was made into at load follows from its file, so only those of GGUF files come here. */
static void hash_quant(struct weft_sha256 *h, const struct weft_model *m, const struct weft_slot *s)
{
    const struct weft_quant *q = s->w;
    size_t shape[2] = { s->rows, s->cols }, bytes = 0;
    if (weft_quant_data_bytes(q->format, q->rows, q->cols, &bytes))
        hash_tensor(h, m, weft_str_c(s->name), q->format->name, shape, 2, q->data, bytes);
}

enum weft_status weft_model_fingerprint(const struct weft_model *m, char out[WEFT_SHA256_HEX], struct weft_err *err)
{
    static const char *const types[] = { [WEFT_F32] = "F32", [WEFT_BF16] = "BF16", [WEFT_F16] = "F16" };
    struct weft_sha256 h = { 0 };
    struct weft_arena a = { 0 };
    struct weft_buf json = { 0 };
    struct weft_config config = m->config;
    struct weft_slot *slots = NULL;
    size_t n = 0;
    enum weft_status st;

    config.dtype = WEFT_F32;            /* a note about the files, hashed with each tensor */
    st = weft_config_write(&config, &json, err);
    if (!st) st = weft_sha256_init(&h, err);
    if (!st && !m->weights.n) st = weft_model_slots(m, &a, &slots, &n, err);
    if (st) goto done;
    weft_sha256_add(&h, json.s, json.len);
    for (size_t i = 0; i < m->weights.n; i++) {
        const struct weft_st_tensor *t = m->weights.tensors[i];
        hash_tensor(&h, m, t->name, weft_st_dtype_name(t->dtype), t->shape, t->n_dims, t->data, t->bytes);
    }
    for (size_t i = 0; i < n; i++) {
        size_t shape[2] = { slots[i].rows, slots[i].cols };
        if (slots[i].type == WEFT_QUANT) {
            hash_quant(&h, m, &slots[i]);
            continue;
        }
        hash_tensor(&h, m, weft_str_c(slots[i].name), types[slots[i].type], shape, 2, slots[i].w,
                    shape[0] * shape[1] * weft_dtype_bytes(slots[i].type));
    }
    weft_sha256_hex(&h, out);
done:
    weft_sha256_clear(&h);
    weft_buf_clear(&json);
    weft_arena_clear(&a);
    return st;
}

/* ---- writing ---- */

struct writing {
    struct weft_compute compute;
    const struct weft_slot *slots;      /* of the file being written */
    enum weft_dtype type;
    bool merge;
    float *floats;                      /* [PIECE_FLOATS or one row] */
    uint16_t *halves;
    const struct weft_progress *progress;
    uint64_t done, total;
};

/* Without its branches a model is what was loaded: tables that an adapter replaced are the base's. */
static void take_base_tables(const struct weft_model *m, struct weft_slot *slots, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        bool head = slots[i].kind == WEFT_SLOT_WEIGHT && slots[i].layer == m->config.n_layers;
        const struct weft_table_copy *copy = slots[i].kind == WEFT_SLOT_EMBED ? &m->embed_copy
                                             : head                           ? &m->head_copy
                                                                              : NULL;
        if (!copy || !copy->w) continue;
        slots[i].w = copy->base;
        slots[i].type = copy->base_type;
    }
}

/* Rows of a tensor, rounded once. */
static enum weft_status emit(void *ctx, size_t idx, struct weft_out *o, struct weft_err *err)
{
    struct writing *w = ctx;
    const struct weft_slot *s = &w->slots[idx];
    size_t piece = weft_max_size(PIECE_FLOATS / s->cols, 1);

    for (size_t row = 0; row < s->rows; row += piece) {
        size_t rows = weft_min_size(piece, s->rows - row), n = rows * s->cols;
        if (weft_progress_cancelled(w->progress)) return weft_fail(err, WEFT_ECANCEL, "stopped");
        weft_slot_rows(&w->compute, s, w->merge, row, rows, w->floats);
        if (!weft_all_finite(&w->compute, w->floats, n))
            return weft_fail_rule(err, WEFT_EINPUT, "B5",
                                  "%s has a value that is not a number or infinite; such a model is not "
                                  "written",
                                  s->name);
        if (w->type == WEFT_F32) {
            weft_out_add(o, w->floats, n * sizeof(float));
        } else {
            weft_from_f32(&w->compute, w->halves, w->type, w->floats, n);
            weft_out_add(o, w->halves, n * sizeof(uint16_t));
        }
        w->done += n * weft_dtype_bytes(w->type);
        weft_progress_update(w->progress, "writing", w->done, w->total, "bytes", "");
    }
    return WEFT_OK;
}

static enum weft_status write_index(const char *path, const struct weft_slot *slots, size_t n,
                                    const size_t *shard_of, size_t n_shards, uint64_t total,
                                    struct weft_err *err)
{
    struct weft_buf text = { 0 };
    struct weft_json_out o;
    char file[80];
    weft_json_out_init(&o, &text);
    o.indent = 2;
    weft_json_out_object(&o);
    weft_json_out_key(&o, "metadata");
    weft_json_out_object(&o);
    weft_json_out_key(&o, "total_size");
    weft_json_out_uint(&o, total);
    weft_json_out_object_end(&o);
    weft_json_out_key(&o, "weight_map");
    weft_json_out_object(&o);
    for (size_t i = 0; i < n; i++) {
        snprintf(file, sizeof file, "model-%05zu-of-%05zu.safetensors", shard_of[i] + 1, n_shards);
        weft_json_out_key(&o, slots[i].name);
        weft_json_out_cstr(&o, file);
    }
    weft_json_out_object_end(&o);
    weft_json_out_object_end(&o);
    weft_buf_char(&text, '\n');
    enum weft_status st = weft_buf_check(&text, "the index of weights", err);
    if (!st) st = weft_file_write(path, weft_buf_view(&text), err);
    weft_buf_clear(&text);
    return st;
}

static enum weft_status write_shard(struct writing *w, struct weft_arena *a, const char *dir, const char *file,
                                    const struct weft_slot *slots, size_t n, struct weft_err *err)
{
    static const enum weft_st_dtype types[] = {
        [WEFT_F32] = WEFT_ST_F32, [WEFT_BF16] = WEFT_ST_BF16, [WEFT_F16] = WEFT_ST_F16
    };
    struct weft_st_out *tensors = WEFT_NEWS(a, struct weft_st_out, n);
    const char *path = weft_path_join(a, dir, file);
    if (!tensors || !path) return weft_fail_nomem(err, n * sizeof *tensors, "the list of tensors");
    for (size_t i = 0; i < n; i++) {
        bool vector = slots[i].kind == WEFT_SLOT_BIAS || slots[i].kind == WEFT_SLOT_NORM;
        tensors[i] = (struct weft_st_out){ .name = slots[i].name, .dtype = types[w->type], .n_dims = vector ? 1 : 2 };
        tensors[i].shape[0] = vector ? slots[i].cols : slots[i].rows;
        tensors[i].shape[1] = slots[i].cols;
    }
    w->slots = slots;
    return weft_safetensors_write_from(path, tensors, n, NULL, emit, w, err);
}

enum weft_status weft_model_save_shards(const struct weft_model *m, const char *dir, enum weft_dtype type, bool merge,
                                        uint64_t max_bytes, const struct weft_progress *progress, struct weft_err *err)
{
    struct weft_arena a = { 0 };
    struct writing w = { .type = type, .merge = merge, .progress = progress };
    struct weft_config config = m->config;
    struct weft_buf json = { 0 };
    struct weft_slot *slots;
    size_t n, *shard_of, n_shards = 1, widest = 0;
    uint64_t in_shard = 0;
    char file[80];
    const char *path;
    enum weft_status st;

    st = weft_compute_init(&w.compute, NULL, NULL, err);
    if (!st) st = weft_model_slots(m, &a, &slots, &n, err);
    if (st) goto done;
    if (!merge) {
        take_base_tables(m, slots, n);
        if (m->config.tie_word_embeddings && !weft_model_tied(m)) n--;      /* the head, which comes last */
    }
    config.tie_word_embeddings = merge ? weft_model_tied(m) : m->config.tie_word_embeddings;
    shard_of = WEFT_NEWS(&a, size_t, n);
    for (size_t i = 0; i < n; i++) widest = weft_max_size(widest, slots[i].cols);
    w.floats = WEFT_NEWS(&a, float, weft_max_size(PIECE_FLOATS, widest));
    w.halves = WEFT_NEWS(&a, uint16_t, weft_max_size(PIECE_FLOATS, widest));
    if (!shard_of || !w.floats || !w.halves) {
        st = weft_fail_nomem(err, (size_t)PIECE_FLOATS * 6, "writing a model");
        goto done;
    }
    for (size_t i = 0; i < n; i++) {
        uint64_t bytes = (uint64_t)slots[i].rows * slots[i].cols * weft_dtype_bytes(type);
        if (in_shard && in_shard + bytes > max_bytes) {
            n_shards++;
            in_shard = 0;
        }
        shard_of[i] = n_shards - 1;
        in_shard += bytes;
        w.total += bytes;
    }
    for (size_t shard = 0, at = 0; !st && shard < n_shards; shard++) {
        size_t end = at;
        while (end < n && shard_of[end] == shard) end++;
        snprintf(file, sizeof file, "model-%05zu-of-%05zu.safetensors", shard + 1, n_shards);
        st = write_shard(&w, &a, dir, n_shards == 1 ? "model.safetensors" : file, slots + at, end - at, err);
        at = end;
    }
    if (!st && n_shards > 1) {
        path = weft_path_join(&a, dir, "model.safetensors.index.json");
        st = path ? write_index(path, slots, n, shard_of, n_shards, w.total, err) : weft_fail_nomem(err, 64, "a path");
    }
    if (st) goto done;
    config.dtype = type;
    st = weft_config_write(&config, &json, err);
    if (st) goto done;
    path = weft_path_join(&a, dir, "config.json");
    st = path ? weft_file_write(path, weft_buf_view(&json), err) : weft_fail_nomem(err, 64, "a path");
done:
    weft_buf_clear(&json);
    weft_compute_clear(&w.compute);
    weft_arena_clear(&a);
    return st;
}

enum weft_status weft_model_save(const struct weft_model *m, const char *dir, enum weft_dtype type, bool merge,
                                 const struct weft_progress *progress, struct weft_err *err)
{
    return weft_model_save_shards(m, dir, type, merge, shard_bytes, progress, err);
}
