/* The whole pipeline, on the vocabulary of tiny. */
#include "check.h"
#include "base/rng.h"
#include "tokens/tokenizer.h"

struct fixture {
    struct weft_tokenizer *t;
    struct weft_encoder *e;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct weft_err err = { 0 };
    if (weft_tokenizer_load(&f->t, WEFT_SOURCE_DIR "/models/tiny", &err)
        || weft_encoder_new(&f->e, f->t, &err)) {
        print_error("%s\n", err.msg);
        return -1;
    }
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    weft_encoder_free(f->e);
    weft_tokenizer_free(f->t);
    free(f);
    return 0;
}

static struct weft_ids encode(const struct fixture *f, struct weft_str text, unsigned flags)
{
    struct weft_ids ids = { 0 };
    struct weft_err err = { 0 };
    if (weft_encode(f->e, text, flags, &ids, &err)) fail_msg("%s", err.msg);
    return ids;
}

static void test_special_tokens_are_text_unless_asked_for(void **state)
{
    const struct fixture *f = *state;
    struct weft_str text = WEFT_STR("<|im_start|>user\n你好<|im_end|>");
    struct weft_ids with = encode(f, text, WEFT_ENCODE_SPECIALS), plain = encode(f, text, WEFT_ENCODE_PLAIN);
    assert_int_equal(with.ids[0], 8190);
    assert_int_equal(with.ids[with.n - 1], 8191);
    assert_int_equal(with.n, 5);
    for (size_t i = 0; i < plain.n; i++) assert_true(plain.ids[i] < 8189);
    weft_ids_clear(&with);
    weft_ids_clear(&plain);
}

static void test_config_names_the_special_tokens_and_the_template(void **state)
{
    const struct fixture *f = *state;
    assert_int_equal(weft_tokenizer_vocab_size(f->t), 8192);
    assert_int_equal(weft_tokenizer_special(f->t, WEFT_EOS), 8191);
    assert_int_equal(weft_tokenizer_special(f->t, WEFT_PAD), 8189);
    assert_int_equal(weft_tokenizer_special(f->t, WEFT_BOS), -1);
    assert_true(weft_tokenizer_is_special(f->t, 8190));
    assert_false(weft_tokenizer_is_special(f->t, 100));
    assert_true(weft_str_find(weft_tokenizer_chat_template(f->t), WEFT_STR("<|im_start|>"), 0) != SIZE_MAX);
    assert_int_equal(weft_tokenizer_id(f->t, WEFT_STR("<|endoftext|>")), 8189);
    assert_true(weft_str_is(weft_tokenizer_content(f->t, 8189), "<|endoftext|>"));
    assert_null(weft_tokenizer_content(f->t, 8192).s);
    assert_null(weft_tokenizer_content(f->t, -1).s);
}

static void test_offsets_name_each_tokens_first_byte(void **state)
{
    const struct fixture *f = *state;
    struct weft_str text = WEFT_STR("话说<|im_end|>e\xCC\x81 \xFFok 天下大势");
    struct weft_ids ids = encode(f, text, WEFT_ENCODE_SPECIALS | WEFT_ENCODE_OFFSETS);
    for (size_t i = 0; i < ids.n; i++) {
        assert_true(ids.begin[i] < text.len);
        if (i) assert_true(ids.begin[i] >= ids.begin[i - 1]);
        if (ids.ids[i] == 8191) assert_int_equal(ids.begin[i], 6);
    }
    assert_int_equal(ids.begin[0], 0);
    weft_ids_clear(&ids);
}

/* Text of every kind, valid and not. */
static struct weft_str random_text(struct weft_rng *rng, char *buf, size_t max)
{
    static const char *const parts[] = { "却说",
                                         "，",
                                         "。”\n",
                                         "<|im_start|>",
                                         "hello",
                                         " world",
                                         "'s",
                                         "123",
                                         "  ",
                                         "\r\n",
                                         "\xF0\x9F\x91\xA9\xE2\x80\x8D",
                                         "e\xCC\x81",
                                         "\xE4\xBD",
                                         "\xFF",
                                         "\xC0\x80",
                                         "\xED\xA0\x80",
                                         "",
                                         "_",
                                         "<0x41>",
                                         "\xE1\x84\x92\xE1\x85\xA1" };
    size_t len = 0, n = weft_rng_below(rng, 12);
    for (size_t i = 0; i < n; i++) {
        struct weft_str p = weft_str_c(parts[weft_rng_below(rng, WEFT_COUNT(parts))]);
        if (len + p.len > max) break;
        memcpy(buf + len, p.s, p.len);
        len += p.len;
    }
    return (struct weft_str){ buf, len };
}

