/* Which gaps are spaces.  pdftotext ends a word at a space and at any gap of a tenth of the type size; both look the
 * same in its table.  Between Latin words either is a space.  Between Chinese characters justified lines have such gaps
 * everywhere: there a space is a gap that is wide (0.18 em; the space of a Chinese font has 0.2 to 0.5, an ideographic
 * one 1 em) and wider than the gaps of its line commonly are.  Where a font changes within a word there is no gap. */
#include "text/pdf_lines.h"

#include "text/layout.h"
#include "text/pdf_vertical.h"

#include <math.h>
#include <stdlib.h>

enum { LEVEL_PAGE = 1, LEVEL_FLOW = 3, LEVEL_LINE = 4, LEVEL_WORD = 5, COLUMNS = 12 };

static const float no_gap = 0.08F, east_gap = 0.18F, wide_gap = 0.75F, widest_gap = 1.6F,
                   column_gap = 0.85F;

struct row {
    int level;
    float x, y, width, height;
    struct weft_str text;
};

struct parser {
    struct weft_pdf_lines *out;
    struct weft_text *t;
    struct weft_buf words;          /* struct weft_pdf_word each: of the page being read */
    struct weft_buf raw;            /* their text */
    struct weft_buf scratch;        /* of one line or page */
    uint32_t flow, line;            /* line: of the page */
    bool vertical;                  /* the page before was */
};

/* ---- rows ---- */

/* A decimal number without exponent; what is larger than any page is cut, so that no arithmetic overflows. */
static bool number(struct weft_str s, float *out)
{
    size_t i = s.len && s.s[0] == '-', digits = 0;
    bool negative = i == 1;
    double v = 0, unit = 1;
    for (; i < s.len && s.s[i] >= '0' && s.s[i] <= '9'; i++, digits++) v = v * 10 + (s.s[i] - '0');
    if (i < s.len && s.s[i] == '.')
        for (i++; i < s.len && s.s[i] >= '0' && s.s[i] <= '9'; i++, digits++) v += (unit /= 10) * (s.s[i] - '0');
    if (i < s.len || !digits) return false;
    v = v < 1e5 ? v : 1e5;
    *out = (float)(negative ? -v : v);
    return true;
}

static bool read_row(struct weft_str line, struct row *r)
{
    struct weft_str cell[COLUMNS];
    for (size_t i = 0; i + 1 < COLUMNS; i++) {
        const char *tab = line.len ? memchr(line.s, '\t', line.len) : NULL;
        if (!tab) return false;
        cell[i] = weft_str_sub(line, 0, (size_t)(tab - line.s));
        line = weft_str_skip(line, cell[i].len + 1);
    }
    if (cell[0].len != 1 || cell[0].s[0] < '1' || cell[0].s[0] > '5') return false;
    r->level = cell[0].s[0] - '0';
    r->text = line;
    return number(cell[6], &r->x) && number(cell[7], &r->y) && number(cell[8], &r->width)
           && number(cell[9], &r->height) && r->width >= 0 && r->height >= 0;
}

/* The next line of the table, without its end. */
static bool next_line(struct weft_str table, size_t *at, struct weft_str *line)
{
    if (*at >= table.len) return false;
    const char *end = memchr(table.s + *at, '\n', table.len - *at);
    size_t to = end ? (size_t)(end - table.s) : table.len;
    *line = weft_str_sub(table, *at, to);
    *at = to + 1;
    return true;
}

size_t weft_pdf_lines_whole(struct weft_str table)
{
    size_t whole = 0, at = 0, from = 0;
    struct weft_str line;
    struct row r;
    for (; next_line(table, &at, &line); from = at)
        if (read_row(line, &r) && r.level == LEVEL_PAGE) whole = from;
    return whole;
}

/* ---- characters ---- */

static bool is_letter(uint32_t cp)
{
    return (cp >= '0' && cp <= '9') || (cp >= 'A' && cp <= 'Z') || (cp >= 'a' && cp <= 'z')
           || (cp >= 0xC0 && cp < 0x1100) || cp == '\'' || cp == 0x2019;
}
static bool is_closer(uint32_t cp)
{
    static const uint32_t closers[] = { 0x2019, 0x201D, 0x3001, 0x3002, 0x3009, 0x300B, 0x300D, 0x300F, 0x3011, 0x3015,
                                        0x3017, 0xFF01, 0xFF09, 0xFF0C, 0xFF0E, 0xFF1A, 0xFF1B, 0xFF1F, 0xFF5D };
    for (size_t i = 0; i < WEFT_COUNT(closers); i++)
        if (closers[i] == cp) return true;
    return cp == '.' || cp == ',' || cp == ')' || cp == '!' || cp == '?' || cp == ';' || cp == ':';
}
static bool is_opener(uint32_t cp)
{
    static const uint32_t openers[] = { 0x2018, 0x201C, 0x3008, 0x300A, 0x300C, 0x300E, 0x3010, 0x3014, 0x3016, 0xFF08,
                                        0xFF5B };
    for (size_t i = 0; i < WEFT_COUNT(openers); i++)
        if (openers[i] == cp) return true;
    return cp == '(' || cp == '[';
}
static bool is_dash(uint32_t cp) { return cp == 0x2014 || cp == 0x2026; }

