/* Filters: one row each in the table at the end.  Where Python hands out a generator, so does this (it
 * prints as one, has no length, is empty the second time), except that the work is done at once. */
#include "tokens/jinja_value.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define FILTER(name)                                                                                         \
    static bool name(struct weft_jinja_run *r, const struct jj_in *in, struct weft_jinja_value *out)

static bool flag(const struct jj_in *in, int i, bool def) { return in->set[i] ? jj_truth(in->arg[i]) : def; }
static bool given(const struct jj_in *in, int i) { return in->set[i] && in->arg[i].kind != JJ_NONE; }

static bool integer(struct weft_jinja_run *r, const struct jj_in *in, int i, int64_t def, const char *what,
                    int64_t *out)
{
    *out = def;
    if (!given(in, i) || jj_is_index(in->arg[i], out)) return true;
    return jj_fail(r, "'%s' needs an integer, not %s", what, jj_type(in->arg[i]));
}

bool jj_text_arg(struct weft_jinja_run *r, struct weft_jinja_value v, const struct jj_string **out)
{
    struct weft_jinja_value s;
    if (!jj_to_string(r, v, &s)) return false;
    *out = jj_str(s);
    return true;
}

static bool list_from(struct weft_jinja_run *r, const struct weft_jinja_value *items, size_t n,
                      enum jj_flavor flavor, struct weft_jinja_value *out)
{
    struct weft_jinja_value *copy;
    if (!jj_list(r, n, flavor, out, &copy)) return false;
    if (n) memcpy(copy, items, n * sizeof *copy);
    return true;
}

/* x.a.b.0: parts of an attribute path; numbers are indices. */
static bool attribute(struct weft_jinja_run *r, struct weft_jinja_value item, struct weft_jinja_value path,
                      const struct weft_jinja_value *def, struct weft_jinja_value *out)
{
    int64_t i;
    *out = item;
    if (path.kind == JJ_NONE) return true;
    if (jj_is_index(path, &i)) return jj_getitem(r, item, path, out);
    if (path.kind != JJ_STRING)
        return jj_fail(r, "an attribute is a str or an integer, not %s", jj_type(path));
    struct weft_str rest = jj_text(path);
    for (;;) {
        size_t dot = weft_min_size(weft_str_find(rest, WEFT_STR("."), 0), rest.len), d = 0;
        struct weft_str part = weft_str_sub(rest, 0, dot);
        struct weft_jinja_value key;
        while (d < part.len && part.s[d] >= '0' && part.s[d] <= '9') d++;
        if (d && d == part.len && d < 18) key = jj_int(strtoll(part.s, NULL, 10));
        else if (!jj_string(r, part, 0, &key)) return false;
        if (!jj_getitem(r, *out, key, out)) return false;
        if (def && def->kind != JJ_NONE && out->kind == JJ_UNDEFINED) *out = *def;
        if (dot == rest.len) return true;
        rest = weft_str_skip(rest, dot + 1);
    }
}

/* ---- strings ---- */

FILTER(f_trim)
{
    const struct jj_string *s, *chars = NULL;
    size_t from, to;
    if (!jj_text_arg(r, in->self, &s) || (given(in, 0) && !jj_text_arg(r, in->arg[0], &chars))) return false;
    jj_strip(s, chars, true, true, &from, &to);
    return jj_substr(r, s, from, to, out);
}

FILTER(f_string) { return jj_to_string(r, in->self, out); }

static bool cased(struct weft_jinja_run *r, const struct jj_in *in, enum jj_case how,
                  struct weft_jinja_value *out)
{
    const struct jj_string *s;
    return jj_text_arg(r, in->self, &s) && jj_change_case(r, s, how, out);
}
FILTER(f_upper) { return cased(r, in, JJ_UPPER, out); }
FILTER(f_lower) { return cased(r, in, JJ_LOWER, out); }
FILTER(f_title) { return cased(r, in, JJ_TITLE_WORDS, out); }
FILTER(f_capitalize) { return cased(r, in, JJ_CAPITALIZE, out); }

FILTER(f_replace)
{
    const struct jj_string *s, *old, *new;
    int64_t count;
    return integer(r, in, 2, -1, "count", &count) && jj_text_arg(r, in->self, &s)
           && jj_text_arg(r, in->arg[0], &old) && jj_text_arg(r, in->arg[1], &new)
           && jj_replace(r, s, old, new, count, out);
}

FILTER(f_format)
{
    const struct jj_string *s;
    if (in->call->n_pos && in->call->n_kw)
        return jj_fail(r, "'format' takes arguments either by position or by name");
    return jj_text_arg(r, in->self, &s) && jj_percent(r, s, in->call, out);
}

