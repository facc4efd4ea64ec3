/* Rules TK1-TK8: for each a file that keeps it and files that break it, with verdict, rule and place. */
#include "base/file.h"
#include "tokens/tokenizer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

/* A tokenizer.json of seven lines; each part can be replaced. */
struct parts {
    const char *version, *added, *normalizer, *pre_tokenizer, *post_processor, *decoder, *model;
};

static const char good_model[] =
    "{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2,\"c\":5},\"merges\":[\"a b\"]}";

static void compose(struct weft_buf *out, const struct parts *p)
{
    weft_buf_printf(
        out,
        "{\"version\":%s,\n\"added_tokens\":%s,\n\"normalizer\":%s,\n\"pre_tokenizer\":%s,\n\"post_processor\":%s,\n\"decoder\":%s,\n\"model\":%s}\n",
        p->version ? p->version : "\"1.0\"", p->added ? p->added : "[]",
        p->normalizer ? p->normalizer : "null", p->pre_tokenizer ? p->pre_tokenizer : "null",
        p->post_processor ? p->post_processor : "null", p->decoder ? p->decoder : "null",
        p->model ? p->model : good_model);
}

static enum weft_status load(const struct parts *p, struct weft_tokenizer **t, struct weft_err *err)
{
    struct weft_buf json = { 0 };
    compose(&json, p);
    enum weft_status st =
        weft_tokenizer_parse(t, "t.json", weft_buf_view(&json), (struct weft_str){ 0 }, err);
    weft_buf_clear(&json);
    return st;
}

static void accepted(struct parts p)
{
    struct weft_tokenizer *t = NULL;
    struct weft_err err = { 0 };
    if (load(&p, &t, &err)) fail_msg("refused: %s %s", err.rule, err.msg);
    weft_tokenizer_free(t);
}

/* `place` is what the message begins with. */
static void refused(struct parts p, const char *rule, const char *place)
{
    struct weft_tokenizer *t = NULL;
    struct weft_err err = { 0 };
    enum weft_status st = load(&p, &t, &err);
    if (!st) fail_msg("accepted; expected a refusal by %s at %s", rule, place);
    if (st != WEFT_EINPUT && st != WEFT_ELIMIT) fail_msg("status %d: %s", st, err.msg);
    if (strcmp(err.rule, rule) != 0 || strncmp(err.msg, place, strlen(place)) != 0)
        fail_msg("rule %s, \"%s\"; expected %s at %s", err.rule, err.msg, rule, place);
}

static void test_tk1_version_and_json(void **state)
{
    accepted((struct parts){ 0 });
    refused((struct parts){ .version = "\"2.0\"" }, "TK1", "t.json:1:12: ");
    refused((struct parts){ .version = "1.0" }, "", "t.json:1:12: ");
    refused((struct parts){ .version = "\"1.0\",\"version\":\"1.0\"" }, "JS4", "t.json:1:18: ");
    refused((struct parts){ .added = "[,]" }, "JS2", "t.json:2:17: ");
    struct weft_tokenizer *t = NULL;
    struct weft_err err = { 0 };
    assert_int_equal(weft_tokenizer_parse(&t, "t.json",
                                          WEFT_STR("{\"model\":{\"vocab\":{\"a\":0},\"merges\":[]}}"),
                                          (struct weft_str){ 0 }, &err),
                     WEFT_EINPUT);
    assert_string_equal(err.rule, "TK1");
    weft_err_clear(&err);
    assert_int_equal(
        weft_tokenizer_parse(&t, "t.json", WEFT_STR("{\"version\":\"1.0\"}"), (struct weft_str){ 0 }, &err),
        WEFT_EINPUT);
    assert_string_equal(err.rule, "TK1");
}

