/* weft data import FILE --project P, and weft data export P/NAME[@V] -o FILE: datasets into the store and out of it. */
#include "cli/data.h"
#include "cli/store.h"
#include "cli/verbs.h"
#include "base/file.h"

#include <inttypes.h>

/* ---- import ---- */

struct import_settings {
    struct weft_cli_common common;
    struct weft_rows_settings rows;
    const char *project, *name, *recipe;
    int64_t places;
};

static const struct weft_option import_rows[] = {
    { .key = "project", .type = WEFT_OPT_STRING, .offset = offsetof(struct import_settings, project), .group = "Store",
      .help = "project that the dataset belongs to; made where it is new", .help_zh = "数据集所属的项目；没有则新建" },
    { .key = "name", .type = WEFT_OPT_STRING, .offset = offsetof(struct import_settings, name), .group = "Store",
      .help = "name of the dataset; left out: the file's name without its ending", .help_zh = "数据集名；不写则用文件名（去掉后缀）" },
    { .key = "recipe", .type = WEFT_OPT_STRING, .offset = offsetof(struct import_settings, recipe), .group = "Store",
      .help = "file that says how the dataset was built; kept with it", .help_zh = "说明数据集如何构建的文件，一并保存" },
    { .key = "format", .type = WEFT_OPT_CHOICE, .offset = offsetof(struct import_settings, rows.format), .def = "auto",
      .choices = WEFT_FORMAT_CHOICES, .group = "Input",
      .help = "shape of the rows read (auto: each row shows it)", .help_zh = "读入的格式（auto 逐行识别）" },
    { .key = "columns", .type = WEFT_OPT_LIST, .offset = offsetof(struct import_settings, rows.columns), .group = "Input",
      .help = "renamed members: instruction=question,output=answer",
      .help_zh = "成员改名：instruction=question,output=answer" },
    WEFT_DATA_PLACES_ROW(struct import_settings, places, "rows left out to show",
                         "显示多少处被舍去的行"),
    WEFT_CLI_COMMON_ROWS(struct import_settings, common),
};
static const struct weft_option_table import_table = { import_rows, WEFT_COUNT(import_rows) };

struct import {
    struct weft_cli *cli;
    struct weft_store_writer *writer;
    struct weft_rows_shape shape;
    uint64_t n;
};

static enum weft_status keep_row(void *ctx, const struct weft_row *row, struct weft_err *err)
{
    struct import *i = ctx;
    /* Rows of different shapes in one file: messages say all of them. */
    enum weft_format format = row->text.s ? WEFT_FORMAT_TEXT
                              : i->shape.format == WEFT_FORMAT_AUTO || i->shape.format == WEFT_FORMAT_TEXT
                                  ? WEFT_FORMAT_MESSAGES : i->shape.format;
    enum weft_status st = weft_data_tick(i->cli, "reading", i->n++, 0, err);
    return st ? st : weft_store_dataset_add(i->writer, row, format, err);
}

/* "data/pairs.jsonl" -> "pairs" */
static struct weft_str stem(const char *path)
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path, *dot = strchr(base, '.');
    return (struct weft_str){ base, dot && dot > base ? (size_t)(dot - base) : strlen(base) };
}

static enum weft_status report_import(struct weft_cli *cli, const struct import_settings *s,
                                      const struct weft_store_dataset *d, const struct weft_report *report)
{
    if (cli->json) {
        struct weft_buf b = { 0 };
        struct weft_json_out o;
        weft_json_out_init(&o, &b);
        weft_json_out_object(&o);
        weft_data_key_str(&o, "project", d->project);
        weft_data_key_str(&o, "name", d->name);
        weft_data_key_uint(&o, "version", (uint64_t)d->version);
        weft_json_out_key(&o, "unchanged");
        weft_json_out_bool(&o, d->unchanged);
        weft_data_key_uint(&o, "rows", d->n_rows);
        weft_data_key_str(&o, "sha256", d->hash);
        weft_data_key_uint(&o, "rows_in", report->units_in);
        weft_data_key_uint(&o, "blank", report->blank);
        weft_data_json_drops(&o, report);
        weft_json_out_object_end(&o);
        return weft_data_print_json(cli, &b);
    }
    weft_data_figure(cli, "rows or lines in", report->units_in, 0);
    weft_data_figure(cli, "blank", report->blank, report->units_in);
    weft_data_figure(cli, "rows kept", d->n_rows, report->units_in);
    weft_data_drops(cli, report, (size_t)s->places);
    if (d->unchanged) weft_say(cli, "%s/%s@%" PRId64 " has these rows already\n", d->project.s, d->name.s, d->version);
    else weft_say(cli, "%s/%s@%" PRId64 ", sha256 %.12s\n", d->project.s, d->name.s, d->version, d->hash.s);
    return WEFT_OK;
}

