/* text/writer.h - text put together from the parts of a container, line by line; inside text/ only
 *
 * A reader puts runs of characters with the bytes they came from, and ends lines; the writer keeps the place of every
 * line.  Errors stick in the buffers and are told once, at the end. */
#ifndef WEFT_TEXT_WRITER_H
#define WEFT_TEXT_WRITER_H

#include "text/text.h"

struct weft_writer {
    struct weft_buf text;
    struct weft_buf lines;          /* struct weft_text_line each */
    struct weft_text_line line;     /* the one being written, when `open` */
    bool open;                      /* it has characters */
    size_t n_lines;                 /* ended so far */
};

/* Characters without line end that stood in [begin, end). */
void weft_writer_put(struct weft_writer *w, struct weft_str s, uint64_t begin, uint64_t end);
/* Ends the line; one without characters stands at `at`. */
void weft_writer_newline(struct weft_writer *w, uint64_t at);
/* Ends the last line, moves text and lines into `a`, fills text, lines, charset and counts of `t`.
 * Sections whose first line is beyond the last are cut off. */
WEFT_MUST_USE enum weft_status weft_writer_finish(struct weft_writer *w, struct weft_arena *a, struct weft_text *t,
                                                  struct weft_err *err);
void weft_writer_clear(struct weft_writer *w);      /* accepts a zeroed struct, and one that is finished */

#endif