static void test_streaming_gives_what_decoding_at_once_gives(void **state)
{
    const struct fixture *f = *state;
    struct weft_rng rng;
    weft_rng_init(&rng, 3, WEFT_RNG_TEST, 0);
    for (int round = 0; round < 2000; round++) {
        int32_t ids[20];
        size_t n = weft_rng_below(&rng, 20);
        for (size_t i = 0; i < n; i++) ids[i] = (int32_t)weft_rng_below(&rng, round % 2 ? 300 : 8300);
        struct weft_buf whole = { 0 }, pieces = { 0 };
        struct weft_err err = { 0 };
        if (weft_decode(f->t, ids, n, round % 3 == 0, &whole, &err)) fail_msg("%s", err.msg);
        struct weft_detok d;
        weft_detok_init(&d, f->t, round % 3 == 0);
        for (size_t i = 0; i < n; i++) {
            weft_detok_push(&d, ids[i], &pieces);
            assert_int_equal(weft_utf8_check(weft_buf_view(&pieces)), pieces.len);
            assert_true(d.n_held <= 3);
        }
        weft_detok_finish(&d, &pieces);
        assert_int_equal(whole.len, pieces.len);
        if (whole.len) assert_memory_equal(whole.s, pieces.s, whole.len);
        weft_buf_clear(&whole);
        weft_buf_clear(&pieces);
    }
}

static void test_decoding_gives_the_text_back(void **state)
{
    const struct fixture *f = *state;
    struct weft_rng rng;
    weft_rng_init(&rng, 4, WEFT_RNG_TEST, 0);
    for (int round = 0; round < 3000; round++) {
        char buf[256];
        struct weft_str text = random_text(&rng, buf, sizeof buf);
        if (weft_utf8_check(text) < text.len || weft_str_find(text, WEFT_STR("\xCC\x81"), 0) != SIZE_MAX
            || weft_str_find(text, WEFT_STR("\xE1\x84"), 0) != SIZE_MAX)
            continue; /* NFC or U+FFFD changes it */
        struct weft_ids ids = encode(f, text, round % 2 ? WEFT_ENCODE_SPECIALS : WEFT_ENCODE_PLAIN);
        struct weft_buf back = { 0 };
        assert_int_equal(weft_decode(f->t, ids.ids, ids.n, false, &back, NULL), WEFT_OK);
        assert_true(weft_str_eq(text, weft_buf_view(&back)));
        weft_buf_clear(&back);
        weft_ids_clear(&ids);
    }
}

static void test_bad_utf8_is_encoded_as_replacement_characters(void **state)
{
    const struct fixture *f = *state;
    struct weft_ids bad = encode(f,
                                 WEFT_STR("a\xFF"
                                          "b\xE4\xBD"),
                                 0),
                    good = encode(f, WEFT_STR("a\uFFFDb\uFFFD"), 0);
    assert_int_equal(bad.n, good.n);
    assert_memory_equal(bad.ids, good.ids, bad.n * sizeof *bad.ids);
    weft_ids_clear(&bad);
    weft_ids_clear(&good);
}

/* The reference's two steps have older tables than ours, and not the same: U+07FD and U+08CB are marks to neither,
 * U+1CF2 to one of them. */
static void test_marks_are_those_of_the_reference(void **state)
{
    static const char *const steps[] = { "{\"type\":\"StripAccents\"}",
                                         "{\"type\":\"BertNormalizer\",\"clean_text\":false,\"handle_chinese_chars\":false,"
                                         "\"strip_accents\":true,\"lowercase\":false}" };
    static const int32_t want[2][8] = { { 0, 1, 2, 0, -1 }, { 0, 1, 2, 0, 4, -1 } };
    for (size_t k = 0; k < 2; k++) {
        struct weft_err err = { 0 };
        struct weft_tokenizer *t = NULL;
        struct weft_encoder *e = NULL;
        struct weft_ids ids = { 0 };
        struct weft_buf json = { 0 };
        weft_buf_printf(&json,
                        "{\"version\":\"1.0\",\"added_tokens\":[],\"normalizer\":%s,\"pre_tokenizer\":null,"
                        "\"post_processor\":null,\"decoder\":null,\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,"
                        "\"\u07FD\":1,\"\u08CB\":2,\"\u0301\":3,\"\u1CF2\":4,\"\u1734\":5},\"merges\":[]}}",
                        steps[k]);
        check_ok(weft_tokenizer_parse(&t, "small", weft_buf_view(&json), WEFT_STR(""), &err), &err);
        check_ok(weft_encoder_new(&e, t, &err), &err);
        check_ok(weft_encode(e, WEFT_STR("a\u07FD\u08CB\u0301a\u1CF2\u1734"), WEFT_ENCODE_PLAIN, &ids, &err), &err);
        size_t n = 0;
        while (want[k][n] >= 0) n++;
        assert_int_equal(ids.n, n);
        assert_memory_equal(ids.ids, want[k], n * sizeof *ids.ids);
        weft_ids_clear(&ids);
        weft_encoder_free(e);
        weft_tokenizer_free(t);
        weft_buf_clear(&json);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_special_tokens_are_text_unless_asked_for),
        cmocka_unit_test(test_config_names_the_special_tokens_and_the_template),
        cmocka_unit_test(test_offsets_name_each_tokens_first_byte),
        cmocka_unit_test(test_streaming_gives_what_decoding_at_once_gives),
        cmocka_unit_test(test_decoding_gives_the_text_back),
        cmocka_unit_test(test_marks_are_those_of_the_reference),
        cmocka_unit_test(test_bad_utf8_is_encoded_as_replacement_characters),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
