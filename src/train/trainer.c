/* The loop.  Weights change in one place, at the end of an update, so that a run can be left between any two micro-
 * batches and go on from the last whole update.  What a micro-batch is trained for is the objective's. */
#include "train/round.h"

#include "kernels/quant.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { BAD_IN_A_ROW = 3 };

/* Of an update of one micro-batch; those of several are zeroed as they are added up (train/sums.h). */
static void clear_gradients(struct weft_run *r)
{
    const struct weft_params *p = r->job->params;
    WEFT_SPAN(span) = weft_span(r->job->compute, WEFT_OP_GRADIENTS, (double)p->grad_bytes);
    for (size_t i = 0; i < p->n; i++)
        if (p->items[i].grad) memset(p->items[i].grad, 0, p->items[i].rows * p->items[i].cols * sizeof(float));
}

/* ---- one update ---- */

/* The caller's name of a row, or its number. */
static const char *row_label(const struct weft_run *r, uint32_t row_idx, char number[24])
{
    const char *name = r->job->row_name ? r->job->row_name(r->job->row_ctx, row_idx) : NULL;
    if (name) return name;
    snprintf(number, 24, "%llu", (unsigned long long)row_idx + 1);
    return number;
}

static void add_row(const struct weft_run *r, struct weft_json_out *j, uint32_t row_idx)
{
    char number[24];
    const char *name = row_label(r, row_idx, number);
    if (name == number) weft_json_out_uint(j, (uint64_t)row_idx + 1);
    else weft_json_out_cstr(j, name);
}

static double percentage(const struct weft_run *r)
{
    return round(1e4 * (double)r->state.step / (double)r->steps.total) / 100;
}

static double seconds_left(const struct weft_run *r)
{
    uint64_t here = r->state.step - r->resumed_from;
    if (!here) return 0;
    return (weft_run_clock() - r->started_at) / (double)here * (double)(r->steps.total - r->state.step);
}

/* Tokens per second since the last line. */
static double tokens_per_s(struct weft_run *r)
{
    double now = weft_run_clock(), rate = 0;
    if (now > r->reported_at) rate = (double)(r->state.tokens - r->reported_tokens) / (now - r->reported_at);
    r->reported_at = now;
    r->reported_tokens = r->state.tokens;
    return rate;
}

static enum weft_status append_line(void *ctx, struct weft_err *err) { return weft_log_append(ctx, err); }

static enum weft_status end_line(struct weft_run *r, struct weft_json_out *j, double rate, struct weft_err *err)
{
    struct weft_err why = { .lang = r->lang };
    if (weft_cluster_rank(r->cluster) != 0) return WEFT_OK;
    weft_log_finish(&r->log, j, weft_run_elapsed(r), seconds_left(r), rate);
    enum weft_status st = weft_run_patient(r, r->log.buf.len + 4096, append_line, &r->log, err);
    /* The events follow from the log and are written anew when the run goes on: no reason to stop it. */
    if (!st && weft_tensorboard_append(&r->board, weft_buf_view(&r->log.buf), &why)) {
        weft_run_say(r, "no more TensorBoard events are written: %s", why.msg);
        r->board.path = NULL;
    }
    return st;
}

static void report(struct weft_run *r, double epoch, double loss, double valid, double rate)
{
    if (!r->job->report) return;
    struct weft_train_report out = {
        .step = r->state.step,
        .total_steps = r->steps.total,
        .epoch = epoch,
        .loss = loss,
        .grad_norm = r->state.grad_norm,
        .lr = r->state.lr,
        .valid_loss = valid,
        .tokens_per_s = rate,
        .tokens = r->state.tokens,
        .elapsed_s = weft_run_elapsed(r),
        .left_s = seconds_left(r),
    };
    r->job->report(r->job->report_ctx, &out);
}

/* ---- updates without effect ---- */

