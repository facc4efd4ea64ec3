/* Rules TX1-TX7, one by one: which charset, what is repaired, where every line stood. */
#include "check.h"
#include "text/encode.h"

#include "text/charset.h"
#include "text/text.h"

#include <sys/stat.h>

/* A paragraph of ours with the characters that charsets differ in. */
static const char prose[] = "雨下了整整一夜，阿沅推开窗，看见河面上漂着一盏没有灭的灯。\n"
                            "“你还记得那年冬天吗？”她问。船夫摇了摇头，说：“不记得了。”\n";
static const char prose_hant[] = "雨下了整整一夜，阿沅推開窗，看見河面上漂著一盞沒有滅的燈。\n"
                                 "「你還記得那年冬天嗎？」她問。船夫搖了搖頭，說：「不記得了。」\n";

struct fixture {
    struct weft_arena arena;
    struct weft_err err;
    struct weft_text text;
};

#include "fixture.h"

static enum weft_status read_bytes(struct fixture *f, struct weft_str bytes, enum weft_charset charset)
{
    struct weft_text_settings s = { .charset = charset };
    weft_err_clear(&f->err);
    f->text = (struct weft_text){ 0 };
    return weft_text_from_memory(&f->arena, "t.txt", bytes, &s, &f->text, &f->err);
}

static struct weft_str join(struct fixture *f, struct weft_str x, struct weft_str y)
{
    char *s = weft_arena_alloc(&f->arena, x.len + y.len + 1);
    assert_non_null(s);
    memcpy(s, x.s, x.len);
    memcpy(s + x.len, y.s, y.len);
    return (struct weft_str){ s, x.len + y.len };
}

static void test_utf8_is_kept_and_lines_know_their_bytes(void **state)
{
    struct fixture *f = *state;
    check_ok(read_bytes(f, WEFT_STR("一\n二\n\n三"), WEFT_CHARSET_AUTO), &f->err);
    check_str(f->text.text, "一\n二\n\n三");
    assert_int_equal(f->text.charset, WEFT_CHARSET_UTF8);
    assert_int_equal(f->text.n_lines, 4);
    check_str(weft_text_line(&f->text, 1), "二");
    check_str(weft_text_line(&f->text, 2), "");
    check_str(weft_text_line(&f->text, 3), "三");
    assert_int_equal(f->text.lines[3].begin, 9);
    assert_int_equal(f->text.lines[3].end, 12);
    assert_int_equal(weft_text_line_of(&f->text, 0), 1);
    assert_int_equal(weft_text_line_of(&f->text, 5), 2);
    assert_int_equal(weft_text_line_of(&f->text, 11), 4);
    assert_false(weft_text_partial(&f->text));
}

static void test_a_final_line_end_begins_no_line(void **state)
{
    struct fixture *f = *state;
    check_ok(read_bytes(f, WEFT_STR("a\nb\n"), WEFT_CHARSET_AUTO), &f->err);
    assert_int_equal(f->text.n_lines, 2);
    check_ok(read_bytes(f, WEFT_STR("a\r\nb\r\n"), WEFT_CHARSET_AUTO), &f->err);
    assert_int_equal(f->text.n_lines, 2);
}

static void test_bom_is_left_out_and_offsets_still_count_it(void **state)
{
    struct fixture *f = *state;
    check_ok(read_bytes(f, WEFT_STR("\xEF\xBB\xBF第一幕\n甲：你好"), WEFT_CHARSET_AUTO), &f->err);
    check_str(f->text.text, "第一幕\n甲：你好");
    assert_true(f->text.bom);
    assert_int_equal(f->text.lines[0].begin, 3);
    assert_int_equal(f->text.lines[1].begin, 13);
    check_ok(read_bytes(f, WEFT_STR("\xEF\xBB\xBF\r\na\r\n"), WEFT_CHARSET_AUTO), &f->err);
    check_str(f->text.text, "\na\n");
    assert_int_equal(f->text.lines[1].begin, 5);
}

static void test_cr_and_crlf_become_lf(void **state)
{
    struct fixture *f = *state;
    check_ok(read_bytes(f, WEFT_STR("a\r\nb\rc\nd\r\r\ne"), WEFT_CHARSET_AUTO), &f->err);
    check_str(f->text.text, "a\nb\nc\nd\n\ne");
    assert_int_equal(f->text.cr, 4);
    assert_int_equal(f->text.n_lines, 6);
    assert_int_equal(f->text.lines[2].begin, 5);
    assert_int_equal(f->text.lines[5].begin, 11);
    assert_false(weft_text_partial(&f->text));
}

