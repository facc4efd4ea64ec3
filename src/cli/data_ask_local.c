/* A model of weft answers the requests of dataset/ask.h, one after the other.  Its endpoint is named by the content of
 * its files, so that the ledger knows a model that was trained further as another one, and the same model under another
 * name as the same. */
#include "cli/data_ask.h"
#include "cli/road.h"

#include "base/file.h"
#include "model/guide.h"

#include <stdio.h>
#include <stdlib.h>

enum { MAX_QUEUE = 1024, DEFAULT_SEED = 42, DEFAULT_TOKENS = 512 };

struct queued {
    size_t id;
    struct weft_str body;
};

struct weft_ask_local {
    struct weft_cli *cli;
    struct weft_session session;
    struct queued queue[MAX_QUEUE];
    size_t n;
    char endpoint[WEFT_SHA256_HEX + 16];
    struct weft_generated last;
    struct weft_err why;
    /* The form that a request asks for (response_format); requests of a task mostly ask for the same. */
    struct weft_guide_vocab *vocab;
    struct weft_guide *guide;
    struct weft_arena shape_arena;
    struct weft_str shape;
    struct weft_ask_local_rates rates;
    /* Progress on its way to the terminal: the count of units comes from the engine, that of tokens from here. */
    struct weft_progress progress;
    const char *stage, *unit;
    uint64_t done, total, pieces;
    char note[96];
};

static void show(struct weft_ask_local *l)
{
    const struct weft_ask_local_rates *r = &l->rates;
    char note[192], tokens[32];
    weft_cli_count(tokens, r->completion_tokens + l->pieces);
    double seconds = (double)r->decode_ns / 1e9;
    if (seconds > 0.05)
        snprintf(note, sizeof note, weft_tr(l->cli->lang, "%s, %s tokens, %.1f tokens/s"), l->note, tokens,
                 (double)r->decoded / seconds);
    else snprintf(note, sizeof note, weft_tr(l->cli->lang, "%s, %s tokens"), l->note, tokens);
    weft_progress_update(&l->cli->progress, l->stage, l->done, l->total, l->unit, note);
}

static void update(void *ctx, const char *stage, uint64_t done, uint64_t total, const char *unit, const char *note)
{
    struct weft_ask_local *l = ctx;
    l->stage = stage;
    l->unit = unit;
    l->done = done;
    l->total = total;
    snprintf(l->note, sizeof l->note, "%s", note);
    show(l);
}

static void message(void *ctx, const char *text)
{
    weft_progress_message(&((struct weft_ask_local *)ctx)->cli->progress, text);
}

const struct weft_progress *weft_ask_local_progress(const struct weft_ask_local *l) { return &l->progress; }
const struct weft_ask_local_rates *weft_ask_local_rates(const struct weft_ask_local *l) { return &l->rates; }

static enum weft_status send(void *ctx, size_t id, struct weft_str body, const char *key, struct weft_err *err)
{
    struct weft_ask_local *l = ctx;
    if (l->n == MAX_QUEUE) return weft_fail(err, WEFT_EARG, "more requests at once than concurrency allows");
    l->queue[l->n++] = (struct queued){ id, body };
    return WEFT_OK;
}

static bool go_on(void *ctx, struct weft_str piece)
{
    struct weft_ask_local *l = ctx;
    l->pieces++; /* a token or a few; the exact number comes with the reply */
    if (l->stage) show(l);
    return !weft_progress_cancelled(&l->cli->progress);
}

/* A guide for the schema of the request, or none. */
static enum weft_status keep_to(struct weft_ask_local *l, const struct weft_json_value *request, struct weft_err *err)
{
    const struct weft_json_value *format = weft_json_get(request, "response_format"),
                                 *named = format ? weft_json_get(format, "json_schema") : NULL,
                                 *schema = named ? weft_json_get(named, "schema") : NULL;
    const struct weft_grammar *grammar = NULL;
    struct weft_buf text = { 0 };
    struct weft_json_value own;
    struct weft_json_out o;
    enum weft_status st = WEFT_OK;
    l->session.guide = NULL;
    if (!schema) return WEFT_OK;
    weft_json_out_init(&o, &text);
    weft_json_out_value(&o, schema);
    st = weft_buf_check(&text, "a request", err);
    if (st || (l->guide && weft_str_eq(weft_buf_view(&text), l->shape))) goto done;
    weft_guide_free(l->guide);
    l->guide = NULL;
    weft_arena_clear(&l->shape_arena);
    l->shape = weft_str_dup(&l->shape_arena, weft_buf_view(&text));
    if (!l->shape.s) st = weft_fail_nomem(err, text.len, "a request");
    if (!st) st = weft_json_parse(&l->shape_arena, "json_schema", l->shape, &own, err);
    if (!st) st = weft_grammar_new(&l->shape_arena, "json_schema", &own, &grammar, err);
    if (!st && !l->vocab) st = weft_guide_vocab_new(&l->vocab, l->session.tokenizer, err);
    if (!st) st = weft_guide_new(&l->guide, l->vocab, grammar, err);
done:
    weft_buf_clear(&text);
    l->session.guide = l->guide;
    return st;
}

