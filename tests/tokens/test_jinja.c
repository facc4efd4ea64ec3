/* The template language: rules that simple implementations get wrong, tags of bytes, errors, limits. */
#include "check.h"

#include "base/json.h"
#include "tokens/jinja.h"

/* Renders with variables given as JSON, their strings tagged 1. */
static enum weft_status run(struct weft_arena *a, const char *source, const char *vars,
                            struct weft_jinja_text *out, struct weft_err *err)
{
    const struct weft_jinja *t;
    struct weft_jinja_run *r;
    struct weft_json_value v;
    enum weft_status st = weft_json_parse(a, "vars", weft_str_c(vars), &v, err);
    if (!st) st = weft_jinja_parse(a, "t.jinja", weft_str_c(source), &t, err);
    if (!st) st = weft_jinja_begin(&r, a, t, err);
    if (st) return st;
    for (size_t i = 0; i < v.n; i++) weft_jinja_set_str(r, v.keys[i], weft_jinja_json(r, &v.items[i], 1));
    weft_jinja_date(r, WEFT_STR("2026-11-24"));
    return weft_jinja_render(r, out, err);
}

#define check_renders(source, vars, want) check_renders_at(source, vars, want, __FILE__, __LINE__)
static void check_renders_at(const char *source, const char *vars, const char *want, const char *file,
                             int line)
{
    struct weft_arena a = { 0 };
    struct weft_err err = { 0 };
    struct weft_jinja_text x = { 0 };
    check_ok_at(run(&a, source, vars, &x, &err), &err, file, line);
    check_str_at(x.text, weft_str_c(want), file, line);
    weft_arena_clear(&a);
}

#define check_raises(source, vars, st, part) check_raises_at(source, vars, st, part, __FILE__, __LINE__)
static void check_raises_at(const char *source, const char *vars, enum weft_status st, const char *part,
                            const char *file, int line)
{
    struct weft_arena a = { 0 };
    struct weft_err err = { 0 };
    struct weft_jinja_text x = { 0 };
    check_fails_at(run(&a, source, vars, &x, &err), &err, st, "", part, file, line);
    weft_arena_clear(&a);
}

/* ---- rules ---- */

static void test_set_in_a_loop_is_local_in_an_if_it_is_not(void **state)
{
    (void)state;
    check_renders("{% set x = 1 %}{% for i in [1, 2] %}{{ x }}{% set x = 9 %}{% endfor %}{{ x }}", "{}",
                  "111");
    check_renders("{% set x = 1 %}{% if true %}{% set x = 9 %}{% endif %}{{ x }}", "{}", "9");
    check_renders(
        "{% set ns = namespace(x=1) %}{% for i in [1, 2] %}{% set ns.x = ns.x + i %}{% endfor %}{{ ns.x }}",
        "{}", "4");
    check_renders("{% macro m() %}{{ x }}{% endmacro %}{% set x = 1 %}{{ m() }}{% set x = 2 %}{{ m() }}",
                  "{}", "12");
}

static void test_undefined_prints_nothing_and_is_not_none(void **state)
{
    (void)state;
    check_renders("[{{ a }}{{ d.x }}{{ l[5] }}]{{ a|length }}{% for i in a %}x{% endfor %}",
                  "{\"d\":{},\"l\":[1]}", "[]0");
    check_renders("{{ a == none }} {{ a is none }} {{ a is defined }} {{ not a }}", "{}",
                  "False False False True");
    check_raises("{{ a.b }}", "{}", WEFT_EINPUT, "t.jinja:1: 'a' is undefined");
    check_raises("\n\n{{ d.a.b }}", "{\"d\":{}}", WEFT_EINPUT, "t.jinja:3: dict has no 'a'");
    check_raises("{{ 'x' + a }}", "{}", WEFT_EINPUT, "'a' is undefined");
    check_raises("{{ a + 1 }}", "{}", WEFT_EINPUT, "'a' is undefined");
}

static void test_methods_win_over_keys_with_a_dot_only(void **state)
{
    (void)state;
    check_renders("{{ d['items'] }} {{ d.items() | list }} {{ d.get('keys') }}",
                  "{\"d\":{\"items\":1,\"keys\":2}}", "1 [('items', 1), ('keys', 2)] 2");
    check_raises("{{ l.append(1) }}", "{\"l\":[]}", WEFT_EINPUT, "list has no 'append'");
}

