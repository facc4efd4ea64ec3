/* What values are and what Python would do with them: memory of a run, strings with tags, printing, comparing,
 * arithmetic.  Walks over lists and dicts are recursive and limited to VALUE_DEPTH, and every node visited is paid
 * for, because a few statements can make a value whose printed form has 2^30 parts. */
#include "tokens/jinja_value.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <utf8proc.h>

enum { VALUE_DEPTH = 160, CHUNK_BYTES = 16 << 10 };     /* JSON input may be 128 deep */

/* ---- memory, limits, errors ---- */

bool jj_fail_(struct weft_jinja_run *r, enum weft_status st)
{
    if (!r->st) r->st = st;
    return false;
}

bool jj_nomem(struct weft_jinja_run *r, size_t n)
{
    if (r->st) return false;
    r->st = weft_fail_nomem(r->err, n, "a rendered template");
    return false;
}

void *jj_alloc(struct weft_jinja_run *r, size_t n)
{
    size_t need;
    if (r->st) return NULL;
    if (!weft_size_align(n, 16, &need) || need > WEFT_JINJA_MEMORY_BYTES - r->used_bytes) {
        r->st = weft_fail(r->err, WEFT_ELIMIT, "%s:%d: the template needs more than %d MiB of memory", r->t->name, r->line,
                          WEFT_JINJA_MEMORY_BYTES >> 20);
        return NULL;
    }
    char *p;
    if (need <= r->chunk_left) {
        p = r->chunk;
        r->chunk += need;
        r->chunk_left -= need;
    } else if (need >= CHUNK_BYTES / 4) {
        p = weft_arena_alloc(r->a, need);
    } else {
        p = weft_arena_alloc(r->a, CHUNK_BYTES);
        if (p) {
            r->chunk = p + need;
            r->chunk_left = CHUNK_BYTES - need;
        }
    }
    if (!p) {
        jj_nomem(r, need);
        return NULL;
    }
    r->used_bytes += need;
    return memset(p, 0, n);
}

bool jj_spend(struct weft_jinja_run *r, size_t units)
{
    if (r->st) return false;
    if (units <= r->units_max - r->units) {
        r->units += (uint32_t)units;
        return true;
    }
    r->st = weft_fail(r->err, WEFT_ELIMIT, "%s:%d: the template takes more than %d steps", r->t->name, r->line, WEFT_JINJA_STEPS);
    return false;
}

static bool spend_bytes(struct weft_jinja_run *r, size_t n) { return jj_spend(r, 1 + n / 256); }

bool jj_fail_undefined(struct weft_jinja_run *r, struct weft_jinja_value v)
{
    const struct jj_undefined *u = v.u.ref;
    char name[80], owner[32];
    if (!u) return jj_fail(r, "an undefined value is used");
    weft_escape(name, sizeof name, u->name);
    if (!u->owner.s) return jj_fail(r, "'%s' is undefined", name);
    return jj_fail(r, "%s has no '%s'", weft_escape(owner, sizeof owner, u->owner), name);
}

/* ---- making values ---- */

bool jj_undefined(struct weft_jinja_run *r, struct weft_str name, struct weft_str owner, struct weft_jinja_value *out)
{
    struct jj_undefined *u = jj_alloc(r, sizeof *u);
    if (!u) return false;
    *u = (struct jj_undefined){ name, owner };
    *out = (struct weft_jinja_value){ .kind = JJ_UNDEFINED, .u.ref = u };
    return true;
}

bool jj_string(struct weft_jinja_run *r, struct weft_str s, int32_t tag, struct weft_jinja_value *out)
{
    struct jj_string *x = jj_alloc(r, sizeof *x);
    if (!x) return false;
    *x = (struct jj_string){ .s = s.s ? s.s : "", .len = s.len, .tag = tag };
    *out = (struct weft_jinja_value){ .kind = JJ_STRING, .u.ref = x };
    return true;
}

bool jj_list(struct weft_jinja_run *r, size_t n, enum jj_flavor flavor, struct weft_jinja_value *out, struct weft_jinja_value **items)
{
    size_t bytes;
    struct jj_list *l = jj_alloc(r, sizeof *l);
    if (!l) return false;
    if (!weft_size_mul(n, sizeof *l->items, &bytes)) return jj_nomem(r, n);
    if (!jj_spend(r, n / 4)) return false;
    *l = (struct jj_list){ .n = n, .flavor = flavor };
    l->items = jj_alloc(r, bytes);
    if (!l->items) return false;
    if (flavor == JJ_GENERATOR && !(l->taken = jj_alloc(r, sizeof *l->taken))) return false;
    *out = (struct weft_jinja_value){ .kind = JJ_LIST, .u.ref = l };
    if (items) *items = l->items;
    return true;
}

