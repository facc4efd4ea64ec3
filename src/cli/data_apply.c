/* weft data apply FILE... --patches P -o OUT, and how patch files are applied where rows are built. */
#include "cli/data_patch.h"
#include "cli/record.h"
#include "cli/verbs.h"
#include "dataset/canon.h"

#include <inttypes.h>

enum { SHOWN = 100 };

enum weft_status weft_data_patch(struct weft_cli *cli, const char *path, struct weft_rows *rows,
                                 struct weft_patch_result *out)
{
    struct weft_patches patches = { 0 };
    size_t shown = 0;
    enum weft_status st = weft_patches_read(&cli->arena, path, &patches, &cli->err);
    if (!st) st = weft_patches_apply(&cli->arena, rows, &patches, out, &cli->err);
    for (size_t i = 0; !st && i < patches.n && shown < SHOWN; i++) {
        const struct weft_patch *p = &patches.items[i];
        char id[64], file[128];
        if (!weft_patch_unfit(out->match.fate[i])) continue;
        shown++;
        weft_warn(cli, "%s:%" PRIu64 ": %s of %s (%s:%" PRIu64 ") does not fit: %s", path, p->line,
                  weft_tr(cli->lang, weft_patch_op_name(p->op)), weft_escape(id, sizeof id, p->at.id),
                  weft_escape(file, sizeof file, p->at.file), p->at.line,
                  weft_tr(cli->lang, weft_patch_reason(out->match.fate[i])));
    }
    return st;
}

void weft_data_patch_show(struct weft_cli *cli, const struct weft_patch_result *r)
{
    const struct weft_patch_match *m = &r->match;
    weft_data_figure(cli, "rows before the decisions", r->rows_in, 0);
    weft_data_figure(cli, "kept on purpose", r->kept, 0);
    weft_data_figure(cli, "dropped", r->dropped, r->rows_in);
    weft_data_figure(cli, "edited", r->edited, 0);
    weft_data_figure(cli, "speaker set", r->renamed, 0);
    weft_data_figure(cli, "rows after them", r->rows_out, r->rows_in);
    if (m->moved) weft_data_figure(cli, "decisions that followed their row", m->moved, 0);
    if (m->replaced) weft_data_figure(cli, "decisions replaced by later ones", m->replaced, 0);
    if (m->already) weft_data_figure(cli, "edits that are in the rows already", m->already, 0);
    if (m->unfit) weft_data_figure(cli, "decisions that do not fit", m->unfit, 0);
}

void weft_data_patch_members(struct weft_json_out *o, const struct weft_patch_result *r)
{
    weft_json_out_key(o, "patches");
    weft_json_out_object(o);
    weft_data_key_uint(o, "rows_in", r->rows_in);
    weft_data_key_uint(o, "rows_out", r->rows_out);
    weft_data_key_uint(o, "kept", r->kept);
    weft_data_key_uint(o, "dropped", r->dropped);
    weft_data_key_uint(o, "edited", r->edited);
    weft_data_key_uint(o, "speaker", r->renamed);
    weft_data_key_uint(o, "moved", r->match.moved);
    weft_data_key_uint(o, "replaced", r->match.replaced);
    weft_data_key_uint(o, "already", r->match.already);
    weft_data_key_uint(o, "unfit", r->match.unfit);
    weft_json_out_object_end(o);
}

enum weft_status weft_data_patch_partial(struct weft_cli *cli, const char *path, const struct weft_patch_result *r)
{
    if (!r->match.unfit) return WEFT_OK;
    return weft_fail(&cli->err, WEFT_EPARTIAL, "%s: %" PRIu64 " decisions do not fit the rows; see above", path,
                     r->match.unfit);
}

/* ---- the verb ---- */

struct settings {
    struct weft_cli_common common;
    struct weft_data_input in;
    struct weft_rows_writer_settings writer;
    const char *patches, *output, *project;
};

