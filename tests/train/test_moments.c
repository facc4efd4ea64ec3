/* 8-bit moments: the tables of bitsandbytes and the codes nearest (tests/parity/optim.py), and single updates of 8-bit
 * AdamW against its formulas in double. */
#include "train/moments.h"
#include "train/steps.h"

static struct weft_json_value fixture(struct setup *s)
{
    struct weft_str text;
    struct weft_json_value v;
    const char *path = check_source(&s->arena, "tests/train/data/optim/codes.json");
    check_ok(weft_file_read(&s->arena, path, 0, &text, &s->err), &s->err);
    check_ok(weft_json_parse(&s->arena, path, text, &v, &s->err), &s->err);
    return v;
}

static void test_tables_have_the_checked_values(void **state)
{
    struct weft_code_map with_sign, without;
    double sum = 0, sum_without = 0;
    weft_code_map(&with_sign, true);
    weft_code_map(&without, false);
    for (size_t i = 0; i < 256; i++) sum += (double)with_sign.value[i], sum_without += (double)without.value[i];
    check_near(with_sign.value[0], -0.992968738, 1e-9);
    check_near(with_sign.value[127], 0, 0);
    check_near(with_sign.value[128], 5.50000038e-7, 1e-14);
    check_near(with_sign.value[254], 0.992968738, 1e-9);
    check_near(with_sign.value[255], 1, 0);
    check_near(sum, 1, 1e-6);
    check_near(without.value[0], 0, 0);
    check_near(without.value[1], 3.2500003e-7, 1e-14);
    check_near(without.value[2], 7.7499999e-7, 1e-14);
    check_near(without.value[255], 1, 0);
    check_near(sum_without, 75.10526, 1e-4);
}

static void test_tables_are_those_of_bitsandbytes_and_codes_the_nearest(void **state)
{
    struct setup s;
    set_up(&s, 1);
    struct weft_json_value v = fixture(&s);
    static const char *const tables[] = { "signed", "unsigned" }, *const codes[] = { "signed_codes", "unsigned_codes" };
    const struct weft_json_value *scales = weft_json_get(&v, "scales");
    for (int k = 0; k < 2; k++) {
        struct weft_code_map map;
        weft_code_map(&map, k == 0);
        const struct weft_json_value *table = weft_json_get(&v, tables[k]), *want = weft_json_get(&v, codes[k]);
        for (size_t i = 0; i < 256; i++) assert_true(map.value[i] == (float)table->items[i].number);
        for (size_t i = 0; i < want->n; i++) {
            uint32_t key = 2166136261u, x;
            for (const char *c = "codes"; *c; c++) key = (key ^ (uint32_t)*c) * 16777619u;
            x = (uint32_t)i * 2654435761u + key;
            x ^= x >> 16, x *= 0x7FEB352Du, x ^= x >> 15, x *= 0x846CA68Bu, x ^= x >> 16;
            float u = ((float)(x >> 8) * 0x1p-24f - 0.5f) * 0.5f, y = u * u * (u * u) * 17;
            if (k == 0 && u < 0) y = -y;
            if (i < 256) y = 0;
            if (i == 300) y = 1e-12f;
            if (i == 301) y = k ? 1e-12f : -1e-12f;
            float scale = (float)scales->items[i / 256].number;
            unsigned got = weft_code_of(&map, scale > 0 ? y / scale : 0);
            if (got == (unsigned)want->items[i].integer) continue;
            /* The fourth power is rounded otherwise there: a value between two codes may fall to the other. */
            float bound = map.bound[weft_min_size(got, (size_t)want->items[i].integer)];
            check_near(y / scale, bound, 1e-6 * fabs((double)bound));
        }
    }
    tear_down(&s);
}

static void test_a_value_halfway_takes_the_lower_code(void **state)
{
    struct weft_code_map map;
    weft_code_map(&map, true);
    for (unsigned i = 0; i < 255; i++) {
        assert_int_equal(weft_code_of(&map, map.bound[i]), i);
        assert_int_equal(weft_code_of(&map, map.value[i]), i);
        assert_int_equal(weft_code_of(&map, nextafterf(map.bound[i], 2)), i + 1);
    }
}

enum { ROWS = 20, COLS = 300 };     /* 6000 values: 23 whole blocks and a part of one */

