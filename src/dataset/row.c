#include "dataset/row.h"

#include "dataset/grow.h"

struct weft_row *weft_rows_add(struct weft_rows *rows, struct weft_arena *a)
{
    if (!WEFT_GROW(a, rows->items, rows->n, rows->cap)) return NULL;
    struct weft_row *row = &rows->items[rows->n++];
    *row = (struct weft_row){ .kto_tag = -1 };
    return row;
}

bool weft_rows_reserve(struct weft_rows *rows, struct weft_arena *a, size_t more)
{
    size_t want, bytes;
    if (!weft_size_add(rows->n, more, &want)) return false;
    if (want <= rows->cap) return true;
    if (!weft_size_mul(want, sizeof *rows->items, &bytes)) return false;
    struct weft_row *items = weft_arena_alloc(a, bytes);
    if (!items) return false;
    if (rows->n) memcpy(items, rows->items, rows->n * sizeof *items);
    rows->items = items;
    rows->cap = want;
    return true;
}

size_t weft_row_id_write(char *to, char letter, size_t n)
{
    enum { DIGITS = 6 };
    char text[WEFT_ROW_ID_BYTES];
    size_t at = WEFT_ROW_ID_BYTES;
    for (size_t i = 0; n || i < DIGITS; i++, n /= 10) text[--at] = (char)('0' + n % 10);
    text[--at] = letter;
    memcpy(to, text + at, WEFT_ROW_ID_BYTES - at);
    return WEFT_ROW_ID_BYTES - at;
}

struct weft_str weft_row_id(struct weft_arena *a, char letter, size_t n)
{
    char text[WEFT_ROW_ID_BYTES];
    size_t len = weft_row_id_write(text, letter, n);
    char *id = weft_arena_strndup(a, text, len);
    return (struct weft_str){ id, id ? len : 0 };
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