static void test_values_print_as_python_prints_them(void **state)
{
    (void)state;
    check_renders("{{ none }} {{ true }} {{ 1.0 }} {{ 1e16 }} {{ ['a', \"it's\", 1] }} {{ {'k': none} }}",
                  "{}", "None True 1.0 1e+16 ['a', \"it's\", 1] {'k': None}");
    check_raises("{{ 'a' + 1 }}", "{}", WEFT_EINPUT, "'+' joins a str with a str, not str and int");
    check_renders("{{ 'a' ~ 1 ~ none }}", "{}", "a1None");
}

static void test_tojson_is_json_dumps(void **state)
{
    (void)state;
    check_renders("{{ v | tojson }}", "{\"v\":{\"b\":[1,2.0,null],\"a\":\"中<&>'\\n\"}}",
                  "{\"b\": [1, 2.0, null], \"a\": \"中<&>'\\n\"}");
    check_renders("{{ v | tojson(indent=2) }}", "{\"v\":{\"a\":[1,{}],\"b\":[]}}",
                  "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": []\n}");
}

static void test_white_space_round_tags(void **state)
{
    (void)state;
    check_renders("a\n  {% if 1 %}  \nb\n  {% endif %}\nc\n", "{}",
                  "a\n  \nb\nc"); /* two blanks stand before the newline */
    check_renders("a\n  {% if 1 %}\nb\n  {% endif %}\nc\n", "{}", "a\nb\nc");
    check_renders("a\n  {{ 1 }}\nb {{- 2 -}} \n c", "{}", "a\n  1\nb2c");
    check_renders("a\n  {%+ if 1 +%}\nb{% endif %}", "{}", "a\n  \nb");
    check_renders("a {#- c -#} b\n {# d #}\ne", "{}", "ab\ne");
}

static void test_trim_knows_unicode_and_length_counts_characters(void **state)
{
    (void)state;
    check_renders("[{{ s | trim }}][{{ s.strip() }}]{{ s | length }}", "{\"s\":\"\\u3000甲 \\u00a0\"}",
                  "[甲][甲]4");
    check_renders("{{ s[1:] }}{{ s[::-1] }}{{ s[-1] }}", "{\"s\":\"甲乙丙\"}", "乙丙丙乙甲丙");
}

static void test_precedence(void **state)
{
    (void)state;
    check_renders("{{ 'a' + ' b '|trim + 'c' }} {{ not x is defined }} {{ 1 ~ 2 + 3 if false else 'e' }}",
                  "{}", "abc True e");
    check_renders("{{ 2 ** 3 ** 2 }} {{ -1|abs }} {{ 'a' 'b' }}", "{}", "64 1 ab");
}

static void test_calls_blocks_and_loop_controls(void **state)
{
    (void)state;
    check_renders(
        "{% macro m(a, b='x') %}{{ a }}{{ b }}{{ caller() }}{% endmacro %}{% call m(1) %}!{% endcall %}",
        "{}", "1x!");
    check_renders("{% for i in range(9) if i % 2 %}{% if i == 7 %}{% break %}{% endif %}{% if i == 3 %}{% "
                  "continue %}{% endif %}{{ i }}{% endfor %}",
                  "{}", "15");
    check_renders("{% for n in t recursive %}{{ n.v }}{{ loop(n.c) }}{% endfor %}",
                  "{\"t\":[{\"v\":1,\"c\":[{\"v\":2,\"c\":[]}]},{\"v\":3,\"c\":[]}]}", "123");
    check_renders("{{ strftime_now('%d %b %Y') }}", "{}", "24 Nov 2026");
}

/* ---- tags ---- */

/* "text" with its spans: <tag,g:text>. */
static struct weft_str shown(struct weft_arena *a, const struct weft_jinja_text *x)
{
    struct weft_buf b = { 0 };
    size_t at = 0;
    for (size_t i = 0; i < x->n_spans; at = x->spans[i++].end)
        weft_buf_printf(&b, "<%d%s:%.*s>", x->spans[i].tag, x->spans[i].generation ? "g" : "",
                        (int)(x->spans[i].end - at), x->text.s + at);
    assert_int_equal(at, x->text.len);
    struct weft_str s = weft_str_dup(a, weft_buf_view(&b));
    weft_buf_clear(&b);
    return s;
}

