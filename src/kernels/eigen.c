#include "kernels/eigen.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

enum { MAX_STEPS = 60 };        /* of QL for one eigenvalue; two or three are usual */

/* A = Q T Q^T.  T's diagonals go to d [n] and e [n-1], Q^T to z; the reflections' vectors stay in a, below its
 * diagonal, their factors 2 / v.v in beta [n]. */
static void tridiagonalise(double *a, double *d, double *e, double *z, double *beta, size_t n)
{
    double *p = e;              /* scratch from k+1 on; e[k] is final after step k */
    for (size_t k = 0; k + 2 < n; k++) {
        double norm = 0, vv, across = 0;
        for (size_t i = k + 1; i < n; i++) norm += a[i * n + k] * a[i * n + k];
        norm = sqrt(norm);
        beta[k] = 0;
        if (!(norm > 0)) {
            e[k] = 0;
            continue;
        }
        double first = a[(k + 1) * n + k], shift = first < 0 ? -norm : norm;
        a[(k + 1) * n + k] = first + shift;
        vv = 2 * norm * (norm + fabs(first));
        beta[k] = 2 / vv;
        /* p = beta A v, then w = p - (beta v.p / 2) v, and A -= v w^T + w v^T */
        for (size_t i = k + 1; i < n; i++) {
            double sum = 0;
            for (size_t j = k + 1; j < n; j++) sum += a[i * n + j] * a[j * n + k];
            p[i] = beta[k] * sum;
            across += a[i * n + k] * p[i];
        }
        for (size_t i = k + 1; i < n; i++) p[i] -= 0.5 * beta[k] * across * a[i * n + k];
        for (size_t i = k + 1; i < n; i++) {
            double v = a[i * n + k], w = p[i];
            for (size_t j = k + 1; j < n; j++) a[i * n + j] -= v * p[j] + w * a[j * n + k];
        }
        e[k] = -shift;
    }
    for (size_t i = 0; i < n; i++) d[i] = a[i * n + i];
    if (n > 1) e[n - 2] = a[(n - 1) * n + n - 2];

    memset(z, 0, n * n * sizeof *z);
    for (size_t i = 0; i < n; i++) z[i * n + i] = 1;
    for (size_t k = n > 2 ? n - 2 : 0; k-- > 0;) {          /* z <- z H_k: rows above k+1 are still the identity's */
        if (beta[k] == 0) continue;
        for (size_t i = k + 1; i < n; i++) {
            double sum = 0;
            for (size_t j = k + 1; j < n; j++) sum += z[i * n + j] * a[j * n + k];
            for (size_t j = k + 1; j < n; j++) z[i * n + j] -= beta[k] * sum * a[j * n + k];
        }
    }
}

/* Rows i and i+1 of z turn by the angle with cosine c and sine s. */
static void turn(double *z, size_t n, size_t i, double c, double s)
{
    double *x = z + i * n, *y = x + n;
    for (size_t k = 0; k < n; k++) {
        double t = y[k];
        y[k] = s * x[k] + c * t;
        x[k] = c * x[k] - s * t;
    }
}

static void ql(double *d, double *e, double *z, size_t n)
{
    for (size_t l = 0; l < n; l++)
        for (int steps = 0; steps < MAX_STEPS; steps++) {
            size_t m = l;
            while (m + 1 < n && fabs(e[m]) > DBL_EPSILON * (fabs(d[m]) + fabs(d[m + 1]))) m++;
            if (m == l) break;
            double g = (d[l + 1] - d[l]) / (2 * e[l]), s = 1, c = 1, p = 0;
            g = d[m] - d[l] + e[l] / (g + copysign(hypot(g, 1), g));
            size_t i = m;
            bool split = false;
            while (i-- > l) {
                double f = s * e[i], b = c * e[i], r = hypot(f, g);
                e[i + 1] = r;
                if (r == 0) {                               /* the matrix falls apart here */
                    d[i + 1] -= p;
                    e[m] = 0;
                    split = true;
                    break;
                }
                s = f / r;
                c = g / r;
                g = d[i + 1] - p;
                r = (d[i] - g) * s + 2 * c * b;
                p = s * r;
                d[i + 1] = g + p;
                g = c * r - b;
                turn(z, n, i, c, s);
            }
            if (split) continue;
            d[l] -= p;
            e[l] = g;
            e[m] = 0;
        }
}

void weft_eigen_symmetric(double *a, double *values, double *vectors, double *work, size_t n)
{
    double *e = work, *beta = work + n, *swap = work + 2 * n;
    if (!n) return;
    tridiagonalise(a, values, e, vectors, beta, n);
    e[n - 1] = 0;
    ql(values, e, vectors, n);
    for (size_t i = 0; i + 1 < n; i++) {                    /* the largest first */
        size_t top = i;
        for (size_t k = i + 1; k < n; k++)
            if (values[k] > values[top]) top = k;
        if (top == i) continue;
        double v = values[i];
        values[i] = values[top];
        values[top] = v;
        memcpy(swap, vectors + i * n, n * sizeof *swap);
        memcpy(vectors + i * n, vectors + top * n, n * sizeof *swap);
        memcpy(vectors + top * n, swap, n * sizeof *swap);
    }
}
