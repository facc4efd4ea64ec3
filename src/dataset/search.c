/* Documents stand in a table; the index is an FTS5 table over it that keeps no second copy of the text ("external
 * content").  It is written in one transaction with a rollback journal: a killed build leaves no half index.
 *
 * Queries never reach FTS5's query language as they were typed: they are cut by the tokenizer and each piece, which
 * holds letters and digits only, is quoted. */
#include "dataset/search.h"

#include "base/db.h"
#include "dataset/search_rank.h"
#include "dataset/search_top.h"

#include <stdlib.h>

/* An index that got so many documents at once is merged into one segment, which queries read fastest. */
enum { OPTIMIZE_FROM = 10000, QUERY_BYTES = 64 << 10 };

static const char *const steps[] = {
    "CREATE TABLE docs(id INTEGER PRIMARY KEY, text TEXT NOT NULL, origin TEXT NOT NULL) STRICT;"
    "CREATE TABLE labels(name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;"
    "CREATE VIRTUAL TABLE words USING fts5(text, content='docs', content_rowid='id', tokenize='weft');"
    "INSERT INTO words(words, rank) VALUES('hashsize', 67108864);",
};

struct weft_search {
    struct weft_db db;
    struct sqlite3_stmt *add_doc, *add_words, *find, *get_doc, *get_label, *set_label;
    int64_t last_id;
    uint64_t added;         /* since the last commit */
    bool writing;
};

static const struct weft_db_schema schema = {
    .application_id = 0x77667473,       /* "wfts" */
    .what = "a search index",
    .steps = steps,
    .n_steps = WEFT_COUNT(steps),
    .prepare = weft_search_register,
};

enum weft_status weft_search_open(struct weft_search **out, const char *path, struct weft_err *err)
{
    struct weft_search *s = calloc(1, sizeof *s);
    struct sqlite3_stmt *last = NULL;
    bool row = false;
    *out = NULL;
    if (!s) return weft_fail_nomem(err, sizeof *s, "a search index");
    enum weft_status st = weft_db_open(&s->db, path, &schema, err);
    if (!st) st = weft_db_prepare(&s->db, &last, "SELECT coalesce(max(id), 0) FROM docs", err);
    if (!st) st = weft_db_step(&s->db, last, &row, err);
    if (row) s->last_id = weft_db_int(last, 0);
    weft_db_reset(last);
    if (st) weft_search_close(s);
    else *out = s;
    return st;
}

void weft_search_close(struct weft_search *s)
{
    if (!s) return;
    weft_db_close(&s->db);
    free(s);
}

static enum weft_status begin(struct weft_search *s, struct weft_err *err)
{
    if (s->writing) return WEFT_OK;
    enum weft_status st = weft_db_begin(&s->db, err);
    s->writing = st == WEFT_OK;
    return st;
}

enum weft_status weft_search_add(struct weft_search *s, const struct weft_search_doc *doc, int64_t *id,
                                 struct weft_err *err)
{
    enum weft_status st = begin(s, err);
    if (!st) st = weft_db_prepare(&s->db, &s->add_doc, "INSERT INTO docs(id, text, origin) VALUES(?1, ?2, ?3)", err);
    if (!st) st = weft_db_prepare(&s->db, &s->add_words, "INSERT INTO words(rowid, text) VALUES(?1, ?2)", err);
    if (st) return st;
    struct weft_str text = doc->text.s ? doc->text : WEFT_STR("");
    weft_db_bind_int(s->add_doc, 1, s->last_id + 1);
    weft_db_bind_str(s->add_doc, 2, text);
    weft_db_bind_str(s->add_doc, 3, doc->origin.s ? doc->origin : WEFT_STR(""));
    weft_db_bind_int(s->add_words, 1, s->last_id + 1);
    weft_db_bind_str(s->add_words, 2, text);
    st = weft_db_run(&s->db, s->add_doc, err);
    if (!st) st = weft_db_run(&s->db, s->add_words, err);
    if (st) return st;
    s->last_id++;
    s->added++;
    if (id) *id = s->last_id;
    return WEFT_OK;
}

enum weft_status weft_search_commit(struct weft_search *s, struct weft_err *err)
{
    enum weft_status st = WEFT_OK;
    if (!s->writing) return WEFT_OK;
    if (s->added >= OPTIMIZE_FROM) st = weft_db_exec(&s->db, "INSERT INTO words(words) VALUES('optimize')", err);
    if (!st) st = weft_db_commit(&s->db, err);
    if (st) return st;
    s->writing = false;
    s->added = 0;
    return WEFT_OK;
}

enum weft_status weft_search_clear(struct weft_search *s, struct weft_err *err)
{
    enum weft_status st = begin(s, err);
    if (!st) st = weft_db_exec(&s->db, "DELETE FROM docs; DELETE FROM labels; INSERT INTO words(words) VALUES('delete-all')",
                               err);
    if (!st) s->last_id = 0;
    return st;
}

uint64_t weft_search_count(struct weft_search *s) { return (uint64_t)s->last_id - s->added; }

enum weft_status weft_search_set_label(struct weft_search *s, struct weft_str label, struct weft_err *err)
{
    enum weft_status st = begin(s, err);
    if (!st) st = weft_db_prepare(&s->db, &s->set_label, "INSERT OR REPLACE INTO labels VALUES('built from', ?1)", err);
    if (st) return st;
    weft_db_bind_str(s->set_label, 1, label.s ? label : WEFT_STR(""));
    return weft_db_run(&s->db, s->set_label, err);
}

