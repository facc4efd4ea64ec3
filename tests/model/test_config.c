/* Rules CF1-CF8 (docs/robustness.md): for each good files and bad ones; presets and counts; writing. */
#include "check.h"
#include "base/file.h"
#include "model/config.h"
#include "model/rope.h"

#include <math.h>

static const char good[] =
    "{\n  \"model_type\": \"qwen2\",\n  \"hidden_size\": 64,\n  \"intermediate_size\": 172,\n"
    "  \"num_hidden_layers\": 2,\n  \"num_attention_heads\": 4,\n  \"num_key_value_heads\": 2,\n  \"vocab_size\": 333,\n"
    "  \"max_position_embeddings\": 256,\n  \"rms_norm_eps\": 1e-06,\n  \"rope_theta\": 1000000.0,\n  \"eos_token_id\": 2\n}\n";

static struct weft_arena arena;

static enum weft_status parse(const char *json, struct weft_config *c, struct weft_err *err)
{
    weft_err_clear(err);
    return weft_config_parse(&arena, "config.json", weft_str_c(json), c, err);
}

/* The good file with `key` set to `value` (in place, so that lines stay), or added as line 2. */
static const char *with(const char *key, const char *value)
{
    char needle[64];
    snprintf(needle, sizeof needle, "\"%s\": ", key);
    const char *at = strstr(good, needle);
    if (!at) return weft_str_printf(&arena, "{\n  %s%s,%s", needle, value, good + 1).s;
    const char *v = at + strlen(needle), *end = v + strcspn(v, ",\n");
    return weft_str_printf(&arena, "%.*s%s%s", (int)(v - good), good, value, end).s;
}

static void accepted(const char *key, const char *value, struct weft_config *c)
{
    struct weft_err err = { 0 };
    check_ok(parse(with(key, value), c, &err), &err);
}

static void refused(const char *key, const char *value, const char *rule, const char *part)
{
    struct weft_err err = { 0 };
    struct weft_config c;
    enum weft_status st = parse(with(key, value), &c, &err);
    check_fails(st, &err, WEFT_EINPUT, rule, part);
    if (!strstr(err.msg, "config.json:")) fail_msg("no place in: %s", err.msg);
}

static void test_a_plain_file_is_read(void **state)
{
    struct weft_config c;
    struct weft_err err = { 0 };
    check_ok(parse(good, &c, &err), &err);
    assert_string_equal(c.model_type, "qwen2");
    assert_true(c.hidden_size == 64 && c.intermediate_size == 172 && c.n_layers == 2 && c.n_heads == 4
                && c.n_kv_heads == 2);
    assert_true(c.head_dim == 16 && c.vocab_size == 333 && c.max_position_embeddings == 256 && c.rms_norm_eps == 1e-6f);
    assert_true(c.qkv_bias && !c.o_bias && !c.mlp_bias && !c.qk_norm && !c.tie_word_embeddings && !c.sliding_window);
    assert_true(c.rope.type == WEFT_ROPE_DEFAULT && c.rope.theta == 1e6 && c.n_eos == 1 && c.eos_token_id[0] == 2);
    assert_true(c.bos_token_id == -1 && c.pad_token_id == -1 && c.dtype == WEFT_F32 && !c.unknown_keys);
    assert_int_equal(weft_config_n_params(&c),
                     2 * (64 * 64 * 2 + 64 * 32 * 2 + 3 * 64 * 172 + 64 + 64 + 128) + 2 * 333 * 64 + 64);
}

static void test_CF1_one_object(void **state)
{
    struct weft_config c;
    struct weft_err err = { 0 };
    check_fails(parse("[]", &c, &err), &err, WEFT_EINPUT, "CF1", "config.json:1:1");
    check_fails(parse("", &c, &err), &err, WEFT_EINPUT, "JS2", "config.json");
    check_fails(parse("{} {}", &c, &err), &err, WEFT_EINPUT, "JS2", "config.json:1:4");
    refused("model_type", "\"qwen2\", \"model_type\": \"qwen2\"", "JS4", "config.json:2:");
}

