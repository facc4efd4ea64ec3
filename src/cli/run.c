/* weft run RECIPE.yaml: the whole road.  A screenplay, a novel or documents become a dataset, a base model
 * learns it, base and tuned model answer the same questions; each stage shows its numbers, and a finished one
 * is skipped by content. */
#include "cli/cluster.h"
#include "cli/data.h"
#include "cli/data_patch.h"
#include "cli/record.h"
#include "cli/road.h"
#include "cli/run_ask.h"
#include "cli/session.h"
#include "cli/train_stage.h"
#include "cli/verbs.h"

#include "base/file.h"
#include "dataset/canon.h"
#include "dataset/formats.h"
#include "dataset/screenplay.h"
#include "dataset/split.h"

#include <stdio.h>
#include <unistd.h>

/* Every setting of the road: those of training, of the screenplay reader, and a few of its own. */
struct road {
    struct weft_recipe recipe;
    struct weft_script_settings script;
    struct weft_road_ask asked;
    struct weft_text_settings text;
    struct {
        struct weft_str_list files;     /* key "script" */
        double valid, test;
        const char *questions, *patches;
        double temperature, top_p, repetition_penalty;
        int64_t max_new_tokens;
    } own;
    struct weft_cli_common common;
};

static const struct weft_option own_rows[] = {
    { .key = "script", .type = WEFT_OPT_LIST, .offset = offsetof(struct road, own.files), .group = "Screenplay",
      .help = "screenplay files to build the dataset from", .help_zh = "用来构建数据集的剧本文件" },
    { .key = "patches", .type = WEFT_OPT_STRING, .offset = offsetof(struct road, own.patches), .group = "Screenplay",
      .help = "decisions of weft data review about the rows", .help_zh = "weft data review 对数据行的决定" },
    { .key = "valid", .type = WEFT_OPT_FLOAT, .offset = offsetof(struct road, own.valid), .def = "0.05", .max = 1e9,
      .group = "Screenplay", .help = "part of the scenes kept for validation (below 1: a share, else rows)",
      .help_zh = "留作验证的场景（小于 1 为比例，否则为行数）" },
    { .key = "test", .type = WEFT_OPT_FLOAT, .offset = offsetof(struct road, own.test), .def = "0", .max = 1e9,
      .group = "Screenplay", .help = "part of the scenes kept for testing", .help_zh = "留作测试的场景" },
    { .key = "questions", .type = WEFT_OPT_STRING, .offset = offsetof(struct road, own.questions), .group = "Comparison",
      .help = "file of questions, one a line, answered by base and tuned model", .help_zh = "问题文件，每行一个，由微调前后的模型分别回答" },
    { .key = "temperature", .type = WEFT_OPT_FLOAT, .offset = offsetof(struct road, own.temperature), .def = "-1", .min = -1,
      .max = 100, .group = "Comparison", .help = "0: always the likeliest token; -1: the model's own",
      .help_zh = "0：总取最可能的词；-1：用模型自带的设置" },
    { .key = "top_p", .type = WEFT_OPT_FLOAT, .offset = offsetof(struct road, own.top_p), .def = "-1", .min = -1, .max = 1,
      .group = "Comparison", .help = "draw from the likeliest tokens that hold this much probability",
      .help_zh = "只在累计概率达到此值的最可能词中抽取" },
    { .key = "repetition_penalty", .type = WEFT_OPT_FLOAT, .offset = offsetof(struct road, own.repetition_penalty), .def = "-1",
      .min = -1, .max = 100, .group = "Comparison", .help = "above 1: tokens already in the text become less likely",
      .help_zh = "大于 1 时，已出现过的词概率降低" },
    { .key = "max_new_tokens", .type = WEFT_OPT_INT, .offset = offsetof(struct road, own.max_new_tokens), .def = "96", .min = 1,
      .max = 1e6, .unit = "tokens", .group = "Comparison", .help = "longest answer", .help_zh = "回答的最大长度" },
    WEFT_RECORD_ROW(struct road, asked.ask.project),
    WEFT_ROAD_ASK_ROWS(struct road, asked),
    WEFT_TEXT_OPTION_ROWS(struct road, text),
    WEFT_CLI_COMMON_ROWS(struct road, common),
};

