/* dataset/chunk_scan.h - where a chunk may end; inside dataset/ only.  Read-only on the text. */
#ifndef WEFT_DATASET_CHUNK_SCAN_H
#define WEFT_DATASET_CHUNK_SCAN_H

#include "base/str.h"

struct chunk_place {
    size_t at;      /* 0: none */
    uint64_t chars; /* from the beginning of the chunk */
    uint32_t quote; /* the closer of the quote that is open here; 0: none */
};

struct chunk_scan {
    struct weft_str text;       /* UTF-8 up to the end of the chapter */
    size_t visible_end;         /* behind its last visible character */
    uint64_t min, max;          /* characters */
    uint32_t quote;             /* the closer that the quote open at the beginning of the chunk waits for; 0: none */
};

/* The best place for the end of the chunk that begins at `from`: at most x->max characters on, behind `fresh`
 * (overlap).  More than x->max characters follow `from`.  *flags: enum weft_chunk_flag. */
struct chunk_place chunk_scan_end(const struct chunk_scan *x, size_t from, size_t fresh, unsigned *flags);

/* The same by reading the chunk from its beginning: slower, and what the other has to agree with. */
struct chunk_place chunk_scan_whole(const struct chunk_scan *x, size_t from, size_t fresh, unsigned *flags);

/* The quote that is open at `to`, when `open` is the one at `from`. */
uint32_t chunk_quote_at(struct weft_str text, size_t from, size_t to, uint32_t open);

/* The next character that is not white space, from `at` on; 0: there is none within some thousand bytes. */
uint32_t chunk_next_visible(struct weft_str s, size_t at, size_t *where);

#endif
