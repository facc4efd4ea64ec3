#include "base/file.h"
#include "base/hash.h"
#include "check.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

static struct weft_err err;

/* FIPS 180-4 examples. */
static void test_sha256_known_answers(void **state)
{
    char hex[WEFT_SHA256_HEX];
    check_ok(weft_sha256_of(WEFT_STR(""), hex, &err), &err);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    check_ok(weft_sha256_of(WEFT_STR("abc"), hex, &err), &err);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    struct weft_sha256 h;
    check_ok(weft_sha256_init(&h, &err), &err);
    for (int i = 0; i < 100000; i++) weft_sha256_add(&h, "aaaaaaaaaa", 10);
    weft_sha256_hex(&h, hex);
    assert_string_equal(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    assert_null(h.state);
    weft_sha256_clear(&h);
}

static void test_sha256_of_a_file(void **state)
{
    char hex[WEFT_SHA256_HEX];
    const char *dir = check_folder();
    check_ok(weft_file_write(check_path(dir, "a"), WEFT_STR("abc"), &err), &err);
    check_ok(weft_sha256_file(check_path(dir, "a"), hex, &err), &err);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    check_ok(weft_file_write(check_path(dir, "a"), WEFT_STR(""), &err), &err);
    check_ok(weft_sha256_file(check_path(dir, "a"), hex, &err), &err);
    assert_memory_equal(hex, "e3b0c442", 8);
    check_refuses(weft_sha256_file(check_path(dir, "b"), hex, &err), &err, WEFT_ESYSTEM, "", "cannot open");
    check_folder_gone(dir);
}

/* Fixed by the XXH3 format, so that a cache written elsewhere means the same here. */
static void test_xxh3_known_answers(void **state)
{
    assert_true(weft_xxh3("", 0, 0) == UINT64_C(0x2d06800538d394c2));
    assert_true(weft_xxh3("abc", 3, 0) == UINT64_C(0x78af5f94892f3950));
    assert_true(weft_xxh3("abc", 3, 1) != weft_xxh3("abc", 3, 0));
}

/* RFC 3720, appendix B.4. */
static void test_crc32c_known_answers(void **state)
{
    unsigned char bytes[32] = { 0 };
    assert_int_equal(weft_crc32c(0, "123456789", 9), 0xe3069283);
    assert_int_equal(weft_crc32c(0, bytes, 32), 0x8a9136aa);
    memset(bytes, 0xff, sizeof bytes);
    assert_int_equal(weft_crc32c(0, bytes, 32), 0x62a8ab43);
    for (int i = 0; i < 32; i++) bytes[i] = (unsigned char)i;
    assert_int_equal(weft_crc32c(0, bytes, 32), 0x46dd794e);
    assert_int_equal(weft_crc32c(weft_crc32c(0, bytes, 11), bytes + 11, 21), 0x46dd794e);
}

/* Whatever instructions are at hand, of every length and from every address. */
static void test_xxh3_is_that_of_the_library(void **state)
{
    unsigned char text[1400], got[WEFT_XXH3_BYTES];
    for (size_t i = 0; i < sizeof text; i++) text[i] = (unsigned char)(i * 131 + i / 7);
    for (size_t n = 0; n + 64 <= sizeof text; n++) {
        const unsigned char *p = text + n % 64;
        XXH128_canonical_t want;
        XXH128_canonicalFromHash(&want, XXH3_128bits(p, n));
        weft_xxh3_128(p, n, got);
        assert_memory_equal(got, want.digest, sizeof got);
        for (uint64_t seed = 0; seed < 3; seed++)
            assert_true(weft_xxh3(p, n, seed) == XXH3_64bits_withSeed(p, n, seed));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sha256_known_answers),
        cmocka_unit_test(test_sha256_of_a_file),
        cmocka_unit_test(test_xxh3_known_answers),
        cmocka_unit_test(test_xxh3_is_that_of_the_library),
        cmocka_unit_test(test_crc32c_known_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
