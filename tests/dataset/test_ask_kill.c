/* The promise "an answer once received is never bought again": weft data ask is killed at random moments and goes on,
 * against a service that keeps a bill; and the same against one that fails in every way it can (C2-C8). */
#include "base/json.h"
#include "base/rng.h"
#include "dataset/formats.h"
#include "dataset/ledger.h"
#include "mock/spawn.h"

#include <time.h>

static struct weft_err err;

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

/* ---- running weft ---- */

struct job {
    struct weft_arena a;
    const char *dir, *text, *out, *calls, *bill, *url;
    struct mock_server mock;
    const char *more[8]; /* further arguments */
    size_t n_more;
};

static void job_init(struct job *j, const char *const *mock_arguments)
{
    const char *argv[24] = { "--bill" };
    size_t n = 1;
    const char *dir = check_folder();
    *j = (struct job){ 0 };
    j->dir = weft_arena_strndup(&j->a, dir, strlen(dir)); /* the name is check_folder's until its next call */
    j->text = weft_path_join(&j->a, j->dir, "text.txt");
    j->out = weft_path_join(&j->a, j->dir, "rows.jsonl");
    j->calls = weft_path_join(&j->a, j->dir, "rows.jsonl.calls");
    j->bill = weft_path_join(&j->a, j->dir, "bill");
    argv[n++] = j->bill;
    for (; *mock_arguments; mock_arguments++) argv[n++] = *mock_arguments;
    write_text(&j->a, j->text);
    j->mock = mock_start("mock_llm", argv);
    j->url = weft_str_printf(&j->a, "http://127.0.0.1:%d/v1", j->mock.ports[0]).s;
}

static void job_clear(struct job *j)
{
    mock_stop(&j->mock);
    check_folder_gone(j->dir);
    weft_arena_clear(&j->a);
}

