/* Freeze training: which tensors train, that they get the gradients of full training, and that nothing is kept below
 * the lowest of them. */
#include "model/pass_setup.h"

static const uint32_t lengths[] = { 1, 7, 19 };

static void set_up(struct setup *s, bool tied)
{
    struct weft_config c = small_config();
    c.n_layers = 4;
    c.tie_word_embeddings = tied;
    c.pad_token_id = 3;
    set_up_model(s, &c, lengths, WEFT_COUNT(lengths));
    for (size_t t = 0; t < s->batch.n_tokens; t += 3) ((int32_t *)(uintptr_t)s->batch.ids)[t] = 3;
}

static void backward(struct setup *s)
{
    struct weft_loss loss;
    struct weft_pass_settings settings = { .max_tokens = s->batch.n_tokens, .backward = true };
    check_ok(weft_pass_new(&s->pass, &s->compute, s->model, &settings, &s->err), &s->err);
    check_ok(weft_model_loss_backward(s->model, s->pass, &s->batch, 1, 0, 0, &loss, NULL, NULL, &s->err), &s->err);
}

static const struct weft_param *find(const struct weft_params *p, const char *name)
{
    for (size_t i = 0; i < p->n; i++)
        if (!strcmp(p->items[i].name, name)) return &p->items[i];
    return NULL;
}

/* The frozen model's parameters have the bits of full training's gradients; `n`: how many there are. */
static void check_some(const struct weft_freeze *f, bool tied, size_t n, const char *a, const char *b)
{
    struct setup full, some;
    set_up(&full, tied);
    set_up(&some, tied);
    check_ok(weft_model_train_all(full.model, &full.arena, &full.params, &full.err), &full.err);
    check_ok(weft_model_train_some(some.model, &some.arena, f, &some.params, &some.err), &some.err);
    assert_int_equal(some.params.n, n);
    assert_non_null(find(&some.params, a));
    assert_non_null(find(&some.params, b));
    backward(&full);
    backward(&some);
    for (size_t i = 0; i < n; i++) {
        const struct weft_param *p = &some.params.items[i], *q = find(&full.params, p->name);
        assert_non_null(q);
        assert_true(p->decay == q->decay && p->embedding == q->embedding);
        assert_memory_equal(p->grad, q->grad, p->rows * p->cols * sizeof(float));
    }
    tear_down(&full);
    tear_down(&some);
}

static void test_layers_and_modules(void **state)
{
    static const char *const all[] = { "all" }, *const attention[] = { "self_attn" }, *const extra[] = { "norm", "lm_head" };
    static const char *const two[] = { "mlp", "input_layernorm" }, *const embed[] = { "embed_tokens" };
    check_some(&(struct weft_freeze){ .layers = 2, .modules = all, .n_modules = 1 }, true, 2 * 12,
               "model.layers.2.self_attn.q_proj.weight", "model.layers.3.post_attention_layernorm.weight");
    check_some(&(struct weft_freeze){ .layers = -1, .modules = attention, .n_modules = 1 }, true, 7,
               "model.layers.0.self_attn.q_proj.bias", "model.layers.0.self_attn.o_proj.weight");
    check_some(
        &(struct weft_freeze){ .layers = 1, .modules = two, .n_modules = 2, .extra = extra, .n_extra = 2 },
        false, 6, "model.norm.weight", "lm_head.weight");
    check_some(
        &(struct weft_freeze){ .layers = 0, .modules = all, .n_modules = 1, .extra = embed, .n_extra = 1 },
        true, 1, "model.embed_tokens.weight", "model.embed_tokens.weight");
    /* the last of each of two groups of two */
    check_some(&(struct weft_freeze){ .layers = 2, .modules = all, .n_modules = 1, .spread = true }, true, 2 * 12,
               "model.layers.1.self_attn.q_proj.weight", "model.layers.3.mlp.up_proj.weight");
    check_some(&(struct weft_freeze){ .layers = INT64_MIN, .modules = all, .n_modules = 1 }, true, 4 * 12,
               "model.layers.0.mlp.up_proj.weight", "model.layers.3.mlp.up_proj.weight");
}

