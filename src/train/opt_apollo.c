/* APOLLO (arXiv:2412.05270): the step of a matrix is its own gradient, each row or column of it (or all of it) scaled
 * by what Adam would make of it in a few directions.  For a matrix G [m, n], projected R (train/projection.h),
 * k updates before this one, t = k + 1:
 *
 *     k mod interval = 0:  new directions, random numbers N(0, 1) / sqrt(r) of (seed, name, k), or singular ones
 *     m <- b1 m + (1-b1) R;  v <- b2 v + (1-b2) R^2;  N = m / (sqrt(v) + eps)
 *     f = |N| / (|R| + 1e-8)         along the directions: a factor for each row of G (projected from the right) or
 *                                    column (from the left); apollo_scale_type: tensor takes the norms of all
 *     u = f G;   l = max(|u| / (|u before| + 1e-8), 1.01) / 1.01;   u <- u / l      (no step grows by more than 1 %)
 *     p <- p - lr sqrt(1-b2^t)/(1-b1^t) sqrt(apollo_scale) u;   p <- p (1 - lr wd)
 *
 * The first update has no `before` and is not limited.  apollo_scale_front multiplies before the limit instead of after
 * it, which shows in what is remembered alone.  All other tensors move by Adam in GaLore's form.
 * Habits of the reference (Q5, Q8): eps stands outside the bias correction, the decay follows the step and takes norms
 * too, moments stay when the directions change.  compat: clean mends all three as in opt_galore.c.
 *
 * u itself is never stored: its norm is sum f^2 |row|^2, so a matrix costs its projection and no scratch of its
 * size. */
#include "train/moments.h"
#include "train/optimizers.h"
#include "train/projection.h"

#include <math.h>

enum { RIGHT = WEFT_MOMENT_SLOTS, LEFT, GROWTH, ROWS = 32 };
static const double growth_limit = 1.01;

struct apollo {
    struct weft_projection_shape *shapes;   /* [params->n] r 0: not projected */
    struct weft_svd svd;                    /* apollo_proj: svd */
    float *low, *step;                      /* R and N of the largest */
    float *factor;                          /* [longest side] */
    double *partial;                        /* sums of pieces of ROWS rows */
};

