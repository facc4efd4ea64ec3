/* weft ls: what is in the store, each thing by the word that other verbs take. */
#include "cli/data.h"
#include "cli/network.h"
#include "cli/store.h"
#include "cli/token_cache.h"
#include "cli/verbs.h"
#include "base/file.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

enum { WORD_COLUMNS = 34 };

/* `weft ls runs`: only these. */
enum {
    PROJECTS = 1, DATASETS = 2, RUNS = 4, MODELS = 8, PROMPTS = 16, CALLS = 32, PATCHES = 64, TOKENS = 128,
    EVERYTHING = 255
};
static const struct {
    const char *name;
    int kind;
} kinds[] = { { "projects", PROJECTS }, { "datasets", DATASETS }, { "runs", RUNS },     { "models", MODELS },
              { "prompts", PROMPTS },   { "calls", CALLS },       { "patches", PATCHES }, { "tokens", TOKENS } };

struct settings {
    struct weft_cli_common common;
    const char *project;
};

static const struct weft_option rows[] = {
    { .key = "project", .type = WEFT_OPT_STRING, .offset = offsetof(struct settings, project), .group = "Store",
      .help = "only what belongs to this project", .help_zh = "只列出这个项目的内容" },
    WEFT_CLI_COMMON_ROWS(struct settings, common),
};
static const struct weft_option_table table = { rows, WEFT_COUNT(rows) };

struct listing {
    struct weft_store_project *projects;
    struct weft_store_dataset *datasets;
    struct weft_store_run *runs;
    struct weft_store_prompt *prompts;
    struct weft_store_batch *batches;
    struct weft_store_call_total *totals;
    struct weft_store_patch_set *patches;
    size_t n_prompts, n_batches, n_totals, n_patches;
    const char **models;        /* folders of HOME/models that hold a config.json */
    struct weft_hub_cached *cached;     /* models in the caches of Hugging Face and ModelScope */
    size_t n_projects, n_datasets, n_runs, n_models, n_cached;
    size_t n_tokens;                    /* files of kept tokens ... */
    uint64_t tokens_bytes;              /* ... and their size */
};

static const char *day(char out[32], int64_t seconds)
{
    time_t t = (time_t)seconds;
    struct tm parts;
    if (!gmtime_r(&t, &parts) || !strftime(out, 32, "%Y-%m-%d", &parts)) snprintf(out, 32, "-");
    return out;
}

static enum weft_status find_models(struct weft_cli *cli, const char *home, struct listing *l)
{
    const char *folder = weft_path_join(&cli->arena, home, "models"), **names;
    size_t n = 0;
    if (!folder) return weft_fail_nomem(&cli->err, strlen(home), "the store");
    if (!weft_dir_exists(folder)) return WEFT_OK;
    enum weft_status st = weft_dir_list(&cli->arena, folder, &names, &n, &cli->err);
    for (size_t i = 0; i < n && !st; i++) {
        const char *model = weft_path_join(&cli->arena, folder, names[i]);
        const char *config = model ? weft_path_join(&cli->arena, model, "config.json") : NULL;
        if (config && weft_file_exists(config)) names[l->n_models++] = names[i];
    }
    if (!st) l->models = names;
    return st;
}

static enum weft_status find_cached(struct weft_cli *cli, struct listing *l)
{
    struct weft_hub_options hub;
    const struct weft_err before = cli->err;
    if (weft_cli_hub(cli, &hub)) cli->err = before;     /* a token that cannot be read matters to downloads alone */
    return weft_hub_cached(&cli->arena, &hub, &l->cached, &l->n_cached, &cli->err);
}

/* The version that a run was trained on, as a word; else the head of the hash. */
static void put_source(struct weft_store *s, struct weft_arena *a, struct weft_str hash, struct weft_buf *b)
{
    struct weft_store_dataset d;
    bool found = false;
    if (!hash.len) return;
    if (!weft_store_dataset_by_hash(s, a, hash, &d, &found, NULL) && found) {
        weft_buf_str(b, d.project);
        weft_buf_char(b, '/');
        weft_buf_str(b, d.name);
        weft_buf_printf(b, "@%" PRId64, d.version);
    } else weft_buf_escaped(b, hash, 12);
}

