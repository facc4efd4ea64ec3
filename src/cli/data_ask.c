/* weft data ask, weft data augment: rows that a model writes.  Nothing is written but the ledger until the
 * end, so that a killed run leaves the last whole dataset and every answer it got. */
#include "cli/data_ask.h"
#include "cli/record.h"
#include "cli/road.h"
#include "cli/verbs.h"
#include "dataset/ask_dialogue.h"
#include "dataset/chunk_options.h"
#include "dataset/minhash.h"
#include "dataset/prose_options.h"
#include "dataset/search.h"

#include <inttypes.h>
#include <stdio.h>

struct settings {
    struct weft_cli_common common;
    struct weft_ask_options ask;
    struct weft_chunk_settings chunk;
    struct weft_text_settings text;
    struct weft_data_input input;
    struct weft_prose_settings prose;
    struct weft_str_list files, against, persona;
    const char *task, *model, *output, *doubtful, *compare, *copy_prompt;
    int format;
    int64_t draws, examples, seed, top_k;
    double near, below;
    bool dry_run, repair;
};

static const struct weft_option rows[] = {
    { .key = "output", .type = WEFT_OPT_STRING, .offset = offsetof(struct settings, output), .group = "Output",
      .short_flag = 'o', .help = "file to write; left out: only the figures", .help_zh = "输出文件；不写则只显示统计" },
    { .key = "to", .type = WEFT_OPT_CHOICE, .offset = offsetof(struct settings, format), .def = "auto",
      .choices = WEFT_FORMAT_CHOICES, .group = "Output", .help = "shape of the rows written (auto: alpaca)",
      .help_zh = "写出的格式（auto：alpaca）" },
    { .key = "doubtful", .type = WEFT_OPT_STRING, .offset = offsetof(struct settings, doubtful), .group = "Output",
      .help = "file for what gave no row, with reasons (default: the output's name and .doubtful)",
      .help_zh = "没有得到数据行的条目及原因写入此文件（默认为输出文件名加 .doubtful）" },
    { .key = "task", .type = WEFT_OPT_STRING, .offset = offsetof(struct settings, task), .group = "Asking",
      .help = "summarise, qa, dialogue, augment, rag or judge",
      .help_zh = "summarise（概括）、qa（问答）、dialogue（判断说话人）、augment（仿写）、rag（角色口吻）或 judge（打分）" },
    { .key = "model", .type = WEFT_OPT_STRING, .offset = offsetof(struct settings, model), .group = "Asking",
      .short_flag = 'm', .help = "name of the model at the service", .help_zh = "服务上的模型名" },
    WEFT_ASK_OPTION_ROWS(struct settings, ask),
    WEFT_RECORD_ROW(struct settings, ask.project),
    { .key = "dry_run", .type = WEFT_OPT_BOOL, .offset = offsetof(struct settings, dry_run), .group = "Limits",
      .help = "send nothing; say how many requests, tokens and how much money it would take",
      .help_zh = "不发送任何请求，只估计请求数、词元数和费用" },
    { .key = "repair", .type = WEFT_OPT_BOOL, .offset = offsetof(struct settings, repair), .group = "Limits",
      .help = "keep the good records of a damaged ledger first", .help_zh = "先修复损坏的账本，保留完好的记录" },
    { .key = "compare", .type = WEFT_OPT_STRING, .offset = offsetof(struct settings, compare), .group = "Asking",
      .help = "a second prompt file: both answer the same first rows, side by side; no rows are written",
      .help_zh = "另一个提示词文件：两个提示词回答同样的前几条，并排显示；不写数据" },
    { .key = "copy_prompt", .type = WEFT_OPT_STRING, .offset = offsetof(struct settings, copy_prompt), .group = "Asking",
      .help = "copy the task's built-in prompts into this folder, to be edited", .help_zh = "把任务的内置提示词复制到这个目录，供修改" },
    { .key = "files", .type = WEFT_OPT_LIST, .offset = offsetof(struct settings, files), .group = "Input",
      .help = "texts or rows (in a recipe; else words of the command line)", .help_zh = "文本或数据文件（写在配方里；命令行上直接列出）" },
    { .key = "examples", .type = WEFT_OPT_INT, .offset = offsetof(struct settings, examples), .def = "3", .min = 1,
      .max = 16, .group = "Augmentation", .help = "rows shown as examples", .help_zh = "每次展示的范例行数" },
    { .key = "draws", .type = WEFT_OPT_INT, .offset = offsetof(struct settings, draws), .def = "10", .min = 1, .max = 1e7,
      .group = "Augmentation", .help = "how many times examples are drawn", .help_zh = "抽取范例的次数" },
    { .key = "seed", .type = WEFT_OPT_INT, .offset = offsetof(struct settings, seed), .def = "42", .max = 9e15,
      .group = "Augmentation", .help = "the same seed draws the same examples", .help_zh = "种子相同则抽到同样的范例" },
    { .key = "against", .type = WEFT_OPT_LIST, .offset = offsetof(struct settings, against), .group = "Augmentation",
      .help = "rows that no new row may come near: the test set", .help_zh = "新数据不得与这些行相近：测试集" },
    { .key = "near", .type = WEFT_OPT_FLOAT, .offset = offsetof(struct settings, near), .def = "0.7", .min = 0.01,
      .max = 1, .group = "Augmentation", .help = "share of common three-character pieces from which rows are too near",
      .help_zh = "三字片段的重合度达到此值即视为相近" },
    { .key = "persona", .type = WEFT_OPT_LIST, .offset = offsetof(struct settings, persona), .group = "Augmentation",
      .help = "rows of the persona to retrieve lines from (task rag)", .help_zh = "从中检索台词的角色数据（任务 rag）" },
    { .key = "top_k", .type = WEFT_OPT_INT, .offset = offsetof(struct settings, top_k), .def = "4", .min = 1, .max = 64,
      .group = "Augmentation", .help = "lines retrieved for each row", .help_zh = "每行检索的台词数" },
    { .key = "below", .type = WEFT_OPT_FLOAT, .offset = offsetof(struct settings, below), .def = "0.8", .max = 1,
      .group = "Prose", .help = "ask about speakers that the rules are less sure of (task dialogue)",
      .help_zh = "规则的把握低于此值的说话人交给模型判断（任务 dialogue）" },
    WEFT_PROSE_OPTION_ROWS(struct settings, prose.),
    WEFT_CHUNK_OPTION_ROWS(struct settings, chunk.),
    WEFT_TEXT_OPTION_ROWS(struct settings, text),
    WEFT_DATA_INPUT_ROWS(struct settings, input),
    WEFT_CLI_COMMON_ROWS(struct settings, common),
};
static const struct weft_option_table table = { rows, WEFT_COUNT(rows) };

