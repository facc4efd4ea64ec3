/* A JSONL dataset read and checked: every rule of rows, figures, duplicates and conflicts; times Python's json.loads
 * line by line (which checks nothing of that) where python3 is at hand.
 * bench_check [MiB, default 32] */
#include "base/file.h"
#include "base/rng.h"
#include "dataset/check.h"
#include "dataset/formats.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* CPU seconds of this process: other work on the machine does not count on either side. */
static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Rows as screenplays give them: two turns of 5 to 60 characters and an origin. */
static enum weft_status write_rows(const char *path, size_t bytes, size_t *n, struct weft_err *err)
{
    struct weft_out out = { 0 };
    struct weft_rng rng;
    enum weft_status st = weft_out_open(&out, path, err);
    size_t written = 0;
    weft_rng_init(&rng, 1, WEFT_RNG_TEST, 0);
    for (*n = 0; !st && written < bytes; (*n)++) {
        char text[1024];
        size_t len = 0;
        for (int part = 0; part < 2; part++) {
            len += (size_t)snprintf(text + len, sizeof text - len,
                                    part ? "\",\"input\":\"\",\"output\":\"" : "{\"instruction\":\"");
            for (uint64_t k = 5 + weft_rng_below(&rng, 56); k; k--)
                len += weft_utf8_encode(0x4E00 + (uint32_t)weft_rng_below(&rng, 3000), text + len);
        }
        len += (size_t)snprintf(
            text + len, sizeof text - len,
            "\",\"weft\":{\"id\":\"s%06zu\",\"src\":{\"file\":\"a.txt\",\"line\":%zu,\"bytes\":[%zu,%zu]},"
            "\"via\":\"script/default@1\",\"prompt_speaker\":\"小满\"}}\n",
            *n, *n + 1, written, written + len);
        weft_out_add(&out, text, len);
        written += len;
    }
    if (!st) st = weft_out_commit(&out, err);
    weft_out_close(&out);
    return st;
}

static const char python[] = "import json,sys,time\n"
                             "s=time.process_time(); n=0\n"
                             "for line in open(sys.argv[1],encoding='utf-8'):\n"
                             "    json.loads(line); n+=1\n"
                             "print(time.process_time()-s,n)\n";

static bool python_seconds(const char *path, const char *script, double *seconds, size_t *rows)
{
    char command[256];
    struct weft_err err = { 0 };
    if (weft_file_write(script, weft_str_c(python), &err)) return false;
    snprintf(command, sizeof command, "python3 '%s' '%s' 2>/dev/null", script, path);
    FILE *p = popen(command, "r");
    bool ok = p && fscanf(p, "%lf %zu", seconds, rows) == 2;
    if (p) pclose(p);
    unlink(script);
    return ok;
}

int main(int argc, char **argv)
{
    size_t bytes = (size_t)(argc > 1 ? atoi(argv[1]) : 32) << 20, n, theirs;
    char path[] = "/tmp/weft-bench-check-XXXXXX", script[64];
    struct weft_err err = { 0 };
    double read = 1e9, check = 1e9, load, best = 1e9;
    int fd = mkstemp(path);
    if (fd >= 0) close(fd);
    snprintf(script, sizeof script, "%s.py", path);
    enum weft_status st = write_rows(path, bytes, &n, &err);
    for (int i = 0; i < 3 && !st; i++) { /* by turns, the best of three of each */
        struct weft_arena a = { 0 };
        struct weft_rows rows = { 0 };
        struct weft_report report = { 0 };
        struct weft_check c;
        double start = now();
        st = weft_rows_read(&a, path, NULL, &rows, &report, NULL, &err);
        double middle = now();
        if (!st) st = weft_check_rows(&a, &rows, NULL, &c, &err);
        double end = now();
        read = middle - start < read ? middle - start : read;
        check = end - start < check ? end - start : check;
        weft_arena_clear(&a);
        if (!st && python_seconds(path, script, &load, &theirs) && theirs == n && load < best) best = load;
    }
    if (!st) {
        printf("%zu rows, %zu MiB: read %.3f s, read and checked %.3f s (%.0f rows/s)", n, bytes >> 20, read,
               check, (double)n / check);
        if (best < 1e9) printf("; %.1f and %.1f times json.loads row by row", best / read, best / check);
        printf("\n");
    } else fprintf(stderr, "%s\n", err.msg);
    unlink(path);
    return weft_exit_code(st);
}
