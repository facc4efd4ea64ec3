/* weft data dedup FILE... -o OUT: one row of those that say the same.  The files are read twice, row by row: first to
 * compare, then to write, so that memory holds the texts once and never the rows. */
#include "cli/data.h"
#include "cli/verbs.h"
#include "dataset/dedup.h"

#include <inttypes.h>
#include <stdio.h>

struct settings {
    struct weft_cli_common common;
    struct weft_data_input in;
    struct weft_dedup_settings dedup;
    struct weft_rows_writer_settings writer;
    const char *output, *report;
    int64_t places;
};

static const struct weft_option rows_table[] = {
    WEFT_DATA_OUTPUT_ROW(struct settings, output),
    { .key = "report",
      .type = WEFT_OPT_STRING,
      .offset = offsetof(struct settings, report),
      .group = "Output",
      .help = "file for the groups of equal rows, one JSON object a line",
      .help_zh = "把各组重复的行写入此文件，每行一个 JSON 对象" },
    WEFT_DATA_TO_ROW(struct settings, writer.format),
    WEFT_DATA_LAYOUT_ROW(struct settings, writer.layout),
    WEFT_DATA_PLACES_ROW(struct settings, places, "dropped rows to show",
                         "显示多少行被舍去的行"),
    { .key = "field",
      .type = WEFT_OPT_CHOICE,
      .offset = offsetof(struct settings, dedup.field),
      .def = "both",
      .choices = WEFT_ROW_FIELD_CHOICES,
      .group = "Compare",
      .help = "what is compared: prompt and answer, or one of them",
      .help_zh = "比较什么：提问和回答，或其中之一" },
    { .key = "threshold",
      .type = WEFT_OPT_FLOAT,
      .offset = offsetof(struct settings, dedup.near.threshold),
      .def = "0.7",
      .min = 0.1,
      .max = 1,
      .group = "Compare",
      .help = "least share of common character runs (Jaccard) of near doubles",
      .help_zh = "近似重复的最低相似度（字符片段的 Jaccard 系数）" },
    { .key = "ngram",
      .type = WEFT_OPT_INT,
      .offset = offsetof(struct settings, dedup.near.ngram),
      .def = "3",
      .min = 1,
      .max = 64,
      .unit = "characters",
      .group = "Compare",
      .help = "length of those runs",
      .help_zh = "字符片段的长度" },
    { .key = "exact",
      .type = WEFT_OPT_BOOL,
      .offset = offsetof(struct settings, dedup.exact),
      .group = "Compare",
      .help = "only rows that are equal after normalising",
      .help_zh = "只去掉规范化之后完全相同的行" },
    { .key = "keep",
      .type = WEFT_OPT_CHOICE,
      .offset = offsetof(struct settings, dedup.keep),
      .def = "first",
      .choices = WEFT_DEDUP_KEEP_CHOICES,
      .group = "Compare",
      .help = "which row of those alike stays",
      .help_zh = "相同的行里保留哪一行：第一行或最长的一行" },
    { .key = "max_candidates",
      .type = WEFT_OPT_INT,
      .offset = offsetof(struct settings, dedup.near.max_candidates),
      .def = "10000",
      .min = 1,
      .max = 1e9,
      .unit = "rows",
      .group = "Compare",
      .help = "most rows that one row is compared with",
      .help_zh = "每行最多与多少行比较" },
    WEFT_DATA_INPUT_ROWS(struct settings, in),
    WEFT_CLI_COMMON_ROWS(struct settings, common),
};
static const struct weft_option_table table = { rows_table, WEFT_COUNT(rows_table) };

struct file {
    const char *path;
    struct weft_rows_settings how;
    struct weft_rows_shape shape;
    size_t first_row; /* number of its first row among all */
};

struct member { /* of a group: what the report says of a row */
    struct weft_str id, text;
};

struct run {
    struct weft_cli *cli;
    const struct settings *s;
    struct file *files;
    size_t n_files;
    struct weft_dedup *dedup;
    struct weft_dedup_result result;
    struct weft_report report;
    /* the second reading */
    size_t row;
    bool *heads;            /* [rows] kept rows that others equal */
    struct member *members; /* [rows], of groups only; NULL without places or report */
    struct weft_rows_writer writer;
    bool writing;
};

