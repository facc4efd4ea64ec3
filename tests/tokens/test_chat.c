/* Whole conversations against what transformers rendered (tests/tokens/chat_data/chat.jsonl, made by
 * tests/parity/chat.py), spans and loss, and what templates are found to be able to do. */
#include "check.h"

#include "tokens/chat.h"

static const struct weft_chat_template *load(struct weft_arena *a, const char *name)
{
    struct weft_err err = { 0 };
    struct weft_str source;
    const struct weft_chat_template *t;
    check_ok(weft_file_read(a, check_path(WEFT_SOURCE_DIR "/tests/tokens/chat_data", name), 0, &source, &err),
             &err);
    check_ok(weft_chat_parse(a, name, source, &t, &err), &err);
    return t;
}

static const struct weft_chat_template *parse(struct weft_arena *a, const char *source)
{
    struct weft_err err = { 0 };
    const struct weft_chat_template *t;
    check_ok(weft_chat_parse(a, "t", weft_str_c(source), &t, &err), &err);
    return t;
}

static struct weft_json_value json(struct weft_arena *a, const char *text)
{
    struct weft_err err = { 0 };
    struct weft_json_value v;
    check_ok(weft_json_parse(a, "json", weft_str_c(text), &v, &err), &err);
    return v;
}

static struct weft_chat_settings settings(void)
{
    return (struct weft_chat_settings){ .bos_token = WEFT_STR("<s>"),
                                        .eos_token = WEFT_STR("</s>"),
                                        .pad_token = WEFT_STR("<pad>"),
                                        .date = WEFT_STR("2026-11-24") };
}

/* Spans cover the text, ascending, without gaps, none empty, neighbours differ. */
static void check_spans(const struct weft_chat_text *x)
{
    size_t at = 0;
    for (size_t i = 0; i < x->n_spans; i++) {
        assert_int_equal(x->spans[i].begin, at);
        assert_true(x->spans[i].end > at);
        if (i)
            assert_true(x->spans[i].loss != x->spans[i - 1].loss
                        || x->spans[i].from_template != x->spans[i - 1].from_template);
        at = x->spans[i].end;
    }
    assert_int_equal(at, x->text.len);
}

/* The loss intervals as text: "one" "two" joined by U+001F, so that a failure shows them. */
static struct weft_str loss_text(struct weft_arena *a, const struct weft_chat_text *x)
{
    struct weft_buf buf = { 0 };
    for (size_t i = 0; i < x->n_spans; i++) {
        if (!x->spans[i].loss) continue;
        if (buf.len && !x->spans[i - 1].loss) weft_buf_char(&buf, '\x1f');
        weft_buf_str(&buf, weft_str_sub(x->text, x->spans[i].begin, x->spans[i].end));
    }
    struct weft_str s = weft_str_dup(a, weft_buf_view(&buf));
    weft_buf_clear(&buf);
    return s;
}

/* The expected intervals are in code points: [begin, end, end with trailing space]. */
static struct weft_str want_loss(struct weft_arena *a, const struct weft_json_value *c, bool trailing)
{
    const struct weft_json_value *loss = weft_json_get(c, "loss");
    struct weft_str text = weft_json_get(c, "text")->text;
    struct weft_buf buf = { 0 };
    for (size_t i = 0; i < loss->n; i++) {
        const struct weft_json_value *v = loss->items[i].items;
        if (buf.len) weft_buf_char(&buf, '\x1f');
        weft_buf_str(&buf, weft_str_sub(text, weft_utf8_offset(text, (size_t)v[0].integer),
                                        weft_utf8_offset(text, (size_t)v[trailing ? 2 : 1].integer)));
    }
    struct weft_str s = weft_str_dup(a, weft_buf_view(&buf));
    weft_buf_clear(&buf);
    return s;
}

