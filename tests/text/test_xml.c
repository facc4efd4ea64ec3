/* Rules XM1-XM5: what is parsed, what is refused and where, and what is never opened. */
#include "check.h"

#include "text/xml.h"

#include <sys/resource.h>
#include <time.h>

struct fixture {
    struct weft_err err;
    struct weft_buf log;                /* "<{space}local a=v>text</local>" */
    struct weft_xml_place places[64];
    size_t n_places;
};

static int setup(void **state)
{
    *state = calloc(1, sizeof(struct fixture));
    return *state ? 0 : -1;
}
static int teardown(void **state)
{
    struct fixture *f = *state;
    weft_buf_clear(&f->log);
    free(f);
    return 0;
}

static void log_name(struct weft_buf *b, struct weft_xml_name n)
{
    if (n.space.len) weft_buf_printf(b, "{%.*s}", (int)n.space.len, n.space.s);
    weft_buf_str(b, n.local);
}
static void log_place(struct fixture *f, struct weft_xml_place at)
{
    if (f->n_places < 64) f->places[f->n_places++] = at;
}
static enum weft_status on_open(void *ctx, const struct weft_xml_element *e, struct weft_xml_place at,
                                struct weft_err *err)
{
    struct fixture *f = ctx;
    weft_buf_char(&f->log, '<');
    log_name(&f->log, e->name);
    for (size_t i = 0; i < e->n_attrs; i++) {
        weft_buf_char(&f->log, ' ');
        log_name(&f->log, e->attrs[i].name);
        weft_buf_char(&f->log, '=');
        weft_buf_str(&f->log, e->attrs[i].value);
    }
    weft_buf_char(&f->log, '>');
    log_place(f, at);
    if (weft_str_is(e->name.local, "stop")) return weft_fail(err, WEFT_EINPUT, "stopped here");
    return WEFT_OK;
}
static enum weft_status on_close(void *ctx, struct weft_xml_name name, struct weft_xml_place at, struct weft_err *err)
{
    struct fixture *f = ctx;
    weft_buf_cstr(&f->log, "</");
    weft_buf_str(&f->log, name.local);
    weft_buf_char(&f->log, '>');
    log_place(f, at);
    return WEFT_OK;
}
static enum weft_status on_text(void *ctx, struct weft_str text, struct weft_xml_place at, struct weft_err *err)
{
    struct fixture *f = ctx;
    weft_buf_str(&f->log, text);
    log_place(f, at);
    return WEFT_OK;
}
static size_t on_entity(void *ctx, struct weft_str name, char out[16])
{
    if (!weft_str_is(name, "nbsp")) return 0;
    memcpy(out, "\xC2\xA0", 2);
    return 2;
}

static enum weft_status parse_as(struct fixture *f, struct weft_str s, bool epub)
{
    struct weft_xml_calls calls = { .ctx = f, .open = on_open, .close = on_close, .text = on_text };
    if (epub) {
        calls.entity = on_entity;
        calls.doctype = true;
    }
    weft_buf_reset(&f->log);
    weft_err_clear(&f->err);
    f->n_places = 0;
    return weft_xml_parse("t.xml", s, &calls, &f->err);
}
static enum weft_status parse(struct fixture *f, const char *s) { return parse_as(f, weft_str_c(s), false); }

static void test_elements_text_and_places(void **state)
{
    struct fixture *f = *state;
    check_ok(parse(f, "<a x='1' y='&lt;2'>字<b/>t</a>"), &f->err);
    check_str(weft_buf_view(&f->log), "<a x=1 y=<2>字<b></b>t</a>");
    static const struct weft_xml_place want[] = { { 0, 19 },  { 19, 22 }, { 22, 26 },
                                                  { 26, 26 }, { 26, 27 }, { 27, 31 } };
    assert_int_equal(f->n_places, WEFT_COUNT(want));
    for (size_t i = 0; i < WEFT_COUNT(want); i++) {
        assert_int_equal(f->places[i].begin, want[i].begin);
        assert_int_equal(f->places[i].end, want[i].end);
    }
    check_ok(parse(f, "<w:a xmlns:w='http://n/' w:k='v' k='u'><c xmlns='other'/></w:a>"), &f->err);
    check_str(weft_buf_view(&f->log), "<{http://n/}a {http://n/}k=v k=u><{other}c></c></a>");
}

static enum weft_status find_attr(void *ctx, const struct weft_xml_element *e, struct weft_xml_place at,
                                  struct weft_err *err)
{
    check_str(weft_xml_attr(e, "n", "k"), "v");
    check_str(weft_xml_attr(e, "", "k"), "u");
    check_str(weft_xml_attr(e, NULL, "k"), "v");
    assert_null(weft_xml_attr(e, "", "q").s);
    return WEFT_OK;
}

static void test_attributes_are_found_by_space_and_name(void **state)
{
    struct fixture *f = *state;
    struct weft_xml_calls calls = { .open = find_attr };
    check_ok(weft_xml_parse("t", WEFT_STR("<a xmlns:w='n' w:k='v' k='u'/>"), &calls, &f->err), &f->err);
}

