/* Ids and decoded text of each family, as the `tokenizers` package gives them (tests/parity/tokens.py
 * fixtures). */
#include "base/file.h"
#include "base/json.h"
#include "tokens/tokenizer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define DATA WEFT_SOURCE_DIR "/tests/tokens/data"

static struct weft_str unhex(struct weft_arena *a, struct weft_str hex)
{
    char *s = weft_arena_alloc(a, hex.len / 2 + 1);
    assert_non_null(s);
    for (size_t i = 0; i < hex.len / 2; i++) {
        char two[3] = { hex.s[2 * i], hex.s[2 * i + 1], '\0' };
        s[i] = (char)strtol(two, NULL, 16);
    }
    return (struct weft_str){ s, hex.len / 2 };
}

static void same_ids(const char *family, uint64_t line, const struct weft_ids *got,
                     const struct weft_json_value *add, const struct weft_json_value *ids)
{
    size_t n_add = add ? add->n : 0;
    if (got->n != n_add + ids->n)
        fail_msg("%s:%llu: %zu ids; expected %zu", family, (unsigned long long)line, got->n, n_add + ids->n);
    for (size_t i = 0; i < got->n; i++) {
        int64_t want = i < n_add ? add->items[i].integer : ids->items[i - n_add].integer;
        if (got->ids[i] != want)
            fail_msg("%s:%llu: id %zu is %d; expected %lld", family, (unsigned long long)line, i, got->ids[i],
                     (long long)want);
    }
}

static void check_row(const char *family, uint64_t line, struct weft_arena *a, const struct weft_tokenizer *t,
                      struct weft_encoder *e, struct weft_str row)
{
    struct weft_json_value v;
    struct weft_err err = { 0 };
    struct weft_ids got = { 0 };
    struct weft_buf back = { 0 }, streamed = { 0 };
    struct weft_detok d;
    if (weft_json_parse(a, family, row, &v, &err)) fail_msg("%s", err.msg);
    const struct weft_json_value *ids = weft_json_get(&v, "ids"), *add = weft_json_get(&v, "add"),
                                 *text = weft_json_get(&v, "text");
    struct weft_str bytes = unhex(a, weft_json_get(&v, "bytes")->text);

    if (weft_encode(e, bytes, WEFT_ENCODE_SPECIALS | WEFT_ENCODE_ADD, &got, &err)) fail_msg("%s", err.msg);
    same_ids(family, line, &got, add, ids);
    got.n = 0;
    if (weft_encode(e, bytes, WEFT_ENCODE_SPECIALS | WEFT_ENCODE_OFFSETS, &got, &err))
        fail_msg("%s", err.msg);
    same_ids(family, line, &got, NULL, ids);
    for (size_t i = 0; i < got.n; i++) assert_true(got.begin[i] <= bytes.len);

    assert_int_equal(weft_decode(t, got.ids, got.n, false, &back, &err), WEFT_OK);
    weft_detok_init(&d, t, false);
    for (size_t i = 0; i < got.n; i++) weft_detok_push(&d, got.ids[i], &streamed);
    weft_detok_finish(&d, &streamed);
    assert_true(weft_str_eq(weft_buf_view(&back), weft_buf_view(&streamed)));
    /* Without "text" the reference gives the text back, bad bytes as U+FFFD. */
    struct weft_buf valid = { 0 };
    for (size_t i = 0; !text && i < bytes.len;) {
        uint32_t cp;
        i += weft_utf8_decode(bytes.s + i, bytes.len - i, &cp, NULL);
        weft_buf_utf8(&valid, cp);
    }
    struct weft_str want = text ? text->text : weft_buf_view(&valid);
    if (!weft_str_eq(weft_buf_view(&back), want))
        fail_msg("%s:%llu: decoded \"%.*s\"; expected \"%.*s\"", family, (unsigned long long)line,
                 (int)back.len, back.s ? back.s : "", (int)want.len, want.s);
    weft_buf_clear(&valid);
    weft_buf_clear(&back);
    weft_buf_clear(&streamed);
    weft_ids_clear(&got);
}

static void check_family(const char *family)
{
    struct weft_arena a = { 0 };
    struct weft_tokenizer *t = NULL;
    struct weft_encoder *e = NULL;
    struct weft_err err = { 0 };
    struct weft_lines rows = { 0 };
    struct weft_str row, path = weft_str_printf(&a, DATA "/%s.json", family),
                         golden = weft_str_printf(&a, DATA "/%s.golden.jsonl", family);
    size_t n = 0;
    if (weft_tokenizer_load(&t, path.s, &err) || weft_encoder_new(&e, t, &err)
        || weft_file_read(&a, golden.s, 0, &rows.text, &err))
        fail_msg("%s", err.msg);
    for (; weft_lines_next(&rows, &row); n++) check_row(family, rows.line, &a, t, e, row);
    assert_true(n >= 200);
    weft_encoder_free(e);
    weft_tokenizer_free(t);
    weft_arena_clear(&a);
}

#define FAMILY(name)                                                                                         \
    static void test_##name##_as_the_reference(void **state) { check_family(#name); }

FAMILY(qwen2)
FAMILY(llama3)
FAMILY(gpt2)
FAMILY(llama2)
FAMILY(metaspace_first)
FAMILY(metaspace_split)
FAMILY(gemma)
FAMILY(unknowns)
FAMILY(tekken)
FAMILY(o200k)
FAMILY(deepseek)
FAMILY(odd1)
FAMILY(odd2)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_qwen2_as_the_reference),
        cmocka_unit_test(test_llama3_as_the_reference),
        cmocka_unit_test(test_gpt2_as_the_reference),
        cmocka_unit_test(test_llama2_as_the_reference),
        cmocka_unit_test(test_metaspace_first_as_the_reference),
        cmocka_unit_test(test_metaspace_split_as_the_reference),
        cmocka_unit_test(test_gemma_as_the_reference),
        cmocka_unit_test(test_unknowns_as_the_reference),
        cmocka_unit_test(test_tekken_as_the_reference),
        cmocka_unit_test(test_o200k_as_the_reference),
        cmocka_unit_test(test_deepseek_as_the_reference),
        cmocka_unit_test(test_odd1_as_the_reference),
        cmocka_unit_test(test_odd2_as_the_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
