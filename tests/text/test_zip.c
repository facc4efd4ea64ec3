/* Rules ZP1-ZP6, one by one: which directories are believed, which parts are unpacked, where it stops. */
#include "check.h"
#include "zip_make.h"

#include "text/zip.h"

struct fixture {
    struct weft_arena arena;
    struct weft_err err;
    struct zip_make make;
    struct weft_zip zip;
    struct weft_zip_limits limits;
};

#define FIXTURE_CLEAR(f) zip_clear(&(f)->make)
#include "fixture.h"

static enum weft_status open_zip(struct fixture *f)
{
    weft_err_clear(&f->err);
    return weft_zip_open(&f->zip, &f->arena, "t.docx", weft_buf_view(&f->make.b), &f->limits, &f->err);
}

static enum weft_status read_part(struct fixture *f, const char *name, struct weft_str *out)
{
    const struct weft_zip_entry *e = weft_zip_find(&f->zip, weft_str_c(name));
    assert_non_null(e);
    weft_err_clear(&f->err);
    return weft_zip_read(&f->zip, &f->arena, e, out, &f->err);
}

static const char text[] = "雨下了整整一夜，雨下了整整一夜，雨下了整整一夜。";

/* Two parts: "a.txt" deflated, "b/c.txt" stored. */
static void make_two(struct fixture *f)
{
    zip_clear(&f->make);
    zip_add(&f->make, "a.txt", text);
    zip_add_as(&f->make, WEFT_STR("b/c.txt"), WEFT_STR("second"), 0, false);
    zip_end(&f->make);
}

static void test_stored_and_deflated_parts_are_read(void **state)
{
    struct fixture *f = *state;
    struct weft_str s;
    make_two(f);
    check_ok(open_zip(f), &f->err);
    assert_int_equal(f->zip.n, 2);
    assert_true(f->zip.first_is_first);
    check_ok(read_part(f, "a.txt", &s), &f->err);
    check_str(s, text);
    check_ok(read_part(f, "b/c.txt", &s), &f->err);
    check_str(s, "second");
    assert_null(weft_zip_find(&f->zip, WEFT_STR("A.txt")));
    assert_null(weft_zip_find(&f->zip, WEFT_STR("b")));
}

static void test_descriptors_comments_and_empty_parts_are_read(void **state)
{
    struct fixture *f = *state;
    struct weft_str s;
    zip_add_as(&f->make, WEFT_STR("a.txt"), weft_str_c(text), 8, true);
    zip_add(&f->make, "empty", "");
    zip_add_as(&f->make, WEFT_STR("none"), WEFT_STR(""), 0, false);
    zip_end_as(&f->make, false, WEFT_STR("a comment with PK\5\6 inside that is long enough to hold an end record"));
    check_ok(open_zip(f), &f->err);
    check_ok(read_part(f, "a.txt", &s), &f->err);
    check_str(s, text);
    check_ok(read_part(f, "empty", &s), &f->err);
    assert_int_equal(s.len, 0);
    check_ok(read_part(f, "none", &s), &f->err);
}

static void test_zip64_is_read_where_consistent(void **state)
{
    struct fixture *f = *state;
    struct weft_str s;
    zip_add(&f->make, "a.txt", text);
    zip_end_as(&f->make, true, WEFT_STR(""));
    check_ok(open_zip(f), &f->err);
    check_ok(read_part(f, "a.txt", &s), &f->err);
    check_str(s, text);
    size_t end = f->make.end_at;
    zip_set32(&f->make, end + 16, 7);                       /* the end record says something else */
    check_fails(open_zip(f), &f->err, WEFT_EINPUT, "ZP1", "zip64");
    zip_set32(&f->make, end + 16, UINT32_MAX);
    zip_set32(&f->make, end - 20 + 8, 0);                   /* the locator points elsewhere */
    check_fails(open_zip(f), &f->err, WEFT_EINPUT, "ZP1", "zip64");
    zip_set32(&f->make, end - 20 + 12, 0x80000000);         /* ... or beyond the file */
    check_fails(open_zip(f), &f->err, WEFT_EINPUT, "ZP1", "zip64");
    zip_set32(&f->make, end - 20, 0);                       /* ... or is not there */
    check_fails(open_zip(f), &f->err, WEFT_EINPUT, "ZP1", "zip64");
    make_two(f);
    zip_set32(&f->make, f->make.parts[0].central_at + 24, UINT32_MAX);  /* no extra field */
    check_fails(open_zip(f), &f->err, WEFT_EINPUT, "ZP1", "a.txt: its zip64 values are missing");
}

