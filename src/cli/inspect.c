/* weft inspect FILE: what a file is and whether weft would take it; writes nothing.  Each kind is one entry of the
 * table below: a test for its bytes and a reader that is the very one the other verbs use. */
#include "cli/model_files.h"
#include "cli/verbs.h"

#include "adapter/lora.h"
#include "base/file.h"
#include "base/json.h"
#include "base/hash.h"
#include "dataset/formats.h"
#include "dataset/rows_text.h"
#include "model/config.h"
#include "model/gguf.h"
#include "model/safetensors.h"
#include "text/text.h"
#include "tokens/tokenizer.h"

#include <stdarg.h>
#include <stdio.h>

struct settings {
    struct weft_cli_common common;
    const char *as;
    bool tensors;
};

static const struct weft_option rows_of_options[] = {
    { .key = "as", .type = WEFT_OPT_STRING, .offset = offsetof(struct settings, as), .group = "Input",
      .help = "take it as: model, adapter, safetensors, tokenizer, config, rows, text",
      .help_zh = "按此类型检查：model、adapter、safetensors、tokenizer、config、rows、text" },
    { .key = "tensors", .type = WEFT_OPT_BOOL, .offset = offsetof(struct settings, tensors), .group = "Output",
      .help = "list every tensor", .help_zh = "列出所有张量" },
    WEFT_CLI_COMMON_ROWS(struct settings, common),
};
static const struct weft_option_table table = { rows_of_options, WEFT_COUNT(rows_of_options) };

/* What an inspection found, for both kinds of output. */
struct finding {
    const char *kind;
    uint64_t rows, bad_rows;
    bool partial;
    struct weft_buf about;          /* facts, one a line: "charset: gb18030" */
    struct weft_str text;           /* of a text file; s == NULL: none */
    struct weft_str first_place;
};

static void fact(struct finding *f, const char *name, const char *fmt, ...) WEFT_PRINTF(3, 4);

