/* base/url: what is an address and what is not, joining, encoding, kinds of addresses in digits. */
#include "base/url.h"
#include "check.h"

static void test_parts_of_an_address(void **state)
{
    struct weft_err err = { 0 };
    struct weft_url u;
    check_ok(weft_url_parse(WEFT_STR("HTTPS://Api.Example.org/v1/x?a=b#part"), &u, &err), &err);
    assert_true(u.tls);
    check_str(u.host, "Api.Example.org");
    check_str(u.path, "/v1/x?a=b");
    assert_int_equal(u.port, 443);
    check_ok(weft_url_parse(WEFT_STR("http://localhost:8080"), &u, &err), &err);
    assert_false(u.tls);
    assert_int_equal(u.port, 8080);
    check_str(u.path, "");
    check_ok(weft_url_parse(WEFT_STR("http://[2001:db8::1]:81/"), &u, &err), &err);
    check_str(u.host, "2001:db8::1");
    assert_true(u.ip6);
    assert_int_equal(u.port, 81);
    check_ok(weft_url_parse(WEFT_STR("http://h?q=@/:x"), &u, &err), &err);
    check_str(u.host, "h");
    check_str(u.path, "?q=@/:x");
}

static void test_addresses_that_cannot_be_used(void **state)
{
    static const struct {
        const char *text, *part;
    } rows[] = {
        { "", "expected http" },
        { "example.org", "expected http" },
        { "file:///etc/passwd", "expected http" },
        { "http:/example.org", "expected http" },
        { "http:example.org", "expected http" },
        { "javascript://x", "expected http" },
        { "http://", "expected a host" },
        { "http:///path", "expected a host" },
        { "http://a..b/", "expected a host" },
        { "http://.a/", "expected a host" },
        { "http://a%2eb/", "expected a host" },
        { "http://主机/", "expected a host" },
        { "http://a:0/", "port" },
        { "http://a:65536/", "port" },
        { "http://a:8x/", "port" },
        { "http://a:/", "port" },
        { "http://[::1/", "bracket" },
        { "http://[::1]x/", "port" },
        { "http://[1.2.3.4]/", "IPv6" },
        { "http://user@a/", "user name or password" },
        { "http://user:secret@a/", "user name or password" },
        { "http://a@b@c/", "user name or password" },
        { "http://a b/", "blank" },
        { "http://a\\b/", "backslash" },
        { "http://a/x\r\ny", "blank" },
        { " http://a/", "blank" },
    };
    struct weft_url u;
    for (size_t i = 0; i < WEFT_COUNT(rows); i++) {
        struct weft_err err = { 0 };
        enum weft_status st = weft_url_parse(weft_str_c(rows[i].text), &u, &err);
        if (st != WEFT_EARG || strcmp(err.rule, "D9") != 0 || !strstr(err.msg, rows[i].part)
            || strstr(err.msg, "secret"))
            fail_msg("%s: status %d: %s", rows[i].text, st, err.msg);
    }
    char *text = malloc(WEFT_URL_BYTES + 2);
    assert_non_null(text);
    memset(text, 'a', WEFT_URL_BYTES + 1);
    memcpy(text, "http://h/", 9);
    struct weft_err err = { 0 };
    check_ok(weft_url_parse((struct weft_str){ text, WEFT_URL_BYTES }, &u, &err), &err);
    check_refuses(weft_url_parse((struct weft_str){ text, WEFT_URL_BYTES + 1 }, &u, &err), &err, WEFT_EARG, "D9",
                  "8 KiB");
    free(text);
}

static void test_origins(void **state)
{
    static const struct {
        const char *a, *b;
        bool same;
    } rows[] = {
        { "http://a/x", "http://A:80/y", true }, { "https://a", "https://a:443", true },
        { "http://a", "https://a", false },      { "http://a", "http://a:81", false },
        { "http://a.b", "http://b", false },     { "https://a", "https://a.evil", false },
    };
    for (size_t i = 0; i < WEFT_COUNT(rows); i++) {
        struct weft_url a, b;
        struct weft_err err = { 0 };
        check_ok(weft_url_parse(weft_str_c(rows[i].a), &a, &err), &err);
        check_ok(weft_url_parse(weft_str_c(rows[i].b), &b, &err), &err);
        if (weft_url_same_origin(&a, &b) != rows[i].same) fail_msg("%s %s", rows[i].a, rows[i].b);
    }
}

