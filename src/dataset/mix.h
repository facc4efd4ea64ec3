/* dataset/mix.h - rows of several sets in one: general data beside one's own, samples, repetitions
 *
 * Each set is asked for by a weight ("general.jsonl:0.7"), a number of rows ("mine.jsonl:500") or whole
 * ("mine.jsonl"). Numbers are taken first; the weights share what is left of `rows`.  Without `rows` the total is
 * the largest in which no weighted set runs out, or with `repeat` the smallest in which every weighted set is used
 * up.  A set asked for more rows than it has gives, with `repeat`, each row equally often, and a sample of them
 * once more.
 *
 * Draws are Philox streams of (seed, set): the same sets, settings and seed give the same rows in the same order on
 * any machine and thread count, and a set's sample does not depend on the others.
 * Memory: places of rows only (32 bytes a row read, 6 to 10 a row written); the sets stay mapped files.
 *
 * Owner:   the arena given to open; close unmaps.
 * Threads: one per struct.
 */
#ifndef WEFT_DATASET_MIX_H
#define WEFT_DATASET_MIX_H

#include "base/progress.h"
#include "dataset/formats.h"

enum weft_mix_ask { WEFT_MIX_WHOLE, WEFT_MIX_ROWS, WEFT_MIX_WEIGHT };

struct weft_mix_source {
    const char *path;
    enum weft_mix_ask ask;
    double weight;                  /* > 0, of WEFT_MIX_WEIGHT */
    uint64_t rows;                  /* of WEFT_MIX_ROWS */
    struct weft_str_list columns;   /* renamed members of this set; empty: those of the settings */
    int format;                     /* shape of this set; AUTO: that of the settings */
    /* filled by open ... */
    struct weft_str name;           /* stem of the path, different for each set: "general" */
    struct weft_row_index index;
    struct weft_report report;      /* units_in = index.n + blank + dropped */
    uint64_t *shared_ids;           /* [n_shared_ids], sorted: hashes of ids that several rows have */
    size_t n_shared_ids;
    /* ... and by plan: index.n = distinct + unused, written = distinct + repeats */
    uint64_t written, distinct, repeats, unused;
};

struct weft_mix_settings {
    int64_t rows;                   /* total; 0: as above */
    int64_t seed;
    bool repeat;                    /* a set may give a row more than once */
    bool keep_order;                /* sets one after the other, rows in file order; else all shuffled */
};

struct weft_mix {
    struct weft_arena *arena;
    struct weft_mix_source *sources;
    size_t n_sources;
    struct weft_mix_settings s;
    uint32_t *rows;                 /* [n], row of its set */
    uint16_t *sets;                 /* [n] */
    uint32_t *copies;               /* [n], 0: the first time this row is written; NULL: nothing repeats */
    size_t n;
};

/* "PATH", "PATH:0.7" (a weight: it has a point) or "PATH:500" (rows).  A file whose whole name is `word` is that
 * file. WEFT_EARG: a weight that is not above 0. */
WEFT_MUST_USE enum weft_status weft_mix_parse(struct weft_arena *a, const char *word, struct weft_mix_source *out,
                                              struct weft_err *err);

/* Indexes the sets.  `rows` holds format, columns and line limit for all of them and may be NULL; progress too. */
WEFT_MUST_USE enum weft_status weft_mix_open(struct weft_arena *a, struct weft_mix_source *sources, size_t n,
                                             const struct weft_rows_settings *rows, const struct weft_progress *p,
                                             struct weft_mix *out, struct weft_err *err);

/* Draws.  WEFT_EARG: a set has fewer rows than it is asked for (without repeat), the numbers exceed `rows`, or
 * there is nothing to take. */
WEFT_MUST_USE enum weft_status weft_mix_plan(struct weft_mix *m, const struct weft_mix_settings *s,
                                             struct weft_err *err);

/* The shape that can say every row of the sets: theirs when they agree (or alpaca), else messages. */
enum weft_format weft_mix_format(const struct weft_mix *m);

/* Row i of the plan into `a`: its origin names the set, its id and number there; its id is SET.ID (SET.000012 for a
 * row without one) when there are several sets; of one set ids stay as they are.  "~2" stands behind the id of a
 * row that comes again, "@57" behind one that several rows of its set have: no id of the mix comes twice. */
WEFT_MUST_USE enum weft_status weft_mix_row(const struct weft_mix *m, struct weft_arena *a, size_t i,
                                            struct weft_row *row, struct weft_err *err);

void weft_mix_close(struct weft_mix *m);        /* accepts a zeroed struct */

#endif