static void test_CF2_numbers_in_their_range(void **state)
{
    static const char *const whole[] = {
        "hidden_size",         "intermediate_size", "num_hidden_layers",
        "num_attention_heads", "vocab_size",        "max_position_embeddings"
    };
    static const char *const wrong[] = {
        "0", "-1", "1.5", "64.0", "1e2", "\"64\"", "true", "[]", "99999999999999999999", "16777217"
    };
    struct weft_err err = { 0 };
    struct weft_config c;
    for (size_t i = 0; i < WEFT_COUNT(whole); i++) {
        for (size_t k = 0; k < WEFT_COUNT(wrong); k++) refused(whole[i], wrong[k], "CF2", whole[i]);
        enum weft_status st = parse(with(whole[i], "null"), &c, &err);
        check_fails(st, &err, WEFT_EINPUT, "CF2", whole[i]);        /* null is absent */
    }
    refused("hidden_size", "70000", "CF2",
            "config.json:3:18: hidden_size is 70000; expected a whole number from 1 to 65536");
    refused("rms_norm_eps", "0", "CF2", "rms_norm_eps is 0; expected a number above 0");
    refused("rms_norm_eps", "-1e-6", "CF2", NULL);
    refused("rms_norm_eps", "1e-60", "CF2", NULL);      /* 0 as a float */
    refused("rope_theta", "1e60", "CF2", NULL);
    refused("rope_theta", "\"1e6\"", "CF2", "\"1e6\"");
    refused("tie_word_embeddings", "1", "CF2", "true or false");
}

static void test_CF3_heads_divide(void **state)
{
    struct weft_config c;
    accepted("num_key_value_heads", "null", &c);
    assert_int_equal(c.n_kv_heads, 4);
    accepted("head_dim", "20", &c);
    assert_int_equal(c.head_dim, 20);
    refused("num_key_value_heads", "3", "CF3", "a divisor of num_attention_heads");
    refused("num_key_value_heads", "8", "CF3", NULL);
    refused("num_key_value_heads", "0", "CF3", NULL);
    refused("head_dim", "15", "CF3", "even");
    refused("head_dim", "1026", "CF3", NULL);
    refused("hidden_size", "66", "CF3", "head_dim");        /* 66 / 4 */
    refused("hidden_size", "60", "CF3", "head_dim");        /* 15, odd */
}

static void test_CF4_rope_in_both_spellings(void **state)
{
    struct weft_config c;
    accepted("rope_scaling", "{\"type\": \"linear\", \"factor\": 2}", &c);
    assert_true(c.rope.type == WEFT_ROPE_LINEAR && c.rope.factor == 2 && c.rope.theta == 1e6);
    accepted(
        "rope_scaling",
        "{\"rope_type\": \"llama3\", \"factor\": 8.0, \"low_freq_factor\": 1.0, \"high_freq_factor\": 4.0, "
        "\"original_max_position_embeddings\": 64}",
        &c);
    assert_int_equal(c.rope.type, WEFT_ROPE_LLAMA3);
    assert_int_equal(c.rope.original_max_position_embeddings, 64);
    assert_true(c.rope.high_freq_factor == 4);
    accepted(
        "rope_parameters",
        "{\"rope_type\": \"yarn\", \"rope_theta\": 5000.0, \"factor\": 4.0, \"original_max_position_embeddings\": 32}",
        &c);
    assert_true(c.rope.type == WEFT_ROPE_YARN && c.rope.theta == 5000 && c.rope.beta_fast == 32 && c.rope.truncate);
    accepted("rope_parameters", "{\"rope_type\": \"default\", \"rope_theta\": 5000.0}", &c);
    assert_true(c.rope.type == WEFT_ROPE_DEFAULT && c.rope.theta == 5000);
    accepted("rope_scaling", "null", &c);
    accepted("rope_scaling", "{\"type\": \"yarn\", \"original_max_position_embeddings\": 64}", &c);
    assert_true(c.rope.factor == 4);        /* 256 / 64 */
    refused("rope_scaling", "{\"type\": \"dynamic\", \"factor\": 2}", "CF4", "\"dynamic\"; expected one of default");
    refused("rope_scaling", "{\"type\": \"longrope\"}", "CF4", NULL);
    refused("rope_scaling", "{\"factor\": 2}", "CF4", "rope_type");
    refused("rope_scaling", "{\"type\": \"linear\"}", "CF4", "factor");
    refused("rope_scaling", "{\"type\": \"linear\", \"factor\": 0.5}", "CF4", "at least 1");
    refused("rope_scaling", "{\"type\": \"llama3\", \"factor\": 8}", "CF4", "low_freq_factor");
    refused("rope_scaling", "{\"type\": \"llama3\", \"factor\": 8, \"low_freq_factor\": 4, \"high_freq_factor\": 4, "
            "\"original_max_position_embeddings\": 64}", "CF4", "more than low_freq_factor");
    refused("rope_scaling", "\"linear\"", "CF4", "an object");
    refused("rope_parameters", "{\"full_attention\": {\"rope_theta\": 1e4}}", "CF4", "all layers");
}

