/* base/http against tests/mock/mock_http.c: replies of every kind, each deadline, redirects and what goes along. */
#include "base/http.h"
#include "base/url.h"
#include "check.h"
#include "mock/spawn.h"

#include <arpa/inet.h>
#include <malloc.h>
#include <sys/socket.h>

struct world {
    struct mock_server mock;
    struct weft_http *http;
    struct weft_err err;
};

/* A name that no resolver knows, and each says so without asking the network: a label of 64 letters. */
#define LONG_LABEL "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

/* What a call left behind. */
struct seen {
    struct weft_http *http;
    int calls, heads, pieces;
    enum weft_http_fault fault;
    bool sent;
    int status, head_status;
    char body[70000], url[1024], streamed[256], message[WEFT_ERR_BYTES], header[256], rule[8];
    size_t body_len, streamed_len;
    uint64_t body_bytes, ms;
    int stop_at_piece;
};

static void on_done(void *ctx, const struct weft_http_reply *r)
{
    struct seen *s = ctx;
    s->calls++;
    s->fault = r->fault;
    s->sent = r->sent;
    s->status = r->status;
    s->body_len = r->body.len;
    s->body_bytes = r->body_bytes;
    s->ms = r->ms;
    snprintf(s->body, sizeof s->body, "%s", r->body.s);
    snprintf(s->url, sizeof s->url, "%.*s", (int)r->url.len, r->url.s);
    snprintf(s->message, sizeof s->message, "%s", r->err.msg);
    snprintf(s->rule, sizeof s->rule, "%s", r->err.rule);
    struct weft_str h = weft_http_header(r, "X-TWO");
    snprintf(s->header, sizeof s->header, "%.*s", (int)h.len, h.s ? h.s : "");
}

static bool on_head(void *ctx, const struct weft_http_reply *r)
{
    struct seen *s = ctx;
    s->heads++;
    s->head_status = r->status;
    return true;
}

static bool on_piece(void *ctx, const struct weft_http_reply *r, struct weft_str piece)
{
    struct seen *s = ctx;
    if (++s->pieces == s->stop_at_piece) return false;
    for (size_t i = 0; i < piece.len && s->streamed_len + 1 < sizeof s->streamed; i++)
        s->streamed[s->streamed_len++] = piece.s[i];
    return true;
}

static int start(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    if (!w) return -1;
    w->mock = mock_start("mock_http", NULL);
    check_ok(weft_http_new(&w->http, &(struct weft_http_options){ 0 }, &w->err), &w->err);
    *state = w;
    return 0;
}

static int stop(void **state)
{
    struct world *w = *state;
    weft_http_free(w->http);
    mock_stop(&w->mock);
    free(w);
    return 0;
}

static const char *url_of(const struct world *w, int server, const char *target)
{
    static char urls[8][1024];
    static unsigned next;
    char *u = urls[next++ % 8];
    snprintf(u, sizeof urls[0], "http://127.0.0.1:%d%s", w->mock.ports[server], target);
    return u;
}

/* One call from start to end. */
static void call(struct world *w, struct weft_http_request r, struct seen *s)
{
    *s = (struct seen){ .http = w->http, .stop_at_piece = s->stop_at_piece };
    r.ctx = s;
    r.done = on_done;
    check_ok(weft_http_submit(w->http, &r, NULL, &w->err), &w->err);
    assert_int_equal(s->calls, 0); /* never from submit */
    check_ok(weft_http_run(w->http, NULL, &w->err), &w->err);
    assert_int_equal(s->calls, 1);
    assert_int_equal(weft_http_calls(w->http), 0);
}

static struct seen seen; /* large; each test begins by overwriting it in call() */

static void test_a_reply_comes_whole(void **state)
{
    struct world *w = *state;
    call(w, (struct weft_http_request){ .url = url_of(w, 0, "/echo"), .head = on_head }, &seen);
    assert_int_equal(seen.fault, WEFT_HTTP_FINE);
    assert_int_equal(seen.status, 200);
    assert_int_equal(seen.heads, 1);
    assert_true(seen.sent);
    assert_string_equal(seen.header, "two words");
    check_contains(seen.body, "GET /echo");
    check_contains(seen.body, "User-Agent: weft/");
    assert_null(strstr(seen.body, "Authorization"));
    assert_string_equal(seen.message, "");
    assert_string_equal(seen.url, url_of(w, 0, "/echo"));
}

