#include "model/measure.h"

#include "base/size.h"
#include "kernels/measure.h"
#include "model/kv.h"
#include "model/slots.h"

#include <math.h>
#include <sys/resource.h>
#include <time.h>

/* ---- counting ---- */

static double weights_of_layer(const struct weft_config *c)
{
    double D = (double)c->hidden_size, F = (double)c->intermediate_size, d = (double)c->head_dim;
    return D * d * (2 * (double)c->n_heads + 2 * (double)c->n_kv_heads) + 3 * D * F;
}

static double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* FLOP of a step: 2 for every weight and token and product (y, dx, and dW where it trains), the head and what
 * follows the last layer's attention only for rows with loss, attention 4 d for each visible pair forward and
 * 10 d backward, branches 2 r (n_in + n_out) three times. */
static double flop_of_step(const struct weft_model *m, double tokens, double rows, double seqs)
{
    const struct weft_config *c = &m->config;
    double L = (double)c->n_layers, len = tokens / seqs, pairs = seqs * len * (len + 1) / 2;
    bool full = m->layers[0].q.dw != NULL;
    double after_attention = (double)c->hidden_size * (double)(c->n_heads * c->head_dim + 3 * c->intermediate_size);
    double flop = (tokens * L * weights_of_layer(c) - (tokens - rows) * after_attention) * (full ? 6 : 4);
    flop += rows * (double)c->vocab_size * (double)c->hidden_size * (m->head.dw ? 6 : 4);
    flop += pairs * L * (double)c->n_heads * (double)c->head_dim * 14;
    for (size_t i = 0; i < m->config.n_layers; i++) {
        const struct weft_layer *l = &m->layers[i];
        const struct weft_linear *const all[] = { &l->q, &l->k, &l->v, &l->o, &l->gate, &l->up, &l->down };
        for (size_t k = 0; k < WEFT_COUNT(all); k++)
            if (all[k]->branch)
                flop += tokens * 6 * (double)all[k]->branch->rank * (double)(all[k]->n_in + all[k]->n_out);
    }
    return flop;
}

/* ---- training ---- */

static enum weft_status make_batch(struct weft_arena *a, size_t n_seqs, size_t len, size_t vocab, struct weft_batch *b,
                                   struct weft_err *err)
{
    size_t n = n_seqs * len;
    int32_t *ids = WEFT_NEWS(a, int32_t, n), *labels = WEFT_NEWS(a, int32_t, n), *pos = WEFT_NEWS(a, int32_t, n);
    int32_t *cu = WEFT_NEWS(a, int32_t, n_seqs + 1);
    struct weft_rng rng;
    if (!ids || !labels || !pos || !cu) return weft_fail_nomem(err, n * 12, "a batch");
    weft_rng_init(&rng, 1, WEFT_RNG_TEST, 0);
    for (size_t t = 0; t < n; t++) {
        pos[t] = (int32_t)(t % len);
        ids[t] = (int32_t)weft_rng_below(&rng, vocab);
        labels[t] = t % len >= len - len / 2 ? ids[t] : WEFT_IGNORE;
    }
    for (size_t s = 0; s <= n_seqs; s++) cu[s] = (int32_t)(s * len);
    *b = (struct weft_batch){ .ids = ids, .labels = labels, .pos = pos, .cu = cu, .n_tokens = n, .n_seqs = n_seqs,
                              .n_labels = n_seqs * (len / 2) };
    return WEFT_OK;
}

struct moments {
    float *m, *v;
};

static void update(struct weft_compute *c, struct weft_params *params, struct moments *moments, int step)
{
    double bc1 = 1 - pow(0.9, step), bc2 = 1 - pow(0.999, step), squares = 0;
    for (size_t i = 0; i < params->n; i++)
        squares += weft_sum_squares(c, params->items[i].grad, params->items[i].rows * params->items[i].cols);
    struct weft_adamw_step s = { .lr = 1e-4f,
                                 .beta1 = 0.9f,
                                 .beta2 = 0.999f,
                                 .eps = 1e-8f,
                                 .step_size = (float)(1e-4 / bc1),
                                 .inv_sqrt_bc2 = (float)(1 / sqrt(bc2)),
                                 .g_scale = (float)fmin(1, 1 / (sqrt(squares) + 1e-6)) };
    for (size_t i = 0; i < params->n; i++) {
        struct weft_param *p = &params->items[i];
        size_t n = p->rows * p->cols;
        weft_adamw(c, p->w, moments[i].m, moments[i].v, p->grad, n, &s);
        memset(p->grad, 0, n * sizeof(float));
    }
}

enum weft_status weft_measure_training(struct weft_compute *c, struct weft_model *model,
                                       struct weft_params *params, size_t n_seqs, size_t len,
                                       bool checkpointing, int steps, struct weft_measured_training *out,
                                       struct weft_err *err)
{
    struct weft_arena a = { 0 };
    struct weft_pass *pass = NULL;
    struct weft_batch b;
    struct weft_loss loss;
    struct rusage usage;
    struct moments *moments = WEFT_NEWS(&a, struct moments, params->n);
    struct weft_pass_settings settings = { .max_tokens = n_seqs * len,
                                           .backward = true,
                                           .checkpointing = checkpointing };
    enum weft_status st = WEFT_OK;

