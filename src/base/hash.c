/* SHA-256 and SHA-1 through libcrypto, which uses the processor's SHA instructions where it has them; XXH3 from the
 * header-only form of libxxhash, so that short keys are hashed inline.
 * Why not libcrypto's EVP functions: their first call looks for providers and a configuration, which takes 0.7 ms, as
 * long as reading a short screenplay. */
#include "base/hash.h"

#include "base/file.h"
#include "base/hash_parts.h"
#include "base/wide.h"

#include <stdlib.h>

#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

static void write_hex(const unsigned char *md, size_t bytes, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < bytes; i++) {
        out[2 * i] = digits[md[i] >> 4];
        out[2 * i + 1] = digits[md[i] & 15];
    }
    out[2 * bytes] = '\0';
}

enum weft_status weft_sha256_init(struct weft_sha256 *h, struct weft_err *err)
{
    h->state = malloc(sizeof(SHA256_CTX));
    if (!h->state) return weft_fail_nomem(err, sizeof(SHA256_CTX), "a SHA-256 state");
    SHA256_Init(h->state);
    return WEFT_OK;
}

void weft_sha256_add(struct weft_sha256 *h, const void *p, size_t n)
{
    if (n) SHA256_Update(h->state, p, n);
}

void weft_sha256_hex(struct weft_sha256 *h, char out[WEFT_SHA256_HEX])
{
    unsigned char md[SHA256_DIGEST_LENGTH];
    SHA256_Final(md, h->state);
    write_hex(md, sizeof md, out);
    weft_sha256_clear(h);
}

void weft_sha256_clear(struct weft_sha256 *h)
{
    if (!h) return;
    free(h->state);
    h->state = NULL;
}

enum weft_status weft_sha1_init(struct weft_sha1 *h, struct weft_err *err)
{
    h->state = malloc(sizeof(SHA_CTX));
    if (!h->state) return weft_fail_nomem(err, sizeof(SHA_CTX), "a SHA-1 state");
    SHA1_Init(h->state);
    return WEFT_OK;
}

void weft_sha1_add(struct weft_sha1 *h, const void *p, size_t n)
{
    if (n) SHA1_Update(h->state, p, n);
}

void weft_sha1_hex(struct weft_sha1 *h, char out[WEFT_SHA1_HEX])
{
    unsigned char md[SHA_DIGEST_LENGTH];
    SHA1_Final(md, h->state);
    write_hex(md, sizeof md, out);
    weft_sha1_clear(h);
}

void weft_sha1_clear(struct weft_sha1 *h)
{
    if (!h) return;
    free(h->state);
    h->state = NULL;
}

enum weft_status weft_sha256_of(struct weft_str s, char out[WEFT_SHA256_HEX], struct weft_err *err)
{
    struct weft_sha256 h;
    enum weft_status st = weft_sha256_init(&h, err);
    if (st) return st;
    weft_sha256_add(&h, s.s, s.len);
    weft_sha256_hex(&h, out);
    return WEFT_OK;
}

enum weft_status weft_sha256_file(const char *path, char out[WEFT_SHA256_HEX], struct weft_err *err)
{
    enum { PIECE = 4 << 20 };           /* leaves memory when it has been read: files may be larger than what is free */
    struct weft_map m = { 0 };
    struct weft_sha256 h = { 0 };
    enum weft_status st = weft_map_open(&m, path, err);
    if (!st) st = weft_sha256_init(&h, err);
    for (size_t at = 0; !st && at < m.len; at += PIECE) {
        size_t n = weft_min_size(PIECE, m.len - at);
        weft_sha256_add(&h, m.p + at, n);
        weft_map_forget(&m, m.p + at, n);
    }
    if (!st) weft_sha256_hex(&h, out);
    weft_sha256_clear(&h);
    weft_map_close(&m);
    return st;
}

/* Below this the library hashes in one go, without vectors. */
enum { LONG_TEXT = XXH3_MIDSIZE_MAX + 1 };

uint64_t weft_xxh3(const void *p, size_t n, uint64_t seed)
{
#if defined(__x86_64__)
    if (n >= LONG_TEXT && weft_wide()) return weft_xxh3_wide(p, n, seed);
#endif
    return XXH3_64bits_withSeed(p, n, seed);
}

void weft_xxh3_128(const void *p, size_t n, unsigned char out[WEFT_XXH3_BYTES])
{
    XXH128_canonical_t digest;
#if defined(__x86_64__)
    if (n >= LONG_TEXT && weft_wide()) {
        weft_xxh3_128_wide(p, n, out);
        return;
    }
#endif
    XXH128_canonicalFromHash(&digest, XXH3_128bits(p, n));
    memcpy(out, digest.digest, WEFT_XXH3_BYTES);
}

/* Four bits at a time: a table of one cache line, and some hundred megabytes a second, more than any log needs. */
uint32_t weft_crc32c(uint32_t crc, const void *p, size_t n)
{
    static const uint32_t table[16] = { 0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
                                        0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
                                        0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75 };
    const unsigned char *b = p;
    crc = ~crc;
    for (size_t i = 0; i < n; i++) {
        crc ^= b[i];
        crc = table[crc & 15] ^ (crc >> 4);
        crc = table[crc & 15] ^ (crc >> 4);
    }
    return ~crc;
}