static void test_zp1_the_end_record_is_whole_and_last(void **state)
{
    struct fixture *f = *state;
    make_two(f);
    weft_buf_char(&f->make.b, 'x');
    check_fails(open_zip(f), &f->err, WEFT_EINPUT, "ZP1", "t.docx: byte ");
    make_two(f);
    zip_set16(&f->make, f->make.end_at + 20, 5);            /* a comment longer than the file */
    check_fails(open_zip(f), &f->err, WEFT_EINPUT, "ZP1", "no end record");
    make_two(f);
    zip_set16(&f->make, f->make.end_at + 4, 1);
    check_fails(open_zip(f), &f->err, WEFT_EINPUT, "ZP1", "several pieces");
    make_two(f);
    zip_set16(&f->make, f->make.end_at + 8, 1);
    check_fails(open_zip(f), &f->err, WEFT_EINPUT, "ZP1", "several pieces");
    make_two(f);
    zip_set32(&f->make, f->make.end_at + 16, (uint32_t)f->make.end_at);
    check_fails(open_zip(f), &f->err, WEFT_EINPUT, "ZP1", "does not lie inside the file");
    zip_set32(&f->make, f->make.end_at + 16, 0xFFFFFFF0);
    check_fails(open_zip(f), &f->err, WEFT_EINPUT, "ZP1", "does not lie inside the file");
    make_two(f);
    zip_set32(&f->make, f->make.end_at + 12, 0xFFFFFFF0);
    check_fails(open_zip(f), &f->err, WEFT_EINPUT, "ZP1", "does not lie inside the file");
}

/* A1: a container cut at any byte is refused, with the place; no prefix is taken for a whole file. */
static void test_every_prefix_is_refused(void **state)
{
    struct fixture *f = *state;
    make_two(f);
    struct weft_str whole = weft_buf_view(&f->make.b);
    for (size_t n = 0; n < whole.len; n++) {
        char *cut = malloc(n ? n : 1);          /* of its own, so that a sanitizer sees one byte too far */
        assert_non_null(cut);
        memcpy(cut, whole.s, n);
        struct weft_zip z;
        struct weft_str part = { cut, n };
        weft_err_clear(&f->err);
        check_fails(weft_zip_open(&z, &f->arena, "t.docx", part, NULL, &f->err), &f->err, WEFT_EINPUT, "ZP1", "byte");
        (void)weft_zip_kind(part);
        free(cut);
    }
}

static void test_zp2_the_count_is_as_announced(void **state)
{
    struct fixture *f = *state;
    make_two(f);
    zip_set16(&f->make, f->make.end_at + 8, 1);
    zip_set16(&f->make, f->make.end_at + 10, 1);
    check_fails(open_zip(f), &f->err, WEFT_EINPUT, "ZP2", "goes on behind the 1 parts");
    zip_set16(&f->make, f->make.end_at + 8, 3);
    zip_set16(&f->make, f->make.end_at + 10, 3);
    check_fails(open_zip(f), &f->err, WEFT_EINPUT, "ZP2", "3");
    zip_set16(&f->make, f->make.end_at + 8, 300);
    zip_set16(&f->make, f->make.end_at + 10, 300);
    check_fails(open_zip(f), &f->err, WEFT_EINPUT, "ZP2", "300 parts are announced");
    make_two(f);
    zip_set16(&f->make, f->make.parts[1].central_at + 28, 60000);   /* a name beyond the directory */
    check_fails(open_zip(f), &f->err, WEFT_EINPUT, "ZP2", "ends before");
    make_two(f);
    zip_set32(&f->make, f->make.parts[1].central_at, 0);
    check_fails(open_zip(f), &f->err, WEFT_EINPUT, "ZP2", "ends before");
}

