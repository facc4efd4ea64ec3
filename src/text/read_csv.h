/* text/read_csv.h - tables of text; inside text/ only */
#ifndef WEFT_TEXT_READ_CSV_H
#define WEFT_TEXT_READ_CSV_H

#include "text/text.h"

extern const struct weft_reader weft_reader_csv;

#endif
