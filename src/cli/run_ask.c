#include "cli/run_ask.h"

#include <inttypes.h>

bool weft_road_asks(struct weft_road_ask *r)
{
    r->ask.task = r->novel.n ? "summarise" : "qa";
    return r->novel.n || r->documents.n;
}

static const struct weft_str_list *files_of(const struct weft_road_ask *r)
{
    return r->novel.n ? &r->novel : &r->documents;
}

/* What decides a row: the prompt's text, who answers, the limits of the form.  Not: how many requests fly at once, what
 * they cost, where the answers are kept. */
enum weft_status weft_road_ask_key(struct weft_cli *cli, const struct weft_road_ask *r, struct weft_stage_key *k)
{
    const struct weft_ask_options *o = &r->ask;
    const struct weft_str_list *files = files_of(r);
    const char *texts[] = { o->task, o->endpoint, o->preset, o->local, o->adapter, r->model, o->ask.instruction };
    struct weft_str numbers = weft_str_printf(&cli->arena, "%d %d %" PRId64 " %.17g %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64,
                                              o->offline, o->lang, r->chunk_max, o->ask.temperature, o->ask.max_tokens,
                                              o->ask.seed, o->ask.max_chars, o->ask.pairs, o->ask.limit);
    enum weft_status st = numbers.s ? WEFT_OK : weft_fail_nomem(&cli->err, 64, "settings");
    for (size_t i = 0; !st && i < WEFT_COUNT(texts); i++)
        weft_stage_key_text(k, "setting", weft_str_c(texts[i] ? texts[i] : ""));
    if (!st) weft_stage_key_text(k, "numbers", numbers);
    if (!st && o->local && !o->offline) { /* a model that was trained further answers otherwise */
        char hex[WEFT_SHA256_HEX];
        st = weft_ask_local_fingerprint(cli, o->local, o->adapter, hex);
        if (!st) weft_stage_key_text(k, "local", weft_str_c(hex));
    }
    if (!st && o->prompt) st = weft_stage_key_file(k, o->prompt, &cli->err);
    struct weft_prompt_file f;
    for (size_t i = 0; !st && !o->prompt && weft_prompt_file(i, &f); i++)
        if (strcmp(f.task, o->task) == 0) weft_stage_key_text(k, f.name, f.text);
    for (size_t i = 0; !st && i < files->n; i++) {
        weft_stage_key_text(k, "name", weft_str_c(files->items[i]));
        st = weft_stage_key_file(k, files->items[i], &cli->err);
    }
    return st;
}

static enum weft_status cut(struct weft_cli *cli, const struct weft_road_ask *r, const struct weft_text_settings *text,
                            struct weft_rows *pieces)
{
    const struct weft_chunk_settings how = { .mode = WEFT_CHUNK_DEFAULT, .max_chars = r->chunk_max };
    struct weft_data_texts texts = { 0 };
    struct weft_chunks chunks = { 0 };
    enum weft_status st = weft_data_texts(cli, files_of(r), text, &texts);
    if (!st && texts.n_failed) st = weft_data_texts_verdict(cli, &texts);
    if (!st)
        st = weft_chunk_texts(&cli->arena, texts.items, texts.n, &how, NULL, &cli->progress, &chunks, &cli->err);
    weft_cli_progress_end(cli);
    if (!st) st = weft_chunk_rows(&cli->arena, texts.items, &chunks, how.mode, pieces, &cli->err);
    if (!st && !cli->json) {
        weft_data_texts_show(cli, &texts);
        weft_data_figure(cli, "characters", chunks.chars, 0);
        weft_data_figure(cli, "characters without white space", chunks.visible_chars, chunks.chars);
        weft_data_figure(cli, "chapters", chunks.chapters, 0);
        weft_data_figure(cli, "chunks", chunks.n, 0);
    }
    return st;
}

/* Failed and left units would be missing from the dataset for good, had the stage been recorded: it ends here. */
static enum weft_status check_complete(struct weft_cli *cli, const struct weft_ask_report *report, bool limited)
{
    uint64_t left = limited ? 0 : report->states[WEFT_ASK_LEFT], failed = report->states[WEFT_ASK_FAILED];
    if (left || failed)
        return weft_fail(&cli->err, WEFT_EPARTIAL,
                         "%" PRIu64 " passages failed and %" PRIu64 " were not asked about; run again to go on: no answer is "
                         "paid for twice",
                         failed, left);
    if (!report->rows) return weft_fail(&cli->err, WEFT_EINPUT, "no row was made; the doubtful answers are in the run's folder");
    return WEFT_OK;
}

enum weft_status weft_road_ask_rows(struct weft_cli *cli, const struct weft_road_ask *r,
                                    const struct weft_text_settings *text, const char *dir, const char *ledger,
                                    struct weft_rows *rows, struct weft_json_out *members)
{
    struct weft_arena *a = &cli->arena;
    const struct weft_rows_writer_settings plain = { .format = WEFT_FORMAT_TEXT, .layout = WEFT_LAYOUT_JSONL };
    const char *chunks_path = weft_path_join(a, dir, "chunks.jsonl"), *doubtful = weft_path_join(a, dir, "doubtful.jsonl");
    struct weft_rows pieces = { 0 };
    struct weft_ask_unit *units = NULL;
    struct weft_ask_result *results = NULL;
    struct weft_ask_report report = { 0 };
    struct weft_asking k = { 0 };
    size_t n = 0;
    enum weft_status st = chunks_path && doubtful ? cut(cli, r, text, &pieces) : weft_fail_nomem(&cli->err, 0, "a path");
    if (!st) st = weft_rows_write(chunks_path, &plain, &pieces, &cli->err);
    if (!st) st = weft_ask_units_of_rows(a, r->ask.task, &pieces, &units, &n, &cli->err);
    if (!st) st = weft_asking_open(&k, cli, &r->ask, r->model, ledger, n ? units[0].text : WEFT_STR(""));
    k.output = dir;
    if (!st) st = weft_asking_run(&k, units, n, &results, &report);
    if (!st && !cli->json) {
        weft_asking_show(&k, &report);
        weft_data_drops(cli, &report.pieces, 4);
    }
    if (!st) st = weft_asking_doubtful(cli, doubtful, units, n, results);
    if (!st) st = weft_asking_unanswered(&k, results, &report);
    if (!st) st = check_complete(cli, &report, r->ask.ask.limit > 0);
    for (size_t i = 0; !st && i < n; i++)
        for (size_t m = 0; !st && m < results[i].rows.n; m++) {
            struct weft_row *row = weft_rows_add(rows, a);
            if (!row) st = weft_fail_nomem(&cli->err, sizeof *row, "rows");
            else *row = results[i].rows.items[m];
        }
    if (!st) weft_asking_members(members, &k, &report);
    weft_asking_close(&k);
    return st;
}
