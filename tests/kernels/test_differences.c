/* Every backward of kernels.h against central differences of its forward, which stands here once more as the formula
 * in f64: any error in a derivation shows, whatever formula the other tests compare with.  Whole models are checked the
 * same way in tests/model/test_reference.c, losses over answers in tests/train/test_preference.c. */
#include "kernels/levels.h"

enum { MOST = 4, D = 12, ROWS = 5 };

/* L(x_0, x_1, ...) = sum of up * forward(x), up the gradient that comes from above. */
struct op {
    const char *name;
    double (*loss)(const struct op *op);
    double *in[MOST], *up;
    size_t n[MOST];
    const void *more;
};

static struct array to_f64(struct op *op, size_t i, size_t n, struct weft_rng *r)
{
    struct array a = input_new(n, i, r);
    double *wide = malloc((n + 1) * sizeof *wide);
    assert_non_null(wide);
    for (size_t k = 0; k < n; k++) wide[k] = (double)a.p[k];
    if (i == MOST) op->up = wide;
    else op->in[i] = wide, op->n[i] = n;
    return a;
}

static void op_free(struct op *op)
{
    for (size_t i = 0; i < MOST; i++) free(op->in[i]);
    free(op->up);
}

/* Each entry of input i: f32 rounding of sums of some dozens of terms is all that is left. */
static void check_input(struct weft_compute *c, struct op *op, size_t i, const float *got)
{
    double most = 0;
    for (size_t k = 0; k < op->n[i]; k++) most = fmax(most, fabs((double)got[k]));
    assert_true(most > 1e-3);                   /* a gradient that is nowhere would prove nothing */
    for (size_t k = 0; k < op->n[i]; k++) {
        double x = op->in[i][k], h = 1e-5 * fmax(1, fabs(x)), side[2];
        op->in[i][k] = x + h, side[0] = op->loss(op);
        op->in[i][k] = x - h, side[1] = op->loss(op);
        op->in[i][k] = x;
        double want = (side[0] - side[1]) / (2 * h), tol = 4e-6 * fabs(want) + 2e-6 * most;
        if (!(fabs((double)got[k] - want) <= tol))
            fail_msg("%s at %s: input %zu, entry %zu: gradient %.9g, difference %.9g", op->name, weft_isa_name(c->isa),
                     i, k, (double)got[k], want);
    }
}

/* ---- y = x W^T + b ---- */

struct linear_shape { size_t rows, in, out; };

static double linear_loss(const struct op *op)
{
    const struct linear_shape *s = op->more;
    double sum = 0;
    for (size_t t = 0; t < s->rows; t++)
        for (size_t o = 0; o < s->out; o++) {
            double y = op->in[2][o];
            for (size_t i = 0; i < s->in; i++) y += op->in[0][t * s->in + i] * op->in[1][o * s->in + i];
            sum += op->up[t * s->out + o] * y;
        }
    return sum;
}

static void linear_at(struct weft_compute *c, struct weft_compute *ref)
{
    static const struct linear_shape shapes[] = { { 1, 3, 2 }, { 7, 20, 13 }, { 33, 17, 40 } };
    for (size_t k = 0; k < WEFT_COUNT(shapes); k++) {
        const struct linear_shape *s = &shapes[k];
        struct weft_rng r = test_rng(k);
        struct op op = { .name = "linear", .loss = linear_loss, .more = s };
        struct array x = to_f64(&op, 0, s->rows * s->in, &r), w = to_f64(&op, 1, s->out * s->in, &r);
        struct array b = to_f64(&op, 2, s->out, &r), dy = to_f64(&op, MOST, s->rows * s->out, &r);
        struct array dx = output_new(x.n, 0), dw = output_new(w.n, 0), db = output_new(b.n, 0);
        for (size_t i = 0; i < dw.n; i++) dw.p[i] = 0;
        for (size_t i = 0; i < db.n; i++) db.p[i] = 0;
        weft_gemm(c, &(struct weft_gemm){ .m = s->rows, .n = s->in, .k = s->out, .a = dy.p, .lda = s->out, .b = w.p,
                                          .b_type = WEFT_F32, .ldb = s->in, .c = dx.p, .ldc = s->in, .exact = true });
        weft_gemm(c, &(struct weft_gemm){ .m = s->out, .n = s->in, .k = s->rows, .a = dy.p, .lda = s->out,
                                          .a_transposed = true, .b = x.p, .b_type = WEFT_F32, .ldb = s->in, .c = dw.p,
                                          .ldc = s->in, .accumulate = true, .exact = true });
        weft_bias_backward(c, db.p, dy.p, s->rows, s->out);
        check_input(c, &op, 0, dx.p), check_input(c, &op, 1, dw.p), check_input(c, &op, 2, db.p);
        op_free(&op);
        array_free(&x), array_free(&w), array_free(&b), array_free(&dy), array_free(&dx), array_free(&dw),
            array_free(&db);
    }
}

