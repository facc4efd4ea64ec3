/* The words of the rows: an FTS5 table beside them, written in the transactions that write and remove rows.  (Not by
 * triggers: SQLite keeps FTS5 out of those of a schema that is not trusted.)  It holds no second copy of the text
 * ("external content" over a view), and a row is known there by dataset << 32 | number, which outlives VACUUM and says
 * the dataset without a look at the row.
 *
 * Taking a row out of such an index needs the very text that was put in.  So the function that makes text of a row is
 * frozen: another text is another function and a step of the schema that rebuilds the index. */
#include "store/parts.h"

#include "base/json.h"
#include "dataset/search.h"
#include "dataset/search_rank.h"
#include "dataset/search_top.h"

#include <sqlite3.h>
#include <stdlib.h>

/* ---- text of a row ---- */

static bool is_said(struct weft_str key)
{
    static const char *const unsaid[] = { "weft", "role", "from", "kto_tag" };
    for (size_t i = 0; i < WEFT_COUNT(unsaid); i++)
        if (weft_str_is(key, unsaid[i])) return false;
    return true;
}

/* Every string of the row in order, each on a line, but for its origin and the names of roles.  The reader has bounded
 * the depth. */
static void put_strings(struct weft_buf *b, const struct weft_json_value *v)
{
    if (v->kind == WEFT_JSON_STRING && v->text.len) {
        if (b->len) weft_buf_char(b, '\n');
        weft_buf_str(b, v->text);
    }
    if (v->kind != WEFT_JSON_OBJECT && v->kind != WEFT_JSON_ARRAY) return;
    for (size_t i = 0; i < v->n; i++)
        if (v->kind == WEFT_JSON_ARRAY || is_said(v->keys[i])) put_strings(b, &v->items[i]);
}

static bool text_of(struct weft_arena *a, struct weft_str json, struct weft_buf *b)
{
    struct weft_json_value v;
    if (weft_json_parse(a, "a row", json, &v, NULL)) return false;
    put_strings(b, &v);
    return !b->failed;
}

static void row_text(sqlite3_context *c, int n, sqlite3_value **values)
{
    struct weft_arena a = { 0 };
    struct weft_buf b = { 0 };
    const char *s = (const char *)sqlite3_value_text(values[0]);
    struct weft_str json = { s, s ? (size_t)sqlite3_value_bytes(values[0]) : 0 };
    if (s && !text_of(&a, json, &b) && b.failed) sqlite3_result_error_nomem(c);
    else sqlite3_result_text64(c, b.len ? b.s : "", b.len, SQLITE_TRANSIENT, SQLITE_UTF8);
    weft_buf_clear(&b);
    weft_arena_clear(&a);
}

enum weft_status weft_store_register(struct sqlite3 *sql, void *ctx, struct weft_err *err)
{
    int flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS;
    enum weft_status st = weft_search_register(sql, NULL, err);
    if (!st && sqlite3_create_function_v2(sql, "weft_row_text", 1, flags, NULL, row_text, NULL, NULL, NULL) != SQLITE_OK)
        st = weft_fail_nomem(err, 0, "SQLite");
    return st;
}

enum weft_status weft_store_remove_with_words(struct weft_store *s, enum weft_store_query words,
                                              enum weft_store_query rest, int64_t id, struct weft_err *err)
{
    const enum weft_store_query both[] = { words, rest };
    struct sqlite3_stmt *st;
    enum weft_status status = weft_db_begin(&s->db, err);
    for (size_t i = 0; !status && i < WEFT_COUNT(both); i++) {
        status = weft_store_use(s, both[i], &st, err);
        if (status) break;
        weft_db_bind_int(st, 1, id);
        status = weft_db_run(&s->db, st, err);
    }
    if (!status) status = weft_db_commit(&s->db, err);
    weft_db_rollback(&s->db);
    return status;
}

/* ---- queries ---- */

