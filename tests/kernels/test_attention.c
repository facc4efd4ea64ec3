#include "kernels/levels.h"

/* Attention against a rendering of the formula in f64 that keeps all scores: out, lse, and the gradients. */
struct naive {
    double *out, *dq, *dk, *dv;     /* [T, heads, d], [T, kv heads, d] */
    double *lse;                    /* [heads, T] */
};

static double *zeros(size_t n)
{
    double *p = calloc(n + 1, sizeof *p);
    assert_non_null(p);
    return p;
}

static void naive_free(struct naive *n) { free(n->out), free(n->dq), free(n->dk), free(n->dv), free(n->lse); }

static struct naive naive_attention(const struct weft_attn *a, const float *dout)
{
    size_t H = a->n_heads, K = a->n_kv_heads, d = a->d, T = a->T;
    struct naive n = { zeros(T * H * d), zeros(T * H * d), zeros(T * K * d), zeros(T * K * d), zeros(H * T) };
    double *p = zeros(T), *dp = zeros(T), scale = 1 / sqrt((double)d);
    for (size_t s = 0; s < a->n_seqs; s++)
        for (size_t i = (size_t)a->cu[s]; i < (size_t)a->cu[s + 1]; i++)
            for (size_t h = 0; h < H; h++) {
                size_t kv = h / (H / K), j0 = (size_t)a->cu[s];
                if (a->window && i - j0 + 1 > a->window) j0 = i + 1 - a->window;
                const float *q = a->q + i * a->ldq + h * d, *go = dout + (i * H + h) * d;
                double max = -INFINITY, sum = 0, delta = 0;
                for (size_t j = j0; j <= i; j++) {
                    p[j] = dp[j] = 0;
                    for (size_t e = 0; e < d; e++) {
                        p[j] += scale * q[e] * a->k[j * a->ldk + kv * d + e];
                        dp[j] += (double)go[e] * a->v[j * a->ldv + kv * d + e];
                    }
                    max = fmax(max, p[j]);
                }
                for (size_t j = j0; j <= i; j++) sum += exp(p[j] - max);
                n.lse[h * T + i] = max + log(sum);
                for (size_t j = j0; j <= i; j++) {
                    p[j] = exp(p[j] - max) / sum;
                    delta += p[j] * dp[j];
                }
                for (size_t j = j0; j <= i; j++) {
                    double ds = scale * p[j] * (dp[j] - delta);
                    for (size_t e = 0; e < d; e++) {
                        n.out[(i * H + h) * d + e] += p[j] * a->v[j * a->ldv + kv * d + e];
                        n.dv[(j * K + kv) * d + e] += p[j] * go[e];
                        n.dk[(j * K + kv) * d + e] += ds * q[e];
                        n.dq[(i * H + h) * d + e] += ds * a->k[j * a->ldk + kv * d + e];
                    }
                }
            }
    free(p), free(dp);
    return n;
}

struct shape {
    size_t H, K, d, window, pad;
    size_t n_seqs;
    int32_t len[6];
};

static void close_array(const float *got, size_t ld, const double *want, size_t rows, size_t cols, double tol)
{
    double sum = 0.01 * (double)(rows * cols);          /* the terms are near 1 even where they cancel */
    for (size_t i = 0; i < rows * cols; i++) sum += want[i] * want[i];
    double scale = sqrt(sum / (double)(rows * cols + 1)), error = 0;
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < cols; j++) {
            double e = got[i * ld + j] - want[i * cols + j];
            assert_close(got[i * ld + j], want[i * cols + j], 12 * tol * (scale + fabs(want[i * cols + j])));
            error += e * e;
        }
    assert_close(sqrt(error / sum), 0, tol);            /* relative error of the whole */
}

