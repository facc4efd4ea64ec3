/* Line breaks and spaces are never written when they are met but wanted, and written before the next visible character:
 * so there are no spaces at the ends of lines, and a block that is empty makes no line.  A br is the exception. */
#include "text/layout.h"

#include <stdlib.h>

#include <utf8proc.h>

enum flag {
    BLOCK = 1,          /* begins and ends a line */
    KEPT = 2,           /* on the stack: its end closes what is open inside */
    PRE = 4 | BLOCK | KEPT,
    SKIP = 8,           /* its content is no text */
    META = 16,          /* belongs into the head */
    TABLE = 32 | BLOCK | KEPT,
    ROW = 64,
    CELL = 128,
    HEADING = 256 | BLOCK,
    READING = 512,      /* of a ruby: how the characters before are read */
    BASE = 1024,        /* ends a reading */
    BREAK = 2048,
    HEAD = 4096,
    TITLE = 8192 | META,
    BOX = BLOCK | KEPT
};

/* Sorted by name.  Blocks whose end tag is usually left out (p, li ...) are not kept: nothing hangs on their ends. */
static const struct element {
    char name[12];
    unsigned flags;
} elements[] = {
    { "address", BOX },      { "annotation", SKIP },  { "article", BOX },     { "aside", BOX },
    { "base", META },        { "basefont", META },    { "bgsound", META },    { "blockquote", BOX },
    { "body", BLOCK },       { "br", BREAK },         { "caption", ROW },     { "center", BOX },
    { "dd", BLOCK },         { "details", BOX },      { "dialog", BOX },      { "dir", BOX },
    { "div", BOX },          { "dl", BOX },           { "dt", BLOCK },        { "fieldset", BOX },
    { "figcaption", BOX },   { "figure", BOX },       { "footer", BOX },      { "form", BOX },
    { "frameset", BLOCK },   { "h1", HEADING },       { "h2", HEADING },      { "h3", HEADING },
    { "h4", HEADING },       { "h5", HEADING },       { "h6", HEADING },      { "head", HEAD },
    { "header", BOX },       { "hgroup", BOX },       { "hr", BLOCK },        { "html", BLOCK | META },
    { "iframe", SKIP },      { "legend", BLOCK },     { "li", BLOCK },        { "link", META },
    { "listing", PRE },      { "main", BOX },         { "menu", BOX },        { "meta", META },
    { "nav", BOX },          { "noembed", SKIP },     { "noframes", SKIP | META }, { "noscript", META },
    { "ol", BOX },           { "optgroup", BLOCK },   { "option", BLOCK },    { "p", BLOCK },
    { "plaintext", PRE },    { "pre", PRE },          { "rb", BASE },         { "rp", READING },
    { "rt", READING },       { "rtc", READING },      { "ruby", BASE },       { "script", SKIP | META },
    { "search", BOX },       { "section", BOX },      { "select", BOX },      { "style", SKIP | META },
    { "summary", BOX },      { "table", TABLE },      { "tbody", ROW },       { "td", CELL },
    { "template", SKIP | META }, { "textarea", PRE }, { "tfoot", ROW },       { "th", CELL },
    { "thead", ROW },        { "title", TITLE },      { "tr", ROW },          { "ul", BOX },
    { "xmp", PRE },
};
_Static_assert(WEFT_COUNT(elements) <= WEFT_LAYOUT_ELEMENTS, "counters for every element");

struct heading {
    size_t line, at, len;       /* its first line, its text in `out` */
};

static int by_name(const void *key, const void *entry)
{
    return strcmp(key, ((const struct element *)entry)->name);
}

/* The element of this name in any case, or NULL. */
static const struct element *find(struct weft_str name)
{
    char lower[sizeof elements[0].name];
    if (!name.len || name.len >= sizeof lower) return NULL;
    for (size_t i = 0; i < name.len; i++)
        lower[i] = name.s[i] >= 'A' && name.s[i] <= 'Z' ? (char)(name.s[i] + 32) : name.s[i];
    lower[name.len] = '\0';
    return bsearch(lower, elements, WEFT_COUNT(elements), sizeof elements[0], by_name);
}

static bool is(const struct element *e, unsigned flags) { return e && (e->flags & flags) == flags; }

