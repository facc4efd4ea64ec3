/* text/read_docx.h - Word documents; inside text/ only */
#ifndef WEFT_TEXT_READ_DOCX_H
#define WEFT_TEXT_READ_DOCX_H

#include "text/text.h"

extern const struct weft_reader weft_reader_docx;

#endif