static void test_bytes_know_where_they_come_from(void **state)
{
    static const char *const cases[][2] = {
        { "a{{ s }}b", "<0:a><1: X ><0:b>" },
        { "{{ 'a' + s + 'b' }}", "<0:a><1: X ><0:b>" },
        { "{{ ('a' ~ s ~ 'b')[1:3] }}", "<1: X>" },
        { "{{ ('a' + s)|upper|trim }}", "<0:A><1: X>" },
        { "{{ ('<' ~ s ~ '>')|replace('X', 'yy') }}", "<0:<><1: ><0:yy><1: ><0:>>" },
        { "{% macro m(x) %}[{{ x }}]{% endmacro %}{{ m(s)|trim }}", "<0:[><1: X ><0:]>" },
        { "{% set b %}({{ s.strip() }}){% endset %}{{ b }}", "<0:(><1:X><0:)>" },
        { "{{ s.split('X')|join('-') }}", "<1: ><0:-><1: >" },
        { "{% set ns = namespace(t='') %}{% for i in [1, 2] %}{% set ns.t = ns.t + 'a' + s %}{% endfor "
          "%}{{ ns.t }}",
          "<0:a><1: X ><0:a><1: X >" },
        { "{{ [s, 'k']|tojson }}", "<1:[\" X \", \"k\"]>" },
        { "{{ '%s' | format(s) }}", "<1: X >" },
        { "a{% generation %}b{{ s }}{% endgeneration %}c", "<0:a><0g:b><1g: X ><0:c>" },
        { "{% macro m() %}a{% generation %}b{% endgeneration %}{% endmacro %}{{ m() }}{{ m()[1:] }}",
          "<0:a><0g:bb>" },
        { "{{ e }}|{{ e ~ 'x' }}", "<1:><0:|><1:><0:x>" },
    };
    struct weft_arena a = { 0 };
    struct weft_err err = { 0 };
    (void)state;
    for (size_t i = 0; i < WEFT_COUNT(cases); i++) {
        struct weft_jinja_text x = { 0 };
        check_ok(run(&a, cases[i][0], "{\"s\":\" X \",\"e\":\"\"}", &x, &err), &err);
        check_str(shown(&a, &x), cases[i][1]);
    }
    weft_arena_clear(&a);
}

/* A value that was appended to keeps its own text. */
static void test_growing_a_text_leaves_older_values_alone(void **state)
{
    (void)state;
    check_renders(
        "{% set a = s + 'b' %}{% set c = a + 'c' %}{% set d = a + 'd' %}{{ a }} {{ c }} {{ d }} {{ c + "
        "d }} {{ c }}",
        "{\"s\":\"x\"}", "xb xbc xbd xbcxbd xbc");
}

/* ---- errors ---- */

