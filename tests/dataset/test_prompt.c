/* Prompt files: the built-in ones, what a user may change, and what is refused before it costs a call. */
#include "dataset/ask.h"
#include "dataset/prompt.h"

#include "check.h"

static struct weft_err err;

#define FRONT "---\ntask: summarise\nversion: 3\nlang: en\nmax_chars: 40\n---\n"
#define PARTS "# system\nsys\n# user\nSay {text} in {max_chars}.\n# retry\nIt {problem}.\n"

static void test_every_task_has_a_prompt_in_both_languages(void **state)
{
    struct weft_arena a = { 0 };
    const struct weft_ask_task *t;
    for (size_t i = 0; (t = weft_ask_task_at(i)); i++)
        for (int lang = WEFT_PROMPT_ZH; lang <= WEFT_PROMPT_EN; lang++) {
            struct weft_prompt p;
            check_ok(weft_prompt_builtin(&a, t->name, (enum weft_prompt_lang)lang, &p, &err), &err);
            assert_string_equal(p.task, t->name);
            assert_int_equal(p.lang, lang);
            assert_true(p.user.len && p.retry.len && p.version >= 1);
            assert_non_null(strstr(p.via, t->name));
        }
    struct weft_prompt p;
    check_refuses(weft_prompt_builtin(&a, "sumarise", WEFT_PROMPT_ZH, &p, &err), &err, WEFT_EARG, "",
                  "the nearest is summarise");
    weft_arena_clear(&a);
}

static void test_prompt_file_is_read_and_filled(void **state)
{
    struct weft_arena a = { 0 };
    struct weft_prompt p;
    struct weft_buf b = { 0 };
    check_ok(weft_prompt_parse(&a, "x.txt", WEFT_STR(FRONT PARTS), &p, &err), &err);
    assert_int_equal(p.version, 3);
    assert_int_equal(p.max_chars, 40);
    check_str(p.system, "sys");
    check_str(p.retry, "It {problem}.");
    assert_int_equal(strlen(p.via), strlen("ask/summarise@3+01234567"));
    assert_memory_equal(p.via + 16, p.sha256, 8);
    const struct weft_prompt_value v[] = { { "text", WEFT_STR("a {text} b") }, { "max_chars", WEFT_STR("40") } };
    weft_prompt_fill(WEFT_STR("{text}|{{text}}|{max_chars}|{gone}|{x y}|{"), v, 2, &b);
    check_str(weft_buf_view(&b), "a {text} b|{text}|40||{x y}|{"); /* what was put in is not looked at again */
    weft_buf_clear(&b);
    weft_arena_clear(&a);
}

/* Another text is another prompt, whatever its version says. */
static void test_changed_prompt_has_another_name(void **state)
{
    struct weft_arena a = { 0 };
    struct weft_prompt p, q;
    check_ok(weft_prompt_parse(&a, "x", WEFT_STR(FRONT PARTS), &p, &err), &err);
    check_ok(weft_prompt_parse(&a, "x", WEFT_STR(FRONT PARTS "!"), &q, &err), &err);
    assert_string_not_equal(p.via, q.via);
    weft_arena_clear(&a);
}

static void test_mistakes_are_named_with_their_line(void **state)
{
    struct weft_arena a = { 0 };
    struct weft_prompt p;
    const struct {
        const char *text, *message;
    } bad[] = {
        { "hello", "x:1: expected the front matter" },
        { "---\ntask: summarise\n", "x:1: expected the front matter" },
        { "---\ntask: summarise\nversoin: 1\n---\n" PARTS, "version" },
        { "---\nversion: 1\n---\n" PARTS, "names no task" },
        { "---\ntask: summarize\n---\n" PARTS, "the nearest is summarise" },
        { FRONT "# system\n# retry\nx\n", "\"# user\" is missing" },
        { FRONT "# user\n{text}\n", "\"# retry\" is missing" },
        { FRONT "# user\n{text}\n# user\n{text}\n# retry\nx", "x:9: the part \"# user\" comes twice" },
        { FRONT "# user\nSay {txet}.\n# retry\nx", "x:8: {txet} is no placeholder of the task summarise; the nearest is {text}" },
        { FRONT "# user\nSay it.\n# retry\nx", "never says {text}" },
        { FRONT "words\n" PARTS, "x:7: text before the first part" },
        { FRONT "# user\n{text} \xff\n# retry\nx", "is not UTF-8" },
    };
    for (size_t i = 0; i < WEFT_COUNT(bad); i++) {
        weft_err_clear(&err);
        enum weft_status st = weft_prompt_parse(&a, "x", weft_str_c(bad[i].text), &p, &err);
        assert_true(st == WEFT_EINPUT || st == WEFT_EARG);
        check_contains(err.msg, bad[i].message);
    }
    weft_err_clear(&err);
    weft_arena_clear(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_task_has_a_prompt_in_both_languages),
        cmocka_unit_test(test_prompt_file_is_read_and_filled),
        cmocka_unit_test(test_changed_prompt_has_another_name),
        cmocka_unit_test(test_mistakes_are_named_with_their_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
