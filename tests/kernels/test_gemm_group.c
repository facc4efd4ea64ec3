/* Products with one A, and low-rank terms: the bits of the products that define them. */
#include "kernels/levels.h"
#include "kernels/profile.h"

enum { PRODUCTS = 3, RANK_MOST = 300 };

/* PRODUCTS products of n, n / 2 and n / 3 outputs with one A, all but the second with a low-rank term. */
struct shape {
    size_t m, n, k, rank;
    bool rows_are_outputs;
    enum weft_dtype type;
    enum weft_quant_type format;        /* of WEFT_QUANT */
    bool accumulate, bias, exact, int8;
    float alpha, t_alpha;
};

struct products {
    struct weft_arena arena;
    struct array a, bias, b[PRODUCTS], c[PRODUCTS], in[PRODUCTS], out[PRODUCTS], t[PRODUCTS];
    struct weft_quant q[PRODUCTS];
    uint16_t *half[PRODUCTS];
    struct weft_low_rank low[PRODUCTS];
    struct weft_gemm g[PRODUCTS];
};

static void make(struct products *p, struct weft_compute *c, const struct shape *s)
{
    struct weft_rng r = test_rng(s->m * 31 + s->n * 7 + s->k + s->rank);
    *p = (struct products){ .a = input_new(s->m * s->k, 1, &r), .bias = input_new(s->n, 0, &r) };
    for (size_t i = 0; i < PRODUCTS; i++) {
        size_t n = s->n / (i + 1), rows = s->rows_are_outputs ? n : s->k, cols = s->rows_are_outputs ? s->k : n;
        p->b[i] = input_new(rows * cols, 0, &r);
        p->in[i] = input_new(s->rank * s->k, 0, &r);
        p->out[i] = input_new(s->rank * n, 0, &r);
        struct array before = input_new(s->m * n, 0, &r);
        p->c[i] = copy_of(&before, 3);
        array_free(&before);
        p->t[i] = output_new(s->m * s->rank, 1);
        p->low[i] = (struct weft_low_rank){ .in = p->in[i].p, .out = p->out[i].p, .t = p->t[i].p, .rank = s->rank,
                                            .t_alpha = s->t_alpha, .alpha = s->alpha };
        p->g[i] = (struct weft_gemm){ .m = s->m, .n = n, .k = s->k, .a = p->a.p, .lda = s->k, .b = p->b[i].p,
                                      .b_type = s->type, .ldb = cols, .b_rows_are_outputs = s->rows_are_outputs,
                                      .c = p->c[i].p, .ldc = n, .accumulate = s->accumulate, .exact = s->exact,
                                      .bias = s->bias ? p->bias.p : NULL, .low = i != 1 ? &p->low[i] : NULL };
        if (s->type == WEFT_BF16) {
            p->half[i] = WEFT_NEWS(&p->arena, uint16_t, rows * cols + 1);
            assert_non_null(p->half[i]);
            c->k->from_f32(p->half[i], WEFT_BF16, p->b[i].p, rows * cols);
            p->g[i].b = p->half[i];
        }
        if (s->type != WEFT_QUANT) continue;
        assert_int_equal(weft_quantise(c, &p->arena, &p->q[i], weft_quant_format(s->format), false, "w", p->b[i].p,
                                       WEFT_F32, rows, cols, NULL), WEFT_OK);
        p->g[i].b = &p->q[i];
    }
}

static void clear(struct products *p)
{
    for (size_t i = 0; i < PRODUCTS; i++) {
        guards_intact(&p->c[i]), guards_intact(&p->t[i]);
        array_free(&p->b[i]), array_free(&p->c[i]), array_free(&p->in[i]), array_free(&p->out[i]), array_free(&p->t[i]);
    }
    array_free(&p->a), array_free(&p->bias);
    weft_arena_clear(&p->arena);
}

/* What the header defines: C, then t, then C += alpha t op(out). */
static void one_by_one(struct weft_compute *c, const struct products *p, const struct shape *s)
{
    for (size_t i = 0; i < PRODUCTS; i++) {
        struct weft_gemm g = p->g[i];
        g.low = NULL;
        weft_gemm(c, &g);
        if (!p->g[i].low) continue;
        bool rows = s->rows_are_outputs;
        weft_gemm(c, &(struct weft_gemm){ .m = g.m, .n = s->rank, .k = g.k, .a = g.a, .lda = g.lda, .b = p->in[i].p,
                                          .ldb = rows ? g.k : s->rank, .b_rows_are_outputs = rows, .c = p->t[i].p,
                                          .ldc = s->rank, .exact = s->exact, .alpha = s->t_alpha });
        weft_gemm(c, &(struct weft_gemm){ .m = g.m, .n = g.n, .k = s->rank, .a = p->t[i].p, .lda = s->rank,
                                          .b = p->out[i].p, .ldb = rows ? s->rank : g.n, .b_rows_are_outputs = rows,
                                          .c = g.c, .ldc = g.ldc, .accumulate = true, .exact = s->exact,
                                          .alpha = s->alpha });
    }
}

