/* weft data chunk FILE... --max 800 -o chunks.jsonl: a book becomes pieces of at most N characters.  Without -o
 * nothing is written: the figures and the first chunks show what would be. */
#include "base/file.h"
#include "cli/data.h"
#include "cli/verbs.h"
#include "dataset/chunk_options.h"
#include "model/gguf.h"
#include "tokens/tokenizer.h"

#include <inttypes.h>

struct settings {
    struct weft_cli_common common;
    struct weft_chunk_settings chunk;
    struct weft_text_settings text;
    const char *output, *model;
    int layout;
    bool no_origin;
};

static const struct weft_option rows[] = {
    WEFT_DATA_OUTPUT_ROW(struct settings, output),
    WEFT_DATA_LAYOUT_ROW(struct settings, layout),
    { .key = "no_origin",
      .type = WEFT_OPT_BOOL,
      .offset = offsetof(struct settings, no_origin),
      .group = "Output",
      .help = "leave the member \"weft\" out (where each chunk came from)",
      .help_zh = "不写 weft 成员（每块的出处）" },
    WEFT_CHUNK_OPTION_ROWS(struct settings, chunk.),
    { .key = "model",
      .type = WEFT_OPT_STRING,
      .offset = offsetof(struct settings, model),
      .group = "Chunks",
      .help = "whose tokens max_tokens counts: a model folder or tokenizer.json",
      .help_zh = "max_tokens 按哪个模型的词元计数：模型目录或 tokenizer.json" },
    WEFT_TEXT_OPTION_ROWS(struct settings, text),
    WEFT_CLI_COMMON_ROWS(struct settings, common),
};
static const struct weft_option_table table = { rows, WEFT_COUNT(rows) };

/* ---- tokens ---- */

struct counter {
    struct weft_tokenizer *tokenizer;
    struct weft_encoder *encoder;
    struct weft_ids ids;
};

static int64_t count_tokens(void *ctx, struct weft_str text, struct weft_err *err)
{
    struct counter *c = ctx;
    c->ids.n = 0;
    return weft_encode(c->encoder, text, WEFT_ENCODE_PLAIN, &c->ids, err) ? -1 : (int64_t)c->ids.n;
}

static enum weft_status open_counter(struct weft_cli *cli, const char *model, struct counter *c)
{
    const char *path = model;
    enum weft_status st = WEFT_OK;
    if (!weft_file_exists(model) && !weft_dir_exists(model)) st = weft_cli_model_path(cli, model, &path);
    if (!st) st = weft_model_tokenizer(&c->tokenizer, path, &cli->err);
    if (!st) st = weft_encoder_new(&c->encoder, c->tokenizer, &cli->err);
    return st;
}

static void close_counter(struct counter *c)
{
    weft_ids_clear(&c->ids);
    weft_encoder_free(c->encoder);
    weft_tokenizer_free(c->tokenizer);
}

/* ---- what people see ---- */

static void show(struct weft_cli *cli, const struct settings *s, const struct weft_chunks *c)
{
    weft_data_figure(cli, "characters", c->chars, 0);
    weft_data_figure(cli, "characters without white space", c->visible_chars, c->chars);
    weft_data_figure(cli, "chapters", c->chapters, 0);
    weft_data_figure(cli, "chunks", c->n, 0);
    weft_data_figure(cli, "characters of the longest", c->longest, 0);
    if (s->chunk.mode == WEFT_CHUNK_DEFAULT) {
        weft_data_figure(cli, "ending inside a quote", c->in_quote, c->n);
        weft_data_figure(cli, "ending at a pause in a long sentence", c->at_pause, c->n);
        weft_data_figure(cli, "cut inside a sentence without a pause", c->forced, c->n);
    }
    if (c->over_tokens)
        weft_warn(cli, "%" PRIu64 " chunks of one character have more than %" PRId64 " tokens",
                  c->over_tokens, s->chunk.max_tokens);
}

static void show_first(struct weft_cli *cli, const struct weft_chunks *c, size_t n)
{
    for (size_t i = 0; i < c->n && i < n; i++) {
        weft_say(cli, "\nchunk %zu: %" PRIu64 " characters\n", i + 1, c->items[i].chars);
        weft_data_line(cli, "  ", c->items[i].text, 100);
    }
}

