/* Forward and backward over one padding-free batch.
 *
 * What a layer keeps for its backward stands in struct weft_acts; norms' outputs and silu(gate)*up are
 * recomputed there, since they cost a pass over the cache and would cost D + D + F floats a token to keep.  Where
 * products round their operands to bf16 anyway, backward reads bf16 copies of what forward made: half the memory.
 * With checkpointing all layers share one struct weft_acts and only their inputs x[i] are kept.  Layers below
 * the lowest trainable one keep nothing.
 *
 * Nobody reads the last layer's output but in the rows that carry loss: behind its attention it is computed for those
 * alone, forward and backward. */
#include "model/pass.h"

#include <math.h>

/* The residual stream that enters layer i (i == L: leaves the last).  Below the lowest trained layer two streams take
 * turns, so that the one written last is x of the lowest. */
static float *stream(const struct weft_pass *p, size_t i)
{
    if (p->s.low && !p->s.checkpointing) return p->x[i % 2];
    if (i >= p->s.lowest) return p->x[i - p->s.lowest];
    return p->x[(p->s.lowest - i) % 2];
}

static struct weft_acts *acts_of(const struct weft_pass *p, size_t i)
{
    return p->s.n_acts == 1 || i < p->s.lowest ? &p->acts[0] : &p->acts[i - p->s.lowest];
}

static void keep(struct weft_compute *k, uint16_t *kept, const float *x, size_t n)
{
    if (kept) weft_from_f32(k, kept, WEFT_BF16, x, n);
}

static void recall(struct weft_compute *k, float *x, const uint16_t *kept, size_t n)
{
    if (kept) weft_to_f32(k, x, kept, WEFT_BF16, n);
}

/* ---- one layer ---- */

/* Where each branch's t stands in acts.t. */
struct branch_parts {
    float *q, *k, *v, *o, *gate, *up, *down;
};

static struct branch_parts split_branches(float *t, const struct weft_layer *l, size_t T)
{
    struct branch_parts b;
    b.q = t, t += T * weft_rank_of(&l->q);
    b.k = t, t += T * weft_rank_of(&l->k);
    b.v = t, t += T * weft_rank_of(&l->v);
    b.o = t, t += T * weft_rank_of(&l->o);
    b.gate = t, t += T * weft_rank_of(&l->gate);
    b.up = t, t += T * weft_rank_of(&l->up);
    b.down = t;
    return b;
}

static struct weft_attn attention_of(const struct weft_model *m, const struct weft_acts *a,
                                     const struct weft_batch *b, size_t layer)
{
    const struct weft_config *c = &m->config;
    size_t q = c->n_heads * c->head_dim, kv = c->n_kv_heads * c->head_dim;
    return (struct weft_attn){
        .q = a->q,
        .k = a->k,
        .v = a->v,
        .ldq = q,
        .ldk = kv,
        .ldv = kv,
        .cu = b->cu,
        .n_seqs = b->n_seqs,
        .T = b->n_tokens,
        .n_heads = c->n_heads,
        .n_kv_heads = c->n_kv_heads,
        .d = c->head_dim,
        .window = weft_config_window(c, layer),
    };
}