/* Messages of the request as a row, its sampling, and the form of its answer. */
static enum weft_status read_request(struct weft_ask_local *l, struct weft_arena *a, struct weft_str body,
                                     struct weft_row *row, struct weft_sampling *sampling, struct weft_err *err)
{
    struct weft_json_value v;
    enum weft_status st = weft_json_parse(a, "request", body, &v, err);
    if (st) return st;
    const struct weft_json_value *m = weft_json_get(&v, "messages"), *t = weft_json_get(&v, "temperature"),
                                 *p = weft_json_get(&v, "top_p"), *n = weft_json_get(&v, "max_tokens"),
                                 *seed = weft_json_get(&v, "seed");
    *row = (struct weft_row){ .kto_tag = -1, .turns = WEFT_NEWS(a, struct weft_turn, m->n) };
    if (!row->turns) return weft_fail_nomem(err, m->n * sizeof *row->turns, "a request");
    for (size_t i = 0; i < m->n; i++) {
        struct weft_str role = weft_json_get(&m->items[i], "role")->text, text = weft_json_get(&m->items[i], "content")->text;
        if (weft_str_is(role, "system")) row->system = text;
        else
            row->turns[row->n_turns++] =
                (struct weft_turn){ weft_str_is(role, "user") ? WEFT_ROLE_USER : WEFT_ROLE_ASSISTANT, text };
    }
    *sampling = (struct weft_sampling){ .temperature = t ? t->number : -1, .top_p = p ? p->number : -1, .top_k = -1,
                                        .repetition_penalty = -1, .seed = seed ? seed->integer : DEFAULT_SEED,
                                        .max_new_tokens = n ? n->integer : DEFAULT_TOKENS };
    return keep_to(l, &v, err);
}

static enum weft_status wait(void *ctx, uint32_t timeout_ms, struct weft_ask_reply *out, size_t max, size_t *n,
                             struct weft_err *err)
{
    struct weft_ask_local *l = ctx;
    struct weft_arena scratch = { 0 };
    struct weft_sampling sampling;
    struct weft_row row;
    *n = 0;
    if (!l->n || !max) return WEFT_OK;
    struct queued q = l->queue[0];
    memmove(l->queue, l->queue + 1, --l->n * sizeof *l->queue);
    weft_buf_clear(&l->last.text);
    weft_ids_clear(&l->last.ids);
    l->last = (struct weft_generated){ 0 };
    enum weft_status st = read_request(l, &scratch, q.body, &row, &sampling, err);
    if (!st) st = weft_session_answer(&l->session, &row, &sampling, go_on, l, &l->last);
    weft_arena_clear(&scratch);
    l->pieces = 0;
    if (weft_progress_cancelled(&l->cli->progress)) return WEFT_OK; /* what was written so far is no answer */
    out[0] = (struct weft_ask_reply){ .id = q.id,
                                      .finish = WEFT_CALL_FINISH_STOP,
                                      .text = weft_buf_view(&l->last.text) };
    if (st == WEFT_ELIMIT) {
        /* This passage is too long for the model; the next may fit. */
        l->why = l->cli->err;
        weft_err_clear(&l->cli->err);
        out[0].outcome = WEFT_ASK_GAVE_UP;
        out[0].message = weft_str_c(l->why.msg);
        st = WEFT_OK;
    } else if (!st) {
        const struct weft_generated *g = &l->last;
        out[0].prompt_tokens = (uint32_t)g->prompt_tokens;
        out[0].completion_tokens = (uint32_t)g->ids.n;
        if (g->finish == WEFT_FINISH_LENGTH) out[0].finish = WEFT_CALL_FINISH_LENGTH;
        l->rates.prefilled += g->prompt_tokens - g->cached_tokens;
        l->rates.prompt_ns += g->prompt_ns;
        l->rates.completion_tokens += g->ids.n;
        l->rates.decoded += g->ids.n > 1 ? g->ids.n - 1 : 0; /* the first one comes with the prompt */
        l->rates.decode_ns += g->decode_ns;
    }
    *n = st ? 0 : 1;
    return st;
}

