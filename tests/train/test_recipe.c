/* Recipes as users write them: LLaMA-Factory's keys, foreign keys, and combinations that make no sense. */
#include "check.h"
#include "train/recipe.h"

struct reading {
    struct weft_arena arena;
    struct weft_recipe recipe;
    struct weft_buf warn;
    struct weft_err err;
};

static enum weft_status read_only(struct reading *r, const char *yaml)
{
    memset(r, 0, sizeof *r);
    return weft_recipe_read(&r->recipe, &r->arena, "recipe.yaml", weft_str_c(yaml), NULL, &r->warn, &r->err);
}

static enum weft_status read_and_check(struct reading *r, const char *yaml)
{
    enum weft_status st = read_only(r, yaml);
    return st ? st : weft_recipe_check(&r->recipe, &r->warn, &r->err);
}

static void done(struct reading *r)
{
    weft_buf_clear(&r->warn);
    weft_arena_clear(&r->arena);
}

static void refuses(const char *yaml, const char *part)
{
    struct reading r;
    check_fails(read_and_check(&r, yaml), &r.err, WEFT_EINPUT, "", part);
    done(&r);
}

/* The form of LLaMA-Factory's examples, in our own words. */
static const char llama_factory[] = "### model\n"
                                    "model_name_or_path: Qwen/Qwen2.5-0.5B\n"
                                    "trust_remote_code: true\n"
                                    "### method\n"
                                    "stage: sft\n"
                                    "do_train: true\n"
                                    "finetuning_type: lora\n"
                                    "lora_rank: 16\n"
                                    "lora_target: q_proj,v_proj\n"
                                    "### dataset\n"
                                    "dataset: mine.json, yours.jsonl\n"
                                    "template: qwen\n"
                                    "cutoff_len: 1024\n"
                                    "overwrite_cache: true\n"
                                    "preprocessing_num_workers: 16\n"
                                    "### output\n"
                                    "output_dir: saves/qwen/lora\n"
                                    "logging_steps: 5\n"
                                    "save_steps: 100\n"
                                    "plot_loss: true\n"
                                    "report_to: none\n"
                                    "### train\n"
                                    "per_device_train_batch_size: 4\n"
                                    "gradient_accumulation_steps: 8\n"
                                    "learning_rate: 1.0e-4\n"
                                    "num_train_epochs: 3.0\n"
                                    "lr_scheduler_type: cosine\n"
                                    "warmup_ratio: 0.1\n"
                                    "bf16: true\n"
                                    "fp16: false\n"
                                    "quantization_bit: null\n"
                                    "ddp_timeout: 180000000\n"
                                    "resume_from_checkpoint: null\n";

static void test_llama_factory_file_runs_unchanged(void **state)
{
    struct reading r;
    check_ok(read_and_check(&r, llama_factory), &r.err);
    assert_string_equal(r.recipe.model_name_or_path, "Qwen/Qwen2.5-0.5B");
    assert_int_equal(r.recipe.lora_rank, 16);
    assert_int_equal(r.recipe.lora_target.n, 2);
    assert_string_equal(r.recipe.lora_target.items[1], "v_proj");
    assert_int_equal(r.recipe.dataset.n, 2);
    assert_int_equal(r.recipe.gradient_accumulation_steps, 8);
    check_near(r.recipe.learning_rate, 1e-4, 0);
    assert_int_equal(r.recipe.lr_scheduler_type, WEFT_SCHED_COSINE);
    check_near(r.recipe.lora_alpha, 32, 0);         /* twice the rank */
    assert_int_equal(r.recipe.data_seed, 42);
    assert_false(r.recipe.packing);
    done(&r);
}

static void test_ignored_keys_are_named_with_the_reason(void **state)
{
    struct reading r;
    check_ok(read_and_check(&r, llama_factory), &r.err);
    check_contains(r.warn.s, "template is ignored: the chat template");
    check_contains(r.warn.s, "ddp_timeout is ignored: it concerns GPUs");
    check_contains(r.warn.s, "preprocessing_num_workers is ignored");
    assert_null(strstr(r.warn.s, "fp16"));          /* refused only when on */
    assert_null(strstr(r.warn.s, "resume_from_checkpoint"));
    done(&r);
}