/* o [T, H, d] = attention over x [T, D], and what its backward needs. */
static void attend(const struct weft_run *run, const struct weft_model *m, struct weft_pass *p,
                   const struct weft_batch *b, size_t layer, struct weft_acts *a, const float *x)
{
    const struct weft_config *c = &m->config;
    const struct weft_layer *l = &m->layers[layer];
    struct weft_compute *k = run->compute;
    size_t T = b->n_tokens, H = c->n_heads, Hk = c->n_kv_heads, d = c->head_dim;
    struct branch_parts t = split_branches(a->t, l, T);
    float *q = c->qk_norm ? a->q_raw : a->q, *key = c->qk_norm ? a->k_raw : a->k;

    weft_rmsnorm(k, p->norm, a->r1, x, l->input_norm.w, T, c->hidden_size, c->rms_norm_eps);
    const struct weft_linear_call qkv[] = { { &l->q, q, t.q }, { &l->k, key, t.k }, { &l->v, a->v, t.v } };
    weft_linear_forward_all(run, qkv, WEFT_COUNT(qkv), p->norm, p->x_drop, T);
    if (c->qk_norm) {
        weft_rmsnorm(k, a->q, a->rq, q, l->q_norm.w, T * H, d, c->rms_norm_eps);
        weft_rmsnorm(k, a->k, a->rk, key, l->k_norm.w, T * Hk, d, c->rms_norm_eps);
    }
    weft_rope(k, a->q, H * d, p->rope_cos, p->rope_sin, b->pos, T, H, d, false);
    weft_rope(k, a->k, Hk * d, p->rope_cos, p->rope_sin, b->pos, T, Hk, d, false);
    struct weft_attn attn = attention_of(m, a, b, layer);
    weft_attention(k, a->o, a->lse, &attn);
    keep(k, a->kept.x, x, T * c->hidden_size);
    keep(k, a->kept.q, a->q, T * H * d);
    keep(k, a->kept.k, a->k, T * Hk * d);
    keep(k, a->kept.v, a->v, T * Hk * d);
    keep(k, a->kept.o, a->o, T * H * d);
    keep(k, a->kept.q_raw, a->q_raw, T * H * d);
    keep(k, a->kept.k_raw, a->k_raw, T * Hk * d);
}

/* What follows attention, for n rows: y [n, D] from x [n, D] and o [n, H, d].  T: tokens of the batch.  y NULL: the
 * recomputation of a checkpointed layer, whose output nobody reads. */
static void rows_forward(const struct weft_run *run, const struct weft_model *m, struct weft_pass *p,
                         size_t layer, struct weft_acts *a, size_t n, size_t T, const float *x,
                         const float *o, float *y)
{
    const struct weft_config *c = &m->config;
    const struct weft_layer *l = &m->layers[layer];
    size_t D = c->hidden_size;
    struct branch_parts t = split_branches(a->t, l, T);

    memcpy(a->mid, x, n * D * sizeof(float));
    weft_linear_forward(run, &l->o, a->mid, true, t.o, o, p->x_drop, n);
    weft_rmsnorm(run->compute, p->norm, a->r2, a->mid, l->post_norm.w, n, D, c->rms_norm_eps);
    const struct weft_linear_call wide[] = { { &l->gate, a->gate, t.gate }, { &l->up, a->up, t.up } };
    weft_linear_forward_all(run, wide, WEFT_COUNT(wide), p->norm, p->x_drop, n);
    keep(run->compute, a->kept.mid, a->mid, n * D);
    float *h = a->kept.pair ? a->gate : p->wide;
    bool wants_h = y || weft_linear_branched(&l->down);
    if (a->kept.pair)
        weft_swiglu_keep(run->compute, wants_h ? h : NULL, a->kept.pair, a->gate, a->up, n * c->intermediate_size);
    else if (wants_h) weft_swiglu(run->compute, h, a->gate, a->up, n * c->intermediate_size);
    if (!wants_h) return;
    if (!y) {
        weft_linear_branch_in(run, &l->down, t.down, h, h, n);
        return;
    }
    memcpy(y, a->mid, n * D * sizeof(float));
    weft_linear_forward(run, &l->down, y, true, t.down, h, h, n);
}

/* The order of both halves is that of docs/model.md, "Backward". */

/* dh [n, D] holds the gradient of the layer's output in n rows and receives that of its stream after attention; dout
 * [n, H, d] receives that of attention's output. */
