/* One call is: ready (waits for the limiter), flying, or resting until its next try.  Its reply is put together in the
 * call itself and handed out by the next wait. */
#include "dataset/ask_http.h"

#include "base/lang.h"
#include "base/retry.h"
#include "base/sse.h"
#include "dataset/ask_reply.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

enum { DEFAULT_CONCURRENCY = 16 };

enum stage { FREE, READY, FLYING, RESTING, ENDED };

struct call {
    struct weft_ask_http *owner;
    enum stage stage;
    size_t id;
    struct weft_buf body;          /* with "stream" */
    const char *key;
    struct weft_retry retry;
    struct weft_http_call *handle;
    uint64_t wake_ms;              /* RESTING */
    /* the try under way */
    struct weft_chat_reply reply;
    struct weft_sse sse;
    struct weft_buf raw;           /* the body, or the first bytes of a stream */
    bool is_stream, told;          /* told: its outcome stands in `out` and was not handed out yet */
    struct weft_err broken;        /* why the reply cannot be read */
    struct weft_ask_reply out;
    struct weft_err why;           /* what out.message points into */
};

struct weft_ask_http {
    struct weft_http *http;
    struct weft_limiter limiter;
    struct weft_retry_rules rules;
    struct weft_rng rng;
    struct weft_ask_http_options o;
    char *url;
    struct call *calls; /* [n_calls] */
    size_t n_calls, n_told;
    bool abandoned;
    enum weft_lang lang;
};

/* ---- a reply comes ---- */

static bool on_event(void *ctx, const struct weft_sse_event *event)
{
    struct call *c = ctx;
    if (!event->data.len || weft_chat_reply_event(&c->reply, event->data, &c->broken) != WEFT_OK)
        return !event->data.len;
    return true;
}

static bool on_head(void *ctx, const struct weft_http_reply *reply)
{
    struct call *c = ctx;
    struct weft_str type = weft_http_header(reply, "Content-Type");
    c->is_stream = reply->status / 100 == 2 && type.len >= 17 && strncasecmp(type.s, "text/event-stream", 17) == 0;
    return true;
}

static bool on_piece(void *ctx, const struct weft_http_reply *reply, struct weft_str piece)
{
    struct call *c = ctx;
    if (!c->is_stream) {
        weft_buf_str(&c->raw, piece);
        return !c->raw.failed;
    }
    if (c->raw.len < WEFT_CALL_RAW_BYTES)
        weft_buf_str(&c->raw, weft_str_sub(piece, 0, WEFT_CALL_RAW_BYTES - c->raw.len));
    if (c->broken.status) return true; /* read to the end all the same: the connection can be used again */
    enum weft_status st = weft_sse_feed(&c->sse, piece, on_event, c, &c->broken);
    return st == WEFT_OK || c->broken.status != WEFT_OK;
}

/* A 2xx reply that came whole: is it an answer?  The reason why not is in c->broken. */
static bool read_reply(struct call *c)
{
    struct weft_err *e = &c->broken;
    if (!c->is_stream && !e->status && weft_chat_reply_body(&c->reply, weft_buf_view(&c->raw), e) != WEFT_OK)
        return false;
    if (e->status) return false;
    if (c->reply.error[0]) (void)weft_fail(e, WEFT_EREMOTE, "the service answered with an error: %s", c->reply.error);
    else if (c->is_stream && !c->sse.done)
        (void)weft_fail(e, WEFT_EINPUT, "the stream ended without [DONE]: the reply was cut short");
    else if (!c->reply.any) (void)weft_fail(e, WEFT_EINPUT, "the reply has no message: it is no chat completion");
    return !e->status;
}

static void tell(struct call *c, enum weft_ask_outcome outcome, const struct weft_http_reply *reply, bool maybe_paid)
{
    struct weft_chat_reply *r = &c->reply;
    c->out = (struct weft_ask_reply){ .id = c->id, .outcome = outcome, .http_status = (uint32_t)reply->status,
                                      .maybe_paid = maybe_paid };
    if (outcome == WEFT_ASK_REPLY) {
        c->out.finish = r->finish;
        c->out.prompt_tokens = r->prompt_tokens;
        c->out.completion_tokens = r->completion_tokens;
        c->out.text = weft_buf_view(&r->text);
        c->out.reasoning = weft_buf_view(&r->reasoning);
        c->out.refused = r->refusal.len > 0;
        c->out.message = weft_buf_view(&r->refusal);
    } else {
        c->out.text = weft_str_sub(weft_buf_view(&c->raw), 0, WEFT_CALL_RAW_BYTES);
        c->out.message = weft_str_c(c->why.msg);
    }
    c->told = true;
    c->owner->n_told++;
}