/* ---- first reading ---- */

static enum weft_status compare_row(void *ctx, const struct weft_row *row, struct weft_err *err)
{
    struct run *r = ctx;
    enum weft_status st = weft_data_tick(r->cli, "reading", r->row++, 0, err);
    return st ? st : weft_dedup_add(r->dedup, row, err);
}

static enum weft_status find_files(struct run *r, const struct weft_str_list *names)
{
    enum weft_status st = WEFT_OK;
    r->n_files = names->n;
    r->files = WEFT_NEWS(&r->cli->arena, struct file, names->n + 1);
    if (!r->files) return weft_fail_nomem(&r->cli->err, names->n * sizeof *r->files, "the files");
    for (size_t i = 0; !st && i < names->n; i++) {
        if (strcmp(names->items[i], "-") == 0)
            return weft_fail(&r->cli->err, WEFT_EARG,
                             "the files are read twice, standard input cannot be; name a file");
        st = weft_data_find(r->cli, &r->s->in, names->items[i], &r->files[i].path, &r->files[i].how);
    }
    return st;
}

static enum weft_status compare(struct run *r)
{
    struct weft_cli *cli = r->cli;
    enum weft_status st = weft_dedup_new(&r->dedup, &r->s->dedup, &cli->err);
    for (size_t i = 0; !st && i < r->n_files; i++) {
        struct file *f = &r->files[i];
        f->first_row = r->row;
        st = weft_rows_each(&cli->arena, f->path, &f->how, compare_row, r, &r->report, &f->shape, &cli->err);
        if (!st) weft_data_shape_note(cli, f->path, &f->shape);
    }
    if (!st) st = weft_pool_new(&cli->pool, (int)r->s->common.threads, &cli->err);
    if (!st) st = weft_dedup_finish(r->dedup, cli->pool, &cli->progress, &r->result, &cli->err);
    weft_cli_progress_end(cli);
    return st;
}

/* ---- second reading ---- */

static bool in_group(const struct run *r, size_t row)
{
    return r->result.fates[row].kind != WEFT_ROW_KEPT || r->heads[row];
}

static enum weft_status write_row(void *ctx, const struct weft_row *row, struct weft_err *err)
{
    struct run *r = ctx;
    size_t i = r->row++;
    if (i >= r->result.n) return weft_fail(err, WEFT_EINPUT, "a file changed while it was read");
    enum weft_status st = weft_data_tick(r->cli, "writing", i, r->result.n, err);
    if (st) return st;
    if (r->members && in_group(r, i)) {
        struct member *m = &r->members[i];
        m->id = weft_str_dup(&r->cli->arena, row->origin.id);
        m->text = weft_str_dup(&r->cli->arena, weft_row_headline(row));
        if (!m->id.s || !m->text.s) return weft_fail_nomem(err, 0, "the report");
    }
    if (!r->writing || r->result.fates[i].kind != WEFT_ROW_KEPT) return WEFT_OK;
    r->writer.s.format = r->s->writer.format ? r->s->writer.format : row->read_as;
    return weft_rows_writer_add(&r->writer, row, err);
}

static enum weft_status second_reading(struct run *r)
{
    struct weft_cli *cli = r->cli;
    enum weft_status st = WEFT_OK;
    r->heads = WEFT_NEWS(&cli->arena, bool, r->result.n + 1);
    if (!r->heads) return weft_fail_nomem(&cli->err, r->result.n, "the report");
    for (size_t i = 0; i < r->result.n; i++)
        if (r->result.fates[i].kind != WEFT_ROW_KEPT) r->heads[r->result.fates[i].row] = true;
    if (r->s->report || (r->s->places && !cli->json && !cli->quiet)) {
        r->members = WEFT_NEWS(&cli->arena, struct member, r->result.n + 1);
        if (!r->members) return weft_fail_nomem(&cli->err, r->result.n * sizeof *r->members, "the report");
    }
    r->writing = r->s->output != NULL;
    r->row = 0;
    if (r->writing) st = weft_rows_writer_open(&r->writer, r->s->output, &r->s->writer, &cli->err);
    for (size_t i = 0; !st && i < r->n_files && (r->writing || r->members); i++) {
        struct weft_report again = { 0 };
        st = weft_rows_each(&cli->arena, r->files[i].path, &r->files[i].how, write_row, r, &again, NULL,
                            &cli->err);
    }
    if (!st && r->row && r->row != r->result.n)
        st = weft_fail(&cli->err, WEFT_EINPUT, "a file changed while it was read");
    if (!st && r->writing) st = weft_rows_writer_commit(&r->writer, &cli->err);
    weft_rows_writer_close(&r->writer);
    weft_cli_progress_end(cli);
    return st;
}