static void rows_backward(const struct weft_run *run, struct weft_model *m, struct weft_pass *p, size_t layer,
                          const struct weft_acts *a, size_t n, size_t T, const float *o)
{
    const struct weft_config *c = &m->config;
    struct weft_layer *l = &m->layers[layer];
    struct weft_compute *k = run->compute;
    size_t D = c->hidden_size;
    struct branch_parts t = split_branches(a->t, l, T), dt = split_branches(p->dt, l, T);

    weft_linear_backward_x(run, &l->down, p->dgate, false, dt.down, p->dh, p->dup, n);
    float *h = a->kept.pair ? a->kept.pair : p->wide;
    if (a->kept.pair)
        weft_swiglu_backward_kept(k, p->dgate, p->dup, h, p->dgate, n * c->intermediate_size);
    else
        weft_swiglu_backward(k, p->dgate, p->dup, weft_linear_wants_x(&l->down) ? h : NULL, p->dgate, a->gate,
                             a->up, n * c->intermediate_size);
    weft_linear_backward_w(run, &l->down, p->dh, t.down, dt.down, h, h, n);

    weft_linear_backward_x(run, &l->gate, p->dnorm, false, dt.gate, p->dgate, p->wide, n);
    weft_linear_backward_x(run, &l->up, p->dnorm, true, dt.up, p->dup, p->wide, n);
    recall(k, a->mid, a->kept.mid, n * D);
    if (weft_linear_wants_x(&l->gate) || weft_linear_wants_x(&l->up))
        weft_rmsnorm(k, p->norm, NULL, a->mid, l->post_norm.w, n, D, c->rms_norm_eps);
    weft_linear_backward_w(run, &l->gate, p->dgate, t.gate, dt.gate, p->norm, p->wide, n);
    weft_linear_backward_w(run, &l->up, p->dup, t.up, dt.up, p->norm, p->wide, n);
    weft_rmsnorm_backward(k, p->dh, true, l->post_norm.dw, p->dnorm, a->mid, l->post_norm.w, a->r2, n, D);

    weft_linear_backward_x(run, &l->o, p->dout, false, dt.o, p->dh, p->wide, n);
    weft_linear_backward_w(run, &l->o, p->dh, t.o, dt.o, o, p->wide, n);
}

/* dh [T, D] holds the gradient of the stream after attention and receives that of x, which is only computed
 * when `below` wants it. */
static void attend_backward(const struct weft_run *run, struct weft_model *m, struct weft_pass *p,
                            const struct weft_batch *b, size_t layer, const struct weft_acts *a,
                            const float *x, bool below)
{
    const struct weft_config *c = &m->config;
    struct weft_layer *l = &m->layers[layer];
    struct weft_compute *k = run->compute;
    size_t T = b->n_tokens, D = c->hidden_size, H = c->n_heads, Hk = c->n_kv_heads, d = c->head_dim;
    struct branch_parts t = split_branches(a->t, l, T), dt = split_branches(p->dt, l, T);
    float *dx = below || l->input_norm.dw ? p->dnorm : NULL;

    recall(k, a->q, a->kept.q, T * H * d);
    recall(k, a->k, a->kept.k, T * Hk * d);
    recall(k, a->v, a->kept.v, T * Hk * d);
    recall(k, a->q_raw, a->kept.q_raw, T * H * d);
    recall(k, a->k_raw, a->kept.k_raw, T * Hk * d);
    struct weft_attn attn = attention_of(m, a, b, layer);
    weft_attention_backward(k, p->dq, p->dk, p->dv, p->delta, p->dout, a->o, a->lse, &attn);
    if (a->kept.x) {                    /* o is of no use any more */
        recall(k, p->x_again, a->kept.x, T * D);
        x = p->x_again;
    }
    weft_rope(k, p->dq, H * d, p->rope_cos, p->rope_sin, b->pos, T, H, d, true);
    weft_rope(k, p->dk, Hk * d, p->rope_cos, p->rope_sin, b->pos, T, Hk, d, true);
    if (c->qk_norm) {
        weft_rmsnorm_backward(k, p->dq, false, l->q_norm.dw, p->dq, a->q_raw, l->q_norm.w, a->rq, T * H, d);
        weft_rmsnorm_backward(k, p->dk, false, l->k_norm.dw, p->dk, a->k_raw, l->k_norm.w, a->rk, T * Hk, d);
    }
    weft_linear_backward_x(run, &l->q, dx, false, dt.q, p->dq, p->wide, T);
    weft_linear_backward_x(run, &l->k, dx, true, dt.k, p->dk, p->wide, T);
    weft_linear_backward_x(run, &l->v, dx, true, dt.v, p->dv, p->wide, T);
    if (weft_linear_wants_x(&l->q) || weft_linear_wants_x(&l->k) || weft_linear_wants_x(&l->v))
        weft_rmsnorm(k, p->norm, NULL, x, l->input_norm.w, T, D, c->rms_norm_eps);
    weft_linear_backward_w(run, &l->q, p->dq, t.q, dt.q, p->norm, p->wide, T);
    weft_linear_backward_w(run, &l->k, p->dk, t.k, dt.k, p->norm, p->wide, T);
    weft_linear_backward_w(run, &l->v, p->dv, t.v, dt.v, p->norm, p->wide, T);
    if (dx) weft_rmsnorm_backward(k, p->dh, true, l->input_norm.dw, dx, x, l->input_norm.w, a->r1, T, D);
}

