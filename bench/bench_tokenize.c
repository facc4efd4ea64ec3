/* bench/bench_tokenize.c - how fast texts become token ids, on one thread
 *
 *   bench_tokenize [TOKENIZER TEXTS [ROUNDS]]      TEXTS: a file of texts with NUL bytes between them
 *
 * One line of JSON: the best of ROUNDS passes over all texts, each with a fresh encoder; the time to load
 * the tokenizer; and, as a scale that moves with the machine, the speed of checking the same bytes for
 * UTF-8. Without arguments: the vocabulary of tiny on its own modern.txt, repeated.
 */
#include "base/file.h"
#include "base/json.h"
#include "tokens/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The texts between NUL bytes, and how many. */
static size_t cut(struct weft_str all, struct weft_str *texts)
{
    size_t n = 0;
    for (size_t at = 0; at < all.len;) {
        const char *end = memchr(all.s + at, '\0', all.len - at);
        size_t to = end ? (size_t)(end - all.s) : all.len;
        if (to > at) texts[n++] = weft_str_sub(all, at, to);
        at = to + 1;
    }
    return n;
}

struct result {
    double seconds, load_ms, check_mb_s;
    size_t tokens;
};

static enum weft_status encode_all(const struct weft_tokenizer *t, const struct weft_str *texts, size_t n,
                                   struct result *r, struct weft_err *err)
{
    struct weft_encoder *e = NULL;
    struct weft_ids ids = { 0 };
    double start = now();
    enum weft_status st = weft_encoder_new(&e, t, err);
    r->tokens = 0;
    for (size_t i = 0; i < n && !st; i++) {
        ids.n = 0;
        st = weft_encode(e, texts[i], WEFT_ENCODE_SPECIALS, &ids, err);
        r->tokens += ids.n;
    }
    double seconds = now() - start;
    if (!r->seconds || seconds < r->seconds) r->seconds = seconds;
    weft_ids_clear(&ids);
    weft_encoder_free(e);
    return st;
}

static enum weft_status measure(struct weft_arena *a, const char *path, struct weft_str all, int rounds,
                                struct result *r, struct weft_err *err)
{
    struct weft_tokenizer *t = NULL;
    struct weft_str *texts = WEFT_NEWS(a, struct weft_str, all.len / 2 + 1);
    if (!texts) return weft_fail_nomem(err, all.len / 2 * sizeof *texts, "texts");
    size_t n = cut(all, texts);
    double start = now();
    enum weft_status st = weft_tokenizer_load(&t, path, err);
    r->load_ms = 1e3 * (now() - start);
    start = now();
    if (!st && weft_utf8_check(all) < all.len) st = weft_fail(err, WEFT_EINPUT, "the texts are not UTF-8");
    r->check_mb_s = (double)all.len / (now() - start) / 1e6;
    for (int i = 0; i < rounds && !st; i++) st = encode_all(t, texts, n, r, err);
    weft_tokenizer_free(t);
    return st;
}

int main(int argc, char **argv)
{
    struct weft_arena a = { 0 };
    struct weft_err err = { 0 };
    struct weft_str all = { 0 };
    struct result r = { 0 };
    const char *tokenizer = argc > 2 ? argv[1] : "models/tiny",
               *file = argc > 2 ? argv[2] : "models/tiny/recipe/modern.txt";
    enum weft_status st = weft_file_read(&a, file, 0, &all, &err);
    struct weft_buf repeated = { 0 };
    while (!st && argc <= 2 && repeated.len < 8u << 20) {
        weft_buf_str(&repeated, all);
        weft_buf_char(&repeated, '\0');
    }
    if (!st && argc <= 2) all = weft_buf_view(&repeated);
    if (!st) st = measure(&a, tokenizer, all, argc > 3 ? atoi(argv[3]) : 3, &r, &err);
    if (st) fprintf(stderr, "bench_tokenize: %s\n", err.msg);
    else
        printf(
            "{\"bench\":\"tokenize\",\"tokenizer\":\"%s\",\"bytes\":%zu,\"tokens\":%zu,\"seconds\":%.4f,\"mb_s\":%.1f,\"load_ms\":%.1f,"
            "\"utf8_check_mb_s\":%.0f,\"share_of_utf8_check\":%.3f}\n",
            tokenizer, all.len, r.tokens, r.seconds, (double)all.len / r.seconds / 1e6, r.load_ms,
            r.check_mb_s, (double)all.len / r.seconds / 1e6 / r.check_mb_s);
    weft_buf_clear(&repeated);
    weft_arena_clear(&a);
    return weft_exit_code(st);
}