static void check(struct weft_compute *c, const struct shape *s, bool exact)
{
    struct weft_rng r = test_rng(s->H * 131 + s->d + s->n_seqs);
    int32_t cu[7] = { 0 };
    for (size_t i = 0; i < s->n_seqs; i++) cu[i + 1] = cu[i] + s->len[i];
    size_t T = (size_t)cu[s->n_seqs], ldq = s->H * s->d + s->pad, ldk = s->K * s->d + s->pad,
           ldv = ldk + 3 * (s->pad > 0);
    struct array q = input_new(T * ldq, 1, &r), k = input_new(T * ldk, 2, &r), v = input_new(T * ldv, 3, &r);
    struct array dout = input_new(T * s->H * s->d, 1, &r), out = output_new(T * s->H * s->d, 1),
                 lse = output_new(s->H * T, 0);
    for (size_t i = 0; i < q.n; i++) q.p[i] *= 3;      /* scores far enough apart to matter */
    struct weft_attn a = { .q = q.p,
                           .k = k.p,
                           .v = v.p,
                           .ldq = ldq,
                           .ldk = ldk,
                           .ldv = ldv,
                           .cu = cu,
                           .n_seqs = s->n_seqs,
                           .T = T,
                           .n_heads = s->H,
                           .n_kv_heads = s->K,
                           .d = s->d,
                           .window = s->window,
                           .exact = exact };
    struct naive want = naive_attention(&a, dout.p);
    bool bf16 = c->k->gemm && c->k->gemm->unit_len == 2 && !exact;
    weft_attention(c, out.p, lse.p, &a);
    guards_intact(&out), guards_intact(&lse);
    close_array(out.p, s->H * s->d, want.out, T, s->H * s->d, bf16 ? 8e-3 : 2e-6);
    for (size_t i = 0; i < s->H * T; i++) assert_close(lse.p[i], want.lse[i], bf16 ? 2e-2 : 4e-6);
    struct array again = output_new(T * s->H * s->d, 0);
    weft_attention(c, again.p, NULL, &a);
    assert_same_bits(again.p, out.p, out.n);

    struct array dq = input_new(q.n, 0, &r), dk = input_new(k.n, 0, &r), dv = input_new(v.n, 0, &r),
                 delta = output_new(s->H * T, 0);
    struct array dq0 = copy_of(&dq, 0), dk0 = copy_of(&dk, 0), dv0 = copy_of(&dv, 0);
    array_free(&dq), array_free(&dk), array_free(&dv);
    dq = copy_of(&dq0, 2), dk = copy_of(&dk0, 1), dv = copy_of(&dv0, 3);
    weft_attention_backward(c, dq.p, dk.p, dv.p, delta.p, dout.p, out.p, lse.p, &a);
    guards_intact(&dq), guards_intact(&dk), guards_intact(&dv), guards_intact(&delta);
    double tol = bf16 ? 1.5e-2 : 1e-5;
    close_array(dq.p, ldq, want.dq, T, s->H * s->d, tol);
    close_array(dk.p, ldk, want.dk, T, s->K * s->d, tol);
    close_array(dv.p, ldv, want.dv, T, s->K * s->d, tol);
    for (size_t t = 0; t < T; t++)                     /* between the heads of one token and the next: untouched */
        for (size_t j = s->H * s->d; j < ldq; j++) assert_true(dq.p[t * ldq + j] == dq0.p[t * ldq + j]);
    naive_free(&want);
    array_free(&q), array_free(&k), array_free(&v), array_free(&dout), array_free(&out), array_free(&lse),
        array_free(&again);
    array_free(&dq), array_free(&dk), array_free(&dv), array_free(&delta), array_free(&dq0), array_free(&dk0),
        array_free(&dv0);
}

static const struct shape shapes[] = {
    { 1, 1, 16, 0, 0, 1, { 1 } },
    { 2, 1, 8, 0, 0, 3, { 1, 2, 3 } },
    { 4, 2, 64, 0, 7, 2, { 130, 65 } },
    { 14, 2, 64, 0, 0, 1, { 96 } },
    { 3, 3, 80, 0, 1, 4, { 64, 0, 63, 5 } },
    { 6, 2, 128, 0, 0, 1, { 129 } },
    { 4, 1, 32, 10, 0, 2, { 100, 17 } },
    { 2, 2, 64, 1, 0, 1, { 70 } },
    { 2, 1, 16, 64, 5, 2, { 200, 128 } },
    { 9, 1, 18, 33, 0, 6, { 7, 31, 32, 33, 1, 64 } },
    { 1, 1, 256, 0, 0, 1, { 40 } },
    { 2, 2, 1, 0, 0, 1, { 20 } },
    { 1, 1, 64, 0, 0, 1, { 600 } },
};

static void shapes_at(struct weft_compute *c, struct weft_compute *ref)
{
    for (size_t i = 0; i < WEFT_COUNT(shapes); i++)
        for (int exact = 0; exact < 2; exact++) check(c, &shapes[i], exact);
}

static void test_sequences_groups_and_windows(void **state) { at_every_level(shapes_at); }