/* ---- the batch ---- */

static void begin(struct weft_run *run, const struct weft_model *m, const struct weft_pass *p)
{
    weft_run_begin(run, p->compute, m);
    run->dora = p->dora;
    weft_model_dora_update(run->compute, m);
}

static enum weft_status check_batch(const struct weft_model *m, const struct weft_pass *p, const struct weft_batch *b,
                                    struct weft_err *err)
{
    size_t V = m->config.vocab_size;
    if (b->n_tokens > p->s.T)
        return weft_fail(err, WEFT_EARG, "a batch of %zu tokens; this pass has room for %zu", b->n_tokens, p->s.T);
    if (!weft_pass_fits(p, m))
        return weft_fail(err, WEFT_EARG, "the model got other trainable tensors after the pass was made; make it anew");
    for (size_t t = 0; t < b->n_tokens; t++) {
        if (b->ids[t] < 0 || (size_t)b->ids[t] >= V)
            return weft_fail_rule(err, WEFT_EINPUT, "B6",
                                  "token %zu of the batch has id %d; the model knows ids 0 to %zu: its "
                                  "tokenizer belongs to another model",
                                  t, b->ids[t], V - 1);
        if (b->pos[t] < 0 || (size_t)b->pos[t] >= p->n_positions)
            return weft_fail(err, WEFT_EARG,
                             "token %zu of the batch is at position %d; this pass has positions 0 to %zu", t,
                             b->pos[t], p->n_positions - 1);
    }
    return WEFT_OK;
}

/* NEFTune: a training pass alone has noise. */
static void add_noise(const struct weft_run *run, const struct weft_model *m, struct weft_pass *p,
                      const struct weft_batch *b)
{
    size_t longest = 0, D = m->config.hidden_size;
    for (size_t s = 0; s < b->n_seqs; s++) longest = weft_max_size(longest, (size_t)(b->cu[s + 1] - b->cu[s]));
    longest = (longest + 7) / 8 * 8;        /* the reference pads to a multiple of 8 */
    float most = p->noise_alpha / sqrtf((float)(longest * D));
    weft_add_noise(run->compute, stream(p, 0), b->n_tokens * D, most, run->seed, run->micro_step);
}

/* All layers, the last one up to its attention. */
static void forward(const struct weft_run *run, const struct weft_model *m, struct weft_pass *p,
                    const struct weft_batch *b)
{
    size_t L = m->config.n_layers, T = b->n_tokens;
    weft_embed(run->compute, stream(p, 0), m->embed, m->embed_type, b->ids, T, m->config.hidden_size);
    if (run->dropout && p->noise_alpha > 0) add_noise(run, m, p, b);
    for (size_t i = 0; i < L; i++) {
        struct weft_acts *a = acts_of(p, i);
        attend(run, m, p, b, i, a, stream(p, i));
        if (i + 1 < L) rows_forward(run, m, p, i, a, T, T, stream(p, i), a->o, stream(p, i + 1));
    }
}

/* The rest of the last layer and the final norm, for n rows. */
static void finish_rows(const struct weft_run *run, const struct weft_model *m, struct weft_pass *p, size_t T,
                        const int32_t *rows, size_t n)
{
    const struct weft_config *c = &m->config;
    size_t last = c->n_layers - 1, D = c->hidden_size, q = c->n_heads * c->head_dim;
    struct weft_acts *a = acts_of(p, last);
    weft_embed(run->compute, p->last_x, stream(p, last), WEFT_F32, rows, n, D);
    weft_embed(run->compute, p->last_o, a->o, WEFT_F32, rows, n, q);
    rows_forward(run, m, p, last, a, n, T, p->last_x, p->last_o, stream(p, last + 1));
    weft_rmsnorm(run->compute, p->final, p->r_final, stream(p, last + 1), m->norm.w, n, D, c->rms_norm_eps);
}

