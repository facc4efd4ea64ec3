#include "dataset/origin.h"

/* Bytes of a character in the original. */
static uint64_t width(enum weft_charset charset, uint32_t cp, size_t utf8)
{
    switch (charset) {
    case WEFT_CHARSET_GB18030: return cp < 0x80 ? 1 : cp < 0x10000 ? 2 : 4;
    case WEFT_CHARSET_BIG5: return cp < 0x80 ? 1 : 2;
    case WEFT_CHARSET_UTF16LE:
    case WEFT_CHARSET_UTF16BE: return cp < 0x10000 ? 2 : 4;
    default: return utf8;
    }
}

/* The place in the original of byte `at` of the text, which lies in line `i`; `after`: where to point when the bytes
 * of the line are not known one by one. */
static uint64_t place(const struct weft_text *t, size_t i, size_t at, bool after)
{
    const struct weft_text_line *line = &t->lines[i];
    struct weft_str s = weft_text_line(t, i);
    uint64_t total = 0, before = 0;
    bool ends = at - line->at > s.len; /* behind the line end: where the next line begins */
    if (ends && i + 1 < t->n_lines) return t->lines[i + 1].begin;
    at -= line->at;
    if (!at) return line->begin;
    if (at >= s.len) return line->end;
    bool plain = t->format && strcmp(t->format, "txt") == 0;
    if (plain && t->charset == WEFT_CHARSET_UTF8) { /* as long there as here: a book in one line is not read through */
        total = s.len;
        before = at;
    } else if (plain)
        for (size_t k = 0; k < s.len;) {
            uint32_t cp;
            size_t n = weft_utf8_decode(s.s + k, s.len - k, &cp, NULL);
            if (k < at) before += width(t->charset, cp, n);
            total += width(t->charset, cp, n);
            k += n;
        }
    if (total == line->end - line->begin) return line->begin + before;
    return after ? line->end : line->begin;
}

void weft_origin_of_span(const struct weft_text *t, size_t begin, size_t end, struct weft_origin *out)
{
    size_t first, last;
    out->file = t->name;
    out->sha256 = (struct weft_str){ t->sha256, WEFT_SHA256_HEX - 1 };
    if (!t->n_lines) return;
    first = (size_t)weft_text_line_of(t, begin) - 1;
    last = (size_t)weft_text_line_of(t, end > begin ? end - 1 : begin) - 1;
    struct weft_text_span span = weft_text_span_of(t, first, last);
    out->line = weft_text_source_line(t, first);
    out->last_line = weft_text_source_line(t, last);
    out->page = span.page;
    out->last_page = span.last_page > span.page ? span.last_page : 0;
    out->part = span.part;
    out->byte_begin = place(t, first, begin, false);
    out->byte_end = end > begin ? place(t, last, end, true) : out->byte_begin;
    const struct weft_text_section *s = weft_text_section_of(t, last);
    if (s && !weft_str_eq(s->part, span.part)) out->byte_end = span.end;        /* bytes of one part only */
}
