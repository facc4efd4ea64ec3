/* Any bytes as a stream of events, whole and cut at a place that the input chooses: both must give the same events,
 * and no event may hold bytes that are no UTF-8. */
#include "base/retry.h"
#include "base/sse.h"

#include <stdlib.h>

static void check(bool ok)
{
    if (!ok) abort();
}

static bool on_event(void *ctx, const struct weft_sse_event *e)
{
    struct weft_arena a = { .block_bytes = 1024 };
    struct weft_api_error error;
    check(weft_utf8_check(e->data) == e->data.len);
    (void)weft_api_error_read(&a, e->data, &error);
    (void)weft_api_error_is_quota(&error);
    weft_arena_clear(&a);
    weft_buf_printf(ctx, "[%zu %zu %zu]", e->name.len, e->data.len, e->id.len);
    weft_buf_str(ctx, e->data);
    return true;
}

static enum weft_status feed(struct weft_str text, size_t each, struct weft_buf *log, bool *done, size_t *left)
{
    struct weft_sse s = { .max_bytes = 4096 };
    struct weft_err err = { 0 };
    enum weft_status st = WEFT_OK;
    for (size_t at = 0; !st && at < text.len; at += each)
        st = weft_sse_feed(&s, weft_str_sub(text, at, at + each), on_event, log, &err);
    check(!st || err.msg[0]);
    *done = s.done;
    *left = st ? 0 : weft_sse_left(&s);
    weft_sse_clear(&s);
    return st;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weft_buf one = { 0 }, two = { 0 };
    bool done_one, done_two;
    size_t left_one, left_two, each = size ? data[0] % 7 + 1u : 1;
    uint64_t ms;
    struct weft_str text = { (const char *)data, size };
    enum weft_status a = feed(text, size + 1, &one, &done_one, &left_one);
    enum weft_status b = feed(text, each, &two, &done_two, &left_two);
    /* A limit may be met a little earlier in one piece than in many. */
    if (a != WEFT_ELIMIT && b != WEFT_ELIMIT) {
        check(a == b && done_one == done_two && left_one == left_two);
        check(weft_str_eq(weft_buf_view(&one), weft_buf_view(&two)));
    }
    (void)weft_retry_after_ms(text, 1445412480, &ms);
    weft_buf_clear(&one);
    weft_buf_clear(&two);
    return 0;
}