static void test_CF5_known_families_only(void **state)
{
    struct weft_config c;
    accepted("model_type", "\"qwen3\"", &c);
    assert_true(c.qk_norm && !c.qkv_bias);
    accepted("model_type", "\"llama\"", &c);
    assert_true(!c.qk_norm && !c.qkv_bias);
    refused("model_type", "\"gpt2\"", "CF5",
            "config.json:2:17: model_type is \"gpt2\"; expected one of qwen2, qwen3, llama, mistral");
    refused("model_type", "2", "CF5", NULL);
    refused("hidden_act", "\"gelu\"", "CF5", "\"silu\"");
    refused("attention_dropout", "0.1", "CF5", NULL);
    refused("quantization_config", "{\"bits\": 4}", "CF5", "unquantised");
    accepted("some_new_key", "{\"a\": [1]}", &c);
    assert_string_equal(c.unknown_keys, "some_new_key");
    struct weft_err err = { 0 };
    check_fails(parse("{}", &c, &err), &err, WEFT_EINPUT, "CF5", "model_type");
}

static void test_CF6_null_is_absent(void **state)
{
    static const char *const keys[] = {
        "rms_norm_eps",   "rope_theta",          "eos_token_id", "head_dim",
        "sliding_window", "rope_scaling",        "layer_types",  "tie_word_embeddings",
        "pad_token_id",   "quantization_config", "hidden_act"
    };
    struct weft_config c;
    for (size_t i = 0; i < WEFT_COUNT(keys); i++) accepted(keys[i], "null", &c);
    accepted("rope_theta", "null", &c);
    assert_true(c.rope.theta == 10000);
}

static void test_CF7_sizes_at_the_edge_do_not_overflow(void **state)
{
    struct weft_config c;
    struct weft_err err = { 0 };
    check_ok(
        parse(
            "{\"model_type\":\"llama\",\"hidden_size\":65536,\"intermediate_size\":524288,\"num_hidden_layers\":1024,"
            "\"num_attention_heads\":1024,\"head_dim\":1024,\"vocab_size\":16777216,\"max_position_embeddings\":16777216}",
            &c, &err),
        &err);
    /* q k v o of 2^16 x 2^20, three of 2^16 x 2^19, two norms, 1024 times; table and head of 2^24 x 2^16; a norm */
    uint64_t layer = 4 * (UINT64_C(1) << 36) + 3 * (UINT64_C(1) << 35) + 2 * (1 << 16);
    assert_true(weft_config_n_params(&c) == 1024 * layer + 2 * (UINT64_C(1) << 40) + (1 << 16));
}

static void test_CF8_ids_are_of_the_vocabulary(void **state)
{
    struct weft_config c;
    accepted("eos_token_id", "[332, 5]", &c);
    assert_true(c.n_eos == 2 && c.eos_token_id[0] == 332 && c.eos_token_id[1] == 5);
    accepted("pad_token_id", "-1", &c);
    assert_true(c.pad_token_id == -1);
    refused("eos_token_id", "333", "CF8", "from 0 to 332");
    refused("eos_token_id", "[1, 333]", "CF8", NULL);
    refused("bos_token_id", "\"<s>\"", "CF8", NULL);
    refused("pad_token_id", "-2", "CF8", NULL);
    refused("eos_token_id", "[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]", "CF8", "16");
}

