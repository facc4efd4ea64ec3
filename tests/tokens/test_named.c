/* Templates by name: ids and labels as LLaMA-Factory's own code gives them (tests/parity/templates.py), and
 * what is said about names and tokens that there are not. */
#include "check.h"

#include "base/file.h"
#include "tokens/collate.h"
#include "tokens/named.h"

#define DATA WEFT_SOURCE_DIR "/tests/tokens/data"

struct words {
    const char *name;
    struct weft_tokenizer *t;
    struct weft_encoder *e;
};

static void open_words(struct weft_arena *a, struct words *w, const char *name, const char *config)
{
    struct weft_err err = { 0 };
    struct weft_str json;
    *w = (struct words){ .name = name };
    check_ok(weft_file_read(a, weft_str_printf(a, DATA "/%s.json", name).s, 1u << 20, &json, &err), &err);
    check_ok(weft_tokenizer_parse(&w->t, name, json, weft_str_c(config), &err), &err);
    check_ok(weft_encoder_new(&w->e, w->t, &err), &err);
}

static void close_words(struct words *w)
{
    weft_encoder_free(w->e);
    weft_tokenizer_free(w->t);
}

/* The conversations of the program that wrote the fixture. */
static const struct {
    const char *name, *system;
    const char *turns[7];
} talks[] = {
    { "plain", "", { "你好，what's up?", "I'm fine.\n谢谢", "再来\n\n{{content}} <|im_end|>?", "好的" } },
    { "system", "  Be brief.\n", { "### 一\n", " two", "", "x\n" } },
    { "thoughts", "想一想",
      { "a?", "<think>\nhm <think>\nb\n</think>\n\n\nyes", "c?", "no", "d?", "\n<think>\n\n</think>\n\nOK <think>" } },
    { "open", "",
      { "q", "<think>\nnever closed", "r", "<think>\none\n</think>\n\nA<think>\ntwo\n</think>\n\nB" } },
};

static struct weft_row row_of(struct weft_arena *a, struct weft_str talk)
{
    for (size_t i = 0; i < WEFT_COUNT(talks); i++) {
        if (!weft_str_is(talk, talks[i].name)) continue;
        struct weft_row row = { .kto_tag = -1 };
        row.turns = WEFT_NEWS(a, struct weft_turn, 8);
        if (talks[i].system[0]) row.system = weft_str_c(talks[i].system);
        for (size_t k = 0; k < WEFT_COUNT(talks[i].turns) && talks[i].turns[k]; k++)
            row.turns[row.n_turns++] = (struct weft_turn){ k % 2 ? WEFT_ROLE_ASSISTANT : WEFT_ROLE_USER,
                                                           weft_str_c(talks[i].turns[k]) };
        return row;
    }
    fail_msg("no talk %.*s", (int)talk.len, talk.s);
    return (struct weft_row){ 0 };
}

/* want: [ids, marks]; marks: '.' no label, 'x' the token itself, 'e' the end token. */
static void same(uint64_t line, const struct weft_example *got, const struct weft_json_value *want, int32_t eos)
{
    const struct weft_json_value *ids = &want->items[0];
    struct weft_str marks = want->items[1].text;
    if (got->n != ids->n) fail_msg("line %llu: %u ids; expected %zu", (unsigned long long)line, got->n, ids->n);
    for (size_t i = 0; i < got->n; i++) {
        int32_t label = marks.s[i] == '.' ? WEFT_IGNORE : marks.s[i] == 'x' ? got->ids[i] : eos;
        if (got->ids[i] != ids->items[i].integer || got->labels[i] != label)
            fail_msg("line %llu, token %zu: id %d, label %d; expected %lld, %d", (unsigned long long)line, i, got->ids[i],
                     got->labels[i], (long long)ids->items[i].integer, label);
    }
}

static bool flag(const struct weft_json_value *v, const char *key)
{
    const struct weft_json_value *m = weft_json_get(v, key);
    return m && m->boolean;
}

