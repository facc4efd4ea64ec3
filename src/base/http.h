/* base/http.h - an HTTP client: hundreds of calls in flight on one thread
 *
 * A loop holds calls and timers.  The caller submits calls, runs the loop, and is called back: when a reply's head is
 * there, for each piece of its body, and once when the call is over, however it ended.  libcurl does the protocol
 * (opened on first use through base/library.h); sockets are watched with epoll.
 *
 *     struct weft_http *h = NULL;
 *     st = weft_http_new(&h, &(struct weft_http_options){ 0 }, err);
 *     if (!st) st = weft_http_submit(h, &(struct weft_http_request){ .url = url, .done = on_done, .ctx = me }, NULL,
 * err);
 *     if (!st) st = weft_http_run(h, progress, err);
 *     weft_http_free(h);
 *
 * Security (rules B7, D9): http and https only; certificates are always verified; addresses are read by base/url.h;
 * link-local and metadata addresses are refused at the moment of connecting, so that a name which resolves differently
 * the second time gains nothing; redirects are followed only when asked; `bearer` never goes to another origin.
 * Nothing is read from the environment: proxy and CA file come in as options.
 *
 * Owner:   the loop owns calls; strings of a request are copied unless said otherwise.
 * Threads: a loop and all its callbacks belong to one thread.  (The resolver may use threads of its own.)
 */
#ifndef WEFT_BASE_HTTP_H
#define WEFT_BASE_HTTP_H

#include "base/progress.h"
#include "base/str.h"

struct weft_http;
struct weft_http_call;

struct weft_http_options {
    enum weft_lang lang;     /* of the messages in replies */
    const char *proxy;       /* "http://host:port", "socks5h://..."; NULL or "": none */
    const char *plain_proxy; /* for http:// addresses instead of `proxy`; "": none; NULL: `proxy` */
    const char *no_proxy;    /* "localhost,.example.org": hosts reached directly; NULL: none */
    const char *ca_file;     /* certificates to trust instead of the system's; NULL: the system's */
    const char *user_agent;  /* NULL: "weft/VERSION" */
    bool public_only;        /* refuse private and loopback addresses too */
    const char *const
        *resolve; /* [n_resolve] "host:port:address": answers that go before DNS, as in a hosts file */
    size_t n_resolve;
};

/* `ca_file` that cannot be read: WEFT_EARG.  libcurl is not installed: WEFT_ESYSTEM naming the package. */
WEFT_MUST_USE enum weft_status weft_http_new(struct weft_http **out, const struct weft_http_options *options,
                                             struct weft_err *err);
/* Ends calls that are still there without calling back.  Accepts NULL. */
void weft_http_free(struct weft_http *h);

/* ---- a call ---- */

enum weft_http_fault {
    WEFT_HTTP_FINE,      /* a whole reply came, whatever its status: 404 and 500 are replies */
    WEFT_HTTP_DNS,       /* the name has no address */
    WEFT_HTTP_REFUSED,   /* no connection: refused, unreachable */
    WEFT_HTTP_RESET,     /* the connection broke, or the reply was cut short */
    WEFT_HTTP_TLS,       /* the certificate or the handshake failed */
    WEFT_HTTP_TIMEOUT,   /* one of the four deadlines; `sent` tells before from after */
    WEFT_HTTP_TOO_LARGE, /* the body is above max_body_bytes */
    WEFT_HTTP_BAD_REPLY, /* what came is no HTTP, or too many redirects, or one to a bad address */
    WEFT_HTTP_FORBIDDEN, /* the host has only addresses that are never called, see weft_address_kind */
    WEFT_HTTP_CANCELLED, /* by weft_http_cancel, by a callback that returned false, or by the progress flag */
    WEFT_HTTP_LOCAL      /* this machine failed: memory, descriptors */
};

enum weft_http_follow {
    WEFT_HTTP_STAY,        /* a redirect is a reply like any other */
    WEFT_HTTP_SAME_ORIGIN, /* followed to the same scheme, host and port; to elsewhere it is a reply */
    WEFT_HTTP_ANYWHERE /* followed, at most 5 times; never from https to http; without `bearer` at another origin */
};

struct weft_http_header {
    const char *name, *value;
};

