/* weft bench WHAT: figures of this machine, each with its share of what the machine can do at most, measured beside it.
 * One entry of the table below per WHAT; the measuring itself stands with the thing measured. */
#include "cli/bench.h"

#include "adapter/lora.h"
#include "base/json_measure.h"
#include "kernels/measure.h"
#include "model/gguf.h"
#include "model/measure.h"
#include "model/quantise.h"
#include "tokens/measure.h"

#include <stdio.h>

void weft_bench_row(struct weft_bench *b, const char *name, double value, const char *unit, double share,
                    const char *of)
{
    if (!b->cli->json) {
        weft_say(b->cli, "  %-36s %10.1f %-8s", name, value, unit);
        if (of) weft_say(b->cli, " %5.1f %% of %s", 100 * share, weft_tr(b->cli->lang, of));
        weft_put(b->cli, WEFT_STR("\n"));
        fflush(stdout);
        return;
    }
    weft_json_out_object(&b->out);
    weft_json_out_key(&b->out, "name");
    weft_json_out_cstr(&b->out, name);
    weft_json_out_key(&b->out, "value");
    weft_json_out_double(&b->out, value);
    weft_json_out_key(&b->out, "unit");
    weft_json_out_cstr(&b->out, unit);
    if (of) {
        weft_json_out_key(&b->out, "share");
        weft_json_out_double(&b->out, share);
        weft_json_out_key(&b->out, "of");
        weft_json_out_cstr(&b->out, of);
    }
    weft_json_out_object_end(&b->out);
}

/* ---- peak ---- */

enum { READ_BYTES = 512 << 20 };

static enum weft_status bench_peak(struct weft_bench *b)
{
    struct weft_compute *c = &b->cli->compute;
    double fp32 = weft_measure_peak(c->pool, c->isa, true), mixed = weft_measure_peak(c->pool, c->isa, false);
    if (fp32 > 0) weft_bench_row(b, "f32 multiply-add", fp32 / 1e9, "GFLOP/s", 0, NULL);
    if (mixed > 0) weft_bench_row(b, "bf16 or best multiply-add", mixed / 1e9, "GFLOP/s", 0, NULL);
    char *p = weft_arena_alloc(&b->cli->arena, READ_BYTES);
    if (!p) return weft_fail_nomem(&b->cli->err, READ_BYTES, "the read loop");
    memset(p, 1, READ_BYTES);
    weft_bench_row(b, "memory read", weft_measure_read(c->pool, p, READ_BYTES) / 1e9, "GB/s", 0, NULL);
    return WEFT_OK;
}

/* ---- gemm ---- */

static const char *const product_names[] = { "y=xW'", "dx=dyW", "dW+=dy'x" };

static enum weft_status bench_gemm(struct weft_bench *b)
{
    /* The shapes of one layer of Qwen2.5-0.5B and of LoRA at rank 16, 512 tokens. */
    static const size_t shapes[][2] = { { 896, 896 },  { 128, 896 }, { 4864, 896 },
                                        { 896, 4864 }, { 16, 896 },  { 4864, 16 } };
    enum weft_status st = WEFT_OK;
    for (int product = WEFT_Y; !st && product <= WEFT_DX; product++)
        for (size_t i = 0; !st && i < WEFT_COUNT(shapes); i++) {
            struct weft_gemm_shape shape = { .m = 512, .n = shapes[i][0], .k = shapes[i][1], .type = WEFT_BF16 };
            struct weft_measured_gemm got;
            char name[64];
            shape.product = product;
            snprintf(name, sizeof name, "%s 512x%zux%zu bf16", product_names[product], shape.n, shape.k);
            st = weft_measure_gemm(&b->cli->compute, &shape, 5, &got, &b->cli->err);
            if (!st) weft_bench_row(b, name, got.flops / 1e9, "GFLOP/s", got.share, "peak");
        }
    return st;
}

/* ---- train, decode: a model directory, or random weights of a known shape ---- */

static enum weft_status open_model(struct weft_bench *b, struct weft_model **model)
{
    struct weft_cli *cli = b->cli;
    const char *word = b->model ? b->model : "qwen2.5-0.5b", *dir;
    struct weft_config config;
    struct weft_model_settings settings = { .random_type = WEFT_BF16, .max_positions = 4096 };
    if (weft_config_preset(word, &config, NULL, NULL) && strcmp(word, "tiny") != 0)
        return weft_model_random(model, &config, 1, &settings, &cli->err);
    enum weft_status st = weft_cli_model_path(cli, word, &dir);
    return st ? st : weft_model_load(model, dir, &settings, &cli->err);
}

