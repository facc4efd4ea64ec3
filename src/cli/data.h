/* cli/data.h - what the verbs on data share: figures in columns, drops, exit status */
#ifndef WEFT_CLI_DATA_H
#define WEFT_CLI_DATA_H

#include "cli/cli.h"
#include "dataset/check.h"
#include "dataset/formats.h"
#include "dataset/row.h"
#include "dataset/screenplay.h"

extern const struct weft_verb weft_verb_data_script, weft_verb_data_search, weft_verb_data_import,
    weft_verb_data_export, weft_verb_data_check, weft_verb_data_convert,
    weft_verb_data_split, weft_verb_data_show, weft_verb_data_mix, weft_verb_data_sample,
    weft_verb_data_diff, weft_verb_data_review, weft_verb_data_apply,
    weft_verb_data_trace;

extern const struct weft_verb weft_verb_data_clean, weft_verb_data_dedup, weft_verb_data_stats;
extern const struct weft_verb weft_verb_data_ask, weft_verb_data_augment;
extern const struct weft_verb weft_verb_data_chunk, weft_verb_data_prose;

/* ---- opening datasets (cli/data_input.c) ---- */

/* How the verbs that read rows are told where they are and what they look like. */
struct weft_data_input {
    struct weft_rows_settings rows;
    const char *info;               /* a dataset_info.json that FILE words may name entries of */
};
#define WEFT_DATA_INPUT_ROWS(T, field)                                                                                 \
    { .key = "format", .type = WEFT_OPT_CHOICE, .offset = offsetof(T, field.rows.format), .def = "auto",               \
      .choices = WEFT_FORMAT_CHOICES, .group = "Input",                                                                \
      .help = "shape of the rows read (auto: each row shows it)", .help_zh = "读入的格式（auto 逐行识别）" },            \
    { .key = "columns", .type = WEFT_OPT_LIST, .offset = offsetof(T, field.rows.columns), .group = "Input",            \
      .help = "renamed members: instruction=question,output=answer",                                                   \
      .help_zh = "成员改名：instruction=question,output=answer" },                                                      \
    { .key = "info", .type = WEFT_OPT_STRING, .offset = offsetof(T, field.info), .group = "Input",                     \
      .help = "a dataset_info.json; FILE may then be the name of an entry",                                            \
      .help_zh = "dataset_info.json；FILE 可以写其中数据集的名字" }

/* Rows of the verbs that write rows: -o FILE where nothing is written without it, the layout, and the shape. */
#define WEFT_DATA_OUTPUT_ROW(T, field)                                                                                 \
    { .key = "output", .type = WEFT_OPT_STRING, .offset = offsetof(T, field), .group = "Output", .short_flag = 'o',    \
      .help = "file to write; .json: an array, else JSON lines; -: standard output; left out: only the figures",       \
      .help_zh = "输出文件；.json 为数组，其他为每行一个 JSON；- 为标准输出；不写则只显示统计" }
#define WEFT_DATA_LAYOUT_ROW(T, field)                                                                                 \
    { .key = "layout", .type = WEFT_OPT_CHOICE, .offset = offsetof(T, field), .def = "auto",                           \
      .choices = WEFT_LAYOUT_CHOICES, .group = "Output", .help = "JSON lines or one array (auto: by the name)",        \
      .help_zh = "每行一个 JSON，或一个数组（auto 按文件名）" }
#define WEFT_DATA_NO_ORIGIN_ROW(T, field)                                                                              \
    { .key = "no_origin", .type = WEFT_OPT_BOOL, .offset = offsetof(T, field), .group = "Output",                      \
      .help = "leave the member \"weft\" out (where each row came from)",                                              \
      .help_zh = "不写 weft 成员（每行的出处）" }
/* How many of what was left out is shown: a number of places. */
#define WEFT_DATA_PLACES_ROW(T, field, text, text_zh)                                                                  \
    { .key = "places", .type = WEFT_OPT_INT, .offset = offsetof(T, field), .def = "8", .max = 100, .group = "Output",  \
      .help = (text), .help_zh = (text_zh) }
