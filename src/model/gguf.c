/* GGUF headers, strictly: every count is compared with the bytes that are left before anything is allocated, every
 * offset with the one the tensors before it leave.  Keys and tensors are listed in file order and found by binary
 * search. */
#include "model/gguf.h"

#include "base/lang.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    MAX_ENTRIES = 65536, MAX_KEY = 65535, MAX_NAME = 63, MIN_ALIGNMENT = 8, MAX_ALIGNMENT = 1 << 20,
    KEY_BYTES = 13, TENSOR_BYTES = 33   /* the smallest entry of each */
};
static const uint64_t max_string = 1u << 30, max_dim = UINT64_C(1) << 40;

static const struct weft_gguf_tensor_type tensor_types[] = {
    { 0, "F32", 1, 4, WEFT_GGUF_PLAIN, WEFT_F32, 0 },       { 1, "F16", 1, 2, WEFT_GGUF_PLAIN, WEFT_F16, 0 },
    { 30, "BF16", 1, 2, WEFT_GGUF_PLAIN, WEFT_BF16, 0 },    { 2, "Q4_0", 32, 18, WEFT_GGUF_QUANT, 0, WEFT_Q4_0 },
    { 3, "Q4_1", 32, 20, WEFT_GGUF_QUANT, 0, WEFT_Q4_1 },   { 6, "Q5_0", 32, 22, WEFT_GGUF_QUANT, 0, WEFT_Q5_0 },
    { 7, "Q5_1", 32, 24, WEFT_GGUF_QUANT, 0, WEFT_Q5_1 },   { 8, "Q8_0", 32, 34, WEFT_GGUF_QUANT, 0, WEFT_Q8_0 },
    { 12, "Q4_K", 256, 144, WEFT_GGUF_QUANT, 0, WEFT_Q4_K }, { 13, "Q5_K", 256, 176, WEFT_GGUF_QUANT, 0, WEFT_Q5_K },
    { 14, "Q6_K", 256, 210, WEFT_GGUF_QUANT, 0, WEFT_Q6_K },
    /* known by size only, so that the file around them can be checked */
    { 9, "Q8_1", 32, 36, WEFT_GGUF_NO_WEIGHT, 0, 0 },       { 10, "Q2_K", 256, 84, WEFT_GGUF_NO_WEIGHT, 0, 0 },
    { 11, "Q3_K", 256, 110, WEFT_GGUF_NO_WEIGHT, 0, 0 },    { 15, "Q8_K", 256, 292, WEFT_GGUF_NO_WEIGHT, 0, 0 },
    { 24, "I8", 1, 1, WEFT_GGUF_NO_WEIGHT, 0, 0 },          { 25, "I16", 1, 2, WEFT_GGUF_NO_WEIGHT, 0, 0 },
    { 26, "I32", 1, 4, WEFT_GGUF_NO_WEIGHT, 0, 0 },         { 27, "I64", 1, 8, WEFT_GGUF_NO_WEIGHT, 0, 0 },
    { 28, "F64", 1, 8, WEFT_GGUF_NO_WEIGHT, 0, 0 },
};

const struct weft_gguf_tensor_type *weft_gguf_tensor_type(unsigned id)
{
    for (size_t i = 0; i < WEFT_COUNT(tensor_types); i++)
        if (tensor_types[i].id == id) return &tensor_types[i];
    return NULL;
}

const struct weft_gguf_tensor_type *weft_gguf_tensor_type_by_name(const char *name)
{
    for (size_t i = 0; i < WEFT_COUNT(tensor_types); i++)
        if (!strcmp(tensor_types[i].name, name)) return &tensor_types[i];
    return NULL;
}

static const struct {
    const char *name;
    size_t bytes;               /* 0: string or array */
} value_types[WEFT_N_GGUF_TYPES] = {
    { "u8", 1 },  { "i8", 1 },   { "u16", 2 },   { "i16", 2 },   { "u32", 4 }, { "i32", 4 }, { "f32", 4 },
    { "bool", 1 }, { "string", 0 }, { "array", 0 }, { "u64", 8 }, { "i64", 8 }, { "f64", 8 },
};

