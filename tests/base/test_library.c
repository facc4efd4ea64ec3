/* base/library: a library is found, a missing one and a missing symbol are named with what to install. */
#include "base/library.h"
#include "base/str.h"
#include "check.h"

static void test_symbols_are_filled(void **state)
{
    struct weft_err err = { 0 };
    void *handle = NULL;
    double (*cosine)(double) = NULL;
    const struct weft_symbol symbols[] = { { "cos", (void **)&cosine } };
    assert_int_equal(weft_library_open(&handle, "libm.so.6", "libc6", symbols, 1, &err), WEFT_OK);
    assert_non_null(cosine);
    assert_true(cosine(0.0) == 1.0);
    weft_library_close(handle);
}

static void test_a_missing_library_names_its_package(void **state)
{
    struct weft_err err = { 0 };
    void *handle = &err;
    assert_int_equal(weft_library_open(&handle, "libnothere.so.9", "libnothere9", NULL, 0, &err), WEFT_ESYSTEM);
    assert_null(handle);
    assert_non_null(strstr(err.msg, "libnothere.so.9"));
    assert_non_null(strstr(err.msg, "libnothere9"));
}

static void test_a_missing_symbol_fills_no_slot(void **state)
{
    struct weft_err err = { .lang = WEFT_LANG_ZH };
    void *handle = NULL, *cosine = NULL, *other = NULL;
    const struct weft_symbol symbols[] = { { "cos", &cosine }, { "weft_is_not_in_libm", &other } };
    assert_int_equal(weft_library_open(&handle, "libm.so.6", "libc6", symbols, 2, &err), WEFT_ESYSTEM);
    assert_null(handle);
    assert_null(cosine);
    assert_non_null(strstr(err.msg, "weft_is_not_in_libm"));
    assert_non_null(strstr(err.msg, "请安装"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_symbols_are_filled),
        cmocka_unit_test(test_a_missing_library_names_its_package),
        cmocka_unit_test(test_a_missing_symbol_fills_no_slot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
