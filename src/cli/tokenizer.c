/* weft tokenizer train | encode | decode */
#include "cli/verbs.h"

#include "base/file.h"
#include "base/hash.h"
#include "dataset/formats.h"
#include "model/gguf.h"
#include "text/text.h"
#include "tokens/bpe_train.h"
#include "tokens/tokenizer.h"

#include <stdlib.h>

/* ---- train ---- */

struct train_settings {
    struct weft_cli_common common;
    const char *output;
    int64_t vocab_size, min_frequency;
    int pattern;
    bool no_nfc;
    struct weft_str_list specials;
};

static const struct weft_option train_rows[] = {
    { .key = "output", .type = WEFT_OPT_STRING, .offset = offsetof(struct train_settings, output), .group = "Output",
      .help = "folder to make: tokenizer.json, tokenizer_config.json", .help_zh = "要生成的目录：tokenizer.json、tokenizer_config.json",
      .short_flag = 'o' },
    { .key = "vocab_size", .type = WEFT_OPT_INT, .offset = offsetof(struct train_settings, vocab_size), .def = "8192", .min = 257,
      .max = 1 << 22, .unit = "tokens", .group = "Vocabulary", .help = "tokens in all: 256 bytes, merges, special tokens",
      .help_zh = "词表总大小：256 个字节、合并所得、特殊词" },
    { .key = "min_frequency", .type = WEFT_OPT_INT, .offset = offsetof(struct train_settings, min_frequency), .def = "2", .min = 1,
      .max = 1e12, .group = "Vocabulary", .help = "a pair seen less often is not merged", .help_zh = "出现次数更少的字节对不合并" },
    { .key = "pattern", .type = WEFT_OPT_CHOICE, .offset = offsetof(struct train_settings, pattern), .def = "qwen2",
      .choices = "qwen2|llama3|gpt2", .group = "Vocabulary", .help = "how text is cut into words", .help_zh = "文本切成词的规则" },
    { .key = "special", .type = WEFT_OPT_LIST, .offset = offsetof(struct train_settings, specials),
      .def = "<|endoftext|>,<|im_start|>,<|im_end|>", .group = "Vocabulary", .help = "special tokens, given the highest ids",
      .help_zh = "特殊词，编号排在最后" },
    { .key = "no_nfc", .type = WEFT_OPT_BOOL, .offset = offsetof(struct train_settings, no_nfc), .group = "Vocabulary",
      .help = "do not normalise to NFC", .help_zh = "不做 NFC 规范化" },
    WEFT_CLI_COMMON_ROWS(struct train_settings, common),
};
static const struct weft_option_table train_table = { train_rows, WEFT_COUNT(train_rows) };

struct texts {
    struct weft_str *items;
    size_t n, cap;
};

static enum weft_status add_text(struct weft_cli *cli, struct texts *t, struct weft_str s)
{
    if (t->n == t->cap) {
        size_t cap = t->cap ? t->cap * 2 : 1024;
        struct weft_str *items = WEFT_NEWS(&cli->arena, struct weft_str, cap);
        if (!items) return weft_fail_nomem(&cli->err, cap * sizeof *items, "the list of texts");
        if (t->n) memcpy(items, t->items, t->n * sizeof *items);
        t->items = items;
        t->cap = cap;
    }
    t->items[t->n++] = s;
    return WEFT_OK;
}

