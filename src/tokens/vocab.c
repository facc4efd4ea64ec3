#include "tokens/vocab.h"

#include "base/hash.h"

#include <stdlib.h>

void weft_vocab_clear(struct weft_vocab *v)
{
    free(v->content);
    free(v->slots);
    *v = (struct weft_vocab){ 0 };
}

static size_t slot_of(const struct weft_vocab *v, struct weft_str content)
{
    size_t k = (size_t)weft_xxh3(content.s, content.len, 0) & (v->n_slots - 1);
    while (v->slots[k] && !weft_str_eq(v->content[v->slots[k] - 1], content)) k = (k + 1) & (v->n_slots - 1);
    return k;
}

static enum weft_status more_slots(struct weft_vocab *v, struct weft_err *err)
{
    size_t n = v->n_slots ? v->n_slots * 2 : 1024;
    uint32_t *slots = calloc(n, sizeof *slots);
    if (!slots) return weft_fail_nomem(err, n * sizeof *slots, "vocabulary");
    free(v->slots);
    v->slots = slots;
    v->n_slots = n;
    for (size_t id = 0; id < v->size; id++)
        if (v->content[id].s) v->slots[slot_of(v, v->content[id])] = (uint32_t)id + 1;
    return WEFT_OK;
}

enum weft_status weft_vocab_add(struct weft_vocab *v, struct weft_str content, int32_t id, bool *taken, struct weft_err *err)
{
    *taken = false;
    if ((size_t)id >= v->cap) {
        size_t cap = weft_max_size((size_t)id + 1, weft_min_size(v->cap * 2, (size_t)WEFT_MAX_TOKEN_ID + 1));
        struct weft_str *bigger = calloc(weft_max_size(cap, 1024), sizeof *bigger);     /* untouched pages cost nothing */
        if (!bigger) return weft_fail_nomem(err, cap * sizeof *bigger, "vocabulary");
        if (v->size) memcpy(bigger, v->content, v->size * sizeof *bigger);
        free(v->content);
        v->content = bigger;
        v->cap = weft_max_size(cap, 1024);
    }
    if ((v->n + 1) * 2 > v->n_slots) {
        enum weft_status st = more_slots(v, err);
        if (st) return st;
    }
    size_t k = slot_of(v, content);
    if (v->slots[k] || ((size_t)id < v->size && v->content[id].s)) {
        *taken = true;
        return WEFT_OK;
    }
    v->content[id] = (struct weft_str){ content.s ? content.s : "", content.len };
    v->slots[k] = (uint32_t)id + 1;
    v->size = weft_max_size(v->size, (size_t)id + 1);
    v->n++;
    return WEFT_OK;
}

int32_t weft_vocab_id(const struct weft_vocab *v, struct weft_str content)
{
    return v->n ? (int32_t)v->slots[slot_of(v, content)] - 1 : -1;
}
