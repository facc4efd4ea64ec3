/* The rules JS1 to JS7 of docs/robustness.md: for each a good and a bad text, with the place and the rule. */
#include "base/json_parts.h"
#include "base/rng.h"
#include "check.h"

#include <locale.h>
#include <time.h>

static struct weft_err err;
static struct weft_arena arena;

static int setup(void **state)
{
    weft_err_clear(&err);
    return 0;
}

static int teardown(void **state)
{
    weft_arena_clear(&arena);
    return 0;
}

static struct weft_json_value parse(const char *text)
{
    struct weft_json_value v = { 0 };
    check_ok(weft_json_parse(&arena, "t", weft_str_c(text), &v, &err), &err);
    return v;
}

/* Refused by the rule at that place, by the tree and by skipping alike. */
static void refuse(struct weft_str text, const char *rule, const char *message)
{
    struct weft_json_value v;
    struct weft_json j;
    check_refuses(weft_json_parse(&arena, "t", text, &v, &err), &err, WEFT_EINPUT, rule, message);
    enum weft_status st = weft_json_init(&j, &arena, "t", text, &err);
    if (!st) st = weft_json_skip(&j, &err);
    if (!st) st = weft_json_end(&j, &err);
    check_fails(st, &err, WEFT_EINPUT, rule, message);
    weft_err_clear(&err);
}

static const char *dump(const struct weft_json_value *v, int indent, bool spaced, bool ascii)
{
    struct weft_buf b = { 0 };
    struct weft_json_out o;
    weft_json_out_init(&o, &b);
    o.indent = indent;
    o.spaced = spaced;
    o.ascii = ascii;
    weft_json_out_value(&o, v);
    check_ok(weft_buf_check(&b, "json", &err), &err);
    const char *s = weft_str_dup(&arena, weft_buf_view(&b)).s;
    weft_buf_clear(&b);
    return s;
}

/* ---- JS1 ---- */

static void test_js1_encoding(void **state)
{
    struct weft_json_value v = parse("\xEF\xBB\xBF{\"字\": \"中\"}");
    check_str(weft_json_get(&v, "字")->text, "中");
    refuse(WEFT_STR("{\"a\":\n \"b\xFF\"}"), "JS1", "t:2:4: byte 9 is 0xff");
    refuse(WEFT_STR("[\"\xED\xA0\x80\"]"), "JS1", "t:1:3: byte 2 is 0xed");
    refuse(WEFT_STR("[\"\xC0\xAF\"]"), "JS1", "byte 2 is 0xc0");
    refuse(WEFT_STR("[\"中\xE4\xB8\"]"), "JS1", "t:1:4: byte 5");
    refuse(WEFT_STR("\xFF\xFE[\0]\0"), "JS1", "this is UTF-16LE; expected UTF-8");
    refuse(WEFT_STR("\xFE\xFF\0[\0]"), "JS1", "this is UTF-16BE");
    refuse(WEFT_STR("\xFF\xFE\0\0[\0\0\0"), "JS1", "this is UTF-32LE");
    refuse(WEFT_STR("\0\0\xFE\xFF\0\0\0["), "JS1", "this is UTF-32BE");
    refuse(WEFT_STR("[\0]\0"), "JS1", "UTF-16LE");
    refuse(WEFT_STR("\0[\0]"), "JS1", "UTF-16BE");
    refuse(WEFT_STR("[\0\0\0"), "JS1", "UTF-32LE");
    refuse(WEFT_STR("\xEF\xBB\xBF\xEF\xBB\xBF[]"), "JS2", "t:1:1: found");       /* one mark only */
    refuse(WEFT_STR("[\"\xEF\xBB\xBF\", \xEF\xBB\xBF]"), "JS2", "t:1:7: found"); /* and only in front */
}

/* ---- JS2 ---- */

static void test_js2_grammar(void **state)
{
    static const struct {
        const char *text, *message;
    } rows[] = {
        { "", "t:1:1: found the end of the text; expected a value" },
        { " \n ", "t:2:2: found the end of the text" },
        { "[1,]", "t:1:3: found a comma after the last item" },
        { "{\"a\":1,}", "t:1:7: found a comma after the last item" },
        { "[,1]", "t:1:2: found ','; expected a value" },
        { "[1,,2]", "t:1:4: found ','; expected a value" },
        { "[1 2]", "t:1:4: found '2'; expected ',' or ']'" },
        { "{\"a\":1 \"b\":2}", "t:1:8: found '\"'; expected ',' or '}'" },
        { "{\"a\" 1}", "t:1:6: found '1'; expected ':' after the key" },
        { "{\"a\"}", "t:1:5: found '}'; expected ':' after the key" },
        { "{\"a\":}", "t:1:6: found '}'; expected a value" },
        { "{a:1}", "t:1:2: found 'a'; expected a key in double quotes" },
        { "{1:1}", "t:1:2: found '1'; expected a key" },
        { "{,}", "t:1:2: found ','; expected a key" },
        { "{'a':1}", "t:1:2: a single quote" },
        { "['a']", "t:1:2: a single quote" },
        { "[1] // note", "t:1:5: found '/'; expected nothing after the value" },
        { "[ // note\n1]", "t:1:3: a comment" },
        { "[ /* note */ 1]", "t:1:3: a comment" },
        { "# note\n[1]", "t:1:1: a comment" },
        { "{ // note\n\"a\":1}", "t:1:3: a comment" },
        { "[NaN]", "t:1:2: NaN" },
        { "[nan]", "t:1:2: NaN" },
        { "[Infinity]", "t:1:2: an infinity" },
        { "[-Infinity]", "t:1:2: an infinity" },
        { "[inf]", "t:1:2: an infinity" },
        { "[True]", "t:1:2: \"True\" as in Python" },
        { "[None]", "t:1:2: \"None\" as in Python" },
        { "[tru]", "t:1:5: found ']'; expected true" },
        { "[nul", "t:1:5: found the end of the text; expected null" },
        { "[truex]", "t:1:6: found 'x'; expected ',' or ']'" },
        { "[01]", "t:1:2: found '0'; expected a number without leading zeros" },
        { "[-01]", "t:1:3: found '0'; expected a number without leading zeros" },
        { "[+1]", "t:1:2: a plus sign" },
        { "[.5]", "t:1:2: a number that begins with its point" },
        { "[1.]", "t:1:4: found ']'; expected a digit after the point" },
        { "[1.e3]", "t:1:4: found 'e'; expected a digit after the point" },
        { "[1e]", "t:1:4: found ']'; expected a digit in the exponent" },
        { "[1e+]", "t:1:5: found ']'; expected a digit in the exponent" },
        { "[-]", "t:1:3: found ']'; expected a digit" },
        { "[- 1]", "t:1:3: found ' '; expected a digit" },
        { "[0x10]", "t:1:3: found 'x'; expected ',' or ']'" },
        { "[\"a\nb\"]", "t:1:4: found '\\n'; expected no control character" },
        { "[\"a\tb\"]", "t:1:4: found '\\t'; expected no control character" },
        { "[\"a\x1f\"]", "t:1:4: found '\\x1f'" },
        { "[\"abc", "t:1:6: found the end of the text; expected the end of the string" },
        { "[\"abc\\", "t:1:7: found the end of the text" },
        { "[\"\\x41\"]", "t:1:4: found 'x'; expected one of" },
        { "[\"\\'\"]", "t:1:4: found '''; expected one of" },
        { "[\"\\u12g4\"]", "t:1:3: found \\u; expected four hexadecimal digits" },
        { "[\"\\u123", "t:1:3: found \\u; expected four hexadecimal digits" },
        { "[1]\n]", "t:2:1: found ']'; expected nothing after the value" },
        { "[1][2]", "t:1:4: found '['; expected nothing" },
        { "[1]\x0b", "t:1:4: found '\\x0b'; expected nothing" },
        { "[1]\xC2\xA0",
          "t:1:4: found '\xC2\xA0'; expected nothing" }, /* no-break space is no white space here */
        { "[1", "t:1:3: found the end of the text; expected ',' or ']'" },
        { "{", "t:1:2: found the end of the text; expected a key" },
        { "[}", "t:1:2: found '}'; expected a value" },
        { "{]", "t:1:2: found ']'; expected a key" },
        { "]", "t:1:1: found ']'; expected a value" },
        { "{\"a\":[1,{\"b\":\n[true, fals]}]}", "t:2:12: found ']'; expected false" },
        { "[\"中文\", x]", "t:1:8: found 'x'; expected a value" }, /* columns count characters */
    };
    for (size_t i = 0; i < WEFT_COUNT(rows); i++) refuse(weft_str_c(rows[i].text), "JS2", rows[i].message);
    refuse((struct weft_str){ "[1]\0", 4 }, "JS2", "t:1:4: found '\\x00'; expected nothing after the value");
    refuse((struct weft_str){ "[\"a\0\"]", 6 }, "JS2", "t:1:4: found '\\x00'");
}

