/* weft rm WORD...: takes things out of the store.  What cannot be had again asks for --all first. */
#include "cli/store.h"
#include "cli/token_cache.h"
#include "cli/verbs.h"
#include "base/file.h"

#include <inttypes.h>

struct settings {
    struct weft_cli_common common;
    bool all;
};

static const struct weft_option rows[] = {
    { .key = "all", .type = WEFT_OPT_BOOL, .offset = offsetof(struct settings, all), .group = "Store",
      .help = "also a project that is not empty, and every version of a dataset",
      .help_zh = "也删除非空的项目，以及数据集的所有版本" },
    WEFT_CLI_COMMON_ROWS(struct settings, common),
};
static const struct weft_option_table table = { rows, WEFT_COUNT(rows) };

static enum weft_status remove_project(struct weft_cli *cli, struct weft_store *s, const struct weft_word *w,
                                       int64_t id, bool all)
{
    struct weft_store_dataset *sets;
    struct weft_store_run *runs;
    size_t n_sets, n_runs;
    enum weft_status st = weft_store_datasets(s, &cli->arena, id, &sets, &n_sets, &cli->err);
    if (!st) st = weft_store_runs(s, &cli->arena, id, &runs, &n_runs, &cli->err);
    if (st) return st;
    if ((n_sets || n_runs) && !all)
        return weft_fail(&cli->err, WEFT_EARG, "project \"%.*s\" has %zu versions of datasets and %zu runs; --all removes them "
                         "too", (int)w->project.len, w->project.s, n_sets, n_runs);
    return weft_store_project_remove(s, id, &cli->err);
}

static enum weft_status remove_dataset(struct weft_cli *cli, struct weft_store *s, const struct weft_word *w,
                                       int64_t id, bool all)
{
    struct weft_store_dataset newest, *sets;
    size_t n, of_name = 0;
    enum weft_status st = weft_store_dataset(s, &cli->arena, id, w->name, w->version, &newest, &cli->err);
    if (!st && w->version) return weft_store_dataset_remove(s, newest.id, &cli->err);
    if (!st) st = weft_store_datasets(s, &cli->arena, id, &sets, &n, &cli->err);
    if (st) return st;
    for (size_t i = 0; i < n; i++) of_name += weft_str_eq(sets[i].name, w->name);
    if (of_name > 1 && !all)
        return weft_fail(&cli->err, WEFT_EARG, "dataset \"%.*s\" has %zu versions; name one (@%" PRId64 "), or --all removes "
                         "every one", (int)w->name.len, w->name.s, of_name, newest.version);
    for (size_t i = 0; i < n && !st; i++)
        if (weft_str_eq(sets[i].name, w->name)) st = weft_store_dataset_remove(s, sets[i].id, &cli->err);
    return st;
}

static enum weft_status remove_model(struct weft_cli *cli, const struct weft_word *w)
{
    const char *home;
    char shown[200];
    enum weft_status st = weft_cli_home(cli, &home);
    if (st) return st;
    struct weft_str path = weft_str_printf(&cli->arena, "%s/models/%.*s", home, (int)w->name.len, w->name.s);
    if (!path.s) return weft_fail_nomem(&cli->err, 4096, "the store");
    if (!weft_dir_exists(path.s))
        return weft_fail(&cli->err, WEFT_EARG, "no model \"%s\" in the store; `weft ls` lists what there is",
                         weft_escape(shown, sizeof shown, w->name));
    return weft_dir_remove(path.s, &cli->err);
}

static enum weft_status remove_word(struct weft_cli *cli, struct weft_store *s, const char *text, bool all)
{
    struct weft_word w;
    int64_t id = 0;
    if (strcmp(text, "cache:tokens") == 0) return weft_token_cache_remove(cli);
    enum weft_status st = weft_cli_word(cli, text, &w);
    if (st) return st;
    if (w.kind == WEFT_WORD_MODEL) return remove_model(cli, &w);
    st = weft_store_project(s, w.project, false, &id, &cli->err);
    if (st) return st;
    switch (w.kind) {
    case WEFT_WORD_PROJECT: return remove_project(cli, s, &w, id, all);
    case WEFT_WORD_DATASET: return remove_dataset(cli, s, &w, id, all);
    default: return weft_store_run_remove(s, id, w.name, &cli->err);
    }
}

static enum weft_status run(struct weft_cli *cli)
{
    struct settings s = { 0 };
    struct weft_str_list words = { 0 };
    struct weft_store *store = NULL;
    bool done;
    enum weft_status st = weft_cli_options(cli, &weft_verb_rm, &s, &s.common, &words, &done);
    if (st || done) return st;
    if (!words.n) return weft_fail(&cli->err, WEFT_EARG, "expected what to remove; `weft ls` lists the words");
    st = weft_cli_store(cli, &store);
    for (size_t i = 0; i < words.n && !st; i++) {
        st = remove_word(cli, store, words.items[i], s.all);
        if (!st) weft_note(cli, "removed %s\n", words.items[i]);
    }
    weft_store_close(store);
    return st;
}

const struct weft_verb weft_verb_rm = {
    .name = "rm",
    .usage = "WORD... [--all]",
    .help = "remove projects, datasets, runs, models or kept tokens (cache:tokens) from the store",
    .help_zh = "从仓库中删除项目、数据集、训练、模型或保存的词元（cache:tokens）",
    .options = &table,
    .run = run,
};
