/* A sequence that grows token by token computes what one pass over all of it computes. */
#include "model/kv.h"
#include "model/models.h"

struct setup {
    struct weft_arena arena;
    struct weft_pool *pool;
    struct weft_compute compute;
    struct weft_model *model;
    struct fixture expect;
    struct weft_err err;
};

static void set_up_at(struct setup *s, const char *name, bool exact, const char *isa)
{
    char path[128];
    struct weft_model_settings settings = { .exact = exact, .max_positions = 64 };
    *s = (struct setup){ 0 };
    check_ok(weft_pool_new(&s->pool, 2, &s->err), &s->err);
    check_ok(weft_compute_init(&s->compute, isa, s->pool, &s->err), &s->err);
    snprintf(path, sizeof path, "tests/model/data/%s", name);
    check_ok(weft_model_load(&s->model, check_source(&s->arena, path), &settings, &s->err), &s->err);
    snprintf(path, sizeof path, "tests/model/data/%s/expect.safetensors", name);
    fixture_open(&s->expect, path);
}

static void set_up(struct setup *s, const char *name) { set_up_at(s, name, true, NULL); }

static void tear_down(struct setup *s)
{
    fixture_close(&s->expect);
    weft_model_free(s->model);
    weft_compute_clear(&s->compute);
    weft_pool_free(s->pool);
    weft_arena_clear(&s->arena);
}

static const char *const names[] = { "tq2", "untied", "pad", "qwen3", "llama", "mistral", "yarn", "windows", "linear" };

static int32_t best_of(const float *logits, size_t n)
{
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        if (logits[i] > logits[best]) best = i;
    return (int32_t)best;
}

/* Logits after the last of ids, by one pass over all. */
static void full_logits(struct setup *s, const int32_t *ids, size_t n, float *logits)
{
    struct weft_pass *pass;
    struct weft_pass_settings settings = { .max_tokens = n };
    int32_t cu[2] = { 0, (int32_t)n }, row = (int32_t)n - 1;
    int32_t *pos = WEFT_NEWS(&s->arena, int32_t, n);
    for (size_t i = 0; i < n; i++) pos[i] = (int32_t)i;
    struct weft_batch b = { .ids = ids, .pos = pos, .cu = cu, .n_tokens = n, .n_seqs = 1 };
    check_ok(weft_pass_new(&pass, &s->compute, s->model, &settings, &s->err), &s->err);
    check_ok(weft_model_logits(s->model, pass, &b, &row, 1, logits, &s->err), &s->err);
    weft_pass_free(pass);
}

static void test_greedy_answers_are_those_of_transformers(void **state)
{
    for (size_t i = 0; i < WEFT_COUNT(names); i++)
        for (size_t block = 1; block <= 256; block *= 4) {
            struct setup s;
            struct weft_kv *kv;
            size_t n_prompt, n_want;
            set_up(&s, names[i]);
            const int32_t *prompt = fixture_values(&s.expect, "prompt", &n_prompt),
                          *want = fixture_values(&s.expect, "greedy", &n_want);
            float *logits = WEFT_NEWS(&s.arena, float, s.model->config.vocab_size);
            check_ok(weft_kv_new(&kv, &s.compute, s.model, n_prompt + n_want, block, &s.err), &s.err);
            check_ok(weft_kv_append(kv, prompt, n_prompt, logits, &s.err), &s.err);
            for (size_t k = 0; k < n_want; k++) {
                int32_t id = best_of(logits, s.model->config.vocab_size);
                if (id != want[k])
                    fail_msg("%s, block %zu: token %zu is %d, expected %d", names[i], block, k, id, want[k]);
                check_ok(weft_kv_append(kv, &id, 1, logits, &s.err), &s.err);
            }
            weft_kv_free(kv);
            tear_down(&s);
        }
}

