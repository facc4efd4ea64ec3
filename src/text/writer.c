#include "text/writer.h"

#include "text/charset.h"

void weft_writer_put(struct weft_writer *w, struct weft_str s, uint64_t begin, uint64_t end)
{
    if (!s.len) return;
    if (!w->open) w->line = (struct weft_text_line){ w->text.len, begin, end };
    w->open = true;
    if (w->line.end < end) w->line.end = end;
    weft_buf_str(&w->text, s);
}

void weft_writer_newline(struct weft_writer *w, uint64_t at)
{
    if (!w->open) w->line = (struct weft_text_line){ w->text.len, at, at };
    weft_buf_char(&w->text, '\n');
    weft_buf_add(&w->lines, &w->line, sizeof w->line);
    w->open = false;
    w->n_lines++;
}

enum weft_status weft_writer_finish(struct weft_writer *w, struct weft_arena *a, struct weft_text *t,
                                    struct weft_err *err)
{
    if (w->open) weft_writer_newline(w, 0);
    enum weft_status st = weft_buf_check(&w->text, "the text", err);
    if (!st) st = weft_buf_check(&w->lines, "the line table", err);
    if (st) return st;
    t->text = weft_str_dup(a, weft_buf_view(&w->text));
    if (!t->text.s) return weft_fail_nomem(err, w->text.len + 1, "the text");
    t->lines = WEFT_NEWS(a, struct weft_text_line, w->n_lines + 1);
    if (!t->lines) return weft_fail_nomem(err, w->lines.len + sizeof *t->lines, "the line table");
    if (w->n_lines) memcpy(t->lines, w->lines.s, w->lines.len);
    uint64_t end = w->n_lines ? t->lines[w->n_lines - 1].end : 0;
    t->lines[w->n_lines] = (struct weft_text_line){ t->text.len, end, end };
    t->n_lines = w->n_lines;
    while (t->n_sections && t->sections[t->n_sections - 1].first_line >= t->n_lines) t->n_sections--;
    t->charset = WEFT_CHARSET_UTF8;
    weft_charset_count_odd(t);
    weft_writer_clear(w);
    return WEFT_OK;
}

void weft_writer_clear(struct weft_writer *w)
{
    weft_buf_clear(&w->text);
    weft_buf_clear(&w->lines);
    *w = (struct weft_writer){ 0 };
}