static void test_renders_what_transformers_renders_and_marks_the_answers(void **state)
{
    struct weft_arena a = { 0 };
    struct weft_err err = { 0 };
    struct weft_lines lines = { 0 };
    struct weft_str line;
    size_t n = 0, bad = 0;
    (void)state;
    check_ok(weft_file_read(&a, WEFT_SOURCE_DIR "/tests/tokens/chat_data/chat.jsonl", 0, &lines.text, &err),
             &err);
    while (weft_lines_next(&lines, &line)) {
        struct weft_json_value c;
        check_ok(weft_json_parse(&a, "chat.jsonl", line, &c, &err), &err);
        struct weft_str name = weft_json_get(&c, "template")->text;
        const char *file = weft_str_printf(&a, "%.*s.jinja", (int)name.len, name.s).s;
        const struct weft_chat_template *t = load(&a, file);
        const struct weft_json_value *tools = weft_json_get(&c, "tools"),
                                     *kwargs = weft_json_get(&c, "kwargs"), *want = weft_json_get(&c, "text");
        for (int trailing = 0; trailing < 2; trailing++, n++) {
            struct weft_chat_settings s = settings();
            struct weft_chat_text x = { 0 };
            struct weft_err failed = { 0 };
            s.kwargs = kwargs;
            s.train_trailing = trailing;
            if (weft_json_get(kwargs, "add_generation_prompt")) s.add_generation_prompt = true;
            enum weft_status st =
                weft_chat_render(&a, t, weft_json_get(&c, "messages"),
                                 tools->kind == WEFT_JSON_NULL ? NULL : tools, &s, &x, &failed);
            if (!want) {
                const struct weft_json_value *error = weft_json_get(&c, "error");
                if (st != WEFT_EINPUT || !strstr(failed.msg, weft_str_dup(&a, error->text).s)) {
                    bad++;
                    print_error("%.*s\n  %s\n", (int)line.len, line.s, failed.msg);
                }
                continue;
            }
            if (st || !weft_str_eq(x.text, want->text)) {
                bad++;
                print_error("%.*s\n  got %s%.*s\n", (int)line.len, line.s, failed.msg, (int)x.text.len,
                            x.text.s);
                continue;
            }
            check_spans(&x);
            struct weft_str got = loss_text(&a, &x), expected = want_loss(&a, &c, trailing);
            if (!weft_str_eq(got, expected)) {
                bad++;
                print_error("%s, trailing %d: %.*s\n  loss     %s\n  expected %s\n", file, trailing,
                            (int)line.len, line.s, got.s, expected.s);
            }
        }
    }
    weft_arena_clear(&a);
    assert_true(n > 200);
    assert_int_equal(bad, 0);
}

static struct weft_chat_text render(struct weft_arena *a, const struct weft_chat_template *t,
                                    const char *messages)
{
    struct weft_err err = { 0 };
    struct weft_json_value v = json(a, messages);
    struct weft_chat_settings s = settings();
    struct weft_chat_text x;
    check_ok(weft_chat_render(a, t, &v, NULL, &s, &x, &err), &err);
    check_spans(&x);
    return x;
}

static enum weft_status refuse(struct weft_arena *a, const struct weft_chat_template *t, const char *messages,
                               struct weft_err *err)
{
    struct weft_json_value v = json(a, messages);
    struct weft_chat_settings s = settings();
    struct weft_chat_text x;
    return weft_chat_render(a, t, &v, NULL, &s, &x, err);
}

static void test_abilities_are_found_by_trying(void **state)
{
    /* system developer string list tools calls object null generation */
    static const struct {
        const char *name, *can;
    } golden[] = {
        { "chatml.jinja", "s-S------" },     { "thinking.jinja", "s-S-tcon-" },
        { "headers.jinja", "s-S--con-" },    { "inst.jinja", "s-S------" },
        { "turns.jinja", "--Sl-----" },      { "parts.jinja", "s--l-----" },
        { "generation.jinja", "s-S-----g" }, { "xml.jinja", "s-S-tcon-" },
    };
    struct weft_arena a = { 0 };
    (void)state;
    for (size_t i = 0; i < WEFT_COUNT(golden); i++) {
        struct weft_chat_abilities c = weft_chat_abilities(load(&a, golden[i].name));
        char got[10];
        snprintf(got, sizeof got, "%c%c%c%c%c%c%c%c%c", c.system_role ? 's' : '-',
                 c.developer_role ? 'd' : '-', c.string_content ? 'S' : '-', c.list_content ? 'l' : '-',
                 c.tools ? 't' : '-', c.tool_calls ? 'c' : '-', c.arguments_object ? 'o' : '-',
                 c.null_content ? 'n' : '-', c.generation ? 'g' : '-');
        if (strcmp(got, golden[i].can) != 0)
            fail_msg("%s: %s, expected %s", golden[i].name, got, golden[i].can);
    }
    weft_arena_clear(&a);
}

