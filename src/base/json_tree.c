/* The tree is built without recursion: values wait on one stack until their container closes, then move into an
 * array of exactly their number. */
#include "base/json_parts.h"

struct item {
    struct weft_str key;
    struct weft_json_value value;
};

struct builder {
    struct weft_buf items;          /* struct item: finished values whose container is still open */
    struct weft_buf starts;         /* size_t: for each open container, the number of items before its own */
};

static size_t n_items(const struct builder *b) { return b->items.len / sizeof(struct item); }

/* Takes the items of the innermost container from the stack into `v`. */
static enum weft_status close_container(struct weft_json *j, struct builder *b, struct weft_json_value *v,
                                        struct weft_err *err)
{
    size_t start;
    b->starts.len -= sizeof start;
    memcpy(&start, b->starts.s + b->starts.len, sizeof start);
    v->n = n_items(b) - start;
    if (!v->n) return WEFT_OK;
    const struct item *items = (const struct item *)(const void *)b->items.s + start;
    v->items = weft_arena_alloc(j->arena, v->n * sizeof *v->items);
    if (v->kind == WEFT_JSON_OBJECT) v->keys = weft_arena_alloc(j->arena, v->n * sizeof *v->keys);
    if (!v->items || (v->kind == WEFT_JSON_OBJECT && !v->keys))
        return weft_fail_nomem(err, v->n * sizeof *v->items, j->name);
    for (size_t i = 0; i < v->n; i++) {
        v->items[i] = items[i].value;
        if (v->keys) v->keys[i] = items[i].key;
    }
    b->items.len = start * sizeof(struct item);
    return WEFT_OK;
}

/* A scalar whole, of a container its opening bracket. */
static enum weft_status take(struct weft_json *j, struct builder *b, struct weft_json_value *v, struct weft_err *err)
{
    struct weft_json_number n;
    enum weft_status st = weft_json_peek(j, &v->kind, err);
    if (st) return st;
    v->at = j->at;
    size_t start = n_items(b) + 1;      /* behind the container itself, which is pushed next */
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
    weft_buf_add(&b->starts, &start, sizeof start);
    return st;
}

enum weft_status weft_json_tree(struct weft_json *j, struct weft_json_value *out, struct weft_err *err)
{
    struct builder b = { 0 };
    struct weft_str key = { 0 };
    int depth = j->depth;
    enum weft_status st;
    for (;;) {
        struct item item = { .key = key };
        st = take(j, &b, &item.value, err);
        if (st) goto done;
        weft_buf_add(&b.items, &item, sizeof item);
        if (b.items.failed || b.starts.failed) {
            st = weft_fail_nomem(err, b.items.cap, j->name);
            goto done;
        }
        for (bool more = false; j->depth > depth && !more;) {
            key = (struct weft_str){ 0 };
            st = j->frames[j->depth - 1].is_object ? weft_json_key(j, &key, &more, err) : weft_json_element(j, &more, err);
            if (!st && !more) {
                size_t start;
                memcpy(&start, b.starts.s + b.starts.len - sizeof start, sizeof start);
                st = close_container(j, &b, &((struct item *)(void *)b.items.s)[start - 1].value, err);
            }
            if (st) goto done;
        }
        if (j->depth == depth) break;
    }
    *out = ((const struct item *)(const void *)b.items.s)->value;
done:
    weft_buf_clear(&b.items);
    weft_buf_clear(&b.starts);
    return st;
}

enum weft_status weft_json_parse_row(struct weft_arena *a, const char *name, uint64_t line, struct weft_str text,
                                     struct weft_json_value *out, struct weft_err *err)
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

const struct weft_json_value *weft_json_get(const struct weft_json_value *v, const char *key)
{
    if (!v || v->kind != WEFT_JSON_OBJECT) return NULL;
    struct weft_str wanted = weft_str_c(key);
    for (size_t i = 0; i < v->n; i++)
        if (weft_str_eq(v->keys[i], wanted)) return &v->items[i];
    return NULL;
}
