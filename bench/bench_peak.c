/* What this machine can do at most: register-only multiply-adds at each level, and reading from memory.
 * bench_peak [threads] */
#include "kernels/measure.h"

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    enum { MIB = 1 << 20, BYTES = 512 * MIB };
    setvbuf(stdout, NULL, _IOLBF, 0);
    struct weft_pool *pool = NULL;
    struct weft_arena arena = { 0 };
    struct weft_err err = { 0 };
    enum weft_status st = weft_pool_new(&pool, argc > 1 ? atoi(argv[1]) : 0, &err);
    if (st) goto done;
    for (int i = WEFT_ISA_AVX2; i < WEFT_N_ISA; i++)
        if (weft_isa_supported() >> i & 1)
            printf("%-11s %8.1f GF/s with %d threads, %8.1f with one\n", weft_isa_name((enum weft_isa)i),
                   1e-9 * weft_measure_peak(pool, (enum weft_isa)i, false), weft_pool_threads(pool),
                   1e-9 * weft_measure_peak(NULL, (enum weft_isa)i, false));
    char *p = weft_arena_calloc(&arena, BYTES, 1);
    if (!p) {
        st = weft_fail_nomem(&err, BYTES, "a measurement");
        goto done;
    }
    memset(p, 1, BYTES);
    static const int sizes[] = { 4, 512 };
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        double all = 0, one = 0;
        for (int run = 0; run < 10; run++) {
            double a = weft_measure_read(pool, p, (size_t)sizes[s] * MIB),
                   b = weft_measure_read(NULL, p, (size_t)sizes[s] * MIB);
            all = a > all ? a : all;
            one = b > one ? b : one;
        }
        printf("read %3d MiB %7.1f GB/s with %d threads, %8.1f with one\n", sizes[s], 1e-9 * all,
               weft_pool_threads(pool), 1e-9 * one);
    }
done:
    if (st) fprintf(stderr, "%s\n", err.msg);
    weft_arena_clear(&arena);
    weft_pool_free(pool);
    return weft_exit_code(st);
}