/* x [n, width] becomes [T, width] in place: row i moves to rows[i] >= i, all others are zero. */
static void spread_rows(float *x, const int32_t *rows, size_t n, size_t T, size_t width)
{
    for (size_t t = T; t-- > 0;) {
        if (!n || (size_t)rows[n - 1] != t) {
            memset(x + t * width, 0, width * sizeof *x);
        } else if (--n != t) {
            memcpy(x + t * width, x + n * width, width * sizeof *x);
        }
    }
}

/* Lists the rows that carry loss: those whose next token has a label.  Sequences bound the shift. */
static enum weft_status select_rows(const struct weft_model *m, struct weft_pass *p,
                                    const struct weft_batch *b, size_t *n, struct weft_err *err)
{
    *n = 0;
    if (!b->labels) return weft_fail(err, WEFT_EARG, "a loss needs labels; the batch has none");
    for (size_t s = 0; s < b->n_seqs; s++)
        for (int32_t t = b->cu[s]; t + 1 < b->cu[s + 1]; t++) {
            int32_t label = b->labels[t + 1];
            if (label == WEFT_IGNORE) continue;
            if (label < 0 || (size_t)label >= m->config.vocab_size)
                return weft_fail_rule(err, WEFT_EINPUT, "B6",
                                      "label %d of the batch is not an id of the model (0 to %zu)", label,
                                      m->config.vocab_size - 1);
            p->rows[*n] = t;
            p->targets[*n] = label;
            p->row_seq[*n] = (int32_t)s;
            ++*n;
        }
    return WEFT_OK;
}

/* What is wanted of the head. */
struct head_job {
    bool backward;          /* dh [n, D] receives the gradient at the final norm's output, and the head its dW */
    float coef;             /* of every row's loss, where seq_coef is NULL */
    const float *seq_coef;  /* [n_seqs] of the rows of each sequence */
    double *seq_loss;       /* [n_seqs] += the rows' losses; NULL: not wanted */
    size_t *seq_n;          /* [n_seqs] += rows; NULL: not wanted */
};

/* Loss over n rows of p->final, logits a chunk at a time. */
static void head_loss(const struct weft_run *run, const struct weft_model *m, struct weft_pass *p, size_t n,
                      const struct head_job *job, struct weft_loss *out)
{
    const struct weft_linear *head = &m->head;
    size_t D = m->config.hidden_size, V = m->config.vocab_size;
    size_t n_chunks = weft_ceil_div(n, p->s.loss_rows), chunk = n_chunks ? weft_ceil_div(n, n_chunks) : 0;

    *out = (struct weft_loss){ .n = n };
    for (size_t at = 0; at < n; at += chunk) {
        size_t rows = weft_min_size(chunk, n - at);
        const float *x = p->final + at * D;
        const int32_t *seq = p->row_seq + at;
        for (size_t i = 0; i < rows; i++) p->coef[i] = job->seq_coef ? job->seq_coef[seq[i]] : job->coef;
        weft_gemm(run->compute, &(struct weft_gemm){
            .m = rows, .n = V, .k = D, .a = x, .lda = D, .b = head->w, .b_type = head->type, .ldb = D,
            .b_rows_are_outputs = true, .c = p->logits, .ldc = V });
        weft_cross_entropy(run->compute, p->loss, p->logits, V, p->targets + at, job->backward ? p->coef : NULL, rows,
                           V);
        for (size_t i = 0; i < rows; i++) {
            out->sum += p->loss[i];
            if (job->seq_loss) job->seq_loss[seq[i]] += p->loss[i];
            if (job->seq_n) job->seq_n[seq[i]]++;
        }
        if (!job->backward) continue;
        weft_gemm(run->compute, &(struct weft_gemm){
            .m = rows, .n = D, .k = V, .a = p->logits, .lda = V, .b = head->w, .b_type = head->type, .ldb = D,
            .c = p->dh + at * D, .ldc = D });
        if (head->dw)
            weft_gemm(run->compute, &(struct weft_gemm){ .m = V,
                                                         .n = D,
                                                         .k = rows,
                                                         .a = p->logits,
                                                         .lda = V,
                                                         .a_transposed = true,
                                                         .b = x,
                                                         .ldb = D,
                                                         .c = head->dw,
                                                         .ldc = D,
                                                         .accumulate = true });
    }
}