/* A dataset's texts are its rows' texts and turns; any other file is one text. */
static enum weft_status read_texts(struct weft_cli *cli, const char *path, struct texts *out)
{
    size_t len = strlen(path);
    bool dataset = len > 5 && (strcmp(path + len - 5, ".json") == 0 || strcmp(path + len - 6, ".jsonl") == 0);
    if (!dataset) {
        struct weft_text text;
        enum weft_status st = weft_text_read(&cli->arena, path, NULL, &text, &cli->err);
        return st ? st : add_text(cli, out, text.text);
    }
    struct weft_rows rows = { 0 };
    struct weft_report report = { 0 };
    enum weft_status st = weft_rows_read(&cli->arena, path, NULL, &rows, &report, NULL, &cli->err);
    for (size_t i = 0; !st && i < rows.n; i++) {
        const struct weft_row *r = &rows.items[i];
        if (r->text.s) st = add_text(cli, out, r->text);
        for (size_t k = 0; !st && k < r->n_turns; k++) st = add_text(cli, out, r->turns[k].text);
    }
    uint64_t dropped = weft_report_dropped(&report);
    if (!st && dropped)
        weft_warn(cli, "%s: %llu rows could not be read; the first: %.*s", path, (unsigned long long)dropped,
                  report.n_places ? (int)report.places[0].len : 0, report.n_places ? report.places[0].s : "");
    return st;
}

static enum weft_status write_tokenizer(struct weft_cli *cli, const struct train_settings *set,
                                        const struct weft_buf *json)
{
    struct weft_buf config = { 0 };
    struct weft_json_out o;
    const char *dir = set->output, *tmp = NULL, *eos = NULL;
    for (size_t i = 0; i < set->specials.n; i++)
        if (!eos || strcmp(set->specials.items[i], "<|im_end|>") == 0) eos = set->specials.items[i];
    weft_json_out_init(&o, &config);
    o.indent = 2;
    weft_json_out_object(&o);
    weft_json_out_key(&o, "tokenizer_class");
    weft_json_out_cstr(&o, "PreTrainedTokenizerFast");
    if (eos) {
        weft_json_out_key(&o, "eos_token");
        weft_json_out_cstr(&o, eos);
        weft_json_out_key(&o, "pad_token");
        weft_json_out_cstr(&o, set->specials.items[0]);
    }
    weft_json_out_object_end(&o);
    weft_buf_char(&config, '\n');
    enum weft_status st = weft_buf_check(&config, "tokenizer_config.json", &cli->err);
    if (!st) st = weft_dir_begin(&cli->arena, dir, &tmp, &cli->err);
    if (!st) st = weft_file_write(weft_path_join(&cli->arena, tmp, "tokenizer.json"), weft_buf_view(json), &cli->err);
    if (!st)
        st = weft_file_write(weft_path_join(&cli->arena, tmp, "tokenizer_config.json"),
                             weft_buf_view(&config), &cli->err);
    if (!st) st = weft_dir_commit(tmp, dir, &cli->err);
    weft_buf_clear(&config);
    return st;
}

static enum weft_status run_train(struct weft_cli *cli)
{
    static const char *const patterns[] = { "qwen2", "llama3", "gpt2" };
    struct train_settings set;
    struct weft_str_list files = { 0 };
    struct texts texts = { 0 };
    struct weft_buf json = { 0 };
    bool done;
    enum weft_status st = weft_cli_options(cli, &weft_verb_tokenizer_train, &set, &set.common, &files, &done);
    if (st || done) return st;
    if (!files.n || !set.output) return weft_fail(&cli->err, WEFT_EARG, "usage: weft tokenizer train FILE... -o DIR");
    for (size_t i = 0; !st && i < files.n; i++) st = read_texts(cli, files.items[i], &texts);
    struct weft_bpe_settings bpe = { .vocab_size = (size_t)set.vocab_size, .min_frequency = (size_t)set.min_frequency,
                                     .pattern = patterns[set.pattern], .specials = set.specials.items,
                                     .n_specials = set.specials.n, .nfc = !set.no_nfc };
    if (!st) st = weft_bpe_train(&bpe, texts.items, texts.n, &cli->progress, &json, &cli->err);
    if (!st) st = write_tokenizer(cli, &set, &json);
    if (!st) weft_note(cli, "%s: tokenizer written\n", set.output);
    weft_buf_clear(&json);
    return st;
}

