/* dataset/check_files.h - the check of dataset files of any size: rows by several threads, none of them held
 *
 * Memory: 32 bytes a row, what differs among speakers and the like, and some MiB a thread.
 * Owner:   strings of the result live in the files, which stay open until weft_file_check_free, or in the handle.
 * Threads: one caller; the work is done by a pool of its own.
 */
#ifndef WEFT_DATASET_CHECK_FILES_H
#define WEFT_DATASET_CHECK_FILES_H

#include "dataset/canon.h"
#include "dataset/formats.h"
#include "dataset/stats.h"

struct weft_file_check_settings {
    struct weft_check_settings check;
    int threads;                                    /* 0: one per processor */
    bool hash;                                      /* of the dataset too (dataset/canon.h) */
    bool findings;                                  /* signs of quality and private data too ... */
    const struct weft_quality_settings *quality;    /* ... by these; NULL: by default */
};

struct weft_file_check;
WEFT_MUST_USE enum weft_status weft_file_check_new(struct weft_file_check **out,
                                                   const struct weft_file_check_settings *s, struct weft_err *err);
void weft_file_check_free(struct weft_file_check *c);       /* accepts NULL */

/* Reads a file behind those before it; errors and report as weft_rows_read, but the shape has no sha256.  After an
 * error nothing more can be done with c than to free it. */
WEFT_MUST_USE enum weft_status weft_file_check_add(struct weft_file_check *c, const char *path,
                                                   const struct weft_rows_settings *how, struct weft_report *report,
                                                   struct weft_rows_shape *shape, struct weft_err *err);

/* The result over all files.  `hash` and `findings` may be NULL, and must be where they were not asked for. */
WEFT_MUST_USE enum weft_status weft_file_check_finish(struct weft_file_check *c, struct weft_arena *a,
                                                      struct weft_check *out, char hash[WEFT_SHA256_HEX],
                                                      struct weft_findings *findings, struct weft_err *err);

#endif
