/* dataset/split.h - train, validation and test parts that do not leak into each other
 *
 * By scene (chapter), source, episode, speaker, asker, page, parent or set: rows with the same value of that part
 * of their origin go to one part; rows without it stand alone.  A row whose normalised prompt stands in an earlier
 * row of another part follows that row.  (A prompt that more than one row in a hundred has, and more than ten, is
 * an instruction rather than a leak: then prompt and answer must be equal; `shared_prompts` counts those left in
 * several parts.)  With `near`, a validation or test row that is nearly equal to a training row (dataset/minhash.h,
 * over prompt and answer) goes to training too.  The parts depend on the rows and the settings only.
 * By row: LLaMA-Factory's val_size, number for number (dataset/permute.h); nothing is moved.
 *
 * Owner:   the lists live in the arena.
 * Threads: one per call.
 */
#ifndef WEFT_DATASET_SPLIT_H
#define WEFT_DATASET_SPLIT_H

#include "base/option.h"
#include "dataset/row.h"

enum weft_split_by {
    WEFT_SPLIT_SCENE,
    WEFT_SPLIT_ROW,
    WEFT_SPLIT_CHAPTER,         /* scene by another name: chunks of books keep their chapter there */
    WEFT_SPLIT_SOURCE,          /* the source file */
    WEFT_SPLIT_EPISODE,
    WEFT_SPLIT_SPEAKER,
    WEFT_SPLIT_ASKER,           /* prompt_speaker */
    WEFT_SPLIT_PAGE,
    WEFT_SPLIT_PARENT,          /* the first of the parents: questions made from one passage stay together, with it */
    WEFT_SPLIT_SET              /* the set that a mixed row is from */
};
#define WEFT_SPLIT_CHOICES "scene|row|chapter|source|episode|speaker|asker|page|parent|set"

struct weft_split_settings {
    double valid, test;         /* fractions of the rows below 1, or counts; 0: no such part */
    int64_t seed;
    int by;
    double near;                /* Jaccard from which two rows are nearly equal; 0: not looked for */
};

enum weft_split_part { WEFT_PART_TRAIN, WEFT_PART_VALID, WEFT_PART_TEST, WEFT_PARTS };

struct weft_part {
    size_t *rows;               /* 0-based, ascending by scene; in permuted order by row */
    size_t n;
};
/* A row that did not go where its group went. */
struct weft_split_move {
    size_t row, because;        /* 0-based; the row it was too much like */
    enum weft_split_part from, to;
    double jaccard;             /* of a near double; 0: the same prompt */
};
struct weft_split {
    struct weft_part train, valid, test;
    uint64_t groups;            /* scenes (or what `by` says), and rows without one */
    uint64_t moved;             /* rows that followed an equal prompt into its part */
    uint64_t moved_near;        /* rows that went to training for a near double there */
    uint64_t shared_prompts;    /* different prompts in more than one part: common instructions */
    struct weft_split_move *moves;      /* [n_moves], in the order they were made */
    size_t n_moves, cap_moves;
};

/* WEFT_EARG: fractions that leave no training row, or by row with a test part. */
WEFT_MUST_USE enum weft_status weft_split_rows(struct weft_arena *a, const struct weft_rows *rows,
                                               const struct weft_split_settings *s, struct weft_split *out,
                                               struct weft_err *err);

#endif