static void on_done(void *ctx, const struct weft_http_reply *reply)
{
    struct call *c = ctx;
    struct weft_ask_http *h = c->owner;
    uint64_t wait_ms = 0;
    int paid_before = c->retry.maybe_paid;
    if (h->abandoned || reply->fault == WEFT_HTTP_CANCELLED) {
        weft_limiter_drop(&h->limiter);
        c->stage = FREE;
        return;
    }
    struct weft_try t = weft_try_of(reply);
    t.body = weft_buf_view(&c->raw);
    if (reply->fault == WEFT_HTTP_FINE && reply->status / 100 == 2 && !read_reply(c)) {
        t.broken = true;
        t.message = weft_str_c(c->broken.msg);
    }
    weft_err_clear(&c->why);
    enum weft_retry_verdict v = weft_retry_next(&h->rules, &h->limiter, &c->retry, &t, weft_http_now_ms(h->http),
                                                (int64_t)time(NULL), &h->rng, &wait_ms, &c->why);
    bool maybe_paid = c->retry.maybe_paid > paid_before;
    switch (v) {
    case WEFT_RETRY_DONE:
        c->stage = ENDED;
        tell(c, WEFT_ASK_REPLY, reply, false);
        break;
    case WEFT_RETRY_AGAIN:
        c->stage = RESTING;
        c->wake_ms = weft_http_now_ms(h->http) + wait_ms;
        if (t.message.len) snprintf(c->why.msg, sizeof c->why.msg, "%.*s", (int)t.message.len, t.message.s);
        else snprintf(c->why.msg, sizeof c->why.msg, "HTTP %d", reply->status);
        tell(c, WEFT_ASK_TRY_FAILED, reply, maybe_paid);
        break;
    case WEFT_RETRY_GIVE_UP:
        c->stage = ENDED;
        tell(c, WEFT_ASK_GAVE_UP, reply, maybe_paid);
        break;
    case WEFT_RETRY_STOP:
        c->stage = ENDED;
        tell(c, WEFT_ASK_STOP, reply, maybe_paid);
        break;
    }
}

/* ---- a request goes ---- */

static void clear_try(struct call *c)
{
    weft_chat_reply_clear(&c->reply);
    weft_sse_clear(&c->sse);
    weft_buf_reset(&c->raw);
    c->raw.max_bytes = WEFT_HTTP_MAX_BODY;
    c->is_stream = false;
    weft_err_clear(&c->broken);
    c->broken.lang = c->why.lang = c->owner->lang;
}

static enum weft_status start(struct weft_ask_http *h, struct call *c, struct weft_err *err)
{
    const struct weft_http_header headers[] = { { "Content-Type", "application/json" },
                                                { "Accept", h->o.whole ? "application/json" : "text/event-stream" },
                                                { "Idempotency-Key", c->key } };
    clear_try(c);
    const struct weft_http_request request = { .url = h->url, .headers = headers, .n_headers = WEFT_COUNT(headers),
                                               .bearer = h->o.key && h->o.key[0] ? h->o.key : NULL,
                                               .body = weft_buf_view(&c->body), .first_byte_ms = h->o.first_byte_ms,
                                               .gap_ms = h->o.gap_ms, .whole_ms = h->o.whole_ms, .ctx = c,
                                               .head = on_head, .piece = on_piece, .done = on_done };
    enum weft_status st = weft_http_submit(h->http, &request, &c->handle, err);
    if (st) weft_limiter_drop(&h->limiter);
    else c->stage = FLYING;
    return st;
}

static enum weft_status start_ready(struct weft_ask_http *h, struct weft_err *err)
{
    uint64_t now = weft_http_now_ms(h->http);
    enum weft_status st = WEFT_OK;
    for (size_t i = 0; i < h->n_calls && !st; i++) {
        struct call *c = &h->calls[i];
        if (c->stage == RESTING && !c->told && now >= c->wake_ms) c->stage = READY;
        if (c->stage != READY) continue;
        if (!weft_limiter_take(&h->limiter, &c->retry, now)) break;
        st = start(h, c, err);
    }
    return st;
}