static void put_line(struct weft_cli *cli, struct weft_buf *word, const char *fmt, ...) WEFT_PRINTF(3, 4);
static void put_line(struct weft_cli *cli, struct weft_buf *word, const char *fmt, ...)
{
    char rest[512];
    va_list ap;
    va_start(ap, fmt);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    vsnprintf(rest, sizeof rest, weft_tr(cli->lang, fmt), ap);
#pragma GCC diagnostic pop
    va_end(ap);
    weft_put(cli, WEFT_STR("  "));
    weft_data_cell(cli, word->s ? word->s : "", WORD_COLUMNS);
    weft_put(cli, WEFT_STR("  "));
    weft_put(cli, weft_str_c(rest));
    weft_put(cli, WEFT_STR("\n"));
    weft_buf_reset(word);
}

/* A second line: how far it came and where it is, or why it failed. */
static void show_outcome(struct weft_cli *cli, const struct weft_store_run *r)
{
    struct weft_buf b = { 0 };
    if (r->steps) weft_buf_printf(&b, weft_tr(cli->lang, "%" PRIu64 " steps"), r->steps);
    if (!isnan(r->loss)) weft_buf_printf(&b, weft_tr(cli->lang, ", loss %.4f"), r->loss);
    if (!isnan(r->valid_loss)) weft_buf_printf(&b, weft_tr(cli->lang, ", validation %.4f"), r->valid_loss);
    if (b.len) weft_buf_cstr(&b, "  ");
    if (weft_str_is(r->state, "failed")) weft_buf_str(&b, r->result);
    else weft_buf_str(&b, r->output_dir);
    if (b.len) weft_data_line(cli, "      ", weft_buf_view(&b), 300);
    weft_buf_clear(&b);
}

static void show_prompts(struct weft_cli *cli, const struct listing *l, struct weft_buf *word)
{
    char when[32];
    if (l->n_prompts) weft_say(cli, "prompts\n");
    for (size_t i = 0; i < l->n_prompts; i++) {
        const struct weft_store_prompt *p = &l->prompts[i];
        weft_buf_str(word, p->project);
        weft_buf_char(word, '/');
        weft_buf_str(word, p->name);
        weft_buf_printf(word, "@%" PRId64, p->version);
        put_line(cli, word, "%s, sha256 %.12s", day(when, p->created), p->sha256);
    }
}

static void show_batches(struct weft_cli *cli, const struct listing *l, struct weft_buf *word)
{
    char when[32], in[32], out[32];
    if (l->n_batches) weft_say(cli, "calls\n");
    for (size_t i = 0; i < l->n_batches; i++) {
        const struct weft_store_batch *b = &l->batches[i];
        weft_buf_str(word, b->project);
        weft_buf_cstr(word, "  ");
        weft_buf_escaped(word, b->prompt, 60);
        put_line(cli, word, "%s, %s, %s: %" PRIu64 " asked, %" PRIu64 " known, %" PRIu64 " failed, %" PRIu64 " rows",
                 weft_tr(cli->lang, b->state.s), day(when, b->at), b->model.s, b->asked, b->reused, b->failed, b->rows);
        put_line(cli, word, "%s tokens in, %s out, cost %.4f", weft_cli_count(in, b->prompt_tokens),
                 weft_cli_count(out, b->completion_tokens), b->cost);
    }
    for (size_t i = 0; i < l->n_totals; i++) {
        const struct weft_store_call_total *t = &l->totals[i];
        int shown = (int)weft_min_size(weft_str_starts(t->endpoint, WEFT_STR("weft:")) ? 17 : 200, t->endpoint.len);
        weft_buf_escaped(word, t->model, 30);
        put_line(cli, word, "at %.*s: %" PRIu64 " requests in all, %" PRIu64 " answered; %s tokens in, %s out", shown,
                 t->endpoint.s, t->requests, t->answered, weft_cli_count(in, t->prompt_tokens),
                 weft_cli_count(out, t->completion_tokens));
    }
}

