/* When a run ends and how fast it goes there.  Pure functions of the recipe: nothing of them is saved. */
#include "train/optimizer.h"

#include <math.h>

static const double pi = 3.14159265358979323846;

struct weft_steps weft_steps_of(const struct weft_recipe *r, uint64_t n_examples)
{
    struct weft_steps s = { 0 };
    uint64_t b = (uint64_t)r->per_device_train_batch_size, ga = (uint64_t)r->gradient_accumulation_steps;
    if (!n_examples || !b || !ga) return s;
    s.micro_per_epoch = n_examples / b + (n_examples % b != 0);
    s.updates_per_epoch = s.micro_per_epoch / ga + (s.micro_per_epoch % ga != 0);
    if (r->max_steps > 0) {
        s.total = (uint64_t)r->max_steps;
        s.epochs = s.total / s.updates_per_epoch + (s.total % s.updates_per_epoch != 0);
    } else {
        s.total = (uint64_t)ceil(r->num_train_epochs * (double)s.updates_per_epoch);
        s.epochs = (uint64_t)ceil(r->num_train_epochs);
    }
    return s;
}

static uint64_t warmup_updates(const struct weft_recipe *r, uint64_t n)
{
    if (r->warmup_steps >= 1) return (uint64_t)r->warmup_steps;
    double ratio = r->warmup_steps > 0 ? r->warmup_steps : r->warmup_ratio;
    return (uint64_t)ceil((double)n * ratio);
}

static double lowest(const struct weft_recipe *r)
{
    return r->min_lr > 0 && r->learning_rate > 0 ? r->min_lr / r->learning_rate : r->min_lr_rate;
}

/* x runs from 0 to 1 over the updates after the warmup. */
static double cosine(double x, double cycles) { return fmax(0, 0.5 * (1 + cos(2 * pi * cycles * x))); }

static double stable_decay(const struct weft_recipe *r, uint64_t u, uint64_t n, uint64_t w)
{
    uint64_t rest = n > w ? n - w : 0, stable = rest / 3;
    if (r->wsd_decay_ratio > 0) {
        uint64_t decay = (uint64_t)ceil((double)n * r->wsd_decay_ratio);
        stable = rest > decay ? rest - decay : 0;
    }
    double low = lowest(r);
    if (u < w + stable) return 1;
    if (u >= w + rest) return low;
    double x = (double)(u - w - stable) / (double)(rest - stable), f = 0;
    switch ((enum weft_wsd_decay)r->wsd_decay_type) {
    case WEFT_WSD_COSINE: f = cosine(x, 0.5); break;
    case WEFT_WSD_LINEAR: f = 1 - x; break;
    case WEFT_WSD_SQRT: f = 1 - sqrt(x); break;
    }
    return f * (1 - low) + low;
}

double weft_schedule(const struct weft_recipe *r, uint64_t u, uint64_t n)
{
    enum weft_scheduler kind = (enum weft_scheduler)r->lr_scheduler_type;
    uint64_t w = warmup_updates(r, n);
    if (kind == WEFT_SCHED_CONSTANT) return 1;
    if (u < w) {
        /* The reference counts from zero, so that with a warmup the first update does nothing (Q1). */
        uint64_t at = r->compat == WEFT_COMPAT_CLEAN ? u + 1 : u;
        double f = (double)at / (double)w;
        return kind == WEFT_SCHED_WSD ? f * (1 - lowest(r)) + lowest(r) : f;
    }
    double rest = n > w ? (double)(n - w) : 1, x = (double)(u - w) / rest;
    switch (kind) {
    case WEFT_SCHED_CONSTANT:
    case WEFT_SCHED_CONSTANT_WARMUP: return 1;
    case WEFT_SCHED_LINEAR: return fmax(0, 1 - x);
    case WEFT_SCHED_COSINE: return cosine(x, 0.5);
    case WEFT_SCHED_COSINE_MIN_LR: return cosine(x, 0.5) * (1 - lowest(r)) + lowest(r);
    case WEFT_SCHED_COSINE_RESTARTS: return x >= 1 ? 0 : 0.5 * (1 + cos(pi * fmod(x, 1)));
    case WEFT_SCHED_POLYNOMIAL: {
        const double end = 1e-7;
        if (r->learning_rate <= end) return 1;
        return x >= 1 ? end / r->learning_rate : ((r->learning_rate - end) * (1 - x) + end) / r->learning_rate;
    }
    case WEFT_SCHED_INVERSE_SQRT: {
        double tau = w ? (double)w : 10000;
        return 1 / sqrt(((double)(u - w) + tau) / tau);
    }
    case WEFT_SCHED_WSD: return stable_decay(r, u, n, w);
    }
    return 1;
}
