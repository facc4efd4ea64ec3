/* bench/bench_tokenize.c - how fast texts become token ids, on one thread
 *
 *   bench_tokenize [TOKENIZER TEXTS [ROUNDS]]      TEXTS: a file of texts with NUL bytes between them
 *
 * One line of JSON: the best of ROUNDS passes over all texts, each with a fresh encoder, and, as a scale that
 * moves with the machine, the speed of checking the same bytes for UTF-8.  Without arguments: the vocabulary of
 * tiny on its own modern.txt, repeated.
 */
#include "base/file.h"
#include "tokens/measure.h"

#include <stdio.h>
#include <stdlib.h>

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

int main(int argc, char **argv)
{
    struct weft_arena a = { 0 };
    struct weft_err err = { 0 };
    struct weft_str all = { 0 };
    struct weft_tokenizer *t = NULL;
    struct weft_measured_tokens got = { 0 };
    const char *tokenizer = argc > 2 ? argv[1] : "models/tiny",
               *file = argc > 2 ? argv[2] : "models/tiny/recipe/modern.txt";
    enum weft_status st = weft_file_read(&a, file, 0, &all, &err);
    struct weft_buf repeated = { 0 };
    while (!st && argc <= 2 && repeated.len < 8u << 20) {
        weft_buf_str(&repeated, all);
        weft_buf_char(&repeated, '\0');
    }
    if (!st && argc <= 2) all = weft_buf_view(&repeated);
    struct weft_str *texts = st ? NULL : WEFT_NEWS(&a, struct weft_str, all.len / 2 + 1);
    if (!st && !texts) st = weft_fail_nomem(&err, all.len / 2 * sizeof *texts, "texts");
    if (!st) st = weft_tokenizer_load(&t, tokenizer, &err);
    if (!st) st = weft_measure_tokens(t, texts, cut(all, texts), argc > 3 ? atoi(argv[3]) : 3, &got, &err);
    if (st) fprintf(stderr, "bench_tokenize: %s\n", err.msg);
    else
        printf("{\"bench\":\"tokenize\",\"tokenizer\":\"%s\",\"bytes\":%zu,\"tokens\":%zu,\"mb_s\":%.1f,"
               "\"utf8_check_mb_s\":%.0f,\"share_of_utf8_check\":%.3f}\n",
               tokenizer, got.n_bytes, got.n_tokens, got.bytes_per_s / 1e6, got.check_bytes_per_s / 1e6,
               got.bytes_per_s / got.check_bytes_per_s);
    weft_tokenizer_free(t);
    weft_buf_clear(&repeated);
    weft_arena_clear(&a);
    return weft_exit_code(st);
}
