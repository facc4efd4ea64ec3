/* x.name, x[key] and x[a:b:c].  With a dot methods win over members, with brackets members over methods. */
#include "tokens/jinja_value.h"

/* ---- attributes, items, slices ---- */

static bool loop_attr(struct weft_jinja_run *r, struct weft_jinja_value v, struct weft_str name,
                      struct weft_jinja_value *out, bool *found)
{
    const struct jj_loop *l = v.u.ref;
    int64_t i = (int64_t)l->index0, n = (int64_t)l->n;
    *found = true;
    if (weft_str_is(name, "index")) *out = jj_int(i + 1);
    else if (weft_str_is(name, "index0")) *out = jj_int(i);
    else if (weft_str_is(name, "revindex")) *out = jj_int(n - i);
    else if (weft_str_is(name, "revindex0")) *out = jj_int(n - i - 1);
    else if (weft_str_is(name, "first")) *out = jj_bool(i == 0);
    else if (weft_str_is(name, "last")) *out = jj_bool(i + 1 == n);
    else if (weft_str_is(name, "length")) *out = jj_int(n);
    else if (weft_str_is(name, "depth")) *out = jj_int(l->depth0 + 1);
    else if (weft_str_is(name, "depth0")) *out = jj_int(l->depth0);
    else if (weft_str_is(name, "previtem") && i) *out = l->items[i - 1];
    else if (weft_str_is(name, "nextitem") && i + 1 < n) *out = l->items[i + 1];
    else *found = false;
    return true;
}

static bool bound_method(struct weft_jinja_run *r, struct weft_jinja_value v, struct weft_str name,
                         struct weft_jinja_value *out, bool *found)
{
    const struct jj_builtin *b = jj_find_method(v.kind, name);
    *found = b != NULL;
    if (!b) return true;
    struct jj_function *f = jj_alloc(r, sizeof *f);
    if (!f) return false;
    *f = (struct jj_function){ b, v };
    *out = (struct weft_jinja_value){ .kind = JJ_FUNCTION, .u.ref = f };
    return true;
}

/* Methods win over members: x.items is the method even where x has a key "items". */
bool jj_getattr(struct weft_jinja_run *r, struct weft_jinja_value v, struct weft_str name,
                struct weft_jinja_value *out)
{
    bool found = false;
    if (v.kind == JJ_UNDEFINED) return jj_fail_undefined(r, v);
    if (v.kind == JJ_LOOP && !loop_attr(r, v, name, out, &found)) return false;
    if (!found && !bound_method(r, v, name, out, &found)) return false;
    if (found) return true;
    if (v.kind == JJ_DICT || v.kind == JJ_NAMESPACE) {
        const struct weft_jinja_value *m = jj_dict_get(jj_dict_of(v), name);
        if (!jj_spend(r, 1 + jj_dict_of(v)->n / 16)) return false;
        if (m) {
            *out = *m;
            return true;
        }
    }
    if (v.kind == JJ_LIST && jj_list_of(v)->flavor == JJ_GROUP) {
        bool list = weft_str_is(name, "list");
        if (list || weft_str_is(name, "grouper")) {
            *out = jj_list_of(v)->items[list];
            return true;
        }
    }
    if (v.kind == JJ_CYCLER && weft_str_is(name, "current")) {
        const struct jj_cycler *c = v.u.ref;
        *out = c->items[c->at];
        return true;
    }
    if (v.kind == JJ_MACRO && weft_str_is(name, "name"))
        return jj_string(r, ((const struct jj_closure *)v.u.ref)->macro->name, 0, out);
    return jj_undefined(r, name, weft_str_c(jj_type(v)), out);
}

static bool index_text(struct weft_jinja_run *r, const struct jj_string *s, int64_t i,
                       struct weft_jinja_value *out, bool *found)
{
    struct weft_str text = { s->s, s->len };
    int64_t n = (int64_t)weft_utf8_chars(text);
    if (i < 0) i += n;
    *found = i >= 0 && i < n;
    if (!*found) return true;
    size_t from = weft_utf8_offset(text, (size_t)i),
           to = from + weft_utf8_offset(weft_str_skip(text, from), 1);
    return jj_spend(r, s->len / 64) && jj_substr(r, s, from, to, out);
}

