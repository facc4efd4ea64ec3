/* Fetching files.  Each file is a small machine driven by the HTTP loop: lock, look what is there, ask for the rest,
 * write as it comes, check, rename.  The digest runs along with the bytes, so that a large file is read from disk
 * only when a part of it was there before.
 *
 * A reply is believed only after its head was looked at: 206 must begin where the part ends; 200 means that the
 * range was ignored and the part is worth nothing; 416 on a part that is as long as the file means that nothing is
 * missing. */
#include "store/hub_job_parts.h"
#include "store/hub_journal.h"

#include "base/file.h"
#include "base/lang.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

enum { LOCK_MS = 500 };

static void start_more(struct weft_hub_transfer *t);

void weft_hub_sync_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
    int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        (void)fsync(fd); /* some network mounts cannot; the rename stands all the same */
        close(fd);
    }
    free(folder);
}

/* ---- one file ---- */

static void close_job(struct weft_hub_job *j)
{
    weft_hub_split_close(j);
    if (j->fd >= 0) close(j->fd);
    if (j->lock_fd >= 0) close(j->lock_fd); /* and unlocks */
    j->fd = j->lock_fd = -1;
    weft_sha256_clear(&j->sha256);
    weft_sha1_clear(&j->sha1);
    free(j->part);
    j->part = NULL;
}

/* Calls end by themselves; who waits for a timer is ended here. */
void weft_hub_stop(struct weft_hub_transfer *t, enum weft_status st)
{
    if (!t->st) t->st = st;
    weft_http_cancel_all(t->http);
    for (size_t i = 0; i < t->n; i++) {
        struct weft_hub_job *j = &t->jobs[i];
        if (j->over || (!j->timer && !j->split)) continue;
        if (j->split && !weft_hub_split_stop(j)) continue;
        if (j->timer) weft_http_timer_cancel(t->http, j->timer);
        j->timer = 0;
        j->over = true;
        close_job(j);
        t->running--;
    }
}

void weft_hub_job_end(struct weft_hub_job *j, enum weft_status st)
{
    struct weft_hub_transfer *t = j->all;
    if (j->over) return;
    j->over = true;
    close_job(j);
    t->running--;
    if (st) weft_hub_stop(t, st);
    else start_more(t);
}

static void fail_job(struct weft_hub_job *j, const char *operation, const char *path)
{
    weft_hub_job_end(j, weft_fail_errno(j->all->err, operation, path));
}

void weft_hub_job_report(struct weft_hub_job *reported)
{
    struct weft_hub_transfer *t = reported->all;
    uint64_t done = 0, total = 0, now = weft_http_now_ms(t->http);
    if (now < t->reported_ms + 50 && t->running > 1) return;
    t->reported_ms = now;
    for (size_t i = 0; i < t->n; i++) {
        const struct weft_hub_job *j = &t->jobs[i];
        uint64_t size = j->f->size == UINT64_MAX ? j->at : j->f->size;
        total += size;
        done += j->over ? size : j->at;
    }
    weft_progress_update(t->options->progress, "downloading", done, total, "bytes", reported->f->name);
}

enum weft_status weft_hub_digests_start(struct weft_hub_job *j)
{
    char head[64];
    weft_sha256_clear(&j->sha256);
    weft_sha1_clear(&j->sha1);
    enum weft_status st = weft_sha256_init(&j->sha256, j->all->err);
    if (!st) st = weft_sha1_init(&j->sha1, j->all->err);
    if (st) return st;
    j->sha1_size = j->f->size;
    int n = snprintf(head, sizeof head, "blob %llu", (unsigned long long)j->f->size);
    weft_sha1_add(&j->sha1, head, (size_t)n + 1); /* with its NUL */
    return WEFT_OK;
}

void weft_hub_digests_add(struct weft_hub_job *j, const void *p, size_t n)
{
    weft_sha256_add(&j->sha256, p, n);
    if (j->f->sha1 && j->f->sha1[0]) weft_sha1_add(&j->sha1, p, n);
}

