/* The registry of block formats, and how matrices are quantised.
 *
 * Quantising follows the reference encoders operation by operation in f32, so that files compare equal: Q8_0 divides
 * by the unrounded d, Q4_0 keeps the sign of the largest value in d.  The work is cut along blocks; a scale never
 * depends on the cut. */
#include "kernels/profile.h"
#include "kernels/ref/ref.h"

#include "base/size.h"

#include <math.h>
#include <stdlib.h>

static void put_half(unsigned char *out, float f)
{
    uint16_t h = weft_f32_to_f16(f);
    out[0] = (unsigned char)h;
    out[1] = (unsigned char)(h >> 8);
}

static void quantise_q8_0(unsigned char *out, const float *x, size_t n)
{
    for (size_t b = 0; b < n; b += 32, x += 32, out += 34) {
        float max = 0;
        for (size_t i = 0; i < 32; i++) max = fmaxf(max, fabsf(x[i]));
        float d = max / 127, inverse = d != 0 ? 1 / d : 0;
        put_half(out, d);
        for (size_t i = 0; i < 32; i++) out[2 + i] = (unsigned char)(int8_t)roundf(x[i] * inverse);
    }
}

/* The value of the largest magnitude, the first of equals. */
static float extreme(const float *x, size_t n)
{
    float max = 0, value = 0;
    for (size_t i = 0; i < n; i++)
        if (fabsf(x[i]) > max) {
            max = fabsf(x[i]);
            value = x[i];
        }
    return value;
}

static void quantise_q4_0(unsigned char *out, const float *x, size_t n)
{
    for (size_t b = 0; b < n; b += 32, x += 32, out += 18) {
        float d = extreme(x, 32) / -8, inverse = d != 0 ? 1 / d : 0;
        put_half(out, d);
        for (size_t i = 0; i < 16; i++) {
            int low = (unsigned char)(x[i] * inverse + 8.5f), high = (unsigned char)(x[i + 16] * inverse + 8.5f);
            out[2 + i] = (unsigned char)((low < 15 ? low : 15) | (high < 15 ? high : 15) << 4);
        }
    }
}

static const struct weft_quant_format formats[WEFT_N_QUANT_TYPES] = {
    [WEFT_Q8_0] = { "q8_0", WEFT_Q8_0, 32, 34, false, quantise_q8_0 },
    [WEFT_Q4_0] = { "q4_0", WEFT_Q4_0, 32, 18, false, quantise_q4_0 },
    [WEFT_Q4_1] = { "q4_1", WEFT_Q4_1, 32, 20, false, NULL },
    [WEFT_Q5_0] = { "q5_0", WEFT_Q5_0, 32, 22, false, NULL },
    [WEFT_Q5_1] = { "q5_1", WEFT_Q5_1, 32, 24, false, NULL },
    [WEFT_Q4_K] = { "q4_k", WEFT_Q4_K, 256, 144, false, NULL },
    [WEFT_Q5_K] = { "q5_k", WEFT_Q5_K, 256, 176, false, NULL },
    [WEFT_Q6_K] = { "q6_k", WEFT_Q6_K, 256, 210, false, NULL },
    [WEFT_NF4] = { "nf4", WEFT_NF4, WEFT_NF4_BLOCK, WEFT_NF4_BLOCK / 2, true, NULL },
    [WEFT_INT8] = { "int8", WEFT_INT8, 1, 1, false, NULL },
};

const struct weft_quant_format *weft_quant_format(enum weft_quant_type type) { return &formats[type]; }

const struct weft_quant_format *weft_quant_find(const char *name)
{
    for (size_t i = 0; i < WEFT_N_QUANT_TYPES; i++)
        if (!strcmp(name, formats[i].name)) return &formats[i];
    return NULL;
}

/* ---- code books ---- */

const float weft_nf4_code[16] = {
    -1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f, -0.28444138169288635f,
    -0.18477343022823334f, -0.09105003625154495f, 0.0f, 0.07958029955625534f, 0.16093020141124725f,
    0.24611230194568634f, 0.33791524171829224f, 0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f, 1.0f,
};

