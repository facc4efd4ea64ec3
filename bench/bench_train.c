/* A LoRA step of a model with random bf16 weights, beside the machine's peak.
 * bench_train [preset [sequences [length [steps [threads [checkpointing]]]]]] */
#include "adapter/lora.h"
#include "model/measure.h"

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    const char *preset = argc > 1 ? argv[1] : "qwen2.5-0.5b";
    size_t n_seqs = argc > 2 ? strtoul(argv[2], NULL, 10) : 1, len = argc > 3 ? strtoul(argv[3], NULL, 10) : 512;
    int steps = argc > 4 ? atoi(argv[4]) : 5;
    struct weft_arena a = { 0 };
    struct weft_pool *pool = NULL;
    struct weft_compute c = { 0 };
    struct weft_config config;
    struct weft_model *model = NULL;
    struct weft_params params = { 0 };
    struct weft_measured_training r;
    struct weft_model_settings settings = { .random_type = WEFT_BF16 };
    struct weft_lora_settings lora = { .rank = 16 };
    struct weft_err err = { 0 };
    enum weft_status st;

    if (!weft_config_preset(preset, &config, NULL, NULL)) {
        fprintf(stderr, "no shape %s\n", preset);
        return 2;
    }
    st = weft_pool_new(&pool, argc > 5 ? atoi(argv[5]) : 0, &err);
    if (!st) st = weft_compute_init(&c, NULL, pool, &err);
    if (!st) st = weft_model_random(&model, &config, 1, &settings, &err);
    if (!st) st = weft_lora_attach(&a, model, &lora, &params, &err);
    if (!st) st = weft_measure_training(&c, model, &params, n_seqs, len, argc > 6 && atoi(argv[6]), steps, &r, &err);
    if (!st)
        printf(
            "%s, level %s, %d threads: %.0f tokens/s (%.0f a second of processor time), %.0f GFLOP/s = %.1f %% of peak %.0f, %.2f GFLOP/token, peak memory %.0f MB\n",
            preset, weft_isa_name(c.isa), weft_pool_threads(pool), r.tokens_per_s, r.tokens_per_cpu_s,
            1e-9 * r.flops, 100 * r.share, 1e-9 * r.peak, 1e-9 * r.flop_per_token,
            1e-6 * (double)r.peak_rss_bytes);
    else fprintf(stderr, "%s\n", err.msg);
    weft_model_free(model);
    weft_compute_clear(&c);
    weft_pool_free(pool);
    weft_arena_clear(&a);
    return weft_exit_code(st);
}
