/* The parameters that have gradients stand one behind the other in a flat sum.  A segment is a stretch of them that is
 * complete at the same time: all, or those of a layer that are neighbours.  Segments are cut into blocks for the
 * exchange, blocks into one slice a rank. */
#include "train/sums.h"

#include "kernels/profile.h"

#include <string.h>

enum { BLOCK = 1 << 20 };       /* values of one exchange */

static size_t len_of(const struct weft_param *p) { return p->rows * p->cols; }

size_t weft_sums_len(const struct weft_recipe *r, const struct weft_params *p)
{
    size_t most = 0, layer = 0;
    if (!r->use_badam || r->badam_mode != WEFT_BADAM_LAYER) return p->n_values;
    for (size_t i = 0; i < p->n; i++) {
        if (i && p->items[i].layer != p->items[i - 1].layer) layer = 0;
        layer += len_of(&p->items[i]);
        most = weft_max_size(most, layer);
    }
    return most;
}

/* Layers share the room for their gradients, and each parameter has one. */
static bool room_is_shared(const struct weft_recipe *r, const struct weft_params *p)
{
    return weft_sums_len(r, p) == p->n_values && p->grad_bytes < p->n_values * sizeof(float);
}

/* Layer by layer the optimizer adds up what it keeps of a gradient. */
static bool is_on(const struct weft_recipe *r, const struct weft_params *p)
{
    return !weft_recipe_layerwise(r) && (r->gradient_accumulation_steps > 1 || room_is_shared(r, p));
}

static size_t block_of(size_t len) { return weft_min_size(len, BLOCK); }

size_t weft_sums_bytes(const struct weft_recipe *r, const struct weft_params *p, int ranks)
{
    size_t len = weft_sums_len(r, p);
    if (!is_on(r, p)) return 0;
    return sizeof(float) * (len + (ranks > 1 ? 2 * (block_of(len) + (size_t)ranks) : 0));
}

enum weft_status weft_sums_init(struct weft_sums *s, const struct weft_recipe *r, struct weft_params *p,
                                size_t n_layers, struct weft_compute *compute, struct weft_cluster *cluster,
                                struct weft_arena *a, struct weft_err *err)
{
    size_t n = p->n, ranks = (size_t)weft_cluster_size(cluster);
    *s = (struct weft_sums){ .on = is_on(r, p), .params = p, .compute = compute, .cluster = cluster,
                             .n_layers = n_layers };
    if (!s->on) return WEFT_OK;
    s->len = weft_sums_len(r, p);
    s->by_layer = room_is_shared(r, p);
    s->sum = WEFT_NEWS(a, float, s->len);
    s->at = WEFT_NEWS(a, size_t, n);
    s->begun = WEFT_NEWS(a, bool, n);
    s->micro = WEFT_NEWS(a, float *, n);
    if (!s->sum || !s->at || !s->begun || !s->micro)
        return weft_fail_nomem(err, s->len * sizeof(float), "the sum of the gradients");
    if (ranks > 1) {
        s->block = block_of(s->len);
        s->send = WEFT_NEWS(a, float, s->block + ranks);
        s->recv = WEFT_NEWS(a, float, s->block + ranks);
        if (!s->send || !s->recv)
            return weft_fail_nomem(err, 2 * s->block * sizeof(float), "the exchange of gradients");
    }
    for (size_t i = 0; i < n; i++)
        if (p->items[i].grad) memset(p->items[i].grad, 0, len_of(&p->items[i]) * sizeof(float));
    return WEFT_OK;
}

void weft_sums_begin(struct weft_sums *s)
{
    size_t at = 0;
    if (!s->on) return;
    for (size_t i = 0; i < s->params->n; i++) {
        const struct weft_param *p = &s->params->items[i];
        s->micro[i] = p->grad;
        s->begun[i] = false;
        s->at[i] = at;
        if (p->grad) at += len_of(p);
    }
}

/* ---- segments ---- */

struct segment {
    size_t first, end;          /* parameters */
    size_t at, len;             /* values of the sum */
};

/* The next one of `layer` from parameter `from` on. */
static bool next_segment(const struct weft_sums *s, size_t layer, size_t from, struct segment *out)
{
    const struct weft_params *p = s->params;
#define OURS(i) (s->micro[i] && (layer == SIZE_MAX || p->items[i].layer == layer))
    while (from < p->n && !OURS(from)) from++;
    if (from == p->n) return false;
    *out = (struct segment){ .first = from, .at = s->at[from] };
    while (from < p->n && OURS(from)) out->len += len_of(&p->items[from++]);
#undef OURS
    out->end = from;
    return true;
}

