/* DoRA, PiSSA, LoRA+, copies of tables: against peft's files (tests/parity/model.py), central differences in f64, and
 * what each promises. */
#include "adapter/adapters.h"
#include "kernels/quant.h"
#include "model/gguf.h"
#include "model/reference.h"

static const struct {
    const char *name, *base;
} fixtures[] = { { "dora", "untied" }, { "tables", "pad" }, { "embed", "pad" } };

static void load(struct setup *s, const char *name)
{
    check_ok(weft_lora_load(&s->arena, s->model, peft_folder(s, name), &s->params, NULL, &s->err), &s->err);
}

static void test_adapters_of_peft_give_its_logits_and_gradients(void **state)
{
    for (size_t i = 0; i < WEFT_COUNT(fixtures); i++) {
        struct setup s;
        set_up_on(&s, fixtures[i].base, fixtures[i].name, false);
        load(&s, fixtures[i].name);
        double error = error_to_fixture(&s);
        if (!(error <= 1e-5)) fail_msg("%s: logits differ by %.3g", fixtures[i].name, error);
        check_gradients(&s, fixtures[i].name);
        tear_down(&s);
    }
}

/* Q9 and Q10: the pad row of the token table learns nothing, that of the head does; the two are two. */
static void test_q10_copies_untie_and_q9_the_pad_row_of_the_input_rests(void **state)
{
    struct setup s;
    size_t D;
    float in = 0, out = 0;
    set_up_on(&s, "pad", "tables", false);
    assert_true(weft_model_tied(s.model) && s.model->config.pad_token_id == 5);
    load(&s, "tables");
    D = s.model->config.hidden_size;
    assert_false(weft_model_tied(s.model));
    assert_ptr_not_equal(s.model->embed, s.model->head.w);
    run_backward(&s, false);
    for (size_t i = 0; i < D; i++) {
        in += fabsf(s.model->embed_copy.dw[5 * D + i]);
        out += fabsf(s.model->head_copy.dw[5 * D + i]);
    }
    assert_true(in == 0 && out > 0);
    tear_down(&s);
}

static void test_switched_off_it_is_the_base_model(void **state)
{
    for (size_t i = 0; i < WEFT_COUNT(fixtures); i++) {
        struct setup s;
        size_t n;
        set_up_on(&s, fixtures[i].base, fixtures[i].name, false);
        float *base = logits_of(&s, &n);
        load(&s, fixtures[i].name);
        float *tuned = logits_of(&s, &n);
        weft_lora_enable(s.model, false);
        assert_memory_equal(base, logits_of(&s, &n), n * sizeof(float));
        weft_lora_enable(s.model, true);
        assert_memory_equal(tuned, logits_of(&s, &n), n * sizeof(float));
        assert_true(rel_l2(base, tuned, n) > 1e-3);
        tear_down(&s);
    }
}

static void test_merged_models_answer_as_the_adapter(void **state)
{
    for (size_t i = 0; i < WEFT_COUNT(fixtures); i++) {
        struct setup s;
        struct weft_model *merged;
        struct weft_safetensors f;
        struct weft_model_settings settings = { .exact = true };
        const char *dir = check_folder();
        size_t n;
        set_up_on(&s, fixtures[i].base, fixtures[i].name, false);
        load(&s, fixtures[i].name);
        check_ok(weft_model_save(s.model, dir, WEFT_F32, true, NULL, &s.err), &s.err);
        check_ok(weft_safetensors_open(&f, &s.arena, weft_path_join(&s.arena, dir, "model.safetensors"), &s.err), &s.err);
        for (size_t k = 0; k < s.expect.file.n; k++) {
            struct weft_str name = s.expect.file.tensors[k].name;
            if (!weft_str_starts(name, WEFT_STR("merged."))) continue;
            const struct weft_st_tensor *t = weft_safetensors_find(&f, weft_str_skip(name, 7));
            const float *want = fixture_values(&s.expect, weft_str_dup(&s.arena, name).s, &n);
            assert_true(t && t->bytes == n * sizeof(float));
            float *got = WEFT_NEWS(&s.arena, float, n);
            memcpy(got, t->data, t->bytes);
            assert_true(rel_l2(got, want, n) <= 1e-6);
        }
        weft_safetensors_close(&f);
        check_ok(weft_model_load(&merged, dir, &settings, &s.err), &s.err);
        assert_false(merged->config.tie_word_embeddings);
        weft_model_free(s.model);
        s.model = merged;
        double error = error_to_fixture(&s);
        if (!(error <= 1e-5)) fail_msg("%s merged: logits differ by %.3g", fixtures[i].name, error);
        check_folder_gone(dir);
        tear_down(&s);
    }
}

