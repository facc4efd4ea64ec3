#include "base/retry.h"

#include "base/json.h"
#include "base/lang.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- times ---- */

uint64_t weft_backoff_ms(struct weft_rng *rng, int n, uint32_t first_ms, uint32_t max_ms)
{
    uint64_t top = first_ms;
    for (int i = 0; i < n && top < max_ms; i++) top *= 2;
    if (top > max_ms) top = max_ms;
    return top > first_ms ? first_ms + weft_rng_below(rng, top - first_ms + 1) : top;
}

/* Days from 1970-01-01 of a date of the Gregorian calendar. */
static int64_t days_of(int64_t year, int month, int day)
{
    year -= month <= 2; /* the year begins in March: the leap day is its last */
    int64_t era = (year >= 0 ? year : year - 399) / 400, of_era = year - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

/* At most `most` digits at *p, which moves behind them. */
static bool take_digits(const char **p, int most, int *out)
{
    int n = 0;
    for (*out = 0; n < most && **p >= '0' && **p <= '9'; n++) *out = *out * 10 + (*(*p)++ - '0');
    return n > 0;
}

static bool take_char(const char **p, char c)
{
    if (**p != c) return false;
    ++*p;
    return true;
}

/* "Wed, 21 Oct 2015 07:28:00 GMT", and the older "Wednesday, 21-Oct-15 07:28:00 GMT". */
static bool read_date(const char *s, int64_t *seconds)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    int day, year, h, m, sec;
    char month[4] = "";
    const char *p = strchr(s, ','), *found;
    if (!p) return false;
    p += strspn(p, ", ");
    if (!take_digits(&p, 2, &day) || (*p != ' ' && *p != '-')) return false;
    char between = *p++;
    for (int i = 0; i < 3 && *p; i++) month[i] = *p++;
    found = strstr(months, month);
    if (strlen(month) != 3 || !found || (found - months) % 3) return false;
    if (!take_char(&p, between) || !take_digits(&p, 4, &year) || !take_char(&p, ' ') || !take_digits(&p, 2, &h)
        || !take_char(&p, ':') || !take_digits(&p, 2, &m) || !take_char(&p, ':') || !take_digits(&p, 2, &sec))
        return false;
    if (year < 100) year += year < 70 ? 2000 : 1900;
    if (day < 1 || day > 31 || h > 23 || m > 59 || sec > 60) return false;
    *seconds = days_of(year, (int)(found - months) / 3 + 1, day) * 86400 + h * 3600 + m * 60 + sec;
    return true;
}

/* Digits, perhaps with a fraction ("0.5" is sent too), times `unit` milliseconds. */
static bool read_number(const char *s, double unit, uint64_t *ms)
{
    char *end;
    if (!(s[0] >= '0' && s[0] <= '9') || s[0] == '\0' || s[1] == 'x' || s[1] == 'X') return false;
    double v = strtod(s, &end) * unit;
    if (*end || !(v >= 0)) return false;
    *ms = v < 9e15 ? (uint64_t)v : UINT64_C(9000000000000000);
    return true;
}

static bool copy_text(char *out, size_t bytes, struct weft_str s)
{
    s = weft_str_trim_ascii(s);
    if (!s.len || s.len >= bytes || memchr(s.s, '\0', s.len)) return false;
    memcpy(out, s.s, s.len);
    out[s.len] = '\0';
    return true;
}

bool weft_retry_after_ms(struct weft_str value, int64_t unix_now, uint64_t *ms)
{
    char text[64];
    int64_t at;
    if (!copy_text(text, sizeof text, value)) return false;
    if (read_number(text, 1000, ms)) return true;
    if (!read_date(text, &at)) return false;
    *ms = at > unix_now ? (uint64_t)(at - unix_now) * 1000 : 0;
    return true;
}

/* ---- errors of a service ---- */

static void take_text(const struct weft_json_value *v, struct weft_str *out)
{
    if (v && (v->kind == WEFT_JSON_STRING || v->kind == WEFT_JSON_NUMBER)) *out = v->text;
}

bool weft_api_error_read(struct weft_arena *a, struct weft_str json, struct weft_api_error *out)
{
    struct weft_json_value v;
    *out = (struct weft_api_error){ WEFT_STR(""), WEFT_STR(""), WEFT_STR("") };
    if (weft_json_parse(a, "reply", json, &v, NULL)) return false;
    const struct weft_json_value *e = weft_json_get(&v, "error");
    if (e && e->kind == WEFT_JSON_STRING) out->message = e->text;
    else if (e && e->kind == WEFT_JSON_OBJECT) {
        take_text(weft_json_get(e, "message"), &out->message);
        take_text(weft_json_get(e, "type"), &out->type);
        take_text(weft_json_get(e, "code"), &out->code);
    } else if (e && e->kind != WEFT_JSON_NULL) return true;
    else {
        take_text(weft_json_get(&v, "message"), &out->message);
        if (!out->message.len) take_text(weft_json_get(&v, "detail"), &out->message);
        take_text(weft_json_get(&v, "code"), &out->code);
        /* A reply that has choices is an answer, whatever else it says. */
        return out->message.len > 0 && !weft_json_get(&v, "choices");
    }
    return true;
}

