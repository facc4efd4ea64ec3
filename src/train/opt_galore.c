/* GaLore (arXiv:2403.03507): Adam on gradients seen in a few directions, which are looked for anew every
 * galore_update_interval updates.  For a matrix G, projected R (train/projection.h), k updates before this one:
 *
 *     k mod interval = 0:  new directions, from this G
 *     m <- b1 m + (1-b1) R;  v <- b2 v + (1-b2) R^2;  N = m / (sqrt(v) + eps)
 *     p <- p - lr sqrt(1-b2^t)/(1-b1^t) galore_scale back(N);  p <- p (1 - lr wd)        t = k + 1
 *
 * All other tensors move so too, unprojected and without the scale.  As in the reference (Q5) eps stands outside the
 * bias correction, the decay follows the step, and the moments stay as they are when the directions change; and norms
 * decay (Q8).
 * compat: clean puts eps behind the correction and the decay before the step, and begins moments anew with new
 * directions: theirs are coordinates in directions that are gone.
 *
 * galore_adamw_8bit keeps the moments of R in codes (train/moments.h).
 *
 * Layer by layer (galore_layerwise) gradients are consumed as they appear: of matrices only their projection is kept
 * until the update, of which the directions come from its first micro-batch. */
#include "train/moments.h"
#include "train/optimizers.h"
#include "train/projection.h"

#include <math.h>

enum { RIGHT = WEFT_MOMENT_SLOTS, LEFT };

struct galore {
    struct weft_code_map maps[2];
    bool with_codes;
    struct weft_projection_shape *shapes;   /* [params->n] r 0: not projected */
    struct weft_svd svd;
    float *low;                             /* R, then N, of the largest */
    float *half;                            /* scratch of projections to both sides */
    float **sum;                            /* [params->n] layer by layer: gradients or projections of this update */
    size_t *gathered;                       /* [params->n] micro-batches in it */
};

static struct weft_projection_shape shape_of(const struct weft_recipe *r, const struct weft_param *p)
{
    if (!weft_projection_wanted(&r->galore_target, p))
        return (struct weft_projection_shape){ .m = p->rows, .n = p->cols };
    return weft_projection_shape((enum weft_proj_type)r->galore_proj_type, p->rows, p->cols, (size_t)r->galore_rank);
}

static struct weft_projection_room room_for(const struct weft_recipe *r, const struct weft_params *p)
{
    struct weft_projection_room room = { 0 };
    for (size_t i = 0; i < p->n; i++) {
        struct weft_projection_shape s = shape_of(r, &p->items[i]);
        weft_projection_room_add(&room, &s);
    }
    return room;
}

static size_t bytes_of(const struct weft_recipe *r, const struct weft_params *p, bool coded)
{
    size_t floats = 0, bytes = 0;
    struct weft_projection_room room = room_for(r, p);
    for (size_t i = 0; i < p->n; i++) {
        struct weft_projection_shape s = shape_of(r, &p->items[i]);
        bytes += weft_moments_bytes(weft_projection_low_len(&s), coded && !p->items[i].embedding);
        floats += (s.right && s.r ? s.r * s.n : 0) + (s.left && s.r ? s.r * s.m : 0);
        if (weft_recipe_layerwise_sums(r)) floats += weft_projection_low_len(&s);
    }
    return bytes + sizeof(float) * (floats + room.low + room.half) + weft_svd_bytes(room.side, room.longest, room.r)
           + sizeof(struct galore);
}

static size_t bytes(const struct weft_recipe *r, const struct weft_params *p) { return bytes_of(r, p, false); }
static size_t bytes_8bit(const struct weft_recipe *r, const struct weft_params *p) { return bytes_of(r, p, true); }

