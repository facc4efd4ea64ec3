/* JSON lines checked as `weft data check` does (every rule of rows, figures, duplicates, conflicts, the dataset's hash)
 * against Python's json.loads row by row, which checks nothing of that: by turns, medians, by the clock on the wall and
 * in processor time.  Short rows with origins, long conversations, and the files given.
 * bench_check [-m MiB, default 32] [-t threads, default one per processor] [FILE.jsonl...] */
#include "base/file.h"
#include "base/rng.h"
#include "dataset/check_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 7 };

static double now(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- samples ---- */

static size_t add_chars(struct weft_rng *rng, char *text, uint64_t n)
{
    size_t len = 0;
    for (; n; n--) len += weft_utf8_encode(0x4E00 + (uint32_t)weft_rng_below(rng, 3000), text + len);
    return len;
}

/* A row as screenplays give them: two turns of 5 to 60 characters and an origin. */
static size_t persona_row(struct weft_rng *rng, char *text, size_t room, size_t n, size_t written)
{
    size_t len = 0;
    for (int part = 0; part < 2; part++) {
        len += (size_t)snprintf(text + len, room - len,
                                part ? "\",\"input\":\"\",\"output\":\"" : "{\"instruction\":\"");
        len += add_chars(rng, text + len, 5 + weft_rng_below(rng, 56));
    }
    return len + (size_t)snprintf(text + len, room - len,
                                  "\",\"weft\":{\"id\":\"s%06zu\",\"src\":{\"file\":\"a.txt\",\"line\":%zu,"
                                  "\"bytes\":[%zu,%zu]},"
                                  "\"via\":\"script/default@1\",\"prompt_speaker\":\"小满\"}}\n",
                                  n, n + 1, written, written + len);
}

/* A conversation of four messages of 1 to 4 KB with line ends, quotes and Latin words among them. */
static size_t long_row(struct weft_rng *rng, char *text, size_t room, size_t n, size_t written)
{
    size_t len = (size_t)snprintf(text, room, "{\"messages\":[");
    for (int m = 0; m < 4; m++) {
        len += (size_t)snprintf(text + len, room - len, "%s{\"role\":\"%s\",\"content\":\"", m ? "," : "",
                                m & 1 ? "assistant" : "user");
        for (size_t end = len + 1000 + weft_rng_below(rng, 3000); len < end;) {
            static const char *const between[] = { "，", "。", "。\\n", "\\\"", " the quick brown fox ", "？", "、" };
            len += add_chars(rng, text + len, 4 + weft_rng_below(rng, 30));
            len += (size_t)snprintf(text + len, room - len, "%s", between[weft_rng_below(rng, WEFT_COUNT(between))]);
        }
        len += (size_t)snprintf(text + len, room - len, "\"}");
    }
    return len + (size_t)snprintf(text + len, room - len, "]}\n");
}

static enum weft_status write_sample(const char *path, size_t bytes,
                                     size_t (*row)(struct weft_rng *, char *, size_t, size_t, size_t),
                                     struct weft_err *err)
{
    static char text[64 << 10];
    struct weft_out out = { 0 };
    struct weft_rng rng;
    enum weft_status st = weft_out_open(&out, path, err);
    size_t written = 0;
    weft_rng_init(&rng, 1, WEFT_RNG_TEST, 0);
    for (size_t n = 0; !st && written < bytes; n++) {
        size_t len = row(&rng, text, sizeof text, n, written);
        weft_out_add(&out, text, len);
        written += len;
    }
    if (!st) st = weft_out_commit(&out, err);
    weft_out_close(&out);
    return st;
}

/* ---- the two sides ---- */

struct times {
    double wall[ROUNDS], cpu[ROUNDS];
};

static int by_value(const void *x, const void *y)
{
    const double *a = x, *b = y;
    return (*a > *b) - (*a < *b);
}

static double median(double *v, size_t n)
{
    qsort(v, n, sizeof *v, by_value);
    return v[n / 2];
}

static enum weft_status check_once(const char *path, int threads, bool hash, uint64_t *rows, struct weft_err *err)
{
    struct weft_file_check_settings s = { .threads = threads, .hash = hash };
    struct weft_arena a = { 0 };
    struct weft_report report = { 0 };
    struct weft_rows_shape shape;
    struct weft_check check;
    char digits[WEFT_SHA256_HEX];
    struct weft_file_check *c;
    enum weft_status st = weft_file_check_new(&c, &s, err);
    if (!st) st = weft_file_check_add(c, path, NULL, &report, &shape, err);
    if (!st) st = weft_file_check_finish(c, &a, &check, hash ? digits : NULL, NULL, err);
    if (!st) *rows = check.rows;
    weft_file_check_free(c);
    weft_arena_clear(&a);
    return st;
}

static enum weft_status read_once(const char *path, int threads, struct weft_err *err)
{
    struct weft_rows_settings s = { .threads = threads };
    struct weft_arena a = { 0 };
    struct weft_rows rows = { 0 };
    enum weft_status st = weft_rows_read(&a, path, &s, &rows, NULL, NULL, err);
    weft_arena_clear(&a);
    return st;
}

static const char python[] = "import json,sys,time\n"
                             "path=sys.argv[1]\n"
                             "w=time.perf_counter(); c=time.process_time(); n=0\n"
                             "for line in open(path,encoding='utf-8'):\n"
                             "    json.loads(line); n+=1\n"
                             "print(time.perf_counter()-w,time.process_time()-c,n)\n";

static bool python_once(const char *path, const char *script, double *wall, double *cpu)
{
    char command[4096];
    size_t rows;
    snprintf(command, sizeof command, "python3 '%s' '%s' 2>/dev/null", script, path);
    FILE *p = popen(command, "r");
    bool ok = p && fscanf(p, "%lf %lf %zu", wall, cpu, &rows) == 3;
    if (p) pclose(p);
    return ok;
}

/* What the same bytes cost when nothing is asked of them: a copy, and the check for UTF-8, by one thread. */
static void bounds(const char *path)
{
    struct weft_map map = { 0 };
    struct weft_err err = { 0 };
    double copy = 1e9, utf8 = 1e9;
    if (weft_map_open(&map, path, &err)) return;
    char *to = malloc(map.len + 1);
    for (int i = 0; to && i < 5; i++) {
        double t = now(CLOCK_MONOTONIC);
        memcpy(to, map.p, map.len);
        double c = now(CLOCK_MONOTONIC);
        size_t good = weft_utf8_check((struct weft_str){ (const char *)map.p, map.len });
        double u = now(CLOCK_MONOTONIC);
        if (c - t < copy) copy = c - t;
        if (good == map.len && u - c < utf8) utf8 = u - c;
    }
    printf("  bounds, one thread: memcpy %.4f s, UTF-8 check %.4f s\n", copy, utf8);
    free(to);
    weft_map_close(&map);
}

static enum weft_status measure(const char *name, const char *path, const char *script, int threads,
                                struct weft_err *err)
{
    struct times read = { 0 }, check = { 0 }, bare = { 0 }, theirs = { 0 };
    struct weft_map map = { 0 };
    uint64_t rows = 0;
    bool python_there = true;
    enum weft_status st = weft_map_open(&map, path, err);
    double mib = (double)map.len / 1048576;
    weft_map_close(&map);
    for (int i = 0; i < ROUNDS && !st; i++) {
        struct times *const sides[] = { &check, &bare, &read };
        for (size_t k = 0; k < WEFT_COUNT(sides) && !st; k++) {
            double wall = now(CLOCK_MONOTONIC), cpu = now(CLOCK_PROCESS_CPUTIME_ID);
            st = k < 2 ? check_once(path, threads, !k, &rows, err) : read_once(path, threads, err);
            sides[k]->wall[i] = now(CLOCK_MONOTONIC) - wall;
            sides[k]->cpu[i] = now(CLOCK_PROCESS_CPUTIME_ID) - cpu;
        }
        python_there = python_there && python_once(path, script, &theirs.wall[i], &theirs.cpu[i]);
    }
    if (st) return st;
    printf("%s: %llu rows, %.1f MiB\n", name, (unsigned long long)rows, mib);
    double wall = median(theirs.wall, ROUNDS), cpu = median(theirs.cpu, ROUNDS);
    if (python_there) printf("  %-26s %.4f s wall  %.4f s CPU\n", "json.loads row by row", wall, cpu);
    const struct {
        const char *name;
        struct times *t;
    } ours[] = { { "check", &check }, { "check without the hash", &bare }, { "rows read and kept", &read } };
    for (size_t k = 0; k < WEFT_COUNT(ours); k++) {
        double w = median(ours[k].t->wall, ROUNDS), c = median(ours[k].t->cpu, ROUNDS);
        printf("  %-26s %.4f s wall  %.4f s CPU", ours[k].name, w, c);
        if (python_there) printf("  %5.1f x wall  %5.1f x CPU", wall / w, cpu / c);
        printf("  %.0f MiB/s\n", mib / w);
    }
    bounds(path);
    return WEFT_OK;
}

int main(int argc, char **argv)
{
    size_t bytes = (size_t)32 << 20;
    char path[] = "/tmp/weft-bench-check-XXXXXX", script[64];
    struct weft_err err = { 0 };
    int threads = 0, option;
    while ((option = getopt(argc, argv, "m:t:")) != -1) {
        if (option == 'm') bytes = (size_t)atoi(optarg) << 20;
        else if (option == 't') threads = atoi(optarg);
        else return 2;
    }
    int fd = mkstemp(path);
    if (fd >= 0) close(fd);
    snprintf(script, sizeof script, "%s.py", path);
    enum weft_status st = weft_file_write(script, weft_str_c(python), &err);
    if (!st) st = write_sample(path, bytes, persona_row, &err);
    if (!st) st = measure("short rows with origins", path, script, threads, &err);
    if (!st) st = write_sample(path, bytes, long_row, &err);
    if (!st) st = measure("long conversations", path, script, threads, &err);
    for (int i = optind; i < argc && !st; i++) st = measure(argv[i], argv[i], script, threads, &err);
    if (st) fprintf(stderr, "%s\n", err.msg);
    unlink(path);
    unlink(script);
    return weft_exit_code(st);
}
