/* power_cut.h - what is left of files when the power goes, at every moment of a piece of work
 *
 * A program that includes this has the calls that change files defined here, before those of the C library: they do
 * their work and, below one folder, write down what they did.  Afterwards each moment is replayed into a fresh
 * folder as a disk may hold it then:
 *
 *   written   what fsync of the file made safe, and of later writes: none; all; all but the earlier ones; sectors
 *   of 512
 *             bytes here and there (a hole reads as zeros); the last one torn
 *   named     what fsync of the folder made safe, and of later names: none; all; the first few
 *
 * This is harder than kill -9, which leaves all writes in the kernel's memory, and than most file systems, which keep
 * some order.  `acknowledge` notes that the work promised something; the check is told how many promises had been
 * given.
 *
 *     power_record(folder); ... work, power_acknowledge() ...; power_stop();
 *     n = power_replay(check, ctx);
 */
#ifndef WEFT_TESTS_POWER_CUT_H
#define WEFT_TESTS_POWER_CUT_H

#include "check.h"

#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum power_kind { POWER_CREATE, POWER_WRITE, POWER_LENGTH, POWER_SYNC, POWER_RENAME, POWER_LINK, POWER_UNLINK,
                  POWER_SYNC_FOLDER, POWER_PROMISE };

struct power_event {
    enum power_kind kind;
    int file;                       /* number of the file's content */
    size_t at, len;
    char *bytes;                    /* malloc */
    char *name, *to;                /* malloc, below the folder */
};

enum { POWER_FILES = 64, POWER_FDS = 1024, POWER_NAMES = 64 };

struct power_name {
    char name[256];
    int file;
};
struct power_names {
    struct power_name items[POWER_NAMES];
    size_t n;
};

static struct {
    char folder[512];
    size_t folder_len;
    bool on;
    struct weft_buf events;         /* struct power_event each */
    struct power_names names;       /* as they are now */
    int fds[POWER_FDS];             /* file + 1; -1: the folder itself or one below; 0: not watched */
    int n_files;
} power;

static size_t power_count(void) { return power.events.len / sizeof(struct power_event); }

static struct power_name *power_find(struct power_names *names, const char *name)
{
    for (size_t i = 0; i < names->n; i++)
        if (strcmp(names->items[i].name, name) == 0) return &names->items[i];
    return NULL;
}
static void power_name_set(struct power_names *names, const char *name, int file)
{
    struct power_name *n = power_find(names, name);
    if (!n) {
        assert_true(names->n < POWER_NAMES);
        n = &names->items[names->n++];
        snprintf(n->name, sizeof n->name, "%s", name);
    }
    n->file = file;
}
static void power_name_remove(struct power_names *names, const char *name)
{
    struct power_name *n = power_find(names, name);
    if (n) *n = names->items[--names->n];
}

/* The path below the folder, or NULL. */
static const char *power_below(const char *path)
{
    if (!power.on || strncmp(path, power.folder, power.folder_len) != 0) return NULL;
    if (path[power.folder_len] == '\0') return ".";
    return path[power.folder_len] == '/' ? path + power.folder_len + 1 : NULL;
}

static void power_note(struct power_event e, const void *bytes, const char *name, const char *to)
{
    if (bytes) {
        e.bytes = malloc(e.len + 1);
        assert_non_null(e.bytes);
        memcpy(e.bytes, bytes, e.len);
    }
    e.name = name ? strdup(name) : NULL;
    e.to = to ? strdup(to) : NULL;
    weft_buf_add(&power.events, &e, sizeof e);
    assert_false(power.events.failed);
}

/* ---- the calls ---- */

