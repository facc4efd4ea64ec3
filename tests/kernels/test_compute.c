#include "kernels/levels.h"

static void test_ref_is_always_there(void **state)
{
    assert_true(weft_isa_supported() & 1u << WEFT_ISA_REF);
    struct weft_compute c;
    struct weft_err err = { 0 };
    assert_int_equal(weft_compute_init(&c, "ref", NULL, &err), WEFT_OK);
    assert_int_equal(c.isa, WEFT_ISA_REF);
    assert_string_equal(c.k->isa, "ref");
    weft_compute_clear(&c);
    weft_compute_clear(&c);
}

static void test_auto_chooses_a_supported_level(void **state)
{
    static const char *const names[] = { NULL, "auto" };
    for (size_t i = 0; i < 2; i++) {
        struct weft_compute c;
        assert_int_equal(weft_compute_init(&c, names[i], NULL, NULL), WEFT_OK);
        assert_true(weft_isa_supported() >> c.isa & 1);
        weft_compute_clear(&c);
    }
}

static void test_unknown_level_is_named_with_the_choices(void **state)
{
    struct weft_compute c;
    struct weft_err err = { 0 };
    assert_int_equal(weft_compute_init(&c, "sse9", NULL, &err), WEFT_EARG);
    assert_non_null(strstr(err.msg, "sse9"));
    assert_non_null(strstr(err.msg, "avx512bf16"));
    err = (struct weft_err){ .lang = WEFT_LANG_ZH };
    assert_int_equal(weft_compute_init(&c, "sse9", NULL, &err), WEFT_EARG);
    assert_non_null(strstr(err.msg, "内核级别"));
    weft_compute_clear(&c);
}

static void test_missing_level_is_a_device_error(void **state)
{
    unsigned set = weft_isa_supported();
    for (int i = 0; i < WEFT_N_ISA; i++) {
        struct weft_compute c;
        struct weft_err err = { 0 };
        enum weft_status st = weft_compute_init(&c, weft_isa_name((enum weft_isa)i), NULL, &err);
        assert_int_equal(st, set >> i & 1 ? WEFT_OK : WEFT_EDEVICE);
        if (!st) assert_string_equal(c.k->isa, weft_isa_name((enum weft_isa)i));
        weft_compute_clear(&c);
    }
}

static void test_table_has_no_empty_slot(void **state)
{
    for (int i = 0; i < WEFT_N_ISA; i++) {
        if (!(weft_isa_supported() >> i & 1)) continue;
        struct weft_kernels k;
        weft_kernels_init(&k, (enum weft_isa)i);
        void *slot[sizeof k / sizeof(void *)];
        memcpy(slot, &k, sizeof k);
        for (size_t s = 0; s < sizeof k / sizeof(void *); s++) {
            bool product = s == offsetof(struct weft_kernels, gemm) / sizeof(void *) ||
                           s == offsetof(struct weft_kernels, gemm_exact) / sizeof(void *);
            bool int8 = s == offsetof(struct weft_kernels, int8) / sizeof(void *);
            if (i == WEFT_ISA_AVX512BF16 || !(int8 || (product && i == WEFT_ISA_REF))) assert_non_null(slot[s]);
        }
    }
}

static void test_scratch_grows_and_rests(void **state)
{
    struct weft_compute c;
    assert_int_equal(weft_compute_init(&c, "ref", NULL, NULL), WEFT_OK);
    assert_true(weft_compute_need_scratch(&c, 1000));
    assert_true(c.scratch_bytes >= 1000);
    assert_true(weft_compute_need_shared(&c, 100000));
    size_t held = c.arena.held_bytes;
    void *scratch = c.scratch[0], *shared = c.shared;
    assert_true(weft_compute_need_scratch(&c, 1000) && weft_compute_need_shared(&c, 99999));
    assert_ptr_equal(c.scratch[0], scratch);
    assert_ptr_equal(c.shared, shared);
    assert_int_equal(c.arena.held_bytes, held);
    c.arena.max_bytes = held;
    assert_false(weft_compute_need_shared(&c, 1 << 20));
    assert_false(weft_compute_need_scratch(&c, SIZE_MAX - 5));
    assert_ptr_equal(c.shared, shared);
    weft_compute_clear(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ref_is_always_there),
        cmocka_unit_test(test_auto_chooses_a_supported_level),
        cmocka_unit_test(test_unknown_level_is_named_with_the_choices),
        cmocka_unit_test(test_missing_level_is_a_device_error),
        cmocka_unit_test(test_table_has_no_empty_slot),
        cmocka_unit_test(test_scratch_grows_and_rests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
