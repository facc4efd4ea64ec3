/* Full-text search in an index file: how long a name of two characters takes in some 100 MB of text.
 *
 *     bench_search                    text of ours, drawn from 3,000 characters by Zipf's law
 *     bench_search FILE [NAME...]     a dataset file of text rows; the names to look for
 *
 * Text is cut into documents at sentence ends, at most 600 bytes each.  "first" is the first query after the file was
 * opened, with the system's cache warm from writing it. */
#include "base/rng.h"
#include "dataset/formats.h"
#include "dataset/search.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { DOC_BYTES = 600, SYNTHETIC_BYTES = 100 << 20, LETTERS = 3000, ROUNDS = 51 };

static double now(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void must(enum weft_status st, const struct weft_err *err)
{
    if (!st) return;
    fprintf(stderr, "%s\n", err->msg);
    exit(1);
}

static uint64_t n_docs, n_bytes;

static void add_text(struct weft_search *s, struct weft_str text, struct weft_err *err)
{
    while (text.len) {
        size_t end = weft_min_size(text.len, DOC_BYTES);
        while (end < text.len && ((unsigned char)text.s[end] & 0xC0) == 0x80) end--;
        for (size_t i = end; i > end / 2; i--)
            if (weft_str_ends(weft_str_sub(text, 0, i), WEFT_STR("。"))) {
                end = i;
                break;
            }
        struct weft_search_doc doc = { weft_str_sub(text, 0, end), { NULL, 0 } };
        must(weft_search_add(s, &doc, NULL, err), err);
        n_docs++;
        n_bytes += end;
        text = weft_str_skip(text, end);
    }
}

/* Character number k is drawn with weight 1 / (k + 1). */
static void add_synthetic(struct weft_search *s, struct weft_err *err)
{
    struct weft_rng rng;
    struct weft_buf b = { 0 };
    weft_rng_init(&rng, 1, WEFT_RNG_TEST, 0);
    while (n_bytes < SYNTHETIC_BYTES) {
        weft_buf_reset(&b);
        for (int i = 0; i < 150; i++) {
            double k = exp(weft_rng_f64(&rng) * log(LETTERS + 1.0)) - 1.0;
            weft_buf_utf8(&b, 0x4E00 + (uint32_t)k);
            if (i % 15 == 14) weft_buf_cstr(&b, "。");
        }
        add_text(s, weft_buf_view(&b), err);
    }
    weft_buf_clear(&b);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void measure(const char *path, const char *name, struct weft_err *err)
{
    struct weft_arena a = { 0 };
    struct weft_search *s;
    struct weft_search_hit *hits;
    double ms[ROUNDS], cpu[ROUNDS];     /* by the clock, and of the processor: others may be busy too */
    uint64_t all = 0;
    size_t n = 0;
    must(weft_search_open(&s, path, err), err);
    for (int i = 0; i < ROUNDS; i++) {
        double begin = now(CLOCK_MONOTONIC), cpu_begin = now(CLOCK_PROCESS_CPUTIME_ID);
        must(weft_search_query(s, &a, weft_str_c(name), WEFT_SEARCH_ALL, 10, &hits, &n, NULL, err), err);
        ms[i] = (now(CLOCK_MONOTONIC) - begin) * 1e3;
        cpu[i] = (now(CLOCK_PROCESS_CPUTIME_ID) - cpu_begin) * 1e3;
    }
    must(weft_search_query(s, &a, weft_str_c(name), WEFT_SEARCH_ALL, 10, &hits, &n, &all, err), err);
    double first = cpu[0];
    qsort(ms, ROUNDS, sizeof *ms, by_value);
    qsort(cpu, ROUNDS, sizeof *cpu, by_value);
    printf("%-12s %8zu of %8zu documents   processor: first %7.2f, median %7.2f ms   clock: median %7.2f ms\n", name, n,
           (size_t)all, first, cpu[ROUNDS / 2], ms[ROUNDS / 2]);
    weft_search_close(s);
    weft_arena_clear(&a);
}

int main(int argc, char **argv)
{
    static const char *const own[] = { "一丁", "丂倀", "伀佀", "侀儀", "劀" };
    struct weft_arena a = { 0 };
    struct weft_err err = { 0 };
    struct weft_search *s;
    struct stat about = { 0 };
    char path[64];
    snprintf(path, sizeof path, "/tmp/weft-bench-search-%ld", (long)getpid());
    double begin = now(CLOCK_MONOTONIC);
    must(weft_search_open(&s, path, &err), &err);
    if (argc > 1) {
        struct weft_rows rows = { 0 };
        struct weft_report report = { 0 };
        must(weft_rows_read(&a, argv[1], NULL, &rows, &report, NULL, &err), &err);
        begin = now(CLOCK_MONOTONIC);
        for (size_t i = 0; i < rows.n; i++) add_text(s, rows.items[i].text, &err);
    } else add_synthetic(s, &err);
    must(weft_search_commit(s, &err), &err);
    weft_search_close(s);
    double seconds = now(CLOCK_MONOTONIC) - begin;
    stat(path, &about);
    printf("%zu documents, %.1f MB, indexed in %.1f s (%.1f MB/s); the file has %.1f MB\n", (size_t)n_docs,
           (double)n_bytes / 1e6, seconds, (double)n_bytes / 1e6 / seconds, (double)about.st_size / 1e6);
    if (argc > 2) for (int i = 2; i < argc; i++) measure(path, argv[i], &err);
    else for (size_t i = 0; i < WEFT_COUNT(own); i++) measure(path, own[i], &err);
    unlink(path);
    strcat(path, "-lock");
    unlink(path);
    weft_arena_clear(&a);
    return 0;
}
