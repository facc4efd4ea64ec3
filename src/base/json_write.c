#include "base/json_parts.h"
#include "base/wide.h"

#include <math.h>
#include <stdio.h>

void weft_json_out_init(struct weft_json_out *o, struct weft_buf *buf)
{
    *o = (struct weft_json_out){ .buf = buf };
}

static void new_line(struct weft_json_out *o)
{
    weft_buf_char(o->buf, '\n');
    for (int i = 0; i < o->indent * o->depth; i++) weft_buf_char(o->buf, ' ');
}

/* Before every value and key: the comma that it needs and the line it stands on. */
static void begin(struct weft_json_out *o)
{
    if (o->after_key) {
        o->after_key = false;
        return;
    }
    if (o->need_comma) weft_buf_cstr(o->buf, o->spaced && !o->indent ? ", " : ",");
    if (o->indent && o->depth) new_line(o);
}

static void open_bracket(struct weft_json_out *o, char c)
{
    begin(o);
    weft_buf_char(o->buf, c);
    o->depth++;
    o->need_comma = false;
}

static void close_bracket(struct weft_json_out *o, char c)
{
    o->depth--;
    if (o->indent && o->need_comma) new_line(o); /* an empty container stays "[]" */
    weft_buf_char(o->buf, c);
    o->need_comma = true;
}

void weft_json_out_object(struct weft_json_out *o) { open_bracket(o, '{'); }
void weft_json_out_object_end(struct weft_json_out *o) { close_bracket(o, '}'); }
void weft_json_out_array(struct weft_json_out *o) { open_bracket(o, '['); }
void weft_json_out_array_end(struct weft_json_out *o) { close_bracket(o, ']'); }

static void add_u_escape(struct weft_buf *b, uint32_t cp)
{
    if (cp < 0x10000) weft_buf_printf(b, "\\u%04x", (unsigned)cp);
    else
        weft_buf_printf(b, "\\u%04x\\u%04x", 0xD800 + (unsigned)((cp - 0x10000) >> 10),
                        0xDC00 + (unsigned)(cp & 0x3FF));
}

static void add_escape(struct weft_json_out *o, uint32_t cp)
{
    struct weft_buf *b = o->buf;
    switch (cp) {
    case '"': weft_buf_add(b, "\\\"", 2); break;
    case '\\': weft_buf_add(b, "\\\\", 2); break;
    case '\n': weft_buf_add(b, "\\n", 2); break;
    case '\r': weft_buf_add(b, "\\r", 2); break;
    case '\t': weft_buf_add(b, "\\t", 2); break;
    case '\b': weft_buf_add(b, "\\b", 2); break;
    case '\f': weft_buf_add(b, "\\f", 2); break;
    default:
        if (cp < 0x20 || (cp >= 0x80 && o->ascii)) add_u_escape(b, cp);
        else weft_buf_utf8(b, cp);
    }
}

/* What stands for a quote, a backslash or a control character, at most ESCAPE bytes; returns the end. */
enum { ESCAPE = 6 };
static char *put_escape(char *w, unsigned char c)
{
    *w++ = '\\';
    if (c >= 0x20) *w++ = (char)c;
    else if (c >= '\b' && c <= '\r' && c != '\v') *w++ = "btn-fr"[c - '\b'];
    else {
        w[0] = 'u';
        w[1] = w[2] = '0';
        w[3] = (char)('0' + (c >> 4));
        w[4] = "0123456789abcdef"[c & 15];
        w += 5;
    }
    return w;
}

/* In one pass; room is seen to before it and after each escape. */
static inline __attribute__((always_inline)) void add_by(size_t (*copy)(char *, const char *, size_t),
                                                         struct weft_buf *b, struct weft_str s)
{
    if (!weft_buf_reserve(b, s.len + 2 + WEFT_JSON_SLACK)) return;
    char *w = b->s + b->len;
    *w++ = '"';
    for (size_t i = 0; i < s.len;) {
        size_t n = copy(w, s.s + i, s.len - i);
        w += n;
        i += n;
        if (i == s.len) break;
        b->len = (size_t)(w - b->s);
        size_t room = s.len - i + ESCAPE + 1 + WEFT_JSON_SLACK;
        if (b->cap - b->len <= room && !weft_buf_reserve(b, room)) return;
        w = put_escape(b->s + b->len, (unsigned char)s.s[i++]);
    }
    *w++ = '"';
    *w = '\0';
    b->len = (size_t)(w - b->s);
}

#if defined(__x86_64__)
/* weft_json_copy_plain, 64 bytes at a time. */
WEFT_WIDE static inline size_t copy_wide(char *to, const char *s, size_t len)
{
    for (size_t i = 0; i < len; i += 64) {
        __m512i v = weft_wide_load(s + i, len - i);
        _mm512_storeu_si512(to + i, v);
        uint64_t hit = _mm512_cmplt_epu8_mask(v, _mm512_set1_epi8(0x20))
                       | _mm512_cmpeq_epi8_mask(v, _mm512_set1_epi8('"'))
                       | _mm512_cmpeq_epi8_mask(v, _mm512_set1_epi8('\\'));
        if (hit) return weft_min_size(i + (size_t)__builtin_ctzll(hit), len);
    }
    return len;
}

