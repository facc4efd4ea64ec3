/* Products with few rows, as decoding does them, beside a plain read loop over the same memory.
 * bench_decode [threads [level]] */
#include "kernels/measure.h"

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    static const struct {
        size_t m, n, k;
        enum weft_dtype type;
    } lines[] = {
        { 1, 4864, 896, WEFT_BF16 },   { 1, 896, 4864, WEFT_BF16 },  { 1, 18944, 3584, WEFT_BF16 },
        { 1, 151936, 896, WEFT_BF16 }, { 1, 4864, 896, WEFT_F32 },   { 1, 4864, 896, WEFT_F16 },
        { 2, 4864, 896, WEFT_BF16 },   { 4, 4864, 896, WEFT_BF16 },  { 8, 4864, 896, WEFT_BF16 },
        { 8, 896, 4864, WEFT_BF16 },   { 16, 4864, 896, WEFT_BF16 }, { 24, 4864, 896, WEFT_BF16 },
        { 32, 4864, 896, WEFT_BF16 },  { 2, 4864, 896, WEFT_F32 },   { 8, 4864, 896, WEFT_F32 },
    };
    static const char *const types[] = { "f32", "bf16", "f16" };
    setvbuf(stdout, NULL, _IOLBF, 0);
    struct weft_pool *pool = NULL;
    struct weft_compute c = { 0 };
    struct weft_err err = { 0 };
    enum weft_status st = weft_pool_new(&pool, argc > 1 ? atoi(argv[1]) : 0, &err);
    if (!st) st = weft_compute_init(&c, argc > 2 ? argv[2] : NULL, pool, &err);
    if (!st) printf("level %s, %d threads\n", weft_isa_name(c.isa), weft_pool_threads(pool));
    for (size_t i = 0; !st && i < sizeof lines / sizeof lines[0]; i++) {
        struct weft_measured_decode r;
        st = weft_measure_decode(&c, lines[i].m, lines[i].n, lines[i].k, lines[i].type, 8, &r, &err);
        if (!st)
            printf("%2zu x %6zu x %5zu %-4s %6.1f GB/s  %5.1f %% of the read loop, %.1f\n", lines[i].m,
                   lines[i].n, lines[i].k, types[lines[i].type], 1e-9 * r.bytes, 100 * r.share,
                   1e-9 * r.read);
    }
    if (st) fprintf(stderr, "%s\n", err.msg);
    weft_compute_clear(&c);
    weft_pool_free(pool);
    return weft_exit_code(st);
}
