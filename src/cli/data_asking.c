/* Opening, running and telling of one round of asking. */
#include "cli/data_ask.h"
#include "cli/record.h"

#include "dataset/grow.h"

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- prompt ---- */

/* Chinese as soon as one character in ten is. */
static enum weft_prompt_lang lang_of(struct weft_str s)
{
    size_t wide = 0, all = 0;
    for (size_t at = 0; at < s.len && all < 2000; all++) {
        uint32_t cp;
        at += weft_utf8_decode(s.s + at, s.len - at, &cp, NULL);
        wide += cp >= 0x2E80;
    }
    return wide * 10 >= all ? WEFT_PROMPT_ZH : WEFT_PROMPT_EN;
}

enum weft_status weft_asking_prompt(struct weft_cli *cli, const char *task, const char *file, int lang,
                                    struct weft_str sample, struct weft_prompt *out)
{
    struct weft_str text;
    if (!file) {
        enum weft_prompt_lang l = lang ? (enum weft_prompt_lang)(lang - 1) : lang_of(sample);
        return weft_prompt_builtin(&cli->arena, task, l, out, &cli->err);
    }
    enum weft_status st = weft_file_read(&cli->arena, file, 1u << 20, &text, &cli->err);
    if (!st) st = weft_prompt_parse(&cli->arena, file, text, out, &cli->err);
    if (!st && strcmp(out->task, task) != 0)
        st = weft_fail(&cli->err, WEFT_EARG, "%s is a prompt for the task %s, not %s", file, out->task, task);
    return st;
}

/* ---- whom to ask ---- */

static enum weft_status open_service(struct weft_asking *k, const char *model)
{
    const struct weft_ask_options *o = k->o;
    struct weft_err *err = &k->cli->err;
    const struct weft_ask_preset *p = NULL;
    if (o->preset) {
        p = weft_ask_preset(o->preset);
        if (!p) return weft_ask_preset_unknown(o->preset, err);
    }
    const char *url = o->endpoint ? o->endpoint : p ? p->base_url : NULL;
    const char *env = o->key_env ? o->key_env : p && p->key_env ? p->key_env : "WEFT_API_KEY", *key = getenv(env);
    if (!url)
        return weft_fail(err, WEFT_EARG,
                         "who shall answer? --endpoint URL or --preset NAME (a service), --local MODEL, or --offline");
    if (!model) return weft_fail(err, WEFT_EARG, "--model is missing: the name of the model at %s", url);
    if (!key && (o->key_env || (p && p->key_env)))
        return weft_fail(err, WEFT_EARG, "the environment variable %s is not set; it should hold the key for %s", env, url);
    const struct weft_ask_http_options http = {
        .base_url = url, .key = key, .concurrency = k->s.concurrency, .whole = o->whole,
        .key_setting = env, .model_setting = "model", .url_setting = "endpoint",
        .backoff_ms = (uint32_t)o->retry_ms,
        .first_byte_ms = (uint32_t)(o->first_byte_s * 1000), .gap_ms = (uint32_t)(o->gap_s * 1000),
        .whole_ms = (uint32_t)(o->call_s * 1000),
        .http = { .lang = k->cli->lang, .proxy = o->proxy, .ca_file = o->ca_file }
    };
    k->s.model = model;
    return weft_ask_http_new(&k->http, &http, &k->transport, err);
}

