/* text/read_epub.h - EPUB books; inside text/ only */
#ifndef WEFT_TEXT_READ_EPUB_H
#define WEFT_TEXT_READ_EPUB_H

#include "text/text.h"

extern const struct weft_reader weft_reader_epub;

#endif