/* E7: the weights stay as they are; the rows are named. */
static enum weft_status skip_nonfinite(struct weft_run *r, double loss, const struct weft_bad_rows *bad,
                                       struct weft_err *err)
{
    struct weft_json_out j;
    struct weft_buf rows = { 0 };
    const char *tensor = NULL;
    for (size_t i = 0; !tensor && i < r->job->params->n; i++) {
        const struct weft_param *p = &r->job->params->items[i];
        if (p->grad && !weft_all_finite(r->job->compute, p->grad, p->rows * p->cols)) tensor = p->name;
    }
    weft_log_begin(&r->log, &j, r->state.step, r->steps.total);
    weft_json_out_key(&j, "event");
    weft_json_out_cstr(&j, "not_finite");
    weft_json_out_key(&j, "what");
    weft_json_out_cstr(&j, isfinite(loss) ? "gradient" : "loss");
    if (tensor) {
        weft_json_out_key(&j, "tensor");
        weft_json_out_cstr(&j, tensor);
    }
    weft_json_out_key(&j, "rows");
    weft_json_out_array(&j);
    for (size_t i = 0; i < bad->n; i++) {
        char number[24];
        add_row(r, &j, bad->idx[i]);
        weft_buf_printf(&rows, "%s%s", i ? ", " : "", row_label(r, bad->idx[i], number));
    }
    weft_json_out_array_end(&j);
    enum weft_status st = end_line(r, &j, 0, err);
    r->state.bad_in_a_row++;
    r->state.skipped++;
    if (!st)
        weft_run_say(
            r,
            "update %llu skipped: the loss or a gradient is NaN or infinite (first bad tensor: %s; rows: %s)",
            (unsigned long long)r->state.step, tensor ? tensor : "-", rows.len ? rows.s : "-");
    if (!st && r->state.bad_in_a_row >= BAD_IN_A_ROW) {
        char at[64] = "-";
        if (r->saved_step != UINT64_MAX) snprintf(at, sizeof at, "checkpoint-%llu", (unsigned long long)r->saved_step);
        st = weft_fail_rule(
            err, WEFT_EINPUT, "E7",
            "%d updates in a row were NaN or infinite (last: update %llu, first bad tensor: %s, rows: %s); "
            "stopped, last good checkpoint: %s. Lower learning_rate, or look at these rows",
            BAD_IN_A_ROW, (unsigned long long)r->state.step, tensor ? tensor : "-", rows.len ? rows.s : "-",
            at);
    }
    weft_buf_clear(&rows);
    return st;
}

/* E8: nothing in the rows of this update carries loss. */
static enum weft_status skip_empty(struct weft_run *r, struct weft_err *err)
{
    struct weft_json_out j;
    weft_log_begin(&r->log, &j, r->state.step, r->steps.total);
    weft_json_out_key(&j, "event");
    weft_json_out_cstr(&j, "no_trained_token");
    r->state.skipped++;
    weft_run_say(r, "update %llu skipped: none of its rows has a token with loss", (unsigned long long)r->state.step);
    return end_line(r, &j, 0, err);
}

/* ---- E9 ---- */

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y ? 1 : 0;
}

static enum weft_status watch(struct weft_run *r, double loss, struct weft_err *err)
{
    struct weft_run_state *s = &r->state;
    double sorted[WEFT_WATCHDOG_WINDOW];
    if (r->recipe->watchdog_ratio <= 0) return WEFT_OK;
    bool full = s->n_recent >= WEFT_WATCHDOG_WINDOW;
    memcpy(sorted, s->recent, sizeof sorted);
    qsort(sorted, WEFT_WATCHDOG_WINDOW, sizeof *sorted, ascending);
    double median = 0.5 * (sorted[WEFT_WATCHDOG_WINDOW / 2 - 1] + sorted[WEFT_WATCHDOG_WINDOW / 2]);
    s->recent[s->n_recent++ % WEFT_WATCHDOG_WINDOW] = loss;
    if (!full || !(loss > r->recipe->watchdog_ratio * median)) return WEFT_OK;