static void show_patches(struct weft_cli *cli, const struct listing *l, struct weft_buf *word)
{
    char when[32];
    if (l->n_patches) weft_say(cli, "decisions\n");
    for (size_t i = 0; i < l->n_patches; i++) {
        const struct weft_store_patch_set *p = &l->patches[i];
        weft_buf_str(word, p->project);
        weft_buf_char(word, '/');
        weft_buf_str(word, p->dataset);
        put_line(cli, word, "%" PRIu64 " decisions, %s", p->n, day(when, p->last));
    }
}

static void show(struct weft_cli *cli, struct weft_store *s, const struct listing *l)
{
    struct weft_buf word = { 0 }, source = { 0 };
    char when[32];
    if (l->n_projects) weft_say(cli, "projects\n");
    for (size_t i = 0; i < l->n_projects; i++) {
        const struct weft_store_project *p = &l->projects[i];
        weft_buf_str(&word, p->name);
        put_line(cli, &word, "%" PRIu64 " datasets, %" PRIu64 " versions, %" PRIu64 " rows, %" PRIu64 " runs", p->n_datasets,
                 p->n_versions, p->n_rows, p->n_runs);
    }
    if (l->n_datasets) weft_say(cli, "datasets\n");
    for (size_t i = 0; i < l->n_datasets; i++) {
        const struct weft_store_dataset *d = &l->datasets[i];
        weft_buf_str(&word, d->project);
        weft_buf_char(&word, '/');
        weft_buf_str(&word, d->name);
        weft_buf_printf(&word, "@%" PRId64, d->version);
        put_line(cli, &word, "%" PRIu64 " rows, %s, sha256 %.12s", d->n_rows, day(when, d->created), d->hash.s);
    }
    if (l->n_runs) weft_say(cli, "runs\n");
    for (size_t i = 0; i < l->n_runs; i++) {
        const struct weft_store_run *r = &l->runs[i];
        weft_buf_cstr(&word, "run:");
        weft_buf_str(&word, r->project);
        weft_buf_char(&word, '/');
        weft_buf_str(&word, r->name);
        weft_buf_reset(&source);
        put_source(s, &cli->arena, r->dataset_hash, &source);
        put_line(cli, &word, "%s, %s, dataset %s", weft_tr(cli->lang, r->state.s), day(when, r->started),
                 source.len ? source.s : "-");
        show_outcome(cli, r);
    }
    show_prompts(cli, l, &word);
    show_batches(cli, l, &word);
    show_patches(cli, l, &word);
    if (l->n_models || l->n_cached) weft_say(cli, "models\n");
    for (size_t i = 0; i < l->n_models; i++) {
        weft_buf_printf(&word, "model:%s", l->models[i]);
        put_line(cli, &word, "%s", "");
    }
    for (size_t i = 0; i < l->n_cached; i++) {
        weft_buf_escaped(&word, weft_str_c(l->cached[i].word), 200);
        put_line(cli, &word, "%s", l->cached[i].path);
    }
    if (l->n_tokens) {
        weft_say(cli, "tokens kept by training\n");
        weft_buf_cstr(&word, "cache:tokens");
        put_line(cli, &word, "%zu files, %s", l->n_tokens, weft_cli_bytes(when, l->tokens_bytes));
    }
    if (!l->n_projects && !l->n_datasets && !l->n_runs && !l->n_prompts && !l->n_batches && !l->n_patches
        && !l->n_models && !l->n_cached && !l->n_tokens)
        weft_say(cli, "nothing is in the store yet\n");
    weft_buf_clear(&word);
    weft_buf_clear(&source);
}

static enum weft_status data_json(struct weft_json_out *o, struct weft_store *s, struct weft_cli *cli, int64_t run)
{
    struct weft_store_run_data *data;
    size_t n;
    enum weft_status st = weft_store_run_data(s, &cli->arena, run, &data, &n, &cli->err);
    weft_json_out_key(o, "data");
    weft_json_out_array(o);
    for (size_t i = 0; !st && i < n; i++) {
        weft_json_out_object(o);
        weft_data_key_str(o, "part", data[i].part);
        weft_data_key_str(o, "path", data[i].path);
        weft_data_key_str(o, "sha256", data[i].sha256);
        weft_data_key_str(o, "content", data[i].content);
        weft_data_key_uint(o, "rows", data[i].n_rows);
        weft_json_out_object_end(o);
    }
    weft_json_out_array_end(o);
    return st;
}

