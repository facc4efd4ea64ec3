/* Python's two ways to put values into a text: "%s" % x, and "{}".format(x). */
#include "tokens/jinja_value.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* A field after its conversion, padded to a width in code points. */
static bool pad(struct weft_jinja_run *r, struct jj_sink *k, struct weft_jinja_value s, int64_t width,
                char align, const char *fill, size_t fill_len)
{
    int64_t n;
    if (!jj_length(r, s, &n)) return false;
    int64_t left = width > n ? width - n : 0, right = 0;
    if (align == '<') right = left, left = 0;
    else if (align == '^') right = left - left / 2, left /= 2;
    for (int64_t i = 0; i < left; i++)
        if (!jj_put(r, k, (struct weft_str){ fill, fill_len }, 0, false)) return false;
    if (!jj_put_value(r, k, s)) return false;
    for (int64_t i = 0; i < right; i++)
        if (!jj_put(r, k, (struct weft_str){ fill, fill_len }, 0, false)) return false;
    return true;
}

struct spec {
    bool minus, plus, space, zero, alt, comma;
    int64_t width, precision; /* -1: not given */
    char align, sign, type;
    char fill[5];
};

/* A number as text: type d i u x X o b c e E f F g G %, with sign and precision but without padding. */
static bool number_text(struct weft_jinja_run *r, struct weft_jinja_value v, const struct spec *s, char *out,
                        size_t bytes)
{
    double d = 0;
    int64_t i = 0;
    bool is_int = jj_is_index(v, &i);
    char digits[512], format[16];
    if (v.kind == JJ_UNDEFINED) return jj_fail_undefined(r, v);
    if (!jj_is_number(v, &d))
        return jj_fail(r, "the format '%c' needs a number, not %s", s->type, jj_type(v));
    bool negative = is_int ? i < 0 : signbit(d) != 0 && !isnan(d);
    uint64_t u = i < 0 ? 0 - (uint64_t)i : (uint64_t)i;
    int64_t precision = s->precision;
    if (precision > 200) return jj_fail(r, "a precision of %lld", (long long)precision);
    if (strchr("diuxXob", s->type)) {
        if (!is_int) {
            if (!isfinite(d) || fabs(d) >= 9.2e18)
                return jj_fail(r, "the result of '%s' does not fit 64 bits", "int");
            u = (uint64_t)fabs(trunc(d));
            negative = d <= -1;
        }
        size_t n = 0;
        unsigned base = s->type == 'x' || s->type == 'X' ? 16 : s->type == 'o' ? 8 : s->type == 'b' ? 2 : 10;
        const char *set = s->type == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
        char back[80];
        do back[n++] = set[u % base];
        while ((u /= base));
        while ((int64_t)n < precision && n < sizeof back - 1) back[n++] = '0';
        size_t at = 0;
        if (s->alt && base != 10) at = (size_t)snprintf(digits, sizeof digits, "0%c", s->type);
        for (size_t k = n; k-- > 0;) {
            digits[at++] = back[k];
            if (s->comma && k && k % 3 == 0) digits[at++] = ',';
        }
        digits[at] = '\0';
    } else {
        double m = fabs(d) * (s->type == '%' ? 100 : 1);
        char type = s->type == '%' || s->type == 'F' ? 'f' : s->type;
        if (!isfinite(m)) snprintf(digits, sizeof digits, isnan(m) ? "nan" : "inf");
        else {
            snprintf(format, sizeof format, s->alt ? "%%#.*%c" : "%%.*%c", type);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
            /* `format` was made just above from one of the letters e E f g G. */
            int n = snprintf(digits, sizeof digits, format, precision < 0 ? 6 : (int)precision, m);
#pragma GCC diagnostic pop
            if (n < 0 || (size_t)n + 2 >= sizeof digits)
                return jj_fail(r, "a number of more than %zu digits", sizeof digits);
            if (s->comma) {
                char grouped[512];
                size_t whole = strcspn(digits, ".e"), at = 0;
                for (size_t k = 0; digits[k] && at + 2 < sizeof grouped; k++) {
                    grouped[at++] = digits[k];
                    if (k + 1 < whole && (whole - k - 1) % 3 == 0) grouped[at++] = ',';
                }
                memcpy(digits, grouped, at);
                digits[at] = '\0';
            }
        }
        if (s->type == '%') strcat(digits, "%");
    }
    const char *sign = negative ? "-" : s->plus ? "+" : s->space ? " " : "";
    if (snprintf(out, bytes, "%s%s", sign, digits) >= (int)bytes)
        return jj_fail(r, "a number of more than %zu digits", bytes);
    return true;
}