enum weft_status weft_asking_open(struct weft_asking *k, struct weft_cli *cli, const struct weft_ask_options *o,
                                  const char *model, const char *default_ledger, struct weft_str sample)
{
    *k = (struct weft_asking){ .cli = cli, .o = o, .s = o->ask };
    const char *path = o->ledger ? o->ledger : default_ledger;
    k->s.top_p = -1;
    enum weft_status st = weft_asking_prompt(cli, o->task, o->prompt, o->lang, sample, &k->prompt);
    if (st || o->offline) return st;
    if (o->local) {
        k->s.shaped = true;
        k->s.model = "local"; /* the endpoint tells which: by its content, not by its name */
        st = weft_ask_local_new(&k->local, cli, o->local, o->adapter, &k->transport);
    } else st = open_service(k, model);
    if (!st && !path)
        st = weft_fail(&cli->err, WEFT_EARG, "name a file for the answers: -o OUT or --ledger FILE; answers cost money");
    k->ledger_path = path;
    if (!st) st = weft_ledger_open(&k->ledger, path, &k->found, &cli->err);
    if (!st && k->found.cut_bytes)
        weft_warn(cli, "%s: the last %" PRIu64 " bytes were half a record; they were cut off and are in %s.cut", path,
                  k->found.cut_bytes, path);
    if (!st && k->found.lost)
        weft_warn(cli, "%s: %" PRIu64 " bytes had not reached the disk when the power went; no answer in use was among them, "
                       "and the file as it was is %s.damaged", path, k->found.lost_bytes, path);
    return st;
}

/* One line for each request, however often it is asked; where there is no memory for it, the store goes without. */
static void heard(void *ctx, const struct weft_call *c)
{
    struct weft_asking *k = ctx;
    struct weft_arena *a = &k->cli->arena;
    char hex[WEFT_CALL_KEY_HEX];
    weft_call_key_hex(&c->key, hex);
    struct weft_str key = weft_str_dup(a, weft_str_c(hex));
    if (!key.s || !WEFT_GROW(a, k->calls, k->n_calls, k->cap_calls)) return;
    k->calls[k->n_calls++] = (struct weft_store_call){ .key = key,
                                                       .state = weft_str_c(weft_call_state_name(c->state)),
                                                       .prompt_tokens = c->prompt_tokens,
                                                       .completion_tokens = c->completion_tokens,
                                                       .at = (int64_t)(c->time_ms / 1000) };
}

static void record(struct weft_asking *k, enum weft_status st, const struct weft_ask_report *r)
{
    const struct weft_store_batch b = {
        .task = weft_str_c(k->o->task), .prompt = weft_str_c(k->prompt.via),
        .endpoint = weft_str_c(k->transport.endpoint),
        .model = weft_str_c(k->s.model), .ledger = weft_str_c(k->ledger_path), .output = weft_str_c(k->output),
        .state = st == WEFT_OK ? WEFT_STR("done") : st == WEFT_ECANCEL ? WEFT_STR("cancelled") : WEFT_STR("failed"),
        .units = r->units, .rows = r->rows, .asked = r->asked, .reused = r->reused,
        .failed = r->states[WEFT_ASK_FAILED], .prompt_tokens = r->prompt_tokens,
        .completion_tokens = r->completion_tokens, .cost = r->cost
    };
    if (!k->o->offline && r->units)
        weft_record_batch(k->cli, k->o->project, &b, &k->prompt, k->o->prompt, k->calls, k->n_calls);
}

enum weft_status weft_asking_run(struct weft_asking *k, const struct weft_ask_unit *units, size_t n,
                                 struct weft_ask_result **results, struct weft_ask_report *report)
{
    struct weft_cli *cli = k->cli;
    uint64_t begin = weft_cli_now_ms();
    k->s.heard = heard;
    k->s.heard_ctx = k;
    *results = WEFT_NEWS(&cli->arena, struct weft_ask_result, n);
    if (!*results) return weft_fail_nomem(&cli->err, n * sizeof **results, "rows");
    const struct weft_progress *progress = k->local ? weft_ask_local_progress(k->local) : &cli->progress;
    enum weft_status st = k->o->offline
                              ? weft_ask_offline(&cli->arena, k->o->task, &k->s, &k->prompt, units, n, &cli->progress,
                                                 *results, report, &cli->err)
                              : weft_ask_run(&cli->arena, &k->prompt, &k->s, units, n, k->ledger, &k->transport,
                                             progress, *results, report, &cli->err);
    weft_cli_progress_end(cli);
    k->ms = weft_cli_now_ms() - begin;
    record(k, st, report);
    return st;
}

