/* weft data show FILE: rows to read, and the lines of the source that they came from.  At a terminal one row a
 * page, with keys like those of less; elsewhere, or with --limit, as plain text. */
#include "cli/data.h"
#include "cli/data_row.h"
#include "cli/verbs.h"
#include "dataset/patch.h"

#include <inttypes.h>
#include <stdlib.h>

struct settings {
    struct weft_cli_common common;
    struct weft_data_input in;
    int64_t row, limit, context;
    const char *id, *find, *flag;
    bool source;
};

static const struct weft_option rows_table[] = {
    { .key = "row",
      .type = WEFT_OPT_INT,
      .offset = offsetof(struct settings, row),
      .def = "0",
      .max = 1e15,
      .group = "Which",
      .help = "the first row to show, counted from 1; 0: the first that fits",
      .help_zh = "从第几行开始显示（从 1 数起）；0 为第一个符合的" },
    { .key = "limit",
      .type = WEFT_OPT_INT,
      .offset = offsetof(struct settings, limit),
      .def = "0",
      .max = 1e15,
      .group = "Which",
      .unit = "rows",
      .help = "rows to print; 0: pages at a terminal, else 5",
      .help_zh = "打印几行；0：在终端中翻页，否则 5 行" },
    { .key = "id",
      .type = WEFT_OPT_STRING,
      .offset = offsetof(struct settings, id),
      .group = "Which",
      .help = "only the row of this id: s000012",
      .help_zh = "只显示此编号的行：s000012" },
    { .key = "find",
      .alias = "grep",
      .type = WEFT_OPT_STRING,
      .offset = offsetof(struct settings, find),
      .group = "Which",
      .help = "only rows with this text",
      .help_zh = "只显示含有此文字的行" },
    { .key = "flag",
      .type = WEFT_OPT_STRING,
      .offset = offsetof(struct settings, flag),
      .group = "Which",
      .help = "only rows with this flag: merged, chorus, repaired, self ...",
      .help_zh = "只显示带此标记的行：merged、chorus、repaired、self 等" },
    { .key = "source",
      .type = WEFT_OPT_BOOL,
      .offset = offsetof(struct settings, source),
      .group = "Output",
      .help = "show the lines of the source file too",
      .help_zh = "同时显示源文件中的原文" },
    { .key = "context",
      .type = WEFT_OPT_INT,
      .offset = offsetof(struct settings, context),
      .def = "2",
      .max = 1000,
      .unit = "lines",
      .group = "Output",
      .help = "lines of the source before and after",
      .help_zh = "原文前后各显示几行" },
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

/* ---- one row a page ---- */

struct pages {
    struct show *x;
    struct weft_row_index ix;
    struct settings s;          /* what is looked for may change on the way */
    struct weft_report report;
};

/* Is row i among those looked for?  A row that cannot be read any more is none. */
static bool fits(struct pages *p, size_t i)
{
    struct weft_arena scratch = { 0 };
    struct weft_err ignored = { 0 };
    struct weft_row row;
    struct show look = { .s = &p->s, .row = i + 1 };
    bool any = !p->s.id && !p->s.find && !p->s.flag;
    bool ok = any || (!weft_row_index_get(&p->ix, &scratch, i, &row, &ignored) && wanted(&look, &row));
    weft_arena_clear(&scratch);
    return ok;
}

/* The next row that fits, from `at` on in the direction of `step`; SIZE_MAX: none. */
static size_t next_fit(struct pages *p, size_t at, int step)
{
    for (; at < p->ix.n; at += (size_t)step) {          /* below 0 is far above n */
        if (fits(p, at)) return at;
        if (weft_progress_cancelled(&p->x->cli->progress)) break;
    }
    return SIZE_MAX;
}

static int show_page(struct pages *p, size_t at, const char *said)
{
    struct weft_cli *cli = p->x->cli;
    struct weft_arena scratch = { 0 };
    struct weft_buf b = { 0 }, status = { 0 };
    struct weft_row row;
    int key = WEFT_KEY_END;
    if (weft_row_index_get(&p->ix, &scratch, at, &row, &cli->err)) goto done;
    weft_data_row_text(&b, cli, &row, at + 1);
    if (p->s.source) {
        enum weft_source_state state = weft_data_source_find(cli, &p->x->source, p->x->path, &row.origin);
        weft_buf_char(&b, '\n');
        if (state == WEFT_SOURCE_FOUND) weft_data_source_lines(&b, &p->x->source, &row.origin, (uint64_t)p->s.context);
        if (state == WEFT_SOURCE_CHANGED) weft_buf_cstr(&b, weft_tr(cli->lang, "the source file has changed since"));
        if (state == WEFT_SOURCE_GONE) weft_buf_cstr(&b, weft_tr(cli->lang, "the source file is not here"));
    }
    weft_buf_printf(&status, " %zu/%zu  %s", at + 1, p->ix.n, said);
    weft_buf_cstr(
        &status,
        weft_tr(cli->lang, "n next  p back  g first  G last  : row  / find  f flag  o source  q quit "));
    if (!b.failed && !status.failed) key = weft_pager_show(cli, weft_buf_view(&b), status.s);
done:
    weft_buf_clear(&b);
    weft_buf_clear(&status);
    weft_arena_clear(&scratch);
    return key;
}

static enum weft_status show_pages(struct show *x, const struct weft_rows_settings *how)
{
    struct weft_cli *cli = x->cli;
    struct pages p = { .x = x, .s = *x->s };
    const char *said = "";
    p.s.source = true;          /* o hides it */
    p.s.row = 0;
    enum weft_status st = weft_row_index_open(&cli->arena, x->path, how, &p.ix, &p.report, &cli->err);
    if (st) return st;
    size_t first = x->s->row > 0 ? (size_t)x->s->row - 1 : 0, at = next_fit(&p, first, 1);
    if (at == SIZE_MAX) st = weft_fail(&cli->err, WEFT_EINPUT, "%s: none of %zu rows fits", x->path, p.ix.n);
    while (!st) {
        int key = show_page(&p, at, said);
        size_t to = at;
        said = "";
        if (key == 'q' || key == WEFT_KEY_END) break;
        if (key == 'n' || key == ' ' || key == '\n' || key == '\r' || key == WEFT_KEY_RIGHT)
            to = next_fit(&p, at + 1, 1);
        else if (key == 'p' || key == 'b' || key == WEFT_KEY_LEFT) to = next_fit(&p, at - 1, -1);
        else if (key == 'g' || key == WEFT_KEY_HOME) to = next_fit(&p, 0, 1);
        else if (key == 'G' || key == WEFT_KEY_LAST) to = next_fit(&p, p.ix.n - 1, -1);
        else if (key == 'o') p.s.source = !p.s.source;
        else if (key == ':') {
            const char *word = weft_pager_ask(cli, weft_tr(cli->lang, "row:"));
            unsigned long long number = word ? strtoull(word, NULL, 10) : 0;
            if (number) to = next_fit(&p, (size_t)number - 1, 1);
        } else if (key == '/') {
            p.s.find = weft_pager_ask(cli, weft_tr(cli->lang, "find (Enter: all rows):"));
            to = next_fit(&p, at + (p.s.find != NULL), 1);
        } else if (key == 'f') {
            p.s.flag = weft_pager_ask(cli, weft_tr(cli->lang, "flag (Enter: all rows):"));
            to = next_fit(&p, at, 1);
        }
        if (to != SIZE_MAX) at = to;
        else said = weft_tr(cli->lang, "no other row fits  ");
    }
    weft_row_index_close(&p.ix);
    return st ? st : cli->err.msg[0] ? cli->err.status : weft_data_partial(cli, &p.report);
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
    if (!s.limit && !cli->json && strcmp(path, "-") != 0 && weft_pager_can()) {
        st = show_pages(&x, &how);
        weft_data_source_close(&x.source);
        return st;
    }
    if (!s.limit) s.limit = 5;
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