/* Milliseconds until something of ours is due. */
static uint64_t next_due(const struct weft_ask_http *h)
{
    uint64_t now = weft_http_now_ms(h->http), due = UINT64_MAX;
    bool ready = false;
    for (size_t i = 0; i < h->n_calls; i++) {
        const struct call *c = &h->calls[i];
        ready |= c->stage == READY;
        if (c->stage == RESTING && c->wake_ms < due) due = c->wake_ms;
    }
    due = due == UINT64_MAX ? due : due > now ? due - now : 0;
    uint64_t open = ready ? weft_limiter_wait(&h->limiter, now) : 0;
    return open && open < due ? open : due;
}

static enum weft_status send(void *ctx, size_t id, struct weft_str body, const char *key, struct weft_err *err)
{
    struct weft_ask_http *h = ctx;
    size_t i = 0;
    /* What ended and was handed out is done with when new requests come. */
    while (i < h->n_calls && (h->calls[i].told || (h->calls[i].stage != FREE && h->calls[i].stage != ENDED))) i++;
    if (i == h->n_calls || body.len < 2 || body.s[body.len - 1] != '}')
        return weft_fail(err, WEFT_EARG, "more requests at once than concurrency allows");
    struct call *c = &h->calls[i];
    clear_try(c);
    c->id = id;
    c->key = key;
    c->retry = (struct weft_retry){ 0 };
    weft_buf_reset(&c->body);
    weft_buf_str(&c->body, body);
    if (!h->o.whole && !c->body.failed) {
        c->body.len--;
        weft_buf_cstr(&c->body, ",\"stream\":true,\"stream_options\":{\"include_usage\":true}}");
    }
    enum weft_status st = weft_buf_check(&c->body, "a request", err);
    if (!st) c->stage = READY;
    return st;
}

static enum weft_status wait(void *ctx, uint32_t timeout_ms, struct weft_ask_reply *out, size_t max, size_t *n,
                             struct weft_err *err)
{
    struct weft_ask_http *h = ctx;
    uint64_t begin = weft_http_now_ms(h->http), now;
    enum weft_status st = WEFT_OK;
    *n = 0;
    /* What was handed out last time is done with. */
    for (size_t i = 0; i < h->n_calls; i++)
        if (h->calls[i].stage == ENDED && !h->calls[i].told) h->calls[i].stage = FREE;
    do {
        st = start_ready(h, err);
        now = weft_http_now_ms(h->http);
        uint64_t left = now - begin < timeout_ms ? timeout_ms - (now - begin) : 0, due = next_due(h);
        if (!st) st = weft_http_step(h->http, (uint32_t)(due < left ? due : left), err);
        now = weft_http_now_ms(h->http);
    } while (!st && !h->n_told && now - begin < timeout_ms);
    for (size_t i = 0; i < h->n_calls && *n < max; i++) {
        if (!h->calls[i].told) continue;
        out[(*n)++] = h->calls[i].out;
        h->calls[i].told = false;
        h->n_told--;
    }
    return st;
}

static void abandon(void *ctx)
{
    struct weft_ask_http *h = ctx;
    struct weft_err ignored = { 0 };
    h->abandoned = true;
    weft_http_cancel_all(h->http);
    for (int turns = 0; weft_http_calls(h->http) && turns < 100; turns++)
        if (weft_http_step(h->http, 10, &ignored)) break;
    for (size_t i = 0; i < h->n_calls; i++) {
        h->calls[i].stage = FREE;
        h->calls[i].told = false;
    }
    h->n_told = 0;
    h->abandoned = false;
}

/* ---- the handle ---- */

