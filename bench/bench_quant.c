/* Products with a quantised weight beside the same product in bf16, alternating in one run: the share of the bf16
 * speed that is left, forward and backward; int8*: multiplied in int8.
 * bench_quant [threads [level]] */
#include "kernels/kernels.h"
#include "kernels/quant.h"

#include "base/rng.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { TOKENS = 512, ROUNDS = 9 };

static const struct shape {
    const char *model;
    size_t n_out, n_in;
} shapes[] = { { "0.5B q", 896, 896 },      { "0.5B up", 4864, 896 },   { "0.5B down", 896, 4864 },
               { "7B q", 3584, 3584 },      { "7B up", 18944, 3584 },   { "7B down", 3584, 18944 } };
static const char *const formats[] = { "q8_0", "q4_0", "nf4", "int8" };
/* Read only: random bytes are as good as any. */
static const char *const read_formats[] = { "q4_k", "q5_k", "q6_k", "q5_0" };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double once(struct weft_compute *c, const struct shape *s, const void *w, enum weft_dtype type, bool forward,
                   const float *x, float *y)
{
    double start = now();
    weft_gemm(c, &(struct weft_gemm){ .m = TOKENS, .n = forward ? s->n_out : s->n_in, .k = forward ? s->n_in : s->n_out,
        .a = x, .lda = forward ? s->n_in : s->n_out, .b = w, .b_type = type, .ldb = s->n_in,
        .b_rows_are_outputs = forward, .c = y, .ldc = forward ? s->n_out : s->n_in });
    return now() - start;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void compare(struct weft_compute *c, const struct shape *s, const char *format, const void *bf16,
                    const struct weft_quant *q, const float *x, float *y)
{
    for (int forward = 1; forward >= 0; forward--) {
        double plain[ROUNDS], quant[ROUNDS];
        for (int i = 0; i < ROUNDS; i++) {
            plain[i] = once(c, s, bf16, WEFT_BF16, forward, x, y);
            quant[i] = once(c, s, q, WEFT_QUANT, forward, x, y);
        }
        qsort(plain, ROUNDS, sizeof *plain, by_value);
        qsort(quant, ROUNDS, sizeof *quant, by_value);
        double flop = 2.0 * TOKENS * (double)s->n_in * (double)s->n_out;
        printf("%-10s %-6s%s  bf16 %7.1f GF/s  quantised %7.1f GF/s  ratio %.3f\n", s->model, format,
               forward ? "fwd" : "bwd", 1e-9 * flop / plain[ROUNDS / 2], 1e-9 * flop / quant[ROUNDS / 2],
               plain[ROUNDS / 2] / quant[ROUNDS / 2]);
    }
}

static enum weft_status run(struct weft_compute *c, const struct shape *s, struct weft_err *err)
{
    struct weft_arena a = { 0 };
    struct weft_rng r;
    enum weft_status st = WEFT_OK;
    size_t n = s->n_in * s->n_out, widest = s->n_in > s->n_out ? s->n_in : s->n_out;
    float *x = WEFT_NEWS(&a, float, TOKENS * widest), *y = WEFT_NEWS(&a, float, TOKENS * widest);
    uint16_t *w = weft_arena_alloc(&a, n * 2);
    unsigned char *bytes = weft_arena_alloc(&a, n);
    if (!x || !y || !w || !bytes) {
        st = weft_fail_nomem(err, n * 2, "a matrix");
        goto done;
    }
    weft_rng_init(&r, 1, WEFT_RNG_TEST, 1);
    for (size_t i = 0; i < TOKENS * widest; i++) x[i] = 2 * weft_rng_f32(&r) - 1;
    for (size_t i = 0; i < n; i++) w[i] = weft_f32_to_bf16(0.04f * weft_rng_f32(&r) - 0.02f);
    for (size_t i = 0; i < n; i++) bytes[i] = (unsigned char)(i * 2654435761u >> 13 & 0x3f);     /* no f16 is NaN */
    for (size_t k = 0; !st && k < sizeof formats / sizeof *formats; k++) {
        struct weft_arena own = { 0 };
        struct weft_quant q;
        st = weft_quantise(c, &own, &q, weft_quant_find(formats[k]), true, "w", w, WEFT_BF16, s->n_out, s->n_in, err);
        if (!st) compare(c, s, formats[k], w, &q, x, y);
        if (!st && q.format->type == WEFT_INT8 && weft_compute_has_int8(c)) {
            c->int8 = true;             /* of no effect on bf16 */
            compare(c, s, "int8*", w, &q, x, y);
            c->int8 = false;
        }
        weft_arena_clear(&own);
    }
    for (size_t k = 0; !st && k < sizeof read_formats / sizeof *read_formats; k++) {
        struct weft_quant q = { .format = weft_quant_find(read_formats[k]), .rows = s->n_out, .cols = s->n_in,
                                .data = bytes };
        if (s->n_in % q.format->block == 0) compare(c, s, read_formats[k], w, &q, x, y);
    }
done:
    weft_arena_clear(&a);
    return st;
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    struct weft_pool *pool = NULL;
    struct weft_compute c = { 0 };
    struct weft_err err = { 0 };
    enum weft_status st = weft_pool_new(&pool, argc > 1 ? atoi(argv[1]) : 0, &err);
    if (!st) st = weft_compute_init(&c, argc > 2 ? argv[2] : NULL, pool, &err);
    if (!st) printf("level %s, %d threads, %d tokens\n", weft_isa_name(c.isa), weft_pool_threads(pool), TOKENS);
    for (size_t i = 0; !st && i < sizeof shapes / sizeof *shapes; i++) st = run(&c, &shapes[i], &err);
    if (st) fprintf(stderr, "%s\n", err.msg);
    weft_compute_clear(&c);
    weft_pool_free(pool);
    return weft_exit_code(st);
}
