/* text/read_txt.h - plain text; inside text/ only */
#ifndef WEFT_TEXT_READ_TXT_H
#define WEFT_TEXT_READ_TXT_H

#include "text/text.h"

extern const struct weft_reader weft_reader_txt;

#endif
