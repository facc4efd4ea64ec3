/* text/pdf_paragraphs.h - the lines of pages -> paragraphs
 *
 * A page says nothing of paragraphs; it shows them.  A line goes on in the next one unless something speaks against it:
 * it ends where the next word would still have fitted, the next is indented as paragraphs of this document are, has
 * another size, stands further down than lines do, or begins with a bullet.  Chinese is joined without a space, Latin
 * with one; a hyphen at the end of a line goes when it was made by the break (pdf_paragraphs.c says how that is told).
 */
#ifndef WEFT_TEXT_PDF_PARAGRAPHS_H
#define WEFT_TEXT_PDF_PARAGRAPHS_H

#include "text/pdf_lines.h"

/* Fills text, lines and sections of `out`: a section for each page, and for each paragraph that goes on over the end of
 * its page.  Bytes of lines are those of the table. */
WEFT_MUST_USE enum weft_status weft_pdf_paragraphs(struct weft_arena *a, const struct weft_pdf_lines *l,
                                                   struct weft_text *out, struct weft_err *err);

#endif