    struct weft_json_out j;
    weft_log_begin(&r->log, &j, s->step, r->steps.total);
    weft_json_out_key(&j, "event");
    weft_json_out_cstr(&j, "loss_jump");
    weft_json_out_key(&j, "loss");
    weft_json_out_double(&j, loss);
    weft_json_out_key(&j, "median");
    weft_json_out_double(&j, median);
    enum weft_status st = end_line(r, &j, 0, err);
    if (st) return st;
    weft_run_say(r, "update %llu: loss %.4g, %.1f times its recent median %.4g", (unsigned long long)s->step, loss,
                 loss / median, median);
    if (r->recipe->watchdog_action == WEFT_WATCHDOG_STOP)
        return weft_fail_rule(
            err, WEFT_EINPUT, "E9",
            "stopped by watchdog_ratio: the loss of update %llu is %.4g, its recent median %.4g. Lower "
            "learning_rate, or look at the rows of this update",
            (unsigned long long)s->step, loss, median);
    return WEFT_OK;
}

/* ---- the update ---- */

/* Ends an update whose layers have moved already. */
static enum weft_status finish_layerwise(struct weft_run *r, double loss, struct weft_err *err)
{
    struct weft_layerwise *l = &r->layerwise;
    if (l->bad || !isfinite(loss))
        return weft_fail_rule(err, WEFT_EINPUT, "E7",
                              "update %llu: the gradient of %s is NaN or infinite, and layer by layer (galore_layerwise, "
                              "apollo_layerwise) those above it have moved; stopped. The run resumes from its last checkpoint; lower learning_rate",
                              (unsigned long long)r->state.step, l->bad ? l->bad : "-");
    for (size_t i = 0; !l->stepped && i < r->job->params->n; i++)      /* the last micro-batch had no loss */
        r->opt.kind->step_param(&r->opt, r->job->compute, i, r->state.lr, 1);
    r->opt.step++;
    return WEFT_OK;
}

static void step(struct weft_run *r, double clip)
{
    WEFT_SPAN(span) = weft_span(r->job->compute, WEFT_OP_OPTIMIZER, 0);
    r->opt.kind->step(&r->opt, r->job->compute, r->state.lr, clip);
}

static void add_sums(struct weft_pref_sums *to, const struct weft_pref_sums *from)
{
    for (size_t i = 0; i < WEFT_N_PREF_METRICS; i++) {
        to->sum[i] += from->sum[i];
        to->n[i] += from->n[i];
    }
}

/* What a micro-batch gave becomes part of the update. */
static void take_result(struct weft_run *r, const struct weft_micro_result *m, const struct weft_row_note *notes,
                        double *loss, struct weft_bad_rows *bad)
{
    struct weft_run_state *s = &r->state;
    *loss += m->loss;
    s->tokens += m->tokens;
    if (!isnan(m->worst) && !(m->worst <= s->window_worst)) {
        s->window_worst = m->worst;
        s->window_worst_row = m->worst_row;
    }
    add_sums(&s->metrics, &m->metrics);
    for (size_t i = 0; i < m->bad.n; i++) weft_bad_rows_add(bad, m->bad.idx[i]);
    for (size_t i = 0; i < m->n_notes; i++) weft_row_loss_note(&r->row_loss, notes[i].example, notes[i].loss);
}

/* The gradients of an update, in the parameters' grad. */
static enum weft_status gather(struct weft_run *r, const struct weft_group *g, double share, double *loss,
                               struct weft_bad_rows *bad, struct weft_err *err)
{
    struct weft_micros micros = { .ex = r->job->train, .perm = r->order.perm, .first = g->first, .n = g->n_rows,
                                  .batch = (size_t)r->recipe->per_device_train_batch_size, .share = share,
                                  .micro_step = g->micro_step, .train = true };
    size_t ranks = (size_t)weft_cluster_size(r->cluster), n = weft_ceil_div(g->n_rows, micros.batch);
    enum weft_status st = WEFT_OK;
    if (r->sums.on) weft_sums_begin(&r->sums);
    else clear_gradients(r);
    r->layerwise.stepped = false;
    for (size_t i = 0; !st && i < n; i += ranks) {
        r->layerwise.last = i + ranks >= n;
        st = weft_round(r, &micros, i, err);
        for (size_t k = 0; !st && k < ranks; k++) {
            const struct weft_given *given = weft_round_given(r, (int)k);
            if (given->given) take_result(r, &given->result, given->notes, loss, bad);
        }
    }
    return st ? st : weft_sums_end(&r->sums, err);
}