bool jj_dict(struct weft_jinja_run *r, size_t cap, struct weft_jinja_value *out)
{
    struct jj_dict *d = jj_alloc(r, sizeof *d);
    if (!d) return false;
    *d = (struct jj_dict){ .cap = cap };
    d->keys = jj_alloc(r, cap * sizeof *d->keys);
    d->values = jj_alloc(r, cap * sizeof *d->values);
    *out = (struct weft_jinja_value){ .kind = JJ_DICT, .u.ref = d };
    return d->keys && d->values;
}

const struct weft_jinja_value *jj_dict_get(const struct jj_dict *d, struct weft_str key)
{
    for (size_t i = 0; i < d->n; i++)
        if (d->keys[i].kind == JJ_STRING && weft_str_eq(jj_text(d->keys[i]), key)) return &d->values[i];
    return NULL;
}

bool jj_dict_find(struct weft_jinja_run *r, const struct jj_dict *d, struct weft_jinja_value key, size_t *at)
{
    if (!jj_spend(r, 1 + d->n / 16)) return false;
    if (key.kind == JJ_DICT || (key.kind == JJ_LIST && jj_list_of(key)->flavor == JJ_PLAIN))
        return jj_fail(r, "%s cannot be a key", jj_type(key));
    for (*at = 0; *at < d->n; ++*at) {
        bool same;
        if (!jj_equal(r, d->keys[*at], key, 0, &same)) return false;
        if (same) return true;
    }
    *at = SIZE_MAX;
    return true;
}

bool jj_dict_put(struct weft_jinja_run *r, struct jj_dict *d, struct weft_jinja_value key, struct weft_jinja_value v)
{
    size_t at;
    if (!jj_dict_find(r, d, key, &at)) return false;
    if (at == SIZE_MAX) {
        at = d->n++;
        d->keys[at] = key;
    }
    d->values[at] = v;
    return true;
}

/* ---- sinks ---- */

static bool sink_room(struct weft_jinja_run *r, struct jj_sink *k, size_t n)
{
    if (n > WEFT_JINJA_OUTPUT_BYTES - k->len) {
        if (!r->st)
            r->st = weft_fail(r->err, WEFT_ELIMIT, "%s:%d: a text would be longer than %d MiB", r->t->name, r->line,
                              WEFT_JINJA_OUTPUT_BYTES >> 20);
        return false;
    }
    if (k->len + n <= k->cap) return true;
    size_t cap = weft_max_size(k->len + n, weft_max_size(112, k->cap * 2));
    char *s = jj_alloc(r, cap);
    if (!s) return false;
    if (k->len) memcpy(s, k->s, k->len);
    k->s = s;
    k->cap = cap;
    return true;
}

bool jj_put(struct weft_jinja_run *r, struct jj_sink *k, struct weft_str s, int32_t tag, bool generation)
{
    if (!s.len && !tag) return true;
    if (!spend_bytes(r, s.len) || !sink_room(r, k, s.len)) return false;
    if (s.len) memcpy(k->s + k->len, s.s, s.len);
    k->len += s.len;
    struct weft_jinja_span *last = k->n_spans ? &k->spans[k->n_spans - 1] : NULL;
    if (last && last->tag == tag && last->generation == generation) {
        last->end = k->len;
        return true;
    }
    if (k->n_spans == k->cap_spans) {
        size_t cap = weft_max_size(4, k->cap_spans * 2);
        struct weft_jinja_span *spans = jj_alloc(r, cap * sizeof *spans);
        if (!spans) return false;
        if (k->n_spans) memcpy(spans, k->spans, k->n_spans * sizeof *spans);
        k->spans = spans;
        k->cap_spans = cap;
    }
    k->spans[k->n_spans++] = (struct weft_jinja_span){ k->len, tag, generation };
    return true;
}

bool jj_put_string(struct weft_jinja_run *r, struct jj_sink *k, const struct jj_string *s, size_t from, size_t to)
{
    if (!s->n_spans) return jj_put(r, k, (struct weft_str){ s->s + from, to - from }, s->tag, false);
    size_t begin = 0;
    for (uint32_t i = 0; i < s->n_spans; begin = s->spans[i++].end) {
        size_t a = weft_max_size(from, begin), b = weft_min_size(to, s->spans[i].end);
        bool empty = begin == s->spans[i].end && begin >= from && begin <= to;
        if (a >= b && !empty) continue;
        if (!jj_put(r, k, (struct weft_str){ s->s + a, empty ? 0 : b - a }, s->spans[i].tag, s->spans[i].generation)) return false;
    }
    return jj_spend(r, s->n_spans / 8);
}

/* The sink's text as a string value; the sink must not grow any more. */
bool jj_sink_value(struct weft_jinja_run *r, const struct jj_sink *k, struct weft_jinja_value *out)
{
    struct jj_string *s = jj_alloc(r, sizeof *s);
    if (!s) return false;
    *s = (struct jj_string){ .s = k->len ? k->s : "", .len = k->len };
    for (size_t i = 0; i < k->n_spans; i++)
        if (k->spans[i].tag > s->tag) s->tag = k->spans[i].tag;
    if (k->n_spans > 1 || (k->n_spans && k->spans[0].generation)) {
        s->spans = k->spans;
        s->n_spans = (uint32_t)k->n_spans;
    }
    *out = (struct weft_jinja_value){ .kind = JJ_STRING, .u.ref = s };
    return true;
}

