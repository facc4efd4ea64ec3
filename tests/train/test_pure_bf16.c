/* AdamW over weights and moments in bf16: as torch's fused step has them (tests/parity/pure_bf16.py), in both
 * forms that a tensor may have, and what of a run is held in bf16. */
#include "base/file.h"
#include "train/runs.h"
#include "train/steps.h"

enum { N = 40 };

static void bits(uint16_t *out, const struct weft_json_value *list)
{
    assert_int_equal(list->n, N);
    for (size_t i = 0; i < N; i++) out[i] = (uint16_t)list->items[i].integer;
}

/* At most one unit in the last place of bf16 apart (both have the same sign, or are zero). */
static void same_bits(const char *what, int step, const uint16_t *got, const uint16_t *want, int *inexact)
{
    for (int i = 0; i < N; i++) {
        int apart = abs((int)got[i] - (int)want[i]);
        if (apart > 1 && ((got[i] | want[i]) & 0x7FFF)) fail_msg("step %d: %s[%d] is %04x, not %04x", step, what, i, got[i], want[i]);
        *inexact += apart != 0;
    }
}

static void test_steps_are_those_of_torch(void **state)
{
    (void)state;
    struct weft_arena a = { 0 };
    struct weft_err err = { 0 };
    struct weft_str text;
    struct weft_json_value v;
    uint16_t want[N], start[N];
    int inexact = 0;
    check_ok(weft_file_read(&a, WEFT_SOURCE_DIR "/tests/train/data/pure_bf16.json", 1 << 20, &text, &err), &err);
    check_ok(weft_json_parse(&a, "pure_bf16.json", text, &v, &err), &err);
    const struct weft_json_value *steps = weft_json_get(&v, "steps");
    bits(start, weft_json_get(&v, "start"));
    struct setup s;
    set_up(&s, 1);
    s.recipe.weight_decay = weft_json_get(&v, "weight_decay")->number;
    s.recipe.adam_beta2 = weft_json_get(&v, "beta2")->number;
    add(&s, "matrix", 1, N, true);
    struct weft_param *vector = add(&s, "vector", 1, N, true), *matrix = &s.params.items[0];
    matrix->w = NULL;
    matrix->w16 = WEFT_NEWS(&s.arena, uint16_t, N);
    memcpy(matrix->w16, start, sizeof start);
    for (int i = 0; i < N; i++) vector->w[i] = weft_bf16_to_f32(start[i]);
    begin(&s, "adamw_bf16");
    for (size_t t = 0; t < steps->n; t++) {
        bits(want, weft_json_get(&steps->items[t], "g"));
        for (int i = 0; i < N; i++) matrix->grad[i] = vector->grad[i] = weft_bf16_to_f32(want[i]);
        s.opt.kind->step(&s.opt, &s.compute, weft_json_get(&v, "lr")->number, 1);
        bits(want, weft_json_get(&steps->items[t], "p"));
        same_bits("p", (int)t, matrix->w16, want, &inexact);
        for (int i = 0; i < N; i++) assert_true(vector->w[i] == weft_bf16_to_f32(matrix->w16[i]));
        bits(want, weft_json_get(&steps->items[t], "m"));
        same_bits("m", (int)t, s.opt.slot[0][0], want, &inexact);
        bits(want, weft_json_get(&steps->items[t], "v"));
        same_bits("v", (int)t, s.opt.slot[1][0], want, &inexact);
    }
    assert_true(steps->n == 6 && inexact <= 4);     /* of 720 numbers: sums in another order may round the other way */
    tear_down(&s);
    weft_arena_clear(&a);
}

/* What f32 keeps and bf16 cannot: a step of a thousandth of a weight. */
static void test_small_steps_are_lost(void **state)
{
    (void)state;
    struct setup s;
    set_up(&s, 1);
    struct weft_param *p = add(&s, "w", 1, 1, false);
    p->w[0] = 1;
    begin(&s, "adamw_bf16");
    for (int t = 0; t < 10; t++) {
        p->grad[0] = 1;
        s.opt.kind->step(&s.opt, &s.compute, 1e-3, 1);
    }
    check_near(p->w[0], 1, 0);
    for (int t = 0; t < 10; t++) {
        p->grad[0] = 1;
        s.opt.kind->step(&s.opt, &s.compute, 5e-3, 1);
    }
    check_near(p->w[0], 1 - 10 * 0.00390625, 0.012);
    tear_down(&s);
}