bool weft_api_error_is_quota(const struct weft_api_error *e)
{
    static const char *const words[] = { "insufficient_quota", "insufficient_balance",
                                         "billing_not_active", "billing_hard_limit_reached",
                                         "Arrearage",          "exceeded_current_quota_error",
                                         "quota_exceeded",     "access_terminated" };
    for (size_t i = 0; i < WEFT_COUNT(words); i++)
        if (weft_str_is(e->code, words[i]) || weft_str_is(e->type, words[i])) return true;
    return weft_str_find(e->message, WEFT_STR("Insufficient Balance"), 0) != SIZE_MAX;
}

/* ---- the limiter ---- */

void weft_limiter_init(struct weft_limiter *l, int max)
{
    *l = (struct weft_limiter){ .max = max < 1 ? 1 : max };
    l->window = l->max;
}

bool weft_limiter_take(struct weft_limiter *l, struct weft_retry *call, uint64_t now_ms)
{
    if (now_ms < l->open_ms || l->in_flight >= (int)l->window) return false;
    l->in_flight++;
    call->tries++;
    call->round = l->round;
    return true;
}

uint64_t weft_limiter_wait(const struct weft_limiter *l, uint64_t now_ms)
{
    return now_ms < l->open_ms ? l->open_ms - now_ms : 0;
}

void weft_limiter_drop(struct weft_limiter *l)
{
    if (l->in_flight > 0) l->in_flight--;
}

/* A full window of answers makes it one larger, and only a tenth larger from just below where it was too large last
 * time: the service's limit is probably still there, and each touch of it costs everybody a pause. */
static void grow(struct weft_limiter *l)
{
    double step = l->too_many > 0 && l->window > l->too_many - 1.5 ? 0.1 : 1;
    l->window += step / l->window;
    if (l->window > l->max) l->window = l->max;
}

/* The calls of one burst are refused together: they halve once. */
static void halve(struct weft_limiter *l, const struct weft_retry *call)
{
    if (call->round != l->round) return;
    l->round++;
    l->too_many = l->window;
    l->window = l->window / 2 < 1 ? 1 : l->window / 2;
}

/* ---- the verdict ---- */

struct weft_try weft_try_of(const struct weft_http_reply *r)
{
    return (struct weft_try){
        .fault = r->fault,
        .sent = r->sent,
        .status = r->status,
        .retry_after = weft_http_header(r, "retry-after"),
        .retry_after_ms = weft_http_header(r, "retry-after-ms"),
        .should_retry = weft_http_header(r, "x-should-retry"),
        .body = r->body,
        .message = weft_str_c(r->err.msg),
    };
}

enum kind { ANSWERED, LIMITED, FATAL, TRANSIENT, MAYBE_PAID, HOPELESS };

static enum kind kind_of(const struct weft_try *t, bool quota)
{
    bool no = weft_str_is(t->should_retry, "false");
    switch (t->fault) {
    case WEFT_HTTP_FINE: break;
    case WEFT_HTTP_CANCELLED: return HOPELESS;
    case WEFT_HTTP_FORBIDDEN: return FATAL;
    default: return t->sent && t->status < 300 ? MAYBE_PAID : TRANSIENT; /* an error is not billed, cut or whole */
    }
    if (t->status >= 200 && t->status < 300) return t->broken ? MAYBE_PAID : ANSWERED;
    if (quota) return FATAL;
    switch (t->status) {
    case 401:
    case 402:
    case 403:
    case 404:
    case 405: return FATAL;
    case 429: return no ? HOPELESS : LIMITED;
    case 408:
    case 409: return no ? HOPELESS : TRANSIENT;
    default: break;
    }
    if (t->status >= 500) return no ? HOPELESS : TRANSIENT;
    return t->status >= 300 && t->status < 400 ? FATAL : HOPELESS;
}

static const char *or_else(const char *s, const char *otherwise) { return s && s[0] ? s : otherwise; }

/* What the service said, or what happened to the connection, in one short piece. */
static const char *reason(char *out, size_t bytes, const struct weft_try *t, const struct weft_api_error *e)
{
    if (t->fault || (t->broken && t->message.len)) return weft_escape(out, bytes, t->message);
    return weft_escape(out, bytes, e->message.len ? e->message : t->body);
}

