/* base/file.h - reading files, and writing them so that they are whole or absent
 *
 * Readers accept regular files only (a directory, FIFO or device is refused before it can block) and fix the
 * size at open.  Writers write to a temporary name beside the target, fsync, rename, and fsync the folder.
 */
#ifndef WEFT_BASE_FILE_H
#define WEFT_BASE_FILE_H

#include "base/str.h"

/* ---- reading ---- */

/* The whole file in memory of `a` with a final NUL that is not counted.  "-" reads standard input.
 * WEFT_ELIMIT above max_bytes (0: 2 GiB). */
WEFT_MUST_USE enum weft_status weft_file_read(struct weft_arena *a, const char *path, uint64_t max_bytes,
                                              struct weft_str *out, struct weft_err *err);

struct weft_map {
    const unsigned char *p; /* read-only; NULL for an empty file */
    size_t len;
};
/* Maps a regular file.  A file truncated while mapped raises SIGBUS: weft itself only replaces files by rename. */
WEFT_MUST_USE enum weft_status weft_map_open(struct weft_map *m, const char *path, struct weft_err *err);
void weft_map_close(struct weft_map *m); /* accepts a zeroed struct */
/* n bytes at p will hardly be read again: the whole pages among them that belong to the map leave memory, and come back
 * from the file when somebody does. */
void weft_map_forget(const struct weft_map *m, const void *p, size_t n);

bool weft_file_exists(const char *path); /* a regular file */
bool weft_dir_exists(const char *path);

/* ---- lines ---- */

/* Lines of a text in memory: end at LF and nowhere else; a CR before it is dropped; positions stay byte offsets. */
struct weft_lines {
    struct weft_str text;
    size_t at;         /* byte offset of the next line */
    uint64_t line;     /* 1-based number of the line returned last */
    size_t line_start; /* byte offset of the line returned last */
};
/* False at the end of the text.  A final LF does not begin another line. */
bool weft_lines_next(struct weft_lines *l, struct weft_str *line);

/* ---- writing ---- */

struct weft_out {
    int fd;
    char *path, *tmp; /* malloc */
    struct weft_buf buf;
    enum weft_status failed;
    int failed_errno;
    uint64_t written; /* bytes handed to the kernel so far */
};
/* Opens path's temporary; "-" and "/dev/stdout" write to standard output directly, as devices and FIFOs are written
 * directly. Mode 0666 less umask. */
WEFT_MUST_USE enum weft_status weft_out_open(struct weft_out *o, const char *path, struct weft_err *err);
/* Buffered; errors stick until commit. */
void weft_out_add(struct weft_out *o, const void *s, size_t n);
void weft_out_str(struct weft_out *o, struct weft_str s);
/* Flush, fsync, rename, fsync the folder.  After an error the temporary is removed and the old file is as before. */
WEFT_MUST_USE enum weft_status weft_out_commit(struct weft_out *o, struct weft_err *err);
void weft_out_close(struct weft_out *o); /* gives up what was not committed; accepts a zeroed struct */

/* All at once. */
WEFT_MUST_USE enum weft_status weft_file_write(const char *path, struct weft_str content,
                                               struct weft_err *err);
/* Appends one piece (a log line) with a single write; no fsync. Creates the file. */
WEFT_MUST_USE enum weft_status weft_file_append(const char *path, struct weft_str line, struct weft_err *err);

/* ---- folders ---- */

/* mkdir -p; an existing folder is fine. */
WEFT_MUST_USE enum weft_status weft_dir_make(const char *path, struct weft_err *err);
/* Removes a folder and everything in it; a missing one is fine.  Symbolic links are removed, never followed. */
WEFT_MUST_USE enum weft_status weft_dir_remove(const char *path, struct weft_err *err);
/* Makes "PATH.tmp-PID" (emptied when it exists) and writes its name into out: write the files into it ... */
WEFT_MUST_USE enum weft_status weft_dir_begin(struct weft_arena *a, const char *path, const char **tmp,
                                              struct weft_err *err);
/* ... then fsync it and swap it in under its final name (an older folder there is replaced), fsync the parent. */
WEFT_MUST_USE enum weft_status weft_dir_commit(const char *tmp, const char *path, struct weft_err *err);
/* Names of the entries, sorted, without "." and "..". */
WEFT_MUST_USE enum weft_status weft_dir_list(struct weft_arena *a, const char *path, const char ***names,
                                             size_t *n, struct weft_err *err);

/* "a/b" in arena memory; b alone when it is absolute.  NULL: no memory. */
const char *weft_path_join(struct weft_arena *a, const char *dir, const char *name);

#endif
