/* A run from outside: its variables are built from JSON and strings, then the template is rendered. */
#include "tokens/jinja_value.h"

enum weft_status weft_jinja_begin(struct weft_jinja_run **out, struct weft_arena *a,
                                  const struct weft_jinja *t, struct weft_err *err)
{
    struct weft_jinja_run *r = WEFT_NEW(a, struct weft_jinja_run);
    if (!r) return weft_fail_nomem(err, sizeof *r, "a rendered template");
    struct weft_jinja_value globals;
    *r =
        (struct weft_jinja_run){ .a = a, .t = t, .err = err, .units_max = 16u * WEFT_JINJA_STEPS, .line = 1 };
    if (!jj_dict(r, 32, &globals)) return r->st;
    r->globals = (struct jj_dict *)(uintptr_t)globals.u.ref;
    *out = r;
    return WEFT_OK;
}

struct weft_jinja_value weft_jinja_none(void) { return jj_none(); }
struct weft_jinja_value weft_jinja_bool(bool b) { return jj_bool(b); }

struct weft_jinja_value weft_jinja_string(struct weft_jinja_run *r, struct weft_str s, int32_t tag)
{
    struct weft_jinja_value v = { 0 };
    (void)jj_string(r, s, tag, &v);
    return v;
}

struct weft_jinja_value weft_jinja_list(struct weft_jinja_run *r, size_t n)
{
    struct weft_jinja_value v = { 0 };
    (void)jj_list(r, n, JJ_PLAIN, &v, NULL);
    r->units = 0; /* building the input is not the template's work */
    return v;
}

void weft_jinja_put(struct weft_jinja_value list, size_t i, struct weft_jinja_value v)
{
    if (list.kind == JJ_LIST) jj_list_of(list)->items[i] = v;
}

struct weft_jinja_value weft_jinja_dict(struct weft_jinja_run *r, size_t cap)
{
    struct weft_jinja_value v = { 0 };
    (void)jj_dict(r, cap, &v);
    return v;
}

void weft_jinja_member(struct weft_jinja_run *r, struct weft_jinja_value dict, struct weft_str key,
                       struct weft_jinja_value v)
{
    struct jj_dict *d = (struct jj_dict *)(uintptr_t)dict.u.ref;
    struct weft_jinja_value k = weft_jinja_string(r, key, 0);
    if (r->st || dict.kind != JJ_DICT || d->n == d->cap) return;
    d->keys[d->n] = k;
    d->values[d->n++] = v;
}

struct weft_jinja_value weft_jinja_json(struct weft_jinja_run *r, const struct weft_json_value *v,
                                        int32_t tag)
{
    struct weft_jinja_value out = jj_none();
    if (!v || r->st) return out;
    switch (v->kind) {
    case WEFT_JSON_NULL: return out;
    case WEFT_JSON_BOOL: return jj_bool(v->boolean);
    case WEFT_JSON_NUMBER: return v->is_int ? jj_int(v->integer) : jj_float(v->number);
    case WEFT_JSON_STRING: return weft_jinja_string(r, v->text, tag);
    case WEFT_JSON_ARRAY:
        out = weft_jinja_list(r, v->n);
        for (size_t i = 0; i < v->n && !r->st; i++)
            weft_jinja_put(out, i, weft_jinja_json(r, &v->items[i], tag));
        return out;
    case WEFT_JSON_OBJECT:
        out = weft_jinja_dict(r, v->n);
        for (size_t i = 0; i < v->n && !r->st; i++)
            weft_jinja_member(r, out, v->keys[i], weft_jinja_json(r, &v->items[i], tag));
        return out;
    }
    return out;
}

void weft_jinja_set(struct weft_jinja_run *r, const char *name, struct weft_jinja_value v)
{
    weft_jinja_set_str(r, weft_str_c(name), v);
}

void weft_jinja_set_str(struct weft_jinja_run *r, struct weft_str name, struct weft_jinja_value v)
{
    struct jj_dict *d = r->globals;
    if (d->n == d->cap) {
        struct weft_jinja_value more;
        if (!jj_dict(r, d->cap * 2, &more)) return;
        struct jj_dict *e = (struct jj_dict *)(uintptr_t)more.u.ref;
        for (size_t i = 0; i < d->n; i++) weft_jinja_member(r, more, jj_text(d->keys[i]), d->values[i]);
        r->globals = d = e;
    }
    for (size_t i = 0; i < d->n; i++)
        if (weft_str_eq(jj_text(d->keys[i]), name)) {
            d->values[i] = v;
            return;
        }
    weft_jinja_member(r, (struct weft_jinja_value){ .kind = JJ_DICT, .u.ref = d }, name, v);
}

void weft_jinja_by_pieces(struct weft_jinja_run *r) { r->by_pieces = true; }

void weft_jinja_date(struct weft_jinja_run *r, struct weft_str date) { r->date = date; }

enum weft_status weft_jinja_render(struct weft_jinja_run *r, struct weft_jinja_text *out,
                                   struct weft_err *err)
{
    struct jj_sink sink = { 0 };
    r->err = err;
    r->units = 0;
    r->out = &sink;
    r->whole = r->by_pieces ? &sink : NULL;
    r->n_pieces = 0;
    bool ok = !r->st && jj_run_template(r);
    r->out = NULL;
    r->whole = NULL;
    if (!ok) return r->st;
    *out = (struct weft_jinja_text){ { sink.s ? sink.s : "", sink.len }, sink.spans, sink.n_spans, r->pieces,
                                     r->n_pieces };
    return WEFT_OK;
}