static void test_zp2_names_stay_inside_and_are_unique(void **state)
{
    struct fixture *f = *state;
    static const struct {
        struct weft_str name;
        const char *fault;
    } bad[] = {
        { WEFT_STR("../a"), "leads out" },         { WEFT_STR("a/../../b"), "leads out" }, { WEFT_STR(".."), "leads out" },
        { WEFT_STR("a/.."), "leads out" },         { WEFT_STR("..\\a"), "leads out" },     { WEFT_STR("/etc/x"), "begins with /" },
        { WEFT_STR("\\x"), "begins with /" },      { WEFT_STR("C:x"), "drive" },           { WEFT_STR("d:\\x"), "drive" },
        { WEFT_STR("a\0b"), "NUL" },               { WEFT_STR(""), "empty" },
    };
    for (size_t i = 0; i < WEFT_COUNT(bad); i++) {
        zip_clear(&f->make);
        zip_add_as(&f->make, bad[i].name, WEFT_STR("x"), 0, false);
        zip_end(&f->make);
        check_fails(open_zip(f), &f->err, WEFT_EINPUT, "ZP2", bad[i].fault);
    }
    static const char *const good[] = { "a..b", "...", "a/.b/..c", "目录/文件.xml", "a b", "12:x", "dir/" };
    zip_clear(&f->make);
    for (size_t i = 0; i < WEFT_COUNT(good); i++) zip_add(&f->make, good[i], "x");
    zip_end(&f->make);
    check_ok(open_zip(f), &f->err);
    for (size_t i = 0; i < WEFT_COUNT(good); i++) assert_non_null(weft_zip_find(&f->zip, weft_str_c(good[i])));

    zip_clear(&f->make);
    zip_add(&f->make, "a/b", "1");
    zip_add(&f->make, "a\\b", "2");
    zip_end(&f->make);
    check_fails(open_zip(f), &f->err, WEFT_EINPUT, "ZP2", "two parts have the name a/b");
    zip_clear(&f->make);
    zip_add(&f->make, "a\\b", "2");
    zip_end(&f->make);
    check_ok(open_zip(f), &f->err);
    assert_non_null(weft_zip_find(&f->zip, WEFT_STR("a/b")));
}

static void test_zp3_encrypted_or_unknown_parts_cannot_be_read_and_harm_no_other(void **state)
{
    struct fixture *f = *state;
    struct weft_str s;
    make_two(f);
    zip_set16(&f->make, f->make.parts[0].local_at + 8, 12);
    zip_set16(&f->make, f->make.parts[0].central_at + 10, 12);
    check_ok(open_zip(f), &f->err);
    check_fails(read_part(f, "a.txt", &s), &f->err, WEFT_EINPUT, "ZP3", "method 12");
    check_ok(read_part(f, "b/c.txt", &s), &f->err);
    make_two(f);
    zip_set16(&f->make, f->make.parts[0].central_at + 8, 1);
    check_ok(open_zip(f), &f->err);
    check_fails(read_part(f, "a.txt", &s), &f->err, WEFT_EINPUT, "ZP3", "encrypted");
    make_two(f);
    zip_set16(&f->make, f->make.parts[0].local_at + 6, 1);          /* only the local header says so */
    check_ok(open_zip(f), &f->err);
    check_fails(read_part(f, "a.txt", &s), &f->err, WEFT_EINPUT, "ZP3", "encrypted");
    check_ok(read_part(f, "b/c.txt", &s), &f->err);
}

static void test_zp4_local_headers_agree(void **state)
{
    struct fixture *f = *state;
    static const struct {
        size_t at;
        unsigned value;
        const char *what;
    } faults[] = {
        { 0, 0, "position" },              { 8, 0, "method" },           { 14, 1, "checksum" }, { 18, 1, "size" },
        { 22, 1, "size" },              { 26, 4, "name" },            { 30, 'x', "name" },   { 28, 0xFFFF, "name" },
    };
    for (size_t i = 0; i < WEFT_COUNT(faults); i++) {
        make_two(f);
        zip_set16(&f->make, f->make.parts[0].local_at + faults[i].at, faults[i].value);
        check_fails(open_zip(f), &f->err, WEFT_EINPUT, "ZP4", faults[i].what);
    }
    make_two(f);
    zip_set32(&f->make, f->make.parts[1].central_at + 42, 0xFFFFFF00);
    check_fails(open_zip(f), &f->err, WEFT_EINPUT, "ZP4", "b/c.txt: the position");
}