enum weft_status weft_ask_http_new(struct weft_ask_http **out, const struct weft_ask_http_options *o,
                                   struct weft_ask_transport *transport, struct weft_err *err)
{
    struct weft_ask_http *h = calloc(1, sizeof *h);
    size_t len = strlen(o->base_url);
    if (!h) return weft_fail_nomem(err, sizeof *h, "requests");
    h->o = *o;
    h->lang = err ? err->lang : WEFT_LANG_EN;
    h->n_calls = (size_t)(o->concurrency ? o->concurrency : DEFAULT_CONCURRENCY);
    h->rules = (struct weft_retry_rules){ .backoff_ms = o->backoff_ms, .key_setting = o->key_setting,
                                          .model_setting = o->model_setting, .url_setting = o->url_setting };
    while (len && o->base_url[len - 1] == '/') len--;
    enum weft_status st = WEFT_OK;
    if (asprintf(&h->url, "%.*s/chat/completions", (int)len, o->base_url) < 0) {
        h->url = NULL;
        st = weft_fail_nomem(err, len, "a path");
    }
    h->calls = calloc(h->n_calls, sizeof *h->calls);
    if (!st && !h->calls) st = weft_fail_nomem(err, h->n_calls * sizeof *h->calls, "requests");
    for (size_t i = 0; h->calls && i < h->n_calls; i++) h->calls[i].owner = h;
    weft_limiter_init(&h->limiter, (int)h->n_calls);
    /* Jitter only keeps programs apart; no result depends on it. */
    weft_rng_init(&h->rng, (uint64_t)time(NULL), WEFT_RNG_DATA, (uint64_t)getpid());
    if (!st) st = weft_http_new(&h->http, &o->http, err);
    if (st) weft_ask_http_free(h);
    else {
        *out = h;
        *transport = (struct weft_ask_transport){ o->base_url, send, wait, abandon, h, .free = false };
    }
    return st;
}

void weft_ask_http_free(struct weft_ask_http *h)
{
    if (!h) return;
    weft_http_free(h->http);
    for (size_t i = 0; h->calls && i < h->n_calls; i++) {
        weft_chat_reply_clear(&h->calls[i].reply);
        weft_sse_clear(&h->calls[i].sse);
        weft_buf_clear(&h->calls[i].raw);
        weft_buf_clear(&h->calls[i].body);
    }
    free(h->calls);
    free(h->url);
    free(h);
}

/* ---- presets ---- */

static const struct weft_ask_preset presets[] = {
    { "openai", "https://api.openai.com/v1", "OPENAI_API_KEY", "OpenAI", "OpenAI" },
    { "deepseek", "https://api.deepseek.com/v1", "DEEPSEEK_API_KEY", "DeepSeek", "深度求索 DeepSeek" },
    { "siliconflow", "https://api.siliconflow.cn/v1", "SILICONFLOW_API_KEY", "SiliconFlow", "硅基流动" },
    { "moonshot", "https://api.moonshot.cn/v1", "MOONSHOT_API_KEY", "Moonshot (Kimi)", "月之暗面 Kimi" },
    { "dashscope", "https://dashscope.aliyuncs.com/compatible-mode/v1", "DASHSCOPE_API_KEY", "DashScope (Qwen)",
      "阿里云百炼（通义千问）" },
    { "zhipu", "https://open.bigmodel.cn/api/paas/v4", "ZHIPUAI_API_KEY", "Zhipu (GLM)", "智谱 GLM" },
    { "openrouter", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY", "OpenRouter", "OpenRouter" },
    { "ollama", "http://localhost:11434/v1", NULL, "Ollama on this machine", "本机的 Ollama" },
    { "vllm", "http://localhost:8000/v1", NULL, "vLLM on this machine", "本机的 vLLM" },
    { "lmstudio", "http://localhost:1234/v1", NULL, "LM Studio on this machine", "本机的 LM Studio" },
};

const struct weft_ask_preset *weft_ask_preset_at(size_t i) { return i < WEFT_COUNT(presets) ? &presets[i] : NULL; }

const struct weft_ask_preset *weft_ask_preset(const char *name)
{
    for (size_t i = 0; i < WEFT_COUNT(presets); i++)
        if (strcmp(presets[i].name, name) == 0) return &presets[i];
    return NULL;
}

enum weft_status weft_ask_preset_unknown(const char *name, struct weft_err *err)
{
    const char *names[WEFT_COUNT(presets)];
    for (size_t i = 0; i < WEFT_COUNT(presets); i++) names[i] = presets[i].name;
    const char *nearest = weft_nearest(name, names, WEFT_COUNT(names));
    return weft_fail(err, WEFT_EARG,
                     "unknown preset \"%s\"; the nearest is %s (presets: openai, deepseek, siliconflow, moonshot, "
                     "dashscope, zhipu, openrouter, ollama, vllm, lmstudio; any other service: --endpoint URL)",
                     name, nearest ? nearest : names[0]);
}