static enum weft_status update_with(struct weft_run *r, struct weft_err *err)
{
    const struct weft_recipe *rec = r->recipe;
    struct weft_params *params = r->job->params;
    struct weft_run_state before = r->state;
    struct weft_group g = weft_group_of(rec, &r->steps, r->job->train->n, r->state.step);
    struct weft_bad_rows bad = { 0 };
    double loss = 0;

    weft_order_epoch(&r->order, g.epoch);
    double share = weft_objective_of(rec)->share(r, &g);
    if (!(share > 0)) {
        r->state.step++;
        return skip_empty(r, err);
    }
    r->state.lr = rec->learning_rate * weft_schedule(rec, r->state.step, r->steps.total);
    enum weft_status st = gather(r, &g, share, &loss, &bad, err);
    if (st) {
        weft_row_loss_commit(&r->row_loss, false);
        r->state = before;          /* the update is dropped; no weight has moved */
        return st;
    }

    double norm = r->layerwise.on ? 0
                  : r->opt.kind->norm ? r->opt.kind->norm(&r->opt, r->job->compute)
                                      : weft_grad_norm(r->job->compute, params);
    r->state.step++;
    if (r->layerwise.on) {
        st = finish_layerwise(r, loss, err);
        if (st) return st;
    }
    if (!isfinite(loss) || !isfinite(norm)) {
        weft_row_loss_commit(&r->row_loss, false);
        r->state.metrics = before.metrics;
        return skip_nonfinite(r, loss, &bad, err);
    }

    if (!r->layerwise.on) step(r, weft_clip_factor(norm, rec->max_grad_norm));
    weft_row_loss_commit(&r->row_loss, true);
    r->state.grad_norm = norm;
    r->state.last_loss = loss;
    r->state.loss_sum += loss;
    r->state.loss_n++;
    r->state.window_sum += loss;
    r->state.window_n++;
    r->state.bad_in_a_row = 0;
    return watch(r, loss, err);
}

static enum weft_status update(struct weft_run *r, struct weft_err *err)
{
    enum weft_status st = update_with(r, err);
    weft_sums_back(&r->sums);
    return st;
}

static double epochs_passed(const struct weft_run *r)
{
    if (!r->state.step) return 0;
    return weft_group_of(r->recipe, &r->steps, r->job->train->n, r->state.step - 1).epoch_after;
}

/* Means of what an objective measures beside its loss. */
static void add_metrics(struct weft_json_out *j, const struct weft_pref_sums *m, const char *prefix)
{
    char key[64];
    for (size_t i = 0; i < WEFT_N_PREF_METRICS; i++) {
        if (!m->n[i]) continue;
        snprintf(key, sizeof key, "%s%s", prefix, weft_pref_metric_names[i]);
        weft_json_out_key(j, key);
        weft_json_out_double(j, m->sum[i] / (double)m->n[i]);
    }
}

static enum weft_status log_update(struct weft_run *r, struct weft_err *err)
{
    struct weft_run_state *s = &r->state;
    struct weft_json_out j;
    if (!s->window_n) return WEFT_OK;       /* all skipped: each has a line of its own */
    double loss = s->window_sum / (double)s->window_n, epoch = epochs_passed(r), rate = tokens_per_s(r);
    weft_log_begin(&r->log, &j, s->step, r->steps.total);
    weft_json_out_key(&j, "loss");
    weft_json_out_double(&j, loss);
    weft_json_out_key(&j, "lr");
    weft_json_out_double(&j, s->lr);
    weft_json_out_key(&j, "epoch");
    weft_json_out_double(&j, epoch);
    weft_json_out_key(&j, "percentage");
    weft_json_out_double(&j, percentage(r));
    weft_json_out_key(&j, "grad_norm");
    weft_json_out_double(&j, s->grad_norm);
    weft_json_out_key(&j, "tokens");
    weft_json_out_uint(&j, s->tokens);
    if (!isnan(s->window_worst)) {
        weft_json_out_key(&j, "worst_row");
        add_row(r, &j, (uint32_t)s->window_worst_row);
        weft_json_out_key(&j, "worst_row_loss");
        weft_json_out_double(&j, s->window_worst);
    }
    add_metrics(&j, &s->metrics, "");
    s->metrics = (struct weft_pref_sums){ 0 };
    s->window_sum = 0;
    s->window_n = 0;
    s->window_worst = NAN;
    s->window_worst_row = 0;
    enum weft_status st = end_line(r, &j, rate, err);
    if (!st) report(r, epoch, loss, NAN, rate);
    return st;
}

