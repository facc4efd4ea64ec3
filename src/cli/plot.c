/* weft plot RUN...: the losses of runs beside each other, as a picture and as a table.  A run is its folder, its log,
 * or its word in the store; LABEL=RUN names it as the picture shall. */
#include "cli/data.h"
#include "cli/store.h"
#include "cli/verbs.h"

#include "base/file.h"
#include "train/trainer.h"

#include <math.h>
#include <stdio.h>

enum { MAX_RUNS = 64, LABEL_COLUMNS = 24, CURVE_ROWS = 12, CURVE_COLUMNS = 78 };

struct settings {
    struct weft_cli_common common;
    const char *output, *title;
};

static const struct weft_option rows[] = {
    { .key = "output", .type = WEFT_OPT_STRING, .offset = offsetof(struct settings, output), .group = "Output",
      .help = "the picture, an SVG file; - is standard output", .help_zh = "图片（SVG 文件）；- 表示标准输出", .short_flag = 'o' },
    { .key = "title", .type = WEFT_OPT_STRING, .offset = offsetof(struct settings, title), .group = "Output",
      .help = "what stands above it", .help_zh = "图的标题" },
    WEFT_CLI_COMMON_ROWS(struct settings, common),
};
static const struct weft_option_table table = { rows, WEFT_COUNT(rows) };

/* ---- which logs ---- */

/* "run:PROJECT/NAME" as the folder that the store knows. */
static enum weft_status stored_folder(struct weft_cli *cli, const char *text, const char **folder)
{
    struct weft_word w;
    struct weft_store *store = NULL;
    struct weft_store_run *list = NULL;
    size_t n = 0;
    int64_t project = 0;
    *folder = NULL;
    enum weft_status st = weft_cli_word(cli, text, &w);
    if (!st) st = weft_cli_store_if_any(cli, &store);
    if (!st && store) st = weft_store_project(store, w.project, false, &project, &cli->err);
    if (!st && store) st = weft_store_runs(store, &cli->arena, project, &list, &n, &cli->err);
    for (size_t i = 0; i < n; i++)
        if (weft_str_eq(list[i].name, w.name))
            *folder = weft_arena_strndup(&cli->arena, list[i].output_dir.s, list[i].output_dir.len);
    weft_store_close(store);
    if (!st && !*folder)
        st = weft_fail(&cli->err, WEFT_EARG, "no run \"%s\" in the store; `weft ls runs` lists what there is", text);
    return st;
}

static const char *last_name(struct weft_cli *cli, const char *path)
{
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') n--;
    size_t from = n;
    while (from && path[from - 1] != '/') from--;
    return weft_arena_strndup(&cli->arena, path + from, n - from);
}

/* The label of a word, and its log. */
static enum weft_status find_log(struct weft_cli *cli, const char *word, const char **label, const char **log)
{
    const char *what = word, *sign = strchr(word, '=');
    char shown[256];
    *label = NULL;
    if (sign && sign > word && !weft_file_exists(word) && !weft_dir_exists(word)) {
        *label = weft_arena_strndup(&cli->arena, word, (size_t)(sign - word));
        what = sign + 1;
    }
    if (weft_str_starts(weft_str_c(what), WEFT_STR("run:")) && !weft_dir_exists(what)) {
        enum weft_status st = stored_folder(cli, what, &what);
        if (st) return st;
    }
    if (!*label) *label = last_name(cli, what);
    *log = weft_dir_exists(what) ? weft_path_join(&cli->arena, what, "log.jsonl") : what;
    if (!*label || !*log) return weft_fail_nomem(&cli->err, strlen(word), "a path");
    *label = weft_arena_strndup(&cli->arena, shown, strlen(weft_escape(shown, sizeof shown, weft_str_c(*label))));
    if (!*label) return weft_fail_nomem(&cli->err, sizeof shown, "a name");
    if (!weft_file_exists(*log))
        return weft_fail(&cli->err, WEFT_EARG, "%s is no run: expected a folder with a log.jsonl, a log.jsonl, or run:PROJECT/NAME",
                         weft_escape(shown, sizeof shown, weft_str_c(what)));
    return WEFT_OK;
}