FILTER(f_escape)
{
    const struct jj_string *s;
    return jj_text_arg(r, in->self, &s) && jj_escape_html(r, s, out);
}

FILTER(f_safe)
{
    struct weft_jinja_value s;
    return jj_to_string(r, in->self, &s) && jj_markup(r, s, out);
}

FILTER(f_indent)
{
    struct jj_sink k = { 0 };
    const struct jj_string *s, *pad;
    struct weft_jinja_value spaces;
    int64_t width;
    bool first = flag(in, 1, false), blank = flag(in, 2, false);
    if (in->self.kind == JJ_UNDEFINED) return jj_fail_undefined(r, in->self);
    if (in->self.kind != JJ_STRING) return jj_fail(r, "'indent' needs a str, not %s", jj_type(in->self));
    s = jj_str(in->self);
    if (in->set[0] && in->arg[0].kind == JJ_STRING) pad = jj_str(in->arg[0]);
    else {
        if (!integer(r, in, 0, 4, "width", &width) || !jj_string(r, WEFT_STR(" "), 0, &spaces)
            || !jj_arith(r, JJ_MUL, spaces, jj_int(width), &spaces))
            return false;
        pad = jj_str(spaces);
    }
    size_t n_lines = 0;
    if (first && !jj_put_string(r, &k, pad, 0, pad->len)) return false;
    for (size_t at = 0; at <= s->len; n_lines++) { /* one newline is added, then str.splitlines */
        size_t end, next;
        jj_line(s, at, &end, &next);
        if (n_lines) {
            if (!jj_put(r, &k, WEFT_STR("\n"), 0, false)) return false;
            if ((blank || end > at) && !jj_put_string(r, &k, pad, 0, pad->len)) return false;
        }
        if (!jj_put_string(r, &k, s, at, end)) return false;
        if (next == s->len && end < s->len && s->s[s->len - 1] == '\r')
            break; /* \r and the added \n are one */
        at = end == s->len ? s->len + 1 : next;
    }
    return jj_sink_value(r, &k, out);
}

FILTER(f_tojson)
{
    struct jj_json_style style = { .ascii = flag(in, 0, false),
                                   .sort = flag(in, 3, false),
                                   .item_sep = WEFT_STR(", "),
                                   .key_sep = WEFT_STR(": ") };
    struct jj_sink k = { 0 };
    if (given(in, 1)) {
        int64_t n;
        struct weft_jinja_value pad;
        style.item_sep = WEFT_STR(",");
        if (in->arg[1].kind == JJ_STRING) style.indent = jj_text(in->arg[1]);
        else if (!jj_is_index(in->arg[1], &n))
            return jj_fail(r, "'%s' needs an integer, not %s", "indent", jj_type(in->arg[1]));
        else {
            if (!jj_string(r, WEFT_STR(" "), 0, &pad) || !jj_arith(r, JJ_MUL, pad, jj_int(n), &pad))
                return false;
            style.indent = jj_text(pad);
        }
    }
    if (given(in, 2)) {
        const struct weft_jinja_value *sep;
        size_t n;
        if (!jj_items(r, in->arg[2], &sep, &n)) return false;
        if (n != 2 || sep[0].kind != JJ_STRING || sep[1].kind != JJ_STRING)
            return jj_fail(r, "'separators' needs two strings");
        style.item_sep = jj_text(sep[0]);
        style.key_sep = jj_text(sep[1]);
    }
    return jj_json(r, &k, in->self, &style, 0)
           && jj_string(r, (struct weft_str){ k.s, k.len }, jj_tag(in->self, 0), out);
}

/* ---- numbers ---- */

/* float(str); false when it is no number. */
static bool parse_float(struct weft_str s, double *out)
{
    char text[400], *end;
    size_t n = 0;
    s = weft_str_trim_ascii(s);
    for (size_t i = 0; i < s.len; i++) {
        bool digits = i && i + 1 < s.len && s.s[i - 1] >= '0' && s.s[i - 1] <= '9' && s.s[i + 1] >= '0'
                      && s.s[i + 1] <= '9';
        if (s.s[i] == '_' && digits) continue;
        if (n + 1 >= sizeof text || s.s[i] == 'x' || s.s[i] == 'X' || s.s[i] == '(' || s.s[i] == '_')
            return false;
        text[n++] = s.s[i];
    }
    text[n] = '\0';
    *out = strtod(text, &end);
    return n && *end == '\0';
}

