/* Each sign on a row that shows it and on one that nearly does. */
#include "check.h"

#include "dataset/quality.h"

static uint32_t signs(const char *prompt, const char *answer, const struct weft_quality_settings *s)
{
    struct weft_turn turns[2] = { { WEFT_ROLE_USER, weft_str_c(prompt) },
                                  { WEFT_ROLE_ASSISTANT, weft_str_c(answer) } };
    struct weft_row row = { .turns = turns, .n_turns = 2, .kto_tag = -1 };
    return weft_quality_row(&row, s, NULL);
}

static void check_signs_at(const char *prompt, const char *answer, uint32_t want, int line)
{
    uint32_t got = signs(prompt, answer, NULL);
    if (got == want) return;
    for (int i = 0; i < WEFT_N_QUALITY; i++)
        if ((got ^ want) >> i & 1)
            print_error("%s: %s\n", weft_quality_rules()[i].name, got >> i & 1 ? "found" : "missed");
    print_error("\"%s\" -> \"%s\"\n", prompt, answer);
    _fail(__FILE__, line);
}
#define check_signs(p, a, want) check_signs_at((p), (a), (want), __LINE__)
#define BIT(q) (1u << WEFT_Q_##q)

static void test_good_rows_show_nothing(void **state)
{
    (void)state;
    check_signs("今天天气如何？", "天气很好，适合出门走走。", 0);
    check_signs("你是谁？", "臣妾甄嬛。", 0);
    check_signs("Hello there", "It's a fine day, isn't it? Let's go.", 0);
    check_signs("算一下", "1 + 1 = 2，2 + 2 = 4。", 0);
    check_signs("写诗", "床前明月光，\n疑是地上霜。\n举头望明月，\n低头思故乡", 0);
}

static void test_answers_that_say_too_little(void **state)
{
    (void)state;
    check_signs("问", " \n", BIT(EMPTY_ANSWER));
    check_signs("问", "嗯", BIT(SHORT_ANSWER));
    check_signs("问", "无", BIT(SHORT_ANSWER) | BIT(NOTHING_SAID));
    check_signs("问", "（无对话）", BIT(NOTHING_SAID) | BIT(DIRECTION));
    check_signs("", "答案是这样", BIT(SHORT_PROMPT));
    assert_int_equal(signs("问题", "好的呢", &(struct weft_quality_settings){ .short_answer_chars = 4 }),
                     BIT(SHORT_ANSWER));
    assert_int_equal(signs("问题", "好的好", &(struct weft_quality_settings){ .long_answer_chars = 2 }),
                     BIT(LONG_ANSWER));
}

static void test_answers_that_copy(void **state)
{
    (void)state;
    check_signs("皇上驾到了", "皇上驾到了 ", BIT(SAME_AS_PROMPT));
    check_signs("请问北京的天气怎么样", "请问北京的天气怎么样 晴。", BIT(ECHO));
    check_signs("皇上", "皇上驾到。", 0);
    const struct weft_str examples[] = { WEFT_STR("八戒别慌"), WEFT_STR("是") };
    struct weft_quality_settings s = { .examples = examples, .n_examples = 2 };
    assert_int_equal(signs("师父被抓走了", "八戒别慌，俺去看看。", &s), BIT(EXAMPLE));
    assert_int_equal(signs("你是谁", "俺是齐天大圣。", &s), 0);
}

static void test_loops_are_found_and_laughter_is_not(void **state)
{
    (void)state;
    check_signs("说", "我不知道该怎么说我不知道该怎么说我不知道该怎么说我不知道该怎么说。", BIT(REPEATS));
    check_signs("说", "好的。好的。好的。好的。好的。好的。", BIT(REPEATS));
    check_signs("说", "哈哈哈哈哈哈，笑死我了，今天真是高兴的一天。", 0);
    check_signs("说", "这个……………………………………让我好好想一想再来告诉你吧。", 0);
    check_signs("说", "一下，两下，三下，他一下一下地敲着门，没有人来应。", 0);
    check_signs("说", "啊啊啊啊啊啊啊啊啊啊啊啊啊啊啊啊啊啊啊啊", BIT(REPEATS));
}

static void test_marks_and_broken_ends(void **state)
{
    (void)state;
    check_signs("说", "！！！？？？……", BIT(MARKS));
    check_signs("说", "从前有座山，山里有座庙。庙里有个老和尚，他每天都给小和尚讲故事，讲的是很久以前有座",
                BIT(TRUNCATED));
    check_signs("说", "从前有座山，山里有座庙。庙里有个老和尚，他每天都给小和尚讲故事，讲的是从前的事。", 0);
    check_signs("说", "从前有座山，山里有座庙。庙里有个老和尚，他每天都给小和尚讲故事，有一天他对小和尚说：",
                BIT(TRUNCATED));
    check_signs(
        "说",
        "步骤如下，请依次去做，不要着急。每一步都要看清楚以后再做下一步，然后告诉我结果。\n- 洗菜\n- 切菜",
        0);
}

