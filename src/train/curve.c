#include "train/curve.h"

#include "base/file.h"
#include "base/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- out of the log ---- */

struct points {
    struct weft_curve_point *items;
    size_t n, cap;
};

static enum weft_status add(struct weft_arena *a, struct points *p, double x, double y, struct weft_err *err)
{
    if (!isfinite(x) || !isfinite(y)) return WEFT_OK;
    if (p->n == p->cap) {
        size_t cap = p->cap ? 2 * p->cap : 256;
        struct weft_curve_point *items = WEFT_NEWS(a, struct weft_curve_point, cap);
        if (!items) return weft_fail_nomem(err, cap * sizeof *items, "a loss curve");
        if (p->n) memcpy(items, p->items, p->n * sizeof *items);
        p->items = items;
        p->cap = cap;
    }
    p->items[p->n++] = (struct weft_curve_point){ x, y };
    return WEFT_OK;
}

enum weft_status weft_log_curves(struct weft_arena *a, const char *log_path, struct weft_curve out[WEFT_N_CURVES],
                                 struct weft_err *err)
{
    static const char *const keys[WEFT_N_CURVES] = { "loss", "eval_loss" };
    static const char *const labels[WEFT_N_CURVES] = { "training", "validation" };
    struct points points[WEFT_N_CURVES] = { { 0 } };
    struct weft_arena scratch = { 0 };
    struct weft_lines lines = { 0 };
    struct weft_str line;
    enum weft_status st = weft_file_read(&scratch, log_path, 0, &lines.text, err);
    while (!st && weft_lines_next(&lines, &line)) {
        struct weft_arena_mark mark = weft_arena_mark(&scratch);
        struct weft_json_value v;
        bool last = lines.at >= lines.text.len;
        st = weft_json_parse(&scratch, log_path, line, &v, last ? NULL : err);
        if (st && last) {       /* still being written */
            st = WEFT_OK;
            break;
        }
        const struct weft_json_value *x = st ? NULL : weft_json_get(&v, "current_steps");
        for (size_t k = 0; !st && x && k < WEFT_N_CURVES; k++) {
            const struct weft_json_value *y = weft_json_get(&v, keys[k]);
            if (!y || y->kind != WEFT_JSON_NUMBER || weft_json_get(&v, "event")) continue;
            st = add(a, &points[k], x->number, y->number, err);
        }
        weft_arena_release(&scratch, mark);
    }
    weft_arena_clear(&scratch);
    for (size_t k = 0; !st && k < WEFT_N_CURVES; k++)
        out[k] = (struct weft_curve){ labels[k], points[k].items, points[k].n };
    return st;
}

/* ---- what both drawings need ---- */

/* A straight line fitted round each point, weighted by a Gauss bell: unlike a plain mean it does not bend
 * at the ends. */
void weft_curve_smooth(const struct weft_curve *c, double wide, double *out)
{
    double sigma = fmax((double)c->n * wide, 1e-3);
    size_t reach = (size_t)ceil(3 * sigma);
    for (size_t i = 0; i < c->n; i++) {
        double w = 0, wx = 0, wxx = 0, wy = 0, wxy = 0;
        size_t from = i > reach ? i - reach : 0, to = weft_min_size(i + reach, c->n - 1);
        for (size_t k = from; k <= to; k++) {
            double d = ((double)k - (double)i) / sigma, g = exp(-0.5 * d * d);
            w += g, wx += g * d, wxx += g * d * d, wy += g * c->points[k].y, wxy += g * d * c->points[k].y;
        }
        double det = w * wxx - wx * wx;
        out[i] = det > 1e-9 * w * w ? (wxx * wy - wx * wxy) / det : wy / w;
    }
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y ? 1 : 0;
}

struct weft_curve_window weft_curve_window_of(const struct weft_curve *curves, size_t n)
{
    struct weft_curve_window w = { INFINITY, -INFINITY, INFINITY, -INFINITY };
    for (size_t k = 0; k < n; k++) {
        const struct weft_curve *c = &curves[k];
        double *y = malloc(2 * c->n * sizeof *y);
        if (!c->n || !y) {
            free(y);
            continue;
        }
        w.x0 = fmin(w.x0, c->points[0].x);
        w.x1 = fmax(w.x1, c->points[c->n - 1].x);
        weft_curve_smooth(c, WEFT_CURVE_FINE, y + c->n);
        for (size_t i = 0; i < c->n; i++) {
            y[i] = c->points[i].y;
            if (c->n <= WEFT_CURVE_DOTS) w.y0 = fmin(w.y0, y[i]), w.y1 = fmax(w.y1, y[i]);
            w.y0 = fmin(w.y0, y[c->n + i]), w.y1 = fmax(w.y1, y[c->n + i]);
        }
        qsort(y, c->n, sizeof *y, ascending);
        w.y0 = fmin(w.y0, y[c->n / 100]);
        w.y1 = fmax(w.y1, y[c->n - 1 - c->n / 100]);
        free(y);
    }
    if (!(w.x0 <= w.x1)) w = (struct weft_curve_window){ 0, 1, 0, 1 };
    if (w.x0 == w.x1) w.x0 -= 1, w.x1 += 1;
    if (w.y0 == w.y1) w.y0 -= 0.5, w.y1 += 0.5;
    double margin = 0.04 * (w.y1 - w.y0);
    w.y0 = w.y0 >= 0 ? fmax(0, w.y0 - margin) : w.y0 - margin;
    w.y1 += margin;
    return w;
}

double weft_curve_ticks(double from, double to, int wanted, double *step)
{
    double rough = (to - from) / wanted, power = pow(10, floor(log10(rough))), f = rough / power;
    *step = (f < 1.5 ? 1 : f < 3.5 ? 2 : f < 7.5 ? 5 : 10) * power;
    return ceil(from / *step - 1e-9) * *step;
}

const char *weft_curve_number(char out[32], double v, double step, bool steps)
{
    int decimals = 0;
    double s = step;
    for (; decimals < 6 && fabs(s - round(s)) > 1e-6 * s; decimals++) s *= 10;
    if (steps && step >= 1000 && fmod(step, 1000) == 0) snprintf(out, 32, "%.0fk", v / 1000);
    else snprintf(out, 32, "%.*f", decimals, fabs(v) < step * 1e-6 ? 0 : v);
    return out;
}
