/* Writing: a temporary name beside the target, then fsync, rename, fsync of the folder.  Beside the target, not
 * in /tmp, because rename is atomic only within one file system.  Whoever reads the target sees the old content
 * or the new, never a part; a crash leaves at most a file named *.tmp-PID that readers ignore. */
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FLUSH_AT = 256 << 10 };

static char *format_path(const char *path, const char *infix, unsigned long number)
{
    char *s = NULL;
    return asprintf(&s, "%s.%s-%lu", path, infix, number) < 0 ? NULL : s;
}

/* All n bytes, however the kernel cuts them; false with errno. */
static bool write_fully(int fd, const char *p, size_t n)
{
    while (n) {
        ssize_t w = write(fd, p, n);
        if (w < 0 && errno == EINTR) continue;
        if (w < 0) return false;
        p += w;
        n -= (size_t)w;
    }
    return true;
}

/* fsync of the folder that holds `path`, so that a rename in it survives a power cut. */
static enum weft_status sync_parent(const char *path, struct weft_err *err)
{
    enum weft_status st = WEFT_OK;
    const char *slash = strrchr(path, '/');
    char *dir = !slash ? strdup(".") : slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
    if (!dir) return weft_fail_nomem(err, strlen(path), "a path");
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) st = weft_fail_errno(err, "open", dir);
    /* EINVAL and EROFS: this file system cannot sync folders (some network mounts); nothing more can be done. */
    else if (fsync(fd) && errno != EINVAL && errno != EROFS) st = weft_fail_errno(err, "sync", dir);
    if (fd >= 0) close(fd);
    free(dir);
    return st;
}

/* ---- one file ---- */

static bool is_stdout(const char *path) { return strcmp(path, "-") == 0 || strcmp(path, "/dev/stdout") == 0; }

enum weft_status weft_out_open(struct weft_out *o, const char *path, struct weft_err *err)
{
    *o = (struct weft_out){ .fd = -1 };
    o->path = strdup(path);
    if (!o->path) return weft_fail_nomem(err, strlen(path) + 1, "a path");
    if (is_stdout(path)) {
        o->fd = STDOUT_FILENO;
        return WEFT_OK;
    }
    enum weft_status st;
    struct stat info;
    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode)) {
        st = weft_fail(err, WEFT_EARG, "%s is a folder; expected the name of a file to write", path);
        goto fail;
    }
    /* A device or FIFO is written, never replaced: a rename would put a plain file where /dev/null was. */
    if (stat(path, &info) == 0 && !S_ISREG(info.st_mode)) {
        o->fd = open(path, O_WRONLY | O_NOCTTY | O_CLOEXEC);
        if (o->fd >= 0) return WEFT_OK;
        st = weft_fail_errno(err, "open", path);
        goto fail;
    }
    /* Threads of one process may write the same target one after the other, never at once; the process id alone
     * keeps processes apart.  O_EXCL after unlink: a link planted under this name is not followed. */
    o->tmp = format_path(path, "tmp", (unsigned long)getpid());
    if (!o->tmp) {
        st = weft_fail_nomem(err, strlen(path) + 32, "a path");
        goto fail;
    }
    unlink(o->tmp);
    o->fd = open(o->tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (o->fd < 0) {
        st = weft_fail_errno(err, "create", o->tmp);
        free(o->tmp);
        o->tmp = NULL; /* not ours to remove */
        goto fail;
    }
    return WEFT_OK;
fail:
    weft_out_close(o);
    return st;
}

/* The first failure is kept with its errno until commit reports it.  The disk begins with a large piece at once: the
 * fsync at the end then waits for the last ones only. */
static void put(struct weft_out *o, const void *s, size_t n)
{
    if (o->failed || !n) return;
    if (!write_fully(o->fd, s, n)) {
        o->failed = WEFT_ESYSTEM;
        o->failed_errno = errno;
        return;
    }
    if (o->tmp && n >= FLUSH_AT) sync_file_range(o->fd, (off_t)o->written, (off_t)n, SYNC_FILE_RANGE_WRITE);
    o->written += n;
}

static void flush(struct weft_out *o)
{
    put(o, o->buf.s, o->buf.len);
    weft_buf_reset(&o->buf);
}

void weft_out_add(struct weft_out *o, const void *s, size_t n)
{
    if (o->failed) return;
    if (n >= FLUSH_AT) { /* large pieces are not copied first */
        flush(o);
        put(o, s, n);
        return;
    }
    weft_buf_add(&o->buf, s, n);
    if (o->buf.failed) {
        o->failed = WEFT_ENOMEM;
        return;
    }
    if (o->buf.len >= FLUSH_AT) flush(o);
}

void weft_out_str(struct weft_out *o, struct weft_str s) { weft_out_add(o, s.s, s.len); }

static enum weft_status report(struct weft_out *o, struct weft_err *err)
{
    if (o->failed == WEFT_ENOMEM) return weft_fail_nomem(err, FLUSH_AT, o->path);
    errno = o->failed_errno;
    return weft_fail_errno(err, "write", o->path);
}

