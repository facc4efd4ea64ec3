/* GaLore: golden numbers, every kind of projection against its definition in double, and the habits of Q5 and Q8. */
#include "train/moments.h"
#include "train/projection.h"
#include "train/steps.h"

enum { RIGHT = WEFT_MOMENT_SLOTS, LEFT };

/* Takes golden directions for those found, which may differ in sign only within 1e-6; the moment goes with them. */
static void take_directions(struct setup *s, int slot, const float *want, size_t n, bool found)
{
    float *p = s->opt.slot[slot][0], *m = s->opt.slot[0][0];
    if (found) {
        float sign = p[0] * want[0] < 0 ? -1 : 1;
        for (size_t i = 0; i < n; i++) check_near(sign * p[i], want[i], 2e-6);
        for (size_t i = 0; i < s->opt.slot_len[0][0]; i++) m[i] *= sign;
    }
    memcpy(p, want, n * sizeof *p);
}

static void run_golden(size_t rows, size_t cols, int slot, const float p1[2], const float p3[2], const float want[][6],
                       const bool known[3])
{
    static const float g[3][6] = { { 1, 2, 3, 4, 5, 6 }, { 6, 5, 4, 3, 2, 1 }, { 1, -1, 1, -1, 1, -1 } };
    struct setup s;
    set_up(&s, 1);
    s.recipe.weight_decay = 0.1;
    s.recipe.galore_rank = 1;
    struct weft_param *p = add(&s, "layers.0.mlp.up_proj.weight", rows, cols, true);
    begin(&s, "galore_adamw");
    for (size_t i = 0; i < 6; i++) p->w[i] = .5f;
    for (int t = 0; t < 3; t++) {
        memcpy(p->grad, g[t], sizeof g[t]);
        if (t == 2) take_directions(&s, slot, p3, 2, false);
        s.opt.kind->step(&s.opt, &s.compute, 0.01, 1);
        if (t == 0) take_directions(&s, slot, p1, 2, true);
        if (known[t]) check_values(p->w, want[t], 6, 3e-7);
    }
    tear_down(&s);
}

static void test_golden_numbers_of_both_sides(void **state)
{
    static const float tall1[] = { -.61962938f, -.78489453f }, tall3[] = { -.70710677f, .70710677f };
    static const float tall[3][6] = { { .4871198f, .4838178f, .4871198f, .4838178f, .4871198f, .4838178f },
                                      { .4754925f, .4692225f, .4742651f, .4676678f, .4762899f, .4702326f },
                                      { .4637603f, .4800099f, .4613000f, .4796909f, .4652671f, .4803089f } };
    static const float wide1[] = { -.38631767f, -.92236578f }, wide3[] = { -.70710671f, .70710683f };
    static const float wide[3][6] = { { 0 }, { 0 },
                                      { .4705055f, .4747525f, .4727155f, .4742889f, .4706629f, .4750440f } };
    run_golden(3, 2, RIGHT, tall1, tall3, tall, (const bool[]){ true, true, true });
    run_golden(2, 3, LEFT, wide1, wide3, wide, (const bool[]){ false, false, true });
}

/* ---- directions ---- */

static double dot(const float *x, size_t step_x, const float *y, size_t step_y, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)x[i * step_x] * (double)y[i * step_y];
    return sum;
}

/* Rows are orthonormal, span what G has most of (|G Q^T|_F^2 is the sum of the largest sigma^2), and have a positive
 * largest entry. */
static void check_directions(const float *q, size_t r, size_t len)
{
    for (size_t i = 0; i < r; i++) {
        size_t at = 0;
        for (size_t k = 0; k <= i; k++) check_near(dot(q + i * len, 1, q + k * len, 1, len), i == k, 1e-5);
        for (size_t k = 1; k < len; k++)
            if (fabsf(q[i * len + k]) > fabsf(q[i * len + at])) at = k;
        assert_true(q[i * len + at] > 0);
    }
}

