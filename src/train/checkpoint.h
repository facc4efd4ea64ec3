/* train/checkpoint.h - a run on disk, whole or absent
 *
 * checkpoint-N/   params.safetensors      the trainable values, f32, under their own names
 *                 optimizer.safetensors   "<param>.<slot>" f32, e.g. "model.norm.weight.exp_avg"
 *                 state.json              struct weft_run_state
 *                 (the caller's files: an adapter, or weights, as users load them)
 *                 manifest.json           written last: identity, every file's size and SHA-256, and its own
 *
 * Written as checkpoint-N.tmp-PID, synced, renamed (rules CK1-CK3).  Readers take the newest folder in which every
 * byte is as the manifest says (CK4).  A checkpoint holds the state as of the last whole update (CK5).
 */
#ifndef WEFT_TRAIN_CHECKPOINT_H
#define WEFT_TRAIN_CHECKPOINT_H

#include "train/optimizer.h"
#include "train/preference.h"
#include "train/trainer.h"

enum { WEFT_WATCHDOG_WINDOW = 32 };

/* Where a run stands between two updates.  Random numbers and the order of the data are functions of `step`. */
struct weft_run_state {
    uint64_t step;                  /* updates passed, skipped ones too */
    uint64_t optimizer_step;        /* updates applied */
    uint64_t tokens;                /* of all batches so far */
    double loss_sum;                /* of all updates with a finite loss ... */
    uint64_t loss_n;                /* ... and how many */
    double window_sum;              /* the same since the last line of the log */
    uint64_t window_n;
    double window_worst;            /* highest mean loss of a row since then, and its row; NaN: none */
    uint64_t window_worst_row;
    struct weft_pref_sums metrics;  /* since the last line of the log */
    double last_loss, grad_norm, lr;
    double best_valid, last_valid;  /* NaN: not measured */
    uint64_t skipped;               /* updates without effect (E7, E8) */
    uint64_t bad_in_a_row;          /* the last of them, one after the other, for NaN or infinity */
    double recent[WEFT_WATCHDOG_WINDOW];    /* last losses, a ring */
    uint64_t n_recent;
    uint64_t best_step;             /* the update of best_valid */
    uint64_t evals_since_best;
    uint64_t fitted_total;          /* updates of a run that is fitted to a deadline; 0: the recipe's */
    bool eval_due;                  /* stopped before the validation that belongs to `step` */
    bool stopped_early;             /* early_stopping_steps validations did no better: the run is over */
    bool exact;                     /* false: resumed from other inputs on the user's word */
    double elapsed_s;
    uint64_t log_bytes;             /* length of log.jsonl */
};

/* What the next run must share with this one. */
struct weft_checkpoint_identity {
    struct weft_identity hashes;
    const char *program, *isa;
    struct weft_str settings;       /* JSON object of weft_recipe_settings */
};

/* Moves a run into output_dir/checkpoint-N.  WEFT_EINPUT: a value is not finite, nothing was written (E7). */
WEFT_MUST_USE enum weft_status weft_checkpoint_save(const struct weft_train_job *job, const char *output_dir,
                                                    const struct weft_run_state *state,
                                                    const struct weft_optimizer_state *opt,
                                                    const struct weft_checkpoint_identity *id,
                                                    struct weft_err *err);

/* The newest good checkpoint of output_dir in arena `a`; *path NULL when there is none.  Damaged folders are renamed
 * to checkpoint-N.damaged and reported through `progress`. */
WEFT_MUST_USE enum weft_status weft_checkpoint_find(struct weft_arena *a, const char *output_dir, const char **path,
                                                    const struct weft_progress *progress, struct weft_err *err);

/* Reads a folder's manifest and checks every file against it.  WEFT_EINPUT: "checkpoint-100/state.json: ...". */
WEFT_MUST_USE enum weft_status weft_checkpoint_verify(const char *path, struct weft_err *err);

/* Appends to `out` a line per difference between the folder's identity and `id`: "learning_rate: 0.0001 then, 0.0002
 * now".  Nothing: they agree. */
WEFT_MUST_USE enum weft_status weft_checkpoint_compare(const char *path, const struct weft_checkpoint_identity *id,
                                                       struct weft_buf *out, struct weft_err *err);

/* Fills parameters, moments and state of a verified folder: all or nothing. */
WEFT_MUST_USE enum weft_status weft_checkpoint_load(const char *path, struct weft_params *params,
                                                    struct weft_optimizer_state *opt, struct weft_run_state *state,
                                                    struct weft_err *err);

/* The parameters alone of a folder, which is verified first. */
WEFT_MUST_USE enum weft_status weft_checkpoint_load_params(const char *path, struct weft_params *params,
                                                           struct weft_err *err);

/* Keeps the `limit` newest checkpoints (0: all) and that of update `keep` (UINT64_MAX: none), and removes what a killed
 * run left half written. */
WEFT_MUST_USE enum weft_status weft_checkpoint_prune(const char *output_dir, uint64_t limit, uint64_t keep,
                                                     struct weft_err *err);

/* Bytes a checkpoint takes, the caller's files not counted. */
uint64_t weft_checkpoint_bytes(const struct weft_optimizer_state *opt);

/* The text of state.json and back; for the fuzz target too. */
void weft_run_state_write(const struct weft_run_state *s, struct weft_buf *out);
WEFT_MUST_USE enum weft_status weft_run_state_read(struct weft_run_state *s, const char *name, struct weft_str text,
                                                   struct weft_err *err);
/* Checks a manifest's own hash and form; `each` gets every file it names. */
WEFT_MUST_USE enum weft_status weft_manifest_read(const char *name, struct weft_str text,
                                                  enum weft_status (*each)(void *ctx, const char *file, uint64_t bytes,
                                                                           const char *sha256, struct weft_err *err),
                                                  void *ctx, struct weft_err *err);

#endif
