/* The three parts that make paid calls safe - http, sse, retry - put together as a driver would, against the moods of
 * tests/mock/mock_llm.c: with every fault of C2, C4, C5 and C6 all calls are answered in the end, none twice; with
 * those of C3 everything stops at once and the answers stay. */
#include "base/http.h"
#include "base/json.h"
#include "base/retry.h"
#include "base/sse.h"
#include "check.h"
#include "mock/spawn.h"

#include <time.h>

enum { MAX_CALLS = 64 };

struct run;

struct call {
    struct run *run;
    bool stream, over;
    struct weft_buf body, answer;
    struct weft_sse sse;
    bool bad_event;
    struct weft_retry retry;
    bool busy; /* in flight, or waiting for its next try */
};

struct run {
    struct weft_http *http;
    struct weft_retry_rules rules;
    struct weft_limiter limiter;
    struct weft_rng rng;
    char url[128];
    struct call calls[MAX_CALLS];
    int n, answered, given_up, tries, limited, maybe_paid;
    bool stopped;
    struct weft_err err; /* of the last call that failed for good */
};

static void start_more(void *ctx);

/* One chunk of a stream: its piece of the answer. */
static bool on_event(void *ctx, const struct weft_sse_event *e)
{
    struct call *c = ctx;
    struct weft_arena a = { .block_bytes = 4096 };
    struct weft_json_value v;
    struct weft_api_error error;
    bool ok = !weft_json_parse(&a, "event", e->data, &v, NULL) && !weft_api_error_read(&a, e->data, &error);
    const struct weft_json_value *choices = ok ? weft_json_get(&v, "choices") : NULL;
    if (choices && choices->n) {
        const struct weft_json_value *text = weft_json_get(weft_json_get(&choices->items[0], "delta"), "content");
        if (text && text->kind == WEFT_JSON_STRING) weft_buf_str(&c->answer, text->text);
    }
    c->bad_event = c->bad_event || !ok;
    weft_arena_clear(&a);
    return ok;
}

static bool on_piece(void *ctx, const struct weft_http_reply *r, struct weft_str piece)
{
    struct call *c = ctx;
    return weft_sse_feed(&c->sse, piece, on_event, c, NULL) == WEFT_OK || (c->bad_event = true, false);
}

/* Is the whole reply an answer? */
static bool read_whole(struct call *c, struct weft_str body)
{
    struct weft_arena a = { .block_bytes = 4096 };
    struct weft_json_value v;
    const struct weft_json_value *choices = NULL, *text = NULL;
    if (!weft_json_parse(&a, "reply", body, &v, NULL)) choices = weft_json_get(&v, "choices");
    if (choices && choices->n) text = weft_json_get(weft_json_get(&choices->items[0], "message"), "content");
    if (text && text->kind == WEFT_JSON_STRING) weft_buf_str(&c->answer, text->text);
    weft_arena_clear(&a);
    return text != NULL;
}

static void wake(void *ctx)
{
    struct call *c = ctx;
    c->busy = false;
    start_more(c->run);
}

static void on_done(void *ctx, const struct weft_http_reply *reply)
{
    struct call *c = ctx;
    struct run *run = c->run;
    struct weft_try t = weft_try_of(reply);
    struct weft_err err = { 0 };
    uint64_t wait;
    if (c->bad_event) { /* our own refusal to read on, not the user's stop */
        t.fault = WEFT_HTTP_FINE;
        t.broken = true;
    } else if (!t.fault && t.status == 200) t.broken = c->stream ? !c->sse.done : !read_whole(c, reply->body);
    enum weft_retry_verdict v = weft_retry_next(&run->rules, &run->limiter, &c->retry, &t,
                                                weft_http_now_ms(run->http), time(NULL), &run->rng, &wait, &err);
    if (v == WEFT_RETRY_AGAIN) {
        if (!weft_http_timer(run->http, wait, wake, c)) fail_msg("timer");
        return;
    }
    c->over = true;
    run->answered += v == WEFT_RETRY_DONE;
    run->given_up += v == WEFT_RETRY_GIVE_UP;
    run->stopped = run->stopped || v == WEFT_RETRY_STOP;
    if (v != WEFT_RETRY_DONE) run->err = err;
    start_more(run);
}

