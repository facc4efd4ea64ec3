/* A gutter ends at the left edge of a column: three lines or more begin at or behind it, three or more end before
 * it, the two groups stand beside each other and fill their width (cells of a table do not), and of all others,
 * which cross it, there are few; one or two may reach into it.  The one with the fewest is taken, and of these the
 * widest.  Columns are parted again, so there may be any number; counting takes n log n by sorted edges. */
#include "text/pdf_order.h"

#include <math.h>
#include <stdlib.h>

enum { LEAST = 3, DEPTH = 4, INTO = 2 };
static const float least_gutter = 0.7F;     /* em */

struct order {
    struct weft_pdf_line *to, *spare;           /* where they go; room for DEPTH times as many */
    float *begins, *ends;                       /* sorted edges, room for as many */
    size_t done;
    uint32_t flow;
};

static int by_value(const void *x, const void *y)
{
    const float *a = x, *b = y;
    return (*a > *b) - (*a < *b);
}

/* How many of the sorted values are less than v. */
static size_t less_than(const float *values, size_t n, float v)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (values[mid] < v) low = mid + 1;
        else high = mid;
    }
    return low;
}

struct side {
    size_t n;
    float a0, a1, b0, b1, filled, em;
};

static void widen(struct side *s, const struct weft_pdf_line *l)
{
    if (!s->n++) *s = (struct side){ 1, l->a0, l->a1, l->b0, l->b1, 0, 0 };
    s->a0 = fminf(s->a0, l->a0);
    s->a1 = fmaxf(s->a1, l->a1);
    s->b0 = fminf(s->b0, l->b0);
    s->b1 = fmaxf(s->b1, l->b1);
    s->filled += l->a1 - l->a0;
    s->em = fmaxf(s->em, l->em);
}

static bool is_column(const struct side *s)
{
    return s->n >= LEAST && s->filled >= 0.5F * (float)s->n * (s->a1 - s->a0);
}

/* A strip that columns leave free; lines that reach into it cross it. */
struct gutter {
    float a0, a1;
};
static bool is_left(const struct weft_pdf_line *l, struct gutter g) { return l->a1 <= g.a0; }
static bool is_right(const struct weft_pdf_line *l, struct gutter g) { return l->a0 >= g.a1; }

/* Do the groups at both sides look like columns of running text? */
static bool parts(const struct weft_pdf_line *l, size_t n, struct gutter g)
{
    struct side left = { 0 }, right = { 0 };
    for (size_t i = 0; i < n; i++) {
        if (is_left(&l[i], g)) widen(&left, &l[i]);
        else if (is_right(&l[i], g)) widen(&right, &l[i]);
    }
    float common = fminf(left.b1, right.b1) - fmaxf(left.b0, right.b0);
    return is_column(&left) && is_column(&right) && common >= 0.4F * fminf(left.b1 - left.b0, right.b1 - right.b0);
}

static bool find_gutter(struct order *o, const struct weft_pdf_line *l, size_t n, struct gutter *g)
{
    size_t best = n;
    float em = 0, widest = 0;
    if (n < 2 * (size_t)LEAST) return false;
    for (size_t i = 0; i < n; i++) {
        if (l[i].down) return false;
        o->begins[i] = l[i].a0;
        o->ends[i] = l[i].a1;
        em += l[i].em / (float)n;
    }
    qsort(o->begins, n, sizeof *o->begins, by_value);
    qsort(o->ends, n, sizeof *o->ends, by_value);
    for (size_t i = LEAST; i < n; i++) {
        float at = o->begins[i];
        size_t right = n - less_than(o->begins, n, at), left = less_than(o->ends, n, at);
        if (o->begins[i - 1] == at || right < LEAST || left + right > n) continue;
        for (size_t k = 0; k <= INTO && left >= LEAST + k; k++) {
            size_t crossing = n - left - right + k;
            float width = at - o->ends[left - 1 - k];
            if (width < least_gutter * em || crossing * 3 > n || crossing > best
                || (crossing == best && width <= widest))
                continue;
            best = crossing;
            widest = width;
            *g = (struct gutter){ at - width, at };
        }
    }
    return best < n && parts(l, n, *g);
}

static int by_place(const void *x, const void *y)
{
    const struct weft_pdf_line *a = x, *b = y;
    if (a->mid != b->mid) return a->mid < b->mid ? -1 : 1;
    if (a->a0 != b->a0) return a->a0 < b->a0 ? -1 : 1;
    return (a->begin > b->begin) - (a->begin < b->begin);
}

/* From top to bottom, and within a row from left to right. */
static void sort_lines(struct weft_pdf_line *l, size_t n)
{
    qsort(l, n, sizeof *l, by_place);
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && l[end].mid - l[i].mid < 0.3F * l[i].em; end++) {
            struct weft_pdf_line moved = l[end];
            size_t k = end;
            for (; k > i && end - i < 32 && l[k - 1].a0 > moved.a0; k--) l[k] = l[k - 1];
            l[k] = moved;
        }
    }
}

static void put(struct order *o, struct weft_pdf_line *l, size_t n, int depth);

