/* base/sse.h - server-sent events: a stream of text, cut anywhere, becomes whole events
 *
 * The grammar is WHATWG HTML, section 9.2.6: lines end in LF, CR or CR LF; "data:" lines of one event are joined
 * with LF; an empty line ends the event; a line that begins with ":" is a comment; one byte order mark in front is
 * skipped.  An event is handed over only when it is whole, so a character of several bytes is never cut, however the
 * bytes came.
 *
 * Language models end a stream with the event "[DONE]".  A stream without it was cut (rule C6), which is why `done` is
 * kept here: after the transfer, `s.done` tells whole from cut.
 */
#ifndef WEFT_BASE_SSE_H
#define WEFT_BASE_SSE_H

#include "base/str.h"

struct weft_sse_event {
    struct weft_str name; /* of "event:"; "" when there was none */
    struct weft_str data; /* UTF-8, checked */
    struct weft_str id;   /* of "id:", the last one of the stream */
};

struct weft_sse {
    size_t max_bytes; /* of one line and of one event; 0: 16 MiB */
    struct weft_buf line, data, name, id;
    bool begun, after_cr, has_data; /* begun: past the place of a byte order mark */
    bool done;                      /* "[DONE]" came; what follows is not handed over */
    uint64_t events, bytes;         /* handed over; fed */
};

/* A zeroed struct is ready.  Hands each event that becomes whole to fn, in order; false from fn ends the feeding with
 * WEFT_ECANCEL.  WEFT_EINPUT (C6): data that is no UTF-8.  WEFT_ELIMIT: an event above max_bytes.  After an error the
 * stream must not be fed further.  The strings of an event are good until fn returns. */
WEFT_MUST_USE enum weft_status weft_sse_feed(struct weft_sse *s, struct weft_str piece,
                                             bool (*fn)(void *ctx, const struct weft_sse_event *event), void *ctx,
                                             struct weft_err *err);
/* Bytes that belong to no whole event: not 0 at the end of the transfer means that the last event was cut. */
size_t weft_sse_left(const struct weft_sse *s);
void weft_sse_clear(struct weft_sse *s);

#endif
