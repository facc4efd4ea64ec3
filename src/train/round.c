/* Gradients meet in one of three ways: after the backward, all at once; or, where layers share the room for theirs, as
 * soon as a layer is complete: in the sum of the update (train/sums.h), or in the optimizer itself (GaLore's updates
 * layer by layer), which is handed the gradient of one micro-batch after the other.
 *
 * A rank without a micro-batch, or with one that carries no loss, meets the others all the same, in each of these. */
#include "train/round.h"

#include <math.h>
#include <string.h>

static size_t given_bytes(const struct weft_run *r)
{
    size_t rows = (size_t)r->recipe->per_device_train_batch_size;
    return weft_ceil_div(offsetof(struct weft_given, notes) + rows * sizeof(struct weft_row_note), 16) * 16;
}

enum weft_status weft_round_init(struct weft_run *r, struct weft_err *err)
{
    size_t ranks = (size_t)weft_cluster_size(r->cluster), bytes = given_bytes(r), largest = 0;
    r->given = weft_arena_calloc(&r->arena, 1, bytes);
    r->all_given = weft_arena_calloc(&r->arena, ranks, bytes);
    r->present = WEFT_NEWS(&r->arena, bool, ranks);
    if (!r->given || !r->all_given || !r->present) return weft_fail_nomem(err, (ranks + 1) * bytes, "the rows' losses");
    if (!r->layerwise.on || ranks == 1) return WEFT_OK;
    for (size_t i = 0; i < r->job->params->n; i++)
        largest = weft_max_size(largest, r->job->params->items[i].rows * r->job->params->items[i].cols);
    r->layerwise.guest = WEFT_NEWS(&r->arena, float, largest);
    return r->layerwise.guest ? WEFT_OK : weft_fail_nomem(err, largest * sizeof(float), "the exchange of gradients");
}

const struct weft_given *weft_round_given(const struct weft_run *r, int rank)
{
    return (const void *)((const char *)r->all_given + (size_t)rank * given_bytes(r));
}

void weft_micro_note(struct weft_run *r, uint32_t example, double loss)
{
    struct weft_given *g = r->given;
    g->notes[g->result.n_notes++] = (struct weft_row_note){ loss, example };
}

/* ---- layer by layer ---- */

static void hand_over(struct weft_run *r, size_t i)
{
    struct weft_layerwise *l = &r->layerwise;
    struct weft_param *p = &r->job->params->items[i];
    if (!l->bad && !weft_all_finite(r->job->compute, p->grad, p->rows * p->cols)) l->bad = p->name;
    if (!l->bad && weft_recipe_layerwise_sums(r->recipe)) r->opt.kind->gather_param(&r->opt, r->job->compute, i);
}

/* The same with the gradients of all ranks, each a guest in turn. */
static enum weft_status hand_over_all(struct weft_run *r, size_t i, struct weft_err *err)
{
    struct weft_param *p = &r->job->params->items[i];
    float *own = p->grad, *guest = r->layerwise.guest;
    size_t bytes = p->rows * p->cols * sizeof(float);
    enum weft_status st = WEFT_OK;
    for (int k = 0; !st && k < r->cluster->size; k++) {
        if (!r->present[k]) continue;
        if (k == r->cluster->rank) memcpy(guest, own, bytes);
        st = weft_cluster_spread(r->cluster, k, guest, bytes, err);
        p->grad = guest;
        if (!st) hand_over(r, i);
        p->grad = own;
    }
    return st;
}

/* What is complete moves at once, or is added to what the optimizer keeps of the update. */
static enum weft_status consume_layer(struct weft_run *r, size_t layer, struct weft_err *err)
{
    WEFT_SPAN(span) = weft_span(r->job->compute, WEFT_OP_OPTIMIZER, 0);
    struct weft_layerwise *l = &r->layerwise;
    const struct weft_params *params = r->job->params;
    bool any = false;
    for (int k = 0; k < weft_cluster_size(r->cluster); k++) any = any || r->present[k];
    for (size_t i = 0; any && i < params->n; i++) {
        struct weft_param *p = &params->items[i];
        if (p->layer != layer) continue;
        if (weft_cluster_size(r->cluster) == 1) hand_over(r, i);
        else {
            enum weft_status st = hand_over_all(r, i, err);
            if (st) return st;
        }
        if (l->bad) continue;
        if (l->last) r->opt.kind->step_param(&r->opt, r->job->compute, i, r->state.lr, 1);
        memset(p->grad, 0, p->rows * p->cols * sizeof(float));
    }
    if (any && !l->bad && l->last && layer == r->job->model->config.n_layers) l->stepped = true;
    return WEFT_OK;
}

