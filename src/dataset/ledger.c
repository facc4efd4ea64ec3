/* The file: lock, index of keys, appending.  The index holds where the best record of each key stands; texts are read
 * from the file when they are wanted, so that a million long answers cost 64 MB and not all of their length. */
#include "dataset/ledger.h"

#include "base/file.h"
#include "dataset/ledger_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

struct entry {
    struct weft_call_key key;
    uint64_t at;  /* of the record that says `state` */
    uint32_t len; /* of that record */
    unsigned char state, newest; /* enum weft_call_state; state 0: a free slot */
};

struct weft_ledger {
    int fd, lock_fd;
    char *path;
    unsigned char salt[LEDGER_SALT_BYTES];
    uint64_t end; /* of the last whole record */
    uint64_t synced; /* what of it is safe from a power cut */
    struct entry *slots; /* open addressing, a power of two, at most three quarters full */
    size_t n_slots, n_keys;
    struct weft_buf record;
    bool dirty, broken;
};

/* ---- index ---- */

static struct entry *slot_of(struct entry *slots, size_t n_slots, const struct weft_call_key *key)
{
    size_t i;
    memcpy(&i, key->bytes, sizeof i); /* already a hash */
    for (i &= n_slots - 1; slots[i].state && !weft_call_key_eq(&slots[i].key, key);) i = (i + 1) & (n_slots - 1);
    return &slots[i];
}

static bool make_room(struct weft_ledger *l)
{
    if (l->n_slots && l->n_keys < l->n_slots / 4 * 3) return true;
    size_t n = l->n_slots ? 2 * l->n_slots : 256;
    struct entry *grown = calloc(n, sizeof *grown);
    if (!grown) return false;
    for (size_t i = 0; i < l->n_slots; i++)
        if (l->slots[i].state) *slot_of(grown, n, &l->slots[i].key) = l->slots[i];
    free(l->slots);
    l->slots = grown;
    l->n_slots = n;
    return true;
}

/* Empty and refused are worth the same: the newer one stands. */
static int worth(enum weft_call_state s) { return s == WEFT_CALL_REFUSED ? WEFT_CALL_EMPTY : (int)s; }

static enum weft_status index_record(struct weft_ledger *l, const struct weft_call *call, uint64_t at, size_t len,
                                     struct weft_err *err)
{
    if (!make_room(l)) return weft_fail_nomem(err, 2 * l->n_slots * sizeof *l->slots, "the ledger's index");
    struct entry *e = slot_of(l->slots, l->n_slots, &call->key);
    if (!e->state) {
        l->n_keys++;
        *e = (struct entry){ .key = call->key };
    }
    e->newest = (unsigned char)call->state;
    if (worth(call->state) >= worth((enum weft_call_state)e->state)) {
        e->state = (unsigned char)call->state;
        e->at = at;
        e->len = (uint32_t)len;
    }
    return WEFT_OK;
}

static const struct entry *find(const struct weft_ledger *l, const struct weft_call_key *key)
{
    if (!l->n_slots) return NULL;
    const struct entry *e = slot_of(l->slots, l->n_slots, key);
    return e->state ? e : NULL;
}

enum weft_call_state weft_ledger_find(const struct weft_ledger *l, const struct weft_call_key *key)
{
    const struct entry *e = find(l, key);
    return e ? (enum weft_call_state)e->state : WEFT_CALL_NONE;
}

bool weft_ledger_in_doubt(const struct weft_ledger *l, const struct weft_call_key *key)
{
    const struct entry *e = find(l, key);
    return e && e->newest == WEFT_CALL_SENT;
}

/* ---- opening ---- */

