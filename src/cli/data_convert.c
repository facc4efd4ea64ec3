/* weft data convert FILE -o OUT --to FORMAT: row by row, so that a file larger than memory passes through. */
#include "cli/data.h"
#include "cli/verbs.h"

#include <inttypes.h>

struct settings {
    struct weft_cli_common common;
    struct weft_rows_settings rows;
    struct weft_rows_writer_settings writer;
    const char *output;
    int64_t indent, places;
};

static const struct weft_option rows_table[] = {
    { .key = "output", .type = WEFT_OPT_STRING, .offset = offsetof(struct settings, output),
      .group = "Output", .short_flag = 'o',
      .help = "file to write; .json: an array, else JSON lines; -: standard output",
      .help_zh = "输出文件；.json 为数组，其他为每行一个 JSON；- 为标准输出" },
    { .key = "to", .type = WEFT_OPT_CHOICE, .offset = offsetof(struct settings, writer.format), .def = "auto",
      .choices = WEFT_FORMAT_CHOICES,
      .group = "Output", .help = "shape of the rows written (auto: alpaca, text for text rows)",
      .help_zh = "写出的格式（auto：alpaca，纯文本行为 text）" },
    { .key = "layout", .type = WEFT_OPT_CHOICE, .offset = offsetof(struct settings, writer.layout),
      .def = "auto",
      .choices = WEFT_LAYOUT_CHOICES, .group = "Output", .help = "JSON lines or one array (auto: by the name)",
      .help_zh = "每行一个 JSON，或一个数组（auto 按文件名）" },
    { .key = "indent", .type = WEFT_OPT_INT, .offset = offsetof(struct settings, indent), .min = 1, .max = 16,
      .def = "4", .group = "Output",
      .help = "spaces a level in an array", .help_zh = "数组每层缩进的空格数" },
    { .key = "no_origin", .type = WEFT_OPT_BOOL, .offset = offsetof(struct settings, writer.no_origin),
      .group = "Output",
      .help = "leave the member \"weft\" out (where each row came from)", .help_zh = "不写 weft 成员（每行的出处）" },
    { .key = "format", .type = WEFT_OPT_CHOICE, .offset = offsetof(struct settings, rows.format), .def = "auto",
      .choices = WEFT_FORMAT_CHOICES, .group = "Input",
      .help = "shape of the rows read (auto: each row shows it)", .help_zh = "读入的格式（auto 逐行识别）" },
    { .key = "columns", .type = WEFT_OPT_LIST, .offset = offsetof(struct settings, rows.columns),
      .group = "Input",
      .help = "renamed members: instruction=question,output=answer",
      .help_zh = "成员改名：instruction=question,output=answer" },
    { .key = "limit", .type = WEFT_OPT_INT, .offset = offsetof(struct settings, rows.max_rows), .def = "0",
      .max = 1e15, .unit = "rows",
      .group = "Input", .help = "stop after so many rows; 0: all", .help_zh = "读够这么多行就停；0 为全部" },
    { .key = "places", .type = WEFT_OPT_INT, .offset = offsetof(struct settings, places), .def = "8",
      .max = 100, .group = "Output",
      .help = "rows left out to show", .help_zh = "显示多少处被舍去的行" },
    WEFT_CLI_COMMON_ROWS(struct settings, common),
};
static const struct weft_option_table table = { rows_table, WEFT_COUNT(rows_table) };

struct convert {
    struct weft_cli *cli;
    struct weft_rows_writer writer;
    struct weft_report unwritable;      /* rows that the target format has no place for */
};

static enum weft_status write_row(void *ctx, const struct weft_row *row, struct weft_err *err)
{
    struct convert *c = ctx;
    struct weft_err fault = { .lang = err->lang };
    enum weft_status st = weft_rows_writer_add(&c->writer, row, &fault);
    if (st == WEFT_EINPUT)
        return weft_report_drop(&c->unwritable, &c->cli->arena, weft_str_c(fault.msg), 1,
                                (struct weft_str){ 0 }, err);
    return st ? weft_fail(err, st, "%s", fault.msg) : WEFT_OK;
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
    to_stdout = strcmp(s.output, "-") == 0;
    if (to_stdout && cli->json)
        return weft_fail(&cli->err, WEFT_EARG, "-o - and --json both want standard output; name a file");
    s.writer.indent = (int)s.indent;
    st = weft_rows_writer_open(&c.writer, s.output, &s.writer, &cli->err);
    if (!st)
        st = weft_rows_each(&cli->arena, files.items[0], &s.rows, write_row, &c, &report, &shape, &cli->err);
    uint64_t written = c.writer.n_rows, unwritable = weft_report_dropped(&c.unwritable);
    if (!st && !written)
        st = weft_fail(&cli->err, WEFT_EINPUT, "%s: no row fits the format: %.*s", files.items[0],
                       (int)c.unwritable.drops[0].reason.len, c.unwritable.drops[0].reason.s);
    if (!st) st = weft_rows_writer_commit(&c.writer, &cli->err);
    weft_rows_writer_close(&c.writer);
    if (st) return st;
    weft_data_shape_note(cli, files.items[0], &shape);
    if (cli->json) {
        struct weft_buf b = { 0 };
        struct weft_json_out o;
        weft_json_out_init(&o, &b);
        weft_json_out_object(&o);
        weft_data_key_str(&o, "format", weft_str_c(weft_data_format_name(shape.format)));
        weft_data_key_uint(&o, "units_in", report.units_in);
        weft_data_key_uint(&o, "blank", report.blank);
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
    .usage = "FILE -o OUT [--to alpaca|sharegpt|messages|text]",
    .help = "one format to another",
    .help_zh = "在格式之间转换",
    .options = &table,
    .run = run,
};