WEFT_WIDE static void add_wide(struct weft_buf *b, struct weft_str s) { add_by(copy_wide, b, s); }
#endif

static void add_valid(struct weft_buf *b, struct weft_str s)
{
#if defined(__x86_64__)
    if (weft_wide()) {
        add_wide(b, s);
        return;
    }
#endif
    add_by(weft_json_copy_plain, b, s);
}

static void add_string(struct weft_json_out *o, struct weft_str s)
{
    struct weft_buf *b = o->buf;
    bool by_character = o->ascii || (!o->valid && weft_utf8_check(s) < s.len);
    if (!by_character && !b->max_bytes) {
        add_valid(b, s);
        return;
    }
    weft_buf_char(b, '"');
    for (size_t i = 0; i < s.len;) {
        if (by_character) {
            uint32_t cp;
            i += weft_utf8_decode(s.s + i, s.len - i, &cp, NULL);
            add_escape(o, cp);
            continue;
        }
        size_t n = weft_json_plain(s.s + i, s.len - i);
        weft_buf_add(b, s.s + i, n);
        i += n;
        if (i < s.len) add_escape(o, (unsigned char)s.s[i++]);
    }
    weft_buf_char(b, '"');
}

void weft_json_out_key_str(struct weft_json_out *o, struct weft_str key)
{
    begin(o);
    add_string(o, key);
    weft_buf_cstr(o->buf, o->spaced || o->indent ? ": " : ":");
    o->after_key = true;
    o->need_comma = true;
}

void weft_json_out_key(struct weft_json_out *o, const char *key)
{
    weft_json_out_key_str(o, weft_str_c(key));
}

void weft_json_out_raw(struct weft_json_out *o, struct weft_str json)
{
    begin(o);
    weft_buf_str(o->buf, json);
    o->need_comma = true;
}

void weft_json_out_str(struct weft_json_out *o, struct weft_str s)
{
    begin(o);
    add_string(o, s);
    o->need_comma = true;
}

void weft_json_out_cstr(struct weft_json_out *o, const char *s) { weft_json_out_str(o, weft_str_c(s)); }

/* Rows have several numbers each, and printf takes its time. */
static void out_digits(struct weft_json_out *o, bool minus, uint64_t v)
{
    char text[24];
    size_t at = sizeof text;
    do text[--at] = (char)('0' + v % 10);
    while (v /= 10);
    if (minus) text[--at] = '-';
    weft_json_out_raw(o, (struct weft_str){ text + at, sizeof text - at });
}

void weft_json_out_int(struct weft_json_out *o, int64_t v) { out_digits(o, v < 0, v < 0 ? -(uint64_t)v : (uint64_t)v); }
void weft_json_out_uint(struct weft_json_out *o, uint64_t v) { out_digits(o, false, v); }

void weft_json_out_double(struct weft_json_out *o, double v)
{
    char text[32];
    weft_json_out_raw(o, weft_str_c(isfinite(v) ? weft_json_format_double(text, v) : "null"));
}

void weft_json_out_bool(struct weft_json_out *o, bool v)
{
    weft_json_out_raw(o, weft_str_c(v ? "true" : "false"));
}
void weft_json_out_null(struct weft_json_out *o) { weft_json_out_raw(o, WEFT_STR("null")); }

static bool is_integer_text(struct weft_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.s[i] == '.' || s.s[i] == 'e' || s.s[i] == 'E') return false;
    return s.len > 0;
}

/* An integer too large for int64_t keeps its digits; everything else is written from its value. */
static void out_number(struct weft_json_out *o, const struct weft_json_value *v)
{
    if (v->is_int) weft_json_out_int(o, v->integer);
    else if (is_integer_text(v->text)) weft_json_out_raw(o, v->text);
    else weft_json_out_double(o, v->number);
}

/* A tree comes from the reader, which limits its depth, or from code of ours: recursion is bounded. */
void weft_json_out_value(struct weft_json_out *o, const struct weft_json_value *v)
{
    switch (v->kind) {
    case WEFT_JSON_NULL: weft_json_out_null(o); break;
    case WEFT_JSON_BOOL: weft_json_out_bool(o, v->boolean); break;
    case WEFT_JSON_NUMBER: out_number(o, v); break;
    case WEFT_JSON_STRING: weft_json_out_str(o, v->text); break;
    case WEFT_JSON_ARRAY:
        weft_json_out_array(o);
        for (size_t i = 0; i < v->n; i++) weft_json_out_value(o, &v->items[i]);
        weft_json_out_array_end(o);
        break;
    case WEFT_JSON_OBJECT:
        weft_json_out_object(o);
        for (size_t i = 0; i < v->n; i++) {
            weft_json_out_key_str(o, v->keys[i]);
            weft_json_out_value(o, &v->items[i]);
        }
        weft_json_out_object_end(o);
        break;
    }
}
