/* dataset/chunk.h - a long text becomes pieces of at most N characters that lose nothing
 *
 * Two modes:
 *   default  cuts behind whole sentences, outside quotes where that costs little, never across a chapter; put one
 *            behind the other the chunks are the text, byte for byte
 *   seed     the beginner's script, exactly: split at 。, pack while the sum is not above N, strip.  Its defects are
 *            kept: the first sentence of a chunk loses its 。, the last one gains one, a chunk may have N + 1 characters
 * Characters are code points.
 *
 * Owner:   everything lives in the arena; chunks point into the texts, which must outlive them (mode seed copies).
 * Threads: its own for long texts; the chunks are the same on any number.
 */
#ifndef WEFT_DATASET_CHUNK_H
#define WEFT_DATASET_CHUNK_H

#include "base/progress.h"
#include "dataset/row.h"
#include "text/text.h"

enum weft_chunk_mode { WEFT_CHUNK_DEFAULT, WEFT_CHUNK_SEED };
#define WEFT_CHUNK_MODE_CHOICES "default|seed"

struct weft_chunk_settings {
    int mode;
    int64_t max_chars;          /* no chunk has more; at least 8 */
    int64_t min_chars;          /* no chunk has fewer, but where a chapter ends; at most half of max_chars */
    int64_t overlap_chars;      /* a chunk begins with up to so many characters of the one before (whole sentences);
                                 * at most half of max_chars; then chunks no longer add up to the text */
    int64_t max_tokens;         /* with a counter: no chunk has more; 0: any number */
    bool across_chapters;       /* a chunk may hold the end of a chapter and the beginning of the next */
    int64_t threads;            /* 0: all processors for long texts; not one of the option rows */
};
struct weft_option_table weft_chunk_options(void);

/* How many tokens a text has: a tokenizer of a later stage.  Negative: failed, with the reason in err. */
struct weft_chunk_counter {
    int64_t (*count)(void *ctx, struct weft_str text, struct weft_err *err);
    void *ctx;
};

enum weft_chunk_flag {
    WEFT_CHUNK_IN_QUOTE = 1 << 0,       /* ends inside a quote: no earlier end of a sentence was near enough */
    WEFT_CHUNK_AT_PAUSE = 1 << 1,       /* the sentence was too long: ends at ，、； */
    WEFT_CHUNK_FORCED = 1 << 2          /* not even a pause: ends at a space or between two characters */
};

struct weft_chunk {
    size_t text_idx;
    size_t begin, end;          /* in the decoded text, half open */
    size_t overlap_bytes;       /* the first of these stood in the chunk before */
    uint64_t chars, tokens;     /* tokens: 0 without a counter */
    struct weft_str text;       /* of the source; in mode seed a copy that differs from it */
    struct weft_str chapter, volume;    /* headings; s == NULL: none.  Across chapters: that of the beginning */
    unsigned flags;
};

struct weft_chunks {
    struct weft_chunk *items;
    size_t n, cap;
    uint64_t chars, visible_chars;      /* of the texts; visible: without white space */
    uint64_t chapters;
    uint64_t in_quote, at_pause, forced;        /* chunks by flag */
    uint64_t longest;                   /* characters */
    uint64_t over_tokens;               /* chunks of one character that are above max_tokens all the same */
};

/* `counter` may be NULL when max_tokens is 0.  WEFT_EARG: limits that contradict each other. */
WEFT_MUST_USE enum weft_status weft_chunk_texts(struct weft_arena *a, const struct weft_text *texts, size_t n_texts,
                                                const struct weft_chunk_settings *s,
                                                const struct weft_chunk_counter *counter,
                                                const struct weft_progress *progress, struct weft_chunks *out,
                                                struct weft_err *err);

/* One text row for each chunk: id c000001, lines and bytes in the original file, via chunk/default@1, the chapter as
 * scene and the volume as episode. */
WEFT_MUST_USE enum weft_status weft_chunk_rows(struct weft_arena *a, const struct weft_text *texts,
                                               const struct weft_chunks *chunks, int mode, struct weft_rows *rows,
                                               struct weft_err *err);

#endif