static void test_an_error_of_a_call_stops_the_parse(void **state)
{
    struct fixture *f = *state;
    check_fails(parse(f, "<a><stop/><b/></a>"), &f->err, WEFT_EINPUT, "", "stopped here");
    check_str(weft_buf_view(&f->log), "<a><stop>");
}

static void test_xm1_utf8_and_utf16_only(void **state)
{
    struct fixture *f = *state;
    check_ok(parse(f, "<?xml version='1.0' encoding='UTF-8'?><a>字</a>"), &f->err);
    check_ok(parse(f, "\xEF\xBB\xBF<a>字</a>"), &f->err);
    static const char utf16[] = "\xFF\xFE<\0a\0>\0W[<\0/\0a\0>\0";
    check_ok(parse_as(f, (struct weft_str){ utf16, sizeof utf16 - 1 }, false), &f->err);
    check_str(weft_buf_view(&f->log), "<a>字</a>");
    static const char *const others[] = { "ISO-8859-1", "gb2312", "Shift_JIS", "x" };
    for (size_t i = 0; i < WEFT_COUNT(others); i++) {
        char s[128];
        snprintf(s, sizeof s, "<?xml version='1.0' encoding='%s'?><a>x</a>", others[i]);
        check_fails(parse(f, s), &f->err, WEFT_EINPUT, "XM1", others[i]);
        assert_int_equal(f->log.len, 0);
    }
    check_fails(parse(f, "<a>\xC4\xE3</a>"), &f->err, WEFT_EINPUT, "XM2", "t.xml:1:4");
}

static void test_xm2_what_is_not_well_formed_is_placed(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *s, *place;
    } bad[] = {
        { "", "t.xml:1:1" },           { "text", "t.xml:1:1" },     { "<a>\n<b></a>", "t.xml:2:6" },
        { "<a x=1/>", "t.xml:1:6" },   { "<a", "t.xml:1:1" },       { "<a>\n\n  <</a>", "t.xml:3:4" },
        { "<a/><b/>", "t.xml:1:5" },   { "<a x='1' x='2'/>", "1:" }, { "<p:a/>", "t.xml:1:1" },
        { "<a>&amp</a>", "t.xml:1:8" }, { "<a>\x01</a>", "t.xml:1:4" },
    };
    for (size_t i = 0; i < WEFT_COUNT(bad); i++)
        check_fails(parse(f, bad[i].s), &f->err, WEFT_EINPUT, "XM2", bad[i].place);
    /* Every prefix of a document is refused. */
    static const char whole[] = "<?xml version='1.0'?><a x='1'><!-- c --><b>t&lt;</b><![CDATA[x]]></a>";
    check_ok(parse(f, whole), &f->err);
    for (size_t n = 0; n < sizeof whole - 1; n++)
        check_fails(parse_as(f, (struct weft_str){ whole, n }, false), &f->err, WEFT_EINPUT, "XM2", "t.xml:1:");
}

static void test_xm2_depth_and_attributes_are_counted(void **state)
{
    struct fixture *f = *state;
    struct weft_buf b = { 0 };
    for (int i = 0; i < 512; i++) weft_buf_cstr(&b, "<a>");
    for (int i = 0; i < 512; i++) weft_buf_cstr(&b, "</a>");
    check_ok(parse_as(f, weft_buf_view(&b), false), &f->err);
    weft_buf_reset(&b);
    for (int i = 0; i < 200000; i++) weft_buf_cstr(&b, "<a>");
    check_fails(parse_as(f, weft_buf_view(&b), false), &f->err, WEFT_ELIMIT, "XM2", "more than 512 deep");
    for (int n = 256; n <= 257; n++)
        for (int spaces = 0; spaces < 2; spaces++) {
            weft_buf_reset(&b);
            weft_buf_cstr(&b, "<a");
            for (int i = 0; i < n; i++) weft_buf_printf(&b, spaces && i % 2 ? " xmlns:k%d='v'" : " k%d='v'", i);
            weft_buf_cstr(&b, "/>");
            if (n == 256) check_ok(parse_as(f, weft_buf_view(&b), false), &f->err);
            else check_fails(parse_as(f, weft_buf_view(&b), false), &f->err, WEFT_ELIMIT, "XM2", "257 attributes");
        }
    weft_buf_clear(&b);
}

static void test_xm3_document_types(void **state)
{
    struct fixture *f = *state;
    static const char *const plain[] = {
        "<!DOCTYPE html><html/>",
        "<!DOCTYPE html PUBLIC '-//W3C//DTD XHTML 1.1//EN' 'http://www.w3.org/TR/xhtml11/DTD/xhtml11.dtd'><html/>",
        "<!DOCTYPE x SYSTEM 'file:///etc/passwd'><html/>",
    };
    static const char *const with_subset[] = {
        "<!DOCTYPE x []><html/>",
        "<!DOCTYPE x [<!ENTITY a 'b'>]><html>&a;</html>",
        "<!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><html>&a;</html>",
        "<!DOCTYPE x [<!ENTITY % p SYSTEM 'http://127.0.0.1:1/x'> %p;]><html/>",
        "<!DOCTYPE x [<!ENTITY a '1234567890'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;'>]><html>&b;&b;</html>",
    };
    for (size_t i = 0; i < WEFT_COUNT(plain); i++) {
        check_fails(parse(f, plain[i]), &f->err, WEFT_EINPUT, "XM3", "DOCTYPE");
        check_ok(parse_as(f, weft_str_c(plain[i]), true), &f->err);
        check_str(weft_buf_view(&f->log), "<html></html>");
    }
    for (size_t i = 0; i < WEFT_COUNT(with_subset); i++) {
        check_fails(parse(f, with_subset[i]), &f->err, WEFT_EINPUT, "XM3", "DOCTYPE");
        check_fails(parse_as(f, weft_str_c(with_subset[i]), true), &f->err, WEFT_EINPUT, "XM3", "t.xml:1:");
        assert_int_equal(f->log.len, 0);
    }
}