static void test_a_post_sends_its_body_headers_and_key(void **state)
{
    struct world *w = *state;
    const struct weft_http_header headers[] = { { "Content-Type", "application/json" }, { "X-Empty", "" } };
    call(w,
         (struct weft_http_request){ .url = url_of(w, 0, "/echo"),
                                     .headers = headers,
                                     .n_headers = 2,
                                     .bearer = "secret-1",
                                     .body = WEFT_STR("{\"a\":1}") },
         &seen);
    assert_int_equal(seen.status, 200);
    check_contains(seen.body, "POST /echo");
    check_contains(seen.body, "Content-Type: application/json\r\n");
    check_contains(seen.body, "X-Empty:\r\n");
    check_contains(seen.body, "Authorization: Bearer secret-1\r\n");
    check_contains(seen.body, "\r\n\r\n{\"a\":1}");
    assert_null(strstr(seen.body, "Expect"));
    assert_null(strstr(seen.body, "x-www-form-urlencoded"));
}

static void test_the_body_is_streamed_or_collected(void **state)
{
    struct world *w = *state;
    call(w, (struct weft_http_request){ .url = url_of(w, 0, "/chunked"), .piece = on_piece }, &seen);
    assert_int_equal(seen.fault, WEFT_HTTP_FINE);
    assert_string_equal(seen.streamed, "onetwothree");
    assert_int_equal(seen.body_len, 0);
    assert_int_equal(seen.body_bytes, 11);
    call(w, (struct weft_http_request){ .url = url_of(w, 0, "/until-close") }, &seen);
    assert_string_equal(seen.body, "all there is");
    /* An error is collected even where the reply was to be streamed. */
    call(w, (struct weft_http_request){ .url = url_of(w, 0, "/status/503"), .piece = on_piece }, &seen);
    assert_int_equal(seen.status, 503);
    assert_int_equal(seen.pieces, 0);
    assert_string_equal(seen.body, "no\n");
}

static void test_a_piece_that_says_no_ends_the_call(void **state)
{
    struct world *w = *state;
    seen.stop_at_piece = 2;
    call(w, (struct weft_http_request){ .url = url_of(w, 0, "/drip/20"), .piece = on_piece }, &seen);
    assert_int_equal(seen.fault, WEFT_HTTP_CANCELLED);
    assert_int_equal(seen.pieces, 2);
    assert_string_equal(seen.streamed, "0");
    seen.stop_at_piece = 0;
}

static void test_a_range_is_asked_for(void **state)
{
    struct world *w = *state;
    call(w, (struct weft_http_request){ .url = url_of(w, 0, "/echo"), .from = 7 }, &seen);
    check_contains(seen.body, "Range: bytes=7-\r\n");
    call(w, (struct weft_http_request){ .url = url_of(w, 0, "/echo"), .from = 0, .to = 99 }, &seen);
    check_contains(seen.body, "Range: bytes=0-99\r\n");
}

static void test_head_has_no_body(void **state)
{
    struct world *w = *state;
    call(w, (struct weft_http_request){ .method = "HEAD", .url = url_of(w, 0, "/bytes/1000") }, &seen);
    assert_int_equal(seen.fault, WEFT_HTTP_FINE);
    assert_int_equal(seen.status, 200);
    assert_int_equal(seen.body_bytes, 0);
}

static void test_a_large_reply_is_refused(void **state)
{
    struct world *w = *state;
    call(w, (struct weft_http_request){ .url = url_of(w, 0, "/bytes/5000"), .max_body_bytes = 5000 }, &seen);
    assert_int_equal(seen.fault, WEFT_HTTP_FINE);
    assert_int_equal(seen.body_len, 5000);
    call(w, (struct weft_http_request){ .url = url_of(w, 0, "/bytes/5001"), .max_body_bytes = 5000 }, &seen);
    assert_int_equal(seen.fault, WEFT_HTTP_TOO_LARGE);
    assert_int_equal(seen.body_bytes, 0); /* the length alone was enough */
    check_contains(seen.message, "larger than 5000 bytes");
    call(w, (struct weft_http_request){ .url = url_of(w, 0, "/chunked"), .max_body_bytes = 10 }, &seen);
    assert_int_equal(seen.fault, WEFT_HTTP_TOO_LARGE);
    call(w, (struct weft_http_request){ .url = url_of(w, 0, "/bytes/17000000") }, &seen);
    assert_int_equal(seen.fault, WEFT_HTTP_TOO_LARGE); /* 16 MiB when nothing is said */
}

