/* How an unclean stop is noticed: SQLite removes the log when the last connection closes, so a log that is left while
 * nobody has the file open tells of a kill.  "Nobody" is a flock of PATH-lock, shared by all users: whoever gets it
 * alone is the only one.  SQLite's own locks cannot be asked that. */
#include "base/db.h"

#include "base/file.h"
#include "base/lang.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BUSY_MS = 5000, LOG_BYTES = 64 << 20, VALUE_BYTES = 512 << 20, LOCK_STEP_MS = 20 };

/* ---- errors ---- */

enum weft_status weft_db_fail(struct weft_db *db, const char *doing, struct weft_err *err)
{
    const char *verb = weft_tr(err ? err->lang : WEFT_LANG_EN, doing);
    int code = db->sql ? sqlite3_errcode(db->sql) & 0xFF : SQLITE_NOMEM;
    switch (code) {
    case SQLITE_BUSY: case SQLITE_LOCKED:
        return weft_fail_rule(err, WEFT_ESYSTEM, "G2", "cannot %s %s: another program has been writing to it for %d s; "
                              "try again when it is done", verb, db->path, db->busy_ms / 1000);
    case SQLITE_CORRUPT: case SQLITE_NOTADB:
        return weft_fail_rule(err, WEFT_EINPUT, "G4", "cannot %s %s: %s; the file is kept as it is", verb, db->path,
                              sqlite3_errmsg(db->sql));
    case SQLITE_FULL:
        return weft_fail_rule(err, WEFT_ESYSTEM, "G3", "cannot %s %s: no space left; what was there is unchanged", verb,
                              db->path);
    case SQLITE_NOMEM: return weft_fail_nomem(err, 0, "SQLite");
    default:
        return weft_fail(err, WEFT_ESYSTEM, "cannot %s %s: %s", verb, db->path, sqlite3_errmsg(db->sql));
    }
}

/* ---- statements ---- */

enum weft_status weft_db_exec(struct weft_db *db, const char *sql, struct weft_err *err)
{
    return sqlite3_exec(db->sql, sql, NULL, NULL, NULL) == SQLITE_OK ? WEFT_OK : weft_db_fail(db, "write", err);
}

enum weft_status weft_db_begin(struct weft_db *db, struct weft_err *err)
{
    return weft_db_exec(db, "BEGIN IMMEDIATE", err);
}

enum weft_status weft_db_commit(struct weft_db *db, struct weft_err *err) { return weft_db_exec(db, "COMMIT", err); }

void weft_db_rollback(struct weft_db *db)
{
    if (db->sql && !sqlite3_get_autocommit(db->sql)) sqlite3_exec(db->sql, "ROLLBACK", NULL, NULL, NULL);
}

enum weft_status weft_db_prepare(struct weft_db *db, struct sqlite3_stmt **st, const char *sql, struct weft_err *err)
{
    if (*st) {
        sqlite3_reset(*st);
        sqlite3_clear_bindings(*st);
        return WEFT_OK;
    }
    struct sqlite3_stmt **more = realloc(db->statements, (db->n_statements + 1) * sizeof *more);
    if (!more) return weft_fail_nomem(err, (db->n_statements + 1) * sizeof *more, "SQLite");
    db->statements = more;
    if (sqlite3_prepare_v3(db->sql, sql, -1, SQLITE_PREPARE_PERSISTENT, st, NULL) != SQLITE_OK)
        return weft_db_fail(db, "read", err);
    db->statements[db->n_statements++] = *st;
    return WEFT_OK;
}

/* For one use while opening; the caller finalizes it. */
static enum weft_status prepare_once(struct weft_db *db, struct sqlite3_stmt **st, const char *sql,
                                     struct weft_err *err)
{
    if (sqlite3_prepare_v2(db->sql, sql, -1, st, NULL) == SQLITE_OK) return WEFT_OK;
    return weft_db_fail(db, "read", err);
}

/* A bind that fails (memory, length) leaves its parameter null; NOT NULL constraints and the step then say so. */
void weft_db_bind_str(struct sqlite3_stmt *st, int i, struct weft_str s)
{
    if (!s.s) sqlite3_bind_null(st, i);
    else sqlite3_bind_text64(st, i, s.s, s.len, SQLITE_STATIC, SQLITE_UTF8);
}
void weft_db_bind_int(struct sqlite3_stmt *st, int i, int64_t v) { sqlite3_bind_int64(st, i, v); }
void weft_db_bind_pointer(struct sqlite3_stmt *st, int i, void *p, const char *what)
{
    sqlite3_bind_pointer(st, i, p, what, NULL);
}

