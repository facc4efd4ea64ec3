/* Every request that was sent, by its key: which ledger has the answer, and what it took. */
#include "store/parts.h"

#include "dataset/grow.h"

enum weft_status weft_store_call_put(struct weft_store *s, int64_t project_id, const struct weft_store_call *call,
                                     struct weft_err *err)
{
    const struct weft_str texts[] = { call->ledger, call->endpoint, call->model, call->state };
    struct sqlite3_stmt *st;
    enum weft_status status = weft_store_use(s, Q_CALL_PUT, &st, err);
    if (status) return status;
    weft_db_bind_str(st, 1, call->key);
    weft_db_bind_int(st, 2, project_id);
    for (int i = 0; i < (int)WEFT_COUNT(texts); i++) weft_db_bind_str(st, 3 + i, texts[i].s ? texts[i] : WEFT_STR(""));
    weft_db_bind_int(st, 7, call->prompt_tokens);
    weft_db_bind_int(st, 8, call->completion_tokens);
    weft_db_bind_int(st, 9, call->at);
    return weft_db_run(&s->db, st, err);
}

enum weft_status weft_store_call_get(struct weft_store *s, struct weft_arena *a, struct weft_str key,
                                     struct weft_store_call *call, bool *found, struct weft_err *err)
{
    struct sqlite3_stmt *st;
    *found = false;
    enum weft_status status = weft_store_use(s, Q_CALL_GET, &st, err);
    if (status) return status;
    weft_db_bind_str(st, 1, key);
    status = weft_db_step(&s->db, st, found, err);
    if (status || !*found) return status;
    *call = (struct weft_store_call){ .prompt_tokens = weft_db_int(st, 5), .completion_tokens = weft_db_int(st, 6),
                                      .at = weft_db_int(st, 7) };
    struct weft_str *const texts[] = { &call->key, &call->ledger, &call->endpoint, &call->model, &call->state };
    for (int i = 0; i < (int)WEFT_COUNT(texts) && !status; i++) status = weft_store_text(a, st, i, texts[i], err);
    weft_db_reset(st);
    return status;
}

enum weft_status weft_store_calls_put(struct weft_store *s, int64_t project_id, const struct weft_store_call *calls,
                                      size_t n, struct weft_err *err)
{
    enum weft_status st = n ? weft_db_begin(&s->db, err) : WEFT_OK;
    if (st || !n) return st;
    for (size_t i = 0; !st && i < n; i++) st = weft_store_call_put(s, project_id, &calls[i], err);
    if (!st) st = weft_db_commit(&s->db, err);
    weft_db_rollback(&s->db);
    return st;
}

enum weft_status weft_store_call_totals(struct weft_store *s, struct weft_arena *a, int64_t project_id,
                                        struct weft_store_call_total **list, size_t *n, struct weft_err *err)
{
    struct weft_store_call_total *items = NULL;
    struct sqlite3_stmt *st;
    size_t count = 0, cap = 0;
    bool row = true;
    enum weft_status status = weft_store_use(s, Q_CALL_TOTALS, &st, err);
    if (!status) weft_db_bind_int(st, 1, project_id);
    while (!status && !(status = weft_db_step(&s->db, st, &row, err)) && row) {
        if (!WEFT_GROW(a, items, count, cap)) return weft_fail_nomem(err, count * sizeof *items, "the calls");
        struct weft_store_call_total *t = &items[count++];
        uint64_t *const numbers[] = { &t->requests, &t->answered, &t->unusable, &t->prompt_tokens,
                                      &t->completion_tokens };
        *t = (struct weft_store_call_total){ .last = weft_db_int(st, 7) };
        for (int i = 0; i < (int)WEFT_COUNT(numbers); i++) *numbers[i] = (uint64_t)weft_db_int(st, 2 + i);
        status = weft_store_text(a, st, 0, &t->endpoint, err);
        if (!status) status = weft_store_text(a, st, 1, &t->model, err);
    }
    *list = items;
    *n = count;
    return status;
}
