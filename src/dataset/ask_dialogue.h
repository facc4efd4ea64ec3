/* dataset/ask_dialogue.h - the speeches whose speaker the rules of dataset/prose.h leave open, as units to ask about
 *
 * The text of a speech is never asked for, only who of its candidates says it: what is said stays what stands in the
 * source, letter for letter.
 *
 * Owner:   units live in the arena and point into the prose.
 */
#ifndef WEFT_DATASET_ASK_DIALOGUE_H
#define WEFT_DATASET_ASK_DIALOGUE_H

#include "dataset/ask.h"
#include "dataset/prose.h"

/* Groups of neighbouring open speeches with the text around them, each speech with its number before it (〔3〕).  Open is
 * a speech that has candidates and is unknown or less sure than `below`. */
WEFT_MUST_USE enum weft_status weft_ask_units_of_speeches(struct weft_arena *a, const struct weft_prose *prose,
                                                          double below, struct weft_ask_unit **out, size_t *n,
                                                          struct weft_err *err);

/* How the choices went: open == chosen + nobody + unanswered. */
struct weft_ask_choices {
    uint64_t open, chosen, nobody, unanswered;
};
/* Writes the choices of good results into the prose, in order. */
void weft_ask_choose(struct weft_prose *prose, const struct weft_ask_unit *units, size_t n,
                     const struct weft_ask_result *results, struct weft_ask_choices *out);

/* Rows whose lines hold a chosen speech name the prompt: via becomes `via`. */
void weft_ask_mark_chosen(const struct weft_prose *prose, const char *via, struct weft_rows *rows);

#endif
