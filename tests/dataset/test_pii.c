/* Private data: for each kind strings that are it, and strings that only look like it. */
#include "check.h"

#include "dataset/pii.h"

/* All pieces as "kind:text|kind:text". */
static const char *found(const char *text)
{
    static char out[1024];
    struct weft_str s = weft_str_c(text);
    struct weft_pii p;
    size_t at = 0, n = 0;
    out[0] = 0;
    while (weft_pii_next(s, WEFT_PII_ALL, &at, &p)) {
        assert_true(p.from < p.to && p.to <= s.len && at == p.to);
        n += (size_t)snprintf(out + n, sizeof out - n, "%s%s:%.*s", n ? "|" : "", weft_pii_name(p.kind),
                              (int)(p.to - p.from), s.s + p.from);
    }
    return out;
}

static void check_found(const char *const (*cases)[2], size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *got = found(cases[i][0]);
        if (strcmp(got, cases[i][1]) != 0)
            fail_msg("\"%s\": found \"%s\", expected \"%s\"", cases[i][0], got, cases[i][1]);
    }
}
static void check_nothing(const char *const *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *got = found(cases[i]);
        if (*got) fail_msg("\"%s\": found \"%s\"", cases[i], got);
    }
}
#define FOUND(...)                                                                                           \
    do {                                                                                                     \
        static const char *const cases[][2] = { __VA_ARGS__ };                                               \
        check_found(cases, WEFT_COUNT(cases));                                                               \
    } while (0)
#define NOTHING(...)                                                                                         \
    do {                                                                                                     \
        static const char *const cases[] = { __VA_ARGS__ };                                                  \
        check_nothing(cases, WEFT_COUNT(cases));                                                             \
    } while (0)

static void test_mobile_numbers(void **state)
{
    (void)state;
    FOUND({ "打13812345678找我", "mobile:13812345678" }, { "电话:13812345678。", "mobile:13812345678" },
          { "电话：１３８１２３４５６７８", "mobile:１３８１２３４５６７８" },
          { "138-1234-5678", "mobile:138-1234-5678" }, { "199 1234 5678,", "mobile:199 1234 5678" },
          { "+86 13812345678", "mobile:+86 13812345678" }, { "008613812345678", "mobile:008613812345678" },
          { "+8613812345678", "mobile:+8613812345678" },
          { "13812345678/15912345678", "mobile:13812345678|mobile:15912345678" },
          { "13812345678,13912345678", "mobile:13812345678|mobile:13912345678" },
          { "138-12345678", "mobile:138-12345678" });
    NOTHING("12812345678", "1381234567", "138123456789", "15412345678", "订单a13812345678", "0.13812345678",
            "13812345678.5", "¥13812345678", "共13812345678元", "13800000000 亿", "1381234 5678",
            "2013-13812345678");
}

static void test_landline_numbers(void **state)
{
    (void)state;
    FOUND({ "总机010-62751234", "landline:010-62751234" },
          { "(0755)26731234转8001", "landline:(0755)26731234转8001" },
          { "（021）62751234", "landline:（021）62751234" }, { "0571 8765432", "landline:0571 8765432" },
          { "02162751234", "landline:02162751234" }, { "0755-26731234-802。", "landline:0755-26731234-802" });
    NOTHING("010-1234567", "026-62751234", "62751234", "0000-12345678", "010-6275", "001-62751234", "第010回",
            "2001-2008", "1998-20031231", "0755-12345678", "0.0755");
}

static void test_identity_numbers_need_date_and_check_digit(void **state)
{
    (void)state;
    FOUND({ "身份证11010519491231002X。", "id_card:11010519491231002X" },
          { "11010519491231002x", "id_card:11010519491231002x" },
          { "号码：440308199901101512", "id_card:440308199901101512" });
    NOTHING("110105194912310021", "11010519491331002X", "99010519491231002X", "11010519491231002X1",
            "1101051949123100", "A11010519491231002X");
}

static void test_mail_addresses(void **state)
{
    (void)state;
    FOUND({ "邮箱zhang.san+a@mail.example.com。", "email:zhang.san+a@mail.example.com" },
          { "a@b.cn", "email:a@b.cn" }, { "<x_y@qq.com>", "email:x_y@qq.com" },
          { "13812345678@163.com", "email:13812345678@163.com" },
          { "ａ＠ｂ．ｃｏｍ", "email:ａ＠ｂ．ｃｏｍ" }, { "mail a@b.com.", "email:a@b.com" },
          { "a@1.com,b@2.org", "email:a@1.com|email:b@2.org" });
    NOTHING("@user", "user@", "user@host", "a@b.c", "3@4.5", "icon@2x.png", "a..b@c.com", "a.@c.com",
            "@甄嬛.com", "x@-.com");
}

