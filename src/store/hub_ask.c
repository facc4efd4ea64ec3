/* Short questions to a site, and what it means when it says no. */
#include "store/hub_job_parts.h"

#include "base/json.h"
#include "base/retry.h"
#include "base/url.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { ASK_BYTES = 64 << 20 };

/* ---- what a site says ---- */

/* No reply: what could be set so that there is one. */
static enum weft_status no_reply(const struct weft_http_reply *r, const char *name,
                                 const struct weft_hub_settings *settings, struct weft_err *err)
{
    if (r->fault == WEFT_HTTP_TLS)
        return weft_fail(err, r->err.status, "%s: %s; --ca-file or SSL_CERT_FILE names the certificates to trust", name,
                         r->err.msg);
    if (r->err.rule[0]) return weft_fail_rule(err, r->err.status, r->err.rule, "%s: %s", name, r->err.msg);
    if (r->err.status != WEFT_EREMOTE || !settings)
        return weft_fail(err, r->err.status, r->err.status == WEFT_EREMOTE ? "%s: %s; HTTPS_PROXY names a proxy" : "%s: %s",
                         name, r->err.msg);
    return weft_fail(err, r->err.status, "%s: %s; %s names another site or mirror, HTTPS_PROXY a proxy", name, r->err.msg,
                     settings->endpoint);
}

enum weft_status weft_hub_refused(const struct weft_http_reply *r, const char *name,
                                  const struct weft_hub_settings *settings, struct weft_err *err)
{
    struct weft_arena scratch = { .block_bytes = 4096 };
    struct weft_api_error e;
    struct weft_url url;
    struct weft_str code = weft_http_header(r, "x-error-code"), said = weft_http_header(r, "x-error-message");
    char message[256] = "", host[128];
    if (r->fault) return no_reply(r, name, settings, err);
    if (!said.len && weft_api_error_read(&scratch, r->body, &e)) said = e.message;
    if (!said.len && r->body.len < 200) said = weft_str_trim_ascii(r->body);
    weft_escape(message, sizeof message, said.s ? said : WEFT_STR(""));
    weft_escape(host, sizeof host, weft_url_parse(r->url, &url, NULL) ? r->url : url.host);
    if (weft_str_is(code, "GatedRepo"))
        weft_fail(err, WEFT_EREMOTE,
                  "%s is given only to those who accepted its licence: accept it on its page, and set "
                  "HF_TOKEN to your token",
                  name);
    else if (weft_str_is(code, "RevisionNotFound"))
        weft_fail(err, WEFT_EREMOTE, "%s has no such revision (HTTP %d); check what stands behind the @", name,
                  r->status);
    else if (weft_str_is(code, "EntryNotFound"))
        weft_fail(err, WEFT_EREMOTE, "%s is not in the repository any more (HTTP %d)", name, r->status);
    else if (settings && (r->status == 401 || r->status == 403 || r->status == 404))
        weft_fail(err, WEFT_EREMOTE,
                  "%s does not exist at %s, or needs a token to be read (HTTP %d: %s); check its name, %s and %s", name,
                  host, r->status, message, settings->endpoint, settings->token);
    else if (settings && r->status == 429)
        weft_fail(err, WEFT_EREMOTE, "%s asks for patience with %s (HTTP 429: %s); try again later, or set %s", host,
                  name, message, settings->token);
    else if (settings)
        weft_fail(err, WEFT_EREMOTE, "%s does not give %s (HTTP %d: %s); %s names another site or mirror", host, name,
                  r->status, message, settings->endpoint);
    else weft_fail(err, WEFT_EREMOTE, "%s does not give %s (HTTP %d: %s)", host, name, r->status, message);
    weft_arena_clear(&scratch);
    return WEFT_EREMOTE;
}

uint64_t weft_hub_pause_ms(struct weft_rng *rng, const struct weft_hub_options *o, int tries)
{
    return weft_backoff_ms(rng, tries, o->backoff_ms ? o->backoff_ms : 1000,
                           o->max_backoff_ms ? o->max_backoff_ms : 30 * 1000);
}