bool jj_substr(struct weft_jinja_run *r, const struct jj_string *s, size_t from, size_t to, struct weft_jinja_value *out)
{
    struct jj_sink k = {0};
    if (from > to) from = to;
    bool ok = s->n_spans ? jj_put_string(r, &k, s, from, to) && jj_sink_value(r, &k, out)
                         : jj_string(r, (struct weft_str){ s->s + from, to - from }, s->tag, out);
    return ok && (!s->markup || jj_markup(r, *out, out));
}

/* a + b.  A text that grows piece by piece (ns.text = ns.text + x) would cost its square: the room behind the last
 * result is kept, and when `a` is that result, b is written behind it.  Older values keep their length. */
bool jj_concat(struct weft_jinja_run *r, const struct jj_string *a, const struct jj_string *b, struct weft_jinja_value *out)
{
    size_t n = a->len + b->len, n_spans = (a->n_spans ? a->n_spans : 1) + (b->n_spans ? b->n_spans : 1);
    bool in_place = r->cat && a->s == r->cat && a->len == r->cat_len && a->spans == r->cat_spans && a->n_spans == r->cat_n &&
                    n <= r->cat_cap && n_spans <= r->cat_spans_cap;
    struct jj_string *s = jj_alloc(r, sizeof *s);
    if (!s || !spend_bytes(r, b->len)) return false;
    if (n > WEFT_JINJA_OUTPUT_BYTES)
        return jj_fail_(r, weft_fail(r->err, WEFT_ELIMIT, "%s:%d: a text would be longer than %d MiB", r->t->name, r->line,
                                     WEFT_JINJA_OUTPUT_BYTES >> 20));
    if (!in_place) {
        size_t cap = weft_max_size(n + n / 2, 96), cap_spans = weft_max_size(n_spans + n_spans / 2, 4);
        char *text = jj_alloc(r, cap);
        struct weft_jinja_span *spans = jj_alloc(r, cap_spans * sizeof *spans);
        if (!text || !spans || !spend_bytes(r, a->len)) return false;
        memcpy(text, a->s, a->len);
        r->cat_n = 0;
        if (a->n_spans) {
            memcpy(spans, a->spans, a->n_spans * sizeof *spans);
            r->cat_n = a->n_spans;
        } else if (a->len || a->tag)
            spans[r->cat_n++] = (struct weft_jinja_span){ a->len, a->tag, false };
        r->cat = text;
        r->cat_cap = cap;
        r->cat_spans = spans;
        r->cat_spans_cap = cap_spans;
    }
    memcpy(r->cat + a->len, b->s, b->len);
    struct weft_jinja_span only = { b->len, b->tag, false };
    const struct weft_jinja_span *more = b->n_spans ? b->spans : &only;
    size_t n_more = b->n_spans ? b->n_spans : (b->len || b->tag) ? 1 : 0;
    for (size_t i = 0; i < n_more; i++) {
        /* The last span is not extended: an older value may share it. */
        r->cat_spans[r->cat_n++] = (struct weft_jinja_span){ a->len + more[i].end, more[i].tag, more[i].generation };
    }
    r->cat_len = n;
    *s = (struct jj_string){ .s = r->cat, .len = n, .tag = a->tag > b->tag ? a->tag : b->tag, .spans = r->cat_spans,
                             .n_spans = (uint32_t)r->cat_n };
    *out = (struct weft_jinja_value){ .kind = JJ_STRING, .u.ref = s };
    return true;
}

bool jj_escape_html(struct weft_jinja_run *r, const struct jj_string *s, struct weft_jinja_value *out)
{
    static const struct { char c; char text[6]; } table[] = {
        { '&', "&amp;" }, { '<', "&lt;" }, { '>', "&gt;" }, { '"', "&#34;" }, { '\'', "&#39;" },
    };
    struct jj_sink k = {0};
    size_t done = 0;
    for (size_t i = 0; i < s->len && !s->markup; i++)
        for (size_t t = 0; t < WEFT_COUNT(table); t++)
            if (s->s[i] == table[t].c) {
                if (!jj_put_string(r, &k, s, done, i) || !jj_put(r, &k, weft_str_c(table[t].text), s->tag, false)) return false;
                done = i + 1;
            }
    return jj_put_string(r, &k, s, done, s->len) && jj_sink_value(r, &k, out) && jj_markup(r, *out, out);
}

bool jj_markup(struct weft_jinja_run *r, struct weft_jinja_value s, struct weft_jinja_value *out)
{
    struct jj_string *copy = jj_alloc(r, sizeof *copy);
    if (!copy) return false;
    *copy = *jj_str(s);
    copy->markup = true;
    *out = (struct weft_jinja_value){ .kind = JJ_STRING, .u.ref = copy };
    return true;
}

