/* kernels/quant.h - quantised matrices: block formats, reading them back, making them
 *
 * A format cuts a row (NF4: the whole matrix in row order) into blocks that share a scale.  The layouts of the ggml
 * formats are those of GGUF files, so a matrix may lie mapped in its file; NF4 is that of bitsandbytes checkpoints.
 *
 *   name   block  bytes  element i of a block                                    scale
 *   q8_0      32     34  d q[i]                                                  f16 d in the block
 *   q4_0      32     18  d (n[i] - 8)                                            f16 d
 *   q4_1      32     20  d n[i] + m                                              f16 d, m
 *   q5_0      32     22  d (n[i] - 16), n of 5 bits                              f16 d
 *   q5_1      32     24  d n[i] + m                                              f16 d, m
 *   q4_k     256    144  d sc n[i] - dmin mn, sc and mn of 6 bits for each 32    f16 d, dmin
 *   q5_k     256    176  the same with n of 5 bits
 *   q6_k     256    210  d sc (n[i] - 32), sc of 8 bits for each 16              f16 d
 *   nf4       64     32  code[n[i]] a, the 16 quantiles of a normal distribution f32 a beside the data, or quantised
 *   int8     row   cols  s q[i]                                                  f32 s for each row, max |w| / 127
 *
 * Products take such a matrix as their B operand (kernels.h): panels are dequantised while they are packed, forward and
 * backward from the same copy, rounded to bf16 where the level multiplies in bf16.  A product with a struct weft_quant
 * has the bits of a product with the dequantised matrix.
 *
 * Owner:   the arena given to weft_quantise, or the mapped file.
 * Threads: immutable once made.  docs/kernels.md, "Quantised weights".
 */
#ifndef WEFT_KERNELS_QUANT_H
#define WEFT_KERNELS_QUANT_H

#include "base/arena.h"
#include "kernels/dtype.h"

struct weft_compute;

enum weft_quant_type {
    WEFT_Q8_0, WEFT_Q4_0, WEFT_Q4_1, WEFT_Q5_0, WEFT_Q5_1, WEFT_Q4_K, WEFT_Q5_K, WEFT_Q6_K, WEFT_NF4, WEFT_INT8,
    WEFT_N_QUANT_TYPES
};

struct weft_quant_format {
    const char *name;                   /* "q4_k" */
    enum weft_quant_type type;
    size_t block, block_bytes;          /* elements and bytes of a block; int8: 1 and 1 */
    bool flat;                          /* blocks run on over the end of a row */
    /* One row [n], n a multiple of the block, to blocks; NULL: the format is only read.  int8 and NF4 have their scales
     * beside the data and are made by weft_quantise alone. */
    void (*quantise_row)(unsigned char *out, const float *x, size_t n);
};

struct weft_quant {
    const struct weft_quant_format *format;
    size_t rows, cols;
    const unsigned char *data;          /* any alignment */
    const float *scales;                /* int8 [rows]; NF4 [blocks] unless the scales are quantised; else NULL */
    /* NF4 with double quantisation: scale of block b = nested_code[scale_codes[b]] * nested_scales[b / 256]
     * + nested_offset */
    const uint8_t *scale_codes;
    const float *nested_scales, *nested_code;   /* [blocks / 256 up], [256] */
    float nested_offset;
};

enum { WEFT_NF4_BLOCK = 64, WEFT_NESTED_BLOCK = 256 };
extern const float weft_nf4_code[16];
/* The 256 values of the dynamic map (arXiv:2110.02861), ascending. */
void weft_dynamic_map(bool is_signed, float code[256]);
/* The index of the nearest of n ascending values; a tie takes the lower. */
size_t weft_nearest_code(const float *code, size_t n, float x);

const struct weft_quant_format *weft_quant_format(enum weft_quant_type type);
const struct weft_quant_format *weft_quant_find(const char *name);     /* NULL: no such format */

/* Bytes of the data alone, scales beside them not counted; false: too large, or cols is no multiple of the block. */
WEFT_MUST_USE bool weft_quant_data_bytes(const struct weft_quant_format *f, size_t rows, size_t cols, size_t *bytes);
size_t weft_quant_bytes(const struct weft_quant *q);                    /* with everything beside the data */
/* What weft_quantise will take from the arena for a matrix of this shape. */
size_t weft_quant_planned_bytes(const struct weft_quant_format *f, bool nested, size_t rows, size_t cols);

/* No scale is a NaN or infinite, so no element is. */
bool weft_quant_finite(const struct weft_quant *q);

/* out [rows, cols] of type f32 or bf16 = rows row ... row+rows-1 of q. */
void weft_dequantise(struct weft_compute *c, void *out, enum weft_dtype type, const struct weft_quant *q, size_t row,
                     size_t rows);

/* w [rows, cols] (f32, bf16, f16) to q in arena `a`.  nested: NF4 quantises its scales too (arXiv:2305.14314, "double
 * quantisation").  WEFT_EARG: the format is only read, or a row is no multiple of its block; WEFT_EINPUT: a value is
 * not finite. `name` is for messages. */
WEFT_MUST_USE enum weft_status
weft_quantise(struct weft_compute *c, struct weft_arena *a, struct weft_quant *q, const struct weft_quant_format *f,
              bool nested, const char *name, const void *w, enum weft_dtype type, size_t rows, size_t cols,
              struct weft_err *err);

/* Where elements from (row, col) on lie, for prefetching. */
static inline const unsigned char *weft_quant_at(const struct weft_quant *q, size_t row, size_t col)
{
    const struct weft_quant_format *f = q->format;
    return q->data + (row * q->cols + col) / f->block * f->block_bytes;
}

#endif