static void test_directions_are_the_leading_singular_vectors(void **state)
{
    enum { M = 31, N = 18, R = 3, MOST = M * N };
    static float g[MOST], back[MOST], low[MOST], half[R * M];
    struct setup s;
    set_up(&s, 2);
    for (int tall = 0; tall < 2; tall++)
        for (int type = WEFT_PROJ_STD; type <= WEFT_PROJ_FULL; type++) {
            size_t m = tall ? M : N, n = tall ? N : M;
            memset(g, 0, sizeof g);
            /* rank R exactly, so that every projection loses nothing */
            for (size_t k = 0; k < R; k++) {
                float u[M], v[M];
                fill(u, m, 10 + k, 1);
                fill(v, n, 20 + k, (float)(k + 1));
                for (size_t i = 0; i < m * n; i++) g[i] += u[i / n] * v[i % n];
            }
            struct weft_projection_shape shape = weft_projection_shape((enum weft_proj_type)type, m, n, R);
            bool right = type == WEFT_PROJ_FULL || type == WEFT_PROJ_RIGHT || (type == WEFT_PROJ_STD && tall)
                         || (type == WEFT_PROJ_REVERSE_STD && !tall);
            assert_int_equal(shape.right, right);
            assert_int_equal(shape.left, !right || type == WEFT_PROJ_FULL);
            struct weft_projection p = { .m = m, .n = n, .r = R };
            struct weft_svd svd;
            if (shape.left) p.left = WEFT_NEWS(&s.arena, float, R * m);
            if (shape.right) p.right = WEFT_NEWS(&s.arena, float, R * n);
            check_ok(weft_svd_init(&svd, N, M, R, &s.arena, &s.err), &s.err);
            weft_projection_singular(&s.compute, &p, &svd, g);
            if (p.left) check_directions(p.left, R, m);
            if (p.right) check_directions(p.right, R, n);
            weft_project(&s.compute, &p, g, 1, false, low, half);
            memset(back, 0, sizeof back);
            weft_project_back(&s.compute, &p, low, 1, back, half);
            for (size_t i = 0; i < m * n; i++) check_near(back[i], g[i], 2e-5);
        }
    tear_down(&s);
}

/* The leading direction of a full-rank matrix holds as much of it as any: power iteration finds no more. */
static void test_leading_direction_is_that_of_a_power_iteration(void **state)
{
    enum { M = 40, N = 25 };
    static float g[M * N], q[N];
    double v[N], u[M];
    struct setup s;
    struct weft_svd svd;
    set_up(&s, 2);
    fill(g, M * N, 5, 1);
    struct weft_projection p = { .m = M, .n = N, .r = 1, .right = q };
    check_ok(weft_svd_init(&svd, N, M, 1, &s.arena, &s.err), &s.err);
    weft_projection_singular(&s.compute, &p, &svd, g);
    for (size_t k = 0; k < N; k++) v[k] = 1;
    for (int step = 0; step < 3000; step++) {
        double norm = 0;
        for (size_t i = 0; i < M; i++) {
            u[i] = 0;
            for (size_t k = 0; k < N; k++) u[i] += (double)g[i * N + k] * v[k];
        }
        memset(v, 0, sizeof v);
        for (size_t i = 0; i < M; i++)
            for (size_t k = 0; k < N; k++) v[k] += (double)g[i * N + k] * u[i];
        for (size_t k = 0; k < N; k++) norm += v[k] * v[k];
        for (size_t k = 0; k < N; k++) v[k] /= sqrt(norm);
    }
    double sign = v[0] * (double)q[0] < 0 ? -1 : 1;
    for (size_t k = 0; k < N; k++) check_near(q[k], sign * v[k], 1e-6);
    tear_down(&s);
}

static void test_threads_do_not_change_a_bit(void **state)
{
    enum { M = 70, N = 90 };
    static float first[M * N];
    static const char *const kinds[] = { "galore_adamw", "galore_adamw_8bit" };
    for (size_t k = 0; k < WEFT_COUNT(kinds); k++)
        for (int threads = 1; threads <= 3; threads++) {
            struct setup s;
            set_up(&s, threads);
            s.recipe.galore_update_interval = 2;
            s.recipe.galore_rank = 64;
            struct weft_param *p = add(&s, "q_proj.weight", M, N, true);
            begin(&s, kinds[k]);
            assert_int_equal(weft_moments_of(&s.opt, 0).m == NULL, k == 1);
            fill(p->w, M * N, 1, 1);
            for (uint64_t t = 0; t < 4; t++) {
                fill(p->grad, M * N, 2 + t, 1);
                s.opt.kind->step(&s.opt, &s.compute, 0.01, 0.5f);
            }
            if (threads == 1) memcpy(first, p->w, sizeof first);
            else assert_memory_equal(first, p->w, sizeof first);
            tear_down(&s);
        }
}

/* ---- Q5, Q8 ---- */