static void test_joining(void **state)
{
    static const struct {
        const char *base, *ref, *want;
    } rows[] = {
        { "http://h/a/b?q", "c", "http://h/a/c" },
        { "http://h/a/b", "/c?d", "http://h/c?d" },
        { "https://h:1/a", "//other/x", "https://other/x" },
        { "http://h/a", "https://x/", "https://x/" },
        { "http://h", "c", "http://h/c" },
        { "http://h?q=/x", "c", "http://h/c" },
        { "http://h/a/b?q#f", "?p", "http://h/a/b?p" },
        { "http://h/a#f", "#g", "http://h/a#g" },
        { "http://h/a?q#f", "", "http://h/a" },
        { "http://h/a", "javascript:x", "javascript:x" },
    };
    struct weft_arena a = { 0 };
    for (size_t i = 0; i < WEFT_COUNT(rows); i++)
        check_str(weft_url_join(&a, weft_str_c(rows[i].base), weft_str_c(rows[i].ref)), rows[i].want);
    weft_arena_clear(&a);
}

static void test_encoding(void **state)
{
    struct weft_buf b = { 0 };
    weft_url_encode(&b, WEFT_STR("a b/c%d+字\0.-_~?#"), true);
    check_str(weft_buf_view(&b), "a%20b/c%25d%2B%E5%AD%97%00.-_~%3F%23");
    weft_buf_reset(&b);
    weft_url_encode(&b, WEFT_STR("a/b"), false);
    check_str(weft_buf_view(&b), "a%2Fb");
    weft_buf_clear(&b);
}

static void test_kinds_of_addresses(void **state)
{
    static const struct {
        const char *host;
        enum weft_address_kind kind;
    } rows[] = {
        { "8.8.8.8", WEFT_ADDRESS_PUBLIC },
        { "127.0.0.1", WEFT_ADDRESS_PRIVATE },
        { "127.1", WEFT_ADDRESS_PRIVATE },
        { "2130706433", WEFT_ADDRESS_PRIVATE },
        { "0x7f000001", WEFT_ADDRESS_PRIVATE },
        { "0.0.0.0", WEFT_ADDRESS_PRIVATE },
        { "10.255.0.1", WEFT_ADDRESS_PRIVATE },
        { "11.0.0.1", WEFT_ADDRESS_PUBLIC },
        { "172.15.0.1", WEFT_ADDRESS_PUBLIC },
        { "172.31.255.255", WEFT_ADDRESS_PRIVATE },
        { "192.168.1.1", WEFT_ADDRESS_PRIVATE },
        { "100.64.0.1", WEFT_ADDRESS_PRIVATE },
        { "100.128.0.1", WEFT_ADDRESS_PUBLIC },
        { "100.100.100.200", WEFT_ADDRESS_FORBIDDEN },
        { "169.254.169.254", WEFT_ADDRESS_FORBIDDEN },
        { "169.253.1.1", WEFT_ADDRESS_PUBLIC },
        { "224.0.0.1", WEFT_ADDRESS_FORBIDDEN },
        { "255.255.255.255", WEFT_ADDRESS_FORBIDDEN },
        { "::1", WEFT_ADDRESS_PRIVATE },
        { "::", WEFT_ADDRESS_PRIVATE },
        { "fe80::1", WEFT_ADDRESS_FORBIDDEN },
        { "fd00:ec2::254", WEFT_ADDRESS_FORBIDDEN },
        { "fd00::1", WEFT_ADDRESS_PRIVATE },
        { "ff02::1", WEFT_ADDRESS_FORBIDDEN },
        { "2001:4860::8888", WEFT_ADDRESS_PUBLIC },
        { "::ffff:10.0.0.1", WEFT_ADDRESS_PRIVATE },
        { "::ffff:169.254.169.254", WEFT_ADDRESS_FORBIDDEN },
        { "64:ff9b::a9fe:a9fe", WEFT_ADDRESS_FORBIDDEN },
        { "2002:a9fe:a9fe::", WEFT_ADDRESS_FORBIDDEN },
        { "example.org", WEFT_ADDRESS_NONE },
        { "", WEFT_ADDRESS_NONE },
    };
    for (size_t i = 0; i < WEFT_COUNT(rows); i++)
        if (weft_address_kind(weft_str_c(rows[i].host)) != rows[i].kind) fail_msg("%s", rows[i].host);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts_of_an_address),
        cmocka_unit_test(test_addresses_that_cannot_be_used),
        cmocka_unit_test(test_origins),
        cmocka_unit_test(test_joining),
        cmocka_unit_test(test_encoding),
        cmocka_unit_test(test_kinds_of_addresses),
    };
    return cmocka_run_group_tests_name("base/url", tests, NULL, NULL);
}
