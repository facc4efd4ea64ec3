/* Rules AD1-AD7 (docs/robustness.md): folders that are refused, with rule and place, and leave the model as it was. */
#include "adapter/lora.h"
#include "model/models.h"

struct setup {
    struct weft_arena arena;
    struct weft_model *model;
    const char *dir;
    struct weft_err err;
};

static int set_up(void **state)
{
    struct setup *s = calloc(1, sizeof *s);
    struct weft_config c = small_config();
    c.n_layers = 2;
    s->dir = check_folder();
    check_ok(weft_model_random(&s->model, &c, 3, NULL, &s->err), &s->err);
    check_ok(weft_lora_attach(&s->arena, s->model, &(struct weft_lora_settings){ .rank = 2 }, NULL, &s->err), &s->err);
    check_ok(weft_lora_save(s->model, s->dir, NULL, &s->err), &s->err);
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    struct setup *s = *state;
    weft_model_free(s->model);
    weft_arena_clear(&s->arena);
    check_folder_gone(s->dir);
    free(s);
    return 0;
}

static const char *file_of(struct setup *s, const char *name) { return weft_path_join(&s->arena, s->dir, name); }

static void write_file(struct setup *s, const char *name, const char *text)
{
    check_ok(weft_file_write(file_of(s, name), weft_str_c(text), &s->err), &s->err);
}

/* Loading fails by this rule; the adapter that hangs on the model stays. */
static void refused(struct setup *s, const char *rule, const char *part)
{
    const struct weft_branch *before = s->model->layers[0].q.branch;
    enum weft_status st = weft_lora_load(&s->arena, s->model, s->dir, NULL, NULL, &s->err);
    check_fails(st, &s->err, WEFT_EINPUT, rule, part);
    assert_ptr_equal(s->model->layers[0].q.branch, before);
    weft_err_clear(&s->err);
}

static void accepted(struct setup *s)
{
    check_ok(weft_lora_load(&s->arena, s->model, s->dir, NULL, NULL, &s->err), &s->err);
}

/* adapter_config.json with one key changed or added. */
static void set_key(struct setup *s, const char *key, const char *value)
{
    struct weft_str text;
    char needle[64];
    weft_lora_enable(s->model, true);
    check_ok(weft_lora_save(s->model, s->dir, NULL, &s->err), &s->err);
    check_ok(weft_file_read(&s->arena, file_of(s, "adapter_config.json"), 0, &text, &s->err), &s->err);
    snprintf(needle, sizeof needle, "\n  \"%s\": ", key);
    size_t at = weft_str_find(text, weft_str_c(needle), 0);
    struct weft_str out;
    if (at == SIZE_MAX) {
        out = weft_str_printf(&s->arena, "{%s%s,%.*s", needle, value, (int)text.len - 1, text.s + 1);
    } else {
        size_t v = at + strlen(needle), end = weft_str_find(text, WEFT_STR("\n  \""), v);
        if (end == SIZE_MAX) end = weft_str_find(text, WEFT_STR("\n}"), v), end = end == SIZE_MAX ? text.len : end;
        bool comma = text.s[end - 1] == ',';
        out = weft_str_printf(&s->arena, "%.*s%s%s%.*s", (int)v, text.s, value, comma ? "," : "",
                              (int)(text.len - end), text.s + end);
    }
    check_ok(weft_file_write(file_of(s, "adapter_config.json"), out, &s->err), &s->err);
}

static void test_AD1_two_files_and_no_pickle(void **state)
{
    struct setup *s = *state;
    accepted(s);
    unlink(file_of(s, "adapter_config.json"));
    refused(s, "AD1", "there is no adapter_config.json");
    unlink(file_of(s, "adapter_model.safetensors"));
    write_file(s, "adapter_config.json", "{}");
    refused(s, "AD1", "there is no adapter_model.safetensors");
    write_file(s, "adapter_model.bin", "PK");
    refused(s, "AD1", "pickle");
}

