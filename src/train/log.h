/* train/log.h - log.jsonl and history.jsonl of a run
 *
 * log.jsonl has the keys of LLaMA-Factory's trainer_log.jsonl and more:
 *   update      current_steps total_steps loss lr epoch percentage grad_norm tokens worst_row worst_row_loss
 *   validation  current_steps total_steps eval_loss (perplexity) epoch percentage
 *   event       current_steps total_steps event rows tensor ...
 * then elapsed_time, remaining_time, tokens_per_s, the only values that differ between two runs of the same inputs.
 */
#ifndef WEFT_TRAIN_LOG_H
#define WEFT_TRAIN_LOG_H

#include "train/checkpoint.h"

struct weft_log {
    const char *path, *history;     /* NULL path: no file */
    uint64_t bytes;                 /* of log.jsonl */
    struct weft_buf buf;
};

/* Opens output_dir's files in arena `a` and cuts log.jsonl to `bytes` (CK6); what is cut was written after the last
 * checkpoint and will be written again.  A log shorter than that keeps its whole lines. */
WEFT_MUST_USE enum weft_status weft_log_open(struct weft_log *l, struct weft_arena *a, const char *output_dir,
                                             uint64_t bytes, struct weft_err *err);
void weft_log_close(struct weft_log *l);    /* accepts a zeroed struct */

/* A line: begin, the caller's keys, finish (the keys of time), append. */
void weft_log_begin(struct weft_log *l, struct weft_json_out *j, uint64_t step, uint64_t total);
void weft_log_finish(struct weft_log *l, struct weft_json_out *j, double elapsed_s, double left_s, double tokens_per_s);
/* After an error the file is as before, so that the same line can be tried again. */
WEFT_MUST_USE enum weft_status weft_log_append(struct weft_log *l, struct weft_err *err);

/* Forces log.jsonl to the disk: before a checkpoint that counts on its length. */
WEFT_MUST_USE enum weft_status weft_log_sync(struct weft_log *l, struct weft_err *err);

/* {"time": ..., "event": event, "step": step, key: text}; key NULL: none. */
WEFT_MUST_USE enum weft_status weft_log_history(struct weft_log *l, const char *event, uint64_t step, const char *key,
                                                const char *text, struct weft_err *err);

#endif
