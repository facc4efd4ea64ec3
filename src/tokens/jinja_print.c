/* How values print: Python's str and repr, and JSON as its json.dumps writes it. Walks over lists and dicts
 * are recursive and limited to JJ_VALUE_DEPTH, and every node visited is paid for, because a few statements
 * can make a value whose printed form has 2^30 parts. */
#include "tokens/jinja_value.h"

#include <math.h>
#include <stdio.h>
#include <utf8proc.h>

/* ---- printing ---- */

static bool put_c(struct weft_jinja_run *r, struct jj_sink *k, const char *s)
{
    return jj_put(r, k, weft_str_c(s), 0, false);
}

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
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_ZS: return false;
    default: return true;
    }
}

static bool repr_string(struct weft_jinja_run *r, struct jj_sink *k, const struct jj_string *s)
{
    struct weft_str text = { s->s, s->len };
    bool single = weft_str_find(text, WEFT_STR("'"), 0) != SIZE_MAX,
         twice = weft_str_find(text, WEFT_STR("\""), 0) != SIZE_MAX;
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
        else if (!printable(cp))
            snprintf(esc, sizeof esc,
                     cp < 0x100     ? "\\x%02x"
                     : cp < 0x10000 ? "\\u%04x"
                                    : "\\U%08x",
                     (unsigned)cp);
        if (esc[0]) {
            if (!jj_put_string(r, k, s, done, i) || !jj_put(r, k, weft_str_c(esc), s->tag, false))
                return false;
            done = i + n;
        }
        i += n;
    }
    return jj_put_string(r, k, s, done, s->len) && put_c(r, k, q);
}

bool jj_repr(struct weft_jinja_run *r, struct jj_sink *k, struct weft_jinja_value v, int depth)
{
    char num[64];
    if (depth > JJ_VALUE_DEPTH) return jj_too_deep(r);
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
        static const char *const open[] = { "[", "(", "", "", "dict_keys([", "dict_values([", "dict_items([",
                                            "(" };
        static const char *const close[] = { "]", ")", "", "", "])", "])", "])", ")" };
        const struct jj_list *l = jj_list_of(v);
        if (l->flavor == JJ_GENERATOR) return put_c(r, k, "<generator object>");
        if (l->flavor == JJ_RANGE) {
            if (l->step == 1)
                snprintf(num, sizeof num, "range(%lld, %lld)", (long long)l->start, (long long)l->stop);
            else
                snprintf(num, sizeof num, "range(%lld, %lld, %lld)", (long long)l->start, (long long)l->stop,
                         (long long)l->step);
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
            if ((i && !put_c(r, k, ", ")) || !jj_repr(r, k, d->keys[i], depth + 1) || !put_c(r, k, ": ")
                || !jj_repr(r, k, d->values[i], depth + 1))
                return false;
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
    struct jj_sink k = { 0 };
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
        const char *p = cp && cp < 0x20 ? strchr("\b\f\n\r\t", (int)cp) : NULL;
        if (cp == '"' || cp == '\\') snprintf(esc, sizeof esc, "\\%c", (char)cp);
        else if (p)
            snprintf(esc, sizeof esc, "\\%c",
                     cp == '\b'   ? 'b'
                     : cp == '\f' ? 'f'
                     : cp == '\n' ? 'n'
                     : cp == '\r' ? 'r'
                                  : 't');
        else if (cp < 0x20 || (ascii && cp >= 0x7F && cp < 0x10000 && (cp > 0x7F)))
            snprintf(esc, sizeof esc, "\\u%04x", (unsigned)cp);
        else if (ascii && cp >= 0x10000)
            snprintf(esc, sizeof esc, "\\u%04x\\u%04x", 0xD800 + (unsigned)((cp - 0x10000) >> 10),
                     0xDC00 + (unsigned)((cp - 0x10000) & 0x3FF));
        if (esc[0]) {
            if (!jj_put(r, k, weft_str_sub(s, done, i), 0, false) || !put_c(r, k, esc)) return false;
            done = i + n;
        }
        i += n;
    }
    return jj_put(r, k, weft_str_skip(s, done), 0, false) && put_c(r, k, "\"");
}

static bool json_line(struct weft_jinja_run *r, struct jj_sink *k, const struct jj_json_style *style,
                      int depth)
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

static bool json_dict(struct weft_jinja_run *r, struct jj_sink *k, const struct jj_dict *d,
                      const struct jj_json_style *style, int depth)
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
        if (!json_line(r, k, style, depth + 1) || !json_key(r, k, d->keys[order[i]], style->ascii)
            || !jj_put(r, k, style->key_sep, 0, false)
            || !jj_json(r, k, d->values[order[i]], style, depth + 1))
            return false;
    }
    return json_line(r, k, style, depth) && put_c(r, k, "}");
}

bool jj_json(struct weft_jinja_run *r, struct jj_sink *k, struct weft_jinja_value v,
             const struct jj_json_style *style, int depth)
{
    char num[32];
    if (depth > JJ_VALUE_DEPTH) return jj_too_deep(r);
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
            if (!json_line(r, k, style, depth + 1) || !jj_json(r, k, l->items[i], style, depth + 1))
                return false;
        }
        return json_line(r, k, style, depth) && put_c(r, k, "]");
    }
    default: break;
    }
    if (v.kind == JJ_UNDEFINED) return jj_fail_undefined(r, v);
    return jj_fail(r, "%s cannot be written as JSON", jj_type(v));
}
