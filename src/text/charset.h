/* text/charset.h - bytes of some charset -> UTF-8 lines; inside text/ only */
#ifndef WEFT_TEXT_CHARSET_H
#define WEFT_TEXT_CHARSET_H

#include "text/text.h"

/* Finds the charset (rules TX1-TX4) unless it is given, decodes, and fills text, lines and counts of `out`, whose
 * name is set.  The text may point into `bytes`. */
WEFT_MUST_USE enum weft_status weft_charset_decode(struct weft_arena *a, struct weft_str bytes,
                                                   enum weft_charset given, struct weft_text *out,
                                                   struct weft_err *err);

#endif
