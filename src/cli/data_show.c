/* weft data show FILE: rows to read, and the lines of the source that they came from. */
#include "cli/data.h"
#include "cli/data_row.h"
#include "cli/verbs.h"
#include "dataset/patch.h"

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
    const char *path;
    uint64_t row, shown;
    struct weft_data_source source;
    struct weft_str warned;             /* the source that was warned of last */
};

static bool has_text(const struct weft_row *row, struct weft_str words)
{
    bool found =
        weft_str_find(row->system, words, 0) != SIZE_MAX || weft_str_find(row->text, words, 0) != SIZE_MAX;
    for (size_t i = 0; !found && i < row->n_turns; i++)
        found = weft_str_find(row->turns[i].text, words, 0) != SIZE_MAX;
    return found;
}

static bool wanted(const struct show *x, const struct weft_row *row)
{
    const struct settings *s = x->s;
    return (!s->row || x->row >= (uint64_t)s->row) && (!s->id || weft_str_is(row->origin.id, s->id))
           && (!s->find || has_text(row, weft_str_c(s->find)))
           && (!s->flag || weft_flags_have(row->origin.flags, weft_str_c(s->flag)));
}

/* The lines of the source; where there are none to show, why, once for each file. */
static void show_source(struct show *x, const struct weft_row *row, struct weft_buf *b)
{
    struct weft_cli *cli = x->cli;
    enum weft_source_state state = weft_data_source_find(cli, &x->source, x->path, &row->origin);
    if (state == WEFT_SOURCE_FOUND) weft_data_source_lines(b, &x->source, &row->origin, (uint64_t)x->s->context);
    if (state == WEFT_SOURCE_FOUND || state == WEFT_SOURCE_UNNAMED || weft_str_eq(x->warned, x->source.name)) return;
    x->warned = weft_str_dup(&cli->arena, x->source.name);
    if (state == WEFT_SOURCE_GONE) weft_warn(cli, "%s", x->source.err.msg);
    else weft_warn(cli, "%s has changed since these rows were made; its lines are not shown", x->source.path);
}

static void show_people(struct show *x, const struct weft_row *row)
{
    struct weft_buf b = { 0 };
    if (x->shown > 1) weft_buf_char(&b, '\n');
    weft_data_row_text(&b, x->cli, row, x->row);
    if (x->s->source) show_source(x, row, &b);
    if (!b.failed) weft_put(x->cli, weft_buf_view(&b));
    weft_buf_clear(&b);
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
    x.path = path;
    st = weft_rows_each(&cli->arena, path, &how, each, &x, &report, NULL, &cli->err);
    weft_data_source_close(&x.source);
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
