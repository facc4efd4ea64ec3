/* weft data split FILE... -o DIR: train.jsonl, valid.jsonl, test.jsonl and report.json, whole or not at all. */
#include "cli/data.h"
#include "cli/verbs.h"
#include "dataset/canon.h"
#include "dataset/split.h"

#include <inttypes.h>

struct settings {
    struct weft_cli_common common;
    struct weft_data_input in;
    struct weft_split_settings split;
    const char *output;
    int format;
    char hashes[WEFT_PARTS][WEFT_SHA256_HEX];       /* of the parts' rows; "" for an empty part */
};

static const struct weft_option rows_table[] = {
    { .key = "output",
      .type = WEFT_OPT_STRING,
      .offset = offsetof(struct settings, output),
      .group = "Output",
      .short_flag = 'o',
      .help = "folder to make",
      .help_zh = "要生成的目录" },
    { .key = "to",
      .type = WEFT_OPT_CHOICE,
      .offset = offsetof(struct settings, format),
      .def = "auto",
      .choices = WEFT_FORMAT_CHOICES,
      .group = "Output",
      .help = "shape of the rows written (auto: alpaca, text for text rows)",
      .help_zh = "写出的格式（auto：alpaca，纯文本行为 text）" },
    { .key = "valid",
      .type = WEFT_OPT_FLOAT,
      .offset = offsetof(struct settings, split.valid),
      .def = "0.1",
      .max = 1e12,
      .group = "Split",
      .help = "validation part: a share below 1, or a number of rows",
      .help_zh = "验证集：小于 1 为比例，否则为行数" },
    { .key = "test",
      .type = WEFT_OPT_FLOAT,
      .offset = offsetof(struct settings, split.test),
      .def = "0",
      .max = 1e12,
      .group = "Split",
      .help = "test part: a share below 1, or a number of rows",
      .help_zh = "测试集：小于 1 为比例，否则为行数" },
    { .key = "by",
      .type = WEFT_OPT_CHOICE,
      .offset = offsetof(struct settings, split.by),
      .def = "scene",
      .choices = WEFT_SPLIT_CHOICES,
      .group = "Split",
      .help =
          "what stays together: a scene, chapter, source file ...; row: single rows as LLaMA-Factory's val_size",
      .help_zh =
          "哪些行不拆开：同一场戏、章节、源文件等；row：按单行划分（与 LLaMA-Factory 的 val_size 相同）" },
    { .key = "near",
      .type = WEFT_OPT_FLOAT,
      .offset = offsetof(struct settings, split.near),
      .def = "0.8",
      .max = 1,
      .group = "Split",
      .help =
          "held-out rows that are this near to a training row go to training (Jaccard; 0: not looked for)",
      .help_zh = "与训练集某行的相似度（Jaccard）达到此值的验证、测试行移入训练集；0 为不检查" },
    { .key = "seed",
      .type = WEFT_OPT_INT,
      .offset = offsetof(struct settings, split.seed),
      .def = "42",
      .max = 9e18,
      .group = "Split",
      .help = "the same seed gives the same parts",
      .help_zh = "种子相同则划分相同" },
    WEFT_DATA_INPUT_ROWS(struct settings, in),
    WEFT_CLI_COMMON_ROWS(struct settings, common),
};
static const struct weft_option_table table = { rows_table, WEFT_COUNT(rows_table) };