static int power_open(const char *path, int flags, unsigned mode)
{
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    const char *name = power_below(path);
    if (fd < 0 || fd >= POWER_FDS) return fd;
    power.fds[fd] = 0;
    if (!name) return fd;
    struct stat info;
    if (fstat(fd, &info) == 0 && S_ISDIR(info.st_mode)) {
        power.fds[fd] = -1;
        return fd;
    }
    struct power_name *known = power_find(&power.names, name);
    if (!known) {
        assert_true(power.n_files < POWER_FILES);
        power_name_set(&power.names, name, power.n_files);
        power_note((struct power_event){ .kind = POWER_CREATE, .file = power.n_files++ }, NULL, name, NULL);
        known = power_find(&power.names, name);
    } else if (flags & O_TRUNC)
        power_note((struct power_event){ .kind = POWER_LENGTH, .file = known->file }, NULL, NULL, NULL);
    power.fds[fd] = known->file + 1;
    return fd;
}
static int power_file(int fd)
{
    return power.on && fd >= 0 && fd < POWER_FDS && power.fds[fd] > 0 ? power.fds[fd] - 1 : -1;
}

static ssize_t power_pwrite(int fd, const void *p, size_t n, off_t at)
{
    ssize_t w = syscall(SYS_pwrite64, fd, p, n, at);
    int file = power_file(fd);
    if (w > 0 && file >= 0)
        power_note(
            (struct power_event){ .kind = POWER_WRITE, .file = file, .at = (size_t)at, .len = (size_t)w }, p,
            NULL, NULL);
    return w;
}
static int power_sync(int fd)
{
    int file = power_file(fd);
    if (file >= 0) power_note((struct power_event){ .kind = POWER_SYNC, .file = file }, NULL, NULL, NULL);
    else if (power.on && fd >= 0 && fd < POWER_FDS && power.fds[fd] < 0)
        power_note((struct power_event){ .kind = POWER_SYNC_FOLDER }, NULL, NULL, NULL);
    return 0;                       /* the test needs no disk of its own */
}
static int power_length(int fd, off_t n)
{
    int r = (int)syscall(SYS_ftruncate, fd, n), file = power_file(fd);
    if (r == 0 && file >= 0)
        power_note((struct power_event){ .kind = POWER_LENGTH, .file = file, .len = (size_t)n }, NULL, NULL, NULL);
    return r;
}

int open(const char *path, int flags, ...)
{
    va_list ap;
    va_start(ap, flags);
    unsigned mode = flags & O_CREAT ? va_arg(ap, unsigned) : 0;
    va_end(ap);
    return power_open(path, flags, mode);
}
int open64(const char *path, int flags, ...)
{
    va_list ap;
    va_start(ap, flags);
    unsigned mode = flags & O_CREAT ? va_arg(ap, unsigned) : 0;
    va_end(ap);
    return power_open(path, flags, mode);
}
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __open_2(const char *path, int flags) { return power_open(path, flags, 0); }
int __open64_2(const char *path, int flags) { return power_open(path, flags, 0); }
ssize_t write(int fd, const void *p, size_t n)
{
    struct stat info;
    off_t at = 0;
    if (power_file(fd) >= 0) {
        int flags = fcntl(fd, F_GETFL);
        at = flags & O_APPEND && fstat(fd, &info) == 0 ? info.st_size : lseek(fd, 0, SEEK_CUR);
    }
    ssize_t w = syscall(SYS_write, fd, p, n);
    if (w > 0 && power_file(fd) >= 0)
        power_note(
            (struct power_event){
                .kind = POWER_WRITE, .file = power_file(fd), .at = (size_t)at, .len = (size_t)w },
            p, NULL, NULL);
    return w;
}
ssize_t pwrite(int fd, const void *p, size_t n, off_t at) { return power_pwrite(fd, p, n, at); }
ssize_t pwrite64(int fd, const void *p, size_t n, off64_t at) { return power_pwrite(fd, p, n, at); }
int fsync(int fd) { return power_sync(fd); }
int fdatasync(int fd) { return power_sync(fd); }
int ftruncate(int fd, off_t n) { return power_length(fd, n); }
int ftruncate64(int fd, off64_t n) { return power_length(fd, n); }
int rename(const char *from, const char *to)
{
    int r = (int)syscall(SYS_rename, from, to);
    const char *a = power_below(from), *b = power_below(to);
    if (r == 0 && a && b) {
        struct power_name *n = power_find(&power.names, a);
        assert_non_null(n);
        int file = n->file;
        power_name_remove(&power.names, a);
        power_name_set(&power.names, b, file);
        power_note((struct power_event){ .kind = POWER_RENAME, .file = file }, NULL, a, b);
    }
    return r;
}
int link(const char *from, const char *to)
{
    int r = (int)syscall(SYS_link, from, to);
    const char *a = power_below(from), *b = power_below(to);
    if (r == 0 && a && b) {
        int file = power_find(&power.names, a)->file;
        power_name_set(&power.names, b, file);
        power_note((struct power_event){ .kind = POWER_LINK, .file = file }, NULL, b, NULL);
    }
    return r;
}
int unlink(const char *path)
{
    int r = (int)syscall(SYS_unlink, path);
    const char *a = power_below(path);
    if (r == 0 && a) {
        power_name_remove(&power.names, a);
        power_note((struct power_event){ .kind = POWER_UNLINK }, NULL, a, NULL);
    }
    return r;
}