static bool text_value(struct weft_jinja_run *r, const char *s, int32_t tag, struct weft_jinja_value *out)
{
    size_t n = strlen(s) + 1;
    char *copy = jj_alloc(r, n);
    if (!copy) return false;
    memcpy(copy, s, n);
    return jj_string(r, weft_str_c(copy), tag, out);
}

/* Zeros stand between the sign (or 0x) and the digits. */
static bool zero_pad(struct weft_jinja_run *r, char *text, size_t bytes, int64_t width)
{
    size_t n = strlen(text), lead = text[0] == '-' || text[0] == '+' || text[0] == ' ';
    if (text[lead] == '0'
        && (text[lead + 1] == 'x' || text[lead + 1] == 'X' || text[lead + 1] == 'o' || text[lead + 1] == 'b'))
        lead += 2;
    if (width <= (int64_t)n) return true;
    if ((size_t)width + 1 > bytes) return jj_fail(r, "a width of %lld", (long long)width);
    memmove(text + lead + ((size_t)width - n), text + lead, n - lead + 1);
    memset(text + lead, '0', (size_t)width - n);
    return true;
}

static bool digits_of(struct weft_jinja_run *r, const struct jj_string *f, size_t *at, int64_t *out)
{
    *out = 0;
    for (; *at < f->len && f->s[*at] >= '0' && f->s[*at] <= '9'; ++*at) {
        *out = *out * 10 + (f->s[*at] - '0');
        if (*out > 1 << 20) return jj_fail(r, "a width of %lld", (long long)*out);
    }
    return true;
}

static bool cut(struct weft_jinja_run *r, struct weft_jinja_value s, int64_t chars,
                struct weft_jinja_value *out)
{
    struct weft_jinja_value part[3] = { jj_none(), jj_int(chars), jj_none() };
    *out = s;
    return chars < 0 || jj_slice(r, s, part, out);
}

/* ---- "%s" % x ---- */

bool jj_percent(struct weft_jinja_run *r, const struct jj_string *f, const struct jj_call *args,
                struct weft_jinja_value *out)
{
    struct jj_sink k = { 0 };
    size_t used = 0;
    bool mapped = false;
    for (size_t at = 0; at < f->len;) {
        size_t pct =
            weft_min_size(weft_str_find((struct weft_str){ f->s, f->len }, WEFT_STR("%"), at), f->len);
        if (!jj_put_string(r, &k, f, at, pct)) return false;
        if (pct == f->len) break;
        at = pct + 1;
        struct spec s = { .precision = -1 };
        struct weft_jinja_value v = { 0 }, shown;
        struct weft_str name = { 0 };
        char text[600];
        if (at < f->len && f->s[at] == '(') {
            size_t close = weft_str_find((struct weft_str){ f->s, f->len }, WEFT_STR(")"), at);
            if (close == SIZE_MAX) return jj_fail(r, "a format ends inside '%%('");
            name = (struct weft_str){ f->s + at + 1, close - at - 1 };
            at = close + 1;
        }
        for (; at < f->len && strchr("-+ 0#", f->s[at]) && f->s[at]; at++) {
            s.minus |= f->s[at] == '-';
            s.plus |= f->s[at] == '+';
            s.space |= f->s[at] == ' ';
            s.zero |= f->s[at] == '0';
            s.alt |= f->s[at] == '#';
        }
        if (!digits_of(r, f, &at, &s.width)) return false;
        if (at < f->len && f->s[at] == '.') {
            at++;
            if (!digits_of(r, f, &at, &s.precision)) return false;
        }
        while (at < f->len && (f->s[at] == 'l' || f->s[at] == 'h' || f->s[at] == 'L')) at++;
        if (at >= f->len) return jj_fail(r, "a format ends after '%%'");
        s.type = f->s[at++];
        if (s.type == '%') {
            if (!jj_put(r, &k, WEFT_STR("%"), f->tag, false)) return false;
            continue;
        }
        if (name.s) {
            bool found = false;
            mapped = true;
            for (size_t i = 0; i < args->n_kw && !found; i++)
                if ((found = weft_str_eq(args->kw_names[i], name))) v = args->kw[i];
            if (!found && args->n_pos == 1 && args->pos[0].kind == JJ_DICT) {
                const struct weft_jinja_value *m = jj_dict_get(jj_dict_of(args->pos[0]), name);
                if ((found = m != NULL)) v = *m;
            }
            if (!found)
                return jj_fail(r, "the format wants '%s', which is not given",
                               weft_escape(text, sizeof text, name));
        } else {
            if (used >= args->n_pos) return jj_fail(r, "the format wants more than %zu values", args->n_pos);
            v = args->pos[used++];
        }
        if (s.type == 's' || s.type == 'r' || s.type == 'a') {
            struct jj_sink part = { 0 };
            if (s.type == 's' ? !jj_put_value(r, &part, v) : !jj_repr(r, &part, v, 0)) return false;
            if (!jj_sink_value(r, &part, &shown) || !cut(r, shown, s.precision, &shown)) return false;
        } else if (s.type == 'c' && v.kind == JJ_STRING) {
            shown = v;
        } else if (strchr("diuxXoeEfFgG", s.type)) {
            if (!number_text(r, v, &s, text, sizeof text)
                || (s.zero && !s.minus && !zero_pad(r, text, sizeof text, s.width))
                || !text_value(r, text, 0, &shown))
                return false;
        } else return jj_fail(r, "unknown format '%%%c'", s.type > ' ' ? s.type : '?');
        if (!pad(r, &k, shown, s.width, s.minus ? '<' : '>', " ", 1)) return false;
    }
    if (!mapped && used < args->n_pos && !args->subscriptable)
        return jj_fail(r, "the format takes %zu values, not %zu", used, args->n_pos);
    return jj_sink_value(r, &k, out);
}