/* Files that decide what the model answers: a README beside them does not. */
static bool decides(struct weft_str name)
{
    static const char *const suffixes[] = { ".safetensors", ".gguf", ".json", ".jinja", ".model", ".txt" };
    for (size_t i = 0; i < WEFT_COUNT(suffixes); i++)
        if (weft_str_ends(name, weft_str_c(suffixes[i]))) return !weft_str_starts(name, WEFT_STR("."));
    return false;
}

static enum weft_status key_of_path(struct weft_arena *a, struct weft_stage_key *key, const char *path,
                                    struct weft_err *err)
{
    const char **names = NULL;
    size_t n = 0;
    if (!weft_dir_exists(path)) return weft_stage_key_file(key, path, err);
    enum weft_status st = weft_dir_list(a, path, &names, &n, err);
    for (size_t i = 0; !st && i < n; i++) {
        const char *file = weft_path_join(a, path, names[i]);
        if (!file) return weft_fail_nomem(err, strlen(path), "a path");
        if (!decides(weft_str_c(names[i])) || !weft_file_exists(file)) continue;
        weft_stage_key_text(key, "name", weft_str_c(names[i]));
        st = weft_stage_key_file(key, file, err);
    }
    return st;
}

enum weft_status weft_ask_local_fingerprint(struct weft_cli *cli, const char *model, const char *adapter,
                                            char hex[WEFT_SHA256_HEX])
{
    struct weft_stage_key key = { 0 };
    const char *dir = NULL, *folder = adapter && adapter[0] ? weft_adapter_folder(&cli->arena, adapter) : NULL;
    enum weft_status st = weft_cli_model_path(cli, model, &dir);
    if (!st) st = weft_stage_key_begin(&key, "local", &cli->err);
    if (!st) st = key_of_path(&cli->arena, &key, dir, &cli->err);
    if (!st && folder) {
        weft_stage_key_text(&key, "adapter", WEFT_STR(""));
        st = key_of_path(&cli->arena, &key, folder, &cli->err);
    }
    if (!st) {
        weft_stage_key_finish(&key);
        memcpy(hex, key.hex, WEFT_SHA256_HEX);
    }
    weft_stage_key_clear(&key);
    return st;
}

static void abandon(void *ctx) { ((struct weft_ask_local *)ctx)->n = 0; }

enum weft_status weft_ask_local_new(struct weft_ask_local **out, struct weft_cli *cli, const char *model,
                                    const char *adapter, struct weft_ask_transport *transport)
{
    struct weft_ask_local *l = calloc(1, sizeof *l);
    const struct weft_session_settings open = { .model = model, .adapter = adapter };
    char hex[WEFT_SHA256_HEX];
    if (!l) return weft_fail_nomem(&cli->err, sizeof *l, "the model");
    l->cli = cli;
    l->progress = (struct weft_progress){ update, message, l, cli->progress.cancel };
    enum weft_status st = weft_session_open(&l->session, cli, &open);
    if (!st) st = weft_ask_local_fingerprint(cli, model, adapter, hex);
    if (!st) {
        l->session.repeatable = true;
        snprintf(l->endpoint, sizeof l->endpoint, "weft:%s", hex);
        *transport = (struct weft_ask_transport){ l->endpoint, send, wait, abandon, l, .free = true };
        *out = l;
    } else weft_ask_local_free(l);
    return st;
}

void weft_ask_local_free(struct weft_ask_local *l)
{
    if (!l) return;
    weft_guide_free(l->guide);
    weft_guide_vocab_free(l->vocab);
    weft_arena_clear(&l->shape_arena);
    weft_session_close(&l->session);
    weft_buf_clear(&l->last.text);
    weft_ids_clear(&l->last.ids);
    free(l);
}
