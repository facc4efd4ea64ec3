/* dataset/search.h - full-text search over rows or lines, for Chinese too
 *
 * SQLite's FTS5 with a tokenizer of ours.  FTS5's own cut at spaces, which Chinese does not have, or into three
 * characters, which cannot find a name of two.  Ours gives
 *   - for a run of Chinese characters, kana or hangul its pairs: 甄嬛传 -> 甄嬛 嬛传, and the last character by itself,
 *     so that one character is found as the beginning of a pair or as the end of a run
 *   - for anything else that is a letter or digit the whole word, folded to lower case, full-width forms to ASCII
 * A word of any length is then a phrase of neighbouring pairs: what is found is exactly a substring of a run.
 *
 *     st = weft_search_open(&s, NULL, err);                            in memory, or a file
 *     for each row: st = weft_search_add(s, &doc, &id, err);           ids are 1, 2, 3 ...
 *     st = weft_search_commit(s, err);
 *     st = weft_search_query(s, &arena, query, WEFT_SEARCH_ANY, 10, &hits, &n, err);
 *     weft_search_close(s);
 *
 * Ranking is BM25 (Robertson and Zaragoza 2009, k1 = 1.2, b = 0.75): rarer words weigh more, longer rows less.  Equal
 * scores are in the order of adding, so one index gives one answer.
 *
 * Owner:   the handle; hits live in the arena of the query.
 * Threads: one handle belongs to one thread.
 */
#ifndef WEFT_DATASET_SEARCH_H
#define WEFT_DATASET_SEARCH_H

#include "base/str.h"

struct weft_search;

struct weft_search_doc {
    struct weft_str text;       /* what is searched */
    struct weft_str origin;     /* where it came from, in the caller's words; not searched; s == NULL: "" */
};

enum weft_search_mode {
    WEFT_SEARCH_ALL,            /* every word of the query (parted by white space and punctuation) is there */
    WEFT_SEARCH_ANY             /* any pair or word of the query is there: for sentences as queries (retrieval) */
};

struct weft_search_hit {
    int64_t id;
    double score;               /* BM25, larger is better */
    struct weft_str text, origin;
};

/* Opens an index at `path` (NULL: in memory), making it where it is not there.  WEFT_EINPUT: not an index. */
WEFT_MUST_USE enum weft_status weft_search_open(struct weft_search **out, const char *path, struct weft_err *err);
void weft_search_close(struct weft_search *s);      /* accepts NULL; what was not committed is gone */

/* Adds a document; `id` may be NULL.  Text is UTF-8, bad parts separate words. */
WEFT_MUST_USE enum weft_status weft_search_add(struct weft_search *s, const struct weft_search_doc *doc, int64_t *id,
                                               struct weft_err *err);
/* What was added is found from now on, also by others and after a kill. */
WEFT_MUST_USE enum weft_status weft_search_commit(struct weft_search *s, struct weft_err *err);
/* Takes every document out, within the transaction that the next add or commit belongs to. */
WEFT_MUST_USE enum weft_status weft_search_clear(struct weft_search *s, struct weft_err *err);
uint64_t weft_search_count(struct weft_search *s);  /* documents committed */

/* A text kept with the index and committed with it: what it was built from.  s == NULL: none. */
WEFT_MUST_USE enum weft_status weft_search_set_label(struct weft_search *s, struct weft_str label,
                                                     struct weft_err *err);
WEFT_MUST_USE enum weft_status weft_search_label(struct weft_search *s, struct weft_arena *a, struct weft_str *label,
                                                 struct weft_err *err);

/* The best `limit` documents.  *n_all (may be NULL): how many there are in all.  A query without a letter finds
 * nothing. */
WEFT_MUST_USE enum weft_status weft_search_query(struct weft_search *s, struct weft_arena *a, struct weft_str query,
                                                 enum weft_search_mode mode, size_t limit,
                                                 struct weft_search_hit **hits, size_t *n, uint64_t *n_all,
                                                 struct weft_err *err);

/* ---- for other databases that search (store/) ---- */

/* The query in FTS5's language, quoted piece by piece.  *pieces 0: it has no letter and finds nothing. */
WEFT_MUST_USE enum weft_status weft_search_match(struct weft_buf *out, struct weft_str query,
                                                 enum weft_search_mode mode, size_t *pieces, struct weft_err *err);
/* The tokenizer by itself. */


/* Calls `each` for each token of the text: its folded bytes and where it stands.  `query`: without the single last
 * characters of runs.  A status other than WEFT_OK from `each` stops and is returned. */
enum weft_status
weft_search_tokens(struct weft_str text, bool query,
                   enum weft_status (*each)(void *ctx, struct weft_str token, size_t begin, size_t end), void *ctx);

/* Registers the tokenizer "weft" on a connection. */
struct sqlite3;
WEFT_MUST_USE enum weft_status weft_search_register(struct sqlite3 *sql, void *ctx, struct weft_err *err);

#endif
