/* dataset/retrieve.h - which of some thousand short texts fit a question best: BM25 over letters, in memory
 *
 * Robertson and Zaragoza, "The Probabilistic Relevance Framework" (2009), k1 = 1.2, b = 0.75.  Terms are pairs of
 * neighbouring characters where characters are words (Chinese, Japanese), else whole words in lower case: two
 * characters are the length of most Chinese words, and no dictionary is needed.  Ties go to the earlier text, so that
 * the same texts give the same order everywhere.
 *
 * Owner:   the arena given; texts must outlive the handle.
 * Threads: read-only once made.
 */
#ifndef WEFT_DATASET_RETRIEVE_H
#define WEFT_DATASET_RETRIEVE_H

#include "base/str.h"

struct weft_retriever;

WEFT_MUST_USE enum weft_status weft_retriever_new(struct weft_arena *a, const struct weft_str *texts, size_t n,
                                                  struct weft_retriever **out, struct weft_err *err);
/* The numbers of at most k texts that share a term with `query`, best first, into out [k]; their count. */
WEFT_MUST_USE enum weft_status weft_retrieve(struct weft_arena *scratch, const struct weft_retriever *r,
                                             struct weft_str query, size_t k, size_t *out, size_t *n,
                                             struct weft_err *err);

#endif
