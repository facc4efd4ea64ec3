/* The header is read with the strict JSON reader and believed in nothing: every size is compared with the bytes there
 * are before it is used.  Values are never touched here; they may stand at any address. */
#include "model/safetensors.h"

#include "base/lang.h"

#include <stdio.h>
#include <stdlib.h>

enum { MAX_HEADER = 100000000, MAX_TENSORS = 200000, MAX_NAME = 512 };
static const int64_t max_dim = (int64_t)1 << 48;

/* `rank`: the place of the type when tensors are sorted for writing, widest first. */
static const struct {
    const char *name;
    unsigned bits, rank;
} dtypes[WEFT_N_ST_DTYPES] = {
    [WEFT_ST_U64] = { "U64", 64, 0 },         [WEFT_ST_I64] = { "I64", 64, 1 },
    [WEFT_ST_F64] = { "F64", 64, 2 },         [WEFT_ST_C64] = { "C64", 64, 3 },
    [WEFT_ST_F32] = { "F32", 32, 4 },         [WEFT_ST_U32] = { "U32", 32, 5 },
    [WEFT_ST_I32] = { "I32", 32, 6 },         [WEFT_ST_BF16] = { "BF16", 16, 7 },
    [WEFT_ST_F16] = { "F16", 16, 8 },         [WEFT_ST_U16] = { "U16", 16, 9 },
    [WEFT_ST_I16] = { "I16", 16, 10 },        [WEFT_ST_F8_E4M3] = { "F8_E4M3", 8, 11 },
    [WEFT_ST_F8_E5M2] = { "F8_E5M2", 8, 12 }, [WEFT_ST_F8_E8M0] = { "F8_E8M0", 8, 13 },
    [WEFT_ST_I8] = { "I8", 8, 14 },           [WEFT_ST_U8] = { "U8", 8, 15 },
    [WEFT_ST_BOOL] = { "BOOL", 8, 16 },       [WEFT_ST_F6_E2M3] = { "F6_E2M3", 6, 17 },
    [WEFT_ST_F6_E3M2] = { "F6_E3M2", 6, 18 }, [WEFT_ST_F4] = { "F4", 4, 19 },
};

const char *weft_st_dtype_name(enum weft_st_dtype t) { return dtypes[t].name; }
size_t weft_st_dtype_bits(enum weft_st_dtype t) { return dtypes[t].bits; }

/* ---- reading ---- */

struct entry {
    struct weft_st_tensor tensor;
    unsigned long long begin, end;
    bool has_dtype, has_shape, has_offsets;
};

struct reading {
    const char *path;
    struct weft_json json;
    struct weft_arena *arena;
    struct entry *entries;
    size_t n, cap;
    struct weft_err *err;
};

/* A name of the file, fit to be printed. */
struct shown {
    char text[220];
};
static const char *show(struct shown *s, struct weft_str name) { return weft_escape(s->text, sizeof s->text, name); }

/* What the bytes are, when they are something else that people have under this name. */
static const char *other_format(struct weft_str s)
{
    static const struct {
        const char *magic, *what;
    } known[] = {
        { "version https://git-lfs", "a Git LFS pointer: the file itself was not downloaded (git lfs pull)" },
        { "PK\x03\x04", "a zip archive, perhaps a PyTorch .bin file" },
        { "GGUF", "a GGUF file" },
        { "<!DOCTYPE", "an HTML page" },
        { "<!doctype", "an HTML page" },
        { "<html", "an HTML page" },
        { "\x1f\x8b", "a gzip file" },
        { "\x80\x02", "a Python pickle" },
        { "\x80\x04", "a Python pickle" },
    };
    for (size_t i = 0; i < WEFT_COUNT(known); i++)
        if (weft_str_starts(s, weft_str_c(known[i].magic))) return known[i].what;
    return NULL;
}

/* A value of the wrong kind, which the JSON reader has reported, breaks this rule. */
static enum weft_status under(struct reading *r, const char *rule, enum weft_status st)
{
    if (st == WEFT_EINPUT && r->err && !r->err->rule[0]) snprintf(r->err->rule, sizeof r->err->rule, "%s", rule);
    return st;
}

