/* Single updates from given gradients: numbers of docs/training.md, and formulas computed here in double. */
#include "train/steps.h"

static void test_adamw_moves_as_the_golden_numbers(void **state)
{
    static const float g[3][3] = { { .1f, -.2f, .3f }, { .05f, .4f, -.3f }, { 0, .1f, 1e-9f } };
    static const float want[3][3] = { { .98900002f, -1.98800004f, .48950002f },
                                      { .97868925f, -1.98967314f, .48953682f },
                                      { .97050482f, -1.99184f, .48945412f } };
    struct setup s;
    set_up(&s, 1);
    s.recipe.weight_decay = 0.1;
    struct weft_param *p = add(&s, "w", 1, 3, true);
    begin(&s, "adamw");
    p->w[0] = 1, p->w[1] = -2, p->w[2] = .5f;
    for (int t = 0; t < 3; t++) {
        memcpy(p->grad, g[t], sizeof g[t]);
        s.opt.kind->step(&s.opt, &s.compute, 0.01, 1);
        check_values(p->w, want[t], 3, 2.5e-7);
    }
    tear_down(&s);
}

static void test_adamw_decays_only_where_asked(void **state)
{
    struct setup s;
    set_up(&s, 1);
    s.recipe.weight_decay = 0.5;
    add(&s, "w", 1, 1, true)->w[0] = 1;
    add(&s, "norm", 1, 1, false)->w[0] = 1;
    begin(&s, "adamw");
    s.opt.kind->step(&s.opt, &s.compute, 0.1, 1);   /* gradients are zero */
    check_near(s.params.items[0].w[0], 0.95, 1e-7);
    check_near(s.params.items[1].w[0], 1, 0);
    tear_down(&s);
}

static void test_clipping_scales_the_gradient(void **state)
{
    struct setup s;
    set_up(&s, 1);
    float *a = add(&s, "a", 1, 2, true)->grad, *b = add(&s, "b", 1, 1, true)->grad;
    a[0] = 3, a[1] = 4, b[0] = 12;
    double norm = weft_grad_norm(&s.compute, &s.params);
    check_near(norm, 13, 1e-12);
    check_near(weft_clip_factor(norm, 1), .07692307, 1e-8);
    check_near(weft_clip_factor(norm, 20), 1, 0);
    check_near(weft_clip_factor(norm, 0), 1, 0);
    tear_down(&s);
}

static void test_newton_schulz_of_a_small_matrix(void **state)
{
    static const float want[] = { -.5683f, .0577f, .6838f, .5634f, .4056f, .2479f };
    float wide[] = { 1, 2, 3, 4, 5, 6 }, tall[] = { 1, 4, 2, 5, 3, 6 }, scratch[2 * 4 + 6];
    struct setup s;
    set_up(&s, 1);
    weft_muon_orthogonalise(&s.compute, wide, 2, 3, scratch, true);
    check_values(wide, want, 6, 1e-4);
    weft_muon_orthogonalise(&s.compute, tall, 3, 2, scratch, true);
    for (size_t i = 0; i < 3; i++)
        for (size_t k = 0; k < 2; k++) check_near(tall[i * 2 + k], wide[k * 3 + i], 1e-5);
    tear_down(&s);
}

/* Singular values after five steps lie near 1 whatever they were: X X^T is close to the identity. */
static void test_newton_schulz_makes_rows_nearly_orthogonal(void **state)
{
    enum { M = 24, N = 70 };
    static float x[M * N], scratch[2 * M * M + M * N];
    struct setup s;
    set_up(&s, 2);
    fill(x, M * N, 1, 3);
    weft_muon_orthogonalise(&s.compute, x, M, N, scratch, false);
    for (size_t i = 0; i < M; i++)
        for (size_t k = 0; k < M; k++) {
            double dot = 0;
            for (size_t j = 0; j < N; j++) dot += (double)x[i * N + j] * (double)x[k * N + j];
            check_near(dot, i == k ? 0.85 : 0, 0.45);
        }
    tear_down(&s);
}

