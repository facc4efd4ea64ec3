/* dataset/formats.h - dataset files <-> rows
 *
 * Reads and writes Alpaca, ShareGPT, OpenAI messages and plain text, with preference (chosen, rejected) and KTO
 * members kept, as a JSON array, JSON lines, a single object or a table (CSV, TSV).  Content decides, never the
 * file's name.  Rules DS1-DS11 and JS1-JS7 (docs/dataset.md): a bad row is left out, named `file:line:column: rule:
 * ...` and counted; a file without a good row is an error.  Members nobody knows are kept in row.extra and written
 * back.
 *
 * Owner:   rows and their strings live in the arena given.
 * Threads: one per call.
 */
#ifndef WEFT_DATASET_FORMATS_H
#define WEFT_DATASET_FORMATS_H

#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/option.h"
#include "dataset/row.h"

/* In the order of the choices of the setting. */
enum weft_format {
    WEFT_FORMAT_AUTO,
    WEFT_FORMAT_ALPACA,
    WEFT_FORMAT_SHAREGPT,
    WEFT_FORMAT_MESSAGES,
    WEFT_FORMAT_TEXT,
    WEFT_FORMAT_DPO             /* OpenAI's preference lines: input.messages, preferred_output, non_preferred_output */
};
#define WEFT_FORMAT_CHOICES "auto|alpaca|sharegpt|messages|text|dpo"

/* CSV and TSV: tables for spreadsheets, one column a member (docs/dataset.md); UTF-8 with a byte order mark. */
enum weft_layout { WEFT_LAYOUT_AUTO, WEFT_LAYOUT_JSONL, WEFT_LAYOUT_ARRAY, WEFT_LAYOUT_CSV, WEFT_LAYOUT_TSV };
#define WEFT_LAYOUT_CHOICES "auto|jsonl|json|csv|tsv"

struct weft_rows_settings {
    int format;             /* AUTO: each row shows its own shape (DS2); else rows of another shape are bad */
    int64_t max_rows;       /* stop after so many good rows; 0: all */
    int64_t max_line_bytes; /* 0: 64 MiB */
    /* Renamed members, as in LLaMA-Factory's dataset_info.json: "instruction=question", "output=answer" ...
     * Left of the sign one of: instruction (or prompt), input (query), output (response), system, history, tools,
     * conversations, messages, text, chosen, rejected, kto_tag, from, value, role, content; or a tag: human, gpt,
     * observation, function_call. */
    struct weft_str_list columns;
    int threads;                    /* of long JSON lines files; 0: one per processor.  Rows and report do not differ */
};

/* What a file turned out to be. */
struct weft_rows_shape {
    enum weft_layout layout;
    enum weft_format format;        /* of the first good row; AUTO when rows differ */
    bool single;                    /* one object, not a list */
    bool bom;
    bool mislabelled;               /* named .jsonl but an array, or .json but JSON lines: read all the same */
    char sha256[WEFT_SHA256_HEX];
    uint64_t bytes;
};

/* Reads all rows of `path` ("-": standard input) and appends them to `rows`.  `s`, `shape` may be NULL.
 * The report is filled: units_in = rows_out + blank + dropped, in lines for JSON lines, in rows for an array.
 * WEFT_OK also when rows were left out: weft_report_dropped(report) says how many (training refuses a dataset with
 * drops unless told otherwise).  WEFT_EINPUT: not JSON, or no good row; WEFT_ELIMIT: a line is too long. */
WEFT_MUST_USE enum weft_status weft_rows_read(struct weft_arena *a, const char *path,
                                              const struct weft_rows_settings *s, struct weft_rows *rows,
                                              struct weft_report *report, struct weft_rows_shape *shape,
                                              struct weft_err *err);

/* The same for bytes in memory (`name` for messages); strings of the rows may point into `bytes`. */
WEFT_MUST_USE enum weft_status weft_rows_parse(struct weft_arena *a, const char *name, struct weft_str bytes,
                                               const struct weft_rows_settings *s, struct weft_rows *rows,
                                               struct weft_report *report, struct weft_rows_shape *shape,
                                               struct weft_err *err);

/* Row by row with constant memory: `each` gets a row that lives until it returns (its arena is released after).
 * A status other than WEFT_OK from `each` stops and is returned. */
WEFT_MUST_USE enum weft_status
weft_rows_each(struct weft_arena *a, const char *path, const struct weft_rows_settings *s,
               enum weft_status (*each)(void *ctx, const struct weft_row *row, struct weft_err *err),
               void *ctx, struct weft_report *report, struct weft_rows_shape *shape, struct weft_err *err);

/* ---- rows by several threads ---- */

/* Where a row was met. */
struct weft_row_at {
    int thread;                     /* 0 ... of the pool: for what each thread has to itself */
    unsigned slot;                  /* 0 ... WEFT_ROWS_SLOTS(threads) - 1: for what each part has to itself */
    uint64_t part, in_part;         /* parts are numbered along the file, and so are the rows of a part */
    uint64_t begin;                 /* byte offset in the file of the row's value: weft_rows_at finds it again */
};
#define WEFT_ROWS_SLOTS(threads) ((size_t)(threads) * 32)

/* Who takes the rows. */
struct weft_rows_sink {
    void *ctx;
    /* A row, which lives until this returns.  Called by all threads at once; the rows of one part come in order and
     * from one thread. */
    enum weft_status (*row)(void *ctx, const struct weft_row_at *at, const struct weft_row *row, struct weft_err *err);
    /* A part is finished; parts come in order and one at a time, from any thread.  Its slot is used again only after
     * that.  `n` rows were good.  May be NULL. */
    enum weft_status (*part)(void *ctx, unsigned slot, uint64_t part, uint64_t n, struct weft_err *err);
};

