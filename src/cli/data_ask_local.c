/* A model of weft answers the requests of dataset/ask.h, one after the other.  Its endpoint is named by the content of
 * its files, so that the ledger knows a model that was trained further as another one. */
#include "cli/data_ask.h"
#include "cli/road.h"

#include <stdio.h>
#include <stdlib.h>

enum { MAX_QUEUE = 1024 };

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
};

static enum weft_status send(void *ctx, size_t id, struct weft_str body, const char *key, struct weft_err *err)
{
    struct weft_ask_local *l = ctx;
    if (l->n == MAX_QUEUE) return weft_fail(err, WEFT_EARG, "more requests at once than concurrency allows");
    l->queue[l->n++] = (struct queued){ id, body };
    return WEFT_OK;
}

static bool go_on(void *ctx, struct weft_str piece) { return !*((struct weft_cli *)ctx)->progress.cancel; }

/* Messages of the request as a row, and its sampling. */
static enum weft_status read_request(struct weft_arena *a, struct weft_str body, struct weft_row *row,
                                     struct weft_sampling *sampling, struct weft_err *err)
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
                                        .repetition_penalty = -1, .seed = seed ? seed->integer : 42,
                                        .max_new_tokens = n ? n->integer : 512 };
    return WEFT_OK;
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
    enum weft_status st = read_request(&scratch, q.body, &row, &sampling, err);
    if (!st) st = weft_session_answer(&l->session, &row, &sampling, go_on, l->cli, &l->last);
    weft_arena_clear(&scratch);
    if (*l->cli->progress.cancel) return WEFT_OK; /* what was written so far is no answer */
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
        out[0].completion_tokens = (uint32_t)l->last.ids.n;
        if (l->last.ids.n >= (size_t)sampling.max_new_tokens) out[0].finish = WEFT_CALL_FINISH_LENGTH;
    }
    *n = st ? 0 : 1;
    return st;
}

static void abandon(void *ctx) { ((struct weft_ask_local *)ctx)->n = 0; }

enum weft_status weft_ask_local_new(struct weft_ask_local **out, struct weft_cli *cli, const char *model,
                                    const char *adapter, struct weft_ask_transport *transport)
{
    struct weft_ask_local *l = calloc(1, sizeof *l);
    const struct weft_session_settings open = { .model = model, .adapter = adapter };
    struct weft_stage_key key = { 0 };
    if (!l) return weft_fail_nomem(&cli->err, sizeof *l, "the model");
    l->cli = cli;
    enum weft_status st = weft_session_open(&l->session, cli, &open);
    if (!st) st = weft_stage_key_begin(&key, "local", &cli->err);
    if (!st) st = weft_stage_key_file(&key, l->session.model_dir, &cli->err);
    if (!st && adapter) st = weft_stage_key_file(&key, weft_adapter_folder(&cli->arena, adapter), &cli->err);
    if (!st) {
        weft_stage_key_finish(&key);
        snprintf(l->endpoint, sizeof l->endpoint, "weft:%s", key.hex);
        *transport = (struct weft_ask_transport){ l->endpoint, send, wait, abandon, l };
        *out = l;
    } else weft_ask_local_free(l);
    weft_stage_key_clear(&key);
    return st;
}

void weft_ask_local_free(struct weft_ask_local *l)
{
    if (!l) return;
    weft_session_close(&l->session);
    weft_buf_clear(&l->last.text);
    weft_ids_clear(&l->last.ids);
    free(l);
}
