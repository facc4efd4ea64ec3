/* dataset/prose_subject.h - the subject of a clause, and the subject that a cue without one goes back to; inside
 * dataset/ only.  Read-only on text and names. */
#ifndef WEFT_DATASET_PROSE_SUBJECT_H
#define WEFT_DATASET_PROSE_SUBJECT_H

#include "dataset/prose_names.h"

enum prose_subject_kind {
    PROSE_NOBODY,               /* none here: look further back */
    PROSE_SOMEBODY,             /* 有人, 谁: said to be unknown */
    PROSE_NAME,                 /* of the roster */
    PROSE_PERSON,               /* a description that ends like a person: 那老者 */
    PROSE_WORD,                 /* takes the place of a subject, but is not known to be one */
    PROSE_PRONOUN,
    PROSE_GROUP                 /* several */
};

struct prose_subject {
    enum prose_subject_kind kind;
    struct weft_str written;    /* with 那, 一个 ... in front */
    struct weft_str name;       /* without; of the roster where name_idx is not SIZE_MAX */
    size_t name_idx;
    bool determined;            /* a 那 or 一个 stands before it */
    bool tight;                 /* nothing but a word or two between it and the end of the clause */
};

/* Which words are believed to be a subject though nothing says that they are a person. */
enum prose_words {
    PROSE_WORDS_NONE,
    PROSE_WORDS_TIGHT,          /* 阿沅说：, with nothing between word and verb */
    PROSE_WORDS_ALL             /* while learning: met often enough it is a name */
};

/* The subject at the beginning of a clause.  last: the clause ends where the verb of speech begins, so that the speaker
 * may also stand behind 只听 or 的, and words count as `words` says. */
void prose_subject_of(const struct prose_names *names, struct weft_str clause, bool last, enum prose_words words,
                      struct prose_subject *out);

#endif