/* What is in the part already, up to its end. */
static bool hash_part(struct weft_hub_job *j)
{
    char bytes[65536];
    if (lseek(j->fd, 0, SEEK_SET) < 0) return false;
    for (uint64_t left = j->at; left;) {
        ssize_t n = read(j->fd, bytes, left < sizeof bytes ? (size_t)left : sizeof bytes);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        weft_hub_digests_add(j, bytes, (size_t)n);
        left -= (uint64_t)n;
    }
    return true;
}

static bool empty_part(struct weft_hub_job *j)
{
    j->at = 0;
    j->from_zero = false;
    return ftruncate(j->fd, 0) == 0 && lseek(j->fd, 0, SEEK_SET) == 0;
}

static bool digest_known(const struct weft_hub_fetch *f)
{
    return (f->sha256 && f->sha256[0]) || (f->sha1 && f->sha1[0]);
}

bool weft_hub_digests_fit(struct weft_hub_job *j)
{
    struct weft_hub_fetch *f = j->f;
    char sha1[WEFT_SHA1_HEX];
    weft_sha256_hex(&j->sha256, f->got_sha256);
    weft_sha1_hex(&j->sha1, sha1);
    bool fits = !(f->sha256 && f->sha256[0]) || strcasecmp(f->sha256, f->got_sha256) == 0;
    /* Git's digest begins with the size, which must have been known from the start. */
    return fits && (!(f->sha1 && f->sha1[0]) || (j->sha1_size == j->at && strcmp(f->sha1, sha1) == 0));
}

enum weft_status weft_hub_spoiled(const struct weft_hub_job *j)
{
    return weft_fail_rule(j->all->err, WEFT_EINPUT, "B7",
                          "%s came twice with another content than announced (its SHA-256 is %s) and was deleted; "
                          "try again later, or another mirror",
                          j->f->name, j->f->got_sha256);
}

/* The part is as long as it should be: is it the file? */
static void check_and_rename(struct weft_hub_job *j)
{
    struct weft_hub_fetch *f = j->f;
    bool fits = weft_hub_digests_fit(j);
    if (!fits) {
        if (!empty_part(j)) {
            fail_job(j, "write", j->part);
            return;
        }
        if (j->spoiled++ == 0) { /* perhaps an old part was the wrong one: once more from the start */
            weft_hub_job_begin(j);
            return;
        }
        unlink(j->part);
        weft_hub_job_end(j, weft_hub_spoiled(j));
        return;
    }
    if (fsync(j->fd)) fail_job(j, "sync", j->part);
    else if (rename(j->part, f->target)) fail_job(j, "rename to", f->target);
    else {
        weft_hub_sync_folder(f->target);
        weft_hub_journal_tidy(f->target);
        f->size = j->at;
        weft_hub_job_report(j);
        weft_hub_job_end(j, WEFT_OK);
    }
}

bool weft_hub_content_range(struct weft_str value, uint64_t *from, uint64_t *to, uint64_t *total)
{
    char text[128];
    char *end;
    if (value.len >= sizeof text || !weft_str_starts(value, WEFT_STR("bytes "))) return false;
    memcpy(text, value.s, value.len);
    text[value.len] = '\0';
    if (strspn(text + 6, "0123456789-/*") != value.len - 6 || text[6] == '-') return false;
    *from = strtoull(text + 6, &end, 10);
    if (*end != '-') return false;
    *to = strtoull(end + 1, &end, 10);
    if (*to < *from || *end != '/') return false;
    if (end[1] != '*') *total = strtoull(end + 1, NULL, 10);
    return true;
}