static void test_messages_become_what_the_template_can_print(void **state)
{
    struct weft_arena a = { 0 };
    struct weft_err err = { 0 };
    const struct weft_chat_template *chatml = parse(&a, weft_chat_chatml);
    (void)state;
    /* parts of text are joined */
    check_str(render(&a, chatml,
                     "[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"text\","
                     "\"text\":\"b\"}]}]")
                  .text,
              "<|im_start|>user\na\nb<|im_end|>\n");
    check_refuses(refuse(&a, chatml,
                         "[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{}}]}]",
                         &err),
                  &err, WEFT_EINPUT, "", "no text");
    /* developer is a system the template knows by another name */
    check_str(render(&a, chatml,
                     "[{\"role\":\"developer\",\"content\":\"d\"},{\"role\":\"user\",\"content\":\"u\"}]")
                  .text,
              "<|im_start|>system\nd<|im_end|>\n<|im_start|>user\nu<|im_end|>\n");
    /* no system role: its text goes before the first question */
    check_str(render(&a, load(&a, "turns.jinja"),
                     "[{\"role\":\"system\",\"content\":\"S\"},{\"role\":\"user\",\"content\":\"u\"},"
                     "{\"role\":\"assistant\",\"content\":\"x\"}]")
                  .text,
              "<s><start_of_turn>user\nS\n\nu<end_of_turn>\n<start_of_turn>model\nx<end_of_turn>\n");
    /* strings become parts where only parts are printed */
    struct weft_chat_text x =
        render(&a, load(&a, "parts.jinja"),
               "[{\"role\":\"user\",\"content\":\"u\"},{\"role\":\"assistant\",\"content\":\"yes\"}]");
    check_str(x.text, "<|user|>\nu<|end|>\n<|assistant|>\nyes<|end|>\n</s>");
    check_str(loss_text(&a, &x), "yes<|end|>");

    /* arguments: a string for who joins strings, an object for who writes JSON */
    static const char call_object[] =
        "[{\"role\":\"user\",\"content\":\"u\"},{\"role\":\"assistant\",\"content\":null,"
        "\"tool_calls\":[{\"function\":{\"name\":\"f\","
        "\"arguments\":{\"k\": [1, \"v\"]}}}]}]";
    static const char call_text[] =
        "[{\"role\":\"user\",\"content\":\"u\"},{\"role\":\"assistant\",\"content\":null,"
        "\"tool_calls\":[{\"function\":{\"name\":\"f\","
        "\"arguments\":\"{\\\"k\\\": [1, \\\"v\\\"]}\"}}]}]";
    static const char joins[] =
        "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% for c in m.tool_calls or [] %}{{ 'call "
        "' + c.function.arguments }}{% endfor %}</>{% endfor %}";
    static const char writes[] =
        "{% for m in messages %}<{{ m.role }}>{{ m.content or '' }}{% for c in m.tool_calls or [] %}{{ "
        "'call ' + c.function.arguments|tojson }}{% endfor %}</>{% endfor %}";
    static const char want[] = "<user>u</><assistant>call {\"k\": [1, \"v\"]}</>";
    assert_false(weft_chat_abilities(parse(&a, joins)).arguments_object);
    assert_false(weft_chat_abilities(parse(&a, joins)).null_content);
    assert_true(weft_chat_abilities(parse(&a, writes)).arguments_object);
    check_str(render(&a, parse(&a, joins), call_object).text, want);
    check_str(render(&a, parse(&a, joins), call_text).text, want);
    check_str(render(&a, parse(&a, writes), call_object).text, want);
    x = render(&a, parse(&a, writes), call_text);
    check_str(x.text, want);
    /* without a generation prompt the model has to write the header too */
    check_str(loss_text(&a, &x), "<assistant>call {\"k\": [1, \"v\"]}</>");
    check_refuses(refuse(&a, chatml, call_object, &err), &err, WEFT_EINPUT, "", "does not print them");
    check_refuses(refuse(&a, chatml, "[{\"content\":\"x\"}]", &err), &err, WEFT_EINPUT, "",
                  "message 1 has no role");
    check_refuses(refuse(&a, chatml, "{\"role\":\"user\"}", &err), &err, WEFT_EINPUT, "",
                  "messages are an object; expected a list");
    check_refuses(refuse(&a, parse(&a, writes),
                         "[{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"x\":1}]}]", &err),
                  &err, WEFT_EINPUT, "", "no \"name\"");
    weft_arena_clear(&a);
}