/* ---- recording ---- */

/* A folder of its own: check_folder has one name at a time, and the replay needs it. */
static void power_folder(char folder[64]) { snprintf(folder, 64, "%s", check_folder()); }

static void power_record(const char *folder)
{
    power.folder_len = (size_t)snprintf(power.folder, sizeof power.folder, "%s", folder);
    power.on = true;
}
static void power_acknowledge(void) { power_note((struct power_event){ .kind = POWER_PROMISE }, NULL, NULL, NULL); }
static void power_stop(void) { power.on = false; }
static void power_forget(void)
{
    for (size_t i = 0; i < power_count(); i++) {
        struct power_event *e = &((struct power_event *)(void *)power.events.s)[i];
        free(e->bytes);
        free(e->name);
        free(e->to);
    }
    weft_buf_clear(&power.events);
    memset(&power, 0, sizeof power);
}

/* ---- replaying ---- */

struct power_disk {
    struct weft_buf content[POWER_FILES];       /* what is safe */
    struct power_names names;
    size_t written[POWER_FILES];                /* event behind the file's last sync */
    size_t named;                               /* event behind the last sync of the folder */
    size_t promises;
};

static void power_apply(struct weft_buf *content, const struct power_event *e, size_t len)
{
    size_t end = e->at + len;
    if (e->kind == POWER_LENGTH) end = e->len;
    if (content->len < end) {
        size_t from = content->len;
        assert_true(weft_buf_reserve(content, end - from));
        memset(content->s + from, 0, end - from);
        content->len = end;
    }
    if (e->kind == POWER_LENGTH) content->len = e->len;
    else if (len) memcpy(content->s + e->at, e->bytes, len);
}

static void power_apply_name(struct power_names *names, const struct power_event *e)
{
    if (e->kind == POWER_CREATE || e->kind == POWER_LINK) power_name_set(names, e->name, e->file);
    if (e->kind == POWER_UNLINK) power_name_remove(names, e->name);
    if (e->kind == POWER_RENAME) {
        power_name_remove(names, e->name);
        power_name_set(names, e->to, e->file);
    }
}
static bool power_is_content(const struct power_event *e, int file)
{
    return e->file == file && (e->kind == POWER_WRITE || e->kind == POWER_LENGTH);
}

enum { POWER_NOTHING, POWER_ALL, POWER_NAMES_ONLY, POWER_LAST_ONLY, POWER_TORN, POWER_SECTORS, POWER_MORE_SECTORS,
       POWER_WAYS };

/* Puts the disk as it may be when the power goes behind event k into `folder`, which is empty; of the last write only
 * `torn` bytes arrived where that is the way. */