/* ---- reading bytes ---- */

struct reading {
    const char *path;
    struct weft_str bytes;
    size_t at;
    struct weft_err *err;
};

static uint64_t little(const char *p, size_t n)
{
    uint64_t v = 0;
    while (n) v = v << 8 | (unsigned char)p[--n];
    return v;
}

static size_t left(const struct reading *r) { return r->bytes.len - r->at; }

static enum weft_status cut_short(const struct reading *r, const char *rule, const char *what)
{
    return weft_fail_rule(r->err, WEFT_EINPUT, rule, "%s: byte %zu: the file ends in the middle of %s", r->path, r->at,
                          weft_tr(r->err ? r->err->lang : WEFT_LANG_EN, what));
}

static enum weft_status read_number(struct reading *r, size_t n, uint64_t *out, const char *rule, const char *what)
{
    *out = 0;
    if (left(r) < n) return cut_short(r, rule, what);
    *out = little(r->bytes.s + r->at, n);
    r->at += n;
    return WEFT_OK;
}

/* GG3 */
static enum weft_status read_string(struct reading *r, struct weft_str *out, const char *what)
{
    uint64_t n;
    enum weft_status st = read_number(r, 8, &n, "GG3", what);
    if (st) return st;
    if (n > max_string)
        return weft_fail_rule(r->err, WEFT_ELIMIT, "GG3",
                              "%s: byte %zu: a string of %llu bytes; at most %llu are read", r->path, r->at - 8,
                              (unsigned long long)n, (unsigned long long)max_string);
    if (n > left(r))
        return weft_fail_rule(r->err, WEFT_EINPUT, "GG3",
                              "%s: byte %zu: a string of %llu bytes, but only %zu bytes follow", r->path, r->at - 8,
                              (unsigned long long)n, left(r));
    *out = (struct weft_str){ r->bytes.s + r->at, (size_t)n };
    r->at += (size_t)n;
    return WEFT_OK;
}

/* ---- keys ---- */

static enum weft_status bad_bool(const struct reading *r, const char *key, size_t at)
{
    return weft_fail_rule(r->err, WEFT_EINPUT, "GG4", "%s: byte %zu: key \"%s\" has a bool that is neither 0 nor 1",
                          r->path, at, key);
}

static enum weft_status read_array(struct reading *r, struct weft_gguf_key *k, const char *shown)
{
    uint64_t item, count;
    enum weft_status st = read_number(r, 4, &item, "GG4", "an array");
    if (!st) st = read_number(r, 8, &count, "GG4", "an array");
    if (st) return st;
    if (item >= WEFT_N_GGUF_TYPES || item == WEFT_GGUF_ARRAY)
        return weft_fail_rule(r->err, WEFT_EINPUT, "GG4",
                              "%s: key \"%s\" is an array of type %llu; expected 0 to 12, and no array within an array",
                              r->path, shown, (unsigned long long)item);
    size_t size = item == WEFT_GGUF_STRING ? 8 : value_types[item].bytes, begin = r->at;
    if (count > left(r) / size)
        return weft_fail_rule(r->err, WEFT_EINPUT, "GG4",
                              "%s: key \"%s\" announces %llu items; the bytes that follow hold at most %zu", r->path, shown,
                              (unsigned long long)count, left(r) / size);
    k->item = (enum weft_gguf_type)item;
    k->count = (size_t)count;
    for (uint64_t i = 0; item == WEFT_GGUF_STRING && i < count; i++) {
        struct weft_str s;
        st = read_string(r, &s, "a string");
        if (st) return st;
    }
    for (uint64_t i = 0; item == WEFT_GGUF_BOOL && i < count; i++)
        if ((unsigned char)r->bytes.s[r->at + i] > 1) return bad_bool(r, shown, r->at + (size_t)i);
    if (item != WEFT_GGUF_STRING) r->at += (size_t)count * size;
    k->bytes = (struct weft_str){ r->bytes.s + begin, r->at - begin };
    return WEFT_OK;
}