/* A GGUF file holds the same merged weights as a folder does: magnitudes of DoRA and copied tables too. */
static void test_merged_gguf_files_answer_as_the_adapter(void **state)
{
    for (size_t i = 0; i < WEFT_COUNT(fixtures); i++) {
        struct setup s;
        struct weft_model *merged;
        struct weft_model_settings settings = { .exact = true };
        struct weft_gguf_save save = { .type = "F32", .name = "merged", .merge = true };
        char dir[64];
        snprintf(dir, sizeof dir, "%s", check_folder());
        set_up_on(&s, fixtures[i].base, fixtures[i].name, false);
        load(&s, fixtures[i].name);
        const char *file = weft_path_join(&s.arena, dir, "merged.gguf");
        check_ok(weft_gguf_write(s.model, file, &save, &s.err), &s.err);
        check_ok(weft_model_load(&merged, file, &settings, &s.err), &s.err);
        weft_model_free(s.model);
        s.model = merged;
        double error = error_to_fixture(&s);
        if (!(error <= 1e-5)) fail_msg("%s merged into GGUF: logits differ by %.3g", fixtures[i].name, error);
        check_folder_gone(dir);
        tear_down(&s);
    }
}

/* Saved without the adapter a model is what it was, tied. */
static void test_not_merged_the_base_is_saved(void **state)
{
    struct setup s;
    struct weft_model *again;
    struct weft_model_settings settings = { .exact = true };
    const char *dir = check_folder();
    size_t n;
    set_up_on(&s, "pad", "tables", false);
    float *base = logits_of(&s, &n);
    load(&s, "tables");
    check_ok(weft_model_save(s.model, dir, WEFT_F32, false, NULL, &s.err), &s.err);
    check_ok(weft_model_load(&again, dir, &settings, &s.err), &s.err);
    assert_true(again->config.tie_word_embeddings && weft_model_tied(again));
    weft_model_free(s.model);
    s.model = again;
    assert_true(rel_l2(logits_of(&s, &n), base, n) <= 1e-6);
    check_folder_gone(dir);
    tear_down(&s);
}

static void test_a_saved_adapter_loads_as_it_was(void **state)
{
    for (size_t i = 0; i < WEFT_COUNT(fixtures); i++) {
        struct setup s;
        struct weft_lora_info info = { .base_model = "some/model" };
        const char *dir = check_folder();
        size_t n;
        set_up_on(&s, fixtures[i].base, fixtures[i].name, false);
        load(&s, fixtures[i].name);
        float *before = logits_of(&s, &n);
        check_ok(weft_lora_save(s.model, dir, &info, &s.err), &s.err);
        check_ok(weft_lora_load(&s.arena, s.model, dir, NULL, NULL, &s.err), &s.err);
        assert_memory_equal(before, logits_of(&s, &n), n * sizeof(float));
        /* and a plain adapter after it leaves nothing of it behind */
        check_ok(weft_lora_attach(&s.arena, s.model, &(struct weft_lora_settings){ .rank = 2 }, NULL, &s.err), &s.err);
        assert_true(s.model->config.tie_word_embeddings == weft_model_tied(s.model));
        assert_null(s.model->layers[0].q.branch->dora);
        check_folder_gone(dir);
        tear_down(&s);
    }
}

static void test_a_fresh_dora_changes_next_to_nothing(void **state)
{
    struct setup s;
    size_t n;
    set_up(&s, "dora");
    float *base = logits_of(&s, &n);
    attach(&s, (struct weft_lora_settings){ .rank = 3, .seed = 1, .dora = true });
    assert_int_equal(s.params.n, 2 * 7 * 3);
    assert_string_equal(s.params.items[2].name, "model.layers.0.self_attn.q_proj.lora_magnitude_vector");
    assert_true(rel_l2(logits_of(&s, &n), base, n) <= 1e-6);
    tear_down(&s);
}

