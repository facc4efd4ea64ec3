/* base/option_parts.h - what the files of the option module share; not for others */
#ifndef WEFT_BASE_OPTION_PARTS_H
#define WEFT_BASE_OPTION_PARTS_H

#include "base/lang.h"
#include "base/option.h"

/* The row of that key or alias, or NULL.  `loose`: '-' in the key stands for '_', as in a flag. */
const struct weft_option *weft_option_find(struct weft_option_table t, struct weft_str key, bool loose);

/* "cut_len" -> WEFT_EARG "WHERE: there is no setting "cut_len"; did you mean "cutoff_len"?" */
enum weft_status weft_option_unknown(struct weft_option_table t, const char *where, struct weft_str key,
                                     struct weft_err *err);

/* Where values come from, for all rows set in one go. */
struct weft_option_sink {
    void *settings;
    struct weft_arena *arena;
    struct weft_buf *warn; /* may be NULL */
    struct weft_err *err;  /* may be NULL */
};

/* Tells a row that wants to know where its value came from. */
enum weft_status weft_option_place(const struct weft_option_sink *to, const struct weft_option *row, const char *where);

/* Sets the row's field from text.  Lists: `append` adds to what is there. */
enum weft_status weft_option_assign(const struct weft_option_sink *to, const struct weft_option *row,
                                    const char *where, struct weft_str value, bool append);
/* The field of a list row, from items already apart. */
enum weft_status weft_option_assign_list(const struct weft_option_sink *to, const struct weft_option *row,
                                         const struct weft_str *items, size_t n, bool append);

/* Choice number `index` of a row: "linear" of "linear|cosine"; an empty str when there is none. */
struct weft_str weft_option_choice(const struct weft_option *row, int index);

/* Rows come out group by group, in the order in which the groups first appear: the number of the row after
 * number `at` (SIZE_MAX: before the first), or t.n at the end.  *heading is true when it begins a group. */
size_t weft_option_next(struct weft_option_table t, size_t at, bool *heading);

static inline void *weft_option_field(const struct weft_option *row, void *settings)
{
    return (char *)settings + row->offset;
}
static inline const void *weft_option_field_const(const struct weft_option *row, const void *settings)
{
    return (const char *)settings + row->offset;
}
static inline const char *weft_option_tr(const struct weft_err *err, const char *english)
{
    return weft_tr(err ? err->lang : WEFT_LANG_EN, english);
}

#endif