static void test_faults_have_their_class(void **state)
{
    struct world *w = *state;
    static const struct {
        const char *target;
        enum weft_http_fault fault;
        int status;
    } rows[] = {
        { "/reset", WEFT_HTTP_RESET, 0 },        { "/close", WEFT_HTTP_RESET, 0 },
        { "/reset/body", WEFT_HTTP_RESET, 200 }, { "/head/100", WEFT_HTTP_RESET, 200 },
        { "/garbage", WEFT_HTTP_BAD_REPLY, 0 },  { "/status/404", WEFT_HTTP_FINE, 404 },
    };
    for (size_t i = 0; i < WEFT_COUNT(rows); i++) {
        call(w, (struct weft_http_request){ .url = url_of(w, 0, rows[i].target) }, &seen);
        if (seen.fault != rows[i].fault || seen.status != rows[i].status || !seen.sent)
            fail_msg("%s: fault %d, status %d, sent %d: %s", rows[i].target, seen.fault, seen.status, seen.sent,
                     seen.message);
        assert_true((seen.message[0] != '\0') == (rows[i].fault != WEFT_HTTP_FINE));
    }
    call(w, (struct weft_http_request){ .url = "http://127.0.0.1:1/" }, &seen);
    assert_int_equal(seen.fault, WEFT_HTTP_REFUSED);
    assert_false(seen.sent);
    check_contains(seen.message, "no connection to 127.0.0.1, port 1");
    call(w, (struct weft_http_request){ .url = "http://" LONG_LABEL ".example/" }, &seen);
    assert_int_equal(seen.fault, WEFT_HTTP_DNS);
    assert_false(seen.sent);
    char tls[64];
    snprintf(tls, sizeof tls, "https://127.0.0.1:%d/echo", w->mock.ports[0]);
    call(w, (struct weft_http_request){ .url = tls }, &seen);
    assert_int_equal(seen.fault, WEFT_HTTP_TLS);
    assert_false(seen.sent);
}

static void test_each_deadline_ends_a_call(void **state)
{
    struct world *w = *state;
    call(w, (struct weft_http_request){ .url = url_of(w, 0, "/hang"), .first_byte_ms = 100 }, &seen);
    assert_int_equal(seen.fault, WEFT_HTTP_TIMEOUT);
    assert_true(seen.sent);
    check_contains(seen.message, "sent nothing for 0.1 s");
    call(w, (struct weft_http_request){ .url = url_of(w, 0, "/hang/head"), .gap_ms = 100 }, &seen);
    assert_int_equal(seen.fault, WEFT_HTTP_TIMEOUT);
    assert_int_equal(seen.status, 200);
    assert_string_equal(seen.body, "abc");
    /* Drops come often enough for the gap; the whole call is what ends it. */
    call(w, (struct weft_http_request){ .url = url_of(w, 0, "/drip/60"), .gap_ms = 2000, .whole_ms = 250 }, &seen);
    assert_int_equal(seen.fault, WEFT_HTTP_TIMEOUT);
    assert_true(seen.body_bytes >= 1 && seen.body_bytes < 10);
    check_contains(seen.message, "took longer than 0.25 s");
    /* And with time enough it is a reply like others. */
    call(w, (struct weft_http_request){ .url = url_of(w, 0, "/drip/5"), .gap_ms = 5000 }, &seen);
    assert_int_equal(seen.fault, WEFT_HTTP_FINE);
    assert_string_equal(seen.body, "0123456789");
}