static void test_windows(void **state)
{
    struct weft_config c;
    struct weft_err err = { 0 };
    accepted("sliding_window", "8", &c);
    assert_int_equal(c.sliding_window, 0);      /* qwen2 without use_sliding_window */
    accepted("sliding_window", "8, \"use_sliding_window\": true, \"max_window_layers\": 1", &c);
    assert_true(c.sliding_window == 8 && !weft_config_window(&c, 0) && weft_config_window(&c, 1) == 8);
    accepted("sliding_window", "8, \"use_sliding_window\": true, \"max_window_layers\": 2", &c);
    assert_int_equal(c.sliding_window, 0);      /* no layer left to slide */
    accepted("sliding_window",
             "8, \"use_sliding_window\": true, \"layer_types\": [\"full_attention\", \"sliding_attention\"]",
             &c);
    assert_true(c.sliding_window == 8 && !weft_config_window(&c, 0) && weft_config_window(&c, 1) == 8);
    accepted("sliding_window",
             "8, \"use_sliding_window\": true, \"layer_types\": [\"sliding_attention\", \"full_attention\"]",
             &c);       /* in any order */
    assert_true(weft_config_window(&c, 0) == 8 && weft_config_window(&c, 1) == 0);
    refused("sliding_window",
            "8, \"use_sliding_window\": true, \"layer_types\": [\"sliding_attention\", \"chunked_attention\"]",
            "CF2", "full_attention or sliding_attention");
    refused("sliding_window", "8, \"use_sliding_window\": true, \"layer_types\": [\"full_attention\"]", "CF2", NULL);
    refused("sliding_window", "0", "CF2", NULL);
    check_ok(
        parse(
            "{\"model_type\":\"mistral\",\"hidden_size\":64,\"intermediate_size\":172,\"num_hidden_layers\":2,"
            "\"num_attention_heads\":4,\"vocab_size\":333,\"max_position_embeddings\":256,\"sliding_window\":8}",
            &c, &err),
        &err);
    assert_true(c.sliding_window == 8 && weft_config_window(&c, 0) == 8 && weft_config_window(&c, 1) == 8);
}

/* The counts of the published models. */
static void test_presets_have_the_published_number_of_parameters(void **state)
{
    static const struct {
        const char *name;
        size_t n;
    } want[] = { { "tiny", 15740288 }, { "qwen2.5-0.5b", 494032768 }, { "qwen2.5-7b", 7615616512 },
                 { "qwen3-0.6b", 596049920 }, { "llama-3-8b", 8030261248 }, { "mistral-7b-v0.1", 7241732096 } };
    const char *const *names;
    struct weft_config c;
    size_t n;
    for (size_t i = 0; i < WEFT_COUNT(want); i++) {
        assert_true(weft_config_preset(want[i].name, &c, NULL, NULL));
        if (weft_config_n_params(&c) != want[i].n)
            fail_msg("%s has %zu parameters", want[i].name, weft_config_n_params(&c));
    }
    assert_false(weft_config_preset("gpt-2", &c, &names, &n));
    for (size_t i = 0; i < n; i++) assert_true(weft_config_preset(names[i], NULL, NULL, NULL));
}