static const struct shape shapes[] = {
    { 9, 70, 33, 5, true, WEFT_F32, 0, false, true, false, false, 0, 0 },
    { 1, 64, 40, 4, true, WEFT_BF16, 0, true, false, false, false, 2, 0 },              /* decoding */
    { 8, 130, 70, 16, false, WEFT_F32, 0, false, false, false, false, 0, 0.5f },
    { 25, 130, 70, 16, true, WEFT_BF16, 0, false, true, false, false, 2, 0 },           /* few rows */
    { 300, 400, 300, 16, true, WEFT_BF16, 0, false, true, false, false, 2, 0 },         /* forward */
    { 300, 400, 500, 16, false, WEFT_BF16, 0, true, false, false, false, 0, 2 },        /* backward */
    { 300, 130, 70, 16, true, WEFT_BF16, 0, true, true, true, false, 2, 0 },            /* exact */
    { 1100, 65, 40, 3, true, WEFT_F32, 0, false, true, false, false, 0.5f, 0 },         /* more rows than one block */
    { 20, 60, 8300, 7, true, WEFT_F32, 0, true, true, false, false, -1, 3 },            /* more k than one chunk */
    { 20, 60, 8300, 7, false, WEFT_BF16, 0, false, false, false, false, 0, 3 },
    { 50, 70, 90, RANK_MOST, true, WEFT_F32, 0, false, false, false, false, 2, 0 },     /* t in several blocks */
    { 50, 70, 90, 70, false, WEFT_F32, 0, true, false, false, false, 0, 2 },            /* and in several panels */
    { 40, 96, 64, 8, true, WEFT_QUANT, WEFT_Q8_0, false, true, false, false, 2, 0 },
    { 40, 192, 66, 8, false, WEFT_QUANT, WEFT_Q8_0, true, false, false, false, 0, 2 },
    { 300, 400, 600, 16, true, WEFT_QUANT, WEFT_INT8, false, true, false, true, 2, 0 },
    { 300, 400, 600, 16, false, WEFT_QUANT, WEFT_INT8, true, false, false, true, 0, 2 },
    { 1100, 70, 40, 16, true, WEFT_QUANT, WEFT_INT8, true, true, false, true, 2, 0 },
    { 6, 70, 40, 16, true, WEFT_QUANT, WEFT_INT8, true, true, false, true, 2, 0 },
    { 30, 70, 40, 16, true, WEFT_QUANT, WEFT_INT8, true, true, true, true, 2, 0 },
};

static void compare(const struct products *got, const struct products *want)
{
    for (size_t i = 0; i < PRODUCTS; i++) {
        assert_same_bits(got->c[i].p, want->c[i].p, got->c[i].n);
        if (got->g[i].low) assert_same_bits(got->t[i].p, want->t[i].p, got->t[i].n);
    }
}

static void group_at(struct weft_compute *c, struct weft_compute *ref)
{
    struct weft_profile profile;
    for (size_t i = 0; i < WEFT_COUNT(shapes); i++)
        for (int profiled = 0; profiled < 2; profiled++) {
            struct products got, want;
            c->int8 = shapes[i].int8;
            make(&got, c, &shapes[i]), make(&want, c, &shapes[i]);
            if (profiled) weft_profile_start(&profile, c, false, NULL, 0);
            weft_gemm_group(c, got.g, PRODUCTS);
            if (profiled) {
                weft_profile_stop(&profile, c);
                uint64_t calls = 0;
                for (size_t k = 0; k < profile.n; k++) calls += profile.rows[k].calls;
                assert_int_equal(calls, PRODUCTS + 2 * (PRODUCTS - 1));         /* each on a line of its own */
            }
            one_by_one(c, &want, &shapes[i]);
            compare(&got, &want);
            clear(&got), clear(&want);
        }
    c->int8 = false;
}

static void test_a_group_has_the_bits_of_its_products(void **state) { at_every_level(group_at); }

