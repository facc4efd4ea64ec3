/* weft export: a model, an adapter merged into it or not, as a plain model directory or as one GGUF file. */
#include "cli/model_files.h"
#include "cli/session.h"
#include "cli/verbs.h"

#include "base/file.h"
#include "model/gguf.h"

struct settings {
    struct weft_cli_common common;
    const char *adapter, *output, *gguf;
    bool merge;
    int dtype;
};

static const struct weft_option rows[] = {
    { .key = "adapter", .type = WEFT_OPT_STRING, .offset = offsetof(struct settings, adapter), .group = "Input",
      .help = "adapter folder, or a run that holds one", .help_zh = "适配器目录，或含有适配器的训练目录", .short_flag = 'a' },
    { .key = "merge", .type = WEFT_OPT_BOOL, .offset = offsetof(struct settings, merge), .group = "Output",
      .help = "add the adapter into the weights", .help_zh = "把适配器并入权重" },
    { .key = "output", .alias = "export_dir", .type = WEFT_OPT_STRING, .offset = offsetof(struct settings, output), .group = "Output",
      .help = "folder to make; with --gguf the file", .help_zh = "要生成的目录；用 --gguf 时是文件", .short_flag = 'o' },
    { .key = "gguf", .type = WEFT_OPT_STRING, .offset = offsetof(struct settings, gguf), .group = "Output",
      .help = "write one GGUF file with matrices of this type: F32, F16, BF16, Q8_0 or Q4_0",
      .help_zh = "写成一个 GGUF 文件，矩阵用此类型：F32、F16、BF16、Q8_0 或 Q4_0" },
    { .key = "dtype", .type = WEFT_OPT_CHOICE, .offset = offsetof(struct settings, dtype), .def = "bf16", .choices = "f32|bf16|f16",
      .group = "Output", .help = "type of the weights: merged in f32, rounded once", .help_zh = "权重的类型：以 f32 合并，只舍入一次" },
    WEFT_CLI_COMMON_ROWS(struct settings, common),
};
static const struct weft_option_table table = { rows, WEFT_COUNT(rows) };

static enum weft_status usage(struct weft_cli *cli)
{
    return weft_fail(&cli->err, WEFT_EARG,
                     "usage: weft export MODEL [--adapter DIR --merge] [--gguf TYPE] -o OUT; MODEL is the base that the "
                     "adapter was trained on");
}

static enum weft_status check_words(struct weft_cli *cli, const struct settings *set, size_t n_words)
{
    if (n_words > 1)
        return weft_fail(&cli->err, WEFT_EARG, "expected one MODEL (a folder, a GGUF file, or tiny); found %zu words",
                         n_words);
    /* without an adapter a model changes its form: to GGUF, or from GGUF to a folder */
    return !set->output || !n_words || (set->adapter && !set->merge) ? usage(cli) : WEFT_OK;
}

/* An adapter trained on a quantised file corrects that file's errors too, but is not quantised with it: it belongs into
 * a base that is not quantised. */
static enum weft_status check_base(struct weft_cli *cli, struct weft_model *m, const char *path, bool merge)
{
    for (size_t i = 0; merge && i < weft_model_n_linears(m); i++)
        if (weft_model_linear(m, i)->type == WEFT_QUANT)
            return weft_fail(&cli->err, WEFT_EARG,
                             "%s is quantised; an adapter is merged into the unquantised model it was made from (its "
                             "folder in Hugging Face layout, or an F16 or BF16 file)", path);
    return WEFT_OK;
}

static enum weft_status write_folder(struct weft_cli *cli, const struct settings *set, const struct weft_model *m,
                                     const char *path, const struct weft_chat_template *chat)
{
    struct weft_str json = { 0 }, config = { 0 };
    const char *tmp = NULL, *file;
    enum weft_status st = weft_dir_begin(&cli->arena, set->output, &tmp, &cli->err);
    if (!st) st = weft_model_save(m, tmp, (enum weft_dtype)set->dtype, true, &cli->progress, &cli->err);
    if (!st && !weft_gguf_is(path)) st = weft_copy_model_files(cli, path, tmp);
    if (!st && weft_gguf_is(path)) st = weft_cli_tokenizer_json(cli, path, &json, &config);
    if (!st && json.s) {
        file = weft_path_join(&cli->arena, tmp, "tokenizer.json");
        st = file ? weft_file_write(file, json, &cli->err) : weft_fail_nomem(&cli->err, 64, "a path");
        file = st ? NULL : weft_path_join(&cli->arena, tmp, "tokenizer_config.json");
        if (file) st = weft_file_write(file, config, &cli->err);
    }
    if (!st && chat) st = weft_write_template(cli, chat, tmp);
    return st ? st : weft_dir_commit(tmp, set->output, &cli->err);
}

static enum weft_status run(struct weft_cli *cli)
{
    struct settings set;
    struct weft_str_list words = { 0 };
    struct weft_model *model = NULL;
    const char *path = NULL, *adapter = NULL;
    const struct weft_chat_template *chat = NULL;   /* that the adapter brings */
    struct weft_str source = { 0 };
    struct weft_lora_info info = { 0 };
    bool done;
    enum weft_status st = weft_cli_options(cli, &weft_verb_export, &set, &set.common, &words, &done);
    if (st || done) return st;
    st = check_words(cli, &set, words.n);
    if (!st) st = weft_cli_compute(cli, &set.common);
    if (!st) st = weft_cli_model_path(cli, words.items[0], &path);
    if (!st && !set.adapter && !set.gguf && !weft_gguf_is(path)) st = usage(cli);
    if (!st) {
        struct weft_model_settings m = { .exact = true, .max_positions = 1 };
        st = weft_model_load(&model, path, &m, &cli->err);
    }
    if (!st) weft_warn_model(cli, path, model, NULL);
    if (!st && set.adapter) {
        st = check_base(cli, model, path, true);
        if (!st && !(adapter = weft_adapter_folder(&cli->arena, set.adapter)))
            st = weft_fail(&cli->err, WEFT_EARG,
                           "%s holds no adapter: expected adapter_config.json in it or in its folder adapter/",
                           set.adapter);
        if (!st) st = weft_lora_load(&cli->arena, model, adapter, NULL, &info, &cli->err);
        if (!st) st = weft_model_stretch(model, info.rope, info.rope_length, &cli->err);
        if (!st) st = weft_read_template(cli, adapter, &source);
        if (!st && source.s) st = weft_chat_parse(&cli->arena, "chat_template.jinja", source, &chat, &cli->err);
    }
    if (!st)
        st = set.gguf ? weft_cli_write_gguf(cli, model, path, chat, set.gguf, set.merge, set.output)
                      : write_folder(cli, &set, model, path, chat);
    if (!st && adapter)
        weft_note(cli, "%s: %s with %s merged in; use it as any MODEL: weft chat %s\n", set.output, path, adapter,
                  set.output);
    else if (!st) weft_note(cli, "%s: %s in another form; use it as any MODEL: weft chat %s\n", set.output, path, set.output);
    weft_model_free(model);
    return st;
}

const struct weft_verb weft_verb_export = {
    .name = "export", .usage = "MODEL [--adapter DIR --merge] [--gguf TYPE] -o OUT", .options = &table, .run = run,
    .help = "merge an adapter into its base; write a model directory or a GGUF file",
    .help_zh = "把适配器并入基座模型；写成模型目录或 GGUF 文件",
};