static void test_damaged_text(void **state)
{
    (void)state;
    check_signs("æˆ‘æ˜¯è°", "我是甄嬛。", BIT(MOJIBAKE));
    check_signs("锟斤拷锟斤拷", "这是什么？", BIT(MOJIBAKE));
    check_signs("浣犲ソ锛屾垜鏄敀銆", "这是什么？", BIT(MOJIBAKE));
    check_signs("Ça va très bien à Orléans", "Déjà vu, naïveté et façade.", 0);
    check_signs("看\xEE\x97\xA5这里", "看见了。", BIT(PRIVATE_USE));
    check_signs("看\x07这里\xE2\x80\x8B", "看见了。", BIT(CONTROL));
    check_signs("他说“走吧", "去哪里？", BIT(QUOTES));
    check_signs("走吧”，他说", "去哪里？", BIT(QUOTES));
    check_signs("他说“‘走’吧”，《史记》（卷一）", "it’s fine", 0);
}

static void test_what_is_left_of_sources_and_prompts(void **state)
{
    (void)state;
    check_signs("问话", "【这句台词明明应该是端妃的】好。", BIT(EDITOR_NOTE));
    check_signs("问话", "（笑）皇上说得是。", BIT(DIRECTION));
    check_signs("问话", "皇上说得是。(起身，行礼)", BIT(DIRECTION));
    check_signs("问话", "北京（Beijing）有地铁（1号线）。", 0);
    check_signs("问话", "作为一个AI语言模型，我没有感情。", BIT(BOILERPLATE));
    check_signs("问话", "As an AI, I have no feelings.", BIT(BOILERPLATE));
    check_signs("你好，{speaker}", "你好呀。", BIT(PLACEHOLDER));
    check_signs("问话", "<p>你好呀</p>", BIT(MARKUP));
    check_signs("第一行\\n第二行", "看见了。", BIT(LITERAL_NEWLINE));
    check_signs("打开 C:\\new 文件夹", "打开了。", 0);
}

static void test_names_are_bits_and_unknown_ones_are_helped(void **state)
{
    (void)state;
    const char *items[] = { "echo", "quotes" }, *all[] = { "all" }, *wrong[] = { "qoutes" };
    uint32_t bits;
    struct weft_err err = { 0 };
    check_ok(weft_quality_bits(&(struct weft_str_list){ items, 2 }, &bits, &err), &err);
    assert_int_equal(bits, BIT(ECHO) | BIT(QUOTES));
    check_ok(weft_quality_bits(&(struct weft_str_list){ all, 1 }, &bits, &err), &err);
    assert_int_equal(bits, (1u << WEFT_N_QUALITY) - 1);
    check_refuses(weft_quality_bits(&(struct weft_str_list){ wrong, 1 }, &bits, &err), &err, WEFT_EARG, NULL,
                  "\"quotes\"");
}

static void test_judged_rows_and_tools_are_not_called_bad(void **state)
{
    (void)state;
    struct weft_turn turns[3] = { { WEFT_ROLE_USER, WEFT_STR("几点了？") },
                                  { WEFT_ROLE_TOOL_CALL, WEFT_STR("{\"name\":\"{{\",\"arguments\":{}}") },
                                  { WEFT_ROLE_ASSISTANT, WEFT_STR("无") } };
    struct weft_row row = { .turns = turns, .n_turns = 3, .kto_tag = 0 };
    size_t turn[WEFT_N_QUALITY];
    assert_int_equal(weft_quality_row(&row, NULL, turn), 0);
    row.kto_tag = -1;
    assert_int_equal(weft_quality_row(&row, NULL, turn), BIT(SHORT_ANSWER) | BIT(NOTHING_SAID));
    assert_int_equal(turn[WEFT_Q_NOTHING_SAID], 2);
}

static void test_mojibake_is_undone_where_it_is_whole(void **state)
{
    (void)state;
    struct weft_buf b = { 0 };
    assert_true(weft_undo_mojibake(&b, WEFT_STR("æˆ‘æ˜¯ ABC")));
    check_str(weft_buf_view(&b), "我是 ABC");
    weft_buf_reset(&b);
    assert_false(weft_undo_mojibake(&b, WEFT_STR("æˆ‘是")));
    assert_false(weft_undo_mojibake(&b, WEFT_STR("Déjà vu")));
    assert_false(weft_undo_mojibake(&b, WEFT_STR("plain")));
    assert_int_equal(b.len, 0);
    weft_buf_clear(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_rows_show_nothing),
        cmocka_unit_test(test_answers_that_say_too_little),
        cmocka_unit_test(test_answers_that_copy),
        cmocka_unit_test(test_loops_are_found_and_laughter_is_not),
        cmocka_unit_test(test_marks_and_broken_ends),
        cmocka_unit_test(test_damaged_text),
        cmocka_unit_test(test_what_is_left_of_sources_and_prompts),
        cmocka_unit_test(test_names_are_bits_and_unknown_ones_are_helped),
        cmocka_unit_test(test_judged_rows_and_tools_are_not_called_bad),
        cmocka_unit_test(test_mojibake_is_undone_where_it_is_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