static bool same(const struct weft_config *a, const struct weft_config *b)
{
    return !strcmp(a->model_type, b->model_type) && a->hidden_size == b->hidden_size
           && a->intermediate_size == b->intermediate_size && a->n_layers == b->n_layers
           && a->n_heads == b->n_heads && a->n_kv_heads == b->n_kv_heads && a->head_dim == b->head_dim
           && a->vocab_size == b->vocab_size && a->max_position_embeddings == b->max_position_embeddings
           && a->rms_norm_eps == b->rms_norm_eps && a->initializer_range == b->initializer_range
           && a->tie_word_embeddings == b->tie_word_embeddings && a->qkv_bias == b->qkv_bias
           && a->o_bias == b->o_bias && a->mlp_bias == b->mlp_bias && a->qk_norm == b->qk_norm
           && a->sliding_window == b->sliding_window && !memcmp(a->slides, b->slides, sizeof a->slides)
           && a->rope.type == b->rope.type && a->rope.theta == b->rope.theta
           && a->rope.factor == b->rope.factor && a->rope.low_freq_factor == b->rope.low_freq_factor
           && a->rope.high_freq_factor == b->rope.high_freq_factor && a->rope.beta_fast == b->rope.beta_fast
           && a->rope.attention_factor == b->rope.attention_factor && a->rope.truncate == b->rope.truncate
           && a->rope.original_max_position_embeddings == b->rope.original_max_position_embeddings
           && a->bos_token_id == b->bos_token_id && a->pad_token_id == b->pad_token_id && a->n_eos == b->n_eos
           && !memcmp(a->eos_token_id, b->eos_token_id, sizeof a->eos_token_id) && a->dtype == b->dtype;
}

static void test_what_is_written_is_read_back(void **state)
{
    const char *const *names;
    size_t n;
    struct weft_err err = { 0 };
    struct weft_config configs[16], back;
    weft_config_preset(NULL, NULL, &names, &n);
    size_t n_configs = n;
    for (size_t i = 0; i < n; i++) weft_config_preset(names[i], &configs[i], NULL, NULL);
    accepted(
        "rope_scaling",
        "{\"rope_type\": \"llama3\", \"factor\": 8.0, \"low_freq_factor\": 1.0, \"high_freq_factor\": 4.0, "
        "\"original_max_position_embeddings\": 64}",
        &configs[n_configs++]);
    accepted("rope_scaling", "{\"type\": \"yarn\", \"factor\": 4.5, \"truncate\": false, \"attention_factor\": 1.5, "
             "\"original_max_position_embeddings\": 64}", &configs[n_configs++]);
    accepted("sliding_window", "8, \"use_sliding_window\": true, \"max_window_layers\": 1", &configs[n_configs++]);
    accepted("sliding_window", "8, \"use_sliding_window\": true, \"layer_types\": "
             "[\"sliding_attention\", \"full_attention\"]", &configs[n_configs++]);
    accepted("eos_token_id", "[1, 2, 3], \"pad_token_id\": 7, \"head_dim\": 12, \"dtype\": \"float16\"",
             &configs[n_configs++]);
    assert_true(n_configs <= WEFT_COUNT(configs));
    for (size_t i = 0; i < n_configs; i++) {
        struct weft_buf text = { 0 };
        check_ok(weft_config_write(&configs[i], &text, &err), &err);
        check_ok(weft_config_parse(&arena, "written", weft_buf_view(&text), &back, &err), &err);
        if (!same(&configs[i], &back)) fail_msg("not the same after writing:\n%s", text.s);
        assert_null(back.unknown_keys);
        weft_buf_clear(&text);
    }
}

/* Any prefix of a good file is refused, and no prefix crashes. */
static void test_every_prefix_is_refused(void **state)
{
    struct weft_config c;
    struct weft_err err = { 0 };
    for (size_t n = 0; n + 2 < sizeof good; n++) {
        weft_err_clear(&err);
        check_fails(weft_config_parse(&arena, "config.json", (struct weft_str){ good, n }, &c, &err), &err,
                    WEFT_EINPUT, "JS2", NULL);
    }
}

static void test_messages_in_chinese(void **state)
{
    struct weft_config c;
    struct weft_err err = { .lang = WEFT_LANG_ZH };
    enum weft_status st = parse(with("hidden_size", "70000"), &c, &err);
    check_fails(st, &err, WEFT_EINPUT, "CF2", "config.json:3:18：hidden_size 是 70000；应为 1 到 65536 的整数");
}

static int clear_arena(void **state)
{
    weft_arena_clear(&arena);
    return 0;
}

/* ---- positions stretched ---- */

static double number_of(const struct weft_json_value *row, const char *key) { return weft_json_get(row, key)->number; }

