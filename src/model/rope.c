/* Frequencies and angles are rounded to f32 where the reference runtime rounds them: a large angle keeps few bits
 * behind the point, so that computing it more exactly would give another model. */
#include "model/rope.h"

#include <math.h>

static const double two_pi = 6.283185307179586;

/* The index at which a wave turns n times within the old context. */
static double yarn_dim(const struct weft_config *c, double n)
{
    return (double)c->head_dim * log((double)c->rope.original_max_position_embeddings / (n * two_pi))
           / (2 * log(c->rope.theta));
}

float weft_rope_frequencies(const struct weft_config *c, float *inv)
{
    const struct weft_rope_config *rope = &c->rope;
    size_t half = c->head_dim / 2;
    double low = 0, high = 0;

    if (rope->type == WEFT_ROPE_YARN) {
        low = yarn_dim(c, rope->beta_fast);
        high = yarn_dim(c, rope->beta_slow);
        if (rope->truncate) {
            low = floor(low);
            high = ceil(high);
        }
        low = fmax(low, 0);
        high = fmin(high, (double)c->head_dim - 1);
        if (low == high) high += 0.001;
    }
    for (size_t j = 0; j < half; j++) {
        float exponent = (float)(2 * j) / (float)c->head_dim;
        float f = 1.0f / (float)pow((double)(float)rope->theta, (double)exponent);
        switch (rope->type) {
        case WEFT_ROPE_DEFAULT: break;
        case WEFT_ROPE_LINEAR: f = f / (float)rope->factor; break;
        case WEFT_ROPE_LLAMA3: {
            double o = (double)rope->original_max_position_embeddings, wave = two_pi / (double)f;
            double lo = rope->low_freq_factor, hi = rope->high_freq_factor;
            if (wave < o / hi) break;
            if (wave > o / lo) {
                f = f / (float)rope->factor;
            } else {
                double u = (o / wave - lo) / (hi - lo);
                f = (float)((1 - u) * (double)f / rope->factor + u * (double)f);
            }
            break;
        }
        case WEFT_ROPE_YARN: {
            double ramp = fmin(fmax(((double)j - low) / (high - low), 0), 1);
            f = (float)(ramp * (double)f / rope->factor + (1 - ramp) * (double)f);
            break;
        }
        }
        inv[j] = f;
    }
    if (rope->type != WEFT_ROPE_YARN) return 1;
    if (rope->attention_factor > 0) return (float)rope->attention_factor;
    return rope->factor <= 1 ? 1 : (float)(0.1 * log(rope->factor) + 1);
}

void weft_rope_table(const struct weft_config *c, size_t n, float *inv, float *cos_out, float *sin_out)
{
    size_t half = c->head_dim / 2;
    double af = (double)weft_rope_frequencies(c, inv);
    for (size_t t = 0; t < n; t++)
        for (size_t j = 0; j < half; j++) {
            float angle = (float)t * inv[j];
            cos_out[t * half + j] = (float)(cos((double)angle) * af);
            sin_out[t * half + j] = (float)(sin((double)angle) * af);
        }
}
