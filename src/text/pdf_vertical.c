/* What tells such a page: four fifths of its words are single wide characters, and these stand below each other at the
 * distance of their own width.  Horizontal text cannot: lines so close would touch, and cells of a table or of squared
 * paper are further apart.  Beside each other columns are further apart than characters in them.
 *
 * Some fonts have no measures for vertical text; LibreOffice then draws each character as high as its ink allows, up to
 * 0.8 em above its place.  Order and columns bear that, distances are therefore judged by their median.
 *
 * Latin words and numbers in a column lie on their side, two digits may stand upright in it.  A page number or a
 * running title stands upright too, but above or below all columns. */
#include "text/pdf_vertical.h"

#include "text/layout.h"

#include <math.h>
#include <stdlib.h>

enum { LEAST = 8, STRIPS = 16, ABOVE = 0, IN_COLUMN = 1, BELOW = 2 };
static const float same_column = 0.45F, closest = 0.7F, farthest = 1.12F, wider = 1.06F, tier_gap = 1.5F;

struct piece {
    struct weft_pdf_word w;
    float mid;                      /* of x */
    int where;
    uint32_t tier, column;          /* from right to left */
};

static bool is_wide(uint32_t cp) { return weft_layout_east(cp) || weft_layout_shared(cp); }

static size_t characters(struct weft_str s, uint32_t *first)
{
    size_t n = 0;
    for (size_t i = 0; i < s.len; n++) {
        uint32_t cp;
        i += weft_utf8_decode(s.s + i, s.len - i, &cp, NULL);
        if (!n) *first = cp;
    }
    return n;
}

static float width(const struct piece *p) { return p->w.x1 - p->w.x0; }
static float height(const struct piece *p) { return p->w.y1 - p->w.y0; }

static bool is_single(const struct piece *p, struct weft_str raw)
{
    uint32_t first = 0;
    return characters(weft_str_sub(raw, p->w.at, p->w.at + p->w.len), &first) == 1 && is_wide(first);
}

/* Does a word of several characters, or of Latin ones, run down?  One or two lie on their side when they are wider
 * than high, more when they are higher than wide. */
static bool runs_down(const struct piece *p, struct weft_str raw)
{
    uint32_t first = 0;
    size_t n = characters(weft_str_sub(raw, p->w.at, p->w.at + p->w.len), &first);
    return n > 2 || is_wide(first) ? height(p) > 1.2F * width(p) : width(p) > height(p);
}

static int by_value(const void *x, const void *y)
{
    const float *a = x, *b = y;
    return (*a > *b) - (*a < *b);
}
static float median(float *values, size_t n)
{
    if (!n) return 0;
    qsort(values, n, sizeof *values, by_value);
    return values[n / 2];
}

static int compare(float x, float y) { return (x > y) - (x < y); }

static int by_top(const void *x, const void *y)
{
    const struct piece *a = x, *b = y;
    int c = a->where - b->where;
    return c ? c : compare(a->w.y0, b->w.y0);
}
static int by_mid(const void *x, const void *y)     /* from right to left, tier by tier */
{
    const struct piece *a = x, *b = y;
    int c = a->where - b->where;
    if (!c) c = (a->tier > b->tier) - (a->tier < b->tier);
    return c ? c : compare(b->mid, a->mid);
}
static int by_place(const void *x, const void *y)
{
    const struct piece *a = x, *b = y;
    int c = a->where - b->where;
    if (!c) c = (a->tier > b->tier) - (a->tier < b->tier);
    if (!c) c = (a->column > b->column) - (a->column < b->column);
    if (!c && a->where == IN_COLUMN) c = compare(a->w.y0, b->w.y0);
    return c ? c : (a->w.begin > b->w.begin) - (a->w.begin < b->w.begin);
}

/* Numbers the columns of pieces that are all in columns, and sorts them by place. */
static void find_columns(struct piece *p, size_t n, float em)
{
    qsort(p, n, sizeof *p, by_mid);
    float at = 0;
    uint32_t column = 0;
    for (size_t i = 0; i < n; i++) {
        if (!i || p[i].tier != p[i - 1].tier || at - p[i].mid > same_column * em) {
            at = p[i].mid;
            column++;
        }
        p[i].column = column;
    }
    qsort(p, n, sizeof *p, by_place);
}