static void test_js2_good_texts(void **state)
{
    static const char *const same[] = {
        "null",
        "true",
        "false",
        "0",
        "-1",
        "1.5",
        "\"\"",
        "[]",
        "{}",
        "[[],{}]",
        "{\"\":{\"\":[]}}",
        "[1,2.5,\"x\",null,true,false,{\"a\":[{}]}]",
    };
    for (size_t i = 0; i < WEFT_COUNT(same); i++) {
        struct weft_json_value v = parse(same[i]);
        assert_string_equal(dump(&v, 0, false, false), same[i]);
    }
    struct weft_json_value v = parse(" \t\r\n{ \"a\" :\n[ 1 ,\t2 ] } \r\n");
    assert_string_equal(dump(&v, 0, false, false), "{\"a\":[1,2]}");
}

/* ---- JS3 ---- */

static void test_js3_depth(void **state)
{
    struct weft_buf b = { 0 };
    struct weft_json_value v;
    struct weft_json j;
    for (int i = 0; i < 128; i++) weft_buf_cstr(&b, i % 2 ? "{\"a\":" : "[");
    weft_buf_cstr(&b, "1");
    for (int i = 127; i >= 0; i--) weft_buf_cstr(&b, i % 2 ? "}" : "]");
    check_ok(weft_json_parse(&arena, "t", weft_buf_view(&b), &v, &err), &err);
    assert_int_equal(strlen(dump(&v, 0, false, false)), b.len);
    weft_buf_reset(&b);
    for (int i = 0; i < 20000; i++) weft_buf_char(&b, '[');
    refuse(weft_buf_view(&b), "JS3", "t:1:129: objects and arrays are nested deeper than 128");
    weft_buf_clear(&b);
    check_ok(weft_json_init(&j, &arena, "t", WEFT_STR("[[[1]]]"), &err), &err);
    j.max_depth = 2;
    check_refuses(weft_json_skip(&j, &err), &err, WEFT_EINPUT, "JS3",
                  "t:1:3: objects and arrays are nested deeper than 2");
}

/* ---- JS4 ---- */

static void test_js4_no_key_twice(void **state)
{
    parse("{\"a\":{\"a\":1},\"b\":[{\"a\":1},{\"a\":2}],\"A\":1,\"a \":1}");
    refuse(WEFT_STR("{\"a\":1,\"a\":2}"), "JS4", "t:1:8: the key \"a\" comes twice");
    refuse(WEFT_STR("{\"a\":1,\"\\u0061\":2}"), "JS4", "t:1:8: the key \"a\" comes twice");
    refuse(WEFT_STR("{\"\\/\":1,\"b\":2,\n\"/\":2}"), "JS4", "t:2:1: the key \"/\" comes twice");
    refuse(WEFT_STR("{\"\":1,\"\":2}"), "JS4", "t:1:7: the key \"\" comes twice");
    refuse(WEFT_STR("{\"b\":1,\"x\":{\"a\":1,\"c\":[{}],\"a\":2}}"), "JS4", "the key \"a\" comes twice");
    refuse(WEFT_STR("{\"x\\n\":1,\"x\\u000a\":2}"), "JS4", "the key \"x\\n\" comes twice");
}

/* Around the number of keys where the table takes over, and as it grows: every key against every earlier one. */
static void test_js4_in_objects_of_any_size(void **state)
{
    for (int n = 1; n <= 300; n = n < 20 ? n + 1 : n * 2) {
        struct weft_buf b = { 0 };
        for (int twice = -1; twice < n; twice += n < 20 ? 1 : n / 7) {
            weft_buf_reset(&b);
            for (int i = 0; i < n; i++) weft_buf_printf(&b, "%s\"key%d\":%d", i ? "," : "{", i, i);
            if (twice >= 0) weft_buf_printf(&b, ",\"key%d\":0", twice);
            weft_buf_char(&b, '}');
            struct weft_json_value v;
            enum weft_status st = weft_json_parse(&arena, "t", weft_buf_view(&b), &v, &err);
            assert_int_equal(st, twice < 0 ? WEFT_OK : WEFT_EINPUT);
            weft_err_clear(&err);
        }
        weft_buf_clear(&b);
    }
}