void weft_asking_close(struct weft_asking *k)
{
    weft_ask_http_free(k->http);
    weft_ask_local_free(k->local);
    weft_ledger_close(k->ledger);
    *k = (struct weft_asking){ 0 };
}

/* ---- figures ---- */

static const char *const state_labels[] = { "not asked", "good answers", "answers that break the form", "empty answers",
                                            "refused by the model", "failed" };

static double rate(uint64_t n, uint64_t ns) { return ns ? (double)n / ((double)ns / 1e9) : 0; }

void weft_asking_show(const struct weft_asking *k, const struct weft_ask_report *r)
{
    struct weft_cli *cli = k->cli;
    weft_data_figure(cli, "asked about", r->units, 0);
    for (int s = WEFT_ASK_OK; s <= WEFT_ASK_FAILED; s++)
        if (s == WEFT_ASK_OK || r->states[s]) weft_data_figure(cli, state_labels[s], r->states[s], r->units);
    if (r->states[WEFT_ASK_LEFT])
        weft_data_figure(cli, state_labels[WEFT_ASK_LEFT], r->states[WEFT_ASK_LEFT], r->units);
    weft_data_figure(cli, "rows made", r->rows, 0);
    if (k->o->offline) return;
    weft_data_figure(cli, "requests sent", r->asked, 0);
    weft_data_figure(cli, "answers known already", r->reused, 0);
    if (r->shared) weft_data_figure(cli, "equal to one in flight", r->shared, 0);
    if (r->corrective) weft_data_figure(cli, "corrective turns", r->corrective, 0);
    if (r->failed_tries) weft_data_figure(cli, "tries that failed", r->failed_tries, 0);
    if (r->maybe_paid_twice) weft_data_figure(cli, "perhaps paid twice", r->maybe_paid_twice, 0);
    if (r->thoughts) weft_data_figure(cli, "replies with thoughts, set aside", r->thoughts, 0);
    if (r->fences) weft_data_figure(cli, "replies in code fences", r->fences, 0);
    weft_data_figure(cli, "tokens asked", r->prompt_tokens, 0);
    weft_data_figure(cli, "tokens answered", r->completion_tokens, 0);
    if (k->local && r->asked) {
        const struct weft_ask_local_rates *l = weft_ask_local_rates(k->local);
        weft_say(cli, "  prompts read at %.0f tokens/s, answers written at %.1f tokens/s\n",
                 rate(l->prefilled, l->prompt_ns), rate(l->decoded, l->decode_ns));
    }
    if (k->s.price_in > 0 || k->s.price_out > 0) weft_say(cli, "  cost, by the prices given: %.4f\n", r->cost);
    if (r->over_budget) weft_say(cli, "stopped at the budget; run again to go on\n");
}

void weft_asking_members(struct weft_json_out *o, const struct weft_asking *k, const struct weft_ask_report *r)
{
    const struct {
        const char *key;
        uint64_t v;
    } figures[] = { { "rows", r->rows },
                    { "asked", r->asked },
                    { "reused", r->reused },
                    { "shared", r->shared },
                    { "corrective", r->corrective },
                    { "failed_tries", r->failed_tries },
                    { "maybe_paid_twice", r->maybe_paid_twice },
                    { "thoughts", r->thoughts },
                    { "fences", r->fences },
                    { "prompt_tokens", r->prompt_tokens },
                    { "completion_tokens", r->completion_tokens } };
    weft_data_key_str(o, "task", weft_str_c(k->o->task));
    weft_data_key_str(o, "prompt", weft_str_c(k->prompt.via));
    weft_data_key_uint(o, "units", r->units);
    for (int s = 0; s < WEFT_N_ASK_STATES; s++)
        weft_data_key_uint(o, weft_ask_state_name((enum weft_ask_state)s), r->states[s]);
    for (size_t i = 0; i < WEFT_COUNT(figures); i++) weft_data_key_uint(o, figures[i].key, figures[i].v);
    weft_json_out_key(o, "cost");
    weft_json_out_double(o, r->cost);
    weft_json_out_key(o, "over_budget");
    weft_json_out_bool(o, r->over_budget);
    weft_json_out_key(o, "seconds");
    weft_json_out_double(o, (double)k->ms / 1000);
    if (k->local) {
        const struct weft_ask_local_rates *l = weft_ask_local_rates(k->local);
        weft_json_out_key(o, "prompt_tokens_per_second");
        weft_json_out_double(o, rate(l->prefilled, l->prompt_ns));
        weft_json_out_key(o, "completion_tokens_per_second");
        weft_json_out_double(o, rate(l->decoded, l->decode_ns));
    }
    weft_data_json_drops(o, &r->pieces);
}