static enum weft_status write_part(struct weft_cli *cli, const char *dir, const char *name, int format,
                                   const struct weft_rows *rows, const struct weft_part *part,
                                   char hex[WEFT_SHA256_HEX])
{
    struct weft_dataset_hash hash = { 0 };
    struct weft_rows_writer w = { 0 };
    struct weft_rows_writer_settings s = { .format = format, .layout = WEFT_LAYOUT_JSONL };
    const char *path = weft_path_join(&cli->arena, dir, name);
    enum weft_status st =
        path ? weft_rows_writer_open(&w, path, &s, &cli->err) : weft_fail_nomem(&cli->err, 0, "a path");
    if (!st) st = weft_dataset_hash_init(&hash, &cli->err);
    for (size_t i = 0; !st && i < part->n; i++) {
        st = weft_rows_writer_add(&w, &rows->items[part->rows[i]], &cli->err);
        if (!st) st = weft_dataset_hash_add(&hash, &rows->items[part->rows[i]], &cli->err);
    }
    if (!st) st = weft_rows_writer_commit(&w, &cli->err);
    if (!st) weft_dataset_hash_finish(&hash, hex);
    weft_dataset_hash_clear(&hash);
    weft_rows_writer_close(&w);
    return st;
}

enum { MOVES_SHOWN = 1000 };

static void describe(struct weft_buf *b, const struct settings *s, const struct weft_rows *rows,
                     const struct weft_split *split, const struct weft_report *r)
{
    static const char *const by[] = { "scene",   "row",   "chapter", "source", "episode",
                                      "speaker", "asker", "page",    "parent", "set" };
    static const char *const parts[] = { "train", "valid", "test" };
    struct weft_json_out o;
    weft_json_out_init(&o, b);
    weft_json_out_object(&o);
    weft_data_key_uint(&o, "train", split->train.n);
    weft_data_key_uint(&o, "valid", split->valid.n);
    weft_data_key_uint(&o, "test", split->test.n);
    weft_data_key_str(&o, "by", weft_str_c(by[s->split.by]));
    weft_json_out_key(&o, "seed");
    weft_json_out_int(&o, s->split.seed);
    weft_data_key_uint(&o, "groups", split->groups);
    weft_data_key_uint(&o, "moved", split->moved);
    weft_json_out_key(&o, "near");
    weft_json_out_double(&o, s->split.near);
    weft_data_key_uint(&o, "moved_near", split->moved_near);
    weft_data_key_uint(&o, "shared_prompts", split->shared_prompts);
    weft_json_out_key(&o, "moves");     /* the first of them */
    weft_json_out_array(&o);
    for (size_t i = 0; i < split->n_moves && i < MOVES_SHOWN; i++) {
        const struct weft_split_move *m = &split->moves[i];
        weft_json_out_object(&o);
        weft_data_key_uint(&o, "row", m->row + 1);
        weft_data_key_str(&o, "id", rows->items[m->row].origin.id);
        weft_data_key_str(&o, "from", weft_str_c(parts[m->from]));
        weft_data_key_str(&o, "to", weft_str_c(parts[m->to]));
        weft_data_key_uint(&o, "because_row", m->because + 1);
        weft_data_key_str(&o, "because_id", rows->items[m->because].origin.id);
        weft_json_out_key(&o, "jaccard");
        if (m->jaccard > 0) weft_json_out_double(&o, m->jaccard);
        else weft_json_out_null(&o);
        weft_json_out_object_end(&o);
    }
    weft_json_out_array_end(&o);
    weft_data_key_str(&o, "hash_train", weft_str_c(s->hashes[0]));
    weft_data_key_str(&o, "hash_valid", weft_str_c(s->hashes[1]));
    weft_data_key_str(&o, "hash_test", weft_str_c(s->hashes[2]));
    weft_data_json_units(&o, r);
    weft_data_json_drops(&o, r);
    weft_json_out_object_end(&o);
}

