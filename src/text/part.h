/* text/part.h - names of parts inside a container, as documents write them; inside text/ only */
#ifndef WEFT_TEXT_PART_H
#define WEFT_TEXT_PART_H

#include "base/str.h"

enum weft_part_fault { WEFT_PART_FINE, WEFT_PART_REMOTE, WEFT_PART_OUTSIDE, WEFT_PART_NOMEM };

/* The part that `href` means inside the part `base` ("OEBPS/book.opf"): fragment and query cut, %XX decoded, `.` and
 * `..` resolved; a leading '/' is the root of the container.  With a scheme or a host: REMOTE; above the root, or with
 * a NUL: OUTSIDE.  *out lives in `a`. */
enum weft_part_fault weft_part_resolve(struct weft_arena *a, struct weft_str base, struct weft_str href,
                                       struct weft_str *out);

#endif
