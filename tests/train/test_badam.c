/* BAdam: which block or part trains in which update (Q7), and single updates against their formulas. */
#include "train/moments.h"
#include "train/steps.h"

enum { BLOCKS = 3, VALUES = 4 };

struct blocks {
    struct setup s;
    float grads[VALUES], *at[2 * BLOCKS];
};

/* Three layers of a matrix of two values in f32 and a norm of two. */
static void set_up_blocks(struct blocks *b)
{
    set_up(&b->s, 1);
    b->s.recipe.seed = 42;
    b->s.recipe.badam_switch_interval = 5;
    b->s.recipe.badam_start_block = -1;
    b->s.recipe.badam_update_ratio = 0.25;
    for (size_t i = 0; i < BLOCKS; i++)
        for (size_t k = 0; k < 2; k++) {
            struct weft_param *p = add(&b->s, k ? "input_layernorm.weight" : "q_proj.weight", 1, 2, k == 0);
            p->layer = i;
            p->grad = b->grads + 2 * k;
            p->grad_at = &b->at[2 * i + k];
            *p->grad_at = p->grad;
        }
}

static size_t active_of(const struct blocks *b)
{
    size_t active = SIZE_MAX;
    for (size_t i = 0; i < 2 * BLOCKS; i++) {
        const struct weft_param *p = &b->s.params.items[i];
        assert_true(b->at[i] == p->grad);
        if (!p->grad) continue;
        assert_true(active == SIZE_MAX || active == p->layer);
        active = p->layer;
    }
    return active;
}

static void check_order(struct blocks *b, const char *want)
{
    begin(&b->s, "badam");
    for (size_t u = 0; want[u]; u++) {
        if (want[u] != '0' + (char)active_of(b))
            fail_msg("update %zu trains layer %zu, not %c", u + 1, active_of(b), want[u]);
        b->s.opt.kind->step(&b->s.opt, &b->s.compute, 0.01, 1);
    }
    tear_down(&b->s);
}

static void test_q7_first_block_has_one_update_less(void **state)
{
    struct blocks b;
    set_up_blocks(&b);
    check_order(&b, "0000111112222200000");
    set_up_blocks(&b);
    b.s.recipe.compat = WEFT_COMPAT_CLEAN;
    check_order(&b, "0000011111222220000");
}

static void test_orders_and_starts(void **state)
{
    struct blocks b;
    set_up_blocks(&b);
    b.s.recipe.badam_switch_mode = WEFT_BADAM_DESCENDING;
    check_order(&b, "22221111100000222221");
    set_up_blocks(&b);
    b.s.recipe.badam_switch_mode = WEFT_BADAM_DESCENDING;
    b.s.recipe.badam_start_block = 1;
    check_order(&b, "111100000222221");
    set_up_blocks(&b);
    b.s.recipe.badam_start_block = 2;
    b.s.recipe.badam_switch_interval = 1;
    check_order(&b, "20120120");
    set_up_blocks(&b);
    b.s.recipe.badam_switch_mode = WEFT_BADAM_FIXED;
    b.s.recipe.badam_start_block = 1;
    check_order(&b, "1111111111111");
    set_up_blocks(&b);
    b.s.recipe.badam_switch_interval = 0;
    check_order(&b, "0000000000000");
}

static void test_random_order_takes_every_layer_once_a_round(void **state)
{
    struct blocks b;
    bool other = false;
    set_up_blocks(&b);
    b.s.recipe.badam_switch_mode = WEFT_BADAM_RANDOM;
    b.s.recipe.badam_switch_interval = 1;
    begin(&b.s, "badam");
    for (int round = 0; round < 20; round++) {
        unsigned seen = 0;
        for (size_t i = 0; i < BLOCKS; i++) {
            seen |= 1u << active_of(&b);
            other |= active_of(&b) != i;
            b.s.opt.kind->step(&b.s.opt, &b.s.compute, 0.01, 1);
        }
        assert_int_equal(seen, 7);
    }
    assert_true(other);
    tear_down(&b.s);
}

static void test_start_beyond_the_last_layer_is_refused(void **state)
{
    struct blocks b;
    set_up_blocks(&b);
    b.s.recipe.badam_start_block = BLOCKS;
    assert_int_equal(weft_optimizer_init(&b.s.opt, weft_optimizer_find("badam", NULL, NULL), &b.s.recipe, &b.s.params,
                                         &b.s.arena, &b.s.err), WEFT_EARG);
    tear_down(&b.s);
}

