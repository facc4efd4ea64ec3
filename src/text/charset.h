/* text/charset.h - bytes of some charset -> UTF-8 lines; inside text/ only */
#ifndef WEFT_TEXT_CHARSET_H
#define WEFT_TEXT_CHARSET_H

#include "text/text.h"

/* Finds the charset (rules TX1-TX4) unless it is given, decodes, and fills text, lines and counts of `out`, whose
 * name is set.  The text may point into `bytes`. */
WEFT_MUST_USE enum weft_status weft_charset_decode(struct weft_arena *a, struct weft_str bytes,
                                                   enum weft_charset given, struct weft_text *out,
                                                   struct weft_err *err);

/* Places in the original of places in the text that was decoded from it; asked in rising order it takes linear time. */
struct weft_charset_cursor {
    const struct weft_text *text;       /* as filled by weft_charset_decode */
    struct weft_str bytes;              /* the same bytes */
    size_t line, at;                    /* 0-based line, and where in the text the cursor stands ... */
    uint64_t byte;                      /* ... and where that is in the original */
};
void weft_charset_cursor_init(struct weft_charset_cursor *c, const struct weft_text *text, struct weft_str bytes);
/* The byte of the original at which the character at byte `at` of the text begins. */
uint64_t weft_charset_locate(struct weft_charset_cursor *c, size_t at);

/* A reader made other lines out of a decoded text, with begin and end as bytes of that text: makes them bytes of the
 * original, and gives each its line there. */
WEFT_MUST_USE enum weft_status weft_charset_place_lines(struct weft_arena *a, const struct weft_text *decoded,
                                                        struct weft_str bytes, struct weft_text *t,
                                                        struct weft_err *err);

/* Counts private_use, replacement and controls of a text that is there. */
void weft_charset_count_odd(struct weft_text *t);

#endif