/* One table over struct road from the tables of its parts. */
static enum weft_status join_tables(struct weft_cli *cli, struct weft_option_table *out)
{
    const struct {
        struct weft_option_table table;
        size_t at;
    } parts[] = { { { own_rows, WEFT_COUNT(own_rows) }, 0 },
                  { weft_script_options(), offsetof(struct road, script) },
                  { weft_recipe_options, offsetof(struct road, recipe) } };
    size_t n = 0;
    for (size_t p = 0; p < WEFT_COUNT(parts); p++) n += parts[p].table.n;
    struct weft_option *rows = WEFT_NEWS(&cli->arena, struct weft_option, n);
    if (!rows) return weft_fail_nomem(&cli->err, n * sizeof *rows, "the option table");
    *out = (struct weft_option_table){ rows, 0 };
    for (size_t p = 0; p < WEFT_COUNT(parts); p++)
        for (size_t i = 0; i < parts[p].table.n; i++) {
            rows[out->n] = parts[p].table.rows[i];
            if (rows[out->n].where) rows[out->n].where += parts[p].at;
            rows[out->n++].offset += parts[p].at;
        }
    return WEFT_OK;
}

/* Recipe file, then KEY=VALUE and flags: precedence flag > recipe > environment > default. */
static enum weft_status read_settings(struct weft_cli *cli, struct weft_option_table table, struct road *road,
                                      const char **name, bool *done)
{
    const struct weft_verb verb = { .name = weft_verb_run.name, .usage = weft_verb_run.usage, .options = &table,
                                    .help = weft_verb_run.help, .help_zh = weft_verb_run.help_zh };
    struct weft_str_list words = { 0 };
    struct weft_str yaml;
    struct weft_buf warn = { 0 };
    enum weft_status st = weft_cli_options(cli, &verb, road, &road->common, &words, done);
    if (st || *done) return st;
    if (words.n != 1) return weft_fail(&cli->err, WEFT_EARG, "expected one RECIPE.yaml; found %zu words", words.n);
    *name = words.items[0];
    st = weft_file_read(&cli->arena, *name, 1u << 20, &yaml, &cli->err);
    if (!st) st = weft_recipe_yaml(table, road, sizeof *road, &cli->arena, *name, yaml, &warn, &cli->err);
    if (!st) st = weft_beside_list(cli, *name, &road->own.files);
    if (!st) st = weft_beside_list(cli, *name, &road->recipe.dataset);
    if (!st) st = weft_beside_list(cli, *name, &road->recipe.eval_dataset);
    if (!st) st = weft_beside_list(cli, *name, &road->asked.novel);
    if (!st) st = weft_beside_list(cli, *name, &road->asked.documents);
    if (!st) st = weft_beside(cli, *name, &road->asked.ask.prompt);
    if (!st) st = weft_beside(cli, *name, &road->own.questions);
    if (!st) st = weft_options_argv(table, road, &cli->arena, cli->argc, cli->argv, &words, &warn, &cli->err);
    if (!st && !road->recipe.output_dir) {
        const char *base = strrchr(*name, '/') ? strrchr(*name, '/') + 1 : *name;
        size_t len = strcspn(base, ".");
        road->recipe.output_dir = weft_str_printf(&cli->arena, "runs/%.*s", (int)len, base).s;
    }
    bool asks = weft_road_asks(&road->asked);
    if (!st && !road->own.files.n && !asks && !road->recipe.dataset.n)
        st = weft_fail(&cli->err, WEFT_EARG,
                       "%s names no input: expected \"script:\" (screenplays), \"novel:\", \"documents:\" or "
                       "\"dataset:\" (rows)",
                       *name);
    if (!st && (road->own.files.n > 0) + (road->asked.novel.n > 0) + (road->asked.documents.n > 0) > 1)
        st = weft_fail(&cli->err, WEFT_EARG, "%s names two kinds of input; expected one of script, novel, documents",
                       *name);
    if (!st && warn.len) weft_note(cli, "%s", warn.s);
    weft_buf_clear(&warn);
    return st;
}