    *out = (struct weft_measured_training){ 0 };
    if (!moments) st = weft_fail_nomem(err, params->n * sizeof *moments, "a batch");
    for (size_t i = 0; !st && i < params->n; i++) {
        size_t n = params->items[i].rows * params->items[i].cols;
        moments[i] = (struct moments){ WEFT_NEWS(&a, float, n), WEFT_NEWS(&a, float, n) };
        if (!moments[i].m || !moments[i].v) st = weft_fail_nomem(err, 2 * n * sizeof(float), "the optimizer");
    }
    if (!st) st = make_batch(&a, n_seqs, len, model->config.vocab_size, &b, err);
    if (!st) st = weft_pass_new(&pass, c, model, &settings, err);
    for (int i = 0; !st && i < steps; i++) {
        double peak = weft_measure_peak(c->pool, c->isa, c->exact || model->exact), cpu = cpu_seconds(),
               start = weft_clock_seconds();
        st = weft_model_loss_backward(model, pass, &b, 1 / (float)b.n_labels, 0, (uint64_t)i, &loss, NULL, NULL, err);
        if (st) break;
        update(c, params, moments, i + 1);
        double seconds = weft_clock_seconds() - start,
               flop = flop_of_step(model, (double)b.n_tokens, (double)loss.n, (double)n_seqs);
        cpu = cpu_seconds() - cpu;
        out->tokens_per_s = fmax(out->tokens_per_s, (double)b.n_tokens / seconds);
        out->tokens_per_cpu_s = fmax(out->tokens_per_cpu_s, (double)b.n_tokens / cpu);
        out->flops = fmax(out->flops, flop / seconds);
        out->peak = fmax(out->peak, peak);
        out->share = fmax(out->share, peak > 0 ? flop / seconds / peak : 0);
        out->flop_per_token = flop / (double)b.n_tokens;
    }
    if (!getrusage(RUSAGE_SELF, &usage)) out->peak_rss_bytes = (size_t)usage.ru_maxrss << 10;
    weft_pass_free(pass);
    weft_arena_clear(&a);
    return st;
}

/* ---- decoding ---- */

enum weft_status weft_measure_decoding(struct weft_compute *c, struct weft_model *model, size_t prompt, size_t tokens,
                                       struct weft_measured_decoding *out, struct weft_err *err)
{
    const struct weft_config *cfg = &model->config;
    struct weft_arena a = { 0 };
    struct weft_kv *kv = NULL;
    size_t V = cfg->vocab_size, D = cfg->hidden_size, item = weft_dtype_bytes(model->head.type),
           head_bytes = V * D * item;
    if (model->head.type == WEFT_QUANT)
        return weft_fail(err, WEFT_EARG, "decoding is measured against reading bf16 or f32 weights; this model's are quantised");
    int32_t *ids = WEFT_NEWS(&a, int32_t, prompt);
    float *logits = WEFT_NEWS(&a, float, V);
    enum weft_status st;

    *out = (struct weft_measured_decoding){ 0 };
    if (!ids || !logits || !prompt) st = weft_fail(err, WEFT_EARG, "the prompt has no tokens");
    else st = weft_kv_new(&kv, c, model, prompt + tokens, 0, err);
    if (st) goto done;
    for (size_t i = 0; i < prompt; i++) ids[i] = (int32_t)(i * 7919 % V);
    double start = weft_clock_seconds();
    st = weft_kv_append(kv, ids, prompt, logits, err);
    if (st) goto done;
    out->prefill_tokens_per_s = (double)prompt / (weft_clock_seconds() - start);

    /* in pieces of a few tokens, the read loop beside each */
    for (size_t done = 0; done < tokens;) {
        size_t n = weft_min_size(8, tokens - done);
        double read = weft_measure_read(c->pool, model->head.w, head_bytes);
        start = weft_clock_seconds();
        for (size_t i = 0; i < n; i++) {
            size_t best = 0;
            for (size_t k = 1; k < V; k++)
                if (logits[k] > logits[best]) best = k;
            int32_t id = (int32_t)best;
            st = weft_kv_append(kv, &id, 1, logits, err);
            if (st) goto done;
        }
        double seconds = weft_clock_seconds() - start;
        read = fmax(read, weft_measure_read(c->pool, model->head.w, head_bytes));
        double bytes = weights_of_layer(cfg) * (double)cfg->n_layers * (double)item + (double)head_bytes;
        bytes += (double)(cfg->n_layers * 2 * cfg->n_kv_heads * cfg->head_dim * sizeof(float))
                 * (double)weft_kv_len(kv);
        double rate = bytes * (double)n / seconds;
        out->tokens_per_s = fmax(out->tokens_per_s, (double)n / seconds);
        out->bytes = fmax(out->bytes, rate);
        out->read = fmax(out->read, read);
        out->share = fmax(out->share, rate / read);
        done += n;
    }
done:
    weft_kv_free(kv);
    weft_arena_clear(&a);
    return st;
}
