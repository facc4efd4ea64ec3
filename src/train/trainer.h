/* train/trainer.h - the loop: batches, loss, update, validation, checkpoints, log
 *
 * The trainer is handed a model, a list of trainable parameters and examples; what the parameters are (an adapter,
 * all weights) it does not know.  A run is a function of its inputs: any thread count, any number of kills and
 * resumes end in the same bytes.
 *
 * Files in output_dir:
 *   log.jsonl       one object per logged update, validation or event; a function of the inputs but for its last keys
 *                   elapsed_time, remaining_time, tokens_per_s
 *   history.jsonl   what happened to the process: started, resumed, saved, stopped, with wall time
 *   checkpoint-N/   train/checkpoint.h; rules CK1-CK6 (docs/training.md)
 *   .lock           held while a process trains here
 */
#ifndef WEFT_TRAIN_TRAINER_H
#define WEFT_TRAIN_TRAINER_H

#include "base/progress.h"
#include "kernels/profile.h"
#include "model/model.h"
#include "tokens/collate.h"
#include "train/cluster.h"
#include "train/recipe.h"

/* Hashes of what a run depends on, written into every checkpoint: a resume refuses when one differs and names it. */
struct weft_identity {
    const char *data, *valid, *tokenizer, *chat_template, *base, *settings;     /* SHA-256 hex, or NULL */
};

/* For one line of the log: an update (valid_loss NaN), or a validation (valid_loss set, the rest as of that step). */
struct weft_train_report {
    uint64_t step, total_steps;
    double epoch, loss, grad_norm, lr, valid_loss;
    double tokens_per_s;                /* since the last report, all tokens of the batches */
    uint64_t tokens;                    /* so far */
    double elapsed_s, left_s;
};

struct weft_train_job {
    struct weft_model *model;
    struct weft_params *params;
    const struct weft_examples *train;
    const struct weft_examples *valid;              /* NULL or empty: none */
    const struct weft_recipe *recipe;
    struct weft_compute *compute;
    struct weft_identity identity;
    /* Called inside a checkpoint folder under construction: the adapter, or the weights, as users load them. */
    enum weft_status (*save)(void *ctx, const char *dir, struct weft_err *err);
    void *save_ctx;
    void (*report)(void *ctx, const struct weft_train_report *r);   /* each logged update; may be NULL */
    void *report_ctx;
    /* The id of a row by its row_idx, for reports of bad or costly rows.  No function, or NULL from it: the row's
     * number, from 1. */
    const char *(*row_name)(void *ctx, uint32_t row_idx);       /* good until the next call */
    void *row_ctx;
    const struct weft_progress *progress;           /* cancel is polled within every micro-batch */
    /* Stages dpo and kto: the model before training.  A model of its own, or (NULL) `model` between as_reference(true)
     * and as_reference(false), which switch its adapter. */
    struct weft_model *reference;
    void (*as_reference)(void *ctx, bool on);
    void *reference_ctx;
    size_t save_bytes;      /* that `save` takes while it works: for the plan */
    size_t held_bytes;      /* beside the model, the parameters and their gradients, e.g. by an adapter: for the plan */
    struct weft_profile *profile;               /* receives where the time went (kernels/profile.h); NULL: not wanted */
    /* The ranks that train together, each with a job of its own that is equal to this one; NULL: one.  The recipe's
     * gradient_accumulation_steps counts the micro-batches of an update over all of them. */
    struct weft_cluster *cluster;
    int disk_retry_s;                               /* pause before writing to a full disk again; 0: 60, ten times */
};

enum { WEFT_DEAREST_ROWS = 3 };
struct weft_train_result {
    uint64_t steps, total_steps, resumed_from, tokens, skipped;     /* skipped: updates without effect (E7, E8) */
    double train_loss, last_loss, best_valid_loss, last_valid_loss; /* NaN: not measured */
    uint64_t best_step;                             /* of best_valid_loss */
    bool stopped_early;                             /* by early_stopping_steps */
    double seconds;                                 /* training, all sessions */
    bool exact;                                     /* false: resumed from other inputs on the user's word */
    uint32_t dearest[WEFT_DEAREST_ROWS];            /* row_idx of the rows that cost most when last seen ... */
    double dearest_loss[WEFT_DEAREST_ROWS];         /* ... and their mean loss then */
    size_t n_dearest;
    const struct weft_profile *profile;             /* the job's */
};

