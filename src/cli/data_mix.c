/* weft data mix A.jsonl:0.7 B.jsonl:500 ... -o OUT, and weft data sample FILE: a mix of one. */
#include "cli/data.h"
#include "cli/verbs.h"
#include "dataset/canon.h"
#include "dataset/mix.h"

#include <inttypes.h>

struct settings {
    struct weft_cli_common common;
    struct weft_data_input in;
    struct weft_mix_settings mix;
    struct weft_rows_writer_settings writer;
    double share;
    const char *output;
};

#define OUTPUT_ROWS                                                                                                    \
    WEFT_DATA_OUTPUT_ROW(struct settings, output),                                                                     \
    { .key = "to", .type = WEFT_OPT_CHOICE, .offset = offsetof(struct settings, writer.format), .def = "auto",         \
      .choices = WEFT_FORMAT_CHOICES, .group = "Output",                                                               \
      .help = "shape of the rows written (auto: that of the sets; messages where they differ)",                        \
      .help_zh = "写出的格式（auto：与各数据集相同，不一致时为 messages）" },                                            \
    WEFT_DATA_LAYOUT_ROW(struct settings, writer.layout),                                                              \
    WEFT_DATA_NO_ORIGIN_ROW(struct settings, writer.no_origin)
#define SEED_ROW                                                                                                       \
    { .key = "seed", .type = WEFT_OPT_INT, .offset = offsetof(struct settings, mix.seed), .def = "42", .max = 9e18,    \
      .group = "Which", .help = "the same seed gives the same rows", .help_zh = "种子相同则抽到的行相同" }

static const struct weft_option mix_rows[] = {
    OUTPUT_ROWS,
    { .key = "rows", .type = WEFT_OPT_INT, .offset = offsetof(struct settings, mix.rows), .def = "0", .max = 4e9,
      .unit = "rows", .group = "Which",
      .help = "rows in all, for sets with weights; 0: until a set runs out (with --repeat: until all are used)",
      .help_zh = "总行数，按权重分配；0：取到某个数据集用完为止（加 --repeat：取到全部用完）" },
    { .key = "repeat", .type = WEFT_OPT_BOOL, .offset = offsetof(struct settings, mix.repeat), .group = "Which",
      .help = "a set may give its rows more than once", .help_zh = "允许同一行重复出现" },
    { .key = "keep_order", .type = WEFT_OPT_BOOL, .offset = offsetof(struct settings, mix.keep_order), .group = "Which",
      .help = "sets one after the other, rows in file order; else all are shuffled",
      .help_zh = "按数据集和文件中的顺序排列；不加则全部打乱" },
    SEED_ROW,
    WEFT_DATA_INPUT_ROWS(struct settings, in),
    WEFT_CLI_COMMON_ROWS(struct settings, common),
};
static const struct weft_option_table mix_table = { mix_rows, WEFT_COUNT(mix_rows) };

static const struct weft_option sample_rows[] = {
    OUTPUT_ROWS,
    { .key = "rows", .type = WEFT_OPT_INT, .offset = offsetof(struct settings, mix.rows), .def = "0", .max = 4e9,
      .unit = "rows", .group = "Which", .help = "rows to draw", .help_zh = "抽取几行" },
    { .key = "share", .type = WEFT_OPT_FLOAT, .offset = offsetof(struct settings, share), .def = "0", .max = 1,
      .group = "Which", .help = "part of the rows to draw, in place of --rows", .help_zh = "抽取的比例，代替 --rows" },
    { .key = "repeat", .type = WEFT_OPT_BOOL, .offset = offsetof(struct settings, mix.repeat), .group = "Which",
      .help = "more rows than there are: each comes again", .help_zh = "行数不够时允许重复" },
    { .key = "shuffle", .type = WEFT_OPT_BOOL, .offset = offsetof(struct settings, mix.keep_order), .group = "Which",
      .help = "rows in random order; else in that of the file", .help_zh = "打乱顺序；不加则按文件中的顺序" },
    SEED_ROW,
    WEFT_DATA_INPUT_ROWS(struct settings, in),
    WEFT_CLI_COMMON_ROWS(struct settings, common),
};
static const struct weft_option_table sample_table = { sample_rows, WEFT_COUNT(sample_rows) };

/* ---- sets and rows ---- */

static enum weft_status find_sets(struct weft_cli *cli, const struct settings *s, const struct weft_str_list *files,
                                  struct weft_mix_source **out)
{
    struct weft_mix_source *sets = WEFT_NEWS(&cli->arena, struct weft_mix_source, files->n + 1);
    enum weft_status st = sets ? WEFT_OK : weft_fail_nomem(&cli->err, files->n * sizeof *sets, "the mix");
    for (size_t i = 0; !st && i < files->n; i++) {
        struct weft_rows_settings how;
        st = weft_mix_parse(&cli->arena, files->items[i], &sets[i], &cli->err);
        if (!st) st = weft_data_find(cli, &s->in, sets[i].path, &sets[i].path, &how);
        if (st) break;
        sets[i].columns = how.columns;
        sets[i].format = how.format;
    }
    *out = sets;
    return st;
}

