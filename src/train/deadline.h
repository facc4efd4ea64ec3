/* train/deadline.h - a run that has to be over at some time
 *
 * The number of updates follows from the time left and what an update has taken so far, validations and checkpoints
 * included; the recipe's own number is never exceeded.  The rate's schedule then ends with the run.
 */
#ifndef WEFT_TRAIN_DEADLINE_H
#define WEFT_TRAIN_DEADLINE_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* "07:00" (the next one in local time), "2026-12-01 07:00", or a while from now: "+90m", "+2h", "+1h30m", "+45s".
 * WEFT_EINPUT: none of these. */
WEFT_MUST_USE enum weft_status weft_deadline_parse(const char *text, time_t now, time_t *out, struct weft_err *err);

struct weft_deadline {
    double at;                  /* seconds of the clock that `now` below is from; 0: none */
    uint64_t most;              /* the recipe's number of updates */
    uint64_t first_step;        /* where this process began ... */
    double begun;               /* ... and when */
    double closing_s;           /* the longest a validation or a checkpoint has taken */
};
/* The number of updates with which the run ends in time, at least `step`: after `step` updates at `now`.  `total`, the
 * number so far, is returned while the run is within two per cent of it. */
uint64_t weft_deadline_fit(const struct weft_deadline *d, uint64_t step, uint64_t total, double now);

#endif