static void start_more(void *ctx)
{
    struct run *run = ctx;
    static const struct weft_http_header type = { "Content-Type", "application/json" };
    uint64_t now = weft_http_now_ms(run->http);
    for (int i = 0; i < run->n && !run->stopped; i++) {
        struct call *c = &run->calls[i];
        if (c->over || c->busy) continue;
        if (!weft_limiter_take(&run->limiter, &c->retry, now)) {
            uint64_t wait = weft_limiter_wait(&run->limiter, now);
            if (wait && !weft_http_timer(run->http, wait, start_more, run)) fail_msg("timer");
            return;
        }
        weft_buf_reset(&c->answer);
        weft_sse_clear(&c->sse);
        c->bad_event = false;
        struct weft_http_request r = { .url = run->url,
                                       .headers = &type,
                                       .n_headers = 1,
                                       .body = weft_buf_view(&c->body),
                                       .bearer = "K3Y",
                                       .max_body_bytes = 1 << 20,
                                       .first_byte_ms = 1500,
                                       .gap_ms = 1500,
                                       .whole_ms = 2500,
                                       .ctx = c,
                                       .piece = c->stream ? on_piece : NULL,
                                       .done = on_done };
        struct weft_err err = { 0 };
        check_ok(weft_http_submit(run->http, &r, NULL, &err), &err);
        run->tries++;
        c->busy = true;
    }
}

static const char *text_of(int i)
{
    static char text[64];
    snprintf(text, sizeof text, "第%d回：雪落无声，谁人在此？", i);
    return text;
}

static void keep_body(void *ctx, const struct weft_http_reply *r) { weft_buf_str(ctx, r->body); }

/* Runs n calls against a mock with these options and gives the bill. */
static void run_against(struct run *run, int n, int parallel, const char *const *options,
                        struct weft_json_value *bill, struct weft_arena *a)
{
    struct mock_server mock = mock_start("mock_llm", options);
    struct weft_err err = { 0 };
    *run = (struct run){ .n = n, .rules = { .backoff_ms = 5, .max_backoff_ms = 40, .max_limited = 200 } };
    check_ok(weft_http_new(&run->http, &(struct weft_http_options){ 0 }, &err), &err);
    weft_limiter_init(&run->limiter, parallel);
    weft_rng_init(&run->rng, 1, WEFT_RNG_TEST, 0);
    snprintf(run->url, sizeof run->url, "http://127.0.0.1:%d/v1/chat/completions", mock.ports[0]);
    for (int i = 0; i < n; i++) {
        struct call *c = &run->calls[i];
        *c = (struct call){ .run = run, .stream = i & 1 };
        weft_buf_printf(&c->body,
                        "{\"model\":\"m\",\"stream\":%s,\"messages\":[{\"role\":\"user\",\"content\":\"%s\"}]}",
                        c->stream ? "true" : "false", text_of(i));
    }
    start_more(run);
    check_ok(weft_http_run(run->http, NULL, &err), &err);
    assert_int_equal(run->limiter.in_flight, 0);
    for (int i = 0; i < n; i++) {
        struct call *c = &run->calls[i];
        run->limited += c->retry.limited;
        run->maybe_paid += c->retry.maybe_paid;
        weft_buf_clear(&c->body);
        weft_sse_clear(&c->sse);
    }
    /* The bill, through the same client. */
    char url[128];
    snprintf(url, sizeof url, "http://127.0.0.1:%d/bill", mock.ports[0]);
    struct weft_buf text = { 0 };
    struct weft_http_request r = { .url = url, .ctx = &text, .done = keep_body };
    check_ok(weft_http_submit(run->http, &r, NULL, &err), &err);
    check_ok(weft_http_run(run->http, NULL, &err), &err);
    check_ok(weft_json_parse(a, "bill", weft_str_dup(a, weft_buf_view(&text)), bill, &err), &err);
    weft_buf_clear(&text);
    weft_http_free(run->http);
    mock_stop(&mock);
}

static int64_t number(const struct weft_json_value *bill, const char *key)
{
    const struct weft_json_value *v = weft_json_get(bill, key);
    return v && v->is_int ? v->integer : -1;
}

static void check_answers(struct run *run)
{
    for (int i = 0; i < run->n; i++) {
        if (!weft_str_is(weft_buf_view(&run->calls[i].answer), text_of(i)))
            fail_msg("call %d: \"%s\"", i, run->calls[i].answer.s ? run->calls[i].answer.s : "");
        weft_buf_clear(&run->calls[i].answer);
    }
}

static struct run run; /* large */

