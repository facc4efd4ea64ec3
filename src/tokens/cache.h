/* tokens/cache.h - collated examples on disk, so that a dataset is tokenized once
 *
 * A file holds what weft_collate_rows gave, and the key of all that it depended on.  It is trusted by its checksum and
 * by its key only; whatever else is found in the place is no error but a reason to collate again.  The numbers lie as
 * the machine writes them: a file of another kind of machine is another program's (docs/tokens.md has the bytes).
 *
 * Why not overlap collating with the first steps instead: the memory plan needs the longest row before step 1, and
 * 50 MB of text take less than a second (docs/tokens.md, "Speed").
 *
 * Threads: any number of readers and writers of one folder; files appear whole.
 */
#ifndef WEFT_TOKENS_CACHE_H
#define WEFT_TOKENS_CACHE_H

#include "base/hash.h"
#include "tokens/collate.h"

/* What the examples of some rows depend on beside the settings: hashes, none of them NULL. */
struct weft_collate_inputs {
    const char *rows;               /* dataset/canon.h */
    const char *tokenizer;          /* of all its files */
    const char *chat;               /* weft_chat_fingerprint; "" without a template */
    const char *today;              /* "2026-11-25": templates may print it */
};
/* One name for all of it and this version of weft. */
WEFT_MUST_USE enum weft_status weft_collate_key(const struct weft_collate_inputs *in,
                                                const struct weft_collate_settings *s, char key[WEFT_SHA256_HEX],
                                                struct weft_err *err);

/* Why there is nothing to take. */
enum weft_cache_found {
    WEFT_CACHE_TAKEN,
    WEFT_CACHE_ABSENT,
    WEFT_CACHE_DAMAGED,             /* too short, too long, or not what its checksum says */
    WEFT_CACHE_FOREIGN              /* of other rows, another tokenizer, another weft; or something else altogether */
};

/* The examples of `bytes` in arena `a`, if they are those of `key`: of n_rows rows and vocab_size tokens.  Every number
 * is checked, so that a file that was made to look right does no harm.  WEFT_ENOMEM. */
WEFT_MUST_USE enum weft_status weft_cache_parse(struct weft_arena *a, struct weft_str bytes, const char *key,
                                                size_t n_rows, size_t vocab_size, struct weft_examples *out,
                                                enum weft_cache_found *found, struct weft_err *err);
/* The same of a file. */
WEFT_MUST_USE enum weft_status weft_cache_load(struct weft_arena *a, const char *path, const char *key, size_t n_rows,
                                               size_t vocab_size, struct weft_examples *out,
                                               enum weft_cache_found *found, struct weft_err *err);

/* Bytes of the file of these examples. */
uint64_t weft_cache_bytes(const struct weft_examples *ex);
/* Written whole or not at all.  WEFT_ESYSTEM: the disk. */
WEFT_MUST_USE enum weft_status weft_cache_save(const char *path, const char *key, const struct weft_examples *ex,
                                               struct weft_err *err);

#endif
