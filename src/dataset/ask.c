/* The engine: one thread, many requests in flight.  A unit goes through at most two requests, the first and a
 * corrective one.  What decides a unit is only its own text, the prompt and the replies, never when they came. */
#include "dataset/ask.h"

#include "dataset/ask_parts.h"
#include "dataset/ask_reply.h"
#include "dataset/grow.h"

#include "base/lang.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { DEFAULT_CONCURRENCY = 16, WAIT_MS = 200, DRAIN_MS = 10000, BATCH = 64, FAILED_IN_A_ROW = 8 };

/* What is to be asked next about a unit. */
struct job {
    size_t unit;
    int turn;                 /* 0, or 1: corrective */
    struct weft_str previous; /* turn 1: the reply that was wrong (may be empty) */
    struct weft_str problem;
};

struct flight {
    bool used;
    struct job job;
    struct weft_call_key key;
    char key_hex[WEFT_CALL_KEY_HEX];
    struct weft_buf body;
};

/* A unit whose request equals one in flight. */
struct waiter {
    struct job job;
    size_t flight;
};

struct jobs {
    struct job *items;
    size_t n, cap, at;
};

struct engine {
    struct weft_arena *a, scratch;
    const struct weft_prompt *prompt;
    const struct weft_ask_settings *s;
    const struct weft_ask_unit *units;
    size_t n, next; /* the first unit that was not begun */
    struct weft_ledger *ledger;
    const struct weft_ask_transport *transport;
    const struct weft_progress *progress;
    struct weft_ask_result *results;
    struct weft_ask_report *report;
    struct weft_err *err;
    struct flight *flights; /* [n_slots] */
    size_t n_slots, n_flights;
    struct jobs corrective;
    struct waiter *waiters;
    size_t n_waiters, cap_waiters;
    uint64_t done, expected_tokens_in, expected_tokens_out;
    bool may_send; /* false: budget, stop, refusal of the endpoint */
    size_t failed_in_a_row;
    enum weft_status ended; /* why asking ended early */
};

const char *weft_ask_state_name(enum weft_ask_state s)
{
    static const char *const names[] = { "left", "ok", "flagged", "empty", "refused", "failed" };
    return s < WEFT_N_ASK_STATES ? names[s] : "?";
}

