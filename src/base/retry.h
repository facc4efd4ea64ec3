/* base/retry.h - what to do after a call to a paid service failed, and how many calls may be in flight (rules C2-C6)
 *
 * Pure decisions on a clock that is passed in: nothing here sleeps, sends or reads the time, so a test simulates an
 * hour in a millisecond.  A driver has one limiter for all its calls and one weft_retry for each:
 *
 *     if (weft_limiter_take(&limiter, &call->retry, now)) submit(call);           // else later, see weft_limiter_wait
 *     ...on the end of a try:
 *     struct weft_try t = weft_try_of(reply);
 *     t.broken = the 2xx reply cannot be read;                                    // C6: cut JSON, no [DONE], HTML ...
 *     switch (weft_retry_next(&rules, &limiter, &call->retry, &t, now, unix_now, &rng, &wait_ms, &err)) {
 *     case WEFT_RETRY_DONE:    keep the answer
 *     case WEFT_RETRY_AGAIN:   ask again in wait_ms (then through weft_limiter_take)
 *     case WEFT_RETRY_GIVE_UP: this call failed; err says why; the others go on
 *     case WEFT_RETRY_STOP:    every call would fail the same way: start none, keep the answers there are
 *     }
 *
 *     C2  429: nobody asks before Retry-After (seconds or date, at most 10 min) is over; the calls in flight are
 * halved,
 *         once for each burst, and grow again slowly
 *     C3  401, 402, 403, 404, 405, redirects, quota used up: stop
 *     C4  408, 409, 5xx, DNS, refused, reset, TLS: again, after 1 to 60 s with full jitter
 *     C5  a request that was sent and not answered may have to be paid: at most 2 repeats
 *     C6  a reply that came and cannot be read: as C5
 *     400, 413, 422 and other refusals of this one request: given up
 */
#ifndef WEFT_BASE_RETRY_H
#define WEFT_BASE_RETRY_H

#include "base/http.h"
#include "base/rng.h"

struct weft_retry_rules {
    int max_tries;               /* of one call, 429 not counted; 0: 6 */
    int max_paid_repeats;        /* after tries that may have to be paid; 0: 2, -1: none */
    int max_limited;             /* 429s of one call; 0: 30 */
    uint32_t backoff_ms;         /* shortest wait; 0: 1 s */
    uint32_t max_backoff_ms;     /* 0: 60 s */
    uint32_t max_retry_after_ms; /* 0: 10 min */
    const char *key_setting, *model_setting,
        *url_setting; /* named in messages; NULL: "api_key", "model", "base_url" */
};

/* Of one call; zeroed before the first try. */
struct weft_retry {
    int tries;      /* begun */
    int limited;    /* ended with 429 */
    int maybe_paid; /* sent, and no readable answer came: what the user may be billed for nothing */
    uint32_t round; /* the limiter's, when the try began */
};

/* How a try ended.  Strings are views into the reply. */
struct weft_try {
    enum weft_http_fault fault;
    bool sent;
    int status;
    bool broken; /* set by the caller: a 2xx reply that cannot be read (C6) */
    struct weft_str retry_after, retry_after_ms, should_retry; /* headers; s == NULL: absent */
    struct weft_str body;                                      /* of an error reply, for its message and code */
    struct weft_str message; /* of the fault, or the caller's about a broken reply */
};
struct weft_try weft_try_of(const struct weft_http_reply *reply);

/* ---- one limiter for all calls to a service ---- */

struct weft_limiter {
    int max; /* never more in flight */
    int in_flight;
    double window;    /* how many may be in flight now: 1 ... max */
    double too_many;  /* the window when it was halved last; 0: never */
    uint64_t open_ms; /* nobody starts before */
    uint32_t round;   /* counts the halvings */
};
void weft_limiter_init(struct weft_limiter *l, int max); /* begins with all `max` at once */
/* A try may begin: counted as in flight and in `call`.  False: not now. */
bool weft_limiter_take(struct weft_limiter *l, struct weft_retry *call, uint64_t now_ms);
/* Milliseconds until a try may begin by the clock (0: now, unless all places are taken). */
uint64_t weft_limiter_wait(const struct weft_limiter *l, uint64_t now_ms);
/* A try that was taken and came to nothing without being judged (the user stopped). */
void weft_limiter_drop(struct weft_limiter *l);

enum weft_retry_verdict { WEFT_RETRY_DONE, WEFT_RETRY_AGAIN, WEFT_RETRY_GIVE_UP, WEFT_RETRY_STOP };

/* Judges the try that ended, gives its place back to the limiter, and for WEFT_RETRY_AGAIN writes how long to wait.
 * `unix_now`: seconds, for Retry-After dates.  `err` is written for GIVE_UP and STOP, and names what to change. */
WEFT_MUST_USE enum weft_retry_verdict weft_retry_next(const struct weft_retry_rules *rules, struct weft_limiter *l,
                                                      struct weft_retry *call, const struct weft_try *t,
                                                      uint64_t now_ms, int64_t unix_now, struct weft_rng *rng,
                                                      uint64_t *wait_ms, struct weft_err *err);

/* ---- pieces that others use too ---- */

/* The n-th wait (1, 2 ...): first_ms plus a random part of what 2^n first_ms, at most max_ms, leaves above it. */
uint64_t weft_backoff_ms(struct weft_rng *rng, int n, uint32_t first_ms, uint32_t max_ms);

/* Retry-After, in milliseconds from now: seconds ("120") or a date ("Wed, 21 Oct 2015 07:28:00 GMT").  False:
 * neither. */
bool weft_retry_after_ms(struct weft_str value, int64_t unix_now, uint64_t *ms);

/* The error object of a reply or of an event in a stream: {"error": {"message", "type", "code"}}, {"error": "text"},
 * {"message"} or {"detail"}.  False: `json` has none.  Strings in `a`; absent ones are "". */
struct weft_api_error {
    struct weft_str message, type, code;
};
bool weft_api_error_read(struct weft_arena *a, struct weft_str json, struct weft_api_error *out);
bool weft_api_error_is_quota(const struct weft_api_error *e); /* money or quota used up, in the providers' words */

#endif