/* int(str, base) */
static bool parse_int(struct weft_str s, int64_t base, int64_t *out, bool *overflow)
{
    s = weft_str_trim_ascii(s);
    bool negative = s.len && s.s[0] == '-';
    size_t i = s.len && (s.s[0] == '-' || s.s[0] == '+'), digits = 0;
    if (i + 1 < s.len && s.s[i] == '0') {
        char c = s.s[i + 1] | 0x20;
        int64_t b = c == 'x' ? 16 : c == 'o' ? 8 : c == 'b' ? 2 : 0;
        if (b && (base == b || base == 0)) i += 2, base = b;
    }
    if (!base) base = 10;
    *out = 0;
    for (; i < s.len; i++) {
        char c = s.s[i] | 0x20;
        int v = s.s[i] >= '0' && s.s[i] <= '9' ? s.s[i] - '0' : c >= 'a' && c <= 'z' ? c - 'a' + 10 : 99;
        if (s.s[i] == '_' && digits && i + 1 < s.len && s.s[i + 1] != '_') continue;
        if (v >= base) return false;
        digits++;
        if (__builtin_mul_overflow(*out, base, out) || __builtin_add_overflow(*out, negative ? -v : v, out)) {
            *overflow = true;
            return true;
        }
    }
    return digits != 0;
}

static bool from_double(struct weft_jinja_run *r, double d, struct weft_jinja_value *out)
{
    d = trunc(d);
    if (!(fabs(d) < 9.2e18)) return jj_fail(r, "the result of '%s' does not fit 64 bits", "int");
    *out = jj_int((int64_t)d);
    return true;
}

FILTER(f_int)
{
    struct weft_jinja_value v = in->self, def = in->set[0] ? in->arg[0] : jj_int(0);
    int64_t i, base;
    double d;
    bool overflow = false;
    if (v.kind == JJ_UNDEFINED) return jj_fail_undefined(r, v);
    if (!integer(r, in, 1, 10, "base", &base)) return false;
    if (v.kind == JJ_STRING) {
        if (parse_int(jj_text(v), base, &i, &overflow)) {
            if (overflow) return jj_fail(r, "the result of '%s' does not fit 64 bits", "int");
            *out = jj_int(i);
            return true;
        }
        if (!parse_float(jj_text(v), &d) || !isfinite(d)) {
            *out = def;
            return true;
        }
        return from_double(r, d, out);
    }
    if (jj_is_index(v, &i)) *out = jj_int(i);
    else if (v.kind == JJ_FLOAT && isfinite(v.u.number)) return from_double(r, v.u.number, out);
    else *out = def;
    return true;
}

FILTER(f_float)
{
    double d;
    if (in->self.kind == JJ_UNDEFINED) return jj_fail_undefined(r, in->self);
    if (jj_is_number(in->self, &d) || (in->self.kind == JJ_STRING && parse_float(jj_text(in->self), &d)))
        *out = jj_float(d);
    else *out = in->set[0] ? in->arg[0] : jj_float(0);
    return true;
}

FILTER(f_abs)
{
    int64_t i;
    if (in->self.kind == JJ_FLOAT) *out = jj_float(fabs(in->self.u.number));
    else if (jj_is_index(in->self, &i))
        return i < 0 ? jj_arith(r, JJ_SUB, jj_int(0), jj_int(i), out) : (*out = jj_int(i), true);
    else
        return in->self.kind == JJ_UNDEFINED
                   ? jj_fail_undefined(r, in->self)
                   : jj_fail(r, "'%s' needs a number, not %s", "abs", jj_type(in->self));
    return true;
}

FILTER(f_round)
{
    int64_t p, i;
    double d;
    bool is_int = jj_is_index(in->self, &i);
    struct weft_str method = WEFT_STR("common");
    if (in->self.kind == JJ_UNDEFINED) return jj_fail_undefined(r, in->self);
    if (!jj_is_number(in->self, &d))
        return jj_fail(r, "'%s' needs a number, not %s", "round", jj_type(in->self));
    if (!integer(r, in, 0, 0, "precision", &p)) return false;
    if (in->set[1] && in->arg[1].kind == JJ_STRING) method = jj_text(in->arg[1]);
    if (p > 300 || p < -300) return jj_fail(r, "a precision of %lld", (long long)p);
    if (weft_str_is(method, "common")) {
        char text[700];
        if (is_int && p >= 0) *out = jj_int(i);
        else if (!isfinite(d)) *out = jj_float(d);
        else if (p >= 0) { /* glibc rounds the exact value, halves to even */
            snprintf(text, sizeof text, "%.*f", (int)p, d);
            *out = jj_float(strtod(text, NULL));
        } else {
            double unit = pow(10, (double)-p), v = nearbyint(d / unit) * unit;
            if (is_int) return from_double(r, v, out);
            *out = jj_float(v);
        }
        return true;
    }
    bool ceiling = weft_str_is(method, "ceil");
    if (!ceiling && !weft_str_is(method, "floor"))
        return jj_fail(r, "the method of 'round' is common, ceil or floor");
    double scale = pow(10, (double)p), scaled = d * scale;
    *out = jj_float((ceiling ? ceil(scaled) : floor(scaled)) / scale);
    return true;
}