/* A small object after a large one at the same depth must not meet the large one's keys. */
static void test_js4_forgets_left_objects(void **state)
{
    struct weft_buf b = { 0 };
    weft_buf_cstr(&b, "[");
    for (int rows = 0; rows < 3; rows++) {
        for (int i = 0; i < 100; i++) weft_buf_printf(&b, "%s\"k%d\":1", i ? "," : "{", i);
        weft_buf_cstr(&b, "},{\"k1\":1},{},");
    }
    weft_buf_cstr(&b, "0]");
    parse(b.s);
    weft_buf_clear(&b);
}

/* ---- JS5 ---- */

static void test_js5_surrogates(void **state)
{
    struct weft_json_value v =
        parse("[\"\\ud83d\\ude00\\uD83D\\uDE00\",\"a\\u0000b\",\"\\u4e2d\\\"\\\\\\/\\b\\f\\n\\r\\t\"]");
    check_str(v.items[0].text, "😀😀");
    assert_int_equal(v.items[1].text.len, 3);
    assert_memory_equal(v.items[1].text.s, "a\0b", 3);
    check_str(v.items[2].text, "中\"\\/\b\f\n\r\t");
    refuse(WEFT_STR("[\"\\ud83d\"]"), "JS5", "t:1:3: found half of a surrogate pair");
    refuse(WEFT_STR("[\"\\ude00\"]"), "JS5", "t:1:3: found half");
    refuse(WEFT_STR("[\"\\ude00\\ud83d\"]"), "JS5", "t:1:3: found half");
    refuse(WEFT_STR("[\"x\\ud83dx\\ude00\"]"), "JS5", "t:1:4: found half");
    refuse(WEFT_STR("[\"\\ud83d\\u0041\"]"), "JS5", "t:1:3: found half");
    refuse(WEFT_STR("[\"\\ud83d\\ud83d\\ude00\"]"), "JS5", "t:1:3: found half");
    refuse(WEFT_STR("{\"\\ud83d\":1}"), "JS5", "t:1:3: found half");
    refuse(WEFT_STR("[\"\\ud83d\\"), "JS5", "t:1:3: found half");
}

/* ---- JS6 ---- */

static enum weft_status read_int(const char *text, int64_t min, int64_t max, int64_t *out)
{
    struct weft_json j;
    enum weft_status st = weft_json_init(&j, &arena, "t", weft_str_c(text), &err);
    return st ? st : weft_json_int(&j, min, max, out, &err);
}

static void test_js6_integers_are_exact(void **state)
{
    int64_t v;
    static const char *const bad[] = { "1.5", "2.0", "1e3", "1E0", "\"1\"", "true", "null", "[1]", "-0.0" };
    check_ok(read_int("9223372036854775807", INT64_MIN, INT64_MAX, &v), &err);
    assert_true(v == INT64_MAX);
    check_ok(read_int("-9223372036854775808", INT64_MIN, INT64_MAX, &v), &err);
    assert_true(v == INT64_MIN);
    check_ok(read_int("-0", 0, 0, &v), &err);
    assert_int_equal(v, 0);
    check_ok(read_int("9007199254740993", 0, INT64_MAX, &v), &err); /* 2^53 + 1 is no double */
    assert_true(v == INT64_C(9007199254740993));
    for (size_t i = 0; i < WEFT_COUNT(bad); i++)
        check_refuses(read_int(bad[i], INT64_MIN, INT64_MAX, &v), &err, WEFT_EINPUT, "JS6", "t:1:1: found ");
    check_refuses(read_int(" 7", 8, 9, &v), &err, WEFT_EINPUT, "JS6",
                  "t:1:2: found 7; expected an integer from 8 to 9");
    check_refuses(read_int("10", 8, 9, &v), &err, WEFT_EINPUT, "JS6", "found 10");
    check_refuses(read_int("9223372036854775808", 0, INT64_MAX, &v), &err, WEFT_EINPUT, "JS6",
                  "found 9223372036854775808");
    check_refuses(read_int("-9223372036854775809", INT64_MIN, 0, &v), &err, WEFT_EINPUT, "JS6",
                  "expected an integer");
    check_refuses(read_int("99999999999999999999999999", 0, INT64_MAX, &v), &err, WEFT_EINPUT, "JS6",
                  "found 9999999");
}

static void test_js6_numbers_beyond_double(void **state)
{
    struct weft_json_value v =
        parse("[1.7976931348623157e308, 123456789012345678901234567890, -0, -0.0, 1e-400]");
    assert_true(v.items[0].number == 1.7976931348623157e308);
    assert_false(v.items[1].is_int);
    assert_true(v.items[1].number == 123456789012345678901234567890.0);
    assert_true(v.items[2].is_int && v.items[2].integer == 0);
    assert_true(signbit(v.items[3].number) && !v.items[3].is_int);
    assert_true(v.items[4].number == 0);
    /* What nobody reads is written again as it was. */
    assert_string_equal(dump(&v, 0, false, false),
                        "[1.7976931348623157e+308,123456789012345678901234567890,0,-0.0,0.0]");
    refuse(WEFT_STR("[1, 1e400]"), "JS6",
           "t:1:5: found 1e400; expected a number within the range of a double");
    refuse(WEFT_STR("[-1.8e308]"), "JS6", "t:1:2: found -1.8e308");
    struct weft_buf b = { 0 };
    weft_buf_char(&b, '[');
    for (int i = 0; i < 310; i++) weft_buf_char(&b, '9');
    weft_buf_char(&b, ']');
    refuse(weft_buf_view(&b), "JS6", "t:1:2: found 9999");
    weft_buf_clear(&b);
}

/* ---- JS7: a row of a JSONL file is a text of its own ---- */