static void test_zp4_parts_do_not_share_bytes(void **state)
{
    struct fixture *f = *state;
    /* A whole part inside the data of another: the classic of bombs that quote themselves. */
    struct zip_make inner = { 0 };
    zip_add_as(&inner, WEFT_STR("inner"), WEFT_STR("abc"), 0, false);
    struct zip_part *outer =
        zip_add_as(&f->make, WEFT_STR("outer"), weft_buf_view(&inner.b), 0, false);
    size_t at = outer->data_at;
    struct zip_part *second = zip_add_as(&f->make, WEFT_STR("inner"), WEFT_STR("abc"), 0, false);
    second->local_at = at;
    zip_end(&f->make);
    zip_clear(&inner);
    check_fails(open_zip(f), &f->err, WEFT_EINPUT, "ZP4", "outer and inner overlap");
    /* Data that reaches into the directory. */
    zip_clear(&f->make);
    struct zip_part *p = zip_add_as(&f->make, WEFT_STR("a"), WEFT_STR("abc"), 0, true);
    p->packed += 17;
    zip_end(&f->make);
    check_fails(open_zip(f), &f->err, WEFT_EINPUT, "ZP4", "the packed length");
}

static void test_zp5_size_and_checksum_decide(void **state)
{
    struct fixture *f = *state;
    struct weft_str s;
    make_two(f);
    size_t right = f->make.parts[0].bytes;
    for (int d = -2; d <= 2; d++) {             /* every announced size but the right one */
        if (!d) continue;
        zip_set32(&f->make, f->make.parts[0].local_at + 22, (uint32_t)((int)right + d));
        zip_set32(&f->make, f->make.parts[0].central_at + 24, (uint32_t)((int)right + d));
        check_ok(open_zip(f), &f->err);
        check_fails(read_part(f, "a.txt", &s), &f->err, WEFT_EINPUT, "ZP5",
                    d < 0 ? "a.txt holds more than" : "a.txt is damaged");
    }
    make_two(f);
    /* every byte of the packed data but the last, whose high bits may be unused */
    for (size_t i = 0; i + 1 < f->make.parts[0].packed; i++) {
        f->make.b.s[f->make.parts[0].data_at + i] ^= 0x10;
        check_ok(open_zip(f), &f->err);
        check_fails(read_part(f, "a.txt", &s), &f->err, WEFT_EINPUT, "ZP5", "part a.txt");
        f->make.b.s[f->make.parts[0].data_at + i] ^= 0x10;
    }
    f->make.b.s[f->make.parts[1].data_at] ^= 1;
    check_ok(open_zip(f), &f->err);
    check_fails(read_part(f, "b/c.txt", &s), &f->err, WEFT_EINPUT, "ZP5", "checksum");
    /* A stored part of two sizes, and bytes behind the end of the deflated data. */
    make_two(f);
    zip_set32(&f->make, f->make.parts[1].local_at + 22, 5);
    zip_set32(&f->make, f->make.parts[1].central_at + 24, 5);
    check_ok(open_zip(f), &f->err);
    check_fails(read_part(f, "b/c.txt", &s), &f->err, WEFT_EINPUT, "ZP5", "cannot hold");
    zip_clear(&f->make);
    struct zip_part *p = zip_add_as(&f->make, WEFT_STR("a.txt"), weft_str_c(text), 8, true);
    p->packed += 4;
    zip_end(&f->make);
    check_ok(open_zip(f), &f->err);
    check_fails(read_part(f, "a.txt", &s), &f->err, WEFT_EINPUT, "ZP5", "damaged");
}

