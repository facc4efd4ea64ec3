#include "kernels/levels.h"

/* One product at a level against sums in f64.  Tolerance: k roundings of the running sum, and where the level
 * multiplies in bf16 half a unit (2^-8) of each operand. */
struct shape {
    size_t m, n, k;
    bool a_transposed, rows_are_outputs;
    enum weft_dtype type;
    bool accumulate, bias, exact;
    float alpha;
    size_t pad;                 /* added to every row distance */
};

static float b_value(const char *b, enum weft_dtype type, size_t i)
{
    float f;
    uint16_t h;
    if (type == WEFT_F32) {
        memcpy(&f, b + 4 * i, 4);
        return f;
    }
    memcpy(&h, b + 2 * i, 2);
    return type == WEFT_BF16 ? weft_bf16_to_f32(h) : weft_f16_to_f32(h);
}

static void fill_b(struct weft_compute *ref, char *b, enum weft_dtype type, size_t n, struct weft_rng *r)
{
    for (size_t i = 0; i < n; i++) {
        float f = uniform(r);
        ref->k->from_f32(b + i * weft_dtype_bytes(type), type, &f, 1);
    }
}

static void check(struct weft_compute *c, struct weft_compute *ref, const struct shape *s)
{
    struct weft_rng r = test_rng(s->m * 7919 + s->n * 104729 + s->k);
    size_t lda = (s->a_transposed ? s->m : s->k) + s->pad, ldb = (s->rows_are_outputs ? s->k : s->n) + s->pad,
           ldc = s->n + s->pad;
    size_t a_rows = s->a_transposed ? s->k : s->m, b_rows = s->rows_are_outputs ? s->n : s->k;
    size_t a_len = a_rows ? (a_rows - 1) * lda + lda - s->pad : 0,
           b_len = b_rows ? (b_rows - 1) * ldb + ldb - s->pad : 0;
    size_t c_len = s->m ? (s->m - 1) * ldc + s->n : 0;
    struct array a = input_new(a_len, 3, &r), bias = input_new(s->n, 1, &r), b_memory;
    char *b = input_bytes(&b_memory, b_len * weft_dtype_bytes(s->type));
    fill_b(ref, b, s->type, b_len, &r);
    struct array before = input_new(c_len, 0, &r), out = copy_of(&before, 5);
    struct weft_gemm g = { .m = s->m,
                           .n = s->n,
                           .k = s->k,
                           .a = a.p,
                           .lda = lda,
                           .a_transposed = s->a_transposed,
                           .b = b,
                           .b_type = s->type,
                           .ldb = ldb,
                           .b_rows_are_outputs = s->rows_are_outputs,
                           .c = out.p,
                           .ldc = ldc,
                           .accumulate = s->accumulate,
                           .exact = s->exact,
                           .alpha = s->alpha,
                           .bias = s->bias ? bias.p : NULL };
    if (!s->accumulate)
        for (size_t i = 0; i < s->m; i++)
            for (size_t j = 0; j < s->n; j++) out.p[i * ldc + j] = NAN;     /* must not be read */
    weft_gemm(c, &g);
    guards_intact(&out);
    double unit = c->k->gemm && c->k->gemm->unit_len == 2 && !s->exact ? 0x1p-7 : 0,
           alpha = s->alpha != 0 ? s->alpha : 1;
    for (size_t i = 0; i < s->m; i++) {
        for (size_t j = 0; j < s->n; j++) {
            double sum = 0, sum_abs = 0;
            for (size_t p = 0; p < s->k; p++) {
                double v = (double)(s->a_transposed ? a.p[p * lda + i] : a.p[i * lda + p]) *
                           b_value(b, s->type, s->rows_are_outputs ? j * ldb + p : p * ldb + j);
                sum += v;
                sum_abs += fabs(v);
            }
            double want = alpha * sum + (s->bias ? bias.p[j] : 0) + (s->accumulate ? before.p[i * ldc + j] : 0);
            double tol = fabs(alpha) * sum_abs * (unit + FLT_EPSILON * sqrt((double)s->k + 4))
                         + 4 * FLT_EPSILON * (1 + fabs(want));
            assert_close(out.p[i * ldc + j], want, tol);
        }
        for (size_t j = s->n; j < ldc && i + 1 < s->m; j++) assert_true(out.p[i * ldc + j] == before.p[i * ldc + j]);
    }
    array_free(&a), array_free(&bias), array_free(&b_memory), array_free(&before), array_free(&out);
}

static void shapes_at(struct weft_compute *c, struct weft_compute *ref)
{
    static const size_t ms[] = { 0, 1, 2, 5, 8, 9, 13, 50 }, ns[] = { 0, 1, 3, 16, 17, 33, 64, 65, 130 },
                        ks[] = { 0, 1, 2, 7, 31, 32, 33, 130, 300 };
    unsigned turn = 0;
    for (size_t i = 0; i < WEFT_COUNT(ms); i++)
        for (size_t j = 0; j < WEFT_COUNT(ns); j++)
            for (size_t p = 0; p < WEFT_COUNT(ks); p++)
                for (unsigned o = 0; o < 4; o++, turn++) {
                    struct shape s = { ms[i],
                                       ns[j],
                                       ks[p],
                                       o & 1,
                                       o >> 1,
                                       (enum weft_dtype)(turn % 3),
                                       turn / 3 % 2,
                                       turn / 5 % 2,
                                       turn / 7 % 4 == 0,
                                       turn / 11 % 3 ? 0 : -0.75f,
                                       turn % 5 };
                    check(c, ref, &s);
                }
}

static void test_every_shape_orientation_and_type(void **state) { at_every_level(shapes_at); }

