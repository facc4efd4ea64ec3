/* dataset/patch.h - decisions about rows, kept beside the dataset so that they survive a rebuild
 *
 * A patch file is JSON lines, one decision each, in the order they were taken:
 *
 *     {"weft_patch":1,"do":"keep|drop|edit|speaker",
 *      "src":{"file","sha256","part","line","last_line","bytes":[from,to]},  where the row came from
 *      "id":"s000012",                                                       for people; never matched
 *      "content":"64 hex digits",                                            SHA-256 of the row's canonical text
 *      "row":{...},  "speaker":"...",  "prompt_speaker":"...",  "note":"..."}
 *
 * A patch is meant for the rows with its source place and its content.  When there are none, the row of the same file
 * that says the same is taken (the source was edited elsewhere and lines moved); if several say it, or the row at
 * the place reads differently now, or nothing is left of it, the patch does not fit and is reported, never dropped.
 * Of several decisions about one row the last counts.
 *
 * Rule DP1: every line of a patch file is a patch as above; else the file is refused, with the line.
 *
 * Owner:   the arena.
 * Threads: one per call.
 */
#ifndef WEFT_DATASET_PATCH_H
#define WEFT_DATASET_PATCH_H

#include "base/hash.h"
#include "base/json.h"
#include "dataset/row.h"

enum weft_patch_op {
    WEFT_PATCH_KEEP,            /* the row stays; its flags get "reviewed" */
    WEFT_PATCH_DROP,            /* the row goes */
    WEFT_PATCH_EDIT,            /* it says `row` from now on; flag "edited" */
    WEFT_PATCH_SPEAKER          /* its speakers are these; flag "reviewed" */
};
const char *weft_patch_op_name(enum weft_patch_op op);

struct weft_patch {
    enum weft_patch_op op;
    struct weft_origin at;      /* file, sha256, part, page, lines, bytes; id */
    struct weft_str content;    /* 64 hex digits */
    struct weft_row row;        /* of EDIT: what it says; its origin is not used */
    struct weft_str speaker, prompt_speaker;    /* of SPEAKER; s == NULL: as it was */
    struct weft_str note;       /* why; s == NULL: nobody said */
    uint64_t line;              /* of the patch file */
};

struct weft_patches {
    struct weft_patch *items;
    size_t n, cap;
};

/* A decision about `row`; the caller sets row, speakers and note as `op` needs them. */
WEFT_MUST_USE enum weft_status weft_patch_for(struct weft_arena *a, const struct weft_row *row, enum weft_patch_op op,
                                              struct weft_patch *out, struct weft_err *err);

/* Appends one line, with its line end. */
WEFT_MUST_USE enum weft_status weft_patch_write(struct weft_buf *b, const struct weft_patch *p, struct weft_err *err);

/* Reads a patch file.  WEFT_EINPUT with DP1 and the place. */
WEFT_MUST_USE enum weft_status weft_patches_read(struct weft_arena *a, const char *path, struct weft_patches *out,
                                                 struct weft_err *err);
/* The same for bytes in memory. */
WEFT_MUST_USE enum weft_status weft_patches_parse(struct weft_arena *a, const char *name, struct weft_str bytes,
                                                  struct weft_patches *out, struct weft_err *err);

/* What became of each patch. */
enum weft_patch_fate {
    WEFT_PATCH_FITS,            /* place and content */
    WEFT_PATCH_MOVED,           /* the same content elsewhere in the file */
    WEFT_PATCH_REPLACED,        /* a later patch decides about the same row */
    WEFT_PATCH_DONE,            /* the row says already what the edit makes it say */
    WEFT_PATCH_DIFFERS,         /* does not fit: the row at the place reads differently now */
    WEFT_PATCH_AMBIGUOUS,       /* does not fit: several rows of the file say the same, none at the place */
    WEFT_PATCH_GONE             /* does not fit: no row from this place, none that says this */
};
static inline bool weft_patch_unfit(enum weft_patch_fate f) { return f >= WEFT_PATCH_DIFFERS; }
/* Why it does not fit, as a key of the catalogue. */
const char *weft_patch_reason(enum weft_patch_fate f);

struct weft_patch_match {
    size_t *of_row;             /* [rows], the patch that decides about it; SIZE_MAX: none */
    enum weft_patch_fate *fate; /* [patches] */
    uint64_t fits, moved, replaced, already, unfit;
};
WEFT_MUST_USE enum weft_status weft_patches_match(struct weft_arena *a, const struct weft_rows *rows,
                                                  const struct weft_patches *patches, struct weft_patch_match *out,
                                                  struct weft_err *err);

/* Does what the match says, in place: rows_in = rows_out + dropped. */
struct weft_patch_result {
    struct weft_patch_match match;
    uint64_t rows_in, rows_out, kept, dropped, edited, renamed;     /* rows */
};
WEFT_MUST_USE enum weft_status weft_patches_apply(struct weft_arena *a, struct weft_rows *rows,
                                                  const struct weft_patches *patches, struct weft_patch_result *out,
                                                  struct weft_err *err);

/* ---- flags of rows ---- */

bool weft_flags_have(struct weft_str flags, struct weft_str flag);
/* `flags` with `flag` in it; s == NULL: no memory. */
WEFT_MUST_USE struct weft_str weft_flags_with(struct weft_arena *a, struct weft_str flags, struct weft_str flag);

#endif
