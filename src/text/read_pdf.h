/* text/read_pdf.h - PDF documents; inside text/ only */
#ifndef WEFT_TEXT_READ_PDF_H
#define WEFT_TEXT_READ_PDF_H

#include "text/pdf_child.h"
#include "text/text.h"

extern const struct weft_reader weft_reader_pdf;

/* What is left of the reader once the child has run: checks its output as that of a stranger and fills text, lines,
 * sections (one for each page with text), counts and notes of `out`, whose name is set.  Errors as of the reader. */
WEFT_MUST_USE enum weft_status weft_pdf_text(struct weft_arena *a, const struct weft_pdf_result *r,
                                             struct weft_text *out, struct weft_err *err);

#endif
