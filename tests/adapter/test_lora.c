/* Adapters: made, saved, loaded, merged, switched; against peft's files (tests/parity/model.py). */
#include "adapter/adapters.h"

static void test_a_fresh_adapter_changes_nothing(void **state)
{
    struct setup s;
    size_t n;
    set_up(&s, "peft");
    float *before = logits_of(&s, &n);
    attach(&s, (struct weft_lora_settings){ .rank = 4, .seed = 1 });
    assert_memory_equal(before, logits_of(&s, &n), n * sizeof(float));
    assert_int_equal(s.params.n, 2 * 7 * 2);
    assert_string_equal(s.params.items[0].name, "model.layers.0.self_attn.q_proj.lora_A.weight");
    assert_string_equal(s.params.items[1].name, "model.layers.0.self_attn.q_proj.lora_B.weight");
    /* U(-1/sqrt(n_in), 1/sqrt(n_in)), alpha twice the rank */
    float bound = 1 / sqrtf(36), most = 0;
    for (size_t k = 0; k < 4 * 36; k++) most = fmaxf(most, fabsf(s.params.items[0].w[k]));
    assert_true(most <= bound && most > 0.9f * bound);
    assert_true(s.model->layers[0].q.branch->scale == 2);
    tear_down(&s);
}

static void test_targets_are_names_or_all(void **state)
{
    static const char *const two[] = { "q_proj", "mlp.down_proj" }, *const wrong[] = { "q_proj", "qkv_proj" };
    struct setup s;
    set_up(&s, "peft");
    attach(&s, (struct weft_lora_settings){ .rank = 2, .alpha = 5, .rslora = true, .targets = two, .n_targets = 2 });
    assert_int_equal(s.params.n, 2 * 2 * 2);
    assert_non_null(s.model->layers[1].down.branch);
    assert_null(s.model->layers[1].k.branch);
    assert_true(fabsf(s.model->layers[0].q.branch->scale - 5 / sqrtf(2)) < 1e-6f);
    check_fails(weft_lora_attach(&s.arena, s.model,
                                 &(struct weft_lora_settings){ .rank = 2, .targets = wrong, .n_targets = 2 },
                                 NULL, &s.err),
                &s.err, WEFT_EARG, "", "qkv_proj; there are q_proj, k_proj");
    weft_err_clear(&s.err);
    check_fails(weft_lora_attach(&s.arena, s.model, &(struct weft_lora_settings){ .rank = 0 }, NULL, &s.err),
                &s.err, WEFT_EARG, "", "lora_rank is 0");
    tear_down(&s);
}

static void test_an_adapter_of_peft_gives_its_logits_and_gradients(void **state)
{
    static const char *const names[] = { "peft", "patterns" };
    for (size_t i = 0; i < WEFT_COUNT(names); i++) {
        struct setup s;
        struct weft_loss loss;
        size_t n;
        set_up(&s, names[i]);
        check_ok(weft_lora_load(&s.arena, s.model, peft_folder(&s, names[i]), &s.params, NULL, &s.err), &s.err);
        double error = error_to_fixture(&s);
        if (!(error <= 1e-5)) fail_msg("%s: logits differ by %.3g", names[i], error);
        struct weft_pass *pass = new_pass(&s, true);
        const int32_t *want_n = fixture_values(&s.expect, "n", &n);
        check_ok(weft_model_loss_backward(s.model, pass, &s.batch, 1 / (float)want_n[0], 0, 0, &loss, NULL,
                                          NULL, &s.err),
                 &s.err);
        for (size_t p = 0; p < s.params.n; p++) {
            char key[160];
            snprintf(key, sizeof key, "grad.%s", s.params.items[p].name);
            const float *want = fixture_values(&s.expect, key, &n);
            assert_int_equal(n, s.params.items[p].rows * s.params.items[p].cols);
            error = rel_l2(s.params.items[p].grad, want, n);
            if (!(error <= 1e-5))
                fail_msg("%s: gradient of %s differs by %.3g", names[i], s.params.items[p].name, error);
        }
        weft_pass_free(pass);
        tear_down(&s);
    }
}

