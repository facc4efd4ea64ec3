/* dataset/stats.h - a dataset in figures, with hints for the settings of a training
 *
 * Owner:   lists live in the arena.
 * Threads: one per call.
 */
#ifndef WEFT_DATASET_STATS_H
#define WEFT_DATASET_STATS_H

#include "dataset/check.h"
#include "dataset/pii.h"
#include "dataset/quality.h"

/* What characters of all turns are; white space is not counted. */
enum weft_letter_kind {
    WEFT_LETTER_HAN,
    WEFT_LETTER_KANA,
    WEFT_LETTER_HANGUL,
    WEFT_LETTER_LATIN,
    WEFT_LETTER_CYRILLIC,
    WEFT_LETTER_OTHER,
    WEFT_LETTER_DIGIT,
    WEFT_LETTER_MARK,
    WEFT_N_LETTERS
};
const char *weft_letter_name(enum weft_letter_kind k); /* "Han", "kana" ...: keys of the catalogue */

/* Tokens of a row as a training would see it; comes from whoever knows a tokenizer.  counted: false where the template
 * refuses the row. */
struct weft_row_tokens {
    enum weft_status (*count)(void *ctx, const struct weft_row *row, uint64_t *tokens, bool *counted,
                              struct weft_err *err);
    void *ctx;
};

enum { WEFT_N_CUTOFFS = 3 };
extern const uint64_t weft_cutoffs[WEFT_N_CUTOFFS]; /* 512, 1024, 2048 tokens */

struct weft_stats {
    struct weft_check check; /* rows, lengths in characters, duplicates, conflicts, prompt speakers, flags */
    struct weft_lengths tokens;      /* of rows; n is 0 without a token count */
    uint64_t not_counted;            /* rows that the template refuses */
    uint64_t longer[WEFT_N_CUTOFFS]; /* rows of more tokens than the cutoff */
    uint64_t
        cutoff_len; /* the smallest that cuts less than one row in a hundred, else the largest; 0: unknown */
    int epochs_from, epochs_to, epochs; /* usual for so many rows, and the middle; 0: no rows */
    uint64_t letters[WEFT_N_LETTERS];
    uint64_t mostly
        [WEFT_N_LETTERS]; /* rows by the letters they have most of; OTHER, DIGIT, MARK: rows without any */
    struct weft_check_item *speakers; /* who answers, most first */
    size_t n_speakers;
    struct weft_check_item *vias; /* rules and prompts that made the rows */
    size_t n_vias;
};

/* tokens may be NULL. */
WEFT_MUST_USE enum weft_status weft_stats_rows(struct weft_arena *a, const struct weft_rows *rows,
                                               const struct weft_row_tokens *tokens, struct weft_stats *out,
                                               struct weft_err *err);

/* Epochs that are usual for so many rows: about 100 rows 10 to 20, 1,000 rows 5 to 10, 10,000 rows 2 to 5, between
 * them by the logarithm of the number. */
void weft_suggest_epochs(uint64_t rows, int *from, int *to, int *middle);

/* ---- findings: signs of quality and private data over all rows ---- */

struct weft_finding {
    uint64_t rows; /* that have it; of private data also pieces */
    uint64_t pieces;
    size_t first_row, first_turn; /* 0-based */
};
struct weft_findings {
    struct weft_finding signs[WEFT_N_QUALITY], pii[WEFT_N_PII];
    uint64_t rows_with_signs, rows_with_pii;
};
/* One row, `number` its own or whatever grows with it; quality may be NULL (thresholds by default).  Start with zeroed
 * findings.  Those of several threads are joined: the first row is that of the lowest number. */
void weft_find_row(const struct weft_row *row, uint64_t number, const struct weft_quality_settings *quality,
                   struct weft_findings *out);
void weft_findings_join(struct weft_findings *to, const struct weft_findings *from);
/* All rows. */
void weft_find_rows(const struct weft_rows *rows, const struct weft_quality_settings *quality,
                    struct weft_findings *out);

#endif
