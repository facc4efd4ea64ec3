#include "model/quantise.h"

#include "model/slots.h"

enum weft_status weft_model_quantise(struct weft_model *m, struct weft_compute *c, const struct weft_quant_format *f,
                                     bool nested, const struct weft_progress *progress, struct weft_err *err)
{
    size_t n = weft_model_n_linears(m);
    enum weft_status st = WEFT_OK;
    for (size_t i = 0; !st && i < n; i++) {
        struct weft_linear *l = weft_model_linear(m, i);
        struct weft_quant *q = WEFT_NEW(&m->arena, struct weft_quant);
        if (weft_progress_cancelled(progress)) return weft_fail(err, WEFT_ECANCEL, "stopped");
        if (!q) return weft_fail_nomem(err, sizeof *q, l->name);
        if (l->type == WEFT_QUANT)
            return weft_fail(err, WEFT_EARG,
                             "%s is quantised already (%s); a second time would only lose more: leave quantization_bit out",
                             l->name, ((const struct weft_quant *)l->w)->format->name);
        st = weft_quantise(c, &m->arena, q, f, nested, l->name, l->w, l->type, l->n_out, l->n_in, err);
        if (st) break;
        weft_model_forget(m, l->w, l->n_out * l->n_in * weft_dtype_bytes(l->type));
        l->w = q;
        l->type = WEFT_QUANT;
        weft_progress_update(progress, "quantising", i + 1, n, "layers", "");
    }
    return st;
}
