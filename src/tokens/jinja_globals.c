/* Functions every template can call. */
#include "tokens/jinja_value.h"

#include <time.h>

#define FUNCTION(name)                                                                                       \
    static bool name(struct weft_jinja_run *r, const struct jj_in *in, struct weft_jinja_value *out)

FUNCTION(g_range)
{
    int64_t v[3] = { 0, 0, 1 }, n;
    struct weft_jinja_value *items;
    for (int i = 0; i < 3; i++)
        if (in->set[i] && !jj_is_index(in->arg[i], &v[i]))
            return in->arg[i].kind == JJ_UNDEFINED
                       ? jj_fail_undefined(r, in->arg[i])
                       : jj_fail(r, "'%s' needs an integer, not %s", "range", jj_type(in->arg[i]));
    if (!in->set[1]) v[1] = v[0], v[0] = 0;
    if (!v[2]) return jj_fail(r, "the step of a slice is 0");
    __int128 span = (__int128)v[1] - v[0], step = v[2];
    __int128 count = (span > 0) == (step > 0) && span ? (span + step - (step > 0 ? 1 : -1)) / step : 0;
    if (count > 100000) return jj_fail(r, "a range of more than %d numbers", 100000);
    n = (int64_t)count;
    if (!jj_list(r, (size_t)n, JJ_RANGE, out, &items)) return false;
    struct jj_list *l = (struct jj_list *)(uintptr_t)out->u.ref;
    l->start = v[0];
    l->stop = v[1];
    l->step = v[2];
    for (int64_t i = 0; i < n; i++) items[i] = jj_int(v[0] + i * v[2]);
    return true;
}

/* dict(a=1) and namespace(a=1): from a dict or pairs, then names. */
FUNCTION(g_dict)
{
    const struct jj_call *c = in->call;
    const struct weft_jinja_value *pairs = NULL, *pair;
    size_t n = 0, n_pair;
    if (c->n_pos > 1) return jj_fail(r, "%s() takes %d argument(s), not %zu", "dict", 1, c->n_pos);
    bool from_dict = c->n_pos && (c->pos[0].kind == JJ_DICT || c->pos[0].kind == JJ_NAMESPACE);
    if (from_dict) n = jj_dict_of(c->pos[0])->n;
    else if (c->n_pos && !jj_items(r, c->pos[0], &pairs, &n)) return false;
    if (!jj_dict(r, n + c->n_kw, out)) return false;
    struct jj_dict *d = (struct jj_dict *)(uintptr_t)out->u.ref;
    for (size_t i = 0; i < n; i++) {
        struct weft_jinja_value key, v;
        if (from_dict) key = jj_dict_of(c->pos[0])->keys[i], v = jj_dict_of(c->pos[0])->values[i];
        else {
            if (!jj_items(r, pairs[i], &pair, &n_pair)) return false;
            if (n_pair != 2) return jj_fail(r, "%zu names to set, but %zu values", (size_t)2, n_pair);
            key = pair[0], v = pair[1];
        }
        if (!jj_dict_put(r, d, key, v)) return false;
    }
    for (size_t i = 0; i < c->n_kw; i++) {
        struct weft_jinja_value key;
        if (!jj_string(r, c->kw_names[i], 0, &key) || !jj_dict_put(r, d, key, c->kw[i])) return false;
    }
    return true;
}

FUNCTION(g_namespace)
{
    if (!g_dict(r, in, out)) return false;
    out->kind = JJ_NAMESPACE;
    return true;
}

FUNCTION(g_cycler)
{
    struct jj_cycler *c = jj_alloc(r, sizeof *c);
    if (!c) return false;
    if (!in->call->n_pos) return jj_fail(r, "'cycle' needs values to go through");
    c->items = in->call->pos;
    c->n = in->call->n_pos;
    *out = (struct weft_jinja_value){ .kind = JJ_CYCLER, .u.ref = c };
    return true;
}

FUNCTION(g_joiner)
{
    struct jj_joiner *j = jj_alloc(r, sizeof *j);
    if (!j) return false;
    if (in->set[0]) j->sep = in->arg[0];
    else if (!jj_string(r, WEFT_STR(", "), 0, &j->sep)) return false;
    *out = (struct weft_jinja_value){ .kind = JJ_JOINER, .u.ref = j };
    return true;
}

FUNCTION(g_raise)
{
    char text[600];
    struct weft_jinja_value s;
    if (!jj_to_string(r, in->arg[0], &s)) return false;
    (void)out;
    return jj_fail(r, "the chat template refuses these messages: %s",
                   weft_escape(text, sizeof text, jj_text(s)));
}

FUNCTION(g_strftime)
{
    char format[256], text[1024];
    struct tm tm = { 0 };
    if (in->arg[0].kind != JJ_STRING)
        return jj_fail(r, "'%s' needs a str, not %s", "strftime_now", jj_type(in->arg[0]));
    struct weft_str f = jj_text(in->arg[0]);
    if (f.len >= sizeof format) return jj_fail(r, "a date format of %zu bytes", f.len);
    memcpy(format, f.s, f.len);
    format[f.len] = '\0';
    if (r->date.s) {
        char date[16] = "", *end;
        if (r->date.len < sizeof date) memcpy(date, r->date.s, r->date.len);
        end = strptime(date, "%Y-%m-%d", &tm);
        if (!end || *end)
            return jj_fail(r, "the date is '%s'; expected a form like 2026-11-24",
                           weft_escape(text, sizeof text, r->date));
    } else {
        time_t now = time(NULL);
        if (!localtime_r(&now, &tm)) return jj_fail(r, "the clock shows no valid date");
    }
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    size_t n = f.len ? strftime(text, sizeof text, format, &tm)
                     : 0; /* the template's format; strftime only reads tm */
#pragma GCC diagnostic pop
    char *copy = jj_alloc(r, n + 1);
    if (!copy) return false;
    memcpy(copy, text, n);
    return jj_string(r, (struct weft_str){ copy, n }, 0, out);
}

static const struct jj_builtin globals[] = {
    { "cycler", "*", 0, g_cycler },
    { "dict", "*", 0, g_dict },
    { "joiner", "sep", 0, g_joiner },
    { "namespace", "*", 0, g_namespace },
    { "raise_exception", "message", 1, g_raise },
    { "range", "start,stop,step", 1, g_range },
    { "strftime_now", "format", 1, g_strftime },
};

const struct jj_builtin *jj_find_global(struct weft_str name)
{
    return jj_find_in(globals, WEFT_COUNT(globals), name);
}
