/* dataset/info.h - LLaMA-Factory's dataset_info.json: datasets by name
 *
 *     {"NAME": {"file_name": "x.jsonl", "formatting": "sharegpt", "ranking": true,
 *               "columns": {"prompt": "question", "response": "answer"}, "tags": {"role_tag": "role", ...}}}
 *
 * Reading gives the file and how its members are named (the `columns` of struct weft_rows_settings); writing adds or
 * replaces one entry and leaves everything else in the file as it was.
 *
 * Owner:   the arena given.
 */
#ifndef WEFT_DATASET_INFO_H
#define WEFT_DATASET_INFO_H

#include "dataset/formats.h"

struct weft_info {
    const char *path;               /* of the dataset: file_name beside the info file */
    int format;                     /* enum weft_format; AUTO where the entry does not say */
    bool ranking;                   /* preference rows */
    struct weft_str_list columns;   /* renames, for weft_rows_settings */
};

/* The entry `name`.  WEFT_EINPUT: the file is no such list, there is no such entry (the message names the nearest),
 * or its data lie elsewhere (hf_hub_url and the like). */
WEFT_MUST_USE enum weft_status weft_info_find(struct weft_arena *a, const char *info_path, const char *name,
                                              struct weft_info *out, struct weft_err *err);

/* What an entry for rows written by weft says; `file_name` is written as it is. */
struct weft_info_entry {
    struct weft_str file_name;
    enum weft_format format;        /* ALPACA, SHAREGPT, MESSAGES or TEXT */
    bool ranking, kto, system, tools, history;      /* members that rows of the file have */
};

/* Adds the entry to the file (made when it does not exist), replacing one of that name.  *replaced may be NULL. */
WEFT_MUST_USE enum weft_status weft_info_write(const char *info_path, const char *name,
                                               const struct weft_info_entry *entry, bool *replaced,
                                               struct weft_err *err);

#endif
