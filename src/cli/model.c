/* weft model random: a model with random weights of a known shape, for trials, tests and benchmarks.  It is never held:
 * each piece is drawn when it is written. */
#include "cli/model_files.h"
#include "cli/verbs.h"

#include "base/file.h"
#include "model/model.h"

struct settings {
    struct weft_cli_common common;
    const char *like, *config, *output, *tokenizer, *gguf;
    int64_t seed;
    int dtype;
};

static const struct weft_option rows[] = {
    { .key = "like", .type = WEFT_OPT_STRING, .offset = offsetof(struct settings, like), .group = "Model",
      .help = "a known shape: qwen2.5-0.5b, qwen2.5-1.5b, qwen2.5-7b, tiny",
      .help_zh = "已知的模型形状：qwen2.5-0.5b、qwen2.5-1.5b、qwen2.5-7b、tiny" },
    { .key = "config", .type = WEFT_OPT_STRING, .offset = offsetof(struct settings, config), .group = "Model",
      .help = "or the shape of this config.json (a file or a model folder)", .help_zh = "或按此 config.json（文件或模型目录）的形状" },
    { .key = "output", .alias = "output_dir", .type = WEFT_OPT_STRING, .offset = offsetof(struct settings, output), .group = "Output",
      .help = "folder to make; with --gguf the file", .help_zh = "要生成的目录；用 --gguf 时是文件", .short_flag = 'o' },
    { .key = "dtype", .type = WEFT_OPT_CHOICE, .offset = offsetof(struct settings, dtype), .def = "bf16", .choices = "f32|bf16|f16",
      .group = "Output", .help = "type of the weights", .help_zh = "权重的类型" },
    { .key = "gguf", .type = WEFT_OPT_STRING, .offset = offsetof(struct settings, gguf), .group = "Output",
      .help = "write one GGUF file: F32, F16, BF16, Q8_0 or Q4_0", .help_zh = "写成单个 GGUF 文件：F32、F16、BF16、Q8_0 或 Q4_0" },
    { .key = "tokenizer", .type = WEFT_OPT_STRING, .offset = offsetof(struct settings, tokenizer), .def = "tiny", .group = "Output",
      .help = "model whose tokenizer and chat template are copied", .help_zh = "从哪个模型复制分词器和对话模板" },
    { .key = "seed", .type = WEFT_OPT_INT, .offset = offsetof(struct settings, seed), .def = "42", .min = 0, .max = 9e15,
      .group = "Output", .help = "the same seed gives the same weights", .help_zh = "同一种子得到同样的权重" },
    WEFT_CLI_COMMON_ROWS(struct settings, common),
};
static const struct weft_option_table table = { rows, WEFT_COUNT(rows) };

static enum weft_status shape(struct weft_cli *cli, const struct settings *set, struct weft_config *config)
{
    const char *const *names;
    size_t n;
    if (!set->like == !set->config)
        return weft_fail(&cli->err, WEFT_EARG, "expected either --like SHAPE or --config FILE");
    if (set->config) return weft_config_load(&cli->arena, set->config, config, &cli->err);
    if (weft_config_preset(set->like, config, &names, &n)) return WEFT_OK;
    struct weft_buf list = { 0 };
    char shown[128];
    for (size_t i = 0; i < n; i++) weft_buf_printf(&list, "%s%s", i ? ", " : "", names[i]);
    enum weft_status st = weft_fail(&cli->err, WEFT_EARG, "no shape \"%s\"; known are %s",
                                    weft_escape(shown, sizeof shown, weft_str_c(set->like)), list.s ? list.s : "");
    weft_buf_clear(&list);
    return st;
}

static enum weft_status write_folder(struct weft_cli *cli, const struct settings *set, const struct weft_model *m,
                                     const char *from)
{
    const char *tmp = NULL;
    enum weft_status st = weft_dir_begin(&cli->arena, set->output, &tmp, &cli->err);
    if (!st) st = weft_model_save(m, tmp, (enum weft_dtype)set->dtype, false, &cli->progress, &cli->err);
    if (!st && from) st = weft_copy_model_files(cli, from, tmp);
    return st ? st : weft_dir_commit(tmp, set->output, &cli->err);
}

static enum weft_status run(struct weft_cli *cli)
{
    struct settings set;
    struct weft_str_list words = { 0 };
    struct weft_config config;
    struct weft_model *model = NULL;
    const char *from = NULL;
    bool done;
    enum weft_status st = weft_cli_options(cli, &weft_verb_model_random, &set, &set.common, &words, &done);
    if (st || done) return st;
    if (!set.output || words.n) return weft_fail(&cli->err, WEFT_EARG, "usage: weft model random --like SHAPE [--gguf TYPE] -o OUT");
    st = shape(cli, &set, &config);
    if (!st) st = weft_model_drawn(&model, &config, (uint64_t)set.seed, &cli->err);
    if (!st && set.tokenizer && set.tokenizer[0]) st = weft_cli_model_path(cli, set.tokenizer, &from);
    if (!st) st = set.gguf ? weft_cli_write_gguf(cli, model, from, NULL, set.gguf, false, set.output)
                           : write_folder(cli, &set, model, from);
    if (!st) {
        char params[32];
        weft_note(cli, "%s: %s parameters, random weights (seed %lld)\n", set.output,
                  weft_cli_count(params, weft_config_n_params(&config)), (long long)set.seed);
    }
    weft_model_free(model);
    return st;
}

const struct weft_verb weft_verb_model_random = {
    .name = "random", .usage = "--like SHAPE [--gguf TYPE] -o OUT", .options = &table, .run = run,
    .help = "make a model with random weights, of any size", .help_zh = "生成随机权重的模型，大小不限",
};

static const struct weft_verb *const subverbs[] = { &weft_verb_model_random, NULL };
const struct weft_verb weft_verb_model = {
    .name = "model", .usage = "random", .verbs = subverbs, .help = "make models", .help_zh = "生成模型",
};
