/* How it is told.  Everything is measured in em, the size of the type, and against the document itself:
 *
 *   edges       a flow of pdftotext is as wide as its widest line.  A flow of few lines is less wide than its column:
 *               flows of the page above and below it count too, as far as no flow stands beside it, and so does the
 *               width that most lines of the document have.  Without any of these a line is not full because it is the
 *               widest: the edge is then supposed where even margins would have it.
 *   short line  what the break could not have parted from the begin of the next line (its first word, its first Chinese
 *               character with the marks that cling to it) would have fitted before the right edge.
 *   indentation by itself means nothing: it may be a list or a quotation.  Where most lines with this indentation come
 *               behind a short line or a gap, it is how the document begins paragraphs; where most come behind a full
 *               one, a lesser one begins something new.
 *   gap         a distance from line to line that is 1.2 times the usual one: the smallest that a fifth of all lines
 *               with a full line before them have.
 *   hyphen      U+2010 and U+00AD at the end of a line were made by the break.  A minus sign may be the word's own: the
 *               spelling that stands elsewhere in the document decides; else documents in which less than one line in
 *               twenty-five ends with one are not hyphenated.  A capital or a digit behind it keeps it.
 */
#include "text/pdf_paragraphs.h"

#include "text/layout.h"
#include "text/writer.h"

#include <math.h>
#include <stdlib.h>

enum {
    FLOWS = 64,                     /* of a page, that are compared with each other */
    WIDTHS = 2000, PITCHES = 200,   /* points; 0.02 em */
    COMMON = 8,                     /* lines that make a width of columns the document's */
    INDENTS = 33, INDENT_WINDOW = 2 /* 0.25 em */
};

static const float usual_pitch = 1.8F;     /* em, of a document that shows none */

struct flow {
    size_t first, last;             /* lines, inclusive */
    float a0, a1, b0, b1;
    float left, right, limit;       /* edges of its column; where its right neighbour begins */
    bool supposed;                  /* its right edge is that of a page with even margins */
};

struct words {                      /* of the document, as sorted hashes */
    uint64_t *items;
    size_t n;
};

struct context {
    const struct weft_pdf_lines *in;
    struct weft_pdf_line *lines;
    size_t n;
    uint32_t *flow_of;              /* [n] */
    struct flow *flows;
    size_t n_flows;
    uint64_t indents[INDENTS], ended[INDENTS];
    float pitch;                    /* usual distance from line to line, in em */
    bool hyphenated;                /* minus signs at line ends are hyphens of the break */
    bool mixed_space;               /* a space between Chinese and Latin is the document's way */
    struct words words;
};

static struct weft_str text_of(const struct context *c, size_t i)
{
    return weft_str_sub(weft_buf_view(&c->in->text), c->lines[i].at, c->lines[i].at + c->lines[i].len);
}

/* ---- flows and their edges ---- */

static bool meet(float x0, float x1, float y0, float y1) { return x0 < y1 && y0 < x1; }

static bool hangs(uint32_t cp) { return cp == 0x3001 || cp == 0x3002 || cp == 0xFF0C || cp == 0xFF0E; }

/* Commas and full stops may hang below the edge of vertical text: then no line that ends otherwise reaches as far. */
static float hanging_edge(const struct context *c, const struct flow *f)
{
    float other = f->a0, em = c->lines[f->first].em;
    for (size_t i = f->first; i <= f->last; i++)
        if (!hangs(c->lines[i].last)) other = fmaxf(other, c->lines[i].a1);
    for (size_t i = f->first; i <= f->last; i++) em = fminf(em, c->lines[i].em);
    float over = f->a1 - other;
    return c->lines[f->first].down && over > 0.5F * em && over < 1.3F * em ? other : f->a1;
}

