#include "dataset/tally.h"

#include "base/hash.h"
#include "dataset/grow.h"

#include <stdlib.h>

static bool rehash(struct weft_tally *t)
{
    size_t n = t->n_slots ? t->n_slots * 2 : 16;
    uint32_t *slots = WEFT_NEWS(t->arena, uint32_t, n);
    if (!slots || t->n >= UINT32_MAX) return false;
    for (size_t i = 0; i < t->n; i++) {
        size_t h = (size_t)weft_xxh3(t->items[i].text.s, t->items[i].text.len, 0) & (n - 1);
        while (slots[h]) h = (h + 1) & (n - 1);
        slots[h] = (uint32_t)i + 1;
    }
    t->slots = slots;
    t->n_slots = n;
    return true;
}

struct weft_tally_item *weft_tally_add(struct weft_tally *t, struct weft_str text, size_t at)
{
    if (t->n * 2 >= t->n_slots && !rehash(t)) return NULL;
    size_t h = (size_t)weft_xxh3(text.s, text.len, 0) & (t->n_slots - 1);
    for (; t->slots[h]; h = (h + 1) & (t->n_slots - 1)) {
        struct weft_tally_item *item = &t->items[t->slots[h] - 1];
        if (!weft_str_eq(item->text, text)) continue;
        item->count++;
        return item;
    }
    if (!WEFT_GROW(t->arena, t->items, t->n, t->cap)) return NULL;
    t->items[t->n] = (struct weft_tally_item){ text, 1, at };
    t->slots[h] = (uint32_t)++t->n;
    return &t->items[t->n - 1];
}

static int by_count(const void *x, const void *y)
{
    const struct weft_tally_item *a = x, *b = y;
    if (a->count != b->count) return a->count < b->count ? 1 : -1;
    return (a->first > b->first) - (a->first < b->first);
}

void weft_tally_sort(struct weft_tally *t)
{
    if (t->n) qsort(t->items, t->n, sizeof *t->items, by_count);
}
