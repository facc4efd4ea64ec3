#include "base/str.h"

#include "base/utf8_parts.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <utf8proc.h>

int weft_str_cmp(struct weft_str a, struct weft_str b)
{
    size_t n = weft_min_size(a.len, b.len);
    int c = n ? memcmp(a.s, b.s, n) : 0;
    return c ? c : (a.len > b.len) - (a.len < b.len);
}

size_t weft_str_find(struct weft_str a, struct weft_str needle, size_t from)
{
    if (from > a.len) return SIZE_MAX;
    if (!needle.len) return from;
    const char *hit = a.len ? memmem(a.s + from, a.len - from, needle.s, needle.len) : NULL;
    return hit ? (size_t)(hit - a.s) : SIZE_MAX;
}

size_t weft_str_count(struct weft_str a, char c)
{
    size_t n = 0;
    for (size_t i = 0; i < a.len;) {            /* in bytes first: sixteen at a time, and no sum overflows */
        size_t end = i + weft_min_size(a.len - i, 240);
        unsigned char some = 0;
        for (; i < end; i++) some = (unsigned char)(some + (a.s[i] == c));
        n += some;
    }
    return n;
}

static bool is_ascii_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

struct weft_str weft_str_trim_ascii(struct weft_str a)
{
    while (a.len && is_ascii_space(a.s[0])) a.s++, a.len--;
    while (a.len && is_ascii_space(a.s[a.len - 1])) a.len--;
    return a;
}

struct weft_str weft_str_dup(struct weft_arena *a, struct weft_str s)
{
    char *copy = weft_arena_strndup(a, s.s, s.len);
    return (struct weft_str){ copy, copy ? s.len : 0 };
}

struct weft_str weft_str_printf(struct weft_arena *a, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *s = n < 0 ? NULL : weft_arena_alloc(a, (size_t)n + 1);
    if (s) vsnprintf(s, (size_t)n + 1, fmt, again);
    va_end(again);
    return (struct weft_str){ s, s ? (size_t)n : 0 };
}

/* ---- UTF-8 ---- */

/* The first continuation byte has a narrower range after these leads (Unicode 15, table 3-7): it is what rules
 * out overlong forms, surrogates and values above U+10FFFF. */
static bool second_byte_ok(unsigned char lead, unsigned char c)
{
    switch (lead) {
    case 0xE0: return c >= 0xA0 && c <= 0xBF;
    case 0xED: return c >= 0x80 && c <= 0x9F;
    case 0xF0: return c >= 0x90 && c <= 0xBF;
    case 0xF4: return c >= 0x80 && c <= 0x8F;
    default: return c >= 0x80 && c <= 0xBF;
    }
}

size_t weft_utf8_decode_any(const char *s, size_t len, uint32_t *cp, bool *ok)
{
    const unsigned char *u = (const unsigned char *)s;
    unsigned char lead = u[0];
    bool dummy;
    if (!ok) ok = &dummy;
    *ok = true;
    if (lead < 0x80) {
        *cp = lead;
        return 1;
    }
    size_t n = lead >= 0xC2 && lead <= 0xDF   ? 2
               : lead >= 0xE0 && lead <= 0xEF ? 3
               : lead >= 0xF0 && lead <= 0xF4 ? 4
                                              : 0;
    if (n) {
        uint32_t v = lead & (0xFFu >> (n + 1));
        size_t i = 1;
        for (; i < n && i < len; i++) {
            if (i == 1 ? !second_byte_ok(lead, u[1]) : (u[i] & 0xC0) != 0x80) break;
            v = v << 6 | (u[i] & 0x3Fu);
        }
        if (i == n) {
            *cp = v;
            return n;
        }
        n = i;
    } else n = 1;
    *cp = 0xFFFD;
    *ok = false;
    return n;
}