struct weft_http_reply {
    enum weft_http_fault fault;
    bool sent;            /* the request may have reached the other end: the call may have to be paid */
    int status;           /* 200, 404 ...; 0 while there is none */
    struct weft_str body; /* what was collected, also after a fault; valid until `done` returns; has a final NUL */
    struct weft_str url;  /* where the reply came from, after redirects */
    uint64_t body_bytes;  /* received in all, streamed or collected */
    uint64_t ms,
        first_byte_ms;       /* from submit to the end, and to the first byte of the last reply (0: none came) */
    struct weft_str headers; /* "Name: value\r\n" ... of the last reply, for weft_http_header */
    struct weft_err err; /* after a fault: a sentence, as WEFT_EREMOTE, WEFT_ELIMIT, WEFT_ECANCEL, WEFT_ESYSTEM */
};

/* The value of a header of the reply, trimmed, any case of `name`; the last one counts when it came more than once;
 * s == NULL: none. */
struct weft_str weft_http_header(const struct weft_http_reply *reply, const char *name);

enum { WEFT_HTTP_MAX_BODY = 16 << 20, WEFT_HTTP_REDIRECTS = 5 };
#define WEFT_HTTP_NEVER UINT32_MAX

struct weft_http_request {
    const char *method; /* NULL: "GET", or "POST" when there is a body; "HEAD", "PUT", "DELETE" ... */
    const char *url;
    const struct weft_http_header *headers; /* [n_headers]; control characters are refused */
    size_t n_headers;
    const char *bearer;   /* "Authorization: Bearer ..."; never shown in a message; NULL: none */
    struct weft_str body; /* NOT copied: must live until `done` */
    uint64_t from, to;    /* bytes wanted: "Range: bytes=from-to"; both 0: all, to 0: until the end */
    enum weft_http_follow follow;

    uint64_t max_body_bytes; /* 0: 16 MiB; UINT64_MAX: any */
    uint32_t connect_ms;     /* name, connection and TLS; 0: 10 s */
    uint32_t first_byte_ms;  /* from the request sent to the reply's first byte; 0: 120 s */
    uint32_t gap_ms;         /* silence within a reply; 0: 60 s */
    uint32_t whole_ms;       /* from submit to the end; 0: 600 s; each may be WEFT_HTTP_NEVER */

    void *ctx; /* first argument of the callbacks */
    /* The head of the reply is there (status, headers), no byte of the body yet; may be NULL.  Called once a reply
     * that is not followed.  False cancels. */
    bool (*head)(void *ctx, const struct weft_http_reply *reply);
    /* A piece of the body, cut anywhere; NULL: the body is collected into reply->body.  Replies of status 300 and
     * above are always collected (their first MiB): an error is short and wanted whole.  False cancels. */
    bool (*piece)(void *ctx, const struct weft_http_reply *reply, struct weft_str piece);
    /* The call is over; required; called exactly once, from weft_http_run or _step, never from _submit.  It may submit
     * calls and set timers. */
    void (*done)(void *ctx, const struct weft_http_reply *reply);
};

/* WEFT_EARG: the address or a header cannot be used; nothing was started and `done` will not be called.  `call` (may
 * be NULL) gets a handle for weft_http_cancel, good until `done` was called. */
WEFT_MUST_USE enum weft_status weft_http_submit(struct weft_http *h, const struct weft_http_request *request,
                                                struct weft_http_call **call, struct weft_err *err);
/* `done` is called with WEFT_HTTP_CANCELLED at the next turn of the loop. Allowed in every callback. */
void weft_http_cancel(struct weft_http *h, struct weft_http_call *call);
void weft_http_cancel_all(struct weft_http *h);

/* ---- timers and turns ---- */

/* Calls fn(ctx) once, `delay_ms` from now, from weft_http_run or _step.  Returns 0, or the timer's number. */
WEFT_MUST_USE uint64_t weft_http_timer(struct weft_http *h, uint64_t delay_ms, void (*fn)(void *ctx), void *ctx);
void weft_http_timer_cancel(struct weft_http *h, uint64_t number);

/* Turns until no call and no timer is left: WEFT_OK.  When progress->cancel is set, calls are cancelled (each `done`
 * is called), timers dropped, and the result is WEFT_ECANCEL.  `progress` may be NULL. */
WEFT_MUST_USE enum weft_status weft_http_run(struct weft_http *h, const struct weft_progress *progress,
                                             struct weft_err *err);
/* One turn: waits at most max_wait_ms for something to happen and handles it.  For callers with other work. */
WEFT_MUST_USE enum weft_status weft_http_step(struct weft_http *h, uint32_t max_wait_ms, struct weft_err *err);

size_t weft_http_calls(const struct weft_http *h);    /* not over yet */
uint64_t weft_http_now_ms(const struct weft_http *h); /* the loop's clock: monotonic milliseconds */

#endif