static void test_xm4_entities(void **state)
{
    struct fixture *f = *state;
    check_ok(parse(f, "<a>&amp;&lt;&gt;&quot;&apos;&#20013;&#x6587;&#x1F600;</a>"), &f->err);
    check_str(weft_buf_view(&f->log), "<a>&<>\"'中文😀</a>");
    check_fails(parse(f, "<a>x&nbsp;y</a>"), &f->err, WEFT_EINPUT, "XM4", "t.xml:1:5: the entity &nbsp;");
    check_ok(parse_as(f, WEFT_STR("<a>x&nbsp;y</a>"), true), &f->err);
    check_str(weft_buf_view(&f->log), "<a>x\xC2\xA0y</a>");
    check_ok(parse_as(f, WEFT_STR("<!DOCTYPE html PUBLIC 'a' 'b'><a>x&nbsp;y</a>"), true), &f->err);
    check_str(weft_buf_view(&f->log), "<a>x\xC2\xA0y</a>");
    check_fails(parse_as(f, WEFT_STR("<a>&unknown;</a>"), true), &f->err, WEFT_EINPUT, "XM4", "&unknown;");
    static const char *const refs[] = { "&#0;", "&#xD800;", "&#x110000;", "&#xFFFFFFFFF;", "&#1;" };
    for (size_t i = 0; i < WEFT_COUNT(refs); i++) {
        char s[64];
        snprintf(s, sizeof s, "<a>%s</a>", refs[i]);
        check_fails(parse(f, s), &f->err, WEFT_EINPUT, "XM4", "t.xml:1:4");
    }
}

/* XM5: with no descriptor left, a document that points outside is parsed all the same: nobody tried. */
static void test_xm5_nothing_outside_is_opened(void **state)
{
    struct fixture *f = *state;
    struct rlimit old, none;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    none = (struct rlimit){ 0, old.rlim_max };
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    enum weft_status st = parse_as(f,
                                   WEFT_STR("<!DOCTYPE a SYSTEM 'file:///etc/hostname'>"
                                            "<?xml-stylesheet href='http://127.0.0.1:1/'?>"
                                            "<a xmlns:xi='http://www.w3.org/2001/XInclude'>"
                                            "<xi:include href='file:///etc/hostname'/>t</a>"),
                                   true);
    setrlimit(RLIMIT_NOFILE, &old);
    check_ok(st, &f->err);
    check_str(weft_buf_view(&f->log),
              "<a><{http://www.w3.org/2001/XInclude}include href=file:///etc/hostname></include>t</a>");
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* A8: a long token, many small ones, many attributes of one name space: twice the bytes, about twice the time. */
static void test_time_is_linear(void **state)
{
    struct fixture *f = *state;
    static const char *const units[] = { "x", "<!---->", "&#65;", "<b/>", "]", "\r\n" };
    for (size_t i = 0; i < WEFT_COUNT(units); i++) {
        double best[2] = { 1e9, 1e9 };
        for (int big = 0; big < 2; big++) {
            struct weft_buf b = { 0 };
            weft_buf_cstr(&b, "<a>");
            for (size_t k = 0; k < (200000u << big); k++) weft_buf_cstr(&b, units[i]);
            weft_buf_cstr(&b, "</a>");
            for (int run = 0; run < 3; run++) {
                double start = seconds();
                struct weft_xml_calls none = { 0 };
                check_ok(weft_xml_parse("t", weft_buf_view(&b), &none, &f->err), &f->err);
                double took = seconds() - start;
                if (took < best[big]) best[big] = took;
            }
            weft_buf_clear(&b);
        }
        if (best[1] > 0.02 && best[1] > 3 * best[0])
            fail_msg("%s: %.4f s, doubled %.4f s", units[i], best[0], best[1]);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_elements_text_and_places),
        TEST(test_attributes_are_found_by_space_and_name),
        TEST(test_an_error_of_a_call_stops_the_parse),
        TEST(test_xm1_utf8_and_utf16_only),
        TEST(test_xm2_what_is_not_well_formed_is_placed),
        TEST(test_xm2_depth_and_attributes_are_counted),
        TEST(test_xm3_document_types),
        TEST(test_xm4_entities),
        TEST(test_xm5_nothing_outside_is_opened),
        TEST(test_time_is_linear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
