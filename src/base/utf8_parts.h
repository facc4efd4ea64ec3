/* base/utf8_parts.h - the careful ways behind weft_utf8_check and weft_utf8_chars; for str.c, utf8.c and tests */
#ifndef WEFT_BASE_UTF8_PARTS_H
#define WEFT_BASE_UTF8_PARTS_H

#include "base/str.h"

/* The definition: what the vector code must answer too. */
size_t weft_utf8_check_plain(struct weft_str s);
size_t weft_utf8_chars_plain(struct weft_str s);

#endif
