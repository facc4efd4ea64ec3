/* weft data show FILE: rows to read, and the lines of the source that they came from. */
#include "cli/data.h"
#include "cli/verbs.h"
#include "dataset/normal.h"
#include "text/text.h"

#include <inttypes.h>
#include <stdio.h>

struct settings {
    struct weft_cli_common common;
    struct weft_data_input in;
    int64_t row, limit, context;
    const char *id, *find, *flag;
    bool source;
};

static const struct weft_option rows_table[] = {
    { .key = "row", .type = WEFT_OPT_INT, .offset = offsetof(struct settings, row), .def = "0", .max = 1e15,
      .group = "Which",
      .help = "the first row to show, counted from 1; 0: the first that fits",
      .help_zh = "从第几行开始显示（从 1 数起）；0 为第一个符合的" },
    { .key = "limit", .type = WEFT_OPT_INT, .offset = offsetof(struct settings, limit), .def = "5", .min = 1,
      .max = 1e15, .group = "Which",
      .unit = "rows", .help = "rows to show", .help_zh = "显示几行" },
    { .key = "id", .type = WEFT_OPT_STRING, .offset = offsetof(struct settings, id), .group = "Which",
      .help = "only the row of this id: s000012",
      .help_zh = "只显示此编号的行：s000012" },
    { .key = "find", .type = WEFT_OPT_STRING, .offset = offsetof(struct settings, find), .group = "Which",
      .help = "only rows with this text",
      .help_zh = "只显示含有此文字的行" },
    { .key = "flag", .type = WEFT_OPT_STRING, .offset = offsetof(struct settings, flag), .group = "Which",
      .help = "only rows with this flag: merged, chorus, repaired, self ...",
      .help_zh = "只显示带此标记的行：merged、chorus、repaired、self 等" },
    { .key = "source", .type = WEFT_OPT_BOOL, .offset = offsetof(struct settings, source), .group = "Output",
      .help = "show the lines of the source file too", .help_zh = "同时显示源文件中的原文" },
    { .key = "context", .type = WEFT_OPT_INT, .offset = offsetof(struct settings, context), .def = "2",
      .max = 1000, .unit = "lines", .group = "Output",
      .help = "lines of the source before and after", .help_zh = "原文前后各显示几行" },
    WEFT_DATA_INPUT_ROWS(struct settings, in),
    WEFT_CLI_COMMON_ROWS(struct settings, common),
};
static const struct weft_option_table table = { rows_table, WEFT_COUNT(rows_table) };

struct show {
    struct weft_cli *cli;
    const struct settings *s;
    uint64_t row, shown;
    struct weft_text source;            /* the file read last for --source */
    struct weft_str source_name;
    bool source_good;
};

static bool has_text(const struct weft_row *row, struct weft_str words)
{
    bool found =
        weft_str_find(row->system, words, 0) != SIZE_MAX || weft_str_find(row->text, words, 0) != SIZE_MAX;
    for (size_t i = 0; !found && i < row->n_turns; i++)
        found = weft_str_find(row->turns[i].text, words, 0) != SIZE_MAX;
    return found;
}

static bool has_flag(struct weft_str list, struct weft_str flag)
{
    for (size_t from = 0; from < list.len;) {
        size_t comma = weft_str_find(list, WEFT_STR(","), from);
        if (weft_str_eq(weft_str_sub(list, from, comma), flag)) return true;
        if (comma == SIZE_MAX) break;
        from = comma + 1;
    }
    return false;
}

static bool wanted(const struct show *x, const struct weft_row *row)
{
    const struct settings *s = x->s;
    return (!s->row || x->row >= (uint64_t)s->row) && (!s->id || weft_str_is(row->origin.id, s->id))
           && (!s->find || has_text(row, weft_str_c(s->find)))
           && (!s->flag || has_flag(row->origin.flags, weft_str_c(s->flag)));
}

/* The file that a row names, when it is there and has not changed since. */
static void open_source(struct show *x, const struct weft_origin *o)
{
    struct weft_cli *cli = x->cli;
    struct weft_err err = { .lang = cli->lang };
    if (weft_str_eq(x->source_name, o->file)) return;
    x->source_name = weft_str_dup(&cli->arena, o->file);
    x->source_good = false;
    if (!x->source_name.s) return;
    if (weft_text_read(&cli->arena, x->source_name.s, NULL, &x->source, &err)) weft_warn(cli, "%s", err.msg);
    else if (o->sha256.s && !weft_str_is(o->sha256, x->source.sha256))
        weft_warn(cli, "%s has changed since these rows were made; its lines are not shown", x->source_name.s);
    else x->source_good = true;
}

static void show_source(struct show *x, const struct weft_row *row)
{
    const struct weft_origin *o = &row->origin;
    if (!o->file.s || !o->line) return;
    open_source(x, o);
    if (!x->source_good) return;
    uint64_t around = (uint64_t)x->s->context;
    uint64_t first = o->line > around ? o->line - around : 1, last = o->last_line + around;
    for (uint64_t i = first; i <= last && i <= x->source.n_lines; i++) {
        char prefix[48];
        snprintf(prefix, sizeof prefix, "  %c %6" PRIu64 "  ", i >= o->line && i <= o->last_line ? '>' : ' ',
                 i);
        weft_data_line(x->cli, prefix, weft_trim(weft_text_line(&x->source, (size_t)i - 1)), 200);
    }
}