static void power_make(const char *folder, size_t k, int way, size_t torn, uint64_t *rng, size_t *promises)
{
    const struct power_event *e = (const struct power_event *)(const void *)power.events.s;
    struct power_disk *d = calloc(1, sizeof *d);
    assert_non_null(d);
    for (size_t i = 0; i < k; i++) {
        d->promises += e[i].kind == POWER_PROMISE;
        if (e[i].kind == POWER_SYNC) {
            for (size_t j = d->written[e[i].file]; j < i; j++)
                if (power_is_content(&e[j], e[i].file)) power_apply(&d->content[e[i].file], &e[j], e[j].len);
            d->written[e[i].file] = i;
        }
        if (e[i].kind != POWER_SYNC_FOLDER) continue;
        for (size_t j = d->named; j < i; j++) power_apply_name(&d->names, &e[j]);
        d->named = i;
    }
    size_t names = k - d->named;
    if (way == POWER_NOTHING) names = 0;
    if (way >= POWER_SECTORS) names = check_random(rng) % (names + 1);
    for (size_t j = d->named; j < d->named + names; j++) power_apply_name(&d->names, &e[j]);
    for (int f = 0; f < power.n_files; f++) {
        size_t last = 0, n = 0;
        for (size_t j = d->written[f]; j < k; j++)
            if (power_is_content(&e[j], f)) last = j, n++;
        for (size_t j = d->written[f]; j < k && n; j++) {
            if (!power_is_content(&e[j], f) || way == POWER_NOTHING || way == POWER_NAMES_ONLY) continue;
            if (way == POWER_LAST_ONLY && j != last) continue;
            if (e[j].kind == POWER_LENGTH) {
                if (way < POWER_SECTORS || check_random(rng) & 1) power_apply(&d->content[f], &e[j], 0);
            } else if (way < POWER_SECTORS)
                power_apply(&d->content[f], &e[j], way == POWER_TORN && j == k - 1 ? torn : e[j].len);
            else
                for (size_t at = 0, end; at < e[j].len; at = end) {
                    end = weft_min_size(((e[j].at + at) / 512 + 1) * 512 - e[j].at, e[j].len);
                    struct power_event part = e[j];
                    part.at += at;
                    part.bytes += at;
                    if (check_random(rng) % (way == POWER_SECTORS ? 2 : 8))
                        power_apply(&d->content[f], &part, end - at);
                }
        }
    }
    for (size_t i = 0; i < d->names.n; i++) {
        char path[1024];
        snprintf(path, sizeof path, "%s/%s", folder, d->names.items[i].name);
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        const struct weft_buf *b = &d->content[d->names.items[i].file];
        assert_int_equal(b->len ? write(fd, b->s, b->len) : 0, b->len);
        close(fd);
    }
    *promises = d->promises;
    for (int f = 0; f < power.n_files; f++) weft_buf_clear(&d->content[f]);
    free(d);
}

/* Is given the folder, how many promises had been given, and words that name the moment. */
struct power_check {
    void (*check)(void *ctx, const char *folder, size_t promises, const char *moment);
    void *ctx;
    size_t step;            /* bytes from one tear of a write to the next; 1: each byte */
};

/* All moments in all ways; how many. */
static size_t power_replay(const struct power_check *c)
{
    const struct power_event *e = (const struct power_event *)(const void *)power.events.s;
    uint64_t rng = 42;
    size_t n = 0;
    for (size_t k = 0; k <= power_count(); k++)
        for (int way = 0; way < POWER_WAYS; way++) {
            bool tears = way == POWER_TORN && k && e[k - 1].kind == POWER_WRITE;
            if (way == POWER_TORN && !tears) continue;
            for (size_t torn = tears ? 1 : 0; torn <= (tears ? e[k - 1].len - 1 : 0); torn += c->step) {
                char moment[64];
                size_t promises;
                const char *folder = check_folder();
                snprintf(moment, sizeof moment, "behind event %zu, way %d, %zu bytes", k, way, torn);
                power_make(folder, k, way, torn, &rng, &promises);
                c->check(c->ctx, folder, promises, moment);
                check_folder_gone(folder);
                n++;
            }
        }
    return n;
}

#endif
