/* text/pdf_lines.h - what `pdftotext -tsv` says of a document -> its lines, each with its place on its page
 *
 * The table has a row for each page, flow (a column, a heading, a caption), line and word, tabs between 12 columns:
 *
 *     level page flow block line word left top width height conf text       level 1: page 3: flow 4: line 5: word
 *
 * Points from the top left corner of the page.  Spaces are not in it: they are told from the gaps between words, and
 * which gaps are spaces depends on the script (pdf_lines.c).
 *
 * Lines are measured along the way they are written: a runs along the line, b from line to line.  Where the text
 * runs down the page (vertical Chinese) a is the y of the page and b grows to the left.
 *
 * Owner:   malloc memory inside, freed by clear.
 * Threads: a struct belongs to one thread.
 */
#ifndef WEFT_TEXT_PDF_LINES_H
#define WEFT_TEXT_PDF_LINES_H

#include "text/text.h"

struct weft_pdf_line {
    size_t at, len;             /* its text, in `text` */
    uint64_t begin, end;        /* its rows in the table */
    uint64_t page;              /* 1-based */
    uint32_t flow;              /* number within the document; lines of one flow are neighbours */
    float a0, a1;               /* where it begins and ends */
    float b0, b1, mid;          /* its sides, and the middle of its widest word: comparable from line to line */
    float em;                   /* size of its type: width of a Chinese character, or what goes for it in Latin */
    float head;                 /* width of what the line break could not have left on the line before */
    uint32_t first, last;       /* characters it begins and ends with */
    bool east;                  /* its widest word is Chinese (or Japanese) */
    bool down;                  /* runs down the page */
};

struct weft_pdf_page {
    uint64_t begin;             /* its row in the table */
    float width, height;
    size_t first_line;          /* lines reach to those of the next page */
};

struct weft_pdf_lines {
    struct weft_buf text;       /* of all lines, without line ends */
    struct weft_buf items;      /* struct weft_pdf_line each */
    struct weft_buf pages;      /* struct weft_pdf_page each, and one more at the end */
    size_t n_lines, n_pages;
};

static inline struct weft_pdf_line *weft_pdf_line_items(const struct weft_pdf_lines *l)
{
    return (struct weft_pdf_line *)(void *)l->items.s;
}
static inline struct weft_pdf_page *weft_pdf_page_items(const struct weft_pdf_lines *l)
{
    return (struct weft_pdf_page *)(void *)l->pages.s;
}

/* Reads the table.  Rows that are none become text of the word before (a font's map can hold line ends): nothing is
 * lost.  Bytes that are no text are repaired as everywhere; `t` gets counts and places, their lines still 0. */
WEFT_MUST_USE enum weft_status weft_pdf_lines_parse(struct weft_pdf_lines *l, struct weft_str table,
                                                    struct weft_text *t, struct weft_err *err);
void weft_pdf_lines_clear(struct weft_pdf_lines *l);        /* accepts a zeroed struct */

/* Length of `table` up to the last row of a page: what ends behind it may be cut anywhere. */
size_t weft_pdf_lines_whole(struct weft_str table);

/* Writes what a gap between the characters x and y of a row is: nothing, a space, an ideographic space. */
void weft_pdf_put_gap(struct weft_buf *text, float gap, float em, uint32_t x, uint32_t y);

/* Could a line break stand between x and y without a space?  East Asian characters, and punctuation that Chinese shares
 * with the West beside one of them. */
bool weft_pdf_joins(uint32_t x, uint32_t y, bool east);

#endif