enum weft_status weft_out_commit(struct weft_out *o, struct weft_err *err)
{
    enum weft_status st = WEFT_OK;
    flush(o);
    if (o->failed) st = report(o, err);
    else if (o->tmp) {
        if (fsync(o->fd)) st = weft_fail_errno(err, "sync", o->tmp);
        int failed = close(o->fd);
        o->fd = -1;
        if (!st && failed) st = weft_fail_errno(err, "close", o->tmp);
        if (!st && rename(o->tmp, o->path)) st = weft_fail_errno(err, "rename to", o->path);
        if (!st) {
            free(o->tmp);
            o->tmp = NULL;
            st = sync_parent(o->path, err);
        }
    }
    weft_out_close(o);
    return st;
}

void weft_out_close(struct weft_out *o)
{
    if (!o || !o->path) return; /* zeroed, or closed already */
    if (o->fd > STDERR_FILENO) close(o->fd);
    if (o->tmp) unlink(o->tmp);
    free(o->tmp);
    free(o->path);
    weft_buf_clear(&o->buf);
    *o = (struct weft_out){ .fd = -1 };
}

enum weft_status weft_file_write(const char *path, struct weft_str content, struct weft_err *err)
{
    struct weft_out o = { 0 };
    enum weft_status st = weft_out_open(&o, path, err);
    if (st) return st;
    weft_out_str(&o, content);
    return weft_out_commit(&o, err);
}

enum weft_status weft_file_append(const char *path, struct weft_str line, struct weft_err *err)
{
    enum weft_status st = WEFT_OK;
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOCTTY | O_CLOEXEC, 0666);
    if (fd < 0) return weft_fail_errno(err, "open", path);
    if (!write_fully(fd, line.s, line.len)) st = weft_fail_errno(err, "write", path);
    if (close(fd) && !st) st = weft_fail_errno(err, "close", path);
    return st;
}

/* ---- folders ---- */

enum weft_status weft_dir_make(const char *path, struct weft_err *err)
{
    enum weft_status st = WEFT_OK;
    char *p = strdup(path);
    if (!p) return weft_fail_nomem(err, strlen(path) + 1, "a path");
    size_t n = strlen(p);
    while (n > 1 && p[n - 1] == '/') p[--n] = '\0';
    for (size_t i = 1; i <= n; i++) {
        if (p[i] != '/' && p[i] != '\0') continue;
        char kept = p[i];
        p[i] = '\0';
        if (mkdir(p, 0777) && errno != EEXIST) st = weft_fail_errno(err, "create the folder", p);
        else if (!weft_dir_exists(p))
            st = weft_fail(err, WEFT_EARG, "%s exists and is no folder; choose another name", p);
        p[i] = kept;
        if (st) break;
    }
    free(p);
    return st;
}

/* The folders being emptied, innermost last: a tree as deep as PATH_MAX allows must not use the stack. */
struct open_dir {
    struct open_dir *up;
    DIR *dir;
    char *name; /* in `up`, or the path itself for the outermost */
};

static void pop(struct open_dir **top)
{
    struct open_dir *d = *top;
    *top = d->up;
    closedir(d->dir);
    free(d->name);
    free(d);
}

static enum weft_status push(struct open_dir **top, const char *name, struct weft_err *err)
{
    struct open_dir *d = calloc(1, sizeof *d);
    char *copy = strdup(name);
    int fd = -1;
    if (!d || !copy) goto nomem;
    fd = openat(*top ? dirfd((*top)->dir) : AT_FDCWD, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        enum weft_status st = weft_fail_errno(err, "open", name);
        free(d);
        free(copy);
        return st;
    }
    DIR *dir = fdopendir(fd);
    if (!dir) goto nomem;
    *d = (struct open_dir){ *top, dir, copy };
    *top = d;
    return WEFT_OK;
nomem:
    if (fd >= 0) close(fd);
    free(d);
    free(copy);
    return weft_fail_nomem(err, strlen(name) + sizeof *d, "a folder");
}

enum weft_status weft_dir_remove(const char *path, struct weft_err *err)
{
    struct open_dir *top = NULL;
    enum weft_status st = WEFT_OK;
    struct stat info;
    if (lstat(path, &info)) return errno == ENOENT ? WEFT_OK : weft_fail_errno(err, "examine", path);
    if (!S_ISDIR(info.st_mode)) return unlink(path) ? weft_fail_errno(err, "remove", path) : WEFT_OK;
    st = push(&top, path, err);
    while (!st && top) {
        errno = 0;
        struct dirent *e = readdir(top->dir);
        if (!e) {
            if (errno) {
                st = weft_fail_errno(err, "read", top->name);
                break;
            }
            int parent = top->up ? dirfd(top->up->dir) : AT_FDCWD;
            if (unlinkat(parent, top->name, AT_REMOVEDIR)) st = weft_fail_errno(err, "remove", top->name);
            pop(&top);
            continue;
        }
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        if (unlinkat(dirfd(top->dir), e->d_name, 0) == 0) continue;
        if (errno == EISDIR || errno == EPERM) st = push(&top, e->d_name, err);
        else st = weft_fail_errno(err, "remove", e->d_name);
    }
    while (top) pop(&top);
    return st;
}

