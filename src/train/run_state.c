/* state.json: one flat object.  The rows below are its only description; doubles are written so that they read back
 * equal, and null is NaN. */
#include "train/checkpoint.h"

#include <math.h>

enum kind { U64, F64, FLAG };
static const struct {
    const char *key;
    enum kind kind;
    size_t at;
    bool optional;          /* younger than the format: 0 where it is missing */
} fields[] = {
#define FIELD(kind, name) { #name, kind, offsetof(struct weft_run_state, name), false }
#define YOUNGER(kind, name) { #name, kind, offsetof(struct weft_run_state, name), true }
    FIELD(U64, step),       FIELD(U64, optimizer_step), FIELD(U64, tokens),       FIELD(F64, loss_sum),
    FIELD(U64, loss_n),     FIELD(F64, window_sum),     FIELD(U64, window_n),     FIELD(F64, window_worst),
    FIELD(U64, window_worst_row),                       FIELD(F64, last_loss),    FIELD(F64, grad_norm),
    FIELD(F64, lr),         FIELD(F64, best_valid),     FIELD(F64, last_valid),   FIELD(U64, bad_in_a_row),
    FIELD(U64, n_recent),   FIELD(FLAG, eval_due),      FIELD(FLAG, exact),       FIELD(F64, elapsed_s),
    FIELD(U64, log_bytes),  FIELD(U64, skipped),        YOUNGER(U64, best_step),  YOUNGER(U64, evals_since_best),
    YOUNGER(FLAG, stopped_early),                       YOUNGER(U64, fitted_total),
#undef FIELD
#undef YOUNGER
};

void weft_run_state_write(const struct weft_run_state *s, struct weft_buf *out)
{
    struct weft_json_out j;
    weft_json_out_init(&j, out);
    j.indent = 2;
    weft_json_out_object(&j);
    for (size_t i = 0; i < WEFT_COUNT(fields); i++) {
        const void *at = (const char *)s + fields[i].at;
        weft_json_out_key(&j, fields[i].key);
        switch (fields[i].kind) {
        case U64: weft_json_out_uint(&j, *(const uint64_t *)at); break;
        case F64: weft_json_out_double(&j, *(const double *)at); break;
        case FLAG: weft_json_out_bool(&j, *(const bool *)at); break;
        }
    }
    weft_json_out_key(&j, "metric_sums");
    weft_json_out_array(&j);
    for (size_t i = 0; i < WEFT_N_PREF_METRICS; i++) weft_json_out_double(&j, s->metrics.sum[i]);
    weft_json_out_array_end(&j);
    weft_json_out_key(&j, "metric_counts");
    weft_json_out_array(&j);
    for (size_t i = 0; i < WEFT_N_PREF_METRICS; i++) weft_json_out_uint(&j, s->metrics.n[i]);
    weft_json_out_array_end(&j);
    weft_json_out_key(&j, "recent");
    weft_json_out_array(&j);
    for (size_t i = 0; i < WEFT_WATCHDOG_WINDOW; i++) weft_json_out_double(&j, s->recent[i]);
    weft_json_out_array_end(&j);
    weft_json_out_object_end(&j);
    weft_buf_char(out, '\n');
}

static enum weft_status take_double(struct weft_json *j, double *out, struct weft_err *err)
{
    enum weft_json_kind kind;
    enum weft_status st = weft_json_peek(j, &kind, err);
    if (st) return st;
    if (kind != WEFT_JSON_NULL) return weft_json_double(j, out, err);
    *out = NAN;
    return weft_json_null(j, err);
}

static enum weft_status take_doubles(struct weft_json *j, const char *what, double *out, size_t most,
                                     struct weft_err *err)
{
    bool more;
    size_t n = 0;
    enum weft_status st = weft_json_array(j, err);
    while (!st && !(st = weft_json_element(j, &more, err)) && more) {
        if (n == most) return weft_fail(err, WEFT_EINPUT, "%s: %s has more than %zu numbers", j->name, what, most);
        st = take_double(j, &out[n++], err);
    }
    return st;
}

static enum weft_status take_counts(struct weft_json *j, const char *what, uint64_t *out, size_t most,
                                    struct weft_err *err)
{
    bool more;
    size_t n = 0;
    int64_t v = 0;
    enum weft_status st = weft_json_array(j, err);
    while (!st && !(st = weft_json_element(j, &more, err)) && more) {
        if (n == most) return weft_fail(err, WEFT_EINPUT, "%s: %s has more than %zu numbers", j->name, what, most);
        st = weft_json_int(j, 0, INT64_MAX, &v, err);
        out[n++] = (uint64_t)v;
    }
    return st;
}

static enum weft_status take_field(struct weft_json *j, struct weft_run_state *s, size_t i, struct weft_err *err)
{
    void *at = (char *)s + fields[i].at;
    int64_t v = 0;
    enum weft_status st = WEFT_OK;
    switch (fields[i].kind) {
    case U64:
        st = weft_json_int(j, 0, INT64_MAX, &v, err);
        *(uint64_t *)at = (uint64_t)v;
        return st;
    case F64: return take_double(j, at, err);
    case FLAG: return weft_json_bool(j, at, err);
    }
    return st;
}

enum weft_status weft_run_state_read(struct weft_run_state *s, const char *name, struct weft_str text,
                                     struct weft_err *err)
{
    struct weft_arena a = { 0 };
    struct weft_json j;
    struct weft_str key;
    struct weft_run_state read = { 0 };
    bool more, seen[WEFT_COUNT(fields)] = { false };
    enum weft_status st = weft_json_init(&j, &a, name, text, err);
    if (!st) st = weft_json_object(&j, err);
    while (!st && !(st = weft_json_key(&j, &key, &more, err)) && more) {
        size_t i = 0;
        while (i < WEFT_COUNT(fields) && !weft_str_is(key, fields[i].key)) i++;
        if (i < WEFT_COUNT(fields)) {
            st = take_field(&j, &read, i, err);
            seen[i] = true;
        } else if (weft_str_is(key, "recent")) {
            st = take_doubles(&j, "recent", read.recent, WEFT_WATCHDOG_WINDOW, err);
        } else if (weft_str_is(key, "metric_sums")) {
            st = take_doubles(&j, "metric_sums", read.metrics.sum, WEFT_N_PREF_METRICS, err);
        } else if (weft_str_is(key, "metric_counts")) {
            st = take_counts(&j, "metric_counts", read.metrics.n, WEFT_N_PREF_METRICS, err);
        } else {
            st = weft_json_skip(&j, err);
        }
    }
    if (!st) st = weft_json_end(&j, err);
    for (size_t i = 0; !st && i < WEFT_COUNT(fields); i++)
        if (!seen[i] && !fields[i].optional) st = weft_fail(err, WEFT_EINPUT, "%s: \"%s\" is missing", name, fields[i].key);
    if (!st) *s = read;
    weft_arena_clear(&a);
    return st;
}