static void test_ip_addresses(void **state)
{
    (void)state;
    FOUND({ "192.168.1.100", "ipv4:192.168.1.100" }, { "连上 10.0.0.25:8080", "ipv4:10.0.0.25" },
          { "IP：1.2.3.4", "ipv4:1.2.3.4" }, { "223.5.5.5。", "ipv4:223.5.5.5" },
          { "2001:db8::8a2e:370:7334", "ipv6:2001:db8::8a2e:370:7334" }, { "fe80::1", "ipv6:fe80::1" },
          { "[2001:db8:0:0:1:0:0:1]:443", "ipv6:2001:db8:0:0:1:0:0:1" });
    NOTHING("127.0.0.1", "0.0.0.0", "255.255.255.255", "256.1.1.1", "1.2.3.4", "第3.2.1.4节",
            "版本 4.22.100.3", "v1.22.33.44", "1.22.333.4444", "192.168.1", "192.168.01.1", "192.168.1.1.5",
            "12:30:45", "std::vector", "a::b", "::1", "00:1A:2B:3C:4D:5E", "dead::beef", "比分 3:2:1");
}

static void test_bank_cards_need_prefix_and_luhn(void **state)
{
    (void)state;
    FOUND({ "卡号4111111111111111", "bank_card:4111111111111111" },
          { "4111 1111 1111 1111", "bank_card:4111 1111 1111 1111" },
          { "6222021234567890128", "bank_card:6222021234567890128" },
          { "5500-0000-0000-0004", "bank_card:5500-0000-0000-0004" },
          { "378282246310005", "bank_card:378282246310005" });
    NOTHING("4111111111111112", "9111111111111111", "4444444444444444", "41111111111111110",
            "1234567890123456", "4111-1111-1111", "20240101123456789");
}

static void test_ordinary_numbers_are_left_alone(void **state)
{
    (void)state;
    NOTHING("1998-2003年", "2024-01-01 12:30:00", "第12345678回", "￥1,234,567.89", "3.14159265358979",
            "圆周率3.1415926", "1644年至1911年", "ISBN 978-7-02-000220-7", "0086", "+86", "", "一二三",
            "1700000000", "1700000000123", "邮编100871", "第1.2.3.4章", "QQ 123456789", "(", "((((((((",
            "+++", ":::", "@@@@");
}

static void test_masks_keep_the_length_and_name_the_kind(void **state)
{
    (void)state;
    struct weft_buf b = { 0 };
    uint64_t counts[WEFT_N_PII] = { 0 };
    assert_int_equal(
        weft_pii_mask(&b, WEFT_STR("打13812345678，或a@b.cn，卡4111 1111 1111 1111。"), WEFT_PII_ALL, counts),
        3);
    check_str(weft_buf_view(&b), "打[PHONE]****，或[MAIL]，卡[CARD]*************。");
    assert_int_equal(counts[WEFT_PII_MOBILE], 1);
    assert_int_equal(counts[WEFT_PII_EMAIL], 1);
    weft_buf_reset(&b);
    /* only the kinds asked for; a masked text has nothing left to find */
    assert_int_equal(weft_pii_mask(&b, WEFT_STR("打13812345678，或a@b.cn"), 1u << WEFT_PII_EMAIL, NULL), 1);
    check_str(weft_buf_view(&b), "打13812345678，或[MAIL]");
    weft_buf_reset(&b);
    weft_pii_mask(&b, WEFT_STR("(0755)26731234 fe80::1 11010519491231002X"), WEFT_PII_ALL, NULL);
    assert_string_equal(found(b.s), "");
    weft_buf_clear(&b);
}

static void test_time_is_linear(void **state)
{
    (void)state;
    static const char *const pieces[] = { "1", "a", "a.", "1.", "(", "1:", "138", "a@", "+86", "4111 " };
    for (size_t k = 0; k < WEFT_COUNT(pieces); k++) {
        struct weft_buf b = { 0 };
        struct weft_pii p;
        size_t at = 0;
        while (b.len < 2000000) weft_buf_cstr(&b, pieces[k]);
        while (weft_pii_next(weft_buf_view(&b), WEFT_PII_ALL, &at, &p)) continue;
        weft_buf_clear(&b); /* quadratic time would not end within the test's limit */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mobile_numbers),
        cmocka_unit_test(test_landline_numbers),
        cmocka_unit_test(test_identity_numbers_need_date_and_check_digit),
        cmocka_unit_test(test_mail_addresses),
        cmocka_unit_test(test_ip_addresses),
        cmocka_unit_test(test_bank_cards_need_prefix_and_luhn),
        cmocka_unit_test(test_ordinary_numbers_are_left_alone),
        cmocka_unit_test(test_masks_keep_the_length_and_name_the_kind),
        cmocka_unit_test(test_time_is_linear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