static enum weft_status run_import(struct weft_cli *cli)
{
    struct import_settings s = { 0 };
    struct weft_str_list files = { 0 };
    struct weft_store *store = NULL;
    struct import i = { .cli = cli };
    struct weft_report report = { 0 };
    struct weft_store_dataset d;
    struct weft_str recipe = { NULL, 0 };
    int64_t project;
    bool done;
    enum weft_status st = weft_cli_options(cli, &weft_verb_data_import, &s, &s.common, &files, &done);
    if (st || done) return st;
    if (files.n != 1 || !s.project)
        return weft_fail(&cli->err, WEFT_EARG, "usage: weft data import FILE --project NAME");
    const char *path = files.items[0];
    if (strcmp(path, "-") == 0 && !s.name) return weft_fail(&cli->err, WEFT_EARG, "standard input needs --name");
    if (s.recipe) st = weft_file_read(&cli->arena, s.recipe, 16 << 20, &recipe, &cli->err);
    if (!st) st = weft_cli_store(cli, &store);
    if (!st) st = weft_store_project(store, weft_str_c(s.project), true, &project, &cli->err);
    if (!st)
        st = weft_store_dataset_begin(store, project, s.name ? weft_str_c(s.name) : stem(path), recipe, &i.writer,
                                      &cli->err);
    if (!st) st = weft_rows_each(&cli->arena, path, &s.rows, keep_row, &i, &report, &i.shape, &cli->err);
    weft_cli_progress_end(cli);
    if (!st) {
        struct weft_store_writer *writer = i.writer;
        i.writer = NULL;
        st = weft_store_dataset_commit(writer, &cli->arena, &d, &cli->err);
    }
    weft_store_dataset_drop(i.writer);
    if (!st) {
        struct weft_store_file f = { .sha256 = weft_str_c(i.shape.sha256), .name = weft_str_c(path),
                                     .bytes = i.shape.bytes };
        st = weft_store_file_put(store, &f, &cli->err);
    }
    if (!st) st = report_import(cli, &s, &d, &report);
    weft_store_close(store);
    return st ? st : weft_data_partial(cli, &report);
}

const struct weft_verb weft_verb_data_import = {
    .name = "import",
    .usage = "FILE --project NAME",
    .help = "keep a dataset in the store, as a new version",
    .help_zh = "把数据集存入仓库，作为一个新版本",
    .options = &import_table,
    .run = run_import,
};

/* ---- export ---- */

struct export_settings {
    struct weft_cli_common common;
    const char *output;
};

static const struct weft_option export_rows[] = {
    { .key = "output", .type = WEFT_OPT_STRING, .offset = offsetof(struct export_settings, output), .def = "-",
      .group = "Output", .short_flag = 'o', .help = "file to write, JSON lines; -: standard output",
      .help_zh = "输出文件，每行一个 JSON；- 为标准输出" },
    WEFT_CLI_COMMON_ROWS(struct export_settings, common),
};
static const struct weft_option_table export_table = { export_rows, WEFT_COUNT(export_rows) };

static enum weft_status write_line(void *ctx, struct weft_str json, struct weft_err *err)
{
    struct weft_out *out = ctx;
    weft_out_str(out, json);
    weft_out_str(out, WEFT_STR("\n"));
    return out->failed;
}

static enum weft_status run_export(struct weft_cli *cli)
{
    struct export_settings s = { 0 };
    struct weft_str_list words = { 0 };
    struct weft_store *store = NULL;
    struct weft_store_dataset d;
    struct weft_word w;
    struct weft_out out = { 0 };
    int64_t project;
    bool done;
    enum weft_status st = weft_cli_options(cli, &weft_verb_data_export, &s, &s.common, &words, &done);
    if (st || done) return st;
    if (words.n != 1) return weft_fail(&cli->err, WEFT_EARG, "usage: weft data export PROJECT/DATASET[@VERSION] -o FILE");
    st = weft_cli_word(cli, words.items[0], &w);
    if (!st && w.kind != WEFT_WORD_DATASET)
        st = weft_fail(&cli->err, WEFT_EARG, "usage: weft data export PROJECT/DATASET[@VERSION] -o FILE");
    if (!st) st = weft_cli_store(cli, &store);
    if (!st) st = weft_store_project(store, w.project, false, &project, &cli->err);
    if (!st) st = weft_store_dataset(store, &cli->arena, project, w.name, w.version, &d, &cli->err);
    if (!st) st = weft_out_open(&out, s.output, &cli->err);
    if (!st) {
        st = weft_store_dataset_rows(store, d.id, write_line, &out, &cli->err);
        /* A failed write has its own message, which commit gives. */
        if (!st || out.failed) st = weft_out_commit(&out, &cli->err);
        weft_out_close(&out);
    }
    if (!st)
        weft_note(cli, "%s/%s@%" PRId64 ": %" PRIu64 " rows, sha256 %.12s\n", d.project.s, d.name.s, d.version, d.n_rows,
                  d.hash.s);
    weft_store_close(store);
    return st;
}

const struct weft_verb weft_verb_data_export = {
    .name = "export",
    .usage = "PROJECT/DATASET[@VERSION] -o FILE",
    .help = "write a dataset of the store as JSON lines",
    .help_zh = "把仓库中的数据集写成每行一个 JSON 的文件",
    .options = &export_table,
    .run = run_export,
};