/* ---- validation ---- */

static enum weft_status validate(struct weft_run *r, struct weft_err *err)
{
    WEFT_SPAN(span) = weft_span(r->job->compute, WEFT_OP_VALIDATION, 0);
    const struct weft_examples *v = r->job->valid;
    struct weft_json_out j;
    struct weft_arena_mark mark = weft_arena_mark(&r->step_arena);
    struct weft_micros micros = { .ex = v, .n = v->n, .batch = (size_t)r->recipe->per_device_eval_batch_size };
    size_t ranks = (size_t)weft_cluster_size(r->cluster), n = weft_ceil_div(v->n, micros.batch);
    double sum = 0, weight = 0;
    struct weft_pref_sums metrics = { 0 };
    enum weft_status st = WEFT_OK;
    uint32_t *all = weft_arena_calloc(&r->step_arena, v->n, sizeof *all);
    if (!all) return weft_fail_nomem(err, v->n * sizeof *all, "the order of the rows");
    for (size_t i = 0; i < v->n; i++) all[i] = (uint32_t)i;
    micros.perm = all;
    for (size_t i = 0; !st && i < n; i += ranks) {
        st = weft_round(r, &micros, i, err);
        for (size_t k = 0; !st && k < ranks; k++) {
            const struct weft_given *given = weft_round_given(r, (int)k);
            if (!given->given) continue;
            sum += given->result.loss;
            weight += given->result.weight;
            add_sums(&metrics, &given->result.metrics);
        }
        if (!st)
            weft_progress_update(r->job->progress, "validation", weft_min_size((i + ranks) * micros.batch, v->n), v->n,
                                 "rows", NULL);
    }
    weft_arena_release(&r->step_arena, mark);
    if (st) return st;

    double loss = weight > 0 ? sum / weight : NAN, epoch = epochs_passed(r);
    r->state.last_valid = loss;
    r->state.evals_since_best++;
    if (loss < r->state.best_valid || (isnan(r->state.best_valid) && !isnan(loss))) {
        r->state.best_valid = loss;
        r->state.best_step = r->state.step;
        r->state.evals_since_best = 0;
    }
    r->state.eval_due = false;
    weft_log_begin(&r->log, &j, r->state.step, r->steps.total);
    weft_json_out_key(&j, "eval_loss");
    weft_json_out_double(&j, loss);
    if (r->recipe->stage == WEFT_RECIPE_PT) {
        weft_json_out_key(&j, "perplexity");
        weft_json_out_double(&j, exp(loss));
    }
    add_metrics(&j, &metrics, "eval_");
    weft_json_out_key(&j, "epoch");
    weft_json_out_double(&j, epoch);
    weft_json_out_key(&j, "percentage");
    weft_json_out_double(&j, percentage(r));
    st = end_line(r, &j, 0, err);
    if (!st) report(r, epoch, r->state.last_loss, loss, 0);
    /* The time spent here is not the training's. */
    r->reported_at = weft_run_clock();
    return st;
}

/* ---- the run ---- */

static bool due(uint64_t every, uint64_t step, uint64_t total) { return step == total || (every && step % every == 0); }

