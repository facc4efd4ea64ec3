/* Attention: the public calls.  A level with products works in blocks (attention_blocks.c); without one, or without
 * memory for the blocks, the plain loops of ref/ run, one (sequence, head) at a time. */
#include "kernels/profile.h"
#include "kernels/ref/ref.h"

#include <math.h>

struct forward {
    float *out, *lse;
    const struct weft_attn *a;
};

static struct weft_ref_head head_of(const struct weft_attn *a, size_t seq, size_t head)
{
    size_t first = (size_t)a->cu[seq], kv = head / (a->n_heads / a->n_kv_heads);
    return (struct weft_ref_head){
        .q = a->q + first * a->ldq + head * a->d, .ldq = a->ldq,
        .k = a->k + first * a->ldk + kv * a->d, .ldk = a->ldk,
        .v = a->v + first * a->ldv + kv * a->d, .ldv = a->ldv,
        .n_q = (size_t)a->cu[seq + 1] - first, .d = a->d, .window = a->window,
    };
}

static void forward_task(void *ctx, size_t chunk, int thread)
{
    const struct forward *f = ctx;
    const struct weft_attn *a = f->a;
    size_t seq = chunk / a->n_heads, head = chunk % a->n_heads, first = (size_t)a->cu[seq];
    struct weft_ref_head h = head_of(a, seq, head);
    weft_ref_attention(f->out + (first * a->n_heads + head) * a->d, a->n_heads * a->d,
                       f->lse ? f->lse + head * a->T + first : NULL, &h);
}

/* `products` d FLOP for each pair of a query and a key that it sees, as measured by weft_measure_attention. */
static struct weft_span span_of(const struct weft_compute *c, enum weft_op op, const struct weft_attn *a,
                                double products)
{
    struct weft_span s = weft_span(c, op, 0);
    if (!s.row) return s;
    double pairs = 0;
    for (size_t i = 0; i < a->n_seqs; i++) {
        double len = (double)(a->cu[i + 1] - a->cu[i]), w = a->window ? fmin((double)a->window, len) : len;
        pairs += w * (w + 1) / 2 + (len - w) * w;
    }
    s.row->flop += products * pairs * (double)(a->n_heads * a->d);
    return s;
}

void weft_attention(struct weft_compute *c, float *out, float *lse, const struct weft_attn *a)
{
    WEFT_SPAN(span) = span_of(c, WEFT_OP_ATTENTION, a, 4);
    const struct weft_gemm_level *level = c->exact || a->exact ? c->k->gemm_exact : c->k->gemm;
    if (level && weft_attention_blocks(c, level, out, lse, a)) return;
    struct forward f = { out, lse, a };
    weft_compute_run(c, a->n_seqs * a->n_heads, forward_task, &f);
}

struct backward {
    struct weft_compute *c;
    float *dq, *dk, *dv, *delta;
    const float *dout, *out, *lse;
    const struct weft_attn *a;
};

enum { DELTA_TOKENS = 64 };

/* delta[h][t] = sum over the head of dout * out */
static void delta_task(void *ctx, size_t chunk, int thread)
{
    const struct backward *b = ctx;
    const struct weft_attn *a = b->a;
    for (size_t t = chunk * DELTA_TOKENS; t < weft_min_size((chunk + 1) * DELTA_TOKENS, a->T); t++)
        for (size_t h = 0; h < a->n_heads; h++) {
            size_t at = (t * a->n_heads + h) * a->d;
            b->delta[h * a->T + t] = b->c->k->dot(b->dout + at, b->out + at, a->d);
        }
}

/* All heads of one kv head: they add to the same dk and dv. */
static void backward_task(void *ctx, size_t chunk, int thread)
{
    const struct backward *b = ctx;
    const struct weft_attn *a = b->a;
    size_t seq = chunk / a->n_kv_heads, kv = chunk % a->n_kv_heads, group = a->n_heads / a->n_kv_heads;
    size_t first = (size_t)a->cu[seq];
    float *dk = b->dk + first * a->ldk + kv * a->d, *dv = b->dv + first * a->ldv + kv * a->d;
    for (size_t t = 0; t < (size_t)a->cu[seq + 1] - first; t++) {
        memset(dk + t * a->ldk, 0, a->d * sizeof *dk);
        memset(dv + t * a->ldv, 0, a->d * sizeof *dv);
    }
    for (size_t head = kv * group; head < (kv + 1) * group; head++) {
        struct weft_ref_head h = head_of(a, seq, head);
        weft_ref_attention_backward(b->dq + first * a->ldq + head * a->d, dk, dv,
                                    b->dout + (first * a->n_heads + head) * a->d, a->n_heads * a->d,
                                    b->lse + head * a->T + first, b->delta + head * a->T + first, &h);
    }
}

void weft_attention_backward(struct weft_compute *c, float *dq, float *dk, float *dv, float *delta, const float *dout,
                             const float *out, const float *lse, const struct weft_attn *a)
{
    WEFT_SPAN(span) = span_of(c, WEFT_OP_ATTENTION_BACKWARD, a, 10);
    const struct weft_gemm_level *level = c->exact || a->exact ? c->k->gemm_exact : c->k->gemm;
    struct backward b = { c, dq, dk, dv, delta, dout, out, lse, a };
    weft_compute_run(c, weft_ceil_div(a->T, DELTA_TOKENS), delta_task, &b);
    if (level && weft_attention_blocks_backward(c, level, dq, dk, dv, delta, dout, lse, a)) return;
    weft_compute_run(c, a->n_seqs * a->n_kv_heads, backward_task, &b);
}

static void cached_task(void *ctx, size_t head, int thread)
{
    const struct weft_cached_attn *s = ctx;
    size_t kv = head / (s->n_heads / s->n_kv_heads), ld = s->n_heads * s->d;
    struct weft_ref_head h = { .q = s->q + head * s->d, .ldq = ld, .k = s->kc + kv * s->cap * s->d, .ldk = s->d,
                               .v = s->vc + kv * s->cap * s->d, .ldv = s->d, .d = s->d,
                               .n_q = s->n_q, .offset = s->n_past,
                               .window = s->window };
    weft_ref_attention(s->out + head * s->d, ld, NULL, &h);
}

void weft_attention_cached(struct weft_compute *c, float *out, const float *q, const float *kc,
                           const float *vc, size_t cap, size_t n_past, size_t n_q, size_t n_heads,
                           size_t n_kv_heads, size_t d, size_t window)
{
    struct weft_cached_attn s = { out, q, kc, vc, cap, n_past, n_q, n_heads, n_kv_heads, d, window };
    const struct weft_gemm_level *level = c->exact ? c->k->gemm_exact : c->k->gemm;
    if (level && weft_attention_blocks_cached(c, level, &s)) return;
    weft_compute_run(c, n_heads, cached_task, &s);
}