static void check_line(struct weft_arena *a, uint64_t line, struct weft_str text, const struct words *words, size_t n)
{
    struct weft_err err = { 0 };
    struct weft_json_value v;
    struct weft_str source;
    const struct weft_chat_template *chat;
    check_ok(weft_json_parse(a, "named.jsonl", text, &v, &err), &err);
    const struct weft_json_value *thinking = weft_json_get(&v, "thinking"), *cutoff = weft_json_get(&v, "cutoff"),
                                 *system = weft_json_get(&v, "system"), *pair = weft_json_get(&v, "pair");
    const struct words *w = words;
    while (w < words + n && !weft_str_is(weft_json_get(&v, "tokenizer")->text, w->name)) w++;
    struct weft_named_settings s = {
        .default_system = system ? weft_str_dup(a, system->text).s : NULL,
        .thinking = !thinking ? WEFT_THINKING_ON
                              : thinking->kind == WEFT_JSON_NULL ? WEFT_THINKING_EITHER : WEFT_THINKING_OFF,
        .preserve_thinking = flag(&v, "preserve"),
    };
    struct weft_collate_settings c = { .stage = pair ? WEFT_STAGE_PAIR : WEFT_STAGE_SFT,
                                       .cutoff_len = cutoff ? cutoff->integer : 4096,
                                       .train_on_prompt = flag(&v, "prompt"),
                                       .mask_history = flag(&v, "mask") };
    const char *name = weft_str_dup(a, weft_json_get(&v, "template")->text).s;
    check_ok(weft_named_template(a, name, w->t, &s, &source, &err), &err);
    check_ok(weft_chat_parse(a, name, source, &chat, &err), &err);
    const struct weft_chat_rules *rules = weft_chat_rules(chat);
    assert_true(weft_str_is(rules->name, name));
    int32_t eos = rules->eos.s ? weft_tokenizer_id(w->t, rules->eos) : weft_tokenizer_special(w->t, WEFT_EOS);
    struct weft_row row = row_of(a, weft_json_get(&v, "talk")->text);
    if (!pair) {
        struct weft_example got;
        check_ok(weft_collate_row(a, w->e, w->t, chat, &row, &c, &got, &err), &err);
        same(line, &got, weft_json_get(&v, "row"), eos);
        return;
    }
    struct weft_examples got = { 0 };
    row.chosen = row.turns[--row.n_turns];
    row.rejected = (struct weft_turn){ WEFT_ROLE_ASSISTANT, WEFT_STR("other <think>\nz\n</think>\n\nend") };
    struct weft_rows rows = { &row, 1, 1 };
    check_ok(weft_collate_rows(a, w->t, chat, &rows, &c, NULL, &got, &err), &err);
    assert_int_equal(got.n, 1);
    same(line, &got.items[0], &pair->items[0], eos);
    same(line, &got.items[1], &pair->items[1], eos);
}

static void test_ids_and_labels_are_those_of_llamafactory(void **state)
{
    (void)state;
    struct weft_arena a = { 0 };
    struct weft_err err = { 0 };
    struct weft_lines in = { 0 };
    struct weft_str text, all;
    struct words words[2];
    uint64_t line = 0;
    open_words(&a, &words[0], "named", "{\"bos_token\":\"<s>\",\"eos_token\":\"<|endoftext|>\"}");
    open_words(&a, &words[1], "llama2", "{\"bos_token\":\"<s>\",\"eos_token\":\"</s>\"}");
    check_ok(weft_file_read(&a, DATA "/named.jsonl", 1u << 20, &all, &err), &err);
    in.text = all;
    while (weft_lines_next(&in, &text)) {
        struct weft_arena row = { 0 };
        check_line(&row, ++line, text, words, WEFT_COUNT(words));
        weft_arena_clear(&row);
    }
    assert_true(line > 200);
    close_words(&words[0]);
    close_words(&words[1]);
    weft_arena_clear(&a);
}

static void test_an_unknown_name_is_told_the_nearest(void **state)
{
    (void)state;
    struct weft_err err = { 0 };
    assert_int_equal(weft_named_check("r.yaml:3:11", "qwen3", &err), WEFT_OK);
    assert_int_equal(weft_named_check("r.yaml:3:11", "qwn3", &err), WEFT_EARG);
    assert_string_equal(err.msg, "r.yaml:3:11: no template \"qwn3\"; the nearest name is qwen3");
    weft_err_clear(&err);
    assert_int_equal(weft_named_check("r.yaml:3:11", "something_else", &err), WEFT_EARG);
    assert_non_null(strstr(err.msg, "there are: alpaca, baichuan, "));
    assert_non_null(strstr(err.msg, ", zephyr"));
}

