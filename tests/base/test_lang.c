#include "base/lang.h"
#include "check.h"

/* The next printf conversion of s: its characters in out, without flags and width; false at the end. */
static bool next_conversion(const char **s, char out[16])
{
    const char *p = *s;
    for (;; p += 2) {
        p = strchr(p, '%');
        if (!p) return false;
        if (p[1] != '%') break;
    }
    p++;
    size_t n = 0;
    p += strspn(p, "-+ #0123456789.");
    while (*p && strchr("hljztL*", *p) && n < 14) out[n++] = *p++;
    if (*p) out[n++] = *p++;
    out[n] = '\0';
    *s = p;
    return true;
}

static void test_translations_keep_the_conversions(void **state)
{
    size_t n;
    const struct weft_message *m = weft_messages(&n);
    assert_true(n > 50);
    for (size_t i = 0; i < n; i++) {
        const char *en = m[i].en, *zh = m[i].zh;
        char a[16], b[16];
        bool more_en, more_zh;
        do {
            more_en = next_conversion(&en, a);
            more_zh = next_conversion(&zh, b);
            if (more_en != more_zh || (more_en && strcmp(a, b) != 0))
                fail_msg("conversions differ: \"%s\" and \"%s\"", m[i].en, m[i].zh);
        } while (more_en);
        if (!*m[i].zh) fail_msg("no translation of \"%s\"", m[i].en);
        if (weft_utf8_check(weft_str_c(m[i].zh)) != strlen(m[i].zh)) fail_msg("not UTF-8: \"%s\"", m[i].zh);
        /* A message is one line; a final newline must be on both sides or on neither. */
        bool line_en = weft_str_ends(weft_str_c(m[i].en), WEFT_STR("\n")),
             line_zh = weft_str_ends(weft_str_c(m[i].zh), WEFT_STR("\n"));
        if (line_en != line_zh) fail_msg("final newlines differ: \"%s\"", m[i].en);
    }
}

static void test_no_key_comes_twice_with_two_meanings(void **state)
{
    size_t n;
    const struct weft_message *m = weft_messages(&n);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < i; k++)
            if (strcmp(m[i].en, m[k].en) == 0 && strcmp(m[i].zh, m[k].zh) != 0)
                fail_msg("\"%s\" has two translations, \"%s\" and \"%s\"", m[i].en, m[k].zh, m[i].zh);
}

static void test_messages_come_in_the_callers_language(void **state)
{
    struct weft_err err = { .lang = WEFT_LANG_ZH };
    assert_int_equal(weft_fail_nomem(&err, 42, "a path"), WEFT_ENOMEM);
    assert_string_equal(err.msg, "内存不足：需要 42 字节，用于路径");
    weft_err_clear(&err);
    assert_int_equal(err.lang, WEFT_LANG_ZH);
    weft_fail(&err, WEFT_EARG, "%d words nobody has translated", 3);
    assert_string_equal(err.msg, "3 words nobody has translated");
    assert_string_equal(weft_tr(WEFT_LANG_EN, "open"), "open");
}

static void test_first_report_wins(void **state)
{
    struct weft_err err = { 0 };
    assert_int_equal(weft_fail_rule(&err, WEFT_EINPUT, "JS4", "near the fault"), WEFT_EINPUT);
    assert_int_equal(weft_fail(&err, WEFT_ESYSTEM, "further up"), WEFT_ESYSTEM);
    assert_string_equal(err.msg, "near the fault");
    assert_string_equal(err.rule, "JS4");
    assert_int_equal(err.status, WEFT_EINPUT);
    assert_int_equal(weft_fail(NULL, WEFT_ELIMIT, "nobody listens"), WEFT_ELIMIT);
}

static void test_long_messages_are_cut_between_characters(void **state)
{
    struct weft_err err = { 0 };
    char long_name[2 * WEFT_ERR_BYTES];
    for (size_t shift = 0; shift < 3; shift++) {
        memset(long_name, 'a', shift);
        for (size_t i = shift; i + 3 < sizeof long_name; i += 3) memcpy(long_name + i, "中", 4);
        weft_err_clear(&err);
        weft_fail(&err, WEFT_EINPUT, "%s", long_name);
        assert_true(strlen(err.msg) > WEFT_ERR_BYTES - 5);
        assert_int_equal(weft_utf8_check(weft_str_c(err.msg)), strlen(err.msg));
    }
}

static void test_exit_codes(void **state)
{
    static const int want[] = {
        [WEFT_OK] = 0,      [WEFT_EARG] = 2,   [WEFT_EINPUT] = 3,  [WEFT_ELIMIT] = 3,  [WEFT_EPARTIAL] = 4,
        [WEFT_ESYSTEM] = 5, [WEFT_ENOMEM] = 5, [WEFT_EDEVICE] = 5, [WEFT_EREMOTE] = 6, [WEFT_ECANCEL] = 130
    };
    for (size_t i = 0; i < WEFT_COUNT(want); i++)
        assert_int_equal(weft_exit_code((enum weft_status)i), want[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_translations_keep_the_conversions),
        cmocka_unit_test(test_no_key_comes_twice_with_two_meanings),
        cmocka_unit_test(test_messages_come_in_the_callers_language),
        cmocka_unit_test(test_first_report_wins),
        cmocka_unit_test(test_long_messages_are_cut_between_characters),
        cmocka_unit_test(test_exit_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
