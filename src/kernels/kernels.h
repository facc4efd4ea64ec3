/* kernels/kernels.h - arithmetic on arrays, for every instruction level behind one table
 *
 * Two layers.  `struct weft_kernels` is a table of single-threaded inner loops; ref/ fills every slot and defines
 * the result, avx2/, avx512/ and avx512bf16/ overwrite the slots in which they do better.  The weft_<op>()
 * functions below cut an operation over the thread pool, along rows and columns only and never along a
 * reduction, in pieces that do not depend on the thread count: 1 and 64 threads give the same bits.
 *
 * Activations and gradients are f32.  Weights (the B operand of a product) are f32, bf16 or f16, row-major as in a
 * safetensors file, at any alignment, and are packed panel by panel as they are used.  Where a level multiplies
 * in bf16, the f32 operand is rounded to bf16 on the way into the panel; accumulation is always f32.
 *
 * Which level: WEFT_ISA_AVX512BF16 only where vdpbf16ps runs at the rate of vfmadd231ps or better (Zen 4, Zen 5).
 * On Intel processors without AMX it runs at a quarter of that rate in products per instruction issued, so there
 * bf16 weights are expanded to f32 while packing and multiplied by FMA, which is both faster and more exact.
 *
 * Shapes stand beside every pointer, slowest dimension first; T is the number of tokens in the batch.
 * Outputs never overlap inputs unless a comment says "in place".
 * Threads: a struct weft_compute is used by one caller at a time; it owns the per-thread scratch.
 */
#ifndef WEFT_KERNELS_KERNELS_H
#define WEFT_KERNELS_KERNELS_H

#include "base/arena.h"
#include "base/pool.h"
#include "kernels/dtype.h"

enum weft_isa { WEFT_ISA_REF, WEFT_ISA_AVX2, WEFT_ISA_AVX512, WEFT_ISA_AVX512BF16, WEFT_N_ISA };

struct weft_kernels;                    /* kernels/table.h: only kernels/ and its tests look inside */
struct weft_profile;

struct weft_compute {
    const struct weft_kernels *k;
    enum weft_isa isa;
    bool exact;                         /* set by the caller: every product in f32, as if each op said so itself */
    bool int8; /* set by the caller: products with int8 weights and many rows multiply in int8 */
    struct weft_pool *pool;             /* borrowed; NULL: one thread */
    struct weft_profile *profile;       /* kernels/profile.h; NULL: nothing is measured */
    void **scratch;                     /* [threads] packing panels and the like, each weft_compute's own */
    size_t scratch_bytes;               /* of each */
    void *shared;                       /* packed operands that all threads read during one operation */
    size_t shared_bytes;
    struct weft_arena arena;            /* holds the above; grows with the largest shape seen, then rests */
    struct weft_compute_bytes *counted; /* weft_compute_counter's; else NULL */
};

/* Scratch memory: of each thread, and of all together. */
struct weft_compute_bytes {
    size_t scratch, shared;
};
/* A compute that only counts: weft_gemm and the two training calls of attention read and write nothing (their pointers
 * may be NULL, but a WEFT_QUANT B must be there) and raise *most to what they would take of c.  Nothing to clear. */
struct weft_compute weft_compute_counter(const struct weft_compute *c, struct weft_compute_bytes *most);
/* What reserving `most` would add to c->arena. */
size_t weft_compute_missing(const struct weft_compute *c, const struct weft_compute_bytes *most);
/* Takes it, so that no such operation allocates any more; false: no memory. */
WEFT_MUST_USE bool weft_compute_reserve(struct weft_compute *c, const struct weft_compute_bytes *most);

/* isa_name NULL or "auto": the best level of this machine; otherwise "ref", "avx2", "avx512" or "avx512bf16", and
 * WEFT_EDEVICE when the machine lacks it.  The pool must outlive the compute. */
WEFT_MUST_USE enum weft_status
weft_compute_init(struct weft_compute *c, const char *isa_name, struct weft_pool *pool, struct weft_err *err);
void weft_compute_clear(struct weft_compute *c);        /* accepts a zeroed struct */
const char *weft_isa_name(enum weft_isa isa);
bool weft_compute_rounds(const struct weft_compute *c);         /* this level multiplies f32 as bf16, unless `exact` */
bool weft_compute_has_int8(const struct weft_compute *c);       /* this level multiplies in int8 faster than in bf16 */
/* Levels this machine can run, as a bit set: 1u << WEFT_ISA_AVX2 ... */
unsigned weft_isa_supported(void);

/* ---- matrix products ---- */

