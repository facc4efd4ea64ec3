/* train/tensorboard.h - the log of a run as TensorBoard reads it
 *
 * One file events.out.tfevents.SECONDS.weft beside log.jsonl: TFRecords (length, masked CRC-32C of it, an Event in
 * protobuf's wire format, masked CRC-32C of that) with one Summary of simple values a line of the log.  Source:
 * tensorflow/core/lib/io/record_writer.h, tensorflow/core/util/event.proto, summary.proto.
 *
 * The file follows from log.jsonl: a run that goes on writes it anew from the lines that count.
 */
#ifndef WEFT_TRAIN_TENSORBOARD_H
#define WEFT_TRAIN_TENSORBOARD_H

#include "base/json.h"
#include "base/str.h"

struct weft_tensorboard {
    const char *path;           /* NULL: none is written */
    double started;             /* seconds since 1970 at which the run would have begun without pauses */
    struct weft_buf buf, summary, event, value;     /* of the line in work, kept for the next */
    struct weft_arena arena;
};

/* Writes the file of output_dir anew from the text of log.jsonl, whose run has taken elapsed_s so far. */
WEFT_MUST_USE enum weft_status weft_tensorboard_open(struct weft_tensorboard *t, struct weft_arena *a,
                                                     const char *output_dir, struct weft_str log, double elapsed_s,
                                                     struct weft_err *err);
/* Appends one line of the log. */
WEFT_MUST_USE enum weft_status weft_tensorboard_append(struct weft_tensorboard *t, struct weft_str line,
                                                       struct weft_err *err);
void weft_tensorboard_close(struct weft_tensorboard *t);     /* accepts a zeroed struct */

#endif
