/* Matrix products of training beside the register-only peak of the same run.
 * bench_gemm [threads [level]] */
#include "kernels/measure.h"

#include <stdio.h>
#include <stdlib.h>

static const struct line {
    const char *name;
    struct weft_gemm_shape shape;
} lines[] = {
    { "fwd 512 x 896 x 128", { 512, 128, 896, WEFT_Y, WEFT_BF16, false } },
    { "fwd 512 x 896 x 896", { 512, 896, 896, WEFT_Y, WEFT_BF16, false } },
    { "fwd 512 x 896 x 4864", { 512, 4864, 896, WEFT_Y, WEFT_BF16, false } },
    { "fwd 512 x 4864 x 896", { 512, 896, 4864, WEFT_Y, WEFT_BF16, false } },
    { "fwd 512 x 1536 x 8960", { 512, 8960, 1536, WEFT_Y, WEFT_BF16, false } },
    { "fwd 512 x 8960 x 1536", { 512, 1536, 8960, WEFT_Y, WEFT_BF16, false } },
    { "fwd 256 x 896 x 32768 (head)", { 256, 32768, 896, WEFT_Y, WEFT_BF16, false } },
    { "fwd 64 x 896 x 4864", { 64, 4864, 896, WEFT_Y, WEFT_BF16, false } },
    { "bwd 512 x 128 x 896", { 512, 896, 128, WEFT_DX, WEFT_BF16, false } },
    { "bwd 512 x 896 x 896", { 512, 896, 896, WEFT_DX, WEFT_BF16, false } },
    { "bwd 512 x 4864 x 896", { 512, 896, 4864, WEFT_DX, WEFT_BF16, false } },
    { "bwd 512 x 896 x 4864", { 512, 4864, 896, WEFT_DX, WEFT_BF16, false } },
    { "bwd 256 x 32768 x 896 (head)", { 256, 896, 32768, WEFT_DX, WEFT_BF16, false } },
    { "dW 4864 x 896, 512 tokens", { 4864, 896, 512, WEFT_DW, WEFT_F32, false } },
    { "dW 896 x 896, 2048 tokens", { 896, 896, 2048, WEFT_DW, WEFT_F32, false } },
    { "lora h = x A^T, 4864, r 16", { 512, 16, 4864, WEFT_Y, WEFT_F32, false } },
    { "lora y = h B^T, 4864, r 16", { 512, 4864, 16, WEFT_Y, WEFT_F32, false } },
    { "lora dh = dy B, 4864, r 16", { 512, 16, 4864, WEFT_DX, WEFT_F32, false } },
    { "lora dx = dh A, 4864, r 16", { 512, 4864, 16, WEFT_DX, WEFT_F32, false } },
    { "lora dA = dh^T x, 4864, r 16", { 16, 4864, 512, WEFT_DW, WEFT_F32, false } },
    { "lora dB = dy^T h, 4864, r 16", { 4864, 16, 512, WEFT_DW, WEFT_F32, false } },
    { "f32 fwd 512 x 896 x 4864", { 512, 4864, 896, WEFT_Y, WEFT_F32, true } },
    { "f32 bwd 512 x 4864 x 896", { 512, 896, 4864, WEFT_DX, WEFT_F32, true } },
};

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    struct weft_pool *pool = NULL;
    struct weft_compute c = { 0 };
    struct weft_err err = { 0 };
    enum weft_status st = weft_pool_new(&pool, argc > 1 ? atoi(argv[1]) : 0, &err);
    if (!st) st = weft_compute_init(&c, argc > 2 ? argv[2] : NULL, pool, &err);
    if (!st) printf("level %s, %d threads\n", weft_isa_name(c.isa), weft_pool_threads(pool));
    for (size_t i = 0; !st && i < sizeof lines / sizeof lines[0]; i++) {
        struct weft_measured_gemm r;
        st = weft_measure_gemm(&c, &lines[i].shape, 24, &r, &err);
        if (!st)
            printf("%-32s %8.3f ms %8.1f GF/s  %5.1f %% of %.0f\n", lines[i].name, 1e3 * r.seconds,
                   1e-9 * r.flops, 100 * r.share, 1e-9 * r.peak);
    }
    if (st) fprintf(stderr, "%s\n", err.msg);
    weft_compute_clear(&c);
    weft_pool_free(pool);
    return weft_exit_code(st);
}
