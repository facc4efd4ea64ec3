/* cli/data.h - what the verbs on data share: figures in columns, drops, exit status */
#ifndef WEFT_CLI_DATA_H
#define WEFT_CLI_DATA_H

#include "cli/cli.h"
#include "dataset/check.h"
#include "dataset/formats.h"
#include "dataset/row.h"
#include "dataset/screenplay.h"

extern const struct weft_verb weft_verb_data_script, weft_verb_data_check, weft_verb_data_convert,
    weft_verb_data_split, weft_verb_data_show;

/* Text measured and padded by what a terminal shows: Chinese characters take two columns. */
void weft_data_cell(struct weft_cli *cli, const char *text, size_t columns);
/* "  label ...... 123  45.6 %"; the share only when of > 0.  `label` is translated. */
void weft_data_figure(struct weft_cli *cli, const char *label, uint64_t n, uint64_t of);
/* "小满 57, 丁老秤 48 ... (12 more)" */
void weft_data_names(struct weft_cli *cli, const char *label, const struct weft_check_item *items, size_t n,
                     size_t shown);
/* Text on one line for people: control characters escaped, cut at `chars` characters. */
void weft_data_line(struct weft_cli *cli, const char *prefix, struct weft_str text, size_t chars);
/* A reason of a report in the user's language: the words behind "DS3: ". */
void weft_data_reason(struct weft_buf *out, enum weft_lang lang, struct weft_str reason);
/* Drops by reason, and the first places. */
void weft_data_drops(struct weft_cli *cli, const struct weft_report *r, size_t places);

/* Where the lines of a screenplay went, who asks, what was left out: for people, and as members of an open object. */
void weft_data_script_show(struct weft_cli *cli, const struct weft_text *texts, size_t n_texts,
                           const char *role, const struct weft_script_funnel *f,
                           const struct weft_report *report, size_t places);
void weft_data_script_members(struct weft_json_out *o, const struct weft_script_funnel *f,
                              const struct weft_report *report);
/* Warns of each text that was repaired while it was read. */
void weft_data_script_repairs(struct weft_cli *cli, const struct weft_text *t);

void weft_data_key_uint(struct weft_json_out *o, const char *key, uint64_t v);
void weft_data_key_str(struct weft_json_out *o, const char *key,
                       struct weft_str s); /* null when s.s is NULL */
/* Members "dropped" [{reason, count}] and "places" [...]. */
void weft_data_json_drops(struct weft_json_out *o, const struct weft_report *r);
/* Prints the buffer and a newline, and frees it. */
enum weft_status weft_data_print_json(struct weft_cli *cli, struct weft_buf *b);

/* WEFT_EPARTIAL with its message when rows were left out, else WEFT_OK. */
enum weft_status weft_data_partial(struct weft_cli *cli, const struct weft_report *r);
/* Says that a file was not what its name says. */
void weft_data_shape_note(struct weft_cli *cli, const char *path, const struct weft_rows_shape *shape);
const char *weft_data_format_name(enum weft_format f);

#endif