static void test_spread_layers_need_a_divisor(void **state)
{
    static const char *const all[] = { "all" };
    struct setup s;
    set_up(&s, true);
    struct weft_freeze f = { .layers = 3, .modules = all, .n_modules = 1, .spread = true };
    check_fails(weft_model_train_some(s.model, &s.arena, &f, &s.params, &s.err), &s.err, WEFT_EARG, "",
                "freeze_trainable_layers is 3");
    tear_down(&s);
}

static void test_nothing_is_kept_below_the_lowest_trained_layer(void **state)
{
    static const char *const all[] = { "all" };
    size_t bytes[3];
    for (int i = 0; i < 3; i++) {
        struct setup s;
        struct weft_pass_bytes plan;
        struct weft_freeze f = { .layers = 1 + i, .modules = all, .n_modules = 1 };
        set_up(&s, true);
        check_ok(weft_model_train_some(s.model, &s.arena, &f, &s.params, &s.err), &s.err);
        struct weft_pass_settings settings = { .max_tokens = 64, .backward = true };
        check_ok(weft_pass_plan(&s.compute, s.model, &settings, &plan, &s.err), &s.err);
        bytes[i] = plan.activations;
        tear_down(&s);
    }
    assert_true(bytes[1] - bytes[0] == bytes[2] - bytes[1] && bytes[1] - bytes[0] > bytes[0] / 3);
}

/* Q9: the pad row of the token table gets nothing as input; a tied head trains it. */
static void test_q9_the_pad_row_of_the_input_rests(void **state)
{
    static const char *const embed[] = { "embed_tokens" };
    for (int tied = 0; tied < 2; tied++) {
        struct setup s;
        struct weft_freeze f = { .extra = embed, .n_extra = 1 };
        float sum = 0;
        set_up(&s, tied);
        check_ok(weft_model_train_some(s.model, &s.arena, &f, &s.params, &s.err), &s.err);
        backward(&s);
        const struct weft_param *p = &s.params.items[0];
        for (size_t i = 0; i < p->cols; i++) sum += fabsf(p->grad[3 * p->cols + i]);
        assert_true(tied ? sum > 0 : sum == 0);
        tear_down(&s);
    }
}

static void test_unknown_modules_are_named(void **state)
{
    static const char *const wrong[] = { "all", "attention" }, *const head[] = { "lm_head" }, *const layer[] = { "mlp" };
    struct setup s;
    set_up(&s, true);
    check_fails(weft_model_train_some(s.model, &s.arena, &(struct weft_freeze){ 1, wrong, 2, NULL, 0, false },
                                      &s.params, &s.err),
                &s.err, WEFT_EARG, "", "freeze_trainable_modules: layers have no module attention");
    weft_err_clear(&s.err);
    check_fails(weft_model_train_some(s.model, &s.arena, &(struct weft_freeze){ 0, NULL, 0, head, 1, false },
                                      &s.params, &s.err),
                &s.err, WEFT_EARG, "", "name embed_tokens");
    weft_err_clear(&s.err);
    check_fails(weft_model_train_some(s.model, &s.arena, &(struct weft_freeze){ 0, NULL, 0, layer, 1, false },
                                      &s.params, &s.err),
                &s.err, WEFT_EARG, "", "there is no module mlp; there are embed_tokens, norm and lm_head");
    assert_int_equal(s.params.n, 0);
    tear_down(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layers_and_modules),
        cmocka_unit_test(test_spread_layers_need_a_divisor),
        cmocka_unit_test(test_nothing_is_kept_below_the_lowest_trained_layer),
        cmocka_unit_test(test_q9_the_pad_row_of_the_input_rests),
        cmocka_unit_test(test_unknown_modules_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
