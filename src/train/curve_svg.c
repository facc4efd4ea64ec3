/* loss.svg: no script, no font, no reference to anything outside; colours follow the reader's light or dark page. */
#include "train/curve.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { WIDTH = 860, HEIGHT = 460, LEFT = 68, RIGHT = 28, TOP = 62, BOTTOM = 58, BUCKETS = 700 };
/* Several runs: two panels side by side over a table. */
enum { BOTH_WIDTH = 960, PANEL_WIDTH = 388, PANEL_HEIGHT = 316, PANEL_TOP = 86, PANEL_1 = 62, PANEL_2 = 538,
       TABLE_TOP = PANEL_TOP + PANEL_HEIGHT + 80, TABLE_ROW = 25 };

/* Runs from here on are dashed, so that one that goes the same way shows through. */
enum { SOLID = 4 };

/* A plot's place on the page, and what it shows. */
struct panel {
    double left, top, width, height;
    struct weft_curve_window w;
};

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

static double px(const struct panel *p, double x) { return p->left + (x - p->w.x0) / (p->w.x1 - p->w.x0) * p->width; }
static double py(const struct panel *p, double y)
{
    return p->top + p->height - (y - p->w.y0) / (p->w.y1 - p->w.y0) * p->height;
}

/* Told apart by hue and by lightness: for eyes that take red for green, and for paper in black and white. */
static const char *const light[WEFT_CURVE_COLOURS] = { "#1d6fb8", "#d1552b", "#23875a", "#8d4bc4",
                                                       "#b27d00", "#c53a78", "#0f8790", "#6f5a48" };
static const char *const dark[WEFT_CURVE_COLOURS] = { "#6cb4f2", "#ff9566", "#63cf9c", "#c79cf4",
                                                      "#eec04a", "#f78cb8", "#56cfd8", "#cdb59d" };

static void colours(struct weft_buf *b, const char *const *of, size_t n)
{
    for (size_t k = 0; k < n; k++) weft_buf_printf(b, ".c%zu{stroke:%s}.f%zu{fill:%s}", k, of[k], k, of[k]);
}

static void style(struct weft_buf *b, size_t n)
{
    weft_buf_cstr(
        b,
        "<style>"
        /* Plain colours first, so that viewers without variables and media queries show them too. */
        "text{font:12px system-ui,-apple-system,'Segoe UI','Noto Sans','Noto Sans CJK SC',sans-serif;fill:#6d727c}"
        ".t{font-size:16px;font-weight:600}.t,.v,.k{fill:#22252b}.v{font-weight:600}"
        ".n{font-variant-numeric:tabular-nums}"
        ".bg{fill:#fdfcf9}.g{stroke:#e7e4dc;stroke-width:1}.x{stroke:#6d727c;stroke-width:1}");
    colours(b, light, n);
    weft_buf_cstr(b, "@media (prefers-color-scheme:dark){.bg{fill:#16181d}text{fill:#8f949e}.t,.v,.k{fill:#e8e6e1}"
                     ".g{stroke:#2b2f37}.x{stroke:#8f949e}");
    colours(b, dark, n);
    weft_buf_cstr(
        b,
        "}.r{fill:none;stroke-width:1;opacity:.28;stroke-linejoin:round}.m .r{opacity:.16}"
        ".l{fill:none;stroke-width:2.2;stroke-linejoin:round;stroke-linecap:round}.d{stroke-dasharray:9 5}"
        "</style>\n");
}

static void axes(struct weft_buf *b, const struct panel *p, const char *x_label, const char *y_label, const char *y_css)
{
    double step, end = p->left + p->width, foot = p->top + p->height;
    char text[32];
    double first = weft_curve_ticks(p->w.y0, p->w.y1, 6, &step);
    for (int i = 0; first + i * step <= p->w.y1 + 1e-9 * step; i++) {
        double y = first + i * step;
        weft_buf_printf(b, "<line class=\"g\" x1=\"%.0f\" y1=\"%.1f\" x2=\"%.0f\" y2=\"%.1f\"/>", p->left, py(p, y),
                        end, py(p, y));
        weft_buf_printf(b, "<text class=\"n\" x=\"%.0f\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n", p->left - 10,
                        py(p, y) + 4, weft_curve_number(text, y, step, false));
    }
    weft_buf_printf(b, "<line class=\"x\" x1=\"%.0f\" y1=\"%.0f\" x2=\"%.0f\" y2=\"%.0f\"/>\n", p->left, foot, end, foot);
    first = weft_curve_ticks(p->w.x0, p->w.x1, p->width > PANEL_WIDTH ? 8 : 5, &step);
    for (int i = 0; first + i * step <= p->w.x1 + 1e-9 * step; i++) {
        double x = first + i * step;
        weft_buf_printf(b, "<line class=\"x\" x1=\"%.1f\" y1=\"%.0f\" x2=\"%.1f\" y2=\"%.0f\"/>", px(p, x), foot, px(p, x),
                        foot + 5);
        weft_buf_printf(b, "<text class=\"n\" x=\"%.1f\" y=\"%.0f\" text-anchor=\"middle\">%s</text>\n", px(p, x),
                        foot + 20, weft_curve_number(text, x, step, true));
    }
    weft_buf_printf(b, "<text x=\"%.0f\" y=\"%.0f\" text-anchor=\"end\">", end, foot + 44);
    escaped(b, x_label);
    weft_buf_printf(b, "</text><text class=\"%s\" x=\"%.0f\" y=\"%.0f\">", y_css, p->left - 48, p->top - 12);
    escaped(b, y_label);
    weft_buf_cstr(b, "</text>\n");
}

