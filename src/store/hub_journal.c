/* The journal, in the byte order of the machine that writes it:
 *
 *       0   8  "weftrng1"
 *       8   8  size of the file
 *      16   8  bytes of a chunk
 *      24   8  number of chunks
 *      32  64  digest of the file, padded with NUL
 *      96  48  boot id of the machine when it was written, padded with NUL
 *     144 112  0
 *     256  16  for each chunk: bytes that are there; bytes that were there at the last sync
 *
 * An entry never crosses a page, so that a kill finds it whole. The first count is right as long as the machine runs;
 * after another boot, the second.  Why not one part file for each range: joining them would write everything twice. */
#include "store/hub_journal.h"

#include "store/hub_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEAD = 256, ENTRY = sizeof(struct weft_hub_chunk), DIGEST = 64, BOOT = 48 };
enum { MAX_CHUNKS = 65536, SYNC_BYTES = 256 << 20 };

struct head {
    char magic[8];
    uint64_t size, chunk_bytes, n;
    char digest[DIGEST], boot[BOOT], rest[112];
};
_Static_assert(sizeof(struct head) == HEAD, "the head of the journal");

static void read_boot_id(char boot[BOOT])
{
    memset(boot, 0, BOOT);
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return; /* then nothing counts but what was synced */
    ssize_t n = read(fd, boot, BOOT - 1);
    if (n < 0) n = 0;
    memset(boot + n, 0, BOOT - (size_t)n);
    close(fd);
}

static bool write_all(int fd, const void *p, size_t n, uint64_t at)
{
    for (size_t done = 0; done < n;) {
        ssize_t w = pwrite(fd, (const char *)p + done, n - done, (off_t)(at + done));
        if (w < 0 && errno == EINTR) continue;
        if (w < 0) return false;
        done += (size_t)w;
    }
    return true;
}

/* False at the end of the file too. */
static bool read_all(int fd, void *p, size_t n, uint64_t at)
{
    for (size_t done = 0; done < n;) {
        ssize_t r = pread(fd, (char *)p + done, n - done, (off_t)(at + done));
        if (r < 0 && errno == EINTR) continue;
        if (r <= 0) return false;
        done += (size_t)r;
    }
    return true;
}

static enum weft_status open_regular(int *fd, const char *path, struct weft_err *err)
{
    struct stat info;
    *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0666);
    if (*fd < 0) return weft_fail_errno(err, "create", path);
    if (fstat(*fd, &info)) return weft_fail_errno(err, "examine", path);
    if (S_ISREG(info.st_mode)) return WEFT_OK;
    errno = EINVAL;
    return weft_fail_errno(err, "write", path);
}

uint64_t weft_hub_journal_len(const struct weft_hub_journal *j, size_t chunk)
{
    uint64_t begin = chunk * j->chunk_bytes;
    return j->size - begin < j->chunk_bytes ? j->size - begin : j->chunk_bytes;
}

uint64_t weft_hub_journal_prefix(const struct weft_hub_journal *j)
{
    return j->first == j->n ? j->size : j->first * j->chunk_bytes + j->chunks[j->first].at;
}

static void count(struct weft_hub_journal *j)
{
    j->have = 0;
    for (size_t i = 0; i < j->n; i++) j->have += j->chunks[i].at;
    for (j->first = 0; j->first < j->n && j->chunks[j->first].at == weft_hub_journal_len(j, j->first);) j->first++;
}

