/* dataset/clean.h - rows repaired, masked or left out: the one place where a row's content decides over it
 *
 * Row by row, each on its own but for the count of prompts.  Nothing is done that was not asked for; every change is
 * handed out with the text before and after it, every row left out with its reason.  In order: repairs, masks, then the
 * reasons to leave the row out (signs of quality of the repaired row, private data, the filters, answers a prompt).
 *
 * Preference and KTO rows pass through untouched unless `judged` says otherwise.
 *
 * Owner:   strings of a result live in the arena given, or in the row.
 * Threads: one per handle.
 */
#ifndef WEFT_DATASET_CLEAN_H
#define WEFT_DATASET_CLEAN_H

#include "dataset/pii.h"
#include "dataset/quality.h"

enum weft_repair {
    WEFT_REPAIR_TRIM,       /* white space at both ends of a turn */
    WEFT_REPAIR_LINES,      /* CR LF and CR to LF; three line ends and more to two */
    WEFT_REPAIR_STRAY,      /* control and invisible characters out */
    WEFT_REPAIR_NFC,        /* composed characters */
    WEFT_REPAIR_NEWLINES,   /* the two characters \n to a line end */
    WEFT_REPAIR_NOTES,      /* 【...】 out */
    WEFT_REPAIR_DIRECTIONS, /* （...） out of answers */
    WEFT_REPAIR_MOJIBAKE,   /* UTF-8 read as Latin-1 or Windows-1252 turned back */
    WEFT_N_REPAIRS
};
const char *weft_repair_name(enum weft_repair r);
/* "all", or names; WEFT_EARG names the nearest one. */
WEFT_MUST_USE enum weft_status weft_repair_bits(const struct weft_str_list *names, unsigned *bits,
                                                struct weft_err *err);
/* The same for kinds of private data. */
WEFT_MUST_USE enum weft_status weft_pii_bits(const struct weft_str_list *names, unsigned *bits,
                                             struct weft_err *err);

struct weft_clean_settings {
    unsigned repairs;  /* bits 1 << enum weft_repair */
    unsigned mask;     /* bits 1 << enum weft_pii_kind: masked */
    unsigned drop_pii; /* rows with these kinds, before masking, are left out */
    uint32_t drop;     /* rows with these signs are left out, bits 1 << enum weft_quality */
    int64_t
        keep_per_prompt; /* different answers kept for one prompt; 0: all.  Doubles are dedup's business */
    int64_t min_chars, max_chars; /* of the whole row; 0: any */
    struct weft_str_list speakers,
        prompt_speakers;        /* only rows whose origin names one of these; empty: all */
    struct weft_str_list flags; /* rows whose origin has one of these flags are left out */
    bool judged;                /* preference and KTO rows are repaired, masked and left out like any other */
    struct weft_quality_settings quality;
};

struct weft_change {
    const char *what;      /* "trim", "mask" */
    struct weft_str where; /* "turn 2", "system", "text", "chosen", "rejected" */
    struct weft_str before, after;
};

struct weft_clean_result {
    bool kept;
    struct weft_str reason; /* why not: "quality: empty_answer", "filter: min_chars" ... */
    struct weft_row row;    /* the row as it goes on; equal to the one given where nothing changed */
    struct weft_change *changes;
    size_t n_changes;
};

struct weft_clean;

WEFT_MUST_USE enum weft_status weft_clean_new(struct weft_clean **out, const struct weft_clean_settings *s,
                                              struct weft_err *err);
void weft_clean_free(struct weft_clean *c); /* accepts NULL */
WEFT_MUST_USE enum weft_status weft_clean_row(struct weft_clean *c, struct weft_arena *a,
                                              const struct weft_row *row, struct weft_clean_result *out,
                                              struct weft_err *err);

struct weft_clean_counts {
    uint64_t rows_in, rows_out, changed, judged; /* changed: rows kept with a change; judged: let through */
    uint64_t repairs[WEFT_N_REPAIRS];            /* changes of texts */
    uint64_t masked[WEFT_N_PII];                 /* pieces */
    struct weft_report report;                   /* rows left out, by reason; in the handle's memory */
};
const struct weft_clean_counts *weft_clean_counts(const struct weft_clean *c);

#endif
