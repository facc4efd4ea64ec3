/* base/db.h - SQLite databases, opened so that neither hostile text nor a damaged file does harm
 *
 * Rules G1-G7 of docs/robustness.md in one place, for the store and for search indexes:
 *   - a write-ahead log with synchronous=FULL (what was committed survives kill and power cut); the mode is read back,
 *     and where the file system has no shared memory the rollback journal serves (`wal` says which)
 *   - writers begin with BEGIN IMMEDIATE and wait `busy_ms` for another; then WEFT_ESYSTEM, never a lost write
 *   - application_id and user_version are checked: a foreign or newer file is refused, an older one is copied whole
 *     (VACUUM INTO "PATH.v<version>.bak") and brought up to date in one transaction
 *   - after an unclean stop quick_check runs before the first write; a damaged file is refused, kept as it is, and the
 *     copy that exists is named
 *   - text reaches SQL by bound parameters only; trusted_schema off, defensive mode, foreign keys on, no
 *     double-quoted strings
 *   - statements are prepared once and reset after each use, so that no read keeps the log from being folded in
 *
 * Owner:   the struct owns connection and statements; weft_db_close frees all.
 * Threads: one connection belongs to one thread.
 */
#ifndef WEFT_BASE_DB_H
#define WEFT_BASE_DB_H

#include "base/str.h"

struct sqlite3;
struct sqlite3_stmt;

struct weft_db_schema {
    uint32_t application_id;    /* of the file format */
    const char *what;           /* "the store": for messages, a key of the catalogue */
    const char *const *steps;   /* [n_steps] SQL; step i brings version i to version i + 1, version 0 is empty */
    int n_steps;
    bool log;                   /* keep a write-ahead log; false: a rollback journal, for files written once */
    int busy_ms;                /* 0: 5,000 */
    const char *vfs;            /* SQLite's way to the file system; NULL: the usual one */
    /* Called on a new connection before the schema is touched: functions and tokenizers.  NULL: nothing to add. */
    enum weft_status (*prepare)(struct sqlite3 *sql, void *ctx, struct weft_err *err);
    void *ctx;
};

struct weft_db {
    struct sqlite3 *sql;
    struct sqlite3_stmt **statements;       /* [n_statements], malloc: those of weft_db_prepare */
    size_t n_statements;
    char *path;                 /* malloc; ":memory:" for none */
    int lock;                   /* of PATH-lock; -1: none */
    int busy_ms;
    bool wal;
    bool was_unclean;           /* the last user was killed; what it had committed is here */
    int upgraded_from;          /* version of the file before; 0: it was new or up to date */
};

/* Opens `path` (NULL: in memory), making it (mode 0600) where it is not there.  The folder must exist.
 * WEFT_EINPUT: a foreign, newer or damaged file (G4).  WEFT_ESYSTEM: locked for too long (G2), no space, no
 * permission. */
WEFT_MUST_USE enum weft_status weft_db_open(struct weft_db *db, const char *path, const struct weft_db_schema *schema,
                                            struct weft_err *err);
void weft_db_close(struct weft_db *db);     /* accepts a zeroed struct; what was not committed is gone */

/* Statements without parameters. */
WEFT_MUST_USE enum weft_status weft_db_exec(struct weft_db *db, const char *sql, struct weft_err *err);

/* A write transaction.  After a failed write: rollback.  Rollback without a transaction does nothing. */
WEFT_MUST_USE enum weft_status weft_db_begin(struct weft_db *db, struct weft_err *err);
WEFT_MUST_USE enum weft_status weft_db_commit(struct weft_db *db, struct weft_err *err);
void weft_db_rollback(struct weft_db *db);

/* Makes *st when it is NULL, else resets it; either way it is ready for binding.  The statement lives until close. */
WEFT_MUST_USE enum weft_status weft_db_prepare(struct weft_db *db, struct sqlite3_stmt **st, const char *sql,
                                               struct weft_err *err);
/* Parameters are numbered from 1.  s == NULL binds null.  The text must live until the statement is done. */
void weft_db_bind_str(struct sqlite3_stmt *st, int i, struct weft_str s);
void weft_db_bind_int(struct sqlite3_stmt *st, int i, int64_t v);
/* For functions of ours, by a name of what it is; it must live until the statement is reset. */
void weft_db_bind_pointer(struct sqlite3_stmt *st, int i, void *p, const char *what);
void weft_db_bind_double(struct sqlite3_stmt *st, int i, double v);
/* The next row; *row is false at the end, and the statement is reset.  An error resets it too. */
WEFT_MUST_USE enum weft_status weft_db_step(struct weft_db *db, struct sqlite3_stmt *st, bool *row,
                                            struct weft_err *err);
/* For statements that give no rows. */
WEFT_MUST_USE enum weft_status weft_db_run(struct weft_db *db, struct sqlite3_stmt *st, struct weft_err *err);
void weft_db_reset(struct sqlite3_stmt *st);        /* ends a read early; accepts NULL */
/* Columns are numbered from 0; text lives until the next step. */
struct weft_str weft_db_str(struct sqlite3_stmt *st, int i);        /* s == NULL: null */
int64_t weft_db_int(struct sqlite3_stmt *st, int i);
double weft_db_double(struct sqlite3_stmt *st, int i);
int64_t weft_db_last_id(struct weft_db *db);
int64_t weft_db_changes(struct weft_db *db);        /* rows that the last write touched */

/* The connection's error as a status and a sentence.  `doing` is an English verb, a key of the catalogue ("read"). */
enum weft_status weft_db_fail(struct weft_db *db, const char *doing, struct weft_err *err);

#endif