static enum weft_status take_lock(struct weft_ledger *l, struct weft_err *err)
{
    char *path = NULL, pid[32] = "";
    if (asprintf(&path, "%s.lock", l->path) < 0) return weft_fail_nomem(err, strlen(l->path) + 6, "a path");
    enum weft_status st = WEFT_OK;
    errno = 0;
    l->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (l->lock_fd < 0) st = weft_fail_errno(err, "open", path);
    else if (flock(l->lock_fd, LOCK_EX | LOCK_NB) && errno != EWOULDBLOCK) st = weft_fail_errno(err, "lock", path);
    else if (errno == EWOULDBLOCK) {
        ssize_t n = pread(l->lock_fd, pid, sizeof pid - 1, 0);
        pid[n > 0 ? strspn(pid, "0123456789") : 0] = '\0';
        st = weft_fail_rule(err, WEFT_EARG, "C9",
                            "%s is in use by process %s; wait for it to end, or give this run a ledger of its own",
                            l->path, pid[0] ? pid : "?");
    } else {
        int n = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
        /* The pid is only for the message: a lock whose name could not be written still holds. */
        if (ftruncate(l->lock_fd, 0) || pwrite(l->lock_fd, pid, (size_t)n, 0) != n) errno = 0;
    }
    free(path);
    return st;
}

static enum weft_status make_file(const char *path, struct weft_err *err)
{
    unsigned char salt[LEDGER_SALT_BYTES], head[LEDGER_START];
    if (getrandom(salt, sizeof salt, 0) != (ssize_t)sizeof salt) return weft_fail_errno(err, "draw randomness for", path);
    ledger_head_make(head, salt);
    ledger_head_make(head + LEDGER_HEAD_BYTES, salt);
    return weft_file_write(path, (struct weft_str){ (const char *)head, sizeof head }, err);
}

/* A first look that indexes every record. */
struct loading {
    struct weft_ledger *l;
    const char *base;
};

static enum weft_status load_record(void *ctx, const struct weft_call *call, struct weft_str record,
                                    struct weft_err *err)
{
    struct loading *w = ctx;
    return index_record(w->l, call, (uint64_t)(record.s - w->base), record.len, err);
}

static void count_states(const struct weft_ledger *l, struct weft_ledger_found *f)
{
    f->keys = l->n_keys;
    for (size_t i = 0; i < l->n_slots; i++)
        if (l->slots[i].state) f->state_keys[l->slots[i].state]++;
}

static enum weft_status fail_damaged(struct weft_err *err, const char *path, const struct weft_ledger_found *f)
{
    return weft_fail_rule(err, WEFT_EINPUT, "LG2",
                          "%s: record %" PRIu64 " (byte %" PRIu64
                          ") is damaged and good ones follow; --repair keeps the good ones and the file as it is",
                          path, f->first_damaged_record, f->first_damaged_byte);
}

/* What a kill in the middle of a write left at the end goes to FILE.cut: it may be the start of an answer. */
static enum weft_status cut_tail(struct weft_ledger *l, struct weft_str tail, struct weft_err *err)
{
    char *path = NULL;
    if (asprintf(&path, "%s.cut", l->path) < 0) return weft_fail_nomem(err, strlen(l->path) + 5, "a path");
    enum weft_status st = weft_file_append(path, tail, err);
    if (!st && (ftruncate(l->fd, (off_t)l->end) || fsync(l->fd))) st = weft_fail_errno(err, "cut", l->path);
    free(path);
    return st;
}

/* ---- what is good of a file, written anew ---- */

static enum weft_status copy_record(void *ctx, const struct weft_call *call, struct weft_str record,
                                    struct weft_err *err)
{
    weft_out_str(ctx, record);
    return WEFT_OK;
}

static enum weft_status write_repaired(const char *path, struct weft_str bytes, struct weft_ledger_found *f,
                                       struct weft_err *err)
{
    unsigned char salt[LEDGER_SALT_BYTES], head[LEDGER_HEAD_BYTES];
    const unsigned char *p = (const unsigned char *)bytes.s;
    struct weft_out out = { 0 };
    char *aside = NULL;
    enum weft_status st = weft_out_open(&out, path, err);
    if (!st && !ledger_head_read(p, salt) && !ledger_head_read(p + LEDGER_HEAD_BYTES, salt))
        st = weft_fail_rule(err, WEFT_EINPUT, "LG2", "%s: both heads are damaged", path);
    if (!st) {
        ledger_head_make(head, salt);
        weft_out_add(&out, head, sizeof head);
        weft_out_add(&out, head, sizeof head);
        st = weft_ledger_scan(path, bytes, copy_record, &out, f, err);
    }
    if (!st && asprintf(&aside, "%s.damaged", path) < 0) st = weft_fail_nomem(err, strlen(path) + 9, "a path");
    if (!st) {
        unlink(aside); /* of an earlier repair */
        if (link(path, aside)) st = weft_fail_errno(err, "keep", aside);
    }
    if (!st) st = weft_out_commit(&out, err);
    weft_out_close(&out);
    free(aside);
    return st;
}