static void find_flows(struct context *c)
{
    for (size_t i = 0; i < c->n; i++) {
        const struct weft_pdf_line *l = &c->lines[i];
        struct flow *f = c->n_flows ? &c->flows[c->n_flows - 1] : NULL;
        if (!f || c->lines[f->first].flow != l->flow || c->lines[f->first].down != l->down) {
            f = &c->flows[c->n_flows++];
            *f = (struct flow){ .first = i, .a0 = l->a0, .a1 = l->a1, .b0 = l->b0, .b1 = l->b1 };
        }
        f->last = i;
        f->a0 = fminf(f->a0, l->a0);
        f->a1 = fmaxf(f->a1, l->a1);
        f->b0 = fminf(f->b0, l->b0);
        f->b1 = fmaxf(f->b1, l->b1);
        c->flow_of[i] = (uint32_t)(c->n_flows - 1);
    }
    for (size_t i = 0; i < c->n_flows; i++) c->flows[i].a1 = hanging_edge(c, &c->flows[i]);
}

/* Edges of flows [from, to), all of one page. */
static void find_edges(struct flow *f, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        f[i].left = f[i].a0;
        f[i].right = f[i].a1;
        f[i].limit = 1e9F;
        for (size_t k = 0; k < n && n <= FLOWS; k++)
            if (f[k].a0 >= f[i].a1 && meet(f[i].b0, f[i].b1, f[k].b0, f[k].b1)) f[i].limit = fminf(f[i].limit, f[k].a0);
    }
    for (size_t i = 0; i < n && n <= FLOWS; i++) {
        float limit = f[i].limit, start = -1e9F;
        /* The column of its neighbours is its own: what is beside them limits it too. */
        for (size_t k = 0; k < n; k++)
            if (f[k].a1 <= f[i].a0 && meet(f[i].b0, f[i].b1, f[k].b0, f[k].b1)) start = fmaxf(start, f[k].a1);
        for (size_t k = 0; k < n; k++) {
            if (!meet(f[i].a0, f[i].a1, f[k].a0, f[k].a1) || f[k].a1 > limit || f[k].a0 < start) continue;
            f[i].right = fmaxf(f[i].right, f[k].a1);
            f[i].left = fminf(f[i].left, f[k].a0);
        }
    }
}

/* Lines that come near the right edge, and others. */
static bool is_filled(const struct context *c, const struct flow *f)
{
    size_t near = 0, n = f->last - f->first + 1;
    float em = c->lines[f->first].em;
    for (size_t i = f->first; i <= f->last; i++)
        near += f->right - c->lines[i].a1 <= (c->lines[i].east ? 2 : 6) * c->lines[i].em;
    return n >= 4 && near * 2 >= n && near < n && f->right - f->left >= 18 * em;
}

/* The right edge of a flow without neighbours is that of its widest line.  Where neither the page nor its other lines
 * bear it out (a poem, a page of a few words) the edge is where a page with even margins would have it. */
static void distrust_edges(struct context *c, struct flow *f, size_t n, float page_width)
{
    float margin = 1e9F;
    for (size_t i = 0; i < n; i++) margin = fminf(margin, f[i].left);
    for (size_t i = 0; i < n; i++) {
        float even = page_width - 1.25F * margin - 2 * c->lines[f[i].first].em;
        if (f[i].limit < 1e9F || f[i].right >= even || c->lines[f[i].first].down || is_filled(c, &f[i])) continue;
        f[i].right = even;
        f[i].supposed = true;
    }
}

