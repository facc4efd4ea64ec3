/* tokens/mapped.h - text that was changed on its way, and where each of its bytes came from */
#ifndef WEFT_TOKENS_MAPPED_H
#define WEFT_TOKENS_MAPPED_H

#include "base/str.h"

/* A part of the input or of a changed copy.  Byte i came from byte origin[i] of the input, or base + i when
 * origin is NULL. */
struct weft_view {
    struct weft_str text;
    const uint32_t *origin;
    uint32_t base;
};

static inline uint32_t weft_view_origin(struct weft_view v, size_t i)
{
    return v.origin ? v.origin[i] : v.base + (uint32_t)i;
}

static inline struct weft_view weft_view_sub(struct weft_view v, size_t from, size_t to)
{
    return (struct weft_view){ weft_str_sub(v.text, from, to), v.origin ? v.origin + from : NULL,
                               v.base + (uint32_t)from };
}

/* A changed copy under construction. */
struct weft_mapped {
    struct weft_buf text;
    bool keep;        /* origins are wanted */
    uint32_t *origin; /* [cap], as long as the text when kept */
    size_t cap;
};

void weft_mapped_clear(struct weft_mapped *m);
static inline void weft_mapped_reset(struct weft_mapped *m, bool keep)
{
    weft_buf_reset(&m->text);
    m->keep = keep;
}
/* Appends s, all of it from `origin`. */
void weft_mapped_add(struct weft_mapped *m, struct weft_str s, uint32_t origin);
/* Appends the part [from, to) of v, byte for byte. */
void weft_mapped_copy(struct weft_mapped *m, struct weft_view v, size_t from, size_t to);
static inline struct weft_view weft_mapped_view(const struct weft_mapped *m)
{
    return (struct weft_view){ weft_buf_view(&m->text), m->keep ? m->origin : NULL, 0 };
}

#endif