static void test_zp5_limits_name_themselves(void **state)
{
    struct fixture *f = *state;
    struct weft_str s;
    size_t n = 9 << 20;
    char *zeros = calloc(1, n);
    assert_non_null(zeros);
    make_two(f);
    f->limits.max_entries = 1;
    check_fails(open_zip(f), &f->err, WEFT_ELIMIT, "ZP5", "max_zip_entries");
    f->limits = (struct weft_zip_limits){ .max_entry_bytes = 20 };
    check_ok(open_zip(f), &f->err);
    check_fails(read_part(f, "a.txt", &s), &f->err, WEFT_ELIMIT, "ZP5", "max_zip_part_bytes");
    check_ok(read_part(f, "b/c.txt", &s), &f->err);
    f->limits = (struct weft_zip_limits){ .max_total_bytes = (int64_t)strlen(text) + 5 };
    check_ok(open_zip(f), &f->err);
    check_ok(read_part(f, "a.txt", &s), &f->err);
    check_fails(read_part(f, "b/c.txt", &s), &f->err, WEFT_ELIMIT, "ZP5", "max_zip_bytes");

    /* 9 MiB of zeros deflate to some 9 KB: a thousand to one. */
    f->limits = (struct weft_zip_limits){ 0 };
    zip_clear(&f->make);
    zip_add_as(&f->make, WEFT_STR("zeros"), (struct weft_str){ zeros, n }, 8, false);
    zip_end(&f->make);
    check_ok(open_zip(f), &f->err);
    size_t before = f->arena.held_bytes;
    check_fails(read_part(f, "zeros", &s), &f->err, WEFT_ELIMIT, "ZP5", "max_zip_ratio");
    assert_int_equal(f->arena.held_bytes, before);          /* refused before room was made for it */
    f->limits.max_ratio = 2000;
    check_ok(open_zip(f), &f->err);
    check_ok(read_part(f, "zeros", &s), &f->err);
    assert_int_equal(s.len, n);
    free(zeros);

    /* Below 8 MiB a size that deflate cannot reach is refused as well. */
    f->limits = (struct weft_zip_limits){ 0 };
    make_two(f);
    zip_set32(&f->make, f->make.parts[0].local_at + 22, 8 << 20);
    zip_set32(&f->make, f->make.parts[0].central_at + 24, 8 << 20);
    check_ok(open_zip(f), &f->err);
    check_fails(read_part(f, "a.txt", &s), &f->err, WEFT_EINPUT, "ZP5", "cannot hold");

    char name[1026];
    memset(name, 'n', sizeof name - 1);
    zip_clear(&f->make);
    zip_add_as(&f->make, (struct weft_str){ name, 1025 }, WEFT_STR("x"), 0, false);
    zip_end(&f->make);
    check_fails(open_zip(f), &f->err, WEFT_ELIMIT, "ZP5", "1025 bytes");
    zip_clear(&f->make);
    zip_add_as(&f->make, (struct weft_str){ name, 1024 }, WEFT_STR("x"), 0, false);
    zip_end(&f->make);
    check_ok(open_zip(f), &f->err);
}

/* ZP6: an archive inside is bytes like any other. */
static void test_zp6_an_inner_archive_stays_closed(void **state)
{
    struct fixture *f = *state;
    struct weft_str s;
    struct zip_make inner = { 0 };
    zip_add_as(&inner, WEFT_STR("word/document.xml"), WEFT_STR("<x/>"), 0, false);
    zip_end(&inner);
    zip_add_as(&f->make, WEFT_STR("inner.zip"), weft_buf_view(&inner.b), 0, false);
    zip_end(&f->make);
    check_ok(open_zip(f), &f->err);
    assert_int_equal(f->zip.n, 1);
    assert_null(weft_zip_find(&f->zip, WEFT_STR("word/document.xml")));
    check_ok(read_part(f, "inner.zip", &s), &f->err);
    assert_true(weft_str_eq(s, weft_buf_view(&inner.b)));
    assert_int_equal(weft_zip_kind(weft_buf_view(&f->make.b)), WEFT_ZIP_OTHER);
    zip_clear(&inner);
}

