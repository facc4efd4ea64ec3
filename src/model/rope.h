/* model/rope.h - tables of rotary position embedding */
#ifndef WEFT_MODEL_ROPE_H
#define WEFT_MODEL_ROPE_H

#include "model/config.h"

/* inv [head_dim / 2]: the angle per position of each pair, scaled as rope.type says (docs/model.md, "Positions").  Returns
 * the factor on cos and sin: 1 unless yarn. */
float weft_rope_frequencies(const struct weft_config *c, float *inv);

/* cos, sin [n, head_dim / 2] for positions 0 ... n-1.  inv is scratch [head_dim / 2]. */
void weft_rope_table(const struct weft_config *c, size_t n, float *inv, float *cos_out, float *sin_out);

#endif