struct weft_gemm {
    size_t m, n, k;             /* C [m,n] = alpha * op(A) op(B) (+ C) (+ bias); a zero dimension is legal */
    const float *a;             /* A [m,k], or [k,m] when a_transposed */
    size_t lda;                 /* floats from one row to the next */
    bool a_transposed;
    const void *b;              /* B [n,k] when b_rows_are_outputs (y = x W^T), else [k,n] (dx = dy W) */
    enum weft_dtype b_type;     /* WEFT_QUANT: b is a struct weft_quant of that shape (kernels/quant.h) */
    size_t ldb;                 /* elements from one row to the next; not read for WEFT_QUANT */
    bool b_rows_are_outputs;
    float *c;                   /* C [m,n] */
    size_t ldc;
    bool accumulate;            /* add to C instead of overwriting it */
    bool exact;                 /* multiply in f32 whatever the level (parity runs, norms of updates) */
    float alpha;                /* 0 is taken as 1, so that a zeroed struct is the plain product */
    const float *bias;          /* [n], added once to every row; NULL: none */
    const struct weft_low_rank *low;    /* a second term of C; not with a_transposed; NULL: none */
};
/* t [m, rank] = t_alpha * op(A) op(in), then C += alpha * t op(out).  in and out are f32, contiguous, and lie as B:
 *   b_rows_are_outputs   in [rank, k], out [n, rank]     y += alpha (x A^T) B^T
 *   else                 in [k, rank], out [rank, n]     dx += (t_alpha dy B) A
 * The bits of three products one after the other; A is packed once for two of them, the third meets C in the cache. */
struct weft_low_rank {
    const float *in, *out;
    float *t;
    size_t rank;
    float t_alpha, alpha;       /* 0 is taken as 1 */
};
/* The three products of a linear layer W [out,in] are
 *   y  [T,out] = x W^T      a = x,  b = W, b_rows_are_outputs
 *   dx [T,in]  = dy W       a = dy, b = W
 *   dW [out,in] += dy^T x   a = dy, a_transposed, b = x, accumulate
 * Small m (decoding) takes a path that streams B once without packing. */
void weft_gemm(struct weft_compute *c, const struct weft_gemm *g);
/* n products with the same A (a, lda, a_transposed, m, k), which is packed once.  The bits of n calls of weft_gemm; no
 * C or t overlaps another. */
enum { WEFT_GEMM_GROUP = 8 };
void weft_gemm_group(struct weft_compute *c, const struct weft_gemm *g, size_t n);

/* ---- normalisation, activation, position ---- */

/* y = w * x * r, r = 1 / sqrt(mean(x^2) + eps).  x, y [rows,d] (y may be x), w [d] f32, r [rows] out or NULL. */
void weft_rmsnorm(struct weft_compute *c, float *y, float *r, const float *x, const float *w, size_t rows,
                  size_t d, float eps);
/* dx [rows,d] = gradient (added to dx when `accumulate`); dw [d] += gradient, or NULL; dx may be dy. */
void weft_rmsnorm_backward(struct weft_compute *c, float *dx, bool accumulate, float *dw, const float *dy,
                           const float *x, const float *w, const float *r, size_t rows, size_t d);

/* h = silu(gate) * up, all [rows,d] contiguous; h may be gate. */
void weft_swiglu(struct weft_compute *c, float *h, const float *gate, const float *up, size_t n);
/* dgate, dup [n] from dh; dgate may be dh.  When h is not NULL silu(gate)*up is written there as well: a pass
 * that recomputes needs both, and gate and up are in the cache. */
void weft_swiglu_backward(struct weft_compute *c, float *dgate, float *dup, float *h, const float *dh,
                          const float *gate, const float *up, size_t n);
/* The same where gate and up are kept in between as `pair` [n]: in the place of an f32 both of them in bf16, gate in
 * the lower half.  h may be gate, or NULL: not wanted.  Backward leaves silu(gate) * up in pair, as f32; dgate may be
 * dh. */
void weft_swiglu_keep(struct weft_compute *c, float *h, float *pair, const float *gate, const float *up, size_t n);
void weft_swiglu_backward_kept(struct weft_compute *c, float *dgate, float *dup, float *pair, const float *dh,
                               size_t n);

/* Rotates pairs (j, j + d/2) of x [T, heads, d] in place; row t uses cos, sin [*, d/2] at row pos[t].
 * ld: floats between tokens.  inverse: by the negative angle (the backward pass). */
void weft_rope(struct weft_compute *c, float *x, size_t ld, const float *cos, const float *sin,
               const int32_t *pos, size_t T, size_t heads, size_t d, bool inverse);

void weft_add(struct weft_compute *c, float *y, const float *x, size_t n);                   /* y += x */
void weft_take(struct weft_compute *c, float *y, float *x, size_t n, bool first);    /* y += x, first: y = x; x = 0 */
void weft_scale(struct weft_compute *c, float *y, float alpha, size_t n);                    /* y *= alpha */
double weft_sum_squares(struct weft_compute *c, const float *x, size_t n);                   /* fixed tree, f64 */
bool weft_all_finite(struct weft_compute *c, const float *x, size_t n);

/* y = x * mask / (1-p).  Element i is kept when draw number i of weft_rng(seed, WEFT_RNG_DROPOUT, stream) is at least
 * p * 2^32: the same call gives the same mask again, at every level.  p in [0, 1); y may be x. */
void weft_dropout(struct weft_compute *c, float *y, const float *x, size_t n, float p, uint64_t seed, uint64_t stream);
/* y += x * mask / (1-p), for the backward pass of the same call. */
void weft_dropout_add(struct weft_compute *c, float *y, const float *x, size_t n, float p, uint64_t seed,
                      uint64_t stream);

