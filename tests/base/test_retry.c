/* base/retry on a simulated clock: an hour of a service's moods passes in milliseconds. */
#include "base/retry.h"
#include "check.h"

static enum weft_retry_verdict judge(struct weft_limiter *l, struct weft_retry *call, struct weft_try t,
                                     uint64_t now, uint64_t *wait, struct weft_err *err)
{
    struct weft_rng rng;
    weft_rng_init(&rng, 7, WEFT_RNG_TEST, now);
    *err = (struct weft_err){ 0 };
    return weft_retry_next(&(struct weft_retry_rules){ 0 }, l, call, &t, now, 1445412480, &rng, wait, err);
}

/* One first try that ends so. */
static enum weft_retry_verdict verdict(struct weft_try t, uint64_t *wait, struct weft_err *err)
{
    struct weft_limiter l;
    struct weft_retry call = { 0 };
    weft_limiter_init(&l, 8);
    assert_true(weft_limiter_take(&l, &call, 0));
    enum weft_retry_verdict v = judge(&l, &call, t, 0, wait, err);
    assert_int_equal(l.in_flight, 0);
    return v;
}

static void test_each_ending_has_its_verdict(void **state)
{
    static const struct {
        enum weft_http_fault fault;
        int status;
        bool sent, broken;
        enum weft_retry_verdict want;
        const char *rule, *body, *part;
    } rows[] = {
        { 0, 200, true, false, WEFT_RETRY_DONE, "", "", "" },
        { 0, 200, true, true, WEFT_RETRY_AGAIN, "", "", "" },
        { 0, 429, true, false, WEFT_RETRY_AGAIN, "", "{\"error\":{\"message\":\"slow\"}}", "" },
        { 0, 408, true, false, WEFT_RETRY_AGAIN, "", "", "" },
        { 0, 409, true, false, WEFT_RETRY_AGAIN, "", "", "" },
        { 0, 500, true, false, WEFT_RETRY_AGAIN, "", "", "" },
        { 0, 503, true, false, WEFT_RETRY_AGAIN, "", "", "" },
        { 0, 599, true, false, WEFT_RETRY_AGAIN, "", "", "" },
        { WEFT_HTTP_DNS, 0, false, false, WEFT_RETRY_AGAIN, "", "", "" },
        { WEFT_HTTP_REFUSED, 0, false, false, WEFT_RETRY_AGAIN, "", "", "" },
        { WEFT_HTTP_RESET, 0, false, false, WEFT_RETRY_AGAIN, "", "", "" },
        { WEFT_HTTP_TLS, 0, false, false, WEFT_RETRY_AGAIN, "", "", "" },
        { WEFT_HTTP_TIMEOUT, 0, true, false, WEFT_RETRY_AGAIN, "", "", "" },
        { WEFT_HTTP_LOCAL, 0, false, false, WEFT_RETRY_AGAIN, "", "", "" },
        { 0, 401, true, false, WEFT_RETRY_STOP, "C3", "{\"error\":{\"message\":\"bad key\"}}",
          "bad key); check api_key" },
        { 0, 402, true, false, WEFT_RETRY_STOP, "C3", "{\"error\":{\"message\":\"pay\"}}", "used up" },
        { 0, 403, true, false, WEFT_RETRY_STOP, "C3", "no", "(HTTP 403: no); check api_key" },
        { 0, 404, true, false, WEFT_RETRY_STOP, "C3", "{\"error\":\"no such model\"}",
          "no such model); check model" },
        { 0, 429, true, false, WEFT_RETRY_STOP, "C3",
          "{\"error\":{\"message\":\"q\",\"code\":\"insufficient_quota\"}}", "used up (HTTP 429" },
        { 0, 301, true, false, WEFT_RETRY_STOP, "C3", "moved", "base_url" },
        { 0, 400, true, false, WEFT_RETRY_GIVE_UP, "C3", "{\"error\":{\"message\":\"too long\",\"code\":\"x\"}}",
          "too long" },
        { 0, 413, true, false, WEFT_RETRY_GIVE_UP, "C3", "", "refuses this request" },
        { 0, 422, true, false, WEFT_RETRY_GIVE_UP, "C3", "{\"detail\":\"n\"}", "HTTP 422: n" },
        { WEFT_HTTP_FORBIDDEN, 0, false, false, WEFT_RETRY_STOP, "D9", "", "base_url" },
        { WEFT_HTTP_CANCELLED, 0, true, false, WEFT_RETRY_GIVE_UP, "", "", "stopped" },
    };
    for (size_t i = 0; i < WEFT_COUNT(rows); i++) {
        uint64_t wait;
        struct weft_err err;
        struct weft_try t = { .fault = rows[i].fault,
                              .status = rows[i].status,
                              .sent = rows[i].sent,
                              .broken = rows[i].broken,
                              .body = weft_str_c(rows[i].body) };
        enum weft_retry_verdict v = verdict(t, &wait, &err);
        if (v != rows[i].want || strcmp(err.rule, rows[i].rule) != 0 || !strstr(err.msg, rows[i].part))
            fail_msg("row %zu (%d, %d): verdict %d, rule %s: %s", i, rows[i].fault, rows[i].status, v, err.rule,
                     err.msg);
        if (v == WEFT_RETRY_AGAIN && (wait < 1000 || wait > 60000))
            fail_msg("row %zu: wait %llu", i, (unsigned long long)wait);
    }
}

