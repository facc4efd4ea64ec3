/* loss.svg: no script, no font, no reference to anything outside; colours follow the reader's light or dark page. */
#include "train/curve.h"

#include <math.h>
#include <stdlib.h>

enum { WIDTH = 860, HEIGHT = 460, LEFT = 68, RIGHT = 28, TOP = 62, BOTTOM = 58, BUCKETS = 700 };

static void escaped(struct weft_buf *b, const char *s)
{
    for (; *s; s++)
        switch (*s) {
        case '<': weft_buf_cstr(b, "&lt;"); break;
        case '>': weft_buf_cstr(b, "&gt;"); break;
        case '&': weft_buf_cstr(b, "&amp;"); break;
        case '"': weft_buf_cstr(b, "&quot;"); break;
        default: weft_buf_char(b, *s);
        }
}

static double px(const struct weft_curve_window *w, double x)
{
    return LEFT + (x - w->x0) / (w->x1 - w->x0) * (WIDTH - LEFT - RIGHT);
}
static double py(const struct weft_curve_window *w, double y)
{
    return HEIGHT - BOTTOM - (y - w->y0) / (w->y1 - w->y0) * (HEIGHT - TOP - BOTTOM);
}

static void style(struct weft_buf *b)
{
    weft_buf_cstr(
        b,
        "<style>"
        /* Plain colours first, so that viewers without variables and media queries show them too. */
        "text{font:12px system-ui,-apple-system,'Segoe UI','Noto Sans','Noto Sans CJK SC',sans-serif;fill:#6d727c}"
        ".t{font-size:16px;font-weight:600}.t,.v{fill:#22252b}.v{font-weight:600}"
        ".n{font-variant-numeric:tabular-nums}"
        ".bg{fill:#fdfcf9}.g{stroke:#e7e4dc;stroke-width:1}.x{stroke:#6d727c;stroke-width:1}"
        ".c0{stroke:#1d6fb8}.c1{stroke:#d1552b}.f0{fill:#1d6fb8}.f1{fill:#d1552b}"
        "@media (prefers-color-scheme:dark){.bg{fill:#16181d}text{fill:#8f949e}.t,.v{fill:#e8e6e1}.g{stroke:#2b2f37}"
        ".x{stroke:#8f949e}.c0{stroke:#6cb4f2}.c1{stroke:#ff9566}.f0{fill:#6cb4f2}.f1{fill:#ff9566}}"
        ".r{fill:none;stroke-width:1;opacity:.28;stroke-linejoin:round}"
        ".l{fill:none;stroke-width:2.2;stroke-linejoin:round;stroke-linecap:round}"
        "</style>\n");
}

static void axes(struct weft_buf *b, const struct weft_curve_window *w, const char *x_label, const char *y_label)
{
    double step;
    char text[32];
    double first = weft_curve_ticks(w->y0, w->y1, 6, &step);
    for (int i = 0; first + i * step <= w->y1 + 1e-9 * step; i++) {
        double y = first + i * step;
        weft_buf_printf(b, "<line class=\"g\" x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\"/>", LEFT, py(w, y),
                        WIDTH - RIGHT, py(w, y));
        weft_buf_printf(b, "<text class=\"n\" x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n", LEFT - 10,
                        py(w, y) + 4, weft_curve_number(text, y, step, false));
    }
    weft_buf_printf(b, "<line class=\"x\" x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\"/>\n", LEFT, HEIGHT - BOTTOM,
                    WIDTH - RIGHT, HEIGHT - BOTTOM);
    first = weft_curve_ticks(w->x0, w->x1, 8, &step);
    for (int i = 0; first + i * step <= w->x1 + 1e-9 * step; i++) {
        double x = first + i * step;
        weft_buf_printf(b, "<line class=\"x\" x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\"/>", px(w, x),
                        HEIGHT - BOTTOM, px(w, x), HEIGHT - BOTTOM + 5);
        weft_buf_printf(b, "<text class=\"n\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s</text>\n",
                        px(w, x), HEIGHT - BOTTOM + 20, weft_curve_number(text, x, step, true));
    }
    weft_buf_printf(b, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">", WIDTH - RIGHT, HEIGHT - 14);
    escaped(b, x_label);
    weft_buf_printf(b, "</text><text x=\"%d\" y=\"%d\">", 14, TOP - 8);
    escaped(b, y_label);
    weft_buf_cstr(b, "</text>\n");
}

