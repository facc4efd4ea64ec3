/* text/magic.h - bytes that are known not to be text, by name */
#ifndef WEFT_TEXT_MAGIC_H
#define WEFT_TEXT_MAGIC_H

#include "base/str.h"

/* "a PNG image", "a PDF document" ... for the message (an English key of the catalogue), or NULL. */
const char *weft_magic_name(struct weft_str bytes);

#endif
