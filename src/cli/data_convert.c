/* weft data convert FILE -o OUT --to FORMAT: row by row, so that a file larger than memory passes through. */
#include "cli/data.h"
#include "cli/verbs.h"
#include "dataset/info.h"

#include <inttypes.h>
#include <stdlib.h>

struct settings {
    struct weft_cli_common common;
    struct weft_data_input in;
    struct weft_rows_writer_settings writer;
    const char *output, *enter, *name;
    int64_t indent, places;
};

static const struct weft_option rows_table[] = {
    { .key = "output",
      .type = WEFT_OPT_STRING,
      .offset = offsetof(struct settings, output),
      .group = "Output",
      .short_flag = 'o',
      .help = "file to write; .json: an array, .csv .tsv: a table, else JSON lines; -: standard output",
      .help_zh = "输出文件；.json 为数组，.csv、.tsv 为表格，其他为每行一个 JSON；- 为标准输出" },
    { .key = "to",
      .type = WEFT_OPT_CHOICE,
      .offset = offsetof(struct settings, writer.format),
      .def = "auto",
      .choices = WEFT_FORMAT_CHOICES,
      .group = "Output",
      .help = "shape of the rows written (auto: alpaca, text for text rows)",
      .help_zh = "写出的格式（auto：alpaca，纯文本行为 text）" },
    { .key = "layout",
      .type = WEFT_OPT_CHOICE,
      .offset = offsetof(struct settings, writer.layout),
      .def = "auto",
      .choices = WEFT_LAYOUT_CHOICES,
      .group = "Output",
      .help = "JSON lines, one array, or a table for spreadsheets (auto: by the name)",
      .help_zh = "每行一个 JSON、一个数组，或电子表格用的表格（auto 按文件名）" },
    { .key = "indent",
      .type = WEFT_OPT_INT,
      .offset = offsetof(struct settings, indent),
      .min = 1,
      .max = 16,
      .def = "4",
      .group = "Output",
      .help = "spaces a level in an array",
      .help_zh = "数组每层缩进的空格数" },
    WEFT_DATA_NO_ORIGIN_ROW(struct settings, writer.no_origin),
    { .key = "enter",
      .type = WEFT_OPT_STRING,
      .offset = offsetof(struct settings, enter),
      .group = "Output",
      .help =
          "dataset_info.json of LLaMA-Factory in which to enter the file written, with its columns and tags",
      .help_zh = "把写出的文件登记到 LLaMA-Factory 的 dataset_info.json（含 columns、tags）" },
    { .key = "name",
      .type = WEFT_OPT_STRING,
      .offset = offsetof(struct settings, name),
      .group = "Output",
      .help = "its name there (default: the file's name without ending)",
      .help_zh = "登记的名字（默认为去掉后缀的文件名）" },
    WEFT_DATA_INPUT_ROWS(struct settings, in),
    { .key = "limit",
      .type = WEFT_OPT_INT,
      .offset = offsetof(struct settings, in.rows.max_rows),
      .def = "0",
      .max = 1e15,
      .unit = "rows",
      .group = "Input",
      .help = "stop after so many rows; 0: all",
      .help_zh = "读够这么多行就停；0 为全部" },
    WEFT_DATA_PLACES_ROW(struct settings, places, "rows left out to show",
                         "显示多少处被舍去的行"),
    WEFT_CLI_COMMON_ROWS(struct settings, common),
};
static const struct weft_option_table table = { rows_table, WEFT_COUNT(rows_table) };

struct convert {
    struct weft_cli *cli;
    struct weft_rows_writer writer;
    struct weft_report unwritable;      /* rows that the target format has no place for */
    struct weft_info_entry has;         /* members of the rows written */
    uint64_t texts, judged, long_cells; /* text rows; preference rows; rows that Excel would cut */
    bool table;
};

enum { EXCEL_CELL = 32767 };

static bool too_long_for_excel(const struct weft_row *row)
{
    bool too_long = row->text.len > EXCEL_CELL && weft_utf8_chars(row->text) > EXCEL_CELL;
    for (size_t i = 0; i < row->n_turns && !too_long; i++)
        too_long = row->turns[i].text.len > EXCEL_CELL && weft_utf8_chars(row->turns[i].text) > EXCEL_CELL;
    return too_long;
}

static void note_members(struct convert *c, const struct weft_row *row)
{
    c->has.system |= row->system.s != NULL;
    c->has.tools |= row->tools.s != NULL;
    c->has.kto |= row->kto_tag >= 0;
    c->has.history |= row->n_turns > 2;
    c->texts += row->text.s != NULL;
    c->judged += row->chosen.text.s != NULL;
    c->long_cells += c->table && too_long_for_excel(row);
}

static enum weft_status write_row(void *ctx, const struct weft_row *row, struct weft_err *err)
{
    struct convert *c = ctx;
    struct weft_err fault = { .lang = err->lang };
    enum weft_status st = weft_rows_writer_add(&c->writer, row, &fault);
    if (st == WEFT_EINPUT)
        return weft_report_drop(&c->unwritable, &c->cli->arena, weft_str_c(fault.msg), 1,
                                (struct weft_str){ 0 }, err);
    if (st) return weft_fail(err, st, "%s", fault.msg);
    note_members(c, row);
    return WEFT_OK;
}

/* ---- dataset_info.json ---- */