size_t weft_utf8_encode(uint32_t cp, char out[4])
{
    if (cp < 0x80) {
        out[0] = (char)cp;
        return 1;
    }
    if (cp < 0x800) {
        out[0] = (char)(0xC0 | cp >> 6);
        out[1] = (char)(0x80 | (cp & 0x3F));
        return 2;
    }
    if (cp < 0x10000) {
        out[0] = (char)(0xE0 | cp >> 12);
        out[1] = (char)(0x80 | (cp >> 6 & 0x3F));
        out[2] = (char)(0x80 | (cp & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | cp >> 18);
    out[1] = (char)(0x80 | (cp >> 12 & 0x3F));
    out[2] = (char)(0x80 | (cp >> 6 & 0x3F));
    out[3] = (char)(0x80 | (cp & 0x3F));
    return 4;
}

/* A character of three bytes in the low bytes of a word read with the first byte lowest.  The leads E0 and ED
 * narrow their second byte and are left to the careful way. */
static inline bool three_bytes(uint64_t w)
{
    return (w & 0xC0C0F0) == 0x8080E0 && (w & 0xFF) != 0xE0 && (w & 0xFF) != 0xED;
}

size_t weft_utf8_check_plain(struct weft_str s)
{
    const bool little = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;
    size_t i = 0;
    while (i < s.len) {
        uint64_t w;
        if (s.len - i >= 8) {
            memcpy(&w, s.s + i, 8);
            uint64_t high = w & 0x8080808080808080u;
            if (!high) {
                i += 8;
                continue;
            }
            if (little && !(high & 0x80)) { /* one to seven of ASCII */
                i += (size_t)__builtin_ctzll(high) / 8;
                continue;
            }
            if (little && three_bytes(w)) { /* Chinese text is nearly all of this kind */
                i += three_bytes(w >> 24) ? 6 : 3;
                continue;
            }
        }
        uint32_t cp;
        bool ok;
        size_t n = weft_utf8_decode(s.s + i, s.len - i, &cp, &ok);
        if (!ok) return i;
        i += n;
    }
    return s.len;
}

size_t weft_utf8_chars_plain(struct weft_str s)
{
    size_t n = 0;
    uint32_t cp;
    for (size_t i = 0; i < s.len; n++) i += weft_utf8_decode(s.s + i, s.len - i, &cp, NULL);
    return n;
}

size_t weft_utf8_offset(struct weft_str s, size_t n)
{
    size_t i = 0;
    uint32_t cp;
    for (; i < s.len && n; n--) i += weft_utf8_decode(s.s + i, s.len - i, &cp, NULL);
    return i;
}

size_t weft_utf8_width(struct weft_str s)
{
    size_t width = 0;
    for (size_t i = 0; i < s.len;) {
        uint32_t cp;
        i += weft_utf8_decode(s.s + i, s.len - i, &cp, NULL);
        int w = utf8proc_charwidth((utf8proc_int32_t)cp);
        width += w > 0 ? (size_t)w : 0;
    }
    return width;
}

/* ---- growing buffer ---- */

void weft_buf_clear(struct weft_buf *b)
{
    if (!b) return;
    free(b->s);
    *b = (struct weft_buf){ .max_bytes = b->max_bytes };
}

void weft_buf_reset(struct weft_buf *b)
{
    b->len = 0;
    b->failed = b->too_long = false;
    if (b->s) b->s[0] = '\0';
}

bool weft_buf_reserve(struct weft_buf *b, size_t more)
{
    size_t need, cap;
    if (b->failed) return false;
    if (!weft_size_add(b->len, more, &need) || !weft_size_add(need, 1, &need)) goto fail;
    if (b->max_bytes && need - 1 > b->max_bytes) {
        b->too_long = true;
        goto fail;
    }
    if (need <= b->cap) return true;
    cap = weft_max_size(need, b->cap + b->cap / 2);
    cap = weft_max_size(cap, 64);
    char *s = realloc(b->s, cap);
    if (!s) goto fail;
    b->s = s;
    b->cap = cap;
    return true;
fail:
    b->failed = true;
    return false;
}

void weft_buf_append(struct weft_buf *b, const void *s, size_t n)
{
    if (!weft_buf_reserve(b, n)) return;
    if (n) memcpy(b->s + b->len, s, n);
    b->len += n;
    b->s[b->len] = '\0';
}

void weft_buf_utf8(struct weft_buf *b, uint32_t cp)
{
    char out[4];
    weft_buf_add(b, out, weft_utf8_encode(cp, out));
}

void weft_buf_printf(struct weft_buf *b, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0) b->failed = true;
    else if (weft_buf_reserve(b, (size_t)n)) {
        vsnprintf(b->s + b->len, (size_t)n + 1, fmt, again);
        b->len += (size_t)n;
    }
    va_end(again);
}

enum weft_status weft_buf_check(const struct weft_buf *b, const char *what, struct weft_err *err)
{
    if (!b->failed) return WEFT_OK;
    if (b->too_long)
        return weft_fail(err, WEFT_ELIMIT, "%s would be longer than %zu bytes", what, b->max_bytes);
    return weft_fail_nomem(err, b->cap + b->cap / 2, what);
}

static size_t escape_one(const char *s, size_t left, char out[8])
{
    uint32_t cp;
    bool ok;
    size_t n = weft_utf8_decode(s, left, &cp, &ok);
    if (ok && cp == '\n') memcpy(out, "\\n", 3);
    else if (ok && cp == '\t') memcpy(out, "\\t", 3);
    else if (!ok || cp < 0x20 || cp == 0x7F) {
        n = 1;
        snprintf(out, 8, "\\x%02x", (unsigned)(unsigned char)s[0]);
    } else if (cp >= 0x80 && cp < 0xA0) snprintf(out, 8, "\\u%04x", (unsigned)cp);
    else {
        memcpy(out, s, n);
        out[n] = '\0';
    }
    return n;
}

void weft_buf_escaped(struct weft_buf *b, struct weft_str s, size_t max)
{
    char piece[8];
    for (size_t i = 0; i < s.len;) {
        if (i >= max) {
            weft_buf_cstr(b, "...");
            return;
        }
        i += escape_one(s.s + i, s.len - i, piece);
        weft_buf_cstr(b, piece);
    }
}

const char *weft_escape(char *out, size_t out_bytes, struct weft_str s)
{
    char piece[8];
    size_t used = 0;
    for (size_t i = 0; i < s.len;) {
        i += escape_one(s.s + i, s.len - i, piece);
        size_t n = strlen(piece);
        if (used + n + 4 > out_bytes) {
            memcpy(out + used, "...", 4);
            return out;
        }
        memcpy(out + used, piece, n);
        used += n;
    }
    out[used] = '\0';
    return out;
}
