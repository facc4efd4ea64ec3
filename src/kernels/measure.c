/* Register-only loops stand in inline assembly, so that no compiler can shorten them and no flag is needed. */
#include "kernels/measure.h"

#include "base/size.h"
#include "kernels/table.h"

#include <stdatomic.h>
#include <time.h>

enum {
    LOOPS = 20000,                      /* some 100 microseconds: much shorter than a scheduler's slice */
    RUNS = 12,
    ROTATE_BYTES = 256 << 20,           /* beyond every cache */
    READ_CHUNK = 1 << 20
};

static double seconds_of(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double weft_clock_seconds(void) { return seconds_of(CLOCK_MONOTONIC); }

/* One thread: the time it ran, so that other programs on the machine count less. */
static double now_of(const struct weft_pool *pool)
{
    return weft_pool_threads(pool) == 1 ? seconds_of(CLOCK_THREAD_CPUTIME_ID) : weft_clock_seconds();
}

#if defined(__x86_64__)
/* 16 independent chains of the instruction `op` on registers of kind `r`. */
#define CHAIN(op, r, i) op " %%" r "14, %%" r "15, %%" r #i "\n\t"
#define CHAINS(op, r)                                                                                           \
    CHAIN(op, r, 0) CHAIN(op, r, 1) CHAIN(op, r, 2) CHAIN(op, r, 3) CHAIN(op, r, 4) CHAIN(op, r, 5)             \
    CHAIN(op, r, 6) CHAIN(op, r, 7) CHAIN(op, r, 8) CHAIN(op, r, 9) CHAIN(op, r, 10) CHAIN(op, r, 11)           \
    CHAIN(op, r, 12) CHAIN(op, r, 13)
#define LOOP(name, op, r)                                                                                       \
    static void name(long loops)                                                                                \
    {                                                                                                           \
        __asm__ volatile("vpxor %%xmm14, %%xmm14, %%xmm14\n\tvpxor %%xmm15, %%xmm15, %%xmm15\n\t"               \
                         ".p2align 6\n1:\n\t" CHAINS(op, r) "dec %0\n\tjnz 1b\n\tvzeroupper"                    \
                         : "+r"(loops)                                                                          \
                         :                                                                                      \
                         : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",        \
                           "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");                       \
    }
enum { N_CHAINS = 14 };
LOOP(fma_ymm, "vfmadd231ps", "ymm")
LOOP(fma_zmm, "vfmadd231ps", "zmm")
LOOP(dot_zmm, "vdpbf16ps", "zmm")

static void (*peak_loop(enum weft_isa isa, bool exact, double *flops))(long)
{
    *flops = N_CHAINS * (isa == WEFT_ISA_AVX2 ? 16 : isa == WEFT_ISA_AVX512 || exact ? 32 : 64);
    if (isa == WEFT_ISA_REF || !(weft_isa_supported() >> isa & 1)) return NULL;
    return isa == WEFT_ISA_AVX2 ? fma_ymm : isa == WEFT_ISA_AVX512 || exact ? fma_zmm : dot_zmm;
}
#else
static void (*peak_loop(enum weft_isa isa, bool exact, double *flops))(long)
{
    *flops = 0;
    return NULL;
}
#endif

struct peak {
    void (*loop)(long);
    double flops;                       /* of one turn */
    double rate[1024];                  /* [threads] */
};

static void peak_task(void *ctx, size_t chunk, int thread)
{
    struct peak *p = ctx;
    double start = weft_clock_seconds();
    p->loop(LOOPS);
    p->rate[chunk] = LOOPS * p->flops / (weft_clock_seconds() - start);
}

double weft_measure_peak(struct weft_pool *pool, enum weft_isa isa, bool exact)
{
    struct peak p;
    double best = 0;
    p.loop = peak_loop(isa, exact, &p.flops);
    if (!p.loop) return 0;
    size_t threads = (size_t)weft_pool_threads(pool);
    for (int run = 0; run < RUNS; run++) {
        double sum = 0;
        weft_pool_run(pool, threads, peak_task, &p);
        for (size_t t = 0; t < threads; t++) sum += p.rate[t];
        if (sum > best) best = sum;
    }
    return best;
}

/* ---- reading ---- */

struct reading {
    const char *p;
    size_t bytes;
    bool wide;                          /* asked once: under a hypervisor cpuid takes longer than a chunk */
    _Atomic uint64_t seen;              /* so that the loads are not removed */
};

static void read_task(void *ctx, size_t chunk, int thread)
{
    struct reading *r = ctx;
    const char *p = r->p + chunk * READ_CHUNK;
    size_t n = weft_min_size(READ_CHUNK, r->bytes - chunk * READ_CHUNK);
#if defined(__x86_64__)
    if (r->wide) {
        size_t turns = n / 256;
        if (turns)
            __asm__ volatile(
                ".p2align 6\n1:\n\t"
                "prefetcht0 2048(%0)\n\tprefetcht0 2112(%0)\n\tprefetcht0 2176(%0)\n\tprefetcht0 2240(%0)\n\t"
                "vmovups (%0), %%ymm0\n\tvmovups 32(%0), %%ymm1\n\tvmovups 64(%0), %%ymm2\n\tvmovups 96(%0), %%ymm3\n\t"
                "vmovups 128(%0), %%ymm0\n\tvmovups 160(%0), %%ymm1\n\tvmovups 192(%0), %%ymm2\n\t"
                "vmovups 224(%0), %%ymm3\n\tadd $256, %0\n\tdec %1\n\tjnz 1b\n\tvzeroupper"
                : "+r"(p), "+r"(turns)
                :
                : "cc", "memory", "xmm0", "xmm1", "xmm2", "xmm3");
        return;
    }
#endif
    uint64_t sum = 0, word;
    for (size_t i = 0; i + 8 <= n; i += 8) {
        memcpy(&word, p + i, 8);
        sum ^= word;
    }
    atomic_fetch_xor(&r->seen, sum);
}

double weft_measure_read(struct weft_pool *pool, const void *p, size_t bytes)
{
    struct reading r = { .p = p, .bytes = bytes, .wide = weft_isa_supported() >> WEFT_ISA_AVX2 & 1 };
    double start = now_of(pool);
    weft_pool_run(pool, weft_ceil_div(bytes, READ_CHUNK), read_task, &r);
    return (double)bytes / (now_of(pool) - start);
}

/* ---- products ---- */

/* Numbers that are neither zero nor denormal nor all alike. */
static void fill(struct weft_compute *c, void *p, enum weft_dtype type, size_t n)
{
    float some[256];
    for (size_t i = 0; i < 256; i++) some[i] = (float)(i * 37 % 256) / 256.0f - 0.45f;
    for (size_t i = 0; i < n; i += 256)
        c->k->from_f32((char *)p + i * weft_dtype_bytes(type), type, some, weft_min_size(256, n - i));
}

struct buffers {
    struct weft_arena arena;
    char *w;
    size_t w_bytes, n_w;                /* of one weight; how many there are to rotate through */
    float *x, *y;
};

static enum weft_status buffers_new(struct buffers *b, struct weft_compute *c, size_t n_w,
                                    enum weft_dtype type, size_t n_x, size_t n_y, struct weft_err *err)
{
    *b = (struct buffers){ 0 };
    if (!weft_size_mul(n_w, weft_dtype_bytes(type), &b->w_bytes))
        return weft_fail(err, WEFT_EARG, "the product is too large");
    b->n_w = weft_max_size(ROTATE_BYTES / weft_max_size(b->w_bytes, 1), 1);
    b->w = weft_arena_calloc(&b->arena, b->n_w, b->w_bytes);
    b->x = WEFT_NEWS(&b->arena, float, n_x);
    b->y = WEFT_NEWS(&b->arena, float, n_y);
    if (!b->w || !b->x || !b->y) {
        weft_arena_clear(&b->arena);
        return weft_fail_nomem(err, b->n_w * b->w_bytes, "a measurement");
    }
    fill(c, b->w, type, b->n_w * n_w);
    fill(c, b->x, WEFT_F32, n_x);
    return WEFT_OK;
}

enum weft_status weft_measure_gemm(struct weft_compute *c, const struct weft_gemm_shape *s, int repeats,
                                   struct weft_measured_gemm *out, struct weft_err *err)
{
    struct buffers b;
    struct weft_gemm g = { .m = s->m,
                           .n = s->n,
                           .k = s->k,
                           .lda = s->k,
                           .b_type = s->product == WEFT_DW ? WEFT_F32 : s->type,
                           .ldb = s->n,
                           .ldc = s->n,
                           .exact = s->exact };
    if (s->product == WEFT_Y) g.b_rows_are_outputs = true, g.ldb = s->k;
    if (s->product == WEFT_DW) g.a_transposed = true, g.lda = s->m, g.accumulate = true;
    enum weft_status st = buffers_new(&b, c, s->n * s->k, g.b_type, s->m * s->k, s->m * s->n, err);
    if (st) return st;
    g.a = b.x, g.c = b.y;
    double work = 2.0 * (double)s->m * (double)s->n * (double)s->k, peak = weft_measure_peak(c->pool, c->isa, s->exact);
    *out = (struct weft_measured_gemm){ .peak = peak, .seconds = 1e30 };
    for (int i = -1; i < repeats || i < 1; i++) {       /* the first grows the scratch memory */
        g.b = b.w + (size_t)(i + 1) % b.n_w * b.w_bytes;
        double start = now_of(c->pool);
        weft_gemm(c, &g);
        double seconds = now_of(c->pool) - start;
        if (i < 0) continue;
        if (i % 4 == 3) peak = weft_measure_peak(c->pool, c->isa, s->exact);
        if (peak > out->peak) out->peak = peak;
        if (seconds < out->seconds) out->seconds = seconds;
    }
    out->flops = work / out->seconds;
    out->share = out->peak > 0 ? out->flops / out->peak : 0;
    weft_arena_clear(&b.arena);
    return WEFT_OK;
}

enum weft_status weft_measure_decode(struct weft_compute *c, size_t m, size_t n, size_t k,
                                     enum weft_dtype type, int repeats, struct weft_measured_decode *out,
                                     struct weft_err *err)
{
    struct buffers b;
    enum weft_status st = buffers_new(&b, c, n * k, type, m * k, m * n, err);
    if (st) return st;
    struct weft_gemm g = { .m = m,
                           .n = n,
                           .k = k,
                           .a = b.x,
                           .lda = k,
                           .b_type = type,
                           .ldb = k,
                           .b_rows_are_outputs = true,
                           .c = b.y,
                           .ldc = n };
    *out = (struct weft_measured_decode){ 0 };
    double all = (double)(b.n_w * b.w_bytes);
    for (int i = 0; i < repeats || i < 1; i++) {
        double read = weft_measure_read(c->pool, b.w, b.n_w * b.w_bytes), start = now_of(c->pool);
        for (size_t w = 0; w < b.n_w; w++) {
            g.b = b.w + w * b.w_bytes;
            weft_gemm(c, &g);
        }
        double bytes = all / (now_of(c->pool) - start);
        if (read > out->read) out->read = read;
        if (bytes > out->bytes) out->bytes = bytes;
    }
    out->share = out->bytes / out->read;
    weft_arena_clear(&b.arena);
    return WEFT_OK;
}

/* ---- attention ---- */

static float *filled(struct weft_compute *c, struct weft_arena *a, size_t n)
{
    float *p = WEFT_NEWS(a, float, n);
    if (p) fill(c, p, WEFT_F32, n);
    return p;
}

enum weft_status weft_measure_attention(struct weft_compute *c, size_t seqs, size_t len, size_t n_heads,
                                        size_t n_kv_heads, size_t d, int repeats,
                                        struct weft_measured_attention *out, struct weft_err *err)
{
    struct weft_arena m = { 0 };
    enum weft_status st = WEFT_OK;
    size_t T = seqs * len, wide = n_heads * d, narrow = n_kv_heads * d;
    float *q = filled(c, &m, T * wide), *k = filled(c, &m, T * narrow), *v = filled(c, &m, T * narrow),
          *dout = filled(c, &m, T * wide);
    float *y = WEFT_NEWS(&m, float, T *wide), *dq = WEFT_NEWS(&m, float, T *wide),
          *dk = WEFT_NEWS(&m, float, T *narrow);
    float *dv = WEFT_NEWS(&m, float, T *narrow), *lse = WEFT_NEWS(&m, float, T *n_heads),
          *delta = WEFT_NEWS(&m, float, T *n_heads);
    int32_t *cu = WEFT_NEWS(&m, int32_t, seqs + 1);
    if (!q || !k || !v || !dout || !y || !dq || !dk || !dv || !lse || !delta || !cu) {
        st = weft_fail_nomem(err, T * wide * sizeof *q, "a measurement");
        goto done;
    }
    for (size_t s = 0; s <= seqs; s++) cu[s] = (int32_t)(s * len);
    struct weft_attn a = { .q = q,
                           .k = k,
                           .v = v,
                           .ldq = wide,
                           .ldk = narrow,
                           .ldv = narrow,
                           .cu = cu,
                           .n_seqs = seqs,
                           .T = T,
                           .n_heads = n_heads,
                           .n_kv_heads = n_kv_heads,
                           .d = d };
    double pairs = (double)seqs * (double)len * (double)(len + 1) / 2 * (double)n_heads * (double)d,
           forward = 1e30, backward = 1e30;
    double peak = weft_measure_peak(c->pool, c->isa, c->exact);
    for (int i = -1; i < repeats || i < 1; i++) {
        double start = now_of(c->pool);
        weft_attention(c, y, lse, &a);
        double middle = now_of(c->pool);
        weft_attention_backward(c, dq, dk, dv, delta, dout, y, lse, &a);
        double end = now_of(c->pool), now = weft_measure_peak(c->pool, c->isa, c->exact);
        if (now > peak) peak = now;
        if (middle - start < forward) forward = middle - start;
        if (end - middle < backward) backward = end - middle;
    }
    *out = (struct weft_measured_attention){ 4 * pairs / forward, 10 * pairs / backward, peak };
done:
    weft_arena_clear(&m);
    return st;
}