/* The counts of an older journal; false: there is none that fits.  Only what lies within the data file counts. */
static bool read_table(struct weft_hub_journal *j, const char *digest, uint64_t data_bytes)
{
    struct head h;
    char boot[BOOT], wanted[DIGEST] = "";
    read_boot_id(boot);
    memcpy(wanted, digest, strlen(digest));
    if (!read_all(j->table_fd, &h, sizeof h, 0) || memcmp(h.magic, "weftrng1", 8) != 0 || h.size != j->size
        || memcmp(h.digest, wanted, DIGEST) != 0 || h.chunk_bytes == 0 || h.n == 0 || h.n > MAX_CHUNKS
        || h.n != (h.size - 1) / h.chunk_bytes + 1)
        return false;
    bool same_boot = boot[0] && memcmp(boot, h.boot, BOOT) == 0;
    j->chunk_bytes = h.chunk_bytes;
    j->n = (size_t)h.n;
    j->chunks = calloc(j->n, sizeof *j->chunks);
    if (!j->chunks) return false;
    if (!read_all(j->table_fd, j->chunks, j->n * sizeof *j->chunks, HEAD)) return false;
    for (size_t i = 0; i < j->n; i++) {
        uint64_t at = same_boot ? j->chunks[i].at : j->chunks[i].synced, begin = i * j->chunk_bytes;
        if (at > weft_hub_journal_len(j, i) || begin > data_bytes || at > data_bytes - begin) at = 0;
        if (j->chunks[i].synced > at) j->chunks[i].synced = 0;
        j->chunks[i].at = at;
    }
    return true;
}

static bool write_chunks(const struct weft_hub_journal *j)
{
    return write_all(j->table_fd, j->chunks, j->n * sizeof *j->chunks, HEAD);
}

static bool write_table(const struct weft_hub_journal *j, const char *digest)
{
    struct head h = { .size = j->size, .chunk_bytes = j->chunk_bytes, .n = j->n };
    memcpy(h.magic, "weftrng1", 8);
    memcpy(h.digest, digest, strlen(digest));
    read_boot_id(h.boot);
    return write_all(j->table_fd, &h, sizeof h, 0) && write_chunks(j);
}

/* Chunks of a file of which the first `prefix` bytes are there. */
static enum weft_status begin_table(struct weft_hub_journal *j, uint64_t prefix, struct weft_err *err)
{
    j->n = (size_t)((j->size - 1) / j->chunk_bytes + 1);
    j->chunks = calloc(j->n, sizeof *j->chunks);
    if (!j->chunks) return weft_fail_nomem(err, j->n * sizeof *j->chunks, "a listing");
    for (size_t i = 0; i < j->n; i++) {
        uint64_t begin = i * j->chunk_bytes, len = weft_hub_journal_len(j, i);
        if (prefix > begin) j->chunks[i].at = prefix - begin < len ? prefix - begin : len;
    }
    return WEFT_OK;
}

static char *beside(const char *target, const char *suffix)
{
    char *path = NULL;
    return asprintf(&path, "%s%s", target, suffix) < 0 ? NULL : path;
}

enum weft_status weft_hub_journal_open(struct weft_hub_journal *j, const char *target, uint64_t size,
                                       const char *digest, uint64_t chunk_bytes, struct weft_err *err)
{
    char *plain = beside(target, ".incomplete");
    struct stat info;
    enum weft_status st = WEFT_OK;
    *j = (struct weft_hub_journal){ .fd = -1, .table_fd = -1, .size = size, .chunk_bytes = chunk_bytes };
    while ((size - 1) / j->chunk_bytes >= MAX_CHUNKS) j->chunk_bytes *= 2;
    j->data = beside(target, ".parts.incomplete");
    j->table = beside(target, ".journal.incomplete");
    if (!plain || !j->data || !j->table) {
        st = weft_fail_nomem(err, strlen(target), "a path");
        goto done;
    }
    bool fresh = lstat(j->data, &info) != 0;
    st = open_regular(&j->table_fd, j->table, err);
    if (st) goto done;
    if (fresh) {
        /* The table first: killed between the two, the next one finds the plain part again. */
        uint64_t prefix = 0;
        if (lstat(plain, &info) == 0 && S_ISREG(info.st_mode) && (uint64_t)info.st_size <= size)
            prefix = (uint64_t)info.st_size;
        st = begin_table(j, prefix, err);
        if (!st && (ftruncate(j->table_fd, 0) || !write_table(j, digest)))
            st = weft_fail_errno(err, "write", j->table);
        if (!st && prefix && rename(plain, j->data)) st = weft_fail_errno(err, "rename to", j->data);
    }
    if (!st) st = open_regular(&j->fd, j->data, err);
    if (!st && fstat(j->fd, &info)) st = weft_fail_errno(err, "examine", j->data);
    if (st || fresh) goto done;
    if (!read_table(j, digest, (uint64_t)info.st_size)) {
        free(j->chunks);
        st = begin_table(j, 0, err);
        if (!st && ftruncate(j->fd, 0)) st = weft_fail_errno(err, "write", j->data);
    }
    if (!st && !write_table(j, digest)) st = weft_fail_errno(err, "write", j->table);
done:
    free(plain);
    if (st) weft_hub_journal_close(j);
    else count(j);
    return st;
}

