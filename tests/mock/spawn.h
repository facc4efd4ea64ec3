/* tests/mock/spawn.h - starting a mock server from a test: mock_start, then mock_stop. */
#ifndef WEFT_TESTS_MOCK_SPAWN_H
#define WEFT_TESTS_MOCK_SPAWN_H

#include "check.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

struct mock_server {
    pid_t pid;
    int ports[4];
    size_t n_ports;
};

/* Runs WEFT_MOCKS/NAME with the arguments (the last one NULL) and waits until it listens.  It dies with the test. */
static inline struct mock_server mock_start(const char *name, const char *const *arguments)
{
    struct mock_server s = { 0 };
    const char *argv[32] = { 0 };
    char path[4096], line[128] = "";
    size_t n = 1, got = 0;
    int out[2];
    snprintf(path, sizeof path, "%s/%s", WEFT_MOCKS, name);
    argv[0] = path;
    for (; arguments && *arguments && n + 1 < WEFT_COUNT(argv); arguments++) argv[n++] = *arguments;
    if (pipe(out)) fail_msg("pipe");
    s.pid = fork();
    if (s.pid < 0) fail_msg("fork");
    if (s.pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(out[1], STDOUT_FILENO);
        close(out[0]);
        close(out[1]);
        execv(path, (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    close(out[1]);
    while (got + 1 < sizeof line && !strchr(line, '\n')) {
        ssize_t r = read(out[0], line + got, sizeof line - 1 - got);
        if (r <= 0) break;
        got += (size_t)r;
        line[got] = '\0';
    }
    close(out[0]);
    for (char *p = line, *end; s.n_ports < WEFT_COUNT(s.ports); p = end) {
        long port = strtol(p, &end, 10);
        if (end == p) break;
        s.ports[s.n_ports++] = (int)port;
    }
    if (!s.n_ports) fail_msg("%s does not start", path);
    return s;
}

static inline void mock_stop(struct mock_server *s)
{
    int status;
    if (s->pid > 0) {
        kill(s->pid, SIGTERM);
        waitpid(s->pid, &status, 0);
    }
    *s = (struct mock_server){ 0 };
}

#endif
