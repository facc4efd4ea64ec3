#include "tokens/vocab.h"

#include "base/hash.h"

#include <stdlib.h>

void weft_vocab_clear(struct weft_vocab *v)
{
    free(v->nth);
    free(v->contents);
    free(v->ids);
    free(v->slots);
    *v = (struct weft_vocab){ 0 };
}

static size_t slot_of(const struct weft_vocab *v, struct weft_str content)
{
    size_t k = (size_t)weft_xxh3(content.s, content.len, 0) & (v->n_slots - 1);
    while (v->slots[k] && !weft_str_eq(v->contents[v->slots[k] - 1], content)) k = (k + 1) & (v->n_slots - 1);
    return k;
}

static bool more_slots(struct weft_vocab *v)
{
    size_t n = v->n_slots ? v->n_slots * 2 : 1024;
    uint32_t *slots = calloc(n, sizeof *slots);
    if (!slots) return false;
    free(v->slots);
    v->slots = slots;
    v->n_slots = n;
    for (size_t i = 0; i < v->n; i++) v->slots[slot_of(v, v->contents[i])] = (uint32_t)i + 1;
    return true;
}

static bool more_tokens(struct weft_vocab *v)
{
    size_t cap = v->cap_n ? v->cap_n * 2 : 512;
    struct weft_str *contents = realloc(v->contents, cap * sizeof *contents);
    if (contents) v->contents = contents;
    int32_t *ids = contents ? realloc(v->ids, cap * sizeof *ids) : NULL;
    if (!ids) return false;
    v->ids = ids;
    v->cap_n = cap;
    return true;
}

/* Ids may lie far apart: the pages between are never touched. */
static bool more_ids(struct weft_vocab *v, size_t id)
{
    size_t cap = weft_max_size(id + 1, weft_min_size(v->cap * 2, (size_t)WEFT_MAX_TOKEN_ID + 1));
    cap = weft_max_size(cap, 1024);
    uint32_t *nth = calloc(cap, sizeof *nth);
    if (!nth) return false;
    if (v->size) memcpy(nth, v->nth, v->size * sizeof *nth);
    free(v->nth);
    v->nth = nth;
    v->cap = cap;
    return true;
}

enum weft_status weft_vocab_add(struct weft_vocab *v, struct weft_str content, int32_t id, bool *taken,
                                struct weft_err *err)
{
    *taken = false;
    if (((size_t)id >= v->cap && !more_ids(v, (size_t)id)) || (v->n == v->cap_n && !more_tokens(v))
        || ((v->n + 1) * 2 > v->n_slots && !more_slots(v)))
        return weft_fail_nomem(err, weft_max_size(v->cap * sizeof *v->nth, v->n * 2 * sizeof *v->contents),
                               "vocabulary");
    size_t k = slot_of(v, content);
    if (v->slots[k] || ((size_t)id < v->size && v->nth[id])) {
        *taken = true;
        return WEFT_OK;
    }
    v->contents[v->n] = (struct weft_str){ content.s ? content.s : "", content.len };
    v->ids[v->n++] = id;
    v->nth[id] = v->slots[k] = (uint32_t)v->n;
    v->size = weft_max_size(v->size, (size_t)id + 1);
    return WEFT_OK;
}

int32_t weft_vocab_id(const struct weft_vocab *v, struct weft_str content)
{
    uint32_t nth = v->n ? v->slots[slot_of(v, content)] : 0;
    return nth ? v->ids[nth - 1] : -1;
}
