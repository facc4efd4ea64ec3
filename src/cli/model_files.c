#include "cli/model_files.h"

#include "base/file.h"
#include "model/gguf.h"

#include <stdarg.h>
#include <stdio.h>

static const char *const names[] = {
    "tokenizer.json",     "tokenizer_config.json",  "special_tokens_map.json", "vocab.json", "merges.txt",
    "tokenizer.model",    "added_tokens.json",      "generation_config.json",  "chat_template.jinja",
};

enum weft_status weft_copy_model_files(struct weft_cli *cli, const char *from, const char *to)
{
    struct weft_arena scratch = { 0 };
    enum weft_status st = WEFT_OK;
    for (size_t i = 0; !st && i < WEFT_COUNT(names); i++) {
        const char *source = weft_path_join(&scratch, from, names[i]), *target = weft_path_join(&scratch, to, names[i]);
        struct weft_str content;
        if (!source || !target) st = weft_fail_nomem(&cli->err, 0, "a path");
        else if (weft_file_exists(source)) {
            st = weft_file_read(&scratch, source, 256u << 20, &content, &cli->err);
            if (!st) st = weft_file_write(target, content, &cli->err);
        }
    }
    weft_arena_clear(&scratch);
    return st;
}

enum weft_status weft_read_template(struct weft_cli *cli, const char *dir, struct weft_str *out)
{
    const char *path = weft_path_join(&cli->arena, dir, "chat_template.jinja");
    *out = (struct weft_str){ 0 };
    if (!path) return weft_fail_nomem(&cli->err, strlen(dir), "a path");
    return weft_file_exists(path) ? weft_file_read(&cli->arena, path, 1u << 20, out, &cli->err) : WEFT_OK;
}

/* tokenizer_config.json and the like with another eos_token, where the file has one. */
static enum weft_status change_eos(struct weft_cli *cli, struct weft_arena *a, const char *path, struct weft_str eos)
{
    struct weft_str text;
    struct weft_json_value v;
    struct weft_buf out = { 0 };
    struct weft_json_out o;
    if (!weft_file_exists(path)) return WEFT_OK;
    enum weft_status st = weft_file_read(a, path, 64u << 20, &text, &cli->err);
    if (!st) st = weft_json_parse(a, path, text, &v, &cli->err);
    if (st || v.kind != WEFT_JSON_OBJECT) return st;
    weft_json_out_init(&o, &out);
    o.indent = 2;
    weft_json_out_object(&o);
    for (size_t i = 0; i < v.n; i++) {
        if (weft_str_is(v.keys[i], "chat_template")) continue;  /* chat_template.jinja has it */
        weft_json_out_key_str(&o, v.keys[i]);
        if (weft_str_is(v.keys[i], "eos_token")) weft_json_out_str(&o, eos);
        else weft_json_out_value(&o, &v.items[i]);
    }
    weft_json_out_object_end(&o);
    weft_buf_char(&out, '\n');
    st = weft_buf_check(&out, path, &cli->err);
    if (!st) st = weft_file_write(path, weft_buf_view(&out), &cli->err);
    weft_buf_clear(&out);
    return st;
}

enum weft_status weft_write_template(struct weft_cli *cli, const struct weft_chat_template *chat, const char *dir)
{
    static const char *const with_eos[] = { "tokenizer_config.json", "special_tokens_map.json" };
    if (!weft_chat_rules(chat)->name.s) return WEFT_OK;
    struct weft_arena scratch = { 0 };
    struct weft_str eos = weft_chat_rules(chat)->eos;
    const char *path = weft_path_join(&scratch, dir, "chat_template.jinja");
    enum weft_status st = path ? weft_file_write(path, weft_chat_source(chat), &cli->err)
                               : weft_fail_nomem(&cli->err, 0, "a path");
    for (size_t i = 0; !st && eos.s && i < WEFT_COUNT(with_eos); i++) {
        path = weft_path_join(&scratch, dir, with_eos[i]);
        st = path ? change_eos(cli, &scratch, path, eos) : weft_fail_nomem(&cli->err, 0, "a path");
    }
    weft_arena_clear(&scratch);
    return st;
}

static void line(struct weft_buf *out, struct weft_cli *cli, const char *fmt, ...) WEFT_PRINTF(3, 4);

