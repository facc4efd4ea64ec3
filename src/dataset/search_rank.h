/* dataset/search_rank.h - the ranking function of full-text tables
 *
 *     SELECT rowid, weft_bm25(words, ?2) FROM words WHERE words MATCH ?1
 *
 * is BM25 (larger is better).  ?2 is the struct weft_search_top that the hits go to, bound as a pointer of the name
 * WEFT_SEARCH_TOP: for a hit that cannot enter it the number is too high, but not high enough to enter.  Without it
 * every number is exact.
 */
#ifndef WEFT_DATASET_SEARCH_RANK_H
#define WEFT_DATASET_SEARCH_RANK_H

#define WEFT_SEARCH_TOP "weft_search_top"

struct fts5_api;
int weft_search_rank_register(struct fts5_api *api);       /* SQLite's result code */

#endif