/* NUL is a character of a text like others, also where texts are joined. */
static void test_nul_in_a_message_is_kept(void **state)
{
    struct weft_arena a = { 0 };
    (void)state;
    struct weft_str x = render(&a, load(&a, "turns.jinja"),
                               "[{\"role\":\"system\",\"content\":\"S\\u0000s\"},"
                               "{\"role\":\"user\",\"content\":\"u\\u0000u\"}]")
                            .text;
    check_str_at(x, WEFT_STR("<s><start_of_turn>user\nS\0s\n\nu\0u<end_of_turn>\n"), __FILE__, __LINE__);
    weft_arena_clear(&a);
}

static void test_rows_render_like_their_messages(void **state)
{
    struct weft_arena a = { 0 };
    struct weft_err err = { 0 };
    struct weft_turn turns[] = {
        { WEFT_ROLE_USER, WEFT_STR("天气？") },
        { WEFT_ROLE_TOOL_CALL, WEFT_STR("{\"name\": \"weather\", \"arguments\": {\"city\": \"北京\"}}") },
        { WEFT_ROLE_TOOL_RESULT, WEFT_STR("3") },
        { WEFT_ROLE_ASSISTANT, WEFT_STR("三度。") },
    };
    struct weft_row row = { .system = WEFT_STR("S"),
                            .turns = turns,
                            .n_turns = 4,
                            .tools =
                                WEFT_STR("[{\"type\":\"function\",\"function\":{\"name\":\"weather\"}}]") };
    struct weft_chat_settings s = settings();
    struct weft_chat_text x, y;
    (void)state;
    const struct weft_chat_template *t = load(&a, "thinking.jinja");
    check_ok(weft_chat_render_row(&a, t, &row, &s, &x, &err), &err);
    check_str(
        x.text,
        "<|im_start|>system\nS\n\n# Tools\n{\"type\": \"function\", \"function\": {\"name\": "
        "\"weather\"}}\n<|im_end|>\n<|im_start|>user\n天气？<|im_end|>\n"
        "<|im_start|>assistant\n<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"北京\"}}"
        "\n</tool_call><|im_end|>\n<|im_start|>user\n"
        "<tool_response>\n3\n</tool_response><|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
        "三度。<|im_end|>\n");
    check_str(loss_text(&a, &x), "<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"北京\"}}\n"
                                 "</tool_call><|im_end|>\x1f<think>\n\n</think>\n\n三度。<|im_end|>");
    check_refuses(weft_chat_render_row(&a, parse(&a, weft_chat_chatml), &row, &s, &x, &err), &err,
                  WEFT_EINPUT, "", "does not print them");
    turns[1].text = WEFT_STR("{\"name\": \"weather\", \"arguments\": {");
    check_refuses(weft_chat_render_row(&a, t, &row, &s, &x, &err), &err, WEFT_EINPUT, "", "a tool call:1:");

    /* a shape found once gives what is found each time; no system role: glued */
    struct weft_turn two[] = { { WEFT_ROLE_USER, WEFT_STR("u") }, { WEFT_ROLE_ASSISTANT, WEFT_STR("x") } };
    row = (struct weft_row){ .system = WEFT_STR("S"), .turns = two, .n_turns = 2 };
    t = load(&a, "turns.jinja");
    struct weft_chat_shape shape;
    weft_chat_learn_shape(&a, t, &s, &shape);
    check_str(shape.prompt, "<start_of_turn>model\n");
    check_str(shape.trailer, "<end_of_turn>\n");
    check_str(shape.marker, "<end_of_turn>");
    check_ok(weft_chat_render_row(&a, t, &row, &s, &x, &err), &err);
    s.shape = &shape;
    check_ok(weft_chat_render_row(&a, t, &row, &s, &y, &err), &err);
    check_str(x.text, "<s><start_of_turn>user\nS\n\nu<end_of_turn>\n<start_of_turn>model\nx<end_of_turn>\n");
    assert_int_equal(x.n_spans, y.n_spans);
    check_str(loss_text(&a, &y), "x<end_of_turn>");
    weft_arena_clear(&a);
}

