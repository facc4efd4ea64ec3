/* What was asked of models, by batch; prompts and patches as lists. */
#include "store/parts.h"

#include "dataset/grow.h"

enum weft_status weft_store_batch_add(struct weft_store *s, int64_t project_id, const struct weft_store_batch *b,
                                      struct weft_err *err)
{
    const struct weft_str texts[] = { b->task, b->prompt, b->endpoint, b->model, b->ledger, b->output, b->state };
    const uint64_t numbers[] = { b->units, b->rows, b->asked, b->reused, b->failed, b->prompt_tokens,
                                 b->completion_tokens };
    int at = 1;
    struct sqlite3_stmt *st;
    enum weft_status status = weft_store_use(s, Q_BATCH_ADD, &st, err);
    if (status) return status;
    weft_db_bind_int(st, at++, project_id);
    for (size_t i = 0; i < WEFT_COUNT(texts); i++) weft_db_bind_str(st, at++, texts[i].s ? texts[i] : WEFT_STR(""));
    for (size_t i = 0; i < WEFT_COUNT(numbers); i++) weft_db_bind_int(st, at++, (int64_t)numbers[i]);
    weft_db_bind_double(st, at++, b->cost);
    weft_db_bind_int(st, at, weft_store_now());
    return weft_db_run(&s->db, st, err);
}

enum weft_status weft_store_batches(struct weft_store *s, struct weft_arena *a, int64_t project_id,
                                    struct weft_store_batch **list, size_t *n, struct weft_err *err)
{
    struct weft_store_batch *items = NULL;
    struct sqlite3_stmt *st;
    size_t count = 0, cap = 0;
    bool row = true;
    enum weft_status status = weft_store_use(s, Q_BATCHES, &st, err);
    if (!status) weft_db_bind_int(st, 1, project_id);
    while (!status && !(status = weft_db_step(&s->db, st, &row, err)) && row) {
        if (!WEFT_GROW(a, items, count, cap)) return weft_fail_nomem(err, count * sizeof *items, "the calls");
        struct weft_store_batch *b = &items[count++];
        *b = (struct weft_store_batch){ .cost = weft_db_double(st, 15), .at = weft_db_int(st, 16) };
        struct weft_str *const texts[] = { &b->project, &b->task, &b->prompt, &b->endpoint,
                                           &b->model, &b->ledger, &b->output, &b->state };
        uint64_t *const numbers[] = { &b->units, &b->rows, &b->asked, &b->reused, &b->failed, &b->prompt_tokens,
                                      &b->completion_tokens };
        for (int i = 0; i < (int)WEFT_COUNT(texts) && !status; i++) status = weft_store_text(a, st, i, texts[i], err);
        for (int i = 0; i < (int)WEFT_COUNT(numbers); i++)
            *numbers[i] = (uint64_t)weft_db_int(st, (int)WEFT_COUNT(texts) + i);
    }
    *list = items;
    *n = count;
    return status;
}

enum weft_status weft_store_prompts(struct weft_store *s, struct weft_arena *a, int64_t project_id,
                                    struct weft_store_prompt **list, size_t *n, struct weft_err *err)
{
    struct weft_store_prompt *items = NULL;
    struct sqlite3_stmt *st;
    size_t count = 0, cap = 0;
    bool row = true;
    enum weft_status status = weft_store_use(s, Q_PROMPTS, &st, err);
    if (!status) weft_db_bind_int(st, 1, project_id);
    while (!status && !(status = weft_db_step(&s->db, st, &row, err)) && row) {
        if (!WEFT_GROW(a, items, count, cap)) return weft_fail_nomem(err, count * sizeof *items, "the prompts");
        struct weft_store_prompt *p = &items[count++];
        *p = (struct weft_store_prompt){ .version = weft_db_int(st, 2), .created = weft_db_int(st, 3) };
        status = weft_store_text(a, st, 0, &p->project, err);
        if (!status) status = weft_store_text(a, st, 1, &p->name, err);
        if (!status) status = weft_store_text(a, st, 4, &p->text, err);
        if (!status) status = weft_sha256_of(p->text, p->sha256, err);
    }
    *list = items;
    *n = count;
    return status;
}

enum weft_status weft_store_patches_add(struct weft_store *s, int64_t project_id, struct weft_str dataset,
                                        struct weft_str lines, uint64_t *added, struct weft_err *err)
{
    struct weft_lines each = { .text = lines };
    struct weft_str line;
    *added = 0;
    enum weft_status st = weft_db_begin(&s->db, err);
    if (st) return st;
    while (!st && weft_lines_next(&each, &line)) {
        if (!weft_str_trim_ascii(line).len) continue;
        st = weft_store_patch_add(s, project_id, dataset, line, err);
        if (!st) *added += (uint64_t)weft_db_changes(&s->db);
    }
    if (!st) st = weft_db_commit(&s->db, err);
    weft_db_rollback(&s->db);
    return st;
}

enum weft_status weft_store_patch_sets(struct weft_store *s, struct weft_arena *a, int64_t project_id,
                                       struct weft_store_patch_set **list, size_t *n, struct weft_err *err)
{
    struct weft_store_patch_set *items = NULL;
    struct sqlite3_stmt *st;
    size_t count = 0, cap = 0;
    bool row = true;
    enum weft_status status = weft_store_use(s, Q_PATCH_SETS, &st, err);
    if (!status) weft_db_bind_int(st, 1, project_id);
    while (!status && !(status = weft_db_step(&s->db, st, &row, err)) && row) {
        if (!WEFT_GROW(a, items, count, cap)) return weft_fail_nomem(err, count * sizeof *items, "the decisions");
        struct weft_store_patch_set *p = &items[count++];
        *p = (struct weft_store_patch_set){ .n = (uint64_t)weft_db_int(st, 2), .last = weft_db_int(st, 3) };
        status = weft_store_text(a, st, 0, &p->project, err);
        if (!status) status = weft_store_text(a, st, 1, &p->dataset, err);
    }
    *list = items;
    *n = count;
    return status;
}
