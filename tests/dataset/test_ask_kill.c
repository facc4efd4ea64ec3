/* The promise "an answer once received is never bought again": weft data ask is killed at random moments and goes on,
 * against a service that keeps a bill; and the same against one that fails in every way it can (C2-C8). */
#include "dataset/formats.h"
#include "mock/ask_job.h"

enum { PARAGRAPHS = 150, KILLS = 20, IN_FLIGHT = 8 };

/* A text of ours, every paragraph different; by hand a whole novel: WEFT_NOVEL=FILE WEFT_KILLS=100. */
static void write_text(struct weft_arena *a, const char *path)
{
    struct weft_buf b = { 0 };
    struct weft_str novel;
    if (getenv("WEFT_NOVEL")) {
        check_ok(weft_file_read(a, getenv("WEFT_NOVEL"), 0, &novel, &err), &err);
        check_ok(weft_file_write(path, novel, &err), &err);
        return;
    }
    for (int i = 1; i <= PARAGRAPHS; i++)
        weft_buf_printf(&b, "第%d天，老张牵着驴进城，卖了%d斤炭。“今天第%d个买主是谁？”他问。没有人答话，驴叫了%d声。\n", i, i * 7 % 50 + 1,
                        i, i % 9 + 1);
    check_ok(weft_file_write(path, weft_buf_view(&b), &err), &err);
    weft_buf_clear(&b);
}

/* ---- the command ---- */

struct ask {
    struct job j;
    const char *text, *out;
};

static void ask_init(struct ask *k, const char *const *mock_arguments)
{
    struct job *j = &k->j;
    job_open(j, mock_arguments);
    k->text = job_path(j, "text.txt");
    k->out = job_path(j, "rows.jsonl");
    j->calls = job_path(j, "rows.jsonl.calls");
    write_text(&j->a, k->text);
    const char *const argv[] = { WEFT_BINARY, "data", "ask", k->text, "--task", "summarise", "--max",
                                 getenv("WEFT_NOVEL") ? "800" : "60", "--endpoint", j->url,
                                 "--model", "mock", "--concurrency", "8", "-q", "-o", k->out };
    for (size_t i = 0; i < WEFT_COUNT(argv); i++) job_add(j, argv[i]);
}

static void ask_fresh(struct job *j)
{
    remove(j->calls);
    remove(job_path(j, "rows.jsonl"));
}

/* ---- rows ---- */

/* The outputs one behind the other are the text; every summary keeps its length. */
static void check_rows(struct ask *k, struct weft_rows *rows)
{
    struct job *j = &k->j;
    struct weft_report report = { 0 };
    struct weft_buf all = { 0 };
    struct weft_str text;
    *rows = (struct weft_rows){ 0 };
    check_ok(weft_rows_read(&j->a, k->out, NULL, rows, &report, NULL, &err), &err);
    check_ok(weft_file_read(&j->a, k->text, 0, &text, &err), &err);
    for (size_t i = 0; i < rows->n; i++) {
        const struct weft_row *row = &rows->items[i];
        struct weft_str summary = weft_str_skip(row->turns[0].text, row->instruction_len + 1);
        assert_true(summary.len > 0 && weft_utf8_chars(summary) <= 50);
        assert_true(row->origin.parents.len > 0 && row->origin.sha256.len == 64 && row->origin.line > 0);
        weft_buf_str(&all, row->turns[1].text);
    }
    assert_true(weft_str_eq(weft_buf_view(&all), text));
    weft_buf_clear(&all);
}

/* ---- tests ---- */

static void test_killed_at_random_moments_nothing_is_bought_twice(void **state)
{
    const char *const quick[] = { "--delay", "5", NULL };
    struct ask whole, k;
    struct weft_rows rows;
    struct weft_str first, second;
    struct kill_figures f;
    ask_init(&whole, quick);
    assert_int_equal(job_wait(job_start(&whole.j)), 0);
    check_rows(&whole, &rows);
    assert_true(rows.n >= PARAGRAPHS / 2);
    ask_init(&k, quick);
    job_kill_often(&k.j, job_kills(KILLS), 120, ask_fresh, &f);
    check_rows(&k, &rows);
    check_ok(weft_file_read(&k.j.a, whole.out, 0, &first, &err), &err);
    check_ok(weft_file_read(&k.j.a, k.out, 0, &second, &err), &err);
    /* The texts stand in two folders, and rows name them. */
    struct weft_buf b = { 0 };
    for (size_t i = 0; i < first.len;) {
        bool here = weft_str_starts(weft_str_skip(first, i), weft_str_c(whole.j.dir));
        if (here) weft_buf_cstr(&b, k.j.dir);
        else weft_buf_char(&b, first.s[i]);
        i += here ? strlen(whole.j.dir) : 1;
    }
    assert_true(weft_str_eq(weft_buf_view(&b), second));
    weft_buf_clear(&b);
    job_clear(&whole.j);
    job_clear(&k.j);
}

