/* The hand-written matchers against the general engine with the same pattern, on strings made of what
 * patterns turn on. */
#include "base/rng.h"
#include "tokens/pattern.h"
#include "tokens/regex.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const char *const pool[] = {
    "a",          "b",          "S",          "T",      "ll",         "RE",     "'",      "'s",     "'T",
    "'\xC5\xBF",  "'re",        " ",          "  ",     "\n",         "\r",     "\r\n",   "\t",     "\u00A0",
    "\u3000",     "\xC2\x85",   "1",          "2",      "34",         "\uFF16", "\u2167", "\u00BD", ".",
    ",",          "!",          "/",          "//",     "-",          "_",      "\u3002", "\uFF0C", "\u201C",
    "+",          "\u20AC",     "\u4E2D",     "\u9FA5", "\u9FA6",     "\u3042", "\u30FC", "\u00E9", "\u0301",
    "\u0903",     "\u01C5",     "\u02B0",     "\u00DF", "\u0130",     "\x01",   "\x7F",   "\u200B", "\uE000",
    "\U0001F600", "\U00020000", "\U00031350", "\u0897", "\U00010D50", "\u0915", "\uFFFD"
};

/* Ends of the engine's pieces: matches, and the gaps between them. */
static size_t engine_pieces(const struct weft_regex *r, struct weft_regex_scratch *scratch,
                            struct weft_str text, size_t *ends)
{
    struct weft_regex_walk walk = { 0, SIZE_MAX };
    size_t n = 0, at = 0, begin, end;
    bool found;
    for (;;) {
        assert_int_equal(weft_regex_next(r, scratch, text, &walk, &found, &begin, &end, NULL), WEFT_OK);
        if (!found) break;
        if (begin > at) ends[n++] = begin;
        if (end > begin) ends[n++] = end;
        at = end;
    }
    if (at < text.len) ends[n++] = text.len;
    return n;
}

static void check_pattern(const struct weft_unicode *u, const char *text)
{
    const struct weft_pattern *p = weft_pattern_by_text(weft_str_c(text));
    struct weft_regex *r = NULL;
    struct weft_regex_scratch scratch = { 0 };
    struct weft_rng rng;
    struct weft_err err = { 0 };
    assert_non_null(p);
    if (weft_regex_new(&r, "test", weft_str_c(text), &err)) fail_msg("%s", err.msg);
    weft_rng_init(&rng, 21, WEFT_RNG_TEST, 0);
    for (int round = 0; round < 20000; round++) {
        char buf[400];
        size_t ends[400], len = 0, n = 1 + weft_rng_below(&rng, 12),
                          kinds = round % 4 ? WEFT_COUNT(pool) : 12;
        size_t skip =
            weft_rng_below(&rng, WEFT_COUNT(pool) - kinds + 1); /* a few kinds at a time meet more often */
        for (size_t i = 0; i < n; i++) {
            const char *s = pool[skip + weft_rng_below(&rng, kinds)];
            memcpy(buf + len, s, strlen(s));
            len += strlen(s);
        }
        size_t want = engine_pieces(r, &scratch, (struct weft_str){ buf, len }, ends), at = 0;
        for (size_t i = 0; i < want; i++) {
            size_t end = p->next(u, (const unsigned char *)buf, len, at);
            if (end != ends[i])
                fail_msg("%s: \"%.*s\": a piece from byte %zu ends at %zu; the engine says %zu", p->name,
                         (int)len, buf, at, end, ends[i]);
            at = end;
        }
        assert_int_equal(at, len);
    }
    weft_regex_scratch_clear(&scratch);
    weft_regex_free(r);
}

static void test_matchers_give_the_engines_pieces(void **state)
{
    static const char *const names[] = { "gpt2", "qwen2", "llama3", "tekken", "o200k" };
    struct weft_unicode *u = NULL;
    assert_int_equal(weft_unicode_new(&u, NULL), WEFT_OK);
    for (size_t i = 0; i < WEFT_COUNT(names); i++) check_pattern(u, weft_pattern_by_name(names[i])->text);
    check_pattern(u, "\\p{N}{1,3}");
    check_pattern(u, "[一-龥぀-ゟ゠-ヿ]+");
    check_pattern(
        u,
        "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|"
        "\\s+(?!\\S)|\\s+");
    weft_unicode_free(u);
}