static enum weft_status make(struct weft_optimizer_state *s, struct weft_arena *a, bool with_codes,
                             struct weft_err *err)
{
    size_t n = s->params->n;
    struct weft_projection_room room = room_for(s->recipe, s->params);
    struct galore *g = WEFT_NEW(a, struct galore);
    size_t *len = WEFT_NEWS(a, size_t, n), *right = WEFT_NEWS(a, size_t, n), *left = WEFT_NEWS(a, size_t, n);
    bool *coded = WEFT_NEWS(a, bool, n);
    if (!g || !len || !right || !left || !coded) return weft_fail_nomem(err, n * sizeof *len, "optimizer state");
    s->scratch = g;
    g->with_codes = with_codes;
    g->shapes = WEFT_NEWS(a, struct weft_projection_shape, n);
    g->low = WEFT_NEWS(a, float, room.low);
    g->half = WEFT_NEWS(a, float, room.half);
    if (!g->shapes || !g->low || !g->half)
        return weft_fail_nomem(err, (room.low + room.half) * sizeof(float), "optimizer scratch");
    for (size_t i = 0; i < n; i++) {
        struct weft_projection_shape *shape = &g->shapes[i];
        *shape = shape_of(s->recipe, &s->params->items[i]);
        len[i] = weft_projection_low_len(shape);
        coded[i] = !s->params->items[i].embedding;
        right[i] = shape->right && shape->r ? shape->r * shape->n : 0;
        left[i] = shape->left && shape->r ? shape->r * shape->m : 0;
    }
    enum weft_status st = weft_moments_slots(s, len, with_codes ? coded : NULL, a, err);
    if (!st) st = weft_optimizer_slot(s, RIGHT, right, a, err);
    if (!st) st = weft_optimizer_slot(s, LEFT, left, a, err);
    if (!st) st = weft_svd_init(&g->svd, room.side, room.longest, room.r, a, err);
    weft_code_map(&g->maps[0], true);
    weft_code_map(&g->maps[1], false);
    if (st || !weft_recipe_layerwise_sums(s->recipe)) return st;

    g->sum = WEFT_NEWS(a, float *, n);
    g->gathered = WEFT_NEWS(a, size_t, n);
    if (!g->sum || !g->gathered) return weft_fail_nomem(err, n * sizeof *g->sum, "optimizer scratch");
    for (size_t i = 0; i < n; i++) {
        g->sum[i] = WEFT_NEWS(a, float, len[i]);
        if (!g->sum[i]) return weft_fail_nomem(err, len[i] * sizeof(float), "optimizer scratch");
    }
    return WEFT_OK;
}

static enum weft_status init(struct weft_optimizer_state *s, struct weft_arena *a, struct weft_err *err)
{
    return make(s, a, false, err);
}

static enum weft_status init_8bit(struct weft_optimizer_state *s, struct weft_arena *a, struct weft_err *err)
{
    return make(s, a, true, err);
}

static struct weft_projection projection_of(const struct weft_optimizer_state *s, size_t i)
{
    const struct weft_projection_shape *shape = &((const struct galore *)s->scratch)->shapes[i];
    return (struct weft_projection){ .m = shape->m, .n = shape->n, .r = shape->r, .left = s->slot[LEFT][i],
                                     .right = s->slot[RIGHT][i] };
}

static void forget(struct weft_optimizer_state *s, size_t i)
{
    struct weft_moments m = weft_moments_of(s, i);
    struct galore *g = s->scratch;
    if (m.m) {
        memset(m.m, 0, m.n * sizeof *m.m);
        memset(m.v, 0, m.n * sizeof *m.v);
        return;
    }
    memset(m.qm, (int)weft_code_of(&g->maps[0], 0), m.n);
    memset(m.qv, 0, m.n);
    memset(m.am, 0, weft_ceil_div(m.n, WEFT_CODE_BLOCK) * sizeof *m.am);
    memset(m.av, 0, weft_ceil_div(m.n, WEFT_CODE_BLOCK) * sizeof *m.av);
}

static void look(struct weft_optimizer_state *s, struct weft_compute *c, size_t i)
{
    struct galore *g = s->scratch;
    struct weft_projection p = projection_of(s, i);
    if (s->step % (uint64_t)s->recipe->galore_update_interval) return;
    weft_projection_singular(c, &p, &g->svd, s->params->items[i].grad);
    if (s->recipe->compat == WEFT_COMPAT_CLEAN) forget(s, i);
}