/* ---- y = x W^T + s (x A^T) B^T: dx in one product with its second term, dA and dB ---- */

enum { RANK = 3 };

static double low_rank_loss(const struct op *op)
{
    double sum = 0;
    for (size_t t = 0; t < ROWS; t++)
        for (size_t o = 0; o < D; o++) {
            double y = 0;
            for (size_t i = 0; i < D; i++) y += op->in[0][t * D + i] * op->in[1][o * D + i];
            for (size_t j = 0; j < RANK; j++) {
                double low = 0;
                for (size_t i = 0; i < D; i++) low += op->in[0][t * D + i] * op->in[2][j * D + i];
                y += 1.5 * low * op->in[3][o * RANK + j];
            }
            sum += op->up[t * D + o] * y;
        }
    return sum;
}

static void low_rank_at(struct weft_compute *c, struct weft_compute *ref)
{
    struct weft_rng r = test_rng(3);
    struct op op = { .name = "low rank", .loss = low_rank_loss };
    struct array x = to_f64(&op, 0, ROWS * D, &r), w = to_f64(&op, 1, D * D, &r), a = to_f64(&op, 2, RANK * D, &r);
    struct array b = to_f64(&op, 3, D * RANK, &r), dy = to_f64(&op, MOST, ROWS * D, &r);
    struct array dx = output_new(x.n, 0), da = output_new(a.n, 0), db = output_new(b.n, 0);
    struct array t = output_new(ROWS * RANK, 0), dt = output_new(ROWS * RANK, 0);
    /* dt = s dy B on the way to dx = dy W + dt A; then dA = dt^T x, dB = s dy^T (x A^T) */
    struct weft_low_rank low = { .in = b.p, .out = a.p, .t = dt.p, .rank = RANK, .t_alpha = 1.5f };
    weft_gemm(c, &(struct weft_gemm){ .m = ROWS, .n = D, .k = D, .a = dy.p, .lda = D, .b = w.p, .b_type = WEFT_F32,
                                      .ldb = D, .c = dx.p, .ldc = D, .exact = true, .low = &low });
    weft_gemm(c, &(struct weft_gemm){ .m = ROWS, .n = RANK, .k = D, .a = x.p, .lda = D, .b = a.p, .b_type = WEFT_F32,
                                      .ldb = D, .b_rows_are_outputs = true, .c = t.p, .ldc = RANK, .exact = true });
    weft_gemm(c, &(struct weft_gemm){ .m = RANK, .n = D, .k = ROWS, .a = dt.p, .lda = RANK, .a_transposed = true,
                                      .b = x.p, .b_type = WEFT_F32, .ldb = D, .c = da.p, .ldc = D, .exact = true });
    weft_gemm(c, &(struct weft_gemm){ .m = D, .n = RANK, .k = ROWS, .a = dy.p, .lda = D, .a_transposed = true, .b = t.p,
                                      .b_type = WEFT_F32, .ldb = RANK, .c = db.p, .ldc = RANK, .exact = true,
                                      .alpha = 1.5f });
    check_input(c, &op, 0, dx.p), check_input(c, &op, 2, da.p), check_input(c, &op, 3, db.p);
    op_free(&op);
    array_free(&x), array_free(&w), array_free(&a), array_free(&b), array_free(&dy), array_free(&dx), array_free(&da),
        array_free(&db), array_free(&t), array_free(&dt);
}

/* ---- RMSNorm ---- */

static double rmsnorm_loss(const struct op *op)
{
    double sum = 0;
    for (size_t t = 0; t < ROWS; t++) {
        const double *x = op->in[0] + t * D;
        double squares = 0;
        for (size_t i = 0; i < D; i++) squares += x[i] * x[i];
        for (size_t i = 0; i < D; i++) sum += op->up[t * D + i] * op->in[1][i] * x[i] / sqrt(squares / D + 1e-3);
    }
    return sum;
}