void weft_db_bind_double(struct sqlite3_stmt *st, int i, double v) { sqlite3_bind_double(st, i, v); }

enum weft_status weft_db_step(struct weft_db *db, struct sqlite3_stmt *st, bool *row, struct weft_err *err)
{
    int r = sqlite3_step(st);
    *row = r == SQLITE_ROW;
    if (*row) return WEFT_OK;
    enum weft_status status =
        r == SQLITE_DONE ? WEFT_OK : weft_db_fail(db, sqlite3_stmt_readonly(st) ? "read" : "write", err);
    sqlite3_reset(st);
    return status;
}

enum weft_status weft_db_run(struct weft_db *db, struct sqlite3_stmt *st, struct weft_err *err)
{
    bool row;
    enum weft_status status = weft_db_step(db, st, &row, err);
    if (row) sqlite3_reset(st);
    return status;
}

void weft_db_reset(struct sqlite3_stmt *st) { if (st) sqlite3_reset(st); }

struct weft_str weft_db_str(struct sqlite3_stmt *st, int i)
{
    const char *s = (const char *)sqlite3_column_text(st, i);
    return (struct weft_str){ s, s ? (size_t)sqlite3_column_bytes(st, i) : 0 };
}
int64_t weft_db_int(struct sqlite3_stmt *st, int i) { return sqlite3_column_int64(st, i); }
double weft_db_double(struct sqlite3_stmt *st, int i) { return sqlite3_column_double(st, i); }
int64_t weft_db_last_id(struct weft_db *db) { return sqlite3_last_insert_rowid(db->sql); }
int64_t weft_db_changes(struct weft_db *db) { return sqlite3_changes64(db->sql); }

/* ---- opening ---- */

static enum weft_status ask_int(struct weft_db *db, const char *sql, int64_t *out, struct weft_err *err)
{
    struct sqlite3_stmt *st = NULL;
    bool row = false;
    enum weft_status status = prepare_once(db, &st, sql, err);
    if (!status) status = weft_db_step(db, st, &row, err);
    *out = row ? sqlite3_column_int64(st, 0) : 0;
    sqlite3_finalize(st);
    return status;
}

/* Another program checks the file after a kill.  It may itself be stopped: the wait has an end. */
static enum weft_status wait_for_check(struct weft_db *db, struct weft_err *err)
{
    for (int waited = 0; flock(db->lock, LOCK_SH | LOCK_NB) != 0; waited += LOCK_STEP_MS) {
        if (errno != EWOULDBLOCK && errno != EINTR) return weft_fail_errno(err, "lock", db->path);
        if (waited >= db->busy_ms)
            return weft_fail_rule(err, WEFT_ESYSTEM, "G2", "cannot %s %s: another program has been writing to it for %d s; "
                                  "try again when it is done", weft_tr(err ? err->lang : WEFT_LANG_EN, "open"), db->path,
                                  db->busy_ms / 1000);
        usleep(LOCK_STEP_MS * 1000);
    }
    return WEFT_OK;
}

/* The folder, the file with its rights, and who else has it open. */
static enum weft_status open_file(struct weft_db *db, bool *alone, struct weft_err *err)
{
    char name[4096];
    struct stat about;
    *alone = false;
    int fd = open(db->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0600);
    if (fd < 0) return weft_fail_errno(err, "open", db->path);
    bool regular = fstat(fd, &about) == 0 && S_ISREG(about.st_mode);
    close(fd);
    if (!regular) return weft_fail_rule(err, WEFT_EINPUT, "G4", "%s: not a regular file", db->path);
    if (snprintf(name, sizeof name, "%s-lock", db->path) >= (int)sizeof name)
        return weft_fail(err, WEFT_EARG, "%s: the path is too long", db->path);
    db->lock = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (db->lock < 0) return weft_fail_errno(err, "open", name);
    *alone = flock(db->lock, LOCK_EX | LOCK_NB) == 0;
    return *alone ? WEFT_OK : wait_for_check(db, err);
}

static bool log_is_left(const struct weft_db *db)
{
    static const char *const suffixes[] = { "-wal", "-journal" };
    char name[4200];
    struct stat about;
    for (size_t i = 0; i < WEFT_COUNT(suffixes); i++) {
        snprintf(name, sizeof name, "%s%s", db->path, suffixes[i]);
        if (stat(name, &about) == 0 && about.st_size > 0) return true;
    }
    return false;
}