struct result {
    struct weft_report unwritable;      /* rows that the format has no place for */
    uint64_t written;
    char hash[WEFT_SHA256_HEX];         /* of the rows as written; "" without an output */
};

static enum weft_status write_mix(struct weft_cli *cli, const struct settings *s, const struct weft_mix *m,
                                  struct result *r)
{
    struct weft_rows_writer w = { 0 };
    struct weft_rows_writer_settings how = s->writer;
    struct weft_dataset_hash hash = { 0 };
    struct weft_arena scratch = { 0 };
    int format = how.format == WEFT_FORMAT_AUTO ? (int)weft_mix_format(m) : how.format;
    enum weft_status st = weft_rows_writer_open(&w, s->output, &how, &cli->err);
    if (!st) st = weft_dataset_hash_init(&hash, &cli->err);
    for (size_t i = 0; !st && i < m->n; i++) {
        struct weft_arena_mark mark = weft_arena_mark(&scratch);
        struct weft_err fault = { .lang = cli->lang };
        struct weft_row row;
        if (i % 256 == 0) weft_progress_update(&cli->progress, "writing", i, m->n, "rows", "");
        if (weft_progress_cancelled(&cli->progress)) st = WEFT_ECANCEL;
        if (!st) st = weft_mix_row(m, &scratch, i, &row, &cli->err);
        if (st) break;
        w.s.format = row.text.s ? WEFT_FORMAT_TEXT : format == WEFT_FORMAT_TEXT ? WEFT_FORMAT_AUTO : format;
        st = weft_rows_writer_add(&w, &row, &fault);
        if (st == WEFT_EINPUT)
            st = weft_report_drop(&r->unwritable, &cli->arena, weft_str_c(fault.msg), 1,
                                  (struct weft_str){ 0 }, &cli->err);
        else if (st) st = weft_fail(&cli->err, st, "%s", fault.msg);
        else st = weft_dataset_hash_add(&hash, &row, &cli->err);
        weft_arena_release(&scratch, mark);
    }
    r->written = w.n_rows;
    if (!st && !r->written)
        st = weft_fail(&cli->err, WEFT_EINPUT, "no row fits the format: %.*s", (int)r->unwritable.drops[0].reason.len,
                       r->unwritable.drops[0].reason.s);
    if (!st) st = weft_rows_writer_commit(&w, &cli->err);
    if (!st) weft_dataset_hash_finish(&hash, r->hash);
    weft_rows_writer_close(&w);
    weft_dataset_hash_clear(&hash);
    weft_arena_clear(&scratch);
    return st;
}

/* ---- figures ---- */

static void show(struct weft_cli *cli, const struct settings *s, const struct weft_mix *m, const struct result *r)
{
    for (size_t i = 0; i < m->n_sources; i++) {
        const struct weft_mix_source *x = &m->sources[i];
        weft_say(cli, "%s: %s\n", x->path, weft_data_format_name(x->index.shape.format));
        weft_data_figure(cli, "rows in the set", x->index.n, 0);
        weft_data_figure(cli, "drawn", x->distinct, x->index.n);
        if (x->repeats) weft_data_figure(cli, "repeated", x->repeats, 0);
        weft_data_figure(cli, "not drawn", x->unused, x->index.n);
        weft_data_figure(cli, "part of the mix", x->written, m->n);
        weft_data_drops(cli, &x->report, 8);
    }
    weft_data_drops(cli, &r->unwritable, 0);
    if (s->output) {
        weft_say(cli, "%s: %" PRIu64 " rows written\n", s->output, r->written);
        weft_say(cli, "dataset hash %s\n", r->hash);
    } else weft_say(cli, "%zu rows; nothing written, -o FILE writes them\n", m->n);
}

