/* tokens/byte_level.h - the 256 characters that stand for bytes in byte-level vocabularies
 *
 * Printable Latin-1 (33-126, 161-172, 174-255) stands for itself; the other 68 bytes, in increasing order,
 * for U+0100, U+0101 ... so that a space is U+0120 and a newline U+010A.
 */
#ifndef WEFT_TOKENS_BYTE_LEVEL_H
#define WEFT_TOKENS_BYTE_LEVEL_H

#include "base/str.h"

enum { WEFT_BYTE_LEVEL_MAX = 0x143 }; /* the highest of the 256 code points */

struct weft_byte_level {
    uint16_t of_byte[256];                    /* byte -> code point */
    int16_t to_byte[WEFT_BYTE_LEVEL_MAX + 1]; /* code point -> byte, -1 for others */
};
void weft_byte_level_init(struct weft_byte_level *b);

/* Appends the mapped form of the bytes s. */
void weft_byte_level_map(const struct weft_byte_level *b, struct weft_str s, struct weft_buf *out);
/* The bytes that the mapped text s (valid UTF-8) stands for, into out [s.len]; how many, 0 when a
 * character of s stands for no byte. */
size_t weft_byte_level_bytes(const struct weft_byte_level *b, struct weft_str s, char *out);
/* The same, appended to out; false, with nothing appended, when a character stands for no byte. */
bool weft_byte_level_unmap(const struct weft_byte_level *b, struct weft_str s, struct weft_buf *out);

#endif
