/* dataset/origin.h - a span of decoded text -> its place in the original file */
#ifndef WEFT_DATASET_ORIGIN_H
#define WEFT_DATASET_ORIGIN_H

#include "dataset/row.h"
#include "text/text.h"

/* Fills file, sha256, line, last_line, byte_begin and byte_end for [begin, end) of the decoded text.  The bytes are
 * exact in plain text of UTF-8 and UTF-16, and of GB18030 and Big5 where every character of the line has its usual
 * width; elsewhere (a repaired line, formats that are no text) they are those of the whole lines. */
void weft_origin_of_span(const struct weft_text *t, size_t begin, size_t end, struct weft_origin *out);

#endif
