/* Exactly the texts of a schema's shape are accepted: texts drawn byte by byte from what is allowed are read back and
 * held against the schema; texts written from the schema, with every way of escaping, are accepted. */
#include "check.h"
#include "model/grammar.h"
#include "model/shape.h"

struct fixture {
    struct weft_arena arena;
    struct weft_err err;
    struct weft_json_value schema;
    const struct weft_grammar *g;
    uint64_t random;
};

#include "fixture.h"

static enum weft_status read_schema(struct fixture *f, const char *json)
{
    check_ok(weft_json_parse(&f->arena, "schema", weft_str_c(json), &f->schema, &f->err), &f->err);
    return weft_grammar_new(&f->arena, "schema", &f->schema, &f->g, &f->err);
}

static const char *const schemas[] = {
    "{\"type\":\"array\",\"maxItems\":3,\"items\":{\"type\":\"object\",\"properties\":{\"question\":{\"type\":\"string\","
    "\"minLength\":1,\"maxLength\":12},\"answer\":{\"type\":\"string\",\"maxLength\":3},\"证据\":{\"type\":\"string\"}},"
    "\"required\":[\"question\"],\"additionalProperties\":false}}",
    "{\"title\":\"t\",\"type\":\"object\",\"properties\":{\"score\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":10},"
    "\"a\\n\\\"\":{\"type\":\"string\",\"description\":\"d\"},\"n\":{\"type\":\"number\"},\"b\":{\"type\":\"boolean\"},"
    "\"z\":{\"type\":\"null\"}}}",
    "{\"type\":\"array\",\"minItems\":2,\"maxItems\":4,\"items\":{\"type\":\"array\",\"minItems\":1,\"items\":{\"type\":"
    "\"integer\",\"minimum\":-120,\"maximum\":35}}}",
    "{\"type\":\"array\",\"items\":{\"type\":\"object\",\"properties\":{\"id\":{\"enum\":[1,12,3,12]},\"speaker\":{\"enum\":"
    "[\"甄嬛\",\"甄远道\",\"?\",null,true]},\"k\":{\"const\":\"x\\\\y\"},\"o\":{\"type\":\"object\",\"properties\":{}}}}}",
    "{\"type\":\"array\",\"minItems\":1,\"items\":{\"type\":\"integer\",\"maximum\":-30}}",
    "{\"type\":\"array\",\"maxItems\":0,\"items\":{\"type\":\"number\"}}",
    "{\"type\":\"array\",\"prefixItems\":[{\"const\":7},{\"type\":\"string\",\"maxLength\":5},{\"type\":\"array\",\"prefixItems\":[]},"
    "{\"type\":\"array\",\"items\":{\"type\":\"boolean\"}}]}",
};

/* How many bytes are accepted. */
static size_t accepted(const struct weft_grammar *g, struct weft_str s, bool *complete)
{
    struct weft_grammar_state at;
    size_t i = 0;
    weft_grammar_start(g, &at);
    while (i < s.len && weft_grammar_step(g, &at, (unsigned char)s.s[i])) i++;
    *complete = weft_grammar_complete(g, &at);
    return i;
}
static bool accepts(const struct weft_grammar *g, const char *text)
{
    bool complete;
    return accepted(g, weft_str_c(text), &complete) == strlen(text) && complete;
}

static void must_fit(struct fixture *f, struct weft_str text)
{
    struct weft_json_value v;
    check_ok(weft_json_parse(&f->arena, "text", text, &v, &f->err), &f->err);
    if (!shape_fits(&f->schema, &v)) fail_msg("not of the shape: %.*s", (int)text.len, text.s);
}

/* Any byte that may stand, marks and ends more often than chance would have it. */
static bool random_byte(struct fixture *f, struct weft_grammar_state *at, char *out)
{
    static const char often[] = "\"\"\",]}:[{\\u0123456789-.eE tfn中";
    unsigned char allowed[256 + 8];
    size_t n = 0;
    for (unsigned c = 0; c < 256; c++) {
        struct weft_grammar_state probe = *at;
        if (weft_grammar_step(f->g, &probe, (unsigned char)c)) allowed[n++] = (unsigned char)c;
    }
    if (!n) return false;
    unsigned char c = allowed[check_random(&f->random) % n];
    for (int tries = 0; tries < 8; tries++) {
        unsigned char wish = (unsigned char)often[check_random(&f->random) % (sizeof often - 1)];
        if (memchr(allowed, wish, n)) {
            c = wish;
            break;
        }
    }
    *out = (char)c;
    return weft_grammar_step(f->g, at, c);
}