static void test_tk2_component_types_and_depth(void **state)
{
    accepted((struct parts){
        .normalizer = "{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFC\"},{\"type\":\"Lowercase\"}]}",
        .pre_tokenizer = "{\"type\":\"Digits\",\"individual_digits\":true}",
        .decoder = "{\"type\":\"Fuse\"}" });
    refused((struct parts){ .normalizer = "{\"type\":\"NFZ\"}" }, "TK2",
            "t.json:3:14: normalizer has the type \"NFZ\"");
    refused((struct parts){ .normalizer = "{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"\"}" }, "TK2",
            "t.json:3:14: normalizer: ");
    refused(
        (struct parts){
            .pre_tokenizer =
                "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Digits\"},{\"type\":\"Knife\"}]}" },
        "TK2", "t.json:4:71: pre_tokenizer.pretokenizers[1] has the type \"Knife\"");
    refused((struct parts){ .post_processor = "{\"type\":\"Nope\"}" }, "TK2",
            "t.json:5:18: post_processor has the type");
    refused((struct parts){ .decoder = "{\"type\":\"CTC\"}" }, "TK2", "t.json:6:11: decoder has the type");
    refused((struct parts){ .decoder = "[]" }, "TK2", "t.json:6:11: decoder: ");
    refused((struct parts){ .model = "{\"type\":\"Unigram\",\"vocab\":[]}" }, "TK2",
            "t.json:7:17: model has the type \"Unigram\"");
    refused((struct parts){ .pre_tokenizer = "{\"type\":\"Metaspace\"}" }, "TK2",
            "t.json:4:17: pre_tokenizer.replacement is missing");
    refused((struct parts){ .pre_tokenizer =
                                "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"a\"},\"behavior\":\"Torn\"}" },
            "TK2", "t.json:4:17: ");
    for (int depth = 8; depth <= 9; depth++) {
        struct weft_buf nested = { 0 };
        for (int i = 0; i < depth; i++) weft_buf_cstr(&nested, "{\"type\":\"Sequence\",\"decoders\":[");
        weft_buf_cstr(&nested, "{\"type\":\"Fuse\"}");
        for (int i = 0; i < depth; i++) weft_buf_cstr(&nested, "]}");
        if (depth == 8) accepted((struct parts){ .decoder = nested.s });
        else refused((struct parts){ .decoder = nested.s }, "TK2", "t.json:6:");
        weft_buf_clear(&nested);
    }
}

static void test_tk3_vocabulary(void **state)
{
    accepted((struct parts){ .model = "{\"vocab\":{\"a\":16777215},\"merges\":[]}" });
    refused((struct parts){ .model = "{\"vocab\":{},\"merges\":[]}" }, "TK3", "t.json:7:9: ");
    refused((struct parts){ .model = "{\"merges\":[]}" }, "TK3", "t.json:7:9: ");
    refused((struct parts){ .model = "{\"vocab\":{\"a\":0,\"b\":0},\"merges\":[]}" }, "TK3", "t.json:7:29: ");
    refused((struct parts){ .model = "{\"vocab\":{\"a\":-1},\"merges\":[]}" }, "TK3", "t.json:7:23: ");
    refused((struct parts){ .model = "{\"vocab\":{\"a\":16777216},\"merges\":[]}" }, "TK3", "t.json:7:23: ");
    refused((struct parts){ .model = "{\"vocab\":{\"a\":1.5},\"merges\":[]}" }, "JS6", "t.json:7:23: ");
    struct weft_tokenizer *t = NULL;
    struct weft_err err = { 0 };
    assert_int_equal(load(&(struct parts){ 0 }, &t, &err), WEFT_OK); /* ids 3 and 4 are holes */
    assert_true(weft_str_find(weft_tokenizer_warnings(t), WEFT_STR("2 ids below 6"), 0) != SIZE_MAX);
    assert_null(weft_tokenizer_content(t, 3).s);
    weft_tokenizer_free(t);
}

