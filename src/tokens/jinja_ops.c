/* Comparing, containing, going through items, and arithmetic, as Python does them. */
#include "tokens/jinja_value.h"

#include <math.h>

/* ---- comparing ---- */

static bool same_flavor(const struct jj_list *a, const struct jj_list *b)
{
    bool ta = a->flavor == JJ_TUPLE || a->flavor == JJ_GROUP,
         tb = b->flavor == JJ_TUPLE || b->flavor == JJ_GROUP;
    return a == b || (ta && tb)
           || (a->flavor == b->flavor && a->flavor != JJ_GENERATOR && a->flavor != JJ_VALUES);
}

bool jj_equal(struct weft_jinja_run *r, struct weft_jinja_value a, struct weft_jinja_value b, int depth,
              bool *out)
{
    double x, y;
    *out = false;
    if (depth > JJ_VALUE_DEPTH) return jj_too_deep(r);
    if (!jj_spend(r, 1)) return false;
    if (jj_is_number(a, &x) && jj_is_number(b, &y)) {
        *out = a.kind != JJ_FLOAT && b.kind != JJ_FLOAT
                   ? (a.kind == JJ_BOOL ? a.u.boolean : a.u.integer)
                         == (b.kind == JJ_BOOL ? b.u.boolean : b.u.integer)
                   : x == y;
        return true;
    }
    if (a.kind != b.kind) return true;
    switch (a.kind) {
    case JJ_UNDEFINED:
    case JJ_NONE: *out = true; return true;
    case JJ_STRING: *out = weft_str_eq(jj_text(a), jj_text(b)); return jj_spend_bytes(r, jj_str(a)->len);
    case JJ_LIST: {
        const struct jj_list *l = jj_list_of(a), *m = jj_list_of(b);
        if (l->n != m->n || !same_flavor(l, m)) return true;
        for (size_t i = 0; i < l->n; i++) {
            if (!jj_equal(r, l->items[i], m->items[i], depth + 1, out)) return false;
            if (!*out) return true;
        }
        *out = true;
        return true;
    }
    case JJ_DICT: {
        const struct jj_dict *d = jj_dict_of(a), *e = jj_dict_of(b);
        if (d->n != e->n) return true;
        for (size_t i = 0; i < d->n; i++) {
            size_t at;
            if (!jj_dict_find(r, e, d->keys[i], &at)) return false;
            if (at == SIZE_MAX) return true;
            if (!jj_equal(r, d->values[i], e->values[at], depth + 1, out)) return false;
            if (!*out) return true;
        }
        *out = true;
        return true;
    }
    default: *out = a.u.ref == b.u.ref; return true;
    }
}

bool jj_less(struct weft_jinja_run *r, struct weft_jinja_value a, struct weft_jinja_value b, int depth,
             bool *out)
{
    double x, y;
    *out = false;
    if (depth > JJ_VALUE_DEPTH) return jj_too_deep(r);
    if (!jj_spend(r, 1)) return false;
    if (a.kind == JJ_UNDEFINED || b.kind == JJ_UNDEFINED)
        return jj_fail_undefined(r, a.kind == JJ_UNDEFINED ? a : b);
    if (jj_is_number(a, &x) && jj_is_number(b, &y)) {
        if (a.kind == JJ_INT && b.kind == JJ_INT) *out = a.u.integer < b.u.integer;
        else *out = x < y;
        return true;
    }
    if (a.kind == JJ_STRING && b.kind == JJ_STRING) { /* bytes of UTF-8 sort as code points do */
        *out = weft_str_cmp(jj_text(a), jj_text(b)) < 0;
        return jj_spend_bytes(r, weft_min_size(jj_str(a)->len, jj_str(b)->len));
    }
    if (a.kind == JJ_LIST && b.kind == JJ_LIST && same_flavor(jj_list_of(a), jj_list_of(b))
        && (jj_list_of(a)->flavor == JJ_PLAIN || jj_list_of(a)->flavor == JJ_TUPLE
            || jj_list_of(a)->flavor == JJ_GROUP)) {
        const struct jj_list *l = jj_list_of(a), *m = jj_list_of(b);
        for (size_t i = 0; i < l->n && i < m->n; i++) {
            bool same;
            if (!jj_equal(r, l->items[i], m->items[i], depth + 1, &same)) return false;
            if (!same) return jj_less(r, l->items[i], m->items[i], depth + 1, out);
        }
        *out = l->n < m->n;
        return true;
    }
    return jj_fail(r, "%s and %s cannot be put in order", jj_type(a), jj_type(b));
}