/* Every point up to BUCKETS, then lowest and highest of each bucket. */
static void raw_line(struct weft_buf *b, const struct weft_curve *c, const struct weft_curve_window *w, size_t k)
{
    size_t per = weft_ceil_div(c->n, BUCKETS);
    weft_buf_printf(b, "<path class=\"r c%zu\" d=\"", k);
    for (size_t i = 0; i < c->n; i += per) {
        size_t low = i, high = i;
        for (size_t j = i; j < c->n && j < i + per; j++) {
            if (c->points[j].y < c->points[low].y) low = j;
            if (c->points[j].y > c->points[high].y) high = j;
        }
        size_t first = low < high ? low : high, second = low < high ? high : low;
        weft_buf_printf(b, "%c%.1f %.1f", i ? 'L' : 'M', px(w, c->points[first].x), py(w, c->points[first].y));
        if (second != first) weft_buf_printf(b, "L%.1f %.1f", px(w, c->points[second].x), py(w, c->points[second].y));
    }
    weft_buf_cstr(b, "\"/>\n");
}

static void line(struct weft_buf *b, const struct weft_curve *c, const double *y,
                 const struct weft_curve_window *w, size_t k)
{
    size_t per = weft_ceil_div(c->n, BUCKETS);
    weft_buf_printf(b, "<path class=\"l c%zu\" d=\"", k);
    for (size_t i = 0; i < c->n; i = i + per < c->n || i + 1 == c->n ? i + per : c->n - 1)
        weft_buf_printf(b, "%c%.1f %.1f", i ? 'L' : 'M', px(w, c->points[i].x), py(w, y[i]));
    weft_buf_cstr(b, "\"/>\n");
    if (c->n > WEFT_CURVE_DOTS) return;
    for (size_t i = 0; i < c->n; i++)
        weft_buf_printf(b, "<circle class=\"f%zu\" cx=\"%.1f\" cy=\"%.1f\" r=\"3\"/>", k,
                        px(w, c->points[i].x), py(w, y[i]));
    weft_buf_char(b, '\n');
}

/* Name and last value of each curve, right above the plot. */
static void legend(struct weft_buf *b, const struct weft_curve *curves, size_t n)
{
    double x = WIDTH - RIGHT;
    for (size_t k = n; k-- > 0;) {
        const struct weft_curve *c = &curves[k];
        if (!c->n) continue;
        weft_buf_printf(b, "<text x=\"%.0f\" y=\"34\" text-anchor=\"end\">", x);
        escaped(b, c->label);
        weft_buf_printf(b, " <tspan class=\"v n\">%.3f</tspan></text>", c->points[c->n - 1].y);
        x -= 6.6 * (double)weft_utf8_width(weft_str_c(c->label)) + 50;
        weft_buf_printf(b, "<line class=\"l c%zu\" x1=\"%.0f\" y1=\"30\" x2=\"%.0f\" y2=\"30\"/>\n", k % 2,
                        x - 12, x + 4);
        x -= 32;
    }
}

void weft_curve_svg(struct weft_buf *out, const struct weft_curve *curves, size_t n, const char *title,
                    const char *x_label, const char *y_label)
{
    struct weft_curve_window w = weft_curve_window_of(curves, n);
    weft_buf_printf(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" role=\"img\">\n<title>",
        WIDTH, HEIGHT, WIDTH, HEIGHT);
    escaped(out, title);
    weft_buf_cstr(out, "</title>\n");
    style(out);
    weft_buf_printf(out, "<rect width=\"%d\" height=\"%d\" rx=\"10\" class=\"bg\"/>\n", WIDTH, HEIGHT);
    weft_buf_cstr(out, "<text class=\"t\" x=\"14\" y=\"32\">");
    escaped(out, title);
    weft_buf_cstr(out, "</text>\n");
    axes(out, &w, x_label, y_label);
    weft_buf_printf(
        out,
        "<clipPath id=\"p\"><rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\"/></clipPath><g clip-path=\"url(#p)\">\n",
        LEFT - 4, TOP - 4, WIDTH - LEFT - RIGHT + 8, HEIGHT - TOP - BOTTOM + 8);
    for (size_t k = 0; k < n; k++) {
        const struct weft_curve *c = &curves[k];
        double *y = c->n ? malloc(c->n * sizeof *y) : NULL;
        if (!y) continue;               /* no points, or no memory: the drawing lacks a line, the run is not lost */
        if (c->n > WEFT_CURVE_DOTS) {
            raw_line(out, c, &w, k % 2);
            weft_curve_smooth(c, y);
        } else {
            for (size_t i = 0; i < c->n; i++) y[i] = c->points[i].y;
        }
        line(out, c, y, &w, k % 2);
        free(y);
    }
    weft_buf_cstr(out, "</g>\n");
    legend(out, curves, n);
    weft_buf_cstr(out, "</svg>\n");
}