static void test_a_quantised_base_goes_with_lora_alone(void **state)
{
    struct reading r;
    check_ok(read_and_check(&r, "quantization_bit: 4\nquantization_method: bnb\n"), &r.err);
    assert_string_equal(r.recipe.quantization, "nf4");
    assert_true(r.recipe.double_quantization);
    done(&r);
    check_ok(read_and_check(&r, "quantization_bit: 8\n"), &r.err);
    assert_string_equal(r.recipe.quantization, "int8");
    done(&r);
    check_ok(read_and_check(&r, "quantization_type: q4_0\n"), &r.err);
    assert_string_equal(r.recipe.quantization, "q4_0");
    assert_int_equal(r.recipe.quantization_bit, 4);
    done(&r);
    check_ok(read_and_check(&r, "quantization_bit: null\ndouble_quantization: false\n"), &r.err);
    assert_null(r.recipe.quantization);
    done(&r);
    check_ok(read_and_check(&r, "base_compute: int8\n"), &r.err);
    assert_string_equal(r.recipe.quantization, "int8");
    done(&r);
    refuses("base_compute: int8\nquantization_bit: 4\n", "quantization_type: int8");
    refuses("base_compute: int8\nbf16: false\n", "bf16: false");
    refuses("quantization_bit: 3\n", "expected 4 or 8");
    refuses("quantization_bit: 8\nquantization_type: nf4\n", "exclude each other");
    refuses("quantization_bit: 4\nfinetuning_type: full\n", "finetuning_type: full");
    refuses("quantization_bit: 4\nfinetuning_type: freeze\n", "finetuning_type: freeze");
    refuses("quantization_bit: 4\npissa_init: true\n", "pissa_init");
}

static void test_keys_that_would_change_the_result_are_refused(void **state)
{
    refuses("use_adam_mini: true\n", "use_adam_mini cannot be used");
    refuses("fp16: true\n", "say bf16: true");
    struct reading r;
    check_ok(read_and_check(&r, "use_adam_mini: false\nshift_attn: 0\n"), &r.err);
    assert_int_equal(r.warn.len, 0);
    done(&r);
}

/* Whatever the order of the table of such keys. */
static void test_foreign_keys_are_told_in_the_order_of_the_file(void **state)
{
    static const char *const keys[] = { "vllm_maxlen", "fsdp_transformer_layer_cls_to_wrap", "ddp_timeout", "flash_attn" };
    struct reading r;
    struct weft_buf yaml = { 0 };
    for (int back = 0; back < 2; back++) {
        weft_buf_reset(&yaml);
        for (size_t i = 0; i < WEFT_COUNT(keys); i++)
            weft_buf_printf(&yaml, "%s: 1\n", keys[back ? WEFT_COUNT(keys) - 1 - i : i]);
        weft_buf_char(&yaml, '\0');
        check_ok(read_and_check(&r, yaml.s), &r.err);
        const char *at = r.warn.s;
        for (size_t i = 0; i < WEFT_COUNT(keys); i++) {
            at = strstr(at, keys[back ? WEFT_COUNT(keys) - 1 - i : i]);
            assert_non_null(at);
        }
        done(&r);
    }
    weft_buf_clear(&yaml);
    assert_int_not_equal(read_and_check(&r, "shift_attn: true\nflash_attn: fa2\nuse_adam_mini: true\n"), WEFT_OK);
    check_contains(r.err.msg, "shift_attn cannot be used");
    check_contains(r.warn.s, "use_adam_mini cannot be used");
    done(&r);
}