static void heading(struct weft_cli *cli, int number, const char *what, const char *of)
{
    if (cli->json) return;
    weft_say(cli, "\n[%d/3] %s: %s\n", number, weft_tr(cli->lang, what), of);
    fflush(stdout);
}

/* ---- dataset ---- */

static enum weft_status dataset_key(struct weft_cli *cli, const struct road *road, struct weft_stage_key *k)
{
    struct weft_buf settings = { 0 };
    struct weft_option_table script = weft_script_options();
    bool script_road = road->own.files.n > 0;
    enum weft_status st = weft_stage_key_begin(k, script_road ? "dataset/1" : "dataset/ask/1", &cli->err);
    if (script_road) weft_options_dump(script, &road->script, &settings);
    weft_buf_printf(&settings, "valid %.17g test %.17g seed %lld charset %d\n", road->own.valid, road->own.test,
                    (long long)road->recipe.seed, road->text.charset);
    if (!st) st = weft_buf_check(&settings, "settings", &cli->err);
    if (!st) weft_stage_key_text(k, "settings", weft_buf_view(&settings));
    for (size_t i = 0; !st && i < road->own.files.n; i++) {
        weft_stage_key_text(k, "name", weft_str_c(road->own.files.items[i]));
        st = weft_stage_key_file(k, road->own.files.items[i], &cli->err);
    }
    if (!st && script_road && road->own.patches) st = weft_stage_key_file(k, road->own.patches, &cli->err);
    if (!st && !script_road) st = weft_road_ask_key(cli, &road->asked, k);
    if (!st) weft_stage_key_finish(k);
    weft_buf_clear(&settings);
    return st;
}

static enum weft_status write_part(struct weft_cli *cli, const char *dir, const char *name,
                                   const struct weft_rows *rows, const struct weft_part *part)
{
    struct weft_rows_writer w = { 0 };
    struct weft_rows_writer_settings s = { .format = WEFT_FORMAT_AUTO, .layout = WEFT_LAYOUT_JSONL };
    const char *path = weft_path_join(&cli->arena, dir, name);
    enum weft_status st =
        path ? weft_rows_writer_open(&w, path, &s, &cli->err) : weft_fail_nomem(&cli->err, 0, "a path");
    for (size_t i = 0; !st && i < part->n; i++) st = weft_rows_writer_add(&w, &rows->items[part->rows[i]], &cli->err);
    if (!st) st = weft_rows_writer_commit(&w, &cli->err);
    weft_rows_writer_close(&w);
    return st;
}

/* "hash_train" and so on: by them a model's dataset is known again (weft data check prints the same). */
static enum weft_status hash_member(struct weft_json_out *o, const char *key, const struct weft_rows *rows,
                                    const struct weft_part *part, struct weft_err *err)
{
    struct weft_dataset_hash hash = { 0 };
    char hex[WEFT_SHA256_HEX];
    enum weft_status st = part->n ? weft_dataset_hash_init(&hash, err) : WEFT_OK;
    for (size_t i = 0; !st && i < part->n; i++) st = weft_dataset_hash_add(&hash, &rows->items[part->rows[i]], err);
    if (!st && part->n) {
        weft_dataset_hash_finish(&hash, hex);
        weft_data_key_str(o, key, weft_str_c(hex));
    }
    weft_dataset_hash_clear(&hash);
    return st;
}

static enum weft_status split_members(struct weft_json_out *o, const struct weft_rows *rows,
                                      const struct weft_split *split, struct weft_err *err)
{
    weft_json_out_key(o, "split");
    weft_json_out_object(o);
    weft_data_key_uint(o, "train", split->train.n);
    weft_data_key_uint(o, "valid", split->valid.n);
    weft_data_key_uint(o, "test", split->test.n);
    enum weft_status st = hash_member(o, "hash_train", rows, &split->train, err);
    if (!st) st = hash_member(o, "hash_valid", rows, &split->valid, err);
    if (!st) st = hash_member(o, "hash_test", rows, &split->test, err);
    weft_json_out_object_end(o);
    return st;
}