static void test_tk4_merges(void **state)
{
    accepted(
        (struct parts){ .model = "{\"vocab\":{\"a\":0,\" b\":1,\"a b\":2},\"merges\":[[\"a\",\" b\"]]}" });
    accepted((struct parts){
        .model =
            "{\"vocab\":{\"a\":0,\"##b\":1,\"ab\":2},\"merges\":[\"a ##b\"],\"continuing_subword_prefix\":\"##\"}" });
    refused((struct parts){ .model = "{\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[\"a b\",\"a c\"]}" },
            "TK4", "t.json:7:55: merge 1");
    refused((struct parts){ .model = "{\"vocab\":{\"a\":0,\"b\":1},\"merges\":[\"a b\"]}" }, "TK4",
            "t.json:7:42: merge 0");
    refused((struct parts){ .model = "{\"vocab\":{\"a\":0},\"merges\":[\"a\"]}" }, "TK4", "t.json:7:36: ");
    refused((struct parts){ .model = "{\"vocab\":{\"a\":0},\"merges\":[\"a a a\"]}" }, "TK4",
            "t.json:7:36: ");
    refused((struct parts){ .model = "{\"vocab\":{\"a\":0},\"merges\":[[\"a\",\"a\",\"a\"]]}" }, "TK4",
            "t.json:7:36: ");
    refused((struct parts){ .model = "{\"vocab\":{\"a\":0}}" }, "TK4", "t.json:7:9: ");
    struct weft_tokenizer *t = NULL;
    struct weft_err err = { 0 };
    assert_int_equal(
        load(
            &(struct parts){ .model = "{\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[\"a b\",\"a b\"]}" },
            &t, &err),
        WEFT_OK);
    assert_true(weft_str_find(weft_tokenizer_warnings(t), WEFT_STR("1 merges are listed twice"), 0)
                != SIZE_MAX);
    weft_tokenizer_free(t);
}

static void test_tk4_the_last_rank_of_a_repeated_pair_counts(void **state)
{
    struct weft_tokenizer *t = NULL;
    struct weft_encoder *e = NULL;
    struct weft_ids ids = { 0 };
    struct weft_err err = { 0 };
    const char *model =
        "{\"vocab\":{\"a\":0,\"b\":1,\"c\":2,\"ab\":3,\"bc\":4},\"merges\":[\"a b\",\"b c\",\"a b\"]}";
    assert_int_equal(load(&(struct parts){ .model = model }, &t, &err), WEFT_OK);
    assert_int_equal(weft_encoder_new(&e, t, &err), WEFT_OK);
    assert_int_equal(weft_encode(e, WEFT_STR("abc"), 0, &ids, &err), WEFT_OK);
    assert_int_equal(ids.n, 2);
    assert_int_equal(ids.ids[0], 0);
    assert_int_equal(ids.ids[1], 4);
    weft_ids_clear(&ids);
    weft_encoder_free(e);
    weft_tokenizer_free(t);
}

static void test_tk5_added_tokens(void **state)
{
    char longest[600], longer[600];
    snprintf(longest, sizeof longest, "[{\"id\":9,\"content\":\"%0512d\"}]", 0);
    snprintf(longer, sizeof longer, "[{\"id\":9,\"content\":\"%0513d\"}]", 0);
    accepted((struct parts){
        .added = "[{\"id\":2,\"content\":\"ab\"},{\"id\":9,\"content\":\"<s>\",\"special\":true}]" });
    accepted((struct parts){ .added = longest });
    refused((struct parts){ .added = longer }, "TK5", "t.json:2:35: ");
    refused((struct parts){ .added = "[{\"id\":9,\"content\":\"\"}]" }, "TK5", "t.json:2:35: ");
    refused((struct parts){ .added = "[{\"id\":9}]" }, "TK5", "t.json:2:17: ");
    refused((struct parts){ .added = "[{\"content\":\"<s>\"}]" }, "TK5", "t.json:2:17: ");
    refused((struct parts){ .added = "[{\"id\":1,\"content\":\"<s>\"}]" }, "TK5", "t.json:2:17: ");
    refused((struct parts){ .added = "[{\"id\":8,\"content\":\"<s>\"},{\"id\":8,\"content\":\"</s>\"}]" },
            "TK5", "t.json:2:");
    refused((struct parts){ .added = "[{\"id\":8,\"content\":\"<s>\"},{\"id\":9,\"content\":\"<s>\"}]" },
            "TK5", "t.json:2:");
    refused((struct parts){ .added = "[7]" }, "TK5", "t.json:2:17: ");
    refused((struct parts){ .added = "{}" }, "TK5", "t.json:2:16: ");
}