static void test_methods_and_what_they_exclude(void **state)
{
    struct reading r;
    check_ok(read_and_check(&r, "use_dora: true\nloraplus_lr_ratio: 16.0\nloraplus_lr_embedding: 1e-6\n"
                                "additional_target: embed_tokens,lm_head\n"),
             &r.err);
    assert_true(r.recipe.use_dora && r.recipe.loraplus_lr_ratio == 16 && r.recipe.additional_target.n == 2);
    check_contains(r.warn.s, "loraplus_lr_embedding is ignored: the token table gets no adapter");
    done(&r);
    check_ok(read_and_check(&r, "pissa_init: true\npissa_iter: -1\n"), &r.err);
    assert_true(r.recipe.pissa_init && r.recipe.pissa_iter == -1 && r.recipe.pissa_convert);
    done(&r);
    check_ok(read_and_check(&r, "pissa_init: true\npissa_convert: false\n"), &r.err);
    assert_true(r.recipe.pissa_init && !r.recipe.pissa_convert);
    done(&r);
    check_ok(read_and_check(&r, "finetuning_type: freeze\nfreeze_trainable_layers: -3\n"
                                "freeze_trainable_modules: self_attn,mlp\nfreeze_extra_modules: norm\n"),
             &r.err);
    assert_true(r.recipe.finetuning_type == WEFT_FINETUNING_FREEZE && r.recipe.freeze_trainable_layers == -3);
    assert_true(r.recipe.freeze_trainable_modules.n == 2 && r.recipe.freeze_extra_modules.n == 1);
    done(&r);
    refuses("finetuning_type: full\nuse_dora: true\n", "use_dora and finetuning_type: full");
    refuses("finetuning_type: freeze\nuse_rslora: true\n", "use_rslora and finetuning_type: freeze");
    refuses("finetuning_type: full\npissa_init: true\n", "pissa_init and finetuning_type: full");
    refuses("finetuning_type: freeze\nloraplus_lr_ratio: 16\n", "loraplus_lr_ratio and finetuning_type: freeze");
    refuses("finetuning_type: full\nadditional_target: lm_head\n", "additional_target and finetuning_type: full");
    refuses("finetuning_type: freeze\nadapter_name_or_path: a\n", "adapter_name_or_path and finetuning_type: freeze");
    refuses("finetuning_type: freeze\ntrain_from_scratch: true\n", "finetuning_type: full");
    refuses("pissa_init: true\nuse_dora: true\n", "pissa_init: true and use_dora: true");
    refuses("pissa_init: true\nstage: dpo\n", "compares with the base model");
    refuses("pissa_init: true\nstage: kto\n", "compares with the base model");
    refuses("pissa_init: true\npissa_iter: 0\n", "pissa_iter is 0");
    refuses("init_rng: torch\nlora_init: gaussian\n", "init_rng: torch");
    check_ok(read_and_check(&r, "pissa_init: true\nstage: dpo\npref_loss: orpo\n"), &r.err);
    done(&r);
}

static void test_misspelt_key_names_the_nearest(void **state)
{
    refuses("learning_rat: 1e-4\n", "learning_rate");
    refuses("stage: ppo\n", "sft");
}

static void test_exclusive_settings_name_both(void **state)
{
    refuses("train_on_prompt: true\nmask_history: true\n", "exclude each other");
    refuses("train_from_scratch: true\n", "finetuning_type: full");
    refuses("eval_dataset: a.json\nval_size: 0.1\n", "val_size");
    refuses("use_muon: true\noptim: sgd\n", "sgd");
    refuses("use_galore: true\n", "finetuning_type: lora");
    refuses("use_badam: true\n", "finetuning_type: lora");
    refuses("finetuning_type: full\nuse_galore: true\nuse_badam: true\n", "use_galore: true and use_badam: true");
    refuses("finetuning_type: full\nuse_badam: true\noptim: adamw_8bit\n", "optim: adamw_8bit");
    refuses("finetuning_type: freeze\nuse_badam: true\n", "finetuning_type: freeze");
    refuses("finetuning_type: full\nuse_badam: true\nbadam_switch_mode: fixed\n", "badam_start_block");
    refuses("finetuning_type: full\nuse_galore: true\ngalore_layerwise: true\ngradient_accumulation_steps: 2\n",
            "gradient_accumulation_steps: 2");
    refuses("finetuning_type: full\nuse_galore: true\nuse_apollo: true\n", "use_galore: true and use_apollo: true");
    refuses("use_apollo: true\n", "finetuning_type: lora");
    refuses("finetuning_type: full\nuse_apollo: true\noptim: adamw_8bit\n", "optim: adamw_8bit");
    refuses("finetuning_type: full\nuse_apollo: true\napollo_layerwise: true\ngradient_accumulation_steps: 2\n",
            "gradient_accumulation_steps: 2");
    refuses("use_llama_pro: true\n", "finetuning_type: freeze");
    refuses("finetuning_type: freeze\nuse_llama_pro: true\nfreeze_trainable_layers: -2\n", "freeze_trainable_layers");
    refuses("num_train_epochs: 0\n", "max_steps");
    refuses("val_size: 2.5\n", "2.5");
}