static enum weft_status read_shape(struct reading *r, struct entry *e)
{
    struct weft_st_tensor *t = &e->tensor;
    struct shown name;
    int64_t dim;
    bool more;
    enum weft_status st = weft_json_array(&r->json, r->err);
    while (!st && !(st = weft_json_element(&r->json, &more, r->err)) && more) {
        if (t->n_dims == WEFT_ST_MAX_DIMS)
            return weft_fail_rule(r->err, WEFT_EINPUT, "ST6", "%s: tensor \"%s\" has more than %d dimensions", r->path,
                                  show(&name, t->name), WEFT_ST_MAX_DIMS);
        st = weft_json_int(&r->json, 0, max_dim, &dim, r->err);
        if (!st) t->shape[t->n_dims++] = (size_t)dim;
    }
    e->has_shape = true;
    return st;
}

static enum weft_status read_offsets(struct reading *r, struct entry *e)
{
    struct shown name;
    int64_t at[2];
    size_t n = 0;
    bool more;
    enum weft_status st = weft_json_array(&r->json, r->err);
    while (!st && !(st = weft_json_element(&r->json, &more, r->err)) && more) {
        if (n == 2) {
            n++;
            break;
        }
        st = weft_json_int(&r->json, 0, INT64_MAX, &at[n++], r->err);
    }
    if (st) return st;
    if (n != 2)
        return weft_fail_rule(r->err, WEFT_EINPUT, "ST7",
                              "%s: data_offsets of tensor \"%s\" are not two numbers", r->path,
                              show(&name, e->tensor.name));
    e->begin = (unsigned long long)at[0];
    e->end = (unsigned long long)at[1];
    e->has_offsets = true;
    return WEFT_OK;
}

static enum weft_status read_dtype(struct reading *r, struct entry *e)
{
    struct shown name, found;
    struct weft_str text;
    enum weft_status st = weft_json_string(&r->json, &text, r->err);
    if (st) return st;
    for (int t = 0; t < WEFT_N_ST_DTYPES; t++)
        if (weft_str_is(text, dtypes[t].name)) {
            e->tensor.dtype = (enum weft_st_dtype)t;
            e->has_dtype = true;
            return WEFT_OK;
        }
    return weft_fail_rule(r->err, WEFT_EINPUT, "ST5",
                          "%s: tensor \"%s\" has dtype \"%s\"; expected one of the format's types "
                          "(F32, BF16, F16 ...)",
                          r->path, show(&name, e->tensor.name), show(&found, text));
}

static enum weft_status check_name(struct reading *r, struct weft_str name)
{
    struct shown shown;
    bool control = false;
    for (size_t i = 0; i < name.len; i++) control |= (unsigned char)name.s[i] < 0x20 || name.s[i] == 0x7F;
    if (name.len >= 1 && name.len <= MAX_NAME && !control) return WEFT_OK;
    return weft_fail_rule(r->err, WEFT_EINPUT, "ST4",
                          "%s: tensor name \"%s\" has %zu bytes; expected 1 to %d without control "
                          "characters",
                          r->path, show(&shown, name), name.len, MAX_NAME);
}

/* Number of elements and bytes, from shape and type (ST6). */
static enum weft_status measure(struct reading *r, struct weft_st_tensor *t)
{
    struct shown name;
    size_t n = 1, bits;
    bool ok = true;
    for (int d = 0; d < t->n_dims && ok; d++) ok = weft_size_mul(n, t->shape[d], &n);
    if (ok) ok = weft_size_mul(n, dtypes[t->dtype].bits, &bits);
    if (!ok)
        return weft_fail_rule(r->err, WEFT_EINPUT, "ST6",
                              "%s: the shape of tensor \"%s\" has more elements than can be addressed",
                              r->path, show(&name, t->name));
    if (bits % 8)
        return weft_fail_rule(r->err, WEFT_EINPUT, "ST6",
                              "%s: tensor \"%s\" of type %s does not fill whole bytes", r->path,
                              show(&name, t->name), dtypes[t->dtype].name);
    t->n_elements = n;
    t->bytes = bits / 8;
    return WEFT_OK;
}