static void rmsnorm_at(struct weft_compute *c, struct weft_compute *ref)
{
    struct weft_rng r = test_rng(4);
    struct op op = { .name = "rmsnorm", .loss = rmsnorm_loss };
    struct array x = to_f64(&op, 0, ROWS * D, &r), w = to_f64(&op, 1, D, &r), dy = to_f64(&op, MOST, ROWS * D, &r);
    struct array y = output_new(x.n, 0), dx = output_new(x.n, 0), dw = output_new(D, 0), scale = output_new(ROWS, 0);
    for (size_t i = 0; i < D; i++) dw.p[i] = 0;
    weft_rmsnorm(c, y.p, scale.p, x.p, w.p, ROWS, D, 1e-3f);
    weft_rmsnorm_backward(c, dx.p, false, dw.p, dy.p, x.p, w.p, scale.p, ROWS, D);
    check_input(c, &op, 0, dx.p), check_input(c, &op, 1, dw.p);
    op_free(&op);
    array_free(&x), array_free(&w), array_free(&dy), array_free(&y), array_free(&dx), array_free(&dw),
        array_free(&scale);
}

/* ---- silu(gate) * up ---- */

static double swiglu_loss(const struct op *op)
{
    double sum = 0;
    for (size_t i = 0; i < op->n[0]; i++)
        sum += op->up[i] * op->in[0][i] / (1 + exp(-op->in[0][i])) * op->in[1][i];
    return sum;
}

static void swiglu_at(struct weft_compute *c, struct weft_compute *ref)
{
    struct weft_rng r = test_rng(5);
    struct op op = { .name = "swiglu", .loss = swiglu_loss };
    struct array gate = to_f64(&op, 0, 77, &r), up = to_f64(&op, 1, 77, &r), dh = to_f64(&op, MOST, 77, &r);
    for (size_t i = 0; i < 77; i++) gate.p[i] *= 9, op.in[0][i] = (double)gate.p[i];    /* both tails of the sigmoid */
    struct array dgate = output_new(77, 0), dup = output_new(77, 0);
    weft_swiglu_backward(c, dgate.p, dup.p, NULL, dh.p, gate.p, up.p, 77);
    check_input(c, &op, 0, dgate.p), check_input(c, &op, 1, dup.p);
    /* from copies in bf16: the derivative at the rounded values */
    struct array h = output_new(77, 0), pair = output_new(77, 0);
    weft_swiglu_keep(c, h.p, pair.p, gate.p, up.p, 77);
    for (size_t i = 0; i < 77; i++) {
        uint16_t both[2];
        memcpy(both, &pair.p[i], sizeof both);
        for (size_t k = 0; k < 2; k++) op.in[k][i] = (double)weft_bf16_to_f32(both[k]);
    }
    weft_swiglu_backward_kept(c, dgate.p, dup.p, pair.p, dh.p, 77);
    check_input(c, &op, 0, dgate.p), check_input(c, &op, 1, dup.p);
    op_free(&op);
    array_free(&gate), array_free(&up), array_free(&dh), array_free(&dgate), array_free(&dup), array_free(&h);
    array_free(&pair);
}

/* ---- rotation ---- */

enum { HEADS = 2, HALF = 3 };
static const int32_t places[ROWS] = { 0, 1, 2, 0, 1 };

static double angle_of(size_t t, size_t j) { return (double)(float)((float)places[t] * (0.7f / (float)(j + 1))); }

static double rope_loss(const struct op *op)
{
    double sum = 0;
    for (size_t t = 0; t < ROWS; t++)
        for (size_t h = 0; h < HEADS; h++)
            for (size_t j = 0; j < HALF; j++) {
                size_t at = (t * HEADS + h) * 2 * HALF + j;
                double cs = (double)(float)cos(angle_of(t, j)), sn = (double)(float)sin(angle_of(t, j));
                double lo = op->in[0][at], hi = op->in[0][at + HALF];
                sum += op->up[at] * (lo * cs - hi * sn) + op->up[at + HALF] * (hi * cs + lo * sn);
            }
    return sum;
}

static void rope_at(struct weft_compute *c, struct weft_compute *ref)
{
    struct weft_rng r = test_rng(6);
    struct op op = { .name = "rope", .loss = rope_loss };
    struct array x = to_f64(&op, 0, ROWS * HEADS * 2 * HALF, &r), dy = to_f64(&op, MOST, ROWS * HEADS * 2 * HALF, &r);
    float cs[3 * HALF], sn[3 * HALF];
    for (size_t t = 0; t < 3; t++)
        for (size_t j = 0; j < HALF; j++) {
            cs[t * HALF + j] = (float)cos(angle_of(t, j));
            sn[t * HALF + j] = (float)sin(angle_of(t, j));
        }
    weft_rope(c, dy.p, HEADS * 2 * HALF, cs, sn, places, ROWS, HEADS, 2 * HALF, true);
    check_input(c, &op, 0, dy.p);
    op_free(&op);
    array_free(&x), array_free(&dy);
}