/* A validation and what hangs on it: the best checkpoint, the end of a run that gets no better. */
static enum weft_status validate_and_judge(struct weft_run *r, struct weft_err *err)
{
    struct weft_run_state *s = &r->state;
    uint64_t patience = (uint64_t)r->recipe->early_stopping_steps;
    struct weft_json_out j;
    double begun = weft_run_clock();
    enum weft_status st = validate(r, err);
    r->deadline.closing_s = fmax(r->deadline.closing_s, weft_run_clock() - begun);
    if (st || !weft_run_keeps_best(r)) return st;
    if (patience && s->evals_since_best >= patience && s->step < r->steps.total) {
        s->stopped_early = true;
        weft_log_begin(&r->log, &j, s->step, r->steps.total);
        weft_json_out_key(&j, "event");
        weft_json_out_cstr(&j, "early_stopping");
        weft_json_out_key(&j, "best_step");
        weft_json_out_uint(&j, s->best_step);
        st = end_line(r, &j, 0, err);
        weft_run_say(r, "stopped early at update %llu: %llu validations in a row did no better than %.4f at update %llu",
                     (unsigned long long)s->step, (unsigned long long)s->evals_since_best, s->best_valid,
                     (unsigned long long)s->best_step);
    }
    if (!st && (s->stopped_early || s->best_step == s->step)) st = weft_run_save(r, err);
    return st;
}

/* What follows an update: a line, a validation, a checkpoint. */
static enum weft_status after_update(struct weft_run *r, struct weft_err *err)
{
    uint64_t step = r->state.step, total = r->steps.total;
    bool last = step == total, valid = r->job->valid && r->job->valid->n;
    enum weft_status st = WEFT_OK;
    if (last || step % (uint64_t)r->recipe->logging_steps == 0) st = log_update(r, err);
    r->state.eval_due = valid && due(r->eval_every, step, total);
    if (!st && r->state.eval_due) st = validate_and_judge(r, err);
    if (!st && due(r->save_every, step, total)) st = weft_run_save(r, err);
    return st;
}

/* What a live line shows: the loss of this update, and the rate of the last few. */
static void show(struct weft_run *r, double seconds, uint64_t tokens)
{
    char note[96];
    double rate = seconds > 0 ? (double)tokens / seconds : 0;
    r->rate = r->rate > 0 ? 0.8 * r->rate + 0.2 * rate : rate;
    snprintf(note, sizeof note, "loss %.4f  %.0f tokens/s", r->state.last_loss, r->rate);
    weft_progress_update(r->job->progress, "training", r->state.step, r->steps.total, "steps", note);
}

/* A run that would end too late gets fewer updates, one that is faster than thought more again. */
static enum weft_status fit_to_deadline(struct weft_run *r, struct weft_err *err)
{
    struct weft_json_out j;
    uint64_t total = weft_deadline_fit(&r->deadline, r->state.step, r->steps.total, weft_run_clock());
    enum weft_status st = r->cluster ? weft_cluster_spread(r->cluster, 0, &total, sizeof total, err) : WEFT_OK;
    if (st) return st;
    if (total == r->steps.total) return WEFT_OK;
    weft_run_say(r, "%llu updates instead of %llu, to be done by %s", (unsigned long long)total,
                 (unsigned long long)r->steps.total, r->recipe->until);
    r->steps.total = r->state.fitted_total = total;
    weft_log_begin(&r->log, &j, r->state.step, total);
    weft_json_out_key(&j, "event");
    weft_json_out_cstr(&j, "fitted");
    return end_line(r, &j, 0, err);
}

static enum weft_status loop(struct weft_run *r, struct weft_err *err)
{
    enum weft_status st = r->state.eval_due ? validate_and_judge(r, err) : WEFT_OK;
    st = weft_cluster_agree(r->cluster, st, err);
    while (!st && r->state.step < r->steps.total && !r->state.stopped_early) {
        double start = weft_run_clock();
        uint64_t tokens = r->state.tokens;
        st = update(r, err);
        if (!st) show(r, weft_run_clock() - start, r->state.tokens - tokens);
        if (!st && r->deadline.at > 0) st = fit_to_deadline(r, err);
        if (!st) st = after_update(r, err);
        if (!st && r->state.step < r->steps.total && weft_progress_cancelled(r->job->progress)) st = WEFT_ECANCEL;
        st = weft_cluster_agree(r->cluster, st, err);
    }
    return st;
}