static void asked_json(struct weft_json_out *o, const struct listing *l)
{
    weft_json_out_key(o, "prompts");
    weft_json_out_array(o);
    for (size_t i = 0; i < l->n_prompts; i++) {
        const struct weft_store_prompt *p = &l->prompts[i];
        weft_json_out_object(o);
        weft_data_key_str(o, "project", p->project);
        weft_data_key_str(o, "name", p->name);
        weft_data_key_uint(o, "version", (uint64_t)p->version);
        weft_data_key_str(o, "sha256", weft_str_c(p->sha256));
        weft_data_key_uint(o, "created", (uint64_t)p->created);
        weft_data_key_str(o, "text", p->text);
        weft_json_out_object_end(o);
    }
    weft_json_out_array_end(o);
    weft_json_out_key(o, "calls");
    weft_json_out_array(o);
    for (size_t i = 0; i < l->n_batches; i++) {
        const struct weft_store_batch *b = &l->batches[i];
        weft_json_out_object(o);
        weft_data_key_str(o, "project", b->project);
        weft_data_key_str(o, "task", b->task);
        weft_data_key_str(o, "prompt", b->prompt);
        weft_data_key_str(o, "endpoint", b->endpoint);
        weft_data_key_str(o, "model", b->model);
        weft_data_key_str(o, "ledger", b->ledger);
        weft_data_key_str(o, "output", b->output);
        weft_data_key_str(o, "state", b->state);
        weft_data_key_uint(o, "units", b->units);
        weft_data_key_uint(o, "rows", b->rows);
        weft_data_key_uint(o, "asked", b->asked);
        weft_data_key_uint(o, "reused", b->reused);
        weft_data_key_uint(o, "failed", b->failed);
        weft_data_key_uint(o, "prompt_tokens", b->prompt_tokens);
        weft_data_key_uint(o, "completion_tokens", b->completion_tokens);
        weft_json_out_key(o, "cost");
        weft_json_out_double(o, b->cost);
        weft_data_key_uint(o, "at", (uint64_t)b->at);
        weft_json_out_object_end(o);
    }
    weft_json_out_array_end(o);
    weft_json_out_key(o, "models_asked");
    weft_json_out_array(o);
    for (size_t i = 0; i < l->n_totals; i++) {
        const struct weft_store_call_total *t = &l->totals[i];
        weft_json_out_object(o);
        weft_data_key_str(o, "endpoint", t->endpoint);
        weft_data_key_str(o, "model", t->model);
        weft_data_key_uint(o, "requests", t->requests);
        weft_data_key_uint(o, "answered", t->answered);
        weft_data_key_uint(o, "empty_or_refused", t->unusable);
        weft_data_key_uint(o, "prompt_tokens", t->prompt_tokens);
        weft_data_key_uint(o, "completion_tokens", t->completion_tokens);
        weft_data_key_uint(o, "last", (uint64_t)t->last);
        weft_json_out_object_end(o);
    }
    weft_json_out_array_end(o);
    weft_json_out_key(o, "patches");
    weft_json_out_array(o);
    for (size_t i = 0; i < l->n_patches; i++) {
        const struct weft_store_patch_set *p = &l->patches[i];
        weft_json_out_object(o);
        weft_data_key_str(o, "project", p->project);
        weft_data_key_str(o, "dataset", p->dataset);
        weft_data_key_uint(o, "decisions", p->n);
        weft_data_key_uint(o, "last", (uint64_t)p->last);
        weft_json_out_object_end(o);
    }
    weft_json_out_array_end(o);
}

