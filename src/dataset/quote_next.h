/* dataset/quote_next.h - on to the next quote mark of a text; inside dataset/ only.  Pure function on text. */
#ifndef WEFT_DATASET_QUOTE_NEXT_H
#define WEFT_DATASET_QUOTE_NEXT_H

#include "base/str.h"

/* Offset in [from, to) of the first quote mark of any kind (marks.h: those with a closer, and closers) or line end;
 * `to` when there is none.  `s` is UTF-8, from and to stand between characters. */
size_t quote_next(struct weft_str s, size_t from, size_t to);

#endif