static pid_t job_start(const struct job *j)
{
    const char *argv[32] = { WEFT_BINARY, "data", "ask", j->text, "--task", "summarise", "--max",
                             getenv("WEFT_NOVEL") ? "800" : "60", "--endpoint", j->url,
                             "--model", "mock", "--concurrency", "8", "-q", "-o", j->out };
    size_t n = 17;
    for (size_t i = 0; i < j->n_more; i++) argv[n++] = j->more[i];
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (!freopen("/dev/null", "w", stderr)) _exit(126);
        execv(WEFT_BINARY, (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    return pid;
}

/* The exit status, or -1 when it was killed. */
static int job_wait(pid_t pid)
{
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* ---- ledger and bill ---- */

struct keys {
    struct weft_arena *a;
    char (*hex)[WEFT_CALL_KEY_HEX];
    size_t n, cap;
};

static void keys_add(struct keys *k, const char *hex)
{
    for (size_t i = 0; i < k->n; i++)
        if (strcmp(k->hex[i], hex) == 0) return;
    if (k->n == k->cap) {
        size_t cap = k->cap ? 2 * k->cap : 256;
        char(*grown)[WEFT_CALL_KEY_HEX] = weft_arena_alloc(k->a, cap * sizeof *grown);
        if (k->n) memcpy(grown, k->hex, k->n * sizeof *grown);
        k->hex = grown;
        k->cap = cap;
    }
    snprintf(k->hex[k->n++], WEFT_CALL_KEY_HEX, "%s", hex);
}

static bool keys_have(const struct keys *k, struct weft_str hex)
{
    for (size_t i = 0; i < k->n; i++)
        if (weft_str_is(hex, k->hex[i])) return true;
    return false;
}

static enum weft_status note_answer(void *ctx, const struct weft_call *call, struct weft_str record, struct weft_err *e)
{
    char hex[WEFT_CALL_KEY_HEX];
    weft_call_key_hex(&call->key, hex);
    if (call->state == WEFT_CALL_ANSWERED) keys_add(ctx, hex);
    return WEFT_OK;
}

static void read_ledger(struct job *j, struct keys *answered)
{
    struct weft_str bytes;
    struct weft_ledger_found f;
    if (!weft_file_exists(j->calls)) return;
    check_ok(weft_file_read(&j->a, j->calls, 0, &bytes, &err), &err);
    check_ok(weft_ledger_scan(j->calls, bytes, note_answer, answered, &f, &err), &err);
    assert_int_equal(f.damaged, 0);
}

/* Reads the bill from *at on: how many requests came, and how many of them for a key of `answered`. */
static void read_bill(struct job *j, size_t *at, const struct keys *answered, size_t *asked, size_t *again)
{
    struct weft_str text, line;
    check_ok(weft_file_read(&j->a, j->bill, 0, &text, &err), &err);
    struct weft_lines lines = { .text = text, .at = *at };
    while (weft_lines_next(&lines, &line)) {
        struct weft_json_value v;
        check_ok(weft_json_parse(&j->a, "bill", line, &v, &err), &err);
        if (!weft_str_is(weft_json_get(&v, "event")->text, "asked")) continue;
        ++*asked;
        if (keys_have(answered, weft_json_get(&v, "idempotency")->text)) ++*again;
    }
    *at = text.len;
}

/* ---- rows ---- */

/* The outputs one behind the other are the text; every summary keeps its length. */
static void check_rows(struct job *j, struct weft_rows *rows)
{
    struct weft_report report = { 0 };
    struct weft_buf all = { 0 };
    struct weft_str text;
    *rows = (struct weft_rows){ 0 };
    check_ok(weft_rows_read(&j->a, j->out, NULL, rows, &report, NULL, &err), &err);
    check_ok(weft_file_read(&j->a, j->text, 0, &text, &err), &err);
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
    struct job whole, j;
    struct weft_rows rows;
    struct weft_str first, second;
    struct weft_rng rng;
    size_t at = 0, asked = 0, again = 0, kills = 0, runs = 0;
    const char *times = getenv("WEFT_KILLS"); /* more of them by hand */
    size_t wanted = times ? (size_t)strtoul(times, NULL, 10) : KILLS;
    job_init(&whole, quick);
    assert_int_equal(job_wait(job_start(&whole)), 0);
    check_rows(&whole, &rows);
    assert_true(rows.n >= PARAGRAPHS / 2);
    job_init(&j, quick);
    uint64_t seed = (uint64_t)time(NULL);
    weft_rng_init(&rng, seed, WEFT_RNG_TEST, 0);
    struct keys answered = { .a = &j.a };
    for (int status = -1; status != 0 || kills < wanted; runs++) {
        assert_true(runs < 50 * wanted);
        if (status == 0) { /* it came to its end: all over again, and the bill begins anew with the ledger */
            remove(j.calls);
            remove(j.out);
            answered.n = 0;
        }
        pid_t pid = job_start(&j);
        /* After a few kills the rest is left to run, so that runs end at every stage of the work. */
        if (runs % 5 != 4 && kills < wanted) {
            struct timespec pause = { 0, (long)weft_rng_below(&rng, 120000000) };
            nanosleep(&pause, NULL);
            kill(pid, SIGKILL);
        }
        status = job_wait(pid);
        assert_true(status == 0 || status == -1);
        kills += status == -1;
        read_bill(&j, &at, &answered, &asked, &again);
        read_ledger(&j, &answered);
    }
    print_message("seed %llu: %zu rows, %zu kills in %zu runs, %zu requests, %zu answered ones asked again\n",
                  (unsigned long long)seed, rows.n, kills, runs, asked, again);
    assert_int_equal(again, 0);
    check_rows(&j, &rows);
    check_ok(weft_file_read(&j.a, whole.out, 0, &first, &err), &err);
    check_ok(weft_file_read(&j.a, j.out, 0, &second, &err), &err);
    /* The texts stand in two folders, and rows name them. */
    struct weft_buf b = { 0 };
    for (size_t i = 0; i < first.len;) {
        bool here = weft_str_starts(weft_str_skip(first, i), weft_str_c(whole.dir));
        if (here) weft_buf_cstr(&b, j.dir);
        else weft_buf_char(&b, first.s[i]);
        i += here ? strlen(whole.dir) : 1;
    }
    assert_true(weft_str_eq(weft_buf_view(&b), second));
    weft_buf_clear(&b);
    job_clear(&whole);
    job_clear(&j);
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
    struct job whole;
    struct weft_rows want;
    job_init(&whole, good);
    assert_int_equal(job_wait(job_start(&whole)), 0);
    check_rows(&whole, &want);
    for (size_t k = 0; k < WEFT_COUNT(kinds); k++) {
        struct job j;
        struct weft_rows rows;
        size_t at = 0, asked = 0, again = 0;
        int status = -1;
        job_init(&j, kinds[k]);
        j.more[j.n_more++] = "--first-byte-timeout";
        j.more[j.n_more++] = "1";
        j.more[j.n_more++] = "--concurrency";
        j.more[j.n_more++] = "64";
        struct keys answered = { .a = &j.a };
        /* What failed six times over is left for the next run, as the message says. */
        for (int runs = 0; status != 0; runs++) {
            assert_true(runs < 4);
            status = job_wait(job_start(&j));
            assert_true(status == 0 || status == 4);
            read_bill(&j, &at, &answered, &asked, &again);
            read_ledger(&j, &answered);
        }
        check_rows(&j, &rows);
        assert_int_equal(rows.n, want.n);
        assert_true(asked > rows.n);
        assert_int_equal(again, 0);
        for (size_t i = 0; i < rows.n; i++) {
            assert_true(weft_str_eq(rows.items[i].turns[0].text, want.items[i].turns[0].text));
            assert_true(weft_str_eq(rows.items[i].turns[1].text, want.items[i].turns[1].text));
        }
        job_clear(&j);
    }
    job_clear(&whole);
}

/* C3: stops at once, says which setting, and keeps the answers. */
static void test_wrong_key_stops_at_once(void **state)
{
    const char *const locked[] = { "--key", "secret", NULL };
    struct job j;
    size_t at = 0, asked = 0, again = 0;
    job_init(&j, locked);
    assert_int_equal(job_wait(job_start(&j)), 6);
    struct keys none = { .a = &j.a };
    read_bill(&j, &at, &none, &asked, &again);
    assert_true(asked <= 2 * IN_FLIGHT);
    assert_false(weft_file_exists(j.out));
    setenv("WEFT_API_KEY", "secret", 1);
    assert_int_equal(job_wait(job_start(&j)), 0);
    unsetenv("WEFT_API_KEY");
    struct weft_rows rows;
    check_rows(&j, &rows);
    job_clear(&j);
}

/* SIGINT: what is in flight comes in, nothing new is sent, the next run goes on. */
static void test_interrupted_run_keeps_what_was_under_way(void **state)
{
    const char *const slow[] = { "--delay", "100", NULL };
    struct job j;
    size_t at = 0, asked = 0, again = 0;
    job_init(&j, slow);
    struct keys answered = { .a = &j.a };
    pid_t pid = job_start(&j);
    struct timespec pause = { 0, 450000000 };
    nanosleep(&pause, NULL);
    kill(pid, SIGINT);
    assert_int_equal(job_wait(pid), 130);
    read_ledger(&j, &answered);
    read_bill(&j, &at, &(struct keys){ 0 }, &asked, &again);
    assert_true(asked > 0 && asked == answered.n); /* every request that was sent is answered in the ledger */
    assert_int_equal(job_wait(job_start(&j)), 0);
    read_bill(&j, &at, &answered, &asked, &again);
    assert_int_equal(again, 0);
    job_clear(&j);
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
