/* When a run has to be over: how it is said, and how many updates that leaves. */
#include "train/runs.h"

#include "train/deadline.h"

/* 2026-11-25 06:30:00 UTC, a Wednesday */
static const time_t now = 1795588200;

static time_t parse(const char *text)
{
    struct weft_err err = { 0 };
    time_t at = 0;
    check_ok(weft_deadline_parse(text, now, &at, &err), &err);
    return at;
}

static void test_times_and_whiles(void **state)
{
    struct weft_err err = { 0 };
    time_t at;
    static const char *const bad[] = { "", "7", "24:00", "07:60", "7:0", "+", "+5", "+2d", "2026-13-01 07:00", "2026-12-01", "07:00:00", "noon",
                                       "+1h 30m", "2026-1-01 07:00" };
    (void)state;
    assert_int_equal(parse("07:00"), now + 1800);
    assert_int_equal(parse("7:00"), now + 1800);
    assert_int_equal(parse("06:00"), now - 1800 + 86400);       /* the next one is tomorrow's */
    assert_int_equal(parse("06:30"), now + 86400);
    assert_int_equal(parse("2026-11-26 00:00"), now - 6 * 3600 - 1800 + 86400);
    assert_int_equal(parse("2026-11-26T00:00"), now - 6 * 3600 - 1800 + 86400);
    assert_int_equal(parse("+90m"), now + 5400);
    assert_int_equal(parse("+1h30m10s"), now + 5410);
    for (size_t i = 0; i < WEFT_COUNT(bad); i++)
        check_refuses(weft_deadline_parse(bad[i], now, &at, &err), &err, WEFT_EINPUT, "", "until is");
    check_refuses(weft_deadline_parse("2026-11-25 06:29", now, &at, &err), &err, WEFT_EINPUT, "", "has passed");
}

static void test_updates_that_fit(void **state)
{
    /* begun at 0 with update 100; each takes 2 s; over at 1000 with 10 s to close */
    struct weft_deadline d = { .at = 1000, .most = 5000, .first_step = 100, .begun = 0, .closing_s = 10 };
    (void)state;
    assert_int_equal(weft_deadline_fit(&d, 100, 5000, 0), 5000);            /* nothing is known yet */
    assert_int_equal(weft_deadline_fit(&d, 110, 5000, 20), 110 + 485);
    assert_int_equal(weft_deadline_fit(&d, 110, 600, 20), 600);             /* near enough */
    assert_int_equal(weft_deadline_fit(&d, 110, 400, 20), 110 + 485);       /* faster than thought */
    d.most = 300;
    assert_int_equal(weft_deadline_fit(&d, 110, 300, 20), 300);             /* never more than the recipe says */
    assert_int_equal(weft_deadline_fit(&d, 250, 300, 995), 250);            /* time is up */
    assert_int_equal(weft_deadline_fit(&d, 250, 300, 2000), 250);
    d.at = 0;
    assert_int_equal(weft_deadline_fit(&d, 110, 5000, 20), 5000);
}

/* A run of a million epochs ends, with a line at its end, a checkpoint, and a rate that has gone to nearly nothing. */
static void test_a_run_ends_in_time_and_so_does_its_rate(void **state)
{
    struct run r;
    char dir[64], name[128];
    (void)state;
    snprintf(dir, sizeof dir, "%s", check_folder());
    run_set_up(&r, dir, 2, "num_train_epochs: 100000\nuntil: +2s\nlogging_steps: 1000\nsave_steps: 0\n");
    check_ok(run_go(&r), &r.err);
    assert_true(r.result.steps > 1 && r.result.steps < 700000);
    assert_int_equal(r.result.steps, r.result.total_steps);
    struct weft_str log = run_file(&r, dir, "log.jsonl");
    assert_true(weft_str_find(log, WEFT_STR("\"event\": \"fitted\""), 0) != SIZE_MAX);
    snprintf(name, sizeof name, "%s/checkpoint-%llu", dir, (unsigned long long)r.result.steps);
    check_ok(weft_checkpoint_verify(name, &r.err), &r.err);
    /* gone on with, it is over: its number of updates is that of the deadline, not the recipe's */
    struct run again;
    run_set_up(&again, dir, 2, "num_train_epochs: 100000\nlogging_steps: 1000\nsave_steps: 0\n");
    check_ok(run_go(&again), &again.err);
    assert_int_equal(again.result.steps, r.result.steps);
    run_tear_down(&again);
    run_tear_down(&r);
    check_folder_gone(dir);
}

static int in_utc(void **state)
{
    (void)state;
    setenv("TZ", "UTC", 1);
    tzset();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_times_and_whiles),
        cmocka_unit_test(test_updates_that_fit),
        cmocka_unit_test(test_a_run_ends_in_time_and_so_does_its_rate),
    };
    return cmocka_run_group_tests(tests, in_utc, NULL);
}