/* ---- settings ---- */

static bool is_recipe(const char *word)
{
    struct weft_str s = weft_str_c(word);
    return weft_str_ends(s, WEFT_STR(".yaml")) || weft_str_ends(s, WEFT_STR(".yml"));
}

static enum weft_status read_recipe(struct weft_cli *cli, struct settings *s, const char *name)
{
    struct weft_str yaml;
    struct weft_str_list again = { 0 };
    struct weft_buf warn = { 0 };
    struct weft_str_list *const lists[] = { &s->files, &s->against, &s->persona };
    const char **const paths[] = { &s->ask.prompt, &s->compare };
    enum weft_status st = weft_file_read(&cli->arena, name, 1u << 20, &yaml, &cli->err);
    if (!st) st = weft_options_yaml(table, s, &cli->arena, name, yaml, &warn, &cli->err);
    for (size_t i = 0; !st && i < WEFT_COUNT(lists); i++) st = weft_beside_list(cli, name, lists[i]);
    for (size_t i = 0; !st && i < WEFT_COUNT(paths); i++) st = weft_beside(cli, name, paths[i]);
    /* Flags go before the recipe. */
    if (!st) st = weft_options_argv(table, s, &cli->arena, cli->argc, cli->argv, &again, &warn, &cli->err);
    if (!st && warn.len) weft_note(cli, "%s", warn.s);
    weft_buf_clear(&warn);
    return st;
}

static enum weft_status settle_settings(struct weft_cli *cli, struct settings *s, struct weft_str_list *words,
                                        const char *default_task)
{
    enum weft_status st = WEFT_OK;
    if (words->n == 1 && is_recipe(words->items[0])) st = read_recipe(cli, s, words->items[0]);
    else if (words->n) s->files = *words;
    if (st) return st;
    if (!s->task) s->task = s->persona.n ? "rag" : default_task;
    if (!s->task)
        return weft_fail(&cli->err, WEFT_EARG, "--task is missing: summarise, qa, dialogue, augment, rag or judge");
    if (!weft_ask_task(s->task)) return weft_ask_task_unknown(s->task, &cli->err);
    s->ask.task = s->task;
    s->ask.ask.role = s->prose.role;
    return WEFT_OK;
}