/* ---- "{}".format(x) ---- */

static bool parse_spec(struct weft_jinja_run *r, const struct jj_string *f, struct spec *s)
{
    size_t at = 0, n = f->len ? weft_utf8_offset((struct weft_str){ f->s, f->len }, 1) : 0;
    *s = (struct spec){ .precision = -1, .fill = " " };
    if (n && n < f->len && strchr("<>^=", f->s[n])) {
        memcpy(s->fill, f->s, n);
        s->fill[n] = '\0';
        s->align = f->s[n];
        at = n + 1;
    } else if (f->len && strchr("<>^=", f->s[0])) s->align = f->s[at++];
    if (at < f->len && strchr("+- ", f->s[at])) {
        s->plus = f->s[at] == '+';
        s->space = f->s[at++] == ' ';
    }
    if (at < f->len && f->s[at] == '#') s->alt = true, at++;
    if (at < f->len && f->s[at] == '0') {
        at++;
        if (!s->align) s->align = '=', memcpy(s->fill, "0", 2);
    }
    if (!digits_of(r, f, &at, &s->width)) return false;
    if (at < f->len && f->s[at] == ',') s->comma = true, at++;
    if (at < f->len && f->s[at] == '.') {
        at++;
        if (!digits_of(r, f, &at, &s->precision)) return false;
    }
    if (at < f->len) s->type = f->s[at++];
    char shown[64];
    return at == f->len
           || jj_fail(r, "unknown format '%s'",
                      weft_escape(shown, sizeof shown, (struct weft_str){ f->s, f->len }));
}

static bool format_one(struct weft_jinja_run *r, struct jj_sink *k, struct weft_jinja_value v,
                       const struct jj_string *spec)
{
    struct spec s;
    struct weft_jinja_value shown;
    char text[600];
    if (!spec->len) return jj_put_value(r, k, v);
    if (!parse_spec(r, spec, &s)) return false;
    bool number = v.kind == JJ_INT || v.kind == JJ_FLOAT || (v.kind == JJ_BOOL && s.type && s.type != 's');
    if (!number) {
        if (s.type && s.type != 's')
            return jj_fail(r, "the format '%c' needs a number, not %s", s.type, jj_type(v));
        if (!jj_to_string(r, v, &shown) || !cut(r, shown, s.precision, &shown)) return false;
        return pad(r, k, shown, s.width, s.align && s.align != '=' ? s.align : '<', s.fill, strlen(s.fill));
    }
    if (!s.type && v.kind == JJ_INT) s.type = 'd';
    if (!s.type && s.precision < 0) {
        struct jj_sink part = { 0 };
        struct weft_jinja_value whole;
        if (!jj_repr(r, &part, v, 0) || !jj_sink_value(r, &part, &whole)) return false;
        snprintf(text, sizeof text, "%s%.*s", v.u.number >= 0 && s.plus ? "+" : "", (int)jj_str(whole)->len,
                 jj_str(whole)->s);
    } else {
        if (!s.type) s.type = 'g';
        if (!strchr("dxXobeEfFgG%n", s.type))
            return jj_fail(r, "unknown format '%%%c'", s.type > ' ' ? s.type : '?');
        if (s.type == 'n') s.type = v.kind == JJ_INT ? 'd' : 'g';
        if (v.kind == JJ_FLOAT && strchr("dxXob", s.type))
            return jj_fail(r, "the format '%c' needs an integer, not %s", s.type, "float");
        if (!number_text(r, v, &s, text, sizeof text)) return false;
    }
    if (s.align == '=' && s.fill[0] == '0' && !zero_pad(r, text, sizeof text, s.width)) return false;
    return text_value(r, text, 0, &shown)
           && pad(r, k, shown, s.width, s.align && s.align != '=' ? s.align : '>', s.fill, strlen(s.fill));
}