static enum weft_status read_key(struct reading *r, struct weft_gguf_key *k)
{
    char shown[120];
    uint64_t type;
    size_t start = r->at;
    enum weft_status st = read_string(r, &k->key, "a key");
    if (st) return st;
    weft_escape(shown, sizeof shown, k->key);
    if (!k->key.len || k->key.len > MAX_KEY || weft_utf8_check(k->key) != k->key.len)
        return weft_fail_rule(r->err, WEFT_EINPUT, "GG5",
                              "%s: byte %zu: key \"%s\" of %zu bytes; expected 1 to %d bytes of UTF-8", r->path, start,
                              shown, k->key.len, MAX_KEY);
    st = read_number(r, 4, &type, "GG4", "a key");
    if (st) return st;
    if (type >= WEFT_N_GGUF_TYPES)
        return weft_fail_rule(r->err, WEFT_EINPUT, "GG4", "%s: key \"%s\" has a value of type %llu; expected 0 to 12",
                              r->path, shown, (unsigned long long)type);
    k->type = (enum weft_gguf_type)type;
    k->count = 1;
    if (type == WEFT_GGUF_STRING) return read_string(r, &k->bytes, "a string");
    if (type == WEFT_GGUF_ARRAY) return read_array(r, k, shown);
    if (left(r) < value_types[type].bytes) return cut_short(r, "GG4", "a value");
    k->bytes = (struct weft_str){ r->bytes.s + r->at, value_types[type].bytes };
    if (type == WEFT_GGUF_BOOL && (unsigned char)k->bytes.s[0] > 1) return bad_bool(r, shown, r->at);
    r->at += k->bytes.len;
    return WEFT_OK;
}

/* ---- tensors ---- */

static enum weft_status read_tensor(struct reading *r, struct weft_gguf_tensor *t, uint64_t *offset)
{
    char shown[120];
    uint64_t n_dims, type;
    size_t start = r->at, blocks;
    enum weft_status st = read_string(r, &t->name, "a tensor's name");
    if (st) return st;
    weft_escape(shown, sizeof shown, t->name);
    if (!t->name.len || t->name.len > MAX_NAME || weft_utf8_check(t->name) != t->name.len)
        return weft_fail_rule(r->err, WEFT_EINPUT, "GG7",
                              "%s: byte %zu: tensor name \"%s\" of %zu bytes; expected 1 to %d bytes of UTF-8", r->path,
                              start, shown, t->name.len, MAX_NAME);
    st = read_number(r, 4, &n_dims, "GG7", "a tensor");
    if (st) return st;
    if (n_dims < 1 || n_dims > WEFT_COUNT(t->dims))
        return weft_fail_rule(r->err, WEFT_EINPUT, "GG7", "%s: tensor \"%s\" has %llu dimensions; expected 1 to 4",
                              r->path, shown, (unsigned long long)n_dims);
    t->n_dims = (int)n_dims;
    t->n_elements = 1;
    for (size_t d = 0; d < n_dims; d++) {
        uint64_t dim;
        st = read_number(r, 8, &dim, "GG7", "a tensor");
        if (st) return st;
        if (dim < 1 || dim > max_dim || !weft_size_mul(t->n_elements, (size_t)dim, &t->n_elements)
            || t->n_elements > INT64_MAX)
            return weft_fail_rule(r->err, WEFT_EINPUT, "GG7",
                                  "%s: dimension %zu of tensor \"%s\" is %llu; expected 1 to 2^40, and a product below "
                                  "2^63", r->path, d, shown, (unsigned long long)dim);
        t->dims[d] = (size_t)dim;
    }
    st = read_number(r, 4, &type, "GG7", "a tensor");
    if (!st) st = read_number(r, 8, offset, "GG7", "a tensor");
    if (st) return st;
    t->type = weft_gguf_tensor_type((unsigned)type);
    if (!t->type)
        return weft_fail_rule(r->err, WEFT_EINPUT, "GG7",
                              "%s: tensor \"%s\" has type number %llu; weft knows F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, "
                              "Q8_0, Q4_K, Q5_K and Q6_K", r->path, shown, (unsigned long long)type);
    if (t->dims[0] % t->type->block)
        return weft_fail_rule(r->err, WEFT_EINPUT, "GG7",
                              "%s: rows of tensor \"%s\" have %zu values; %s needs a multiple of %zu", r->path, shown,
                              t->dims[0], t->type->name, t->type->block);
    blocks = t->n_elements / t->type->block;
    if (!weft_size_mul(blocks, t->type->block_bytes, &t->bytes))
        return weft_fail_rule(r->err, WEFT_EINPUT, "GG7",
                              "%s: tensor \"%s\" has more bytes than can be addressed", r->path, shown);
    return WEFT_OK;
}