static void test_dora_gradients_match_differences(void **state)
{
    static const uint32_t lengths[] = { 2, 13, 6 };
    for (int dropout = 0; dropout < 2; dropout++) {
        struct setup s = { 0 };
        struct weft_config c = small_config();
        struct weft_loss loss;
        struct weft_pass *pass;
        struct weft_rng rng;
        double worst = 0;
        c.vocab_size = 31, c.hidden_size = 16, c.intermediate_size = 21, c.n_layers = 2, c.n_heads = 4,
        c.n_kv_heads = 2;
        c.head_dim = 6, c.initializer_range = 0.3f;
        check_ok(weft_compute_init(&s.compute, NULL, NULL, &s.err), &s.err);
        check_ok(weft_model_random(&s.model, &c, 7, NULL, &s.err), &s.err);
        s.model->exact = true;
        s.batch = random_batch(&s.arena, lengths, WEFT_COUNT(lengths), c.vocab_size, 5);
        attach(&s, (struct weft_lora_settings){ .rank = 3, .seed = 2, .dora = true, .dropout = dropout ? 0.25 : 0 });
        weft_rng_init(&rng, 4, WEFT_RNG_TEST, 0);
        for (size_t i = 0; i < s.params.n; i++)
            for (size_t k = 0; k < s.params.items[i].rows * s.params.items[i].cols; k++) {
                float *w = &s.params.items[i].w[k];
                if (i % 3 == 1) *w = 0.15f * weft_rng_normal(&rng);
                if (i % 3 == 2) *w *= 0.7f + 0.6f * weft_rng_f32(&rng);
            }
        struct weft_pass_settings settings = { .max_tokens = s.batch.n_tokens, .backward = true };
        check_ok(weft_pass_new(&pass, &s.compute, s.model, &settings, &s.err), &s.err);
        zero_grads(&s.params);
        check_ok(weft_model_loss_backward(s.model, pass, &s.batch, 1, 11, 3, &loss, NULL, NULL, &s.err), &s.err);
        struct ref r = { .model = s.model, .compute = dropout ? &s.compute : NULL, .seed = 11, .micro_step = 3 };
        double want = ref_loss(&r, &s.batch);
        assert_true(fabs(loss.sum - want) <= 2e-6 * want);
        for (size_t i = 0; i < s.params.n; i++) {
            const struct weft_param *p = &s.params.items[i];
            size_t n = p->rows * p->cols;
            double most = 0;
            for (size_t k = 0; k < n; k++) most = fmax(most, fabs((double)p->grad[k]));
            for (int e = 0; e < 12; e++) {
                size_t k = (size_t)weft_rng_below(&rng, n);
                double h = 1e-5 * fmax(1, fabs((double)p->w[k])), side[2], g = (double)p->grad[k];
                r.moved = p->w, r.moved_idx = k;
                for (int which = 0; which < 2; which++) {
                    r.moved_by = which ? -h : h;
                    side[which] = ref_loss(&r, &s.batch);
                }
                double difference = (side[0] - side[1]) / (2 * h);
                if (!(fabs(g - difference) <= 1e-4 * fabs(g) + 2e-5 * most))
                    fail_msg("%s[%zu]: gradient %.9g, difference %.9g", p->name, k, g, difference);
                worst = fmax(worst, most > 0 ? fabs(g - difference) / most : 0);
            }
        }
        print_message("DoRA%s: worst entry %.1e of its tensor's largest\n", dropout ? ", dropout" : "", worst);
        weft_arena_clear(&r.arena);
        weft_pass_free(pass);
        weft_model_free(s.model);
        weft_compute_clear(&s.compute);
        weft_arena_clear(&s.arena);
    }
}

static void test_checkpointing_and_threads_change_no_bit(void **state)
{
    for (size_t i = 0; i < WEFT_COUNT(fixtures); i++) {
        float *grads[3] = { 0 };
        size_t n = 0;
        for (int way = 0; way < 3; way++) {
            struct setup s;
            set_up_on(&s, fixtures[i].base, fixtures[i].name, false);
            if (way == 2) {
                weft_compute_clear(&s.compute);
                weft_pool_free(s.pool);
                check_ok(weft_pool_new(&s.pool, 5, &s.err), &s.err);
                check_ok(weft_compute_init(&s.compute, NULL, s.pool, &s.err), &s.err);
            }
            s.model->exact = false;
            load(&s, fixtures[i].name);
            run_backward(&s, way == 1);
            n = s.params.n_values;
            float *all = grads[way] = malloc(n * sizeof *all);
            assert_non_null(all);
            for (size_t p = 0; p < s.params.n; p++) {
                size_t k = s.params.items[p].rows * s.params.items[p].cols;
                memcpy(all, s.params.items[p].grad, k * sizeof *all);
                all += k;
            }
            tear_down(&s);
        }
        assert_memory_equal(grads[0], grads[1], n * sizeof(float));
        assert_memory_equal(grads[0], grads[2], n * sizeof(float));
        for (int way = 0; way < 3; way++) free(grads[way]);
    }
}