static void test_bytes_of_the_template_and_of_the_data(void **state)
{
    struct weft_arena a = { 0 };
    struct weft_chat_text x =
        render(&a, parse(&a, weft_chat_chatml),
               "[{\"role\":\"user\",\"content\":\"<|im_end|>\"},{\"role\":\"assistant\",\"content\":\"b\"}]");
    static const struct {
        const char *text;
        bool from_template, loss;
    } want[] = {
        { "<|im_start|>", true, false },
        { "user", false, false },
        { "\n", true, false },
        { "<|im_end|>", false, false },
        { "<|im_end|>\n<|im_start|>", true, false },
        { "assistant", false, false },
        { "\n", true, false },
        { "b", false, true },
        { "<|im_end|>", true, true },
        { "\n", true, false },
    };
    (void)state;
    assert_int_equal(x.n_spans, WEFT_COUNT(want));
    for (size_t i = 0; i < WEFT_COUNT(want); i++) {
        check_str(weft_str_sub(x.text, x.spans[i].begin, x.spans[i].end), want[i].text);
        assert_int_equal(x.spans[i].from_template, want[i].from_template);
        assert_int_equal(x.spans[i].loss, want[i].loss);
    }
    weft_arena_clear(&a);
}

static void test_two_end_marks_that_begin_alike(void **state)
{
    struct weft_arena a = { 0 };
    (void)state;
    const struct weft_chat_template *t =
        parse(&a, "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}<|end|>\n{% endfor %}{% if "
                  "add_generation_prompt %}<|assistant|>\n{% else %}<|endoftext|>{% endif %}");
    struct weft_chat_text x =
        render(&a, t, "[{\"role\":\"user\",\"content\":\"u\"},{\"role\":\"assistant\",\"content\":\"x\"}]");
    check_str(loss_text(&a, &x), "x<|end|>");
    weft_arena_clear(&a);
}

static void test_the_fingerprint_is_the_hash_of_the_text(void **state)
{
    struct weft_arena a = { 0 };
    (void)state;
    assert_string_equal(weft_chat_fingerprint(parse(&a, "abc")),
                        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    check_str(weft_chat_source(parse(&a, "a\r\nb\n")), "a\r\nb\n");
    weft_arena_clear(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_renders_what_transformers_renders_and_marks_the_answers),
        cmocka_unit_test(test_abilities_are_found_by_trying),
        cmocka_unit_test(test_messages_become_what_the_template_can_print),
        cmocka_unit_test(test_nul_in_a_message_is_kept),
        cmocka_unit_test(test_rows_render_like_their_messages),
        cmocka_unit_test(test_bytes_of_the_template_and_of_the_data),
        cmocka_unit_test(test_two_end_marks_that_begin_alike),
        cmocka_unit_test(test_the_fingerprint_is_the_hash_of_the_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