static void line(struct weft_buf *out, struct weft_cli *cli, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, weft_tr(cli->lang, fmt), ap);
    va_end(ap);
    weft_buf_escaped(out, weft_str_c(text), sizeof text);
    weft_buf_char(out, '\n');
}

void weft_model_oddities(struct weft_cli *cli, const struct weft_model *model, const struct weft_tokenizer *t,
                         struct weft_buf *out)
{
    if (model && model->config.unknown_keys)
        line(out, cli, "config.json has settings that weft does not know and leaves out: %s",
             model->config.unknown_keys);
    if (model && model->weights.n_extra)
        line(out, cli, "%zu tensors of the files are not in the index and are left out", model->weights.n_extra);
    if (model && model->weights.total_size_differs)
        line(out, cli, "the index announces another total size than its tensors have; they were read all the same");
    struct weft_lines lines = { .text = t ? weft_tokenizer_warnings(t) : WEFT_STR("") };
    struct weft_str text;
    while (weft_lines_next(&lines, &text)) {
        weft_buf_escaped(out, text, 500);
        weft_buf_char(out, '\n');
    }
}

void weft_warn_model(struct weft_cli *cli, const char *dir, const struct weft_model *model,
                     const struct weft_tokenizer *t)
{
    struct weft_buf b = { 0 };
    struct weft_str text;
    weft_model_oddities(cli, model, t, &b);
    struct weft_lines lines = { .text = weft_buf_view(&b) };
    while (weft_lines_next(&lines, &text)) weft_warn(cli, "%s: %.*s", dir, (int)text.len, text.s);
    weft_buf_clear(&b);
}

enum weft_status weft_cli_tokenizer_json(struct weft_cli *cli, const char *path, struct weft_str *json,
                                         struct weft_str *config)
{
    struct weft_arena *a = &cli->arena;
    struct weft_gguf g = { 0 };
    struct weft_buf text = { 0 }, settings = { 0 };
    *json = *config = (struct weft_str){ 0 };
    if (!weft_gguf_is(path)) {
        const char *file = weft_path_join(a, path, "tokenizer.json");
        if (!file) return weft_fail_nomem(&cli->err, strlen(path), "a path");
        return weft_file_exists(file) ? weft_file_read(a, file, 256u << 20, json, &cli->err) : WEFT_OK;
    }
    enum weft_status st = weft_gguf_open(&g, a, path, &cli->err);
    if (!st && weft_gguf_key(&g, "tokenizer.ggml.model")) {
        st = weft_gguf_tokenizer_files(&g, &text, &settings, &cli->err);
        if (!st) *json = weft_str_dup(a, weft_buf_view(&text));
        if (!st) *config = weft_str_dup(a, weft_buf_view(&settings));
        if (!st && (!json->s || !config->s)) st = weft_fail_nomem(&cli->err, text.len, "a tokenizer");
    }
    weft_buf_clear(&text);
    weft_buf_clear(&settings);
    weft_gguf_close(&g);
    return st;
}

enum weft_status weft_cli_write_gguf(struct weft_cli *cli, const struct weft_model *m, const char *path,
                                     const struct weft_chat_template *chat, const char *type, bool merge,
                                     const char *output)
{
    struct weft_tokenizer *t = NULL;
    struct weft_str json = { 0 }, config;
    const char *of = path ? path : output, *name = strrchr(of, '/') ? strrchr(of, '/') + 1 : of;
    enum weft_status st = path ? weft_cli_tokenizer_json(cli, path, &json, &config) : WEFT_OK;
    if (!st && json.s) st = weft_model_tokenizer(&t, path, &cli->err);
    if (!st && path && !json.s) weft_warn(cli, "%s has no tokenizer.json; the file will hold weights alone", path);
    if (!st) {
        struct weft_gguf_save save = { .type = type, .name = name, .merge = merge, .tokenizer_json = json,
                                       .tokenizer = t, .progress = &cli->progress };
        if (t) save.chat_template = weft_tokenizer_chat_template(t);
        if (chat) save.chat_template = weft_chat_source(chat);
        if (chat) save.eos_token = weft_chat_rules(chat)->eos;
        st = weft_gguf_write(m, output, &save, &cli->err);
    }
    weft_tokenizer_free(t);
    return st;
}