static void test_merged_weights_are_those_of_peft(void **state)
{
    static const char *const names[] = { "peft", "patterns" };
    for (size_t i = 0; i < WEFT_COUNT(names); i++) {
        struct setup s;
        struct weft_safetensors f;
        const char *dir = check_folder();
        size_t n;
        set_up(&s, names[i]);
        check_ok(weft_lora_load(&s.arena, s.model, peft_folder(&s, names[i]), NULL, NULL, &s.err), &s.err);
        check_ok(weft_model_save(s.model, dir, WEFT_F32, true, NULL, &s.err), &s.err);
        check_ok(
            weft_safetensors_open(&f, &s.arena, weft_path_join(&s.arena, dir, "model.safetensors"), &s.err),
            &s.err);
        for (size_t k = 0; k < s.expect.file.n; k++) {
            struct weft_str name = s.expect.file.tensors[k].name;
            if (!weft_str_starts(name, WEFT_STR("merged."))) continue;
            const struct weft_st_tensor *t = weft_safetensors_find(&f, weft_str_skip(name, 7));
            assert_non_null(t);
            const float *want = fixture_values(&s.expect, weft_str_dup(&s.arena, name).s, &n);
            float *got = WEFT_NEWS(&s.arena, float, n);
            assert_int_equal(t->bytes, n * sizeof(float));
            memcpy(got, t->data, t->bytes);
            assert_true(rel_l2(got, want, n) <= 1e-6);
        }
        weft_safetensors_close(&f);
        /* and the merged model answers as the adapter did */
        struct weft_model *merged, *with_adapter = s.model;
        struct weft_model_settings settings = { .exact = true };
        check_ok(weft_model_load(&merged, dir, &settings, &s.err), &s.err);
        s.model = merged;
        assert_true(error_to_fixture(&s) <= 1e-5);
        s.model = with_adapter;
        weft_model_free(merged);
        check_folder_gone(dir);
        tear_down(&s);
    }
}

static void test_a_saved_adapter_loads_as_it_was(void **state)
{
    static const char *const names[] = { "peft", "patterns" };
    for (size_t i = 0; i < WEFT_COUNT(names); i++) {
        struct setup s;
        struct weft_lora_info info = { .base_model = "some/model", .template_sha256 = "abc" }, found;
        char fingerprint[WEFT_SHA256_HEX];
        const char *dir = check_folder();
        set_up(&s, names[i]);
        check_ok(weft_lora_load(&s.arena, s.model, peft_folder(&s, names[i]), NULL, NULL, &s.err), &s.err);
        check_ok(weft_model_fingerprint(s.model, fingerprint, &s.err), &s.err);
        info.base_sha256 = fingerprint;
        check_ok(weft_lora_save(s.model, dir, &info, &s.err), &s.err);
        for (size_t k = 0; k < weft_model_n_linears(s.model); k++) weft_model_linear(s.model, k)->branch = NULL;
        check_ok(weft_lora_load(&s.arena, s.model, dir, NULL, &found, &s.err), &s.err);
        assert_string_equal(found.base_model, "some/model");
        assert_string_equal(found.template_sha256, "abc");
        assert_string_equal(found.base_sha256, fingerprint);
        assert_true(error_to_fixture(&s) <= 1e-5);
        check_folder_gone(dir);
        tear_down(&s);
    }
}

static void test_switched_off_it_is_the_base_model(void **state)
{
    struct setup s;
    size_t n;
    set_up(&s, "peft");
    float *base = logits_of(&s, &n);
    check_ok(weft_lora_load(&s.arena, s.model, peft_folder(&s, "peft"), NULL, NULL, &s.err), &s.err);
    weft_lora_enable(s.model, false);
    assert_memory_equal(base, logits_of(&s, &n), n * sizeof(float));
    weft_lora_enable(s.model, true);
    assert_true(error_to_fixture(&s) <= 1e-5);
    tear_down(&s);
}

static void test_an_adapter_of_another_base_is_refused(void **state)
{
    struct setup s;
    const char *dir = check_folder();
    struct weft_lora_info info = { .base_sha256 = "0123456789abcdef" };
    size_t n;
    set_up(&s, "peft");
    attach(&s, (struct weft_lora_settings){ .rank = 4 });
    check_ok(weft_lora_save(s.model, dir, &info, &s.err), &s.err);
    check_ok(weft_lora_load(&s.arena, s.model, peft_folder(&s, "peft"), NULL, NULL, &s.err), &s.err);
    float *before = logits_of(&s, &n);
    check_fails(weft_lora_load(&s.arena, s.model, dir, NULL, NULL, &s.err), &s.err, WEFT_EINPUT, "AD6", "0123456789ab");
    /* what was there still serves */
    assert_memory_equal(before, logits_of(&s, &n), n * sizeof(float));
    check_folder_gone(dir);
    tear_down(&s);
}

/* AD7: nothing of the adapter before is left, neither its scale nor its other modules. */
static void test_an_adapter_takes_the_place_of_the_one_before(void **state)
{
    struct setup s;
    set_up(&s, "patterns");
    check_ok(weft_lora_load(&s.arena, s.model, peft_folder(&s, "peft"), NULL, NULL, &s.err), &s.err);
    assert_true(error_to_fixture(&s) > 1e-3);
    check_ok(weft_lora_load(&s.arena, s.model, peft_folder(&s, "patterns"), NULL, NULL, &s.err), &s.err);
    assert_true(error_to_fixture(&s) <= 1e-5);
    tear_down(&s);
}