/* Who has a gradient: asked once a round, at its first layer. */
static enum weft_status ask_present(struct weft_run *r, struct weft_err *err)
{
    if (r->asked) return WEFT_OK;
    r->asked = true;
    r->present[0] = r->trained;
    if (weft_cluster_size(r->cluster) == 1) return WEFT_OK;
    bool mine = r->trained;
    return weft_cluster_gather(r->cluster, &mine, r->present, sizeof mine, err);
}

static void meet_layer(struct weft_run *r, size_t layer)
{
    enum weft_status *st = &r->met;
    if (!*st) *st = ask_present(r, r->met_err);
    if (!*st && r->layerwise.on) *st = consume_layer(r, layer, r->met_err);
    else if (!*st) *st = weft_sums_add(&r->sums, layer, r->present, r->met_err);
}

/* The backward has completed a layer. */
static void on_layer(void *ctx, size_t layer)
{
    struct weft_run *r = ctx;
    r->trained = true;
    if (r->layerwise.on || r->sums.by_layer) meet_layer(r, layer);
}

/* ---- a round ---- */

static enum weft_status compute(struct weft_run *r, const struct weft_micros *ms, size_t i, struct weft_err *err)
{
    struct weft_arena_mark mark = weft_arena_mark(&r->step_arena);
    struct weft_given *g = r->given;
    size_t at = i * ms->batch;
    memset(g, 0, offsetof(struct weft_given, notes));
    g->result.worst = NAN;
    g->given = at < ms->n;
    if (!g->given) return WEFT_OK;
    struct weft_micro m = { .ex = ms->ex, .perm = ms->perm, .first = ms->first + at,
                            .n = weft_min_size(ms->batch, ms->n - at), .share = ms->share,
                            .micro_step = ms->micro_step + i };
    const struct weft_objective *o = weft_objective_of(r->recipe);
    enum weft_status st = WEFT_OK;
    if (weft_progress_cancelled(ms->train ? r->interruptible : r->job->progress)) st = WEFT_ECANCEL;
    else st = (ms->train ? o->micro : o->measure)(r, &m, &g->result, err);
    weft_arena_release(&r->step_arena, mark);
    return st;
}

/* All know what all have given, and whether one has failed. */
static enum weft_status tell(struct weft_run *r, enum weft_status st, struct weft_err *err)
{
    struct weft_cluster *c = r->cluster;
    size_t bytes = given_bytes(r);
    r->given->status = (int)st;
    r->given->trained = r->trained;
    if (weft_cluster_size(c) == 1) {
        memcpy(r->all_given, r->given, bytes);
        return st;
    }
    enum weft_status met = weft_cluster_gather(c, r->given, r->all_given, bytes, err);
    bool failed = false;
    for (int k = 0; k < c->size; k++) failed = failed || weft_round_given(r, k)->status;
    if (met) return st ? st : met;
    return failed ? weft_cluster_agree(c, st, err) : WEFT_OK;
}

enum weft_status weft_round(struct weft_run *r, const struct weft_micros *m, size_t i, struct weft_err *err)
{
    int ranks = weft_cluster_size(r->cluster);
    size_t n_layers = r->job->model->config.n_layers;
    bool by_layer = m->train && (r->layerwise.on || r->sums.by_layer);
    r->trained = r->asked = false;
    r->met = WEFT_OK;
    r->met_err = err;
    weft_pass_on_layer(r->pass, m->train ? on_layer : NULL, r);
    enum weft_status st = compute(r, m, i + (size_t)weft_cluster_rank(r->cluster), err);
    for (size_t layer = n_layers; by_layer && ranks > 1 && !r->trained && layer-- > 0;) meet_layer(r, layer);
    if (by_layer && ranks > 1 && !r->trained) meet_layer(r, n_layers);
    if (!st) st = r->met;
    st = tell(r, st, err);
    if (st || !m->train || by_layer) return st;
    for (int k = 0; k < ranks; k++) r->present[k] = weft_round_given(r, k)->trained;
    return r->present[0] || ranks > 1 ? weft_sums_add(&r->sums, SIZE_MAX, r->present, err) : WEFT_OK;
}