static void test_AD2_what_the_configuration_may_say(void **state)
{
    static const struct {
        const char *key, *value, *part;
    } wrong[] = {
        { "peft_type", "\"IA3\"", "IA3; expected \"LORA\"" }, { "peft_type", "null", "peft_type" },
        { "r", "0", "r is 0" }, { "r", "1025", "1 to 1024" }, { "r", "2.0", "whole number" }, { "r", "\"2\"", NULL },
        { "lora_alpha", "0", "lora_alpha" }, { "lora_alpha", "-4", NULL }, { "lora_alpha", "\"4\"", NULL },
        { "lora_dropout", "1.5", NULL }, { "use_rslora", "1", "true or false" },
        { "use_dora", "1", "use_dora is 1; expected true or false" }, { "bias", "\"all\"", "\"none\"" },
        { "lora_bias", "true", NULL }, { "fan_in_fan_out", "true", NULL }, { "modules_to_save", "[\"norm\"]", "embed_tokens or lm_head" },
        { "use_qalora", "true", "use_qalora is true; expected this feature switched off" },
        { "layer_replication", "[[0, 1]]", NULL }, { "trainable_token_indices", "[1]", NULL }, { "use_qalora", "true", NULL },
        { "target_parameters", "[\"x\"]", NULL }, { "loftq_config", "{\"a\": 1}", NULL }, { "init_lora_weights", "\"pissa_niter_4\"", "plain LoRA" },
        { "rank_pattern", "[]", "an object" }, { "alpha_pattern", "{\"q_proj\": -1}", NULL },
    };
    struct setup *s = *state;
    for (size_t i = 0; i < WEFT_COUNT(wrong); i++) {
        set_key(s, wrong[i].key, wrong[i].value);
        refused(s, "AD2", wrong[i].part);
    }
    /* switched off in other words, and keys of the future that are off */
    static const char *const fine[][2] = { { "modules_to_save", "[]" },
                                           { "use_dora", "null" },
                                           { "init_lora_weights", "\"gaussian\"" },
                                           { "some_new_feature", "false" },
                                           { "peft_version", "\"0.99\"" },
                                           { "target_modules", "\"all-linear\"" } };
    for (size_t i = 0; i < WEFT_COUNT(fine); i++) {
        set_key(s, fine[i][0], fine[i][1]);
        accepted(s);
    }
    write_file(s, "adapter_config.json", "[]");
    refused(s, "AD2", "adapter_config.json:1:1");
    write_file(s, "adapter_config.json", "{\"r\": 2,}");
    refused(s, "JS2", "adapter_config.json:1:8");
}

static void test_AD3_patterns_have_limits(void **state)
{
    struct setup *s = *state;
    set_key(s, "rank_pattern", "{\"q_proj(\": 3}");
    refused(s, "AD3", "q_proj(");
    /* exponential without a limit on steps */
    set_key(s, "rank_pattern", "{\"(([a-z_.0-9]+)*)*[!?]\": 3}");
    refused(s, "AD3", "steps");
    set_key(s, "alpha_pattern", "{\"nothing_like_it\": 3, \".*k_proj\": 6}");
    accepted(s);
    assert_true(s->model->layers[0].k.branch->scale == 3 && s->model->layers[0].q.branch->scale == 2);
}

/* ---- the tensors ---- */

static void rewrite(struct setup *s, size_t (*change)(struct weft_st_out *t, size_t n))
{
    weft_lora_enable(s->model, true);
    check_ok(weft_lora_save(s->model, s->dir, NULL, &s->err), &s->err);
    change_tensors(&s->arena, file_of(s, "adapter_model.safetensors"), change, &s->err);
}

static const char *const one = "base_model.model.model.layers.0.mlp.up_proj.lora_B.weight";

