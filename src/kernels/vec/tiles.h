/* kernels/vec/tiles.h - register tiles over packed panels; included after a level's simd.h
 *
 * The including file defines WEFT_DOT(s, x, w): s + x * w for 32-bit units x (one, broadcast) and w (a vector).
 * A tile of 6 rows x PANEL_VECS vectors keeps its sums in registers; one step along k loads PANEL_VECS vectors of
 * the panel and broadcasts 6 units of A.  Narrow panels (the rank of an adapter) take taller tiles, so that there
 * are always enough independent chains to hide the latency of the dot instruction (6 cycles for vdpbf16ps).
 * `ahead` is the A of the next tile, a line of which is pulled in at each step: all at once they would hold up the
 * loads of this one. */
#ifndef WEFT_KERNELS_VEC_TILES_H
#define WEFT_KERNELS_VEC_TILES_H

#include "kernels/table.h"

enum { PANEL_COLS = PANEL_VECS * VEC_LEN, MAX_TILE_ROWS = 12 };

VEC_INLINE void tile(const size_t mr, const size_t nv, size_t units, const uint32_t *a, size_t lda,
                     const uint32_t *b, float *c, size_t ldc, vmask last, bool accumulate, float alpha,
                     const float *bias, const uint32_t *ahead)
{
    vec s[MAX_TILE_ROWS][PANEL_VECS];
#pragma GCC unroll 12
    for (size_t i = 0; i < mr; i++)
#pragma GCC unroll 4
        for (size_t j = 0; j < nv; j++) s[i][j] = v_zero();
    for (size_t p = 0; p < units; p++, b += PANEL_COLS) {
        vec w[PANEL_VECS];
        _mm_prefetch((const char *)(ahead + p * mr), _MM_HINT_T0);
#pragma GCC unroll 4
        for (size_t j = 0; j < nv; j++) w[j] = v_load(b + j * VEC_LEN);
#pragma GCC unroll 12
        for (size_t i = 0; i < mr; i++) {
            float unit;
            memcpy(&unit, a + i * lda + p, sizeof unit);
            vec x = v_set1(unit);
#pragma GCC unroll 4
            for (size_t j = 0; j < nv; j++) s[i][j] = WEFT_DOT(s[i][j], x, w[j]);
        }
    }
    vec factor = v_set1(alpha);
#pragma GCC unroll 4
    for (size_t j = 0; j < nv; j++) {
        vmask m = j + 1 == nv ? last : v_first(VEC_LEN);
        vec add = bias ? v_load_m(m, bias + j * VEC_LEN) : v_zero();
#pragma GCC unroll 12
        for (size_t i = 0; i < mr; i++) {
            float *q = c + i * ldc + j * VEC_LEN;
            vec v = v_mul(s[i][j], factor);
            if (accumulate) v = v_add(v, v_load_m(m, q));
            if (bias) v = v_add(v, add);
            v_store_m(m, q, v);
        }
    }
}

#define WEFT_TILE(mr, nv)                                                                                 \
    static __attribute__((noinline)) void tile_##mr##_##nv(                                               \
        size_t units, const uint32_t *a, size_t lda, const uint32_t *b, float *c, size_t ldc, vmask last, \
        bool accumulate, float alpha, const float *bias, const uint32_t *ahead)                           \
    {                                                                                                     \
        tile(mr, nv, units, a, lda, b, c, ldc, last, accumulate, alpha, bias, ahead);                     \
    }
WEFT_TILE(1, 1) WEFT_TILE(2, 1) WEFT_TILE(4, 1) WEFT_TILE(12, 1)
#if PANEL_VECS == 4
WEFT_TILE(8, 1) WEFT_TILE(1, 2) WEFT_TILE(2, 2) WEFT_TILE(4, 2) WEFT_TILE(8, 2) WEFT_TILE(12, 2)
WEFT_TILE(1, 3) WEFT_TILE(2, 3) WEFT_TILE(4, 3) WEFT_TILE(8, 3)
WEFT_TILE(1, 4) WEFT_TILE(2, 4) WEFT_TILE(3, 4) WEFT_TILE(4, 4) WEFT_TILE(5, 4) WEFT_TILE(6, 4)
#else
WEFT_TILE(1, 2) WEFT_TILE(2, 2) WEFT_TILE(3, 2) WEFT_TILE(4, 2) WEFT_TILE(5, 2) WEFT_TILE(6, 2)
#endif

struct tile_height {
    size_t rows;
    void (*fn)(size_t units, const uint32_t *a, size_t lda, const uint32_t *b, float *c, size_t ldc,
               vmask last, bool accumulate, float alpha, const float *bias, const uint32_t *ahead);
};
/* By number of vectors, tallest first. */
static const struct tile_height tiles[PANEL_VECS + 1][6] = {
#if PANEL_VECS == 4
    [1] = { { 12, tile_12_1 }, { 8, tile_8_1 }, { 4, tile_4_1 }, { 2, tile_2_1 }, { 1, tile_1_1 } },
    [2] = { { 12, tile_12_2 }, { 8, tile_8_2 }, { 4, tile_4_2 }, { 2, tile_2_2 }, { 1, tile_1_2 } },
    [3] = { { 8, tile_8_3 }, { 4, tile_4_3 }, { 2, tile_2_3 }, { 1, tile_1_3 } },
    [4] = { { 6, tile_6_4 }, { 5, tile_5_4 }, { 4, tile_4_4 }, { 3, tile_3_4 }, { 2, tile_2_4 }, { 1, tile_1_4 } },
#else
    [1] = { { 12, tile_12_1 }, { 4, tile_4_1 }, { 2, tile_2_1 }, { 1, tile_1_1 } },
    [2] = { { 6, tile_6_2 }, { 5, tile_5_2 }, { 4, tile_4_2 }, { 3, tile_3_2 }, { 2, tile_2_2 }, { 1, tile_1_2 } },
#endif
};

VEC_INLINE void prefetch_c(const float *c, size_t ldc, size_t rows, size_t n)
{
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < n; j += 16) _mm_prefetch((const char *)(c + i * ldc + j), _MM_HINT_T0);
}

static void multiply(size_t rows, size_t units, const uint32_t *a, size_t lda, const struct weft_panel *b,
                     float *c, size_t ldc, bool accumulate, float alpha, const float *bias)
{
    size_t nv = (b->n + VEC_LEN - 1) / VEC_LEN, left = rows, ahead = 0;
    vmask last = v_first(b->n - (nv - 1) * VEC_LEN);
    const struct tile_height *t = tiles[nv];
    /* The next weights are pulled in while the tiles run, a few rows at a time. */
    size_t ahead_step = b->next ? 1 + b->next_rows * t->rows / (rows + 1) : 0;
    while (left) {
        while (t->rows > left) t++;
        for (size_t end = weft_min_size(ahead + ahead_step, b->next_rows); ahead < end; ahead++)
            for (size_t o = 0; o < b->next_row_bytes; o += 64)
                _mm_prefetch(b->next + ahead * b->next_ld_bytes + o, _MM_HINT_T1);
        if (b->far_c && left > t->rows) prefetch_c(c + t->rows * ldc, ldc, t->rows, b->n);
        t->fn(units, a, lda, b->units, c, ldc, last, accumulate, alpha, bias,
              b->far_a && left > t->rows ? a + t->rows * lda : a);
        a += t->rows * lda;
        c += t->rows * ldc;
        left -= t->rows;
    }
}

#endif
