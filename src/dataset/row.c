#include "dataset/row.h"

#include "dataset/grow.h"

struct weft_row *weft_rows_add(struct weft_rows *rows, struct weft_arena *a)
{
    if (!WEFT_GROW(a, rows->items, rows->n, rows->cap)) return NULL;
    struct weft_row *row = &rows->items[rows->n++];
    *row = (struct weft_row){ .kto_tag = -1 };
    return row;
}

enum weft_status weft_report_drop(struct weft_report *r, struct weft_arena *a, struct weft_str reason,
                                  uint64_t units, struct weft_str place, struct weft_err *err)
{
    struct weft_drop *drop = NULL;
    for (size_t i = 0; i < r->n_drops && !drop; i++)
        if (weft_str_eq(r->drops[i].reason, reason)) drop = &r->drops[i];
    if (!drop) {
        if (!WEFT_GROW(a, r->drops, r->n_drops, r->cap_drops))
            return weft_fail_nomem(err, sizeof *r->drops, "the report");
        struct weft_str copy = weft_str_dup(a, reason);
        if (!copy.s) return weft_fail_nomem(err, reason.len, "the report");
        drop = &r->drops[r->n_drops++];
        *drop = (struct weft_drop){ .reason = copy };
    }
    drop->count += units;
    if (place.s && r->n_places < WEFT_REPORT_PLACES) {
        struct weft_str copy = weft_str_dup(a, place);
        if (!copy.s) return weft_fail_nomem(err, place.len, "the report");
        r->places[r->n_places++] = copy;
    }
    return WEFT_OK;
}

uint64_t weft_report_dropped(const struct weft_report *r)
{
    uint64_t n = 0;
    for (size_t i = 0; i < r->n_drops; i++) n += r->drops[i].count;
    return n;
}
