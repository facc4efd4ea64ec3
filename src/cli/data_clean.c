/* weft data clean FILE... -o OUT: rows repaired, masked or left out.  The one verb that filters by what a row says
 * (dedup compares rows with each other, split and mix choose by chance).  Row by row; the files read stay as they
 * are. */
#include "cli/data_quality.h"
#include "cli/verbs.h"
#include "dataset/clean.h"

#include <inttypes.h>
#include <stdio.h>

struct settings {
    struct weft_cli_common common;
    struct weft_data_input in;
    struct weft_clean_settings clean;
    struct weft_data_quality quality;
    struct weft_rows_writer_settings writer;
    struct weft_str_list repair, mask, drop, drop_pii;
    const char *output, *log;
    int64_t places;
};

static const struct weft_option rows_table[] = {
    WEFT_DATA_OUTPUT_ROW(struct settings, output),
    { .key = "log",
      .type = WEFT_OPT_STRING,
      .offset = offsetof(struct settings, log),
      .group = "Output",
      .help = "file for every change (before and after) and every row left out, one JSON object a line",
      .help_zh = "把每处改动（改前与改后）和每个舍去的行写入此文件，每行一个 JSON 对象" },
    WEFT_DATA_TO_ROW(struct settings, writer.format),
    WEFT_DATA_LAYOUT_ROW(struct settings, writer.layout),
    WEFT_DATA_PLACES_ROW(struct settings, places, "changes and rows left out to show",
                         "显示多少处改动和舍去的行"),
    { .key = "repair",
      .type = WEFT_OPT_LIST,
      .offset = offsetof(struct settings, repair),
      .group = "Change",
      .help = "repairs: trim, lines, stray, nfc, newlines, notes, directions, mojibake; all",
      .help_zh =
          "要做的修复：trim（首尾空白）、lines（换行）、stray（控制与不可见字符）、nfc、newlines（字面的 \\n）、notes（【】注释）、"
          "directions（舞台提示）、mojibake（乱码）；all 为全部" },
    { .key = "mask",
      .type = WEFT_OPT_LIST,
      .offset = offsetof(struct settings, mask),
      .group = "Change",
      .help = "private data to mask: mobile, landline, id_card, email, ipv4, ipv6, bank_card; all",
      .help_zh = "要遮盖的个人信息：mobile、landline、id_card、email、ipv4、ipv6、bank_card；all 为全部" },
    { .key = "judged",
      .type = WEFT_OPT_BOOL,
      .offset = offsetof(struct settings, clean.judged),
      .group = "Change",
      .help = "preference and KTO rows too; else they pass untouched",
      .help_zh = "偏好与 KTO 行也处理；不加则原样通过" },
    { .key = "drop",
      .type = WEFT_OPT_LIST,
      .offset = offsetof(struct settings, drop),
      .group = "Leave out",
      .help = "rows with these signs (names as in weft data check --quality); all",
      .help_zh = "舍去有这些问题的行（名称见 weft data check --quality）；all 为全部" },
    { .key = "drop_pii",
      .type = WEFT_OPT_LIST,
      .offset = offsetof(struct settings, drop_pii),
      .group = "Leave out",
      .help = "rows with private data of these kinds; all",
      .help_zh = "舍去含这些个人信息的行；all 为全部" },
    { .key = "keep_per_prompt",
      .type = WEFT_OPT_INT,
      .offset = offsetof(struct settings, clean.keep_per_prompt),
      .def = "0",
      .max = 4e9,
      .unit = "answers",
      .group = "Leave out",
      .help = "different answers kept for one prompt; 0: all",
      .help_zh = "同一提问最多保留几种不同的回答；0 为全部" },
    { .key = "min_chars",
      .type = WEFT_OPT_INT,
      .offset = offsetof(struct settings, clean.min_chars),
      .def = "0",
      .max = 1e9,
      .unit = "characters",
      .group = "Leave out",
      .help = "shorter rows",
      .help_zh = "舍去更短的行" },
    { .key = "max_chars",
      .type = WEFT_OPT_INT,
      .offset = offsetof(struct settings, clean.max_chars),
      .def = "0",
      .max = 1e9,
      .unit = "characters",
      .group = "Leave out",
      .help = "longer rows; 0: none",
      .help_zh = "舍去更长的行；0 为不限" },
    { .key = "speaker",
      .type = WEFT_OPT_LIST,
      .offset = offsetof(struct settings, clean.speakers),
      .group = "Leave out",
      .help = "keep only rows answered by these",
      .help_zh = "只保留由这些角色回答的行" },
    { .key = "asked_by",
      .type = WEFT_OPT_LIST,
      .offset = offsetof(struct settings, clean.prompt_speakers),
      .group = "Leave out",
      .help = "keep only rows asked by these",
      .help_zh = "只保留由这些角色提问的行" },
    { .key = "without_flag",
      .type = WEFT_OPT_LIST,
      .offset = offsetof(struct settings, clean.flags),
      .group = "Leave out",
      .help = "rows with one of these flags: self,review",
      .help_zh = "舍去带这些标记的行：self,review" },
    WEFT_DATA_QUALITY_ROWS(struct settings, quality),
    WEFT_DATA_INPUT_ROWS(struct settings, in),
    WEFT_CLI_COMMON_ROWS(struct settings, common),
};
static const struct weft_option_table table = { rows_table, WEFT_COUNT(rows_table) };