static void test_classes_of_some_characters(void **state)
{
    static const struct {
        uint32_t cp;
        unsigned want, mask;
    } some[] = { { 'a', WEFT_UNI_LETTER | WEFT_UNI_LOWER | WEFT_UNI_WORD, 0x3FF },
                 { 0x4E2D, WEFT_UNI_LETTER | WEFT_UNI_WORD, 0x3FF },
                 { 0x31350, WEFT_UNI_LETTER | WEFT_UNI_WORD, 0x3FF },
                 { 0x3000, WEFT_UNI_SPACE, 0x3FF },
                 { 0x85, WEFT_UNI_SPACE, 0x3FF },
                 { 0xFF16, WEFT_UNI_NUMBER | WEFT_UNI_DIGIT | WEFT_UNI_WORD, 0x3FF },
                 { 0x2167, WEFT_UNI_NUMBER | WEFT_UNI_WORD, 0x3FF },
                 { 0x301, WEFT_UNI_MARK | WEFT_UNI_WORD | WEFT_UNI_COMPOSES, 0x7FF },
                 { 0x200D, WEFT_UNI_WORD, 0x3FF },
                 { 0x1F600, WEFT_UNI_SYMBOL, 0x3FF },
                 { 0xFFFD, WEFT_UNI_SYMBOL, 0x3FF },
                 { 0xE000, 0, 0x3FF },
                 { 0x10FFFF, 0, 0x3FF },
                 { 0xF900, WEFT_UNI_COMPOSES, WEFT_UNI_COMPOSES } };
    struct weft_unicode *u = NULL;
    assert_int_equal(weft_unicode_new(&u, NULL), WEFT_OK);
    for (size_t i = 0; i < WEFT_COUNT(some); i++)
        if ((weft_unicode_class(u, some[i].cp) & some[i].mask) != some[i].want)
            fail_msg("U+%04X has the class %x", (unsigned)some[i].cp, weft_unicode_class(u, some[i].cp));
    weft_unicode_free(u);
}

static void normalizes(const struct weft_unicode *u, enum weft_normal_form form, const char *from,
                       const char *to)
{
    struct weft_buf out = { 0 };
    assert_int_equal(weft_unicode_normalize(u, form, weft_str_c(from), &out, NULL), WEFT_OK);
    if (!weft_str_is(weft_buf_view(&out), to))
        fail_msg("\"%s\" became \"%.*s\"; expected \"%s\"", from, (int)out.len, out.s, to);
    weft_buf_clear(&out);
}

static void test_normal_forms(void **state)
{
    struct weft_unicode *u = NULL;
    assert_int_equal(weft_unicode_new(&u, NULL), WEFT_OK);
    normalizes(u, WEFT_NFC, "e\u0301 中\u1112\u1161\u11AB\uFA0E\uF900", "\u00E9 中\uD55C\uFA0E\u8C48");
    normalizes(u, WEFT_NFC, "a\u0301\u0327",
               "\u00E1\u0327"); /* the cedilla is ordered first, and does not block */
    normalizes(u, WEFT_NFD, "\u00E9\uD55C", "e\u0301\u1112\u1161\u11AB");
    normalizes(u, WEFT_NFKC, "\uFB01\uFF76\uFF9E\u2460", "fi\u30AC1");
    normalizes(u, WEFT_NFKD, "\u00BD\u00C5", "1\u20442A\u030A");
    weft_unicode_free(u);
}

static void test_a_long_run_of_marks_is_ordered_in_linear_time(void **state)
{
    struct weft_unicode *u = NULL;
    struct weft_buf text = { 0 }, out = { 0 };
    assert_int_equal(weft_unicode_new(&u, NULL), WEFT_OK);
    weft_buf_char(&text, 'a');
    for (int i = 0; i < 200000; i++) weft_buf_utf8(&text, i % 2 ? 0x301 : 0x327);
    assert_int_equal(weft_unicode_normalize(u, WEFT_NFC, weft_buf_view(&text), &out, NULL), WEFT_OK);
    uint32_t second;
    weft_utf8_decode(out.s, out.len, &second, NULL);
    assert_int_equal(second, 0xE1); /* a with an acute, past all cedillas */
    assert_int_equal(weft_utf8_chars(weft_buf_view(&out)), 200000);
    weft_buf_clear(&text);
    weft_buf_clear(&out);
    weft_unicode_free(u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matchers_give_the_engines_pieces),
        cmocka_unit_test(test_classes_of_some_characters),
        cmocka_unit_test(test_normal_forms),
        cmocka_unit_test(test_a_long_run_of_marks_is_ordered_in_linear_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