static void pattern(const char *regex, const char *place)
{
    char text[200];
    snprintf(text, sizeof text,
             "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"%s\"},\"behavior\":\"Isolated\"}", regex);
    if (place) refused((struct parts){ .pre_tokenizer = text }, "TK6", place);
    else accepted((struct parts){ .pre_tokenizer = text });
}

static void test_tk6_patterns(void **state)
{
    pattern("[A-Z]{1,1000}|(?i:'s)|\\\\p{Lu}+?", NULL);
    pattern("(?=x)(?!y)(?<=a)(?<!b)(?>c)[^\\\\s\\\\P{L}]$", NULL);
    pattern("a{1001}", "t.json:4:52: the pattern is not supported at byte 1");
    pattern("a{3,2}", "t.json:4:52: the pattern is not supported at byte 1");
    pattern("(a", "t.json:4:52: the pattern is not supported at byte 2");
    pattern("a)", "t.json:4:52: the pattern is not supported at byte 1");
    pattern("[z-a]", "t.json:4:52: the pattern is not supported at byte 3");
    pattern("[a", "t.json:4:52: the pattern is not supported at byte 0");
    pattern("[]", "t.json:4:52: the pattern is not supported at byte 0");
    pattern("[a[b]]", "t.json:4:52: the pattern is not supported at byte 2");
    pattern("[a&&b]", "t.json:4:52: the pattern is not supported at byte 2");
    pattern("(a)\\\\1", "t.json:4:52: the pattern is not supported at byte 3");
    pattern("\\\\h", "t.json:4:52: the pattern is not supported at byte 0");
    pattern("\\\\p{Foo}", "t.json:4:52: the pattern is not supported at byte 0");
    pattern("(?<n>a)", "t.json:4:52: the pattern is not supported at byte 0");
    pattern("a**", "t.json:4:52: the pattern is not supported at byte 1");
    pattern("*a", "t.json:4:52: the pattern is not supported at byte 0");
    pattern("(?<=a+)b", "t.json:4:52: the pattern"); /* the engine's own refusal */
    pattern("((((a{1,1000}){1,1000}){1,1000}){1,1000})", "t.json:4:52: the pattern");
}

static void test_tk6_steps_are_capped(void **state)
{
    struct weft_tokenizer *t = NULL;
    struct weft_encoder *e = NULL;
    struct weft_ids ids = { 0 };
    struct weft_err err = { 0 };
    struct weft_buf text = { 0 };
    assert_int_equal(
        load(
            &(struct parts){
                .pre_tokenizer =
                    "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(a+)+$\"},\"behavior\":\"Isolated\"}" },
            &t, &err),
        WEFT_OK);
    assert_int_equal(weft_encoder_new(&e, t, &err), WEFT_OK);
    weft_buf_cstr(&text, "c ");
    for (int i = 0; i < 60; i++) weft_buf_char(&text, 'a');
    weft_buf_cstr(&text, "b");
    assert_int_equal(weft_encode(e, weft_buf_view(&text), 0, &ids, &err), WEFT_ELIMIT);
    assert_string_equal(err.rule, "TK6");
    assert_int_equal(ids.n, 0);
    weft_buf_clear(&text);
    weft_ids_clear(&ids);
    weft_encoder_free(e);
    weft_tokenizer_free(t);
}