static void test_no_connection_within_its_time(void **state)
{
    struct world *w = *state;
    /* A socket that listens and whose queue is full: connecting takes for ever. */
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM, 0), fill[8];
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(fd, 0), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    for (size_t i = 0; i < WEFT_COUNT(fill); i++) {
        fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)!connect(fill[i], (struct sockaddr *)&at, sizeof at);
    }
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", ntohs(at.sin_port));
    call(w, (struct weft_http_request){ .url = url, .connect_ms = 200 }, &seen);
    assert_int_equal(seen.fault, WEFT_HTTP_TIMEOUT);
    assert_false(seen.sent);
    check_contains(seen.message, "no connection to 127.0.0.1 within 0.2 s");
    for (size_t i = 0; i < WEFT_COUNT(fill); i++) close(fill[i]);
    close(fd);
}

static void test_redirects_are_followed_only_when_asked(void **state)
{
    struct world *w = *state;
    struct weft_http_request r = { .url = url_of(w, 0, "/redirect/302//echo"),
                                   .bearer = "secret-2",
                                   .head = on_head };
    call(w, r, &seen);
    assert_int_equal(seen.status, 302);
    assert_string_equal(seen.body, "moved");
    r.follow = WEFT_HTTP_SAME_ORIGIN;
    call(w, r, &seen);
    assert_int_equal(seen.status, 200);
    assert_int_equal(seen.heads, 1); /* of the reply that counts */
    assert_int_equal(seen.head_status, 200);
    assert_string_equal(seen.url, url_of(w, 0, "/echo"));
    check_contains(seen.body, "Bearer secret-2");
    assert_null(strstr(seen.body, "moved"));
    /* A body is never sent on. */
    r.body = WEFT_STR("x");
    call(w, r, &seen);
    assert_int_equal(seen.status, 302);
}

static void test_the_key_never_goes_to_another_origin(void **state)
{
    struct world *w = *state;
    char there[700], back[700];
    snprintf(there, sizeof there, "/redirect/307/%s", url_of(w, 1, "/echo"));
    const struct weft_http_header headers[] = { { "Cookie", "secret-3" },
                                                { "X-Api-Key", "secret-4" },
                                                { "Accept-Encoding", "identity" } };
    struct weft_http_request r = { .url = url_of(w, 0, there),
                                   .bearer = "secret-2",
                                   .headers = headers,
                                   .n_headers = 3,
                                   .follow = WEFT_HTTP_SAME_ORIGIN,
                                   .from = 5 };
    call(w, r, &seen);
    assert_int_equal(seen.status, 307); /* another port is another origin */
    r.follow = WEFT_HTTP_ANYWHERE;
    call(w, r, &seen);
    assert_int_equal(seen.status, 200);
    assert_string_equal(seen.url, url_of(w, 1, "/echo"));
    assert_null(strstr(seen.body, "secret"));
    check_contains(seen.body, "Range: bytes=5-");
    check_contains(seen.body, "Accept-Encoding: identity");
    /* Not even when the way leads back: what came in between is not to be trusted. */
    snprintf(back, sizeof back, "/redirect/302/%s", url_of(w, 0, "/echo"));
    snprintf(there, sizeof there, "/redirect/302/%s", url_of(w, 1, back));
    r.url = url_of(w, 0, there);
    call(w, r, &seen);
    assert_int_equal(seen.status, 200);
    assert_string_equal(seen.url, url_of(w, 0, "/echo"));
    assert_null(strstr(seen.body, "secret"));
}

static void test_redirects_end(void **state)
{
    struct world *w = *state;
    call(w, (struct weft_http_request){ .url = url_of(w, 0, "/loop"), .follow = WEFT_HTTP_ANYWHERE }, &seen);
    assert_int_equal(seen.fault, WEFT_HTTP_BAD_REPLY);
    check_contains(seen.message, "too many redirects");
    static const char *const bad[] = { "/redirect/302/file:///etc/passwd", "/redirect/302/ftp://127.0.0.1/x",
                                       "/redirect/302/http://user:pw@127.0.0.1/x" };
    for (size_t i = 0; i < WEFT_COUNT(bad); i++) {
        call(w, (struct weft_http_request){ .url = url_of(w, 0, bad[i]), .follow = WEFT_HTTP_ANYWHERE }, &seen);
        assert_int_equal(seen.fault, WEFT_HTTP_BAD_REPLY);
        check_contains(seen.message, "cannot be used");
    }
    call(w,
         (struct weft_http_request){ .url = url_of(w, 0, "/redirect/302/http://169.254.169.254/latest"),
                                     .follow = WEFT_HTTP_ANYWHERE },
         &seen);
    assert_int_equal(seen.fault, WEFT_HTTP_FORBIDDEN);
}

