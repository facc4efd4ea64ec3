/* Opening, resuming, saving and closing a run.
 *
 * A run belongs to one process: output_dir/.lock is held (flock, so that a killed process never leaves it locked). */
#include "train/round.h"

#include "base/file.h"
#include "base/lang.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

enum { DISK_RETRIES = 10, DISK_RETRY_S = 60 };

double weft_run_clock(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double weft_run_elapsed(const struct weft_run *r) { return r->session_base_s + weft_run_clock() - r->started_at; }

void weft_run_say(struct weft_run *r, const char *fmt, ...)
{
    char text[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, weft_tr(r->lang, fmt), args);
    va_end(args);
    weft_progress_message(r->job->progress, text);
}

/* ---- identity ---- */

static enum weft_status hash_examples(const struct weft_examples *e, char hex[WEFT_SHA256_HEX], struct weft_err *err)
{
    struct weft_sha256 h = { 0 };
    enum weft_status st = weft_sha256_init(&h, err);
    if (st) return st;
    for (size_t i = 0; i < (e->two ? 2 * e->n : e->n); i++) {
        const struct weft_example *x = &e->items[i];
        if (x->desirable) weft_sha256_add(&h, "+", 1);
        weft_sha256_add(&h, &x->n, sizeof x->n);
        weft_sha256_add(&h, x->ids, x->n * sizeof *x->ids);
        weft_sha256_add(&h, x->labels, x->n * sizeof *x->labels);
        weft_sha256_add(&h, x->part_lens, x->n_parts * sizeof *x->part_lens);
    }
    weft_sha256_hex(&h, hex);
    return WEFT_OK;
}

static enum weft_status make_identity(struct weft_run *r, struct weft_err *err)
{
    const struct weft_train_job *job = r->job;
    struct weft_json_out j;
    enum weft_status st = WEFT_OK;
    r->identity = (struct weft_checkpoint_identity){
        .hashes = job->identity,
        .program = WEFT_VERSION,
        .isa = weft_isa_name(job->compute->isa),
    };
    weft_json_out_init(&j, &r->settings);
    weft_recipe_settings(r->recipe, &j);
    st = weft_buf_check(&r->settings, "the settings", err);
    r->identity.settings = weft_buf_view(&r->settings);
    if (!st && !job->identity.data) {
        st = hash_examples(job->train, r->data_hex, err);
        r->identity.hashes.data = r->data_hex;
    }
    if (!st && !job->identity.valid && job->valid && job->valid->n) {
        st = hash_examples(job->valid, r->valid_hex, err);
        r->identity.hashes.valid = r->valid_hex;
    }
    return st;
}

/* ---- before the first step ---- */

/* B5: what is trained and what it stands on. */
static enum weft_status refuse_nonfinite_weights(struct weft_run *r, struct weft_err *err)
{
    if (r->recipe->allow_nonfinite) return WEFT_OK;
    const char *name = weft_model_nonfinite(r->job->model, &r->arena);
    for (size_t i = 0; !name && i < r->job->params->n; i++) {
        const struct weft_param *p = &r->job->params->items[i];
        if (!weft_param_finite(r->job->compute, p)) name = p->name;
    }
    if (!name) return WEFT_OK;
    return weft_fail_rule(
        err, WEFT_EINPUT, "B5",
        "%s holds NaN or infinity before training; the model file is damaged (allow_nonfinite: true trains all the same)",
        name);
}

static enum weft_status check_memory(struct weft_run *r, struct weft_err *err)
{
    struct weft_memory_plan plan;
    enum weft_status st = weft_memory_plan(r->job, &plan, err);
    return st ? st : weft_memory_check(r->job, &plan, err);
}

/* ---- opening ---- */

/* Rank 0 alone has to do with output_dir. */
static bool is_first(const struct weft_run *r) { return weft_cluster_rank(r->cluster) == 0; }

static enum weft_status take_lock(struct weft_run *r, struct weft_err *err)
{
    const char *path = weft_path_join(&r->arena, r->output_dir, ".lock");
    if (!path) return weft_fail_nomem(err, sizeof r->output_dir, "a path");
    r->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (r->lock_fd < 0) return weft_fail_errno(err, "open", path);
    if (flock(r->lock_fd, LOCK_EX | LOCK_NB) == 0) return WEFT_OK;
    if (errno == EWOULDBLOCK)
        return weft_fail(err, WEFT_EARG, "another process is training in %s; wait for it, or choose another output_dir",
                         r->output_dir);
    return weft_fail_errno(err, "lock", path);
}

static enum weft_status start_over(struct weft_run *r, struct weft_err *err)
{
    static const char *const files[] = { "log.jsonl", "history.jsonl", "loss.svg", "row_loss.jsonl" };
    const char **names = NULL;
    size_t n = 0;
    enum weft_status st = weft_dir_list(&r->arena, r->output_dir, &names, &n, err);
    for (size_t i = 0; !st && i < n; i++) {
        const char *path = weft_path_join(&r->arena, r->output_dir, names[i]);
        if (!path) return weft_fail_nomem(err, sizeof r->output_dir, "a path");
        bool ours = strncmp(names[i], "checkpoint-", 11) == 0 || strncmp(names[i], "events.out.tfevents.", 20) == 0;
        for (size_t k = 0; k < WEFT_COUNT(files); k++) ours = ours || strcmp(names[i], files[k]) == 0;
        if (ours) st = weft_dir_remove(path, err);
    }
    return st;
}

static enum weft_status resume(struct weft_run *r, const char *path, struct weft_err *err)
{
    struct weft_buf changed = { 0 };
    enum weft_status st = weft_checkpoint_compare(path, &r->identity, &changed, err);
    bool exact = !changed.len;
    while (changed.len && changed.s[changed.len - 1] == '\n') changed.s[--changed.len] = '\0';
    for (size_t i = 0; i < changed.len; i++)
        if (changed.s[i] == '\n') changed.s[i] = ';';
    if (!st && !exact && !r->recipe->resume_anyway)
        st = weft_fail_rule(
            err, WEFT_EINPUT, "E10",
            "%s cannot be resumed: %s. overwrite_output_dir=true starts anew; resume_anyway=true goes on "
            "all the same, and the run is marked as not exact",
            path, changed.s);
    if (!st) st = weft_checkpoint_load(path, r->job->params, &r->opt, &r->state, err);
    if (!st) st = weft_row_loss_load(&r->row_loss, path, err);
    if (!st) {
        r->saved_step = r->resumed_from = r->state.step;
        r->state.exact = r->state.exact && exact;
        r->session_base_s = r->state.elapsed_s;
        r->reported_tokens = r->state.tokens;
        weft_run_say(r, "resuming from %s", path);
        if (!exact) weft_run_say(r, "this run is not exact any more: %s", changed.s);
    }
    weft_buf_clear(&changed);
    return st;
}

static enum weft_status open_board(struct weft_run *r, struct weft_err *err)
{
    struct weft_str log = { "", 0 };
    enum weft_status st = r->log.bytes ? weft_file_read(&r->arena, r->log.path, 0, &log, err) : WEFT_OK;
    return st ? st : weft_tensorboard_open(&r->board, &r->arena, r->output_dir, log, r->state.elapsed_s, err);
}

static enum weft_status open_state(struct weft_run *r, struct weft_err *err)
{
    const char *path = NULL;
    r->state = (struct weft_run_state){
        .window_worst = NAN, .last_loss = NAN, .best_valid = NAN, .last_valid = NAN, .exact = true
    };
    if (!is_first(r)) return WEFT_OK;
    enum weft_status st = weft_checkpoint_prune(r->output_dir, 0, UINT64_MAX, err);
    if (!st && r->recipe->overwrite_output_dir) st = start_over(r, err);
    if (!st) st = weft_checkpoint_find(&r->arena, r->output_dir, &path, r->job->progress, err);
    if (!st && path) st = resume(r, path, err);
    if (!st) st = weft_log_open(&r->log, &r->arena, r->output_dir, r->state.log_bytes, err);
    if (!st && r->recipe->tensorboard) st = open_board(r, err);
    if (!st && path)
        st = weft_log_history(&r->log, "resumed", r->state.step, "exact", r->state.exact ? "yes" : "no", err);
    if (!st && !path) st = weft_log_history(&r->log, "started", 0, "isa", r->identity.isa, err);
    return st;
}

static uint64_t free_bytes(const char *dir)
{
    struct statvfs v;
    return statvfs(dir, &v) ? UINT64_MAX : (uint64_t)v.f_bavail * v.f_frsize;
}

static enum weft_status check_room(struct weft_run *r, struct weft_err *err)
{
    /* The caller's files are not known before they are written: an adapter is no larger than its parameters. */
    uint64_t need = 2 * (weft_checkpoint_bytes(&r->opt) + (uint64_t)r->job->params->weight_bytes);
    uint64_t have = free_bytes(r->output_dir);
    if (have >= need) return WEFT_OK;
    return weft_fail_rule(err, WEFT_ESYSTEM, "E5",
                          "%s has %llu MiB free; two checkpoints of this run need %llu MiB. Free some "
                          "space or choose another output_dir",
                          r->output_dir, (unsigned long long)(have >> 20),
                          (unsigned long long)(need >> 20) + 1);
}

static uint64_t every(int strategy, int64_t steps, uint64_t updates_per_epoch, uint64_t otherwise)
{
    if (strategy == WEFT_STRATEGY_NO) return 0;
    if (strategy == WEFT_STRATEGY_EPOCH) return updates_per_epoch;
    return steps > 0 ? (uint64_t)steps : otherwise;
}

static enum weft_status set_deadline(struct weft_run *r, struct weft_err *err)
{
    time_t now = time(NULL), at;
    if (!r->recipe->until) return WEFT_OK;
    enum weft_status st = weft_deadline_parse(r->recipe->until, now, &at, err);
    if (st) return st;
    r->deadline = (struct weft_deadline){
        .at = weft_run_clock() + difftime(at, now),
        .most = weft_steps_of(r->recipe, r->job->train->n).total,
        .first_step = r->state.step,
        .begun = weft_run_clock(),
    };
    return WEFT_OK;
}

/* ---- ranks ---- */

/* Every rank must have what rank 0 has. */
static enum weft_status compare_inputs(struct weft_run *r, struct weft_err *err)
{
    const struct weft_checkpoint_identity *id = &r->identity;
    const struct {
        const char *what, *text;
    } parts[] = {
        { "the rows", id->hashes.data }, { "the validation rows", id->hashes.valid },
        { "the tokenizer", id->hashes.tokenizer }, { "the chat template", id->hashes.chat_template },
        { "the model", id->hashes.base }, { "the settings", id->settings.s },
        { "the version of weft", id->program }, { "the instruction level (--isa)", id->isa },
    };
    enum { PARTS = WEFT_COUNT(parts) };
    struct weft_cluster *c = r->cluster;
    char (*all)[PARTS][WEFT_SHA256_HEX] = weft_arena_calloc(&r->arena, (size_t)c->size, sizeof *all);
    char mine[PARTS][WEFT_SHA256_HEX] = { 0 };
    enum weft_status st = all ? WEFT_OK : weft_fail_nomem(err, (size_t)c->size * sizeof *all, "an identity");
    for (size_t i = 0; !st && i < PARTS; i++)
        if (parts[i].text) st = weft_sha256_of(weft_str_c(parts[i].text), mine[i], err);
    st = weft_cluster_agree(c, st, err);
    if (!st) st = weft_cluster_gather(c, mine, all, sizeof mine, err);
    for (int k = 1; !st && k < c->size; k++)
        for (size_t i = 0; !st && i < PARTS; i++)
            if (memcmp(all[k][i], all[0][i], WEFT_SHA256_HEX) != 0)
                st = weft_fail(err, WEFT_EINPUT,
                               "rank %d differs from rank 0: %s. All ranks need the same files and the same command", k,
                               weft_tr(r->lang, parts[i].what));
    return st;
}

/* Where rank 0 stands: at the beginning, or where its checkpoint has left off. */
static enum weft_status spread_state(struct weft_run *r, struct weft_err *err)
{
    struct weft_cluster *c = r->cluster;
    struct weft_optimizer_state *opt = &r->opt;
    enum weft_status st = weft_cluster_spread(c, 0, &r->state, sizeof r->state, err);
    if (!st) st = weft_cluster_spread(c, 0, &r->saved_step, sizeof r->saved_step, err);
    if (!st) st = weft_cluster_spread(c, 0, &r->resumed_from, sizeof r->resumed_from, err);
    if (!st && !is_first(r)) {
        opt->step = r->state.optimizer_step;
        if (opt->kind->place) opt->kind->place(opt);
    }
    for (size_t i = 0; !st && i < r->job->params->n; i++) {
        const struct weft_param *p = &r->job->params->items[i];
        size_t n = p->rows * p->cols;
        if (p->w) st = weft_cluster_spread(c, 0, p->w, n * sizeof *p->w, err);
        else st = weft_cluster_spread(c, 0, p->w16, n * sizeof *p->w16, err);
    }
    for (int k = 0; k < opt->n_slots; k++)
        for (size_t i = 0; !st && i < r->job->params->n; i++)
            st = weft_cluster_spread(c, 0, opt->slot[k][i],
                                     opt->slot_len[k][i] * weft_optimizer_slot_item(opt->kind, k), err);
    return st;
}

enum weft_status weft_run_pass(const struct weft_train_job *job, const struct weft_recipe *r,
                               const struct weft_optimizer *kind, struct weft_pass_settings *out, struct weft_err *err)
{
    struct weft_longest longest = { 0 };
    enum weft_status st = weft_longest_batch(r, job->train, job->valid, &longest, err);
    *out = (struct weft_pass_settings){
        .max_tokens = weft_max_size(longest.train, 1), .backward = true, .in_turns = kind->place != NULL,
        /* a reference measures the batches of training, too */
        .loss_tokens = weft_recipe_needs_reference(r) ? weft_max_size(longest.train, longest.valid) : longest.valid,
        .checkpointing = r->gradient_checkpointing, .neftune_noise_alpha = (float)r->neftune_noise_alpha,
    };
    return st;
}

static enum weft_status open_alone(struct weft_run *r, const struct weft_train_job *job, struct weft_err *err)
{
    const char *const *names;
    size_t n_names;
    struct weft_pass_settings pass;
    const struct weft_optimizer *kind = weft_optimizer_find(r->recipe->optim, &names, &n_names);
    if (!kind) {
        const char *near = weft_nearest(r->recipe->optim, names, n_names);
        return weft_fail(err, WEFT_EARG, "optim: %s is unknown; did you mean %s? (adamw, adamw_8bit, muon)", r->recipe->optim,
                         near ? near : "adamw");
    }
    if (!job->train->n) return weft_fail(err, WEFT_EARG, "there is no row to train on");
    if (!job->params->n) return weft_fail(err, WEFT_EARG, "there is no parameter to train");
    if (weft_recipe_needs_reference(r->recipe) && !job->reference && !job->as_reference)
        return weft_fail(err, WEFT_EARG, "this stage compares with a reference model, and there is none");
    r->steps = weft_steps_of(r->recipe, job->train->n);
    if (!r->steps.total) return weft_fail(err, WEFT_EARG, "num_train_epochs and max_steps leave no update to do");
    if (snprintf(r->output_dir, sizeof r->output_dir, "%s", r->recipe->output_dir) >= (int)sizeof r->output_dir)
        return weft_fail(err, WEFT_EARG, "output_dir is longer than %zu bytes", sizeof r->output_dir - 1);

    r->save_every = every(r->recipe->save_strategy, r->recipe->save_steps, r->steps.updates_per_epoch, 0);
    r->eval_every = every(r->recipe->eval_strategy, r->recipe->eval_steps, r->steps.updates_per_epoch,
                          r->steps.total / 10 + (r->steps.total % 10 != 0));
    if (!job->valid || !job->valid->n) r->eval_every = 0;

    enum weft_status st = is_first(r) ? weft_dir_make(r->output_dir, err) : WEFT_OK;
    if (!st && is_first(r)) st = take_lock(r, err);
    if (!st) st = make_identity(r, err);
    if (!st) st = refuse_nonfinite_weights(r, err);
    if (!st) st = check_memory(r, err);
    if (!st) st = weft_optimizer_init(&r->opt, kind, r->recipe, job->params, &r->arena, err);
    if (!st)
        st = weft_row_loss_init(&r->row_loss, &r->arena, job->train->n,
                                weft_recipe_update_rows(r->recipe, job->train->n), err);
    if (!st)
        st = weft_sums_init(&r->sums, r->recipe, job->params, job->model->config.n_layers, job->compute, r->cluster,
                            &r->arena, err);
    if (!st) st = open_state(r, err);
    if (!st && is_first(r) && r->state.step < r->steps.total) st = check_room(r, err);
    if (!st) st = weft_run_pass(job, r->recipe, r->opt.kind, &pass, err);
    if (!st) {
        st = weft_pass_new(&r->pass, job->compute, job->model, &pass, err);
        r->piece_room = weft_piece_room(pass.max_tokens);
        r->layerwise.on = r->opt.kind->step_param && weft_recipe_layerwise(r->recipe);
        /* what has begun to be exchanged layer by layer is ended */
        r->interruptible = r->layerwise.on || (r->cluster && r->sums.by_layer) ? NULL : job->progress;
    }
    if (!st) st = weft_round_init(r, err);
    if (!st) st = weft_order_init(&r->order, r->recipe, job->train->n, &r->arena, err);
    return st;
}

enum weft_status weft_run_open(struct weft_run *r, const struct weft_train_job *job, struct weft_err *err)
{
    *r = (struct weft_run){
        .job = job,
        .recipe = job->recipe,
        .cluster = weft_cluster_size(job->cluster) > 1 ? job->cluster : NULL,
        .lang = err ? err->lang : WEFT_LANG_EN,
        .saved_step = UINT64_MAX,
        .lock_fd = -1,
        .started_at = weft_run_clock(),
    };
    enum weft_status st = weft_cluster_agree(r->cluster, open_alone(r, job, err), err);
    if (!st && r->cluster) st = compare_inputs(r, err);
    if (!st && r->cluster) st = spread_state(r, err);
    if (!st && r->state.fitted_total) r->steps.total = r->state.fitted_total;
    if (!st) st = set_deadline(r, err);
    r->reported_at = weft_run_clock();
    return st;
}

void weft_run_close(struct weft_run *r)
{
    weft_pass_free(r->pass);
    weft_log_close(&r->log);
    weft_tensorboard_close(&r->board);
    weft_buf_clear(&r->settings);
    weft_arena_clear(&r->step_arena);
    weft_arena_clear(&r->arena);
    if (r->lock_fd >= 0 && close(r->lock_fd)) { /* nothing was written to it */ }
}

/* ---- saving ---- */

enum weft_status weft_run_write_rows(struct weft_run *r, struct weft_err *err)
{
    if (!is_first(r)) return WEFT_OK;
    const char *path = weft_path_join(&r->arena, r->output_dir, "row_loss.jsonl");
    if (!path) return weft_fail_nomem(err, sizeof r->output_dir, "a path");
    return weft_row_loss_write(&r->row_loss, path, r->job->train, r->job->row_name, r->job->row_ctx, err);
}

bool weft_run_keeps_best(const struct weft_run *r)
{
    return r->recipe->load_best_model_at_end || r->recipe->early_stopping_steps > 0;
}

enum weft_status weft_run_load_best(struct weft_run *r, struct weft_err *err)
{
    struct weft_run_state *s = &r->state;
    if (!is_first(r)) return WEFT_OK;           /* which writes the result */
    if (!r->recipe->load_best_model_at_end || isnan(s->best_valid) || s->best_step == s->step) return WEFT_OK;
    const char *path = weft_str_printf(&r->arena, "%s/checkpoint-%llu", r->output_dir,
                                       (unsigned long long)s->best_step).s;
    if (!path) return weft_fail_nomem(err, sizeof r->output_dir, "a path");
    enum weft_status st = weft_checkpoint_load_params(path, r->job->params, err);
    if (!st)
        weft_run_say(r, "the result is that of update %llu, whose validation loss %.4f is the lowest",
                     (unsigned long long)s->best_step, s->best_valid);
    return st;
}

enum weft_status weft_run_patient(struct weft_run *r, uint64_t need_bytes,
                                  enum weft_status (*write)(void *ctx, struct weft_err *err), void *ctx,
                                  struct weft_err *err)
{
    int pause = r->job->disk_retry_s ? r->job->disk_retry_s : DISK_RETRY_S;
    for (int tries = 0;; tries++) {
        struct weft_err why = { .lang = r->lang };
        enum weft_status st = write(ctx, &why);
        if (!st) return WEFT_OK;
        bool full = st == WEFT_ESYSTEM && free_bytes(r->output_dir) < need_bytes;
        if (!full || tries == DISK_RETRIES || weft_progress_cancelled(r->job->progress)) {
            if (err && !err->msg[0]) *err = why;
            return st;
        }
        weft_run_say(r, "the disk of %s is full; next try in %d s (%d of %d)", r->output_dir, pause,
                     tries + 1, DISK_RETRIES);
        for (int s = 0; s < pause && !weft_progress_cancelled(r->job->progress); s++) sleep(1);
    }
}

/* The caller's files, and the rows' losses. */
static enum weft_status save_files(void *ctx, const char *dir, struct weft_err *err)
{
    const struct weft_run *r = ctx;
    enum weft_status st = weft_row_loss_save(&r->row_loss, dir, err);
    return st || !r->job->save ? st : r->job->save(r->job->save_ctx, dir, err);
}

static enum weft_status write_checkpoint(void *ctx, struct weft_err *err)
{
    struct weft_run *r = ctx;
    struct weft_train_job job = *r->job;
    job.save = save_files;
    job.save_ctx = r;
    return weft_checkpoint_save(&job, r->output_dir, &r->state, &r->opt, &r->identity, err);
}

enum weft_status weft_run_save(struct weft_run *r, struct weft_err *err)
{
    if (r->saved_step == r->state.step) return WEFT_OK;
    if (!is_first(r)) {
        r->saved_step = r->state.step;
        return WEFT_OK;
    }
    WEFT_SPAN(span) = weft_span(r->job->compute, WEFT_OP_SAVE, 0);
    double begun = weft_run_clock();
    r->state.elapsed_s = weft_run_elapsed(r);
    r->state.optimizer_step = r->opt.step;
    r->state.log_bytes = r->log.bytes;
    enum weft_status st = weft_log_sync(&r->log, err);
    if (!st) st = weft_run_patient(r, 2 * weft_checkpoint_bytes(&r->opt), write_checkpoint, r, err);
    if (st) return st;
    r->saved_step = r->state.step;
    r->deadline.closing_s = fmax(r->deadline.closing_s, weft_run_clock() - begun);
    st = weft_log_history(&r->log, "saved", r->state.step, NULL, NULL, err);
    if (!st)
        st = weft_checkpoint_prune(r->output_dir, (uint64_t)r->recipe->save_total_limit,
                                   weft_run_keeps_best(r) ? r->state.best_step : UINT64_MAX, err);
    return st;
}