static void test_js7_rows_name_their_line(void **state)
{
    struct weft_json_value v;
    struct weft_json j;
    check_ok(weft_json_parse_row(&arena, "chat.jsonl", 17, WEFT_STR("{\"a\":1}"), &v, &err), &err);
    check_refuses(weft_json_parse_row(&arena, "chat.jsonl", 1824, WEFT_STR("{\"role\":usr}"), &v, &err), &err,
                  WEFT_EINPUT, "JS2", "chat.jsonl:1824:9: found 'u'; expected a value");
    check_refuses(weft_json_parse_row(&arena, "chat.jsonl", 7, WEFT_STR("\"\xFF\""), &v, &err), &err,
                  WEFT_EINPUT, "JS1", "chat.jsonl:7:2: byte 1");
    check_ok(weft_json_init_row(&j, &arena, "x", 5, WEFT_STR("[1,\n2]"), &err), &err);
    uint64_t line, column;
    weft_json_place(&j, 4, &line, &column);
    assert_int_equal(line, 6);
    assert_int_equal(column, 1);
}

/* ---- the pull reader ---- */

static void test_pull_reading(void **state)
{
    struct weft_json j;
    struct weft_str key, s = { 0 };
    bool more, yes = false;
    double d = 0, sum = 0;
    int64_t n = 0;
    enum weft_json_kind kind;
    check_ok(
        weft_json_init(&j, &arena, "t",
                       WEFT_STR("{\"name\":\"x\\ty\",\"skip\":{\"a\":[1,{\"b\":[]}]},\"n\":3,\"yes\":true,"
                                "\"list\":[1,2.5,[9],4],\"none\":null}"),
                       &err),
        &err);
    check_ok(weft_json_object(&j, &err), &err);
    for (;;) {
        check_ok(weft_json_key(&j, &key, &more, &err), &err);
        if (!more) break;
        if (weft_str_is(key, "name")) check_ok(weft_json_string(&j, &s, &err), &err);
        else if (weft_str_is(key, "n")) check_ok(weft_json_int(&j, 0, 10, &n, &err), &err);
        else if (weft_str_is(key, "yes")) check_ok(weft_json_bool(&j, &yes, &err), &err);
        else if (weft_str_is(key, "none")) check_ok(weft_json_null(&j, &err), &err);
        else if (weft_str_is(key, "list")) {
            check_ok(weft_json_array(&j, &err), &err);
            for (;;) {
                check_ok(weft_json_element(&j, &more, &err), &err);
                if (!more) break;
                check_ok(weft_json_peek(&j, &kind, &err), &err);
                if (kind == WEFT_JSON_NUMBER) {
                    check_ok(weft_json_double(&j, &d, &err), &err);
                    sum += d;
                } else check_ok(weft_json_skip(&j, &err), &err);
            }
        } else check_ok(weft_json_skip(&j, &err), &err);
    }
    check_ok(weft_json_end(&j, &err), &err);
    check_str(s, "x\ty");
    assert_int_equal(n, 3);
    assert_true(yes);
    assert_true(sum == 7.5);
}

static void test_wrong_kinds_are_named(void **state)
{
    struct weft_json j;
    struct weft_str s;
    double d;
    bool b;
    check_ok(weft_json_init(&j, &arena, "t", WEFT_STR("  12"), &err), &err);
    check_refuses(weft_json_string(&j, &s, &err), &err, WEFT_EINPUT, "",
                  "t:1:3: found a number; expected a string");
    check_refuses(weft_json_object(&j, &err), &err, WEFT_EINPUT, "", "found a number; expected an object");
    check_refuses(weft_json_array(&j, &err), &err, WEFT_EINPUT, "", "expected an array");
    check_refuses(weft_json_bool(&j, &b, &err), &err, WEFT_EINPUT, "", "expected a boolean");
    check_refuses(weft_json_null(&j, &err), &err, WEFT_EINPUT, "", "expected null");
    check_ok(weft_json_double(&j, &d, &err), &err);
    check_ok(weft_json_init(&j, &arena, "t", WEFT_STR("\"1\""), &err), &err);
    check_refuses(weft_json_double(&j, &d, &err), &err, WEFT_EINPUT, "JS6",
                  "found a string; expected a number");
    err.lang = WEFT_LANG_ZH;
    check_refuses(weft_json_null(&j, &err), &err, WEFT_EINPUT, "", "t:1:1：此处是 字符串；应为null");
    err.lang = WEFT_LANG_EN;
}

static void test_strings_without_escapes_are_not_copied(void **state)
{
    static const char text[] = "[\"plain 中文 text that is longer than eight bytes\",\"with\\nescape\"]";
    struct weft_json_value v = parse(text);
    assert_ptr_equal(v.items[0].text.s, text + 2);
    assert_true(v.items[1].text.s < text || v.items[1].text.s >= text + sizeof text);
}

/* Every position of the byte that ends the plain part, in every position of the word. */
static void test_string_ends_are_found_at_any_offset(void **state)
{
    char text[80];
    for (size_t shift = 0; shift < 9; shift++)
        for (size_t len = 0; len < 40; len++) {
            struct weft_json_value v;
            memset(text, ' ', shift);
            text[shift] = '"';
            memset(text + shift + 1, (char)('#' + len), len);
            strcpy(text + shift + 1 + len, "\"");
            check_ok(weft_json_parse(&arena, "t", weft_str_c(text), &v, &err), &err);
            assert_int_equal(v.text.len, len);
            strcpy(text + shift + 1 + len, "\\u0041\"");
            check_ok(weft_json_parse(&arena, "t", weft_str_c(text), &v, &err), &err);
            assert_int_equal(v.text.len, len + 1);
            assert_int_equal(v.text.s[len], 'A');
            for (int c = 0; c < 0x20; c++) {
                text[shift + 1 + len] = (char)c;
                struct weft_str t = { text, shift + len + 8 };
                assert_int_equal(weft_json_parse(&arena, "t", t, &v, &err), WEFT_EINPUT);
                weft_err_clear(&err);
            }
        }
}

static void test_tree_keeps_order_and_places(void **state)
{
    struct weft_json_value v = parse("{\"b\":1,\n\"a\":[true,\"x\"],\"c\":{}}");
    assert_int_equal(v.n, 3);
    check_str(v.keys[0], "b");
    check_str(v.keys[1], "a");
    assert_int_equal(v.items[1].at, 12);
    assert_int_equal(v.items[1].items[1].at, 18);
    assert_true(weft_json_get(&v, "b")->is_int);
    assert_null(weft_json_get(&v, "none"));
    assert_null(weft_json_get(NULL, "b"));
    assert_null(weft_json_get(&v.items[0], "b"));
}

/* ---- writer ---- */

