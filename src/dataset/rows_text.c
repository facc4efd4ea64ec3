#include "dataset/rows_text.h"

/* Names of the two sides as the formats call them; they are part of the text, so they are not translated. */
static const char *role_name(enum weft_role role)
{
    static const char *const names[] = { "system", "user", "assistant", "tool_call", "tool" };
    return (unsigned)role < WEFT_COUNT(names) ? names[role] : "?";
}

bool weft_rows_sniff(const char *path)
{
    struct weft_map map = { 0 };
    if (strcmp(path, "-") == 0 || !weft_file_exists(path) || weft_map_open(&map, path, NULL)) return false;
    struct weft_str s = { (const char *)map.p, weft_min_size(map.len, 4096) };
    if (weft_str_starts(s, WEFT_STR("\xEF\xBB\xBF"))) s = weft_str_skip(s, 3);
    size_t i = 0;
    bool array = false, is = false;
    for (; i < s.len; i++) {
        if (strchr(" \t\r\n", s.s[i]) && s.s[i]) continue;
        if (s.s[i] == '[' && !array) array = true;
        else break;
    }
    if (i < s.len && s.s[i] == '{') {
        for (i++; i < s.len && strchr(" \t\r\n", s.s[i]) && s.s[i]; i++);
        is = i < s.len && s.s[i] == '"';
    }
    weft_map_close(&map);
    return is;
}

/* ---- lines ---- */

struct writer {
    struct weft_buf out, lines, numbers;        /* text; struct weft_text_line; uint64_t */
    const struct weft_row_span *span;           /* of the row being written */
    uint64_t cr;
};

static void add_line(struct writer *w, struct weft_str line)
{
    struct weft_text_line l = { w->out.len, w->span->begin, w->span->end };
    weft_buf_add(&w->lines, &l, sizeof l);
    weft_buf_add(&w->numbers, &w->span->line, sizeof w->span->line);
    /* NUL and CR may stand in a JSON string; a text has neither. */
    for (size_t i = 0; i < line.len; i++)
        if (line.s[i] == '\0') weft_buf_utf8(&w->out, 0xFFFD);
        else if (line.s[i] == '\r') w->cr++;
        else weft_buf_char(&w->out, line.s[i]);
    weft_buf_char(&w->out, '\n');
}

/* "user: text"; the lines of a longer text follow as they are. */
static void add_text(struct writer *w, const char *who, struct weft_str text)
{
    struct weft_buf first = { 0 };
    size_t lf = weft_str_find(text, WEFT_STR("\n"), 0);
    if (who) weft_buf_printf(&first, "%s: ", who);
    weft_buf_str(&first, weft_str_sub(text, 0, lf));
    w->out.failed |= first.failed;
    add_line(w, weft_buf_view(&first));
    weft_buf_clear(&first);
    while (lf != SIZE_MAX) {
        text = weft_str_skip(text, lf + 1);
        lf = weft_str_find(text, WEFT_STR("\n"), 0);
        add_line(w, weft_str_sub(text, 0, lf));
    }
}

static void add_row(struct writer *w, const struct weft_row *row, bool first)
{
    if (!first) add_line(w, (struct weft_str){ NULL, 0 });
    if (row->system.s) add_text(w, "system", row->system);
    if (row->tools.s) add_text(w, "tools", row->tools);
    for (size_t i = 0; i < row->n_turns; i++) add_text(w, role_name(row->turns[i].role), row->turns[i].text);
    if (row->text.s) add_text(w, NULL, row->text);
    if (row->chosen.text.s) add_text(w, "chosen", row->chosen.text);
    if (row->rejected.text.s) add_text(w, "rejected", row->rejected.text);
}

static enum weft_status add_rows(struct writer *w, const struct weft_row_index *ix, struct weft_err *err)
{
    struct weft_arena one = { 0 };
    enum weft_status st = WEFT_OK;
    for (size_t i = 0; !st && i < ix->n; i++) {
        struct weft_arena_mark mark = weft_arena_mark(&one);
        struct weft_row row;
        st = weft_row_index_get(ix, &one, i, &row, err);
        w->span = &ix->spans[i];
        if (!st) add_row(w, &row, i == 0);
        weft_arena_release(&one, mark);
    }
    weft_arena_clear(&one);
    return st;
}

static enum weft_status finish(struct writer *w, struct weft_arena *a, struct weft_text *t, struct weft_err *err)
{
    struct weft_text_line last = { w->out.len, t->bytes, t->bytes };
    weft_buf_add(&w->lines, &last, sizeof last);
    enum weft_status st = weft_buf_check(&w->out, "the text", err);
    if (!st) st = weft_buf_check(&w->lines, "the line table", err);
    if (!st) st = weft_buf_check(&w->numbers, "the line table", err);
    if (st) return st;
    t->cr = w->cr;
    t->n_lines = w->lines.len / sizeof last - 1;
    t->text = weft_str_dup(a, weft_buf_view(&w->out));
    t->lines = weft_arena_alloc(a, w->lines.len);
    t->source_lines = weft_arena_alloc(a, w->numbers.len);
    if (!t->text.s || !t->lines || !t->source_lines) return weft_fail_nomem(err, w->out.len + w->lines.len, "the text");
    memcpy(t->lines, w->lines.s, w->lines.len);
    memcpy(t->source_lines, w->numbers.s, w->numbers.len);
    return WEFT_OK;
}

enum weft_status weft_rows_text(struct weft_arena *a, const char *path, const struct weft_rows_settings *s,
                                struct weft_text *out, struct weft_report *report, struct weft_err *err)
{
    struct weft_row_index ix = { 0 };
    struct writer w = { 0 };
    struct weft_text t = { .format = "rows", .charset = WEFT_CHARSET_UTF8 };
    enum weft_status st = weft_row_index_open(a, path, s, &ix, report, err);
    if (st) goto done;
    t.name = weft_str_dup(a, weft_str_c(path));
    if (!t.name.s) {
        st = weft_fail_nomem(err, strlen(path) + 1, "the file name");
        goto done;
    }
    memcpy(t.sha256, ix.shape.sha256, sizeof t.sha256);
    t.bytes = ix.shape.bytes;
    t.bom = ix.shape.bom;
    t.left_out = weft_report_dropped(report);
    st = add_rows(&w, &ix, err);
    if (!st) st = finish(&w, a, &t, err);
    for (size_t i = 0; !st && i < report->n_places; i++)
        st = weft_text_note(a, &t, err, "%.*s", (int)report->places[i].len, report->places[i].s);
    if (!st) *out = t;
done:
    weft_row_index_close(&ix);
    weft_buf_clear(&w.out);
    weft_buf_clear(&w.lines);
    weft_buf_clear(&w.numbers);
    return st;
}