static enum weft_status read_entry(struct reading *r, struct weft_str name)
{
    struct entry e = { .tensor.name = name };
    struct weft_str key;
    struct shown shown;
    bool more;
    enum weft_status st = check_name(r, name);
    if (!st) st = under(r, "ST5", weft_json_object(&r->json, r->err));
    while (!st && !(st = weft_json_key(&r->json, &key, &more, r->err)) && more) {
        if (weft_str_is(key, "dtype")) st = under(r, "ST5", read_dtype(r, &e));
        else if (weft_str_is(key, "shape")) st = under(r, "ST6", read_shape(r, &e));
        else if (weft_str_is(key, "data_offsets")) st = under(r, "ST7", read_offsets(r, &e));
        else st = weft_json_skip(&r->json, r->err);
    }
    if (st) return st;
    if (!e.has_dtype || !e.has_shape || !e.has_offsets)
        return weft_fail_rule(r->err, WEFT_EINPUT, "ST5", "%s: tensor \"%s\" has no %s", r->path, show(&shown, name),
                              !e.has_dtype ? "dtype" : !e.has_shape ? "shape" : "data_offsets");
    st = measure(r, &e.tensor);
    if (st) return st;
    if (r->n == MAX_TENSORS)
        return weft_fail_rule(r->err, WEFT_ELIMIT, "ST4", "%s: more than %d tensors", r->path, MAX_TENSORS);
    if (r->n == r->cap) {
        size_t cap = r->cap ? r->cap * 2 : 256;
        struct entry *entries = WEFT_NEWS(r->arena, struct entry, cap);
        if (!entries) return weft_fail_nomem(r->err, cap * sizeof e, "a safetensors header");
        if (r->n) memcpy(entries, r->entries, r->n * sizeof e);
        r->entries = entries;
        r->cap = cap;
    }
    r->entries[r->n++] = e;
    return WEFT_OK;
}

static enum weft_status read_metadata(struct reading *r, struct weft_json_value *out)
{
    enum weft_status st = weft_json_tree(&r->json, out, r->err);
    if (st) return st;
    bool ok = out->kind == WEFT_JSON_OBJECT;
    for (size_t i = 0; ok && i < out->n; i++) ok = out->items[i].kind == WEFT_JSON_STRING;
    if (ok) return WEFT_OK;
    return weft_fail_rule(r->err, WEFT_EINPUT, "ST4", "%s: __metadata__ is not an object of strings", r->path);
}

static int by_place(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end;
}

static int by_name(const void *a, const void *b)
{
    const struct weft_st_tensor *x = a, *y = b;
    return weft_str_cmp(x->name, y->name);
}

/* ST7, ST8: the tensors cover the data without gap or overlap. */
static enum weft_status check_cover(struct reading *r, unsigned long long data_bytes)
{
    struct shown name, before;
    unsigned long long at = 0;
    for (size_t i = 0; i < r->n; i++) {
        const struct entry *e = &r->entries[i];
        if (e->begin > e->end || e->end > data_bytes)
            return weft_fail_rule(r->err, WEFT_EINPUT, "ST7", "%s: tensor \"%s\" stands at bytes %llu to %llu"
                                  "; the data have %llu bytes", r->path, show(&name, e->tensor.name), e->begin, e->end,
                                  data_bytes);
        if (e->end - e->begin != e->tensor.bytes)
            return weft_fail_rule(r->err, WEFT_EINPUT, "ST7",
                                  "%s: tensor \"%s\" has room for %llu"
                                  " bytes; its shape and type need %zu",
                                  r->path, show(&name, e->tensor.name), e->end - e->begin, e->tensor.bytes);
    }
    if (r->n) qsort(r->entries, r->n, sizeof *r->entries, by_place);
    for (size_t i = 0; i < r->n; i++) {
        const struct entry *e = &r->entries[i];
        if (e->begin != at && i)
            return weft_fail_rule(
                r->err, WEFT_EINPUT, "ST8",
                "%s: tensor \"%s\" begins at byte %llu of the data; expected %llu, the end of \"%s\"",
                r->path, show(&name, e->tensor.name), e->begin, at,
                show(&before, r->entries[i - 1].tensor.name));
        if (e->begin != at)
            return weft_fail_rule(r->err, WEFT_EINPUT, "ST8", "%s: the first tensor \"%s\" begins at byte %llu"
                                  " of the data; expected 0", r->path, show(&name, e->tensor.name), e->begin);
        at = e->end;
    }
    if (at != data_bytes)
        return weft_fail_rule(r->err, WEFT_EINPUT, "ST8",
                              "%s: the tensors end at byte %llu of the data; the file has %llu", r->path, at,
                              data_bytes);
    return WEFT_OK;
}

