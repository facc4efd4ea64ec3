/* Every gradient beside central differences in f64 of the forward pass of tests/model/reference.h: each family, each
 * kind of window and rotation, branches with and without dropout. */
#include "model/pass_setup.h"
#include "model/reference.h"

static const uint32_t lengths[] = { 1, 2, 17, 9 };
enum { ENTRIES = 20 };

static struct weft_config base_config(const char *model_type)
{
    struct weft_config c = small_config();
    c.model_type = model_type;
    c.vocab_size = 41;
    c.hidden_size = 20;
    c.intermediate_size = 27;
    c.n_layers = 3;
    c.n_heads = 4;
    c.n_kv_heads = 2;
    c.head_dim = 6;
    c.initializer_range = 0.25f;
    c.qkv_bias = strcmp(model_type, "qwen2") == 0;
    c.qk_norm = strcmp(model_type, "qwen3") == 0;
    c.tie_word_embeddings = false;
    return c;
}

static void set_up(struct setup *s, const struct weft_config *c)
{
    set_up_model(s, c, lengths, WEFT_COUNT(lengths));
}

static void new_pass(struct setup *s)
{
    struct weft_pass_settings settings = { .max_tokens = s->batch.n_tokens, .backward = true };
    weft_pass_free(s->pass);
    check_ok(weft_pass_new(&s->pass, &s->compute, s->model, &settings, &s->err), &s->err);
}

/* ENTRIES random entries of every parameter: |g - difference| <= 1e-4 |g| + 2e-5 max |g|. */
static void check_differences(struct setup *s, const char *what, bool dropout)
{
    struct ref r = { .model = s->model, .compute = dropout ? &s->compute : NULL, .seed = 11, .micro_step = 3 };
    struct weft_rng rng;
    struct weft_loss loss;
    double worst = 0;
    new_pass(s);
    zero_grads(&s->params);
    check_ok(weft_model_loss_backward(s->model, s->pass, &s->batch, 1, 11, 3, &loss, NULL, NULL, &s->err), &s->err);
    double want = ref_loss(&r, &s->batch);
    if (!(fabs(loss.sum - want) <= 2e-6 * want)) fail_msg("%s: loss %.9g, reference %.9g", what, loss.sum, want);
    weft_rng_init(&rng, 1, WEFT_RNG_TEST, 9);
    for (size_t i = 0; i < s->params.n; i++) {
        const struct weft_param *p = &s->params.items[i];
        size_t n = p->rows * p->cols;
        double most = 0;
        for (size_t k = 0; k < n; k++) most = fmax(most, fabs((double)p->grad[k]));
        for (int e = 0; e < ENTRIES; e++) {
            size_t k = (size_t)weft_rng_below(&rng, n);
            double h = 1e-5 * fmax(1, fabs((double)p->w[k])), side[2], g = (double)p->grad[k];
            r.moved = p->w, r.moved_idx = k;
            for (int n_side = 0; n_side < 2; n_side++) {
                r.moved_by = n_side ? -h : h;
                side[n_side] = ref_loss(&r, &s->batch);
            }
            double difference = (side[0] - side[1]) / (2 * h);
            if (!(fabs(g - difference) <= 1e-4 * fabs(g) + 2e-5 * most))
                fail_msg("%s: %s[%zu]: gradient %.9g, difference %.9g (largest %.3g)", what, p->name, k, g, difference,
                         most);
            worst = fmax(worst, most > 0 ? fabs(g - difference) / most : 0);
        }
    }
    r.moved = NULL;
    weft_arena_clear(&r.arena);
    print_message("%s: %zu tensors, worst entry %.1e of its tensor's largest\n", what, s->params.n, worst);
}

static void check_all_weights(const char *what, const struct weft_config *c)
{
    struct setup s;
    set_up(&s, c);
    check_ok(weft_model_train_all(s.model, &s.arena, &s.params, &s.err), &s.err);
    assert_int_equal(s.params.n_values, weft_config_n_params(c));
    roughen(&s.params, 1);
    check_differences(&s, what, false);
    tear_down(&s);
}