static void fact(struct finding *f, const char *name, const char *fmt, ...)
{
    char value[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(value, sizeof value, fmt, ap);
    va_end(ap);
    weft_buf_printf(&f->about, "%s: %s\n", name, value);
}

static enum weft_status tensor_list(const struct weft_st_tensor *const *tensors, size_t n, bool list, struct finding *f)
{
    size_t bytes = 0, values = 0;
    for (size_t i = 0; i < n; i++) {
        const struct weft_st_tensor *t = tensors[i];
        bytes += t->bytes;
        values += t->n_elements;
        if (!list) continue;
        char shape[128] = "";
        size_t at = 0;
        for (int d = 0; d < t->n_dims && at < sizeof shape - 24; d++)
            at += (size_t)snprintf(shape + at, sizeof shape - at, "%s%zu", d ? "," : "", t->shape[d]);
        char name[256];
        weft_buf_printf(&f->about, "  %s %s [%s]\n", weft_escape(name, sizeof name, t->name),
                        weft_st_dtype_name(t->dtype), shape);
    }
    char a[32], b[32];
    fact(f, "tensors", "%zu, %s values, %s", n, weft_cli_count(a, values), weft_cli_bytes(b, bytes));
    return WEFT_OK;
}

static enum weft_status inspect_safetensors(struct weft_cli *cli, const struct settings *set,
                                            const char *path, struct finding *f)
{
    struct weft_safetensors file = { 0 };
    enum weft_status st = weft_safetensors_open(&file, &cli->arena, path, &cli->err);
    if (!st) {
        const struct weft_st_tensor **list = WEFT_NEWS(&cli->arena, const struct weft_st_tensor *, file.n + 1);
        if (!list) st = weft_fail_nomem(&cli->err, file.n * sizeof *list, "the tensor list");
        for (size_t i = 0; list && i < file.n; i++) list[i] = &file.tensors[i];
        if (!st) st = tensor_list(list, file.n, set->tensors, f);
    }
    weft_safetensors_close(&file);
    return st;
}

static void config_facts(struct finding *f, const struct weft_config *config)
{
    struct weft_config c = *config;
    char n[32];
    fact(f, "architecture", "%s", c.model_type);
    fact(f, "shape", "%zu layers, hidden %zu, feed-forward %zu, heads %zu/%zu of %zu", c.n_layers,
         c.hidden_size, c.intermediate_size, c.n_heads, c.n_kv_heads, c.head_dim);
    fact(f, "vocabulary", "%zu%s", c.vocab_size, c.tie_word_embeddings ? ", tied" : "");
    fact(f, "positions", "%zu", c.max_position_embeddings);
    fact(f, "parameters", "%s", weft_cli_count(n, weft_config_n_params(&c)));
}

static enum weft_status inspect_config(struct weft_cli *cli, const struct settings *set, const char *path,
                                       struct finding *f)
{
    struct weft_config c;
    enum weft_status st = weft_config_load(&cli->arena, path, &c, &cli->err);
    if (!st) config_facts(f, &c);
    return st;
}

static void odd_facts(struct weft_cli *cli, const struct weft_model *m, const struct weft_tokenizer *t,
                      struct finding *f)
{
    struct weft_buf b = { 0 };
    struct weft_str text;
    weft_model_oddities(cli, m, t, &b);
    struct weft_lines lines = { .text = weft_buf_view(&b) };
    while (weft_lines_next(&lines, &text)) fact(f, "odd", "%.*s", (int)text.len, text.s);
    weft_buf_clear(&b);
}

static enum weft_status inspect_tokenizer(struct weft_cli *cli, const struct settings *set, const char *path,
                                          struct finding *f)
{
    struct weft_tokenizer *t = NULL;
    enum weft_status st = weft_model_tokenizer(&t, path, &cli->err);
    if (!st) {
        fact(f, "tokens", "%zu", weft_tokenizer_vocab_size(t));
        fact(f, "chat template", "%s", weft_tokenizer_chat_template(t).s ? "yes" : "no");
        odd_facts(cli, NULL, t, f);
    }
    weft_tokenizer_free(t);
    return st;
}

static enum weft_status inspect_model(struct weft_cli *cli, const struct settings *set, const char *path,
                                      struct finding *f)
{
    struct weft_model *m = NULL;
    struct weft_model_settings s = { .max_positions = 1 };
    enum weft_status st = inspect_config(cli, set, path, f);
    if (!st) st = weft_model_load(&m, path, &s, &cli->err);
    if (!st) st = tensor_list(m->weights.tensors, m->weights.n, set->tensors, f);
    if (!st) odd_facts(cli, m, NULL, f);
    const char *tokenizer = weft_path_join(&cli->arena, path, "tokenizer.json");
    if (!st && tokenizer && weft_file_exists(tokenizer)) st = inspect_tokenizer(cli, set, path, f);
    weft_model_free(m);
    return st;
}

static void gguf_tensors(const struct weft_gguf *g, bool list, struct finding *f)
{
    size_t bytes = 0, values = 0;
    char a[32], b[32], name[256];
    for (size_t i = 0; i < g->n_tensors; i++) {
        const struct weft_gguf_tensor *t = &g->tensors[i];
        char shape[128] = "";
        size_t at = 0;
        bytes += t->bytes;
        values += t->n_elements;
        for (int d = t->n_dims; list && d-- > 0 && at < sizeof shape - 24;)
            at += (size_t)snprintf(shape + at, sizeof shape - at, "%s%zu", at ? "," : "", t->dims[d]);
        if (list)
            weft_buf_printf(&f->about, "  %s %s [%s]\n", weft_escape(name, sizeof name, t->name), t->type->name, shape);
    }
    fact(f, "tensors", "%zu, %s values, %s", g->n_tensors, weft_cli_count(a, values), weft_cli_bytes(b, bytes));
}

/* A file of a split model is sound by itself; the parts that a whole model needs are asked of whole ones. */
static enum weft_status inspect_gguf(struct weft_cli *cli, const struct settings *set, const char *path,
                                     struct finding *f)
{
    struct weft_gguf g = { 0 };
    struct weft_config c;
    struct weft_model *m = NULL;
    struct weft_model_settings s = { .max_positions = 1 };
    uint64_t parts = 1;
    enum weft_status st = weft_gguf_open(&g, &cli->arena, path, &cli->err);
    if (!st) st = weft_gguf_uint(&g, "split.count", false, &parts, &cli->err);
    if (!st) gguf_tensors(&g, set->tensors, f);
    if (!st) fact(f, "keys", "%zu", g.n_keys);
    bool whole = weft_gguf_key(&g, "general.architecture") && parts <= 1;
    if (!st && whole) st = weft_gguf_config(&g, &cli->arena, &c, &cli->err);
    if (!st && whole) {
        config_facts(f, &c);
        st = weft_model_load(&m, path, &s, &cli->err);
    }
    if (!st && weft_gguf_key(&g, "tokenizer.ggml.model")) st = inspect_tokenizer(cli, set, path, f);
    weft_model_free(m);
    weft_gguf_close(&g);
    return st;
}

static enum weft_status inspect_adapter(struct weft_cli *cli, const struct settings *set, const char *path,
                                        struct finding *f)
{
    const char *config = weft_path_join(&cli->arena, path, "adapter_config.json");
    const char *weights = weft_path_join(&cli->arena, path, "adapter_model.safetensors");
    struct weft_str text;
    struct weft_json_value v;
    if (!config || !weights) return weft_fail_nomem(&cli->err, 0, "a path");
    enum weft_status st = weft_file_read(&cli->arena, config, 1u << 20, &text, &cli->err);
    if (!st) st = weft_json_parse(&cli->arena, config, text, &v, &cli->err);
    if (st) return st;
    static const char *const keys[] = { "peft_type",  "r",        "lora_alpha",      "lora_dropout",
                                        "use_rslora", "use_dora", "modules_to_save", "base_model_name_or_path" };
    for (size_t i = 0; i < WEFT_COUNT(keys); i++) {
        const struct weft_json_value *m = weft_json_get(&v, keys[i]);
        char shown[256];
        if (m && m->kind == WEFT_JSON_BOOL && m->boolean) fact(f, keys[i], "%s", "true");
        for (size_t k = 0; m && m->kind == WEFT_JSON_ARRAY && k < m->n; k++)
            fact(f, keys[i], "%s", weft_escape(shown, sizeof shown, m->items[k].text));
        if (m && (m->kind == WEFT_JSON_NUMBER || m->kind == WEFT_JSON_STRING))
            fact(f, keys[i], "%s", weft_escape(shown, sizeof shown, m->text));
    }
    return inspect_safetensors(cli, set, weights, f);
}

static enum weft_status inspect_rows(struct weft_cli *cli, const struct settings *set, const char *path,
                                     struct finding *f)
{
    struct weft_rows rows = { 0 };
    struct weft_report report = { 0 };
    struct weft_rows_shape shape = { 0 };
    enum weft_status st = weft_rows_read(&cli->arena, path, NULL, &rows, &report, &shape, &cli->err);
    f->rows = rows.n;
    f->bad_rows = weft_report_dropped(&report);
    f->partial = f->bad_rows > 0;
    if (report.n_places) f->first_place = report.places[0];
    if (st) return st;
    fact(f, "layout", "%s",
         shape.single                        ? "one object"
         : shape.layout == WEFT_LAYOUT_ARRAY ? "JSON array"
                                             : "JSON lines");
    for (size_t i = 0; i < report.n_places; i++) {
        char place[512];
        fact(f, "bad", "%s", weft_escape(place, sizeof place, report.places[i]));
    }
    return WEFT_OK;
}

static enum weft_status inspect_text(struct weft_cli *cli, const struct settings *set, const char *path,
                                     struct finding *f)
{
    struct weft_text text;
    enum weft_status st = weft_text_read(&cli->arena, path, NULL, &text, &cli->err);
    if (st) return st;
    f->rows = text.n_lines;
    f->text = text.text;
    f->partial = weft_text_partial(&text);
    char n[32], title[256];
    fact(f, "format", "%s", text.format);
    fact(f, "charset", "%s%s", weft_charset_name(text.charset), text.bom ? " with byte order mark" : "");
    fact(f, "characters", "%s", weft_cli_count(n, weft_utf8_chars(text.text)));
    if (text.repaired) fact(f, "repaired", "%llu", (unsigned long long)text.repaired);
    if (text.nul_dropped) fact(f, "NUL dropped", "%llu", (unsigned long long)text.nul_dropped);
    for (size_t i = 0; i < text.n_notes; i++) fact(f, "note", "%s", text.notes[i].s);
    if (text.private_use) fact(f, "private use", "%llu", (unsigned long long)text.private_use);
    if (text.title.len) fact(f, "title", "%s", weft_escape(title, sizeof title, text.title));
    if (text.n_sections) fact(f, "sections", "%zu", text.n_sections);
    if (text.ignored) fact(f, "left out as no text", "%llu", (unsigned long long)text.ignored);
    if (text.left_out) fact(f, "left out", "%llu", (unsigned long long)text.left_out);
    return WEFT_OK;
}

/* ---- which kind is it ---- */

static bool has_file(struct weft_arena *a, const char *dir, const char *name)
{
    const char *path = weft_path_join(a, dir, name);
    return path && weft_file_exists(path);
}

static bool ends(const char *path, const char *suffix)
{
    return weft_str_ends(weft_str_c(path), weft_str_c(suffix));
}

static bool is_model(struct weft_arena *a, const char *path)
{
    return weft_dir_exists(path) && has_file(a, path, "config.json");
}
static bool is_adapter(struct weft_arena *a, const char *path)
{
    return weft_dir_exists(path) && has_file(a, path, "adapter_config.json");
}
static bool is_safetensors(struct weft_arena *a, const char *path) { return ends(path, ".safetensors"); }
static bool is_gguf(struct weft_arena *a, const char *path) { return weft_gguf_is(path); }
static bool is_tokenizer(struct weft_arena *a, const char *path) { return ends(path, "tokenizer.json"); }
static bool is_config(struct weft_arena *a, const char *path) { return ends(path, "config.json"); }
static enum weft_status any_row(void *ctx, const struct weft_row *row, struct weft_err *err) { return WEFT_OK; }

/* A dataset by its name, or by a first row under any other. */
static bool is_rows(struct weft_arena *a, const char *path)
{
    struct weft_rows_settings first = { .max_rows = 1 };
    struct weft_report report = { 0 };
    if (ends(path, ".json") || ends(path, ".jsonl")) return true;
    return weft_rows_sniff(path) && weft_rows_each(a, path, &first, any_row, NULL, &report, NULL, NULL) == WEFT_OK;
}
static bool is_text(struct weft_arena *a, const char *path) { return true; }

static const struct kind {
    const char *name;
    bool (*is)(struct weft_arena *a, const char *path);
    enum weft_status (*inspect)(struct weft_cli *cli, const struct settings *set, const char *path, struct finding *f);
} kinds[] = {
    { "model", is_model, inspect_model },             { "adapter", is_adapter, inspect_adapter },
    { "safetensors", is_safetensors, inspect_safetensors }, { "gguf", is_gguf, inspect_gguf },
    { "tokenizer", is_tokenizer, inspect_tokenizer }, { "config", is_config, inspect_config },
    { "rows", is_rows, inspect_rows },
    { "text", is_text, inspect_text },
};

static enum weft_status find_kind(struct weft_cli *cli, const struct settings *set, const char *path,
                                  const struct kind **kind)
{
    struct weft_buf list = { 0 };
    char shown[64];
    for (size_t i = 0; i < WEFT_COUNT(kinds); i++) {
        *kind = &kinds[i];
        if (set->as ? strcmp(set->as, kinds[i].name) == 0 : kinds[i].is(&cli->arena, path)) {
            weft_buf_clear(&list);
            return WEFT_OK;
        }
        weft_buf_printf(&list, "%s%s", i ? ", " : "", kinds[i].name);
    }
    enum weft_status st = weft_fail(&cli->err, WEFT_EARG, "no kind \"%s\"; known are %s",
                                    weft_escape(shown, sizeof shown, weft_str_c(set->as)), list.s ? list.s : "");
    weft_buf_clear(&list);
    return st;
}

/* The part of a message between the file's name and the sentence: "12:5", "byte 8". */
static struct weft_str place_of(const char *path, struct weft_str message)
{
    struct weft_str name = weft_str_c(path);
    if (!weft_str_starts(message, name) || message.len <= name.len || message.s[name.len] != ':')
        return (struct weft_str){ 0 };
    struct weft_str rest = weft_str_skip(message, name.len + 1);
    size_t end = weft_str_find(rest, WEFT_STR(": "), 0);
    return end == SIZE_MAX ? (struct weft_str){ 0 } : weft_str_trim_ascii(weft_str_sub(rest, 0, end));
}

static void print_json(struct weft_cli *cli, const char *path, enum weft_status st, const struct finding *f)
{
    struct weft_buf buf = { 0 };
    struct weft_json_out o;
    struct weft_str message = st ? weft_str_c(cli->err.msg) : f->first_place, place = place_of(path, message);
    weft_json_out_init(&o, &buf);
    weft_json_out_object(&o);
    weft_json_out_key(&o, "file");
    weft_json_out_cstr(&o, path);
    weft_json_out_key(&o, "kind");
    weft_json_out_cstr(&o, f->kind);
    weft_json_out_key(&o, "verdict");
    weft_json_out_cstr(&o, st ? "error" : f->partial ? "partial" : "accept");
    weft_json_out_key(&o, "rule");
    if (st && cli->err.rule[0]) weft_json_out_cstr(&o, cli->err.rule);
    else weft_json_out_null(&o);
    weft_json_out_key(&o, "place");
    if (place.s) weft_json_out_str(&o, place);
    else weft_json_out_null(&o);
    weft_json_out_key(&o, "message");
    if (message.s) weft_json_out_str(&o, message);
    else weft_json_out_null(&o);
    weft_json_out_key(&o, "rows");
    weft_json_out_uint(&o, f->rows);
    weft_json_out_key(&o, "bad_rows");
    weft_json_out_uint(&o, f->bad_rows);
    weft_json_out_key(&o, "text");
    if (f->text.s) weft_json_out_str(&o, f->text);
    else weft_json_out_null(&o);
    weft_json_out_object_end(&o);
    weft_buf_char(&buf, '\n');
    weft_put(cli, weft_buf_view(&buf));
    weft_buf_clear(&buf);
}

static enum weft_status run(struct weft_cli *cli)
{
    struct settings set;
    struct weft_str_list words = { 0 };
    struct finding f = { 0 };
    bool done;
    enum weft_status st = weft_cli_options(cli, &weft_verb_inspect, &set, &set.common, &words, &done);
    if (st || done) return st;
    if (words.n != 1) return weft_fail(&cli->err, WEFT_EARG, "expected one FILE or folder; found %zu words", words.n);
    const char *path = words.items[0];
    const struct kind *kind;
    st = find_kind(cli, &set, path, &kind);
    if (st) return st;
    f.kind = kind->name;
    st = kind->inspect(cli, &set, path, &f);
    if (cli->json) print_json(cli, path, st, &f);
    else if (!st) {
        char rows[32];
        weft_say(cli, "%s: %s\n", path, kind->name);
        weft_put(cli, weft_buf_view(&f.about));
        if (f.rows) weft_say(cli, "rows: %s\n", weft_cli_count(rows, f.rows));
        weft_say(cli, "verdict: %s\n", weft_tr(cli->lang, f.partial ? "partial" : "accept"));
    }
    weft_buf_clear(&f.about);
    return !st && f.partial ? WEFT_EPARTIAL : st;
}

const struct weft_verb weft_verb_inspect = {
    .name = "inspect", .usage = "FILE [--as KIND]", .options = &table, .run = run,
    .help = "say what a file is and whether it is sound; writes nothing", .help_zh = "说明文件是什么、是否完好；不写任何东西",
};