/* ---- prompts for editing ---- */

static enum weft_status copy_prompts(struct weft_cli *cli, const char *task, const char *dir)
{
    struct weft_prompt_file f;
    enum weft_status st = weft_dir_make(dir, &cli->err);
    for (size_t i = 0; !st && weft_prompt_file(i, &f); i++) {
        if (strcmp(f.task, task) != 0) continue;
        const char *path = weft_str_printf(&cli->arena, "%s/%s.txt", dir, f.name).s;
        if (!path) st = weft_fail_nomem(&cli->err, 0, "a path");
        else if (weft_file_exists(path))
            st = weft_fail(&cli->err, WEFT_EARG, "%s is there already; name another folder, or remove it", path);
        if (!st) st = weft_file_write(path, f.text, &cli->err);
        if (!st) weft_say(cli, "%s: written; raise its version when you change it, and use it with --prompt\n", path);
    }
    return st;
}

/* ---- units ---- */

struct input {
    struct weft_rows rows, persona;
    struct weft_report report;
    struct weft_ask_unit *units;
    size_t n;
};

/* Every line of the persona with what it answers: both may share a word with an everyday question. */
static enum weft_status index_lines(struct weft_cli *cli, const struct weft_rows *persona, struct weft_search **out)
{
    struct weft_buf text = { 0 };
    enum weft_status st = weft_search_open(out, NULL, &cli->err);
    for (size_t i = 0; !st && i < persona->n; i++) {
        struct weft_str q = weft_ask_question(&persona->items[i]), w = weft_ask_answer(&persona->items[i]);
        weft_buf_reset(&text);
        weft_buf_str(&text, q);
        weft_buf_char(&text, '\n');
        weft_buf_str(&text, w);
        st = weft_buf_check(&text, "rows", &cli->err);
        if (!st) st = weft_search_add(*out, &(struct weft_search_doc){ .text = weft_buf_view(&text) }, NULL, &cli->err);
    }
    if (!st) st = weft_search_commit(*out, &cli->err);
    weft_buf_clear(&text);
    return st;
}

/* The lines that fit one everyday row: shown to the model, and named as parents. */
static enum weft_status lines_of(struct weft_cli *cli, const struct settings *s, const struct weft_rows *persona,
                                 struct weft_search *index, struct weft_ask_unit *u)
{
    struct weft_arena *a = &cli->arena, scratch = { 0 };
    struct weft_buf lines = { 0 }, ids = { 0 };
    struct weft_search_hit *hits = NULL;
    size_t n = 0;
    enum weft_status st =
        weft_search_query(index, &scratch, u->text, WEFT_SEARCH_ANY, (size_t)s->top_k, &hits, &n, NULL, &cli->err);
    const struct weft_row **shown = WEFT_NEWS(a, const struct weft_row *, n);
    if (!st && !shown) st = weft_fail_nomem(&cli->err, n * sizeof *shown, "rows");
    for (size_t k = 0; !st && k < n; k++) {
        const struct weft_row *row = shown[k] = &persona->items[hits[k].id - 1];
        struct weft_str w = weft_ask_answer(row), id = row->origin.id;
        weft_buf_printf(&lines, "%s%.*s", k ? "\n" : "", (int)w.len, w.s ? w.s : "");
        if (id.s) weft_buf_printf(&ids, "%s%.*s", k ? "," : "", (int)id.len, id.s);
        else weft_buf_printf(&ids, "%sr%06" PRId64, k ? "," : "", hits[k].id);
    }
    if (!st) st = weft_buf_check(&lines, "rows", &cli->err);
    if (!st) st = weft_buf_check(&ids, "rows", &cli->err);
    if (!st) {
        struct weft_str shown_lines = weft_str_dup(a, weft_buf_view(&lines));
        u->examples = shown;
        u->n_examples = n;
        u->parents = weft_str_dup(a, weft_buf_view(&ids));
        u->values[u->n_values++] = (struct weft_prompt_value){ "lines", shown_lines };
        if (!u->parents.s || !shown_lines.s) st = weft_fail_nomem(&cli->err, lines.len, "rows");
    }
    weft_buf_clear(&lines);
    weft_buf_clear(&ids);
    weft_arena_clear(&scratch);
    return st;
}