/* name, then .attr and [item]; an empty name counts up. */
static bool field_value(struct weft_jinja_run *r, struct weft_str name, const struct jj_call *args,
                        size_t *next, struct weft_jinja_value *out)
{
    size_t at = 0;
    char shown[80];
    while (at < name.len && name.s[at] != '.' && name.s[at] != '[') at++;
    struct weft_str first = weft_str_sub(name, 0, at);
    bool number = true, found = false;
    for (size_t i = 0; i < first.len; i++) number &= first.s[i] >= '0' && first.s[i] <= '9';
    if (number) {
        size_t i = first.len ? strtoul(first.s, NULL, 10) : (*next)++;
        if (i >= args->n_pos) return jj_fail(r, "the format wants more than %zu values", args->n_pos);
        *out = args->pos[i];
    } else {
        for (size_t i = 0; i < args->n_kw && !found; i++)
            if ((found = weft_str_eq(args->kw_names[i], first))) *out = args->kw[i];
        if (!found)
            return jj_fail(r, "the format wants '%s', which is not given",
                           weft_escape(shown, sizeof shown, first));
    }
    while (at < name.len) {
        bool item = name.s[at] == '[';
        size_t from = at + 1, end = from;
        while (end < name.len && (item ? name.s[end] != ']' : name.s[end] != '.' && name.s[end] != '['))
            end++;
        struct weft_str part = weft_str_sub(name, from, end);
        struct weft_jinja_value key;
        bool index = item && part.len;
        for (size_t i = 0; i < part.len; i++) index &= part.s[i] >= '0' && part.s[i] <= '9';
        if (index) key = jj_int(strtoll(part.s, NULL, 10));
        else if (!jj_string(r, part, 0, &key)) return false;
        if (item ? !jj_getitem(r, *out, key, out) : !jj_getattr(r, *out, part, out)) return false;
        at = end + item;
    }
    return true;
}

bool jj_format(struct weft_jinja_run *r, const struct jj_string *f, const struct jj_call *args,
               struct weft_jinja_value *out)
{
    struct jj_sink k = { 0 };
    size_t next = 0, done = 0;
    for (size_t at = 0; at < f->len;) {
        char c = f->s[at];
        if (c != '{' && c != '}') {
            at++;
            continue;
        }
        if (!jj_put_string(r, &k, f, done, at)) return false;
        if (at + 1 < f->len && f->s[at + 1] == c) {
            if (!jj_put_string(r, &k, f, at, at + 1)) return false;
            done = at += 2;
            continue;
        }
        size_t end = at + 1, colon = SIZE_MAX, bang = SIZE_MAX;
        for (; end < f->len && f->s[end] != '}'; end++) {
            if (f->s[end] == '{') return jj_fail(r, "formats inside formats are not available");
            if (f->s[end] == ':' && colon == SIZE_MAX) colon = end;
            if (f->s[end] == '!' && colon == SIZE_MAX && bang == SIZE_MAX) bang = end;
        }
        if (c == '}' || end >= f->len) return jj_fail(r, "a single '%c' in a format", c);
        size_t name_end = weft_min_size(weft_min_size(colon, bang), end);
        struct weft_jinja_value v;
        if (!field_value(r, (struct weft_str){ f->s + at + 1, name_end - at - 1 }, args, &next, &v))
            return false;
        if (bang != SIZE_MAX) {
            struct jj_sink part = { 0 };
            bool repr = bang + 1 < end && f->s[bang + 1] == 'r';
            if (!(repr ? jj_repr(r, &part, v, 0) : jj_put_value(r, &part, v)) || !jj_sink_value(r, &part, &v))
                return false;
        }
        struct jj_string spec = { .s = colon == SIZE_MAX ? "" : f->s + colon + 1,
                                  .len = colon == SIZE_MAX ? 0 : end - colon - 1 };
        if (!format_one(r, &k, v, &spec)) return false;
        done = at = end + 1;
    }
    return jj_put_string(r, &k, f, done, f->len) && jj_sink_value(r, &k, out);
}