/* At every length, across the blocks of the prompt and beyond the model's own table of positions. */
static void test_every_step_is_the_full_pass(void **state)
{
    for (size_t i = 0; i < WEFT_COUNT(names); i++) {
        struct setup s;
        struct weft_kv *kv;
        size_t n_ids, V, at = 0;
        set_up(&s, names[i]);
        V = s.model->config.vocab_size;
        const int32_t *ids = fixture_values(&s.expect, "ids", &n_ids);
        float *got = WEFT_NEWS(&s.arena, float, V), *want = WEFT_NEWS(&s.arena, float, V);
        check_ok(weft_kv_new(&kv, &s.compute, s.model, 100, 7, &s.err), &s.err);
        n_ids = weft_min_size(n_ids, 91);
        for (size_t n = 1; at < n_ids; n = n % 13 + 3) {
            n = weft_min_size(n, n_ids - at);
            check_ok(weft_kv_append(kv, ids + at, n, got, &s.err), &s.err);
            at += n;
            assert_int_equal(weft_kv_len(kv), at);
            full_logits(&s, ids, at, want);
            if (!(rel_l2(got, want, V) <= 1e-5))
                fail_msg("%s: after %zu tokens off by %.3g", names[i], at, rel_l2(got, want, V));
        }
        /* going back and taking another way */
        weft_kv_truncate(kv, 20);
        int32_t other[21];
        memcpy(other, ids, 20 * sizeof *ids);
        other[20] = 1;
        check_ok(weft_kv_append(kv, other + 20, 1, got, &s.err), &s.err);
        full_logits(&s, other, 21, want);
        assert_true(rel_l2(got, want, V) <= 1e-5);
        assert_memory_equal(weft_kv_ids(kv), other, sizeof other);
        weft_kv_free(kv);
        tear_down(&s);
    }
}

static void test_a_full_context_and_foreign_ids_are_refused(void **state)
{
    struct setup s;
    struct weft_kv *kv;
    const int32_t ids[] = { 1, 2, 3, 4, 5 }, wrong[] = { 1, 333 };
    set_up(&s, "tq2");
    check_ok(weft_kv_new(&kv, &s.compute, s.model, 8, 0, &s.err), &s.err);
    check_ok(weft_kv_append(kv, ids, 5, NULL, &s.err), &s.err);
    check_fails(weft_kv_append(kv, ids, 4, NULL, &s.err), &s.err, WEFT_ELIMIT, "", "4 tokens after 5");
    weft_err_clear(&s.err);
    check_fails(weft_kv_append(kv, wrong, 2, NULL, &s.err), &s.err, WEFT_EINPUT, "B6", "token 6 has id 333");
    assert_int_equal(weft_kv_len(kv), 5);
    weft_kv_free(kv);
    tear_down(&s);
}

static void test_a_context_of_another_adapter_is_not_continued(void **state)
{
    struct setup s;
    struct weft_kv *kv;
    const int32_t ids[] = { 1, 2, 3 };
    set_up(&s, "tq2");
    struct weft_linear *l = &s.model->layers[0].q;
    struct weft_branch b = { .rank = 2, .scale = 1, .enabled = true };
    b.a = WEFT_NEWS(&s.arena, float, 2 * l->n_in);
    b.b = WEFT_NEWS(&s.arena, float, 2 * l->n_out);
    check_ok(weft_kv_new(&kv, &s.compute, s.model, 8, 0, &s.err), &s.err);
    check_ok(weft_kv_append(kv, ids, 3, NULL, &s.err), &s.err);
    l->branch = &b;
    assert_true(weft_kv_stale(kv));
    check_fails(weft_kv_append(kv, ids, 1, NULL, &s.err), &s.err, WEFT_EARG, "", "anew");
    weft_err_clear(&s.err);
    weft_kv_truncate(kv, 0);
    check_ok(weft_kv_append(kv, ids, 1, NULL, &s.err), &s.err);
    b.enabled = false;
    assert_true(weft_kv_stale(kv));
    weft_kv_free(kv);
    tear_down(&s);
}

/* Prompts of changing length, each continued from what may be reused of it and each also read anew; answers in between
 * are appended one by one.  `ids` [n_ids] are tokens of the model. */
