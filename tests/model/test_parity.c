/* Against transformers: the fixtures of tests/parity/model.py, within docs/model.md, "Tolerances". */
#include "model/models.h"
#include "model/rope.h"

static const char *const names[] = { "tq2", "untied", "pad", "qwen3", "llama", "mistral", "yarn", "windows", "linear" };

struct setup {
    struct weft_arena arena;
    struct weft_pool *pool;
    struct weft_compute compute;
    struct weft_model *model;
    struct fixture expect;
    struct weft_batch batch;
    struct weft_err err;
};

/* The fixtures of the repository, or where WEFT_PARITY_MODELS leads (tests/parity/model.py families). */
static const char *const *fixtures(size_t *n)
{
    static const char *const live[] = { "tq2", "tq3", "tl3", "tms", "tq2y" };
    bool outside = getenv("WEFT_PARITY_MODELS") != NULL;
    *n = outside ? WEFT_COUNT(live) : WEFT_COUNT(names);
    return outside ? live : names;
}

static const char *fixture_path(struct weft_arena *a, const char *name)
{
    const char *outside = getenv("WEFT_PARITY_MODELS");
    return outside ? weft_path_join(a, outside, name)
                   : check_source(a, weft_str_printf(a, "tests/model/data/%s", name).s);
}

static void set_up(struct setup *s, const char *name, const char *isa, bool exact)
{
    *s = (struct setup){ 0 };
    check_ok(weft_pool_new(&s->pool, 2, &s->err), &s->err);
    check_ok(weft_compute_init(&s->compute, isa, s->pool, &s->err), &s->err);
    struct weft_model_settings settings = { .exact = exact };
    const char *path = fixture_path(&s->arena, name);
    check_ok(weft_model_load(&s->model, path, &settings, &s->err), &s->err);
    fixture_open_at(&s->expect, weft_path_join(&s->arena, path, "expect.safetensors"));
    s->batch = fixture_batch(&s->expect);
}

static void tear_down(struct setup *s)
{
    fixture_close(&s->expect);
    weft_model_free(s->model);
    weft_compute_clear(&s->compute);
    weft_pool_free(s->pool);
    weft_arena_clear(&s->arena);
}

static struct weft_pass *new_pass(struct setup *s, struct weft_pass_settings settings)
{
    struct weft_pass *pass;
    settings.max_tokens = s->batch.n_tokens;
    check_ok(weft_pass_new(&pass, &s->compute, s->model, &settings, &s->err), &s->err);
    return pass;
}

static double logits_error(struct setup *s)
{
    size_t n_rows, n_want;
    const int32_t *rows = fixture_values(&s->expect, "rows", &n_rows);
    const float *want = fixture_values(&s->expect, "logits", &n_want);
    float *logits = WEFT_NEWS(&s->arena, float, n_want);
    struct weft_pass *pass = new_pass(s, (struct weft_pass_settings){ 0 });
    assert_int_equal(n_want, n_rows * s->model->config.vocab_size);
    check_ok(weft_model_logits(s->model, pass, &s->batch, rows, n_rows, logits, &s->err), &s->err);
    weft_pass_free(pass);
    return rel_l2(logits, want, n_want);
}

static void test_logits_are_those_of_transformers(void **state)
{
    size_t n_models;
    const char *const *models = fixtures(&n_models);
    for (size_t i = 0; i < n_models; i++) {
        struct setup s;
        set_up(&s, models[i], NULL, true);
        double error = logits_error(&s);
        if (!(error <= 1e-5)) fail_msg("%s: logits differ by %.3g", models[i], error);
        print_message("%s: logits %.2g\n", models[i], error);
        tear_down(&s);
    }
}