static enum weft_status retrieve_lines(struct weft_cli *cli, const struct settings *s, struct input *in)
{
    struct weft_report report = { 0 };
    struct weft_search *index = NULL;
    if (!s->persona.n)
        return weft_fail(&cli->err, WEFT_EARG, "--persona is missing: rows in which %s speaks", s->prose.role ? s->prose.role : "?");
    if (!s->prose.role) return weft_fail(&cli->err, WEFT_EARG, "--role is missing: who speaks in the new rows");
    enum weft_status st = weft_data_read(cli, &s->input, &s->persona, &in->persona, &report);
    if (!st) st = index_lines(cli, &in->persona, &index);
    for (size_t i = 0; !st && i < in->n; i++) st = lines_of(cli, s, &in->persona, index, &in->units[i]);
    weft_search_close(index);
    return st;
}

static enum weft_status make_units(struct weft_cli *cli, const struct settings *s, struct input *in)
{
    struct weft_arena *a = &cli->arena;
    if (!s->files.n) return weft_fail(&cli->err, WEFT_EARG, "expected at least one FILE: texts or rows");
    enum weft_status st = weft_asking_input(cli, &s->files, &s->text, &s->chunk, &s->input, &in->rows, &in->report);
    if (st) return st;
    if (strcmp(s->task, "augment") == 0)
        return weft_ask_units_of_draws(a, &in->rows, (uint64_t)s->draws, (uint64_t)s->examples, (uint64_t)s->seed,
                                       &in->units, &in->n, &cli->err);
    st = weft_ask_units_of_rows(a, s->task, &in->rows, &in->units, &in->n, &cli->err);
    if (!st && strcmp(s->task, "rag") == 0) st = retrieve_lines(cli, s, in);
    return st;
}

static struct weft_str sample_of(const struct input *in)
{
    return in->n ? in->units[0].text : WEFT_STR("");
}

/* ---- two prompts side by side ---- */

enum { COMPARED = 5 };

static struct weft_str shown_of(struct weft_cli *cli, const char *task, const struct weft_ask_result *r)
{
    if (r->reply.len) return r->reply;
    if (r->problem.len) return r->problem;
    if (r->rows.n) {
        const struct weft_row *row = &r->rows.items[0];
        return strcmp(task, "summarise") == 0 && row->split_input
                   ? weft_str_skip(row->turns[0].text, row->instruction_len + 1)
                   : weft_ask_answer(row);
    }
    return weft_str_c(weft_tr(cli->lang, weft_ask_state_name(r->state)));
}

static enum weft_status compare(struct weft_cli *cli, const struct settings *s, const struct input *in)
{
    const char *prompts[] = { s->ask.prompt, s->compare };
    struct weft_ask_result *results[2] = { NULL, NULL };
    struct weft_ask_report report[2];
    const char *names[2] = { NULL, NULL };
    size_t n = weft_min_size(in->n, s->ask.ask.limit ? (size_t)s->ask.ask.limit : COMPARED);
    const char *calls = weft_str_printf(&cli->arena, "%s.calls", s->output ? s->output : "compare").s;
    enum weft_status st = calls ? WEFT_OK : weft_fail_nomem(&cli->err, 0, "a path");
    for (int side = 0; side < 2 && !st; side++) {
        struct weft_asking k = { 0 };
        struct weft_ask_options *o = WEFT_NEW(&cli->arena, struct weft_ask_options);
        if (!o) return weft_fail_nomem(&cli->err, sizeof *o, "rows");
        *o = s->ask;
        o->prompt = prompts[side];
        st = weft_asking_open(&k, cli, o, s->model, calls, sample_of(in));
        if (!st) st = weft_asking_run(&k, in->units, n, &results[side], &report[side]);
        names[side] = k.prompt.via;
        weft_asking_close(&k);
    }
    for (size_t i = 0; i < n && !st; i++) {
        weft_say(cli, "\n  %zu. ", i + 1);
        weft_data_line(cli, "", in->units[i].text, 60);
        weft_print_columns(cli, names[0], shown_of(cli, s->task, &results[0][i]), names[1],
                           shown_of(cli, s->task, &results[1][i]));
    }
    for (int side = 0; side < 2 && !st; side++)
        weft_say(cli, "%s: %" PRIu64 " of %zu good, %" PRIu64 " corrective turns, %" PRIu64 " tokens\n", names[side],
                 report[side].states[WEFT_ASK_OK], n, report[side].corrective, report[side].completion_tokens);
    if (!st) weft_say(cli, "rows name their prompt in \"via\"; choose one with --prompt\n");
    return st;
}