/* tests/parity/rope.py: LLaMA-Factory's own change of a config, and transformers' frequencies of the result. */
static void test_stretching_is_that_of_llamafactory(void **state)
{
    (void)state;
    struct weft_err err = { 0 };
    struct weft_str all, line, json;
    struct weft_lines in = { 0 };
    size_t stretched = 0, kept = 0;
    check_ok(weft_file_read(&arena, WEFT_SOURCE_DIR "/tests/model/data/rope_scaling.jsonl", 1 << 20, &all, &err), &err);
    in.text = all;
    while (weft_lines_next(&in, &line)) {
        struct weft_json_value row;
        struct weft_config c, saved;
        struct weft_buf out = { 0 };
        float inv[16];
        check_ok(weft_json_parse(&arena, "rope_scaling.jsonl", line, &row, &err), &err);
        const struct weft_json_value *before = weft_json_get(&row, "rope_scaling"), *want = weft_json_get(&row, "inv");
        struct weft_json_out o;
        weft_json_out_init(&o, &out);
        weft_json_out_value(&o, before);
        json = weft_str_printf(&arena,
                               "{\"model_type\": \"llama\", \"hidden_size\": 64, \"intermediate_size\": 96, "
                               "\"num_hidden_layers\": 1, \"num_attention_heads\": 2, \"vocab_size\": 50, \"rope_theta\": 10000.0, "
                               "\"max_position_embeddings\": %d, \"rope_scaling\": %.*s}",
                               (int)number_of(&row, "positions"), (int)out.len, out.s);
        check_ok(weft_config_parse(&arena, "config.json", json, &c, &err), &err);
        enum weft_rope_type type = weft_rope_type_find(weft_str_dup(&arena, weft_json_get(&row, "type")->text).s);
        assert_int_equal(weft_config_stretch(&c, type, (size_t)number_of(&row, "length")), want != NULL);
        assert_int_equal(c.max_position_embeddings, (size_t)number_of(&row, "then"));
        /* what is saved is what was trained */
        weft_buf_reset(&out);
        check_ok(weft_config_write(&c, &out, &err), &err);
        check_ok(weft_config_parse(&arena, "config.json", weft_buf_view(&out), &saved, &err), &err);
        weft_buf_clear(&out);
        assert_int_equal(saved.max_position_embeddings, c.max_position_embeddings);
        kept += !want;
        stretched += want != NULL;
        if (!want) continue;
        assert_true(c.rope.type == type && c.rope.factor == number_of(&row, "factor"));
        for (int i = 0; i < 2; i++) {
            float factor = weft_rope_frequencies(i ? &saved : &c, inv), told = (float)number_of(&row, "attention");
            assert_true(fabsf(factor - told) <= 1e-7f * told);
            for (size_t j = 0; j < want->n; j++) {
                float w = (float)want->items[j].number;
                if (!(fabsf(inv[j] - w) <= 2e-7f * w))
                    fail_msg("%.*s: inv[%zu] is %.9g", (int)line.len, line.s, j, (double)inv[j]);
            }
        }
    }
    assert_true(stretched > 30 && kept > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_plain_file_is_read),
        cmocka_unit_test(test_CF1_one_object),
        cmocka_unit_test(test_CF2_numbers_in_their_range),
        cmocka_unit_test(test_CF3_heads_divide),
        cmocka_unit_test(test_CF4_rope_in_both_spellings),
        cmocka_unit_test(test_CF5_known_families_only),
        cmocka_unit_test(test_CF6_null_is_absent),
        cmocka_unit_test(test_CF7_sizes_at_the_edge_do_not_overflow),
        cmocka_unit_test(test_CF8_ids_are_of_the_vocabulary),
        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_presets_have_the_published_number_of_parameters),
        cmocka_unit_test(test_what_is_written_is_read_back),
        cmocka_unit_test(test_every_prefix_is_refused),
        cmocka_unit_test(test_messages_in_chinese),
        cmocka_unit_test(test_stretching_is_that_of_llamafactory),
    };
    return cmocka_run_group_tests(tests, NULL, clear_arena);
}
