/* dataset/minhash.h - texts that are nearly equal, found without comparing each with each
 *
 * Two texts are as near as the sets of their shingles (runs of `ngram` characters) overlap: Jaccard's measure, the
 * shared shingles over all of them.  MinHash (Broder 1997) keeps 128 small numbers a text, in which near texts
 * agree; locality-sensitive hashing over bands of them (Leskovec, Rajaraman, Ullman, Mining of Massive Datasets,
 * section 3.4) finds the candidates; each candidate is then compared exactly, shingle by shingle.  What is found is
 * always right; a pair exactly at the threshold is missed with a probability below one in a thousand, a nearer one
 * far more rarely.  Results depend on the texts and their order only.
 *
 * Texts are compared after weft_normalise (NFC, white space folded).  A text shorter than `ngram` characters is one
 * shingle: it is equal to another or has nothing in common with it.
 *
 * Memory: 256 bytes a text and 8 to 16 bytes for each of its bands (16 to 64 of them; 32 at the default threshold),
 *          and the text itself.
 * Owner:   the handle owns everything in it.
 * Threads: weft_minhash_sketch from any number of threads; else one at a time (a query uses the handle's scratch).
 */
#ifndef WEFT_DATASET_MINHASH_H
#define WEFT_DATASET_MINHASH_H

#include "base/str.h"

struct weft_minhash_settings {
    int64_t ngram;          /* characters a shingle; 0: 3 */
    double threshold;       /* least Jaccard of a near text, 0 < t <= 1; 0: 0.7 */
    int64_t max_candidates; /* compared for one query; 0: 10,000.  See weft_near.cut */
};

enum { WEFT_SKETCH_BYTES = 128 };

/* What MinHash keeps of a text. */
struct weft_sketch {
    unsigned char v[WEFT_SKETCH_BYTES];
};

struct weft_near {
    bool found;
    size_t id; /* the nearest text; of several equally near the one added first */
    double jaccard;
    bool cut; /* there were more candidates than max_candidates: a nearer text may be among them */
};

struct weft_minhash;

/* WEFT_EARG: ngram not in 1 ... 64, threshold not above 0 and at most 1. */
WEFT_MUST_USE enum weft_status weft_minhash_new(struct weft_minhash **out,
                                                const struct weft_minhash_settings *s, struct weft_err *err);
void weft_minhash_free(struct weft_minhash *m); /* accepts NULL */

/* Adds a text (copied, normalised) and returns its number: 0, 1, 2 ... */
WEFT_MUST_USE enum weft_status weft_minhash_add(struct weft_minhash *m, struct weft_str text, size_t *id,
                                                struct weft_err *err);
/* The nearest of the texts added so far, if its Jaccard is at or above the threshold. */
WEFT_MUST_USE enum weft_status weft_minhash_nearest(struct weft_minhash *m, struct weft_str text,
                                                    struct weft_near *out, struct weft_err *err);
size_t weft_minhash_count(const struct weft_minhash *m);
/* The normalised text number id; valid as long as the handle. */
struct weft_str weft_minhash_text(const struct weft_minhash *m, size_t id);

/* The same in two steps, so that many threads can make the sketches: `normal` is what weft_normalise gave. */
void weft_minhash_sketch(const struct weft_minhash *m, struct weft_str normal, struct weft_sketch *out);
/* keep: the text is copied; else it must outlive the handle. */
WEFT_MUST_USE enum weft_status weft_minhash_add_sketch(struct weft_minhash *m, struct weft_str normal,
                                                       bool keep, const struct weft_sketch *sketch,
                                                       size_t *id, struct weft_err *err);
WEFT_MUST_USE enum weft_status weft_minhash_nearest_sketch(struct weft_minhash *m, struct weft_str normal,
                                                           const struct weft_sketch *sketch,
                                                           struct weft_near *out, struct weft_err *err);

/* Jaccard of two texts, exactly; 1 for equal texts, also for two empty ones.  Scratch is released. */
WEFT_MUST_USE enum weft_status weft_jaccard(struct weft_arena *scratch, struct weft_str a, struct weft_str b,
                                            int64_t ngram, double *out, struct weft_err *err);

#endif