static enum weft_status read_runs(struct weft_cli *cli, const struct weft_str_list *words, struct weft_curve_run *runs)
{
    char shown[256];
    for (size_t i = 0; i < words->n; i++) {
        const char *log;
        enum weft_status st = find_log(cli, words->items[i], &runs[i].label, &log);
        if (!st) st = weft_log_curves(&cli->arena, log, runs[i].curves, &cli->err);
        if (st) return st;
        if (!runs[i].curves[WEFT_CURVE_TRAIN].n && !runs[i].curves[WEFT_CURVE_VALID].n)
            return weft_fail(&cli->err, WEFT_EINPUT, "%s holds no loss yet",
                             weft_escape(shown, sizeof shown, weft_str_c(log)));
    }
    /* runs/a/x and runs/b/x: as they were typed */
    for (size_t i = 0; i < words->n; i++)
        for (size_t j = 0; j < i; j++)
            if (strcmp(runs[i].label, runs[j].label) == 0) {
                runs[i].label = words->items[i];
                runs[j].label = words->items[j];
            }
    return WEFT_OK;
}

/* ---- what is shown ---- */

static double last_of(const struct weft_curve *c) { return c->n ? c->points[c->n - 1].y : NAN; }

static uint64_t steps_of(const struct weft_curve_run *r)
{
    double x = 0;
    for (size_t k = 0; k < WEFT_N_CURVES; k++)
        if (r->curves[k].n) x = fmax(x, r->curves[k].points[r->curves[k].n - 1].x);
    return (uint64_t)x;
}

static const char *number(char out[32], double v)
{
    if (isfinite(v)) snprintf(out, 32, "%.4f", v);
    else snprintf(out, 32, "-");
    return out;
}

static void print_table(struct weft_cli *cli, const struct weft_curve_run *runs, size_t n)
{
    char a[32], b[32], c[32], steps[32];
    weft_put(cli, WEFT_STR("  "));
    weft_data_cell(cli, weft_tr(cli->lang, "run"), LABEL_COLUMNS);
    weft_data_cell_right(cli, weft_tr(cli->lang, "steps"), 8);
    weft_data_cell_right(cli, weft_tr(cli->lang, "training"), 12);
    weft_data_cell_right(cli, weft_tr(cli->lang, "validation"), 12);
    weft_data_cell_right(cli, weft_tr(cli->lang, "lowest"), 12);
    weft_data_cell_right(cli, weft_tr(cli->lang, "at step"), 9);
    weft_put(cli, WEFT_STR("\n"));
    for (size_t i = 0; i < n; i++) {
        struct weft_curve_point low = weft_curve_lowest(&runs[i].curves[WEFT_CURVE_VALID]);
        weft_put(cli, WEFT_STR("  "));
        weft_data_cell(cli, runs[i].label, LABEL_COLUMNS);
        weft_data_cell_right(cli, weft_cli_count(steps, steps_of(&runs[i])), 8);
        weft_data_cell_right(cli, number(a, last_of(&runs[i].curves[WEFT_CURVE_TRAIN])), 12);
        weft_data_cell_right(cli, number(b, last_of(&runs[i].curves[WEFT_CURVE_VALID])), 12);
        weft_data_cell_right(cli, number(c, low.y), 12);
        weft_data_cell_right(cli, isfinite(low.y) ? weft_cli_count(steps, (uint64_t)low.x) : "-", 9);
        weft_put(cli, WEFT_STR("\n"));
    }
}

static void key_number(struct weft_json_out *o, const char *key, double v)
{
    weft_json_out_key(o, key);
    weft_json_out_double(o, v);
}