static void test_tk7_templates(void **state)
{
    const char *good =
        "{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"x\",\"type_id\":0}},{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}],"
        "\"special_tokens\":{\"x\":{\"id\":\"x\",\"ids\":[5,0],\"tokens\":[\"c\",\"a\"]}}}";
    accepted((struct parts){ .post_processor = good });
    refused(
        (struct parts){
            .post_processor =
                "{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"y\",\"type_id\":0}},{\"Sequence\":{\"id\":\"A\"}}],"
                "\"special_tokens\":{\"x\":{\"id\":\"x\",\"ids\":[5],\"tokens\":[\"c\"]}}}" },
        "TK7", "t.json:5:79: post_processor uses \"y\"");
    refused(
        (struct parts){
            .post_processor =
                "{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"x\"}},{\"Sequence\":{\"id\":\"A\"}}],"
                "\"special_tokens\":{\"x\":{\"ids\":[-5]}}}" },
        "TK7", "t.json:5:");
    refused((struct parts){ .post_processor = "{\"type\":\"TemplateProcessing\",\"single\":[]}" }, "TK2",
            "t.json:5:");

    struct weft_tokenizer *t = NULL;
    struct weft_encoder *e = NULL;
    struct weft_ids ids = { 0 };
    struct weft_err err = { 0 };
    assert_int_equal(load(&(struct parts){ .post_processor = good }, &t, &err), WEFT_OK);
    assert_int_equal(weft_encoder_new(&e, t, &err), WEFT_OK);
    assert_int_equal(weft_encode(e, WEFT_STR("ab"), WEFT_ENCODE_ADD, &ids, &err), WEFT_OK);
    assert_int_equal(ids.n, 3);
    assert_int_equal(ids.ids[0], 5);
    assert_int_equal(ids.ids[2], 2);
    weft_ids_clear(&ids);
    weft_encoder_free(e);
    weft_tokenizer_free(t);
}

static void write_file(const char *dir, const char *name, struct weft_str text)
{
    char path[300];
    struct weft_err err = { 0 };
    snprintf(path, sizeof path, "%s/%s", dir, name);
    if (weft_file_write(path, text, &err)) fail_msg("%s", err.msg);
}

static void test_tk8_and_the_files_beside(void **state)
{
    char dir[] = "/tmp/weft-test-XXXXXX";
    struct weft_buf json = { 0 };
    struct weft_tokenizer *t = NULL;
    struct weft_err err = { 0 };
    assert_non_null(mkdtemp(dir));
    assert_int_equal(weft_tokenizer_load(&t, dir, &err), WEFT_EINPUT);
    compose(&json, &(struct parts){ .added = "[{\"id\":9,\"content\":\"<s>\"}]" });
    write_file(dir, "tokenizer.json", weft_buf_view(&json));
    write_file(dir, "config.json", WEFT_STR("{\"vocab_size\": 9}"));
    weft_err_clear(&err);
    assert_int_equal(weft_tokenizer_load(&t, dir, &err), WEFT_EINPUT);
    assert_string_equal(err.rule, "TK8");
    write_file(dir, "config.json", WEFT_STR("{\"vocab_size\": 12}"));
    write_file(
        dir, "tokenizer_config.json",
        WEFT_STR(
            "{\"tokenizer_class\":\"LlamaTokenizer\",\"bos_token\":{\"content\":\"<s>\"},\"add_bos_token\":true,\"chat_template\":\"old\","
            "\"added_tokens_decoder\":{\"9\":{\"content\":\"<s>\",\"special\":true},\"11\":{\"content\":\"<t>\"}}}"));
    write_file(dir, "special_tokens_map.json", WEFT_STR("{\"eos_token\":\"<t>\",\"bos_token\":\"<t>\"}"));
    write_file(dir, "chat_template.jinja", WEFT_STR("new"));
    weft_err_clear(&err);
    if (weft_tokenizer_load(&t, dir, &err)) fail_msg("%s", err.msg);
    assert_int_equal(weft_tokenizer_special(t, WEFT_BOS), 9);
    assert_int_equal(weft_tokenizer_special(t, WEFT_EOS), 11);
    assert_true(weft_tokenizer_is_special(t, 9));
    assert_false(weft_tokenizer_is_special(t, 11));
    assert_int_equal(weft_tokenizer_vocab_size(t), 12);
    assert_true(weft_str_is(weft_tokenizer_chat_template(t), "new"));
    struct weft_encoder *e = NULL;
    struct weft_ids ids = { 0 };
    assert_int_equal(weft_encoder_new(&e, t, &err), WEFT_OK);
    assert_int_equal(weft_encode(e, WEFT_STR("c"), WEFT_ENCODE_ADD, &ids, &err), WEFT_OK);
    assert_int_equal(ids.n, 2);
    assert_int_equal(ids.ids[0], 9);
    weft_ids_clear(&ids);
    weft_encoder_free(e);
    weft_tokenizer_free(t);
    weft_buf_clear(&json);
    assert_int_equal(weft_dir_remove(dir, &err), WEFT_OK);
}

