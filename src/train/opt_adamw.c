/* AdamW (arXiv:1711.05101), as torch computes it:
 *
 *     p <- p (1 - lr wd);  m <- m + (1-b1)(g-m);  v <- b2 v + (1-b2) g^2
 *     p <- p - lr / (1-b1^t) * m / ( sqrt(v) / sqrt(1-b2^t) + eps )
 *
 * Powers and quotients in f64, tensors in f32.  The bias corrections use the betas as the kernel sees them, rounded to
 * f32: 1 - 0.999f differs from 0.001 by 5e-5, which must cancel between v and its correction.
 *
 * adamw_bf16 (pure_bf16): weights and moments live in bf16, are computed in f32 and rounded to the nearest once an
 * update, as torch's fused AdamW does with a model in bf16.  There is no finer copy: a step of less than half a bf16
 * unit of a weight (1/512 to 1/256 of it) is lost, and there is no stochastic rounding that would keep it on
 * average. */
#include "train/optimizers.h"

#include <math.h>

static size_t bytes_bf16(const struct weft_recipe *r, const struct weft_params *p)
{
    (void)r;
    return 2 * sizeof(uint16_t) * p->n_values;
}

static size_t bytes(const struct weft_recipe *r, const struct weft_params *p)
{
    (void)r;
    return 2 * sizeof(float) * p->n_values;
}

static enum weft_status init(struct weft_optimizer_state *s, struct weft_arena *a, struct weft_err *err)
{
    size_t n = s->params->n;
    size_t *len = WEFT_NEWS(a, size_t, n);
    if (!len) return weft_fail_nomem(err, n * sizeof *len, "optimizer state");
    for (size_t i = 0; i < n; i++) len[i] = s->params->items[i].rows * s->params->items[i].cols;
    for (int slot = 0; slot < 2; slot++) {
        enum weft_status st = weft_optimizer_slot(s, slot, len, a, err);
        if (st) return st;
    }
    return WEFT_OK;
}

static void step(struct weft_optimizer_state *s, struct weft_compute *c, double lr, float g_scale)
{
    const struct weft_recipe *r = s->recipe;
    double t = (double)++s->step;
    struct weft_adamw_step k = {
        .beta1 = (float)r->adam_beta1,
        .beta2 = (float)r->adam_beta2,
        .eps = (float)r->adam_epsilon,
        .g_scale = g_scale,
    };
    double bc1 = 1 - pow((double)k.beta1, t);
    k.inv_sqrt_bc2 = (float)(1 / sqrt(1 - pow((double)k.beta2, t)));
    for (size_t i = 0; i < s->params->n; i++) {
        const struct weft_param *p = &s->params->items[i];
        double rate = weft_param_lr(p, lr);
        k.lr = (float)rate;
        k.step_size = (float)(rate / bc1);
        k.wd = p->decay ? (float)r->weight_decay : 0;
        if (s->kind->slot_is_bf16[0])
            weft_adamw_bf16(c, p->w16, p->w, s->slot[0][i], s->slot[1][i], p->grad, p->rows * p->cols, &k);
        else weft_adamw(c, p->w, s->slot[0][i], s->slot[1][i], p->grad, p->rows * p->cols, &k);
    }
}

const struct weft_optimizer weft_opt_adamw = {
    .name = "adamw",
    .help = "AdamW",
    .paper = "arXiv:1711.05101",
    .bytes = bytes,
    .init = init,
    .step = step,
    .slot_names = { "exp_avg", "exp_avg_sq" },
};

const struct weft_optimizer weft_opt_adamw_bf16 = {
    .name = "adamw_bf16",
    .help = "AdamW with weights and moments in bf16 (pure_bf16)",
    .paper = "arXiv:1711.05101",
    .bytes = bytes_bf16,
    .init = init,
    .step = step,
    .slot_names = { "exp_avg", "exp_avg_sq" },
    .slot_is_bf16 = { true, true },
};