#define WEFT_DATA_TO_ROW(T, field)                                                                                     \
    { .key = "to", .type = WEFT_OPT_CHOICE, .offset = offsetof(T, field), .def = "auto",                               \
      .choices = WEFT_FORMAT_CHOICES, .group = "Output",                                                               \
      .help = "shape of the rows written (auto: each as it was read)",                                                 \
      .help_zh = "写出的格式（auto：每行与读入时相同）" }

/* The file that `word` names, and how to read it: a path, or an entry of the info file. */
WEFT_MUST_USE enum weft_status weft_data_find(struct weft_cli *cli, const struct weft_data_input *in, const char *word,
                                              const char **path, struct weft_rows_settings *how);
/* Each row of the file that `word` names, one at a time: *path is the file, known before the first row; shape may be
 * NULL.  Says what the file really is where its name says otherwise. */
WEFT_MUST_USE enum weft_status weft_data_each(struct weft_cli *cli, const struct weft_data_input *in, const char *word,
                                              enum weft_status (*each)(void *ctx, const struct weft_row *row,
                                                                       struct weft_err *err),
                                              void *ctx, const char **path, struct weft_report *report,
                                              struct weft_rows_shape *shape);
/* All rows of the files, one after the other; says what a file really is where its name says otherwise. */
WEFT_MUST_USE enum weft_status weft_data_read(struct weft_cli *cli, const struct weft_data_input *in,
                                              const struct weft_str_list *files, struct weft_rows *rows,
                                              struct weft_report *report);

/* Does -o name standard output?  WEFT_EARG where --json wants it as well. */
WEFT_MUST_USE enum weft_status weft_data_to_stdout(struct weft_cli *cli, const char *output, bool *to_stdout);

/* For loops over rows, called with the number of the row at hand: now and then it moves the progress line (`of` 0:
 * nobody knows how many) and looks whether to stop (WEFT_ECANCEL). */
WEFT_MUST_USE enum weft_status weft_data_tick(struct weft_cli *cli, const char *stage, uint64_t row, uint64_t of,
                                              struct weft_err *err);

/* Text measured and padded by what a terminal shows: Chinese characters take two columns. */
void weft_data_cell(struct weft_cli *cli, const char *text, size_t columns);
void weft_data_cell_right(struct weft_cli *cli, const char *text, size_t columns);
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

/* Text files read as one input; a bad one costs only itself. */
struct weft_data_texts {
    struct weft_text *items;
    size_t n, n_failed;
    bool partial;               /* a file was left out or repaired */
};
WEFT_MUST_USE enum weft_status weft_data_texts(struct weft_cli *cli, const struct weft_str_list *files,
                                               const struct weft_text_settings *s, struct weft_data_texts *out);
void weft_data_texts_show(struct weft_cli *cli, const struct weft_data_texts *texts);
/* Members "files" and "files_failed" of an open object. */
void weft_data_texts_members(struct weft_json_out *o, const struct weft_data_texts *texts);
/* WEFT_EPARTIAL when something of the input was left out or repaired, else WEFT_OK. */
WEFT_MUST_USE enum weft_status weft_data_texts_verdict(struct weft_cli *cli, const struct weft_data_texts *texts);

void weft_data_key_uint(struct weft_json_out *o, const char *key, uint64_t v);
void weft_data_key_str(struct weft_json_out *o, const char *key,
                       struct weft_str s); /* null when s.s is NULL */
/* Members "units_in" and "blank": what the files held. */
void weft_data_json_units(struct weft_json_out *o, const struct weft_report *r);
/* A list of {NAME: text, COUNT: count}; `first`: with "first_row". */
void weft_data_json_items(struct weft_json_out *o, const char *key, const char *name, const char *count, bool first,
                          const struct weft_check_item *items, size_t n);
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