/* ---- sequences ---- */

FILTER(f_length)
{
    int64_t n;
    if (!jj_length(r, in->self, &n)) return false;
    *out = jj_int(n);
    return true;
}

FILTER(f_list)
{
    const struct weft_jinja_value *items;
    size_t n;
    return jj_items(r, in->self, &items, &n) && list_from(r, items, n, JJ_PLAIN, out);
}

FILTER(f_items)
{
    struct weft_jinja_value *pairs, *pair;
    if (in->self.kind != JJ_UNDEFINED && in->self.kind != JJ_DICT)
        return jj_fail(r, "'items' needs a dict, not %s", jj_type(in->self));
    const struct jj_dict *d = in->self.kind == JJ_DICT ? jj_dict_of(in->self) : NULL;
    if (!jj_list(r, d ? d->n : 0, JJ_GENERATOR, out, &pairs)) return false;
    for (size_t i = 0; d && i < d->n; i++) {
        if (!jj_list(r, 2, JJ_TUPLE, &pairs[i], &pair)) return false;
        pair[0] = d->keys[i];
        pair[1] = d->values[i];
    }
    return true;
}

FILTER(f_join)
{
    struct jj_sink k = { 0 };
    const struct jj_string *sep = NULL;
    const struct weft_jinja_value *items;
    struct weft_jinja_value v;
    size_t n;
    if ((given(in, 0) && !jj_text_arg(r, in->arg[0], &sep)) || !jj_items(r, in->self, &items, &n))
        return false;
    for (size_t i = 0; i < n; i++) {
        v = items[i];
        if (given(in, 1) && !attribute(r, v, in->arg[1], NULL, &v)) return false;
        if ((i && sep && !jj_put_string(r, &k, sep, 0, sep->len)) || !jj_put_value(r, &k, v)) return false;
    }
    return jj_sink_value(r, &k, out);
}

FILTER(f_first)
{
    const struct weft_jinja_value *items;
    size_t n;
    if (in->self.kind == JJ_LIST && jj_list_of(in->self)->taken) { /* takes one only */
        const struct jj_list *l = jj_list_of(in->self);
        if (*l->taken < l->n) {
            *out = l->items[(*l->taken)++];
            return true;
        }
    }
    if (!jj_items(r, in->self, &items, &n)) return false;
    if (!n)
        return jj_undefined(r, WEFT_STR("the first item of an empty sequence"), (struct weft_str){ 0 }, out);
    *out = items[0];
    return true;
}

FILTER(f_last)
{
    const struct weft_jinja_value *items;
    size_t n;
    if (in->self.kind == JJ_LIST && jj_list_of(in->self)->taken)
        return jj_fail(r, "%s has no last item", "generator");
    if (!jj_items(r, in->self, &items, &n)) return false;
    if (!n)
        return jj_undefined(r, WEFT_STR("the last item of an empty sequence"), (struct weft_str){ 0 }, out);
    *out = items[n - 1];
    return true;
}

FILTER(f_default)
{
    bool missing = in->self.kind == JJ_UNDEFINED || (flag(in, 1, false) && !jj_truth(in->self));
    if (!missing) *out = in->self;
    else if (in->set[0]) *out = in->arg[0];
    else return jj_string(r, WEFT_STR(""), 0, out);
    return true;
}

FILTER(f_reverse)
{
    const struct weft_jinja_value *items;
    struct weft_jinja_value *copy, step[3] = { jj_none(), jj_none(), jj_int(-1) };
    size_t n;
    if (in->self.kind == JJ_STRING) return jj_slice(r, in->self, step, out);
    bool plain = in->self.kind == JJ_LIST && jj_list_of(in->self)->flavor == JJ_GENERATOR;
    if (!jj_items(r, in->self, &items, &n) || !jj_list(r, n, plain ? JJ_PLAIN : JJ_GENERATOR, out, &copy))
        return false;
    for (size_t i = 0; i < n; i++) copy[i] = items[n - 1 - i];
    return true;
}

/* Strings compare without case unless asked otherwise. */
static bool fold(struct weft_jinja_run *r, struct weft_jinja_value v, bool sensitive,
                 struct weft_jinja_value *out)
{
    *out = v;
    return sensitive || v.kind != JJ_STRING || jj_change_case(r, jj_str(v), JJ_LOWER, out);
}

