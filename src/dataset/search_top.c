#include "dataset/search_top.h"

#include <stdlib.h>

static bool worse(const struct weft_search_best *a, const struct weft_search_best *b)
{
    return a->score != b->score ? a->score < b->score : a->id > b->id;
}

enum weft_status weft_search_top_init(struct weft_search_top *t, struct weft_arena *a, size_t limit,
                                      struct weft_err *err)
{
    *t = (struct weft_search_top){ .items = WEFT_NEWS(a, struct weft_search_best, limit), .limit = limit };
    return t->items ? WEFT_OK : weft_fail_nomem(err, limit * sizeof *t->items, "the hits");
}

static void sink(struct weft_search_top *t, size_t i)
{
    for (size_t child; (child = 2 * i + 1) < t->n; i = child) {
        if (child + 1 < t->n && worse(&t->items[child + 1], &t->items[child])) child++;
        if (!worse(&t->items[child], &t->items[i])) return;
        struct weft_search_best b = t->items[i];
        t->items[i] = t->items[child];
        t->items[child] = b;
    }
}

void weft_search_top_add(struct weft_search_top *t, int64_t id, double score)
{
    struct weft_search_best b = { id, score };
    t->met++;
    if (t->n < t->limit) {
        size_t i = t->n++;
        for (; i > 0 && worse(&b, &t->items[(i - 1) / 2]); i = (i - 1) / 2) t->items[i] = t->items[(i - 1) / 2];
        t->items[i] = b;
    } else if (t->n && worse(&t->items[0], &b)) {
        t->items[0] = b;
        sink(t, 0);
    }
}

static int best_first(const void *a, const void *b)
{
    const struct weft_search_best *x = a, *y = b;
    return worse(y, x) ? -1 : worse(x, y);
}

void weft_search_top_sort(struct weft_search_top *t)
{
    if (t->n) qsort(t->items, t->n, sizeof *t->items, best_first);
}