static void find_all_edges(struct context *c)
{
    uint64_t weights[WIDTHS] = { 0 };
    float widest[WIDTHS] = { 0 };
    for (size_t i = 0, end; i < c->n_flows; i = end) {
        uint64_t page = c->lines[c->flows[i].first].page;
        for (end = i + 1; end < c->n_flows && c->lines[c->flows[end].first].page == page; end++) {}
        find_edges(c->flows + i, end - i);
        distrust_edges(c, c->flows + i, end - i, weft_pdf_page_items(c->in)[page - 1].width);
    }
    for (size_t i = 0; i < c->n_flows; i++) {
        const struct flow *f = &c->flows[i];
        float width = f->right - f->left;
        if (f->supposed || f->last - f->first < 2 || !(width > 0) || width >= WIDTHS) continue;
        weights[(size_t)width] += f->last - f->first + 1;
        widest[(size_t)width] = fmaxf(widest[(size_t)width], width);
    }
    size_t most = 0;
    for (size_t i = 1; i < WIDTHS; i++)
        if (weights[i] > weights[most]) most = i;
    for (size_t i = 0; i < c->n_flows && weights[most] >= COMMON; i++) {
        struct flow *f = &c->flows[i];
        bool wider = f->right - f->left < widest[most];
        if ((wider || f->supposed) && f->a1 <= f->left + widest[most] && f->left + widest[most] <= f->limit)
            f->right = f->left + widest[most];
    }
}

static const struct flow *flow_of(const struct context *c, size_t i) { return &c->flows[c->flow_of[i]]; }

/* ---- what two neighbours show ---- */

static bool is_latin_letter(uint32_t cp)
{
    return (cp >= 'A' && cp <= 'Z') || (cp >= 'a' && cp <= 'z')
           || (cp >= 0xC0 && cp < 0x530 && cp != 0xD7 && cp != 0xF7);
}

static bool is_break_hyphen(uint32_t cp) { return cp == 0x2010 || cp == 0xAD; }

/* Would the begin of y still have fitted behind x? */
static bool is_short(const struct context *c, size_t x, size_t y)
{
    const struct weft_pdf_line *l = &c->lines[x], *m = &c->lines[y];
    float space = weft_pdf_joins(l->last, m->first, true) ? 0 : 0.2F * l->em;
    float slack = (l->east ? 0.3F : 0.05F) * l->em;
    return l->a1 + space + m->head <= flow_of(c, x)->right - slack;
}

static bool same_size(const struct weft_pdf_line *x, const struct weft_pdf_line *y)
{
    float ratio = x->em > y->em ? x->em / y->em : y->em / x->em;
    return ratio < (x->east == y->east ? 1.15F : 1.5F);
}

/* y stands below x in one column. */
static bool below(const struct context *c, size_t x, size_t y)
{
    const struct weft_pdf_line *l = &c->lines[x], *m = &c->lines[y];
    return l->page == m->page && l->down == m->down && m->mid > l->mid + 0.3F * l->em
           && meet(l->a0, l->a1, m->a0, m->a1);
}

static float pitch_of(const struct context *c, size_t x, size_t y)
{
    return (c->lines[y].mid - c->lines[x].mid) / fmaxf(c->lines[x].em, c->lines[y].em);
}

/* In quarters of an em; 0: none. */
static size_t indent_of(const struct context *c, size_t i)
{
    float by = (c->lines[i].a0 - flow_of(c, i)->left) / c->lines[i].em * 4;
    return by < 2.5F ? 0 : by >= INDENTS - 1 ? INDENTS - 1 : (size_t)(by + 0.5F);
}

enum indent { UNKNOWN, BEGINS, GOES_ON };

static enum indent indent_means(const struct context *c, size_t indent)
{
    uint64_t all = 0, ended = 0;
    if (!indent) return UNKNOWN;
    for (size_t i = 1; i < INDENTS; i++)
        if (i + INDENT_WINDOW >= indent && i <= indent + INDENT_WINDOW) {
            all += c->indents[i];
            ended += c->ended[i];
        }
    return all < 2 ? UNKNOWN : ended * 2 >= all ? BEGINS : GOES_ON;
}

/* ---- the document's ways ---- */