static void test_every_gradient_is_that_of_transformers(void **state)
{
    size_t n_models;
    const char *const *models = fixtures(&n_models);
    for (size_t i = 0; i < n_models; i++) {
        struct setup s;
        struct weft_params params = { 0 };
        struct weft_loss loss;
        size_t n, n_rows;
        double sum = 0;
        set_up(&s, models[i], NULL, true);
        check_ok(weft_model_train_all(s.model, &s.arena, &params, &s.err), &s.err);
        struct weft_pass *pass = new_pass(&s, (struct weft_pass_settings){ .backward = true });
        const int32_t *want_n = fixture_values(&s.expect, "n", &n);
        const double *want_row = fixture_values(&s.expect, "row_loss", &n_rows);
        double *row_loss = WEFT_NEWS(&s.arena, double, n_rows);
        assert_int_equal(n_rows, s.batch.n_seqs);
        check_ok(weft_model_loss_backward(s.model, pass, &s.batch, 1 / (float)want_n[0], 0, 0, &loss,
                                          row_loss, NULL, &s.err),
                 &s.err);
        assert_int_equal(loss.n, want_n[0]);
        for (size_t r = 0; r < n_rows; r++) {
            sum += want_row[r];
            if (!(fabs(row_loss[r] - want_row[r]) <= 2e-6 * fabs(want_row[r])))
                fail_msg("%s: loss of row %zu is %.9g, expected %.9g", models[i], r, row_loss[r], want_row[r]);
        }
        if (!(fabs(loss.sum - sum) <= 2e-6 * sum)) fail_msg("%s: loss %.9g, expected %.9g", models[i], loss.sum, sum);
        double worst = 0;
        for (size_t p = 0; p < params.n; p++) {
            char key[160];
            snprintf(key, sizeof key, "grad.%s", params.items[p].name);
            const float *want = fixture_values(&s.expect, key, &n);
            assert_int_equal(n, params.items[p].rows * params.items[p].cols);
            double error = rel_l2(params.items[p].grad, want, n);
            if (!(error <= 1e-5)) fail_msg("%s: gradient of %s differs by %.3g", models[i], params.items[p].name, error);
            worst = error > worst ? error : worst;
        }
        print_message("%s: worst gradient %.2g\n", models[i], worst);
        weft_pass_free(pass);
        tear_down(&s);
    }
}

/* bf16 products against the same f32 values: the bf16 column of the tolerances. */
static void test_bf16_products_stay_within_their_tolerance(void **state)
{
    size_t n_models;
    const char *const *models = fixtures(&n_models);
    for (size_t i = 0; i < n_models; i++) {
        struct setup s;
        struct weft_params params = { 0 };
        struct weft_loss loss;
        size_t n;
        set_up(&s, models[i], NULL, false);
        double error = logits_error(&s);
        if (!(error <= 2e-2)) fail_msg("%s: logits differ by %.3g", models[i], error);
        check_ok(weft_model_train_all(s.model, &s.arena, &params, &s.err), &s.err);
        struct weft_pass *pass = new_pass(&s, (struct weft_pass_settings){ .backward = true });
        const int32_t *want_n = fixture_values(&s.expect, "n", &n);
        const double *want_row = fixture_values(&s.expect, "row_loss", &n);
        double sum = 0, got = 0, want2 = 0, dot = 0;
        for (size_t r = 0; r < n; r++) sum += want_row[r];
        check_ok(weft_model_loss_backward(s.model, pass, &s.batch, 1 / (float)want_n[0], 0, 0, &loss, NULL,
                                          NULL, &s.err),
                 &s.err);
        assert_true(fabs(loss.sum - sum) / want_n[0] <= 5e-3);
        for (size_t p = 0; p < params.n; p++) {
            char key[160];
            snprintf(key, sizeof key, "grad.%s", params.items[p].name);
            const float *want = fixture_values(&s.expect, key, &n), *grad = params.items[p].grad;
            for (size_t k = 0; k < n; k++) {
                got += (double)grad[k] * (double)grad[k];
                want2 += (double)want[k] * (double)want[k];
                dot += (double)grad[k] * (double)want[k];
            }
        }
        /* and turn no further than the reference's own in bf16, where the fixture knows how far that is */
        double least = 0.9995;
        if (weft_safetensors_find(&s.expect.file, WEFT_STR("bf16_cosine")))
            least = fmin(least, *(double *)fixture_values(&s.expect, "bf16_cosine", &n));
        print_message("%s: bf16 gradients, cosine %.6f (at least %.6f)\n", models[i], dot / sqrt(got * want2), least);
        if (!(dot / sqrt(got * want2) >= least))
            fail_msg("%s: cosine of the gradients %.6f", models[i], dot / sqrt(got * want2));
        weft_pass_free(pass);
        tear_down(&s);
    }
}