static void without_memory_at(struct weft_compute *c, struct weft_compute *ref)
{
    c->arena.max_bytes = c->arena.held_bytes;
    for (size_t i = 0; i < WEFT_COUNT(shapes); i++) {
        struct products got, want;
        double unit = c->k->gemm && c->k->gemm->unit_len == 2 ? 0x1p-5 : 0x1p-15;
        if (shapes[i].type == WEFT_QUANT) continue;     /* rounded in other places */
        make(&got, ref, &shapes[i]), make(&want, ref, &shapes[i]);
        weft_gemm_group(c, got.g, PRODUCTS);
        one_by_one(ref, &want, &shapes[i]);
        for (size_t j = 0; j < PRODUCTS; j++)
            for (size_t e = 0; e < got.c[j].n; e++) {
                double most = sqrt((double)shapes[i].k) * (double)(1 + shapes[i].rank);
                assert_close(got.c[j].p[e], want.c[j].p[e], unit * most);
            }
        clear(&got), clear(&want);
    }
    assert_int_equal(c->arena.held_bytes, c->arena.max_bytes);
}

static void test_a_group_without_memory_for_panels(void **state) { at_every_level(without_memory_at); }

enum { T = 530, WIDE = 700, NARROW = 16 };

static void groups_for_threads(struct weft_compute *c, float *out)
{
    for (size_t i = 4; i < WEFT_COUNT(shapes); i++) {
        struct products p;
        c->int8 = shapes[i].int8;
        make(&p, c, &shapes[i]);
        weft_gemm_group(c, p.g, PRODUCTS);
        for (size_t k = 0; k < PRODUCTS; out += p.c[k++].n) memcpy(out, p.c[k].p, p.c[k].n * sizeof(float));
        clear(&p);
    }
    c->int8 = false;
    struct weft_rng r = test_rng(77);
    struct array dy = input_new(T * WIDE, 0, &r), t = input_new(T * NARROW, 0, &r);
    memset(out, 0, WIDE * NARROW * sizeof(float));
    weft_gemm(c, &(struct weft_gemm){ .m = WIDE, .n = NARROW, .k = T, .a = dy.p, .lda = WIDE, .a_transposed = true,
                                      .b = t.p, .ldb = NARROW, .c = out, .ldc = NARROW, .accumulate = true,
                                      .alpha = 2 });
    array_free(&dy), array_free(&t);
}

static void test_groups_have_the_same_bits_for_any_number_of_threads(void **state)
{
    size_t n = WIDE * NARROW;
    for (size_t i = 4; i < WEFT_COUNT(shapes); i++)
        for (size_t k = 0; k < PRODUCTS; k++) n += shapes[i].m * (shapes[i].n / (k + 1));
    same_for_any_threads(groups_for_threads, n);
}

/* dB += dy^T t turns its operands round: the bits are those of the product that does not. */
static void narrow_at(struct weft_compute *c, struct weft_compute *ref)
{
    struct weft_rng r = test_rng(5);
    struct array dy = input_new(T * WIDE, 1, &r), t = input_new(T * (NARROW + 64), 0, &r);
    struct array before = input_new(WIDE * NARROW, 0, &r);
    struct array wide = output_new(WIDE * (NARROW + 64), 2), narrow = copy_of(&before, 1);
    for (size_t i = 0; i < WIDE; i++) memcpy(wide.p + i * (NARROW + 64), before.p + i * NARROW, NARROW * sizeof(float));
    for (size_t i = 0; i < WIDE; i++)
        for (size_t j = 0; j < 64; j++) wide.p[i * (NARROW + 64) + NARROW + j] = 0;
    struct weft_gemm g = { .m = WIDE, .n = NARROW, .k = T, .a = dy.p, .lda = WIDE, .a_transposed = true, .b = t.p,
                           .ldb = NARROW + 64, .c = narrow.p, .ldc = NARROW, .accumulate = true, .alpha = 0.3f };
    weft_gemm(c, &g);
    g.n = NARROW + 64, g.c = wide.p, g.ldc = NARROW + 64;               /* too wide to be turned */
    weft_gemm(c, &g);
    guards_intact(&narrow), guards_intact(&wide);
    for (size_t i = 0; i < WIDE; i++)
        assert_same_bits(narrow.p + i * NARROW, wide.p + i * (NARROW + 64), NARROW);
    array_free(&dy), array_free(&t), array_free(&before), array_free(&wide), array_free(&narrow);
}

static void test_a_narrow_gradient_has_the_bits_of_a_wide_one(void **state) { at_every_level(narrow_at); }

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_group_has_the_bits_of_its_products),
        cmocka_unit_test(test_a_group_without_memory_for_panels),
        cmocka_unit_test(test_groups_have_the_same_bits_for_any_number_of_threads),
        cmocka_unit_test(test_a_narrow_gradient_has_the_bits_of_a_wide_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
