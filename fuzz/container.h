/* fuzz/container.h - what holds for any text that a container reader accepts */
#ifndef WEFT_FUZZ_CONTAINER_H
#define WEFT_FUZZ_CONTAINER_H

#include "text/text.h"

#include <stdlib.h>

static inline void check(bool ok)
{
    if (!ok) abort();
}

/* UTF-8 of whole lines that cover it; every line is in a section, whose part is there and holds its bytes in order. */
static inline void check_container_text(struct weft_arena *a, struct weft_str container, const struct weft_text *t)
{
    struct weft_zip z;
    size_t at = 0;
    const struct weft_text_section *last = NULL;
    uint64_t byte = 0;
    check(weft_zip_open(&z, a, "fuzz", container, NULL, NULL) == WEFT_OK);
    check(weft_utf8_check(t->text) == t->text.len && !memchr(t->text.s, '\r', t->text.len)
          && !memchr(t->text.s, 0, t->text.len));
    check(t->n_lines && t->text.s[t->text.len - 1] == '\n' && weft_text_visible(t->text));
    for (size_t i = 0; i < t->n_lines; i++) {
        const struct weft_text_section *s = weft_text_section_of(t, i);
        struct weft_str line = weft_text_line(t, i);
        check(s && s->part.len && s->first_line <= i);
        const struct weft_zip_entry *e = weft_zip_find(&z, s->part);
        if (!last || !weft_str_eq(last->part, s->part)) byte = 0;
        last = s;
        check(e && t->lines[i].at == at && !memchr(line.s ? line.s : "", '\n', line.len));
        check(t->lines[i].begin >= byte && t->lines[i].end >= t->lines[i].begin && t->lines[i].end <= e->bytes);
        byte = t->lines[i].begin;
        at = t->lines[i + 1].at;
    }
    check(at == t->text.len);
    for (size_t i = 0; i < t->n_notes; i++) check(t->notes[i].len && !memchr(t->notes[i].s, '\n', t->notes[i].len));
}

/* Reads what was built, by the reader of this name; a refusal has a rule and a message. */
static inline void read_container(struct weft_buf *b, bool zh, const char *reader)
{
    const struct weft_text_settings s = { .reader = reader };
    struct weft_arena a = { 0 };
    struct weft_err err = { .lang = zh ? WEFT_LANG_ZH : WEFT_LANG_EN };
    struct weft_text t;
    struct weft_str bytes = weft_buf_view(b);
    if (bytes.len) {
        enum weft_status st = weft_text_from_memory(&a, "fuzz", bytes, &s, &t, &err);
        check(!st || ((st == WEFT_EINPUT || st == WEFT_ELIMIT) && err.msg[0] && err.rule[0]));
        if (!st) check_container_text(&a, bytes, &t);
    }
    weft_arena_clear(&a);
    weft_buf_clear(b);
}

#endif
