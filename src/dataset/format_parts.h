/* dataset/format_parts.h - what the formats share; inside dataset/ only
 *
 * A format's read function gets the tree of one object and fills a row.  Whatever is wrong goes through
 * weft_row_bad, which remembers the member at fault; the caller knows file and line.
 */
#ifndef WEFT_DATASET_FORMAT_PARTS_H
#define WEFT_DATASET_FORMAT_PARTS_H

#include "dataset/formats.h"

enum { WEFT_ROW_MAX_TURNS = 10000 };        /* DS8 */

struct weft_row_reader {
    struct weft_arena *arena;       /* the row's */
    struct weft_str source;         /* strings within it outlive the row and need no copy */
    bool brief;                     /* the tree outlives the row: no string needs one */
    const struct weft_rows_settings *s;
    enum weft_lang lang;
    struct weft_err *err;           /* for what is not the row's fault: memory */
    /* the fault */
    const char *rule, *reason;      /* "DS3", "output is not a string": an English key of the catalogue */
    size_t at;                      /* where, in the text of the tree */
    char detail[160];               /* "found a number"; "" for nothing */
};

/* Records the fault and returns WEFT_EINPUT.  `fmt` makes the detail; NULL: none. */
enum weft_status weft_row_bad(struct weft_row_reader *r, const struct weft_json_value *v, const char *rule,
                              const char *reason, const char *fmt, ...) WEFT_PRINTF(5, 6);

/* The name in the file for a member or tag, by the columns setting. */
const char *weft_row_renamed(const struct weft_row_reader *r, const char *key);
static inline const char *weft_row_column(const struct weft_row_reader *r, const char *key)
{
    return r->s && r->s->columns.n ? weft_row_renamed(r, key) : key;
}
/* The member that stands for `key`; NULL: absent. */
static inline const struct weft_json_value *weft_row_member(const struct weft_row_reader *r,
                                                            const struct weft_json_value *v, const char *key)
{
    return r->s && r->s->columns.n ? weft_json_get(v, weft_row_renamed(r, key)) : weft_json_get(v, key);
}

/* A string that will outlive the tree. */
WEFT_MUST_USE enum weft_status weft_row_keep_copy(struct weft_row_reader *r, struct weft_str s, struct weft_str *out);
WEFT_MUST_USE static inline enum weft_status weft_row_keep(struct weft_row_reader *r, struct weft_str s,
                                                           struct weft_str *out)
{
    if (!r->brief || !s.len) return weft_row_keep_copy(r, s, out);
    *out = s;
    return WEFT_OK;
}
/* A string, null or nothing; null and nothing leave out->s NULL. */
WEFT_MUST_USE enum weft_status weft_row_optional(struct weft_row_reader *r, const struct weft_json_value *v,
                                                 const char *rule, const char *reason, struct weft_str *out);
/* `tools`: JSON text in a string, or the array itself (DS6). */
WEFT_MUST_USE enum weft_status weft_row_tools(struct weft_row_reader *r, const struct weft_json_value *v,
                                              struct weft_row *row);
/* A tool call: JSON with name and arguments, one or a list (DS6). */
WEFT_MUST_USE enum weft_status weft_row_call(struct weft_row_reader *r, const struct weft_json_value *v,
                                             struct weft_str text);
/* kto_tag: a boolean, null or nothing. */
WEFT_MUST_USE enum weft_status weft_row_kto(struct weft_row_reader *r, const struct weft_json_value *v,
                                            struct weft_row *row);

/* Names that end with WEFT_NO_NAME. */
#define WEFT_NAME(literal) { (literal), sizeof(literal) - 1 }
#define WEFT_NO_NAME { NULL, 0 }
/* Members of `v` that are not among `known` (by their column names), as JSON object text;
 * s == NULL: there are none. */
WEFT_MUST_USE enum weft_status weft_row_extra(struct weft_row_reader *r, const struct weft_json_value *v,
                                              const struct weft_str *known, struct weft_str *out);
/* Is n, the members that were found under known names, all there are?  Nearly always; but where columns are renamed two
 * names can mean one member. */
static inline bool weft_row_no_extra(const struct weft_row_reader *r, const struct weft_json_value *v, int n)
{
    return (size_t)n == v->n && !(r->s && r->s->columns.n);
}

/* The members of a JSON object text, without its braces. */
WEFT_MUST_USE enum weft_status weft_json_out_members(struct weft_json_out *o, struct weft_str object,
                                                     struct weft_err *err);
/* The same for the members of a row that nobody read.  One that is named like a member some format writes (an unread
 * "output" where a column was renamed, "messages" in an Alpaca row) is written as "_output": no key comes twice. */
WEFT_MUST_USE enum weft_status weft_json_out_extra(struct weft_json_out *o, struct weft_str object,
                                                   struct weft_err *err);
/* JSON text as a value in the layout of `o`. */
WEFT_MUST_USE enum weft_status weft_json_out_text(struct weft_json_out *o, struct weft_str json,
                                                  struct weft_err *err);

/* The origin, under the key "weft".  `split`: with the place where instruction and input meet, for formats whose
 * members do not show it. */
WEFT_MUST_USE enum weft_status weft_origin_read(struct weft_row_reader *r, const struct weft_json_value *v,
                                                struct weft_row *row);
void weft_origin_write(struct weft_json_out *o, const struct weft_row *row, bool split);

/* A list of messages into system, turns and turn_extras; the last is an answer, or with `question` it is not. */
WEFT_MUST_USE enum weft_status weft_row_messages(struct weft_row_reader *r,
                                                 const struct weft_json_value *list, bool question,
                                                 struct weft_row *row);
/* An answer: one message, or a list of one. */
WEFT_MUST_USE enum weft_status weft_row_answer_message(struct weft_row_reader *r, const struct weft_json_value *v,
                                                       const char *reason, struct weft_turn *out);
/* The messages of a row as a list, and one turn as a message. */
WEFT_MUST_USE enum weft_status weft_json_out_messages(struct weft_json_out *o, const struct weft_row *row,
                                                      struct weft_err *err);
WEFT_MUST_USE enum weft_status weft_json_out_message(struct weft_json_out *o, const struct weft_turn *turn,
                                                     struct weft_err *err);

/* weft_rows_parse and weft_rows_stream with JSON lines cut into parts of about part_bytes (0: as long as is good, and
 * short files not at all). */
WEFT_MUST_USE enum weft_status weft_rows_parse_parts(struct weft_arena *a, const char *name, struct weft_str bytes,
                                                     const struct weft_rows_settings *s, size_t part_bytes,
                                                     struct weft_rows *rows, struct weft_report *report,
                                                     struct weft_rows_shape *shape, struct weft_err *err);

extern const struct weft_row_format weft_format_alpaca, weft_format_sharegpt, weft_format_messages, weft_format_text,
    weft_format_dpo;

#endif