static int by_id(const void *a, const void *b)
{
    const struct weft_store_dataset *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

/* The versions that are searched, by id: the newest of each dataset, or all.  The list comes by name and version. */
static enum weft_status searched(struct weft_store *s, struct weft_arena *a, const struct weft_store_words *q,
                                 struct weft_store_dataset **list, size_t *n, struct weft_err *err)
{
    size_t kept = 0;
    enum weft_status st = weft_store_datasets(s, a, q->project_id, list, n, err);
    if (st) return st;
    struct weft_store_dataset *d = *list;
    for (size_t i = 0; i < *n; i++)
        if (q->all_versions || i + 1 == *n || d[i].project_id != d[i + 1].project_id
            || !weft_str_eq(d[i].name, d[i + 1].name))
            d[kept++] = d[i];
    *n = kept;
    if (kept) qsort(d, kept, sizeof *d, by_id);
    return WEFT_OK;
}

static enum weft_status go_through(struct weft_store *s, struct weft_str match, const struct weft_store_dataset *sets,
                                   size_t n, struct weft_search_top *top, struct weft_err *err)
{
    struct sqlite3_stmt *st;
    bool row = true;
    enum weft_status status = weft_store_use(s, Q_WORDS, &st, err);
    if (status) return status;
    weft_db_bind_str(st, 1, match);
    weft_db_bind_pointer(st, 2, top, WEFT_SEARCH_TOP);
    while (!(status = weft_db_step(&s->db, st, &row, err)) && row) {
        struct weft_store_dataset of = { .id = weft_db_int(st, 0) >> 32 };
        if (bsearch(&of, sets, n, sizeof *sets, by_id))
            weft_search_top_add(top, weft_db_int(st, 0), weft_db_double(st, 1));
    }
    weft_db_reset(st);
    return status;
}

static enum weft_status look_up(struct weft_store *s, struct weft_arena *a, const struct weft_search_best *best,
                                const struct weft_store_dataset *sets, size_t n, struct weft_store_hit *hit,
                                struct weft_err *err)
{
    struct weft_store_dataset of = { .id = best->id >> 32 };
    const struct weft_store_dataset *d = bsearch(&of, sets, n, sizeof *sets, by_id);
    struct weft_buf text = { 0 };
    struct sqlite3_stmt *st;
    bool row = false;
    enum weft_status status = weft_store_use(s, Q_ROW, &st, err);
    if (status) return status;
    weft_db_bind_int(st, 1, of.id);
    weft_db_bind_int(st, 2, best->id & UINT32_MAX);
    status = weft_db_step(&s->db, st, &row, err);
    *hit = (struct weft_store_hit){ .dataset = *d, .row = (uint64_t)(best->id & UINT32_MAX) + 1, .score = best->score };
    if (row) status = weft_store_text(a, st, 0, &hit->json, err);
    weft_db_reset(st);
    if (!status && row) {
        (void)text_of(a, hit->json, &text);
        hit->text = weft_str_dup(a, text.s ? weft_buf_view(&text) : WEFT_STR(""));
        if (!hit->text.s) status = weft_fail_nomem(err, text.len, "the hits");
    }
    weft_buf_clear(&text);
    return status;
}

enum weft_status weft_store_search(struct weft_store *s, struct weft_arena *a, const struct weft_store_words *q,
                                   struct weft_store_hit **hits, size_t *n, uint64_t *n_all, struct weft_err *err)
{
    struct weft_buf match = { 0 };
    struct weft_search_top top;
    struct weft_store_dataset *sets;
    struct weft_store_hit *found = NULL;
    size_t pieces, n_sets;
    *hits = NULL;
    *n = 0;
    *n_all = 0;
    enum weft_status st = weft_search_match(&match, q->text, q->mode, &pieces, err);
    if (!st) st = searched(s, a, q, &sets, &n_sets, err);
    if (st || !pieces || !n_sets || !q->limit) goto done;
    st = weft_search_top_init(&top, a, q->limit, err);
    if (!st) st = go_through(s, weft_buf_view(&match), sets, n_sets, &top, err);
    if (st) goto done;
    weft_search_top_sort(&top);
    found = WEFT_NEWS(a, struct weft_store_hit, top.n + 1);
    if (!found) st = weft_fail_nomem(err, top.n * sizeof *found, "the hits");
    for (size_t i = 0; !st && i < top.n; i++) st = look_up(s, a, &top.items[i], sets, n_sets, &found[i], err);
    if (st) goto done;
    *hits = found;
    *n = top.n;
    *n_all = top.met;
done:
    weft_buf_clear(&match);
    return st;
}