/* Losses of the selected rows, without gradients. */
static enum weft_status losses(const struct weft_model *m, struct weft_pass *p, const struct weft_batch *b,
                               const struct head_job *job, struct weft_loss *out, struct weft_err *err)
{
    struct weft_run run = { 0 };
    size_t n;
    if (p->losses) p = p->losses;
    *out = (struct weft_loss){ 0 };
    enum weft_status st = check_batch(m, p, b, err);
    if (!st) st = select_rows(m, p, b, &n, err);
    if (st || !n) return st;
    begin(&run, m, p);
    forward(&run, m, p, b);
    finish_rows(&run, m, p, b->n_tokens, p->rows, n);
    head_loss(&run, m, p, n, job, out);
    weft_run_end(&run);
    return WEFT_OK;
}

enum weft_status weft_model_loss(const struct weft_model *m, struct weft_pass *p, const struct weft_batch *b,
                                 struct weft_loss *out, struct weft_err *err)
{
    return losses(m, p, b, &(struct head_job){ 0 }, out, err);
}

enum weft_status weft_model_seq_loss(const struct weft_model *m, struct weft_pass *p, const struct weft_batch *b,
                                     double *seq_loss, size_t *seq_n, struct weft_err *err)
{
    struct weft_loss sum;
    memset(seq_loss, 0, b->n_seqs * sizeof *seq_loss);
    memset(seq_n, 0, b->n_seqs * sizeof *seq_n);
    return losses(m, p, b, &(struct head_job){ .seq_loss = seq_loss, .seq_n = seq_n }, &sum, err);
}

void weft_pass_on_layer(struct weft_pass *p, void (*done)(void *ctx, size_t layer), void *ctx)
{
    p->layer_done = done;
    p->layer_ctx = ctx;
}

/* From p->dh [n, D], the gradient at the final norm's output, down to the lowest trained tensor. */
static enum weft_status backward(const struct weft_run *run, struct weft_model *m, struct weft_pass *p,
                                 const struct weft_batch *b, size_t n, const struct weft_progress *progress,
                                 struct weft_err *err)
{
    size_t T = b->n_tokens, D = m->config.hidden_size, L = m->config.n_layers, lowest = weft_lowest_trained(m);
    weft_rmsnorm_backward(run->compute, p->dh, false, m->norm.dw, p->dh, stream(p, L), m->norm.w, p->r_final, n, D);
    for (size_t i = L; i-- > lowest;) {
        const struct weft_acts *a = acts_of(p, i);
        if (weft_progress_cancelled(progress)) return weft_fail(err, WEFT_ECANCEL, "stopped");
        if (i + 1 == L) {
            rows_backward(run, m, p, i, a, n, T, p->last_o);
            spread_rows(p->dh, p->rows, n, T, D);
            spread_rows(p->dout, p->rows, n, T, m->config.n_heads * m->config.head_dim);
            recall(run->compute, a->o, a->kept.o, T * m->config.n_heads * m->config.head_dim);
        } else {
            if (p->s.checkpointing) {
                attend(run, m, p, b, i, acts_of(p, i), stream(p, i));
                rows_forward(run, m, p, i, acts_of(p, i), T, T, stream(p, i), a->o, NULL);
            }
            recall(run->compute, a->o, a->kept.o, T * m->config.n_heads * m->config.head_dim);
            rows_backward(run, m, p, i, a, T, T, a->o);
        }
        attend_backward(run, m, p, b, i, a, stream(p, i), i > lowest || m->dembed);
        if (p->layer_done) p->layer_done(p->layer_ctx, i);
    }
    if (m->dembed)
        weft_embed_backward(run->compute, m->dembed, p->dh, b->ids, T, D, m->config.pad_token_id);
    if (p->layer_done) p->layer_done(p->layer_ctx, L);
    return WEFT_OK;
}