/* One value that is not projected: eps as large as the gradient shows where it stands. */
static void test_q5_eps_stands_outside_the_bias_correction(void **state)
{
    for (int compat = WEFT_COMPAT_HF; compat <= WEFT_COMPAT_CLEAN; compat++) {
        struct setup s;
        set_up(&s, 1);
        s.recipe.adam_epsilon = 0.1;
        s.recipe.weight_decay = 5;
        s.recipe.compat = compat;
        struct weft_param *p = add(&s, "other.weight", 1, 1, true);
        begin(&s, "galore_adamw");
        p->w[0] = 1;
        p->grad[0] = 0.1f;
        s.opt.kind->step(&s.opt, &s.compute, 0.01, 1);
        double v = sqrt(0.001 * 0.01), bc = sqrt(0.001), rate = 0.01 * bc / 0.1;
        double hf = (1 - rate * 0.01 / (v + 0.1)) * 0.95, clean = 0.95 - rate * 0.01 / (v + 0.1 * bc);
        check_near(p->w[0], compat == WEFT_COMPAT_HF ? hf : clean, 1e-6);
        tear_down(&s);
    }
}

static void test_q5_moments_stay_when_the_directions_change(void **state)
{
    for (int compat = WEFT_COMPAT_HF; compat <= WEFT_COMPAT_CLEAN; compat++) {
        struct setup s;
        set_up(&s, 1);
        s.recipe.galore_update_interval = 1;
        s.recipe.compat = compat;
        struct weft_param *p = add(&s, "q_proj.weight", 6, 5, true);
        begin(&s, "galore_adamw");
        fill(p->grad, 30, 1, 1);
        s.opt.kind->step(&s.opt, &s.compute, 0.01, 1);
        memset(p->grad, 0, 30 * sizeof(float));         /* nothing new: what moves p is what was kept */
        float before = p->w[0];
        s.opt.kind->step(&s.opt, &s.compute, 0.01, 1);
        double kept = weft_sum_squares(&s.compute, s.opt.slot[0][0], s.opt.slot_len[0][0]);
        assert_int_equal(kept > 0, compat == WEFT_COMPAT_HF);
        if (compat == WEFT_COMPAT_CLEAN) assert_true(p->w[0] == before);
        tear_down(&s);
    }
}

static void test_q8_norms_decay_and_biases_do_not(void **state)
{
    for (int compat = WEFT_COMPAT_HF; compat <= WEFT_COMPAT_CLEAN; compat++) {
        struct setup s;
        set_up(&s, 1);
        s.recipe.weight_decay = 5;
        s.recipe.compat = compat;
        add(&s, "input_layernorm.weight", 1, 1, false)->w[0] = 1;
        add(&s, "q_proj.bias", 1, 1, false)->w[0] = 1;
        add(&s, "q_proj.weight", 2, 2, true)->w[0] = 1;
        begin(&s, "galore_adamw");
        s.opt.kind->step(&s.opt, &s.compute, 0.01, 1);
        check_near(s.params.items[0].w[0], compat == WEFT_COMPAT_HF ? 0.95 : 1, 1e-6);
        check_near(s.params.items[1].w[0], 1, 0);
        check_near(s.params.items[2].w[0], 0.95, 1e-6);
        tear_down(&s);
    }
}

static void test_target_names_parts_of_names(void **state)
{
    static const char *mlp[] = { "mlp" };
    struct setup s;
    set_up(&s, 1);
    s.recipe.galore_target = (struct weft_str_list){ mlp, 1 };
    add(&s, "layers.0.mlp.up_proj.weight", 10, 10, true);
    add(&s, "layers.0.self_attn.q_proj.weight", 10, 10, true);
    add(&s, "mlp.table", 10, 10, true)->embedding = true;
    begin(&s, "galore_adamw");
    assert_int_equal(s.opt.slot_len[0][0], 40);
    assert_int_equal(s.opt.slot_len[0][1], 100);
    assert_int_equal(s.opt.slot_len[0][2], 100);
    tear_down(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_numbers_of_both_sides),
        cmocka_unit_test(test_directions_are_the_leading_singular_vectors),
        cmocka_unit_test(test_leading_direction_is_that_of_a_power_iteration),
        cmocka_unit_test(test_threads_do_not_change_a_bit),
        cmocka_unit_test(test_q5_eps_stands_outside_the_bias_correction),
        cmocka_unit_test(test_q5_moments_stay_when_the_directions_change),
        cmocka_unit_test(test_q8_norms_decay_and_biases_do_not),
        cmocka_unit_test(test_target_names_parts_of_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