/* One step by the formula from the moments as they were decoded before it. */
static void check_step(struct setup *s, struct weft_param *p, const double *before, const double *m, const double *v,
                       double lr, double t, bool after)
{
    double wd = s->recipe.weight_decay, bc2 = sqrt(1 - pow(0.999, t)), rate = lr * bc2 / (1 - pow(0.9, t));
    for (size_t i = 0; i < ROWS * COLS; i++) {
        double g = p->grad[i], a = 0.9 * m[i] + 0.1 * g, b = 0.999 * v[i] + 0.001 * g * g;
        double x = rate * a / (sqrt(b) + 1e-8 * bc2);
        double want = after ? (before[i] - x) * (1 - lr * wd) : before[i] * (1 - lr * wd) - x;
        check_near(p->w[i], want, 1e-6);
    }
}

static void run_8bit(int compat)
{
    static double before[ROWS * COLS], m[ROWS * COLS], v[ROWS * COLS];
    struct setup s;
    struct weft_code_map with_sign, without;
    set_up(&s, 2);
    weft_code_map(&with_sign, true);
    weft_code_map(&without, false);
    s.recipe.weight_decay = 5;
    s.recipe.compat = compat;
    struct weft_param *p = add(&s, "w", ROWS, COLS, true);
    begin(&s, "adamw_8bit");
    fill(p->w, ROWS * COLS, 1, 1);
    for (int t = 1; t <= 5; t++) {
        fill(p->grad, ROWS * COLS, 10 + (uint64_t)t, 0.1f);
        struct weft_moments q = weft_moments_of(&s.opt, 0);
        assert_true(!q.m && q.qm);
        for (size_t i = 0; i < ROWS * COLS; i++) {
            before[i] = p->w[i];
            m[i] = (double)with_sign.value[q.qm[i]] * (double)q.am[i / 256];
            v[i] = (double)without.value[q.qv[i]] * (double)q.av[i / 256];
            if (t == 1) assert_true(m[i] == 0 && v[i] == 0);
        }
        s.opt.kind->step(&s.opt, &s.compute, 0.01, 1);
        check_step(&s, p, before, m, v, 0.01, t, compat == WEFT_COMPAT_HF);
        for (size_t i = 0; i < ROWS * COLS; i++) {      /* a moment never changes sides */
            double now = 0.9 * m[i] + 0.1 * (double)p->grad[i];
            assert_true((double)with_sign.value[q.qm[i]] * now >= 0);
        }
    }
    tear_down(&s);
}

static void test_q6_decay_follows_the_8bit_step(void **state) { run_8bit(WEFT_COMPAT_HF); }
static void test_clean_decay_comes_before_the_8bit_step(void **state) { run_8bit(WEFT_COMPAT_CLEAN); }

static void test_small_tensors_and_tables_keep_f32(void **state)
{
    struct setup s;
    set_up(&s, 1);
    add(&s, "small", 5, 819, true);                 /* 4095 values */
    add(&s, "large", 4, 1024, true);
    add(&s, "table", 10, 1000, true)->embedding = true;
    begin(&s, "adamw_8bit");
    assert_non_null(weft_moments_of(&s.opt, 0).m);
    assert_null(weft_moments_of(&s.opt, 1).m);
    assert_non_null(weft_moments_of(&s.opt, 2).m);
    tear_down(&s);
}

static void test_values_without_a_finite_gradient_stay(void **state)
{
    struct setup s;
    set_up(&s, 1);
    struct weft_param *p = add(&s, "w", 16, 300, true);
    begin(&s, "adamw_8bit");
    fill(p->grad, 16 * 300, 3, 1);
    s.opt.kind->step(&s.opt, &s.compute, 0.01, 1);
    float before = p->w[700];
    p->grad[700] = NAN;
    s.opt.kind->step(&s.opt, &s.compute, 0.01, 1);
    assert_true(p->w[700] == before && p->w[701] != 0);
    struct weft_moments q = weft_moments_of(&s.opt, 0);
    assert_int_equal(q.qm[700], 127);
    assert_int_equal(q.qv[700], 0);
    assert_true(isfinite(q.am[2]));
    tear_down(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables_have_the_checked_values),
        cmocka_unit_test(test_tables_are_those_of_bitsandbytes_and_codes_the_nearest),
        cmocka_unit_test(test_a_value_halfway_takes_the_lower_code),
        cmocka_unit_test(test_q6_decay_follows_the_8bit_step),
        cmocka_unit_test(test_clean_decay_comes_before_the_8bit_step),
        cmocka_unit_test(test_small_tensors_and_tables_keep_f32),
        cmocka_unit_test(test_values_without_a_finite_gradient_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
