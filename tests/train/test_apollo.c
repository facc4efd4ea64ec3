/* APOLLO: its formulas in double, the limit on growth, and the habits of Q5 and Q8. */
#include "train/moments.h"
#include "train/projection.h"
#include "train/steps.h"

enum { M = 23, N = 14, MOST = M * N, STEPS = 6 };
enum { RIGHT = WEFT_MOMENT_SLOTS, LEFT, GROWTH };

/* What the definition says of one matrix, all in double.  Directions are taken from the optimizer. */
struct plain {
    double p[MOST], m[MOST], v[MOST], before;
    bool limited;           /* the limit has acted */
};

static void plain_step(struct plain *x, const struct weft_recipe *r, size_t rows, size_t cols, const float *q,
                       bool right, const float *g, double g_scale, int t, double lr)
{
    double low[MOST], step[MOST], u[MOST], above = 0, below = 0, norm = 0;
    size_t rank = (size_t)r->apollo_rank, n = (right ? rows : cols) * rank;
    for (size_t i = 0; i < n; i++) {
        low[i] = 0;
        if (right)
            for (size_t k = 0; k < cols; k++)
                low[i] += g_scale * (double)g[i / rank * cols + k] * (double)q[i % rank * cols + k];
        else
            for (size_t k = 0; k < rows; k++)
                low[i] += g_scale * (double)q[i / cols * rows + k] * (double)g[k * cols + i % cols];
        x->m[i] = r->adam_beta1 * x->m[i] + (1 - r->adam_beta1) * low[i];
        x->v[i] = r->adam_beta2 * x->v[i] + (1 - r->adam_beta2) * low[i] * low[i];
        step[i] = x->m[i] / (sqrt(x->v[i]) + r->adam_epsilon);
        above += step[i] * step[i];
        below += low[i] * low[i];
    }
    for (size_t i = 0; i < rows * cols; i++) {
        double a = above, b = below;
        if (r->apollo_scale_type == WEFT_APOLLO_CHANNEL) {
            a = b = 0;
            for (size_t k = 0; k < rank; k++) {
                size_t at = right ? i / cols * rank + k : k * cols + i % cols;
                a += step[at] * step[at];
                b += low[at] * low[at];
            }
        }
        u[i] = g_scale * (double)g[i] * sqrt(a) / (sqrt(b) + 1e-8);
        if (r->apollo_scale_front) u[i] *= sqrt(r->apollo_scale);
        norm += u[i] * u[i];
    }
    norm = sqrt(norm);
    double limit = x->before > 0 ? fmax(norm / (x->before + 1e-8), 1.01) / 1.01 : 1;
    if (limit > 1) x->limited = true;
    x->before = norm / limit;
    for (size_t i = 0; i < rows * cols; i++) {
        double rate = lr * sqrt(1 - pow(r->adam_beta2, t)) / (1 - pow(r->adam_beta1, t));
        u[i] /= limit;
        if (!r->apollo_scale_front) u[i] *= sqrt(r->apollo_scale);
        x->p[i] = (x->p[i] - rate * u[i]) * (1 - lr * r->weight_decay);
    }
}

static void check_case(size_t rows, size_t cols, int side, int scale_type, int proj, bool front, bool want_right)
{
    static struct plain x;
    struct setup s;
    set_up(&s, 3);
    memset(&x, 0, sizeof x);
    s.recipe.seed = 42;
    s.recipe.weight_decay = 0.1;
    s.recipe.apollo_rank = 3;
    s.recipe.apollo_update_interval = 4;
    s.recipe.apollo_proj_type = side;
    s.recipe.apollo_scale_type = scale_type;
    s.recipe.apollo_proj = proj;
    s.recipe.apollo_scale_front = front;
    struct weft_param *p = add(&s, "layers.0.mlp.up_proj.weight", rows, cols, true);
    begin(&s, "apollo");
    fill(p->w, rows * cols, 9, 1);
    for (size_t i = 0; i < rows * cols; i++) x.p[i] = (double)p->w[i];
    assert_int_equal(s.opt.slot_len[RIGHT][0] > 0, want_right);
    assert_int_equal(s.opt.slot_len[LEFT][0] > 0, !want_right);
    for (int t = 1; t <= STEPS; t++) {
        fill(p->grad, rows * cols, (uint64_t)t, t == 3 ? 20.0f : 1.0f);
        s.opt.kind->step(&s.opt, &s.compute, 0.01, 0.5f);
        const float *q = s.opt.slot[want_right ? RIGHT : LEFT][0];
        plain_step(&x, &s.recipe, rows, cols, q, want_right, p->grad, 0.5, t, 0.01);
        for (size_t i = 0; i < rows * cols; i++) check_near(p->w[i], x.p[i], 2e-5);
        check_near((double)*(const float *)s.opt.slot[GROWTH][0] / x.before, 1, 1e-5);
    }
    assert_true(x.limited);
    tear_down(&s);
}

static void test_steps_follow_the_formulas(void **state)
{
    for (int scale = WEFT_APOLLO_CHANNEL; scale <= WEFT_APOLLO_TENSOR; scale++)
        for (int proj = WEFT_APOLLO_RANDOM; proj <= WEFT_APOLLO_SVD; proj++)
            for (int front = 0; front < 2; front++) {
                check_case(M, N, WEFT_APOLLO_STD, scale, proj, front, true);
                check_case(N, M, WEFT_APOLLO_STD, scale, proj, front, false);
                check_case(M, N, WEFT_APOLLO_LEFT, scale, proj, front, false);
                check_case(N, M, WEFT_APOLLO_RIGHT, scale, proj, front, true);
            }
}