/* The newest copy beside the file that an upgrade made; its name in `name`, "" for none. */
static void find_copy(const struct weft_db *db, int n_steps, char *name, size_t room)
{
    for (int v = n_steps; v > 0; v--) {
        snprintf(name, room, "%s.v%d.bak", db->path, v);
        if (weft_file_exists(name)) return;
    }
    name[0] = '\0';
}

static enum weft_status refuse_damaged(struct weft_db *db, const struct weft_db_schema *s, const char *what,
                                       struct weft_err *err)
{
    char copy[4200], shown[200];
    sqlite3_db_config(db->sql, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);      /* closing must not write either */
    find_copy(db, s->n_steps, copy, sizeof copy);
    weft_escape(shown, sizeof shown, weft_str_c(what));
    if (copy[0])
        return weft_fail_rule(err, WEFT_EINPUT, "G4", "%s is damaged (%s); it is kept as it is and nothing is written to "
                              "it; an earlier copy is %s", db->path, shown, copy);
    return weft_fail_rule(err, WEFT_EINPUT, "G4", "%s is damaged (%s); it is kept as it is and nothing is written to it; "
                          "`sqlite3 FILE .recover` may save rows", db->path, shown);
}

static enum weft_status check_pages(struct weft_db *db, const struct weft_db_schema *s, struct weft_err *err)
{
    struct sqlite3_stmt *st = NULL;
    enum weft_status status = WEFT_OK;
    int r = sqlite3_prepare_v2(db->sql, "PRAGMA quick_check(1)", -1, &st, NULL);
    if (r == SQLITE_OK) r = sqlite3_step(st);
    if (r == SQLITE_ROW) {
        const char *word = (const char *)sqlite3_column_text(st, 0);
        if (!word || strcmp(word, "ok") != 0) status = refuse_damaged(db, s, word ? word : "?", err);
    } else if ((r & 0xFF) == SQLITE_CORRUPT || (r & 0xFF) == SQLITE_NOTADB)
        status = refuse_damaged(db, s, sqlite3_errmsg(db->sql), err);
    else status = weft_db_fail(db, "read", err);
    sqlite3_finalize(st);
    return status;
}

