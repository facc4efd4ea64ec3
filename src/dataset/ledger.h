/* dataset/ledger.h - what a model was asked and what it answered: no answer is ever paid for twice
 *
 * An append-only file of checksummed records.  Before a request leaves, `sent` is written; what came of it follows as
 * answered, failed, empty or refused.  An answer is used only after weft_ledger_sync, so that a kill or a power cut
 * never makes weft forget what it built on.  A request is known by its key: the SHA-256 of endpoint, model and
 * canonical body (rules LG1-LG5, docs/robustness.md).  Why not the SQLite store: one write and, for hundreds of
 * replies together, one fsync; and the file can be copied, kept beside a dataset and read without the store.
 *
 * One process at a time: FILE.lock is held while the ledger is open, and names its holder.
 * Owner:   the handle; texts read live in the caller's arena.
 * Threads: one at a time.
 */
#ifndef WEFT_DATASET_LEDGER_H
#define WEFT_DATASET_LEDGER_H

#include "base/hash.h"
#include "base/str.h"

/* ---- keys ---- */

enum { WEFT_CALL_KEY_BYTES = 32, WEFT_CALL_KEY_HEX = 65 };

struct weft_call_key {
    unsigned char bytes[WEFT_CALL_KEY_BYTES];
};

/* LG1.  `body` is the JSON of the request without what only concerns its transport ("stream"); members are sorted and
 * white space goes before it is hashed, so that two ways to write one request are one request.  `endpoint` without
 * final "/".  Scratch memory from `a` is released.  WEFT_EINPUT: the body is not JSON. */
WEFT_MUST_USE enum weft_status weft_call_key_of(struct weft_arena *a, struct weft_str endpoint, struct weft_str model,
                                                struct weft_str body, struct weft_call_key *out, struct weft_err *err);
void weft_call_key_hex(const struct weft_call_key *k, char out[WEFT_CALL_KEY_HEX]);
static inline bool weft_call_key_eq(const struct weft_call_key *a, const struct weft_call_key *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

/* JSON with sorted members (by their bytes, at every level) and no white space: the form that is hashed. */
WEFT_MUST_USE enum weft_status weft_json_canonical(struct weft_arena *a, const char *name, struct weft_str json,
                                                   struct weft_buf *out, struct weft_err *err);

/* ---- records ---- */

enum weft_call_state {
    WEFT_CALL_NONE,     /* never asked */
    WEFT_CALL_SENT,     /* asked, nothing known of it: perhaps paid (the process was killed) */
    WEFT_CALL_FAILED,   /* nothing usable came; may be asked again */
    WEFT_CALL_EMPTY,    /* paid: a reply without text */
    WEFT_CALL_REFUSED,  /* paid: the model or its filter declined */
    WEFT_CALL_ANSWERED, /* paid: a text */
    WEFT_N_CALL_STATES
};
const char *weft_call_state_name(enum weft_call_state s); /* "answered" */

/* Why the text ended. */
enum weft_call_finish {
    WEFT_CALL_FINISH_NONE, /* not said */
    WEFT_CALL_FINISH_STOP,
    WEFT_CALL_FINISH_LENGTH, /* cut at the longest length allowed */
    WEFT_CALL_FINISH_FILTER,
    WEFT_CALL_FINISH_OTHER,
    WEFT_N_FINISHES
};

enum { WEFT_CALL_RAW_BYTES = 4096 }; /* of a failed reply kept for whoever looks into it (C6) */

struct weft_call {
    enum weft_call_state state;
    enum weft_call_finish finish;
    struct weft_call_key key;
    uint64_t time_ms;     /* wall clock, only shown */
    uint32_t http_status; /* 0: there was none */
    uint32_t prompt_tokens, completion_tokens; /* as the provider counts; 0: not said */
    bool maybe_paid;      /* of a failed one: the request had been sent */
    struct weft_str text; /* answered: the whole reply; refused: the reason; failed: raw bytes, perhaps not UTF-8 */
    struct weft_str reasoning; /* what a reasoning model thought, where it comes apart from the reply */
    struct weft_str note; /* sent: task and version; failed: the message */
};

/* ---- the file ---- */

struct weft_ledger;

/* What opening found. */
struct weft_ledger_found {
    uint64_t records, keys;
    uint64_t state_keys[WEFT_N_CALL_STATES]; /* keys by their state */
    uint64_t cut_bytes;                      /* a torn tail that was cut off and kept in FILE.cut */
    uint64_t lost, lost_bytes;               /* places whose records never reached the disk before the power went */
    uint64_t damaged;                        /* damaged places before the end; only repair and scan return them */
    uint64_t first_damaged_record, first_damaged_byte; /* record number counted from 1 */
};

/* Opens or creates `path`.  A torn tail is cut, kept in FILE.cut and reported in found->cut_bytes (may be NULL); places
 * that a power cut kept from the disk go, the file as it was becomes FILE.damaged: no synced answer was in them.
 * WEFT_EINPUT with LG2: damage before the end, with record number and byte; WEFT_EARG: another process holds it,
 * with its pid (C9). */
WEFT_MUST_USE enum weft_status weft_ledger_open(struct weft_ledger **out, const char *path,
                                                struct weft_ledger_found *found, struct weft_err *err);
void weft_ledger_close(struct weft_ledger *l); /* accepts NULL */

/* Keeps every good record of a damaged ledger; the file as it was becomes FILE.damaged.  An undamaged one stays as it
 * is. */
WEFT_MUST_USE enum weft_status weft_ledger_repair(const char *path, struct weft_ledger_found *found,
                                                  struct weft_err *err);

/* The best that is known of a key: answered before empty and refused, these before failed, and that before sent. */
enum weft_call_state weft_ledger_find(const struct weft_ledger *l, const struct weft_call_key *key);
/* The record behind that state, its texts in `a`. WEFT_CALL_NONE: a zeroed call. */
WEFT_MUST_USE enum weft_status weft_ledger_read(struct weft_ledger *l, struct weft_arena *a,
                                                const struct weft_call_key *key, struct weft_call *out,
                                                struct weft_err *err);
/* True when the newest record of the key is `sent`: it was in flight when a process ended. */
bool weft_ledger_in_doubt(const struct weft_ledger *l, const struct weft_call_key *key);

/* Writes one record.  It is found at once, and safe from a kill; from a power cut only after the next sync.
 * After an error nothing more is taken, and the file ends with the last whole record. */
WEFT_MUST_USE enum weft_status weft_ledger_add(struct weft_ledger *l, const struct weft_call *call,
                                               struct weft_err *err);
/* One fsync for all that was added since the last; nothing to do when nothing was. */
WEFT_MUST_USE enum weft_status weft_ledger_sync(struct weft_ledger *l, struct weft_err *err);

/* Walks the records of a ledger in memory.  `each` may be NULL; its call and texts live until it returns.  Damage is
 * counted and stepped over, a bad end is counted in cut_bytes.  WEFT_EINPUT: not a ledger at all. */
WEFT_MUST_USE enum weft_status
weft_ledger_scan(const char *name, struct weft_str bytes,
                 enum weft_status (*each)(void *ctx, const struct weft_call *call, struct weft_str record,
                                          struct weft_err *err),
                 void *ctx, struct weft_ledger_found *found, struct weft_err *err);

#endif