/* The base as the option `base` wants it; `int8` multiplies in int8, too. */
static enum weft_status choose_base(struct weft_bench *b, struct weft_model *model)
{
    struct weft_compute *c = &b->cli->compute;
    static const char *const formats[] = { NULL, "int8", "q8_0", "q4_0", "nf4" };   /* as WEFT_BENCH_BASES */
    const char *format = formats[b->training.base];
    if (!format) return WEFT_OK;
    c->int8 = strcmp(format, "int8") == 0;
    if (c->int8 && !weft_compute_has_int8(c))
        return weft_fail(&b->cli->err, WEFT_EDEVICE,
                         "level %s of this processor does not multiply in int8; take --base bf16", weft_isa_name(c->isa));
    return weft_model_quantise(model, c, weft_quant_find(format), false, NULL, &b->cli->err);
}

static enum weft_status bench_train(struct weft_bench *b)
{
    struct weft_cli *cli = b->cli;
    struct weft_model *model = NULL;
    struct weft_params params = { 0 };
    struct weft_lora_settings lora = { .rank = 16 };
    struct weft_measured_training got;
    size_t rows = (size_t)b->training.rows, length = (size_t)b->training.length;
    char name[64];
    enum weft_status st = open_model(b, &model);
    if (!st) st = choose_base(b, model);
    if (!st) st = weft_lora_attach(&cli->arena, model, &lora, &params, &cli->err);
    if (!st) st = weft_measure_training(&cli->compute, model, &params, rows, length, false, 5, &got, &cli->err);
    if (!st) {
        snprintf(name, sizeof name, "LoRA r=16, %zu x %zu tokens, half with loss", rows, length);
        weft_bench_row(b, name, got.tokens_per_s, "tokens/s", got.share, "peak");
        weft_bench_row(b, "for each second of processor time", got.tokens_per_cpu_s, "tokens", 0, NULL);
        weft_bench_row(b, "peak memory", (double)got.peak_rss_bytes / 1e6, "MB", 0, NULL);
    }
    weft_model_free(model);
    cli->compute.int8 = false;
    return st;
}

static enum weft_status bench_decode(struct weft_bench *b)
{
    struct weft_model *model = NULL;
    struct weft_measured_decoding got;
    enum weft_status st = open_model(b, &model);
    if (!st) st = weft_measure_decoding(&b->cli->compute, model, 64, 64, &got, &b->cli->err);
    if (!st) {
        weft_bench_row(b, "one sequence, greedy", got.tokens_per_s, "tokens/s", got.share, "memory read");
        weft_bench_row(b, "prompt", got.prefill_tokens_per_s, "tokens/s", 0, NULL);
    }
    weft_model_free(model);
    return st;
}

/* ---- json ---- */

enum { JSON_BYTES = 16 << 20 };

static enum weft_status bench_json(struct weft_bench *b)
{
    enum weft_status st = WEFT_OK;
    for (int sample = 0; !st && sample < WEFT_N_JSON_SAMPLES; sample++) {
        struct weft_buf text = { 0 };
        struct weft_json_rates got;
        char name[64];
        weft_json_sample_text((enum weft_json_sample)sample, JSON_BYTES, &text);
        st = weft_buf_check(&text, "JSON", &b->cli->err);
        if (!st) st = weft_json_measure(weft_buf_view(&text), &got, &b->cli->err);
        const struct {
            const char *what;
            double rate;
        } rows[] = { { "check", got.skip }, { "read", got.tree }, { "write", got.write } };
        for (size_t i = 0; !st && i < WEFT_COUNT(rows); i++) {
            snprintf(name, sizeof name, "%s %s", rows[i].what, weft_json_sample_name((enum weft_json_sample)sample));
            weft_bench_row(b, name, rows[i].rate / 1e6, "MB/s", rows[i].rate / got.copy, "copying");
        }
        weft_buf_clear(&text);
    }
    return st;
}

/* ---- tokenize ---- */

enum { TOKENIZE_BYTES = 8 << 20 };

static enum weft_status bench_tokenize(struct weft_bench *b)
{
    struct weft_cli *cli = b->cli;
    const char *word = b->model ? b->model : "tiny", *dir;
    struct weft_tokenizer *t = NULL;
    struct weft_buf text = { 0 };
    struct weft_measured_tokens got = { 0 };
    enum weft_status st = weft_cli_model_path(cli, word, &dir);
    if (!st) st = weft_model_tokenizer(&t, dir, &cli->err);
    if (!st) st = weft_measure_tokens_text(t, TOKENIZE_BYTES, &text, &cli->err);
    if (!st) {
        struct weft_str whole = weft_buf_view(&text);
        st = weft_measure_tokens(t, &whole, 1, 5, &got, &cli->err);
    }
    if (!st) {
        weft_bench_row(b, "text to tokens, one thread", got.bytes_per_s / 1e6, "MB/s",
                       got.bytes_per_s / got.check_bytes_per_s, "checking UTF-8");
        weft_bench_row(b, "bytes in a token", (double)got.n_bytes / (double)weft_max_size(got.n_tokens, 1), "bytes",
                       0, NULL);
    }
    weft_buf_clear(&text);
    weft_tokenizer_free(t);
    return st;
}