static void lengths_at(struct weft_compute *c, struct weft_compute *ref)
{
    for (int32_t n = 1; n <= 130; n++) {
        struct shape s = { 2, 1, 16 + (size_t)n % 3 * 16, 0, 0, 1, { n } };
        check(c, &s, n % 2);
    }
}

static void test_every_length_to_130(void **state) { at_every_level(lengths_at); }

/* A sequence gives the same bits alone and beside others: packing without padding changes nothing. */
static void alone_at(struct weft_compute *c, struct weft_compute *ref)
{
    enum { H = 4, K = 2, D = 32, T = 150 };
    static const int32_t cu[] = { 0, 37, 150 }, alone[] = { 0, 113 };
    struct weft_rng r = test_rng(3);
    struct array q = input_new(T * H * D, 0, &r), k = input_new(T * K * D, 0, &r), v = input_new(T * K * D, 0, &r);
    struct array both = output_new(T * H * D, 0), one = output_new(113 * H * D, 0);
    struct weft_attn a = { .q = q.p,
                           .k = k.p,
                           .v = v.p,
                           .ldq = H * D,
                           .ldk = K * D,
                           .ldv = K * D,
                           .cu = cu,
                           .n_seqs = 2,
                           .T = T,
                           .n_heads = H,
                           .n_kv_heads = K,
                           .d = D };
    weft_attention(c, both.p, NULL, &a);
    a.q += 37 * H * D, a.k += 37 * K * D, a.v += 37 * K * D, a.cu = alone, a.n_seqs = 1, a.T = 113;
    weft_attention(c, one.p, NULL, &a);
    assert_same_bits(one.p, both.p + 37 * H * D, one.n);
    array_free(&q), array_free(&k), array_free(&v), array_free(&both), array_free(&one);
}

static void test_neighbours_change_nothing(void **state) { at_every_level(alone_at); }

/* Reading a prompt and then decoding equals attention over the whole. */
static void cached_at(struct weft_compute *c, struct weft_compute *ref)
{
    static const size_t past[] = { 0, 1, 5, 63, 64, 100, 300 }, fresh[] = { 1, 2, 3, 17, 80 }, windows[] = { 0, 7, 64 };
    enum { H = 6, K = 2, D = 32 };
    for (size_t ip = 0; ip < WEFT_COUNT(past); ip++)
        for (size_t iq = 0; iq < WEFT_COUNT(fresh); iq++)
            for (size_t iw = 0; iw < WEFT_COUNT(windows); iw++) {
                size_t n = past[ip] + fresh[iq], cap = n + 3;
                int32_t cu[2] = { 0, (int32_t)n };
                struct weft_rng r = test_rng(n);
                struct array q = input_new(n * H * D, 0, &r), k = input_new(n * K * D, 0, &r),
                             v = input_new(n * K * D, 0, &r);
                struct array kc = input_new(K * cap * D, 1, &r), vc = input_new(K * cap * D, 1, &r);
                for (size_t t = 0; t < n; t++)
                    for (size_t h = 0; h < K; h++) {
                        memcpy(kc.p + (h * cap + t) * D, k.p + (t * K + h) * D, D * 4);
                        memcpy(vc.p + (h * cap + t) * D, v.p + (t * K + h) * D, D * 4);
                    }
                for (size_t h = 0; h < K; h++)         /* beyond the last key nothing may be read */
                    for (size_t i = (h * cap + n) * D; i < (h + 1) * cap * D; i++) kc.p[i] = vc.p[i] = NAN;
                struct weft_attn a = { .q = q.p,
                                       .k = k.p,
                                       .v = v.p,
                                       .ldq = H * D,
                                       .ldk = K * D,
                                       .ldv = K * D,
                                       .cu = cu,
                                       .n_seqs = 1,
                                       .T = n,
                                       .n_heads = H,
                                       .n_kv_heads = K,
                                       .d = D,
                                       .window = windows[iw] };
                struct naive want = naive_attention(&a, q.p);
                struct array out = output_new(fresh[iq] * H * D, 1);
                weft_attention_cached(c, out.p, q.p + past[ip] * H * D, kc.p, vc.p, cap, past[ip], fresh[iq],
                                      H, K, D, windows[iw]);
                guards_intact(&out);
                bool bf16 = c->k->gemm && c->k->gemm->unit_len == 2;
                close_array(out.p, H * D, want.out + past[ip] * H * D, fresh[iq], H * D, bf16 ? 8e-3 : 2e-6);
                c->exact = true;
                weft_attention_cached(c, out.p, q.p + past[ip] * H * D, kc.p, vc.p, cap, past[ip], fresh[iq],
                                      H, K, D, windows[iw]);
                c->exact = false;
                close_array(out.p, H * D, want.out + past[ip] * H * D, fresh[iq], H * D, 2e-6);
                naive_free(&want);
                array_free(&q), array_free(&k), array_free(&v), array_free(&kc), array_free(&vc), array_free(&out);
            }
}

