/* The tree is built without recursion: values wait on one stack until their container closes, then move into an
 * array of exactly their number. */
#include "base/json_parts.h"

/* Stacks in malloc memory: finished values whose container is still open, keys of open objects, and for each
 * open container how many values and keys lay there before its own. */
struct builder {
    struct weft_buf values, keys, starts;
};

struct start {
    size_t values, keys;
};

static size_t n_values(const struct builder *b) { return b->values.len / sizeof(struct weft_json_value); }

static struct weft_json_value *values_of(const struct builder *b)
{
    return (struct weft_json_value *)(void *)b->values.s;
}

/* Moves the innermost container's values and keys from the stacks to where they belong. */
static enum weft_status close_container(struct weft_json *j, struct builder *b, struct weft_err *err)
{
    struct start start;
    b->starts.len -= sizeof start;
    memcpy(&start, b->starts.s + b->starts.len, sizeof start);
    struct weft_json_value *v = &values_of(b)[start.values - 1];
    size_t n = n_values(b) - start.values, bytes;
    v->items = NULL;
    v->keys = NULL;
    v->n = n;
    if (!n) return WEFT_OK;
    bytes = n * sizeof *v->items;
    v->items = weft_arena_alloc(j->arena, bytes);
    if (!v->items) return weft_fail_nomem(err, bytes, j->name);
    memcpy(v->items, values_of(b) + start.values, bytes);
    b->values.len -= bytes;
    if (v->kind == WEFT_JSON_OBJECT) {
        bytes = n * sizeof *v->keys;
        v->keys = weft_arena_alloc(j->arena, bytes);
        if (!v->keys) return weft_fail_nomem(err, bytes, j->name);
        memcpy(v->keys, b->keys.s + start.keys, bytes);
        for (size_t i = 0; i < n; i++) v->key_bits |= weft_json_key_bit(v->keys[i]);
        b->keys.len = start.keys;
    }
    return WEFT_OK;
}

/* A scalar whole, of a container its opening bracket. */
static enum weft_status take(struct weft_json *j, struct builder *b, struct weft_json_value *v,
                             struct weft_err *err)
{
    struct weft_json_number n;
    enum weft_status st = weft_json_peek(j, &v->kind, err);
    if (st) return st;
    v->at = j->at;
    switch (v->kind) {
    case WEFT_JSON_NULL: return weft_json_null(j, err);
    case WEFT_JSON_BOOL: return weft_json_bool(j, &v->boolean, err);
    case WEFT_JSON_STRING: return weft_json_string(j, &v->text, err);
    case WEFT_JSON_NUMBER:
        st = weft_json_number(j, &n, err);
        if (st) return st;
        v->text = n.text;
        v->is_int = n.fits_int;
        v->integer = n.integer;
        v->number = n.number;
        return WEFT_OK;
    case WEFT_JSON_ARRAY: st = weft_json_array(j, err); break;
    case WEFT_JSON_OBJECT: st = weft_json_object(j, err); break;
    }
    /* Behind the container itself, which is pushed next. */
    struct start start = { n_values(b) + 1, b->keys.len };
    weft_buf_add(&b->starts, &start, sizeof start);
    return st;
}

/* Every value, by the reader. */
enum weft_status weft_json_tree_plain(struct weft_json *j, struct weft_json_value *out, struct weft_err *err)
{
    struct builder b = { 0 };
    struct weft_str key;
    int depth = j->depth;
    enum weft_status st;
    do {
        struct weft_json_value v = { 0 };
        st = take(j, &b, &v, err);
        if (st) goto done;
        weft_buf_add(&b.values, &v, sizeof v);
        if (b.values.failed || b.starts.failed || b.keys.failed) {
            st = weft_fail_nomem(err, b.values.cap + b.keys.cap, j->name);
            goto done;
        }
        for (bool more = false; j->depth > depth && !more;) {
            bool is_object = j->frames[j->depth - 1].is_object;
            st = is_object ? weft_json_key(j, &key, &more, err) : weft_json_element(j, &more, err);
            if (!st && !more) st = close_container(j, &b, err);
            if (st) goto done;
            if (more && is_object) weft_buf_add(&b.keys, &key, sizeof key);
        }
    } while (j->depth > depth);
    *out = values_of(&b)[0];
done:
    weft_buf_clear(&b.values);
    weft_buf_clear(&b.keys);
    weft_buf_clear(&b.starts);
    return st;
}

enum weft_status weft_json_tree(struct weft_json *j, struct weft_json_value *out, struct weft_err *err)
{
    return weft_json_quick(j, out) ? WEFT_OK : weft_json_tree_plain(j, out, err);
}

enum weft_status weft_json_parse_row(struct weft_arena *a, const char *name, uint64_t line,
                                     struct weft_str text, struct weft_json_value *out, struct weft_err *err)
{
    struct weft_json j;
    struct weft_json_value v = { 0 };
    enum weft_status st = weft_json_init_row(&j, a, name, line, text, err);
    if (!st) st = weft_json_tree(&j, &v, err);
    if (!st) st = weft_json_end(&j, err);
    if (!st) *out = v;
    return st;
}

enum weft_status weft_json_parse(struct weft_arena *a, const char *name, struct weft_str text,
                                 struct weft_json_value *out, struct weft_err *err)
{
    return weft_json_parse_row(a, name, 1, text, out, err);
}

const struct weft_json_value *weft_json_get_str(const struct weft_json_value *v, struct weft_str key)
{
    for (size_t i = 0; v->kind == WEFT_JSON_OBJECT && i < v->n; i++)
        if (v->keys[i].len == key.len && weft_json_same_key(v->keys[i].s, key.s, key.len)) return &v->items[i];
    return NULL;
}