bool jj_contains(struct weft_jinja_run *r, struct weft_jinja_value v, struct weft_jinja_value seq, bool *out)
{
    size_t at;
    *out = false;
    switch (seq.kind) {
    case JJ_UNDEFINED: return true;
    case JJ_STRING:
        if (v.kind == JJ_UNDEFINED) return jj_fail_undefined(r, v);
        if (v.kind != JJ_STRING) return jj_fail(r, "'in' a str looks for a str, not %s", jj_type(v));
        *out = weft_str_find(jj_text(seq), jj_text(v), 0) != SIZE_MAX;
        return jj_spend_bytes(r, jj_str(seq)->len);
    case JJ_DICT:
        if (!jj_dict_find(r, jj_dict_of(seq), v, &at)) return false;
        *out = at != SIZE_MAX;
        return true;
    case JJ_LIST: {
        const struct weft_jinja_value *items;
        size_t n;
        if (!jj_items(r, seq, &items, &n)) return false;
        for (size_t i = 0; i < n && !*out; i++)
            if (!jj_equal(r, items[i], v, 0, out)) return false;
        return true;
    }
    default: return jj_fail(r, "'in' needs a str, list or dict on its right, not %s", jj_type(seq));
    }
}

bool jj_compare(struct weft_jinja_run *r, enum jj_op op, struct weft_jinja_value a, struct weft_jinja_value b,
                bool *out)
{
    bool same;
    switch (op) {
    case JJ_EQ: return jj_equal(r, a, b, 0, out);
    case JJ_IN: return jj_contains(r, a, b, out);
    case JJ_NE:
    case JJ_NOTIN:
        if (op == JJ_NE ? !jj_equal(r, a, b, 0, &same) : !jj_contains(r, a, b, &same)) return false;
        *out = !same;
        return true;
    case JJ_LT: return jj_less(r, a, b, 0, out);
    case JJ_GT: return jj_less(r, b, a, 0, out);
    default: /* <= is not "not >" for NaN */
        if (!jj_less(r, op == JJ_LE ? a : b, op == JJ_LE ? b : a, 0, out)) return false;
        if (*out) return true;
        if (!jj_equal(r, a, b, 0, &same)) return false;
        *out = same;
        return true;
    }
}

/* ---- sequences ---- */

bool jj_items(struct weft_jinja_run *r, struct weft_jinja_value v, const struct weft_jinja_value **items,
              size_t *n)
{
    struct weft_jinja_value list, *x;
    switch (v.kind) {
    case JJ_UNDEFINED:
        *items = NULL;
        *n = 0;
        return true;
    case JJ_LIST: {
        const struct jj_list *l = jj_list_of(v);
        size_t from = l->taken ? *l->taken : 0;
        *items = l->items + from;
        *n = l->n - from;
        if (l->taken) *l->taken = l->n;
        return true;
    }
    case JJ_DICT:
        *items = jj_dict_of(v)->keys;
        *n = jj_dict_of(v)->n;
        return true;
    case JJ_STRING: {
        struct jj_string plain = *jj_str(v), *s = &plain; /* its characters are no markup */
        size_t chars = weft_utf8_chars((struct weft_str){ s->s, s->len });
        plain.markup = false;
        if (!jj_list(r, chars, JJ_PLAIN, &list, &x)) return false;
        for (size_t i = 0, at = 0; at < s->len; i++) {
            uint32_t cp;
            size_t len = weft_utf8_decode(s->s + at, s->len - at, &cp, NULL);
            if (!jj_substr(r, s, at, at + len, &x[i])) return false;
            at += len;
        }
        *items = x;
        *n = chars;
        return true;
    }
    default: return jj_fail(r, "%s has no items to go through", jj_type(v));
    }
}