const struct weft_verb weft_verb_tokenizer_train = {
    .name = "train", .usage = "FILE... -o DIR", .options = &train_table, .run = run_train,
    .help = "learn a byte-level BPE vocabulary from texts or datasets", .help_zh = "从文本或数据集学习字节级 BPE 词表",
};

/* ---- encode, decode ---- */

struct code_settings {
    struct weft_cli_common common;
    const char *text, *file;
    bool plain, add_special, keep_special, count;
};

static const struct weft_option code_rows[] = {
    { .key = "text", .type = WEFT_OPT_STRING, .offset = offsetof(struct code_settings, text), .group = "Input",
      .help = "the text (encode) or the ids separated by spaces (decode)", .help_zh = "文本（encode）或以空格分隔的编号（decode）" },
    { .key = "file", .type = WEFT_OPT_STRING, .offset = offsetof(struct code_settings, file), .def = "-", .group = "Input",
      .help = "or a file; \"-\" is standard input", .help_zh = "或一个文件；\"-\" 表示标准输入", .short_flag = 'f' },
    { .key = "plain", .type = WEFT_OPT_BOOL, .offset = offsetof(struct code_settings, plain), .group = "Tokens",
      .help = "special tokens in the text are text", .help_zh = "文本中的特殊词按普通文本处理" },
    { .key = "add_special", .type = WEFT_OPT_BOOL, .offset = offsetof(struct code_settings, add_special), .group = "Tokens",
      .help = "add beginning and end tokens as the tokenizer says", .help_zh = "按分词器的规定添加首尾词" },
    { .key = "keep_special", .type = WEFT_OPT_BOOL, .offset = offsetof(struct code_settings, keep_special), .group = "Tokens",
      .help = "decode: show special tokens", .help_zh = "decode：显示特殊词" },
    { .key = "count", .type = WEFT_OPT_BOOL, .offset = offsetof(struct code_settings, count), .group = "Tokens",
      .help = "encode: print only how many tokens", .help_zh = "encode：只打印词数" },
    WEFT_CLI_COMMON_ROWS(struct code_settings, common),
};
static const struct weft_option_table code_table = { code_rows, WEFT_COUNT(code_rows) };

static enum weft_status open_tokenizer(struct weft_cli *cli, const struct weft_verb *verb, struct code_settings *set,
                                       struct weft_tokenizer **t, struct weft_str *input, bool *done)
{
    struct weft_str_list words = { 0 };
    const char *dir = NULL;
    enum weft_status st = weft_cli_options(cli, verb, set, &set->common, &words, done);
    if (st || *done) return st;
    if (words.n != 1)
        return weft_fail(&cli->err, WEFT_EARG, "expected one MODEL (a folder, or tiny); found %zu words",
                         words.n);
    if (weft_file_exists(words.items[0])) dir = words.items[0];
    else if (weft_dir_exists(words.items[0])) dir = words.items[0];
    else st = weft_cli_model_path(cli, words.items[0], &dir);
    if (!st) st = weft_model_tokenizer(t, dir, &cli->err);
    *input = weft_str_c(set->text);
    if (!st && !set->text) st = weft_file_read(&cli->arena, set->file, 0, input, &cli->err);
    return st;
}