static void explain(const struct weft_retry_rules *r, const struct weft_retry *call, const struct weft_try *t,
                    const struct weft_api_error *e, enum kind kind, bool quota, struct weft_err *err)
{
    char text[256];
    const char *why = reason(text, sizeof text, t, e);
    const char *key = or_else(r->key_setting, "api_key"), *model = or_else(r->model_setting, "model"),
               *url = or_else(r->url_setting, "base_url");
    if (t->fault == WEFT_HTTP_CANCELLED) weft_fail(err, WEFT_ECANCEL, "stopped");
    else if (t->fault == WEFT_HTTP_FORBIDDEN) weft_fail_rule(err, WEFT_EARG, "D9", "%s; check %s", why, url);
    else if (kind == FATAL && (quota || t->status == 402))
        weft_fail_rule(err, WEFT_EREMOTE, "C3", "the quota or balance behind %s is used up (HTTP %d: %s)", key,
                       t->status, why);
    else if (kind == FATAL && (t->status == 401 || t->status == 403))
        weft_fail_rule(err, WEFT_EREMOTE, "C3", "the service refuses the key (HTTP %d: %s); check %s", t->status,
                       why, key);
    else if (kind == FATAL)
        weft_fail_rule(err, WEFT_EREMOTE, "C3",
                       "the service does not know this model or address (HTTP %d: %s); check %s "
                       "and %s",
                       t->status, why, model, url);
    else if (kind == LIMITED)
        weft_fail_rule(err, WEFT_EREMOTE, "C2",
                       "the service asks for slower calls, %d times (HTTP 429: %s); use fewer at "
                       "once",
                       call->limited, why);
    else if (kind == MAYBE_PAID)
        weft_fail_rule(err, WEFT_EREMOTE, t->broken ? "C6" : "C5",
                       "%d tries were sent and none was answered whole; each "
                       "may have to be paid: %s",
                       call->maybe_paid, why);
    else if (kind == TRANSIENT && t->fault)
        weft_fail_rule(err, WEFT_EREMOTE, "C4", "%d tries failed; the last: %s", call->tries, why);
    else if (kind == TRANSIENT)
        weft_fail_rule(err, WEFT_EREMOTE, "C4", "%d tries failed; the last with HTTP %d: %s", call->tries,
                       t->status, why);
    else weft_fail_rule(err, WEFT_EREMOTE, "C3", "the service refuses this request (HTTP %d: %s)", t->status, why);
}

/* How long the service itself asks to wait; false: it does not say. */
static bool asked_wait(const struct weft_retry_rules *r, const struct weft_try *t, int64_t unix_now, uint64_t *ms)
{
    uint64_t most = r->max_retry_after_ms ? r->max_retry_after_ms : 600 * 1000;
    char text[64];
    bool said = copy_text(text, sizeof text, t->retry_after_ms) && read_number(text, 1, ms);
    if (!said) said = weft_retry_after_ms(t->retry_after, unix_now, ms);
    if (said && *ms > most) *ms = most;
    return said;
}

enum weft_retry_verdict weft_retry_next(const struct weft_retry_rules *r, struct weft_limiter *l,
                                        struct weft_retry *call, const struct weft_try *t, uint64_t now_ms,
                                        int64_t unix_now, struct weft_rng *rng, uint64_t *wait_ms,
                                        struct weft_err *err)
{
    uint32_t first = r->backoff_ms ? r->backoff_ms : 1000,
             most = r->max_backoff_ms ? r->max_backoff_ms : 60 * 1000;
    int max_tries = r->max_tries ? r->max_tries : 6, max_limited = r->max_limited ? r->max_limited : 30;
    int max_paid = r->max_paid_repeats < 0 ? 0 : r->max_paid_repeats ? r->max_paid_repeats : 2;
    struct weft_arena scratch = { .block_bytes = 4096 };
    struct weft_api_error e = { WEFT_STR(""), WEFT_STR(""), WEFT_STR("") };
    bool again = false;
    if (!t->fault && t->status >= 400) (void)weft_api_error_read(&scratch, t->body, &e);
    bool quota = weft_api_error_is_quota(&e);
    enum kind kind = kind_of(t, quota);
    uint64_t asked = 0;
    bool said = !t->fault && asked_wait(r, t, unix_now, &asked);
    weft_limiter_drop(l);
    *wait_ms = 0;
    switch (kind) {
    case ANSWERED: grow(l); break;
    case LIMITED:
        call->tries--; /* the service was not asked for anything yet */
        call->limited++;
        halve(l, call);
        *wait_ms = said ? asked : weft_backoff_ms(rng, call->limited, first, most);
        if (now_ms + *wait_ms > l->open_ms) l->open_ms = now_ms + *wait_ms;
        /* Not all in the same instant when the time is over. */
        if (said) *wait_ms += weft_rng_below(rng, first + 1);
        again = call->limited <= max_limited;
        break;
    case MAYBE_PAID:
        call->maybe_paid++;
        *wait_ms = weft_backoff_ms(rng, call->tries, first, most);
        again = call->maybe_paid <= max_paid && call->tries < max_tries;
        break;
    case TRANSIENT:
        if (t->fault == WEFT_HTTP_LOCAL) halve(l, call); /* fewer descriptors and less memory are needed then */
        *wait_ms = weft_backoff_ms(rng, call->tries, first, most);
        if (said && asked > *wait_ms) *wait_ms = asked;
        again = call->tries < max_tries;
        break;
    case FATAL:
    case HOPELESS: break;
    }
    if (kind != ANSWERED && !again) explain(r, call, t, &e, kind, quota, err);
    weft_arena_clear(&scratch);
    return kind == ANSWERED ? WEFT_RETRY_DONE
           : again          ? WEFT_RETRY_AGAIN
           : kind == FATAL  ? WEFT_RETRY_STOP
                            : WEFT_RETRY_GIVE_UP;
}