bool jj_length(struct weft_jinja_run *r, struct weft_jinja_value v, int64_t *n)
{
    switch (v.kind) {
    case JJ_UNDEFINED: *n = 0; return true;
    case JJ_STRING: *n = (int64_t)weft_utf8_chars(jj_text(v)); return jj_spend_bytes(r, jj_str(v)->len);
    case JJ_LIST:
        if (jj_list_of(v)->flavor == JJ_GENERATOR) break;
        *n = (int64_t)jj_list_of(v)->n;
        return true;
    case JJ_DICT: *n = (int64_t)jj_dict_of(v)->n; return true;
    case JJ_LOOP: *n = (int64_t)((const struct jj_loop *)v.u.ref)->n; return true;
    default: break;
    }
    return jj_fail(r, "%s has no length", jj_type(v));
}

/* ---- arithmetic ---- */

static const char *op_text(enum jj_op op)
{
    static const char *const text[] = { "+", "-", "*", "/", "//", "%", "**" };
    return text[op];
}

static bool repeat(struct weft_jinja_run *r, struct weft_jinja_value v, int64_t times,
                   struct weft_jinja_value *out)
{
    if (times < 0) times = 0;
    if (v.kind == JJ_STRING) {
        struct jj_sink k = { 0 };
        const struct jj_string *s = jj_str(v);
        if (s->len && (uint64_t)times > WEFT_JINJA_OUTPUT_BYTES / s->len)
            return jj_sink_room(r, &k, SIZE_MAX);
        for (int64_t i = 0; i < times && s->len; i++)
            if (!jj_put_string(r, &k, s, 0, s->len)) return false;
        return jj_sink_value(r, &k, out);
    }
    const struct jj_list *l = jj_list_of(v);
    struct weft_jinja_value *items;
    size_t n;
    if (!weft_size_mul(l->n, (size_t)times, &n)) return jj_nomem(r, SIZE_MAX);
    if (!jj_list(r, n, l->flavor == JJ_GROUP ? JJ_TUPLE : l->flavor, out, &items)) return false;
    for (size_t i = 0; i < n; i++) items[i] = l->items[i % l->n];
    return true;
}

static bool is_plain_seq(struct weft_jinja_value v)
{
    return v.kind == JJ_LIST
           && (jj_list_of(v)->flavor == JJ_PLAIN || jj_list_of(v)->flavor == JJ_TUPLE
               || jj_list_of(v)->flavor == JJ_GROUP);
}

static bool add(struct weft_jinja_run *r, struct weft_jinja_value a, struct weft_jinja_value b,
                struct weft_jinja_value *out)
{
    if (a.kind == JJ_STRING && b.kind == JJ_STRING) {
        bool markup = jj_str(a)->markup || jj_str(b)->markup;
        if (markup && (!jj_escape_html(r, jj_str(a), &a) || !jj_escape_html(r, jj_str(b), &b))) return false;
        return jj_concat(r, jj_str(a), jj_str(b), out) && (!markup || jj_markup(r, *out, out));
    }
    const struct jj_list *l = jj_list_of(a), *m = jj_list_of(b);
    struct weft_jinja_value *items;
    if (!jj_list(r, l->n + m->n, l->flavor == JJ_PLAIN ? JJ_PLAIN : JJ_TUPLE, out, &items)) return false;
    if (l->n) memcpy(items, l->items, l->n * sizeof *items);
    if (m->n) memcpy(items + l->n, m->items, m->n * sizeof *items);
    return true;
}

static bool int_arith(struct weft_jinja_run *r, enum jj_op op, int64_t a, int64_t b,
                      struct weft_jinja_value *out)
{
    int64_t v = 0;
    bool over = false;
    switch (op) {
    case JJ_ADD: over = __builtin_add_overflow(a, b, &v); break;
    case JJ_SUB: over = __builtin_sub_overflow(a, b, &v); break;
    case JJ_MUL: over = __builtin_mul_overflow(a, b, &v); break;
    case JJ_FLOORDIV:
    case JJ_MOD:
        if (!b) return jj_fail(r, "division by zero");
        if (b == -1) { /* INT64_MIN / -1 traps */
            over = op == JJ_FLOORDIV && a == INT64_MIN;
            v = op == JJ_FLOORDIV && !over ? -a : 0;
            break;
        }
        v = op == JJ_FLOORDIV ? a / b : a % b;
        if (a % b && (a % b < 0) != (b < 0)) v += op == JJ_FLOORDIV ? -1 : b;
        break;
    default: /* JJ_POW */
        if (b < 0) {
            if (!a) return jj_fail(r, "division by zero");
            *out = jj_float(pow((double)a, (double)b));
            return true;
        }
        v = 1;
        for (int64_t e = b, base = a; e && !over;) {
            if (e & 1) over = __builtin_mul_overflow(v, base, &v);
            e >>= 1;
            if (e && !over) over = __builtin_mul_overflow(base, base, &base);
        }
    }
    if (over) return jj_fail(r, "the result of '%s' does not fit 64 bits", op_text(op));
    *out = jj_int(v);
    return true;
}