static void test_vocab_and_merges_without_tokenizer_json(void **state)
{
    char dir[] = "/tmp/weft-test-XXXXXX";
    struct weft_tokenizer *t = NULL;
    struct weft_encoder *e = NULL;
    struct weft_ids ids = { 0 };
    struct weft_err err = { 0 };
    assert_non_null(mkdtemp(dir));
    write_file(dir, "vocab.json", WEFT_STR("{\"a\":0,\"b\":1,\"1\":2,\"ab\":3,\"11\":4}"));
    write_file(dir, "merges.txt", WEFT_STR("#version: 0.2\na b\n1 1\n"));
    static const struct {
        const char *config;
        size_t n;
    } classes[] = {
        { "{\"tokenizer_class\":\"GPT2Tokenizer\"}", 2 },
        { "{\"tokenizer_class\":\"Qwen2Tokenizer\",\"added_tokens_decoder\":{\"9\":{\"content\":\"<x>\"}}}",
          3 }
    };
    for (size_t i = 0; i < WEFT_COUNT(classes); i++) { /* Qwen2 takes digits one by one */
        write_file(dir, "tokenizer_config.json", weft_str_c(classes[i].config));
        if (weft_tokenizer_load(&t, dir, &err) || weft_encoder_new(&e, t, &err)) fail_msg("%s", err.msg);
        ids.n = 0;
        assert_int_equal(weft_encode(e, WEFT_STR("ab11"), 0, &ids, &err), WEFT_OK);
        assert_int_equal(ids.n, classes[i].n);
        assert_int_equal(ids.ids[0], 3);
        assert_int_equal(weft_tokenizer_vocab_size(t), i ? 10 : 5);
        weft_encoder_free(e);
        weft_tokenizer_free(t);
    }
    write_file(dir, "merges.txt", WEFT_STR("#version: 0.2\na c\n"));
    assert_int_equal(weft_tokenizer_load(&t, dir, &err), WEFT_EINPUT);
    assert_string_equal(err.rule, "TK4");
    weft_ids_clear(&ids);
    weft_err_clear(&err);
    assert_int_equal(weft_dir_remove(dir, &err), WEFT_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tk1_version_and_json),
        cmocka_unit_test(test_tk2_component_types_and_depth),
        cmocka_unit_test(test_tk3_vocabulary),
        cmocka_unit_test(test_tk4_merges),
        cmocka_unit_test(test_tk4_the_last_rank_of_a_repeated_pair_counts),
        cmocka_unit_test(test_tk5_added_tokens),
        cmocka_unit_test(test_tk6_patterns),
        cmocka_unit_test(test_tk6_steps_are_capped),
        cmocka_unit_test(test_tk7_templates),
        cmocka_unit_test(test_tk8_and_the_files_beside),
        cmocka_unit_test(test_vocab_and_merges_without_tokenizer_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
