/* tokens/unicode.h - character classes and normal forms, in the shape a tokenizer wants them
 *
 * The classes come from libutf8proc, flattened once into a two-stage table: blocks of 256 code points, equal
 * blocks stored once, so that a look-up is two loads.  Where the library knows an older Unicode than the
 * reference tokenizer, the ranges assigned since (15.0 - 16.0) are added.
 * Owner:   weft_unicode_free.   Threads: immutable after new, any number of readers.
 */
#ifndef WEFT_TOKENS_UNICODE_H
#define WEFT_TOKENS_UNICODE_H

#include "base/str.h"

/* Bits of a code point's class. */
enum {
    WEFT_UNI_LETTER = 1,     /* \p{L} */
    WEFT_UNI_NUMBER = 2,     /* \p{N} */
    WEFT_UNI_SPACE = 4,      /* \s: White_Space */
    WEFT_UNI_MARK = 8,       /* \p{M} */
    WEFT_UNI_UPPER = 16,     /* Lu, Lt */
    WEFT_UNI_LOWER = 32,     /* Ll */
    WEFT_UNI_PUNCT = 64,     /* \p{P} */
    WEFT_UNI_SYMBOL = 128,   /* \p{S} */
    WEFT_UNI_WORD = 256,     /* a character of a word for `single_word`: Alphabetic, M, Nd, Pc, joiners */
    WEFT_UNI_DIGIT = 512,    /* Nd */
    WEFT_UNI_COMPOSES = 1024 /* may change under NFC or join the character before it; else a border of NFC */
};

struct weft_unicode {
    uint16_t block[0x1100]; /* [code point >> 8], block number */
    uint16_t *classes;      /* [n_blocks, 256] */
    size_t n_blocks;
};

WEFT_MUST_USE enum weft_status weft_unicode_new(struct weft_unicode **out, struct weft_err *err);
void weft_unicode_free(struct weft_unicode *u); /* accepts NULL */

static inline unsigned weft_unicode_class(const struct weft_unicode *u, uint32_t cp)
{
    return u->classes[((size_t)u->block[cp >> 8] << 8) | (cp & 255)];
}

/* The code point at s, which must be the start of a character of valid UTF-8; its byte count into *n. */
static inline uint32_t weft_unicode_next(const unsigned char *s, size_t *n)
{
    if (s[0] < 0x80) return *n = 1, s[0];
    if (s[0] < 0xE0) return *n = 2, (uint32_t)(s[0] & 31) << 6 | (s[1] & 63);
    if (s[0] < 0xF0) return *n = 3, (uint32_t)(s[0] & 15) << 12 | (uint32_t)(s[1] & 63) << 6 | (s[2] & 63);
    return *n = 4, (uint32_t)(s[0] & 7) << 18 | (uint32_t)(s[1] & 63) << 12 | (uint32_t)(s[2] & 63) << 6
                       | (s[3] & 63);
}

/* Row i of the ranges that libutf8proc and PCRE2 may not know yet: their general category ("Lo"), or NULL
 * behind the last row. */
const char *weft_unicode_since(size_t i, uint32_t *first, uint32_t *last);

enum weft_normal_form { WEFT_NFC, WEFT_NFD, WEFT_NFKC, WEFT_NFKD };

/* Bytes at the front of s (valid UTF-8) that NFC leaves as they are; s.len when it leaves all of it. */
size_t weft_unicode_nfc_prefix(const struct weft_unicode *u, struct weft_str s);

/* End of the stretch of s (valid UTF-8) from the border `from` < s.len to the next: a character, and what
 * may be joined with it or reordered.  The normal form of a text is that of its stretches, joined. */
size_t weft_unicode_stretch(const struct weft_unicode *u, enum weft_normal_form form, struct weft_str s,
                            size_t from);

/* Appends the normal form of s (valid UTF-8) to out.  Linear in s.len, also for long runs of combining
 * marks. */
WEFT_MUST_USE enum weft_status weft_unicode_normalize(const struct weft_unicode *u,
                                                      enum weft_normal_form form, struct weft_str s,
                                                      struct weft_buf *out, struct weft_err *err);

#endif