static void test_the_service_may_forbid_repeats(void **state)
{
    uint64_t wait;
    struct weft_err err;
    struct weft_try t = { .status = 500, .sent = true, .should_retry = WEFT_STR("false") };
    assert_int_equal(verdict(t, &wait, &err), WEFT_RETRY_GIVE_UP);
}

static void test_tries_end_after_six_and_paid_ones_after_two_repeats(void **state)
{
    struct weft_limiter l;
    struct weft_retry call = { 0 };
    struct weft_err err;
    uint64_t wait, now = 0;
    enum weft_retry_verdict v;
    weft_limiter_init(&l, 1);
    do {
        assert_true(weft_limiter_take(&l, &call, now));
        v = judge(&l, &call, (struct weft_try){ .status = 502, .sent = true }, now, &wait, &err);
        now += wait;
    } while (v == WEFT_RETRY_AGAIN);
    assert_int_equal(v, WEFT_RETRY_GIVE_UP);
    assert_int_equal(call.tries, 6);
    assert_int_equal(call.maybe_paid, 0);
    assert_string_equal(err.rule, "C4");
    assert_true(now >= 5000 && now <= 5 * 60000);
    call = (struct weft_retry){ 0 };
    do {
        assert_true(weft_limiter_take(&l, &call, now));
        v = judge(&l, &call,
                  (struct weft_try){ .fault = WEFT_HTTP_TIMEOUT, .sent = true, .message = WEFT_STR("silent") },
                  now, &wait, &err);
    } while (v == WEFT_RETRY_AGAIN);
    assert_int_equal(call.tries, 3);
    assert_int_equal(call.maybe_paid, 3);
    assert_string_equal(err.rule, "C5");
    check_contains(err.msg, "3 tries were sent");
    check_contains(err.msg, "silent");
    /* What broke after an error's head came is not billed. */
    call = (struct weft_retry){ 0 };
    assert_true(weft_limiter_take(&l, &call, now));
    v = judge(&l, &call, (struct weft_try){ .fault = WEFT_HTTP_RESET, .status = 500, .sent = true }, now, &wait,
              &err);
    assert_int_equal(v, WEFT_RETRY_AGAIN);
    assert_int_equal(call.maybe_paid, 0);
}

static void test_backoff_doubles_jitters_and_stays_in_its_bounds(void **state)
{
    struct weft_rng rng;
    weft_rng_init(&rng, 1, WEFT_RNG_TEST, 0);
    for (int n = 1; n <= 40; n++) {
        uint64_t low = UINT64_MAX, high = 0, top = n < 6 ? 1000u << n : 60000;
        for (int i = 0; i < 2000; i++) {
            uint64_t ms = weft_backoff_ms(&rng, n, 1000, 60000);
            if (ms < low) low = ms;
            if (ms > high) high = ms;
        }
        if (low < 1000 || high > top || low > 1000 + top / 50 || high < top - top / 50)
            fail_msg("n %d: %llu to %llu, expected 1000 to %llu", n, (unsigned long long)low,
                     (unsigned long long)high, (unsigned long long)top);
    }
    assert_int_equal(weft_backoff_ms(&rng, 3, 500, 500), 500);
}