static void test_whatever_is_written_byte_by_byte_has_the_shape(void **state)
{
    struct fixture *f = *state;
    struct weft_buf text = { 0 };
    for (size_t k = 0; k < WEFT_COUNT(schemas); k++) {
        size_t whole = 0;
        check_ok(read_schema(f, schemas[k]), &f->err);
        for (int round = 0; round < 300; round++) {
            struct weft_grammar_state at;
            size_t most = check_random(&f->random) % 300;
            char c = 0;
            weft_buf_reset(&text);
            weft_grammar_start(f->g, &at);
            while (text.len < most && !weft_grammar_complete(f->g, &at)) {
                assert_true(random_byte(f, &at, &c));      /* no dead end */
                weft_buf_char(&text, c);
            }
            whole += weft_grammar_complete(f->g, &at);
            weft_grammar_close(f->g, &at, &text);
            must_fit(f, weft_buf_view(&text));
            bool complete;
            assert_int_equal(accepted(f->g, weft_buf_view(&text), &complete), text.len);
            assert_true(complete);
        }
        assert_true(whole > 20);
    }
    weft_buf_clear(&text);
}

/* ---- texts written from the schema ---- */

static uint32_t draw(struct fixture *f, uint32_t n) { return check_random(&f->random) % n; }

static void put_space(struct fixture *f, struct weft_buf *b)
{
    uint32_t most = draw(f, 4) ? draw(f, 2) : draw(f, WEFT_GRAMMAR_SPACES + 1);
    for (uint32_t i = 0; i < most; i++) weft_buf_char(b, i ? " \t"[draw(f, 2)] : " \n\t"[draw(f, 3)]);
}

static void put_unit(struct fixture *f, struct weft_buf *b, uint32_t unit)
{
    weft_buf_printf(b, draw(f, 2) ? "\\u%04x" : "\\u%04X", unit);
}

static void put_character(struct fixture *f, struct weft_buf *b)
{
    static const uint32_t samples[] = { 'a', ' ', '"', '\\', '/', '\n', '\t', 0, 0x1F, 0x7F, 0x80, 0x7FF, 0x800, 0x4E2D,
                                        0xD7FF, 0xE000, 0xFFFD, 0xFFFF, 0x10000, 0x1F600, 0x3FFFF, 0x100000, 0x10FFFF };
    uint32_t cp = samples[draw(f, WEFT_COUNT(samples))];
    const char *escapes = "\"\\/\n\t";
    if (draw(f, 3) == 0) {
        if (cp >= 0x10000) {
            put_unit(f, b, 0xD800 + ((cp - 0x10000) >> 10));
            put_unit(f, b, 0xDC00 + ((cp - 0x10000) & 0x3FF));
        } else put_unit(f, b, cp);
    } else if (cp && cp < 0x80 && strchr(escapes, (int)cp)) {
        weft_buf_char(b, '\\');
        weft_buf_char(b, "\"\\/nt"[strchr(escapes, (int)cp) - escapes]);
    } else if (cp < 0x20) put_unit(f, b, cp);
    else weft_buf_utf8(b, cp);
}