/* ---- kinds ---- */

const char *jj_type(struct weft_jinja_value v)
{
    static const char *const flavors[] = { "list", "tuple", "range", "generator", "dict_keys", "dict_values", "dict_items", "group" };
    switch (v.kind) {
    case JJ_UNDEFINED: return "Undefined";
    case JJ_NONE: return "None";
    case JJ_BOOL: return "bool";
    case JJ_INT: return "int";
    case JJ_FLOAT: return "float";
    case JJ_STRING: return "str";
    case JJ_LIST: return flavors[jj_list_of(v)->flavor];
    case JJ_DICT: return "dict";
    case JJ_NAMESPACE: return "namespace";
    case JJ_LOOP: return "loop";
    case JJ_MACRO: return "macro";
    case JJ_CYCLER: return "cycler";
    case JJ_JOINER: return "joiner";
    default: return "function";
    }
}

bool jj_truth(struct weft_jinja_value v)
{
    switch (v.kind) {
    case JJ_UNDEFINED:
    case JJ_NONE: return false;
    case JJ_BOOL: return v.u.boolean;
    case JJ_INT: return v.u.integer != 0;
    case JJ_FLOAT: return v.u.number != 0;
    case JJ_STRING: return jj_str(v)->len != 0;
    case JJ_LIST: return jj_list_of(v)->flavor == JJ_GENERATOR || jj_list_of(v)->n != 0;
    case JJ_DICT: return jj_dict_of(v)->n != 0;
    default: return true;
    }
}

bool jj_is_number(struct weft_jinja_value v, double *d)
{
    if (v.kind == JJ_FLOAT) *d = v.u.number;
    else if (v.kind == JJ_INT) *d = (double)v.u.integer;
    else if (v.kind == JJ_BOOL) *d = v.u.boolean;
    else return false;
    return true;
}

bool jj_is_index(struct weft_jinja_value v, int64_t *i)
{
    if (v.kind == JJ_INT) *i = v.u.integer;
    else if (v.kind == JJ_BOOL) *i = v.u.boolean;
    else return false;
    return true;
}

bool jj_is_space(uint32_t cp)
{
    if (cp < 0x80) return cp == ' ' || (cp >= 9 && cp <= 13) || (cp >= 0x1C && cp <= 0x1F);
    return cp == 0x85 || cp == 0xA0 || cp == 0x1680 || (cp >= 0x2000 && cp <= 0x200A) || cp == 0x2028 || cp == 0x2029 ||
           cp == 0x202F || cp == 0x205F || cp == 0x3000;
}

static bool strips(const struct jj_string *chars, const char *c, size_t n, uint32_t cp)
{
    if (!chars) return jj_is_space(cp);
    return weft_str_find((struct weft_str){ chars->s, chars->len }, (struct weft_str){ c, n }, 0) != SIZE_MAX;
}

void jj_strip(const struct jj_string *s, const struct jj_string *chars, bool left, bool right, size_t *from, size_t *to)
{
    uint32_t cp;
    size_t a = 0, b = s->len;
    while (left && a < b) {
        size_t n = weft_utf8_decode(s->s + a, b - a, &cp, NULL);
        if (!strips(chars, s->s + a, n, cp)) break;
        a += n;
    }
    while (right && b > a) {
        size_t p = b - 1;
        while (p > a && ((unsigned char)s->s[p] & 0xC0) == 0x80) p--;
        weft_utf8_decode(s->s + p, b - p, &cp, NULL);
        if (!strips(chars, s->s + p, b - p, cp)) break;
        b = p;
    }
    *from = a;
    *to = b;
}

int32_t jj_tag(struct weft_jinja_value v, int depth)
{
    int32_t best = 0, t;
    if (depth > VALUE_DEPTH) return 0;
    if (v.kind == JJ_STRING) return jj_str(v)->tag;
    if (v.kind == JJ_LIST) {
        const struct jj_list *l = jj_list_of(v);
        for (size_t i = 0; i < l->n; i++)
            if ((t = jj_tag(l->items[i], depth + 1)) > best) best = t;
    } else if (v.kind == JJ_DICT || v.kind == JJ_NAMESPACE) {
        const struct jj_dict *d = jj_dict_of(v);
        for (size_t i = 0; i < d->n; i++)
            if ((t = jj_tag(d->values[i], depth + 1)) > best) best = t;
    }
    return best;
}

/* ---- printing ---- */

static bool put_c(struct weft_jinja_run *r, struct jj_sink *k, const char *s) { return jj_put(r, k, weft_str_c(s), 0, false); }

static const char *float_text(char out[32], double d, bool json)
{
    if (isnan(d)) return json ? "NaN" : "nan";
    if (isinf(d)) return json ? (d > 0 ? "Infinity" : "-Infinity") : (d > 0 ? "inf" : "-inf");
    return weft_json_format_double(out, d);
}