/* Keys for ordering: an attribute or the item itself; with `several` a list, of one or of the attributes
 * "a,b". */
static bool keys_of(struct weft_jinja_run *r, const struct weft_jinja_value *items, size_t n,
                    const struct weft_jinja_value *path, bool sensitive, const struct weft_jinja_value *def,
                    bool several, struct weft_jinja_value **out)
{
    struct weft_jinja_value *keys = jj_alloc(r, n * sizeof *keys), one = jj_none();
    size_t n_parts = 1;
    if (!keys) return false;
    struct weft_str all = path && path->kind == JJ_STRING ? jj_text(*path) : (struct weft_str){ 0 };
    for (size_t i = 0; several && i < all.len; i++) n_parts += all.s[i] == ',';
    for (size_t i = 0; i < n; i++) {
        struct weft_jinja_value *parts = &keys[i];
        struct weft_str rest = all;
        if (several && !jj_list(r, n_parts, JJ_PLAIN, &keys[i], &parts)) return false;
        for (size_t p = 0; p < n_parts; p++) {
            size_t comma =
                n_parts > 1 ? weft_min_size(weft_str_find(rest, WEFT_STR(","), 0), rest.len) : rest.len;
            if (path) one = *path;
            if (all.s && !jj_string(r, weft_str_sub(rest, 0, comma), 0, &one)) return false;
            if (!attribute(r, items[i], one, def, &parts[p]) || !fold(r, parts[p], sensitive, &parts[p]))
                return false;
            rest = weft_str_skip(rest, comma + 1);
        }
    }
    *out = keys;
    return true;
}

/* Stable merge sort of indices by keys. */
static bool sort_order(struct weft_jinja_run *r, const struct weft_jinja_value *keys, size_t n, bool reverse,
                       uint32_t **out)
{
    uint32_t *a = jj_alloc(r, n * sizeof *a), *b = jj_alloc(r, n * sizeof *b);
    if (!a || !b) return false;
    for (size_t i = 0; i < n; i++) a[i] = (uint32_t)i;
    for (size_t w = 1; w < n; w *= 2) {
        for (size_t lo = 0; lo < n; lo += 2 * w) {
            size_t mid = weft_min_size(lo + w, n), hi = weft_min_size(lo + 2 * w, n), i = lo, j = mid;
            for (size_t k = lo; k < hi; k++) {
                bool right = i == mid;
                if (i < mid && j < hi) {
                    struct weft_jinja_value x = keys[a[i]], y = keys[a[j]];
                    if (!jj_less(r, reverse ? x : y, reverse ? y : x, 0, &right)) return false;
                }
                b[k] = right ? a[j++] : a[i++];
            }
        }
        uint32_t *t = a;
        a = b;
        b = t;
    }
    *out = a;
    return true;
}

FILTER(f_sort) /* reverse, case_sensitive, attribute */
{
    const struct weft_jinja_value *items;
    struct weft_jinja_value *keys, *sorted;
    uint32_t *order;
    size_t n;
    if (!jj_items(r, in->self, &items, &n)
        || !keys_of(r, items, n, given(in, 2) ? &in->arg[2] : NULL, flag(in, 1, false), NULL, true, &keys)
        || !sort_order(r, keys, n, flag(in, 0, false), &order) || !jj_list(r, n, JJ_PLAIN, out, &sorted))
        return false;
    for (size_t i = 0; i < n; i++) sorted[i] = items[order[i]];
    return true;
}

FILTER(f_dictsort) /* case_sensitive, by, reverse */
{
    struct weft_jinja_value *keys, *sorted, *pair;
    uint32_t *order;
    bool by_value = false;
    if (in->self.kind != JJ_DICT)
        return in->self.kind == JJ_UNDEFINED
                   ? jj_fail_undefined(r, in->self)
                   : jj_fail(r, "'%s' needs a dict, not %s", "dictsort", jj_type(in->self));
    if (in->set[1]) {
        by_value = in->arg[1].kind == JJ_STRING && weft_str_is(jj_text(in->arg[1]), "value");
        if (!by_value && !(in->arg[1].kind == JJ_STRING && weft_str_is(jj_text(in->arg[1]), "key")))
            return jj_fail(r, "'dictsort' sorts by key or by value");
    }
    const struct jj_dict *d = jj_dict_of(in->self);
    if (!keys_of(r, by_value ? d->values : d->keys, d->n, NULL, flag(in, 0, false), NULL, false, &keys)
        || !sort_order(r, keys, d->n, flag(in, 2, false), &order)
        || !jj_list(r, d->n, JJ_PLAIN, out, &sorted))
        return false;
    for (size_t i = 0; i < d->n; i++) {
        if (!jj_list(r, 2, JJ_TUPLE, &sorted[i], &pair)) return false;
        pair[0] = d->keys[order[i]];
        pair[1] = d->values[order[i]];
    }
    return true;
}

