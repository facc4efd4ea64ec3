/* bench_http MOCK_LLM [CALLS [MS [MOCK_TLS]]] - that many streamed calls at once on one thread: peak memory, wall time,
 * and how much longer it took than the slowest stream alone.
 *
 * The server (tests/mock/mock_llm) sends each answer in pieces with MS milliseconds between them, so all calls are in
 * flight for the whole time.  With MOCK_TLS (tests/mock/mock_tls) before it, each call has a TLS connection of its own.
 * Fails when peak memory is 100 MB or more, or an answer is not whole. */
#include "base/file.h"
#include "base/http.h"
#include "base/sse.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

struct stream {
    struct weft_sse sse;
    struct weft_buf body;
    size_t *whole, *events;
};

static bool on_event(void *ctx, const struct weft_sse_event *e)
{
    ++*((struct stream *)ctx)->events;
    return true;
}

static bool on_piece(void *ctx, const struct weft_http_reply *r, struct weft_str piece)
{
    struct stream *s = ctx;
    return weft_sse_feed(&s->sse, piece, on_event, s, NULL) == WEFT_OK;
}

static void on_done(void *ctx, const struct weft_http_reply *r)
{
    struct stream *s = ctx;
    if (!r->fault && r->status == 200 && s->sse.done) ++*s->whole;
    else fprintf(stderr, "bench_http: status %d: %s\n", r->status, r->err.msg);
    weft_sse_clear(&s->sse);
}

/* Starts a server and reads the port it prints; 0: none came. */
static pid_t start_mock(const char *const *argv, int *port)
{
    int out[2];
    char line[32] = "";
    if (pipe(out)) return -1;
    pid_t pid = fork();
    if (pid == 0) {
        dup2(out[1], STDOUT_FILENO);
        close(out[0]);
        execv(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    close(out[1]);
    if (read(out[0], line, sizeof line - 1) <= 0) line[0] = '\0';
    close(out[0]);
    *port = atoi(line);
    return pid;
}

/* As with a real service: the trusted file holds the system's certificates as well. */
static void add_system_certificates(const char *path)
{
    struct weft_arena a = { 0 };
    struct weft_str own, system;
    if (!weft_file_read(&a, path, 0, &own, NULL)
        && !weft_file_read(&a, "/etc/ssl/certs/ca-certificates.crt", 0, &system, NULL)
        && weft_file_write(path, weft_str_printf(&a, "%s%s", system.s, own.s), NULL))
        fprintf(stderr, "bench_http: %s cannot be written\n", path);
    weft_arena_clear(&a);
}

int main(int argc, char **argv)
{
    size_t n = argc > 2 ? strtoul(argv[2], NULL, 10) : 500, whole = 0, events = 0;
    const char *ms = argc > 3 ? argv[3] : "40";
    struct weft_err err = { 0 };
    struct weft_http *h = NULL;
    struct rlimit files;
    struct rusage usage;
    int port = 0, pieces = 50;
    char url[128], certificate[] = "/tmp/bench-http-XXXXXX", number[16];
    if (argc < 2 || !n) {
        fprintf(stderr, "usage: bench_http MOCK_LLM [CALLS [MS [MOCK_TLS]]]\n");
        return 2;
    }
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    const char *const llm[] = { argv[1], "--answer", "echo", "--piece", ms, "--seconds", "120", NULL };
    pid_t mocks[2] = { start_mock(llm, &port), 0 };
    bool tls = argc > 4;
    if (tls) {
        int fd = mkstemp(certificate);
        if (fd >= 0) close(fd);
        snprintf(number, sizeof number, "%d", port);
        const char *const front[] = { argv[4], certificate, "120", number, NULL };
        mocks[1] = start_mock(front, &port);
    }
    if (tls) add_system_certificates(certificate);
    struct weft_http_options options = { .ca_file = tls ? certificate : NULL };
    struct stream *streams = calloc(n, sizeof *streams);
    enum weft_status st = port && streams ? weft_http_new(&h, &options, &err) : WEFT_ESYSTEM;
    snprintf(url, sizeof url, "http%s://127.0.0.1:%d/v1/chat/completions", tls ? "s" : "", port);
    uint64_t started = st ? 0 : weft_http_now_ms(h);
    for (size_t i = 0; !st && i < n; i++) {
        struct stream *s = &streams[i];
        s->whole = &whole;
        s->events = &events;
        weft_buf_printf(
            &s->body, "{\"model\":\"m\",\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"%06zu", i);
        for (int k = 0; k < pieces; k++) weft_buf_cstr(&s->body, "一段很长的回答。");
        weft_buf_cstr(&s->body, "\"}]}");
        struct weft_http_request r = { .url = url,
                                       .bearer = "key",
                                       .body = weft_buf_view(&s->body),
                                       .ctx = s,
                                       .piece = on_piece,
                                       .done = on_done };
        st = weft_http_submit(h, &r, NULL, &err);
    }
    if (!st) st = weft_http_run(h, NULL, &err);
    if (st) fprintf(stderr, "bench_http: %s\n", err.msg);
    else {
        double wall = (double)(weft_http_now_ms(h) - started), least = (pieces + 1) * atof(ms);
        getrusage(RUSAGE_SELF, &usage);
        double cpu = (double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec
                     + (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
        printf("%zu streamed calls at once%s: %zu whole, %zu events, %.2f s wall (%.2f times one stream's %.2f s), "
               "%.2f s processor, peak memory %.1f MB\n",
               n, tls ? " over TLS" : "", whole, events, wall / 1000, wall / least, least / 1000, cpu,
               (double)usage.ru_maxrss * 1024 / 1e6);
        if (whole != n || usage.ru_maxrss * 1024 >= 100000000) st = WEFT_ELIMIT;
    }
    weft_http_free(h);
    for (size_t i = 0; streams && i < n; i++) weft_buf_clear(&streams[i].body);
    free(streams);
    for (int i = 0; i < 2; i++)
        if (mocks[i] > 0) {
            kill(mocks[i], SIGTERM);
            waitpid(mocks[i], NULL, 0);
        }
    if (tls) unlink(certificate);
    return st ? 1 : 0;
}