static bool printable(uint32_t cp)
{
    if (cp < 0x7F) return cp >= 0x20;
    switch (utf8proc_category((utf8proc_int32_t)cp)) {
    case UTF8PROC_CATEGORY_CC: case UTF8PROC_CATEGORY_CF: case UTF8PROC_CATEGORY_CS: case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CN: case UTF8PROC_CATEGORY_ZL: case UTF8PROC_CATEGORY_ZP: case UTF8PROC_CATEGORY_ZS: return false;
    default: return true;
    }
}

static bool repr_string(struct weft_jinja_run *r, struct jj_sink *k, const struct jj_string *s)
{
    struct weft_str text = { s->s, s->len };
    bool single = weft_str_find(text, WEFT_STR("'"), 0) != SIZE_MAX, twice = weft_str_find(text, WEFT_STR("\""), 0) != SIZE_MAX;
    char quote = single && !twice ? '"' : '\'', q[2] = { quote, 0 }, esc[16];
    size_t done = 0;
    if (!put_c(r, k, q)) return false;
    for (size_t i = 0; i < s->len;) {
        uint32_t cp;
        size_t n = weft_utf8_decode(s->s + i, s->len - i, &cp, NULL);
        esc[0] = 0;
        if (cp == (unsigned char)quote || cp == '\\') snprintf(esc, sizeof esc, "\\%c", (char)cp);
        else if (cp == '\n') snprintf(esc, sizeof esc, "\\n");
        else if (cp == '\r') snprintf(esc, sizeof esc, "\\r");
        else if (cp == '\t') snprintf(esc, sizeof esc, "\\t");
        else if (!printable(cp)) snprintf(esc, sizeof esc, cp < 0x100 ? "\\x%02x" : cp < 0x10000 ? "\\u%04x" : "\\U%08x", (unsigned)cp);
        if (esc[0]) {
            if (!jj_put_string(r, k, s, done, i) || !jj_put(r, k, weft_str_c(esc), s->tag, false)) return false;
            done = i + n;
        }
        i += n;
    }
    return jj_put_string(r, k, s, done, s->len) && put_c(r, k, q);
}

static bool too_deep(struct weft_jinja_run *r)
{
    return jj_fail_(r, weft_fail(r->err, WEFT_ELIMIT, "%s:%d: a value is nested deeper than %d", r->t->name, r->line, VALUE_DEPTH));
}

bool jj_repr(struct weft_jinja_run *r, struct jj_sink *k, struct weft_jinja_value v, int depth)
{
    char num[64];
    if (depth > VALUE_DEPTH) return too_deep(r);
    if (!jj_spend(r, 1)) return false;
    switch (v.kind) {
    case JJ_UNDEFINED: return put_c(r, k, "Undefined");
    case JJ_NONE: return put_c(r, k, "None");
    case JJ_BOOL: return put_c(r, k, v.u.boolean ? "True" : "False");
    case JJ_INT: snprintf(num, sizeof num, "%lld", (long long)v.u.integer); return put_c(r, k, num);
    case JJ_FLOAT: return put_c(r, k, float_text(num, v.u.number, false));
    case JJ_STRING:
        if (jj_str(v)->markup && !(put_c(r, k, "Markup(") && repr_string(r, k, jj_str(v)))) return false;
        return jj_str(v)->markup ? put_c(r, k, ")") : repr_string(r, k, jj_str(v));
    case JJ_LIST: {
        static const char *const open[] = { "[", "(", "", "", "dict_keys([", "dict_values([", "dict_items([", "(" };
        static const char *const close[] = { "]", ")", "", "", "])", "])", "])", ")" };
        const struct jj_list *l = jj_list_of(v);
        if (l->flavor == JJ_GENERATOR) return put_c(r, k, "<generator object>");
        if (l->flavor == JJ_RANGE) {
            if (l->step == 1) snprintf(num, sizeof num, "range(%lld, %lld)", (long long)l->start, (long long)l->stop);
            else snprintf(num, sizeof num, "range(%lld, %lld, %lld)", (long long)l->start, (long long)l->stop, (long long)l->step);
            return put_c(r, k, num);
        }
        if (!put_c(r, k, open[l->flavor])) return false;
        for (size_t i = 0; i < l->n; i++)
            if ((i && !put_c(r, k, ", ")) || !jj_repr(r, k, l->items[i], depth + 1)) return false;
        if (l->flavor == JJ_TUPLE && l->n == 1 && !put_c(r, k, ",")) return false;
        return put_c(r, k, close[l->flavor]);
    }
    case JJ_DICT:
    case JJ_NAMESPACE: {
        const struct jj_dict *d = jj_dict_of(v);
        if (!put_c(r, k, v.kind == JJ_DICT ? "{" : "<Namespace {")) return false;
        for (size_t i = 0; i < d->n; i++)
            if ((i && !put_c(r, k, ", ")) || !jj_repr(r, k, d->keys[i], depth + 1) || !put_c(r, k, ": ") ||
                !jj_repr(r, k, d->values[i], depth + 1)) return false;
        return put_c(r, k, v.kind == JJ_DICT ? "}" : "}>");
    }
    default: snprintf(num, sizeof num, "<%s>", jj_type(v)); return put_c(r, k, num);
    }
}

