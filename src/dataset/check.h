/* dataset/check.h - what a dataset looks like before money and hours go into it
 *
 * Owner:   the result lives in the arena.
 * Threads: one per call.
 */
#ifndef WEFT_DATASET_CHECK_H
#define WEFT_DATASET_CHECK_H

#include "dataset/normal.h"
#include "dataset/row.h"

struct weft_check_settings {
    int64_t short_answer_chars;     /* an answer with fewer characters is "too short"; 0: 2 */
    int64_t long_chars;             /* a row with more is counted as long; 0: off */
};

enum { WEFT_LENGTH_BINS = 15 };

/* min, median and so on of a length in characters (Unicode code points). */
struct weft_lengths {
    uint64_t n, total;
    uint64_t min, p5, p50, p90, p95, p99, max;
    double mean;
    uint64_t bins[WEFT_LENGTH_BINS];    /* how many lie at or above the bin's first length and below the next one's */
};
/* The first length of a bin: 0, 1, 2, 5, 10, 20, 50 ... 20000. */
uint64_t weft_length_bin(size_t bin);
/* Fills `out`, which must be zero; false: no memory. */
WEFT_MUST_USE bool weft_lengths_of(const uint32_t *len, size_t n, struct weft_lengths *out);

struct weft_check_item {
    struct weft_str text;           /* a prompt, a speaker, a token look-alike */
    uint64_t count;
    size_t first_row;               /* 0-based */
};

enum weft_verdict { WEFT_VERDICT_GOOD, WEFT_VERDICT_LOOK, WEFT_VERDICT_BAD };

struct weft_check {
    uint64_t rows, text_rows, turns, answers;
    uint64_t unique_rows;                   /* by normalised prompt and answer */
    uint64_t duplicate_rows;                /* rows - unique_rows */
    uint64_t conflicting_prompts; /* normalised prompts (context included) with different answers ... */
    uint64_t conflicting_rows;              /* ... and the rows that have them */
    uint64_t empty_answers, short_answers, long_rows;
    uint64_t preference_rows, kto_rows, tool_rows, system_rows, history_rows;
    uint64_t copied_answers;                /* the answer repeats its prompt */
    uint64_t with_origin, flagged;          /* rows with a source; rows with a flag */
    struct weft_lengths prompt, answer, row;
    struct weft_check_item *speakers;       /* who prompts, most first */
    size_t n_speakers;
    struct weft_check_item *systems;        /* different system texts, most first, at most 20 */
    size_t n_systems;
    struct weft_check_item *duplicates, *conflicts;     /* most first, at most 20 of each */
    size_t n_duplicates, n_conflicts;
    struct weft_check_item *lookalikes;     /* text that looks like a control token: "<|im_end|>" (DS7) */
    size_t n_lookalikes;
    struct weft_check_item *flags;          /* flags of the origins */
    size_t n_flags;
    enum weft_verdict verdict;
    struct weft_str *reasons;               /* why the verdict is not good; whole sentences in err->lang */
    struct weft_str *fixes;             /* [n_reasons] what to do about each, in err->lang */
    size_t n_reasons;
};

WEFT_MUST_USE enum weft_status weft_check_rows(struct weft_arena *a, const struct weft_rows *rows,
                                               const struct weft_check_settings *s, struct weft_check *out,
                                               struct weft_err *err);

/* ---- row by row ---- */

/* The same check filled while rows come by, in any order and by several threads with a checker each: it keeps 32 bytes
 * a row and each different speaker, system text, flag and look-alike once. */
struct weft_checker;
struct weft_pool;

/* Where rows are, once all are seen. */
struct weft_check_source {
    void *ctx;
    /* 0-based number of the row that was added with this `order`. */
    size_t (*number)(void *ctx, uint64_t order);
    /* The row that was added with this `place`, for its headline; it may live in `a`. */
    enum weft_status (*row)(void *ctx, struct weft_arena *a, uint64_t place, struct weft_row *row,
                            struct weft_err *err);
};

/* `s` may be NULL. */
WEFT_MUST_USE enum weft_status weft_checker_new(struct weft_checker **out, const struct weft_check_settings *s,
                                                struct weft_err *err);
void weft_checker_free(struct weft_checker *c);         /* accepts NULL */
/* Counts a row.  `order` grows with the row's number; `place` says where it is.  Texts of the row within `lasting`
 * outlive the result, others are copied where they are needed; NULL: all of them outlive it. */
WEFT_MUST_USE enum weft_status weft_checker_add(struct weft_checker *c, const struct weft_row *row, uint64_t order,
                                                uint64_t place, const struct weft_str *lasting, struct weft_err *err);
/* Adds all that `other` has seen; `other` stays as it is, and must outlive `c`. */
WEFT_MUST_USE enum weft_status weft_checker_join(struct weft_checker *c, const struct weft_checker *other,
                                                 struct weft_err *err);
/* Figures and verdict, in the arena; strings of the result may lie in the checkers.  By the threads of the pool (NULL:
 * this one). */
WEFT_MUST_USE enum weft_status weft_checker_finish(struct weft_checker *c, struct weft_arena *a, struct weft_pool *pool,
                                                   const struct weft_check_source *source, struct weft_check *out,
                                                   struct weft_err *err);

/* ---- hashes ---- */

/* Hash of the row's normalised turns: all of them, or only those before the last answer. */
uint64_t weft_row_hash(struct weft_arena *scratch, const struct weft_row *row, bool prompt_only);
/* Both at once. */
struct weft_row_hashes {
    uint64_t prompt, both;
};
struct weft_row_hashes weft_row_hash_both(struct weft_arena *scratch, const struct weft_row *row);

#endif
