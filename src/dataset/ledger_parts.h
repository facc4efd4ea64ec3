/* dataset/ledger_parts.h - the bytes of a ledger; shared by ledger.c and ledger_scan.c only
 *
 *     file head, twice (the second copy saves a ledger whose first bytes are damaged):
 *      0   8  "weftcall"
 *      8   4  version, 1
 *     12   8  salt: random, part of every checksum of this file, so that no reply of a model, whatever bytes it is
 *             made of, can look like a record when good ones are searched for behind damage
 *     20   4  CRC32C of bytes 0..19
 *     record:
 *      0   4  "WCL1"
 *      4   4  length of the payload
 *      8   4  CRC32C of salt and bytes 0..7: a damaged length is known as such
 *     12   4  CRC32C of salt and payload
 *     16      payload: state u8, finish u8, flags u8 (1: maybe paid, 2: synced), 0 u8, key 32, time u64, status u32,
 *             prompt tokens u32, completion tokens u32, three lengths u32, synced u64 (where flag 2 says so), then
 *             text, reasoning, note
 * `synced` tells a power cut from damage: the disk may lose any of the records since the last sync and keep later ones.
 * A bad place is damage when a good record says that it had been synced, else a write that never arrived.
 * All numbers little-endian.
 */
#ifndef WEFT_DATASET_LEDGER_PARTS_H
#define WEFT_DATASET_LEDGER_PARTS_H

#include "dataset/ledger.h"

enum {
    LEDGER_HEAD_BYTES = 24,
    LEDGER_START = 2 * LEDGER_HEAD_BYTES,
    LEDGER_RECORD_HEAD = 16,
    LEDGER_FIXED = 68, /* of a payload, before its texts */
    LEDGER_MAX_PAYLOAD = 64 << 20,
    LEDGER_SALT_BYTES = 8
};

static inline uint32_t ledger_u32(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}
static inline void ledger_put32(unsigned char *p, uint32_t v)
{
    for (int i = 0; i < 4; i++) p[i] = (unsigned char)(v >> (8 * i));
}
static inline uint64_t ledger_u64(const unsigned char *p)
{
    return (uint64_t)ledger_u32(p) | (uint64_t)ledger_u32(p + 4) << 32;
}
static inline void ledger_put64(unsigned char *p, uint64_t v)
{
    for (int i = 0; i < 8; i++) p[i] = (unsigned char)(v >> (8 * i));
}

void ledger_head_make(unsigned char head[LEDGER_HEAD_BYTES], const unsigned char salt[LEDGER_SALT_BYTES]);
/* The salt of a whole head; false: damaged. */
bool ledger_head_read(const unsigned char *head, unsigned char salt[LEDGER_SALT_BYTES]);
uint32_t ledger_sum(const unsigned char salt[LEDGER_SALT_BYTES], const void *p, size_t n);

/* Appends one record to `b`.  `synced`: bytes of the file that were safe from a power cut when it was written. */
void ledger_encode(struct weft_buf *b, const unsigned char salt[LEDGER_SALT_BYTES], const struct weft_call *call,
                   uint64_t synced);
/* A payload whose checksum is right; texts point into it. false: not one of ours. */
bool ledger_decode(struct weft_str payload, struct weft_call *call);
/* A whole good record at the start of `bytes`: its length, or 0. */
size_t ledger_record(struct weft_str bytes, const unsigned char salt[LEDGER_SALT_BYTES], struct weft_call *call);
/* What a good record at `record` says of the file before it: bytes that were synced; UINT64_MAX: one without the
 * mark, of which everything before counts as synced. */
uint64_t ledger_synced(const char *record);

#endif
