#include "base/sse.h"

enum { MAX_BYTES = 16 << 20 };

static enum weft_status dispatch(struct weft_sse *s, bool (*fn)(void *ctx, const struct weft_sse_event *event),
                                 void *ctx, struct weft_err *err)
{
    struct weft_sse_event e = { weft_buf_view(&s->name), weft_buf_view(&s->data), weft_buf_view(&s->id) };
    enum weft_status st = WEFT_OK;
    bool has_data = s->has_data;
    s->has_data = false;
    if (e.data.len) e.data.len--; /* each data line added a LF */
    if (has_data && !s->done) {
        size_t bad = weft_utf8_check(e.data);
        if (bad < e.data.len)
            st = weft_fail_rule(err, WEFT_EINPUT, "C6", "event %llu of the stream is no UTF-8 at its byte %zu",
                                (unsigned long long)s->events + 1, bad);
        else if (weft_str_is(weft_str_trim_ascii(e.data), "[DONE]")) s->done = true;
        else {
            s->events++;
            if (!fn(ctx, &e)) st = weft_fail(err, WEFT_ECANCEL, "stopped");
        }
    }
    weft_buf_reset(&s->data);
    weft_buf_reset(&s->name);
    return st;
}

static enum weft_status take_line(struct weft_sse *s, bool (*fn)(void *ctx, const struct weft_sse_event *event),
                                  void *ctx, struct weft_err *err)
{
    struct weft_str line = weft_buf_view(&s->line), value = { 0 };
    enum weft_status st = WEFT_OK;
    if (!s->begun && weft_str_starts(line, WEFT_STR("\xef\xbb\xbf"))) line = weft_str_skip(line, 3);
    s->begun = true;
    if (!line.len) st = dispatch(s, fn, ctx, err);
    else if (line.s[0] != ':') {
        size_t colon = weft_str_find(line, WEFT_STR(":"), 0);
        struct weft_str field = weft_str_sub(line, 0, colon);
        if (colon != SIZE_MAX) value = weft_str_skip(line, colon + 1);
        if (value.len && value.s[0] == ' ') value = weft_str_skip(value, 1);
        if (weft_str_is(field, "data")) {
            weft_buf_str(&s->data, value);
            weft_buf_char(&s->data, '\n');
            s->has_data = true;
        } else if (weft_str_is(field, "event") || weft_str_is(field, "id")) {
            struct weft_buf *b = field.len == 2 ? &s->id : &s->name;
            weft_buf_reset(b);
            weft_buf_str(b, value);
        } /* "retry" and what nobody knows is left alone */
    }
    weft_buf_reset(&s->line);
    return st;
}

enum weft_status weft_sse_feed(struct weft_sse *s, struct weft_str piece,
                               bool (*fn)(void *ctx, const struct weft_sse_event *event), void *ctx,
                               struct weft_err *err)
{
    size_t max = s->max_bytes ? s->max_bytes : MAX_BYTES, at = 0;
    struct weft_buf *const bufs[] = { &s->line, &s->data, &s->name, &s->id };
    for (size_t i = 0; i < WEFT_COUNT(bufs); i++) bufs[i]->max_bytes = max + 1; /* the LF behind the data */
    s->bytes += piece.len;
    while (at < piece.len) {
        if (s->after_cr && piece.s[at] == '\n') at++; /* the second half of CR LF */
        s->after_cr = false;
        size_t end = at;
        while (end < piece.len && piece.s[end] != '\n' && piece.s[end] != '\r') end++;
        weft_buf_add(&s->line, piece.s + at, end - at);
        at = end + 1;
        if (end == piece.len) break;
        s->after_cr = piece.s[end] == '\r';
        enum weft_status st = s->line.failed ? WEFT_OK : take_line(s, fn, ctx, err);
        if (st) return st;
    }
    for (size_t i = 0; i < WEFT_COUNT(bufs); i++) {
        enum weft_status st = weft_buf_check(bufs[i], "an event of the stream", err);
        if (st) return st;
    }
    return WEFT_OK;
}

size_t weft_sse_left(const struct weft_sse *s) { return s->line.len + s->data.len; }

void weft_sse_clear(struct weft_sse *s)
{
    weft_buf_clear(&s->line);
    weft_buf_clear(&s->data);
    weft_buf_clear(&s->name);
    weft_buf_clear(&s->id);
    *s = (struct weft_sse){ .max_bytes = s->max_bytes };
}