/* Every point up to BUCKETS, then lowest and highest of each bucket. */
static void raw_line(struct weft_buf *b, const struct weft_curve *c, const struct panel *p, size_t k)
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
        weft_buf_printf(b, "%c%.1f %.1f", i ? 'L' : 'M', px(p, c->points[first].x), py(p, c->points[first].y));
        if (second != first) weft_buf_printf(b, "L%.1f %.1f", px(p, c->points[second].x), py(p, c->points[second].y));
    }
    weft_buf_cstr(b, "\"/>\n");
}

static void line(struct weft_buf *b, const struct weft_curve *c, const double *y,
                 const struct panel *p, size_t k)
{
    size_t per = weft_ceil_div(c->n, BUCKETS);
    weft_buf_printf(b, "<path class=\"l c%zu%s\" d=\"", k, k < SOLID ? "" : " d");
    for (size_t i = 0; i < c->n; i = i + per < c->n || i + 1 == c->n ? i + per : c->n - 1)
        weft_buf_printf(b, "%c%.1f %.1f", i ? 'L' : 'M', px(p, c->points[i].x), py(p, y[i]));
    weft_buf_cstr(b, "\"/>\n");
    if (c->n > WEFT_CURVE_DOTS) return;
    for (size_t i = 0; i < c->n; i++)
        weft_buf_printf(b, "<circle class=\"f%zu\" cx=\"%.1f\" cy=\"%.1f\" r=\"3\"/>", k,
                        px(p, c->points[i].x), py(p, y[i]));
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

static void open_page(struct weft_buf *out, int width, int height, const char *title, size_t n_colours)
{
    weft_buf_printf(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" role=\"img\">\n<title>",
        width, height, width, height);
    escaped(out, title);
    weft_buf_cstr(out, "</title>\n");
    style(out, n_colours);
    weft_buf_printf(out, "<rect width=\"%d\" height=\"%d\" rx=\"10\" class=\"bg\"/>\n", width, height);
    weft_buf_cstr(out, "<text class=\"t\" x=\"14\" y=\"32\">");
    escaped(out, title);
    weft_buf_cstr(out, "</text>\n");
}

static void open_plot(struct weft_buf *out, const struct panel *p, size_t id)
{
    weft_buf_printf(
        out,
        "<clipPath id=\"p%zu\"><rect x=\"%.0f\" y=\"%.0f\" width=\"%.0f\" height=\"%.0f\"/></clipPath>"
        "<g clip-path=\"url(#p%zu)\">\n",
        id, p->left - 4, p->top - 4, p->width + 8, p->height + 8, id);
}

/* A long curve smoothed over the raw one, a short one with its points.  `wide`: the share of the points that smoothing
 * looks at. */
static void curve(struct weft_buf *out, const struct weft_curve *c, double wide, const struct panel *p, size_t k)
{
    double *y = c->n ? malloc(c->n * sizeof *y) : NULL;
    if (!y) return;                 /* no points, or no memory: the drawing lacks a line, the run is not lost */
    if (c->n > WEFT_CURVE_DOTS) {
        raw_line(out, c, p, k);
        weft_curve_smooth(c, wide, y);
    } else {
        for (size_t i = 0; i < c->n; i++) y[i] = c->points[i].y;
    }
    line(out, c, y, p, k);
    free(y);
}

void weft_curve_svg(struct weft_buf *out, const struct weft_curve *curves, size_t n, const char *title,
                    const char *x_label, const char *y_label)
{
    struct panel p = { LEFT, TOP, WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM, weft_curve_window_of(curves, n) };
    open_page(out, WIDTH, HEIGHT, title, 2);
    axes(out, &p, x_label, y_label, "n");
    open_plot(out, &p, 0);
    for (size_t k = 0; k < n; k++) curve(out, &curves[k], WEFT_CURVE_FINE, &p, k % 2);
    weft_buf_cstr(out, "</g>\n");
    legend(out, curves, n);
    weft_buf_cstr(out, "</svg>\n");
}

/* ---- several runs ---- */

struct weft_curve_point weft_curve_lowest(const struct weft_curve *c)
{
    struct weft_curve_point low = { NAN, NAN };
    for (size_t i = 0; i < c->n; i++)
        if (!(c->points[i].y >= low.y)) low = c->points[i];
    return low;
}

static double last_of(const struct weft_curve *c) { return c->n ? c->points[c->n - 1].y : NAN; }

static void cell(struct weft_buf *b, double x, double y, const char *css, const char *text)
{
    weft_buf_printf(b, "<text class=\"%s\" x=\"%.0f\" y=\"%.0f\" text-anchor=\"end\">", css, x, y);
    escaped(b, text);
    weft_buf_cstr(b, "</text>");
}

/* The runs by their colours, with the numbers their curves end at; the best of a column stands out. */
static void table(struct weft_buf *b, const struct weft_curve_run *runs, size_t n, const struct weft_curve_words *words)
{
    enum { N = 3 };
    static const double ends[N] = { PANEL_1 + PANEL_WIDTH, 734, PANEL_2 + PANEL_WIDTH };
    const char *const heads[N] = { words->training, words->validation, words->lowest };
    double best[N] = { INFINITY, INFINITY, INFINITY };
    char text[64];
    for (size_t j = 0; j < N; j++) cell(b, ends[j], TABLE_TOP, "n", heads[j]);
    weft_buf_printf(b, "\n<line class=\"g\" x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\"/>\n", PANEL_1, TABLE_TOP + 9,
                    PANEL_2 + PANEL_WIDTH, TABLE_TOP + 9);
    for (int pass = 0; pass < 2; pass++)
        for (size_t k = 0; k < n; k++) {
            const struct weft_curve_point low = weft_curve_lowest(&runs[k].curves[WEFT_CURVE_VALID]);
            const double values[N] = { last_of(&runs[k].curves[WEFT_CURVE_TRAIN]),
                                       last_of(&runs[k].curves[WEFT_CURVE_VALID]), low.y };
            double y = TABLE_TOP + TABLE_ROW * ((double)k + 1) + 6;
            for (size_t j = 0; pass == 0 && j < N; j++) best[j] = fmin(best[j], values[j]);
            if (pass == 0) continue;
            size_t colour = k % WEFT_CURVE_COLOURS;
            weft_buf_printf(b, "<line class=\"l c%zu%s\" x1=\"%d\" y1=\"%.0f\" x2=\"%d\" y2=\"%.0f\"/>", colour,
                            colour < SOLID ? "" : " d", PANEL_1, y - 4, PANEL_1 + 26, y - 4);
            weft_buf_printf(b, "<text class=\"k\" x=\"%d\" y=\"%.0f\">", PANEL_1 + 38, y);
            escaped(b, runs[k].label);
            weft_buf_cstr(b, "</text>");
            for (size_t j = 0; j < N; j++) {
                if (!isfinite(values[j])) continue;
                if (j == N - 1) snprintf(text, sizeof text, "%.3f (%.0f)", values[j], low.x);
                else snprintf(text, sizeof text, "%.3f", values[j]);
                cell(b, ends[j], y, n > 1 && values[j] <= best[j] ? "v n" : "k n", text);
            }
            weft_buf_char(b, '\n');
        }
}

void weft_curve_svg_runs(struct weft_buf *out, const struct weft_curve_run *runs, size_t n,
                         const struct weft_curve_words *words)
{
    const char *const names[WEFT_N_CURVES] = { words->training, words->validation };
    struct weft_curve *kind = malloc(n * sizeof *kind);
    const struct weft_curve_window none = weft_curve_window_of(NULL, 0);
    struct panel p[WEFT_N_CURVES] = { { PANEL_1, PANEL_TOP, PANEL_WIDTH, PANEL_HEIGHT, none },
                                      { PANEL_2, PANEL_TOP, PANEL_WIDTH, PANEL_HEIGHT, none } };
    open_page(out, BOTH_WIDTH, (int)(TABLE_TOP + TABLE_ROW * n + 24), words->title, WEFT_CURVE_COLOURS);
    for (size_t j = 0; kind && j < WEFT_N_CURVES; j++) {
        for (size_t k = 0; k < n; k++) kind[k] = runs[k].curves[j];
        p[j].w = weft_curve_window_of(kind, n);
    }
    /* one scale of steps for both */
    double x0 = fmin(p[0].w.x0, p[1].w.x0), x1 = fmax(p[0].w.x1, p[1].w.x1);
    for (size_t j = 0; kind && j < WEFT_N_CURVES; j++) {
        bool any = false;
        for (size_t k = 0; k < n; k++) any = any || runs[k].curves[j].n;
        if (any) p[j].w.x0 = x0, p[j].w.x1 = x1;
        axes(out, &p[j], words->step, names[j], "v");
        open_plot(out, &p[j], j);
        weft_buf_cstr(out, "<g class=\"m\">\n");
        for (size_t k = 0; k < n; k++)
            curve(out, &runs[k].curves[j], WEFT_CURVE_COARSE, &p[j], k % WEFT_CURVE_COLOURS);
        weft_buf_cstr(out, "</g></g>\n");
    }
    table(out, runs, n, words);
    weft_buf_cstr(out, "</svg>\n");
    free(kind);
}