/* ---- too near ---- */

static enum weft_status add_near(struct weft_cli *cli, struct weft_minhash *m, const struct weft_row *row,
                                 struct weft_near *near)
{
    struct weft_arena scratch = { 0 };
    struct weft_str q = weft_ask_question(row), w = weft_ask_answer(row),
                    both = weft_str_printf(&scratch, "%.*s\n%.*s", (int)q.len, q.s ? q.s : "", (int)w.len, w.s ? w.s : "");
    size_t id;
    enum weft_status st = both.s ? WEFT_OK : weft_fail_nomem(&cli->err, q.len, "rows");
    *near = (struct weft_near){ 0 };
    if (!st) st = weft_minhash_nearest(m, both, near, &cli->err);
    if (!st && !near->found) st = weft_minhash_add(m, both, &id, &cli->err);
    weft_arena_clear(&scratch);
    return st;
}

/* Rows that come near an input row, a row of --against or an earlier new row go; in the order of the units, so that the
 * same answers give the same rows. */
static enum weft_status drop_near(struct weft_cli *cli, const struct settings *s, struct input *in,
                                  struct weft_ask_result *results, struct weft_ask_report *report)
{
    const struct weft_minhash_settings how = { .ngram = 3, .threshold = s->near };
    struct weft_rows tests = { 0 };
    struct weft_report ignored = { 0 };
    struct weft_minhash *m = NULL;
    struct weft_near near;
    enum weft_status st = weft_minhash_new(&m, &how, &cli->err);
    if (!st && s->against.n) st = weft_data_read(cli, &s->input, &s->against, &tests, &ignored);
    for (size_t i = 0; !st && i < tests.n; i++) st = add_near(cli, m, &tests.items[i], &near);
    size_t n_tests = weft_minhash_count(m);
    for (size_t i = 0; !st && i < in->rows.n; i++) st = add_near(cli, m, &in->rows.items[i], &near);
    size_t n_old = weft_minhash_count(m);
    for (size_t i = 0; !st && i < in->n; i++) {
        struct weft_rows *made = &results[i].rows;
        size_t kept = 0;
        for (size_t k = 0; !st && k < made->n; k++) {
            char shown[100];
            st = add_near(cli, m, &made->items[k], &near);
            if (st || !near.found) {
                made->items[kept++] = made->items[k];
                continue;
            }
            struct weft_str id = made->items[k].origin.id,
                            place = weft_str_printf(
                                &cli->arena, "%.*s: %s", (int)id.len, id.s,
                                weft_escape(shown, sizeof shown, weft_ask_question(&made->items[k])));
            report->pieces.rows_out--;
            report->rows--;
            st = weft_report_drop(&report->pieces, &cli->arena,
                                  near.id < n_tests ? WEFT_STR("nearly equal to a row of --against")
                                  : near.id < n_old ? WEFT_STR("nearly equal to a row of the input")
                                                    : WEFT_STR("nearly equal to another new row"),
                                  1, place, &cli->err);
        }
        made->n = kept;
    }
    weft_minhash_free(m);
    return st;
}

/* ---- what it would take ---- */

