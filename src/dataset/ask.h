/* dataset/ask.h - rows that a model writes, checked, and never paid for twice
 *
 * Units (passages, rows, groups of examples) go in; each becomes a request by a prompt (dataset/prompt.h), and each
 * reply is held against the contract of its task.  A reply that breaks it is answered once by a corrective turn; what
 * is still wrong is flagged and kept apart.  The ledger (dataset/ledger.h) is asked before the model is, and knows
 * every answer before a row is made of it.  Results stand in the order of the units, whatever the order of the replies.
 * The model comes in as a transport: an endpoint (dataset/ask_http.h), a model of weft, or a mock.  Tasks that have an
 * honest rule work without any (weft_ask_offline); their rows say so.
 *
 * Owner:   results live in the arena given.
 * Threads: one per call.
 */
#ifndef WEFT_DATASET_ASK_H
#define WEFT_DATASET_ASK_H

#include "base/progress.h"
#include "dataset/ledger.h"
#include "dataset/prompt.h"
#include "dataset/row.h"

/* ---- what is asked ---- */

enum { WEFT_ASK_VALUES = 6 };

/* A speech whose speaker is wanted (task dialogue). */
struct weft_ask_open {
    uint64_t number; /* as it stands in the text: 〔3〕 */
    size_t speech;   /* the caller's */
    const struct weft_str *candidates;
    size_t n_candidates;
};

struct weft_ask_unit {
    struct weft_str text;     /* the first placeholder of the task: a passage, a question, examples */
    const struct weft_row *row; /* judge, rag: the row itself; else NULL */
    struct weft_origin origin;  /* of the unit; its id is the parent of the rows */
    struct weft_str parents;    /* further parents, comma-separated; s == NULL: none */
    struct weft_prompt_value values[WEFT_ASK_VALUES]; /* of the other placeholders */
    size_t n_values;
    const struct weft_row *const *examples; /* augment: what was shown */
    size_t n_examples;
    const struct weft_ask_open *open;
    size_t n_open;
};

struct weft_ask_settings {
    const char *model;
    double temperature, top_p; /* below 0: the prompt's; the model's own */
    int64_t max_tokens;        /* 0: the prompt's */
    int64_t seed;              /* sent with each request; below 0: none */
    int64_t concurrency;       /* requests in flight; 0: 16 */
    int64_t limit;             /* ask about the first so many units; 0: all */
    int64_t max_calls;         /* requests sent in this run at most; 0: any number */
    double max_cost;           /* money spent in this run at most; 0: any */
    double price_in, price_out; /* of a million tokens */
    bool shaped;               /* requests for JSON bring its schema: whoever answers keeps to it */
    bool again;                /* ask again what came back empty or refused */
    const char *instruction;   /* summarise: of the rows; NULL: the prompt's */
    int64_t max_chars, pairs;  /* 0: the prompt's */
    const char *role;          /* rag: who speaks */

    /* Told of every answer used, whether it was known or came now, and of every request that failed; its texts live
     * until it returns.  NULL: nobody listens. */
    void (*heard)(void *ctx, const struct weft_call *call);
    void *heard_ctx;
};

/* ---- whom to ask ---- */

enum weft_ask_outcome {
    WEFT_ASK_REPLY,      /* a reply came: text, or nothing, or a refusal */
    WEFT_ASK_TRY_FAILED, /* this try failed, the transport tries again; only recorded */
    WEFT_ASK_GAVE_UP,    /* nothing usable after all tries */
    WEFT_ASK_STOP        /* no request to this endpoint can succeed (key, model, quota): all asking ends (C3) */
};

struct weft_ask_reply {
    size_t id; /* of the request */
    enum weft_ask_outcome outcome;
    enum weft_call_finish finish;
    uint32_t http_status, prompt_tokens, completion_tokens;
    bool maybe_paid;
    bool refused;
    /* Live until the next wait. */
    struct weft_str text, reasoning; /* after a failure: the first bytes of what came */
    struct weft_str message;         /* why it failed, or the refusal */
};

struct weft_ask_transport {
    const char *endpoint; /* part of every key */
    /* Takes a request; `body` (JSON) and `key` (64 digits, the Idempotency-Key) live until its last reply. */
    enum weft_status (*send)(void *ctx, size_t id, struct weft_str body, const char *key, struct weft_err *err);
    /* Waits up to timeout_ms for something to happen and hands out at most `max` replies. */
    enum weft_status (*wait)(void *ctx, uint32_t timeout_ms, struct weft_ask_reply *out, size_t max, size_t *n,
                             struct weft_err *err);
    /* Forgets the requests that are still in flight: their bodies go away. */
    void (*abandon)(void *ctx);
    void *ctx;
    bool free; /* nothing is paid: when the user stops, what is in flight is given up at once */
};

/* ---- what came of it ---- */

enum weft_ask_state {
    WEFT_ASK_LEFT, /* not asked: limit, budget, stopped */
    WEFT_ASK_OK,
    WEFT_ASK_FLAGGED, /* an answer that breaks the contract, also after a corrective turn */
    WEFT_ASK_EMPTY,
    WEFT_ASK_REFUSED,
    WEFT_ASK_FAILED,
    WEFT_N_ASK_STATES
};
const char *weft_ask_state_name(enum weft_ask_state s); /* "ok" */