/* Trains until done or cancelled (WEFT_ECANCEL, the last whole step saved).  Resumes from the newest good checkpoint in
 * output_dir unless overwrite_output_dir; a finished run is left as it is.
 * WEFT_EINPUT: the checkpoint belongs to other data, model or settings (each named), three updates in a row were not
 * finite, or the watchdog stopped; WEFT_EARG: nothing to train; WEFT_EREMOTE: a rank is gone, the last whole update
 * saved by rank 0.  All ranks return the same status, as far as they can still hear each other. */
WEFT_MUST_USE enum weft_status weft_train(const struct weft_train_job *job, struct weft_train_result *out,
                                          struct weft_err *err);

/* Names the matrices of a profile by those of m that have such a shape: "gate_proj, up_proj". */
void weft_profile_name(struct weft_profile *p, const struct weft_model *m);

/* ---- memory plan ---- */

struct weft_memory_line {
    const char *item;                   /* English; a key of the catalogue: "base weights" */
    size_t bytes;
};
enum { WEFT_PLAN_LINES = 16 };
struct weft_memory_plan {
    struct weft_memory_line lines[WEFT_PLAN_LINES];
    size_t n, total_bytes;
    /* the least of: free memory, cgroup v1 and v2 limits, rlimits, the setting mem */
    size_t available_bytes;
    const char *bound;                  /* which of them: "free memory", "memory limit of the control group" ... */
    size_t batch_tokens;                /* of the longest micro-batch that is trained on */
};
/* From the model as it is loaded, the settings, and the longest micro-batch that will occur. */
WEFT_MUST_USE enum weft_status weft_memory_plan(const struct weft_train_job *job,
                                                struct weft_memory_plan *out, struct weft_err *err);
/* WEFT_ELIMIT (E6) when the plan does not fit, with the cheapest changes that would make it fit.  weft_train checks by
 * itself. */
WEFT_MUST_USE enum weft_status weft_memory_check(const struct weft_train_job *job, const struct weft_memory_plan *plan,
                                                 struct weft_err *err);
/* "8G", "900M", "1.5GiB", "4096" -> bytes.  WEFT_EINPUT: not a size. */
WEFT_MUST_USE enum weft_status weft_memory_size(const char *text, size_t *bytes, struct weft_err *err);

/* ---- the log, drawn ---- */

struct weft_curve_point {
    double x, y;                        /* step, loss */
};
struct weft_curve {
    const char *label;
    const struct weft_curve_point *points;      /* ascending in x, finite */
    size_t n;
};
enum { WEFT_CURVE_TRAIN, WEFT_CURVE_VALID, WEFT_N_CURVES };
/* Training and validation loss of a log.jsonl in arena `a`, labelled "training" and "validation" (keys of the
 * catalogue).  Lines without such a value are left out; a last line cut short is, too. */
WEFT_MUST_USE enum weft_status weft_log_curves(struct weft_arena *a, const char *log_path,
                                               struct weft_curve out[WEFT_N_CURVES], struct weft_err *err);
/* The curve without its noise, out [n]: a local straight line, weighted by a Gauss bell whose sigma is `wide` of all
 * points. */
void weft_curve_smooth(const struct weft_curve *c, double wide, double *out);
/* A self-contained SVG for light and dark pages; title and axis labels are the caller's (translated).  A curve of more
 * than 30 points is drawn as its smoothed line over the faint raw one, others as a line with dots. */
void weft_curve_svg(struct weft_buf *out, const struct weft_curve *curves, size_t n, const char *title,
                    const char *x_label, const char *y_label);
/* Several runs in one picture: training on the left, validation on the right over the same steps, and a table of the
 * runs' colours and last losses.  Colours come again after eight runs. */
struct weft_curve_run {
    const char *label;
    struct weft_curve curves[WEFT_N_CURVES];    /* their own labels are not shown */
};
struct weft_curve_words {               /* translated by the caller */
    const char *title, *step, *training, *validation, *lowest;
};
void weft_curve_svg_runs(struct weft_buf *out, const struct weft_curve_run *runs, size_t n,
                         const struct weft_curve_words *words);
/* The point with the least y, the first of equals; NaN where there is none. */
struct weft_curve_point weft_curve_lowest(const struct weft_curve *c);
/* Like weft_curve_svg in braille dots for a terminal, `columns` wide and `rows` high, axes and legend included; the
 * last curve of several as markers. */
void weft_curve_text(struct weft_buf *out, const struct weft_curve *curves, size_t n, size_t columns, size_t rows);

#endif