static void test_gb18030_is_found_and_lines_point_into_the_original(void **state)
{
    struct fixture *f = *state;
    struct weft_str gb = encode(&f->arena, prose, "GB18030");
    check_ok(read_bytes(f, gb, WEFT_CHARSET_AUTO), &f->err);
    assert_int_equal(f->text.charset, WEFT_CHARSET_GB18030);
    check_str(f->text.text, prose);
    assert_int_equal(f->text.n_lines, 2);
    const char *lf = memchr(gb.s, '\n', gb.len);
    assert_int_equal(f->text.lines[1].begin, lf - gb.s + 1);
    assert_int_equal(f->text.lines[1].end, gb.len - 1);
    assert_false(weft_text_partial(&f->text));
}

static void test_gb18030_four_byte_forms_are_read(void **state)
{
    struct fixture *f = *state;
    const char *text = "他写下一个很少见的字：𠀀，又写了一个：㐂。她说这个字不认识。\n";
    check_ok(read_bytes(f, encode(&f->arena, text, "GB18030"), WEFT_CHARSET_AUTO), &f->err);
    assert_int_equal(f->text.charset, WEFT_CHARSET_GB18030);
    check_str(f->text.text, text);
}

static void test_big5_is_told_from_gb18030(void **state)
{
    struct fixture *f = *state;
    check_ok(read_bytes(f, encode(&f->arena, prose_hant, "BIG5"), WEFT_CHARSET_AUTO), &f->err);
    assert_int_equal(f->text.charset, WEFT_CHARSET_BIG5);
    check_str(f->text.text, prose_hant);
    /* Traditional characters in GB18030 stay GB18030. */
    check_ok(read_bytes(f, encode(&f->arena, prose_hant, "GB18030"), WEFT_CHARSET_AUTO), &f->err);
    assert_int_equal(f->text.charset, WEFT_CHARSET_GB18030);
    check_str(f->text.text, prose_hant);
}

static void test_short_lines_are_told_apart_too(void **state)
{
    struct fixture *f = *state;
    check_ok(read_bytes(f, encode(&f->arena, "甲：你好。", "GB18030"), WEFT_CHARSET_AUTO), &f->err);
    check_str(f->text.text, "甲：你好。");
    check_ok(read_bytes(f, encode(&f->arena, "甲：你還好嗎？", "BIG5"), WEFT_CHARSET_AUTO), &f->err);
    check_str(f->text.text, "甲：你還好嗎？");
}

/* Their bytes pass for GB18030 or Big5; nothing in them says what they are, but they read as no Chinese. */
static void test_other_charsets_of_the_east_are_told_by_what_they_read_as(void **state)
{
    static const struct {
        const char *charset, *text;
    } others[] = {
        { "SHIFT_JIS", "川の水は一晩じゅう鳴っていた。窓を開けると、消えていない灯が一つ、ゆっくりと流れていくのが見えた。" },
        { "EUC-JP", "川の水は一晩じゅう鳴っていた。窓を開けると、消えていない灯が一つ、ゆっくりと流れていくのが見えた。" },
        { "EUC-KR", "강물은 밤새 울고 있었다. 창문을 열자 아직 꺼지지 않은 등불 하나가 천천히 흘러가는 것이 보였다. 아무도 묻지 않았다." },
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < WEFT_COUNT(others); i++) {
        check_ok(read_bytes(f, encode(&f->arena, others[i].text, others[i].charset), WEFT_CHARSET_AUTO), &f->err);
        assert_int_equal(f->text.n_notes, 1);
        check_contains(f->text.notes[0].s, "few of its characters are common in Chinese");
    }
    check_ok(read_bytes(f, encode(&f->arena, prose, "GB18030"), WEFT_CHARSET_AUTO), &f->err);
    assert_int_equal(f->text.n_notes, 0);
    check_ok(read_bytes(f, encode(&f->arena, prose_hant, "BIG5"), WEFT_CHARSET_AUTO), &f->err);
    assert_int_equal(f->text.n_notes, 0);
}