static enum weft_status show_json(struct weft_cli *cli, struct weft_store *s, const char *home, const struct listing *l)
{
    struct weft_buf b = { 0 }, source = { 0 };
    struct weft_json_out o;
    enum weft_status st = WEFT_OK;
    weft_json_out_init(&o, &b);
    weft_json_out_object(&o);
    weft_data_key_str(&o, "home", weft_str_c(home));
    weft_json_out_key(&o, "projects");
    weft_json_out_array(&o);
    for (size_t i = 0; i < l->n_projects; i++) {
        const struct weft_store_project *p = &l->projects[i];
        weft_json_out_object(&o);
        weft_data_key_str(&o, "name", p->name);
        weft_data_key_uint(&o, "created", (uint64_t)p->created);
        weft_data_key_uint(&o, "datasets", p->n_datasets);
        weft_data_key_uint(&o, "versions", p->n_versions);
        weft_data_key_uint(&o, "rows", p->n_rows);
        weft_data_key_uint(&o, "runs", p->n_runs);
        weft_json_out_object_end(&o);
    }
    weft_json_out_array_end(&o);
    weft_json_out_key(&o, "datasets");
    weft_json_out_array(&o);
    for (size_t i = 0; i < l->n_datasets; i++) {
        const struct weft_store_dataset *d = &l->datasets[i];
        weft_json_out_object(&o);
        weft_data_key_str(&o, "project", d->project);
        weft_data_key_str(&o, "name", d->name);
        weft_data_key_uint(&o, "version", (uint64_t)d->version);
        weft_data_key_uint(&o, "rows", d->n_rows);
        weft_data_key_uint(&o, "created", (uint64_t)d->created);
        weft_data_key_str(&o, "sha256", d->hash);
        weft_data_key_str(&o, "recipe", d->recipe);
        weft_json_out_object_end(&o);
    }
    weft_json_out_array_end(&o);
    weft_json_out_key(&o, "runs");
    weft_json_out_array(&o);
    for (size_t i = 0; !st && i < l->n_runs; i++) {
        const struct weft_store_run *r = &l->runs[i];
        weft_buf_reset(&source);
        put_source(s, &cli->arena, r->dataset_hash, &source);
        weft_json_out_object(&o);
        weft_data_key_str(&o, "project", r->project);
        weft_data_key_str(&o, "name", r->name);
        weft_data_key_str(&o, "state", r->state);
        weft_data_key_str(&o, "dataset", weft_buf_view(&source));
        weft_data_key_str(&o, "dataset_hash", r->dataset_hash);
        weft_data_key_str(&o, "parameters", r->parameters);
        weft_data_key_str(&o, "result", r->result);
        weft_data_key_uint(&o, "started", (uint64_t)r->started);
        weft_data_key_uint(&o, "ended", (uint64_t)r->ended);
        weft_data_key_str(&o, "output_dir", r->output_dir);
        weft_data_key_str(&o, "base", r->base);
        weft_data_key_str(&o, "base_sha256", r->base_sha256);
        weft_data_key_uint(&o, "steps", r->steps);
        weft_json_out_key(&o, "loss");
        weft_json_out_double(&o, r->loss);
        weft_json_out_key(&o, "valid_loss");
        weft_json_out_double(&o, r->valid_loss);
        st = data_json(&o, s, cli, r->id);
        weft_json_out_object_end(&o);
    }
    weft_json_out_array_end(&o);
    asked_json(&o, l);
    weft_data_key_uint(&o, "token_files", l->n_tokens);
    weft_data_key_uint(&o, "token_bytes", l->tokens_bytes);
    weft_json_out_key(&o, "models");
    weft_json_out_array(&o);
    for (size_t i = 0; i < l->n_models; i++) weft_json_out_cstr(&o, l->models[i]);
    weft_json_out_array_end(&o);
    weft_json_out_key(&o, "cached");
    weft_json_out_array(&o);
    for (size_t i = 0; i < l->n_cached; i++) {
        weft_json_out_object(&o);
        weft_data_key_str(&o, "model", weft_str_c(l->cached[i].word));
        weft_data_key_str(&o, "path", weft_str_c(l->cached[i].path));
        weft_json_out_object_end(&o);
    }
    weft_json_out_array_end(&o);
    weft_json_out_object_end(&o);
    weft_buf_clear(&source);
    if (!st) return weft_data_print_json(cli, &b);
    weft_buf_clear(&b);
    return st;
}