FILTER(f_groupby) /* attribute, default, case_sensitive */
{
    const struct weft_jinja_value *items, *def = in->set[1] ? &in->arg[1] : NULL;
    struct weft_jinja_value *keys, *groups, *pair, *members;
    uint32_t *order;
    size_t n, n_groups = 0;
    if (!jj_items(r, in->self, &items, &n)
        || !keys_of(r, items, n, &in->arg[0], flag(in, 2, false), def, false, &keys)
        || !sort_order(r, keys, n, false, &order))
        return false;
    bool *starts = jj_alloc(r, n + 1), same;
    if (!starts) return false;
    for (size_t i = 0; i < n; i++) {
        same = false;
        if (i && !jj_equal(r, keys[order[i - 1]], keys[order[i]], 0, &same)) return false;
        starts[i] = !same;
        n_groups += starts[i];
    }
    if (!jj_list(r, n_groups, JJ_PLAIN, out, &groups)) return false;
    for (size_t i = 0, g = 0, end; i < n; i = end, g++) {
        for (end = i + 1; end < n && !starts[end];) end++;
        if (!jj_list(r, 2, JJ_GROUP, &groups[g], &pair)
            || !attribute(r, items[order[i]], in->arg[0], def, &pair[0])
            || !jj_list(r, end - i, JJ_PLAIN, &pair[1], &members))
            return false;
        for (size_t k = i; k < end; k++) members[k - i] = items[order[k]];
    }
    return true;
}

FILTER(f_unique) /* case_sensitive, attribute */
{
    const struct weft_jinja_value *items;
    struct weft_jinja_value *keys, *kept;
    size_t n, k = 0;
    if (!jj_items(r, in->self, &items, &n)
        || !keys_of(r, items, n, given(in, 1) ? &in->arg[1] : NULL, flag(in, 0, false), NULL, false, &keys))
        return false;
    kept = jj_alloc(r, n * sizeof *kept);
    if (!kept) return false;
    for (size_t i = 0; i < n; i++) {
        bool seen = false;
        if (keys[i].kind == JJ_DICT || (keys[i].kind == JJ_LIST && jj_list_of(keys[i])->flavor == JJ_PLAIN))
            return jj_fail(r, "%s cannot be a key", jj_type(keys[i]));
        for (size_t j = 0; j < i && !seen; j++)
            if (!jj_equal(r, keys[i], keys[j], 0, &seen)) return false;
        if (!seen) kept[k++] = items[i];
    }
    return list_from(r, kept, k, JJ_GENERATOR, out);
}

static bool extreme(struct weft_jinja_run *r, const struct jj_in *in, bool max, struct weft_jinja_value *out)
{
    const struct weft_jinja_value *items;
    struct weft_jinja_value *keys;
    size_t n, best = 0;
    if (!jj_items(r, in->self, &items, &n)) return false;
    if (!n) return jj_undefined(r, WEFT_STR("an item of an empty sequence"), (struct weft_str){ 0 }, out);
    if (!keys_of(r, items, n, given(in, 1) ? &in->arg[1] : NULL, flag(in, 0, false), NULL, false, &keys))
        return false;
    for (size_t i = 1; i < n; i++) {
        bool better;
        if (!jj_less(r, max ? keys[best] : keys[i], max ? keys[i] : keys[best], 0, &better)) return false;
        if (better) best = i;
    }
    *out = items[best];
    return true;
}
FILTER(f_min) { return extreme(r, in, false, out); }
FILTER(f_max) { return extreme(r, in, true, out); }

FILTER(f_sum) /* attribute, start */
{
    const struct weft_jinja_value *items;
    struct weft_jinja_value v;
    size_t n;
    *out = in->set[1] ? in->arg[1] : jj_int(0);
    if (out->kind == JJ_STRING) return jj_fail(r, "'sum' does not join strings; use 'join'");
    if (!jj_items(r, in->self, &items, &n)) return false;
    for (size_t i = 0; i < n; i++) {
        v = items[i];
        if (given(in, 0) && !attribute(r, v, in->arg[0], NULL, &v)) return false;
        if (!jj_arith(r, JJ_ADD, *out, v, out)) return false;
    }
    return true;
}