static void put_value(struct fixture *f, const struct weft_json_value *schema, struct weft_buf *b)
{
    const struct weft_json_value *list = weft_json_get(schema, "enum"), *one = weft_json_get(schema, "const"),
                                 *type = weft_json_get(schema, "type");
    struct weft_json_out o;
    weft_json_out_init(&o, b);
    if (list || one) weft_json_out_value(&o, one ? one : &list->items[draw(f, (uint32_t)list->n)]);
    else if (weft_str_is(type->text, "object")) {
        const struct weft_json_value *members = weft_json_get(schema, "properties");
        weft_buf_char(b, '{');
        put_space(f, b);
        for (size_t i = 0; i < members->n; i++) {
            if (i) weft_buf_char(b, ',');
            if (i) put_space(f, b);
            weft_json_out_init(&o, b);
            weft_json_out_str(&o, members->keys[i]);
            put_space(f, b);
            weft_buf_char(b, ':');
            put_space(f, b);
            put_value(f, &members->items[i], b);
            put_space(f, b);
        }
        weft_buf_char(b, '}');
    } else if (weft_json_get(schema, "prefixItems")) {
        const struct weft_json_value *tuple = weft_json_get(schema, "prefixItems");
        weft_buf_char(b, '[');
        put_space(f, b);
        for (size_t i = 0; i < tuple->n; i++) {
            if (i) weft_buf_char(b, ',');
            if (i) put_space(f, b);
            put_value(f, &tuple->items[i], b);
            put_space(f, b);
        }
        weft_buf_char(b, ']');
    } else if (weft_str_is(type->text, "array")) {
        int64_t least = shape_number(schema, "minItems", 0), most = shape_number(schema, "maxItems", least + 4);
        weft_buf_char(b, '[');
        put_space(f, b);
        for (int64_t i = 0, n = least + draw(f, (uint32_t)(most - least) + 1); i < n; i++) {
            if (i) weft_buf_char(b, ',');
            if (i) put_space(f, b);
            put_value(f, weft_json_get(schema, "items"), b);
            put_space(f, b);
        }
        weft_buf_char(b, ']');
    } else if (weft_str_is(type->text, "string")) {
        int64_t least = shape_number(schema, "minLength", 0), most = shape_number(schema, "maxLength", least + 40);
        weft_buf_char(b, '"');
        for (int64_t n = least + draw(f, (uint32_t)(most - least) + 1); n; n--) put_character(f, b);
        weft_buf_char(b, '"');
    } else if (weft_str_is(type->text, "integer")) {
        int64_t max = shape_number(schema, "maximum", 999999), min = shape_number(schema, "minimum", max - 100000);
        weft_buf_printf(b, "%lld", (long long)(min + draw(f, (uint32_t)(max - min) + 1)));
    } else if (weft_str_is(type->text, "number")) {
        static const char *const numbers[] = { "0", "-0", "12", "-3.25", "0.5e-7", "1E+20", "9e99", "-120.0625", "7e3" };
        weft_buf_cstr(b, numbers[draw(f, WEFT_COUNT(numbers))]);
    } else weft_buf_cstr(b, weft_str_is(type->text, "null") ? "null" : draw(f, 2) ? "true" : "false");
}

static void test_every_text_of_the_shape_is_accepted(void **state)
{
    struct fixture *f = *state;
    struct weft_buf text = { 0 };
    for (size_t k = 0; k < WEFT_COUNT(schemas); k++) {
        check_ok(read_schema(f, schemas[k]), &f->err);
        for (int round = 0; round < 400; round++) {
            bool complete;
            weft_buf_reset(&text);
            put_space(f, &text);
            put_value(f, &f->schema, &text);
            must_fit(f, weft_buf_view(&text));
            size_t n = accepted(f->g, weft_buf_view(&text), &complete);
            if (n != text.len || !complete)
                fail_msg("schema %zu: byte %zu of %s", k, n, text.s);
            struct weft_grammar_state at;
            weft_grammar_start(f->g, &at);
            for (size_t i = 0; i < text.len; i++) assert_true(weft_grammar_step(f->g, &at, (unsigned char)text.s[i]));
            assert_false(weft_grammar_step(f->g, &at, ' '));    /* the end is the end */
        }
    }
    weft_buf_clear(&text);
}

/* ---- what has another shape ---- */