/* ---- token table ---- */

static const int32_t ids[ROWS] = { 2, 0, 2, 3, 2 };
enum { TOKENS = 5, SKIP = 3 };

static double embed_loss(const struct op *op)
{
    double sum = 0;
    for (size_t t = 0; t < ROWS; t++)
        for (size_t i = 0; ids[t] != SKIP && i < D; i++) sum += op->up[t * D + i] * op->in[0][(size_t)ids[t] * D + i];
    return sum;
}

static void embed_at(struct weft_compute *c, struct weft_compute *ref)
{
    struct weft_rng r = test_rng(7);
    struct op op = { .name = "token table", .loss = embed_loss };
    struct array e = to_f64(&op, 0, TOKENS * D, &r), dy = to_f64(&op, MOST, ROWS * D, &r), de = output_new(e.n, 0);
    for (size_t i = 0; i < de.n; i++) de.p[i] = 0;
    weft_embed_backward(c, de.p, dy.p, ids, ROWS, D, SKIP);
    check_input(c, &op, 0, de.p);
    op_free(&op);
    array_free(&e), array_free(&dy), array_free(&de);
}

/* ---- cross-entropy ---- */

static const int32_t targets[ROWS] = { 0, 4, 11, 4, 7 };

static double cross_entropy_loss(const struct op *op)
{
    double sum = 0;
    for (size_t t = 0; t < ROWS; t++) {
        const double *z = op->in[0] + t * D;
        double most = -INFINITY, all = 0;
        for (size_t i = 0; i < D; i++) most = fmax(most, z[i]);
        for (size_t i = 0; i < D; i++) all += exp(z[i] - most);
        sum += op->up[t] * (most + log(all) - z[targets[t]]);
    }
    return sum;
}

static void cross_entropy_at(struct weft_compute *c, struct weft_compute *ref)
{
    struct weft_rng r = test_rng(8);
    struct op op = { .name = "cross-entropy", .loss = cross_entropy_loss };
    struct array z = to_f64(&op, 0, ROWS * D, &r), coef = to_f64(&op, MOST, ROWS, &r);
    double loss[ROWS], sum = 0;
    for (size_t i = 0; i < z.n; i++) z.p[i] *= 6, op.in[0][i] = (double)z.p[i];
    double want = cross_entropy_loss(&op);
    weft_cross_entropy(c, loss, z.p, D, targets, coef.p, ROWS, D);
    for (size_t t = 0; t < ROWS; t++) sum += op.up[t] * loss[t];
    assert_close(sum, want, 1e-6 * fabs(want) + 1e-6);
    check_input(c, &op, 0, z.p);
    op_free(&op);
    array_free(&z), array_free(&coef);
}

/* ---- dropout: the mask is one for forward and backward ---- */

static double dropout_loss(const struct op *op)
{
    const float *mask = op->more;
    double sum = 0;
    for (size_t i = 0; i < op->n[0]; i++) sum += op->up[i] * op->in[0][i] * (double)mask[i];
    return sum;
}

static void dropout_at(struct weft_compute *c, struct weft_compute *ref)
{
    struct weft_rng r = test_rng(9);
    float mask[90];
    struct op op = { .name = "dropout", .loss = dropout_loss, .more = mask };
    struct array x = to_f64(&op, 0, 90, &r), dy = to_f64(&op, MOST, 90, &r), dx = output_new(90, 0);
    for (size_t i = 0; i < 90; i++) mask[i] = 1, dx.p[i] = 0;
    weft_dropout(c, mask, mask, 90, 0.3f, 5, 6);
    weft_dropout_add(c, dx.p, dy.p, 90, 0.3f, 5, 6);
    check_input(c, &op, 0, dx.p);
    op_free(&op);
    array_free(&x), array_free(&dy), array_free(&dx);
}

/* ---- attention ---- */