static void find_pitch(struct context *c)
{
    uint64_t full[PITCHES] = { 0 }, all = 0;
    for (size_t i = 0; i < c->n; i++) {
        size_t y = i + 1;
        if (y == c->n || !below(c, i, y) || c->flow_of[i] != c->flow_of[y]
            || !same_size(&c->lines[i], &c->lines[y]) || is_short(c, i, y))
            continue;
        float pitch = pitch_of(c, i, y) * 50;
        if (pitch >= PITCHES) continue;
        full[(size_t)pitch]++;
        all++;
    }
    c->pitch = usual_pitch;
    for (size_t i = 0; i < PITCHES && all; i++) {
        uint64_t near = full[i];
        for (size_t k = 1; k <= 2; k++) near += (i >= k ? full[i - k] : 0) + (i + k < PITCHES ? full[i + k] : 0);
        if (near * 5 < all) continue;
        c->pitch = ((float)i + 1) / 50;
        return;
    }
}

static bool is_gap(const struct context *c, size_t x, size_t y) { return pitch_of(c, x, y) > 1.2F * c->pitch; }

static void find_indents(struct context *c)
{
    for (size_t y = 1; y < c->n; y++) {
        size_t x = y - 1;
        if (!below(c, x, y)) continue;
        size_t indent = indent_of(c, y);
        c->indents[indent]++;
        c->ended[indent] += !same_size(&c->lines[x], &c->lines[y]) || is_short(c, x, y) || is_gap(c, x, y);
    }
}

static uint64_t fold(uint64_t h, char ch)
{
    return (h ^ (unsigned char)(ch >= 'A' && ch <= 'Z' ? ch + 32 : ch)) * 0x100000001B3U;
}
static uint64_t hash_word(uint64_t h, struct weft_str s)
{
    for (size_t i = 0; i < s.len; i++) h = fold(h, s.s[i]);
    return h;
}
static const uint64_t hash_start = 0xCBF29CE484222325U;

static bool in_word(char ch)
{
    return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') || ch == '-' || ch == '\''
           || (signed char)ch < 0;
}

static int by_hash(const void *x, const void *y)
{
    const uint64_t *a = x, *b = y;
    return (*a > *b) - (*a < *b);
}

/* Words that stand whole on a line. */
static enum weft_status find_words(struct context *c, struct weft_buf *b, struct weft_err *err)
{
    for (size_t i = 0; i < c->n; i++) {
        struct weft_str s = text_of(c, i);
        if (c->lines[i].east) continue;
        for (size_t at = 0, end; at < s.len; at = end + 1) {
            for (end = at; end < s.len && in_word(s.s[end]); end++) {}
            if (end == at || s.s[end - 1] == '-') continue;
            uint64_t h = hash_word(hash_start, weft_str_sub(s, at, end));
            weft_buf_add(b, &h, sizeof h);
        }
    }
    enum weft_status st = weft_buf_check(b, "the words of the document", err);
    if (st) return st;
    c->words = (struct words){ (uint64_t *)(void *)b->s, b->len / sizeof(uint64_t) };
    if (c->words.n) qsort(c->words.items, c->words.n, sizeof(uint64_t), by_hash);
    return WEFT_OK;
}

static bool has_word(const struct context *c, uint64_t h)
{
    return c->words.n && bsearch(&h, c->words.items, c->words.n, sizeof h, by_hash);
}

static void find_ways(struct context *c)
{
    uint64_t lines = 0, minus = 0, breaks = 0, spaced = 0, close = 0;
    for (size_t i = 0; i < c->n; i++) {
        struct weft_str s = text_of(c, i);
        lines += !c->lines[i].east;
        minus += c->lines[i].last == '-';
        breaks += is_break_hyphen(c->lines[i].last);
        uint32_t x = 0, y = 0;          /* the two characters before */
        for (size_t k = 0; k < s.len;) {
            uint32_t cp;
            k += weft_utf8_decode(s.s + k, s.len - k, &cp, NULL);
            bool east = weft_layout_east(cp), latin = is_latin_letter(cp) || (cp >= '0' && cp <= '9');
            if (y == ' ') spaced += (east && is_latin_letter(x)) || (latin && weft_layout_east(x));
            else close += (east && is_latin_letter(y)) || (latin && weft_layout_east(y));
            x = y;
            y = cp;
        }
    }
    c->hyphenated = !breaks && minus * 25 >= lines && (minus > 1 || lines <= 20);
    c->mixed_space = spaced > close;
}