static enum weft_status write_report(struct weft_cli *cli, const char *dir, const struct weft_script_funnel *f,
                                     const struct weft_report *r, const struct weft_rows *rows,
                                     const struct weft_split *split, const struct weft_patch_result *patched)
{
    struct weft_buf buf = { 0 };
    struct weft_json_out o;
    weft_json_out_init(&o, &buf);
    o.indent = 2;
    weft_json_out_object(&o);
    weft_data_script_members(&o, f, r);
    if (patched) weft_data_patch_members(&o, patched);
    enum weft_status st = split_members(&o, rows, split, &cli->err);
    weft_json_out_object_end(&o);
    weft_buf_char(&buf, '\n');
    const char *path = weft_path_join(&cli->arena, dir, "report.json");
    if (!st) st = weft_buf_check(&buf, "report", &cli->err);
    if (!st)
        st = path ? weft_file_write(path, weft_buf_view(&buf), &cli->err)
                  : weft_fail_nomem(&cli->err, 0, "a path");
    weft_buf_clear(&buf);
    return st;
}

enum { SHOWN_PLACES = 4 };

static enum weft_status build_dataset(struct weft_cli *cli, const struct road *road, const char *dir)
{
    struct weft_arena *a = &cli->arena;
    struct weft_rows rows = { 0 };
    struct weft_report report = { 0 };
    struct weft_script_funnel funnel = { 0 };
    struct weft_patch_result patched = { 0 };
    struct weft_split split = { 0 };
    struct weft_split_settings how = {
        .valid = road->own.valid, .test = road->own.test, .seed = road->recipe.seed, .by = WEFT_SPLIT_SCENE
    };
    size_t n = road->own.files.n;
    struct weft_text *texts = WEFT_NEWS(a, struct weft_text, n);
    enum weft_status st =
        texts ? weft_dir_make(dir, &cli->err) : weft_fail_nomem(&cli->err, n * sizeof *texts, "texts");
    for (size_t i = 0; !st && i < n; i++) {
        st = weft_text_read(a, road->own.files.items[i], &road->text, &texts[i], &cli->err);
        if (!st) weft_data_script_repairs(cli, &texts[i]);
    }
    if (!st) st = weft_script_rows(a, texts, n, &road->script, &rows, &report, &funnel, &cli->err);
    if (!st && road->own.patches) st = weft_data_patch(cli, road->own.patches, &rows, &patched);
    if (!st) st = weft_split_rows(a, &rows, &how, &split, &cli->err);
    if (!st) st = write_part(cli, dir, "train.jsonl", &rows, &split.train);
    if (!st) st = write_part(cli, dir, "valid.jsonl", &rows, &split.valid);
    if (!st) st = write_part(cli, dir, "test.jsonl", &rows, &split.test);
    if (!st)
        st = write_report(cli, dir, &funnel, &report, &rows, &split, road->own.patches ? &patched : NULL);
    if (!st && !cli->json) {
        weft_data_script_show(cli, texts, n, road->script.role, &funnel, &report, SHOWN_PLACES);
        if (road->own.patches) weft_data_patch_show(cli, &patched);
        weft_say(cli, "split by scene: %zu train, %zu validation, %zu test\n", split.train.n, split.valid.n,
                 split.test.n);
    }
    return st;
}