bool jj_getitem(struct weft_jinja_run *r, struct weft_jinja_value v, struct weft_jinja_value key,
                struct weft_jinja_value *out)
{
    int64_t i;
    bool found = false;
    if (v.kind == JJ_UNDEFINED) return jj_fail_undefined(r, v);
    if (v.kind == JJ_DICT) {
        size_t at = SIZE_MAX;
        bool hashable = key.kind != JJ_DICT && !(key.kind == JJ_LIST && jj_list_of(key)->flavor == JJ_PLAIN);
        if (hashable && !jj_dict_find(r, jj_dict_of(v), key, &at)) return false;
        if (at != SIZE_MAX) {
            *out = jj_dict_of(v)->values[at];
            return true;
        }
    } else if (v.kind == JJ_LIST && jj_list_of(v)->flavor <= JJ_RANGE && jj_is_index(key, &i)) {
        const struct jj_list *l = jj_list_of(v);
        if (i < 0) i += (int64_t)l->n;
        if (i >= 0 && i < (int64_t)l->n) {
            *out = l->items[i];
            return true;
        }
    } else if (v.kind == JJ_LIST && jj_list_of(v)->flavor == JJ_GROUP && jj_is_index(key, &i) && i >= -2
               && i < 2) {
        *out = jj_list_of(v)->items[i < 0 ? i + 2 : i];
        return true;
    } else if (v.kind == JJ_STRING && jj_is_index(key, &i)) {
        if (!index_text(r, jj_str(v), i, out, &found)) return false;
        if (found) return true;
    }
    if (key.kind == JJ_STRING) { /* x["name"]: members first, then what x.name would give */
        if (v.kind == JJ_DICT) {
            if (!bound_method(r, v, jj_text(key), out, &found)) return false;
            if (found) return true;
        } else return jj_getattr(r, v, jj_text(key), out);
    }
    struct weft_jinja_value shown;
    if (key.kind == JJ_UNDEFINED) return jj_undefined(r, WEFT_STR("undefined"), weft_str_c(jj_type(v)), out);
    return jj_to_string(r, key, &shown) && jj_undefined(r, jj_text(shown), weft_str_c(jj_type(v)), out);
}

bool jj_slice(struct weft_jinja_run *r, struct weft_jinja_value v, const struct weft_jinja_value part[3],
              struct weft_jinja_value *out)
{
    int64_t p[3] = { 0, 0, 1 }, n;
    bool given[3];
    for (int i = 0; i < 3; i++) {
        given[i] = part[i].kind != JJ_NONE;
        if (given[i] && part[i].kind == JJ_UNDEFINED) return jj_fail_undefined(r, part[i]);
        if (given[i] && !jj_is_index(part[i], &p[i]))
            return jj_fail(r, "a slice needs integers, not %s", jj_type(part[i]));
    }
    if (v.kind == JJ_UNDEFINED) return jj_fail_undefined(r, v);
    if (v.kind != JJ_STRING
        && !(v.kind == JJ_LIST && (jj_list_of(v)->flavor <= JJ_RANGE || jj_list_of(v)->flavor == JJ_GROUP)))
        return jj_fail(r, "%s cannot be sliced", jj_type(v));
    int64_t step = p[2];
    if (!step) return jj_fail(r, "the step of a slice is 0");
    if (!jj_length(r, v, &n)) return false;
    int64_t lo = step > 0 ? 0 : -1, hi = step > 0 ? n : n - 1, from, to;
    for (int i = 0; i < 2; i++) {
        if (!given[i]) continue;
        if (p[i] < 0) p[i] = p[i] + n < lo ? lo : p[i] + n < 0 ? lo : p[i] + n;
        if (p[i] > hi) p[i] = hi;
    }
    from = given[0] ? p[0] : step > 0 ? lo : hi;
    to = given[1] ? p[1] : step > 0 ? hi : lo;
    if (v.kind == JJ_STRING) {
        const struct jj_string *s = jj_str(v);
        struct weft_str text = { s->s, s->len };
        if (step == 1) {
            size_t a = weft_utf8_offset(text, (size_t)from);
            size_t b = to > from ? a + weft_utf8_offset(weft_str_skip(text, a), (size_t)(to - from)) : a;
            return jj_substr(r, s, a, b, out);
        }
        const struct weft_jinja_value *chars;
        struct jj_sink k = { 0 };
        size_t n_chars;
        if (!jj_items(r, v, &chars, &n_chars)) return false;
        for (int64_t i = from; step > 0 ? i < to : i > to;) {
            if (!jj_put_string(r, &k, jj_str(chars[i]), 0, jj_str(chars[i])->len)) return false;
            if (__builtin_add_overflow(i, step, &i)) break;
        }
        return jj_sink_value(r, &k, out);
    }
    const struct jj_list *l = jj_list_of(v);
    struct weft_jinja_value *items;
    size_t count = 0, k = 0;
    for (int64_t i = from; step > 0 ? i < to : i > to; count++)
        if (__builtin_add_overflow(i, step, &i)) i = to;
    if (!jj_list(r, count, l->flavor == JJ_GROUP ? JJ_TUPLE : l->flavor, out, &items)) return false;
    for (int64_t i = from; k < count; i += step) items[k++] = l->items[i];
    if (l->flavor == JJ_RANGE) {
        struct jj_list *cut = (struct jj_list *)(uintptr_t)out->u.ref;
        cut->start = l->start + from * l->step;
        cut->stop = l->start + to * l->step;
        cut->step = l->step * step;
    }
    return true;
}