bool weft_pdf_joins(uint32_t x, uint32_t y, bool east)
{
    return weft_layout_joins(x, y) || (east && weft_layout_shared(x) && weft_layout_shared(y));
}

/* Widths in the unit of half a Chinese character. */
static unsigned half_ems(uint32_t cp) { return weft_layout_east(cp) || cp == 0x3000 ? 2 : 1; }

struct counted {
    unsigned halves, east, head;    /* head: of what stands together at the begin */
    uint32_t first, last;
};

static struct counted count(struct weft_str s)
{
    struct counted c = { 0 };
    uint32_t before = 0;
    bool in_head = true;
    for (size_t i = 0; i < s.len && c.halves < 1000000;) {
        uint32_t cp;
        i += weft_utf8_decode(s.s + i, s.len - i, &cp, NULL);
        if (!before) c.first = cp;
        else if (in_head)
            in_head = is_closer(cp) || is_opener(before) || (is_dash(cp) && is_dash(before))
                      || (is_letter(cp) && is_letter(before));
        c.halves += half_ems(cp);
        c.east += weft_layout_east(cp);
        if (in_head) c.head = c.halves;
        c.last = before = cp;
    }
    return c;
}

/* The text of a cell, whatever bytes it has. */
static void put_clean(struct parser *p, struct weft_str s, uint64_t from)
{
    for (size_t i = 0; i < s.len;) {
        uint32_t cp;
        bool ok;
        size_t n = weft_utf8_decode(s.s + i, s.len - i, &cp, &ok);
        bool nul = ok && !cp;
        if ((!ok || nul) && p->t->n_places < WEFT_TEXT_PLACES)
            p->t->places[p->t->n_places++] = (struct weft_text_place){ 0, from + i };
        p->t->repaired += !ok;
        p->t->nul_dropped += nul;
        if (ok && (cp == '\r' || cp == '\f' || cp == '\t')) weft_buf_char(&p->raw, ' ');
        else if (!nul) weft_buf_utf8(&p->raw, cp);
        i += n;
    }
}

/* ---- lines ---- */

/* Words that stand together. */
struct words {
    struct weft_pdf_word *w;
    size_t n;
};
static struct words words_of_page(const struct parser *p)
{
    return (struct words){ (struct weft_pdf_word *)(void *)p->words.s, p->words.len / sizeof(struct weft_pdf_word) };
}
static struct weft_str word_text(const struct parser *p, const struct weft_pdf_word *w)
{
    return weft_str_sub(weft_buf_view(&p->raw), w->at, w->at + w->len);
}

static int by_size(const void *x, const void *y)
{
    const float *a = x, *b = y;
    return (*a > *b) - (*a < *b);
}

/* Above this a gap between Chinese characters of this line is a space. */
static float east_space(struct parser *p, struct words line, float em)
{
    const struct weft_pdf_word *w = line.w;
    if (w->tier) return column_gap * em;
    weft_buf_reset(&p->scratch);
    for (size_t i = 1; i < line.n; i++) {
        struct counted x = count(word_text(p, &w[i - 1])), y = count(word_text(p, &w[i]));
        float gap = w[i].x0 - w[i - 1].x1;
        if (gap > 0 && weft_pdf_joins(x.last, y.first, true)) weft_buf_add(&p->scratch, &gap, sizeof gap);
    }
    size_t n = p->scratch.len / sizeof(float);
    if (p->scratch.failed || n < 3) return east_gap * em;
    float *gaps = (float *)(void *)p->scratch.s;
    qsort(gaps, n, sizeof *gaps, by_size);
    return fmaxf(east_gap * em, 1.6F * gaps[n / 2]);
}

static void put_gap(struct weft_buf *text, float gap, float em, float east_limit, uint32_t x, uint32_t y)
{
    if (gap < no_gap * em) return;
    if (weft_pdf_joins(x, y, true)) {
        if (gap < east_limit) return;
        if (gap >= wide_gap * em && gap < widest_gap * em) {
            weft_buf_utf8(text, 0x3000);
            return;
        }
    } else if (weft_layout_east(x) != weft_layout_east(y) && gap < east_gap * em) return;
    weft_buf_char(text, ' ');
}

