/* base/json_parts.h - what the files of the JSON module share; not for others */
#ifndef WEFT_BASE_JSON_PARTS_H
#define WEFT_BASE_JSON_PARTS_H

#include "base/json.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/* A key in the hash table of its object.  The hash stands beside its number, so that a search that meets another
 * key seldom has to look at that key's text, and growing the table needs no text at all. */
struct weft_json_slot {
    uint32_t hash, number; /* number + 1; 0 is a free place */
};

struct weft_json_frame {
    bool is_object, started; /* started: one key or element was handed out */
    struct weft_str *keys;   /* the keys so far, to find one that comes twice */
    size_t n_keys, cap_keys;
    struct weft_json_slot *table; /* once the keys are many */
    size_t table_len, table_cap;
};

/* Eight bytes as a word: the high bit of each that needs attention in a string.  A borrow can only spoil bytes
 * above the first hit. */
static inline uint64_t weft_json_attention(uint64_t w)
{
    const uint64_t ones = 0x0101010101010101u, highs = 0x8080808080808080u;
    uint64_t q = w ^ ones * '"', b = w ^ ones * '\\';
    return (((q - ones) & ~q) | ((b - ones) & ~b) | ((w - ones * 0x20) & ~w)) & highs;
}

/* The length of the part of s that needs no attention in a string: up to a quote, a backslash or a control
 * character.  Sixteen bytes at a time where the processor's base set has them; else eight. */
static inline size_t weft_json_plain(const char *s, size_t len)
{
    size_t i = 0;
#if defined(__SSE2__)
    const __m128i quote = _mm_set1_epi8('"'), back = _mm_set1_epi8('\\'), last_control = _mm_set1_epi8(0x1F);
    for (; i + 16 <= len; i += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(s + i));
        __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(v, last_control), v);
        int hit = _mm_movemask_epi8(
            _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, back)), control));
        if (hit) return i + (size_t)__builtin_ctz((unsigned)hit);
    }
#endif
    for (; i + 8 <= len; i += 8) {
        uint64_t w;
        memcpy(&w, s + i, 8);
        uint64_t hit = weft_json_attention(w);
        if (hit) {
            if (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__) return i + (size_t)__builtin_ctzll(hit) / 8;
            break;
        }
    }
    while (i < len && s[i] != '"' && s[i] != '\\' && (unsigned char)s[i] >= 0x20) i++;
    return i;
}

/* weft_json_plain that copies the part on its way: `to` has room for len + WEFT_JSON_SLACK bytes, of which those
 * behind the part are left in any state. */
enum { WEFT_JSON_SLACK = 64 };
static inline size_t weft_json_copy_plain(char *to, const char *s, size_t len)
{
    size_t i = 0;
#if defined(__SSE2__)
    const __m128i quote = _mm_set1_epi8('"'), back = _mm_set1_epi8('\\'), last_control = _mm_set1_epi8(0x1F);
    for (; i + 16 <= len; i += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(s + i));
        _mm_storeu_si128((__m128i *)(void *)(to + i), v);
        __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(v, last_control), v);
        int hit = _mm_movemask_epi8(
            _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, back)), control));
        if (hit) return i + (size_t)__builtin_ctz((unsigned)hit);
    }
#endif
    if (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ && len >= 8) {
        uint64_t w;
        for (; i + 8 <= len; i += 8) {
            memcpy(&w, s + i, 8);
            memcpy(to + i, &w, 8);
            uint64_t hit = weft_json_attention(w);
            if (hit) return i + (size_t)__builtin_ctzll(hit) / 8;
        }
        if (i == len) return len;
        /* The last eight, less those that were seen; the zeros behind them ask for attention. */
        memcpy(&w, s + len - 8, 8);
        w >>= 8 * (8 - (len - i));
        memcpy(to + i, &w, 8);
        return i + (size_t)__builtin_ctzll(weft_json_attention(w)) / 8;
    }
    for (; i < len && s[i] != '"' && s[i] != '\\' && (unsigned char)s[i] >= 0x20; i++) to[i] = s[i];
    return i;
}

/* A number as written, and what it means. */
struct weft_json_number {
    struct weft_str text;
    bool is_int;   /* no point, no exponent */
    bool fits_int; /* is_int and within int64_t */
    int64_t integer;
    double number;
};

/* Scans the number at s (its first byte is '-' or a digit).  Returns NULL, or what is wrong and where: an English
 * phrase of the catalogue, *bad the offset from s.  Sets number to an infinity when it is beyond double. */
const char *weft_json_scan_number(struct weft_str s, struct weft_json_number *out, size_t *bad);

/* The escape at `at` (a backslash): its character, and the offset behind it. */
enum weft_status weft_json_escape(const struct weft_json *j, size_t at, size_t *next, uint32_t *cp,
                                  struct weft_err *err);

/* "name:line:column: found X; expected <expected>" by rule JS2; `expected` is a phrase of the catalogue. */
enum weft_status weft_json_expected(const struct weft_json *j, size_t at, const char *expected,
                                    struct weft_err *err);

/* The value at j->at as a tree, when it is an ordinary one and right; else false, and the reader is as before. */
bool weft_json_quick(struct weft_json *j, struct weft_json_value *out);
/* What weft_json_tree does with all others: the definition of a tree. */
WEFT_MUST_USE enum weft_status weft_json_tree_plain(struct weft_json *j, struct weft_json_value *out,
                                                    struct weft_err *err);

/* One number, with all that is known about it. */
enum weft_status weft_json_number(struct weft_json *j, struct weft_json_number *out, struct weft_err *err);

#endif