/* Are the n pieces, single characters by columns, closer below each other than beside each other? */
static bool is_set_downward(const struct piece *p, size_t n, float em, float *values)
{
    size_t down = 0, beside = 0;
    for (size_t i = 1; i < n; i++)
        if (p[i].column == p[i - 1].column) values[down++] = p[i].w.y0 - p[i - 1].w.y0;
    float pitch = median(values, down);
    if (!down) return n == 1;
    for (size_t i = 1; i < n; i++)
        if (p[i].column != p[i - 1].column) values[beside++] = p[i - 1].mid - p[i].mid;
    return pitch >= closest * em && pitch <= farthest * em && (!beside || median(values, beside) >= wider * pitch);
}

struct span {
    float x0, x1, y0, y1;           /* x: of middles */
};
static struct span span_of(const struct piece *p, size_t n)
{
    struct span s = { p->mid, p->mid, p->w.y0, p->w.y1 };
    for (size_t i = 1; i < n; i++) {
        s.x0 = fminf(s.x0, p[i].mid);
        s.x1 = fmaxf(s.x1, p[i].mid);
        s.y0 = fminf(s.y0, p[i].w.y0);
        s.y1 = fmaxf(s.y1, p[i].w.y1);
    }
    return s;
}

/* A strip that runs free through all columns parts tiers; at both sides of it there are several columns. */
static void find_tiers(struct piece *p, size_t n, float em)
{
    qsort(p, n, sizeof *p, by_top);
    float bottom = p[0].w.y0;
    uint32_t tier = 1;
    size_t strips = 0;
    for (size_t i = 0, from = 0; i < n; i++) {
        if (p[i].w.y0 - bottom > tier_gap * em && strips++ < STRIPS && weft_min_size(i - from, n - i) >= LEAST) {
            struct span above = span_of(p + from, i - from), below = span_of(p + i, n - i);
            if (fminf(above.x1 - above.x0, below.x1 - below.x0) > 2.2F * em) {
                tier++;
                from = i;
            }
        }
        bottom = fmaxf(bottom, p[i].w.y0 + fminf(width(&p[i]), height(&p[i])));
        p[i].tier = tier;
    }
}

bool weft_pdf_vertical(struct weft_pdf_word *w, size_t n, struct weft_str raw, bool follows, struct weft_buf *scratch)
{
    size_t singles = 0, sized = 0, bytes;
    weft_buf_reset(scratch);
    if (!n || !weft_size_mul(n, sizeof(struct piece) + sizeof(float), &bytes) || !weft_buf_reserve(scratch, bytes))
        return false;
    struct piece *p = (struct piece *)(void *)scratch->s;
    float *values = (float *)(void *)(p + n);

    for (size_t i = 0; i < n; i++) {
        p[i] = (struct piece){ .w = w[i], .mid = (w[i].x0 + w[i].x1) / 2, .where = BELOW };
        if (!is_single(&p[i], raw)) continue;
        singles++;
        p[i].where = IN_COLUMN;
        values[sized++] = fminf(width(&p[i]), height(&p[i]));
    }
    float em = fmaxf(0.1F, median(values, sized));
    if (singles < (follows ? 1 : LEAST) || singles * 5 < n * 4) return false;

    /* Single characters to the front, and judged. */
    for (size_t i = 0, k = 0; i < n; i++) {
        if (p[i].where != IN_COLUMN) continue;
        struct piece moved = p[k];
        p[k++] = p[i];
        p[i] = moved;
    }
    find_columns(p, singles, em);
    if (!is_set_downward(p, singles, em, values)) return false;

    struct span body = span_of(p, singles);
    size_t in_columns = singles;
    for (size_t i = singles; i < n; i++) {
        float slack = runs_down(&p[i], raw) ? em : 0;
        bool narrow = slack > 0 || (width(&p[i]) < 1.4F * em && height(&p[i]) < 2 * em);
        p[i].where = p[i].w.y1 < body.y0 + em / 2 ? ABOVE : BELOW;
        if (!narrow || p[i].w.y0 < body.y0 - slack || p[i].w.y1 > body.y1 + slack) continue;
        struct piece moved = p[in_columns];
        p[in_columns] = p[i];
        p[i] = moved;
        p[in_columns++].where = IN_COLUMN;
    }
    find_tiers(p, in_columns, em);
    find_columns(p, in_columns, em);
    qsort(p, n, sizeof *p, by_place);
    for (size_t i = 0; i < n; i++) {
        bool new_line = i && (p[i].where != p[i - 1].where || p[i].column != p[i - 1].column
                              || (p[i].where != IN_COLUMN && p[i].w.line != p[i - 1].w.line));
        w[i] = p[i].w;
        w[i].tier = p[i].tier;
        w[i].line = i ? w[i - 1].line + new_line : 0;
    }
    return true;
}
