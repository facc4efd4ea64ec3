/* text/read_html.h - web pages; inside text/ only */
#ifndef WEFT_TEXT_READ_HTML_H
#define WEFT_TEXT_READ_HTML_H

#include "text/text.h"

extern const struct weft_reader weft_reader_html;

#endif