/* The words as kinds; none: everything. */
static enum weft_status read_kinds(struct weft_cli *cli, const struct weft_str_list *words, int *chosen)
{
    const char *names[WEFT_COUNT(kinds)], *near;
    *chosen = words->n ? 0 : EVERYTHING;
    for (size_t k = 0; k < WEFT_COUNT(kinds); k++) names[k] = kinds[k].name;
    for (size_t i = 0; i < words->n; i++) {
        int before = *chosen;
        for (size_t k = 0; k < WEFT_COUNT(kinds); k++)
            if (strcmp(words->items[i], kinds[k].name) == 0) *chosen |= kinds[k].kind;
        if (*chosen != before) continue;
        near = weft_nearest(words->items[i], names, WEFT_COUNT(names));
        return weft_fail(&cli->err, WEFT_EARG, "usage: weft ls [%s] [--project NAME]", near ? near : "runs");
    }
    return WEFT_OK;
}

static enum weft_status run(struct weft_cli *cli)
{
    struct settings s = { 0 };
    struct weft_str_list words = { 0 };
    struct weft_store *store = NULL;
    struct listing l = { 0 };
    const char *home = NULL;
    int64_t project = 0;
    int chosen;
    bool done;
    enum weft_status st = weft_cli_options(cli, &weft_verb_ls, &s, &s.common, &words, &done);
    if (st || done) return st;
    st = read_kinds(cli, &words, &chosen);
    if (!st) st = weft_cli_home(cli, &home);
    if (!st) st = weft_cli_store_if_any(cli, &store);
    if (!st && s.project && !store)
        st = weft_fail(&cli->err, WEFT_EARG, "no project \"%s\" in the store; `weft ls` lists what there is", s.project);
    if (!st && s.project) st = weft_store_project(store, weft_str_c(s.project), false, &project, &cli->err);
    if (!st && store) st = weft_store_projects(store, &cli->arena, &l.projects, &l.n_projects, &cli->err);
    if (!st && store && chosen & DATASETS)
        st = weft_store_datasets(store, &cli->arena, project, &l.datasets, &l.n_datasets, &cli->err);
    if (!st && store && chosen & RUNS) st = weft_store_runs(store, &cli->arena, project, &l.runs, &l.n_runs, &cli->err);
    if (!st && store && chosen & PROMPTS)
        st = weft_store_prompts(store, &cli->arena, project, &l.prompts, &l.n_prompts, &cli->err);
    if (!st && store && chosen & CALLS)
        st = weft_store_batches(store, &cli->arena, project, &l.batches, &l.n_batches, &cli->err);
    if (!st && store && chosen & CALLS)
        st = weft_store_call_totals(store, &cli->arena, project, &l.totals, &l.n_totals, &cli->err);
    if (!st && store && chosen & PATCHES)
        st = weft_store_patch_sets(store, &cli->arena, project, &l.patches, &l.n_patches, &cli->err);
    if (!st && !project && chosen & MODELS) st = find_models(cli, home, &l);
    if (!st && !project && chosen & MODELS) st = find_cached(cli, &l);
    if (!st && !project && chosen & TOKENS) st = weft_token_cache_size(cli, &l.n_tokens, &l.tokens_bytes);
    for (size_t i = 0; project && i < l.n_projects; i++)
        if (l.projects[i].id == project) {
            l.projects[0] = l.projects[i];
            l.n_projects = 1;
        }
    if (!(chosen & PROJECTS)) l.n_projects = 0;
    if (!st && cli->json) st = show_json(cli, store, home, &l);
    else if (!st) show(cli, store, &l);
    weft_store_close(store);
    return st;
}

const struct weft_verb weft_verb_ls = {
    .name = "ls",
    .usage = "[projects|datasets|runs|prompts|calls|patches|models|tokens...] [--project NAME]",
    .help = "what is in the store: projects, datasets, runs, models",
    .help_zh = "列出仓库中的项目、数据集、运行和模型",
    .options = &table,
    .run = run,
};
