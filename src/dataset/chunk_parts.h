/* dataset/chunk_parts.h - what the two ways to cut share; inside dataset/ only */
#ifndef WEFT_DATASET_CHUNK_PARTS_H
#define WEFT_DATASET_CHUNK_PARTS_H

#include "dataset/chapter.h"
#include "dataset/chunk.h"

struct weft_pool;

struct chunk_cutter {
    struct weft_arena *arena;
    const struct weft_chunk_settings *s;
    const struct weft_chunk_counter *counter;
    struct weft_pool *pool;     /* NULL: this thread alone */
    struct weft_chunks *out;
    struct weft_err *err;
};

/* Appends a chunk and counts its flags. */
WEFT_MUST_USE enum weft_status chunk_add(struct chunk_cutter *c, struct weft_chunk chunk);
/* 0 without a counter. */
WEFT_MUST_USE enum weft_status chunk_count_tokens(struct chunk_cutter *c, struct weft_str text, uint64_t *tokens);

/* Mode default: a chapter, or a whole text, from begin to end.  `chapters` are all of it. */
WEFT_MUST_USE enum weft_status chunk_cut(struct chunk_cutter *c, const struct weft_text *t, size_t text_idx,
                                         size_t begin, size_t end, const struct weft_chapter *chapters,
                                         size_t n_chapters);
/* Mode seed: a whole text. */
WEFT_MUST_USE enum weft_status chunk_seed(struct chunk_cutter *c, const struct weft_text *t, size_t text_idx);

#endif