static bool on_head(void *ctx, const struct weft_http_reply *r)
{
    struct weft_hub_job *j = ctx;
    uint64_t from = 0, to = 0, total = UINT64_MAX;
    struct weft_str etag = weft_http_header(r, "etag");
    if (r->status == 206) {
        bool fits = weft_hub_content_range(weft_http_header(r, "content-range"), &from, &to, &total) && from == j->at
                    && (total == UINT64_MAX || j->f->size == UINT64_MAX || total == j->f->size);
        if (!fits) {
            j->from_zero = true;
            return false;
        }
    } else if (r->status == 200 && j->at) { /* the range was ignored */
        if (!empty_part(j)) {
            j->failed = WEFT_ESYSTEM;
            j->failed_errno = errno;
            return false;
        }
        j->failed = weft_hub_digests_start(j);
        if (j->failed) return false;
    }
    if (r->status >= 300) return true;
    if (!j->etag[0] && etag.len && etag.len < sizeof j->etag && etag.s[0] == '"')
        snprintf(j->etag, sizeof j->etag, "%.*s", (int)etag.len, etag.s);
    struct weft_str length = weft_http_header(r, "content-length");
    if (r->status == 200 && length.len && length.len < 20) {
        uint64_t n = strtoull(length.s, NULL, 10);
        if (j->f->size == UINT64_MAX) total = n;
    }
    if (j->f->size == UINT64_MAX && total != UINT64_MAX) j->f->size = total;
    return true;
}

static bool on_piece(void *ctx, const struct weft_http_reply *r, struct weft_str piece)
{
    struct weft_hub_job *j = ctx;
    if (j->f->size != UINT64_MAX && piece.len > j->f->size - j->at) { /* longer than announced */
        j->from_zero = true;
        return false;
    }
    for (size_t at = 0; at < piece.len;) {
        ssize_t n = write(j->fd, piece.s + at, piece.len - at);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            j->failed = WEFT_ESYSTEM;
            j->failed_errno = errno;
            return false;
        }
        at += (size_t)n;
    }
    weft_hub_digests_add(j, piece.s, piece.len);
    j->at += piece.len;
    j->f->fetched += piece.len;
    j->tries = 0;
    weft_hub_job_report(j);
    return true;
}

static void later(struct weft_hub_job *j, uint64_t wait_ms)
{
    j->timer = weft_http_timer(j->all->http, wait_ms, weft_hub_job_begin, j);
    if (!j->timer) weft_hub_job_end(j, weft_fail_nomem(j->all->err, 64, "the HTTP client"));
}

static void on_done(void *ctx, const struct weft_http_reply *r)
{
    struct weft_hub_job *j = ctx;
    struct weft_hub_transfer *t = j->all;
    uint64_t wait = 0;
    if (j->failed) {
        if (j->failed == WEFT_ESYSTEM) {
            errno = j->failed_errno;
            fail_job(j, "write", j->part);
        } else weft_hub_job_end(j, j->failed);
    } else if (t->st) weft_hub_job_end(j, t->st); /* another file failed */
    else if (j->from_zero) {
        if (++j->tries >= WEFT_HUB_TRIES)
            weft_hub_job_end(j, weft_fail_rule(t->err, WEFT_EREMOTE, "B7",
                                      "%s comes with another length than announced; try again "
                                      "later, or another mirror",
                                      j->f->name));
        else if (!empty_part(j)) fail_job(j, "write", j->part);
        else later(j, weft_hub_pause_ms(&t->rng, t->options, j->tries));
    } else if (!r->fault && (r->status == 200 || r->status == 206)) {
        if (j->f->size != UINT64_MAX && j->at < j->f->size) { /* a whole reply, and still something is missing */
            if (++j->tries >= WEFT_HUB_TRIES)
                weft_hub_job_end(j, weft_fail_rule(t->err, WEFT_EREMOTE, "B7",
                                          "%s ends before its announced length; try again later, "
                                          "or another mirror",
                                          j->f->name));
            else later(j, weft_hub_pause_ms(&t->rng, t->options, j->tries));
        } else check_and_rename(j);
    } else if (!r->fault && r->status == 416) {
        if (j->at && j->at == j->f->size) check_and_rename(j);
        else {
            j->from_zero = true; /* the part is longer than the file */
            on_done(ctx, r);
        }
    } else if (weft_hub_try_again(r, ++j->tries, WEFT_HUB_TRIES, t->options, &t->rng, &wait)) later(j, wait);
    else weft_hub_job_end(j, weft_hub_refused(r, j->f->name, j->f->settings, t->err));
}