static void gather(struct weft_optimizer_state *s, struct weft_compute *c, size_t i)
{
    struct galore *g = s->scratch;
    const struct weft_param *p = &s->params->items[i];
    if (!g->gathered[i]) {
        memset(g->sum[i], 0, weft_projection_low_len(&g->shapes[i]) * sizeof(float));
        if (g->shapes[i].r) look(s, c, i);
    }
    g->gathered[i]++;
    if (!g->shapes[i].r) {
        weft_add(c, g->sum[i], p->grad, p->rows * p->cols);
        return;
    }
    struct weft_projection proj = projection_of(s, i);
    weft_project(c, &proj, p->grad, 1, true, g->sum[i], g->half);
}

/* Update number s->step + 1 of one parameter. */
static void step_param(struct weft_optimizer_state *s, struct weft_compute *c, size_t i, double lr, float g_scale)
{
    const struct weft_recipe *r = s->recipe;
    struct galore *g = s->scratch;
    const struct weft_param *p = &s->params->items[i];
    bool clean = r->compat == WEFT_COMPAT_CLEAN, decays = clean ? p->decay : weft_decays_unless_bias(p);
    double rate = weft_param_lr(p, lr), keep = decays ? 1 - rate * r->weight_decay : 1;
    uint64_t since = clean && g->shapes[i].r ? s->step % (uint64_t)r->galore_update_interval : s->step;
    double t = (double)since + 1;
    struct weft_moments m = weft_moments_of(s, i);
    struct weft_moments_step how = {
        .maps = g->maps, .g = p->grad, .g_scale = g_scale, .beta1 = r->adam_beta1, .beta2 = r->adam_beta2,
        .eps = r->adam_epsilon * (clean || g->with_codes ? sqrt(1 - pow(r->adam_beta2, t)) : 1),
        .skip_bad = g->with_codes };
    rate *= weft_moments_correction(r, t);
    if (clean && keep != 1) {
        weft_scale(c, p->w, (float)keep, p->rows * p->cols);
        keep = 1;
    }
    if (g->sum && g->gathered[i]) {
        how.g = g->sum[i];
        g->gathered[i] = 0;
    } else if (g->shapes[i].r) {
        struct weft_projection proj = projection_of(s, i);
        look(s, c, i);
        weft_project(c, &proj, p->grad, g_scale, false, g->low, g->half);
        how.g = g->low;
        how.g_scale = 1;
    }
    if (!g->shapes[i].r) {
        how.p = p->w;
        how.rate = rate;
        how.keep = keep;
        weft_moments_step(c, &m, &how);
        return;
    }
    struct weft_projection proj = projection_of(s, i);
    how.out = g->low;
    weft_moments_step(c, &m, &how);
    weft_project_back(c, &proj, g->low, -rate * r->galore_scale, p->w, g->half);
    if (keep != 1) weft_scale(c, p->w, (float)keep, p->rows * p->cols);
}

static void step(struct weft_optimizer_state *s, struct weft_compute *c, double lr, float g_scale)
{
    for (size_t i = 0; i < s->params->n; i++) step_param(s, c, i, lr, g_scale);
    s->step++;
}

const struct weft_optimizer weft_opt_galore = {
    .name = "galore_adamw",
    .help = "AdamW in a few directions of each gradient",
    .paper = "arXiv:2403.03507",
    .bytes = bytes,
    .init = init,
    .step = step,
    .step_param = step_param,
    .gather_param = gather,
    .slot_names = { WEFT_MOMENT_SLOT_NAMES, "right", "left" },
    .slot_is_codes = { [2] = true, [3] = true },
};

const struct weft_optimizer weft_opt_galore_8bit = {
    .name = "galore_adamw_8bit",
    .help = "the same with moments of 8 bits",
    .paper = "arXiv:2403.03507",
    .bytes = bytes_8bit,
    .init = init_8bit,
    .step = step,
    .step_param = step_param,
    .gather_param = gather,
    .slot_names = { WEFT_MOMENT_SLOT_NAMES, "right", "left" },
    .slot_is_codes = { [2] = true, [3] = true },
};