/* Two updates of one matrix and two others against the formulas in double, orthogonalisation taken as given. */
static void test_muon_moves_by_its_formulas(void **state)
{
    enum { R = 6, C = 4 };
    struct setup s;
    set_up(&s, 2);
    s.recipe.weight_decay = 0.1, s.recipe.adam_beta2 = 0.95, s.recipe.muon_adam_lr = 0.005;
    add(&s, "m", R, C, true);
    add(&s, "norm", 1, 5, false);
    add(&s, "embed", R, C, true)->embedding = true;
    begin(&s, "muon");
    assert_null(s.opt.slot[1][0]);
    double w[R * C], buf[R * C] = { 0 }, v[2][R * C], m1[2][R * C] = { { 0 } }, m2[2][R * C] = { { 0 } };
    struct weft_param *p = s.params.items;
    for (size_t i = 0; i < s.params.n; i++) fill(p[i].w, p[i].rows * p[i].cols, 7 + i, 1);
    for (size_t i = 0; i < R * C; i++) w[i] = p[0].w[i], v[1][i] = p[2].w[i];
    for (size_t i = 0; i < 5; i++) v[0][i] = p[1].w[i];

    for (int t = 1; t <= 2; t++) {
        const double lr = 0.01, clip = 0.5, adam_lr = 0.005;
        float x[R * C], scratch[2 * C * C + R * C];
        for (size_t i = 0; i < s.params.n; i++) fill(p[i].grad, p[i].rows * p[i].cols, 100 * (uint64_t)t + i, 1);
        for (size_t i = 0; i < R * C; i++) {
            double g = clip * (double)p[0].grad[i];
            buf[i] = 0.95 * buf[i] + g;
            x[i] = (float)(g + 0.95 * buf[i]);
        }
        weft_muon_orthogonalise(&s.compute, x, R, C, scratch, true);
        for (size_t i = 0; i < R * C; i++) w[i] = w[i] * (1 - lr * 0.1) - lr * 0.2 * sqrt(R) * (double)x[i];
        for (int k = 0; k < 2; k++)
            for (size_t i = 0; i < (k ? R * C : 5); i++) {
                double g = clip * (double)p[1 + k].grad[i];
                m1[k][i] = 0.9 * m1[k][i] + 0.1 * g;
                m2[k][i] = 0.95 * m2[k][i] + 0.05 * g * g;
                v[k][i] *= 1 - adam_lr * 0.1;
                v[k][i] -= adam_lr * sqrt(1 - pow(0.95, t)) / (1 - pow(0.9, t)) * m1[k][i] / (sqrt(m2[k][i]) + 1e-8);
            }
        s.opt.kind->step(&s.opt, &s.compute, lr, (float)clip);
        for (size_t i = 0; i < R * C; i++) check_near(p[0].w[i], w[i], 2e-5);
        for (size_t i = 0; i < 5; i++) check_near(p[1].w[i], v[0][i], 2e-6);
        for (size_t i = 0; i < R * C; i++) check_near(p[2].w[i], v[1][i], 2e-6);
    }
    tear_down(&s);
}

/* The reference decays norms with Muon as well. */
static void test_q8_muon_decays_norms_unless_clean(void **state)
{
    for (int clean = 0; clean < 2; clean++) {
        struct setup s;
        set_up(&s, 1);
        s.recipe.weight_decay = 0.5, s.recipe.compat = clean ? WEFT_COMPAT_CLEAN : WEFT_COMPAT_HF;
        add(&s, "norm", 1, 1, false)->w[0] = 1;
        begin(&s, "muon");
        s.opt.kind->step(&s.opt, &s.compute, 0.1, 1);
        check_near(s.params.items[0].w[0], clean ? 1 : 0.95, 1e-7);
        tear_down(&s);
    }
}

static void test_threads_do_not_change_a_bit(void **state)
{
    enum { R = 300, C = 130 };
    static const char *const kinds[] = { "adamw", "adamw_8bit", "galore_adamw", "galore_adamw_8bit", "apollo", "muon" };
    for (size_t k = 0; k < WEFT_COUNT(kinds); k++) {
        float *first = NULL;
        for (int threads = 1; threads <= 5; threads += 2) {
            struct setup s;
            set_up(&s, threads);
            s.recipe.bf16 = true;
            struct weft_param *p = add(&s, "m", R, C, true);
            begin(&s, kinds[k]);
            fill(p->w, R * C, 3, 1);
            for (uint64_t t = 0; t < 3; t++) {
                fill(p->grad, R * C, t, 1);
                float clip = weft_clip_factor(weft_grad_norm(&s.compute, &s.params), 1);
                s.opt.kind->step(&s.opt, &s.compute, 0.01, clip);
            }
            if (!first) {
                first = malloc(R * C * sizeof *first);
                assert_non_null(first);
                memcpy(first, p->w, R * C * sizeof *first);
            }
            assert_memory_equal(first, p->w, R * C * sizeof *first);
            tear_down(&s);
        }
        free(first);
    }
}

static void test_unknown_optimizer_gives_the_list(void **state)
{
    const char *const *names;
    size_t n;
    assert_null(weft_optimizer_find("sgd", &names, &n));
    assert_true(n >= 2);
    for (size_t i = 0; i < n; i++) assert_string_equal(weft_optimizer_find(names[i], NULL, NULL)->name, names[i]);
}

static void test_planned_bytes_are_what_is_taken(void **state)
{
    static const char *const kinds[] = { "adamw", "adamw_8bit", "galore_adamw", "galore_adamw_8bit", "apollo", "muon" };
    for (size_t k = 0; k < WEFT_COUNT(kinds); k++) {
        struct setup s;
        set_up(&s, 1);
        add(&s, "a.q_proj.weight", 200, 300, true);
        add(&s, "n", 1, 300, false);
        add(&s, "e", 500, 100, true)->embedding = true;
        size_t before = s.arena.used_bytes;
        size_t plan = weft_optimizer_find(kinds[k], NULL, NULL)->bytes(&s.recipe, &s.params);
        begin(&s, kinds[k]);
        check_near((double)(s.arena.used_bytes - before), (double)plan, 4096);
        tear_down(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_adamw_moves_as_the_golden_numbers),
        cmocka_unit_test(test_adamw_decays_only_where_asked),
        cmocka_unit_test(test_clipping_scales_the_gradient),
        cmocka_unit_test(test_newton_schulz_of_a_small_matrix),
        cmocka_unit_test(test_newton_schulz_makes_rows_nearly_orthogonal),
        cmocka_unit_test(test_muon_moves_by_its_formulas),
        cmocka_unit_test(test_q8_muon_decays_norms_unless_clean),
        cmocka_unit_test(test_threads_do_not_change_a_bit),
        cmocka_unit_test(test_unknown_optimizer_gives_the_list),
        cmocka_unit_test(test_planned_bytes_are_what_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