/* The first of several is the error, the others are told beside it; each with its place. */
static void test_all_bad_keys_are_named_at_once(void **state)
{
    struct reading r;
    check_refuses(read_only(&r, "stage: sft\nuse_adam_mini: true\nfp8: true\nflash_attn: fa2\n"), &r.err, WEFT_EINPUT, NULL,
                  "recipe.yaml:2:16: use_adam_mini");
    check_contains(r.warn.s, "recipe.yaml:3:6: fp8 cannot be used");
    check_contains(r.warn.s, "recipe.yaml:4:13: flash_attn is ignored");
    done(&r);
    check_refuses(read_only(&r, "lora_rnk: 8\nstage: sft\nno_such_thing: 1\n"), &r.err, WEFT_EINPUT, NULL,
                  "recipe.yaml:1:1: there is no setting \"lora_rnk\"; did you mean \"lora_rank\"");
    check_contains(r.warn.s, "recipe.yaml:3:1: there is no setting \"no_such_thing\"");
    done(&r);
}

static void test_packing_is_the_default_of_pt_only(void **state)
{
    struct reading r;
    check_ok(read_and_check(&r, "stage: pt\n"), &r.err);
    assert_true(r.recipe.packing);
    done(&r);
    check_ok(read_and_check(&r, "stage: pt\npacking: false\n"), &r.err);
    assert_false(r.recipe.packing);
    done(&r);
    check_ok(read_and_check(&r, "packing: true\n"), &r.err);
    assert_true(r.recipe.packing);
    check_contains(r.warn.s, "see each other");
    done(&r);
    check_ok(read_and_check(&r, "neat_packing: true\n"), &r.err);
    assert_true(r.recipe.packing);
    assert_int_equal(r.warn.len, 0);
    done(&r);
}

static void test_command_line_wins_over_the_file(void **state)
{
    static const char *words[] = { "recipe.yaml", "lora_rank=32", "flash_attn=fa2", "use_adam_mini=false" };
    static const char *wrong[] = { "lora_rnk=1" };
    struct weft_str_list over = { words, WEFT_COUNT(words) }, bad = { wrong, 1 };
    struct reading r = { 0 };
    const struct weft_str yaml = WEFT_STR("lora_rank: 4\noptim: adamw_torch\nuse_adam_mini: true\n");
    check_ok(weft_recipe_read(&r.recipe, &r.arena, "recipe.yaml", yaml, &over, &r.warn, &r.err), &r.err);
    check_ok(weft_recipe_check(&r.recipe, &r.warn, &r.err), &r.err);
    assert_int_equal(r.recipe.lora_rank, 32);
    assert_string_equal(r.recipe.optim, "adamw");
    check_contains(r.warn.s, "command line: flash_attn is ignored");
    check_fails(weft_recipe_read(&r.recipe, &r.arena, "recipe.yaml", yaml, &bad, NULL, &r.err), &r.err, WEFT_EARG, "",
                "lora_rank");
    done(&r);
}

/* A table of more than a recipe's rows takes the same files. */
static void test_wider_table_takes_foreign_keys_too(void **state)
{
    struct wide {
        char before;
        struct weft_recipe recipe;
        int64_t own;
        char after;
    } w = { .before = 'a', .after = 'z' };
    struct weft_option rows[160];
    struct weft_arena a = { 0 };
    struct weft_buf warn = { 0 };
    struct weft_err err = { 0 };
    size_t n = weft_recipe_options.n;
    assert_true(n < WEFT_COUNT(rows));
    memcpy(rows, weft_recipe_options.rows, n * sizeof rows[0]);
    for (size_t i = 0; i < n; i++) {
        rows[i].offset += offsetof(struct wide, recipe);
        if (rows[i].where) rows[i].where += offsetof(struct wide, recipe);
    }
    rows[n++] = (struct weft_option){ .key = "own", .type = WEFT_OPT_INT, .offset = offsetof(struct wide, own) };
    struct weft_option_table t = { rows, n };
    check_ok(weft_options_defaults(t, &w, &a, &err), &err);
    check_ok(weft_recipe_yaml(t, &w, sizeof w, &a, "r.yaml",
                              WEFT_STR("own: 7\nlora_rank: 3\nflash_attn: fa2\n"), &warn, &err),
             &err);
    assert_int_equal(w.own, 7);
    assert_int_equal(w.recipe.lora_rank, 3);
    assert_true(w.before == 'a' && w.after == 'z');
    check_contains(warn.s, "r.yaml:3:13: flash_attn is ignored");
    check_refuses(weft_recipe_yaml(t, &w, sizeof w, &a, "r.yaml", WEFT_STR("lora_rank: 9\nuse_adam_mini: true\n"),
                                   &warn, &err),
                  &err, WEFT_EINPUT, NULL, "use_adam_mini");
    assert_int_equal(w.recipe.lora_rank, 3);
    check_refuses(weft_recipe_yaml(t, &w, sizeof w, &a, "r.yaml", WEFT_STR("owm: 9\n"), &warn, &err), &err,
                  WEFT_EINPUT, NULL, "own");
    weft_buf_clear(&warn);
    weft_arena_clear(&a);
}

