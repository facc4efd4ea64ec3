/* dataset/script_names.h - who is who: roster, aliases, names made of names; inside dataset/ only
 *
 * Filled in three steps: aliases from the settings, counts from a first pass over all lines, chains from the counts.
 * Afterwards read-only, for any number of threads.
 */
#ifndef WEFT_DATASET_SCRIPT_NAMES_H
#define WEFT_DATASET_SCRIPT_NAMES_H

#include "dataset/screenplay.h"

struct script_alias {
    struct weft_str head;           /* the name of the group */
    int64_t first, last;            /* episodes; 0 and INT64_MAX: all */
};

struct script_name {
    struct weft_str text;
    uint64_t count;                 /* lines with a colon */
    struct script_alias *aliases;   /* the groups it belongs to, in the order given */
    size_t n_aliases, cap_aliases;
    struct weft_str *parts;         /* the names it is a chain of; NULL: none */
    size_t n_parts;
    bool chain_known;
    bool stage;                     /* a stage word, and not the role */
    const struct weft_script_who *who;      /* the same in every episode; NULL: it is not */
};

struct script_names {
    struct weft_arena *arena;
    struct script_name *items;
    size_t n, cap;
    uint32_t *slots;                /* open addressing, index + 1 */
    size_t n_slots;
    bool seasons;                   /* some alias holds in some episodes only */
    struct weft_str role, role_given;       /* role: the head of its group */
};

/* s may have no role. */
WEFT_MUST_USE enum weft_status script_names_init(struct script_names *t, struct weft_arena *a,
                                                 const struct weft_script_settings *s, struct weft_err *err);
/* The name with inner spaces taken out (between Chinese characters) or folded; s == NULL: no memory. */
WEFT_MUST_USE struct weft_str script_name_clean(struct weft_arena *a, struct weft_str raw);
/* `lines` more; the index of the name, SIZE_MAX: no memory. */
WEFT_MUST_USE size_t script_names_count(struct script_names *t, struct weft_str clean, uint64_t lines);
/* After the last count. */
WEFT_MUST_USE bool script_names_settle(struct script_names *t);

/* Known names may stand before a semicolon, in an aside and so on. */
bool script_names_known(const struct script_names *t, struct weft_str clean);

/* A name by its index, and any name.  What has to be made lives in `a`; NULL: no memory. */
const struct weft_script_who *script_names_who(const struct script_names *t, struct weft_arena *a, size_t i,
                                               int64_t episode);
const struct weft_script_who *script_names_resolve(const struct script_names *t, struct weft_arena *a,
                                                   struct weft_str clean, int64_t episode);
/* The group's name, in this episode. */
struct weft_str script_names_canonical(const struct script_names *t, struct weft_str name, int64_t episode);

#endif