/* ---- lines ---- */

static size_t n_lines(const struct weft_layout *l) { return l->lines.len / sizeof(struct weft_text_line); }

static void newline(struct weft_layout *l, uint64_t at)
{
    struct weft_text_line line = { l->line_at, l->line_used ? l->line_begin : at, l->line_used ? l->line_end : at };
    weft_buf_add(&l->lines, &line, sizeof line);
    weft_buf_char(&l->out, '\n');
    l->line_at = l->out.len;
    l->line_used = l->inked = l->want_break = l->want_space = false;
}

static void want_break(struct weft_layout *l)
{
    l->want_break |= l->inked;
    l->want_space = false;
}

/* A row that has begun ends its line even where it is all empty cells; a table in a cell begins on the cell's line. */
static void end_row(struct weft_layout *l)
{
    l->want_break |= l->in_row ? l->line_used : l->inked;
    l->want_space = false;
}

bool weft_layout_east(uint32_t cp)
{
    bool hangul = (cp >= 0x1100 && cp < 0x1200) || (cp >= 0x3130 && cp < 0x3190) || (cp >= 0xAC00 && cp < 0xD7B0);
    return cp >= 0x1100 && !hangul && utf8proc_charwidth((utf8proc_int32_t)cp) == 2;
}
bool weft_layout_shared(uint32_t cp)
{
    return cp == 0xB7 || cp == 0x2236 || (cp >= 0x2014 && cp < 0x2016) || (cp >= 0x2018 && cp < 0x201E) || cp == 0x2026;
}
bool weft_layout_joins(uint32_t x, uint32_t y)
{
    bool a = weft_layout_east(x), b = weft_layout_east(y);
    return (a && b) || (a && weft_layout_shared(y)) || (weft_layout_shared(x) && b);
}

/* Characters that are written, the first of them cp: n bytes at bytes [begin, end) of the source. */
static void put(struct weft_layout *l, const char *s, size_t n, uint32_t cp, uint64_t begin, uint64_t end)
{
    if (l->want_break) newline(l, begin);
    if (l->want_space && l->inked && !(l->space_had_newline && weft_layout_joins(l->last, cp)))
        weft_buf_char(&l->out, ' ');
    l->want_space = false;
    if (!l->line_used) l->line_begin = begin;
    l->line_end = end;
    l->line_used = l->inked = true;
    l->last = cp;       /* of one character; the caller knows better for more */
    if (l->in_heading && l->heading_at == SIZE_MAX) {
        l->heading_at = l->out.len;
        l->heading_line = n_lines(l);
    }
    weft_buf_add(&l->out, s, n);
}

static void put_space(struct weft_layout *l, char c)
{
    if (!l->want_space) l->space_had_newline = false;
    l->want_space = true;
    l->space_had_newline |= c == '\n';
}

/* ---- elements ---- */

static void pop_to(struct weft_layout *l, size_t depth)
{
    while (l->depth > depth) {
        uint8_t id = l->stack[--l->depth];
        l->n_open[id]--;
        if (is(&elements[id], PRE)) l->n_pre--;
        if (is(&elements[id], TABLE)) l->in_row = l->saved_row[l->depth];
    }
}

/* Cells and rows close what is open inside the table. */
static void pop_to_table(struct weft_layout *l)
{
    static const char table[] = "table";
    size_t id = (size_t)(find(weft_str_c(table)) - elements), depth = l->depth;
    if (!l->n_open[id] || l->n_deeper[id]) return;
    while (depth && l->stack[depth - 1] != id) depth--;
    pop_to(l, depth);
}

static void push(struct weft_layout *l, const struct element *e)
{
    size_t id = (size_t)(e - elements);
    if (l->depth == WEFT_LAYOUT_DEPTH) {
        l->n_deeper[id]++;
        return;
    }
    if (is(e, PRE)) l->n_pre++;
    l->stack[l->depth] = (uint8_t)id;
    l->saved_row[l->depth++] = l->in_row;
    l->n_open[id]++;
    if (is(e, TABLE)) l->in_row = false;
}