bool weft_hub_try_again(const struct weft_http_reply *r, int tries, int max_tries, const struct weft_hub_options *o,
                        struct weft_rng *rng, uint64_t *wait_ms)
{
    uint64_t asked = 0;
    if (r->fault == WEFT_HTTP_CANCELLED || r->fault == WEFT_HTTP_FORBIDDEN || r->fault == WEFT_HTTP_TOO_LARGE)
        return false;
    if (!r->fault && r->status != 408 && r->status != 429 && r->status < 500) return false;
    if (tries >= max_tries) return false;
    *wait_ms = weft_hub_pause_ms(rng, o, tries);
    if (!r->fault && weft_retry_after_ms(weft_http_header(r, "retry-after"), time(NULL), &asked))
        *wait_ms = asked < *wait_ms ? *wait_ms : asked < 600 * 1000 ? asked : 600 * 1000;
    return true;
}

/* ---- short questions ---- */

struct question {
    struct weft_http *http;
    struct weft_arena *a;
    struct weft_http_request request;
    const struct weft_hub_options *options;
    struct weft_rng rng;
    int tries, max_tries;
    struct weft_str *body;
    struct weft_http_reply *headers;
    bool unreachable;
    const struct weft_hub_question *what;
    enum weft_status st;
    struct weft_err *err;
};

static void submit_question(void *ctx)
{
    struct question *q = ctx;
    q->st = weft_http_submit(q->http, &q->request, NULL, q->err);
}

static void on_answer(void *ctx, const struct weft_http_reply *r)
{
    struct question *q = ctx;
    uint64_t wait;
    if (!r->fault && (r->status == 200 || (q->what->head && r->status < 400))) {
        struct weft_str *const copies[] = { q->body, q->headers ? &q->headers->headers : NULL };
        const struct weft_str texts[] = { r->body, r->headers };
        for (size_t i = 0; i < WEFT_COUNT(copies); i++) {
            if (!copies[i]) continue;
            *copies[i] = weft_str_dup(q->a, texts[i]);
            if (!copies[i]->s) q->st = weft_fail_nomem(q->err, texts[i].len, "a listing");
        }
        if (q->headers) q->headers->status = r->status;
    } else if (weft_hub_try_again(r, ++q->tries, q->max_tries, q->options, &q->rng, &wait)) {
        if (!weft_http_timer(q->http, wait, submit_question, q))
            q->st = weft_fail_nomem(q->err, 64, "the HTTP client");
    } else {
        q->unreachable = r->fault && r->fault != WEFT_HTTP_CANCELLED;
        q->st = weft_hub_refused(r, q->what->name, q->what->settings, q->err);
    }
}

enum weft_status weft_hub_ask(struct weft_http *http, struct weft_arena *a, const struct weft_hub_question *what,
                              const struct weft_hub_options *options, struct weft_str *body,
                              struct weft_http_reply *headers, bool *unreachable, struct weft_err *err)
{
    const struct weft_http_header identity = { "Accept-Encoding", "identity" };
    struct question q = { .http = http,
                          .a = a,
                          .options = options,
                          .body = body,
                          .headers = headers,
                          .err = err,
                          .what = what,
                          .max_tries = what->tries };
    /* Of a redirect to other storage the headers are wanted, not the storage. */
    q.request = (struct weft_http_request){ .method = what->head ? "HEAD" : "GET",
                                            .url = what->url,
                                            .bearer = what->bearer,
                                            .headers = &identity,
                                            .n_headers = 1,
                                            .follow = WEFT_HTTP_SAME_ORIGIN,
                                            .max_body_bytes = ASK_BYTES,
                                            .gap_ms = options->gap_ms,
                                            .ctx = &q,
                                            .done = on_answer };
    weft_rng_init(&q.rng, (uint64_t)time(NULL) ^ ((uint64_t)getpid() << 32), WEFT_RNG_SAMPLE, 1);
    submit_question(&q);
    enum weft_status st = q.st;
    if (!st) st = weft_http_run(http, options->progress, err);
    if (!st) st = q.st;
    if (unreachable) *unreachable = q.unreachable;
    return st;
}