/* The file as the info file sees it: beside it or below it by its relative path, else by its whole path. */
static const char *seen_from(struct weft_cli *cli, const char *info, const char *output)
{
    const char *slash = strrchr(info, '/');
    size_t dir = slash ? (size_t)(slash + 1 - info) : 0;
    if (output[0] != '/' && !dir) return output;
    if (dir && strncmp(info, output, dir) == 0) return output + dir;
    char *whole = realpath(output, NULL);
    const char *kept = whole ? weft_arena_strndup(&cli->arena, whole, strlen(whole)) : output;
    free(whole);
    return kept;
}

static enum weft_status enter(struct weft_cli *cli, const struct settings *s, const struct convert *c)
{
    const char *slash = strrchr(s->output, '/'), *base = slash ? slash + 1 : s->output, *name = s->name;
    struct weft_info_entry e = c->has;
    bool replaced;
    if (!name) name = weft_arena_strndup(&cli->arena, base, strcspn(base, "."));
    if (!name) return weft_fail_nomem(&cli->err, strlen(base), "a name");
    e.format = s->writer.format == WEFT_FORMAT_AUTO ? WEFT_FORMAT_ALPACA : (enum weft_format)s->writer.format;
    if (c->texts) e.format = WEFT_FORMAT_TEXT;
    e.ranking = c->judged > 0;
    if (e.format == WEFT_FORMAT_DPO)
        return weft_fail(&cli->err, WEFT_EARG,
                         "LLaMA-Factory does not read dpo lines; write alpaca, sharegpt or messages");
    if ((c->texts && c->texts < c->writer.n_rows) || (c->judged && c->judged < c->writer.n_rows))
        weft_warn(cli, "%s: rows of different kinds; LLaMA-Factory takes a file as of one kind", s->output);
    e.file_name = weft_str_c(seen_from(cli, s->enter, s->output));
    enum weft_status st = weft_info_write(s->enter, name, &e, &replaced, &cli->err);
    if (!st)
        weft_note(cli, replaced ? "%s: entry \"%s\" replaced\n" : "%s: entry \"%s\" added\n", s->enter, name);
    return st;
}

static enum weft_status run(struct weft_cli *cli)
{
    struct settings s = { 0 };
    struct weft_str_list files = { 0 };
    struct convert c = { .cli = cli };
    struct weft_report report = { 0 };
    struct weft_rows_shape shape = { 0 };
    bool done, to_stdout;
    enum weft_status st = weft_cli_options(cli, &weft_verb_data_convert, &s, &s.common, &files, &done);
    if (st || done) return st;
    if (files.n != 1 || !s.output)
        return weft_fail(&cli->err, WEFT_EARG, "usage: weft data convert FILE -o OUT [--to FORMAT]");
    const char *path;
    st = weft_data_to_stdout(cli, s.output, &to_stdout);
    if (!st && to_stdout && s.enter)
        st = weft_fail(&cli->err, WEFT_EARG, "--enter names a file of rows; -o - writes none");
    s.writer.indent = (int)s.indent;
    if (!st) st = weft_rows_writer_open(&c.writer, s.output, &s.writer, &cli->err);
    c.table = c.writer.s.layout == WEFT_LAYOUT_CSV || c.writer.s.layout == WEFT_LAYOUT_TSV;
    if (!st) st = weft_data_each(cli, &s.in, files.items[0], write_row, &c, &path, &report, &shape);
    uint64_t written = c.writer.n_rows, unwritable = weft_report_dropped(&c.unwritable);
    if (!st && !written)
        st = weft_fail(&cli->err, WEFT_EINPUT, "%s: no row fits the format: %.*s", files.items[0],
                       (int)c.unwritable.drops[0].reason.len, c.unwritable.drops[0].reason.s);
    if (!st) st = weft_rows_writer_commit(&c.writer, &cli->err);
    weft_rows_writer_close(&c.writer);
    if (!st && s.enter) st = enter(cli, &s, &c);
    if (st) return st;
    if (c.long_cells)
        weft_warn(cli, "%s: %" PRIu64 " rows have a text of more than 32,767 characters, which Excel cuts",
                  s.output, c.long_cells);
    if (cli->json) {
        struct weft_buf b = { 0 };
        struct weft_json_out o;
        weft_json_out_init(&o, &b);
        weft_json_out_object(&o);
        weft_data_key_str(&o, "format", weft_str_c(weft_data_format_name(shape.format)));
        weft_data_json_units(&o, &report);
        weft_data_key_uint(&o, "rows", written);
        weft_data_key_uint(&o, "unwritable", unwritable);
        weft_data_json_drops(&o, &report);
        weft_data_key_str(&o, "output", weft_str_c(s.output));
        weft_json_out_object_end(&o);
        st = weft_data_print_json(cli, &b);
    } else if (!to_stdout && !cli->quiet) {
        weft_data_drops(cli, &report, (size_t)s.places);
        weft_data_drops(cli, &c.unwritable, 0);
        weft_say(cli, "%s: %" PRIu64 " rows written\n", s.output, written);
    }
    if (!st) st = weft_data_partial(cli, &report);
    if (!st && unwritable)
        st = weft_fail(&cli->err, WEFT_EPARTIAL, "%" PRIu64 " of %" PRIu64 " rows were left out", unwritable,
                       report.rows_out);
    return st;
}

const struct weft_verb weft_verb_data_convert = {
    .name = "convert",
    .usage = "FILE -o OUT [--to alpaca|sharegpt|messages|text|dpo]",
    .help = "one format to another",
    .help_zh = "在格式之间转换",
    .options = &table,
    .run = run,
};