/* The whole model quantised, and the same values as f32: DoRA and copies of tables see the same base. */
static void test_a_quantised_base_is_as_its_values(void **state)
{
    static const char *const tables[] = { "lm_head" };
    const struct weft_lora_settings how = {
        .rank = 3, .alpha = 5, .seed = 2, .dora = true, .tables = tables, .n_tables = 1
    };
    struct setup s;
    float *logits[2];
    size_t n = 0;
    set_up(&s, "dora");
    for (int plain = 0; plain < 2; plain++) {
        for (size_t i = 0; i <= weft_model_n_linears(s.model) && !plain; i++) {
            struct weft_linear *l = i < weft_model_n_linears(s.model) ? weft_model_linear(s.model, i) : &s.model->head;
            struct weft_quant *q = WEFT_NEW(&s.arena, struct weft_quant);
            check_ok(weft_quantise(&s.compute, &s.arena, q, weft_quant_format(WEFT_INT8), false, l->name, l->w, l->type,
                                   l->n_out, l->n_in, &s.err),
                     &s.err);
            l->w = q;
            l->type = WEFT_QUANT;
        }
        attach(&s, how);
        for (size_t i = 0; i < weft_model_n_linears(s.model); i++) {
            struct weft_branch *b = weft_model_linear(s.model, i)->branch;
            for (size_t k = 0; k < b->rank * weft_model_linear(s.model, i)->n_out; k++)
                b->b[k] = 0.01f * (float)(k % 7);
        }
        logits[plain] = logits_of(&s, &n);
        if (plain) break;
        check_fails(weft_lora_attach(&s.arena, s.model, &(struct weft_lora_settings){ .rank = 2, .pissa = true }, NULL,
                                     &s.err),
                    &s.err, WEFT_EARG, "", "is quantised");
        weft_err_clear(&s.err);
        weft_lora_enable(s.model, false);
        for (size_t i = 0; i <= weft_model_n_linears(s.model); i++) {
            struct weft_linear *l = i < weft_model_n_linears(s.model) ? weft_model_linear(s.model, i) : &s.model->head;
            float *w = WEFT_NEWS(&s.arena, float, l->n_out * l->n_in);
            weft_dequantise(&s.compute, w, WEFT_F32, l->w, 0, l->n_out);
            l->w = w;
            l->type = WEFT_F32;
        }
        s.model->head_copy = (struct weft_table_copy){ 0 };
        memset(&s.params, 0, sizeof s.params);
    }
    assert_true(rel_l2(logits[0], logits[1], n) <= 1e-5);
    tear_down(&s);
}

/* ---- PiSSA ---- */

static struct weft_linear *find(struct setup *s, struct weft_str name)
{
    for (size_t i = 0; i < weft_model_n_linears(s->model); i++)
        if (weft_str_is(name, weft_model_linear(s->model, i)->name)) return weft_model_linear(s->model, i);
    fail_msg("no layer %.*s", (int)name.len, name.s);
    return NULL;
}