static void show_turn(struct show *x, const char *who, struct weft_str text)
{
    struct weft_cli *cli = x->cli;
    size_t at = 0;
    weft_put(cli, WEFT_STR("  "));
    weft_data_cell(cli, who, 12);
    /* Each line of the text stands under the first. */
    do {
        size_t lf = weft_str_find(text, WEFT_STR("\n"), at);
        weft_data_line(cli, at ? "              " : "", weft_str_sub(text, at, lf), SIZE_MAX);
        at = lf == SIZE_MAX ? text.len : lf + 1;
    } while (at < text.len);
}

static const char *role_name(enum weft_role role)
{
    static const char *const names[] = { "system", "user", "assistant", "tool call", "tool result" };
    return (unsigned)role < WEFT_COUNT(names) ? names[role] : "?";
}

static void show_people(struct show *x, const struct weft_row *row)
{
    struct weft_cli *cli = x->cli;
    const struct weft_origin *o = &row->origin;
    struct weft_buf b = { 0 };
    weft_buf_printf(&b, "%s#%" PRIu64, x->shown > 1 ? "\n" : "", x->row);
    const struct weft_str parts[] = { o->id, o->file, o->episode, o->scene, o->via, o->flags };
    for (size_t i = 0; i < WEFT_COUNT(parts); i++) {
        if (!parts[i].len) continue;
        weft_buf_cstr(&b, "  ");
        weft_buf_escaped(&b, parts[i], 200);
        if (i == 1 && o->line) weft_buf_printf(&b, ":%" PRIu64 "-%" PRIu64, o->line, o->last_line);
    }
    weft_buf_char(&b, '\n');
    weft_put(cli, weft_buf_view(&b));
    weft_buf_clear(&b);
    if (row->system.s) show_turn(x, role_name(WEFT_ROLE_SYSTEM), row->system);
    if (row->text.s) show_turn(x, "text", row->text);
    for (size_t i = 0; i < row->n_turns; i++) show_turn(x, role_name(row->turns[i].role), row->turns[i].text);
    if (row->chosen.text.s) show_turn(x, "chosen", row->chosen.text);
    if (row->rejected.text.s) show_turn(x, "rejected", row->rejected.text);
    if (row->kto_tag >= 0) show_turn(x, "kto_tag", row->kto_tag ? WEFT_STR("true") : WEFT_STR("false"));
    if (x->s->source) show_source(x, row);
}

/* WEFT_ECANCEL from here ends the reading: enough was shown. */
static enum weft_status each(void *ctx, const struct weft_row *row, struct weft_err *err)
{
    struct show *x = ctx;
    x->row++;
    if (!wanted(x, row)) return WEFT_OK;
    x->shown++;
    if (x->cli->json) {
        struct weft_buf b = { 0 };
        struct weft_json_out o;
        enum weft_format format = row->text.s ? WEFT_FORMAT_TEXT : WEFT_FORMAT_MESSAGES;
        weft_json_out_init(&o, &b);
        enum weft_status st = weft_row_to_json(&o, row, format, true, err);
        if (!st) st = weft_data_print_json(x->cli, &b);
        else weft_buf_clear(&b);
        if (st) return st;
    } else show_people(x, row);
    return x->s->id || x->shown >= (uint64_t)x->s->limit ? WEFT_ECANCEL : WEFT_OK;
}

static enum weft_status run(struct weft_cli *cli)
{
    struct settings s = { 0 };
    struct weft_str_list files = { 0 };
    struct weft_report report = { 0 };
    bool done;
    enum weft_status st = weft_cli_options(cli, &weft_verb_data_show, &s, &s.common, &files, &done);
    if (st || done) return st;
    if (files.n != 1) return weft_fail(&cli->err, WEFT_EARG, "expected one FILE: a dataset");
    struct show x = { .cli = cli, .s = &s };
    const char *path;
    struct weft_rows_settings how;
    st = weft_data_find(cli, &s.in, files.items[0], &path, &how);
    if (st) return st;
    st = weft_rows_each(&cli->arena, path, &how, each, &x, &report, NULL, &cli->err);
    bool enough = st == WEFT_ECANCEL && !cli->err.msg[0];
    if (st && !enough) return st;
    if (!x.shown)
        return weft_fail(&cli->err, WEFT_EINPUT, "%s: none of %" PRIu64 " rows fits", files.items[0], x.row);
    return enough ? WEFT_OK : weft_data_partial(cli, &report);
}

const struct weft_verb weft_verb_data_show = {
    .name = "show",
    .usage = "FILE [--id ID] [--find TEXT] [--source]",
    .help = "rows to read, with the lines they came from",
    .help_zh = "逐行查看数据，以及它们在原文中的出处",
    .options = &table,
    .run = run,
};
