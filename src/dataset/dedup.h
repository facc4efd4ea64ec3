/* dataset/dedup.h - rows that say the same: exact doubles and near ones
 *
 * Rows are compared by a field of theirs (dataset/row_text.h) after normalising.  Equal texts are exact doubles;
 * texts whose shingles overlap by the threshold are near ones (dataset/minhash.h).  Rows are taken in order (the first
 * is kept, or the longest of those alike) and each is compared with those kept so far: a row that is dropped is near
 * the kept row it names, never only near a row that was dropped itself.
 * Preference and KTO rows are doubles only where everything in them is equal: prompt, both answers, tag.
 * Two rows whose field is empty are compared as wholes.
 *
 * The result depends on the rows and the settings only, not on the number of threads.
 *
 * Owner:   the handle; texts of the rows are copied.
 * Threads: one per handle; weft_dedup_finish uses the pool.
 */
#ifndef WEFT_DATASET_DEDUP_H
#define WEFT_DATASET_DEDUP_H

#include "base/pool.h"
#include "base/progress.h"
#include "dataset/minhash.h"
#include "dataset/row_text.h"

enum weft_dedup_keep { WEFT_KEEP_FIRST, WEFT_KEEP_LONGEST };
#define WEFT_DEDUP_KEEP_CHOICES "first|longest"

struct weft_dedup_settings {
    struct weft_minhash_settings near;
    int field;  /* enum weft_row_field */
    int keep;   /* LONGEST: the row with most characters of prompt and answer; of equal ones the first */
    bool exact; /* exact doubles only */
};

enum weft_dedup_kind { WEFT_ROW_KEPT, WEFT_ROW_EXACT, WEFT_ROW_NEAR };

struct weft_dedup_fate {
    uint32_t row;       /* the kept row it equals; of a kept row itself */
    float jaccard;      /* of the field's texts; 1 for exact doubles and kept rows */
    unsigned char kind; /* enum weft_dedup_kind */
};

struct weft_dedup_result {
    const struct weft_dedup_fate *fates; /* [n], in the order the rows were added */
    size_t n, kept, exact, near;         /* n == kept + exact + near */
    size_t judged;                       /* preference and KTO rows, compared as wholes */
    size_t cut;                          /* rows that had more candidates than max_candidates */
};

struct weft_dedup;

WEFT_MUST_USE enum weft_status weft_dedup_new(struct weft_dedup **out, const struct weft_dedup_settings *s,
                                              struct weft_err *err);
void weft_dedup_free(struct weft_dedup *d); /* accepts NULL */
WEFT_MUST_USE enum weft_status weft_dedup_add(struct weft_dedup *d, const struct weft_row *row,
                                              struct weft_err *err);
/* Once, after the last row.  The result lives as long as the handle.  pool and progress may be NULL. */
WEFT_MUST_USE enum weft_status weft_dedup_finish(struct weft_dedup *d, struct weft_pool *pool,
                                                 const struct weft_progress *progress,
                                                 struct weft_dedup_result *out, struct weft_err *err);

#endif
