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
/* Sorts `len` and fills `out`, which must be zero. */
void weft_lengths_of(uint32_t *len, size_t n, struct weft_lengths *out);

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

/* Hash of the row's normalised turns: all of them, or only those before the last answer. */
uint64_t weft_row_hash(struct weft_arena *scratch, const struct weft_row *row, bool prompt_only);

#endif
