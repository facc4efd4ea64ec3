/* Furniture is one of the two outermost rows of a page, equal to a row at the same height on two other pages but
 * for its digits (one other page, where there are no more than three, or where the digits count the pages); then,
 * what stands where furniture stands on most pages; and a number that is its page's, far below the text. */
#include "text/pdf_furniture.h"

#include <math.h>
#include <stdlib.h>

enum {
    OUTER = 2,                      /* rows at each end of a page that may be furniture */
    HEIGHT = 3                      /* points that it may wander */
};

struct mark {                       /* a line that may be furniture */
    uint64_t key;                   /* of its text, digits alike */
    float mid;
    size_t line;
    bool digits_only;
    uint64_t value;                 /* of its digits */
};

struct pages {
    const struct weft_pdf_lines *in;
    struct weft_pdf_line *lines;
    size_t n;
    bool *dropped;                  /* [n] */
};

static struct weft_str text_of(const struct pages *c, size_t i)
{
    return weft_str_sub(weft_buf_view(&c->in->text), c->lines[i].at, c->lines[i].at + c->lines[i].len);
}

static bool is_roman(struct weft_str s)
{
    if (!s.len || s.len > 8) return false;
    for (size_t i = 0; i < s.len; i++)
        if (s.s[i] != 'i' && s.s[i] != 'v' && s.s[i] != 'x' && s.s[i] != 'l' && s.s[i] != 'c') return false;
    return true;
}

static struct mark mark_of(const struct pages *c, size_t i)
{
    struct weft_str s = text_of(c, i);
    struct mark m = { .mid = c->lines[i].mid, .line = i, .digits_only = true, .key = 0xCBF29CE484222325U };
    bool roman = is_roman(s), in_digits = false;
    for (size_t k = 0; k < s.len; k++) {
        unsigned char ch = (unsigned char)s.s[k];
        bool digit = roman || (ch >= '0' && ch <= '9');
        if (digit && !roman) m.value = m.value * 10 + (ch - '0');
        if (digit && in_digits) continue;
        in_digits = digit;
        if (!digit && ch > 0x20 && ch != '-' && ch < 0x80) m.digits_only = false;
        if (!digit && ch >= 0x80) m.digits_only = false;
        m.key = (m.key ^ (digit ? '#' : ch)) * 0x100000001B3U;
    }
    return m;
}

static int by_key(const void *x, const void *y)
{
    const struct mark *a = x, *b = y;
    if (a->key != b->key) return a->key < b->key ? -1 : 1;
    if (a->mid != b->mid) return a->mid < b->mid ? -1 : 1;
    return (a->line > b->line) - (a->line < b->line);
}
static int by_mid(const void *x, const void *y)
{
    const struct mark *a = x, *b = y;
    if (a->mid != b->mid) return a->mid < b->mid ? -1 : 1;
    return (a->line > b->line) - (a->line < b->line);
}

/* The lines of the outermost rows at both ends of a page become marks. */
static void add_marks(struct pages *c, size_t from, size_t to, struct mark *sorted, struct weft_buf *marks)
{
    size_t n = 0;
    for (size_t i = from; i < to; i++)
        if (!c->lines[i].down) sorted[n++] = (struct mark){ .mid = c->lines[i].mid, .line = i };
    qsort(sorted, n, sizeof *sorted, by_mid);
    for (int end = 0; end < 2; end++) {
        size_t rows = 0;
        float mid = -1e9F;
        for (size_t k = 0; k < n; k++) {
            size_t i = sorted[end ? n - 1 - k : k].line;
            if (fabsf(c->lines[i].mid - mid) > 0.6F * c->lines[i].em) {
                if (++rows > OUTER) break;
                mid = c->lines[i].mid;
            }
            struct mark m = mark_of(c, i);
            weft_buf_add(marks, &m, sizeof m);
        }
    }
}

/* Numbers that rise with their pages by the same steps. */
static bool counts_pages(const struct pages *c, const struct mark *x, const struct mark *y)
{
    return x->digits_only && y->value - x->value == c->lines[y->line].page - c->lines[x->line].page;
}

/* How far down its page a line stands. */
static float depth(const struct weft_pdf_line *l) { return l->down ? l->a1 : l->mid; }

