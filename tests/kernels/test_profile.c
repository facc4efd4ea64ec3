/* What a profile counts, and that a run without one is not touched. */
#include "check.h"
#include "kernels/profile.h"
#include "kernels/quant.h"

struct setup {
    struct weft_compute c;
    struct weft_pool *pool;
    struct weft_err err;
};

static void set_up(struct setup *s)
{
    *s = (struct setup){ 0 };
    check_ok(weft_pool_new(&s->pool, 2, &s->err), &s->err);
    check_ok(weft_compute_init(&s->c, NULL, s->pool, &s->err), &s->err);
}

static void tear_down(struct setup *s)
{
    weft_compute_clear(&s->c);
    weft_pool_free(s->pool);
}

static const struct weft_profile_row *row_of(const struct weft_profile *p, enum weft_op op, size_t n_out)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->rows[i].op == op && p->rows[i].n_out == n_out) return &p->rows[i];
    return NULL;
}

/* The three products of a layer W [24, 40] on 16 tokens. */
static void products(struct weft_compute *c, const float *w, float *x, float *y, float *dw)
{
    weft_gemm(c, &(struct weft_gemm){ .m = 16, .n = 24, .k = 40, .a = x, .lda = 40, .b = w, .ldb = 40,
                                      .b_rows_are_outputs = true, .c = y, .ldc = 24 });
    weft_gemm(c, &(struct weft_gemm){ .m = 16, .n = 40, .k = 24, .a = y, .lda = 24, .b = w, .ldb = 40, .c = x,
                                      .ldc = 40 });
    weft_gemm(c, &(struct weft_gemm){ .m = 24, .n = 40, .k = 16, .a = y, .lda = 24, .a_transposed = true, .b = x,
                                      .ldb = 40, .c = dw, .ldc = 40 });
}

static void test_products_are_told_apart_by_their_matrix(void **state)
{
    struct setup s;
    struct weft_profile p;
    static float w[24 * 40], x[16 * 40], y[16 * 24], dw[24 * 40];
    set_up(&s);
    weft_profile_start(&p, &s.c, false, w, sizeof w);
    assert_true(p.peak > 0 || s.c.isa == WEFT_ISA_REF);
    for (int i = 0; i < 3; i++) products(&s.c, w, x, y, dw);
    weft_profile_stop(&p, &s.c);
    assert_int_equal(p.n, 3);
    for (enum weft_op op = WEFT_OP_FORWARD; op <= WEFT_OP_BACKWARD_W; op++) {
        const struct weft_profile_row *r = row_of(&p, op, 24);
        assert_non_null(r);
        assert_int_equal(r->n_in, 40);
        assert_string_equal(r->type, "f32");
        assert_int_equal(r->calls, 3);
        check_near(r->flop, 3 * 2.0 * 16 * 24 * 40, 0);
        assert_true(r->seconds > 0 && r->seconds <= p.seconds);
    }
    products(&s.c, w, x, y, dw);        /* off again */
    assert_int_equal(p.rows[0].calls, 3);
    tear_down(&s);
}

static void test_the_outermost_span_counts(void **state)
{
    struct setup s;
    struct weft_profile p;
    static float x[64], y[64];
    set_up(&s);
    weft_profile_start(&p, &s.c, false, NULL, 0);
    {
        WEFT_SPAN(span) = weft_span(&s.c, WEFT_OP_OPTIMIZER, 0);
        weft_add(&s.c, y, x, 64);
        weft_add(&s.c, y, x, 64);
    }
    weft_add(&s.c, y, x, 64);
    weft_profile_stop(&p, &s.c);
    assert_int_equal(p.n, 2);
    assert_int_equal(row_of(&p, WEFT_OP_OPTIMIZER, 0)->calls, 1);
    assert_int_equal(row_of(&p, WEFT_OP_ELEMENTS, 0)->calls, 1);
    check_near(row_of(&p, WEFT_OP_ELEMENTS, 0)->bytes, 3 * 64 * 4, 0);
    tear_down(&s);
}

/* Two sequences of 5 and 3 tokens see 15 and 6 pairs; within a window of 2, 9 and 5. */
static void test_attention_counts_the_pairs_it_sees(void **state)
{
    struct setup s;
    static float q[8 * 16], out[8 * 16], lse[8];
    static const int32_t cu[] = { 0, 5, 8 };
    set_up(&s);
    for (size_t window = 0; window <= 2; window += 2) {
        struct weft_profile p;
        struct weft_attn a = { .q = q, .k = q, .v = q, .ldq = 16, .ldk = 16, .ldv = 16, .cu = cu, .n_seqs = 2, .T = 8,
                               .n_heads = 1, .n_kv_heads = 1, .d = 16, .window = window };
        weft_profile_start(&p, &s.c, false, NULL, 0);
        weft_attention(&s.c, out, lse, &a);
        weft_profile_stop(&p, &s.c);
        check_near(row_of(&p, WEFT_OP_ATTENTION, 0)->flop, 4.0 * 16 * (window ? 14 : 21), 0);
    }
    tear_down(&s);
}

/* More shapes than rows: nothing is lost, and other operations still find a row. */
static void test_many_shapes_share_the_last_row(void **state)
{
    struct setup s;
    struct weft_profile p;
    static float w[300], y[300];
    uint64_t calls = 0;
    set_up(&s);
    weft_profile_start(&p, &s.c, false, NULL, 0);
    for (size_t n = 1; n <= 300; n++)
        weft_gemm(&s.c, &(struct weft_gemm){ .m = 1, .n = n, .k = 1, .a = w, .lda = 1, .b = w, .ldb = 1,
                                             .b_rows_are_outputs = true, .c = y, .ldc = n });
    weft_add(&s.c, y, w, 300);
    weft_profile_stop(&p, &s.c);
    assert_true(p.n <= WEFT_PROFILE_ROWS);
    for (size_t i = 0; i < p.n; i++) calls += p.rows[i].op == WEFT_OP_FORWARD ? p.rows[i].calls : 0;
    assert_int_equal(calls, 300);
    assert_non_null(row_of(&p, WEFT_OP_ELEMENTS, 0));
    tear_down(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_products_are_told_apart_by_their_matrix),
        cmocka_unit_test(test_the_outermost_span_counts),
        cmocka_unit_test(test_attention_counts_the_pairs_it_sees),
        cmocka_unit_test(test_many_shapes_share_the_last_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
