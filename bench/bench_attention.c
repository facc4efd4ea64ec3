/* Attention in blocks beside the register-only peak of the same run.
 * bench_attention [threads [level]] */
#include "kernels/measure.h"

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    static const struct {
        size_t seqs, len, n_heads, n_kv_heads, d;
    } lines[] = { { 1, 512, 14, 2, 64 },
                  { 4, 128, 14, 2, 64 },
                  { 1, 2048, 14, 2, 64 },
                  { 1, 512, 12, 2, 128 },
                  { 1, 512, 16, 16, 64 } };
    setvbuf(stdout, NULL, _IOLBF, 0);
    struct weft_pool *pool = NULL;
    struct weft_compute c = { 0 };
    struct weft_err err = { 0 };
    enum weft_status st = weft_pool_new(&pool, argc > 1 ? atoi(argv[1]) : 0, &err);
    if (!st) st = weft_compute_init(&c, argc > 2 ? argv[2] : NULL, pool, &err);
    if (!st) printf("level %s, %d threads\n", weft_isa_name(c.isa), weft_pool_threads(pool));
    for (size_t i = 0; !st && i < 2 * sizeof lines / sizeof lines[0]; i++) {
        size_t l = i / 2;
        struct weft_measured_attention r;
        c.exact = i % 2;
        st = weft_measure_attention(&c, lines[l].seqs, lines[l].len, lines[l].n_heads, lines[l].n_kv_heads,
                                    lines[l].d, 8, &r, &err);
        if (!st)
            printf(
                "%zu x %4zu tokens, %zu/%zu heads of %3zu%s  forward %6.1f GF/s %5.1f %%, backward %6.1f GF/s %5.1f %% of %.0f\n",
                lines[l].seqs, lines[l].len, lines[l].n_heads, lines[l].n_kv_heads, lines[l].d,
                c.exact ? ", f32" : "     ", 1e-9 * r.forward, 100 * r.forward / r.peak, 1e-9 * r.backward,
                100 * r.backward / r.peak, 1e-9 * r.peak);
    }
    if (st) fprintf(stderr, "%s\n", err.msg);
    weft_compute_clear(&c);
    weft_pool_free(pool);
    return weft_exit_code(st);
}
