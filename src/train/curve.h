/* train/curve.h - what both drawings of a curve share: the window and its ticks */
#ifndef WEFT_TRAIN_CURVE_H
#define WEFT_TRAIN_CURVE_H

#include "train/trainer.h"

struct weft_curve_window {
    double x0, x1, y0, y1;      /* x0 < x1, y0 < y1 */
};
/* Everything of the curves but single spikes: y ends where the smoothed lines and 99 of 100 points do. */
struct weft_curve_window weft_curve_window_of(const struct weft_curve *curves, size_t n);

/* The first multiple of *step at or above `from`, where *step is 1, 2 or 5 times a power of ten and gives about
 * `wanted` ticks up to `to`. */
double weft_curve_ticks(double from, double to, int wanted, double *step);
/* A tick's number with as many decimals as its step needs; 12000 as "12k" when `steps`. */
const char *weft_curve_number(char out[32], double v, double step, bool steps);

enum { WEFT_CURVE_DOTS = 30 };  /* up to so many points each is shown */
enum { WEFT_CURVE_COLOURS = 8 };
/* How wide smoothing is: of one run, whose raw curve stands behind it, and of several, which must be told apart. */
#define WEFT_CURVE_FINE (1.0 / 60)
#define WEFT_CURVE_COARSE (1.0 / 24)

#endif
