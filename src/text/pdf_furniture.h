/* text/pdf_furniture.h - running titles and page numbers, which are no part of the text
 */
#ifndef WEFT_TEXT_PDF_FURNITURE_H
#define WEFT_TEXT_PDF_FURNITURE_H

#include "text/pdf_lines.h"

struct weft_pdf_furniture {
    uint64_t n;                 /* lines that were taken out */
    uint64_t page;              /* of the first, and its text, within the lines given */
    struct weft_str text;
};

/* Takes furniture out of `l` and says what it was. */
WEFT_MUST_USE enum weft_status weft_pdf_furniture_take(struct weft_pdf_lines *l, struct weft_pdf_furniture *taken,
                                                       struct weft_err *err);

#endif
