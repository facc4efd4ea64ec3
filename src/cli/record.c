#include "cli/record.h"

#include "base/file.h"

#include <stdlib.h>

/* cli->err belongs to the verb: whatever fails here is said and forgotten. */
static bool failed(struct weft_cli *cli, enum weft_status st, const struct weft_err *before)
{
    if (st) weft_warn(cli, "this is not recorded in the store: %s", cli->err.msg);
    cli->err = *before;
    return st != WEFT_OK;
}

/* ---- which project ---- */

/* The project that holds the first of these contents, else "default"; made where it is new. */
static enum weft_status find_project(struct weft_cli *cli, struct weft_store *store, const char *said,
                                     const struct weft_str *contents, size_t n, int64_t *id)
{
    struct weft_store_dataset d;
    bool found = false;
    enum weft_status st = WEFT_OK;
    if (said) return weft_store_project(store, weft_str_c(said), true, id, &cli->err);
    for (size_t i = 0; i < n && !st && !found; i++)
        if (contents[i].len) st = weft_store_dataset_by_hash(store, &cli->arena, contents[i], &d, &found, &cli->err);
    if (st) return st;
    if (found) {
        *id = d.project_id;
        return WEFT_OK;
    }
    return weft_store_project(store, WEFT_STR("default"), true, id, &cli->err);
}

/* ---- runs ---- */

/* The last part of a path as a name of the store, without `suffix`: what may not stand in one becomes '-'. */
static struct weft_str name_of(struct weft_arena *a, const char *path, const char *suffix)
{
    enum { NAME_BYTES = 90 };
    struct weft_str p = weft_str_c(path);
    while (p.len && p.s[p.len - 1] == '/') p.len--;
    for (size_t i = p.len; i-- > 0;)
        if (p.s[i] == '/') {
            p = weft_str_skip(p, i + 1);
            break;
        }
    if (weft_str_ends(p, weft_str_c(suffix))) p.len -= strlen(suffix);
    struct weft_str name = weft_str_dup(a, p);
    if (!name.s) return name;
    if (weft_utf8_check(name) != name.len) return WEFT_STR("run");
    while (name.len > NAME_BYTES) name.len = weft_utf8_offset(name, weft_utf8_chars(name) - 1);
    char *c = (char *)name.s;       /* our own copy */
    for (size_t i = 0; i < name.len; i++)
        if ((unsigned char)c[i] <= 0x20 || c[i] == 0x7F || strchr("/@:", c[i]) || (!i && strchr("-.", c[i]))) c[i] = '-';
    while (name.len && name.s[0] == '-') name = weft_str_skip(name, 1);
    return name.len ? name : WEFT_STR("run");
}

static const char *absolute(struct weft_arena *a, const char *path)
{
    char *whole = realpath(path, NULL);
    const char *kept = whole ? weft_arena_strndup(a, whole, strlen(whole)) : NULL;
    free(whole);
    return kept ? kept : path;
}

int64_t weft_record_run_begin(struct weft_cli *cli, const struct weft_record_run *run)
{
    const struct weft_err before = cli->err;
    struct weft_store *store = NULL;
    struct weft_store_run_data *data = WEFT_NEWS(&cli->arena, struct weft_store_run_data, run->n_data + 1);
    struct weft_str *contents = WEFT_NEWS(&cli->arena, struct weft_str, run->n_data + 1);
    int64_t project = 0, id = 0;
    cli->err.msg[0] = '\0';
    enum weft_status st =
        data && contents ? weft_cli_store(cli, &store) : weft_fail_nomem(&cli->err, run->n_data * sizeof *data, "the store");
    for (size_t i = 0; !st && i < run->n_data; i++) {
        data[i] = run->data[i];
        data[i].path = weft_str_c(absolute(&cli->arena, run->data[i].path.s));
        contents[i] = data[i].content;
    }
    if (!st) st = find_project(cli, store, run->project, contents, run->n_data, &project);
    if (!st) {
        struct weft_store_run r = { .name = name_of(&cli->arena, run->output_dir, ""),
                                    .output_dir = weft_str_c(absolute(&cli->arena, run->output_dir)),
                                    .base = weft_str_c(run->base),
                                    .base_sha256 = weft_str_c(run->base_sha256),
                                    .parameters = run->parameters };
        if (run->n_data) r.dataset_hash = data[0].content;
        st = weft_store_run_begin(store, project, &r, data, run->n_data, &id, &cli->err);
    }
    weft_store_close(store);
    return failed(cli, st, &before) ? 0 : id;
}

