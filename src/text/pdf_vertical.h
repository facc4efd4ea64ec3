/* text/pdf_vertical.h - pages of vertical Chinese whose program sets every character by itself
 *
 * LibreOffice draws a column of upright characters one by one.  pdftotext, which looks for lines that run to the right,
 * then gives the page row by row through all columns.  Here such a page is told from others and its words are put in
 * the order in which they are read: columns from right to left, each from top to bottom.
 *
 * Threads: no state.
 */
#ifndef WEFT_TEXT_PDF_VERTICAL_H
#define WEFT_TEXT_PDF_VERTICAL_H

#include "text/text.h"

struct weft_pdf_word {
    size_t at, len;             /* its text, in `raw` */
    uint64_t begin, end;        /* its row in the table */
    float x0, x1, y0, y1;       /* points from the top left corner of the page */
    uint32_t line, flow;        /* line: of its page; words of one follow each other */
    uint32_t tier;              /* of a vertical page: blocks of columns below each other; 0: not in a column */
};

/* Is the page with the words [w, w + n) set in columns of upright characters?  Then orders them by line, each column
 * a line; what stands in no column (a page number, a horizontal title) keeps its line, before the columns where it
 * stands above them, else behind.  Else changes nothing.
 * follows: the page before is vertical; then a few characters are enough.
 * false also when memory is short: scratch->failed. */
bool weft_pdf_vertical(struct weft_pdf_word *w, size_t n, struct weft_str raw, bool follows, struct weft_buf *scratch);

#endif