static void close_kept(struct weft_layout *l, const struct element *e)
{
    size_t id = (size_t)(e - elements), depth = l->depth;
    if (l->n_deeper[id]) {
        l->n_deeper[id]--;
        return;
    }
    if (!l->n_open[id]) return;
    /* A table keeps what is inside from closing what is outside. */
    while (depth && l->stack[depth - 1] != id && !is(&elements[l->stack[depth - 1]], TABLE)) depth--;
    if (depth && l->stack[depth - 1] == id) pop_to(l, depth - 1);
}

static void end_heading(struct weft_layout *l)
{
    if (l->in_heading && l->heading_at != SIZE_MAX) {
        struct heading h = { l->heading_line, l->heading_at, l->out.len - l->heading_at };
        weft_buf_add(&l->headings, &h, sizeof h);
    }
    l->in_heading = false;
}

void weft_layout_open(struct weft_layout *l, struct weft_str name, uint64_t at)
{
    const struct element *e = find(name);
    l->skip_newline = false;
    if (is(e, SKIP)) {
        l->n_open[e - elements]++;
        l->ignored += l->n_skip++ == 0;
    }
    if (l->n_skip) return;
    if (!is(e, META)) l->in_head = false;
    if (!e) return;
    if (is(e, HEAD)) l->in_head = true;
    if (is(e, TITLE)) l->in_title = true;
    if (is(e, READING)) {
        l->ignored += !l->in_reading;
        l->in_reading = true;
    } else if (e->flags & (BASE | BLOCK | ROW | CELL)) l->in_reading = false;
    if (l->in_reading) return;
    if (is(e, BREAK)) {
        if (l->want_break) newline(l, at);
        newline(l, at);
    }
    if (is(e, BLOCK)) want_break(l);
    if (e->flags & (ROW | CELL)) pop_to_table(l);
    if (is(e, ROW)) {
        end_row(l);
        l->in_row = false;
    }
    if (is(e, CELL)) {
        if (l->in_row) {
            l->want_break = l->want_space = false;
            put(l, "\t", 1, '\t', at, at);
            l->inked = false;
        } else if (l->want_break) newline(l, at);       /* now: an empty first cell leaves nothing but a tab */
        l->in_row = true;
    }
    if (is(e, HEADING)) {
        end_heading(l);
        l->in_heading = true;
        l->heading_at = SIZE_MAX;
    }
    if (is(e, KEPT)) push(l, e);
    l->skip_newline = is(e, PRE);
}

void weft_layout_close(struct weft_layout *l, struct weft_str name, uint64_t at)
{
    const struct element *e = find(name);
    (void)at;
    l->skip_newline = false;
    if (!e) return;
    if (is(e, SKIP)) {
        if (!l->n_open[e - elements]) return;
        l->n_open[e - elements]--;
        l->n_skip--;
        return;
    }
    if (l->n_skip) return;
    if (is(e, HEAD)) l->in_head = false;
    if (is(e, TITLE)) {
        l->in_title = false;
        l->has_title = l->title.len > 0;
    }
    if (e->flags & (READING | BASE | BLOCK | ROW | CELL)) l->in_reading = false;
    if (is(e, BLOCK)) want_break(l);
    if (e->flags & (ROW | CELL)) pop_to_table(l);
    if (is(e, ROW) || is(e, TABLE)) end_row(l);
    if (is(e, ROW)) l->in_row = false;
    if (is(e, KEPT)) close_kept(l, e);
    if (is(e, HEADING)) end_heading(l);
}

static bool is_space(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\f' || c == '\r'; }

static bool is_blank(struct weft_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!is_space(s.s[i])) return false;
    return true;
}

/* Bytes from i on, the first of them included, up to white space. */
static size_t word_length(struct weft_str text, size_t i)
{
    size_t n = 1;
    while (i + n < text.len && !is_space(text.s[i + n])) n++;
    return n;
}

static uint32_t last_character(struct weft_str text, size_t end)
{
    size_t at = end - 1;
    uint32_t cp;
    while (at > 0 && end - at < 4 && ((unsigned char)text.s[at] & 0xC0) == 0x80) at--;
    weft_utf8_decode(text.s + at, end - at, &cp, NULL);
    return cp;
}