static enum weft_status preview(struct weft_cli *cli, const struct settings *s, struct weft_asking *k,
                                const struct input *in)
{
    struct weft_ask_estimate e;
    char tokens[32];
    enum weft_status st = weft_ask_preview(&cli->arena, &k->prompt, &k->s, in->units, in->n, k->ledger,
                                           k->transport.endpoint, &e, &cli->err);
    if (st) return st;
    if (cli->json) {
        struct weft_buf b = { 0 };
        struct weft_json_out o;
        weft_json_out_init(&o, &b);
        weft_json_out_object(&o);
        weft_data_key_uint(&o, "units", e.units);
        weft_data_key_uint(&o, "calls", e.calls);
        weft_data_key_uint(&o, "reused", e.reused);
        weft_data_key_uint(&o, "shared", e.shared);
        weft_data_key_uint(&o, "prompt_tokens", e.prompt_tokens);
        weft_data_key_uint(&o, "completion_tokens", e.completion_tokens);
        weft_json_out_key(&o, "cost");
        weft_json_out_double(&o, e.cost);
        weft_json_out_object_end(&o);
        return weft_data_print_json(cli, &b);
    }
    weft_data_figure(cli, "asked about", e.units, 0);
    weft_data_figure(cli, "answers known already", e.reused, 0);
    weft_data_figure(cli, "equal to another", e.shared, 0);
    weft_data_figure(cli, "requests to send", e.calls, 0);
    weft_say(cli, "about %s tokens asked,", weft_cli_count(tokens, e.prompt_tokens));
    weft_say(cli, " %s answered, cost %.4f; corrective turns come on top\n", weft_cli_count(tokens, e.completion_tokens), e.cost);
    return WEFT_OK;
}

/* ---- dialogue ---- */

struct spoken {
    struct weft_data_texts texts;
    struct weft_prose prose;
    struct weft_ask_choices choices;
    struct weft_rows rows;
    struct weft_report report;
    struct weft_prose_rows_funnel funnel;
};

/* With a role its rows; without one every speech, one JSON object a line. */
static enum weft_status write_spoken(struct weft_cli *cli, const struct settings *s, struct spoken *d)
{
    const struct weft_rows_writer_settings how = { .format = s->format };
    struct weft_out out = { 0 };
    struct weft_buf b = { 0 };
    if (!s->output) return WEFT_OK;
    if (s->prose.role) return weft_rows_write(s->output, &how, &d->rows, &cli->err);
    enum weft_status st = weft_out_open(&out, s->output, &cli->err);
    for (size_t i = 0; !st && i < d->prose.n_speeches; i++) {
        struct weft_json_out o;
        weft_buf_reset(&b);
        weft_json_out_init(&o, &b);
        weft_prose_speech_json(&o, &d->prose, i);
        weft_buf_char(&b, '\n');
        st = weft_buf_check(&b, "rows", &cli->err);
        if (!st) weft_out_str(&out, weft_buf_view(&b));
    }
    if (!st) st = weft_out_commit(&out, &cli->err);
    weft_out_close(&out);
    weft_buf_clear(&b);
    return st;
}

static enum weft_status show_spoken(struct weft_cli *cli, const struct settings *s, const struct spoken *d,
                                    const struct weft_asking *k, const struct weft_ask_report *r)
{
    uint64_t speeches = d->prose.funnel.kinds[WEFT_PROSE_SPEECH], unknown = d->prose.funnel.by_rule[WEFT_PROSE_UNKNOWN];
    if (cli->json) {
        struct weft_buf b = { 0 };
        struct weft_json_out o;
        weft_json_out_init(&o, &b);
        weft_json_out_object(&o);
        if (!s->ask.offline) weft_asking_members(&o, k, r);
        weft_data_key_uint(&o, "speeches", speeches);
        weft_data_key_uint(&o, "open", d->choices.open);
        weft_data_key_uint(&o, "chosen", d->choices.chosen);
        weft_data_key_uint(&o, "nobody", d->choices.nobody);
        weft_data_key_uint(&o, "unanswered", d->choices.unanswered);
        weft_data_key_uint(&o, "unknown", unknown);
        weft_data_key_uint(&o, "role_rows", d->rows.n);
        weft_json_out_object_end(&o);
        return weft_data_print_json(cli, &b);
    }
    if (cli->quiet) return WEFT_OK;
    if (!s->ask.offline) weft_asking_show(k, r);
    weft_data_figure(cli, "speeches", speeches, 0);
    weft_data_figure(cli, "speakers chosen by the model", d->choices.chosen, speeches);
    if (d->choices.nobody) weft_data_figure(cli, "none of the candidates", d->choices.nobody, speeches);
    if (d->choices.unanswered) weft_data_figure(cli, "left as the rules have it", d->choices.unanswered, speeches);
    weft_data_figure(cli, "speaker unknown", unknown, speeches);
    if (s->prose.role) {
        weft_data_drops(cli, &d->report, 4);
        weft_say(cli, s->output ? "%s: %zu rows written\n" : "%s: %zu rows; nothing written without -o FILE\n",
                 s->output ? s->output : s->prose.role, d->rows.n);
    } else if (s->output) weft_say(cli, "%s: %zu speeches written\n", s->output, d->prose.n_speeches);
    if (!s->ask.offline) weft_asking_show_rest(k, r);
    return WEFT_OK;
}

