/* BM25 with FTS5's own figures, but for one thing: how long a document is, is asked for only where the hit may be among
 * the best.  To look that up takes two thirds of a query, and most hits of a frequent word cannot be: a document is at
 * least as long as where it has the word for the last time, and even so short it would rank behind those kept. */
#include "dataset/search_rank.h"

#include "dataset/search_top.h"

#include <math.h>
#include <sqlite3.h>

/* What stays the same for all hits of a query. */
struct figures {
    double mean_len;            /* of documents, in tokens */
    int n;                      /* phrases */
    struct phrase {
        double idf, freq;       /* freq: in the document at hand */
    } phrases[];
};

static int count_hit(const Fts5ExtensionApi *api, Fts5Context *fts, void *n)
{
    ++*(sqlite3_int64 *)n;
    return SQLITE_OK;
}

/* Of the query; made at its first hit. */
static int get_figures(const Fts5ExtensionApi *api, Fts5Context *fts, struct figures **out)
{
    sqlite3_int64 n_docs = 0, n_tokens = 0;
    int n = api->xPhraseCount(fts), r;
    *out = api->xGetAuxdata(fts, 0);
    if (*out) return SQLITE_OK;
    struct figures *f = sqlite3_malloc64(sizeof *f + (sqlite3_uint64)n * sizeof *f->phrases);
    if (!f) return SQLITE_NOMEM;
    f->n = n;
    r = api->xRowCount(fts, &n_docs);
    if (r == SQLITE_OK) r = api->xColumnTotalSize(fts, -1, &n_tokens);
    f->mean_len = (double)n_tokens / (double)n_docs;
    for (int i = 0; r == SQLITE_OK && i < n; i++) {
        sqlite3_int64 n_hits = 0;
        r = api->xQueryPhrase(fts, i, &n_hits, count_hit);
        double idf = log(((double)(n_docs - n_hits) + 0.5) / ((double)n_hits + 0.5));
        f->phrases[i].idf = idf > 0 ? idf : 1e-6;
    }
    if (r == SQLITE_OK) r = api->xSetAuxdata(fts, f, sqlite3_free);        /* frees f where it fails */
    else sqlite3_free(f);
    *out = f;
    return r;
}

/* Of the document at hand, if it had `len` tokens; falls as they grow. */
static double score(const struct figures *f, int len)
{
    const double k1 = 1.2, b = 0.75;
    double sum = 0;
    for (int i = 0; i < f->n; i++) {
        const struct phrase *p = &f->phrases[i];
        sum += p->idf * (p->freq * (k1 + 1) / (p->freq + k1 * (1 - b + b * len / f->mean_len)));
    }
    return sum;
}

static void rank(const Fts5ExtensionApi *api, Fts5Context *fts, sqlite3_context *result, int n_values,
                 sqlite3_value **values)
{
    const struct weft_search_top *top = n_values ? sqlite3_value_pointer(values[0], WEFT_SEARCH_TOP) : NULL;
    struct figures *f;
    int n = 0, len = 0, r = get_figures(api, fts, &f);
    if (r == SQLITE_OK) r = api->xInstCount(fts, &n);
    for (int i = 0; r == SQLITE_OK && i < f->n; i++) f->phrases[i].freq = 0;
    for (int i = 0; r == SQLITE_OK && i < n; i++) {
        int phrase, column, token;
        r = api->xInst(fts, i, &phrase, &column, &token);
        if (r != SQLITE_OK) break;
        f->phrases[phrase].freq++;
        if (token >= len) len = token + 1;
    }
    if (r == SQLITE_OK && !(top && weft_search_top_is_beyond(top, score(f, len)))) r = api->xColumnSize(fts, -1, &len);
    if (r == SQLITE_OK) sqlite3_result_double(result, score(f, len));
    else sqlite3_result_error_code(result, r);
}

int weft_search_rank_register(struct fts5_api *api)
{
    return api->xCreateFunction(api, "weft_bm25", NULL, rank, NULL);
}