/* What was whole when the run was stopped, or lost a rank.  Weights that move layer by layer may have begun to. */
static enum weft_status keep_last_update(struct weft_run *r, enum weft_status st, struct weft_err *err)
{
    unsigned long long step = r->state.step, total = r->steps.total;
    bool lost = r->cluster && r->cluster->lost, first = weft_cluster_rank(r->cluster) == 0;
    struct weft_err why = { .lang = r->lang };
    if (!first) return st == WEFT_ECANCEL ? weft_fail(err, st, "stopped by the user") : st;
    if (lost && err) weft_err_clear(err);
    if (lost && r->layerwise.on)
        return weft_fail(err, WEFT_EREMOTE,
                         "a rank of this run is gone, or all were told to stop; started again, it goes on from its last "
                         "checkpoint, that of update %llu",
                         r->saved_step == UINT64_MAX ? 0 : (unsigned long long)r->saved_step);
    enum weft_status saved = weft_run_save(r, &why);
    if (!saved) saved = weft_log_history(&r->log, lost ? "lost a rank" : "stopped", r->state.step, NULL, NULL, &why);
    if (saved) {
        if (err) *err = why;
        return saved;
    }
    if (!lost) {
        weft_run_say(r, "stopped; update %llu of %llu is saved in %s", step, total, r->output_dir);
        return weft_fail(err, WEFT_ECANCEL, "stopped by the user");
    }
    return weft_fail(err, WEFT_EREMOTE,
                     "a rank of this run is gone, or all were told to stop; update %llu of %llu is saved in %s, and the same "
                     "command goes on from there, with any number of ranks that makes as many micro-batches an update",
                     step, total, r->output_dir);
}

/* The head stands for what is read once and again: it lies beyond the caches. */
static void start_profile(const struct weft_train_job *job)
{
    const struct weft_linear *head = &job->model->head;
    const struct weft_quant *q = head->w;
    bool quantised = head->type == WEFT_QUANT;
    weft_profile_start(job->profile, job->compute, job->model->exact, quantised ? q->data : head->w,
                       quantised ? q->rows * q->cols / q->format->block * q->format->block_bytes
                                 : head->n_out * head->n_in * weft_dtype_bytes(head->type));
}

enum weft_status weft_train(const struct weft_train_job *job, struct weft_train_result *out, struct weft_err *err)
{
    struct weft_run r;
    enum weft_status st = weft_run_open(&r, job, err);
    if (st) goto done;
    if (job->profile) start_profile(job);
    st = loop(&r, err);
    if (job->profile) {
        weft_profile_stop(job->profile, job->compute);
        weft_profile_name(job->profile, job->model);
    }
    if (st == WEFT_ECANCEL || (r.cluster && r.cluster->lost)) {
        st = keep_last_update(&r, st, err);
    } else if (!st && r.resumed_from < r.steps.total && weft_cluster_rank(r.cluster) == 0) {
        st = weft_log_history(&r.log, "finished", r.state.step, NULL, NULL, err);
    }
    if (!st || st == WEFT_ECANCEL) {
        enum weft_status written = weft_run_write_rows(&r, err);
        if (written) st = written;
    }
    if (!st) st = weft_run_load_best(&r, err);
    if (out) {
        *out = (struct weft_train_result){
            .steps = r.state.step,
            .total_steps = r.steps.total,
            .resumed_from = r.resumed_from,
            .tokens = r.state.tokens,
            .skipped = r.state.skipped,
            .train_loss = r.state.loss_n ? r.state.loss_sum / (double)r.state.loss_n : NAN,
            .last_loss = r.state.last_loss,
            .best_valid_loss = r.state.best_valid,
            .last_valid_loss = r.state.last_valid,
            .best_step = r.state.best_step,
            .stopped_early = r.state.stopped_early,
            .seconds = weft_run_elapsed(&r),
            .exact = r.state.exact,
            .profile = job->profile,
        };
        size_t dearest[WEFT_DEAREST_ROWS];
        out->n_dearest = weft_row_loss_dearest(&r.row_loss, dearest, WEFT_DEAREST_ROWS);
        for (size_t i = 0; i < out->n_dearest; i++) {
            out->dearest[i] = job->train->items[dearest[i]].row_idx;
            out->dearest_loss[i] = (double)r.row_loss.last[dearest[i]];
        }
    }
done:
    weft_run_close(&r);
    return st;
}