bool jj_put_value(struct weft_jinja_run *r, struct jj_sink *k, struct weft_jinja_value v)
{
    if (v.kind == JJ_STRING) return jj_put_string(r, k, jj_str(v), 0, jj_str(v)->len);
    if (v.kind == JJ_UNDEFINED) return true;
    return jj_repr(r, k, v, 0);
}

bool jj_to_string(struct weft_jinja_run *r, struct weft_jinja_value v, struct weft_jinja_value *out)
{
    struct jj_sink k = {0};
    if (v.kind == JJ_STRING) {
        *out = v;
        return true;
    }
    return jj_put_value(r, &k, v) && jj_sink_value(r, &k, out);
}

/* ---- JSON, as Python's json.dumps ---- */

static bool json_string(struct weft_jinja_run *r, struct jj_sink *k, struct weft_str s, bool ascii)
{
    size_t done = 0;
    if (!put_c(r, k, "\"")) return false;
    for (size_t i = 0; i < s.len;) {
        uint32_t cp;
        char esc[16] = "";
        size_t n = weft_utf8_decode(s.s + i, s.len - i, &cp, NULL);
        const char *p = cp < 0x20 ? memchr("\b\f\n\r\t", (int)cp, 5) : NULL;
        if (cp == '"' || cp == '\\') snprintf(esc, sizeof esc, "\\%c", (char)cp);
        else if (p) snprintf(esc, sizeof esc, "\\%c", cp == '\b' ? 'b' : cp == '\f' ? 'f' : cp == '\n' ? 'n' : cp == '\r' ? 'r' : 't');
        else if (cp < 0x20 || (ascii && cp >= 0x7F && cp < 0x10000 && (cp > 0x7F))) snprintf(esc, sizeof esc, "\\u%04x", (unsigned)cp);
        else if (ascii && cp >= 0x10000)
            snprintf(esc, sizeof esc, "\\u%04x\\u%04x", 0xD800 + (unsigned)((cp - 0x10000) >> 10), 0xDC00 + (unsigned)((cp - 0x10000) & 0x3FF));
        if (esc[0]) {
            if (!jj_put(r, k, weft_str_sub(s, done, i), 0, false) || !put_c(r, k, esc)) return false;
            done = i + n;
        }
        i += n;
    }
    return jj_put(r, k, weft_str_skip(s, done), 0, false) && put_c(r, k, "\"");
}

static bool json_line(struct weft_jinja_run *r, struct jj_sink *k, const struct jj_json_style *style, int depth)
{
    if (!style->indent.s) return true;
    if (!put_c(r, k, "\n")) return false;
    for (int i = 0; i < depth; i++)
        if (!jj_put(r, k, style->indent, 0, false)) return false;
    return true;
}

static bool json_key(struct weft_jinja_run *r, struct jj_sink *k, struct weft_jinja_value key, bool ascii)
{
    char num[32];
    switch (key.kind) {
    case JJ_STRING: return json_string(r, k, jj_text(key), ascii);
    case JJ_NONE: return put_c(r, k, "\"null\"");
    case JJ_BOOL: return put_c(r, k, key.u.boolean ? "\"true\"" : "\"false\"");
    case JJ_INT: snprintf(num, sizeof num, "\"%lld\"", (long long)key.u.integer); return put_c(r, k, num);
    case JJ_FLOAT: {
        char text[32];
        return put_c(r, k, "\"") && put_c(r, k, float_text(text, key.u.number, true)) && put_c(r, k, "\"");
    }
    default: return jj_fail(r, "%s cannot be a key in JSON", jj_type(key));
    }
}

static bool json_dict(struct weft_jinja_run *r, struct jj_sink *k, const struct jj_dict *d, const struct jj_json_style *style, int depth)
{
    size_t *order = jj_alloc(r, d->n * sizeof *order);
    if (!order) return false;
    for (size_t i = 0; i < d->n; i++) {
        size_t at = i;
        for (; style->sort && at; at--) {
            bool less;
            if (!jj_less(r, d->keys[i], d->keys[order[at - 1]], 0, &less)) return false;
            if (!less) break;
            order[at] = order[at - 1];
        }
        order[at] = i;
    }
    if (!d->n) return put_c(r, k, "{}");
    if (!put_c(r, k, "{")) return false;
    for (size_t i = 0; i < d->n; i++) {
        if (i && !jj_put(r, k, style->item_sep, 0, false)) return false;
        if (!json_line(r, k, style, depth + 1) || !json_key(r, k, d->keys[order[i]], style->ascii) ||
            !jj_put(r, k, style->key_sep, 0, false) || !jj_json(r, k, d->values[order[i]], style, depth + 1)) return false;
    }
    return json_line(r, k, style, depth) && put_c(r, k, "}");
}