static void test_a_request_with_a_body_is_never_sent_twice_by_itself(void **state)
{
    struct world *w = *state;
    struct weft_http_request r = { .url = url_of(w, 0, "/once"), .body = WEFT_STR("paid") };
    call(w, r, &seen);
    assert_int_equal(seen.fault, WEFT_HTTP_FINE);
    /* The kept connection is reset while the second request is on its way. */
    call(w, r, &seen);
    assert_int_equal(seen.fault, WEFT_HTTP_RESET);
    assert_true(seen.sent);
    /* What costs nothing is repeated by libcurl on a new connection. */
    r.body = (struct weft_str){ 0 };
    call(w, r, &seen);
    assert_int_equal(seen.fault, WEFT_HTTP_FINE);
    call(w, r, &seen);
    assert_int_equal(seen.fault, WEFT_HTTP_FINE);
}

static void test_addresses_that_are_never_called(void **state)
{
    struct world *w = *state;
    struct weft_http *h = NULL;
    static const char *const bad[] = { "http://169.254.169.254/latest/meta-data", "http://[fe80::1]/",
                                       "http://100.100.100.200/", "http://0xa9fea9fe/",
                                       "http://[::ffff:169.254.1.1]/" };
    for (size_t i = 0; i < WEFT_COUNT(bad); i++) {
        call(w, (struct weft_http_request){ .url = bad[i] }, &seen);
        if (seen.fault != WEFT_HTTP_FORBIDDEN) fail_msg("%s: fault %d: %s", bad[i], seen.fault, seen.message);
        assert_string_equal(seen.rule, "D9");
    }
    /* A name that leads there: seen at the moment of connecting, whatever was looked up before. */
    const char *const answers[] = { "trap.example:80:169.254.169.254", "inner.example:80:10.0.0.1",
                                    "mixed.example:80:169.254.1.1,127.0.0.1" };
    struct weft_http_options o = { .public_only = true, .resolve = answers, .n_resolve = 3 };
    check_ok(weft_http_new(&h, &o, &w->err), &w->err);
    struct world other = { .http = h };
    call(&other, (struct weft_http_request){ .url = "http://trap.example/" }, &seen);
    assert_int_equal(seen.fault, WEFT_HTTP_FORBIDDEN);
    check_contains(seen.message, "169.254.169.254");
    call(&other, (struct weft_http_request){ .url = "http://inner.example/" }, &seen);
    assert_int_equal(seen.fault, WEFT_HTTP_FORBIDDEN);
    call(&other, (struct weft_http_request){ .url = "http://mixed.example/" }, &seen);
    assert_int_equal(seen.fault, WEFT_HTTP_FORBIDDEN);
    call(&other, (struct weft_http_request){ .url = url_of(w, 0, "/echo") }, &seen);
    assert_int_equal(seen.fault, WEFT_HTTP_FORBIDDEN);
    assert_false(seen.sent);
    weft_http_free(h);
}

static void test_bad_requests_are_refused_at_once(void **state)
{
    struct world *w = *state;
    const struct weft_http_header split = { "X-A", "1\r\nX-B: 2" }, name = { "X A", "1" };
    struct weft_http_request r = { .url = "ftp://127.0.0.1/", .done = on_done, .ctx = &seen };
    seen = (struct seen){ 0 };
    check_refuses(weft_http_submit(w->http, &r, NULL, &w->err), &w->err, WEFT_EARG, "D9",
                  "expected http:// or https://");
    r.url = "http://me:hunter2@127.0.0.1/";
    assert_int_equal(weft_http_submit(w->http, &r, NULL, &w->err), WEFT_EARG);
    assert_null(strstr(w->err.msg, "hunter2"));
    weft_err_clear(&w->err);
    r.url = "http://127.0.0.1/";
    r.headers = &split;
    r.n_headers = 1;
    check_refuses(weft_http_submit(w->http, &r, NULL, &w->err), &w->err, WEFT_EARG, NULL,
                  "X-A holds a line break");
    r.headers = &name;
    check_refuses(weft_http_submit(w->http, &r, NULL, &w->err), &w->err, WEFT_EARG, NULL,
                  "no name of an HTTP header");
    r.n_headers = 0;
    r.bearer = "a\nb";
    check_refuses(weft_http_submit(w->http, &r, NULL, &w->err), &w->err, WEFT_EARG, NULL,
                  "Authorization holds a line");
    assert_int_equal(seen.calls, 0);
    assert_int_equal(weft_http_calls(w->http), 0);
}