enum weft_status weft_search_label(struct weft_search *s, struct weft_arena *a, struct weft_str *label,
                                   struct weft_err *err)
{
    bool row = false;
    *label = (struct weft_str){ NULL, 0 };
    enum weft_status st =
        weft_db_prepare(&s->db, &s->get_label, "SELECT value FROM labels WHERE name = 'built from'", err);
    if (!st) st = weft_db_step(&s->db, s->get_label, &row, err);
    if (st || !row) return st;
    *label = weft_str_dup(a, weft_db_str(s->get_label, 0));
    weft_db_reset(s->get_label);
    return label->s ? WEFT_OK : weft_fail_nomem(err, 0, "a search index");
}

/* ---- queries ---- */

struct query {
    struct weft_buf *out;
    struct weft_str text;
    enum weft_search_mode mode;
    size_t begin, end;      /* of the run whose pairs are being met, in the text */
    size_t n;               /* pieces written */
};

/* One piece in quotes; a single character without spaces around it may begin a pair. */
static void put_piece(struct query *q, struct weft_str piece)
{
    uint32_t c;
    bool single = piece.len && weft_utf8_decode(piece.s, piece.len, &c, NULL) == piece.len && c >= 0x1100;
    if (q->n++) weft_buf_cstr(q->out, q->mode == WEFT_SEARCH_ANY ? " OR " : " ");
    weft_buf_char(q->out, '"');
    weft_buf_str(q->out, piece);
    weft_buf_cstr(q->out, single ? "\" *" : "\"");
}

/* Pairs of one run overlap: together they are a phrase, and the run itself says it. */
static enum weft_status gather(void *ctx, struct weft_str token, size_t begin, size_t end)
{
    struct query *q = ctx;
    if (q->mode == WEFT_SEARCH_ANY) {
        put_piece(q, token);
        return WEFT_OK;
    }
    if (q->end > begin) q->end = end;
    else {
        if (q->end) put_piece(q, weft_str_sub(q->text, q->begin, q->end));
        q->begin = begin;
        q->end = end;
    }
    return WEFT_OK;
}

enum weft_status weft_search_match(struct weft_buf *out, struct weft_str text, enum weft_search_mode mode, size_t *n,
                                   struct weft_err *err)
{
    struct query q = { .out = out, .text = text, .mode = mode };
    if (text.len > QUERY_BYTES)
        return weft_fail(err, WEFT_ELIMIT, "a query of %zu bytes; at most %d", text.len, QUERY_BYTES);
    enum weft_status st = weft_search_tokens(text, true, gather, &q);
    if (mode == WEFT_SEARCH_ALL && q.end) put_piece(&q, weft_str_sub(text, q.begin, q.end));
    *n = q.n;
    return st ? st : weft_buf_check(out, "the query", err);
}

/* Every hit once: ranked and counted on the way.  Texts are read of those alone that are shown. */
static enum weft_status go_through(struct weft_search *s, struct weft_str match, struct weft_search_top *top,
                                   struct weft_err *err)
{
    bool row = true;
    enum weft_status st =
        weft_db_prepare(&s->db, &s->find, "SELECT rowid, weft_bm25(words, ?2) FROM words WHERE words MATCH ?1", err);
    if (st) return st;
    weft_db_bind_str(s->find, 1, match);
    weft_db_bind_pointer(s->find, 2, top, WEFT_SEARCH_TOP);
    while (!(st = weft_db_step(&s->db, s->find, &row, err)) && row)
        weft_search_top_add(top, weft_db_int(s->find, 0), weft_db_double(s->find, 1));
    weft_db_reset(s->find);
    return st;
}

static enum weft_status look_up(struct weft_search *s, struct weft_arena *a, const struct weft_search_best *best,
                                struct weft_search_hit *hit, struct weft_err *err)
{
    bool row = false;
    enum weft_status st =
        weft_db_prepare(&s->db, &s->get_doc, "SELECT text, origin FROM docs WHERE id = ?1", err);
    if (st) return st;
    weft_db_bind_int(s->get_doc, 1, best->id);
    st = weft_db_step(&s->db, s->get_doc, &row, err);
    *hit = (struct weft_search_hit){ .id = best->id, .score = best->score };
    if (row) {
        hit->text = weft_str_dup(a, weft_db_str(s->get_doc, 0));
        hit->origin = weft_str_dup(a, weft_db_str(s->get_doc, 1));
        if (!hit->text.s || !hit->origin.s) st = weft_fail_nomem(err, 0, "the hits");
    }
    weft_db_reset(s->get_doc);
    return st;
}

enum weft_status weft_search_query(struct weft_search *s, struct weft_arena *a, struct weft_str text,
                                   enum weft_search_mode mode, size_t limit, struct weft_search_hit **hits, size_t *n,
                                   uint64_t *n_all, struct weft_err *err)
{
    struct weft_buf match = { .max_bytes = 16 * QUERY_BYTES };
    struct weft_search_top top;
    struct weft_search_hit *found = NULL;
    size_t pieces = 0;
    enum weft_status st;

    *hits = NULL;
    *n = 0;
    if (n_all) *n_all = 0;
    st = weft_search_match(&match, text, mode, &pieces, err);
    limit = weft_min_size(limit, weft_search_count(s) + s->added);
    if (st || !pieces || !limit) goto done;
    st = weft_search_top_init(&top, a, limit, err);
    if (!st) st = go_through(s, weft_buf_view(&match), &top, err);
    if (st) goto done;
    weft_search_top_sort(&top);
    found = WEFT_NEWS(a, struct weft_search_hit, top.n + 1);
    if (!found) st = weft_fail_nomem(err, top.n * sizeof *found, "the hits");
    for (size_t i = 0; !st && i < top.n; i++) st = look_up(s, a, &top.items[i], &found[i], err);
    if (st) goto done;
    *hits = found;
    *n = top.n;
    if (n_all) *n_all = top.met;
done:
    weft_buf_clear(&match);
    return st;
}