static void test_errors_name_line_and_nearest_name(void **state)
{
    (void)state;
    check_raises("\n{{ x | uper }}", "{}", WEFT_EINPUT,
                 "t.jinja:2: unknown filter 'uper'; the nearest one is 'upper'");
    check_raises("{{ x is defned }}", "{}", WEFT_EINPUT,
                 "t.jinja:1: unknown test 'defned'; the nearest one is 'defined'");
    check_renders("{% if false %}{{ x | uper }}{% endif %}ok", "{}", "ok");
    check_raises("{% if true %}{{ x | uper }}{% endif %}", "{}", WEFT_EINPUT, "unknown filter 'uper'");
    check_raises("{% fro x in y %}", "{}", WEFT_EINPUT, "unknown statement 'fro'; the nearest one is 'for'");
    check_raises("{% include 'x' %}", "{}", WEFT_EINPUT, "'include' is not available");
    check_raises("a\n{% if x %}b", "{}", WEFT_EINPUT, "the template ends before 'endif'");
    check_raises("{% endfor %}", "{}", WEFT_EINPUT, "found 'endfor'");
    check_raises("{% if x %}{% endfor %}", "{}", WEFT_EINPUT, "found 'endfor', expected 'endif'");
    check_raises("{{ (1 }}", "{}", WEFT_EINPUT, "unexpected '}'");
    check_raises("{{ 1 + }}", "{}", WEFT_EINPUT, "found '}}', expected an expression");
    check_raises("{{ 'abc }}", "{}", WEFT_EINPUT, "never closed");
    check_raises("{# abc", "{}", WEFT_EINPUT, "never closed");
    check_raises("{{ raise_exception('Roles must alternate!') }}", "{}", WEFT_EINPUT,
                 "Roles must alternate!");
    check_raises("{{ raise_exception(s) }}", "{\"s\":\"%n\\n\\u0007\"}", WEFT_EINPUT, "%n\\n\\x07");
    check_raises("{{ a | round('x') }}", "{\"a\":1}", WEFT_EINPUT, "'precision' needs an integer, not str");
    check_raises("{{ a | replace('x') }}", "{\"a\":1}", WEFT_EINPUT, "needs its argument 'new'");
    check_raises("{{ a | trim(1, 2) }}", "{\"a\":1}", WEFT_EINPUT, "takes at most 1 arguments, not 2");
    check_raises("{{ \xff }}", "{}", WEFT_EINPUT, "byte 3 is not UTF-8");
}

/* ---- limits ---- */

