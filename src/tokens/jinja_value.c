/* The memory of a run, its limits and errors, and values: how they are made, and strings with tags. */
#include "tokens/jinja_value.h"
#include "base/lang.h"

enum { CHUNK_BYTES = 16 << 10, JJ_FRAMES = 600 };

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
        r->st = weft_fail(r->err, WEFT_ELIMIT, "%s:%d: the template needs more than %d MiB of memory",
                          r->t->name, r->line, WEFT_JINJA_MEMORY_BYTES >> 20);
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
    r->st = weft_fail(r->err, WEFT_ELIMIT, "%s:%d: the template takes more than %d steps", r->t->name,
                      r->line, WEFT_JINJA_STEPS);
    return false;
}

bool jj_fail_undefined(struct weft_jinja_run *r, struct weft_jinja_value v)
{
    const struct jj_undefined *u = v.u.ref;
    char name[80], owner[32];
    if (!u) return jj_fail(r, "an undefined value is used");
    weft_escape(name, sizeof name, u->name);
    if (!u->owner.s) return jj_fail(r, "'%s' is undefined", name);
    return jj_fail(r, "%s has no '%s'", weft_escape(owner, sizeof owner, u->owner), name);
}

bool jj_too_deep(struct weft_jinja_run *r)
{
    return jj_fail_(r, weft_fail(r->err, WEFT_ELIMIT, "%s:%d: a value is nested deeper than %d", r->t->name,
                                 r->line, JJ_VALUE_DEPTH));
}

bool jj_enter(struct weft_jinja_run *r)
{
    if (r->frames < JJ_FRAMES) {
        r->frames++;
        return true;
    }
    return jj_fail_(r, weft_fail(r->err, WEFT_ELIMIT, "%s:%d: the template nests its work too deeply",
                                 r->t->name, r->line));
}

const char *jj_word(const struct weft_jinja_run *r, const char *english)
{
    return weft_tr(r->err ? r->err->lang : WEFT_LANG_EN, english);
}

struct jj_scope *jj_push_scope(struct weft_jinja_run *r, struct jj_scope *up)
{
    struct jj_scope *s = jj_alloc(r, sizeof *s);
    if (s) s->up = up;
    return s;
}

/* ---- making values ---- */

bool jj_undefined(struct weft_jinja_run *r, struct weft_str name, struct weft_str owner,
                  struct weft_jinja_value *out)
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

bool jj_list(struct weft_jinja_run *r, size_t n, enum jj_flavor flavor, struct weft_jinja_value *out,
             struct weft_jinja_value **items)
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

bool jj_dict_put(struct weft_jinja_run *r, struct jj_dict *d, struct weft_jinja_value key,
                 struct weft_jinja_value v)
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