static void test_writer_lays_out_as_python_does(void **state)
{
    struct weft_json_value v =
        parse("{\"a\":[1,{\"b\":[]}],\"c\":{},\"d\":\"中\\u0000\\\"\\\\\\n\\u007f😀/\"}");
    assert_string_equal(dump(&v, 0, false, false),
                        "{\"a\":[1,{\"b\":[]}],\"c\":{},\"d\":\"中\\u0000\\\"\\\\\\n\x7f😀/\"}");
    assert_string_equal(
        dump(&v, 0, true, true),
        "{\"a\": [1, {\"b\": []}], \"c\": {}, \"d\": \"\\u4e2d\\u0000\\\"\\\\\\n\x7f\\ud83d\\ude00/\"}");
    assert_string_equal(dump(&v, 2, false, false),
                        "{\n  \"a\": [\n    1,\n    {\n      \"b\": []\n    }\n  ],\n  \"c\": {},\n"
                        "  \"d\": \"中\\u0000\\\"\\\\\\n\x7f😀/\"\n}");
}

static void test_writer_makes_bad_utf8_good(void **state)
{
    struct weft_buf b = { 0 };
    struct weft_json_out o;
    weft_json_out_init(&o, &b);
    weft_json_out_array(&o);
    weft_json_out_str(&o, WEFT_STR("a\xFF"
                                   "b\xE4\xB8"));
    weft_json_out_double(&o, NAN);
    weft_json_out_double(&o, -INFINITY);
    weft_json_out_uint(&o, UINT64_MAX);
    weft_json_out_int(&o, INT64_MIN);
    weft_json_out_raw(&o, WEFT_STR("{}"));
    weft_json_out_array_end(&o);
    check_str(weft_buf_view(&b),
              "[\"a\uFFFDb\uFFFD\",null,null,18446744073709551615,-9223372036854775808,{}]");
    weft_buf_clear(&b);
}

static void add_string(struct weft_buf *b, struct weft_str s, bool valid)
{
    struct weft_json_out o;
    weft_json_out_init(&o, b);
    o.valid = valid;
    weft_json_out_str(&o, s);
    assert_false(b->failed);
}

/* Strings of any length with what must be escaped at any place: the quick way writes what the careful one does (a
 * buffer with a limit), and they read back as they were, with room in the arena and without. */
static void test_escapes_anywhere_go_out_and_back(void **state)
{
    static const char *const notes[] = { "\"", "\\", "\n", "\t", "\x01", "\x0b", "\x1f", "\x7f", "中",
                                         "\"\\\n\b\f\r" };
    for (size_t len = 0; len <= 90; len++)
        for (size_t k = 0; k < WEFT_COUNT(notes); k++) {
            size_t n = strlen(notes[k]);
            for (size_t at = 0; at + n <= len; at++) {
                struct weft_buf quick = { 0 }, careful = { .max_bytes = 1000 };
                struct weft_arena tight = { .block_bytes = 64 };
                struct weft_json_value v;
                char *text = malloc(len); /* exactly: reading beyond shows under a sanitizer */
                memset(text, 'a', len);
                memcpy(text + at, notes[k], n);
                struct weft_str s = { text, len };
                add_string(&quick, s, true);
                add_string(&careful, s, false);
                check_str(weft_buf_view(&quick), careful.s);
                weft_buf_reset(&quick);
                add_string(&quick, s, false);
                check_str(weft_buf_view(&quick), careful.s);
                check_ok(weft_json_parse(&arena, "t", weft_buf_view(&quick), &v, &err), &err);
                assert_true(weft_str_eq(v.text, s));
                assert_non_null(weft_arena_alloc(&tight, 1));
                check_ok(weft_json_parse(&tight, "t", weft_buf_view(&quick), &v, &err), &err);
                assert_true(weft_str_eq(v.text, s));
                weft_arena_clear(&tight);
                weft_arena_clear(&arena);
                weft_buf_clear(&quick);
                weft_buf_clear(&careful);
                free(text);
            }
        }
}

/* Strings of backslashes, letters that mean something behind one, and what looks like such a letter but for its high
 * bit: the quick way and the reader agree, on what is right and on what it says. */
static void test_any_run_of_escapes_is_read_as_the_reader_does(void **state)
{
    static const char *const pieces[] = { "\\", "\\", "\\", "n", "\"", "u0041", "ud83d\\ude00", "a", "/", "b", "中", "“",
                                          "\xEE\x80\x80",
                                          "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "\\n", "\\\"", "\\u4e2d" };
    struct weft_buf b = { 0 };
    struct weft_rng rng;
    int good = 0;
    weft_rng_init(&rng, 3, WEFT_RNG_TEST, 0);
    for (int round = 0; round < 40000; round++) {
        struct weft_json quick, plain;
        struct weft_json_value v, want;
        size_t from = round % 2 ? 7 : 0;        /* every other one mostly right */
        weft_buf_reset(&b);
        weft_buf_char(&b, '"');
        for (uint64_t n = weft_rng_below(&rng, 40); n; n--)
            weft_buf_cstr(&b, pieces[from + weft_rng_below(&rng, WEFT_COUNT(pieces) - from)]);
        weft_buf_char(&b, '"');
        check_ok(weft_json_init(&quick, &arena, "t", weft_buf_view(&b), &err), &err);
        check_ok(weft_json_init(&plain, &arena, "t", weft_buf_view(&b), &err), &err);
        enum weft_status st = weft_json_tree(&quick, &v, NULL);
        assert_int_equal(st, weft_json_tree_plain(&plain, &want, NULL));
        if (!st && (quick.at != plain.at || !weft_str_eq(v.text, want.text)))
            fail_msg("%s became \"%.*s\", not \"%.*s\"", b.s, (int)v.text.len, v.text.s, (int)want.text.len, want.text.s);
        good += !st;
        weft_arena_clear(&arena);
    }
    assert_in_range(good, 15000, 35000);
    weft_buf_clear(&b);
}

/* Longer than the room that is left for it, by any number of bytes: read by the other way. */
static void test_an_escaped_string_that_outgrows_its_block(void **state)
{
    struct weft_buf b = { 0 };
    for (size_t len = 3900; len < 4200; len++) {
        struct weft_arena tight = { .block_bytes = 64 };
        struct weft_json_value v;
        char *text = malloc(len);
        memset(text, 'a', len);
        text[7] = text[len - 1] = '\n';
        weft_buf_reset(&b);
        add_string(&b, (struct weft_str){ text, len }, true);
        check_ok(weft_json_parse(&tight, "t", weft_buf_view(&b), &v, &err), &err);
        assert_true(weft_str_eq(v.text, (struct weft_str){ text, len }));
        weft_arena_clear(&tight);
        free(text);
    }
    weft_buf_clear(&b);
}