struct weft_pool;
struct weft_row_index;

/* Rows by all threads of the pool (NULL: this one) with constant memory; errors and report as weft_rows_read.  `out` is
 * the open file, without places of rows; close it with weft_row_index_close. */
WEFT_MUST_USE enum weft_status weft_rows_stream(struct weft_arena *a, const char *path,
                                                const struct weft_rows_settings *s, struct weft_pool *pool,
                                                const struct weft_rows_sink *sink, struct weft_row_index *out,
                                                struct weft_report *report, struct weft_err *err);
/* The row that was met at `begin`, as weft_row_index_get. */
WEFT_MUST_USE enum weft_status weft_rows_at(const struct weft_row_index *ix, struct weft_arena *a, uint64_t begin,
                                            struct weft_row *row, struct weft_err *err);

/* ---- rows by number, without holding them ---- */

struct weft_row_header;             /* dataset/row_table_parts.h */

/* Where one good row stands in its file. */
struct weft_row_span {
    uint64_t begin, end;            /* bytes of its JSON value, half open */
    uint64_t line;                  /* 1-based line that it begins in */
    uint64_t id;                    /* XXH3 of its id; 0: it has none */
};

/* A mapped file and the place of each of its good rows: 32 bytes a row, so that rows can be taken in any order from
 * sets larger than memory.  Read-only once open; any number of readers. */
struct weft_row_index {
    struct weft_map map;
    struct weft_str text;
    const char *name;
    struct weft_rows_settings s;
    struct weft_row_span *spans;    /* [n], in the arena, in file order */
    size_t n, cap;
    struct weft_rows_shape shape;
    struct weft_row_header *header; /* of a table; else NULL */
};
/* Reads every row once, and keeps only its place; errors and report as weft_rows_read.  `path` must outlive it. */
WEFT_MUST_USE enum weft_status weft_row_index_open(struct weft_arena *a, const char *path,
                                                   const struct weft_rows_settings *s, struct weft_row_index *out,
                                                   struct weft_report *report, struct weft_err *err);
/* Row i (0-based) into `a`; strings may point into the mapped file, which must stay open as long as the row lives. */
WEFT_MUST_USE enum weft_status weft_row_index_get(const struct weft_row_index *ix, struct weft_arena *a, size_t i,
                                                  struct weft_row *row, struct weft_err *err);
void weft_row_index_close(struct weft_row_index *ix);       /* accepts a zeroed struct */

/* One object (for requests and tests) from its tree, whose strings must outlive the row.  `format` may be NULL.  On a
 * bad row WEFT_EINPUT with rule and message, without a place. */
WEFT_MUST_USE enum weft_status weft_row_from_json(struct weft_arena *a, const struct weft_json_value *v,
                                                  const struct weft_rows_settings *s, struct weft_row *row,
                                                  enum weft_format *format, struct weft_err *err);

/* ---- writing ---- */

struct weft_rows_writer_settings {
    int format;             /* AUTO: alpaca, text for text rows */
    int layout;             /* AUTO: by the path: .json an array, .csv and .tsv tables, else JSON lines */
    int indent;             /* of an array; 0: 4, as json.dump(ensure_ascii=False, indent=4) */
    bool no_origin;         /* leave the member "weft" out */
    int64_t threads;        /* of weft_rows_write: 0: all processors for many rows */
};

/* Opens, takes rows one by one, commits: the file is whole or absent. */
struct weft_rows_writer {
    struct weft_out out;
    struct weft_buf buf;
    struct weft_json_out json;
    struct weft_buf table;                  /* rows of a table, until all columns are known */
    struct weft_rows_writer_settings s;     /* layout and indent decided */
    uint64_t n_rows;
};
WEFT_MUST_USE enum weft_status weft_rows_writer_open(struct weft_rows_writer *w, const char *path,
                                                     const struct weft_rows_writer_settings *s,
                                                     struct weft_err *err);
/* WEFT_EINPUT: this row cannot be said in this format (a tool call in Alpaca, a conversation as text ...). */
WEFT_MUST_USE enum weft_status weft_rows_writer_add(struct weft_rows_writer *w, const struct weft_row *row,
                                                    struct weft_err *err);
WEFT_MUST_USE enum weft_status weft_rows_writer_commit(struct weft_rows_writer *w, struct weft_err *err);
void weft_rows_writer_close(struct weft_rows_writer *w); /* gives up what was not committed; accepts zeroed */

/* All at once, by several threads; the file is the same on any number. */
WEFT_MUST_USE enum weft_status weft_rows_write(const char *path, const struct weft_rows_writer_settings *s,
                                               const struct weft_rows *rows, struct weft_err *err);

/* One row as a JSON object. */
WEFT_MUST_USE enum weft_status weft_row_to_json(struct weft_json_out *o, const struct weft_row *row,
                                                enum weft_format format, bool origin, struct weft_err *err);

/* ---- the list of formats ---- */

struct weft_row_reader;             /* dataset/format_parts.h */

/* An entry: dataset/format_<name>.c and one line in formats.c. */
struct weft_row_format {
    enum weft_format id;
    const char *name, *help, *help_zh;
    struct weft_str key;            /* the member that marks a row of this shape: "instruction" */
    enum weft_status (*read)(struct weft_row_reader *r, const struct weft_json_value *v, struct weft_row *row);
    enum weft_status (*write)(struct weft_json_out *o, const struct weft_row *row, struct weft_err *err);
};
const struct weft_row_format *const *weft_row_formats(size_t *n);

#endif