static void test_every_passing_fault_ends_in_an_answer(void **state)
{
    static const struct {
        const char *kind;
        bool limited, paid;
    } rows[] = {
        { "429", true, false },   { "429-date", true, false }, { "429-plain", true, false },
        { "408", false, false },  { "500", false, false },     { "503", false, false },
        { "reset", false, true }, { "close", false, true },    { "hang", false, true },
        { "cut", false, true },   { "json", false, true },     { "html", false, true },
        { "utf8", false, true },  { "nodone", false, true },   { "errorevent", false, true },
        { "drip", false, true },  { "big", false, true },
    };
    for (size_t i = 0; i < WEFT_COUNT(rows); i++) {
        struct weft_arena a = { 0 };
        struct weft_json_value bill;
        char fault[64];
        snprintf(fault, sizeof fault, "%s=0.4", rows[i].kind);
        const char *options[] = {
            "--answer", "echo", "--fault", fault, "--retry-after", "0", "--key", "K3Y", NULL
        };
        run_against(&run, 24, 8, options, &bill, &a);
        if (run.answered != 24 || number(&bill, "answered_again") != 0 || number(&bill, "answered") != 24
            || run.tries != number(&bill, "requests") || run.tries == 24 || (run.limited > 0) != rows[i].limited
            || (run.maybe_paid > 0) != rows[i].paid
            || run.tries - 24 != (rows[i].limited ? run.limited : run.tries - 24)
            || (rows[i].paid && run.maybe_paid != run.tries - 24))
            fail_msg("%s: %d answered, %d tries, %d limited, %d maybe paid; bill: %lld requests, %lld answered, %lld "
                     "again: %s",
                rows[i].kind, run.answered, run.tries, run.limited, run.maybe_paid,
                (long long)number(&bill, "requests"), (long long)number(&bill, "answered"),
                (long long)number(&bill, "answered_again"), run.err.msg);
        check_answers(&run);
        weft_arena_clear(&a);
    }
}

static void test_all_faults_together(void **state)
{
    struct weft_arena a = { 0 };
    struct weft_json_value bill;
    const char *options[] = { "--answer", "echo",     "--seed",  "5",          "--retry-after", "0",
                              "--fault",  "429=0.1",  "--fault", "500=0.1",    "--fault",       "reset=0.1",
                              "--fault",  "cut=0.1",  "--fault", "nodone=0.1", "--fault",       "html=0.1",
                              "--fault",  "hang=0.1", NULL };
    run_against(&run, 60, 60, options, &bill, &a);
    assert_int_equal(run.answered, 60);
    assert_int_equal(number(&bill, "answered_again"), 0);
    assert_int_equal(number(&bill, "max_answered"), 1);
    assert_true(run.limited > 0 && run.maybe_paid > 0);
    check_answers(&run);
    weft_arena_clear(&a);
}

/* C5: what is never answered is sent three times, not six. */
static void test_silence_is_paid_for_three_times_at_most(void **state)
{
    struct weft_arena a = { 0 };
    struct weft_json_value bill;
    const char *options[] = { "--fault", "hang=1", "--max-faults", "100", NULL };
    run_against(&run, 4, 4, options, &bill, &a);
    assert_int_equal(run.given_up, 4);
    assert_int_equal(number(&bill, "requests"), 12);
    assert_string_equal(run.err.rule, "C5");
    weft_arena_clear(&a);
    const char *busy[] = { "--fault", "500=1", "--max-faults", "100", NULL };
    run_against(&run, 4, 4, busy, &bill, &a);
    assert_int_equal(run.given_up, 4);
    assert_int_equal(number(&bill, "requests"), 24);
    assert_string_equal(run.err.rule, "C4");
    check_contains(run.err.msg, "something broke");
    weft_arena_clear(&a);
}

/* C3: the first such reply is the last call; answers that were there stay. */
static void test_what_will_not_pass_stops_everything(void **state)
{
    static const struct {
        const char *kind, *part;
    } rows[] = {
        { "401", "check api_key" }, { "403", "check api_key" }, { "404", "check model" }, { "quota", "used up" }
    };
    for (size_t i = 0; i < WEFT_COUNT(rows); i++) {
        struct weft_arena a = { 0 };
        struct weft_json_value bill;
        char script[64];
        snprintf(script, sizeof script, "ok,ok,ok,%s", rows[i].kind);
        const char *options[] = { "--answer", "echo", "--script", script, NULL };
        run_against(&run, 40, 1, options, &bill, &a);
        if (!run.stopped || run.answered != 3 || number(&bill, "requests") != 4 || strcmp(run.err.rule, "C3") != 0
            || !strstr(run.err.msg, rows[i].part))
            fail_msg("%s: %d answered, %lld requests: %s", rows[i].kind, run.answered,
                     (long long)number(&bill, "requests"), run.err.msg);
        for (int k = 0; k < 3; k++) check_str(weft_buf_view(&run.calls[k].answer), text_of(k));
        for (int k = 0; k < 40; k++) weft_buf_clear(&run.calls[k].answer);
        weft_arena_clear(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_passing_fault_ends_in_an_answer),
        cmocka_unit_test(test_all_faults_together),
        cmocka_unit_test(test_silence_is_paid_for_three_times_at_most),
        cmocka_unit_test(test_what_will_not_pass_stops_everything),
    };
    return cmocka_run_group_tests_name("base/http faults", tests, NULL, NULL);
}