static enum weft_status run_encode(struct weft_cli *cli)
{
    struct code_settings set;
    struct weft_tokenizer *t = NULL;
    struct weft_encoder *e = NULL;
    struct weft_ids ids = { 0 };
    struct weft_buf out = { 0 };
    struct weft_str text;
    bool done = false;
    enum weft_status st = open_tokenizer(cli, &weft_verb_tokenizer_encode, &set, &t, &text, &done);
    if (!st && !done) {
        unsigned flags = (set.plain ? 0 : WEFT_ENCODE_SPECIALS) | (set.add_special ? WEFT_ENCODE_ADD : 0);
        st = weft_encoder_new(&e, t, &cli->err);
        if (!st) st = weft_encode(e, text, flags, &ids, &cli->err);
        if (!st && set.count) weft_buf_printf(&out, "%zu\n", ids.n);
        else if (!st) {
            weft_buf_cstr(&out, set.common.json ? "[" : "");
            for (size_t i = 0; i < ids.n; i++)
                weft_buf_printf(&out, "%s%d", i ? (set.common.json ? "," : " ") : "", (int)ids.ids[i]);
            weft_buf_cstr(&out, set.common.json ? "]\n" : "\n");
        }
        if (!st) st = weft_buf_check(&out, "ids", &cli->err);
        if (!st) weft_put(cli, weft_buf_view(&out));
    }
    weft_buf_clear(&out);
    weft_ids_clear(&ids);
    weft_encoder_free(e);
    weft_tokenizer_free(t);
    return st;
}

static enum weft_status parse_ids(struct weft_cli *cli, struct weft_str text, size_t vocab, struct weft_ids *out)
{
    char shown[64];
    for (size_t i = 0; i < text.len;) {
        if (strchr(" \t\r\n,[]", text.s[i])) {
            i++;
            continue;
        }
        size_t from = i;
        uint64_t v = 0;
        while (i < text.len && text.s[i] >= '0' && text.s[i] <= '9' && v < 1u << 30)
            v = v * 10 + (uint64_t)(text.s[i++] - '0');
        if (i == from || v >= vocab)
            return weft_fail(&cli->err, WEFT_EINPUT,
                             "byte %zu: expected a token id from 0 to %zu, found \"%s\"", from, vocab - 1,
                             weft_escape(shown, sizeof shown, weft_str_sub(text, from, from + 16)));
        if (out->n == out->cap) {
            size_t cap = out->cap ? out->cap * 2 : 256;
            int32_t *grown = realloc(out->ids, cap * sizeof *grown);
            if (!grown) return weft_fail_nomem(&cli->err, cap * sizeof *grown, "ids");
            out->ids = grown;
            out->cap = cap;
        }
        out->ids[out->n++] = (int32_t)v;
    }
    return WEFT_OK;
}

static enum weft_status run_decode(struct weft_cli *cli)
{
    struct code_settings set;
    struct weft_tokenizer *t = NULL;
    struct weft_ids ids = { 0 };
    struct weft_buf out = { 0 };
    struct weft_str text;
    bool done = false;
    enum weft_status st = open_tokenizer(cli, &weft_verb_tokenizer_decode, &set, &t, &text, &done);
    if (!st && !done) {
        st = parse_ids(cli, text, weft_tokenizer_vocab_size(t), &ids);
        if (!st) st = weft_decode(t, ids.ids, ids.n, !set.keep_special, &out, &cli->err);
        if (!st) {
            weft_put(cli, weft_buf_view(&out));
            weft_put(cli, WEFT_STR("\n"));
        }
    }
    weft_buf_clear(&out);
    weft_ids_clear(&ids);
    weft_tokenizer_free(t);
    return st;
}

const struct weft_verb weft_verb_tokenizer_encode = {
    .name = "encode", .usage = "MODEL [--text TEXT | --file FILE]", .options = &code_table, .run = run_encode,
    .help = "text to token ids", .help_zh = "文本转为词编号",
};
const struct weft_verb weft_verb_tokenizer_decode = {
    .name = "decode", .usage = "MODEL [--text IDS | --file FILE]", .options = &code_table, .run = run_decode,
    .help = "token ids to text", .help_zh = "词编号转为文本",
};

static const struct weft_verb *const subverbs[] = { &weft_verb_tokenizer_train, &weft_verb_tokenizer_encode,
                                                    &weft_verb_tokenizer_decode, NULL };
const struct weft_verb weft_verb_tokenizer = {
    .name = "tokenizer", .usage = "train|encode|decode", .verbs = subverbs,
    .help = "learn a vocabulary; text to token ids and back", .help_zh = "学习词表；文本与词编号互转",
};