void weft_asking_show_rest(const struct weft_asking *k, const struct weft_ask_report *r)
{
    uint64_t left = r->states[WEFT_ASK_LEFT], done = r->units - left;
    char tokens[32], time[32];
    if (!left || !done || !r->asked || k->o->offline) return;
    double share = (double)left / (double)done;
    weft_say(k->cli, "the other %" PRIu64 ", judged by these: about %.0f requests, %s tokens, %s, cost %.4f\n", left,
             (double)r->asked * share,
             weft_cli_count(tokens, (uint64_t)((double)(r->prompt_tokens + r->completion_tokens) * share)),
             weft_cli_duration(time, (double)k->ms / 1000 * share), r->cost * share);
}

enum weft_status weft_asking_unanswered(const struct weft_asking *k, const struct weft_ask_result *results,
                                        const struct weft_ask_report *r)
{
    char why[400];
    size_t first = 0;
    if (!k->http || !r->asked || r->reused || !r->states[WEFT_ASK_FAILED]
        || r->states[WEFT_ASK_FAILED] + r->states[WEFT_ASK_LEFT] != r->units)
        return WEFT_OK;
    while (results[first].state != WEFT_ASK_FAILED) first++;
    struct weft_str reply = results[first].reply;
    return weft_fail(&k->cli->err, WEFT_EREMOTE,
                     "%s answered none of %" PRIu64 " requests (%s); --endpoint or --preset names the service, --proxy a proxy",
                     k->transport.endpoint, r->asked, weft_escape(why, sizeof why, reply.s ? reply : WEFT_STR("-")));
}

enum weft_status weft_asking_verdict(const struct weft_asking *k, const struct weft_ask_result *results,
                                     const struct weft_ask_report *r)
{
    struct weft_cli *cli = k->cli;
    enum weft_status st = weft_asking_unanswered(k, results, r);
    if (st) return st;
    uint64_t bad = r->states[WEFT_ASK_FLAGGED] + r->states[WEFT_ASK_EMPTY] + r->states[WEFT_ASK_REFUSED]
                   + r->states[WEFT_ASK_FAILED];
    if (!bad) return WEFT_OK;
    if (r->states[WEFT_ASK_FAILED])
        return weft_fail(&cli->err, WEFT_EPARTIAL,
                         "%" PRIu64 " of %" PRIu64 " gave no row, %" PRIu64 " of them failed; run again to ask those again",
                         bad, r->units, r->states[WEFT_ASK_FAILED]);
    return weft_fail(&cli->err, WEFT_EPARTIAL, "%" PRIu64 " of %" PRIu64 " gave no row", bad, r->units);
}

/* ---- what gave no row ---- */