/* GG8: where each tensor's data must be follows from those before it. */
static enum weft_status place_tensors(struct reading *r, struct weft_gguf *g, const uint64_t *offsets, size_t alignment)
{
    size_t data, room, expected = 0;
    if (!weft_size_align(r->at, alignment, &data)) return cut_short(r, "GG8", "the header");
    if (data > r->bytes.len) data = r->bytes.len;               /* padding may be absent where nothing follows */
    room = r->bytes.len - data;
    for (size_t i = 0; i < g->n_tensors; i++) {
        struct weft_gguf_tensor *t = &g->tensors[i];
        char shown[120];
        weft_escape(shown, sizeof shown, t->name);
        if (offsets[i] != expected)
            return weft_fail_rule(r->err, WEFT_EINPUT, "GG8",
                                  "%s: tensor \"%s\" begins at %llu of the data; expected %zu: tensors stand one behind "
                                  "the other, each at a multiple of %zu", r->path, shown, (unsigned long long)offsets[i],
                                  expected, alignment);
        if (expected > room || t->bytes > room - expected)
            return weft_fail_rule(r->err, WEFT_EINPUT, "GG8",
                                  "%s: tensor \"%s\" takes %zu bytes from byte %zu of the data, which has %zu: the file is "
                                  "cut short", r->path, shown, t->bytes, expected, room);
        t->data = (const unsigned char *)r->bytes.s + data + expected;
        if (!weft_size_align(expected + t->bytes, alignment, &expected)) expected = SIZE_MAX;
    }
    return WEFT_OK;
}

/* ---- names ---- */

/* Indices sorted by name; name_of tells the name of an index. */
struct sorting {
    const struct weft_gguf *g;
    struct weft_str (*name_of)(const struct weft_gguf *g, size_t i);
};
static struct weft_str key_name(const struct weft_gguf *g, size_t i) { return g->keys[i].key; }
static struct weft_str tensor_name(const struct weft_gguf *g, size_t i) { return g->tensors[i].name; }

static int by_name(const void *a, const void *b, void *ctx)
{
    const struct sorting *s = ctx;
    return weft_str_cmp(s->name_of(s->g, *(const uint32_t *)a), s->name_of(s->g, *(const uint32_t *)b));
}

static enum weft_status sort_names(const struct reading *r, struct weft_arena *a, struct sorting *s, size_t n,
                                   const char *rule, uint32_t **out)
{
    uint32_t *list = WEFT_NEWS(a, uint32_t, n);
    if (!list) return weft_fail_nomem(r->err, n * sizeof *list, r->path);
    for (size_t i = 0; i < n; i++) list[i] = (uint32_t)i;
    if (n) qsort_r(list, n, sizeof *list, by_name, s);
    for (size_t i = 1; i < n; i++) {
        struct weft_str name = s->name_of(s->g, list[i]);
        char shown[120];
        if (!weft_str_eq(name, s->name_of(s->g, list[i - 1]))) continue;
        return weft_fail_rule(r->err, WEFT_EINPUT, rule, "%s: \"%s\" occurs twice", r->path,
                              weft_escape(shown, sizeof shown, name));
    }
    *out = list;
    return WEFT_OK;
}

