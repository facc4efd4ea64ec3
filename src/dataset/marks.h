/* dataset/marks.h - what the marks of running text mean: quotes, ends of sentences, pauses; inside dataset/ only */
#ifndef WEFT_DATASET_MARKS_H
#define WEFT_DATASET_MARKS_H

#include "base/str.h"

/* The closer that belongs to an opening quote; 0: not one.  U+0022 and U+FF02 open and close. */
static inline uint32_t mark_closer_of(uint32_t cp)
{
    switch (cp) {
    case 0x201C: return 0x201D;         /* “ ” */
    case 0x2018: return 0x2019;         /* ‘ ’ */
    case 0x300C: return 0x300D;         /* 「 」 */
    case 0x300E: return 0x300F;         /* 『 』 */
    case 0x301D: return 0x301E;         /* 〝 〞 */
    case 0xFF62: return 0xFF63;         /* half-width 「 」 */
    case '"': case 0xFF02: return cp;
    default: return 0;
    }
}
static inline bool mark_is_quote_closer(uint32_t cp)
{
    return cp == 0x201D || cp == 0x2019 || cp == 0x300D || cp == 0x300F || cp == 0x301E || cp == 0xFF63;
}
/* What may stand between the end of a sentence and the place to cut: quotes and brackets that close. */
static inline bool mark_is_closer(uint32_t cp)
{
    return mark_is_quote_closer(cp) || cp == ')' || cp == ']' || cp == '}' || cp == 0xFF09 || cp == 0x3011
           || cp == 0x300B || cp == 0x3009 || cp == 0x3015 || cp == 0x3017 || cp == 0xFF3D || cp == 0xFF5D;
}
/* 。！？!?… and their half-width and vertical forms; the full stop of Latin text is decided by what follows it. */
static inline bool mark_is_end(uint32_t cp)
{
    return cp == 0x3002 || cp == 0xFF01 || cp == 0xFF1F || cp == '!' || cp == '?' || cp == 0x2026 || cp == 0x22EF
           || cp == 0xFF0E || cp == 0xFF61 || cp == 0x203C || cp == 0x2047 || cp == 0x2048 || cp == 0x2049;
}
/* ，、；and the like: where a sentence that is too long may be cut. */
static inline bool mark_is_pause(uint32_t cp)
{
    return cp == 0xFF0C || cp == 0x3001 || cp == 0xFF1B || cp == ',' || cp == ';' || cp == 0xFF64;
}
static inline bool mark_is_colon(uint32_t cp)
{
    return cp == ':' || cp == 0xFF1A || cp == 0x2236 || cp == 0xFE55 || cp == 0xFE13;
}

/* The code point that ends at byte `at` > 0 of valid UTF-8; *begin: where it begins. */
static inline uint32_t mark_before(struct weft_str s, size_t at, size_t *begin)
{
    uint32_t cp;
    size_t b = at - 1;
    while (b && at - b < 4 && ((unsigned char)s.s[b] & 0xC0) == 0x80) b--;
    weft_utf8_decode(s.s + b, at - b, &cp, NULL);
    *begin = b;
    return cp;
}
/* The code point at byte `at`, 0 at the end. */
static inline uint32_t mark_at(struct weft_str s, size_t at)
{
    uint32_t cp = 0;
    if (at < s.len) weft_utf8_decode(s.s + at, s.len - at, &cp, NULL);
    return cp;
}

#endif