enum weft_status weft_asking_doubtful(struct weft_cli *cli, const char *path,
                                      const struct weft_ask_unit *units, size_t n,
                                      const struct weft_ask_result *results)
{
    struct weft_out out = { 0 };
    struct weft_buf b = { 0 };
    uint64_t count = 0;
    enum weft_status st = WEFT_OK;
    for (size_t i = 0; i < n; i++) {
        const struct weft_ask_result *r = &results[i];
        const struct weft_origin *u = &units[i].origin;
        struct weft_json_out o;
        if (r->state == WEFT_ASK_OK || r->state == WEFT_ASK_LEFT) continue;
        count++;
        weft_json_out_init(&o, &b);
        weft_json_out_object(&o);
        weft_data_key_str(&o, "id", u->id);
        weft_data_key_str(&o, "state", weft_str_c(weft_ask_state_name(r->state)));
        weft_data_key_str(&o, "problem", r->problem);
        weft_data_key_str(&o, "reply", r->reply);
        weft_data_key_str(&o, "file", u->file);
        weft_data_key_uint(&o, "line", u->line);
        weft_data_key_str(&o, "text", units[i].text);
        weft_json_out_object_end(&o);
        weft_buf_char(&b, '\n');
    }
    if (!count) {
        if (weft_file_exists(path)) unlink(path); /* of an earlier run: nothing is doubtful any more */
        return WEFT_OK;
    }
    st = weft_buf_check(&b, "rows", &cli->err);
    if (!st) st = weft_out_open(&out, path, &cli->err);
    if (!st) {
        weft_out_str(&out, weft_buf_view(&b));
        st = weft_out_commit(&out, &cli->err);
    }
    weft_out_close(&out);
    weft_buf_clear(&b);
    if (!st) weft_note(cli, "%s: %" PRIu64 " that gave no row, with reasons\n", path, count);
    return st;
}

/* ---- input ---- */

/* Does the file hold rows?  Content decides: JSON begins with a bracket and a quote or another bracket. */
static enum weft_status holds_rows(struct weft_cli *cli, const char *path, bool *yes)
{
    struct weft_map m = { 0 };
    enum weft_status st = weft_map_open(&m, path, &cli->err);
    struct weft_str s = weft_str_trim_ascii((struct weft_str){ (const char *)m.p, m.len < 4096 ? m.len : 4096 });
    if (weft_str_starts(s, WEFT_STR("\xEF\xBB\xBF"))) s = weft_str_trim_ascii(weft_str_skip(s, 3));
    struct weft_str rest = weft_str_trim_ascii(weft_str_skip(s, 1));
    *yes = s.len && rest.len
           && ((s.s[0] == '{' && rest.s[0] == '"') || (s.s[0] == '[' && rest.s[0] == '{'));
    weft_map_close(&m);
    return st;
}

enum weft_status weft_asking_input(struct weft_cli *cli, const struct weft_str_list *files,
                                   const struct weft_text_settings *text,
                                   const struct weft_chunk_settings *chunk,
                                   const struct weft_data_input *input, struct weft_rows *rows,
                                   struct weft_report *report)
{
    const char **names = WEFT_NEWS(&cli->arena, const char *, 2 * files->n);
    struct weft_str_list texts = { names, 0 }, sets = { names ? names + files->n : NULL, 0 };
    struct weft_data_texts read = { 0 };
    struct weft_chunks chunks = { 0 };
    enum weft_status st = names ? WEFT_OK : weft_fail_nomem(&cli->err, files->n * sizeof *names, "a path");
    for (size_t i = 0; !st && i < files->n; i++) {
        bool is_set = true;
        if (!input->info || weft_file_exists(files->items[i])) st = holds_rows(cli, files->items[i], &is_set);
        if (is_set) sets.items[sets.n++] = files->items[i];
        else texts.items[texts.n++] = files->items[i];
    }
    if (!st && sets.n) st = weft_data_read(cli, input, &sets, rows, report);
    if (!st && texts.n) {
        struct weft_rows pieces = { 0 };
        st = weft_data_texts(cli, &texts, text, &read);
        if (!st)
            st = weft_chunk_texts(&cli->arena, read.items, read.n, chunk, NULL, &cli->progress, &chunks, &cli->err);
        weft_cli_progress_end(cli);
        if (!st) st = weft_chunk_rows(&cli->arena, read.items, &chunks, chunk->mode, &pieces, &cli->err);
        for (size_t i = 0; !st && i < pieces.n; i++) {
            struct weft_row *row = weft_rows_add(rows, &cli->arena);
            if (!row) st = weft_fail_nomem(&cli->err, sizeof *row, "rows");
            else *row = pieces.items[i];
        }
        report->units_in += pieces.n;
        report->rows_out += pieces.n;
    }
    return st;
}