void weft_pdf_put_gap(struct weft_buf *text, float gap, float em, uint32_t x, uint32_t y)
{
    put_gap(text, gap, em, east_gap * em, x, y);
}

/* Text that runs down the page: turned so that lines run along a.  One that runs up is turned the other way. */
static void turn(struct words line, float page_width, float page_height)
{
    struct weft_pdf_word *w = line.w;
    bool up = line.n > 1 && w[line.n - 1].y0 < w[0].y0;
    for (size_t i = 0; i < line.n; i++) {
        struct weft_pdf_word was = w[i];
        w[i].x0 = up ? page_height - was.y1 : was.y0;
        w[i].x1 = up ? page_height - was.y0 : was.y1;
        w[i].y0 = up ? was.x0 : page_width - was.x1;
        w[i].y1 = up ? was.x1 : page_width - was.x0;
    }
}

/* The box of a character that stands upright in its column is that of horizontal type: higher than its advance, which
 * is its width, and beginning 0.95 em above the base line; its body begins 0.88 em above it. */
static void cut_to_advance(struct parser *p, struct words line)
{
    for (size_t i = 0; i < line.n; i++) {
        struct weft_pdf_word *w = &line.w[i];
        float em = w->x1 - w->x0;
        if (count(word_text(p, w)).east != 1 || w->y1 - w->y0 < em) continue;
        w->y0 += 0.07F * em;
        w->y1 = w->y0 + em;
    }
}

/* Words of a line become its text. */
static void put_line(struct parser *p, struct words line)
{
    struct weft_pdf_lines *out = p->out;
    const struct weft_pdf_page *page = &weft_pdf_page_items(out)[out->n_pages - 1];
    struct weft_pdf_word *w = line.w;
    size_t n = line.n;
    unsigned halves = 0;
    struct weft_pdf_line l = { .begin = w[0].begin, .end = w[0].end, .page = out->n_pages, .flow = w->flow };
    float x0 = w[0].x0, x1 = w[0].x1, y0 = w[0].y0, y1 = w[0].y1;
    for (size_t i = 0; i < n; i++) {
        x0 = fminf(x0, w[i].x0);
        x1 = fmaxf(x1, w[i].x1);
        y0 = fminf(y0, w[i].y0);
        y1 = fmaxf(y1, w[i].y1);
        l.begin = w[i].begin < l.begin ? w[i].begin : l.begin;
        l.end = w[i].end > l.end ? w[i].end : l.end;
        halves += count(word_text(p, &w[i])).halves;
    }
    l.down = w->tier || (y1 - y0 > 1.5F * (x1 - x0) && halves > 2);
    if (w->tier) cut_to_advance(p, line);
    if (l.down) turn(line, page->width, page->height);
    const struct weft_pdf_word *widest = w;
    for (size_t i = 1; i < n; i++)
        if (w[i].x1 - w[i].x0 > widest->x1 - widest->x0) widest = &w[i];
    struct counted c = count(word_text(p, widest)), head = count(word_text(p, w)),
                   tail = count(word_text(p, &w[n - 1]));
    float height = widest->y1 - widest->y0, width = widest->x1 - widest->x0;
    l.east = c.east * 3 > c.halves;
    l.em = fmaxf(0.1F, l.east ? 2 * width / (float)c.halves : height / 1.2F);
    l.mid = (widest->y0 + widest->y1) / 2;
    l.a0 = w[0].x0;
    l.a1 = w[0].x1;
    l.b0 = w[0].y0;
    l.b1 = w[0].y1;
    l.first = head.first;
    l.last = tail.last;
    l.head = head.halves ? (w[0].x1 - w[0].x0) * (float)head.head / (float)head.halves : 0;
    l.at = out->text.len;
    float limit = east_space(p, line, l.em);
    uint32_t last = 0;
    for (size_t i = 0; i < n; i++) {
        struct counted here = count(word_text(p, &w[i]));
        float gap = i ? w[i].x0 - w[i - 1].x1 : 0;
        /* Where a font has no measures for vertical text, punctuation makes gaps. */
        bool mark = is_closer(last) || is_closer(here.first) || is_opener(last) || is_opener(here.first);
        bool loose = w->tier && mark && gap < widest_gap * l.em;
        if (!loose) put_gap(&out->text, gap, l.em, limit, last, here.first);
        weft_buf_str(&out->text, word_text(p, &w[i]));
        last = here.last;
        l.a0 = fminf(l.a0, w[i].x0);
        l.a1 = fmaxf(l.a1, w[i].x1);
        l.b0 = fminf(l.b0, w[i].y0);
        l.b1 = fmaxf(l.b1, w[i].y1);
    }
    if (weft_text_visible(weft_str_sub(weft_buf_view(&out->text), l.at, out->text.len))) {
        l.len = out->text.len - l.at;
        struct weft_str text = weft_str_sub(weft_buf_view(&out->text), l.at, out->text.len);
        if (w->tier) l.head = l.em * (float)count(text).head / 2;
        weft_buf_add(&out->items, &l, sizeof l);
        out->n_lines += !out->items.failed;
    }
}

