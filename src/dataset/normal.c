#include "dataset/normal.h"

#include <stdlib.h>
#include <string.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif
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

/* ---- the next character that matters ---- */

/* Most text is letters that NFC leaves alone and single spaces.  The rest: white space of any kind, and whatever is
 * not inert. */
static inline bool is_special(unsigned char c)
{
    return c < 0x21 || (c >= 0xC0 && !(c >= 0xC3 && c <= 0xCB) && !(c >= 0xE4 && c <= 0xE9));
}

/* Offset of the first byte at or after `at` that begins a special character, or s.len.  C3..CB begin U+00C0..U+02FF,
 * E4..E9 U+4000..U+9FFF. */
static size_t next_special(struct weft_str s, size_t at)
{
#if defined(__SSE2__)
    const __m128i space = _mm_set1_epi8(0x20), lead = _mm_set1_epi8((char)0xC0), latin = _mm_set1_epi8((char)0xC3),
                  latin_n = _mm_set1_epi8(0xCB - 0xC3), han = _mm_set1_epi8((char)0xE4),
                  han_n = _mm_set1_epi8(0xE9 - 0xE4);
    for (; at + 16 <= s.len; at += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(s.s + at));
        __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(v, space), v), high = _mm_cmpeq_epi8(_mm_max_epu8(v, lead), v);
        __m128i l = _mm_sub_epi8(v, latin), h = _mm_sub_epi8(v, han);
        __m128i inert = _mm_or_si128(_mm_cmpeq_epi8(_mm_min_epu8(l, latin_n), l), _mm_cmpeq_epi8(_mm_min_epu8(h, han_n), h));
        int hit = _mm_movemask_epi8(_mm_or_si128(low, _mm_andnot_si128(inert, high)));
        if (hit) return at + (size_t)__builtin_ctz((unsigned)hit);
    }
#endif
    while (at < s.len && !is_special((unsigned char)s.s[at])) at++;
    return at;
}

struct weft_str weft_nfc(struct weft_arena *a, struct weft_str s)
{
    struct weft_str out = { NULL, 0 };
    utf8proc_uint8_t *composed = NULL;
    size_t i = 0;
    while ((i = next_special(s, i)) < s.len) {
        uint32_t cp;
        if ((unsigned char)s.s[i] < 0x80) {
            i++;
            continue;
        }
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

/* The first white space at or after `at` that is not a single ' ', with its length; s.len: there is none. */
static size_t next_fold(struct weft_str s, size_t at, size_t *n)
{
    for (; (at = next_special(s, at)) < s.len; at += *n) {
        uint32_t cp;
        *n = 1;
        if (s.s[at] == ' ' && !(at && s.s[at - 1] == ' ')) continue;
        *n = weft_utf8_decode(s.s + at, s.len - at, &cp, NULL);
        if (weft_is_space(cp)) return at;
    }
    return at;
}

struct weft_str weft_normalise(struct weft_arena *a, struct weft_str s)
{
    size_t width, from = 0, n = 0;
    s = weft_nfc(a, weft_trim(s));
    if (!s.s) return s;
    size_t at = next_fold(s, 0, &width);
    if (at == s.len) return s;
    char *out = weft_arena_alloc(a, s.len + 1);
    if (!out) return (struct weft_str){ NULL, 0 };
    while (at < s.len) {        /* what stands before it, and one space unless that ends in one */
        memcpy(out + n, s.s + from, at - from);
        n += at - from;
        if (!n || out[n - 1] != ' ') out[n++] = ' ';
        from = at + width;
        /* a ' ' that follows belongs to the same run */
        while (from < s.len && s.s[from] == ' ') from++;
        at = next_fold(s, from, &width);
    }
    memcpy(out + n, s.s + from, s.len - from);
    n += s.len - from;
    out[n] = 0;
    return (struct weft_str){ out, n };
}
