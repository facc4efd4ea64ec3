/* Doubles among dataset rows: rows a second and peak memory, and times a plain Python program that does the same (a
 * set for equal rows, MinHash of 128 numbers, bands, exact comparison) on the first rows, where python3 is at hand.
 * bench_dedup [rows, default 100000] [threads, default all] [rows for Python, default 1500] */
#include "base/file.h"
#include "base/rng.h"
#include "dataset/dedup.h"
#include "dataset/formats.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Rows of some 70 characters; of ten rows one repeats an earlier one and two are an earlier one with a few other
 * characters. */
static enum weft_status write_rows(const char *path, size_t n, struct weft_err *err)
{
    struct weft_out out = { 0 };
    struct weft_rng rng;
    enum { CHARS = 70, KEPT = 64 };
    static uint32_t old[KEPT][CHARS];
    enum weft_status st = weft_out_open(&out, path, err);
    weft_rng_init(&rng, 1, WEFT_RNG_TEST, 0);
    for (size_t i = 0; !st && i < n; i++) {
        uint32_t *row = old[i % KEPT];
        char text[4 * CHARS + 128];
        size_t len = 0;
        if (i >= KEPT && i % 10 < 3)
            memcpy(row, old[(i + 1 + weft_rng_below(&rng, KEPT - 1)) % KEPT], sizeof old[0]);
        else
            for (size_t k = 0; k < CHARS; k++) row[k] = 0x4E00 + (uint32_t)weft_rng_below(&rng, 2500);
        if (i % 10 < 2)
            for (int k = 0; k < 3; k++)
                row[weft_rng_below(&rng, CHARS)] = 0x4E00 + (uint32_t)weft_rng_below(&rng, 2500);
        len += (size_t)snprintf(text, sizeof text, "{\"instruction\":\"");
        for (size_t k = 0; k < CHARS; k++) {
            if (k == CHARS / 2) len += (size_t)snprintf(text + len, sizeof text - len, "\",\"output\":\"");
            len += weft_utf8_encode(row[k], text + len);
        }
        len += (size_t)snprintf(text + len, sizeof text - len, "\"}\n");
        weft_out_add(&out, text, len);
    }
    if (!st) st = weft_out_commit(&out, err);
    weft_out_close(&out);
    return st;
}

static enum weft_status add_row(void *ctx, const struct weft_row *row, struct weft_err *err)
{
    return weft_dedup_add(ctx, row, err);
}

static enum weft_status search(const char *path, int64_t most, int threads, struct weft_dedup_result *r,
                               double *seconds, struct weft_err *err)
{
    struct weft_arena a = { 0 };
    struct weft_dedup *d = NULL;
    struct weft_pool *pool = NULL;
    struct weft_rows_settings how = { .max_rows = most };
    double start = now();
    enum weft_status st = weft_pool_new(&pool, threads, err);
    if (!st) st = weft_dedup_new(&d, &(struct weft_dedup_settings){ 0 }, err);
    if (!st) st = weft_rows_each(&a, path, &how, add_row, d, NULL, NULL, err);
    if (!st) st = weft_dedup_finish(d, pool, NULL, r, err);
    *seconds = now() - start;
    r->fates = NULL;
    weft_dedup_free(d);
    weft_pool_free(pool);
    weft_arena_clear(&a);
    return st;
}

static const char python[] =
    "import json,sys,time,zlib,random\n"
    "path,most=sys.argv[1],int(sys.argv[2])\n"
    "s=time.perf_counter()\n"
    "r=random.Random(1); P=(1<<61)-1\n"
    "ab=[(r.randrange(1,P),r.randrange(P)) for _ in range(128)]\n"
    "seen=set(); bands=[{} for _ in range(32)]; sets=[]; exact=near=0\n"
    "for i,line in enumerate(open(path,encoding='utf-8')):\n"
    "    if i==most: break\n"
    "    o=json.loads(line); t=o['instruction'].strip()+'\\n'+o['output'].strip()\n"
    "    if t in seen: exact+=1; continue\n"
    "    seen.add(t)\n"
    "    g={t[k:k+3] for k in range(len(t)-2)}\n"
    "    h=[zlib.crc32(x.encode()) for x in g]\n"
    "    sig=[min((a*x+b)%P for x in h) for a,b in ab]\n"
    "    keys=[tuple(sig[4*k:4*k+4]) for k in range(32)]\n"
    "    cand={c for k in range(32) for c in bands[k].get(keys[k],())}\n"
    "    if any(len(g&sets[c])/len(g|sets[c])>=0.7 for c in cand): near+=1; continue\n"
    "    for k in range(32): bands[k].setdefault(keys[k],[]).append(len(sets))\n"
    "    sets.append(g)\n"
    "print(time.perf_counter()-s,exact,near)\n";

static bool python_search(const char *path, const char *script, size_t most, double *seconds, size_t *exact,
                          size_t *near)
{
    char command[256];
    struct weft_err err = { 0 };
    if (weft_file_write(script, weft_str_c(python), &err)) return false;
    snprintf(command, sizeof command, "python3 '%s' '%s' %zu 2>/dev/null", script, path, most);
    FILE *p = popen(command, "r");
    bool ok = p && fscanf(p, "%lf %zu %zu", seconds, exact, near) == 3;
    if (p) pclose(p);
    unlink(script);
    return ok;
}

int main(int argc, char **argv)
{
    size_t n = argc > 1 ? (size_t)atol(argv[1]) : 100000, few = argc > 3 ? (size_t)atol(argv[3]) : 1500,
           exact, near;
    int threads = argc > 2 ? atoi(argv[2]) : 0;
    char path[] = "/tmp/weft-bench-dedup-XXXXXX", script[64];
    struct weft_err err = { 0 };
    struct weft_dedup_result r = { 0 };
    struct rusage use;
    double seconds, ours, theirs;
    int fd = mkstemp(path);
    if (fd >= 0) close(fd);
    enum weft_status st = write_rows(path, n, &err);
    if (!st) st = search(path, 0, threads, &r, &seconds, &err);
    if (st) goto done;
    getrusage(RUSAGE_SELF, &use);
    printf(
        "%zu rows: kept %zu, equal %zu, near %zu; %.2f s, %.0f rows/s; peak memory %.0f MiB with the mapped file, "
        "%.0f bytes a row\n",
        r.n, r.kept, r.exact, r.near, seconds, (double)r.n / seconds, (double)use.ru_maxrss / 1024,
        (double)use.ru_maxrss * 1024 / (double)r.n);
    st = search(path, (int64_t)few, 1, &r, &ours, &err);
    snprintf(script, sizeof script, "%s.py", path);
    if (!st && python_search(path, script, few, &theirs, &exact, &near))
        printf(
            "first %zu rows on one thread: %.0f times plain Python (equal %zu against %zu, near %zu against %zu)\n",
            few, theirs / ours, r.exact, exact, r.near, near);
done:
    if (st) fprintf(stderr, "%s\n", err.msg);
    unlink(path);
    return weft_exit_code(st);
}