/* Lines of one segment that are at one side of the gutter. */
static void put_side(struct order *o, const struct weft_pdf_line *l, size_t n, struct gutter g, bool right, int depth)
{
    struct weft_pdf_line *side = o->spare;
    size_t m = 0;
    for (size_t i = 0; i < n; i++)
        if (is_right(&l[i], g) == right) side[m++] = l[i];
    o->spare += m;
    put(o, side, m, depth);
    o->spare -= m;
}

/* Orders lines of a part of a page. */
static void put(struct order *o, struct weft_pdf_line *l, size_t n, int depth)
{
    struct gutter g = { 0, 0 };
    if (!n) return;
    if (depth == DEPTH || !find_gutter(o, l, n, &g)) {
        if (depth) sort_lines(l, n);
        for (size_t i = 0; i < n; i++) {
            if (depth) l[i].flow = o->flow;
            o->to[o->done++] = l[i];
        }
        o->flow++;
        return;
    }
    sort_lines(l, n);
    for (size_t from = 0, to; from < n; from = to) {
        for (to = from; to < n && (is_left(&l[to], g) || is_right(&l[to], g)); to++) {}
        put_side(o, l + from, to - from, g, false, depth + 1);
        put_side(o, l + from, to - from, g, true, depth + 1);
        for (; to < n && !is_left(&l[to], g) && !is_right(&l[to], g); to++) {
            l[to].flow = o->flow;
            o->to[o->done++] = l[to];
        }
        o->flow++;
    }
}

/* Within a column that was found here (`first_flow` on) the gap may be wide: justified lines have such. */
static bool same_row(const struct weft_pdf_line *x, const struct weft_pdf_line *y, uint32_t first_flow)
{
    float gap = y->a0 - x->a1, most = x->flow == y->flow && x->flow >= first_flow ? 6.0F : 2.1F;
    return x->page == y->page && x->down == y->down && fabsf(x->mid - y->mid) < 0.3F * y->em && gap > 0
           && gap < most * y->em && fabsf(x->em - y->em) < 0.2F * y->em;
}

/* One line of two pieces; its text is written anew. */
static void merge(struct weft_buf *text, struct weft_pdf_line *x, const struct weft_pdf_line *y)
{
    size_t at = text->len;
    if (!weft_buf_reserve(text, x->len + y->len + 4)) return;
    weft_buf_add(text, text->s + x->at, x->len);
    weft_pdf_put_gap(text, y->a0 - x->a1, y->em, x->last, y->first);
    weft_buf_add(text, text->s + y->at, y->len);
    x->at = at;
    x->len = text->len - at;
    x->end = y->end > x->end ? y->end : x->end;
    x->a1 = y->a1;
    x->b0 = fminf(x->b0, y->b0);
    x->b1 = fmaxf(x->b1, y->b1);
    x->last = y->last;
}

enum weft_status weft_pdf_order(struct weft_pdf_lines *l, struct weft_err *err)
{
    struct weft_arena a = { 0 };
    size_t n = l->n_lines, n_flows = 0, most = 0;
    struct weft_pdf_page *pages = weft_pdf_page_items(l);
    struct weft_pdf_line *lines = weft_pdf_line_items(l);
    struct order o = { 0 };
    enum weft_status st = WEFT_OK;
    uint32_t first_flow;

    struct weft_pdf_line *ordered = WEFT_NEWS(&a, struct weft_pdf_line, n + 1);
    for (size_t p = 0; p < l->n_pages; p++) {
        size_t on_page = pages[p + 1].first_line - pages[p].first_line;
        most = on_page > most ? on_page : most;
    }
    o.spare = WEFT_NEWS(&a, struct weft_pdf_line, DEPTH * most + 1);
    o.begins = WEFT_NEWS(&a, float, most + 1);
    o.ends = WEFT_NEWS(&a, float, most + 1);
    if (!ordered || !o.spare || !o.begins || !o.ends) {
        st = weft_fail_nomem(err, (n + DEPTH * most) * sizeof *ordered, "the line table");
        goto done;
    }
    for (size_t i = 0; i < n; i++) n_flows = lines[i].flow > n_flows ? lines[i].flow : n_flows;
    o.flow = first_flow = (uint32_t)n_flows + 1;    /* numbers that pdftotext's flows do not have */
    for (size_t p = 0; p < l->n_pages; p++) {
        o.to = ordered + pages[p].first_line;
        o.done = 0;
        put(&o, lines + pages[p].first_line, pages[p + 1].first_line - pages[p].first_line, 0);
    }
    size_t kept = 0, p = 0;
    for (size_t i = 0; i < n; i++) {
        for (; p < l->n_pages && pages[p].first_line <= i; p++) pages[p].first_line = kept;
        if (kept && same_row(&lines[kept - 1], &ordered[i], first_flow)) merge(&l->text, &lines[kept - 1], &ordered[i]);
        else lines[kept++] = ordered[i];
    }
    for (; p <= l->n_pages; p++) pages[p].first_line = kept;
    l->n_lines = kept;
    st = weft_buf_check(&l->text, "the text of the PDF", err);
done:
    weft_arena_clear(&a);
    return st;
}