/* ---- joining ---- */

static bool is_bullet(uint32_t cp)
{
    return cp == 0x2022 || cp == 0x25CF || cp == 0x25CB || cp == 0x25AA || cp == 0x25A0 || cp == 0x25E6 || cp == 0x2023
           || cp == 0x25C6 || cp == 0x25C7 || cp == 0xF0B7;
}

/* An indented line between two that are not. */
static bool sticks_out(const struct context *c, size_t x, size_t y)
{
    size_t z = y + 1;
    float em = c->lines[y].em, by = c->lines[y].a0 - c->lines[x].a0;
    return by > 0.6F * em && by < 8 * em
           && (z == c->n || !below(c, y, z) || c->lines[y].a0 - c->lines[z].a0 > 0.6F * em);
}

static bool goes_on(const struct context *c, size_t x, size_t y)
{
    const struct weft_pdf_line *l = &c->lines[x], *m = &c->lines[y];
    size_t indent = indent_of(c, y), indent_before = indent_of(c, x);
    if (!same_size(l, m) || l->down != m->down || is_bullet(m->first) || is_short(c, x, y)) return false;
    if (indent_means(c, indent) == BEGINS) return false;
    if (!indent && indent_means(c, indent_before) == GOES_ON) return false;     /* back from a list or a quotation */
    if (below(c, x, y)) return !is_gap(c, x, y) && !sticks_out(c, x, y);
    bool next_page = m->page > l->page;
    bool next_column = m->page == l->page && m->a0 >= l->a1 && m->mid < l->mid;
    return next_page || next_column;
}

/* The word that ends at `end`, or begins at `from`. */
static struct weft_str last_word(struct weft_str s, size_t end)
{
    size_t at = end;
    while (at && in_word(s.s[at - 1])) at--;
    return weft_str_sub(s, at, end);
}
static struct weft_str first_word(struct weft_str s)
{
    size_t n = 0;
    while (n < s.len && in_word(s.s[n])) n++;
    return weft_str_sub(s, 0, n);
}

/* Joins line y to the text that line x ended: drops its hyphen, or adds a space. */
static void join(const struct context *c, size_t x, size_t y, struct weft_buf *text)
{
    const struct weft_pdf_line *l = &c->lines[x], *m = &c->lines[y];
    struct weft_str s = text_of(c, x), next = text_of(c, y);
    size_t hyphen = l->last == '-' ? 1 : l->last == 0x2010 ? 3 : l->last == 0xAD ? 2 : 0;
    char lead[4];
    uint32_t before = 0;
    if (hyphen && s.len > hyphen) {
        size_t at = s.len - hyphen - 1;
        while (at && ((unsigned char)s.s[at] & 0xC0) == 0x80) at--;
        weft_utf8_decode(s.s + at, s.len - at, &before, NULL);
    }
    bool in_a_word = hyphen && is_latin_letter(before);
    size_t n = weft_utf8_encode(m->first, lead);
    bool lower = is_latin_letter(m->first) && !(n == 1 && lead[0] >= 'A' && lead[0] <= 'Z')
                 && !(m->first >= 0xC0 && m->first < 0xDF);
    if (in_a_word && lower) {
        struct weft_str head = last_word(s, s.len - hyphen), tail = first_word(next);
        uint64_t begin = hash_word(hash_start, head);
        bool whole = has_word(c, hash_word(begin, tail)), parted = has_word(c, hash_word(fold(begin, '-'), tail));
        if (is_break_hyphen(l->last) || (whole && !parted) || (whole == parted && c->hyphenated)) text->len -= hyphen;
        return;
    }
    if (l->last == 0xAD) text->len -= hyphen;
    if (in_a_word || (l->last == 0x2014 && !weft_str_ends(s, WEFT_STR(" \u2014"))) || m->first == 0x2014) return;
    if (weft_pdf_joins(l->last, m->first, l->east)) return;
    if (weft_layout_east(l->last) != weft_layout_east(m->first) && l->east && !c->mixed_space) return;
    weft_buf_char(text, ' ');
}