void weft_record_run_end(struct weft_cli *cli, int64_t id, enum weft_status st, const char *result, uint64_t steps,
                         double loss, double valid_loss)
{
    const struct weft_err before = cli->err;
    struct weft_store *store = NULL;
    struct weft_store_run r = { .state = st == WEFT_OK        ? WEFT_STR("done")
                                         : st == WEFT_ECANCEL ? WEFT_STR("cancelled")
                                                              : WEFT_STR("failed"),
                                .result = weft_str_c(st ? before.msg : absolute(&cli->arena, result)),
                                .steps = steps,
                                .loss = loss,
                                .valid_loss = valid_loss };
    if (!id) return;
    cli->err.msg[0] = '\0';
    enum weft_status end = weft_cli_store(cli, &store);
    if (!end) end = weft_store_run_end(store, id, &r, &cli->err);
    weft_store_close(store);
    (void)failed(cli, end, &before);
}

/* ---- batches and prompts ---- */

static enum weft_status put_prompt(struct weft_cli *cli, struct weft_store *store, int64_t project,
                                   const struct weft_prompt *prompt, const char *file)
{
    struct weft_prompt_file own;
    struct weft_str text = { NULL, 0 };
    int64_t version;
    enum weft_status st = WEFT_OK;
    if (file) st = weft_file_read(&cli->arena, file, 1u << 20, &text, &cli->err);
    for (size_t i = 0; !file && !text.s && weft_prompt_file(i, &own); i++)
        if (strcmp(own.name, prompt->name) == 0) text = own.text;
    if (st || !text.s) return st;
    return weft_store_prompt_put(store, project, name_of(&cli->arena, prompt->name, ".txt"), text, &version, &cli->err);
}

void weft_record_batch(struct weft_cli *cli, const char *project, const struct weft_store_batch *batch,
                       const struct weft_prompt *prompt, const char *file, struct weft_store_call *calls, size_t n)
{
    const struct weft_err before = cli->err;
    struct weft_store *store = NULL;
    struct weft_store_batch b = *batch;
    int64_t id = 0;
    if (b.ledger.s) b.ledger = weft_str_c(absolute(&cli->arena, b.ledger.s));
    if (b.output.s) b.output = weft_str_c(absolute(&cli->arena, b.output.s));
    cli->err.msg[0] = '\0';
    enum weft_status st = weft_cli_store(cli, &store);
    if (!st) st = find_project(cli, store, project, NULL, 0, &id);
    if (!st) st = put_prompt(cli, store, id, prompt, file);
    if (!st) st = weft_store_batch_add(store, id, &b, &cli->err);
    struct weft_str endpoint = b.endpoint;      /* as the keys have it: two ways to write one address are one */
    while (weft_str_ends(endpoint, WEFT_STR("/"))) endpoint.len--;
    for (size_t i = 0; i < n; i++) calls[i].ledger = b.ledger, calls[i].endpoint = endpoint, calls[i].model = b.model;
    if (!st) st = weft_store_calls_put(store, id, calls, n, &cli->err);
    weft_store_close(store);
    (void)failed(cli, st, &before);
}

/* ---- patches ---- */

void weft_record_patches(struct weft_cli *cli, const char *project, const char *file, const char *content,
                         const char *patches)
{
    const struct weft_err before = cli->err;
    const struct weft_str contents[] = { weft_str_c(content) };
    struct weft_store *store = NULL;
    struct weft_store_dataset d;
    struct weft_str lines;
    uint64_t added;
    int64_t id = 0;
    bool found = false;
    cli->err.msg[0] = '\0';
    enum weft_status st = weft_file_read(&cli->arena, patches, 256u << 20, &lines, &cli->err);
    if (!st) st = weft_cli_store(cli, &store);
    if (!st) st = find_project(cli, store, project, contents, 1, &id);
    if (!st) st = weft_store_dataset_by_hash(store, &cli->arena, contents[0], &d, &found, &cli->err);
    struct weft_str name = found && d.project_id == id ? d.name : name_of(&cli->arena, file, ".jsonl");
    if (!st) st = weft_store_patches_add(store, id, name, lines, &added, &cli->err);
    weft_store_close(store);
    (void)failed(cli, st, &before);
}