static void ask_in_turn(struct setup *s, const int32_t *ids, size_t n_ids, size_t rounds)
{
    enum { CAP = 240, BLOCK = 100 };
    static const size_t lengths[] = { 5, 16, 41, 47, 48, 49, 90, 96, 100, 101, 147, 149, 200, 230 };
    struct weft_kv *kv, *fresh;
    size_t V = s->model->config.vocab_size, reused = 0, steps = 0;
    float *got = WEFT_NEWS(&s->arena, float, V), *want = WEFT_NEWS(&s->arena, float, V);
    check_ok(weft_kv_new(&kv, &s->compute, s->model, CAP, BLOCK, &s->err), &s->err);
    check_ok(weft_kv_new(&fresh, &s->compute, s->model, CAP, BLOCK, &s->err), &s->err);
    for (size_t k = 0; k < rounds; k++) {
        size_t n = lengths[k * 5 % WEFT_COUNT(lengths)], same;
        int32_t prompt[CAP];
        for (size_t i = 0; i < CAP; i++) prompt[i] = ids[i % n_ids];
        if (k % 3 == 2) prompt[(k * 37 + 60) % n] = ids[(k + 1) % n_ids];     /* it parts from what is held */
        same = weft_kv_reusable(kv, prompt, n);
        assert_true(same <= weft_kv_in_blocks(kv) && weft_kv_in_blocks(kv) <= weft_kv_len(kv));
        weft_kv_truncate(kv, same);
        check_ok(weft_kv_append(kv, prompt + same, n - same, got, &s->err), &s->err);
        weft_kv_truncate(fresh, 0);
        check_ok(weft_kv_append(fresh, prompt, n, want, &s->err), &s->err);
        assert_memory_equal(got, want, V * sizeof *got);
        reused += same;
        if (n >= WEFT_KV_FEW) assert_int_equal(weft_kv_in_blocks(kv), n);
        for (size_t at = n; at < n + k % 9; at++)
            check_ok(weft_kv_append(kv, &ids[at % n_ids], 1, got, &s->err), &s->err);
        steps += weft_kv_len(kv) - weft_kv_in_blocks(kv);
    }
    assert_true(reused > 4 * rounds && steps > rounds / 2);
    weft_kv_free(kv);
    weft_kv_free(fresh);
}

/* Where a prompt is continued from what may be reused of it, its logits are those of the prompt alone, in every bit:
 * whatever was read or generated before, and in which pieces. */
static void test_what_came_before_does_not_colour_a_prompt(void **state)
{
    for (int isa = 0; isa < WEFT_N_ISA; isa++)
        for (size_t i = 0; i < WEFT_COUNT(names) && weft_isa_supported() >> isa & 1; i++)
            for (int exact = 0; exact < 2; exact++) {
                struct setup s;
                size_t n_ids;
                set_up_at(&s, names[i], exact, weft_isa_name((enum weft_isa)isa));
                const int32_t *ids = fixture_values(&s.expect, "ids", &n_ids);
                ask_in_turn(&s, ids, n_ids, isa == WEFT_ISA_REF ? 14 : 42);
                tear_down(&s);
            }
}

/* The same with weights in bf16, which are multiplied where they lie. */
static void test_nor_with_bf16_weights(void **state)
{
    struct setup s = { 0 };
    struct weft_model_settings settings = { 0 };
    int32_t ids[230];
    check_ok(weft_pool_new(&s.pool, 2, &s.err), &s.err);
    check_ok(weft_compute_init(&s.compute, NULL, s.pool, &s.err), &s.err);
    check_ok(weft_model_load(&s.model, check_source(&s.arena, "models/tiny"), &settings, &s.err), &s.err);
    for (size_t i = 0; i < WEFT_COUNT(ids); i++) ids[i] = (int32_t)(i * 7919 % s.model->config.vocab_size);
    ask_in_turn(&s, ids, WEFT_COUNT(ids), 42);
    weft_model_free(s.model);
    weft_compute_clear(&s.compute);
    weft_pool_free(s.pool);
    weft_arena_clear(&s.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_greedy_answers_are_those_of_transformers),
        cmocka_unit_test(test_every_step_is_the_full_pass),
        cmocka_unit_test(test_a_full_context_and_foreign_ids_are_refused),
        cmocka_unit_test(test_what_came_before_does_not_colour_a_prompt),
        cmocka_unit_test(test_nor_with_bf16_weights),
        cmocka_unit_test(test_a_context_of_another_adapter_is_not_continued),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