static size_t find_name(const struct sorting *s, const uint32_t *sorted, size_t n, const char *name)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = weft_str_cmp(s->name_of(s->g, sorted[middle]), weft_str_c(name));
        if (!order) return sorted[middle];
        if (order < 0) low = middle + 1;
        else high = middle;
    }
    return SIZE_MAX;
}

const struct weft_gguf_key *weft_gguf_key(const struct weft_gguf *g, const char *key)
{
    struct sorting s = { g, key_name };
    size_t i = find_name(&s, g->keys_by_name, g->n_keys, key);
    return i == SIZE_MAX ? NULL : &g->keys[i];
}

const struct weft_gguf_tensor *weft_gguf_tensor(const struct weft_gguf *g, const char *name)
{
    struct sorting s = { g, tensor_name };
    size_t i = find_name(&s, g->tensors_by_name, g->n_tensors, name);
    return i == SIZE_MAX ? NULL : &g->tensors[i];
}

/* ---- the file ---- */

/* GG1 */
static enum weft_status read_magic(struct reading *r, unsigned *version)
{
    static const char *const older[] = { "lmgg", "fmgg", "tjgg", "algg", "GGML" };
    char shown[40];
    uint64_t v;
    for (size_t i = 0; i < WEFT_COUNT(older) && r->bytes.len >= 4; i++)
        if (!memcmp(r->bytes.s, older[i], 4))
            return weft_fail_rule(r->err, WEFT_EINPUT, "GG1",
                                  "%s: a file of a format before GGUF; convert it with the tools it came from", r->path);
    if (r->bytes.len < 4 || memcmp(r->bytes.s, "GGUF", 4) != 0)
        return weft_fail_rule(r->err, WEFT_EINPUT, "GG1", "%s: begins with \"%s\"; expected GGUF", r->path,
                              weft_escape(shown, sizeof shown,
                                          (struct weft_str){ r->bytes.s, weft_min_size(r->bytes.len, 4) }));
    r->at = 4;
    enum weft_status st = read_number(r, 4, &v, "GG1", "the header");
    if (st) return st;
    if (v && !(v & 0xffff))
        return weft_fail_rule(r->err, WEFT_EINPUT, "GG1",
                              "%s: a file with the bytes of each number swapped (for big-endian machines)", r->path);
    if (v != 2 && v != 3)
        return weft_fail_rule(r->err, WEFT_EINPUT, "GG1", "%s: GGUF version %llu; expected 2 or 3", r->path,
                              (unsigned long long)v);
    *version = (unsigned)v;
    return WEFT_OK;
}

/* GG2 */
static enum weft_status read_count(struct reading *r, const char *what, size_t smallest, size_t *out)
{
    uint64_t n;
    enum weft_status st = read_number(r, 8, &n, "GG2", "the header");
    enum weft_lang lang = r->err ? r->err->lang : WEFT_LANG_EN;
    if (st) return st;
    if (n > MAX_ENTRIES)
        return weft_fail_rule(r->err, WEFT_ELIMIT, "GG2", "%s: %llu %s; at most %d are read", r->path,
                              (unsigned long long)n, weft_tr(lang, what), MAX_ENTRIES);
    if (n > left(r) / smallest)
        return weft_fail_rule(r->err, WEFT_EINPUT, "GG2", "%s: %llu %s are announced; the bytes that follow hold at most %zu",
                              r->path, (unsigned long long)n, weft_tr(lang, what), left(r) / smallest);
    *out = (size_t)n;
    return WEFT_OK;
}