static void test_utf16_both_ways(void **state)
{
    struct fixture *f = *state;
    const char *text = "第一幕\n甲：𠀀你好\n";
    struct weft_str le = encode(&f->arena, text, "UTF-16LE"), be = encode(&f->arena, text, "UTF-16BE");
    check_ok(read_bytes(f, join(f, WEFT_STR("\xFF\xFE"), le), WEFT_CHARSET_AUTO), &f->err);
    check_str(f->text.text, text);
    assert_int_equal(f->text.charset, WEFT_CHARSET_UTF16LE);
    assert_int_equal(f->text.lines[1].begin, 2 + 8);
    check_ok(read_bytes(f, join(f, WEFT_STR("\xFE\xFF"), be), WEFT_CHARSET_AUTO), &f->err);
    check_str(f->text.text, text);
    assert_int_equal(f->text.charset, WEFT_CHARSET_UTF16BE);
    check_ok(read_bytes(f, be, WEFT_CHARSET_UTF16BE), &f->err);
    check_str(f->text.text, text);
    check_ok(read_bytes(f, encode(&f->arena, "a\r\nb\rc", "UTF-16LE"), WEFT_CHARSET_UTF16LE), &f->err);
    check_str(f->text.text, "a\nb\nc");
    assert_int_equal(f->text.lines[1].begin, 6);
    assert_int_equal(f->text.cr, 2);
}

static void test_utf16_faults_are_repaired_and_placed(void **state)
{
    struct fixture *f = *state;
    check_ok(read_bytes(f, WEFT_STR("\xFF\xFE" "a\0\n\0" "\x00\xD8" "b\0" "c"), WEFT_CHARSET_AUTO), &f->err);
    check_str(f->text.text, "a\n\xEF\xBF\xBD" "b\xEF\xBF\xBD");
    assert_int_equal(f->text.repaired, 2);
    assert_int_equal(f->text.places[0].line, 2);
    assert_int_equal(f->text.places[0].byte, 6);
    assert_int_equal(f->text.places[1].byte, 10);
    assert_true(weft_text_partial(&f->text));
}

static void test_utf32_is_refused_by_name(void **state)
{
    struct fixture *f = *state;
    check_fails(read_bytes(f, WEFT_STR("\xFF\xFE\0\0a\0\0\0"), WEFT_CHARSET_AUTO), &f->err, WEFT_EINPUT,
                "TX1", "UTF-32");
    check_fails(read_bytes(f, WEFT_STR("\0\0\xFE\xFF\0\0\0a"), WEFT_CHARSET_AUTO), &f->err, WEFT_EINPUT,
                "TX1", "UTF-32");
}

static struct weft_str repeat(struct fixture *f, struct weft_str s, size_t times)
{
    char *p = weft_arena_alloc(&f->arena, s.len * times + 1);
    assert_non_null(p);
    for (size_t i = 0; i < times; i++) memcpy(p + i * s.len, s.s, s.len);
    return (struct weft_str){ p, s.len * times };
}

static void test_damaged_utf8_is_repaired_not_taken_for_gb18030(void **state)
{
    struct fixture *f = *state;
    struct weft_str good = repeat(f, WEFT_STR("春眠不觉晓处处闻啼鸟\n"), 6);
    struct weft_str damaged = join(f, join(f, good, WEFT_STR("甲\xE4\xBD乙\n")), good);
    check_ok(read_bytes(f, damaged, WEFT_CHARSET_AUTO), &f->err);
    assert_int_equal(f->text.charset, WEFT_CHARSET_UTF8);
    assert_int_equal(f->text.repaired, 1);
    assert_int_equal(f->text.n_places, 1);
    assert_int_equal(f->text.places[0].line, 7);
    assert_int_equal(f->text.places[0].byte, good.len + 3);
    check_str(weft_text_line(&f->text, 6), "甲\xEF\xBF\xBD乙");
    assert_int_equal(f->text.replacement, 0);
    assert_true(weft_text_partial(&f->text));
}

static void test_too_much_damage_is_refused_but_can_be_forced(void **state)
{
    struct fixture *f = *state;
    struct weft_str text = repeat(f, WEFT_STR("他说的是我们的事\xE4\xBD不在这里\n"), 9);
    check_fails(read_bytes(f, text, WEFT_CHARSET_AUTO), &f->err, WEFT_EINPUT, "TX2", "byte 24");
    check_ok(read_bytes(f, text, WEFT_CHARSET_UTF8), &f->err);
    assert_int_equal(f->text.repaired, 9);
}