/* The same from a novel or documents, with answers of a model or by rule. */
static enum weft_status build_asked(struct weft_cli *cli, const struct road *road, const char *dir)
{
    struct weft_rows rows = { 0 };
    struct weft_split split = { 0 };
    const struct weft_split_settings how = {
        .valid = road->own.valid, .test = road->own.test, .seed = road->recipe.seed, .by = WEFT_SPLIT_SCENE
    };
    struct weft_buf buf = { 0 };
    struct weft_json_out o;
    const char *ledger = weft_path_join(&cli->arena, road->recipe.output_dir, "answers.calls"),
               *path = weft_path_join(&cli->arena, dir, "report.json");
    weft_json_out_init(&o, &buf);
    o.indent = 2;
    weft_json_out_object(&o);
    enum weft_status st = ledger && path ? weft_dir_make(dir, &cli->err) : weft_fail_nomem(&cli->err, 0, "a path");
    if (!st) st = weft_road_ask_rows(cli, &road->asked, &road->text, dir, ledger, &rows, &o);
    if (!st) st = weft_split_rows(&cli->arena, &rows, &how, &split, &cli->err);
    if (!st) st = write_part(cli, dir, "train.jsonl", &rows, &split.train);
    if (!st) st = write_part(cli, dir, "valid.jsonl", &rows, &split.valid);
    if (!st) st = write_part(cli, dir, "test.jsonl", &rows, &split.test);
    if (!st) st = split_members(&o, &rows, &split, &cli->err);
    if (!st) {
        weft_json_out_object_end(&o);
        weft_buf_char(&buf, '\n');
        st = weft_buf_check(&buf, "report", &cli->err);
    }
    if (!st) st = weft_file_write(path, weft_buf_view(&buf), &cli->err);
    if (!st && !cli->json)
        weft_say(cli, "split by chapter: %zu train, %zu validation, %zu test\n", split.train.n, split.valid.n,
                 split.test.n);
    weft_buf_clear(&buf);
    return st;
}

static enum weft_status set_list(struct weft_cli *cli, struct weft_str_list *list, const char *path)
{
    const char **items = WEFT_NEWS(&cli->arena, const char *, 1);
    if (!items || !path) return weft_fail_nomem(&cli->err, sizeof *items, "a path");
    items[0] = path;
    *list = (struct weft_str_list){ items, 1 };
    return WEFT_OK;
}

static enum weft_status dataset_stage(struct weft_cli *cli, struct road *road)
{
    static const char *const outputs[] = { "dataset/train.jsonl", "dataset/valid.jsonl", "dataset/test.jsonl",
                                           "dataset/report.json" };
    struct weft_stage_key key = { 0 };
    struct weft_recipe *r = &road->recipe;
    enum weft_status st = WEFT_OK;
    bool asks = road->asked.novel.n || road->asked.documents.n;
    if (!road->own.files.n && !asks) return WEFT_OK;
    const char *dir = weft_path_join(&cli->arena, r->output_dir, "dataset");
    heading(cli, 1, "dataset", dir);
    st = dataset_key(cli, road, &key);
    if (!st && weft_stage_is_done(cli, r->output_dir, "dataset", &key)) weft_note(cli, "  unchanged: skipped\n");
    else if (!st) {
        st = asks ? build_asked(cli, road, dir) : build_dataset(cli, road, dir);
        if (!st) st = weft_stage_record(cli, r->output_dir, "dataset", &key, outputs, WEFT_COUNT(outputs));
    }
    if (!st) st = set_list(cli, &r->dataset, weft_path_join(&cli->arena, dir, "train.jsonl"));
    if (!st && road->own.valid > 0)
        st = set_list(cli, &r->eval_dataset, weft_path_join(&cli->arena, dir, "valid.jsonl"));
    weft_stage_key_clear(&key);
    return st;
}

/* ---- training ---- */

static const char *trained_name(const struct weft_recipe *r)
{
    return r->finetuning_type == WEFT_FINETUNING_LORA ? "adapter" : "model";
}