struct run {
    struct weft_cli *cli;
    const struct settings *s;
    struct weft_clean *clean;
    struct weft_arena row_arena;
    struct weft_report report;
    struct weft_rows_writer writer;
    struct weft_out log;
    struct weft_buf line, examples; /* examples: what changed, for people */
    const char *file;
    uint64_t row; /* of this file */
    uint64_t all_rows;
    size_t shown;
};

/* ---- the log ---- */

static void begin_entry(const struct run *r, const struct weft_row *row, struct weft_json_out *o,
                        struct weft_buf *b)
{
    weft_json_out_init(o, b);
    weft_json_out_object(o);
    weft_data_key_str(o, "file", weft_str_c(r->file));
    weft_data_key_uint(o, "row", r->row);
    if (row->origin.id.len) weft_data_key_str(o, "id", row->origin.id);
}

static enum weft_status log_row(struct run *r, const struct weft_row *row, const struct weft_clean_result *c,
                                struct weft_err *err)
{
    struct weft_json_out o;
    if (!r->s->log) return WEFT_OK;
    weft_buf_reset(&r->line);
    for (size_t i = 0; i < c->n_changes; i++) {
        begin_entry(r, row, &o, &r->line);
        weft_data_key_str(&o, "change", weft_str_c(c->changes[i].what));
        weft_data_key_str(&o, "where", c->changes[i].where);
        weft_data_key_str(&o, "before", c->changes[i].before);
        weft_data_key_str(&o, "after", c->changes[i].after);
        weft_json_out_object_end(&o);
        weft_buf_char(&r->line, '\n');
    }
    if (!c->kept) {
        begin_entry(r, row, &o, &r->line);
        weft_data_key_str(&o, "left_out", c->reason);
        weft_data_key_str(&o, "text", weft_row_headline(row));
        weft_json_out_object_end(&o);
        weft_buf_char(&r->line, '\n');
    }
    enum weft_status st = weft_buf_check(&r->line, "the log", err);
    if (!st) weft_out_str(&r->log, weft_buf_view(&r->line));
    return st;
}

static void show_text(struct weft_buf *b, struct weft_str s)
{
    size_t cut = weft_utf8_offset(s, 40);
    weft_buf_escaped(b, weft_str_sub(s, 0, cut), SIZE_MAX);
    if (cut < s.len) weft_buf_cstr(b, "…");
}

/* "#18 turn 1: trim: before -> after": the first few, shown at the end. */
static void keep_examples(struct run *r, const struct weft_row *row, const struct weft_clean_result *c)
{
    struct weft_buf *b = &r->examples;
    if (r->cli->json || r->cli->quiet) return;
    for (size_t i = 0; i < c->n_changes && r->shown < (size_t)r->s->places; i++, r->shown++) {
        const struct weft_change *x = &c->changes[i];
        weft_buf_printf(b, "  #%" PRIu64 " %.*s: %s: ", r->row, (int)x->where.len, x->where.s, x->what);
        show_text(b, x->before);
        weft_buf_cstr(b, " -> ");
        show_text(b, x->after);
        weft_buf_char(b, '\n');
    }
    if (c->kept || r->shown >= (size_t)r->s->places) return;
    weft_buf_printf(b, "  #%" PRIu64 ": ", r->row);
    weft_data_left_out(b, r->cli->lang, c->reason);
    weft_buf_cstr(b, ": ");
    show_text(b, weft_row_headline(row));
    weft_buf_char(b, '\n');
    r->shown++;
}

