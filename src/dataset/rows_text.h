/* dataset/rows_text.h - a dataset file as text for people
 *
 * Alpaca, ShareGPT, messages, preference rows and plain texts in JSON or JSON lines, told by their content and not by
 * the file's name, become readable text: one line for each turn with its speaker in front, a blank line between rows.
 * Every line knows the bytes and the line of its row.
 */
#ifndef WEFT_DATASET_ROWS_TEXT_H
#define WEFT_DATASET_ROWS_TEXT_H

#include "dataset/formats.h"
#include "text/text.h"

/* Could this file be a dataset?  A regular file that begins as JSON objects or an array of them do. */
bool weft_rows_sniff(const char *path);

/* Reads `path` (a regular file).  Fills `out` as the readers of text/ do, with the format "rows"; rows that were left out
 * are counted in out->left_out, their places are its notes.  `s` may be NULL.
 * Errors as weft_rows_read: WEFT_EINPUT when there is no good row. */
WEFT_MUST_USE enum weft_status weft_rows_text(struct weft_arena *a, const char *path,
                                              const struct weft_rows_settings *s, struct weft_text *out,
                                              struct weft_report *report, struct weft_err *err);

#endif