/* Values as after some training: B and magnitudes away from their start, tables too. */
static void move(struct setup *s, uint64_t seed)
{
    struct weft_rng rng;
    weft_rng_init(&rng, seed, WEFT_RNG_TEST, 0);
    for (size_t p = 0; p < s->params.n; p++) {
        struct weft_param *x = &s->params.items[p];
        bool stretch = strstr(x->name, "magnitude") != NULL, add = strstr(x->name, "lora_B") || x->embedding;
        for (size_t k = 0; k < x->rows * x->cols; k++) {
            float z = 0.05f * weft_rng_normal(&rng);
            if (stretch) x->w[k] *= 1 + z;
            else if (add) x->w[k] += z;
        }
    }
}

/* For tests/parity/lora.py: adapters of ours and the logits they give, into the folder WEFT_PARITY_OUT. */
static void test_adapters_for_peft_to_load(void **state)
{
    static const char *const two[] = { "v_proj", "layers.1.mlp.down_proj" };
    static const char *const tables[] = { "embed_tokens", "lm_head" };
    static const struct {
        const char *name, *base, *rows;
        struct weft_lora_settings how;
    } made[] = {
        { "lora", "untied", "patterns", { .rank = 4, .seed = 1 } },
        { "rslora", "untied", "patterns",
          { .rank = 3, .alpha = 5, .rslora = true, .dropout = 0.1, .targets = two, .n_targets = 2 } },
        { "dora", "untied", "patterns", { .rank = 3, .alpha = 5, .seed = 2, .dora = true } },
        { "pissa", "untied", "patterns", { .rank = 3, .alpha = 5, .seed = 3, .pissa = true } },
        { "pissa-rslora", "untied", "patterns", { .rank = 3, .alpha = 5, .rslora = true, .seed = 3, .pissa = true } },
        { "tables", "pad", "tables", { .rank = 2, .seed = 4, .tables = tables, .n_tables = 2 } },
        { "head", "pad", "tables", { .rank = 2, .seed = 5, .dora = true, .tables = tables + 1, .n_tables = 1 } },
        { "loaded", "untied", "patterns", { 0 } },
    };
    const char *out = check_outside("WEFT_PARITY_OUT");
    for (size_t i = 0; i < WEFT_COUNT(made); i++) {
        struct setup s;
        struct weft_lora_info info = { .base_model = made[i].base };
        size_t n, n_rows;
        set_up_on(&s, made[i].base, made[i].rows, true);
        if (made[i].how.rank) attach(&s, made[i].how);
        else check_ok(weft_lora_load(&s.arena, s.model, peft_folder(&s, "patterns"), NULL, NULL, &s.err), &s.err);
        move(&s, i);
        const char *dir = weft_str_printf(&s.arena, "%s/%s", out, made[i].name).s;
        check_ok(weft_dir_make(dir, &s.err), &s.err);
        check_ok(weft_lora_save(s.model, dir, &info, &s.err), &s.err);
        const int32_t *rows = fixture_values(&s.expect, "rows", &n_rows);
        float *logits = logits_of(&s, &n);
        struct weft_st_out tensors[] = {
            { "logits", WEFT_ST_F32, 2, { n_rows, n / n_rows }, logits }, { "rows", WEFT_ST_I32, 1, { n_rows }, rows },
            { "ids", WEFT_ST_I32, 1, { s.batch.n_tokens }, s.batch.ids },
            { "cu", WEFT_ST_I32, 1, { s.batch.n_seqs + 1 }, s.batch.cu } };
        check_ok(weft_safetensors_write(weft_path_join(&s.arena, dir, "logits.safetensors"), tensors, 4, NULL,
                                        &s.err),
                 &s.err);
        /* and merged, for transformers */
        const char *merged = weft_path_join(&s.arena, dir, "merged");
        check_ok(weft_dir_make(merged, &s.err), &s.err);
        check_ok(weft_model_save(s.model, merged, WEFT_F32, true, NULL, &s.err), &s.err);
        tear_down(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_fresh_adapter_changes_nothing),
        cmocka_unit_test(test_targets_are_names_or_all),
        cmocka_unit_test(test_an_adapter_of_peft_gives_its_logits_and_gradients),
        cmocka_unit_test(test_merged_weights_are_those_of_peft),
        cmocka_unit_test(test_a_saved_adapter_loads_as_it_was),
        cmocka_unit_test(test_switched_off_it_is_the_base_model),
        cmocka_unit_test(test_an_adapter_of_another_base_is_refused),
        cmocka_unit_test(test_an_adapter_takes_the_place_of_the_one_before),
        cmocka_unit_test(test_adapters_for_peft_to_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