static enum weft_status train_key(struct weft_cli *cli, const struct weft_recipe *r, struct weft_stage_key *k)
{
    struct weft_buf settings = { 0 };
    const char *base = NULL;
    enum weft_status st = weft_stage_key_begin(k, "train/1", &cli->err);
    weft_options_dump(weft_recipe_options, r, &settings);
    if (!st) st = weft_buf_check(&settings, "settings", &cli->err);
    if (!st) weft_stage_key_text(k, "settings", weft_buf_view(&settings));
    for (size_t i = 0; !st && i < r->dataset.n; i++) st = weft_stage_key_file(k, r->dataset.items[i], &cli->err);
    for (size_t i = 0; !st && i < r->eval_dataset.n; i++)
        st = weft_stage_key_file(k, r->eval_dataset.items[i], &cli->err);
    if (!st) st = weft_cli_model_path(cli, r->model_name_or_path, &base);
    if (!st) st = weft_stage_key_file(k, base, &cli->err);
    if (!st) weft_stage_key_finish(k);
    weft_buf_clear(&settings);
    return st;
}

static enum weft_status training_stage(struct weft_cli *cli, struct road *road, struct weft_stage_key *key)
{
    struct weft_recipe *r = &road->recipe;
    const char *outputs[] = { trained_name(r), "log.jsonl", "loss.svg" };
    struct weft_train_result result = { 0 };
    struct weft_buf warn = { 0 };
    heading(cli, 2, "training", r->output_dir);
    enum weft_status st = weft_recipe_check(r, &warn, &cli->err);
    if (!st && warn.len) weft_note(cli, "%s", warn.s);
    if (!st) st = train_key(cli, r, key);
    if (!st && weft_stage_is_done(cli, r->output_dir, "train", key)) weft_note(cli, "  unchanged: skipped\n");
    else if (!st) {
        st = weft_train_stage(cli, r, road->asked.ask.project, &result);
        if (!st) st = weft_stage_record(cli, r->output_dir, "train", key, outputs, WEFT_COUNT(outputs));
    }
    weft_buf_clear(&warn);
    return st;
}

/* ---- comparison ---- */

static bool go_on(void *ctx, struct weft_str text)
{
    struct weft_cli *cli = ctx;
    return !*cli->progress.cancel;
}

static enum weft_status ask(struct weft_session *s, const struct road *road, struct weft_str question,
                            struct weft_buf *answer)
{
    const struct weft_sampling sampling = { .temperature = road->own.temperature,
                                            .top_p = road->own.top_p,
                                            .top_k = -1,
                                            .repetition_penalty = road->own.repetition_penalty,
                                            .seed = road->recipe.seed,
                                            .max_new_tokens = road->own.max_new_tokens };
    struct weft_turn turn = { WEFT_ROLE_USER, question };
    struct weft_row row = { .turns = &turn, .n_turns = 1, .kto_tag = -1 };
    struct weft_generated g = { 0 };
    enum weft_status st = weft_session_answer(s, &row, &sampling, go_on, s->cli, &g);
    if (!st && *s->cli->progress.cancel) st = WEFT_ECANCEL;
    if (!st) weft_buf_str(answer, weft_buf_view(&g.text));
    weft_buf_clear(&g.text);
    weft_ids_clear(&g.ids);
    return st;
}

static void print_pair(struct weft_cli *cli, size_t number, struct weft_str question, struct weft_str base,
                       struct weft_str tuned)
{
    if (cli->json) return;
    weft_say(cli, "\n  %zu. %.*s\n", number, (int)question.len, question.s);
    weft_print_columns(cli, "base", base, "tuned", tuned);
    fflush(stdout);
}

static enum weft_status answer_all(struct weft_cli *cli, const struct road *road, struct weft_session *tuned,
                                   struct weft_session *base, struct weft_str questions, struct weft_buf *out)
{
    struct weft_lines lines = { .text = questions };
    struct weft_str q;
    size_t number = 0;
    enum weft_status st = WEFT_OK;
    while (!st && weft_lines_next(&lines, &q)) {
        struct weft_buf left = { 0 }, right = { 0 };
        struct weft_json_out o;
        q = weft_str_trim_ascii(q);
        if (!q.len) continue;
        if (base == tuned) weft_session_tuned(tuned, false);
        st = ask(base, road, q, &left);
        if (base == tuned) weft_session_tuned(tuned, true);
        if (!st) st = ask(tuned, road, q, &right);
        if (!st) {
            print_pair(cli, ++number, q, weft_buf_view(&left), weft_buf_view(&right));
            weft_json_out_init(&o, out);
            weft_json_out_object(&o);
            weft_json_out_key(&o, "question");
            weft_json_out_str(&o, q);
            weft_json_out_key(&o, "base");
            weft_json_out_str(&o, weft_buf_view(&left));
            weft_json_out_key(&o, "tuned");
            weft_json_out_str(&o, weft_buf_view(&right));
            weft_json_out_object_end(&o);
            weft_buf_char(out, '\n');
        }
        weft_buf_clear(&left);
        weft_buf_clear(&right);
    }
    return st ? st : weft_buf_check(out, "answers", &cli->err);
}