/* Forward, up to the final norm of the rows that carry loss; *n of them. */
static enum weft_status begin_backward(struct weft_run *run, const struct weft_model *m, struct weft_pass *p,
                                       const struct weft_batch *b, size_t *n, const struct weft_progress *progress,
                                       struct weft_err *err)
{
    *n = 0;
    if (!p->s.backward) return weft_fail(err, WEFT_EARG, "this pass was made without backward");
    enum weft_status st = check_batch(m, p, b, err);
    if (!st) st = select_rows(m, p, b, n, err);
    if (st || !*n) return st;
    begin(run, m, p);
    forward(run, m, p, b);
    if (weft_progress_cancelled(progress)) {
        weft_run_end(run);
        return weft_fail(err, WEFT_ECANCEL, "stopped");
    }
    finish_rows(run, m, p, b->n_tokens, p->rows, *n);
    return WEFT_OK;
}

enum weft_status weft_model_loss_backward(struct weft_model *m, struct weft_pass *p,
                                          const struct weft_batch *b, float coef, uint64_t seed,
                                          uint64_t micro_step, struct weft_loss *out, double *row_loss,
                                          const struct weft_progress *progress, struct weft_err *err)
{
    struct weft_run run = { .dropout = true, .seed = seed, .micro_step = micro_step };
    size_t n;
    *out = (struct weft_loss){ 0 };
    if (row_loss) memset(row_loss, 0, b->n_seqs * sizeof *row_loss);
    enum weft_status st = begin_backward(&run, m, p, b, &n, progress, err);
    if (st || !n) return st;
    head_loss(&run, m, p, n, &(struct head_job){ .backward = true, .coef = coef, .seq_loss = row_loss }, out);
    st = backward(&run, m, p, b, n, progress, err);
    weft_run_end(&run);
    return st;
}

enum weft_status weft_model_seq_backward(struct weft_model *m, struct weft_pass *p, const struct weft_batch *b,
                                         const struct weft_seq_weights *w, const struct weft_progress *progress,
                                         struct weft_err *err)
{
    struct weft_run run = { 0 };
    struct weft_loss sum;
    size_t n;
    memset(w->seq_loss, 0, b->n_seqs * sizeof *w->seq_loss);
    memset(w->seq_n, 0, b->n_seqs * sizeof *w->seq_n);
    enum weft_status st = begin_backward(&run, m, p, b, &n, progress, err);
    if (st) return st;
    if (!n) {
        w->weigh(w->ctx, b->n_seqs, w->seq_loss, w->seq_n, w->coef);
        return WEFT_OK;
    }
    /* The coefficients hang on all sums, so the logits of a chunk are gone when they are known: they are made again. */
    head_loss(&run, m, p, n, &(struct head_job){ .seq_loss = w->seq_loss, .seq_n = w->seq_n }, &sum);
    w->weigh(w->ctx, b->n_seqs, w->seq_loss, w->seq_n, w->coef);
    head_loss(&run, m, p, n, &(struct head_job){ .backward = true, .seq_coef = w->coef }, &sum);
    st = backward(&run, m, p, b, n, progress, err);
    weft_run_end(&run);
    return st;
}

enum weft_status weft_model_logits(const struct weft_model *m, struct weft_pass *p,
                                   const struct weft_batch *b, const int32_t *rows, size_t n_rows,
                                   float *logits, struct weft_err *err)
{
    struct weft_run run = { 0 };
    size_t D = m->config.hidden_size, V = m->config.vocab_size;
    enum weft_status st = check_batch(m, p, b, err);
    if (st) return st;
    for (size_t i = 0; i < n_rows; i++)
        if (rows[i] < 0 || (size_t)rows[i] >= b->n_tokens)
            return weft_fail(err, WEFT_EARG, "logits of row %d of a batch of %zu tokens", rows[i], b->n_tokens);
    begin(&run, m, p);
    forward(&run, m, p, b);
    for (size_t at = 0; at < n_rows; at += p->s.T) {
        size_t n = weft_min_size(p->s.T, n_rows - at);
        finish_rows(&run, m, p, b->n_tokens, rows + at, n);
        weft_gemm(run.compute, &(struct weft_gemm){
            .m = n, .n = V, .k = D, .a = p->final, .lda = D, .b = m->head.w, .b_type = m->head.type, .ldb = D,
            .b_rows_are_outputs = true, .c = logits + at * V, .ldc = V });
    }
    weft_run_end(&run);
    return WEFT_OK;
}
