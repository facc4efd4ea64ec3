/* base/hash.h - SHA-256 for names that must not collide, XXH3 for tables and cache keys, CRC32C against torn records */
#ifndef WEFT_BASE_HASH_H
#define WEFT_BASE_HASH_H

#include "base/str.h"

enum { WEFT_SHA256_HEX = 65 }; /* 64 digits and NUL */

struct weft_sha256 {
    void *state; /* malloc; freed by _hex or _clear */
};
WEFT_MUST_USE enum weft_status weft_sha256_init(struct weft_sha256 *h, struct weft_err *err);
void weft_sha256_add(struct weft_sha256 *h, const void *p, size_t n);
void weft_sha256_hex(struct weft_sha256 *h, char out[WEFT_SHA256_HEX]); /* finishes and clears */
void weft_sha256_clear(struct weft_sha256 *h);

/* In one call. */
WEFT_MUST_USE enum weft_status weft_sha256_of(struct weft_str s, char out[WEFT_SHA256_HEX],
                                              struct weft_err *err);
WEFT_MUST_USE enum weft_status weft_sha256_file(const char *path, char out[WEFT_SHA256_HEX],
                                                struct weft_err *err);

/* SHA-1, for git's names of files alone: it is broken as a proof against forgers. */
enum { WEFT_SHA1_HEX = 41 };
struct weft_sha1 {
    void *state;
};
WEFT_MUST_USE enum weft_status weft_sha1_init(struct weft_sha1 *h, struct weft_err *err);
void weft_sha1_add(struct weft_sha1 *h, const void *p, size_t n);
void weft_sha1_hex(struct weft_sha1 *h, char out[WEFT_SHA1_HEX]); /* finishes and clears */
void weft_sha1_clear(struct weft_sha1 *h);

uint64_t weft_xxh3(const void *p, size_t n, uint64_t seed);
/* 128 bits, the highest byte first: no accident makes two texts alike, but someone who wants to can. */
enum { WEFT_XXH3_BYTES = 16 };
void weft_xxh3_128(const void *p, size_t n, unsigned char out[WEFT_XXH3_BYTES]);

/* CRC-32C (Castagnoli) of more bytes after `crc`, 0 at the start; "123456789" gives 0xE3069283. */
uint32_t weft_crc32c(uint32_t crc, const void *p, size_t n);

#endif