enum weft_status weft_hub_journal_add(struct weft_hub_journal *j, size_t chunk, struct weft_str bytes,
                                      struct weft_err *err)
{
    if (!write_all(j->fd, bytes.s, bytes.len, chunk * j->chunk_bytes + j->chunks[chunk].at))
        return weft_fail_errno(err, "write", j->data);
    j->chunks[chunk].at += bytes.len;
    j->have += bytes.len;
    j->unsynced += bytes.len;
    if (!write_all(j->table_fd, &j->chunks[chunk].at, sizeof j->chunks[chunk].at, HEAD + chunk * ENTRY))
        return weft_fail_errno(err, "write", j->table);
    while (j->first < j->n && j->chunks[j->first].at == weft_hub_journal_len(j, j->first)) j->first++;
    return j->unsynced < SYNC_BYTES ? WEFT_OK : weft_hub_journal_sync(j, err);
}

enum weft_status weft_hub_journal_sync(struct weft_hub_journal *j, struct weft_err *err)
{
    if (fdatasync(j->fd)) return weft_fail_errno(err, "sync", j->data);
    for (size_t i = 0; i < j->n; i++) j->chunks[i].synced = j->chunks[i].at;
    if (!write_chunks(j)) return weft_fail_errno(err, "write", j->table);
    if (fdatasync(j->table_fd)) return weft_fail_errno(err, "sync", j->table);
    j->unsynced = 0;
    return WEFT_OK;
}

enum weft_status weft_hub_journal_commit(struct weft_hub_journal *j, const char *target, struct weft_err *err)
{
    if (fsync(j->fd)) return weft_fail_errno(err, "sync", j->data);
    if (rename(j->data, target)) return weft_fail_errno(err, "rename to", target);
    weft_hub_sync_folder(target);
    unlink(j->table);
    j->unsynced = 0;
    return WEFT_OK;
}

void weft_hub_journal_discard(struct weft_hub_journal *j)
{
    if (j->table) unlink(j->table);
    if (j->data) unlink(j->data);
    j->unsynced = 0;
}

void weft_hub_journal_close(struct weft_hub_journal *j)
{
    if (j->fd >= 0 && j->table_fd >= 0 && j->unsynced && weft_hub_journal_sync(j, NULL) != WEFT_OK)
        j->unsynced = 0; /* then a power cut costs these bytes, nothing else */
    if (j->data) { /* a zeroed struct has descriptors that are nobody's */
        if (j->fd >= 0) close(j->fd);
        if (j->table_fd >= 0) close(j->table_fd);
    }
    free(j->data);
    free(j->table);
    free(j->chunks);
    *j = (struct weft_hub_journal){ .fd = -1, .table_fd = -1 };
}

void weft_hub_journal_tidy(const char *target)
{
    struct weft_hub_journal j = { .data = beside(target, ".parts.incomplete"),
                                  .table = beside(target, ".journal.incomplete") };
    weft_hub_journal_discard(&j);
    free(j.data);
    free(j.table);
}

uint64_t weft_hub_journal_disk(const char *target)
{
    char *data = beside(target, ".parts.incomplete");
    struct stat info;
    uint64_t bytes = data && lstat(data, &info) == 0 ? (uint64_t)info.st_blocks * 512 : 0;
    free(data);
    return bytes;
}
