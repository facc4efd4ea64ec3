/* Whole answers: compared pairs (stage dpo) and judged ones (stage kto), train/preference.h.
 *
 * The reference is the model before training: the same weights without their adapter, or a model of its own.  It is
 * asked first, so that the activations of the pass that follows are the trained model's. */
#include "train/objective.h"

#include <math.h>

/* Losses of the sequences of one batch, under both models. */
struct scored {
    struct weft_batch batch;
    double *loss, *ref;         /* [n_seqs] sums of -log p */
    size_t *n;                  /* [n_seqs] tokens */
    struct weft_answer *answers;        /* [n_seqs] */
    double *grad, *each;        /* [n_seqs], [rows] the rows' losses */
    float *coef;                /* [n_seqs] */
};

static struct weft_pref_settings settings_of(const struct weft_recipe *r)
{
    return (struct weft_pref_settings){
        .loss = (enum weft_pref_loss)r->pref_loss,
        .beta = r->pref_beta,
        .gamma = r->simpo_gamma,
        .smoothing = r->dpo_label_smoothing,
        .ftx = r->pref_ftx,
        .chosen_weight = r->kto_chosen_weight,
        .rejected_weight = r->kto_rejected_weight,
    };
}

/* items: `parts` of each row, the first parts of all rows before the second ones. */
static enum weft_status make(struct weft_run *r, const struct weft_micro *m, bool first, bool second,
                             struct scored *out, struct weft_err *err)
{
    struct weft_arena *a = &r->step_arena;
    size_t n = 0;
    uint32_t *order = WEFT_NEWS(a, uint32_t, 2 * m->n);
    if (!order) return weft_fail_nomem(err, 2 * m->n * sizeof *order, "the order of the rows");
    for (size_t i = 0; first && i < m->n; i++) order[n++] = m->perm[m->first + i];
    for (size_t i = 0; second && i < m->n; i++) order[n++] = (uint32_t)m->ex->n + m->perm[m->first + i];
    enum weft_status st = weft_objective_batch(r, m->ex, order, 0, n, &out->batch, err);
    if (st) return st;
    out->loss = WEFT_NEWS(a, double, n);
    out->ref = WEFT_NEWS(a, double, n);
    out->n = WEFT_NEWS(a, size_t, n);
    out->answers = WEFT_NEWS(a, struct weft_answer, n);
    out->grad = WEFT_NEWS(a, double, n);
    out->each = WEFT_NEWS(a, double, m->n);
    out->coef = WEFT_NEWS(a, float, n);
    if (!out->loss || !out->ref || !out->n || !out->answers || !out->grad || !out->each || !out->coef)
        return weft_fail_nomem(err, n * sizeof *out->answers, "answers");
    return WEFT_OK;
}

static enum weft_status ask_reference(struct weft_run *r, struct scored *s, struct weft_err *err)
{
    const struct weft_train_job *job = r->job;
    if (job->reference) return weft_model_seq_loss(job->reference, r->pass, &s->batch, s->ref, s->n, err);
    job->as_reference(job->reference_ctx, true);
    enum weft_status st = weft_model_seq_loss(job->model, r->pass, &s->batch, s->ref, s->n, err);
    job->as_reference(job->reference_ctx, false);
    return st;
}

static void fill_answers(struct scored *s, const double *loss, const size_t *n)
{
    for (size_t i = 0; i < s->batch.n_seqs; i++) {
        s->answers[i].lp = -loss[i];
        s->answers[i].ref = -s->ref[i];
        s->answers[i].n = n[i];
    }
}

/* What the weigher needs beside the sums. */
struct weighing {
    struct weft_run *run;
    const struct weft_micro *micro;
    struct scored *s;
    const struct scored *kl;    /* NULL: pairs */
    struct weft_pref_sums *metrics;
    double loss;
};

static void take_loss(struct weighing *w)
{
    struct weft_pref_settings how = settings_of(w->run->recipe);
    const struct weft_micro *m = w->micro;
    struct scored *s = w->s;
    if (!w->kl) {
        w->loss = weft_pref_pairs(&how, s->answers, m->n, s->grad, s->each, w->metrics);
        return;
    }
    for (size_t i = 0; i < m->n; i++) s->answers[i].desirable = m->ex->items[m->perm[m->first + i]].desirable;
    w->loss = weft_pref_kto(&how, s->answers, m->n, w->kl->answers, m->n, s->grad, s->each, w->metrics);
}