/* `found` keeps what the first look at a file found that had to be mended. */
static enum weft_status load(struct weft_ledger *l, struct weft_ledger_found *found, struct weft_err *err)
{
    struct weft_map map = { 0 };
    struct weft_ledger_found f = { 0 };
    enum weft_status st = weft_map_open(&map, l->path, err);
    struct weft_str bytes = { (const char *)map.p, map.len };
    struct loading w = { l, bytes.s };
    if (!st) st = weft_ledger_scan(l->path, bytes, load_record, &w, &f, err);
    if (!st && f.damaged) st = fail_damaged(err, l->path, &f);
    if (!st && f.lost) {
        found->lost = f.lost;
        found->lost_bytes = f.lost_bytes;
        found->cut_bytes = f.cut_bytes;
        st = write_repaired(l->path, bytes, &f, err);
        goto done;
    }
    if (!st) {
        if (!ledger_head_read(map.p, l->salt)) st = fail_damaged(err, l->path, &f);
        l->end = map.len - f.cut_bytes;
        l->fd = open(l->path, O_RDWR | O_CLOEXEC);
        if (l->fd < 0) st = weft_fail_errno(err, "open", l->path);
    }
    if (!st && f.cut_bytes) st = cut_tail(l, weft_str_skip(bytes, l->end), err);
    /* A process that was killed may have left records that only the kernel has. */
    if (!st && fdatasync(l->fd)) st = weft_fail_errno(err, "sync", l->path);
    if (!st) {
        l->synced = l->end;
        count_states(l, &f);
        f.lost = found->lost;
        f.lost_bytes = found->lost_bytes;
        f.cut_bytes += found->cut_bytes;
        *found = f;
    }
done:
    weft_map_close(&map);
    return st;
}

static enum weft_status begin(struct weft_ledger **out, const char *path, struct weft_err *err)
{
    struct weft_ledger *l = calloc(1, sizeof *l);
    if (!l) return weft_fail_nomem(err, sizeof *l, "the ledger");
    l->fd = l->lock_fd = -1;
    l->path = strdup(path);
    enum weft_status st = l->path ? take_lock(l, err) : weft_fail_nomem(err, strlen(path) + 1, "a path");
    if (st) weft_ledger_close(l);
    else *out = l;
    return st;
}

enum weft_status weft_ledger_open(struct weft_ledger **out, const char *path, struct weft_ledger_found *found,
                                  struct weft_err *err)
{
    struct weft_ledger *l = NULL;
    struct weft_ledger_found f = { 0 };
    struct stat info;
    enum weft_status st = begin(&l, path, err);
    if (st) return st;
    if (stat(path, &info) || (S_ISREG(info.st_mode) && info.st_size == 0)) st = make_file(path, err);
    if (!st) st = load(l, &f, err);
    if (!st && l->fd < 0) {                 /* it was mended: the index stays empty until the file is read again */
        free(l->slots);
        l->slots = NULL;
        l->n_slots = l->n_keys = 0;
        st = load(l, &f, err);
    }
    if (!st && found) *found = f;
    if (st) weft_ledger_close(l);
    else *out = l;
    return st;
}

void weft_ledger_close(struct weft_ledger *l)
{
    if (!l) return;
    if (l->fd >= 0) close(l->fd);
    if (l->lock_fd >= 0) close(l->lock_fd); /* and the lock with it; its file stays, or two could each hold one */
    free(l->path);
    free(l->slots);
    weft_buf_clear(&l->record);
    free(l);
}

