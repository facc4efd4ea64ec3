/* weft export: an adapter merged into its base, as a plain model directory that any runtime loads. */
#include "cli/model_files.h"
#include "cli/session.h"
#include "cli/verbs.h"

#include "base/file.h"

struct settings {
    struct weft_cli_common common;
    const char *adapter, *output;
    bool merge;
    int dtype;
};

static const struct weft_option rows[] = {
    { .key = "adapter", .type = WEFT_OPT_STRING, .offset = offsetof(struct settings, adapter), .group = "Input",
      .help = "adapter folder, or a run that holds one", .help_zh = "适配器目录，或含有适配器的训练目录", .short_flag = 'a' },
    { .key = "merge", .type = WEFT_OPT_BOOL, .offset = offsetof(struct settings, merge), .group = "Output",
      .help = "add the adapter into the weights", .help_zh = "把适配器并入权重" },
    { .key = "output", .alias = "export_dir", .type = WEFT_OPT_STRING, .offset = offsetof(struct settings, output), .group = "Output",
      .help = "folder to make", .help_zh = "要生成的目录", .short_flag = 'o' },
    { .key = "dtype", .type = WEFT_OPT_CHOICE, .offset = offsetof(struct settings, dtype), .def = "bf16", .choices = "f32|bf16|f16",
      .group = "Output", .help = "type of the weights: merged in f32, rounded once", .help_zh = "权重的类型：以 f32 合并，只舍入一次" },
    WEFT_CLI_COMMON_ROWS(struct settings, common),
};
static const struct weft_option_table table = { rows, WEFT_COUNT(rows) };

static enum weft_status check_words(struct weft_cli *cli, const struct settings *set, size_t n_words)
{
    if (n_words > 1)
        return weft_fail(&cli->err, WEFT_EARG, "expected one MODEL (a folder, or tiny); found %zu words",
                         n_words);
    if (!set->adapter || !set->merge || !set->output || !n_words)
        return weft_fail(&cli->err, WEFT_EARG,
                         "usage: weft export MODEL --adapter DIR --merge -o OUT; MODEL is the base that the "
                         "adapter was trained on");
    return WEFT_OK;
}

static enum weft_status run(struct weft_cli *cli)
{
    struct settings set;
    struct weft_str_list words = { 0 };
    struct weft_model *model = NULL;
    const char *dir = NULL, *tmp = NULL, *adapter = NULL;
    bool done;
    enum weft_status st = weft_cli_options(cli, &weft_verb_export, &set, &set.common, &words, &done);
    if (st || done) return st;
    st = check_words(cli, &set, words.n);
    if (!st) st = weft_cli_compute(cli, &set.common);
    if (!st) st = weft_cli_model_path(cli, words.items[0], &dir);
    if (!st) {
        struct weft_model_settings m = { .exact = true, .max_positions = 1 };
        st = weft_model_load(&model, dir, &m, &cli->err);
    }
    if (!st) weft_warn_model(cli, dir, model, NULL);
    if (!st && !(adapter = weft_adapter_folder(&cli->arena, set.adapter)))
        st = weft_fail(&cli->err, WEFT_EARG,
                       "%s holds no adapter: expected adapter_config.json in it or in its folder adapter/",
                       set.adapter);
    if (!st) st = weft_lora_load(&cli->arena, model, adapter, NULL, NULL, &cli->err);
    if (!st) st = weft_dir_begin(&cli->arena, set.output, &tmp, &cli->err);
    if (!st) st = weft_model_save(model, tmp, (enum weft_dtype)set.dtype, true, &cli->progress, &cli->err);
    if (!st) st = weft_copy_model_files(cli, dir, tmp);
    if (!st) st = weft_dir_commit(tmp, set.output, &cli->err);
    if (!st)
        weft_note(cli, "%s: %s with %s merged in; use it as any MODEL: weft chat %s\n", set.output, dir,
                  adapter, set.output);
    weft_model_free(model);
    return st;
}

const struct weft_verb weft_verb_export = {
    .name = "export", .usage = "MODEL --adapter DIR --merge -o OUT", .options = &table, .run = run,
    .help = "merge an adapter into its base: a plain model directory", .help_zh = "把适配器并入基座模型，得到普通的模型目录",
};