static void test_threads_do_not_change_a_bit(void **state)
{
    (void)state;
    enum { MANY = 100003 };
    uint16_t *first = NULL;
    struct setup s[3];
    for (int k = 0; k < 3; k++) {
        set_up(&s[k], k + 1);
        struct weft_param *p = add(&s[k], "w", 1, MANY, true);
        p->w = NULL;
        p->w16 = WEFT_NEWS(&s[k].arena, uint16_t, MANY);
        fill(p->grad, MANY, 5, 1);
        for (size_t i = 0; i < MANY; i++) p->w16[i] = weft_f32_to_bf16(p->grad[i] * 0.1f);
        begin(&s[k], "adamw_bf16");
        for (int t = 0; t < 3; t++) s[k].opt.kind->step(&s[k].opt, &s[k].compute, 0.01, 0.7f);
        if (k) assert_memory_equal(p->w16, first, MANY * sizeof *first);
        else first = p->w16;
    }
    for (int k = 0; k < 3; k++) tear_down(&s[k]);
}

static void test_a_run_holds_bf16(void **state)
{
    (void)state;
    struct run r, f;
    run_set_up(&r, check_folder(), 2, "max_steps: 12\npure_bf16: true\nlearning_rate: 1e-2\nbf16: false\n");
    assert_string_equal(r.recipe.optim, "adamw_bf16");
    assert_true(r.recipe.bf16);     /* there is no f32 product of a model in bf16 */
    size_t vectors = 0, matrices = 0;
    for (size_t i = 0; i < r.params.n; i++) {
        const struct weft_param *p = &r.params.items[i];
        assert_true(p->low && (p->w16 != NULL) == (p->rows > 1));
        vectors += p->rows == 1;
        matrices += p->rows > 1;
    }
    assert_true(vectors && matrices);
    check_ok(run_go(&r), &r.err);
    for (size_t i = 0; i < r.params.n; i++) {
        const struct weft_param *p = &r.params.items[i];
        for (size_t k = 0; p->w && k < p->cols; k++)
            assert_true(p->w[k] == weft_bf16_to_f32(weft_f32_to_bf16(p->w[k])));
    }
    double low = r.result.last_loss;
    run_set_up(&f, check_folder(), 2, "max_steps: 12\nlearning_rate: 1e-2\n");
    assert_true(r.params.weight_bytes < f.params.weight_bytes * 11 / 20);
    check_ok(run_go(&f), &f.err);
    double high = f.result.last_loss;
    assert_true(fabs(low - high) < 0.02 * high && low != high);
    run_tear_down(&r);
    run_tear_down(&f);
}

static void test_where_it_has_no_effect_it_says_so(void **state)
{
    (void)state;
    static const struct {
        const char *yaml, *says, *optim;
    } cases[] = {
        { "finetuning_type: lora\n", "adapters and their moments keep f32", "adamw" },
        { "finetuning_type: full\noptim: muon\n", "with this optimizer weights and moments keep f32", "muon" },
        { "finetuning_type: full\nuse_badam: true\n", NULL, "badam" },
        { "finetuning_type: freeze\noptim: adamw_torch\n", NULL, "adamw_bf16" },
    };
    for (size_t i = 0; i < WEFT_COUNT(cases); i++) {
        struct weft_arena a = { 0 };
        struct weft_err err = { 0 };
        struct weft_buf warn = { 0 };
        struct weft_recipe r;
        struct weft_str yaml = weft_str_printf(&a, "stage: sft\npure_bf16: true\n%s", cases[i].yaml);
        check_ok(weft_recipe_read(&r, &a, "r.yaml", yaml, NULL, &warn, &err), &err);
        check_ok(weft_recipe_check(&r, &warn, &err), &err);
        assert_string_equal(r.optim, cases[i].optim);
        if (cases[i].says) {
            assert_non_null(strstr(warn.s, "r.yaml:2:12: pure_bf16 is ignored: "));
            assert_non_null(strstr(warn.s, cases[i].says));
        } else assert_true(!warn.len || !strstr(warn.s, "pure_bf16"));
        weft_buf_clear(&warn);
        weft_arena_clear(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps_are_those_of_torch),
        cmocka_unit_test(test_small_steps_are_lost),
        cmocka_unit_test(test_threads_do_not_change_a_bit),
        cmocka_unit_test(test_a_run_holds_bf16),
        cmocka_unit_test(test_where_it_has_no_effect_it_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