static void test_a_forced_charset_that_does_not_fit_is_refused(void **state)
{
    struct fixture *f = *state;
    check_fails(read_bytes(f, encode(&f->arena, prose, "GB18030"), WEFT_CHARSET_UTF8), &f->err, WEFT_EINPUT, "TX1",
                "utf-8");
    check_ok(read_bytes(f, join(f, encode(&f->arena, prose, "GB18030"), WEFT_STR("\x80\xFF")), WEFT_CHARSET_GB18030),
             &f->err);
    assert_int_equal(f->text.repaired, 2);
}

static void test_bytes_of_no_charset_are_refused_with_offsets(void **state)
{
    struct fixture *f = *state;
    check_fails(read_bytes(f, WEFT_STR("abc \xFF\xFF\xFF def"), WEFT_CHARSET_AUTO), &f->err, WEFT_EINPUT,
                "TX1", "byte 4");
    assert_non_null(strstr(f->err.msg, "--charset"));
    check_fails(read_bytes(f, WEFT_STR("a\r\nb\x80"), WEFT_CHARSET_AUTO), &f->err, WEFT_EINPUT, "TX1",
                "byte 4");
}

static void test_binary_magic_is_named(void **state)
{
    struct fixture *f = *state;
    static const struct {
        struct weft_str bytes;
        const char *name;
    } cases[] = {
        { { "PK\x03\x04xxxx", 8 }, "zip archive" },
        { { "\x89PNG\r\n\x1A\n", 8 }, "PNG" },
        { { "\x1F\x8B\x08", 3 }, "gzip" },
        { { "GGUF\x03\0\0\0", 8 }, "GGUF" },
        { { "version https://git-lfs.github.com/spec/v1\n", 43 }, "Git LFS" },
        { { "RIFF\1\2\3\4WEBP", 12 }, "WebP" },
    };
    for (size_t i = 0; i < WEFT_COUNT(cases); i++)
        check_fails(read_bytes(f, cases[i].bytes, WEFT_CHARSET_AUTO), &f->err, WEFT_EINPUT, "TX4",
                    cases[i].name);
    check_ok(read_bytes(f, WEFT_STR("BM is no picture, MZ is no program"), WEFT_CHARSET_AUTO), &f->err);
    check_ok(read_bytes(f, WEFT_STR("RIFF and WEBP in one text"), WEFT_CHARSET_AUTO), &f->err);
}

/* A text may say anything anywhere: "ustar" where a tar archive has it does not make it one, without the NUL behind. */
static void test_tar_needs_more_than_the_word(void **state)
{
    struct fixture *f = *state;
    char bytes[512];
    memset(bytes, 'x', sizeof bytes);
    memcpy(bytes + 257, "ustar", 5);
    check_ok(read_bytes(f, (struct weft_str){ bytes, sizeof bytes }, WEFT_CHARSET_AUTO), &f->err);
    bytes[262] = '\0';
    check_fails(read_bytes(f, (struct weft_str){ bytes, sizeof bytes }, WEFT_CHARSET_AUTO), &f->err, WEFT_EINPUT, "TX4",
                "tar archive");
}

static void test_few_nul_bytes_are_dropped_many_are_binary(void **state)
{
    struct fixture *f = *state;
    struct weft_str text = repeat(f, WEFT_STR("0123456789\n"), 100);
    struct weft_str with = join(f, join(f, WEFT_STR("a\0b\n"), text), WEFT_STR("end"));
    check_ok(read_bytes(f, with, WEFT_CHARSET_AUTO), &f->err);
    assert_int_equal(f->text.nul_dropped, 1);
    check_str(weft_text_line(&f->text, 0), "ab");
    assert_int_equal(f->text.lines[1].begin, 4);
    assert_int_equal(f->text.places[0].line, 1);
    assert_true(weft_text_partial(&f->text));
    check_fails(read_bytes(f, WEFT_STR("a\0b\0c"), WEFT_CHARSET_AUTO), &f->err, WEFT_EINPUT, "TX4", "NUL");
    check_fails(read_bytes(f, encode(&f->arena, "plain words", "UTF-16LE"), WEFT_CHARSET_AUTO), &f->err, WEFT_EINPUT,
                "TX4", "utf-16le");
}

