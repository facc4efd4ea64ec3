#include "dataset/normal.h"

#include <stdlib.h>
#include <utf8proc.h>

bool weft_is_space(uint32_t cp)
{
    switch (cp) {
    case ' ': case '\t': case '\r': case '\n': case '\v': case '\f': case 0x85: case 0xA0: case 0x1680: case 0x2028:
    case 0x2029: case 0x202F: case 0x205F: case 0x3000: case 0x200B: case 0xFEFF: return true;
    default: return cp >= 0x2000 && cp <= 0x200A;
    }
}

/* A first byte that no white space begins with: letters, digits, most of CJK. */
static bool is_solid(unsigned char c) { return (c > ' ' && c < 0x80) || (c >= 0xE4 && c <= 0xED); }

struct weft_str weft_trim_left(struct weft_str s)
{
    if (s.len && is_solid((unsigned char)s.s[0])) return s;
    while (s.len) {
        uint32_t cp;
        size_t n = weft_utf8_decode(s.s, s.len, &cp, NULL);
        if (!weft_is_space(cp)) break;
        s = weft_str_skip(s, n);
    }
    return s;
}

struct weft_str weft_trim(struct weft_str s)
{
    s = weft_trim_left(s);
    while (s.len) {
        size_t at = s.len - 1;
        uint32_t cp;
        while (at && ((unsigned char)s.s[at] & 0xC0) == 0x80 && s.len - at < 4) at--;
        weft_utf8_decode(s.s + at, s.len - at, &cp, NULL);
        if (!weft_is_space(cp)) break;
        s.len = at;
    }
    return s;
}

/* Characters that NFC neither changes nor combines with a neighbour: nearly all of any text. */
static bool is_inert(uint32_t cp)
{
    return cp < 0x300 || (cp >= 0x2010 && cp <= 0x205E) || (cp >= 0x3000 && cp <= 0x3029) ||
           (cp >= 0x3030 && cp <= 0x3098) || (cp >= 0x309B && cp <= 0x9FFF) || (cp >= 0xFF00 && cp <= 0xFFEF) ||
           (cp >= 0x20000 && cp <= 0x2F7FF);
}

struct weft_str weft_nfc(struct weft_arena *a, struct weft_str s)
{
    struct weft_str out = { NULL, 0 };
    utf8proc_uint8_t *composed = NULL;
    size_t i = 0;
    while (i < s.len) {
        uint32_t cp;
        size_t n = weft_utf8_decode(s.s + i, s.len - i, &cp, NULL);
        if (!is_inert(cp)) break;
        i += n;
    }
    if (i == s.len) return s.s ? s : (struct weft_str){ "", 0 };
    utf8proc_ssize_t len = utf8proc_map((const utf8proc_uint8_t *)s.s, (utf8proc_ssize_t)s.len, &composed,
                                        UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    if (len == UTF8PROC_ERROR_INVALIDUTF8) return s;        /* not ours to judge here */
    if (len >= 0) out = weft_str_dup(a, (struct weft_str){ (const char *)composed, (size_t)len });
    free(composed);
    return out;
}

struct weft_str weft_normalise(struct weft_arena *a, struct weft_str s)
{
    s = weft_nfc(a, weft_trim(s));
    if (!s.s) return s;
    size_t i = 0;
    bool plain = true, before = false;
    while (i < s.len && plain) {
        uint32_t cp;
        i += weft_utf8_decode(s.s + i, s.len - i, &cp, NULL);
        bool space = weft_is_space(cp);
        plain = !space || (cp == ' ' && !before);
        before = space;
    }
    if (plain) return s;
    char *out = weft_arena_alloc(a, s.len + 1);
    size_t n = 0;
    if (!out) return (struct weft_str){ NULL, 0 };
    before = false;
    for (i = 0; i < s.len;) {
        uint32_t cp;
        size_t len = weft_utf8_decode(s.s + i, s.len - i, &cp, NULL);
        bool space = weft_is_space(cp);
        if (!space) {
            memcpy(out + n, s.s + i, len);
            n += len;
        } else if (!before) out[n++] = ' ';
        before = space;
        i += len;
    }
    out[n] = 0;
    return (struct weft_str){ out, n };
}
