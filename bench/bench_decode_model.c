/* Greedy decoding of a model with random bf16 weights, beside the machine's read bandwidth.
 * bench_decode_model [preset [prompt [tokens [threads]]]] */
#include "model/measure.h"

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    const char *preset = argc > 1 ? argv[1] : "qwen2.5-0.5b";
    size_t prompt = argc > 2 ? strtoul(argv[2], NULL, 10) : 64, tokens = argc > 3 ? strtoul(argv[3], NULL, 10) : 64;
    struct weft_pool *pool = NULL;
    struct weft_compute c = { 0 };
    struct weft_config config;
    struct weft_model *model = NULL;
    struct weft_measured_decoding r;
    struct weft_model_settings settings = { .random_type = WEFT_BF16 };
    struct weft_err err = { 0 };
    enum weft_status st;

    if (!weft_config_preset(preset, &config, NULL, NULL)) {
        fprintf(stderr, "no shape %s\n", preset);
        return 2;
    }
    st = weft_pool_new(&pool, argc > 4 ? atoi(argv[4]) : 0, &err);
    if (!st) st = weft_compute_init(&c, NULL, pool, &err);
    if (!st) st = weft_model_random(&model, &config, 1, &settings, &err);
    if (!st) st = weft_measure_decoding(&c, model, prompt, tokens, &r, &err);
    if (!st)
        printf(
            "%s, level %s, %d threads: %.1f tokens/s, %.1f GB/s = %.1f %% of the read loop (%.1f GB/s); prompt %.0f tokens/s\n",
            preset, weft_isa_name(c.isa), weft_pool_threads(pool), r.tokens_per_s, 1e-9 * r.bytes,
            100 * r.share, 1e-9 * r.read, r.prefill_tokens_per_s);
    else fprintf(stderr, "%s\n", err.msg);
    weft_model_free(model);
    weft_compute_clear(&c);
    weft_pool_free(pool);
    return weft_exit_code(st);
}