static void test_a_file_without_ink_is_refused(void **state)
{
    struct fixture *f = *state;
    check_fails(read_bytes(f, WEFT_STR(""), WEFT_CHARSET_AUTO), &f->err, WEFT_EINPUT, "TX5", "empty");
    check_fails(read_bytes(f, WEFT_STR("\xEF\xBB\xBF"), WEFT_CHARSET_AUTO), &f->err, WEFT_EINPUT, "TX5",
                "no text");
    check_fails(read_bytes(f, WEFT_STR(" \n\t　\xE2\x80\x8B\r\n"), WEFT_CHARSET_AUTO), &f->err, WEFT_EINPUT,
                "TX5", "no text");
    check_ok(read_bytes(f, WEFT_STR(" . "), WEFT_CHARSET_AUTO), &f->err);
}

static void test_odd_characters_are_kept_and_counted(void **state)
{
    struct fixture *f = *state;
    check_ok(read_bytes(f,
                        WEFT_STR("a\xEE\x97\xA5"
                                 "b\xEF\xBF\xBD"
                                 "c\x01\t\xC2\x85\xF4\x80\x80\x80"),
                        WEFT_CHARSET_AUTO),
             &f->err);
    assert_int_equal(f->text.private_use, 2);
    assert_int_equal(f->text.replacement, 1);
    assert_int_equal(f->text.controls, 2);
    assert_int_equal(f->text.repaired, 0);
    assert_false(weft_text_partial(&f->text));
}

/* At every place of a text of several steps of the counting loop, the last bytes too. */
static void test_odd_characters_are_counted_wherever_they_stand(void **state)
{
    static const struct {
        const char *text;
        unsigned controls, private_use, replacement;
    } odd[] = { { "\x01", 1, 0, 0 },         { "\x7F", 1, 0, 0 },             { "\xC2\x85", 1, 0, 0 },
                { "\xC2\xA0", 0, 0, 0 },     { "\xEE\x80\x80", 0, 1, 0 },     { "\xEF\xA3\xBF", 0, 1, 0 },
                { "\xEF\xA4\x80", 0, 0, 0 }, { "\xEF\xBF\xBD", 0, 0, 1 },     { "\xEF\xBC\x8C", 0, 0, 0 },
                { "\xF3\xB0\x80\x80", 0, 1, 0 }, { "\xF4\x80\x80\x80", 0, 1, 0 }, { "\t", 0, 0, 0 } };
    (void)state;
    char text[640];
    for (size_t k = 0; k < WEFT_COUNT(odd); k++)
        for (size_t at = 0; at <= 600; at++) {
            size_t n = strlen(odd[k].text);
            memset(text, 'a', sizeof text);
            memcpy(text + at, odd[k].text, n);
            struct weft_text t = { .text = { text, 600 + n } };
            text[600 + n] = '\0';
            weft_charset_count_odd(&t);
            if (t.controls != odd[k].controls || t.private_use != odd[k].private_use
                || t.replacement != odd[k].replacement)
                fail_msg("%zu at %zu: %u controls, %u private, %u replacement", k, at, (unsigned)t.controls,
                         (unsigned)t.private_use, (unsigned)t.replacement);
        }
    /* and as many as a text holds */
    memset(text, '\x01', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    struct weft_text t = { .text = { text, sizeof text - 1 } };
    weft_charset_count_odd(&t);
    assert_int_equal(t.controls, sizeof text - 1);
}

static void test_sha256_is_of_the_original_bytes(void **state)
{
    struct fixture *f = *state;
    check_ok(read_bytes(f, WEFT_STR("\xEF\xBB\xBF" "abc\r\n"), WEFT_CHARSET_AUTO), &f->err);
    char want[WEFT_SHA256_HEX];
    check_ok(weft_sha256_of(WEFT_STR("\xEF\xBB\xBF" "abc\r\n"), want, &f->err), &f->err);
    assert_string_equal(f->text.sha256, want);
    assert_int_equal(f->text.bytes, 8);
}

static void test_a_long_line_is_no_fault_and_takes_linear_time(void **state)
{
    struct fixture *f = *state;
    size_t n = 1 << 20;
    struct weft_str crs = repeat(f, WEFT_STR("\r"), n);
    check_ok(read_bytes(f, join(f, crs, WEFT_STR("x")), WEFT_CHARSET_AUTO), &f->err);
    assert_int_equal(f->text.n_lines, n + 1);
    check_ok(read_bytes(f, repeat(f, WEFT_STR("长"), n), WEFT_CHARSET_AUTO), &f->err);
    assert_int_equal(f->text.n_lines, 1);
}

/* Random text of each charset comes back as it was (A7). */
static void test_random_text_round_trips(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *name;
        enum weft_charset charset;
    } charsets[] = { { "GB18030", WEFT_CHARSET_GB18030 },
                     { "UTF-16LE", WEFT_CHARSET_UTF16LE },
                     { "UTF-16BE", WEFT_CHARSET_UTF16BE } };
    uint64_t seed = 7;
    struct weft_buf b = { 0 };
    while (b.len < 200000) {
        uint32_t r = check_random(&seed);
        uint32_t cp = r % 7 == 0    ? 0x20 + r / 7 % 0x5F
                      : r % 11 == 0 ? 0x20000 + r / 11 % 0xA000
                                    : 0x4E00 + r / 77 % 0x5000;
        weft_buf_utf8(&b, r % 50 == 0 ? '\n' : cp);
    }
    weft_buf_char(&b, 'x');
    for (size_t i = 0; i < WEFT_COUNT(charsets); i++) {
        check_ok(read_bytes(f, encode(&f->arena, b.s, charsets[i].name), charsets[i].charset), &f->err);
        assert_int_equal(f->text.repaired, 0);
        assert_true(weft_str_eq(f->text.text, weft_buf_view(&b)));
    }
    weft_buf_clear(&b);
}

