/* store/hub_journal.h - a file that comes in chunks, and the journal of which have come
 *
 * TARGET.parts.incomplete is as long as what has come furthest, with holes where nothing has come yet;
 * TARGET.journal.incomplete says how much of each chunk is there.  A plain TARGET.incomplete, the beginning of the file
 * from one stream, is taken over.  After kill -9 not a byte is lost: both files are in the kernel's cache, and a
 * chunk's entry is written after its bytes.  After a power cut what was last synced counts.  The digest of the whole
 * decides in the end, so a journal never has to be believed.
 *
 * Owner:   the caller, who holds the lock of TARGET; _close keeps what has come.
 * Threads: one.
 */
#ifndef WEFT_STORE_HUB_JOURNAL_H
#define WEFT_STORE_HUB_JOURNAL_H

#include "base/str.h"

struct weft_hub_chunk {
    uint64_t at;     /* bytes that are there, counted from its beginning */
    uint64_t synced; /* of these, on the disk for certain */
};

struct weft_hub_journal {
    char *data, *table; /* paths; malloc */
    int fd, table_fd;   /* -1: not open */
    uint64_t size, chunk_bytes;
    struct weft_hub_chunk *chunks; /* [n]; malloc */
    size_t n;
    uint64_t have; /* bytes that are there, of all chunks */
    size_t first;  /* the first chunk that is not whole; n: all are */
    uint64_t unsynced;
};

/* Opens or creates the two files beside `target`, which will have `size` > 0 bytes and `digest` (1 to 64 digits).  A
 * journal of another size or digest, or a damaged one, is begun anew.  An older journal keeps its own chunks; a new one
 * has chunks of chunk_bytes, larger where that would be more than 65536. */
WEFT_MUST_USE enum weft_status weft_hub_journal_open(struct weft_hub_journal *j, const char *target, uint64_t size,
                                                     const char *digest, uint64_t chunk_bytes,
                                                     struct weft_err *err);
uint64_t weft_hub_journal_len(const struct weft_hub_journal *j, size_t chunk);
/* More bytes of a chunk; at most what it lacks. */
WEFT_MUST_USE enum weft_status weft_hub_journal_add(struct weft_hub_journal *j, size_t chunk, struct weft_str bytes,
                                                    struct weft_err *err);
/* Bytes there without a gap, from the beginning of the file. */
uint64_t weft_hub_journal_prefix(const struct weft_hub_journal *j);
/* Makes sure that what has come outlives a power cut. */
WEFT_MUST_USE enum weft_status weft_hub_journal_sync(struct weft_hub_journal *j, struct weft_err *err);
/* All is there: syncs, gives the file its name, removes the journal. */
WEFT_MUST_USE enum weft_status weft_hub_journal_commit(struct weft_hub_journal *j, const char *target,
                                                       struct weft_err *err);
/* Removes both files. */
void weft_hub_journal_discard(struct weft_hub_journal *j);
/* Accepts a zeroed struct. */
void weft_hub_journal_close(struct weft_hub_journal *j);

/* Removes what an earlier program left beside a target that is whole. */
void weft_hub_journal_tidy(const char *target);
/* Bytes on disk of what has come of `target` in chunks; 0: nothing. */
uint64_t weft_hub_journal_disk(const char *target);

#endif