/* N(0, 1) / sqrt(r), other ones after the interval and for another seed or matrix. */
static void test_directions_are_random_and_change(void **state)
{
    enum { R = 8, C = 500 };
    static float kept[4][R * C];
    for (int what = 0; what < 4; what++) {
        struct setup s;
        set_up(&s, 1);
        s.recipe.seed = what == 1 ? 43 : 42;
        s.recipe.apollo_rank = R;
        s.recipe.apollo_update_interval = 2;
        struct weft_param *p = add(&s, what == 2 ? "b.q_proj.weight" : "a.q_proj.weight", C + 1, C, true);
        begin(&s, "apollo");
        const float *q = s.opt.slot[RIGHT][0];
        for (int t = 0; t < (what == 3 ? 3 : 2); t++) {
            fill(p->grad, p->rows * p->cols, (uint64_t)t, 1);
            s.opt.kind->step(&s.opt, &s.compute, 0.01, 1);
            if (t == 0) memcpy(kept[what], q, sizeof kept[what]);
            if (t == 1) assert_memory_equal(kept[what], q, sizeof kept[what]);
        }
        memcpy(kept[what], q, sizeof kept[what]);
        double sum = 0, squares = 0;
        for (size_t i = 0; i < R * C; i++) sum += (double)q[i], squares += (double)q[i] * (double)q[i];
        check_near(sum / (R * C), 0, 0.02);
        check_near(squares / (R * C), 1.0 / R, 0.01);
        for (int k = 0; k < what; k++) assert_memory_not_equal(kept[k], kept[what], sizeof kept[what]);
        tear_down(&s);
    }
}

/* What is not projected moves by Adam in GaLore's form: eps outside the correction, decay behind the step. */
static void test_other_tensors_move_by_adam(void **state)
{
    for (int clean = 0; clean < 2; clean++) {
        struct setup s;
        set_up(&s, 1);
        s.recipe.weight_decay = 0.1;
        s.recipe.adam_epsilon = 1e-3;
        s.recipe.compat = clean ? WEFT_COMPAT_CLEAN : WEFT_COMPAT_HF;
        struct weft_param *norm = add(&s, "layers.0.input_layernorm.weight", 1, 2, false);
        struct weft_param *table = add(&s, "embed_tokens.weight", 2, 2, true);
        table->embedding = true;
        norm = &s.params.items[0];
        begin(&s, "apollo");
        for (size_t i = 0; i < 2; i++) norm->w[i] = 1;
        double p = 1, m = 0, v = 0;
        for (int t = 1; t <= 3; t++) {
            double g = 0.1 * t, eps = 1e-3 * (clean ? sqrt(1 - pow(0.999, t)) : 1);
            norm->grad[0] = norm->grad[1] = (float)g;
            s.opt.kind->step(&s.opt, &s.compute, 0.01, 1);
            m = 0.9 * m + 0.1 * g;
            v = 0.999 * v + 0.001 * g * g;
            p -= 0.01 * sqrt(1 - pow(0.999, t)) / (1 - pow(0.9, t)) * m / (sqrt(v) + eps);
            if (!clean) p *= 1 - 0.01 * 0.1;        /* Q8: norms decay there */
            check_near(norm->w[0], p, 2e-6);
        }
        tear_down(&s);
    }
}

/* Moments are coordinates in directions: clean begins them anew with new ones, the reference keeps them (Q5). */
static void test_q5_moments_stay_when_directions_change(void **state)
{
    for (int clean = 0; clean < 2; clean++) {
        struct setup s;
        set_up(&s, 1);
        s.recipe.apollo_update_interval = 1;
        s.recipe.compat = clean ? WEFT_COMPAT_CLEAN : WEFT_COMPAT_HF;
        struct weft_param *p = add(&s, "a.q_proj.weight", M, N, true);
        begin(&s, "apollo");
        fill(p->grad, MOST, 1, 1);
        s.opt.kind->step(&s.opt, &s.compute, 0.01, 1);
        memset(p->grad, 0, MOST * sizeof(float));
        s.opt.kind->step(&s.opt, &s.compute, 0.01, 1);
        const float *m = s.opt.slot[0][0];
        if (clean) assert_true(m[0] == 0);
        else assert_true(m[0] != 0);
        tear_down(&s);
    }
}

static void test_names_choose_the_matrices(void **state)
{
    static const char *mlp[] = { "mlp" };
    struct setup s;
    set_up(&s, 1);
    s.recipe.apollo_target = (struct weft_str_list){ mlp, 1 };
    add(&s, "layers.0.self_attn.q_proj.weight", M, N, true);
    add(&s, "layers.0.mlp.up_proj.weight", M, N, true);
    begin(&s, "apollo");
    assert_int_equal(s.opt.slot_len[0][0], MOST);
    assert_int_equal(s.opt.slot_len[0][1], 4 * M);
    tear_down(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps_follow_the_formulas),
        cmocka_unit_test(test_directions_are_random_and_change),
        cmocka_unit_test(test_other_tensors_move_by_adam),
        cmocka_unit_test(test_q5_moments_stay_when_directions_change),
        cmocka_unit_test(test_names_choose_the_matrices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