static size_t drop_one(struct weft_st_out *t, size_t n)
{
    *named(t, n, one) = t[n - 1];
    return n - 1;
}
static size_t drop_two(struct weft_st_out *t, size_t n)
{
    n = drop_one(t, n);
    *named(t, n, "base_model.model.model.layers.0.mlp.up_proj.lora_A.weight") = t[n - 1];
    return n - 1;
}
static size_t misname_one(struct weft_st_out *t, size_t n)
{
    named(t, n, one)->name = "base_model.model.model.layers.2.mlp.up_proj.lora_B.weight";
    return n;
}
static size_t turn_one(struct weft_st_out *t, size_t n)
{
    struct weft_st_out *x = named(t, n, one);
    size_t rows = x->shape[0];
    x->shape[0] = x->shape[1];
    x->shape[1] = rows;
    return n;
}
static size_t retype_one(struct weft_st_out *t, size_t n)
{
    named(t, n, one)->dtype = WEFT_ST_I32;
    return n;
}
static size_t misname_all(struct weft_st_out *t, size_t n)
{
    static char names[64][24];
    for (size_t i = 0; i < n; i++) {
        snprintf(names[i], sizeof names[i], "t%02zu", i);
        t[i].name = names[i];
    }
    return n;
}
static size_t twice(struct weft_st_out *t, size_t n)
{
    t[n] = *named(t, n, one);
    t[n].name = "model.layers.0.mlp.up_proj.lora_B.weight";     /* without the prefix: the same module */
    return n + 1;
}
static size_t other_spelling(struct weft_st_out *t, size_t n)
{
    named(t, n, one)->name = "base_model.model.model.layers.0.mlp.up_proj.lora_B.default.weight";
    named(t, n, "base_model.model.model.layers.0.mlp.up_proj.lora_A.weight")->name =
        "model.layers.0.mlp.up_proj.lora_A.weight";
    return n;
}
static float spoiled[172 * 2];
static size_t spoil_one(struct weft_st_out *t, size_t n)
{
    spoiled[99] = NAN;
    named(t, n, one)->data = spoiled;
    return n;
}

static void test_AD4_every_tensor_fits_a_module(void **state)
{
    struct setup *s = *state;
    rewrite(s, drop_one);
    refused(s, "AD4", "layers.0.mlp.up_proj.lora_A.weight has no lora_B beside it");
    rewrite(s, drop_two);
    refused(s, "AD4", "model.layers.0.mlp.up_proj is a target of adapter_config.json");
    rewrite(s, misname_one);
    refused(s, "AD4", "layers.2.mlp.up_proj.lora_B.weight belongs to no linear layer");
    rewrite(s, turn_one);
    refused(s, "AD4", "up_proj.lora_B.weight has shape [2, 172] (expected [172, 2])");
    rewrite(s, retype_one);
    refused(s, "AD4", "F32, BF16 or F16");
    rewrite(s, twice);
    refused(s, "AD4", "twice");
    rewrite(s, misname_all);
    refused(s, "AD4", "28 tensors do not fit the model and adapter_config.json: t00");
    rewrite(s, other_spelling);
    accepted(s);
    set_key(s, "r", "4");
    refused(s, "AD4", "(expected [4, 60])");
}

static const char *const magnitude = "base_model.model.model.layers.0.mlp.up_proj.lora_magnitude_vector";
static const char *const table = "base_model.model.lm_head.weight";
static size_t drop_magnitude(struct weft_st_out *t, size_t n)
{
    *named(t, n, magnitude) = t[n - 1];
    return n - 1;
}
static size_t turn_magnitude(struct weft_st_out *t, size_t n)
{
    named(t, n, magnitude)->shape[0] = 171;
    return n;
}
static size_t lay_magnitude(struct weft_st_out *t, size_t n)
{
    struct weft_st_out *m = named(t, n, magnitude);        /* as older peft wrote it */
    m->n_dims = 2;
    m->shape[0] = 1;
    m->shape[1] = 172;
    m->name = "base_model.model.model.layers.0.mlp.up_proj.lora_magnitude_vector.weight";
    return n;
}
static size_t drop_table(struct weft_st_out *t, size_t n)
{
    *named(t, n, table) = t[n - 1];
    return n - 1;
}
static size_t old_table(struct weft_st_out *t, size_t n)
{
    named(t, n, table)->name = "base_model.model.lm_head.modules_to_save.default.weight";
    return n;
}