/* ---- many calls, timers, cancelling ---- */

struct many {
    struct world *w;
    int left, done, fine, cancelled;
    struct weft_http_call *victim;
    char order[16];
};

static void many_done(void *ctx, const struct weft_http_reply *r)
{
    struct many *m = ctx;
    m->done++;
    m->fine += r->fault == WEFT_HTTP_FINE && r->status == 200;
    m->cancelled += r->fault == WEFT_HTTP_CANCELLED;
    if (m->left-- > 0) {
        struct weft_http_request again = { .url = url_of(m->w, 0, "/late/5"), .done = many_done, .ctx = m };
        check_ok(weft_http_submit(m->w->http, &again, NULL, &m->w->err), &m->w->err);
    }
}

static void test_hundreds_of_calls_at_once(void **state)
{
    struct world *w = *state;
    struct many m = { .w = w, .left = 300 };
    for (int i = 0; i < 300; i++) {
        struct weft_http_request r = { .url = url_of(w, i & 1, "/late/30"), .done = many_done, .ctx = &m };
        check_ok(weft_http_submit(w->http, &r, NULL, &w->err), &w->err);
    }
    assert_int_equal(weft_http_calls(w->http), 300);
    check_ok(weft_http_run(w->http, NULL, &w->err), &w->err);
    assert_int_equal(m.done, 600); /* each of the first 300 submitted another one */
    assert_int_equal(m.fine, 600);
}

static void timer_a(void *ctx) { strcat(((struct many *)ctx)->order, "a"); }
static void timer_b(void *ctx) { strcat(((struct many *)ctx)->order, "b"); }
static void timer_c(void *ctx)
{
    struct many *m = ctx;
    strcat(m->order, "c");
    assert_int_not_equal(weft_http_timer(m->w->http, 1, timer_a, m), 0);
    if (m->victim) weft_http_cancel(m->w->http, m->victim);
}

static void test_timers_run_in_their_order(void **state)
{
    struct world *w = *state;
    struct many m = { .w = w };
    assert_int_not_equal(weft_http_timer(w->http, 60, timer_b, &m), 0);
    assert_int_not_equal(weft_http_timer(w->http, 20, timer_c, &m), 0);
    uint64_t gone = weft_http_timer(w->http, 5, timer_b, &m);
    weft_http_timer_cancel(w->http, gone);
    check_ok(weft_http_run(w->http, NULL, &w->err), &w->err);
    assert_string_equal(m.order, "cab");
}

static void test_one_call_is_cancelled_and_the_others_go_on(void **state)
{
    struct world *w = *state;
    struct many m = { .w = w };
    struct weft_http_request r = { .url = url_of(w, 0, "/hang"), .done = many_done, .ctx = &m };
    check_ok(weft_http_submit(w->http, &r, &m.victim, &w->err), &w->err);
    r.url = url_of(w, 0, "/late/60");
    check_ok(weft_http_submit(w->http, &r, NULL, &w->err), &w->err);
    assert_int_not_equal(weft_http_timer(w->http, 20, timer_c, &m), 0);
    check_ok(weft_http_run(w->http, NULL, &w->err), &w->err);
    assert_int_equal(m.cancelled, 1);
    assert_int_equal(m.fine, 1);
}