struct weft_ask_result {
    enum weft_ask_state state;
    struct weft_rows rows;     /* of an answer that kept the contract */
    size_t *chosen;            /* dialogue: [n_open] a candidate's number, SIZE_MAX: none */
    struct weft_str reply;     /* the answer without thoughts, or the refusal, or the failure; s == NULL: none */
    struct weft_str problem;   /* what is wrong with it, in the prompt's language */
    bool corrected;            /* it took the corrective turn */
};

/* units == sum of states.  asked == answered + failed + those that got nothing before the end. */
struct weft_ask_report {
    uint64_t units, states[WEFT_N_ASK_STATES];
    uint64_t asked;        /* requests sent in this run, corrective ones too */
    uint64_t reused;       /* answers found in the ledger */
    uint64_t shared;       /* units whose request was equal to one already in flight */
    uint64_t corrective;   /* corrective turns, sent or reused */
    uint64_t failed_tries; /* tries that failed, those repeated with success too */
    uint64_t maybe_paid_twice; /* requests sent although an earlier one may have been paid */
    uint64_t thoughts, fences; /* replies that had them */
    uint64_t prompt_tokens, completion_tokens; /* of the replies of this run */
    double cost;
    uint64_t rows;
    struct weft_report pieces; /* parts of replies: units_in = rows + dropped by reason */
    bool over_budget;
    bool refused_all;          /* asking ended early: the endpoint refused, or failed again and again; err has why */
};

/* Asks about every unit and fills results [n], which the caller zeroed.  WEFT_OK also when single units failed: the
 * report says how many.  WEFT_EREMOTE: the endpoint can answer nothing (C3), or many requests in a row failed;
 * WEFT_ECANCEL: stopped.  Whatever came
 * before is in the ledger, results and report are filled as far as they go. */
WEFT_MUST_USE enum weft_status weft_ask_run(struct weft_arena *a, const struct weft_prompt *prompt,
                                            const struct weft_ask_settings *s, const struct weft_ask_unit *units,
                                            size_t n, struct weft_ledger *ledger,
                                            const struct weft_ask_transport *transport,
                                            const struct weft_progress *progress, struct weft_ask_result *results,
                                            struct weft_ask_report *report, struct weft_err *err);

/* The same by rule, without any model.  WEFT_EARG: this task has no rule. */
WEFT_MUST_USE enum weft_status weft_ask_offline(struct weft_arena *a, const char *task,
                                                const struct weft_ask_settings *s, const struct weft_prompt *prompt,
                                                const struct weft_ask_unit *units, size_t n,
                                                const struct weft_progress *progress, struct weft_ask_result *results,
                                                struct weft_ask_report *report, struct weft_err *err);

/* What asking would take, without sending anything.  Tokens are a guess from characters. */
struct weft_ask_estimate {
    uint64_t units, calls, reused, shared;
    uint64_t prompt_tokens, completion_tokens;
    double cost;
};
WEFT_MUST_USE enum weft_status weft_ask_preview(struct weft_arena *a, const struct weft_prompt *prompt,
                                                const struct weft_ask_settings *s, const struct weft_ask_unit *units,
                                                size_t n, struct weft_ledger *ledger, const char *endpoint,
                                                struct weft_ask_estimate *out, struct weft_err *err);
uint64_t weft_ask_tokens(struct weft_str text); /* the guess */

/* ---- units ---- */

/* One for each text row, or for each conversation its last question ("question") and answer ("answer").  Rows without
 * an id get "r000001" by their number. */
WEFT_MUST_USE enum weft_status weft_ask_units_of_rows(struct weft_arena *a, const char *task,
                                                      const struct weft_rows *rows, struct weft_ask_unit **out,
                                                      size_t *n, struct weft_err *err);

/* Augmentation: `draws` groups of `examples` rows each, drawn by the seed; the same seed gives the same groups. */
WEFT_MUST_USE enum weft_status weft_ask_units_of_draws(struct weft_arena *a, const struct weft_rows *rows,
                                                       uint64_t draws, uint64_t examples, uint64_t seed,
                                                       struct weft_ask_unit **out, size_t *n, struct weft_err *err);

/* The question and the answer of a conversation: its last user turn and its last assistant turn. */
struct weft_str weft_ask_question(const struct weft_row *row);
struct weft_str weft_ask_answer(const struct weft_row *row);

/* ---- tasks ---- */

struct weft_ask_task {
    const char *name, *help, *help_zh;
    const char *const *names; /* placeholders, ending in NULL; the first is the unit's text */
    bool offline;             /* there is a rule */
};
const struct weft_ask_task *weft_ask_task(const char *name); /* NULL: no such task */
const struct weft_ask_task *weft_ask_task_at(size_t i);      /* NULL behind the last */
enum weft_status weft_ask_task_unknown(const char *name, struct weft_err *err);

#endif
