#include "tokens/mapped.h"

#include <stdlib.h>

void weft_mapped_clear(struct weft_mapped *m)
{
    weft_buf_clear(&m->text);
    free(m->origin);
    *m = (struct weft_mapped){ 0 };
}

/* Room for origins of n more bytes; failure goes where the text's failures go. */
static bool reserve(struct weft_mapped *m, size_t n)
{
    size_t need = m->text.len + n;
    if (need <= m->cap) return true;
    size_t cap = weft_max_size(need, m->cap + m->cap / 2 + 256);
    uint32_t *grown = realloc(m->origin, cap * sizeof *grown);
    if (!grown) return m->text.failed = true, false;
    m->origin = grown;
    m->cap = cap;
    return true;
}

void weft_mapped_add(struct weft_mapped *m, struct weft_str s, uint32_t origin)
{
    if (m->keep) {
        if (!reserve(m, s.len)) return;
        for (size_t i = 0; i < s.len; i++) m->origin[m->text.len + i] = origin;
    }
    weft_buf_str(&m->text, s);
}

void weft_mapped_copy(struct weft_mapped *m, struct weft_view v, size_t from, size_t to)
{
    if (m->keep) {
        if (!reserve(m, to - from)) return;
        for (size_t i = from; i < to; i++) m->origin[m->text.len + i - from] = weft_view_origin(v, i);
    }
    weft_buf_add(&m->text, v.text.s + from, to - from);
}
