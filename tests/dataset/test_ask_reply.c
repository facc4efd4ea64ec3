/* Replies of models: what is the answer in them, and what is no reply at all (C6, C7). */
#include "dataset/ask_reply.h"

#include "check.h"

static struct weft_err err;

static void test_thoughts_and_fences_are_no_answer(void **state)
{
    struct weft_arena a = { 0 };
    const struct {
        const char *text, *answer;
        bool thought, fenced;
    } cases[] = {
        { " 一句话。\n", "一句话。", false, false },
        { "<think>想</think>\n\n一句话。", "一句话。", true, false },
        { "想了又想</think>一句话。", "一句话。", true, false },
        { "<think>想到一半", "", true, false },
        { "<thinking>a</thinking>b", "b", true, false },
        { "前<think>想</think>后", "前后", true, false },
        { "<think>a</think><think>b</think>c", "c", true, false },
        { "```json\n[1]\n```", "[1]", false, true },
        { "<think>x</think>```\n{}\n```", "{}", true, true },
        { "```\na\n```\nb\n```\nc\n```", "```\na\n```\nb\n```\nc\n```", false, false },
        { "```x```", "```x```", false, false },
        { "", "", false, false },
    };
    for (size_t i = 0; i < WEFT_COUNT(cases); i++) {
        struct weft_clean_reply c;
        check_ok(weft_reply_clean(&a, weft_str_c(cases[i].text), &c, &err), &err);
        check_str(c.answer, cases[i].answer);
        assert_int_equal(c.thought, cases[i].thought);
        assert_int_equal(c.fenced, cases[i].fenced);
    }
    weft_arena_clear(&a);
}

static void test_json_is_found_among_words(void **state)
{
    const struct {
        const char *text, *json;
    } cases[] = {
        { "[1,2]", "[1,2]" },
        { "好的，结果如下：\n[{\"a\":\"]\"}]\n希望有用", "[{\"a\":\"]\"}]" },
        { "说明\n```json\n{\"a\":1}\n```\n完", "{\"a\":1}" },
        { "{\"a\":[1]}", "{\"a\":[1]}" },
    };
    for (size_t i = 0; i < WEFT_COUNT(cases); i++) check_str(weft_reply_json(weft_str_c(cases[i].text)), cases[i].json);
    assert_null(weft_reply_json(WEFT_STR("没有")).s);
    assert_null(weft_reply_json(WEFT_STR("[")).s);
    assert_null(weft_reply_json(WEFT_STR("")).s);
}

static void test_chat_completion_is_read(void **state)
{
    struct weft_chat_reply r = { 0 };
    check_ok(weft_chat_reply_body(&r,
                                  WEFT_STR("{\"id\":\"x\",\"object\":\"chat.completion\",\"choices\":[{\"index\":0,\"message\":"
                                           "{\"role\":\"assistant\",\"content\":\"答\",\"reasoning_content\":\"想\",\"refusal\":null},"
                                           "\"finish_reason\":\"length\"},{\"index\":1,\"message\":{\"content\":\"二\"}}],"
                                           "\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":3}}"),
                                  &err),
             &err);
    check_str(weft_buf_view(&r.text), "答");
    check_str(weft_buf_view(&r.reasoning), "想");
    assert_true(r.finish == WEFT_CALL_FINISH_LENGTH && r.prompt_tokens == 12 && r.completion_tokens == 3 && r.done);
    weft_chat_reply_clear(&r);
    check_ok(weft_chat_reply_body(&r, WEFT_STR("{\"choices\":[{\"message\":{\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"text\":\"b\"}]}}]}"), &err), &err);
    check_str(weft_buf_view(&r.text), "ab");
    weft_chat_reply_clear(&r);
    check_ok(weft_chat_reply_body(&r, WEFT_STR("{\"error\":{\"message\":\"no\\nmoney\",\"type\":\"t\",\"code\":\"insufficient_quota\",\"param\":null}}"), &err), &err);
    assert_string_equal(r.error, "no\\nmoney");
    assert_string_equal(r.code, "insufficient_quota");
    weft_chat_reply_clear(&r);
}

static void test_stream_is_put_together(void **state)
{
    const char *const events[] = {
        "{\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}],\"usage\":null}",
        "{\"choices\":[{\"index\":0,\"delta\":{\"reasoning_content\":\"想\"}}]}",
        "{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"一\"}}]}",
        "{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"句\"}}]}",
        "{\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}",
        "{\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2}}",
        "[DONE]",
    };
    struct weft_chat_reply r = { 0 };
    for (size_t i = 0; i < WEFT_COUNT(events); i++) {
        assert_int_equal(r.done, i > 4);
        check_ok(weft_chat_reply_event(&r, weft_str_c(events[i]), &err), &err);
    }
    check_str(weft_buf_view(&r.text), "一句");
    check_str(weft_buf_view(&r.reasoning), "想");
    assert_true(r.finish == WEFT_CALL_FINISH_STOP && r.prompt_tokens == 9 && r.done);
    weft_chat_reply_clear(&r);
}

static void test_what_is_no_reply_is_said(void **state)
{
    const struct {
        const char *body, *message;
    } bad[] = {
        { "", "empty" },
        { "  <html><body>502</body></html>", "a web page" },
        { "{\"choices\":[{\"message\":{\"content\":\"abc", "reply:1:" },
        { "[]", "no JSON object" },
        { "{}", "no array \"choices\"" },
        { "{\"choices\":[]}", "no message" },
        { "{\"choices\":[{\"message\":{\"content\":5}}]}", "no text" },
        { "{\"choices\":[{\"message\":{\"content\":\"\xff\"}}]}", "" },
    };
    for (size_t i = 0; i < WEFT_COUNT(bad); i++) {
        struct weft_chat_reply r = { 0 };
        check_refuses(weft_chat_reply_body(&r, weft_str_c(bad[i].body), &err), &err, WEFT_EINPUT, "", bad[i].message);
        weft_chat_reply_clear(&r);
    }
}

static void test_request_has_what_was_asked_for_and_nothing_else(void **state)
{
    const struct weft_chat_message m[] = { { "system", WEFT_STR("") }, { "user", WEFT_STR("你\"好") } };
    struct weft_chat_request q = { .model = "m", .messages = m, .n_messages = 2,
                                   .temperature = -1, .top_p = -1, .seed = -1 };
    struct weft_buf b = { 0 };
    weft_chat_request_body(&q, false, &b);
    check_str(weft_buf_view(&b), "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"你\\\"好\"}]}");
    q.temperature = 0;
    q.max_tokens = 64;
    q.seed = 7;
    weft_buf_reset(&b);
    weft_chat_request_body(&q, true, &b);
    check_contains(b.s, "\"temperature\":0.0,\"max_tokens\":64,\"seed\":7,\"stream\":true");
    weft_buf_clear(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_thoughts_and_fences_are_no_answer),
        cmocka_unit_test(test_json_is_found_among_words),
        cmocka_unit_test(test_chat_completion_is_read),
        cmocka_unit_test(test_stream_is_put_together),
        cmocka_unit_test(test_what_is_no_reply_is_said),
        cmocka_unit_test(test_request_has_what_was_asked_for_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