/* y[i] += U(-most, most), element i from draw number i of weft_rng(seed, WEFT_RNG_NOISE, stream). */
void weft_add_noise(struct weft_compute *c, float *y, size_t n, float most, uint64_t seed, uint64_t stream);

/* db [n] += column sums of dy [rows,n], in row order. */
void weft_bias_backward(struct weft_compute *c, float *db, const float *dy, size_t rows, size_t n);

/* ---- embedding and loss ---- */

/* y [T,d] = rows of E [V,d]; e_type WEFT_QUANT: e is a struct weft_quant. */
void weft_embed(struct weft_compute *c, float *y, const void *e, enum weft_dtype e_type, const int32_t *ids,
                size_t T, size_t d);
/* dE [V,d] += dy rows, in ascending token order for each id (deterministic); id `skip` (-1: none) gets nothing. */
void weft_embed_backward(struct weft_compute *c, float *de, const float *dy, const int32_t *ids, size_t T,
                         size_t d, int32_t skip);

/* Rows of logits z [rows, v]: loss[i] = lse(z_i) - z_i[target[i]], in f64 from f32; then, when `coef` is not NULL,
 * in place z_i = coef[i] * (softmax(z_i) - onehot(target[i])). */
void weft_cross_entropy(struct weft_compute *c, double *loss, float *z, size_t ldz, const int32_t *target,
                        const float *coef, size_t rows, size_t v);

/* ---- attention ---- */

/* Causal attention over rows packed without padding: sequence s is tokens cu[s] ... cu[s+1]-1.  FlashAttention-2
 * blocks (arXiv:2307.08691): nothing of size T x T is stored.
 *   q [T, n_heads, d] with ldq floats between tokens; k, v [T, n_kv_heads, d] with ldk, ldv; out [T, n_heads, d]
 *   contiguous; lse [n_heads, T] natural log, out or NULL.  Head h reads kv head h / (n_heads / n_kv_heads).
 *   window 0: none; else query i sees keys j with i - j < window.  The score scale is 1/sqrt(d). */
struct weft_attn {
    const float *q, *k, *v;
    size_t ldq, ldk, ldv;
    const int32_t *cu;          /* [n_seqs + 1], ascending, cu[0] = 0, cu[n_seqs] = T */
    size_t n_seqs, T;
    size_t n_heads, n_kv_heads, d;
    size_t window;
    bool exact;                 /* f32 products whatever the level */
};
void weft_attention(struct weft_compute *c, float *out, float *lse, const struct weft_attn *a);
/* Overwrites dq [T,n_heads,d], dk, dv [T,n_kv_heads,d] (ld as q, k, v).  delta [n_heads, T] is scratch. */
void weft_attention_backward(struct weft_compute *c, float *dq, float *dk, float *dv, float *delta, const float *dout,
                             const float *out, const float *lse, const struct weft_attn *a);

/* One sequence over a cache that already holds its new keys: n_q queries at positions n_past ... n_past+n_q-1.  Few
 * queries (decoding) multiply in f32; many (reading a prompt) go in blocks as weft_attention does.  q [n_q,
 * n_heads, d]; kc, vc [n_kv_heads, cap, d] f32; out [n_q, n_heads, d].  A query's values are the same bits in any
 * company of at least WEFT_FEW_QUERIES, those of a row of any matrix product in one of at least WEFT_FEW_ROWS (fewer
 * rows are multiplied in ways of their own). */
enum { WEFT_FEW_QUERIES = 16, WEFT_FEW_ROWS = 48 };
void weft_attention_cached(struct weft_compute *c, float *out, const float *q, const float *kc,
                           const float *vc, size_t cap, size_t n_past, size_t n_q, size_t n_heads,
                           size_t n_kv_heads, size_t d, size_t window);

/* ---- optimizers ---- */

/* AdamW as in docs/training.md: p *= 1 - lr*wd; m += (1-b1)(g-m); v = b2 v + (1-b2) g^2;
 * p -= step_size * m / (sqrt(v) * inv_sqrt_bc2 + eps).  g is read times g_scale (clipping). */
struct weft_adamw_step {
    float lr, wd, beta1, beta2, eps, step_size, inv_sqrt_bc2, g_scale;
};
void weft_adamw(struct weft_compute *c, float *p, float *m, float *v, const float *g, size_t n,
                const struct weft_adamw_step *s);
/* The same of values and moments that are held in bf16: computed in f32, each rounded once, to the nearest.  The values
 * are p16, or p, whose numbers then are such as bf16 has; the other one is NULL. */
void weft_adamw_bf16(struct weft_compute *c, uint16_t *p16, float *p, uint16_t *m, uint16_t *v, const float *g,
                     size_t n, const struct weft_adamw_step *s);

/* ---- conversions ---- */

void weft_to_f32(struct weft_compute *c, float *y, const void *x, enum weft_dtype type, size_t n);
void weft_from_f32(struct weft_compute *c, void *y, enum weft_dtype type, const float *x, size_t n);

#endif