static void test_names_are_sorted_and_all_parse(void **state)
{
    (void)state;
    struct weft_arena a = { 0 };
    struct weft_err err = { 0 };
    struct words w;
    struct weft_str source;
    const struct weft_chat_template *chat;
    struct weft_named_settings s = { .default_system = "it's \\ 'quoted'\n" };
    open_words(&a, &w, "named", "{\"eos_token\":\"<|endoftext|>\"}");
    for (size_t i = 0; weft_named_name(i); i++) {
        if (i) assert_true(strcmp(weft_named_name(i - 1), weft_named_name(i)) < 0);
        check_ok(weft_named_template(&a, weft_named_name(i), w.t, &s, &source, &err), &err);
        check_ok(weft_chat_parse(&a, weft_named_name(i), source, &chat, &err), &err);
        assert_true(weft_chat_abilities(chat).system_role);
        assert_true(weft_chat_abilities(chat).generation);
        struct weft_chat_text x;
        struct weft_turn turn = { WEFT_ROLE_USER, WEFT_STR("hello") };
        struct weft_row row = { .turns = &turn, .n_turns = 1 };
        struct weft_chat_settings how = { .add_generation_prompt = true };
        check_ok(weft_chat_render_row(&a, chat, &row, &how, &x, &err), &err);
        assert_true(weft_str_find(x.text, WEFT_STR("it's \\ 'quoted'\n"), 0) != SIZE_MAX);
        assert_int_equal(x.pieces[x.n_pieces - 1], x.text.len);
    }
    close_words(&w);
    weft_arena_clear(&a);
}

static void test_a_token_that_the_tokenizer_lacks_is_named(void **state)
{
    (void)state;
    struct weft_arena a = { 0 };
    struct weft_err err = { 0 };
    struct words w, llama;
    struct weft_str source;
    struct weft_named_settings s = { 0 };
    open_words(&a, &llama, "llama2", "{\"eos_token\":\"</s>\"}");
    assert_int_equal(weft_named_template(&a, "qwen", llama.t, &s, &source, &err), WEFT_EINPUT);
    assert_non_null(strstr(err.msg, "template qwen writes the token <|im_end|>"));
    weft_err_clear(&err);
    assert_int_equal(weft_named_template(&a, "chatglm3", llama.t, &s, &source, &err), WEFT_EINPUT);
    assert_non_null(strstr(err.msg, "<|user|>"));
    weft_err_clear(&err);
    /* a stop word that is never written may be absent */
    open_words(&a, &w, "named", "{\"eos_token\":\"<|endoftext|>\"}");
    check_ok(weft_named_template(&a, "llama3", w.t, &s, &source, &err), &err);
    assert_true(weft_tokenizer_id(w.t, WEFT_STR("<|eom_id|>")) < 0);
    close_words(&w);
    close_words(&llama);
    weft_arena_clear(&a);
}

static void test_a_message_without_place_is_refused(void **state)
{
    (void)state;
    struct weft_arena a = { 0 };
    struct weft_err err = { 0 };
    struct words w;
    struct weft_str source;
    const struct weft_chat_template *chat;
    struct weft_named_settings s = { 0 };
    struct weft_json_value messages;
    struct weft_chat_text x;
    struct weft_chat_settings how = { .add_generation_prompt = true };
    open_words(&a, &w, "named", "{\"eos_token\":\"<|endoftext|>\"}");
    check_ok(weft_named_template(&a, "qwen", w.t, &s, &source, &err), &err);
    check_ok(weft_chat_parse(&a, "qwen", source, &chat, &err), &err);
    check_ok(weft_json_parse(&a, "m", WEFT_STR("[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"system\",\"content\":\"b\"}]"),
                             &messages, &err), &err);
    assert_int_equal(weft_chat_render(&a, chat, &messages, NULL, &how, &x, &err), WEFT_EINPUT);
    assert_non_null(strstr(err.msg, "template qwen has no place for a message of system"));
    close_words(&w);
    weft_arena_clear(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids_and_labels_are_those_of_llamafactory),
        cmocka_unit_test(test_an_unknown_name_is_told_the_nearest),
        cmocka_unit_test(test_names_are_sorted_and_all_parse),
        cmocka_unit_test(test_a_token_that_the_tokenizer_lacks_is_named),
        cmocka_unit_test(test_a_message_without_place_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
