/* model/quantise.h - a frozen base in fewer bits
 *
 * QLoRA (arXiv:2305.14314): the linear layers of all blocks are quantised when the model is loaded and stay as
 * they are; an adapter is trained beside them, in f32.  Token table, head, norms and biases keep their type.
 */
#ifndef WEFT_MODEL_QUANTISE_H
#define WEFT_MODEL_QUANTISE_H

#include "kernels/quant.h"
#include "model/model.h"

/* Every linear layer of the blocks becomes a WEFT_QUANT in the model's arena; the pages of the file that held it leave
 * memory.  nested: NF4 quantises its scales too.  WEFT_EARG: a layer is quantised already, or the format cannot cut its
 * rows; WEFT_EINPUT, B5: a value that is not finite; WEFT_ECANCEL. */
WEFT_MUST_USE enum weft_status
weft_model_quantise(struct weft_model *m, struct weft_compute *c, const struct weft_quant_format *f, bool nested,
                    const struct weft_progress *progress, struct weft_err *err);

/* ---- checkpoints that bitsandbytes quantised (bnb.c) ---- */

struct weft_slot;

bool weft_bnb_is(const struct weft_weights *w, const char *name);       /* this weight was quantised to NF4 */
bool weft_bnb_part(struct weft_str name);                               /* a tensor beside such a weight */
/* The codes stay in the file, scales are copied into `a`.  WEFT_EINPUT, ST11. */
WEFT_MUST_USE enum weft_status weft_bnb_read(const struct weft_weights *w, const struct weft_slot *s,
                                             struct weft_arena *a, struct weft_quant *out, struct weft_err *err);

#endif