/* Rows whose keys were foreseen from the rows before are read as by themselves: other keys, others' beginnings, keys
 * with escapes, one twice, a text that ends within a key. */
static void test_foreseen_keys_change_nothing(void **state)
{
    static const char *const rows[] = { "{\"a\":1,\"output\":{\"id\":\"x\",\"\":[]}}",
                                        "{\"a\":1,\"output\":{\"id\":\"x\",\"\":[]}}",
                                        "{\"output\":1,\"a\":2}",
                                        "{\"outputs\":1,\"ab\":2}",
                                        "{\"out\":1,\"\\u0061\":2,\"long key of more than sixteen\":3}",
                                        "{\"out\":1,\"a\":2,\"long key of more than sixteen\":3}",
                                        "{\"out\":1,\"\\\"\":2,\"long key of more than sixteex\":3}",
                                        "{\"out\":1,\"a\":2,\"a\":3}",
                                        "{\"out\":1,\"a\":2,\"\\u0061\":3}",
                                        "{\"out\":1,\"a\":2,\"long key of",
                                        "{\"out",
                                        "{\"out\"",
                                        "{\"",
                                        "{\"out\" :1}" };
    struct weft_json_memo memo = { 0 };
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < WEFT_COUNT(rows); i++) {
            struct weft_err by_memo = { 0 }, alone = { 0 };
            struct weft_json_value v, want;
            struct weft_json j;
            struct weft_str text = weft_str_c(rows[i]);
            check_ok(weft_json_init_row(&j, &arena, "t", 1, text, &err), &err);
            j.memo = &memo;
            enum weft_status st = weft_json_tree(&j, &v, &by_memo);
            assert_int_equal(st, weft_json_parse_row(&arena, "t", 1, text, &want, &alone));
            assert_string_equal(by_memo.msg, alone.msg);
            if (st) continue;
            assert_int_equal(j.at, text.len);
            const char *got = dump(&v, 0, false, false);
            assert_string_equal(got, dump(&want, 0, false, false));
        }
    assert_true(weft_str_is(memo.keys[0], "out"));
}

/* Frozen: what Python 3 writes. */
static void test_doubles_are_written_as_python_does(void **state)
{
    static const struct {
        double v;
        const char *text;
    } rows[] = {
        { 0.0, "0.0" },
        { -0.0, "-0.0" },
        { 1.0, "1.0" },
        { -1.5, "-1.5" },
        { 0.1, "0.1" },
        { 0.5, "0.5" },
        { 100.0, "100.0" },
        { 1e15, "1000000000000000.0" },
        { 1e16, "1e+16" },
        { 1.5e16, "1.5e+16" },
        { 9007199254740992.0, "9007199254740992.0" },
        { 9007199254740993.0, "9007199254740992.0" },
        { 123456789012345680.0, "1.2345678901234568e+17" },
        { 1e21, "1e+21" },
        { 1e22, "1e+22" },
        { 1e23, "1e+23" },
        { 0.0001, "0.0001" },
        { 0.00012345, "0.00012345" },
        { 0.00001, "1e-05" },
        { 1e-5 / 3, "3.3333333333333337e-06" },
        { 1.0 / 3, "0.3333333333333333" },
        { 2.0 / 3, "0.6666666666666666" },
        { 0.1 + 0.2, "0.30000000000000004" },
        { 5e-324, "5e-324" },
        { 1e-323, "1e-323" },
        { 2.2250738585072014e-308, "2.2250738585072014e-308" },
        { 2.225073858507201e-308, "2.225073858507201e-308" },
        { 1.7976931348623157e308, "1.7976931348623157e+308" },
        { 0x1p-24, "5.960464477539063e-08" },
        { 0x1p-44, "5.684341886080802e-14" },
        { 0x1p-1022, "2.2250738585072014e-308" },
        { 0x1p100, "1.2676506002282294e+30" },
        { 4.35, "4.35" },
        { 2.675, "2.675" },
        { 1e-4, "0.0001" },
        { 2e-5, "2e-05" },
        { 299792458.0, "299792458.0" },
        { 6.02214076e23, "6.02214076e+23" },
        { 6.62607015e-34, "6.62607015e-34" },
        { 3.141592653589793, "3.141592653589793" },
        { 1e100, "1e+100" },
        { 1.1e-100, "1.1e-100" },
    };
    char out[32];
    for (size_t i = 0; i < WEFT_COUNT(rows); i++)
        assert_string_equal(weft_json_format_double(out, rows[i].v), rows[i].text);
}

static void test_doubles_come_back_equal(void **state)
{
    uint64_t seed = 1;
    for (int i = 0; i < 100000; i++) {
        uint64_t bits =
            (uint64_t)check_random(&seed) << 33 ^ (uint64_t)check_random(&seed) << 11 ^ check_random(&seed);
        double v;
        char text[32];
        memcpy(&v, &bits, sizeof v);
        if (!isfinite(v)) continue;
        struct weft_json j;
        double back = 0;
        weft_json_format_double(text, v);
        check_ok(weft_json_init(&j, &arena, "t", weft_str_c(text), &err), &err);
        check_ok(weft_json_double(&j, &back, &err), &err);
        if (memcmp(&back, &v, sizeof v) != 0) fail_msg("%a became %s", v, text);
        if (strtod(text, NULL) != v) fail_msg("libc reads %s otherwise", text);
    }
}

