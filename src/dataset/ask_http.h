/* dataset/ask_http.h - a chat completions endpoint as the transport of dataset/ask.h
 *
 * Any OpenAI-compatible service.  Retries, Retry-After and the number of requests in flight are those of base/retry.h
 * (C2-C6); the key of the ledger travels as Idempotency-Key (LG4).  Replies are streamed, so that silence is noticed
 * and a slow model is not taken for a dead one; a service that answers whole all the same is understood.
 *
 * Owner:   the handle.
 * Threads: one.
 */
#ifndef WEFT_DATASET_ASK_HTTP_H
#define WEFT_DATASET_ASK_HTTP_H

#include "base/http.h"
#include "dataset/ask.h"

struct weft_ask_http_options {
    const char *base_url; /* "https://api.deepseek.com/v1"; "/chat/completions" is put behind it */
    const char *key;      /* NULL or "": none is sent */
    int64_t concurrency;  /* most requests in flight; 0: 16 */
    bool whole;           /* do not ask for a stream */
    /* Named in messages: which setting to change. */
    const char *key_setting, *model_setting, *url_setting;
    uint32_t backoff_ms, first_byte_ms, gap_ms, whole_ms; /* 0: those of base/http.h and base/retry.h */
    struct weft_http_options http;
};

struct weft_ask_http;

/* WEFT_EARG: the address cannot be used. WEFT_ESYSTEM: libcurl is not installed. */
WEFT_MUST_USE enum weft_status weft_ask_http_new(struct weft_ask_http **out, const struct weft_ask_http_options *o,
                                                 struct weft_ask_transport *transport, struct weft_err *err);
void weft_ask_http_free(struct weft_ask_http *h); /* accepts NULL */

/* Well-known services and programs. */
struct weft_ask_preset {
    const char *name, *base_url;
    const char *key_env; /* the variable that holds the key; NULL: none is needed */
    const char *help, *help_zh;
};
const struct weft_ask_preset *weft_ask_preset(const char *name);    /* NULL: no such */
const struct weft_ask_preset *weft_ask_preset_at(size_t i);         /* NULL behind the last */
WEFT_MUST_USE enum weft_status weft_ask_preset_unknown(const char *name, struct weft_err *err);

#endif
