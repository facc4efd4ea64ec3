/* dataset/diff.h - what changed between two versions of a dataset
 *
 * Rows are matched in four rounds, each over what the rounds before left: same id and same content; same content (the
 * row was renumbered or moved); same source place (file name, part, lines, bytes); same id.  Only ids and places
 * that one row of each side has count.  Rows matched in the last two rounds are changed; rows without a partner
 * were added or removed. (Ids come last because builders number rows in order: one row more at the top renumbers
 * all others.) Content is the canonical text of dataset/canon.h: two rows that train the same are the same.
 *
 * Owner:   the arena.
 * Threads: one per call.
 */
#ifndef WEFT_DATASET_DIFF_H
#define WEFT_DATASET_DIFF_H

#include "base/hash.h"
#include "dataset/row.h"

enum weft_diff_kind { WEFT_DIFF_ADDED, WEFT_DIFF_REMOVED, WEFT_DIFF_CHANGED };

struct weft_diff_item {
    enum weft_diff_kind kind;
    size_t before, after;           /* rows of the two sides, 0-based; SIZE_MAX: none */
};

struct weft_diff {
    uint64_t before, after;         /* rows: before = same + changed + removed, after = same + changed + added */
    uint64_t same, changed, added, removed;
    uint64_t renumbered;            /* same content, other id */
    uint64_t moved;                 /* matched rows that would have to move to restore the old order */
    char hash_before[WEFT_SHA256_HEX], hash_after[WEFT_SHA256_HEX];     /* equal: same rows in the same order */
    struct weft_diff_item *items;   /* in the order of the new side, removed rows where they stood */
    size_t n_items;
};

WEFT_MUST_USE enum weft_status weft_diff_rows(struct weft_arena *a, const struct weft_rows *before,
                                              const struct weft_rows *after, struct weft_diff *out,
                                              struct weft_err *err);

/* One part of a row that differs.  s == NULL: that side does not have it. */
struct weft_diff_field {
    struct weft_str name;           /* "system", "turn 2", "kto_tag" */
    struct weft_str before, after;
};
WEFT_MUST_USE enum weft_status weft_diff_fields(struct weft_arena *a, const struct weft_row *before,
                                                const struct weft_row *after, struct weft_diff_field **fields,
                                                size_t *n, struct weft_err *err);

/* ---- characters ---- */

enum weft_diff_op { WEFT_DIFF_EQUAL, WEFT_DIFF_DELETE, WEFT_DIFF_INSERT };
struct weft_diff_piece {
    enum weft_diff_op op;
    struct weft_str text;           /* of the new text, for DELETE of the old */
};
/* A shortest edit of `before` into `after`, character by character (Myers 1986, O(ND) time, memory by
 * the square of the edits); texts more than 1000 edits apart differ as a whole between their common ends. */
WEFT_MUST_USE enum weft_status weft_diff_text(struct weft_arena *a, struct weft_str before, struct weft_str after,
                                              struct weft_diff_piece **pieces, size_t *n, struct weft_err *err);

#endif
