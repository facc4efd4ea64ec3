/* base/str.h - text as pointer and length, UTF-8, and a growing byte buffer
 *
 * Text is never assumed to end in NUL: files are mapped.  All lengths are in bytes unless a name says chars
 * (Unicode code points).
 */
#ifndef WEFT_BASE_STR_H
#define WEFT_BASE_STR_H

#include "base/arena.h"

#include <string.h>

struct weft_str {
    const char *s; /* NULL only together with len 0 */
    size_t len;
};

#define WEFT_STR(literal) ((struct weft_str){ (literal), sizeof(literal) - 1 })

static inline struct weft_str weft_str_c(const char *s) { return (struct weft_str){ s, s ? strlen(s) : 0 }; }
static inline bool weft_str_eq(struct weft_str a, struct weft_str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.s, b.s, a.len) == 0);
}
static inline bool weft_str_is(struct weft_str a, const char *s) { return weft_str_eq(a, weft_str_c(s)); }
static inline bool weft_str_starts(struct weft_str a, struct weft_str prefix)
{
    return a.len >= prefix.len && (prefix.len == 0 || memcmp(a.s, prefix.s, prefix.len) == 0);
}
static inline bool weft_str_ends(struct weft_str a, struct weft_str suffix)
{
    return a.len >= suffix.len
           && (suffix.len == 0 || memcmp(a.s + a.len - suffix.len, suffix.s, suffix.len) == 0);
}
/* The part [from, to) of a; both are cut to the length. */
static inline struct weft_str weft_str_sub(struct weft_str a, size_t from, size_t to)
{
    to = weft_min_size(to, a.len);
    from = weft_min_size(from, to);
    return (struct weft_str){ a.s ? a.s + from : NULL, to - from };
}
static inline struct weft_str weft_str_skip(struct weft_str a, size_t n) { return weft_str_sub(a, n, a.len); }

int weft_str_cmp(struct weft_str a, struct weft_str b);                       /* by bytes, as memcmp */
size_t weft_str_find(struct weft_str a, struct weft_str needle, size_t from); /* SIZE_MAX: not there */
size_t weft_str_count(struct weft_str a, char c);                             /* how often c comes */
struct weft_str weft_str_trim_ascii(struct weft_str a); /* space, \t, \r, \n at both ends */
/* A copy with final NUL in `a`, s == NULL when memory is out. */
WEFT_MUST_USE struct weft_str weft_str_dup(struct weft_arena *a, struct weft_str s);
/* printf into an arena; s == NULL when memory is out. */
WEFT_MUST_USE struct weft_str weft_str_printf(struct weft_arena *a, const char *fmt, ...) WEFT_PRINTF(2, 3);

/* ---- UTF-8 ---- */

/* Decodes the code point at s (len > 0 bytes left).  Writes it and returns its byte count 1..4; for bytes that
 * are not UTF-8 (overlong, surrogate, above U+10FFFF, cut short) writes U+FFFD and returns the length of the
 * maximal bad part (Unicode 15, table 3-8), always at least 1, with *ok = false.  `ok` may be NULL. */
size_t weft_utf8_decode_any(const char *s, size_t len, uint32_t *cp, bool *ok);
/* ASCII and the three bytes of nearly all of CJK are decoded in place: running text is read a character at a time. */
static inline size_t weft_utf8_decode(const char *s, size_t len, uint32_t *cp, bool *ok)
{
    const unsigned char *u = (const unsigned char *)s;
    if (u[0] < 0x80) {
        *cp = u[0];
    } else if (len >= 3 && u[0] >= 0xE1 && u[0] != 0xED && u[0] <= 0xEF && (u[1] & 0xC0) == 0x80
               && (u[2] & 0xC0) == 0x80) {
        *cp = (u[0] & 0x0Fu) << 12 | (u[1] & 0x3Fu) << 6 | (u[2] & 0x3Fu);
    } else {
        return weft_utf8_decode_any(s, len, cp, ok);
    }
    if (ok) *ok = true;
    return u[0] < 0x80 ? 1 : 3;
}
/* Encodes cp (a valid scalar value) into out, returns 1..4. */
size_t weft_utf8_encode(uint32_t cp, char out[4]);
/* Offset of the first byte that is not part of valid UTF-8, or s.len when all is valid. */
size_t weft_utf8_check(struct weft_str s);
size_t weft_utf8_chars(struct weft_str s); /* code points; each bad part counts as one */
/* The same, of text that is known to be UTF-8 (else a number without meaning). */
size_t weft_utf8_chars_of_valid(struct weft_str s);
/* Byte offset of code point number n (0-based), s.len when there are fewer. */
size_t weft_utf8_offset(struct weft_str s, size_t n);
size_t weft_utf8_offset_of_valid(struct weft_str s, size_t n); /* the same, of text that is known to be UTF-8 */
/* Columns a terminal needs: CJK and full-width count two, combining marks none. */
size_t weft_utf8_width(struct weft_str s);

/* ---- growing buffer ---- */

/* Bytes in malloc memory.  Errors stick: after a failed growth every append is ignored and `failed` stays set,
 * so that a writer checks once at its end (weft_buf_check). */
struct weft_buf {
    char *s; /* len bytes and a final NUL; NULL while nothing was appended */
    size_t len, cap;
    size_t max_bytes;      /* most bytes without the NUL; 0: no limit */
    bool failed, too_long; /* too_long: it was the limit */
};

void weft_buf_clear(struct weft_buf *b);                /* frees; a zeroed struct is an empty buffer */
void weft_buf_reset(struct weft_buf *b);                /* length 0, memory kept, failure forgotten */
bool weft_buf_reserve(struct weft_buf *b, size_t more); /* room for `more` bytes; false sets failed */
void weft_buf_append(struct weft_buf *b, const void *s, size_t n);
static inline void weft_buf_add(struct weft_buf *b, const void *s, size_t n)
{
    if (n >= b->cap - b->len || b->failed || b->max_bytes) weft_buf_append(b, s, n);
    else { /* there is room: writers of small pieces live from it */
        if (n) memcpy(b->s + b->len, s, n);
        b->len += n;
        b->s[b->len] = '\0';
    }
}
static inline void weft_buf_str(struct weft_buf *b, struct weft_str s) { weft_buf_add(b, s.s, s.len); }
static inline void weft_buf_cstr(struct weft_buf *b, const char *s) { weft_buf_add(b, s, strlen(s)); }
static inline void weft_buf_char(struct weft_buf *b, char c) { weft_buf_add(b, &c, 1); }
void weft_buf_utf8(struct weft_buf *b, uint32_t cp);
void weft_buf_printf(struct weft_buf *b, const char *fmt, ...) WEFT_PRINTF(2, 3);
static inline struct weft_str weft_buf_view(const struct weft_buf *b)
{
    return (struct weft_str){ b->s, b->len };
}
/* WEFT_ENOMEM or WEFT_ELIMIT when an append was lost. `what` names the content in the message. */
WEFT_MUST_USE enum weft_status weft_buf_check(const struct weft_buf *b, const char *what,
                                              struct weft_err *err);

/* Text from a file or a peer, made safe to print: control characters as \x1b, newline as \n, at most `max`
 * bytes and then "...".  Appends to b. */
void weft_buf_escaped(struct weft_buf *b, struct weft_str s, size_t max);
/* The same into a fixed array with final NUL; returns out, so that it can stand in an argument list. */
const char *weft_escape(char *out, size_t out_bytes, struct weft_str s);

#endif