static enum weft_status take_row(void *ctx, const struct weft_row *row, struct weft_err *err)
{
    struct run *r = ctx;
    struct weft_arena_mark mark = weft_arena_mark(&r->row_arena);
    struct weft_clean_result c;
    r->row++;
    enum weft_status st = weft_data_tick(r->cli, "cleaning", r->all_rows++, 0, err);
    if (!st) st = weft_clean_row(r->clean, &r->row_arena, row, &c, err);
    if (!st) st = log_row(r, row, &c, err);
    if (!st) keep_examples(r, row, &c);
    if (!st && c.kept && r->s->output) {
        r->writer.s.format = r->s->writer.format ? r->s->writer.format : row->read_as;
        st = weft_rows_writer_add(&r->writer, &c.row, err);
    }
    weft_arena_release(&r->row_arena, mark);
    return st;
}

/* ---- figures ---- */

static void show(struct run *r)
{
    struct weft_cli *cli = r->cli;
    const struct weft_clean_counts *k = weft_clean_counts(r->clean);
    weft_data_figure(cli, "rows", k->rows_in, 0);
    weft_data_figure(cli, "kept", k->rows_out, k->rows_in);
    weft_data_figure(cli, "of these changed", k->changed, k->rows_in);
    if (k->judged)
        weft_data_figure(cli, "of these preference and KTO rows, untouched", k->judged, k->rows_in);
    weft_data_figure(cli, "left out", weft_report_dropped(&k->report), k->rows_in);
    for (size_t i = 0; i < k->report.n_drops; i++) {
        struct weft_buf b = { 0 };
        weft_buf_cstr(&b, "  ");
        weft_data_left_out(&b, cli->lang, k->report.drops[i].reason);
        if (b.s) weft_data_figure(cli, b.s, k->report.drops[i].count, 0);
        weft_buf_clear(&b);
    }
    for (int i = 0; i < WEFT_N_REPAIRS; i++)
        if (k->repairs[i]) {
            char label[64];
            snprintf(label, sizeof label, "%s %s", weft_tr(cli->lang, "texts repaired:"),
                     weft_repair_name((enum weft_repair)i));
            weft_data_figure(cli, label, k->repairs[i], 0);
        }
    for (int i = 0; i < WEFT_N_PII; i++)
        if (k->masked[i]) {
            char label[64];
            snprintf(label, sizeof label, "%s %s", weft_tr(cli->lang, "masked:"),
                     weft_pii_name((enum weft_pii_kind)i));
            weft_data_figure(cli, label, k->masked[i], 0);
        }
    weft_put(cli, weft_buf_view(&r->examples));
    weft_data_drops(cli, &r->report, (size_t)r->s->places);
    if (r->s->log) weft_say(cli, "%s: changes written\n", r->s->log);
    if (r->s->output) weft_say(cli, "%s: %" PRIu64 " rows written\n", r->s->output, k->rows_out);
    else weft_say(cli, "nothing written; -o FILE writes the rows that stay\n");
}

static enum weft_status show_json(const struct run *r)
{
    const struct weft_clean_counts *k = weft_clean_counts(r->clean);
    struct weft_buf b = { 0 };
    struct weft_json_out o;
    weft_json_out_init(&o, &b);
    weft_json_out_object(&o);
    weft_data_json_units(&o, &r->report);
    weft_data_key_uint(&o, "rows_in", k->rows_in);
    weft_data_key_uint(&o, "rows_out", k->rows_out);
    weft_data_key_uint(&o, "changed", k->changed);
    weft_data_key_uint(&o, "judged", k->judged);
    weft_json_out_key(&o, "left_out");
    weft_json_out_object(&o);
    for (size_t i = 0; i < k->report.n_drops; i++) {
        weft_json_out_key_str(&o, k->report.drops[i].reason);
        weft_json_out_uint(&o, k->report.drops[i].count);
    }
    weft_json_out_object_end(&o);
    weft_json_out_key(&o, "repairs");
    weft_json_out_object(&o);
    for (int i = 0; i < WEFT_N_REPAIRS; i++)
        if (k->repairs[i]) weft_data_key_uint(&o, weft_repair_name((enum weft_repair)i), k->repairs[i]);
    weft_json_out_object_end(&o);
    weft_json_out_key(&o, "masked");
    weft_json_out_object(&o);
    for (int i = 0; i < WEFT_N_PII; i++)
        if (k->masked[i]) weft_data_key_uint(&o, weft_pii_name((enum weft_pii_kind)i), k->masked[i]);
    weft_json_out_object_end(&o);
    weft_data_json_drops(&o, &r->report);
    weft_data_key_str(&o, "output", weft_str_c(r->s->output));
    weft_json_out_object_end(&o);
    return weft_data_print_json(r->cli, &b);
}

