/* Loss of an update: the sum of all its token losses over N, the number of labels of all its micro-batches
 * (docs/training.md, loss).  The reference counts labels before the shift, label[0] included, which is never
 * predicted (Q2); compat: clean counts what is predicted. */
#include "train/objective.h"

#include <math.h>

const struct weft_objective *weft_objective_of(const struct weft_recipe *r)
{
    bool answers = r->stage == WEFT_RECIPE_DPO || r->stage == WEFT_RECIPE_KTO;
    return answers ? &weft_objective_answers : &weft_objective_tokens;
}

/* Sequences of an example: the rows of a bin of neat_packing, else one. */
static size_t sequences_of(const struct weft_example *e) { return e->part_lens && !e->joined ? e->n_parts : 1; }

/* Labels that are predicted: all but the first of each sequence. */
static size_t targets_of(const struct weft_example *e)
{
    size_t n = e->n_labels, at = 0;
    for (size_t s = 0; s < sequences_of(e); s++) {
        n -= at < e->n && e->labels[at] != WEFT_IGNORE;
        if (e->part_lens) at += e->part_lens[s];
    }
    return n;
}

static double share(const struct weft_run *r, const struct weft_group *g)
{
    uint64_t n = 0, targets = 0;
    for (size_t i = 0; i < g->n_rows; i++) {
        const struct weft_example *e = &r->job->train->items[r->order.perm[g->first + i]];
        targets += targets_of(e);
        n += e->n_labels;
    }
    if (!targets) return 0;
    return 1.0 / (double)(r->recipe->compat == WEFT_COMPAT_CLEAN ? targets : n);
}

static enum weft_status micro(struct weft_run *r, const struct weft_micro *m, struct weft_micro_result *out,
                              struct weft_err *err)
{
    struct weft_batch batch;
    struct weft_loss loss = { 0 };
    enum weft_status st = weft_objective_batch(r, m->ex, m->perm, m->first, m->n, &batch, err);
    double *seq_loss = st ? NULL : weft_arena_calloc(&r->step_arena, batch.n_seqs, sizeof *seq_loss);
    if (!st && !seq_loss) st = weft_fail_nomem(err, batch.n_seqs * sizeof *seq_loss, "row losses");
    if (!st)
        st = weft_model_loss_backward(r->job->model, r->pass, &batch, (float)m->share, (uint64_t)r->recipe->seed,
                                      m->micro_step, &loss, seq_loss, r->interruptible, err);
    if (st) return st;
    out->tokens = batch.n_tokens;
    out->loss = loss.sum * m->share;
    for (size_t i = 0, seq = 0; i < m->n; i++) {
        const struct weft_example *e = &m->ex->items[m->perm[m->first + i]];
        size_t targets = targets_of(e);
        double sum = 0;
        for (size_t k = sequences_of(e); k; k--) sum += seq_loss[seq++];
        if (targets) weft_micro_note(r, m->perm[m->first + i], sum / (double)targets);
        if (!isfinite(sum)) {
            weft_bad_rows_add(&out->bad, e->row_idx);
        } else if (targets && !(sum / (double)targets <= out->worst)) {
            out->worst = sum / (double)targets;
            out->worst_row = e->row_idx;
        }
    }
    return WEFT_OK;
}

/* The reference averages the batches' mean losses by rows, not by tokens (Q4); compat: clean by tokens. */
static enum weft_status measure(struct weft_run *r, const struct weft_micro *m, struct weft_micro_result *out,
                                struct weft_err *err)
{
    enum weft_stage stage = weft_recipe_collate_stage(r->recipe);
    double sum = 0;
    size_t n = 0;
    enum weft_status st = WEFT_OK;
    for (size_t at = 0, rows; !st && at < m->n; at += rows) {
        struct weft_batch batch;
        struct weft_loss loss = { 0 };
        rows = weft_piece_rows(m->ex, stage, m->perm, m->first + at, m->n - at, r->piece_room);
        st = weft_objective_batch(r, m->ex, m->perm, m->first + at, rows, &batch, err);
        if (!st) st = weft_model_loss(r->job->model, r->pass, &batch, &loss, err);
        sum += loss.sum;
        n += loss.n;
    }
    if (st || !n) return st;
    bool by_rows = r->recipe->compat == WEFT_COMPAT_HF;
    out->loss = by_rows ? (double)m->n * (sum / (double)n) : sum;
    out->weight = by_rows ? (double)m->n : (double)n;
    return WEFT_OK;
}

const struct weft_objective weft_objective_tokens = { share, micro, measure };
