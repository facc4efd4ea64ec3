/* A curve in a terminal: every character holds 2 x 4 braille dots (U+2800, one bit a dot), so that 60 columns draw 120
 * points.  A second curve is too much for dots of one colour: it is set as diamonds over them. */
#include "train/curve.h"

#include <math.h>
#include <stdlib.h>

enum { MAX_COLUMNS = 400, MAX_ROWS = 100, LABEL = 8 };

static const unsigned char dot_bits[4][2] = { { 0x01, 0x08 }, { 0x02, 0x10 }, { 0x04, 0x20 }, { 0x40, 0x80 } };

struct canvas {
    size_t columns, rows;
    unsigned char *dots;        /* [rows, columns] braille bits */
    unsigned char *marks;       /* [rows, columns] 1: a diamond */
    struct weft_curve_window w;
};

/* Place in dots; y grows downwards. */
static double dot_x(const struct canvas *c, double x)
{
    return (x - c->w.x0) / (c->w.x1 - c->w.x0) * (double)(2 * c->columns - 1);
}
static double dot_y(const struct canvas *c, double y)
{
    return (c->w.y1 - y) / (c->w.y1 - c->w.y0) * (double)(4 * c->rows - 1);
}

static void set_dot(struct canvas *c, double x, double y)
{
    long i = lround(x), j = lround(y);
    if (i < 0 || j < 0 || i >= (long)(2 * c->columns) || j >= (long)(4 * c->rows)) return;
    c->dots[(size_t)j / 4 * c->columns + (size_t)i / 2] |= dot_bits[j % 4][i % 2];
}

static void draw_line(struct canvas *c, double x0, double y0, double x1, double y1)
{
    long n = lround(fmax(1, ceil(fmax(fabs(x1 - x0), fabs(y1 - y0)))));
    for (long t = 0; t <= n; t++)
        set_dot(c, x0 + (x1 - x0) * (double)t / (double)n, y0 + (y1 - y0) * (double)t / (double)n);
}

static void draw_dots(struct canvas *c, const struct weft_curve *curve)
{
    double *y = malloc(curve->n * sizeof *y);
    if (!y) return;
    weft_curve_smooth(curve, WEFT_CURVE_FINE, y);
    for (size_t i = 0; i < curve->n; i++) {
        double py = curve->n > WEFT_CURVE_DOTS ? y[i] : curve->points[i].y;
        double before = !i ? py : curve->n > WEFT_CURVE_DOTS ? y[i - 1] : curve->points[i - 1].y;
        double x0 = dot_x(c, curve->points[i ? i - 1 : 0].x);
        draw_line(c, x0, dot_y(c, before), dot_x(c, curve->points[i].x), dot_y(c, py));
    }
    free(y);
}

static void draw_marks(struct canvas *c, const struct weft_curve *curve)
{
    for (size_t i = 0; i < curve->n; i++) {
        long col = lround(dot_x(c, curve->points[i].x)) / 2, row = lround(dot_y(c, curve->points[i].y)) / 4;
        if (col >= 0 && row >= 0 && col < (long)c->columns && row < (long)c->rows)
            c->marks[(size_t)row * c->columns + (size_t)col] = 1;
    }
}

/* Rows of the canvas with the numbers of the y axis: top, middle, bottom. */
static void put_rows(struct weft_buf *out, const struct canvas *c)
{
    for (size_t r = 0; r < c->rows; r++) {
        bool labelled = r == 0 || r + 1 == c->rows || (c->rows >= 7 && r == c->rows / 2);
        double y = c->w.y1 - ((double)(4 * r) + 1.5) / (double)(4 * c->rows - 1) * (c->w.y1 - c->w.y0);
        if (labelled) weft_buf_printf(out, "%*.3f ", LABEL - 2, y);
        else weft_buf_printf(out, "%*s", LABEL - 1, "");
        weft_buf_cstr(out, labelled ? "\u2524" : "\u2502");
        size_t end = c->columns;        /* no blanks at the end of a line */
        while (end && !c->dots[r * c->columns + end - 1] && !c->marks[r * c->columns + end - 1]) end--;
        for (size_t i = 0; i < end; i++) {
            unsigned char d = c->dots[r * c->columns + i];
            if (c->marks[r * c->columns + i]) weft_buf_cstr(out, "\u25c6");
            else if (d) weft_buf_utf8(out, 0x2800 + d);
            else weft_buf_char(out, ' ');
        }
        weft_buf_char(out, '\n');
    }
}

static void put_x_axis(struct weft_buf *out, const struct canvas *c)
{
    char first[32], last[32];
    weft_buf_printf(out, "%*s\u2514", LABEL - 1, "");
    for (size_t i = 0; i < c->columns; i++) weft_buf_cstr(out, "\u2500");
    weft_curve_number(first, c->w.x0, 1, true);
    weft_curve_number(last, c->w.x1, 1, true);
    weft_buf_printf(out, "\n%*s%-*s%s\n", LABEL, "",
                    (int)(c->columns - weft_min_size(c->columns, strlen(last))), first, last);
}

void weft_curve_text(struct weft_buf *out, const struct weft_curve *curves, size_t n, size_t columns, size_t rows)
{
    struct canvas c = { .columns = weft_min_size(columns, MAX_COLUMNS), .rows = weft_min_size(rows, MAX_ROWS) };
    bool any = false;
    for (size_t k = 0; k < n; k++) any = any || curves[k].n;
    if (!any || c.columns < LABEL + 8 || c.rows < 5) return;
    c.columns -= LABEL;
    c.rows -= 3;                        /* axis, its numbers, legend */
    c.w = weft_curve_window_of(curves, n);
    c.dots = calloc(2, c.rows * c.columns);
    if (!c.dots) return;
    c.marks = c.dots + c.rows * c.columns;
    for (size_t k = 0; k < n; k++) {
        if (k == 0) draw_dots(&c, &curves[k]);
        else draw_marks(&c, &curves[k]);
    }
    put_rows(out, &c);
    put_x_axis(out, &c);
    weft_buf_printf(out, "%*s", LABEL, "");
    for (size_t k = 0; k < n; k++)
        if (curves[k].n)
            weft_buf_printf(out, "%s %s %.4f   ", k ? "\u25c6" : "\u28a4", curves[k].label,
                            curves[k].points[curves[k].n - 1].y);
    while (out->len && out->s[out->len - 1] == ' ') out->s[--out->len] = '\0';
    weft_buf_char(out, '\n');
    free(c.dots);
}