/* Values [from, from + n) of the segment are added to the sum, or copied `to` elsewhere, and zeroed where they were. */
static void take(struct weft_sums *s, const struct segment *g, size_t from, size_t n, float *to)
{
    size_t end = from + n;
    for (size_t i = g->first; i < g->end; i++) {
        size_t at = s->at[i], len = len_of(&s->params->items[i]);
        size_t first = weft_max_size(at, from), last = weft_min_size(at + len, end);
        if (first >= last) continue;
        weft_take(s->compute, to ? to + (first - from) : s->sum + first, s->micro[i] + (first - at), last - first,
                  to || !s->begun[i]);
    }
}

/* ---- ranks ---- */

/* Slice k of a block of n values: [first, first + len), in rooms of `wide`. */
static size_t slice(size_t n, size_t wide, int k, size_t *len)
{
    size_t first = weft_min_size((size_t)k * wide, n);
    *len = weft_min_size(wide, n - first);
    return first;
}

static enum weft_status exchange_block(struct weft_sums *s, const struct segment *g, size_t from, size_t n,
                                       const bool *present, struct weft_err *err)
{
    struct weft_cluster *c = s->cluster;
    size_t wide = weft_ceil_div(n, (size_t)c->size), len;
    bool begun = s->begun[g->first];
    take(s, g, from, n, s->send);
    enum weft_status st = weft_cluster_exchange(c, s->send, s->recv, wide * sizeof(float), err);
    float *mine = s->sum + from + slice(n, wide, c->rank, &len);
    for (int k = 0; !st && k < c->size; k++) {
        if (!present[k]) continue;
        const float *theirs = s->recv + (size_t)k * wide;
        if (begun) weft_add(s->compute, mine, theirs, len);
        else memcpy(mine, theirs, len * sizeof *mine);
        begun = true;
    }
    return st;
}

static enum weft_status collect_block(struct weft_sums *s, size_t from, size_t n, struct weft_err *err)
{
    struct weft_cluster *c = s->cluster;
    size_t wide = weft_ceil_div(n, (size_t)c->size), len, first = slice(n, wide, c->rank, &len);
    memcpy(s->send, s->sum + from + first, len * sizeof(float));
    enum weft_status st = weft_cluster_gather(c, s->send, s->recv, wide * sizeof(float), err);
    if (!st) memcpy(s->sum + from, s->recv, n * sizeof(float));
    return st;
}

/* ---- the update ---- */

enum weft_status weft_sums_add(struct weft_sums *s, size_t layer, const bool *present, struct weft_err *err)
{
    WEFT_SPAN(span) = weft_span(s->compute, WEFT_OP_GRADIENTS, 0);
    enum weft_status st = WEFT_OK;
    int ranks = weft_cluster_size(s->cluster), with = 0;
    for (int k = 0; ranks > 1 && k < ranks; k++) with += present[k];
    if (!s->on || (ranks > 1 && !with)) return WEFT_OK;
    struct segment g = { 0 };
    while (!st && next_segment(s, layer, g.end, &g)) {
        if (ranks == 1) take(s, &g, g.at, g.len, NULL);
        for (size_t at = 0; !st && ranks > 1 && at < g.len; at += s->block)
            st = exchange_block(s, &g, g.at + at, weft_min_size(s->block, g.len - at), present, err);
        for (size_t i = g.first; i < g.end; i++) s->begun[i] = true;
    }
    return st;
}

static enum weft_status end_layer(struct weft_sums *s, size_t layer, struct weft_err *err)
{
    enum weft_status st = WEFT_OK;
    struct segment g = { 0 };
    while (!st && next_segment(s, layer, g.end, &g)) {
        if (!s->begun[g.first]) memset(s->sum + g.at, 0, g.len * sizeof(float));
        for (size_t at = 0; !st && s->block && s->begun[g.first] && at < g.len; at += s->block)
            st = collect_block(s, g.at + at, weft_min_size(s->block, g.len - at), err);
    }
    return st;
}

enum weft_status weft_sums_end(struct weft_sums *s, struct weft_err *err)
{
    WEFT_SPAN(span) = weft_span(s->compute, WEFT_OP_GRADIENTS, 0);
    enum weft_status st = WEFT_OK;
    if (!s->on) return WEFT_OK;
    for (size_t layer = 0; !st && s->by_layer && layer <= s->n_layers; layer++) st = end_layer(s, layer, err);
    if (!s->by_layer) st = end_layer(s, SIZE_MAX, err);
    for (size_t i = 0; !st && i < s->params->n; i++)
        if (s->micro[i]) s->params->items[i].grad = s->sum + s->at[i];
    return st;
}

/* An optimizer that trains in turns may have given others their turn since. */
void weft_sums_back(struct weft_sums *s)
{
    for (size_t i = 0; s->on && i < s->params->n; i++) {
        struct weft_param *p = &s->params->items[i];
        if (s->micro[i] && p->grad == s->sum + s->at[i]) p->grad = s->micro[i];
    }
}
