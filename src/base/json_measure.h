/* base/json_measure.h - how fast JSON is read and written on this machine, for `weft bench json` and bench/
 *
 * Rates are ratios waiting to be taken: copying the same text is measured in the same call, and whoever prints a
 * rate prints its share of that.
 */
#ifndef WEFT_BASE_JSON_MEASURE_H
#define WEFT_BASE_JSON_MEASURE_H

#include "base/str.h"

enum weft_json_sample {
    WEFT_JSON_SAMPLE_ROWS,    /* dataset rows: short keys, Chinese and English text, some escapes */
    WEFT_JSON_SAMPLE_NUMBERS, /* arrays of doubles with 1 to 17 digits */
    WEFT_JSON_SAMPLE_VOCAB,   /* one object of very many keys, as in tokenizer.json */
    WEFT_N_JSON_SAMPLES
};
const char *weft_json_sample_name(enum weft_json_sample s); /* "rows", "numbers", "vocab" */
/* One JSON value of about `bytes` bytes, the same at every call. */
void weft_json_sample_text(enum weft_json_sample s, size_t bytes, struct weft_buf *out);

struct weft_json_rates { /* bytes of text a second, the best of several runs on one thread */
    double copy;         /* memcpy of the text */
    double skip, tree;   /* read with every check: without keeping anything, and into a tree */
    double write;        /* the tree to text */
};
WEFT_MUST_USE enum weft_status weft_json_measure(struct weft_str text, struct weft_json_rates *out,
                                                 struct weft_err *err);

#endif
