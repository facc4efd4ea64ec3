/* weft doctor: is this machine fit, and does the arithmetic on it agree with the plain definition? */
#include "cli/verbs.h"

#include "base/rng.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

struct settings {
    struct weft_cli_common common;
};
static const struct weft_option rows[] = { WEFT_CLI_COMMON_ROWS(struct settings, common) };
static const struct weft_option_table table = { rows, WEFT_COUNT(rows) };

/* The figure of one line of /proc/meminfo in bytes; 0: not there. */
static uint64_t meminfo(const char *key)
{
    char line[128];
    unsigned long long kib = 0;
    FILE *f = fopen("/proc/meminfo", "r");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, key, strlen(key)) == 0 && line[strlen(key)] == ':') {
            kib = strtoull(line + strlen(key) + 1, NULL, 10);
            break;
        }
    if (f) fclose(f);
    return kib * 1024;
}

enum { M = 33, N = 65, K = 127 };

/* Largest difference between a product at this level and at ref, relative to the sum of |a b|; negative: failed. */
static double gemm_difference(struct weft_cli *cli, enum weft_isa isa, enum weft_dtype type)
{
    struct weft_compute ref = { 0 }, level = { 0 };
    struct weft_rng rng;
    float *a = WEFT_NEWS(&cli->arena, float, M * K), *b = WEFT_NEWS(&cli->arena, float, N * K);
    uint16_t *half = WEFT_NEWS(&cli->arena, uint16_t, N * K);
    float *want = WEFT_NEWS(&cli->arena, float, M * N), *got = WEFT_NEWS(&cli->arena, float, M * N);
    double worst = -1;
    if (!a || !b || !half || !want || !got) return worst;
    weft_rng_init(&rng, 1, WEFT_RNG_TEST, 0);
    /* Values that bf16 holds exactly, so that every level multiplies the same numbers. */
    for (size_t i = 0; i < M * K; i++) a[i] = weft_bf16_to_f32(weft_f32_to_bf16(weft_rng_f32(&rng) - 0.5f));
    for (size_t i = 0; i < N * K; i++) b[i] = weft_bf16_to_f32(half[i] = weft_f32_to_bf16(weft_rng_f32(&rng) - 0.5f));
    struct weft_gemm g = { .m = M,
                           .n = N,
                           .k = K,
                           .a = a,
                           .lda = K,
                           .b = type == WEFT_F32 ? (const void *)b : half,
                           .b_type = type,
                           .ldb = K,
                           .b_rows_are_outputs = true,
                           .c = want,
                           .ldc = N };
    if (!weft_compute_init(&ref, "ref", NULL, NULL)
        && !weft_compute_init(&level, weft_isa_name(isa), cli->pool, NULL)) {
        weft_gemm(&ref, &g);
        g.c = got;
        weft_gemm(&level, &g);
        worst = 0;
        for (size_t i = 0; i < M * N; i++) {
            double d = fabs((double)got[i] - want[i]);
            if (!(d <= worst)) worst = isfinite(d) ? d : INFINITY;
        }
    }
    weft_compute_clear(&ref);
    weft_compute_clear(&level);
    return worst;
}

static enum weft_status run(struct weft_cli *cli)
{
    struct settings set;
    struct weft_str_list words = { 0 };
    bool done, sound = true;
    char a[32], b[32];
    enum weft_status st = weft_cli_options(cli, &weft_verb_doctor, &set, &set.common, &words, &done);
    if (st || done) return st;
    st = weft_cli_compute(cli, &set.common);
    if (st) return st;
    weft_say(cli, "weft %s, %d threads, kernels %s\n", WEFT_VERSION, weft_pool_threads(cli->pool),
             weft_isa_name(cli->compute.isa));
    weft_say(cli, "memory: %s available of %s\n", weft_cli_bytes(a, meminfo("MemAvailable")),
             weft_cli_bytes(b, meminfo("MemTotal")));
    struct statvfs disk;
    if (statvfs(".", &disk) == 0)
        weft_say(cli, "disk here: %s free\n", weft_cli_bytes(a, (uint64_t)disk.f_bavail * disk.f_frsize));
    unsigned supported = weft_isa_supported();
    for (int isa = WEFT_ISA_REF; isa < WEFT_N_ISA; isa++) {
        if (!(supported >> isa & 1)) {
            weft_say(cli, "kernels %s: not on this processor\n", weft_isa_name((enum weft_isa)isa));
            continue;
        }
        double f32 = gemm_difference(cli, (enum weft_isa)isa, WEFT_F32),
               bf16 = gemm_difference(cli, (enum weft_isa)isa, WEFT_BF16);
        /* n * FLT_EPSILON * sum|a b| with sum|a b| about K / 16 */
        bool good = f32 >= 0 && bf16 >= 0 && f32 < 1e-4 && bf16 < 1e-4;
        sound = sound && good;
        weft_say(cli, "kernels %s: %s (largest difference from ref %.1e f32, %.1e bf16)\n",
                 weft_isa_name((enum weft_isa)isa), weft_tr(cli->lang, good ? "good" : "WRONG"), f32, bf16);
    }
    const char *tiny;
    if (weft_cli_model_path(cli, "tiny", &tiny) == WEFT_OK) weft_say(cli, "model tiny: %s\n", tiny);
    else {
        weft_say(cli, "model tiny: not found (%s)\n", cli->err.msg);
        weft_err_clear(&cli->err);
    }
    if (!sound)
        return weft_fail(&cli->err, WEFT_EDEVICE,
                         "a kernel level computes wrongly on this machine; use another with --isa");
    return WEFT_OK;
}

const struct weft_verb weft_verb_doctor = {
    .name = "doctor", .usage = "", .options = &table, .run = run,
    .help = "check this machine: processor, memory, disk, arithmetic", .help_zh = "检查本机：处理器、内存、磁盘、运算是否正确",
};