static enum weft_status show_json(struct weft_cli *cli, const struct settings *s,
                                  const struct weft_data_texts *texts, const struct weft_chunks *c)
{
    struct weft_buf b = { 0 };
    struct weft_json_out o;
    weft_json_out_init(&o, &b);
    weft_json_out_object(&o);
    weft_data_texts_members(&o, texts);
    weft_data_key_uint(&o, "chars", c->chars);
    weft_data_key_uint(&o, "visible_chars", c->visible_chars);
    weft_data_key_uint(&o, "chapters", c->chapters);
    weft_data_key_uint(&o, "chunks", c->n);
    weft_data_key_uint(&o, "longest", c->longest);
    weft_data_key_uint(&o, "in_quote", c->in_quote);
    weft_data_key_uint(&o, "at_pause", c->at_pause);
    weft_data_key_uint(&o, "forced", c->forced);
    weft_data_key_uint(&o, "over_tokens", c->over_tokens);
    weft_data_key_str(&o, "output", weft_str_c(s->output));
    weft_json_out_object_end(&o);
    return weft_data_print_json(cli, &b);
}

static enum weft_status write_rows(struct weft_cli *cli, const struct settings *s,
                                   const struct weft_data_texts *texts, const struct weft_chunks *chunks)
{
    struct weft_rows list = { 0 };
    struct weft_rows_writer_settings w = { .format = WEFT_FORMAT_TEXT,
                                           .layout = s->layout,
                                           .no_origin = s->no_origin,
                                           .threads = s->common.threads };
    enum weft_status st = weft_chunk_rows(&cli->arena, texts->items, chunks, s->chunk.mode, &list, &cli->err);
    return st ? st : weft_rows_write(s->output, &w, &list, &cli->err);
}

static enum weft_status run(struct weft_cli *cli)
{
    struct settings s = { 0 };
    struct weft_str_list files = { 0 };
    struct weft_data_texts texts = { 0 };
    struct weft_chunks chunks = { 0 };
    struct counter tokens = { 0 };
    bool done, to_stdout;
    enum weft_status st = weft_cli_options(cli, &weft_verb_data_chunk, &s, &s.common, &files, &done);
    if (st || done) return st;
    if (!files.n) return weft_fail(&cli->err, WEFT_EARG, "expected at least one FILE: a text");
    st = weft_data_to_stdout(cli, s.output, &to_stdout);
    if (st) return st;
    if (s.chunk.max_tokens && !s.model)
        return weft_fail(&cli->err, WEFT_EARG, "--max-tokens needs --model: whose tokens?");
    s.chunk.threads = s.text.threads = s.common.threads;
    if (s.model) st = open_counter(cli, s.model, &tokens);
    if (!st) st = weft_data_texts(cli, &files, &s.text, &texts);
    if (!st)
        st = weft_chunk_texts(&cli->arena, texts.items, texts.n, &s.chunk,
                              s.model ? &(struct weft_chunk_counter){ count_tokens, &tokens } : NULL,
                              &cli->progress, &chunks, &cli->err);
    weft_cli_progress_end(cli);
    if (!st && s.output) st = write_rows(cli, &s, &texts, &chunks);
    if (!st && cli->json) st = show_json(cli, &s, &texts, &chunks);
    else if (!st && !to_stdout && !cli->quiet) {
        weft_data_texts_show(cli, &texts);
        show(cli, &s, &chunks);
        if (s.output) weft_say(cli, "%s: %zu rows written\n", s.output, chunks.n);
        else {
            show_first(cli, &chunks, 3);
            weft_say(cli, "\nnothing written; -o FILE writes these rows\n");
        }
    }
    close_counter(&tokens);
    return st ? st : weft_data_texts_verdict(cli, &texts);
}

const struct weft_verb weft_verb_data_chunk = {
    .name = "chunk",
    .usage = "FILE... [--max 800] [-o OUT.jsonl]",
    .help = "a long text becomes chunks of at most so many characters, cut between sentences",
    .help_zh = "把长文本切成不超过指定字数的块，在句子之间切分",
    .options = &table,
    .run = run,
};