static struct weft_projection_shape shape_of(const struct weft_recipe *r, const struct weft_param *p)
{
    static const enum weft_proj_type types[] = { WEFT_PROJ_STD, WEFT_PROJ_RIGHT, WEFT_PROJ_LEFT };
    if (!weft_projection_wanted(&r->apollo_target, p))
        return (struct weft_projection_shape){ .m = p->rows, .n = p->cols };
    return weft_projection_shape(types[r->apollo_proj_type], p->rows, p->cols, (size_t)r->apollo_rank);
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

static size_t bytes(const struct weft_recipe *r, const struct weft_params *p)
{
    size_t floats = 0, total = sizeof(struct apollo);
    struct weft_projection_room room = room_for(r, p);
    for (size_t i = 0; i < p->n; i++) {
        struct weft_projection_shape s = shape_of(r, &p->items[i]);
        total += weft_moments_bytes(weft_projection_low_len(&s), false);
        if (s.r) floats += (s.right ? s.r * s.n : 0) + (s.left ? s.r * s.m : 0) + 1;
    }
    if (r->apollo_proj == WEFT_APOLLO_SVD) total += weft_svd_bytes(room.side, room.longest, room.r);
    floats += 2 * room.low + room.longest;
    return total + sizeof(float) * floats + sizeof(double) * weft_ceil_div(room.rows, ROWS);
}

static enum weft_status init(struct weft_optimizer_state *s, struct weft_arena *a, struct weft_err *err)
{
    size_t n = s->params->n;
    struct weft_projection_room room = room_for(s->recipe, s->params);
    struct apollo *o = WEFT_NEW(a, struct apollo);
    size_t *len = WEFT_NEWS(a, size_t, n), *right = WEFT_NEWS(a, size_t, n), *left = WEFT_NEWS(a, size_t, n),
           *growth = WEFT_NEWS(a, size_t, n);
    if (!o || !len || !right || !left || !growth) return weft_fail_nomem(err, n * sizeof *len, "optimizer state");
    s->scratch = o;
    o->shapes = WEFT_NEWS(a, struct weft_projection_shape, n);
    o->low = WEFT_NEWS(a, float, room.low);
    o->step = WEFT_NEWS(a, float, room.low);
    o->factor = WEFT_NEWS(a, float, room.longest);
    o->partial = WEFT_NEWS(a, double, weft_ceil_div(room.rows, ROWS));
    if (!o->shapes || !o->low || !o->step || !o->factor || !o->partial)
        return weft_fail_nomem(err, 2 * room.low * sizeof(float), "optimizer scratch");
    for (size_t i = 0; i < n; i++) {
        struct weft_projection_shape *shape = &o->shapes[i];
        *shape = shape_of(s->recipe, &s->params->items[i]);
        len[i] = weft_projection_low_len(shape);
        right[i] = shape->right && shape->r ? shape->r * shape->n : 0;
        left[i] = shape->left && shape->r ? shape->r * shape->m : 0;
        growth[i] = shape->r > 0;
    }
    enum weft_status st = weft_moments_slots(s, len, NULL, a, err);
    if (!st) st = weft_optimizer_slot(s, RIGHT, right, a, err);
    if (!st) st = weft_optimizer_slot(s, LEFT, left, a, err);
    if (!st) st = weft_optimizer_slot(s, GROWTH, growth, a, err);
    if (!st && s->recipe->apollo_proj == WEFT_APOLLO_SVD)
        st = weft_svd_init(&o->svd, room.side, room.longest, room.r, a, err);
    return st;
}

/* ---- one matrix ---- */

struct matrix {
    const struct apollo *o;
    const struct weft_projection *proj;
    const float *g;             /* [m, n] */
    float *p;                   /* [m, n] */
    bool by_row;                /* factor[m], else factor[n] */
    double rate, keep;          /* p <- (p - rate f g) keep */
};

/* |N| / |R| of r values each, `stride` apart. */
static double ratio(const float *step, const float *low, size_t stride, size_t r)
{
    double above = 0, below = 0;
    for (size_t k = 0; k < r; k++) {
        above += (double)step[k * stride] * (double)step[k * stride];
        below += (double)low[k * stride] * (double)low[k * stride];
    }
    return sqrt(above) / (sqrt(below) + 1e-8);
}

static void find_factors(struct weft_compute *c, const struct apollo *o, const struct weft_projection *proj,
                         bool tensor)
{
    bool by_row = proj->right != NULL;
    size_t n = by_row ? proj->m : proj->n;
    if (!tensor) {
        size_t next = by_row ? proj->r : 1, stride = by_row ? 1 : n;      /* R is [m, r] or [r, n] */
        for (size_t i = 0; i < n; i++)
            o->factor[i] = (float)ratio(o->step + i * next, o->low + i * next, stride, proj->r);
        return;
    }
    double above = weft_sum_squares(c, o->step, n * proj->r), below = weft_sum_squares(c, o->low, n * proj->r);
    for (size_t i = 0; i < n; i++) o->factor[i] = (float)(sqrt(above) / (sqrt(below) + 1e-8));
}

static void norm_piece(void *ctx, size_t piece, int thread)
{
    const struct matrix *x = ctx;
    size_t m = x->proj->m, n = x->proj->n, end = weft_min_size((piece + 1) * ROWS, m);
    double sum = 0;
    (void)thread;
    for (size_t i = piece * ROWS; i < end; i++) {
        const float *g = x->g + i * n, *f = x->o->factor;
        double row = 0;
        for (size_t k = 0; k < n; k++) {
            double u = (double)g[k] * (double)(x->by_row ? 1 : f[k]);
            row += u * u;
        }
        sum += row * (x->by_row ? (double)f[i] * (double)f[i] : 1);
    }
    x->o->partial[piece] = sum;
}

static void move_piece(void *ctx, size_t piece, int thread)
{
    const struct matrix *x = ctx;
    size_t m = x->proj->m, n = x->proj->n, end = weft_min_size((piece + 1) * ROWS, m);
    float rate = (float)x->rate, keep = (float)x->keep;
    (void)thread;
    for (size_t i = piece * ROWS; i < end; i++) {
        const float *g = x->g + i * n, *f = x->o->factor;
        float *p = x->p + i * n;
        if (x->by_row)
            for (size_t k = 0; k < n; k++) p[k] = (p[k] - rate * f[i] * g[k]) * keep;
        else
            for (size_t k = 0; k < n; k++) p[k] = (p[k] - rate * f[k] * g[k]) * keep;
    }
}

/* |u|, remembered as *before, and by what u is to be divided. */
static double limit(float *before, double norm)
{
    double l = *before > 0 ? fmax(norm / ((double)*before + 1e-8), growth_limit) / growth_limit : 1;
    *before = (float)(norm / l);
    return l;
}

static struct weft_projection projection_of(const struct weft_optimizer_state *s, size_t i)
{
    const struct weft_projection_shape *shape = &((const struct apollo *)s->scratch)->shapes[i];
    return (struct weft_projection){ .m = shape->m, .n = shape->n, .r = shape->r, .left = s->slot[LEFT][i],
                                     .right = s->slot[RIGHT][i] };
}

/* A stream of random numbers of its own for each matrix, whatever else trains: FNV-1a of its name. */
static uint64_t stream_of(const char *name)
{
    uint32_t h = 2166136261u;
    for (; *name; name++) h = (h ^ (uint8_t)*name) * 16777619u;
    return (uint64_t)h << 32;
}

static void choose_directions(struct weft_optimizer_state *s, struct weft_compute *c, size_t i)
{
    const struct weft_recipe *r = s->recipe;
    struct apollo *o = s->scratch;
    struct weft_projection proj = projection_of(s, i);
    struct weft_moments m = weft_moments_of(s, i);
    uint64_t draw = s->step / (uint64_t)r->apollo_update_interval;
    if (s->step % (uint64_t)r->apollo_update_interval) return;
    if (r->apollo_proj == WEFT_APOLLO_SVD) weft_projection_singular(c, &proj, &o->svd, s->params->items[i].grad);
    else weft_projection_random(&proj, (uint64_t)r->seed,
                                stream_of(s->params->items[i].name) | (uint32_t)draw);
    if (r->compat != WEFT_COMPAT_CLEAN) return;
    memset(m.m, 0, m.n * sizeof *m.m);
    memset(m.v, 0, m.n * sizeof *m.v);
}

static void step_matrix(struct weft_optimizer_state *s, struct weft_compute *c, size_t i, struct weft_moments_step *how,
                        double rate, double keep, float g_scale)
{
    const struct weft_recipe *r = s->recipe;
    struct apollo *o = s->scratch;
    const struct weft_param *p = &s->params->items[i];
    struct weft_moments m = weft_moments_of(s, i);
    struct weft_projection proj = projection_of(s, i);
    struct matrix x = { .o = o, .proj = &proj, .g = p->grad, .p = p->w, .by_row = proj.right != NULL, .keep = keep };
    size_t pieces = weft_ceil_div(proj.m, ROWS);
    double sum = 0, scale = sqrt(r->apollo_scale), front = r->apollo_scale_front ? scale : 1;

    choose_directions(s, c, i);
    weft_project(c, &proj, p->grad, g_scale, false, o->low, NULL);
    how->g = o->low;
    how->g_scale = 1;
    how->out = o->step;
    weft_moments_step(c, &m, how);
    find_factors(c, o, &proj, r->apollo_scale_type == WEFT_APOLLO_TENSOR);
    weft_pool_run(c->pool, pieces, norm_piece, &x);
    for (size_t k = 0; k < pieces; k++) sum += o->partial[k];
    x.rate = rate * scale * (double)g_scale / limit(s->slot[GROWTH][i], front * (double)g_scale * sqrt(sum));
    weft_pool_run(c->pool, pieces, move_piece, &x);
}

/* Update number s->step + 1 of one parameter. */
static void step_param(struct weft_optimizer_state *s, struct weft_compute *c, size_t i, double lr, float g_scale)
{
    const struct weft_recipe *r = s->recipe;
    const struct weft_projection_shape *shape = &((const struct apollo *)s->scratch)->shapes[i];
    const struct weft_param *p = &s->params->items[i];
    bool clean = r->compat == WEFT_COMPAT_CLEAN, decays = clean ? p->decay : weft_decays_unless_bias(p);
    double rate = weft_param_lr(p, lr), keep = decays ? 1 - rate * r->weight_decay : 1;
    double t = (double)(clean && shape->r ? s->step % (uint64_t)r->apollo_update_interval : s->step) + 1;
    struct weft_moments m = weft_moments_of(s, i);
    struct weft_moments_step how = {
        .g = p->grad, .g_scale = g_scale, .beta1 = r->adam_beta1, .beta2 = r->adam_beta2,
        .eps = r->adam_epsilon * (clean ? sqrt(1 - pow(r->adam_beta2, t)) : 1) };
    rate *= weft_moments_correction(r, t);
    if (clean && keep != 1) {
        weft_scale(c, p->w, (float)keep, p->rows * p->cols);
        keep = 1;
    }
    if (shape->r) {
        step_matrix(s, c, i, &how, rate, keep, g_scale);
        return;
    }
    how.p = p->w;
    how.rate = rate;
    how.keep = keep;
    weft_moments_step(c, &m, &how);
}

static void step(struct weft_optimizer_state *s, struct weft_compute *c, double lr, float g_scale)
{
    for (size_t i = 0; i < s->params->n; i++) step_param(s, c, i, lr, g_scale);
    s->step++;
}

const struct weft_optimizer weft_opt_apollo = {
    .name = "apollo",
    .help = "gradients scaled by what Adam makes of them in a few random directions",
    .paper = "arXiv:2412.05270",
    .bytes = bytes,
    .init = init,
    .step = step,
    .step_param = step_param,
    .slot_names = { WEFT_MOMENT_SLOT_NAMES, "right", "left", "growth" },
    .slot_is_codes = { [2] = true, [3] = true },
};