/* Latin ligatures have no place in text: they are how some fonts draw two letters. */
static void put_text(struct weft_buf *text, struct weft_str s)
{
    static const char *const letters[] = { "ff", "fi", "fl", "ffi", "ffl", "st", "st" };
    size_t from = 0;
    for (size_t i = 0; i + 2 < s.len; i++) {
        unsigned char k = (unsigned char)s.s[i + 2];
        if ((unsigned char)s.s[i] != 0xEF || (unsigned char)s.s[i + 1] != 0xAC || k < 0x80 || k > 0x86) continue;
        weft_buf_str(text, weft_str_sub(s, from, i));
        weft_buf_cstr(text, letters[k - 0x80]);
        from = i + 3;
    }
    weft_buf_str(text, weft_str_skip(s, from));
}

static enum weft_status write_out(struct context *c, struct weft_arena *a, struct weft_text *out, struct weft_err *err)
{
    struct weft_writer w = { 0 };
    struct weft_text_section at = { 0 };
    enum weft_status st = WEFT_OK;
    for (size_t i = 0; i < c->n && !st; i++) {
        const struct weft_pdf_line *l = &c->lines[i];
        bool on = i && goes_on(c, i - 1, i);
        if (i && !on) weft_writer_newline(&w, l[-1].end);
        if (on) {
            join(c, i - 1, i, &w.text);
            /* Columns may stand in the table in another order than they are read in. */
            w.line.begin = l->begin < w.line.begin ? l->begin : w.line.begin;
            w.line.end = l->end > w.line.end ? l->end : w.line.end;
        } else {
            w.line = (struct weft_text_line){ w.text.len, l->begin, l->end };
            w.open = true;
        }
        put_text(&w.text, text_of(c, i));
        struct weft_text_section s = { .first_line = w.n_lines, .page = on ? at.page : l->page, .last_page = l->page,
                                       .part = WEFT_STR("pdftotext -tsv") };
        if (s.page != at.page || s.last_page != at.last_page) st = weft_text_section_add(a, out, s, err);
        at = s;
    }
    if (!st && c->n) weft_writer_newline(&w, c->lines[c->n - 1].end);
    if (!st) st = weft_writer_finish(&w, a, out, err);
    weft_writer_clear(&w);
    return st;
}

enum weft_status weft_pdf_paragraphs(struct weft_arena *a, const struct weft_pdf_lines *l, struct weft_text *out,
                                     struct weft_err *err)
{
    struct context c = { .in = l, .lines = weft_pdf_line_items(l), .n = l->n_lines };
    struct weft_buf words = { 0 };
    struct weft_arena scratch = { 0 };
    enum weft_status st = WEFT_OK;
    size_t n = c.n + 1;

    c.flow_of = WEFT_NEWS(&scratch, uint32_t, n);
    c.flows = WEFT_NEWS(&scratch, struct flow, n);
    if (!c.flow_of || !c.flows) {
        st = weft_fail_nomem(err, n * sizeof *c.flows, "the line table");
        goto done;
    }
    find_flows(&c);
    find_all_edges(&c);
    find_pitch(&c);
    find_indents(&c);
    find_ways(&c);
    st = find_words(&c, &words, err);
    if (!st) st = write_out(&c, a, out, err);
done:
    weft_buf_clear(&words);
    weft_arena_clear(&scratch);
    return st;
}