bool jj_json(struct weft_jinja_run *r, struct jj_sink *k, struct weft_jinja_value v, const struct jj_json_style *style, int depth)
{
    char num[32];
    if (depth > VALUE_DEPTH) return too_deep(r);
    if (!jj_spend(r, 1)) return false;
    switch (v.kind) {
    case JJ_NONE: return put_c(r, k, "null");
    case JJ_BOOL: return put_c(r, k, v.u.boolean ? "true" : "false");
    case JJ_INT: snprintf(num, sizeof num, "%lld", (long long)v.u.integer); return put_c(r, k, num);
    case JJ_FLOAT: return put_c(r, k, float_text(num, v.u.number, true));
    case JJ_STRING: return json_string(r, k, jj_text(v), style->ascii);
    case JJ_DICT: return json_dict(r, k, jj_dict_of(v), style, depth);
    case JJ_LIST: {
        const struct jj_list *l = jj_list_of(v);
        if (l->flavor != JJ_PLAIN && l->flavor != JJ_TUPLE && l->flavor != JJ_GROUP) break;
        if (!l->n) return put_c(r, k, "[]");
        if (!put_c(r, k, "[")) return false;
        for (size_t i = 0; i < l->n; i++) {
            if (i && !jj_put(r, k, style->item_sep, 0, false)) return false;
            if (!json_line(r, k, style, depth + 1) || !jj_json(r, k, l->items[i], style, depth + 1)) return false;
        }
        return json_line(r, k, style, depth) && put_c(r, k, "]");
    }
    default: break;
    }
    if (v.kind == JJ_UNDEFINED) return jj_fail_undefined(r, v);
    return jj_fail(r, "%s cannot be written as JSON", jj_type(v));
}

/* ---- comparing ---- */

static bool same_flavor(const struct jj_list *a, const struct jj_list *b)
{
    bool ta = a->flavor == JJ_TUPLE || a->flavor == JJ_GROUP, tb = b->flavor == JJ_TUPLE || b->flavor == JJ_GROUP;
    return a == b || (ta && tb) || (a->flavor == b->flavor && a->flavor != JJ_GENERATOR && a->flavor != JJ_VALUES);
}