static enum weft_status print_json(struct weft_cli *cli, const struct weft_curve_run *runs, size_t n)
{
    struct weft_buf b = { 0 };
    struct weft_json_out o;
    weft_json_out_init(&o, &b);
    weft_json_out_object(&o);
    weft_json_out_key(&o, "runs");
    weft_json_out_array(&o);
    for (size_t i = 0; i < n; i++) {
        struct weft_curve_point low = weft_curve_lowest(&runs[i].curves[WEFT_CURVE_VALID]);
        weft_json_out_object(&o);
        weft_data_key_str(&o, "run", weft_str_c(runs[i].label));
        weft_data_key_uint(&o, "steps", steps_of(&runs[i]));
        key_number(&o, "loss", last_of(&runs[i].curves[WEFT_CURVE_TRAIN]));
        key_number(&o, "eval_loss", last_of(&runs[i].curves[WEFT_CURVE_VALID]));
        key_number(&o, "lowest_eval_loss", low.y);
        key_number(&o, "lowest_step", low.x);
        weft_json_out_object_end(&o);
    }
    weft_json_out_array_end(&o);
    weft_json_out_object_end(&o);
    return weft_data_print_json(cli, &b);
}

static enum weft_status draw(struct weft_cli *cli, const struct settings *s, const struct weft_curve_run *runs,
                             size_t n)
{
    struct weft_curve_words words = { s->title ? s->title : weft_tr(cli->lang, "loss"), weft_tr(cli->lang, "step"),
                                      weft_tr(cli->lang, "training"), weft_tr(cli->lang, "validation"),
                                      weft_tr(cli->lang, "lowest (step)") };
    struct weft_buf svg = { 0 };
    weft_curve_svg_runs(&svg, runs, n, &words);
    enum weft_status st = weft_buf_check(&svg, s->output, &cli->err);
    if (!st && strcmp(s->output, "-") == 0) weft_put(cli, weft_buf_view(&svg));
    else if (!st) st = weft_file_write(s->output, weft_buf_view(&svg), &cli->err);
    weft_buf_clear(&svg);
    return st;
}

static void print_curve(struct weft_cli *cli, struct weft_curve_run *run)
{
    struct weft_buf text = { 0 };
    for (size_t i = 0; i < WEFT_N_CURVES; i++) run->curves[i].label = weft_tr(cli->lang, run->curves[i].label);
    weft_curve_text(&text, run->curves, WEFT_N_CURVES, weft_min_size(weft_cli_columns() - 2, CURVE_COLUMNS),
                    CURVE_ROWS);
    if (text.len) weft_say(cli, "\n%s\n", text.s);
    weft_buf_clear(&text);
}

static enum weft_status run(struct weft_cli *cli)
{
    struct settings s = { 0 };
    struct weft_str_list words = { 0 };
    bool done;
    enum weft_status st = weft_cli_options(cli, &weft_verb_plot, &s, &s.common, &words, &done);
    if (st || done) return st;
    bool to_stdout = s.output && strcmp(s.output, "-") == 0;
    if (!words.n) return weft_fail(&cli->err, WEFT_EARG, "expected at least one RUN: a folder that weft train wrote");
    if (words.n > MAX_RUNS)
        return weft_fail(&cli->err, WEFT_EARG, "%zu runs are more than one picture shows; at most %d", words.n, MAX_RUNS);
    if (to_stdout && cli->json)
        return weft_fail(&cli->err, WEFT_EARG, "-o - and --json both want standard output; name a file");
    struct weft_curve_run *runs = WEFT_NEWS(&cli->arena, struct weft_curve_run, words.n);
    if (!runs) return weft_fail_nomem(&cli->err, words.n * sizeof *runs, "runs");
    st = read_runs(cli, &words, runs);
    if (!st && s.output) st = draw(cli, &s, runs, words.n);
    if (st || to_stdout) return st;
    if (cli->json) return print_json(cli, runs, words.n);
    if (words.n == 1) print_curve(cli, &runs[0]);
    print_table(cli, runs, words.n);
    return WEFT_OK;
}

const struct weft_verb weft_verb_plot = {
    .name = "plot",
    .usage = "[LABEL=]RUN... [-o FILE.svg]",
    .help = "the loss curves of runs in one picture, and their last losses",
    .help_zh = "把多次训练的损失曲线画在一张图里，并列出最终损失",
    .options = &table,
    .run = run,
};