void weft_layout_text(struct weft_layout *l, struct weft_str text, uint64_t from, uint64_t to)
{
    bool by_byte = text.len == to - from;
    if (l->n_skip || l->in_reading) return;
    if (l->in_title) {
        if (!l->has_title) weft_buf_str(&l->title, text);
        return;
    }
    if (l->in_head) {
        l->ignored += !is_blank(text);
        return;
    }
    for (size_t i = 0, n; i < text.len; i += n) {
        char c = text.s[i];
        uint64_t begin = by_byte ? from + i : from;
        n = 1;
        if (is_space(c) && !l->n_pre) put_space(l, c);
        else if (c == '\n' || c == '\r') {
            if (!l->skip_newline) {
                if (l->want_break) newline(l, begin);
                newline(l, begin);
            }
        } else {
            uint32_t cp;
            weft_utf8_decode(text.s + i, text.len - i, &cp, NULL);
            n = word_length(text, i);
            put(l, text.s + i, n, cp, begin, by_byte ? begin + n : to);
            l->last = last_character(text, i + n);
        }
        l->skip_newline = false;
    }
}

/* ---- the end ---- */

/* One line of it: white space runs become single spaces, none at the ends. */
static struct weft_str one_line(struct weft_arena *a, struct weft_str s)
{
    struct weft_str out = s.len ? weft_str_dup(a, weft_str_trim_ascii(s)) : (struct weft_str){ "", 0 };
    if (!out.s || !out.len) return out;
    char *p = (char *)out.s;        /* ours since the copy */
    size_t n = 0;
    for (size_t i = 0; i < out.len; i++)
        if (!is_space(p[i])) p[n++] = p[i];
        else if (n && p[n - 1] != ' ') p[n++] = ' ';
    out.len = n;
    return out;
}

static enum weft_status make_sections(struct weft_layout *l, struct weft_arena *a, struct weft_text *out,
                                      struct weft_err *err)
{
    const struct heading *h = (const struct heading *)(const void *)l->headings.s;
    size_t n = l->headings.len / sizeof *h;
    enum weft_status st = WEFT_OK;
    out->title = one_line(a, weft_buf_view(&l->title));
    if (!out->title.s) return weft_fail_nomem(err, l->title.len, "the title of a section");
    if (out->title.len || n) st = weft_text_section_add(a, out, (struct weft_text_section){ .title = out->title }, err);
    for (size_t i = 0; !st && i < n; i++) {
        struct weft_text_section s = { .first_line = h[i].line };
        s.title = one_line(a, weft_str_sub(out->text, h[i].at, h[i].at + h[i].len));
        if (!s.title.s) return weft_fail_nomem(err, h[i].len, "the title of a section");
        st = weft_text_section_add(a, out, s, err);
    }
    return st;
}

enum weft_status weft_layout_finish(struct weft_layout *l, struct weft_arena *a, uint64_t end, struct weft_text *out,
                                    struct weft_err *err)
{
    end_heading(l);
    if (l->line_used) newline(l, end);
    size_t n = n_lines(l);
    struct weft_text_line last = { l->out.len, end, end };
    weft_buf_add(&l->lines, &last, sizeof last);
    enum weft_status st = weft_buf_check(&l->out, "the text", err);
    if (!st) st = weft_buf_check(&l->lines, "the line table", err);
    if (!st) st = weft_buf_check(&l->headings, "the sections of a text", err);
    if (!st) st = weft_buf_check(&l->title, "the title of a section", err);
    if (st) return st;
    out->text = weft_str_dup(a, weft_buf_view(&l->out));
    if (!out->text.s) return weft_fail_nomem(err, l->out.len, "the text");
    out->lines = WEFT_NEWS(a, struct weft_text_line, n + 1);
    if (!out->lines) return weft_fail_nomem(err, (n + 1) * sizeof *out->lines, "the line table");
    memcpy(out->lines, l->lines.s, (n + 1) * sizeof *out->lines);
    out->n_lines = n;
    out->ignored += l->ignored;
    return make_sections(l, a, out, err);
}

void weft_layout_clear(struct weft_layout *l)
{
    weft_buf_clear(&l->out);
    weft_buf_clear(&l->lines);
    weft_buf_clear(&l->headings);
    weft_buf_clear(&l->title);
}