bool jj_equal(struct weft_jinja_run *r, struct weft_jinja_value a, struct weft_jinja_value b, int depth, bool *out)
{
    double x, y;
    *out = false;
    if (depth > VALUE_DEPTH) return too_deep(r);
    if (!jj_spend(r, 1)) return false;
    if (jj_is_number(a, &x) && jj_is_number(b, &y)) {
        *out = a.kind != JJ_FLOAT && b.kind != JJ_FLOAT ? (a.kind == JJ_BOOL ? a.u.boolean : a.u.integer) ==
                                                              (b.kind == JJ_BOOL ? b.u.boolean : b.u.integer)
                                                        : x == y;
        return true;
    }
    if (a.kind != b.kind) return true;
    switch (a.kind) {
    case JJ_UNDEFINED:
    case JJ_NONE: *out = true; return true;
    case JJ_STRING: *out = weft_str_eq(jj_text(a), jj_text(b)); return spend_bytes(r, jj_str(a)->len);
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

bool jj_less(struct weft_jinja_run *r, struct weft_jinja_value a, struct weft_jinja_value b, int depth, bool *out)
{
    double x, y;
    *out = false;
    if (depth > VALUE_DEPTH) return too_deep(r);
    if (!jj_spend(r, 1)) return false;
    if (a.kind == JJ_UNDEFINED || b.kind == JJ_UNDEFINED) return jj_fail_undefined(r, a.kind == JJ_UNDEFINED ? a : b);
    if (jj_is_number(a, &x) && jj_is_number(b, &y)) {
        if (a.kind == JJ_INT && b.kind == JJ_INT) *out = a.u.integer < b.u.integer;
        else *out = x < y;
        return true;
    }
    if (a.kind == JJ_STRING && b.kind == JJ_STRING) {   /* bytes of UTF-8 sort as code points do */
        *out = weft_str_cmp(jj_text(a), jj_text(b)) < 0;
        return spend_bytes(r, weft_min_size(jj_str(a)->len, jj_str(b)->len));
    }
    if (a.kind == JJ_LIST && b.kind == JJ_LIST && same_flavor(jj_list_of(a), jj_list_of(b)) &&
        (jj_list_of(a)->flavor == JJ_PLAIN || jj_list_of(a)->flavor == JJ_TUPLE || jj_list_of(a)->flavor == JJ_GROUP)) {
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
        return spend_bytes(r, jj_str(seq)->len);
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

bool jj_compare(struct weft_jinja_run *r, enum jj_op op, struct weft_jinja_value a, struct weft_jinja_value b, bool *out)
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
    default:                                    /* <= is not "not >" for NaN */
        if (!jj_less(r, op == JJ_LE ? a : b, op == JJ_LE ? b : a, 0, out)) return false;
        if (*out) return true;
        if (!jj_equal(r, a, b, 0, &same)) return false;
        *out = same;
        return true;
    }
}

/* ---- sequences ---- */

bool jj_items(struct weft_jinja_run *r, struct weft_jinja_value v, const struct weft_jinja_value **items, size_t *n)
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
        struct jj_string plain = *jj_str(v), *s = &plain;     /* its characters are no markup */
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
    case JJ_STRING:
        *n = (int64_t)weft_utf8_chars(jj_text(v));
        return spend_bytes(r, jj_str(v)->len);
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

static bool repeat(struct weft_jinja_run *r, struct weft_jinja_value v, int64_t times, struct weft_jinja_value *out)
{
    if (times < 0) times = 0;
    if (v.kind == JJ_STRING) {
        struct jj_sink k = {0};
        const struct jj_string *s = jj_str(v);
        if (s->len && (uint64_t)times > WEFT_JINJA_OUTPUT_BYTES / s->len) return sink_room(r, &k, SIZE_MAX);
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
    return v.kind == JJ_LIST && (jj_list_of(v)->flavor == JJ_PLAIN || jj_list_of(v)->flavor == JJ_TUPLE || jj_list_of(v)->flavor == JJ_GROUP);
}

static bool add(struct weft_jinja_run *r, struct weft_jinja_value a, struct weft_jinja_value b, struct weft_jinja_value *out)
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

static bool int_arith(struct weft_jinja_run *r, enum jj_op op, int64_t a, int64_t b, struct weft_jinja_value *out)
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
        if (b == -1) {                                  /* INT64_MIN / -1 traps */
            over = op == JJ_FLOORDIV && a == INT64_MIN;
            v = op == JJ_FLOORDIV && !over ? -a : 0;
            break;
        }
        v = op == JJ_FLOORDIV ? a / b : a % b;
        if (a % b && (a % b < 0) != (b < 0)) v += op == JJ_FLOORDIV ? -1 : b;
        break;
    default:                                            /* JJ_POW */
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

static bool float_arith(struct weft_jinja_run *r, enum jj_op op, double a, double b, struct weft_jinja_value *out)
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
        if (isinf(v) && !isinf(a) && !isinf(b)) return jj_fail(r, "the result of '%s' is too large", op_text(op));
    }
    *out = jj_float(v);
    return true;
}

bool jj_arith(struct weft_jinja_run *r, enum jj_op op, struct weft_jinja_value a, struct weft_jinja_value b, struct weft_jinja_value *out)
{
    double x, y;
    int64_t i, k;
    if (op == JJ_MOD && a.kind == JJ_STRING) {
        bool tuple = b.kind == JJ_LIST && (jj_list_of(b)->flavor == JJ_TUPLE || jj_list_of(b)->flavor == JJ_GROUP);
        struct jj_call call = { .pos = tuple ? jj_list_of(b)->items : &b, .n_pos = tuple ? jj_list_of(b)->n : 1,
                                .subscriptable = !tuple && (b.kind == JJ_LIST || b.kind == JJ_DICT || b.kind == JJ_UNDEFINED) };
        return jj_percent(r, jj_str(a), &call, out);
    }
    if (a.kind == JJ_UNDEFINED || b.kind == JJ_UNDEFINED) return jj_fail_undefined(r, a.kind == JJ_UNDEFINED ? a : b);
    if (jj_is_index(a, &i) && jj_is_index(b, &k) && op != JJ_DIV) return int_arith(r, op, i, k, out);
    if (jj_is_number(a, &x) && jj_is_number(b, &y)) return float_arith(r, op, x, y, out);
    if (op == JJ_ADD && ((a.kind == JJ_STRING && b.kind == JJ_STRING) ||
                         (is_plain_seq(a) && is_plain_seq(b) && (jj_list_of(a)->flavor == JJ_PLAIN) == (jj_list_of(b)->flavor == JJ_PLAIN))))
        return add(r, a, b, out);
    if (op == JJ_MUL && (a.kind == JJ_STRING || is_plain_seq(a)) && jj_is_index(b, &k)) return repeat(r, a, k, out);
    if (op == JJ_MUL && (b.kind == JJ_STRING || is_plain_seq(b)) && jj_is_index(a, &k)) return repeat(r, b, k, out);
    if (op == JJ_ADD && (a.kind == JJ_STRING || b.kind == JJ_STRING))
        return jj_fail(r, "'+' joins a str with a str, not %s and %s; '~' joins anything", jj_type(a), jj_type(b));
    return jj_fail(r, "'%s' does not work between %s and %s", op_text(op), jj_type(a), jj_type(b));
}