/* ---- records ---- */

static enum weft_status break_off(struct weft_ledger *l, const char *what, struct weft_err *err)
{
    enum weft_status st = weft_fail_errno(err, what, l->path);
    l->broken = true;
    /* A record that is half there would be cut at the next start anyway; errors here change nothing. */
    if (ftruncate(l->fd, (off_t)l->end)) errno = 0;
    return st;
}

enum weft_status weft_ledger_add(struct weft_ledger *l, const struct weft_call *call, struct weft_err *err)
{
    const struct weft_str texts[] = { call->text, call->reasoning, call->note };
    size_t total = LEDGER_FIXED;
    for (int i = 0; i < 3; i++)
        if (!weft_size_add(total, texts[i].len, &total) || total > LEDGER_MAX_PAYLOAD)
            return weft_fail(err, WEFT_ELIMIT, "%s: a record longer than the limit of %d bytes", l->path,
                             LEDGER_MAX_PAYLOAD);
    if (l->broken)
        return weft_fail(err, WEFT_ESYSTEM, "%s: writing failed before; start again to go on", l->path);
    weft_buf_reset(&l->record);
    ledger_encode(&l->record, l->salt, call, l->synced);
    enum weft_status st = weft_buf_check(&l->record, "a record", err);
    for (size_t done = 0; !st && done < l->record.len;) {
        ssize_t n = pwrite(l->fd, l->record.s + done, l->record.len - done, (off_t)(l->end + done));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) st = break_off(l, "write", err);
        else done += (size_t)n;
    }
    if (!st) st = index_record(l, call, l->end, l->record.len, err);
    if (!st) {
        l->end += l->record.len;
        l->dirty = true;
    }
    return st;
}

enum weft_status weft_ledger_sync(struct weft_ledger *l, struct weft_err *err)
{
    if (l->broken)
        return weft_fail(err, WEFT_ESYSTEM, "%s: writing failed before; start again to go on", l->path);
    if (!l->dirty) return WEFT_OK;
    /* After a failed fsync the kernel may have dropped the pages: what was read back would not be on the disk, so
     * the ledger takes nothing more and the next start sees what is really there. */
    if (fdatasync(l->fd)) {
        l->broken = true;
        return weft_fail_errno(err, "sync", l->path);
    }
    l->dirty = false;
    l->synced = l->end;
    return WEFT_OK;
}

enum weft_status weft_ledger_read(struct weft_ledger *l, struct weft_arena *a, const struct weft_call_key *key,
                                  struct weft_call *out, struct weft_err *err)
{
    const struct entry *e = find(l, key);
    *out = (struct weft_call){ .key = *key };
    if (!e) return WEFT_OK;
    char *p = weft_arena_alloc(a, e->len);
    if (!p) return weft_fail_nomem(err, e->len, "an answer");
    for (size_t done = 0; done < e->len;) {
        ssize_t n = pread(l->fd, p + done, e->len - done, (off_t)(e->at + done));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return weft_fail_errno(err, "read", l->path);
        if (n == 0) break;
        done += (size_t)n;
    }
    if (ledger_record((struct weft_str){ p, e->len }, l->salt, out) != e->len)
        return weft_fail_rule(err, WEFT_EINPUT, "LG2", "%s: byte %" PRIu64 ": the record changed while it was in use",
                              l->path, e->at);
    return WEFT_OK;
}

/* ---- repair ---- */

enum weft_status weft_ledger_repair(const char *path, struct weft_ledger_found *found, struct weft_err *err)
{
    struct weft_ledger *l = NULL;
    struct weft_map map = { 0 };
    enum weft_status st = begin(&l, path, err);
    if (!st) st = weft_map_open(&map, path, err);
    struct weft_str bytes = { (const char *)map.p, map.len };
    if (!st) st = weft_ledger_scan(path, bytes, NULL, NULL, found, err);
    if (!st && (found->damaged || found->lost || found->cut_bytes)) st = write_repaired(path, bytes, found, err);
    weft_map_close(&map);
    weft_ledger_close(l);
    return st;
}