static const struct weft_option apply_rows[] = {
    { .key = "patches", .type = WEFT_OPT_STRING, .offset = offsetof(struct settings, patches), .group = "Decisions",
      .short_flag = 'p', .help = "file of decisions, as weft data review writes it (FILE.patches.jsonl)",
      .help_zh = "weft data review 写下的决定（默认 FILE.patches.jsonl）" },
    { .key = "output", .type = WEFT_OPT_STRING, .offset = offsetof(struct settings, output), .group = "Output",
      .short_flag = 'o', .help = "file to write; .json: an array, else JSON lines; left out: only the figures",
      .help_zh = "输出文件；.json 为数组，其他为每行一个 JSON；不写则只显示统计" },
    { .key = "to", .type = WEFT_OPT_CHOICE, .offset = offsetof(struct settings, writer.format), .def = "auto",
      .choices = WEFT_FORMAT_CHOICES, .group = "Output",
      .help = "shape of the rows written (auto: alpaca, text for text rows)",
      .help_zh = "写出的格式（auto：alpaca，纯文本行为 text）" },
    WEFT_RECORD_ROW(struct settings, project),
    WEFT_DATA_INPUT_ROWS(struct settings, in),
    WEFT_CLI_COMMON_ROWS(struct settings, common),
};
static const struct weft_option_table table = { apply_rows, WEFT_COUNT(apply_rows) };

static enum weft_status run(struct weft_cli *cli)
{
    struct settings s = { 0 };
    struct weft_str_list files = { 0 };
    struct weft_rows rows = { 0 };
    struct weft_report report = { 0 };
    struct weft_patch_result r = { 0 };
    char hash[WEFT_SHA256_HEX] = "", before[WEFT_SHA256_HEX] = "";
    bool done;
    enum weft_status st = weft_cli_options(cli, &weft_verb_data_apply, &s, &s.common, &files, &done);
    if (st || done) return st;
    if (!files.n) return weft_fail(&cli->err, WEFT_EARG, "usage: weft data apply FILE... --patches P -o OUT");
    if (!s.patches) s.patches = weft_str_printf(&cli->arena, "%s.patches.jsonl", files.items[0]).s;
    st = s.patches ? weft_data_read(cli, &s.in, &files, &rows, &report) : weft_fail_nomem(&cli->err, 64, "a path");
    if (!st) st = weft_dataset_hash_rows(&rows, before, &cli->err);
    if (!st) st = weft_data_patch(cli, s.patches, &rows, &r);
    if (!st) st = weft_dataset_hash_rows(&rows, hash, &cli->err);
    if (!st && s.output) st = weft_rows_write(s.output, &s.writer, &rows, &cli->err);
    if (st) return st;
    weft_record_patches(cli, s.project, files.items[0], before, s.patches);
    if (cli->json) {
        struct weft_buf b = { 0 };
        struct weft_json_out o;
        weft_json_out_init(&o, &b);
        weft_json_out_object(&o);
        weft_data_json_units(&o, &report);
        weft_data_json_drops(&o, &report);
        weft_data_patch_members(&o, &r);
        weft_data_key_str(&o, "hash", weft_str_c(hash));
        weft_data_key_str(&o, "output", weft_str_c(s.output));
        weft_json_out_object_end(&o);
        st = weft_data_print_json(cli, &b);
    } else if (!cli->quiet && !(s.output && strcmp(s.output, "-") == 0)) {
        weft_data_patch_show(cli, &r);
        weft_data_drops(cli, &report, 8);
        if (s.output) weft_say(cli, "%s: %" PRIu64 " rows written\n", s.output, r.rows_out);
        weft_say(cli, "dataset hash %s\n", hash);
    }
    if (!st) st = weft_data_partial(cli, &report);
    return st ? st : weft_data_patch_partial(cli, s.patches, &r);
}

const struct weft_verb weft_verb_data_apply = {
    .name = "apply",
    .usage = "FILE... --patches P -o OUT",
    .help = "do what the decisions of a review say",
    .help_zh = "按审阅时的决定修改数据集",
    .options = &table,
    .run = run,
};