static void test_limits_stop_hostile_templates(void **state)
{
    struct weft_arena a = { 0 };
    struct weft_err err = { 0 };
    struct weft_jinja_text x;
    struct weft_buf b = { 0 };
    const struct weft_jinja *t;
    (void)state;
    check_raises("{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}", "{}",
                 WEFT_ELIMIT, "steps");
    check_raises("{% for i in range(99999999) %}{% endfor %}", "{}", WEFT_EINPUT,
                 "range of more than 100000");
    check_raises(
        "{% set ns = namespace(s='xxxxxxxx') %}{% for i in range(60) %}{% set ns.s = ns.s + ns.s %}{% "
        "endfor %}",
        "{}", WEFT_ELIMIT, "");
    check_raises("{{ 'x' * 99999999999 }}", "{}", WEFT_ELIMIT, "longer than 64 MiB");
    check_raises("{{ [1] * 99999999999 }}", "{}", WEFT_ELIMIT, "");
    check_raises(
        "{% set ns = namespace(l=[1]) %}{% for i in range(40) %}{% set ns.l = [ns.l, ns.l] %}{% endfor "
        "%}{{ ns.l }}",
        "{}", WEFT_ELIMIT, "");
    check_raises(
        "{% set ns = namespace(l=[1]) %}{% for i in range(900) %}{% set ns.l = [ns.l] %}{% endfor %}{{ "
        "ns.l == ns.l }}{{ ns.l|tojson }}",
        "{}", WEFT_ELIMIT, "nested deeper");
    check_raises("{% set ns = namespace() %}{% set ns.a = ns %}{{ ns }}", "{}", WEFT_ELIMIT, "nested deeper");
    check_raises("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "{}", WEFT_ELIMIT, "deep");
    check_raises("{% for i in [1] recursive %}{{ loop([1]) }}{% endfor %}", "{}", WEFT_ELIMIT, "deep");
    check_raises("{{ '%999999999d' % 1 }}", "{}", WEFT_EINPUT, "width");
    check_raises("{{ '{:999999999}'.format(1) }}", "{}", WEFT_EINPUT, "width");

    /* 20,000 levels of everything that nests; chains of the same length are no nesting. */
    static const char *const open[] = { "(",  "[",  "{1:",  "-",      "{% if 1 %}", "1 if 1 else ",
                                        "f(", "x[", "not ", "x|trim(" };
    static const bool nests[] = { true, true, true, true, true, true, true, true, false, true };
    for (size_t i = 0; i < WEFT_COUNT(open); i++) {
        weft_buf_reset(&b);
        if (open[i][1] != '%') weft_buf_cstr(&b, "{{ ");
        for (int k = 0; k < 20000; k++) weft_buf_cstr(&b, open[i]);
        weft_buf_cstr(&b, "1");
        if (open[i][1] != '%') weft_buf_cstr(&b, " }}");
        weft_err_clear(&err);
        enum weft_status st = weft_jinja_parse(&a, "t", weft_buf_view(&b), &t, &err);
        if (nests[i]) check_fails(st, &err, WEFT_ELIMIT, "", "nested deeper than 64");
        else check_ok(st, &err);
    }
    static const char *const chain[] = { " + 1",  " ~ 1", " and 1",      " or 1",
                                         " == 1", ".a",   "|default(1)", " * 1" };
    for (size_t i = 0; i < WEFT_COUNT(chain); i++) {
        weft_buf_reset(&b);
        weft_buf_cstr(&b, "{{ 1");
        for (int k = 0; k < 20000; k++) weft_buf_cstr(&b, i == 5 && k ? "" : chain[i]);
        weft_buf_cstr(&b, " }}");
        weft_err_clear(&err);
        check_ok(run(&a, weft_buf_view(&b).s, "{}", &x, &err), &err);
    }
    weft_buf_reset(&b);
    for (int k = 0; k < (1 << 20) + 1; k++) weft_buf_char(&b, 'x');
    weft_err_clear(&err);
    check_fails(weft_jinja_parse(&a, "t", weft_buf_view(&b), &t, &err), &err, WEFT_ELIMIT, "",
                "at most 1048576");
    weft_buf_clear(&b);
    weft_arena_clear(&a);
}

static void test_long_conversations_stay_within_the_steps(void **state)
{
    struct weft_arena a = { 0 };
    struct weft_err err = { 0 };
    struct weft_jinja_text x;
    struct weft_buf b = { 0 };
    (void)state;
    weft_buf_cstr(&b, "{\"messages\":[");
    for (int i = 0; i < 10000; i++)
        weft_buf_printf(&b, "%s{\"role\":\"user\",\"content\":\"some text of message %d\"}", i ? "," : "", i);
    weft_buf_cstr(&b, "]}");
    check_ok(run(&a,
                 "{% set ns = namespace(t='') %}{% for m in messages %}{% if m.role == 'user' and m.content "
                 "is string %}"
                 "{% set ns.t = ns.t + '<|im_start|>' + m['role'] + '\n' + m.content|trim + '<|im_end|>\n' %}"
                 "{% endif %}{% endfor %}{{ ns.t }}",
                 b.s, &x, &err),
             &err);
    assert_true(x.text.len > 500000);
    assert_int_equal(x.n_spans, 40001); /* an end and the next start are one */
    weft_buf_clear(&b);
    weft_arena_clear(&a);
}

static void test_running_out_of_memory_is_reported(void **state)
{
    struct weft_err err = { 0 };
    (void)state;
    for (size_t max = 4096; max < 400000; max += 3000) {
        struct weft_arena a = { 0 };
        struct weft_jinja_text x;
        weft_arena_init(&a, 1024, max);
        weft_err_clear(&err);
        enum weft_status st =
            run(&a, "{% for i in range(50) %}{{ s|upper ~ i }}{{ [i, s]|tojson }}{% endfor %}",
                "{\"s\":\"abc\"}", &x, &err);
        assert_true(st == WEFT_OK || st == WEFT_ENOMEM);
        weft_arena_clear(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set_in_a_loop_is_local_in_an_if_it_is_not),
        cmocka_unit_test(test_undefined_prints_nothing_and_is_not_none),
        cmocka_unit_test(test_methods_win_over_keys_with_a_dot_only),
        cmocka_unit_test(test_values_print_as_python_prints_them),
        cmocka_unit_test(test_tojson_is_json_dumps),
        cmocka_unit_test(test_white_space_round_tags),
        cmocka_unit_test(test_trim_knows_unicode_and_length_counts_characters),
        cmocka_unit_test(test_precedence),
        cmocka_unit_test(test_calls_blocks_and_loop_controls),
        cmocka_unit_test(test_bytes_know_where_they_come_from),
        cmocka_unit_test(test_growing_a_text_leaves_older_values_alone),
        cmocka_unit_test(test_errors_name_line_and_nearest_name),
        cmocka_unit_test(test_limits_stop_hostile_templates),
        cmocka_unit_test(test_long_conversations_stay_within_the_steps),
        cmocka_unit_test(test_running_out_of_memory_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