static enum weft_status read_header(struct reading *r, struct weft_safetensors *f, struct weft_str file)
{
    struct weft_str key;
    const char *other = other_format(file);
    unsigned long long n = 0;
    bool more;
    enum weft_status st;

    if (other) return weft_fail_rule(r->err, WEFT_EINPUT, "ST2", "%s: this is %s; expected a safetensors file", r->path,
                                     weft_tr(r->err ? r->err->lang : WEFT_LANG_EN, other));
    if (file.len < 8)
        return weft_fail_rule(r->err, WEFT_EINPUT, "ST1",
                              "%s: the file has %zu bytes; a safetensors file has at least 8", r->path,
                              file.len);
    for (int i = 7; i >= 0; i--) n = n << 8 | (unsigned char)file.s[i];
    if (n < 2 || n > MAX_HEADER || n > file.len - 8)
        return weft_fail_rule(
            r->err, WEFT_EINPUT, "ST2",
            "%s: offset 0: the header is said to have %llu bytes; expected 2 to %zu: the file is cut short or not safetensors",
            r->path, n, weft_min_size(file.len - 8, MAX_HEADER));
    struct weft_str header = weft_str_sub(file, 8, 8 + (size_t)n);
    if (header.s[0] != '{')
        return weft_fail_rule(r->err, WEFT_EINPUT, "ST3", "%s: offset 8: the header does not begin with {", r->path);

    st = weft_json_init(&r->json, r->arena, r->path, header, r->err);
    if (!st) st = weft_json_object(&r->json, r->err);
    while (!st && !(st = weft_json_key(&r->json, &key, &more, r->err)) && more)
        st = weft_str_is(key, "__metadata__") ? read_metadata(r, &f->metadata) : read_entry(r, key);
    if (st) return st;
    for (size_t at = r->json.at; at < header.len; at++)
        if (header.s[at] != ' ')
            return weft_fail_rule(r->err, WEFT_EINPUT, "ST3",
                                  "%s: offset %zu: after the header's JSON only spaces may follow", r->path,
                                  8 + at);
    st = check_cover(r, file.len - 8 - n);
    if (st) return st;

    f->tensors = WEFT_NEWS(r->arena, struct weft_st_tensor, r->n);
    if (!f->tensors) return weft_fail_nomem(r->err, r->n * sizeof *f->tensors, "a safetensors header");
    for (size_t i = 0; i < r->n; i++) {
        f->tensors[i] = r->entries[i].tensor;
        f->tensors[i].data = (const unsigned char *)file.s + 8 + n + r->entries[i].begin;
    }
    f->n = r->n;
    if (f->n) qsort(f->tensors, f->n, sizeof *f->tensors, by_name);
    return WEFT_OK;
}

enum weft_status weft_safetensors_open(struct weft_safetensors *f, struct weft_arena *a, const char *path,
                                       struct weft_err *err)
{
    struct reading r = { .path = path, .arena = a, .err = err };
    *f = (struct weft_safetensors){ 0 };
    enum weft_status st = weft_map_open(&f->map, path, err);
    if (!st) st = read_header(&r, f, (struct weft_str){ (const char *)f->map.p, f->map.len });
    if (st) weft_safetensors_close(f);
    return st;
}

enum weft_status weft_safetensors_parse(struct weft_safetensors *f, struct weft_arena *a, const char *name,
                                        struct weft_str bytes, struct weft_err *err)
{
    struct reading r = { .path = name, .arena = a, .err = err };
    *f = (struct weft_safetensors){ 0 };
    enum weft_status st = read_header(&r, f, bytes);
    if (st) *f = (struct weft_safetensors){ 0 };
    return st;
}

void weft_safetensors_close(struct weft_safetensors *f)
{
    if (!f) return;
    weft_map_close(&f->map);
    *f = (struct weft_safetensors){ 0 };
}

const struct weft_st_tensor *weft_safetensors_find(const struct weft_safetensors *f, struct weft_str name)
{
    struct weft_st_tensor key = { .name = name };
    return f->n ? bsearch(&key, f->tensors, f->n, sizeof *f->tensors, by_name) : NULL;
}