/* Every setting written out, read back: the same settings. */
static void test_resolved_recipe_reads_back(void **state)
{
    struct reading r, again;
    struct weft_buf dumped = { 0 }, a = { 0 }, b = { 0 };
    struct weft_json_out j;
    check_ok(read_and_check(&r, llama_factory), &r.err);
    weft_options_dump(weft_recipe_options, &r.recipe, &dumped);
    check_ok(read_and_check(&again, dumped.s), &again.err);
    weft_json_out_init(&j, &a);
    weft_recipe_settings(&r.recipe, &j);
    weft_json_out_init(&j, &b);
    weft_recipe_settings(&again.recipe, &j);
    assert_string_equal(a.s, b.s);
    assert_string_equal(again.recipe.output_dir, "saves/qwen/lora");
    weft_buf_clear(&a), weft_buf_clear(&b), weft_buf_clear(&dumped);
    done(&r), done(&again);
}

static void test_settings_leave_out_paths_and_saving(void **state)
{
    struct reading r;
    struct weft_buf a = { 0 };
    struct weft_json_out j;
    check_ok(read_and_check(&r, llama_factory), &r.err);
    weft_json_out_init(&j, &a);
    weft_recipe_settings(&r.recipe, &j);
    check_contains(a.s, "\"learning_rate\":0.0001");
    check_contains(a.s, "\"lr_scheduler_type\":\"cosine\"");
    assert_null(strstr(a.s, "output_dir"));
    assert_null(strstr(a.s, "save_steps"));
    assert_null(strstr(a.s, "gradient_checkpointing"));
    weft_buf_clear(&a);
    done(&r);
}

static void test_no_foreign_key_is_one_of_ours(void **state)
{
    size_t n;
    const struct weft_recipe_foreign *f = weft_recipe_foreign_keys(&n);
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < weft_recipe_options.n; k++)
            assert_string_not_equal(f[i].key, weft_recipe_options.rows[k].key);
        for (size_t k = i + 1; k < n; k++) assert_string_not_equal(f[i].key, f[k].key);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_llama_factory_file_runs_unchanged),
        cmocka_unit_test(test_ignored_keys_are_named_with_the_reason),
        cmocka_unit_test(test_a_quantised_base_goes_with_lora_alone),
        cmocka_unit_test(test_keys_that_would_change_the_result_are_refused),
        cmocka_unit_test(test_foreign_keys_are_told_in_the_order_of_the_file),
        cmocka_unit_test(test_methods_and_what_they_exclude),
        cmocka_unit_test(test_misspelt_key_names_the_nearest),
        cmocka_unit_test(test_exclusive_settings_name_both),
        cmocka_unit_test(test_all_bad_keys_are_named_at_once),
        cmocka_unit_test(test_packing_is_the_default_of_pt_only),
        cmocka_unit_test(test_command_line_wins_over_the_file),
        cmocka_unit_test(test_wider_table_takes_foreign_keys_too),
        cmocka_unit_test(test_resolved_recipe_reads_back),
        cmocka_unit_test(test_settings_leave_out_paths_and_saving),
        cmocka_unit_test(test_no_foreign_key_is_one_of_ours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
