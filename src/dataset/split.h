/* dataset/split.h - train, validation and test parts that do not leak into each other
 *
 * By scene: whole scenes go to one part (rows without a scene stand alone).  A row whose normalised prompt stands in an
 * earlier row of another part follows that row.  (A prompt that more than one row in a hundred has, and more than ten,
 * is an instruction rather than a leak: then prompt and answer must be equal.)  The parts depend on the rows and the
 * seed only.
 * By row: LLaMA-Factory's val_size, number for number (dataset/permute.h).
 *
 * Owner:   the index lists live in the arena.
 * Threads: one per call.
 */
#ifndef WEFT_DATASET_SPLIT_H
#define WEFT_DATASET_SPLIT_H

#include "base/option.h"
#include "dataset/row.h"

enum weft_split_by { WEFT_SPLIT_SCENE, WEFT_SPLIT_ROW };
#define WEFT_SPLIT_CHOICES "scene|row"

struct weft_split_settings {
    double valid, test;         /* fractions of the rows below 1, or counts; 0: no such part */
    int64_t seed;
    int by;
};

struct weft_part {
    size_t *rows;               /* 0-based, ascending by scene; in permuted order by row */
    size_t n;
};
struct weft_split {
    struct weft_part train, valid, test;
    uint64_t groups;            /* scenes, or rows without one */
    uint64_t moved;             /* rows that followed their duplicate into its part */
};

/* WEFT_EARG: fractions that leave no training row, or by row with a test part. */
WEFT_MUST_USE enum weft_status weft_split_rows(struct weft_arena *a, const struct weft_rows *rows,
                                               const struct weft_split_settings *s, struct weft_split *out,
                                               struct weft_err *err);

#endif