static void test_retry_after_is_seconds_or_a_date(void **state)
{
    static const struct {
        const char *value;
        bool ok;
        uint64_t ms;
    } rows[] = {
        { "120", true, 120000 },
        { "0", true, 0 },
        { "0.5", true, 500 },
        { "99999999999999999999", true, UINT64_C(9000000000000000) },
        { "Wed, 21 Oct 2015 07:28:05 GMT", true, 5000 }, /* 1445412485 */
        { "Wednesday, 21-Oct-15 07:29:00 GMT", true, 60000 },
        { "Wed, 21 Oct 2015 07:00:00 GMT", true, 0 },
        { "Mon, 29 Feb 2016 00:00:00 GMT", true, UINT64_C(11291520000) },
        { "", false, 0 },
        { "soon", false, 0 },
        { "-5", false, 0 },
        { "0x10", false, 0 },
        { "12 s", false, 0 },
        { "Wed, 41 Oct 2015 07:28:05 GMT", false, 0 },
        { "Wed, 21 Foo 2015 07:28:05 GMT", false, 0 },
        { "Wed, 21 anF 2015 07:28:05 GMT", false, 0 },
        { "nan", false, 0 },
    };
    for (size_t i = 0; i < WEFT_COUNT(rows); i++) {
        uint64_t ms = 0;
        bool ok = weft_retry_after_ms(weft_str_c(rows[i].value), 1445412480, &ms);
        if (ok != rows[i].ok || (ok && ms != rows[i].ms))
            fail_msg("\"%s\": %d %llu", rows[i].value, ok, (unsigned long long)ms);
    }
}

static void test_429_closes_the_door_for_all(void **state)
{
    struct weft_limiter l;
    struct weft_retry call[100] = { 0 };
    struct weft_err err;
    uint64_t wait;
    weft_limiter_init(&l, 100);
    for (int i = 0; i < 100; i++) assert_true(weft_limiter_take(&l, &call[i], 0));
    assert_false(weft_limiter_take(&l, &(struct weft_retry){ 0 }, 0));
    /* A burst of refusals halves once, not a hundred times. */
    for (int i = 0; i < 100; i++) {
        struct weft_try t = { .status = 429, .sent = true, .retry_after = WEFT_STR("20") };
        assert_int_equal(judge(&l, &call[i], t, 500, &wait, &err), WEFT_RETRY_AGAIN);
        assert_true(wait >= 20000 && wait <= 21000);
        assert_int_equal(call[i].tries, 0);
    }
    assert_int_equal(l.in_flight, 0);
    assert_int_equal((int)l.window, 50);
    assert_int_equal(weft_limiter_wait(&l, 500), 20000);
    assert_false(weft_limiter_take(&l, &call[0], 20499));
    for (int i = 0; i < 50; i++) assert_true(weft_limiter_take(&l, &call[i], 20500));
    assert_false(weft_limiter_take(&l, &call[50], 20500));
    /* A refusal in the new round halves again; more than 10 minutes is never waited for. */
    struct weft_try t = { .status = 429, .sent = true, .retry_after = WEFT_STR("86400") };
    assert_int_equal(judge(&l, &call[0], t, 20600, &wait, &err), WEFT_RETRY_AGAIN);
    assert_int_equal((int)l.window, 25);
    assert_int_equal(weft_limiter_wait(&l, 20600), 600000);
    /* The other 49 answers let it grow slowly: one for each full window. */
    for (int i = 1; i < 50; i++)
        assert_int_equal(judge(&l, &call[i], (struct weft_try){ .status = 200 }, 20700, &wait, &err), 0);
    assert_int_equal((int)l.window, 26);
}

static void test_429_for_ever_ends(void **state)
{
    struct weft_limiter l;
    struct weft_retry call = { 0 };
    struct weft_err err;
    uint64_t wait, now = 0;
    int n = 0;
    weft_limiter_init(&l, 4);
    for (;; n++) {
        now += weft_limiter_wait(&l, now);
        assert_true(weft_limiter_take(&l, &call, now));
        if (judge(&l, &call, (struct weft_try){ .status = 429 }, now, &wait, &err) != WEFT_RETRY_AGAIN) break;
        assert_true(n < 100);
    }
    assert_int_equal(call.limited, 31);
    assert_string_equal(err.rule, "C2");
    assert_true(l.window >= 1);
}

/* A service that allows `rate` calls a second and refuses the rest, for an hour: nobody may be lost, no refused call
 * may come back too early, and most of what is possible must get through. */