FILTER(f_batch) /* linecount, fill_with */
{
    const struct weft_jinja_value *items;
    struct weft_jinja_value *rows, *row;
    size_t n;
    int64_t w;
    if (!integer(r, in, 0, 0, "linecount", &w) || !jj_items(r, in->self, &items, &n)) return false;
    if (w < 1) return jj_fail(r, "'%s' needs a count of at least 1, not %lld", "batch", (long long)w);
    if (!jj_list(r, weft_ceil_div(n, (size_t)w), JJ_GENERATOR, out, &rows)) return false;
    for (size_t i = 0, at = 0; at < n; i++) {
        size_t have = weft_min_size((size_t)w, n - at), len = given(in, 1) ? (size_t)w : have;
        if (!jj_list(r, len, JJ_PLAIN, &rows[i], &row)) return false;
        for (size_t k = 0; k < len; k++) row[k] = k < have ? items[at + k] : in->arg[1];
        at += have;
    }
    return true;
}

FILTER(f_slice) /* slices, fill_with */
{
    const struct weft_jinja_value *items;
    struct weft_jinja_value *rows, *row;
    size_t n, at = 0;
    int64_t w;
    if (!integer(r, in, 0, 0, "slices", &w) || !jj_items(r, in->self, &items, &n)) return false;
    if (w < 1 || w > 65536)
        return jj_fail(r, "'%s' needs a count of at least 1, not %lld", "slice", (long long)w);
    if (!jj_list(r, (size_t)w, JJ_GENERATOR, out, &rows)) return false;
    for (size_t i = 0; i < (size_t)w; i++) {
        bool extra = i < n % (size_t)w, fill = given(in, 1) && !extra;
        size_t len = n / (size_t)w + extra;
        if (!jj_list(r, len + fill, JJ_PLAIN, &rows[i], &row)) return false;
        for (size_t k = 0; k < len; k++) row[k] = items[at++];
        if (fill) row[len] = in->arg[1];
    }
    return true;
}

/* ---- filters that take the name of a filter or test ---- */

static struct jj_call rest_of(const struct jj_call *c, size_t n)
{
    struct jj_call rest = *c;
    rest.pos += n;
    rest.n_pos -= n;
    return rest;
}

static bool unknown(struct weft_jinja_run *r, struct weft_jinja_value name, bool test)
{
    char shown[64];
    if (name.kind != JJ_STRING)
        return jj_fail(r, "the name of a filter or test is a str, not %s", jj_type(name));
    const char *near = jj_nearest(jj_text(name), test);
    weft_escape(shown, sizeof shown, jj_text(name));
    if (test)
        return near ? jj_fail(r, "unknown test '%s'; the nearest one is '%s'", shown, near)
                    : jj_fail(r, "unknown test '%s'", shown);
    return near ? jj_fail(r, "unknown filter '%s'; the nearest one is '%s'", shown, near)
                : jj_fail(r, "unknown filter '%s'", shown);
}

FILTER(f_map)
{
    const struct jj_call *c = in->call;
    const struct weft_jinja_value *items, *path = NULL, *def = NULL;
    const struct jj_builtin *b = NULL;
    struct weft_jinja_value *mapped;
    struct jj_call rest = { 0 };
    size_t n;
    for (size_t i = 0; i < c->n_kw && !c->n_pos; i++) {
        if (weft_str_is(c->kw_names[i], "attribute")) path = &c->kw[i];
        else if (weft_str_is(c->kw_names[i], "default")) def = &c->kw[i];
    }
    if (!path) {
        if (!c->n_pos)
            return jj_fail(r, "%s '%s' needs its argument '%s'", jj_word(r, "filter"), "map", "attribute");
        if (c->pos[0].kind == JJ_STRING) b = jj_find_filter(jj_text(c->pos[0]));
        if (!b) return unknown(r, c->pos[0], false);
        rest = rest_of(c, 1);
    }
    if (!jj_truth(in->self)) return jj_list(r, 0, JJ_GENERATOR, out, NULL);
    if (!jj_items(r, in->self, &items, &n) || !jj_list(r, n, JJ_GENERATOR, out, &mapped)) return false;
    for (size_t i = 0; i < n; i++) {
        bool ok = b ? jj_apply(r, b, "filter", items[i], &rest, &mapped[i])
                    : attribute(r, items[i], *path, def, &mapped[i]);
        if (!ok) return false;
    }
    return true;
}