static void test_rotary_frequencies_are_those_of_transformers(void **state)
{
    size_t n_models;
    const char *const *models = fixtures(&n_models);
    for (size_t i = 0; i < n_models; i++) {
        struct setup s;
        size_t n;
        float inv[64];
        set_up(&s, models[i], NULL, true);
        const float *want = fixture_values(&s.expect, "inv_freq", &n);
        assert_int_equal(n, s.model->config.head_dim / 2);
        weft_rope_frequencies(&s.model->config, inv);
        for (size_t j = 0; j < n; j++) assert_true(fabsf(inv[j] - want[j]) <= 2e-7f * fabsf(want[j]));
        tear_down(&s);
    }
}

/* Values of the published models, made once with the reference runtime. */
static void test_rotary_frequencies_of_published_shapes(void **state)
{
    struct weft_config c = { .head_dim = 128, .max_position_embeddings = 131072,
        .rope = { .type = WEFT_ROPE_LLAMA3, .theta = 5e5, .factor = 8, .low_freq_factor = 1, .high_freq_factor = 4,
                  .original_max_position_embeddings = 8192 } };
    static const struct { int j; float want;
    } llama3[] = { { 16, 3.76060307e-2f }, { 28, 3.21144611e-3f }, { 29, 2.16657063e-3f },
                   { 30, 1.37189368e-3f }, { 32, 5.24846022e-4f }, { 34, 1.78507791e-4f },
                   { 35, 9.55621217e-5f }, { 63, 3.06892588e-7f } },
      yarn[] = { { 22, 8.65964312e-3f }, { 24, 5.37532149e-3f }, { 30, 1.06436096e-3f },
                 { 38, 9.26230132e-5f }, { 39, 6.49039430e-5f }, { 63, 3.10234441e-7f } };
    float inv[64];
    assert_true(weft_rope_frequencies(&c, inv) == 1);
    for (size_t i = 0; i < WEFT_COUNT(llama3); i++)
        assert_true(fabsf(inv[llama3[i].j] - llama3[i].want) <= 3e-7f * llama3[i].want);
    c.rope = (struct weft_rope_config){ .type = WEFT_ROPE_YARN, .theta = 1e6, .factor = 4, .beta_fast = 32,
        .beta_slow = 1,
                                        .truncate = true, .original_max_position_embeddings = 32768 };
    assert_true(fabsf(weft_rope_frequencies(&c, inv) - 1.138629436f) < 1e-6f);
    for (size_t i = 0; i < WEFT_COUNT(yarn); i++)
        assert_true(fabsf(inv[yarn[i].j] - yarn[i].want) <= 3e-7f * yarn[i].want);
}

/* transformers' checkpoint, saved and loaded by us, is the same model. */
static void test_a_saved_model_computes_the_same(void **state)
{
    struct setup s;
    struct weft_model *copy, *loaded;
    struct weft_model_settings settings = { .exact = true };
    if (getenv("WEFT_PARITY_MODELS")) skip();
    const char *dir = check_folder();
    set_up(&s, "untied", NULL, true);
    for (int type = WEFT_F32; type <= WEFT_BF16; type++) {
        check_ok(weft_model_save(s.model, dir, (enum weft_dtype)type, false, NULL, &s.err), &s.err);
        check_ok(weft_model_load(&copy, dir, &settings, &s.err), &s.err);
        assert_int_equal(copy->config.dtype, type);
        loaded = s.model;
        s.model = copy;
        double error = logits_error(&s);
        assert_true(error <= (type == WEFT_F32 ? 1e-5 : 1e-2));    /* vectors are rounded in bf16 */
        s.model = loaded;
        weft_model_free(copy);
    }
    check_folder_gone(dir);
    tear_down(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_logits_are_those_of_transformers),
        cmocka_unit_test(test_every_gradient_is_that_of_transformers),
        cmocka_unit_test(test_bf16_products_stay_within_their_tolerance),
        cmocka_unit_test(test_rotary_frequencies_are_those_of_transformers),
        cmocka_unit_test(test_rotary_frequencies_of_published_shapes),
        cmocka_unit_test(test_a_saved_model_computes_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
