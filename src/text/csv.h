/* text/csv.h - tables of text: a pull parser, and writing
 *
 * RFC 4180, with what spreadsheets make of it: separators "," ";" tab and "|", quotes round any field, line breaks in
 * quoted fields, CRLF or LF.  Rules CS1-CS4 (docs/robustness.md).  Works on UTF-8 text, as weft_text_read with the
 * reader "txt" gives it, or on bytes; one byte order mark is skipped.
 *
 *     struct weft_csv c;
 *     weft_csv_init(&c, "a.csv", text, 0);
 *     while (!(st = weft_csv_next(&c, &row, err)) && row.cells) ...
 *     weft_csv_clear(&c);
 *
 * Owner:   cells of a row live until the next call; a cell without doubled quotes points into the text.
 * Threads: a parser belongs to one thread.
 */
#ifndef WEFT_TEXT_CSV_H
#define WEFT_TEXT_CSV_H

#include "base/str.h"

struct weft_csv_row {
    const struct weft_str *cells;       /* [n]; NULL: the text is at its end */
    size_t n;
    uint64_t line, last_line;           /* of the text, 1-based; more than one where a cell holds line breaks */
    size_t begin, end;                  /* bytes of the text, without the line end */
    bool loose;                         /* a quoted cell has more behind its closing quote; it is kept (CS2) */
    bool ragged;                        /* not as many cells as the first row (CS4) */
};

struct weft_csv {
    const char *name;                   /* for messages */
    struct weft_str text;
    char separator;
    size_t at;                          /* next unread byte */
    uint64_t line;                      /* its line */
    uint64_t rows, blank;               /* rows given so far, blank lines passed over */
    size_t width;                       /* cells of the first row */
    struct weft_buf cells, unquoted;    /* of the row given last */
};

/* `separator`: 0 finds it in the first rows (CS1). */
void weft_csv_init(struct weft_csv *c, const char *name, struct weft_str text, char separator);
/* The next row that is not blank.  WEFT_EINPUT with CS3: a quote that nothing closes; the message names its line. */
WEFT_MUST_USE enum weft_status weft_csv_next(struct weft_csv *c, struct weft_csv_row *row, struct weft_err *err);
void weft_csv_clear(struct weft_csv *c);        /* accepts a zeroed struct */

/* The separator with which the first rows have the most cells that agree in number; "," where none does. */
char weft_csv_separator(struct weft_str text);

/* Appends one row, ended by CRLF.  Cells are quoted where they need it: with a separator, quote or line break inside,
 * or blanks at an end.  A file for spreadsheets begins with a byte order mark: that is the caller's. */
void weft_csv_write(struct weft_buf *b, const struct weft_str *cells, size_t n, char separator);

#endif