/* ---- writing ---- */

struct order {
    size_t idx, bytes;
    const struct weft_st_out *tensor;
};

static int by_type_and_name(const void *a, const void *b)
{
    const struct order *x = a, *y = b;
    unsigned rx = dtypes[x->tensor->dtype].rank, ry = dtypes[y->tensor->dtype].rank;
    return rx != ry ? (rx < ry ? -1 : 1) : strcmp(x->tensor->name, y->tensor->name);
}

static void write_header(struct weft_buf *header, const struct order *order, size_t n, const char *const *metadata)
{
    struct weft_json_out o;
    uint64_t at = 0;
    weft_json_out_init(&o, header);
    weft_json_out_object(&o);
    weft_json_out_key(&o, "__metadata__");
    weft_json_out_object(&o);
    weft_json_out_key(&o, "format");
    weft_json_out_cstr(&o, "pt");
    for (const char *const *pair = metadata; pair && pair[0]; pair += 2) {
        weft_json_out_key(&o, pair[0]);
        weft_json_out_cstr(&o, pair[1]);
    }
    weft_json_out_object_end(&o);
    for (size_t i = 0; i < n; i++) {
        const struct weft_st_out *t = order[i].tensor;
        weft_json_out_key(&o, t->name);
        weft_json_out_object(&o);
        weft_json_out_key(&o, "dtype");
        weft_json_out_cstr(&o, dtypes[t->dtype].name);
        weft_json_out_key(&o, "shape");
        weft_json_out_array(&o);
        for (int d = 0; d < t->n_dims; d++) weft_json_out_uint(&o, t->shape[d]);
        weft_json_out_array_end(&o);
        weft_json_out_key(&o, "data_offsets");
        weft_json_out_array(&o);
        weft_json_out_uint(&o, at);
        weft_json_out_uint(&o, at += order[i].bytes);
        weft_json_out_array_end(&o);
        weft_json_out_object_end(&o);
    }
    weft_json_out_object_end(&o);
    while (header->len % 8 && !header->failed) weft_buf_char(header, ' ');     /* 8 + N is a multiple of 8 as well */
}

enum weft_status weft_safetensors_write_from(const char *path, const struct weft_st_out *tensors, size_t n,
                                             const char *const *metadata,
                                             enum weft_status (*emit)(void *ctx, size_t i, struct weft_out *o,
                                                                      struct weft_err *err),
                                             void *ctx, struct weft_err *err)
{
    struct weft_buf header = { 0 };
    struct weft_out o = { 0 };
    struct order *order = calloc(n + 1, sizeof *order);
    unsigned char length[8];
    enum weft_status st;

    if (!order) return weft_fail_nomem(err, n * sizeof *order, "the list of tensors");
    for (size_t i = 0; i < n; i++) {
        order[i] = (struct order){ .idx = i, .bytes = dtypes[tensors[i].dtype].bits / 8, .tensor = &tensors[i] };
        /* exists in memory or will */
        for (int d = 0; d < tensors[i].n_dims; d++) order[i].bytes *= tensors[i].shape[d];
    }
    qsort(order, n, sizeof *order, by_type_and_name);
    write_header(&header, order, n, metadata);
    st = weft_buf_check(&header, "a safetensors header", err);
    if (!st) st = weft_out_open(&o, path, err);
    if (st) goto done;
    for (int i = 0; i < 8; i++) length[i] = (unsigned char)((uint64_t)header.len >> 8 * i);
    weft_out_add(&o, length, sizeof length);
    weft_out_add(&o, header.s, header.len);
    for (size_t i = 0; !st && i < n; i++) {
        if (order[i].tensor->data) weft_out_add(&o, order[i].tensor->data, order[i].bytes);
        else if (order[i].bytes) st = emit(ctx, order[i].idx, &o, err);
    }
    if (!st) st = weft_out_commit(&o, err);
done:
    weft_out_close(&o);
    weft_buf_clear(&header);
    free(order);
    return st;
}

enum weft_status weft_safetensors_write(const char *path, const struct weft_st_out *tensors, size_t n,
                                        const char *const *metadata, struct weft_err *err)
{
    return weft_safetensors_write_from(path, tensors, n, metadata, NULL, NULL, err);
}
