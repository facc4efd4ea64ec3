#include "dataset/script_slice.h"

size_t script_slices_count(const struct weft_text *texts, size_t n_texts)
{
    size_t n = 0;
    for (size_t f = 0; f < n_texts; f++) n += weft_ceil_div(texts[f].n_lines, SCRIPT_SLICE_LINES);
    return n;
}

void script_slices_write(const struct weft_text *texts, size_t n_texts, void *slices, size_t stride)
{
    char *to = slices;
    for (size_t f = 0; f < n_texts; f++)
        for (size_t i = 0; i < texts[f].n_lines; i += SCRIPT_SLICE_LINES, to += stride) {
            struct script_slice slice = { f, i, weft_min_size(i + SCRIPT_SLICE_LINES, texts[f].n_lines), i == 0 };
            memcpy(to, &slice, sizeof slice);
        }
}

unsigned char **script_classes_new(struct weft_arena *a, const struct weft_text *texts, size_t n_texts)
{
    unsigned char **classes = WEFT_NEWS(a, unsigned char *, n_texts + 1);
    for (size_t f = 0; classes && f < n_texts; f++)
        if (!(classes[f] = weft_arena_alloc(a, texts[f].n_lines + 1))) return NULL;
    return classes;
}

/* Below this a thread is not worth its start. */
enum { LONG_TEXT = 1 << 20 };

struct weft_pool *script_pool(const struct weft_text *texts, size_t n_texts, const struct weft_script_settings *s)
{
    struct weft_pool *pool = NULL;
    size_t bytes = 0;
    for (size_t i = 0; i < n_texts; i++) bytes += texts[i].text.len;
    if (bytes < LONG_TEXT && s->threads <= 0) return NULL;
    /* Where no thread can be had the calling one does it all. */
    return weft_pool_new(&pool, (int)s->threads, NULL) ? NULL : pool;
}