static enum weft_status ask_dialogue(struct weft_cli *cli, const struct settings *s)
{
    struct weft_arena *a = &cli->arena;
    struct spoken d = { 0 };
    struct input in = { 0 };
    struct weft_asking k = { 0 };
    struct weft_ask_result *results = NULL;
    struct weft_ask_report report = { 0 };
    const char *calls = s->output ? weft_str_printf(a, "%s.calls", s->output).s : NULL,
               *doubtful = s->doubtful ? s->doubtful : s->output ? weft_str_printf(a, "%s.doubtful", s->output).s : NULL;
    if (!s->files.n) return weft_fail(&cli->err, WEFT_EARG, "expected at least one FILE: a novel");
    enum weft_status st = weft_data_texts(cli, &s->files, &s->text, &d.texts);
    if (!st) st = weft_prose_parse(a, d.texts.items, d.texts.n, &s->prose, &cli->progress, &d.prose, &cli->err);
    weft_cli_progress_end(cli);
    if (!st && !s->ask.offline) st = weft_ask_units_of_speeches(a, &d.prose, s->below, &in.units, &in.n, &cli->err);
    if (!st && !s->ask.offline) {
        st = weft_asking_open(&k, cli, &s->ask, s->model, calls, sample_of(&in));
        if (!st && s->dry_run) {
            st = preview(cli, s, &k, &in);
            goto done;
        }
        k.output = s->output;
        if (!st) st = weft_asking_run(&k, in.units, in.n, &results, &report);
        if (!st) weft_ask_choose(&d.prose, in.units, in.n, results, &d.choices);
        if (!st && doubtful) st = weft_asking_doubtful(cli, doubtful, in.units, in.n, results);
    }
    if (!st && s->prose.role) st = weft_prose_rows(a, &d.prose, &s->prose, &d.rows, &d.report, &d.funnel, &cli->err);
    if (!st && s->prose.role && !s->ask.offline) weft_ask_mark_chosen(&d.prose, k.prompt.via, &d.rows);
    if (!st) st = write_spoken(cli, s, &d);
    if (!st) st = show_spoken(cli, s, &d, &k, &report);
    if (!st && !s->ask.offline) st = weft_asking_verdict(&k, results, &report);
    if (!st) st = weft_data_texts_verdict(cli, &d.texts);
done:
    weft_asking_close(&k);
    return st;
}

/* ---- the verb ---- */

static enum weft_status write_rows(struct weft_cli *cli, const struct settings *s,
                                   const struct weft_ask_result *results, size_t n)
{
    struct weft_rows_writer w = { 0 };
    const struct weft_rows_writer_settings how = { .format = s->format };
    enum weft_status st = weft_rows_writer_open(&w, s->output, &how, &cli->err);
    for (size_t i = 0; i < n && !st; i++)
        for (size_t k = 0; k < results[i].rows.n && !st; k++)
            st = weft_rows_writer_add(&w, &results[i].rows.items[k], &cli->err);
    if (!st) st = weft_rows_writer_commit(&w, &cli->err);
    weft_rows_writer_close(&w);
    return st;
}

static enum weft_status show(struct weft_cli *cli, const struct settings *s, const struct weft_asking *k,
                             const struct weft_ask_report *r)
{
    if (cli->json) {
        struct weft_buf b = { 0 };
        struct weft_json_out o;
        weft_json_out_init(&o, &b);
        weft_json_out_object(&o);
        weft_asking_members(&o, k, r);
        weft_data_key_str(&o, "output", weft_str_c(s->output));
        weft_json_out_object_end(&o);
        return weft_data_print_json(cli, &b);
    }
    if (cli->quiet) return WEFT_OK;
    weft_asking_show(k, r);
    weft_data_drops(cli, &r->pieces, 4);
    if (s->output) weft_say(cli, "%s: %" PRIu64 " rows written\n", s->output, r->rows);
    else weft_say(cli, "nothing written; -o FILE writes these rows\n");
    weft_asking_show_rest(k, r);
    return WEFT_OK;
}