/* GG6 */
static enum weft_status read_alignment(const struct reading *r, const struct weft_gguf *g, size_t *out)
{
    const struct weft_gguf_key *k = weft_gguf_key(g, "general.alignment");
    *out = 32;
    if (!k) return WEFT_OK;
    uint64_t v = k->type == WEFT_GGUF_U32 ? little(k->bytes.s, 4) : 0;
    if (v < MIN_ALIGNMENT || v > MAX_ALIGNMENT || (v & (v - 1)))
        return weft_fail_rule(r->err, WEFT_EINPUT, "GG6",
                              "%s: general.alignment is no u32 that is a power of two from 8 to 1048576", r->path);
    *out = (size_t)v;
    return WEFT_OK;
}

enum weft_status weft_gguf_parse(struct weft_gguf *out, struct weft_arena *a, const char *name, struct weft_str bytes,
                                 struct weft_err *err)
{
    struct reading r = { .path = name, .bytes = bytes, .err = err };
    struct weft_gguf g = { .path = name };
    struct sorting keys = { &g, key_name }, tensors = { &g, tensor_name };
    uint64_t *offsets = NULL;
    size_t alignment = 32;

    *out = (struct weft_gguf){ 0 };
    enum weft_status st = read_magic(&r, &g.version);
    if (!st) st = read_count(&r, "tensors", TENSOR_BYTES, &g.n_tensors);
    if (!st) st = read_count(&r, "keys", KEY_BYTES, &g.n_keys);
    if (st) return st;
    g.keys = WEFT_NEWS(a, struct weft_gguf_key, g.n_keys);
    g.tensors = WEFT_NEWS(a, struct weft_gguf_tensor, g.n_tensors);
    offsets = WEFT_NEWS(a, uint64_t, g.n_tensors);
    if (!g.keys || !g.tensors || !offsets) return weft_fail_nomem(err, g.n_tensors * sizeof *g.tensors, name);
    for (size_t i = 0; !st && i < g.n_keys; i++) st = read_key(&r, &g.keys[i]);
    if (!st) st = sort_names(&r, a, &keys, g.n_keys, "GG5", &g.keys_by_name);
    if (!st) st = read_alignment(&r, &g, &alignment);
    for (size_t i = 0; !st && i < g.n_tensors; i++) st = read_tensor(&r, &g.tensors[i], &offsets[i]);
    if (!st) st = sort_names(&r, a, &tensors, g.n_tensors, "GG7", &g.tensors_by_name);
    if (!st) st = place_tensors(&r, &g, offsets, alignment);
    if (!st) *out = g;
    return st;
}

enum weft_status weft_gguf_open(struct weft_gguf *g, struct weft_arena *a, const char *path, struct weft_err *err)
{
    struct weft_map map = { 0 };
    const char *kept = weft_arena_strndup(a, path, strlen(path));
    *g = (struct weft_gguf){ 0 };
    if (!kept) return weft_fail_nomem(err, strlen(path), "a path");
    enum weft_status st = weft_map_open(&map, path, err);
    if (!st) st = weft_gguf_parse(g, a, kept, (struct weft_str){ (const char *)map.p, map.len }, err);
    if (st) weft_map_close(&map);
    else g->map = map;
    return st;
}

void weft_gguf_close(struct weft_gguf *g)
{
    if (!g) return;
    weft_map_close(&g->map);
    *g = (struct weft_gguf){ 0 };
}

bool weft_gguf_is(const char *path)
{
    char magic[4];
    bool is = false;
    if (!weft_file_exists(path)) return false;
    FILE *f = fopen(path, "rbe");
    if (f) {
        is = fread(magic, 1, sizeof magic, f) == sizeof magic && !memcmp(magic, "GGUF", 4);
        fclose(f);
    }
    return is || weft_str_ends(weft_str_c(path), WEFT_STR(".gguf"));
}

/* ---- values ---- */