static void test_the_first_byte_that_breaks_the_shape_is_refused(void **state)
{
    static const struct {
        const char *schema, *good, *bad;    /* bad: the good beginning and one byte more */
    } cases[] = {
        { "{\"type\":\"array\",\"maxItems\":1,\"items\":{\"type\":\"string\",\"maxLength\":2}}", "[\"中文", "[\"中文x" },
        { "{\"type\":\"array\",\"maxItems\":1,\"items\":{\"type\":\"string\",\"minLength\":2}}", "[\"中", "[\"中\"" },
        { "{\"type\":\"array\",\"maxItems\":1,\"items\":{\"type\":\"string\"}}", "[\"\"", "[\"\"," },
        { "{\"type\":\"array\",\"minItems\":1,\"items\":{\"type\":\"string\"}}", "[", "[]" },
        { "{\"type\":\"array\",\"items\":{\"type\":\"string\"}}", "[\"\\uD83D", "[\"\\uD83Dx" },
        { "{\"type\":\"array\",\"items\":{\"type\":\"string\"}}", "[\"\\uD", "[\"\\uDC" },
        { "{\"type\":\"array\",\"items\":{\"type\":\"string\"}}", "[\"\\uD83D\\uD", "[\"\\uD83D\\uD8" },
        { "{\"type\":\"array\",\"items\":{\"type\":\"string\"}}", "[\"\\uD83D\\u", "[\"\\uD83D\\u0" },
        { "{\"type\":\"array\",\"items\":{\"type\":\"string\"}}", "[\"", "[\"\xC1" },
        { "{\"type\":\"array\",\"items\":{\"type\":\"string\"}}", "[\"\xE0", "[\"\xE0\x9F" },
        { "{\"type\":\"array\",\"items\":{\"type\":\"string\"}}", "[\"\xED", "[\"\xED\xA0" },
        { "{\"type\":\"array\",\"items\":{\"type\":\"string\"}}", "[\"\xF4", "[\"\xF4\x90" },
        { "{\"type\":\"array\",\"items\":{\"type\":\"string\"}}", "[\"\xE4\xB8", "[\"\xE4\xB8\"" },
        { "{\"type\":\"array\",\"items\":{\"type\":\"string\"}}", "[\"", "[\"\n" },
        { "{\"type\":\"array\",\"items\":{\"type\":\"string\"}}", "[\"\\", "[\"\\x" },
        { "{\"type\":\"array\",\"items\":{\"type\":\"integer\",\"minimum\":5,\"maximum\":10}}", "[1", "[11" },
        { "{\"type\":\"array\",\"items\":{\"type\":\"integer\",\"minimum\":5,\"maximum\":10}}", "[1", "[1]" },
        { "{\"type\":\"array\",\"items\":{\"type\":\"integer\",\"minimum\":5}}", "[", "[-" },
        { "{\"type\":\"array\",\"items\":{\"type\":\"integer\"}}", "[0", "[00" },
        { "{\"type\":\"array\",\"items\":{\"type\":\"integer\"}}", "[-", "[-0" },
        { "{\"type\":\"array\",\"items\":{\"type\":\"integer\"}}", "[1", "[1." },
        { "{\"type\":\"array\",\"items\":{\"type\":\"integer\"}}", "[9007199254740991", "[90071992547409910" },
        { "{\"type\":\"array\",\"items\":{\"type\":\"number\"}}", "[1e99", "[1e999" },
        { "{\"type\":\"array\",\"items\":{\"type\":\"number\"}}", "[1.", "[1.]" },
        { "{\"type\":\"array\",\"items\":{\"enum\":[1,12]}}", "[12", "[123" },
        { "{\"type\":\"array\",\"items\":{\"enum\":[1,12]}}", "[\n\t 12\n", "[\n\t 12\n\n" },
        { "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"null\"},\"b\":{\"type\":\"null\"}}}", "{\"a\":null",
          "{\"a\":null}" },
        { "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"null\"},\"b\":{\"type\":\"null\"}}}", "{\"", "{\"b" },
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < WEFT_COUNT(cases); i++) {
        bool complete;
        check_ok(read_schema(f, cases[i].schema), &f->err);
        assert_int_equal(strlen(cases[i].bad), strlen(cases[i].good) + 1);
        if (accepted(f->g, weft_str_c(cases[i].bad), &complete) != strlen(cases[i].good))
            fail_msg("case %zu: %s", i, cases[i].bad);
    }
    check_ok(read_schema(f, schemas[5]), &f->err);
    assert_true(accepts(f->g, "[ ]"));
    struct weft_buf spaces = { 0 };
    for (int i = 0; i < WEFT_GRAMMAR_SPACES + 1; i++) weft_buf_char(&spaces, ' ');
    bool complete;
    assert_int_equal(accepted(f->g, weft_buf_view(&spaces), &complete), WEFT_GRAMMAR_SPACES);
    weft_buf_clear(&spaces);
}

static void test_a_state_stays_where_a_byte_was_refused(void **state)
{
    struct fixture *f = *state;
    struct weft_grammar_state at, before;
    check_ok(read_schema(f, schemas[0]), &f->err);
    weft_grammar_start(f->g, &at);
    for (const char *p = "[{\"question\":\"\xE4"; *p; p++) assert_true(weft_grammar_step(f->g, &at, (unsigned char)*p));
    before = at;
    assert_false(weft_grammar_step(f->g, &at, '"'));
    assert_memory_equal(&at, &before, sizeof at);
}

/* States of one key take the same 256 bytes. */
static void test_keys_stand_for_states_that_accept_the_same(void **state)
{
    struct fixture *f = *state;
    struct weft_grammar_state far, farther, x, y;
    check_ok(read_schema(f, "{\"type\":\"array\",\"maxItems\":900,\"items\":{\"type\":\"string\",\"maxLength\":2000}}"), &f->err);
    weft_grammar_start(f->g, &far);
    for (const char *p = "[\"abc"; *p; p++) assert_true(weft_grammar_step(f->g, &far, (unsigned char)*p));
    farther = far;
    for (int i = 0; i < 1700; i++) assert_true(weft_grammar_step(f->g, &farther, 'a'));
    assert_memory_not_equal(&far, &farther, sizeof far);
    weft_grammar_key(&far, &x);
    weft_grammar_key(&farther, &y);
    assert_memory_equal(&x, &y, sizeof x);
    for (int i = 0; i < WEFT_GRAMMAR_REACH; i++) {
        assert_true(weft_grammar_step(f->g, &x, 'a'));
        assert_true(weft_grammar_step(f->g, &farther, 'a'));
    }
}

