/* Reading: open without blocking, look at what was opened, accept regular files only.  A FIFO would wait for a
 * writer, /dev/zero would never end, and a directory gives an error only at the first read. */
#include "base/file.h"

#include "base/lang.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { STDIN_CHUNK = 256 << 10 };

static const char *kind_of(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFDIR: return "a folder";
    case S_IFIFO: return "a pipe (FIFO)";
    case S_IFCHR: return "a device";
    case S_IFBLK: return "a block device";
    case S_IFSOCK: return "a socket";
    default: return "no regular file";
    }
}

static enum weft_status open_regular(const char *path, int *fd, struct stat *info, struct weft_err *err)
{
    enum weft_status st = WEFT_OK;
    *fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (*fd < 0) {
        /* A socket cannot be opened at all (ENXIO); the better answer says what it is. */
        if (errno == ENXIO && stat(path, info) == 0 && !S_ISREG(info->st_mode)) goto wrong_kind;
        return weft_fail_errno(err, "open", path);
    }
    if (fstat(*fd, info)) {
        st = weft_fail_errno(err, "examine", path);
        goto fail;
    }
    if (!S_ISREG(info->st_mode)) goto wrong_kind;
    return WEFT_OK;
wrong_kind:
    st = weft_fail(err, WEFT_EINPUT, "%s is %s; expected a regular file", path,
                   weft_tr(err ? err->lang : WEFT_LANG_EN, kind_of(info->st_mode)));
fail:
    if (*fd >= 0) close(*fd);
    *fd = -1;
    return st;
}

/* Reads until n bytes are there or the file ends; the count, or -1 with errno. */
static ssize_t read_fully(int fd, char *p, size_t n)
{
    size_t got = 0;
    while (got < n) {
        ssize_t r = read(fd, p + got, n - got);
        if (r < 0 && errno == EINTR) continue;
        if (r < 0) return -1;
        if (r == 0) break;
        got += (size_t)r;
    }
    return (ssize_t)got;
}

static enum weft_status fail_too_big(struct weft_err *err, const char *path, uint64_t max_bytes)
{
    return weft_fail(err, WEFT_ELIMIT,
                     "%s is longer than the limit of %" PRIu64 " bytes; split it or raise the limit", path,
                     max_bytes);
}

static enum weft_status read_stdin(struct weft_arena *a, uint64_t max_bytes, struct weft_str *out,
                                   struct weft_err *err)
{
    struct weft_buf b = { .max_bytes = max_bytes };
    enum weft_status st = WEFT_OK;
    for (;;) {
        /* One byte past the limit is room enough to see that the limit is passed. */
        size_t room = (size_t)weft_min_size(STDIN_CHUNK, max_bytes - b.len);
        char one;
        if (!room) {
            ssize_t r = read_fully(STDIN_FILENO, &one, 1);
            if (r < 0) st = weft_fail_errno(err, "read", "standard input");
            else if (r > 0) st = fail_too_big(err, "standard input", max_bytes);
            break;
        }
        if (!weft_buf_reserve(&b, room)) {
            st = weft_buf_check(&b, "standard input", err);
            break;
        }
        ssize_t r = read_fully(STDIN_FILENO, b.s + b.len, room);
        if (r < 0) {
            st = weft_fail_errno(err, "read", "standard input");
            break;
        }
        if (r == 0) break;
        b.len += (size_t)r;
    }
    if (!st) {
        *out = weft_str_dup(a, weft_buf_view(&b));
        if (!out->s) st = weft_fail_nomem(err, b.len + 1, "standard input");
    }
    weft_buf_clear(&b);
    return st;
}

enum weft_status weft_file_read(struct weft_arena *a, const char *path, uint64_t max_bytes,
                                struct weft_str *out, struct weft_err *err)
{
    struct stat info;
    enum weft_status st;
    int fd = -1;
    if (!max_bytes) max_bytes = UINT64_C(2) << 30;
    if (strcmp(path, "-") == 0) return read_stdin(a, max_bytes, out, err);
    st = open_regular(path, &fd, &info, err);
    if (st) return st;
    uint64_t size = (uint64_t)info.st_size;
    if (size > max_bytes) {
        st = fail_too_big(err, path, max_bytes);
        goto done;
    }
    char *p = weft_arena_alloc(a, (size_t)size + 1);
    if (!p) {
        st = weft_fail_nomem(err, (size_t)size + 1, path);
        goto done;
    }
    ssize_t got = read_fully(fd, p, (size_t)size);
    if (got < 0) {
        st = weft_fail_errno(err, "read", path);
        goto done;
    }
    p[got] = '\0'; /* fewer bytes than announced: the file shrank while it was read; what is there counts */
    *out = (struct weft_str){ p, (size_t)got };
done:
    close(fd);
    return st;
}

enum weft_status weft_map_open(struct weft_map *m, const char *path, struct weft_err *err)
{
    struct stat info;
    int fd = -1;
    *m = (struct weft_map){ 0 };
    enum weft_status st = open_regular(path, &fd, &info, err);
    if (st) return st;
    if (info.st_size > 0) {
        void *p = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED) st = weft_fail_errno(err, "map", path);
        else *m = (struct weft_map){ p, (size_t)info.st_size };
    }
    close(fd);
    return st;
}

void weft_map_close(struct weft_map *m)
{
    if (!m) return;
    /* munmap takes a pointer to non-const; nothing is written through it. */
    if (m->p) munmap((void *)(uintptr_t)m->p, m->len);
    *m = (struct weft_map){ 0 };
}

void weft_map_forget(const struct weft_map *m, const void *p, size_t n)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), from = (uintptr_t)p, begin = (uintptr_t)m->p,
              end = begin + m->len;
    if (from < begin || from > end || n > end - from) return;   /* other memory would lose its content */
    uintptr_t first = (from + page - 1) / page * page, last = (from + n) / page * page;
    if (first < last) (void)madvise((void *)first, last - first, MADV_DONTNEED);
}

bool weft_file_exists(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

bool weft_dir_exists(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

bool weft_lines_next(struct weft_lines *l, struct weft_str *line)
{
    if (l->at >= l->text.len) return false;
    const char *s = l->text.s + l->at;
    size_t left = l->text.len - l->at;
    const char *lf = memchr(s, '\n', left);
    size_t n = lf ? (size_t)(lf - s) : left;
    l->line_start = l->at;
    l->line++;
    l->at += lf ? n + 1 : n;
    if (lf && n && s[n - 1] == '\r') n--;
    *line = (struct weft_str){ s, n };
    return true;
}

const char *weft_path_join(struct weft_arena *a, const char *dir, const char *name)
{
    size_t n = strlen(dir);
    if (name[0] == '/' || n == 0) return weft_arena_strndup(a, name, strlen(name));
    return weft_str_printf(a, "%s%s%s", dir, dir[n - 1] == '/' ? "" : "/", name).s;
}