static double attention_loss(const struct op *op)
{
    const struct weft_attn *a = op->more;
    double sum = 0;
    for (size_t s = 0; s < a->n_seqs; s++)
        for (int32_t t = a->cu[s]; t < a->cu[s + 1]; t++)
            for (size_t h = 0; h < a->n_heads; h++) {
                size_t g = h / (a->n_heads / a->n_kv_heads), d = a->d, from = (size_t)a->cu[s], to = (size_t)t + 1;
                if (a->window && to - from > a->window) from = to - a->window;
                double p[64], all = 0, most = -INFINITY;
                for (size_t j = from; j < to; j++) {
                    double dot = 0;
                    for (size_t i = 0; i < d; i++)
                        dot += op->in[0][((size_t)t * a->n_heads + h) * d + i]
                               * op->in[1][(j * a->n_kv_heads + g) * d + i];
                    p[j] = dot / sqrt((double)d);
                    most = fmax(most, p[j]);
                }
                for (size_t j = from; j < to; j++) all += p[j] = exp(p[j] - most);
                for (size_t j = from; j < to; j++)
                    for (size_t i = 0; i < d; i++)
                        sum += op->up[((size_t)t * a->n_heads + h) * d + i] * p[j] / all
                               * op->in[2][(j * a->n_kv_heads + g) * d + i];
            }
    return sum;
}

static void attention_at(struct weft_compute *c, struct weft_compute *ref)
{
    static const int32_t cu[] = { 0, 1, 12, 31 };
    static const struct { size_t heads, kv, d, window; } shapes[] = { { 2, 2, 4, 0 }, { 4, 2, 6, 0 }, { 3, 1, 8, 5 } };
    for (size_t k = 0; k < WEFT_COUNT(shapes); k++) {
        size_t T = 31, n_q = T * shapes[k].heads * shapes[k].d, n_kv = T * shapes[k].kv * shapes[k].d;
        struct weft_rng r = test_rng(10 + k);
        struct weft_attn a = { .ldq = shapes[k].heads * shapes[k].d, .ldk = shapes[k].kv * shapes[k].d, .cu = cu,
                               .n_seqs = 3, .T = T, .n_heads = shapes[k].heads, .n_kv_heads = shapes[k].kv,
                               .d = shapes[k].d,
                               .window = shapes[k].window, .exact = true };
        struct op op = { .name = "attention", .loss = attention_loss, .more = &a };
        struct array q = to_f64(&op, 0, n_q, &r), key = to_f64(&op, 1, n_kv, &r), v = to_f64(&op, 2, n_kv, &r);
        struct array dout = to_f64(&op, MOST, n_q, &r), out = output_new(n_q, 0), lse = output_new(T * a.n_heads, 0);
        struct array dq = output_new(n_q, 0), dk = output_new(n_kv, 0), dv = output_new(n_kv, 0);
        struct array delta = output_new(T * a.n_heads, 0);
        a.q = q.p, a.k = key.p, a.v = v.p, a.ldv = a.ldk;
        weft_attention(c, out.p, lse.p, &a);
        weft_attention_backward(c, dq.p, dk.p, dv.p, delta.p, dout.p, out.p, lse.p, &a);
        check_input(c, &op, 0, dq.p), check_input(c, &op, 1, dk.p), check_input(c, &op, 2, dv.p);
        op_free(&op);
        array_free(&q), array_free(&key), array_free(&v), array_free(&dout), array_free(&out), array_free(&lse);
        array_free(&dq), array_free(&dk), array_free(&dv), array_free(&delta);
    }
}

static void test_linear_layers_and_biases(void **state) { at_every_level(linear_at); }
static void test_low_rank_branches(void **state) { at_every_level(low_rank_at); }
static void test_rmsnorm(void **state) { at_every_level(rmsnorm_at); }
static void test_swiglu(void **state) { at_every_level(swiglu_at); }
static void test_rotation(void **state) { at_every_level(rope_at); }
static void test_token_table(void **state) { at_every_level(embed_at); }
static void test_cross_entropy(void **state) { at_every_level(cross_entropy_at); }
static void test_dropout(void **state) { at_every_level(dropout_at); }
static void test_attention(void **state) { at_every_level(attention_at); }

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_linear_layers_and_biases), cmocka_unit_test(test_low_rank_branches),
        cmocka_unit_test(test_rmsnorm),                  cmocka_unit_test(test_swiglu),
        cmocka_unit_test(test_rotation),                 cmocka_unit_test(test_token_table),
        cmocka_unit_test(test_cross_entropy),            cmocka_unit_test(test_dropout),
        cmocka_unit_test(test_attention),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