static enum weft_status configure(struct weft_db *db, const struct weft_db_schema *s, struct weft_err *err)
{
    sqlite3_busy_timeout(db->sql, db->busy_ms);
    sqlite3_extended_result_codes(db->sql, 0);
    sqlite3_limit(db->sql, SQLITE_LIMIT_LENGTH, VALUE_BYTES);
    sqlite3_db_config(db->sql, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(db->sql, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_db_config(db->sql, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
    sqlite3_db_config(db->sql, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
    sqlite3_db_config(db->sql, SQLITE_DBCONFIG_ENABLE_FKEY, 1, NULL);
    enum weft_status st = weft_db_exec(db, "PRAGMA cell_size_check=ON; PRAGMA temp_store=MEMORY; PRAGMA mmap_size=0; "
                                         "PRAGMA cache_size=-32768", err);
    if (!st && s->prepare) st = s->prepare(db->sql, s->ctx, err);
    return st;
}

static enum weft_status connect_to(struct weft_db *db, const struct weft_db_schema *s, struct weft_err *err)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    if (sqlite3_open_v2(db->path, &db->sql, flags, s->vfs) != SQLITE_OK) return weft_db_fail(db, "open", err);
    return configure(db, s, err);
}

static enum weft_status set_journal(struct weft_db *db, const char *sql, struct weft_err *err)
{
    struct sqlite3_stmt *st = NULL;
    bool row = false;
    enum weft_status status = prepare_once(db, &st, sql, err);
    if (!status) status = weft_db_step(db, st, &row, err);
    db->wal = row && weft_str_is(weft_db_str(st, 0), "wal");
    sqlite3_finalize(st);
    return status;
}

/* The log, read back: a file system without shared memory says "delete", or fails. */
static enum weft_status choose_journal(struct weft_db *db, const struct weft_db_schema *s, struct weft_err *err)
{
    char sql[96];
    enum weft_status st = WEFT_ESYSTEM;
    if (s->log) st = set_journal(db, "PRAGMA journal_mode=WAL", NULL);
    if (st) st = set_journal(db, "PRAGMA journal_mode=DELETE", err);
    if (st) return st;
    snprintf(sql, sizeof sql, "PRAGMA synchronous=FULL; PRAGMA journal_size_limit=%d", LOG_BYTES);
    return weft_db_exec(db, sql, err);
}

/* A whole copy under its final name, or none: written beside and renamed. */
static enum weft_status copy_before_upgrade(struct weft_db *db, int64_t version, struct weft_err *err)
{
    char name[4200], tmp[4300];
    struct sqlite3_stmt *st = NULL;
    snprintf(name, sizeof name, "%s.v%d.bak", db->path, (int)version);
    snprintf(tmp, sizeof tmp, "%s.tmp-%ld", name, (long)getpid());
    unlink(tmp);
    enum weft_status status = prepare_once(db, &st, "VACUUM INTO ?1", err);
    if (!status) {
        weft_db_bind_str(st, 1, weft_str_c(tmp));
        status = weft_db_run(db, st, err);
    }
    sqlite3_finalize(st);
    if (!status) {
        int fd = open(tmp, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || fsync(fd) != 0 || rename(tmp, name) != 0) status = weft_fail_errno(err, "write", name);
        if (fd >= 0) close(fd);
    }
    if (status) unlink(tmp);
    return status;
}

static enum weft_status apply_steps(struct weft_db *db, const struct weft_db_schema *s, struct weft_err *err)
{
    char sql[128];
    int64_t version;
    enum weft_status st = weft_db_begin(db, err);
    if (st) return st;
    st = ask_int(db, "PRAGMA user_version", &version, err);     /* another process may have done it meanwhile */
    for (int64_t v = version; v < s->n_steps && !st; v++) st = weft_db_exec(db, s->steps[v], err);
    if (!st) {
        snprintf(sql, sizeof sql, "PRAGMA application_id=%d; PRAGMA user_version=%d", (int)s->application_id, s->n_steps);
        st = weft_db_exec(db, sql, err);
    }
    if (!st) st = weft_db_commit(db, err);
    weft_db_rollback(db);
    return st;
}

static enum weft_status bring_up_to_date(struct weft_db *db, const struct weft_db_schema *s, struct weft_err *err)
{
    int64_t id, version, tables;
    const char *what = weft_tr(err ? err->lang : WEFT_LANG_EN, s->what);
    enum weft_status st = ask_int(db, "PRAGMA application_id", &id, err);
    if (!st) st = ask_int(db, "PRAGMA user_version", &version, err);
    if (!st) st = ask_int(db, "SELECT count(*) FROM sqlite_schema", &tables, err);
    if (st) return st;
    bool empty = id == 0 && version == 0 && tables == 0;
    if (!empty && (uint32_t)id != s->application_id)
        return weft_fail_rule(err, WEFT_EINPUT, "G4", "%s: a database of another program (application id %" PRId64
                              "); expected %s of weft", db->path, id, what);
    if (version > s->n_steps)
        return weft_fail_rule(err, WEFT_EINPUT, "G4", "%s: made by a newer weft (schema %" PRId64
                              ", this program knows %d); update weft", db->path, version, s->n_steps);
    if (version == s->n_steps) return WEFT_OK;
    if (!empty) {
        st = copy_before_upgrade(db, version, err);
        if (st) return st;
        db->upgraded_from = (int)version;
    }
    return apply_steps(db, s, err);
}

enum weft_status weft_db_open(struct weft_db *db, const char *path, const struct weft_db_schema *schema,
                              struct weft_err *err)
{
    enum weft_status st = WEFT_OK;
    bool alone = false;

    *db = (struct weft_db){ .lock = -1, .busy_ms = schema->busy_ms > 0 ? schema->busy_ms : BUSY_MS };
    db->path = strdup(path ? path : ":memory:");
    if (!db->path) return weft_fail_nomem(err, 0, "SQLite");
    if (path) st = open_file(db, &alone, err);
    if (st) goto done;
    db->was_unclean = alone && log_is_left(db);
    st = connect_to(db, schema, err);
    if (!st && db->was_unclean) st = check_pages(db, schema, err);
    /* A file that is none of ours must not even have its journal mode changed: first who it is, then the log. */
    if (!st) st = bring_up_to_date(db, schema, err);
    if (!st && path) st = choose_journal(db, schema, err);
    if (alone) (void)flock(db->lock, LOCK_SH);
done:
    if (st) weft_db_close(db);
    return st;
}

void weft_db_close(struct weft_db *db)
{
    if (db->sql) {
        weft_db_rollback(db);
        /* Not sqlite3_next_stmt: it also lists the statements of virtual tables, which are theirs. */
        for (size_t i = 0; i < db->n_statements; i++) sqlite3_finalize(db->statements[i]);
        sqlite3_close(db->sql);
    }
    if (db->path && db->lock >= 0) close(db->lock);
    free(db->statements);
    free(db->path);
    *db = (struct weft_db){ .lock = -1 };
}