static void test_the_users_stop_ends_all(void **state)
{
    struct world *w = *state;
    struct many m = { .w = w };
    volatile int flag = 1;
    struct weft_progress p = { .cancel = &flag };
    struct weft_http_request r = { .url = url_of(w, 0, "/hang"), .done = many_done, .ctx = &m };
    for (int i = 0; i < 10; i++) check_ok(weft_http_submit(w->http, &r, NULL, &w->err), &w->err);
    assert_int_not_equal(weft_http_timer(w->http, 100000, timer_a, &m), 0);
    check_refuses(weft_http_run(w->http, &p, &w->err), &w->err, WEFT_ECANCEL, NULL, "stopped");
    assert_int_equal(m.cancelled, 10);
    assert_string_equal(m.order, "");
}

static void test_freeing_with_calls_in_flight(void **state)
{
    struct world *w = *state;
    struct weft_http *h = NULL;
    struct many m = { .w = w };
    check_ok(weft_http_new(&h, &(struct weft_http_options){ 0 }, &w->err), &w->err);
    struct weft_http_request r = { .url = url_of(w, 0, "/hang"), .done = many_done, .ctx = &m };
    for (int i = 0; i < 5; i++) check_ok(weft_http_submit(h, &r, NULL, &w->err), &w->err);
    for (int i = 0; i < 5; i++) check_ok(weft_http_step(h, 10, &w->err), &w->err);
    check_ok(weft_http_submit(h, &r, NULL, &w->err), &w->err);
    weft_http_free(h);
    weft_http_free(NULL);
    assert_int_equal(m.done, 0);
}

/* Certificates: an unknown one, one for another name, and one that the user says to trust. */
static void test_certificates_are_always_verified(void **state)
{
    struct world *w = *state;
    const char *folder = check_folder(), *pem = check_path(folder, "cert.pem");
    const char *const arguments[] = { pem, NULL };
    struct mock_server tls = mock_start("mock_tls", arguments);
    struct world other = { .http = NULL };
    char url[64], answer[64], named[64], wrong[64];
    snprintf(url, sizeof url, "https://127.0.0.1:%d/", tls.ports[0]);
    snprintf(named, sizeof named, "https://trusted.example:%d/", tls.ports[0]);
    snprintf(wrong, sizeof wrong, "https://other.example:%d/", tls.ports[0]);
    call(w, (struct weft_http_request){ .url = url, .bearer = "secret" }, &seen);
    assert_int_equal(seen.fault, WEFT_HTTP_TLS);
    assert_false(seen.sent);
    check_contains(seen.message, "cannot be trusted");
    char other_answer[64];
    snprintf(answer, sizeof answer, "trusted.example:%d:127.0.0.1", tls.ports[0]);
    snprintf(other_answer, sizeof other_answer, "other.example:%d:127.0.0.1", tls.ports[0]);
    const char *const answers[] = { answer, other_answer };
    struct weft_http_options o = { .ca_file = pem, .resolve = answers, .n_resolve = 2 };
    check_ok(weft_http_new(&other.http, &o, &w->err), &w->err);
    call(&other, (struct weft_http_request){ .url = url }, &seen);
    assert_int_equal(seen.fault, WEFT_HTTP_FINE);
    assert_string_equal(seen.body, "secret");
    call(&other, (struct weft_http_request){ .url = named }, &seen);
    assert_int_equal(seen.fault, WEFT_HTTP_FINE);
    call(&other, (struct weft_http_request){ .url = wrong }, &seen);
    assert_int_equal(seen.fault, WEFT_HTTP_TLS);
    weft_http_free(other.http);
    mock_stop(&tls);
    check_folder_gone(folder);
}

/* How much the heap holds while calls are in flight, and how they ended. */
struct heap {
    size_t most, fine;
};

static bool heap_on_head(void *ctx, const struct weft_http_reply *r)
{
    struct heap *h = ctx;
    size_t now = mallinfo2().uordblks;
    if (now > h->most) h->most = now;
    return true;
}

static void heap_on_done(void *ctx, const struct weft_http_reply *r)
{
    if (!r->fault && r->status == 200) ((struct heap *)ctx)->fine++;
}