static void test_cache_gives_what_the_whole_gives(void **state) { at_every_level(cached_at); }

static void nan_at(struct weft_compute *c, struct weft_compute *ref)
{
    enum { D = 16, T = 100 };
    static const int32_t cu[] = { 0, T };
    struct weft_rng r = test_rng(2);
    struct array q = input_new(T * D, 0, &r), k = input_new(T * D, 0, &r), v = input_new(T * D, 0, &r),
                 out = output_new(T * D, 0);
    k.p[70 * D] = NAN;
    struct weft_attn a = { .q = q.p,
                           .k = k.p,
                           .v = v.p,
                           .ldq = D,
                           .ldk = D,
                           .ldv = D,
                           .cu = cu,
                           .n_seqs = 1,
                           .T = T,
                           .n_heads = 1,
                           .n_kv_heads = 1,
                           .d = D };
    weft_attention(c, out.p, NULL, &a);
    for (size_t t = 0; t < T; t++)
        for (size_t e = 0; e < D; e++) assert_int_equal(isnan(out.p[t * D + e]) != 0, t >= 70);
    array_free(&q), array_free(&k), array_free(&v), array_free(&out);
}

static void test_nan_key_is_seen_by_those_who_see_it(void **state) { at_every_level(nan_at); }

static void without_memory_at(struct weft_compute *c, struct weft_compute *ref)
{
    c->arena.max_bytes = c->arena.held_bytes;
    check(c, &shapes[4], true);
    check(c, &shapes[2], true);
    assert_int_equal(c->arena.held_bytes, c->arena.max_bytes);
}

static void test_attention_without_memory_for_tiles(void **state) { at_every_level(without_memory_at); }

enum { XH = 6, XK = 2, XD = 32, XT = 230, CACHE = 1200 };

static void attention_for_threads(struct weft_compute *c, float *out)
{
    static const int32_t cu[] = { 0, 100, 103, XT };
    struct weft_rng r = test_rng(8);
    struct array q = input_new(XT * XH * XD, 0, &r), k = input_new(CACHE * XK * XD, 0, &r),
                 v = input_new(CACHE * XK * XD, 0, &r);
    struct array dout = input_new(XT * XH * XD, 0, &r), delta = output_new(XH * XT, 0);
    struct weft_attn a = { .q = q.p,
                           .k = k.p,
                           .v = v.p,
                           .ldq = XH * XD,
                           .ldk = XK * XD,
                           .ldv = XK * XD,
                           .cu = cu,
                           .n_seqs = 3,
                           .T = XT,
                           .n_heads = XH,
                           .n_kv_heads = XK,
                           .d = XD };
    float *lse = out + XT * XH * XD, *dq = lse + XH * XT, *dk = dq + XT * XH * XD, *dv = dk + XT * XK * XD,
          *cached = dv + XT * XK * XD;
    weft_attention(c, out, lse, &a);
    weft_attention_backward(c, dq, dk, dv, delta.p, dout.p, out, lse, &a);
    weft_attention_cached(c, cached, q.p, k.p, v.p, CACHE, CACHE - 1, 1, XH, XK, XD, 0);
    array_free(&q), array_free(&k), array_free(&v), array_free(&dout), array_free(&delta);
}

static void test_same_bits_for_any_number_of_threads(void **state)
{
    same_for_any_threads(attention_for_threads, 2 * XT * XH * XD + XH * XT + 2 * XT * XK * XD + XH * XD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sequences_groups_and_windows),
        cmocka_unit_test(test_every_length_to_130),
        cmocka_unit_test(test_neighbours_change_nothing),
        cmocka_unit_test(test_cache_gives_what_the_whole_gives),
        cmocka_unit_test(test_nan_key_is_seen_by_those_who_see_it),
        cmocka_unit_test(test_attention_without_memory_for_tiles),
        cmocka_unit_test(test_same_bits_for_any_number_of_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