static int by_value(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Decade i - 6 holds the midpoints of n equal parts of [0.1, 1], bounds and midpoints in f32 as the reference has
 * them: the upper half of the bounds is counted from 1 downwards. */
void weft_dynamic_map(bool is_signed, float code[256])
{
    float bound[129], power = 1e-6f;
    size_t at = 0;
    for (int i = 0; i < 7; i++) {
        static const float powers[] = { 1e-6f, 1e-5f, 1e-4f, 1e-3f, 1e-2f, 1e-1f, 1e0f };
        size_t n = (size_t)1 << (is_signed ? i : i + 1);
        float step = (1.0f - 0.1f) / (float)n;
        power = powers[i];
        for (size_t k = 0; k <= n; k++)
            bound[k] = k < (n + 1) / 2 ? 0.1f + step * (float)k : 1.0f - step * (float)(n - k);
        for (size_t k = 0; k < n; k++) {
            float middle = (bound[k] + bound[k + 1]) / 2 * power;
            code[at++] = middle;
            if (is_signed) code[at++] = -middle;
        }
    }
    code[at++] = 0;
    code[at++] = 1;
    qsort(code, at, sizeof *code, by_value);
}

/* Halfway between the two neighbours decides, in f64 where it is exact. */
size_t weft_nearest_code(const float *code, size_t n, float x)
{
    size_t low = 0, high = n - 1;               /* the answer is in low ... high */
    while (low < high) {
        size_t middle = (low + high) / 2;
        if ((double)x > ((double)code[middle] + (double)code[middle + 1]) / 2) low = middle + 1;
        else high = middle;
    }
    return low;
}

/* ---- sizes ---- */

bool weft_quant_data_bytes(const struct weft_quant_format *f, size_t rows, size_t cols, size_t *bytes)
{
    size_t n;
    if (!weft_size_mul(rows, cols, &n)) return false;
    if (f->flat) return weft_size_mul(weft_ceil_div(n, 2), 1, bytes);
    return cols % f->block == 0 && weft_size_mul(n / f->block, f->block_bytes, bytes);
}

static size_t scale_bytes(const struct weft_quant_format *f, bool nested, size_t rows, size_t cols)
{
    size_t blocks = weft_ceil_div(rows * cols, WEFT_NF4_BLOCK);
    if (f->type == WEFT_INT8) return rows * sizeof(float);
    if (f->type != WEFT_NF4) return 0;
    if (!nested) return blocks * sizeof(float);
    return blocks + (weft_ceil_div(blocks, WEFT_NESTED_BLOCK) + 256) * sizeof(float);
}

size_t weft_quant_planned_bytes(const struct weft_quant_format *f, bool nested, size_t rows, size_t cols)
{
    size_t data = 0;
    if (!weft_quant_data_bytes(f, rows, cols, &data)) return 0;
    return data + scale_bytes(f, nested, rows, cols) + sizeof(struct weft_quant);
}

size_t weft_quant_bytes(const struct weft_quant *q)
{
    size_t data = 0;
    if (!weft_quant_data_bytes(q->format, q->rows, q->cols, &data)) return 0;
    return data + scale_bytes(q->format, q->scale_codes != NULL, q->rows, q->cols);
}

/* Where in a block its f16 scales stand; the second is the first where there is one. */
static const unsigned char scale_places[WEFT_N_QUANT_TYPES][2] = {
    [WEFT_Q4_1] = { 0, 2 }, [WEFT_Q5_1] = { 0, 2 },     [WEFT_Q4_K] = { 0, 2 },
    [WEFT_Q5_K] = { 0, 2 }, [WEFT_Q6_K] = { 208, 208 },
};

bool weft_quant_finite(const struct weft_quant *q)
{
    const struct weft_quant_format *f = q->format;
    size_t n = 0, bytes = 0;
    if (f->type == WEFT_NF4 || f->type == WEFT_INT8) {
        n = f->type == WEFT_INT8 ? q->rows : weft_ceil_div(q->rows * q->cols, WEFT_NF4_BLOCK);
        for (size_t i = 0; i < n; i++) {
            float scale = q->scale_codes ? q->nested_code[q->scale_codes[i]] * q->nested_scales[i / WEFT_NESTED_BLOCK]
                                               + q->nested_offset
                                         : q->scales[i];
            if (!isfinite(scale)) return false;
        }
        return true;
    }
    if (!weft_quant_data_bytes(f, q->rows, q->cols, &bytes)) return false;
    for (size_t at = 0; at < bytes; at += f->block_bytes)
        for (size_t i = 0; i < 2; i++)          /* the exponent of an f16: the upper byte */
            if ((q->data[at + scale_places[f->type][i] + 1] & 0x7c) == 0x7c) return false;
    return true;
}

/* ---- reading back ---- */

struct reading {
    struct weft_compute *c;
    void *out;
    enum weft_dtype type;
    const struct weft_quant *q;
    size_t row, rows, per_piece;
};

static void read_task(void *ctx, size_t chunk, int thread)
{
    const struct reading *r = ctx;
    size_t first = chunk * r->per_piece, end = weft_min_size(first + r->per_piece, r->rows);
    for (size_t i = first; i < end; i++)
        r->c->k->dequantise((char *)r->out + i * r->q->cols * weft_dtype_bytes(r->type), r->type, r->q, r->row + i, 0,
                            r->q->cols);
}

void weft_dequantise(struct weft_compute *c, void *out, enum weft_dtype type, const struct weft_quant *q, size_t row,
                     size_t rows)
{
    enum { PIECE = 16384 };
    WEFT_SPAN(span) = weft_span(c, WEFT_OP_CONVERT, (double)(rows * q->cols * weft_dtype_bytes(type)));
    struct reading r = { c, out, type, q, row, rows, weft_max_size(PIECE / weft_max_size(q->cols, 1), 1) };
    weft_pool_run(c->pool, weft_ceil_div(rows, r.per_piece), read_task, &r);
}

/* ---- making ---- */

enum { FLAT_PIECE = 16384 };            /* elements a task takes where blocks run over the ends of rows */

struct making {
    struct weft_compute *c;
    const struct weft_quant_format *f;
    const void *w;
    enum weft_dtype type;
    size_t rows, cols, piece;           /* elements of a task: whole rows, or whole blocks */
    unsigned char *data;
    float *scales;
    bool *bad;                          /* [tasks] a value is not finite */
};

static void make_nf4(unsigned char *out, float *scales, const float *x, size_t n)
{
    for (size_t at = 0; at < n; at += WEFT_NF4_BLOCK) {
        size_t len = weft_min_size(WEFT_NF4_BLOCK, n - at);
        float max = 0;
        for (size_t i = 0; i < len; i++) max = fmaxf(max, fabsf(x[at + i]));
        float inverse = max != 0 ? 1 / max : 0;
        *scales++ = max;
        for (size_t i = 0; i < len; i++) {
            float v = fminf(fmaxf(x[at + i] * inverse, -1), 1);
            size_t code = weft_nearest_code(weft_nf4_code, 16, v);
            unsigned char *byte = out + (at + i) / 2;
            *byte = (unsigned char)(i % 2 ? *byte | code : code << 4);
        }
    }
}

static void make_int8(unsigned char *out, float *scale, const float *x, size_t n)
{
    float max = 0;
    for (size_t i = 0; i < n; i++) max = fmaxf(max, fabsf(x[i]));
    float inverse = max != 0 ? 127 / max : 0;
    *scale = max / 127;
    for (size_t i = 0; i < n; i++) out[i] = (unsigned char)(int8_t)fminf(fmaxf(rintf(x[i] * inverse), -127), 127);
}

static void make_task(void *ctx, size_t chunk, int thread)
{
    const struct making *m = ctx;
    float *x = m->c->scratch[thread];
    size_t at = chunk * m->piece, n = weft_min_size(m->piece, m->rows * m->cols - at);
    m->c->k->to_f32(x, weft_element(m->w, m->type, at), m->type, n);
    if (!m->c->k->all_finite(x, n)) {
        m->bad[chunk] = true;
        return;
    }
    switch (m->f->type) {
    case WEFT_NF4: make_nf4(m->data + at / 2, m->scales + at / WEFT_NF4_BLOCK, x, n); return;
    case WEFT_INT8: make_int8(m->data + at, m->scales + at / m->cols, x, n); return;
    default: m->f->quantise_row(m->data + at / m->f->block * m->f->block_bytes, x, n);
    }
}

/* The f32 scales of NF4 become codes of the signed dynamic map around their mean. */
static bool nest_scales(struct weft_arena *a, struct weft_quant *q, const float *scales, size_t blocks)
{
    size_t groups = weft_ceil_div(blocks, WEFT_NESTED_BLOCK);
    uint8_t *codes = weft_arena_alloc(a, blocks);
    float *nested = WEFT_NEWS(a, float, groups), *code = WEFT_NEWS(a, float, 256);
    if (!codes || !nested || !code) return false;
    double sum = 0;
    for (size_t b = 0; b < blocks; b++) sum += scales[b];
    q->nested_offset = (float)(sum / (double)weft_max_size(blocks, 1));
    weft_dynamic_map(true, code);
    for (size_t g = 0; g < groups; g++) {
        size_t first = g * WEFT_NESTED_BLOCK, end = weft_min_size(first + WEFT_NESTED_BLOCK, blocks);
        float max = 0;
        for (size_t b = first; b < end; b++) max = fmaxf(max, fabsf(scales[b] - q->nested_offset));
        float inverse = max != 0 ? 1 / max : 0;
        nested[g] = max;
        for (size_t b = first; b < end; b++)
            codes[b] = (uint8_t)weft_nearest_code(code, 256, (scales[b] - q->nested_offset) * inverse);
    }
    q->scale_codes = codes;
    q->nested_scales = nested;
    q->nested_code = code;
    return true;
}

enum weft_status weft_quantise(struct weft_compute *c, struct weft_arena *a, struct weft_quant *q,
                               const struct weft_quant_format *f, bool nested, const char *name, const void *w,
                               enum weft_dtype type, size_t rows, size_t cols, struct weft_err *err)
{
    struct making m = { .c = c, .f = f, .w = w, .type = type, .rows = rows, .cols = cols };
    struct weft_quant out = { .format = f, .rows = rows, .cols = cols };
    struct weft_arena scratch = { 0 };
    size_t bytes, scales, tasks, n = rows * cols;
    enum weft_status st = WEFT_OK;

    if (!f->quantise_row && f->type != WEFT_NF4 && f->type != WEFT_INT8)
        return weft_fail(err, WEFT_EARG, "weft reads %s but does not make it; it makes q8_0, q4_0, nf4 and int8", f->name);
    if (!weft_quant_data_bytes(f, rows, cols, &bytes))
        return weft_fail(err, WEFT_EARG, "%s has rows of %zu values; %s needs a multiple of %zu", name, cols, f->name,
                         f->block);
    scales = f->type == WEFT_INT8 ? rows : f->type == WEFT_NF4 ? weft_ceil_div(n, WEFT_NF4_BLOCK) : 0;
    m.piece = f->flat ? FLAT_PIECE : cols * weft_max_size(FLAT_PIECE / weft_max_size(cols, 1), 1);
    if (f->type == WEFT_INT8) m.piece = cols;
    tasks = m.piece ? weft_ceil_div(n, m.piece) : 0;
    m.data = weft_arena_alloc(a, bytes);
    m.scales = WEFT_NEWS(nested && f->type == WEFT_NF4 ? &scratch : a, float, scales);
    m.bad = WEFT_NEWS(&scratch, bool, tasks);
    if (!m.data || !m.scales || !m.bad || !weft_compute_need_scratch(c, m.piece * sizeof(float))) {
        st = weft_fail_nomem(err, bytes + scales * sizeof(float), name);
        goto done;
    }
    weft_pool_run(c->pool, tasks, make_task, &m);
    for (size_t i = 0; i < tasks; i++)
        if (m.bad[i]) {
            st = weft_fail_rule(err, WEFT_EINPUT, "B5",
                                "%s has a value that is not a number or infinite; such a matrix is not quantised", name);
            goto done;
        }
    out.data = m.data;
    out.scales = scales ? m.scales : NULL;
    if (nested && f->type == WEFT_NF4) {
        out.scales = NULL;
        if (!nest_scales(a, &out, m.scales, scales)) {
            st = weft_fail_nomem(err, scales, name);
            goto done;
        }
    }
    *q = out;
done:
    weft_arena_clear(&scratch);
    return st;
}