static void weigh(void *ctx, size_t n_seqs, const double *seq_loss, const size_t *seq_n, float *coef)
{
    struct weighing *w = ctx;
    fill_answers(w->s, seq_loss, seq_n);
    take_loss(w);
    /* by the sums of -log p, hence the sign */
    for (size_t i = 0; i < n_seqs; i++) coef[i] = (float)(-w->s->grad[i] * w->micro->share);
}

static bool has_reference(const struct weft_run *r)
{
    return r->recipe->stage == WEFT_RECIPE_KTO || weft_pref_needs_reference((enum weft_pref_loss)r->recipe->pref_loss);
}

/* Both models on the mismatched answers: no gradient. */
static enum weft_status score_kl(struct weft_run *r, const struct weft_micro *m, struct scored *kl,
                                 struct weft_err *err)
{
    enum weft_status st = make(r, m, false, true, kl, err);
    if (!st) st = ask_reference(r, kl, err);
    if (!st) st = weft_model_seq_loss(r->job->model, r->pass, &kl->batch, kl->loss, kl->n, err);
    if (!st) fill_answers(kl, kl->loss, kl->n);
    return st;
}

/* Loss of a batch, with gradients when `train`. */
static enum weft_status answers(struct weft_run *r, const struct weft_micro *m, bool train,
                                struct weft_pref_sums *metrics, struct scored *s, double *loss, struct weft_err *err)
{
    bool judged = r->recipe->stage == WEFT_RECIPE_KTO;
    struct scored kl = { 0 };
    struct weighing w = { .run = r, .micro = m, .s = s, .kl = judged ? &kl : NULL, .metrics = metrics };
    enum weft_status st = judged ? score_kl(r, m, &kl, err) : WEFT_OK;
    if (!st) st = make(r, m, true, !judged, s, err);
    if (!st && has_reference(r)) st = ask_reference(r, s, err);
    if (st) return st;
    if (train) {
        struct weft_seq_weights how = { weigh, &w, s->loss, s->n, s->coef };
        st = weft_model_seq_backward(r->job->model, r->pass, &s->batch, &how, r->interruptible, err);
    } else {
        st = weft_model_seq_loss(r->job->model, r->pass, &s->batch, s->loss, s->n, err);
        if (!st) fill_answers(s, s->loss, s->n);
        if (!st) take_loss(&w);
    }
    *loss = w.loss;
    return st;
}

static double share(const struct weft_run *r, const struct weft_group *g)
{
    return 1.0 / (double)weft_ceil_div(g->n_rows, (size_t)r->recipe->per_device_train_batch_size);
}

static enum weft_status micro(struct weft_run *r, const struct weft_micro *m, struct weft_micro_result *out,
                              struct weft_err *err)
{
    struct scored s = { 0 };
    double mean;
    enum weft_status st = answers(r, m, true, &out->metrics, &s, &mean, err);
    if (st) return st;
    out->loss = mean * m->share;
    out->tokens = s.batch.n_tokens;
    for (size_t i = 0; i < m->n; i++) {
        weft_micro_note(r, m->perm[m->first + i], s.each[i]);
        bool good = isfinite(s.loss[i]) && (s.batch.n_seqs == m->n || isfinite(s.loss[m->n + i]));
        if (!good) weft_bad_rows_add(&out->bad, m->ex->items[m->perm[m->first + i]].row_idx);
    }
    return WEFT_OK;
}

static enum weft_status measure(struct weft_run *r, const struct weft_micro *m, struct weft_micro_result *out,
                                struct weft_err *err)
{
    enum weft_stage stage = weft_recipe_collate_stage(r->recipe);
    enum weft_status st = WEFT_OK;
    for (size_t at = 0; !st && at < m->n;) {
        struct weft_micro piece = *m;
        struct scored s = { 0 };
        double mean;
        piece.first = m->first + at;
        piece.n = weft_piece_rows(m->ex, stage, m->perm, piece.first, m->n - at, r->piece_room);
        st = answers(r, &piece, false, &out->metrics, &s, &mean, err);
        if (st) break;
        out->loss += mean * (double)piece.n;
        at += piece.n;
    }
    if (!st) out->weight = (double)m->n;
    return st;
}

const struct weft_objective weft_objective_answers = { share, micro, measure };