static enum weft_status show_json(struct weft_cli *cli, const struct settings *s, const struct weft_mix *m,
                                  const struct result *r)
{
    struct weft_buf b = { 0 };
    struct weft_json_out o;
    weft_json_out_init(&o, &b);
    weft_json_out_object(&o);
    weft_data_key_uint(&o, "rows", s->output ? r->written : m->n);
    weft_json_out_key(&o, "seed");
    weft_json_out_int(&o, m->s.seed);
    weft_json_out_key(&o, "sets");
    weft_json_out_array(&o);
    for (size_t i = 0; i < m->n_sources; i++) {
        const struct weft_mix_source *x = &m->sources[i];
        weft_json_out_object(&o);
        weft_data_key_str(&o, "file", weft_str_c(x->path));
        weft_data_key_str(&o, "name", x->name);
        weft_data_key_str(&o, "sha256", weft_str_c(x->index.shape.sha256));
        weft_data_json_units(&o, &x->report);
        weft_data_key_uint(&o, "rows", x->index.n);
        weft_data_key_uint(&o, "drawn", x->distinct);
        weft_data_key_uint(&o, "repeated", x->repeats);
        weft_data_key_uint(&o, "not_drawn", x->unused);
        weft_data_key_uint(&o, "written", x->written);
        weft_data_json_drops(&o, &x->report);
        weft_json_out_object_end(&o);
    }
    weft_json_out_array_end(&o);
    weft_data_key_uint(&o, "unwritable", weft_report_dropped(&r->unwritable));
    weft_data_key_str(&o, "hash", r->hash[0] ? weft_str_c(r->hash) : (struct weft_str){ 0 });
    weft_data_key_str(&o, "output", weft_str_c(s->output));
    weft_json_out_object_end(&o);
    return weft_data_print_json(cli, &b);
}

static enum weft_status mix(struct weft_cli *cli, struct settings *s, const struct weft_str_list *files)
{
    struct weft_mix_source *sets = NULL;
    struct weft_mix m = { 0 };
    struct result r = { 0 };
    bool to_stdout;
    enum weft_status st = weft_data_to_stdout(cli, s->output, &to_stdout);
    if (!st) st = find_sets(cli, s, files, &sets);
    if (!st) st = weft_mix_open(&cli->arena, sets, files->n, &s->in.rows, &cli->progress, &m, &cli->err);
    if (!st && s->share > 0) {
        s->mix.rows = (int64_t)((double)m.sources[0].index.n * s->share + 0.5);
        if (!s->mix.rows) s->mix.rows = 1;
    }
    if (!st) st = weft_mix_plan(&m, &s->mix, &cli->err);
    for (size_t i = 0; !st && i < m.n_sources; i++) weft_data_shape_note(cli, sets[i].path, &sets[i].index.shape);
    if (!st && s->output) st = write_mix(cli, s, &m, &r);
    if (st) goto done;
    if (cli->json) st = show_json(cli, s, &m, &r);
    else if (!to_stdout && !cli->quiet) show(cli, s, &m, &r);
    for (size_t i = 0; !st && i < m.n_sources; i++) st = weft_data_partial(cli, &sets[i].report);
    if (!st && weft_report_dropped(&r.unwritable))
        st = weft_fail(&cli->err, WEFT_EPARTIAL, "%" PRIu64 " of %" PRIu64 " rows were left out",
                       weft_report_dropped(&r.unwritable), (uint64_t)m.n);
done:
    weft_mix_close(&m);
    return st;
}

static enum weft_status run_mix(struct weft_cli *cli)
{
    struct settings s = { 0 };
    struct weft_str_list files = { 0 };
    bool done;
    enum weft_status st = weft_cli_options(cli, &weft_verb_data_mix, &s, &s.common, &files, &done);
    if (st || done) return st;
    if (!files.n) return weft_fail(&cli->err, WEFT_EARG, "usage: weft data mix FILE:WEIGHT FILE:ROWS ... -o OUT");
    return mix(cli, &s, &files);
}

static enum weft_status run_sample(struct weft_cli *cli)
{
    struct settings s = { 0 };
    struct weft_str_list files = { 0 };
    bool done;
    enum weft_status st = weft_cli_options(cli, &weft_verb_data_sample, &s, &s.common, &files, &done);
    if (st || done) return st;
    if (files.n != 1 || (s.mix.rows > 0) == (s.share > 0))
        return weft_fail(&cli->err, WEFT_EARG, "usage: weft data sample FILE --rows N | --share 0.1 -o OUT");
    s.mix.keep_order = !s.mix.keep_order;       /* the flag says shuffle */
    return mix(cli, &s, &files);
}

const struct weft_verb weft_verb_data_mix = {
    .name = "mix",
    .usage = "FILE[:WEIGHT|:ROWS]... -o OUT",
    .help = "several sets in one, by weights or numbers of rows",
    .help_zh = "按权重或行数混合几个数据集",
    .options = &mix_table,
    .run = run_mix,
};

const struct weft_verb weft_verb_data_sample = {
    .name = "sample",
    .usage = "FILE --rows N | --share 0.1 -o OUT",
    .help = "some rows of a set, drawn by a seed",
    .help_zh = "按随机种子抽取部分行",
    .options = &sample_table,
    .run = run_sample,
};
