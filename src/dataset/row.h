/* dataset/row.h - the one row type
 *
 * Whatever a dataset file calls its parts (instruction/input/output, conversations, messages, text, chosen and
 * rejected), in memory a row is a conversation, or one text, and the place it came from.
 *
 * Owner:   every string of a row lives in the arena that made it, or in the mapped text; rows are never freed
 *          one by one.
 */
#ifndef WEFT_DATASET_ROW_H
#define WEFT_DATASET_ROW_H

#include "base/str.h"

enum weft_role {
    WEFT_ROLE_SYSTEM,
    WEFT_ROLE_USER,             /* human, user */
    WEFT_ROLE_ASSISTANT,        /* gpt, assistant */
    WEFT_ROLE_TOOL_CALL,        /* function_call: text is JSON with name and arguments */
    WEFT_ROLE_TOOL_RESULT       /* observation, tool */
};

struct weft_turn {
    enum weft_role role;
    struct weft_str text;
};

/* Where a row came from; written to files as the member "weft". Unknown parts are zero. */
struct weft_origin {
    struct weft_str id;                 /* stable within a dataset: "s000123" */
    struct weft_str file;               /* as the user named it */
    struct weft_str sha256;             /* of the whole source file, 64 hex digits */
    uint64_t line, last_line;           /* 1-based, inclusive */
    uint64_t byte_begin, byte_end;      /* in the original file, or in `part` of it; half open */
    struct weft_str part;               /* of a container: "word/document.xml" */
    uint64_t page, last_page;           /* 1-based, of formats that have pages; last_page 0: it ends where it began */
    double confidence;                  /* 0 < c <= 1: how sure a rule or a model is; below 1 worth a review */
    struct weft_str via;                /* rule and its version: "script/default@1" */
    struct weft_str episode, scene;     /* headings as written */
    struct weft_str speaker, prompt_speaker;
    struct weft_str flags;              /* comma-separated: "merged,chorus,repaired" */
    struct weft_str parents;            /* comma-separated ids */
    struct weft_str from_set, from_id;  /* the dataset file it was mixed from, and its id there */
    uint64_t from_row;                  /* its number there, 1-based */
};

struct weft_row {
    struct weft_str system;             /* s == NULL: none given (not the same as "") */
    struct weft_str tools;              /* JSON text, or s == NULL */
    struct weft_turn *turns;            /* without the system turn; user and assistant sides alternate, but rows
                                         * of the messages format may have several of one side in a row */
    size_t n_turns;
    struct weft_str *turn_extras; /* [n_turns], members of a turn nobody read, as JSON objects; NULL: none */
    struct weft_str text; /* a plain text for stage pt; then n_turns is 0.  s == NULL: a conversation */
    struct weft_turn chosen,
        rejected; /* preference rows: the turns end with the user's; text.s == NULL: none */
    signed char kto_tag;                /* -1: none, else 0 or 1 */
    unsigned char read_as;              /* the shape it was read in, enum weft_format (formats.h); 0: made here */
    bool split_input;                   /* Alpaca: the last user turn was instruction + "\n" + input ... */
    size_t instruction_len; /* ... and the instruction is its first instruction_len bytes (0: no "\n") */
    struct weft_str extra;  /* members nobody read, as JSON object text, kept for writing; s == NULL: none */
    struct weft_origin origin;
};

struct weft_rows {
    struct weft_row *items;             /* in the arena; grows by doubling */
    size_t n, cap;
};

/* Appends a zeroed row and returns it, or NULL when memory is out. */
struct weft_row *weft_rows_add(struct weft_rows *rows, struct weft_arena *a);
/* Room for `more` rows without growing again; false when memory is out. */
WEFT_MUST_USE bool weft_rows_reserve(struct weft_rows *rows, struct weft_arena *a, size_t more);
/* "s000012": the letter and a number of six digits or more; s == NULL when memory is out. */
struct weft_str weft_row_id(struct weft_arena *a, char letter, size_t n);
enum { WEFT_ROW_ID_BYTES = 1 + 20 };
/* The same written to `to`, which has room for WEFT_ROW_ID_BYTES; its length. */
size_t weft_row_id_write(char *to, char letter, size_t n);

/* What reading left out, by reason: lines in = rows + blank + sum of counts.  At most 100 places are kept. */
enum { WEFT_REPORT_PLACES = 100 };
struct weft_drop {
    struct weft_str reason;             /* "DS3: output is not a string" */
    uint64_t count;
};
struct weft_report {
    uint64_t units_in, rows_out, blank; /* units: lines of a text, rows of a dataset */
    struct weft_drop *drops;
    size_t n_drops, cap_drops;
    struct weft_str places[WEFT_REPORT_PLACES];     /* "chat.jsonl:18:5: DS3: ..." */
    size_t n_places;
    uint64_t repaired;                  /* kept, but changed; each has a flag on its row */
};
/* Counts `units` under `reason` and keeps `place` while there is room (s == NULL: no place). */
WEFT_MUST_USE enum weft_status weft_report_drop(struct weft_report *r, struct weft_arena *a,
                                                struct weft_str reason, uint64_t units, struct weft_str place,
                                                struct weft_err *err);
uint64_t weft_report_dropped(const struct weft_report *r);
/* units_in == rows_out (or `used` units) + blank + dropped: the caller's equation, checked by an assert in tests. */

#endif
