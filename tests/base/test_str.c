#include "base/rng.h"
#include "base/utf8_parts.h"
#include "check.h"

static struct weft_str text(const char *s) { return weft_str_c(s); }

static void test_find_and_parts(void **state)
{
    struct weft_str s = text("ab,cd,");
    assert_int_equal(weft_str_find(s, text(","), 0), 2);
    assert_int_equal(weft_str_find(s, text(","), 3), 5);
    assert_true(weft_str_find(s, text("x"), 0) == SIZE_MAX);
    assert_true(weft_str_find(s, text(","), 7) == SIZE_MAX);
    assert_int_equal(weft_str_find(s, text(""), 6), 6);
    assert_true(weft_str_find((struct weft_str){ 0 }, text("x"), 0) == SIZE_MAX);
    check_str(weft_str_sub(s, 1, 3), "b,");
    check_str(weft_str_sub(s, 4, 100), "d,");
    check_str(weft_str_sub(s, 5, 2), "");
    check_str(weft_str_skip(s, 100), "");
    check_str(weft_str_skip((struct weft_str){ 0 }, 3), "");
    check_str(weft_str_trim_ascii(text(" \t\r\n a b \n")), "a b");
    check_str(weft_str_trim_ascii(text("  ")), "");
    assert_true(weft_str_starts(s, text("ab")) && !weft_str_starts(s, text("ab,cd,e")));
    assert_true(weft_str_ends(s, text("cd,")) && !weft_str_ends(s, text("xab,cd,")));
    assert_true(weft_str_eq((struct weft_str){ 0 }, text("")));
    assert_true(weft_str_cmp(text("a"), text("ab")) < 0);
    assert_true(weft_str_cmp(text("b"), text("ab")) > 0);
    assert_true(weft_str_cmp(text("\xC3"), text("a")) > 0); /* by unsigned bytes */
    assert_int_equal(weft_str_cmp(text(""), (struct weft_str){ 0 }), 0);
}

static void test_dup_and_printf(void **state)
{
    struct weft_arena a = { 0 };
    struct weft_str s = weft_str_dup(&a, weft_str_sub(text("abcdef"), 2, 4));
    assert_string_equal(s.s, "cd");
    check_str(weft_str_printf(&a, "%s-%d", "x", 42), "x-42");
    check_str(weft_str_printf(&a, "%s", ""), "");
    struct weft_arena tiny = { .max_bytes = 1 };
    assert_null(weft_str_dup(&tiny, s).s);
    assert_null(weft_str_printf(&tiny, "%d", 1).s);
    weft_arena_clear(&a);
}

/* Table 3-8 of Unicode 15: how many bytes each maximal bad part has. */
static void test_utf8_bad_parts_are_maximal(void **state)
{
    static const struct {
        const char *s;
        size_t parts[8], n;
    } rows[] = {
        { "\xC0\xAF\xE0\x80\xBF\xF0\x81\x82", { 1, 1, 1, 1, 1, 1, 1, 1 }, 8 },
        { "\xED\xA0\x80\xED\xBF\xBF", { 1, 1, 1, 1, 1, 1 }, 6 },
        { "\xF4\x91\x92\x93\xFF", { 1, 1, 1, 1, 1 }, 5 },
        { "\xE1\x80\xE2\xF0\x91\x92\xF1\xBF", { 2, 1, 3, 2 }, 4 },
        { "\xE4\xB8", { 2 }, 1 },
        { "\xF0\x9F\x98", { 3 }, 1 },
    };
    for (size_t r = 0; r < WEFT_COUNT(rows); r++) {
        size_t at = 0, len = strlen(rows[r].s);
        for (size_t i = 0; i < rows[r].n; i++) {
            uint32_t cp;
            bool ok;
            size_t n = weft_utf8_decode(rows[r].s + at, len - at, &cp, &ok);
            assert_int_equal(n, rows[r].parts[i]);
            assert_false(ok);
            assert_int_equal(cp, 0xFFFD);
            at += n;
        }
        assert_int_equal(at, len);
        assert_int_equal(weft_utf8_check(text(rows[r].s)), 0);
    }
}

static void test_utf8_every_code_point_comes_back(void **state)
{
    for (uint32_t cp = 0; cp <= 0x10FFFF; cp++) {
        if (cp >= 0xD800 && cp <= 0xDFFF) continue;
        char s[4];
        uint32_t back;
        bool ok;
        size_t n = weft_utf8_encode(cp, s);
        if (weft_utf8_decode(s, n, &back, &ok) != n || !ok || back != cp) fail_msg("U+%04X", cp);
        if (weft_utf8_check((struct weft_str){ s, n }) != n) fail_msg("check of U+%04X", cp);
        /* Cut short it is bad, and never read beyond its end. */
        for (size_t cut = 1; cut < n; cut++)
            if (weft_utf8_decode(s, cut, &back, &ok) != cut || ok) fail_msg("U+%04X cut to %zu", cp, cut);
    }
}

