/* dataset/row_text.h - the parts of a row that people mean: its prompt, its answer, both */
#ifndef WEFT_DATASET_ROW_TEXT_H
#define WEFT_DATASET_ROW_TEXT_H

#include "dataset/row.h"

enum weft_row_field { WEFT_FIELD_BOTH, WEFT_FIELD_PROMPT, WEFT_FIELD_ANSWER };
#define WEFT_ROW_FIELD_CHOICES "both|prompt|answer"

/* Turns of these roles are trained on. */
static inline bool weft_role_answers(enum weft_role role)
{
    return role == WEFT_ROLE_ASSISTANT || role == WEFT_ROLE_TOOL_CALL;
}

/* Preference and KTO rows: their answers are judged, not simply learned; what looks like a double is their point. */
static inline bool weft_row_is_judged(const struct weft_row *row)
{
    return row->chosen.text.s || row->rejected.text.s || row->kto_tag >= 0;
}

/* How many turns stand before the last answer, and that answer; a preference row answers with what was chosen.
 * A text row has no turns: 0, and answer->s is NULL.  A row without an answer: all its turns, and NULL. */
size_t weft_row_answer(const struct weft_row *row, struct weft_str *answer);

/* The field, each turn normalised (weft_normalise), turns joined by line ends, appended to b.  The prompt is all that
 * stands before the last answer, without the system text; a text row is its text, whatever the field.  False: no
 * memory.  Scratch is released. */
WEFT_MUST_USE bool weft_row_field_text(struct weft_arena *scratch, const struct weft_row *row,
                                       enum weft_row_field field, struct weft_buf *b);

/* What a row is shown as: the question before its last answer, or its text, at most 60 characters of it. */
struct weft_str weft_row_headline(const struct weft_row *row);

#endif
