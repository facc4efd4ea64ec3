/* dataset/prose_quote.h - the quotes of a text, damaged ones repaired; inside dataset/ only */
#ifndef WEFT_DATASET_PROSE_QUOTE_H
#define WEFT_DATASET_PROSE_QUOTE_H

#include "dataset/chapter.h"

struct prose_span {
    size_t open, begin;         /* the opening mark, and what follows it; equal when the mark was lost */
    size_t end, close;          /* the closing mark, and what follows it; equal when the mark was lost */
    size_t line;                /* 0-based line of `open` */
    bool repaired;
    bool continues;             /* a new paragraph of the quote before: opened again without having been closed */
};

struct prose_spans {
    struct prose_span *items;   /* in the order of the text, disjoint; nested quotes belong to the outer one */
    size_t n, cap;
    uint64_t stray, repaired;
};

/* Appends the quotes of one chapter. */
WEFT_MUST_USE enum weft_status prose_quotes(struct weft_arena *a, const struct weft_text *t,
                                            const struct weft_chapter *chapter, struct prose_spans *out,
                                            struct weft_err *err);

#endif