static enum weft_status write_all(struct weft_cli *cli, struct settings *s,
                                  const struct weft_rows *rows, const struct weft_split *split,
                                  const struct weft_report *r)
{
    const char *dir, *path;
    struct weft_buf b = { 0 };
    enum weft_status st = weft_dir_begin(&cli->arena, s->output, &dir, &cli->err);
    if (st) return st;
    st = write_part(cli, dir, "train.jsonl", s->format, rows, &split->train, s->hashes[0]);
    if (!st && split->valid.n) st = write_part(cli, dir, "valid.jsonl", s->format, rows, &split->valid, s->hashes[1]);
    if (!st && split->test.n) st = write_part(cli, dir, "test.jsonl", s->format, rows, &split->test, s->hashes[2]);
    describe(&b, s, rows, split, r);
    weft_buf_char(&b, '\n');
    path = weft_path_join(&cli->arena, dir, "report.json");
    if (!st) st = weft_buf_check(&b, "the report", &cli->err);
    if (!st)
        st = path ? weft_file_write(path, weft_buf_view(&b), &cli->err)
                  : weft_fail_nomem(&cli->err, 0, "a path");
    weft_buf_clear(&b);
    if (!st) return weft_dir_commit(dir, s->output, &cli->err);
    /* The failure's own message is what matters; what could not be removed is named PATH.tmp-PID. */
    struct weft_err ignored = { 0 };
    if (weft_dir_remove(dir, &ignored)) weft_warn(cli, "%s", ignored.msg);
    return st;
}

/* A folder is replaced as a whole, so only one that a split made may be in the way. */
static enum weft_status check_output(struct weft_cli *cli, const char *path)
{
    const char **names;
    size_t n;
    if (weft_file_exists(path))
        return weft_fail(&cli->err, WEFT_EARG, "-o %s: a file is there; name a folder", path);
    if (!weft_dir_exists(path)) return WEFT_OK;
    enum weft_status st = weft_dir_list(&cli->arena, path, &names, &n, &cli->err);
    for (size_t i = 0; !st && i < n; i++)
        if (strcmp(names[i], "train.jsonl") != 0 && strcmp(names[i], "valid.jsonl") != 0
            && strcmp(names[i], "test.jsonl") != 0 && strcmp(names[i], "report.json") != 0)
            return weft_fail(&cli->err, WEFT_EARG,
                             "-o %s: the folder holds other files (%s) that would be lost; name a new one",
                             path, names[i]);
    return st;
}

static enum weft_status run(struct weft_cli *cli)
{
    struct settings s = { 0 };
    struct weft_str_list files = { 0 };
    struct weft_rows rows = { 0 };
    struct weft_report report = { 0 };
    struct weft_split split;
    bool done;
    enum weft_status st = weft_cli_options(cli, &weft_verb_data_split, &s, &s.common, &files, &done);
    if (st || done) return st;
    if (!files.n || !s.output) return weft_fail(&cli->err, WEFT_EARG, "usage: weft data split FILE... -o DIR");
    st = check_output(cli, s.output);
    if (!st) st = weft_data_read(cli, &s.in, &files, &rows, &report);
    if (!st) st = weft_split_rows(&cli->arena, &rows, &s.split, &split, &cli->err);
    if (!st) st = write_all(cli, &s, &rows, &split, &report);
    if (st) return st;
    if (cli->json) {
        struct weft_buf b = { 0 };
        describe(&b, &s, &rows, &split, &report);
        st = weft_data_print_json(cli, &b);
    } else if (!cli->quiet) {
        weft_data_figure(cli, "train", split.train.n, rows.n);
        weft_data_figure(cli, "valid", split.valid.n, rows.n);
        if (split.test.n) weft_data_figure(cli, "test", split.test.n, rows.n);
        if (s.split.by != WEFT_SPLIT_ROW) {
            weft_data_figure(cli, "groups and single rows", split.groups, 0);
            weft_data_figure(cli, "rows that followed an equal prompt", split.moved, 0);
            weft_data_figure(cli, "near doubles moved to training", split.moved_near, 0);
            weft_data_figure(cli, "prompts in several parts", split.shared_prompts, 0);
        }
        weft_data_drops(cli, &report, 8);
        weft_say(cli, "%s: written\n", s.output);
    }
    return st ? st : weft_data_partial(cli, &report);
}

const struct weft_verb weft_verb_data_split = {
    .name = "split",
    .usage = "FILE... -o DIR [--valid 0.1] [--test 0]",
    .help = "train, validation and test parts that do not leak",
    .help_zh = "划分训练、验证、测试集，互不泄漏",
    .options = &table,
    .run = run,
};
