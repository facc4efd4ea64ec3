/* text/pdf_order.h - lines of pages in the order they are read
 *
 * pdftotext finds columns and mostly orders them well, but a heading above two columns can send it to the second column
 * first.  Where a page shows columns of running text this orders them anew: between lines that cross the gutter, the
 * left column down to its end, then the right one.  Other pages keep the order that pdftotext gave.
 *
 * Pieces of one row that follow each other (a number and its heading) become one line.
 */
#ifndef WEFT_TEXT_PDF_ORDER_H
#define WEFT_TEXT_PDF_ORDER_H

#include "text/pdf_lines.h"

WEFT_MUST_USE enum weft_status weft_pdf_order(struct weft_pdf_lines *l, struct weft_err *err);

#endif
