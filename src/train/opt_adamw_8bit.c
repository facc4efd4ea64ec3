/* AdamW with its moments in 8-bit codes (arXiv:2110.02861): two bytes a weight instead of eight.
 *
 *     p <- p - lr sqrt(1-b2^t)/(1-b1^t) * m / ( sqrt(v) + eps sqrt(1-b2^t) )
 *
 * The reference decays the weights after that step (Q6); compat: clean before it, as AdamW does.  Token tables, and
 * tensors of fewer than 4096 values, keep f32 moments: rare tokens have gradients that codes would round away. */
#include "train/moments.h"
#include "train/optimizers.h"

#include <math.h>

static bool in_codes(const struct weft_param *p) { return !p->embedding; }

static size_t bytes(const struct weft_recipe *r, const struct weft_params *p)
{
    size_t n = 0;
    (void)r;
    for (size_t i = 0; i < p->n; i++)
        n += weft_moments_bytes(p->items[i].rows * p->items[i].cols, in_codes(&p->items[i]));
    return n + 2 * sizeof(struct weft_code_map);
}

static enum weft_status init(struct weft_optimizer_state *s, struct weft_arena *a, struct weft_err *err)
{
    size_t n = s->params->n;
    size_t *len = WEFT_NEWS(a, size_t, n);
    bool *coded = WEFT_NEWS(a, bool, n);
    struct weft_code_map *maps = WEFT_NEWS(a, struct weft_code_map, 2);
    if (!len || !coded || !maps) return weft_fail_nomem(err, n * sizeof *len, "optimizer state");
    for (size_t i = 0; i < n; i++) {
        len[i] = s->params->items[i].rows * s->params->items[i].cols;
        coded[i] = in_codes(&s->params->items[i]);
    }
    weft_code_map(&maps[0], true);
    weft_code_map(&maps[1], false);
    s->scratch = maps;
    return weft_moments_slots(s, len, coded, a, err);
}

static void step(struct weft_optimizer_state *s, struct weft_compute *c, double lr, float g_scale)
{
    const struct weft_recipe *r = s->recipe;
    double t = (double)++s->step, correction = weft_moments_correction(r, t);
    bool after = r->compat == WEFT_COMPAT_HF;
    for (size_t i = 0; i < s->params->n; i++) {
        const struct weft_param *p = &s->params->items[i];
        double rate = weft_param_lr(p, lr), keep = p->decay ? 1 - rate * r->weight_decay : 1;
        struct weft_moments m = weft_moments_of(s, i);
        if (!after && keep != 1) weft_scale(c, p->w, (float)keep, m.n);
        weft_moments_step(c, &m, &(struct weft_moments_step){
            .maps = s->scratch, .g = p->grad, .g_scale = g_scale, .beta1 = r->adam_beta1, .beta2 = r->adam_beta2,
            .eps = r->adam_epsilon * sqrt(1 - pow(r->adam_beta2, t)), .skip_bad = true, .p = p->w,
            .rate = rate * correction, .keep = after ? keep : 1 });
    }
}

const struct weft_optimizer weft_opt_adamw_8bit = {
    .name = "adamw_8bit",
    .help = "AdamW with moments of 8 bits",
    .paper = "arXiv:2110.02861",
    .bytes = bytes,
    .init = init,
    .step = step,
    .slot_names = { WEFT_MOMENT_SLOT_NAMES },
    .slot_is_codes = { [2] = true, [3] = true },
};