/* AdamW of torch from moments that are zero, in the first update of a block and again when its turn comes back. */
static void test_q7_every_tensor_of_the_block_decays_by_a_hundredth(void **state)
{
    for (int compat = WEFT_COMPAT_HF; compat <= WEFT_COMPAT_CLEAN; compat++) {
        struct blocks b;
        set_up_blocks(&b);
        b.s.recipe.compat = compat;
        b.s.recipe.weight_decay = 0.5;
        b.s.recipe.badam_switch_interval = 1;
        begin(&b.s, "badam");
        for (size_t i = 0; i < 2 * BLOCKS; i++) b.s.params.items[i].w[0] = 1;
        for (size_t round = 0; round < 2; round++)
            for (size_t i = 0; i < BLOCKS; i++) {
                float *matrix = b.s.params.items[2 * i].w, *norm = b.s.params.items[2 * i + 1].w;
                double m = matrix[0], n = norm[0];
                b.grads[0] = 0.3f, b.grads[1] = 0, b.grads[2] = 0, b.grads[3] = -0.3f;
                b.s.opt.kind->step(&b.s.opt, &b.s.compute, 0.1, 1);
                double wd = compat == WEFT_COMPAT_HF ? 0.01 : 0.5;
                check_near(matrix[0], m * (1 - 0.1 * wd) - 0.1, 1e-6);
                check_near(norm[0], n * (compat == WEFT_COMPAT_HF ? 1 - 0.1 * 0.01 : 1), 1e-6);
            }
        tear_down(&b.s);
    }
}

static void test_bf16_weights_follow_an_f32_copy(void **state)
{
    enum { N = 64 };
    struct setup s;
    float *at, grad[N];
    uint16_t low[N];
    set_up(&s, 1);
    s.recipe.badam_start_block = -1;
    struct weft_param *p = add(&s, "q_proj.weight", 8, 8, true);
    p->w = NULL, p->w16 = low, p->grad = grad, p->grad_at = &at;
    for (size_t i = 0; i < N; i++) low[i] = weft_f32_to_bf16(1), grad[i] = 1;
    begin(&s, "badam");
    /* 1e-3 of 1 is below half a step of bf16: eight of them are not */
    for (int t = 0; t < 8; t++) {
        s.opt.kind->step(&s.opt, &s.compute, 1e-3, 1);
        check_near(((float *)s.opt.slot[WEFT_MOMENT_SLOTS][0])[5], 1 - 1.01e-3 * (t + 1), 2e-6);
    }
    check_near(weft_bf16_to_f32(low[5]), 0.9921875, 0);
    tear_down(&s);
}

/* ---- ratio ---- */

static void run_ratio(int mask, int compat)
{
    enum { N = 400, PART = 100 };
    struct setup s;
    float *at[2], before[N];
    set_up(&s, 1);
    s.recipe.badam_mode = WEFT_BADAM_RATIO;
    s.recipe.badam_mask_mode = mask;
    s.recipe.badam_update_ratio = 0.25;
    s.recipe.weight_decay = 0.5;
    s.recipe.compat = compat;
    struct weft_param *p = add(&s, "q_proj.weight", 20, 20, true);
    p->grad_at = &at[0];
    add(&s, "norm.weight", 1, 8, false)->grad_at = &at[1];
    begin(&s, "badam");
    p = &s.params.items[0];
    bool touched[N] = { false }, spread = false;
    for (int turn = 0; turn < 4; turn++) {
        size_t n = 0;
        memcpy(before, p->w, sizeof before);
        for (int t = 0; t < 100; t++) {
            for (size_t i = 0; i < N; i++) p->grad[i] = 2;
            for (size_t i = 0; i < 8; i++) s.params.items[1].grad[i] = 1;
            if (t == 0) {
                double norm = s.opt.kind->norm(&s.opt, &s.compute);
                check_near(norm, sqrt(PART * 4 + (compat == WEFT_COMPAT_CLEAN ? 8 : 2)), 1e-9);
            }
            s.opt.kind->step(&s.opt, &s.compute, 1e-3, 1);
            /* moments begin anew: the first step of a turn is one whole rate */
            if (t == 0)
                for (size_t i = 0; i < N; i++)
                    if (p->w[i] != before[i]) check_near(before[i] - p->w[i], 1e-3, 1e-6);
        }
        for (size_t i = 0; i < N; i++) {
            if (p->w[i] == before[i]) continue;
            assert_false(touched[i]);
            touched[i] = true;
            n++;
            spread |= i / PART != (size_t)turn;
            check_near(before[i] - p->w[i], 0.1, 1e-4);
        }
        assert_int_equal(n, PART);
    }
    assert_int_equal(spread, mask == WEFT_BADAM_SCATTER);
    assert_int_equal(s.params.items[1].w[7] != 0, 1);
    tear_down(&s);
}

static void test_ratio_takes_every_part_in_turn(void **state)
{
    run_ratio(WEFT_BADAM_ADJACENT, WEFT_COMPAT_HF);
    run_ratio(WEFT_BADAM_ADJACENT, WEFT_COMPAT_CLEAN);
    run_ratio(WEFT_BADAM_SCATTER, WEFT_COMPAT_HF);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_q7_first_block_has_one_update_less),
        cmocka_unit_test(test_orders_and_starts),
        cmocka_unit_test(test_random_order_takes_every_layer_once_a_round),
        cmocka_unit_test(test_start_beyond_the_last_layer_is_refused),
        cmocka_unit_test(test_q7_every_tensor_of_the_block_decays_by_a_hundredth),
        cmocka_unit_test(test_bf16_weights_follow_an_f32_copy),
        cmocka_unit_test(test_ratio_takes_every_part_in_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
