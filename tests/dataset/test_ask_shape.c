/* The shape that a request asks for takes the good answers of its task, and is one that a model can be kept to. */
#include "check.h"
#include "dataset/ask_parts.h"
#include "dataset/ask_reply.h"
#include "model/grammar.h"

struct fixture {
    struct weft_arena arena;
    struct weft_err err;
    struct weft_prompt prompt;
    struct weft_ask_settings s;
    struct weft_ask_unit unit;
    struct weft_buf schema;
    const struct weft_grammar *g;
};

#define FIXTURE_CLEAR(f) weft_buf_clear(&(f)->schema)
#include "fixture.h"

static void shape(struct fixture *f, const char *task)
{
    struct weft_json_out o;
    struct weft_json_value v;
    check_ok(weft_prompt_builtin(&f->arena, task, WEFT_PROMPT_ZH, &f->prompt, &f->err), &f->err);
    weft_buf_reset(&f->schema);
    weft_json_out_init(&o, &f->schema);
    assert_true(ask_task_of(task)->shape(&f->prompt, &f->s, &f->unit, &o));
    check_ok(weft_json_parse(&f->arena, "schema", weft_buf_view(&f->schema), &v, &f->err), &f->err);
    check_ok(weft_grammar_new(&f->arena, "schema", &v, &f->g, &f->err), &f->err);
}

static bool takes(const struct fixture *f, const char *text)
{
    struct weft_grammar_state at;
    weft_grammar_start(f->g, &at);
    for (; *text; text++)
        if (!weft_grammar_step(f->g, &at, (unsigned char)*text)) return false;
    return weft_grammar_complete(f->g, &at);
}

#define QA(q) "{\"question\": \"" q "\", \"answer\": \"老张买了驴。\", \"evidence\": \"买了驴\"}"

static void test_questions_and_answers(void **state)
{
    struct fixture *f = *state;
    f->unit.text = WEFT_STR("老张进城买了驴");
    f->s.pairs = 2;
    shape(f, "qa");
    assert_true(takes(f, "[" QA("谁？") "]") && takes(f, "[\n  " QA("谁？") ",\n  " QA("买了什么？") "\n]"));
    assert_false(takes(f, "[]"));
    assert_false(takes(f, "[" QA("1") "," QA("2") "," QA("3") "]"));
    assert_false(takes(f, "[{\"question\":\"谁？\",\"answer\":\"老张。\"}]"));
    assert_false(takes(f, "好的：[" QA("谁？") "]"));
    assert_false(takes(f, "[{\"question\":\"谁？\",\"answer\":\"老张。\",\"evidence\":\"老张进城买了驴和马\"}]"));   /* longer than the source */
}

static void test_speakers_of_the_list(void **state)
{
    static const struct weft_str first[] = { WEFT_STR("阿沅"), WEFT_STR("船夫") }, second[] = { WEFT_STR("老\"张\"") };
    static const struct weft_ask_open open[] = { { 3, 0, first, 2 }, { 12, 1, second, 1 } };
    struct fixture *f = *state;
    f->unit.open = open;
    f->unit.n_open = 2;
    shape(f, "dialogue");
    assert_true(takes(f, "[{\"id\":3,\"speaker\":\"船夫\"},{\"id\":12,\"speaker\":\"老\\\"张\\\"\"}]"));
    assert_true(takes(f, "[{\"id\":3,\"speaker\":\"?\"},{\"id\":12,\"speaker\":\"?\"}]"));
    assert_false(takes(f, "[{\"id\":3,\"speaker\":\"老\\\"张\\\"\"},{\"id\":12,\"speaker\":\"?\"}]"));     /* of the other list */
    assert_false(takes(f, "[{\"id\":12,\"speaker\":\"?\"},{\"id\":3,\"speaker\":\"?\"}]"));
    assert_false(takes(f, "[{\"id\":3,\"speaker\":\"船夫\"}]"));
    f->unit.n_open = 100000;
    struct weft_json_out o;
    weft_json_out_init(&o, &f->schema);
    assert_false(ask_task_of("dialogue")->shape(&f->prompt, &f->s, &f->unit, &o));
}

static void test_more_rows_and_scores(void **state)
{
    struct fixture *f = *state;
    shape(f, "augment");
    assert_true(takes(f, "[{\"instruction\":\"下雨了吗？\",\"output\":\"下了一夜。\"}]"));
    shape(f, "judge");
    assert_true(takes(f, "{\"score\": 7, \"reasons\": \"通顺。\"}") && takes(f, "{\"score\":10,\"reasons\":\"\"}"));
    assert_false(takes(f, "{\"score\":11,\"reasons\":\"\"}"));
    assert_false(takes(f, "{\"score\":7.5,\"reasons\":\"\"}"));
    assert_null(ask_task_of("summarise")->shape);
    assert_null(ask_task_of("rag")->shape);
}

static void test_a_schema_goes_with_the_request_as_its_response_format(void **state)
{
    struct fixture *f = *state;
    const struct weft_chat_message m[] = { { "user", WEFT_STR("问") } };
    struct weft_chat_request q = { .model = "m", .messages = m, .n_messages = 1, .temperature = -1, .top_p = -1,
                                   .seed = -1, .schema = WEFT_STR("{\"type\":\"array\"}") };
    weft_chat_request_body(&q, false, &f->schema);
    check_str(weft_buf_view(&f->schema), "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"问\"}],\"response_format\":"
                                         "{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"answer\",\"strict\":true,\"schema\":"
                                         "{\"type\":\"array\"}}}}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_questions_and_answers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_speakers_of_the_list, setup, teardown),
        cmocka_unit_test_setup_teardown(test_more_rows_and_scores, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_schema_goes_with_the_request_as_its_response_format, setup, teardown),
    };
    return cmocka_run_group_tests_name("dataset/ask shape", tests, NULL, NULL);
}