static enum weft_status ask(struct weft_cli *cli, const struct settings *s, struct input *in)
{
    struct weft_asking k = { 0 };
    struct weft_ask_result *results = NULL;
    struct weft_ask_report report = { 0 };
    const char *calls = s->output ? weft_str_printf(&cli->arena, "%s.calls", s->output).s : NULL,
               *doubtful = s->doubtful   ? s->doubtful
                           : s->output ? weft_str_printf(&cli->arena, "%s.doubtful", s->output).s
                                       : NULL;
    bool augments = strcmp(s->task, "augment") == 0 || strcmp(s->task, "rag") == 0;
    enum weft_status st = weft_asking_open(&k, cli, &s->ask, s->model, calls, sample_of(in));
    if (!st && s->dry_run && !s->ask.offline) {
        st = preview(cli, s, &k, in);
        goto done;
    }
    k.output = s->output;
    if (!st) st = weft_asking_run(&k, in->units, in->n, &results, &report);
    if (!st && augments) st = drop_near(cli, s, in, results, &report);
    if (!st && s->output) st = write_rows(cli, s, results, in->n);
    if (!st && doubtful) st = weft_asking_doubtful(cli, doubtful, in->units, in->n, results);
    if (!st) st = show(cli, s, &k, &report);
    else if ((st == WEFT_ECANCEL || st == WEFT_EREMOTE) && report.units && !cli->json && !cli->quiet)
        weft_asking_show(&k, &report);
    if (!st) st = weft_asking_verdict(&k, results, &report);
    if (!st) st = weft_data_partial(cli, &in->report);
done:
    weft_asking_close(&k);
    return st;
}

static enum weft_status run_task(struct weft_cli *cli, const struct weft_verb *verb, const char *default_task)
{
    struct settings s = { 0 };
    struct weft_str_list words = { 0 };
    struct input in = { 0 };
    bool done;
    enum weft_status st = weft_cli_options(cli, verb, &s, &s.common, &words, &done);
    if (st || done) return st;
    st = settle_settings(cli, &s, &words, default_task);
    if (!st && s.copy_prompt) return copy_prompts(cli, s.task, s.copy_prompt);
    if (!st && s.repair) {
        struct weft_ledger_found f;
        const char *path = s.ask.ledger ? s.ask.ledger : s.output ? weft_str_printf(&cli->arena, "%s.calls", s.output).s : NULL;
        if (!path) return weft_fail(&cli->err, WEFT_EARG, "--repair of what? --ledger FILE");
        st = weft_ledger_repair(path, &f, &cli->err);
        if (!st)
            weft_tell(cli, "%s: %" PRIu64 " good records kept, %" PRIu64 " damaged places left out\n", path, f.records,
                      f.damaged);
        if (!st && !s.files.n) return st;
    }
    if (!st && s.ask.local) st = weft_cli_compute(cli, &s.common);
    if (!st && strcmp(s.task, "dialogue") == 0) return ask_dialogue(cli, &s);
    if (!st) st = make_units(cli, &s, &in);
    if (!st) st = s.compare ? compare(cli, &s, &in) : ask(cli, &s, &in);
    return st;
}

static enum weft_status run_ask(struct weft_cli *cli) { return run_task(cli, &weft_verb_data_ask, NULL); }
static enum weft_status run_augment(struct weft_cli *cli) { return run_task(cli, &weft_verb_data_augment, "augment"); }

const struct weft_verb weft_verb_data_ask = {
    .name = "ask",
    .usage = "RECIPE.yaml | --task T FILE... (--preset P | --endpoint URL | --local MODEL | --offline) -m NAME -o OUT.jsonl",
    .help = "rows that a model writes: summaries, questions and answers, scores; never paid twice",
    .help_zh = "让模型生成数据：概括、问答、打分等；同一请求绝不重复付费",
    .options = &table,
    .run = run_ask,
};

const struct weft_verb weft_verb_data_augment = {
    .name = "augment",
    .usage = "FILE... [--draws 10] [--persona ROWS --role NAME] (--preset P | --endpoint URL | --offline) -m NAME -o OUT.jsonl",
    .help = "more rows after the example of some, none nearly equal to another",
    .help_zh = "仿照已有数据生成更多，去掉相近的",
    .options = &table,
    .run = run_augment,
};