/* ---- the list ---- */

static const struct weft_bench_entry {
    const char *name, *help, *help_zh;
    enum weft_status (*run)(struct weft_bench *b);
} entries[] = {
    { "peak", "registers and memory", "寄存器与内存的极限", bench_peak },
    { "gemm", "matrix products of training", "训练中的矩阵乘法", bench_gemm },
    { "train", "a LoRA step of a model", "模型的一步 LoRA 训练", bench_train },
    { "decode", "generating with a model", "模型生成", bench_decode },
    { "tokenize", "text to tokens on one thread", "单线程分词", bench_tokenize },
    { "json", "JSON on one thread", "单线程读写 JSON", bench_json },
};

struct settings {
    struct weft_cli_common common;
    struct weft_bench_training training;
};
static const struct weft_option rows[] = {
    { .key = "base", .type = WEFT_OPT_CHOICE, .offset = offsetof(struct settings, training.base), .group = "Training",
      .def = "bf16", .choices = WEFT_BENCH_BASES, .help = "the frozen base of bench train; int8 multiplies in int8, too",
      .help_zh = "bench train 的冻结底座；int8 连乘法也用 int8" },
    { .key = "rows", .type = WEFT_OPT_INT, .offset = offsetof(struct settings, training.rows), .group = "Training",
      .def = "1", .min = 1, .max = 1024, .help = "rows in a step of bench train",
      .help_zh = "bench train 每步的行数" },
    { .key = "length", .type = WEFT_OPT_INT, .offset = offsetof(struct settings, training.length), .group = "Training",
      .def = "512", .min = 2, .max = 32768, .unit = "tokens", .help = "length of a row, the later half with loss",
      .help_zh = "每行的长度，后一半计入损失" },
    WEFT_CLI_COMMON_ROWS(struct settings, common),
};
static const struct weft_option_table table = { rows, WEFT_COUNT(rows) };

static enum weft_status unknown(struct weft_cli *cli, const char *word)
{
    struct weft_buf list = { 0 };
    char shown[64];
    for (size_t i = 0; i < WEFT_COUNT(entries); i++) weft_buf_printf(&list, "%s%s", i ? ", " : "", entries[i].name);
    enum weft_status st = weft_fail(&cli->err, WEFT_EARG, "no benchmark \"%s\"; there are %s",
                                    weft_escape(shown, sizeof shown, weft_str_c(word)), list.s ? list.s : "");
    weft_buf_clear(&list);
    return st;
}

static enum weft_status run(struct weft_cli *cli)
{
    struct settings set;
    struct weft_str_list words = { 0 };
    struct weft_buf buf = { 0 };
    struct weft_bench b = { .cli = cli };
    bool done;
    enum weft_status st = weft_cli_options(cli, &weft_verb_bench, &set, &set.common, &words, &done);
    if (st || done) return st;
    if (!words.n || words.n > 2)
        return weft_fail(&cli->err, WEFT_EARG,
                         "usage: weft bench WHAT [MODEL]; \"weft bench all\" runs them all");
    const char *what = words.items[0];
    b.training = set.training;
    b.model = words.n > 1 ? words.items[1] : NULL;
    st = weft_cli_compute(cli, &set.common);
    weft_json_out_init(&b.out, &buf);
    weft_json_out_array(&b.out);
    bool all = strcmp(what, "all") == 0, found = false;
    for (size_t i = 0; !st && i < WEFT_COUNT(entries); i++) {
        if (!all && strcmp(what, entries[i].name) != 0) continue;
        found = true;
        if (!cli->json)
            weft_say(cli, "%s: %s (%s, %d threads)\n", entries[i].name,
                     cli->lang == WEFT_LANG_ZH ? entries[i].help_zh : entries[i].help,
                     weft_isa_name(cli->compute.isa), weft_pool_threads(cli->pool));
        st = entries[i].run(&b);
    }
    if (!st && !found) st = unknown(cli, what);
    weft_json_out_array_end(&b.out);
    weft_buf_char(&buf, '\n');
    if (!st && cli->json) weft_put(cli, weft_buf_view(&buf));
    weft_buf_clear(&buf);
    return st;
}

const struct weft_verb weft_verb_bench = {
    .name = "bench", .usage = "peak|gemm|train|decode|tokenize|json|all [MODEL]", .options = &table, .run = run,
    .help = "measure this machine and how near weft comes to its limit", .help_zh = "测量本机，以及 weft 离极限有多近",
};