static void test_pissa_takes_what_peft_takes(void **state)
{
    for (int rslora = 0; rslora < 2; rslora++)
        for (int iter = -1; iter < 20; iter += 19) {
            struct setup s;
            struct fixture want;
            const char *prefix = rslora ? "rslora.taken." : "plain.taken.";
            size_t n, n_modules = 0;
            set_up_on(&s, "untied", "peft", true);
            fixture_open(&want, "tests/adapter/data/pissa/expect.safetensors");
            attach(&s, (struct weft_lora_settings){ .rank = 3, .alpha = 5, .rslora = rslora, .pissa = true,
                                                    .pissa_iter = iter, .seed = 3 });
            for (size_t t = 0; t < want.file.n; t++) {
                struct weft_str name = want.file.tensors[t].name;
                if (!weft_str_starts(name, weft_str_c(prefix))) continue;
                const struct weft_linear *l = find(&s, weft_str_skip(name, strlen(prefix)));
                const float *taken = fixture_values(&want, weft_str_dup(&s.arena, name).s, &n);
                float *got = WEFT_NEWS(&s.arena, float, n);
                for (size_t o = 0; o < l->n_out; o++)
                    for (size_t i = 0; i < l->n_in; i++) {
                        double sum = 0;
                        for (size_t j = 0; j < 3; j++)
                            sum += (double)l->branch->b[o * 3 + j] * (double)l->branch->a[j * l->n_in + i];
                        got[o * l->n_in + i] = (float)(sum * (double)l->branch->scale);
                    }
                double error = rel_l2(got, taken, n);
                if (!(error <= (iter < 0 ? 5e-5 : 2e-3))) fail_msg("%s, %d steps: %.3g", l->name, iter, error);
                struct weft_str base = weft_str_printf(&s.arena, "%s.base.%s", rslora ? "rslora" : "plain", l->name);
                const float *residual = fixture_values(&want, base.s, &n);
                error = rel_l2(l->w, residual, n);
                if (!(error <= (iter < 0 ? 5e-5 : 2e-3))) fail_msg("%s, residual: %.3g", l->name, error);
                n_modules++;
            }
            assert_int_equal(n_modules, 3);
            fixture_close(&want);
            tear_down(&s);
        }
}

/* At its start the model is the base's, but for the rounding of the residual; off, it is the base to the bit; written,
 * it is plain LoRA over the base. */
static void test_pissa_is_written_as_plain_lora(void **state)
{
    for (int rslora = 0; rslora < 2; rslora++) {
        struct setup s;
        struct weft_rng rng;
        struct weft_lora_info info = { .base_model = "untied" };
        const char *dir = check_folder();
        size_t n;
        set_up_on(&s, "untied", "peft", rslora);   /* a residual of f32, and of bf16 */
        float *base = logits_of(&s, &n);
        attach(&s, (struct weft_lora_settings){ .rank = 3, .alpha = 5, .rslora = rslora, .pissa = true, .seed = 3 });
        assert_true(rel_l2(logits_of(&s, &n), base, n) <= (rslora ? 1e-5 : 2e-2));
        weft_rng_init(&rng, 8, WEFT_RNG_TEST, 0);
        for (size_t i = 0; i < s.params.n; i++)
            for (size_t k = 0; k < s.params.items[i].rows * s.params.items[i].cols; k++)
                s.params.items[i].w[k] += 0.1f * weft_rng_normal(&rng);
        float *tuned = logits_of(&s, &n);
        check_ok(weft_lora_save(s.model, dir, &info, &s.err), &s.err);
        weft_lora_enable(s.model, false);
        assert_memory_equal(logits_of(&s, &n), base, n * sizeof(float));
        weft_lora_enable(s.model, true);
        assert_memory_equal(logits_of(&s, &n), tuned, n * sizeof(float));
        check_ok(weft_lora_load(&s.arena, s.model, dir, NULL, NULL, &s.err), &s.err);
        assert_int_equal(s.model->layers[0].q.branch->rank, 6);
        assert_true(rel_l2(logits_of(&s, &n), tuned, n) <= (rslora ? 1e-5 : 2e-2));
        assert_true(rel_l2(tuned, base, n) > 5e-2);
        weft_lora_enable(s.model, false);
        assert_memory_equal(logits_of(&s, &n), base, n * sizeof(float));
        check_folder_gone(dir);
        tear_down(&s);
    }
}

static void test_what_excludes_what(void **state)
{
    static const char *const wrong[] = { "norm" };
    struct setup s;
    set_up(&s, "peft");
    check_fails(weft_lora_attach(&s.arena, s.model,
                                 &(struct weft_lora_settings){ .rank = 2, .pissa = true, .dora = true }, NULL,
                                 &s.err),
                &s.err, WEFT_EARG, "", "pissa_init and use_dora");
    weft_err_clear(&s.err);
    check_fails(weft_lora_attach(&s.arena, s.model,
                                 &(struct weft_lora_settings){ .rank = 2, .tables = wrong, .n_tables = 1 },
                                 NULL, &s.err),
                &s.err, WEFT_EARG, "", "additional_target: norm");
    weft_err_clear(&s.err);
    check_fails(weft_lora_attach(&s.arena, s.model, &(struct weft_lora_settings){ .rank = 40, .pissa = true },
                                 NULL, &s.err),
                &s.err, WEFT_EARG, "", "singular directions");
    assert_null(s.model->layers[0].q.branch);
    tear_down(&s);
}

