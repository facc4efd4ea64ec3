/* base/sse: the grammar of server-sent events, cut at every byte. */
#include "base/sse.h"
#include "check.h"

struct seen {
    struct weft_buf log;
    int stop_after;
};

static bool on_event(void *ctx, const struct weft_sse_event *e)
{
    struct seen *s = ctx;
    weft_buf_printf(&s->log, "[%.*s|%.*s|%.*s]", (int)e->name.len, e->name.s ? e->name.s : "", (int)e->data.len,
                    e->data.s ? e->data.s : "", (int)e->id.len, e->id.s ? e->id.s : "");
    return !s->stop_after || --s->stop_after > 0;
}

/* Feeds `text` in pieces of n bytes (the first one `first` long) and returns what came out. */
static void feed(const char *text, size_t len, size_t first, size_t n, const char *want, bool done, size_t left)
{
    struct weft_sse s = { 0 };
    struct seen seen = { 0 };
    struct weft_err err = { 0 };
    for (size_t at = 0, end = first; at < len; at = end, end += n) {
        if (end > len) end = len;
        check_ok(weft_sse_feed(&s, (struct weft_str){ text + at, end - at }, on_event, &seen, &err), &err);
    }
    if (!weft_str_is(weft_buf_view(&seen.log), want) || s.done != done || weft_sse_left(&s) != left
        || s.bytes != len)
        fail_msg("first %zu, pieces of %zu: \"%s\", expected \"%s\"; done %d, left %zu", first, n,
                 seen.log.s ? seen.log.s : "", want, s.done, weft_sse_left(&s));
    weft_buf_clear(&seen.log);
    weft_sse_clear(&s);
}

static void feed_everyhow(const char *text, const char *want, bool done, size_t left)
{
    size_t len = strlen(text);
    for (size_t n = 1; n <= len; n++) feed(text, len, n, n, want, done, left);
    for (size_t first = 1; first < len; first++) feed(text, len, first, len, want, done, left);
}

static void test_events_come_whole_however_they_are_cut(void **state)
{
    feed_everyhow("data: {\"t\":\"雪落无声\"}\n\ndata:二\r\n\r\ndata:  three\r\rdata: [DONE]\n\n",
                  "[|{\"t\":\"雪落无声\"}|][|二|][| three|]", true, 0);
}

static void test_fields(void **state)
{
    feed_everyhow("\xef\xbb\xbf"
                  "event: delta\nid: 7\ndata: a\ndata: b\ndata\n\n: ping\n\nretry: 10\nother: x\ndata: c\n\n",
                  "[delta|a\nb\n|7][|c|7]", false, 0);
    /* No data, no event; an empty data line is an empty event. */
    feed_everyhow("event: x\n\ndata:\n\n", "[||]", false, 0);
    feed_everyhow(":\n:\n\n\n", "", false, 0);
}

static void test_a_cut_stream_is_seen(void **state)
{
    feed_everyhow("data: a\n\ndata: {\"half", "[|a|]", false, 12);
    feed_everyhow("data: a\n\ndata: b\n", "[|a|]", false, 2);
}

static void test_nothing_is_handed_over_after_done(void **state)
{
    feed_everyhow("data: a\n\ndata: [DONE]\n\ndata: b\n\n", "[|a|]", true, 0);
    feed_everyhow("data: a\n\ndata:[DONE] \n\n", "[|a|]", true, 0);
    feed_everyhow("data: x[DONE]\n\n", "[|x[DONE]|]", false, 0);
}

static void test_bad_utf8_is_refused(void **state)
{
    struct weft_sse s = { 0 };
    struct seen seen = { 0 };
    struct weft_err err = { 0 };
    check_refuses(weft_sse_feed(&s, WEFT_STR("data: ok\n\ndata: \xe4\xb8\n\n"), on_event, &seen, &err), &err,
                  WEFT_EINPUT, "C6", "event 2 of the stream");
    check_str(weft_buf_view(&seen.log), "[|ok|]");
    weft_sse_clear(&s);
    weft_buf_clear(&seen.log);
}

static void test_an_endless_event_meets_its_limit(void **state)
{
    struct weft_sse s = { .max_bytes = 100 };
    struct seen seen = { 0 };
    struct weft_err err = { 0 };
    enum weft_status st = WEFT_OK;
    size_t fed = 0;
    while (!st && fed < 10000) {
        st = weft_sse_feed(&s, WEFT_STR("data: 0123456789\n"), on_event, &seen, &err);
        fed += 17;
    }
    assert_int_equal(st, WEFT_ELIMIT);
    assert_true(fed < 300);
    weft_sse_clear(&s);
    weft_err_clear(&err);
    for (st = WEFT_OK, fed = 0; !st && fed < 10000; fed += 10)
        st = weft_sse_feed(&s, WEFT_STR("xxxxxxxxxx"), on_event, &seen, &err);
    assert_int_equal(st, WEFT_ELIMIT);
    assert_true(fed < 300);
    weft_sse_clear(&s);
    assert_null(seen.log.s);
}

static void test_the_reader_of_events_may_stop(void **state)
{
    struct weft_sse s = { 0 };
    struct seen seen = { .stop_after = 2 };
    struct weft_err err = { 0 };
    check_refuses(weft_sse_feed(&s, WEFT_STR("data: a\n\ndata: b\n\ndata: c\n\n"), on_event, &seen, &err), &err,
                  WEFT_ECANCEL, NULL, NULL);
    check_str(weft_buf_view(&seen.log), "[|a|][|b|]");
    weft_sse_clear(&s);
    weft_buf_clear(&seen.log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events_come_whole_however_they_are_cut),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_a_cut_stream_is_seen),
        cmocka_unit_test(test_nothing_is_handed_over_after_done),
        cmocka_unit_test(test_bad_utf8_is_refused),
        cmocka_unit_test(test_an_endless_event_meets_its_limit),
        cmocka_unit_test(test_the_reader_of_events_may_stop),
    };
    return cmocka_run_group_tests_name("base/sse", tests, NULL, NULL);
}