/* Where the shortcut cannot tell: the middle of two doubles, a digit above and below it, and very many digits. */
static void test_hard_numbers_are_read_right(void **state)
{
    static const struct {
        const char *text;
        double want;
    } rows[] = {
        { "9007199254740993", 9007199254740992.0 },
        { "9007199254740993.0", 9007199254740992.0 },
        { "9007199254740993.00000000000000000000000000000000000000000000001", 9007199254740994.0 },
        { "9007199254740992.99999999999999999999999999999999999999999999999", 9007199254740992.0 },
        { "2.2250738585072011e-308", 2.225073858507201e-308 },
        { "2.4703282292062327208e-324", 0.0 },
        { "2.4703282292062328e-324", 5e-324 },
        { "1.7976931348623158e308", 1.7976931348623157e308 },
        { "0.000000000000000000000000000000000000000001", 1e-42 },
        { "1e-999999999999999999999", 0.0 },
        { "0e999999999999999999999", 0.0 },
        { "100000000000000000000000000000000000e-35", 1.0 },
        { "8.41e+21", 8.41e21 },
        { "1090544144181609348835077142190", 0x1.b8779f2474dfbp+99 },
        { "7.2057594037927933e+16", 7.2057594037927933e+16 },
    };
    for (size_t i = 0; i < WEFT_COUNT(rows); i++) {
        struct weft_json_value v = parse(rows[i].text);
        if (v.number != rows[i].want) fail_msg("%s read as %.17g", rows[i].text, v.number);
        if (strtod(rows[i].text, NULL) != rows[i].want) fail_msg("the table is wrong: %s", rows[i].text);
    }
    struct weft_buf b = { 0 };
    weft_buf_cstr(&b, "9007199254740993.");
    for (int i = 0; i < 2000; i++) weft_buf_char(&b, '0');
    assert_true(parse(b.s).number == 9007199254740992.0);
    weft_buf_char(&b, '1');
    assert_true(parse(b.s).number == 9007199254740994.0);
    weft_buf_reset(&b);
    weft_buf_cstr(&b, "0.");
    for (int i = 0; i < 2000; i++) weft_buf_char(&b, '0');
    weft_buf_cstr(&b, "123e2001");
    assert_true(parse(b.s).number == 1.23);
    weft_buf_reset(&b);
    weft_buf_cstr(&b, "123");
    for (int i = 0; i < 2000; i++) weft_buf_char(&b, '0');
    weft_buf_cstr(&b, "e-2000");
    assert_true(parse(b.s).number == 123);
    weft_buf_clear(&b);
}