static size_t without_slashes(const char *path)
{
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') n--;
    return n;
}

enum weft_status weft_dir_begin(struct weft_arena *a, const char *path, const char **tmp,
                                struct weft_err *err)
{
    size_t n = without_slashes(path);
    const char *name = weft_str_printf(a, "%.*s.tmp-%ld", (int)n, path, (long)getpid()).s;
    if (!name) return weft_fail_nomem(err, n + 32, "a path");
    enum weft_status st = weft_dir_remove(name, err);
    if (!st) st = weft_dir_make(name, err);
    if (!st) *tmp = name;
    return st;
}

static enum weft_status sync_entry(int dir, const char *name, const char *path, struct weft_err *err)
{
    enum weft_status st = WEFT_OK;
    int fd = openat(dir, name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return errno == ELOOP ? WEFT_OK : weft_fail_errno(err, "open", path);
    if (fsync(fd) && errno != EINVAL && errno != EROFS) st = weft_fail_errno(err, "sync", path);
    close(fd);
    return st;
}

/* Syncs the files of one folder and the folder itself; folders inside are the caller's stack's business. */
static enum weft_status sync_tree(const char *path, struct weft_err *err)
{
    struct open_dir *top = NULL;
    enum weft_status st = push(&top, path, err);
    while (!st && top) {
        errno = 0;
        struct dirent *e = readdir(top->dir);
        struct stat info;
        if (!e) {
            if (errno) st = weft_fail_errno(err, "read", top->name);
            else if (fsync(dirfd(top->dir)) && errno != EINVAL && errno != EROFS)
                st = weft_fail_errno(err, "sync", top->name);
            pop(&top);
            continue;
        }
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        if (fstatat(dirfd(top->dir), e->d_name, &info, AT_SYMLINK_NOFOLLOW))
            st = weft_fail_errno(err, "examine", e->d_name);
        else if (S_ISDIR(info.st_mode)) st = push(&top, e->d_name, err);
        else if (S_ISREG(info.st_mode)) st = sync_entry(dirfd(top->dir), e->d_name, e->d_name, err);
    }
    while (top) pop(&top);
    return st;
}

/* A folder cannot be renamed over one that is not empty.  renameat2(RENAME_EXCHANGE) swaps both in one step, so
 * that a complete folder stands under the name at every moment; file systems without it get two renames. */
enum weft_status weft_dir_commit(const char *tmp, const char *path, struct weft_err *err)
{
    enum weft_status st = sync_tree(tmp, err);
    char *target = strndup(path, without_slashes(path)), *old = NULL;
    if (!target) st = st ? st : weft_fail_nomem(err, strlen(path), "a path");
    if (st) goto done;
    if (rename(tmp, target) == 0) { /* nothing there, or an empty folder */
        st = sync_parent(target, err);
        goto done;
    }
    if (errno != ENOTEMPTY && errno != EEXIST) {
        st = weft_fail_errno(err, "rename to", target);
        goto done;
    }
    if (renameat2(AT_FDCWD, tmp, AT_FDCWD, target, RENAME_EXCHANGE) == 0) {
        st = sync_parent(target, err);
        if (!st) st = weft_dir_remove(tmp, err);
        goto done;
    }
    old = format_path(target, "tmp-old", (unsigned long)getpid());
    if (!old) st = weft_fail_nomem(err, strlen(path) + 32, "a path");
    if (!st) st = weft_dir_remove(old, err);
    if (!st && rename(target, old)) st = weft_fail_errno(err, "rename", target);
    if (!st && rename(tmp, target)) {
        st = weft_fail_errno(err, "rename to", target);
        if (rename(old, target)) st = weft_fail_errno(err, "rename back to", target);
    }
    if (!st) st = sync_parent(target, err);
    if (!st) st = weft_dir_remove(old, err);
done:
    free(target);
    free(old);
    return st;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

enum weft_status weft_dir_list(struct weft_arena *a, const char *path, const char ***names, size_t *n,
                               struct weft_err *err)
{
    struct weft_buf list = { 0 }; /* of const char *, until their number is known */
    enum weft_status st = WEFT_OK;
    DIR *dir = opendir(path);
    if (!dir) return weft_fail_errno(err, "open", path);
    for (;;) {
        errno = 0;
        struct dirent *e = readdir(dir);
        if (!e) {
            if (errno) st = weft_fail_errno(err, "read", path);
            break;
        }
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        const char *name = weft_arena_strndup(a, e->d_name, strlen(e->d_name));
        if (name) weft_buf_add(&list, &name, sizeof name);
        if (!name || list.failed) {
            st = weft_fail_nomem(err, sizeof name, "a folder's names");
            break;
        }
    }
    closedir(dir);
    if (!st) {
        size_t count = list.len / sizeof(const char *);
        const char **sorted = weft_arena_alloc(a, list.len);
        if (!sorted) st = weft_fail_nomem(err, list.len, "a folder's names");
        else {
            if (count) memcpy(sorted, list.s, list.len);
            qsort(sorted, count, sizeof *sorted, by_name);
            *names = sorted;
            *n = count;
        }
    }
    weft_buf_clear(&list);
    return st;
}