static bool pick(struct weft_jinja_run *r, const struct jj_in *in, bool want, bool by_attribute,
                 struct weft_jinja_value *out)
{
    const struct jj_call *c = in->call;
    const struct weft_jinja_value *items;
    const struct jj_builtin *b = NULL;
    struct weft_jinja_value *kept;
    struct jj_call rest = { 0 };
    size_t n, k = 0, skip = by_attribute;
    if (!jj_truth(in->self)) return jj_list(r, 0, JJ_GENERATOR, out, NULL);
    if (by_attribute && !c->n_pos)
        return jj_fail(r, "%s '%s' needs its argument '%s'", jj_word(r, "filter"), "selectattr", "attribute");
    if (c->n_pos > skip) {
        if (c->pos[skip].kind == JJ_STRING) b = jj_find_test(jj_text(c->pos[skip]));
        if (!b) return unknown(r, c->pos[skip], true);
        rest = rest_of(c, skip + 1);
    }
    if (!jj_items(r, in->self, &items, &n)) return false;
    kept = jj_alloc(r, n * sizeof *kept);
    if (!kept) return false;
    for (size_t i = 0; i < n; i++) {
        struct weft_jinja_value v = items[i];
        if (by_attribute && !attribute(r, v, c->pos[0], NULL, &v)) return false;
        if (b && !jj_apply(r, b, "test", v, &rest, &v)) return false;
        if (jj_truth(v) == want) kept[k++] = items[i];
    }
    return list_from(r, kept, k, JJ_GENERATOR, out);
}
FILTER(f_select) { return pick(r, in, true, false, out); }
FILTER(f_reject) { return pick(r, in, false, false, out); }
FILTER(f_selectattr) { return pick(r, in, true, true, out); }
FILTER(f_rejectattr) { return pick(r, in, false, true, out); }

FILTER(f_attr)
{
    if (in->arg[0].kind != JJ_STRING)
        return jj_fail(r, "an attribute is a str or an integer, not %s", jj_type(in->arg[0]));
    if (in->self.kind == JJ_DICT) return jj_undefined(r, jj_text(in->arg[0]), WEFT_STR("dict"), out);
    return jj_getattr(r, in->self, jj_text(in->arg[0]), out);
}

/* ---- the table ---- */

static const struct jj_builtin filters[] = {
    { "abs", "", 0, f_abs },
    { "attr", "name", 1, f_attr },
    { "batch", "linecount,fill_with", 1, f_batch },
    { "capitalize", "", 0, f_capitalize },
    { "count", "", 0, f_length },
    { "d", "default_value,boolean", 0, f_default },
    { "default", "default_value,boolean", 0, f_default },
    { "dictsort", "case_sensitive,by,reverse", 0, f_dictsort },
    { "e", "", 0, f_escape },
    { "escape", "", 0, f_escape },
    { "first", "", 0, f_first },
    { "float", "default", 0, f_float },
    { "format", "*", 0, f_format },
    { "groupby", "attribute,default,case_sensitive", 1, f_groupby },
    { "indent", "width,first,blank", 0, f_indent },
    { "int", "default,base", 0, f_int },
    { "items", "", 0, f_items },
    { "join", "d,attribute", 0, f_join },
    { "last", "", 0, f_last },
    { "length", "", 0, f_length },
    { "list", "", 0, f_list },
    { "lower", "", 0, f_lower },
    { "map", "*", 0, f_map },
    { "max", "case_sensitive,attribute", 0, f_max },
    { "min", "case_sensitive,attribute", 0, f_min },
    { "reject", "*", 0, f_reject },
    { "rejectattr", "*", 0, f_rejectattr },
    { "replace", "old,new,count", 2, f_replace },
    { "reverse", "", 0, f_reverse },
    { "round", "precision,method", 0, f_round },
    { "safe", "", 0, f_safe },
    { "select", "*", 0, f_select },
    { "selectattr", "*", 0, f_selectattr },
    { "slice", "slices,fill_with", 1, f_slice },
    { "sort", "reverse,case_sensitive,attribute", 0, f_sort },
    { "string", "", 0, f_string },
    { "sum", "attribute,start", 0, f_sum },
    { "title", "", 0, f_title },
    { "tojson", "ensure_ascii,indent,separators,sort_keys", 0, f_tojson },
    { "trim", "chars", 0, f_trim },
    { "unique", "case_sensitive,attribute", 0, f_unique },
    { "upper", "", 0, f_upper },
};

const struct jj_builtin *jj_find_in(const struct jj_builtin *table, size_t n, struct weft_str name)
{
    for (size_t i = 0; i < n; i++)
        if (weft_str_is(name, table[i].name)) return &table[i];
    return NULL;
}

const struct jj_builtin *jj_find_filter(struct weft_str name)
{
    return jj_find_in(filters, WEFT_COUNT(filters), name);
}

const struct jj_builtin *jj_filters(size_t *n)
{
    *n = WEFT_COUNT(filters);
    return filters;
}
