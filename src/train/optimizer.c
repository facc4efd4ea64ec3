#include "train/optimizer.h"

#include "train/optimizers.h"

#include <math.h>

static const struct weft_optimizer *const optimizers[] = {
    &weft_opt_adamw, &weft_opt_adamw_bf16, &weft_opt_adamw_8bit, &weft_opt_galore, &weft_opt_galore_8bit,
    &weft_opt_apollo, &weft_opt_badam, &weft_opt_muon,
};
static const char *const optimizer_names[] = { "adamw", "adamw_bf16", "adamw_8bit", "galore_adamw", "galore_adamw_8bit", "apollo",
                                               "badam", "muon" };
_Static_assert(WEFT_COUNT(optimizers) == WEFT_COUNT(optimizer_names), "one name per optimizer");

const struct weft_optimizer *weft_optimizer_find(const char *name, const char *const **names, size_t *n_names)
{
    for (size_t i = 0; i < WEFT_COUNT(optimizers); i++)
        if (strcmp(optimizers[i]->name, name) == 0) return optimizers[i];
    if (names) *names = optimizer_names;
    if (n_names) *n_names = WEFT_COUNT(optimizer_names);
    return NULL;
}

enum weft_status weft_optimizer_init(struct weft_optimizer_state *s, const struct weft_optimizer *kind,
                                     const struct weft_recipe *r, struct weft_params *p, struct weft_arena *a,
                                     struct weft_err *err)
{
    *s = (struct weft_optimizer_state){ .kind = kind, .recipe = r, .params = p };
    return kind->init(s, a, err);
}

enum weft_status weft_optimizer_slot(struct weft_optimizer_state *s, int slot, const size_t *len, struct weft_arena *a,
                                     struct weft_err *err)
{
    size_t n = s->params->n;
    size_t item = weft_optimizer_slot_item(s->kind, slot);
    s->slot[slot] = WEFT_NEWS(a, void *, n);
    s->slot_len[slot] = WEFT_NEWS(a, size_t, n);
    if (!s->slot[slot] || !s->slot_len[slot]) return weft_fail_nomem(err, n * sizeof(void *), "optimizer state");
    for (size_t i = 0; i < n; i++) {
        s->slot_len[slot][i] = len[i];
        if (!len[i]) continue;
        s->slot[slot][i] = weft_arena_calloc(a, len[i], item);
        if (!s->slot[slot][i]) return weft_fail_nomem(err, len[i] * item, "optimizer state");
    }
    if (s->n_slots <= slot) s->n_slots = slot + 1;
    return WEFT_OK;
}

double weft_grad_norm(struct weft_compute *c, const struct weft_params *p)
{
    double sum = 0;
    for (size_t i = 0; i < p->n; i++) {
        const struct weft_param *q = &p->items[i];
        if (q->grad) sum += weft_sum_squares(c, q->grad, q->rows * q->cols);
    }
    return sqrt(sum);
}

bool weft_all_finite_bf16(const uint16_t *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((x[i] & 0x7F80) == 0x7F80) return false;
    return true;
}

bool weft_param_finite(struct weft_compute *c, const struct weft_param *p)
{
    if (p->w) return weft_all_finite(c, p->w, p->rows * p->cols);
    return weft_all_finite_bf16(p->w16, p->rows * p->cols);
}

float weft_clip_factor(double norm, double max_norm)
{
    if (!(max_norm > 0)) return 1;
    double f = max_norm / (norm + 1e-6);
    return f < 1 ? (float)f : 1;
}