/* Locks, opens, and asks for what is missing.  Also the way back in after a pause. */
static enum weft_status open_part(struct weft_hub_job *j, bool *busy)
{
    struct weft_hub_fetch *f = j->f;
    struct weft_err *err = j->all->err;
    struct stat info;
    *busy = false;
    if (f->lock && j->lock_fd < 0) {
        j->lock_fd = open(f->lock, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (j->lock_fd < 0) return weft_fail_errno(err, "create", f->lock);
        if (flock(j->lock_fd, LOCK_EX | LOCK_NB)) {
            *busy = errno == EWOULDBLOCK; /* a file system without locks is no reason to stop */
            if (*busy) {
                close(j->lock_fd);
                j->lock_fd = -1;
                return WEFT_OK;
            }
        }
    }
    if (stat(f->target, &info) == 0 && S_ISREG(info.st_mode)
        && (f->size == UINT64_MAX || (uint64_t)info.st_size == f->size)) {
        f->present = true;
        f->size = j->at = (uint64_t)info.st_size;
        weft_hub_journal_tidy(f->target);
        return WEFT_OK;
    }
    if (weft_hub_split_wanted(j)) return WEFT_OK;
    j->fd = open(j->part, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0666);
    if (j->fd < 0) return weft_fail_errno(err, "create", j->part);
    if (fstat(j->fd, &info)) return weft_fail_errno(err, "examine", j->part);
    if (!S_ISREG(info.st_mode)) {
        errno = EINVAL;
        return weft_fail_errno(err, "write", j->part);
    }
    j->at = (uint64_t)info.st_size;
    bool usable = f->resume && digest_known(f) && (f->size == UINT64_MAX || j->at <= f->size);
    if (!usable && j->at && !empty_part(j)) return weft_fail_errno(err, "write", j->part);
    return WEFT_OK;
}

void weft_hub_job_begin(void *ctx)
{
    struct weft_hub_job *j = ctx;
    struct weft_hub_fetch *f = j->f;
    struct weft_hub_transfer *t = j->all;
    const struct weft_http_header headers[] = { { "Accept-Encoding", "identity" }, { "If-Range", j->etag } };
    enum weft_status st = t->st;
    bool busy = false;
    j->timer = 0;
    if (!st && j->fd < 0) st = open_part(j, &busy);
    if (st) {
        weft_hub_job_end(j, st);
        return;
    }
    if (busy) {
        if (!j->begun) {
            char text[512];
            snprintf(text, sizeof text,
                     weft_tr(t->options->http.lang, "another program is fetching %s; waiting for it"), f->name);
            weft_progress_message(t->options->progress, text);
        }
        j->begun = true;
        later(j, LOCK_MS);
        return;
    }
    if (f->present) {
        weft_hub_job_end(j, WEFT_OK);
        return;
    }
    if (weft_hub_split_wanted(j)) {
        st = weft_hub_split_begin(j);
        if (st) weft_hub_job_end(j, st);
        return;
    }
    if (!j->sha256.state || !j->at) { /* otherwise it has seen what is in the part */
        st = weft_hub_digests_start(j);
        if (!st && !hash_part(j)) st = weft_fail_errno(t->err, "read", j->part);
    }
    if (!st && f->size != UINT64_MAX && j->at == f->size) {
        check_and_rename(j);
        return;
    }
    struct weft_http_request r = {
        .url = f->url,
        .bearer = f->bearer,
        .headers = headers,
        .n_headers = j->etag[0] && j->at && !digest_known(f) ? 2 : 1,
        .from = j->at,
        .follow = WEFT_HTTP_ANYWHERE,
        .max_body_bytes = UINT64_MAX,
        .gap_ms = t->options->gap_ms,
        .whole_ms = WEFT_HTTP_NEVER,
        .ctx = j,
        .head = on_head,
        .piece = on_piece,
        .done = on_done,
    };
    if (!st) st = weft_http_submit(t->http, &r, NULL, t->err);
    if (st) weft_hub_job_end(j, st);
}

static void start_more(struct weft_hub_transfer *t)
{
    size_t parallel = t->options->parallel > 0 ? (size_t)t->options->parallel : 4;
    while (!t->st && t->next < t->n && t->running < parallel) {
        t->running++;
        weft_hub_job_begin(&t->jobs[t->next++]);
    }
}

/* Is there room for what is missing? */
static enum weft_status check_room(const struct weft_hub_transfer *t)
{
    uint64_t need = 0;
    struct statvfs disk;
    struct stat info;
    char path[4096];
    if (!t->n) return WEFT_OK;
    for (size_t i = 0; i < t->n; i++) {
        const struct weft_hub_fetch *f = t->jobs[i].f;
        if (f->size == UINT64_MAX || stat(f->target, &info) == 0) continue;
        uint64_t have = stat(t->jobs[i].part, &info) == 0 && f->resume ? (uint64_t)info.st_size : 0;
        uint64_t chunks = weft_hub_journal_disk(f->target);
        if (f->resume && chunks > have) have = chunks;
        need += have < f->size ? f->size - have : 0;
    }
    snprintf(path, sizeof path, "%s", t->jobs[0].f->target);
    char *slash = strrchr(path, '/');
    if (slash) *slash = '\0';
    if (statvfs(slash ? path : ".", &disk)) return WEFT_OK;
    uint64_t room = (uint64_t)disk.f_bavail * disk.f_frsize;
    if (need > room)
        return weft_fail(t->err, WEFT_ESYSTEM,
                         "%llu MB are missing and %llu MB are free in %s; make room, or set the cache "
                         "to another disk",
                         (unsigned long long)(need / 1000000), (unsigned long long)(room / 1000000),
                         slash ? path : ".");
    return WEFT_OK;
}

enum weft_status weft_hub_fetch_all(struct weft_http *http, struct weft_hub_fetch *fetches, size_t n,
                                    const struct weft_hub_options *options, struct weft_err *err)
{
    struct weft_hub_transfer t = { .http = http, .options = options, .n = n, .err = err };
    struct weft_err own = { .lang = options->http.lang }; /* the loop runs on a message of its own */
    enum weft_status st = WEFT_OK;
    if (!err) t.err = &own;
    t.jobs = calloc(n ? n : 1, sizeof *t.jobs);
    if (!t.jobs) return weft_fail_nomem(err, n * sizeof *t.jobs, "the HTTP client");
    /* Jitter only: which numbers come is of no importance, that two programs get different ones is. */
    weft_rng_init(&t.rng, (uint64_t)time(NULL) ^ ((uint64_t)getpid() << 32), WEFT_RNG_SAMPLE, 0);
    for (size_t i = 0; i < n; i++) {
        t.jobs[i] = (struct weft_hub_job){ .all = &t, .f = &fetches[i], .fd = -1, .lock_fd = -1 };
        if (asprintf(&t.jobs[i].part, "%s.incomplete", fetches[i].target) < 0) {
            t.jobs[i].part = NULL;
            st = weft_fail_nomem(err, strlen(fetches[i].target), "a path");
        }
    }
    if (!st) st = check_room(&t);
    if (!st) {
        start_more(&t);
        st = weft_http_run(http, options->progress, NULL);
        if (t.st) st = t.st;
        else if (st) st = weft_fail(t.err, st, "stopped");
    }
    for (size_t i = 0; i < n; i++) close_job(&t.jobs[i]);
    free(t.jobs);
    return st;
}