static void test_files_are_read_and_what_is_no_file_is_refused(void **state)
{
    struct fixture *f = *state;
    const char *folder = check_folder();
    const char *path = weft_path_join(&f->arena, folder, "a.txt"),
               *fifo = weft_path_join(&f->arena, folder, "fifo");
    check_ok(weft_file_write(path, WEFT_STR("你好\n"), &f->err), &f->err);
    check_ok(weft_text_read(&f->arena, path, NULL, &f->text, &f->err), &f->err);
    check_str(f->text.text, "你好\n");
    check_str(f->text.name, path);
    struct weft_text_settings small = { .max_bytes = 3 };
    check_fails(weft_text_read(&f->arena, path, &small, &f->text, &f->err), &f->err, WEFT_ELIMIT, NULL, "3");
    weft_err_clear(&f->err);
    check_fails(weft_text_read(&f->arena, folder, NULL, &f->text, &f->err), &f->err, WEFT_EINPUT, NULL,
                "folder");
    weft_err_clear(&f->err);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    check_fails(weft_text_read(&f->arena, fifo, NULL, &f->text, &f->err), &f->err, WEFT_EINPUT, NULL, "FIFO");
    check_folder_gone(folder);
}

/* Slices of the real texts: any stretch of GB18030 prose of 40 bytes and more is known for what it is. */
static void test_slices_of_real_prose_are_recognised(void **state)
{
    struct fixture *f = *state;
    const char *path = weft_path_join(&f->arena, check_outside("WEFT_SHARED_DATA"), "西游记白话文.txt");
    struct weft_text t;
    check_ok(weft_text_read(&f->arena, path, NULL, &t, &f->err), &f->err);
    uint64_t seed = 3;
    size_t wrong = 0, n = 2000;
    for (size_t i = 0; i < n; i++) {
        struct weft_arena_mark mark = weft_arena_mark(&f->arena);
        size_t chars = 20 + check_random(&seed) % 60;
        size_t at = check_random(&seed) % (t.text.len - 1000);
        while (((unsigned char)t.text.s[at] & 0xC0) == 0x80) at++;
        struct weft_str slice = weft_str_skip(t.text, at);
        slice.len = weft_utf8_offset(slice, chars);
        char *copy = weft_arena_strndup(&f->arena, slice.s, slice.len);
        enum weft_status st = read_bytes(f, encode(&f->arena, copy, "GB18030"), WEFT_CHARSET_AUTO);
        wrong += st != WEFT_OK || !weft_str_eq(f->text.text, slice);
        weft_arena_release(&f->arena, mark);
    }
    print_message("%zu of %zu slices of 20 to 79 characters not recognised\n", wrong, n);
    assert_true(wrong * 500 <= n);
}

/* ---- sections ---- */

static void add_section(struct fixture *f, size_t line, uint64_t page, const char *part)
{
    struct weft_text_section s = { .first_line = line, .page = page, .part = weft_str_c(part) };
    check_ok(weft_text_section_add(&f->arena, &f->text, s, &f->err), &f->err);
}