static enum weft_status absent(const struct weft_gguf *g, const char *key, bool needed, struct weft_err *err)
{
    if (!needed) return WEFT_OK;
    return weft_fail_rule(err, WEFT_EINPUT, "GG9", "%s: key \"%s\" is missing", g->path, key);
}

static enum weft_status wrong_type(const struct weft_gguf *g, const struct weft_gguf_key *k, const char *key,
                                   const char *expected, struct weft_err *err)
{
    return weft_fail_rule(err, WEFT_EINPUT, "GG9", "%s: key \"%s\" is of type %s; expected %s", g->path, key,
                          value_types[k->type].name, weft_tr(err ? err->lang : WEFT_LANG_EN, expected));
}

enum weft_status weft_gguf_uint(const struct weft_gguf *g, const char *key, bool needed, uint64_t *out,
                                struct weft_err *err)
{
    const struct weft_gguf_key *k = weft_gguf_key(g, key);
    if (!k) return absent(g, key, needed, err);
    if (k->type == WEFT_GGUF_F32 || k->type == WEFT_GGUF_F64 || k->type >= WEFT_N_GGUF_TYPES
        || k->type == WEFT_GGUF_BOOL || !value_types[k->type].bytes)
        return wrong_type(g, k, key, "a whole number", err);
    uint64_t v = little(k->bytes.s, k->bytes.len);
    bool is_signed = k->type == WEFT_GGUF_I8 || k->type == WEFT_GGUF_I16 || k->type == WEFT_GGUF_I32
                     || k->type == WEFT_GGUF_I64;
    if (is_signed && v >> (8 * k->bytes.len - 1))
        return weft_fail_rule(err, WEFT_EINPUT, "GG9", "%s: key \"%s\" is negative", g->path, key);
    *out = v;
    return WEFT_OK;
}

enum weft_status weft_gguf_float(const struct weft_gguf *g, const char *key, bool needed, double *out,
                                 struct weft_err *err)
{
    const struct weft_gguf_key *k = weft_gguf_key(g, key);
    double v;
    float f;
    if (!k) return absent(g, key, needed, err);
    if (k->type == WEFT_GGUF_F64) {
        memcpy(&v, k->bytes.s, 8);
    } else if (k->type == WEFT_GGUF_F32) {
        memcpy(&f, k->bytes.s, 4);
        v = f;
    } else {
        return wrong_type(g, k, key, "f32", err);
    }
    if (!isfinite(v))
        return weft_fail_rule(err, WEFT_EINPUT, "GG9", "%s: key \"%s\" is not a finite number", g->path, key);
    *out = v;
    return WEFT_OK;
}

enum weft_status weft_gguf_bool(const struct weft_gguf *g, const char *key, bool *out, struct weft_err *err)
{
    const struct weft_gguf_key *k = weft_gguf_key(g, key);
    if (!k) return WEFT_OK;
    if (k->type != WEFT_GGUF_BOOL) return wrong_type(g, k, key, "bool", err);
    *out = k->bytes.s[0] != 0;
    return WEFT_OK;
}

enum weft_status weft_gguf_text(const struct weft_gguf *g, const char *key, bool needed, struct weft_str *out,
                                struct weft_err *err)
{
    const struct weft_gguf_key *k = weft_gguf_key(g, key);
    if (!k) return absent(g, key, needed, err);
    if (k->type != WEFT_GGUF_STRING) return wrong_type(g, k, key, "string", err);
    *out = k->bytes;
    return WEFT_OK;
}

bool weft_gguf_next_string(const struct weft_gguf_key *k, size_t *at, struct weft_str *out)
{
    if (k->type != WEFT_GGUF_ARRAY || k->item != WEFT_GGUF_STRING || *at >= k->bytes.len) return false;
    size_t n = (size_t)little(k->bytes.s + *at, 8);     /* checked when the file was read */
    *out = (struct weft_str){ k->bytes.s + *at + 8, n };
    *at += 8 + n;
    return true;
}