/* A number that is its page's, far below the text: all that a document of one page shows. */
static void drop_lone_numbers(struct pages *c)
{
    const struct weft_pdf_page *pages = weft_pdf_page_items(c->in);
    for (size_t p = 0; p < c->in->n_pages; p++) {
        size_t lowest = SIZE_MAX;
        float above = -1e9F;
        for (size_t i = pages[p].first_line; i < pages[p + 1].first_line; i++)
            if (lowest == SIZE_MAX || depth(&c->lines[i]) > depth(&c->lines[lowest])) lowest = i;
        if (lowest == SIZE_MAX || c->lines[lowest].down) continue;
        for (size_t i = pages[p].first_line; i < pages[p + 1].first_line; i++)
            if (i != lowest) above = fmaxf(above, depth(&c->lines[i]));
        float least = weft_pdf_line_items(c->in)[pages[p].first_line].down ? 1.0F : 2.5F;
        if (above < 0 || c->lines[lowest].mid - above < least * c->lines[lowest].em) continue;
        struct mark m = mark_of(c, lowest);
        if (m.digits_only && m.value == p + 1) c->dropped[lowest] = true;
    }
}

/* Pages of one row each (slides, labels) look like furniture altogether: where less than half of the pages would keep
 * text, nothing is left out. */
static void keep_pages(struct pages *c, size_t with_text)
{
    size_t left = 0;
    uint64_t page = 0;
    for (size_t i = 0; i < c->n; i++) {
        if (c->dropped[i] || c->lines[i].page == page) continue;
        page = c->lines[i].page;
        left++;
    }
    if (left * 2 < with_text) memset(c->dropped, 0, c->n * sizeof *c->dropped);
}

static enum weft_status find(struct pages *c, struct weft_err *err)
{
    const struct weft_pdf_page *pages = weft_pdf_page_items(c->in);
    struct weft_buf marks = { 0 }, sorted = { 0 };
    enum weft_status st;
    size_t with_text = 0;

    if (!weft_buf_reserve(&sorted, (c->n + 1) * sizeof(struct mark))) sorted.failed = true;
    for (size_t p = 0; p < c->in->n_pages && !sorted.failed; p++) {
        with_text += pages[p + 1].first_line > pages[p].first_line;
        add_marks(c, pages[p].first_line, pages[p + 1].first_line, (struct mark *)(void *)sorted.s, &marks);
    }
    st = weft_buf_check(&sorted, "the line table", err);
    if (!st) st = weft_buf_check(&marks, "the line table", err);
    struct mark *m = (struct mark *)(void *)marks.s;
    size_t n = marks.len / sizeof *m, least = with_text <= 3 ? 2 : 3;
    if (st || !n) goto done;
    qsort(m, n, sizeof *m, by_key);
    for (size_t i = 0, end; i < n; i = end) {
        size_t on_pages = 1;
        bool counting = false;
        for (end = i + 1; end < n && m[end].key == m[i].key && m[end].mid - m[end - 1].mid <= HEIGHT; end++) {
            on_pages += c->lines[m[end].line].page != c->lines[m[end - 1].line].page;
            counting |= counts_pages(c, &m[end - 1], &m[end]);
        }
        if (on_pages < least && !(counting && on_pages > 1)) continue;
        for (size_t k = i; k < end; k++) c->dropped[m[k].line] = true;
    }
    /* What stands where furniture stands is furniture: the running title of a short chapter. */
    qsort(m, n, sizeof *m, by_mid);
    for (size_t i = 0, end; i < n; i = end) {
        size_t dropped = c->dropped[m[i].line];
        for (end = i + 1; end < n && m[end].mid - m[end - 1].mid <= HEIGHT; end++) dropped += c->dropped[m[end].line];
        for (size_t k = i; k < end && dropped > 2 && dropped * 2 > end - i; k++)
            c->dropped[m[k].line] |= true;
    }
    drop_lone_numbers(c);
    keep_pages(c, with_text);
done:
    weft_buf_clear(&marks);
    weft_buf_clear(&sorted);
    return st;
}

enum weft_status weft_pdf_furniture_take(struct weft_pdf_lines *l, struct weft_pdf_furniture *taken,
                                         struct weft_err *err)
{
    struct weft_arena a = { 0 };
    struct weft_pdf_page *pages = weft_pdf_page_items(l);
    struct pages c = { .in = l, .lines = weft_pdf_line_items(l), .n = l->n_lines };
    enum weft_status st = WEFT_OK;
    size_t kept = 0, p = 0;

    c.dropped = WEFT_NEWS(&a, bool, c.n + 1);
    st = c.dropped ? find(&c, err) : weft_fail_nomem(err, c.n + 1, "the line table");
    for (size_t i = 0; i < c.n && !st; i++) {
        for (; p < l->n_pages && pages[p].first_line <= i; p++) pages[p].first_line = kept;
        if (!c.dropped[i]) {
            c.lines[kept++] = c.lines[i];
            continue;
        }
        if (taken->n++) continue;
        taken->page = c.lines[i].page;
        taken->text = text_of(&c, i);
    }
    for (; p <= l->n_pages && !st; p++) pages[p].first_line = kept;
    if (!st) l->n_lines = kept;
    weft_arena_clear(&a);
    return st;
}