static void test_kinds_are_told_by_their_names(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *first, *content, *second;
        enum weft_zip_kind kind;
    } cases[] = {
        { "[Content_Types].xml", "<x/>", "word/document.xml", WEFT_ZIP_DOCX },
        { "[Content_Types].xml", "<x/>", "xl/workbook.xml", WEFT_ZIP_XLSX },
        { "[Content_Types].xml", "<x/>", "ppt/presentation.xml", WEFT_ZIP_PPTX },
        { "mimetype", "application/epub+zip", "META-INF/container.xml", WEFT_ZIP_EPUB },
        { "OEBPS/a.xhtml", "x", "META-INF/container.xml", WEFT_ZIP_EPUB },
        { "mimetype", "application/vnd.oasis.opendocument.text", "content.xml", WEFT_ZIP_ODT },
        { "mimetype", "application/vnd.oasis.opendocument.spreadsheet", "content.xml", WEFT_ZIP_ODS },
        { "mimetype", "application/vnd.oasis.opendocument.presentation", "content.xml", WEFT_ZIP_ODP },
        { "a.txt", "x", "b.txt", WEFT_ZIP_OTHER },
    };
    for (size_t i = 0; i < WEFT_COUNT(cases); i++) {
        zip_clear(&f->make);
        zip_add_as(&f->make, weft_str_c(cases[i].first), weft_str_c(cases[i].content), 0, false);
        zip_add(&f->make, cases[i].second, "second");
        struct weft_str whole = zip_end(&f->make);
        assert_int_equal(weft_zip_kind(whole), cases[i].kind);
        /* Without its end it is still known by what stands in front, or called cut. */
        assert_int_equal(weft_zip_kind(weft_str_sub(whole, 0, whole.len - 1)),
                         cases[i].kind == WEFT_ZIP_OTHER ? WEFT_ZIP_CUT : cases[i].kind);
    }
    zip_clear(&f->make);
    assert_int_equal(weft_zip_kind(zip_end(&f->make)), WEFT_ZIP_EMPTY);
    assert_int_equal(weft_zip_kind(WEFT_STR("PK is a name")), WEFT_ZIP_NOT);
    assert_int_equal(weft_zip_kind(WEFT_STR("")), WEFT_ZIP_NOT);
}

static void test_messages_are_written_in_chinese_too(void **state)
{
    struct fixture *f = *state;
    f->err.lang = WEFT_LANG_ZH;
    zip_add_as(&f->make, WEFT_STR("../a"), WEFT_STR("x"), 0, false);
    zip_end(&f->make);
    check_fails(open_zip(f), &f->err, WEFT_EINPUT, "ZP2", "指向了压缩包之外");
}

/* The directory of many parts takes linear-logarithmic time and is refused where memory gives out. */
static void test_memory_that_gives_out_is_told(void **state)
{
    struct fixture *f = *state;
    make_two(f);
    for (size_t max = 1; max < 4000; max += 97) {
        struct weft_arena a = { .max_bytes = max, .block_bytes = 64 };
        struct weft_err err = { 0 };
        struct weft_zip z;
        struct weft_str s;
        enum weft_status st = weft_zip_open(&z, &a, "t", weft_buf_view(&f->make.b), NULL, &err);
        if (!st) st = weft_zip_read(&z, &a, &z.entries[0], &s, &err);
        assert_true(st == WEFT_OK || (st == WEFT_ENOMEM && err.msg[0]));
        weft_arena_clear(&a);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_stored_and_deflated_parts_are_read),
        TEST(test_descriptors_comments_and_empty_parts_are_read),
        TEST(test_zip64_is_read_where_consistent),
        TEST(test_zp1_the_end_record_is_whole_and_last),
        TEST(test_every_prefix_is_refused),
        TEST(test_zp2_the_count_is_as_announced),
        TEST(test_zp2_names_stay_inside_and_are_unique),
        TEST(test_zp3_encrypted_or_unknown_parts_cannot_be_read_and_harm_no_other),
        TEST(test_zp4_local_headers_agree),
        TEST(test_zp4_parts_do_not_share_bytes),
        TEST(test_zp5_size_and_checksum_decide),
        TEST(test_zp5_limits_name_themselves),
        TEST(test_zp6_an_inner_archive_stays_closed),
        TEST(test_kinds_are_told_by_their_names),
        TEST(test_messages_are_written_in_chinese_too),
        TEST(test_memory_that_gives_out_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