static void big_at(struct weft_compute *c, struct weft_compute *ref)
{
    static const struct shape shapes[] = {
        { 39, 70, 333, false, true, WEFT_BF16, true, true, false, 0.5f, 1 },       /* few rows */
        { 11, 9, 1000, true, true, WEFT_BF16, false, true, false, 0, 3 },
        { 1100, 70, 40, false, true, WEFT_BF16, false, true, false, 0, 0 },        /* more rows than one block */
        { 20, 40, 8300, false, true, WEFT_BF16, true, false, false, 0.5f, 1 },     /* more k than one chunk */
        { 20, 40, 8300, false, false, WEFT_F32, false, true, true, 0, 0 },
        { 300, 16, 500, false, true, WEFT_F32, false, false, false, 2, 0 },        /* x A^T of a low-rank branch */
        { 300, 500, 16, false, true, WEFT_F32, true, false, false, 2, 0 },         /* h B^T */
        { 16, 500, 300, true, false, WEFT_F32, true, false, false, 0, 0 },         /* dA = dh^T x */
        { 500, 16, 300, true, false, WEFT_F32, true, false, false, 0, 0 },         /* dB = dy^T h */
        { 200, 200, 200, true, false, WEFT_F32, true, false, false, 0, 3 },        /* dW = dy^T x */
        { 1, 1500, 900, false, true, WEFT_BF16, false, false, false, 0, 0 },       /* decoding */
        { 3, 700, 900, false, false, WEFT_BF16, false, false, false, 0, 0 },
    };
    for (size_t i = 0; i < WEFT_COUNT(shapes); i++) check(c, ref, &shapes[i]);
}

static void test_shapes_of_training_and_decoding(void **state) { at_every_level(big_at); }

static void nan_at(struct weft_compute *c, struct weft_compute *ref)
{
    /* One NaN in A poisons its row, one in B its column, and nothing else: padding must not spread it. */
    for (size_t m = 3; m <= 23; m += 20) {
        enum { N = 70, K = 33 };
        struct weft_rng r = test_rng(5);
        struct array a = input_new(m * K, 0, &r), b = input_new(N * K, 0, &r), out = output_new(m * N, 0);
        a.p[2 * K + K - 1] = NAN;
        b.p[(N - 1) * K] = NAN;
        struct weft_gemm g = { .m = m,
                               .n = N,
                               .k = K,
                               .a = a.p,
                               .lda = K,
                               .b = b.p,
                               .ldb = K,
                               .b_rows_are_outputs = true,
                               .c = out.p,
                               .ldc = N };
        weft_gemm(c, &g);
        for (size_t i = 0; i < m; i++)
            for (size_t j = 0; j < N; j++) assert_int_equal(isnan(out.p[i * N + j]) != 0, i == 2 || j == N - 1);
        array_free(&a), array_free(&b), array_free(&out);
    }
}

static void test_nan_reaches_its_row_and_column_only(void **state) { at_every_level(nan_at); }

/* A compute that may not allocate any more takes the plain loops: same result, slower. */
static void without_memory_at(struct weft_compute *c, struct weft_compute *ref)
{
    c->arena.max_bytes = c->arena.held_bytes;
    static const struct shape shapes[] = {
        { 20, 70, 300, false, true, WEFT_BF16, true, true, true, 0.5f, 1 },
        { 70, 20, 65, true, false, WEFT_F32, true, false, true, 0, 0 },
    };
    for (size_t i = 0; i < WEFT_COUNT(shapes); i++) check(c, ref, &shapes[i]);
    assert_int_equal(c->arena.held_bytes, c->arena.max_bytes);
}

static void test_products_without_memory_for_panels(void **state) { at_every_level(without_memory_at); }

enum { TM = 530, TN = 200, TK = 300 };

static void products_for_threads(struct weft_compute *c, float *out)
{
    struct weft_rng r = test_rng(9);
    struct array a = input_new(TM * TK, 0, &r), b = input_new(TN * TK, 0, &r), w = input_new(TM * TN, 0, &r);
    struct weft_gemm y = { .m = TM,
                           .n = TN,
                           .k = TK,
                           .a = a.p,
                           .lda = TK,
                           .b = b.p,
                           .ldb = TK,
                           .b_rows_are_outputs = true,
                           .c = out,
                           .ldc = TN };
    weft_gemm(c, &y);
    struct weft_gemm dx = {
        .m = TM, .n = TK, .k = TN, .a = w.p, .lda = TN, .b = b.p, .ldb = TK, .c = out + TM * TN, .ldc = TK
    };
    weft_gemm(c, &dx);
    struct weft_gemm dw = { .m = TN, .n = TK, .k = TM, .a = w.p, .lda = TN, .a_transposed = true, .b = a.p, .ldb = TK,
                            .c = out + TM * TN + TM * TK, .ldc = TK };
    weft_gemm(c, &dw);
    struct weft_gemm one = { .m = 2,
                             .n = TN,
                             .k = TK,
                             .a = a.p,
                             .lda = TK,
                             .b = b.p,
                             .ldb = TK,
                             .b_rows_are_outputs = true,
                             .c = out + TM * TN + TM * TK + TN * TK,
                             .ldc = TN };
    weft_gemm(c, &one);
    array_free(&a), array_free(&b), array_free(&w);
}

static void test_same_bits_for_any_number_of_threads(void **state)
{
    same_for_any_threads(products_for_threads, TM * TN + TM * TK + TN * TK + 2 * TN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_shape_orientation_and_type),
        cmocka_unit_test(test_shapes_of_training_and_decoding),
        cmocka_unit_test(test_nan_reaches_its_row_and_column_only),
        cmocka_unit_test(test_products_without_memory_for_panels),
        cmocka_unit_test(test_same_bits_for_any_number_of_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
