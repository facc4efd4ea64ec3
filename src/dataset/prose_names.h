/* dataset/prose_names.h - who there is in a novel: names with their counts and groups; inside dataset/ only */
#ifndef WEFT_DATASET_PROSE_NAMES_H
#define WEFT_DATASET_PROSE_NAMES_H

#include "dataset/prose.h"

struct prose_name {
    struct weft_str text;
    uint64_t count;             /* cues with it as the subject, near the verb */
    uint64_t far;               /* cues with it as the subject, further from the verb */
    uint64_t begins;            /* clauses that begin with it */
    /* Is it cut short?  宋小 where every clause has 宋小满 */
    struct weft_str longer;     /* with the character behind it where it first began a clause; s == NULL: none */
    uint64_t longer_begins;     /* clauses that begin with that */
    uint32_t behind[3];         /* different characters that follow it there; 0: not so many */
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
    uint64_t *firsts;           /* bit set: the lower sixteen bits of the code points that names begin with */
};

/* The user's names: the role and the alias groups. */
WEFT_MUST_USE enum weft_status prose_names_init(struct prose_names *t, struct weft_arena *a,
                                                const struct weft_prose_settings *s, struct weft_err *err);
/* False: no name of the table begins as `s` does.  Nearly every place of a text. */
bool prose_names_may_begin(const struct prose_names *t, struct weft_str s);
/* The index of a name, SIZE_MAX: not there. */
size_t prose_names_find(const struct prose_names *t, struct weft_str text);
/* Counts it once more (`n` may be 0); SIZE_MAX when memory is out. */
size_t prose_names_add(struct prose_names *t, struct weft_str text, uint64_t n);
/* A clause `s` begins with name i: that, and what follows it there, is counted. */
void prose_names_begin(struct prose_names *t, size_t i, struct weft_str s);
/* Before settling: a name that every clause has one character longer is that longer name, where different words follow
 * it.  False when memory is out. */
WEFT_MUST_USE bool prose_names_lengthen(struct prose_names *t);
/* After the first pass: who belongs to the roster, and which names are one person's (悟空 and 孙悟空, 如来 and 如来佛). */
void prose_names_settle(struct prose_names *t);
/* The longest name of the roster that `s` begins with; SIZE_MAX: none. */
size_t prose_names_begins(const struct prose_names *t, struct weft_str s);
/* The name that stands for the group of name i. */
struct weft_str prose_names_group(const struct prose_names *t, size_t i);

#endif