bool jj_sink_room(struct weft_jinja_run *r, struct jj_sink *k, size_t n)
{
    if (n > WEFT_JINJA_OUTPUT_BYTES - k->len) {
        if (!r->st)
            r->st = weft_fail(r->err, WEFT_ELIMIT, "%s:%d: a text would be longer than %d MiB", r->t->name,
                              r->line, WEFT_JINJA_OUTPUT_BYTES >> 20);
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
    if (!jj_spend_bytes(r, s.len) || !jj_sink_room(r, k, s.len)) return false;
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

bool jj_put_string(struct weft_jinja_run *r, struct jj_sink *k, const struct jj_string *s, size_t from,
                   size_t to)
{
    if (!s->n_spans) return jj_put(r, k, (struct weft_str){ s->s + from, to - from }, s->tag, false);
    size_t begin = 0;
    for (uint32_t i = 0; i < s->n_spans; begin = s->spans[i++].end) {
        size_t a = weft_max_size(from, begin), b = weft_min_size(to, s->spans[i].end);
        bool empty = begin == s->spans[i].end && begin >= from && begin <= to;
        if (a >= b && !empty) continue;
        if (!jj_put(r, k, (struct weft_str){ s->s + a, empty ? 0 : b - a }, s->spans[i].tag,
                    s->spans[i].generation))
            return false;
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

bool jj_substr(struct weft_jinja_run *r, const struct jj_string *s, size_t from, size_t to,
               struct weft_jinja_value *out)
{
    struct jj_sink k = { 0 };
    if (from > to) from = to;
    bool ok = s->n_spans ? jj_put_string(r, &k, s, from, to) && jj_sink_value(r, &k, out)
                         : jj_string(r, (struct weft_str){ s->s + from, to - from }, s->tag, out);
    return ok && (!s->markup || jj_markup(r, *out, out));
}

/* a + b.  A text that grows piece by piece (ns.text = ns.text + x) would cost its square: the room behind
 * the last result is kept, and when `a` is that result, b is written behind it.  Older values keep their
 * length. */
bool jj_concat(struct weft_jinja_run *r, const struct jj_string *a, const struct jj_string *b,
               struct weft_jinja_value *out)
{
    size_t n = a->len + b->len, n_spans = (a->n_spans ? a->n_spans : 1) + (b->n_spans ? b->n_spans : 1);
    bool in_place = r->cat && a->s == r->cat && a->len == r->cat_len && a->spans == r->cat_spans
                    && a->n_spans == r->cat_n && n <= r->cat_cap && n_spans <= r->cat_spans_cap;
    struct jj_string *s = jj_alloc(r, sizeof *s);
    if (!s || !jj_spend_bytes(r, b->len)) return false;
    if (n > WEFT_JINJA_OUTPUT_BYTES)
        return jj_fail_(r, weft_fail(r->err, WEFT_ELIMIT, "%s:%d: a text would be longer than %d MiB",
                                     r->t->name, r->line, WEFT_JINJA_OUTPUT_BYTES >> 20));
    if (!in_place) {
        size_t cap = weft_max_size(n + n / 2, 96), cap_spans = weft_max_size(n_spans + n_spans / 2, 4);
        char *text = jj_alloc(r, cap);
        struct weft_jinja_span *spans = jj_alloc(r, cap_spans * sizeof *spans);
        if (!text || !spans || !jj_spend_bytes(r, a->len)) return false;
        memcpy(text, a->s, a->len);
        r->cat_n = 0;
        if (a->n_spans) {
            memcpy(spans, a->spans, a->n_spans * sizeof *spans);
            r->cat_n = a->n_spans;
        } else if (a->len || a->tag) spans[r->cat_n++] = (struct weft_jinja_span){ a->len, a->tag, false };
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
        r->cat_spans[r->cat_n++] =
            (struct weft_jinja_span){ a->len + more[i].end, more[i].tag, more[i].generation };
    }
    r->cat_len = n;
    *s = (struct jj_string){ .s = r->cat,
                             .len = n,
                             .tag = a->tag > b->tag ? a->tag : b->tag,
                             .spans = r->cat_spans,
                             .n_spans = (uint32_t)r->cat_n };
    *out = (struct weft_jinja_value){ .kind = JJ_STRING, .u.ref = s };
    return true;
}

bool jj_escape_html(struct weft_jinja_run *r, const struct jj_string *s, struct weft_jinja_value *out)
{
    static const struct {
        char c;
        char text[6];
    } table[] = {
        { '&', "&amp;" }, { '<', "&lt;" }, { '>', "&gt;" }, { '"', "&#34;" }, { '\'', "&#39;" },
    };
    struct jj_sink k = { 0 };
    size_t done = 0;
    for (size_t i = 0; i < s->len && !s->markup; i++)
        for (size_t t = 0; t < WEFT_COUNT(table); t++)
            if (s->s[i] == table[t].c) {
                if (!jj_put_string(r, &k, s, done, i)
                    || !jj_put(r, &k, weft_str_c(table[t].text), s->tag, false))
                    return false;
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
    static const char *const flavors[] = { "list",      "tuple",       "range",      "generator",
                                           "dict_keys", "dict_values", "dict_items", "group" };
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
    return cp == 0x85 || cp == 0xA0 || cp == 0x1680 || (cp >= 0x2000 && cp <= 0x200A) || cp == 0x2028
           || cp == 0x2029 || cp == 0x202F || cp == 0x205F || cp == 0x3000;
}

static bool strips(const struct jj_string *chars, const char *c, size_t n, uint32_t cp)
{
    if (!chars) return jj_is_space(cp);
    return weft_str_find((struct weft_str){ chars->s, chars->len }, (struct weft_str){ c, n }, 0) != SIZE_MAX;
}

void jj_strip(const struct jj_string *s, const struct jj_string *chars, bool left, bool right, size_t *from,
              size_t *to)
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
    if (depth > JJ_VALUE_DEPTH) return 0;
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
