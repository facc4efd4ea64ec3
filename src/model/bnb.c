/* Checkpoints that bitsandbytes quantised to NF4.  A weight X is spread over several tensors:
 *
 *   X                      u8 [n / 2, 1]        two codes a byte, the first in the upper half
 *   X.absmax               f32 [blocks], or u8 [blocks] when the scales are quantised too
 *   X.quant_map            f32 [16]
 *   X.nested_absmax, X.nested_quant_map         f32 [blocks / 256 up], [256]
 *   X.quant_state.bitsandbytes__nf4             u8: a JSON object with quant_type, blocksize, shape, nested_offset
 *
 * The codes stay mapped; what is f32 is copied, because files may place it at odd addresses. */
#include "model/quantise.h"

#include "base/lang.h"
#include "model/slots.h"

#include <stdio.h>

static const char state_suffix[] = ".quant_state.bitsandbytes__nf4";

static const struct weft_st_tensor *part(const struct weft_weights *w, const char *name, const char *suffix)
{
    char whole[640];
    int n = snprintf(whole, sizeof whole, "%s%s", name, suffix);
    return n > 0 && (size_t)n < sizeof whole ? weft_weights_find(w, whole) : NULL;
}

bool weft_bnb_is(const struct weft_weights *w, const char *name) { return part(w, name, state_suffix) != NULL; }

bool weft_bnb_part(struct weft_str name)
{
    static const char *const suffixes[] = { ".absmax", ".quant_map", ".nested_absmax", ".nested_quant_map", state_suffix };
    for (size_t i = 0; i < WEFT_COUNT(suffixes); i++) {
        struct weft_str suffix = weft_str_c(suffixes[i]);
        if (weft_str_ends(name, suffix)
            && weft_str_ends(weft_str_sub(name, 0, name.len - suffix.len), WEFT_STR(".weight")))
            return true;
    }
    return false;
}

static enum weft_status bad(const struct weft_slot *s, const char *what, struct weft_err *err)
{
    return weft_fail_rule(err, WEFT_EINPUT, "ST11", "%s was quantised by bitsandbytes, but %s", s->name,
                          weft_tr(err ? err->lang : WEFT_LANG_EN, what));
}

/* A copy of exactly n floats, or NULL with the error set. */
static const float *floats(const struct weft_weights *w, const struct weft_slot *s, const char *suffix, size_t n,
                           struct weft_arena *a, enum weft_status *st, struct weft_err *err)
{
    const struct weft_st_tensor *t = part(w, s->name, suffix);
    if (!t || t->dtype != WEFT_ST_F32 || t->n_elements != n) {
        *st = bad(s, "its scales are missing, or not as many as its blocks of 64", err);
        return NULL;
    }
    float *copy = WEFT_NEWS(a, float, n);
    if (!copy) *st = weft_fail_nomem(err, n * sizeof *copy, s->name);
    else if (n) memcpy(copy, t->data, n * sizeof *copy);
    return copy;
}

enum weft_status weft_bnb_read(const struct weft_weights *w, const struct weft_slot *s, struct weft_arena *a,
                               struct weft_quant *out, struct weft_err *err)
{
    const struct weft_st_tensor *codes = weft_weights_find(w, s->name), *state = part(w, s->name, state_suffix);
    const struct weft_st_tensor *absmax = part(w, s->name, ".absmax"), *map = part(w, s->name, ".quant_map");
    size_t n = s->rows * s->cols, blocks = weft_ceil_div(n, WEFT_NF4_BLOCK);
    struct weft_quant q = { .format = weft_quant_format(WEFT_NF4), .rows = s->rows, .cols = s->cols };
    struct weft_arena scratch = { 0 };
    struct weft_json_value json;
    float code[16];
    enum weft_status st;

    if (!codes || !state || !absmax || !map || state->dtype != WEFT_ST_U8)
        return bad(s, "one of its tensors is missing", err);
    struct weft_str text = { (const char *)state->data, state->bytes };
    st = weft_json_parse(&scratch, s->name, text, &json, err);
    if (st) goto done;
    const struct weft_json_value *type = weft_json_get(&json, "quant_type"), *block = weft_json_get(&json, "blocksize");
    const struct weft_json_value *shape = weft_json_get(&json, "shape"), *offset = weft_json_get(&json, "nested_offset");
    const struct weft_json_value *nested = weft_json_get(&json, "nested_blocksize");
    bool fits = shape && shape->kind == WEFT_JSON_ARRAY && shape->n == 2 && shape->items[0].is_int
                && shape->items[1].is_int && shape->items[0].integer == (int64_t)s->rows
                && shape->items[1].integer == (int64_t)s->cols;
    if (!type || !weft_str_is(type->text, "nf4") || !block || !block->is_int || block->integer != WEFT_NF4_BLOCK)
        st = bad(s, "not to nf4 in blocks of 64", err);
    else if (!fits || codes->dtype != WEFT_ST_U8 || codes->n_elements != weft_ceil_div(n, 2))
        st = bad(s, "its shape is not that of config.json", err);
    else if (map->dtype != WEFT_ST_F32 || map->n_elements != 16)
        st = bad(s, "its table of codes is not that of nf4", err);
    if (st) goto done;
    memcpy(code, map->data, sizeof code);
    for (size_t i = 0; i < 16 && !st; i++)
        if (code[i] != weft_nf4_code[i]) st = bad(s, "its table of codes is not that of nf4", err);
    if (st) goto done;
    q.data = codes->data;
    if (absmax->dtype == WEFT_ST_U8) {
        bool known = nested && nested->is_int && nested->integer == WEFT_NESTED_BLOCK && offset
                     && offset->kind == WEFT_JSON_NUMBER && absmax->n_elements == blocks;
        if (!known) st = bad(s, "its scales are not quantised in blocks of 256", err);
        q.scale_codes = absmax->data;
        if (known) q.nested_offset = (float)offset->number;
        if (!st) q.nested_scales = floats(w, s, ".nested_absmax", weft_ceil_div(blocks, WEFT_NESTED_BLOCK), a, &st, err);
        if (!st) q.nested_code = floats(w, s, ".nested_quant_map", 256, a, &st, err);
    } else {
        q.scales = floats(w, s, ".absmax", blocks, a, &st, err);
    }
    if (!st) *out = q;
done:
    weft_arena_clear(&scratch);
    return st;
}