/* The system's 140 certificates are read once, not for each connection: that would be 0.8 MB each. */
static void test_tls_connections_share_the_certificates(void **state)
{
    enum { CALLS = 40, MOST_BYTES = 10 << 20 };
    struct world *w = *state;
    const char *folder = check_folder(), *pem = check_path(folder, "cert.pem");
    char port[16], url[64];
    snprintf(port, sizeof port, "%d", w->mock.ports[0]);
    const char *const arguments[] = { pem, "60", port, NULL };
    struct mock_server tls = mock_start("mock_tls", arguments);
    struct weft_arena a = { 0 };
    struct weft_str bundle, own;
    if (weft_file_read(&a, "/etc/ssl/certs/ca-certificates.crt", 0, &bundle, NULL) == WEFT_OK) {
        check_ok(weft_file_read(&a, pem, 0, &own, &w->err), &w->err);
        struct weft_str both = weft_str_printf(&a, "%s%s", bundle.s, own.s);
        check_ok(weft_file_write(pem, both, &w->err), &w->err);
    }
    struct weft_http *h = NULL;
    struct weft_http_options o = { .ca_file = pem };
    struct heap heap = { 0 };
    size_t before = mallinfo2().uordblks;
    check_ok(weft_http_new(&h, &o, &w->err), &w->err);
    snprintf(url, sizeof url, "https://127.0.0.1:%d/late/500", tls.ports[0]);
    for (int i = 0; i < CALLS; i++) {
        struct weft_http_request r = { .url = url, .ctx = &heap, .head = heap_on_head, .done = heap_on_done };
        check_ok(weft_http_submit(h, &r, NULL, &w->err), &w->err);
    }
    check_ok(weft_http_run(h, NULL, &w->err), &w->err);
    assert_int_equal(heap.fine, CALLS);
    if (heap.most - before > MOST_BYTES) fail_msg("%zu bytes for %d connections", heap.most - before, CALLS);
    weft_http_free(h);
    weft_arena_clear(&a);
    mock_stop(&tls);
    check_folder_gone(folder);
}

static void test_messages_in_chinese(void **state)
{
    struct world *w = *state;
    struct weft_http *h = NULL;
    check_ok(weft_http_new(&h, &(struct weft_http_options){ .lang = WEFT_LANG_ZH }, &w->err), &w->err);
    struct world other = { .http = h };
    call(&other, (struct weft_http_request){ .url = "http://127.0.0.1:1/" }, &seen);
    check_contains(seen.message, "无法连接");
    weft_http_free(h);
    struct weft_http_options o = { .ca_file = "/nowhere/ca.pem" };
    check_refuses(weft_http_new(&h, &o, &w->err), &w->err, WEFT_EARG, NULL, "/nowhere/ca.pem");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_reply_comes_whole),
        cmocka_unit_test(test_a_post_sends_its_body_headers_and_key),
        cmocka_unit_test(test_the_body_is_streamed_or_collected),
        cmocka_unit_test(test_a_piece_that_says_no_ends_the_call),
        cmocka_unit_test(test_a_range_is_asked_for),
        cmocka_unit_test(test_head_has_no_body),
        cmocka_unit_test(test_a_large_reply_is_refused),
        cmocka_unit_test(test_faults_have_their_class),
        cmocka_unit_test(test_each_deadline_ends_a_call),
        cmocka_unit_test(test_no_connection_within_its_time),
        cmocka_unit_test(test_redirects_are_followed_only_when_asked),
        cmocka_unit_test(test_the_key_never_goes_to_another_origin),
        cmocka_unit_test(test_redirects_end),
        cmocka_unit_test(test_a_request_with_a_body_is_never_sent_twice_by_itself),
        cmocka_unit_test(test_addresses_that_are_never_called),
        cmocka_unit_test(test_bad_requests_are_refused_at_once),
        cmocka_unit_test(test_hundreds_of_calls_at_once),
        cmocka_unit_test(test_timers_run_in_their_order),
        cmocka_unit_test(test_one_call_is_cancelled_and_the_others_go_on),
        cmocka_unit_test(test_the_users_stop_ends_all),
        cmocka_unit_test(test_freeing_with_calls_in_flight),
        cmocka_unit_test(test_certificates_are_always_verified),
        cmocka_unit_test(test_tls_connections_share_the_certificates),
        cmocka_unit_test(test_messages_in_chinese),
    };
    return cmocka_run_group_tests_name("base/http", tests, start, stop);
}