/* Every pair of lead and second byte, and every third byte, against the table of well-formed sequences (3-7). */
static void test_utf8_check_equals_the_table(void **state)
{
    for (int lead = 0x80; lead <= 0xFF; lead++)
        for (int second = 0; second <= 0xFF; second++) {
            char s[4] = { (char)lead, (char)second, (char)0x80, (char)0x80 };
            int lo = lead == 0xE0   ? 0xA0
                     : lead == 0xF0 ? 0x90
                                    : 0x80,
                hi = lead == 0xED   ? 0x9F
                     : lead == 0xF4 ? 0x8F
                                    : 0xBF;
            size_t len = lead >= 0xC2 && lead <= 0xDF   ? 2
                         : lead >= 0xE0 && lead <= 0xEF ? 3
                         : lead >= 0xF0 && lead <= 0xF4 ? 4
                                                        : 0;
            bool good = len && second >= lo && second <= hi;
            size_t want = good ? len : 0;
            if (!len) len = 2;
            if (weft_utf8_check((struct weft_str){ s, len }) != want) fail_msg("%02x %02x", lead, second);
        }
}

static void test_utf8_check_finds_the_byte_at_any_offset(void **state)
{
    char s[64];
    for (size_t len = 1; len < sizeof s; len++)
        for (size_t at = 0; at < len; at++) {
            memset(s, 'a', len);
            s[at] = (char)0xFF;
            assert_int_equal(weft_utf8_check((struct weft_str){ s, len }), at);
            /* After Chinese text, whose fast way differs. */
            for (size_t i = 0; i + 3 <= at; i += 3) memcpy(s + i, "\xE4\xB8\xAD", 3);
            assert_int_equal(weft_utf8_check((struct weft_str){ s, len }), at);
        }
}

/* The vector ways against the careful ones: characters of every length at every place round the block borders, and
 * each byte of such texts spoiled in turn. */
static void test_utf8_whole_texts_equal_the_careful_way(void **state)
{
    static const char *const pieces[] = { "a", "é", "中", "😀", "\xEF\xBF\xBF", "\xED\x9F\xBF", "\xF4\x8F\xBF\xBF",
                                          "\xE0\xA0\x80", "\xF0\x90\x80\x80", "\x7F", "\n" };
    static const unsigned char spoils[] = { 0x00, 0x41, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF,
                                            0xE0, 0xED, 0xEF, 0xF0, 0xF4, 0xF5, 0xF8, 0xFF };
    struct weft_rng rng;
    char s[160];
    weft_rng_init(&rng, 7, WEFT_RNG_TEST, 0);
    for (int round = 0; round < 600; round++) {
        size_t len = 0, most = 1 + (size_t)weft_rng_below(&rng, 150);
        bool mostly_ascii = round % 3 == 0;
        while (len + 4 <= most) {
            const char *piece =
                pieces[mostly_ascii && weft_rng_below(&rng, 8) ? 0
                                                               : weft_rng_below(&rng, WEFT_COUNT(pieces))];
            memcpy(s + len, piece, strlen(piece));
            len += strlen(piece);
        }
        struct weft_str whole = { s, len };
        assert_int_equal(weft_utf8_check(whole), len);
        assert_int_equal(weft_utf8_chars(whole), weft_utf8_chars_plain(whole));
        for (size_t at = 0; at < len; at++) {
            char was = s[at];
            struct weft_str cut = { s, at };
            assert_int_equal(weft_utf8_check(cut), weft_utf8_check_plain(cut));
            assert_int_equal(weft_utf8_chars(cut), weft_utf8_chars_plain(cut));
            s[at] = (char)spoils[weft_rng_below(&rng, WEFT_COUNT(spoils))];
            if (weft_utf8_check(whole) != weft_utf8_check_plain(whole)
                || weft_utf8_chars(whole) != weft_utf8_chars_plain(whole))
                fail_msg("round %d, %zu bytes, 0x%02x at %zu", round, len, (unsigned)(unsigned char)s[at], at);
            s[at] = was;
        }
    }
}

/* Every pair and triple of leads and what may follow, across the border between two blocks. */
static void test_utf8_every_fault_is_seen_at_a_block_border(void **state)
{
    static const unsigned char next[] = { 0x20, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC2, 0xE4, 0xF1 };
    unsigned char s[160];
    for (size_t border = 29; border <= 65; border += border == 33 ? 28 : 1)
        for (int lead = 0x80; lead < 0x100; lead++)
            for (size_t a = 0; a < WEFT_COUNT(next); a++)
                for (size_t b = 0; b < WEFT_COUNT(next); b++)
                    for (size_t c = 0; c < WEFT_COUNT(next); c++) {
                        memset(s, ' ', sizeof s);
                        s[border] = (unsigned char)lead;
                        s[border + 1] = next[a];
                        s[border + 2] = next[b];
                        s[border + 3] = next[c];
                        struct weft_str text = { (const char *)s, sizeof s };
                        if (weft_utf8_check(text) != weft_utf8_check_plain(text))
                            fail_msg("%02x %02x %02x %02x at %zu", lead, next[a], next[b], next[c], border);
                    }
}