/* A skipped comparison is still worth seeing: it is read back. */
static enum weft_status show_answers(struct weft_cli *cli, const char *path)
{
    struct weft_str text, line;
    enum weft_status st = weft_file_read(&cli->arena, path, 0, &text, &cli->err);
    struct weft_lines lines = { .text = text };
    size_t number = 0;
    while (!st && weft_lines_next(&lines, &line)) {
        struct weft_json_value v;
        st = weft_json_parse(&cli->arena, path, line, &v, &cli->err);
        if (st) break;
        const struct weft_json_value *q = weft_json_get(&v, "question"), *b = weft_json_get(&v, "base"),
                                     *t = weft_json_get(&v, "tuned");
        if (q && b && t) print_pair(cli, ++number, q->text, b->text, t->text);
    }
    return st;
}

static enum weft_status comparison_stage(struct weft_cli *cli, struct road *road, const struct weft_stage_key *train)
{
    static const char *const outputs[] = { "eval/answers.jsonl" };
    const struct weft_recipe *r = &road->recipe;
    bool lora = r->finetuning_type == WEFT_FINETUNING_LORA;
    struct weft_session tuned = { 0 }, base = { 0 };
    struct weft_stage_key key = { 0 };
    struct weft_buf out = { 0 };
    struct weft_str questions;
    if (!road->own.questions) return WEFT_OK;
    heading(cli, 3, "base and tuned model side by side", road->own.questions);
    const char *trained = weft_path_join(&cli->arena, r->output_dir, trained_name(r));
    const char *dir = weft_path_join(&cli->arena, r->output_dir, "eval"),
               *path = weft_path_join(&cli->arena, r->output_dir, outputs[0]);
    struct weft_str settings = weft_str_printf(
        &cli->arena, "%.17g %.17g %.17g %lld %lld", road->own.temperature, road->own.top_p,
        road->own.repetition_penalty, (long long)road->own.max_new_tokens, (long long)r->seed);
    enum weft_status st = weft_file_read(&cli->arena, road->own.questions, 1u << 20, &questions, &cli->err);
    if (!st) st = weft_stage_key_begin(&key, "compare/1", &cli->err);
    if (!st) {
        weft_stage_key_text(&key, "train", weft_str_c(train->hex));
        weft_stage_key_text(&key, "questions", questions);
        weft_stage_key_text(&key, "settings", settings);
        st = weft_stage_key_file(&key, trained, &cli->err);
    }
    if (!st) {
        weft_stage_key_finish(&key);
        if (weft_stage_is_done(cli, r->output_dir, "compare", &key)) {
            st = show_answers(cli, path);
            goto done;
        }
        struct weft_session_settings open = { .model = lora ? r->model_name_or_path : trained,
                                              .adapter = lora ? trained : NULL };
        st = weft_session_open(&tuned, cli, &open);
        open = (struct weft_session_settings){ .model = r->model_name_or_path };
        if (!st && !lora) st = weft_session_open(&base, cli, &open);
    }
    if (!st) st = answer_all(cli, road, &tuned, lora ? &tuned : &base, questions, &out);
    if (!st) st = weft_dir_make(dir, &cli->err);
    if (!st) st = weft_file_write(path, weft_buf_view(&out), &cli->err);
    if (!st) st = weft_stage_record(cli, r->output_dir, "compare", &key, outputs, WEFT_COUNT(outputs));
done:
    weft_session_close(&tuned);
    weft_session_close(&base);
    weft_stage_key_clear(&key);
    weft_buf_clear(&out);
    return st;
}