static void test_an_hour_behind_a_rate_limit(void **state)
{
    enum { CALLS = 20000, RATE = 10, TAKES_MS = 700 };
    struct event {
        uint64_t due;
        bool in_flight, waiting, over;
    } *e = calloc(CALLS, sizeof *e);
    struct weft_retry *call = calloc(CALLS, sizeof *call);
    struct weft_limiter l;
    struct weft_rng rng;
    struct weft_err err = { 0 };
    uint64_t now = 0, wait, second = UINT64_MAX, closed_until = 0;
    int asked = 0, done = 0, in_second = 0, refused = 0, early = 0, first_open = 0;
    assert_non_null(e);
    assert_non_null(call);
    weft_limiter_init(&l, 200);
    weft_rng_init(&rng, 3, WEFT_RNG_TEST, 1);
    for (; done < CALLS && now < 3600 * 1000; now += 10) {
        while (first_open < CALLS && e[first_open].over) first_open++;
        for (int i = first_open, seen = 0; i < CALLS && seen < 400; i++) {
            if (e[i].over) continue;
            seen++;
            if (e[i].in_flight && e[i].due <= now) {
                if (now / 1000 != second) {
                    second = now / 1000;
                    in_second = 0;
                }
                bool ok = in_second++ < RATE;
                struct weft_try t = { .status = ok ? 200 : 429, .sent = true };
                if (!ok) t.retry_after = WEFT_STR("1");
                refused += !ok;
                e[i].in_flight = false;
                enum weft_retry_verdict v = weft_retry_next(&(struct weft_retry_rules){ .max_limited = 1000 }, &l,
                                                            &call[i], &t, now, 0, &rng, &wait, &err);
                if (v == WEFT_RETRY_DONE) e[i].over = true, done++;
                else {
                    assert_int_equal(v, WEFT_RETRY_AGAIN);
                    e[i].waiting = true;
                    e[i].due = now + wait;
                    if (now + 1000 > closed_until) closed_until = now + 1000;
                }
            }
            if (!e[i].in_flight && !e[i].over && (!e[i].waiting || e[i].due <= now)
                && weft_limiter_take(&l, &call[i], now)) {
                early += now < closed_until;
                e[i] = (struct event){ .due = now + TAKES_MS, .in_flight = true };
                asked++;
            }
        }
    }
    assert_int_equal(done, CALLS);
    assert_int_equal(early, 0);
    assert_int_equal(asked, CALLS + refused);
    double possible = CALLS / (double)RATE * 1000; /* milliseconds at the service's full rate */
    print_message("rate limit: %d calls in %.0f s (%.0f s possible), %d refused, window %.1f\n", done,
                  now / 1000.0, possible / 1000, refused, l.window);
    assert_true(now < possible * 1.8);
    assert_true(refused < CALLS);
    free(e);
    free(call);
}

static void test_errors_of_services_are_read(void **state)
{
    static const struct {
        const char *json;
        bool ok, quota;
        const char *message, *code;
    } rows[] = {
        { "{\"error\":{\"message\":\"m\",\"type\":\"t\",\"param\":null,\"code\":\"c\"}}", true, false, "m", "c" },
        { "{\"error\":{\"message\":\"m\",\"type\":\"insufficient_quota\",\"code\":null}}", true, true, "m", "" },
        { "{\"error\":{\"message\":\"Insufficient Balance\",\"code\":\"invalid_request_error\"}}", true, true,
          "Insufficient Balance", "invalid_request_error" },
        { "{\"code\":\"Arrearage\",\"message\":\"m\",\"request_id\":\"1\"}", true, true, "m", "Arrearage" },
        { "{\"error\":{\"code\":1302,\"message\":\"m\"}}", true, false, "m", "1302" },
        { "{\"error\":\"text\"}", true, false, "text", "" },
        { "{\"detail\":\"d\"}", true, false, "d", "" },
        { "{\"error\":true}", true, false, "", "" },
        { "{\"error\":null,\"choices\":[]}", false, false, "", "" },
        { "{\"choices\":[],\"message\":\"m\"}", false, false, "m", "" },
        { "<html>", false, false, "", "" },
        { "[1]", false, false, "", "" },
        { "", false, false, "", "" },
    };
    for (size_t i = 0; i < WEFT_COUNT(rows); i++) {
        struct weft_arena a = { 0 };
        struct weft_api_error e;
        bool ok = weft_api_error_read(&a, weft_str_c(rows[i].json), &e);
        if (ok != rows[i].ok || weft_api_error_is_quota(&e) != rows[i].quota
            || !weft_str_is(e.message, rows[i].message) || !weft_str_is(e.code, rows[i].code))
            fail_msg("%s: %d, \"%.*s\", \"%.*s\"", rows[i].json, ok, (int)e.message.len, e.message.s,
                     (int)e.code.len, e.code.s);
        weft_arena_clear(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_ending_has_its_verdict),
        cmocka_unit_test(test_the_service_may_forbid_repeats),
        cmocka_unit_test(test_tries_end_after_six_and_paid_ones_after_two_repeats),
        cmocka_unit_test(test_backoff_doubles_jitters_and_stays_in_its_bounds),
        cmocka_unit_test(test_retry_after_is_seconds_or_a_date),
        cmocka_unit_test(test_429_closes_the_door_for_all),
        cmocka_unit_test(test_429_for_ever_ends),
        cmocka_unit_test(test_an_hour_behind_a_rate_limit),
        cmocka_unit_test(test_errors_of_services_are_read),
    };
    return cmocka_run_group_tests_name("base/retry", tests, NULL, NULL);
}
