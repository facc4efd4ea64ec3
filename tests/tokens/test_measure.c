/* tokens/measure: the text it measures on is text, the same at every call, and whoever counts counts all of it. */
#include "tokens/measure.h"
#include "check.h"

static void test_the_made_text_is_utf8_and_the_same_each_time(void **state)
{
    struct weft_err err = { 0 };
    struct weft_tokenizer *t = NULL;
    struct weft_buf a = { 0 }, b = { 0 };
    check_ok(weft_tokenizer_load(&t, WEFT_SOURCE_DIR "/models/tiny", &err), &err);
    check_ok(weft_measure_tokens_text(t, 20000, &a, &err), &err);
    check_ok(weft_measure_tokens_text(t, 20000, &b, &err), &err);
    assert_true(a.len >= 20000 && a.len < 30000);
    assert_int_equal(weft_utf8_check(weft_buf_view(&a)), a.len);
    assert_true(weft_str_eq(weft_buf_view(&a), weft_buf_view(&b)));
    assert_true(weft_str_find(weft_buf_view(&a), WEFT_STR("\xEF\xBF\xBD"), 0) == SIZE_MAX);
    weft_buf_clear(&a);
    weft_buf_clear(&b);
    weft_tokenizer_free(t);
}

static void test_every_byte_and_token_is_counted(void **state)
{
    struct weft_err err = { 0 };
    struct weft_tokenizer *t = NULL;
    struct weft_measured_tokens got;
    const struct weft_str texts[] = { WEFT_STR("老身姓何"), WEFT_STR(""), WEFT_STR("ab") };
    const struct weft_str bad[] = { WEFT_STR("ab\xff") };
    check_ok(weft_tokenizer_load(&t, WEFT_SOURCE_DIR "/models/tiny", &err), &err);
    check_ok(weft_measure_tokens(t, texts, WEFT_COUNT(texts), 2, &got, &err), &err);
    assert_int_equal(got.n_bytes, 14);
    struct weft_encoder *e = NULL;
    struct weft_ids ids = { 0 };
    check_ok(weft_encoder_new(&e, t, &err), &err);
    for (size_t i = 0; i < WEFT_COUNT(texts); i++)
        check_ok(weft_encode(e, texts[i], WEFT_ENCODE_SPECIALS, &ids, &err), &err);
    assert_int_equal(got.n_tokens, ids.n);
    assert_true(got.bytes_per_s > 0 && got.check_bytes_per_s > 0);
    assert_int_equal(weft_measure_tokens(t, bad, 1, 1, &got, &err), WEFT_EINPUT);
    weft_ids_clear(&ids);
    weft_encoder_free(e);
    weft_tokenizer_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_made_text_is_utf8_and_the_same_each_time),
        cmocka_unit_test(test_every_byte_and_token_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