static uint64_t now_ms(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- requests ---- */

static void fill(struct weft_buf *out, struct weft_str template, const struct weft_prompt *p,
                 const struct weft_ask_settings *s, const struct weft_ask_unit *u, struct weft_str problem)
{
    const struct weft_ask_task *task = weft_ask_task(p->task);
    struct weft_prompt_value v[WEFT_ASK_VALUES + 6];
    char chars[24], pairs[24], examples[24];
    size_t n = 0;
    snprintf(chars, sizeof chars, "%" PRId64, ask_max_chars(p, s));
    snprintf(pairs, sizeof pairs, "%" PRId64, ask_pairs(p, s));
    snprintf(examples, sizeof examples, "%zu", u->n_examples);
    v[n++] = (struct weft_prompt_value){ task->names[0], u->text };
    v[n++] = (struct weft_prompt_value){ "max_chars", weft_str_c(chars) };
    v[n++] = (struct weft_prompt_value){ "pairs", weft_str_c(pairs) };
    v[n++] = (struct weft_prompt_value){ "examples", weft_str_c(examples) };
    v[n++] = (struct weft_prompt_value){ "role", weft_str_c(s->role) };
    v[n++] = (struct weft_prompt_value){ "problem", problem };
    for (size_t i = 0; i < u->n_values && i < WEFT_ASK_VALUES; i++) v[n++] = u->values[i];
    weft_prompt_fill(template, v, n, out);
}

static enum weft_status make_body(const struct weft_prompt *p, const struct weft_ask_settings *s,
                                  const struct weft_ask_unit *u, const struct job *job, struct weft_buf *body,
                                  struct weft_err *err)
{
    struct weft_buf system = { 0 }, user = { 0 }, retry = { 0 }, schema = { 0 };
    const struct ask_task *task = ask_task_of(p->task);
    struct weft_chat_message m[4];
    struct weft_json_out o;
    size_t n = 0;
    weft_json_out_init(&o, &schema);
    bool shaped = s->shaped && task->shape && task->shape(p, s, u, &o);
    fill(&system, p->system, p, s, u, job->problem);
    fill(&user, p->user, p, s, u, job->problem);
    m[n++] = (struct weft_chat_message){ "system", weft_buf_view(&system) };
    if (job->turn) fill(&retry, p->retry, p, s, u, job->problem);
    m[n++] = (struct weft_chat_message){ "user", weft_buf_view(&user) };
    if (job->turn) {
        /* Several services refuse an assistant turn without text. */
        m[n++] = (struct weft_chat_message){ "assistant", job->previous.len ? job->previous : WEFT_STR("…") };
        m[n++] = (struct weft_chat_message){ "user", weft_buf_view(&retry) };
    }
    const struct weft_chat_request request = { .model = s->model ? s->model : "",
                                               .messages = m,
                                               .n_messages = n,
                                               .temperature = s->temperature >= 0 ? s->temperature : p->temperature,
                                               .top_p = s->top_p,
                                               .max_tokens = s->max_tokens ? s->max_tokens : p->max_tokens,
                                               .seed = s->seed,
                                               .schema = shaped ? weft_buf_view(&schema) : (struct weft_str){ 0 } };
    weft_chat_request_body(&request, false, body);
    enum weft_status st = weft_buf_check(&system, "a request", err);
    if (!st) st = weft_buf_check(&user, "a request", err);
    if (!st) st = weft_buf_check(&retry, "a request", err);
    if (!st) st = weft_buf_check(&schema, "a request", err);
    if (!st) st = weft_buf_check(body, "a request", err);
    weft_buf_clear(&system);
    weft_buf_clear(&user);
    weft_buf_clear(&retry);
    weft_buf_clear(&schema);
    return st;
}

/* ---- one unit ends ---- */

static void finish(struct engine *e, const struct job *job, enum weft_ask_state state)
{
    struct weft_ask_result *r = &e->results[job->unit];
    r->state = state;
    r->corrected = job->turn > 0;
    if (state != WEFT_ASK_OK) r->rows.n = 0;
    e->report->states[state]++;
    e->report->rows += r->rows.n;
    e->done++;
}

static enum weft_status keep_text(struct engine *e, struct weft_str s, struct weft_str *out)
{
    *out = weft_str_dup(e->a, s);
    return out->s ? WEFT_OK : weft_fail_nomem(e->err, s.len, "an answer");
}

static enum weft_status correct(struct engine *e, const struct job *job, struct weft_str answer,
                                struct weft_str problem)
{
    struct jobs *q = &e->corrective;
    if (!WEFT_GROW(e->a, q->items, q->n, q->cap)) return weft_fail_nomem(e->err, sizeof *q->items, "rows");
    q->items[q->n++] = (struct job){ job->unit, 1, answer, problem };
    return WEFT_OK;
}

static enum weft_status read_answer(struct engine *e, const struct job *job, const struct weft_call *call)
{
    const struct ask_task *task = ask_task_of(e->prompt->task);
    struct weft_ask_result *out = &e->results[job->unit];
    struct weft_clean_reply clean;
    struct ask_reading r = { .a = e->a, .prompt = e->prompt, .s = e->s, .unit = &e->units[job->unit],
                             .via = e->prompt->via, .confidence = job->turn ? 0.8 : 1, .out = out,
                             .pieces = &e->report->pieces, .err = e->err };
    struct weft_str text, problem;
    enum weft_status st = keep_text(e, call->text, &text);
    if (!st) st = weft_reply_clean(e->a, text, &clean, e->err);
    if (st) return st;
    e->report->thoughts += clean.thought || call->reasoning.len > 0;
    e->report->fences += clean.fenced;
    out->reply = r.answer = clean.answer;
    out->rows = (struct weft_rows){ 0 };
    if (call->finish == WEFT_CALL_FINISH_LENGTH) ask_problem(&r, "was cut off at the longest length allowed");
    else if (!clean.answer.len) ask_problem(&r, "is empty");
    else st = task->read(&r);
    if (!st) st = weft_buf_check(&r.problem, "rows", e->err);
    if (!st && !r.problem.len) {
        finish(e, job, WEFT_ASK_OK);
    } else if (!st) {
        st = keep_text(e, weft_buf_view(&r.problem), &problem);
        out->problem = problem;
        if (!st && job->turn == 0) st = correct(e, job, clean.answer, problem);
        else if (!st) finish(e, job, WEFT_ASK_FLAGGED);
    }
    weft_buf_clear(&r.problem);
    return st;
}

/* What is known of a request, new or from the ledger, decides its unit. */
static enum weft_status settle(struct engine *e, const struct job *job, const struct weft_call *call)
{
    struct weft_ask_result *r = &e->results[job->unit];
    const char *empty = weft_tr(e->prompt->lang == WEFT_PROMPT_ZH ? WEFT_LANG_ZH : WEFT_LANG_EN, "is empty");
    enum weft_status st = WEFT_OK;
    switch (call->state) {
    case WEFT_CALL_ANSWERED: return read_answer(e, job, call);
    case WEFT_CALL_EMPTY:
        r->problem = weft_str_c(empty);
        if (job->turn == 0) return correct(e, job, WEFT_STR(""), r->problem);
        finish(e, job, WEFT_ASK_EMPTY);
        break;
    case WEFT_CALL_REFUSED:
        st = keep_text(e, call->text, &r->reply);
        finish(e, job, WEFT_ASK_REFUSED);
        break;
    default:
        st = keep_text(e, call->note, &r->reply);
        finish(e, job, WEFT_ASK_FAILED);
        break;
    }
    return st;
}

/* ---- sending ---- */

static double cost_of(const struct weft_ask_settings *s, uint64_t in, uint64_t out)
{
    return ((double)in * s->price_in + (double)out * s->price_out) / 1e6;
}

/* Would this request pass a limit?  What is in flight is counted by guess, so that the sum is not passed later. */
static bool over_budget(const struct engine *e, const struct weft_buf *body)
{
    const struct weft_ask_settings *s = e->s;
    uint64_t out = (uint64_t)(s->max_tokens ? s->max_tokens : e->prompt->max_tokens);
    if (s->max_calls && e->report->asked >= (uint64_t)s->max_calls) return true;
    return s->max_cost > 0
           && e->report->cost
                      + cost_of(s, e->expected_tokens_in + weft_ask_tokens(weft_buf_view(body)),
                                e->expected_tokens_out + out)
                  > s->max_cost;
}

static void expect(struct engine *e, const struct weft_buf *body, bool more)
{
    uint64_t in = weft_ask_tokens(weft_buf_view(body)),
             out = (uint64_t)(e->s->max_tokens ? e->s->max_tokens : e->prompt->max_tokens);
    e->expected_tokens_in += more ? in : -in;
    e->expected_tokens_out += more ? out : -out;
}

static enum weft_status wait_for_twin(struct engine *e, const struct job *job, size_t flight)
{
    if (!WEFT_GROW(e->a, e->waiters, e->n_waiters, e->cap_waiters))
        return weft_fail_nomem(e->err, sizeof *e->waiters, "rows");
    e->waiters[e->n_waiters++] = (struct waiter){ *job, flight };
    e->report->shared++;
    return WEFT_OK;
}

static size_t free_slot(const struct engine *e)
{
    size_t i = 0;
    while (i < e->n_slots && e->flights[i].used) i++;
    return i;
}

static enum weft_status send(struct engine *e, struct flight *f)
{
    struct weft_call sent = { .state = WEFT_CALL_SENT, .key = f->key, .time_ms = now_ms(CLOCK_REALTIME),
                              .note = weft_str_c(e->prompt->via) };
    if (weft_ledger_in_doubt(e->ledger, &f->key)) e->report->maybe_paid_twice++;
    enum weft_status st = weft_ledger_add(e->ledger, &sent, e->err);
    weft_call_key_hex(&f->key, f->key_hex);
    if (!st)
        st = e->transport->send(e->transport->ctx, (size_t)(f - e->flights), weft_buf_view(&f->body),
                                f->key_hex, e->err);
    if (!st) {
        f->used = true;
        e->n_flights++;
        e->report->asked++;
        expect(e, &f->body, true);
    }
    return st;
}

/* Begins a job: from the ledger, beside an equal one, or by asking.  When asking is over its unit is left. */
static enum weft_status begin(struct engine *e, const struct job *job)
{
    struct flight *f = &e->flights[free_slot(e)];
    enum weft_status st;
    weft_buf_reset(&f->body);
    f->job = *job;
    e->report->corrective += job->turn > 0;
    st = make_body(e->prompt, e->s, &e->units[job->unit], job, &f->body, e->err);
    if (!st)
        st = weft_call_key_of(&e->scratch, weft_str_c(e->transport->endpoint), weft_str_c(e->s->model),
                              weft_buf_view(&f->body), &f->key, e->err);
    if (st) return st;
    enum weft_call_state known = weft_ledger_find(e->ledger, &f->key);
    bool paid = known == WEFT_CALL_ANSWERED
                || ((known == WEFT_CALL_EMPTY || known == WEFT_CALL_REFUSED) && !e->s->again);
    if (paid) {
        struct weft_arena_mark mark = weft_arena_mark(&e->scratch);
        struct weft_call call;
        st = weft_ledger_read(e->ledger, &e->scratch, &f->key, &call, e->err);
        e->report->reused++;
        if (!st && e->s->heard) e->s->heard(e->s->heard_ctx, &call);
        if (!st) st = settle(e, job, &call);
        weft_arena_release(&e->scratch, mark);
        return st;
    }
    for (size_t i = 0; i < e->n_slots; i++)
        if (e->flights[i].used && weft_call_key_eq(&e->flights[i].key, &f->key)) return wait_for_twin(e, job, i);
    if (e->may_send && over_budget(e, &f->body)) {
        e->report->over_budget = true;
        e->may_send = false;
    }
    return e->may_send ? send(e, f) : WEFT_OK;
}

/* ---- receiving ---- */

static enum weft_status record(struct engine *e, const struct weft_ask_reply *r, struct weft_call *call)
{
    const struct flight *f = &e->flights[r->id];
    bool text = r->text.len > 0;
    *call = (struct weft_call){ .key = f->key, .time_ms = now_ms(CLOCK_REALTIME), .finish = r->finish,
                                .http_status = r->http_status, .prompt_tokens = r->prompt_tokens,
                                .completion_tokens = r->completion_tokens, .maybe_paid = r->maybe_paid,
                                .text = r->text, .reasoning = r->reasoning, .note = r->message };
    if (r->outcome != WEFT_ASK_REPLY) {
        call->state = WEFT_CALL_FAILED;
        call->text = weft_str_sub(r->text, 0, WEFT_CALL_RAW_BYTES);
    } else if (r->refused || r->finish == WEFT_CALL_FINISH_FILTER) {
        call->state = WEFT_CALL_REFUSED;
        if (r->message.len) call->text = r->message;
    } else call->state = text ? WEFT_CALL_ANSWERED : WEFT_CALL_EMPTY;
    return weft_ledger_add(e->ledger, call, e->err);
}

static void account(struct engine *e, const struct weft_ask_reply *r)
{
    struct weft_ask_report *p = e->report;
    if (r->outcome != WEFT_ASK_REPLY) {
        p->failed_tries++;
        if (r->outcome == WEFT_ASK_TRY_FAILED) p->maybe_paid_twice += r->maybe_paid;
        return;
    }
    /* A provider that does not count is counted by guess: a budget must hold all the same. */
    uint64_t in = r->prompt_tokens ? r->prompt_tokens : weft_ask_tokens(weft_buf_view(&e->flights[r->id].body)),
             out = r->completion_tokens ? r->completion_tokens
                                        : weft_ask_tokens(r->text) + weft_ask_tokens(r->reasoning);
    p->prompt_tokens += in;
    p->completion_tokens += out;
    p->cost += cost_of(e->s, in, out);
}

static enum weft_status settle_all(struct engine *e, size_t flight, const struct weft_call *call)
{
    struct flight *f = &e->flights[flight];
    struct job job = f->job;
    f->used = false;
    e->n_flights--;
    expect(e, &f->body, false);
    enum weft_status st = settle(e, &job, call);
    for (size_t i = 0; i < e->n_waiters && !st;) {
        if (e->waiters[i].flight != flight) {
            i++;
            continue;
        }
        job = e->waiters[i].job;
        e->waiters[i] = e->waiters[--e->n_waiters];
        st = settle(e, &job, call);
    }
    return st;
}

/* Nothing sent from here on can succeed.  What is known already still becomes rows; the reason is told at the end. */
static void end_asking(struct engine *e, struct weft_str why)
{
    e->may_send = false;
    e->report->refused_all = true;
    if (!e->ended) e->ended = weft_fail(e->err, WEFT_EREMOTE, "%.*s", (int)why.len, why.s ? why.s : "");
}

/* One wait: everything that came is recorded, one sync makes it durable, only then is it used (LG2). */
static enum weft_status receive(struct engine *e, uint32_t timeout_ms)
{
    struct weft_ask_reply replies[BATCH];
    struct weft_call calls[BATCH];
    size_t n = 0;
    enum weft_status waited = e->transport->wait(e->transport->ctx, timeout_ms, replies, BATCH, &n, e->err),
                     st = WEFT_OK;
    for (size_t i = 0; i < n && !st; i++) {
        account(e, &replies[i]);
        st = record(e, &replies[i], &calls[i]);
    }
    if (!st && n) st = weft_ledger_sync(e->ledger, e->err);
    for (size_t i = 0; i < n && !st; i++) {
        const struct weft_ask_reply *r = &replies[i];
        if (r->outcome == WEFT_ASK_TRY_FAILED) continue;
        if (e->s->heard) e->s->heard(e->s->heard_ctx, &calls[i]);
        e->failed_in_a_row = r->outcome == WEFT_ASK_REPLY ? 0 : e->failed_in_a_row + 1;
        if (r->outcome == WEFT_ASK_STOP) end_asking(e, r->message);
        else if (e->failed_in_a_row >= weft_max_size(e->n_slots, FAILED_IN_A_ROW)) end_asking(e, r->message);
        st = settle_all(e, r->id, &calls[i]);
    }
    return st ? st : waited;
}

/* ---- the loop ---- */

static bool next_job(struct engine *e, struct job *job)
{
    if (e->corrective.at < e->corrective.n) {
        *job = e->corrective.items[e->corrective.at++];
        return true;
    }
    if (e->next >= e->n) return false;
    *job = (struct job){ .unit = e->next++ };
    return true;
}

static void show(const struct engine *e)
{
    char note[96];
    snprintf(note, sizeof note, weft_tr(e->err ? e->err->lang : WEFT_LANG_EN, "%zu in flight, %" PRIu64 " sent"),
             e->n_flights, e->report->asked);
    weft_progress_update(e->progress, "asking", e->done, e->n, "units", note);
}

static enum weft_status loop(struct engine *e)
{
    enum weft_status st = WEFT_OK;
    uint64_t stopped_ms = 0;
    while (!st) {
        struct job job;
        if (!stopped_ms && weft_progress_cancelled(e->progress)) {
            stopped_ms = now_ms(CLOCK_MONOTONIC); /* what is in flight is paid: it gets a while to come in */
            e->ended = weft_fail(e->err, WEFT_ECANCEL, "stopped; what was answered is in the ledger");
            e->may_send = false;
        }
        while (!st && !stopped_ms && e->n_flights < e->n_slots - 1 && next_job(e, &job)) {
            st = begin(e, &job);
            if (e->done % 64 == 0) show(e);
            if (weft_progress_cancelled(e->progress)) break;
        }
        if (st || (stopped_ms && now_ms(CLOCK_MONOTONIC) - stopped_ms > DRAIN_MS)) break;
        if (stopped_ms && e->transport->free) break;
        if (!e->n_flights) {
            if (stopped_ms || (e->corrective.at == e->corrective.n && e->next >= e->n)) break;
            continue;
        }
        st = receive(e, WAIT_MS);
        show(e);
    }
    if (e->n_flights) e->transport->abandon(e->transport->ctx);
    return st ? st : e->ended;
}

enum weft_status weft_ask_run(struct weft_arena *a, const struct weft_prompt *prompt, const struct weft_ask_settings *s,
                              const struct weft_ask_unit *units, size_t n, struct weft_ledger *ledger,
                              const struct weft_ask_transport *transport, const struct weft_progress *progress,
                              struct weft_ask_result *results, struct weft_ask_report *report, struct weft_err *err)
{
    struct weft_err own = { 0 };
    struct engine e = { .a = a, .prompt = prompt, .s = s, .units = units, .n = n, .ledger = ledger,
                        .transport = transport, .progress = progress, .results = results, .report = report,
                        .err = err ? err : &own, .may_send = true };
    enum weft_status st = WEFT_OK;
    *report = (struct weft_ask_report){ .units = n };
    if (s->limit > 0 && (uint64_t)s->limit < n) e.n = (size_t)s->limit;
    /* One slot more than may be in flight: the next request is made in it. */
    e.n_slots = (size_t)(s->concurrency ? s->concurrency : DEFAULT_CONCURRENCY) + 1;
    e.flights = calloc(e.n_slots, sizeof *e.flights);
    if (!e.flights) st = weft_fail_nomem(e.err, e.n_slots * sizeof *e.flights, "requests");
    if (!st) st = loop(&e);
    for (size_t i = 0; e.flights && i < e.n_slots; i++) weft_buf_clear(&e.flights[i].body);
    free(e.flights);
    weft_arena_clear(&e.scratch);
    report->states[WEFT_ASK_LEFT] = n - e.done;
    if (!st) weft_progress_update(progress, "asking", e.n, e.n, "units", "");
    return st;
}

/* ---- by rule ---- */

enum weft_status weft_ask_offline(struct weft_arena *a, const char *task_name, const struct weft_ask_settings *s,
                                  const struct weft_prompt *prompt, const struct weft_ask_unit *units, size_t n,
                                  const struct weft_progress *progress, struct weft_ask_result *results,
                                  struct weft_ask_report *report, struct weft_err *err)
{
    const struct ask_task *task = ask_task_of(task_name);
    struct weft_err own = { 0 };
    enum weft_status st = WEFT_OK;
    size_t todo = s->limit > 0 && (uint64_t)s->limit < n ? (size_t)s->limit : n;
    if (!err) err = &own;
    if (!task) return weft_ask_task_unknown(task_name, err);
    if (!task->rule)
        return weft_fail(err, WEFT_EARG,
                         "the task %s has no rule that works without a model; give --endpoint, --preset or --local",
                         task_name);
    *report = (struct weft_ask_report){ .units = n };
    for (size_t i = 0; i < todo && !st; i++) {
        struct ask_reading r = { .a = a, .prompt = prompt, .s = s, .unit = &units[i], .via = task->rule_via,
                                 .confidence = 0.5, .out = &results[i], .pieces = &report->pieces, .err = err };
        if (weft_progress_cancelled(progress)) return weft_fail(err, WEFT_ECANCEL, "stopped");
        st = task->rule(&r);
        if (!st) st = weft_buf_check(&r.problem, "rows", err);
        results[i].state = r.problem.len ? WEFT_ASK_FLAGGED : WEFT_ASK_OK;
        if (!st && r.problem.len) {
            results[i].problem = weft_str_dup(a, weft_buf_view(&r.problem));
            if (!results[i].problem.s) st = weft_fail_nomem(err, r.problem.len, "rows");
        }
        report->states[results[i].state]++;
        report->rows += results[i].rows.n;
        weft_buf_clear(&r.problem);
        weft_progress_update(progress, "extracting", i + 1, todo, "units", "");
    }
    report->states[WEFT_ASK_LEFT] = n - todo;
    return st;
}

/* ---- before sending anything ---- */

/* Wide characters cost about two thirds of a token, others a quarter: within a fifth for the tokenizers of today. */
uint64_t weft_ask_tokens(struct weft_str text)
{
    uint64_t wide = 0, narrow = 0;
    for (size_t at = 0; at < text.len;) {
        uint32_t cp;
        at += weft_utf8_decode(text.s + at, text.len - at, &cp, NULL);
        if (cp >= 0x2E80) wide++;
        else narrow++;
    }
    return (wide * 2 + 2) / 3 + (narrow + 3) / 4;
}

struct key_list {
    struct weft_call_key *items;
    size_t n, cap;
};

static int by_bytes(const void *x, const void *y) { return memcmp(x, y, sizeof(struct weft_call_key)); }

enum weft_status weft_ask_preview(struct weft_arena *a, const struct weft_prompt *prompt,
                                  const struct weft_ask_settings *s, const struct weft_ask_unit *units, size_t n,
                                  struct weft_ledger *ledger, const char *endpoint, struct weft_ask_estimate *out,
                                  struct weft_err *err)
{
    struct weft_ask_estimate e = { .units = n };
    struct weft_arena scratch = { 0 };
    struct key_list keys = { 0 };
    struct weft_buf body = { 0 };
    enum weft_status st = WEFT_OK;
    size_t todo = s->limit > 0 && (uint64_t)s->limit < n ? (size_t)s->limit : n;
    int64_t chars = ask_max_chars(prompt, s), tokens = s->max_tokens ? s->max_tokens : prompt->max_tokens;
    /* An answer of so many characters; of JSON, as much as a third of its room. */
    uint64_t each = (uint64_t)(chars ? chars * 2 / 3 + 4 : tokens / 3);
    for (size_t i = 0; i < todo && !st; i++) {
        struct job job = { .unit = i };
        struct weft_call_key key;
        weft_buf_reset(&body);
        st = make_body(prompt, s, &units[i], &job, &body, err);
        if (!st)
            st = weft_call_key_of(&scratch, weft_str_c(endpoint), weft_str_c(s->model), weft_buf_view(&body),
                                  &key, err);
        if (st) break;
        enum weft_call_state known = ledger ? weft_ledger_find(ledger, &key) : WEFT_CALL_NONE;
        if (known == WEFT_CALL_ANSWERED || ((known == WEFT_CALL_EMPTY || known == WEFT_CALL_REFUSED) && !s->again)) {
            e.reused++;
            continue;
        }
        if (!WEFT_GROW(&scratch, keys.items, keys.n, keys.cap)) {
            st = weft_fail_nomem(err, sizeof key, "requests");
            break;
        }
        keys.items[keys.n++] = key;
        e.prompt_tokens += weft_ask_tokens(weft_buf_view(&body));
    }
    if (!st && keys.n) {
        qsort(keys.items, keys.n, sizeof *keys.items, by_bytes);
        for (size_t i = 1; i < keys.n; i++) e.shared += weft_call_key_eq(&keys.items[i], &keys.items[i - 1]);
    }
    e.calls = keys.n - e.shared;
    if (e.shared) e.prompt_tokens -= e.prompt_tokens * e.shared / keys.n;
    e.completion_tokens = e.calls * each;
    e.cost = cost_of(s, e.prompt_tokens, e.completion_tokens);
    weft_buf_clear(&body);
    weft_arena_clear(&scratch);
    if (!st) *out = e;
    return st;
}