static void test_utf8_counting(void **state)
{
    struct weft_str s = text("a中\xFF"
                             "e\xCC\x81😀");
    assert_int_equal(weft_utf8_chars(s), 6);
    assert_int_equal(weft_utf8_offset(s, 0), 0);
    assert_int_equal(weft_utf8_offset(s, 2), 4);
    assert_int_equal(weft_utf8_offset(s, 3), 5);
    assert_int_equal(weft_utf8_offset(s, 100), s.len);
    struct weft_str long_text = text("中文字abc，é😀中文字abc，é😀中文字abc，é😀中文字abc，é😀中文字abc，é😀中文字abc，é😀中文字abc，é😀中文字abc，é😀");
    for (size_t from = 0; from < long_text.len; from++) {
        struct weft_str rest = weft_str_skip(long_text, from);
        if (((unsigned char)rest.s[0] & 0xC0) == 0x80) continue;
        for (size_t n = 0; n <= 100; n++)
            assert_int_equal(weft_utf8_offset_of_valid(rest, n), weft_utf8_offset(rest, n));
    }
    assert_int_equal(weft_utf8_width(text("a中e\xCC\x81，😀")), 1 + 2 + 1 + 2 + 2);
    assert_int_equal(weft_utf8_width(text("")), 0);
}

static void test_buffer_grows_and_keeps_its_nul(void **state)
{
    struct weft_buf b = { 0 };
    struct weft_err err = { 0 };
    for (int i = 0; i < 1000; i++) {
        weft_buf_printf(&b, "%d,", i);
        assert_int_equal(b.s[b.len], '\0');
    }
    assert_true(weft_str_ends(weft_buf_view(&b), text("998,999,")));
    weft_buf_utf8(&b, 0x4E2D);
    assert_true(weft_str_ends(weft_buf_view(&b), text("中")));
    check_ok(weft_buf_check(&b, "text", &err), &err);
    weft_buf_reset(&b);
    assert_string_equal(b.s, "");
    weft_buf_clear(&b);
    assert_null(b.s);
}

static void test_buffer_limit_is_exact_and_sticks(void **state)
{
    struct weft_buf b = { .max_bytes = 10 };
    struct weft_err err = { 0 };
    weft_buf_add(&b, "0123456789", 10);
    check_ok(weft_buf_check(&b, "reply", &err), &err);
    weft_buf_char(&b, 'x');
    weft_buf_reset(&b);
    weft_buf_cstr(&b, "0123456789");
    check_ok(weft_buf_check(&b, "reply", &err), &err);
    weft_buf_printf(&b, "%d", 1);
    weft_buf_add(&b, "", 0);
    check_refuses(weft_buf_check(&b, "reply", &err), &err, WEFT_ELIMIT, "",
                  "reply would be longer than 10 bytes");
    check_str(weft_buf_view(&b), "0123456789");
    weft_buf_clear(&b);
    assert_int_equal(b.max_bytes, 10);

    struct weft_buf huge = { 0 };
    assert_false(weft_buf_reserve(&huge, SIZE_MAX));
    check_refuses(weft_buf_check(&huge, "reply", &err), &err, WEFT_ENOMEM, "", "cannot allocate");
    weft_buf_clear(&huge);
}

static void test_escaping_makes_foreign_text_safe(void **state)
{
    struct weft_buf b = { 0 };
    char out[16];
    weft_buf_escaped(&b, text("a\n\t\x1b[31m\x7f\xFF\xC2\x9B中"), 200);
    check_str(weft_buf_view(&b), "a\\n\\t\\x1b[31m\\x7f\\xff\\u009b中");
    weft_buf_reset(&b);
    weft_buf_escaped(&b, text("中中中中"), 5);
    check_str(weft_buf_view(&b), "中中...");
    weft_buf_clear(&b);
    assert_string_equal(weft_escape(out, sizeof out, text("short")), "short");
    assert_string_equal(weft_escape(out, sizeof out, text("0123456789abcdefghij")), "0123456789ab...");
    assert_string_equal(weft_escape(out, sizeof out, text("中中中中中中")), "中中中中...");
    assert_string_equal(weft_escape(out, 4, text("abcdef")), "...");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find_and_parts),
        cmocka_unit_test(test_dup_and_printf),
        cmocka_unit_test(test_utf8_bad_parts_are_maximal),
        cmocka_unit_test(test_utf8_every_code_point_comes_back),
        cmocka_unit_test(test_utf8_check_equals_the_table),
        cmocka_unit_test(test_utf8_check_finds_the_byte_at_any_offset),
        cmocka_unit_test(test_utf8_whole_texts_equal_the_careful_way),
        cmocka_unit_test(test_utf8_every_fault_is_seen_at_a_block_border),
        cmocka_unit_test(test_utf8_counting),
        cmocka_unit_test(test_buffer_grows_and_keeps_its_nul),
        cmocka_unit_test(test_buffer_limit_is_exact_and_sticks),
        cmocka_unit_test(test_escaping_makes_foreign_text_safe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
