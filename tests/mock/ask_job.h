/* tests/mock/ask_job.h - weft as a child that asks mock_llm and is killed again and again
 *
 * A job has a folder of its own, a service with a bill, a command, and the ledger that the command keeps.  Between two
 * runs the bill is compared with the ledger: a request whose answer stood there already must not come again (LG3). */
#ifndef WEFT_TESTS_MOCK_ASK_JOB_H
#define WEFT_TESTS_MOCK_ASK_JOB_H

#include "base/json.h"
#include "base/rng.h"
#include "dataset/ledger.h"
#include "mock/spawn.h"

#include <time.h>

static struct weft_err err;

struct job {
    struct weft_arena a;
    const char *dir, *calls, *bill, *url; /* calls: the ledger, set by the test */
    struct mock_server mock;
    const char *argv[40]; /* the command, ended by NULL; set by the test */
};

/* A folder, and a service started with these arguments (the last one NULL). */
static inline void job_open(struct job *j, const char *const *mock_arguments)
{
    const char *argv[24] = { "--bill" };
    size_t n = 1;
    const char *dir = check_folder();
    *j = (struct job){ 0 };
    j->dir = weft_arena_strndup(&j->a, dir, strlen(dir)); /* the name is check_folder's until its next call */
    j->bill = weft_path_join(&j->a, j->dir, "bill");
    argv[n++] = j->bill;
    for (; *mock_arguments; mock_arguments++) argv[n++] = *mock_arguments;
    j->mock = mock_start("mock_llm", argv);
    j->url = weft_str_printf(&j->a, "http://127.0.0.1:%d/v1", j->mock.ports[0]).s;
}

static inline const char *job_path(struct job *j, const char *name) { return weft_path_join(&j->a, j->dir, name); }

static inline void job_clear(struct job *j)
{
    mock_stop(&j->mock);
    check_folder_gone(j->dir);
    weft_arena_clear(&j->a);
}

static inline void job_add(struct job *j, const char *argument)
{
    size_t n = 0;
    while (j->argv[n]) n++;
    assert_true(n + 1 < WEFT_COUNT(j->argv));
    j->argv[n] = argument;
}

static inline pid_t job_start(const struct job *j)
{
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (!freopen("/dev/null", "w", stderr) || !freopen("/dev/null", "w", stdout)) _exit(126);
        execv(WEFT_BINARY, (char *const *)(uintptr_t)j->argv);
        _exit(127);
    }
    return pid;
}

/* The exit status, or -1 when it was killed. */
static inline int job_wait(pid_t pid)
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

static inline void keys_add(struct keys *k, const char *hex)
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

static inline bool keys_have(const struct keys *k, struct weft_str hex)
{
    for (size_t i = 0; i < k->n; i++)
        if (weft_str_is(hex, k->hex[i])) return true;
    return false;
}

static inline enum weft_status note_answer(void *ctx, const struct weft_call *call, struct weft_str record,
                                           struct weft_err *e)
{
    char hex[WEFT_CALL_KEY_HEX];
    weft_call_key_hex(&call->key, hex);
    if (call->state == WEFT_CALL_ANSWERED) keys_add(ctx, hex);
    return WEFT_OK;
}

static inline void read_ledger(struct job *j, struct keys *answered)
{
    struct weft_str bytes;
    struct weft_ledger_found f;
    if (!weft_file_exists(j->calls)) return;
    check_ok(weft_file_read(&j->a, j->calls, 0, &bytes, &err), &err);
    check_ok(weft_ledger_scan(j->calls, bytes, note_answer, answered, &f, &err), &err);
    assert_int_equal(f.damaged, 0);
}

/* Reads the bill from *at on: how many requests came, and how many of them for a key of `answered`. */
static inline void read_bill(struct job *j, size_t *at, const struct keys *answered, size_t *asked, size_t *again)
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

/* ---- the loop ---- */

struct kill_figures {
    uint64_t seed;
    size_t kills, runs, asked, again;
};

/* Kills the command at random moments of its first `longest_ms`, `wanted` times, and lets it come to its end.  When it
 * did so before, fresh(ctx) takes the ledger and what was written away, and all begins anew. */
static inline void job_kill_often(struct job *j, size_t wanted, unsigned longest_ms, void (*fresh)(struct job *j),
                                  struct kill_figures *out)
{
    struct weft_rng rng;
    struct keys answered = { .a = &j->a };
    size_t at = 0;
    *out = (struct kill_figures){ .seed = (uint64_t)time(NULL) };
    weft_rng_init(&rng, out->seed, WEFT_RNG_TEST, 0);
    for (int status = -1; status != 0 || out->kills < wanted; out->runs++) {
        assert_true(out->runs < 50 * wanted + 10);
        if (status == 0) {
            fresh(j);
            answered.n = 0;
        }
        pid_t pid = job_start(j);
        /* After a few kills the rest is left to run, so that runs end at every stage of the work. */
        if (out->runs % 5 != 4 && out->kills < wanted) {
            uint64_t ms = weft_rng_below(&rng, longest_ms);
            struct timespec pause = { (time_t)(ms / 1000), (long)(ms % 1000) * 1000000 };
            nanosleep(&pause, NULL);
            kill(pid, SIGKILL);
        }
        status = job_wait(pid);
        if (status != 0 && status != -1) fail_msg("status %d (seed %llu)", status, (unsigned long long)out->seed);
        out->kills += status == -1;
        read_bill(j, &at, &answered, &out->asked, &out->again);
        read_ledger(j, &answered);
    }
    print_message("seed %llu: %zu kills in %zu runs, %zu requests, %zu answered ones asked again\n",
                  (unsigned long long)out->seed, out->kills, out->runs, out->asked, out->again);
    assert_int_equal(out->again, 0);
}

/* How often to kill: WEFT_KILLS, or so many times. */
static inline size_t job_kills(size_t usual)
{
    const char *times = getenv("WEFT_KILLS");
    return times ? (size_t)strtoul(times, NULL, 10) : usual;
}

#endif
