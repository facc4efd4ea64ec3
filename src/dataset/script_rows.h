/* dataset/script_rows.h - what the modes share: the fate of each line, and rows with origins; inside dataset/ only */
#ifndef WEFT_DATASET_SCRIPT_ROWS_H
#define WEFT_DATASET_SCRIPT_ROWS_H

#include "dataset/screenplay.h"
#include "dataset/script_slice.h"
#include "dataset/tally.h"

/* From SCRIPT_NOTE_LINE on: reasons to drop a line, in the order in which their places are reported. */
enum script_fate {
    SCRIPT_UNUSED,
    SCRIPT_USED,
    SCRIPT_NOTE_LINE,
    SCRIPT_ORPHAN,
    SCRIPT_DOUBTFUL,
    SCRIPT_CHORUS,
    SCRIPT_OWN_PROMPT,
    SCRIPT_SHORT,
    SCRIPT_KEPT,
    SCRIPT_NO_PROMPT,
    SCRIPT_OTHER_EPISODE,
    SCRIPT_REASONS
};

struct script_fates {
    const struct weft_text *texts;
    size_t n_texts;
    unsigned char **of;             /* [n_texts][n_lines], enum script_fate */
};
WEFT_MUST_USE bool script_fates_init(struct weft_arena *a, const struct weft_text *texts, size_t n_texts,
                                     struct script_fates *f);
void script_fate_used(struct script_fates *f, struct weft_line_ref ref);
void script_fate_reason(struct script_fates *f, struct weft_line_ref ref, enum script_fate reason);
/* Adds up funnel and report. */
WEFT_MUST_USE enum weft_status script_account(struct weft_arena *a, const struct script_fates *f,
                                              unsigned char *const *classes, struct weft_report *report,
                                              struct weft_script_funnel *funnel, struct weft_err *err);

struct script_row {
    struct weft_turn *turns;
    size_t n_turns;
    struct weft_str system, via, episode, scene, speaker, prompt_speaker, flags;
    const struct weft_text *text;
    size_t first_line, last_line;   /* 0-based */
};
/* Writes the row, whose strings are kept as they are. */
void script_fill_row(struct weft_row *row, struct weft_str id, const struct script_row *in);
/* The same for a new row with its id. */
WEFT_MUST_USE enum weft_status script_add_row(struct weft_arena *a, struct weft_rows *rows,
                                              const struct script_row *in, struct weft_err *err);

/* Rows of two turns in blocks of their size, for threads that know which of them they write. */
struct script_block {
    struct weft_row *rows; /* [n], behind those there are: the caller raises rows->n when they are written */
    struct weft_turn *turns;            /* [2 * n] */
    char *ids;
    size_t id_bytes, first;
};
WEFT_MUST_USE bool script_block_make(struct script_block *b, struct weft_arena *a, struct weft_rows *rows, size_t n);
/* Writes the id of row i of the block. */
struct weft_str script_block_id(struct script_block *b, size_t i);

/* Adds the counts of `part`. */
WEFT_MUST_USE bool script_add_speakers(struct weft_tally *all, const struct weft_tally *part);
/* Moves the sorted tally into the funnel. */
WEFT_MUST_USE bool script_speakers(struct weft_arena *a, struct weft_tally *t,
                                   struct weft_script_funnel *funnel);

/* What stands between two parts of a turn (the setting `join`). */
struct weft_str script_joint(const struct weft_script_settings *s, struct weft_str before,
                             struct weft_str after);

WEFT_MUST_USE enum weft_status script_default_rows(struct weft_arena *a, const struct weft_text *texts,
                                                   size_t n_texts, const struct weft_script_settings *s,
                                                   struct weft_rows *rows, struct weft_report *report,
                                                   struct weft_script_funnel *funnel, struct weft_err *err);
WEFT_MUST_USE enum weft_status script_seed_rows(struct weft_arena *a, const struct weft_text *texts,
                                                size_t n_texts, const struct weft_script_settings *s,
                                                struct weft_rows *rows, struct weft_report *report,
                                                struct weft_script_funnel *funnel, struct weft_err *err);
WEFT_MUST_USE enum weft_status script_compat_rows(struct weft_arena *a, const struct weft_text *texts,
                                                  size_t n_texts, const struct weft_script_settings *s,
                                                  struct weft_rows *rows, struct weft_report *report,
                                                  struct weft_script_funnel *funnel, struct weft_err *err);

#endif