/* 10 % of each kind of fault; one kind's deadline is short so that silence is noticed within the test. */
static void test_faults_of_every_kind_change_no_row(void **state)
{
    const char *const good[] = { "--answer", "text:老张牵驴进城卖炭。", NULL };
    const char *const kinds[][12] = {
        { "--answer", "text:老张牵驴进城卖炭。", "--fault", "429=0.1", "--fault", "429-plain=0.1", "--retry-after", "1", NULL },
        { "--answer", "text:老张牵驴进城卖炭。", "--fault", "500=0.1", "--fault", "408=0.1", "--fault", "reset=0.1", NULL },
        { "--answer", "text:老张牵驴进城卖炭。", "--fault", "hang=0.1", "--fault", "close=0.1", NULL },
        { "--answer", "text:老张牵驴进城卖炭。", "--fault", "cut=0.1", "--fault", "json=0.1", "--fault", "nodone=0.1", NULL },
        { "--answer", "text:老张牵驴进城卖炭。", "--fault", "html=0.1", "--fault", "utf8=0.1", "--fault", "errorevent=0.1", NULL },
        { "--answer", "text:老张牵驴进城卖炭。", "--fault", "length=0.1", "--fault", "empty=0.1", "--fault", "form=0.1", NULL },
    };
    struct ask whole;
    struct weft_rows want;
    ask_init(&whole, good);
    assert_int_equal(job_wait(job_start(&whole.j)), 0);
    check_rows(&whole, &want);
    for (size_t kind = 0; kind < WEFT_COUNT(kinds); kind++) {
        struct ask k;
        struct weft_rows rows;
        size_t at = 0, asked = 0, again = 0;
        int status = -1;
        ask_init(&k, kinds[kind]);
        const char *const more[] = { "--first-byte-timeout", "1", "--concurrency", "64" };
        for (size_t i = 0; i < WEFT_COUNT(more); i++) job_add(&k.j, more[i]);
        struct keys answered = { .a = &k.j.a };
        /* What failed six times over is left for the next run, as the message says. */
        for (int runs = 0; status != 0; runs++) {
            assert_true(runs < 4);
            status = job_wait(job_start(&k.j));
            assert_true(status == 0 || status == 4);
            read_bill(&k.j, &at, &answered, &asked, &again);
            read_ledger(&k.j, &answered);
        }
        check_rows(&k, &rows);
        assert_int_equal(rows.n, want.n);
        assert_true(asked > rows.n);
        assert_int_equal(again, 0);
        for (size_t i = 0; i < rows.n; i++) {
            assert_true(weft_str_eq(rows.items[i].turns[0].text, want.items[i].turns[0].text));
            assert_true(weft_str_eq(rows.items[i].turns[1].text, want.items[i].turns[1].text));
        }
        job_clear(&k.j);
    }
    job_clear(&whole.j);
}

/* C3: stops at once, says which setting, and keeps the answers. */
static void test_wrong_key_stops_at_once(void **state)
{
    const char *const locked[] = { "--key", "secret", NULL };
    struct ask k;
    size_t at = 0, asked = 0, again = 0;
    ask_init(&k, locked);
    assert_int_equal(job_wait(job_start(&k.j)), 6);
    struct keys none = { .a = &k.j.a };
    read_bill(&k.j, &at, &none, &asked, &again);
    assert_true(asked <= 2 * IN_FLIGHT);
    assert_false(weft_file_exists(k.out));
    setenv("WEFT_API_KEY", "secret", 1);
    assert_int_equal(job_wait(job_start(&k.j)), 0);
    unsetenv("WEFT_API_KEY");
    struct weft_rows rows;
    check_rows(&k, &rows);
    job_clear(&k.j);
}

/* SIGINT: what is in flight comes in, nothing new is sent, the next run goes on. */
static void test_interrupted_run_keeps_what_was_under_way(void **state)
{
    const char *const slow[] = { "--delay", "100", NULL };
    struct ask k;
    size_t at = 0, asked = 0, again = 0;
    ask_init(&k, slow);
    struct keys answered = { .a = &k.j.a };
    pid_t pid = job_start(&k.j);
    for (unsigned tries = 0; !asked && tries < 3000; tries++) {
        nanosleep(&(struct timespec){ 0, 20000000 }, NULL);
        read_bill(&k.j, &at, &(struct keys){ 0 }, &asked, &again);
    }
    kill(pid, SIGINT);
    assert_int_equal(job_wait(pid), 130);
    read_ledger(&k.j, &answered);
    read_bill(&k.j, &at, &(struct keys){ 0 }, &asked, &again);
    assert_true(asked > 0 && asked == answered.n); /* every request that was sent is answered in the ledger */
    assert_int_equal(job_wait(job_start(&k.j)), 0);
    read_bill(&k.j, &at, &answered, &asked, &again);
    assert_int_equal(again, 0);
    job_clear(&k.j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_killed_at_random_moments_nothing_is_bought_twice),
        cmocka_unit_test(test_faults_of_every_kind_change_no_row),
        cmocka_unit_test(test_wrong_key_stops_at_once),
        cmocka_unit_test(test_interrupted_run_keeps_what_was_under_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
