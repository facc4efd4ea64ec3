/* weft read FILE...: the text of a file, whatever its charset; --json gives every line with its bytes in
 * the original. */
#include "cli/data.h"
#include "cli/verbs.h"
#include "text/text.h"

#include <inttypes.h>

struct settings {
    struct weft_cli_common common;
    struct weft_text_settings text;
};

static const struct weft_option rows[] = {
    WEFT_TEXT_OPTION_ROWS(struct settings, text),
    WEFT_CLI_COMMON_ROWS(struct settings, common),
};
static const struct weft_option_table table = { rows, WEFT_COUNT(rows) };

static void show_json(struct weft_json_out *o, const struct weft_text *t)
{
    const struct {
        const char *key;
        uint64_t n;
    } counts[] = { { "repaired", t->repaired },       { "nul_dropped", t->nul_dropped },
                   { "private_use", t->private_use }, { "replacement", t->replacement },
                   { "controls", t->controls },       { "cr", t->cr },
                   { "left_out", t->left_out } };
    weft_json_out_object(o);
    weft_data_key_str(o, "file", t->name);
    weft_data_key_str(o, "sha256", weft_str_c(t->sha256));
    weft_data_key_uint(o, "bytes", t->bytes);
    weft_data_key_str(o, "format", weft_str_c(t->format));
    weft_data_key_str(o, "charset", weft_str_c(weft_charset_name(t->charset)));
    weft_json_out_key(o, "bom");
    weft_json_out_bool(o, t->bom);
    weft_data_key_uint(o, "chars", weft_utf8_chars(t->text));
    for (size_t i = 0; i < WEFT_COUNT(counts); i++) weft_data_key_uint(o, counts[i].key, counts[i].n);
    weft_json_out_key(o, "places");
    weft_json_out_array(o);
    for (size_t i = 0; i < t->n_places; i++) {
        weft_json_out_object(o);
        weft_data_key_uint(o, "line", t->places[i].line);
        weft_data_key_uint(o, "byte", t->places[i].byte);
        weft_json_out_object_end(o);
    }
    weft_json_out_array_end(o);
    weft_json_out_key(o, "lines");
    weft_json_out_array(o);
    for (size_t i = 0; i < t->n_lines; i++) {
        weft_json_out_object(o);
        const struct weft_text_section *in = weft_text_section_of(t, i);
        weft_data_key_uint(o, "line", i + 1);
        if (in && in->page) weft_data_key_uint(o, "page", in->page);
        if (in && in->part.len) weft_data_key_str(o, "part", in->part);
        weft_json_out_key(o, "bytes");
        weft_json_out_array(o);
        weft_json_out_uint(o, t->lines[i].begin);
        weft_json_out_uint(o, t->lines[i].end);
        weft_json_out_array_end(o);
        weft_data_key_str(o, "text", weft_text_line(t, i));
        weft_json_out_object_end(o);
    }
    weft_json_out_array_end(o);
    weft_json_out_object_end(o);
}

static void note(struct weft_cli *cli, const struct weft_text *t)
{
    weft_note(cli, "%.*s: %s%s, %zu lines, %zu characters\n", (int)t->name.len, t->name.s,
              weft_charset_name(t->charset), t->bom ? " (BOM)" : "", t->n_lines, weft_utf8_chars(t->text));
    for (size_t i = 0; i < t->n_notes; i++) weft_warn(cli, "%s", t->notes[i].s);
    if (t->repaired || t->nul_dropped)
        weft_warn(cli,
                  "%.*s: %" PRIu64 " damaged places became U+FFFD, %" PRIu64
                  " NUL bytes were dropped; the first in line %" PRIu64,
                  (int)t->name.len, t->name.s, t->repaired, t->nul_dropped, t->places[0].line);
    if (t->private_use || t->replacement || t->controls)
        weft_note(cli,
                  "  kept as they are: %" PRIu64 " private-use characters, %" PRIu64 " U+FFFD, %" PRIu64
                  " control characters\n",
                  t->private_use, t->replacement, t->controls);
}

static enum weft_status read_one(struct weft_cli *cli, const struct settings *s, const char *path,
                                 bool *partial)
{
    struct weft_arena_mark mark = weft_arena_mark(&cli->arena);
    struct weft_text t;
    enum weft_status st = weft_text_read(&cli->arena, path, &s->text, &t, &cli->err);
    if (!st && cli->json) {
        struct weft_buf b = { 0 };
        struct weft_json_out o;
        weft_json_out_init(&o, &b);
        show_json(&o, &t);
        st = weft_data_print_json(cli, &b);
    } else if (!st) {
        weft_put(cli, t.text);
        if (t.text.len && t.text.s[t.text.len - 1] != '\n') weft_put(cli, WEFT_STR("\n"));
        note(cli, &t);
    }
    if (!st) *partial |= weft_text_partial(&t);
    weft_arena_release(&cli->arena, mark);
    return st;
}

static enum weft_status run(struct weft_cli *cli)
{
    struct settings s = { 0 };
    struct weft_str_list files = { 0 };
    size_t failed = 0;
    bool done, partial = false;
    enum weft_status st = weft_cli_options(cli, &weft_verb_read, &s, &s.common, &files, &done);
    if (st || done) return st;
    if (!files.n) return weft_fail(&cli->err, WEFT_EARG, "expected at least one FILE; - is standard input");
    for (size_t i = 0; i < files.n; i++) {
        st = read_one(cli, &s, files.items[i], &partial);
        if (!st) continue;
        /* One bad file among many is named, and the others are read. */
        if (files.n == 1 || (st != WEFT_EINPUT && st != WEFT_ELIMIT && st != WEFT_ESYSTEM)) return st;
        weft_warn(cli, "%s", cli->err.msg);
        weft_err_clear(&cli->err);
        failed++;
    }
    if (failed == files.n) return weft_fail(&cli->err, WEFT_EINPUT, "none of %zu files could be read", files.n);
    if (failed)
        return weft_fail(&cli->err, WEFT_EPARTIAL, "%zu of %zu files could not be read", failed, files.n);
    return partial ? weft_fail(&cli->err, WEFT_EPARTIAL, "some input was damaged or left out; see above")
                   : WEFT_OK;
}

const struct weft_verb weft_verb_read = {
    .name = "read",
    .usage = "FILE...",
    .help = "the text of a file, whatever its charset",
    .help_zh = "读出文件的文字，自动识别编码",
    .options = &table,
    .run = run,
};