static void test_AD4_magnitudes_and_copies_of_tables(void **state)
{
    static const char *const tables[] = { "lm_head" };
    struct setup *s = *state;
    struct weft_lora_settings how = { .rank = 2, .dora = true, .tables = tables, .n_tables = 1 };
    check_ok(weft_lora_attach(&s->arena, s->model, &how, NULL, &s->err), &s->err);
    rewrite(s, drop_magnitude);
    refused(s, "AD4", "up_proj.lora_A.weight has no lora_magnitude_vector beside it, as use_dora asks");
    rewrite(s, turn_magnitude);
    refused(s, "AD4", "up_proj.lora_magnitude_vector has shape [171, 0] (expected [172, 0])");
    rewrite(s, drop_table);
    refused(s, "AD4", "lm_head is named in modules_to_save and has no tensor here");
    rewrite(s, old_table);
    accepted(s);
    rewrite(s, lay_magnitude);
    accepted(s);
    set_key(s, "use_dora", "false");
    refused(s, "AD4", "belongs to DoRA, and use_dora is off");
    set_key(s, "modules_to_save", "null");
    refused(s, "AD4", "lm_head.weight is not named in modules_to_save");
    struct weft_branch *b = s->model->layers[1].v.branch;
    b->dora->m[1] = NAN;
    check_fails(weft_lora_save(s->model, s->dir, NULL, &s->err), &s->err, WEFT_EINPUT, "B5",
                "layers.1.self_attn.v_proj.lora_magnitude_vector");
    b->dora->m[1] = 1;
}

static void test_AD5_values_are_finite(void **state)
{
    struct setup *s = *state;
    rewrite(s, spoil_one);
    refused(s, "AD5", "model.layers.0.mlp.up_proj");
    /* and none that is not is written */
    float *b = s->model->layers[1].v.branch->b;
    b[3] = INFINITY;
    check_fails(weft_lora_save(s->model, s->dir, NULL, &s->err), &s->err, WEFT_EINPUT, "B5",
                "layers.1.self_attn.v_proj.lora_B");
    b[3] = 0;
}

static void test_broken_tensor_files_name_their_rule(void **state)
{
    struct setup *s = *state;
    write_file(s, "adapter_model.safetensors", "version https://git-lfs.github.com/spec/v1\n");
    refused(s, "ST2", "Git LFS");
    rewrite(s, drop_one);
    write_file(s, "weft.json", "{");
    refused(s, "AD4", NULL);
    check_ok(weft_lora_save(s->model, s->dir, NULL, &s->err), &s->err);
    write_file(s, "weft.json", "{");
    refused(s, "JS2", "weft.json");
    unlink(file_of(s, "weft.json"));
    accepted(s);
}

static void test_messages_in_chinese(void **state)
{
    struct setup *s = *state;
    s->err.lang = WEFT_LANG_ZH;
    set_key(s, "use_qalora", "true");
    refused(s, "AD2", "use_qalora 是 true；应为关闭：这项功能不受支持");
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(test_AD1_two_files_and_no_pickle),
        CASE(test_AD2_what_the_configuration_may_say),
        CASE(test_AD3_patterns_have_limits),
        CASE(test_AD4_every_tensor_fits_a_module),
        CASE(test_AD4_magnitudes_and_copies_of_tables),
        CASE(test_AD5_values_are_finite),
        CASE(test_broken_tensor_files_name_their_rule),
        CASE(test_messages_in_chinese),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
