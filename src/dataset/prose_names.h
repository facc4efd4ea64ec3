/* dataset/prose_names.h - who there is in a novel: names with their counts and groups; inside dataset/ only */
#ifndef WEFT_DATASET_PROSE_NAMES_H
#define WEFT_DATASET_PROSE_NAMES_H

#include "dataset/prose.h"

struct prose_name {
    struct weft_str text;
    uint64_t count;             /* cues with it as the subject, near the verb */
    uint64_t far;               /* cues with it as the subject, further from the verb */
    uint64_t begins;            /* clauses that begin with it */
    uint64_t speeches;          /* attributed in the end */
    size_t group;               /* the name that stands for it: an index, its own when it is alone */
    bool given;                 /* by the user, as role or alias */
    bool aliased;               /* in a group of the user's */
    bool known;                 /* belongs to the roster: found wherever a clause begins with it */
};

struct prose_names {
    struct weft_arena *arena;
    struct prose_name *items;
    size_t n, cap;
    uint32_t *slots;            /* open addressing, index + 1 */
    size_t n_slots;
    size_t longest;             /* characters */
};

/* The user's names: the role and the alias groups. */
WEFT_MUST_USE enum weft_status prose_names_init(struct prose_names *t, struct weft_arena *a,
                                                const struct weft_prose_settings *s, struct weft_err *err);
/* The index of a name, SIZE_MAX: not there. */
size_t prose_names_find(const struct prose_names *t, struct weft_str text);
/* Counts it once more (`n` may be 0); SIZE_MAX when memory is out. */
size_t prose_names_add(struct prose_names *t, struct weft_str text, uint64_t n);
/* After the first pass: who belongs to the roster, and which names are one person's (悟空 and 孙悟空, 如来 and 如来佛). */
void prose_names_settle(struct prose_names *t);
/* The longest name of the roster that `s` begins with; SIZE_MAX: none. */
size_t prose_names_begins(const struct prose_names *t, struct weft_str s);
/* The name that stands for the group of name i. */
struct weft_str prose_names_group(const struct prose_names *t, size_t i);

#endif