/* Ends the page being read: its words become lines.  The columns of a tier are a flow. */
static void end_page(struct parser *p)
{
    struct words page = words_of_page(p);
    if (!page.n || !p->out->n_pages || p->words.failed || p->raw.failed) goto done;
    p->vertical = weft_pdf_vertical(page.w, page.n, weft_buf_view(&p->raw), p->vertical, &p->scratch);
    for (size_t i = 0, end; i < page.n; i = end) {
        for (end = i + 1; end < page.n && page.w[end].line == page.w[i].line; end++) {}
        if (p->vertical) page.w[i].flow = p->flow += !i || page.w[i].tier != page.w[i - 1].tier;
        put_line(p, (struct words){ page.w + i, end - i });
    }
done:
    weft_buf_reset(&p->words);
    weft_buf_reset(&p->raw);
    p->line = 0;
}

static void add_word(struct parser *p, const struct row *r, uint64_t begin, uint64_t end)
{
    struct weft_pdf_word w = { .at = p->raw.len, .begin = begin, .end = end, .x0 = r->x, .x1 = r->x + r->width,
                               .y0 = r->y, .y1 = r->y + r->height, .line = p->line, .flow = p->flow };
    put_clean(p, r->text, end - r->text.len);
    w.len = p->raw.len - w.at;
    if (w.len) weft_buf_add(&p->words, &w, sizeof w);
}

/* A row that is none: more text of the word before. */
static void add_stray(struct parser *p, struct weft_str line, uint64_t begin)
{
    struct words page = words_of_page(p);
    if (!line.len) return;
    if (!page.n || page.w[page.n - 1].line != p->line) {
        add_word(p, &(struct row){ .text = line }, begin, begin + line.len);
        return;
    }
    struct weft_pdf_word *w = &page.w[page.n - 1];
    weft_buf_char(&p->raw, ' ');
    put_clean(p, line, begin);
    w->len = p->raw.len - w->at;
    w->end = begin + line.len;
}

static void add_page(struct parser *p, const struct row *r, uint64_t begin)
{
    struct weft_pdf_page page = { .begin = begin, .width = r ? r->width : 0, .height = r ? r->height : 0,
                                  .first_line = p->out->n_lines };
    weft_buf_add(&p->out->pages, &page, sizeof page);
    p->out->n_pages += r && !p->out->pages.failed;
}

enum weft_status weft_pdf_lines_parse(struct weft_pdf_lines *l, struct weft_str table, struct weft_text *t,
                                      struct weft_err *err)
{
    struct parser p = { .out = l, .t = t };
    struct weft_str line;
    struct row r;
    for (size_t at = 0, from = 0; next_line(table, &at, &line); from = at) {
        if (!from && weft_str_starts(line, WEFT_STR("level\t"))) continue;
        bool row = read_row(line, &r);
        if (!row) {
            if (l->n_pages) add_stray(&p, line, from);
        } else if (r.level == LEVEL_WORD) add_word(&p, &r, from, from + line.len);
        else {
            p.line++;
            if (r.level == LEVEL_FLOW) p.flow++;
            if (r.level == LEVEL_PAGE) {
                end_page(&p);
                p.flow++;
                add_page(&p, &r, from);
            }
        }
    }
    end_page(&p);
    add_page(&p, NULL, table.len);
    enum weft_status st = weft_buf_check(&l->text, "the text of the PDF", err);
    if (!st) st = weft_buf_check(&l->items, "the line table", err);
    if (!st) st = weft_buf_check(&l->pages, "the line table", err);
    if (!st) st = weft_buf_check(&p.words, "the line table", err);
    if (!st) st = weft_buf_check(&p.raw, "the text of the PDF", err);
    if (!st) st = weft_buf_check(&p.scratch, "the line table", err);
    weft_buf_clear(&p.words);
    weft_buf_clear(&p.raw);
    weft_buf_clear(&p.scratch);
    return st;
}

void weft_pdf_lines_clear(struct weft_pdf_lines *l)
{
    weft_buf_clear(&l->text);
    weft_buf_clear(&l->items);
    weft_buf_clear(&l->pages);
    *l = (struct weft_pdf_lines){ 0 };
}