/* ---- the report ---- */

static const struct file *file_of(const struct run *r, size_t row)
{
    size_t i = r->n_files - 1;
    while (i && r->files[i].first_row > row) i--;
    return &r->files[i];
}

static void say_row(const struct run *r, struct weft_json_out *o, size_t row)
{
    const struct file *f = file_of(r, row);
    weft_data_key_str(o, "file", weft_str_c(f->path));
    weft_data_key_uint(o, "row", row - f->first_row + 1);
    if (r->members[row].id.len) weft_data_key_str(o, "id", r->members[row].id);
    weft_data_key_str(o, "text", r->members[row].text);
}

static void say_fate(const struct run *r, struct weft_json_out *o, size_t row)
{
    const struct weft_dedup_fate *f = &r->result.fates[row];
    weft_json_out_object(o);
    say_row(r, o, row);
    weft_data_key_str(o, "kind", f->kind == WEFT_ROW_EXACT ? WEFT_STR("exact") : WEFT_STR("near"));
    weft_json_out_key(o, "jaccard");
    weft_json_out_double(o, (double)(long)((double)f->jaccard * 1e4 + 0.5) / 1e4);
    weft_json_out_object_end(o);
}

/* One line a group: the row that stays, and those that equal it, in row order.  The dropped rows of all groups are
 * strung on lists: next[row] is the next dropped row of its group. */
static enum weft_status write_report(struct run *r)
{
    struct weft_cli *cli = r->cli;
    size_t n = r->result.n;
    uint32_t *first = WEFT_NEWS(&cli->arena, uint32_t, n + 1),
             *next = WEFT_NEWS(&cli->arena, uint32_t, n + 1);
    struct weft_out out = { 0 };
    struct weft_buf b = { 0 };
    enum weft_status st;
    if (!first || !next) return weft_fail_nomem(&cli->err, n * 8, "the report");
    for (size_t i = n; i-- > 0;) { /* from the end, so that each list is in row order */
        const struct weft_dedup_fate *f = &r->result.fates[i];
        if (f->kind == WEFT_ROW_KEPT) continue;
        next[i] = first[f->row];
        first[f->row] = (uint32_t)i + 1;
    }
    st = weft_out_open(&out, r->s->report, &cli->err);
    for (size_t i = 0; !st && i < n; i++) {
        struct weft_json_out o;
        if (!first[i]) continue;
        weft_buf_reset(&b);
        weft_json_out_init(&o, &b);
        weft_json_out_object(&o);
        weft_json_out_key(&o, "kept");
        weft_json_out_object(&o);
        say_row(r, &o, i);
        weft_json_out_object_end(&o);
        weft_json_out_key(&o, "dropped");
        weft_json_out_array(&o);
        for (uint32_t k = first[i]; k; k = next[k - 1]) say_fate(r, &o, k - 1);
        weft_json_out_array_end(&o);
        weft_json_out_object_end(&o);
        weft_buf_char(&b, '\n');
        st = weft_buf_check(&b, "the report", &cli->err);
        if (!st) weft_out_str(&out, weft_buf_view(&b));
    }
    if (!st) st = weft_out_commit(&out, &cli->err);
    weft_out_close(&out);
    weft_buf_clear(&b);
    return st;
}

