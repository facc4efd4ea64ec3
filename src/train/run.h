/* train/run.h - one run while it is in progress: shared by the loop (trainer.c) and what opens and saves it (session.c)
 */
#ifndef WEFT_TRAIN_RUN_H
#define WEFT_TRAIN_RUN_H

#include "base/hash.h"
#include "train/checkpoint.h"
#include "train/deadline.h"
#include "train/log.h"
#include "train/order.h"
#include "train/row_loss.h"
#include "train/sums.h"
#include "train/tensorboard.h"

/* Updates layer by layer: what the backward of a micro-batch does with the gradients of a layer. */
struct weft_layerwise {
    bool on, last, stepped;     /* last: of the update's micro-batches; stepped: the update is done */
    const char *bad;            /* first parameter whose gradient was not finite */
    float *guest;               /* room for another rank's gradient of one parameter */
};

struct weft_given;
struct weft_row_note {
    double loss;
    uint32_t example;
};

struct weft_run {
    const struct weft_train_job *job;
    const struct weft_recipe *recipe;
    enum weft_lang lang;
    struct weft_arena arena, step_arena;        /* of the run; of a micro-batch */
    struct weft_optimizer_state opt;
    struct weft_pass *pass;
    size_t piece_room;                          /* of batches of validation (train/order.h) */
    struct weft_order order;
    struct weft_layerwise layerwise;
    struct weft_sums sums;
    struct weft_cluster *cluster;               /* NULL: alone */
    /* of the round at hand (train/round.h) */
    struct weft_given *given, *all_given;       /* this rank's, and those of all */
    bool *present;                              /* [ranks] has left gradients */
    bool trained, asked;                        /* this rank has; `present` is known */
    enum weft_status met;                       /* of what ranks exchange during the backward */
    struct weft_err *met_err;
    const struct weft_progress *interruptible;  /* NULL: a backward that has begun must be ended */
    struct weft_steps steps;
    struct weft_run_state state;
    struct weft_log log;
    struct weft_tensorboard board;
    struct weft_row_loss row_loss;
    struct weft_checkpoint_identity identity;
    char data_hex[WEFT_SHA256_HEX], valid_hex[WEFT_SHA256_HEX];
    struct weft_buf settings;                   /* text of identity.settings */
    uint64_t eval_every, save_every;            /* updates; 0: only at the end */
    uint64_t saved_step, resumed_from;          /* saved_step UINT64_MAX: none yet */
    struct weft_deadline deadline;
    int lock_fd;
    double started_at, session_base_s;          /* monotonic clock; seconds of earlier sessions */
    double rate;                                /* tokens per second of the last updates */
    double reported_at;                         /* for tokens per second since the last line */
    uint64_t reported_tokens;
    char output_dir[4096];
};

double weft_run_clock(void);                            /* monotonic seconds */
double weft_run_elapsed(const struct weft_run *r);      /* all sessions */

/* The pass of a run: what it needs for the longest micro-batch of training and of validation. */
WEFT_MUST_USE enum weft_status weft_run_pass(const struct weft_train_job *job, const struct weft_recipe *recipe,
                                             const struct weft_optimizer *kind, struct weft_pass_settings *out,
                                             struct weft_err *err);

/* The memory plan of the job with another recipe, and its base in another format (NULL: as it is). */
struct weft_quant_format;
WEFT_MUST_USE enum weft_status weft_memory_plan_of(const struct weft_train_job *job, const struct weft_recipe *r,
                                                   const struct weft_quant_format *base, struct weft_memory_plan *out,
                                                   struct weft_err *err);
/* What there is for this process, and what bounds it. */
WEFT_MUST_USE enum weft_status weft_memory_available(const struct weft_train_job *job, size_t *bytes,
                                                     const char **bound, struct weft_err *err);

/* Locks output_dir, finds or begins the run, and makes everything the loop needs.  `r` may be half made on failure:
 * weft_run_close takes it. */
WEFT_MUST_USE enum weft_status weft_run_open(struct weft_run *r, const struct weft_train_job *job,
                                             struct weft_err *err);
/* Checkpoint of the state as it is; waits for room on a full disk (E5), then prunes. */
WEFT_MUST_USE enum weft_status weft_run_save(struct weft_run *r, struct weft_err *err);
void weft_run_close(struct weft_run *r);

/* row_loss.jsonl in output_dir. */
WEFT_MUST_USE enum weft_status weft_run_write_rows(struct weft_run *r, struct weft_err *err);

/* The checkpoint of the lowest validation loss is written and kept. */
bool weft_run_keeps_best(const struct weft_run *r);
/* Where the recipe wants it, the parameters of that checkpoint take the place of the last ones: after the run only. */
WEFT_MUST_USE enum weft_status weft_run_load_best(struct weft_run *r, struct weft_err *err);

/* Calls `write` again while the disk is full: each pause a minute, ten of them.  Other errors come back at once. */
WEFT_MUST_USE enum weft_status weft_run_patient(struct weft_run *r, uint64_t need_bytes,
                                                enum weft_status (*write)(void *ctx, struct weft_err *err), void *ctx,
                                                struct weft_err *err);

/* One line through the progress sink, in the user's language. */
void weft_run_say(struct weft_run *r, const char *fmt, ...) WEFT_PRINTF(2, 3);

#endif