static void test_qwen2(void **state)
{
    struct weft_config c = base_config("qwen2");
    check_all_weights("qwen2", &c);
    c.tie_word_embeddings = true;
    check_all_weights("qwen2, tied", &c);
    c.rope.type = WEFT_ROPE_YARN;
    c.rope.factor = 4;
    c.rope.original_max_position_embeddings = 8;
    check_all_weights("qwen2, yarn", &c);
}

static void test_qwen3(void **state)
{
    struct weft_config c = base_config("qwen3");
    check_all_weights("qwen3", &c);
    c.sliding_window = 5;
    c.slides[0] = 1 | 4;            /* layers 0 and 2 */
    check_all_weights("qwen3, two window layers", &c);
}

static void test_llama(void **state)
{
    struct weft_config c = base_config("llama");
    c.rope = (struct weft_rope_config){ .type = WEFT_ROPE_LLAMA3, .theta = 100, .factor = 8, .low_freq_factor = 1,
                                        .high_freq_factor = 4, .original_max_position_embeddings = 64 };
    check_all_weights("llama, llama3 rotation", &c);
    c.rope.type = WEFT_ROPE_LINEAR;
    c.qkv_bias = c.o_bias = c.mlp_bias = true;
    check_all_weights("llama, linear rotation, biases", &c);
}

static void test_mistral(void **state)
{
    struct weft_config c = base_config("mistral");
    c.n_kv_heads = 1;
    c.sliding_window = 4;
    weft_config_slide_from(&c, 0);
    check_all_weights("mistral", &c);
}

/* Branches on every linear layer, all values away from where they start. */
static void add_branches(struct setup *s, size_t rank, float dropout)
{
    struct weft_model *m = s->model;
    struct weft_rng rng;
    weft_rng_init(&rng, 3, WEFT_RNG_TEST, 2);
    for (size_t i = 0; i < weft_model_n_linears(m); i++) {
        struct weft_linear *l = weft_model_linear(m, i);
        struct weft_branch *b = WEFT_NEW(&s->arena, struct weft_branch);
        size_t n_a = rank * l->n_in, n_b = rank * l->n_out;
        assert_non_null(b);
        *b = (struct weft_branch){
            .rank = rank, .scale = 2, .dropout = dropout, .enabled = true, .module_id = (uint32_t)i,
            .a = WEFT_NEWS(&s->arena, float, n_a), .da = WEFT_NEWS(&s->arena, float, n_a),
            .b = WEFT_NEWS(&s->arena, float, n_b), .db = WEFT_NEWS(&s->arena, float, n_b),
        };
        assert_true(b->a && b->da && b->b && b->db);
        for (size_t k = 0; k < n_a; k++) b->a[k] = 0.3f * weft_rng_normal(&rng);
        for (size_t k = 0; k < n_b; k++) b->b[k] = 0.1f * weft_rng_normal(&rng);
        struct weft_param pa = { .name = l->name, .rows = rank, .cols = l->n_in, .w = b->a, .grad = b->da };
        struct weft_param pb = { .name = l->name, .rows = l->n_out, .cols = rank, .w = b->b, .grad = b->db };
        check_ok(weft_params_add(&s->params, &s->arena, &pa, &s->err), &s->err);
        check_ok(weft_params_add(&s->params, &s->arena, &pb, &s->err), &s->err);
        l->branch = b;
    }
}

static void test_branches(void **state)
{
    for (int dropout = 0; dropout < 2; dropout++) {
        struct weft_config c = base_config(dropout ? "qwen3" : "qwen2");
        struct setup s;
        set_up(&s, &c);
        add_branches(&s, 3, dropout ? 0.25f : 0);
        check_differences(&s, dropout ? "branches, dropout" : "branches", dropout);
        tear_down(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_qwen2),   cmocka_unit_test(test_qwen3),    cmocka_unit_test(test_llama),
        cmocka_unit_test(test_mistral), cmocka_unit_test(test_branches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