static void test_schemas_that_cannot_be_kept_are_refused_by_name(void **state)
{
    static const struct {
        const char *schema, *part;
    } cases[] = {
        { "[]", "a schema is an object" },
        { "{\"type\":\"string\"}", "the whole must be an object or an array" },
        { "{\"type\":\"array\"}", "\"items\"" },
        { "{\"type\":\"array\",\"prefixItems\":[],\"minItems\":1}", "\"minItems\" cannot be kept" },
        { "{\"type\":\"array\",\"prefixItems\":{}}", "\"prefixItems\" must be a list" },
        { "{\"type\":\"object\"}", "\"properties\"" },
        { "{\"type\":[\"string\",\"null\"]}", "\"type\" must be one of" },
        { "{\"type\":\"text\"}", "\"type\" must be one of" },
        { "{\"type\":\"array\",\"items\":{\"type\":\"object\",\"properties\":{\"id\":{\"type\":\"string\",\"pattern\":\"^a\"}}}}",
          "items.id: \"pattern\" cannot be kept" },
        { "{\"type\":\"array\",\"items\":{\"anyOf\":[]}}", "items: \"type\" must be one of" },
        { "{\"type\":\"array\",\"minItems\":3,\"maxItems\":2,\"items\":{\"type\":\"null\"}}", "the least is more than the most" },
        { "{\"type\":\"array\",\"minItems\":-1,\"items\":{\"type\":\"null\"}}", "\"minItems\" must be a whole number" },
        { "{\"type\":\"array\",\"items\":{\"enum\":[]}}", "\"enum\" must be a list" },
        { "{\"type\":\"array\",\"items\":{\"enum\":[{}]}}", "objects and arrays" },
        { "{\"type\":\"object\",\"properties\":{},\"required\":[\"a\"]}", "\"required\" names" },
        { "{\"type\":\"array\",\"minItems\":60000,\"items\":{\"type\":\"array\",\"minItems\":60000,\"items\":{\"type\":\"null\"}}}",
          "more than 65536 bytes" },
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < WEFT_COUNT(cases); i++)
        check_refuses(read_schema(f, cases[i].schema), &f->err, WEFT_EARG, NULL, cases[i].part);
    struct weft_buf deep = { 0 };
    for (int i = 0; i < 100; i++) weft_buf_cstr(&deep, "{\"type\":\"array\",\"items\":");
    weft_buf_cstr(&deep, "{\"type\":\"null\"}");
    for (int i = 0; i < 100; i++) weft_buf_char(&deep, '}');
    check_refuses(read_schema(f, deep.s), &f->err, WEFT_EARG, NULL, "nested more than 8 deep");
    weft_buf_clear(&deep);
}

static void test_memory_that_gives_out_is_told(void **state)
{
    struct fixture *f = *state;
    for (size_t k = 0; k < WEFT_COUNT(schemas); k++) {
        size_t failed = 0;
        check_ok(read_schema(f, schemas[k]), &f->err);
        for (size_t max = 32; max < 40000; max += max / 4) {
            struct weft_arena a = { .max_bytes = max, .block_bytes = 32 };
            struct weft_err err = { 0 };
            const struct weft_grammar *g = NULL;
            enum weft_status st = weft_grammar_new(&a, "schema", &f->schema, &g, &err);
            assert_true(st == WEFT_OK ? g != NULL : st == WEFT_ENOMEM && !g && err.msg[0]);
            failed += st != WEFT_OK;
            weft_arena_clear(&a);
        }
        assert_in_range(failed, 1, 30);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_whatever_is_written_byte_by_byte_has_the_shape, setup, teardown),
        cmocka_unit_test_setup_teardown(test_every_text_of_the_shape_is_accepted, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_first_byte_that_breaks_the_shape_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_state_stays_where_a_byte_was_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_keys_stand_for_states_that_accept_the_same, setup, teardown),
        cmocka_unit_test_setup_teardown(test_schemas_that_cannot_be_kept_are_refused_by_name, setup, teardown),
        cmocka_unit_test_setup_teardown(test_memory_that_gives_out_is_told, setup, teardown),
    };
    return cmocka_run_group_tests_name("model/grammar", tests, NULL, NULL);
}