/* ---- starts and rates ---- */

static void test_starts(void **state)
{
    struct setup s = { 0 };
    struct weft_config c = small_config();
    c.hidden_size = 8, c.n_heads = 3, c.n_kv_heads = 3, c.head_dim = 2, c.intermediate_size = 8, c.n_layers = 2;
    check_ok(weft_model_random(&s.model, &c, 7, NULL, &s.err), &s.err);
    /* peft 0.18 after torch.manual_seed(42) */
    static const float want[] = { .11181521f, -.00615041f, .27669379f, -.25120449f };
    attach(&s, (struct weft_lora_settings){ .rank = 4, .seed = 42, .torch_rng = true });
    for (int i = 0; i < 4; i++) assert_true(fabsf(s.model->layers[0].q.branch->a[i] - want[i]) < 1e-7f);
    weft_model_free(s.model);
    c.hidden_size = 512;
    check_ok(weft_model_random(&s.model, &c, 7, NULL, &s.err), &s.err);
    attach(&s, (struct weft_lora_settings){ .rank = 8, .seed = 42, .init = WEFT_LORA_GAUSSIAN });
    double sum = 0, square = 0;
    const float *a = s.model->layers[0].q.branch->a;
    for (size_t i = 0; i < 8 * 512; i++) sum += (double)a[i], square += (double)a[i] * (double)a[i];
    assert_true(fabs(sum / 4096) < 0.01 && fabs(sqrt(square / 4096) - 1.0 / 8) < 0.005);
    check_fails(weft_lora_attach(
                    &s.arena, s.model,
                    &(struct weft_lora_settings){ .rank = 4, .init = WEFT_LORA_GAUSSIAN, .torch_rng = true },
                    NULL, &s.err),
                &s.err, WEFT_EARG, "", "init_rng");
    weft_model_free(s.model);
    weft_arena_clear(&s.arena);
}

static void test_lora_plus_hastens_b_and_vectors(void **state)
{
    static const char *const tables[] = { "embed_tokens" };
    struct setup s;
    set_up(&s, "peft");
    attach(&s, (struct weft_lora_settings){ .rank = 2, .dora = true, .tables = tables, .n_tables = 1 });
    weft_lora_plus(&s.params, 16);
    for (size_t i = 0; i < s.params.n; i++) {
        const struct weft_param *p = &s.params.items[i];
        bool fast = strstr(p->name, "lora_B") || strstr(p->name, "magnitude");
        assert_true(weft_param_lr(p, 0.5) == (fast ? 8 : 0.5));
    }
    assert_true(s.params.items[s.params.n - 1].embedding);
    tear_down(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_adapters_of_peft_give_its_logits_and_gradients),
        cmocka_unit_test(test_q10_copies_untie_and_q9_the_pad_row_of_the_input_rests),
        cmocka_unit_test(test_switched_off_it_is_the_base_model),
        cmocka_unit_test(test_merged_models_answer_as_the_adapter),
        cmocka_unit_test(test_merged_gguf_files_answer_as_the_adapter),
        cmocka_unit_test(test_not_merged_the_base_is_saved),
        cmocka_unit_test(test_a_saved_adapter_loads_as_it_was),
        cmocka_unit_test(test_a_fresh_dora_changes_next_to_nothing),
        cmocka_unit_test(test_dora_gradients_match_differences),
        cmocka_unit_test(test_checkpointing_and_threads_change_no_bit),
        cmocka_unit_test(test_a_quantised_base_is_as_its_values),
        cmocka_unit_test(test_pissa_takes_what_peft_takes),
        cmocka_unit_test(test_pissa_is_written_as_plain_lora),
        cmocka_unit_test(test_what_excludes_what),
        cmocka_unit_test(test_starts),
        cmocka_unit_test(test_lora_plus_hastens_b_and_vectors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