static void test_plain_text_has_no_sections_and_spans_count_in_the_file(void **state)
{
    struct fixture *f = *state;
    check_ok(read_bytes(f, WEFT_STR("a\nbb\nccc\n"), WEFT_CHARSET_AUTO), &f->err);
    assert_null(weft_text_section_of(&f->text, 1));
    assert_int_equal(weft_text_page_of(&f->text, 1), 0);
    struct weft_text_span span = weft_text_span_of(&f->text, 1, 2);
    assert_int_equal(span.begin, 2);
    assert_int_equal(span.end, 8);
    assert_null(span.part.s);
}

static void test_a_line_finds_its_section_and_a_span_stays_in_its_part(void **state)
{
    struct fixture *f = *state;
    check_ok(read_bytes(f, WEFT_STR("0\n1\n2\n3\n4\n5\n"), WEFT_CHARSET_AUTO), &f->err);
    add_section(f, 0, 1, "one");
    add_section(f, 2, 2, "one");
    add_section(f, 4, 0, "empty");      /* gave no line, so the next takes its place */
    add_section(f, 4, 3, "two");
    assert_int_equal(f->text.n_sections, 3);
    static const uint64_t pages[] = { 1, 1, 2, 2, 3, 3 };
    for (size_t i = 0; i < 6; i++) assert_int_equal(weft_text_page_of(&f->text, i), pages[i]);
    check_str(weft_text_section_of(&f->text, 5)->part, "two");
    struct weft_text_span span = weft_text_span_of(&f->text, 1, 5);
    check_str(span.part, "one");
    assert_int_equal(span.page, 1);
    assert_int_equal(span.begin, 2);
    assert_int_equal(span.end, 7);      /* line 3 is the last of part "one" */
    span = weft_text_span_of(&f->text, 4, 5);
    check_str(span.part, "two");
    assert_int_equal(span.end, 11);
}

static void test_many_sections_and_a_full_list_of_notes(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < 1000; i++) add_section(f, 3 * i, i + 1, "");
    for (size_t i = 0; i < 3000; i++) assert_int_equal(weft_text_page_of(&f->text, i), i / 3 + 1);
    for (int i = 0; i < WEFT_TEXT_PLACES + 5; i++)
        check_ok(weft_text_note(&f->arena, &f->text, &f->err, "note %d", i), &f->err);
    assert_int_equal(f->text.n_notes, WEFT_TEXT_PLACES);
    check_str(f->text.notes[99], "note 99");
    f->text.left_out = 1;
    assert_true(weft_text_partial(&f->text));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_utf8_is_kept_and_lines_know_their_bytes),
        TEST(test_a_final_line_end_begins_no_line),
        TEST(test_bom_is_left_out_and_offsets_still_count_it),
        TEST(test_cr_and_crlf_become_lf),
        TEST(test_gb18030_is_found_and_lines_point_into_the_original),
        TEST(test_gb18030_four_byte_forms_are_read),
        TEST(test_big5_is_told_from_gb18030),
        TEST(test_short_lines_are_told_apart_too),
        TEST(test_other_charsets_of_the_east_are_told_by_what_they_read_as),
        TEST(test_utf16_both_ways),
        TEST(test_utf16_faults_are_repaired_and_placed),
        TEST(test_utf32_is_refused_by_name),
        TEST(test_damaged_utf8_is_repaired_not_taken_for_gb18030),
        TEST(test_too_much_damage_is_refused_but_can_be_forced),
        TEST(test_a_forced_charset_that_does_not_fit_is_refused),
        TEST(test_bytes_of_no_charset_are_refused_with_offsets),
        TEST(test_binary_magic_is_named),
        TEST(test_tar_needs_more_than_the_word),
        TEST(test_few_nul_bytes_are_dropped_many_are_binary),
        TEST(test_a_file_without_ink_is_refused),
        TEST(test_odd_characters_are_kept_and_counted),
        TEST(test_odd_characters_are_counted_wherever_they_stand),
        TEST(test_sha256_is_of_the_original_bytes),
        TEST(test_a_long_line_is_no_fault_and_takes_linear_time),
        TEST(test_random_text_round_trips),
        TEST(test_files_are_read_and_what_is_no_file_is_refused),
        TEST(test_slices_of_real_prose_are_recognised),
        TEST(test_plain_text_has_no_sections_and_spans_count_in_the_file),
        TEST(test_a_line_finds_its_section_and_a_span_stays_in_its_part),
        TEST(test_many_sections_and_a_full_list_of_notes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
