/* text/read_markdown.h - Markdown; inside text/ only */
#ifndef WEFT_TEXT_READ_MARKDOWN_H
#define WEFT_TEXT_READ_MARKDOWN_H

#include "text/text.h"

extern const struct weft_reader weft_reader_markdown;

#endif
