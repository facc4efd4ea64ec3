/* dataset/script_slice.h - the lines of all texts in slices of one length, for threads; inside dataset/ only
 *
 * Slices do not depend on the number of threads.  What a slice cannot know, because it stands in the one before it, is
 * handed from slice to slice when all have been read.
 */
#ifndef WEFT_DATASET_SCRIPT_SLICE_H
#define WEFT_DATASET_SCRIPT_SLICE_H

#include "base/pool.h"
#include "dataset/screenplay.h"

enum { SCRIPT_SLICE_LINES = 4096, SCRIPT_SLICE_ALIGN = 64 };

/* On lines of its own in the cache: each thread writes to what its owner keeps beside it. */
struct script_slice {
    _Alignas(SCRIPT_SLICE_ALIGN)
    size_t text_idx, first, end;        /* lines [first, end) of one text */
    bool begins;                        /* its text */
};

/* As many as there are; for each text without lines none. */
size_t script_slices_count(const struct weft_text *texts, size_t n_texts);
/* Writes them, `stride` bytes apart: each is the first member of what its owner keeps of a slice. */
void script_slices_write(const struct weft_text *texts, size_t n_texts, void *slices, size_t stride);

/* For each text one byte a line, for the class of each (not zeroed); NULL: no memory. */
WEFT_MUST_USE unsigned char **script_classes_new(struct weft_arena *a, const struct weft_text *texts, size_t n_texts);

/* Threads for texts that are long enough for them; NULL: none.  To be freed. */
struct weft_pool *script_pool(const struct weft_text *texts, size_t n_texts, const struct weft_script_settings *s);

#endif