static bool float_arith(struct weft_jinja_run *r, enum jj_op op, double a, double b,
                        struct weft_jinja_value *out)
{
    double v;
    if ((op == JJ_DIV || op == JJ_FLOORDIV || op == JJ_MOD) && b == 0) return jj_fail(r, "division by zero");
    switch (op) {
    case JJ_ADD: v = a + b; break;
    case JJ_SUB: v = a - b; break;
    case JJ_MUL: v = a * b; break;
    case JJ_DIV: v = a / b; break;
    case JJ_FLOORDIV:
    case JJ_MOD:
        v = fmod(a, b);
        if (op == JJ_MOD) {
            if (v != 0 && (v < 0) != (b < 0)) v += b;
            else if (v == 0) v = copysign(0.0, b);
        } else {
            double q = (a - v) / b;
            if (v != 0 && (v < 0) != (b < 0)) q -= 1;
            v = q == 0 ? copysign(0.0, a / b) : floor(q) + (q - floor(q) > 0.5);
        }
        break;
    default:
        if (a == 0 && b < 0) return jj_fail(r, "division by zero");
        if (a < 0 && floor(b) != b && !isinf(b)) return jj_fail(r, "'**' gives a complex number");
        v = pow(a, b);
        if (isinf(v) && !isinf(a) && !isinf(b))
            return jj_fail(r, "the result of '%s' is too large", op_text(op));
    }
    *out = jj_float(v);
    return true;
}

bool jj_arith(struct weft_jinja_run *r, enum jj_op op, struct weft_jinja_value a, struct weft_jinja_value b,
              struct weft_jinja_value *out)
{
    double x, y;
    int64_t i, k;
    if (op == JJ_MOD && a.kind == JJ_STRING) {
        bool tuple =
            b.kind == JJ_LIST && (jj_list_of(b)->flavor == JJ_TUPLE || jj_list_of(b)->flavor == JJ_GROUP);
        struct jj_call call = {
            .pos = tuple ? jj_list_of(b)->items : &b,
            .n_pos = tuple ? jj_list_of(b)->n : 1,
            .subscriptable = !tuple && (b.kind == JJ_LIST || b.kind == JJ_DICT || b.kind == JJ_UNDEFINED)
        };
        return jj_percent(r, jj_str(a), &call, out);
    }
    if (a.kind == JJ_UNDEFINED || b.kind == JJ_UNDEFINED)
        return jj_fail_undefined(r, a.kind == JJ_UNDEFINED ? a : b);
    if (jj_is_index(a, &i) && jj_is_index(b, &k) && op != JJ_DIV) return int_arith(r, op, i, k, out);
    if (jj_is_number(a, &x) && jj_is_number(b, &y)) return float_arith(r, op, x, y, out);
    if (op == JJ_ADD
        && ((a.kind == JJ_STRING && b.kind == JJ_STRING)
            || (is_plain_seq(a) && is_plain_seq(b)
                && (jj_list_of(a)->flavor == JJ_PLAIN) == (jj_list_of(b)->flavor == JJ_PLAIN))))
        return add(r, a, b, out);
    if (op == JJ_MUL && (a.kind == JJ_STRING || is_plain_seq(a)) && jj_is_index(b, &k))
        return repeat(r, a, k, out);
    if (op == JJ_MUL && (b.kind == JJ_STRING || is_plain_seq(b)) && jj_is_index(a, &k))
        return repeat(r, b, k, out);
    if (op == JJ_ADD && (a.kind == JJ_STRING || b.kind == JJ_STRING))
        return jj_fail(r, "'+' joins a str with a str, not %s and %s; '~' joins anything", jj_type(a),
                       jj_type(b));
    return jj_fail(r, "'%s' does not work between %s and %s", op_text(op), jj_type(a), jj_type(b));
}