/* ---- the road ---- */

static enum weft_status write_recipe(struct weft_cli *cli, struct weft_option_table table, const struct road *road)
{
    struct weft_buf yaml = { 0 };
    const char *path = weft_path_join(&cli->arena, road->recipe.output_dir, "recipe.yaml");
    weft_options_dump(table, road, &yaml);
    enum weft_status st = weft_buf_check(&yaml, "recipe.yaml", &cli->err);
    if (!st)
        st = path ? weft_file_write(path, weft_buf_view(&yaml), &cli->err)
                  : weft_fail_nomem(&cli->err, 0, "a path");
    weft_buf_clear(&yaml);
    return st;
}

static void finish(struct weft_cli *cli, const struct road *road, const char *name)
{
    const struct weft_recipe *r = &road->recipe;
    if (cli->json) {
        struct weft_buf buf = { 0 };
        struct weft_json_out o;
        weft_json_out_init(&o, &buf);
        weft_json_out_object(&o);
        weft_json_out_key(&o, "output_dir");
        weft_json_out_cstr(&o, r->output_dir);
        weft_json_out_key(&o, "trained");
        weft_json_out_cstr(&o, trained_name(r));
        weft_json_out_object_end(&o);
        weft_buf_char(&buf, '\n');
        weft_put(cli, weft_buf_view(&buf));
        weft_buf_clear(&buf);
        return;
    }
    const char *weft = cli->program;
    weft_say(cli, "\nDone: everything is in %s (loss curve: loss.svg). Go on with\n", r->output_dir);
    if (r->finetuning_type == WEFT_FINETUNING_LORA) {
        weft_say(cli, "  %s chat %s --adapter %s", weft, r->model_name_or_path, r->output_dir);
        weft_say(cli, "    # talk to it\n");
        weft_say(cli, "  %s export %s --adapter %s --merge -o %s/merged", weft, r->model_name_or_path,
                 r->output_dir, r->output_dir);
        weft_say(cli, "    # one plain model directory\n");
    } else {
        weft_say(cli, "  %s chat %s/model", weft, r->output_dir);
        weft_say(cli, "    # talk to it\n");
    }
    if (road->own.files.n) {
        weft_say(cli, "  %s run %s script=YOURS.txt role=NAME output_dir=runs/mine", weft, name);
        weft_say(cli, "    # your own screenplay\n");
        weft_say(cli, "  %s run %s model_name_or_path=DIR output_dir=runs/own", weft, name);
        weft_say(cli, "    # your own model, such as Qwen2.5-0.5B-Instruct\n");
    }
}

static enum weft_status run(struct weft_cli *cli)
{
    struct road road = { 0 };
    struct weft_option_table table;
    struct weft_stage_key trained = { 0 };
    const char *name = NULL;
    bool done = false;
    enum weft_status st = join_tables(cli, &table);
    if (!st) st = read_settings(cli, table, &road, &name, &done);
    if (st || done) return st;
    st = weft_cli_alone(cli, "run");
    if (!st) st = weft_cli_compute(cli, &road.common);
    if (!st) st = weft_dir_make(road.recipe.output_dir, &cli->err);
    if (!st) st = write_recipe(cli, table, &road);
    if (!st) st = dataset_stage(cli, &road);
    if (!st) st = training_stage(cli, &road, &trained);
    if (!st) st = write_recipe(cli, table, &road);
    if (!st) st = comparison_stage(cli, &road, &trained);
    if (!st) finish(cli, &road, name);
    weft_stage_key_clear(&trained);
    return st;
}

const struct weft_verb weft_verb_run = {
    .name = "run", .usage = "RECIPE.yaml [KEY=VALUE...]", .run = run,
    .help = "the whole road: text, dataset, training, comparison; finished stages are skipped",
    .help_zh = "走完全程：文本、数据集、训练、对比；已完成的阶段会跳过",
};