static void test_numbers_do_not_depend_on_the_locale(void **state)
{
    static const char *const comma[] = { "de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "de_DE" };
    bool found = false;
    for (size_t i = 0; i < WEFT_COUNT(comma) && !found; i++) found = setlocale(LC_ALL, comma[i]) != NULL;
    if (!found) skip();
    char out[32];
    assert_string_equal(weft_json_format_double(out, 0x1p-24), "5.960464477539063e-08");
    assert_string_equal(weft_json_format_double(out, 5e-324), "5e-324");
    assert_true(parse("9007199254740993.5e0").number == 9007199254740994.0);
    setlocale(LC_ALL, "C");
}

/* ---- size and memory ---- */

/* A vocabulary: one object of very many keys, in time that grows with its length.  The bound is generous, a
 * quadratic check would take minutes. */
static void test_large_objects_are_read_in_linear_time(void **state)
{
    struct weft_buf b = { 0 };
    struct weft_json_value v;
    enum { KEYS = 150000 };
    for (int i = 0; i < KEYS; i++) weft_buf_printf(&b, "%s\"token%d\\u0120\":%d", i ? "," : "{", i, i);
    weft_buf_char(&b, '}');
    clock_t start = clock();
    check_ok(weft_json_parse(&arena, "t", weft_buf_view(&b), &v, &err), &err);
    assert_int_equal(v.n, KEYS);
    assert_int_equal(v.items[KEYS - 1].integer, KEYS - 1);
    assert_true((double)(clock() - start) / CLOCKS_PER_SEC < 5);
    weft_buf_clear(&b);
}

/* Memory that gives out at any point: refused with ENOMEM, nothing worse, until it suffices. */
static void test_parsing_survives_every_failed_allocation(void **state)
{
    struct weft_buf b = { 0 };
    int failed = 0;
    weft_buf_cstr(&b, "[{\"a\":[1,2,[3,\"x\\ny\"]]},");
    for (int i = 0; i < 40; i++) weft_buf_printf(&b, "%s\"k\\u0041%d\":[{}]", i ? "," : "{", i);
    weft_buf_cstr(&b, "}]");
    for (size_t max = 0;; max += 64) {
        struct weft_arena small;
        struct weft_json_value v;
        weft_arena_init(&small, 64, max + 1);
        enum weft_status st = weft_json_parse(&small, "t", weft_buf_view(&b), &v, &err);
        weft_arena_clear(&small);
        if (!st) break;
        check_fails(st, &err, WEFT_ENOMEM, "", "cannot allocate");
        weft_err_clear(&err);
        failed++;
    }
    assert_true(failed > 50);
    weft_buf_clear(&b);
}

/* ---- the quick way against the reader ---- */

static bool same_tree(const struct weft_json_value *a, const struct weft_json_value *b)
{
    if (a->kind != b->kind || a->at != b->at || a->n != b->n) return false;
    switch (a->kind) {
    case WEFT_JSON_NULL: return true;
    case WEFT_JSON_BOOL: return a->boolean == b->boolean;
    case WEFT_JSON_STRING: return weft_str_eq(a->text, b->text);
    case WEFT_JSON_NUMBER:
        return weft_str_eq(a->text, b->text) && a->is_int == b->is_int && a->integer == b->integer
               && memcmp(&a->number, &b->number, sizeof a->number) == 0;
    case WEFT_JSON_ARRAY:
    case WEFT_JSON_OBJECT: break;
    }
    if (a->kind == WEFT_JSON_OBJECT && a->key_bits != b->key_bits) return false;
    for (size_t i = 0; i < a->n; i++)
        if (!same_tree(&a->items[i], &b->items[i])
            || (a->kind == WEFT_JSON_OBJECT && !weft_str_eq(a->keys[i], b->keys[i])))
            return false;
    return true;
}

/* What weft_json_tree says is what the reader alone says: tree, end, message.  True: a tree. */
static bool compare_ways(struct weft_str text)
{
    struct weft_arena a = { 0 };
    struct weft_err e1 = { 0 }, e2 = { 0 };
    struct weft_json j1, j2;
    struct weft_json_value v1 = { 0 }, v2 = { 0 };
    enum weft_status st = weft_json_init(&j1, &a, "t", text, &e1), plain = weft_json_init(&j2, &a, "t", text, &e2);
    assert_int_equal(st, plain);
    if (!st) st = weft_json_tree(&j1, &v1, &e1);
    if (!plain) plain = weft_json_tree_plain(&j2, &v2, &e2);
    bool same = st == plain && strcmp(e1.msg, e2.msg) == 0 && strcmp(e1.rule, e2.rule) == 0;
    if (same && !st) same = j1.at == j2.at && j1.depth == j2.depth && same_tree(&v1, &v2);
    if (!same) fail_msg("differs: %.*s", (int)text.len, text.s);
    weft_arena_clear(&a);
    return !st;
}

static void test_quick_strings_equal_the_reader_at_every_length(void **state)
{
    static const char *const spoils[] = { "\"", "\\", "\x1F", "\n", "\x7F", "\x80", "\xFF", "\\n", "\\u4e2d", "\\ud800" };
    char s[16 + 200];
    int good = 0, bad = 0;
    for (size_t shift = 0; shift < 16; shift += 5)
        for (size_t len = 0; len <= 130; len++)
            for (size_t at = 0; at <= len; at++) {
                const char *spoil = spoils[(at + len) % WEFT_COUNT(spoils)];
                size_t extra = at < len ? strlen(spoil) : 0, n = shift;
                memset(s, 'x', sizeof s);
                s[n++] = '"';
                n += at;
                memcpy(s + n, spoil, extra);
                n += extra + (len - at);
                s[n++] = '"';
                if (compare_ways((struct weft_str){ s + shift, n - shift })) good++;
                else bad++;
                compare_ways((struct weft_str){ s + shift, n - shift - 1 }); /* cut short */
            }
    assert_true(good > 5000 && bad > 5000);
}

static void test_quick_trees_equal_the_reader(void **state)
{
    static const char *const texts[] = {
        "null", " true ", "false", "0", "-0", "-1", "00", "01", "1.", "1.5e3", "1e400", "123456789012345678",
        "1234567890123456789", "9223372036854775807", "9223372036854775808", "-9223372036854775809", "nan", "nul", "",
        " ", "[", "[]", "[ ]", "[1,]", "[,1]", "[1 2]", "{", "{}", "{ }", "{\"a\"}", "{\"a\":}", "{\"a\":1,}",
        "{\"a\" : 1 , \"b\" : [ ] }", "{\"a\":1 \"b\":2}", "{\"a\":1,\"a\":2}", "{\"a\":1,\"\\u0061\":2}",
        "{\"ab\":{\"a\":{}},\"b\":[[],[1,[2]],{\"c\":null}]} x", "{1:2}", "[}", "{]", "[\"a\\tb\",\"\\ud83d\\ude00\"]",
        "\"\\q\"", "\"\\u12g4\"", "{'a':1}", "// x", "[True]", "\xEF\xBB\xBF[1]", "{\"\":0}", "{\"\":0,\"\":1}",
    };
    struct weft_buf b = { 0 };
    for (size_t i = 0; i < WEFT_COUNT(texts); i++) compare_ways(weft_str_c(texts[i]));
    /* What the quick way leaves to the reader: depth, members, values. */
    for (int n = 0; n < 140; n++) {
        weft_buf_reset(&b);
        for (int i = 0; i < n; i++) weft_buf_cstr(&b, i & 1 ? "{\"a\":" : "[");
        weft_buf_cstr(&b, "7");
        for (int i = n; i-- > 0;) weft_buf_cstr(&b, i & 1 ? "}" : "]");
        assert_true(compare_ways(weft_buf_view(&b)) == (n <= WEFT_JSON_MAX_DEPTH));
    }
    for (int n = 1; n < 600; n += n < 40 ? 1 : 61) {
        weft_buf_reset(&b);
        for (int i = 0; i < n; i++) weft_buf_printf(&b, "%c\"k%d\":[%d,\"v\"]", i ? ',' : '{', i, i);
        weft_buf_cstr(&b, "}");
        assert_true(compare_ways(weft_buf_view(&b)));
        b.s[b.len - 1] = ',';
        weft_buf_printf(&b, "\"k%d\":1}", n / 2);
        assert_false(compare_ways(weft_buf_view(&b)));
    }
    weft_buf_clear(&b);
}

/* One byte of an ordinary row replaced, every byte in turn, by whatever matters to the grammar. */
static void test_quick_trees_equal_the_reader_on_spoiled_rows(void **state)
{
    static const char row[] = "{\"instruction\": \"\xE4\xB8\xAD\xE6\x96\x87\\n\", \"output\":\"ok\",\"weft\":{\"id\":\"s1\","
                              "\"bytes\":[12,345],\"c\":0.5,\"x\":[true,null,-1e2]}}";
    static const char bytes[] = "\"\\{}[]:,0123.eE+-tfn \n\t/'\x80\xE4\xFF";
    char s[sizeof row];
    int good = 0;
    for (size_t at = 0; at + 1 < sizeof row; at++)
        for (size_t k = 0; k < sizeof bytes; k++) { /* the NUL too */
            memcpy(s, row, sizeof row);
            s[at] = bytes[k];
            good += compare_ways((struct weft_str){ s, sizeof row - 1 });
            if (!k) compare_ways((struct weft_str){ s, at });
        }
    assert_true(good > 500);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_js1_encoding),
        TEST(test_js2_grammar),
        TEST(test_js2_good_texts),
        TEST(test_js3_depth),
        TEST(test_js4_no_key_twice),
        TEST(test_js4_in_objects_of_any_size),
        TEST(test_js4_forgets_left_objects),
        TEST(test_js5_surrogates),
        TEST(test_js6_integers_are_exact),
        TEST(test_js6_numbers_beyond_double),
        TEST(test_js7_rows_name_their_line),
        TEST(test_pull_reading),
        TEST(test_wrong_kinds_are_named),
        TEST(test_strings_without_escapes_are_not_copied),
        TEST(test_string_ends_are_found_at_any_offset),
        TEST(test_tree_keeps_order_and_places),
        TEST(test_writer_lays_out_as_python_does),
        TEST(test_writer_makes_bad_utf8_good),
        TEST(test_escapes_anywhere_go_out_and_back),
        TEST(test_any_run_of_escapes_is_read_as_the_reader_does),
        TEST(test_an_escaped_string_that_outgrows_its_block),
        TEST(test_foreseen_keys_change_nothing),
        TEST(test_doubles_are_written_as_python_does),
        TEST(test_doubles_come_back_equal),
        TEST(test_hard_numbers_are_read_right),
        TEST(test_numbers_do_not_depend_on_the_locale),
        TEST(test_large_objects_are_read_in_linear_time),
        TEST(test_quick_strings_equal_the_reader_at_every_length),
        TEST(test_quick_trees_equal_the_reader),
        TEST(test_quick_trees_equal_the_reader_on_spoiled_rows),
        TEST(test_parsing_survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