static void show_places(const struct run *r)
{
    size_t shown = 0;
    for (size_t i = 0; i < r->result.n && shown < (size_t)r->s->places; i++) {
        const struct weft_dedup_fate *f = &r->result.fates[i];
        const struct file *mine = file_of(r, i), *its = file_of(r, f->row);
        char prefix[128];
        if (f->kind == WEFT_ROW_KEPT) continue;
        if (!shown++) weft_say(r->cli, "dropped, and the row each equals:\n");
        snprintf(prefix, sizeof prefix, "  #%zu = %s%s#%" PRIu64 "  %.2f  ", i - mine->first_row + 1,
                 its == mine ? "" : its->path, its == mine ? "" : " ",
                 (uint64_t)(f->row - its->first_row + 1), (double)f->jaccard);
        weft_data_line(r->cli, prefix, r->members[i].text, 40);
    }
}

static void show(const struct run *r)
{
    const struct weft_dedup_result *d = &r->result;
    struct weft_cli *cli = r->cli;
    weft_data_figure(cli, "rows", d->n, 0);
    weft_data_figure(cli, "kept", d->kept, d->n);
    weft_data_figure(cli, "exact doubles", d->exact, d->n);
    if (!r->s->dedup.exact) weft_data_figure(cli, "near doubles", d->near, d->n);
    if (d->judged) weft_data_figure(cli, "preference and KTO rows, compared whole", d->judged, d->n);
    if (d->cut) weft_data_figure(cli, "rows not compared with all candidates", d->cut, d->n);
    weft_data_drops(cli, &r->report, (size_t)r->s->places);
    if (r->members) show_places(r);
    if (r->s->report) weft_say(cli, "%s: groups written\n", r->s->report);
    if (r->s->output) weft_say(cli, "%s: %" PRIu64 " rows written\n", r->s->output, (uint64_t)d->kept);
    else weft_say(cli, "nothing written; -o FILE writes the rows that stay\n");
}

static enum weft_status show_json(const struct run *r)
{
    struct weft_buf b = { 0 };
    struct weft_json_out o;
    weft_json_out_init(&o, &b);
    weft_json_out_object(&o);
    weft_data_json_units(&o, &r->report);
    weft_data_key_uint(&o, "rows_in", r->result.n);
    weft_data_key_uint(&o, "rows_out", r->result.kept);
    weft_data_key_uint(&o, "exact", r->result.exact);
    weft_data_key_uint(&o, "near", r->result.near);
    weft_data_key_uint(&o, "judged", r->result.judged);
    weft_data_key_uint(&o, "cut", r->result.cut);
    weft_data_json_drops(&o, &r->report);
    weft_data_key_str(&o, "output", weft_str_c(r->s->output));
    weft_json_out_object_end(&o);
    return weft_data_print_json(r->cli, &b);
}

static enum weft_status run(struct weft_cli *cli)
{
    struct settings s = { 0 };
    struct weft_str_list files = { 0 };
    struct run r = { .cli = cli, .s = &s };
    bool done, to_stdout;
    enum weft_status st = weft_cli_options(cli, &weft_verb_data_dedup, &s, &s.common, &files, &done);
    if (st || done) return st;
    if (!files.n) return weft_fail(&cli->err, WEFT_EARG, "usage: weft data dedup FILE... -o OUT");
    st = weft_data_to_stdout(cli, s.output, &to_stdout);
    if (st) return st;
    st = find_files(&r, &files);
    if (!st) st = compare(&r);
    if (!st) st = second_reading(&r);
    if (!st && s.report) st = write_report(&r);
    if (!st && cli->json) st = show_json(&r);
    else if (!st && !to_stdout && !cli->quiet) show(&r);
    weft_dedup_free(r.dedup);
    return st ? st : weft_data_partial(cli, &r.report);
}

const struct weft_verb weft_verb_data_dedup = {
    .name = "dedup",
    .usage = "FILE... [-o OUT] [--threshold 0.7] [--report GROUPS.jsonl]",
    .help = "one row of those that are equal, or nearly",
    .help_zh = "去掉相同和近似的行，只留一行",
    .options = &table,
    .run = run,
};