static enum weft_status names_to_bits(struct weft_cli *cli, struct settings *s)
{
    struct weft_clean_settings *c = &s->clean;
    enum weft_status st = weft_repair_bits(&s->repair, &c->repairs, &cli->err);
    if (!st) st = weft_pii_bits(&s->mask, &c->mask, &cli->err);
    if (!st) st = weft_pii_bits(&s->drop_pii, &c->drop_pii, &cli->err);
    if (!st) st = weft_quality_bits(&s->drop, &c->drop, &cli->err);
    if (!st) st = weft_data_quality_settings(cli, &s->quality, &c->quality);
    return st;
}

static bool asks_for_nothing(const struct weft_clean_settings *c)
{
    return !c->repairs && !c->mask && !c->drop_pii && !c->drop && !c->keep_per_prompt && !c->min_chars
           && !c->max_chars && !c->speakers.n && !c->prompt_speakers.n && !c->flags.n;
}

static enum weft_status clean_files(struct run *r, const struct weft_str_list *files)
{
    struct weft_cli *cli = r->cli;
    enum weft_status st = weft_clean_new(&r->clean, &r->s->clean, &cli->err);
    if (!st && r->s->output) st = weft_rows_writer_open(&r->writer, r->s->output, &r->s->writer, &cli->err);
    if (!st && r->s->log) st = weft_out_open(&r->log, r->s->log, &cli->err);
    for (size_t i = 0; !st && i < files->n; i++) {
        r->row = 0;
        st = weft_data_each(cli, &r->s->in, files->items[i], take_row, r, &r->file, &r->report, NULL);
    }
    weft_cli_progress_end(cli);
    if (!st && !weft_clean_counts(r->clean)->rows_out)
        st = weft_fail(&cli->err, WEFT_EINPUT, "no row is left: %" PRIu64 " rows were all left out",
                       r->all_rows);
    if (!st && r->s->output) st = weft_rows_writer_commit(&r->writer, &cli->err);
    if (!st && r->s->log) st = weft_out_commit(&r->log, &cli->err);
    return st;
}

static enum weft_status run(struct weft_cli *cli)
{
    struct settings s = { 0 };
    struct weft_str_list files = { 0 };
    struct run r = { .cli = cli, .s = &s };
    bool done, to_stdout;
    enum weft_status st = weft_cli_options(cli, &weft_verb_data_clean, &s, &s.common, &files, &done);
    if (st || done) return st;
    if (!files.n) return weft_fail(&cli->err, WEFT_EARG, "usage: weft data clean FILE... -o OUT");
    st = weft_data_to_stdout(cli, s.output, &to_stdout);
    if (st) return st;
    st = names_to_bits(cli, &s);
    if (!st && asks_for_nothing(&s.clean))
        st = weft_fail(
            &cli->err, WEFT_EARG,
            "nothing is asked for: name --repair, --mask, --drop or another filter (weft help data clean)");
    if (!st) st = clean_files(&r, &files);
    if (!st && cli->json) st = show_json(&r);
    else if (!st && !to_stdout && !cli->quiet) show(&r);
    weft_rows_writer_close(&r.writer);
    weft_out_close(&r.log);
    weft_buf_clear(&r.line);
    weft_buf_clear(&r.examples);
    weft_arena_clear(&r.row_arena);
    weft_clean_free(r.clean);
    return st ? st : weft_data_partial(cli, &r.report);
}

const struct weft_verb weft_verb_data_clean = {
    .name = "clean",
    .usage =
        "FILE... -o OUT [--repair all] [--mask all] [--drop SIGNS] [--keep-per-prompt K] [--log CHANGES.jsonl]",
    .help = "repairs, masks and leaves out rows, as asked",
    .help_zh = "按要求修复、遮盖或舍去行",
    .options = &table,
    .run = run,
};
