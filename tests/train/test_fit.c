/* Which settings are chosen for which limit, and that they leave the result as it is. */
#include "train/fit.h"
#include "train/runs.h"

#include <math.h>

/* A model of some MiB in its file, and rows long enough that batches matter; `mapped`: bf16 in a file, with
 * branches. */
static void large_run(struct run *r, const char *dir, const char *recipe, bool mapped)
{
    struct weft_config c = run_config();
    run_set_up(r, dir, 2, recipe);
    weft_model_free(r->model);
    r->model = NULL;
    memset(&r->params, 0, sizeof r->params);
    c.vocab_size = 2000, c.hidden_size = 256, c.intermediate_size = 704, c.n_layers = 6, c.head_dim = 64;
    c.max_position_embeddings = 1024;
    if (mapped) {
        const char *base = check_path(dir, "base");
        struct weft_model *drawn = NULL;
        check_ok(weft_model_drawn(&drawn, &c, 1, &r->err), &r->err);
        check_ok(weft_dir_make(base, &r->err), &r->err);
        check_ok(weft_model_save(drawn, base, WEFT_BF16, false, NULL, &r->err), &r->err);
        check_ok(weft_model_load(&r->model, base, NULL, &r->err), &r->err);
        weft_model_free(drawn);
        run_add_branches(r);
    } else {
        check_ok(weft_model_random(&r->model, &c, 1, NULL, &r->err), &r->err);
        check_ok(weft_model_train_layerwise(r->model, &r->arena, &r->params, &r->err), &r->err);
    }
    r->train.total_tokens = 0;
    for (size_t k = 0; k < r->train.n; k++) {
        struct weft_example *e = &r->train.items[k];
        e->n = 200, e->n_labels = 200;
        e->ids = WEFT_NEWS(&r->arena, int32_t, e->n);
        e->labels = e->ids;
        for (uint32_t t = 0; t < e->n; t++) e->ids[t] = (int32_t)((t * 7 + k) % 2000);
        r->train.total_tokens += e->n;
    }
    r->job.model = r->model;
}

static void limit(struct run *r, size_t bytes)
{
    r->recipe.mem = weft_str_printf(&r->arena, "%zu", bytes).s;
    assert_non_null(r->recipe.mem);
}

static const char asked[] = "per_device_train_batch_size: 8\ngradient_accumulation_steps: 3\n";

/* Less memory never makes a faster run; what is chosen fits and keeps the rows of an update; below the smallest plan
 * that plan is named. */
static void test_less_memory_never_chooses_what_is_faster(void **state)
{
    static const bool kinds[] = { true, false };
    for (size_t k = 0; k < WEFT_COUNT(kinds); k++) {
        struct run r;
        struct weft_fit_limits limits = { 0 };
        struct weft_fit fit;
        char dir[64];
        snprintf(dir, sizeof dir, "%s", check_folder());
        large_run(&r, dir, kinds[k] ? "per_device_train_batch_size: 8\nfinetuning_type: lora\n" : asked, kinds[k]);
        limit(&r, (size_t)8 << 30);
        check_ok(weft_fit_choose(&r.job, &limits, &fit, &r.err), &r.err);
        assert_true(fit.chosen.batch == 8 && fit.chosen.accumulation == 3 && !fit.chosen.checkpointing);
        assert_int_equal(fit.faster.bytes, 0);
        size_t most = fit.asked.bytes, least = most, changes = 0;
        double cost = fit.chosen.cost;
        enum weft_status st = WEFT_OK;
        for (size_t bytes = most - 1; !st && bytes > most / 50; bytes -= most / 50) {
            limit(&r, bytes);
            weft_err_clear(&r.err);
            st = weft_fit_choose(&r.job, &limits, &fit, &r.err);
            if (st) break;
            assert_true(fit.chosen.bytes <= bytes && fit.chosen.cost >= cost && fit.faster.bytes > 0);
            assert_int_equal(fit.chosen.batch * fit.chosen.accumulation, 24);
            changes += fit.chosen.cost > cost;
            cost = fit.chosen.cost;
            least = fit.chosen.bytes;
        }
        assert_true(changes >= 3 && least < most);
        check_fails(st, &r.err, WEFT_ELIMIT, "E6",
                    "per_device_train_batch_size: 1, gradient_accumulation_steps: 24, gradient_checkpointing: true) needs");
        check_contains(r.err.msg, kinds[k] ? "fit: precision; a smaller cutoff_len" : "finetuning_type: lora");
        check_folder_gone(dir);
        run_tear_down(&r);
    }
}

/* The base keeps its bits for as long as anything else helps, and gives up as few as need be. */
static void test_the_base_is_quantised_only_where_nothing_else_fits(void **state)
{
    if (!check_memory_is_measured()) skip();
    struct run r;
    struct weft_fit_limits plain = { 0 }, precision = { .precision = true };
    struct weft_fit fit;
    char dir[64];
    int base = WEFT_FIT_AS_IT_IS, seen[WEFT_FIT_BASES] = { 0 };
    snprintf(dir, sizeof dir, "%s", check_folder());
    large_run(&r, dir, "per_device_train_batch_size: 8\nfinetuning_type: lora\n", true);
    check_ok(weft_fit_choose(&r.job, &plain, &fit, &r.err), &r.err);
    for (size_t bytes = fit.asked.bytes;; bytes -= (size_t)256 << 10) {
        enum weft_status with, without;
        limit(&r, bytes);
        weft_err_clear(&r.err);
        without = weft_fit_choose(&r.job, &plain, &fit, &r.err);
        weft_err_clear(&r.err);
        with = weft_fit_choose(&r.job, &precision, &fit, &r.err);
        if (with) break;
        assert_true(fit.chosen.base >= base && (without != WEFT_OK) == (fit.chosen.base != WEFT_FIT_AS_IT_IS));
        base = fit.chosen.base;
        seen[base]++;
    }
    assert_true(seen[WEFT_FIT_AS_IT_IS] && seen[WEFT_FIT_INT8] && seen[WEFT_FIT_NF4]);
    check_contains(r.err.msg, "quantization_type: nf4) needs");
    /* a run on disk goes on as it is */
    limit(&r, fit.available_bytes);
    check_refuses(weft_fit_choose(&r.job, &(struct weft_fit_limits){ .precision = true, .begun = true }, &fit, &r.err),
                  &r.err, WEFT_ELIMIT, "E6", "this run has begun");
    check_folder_gone(dir);
    run_tear_down(&r);
}

/* Where more than rounding hangs on micro-batches, they stay. */
static void test_micro_batches_stay_where_results_hang_on_them(void **state)
{
    if (!check_memory_is_measured()) skip();
    static const struct {
        const char *recipe;
        size_t rows;
        bool stays;
    } cases[] = {
        { "finetuning_type: lora\n", 40, false },
        { "finetuning_type: lora\nlora_dropout: 0.1\n", 40, true },
        { "finetuning_type: lora\nneftune_noise_alpha: 5\n", 40, true },
        { "finetuning_type: lora\nstage: kto\n", 40, true },
        { "finetuning_type: lora\nstage: dpo\n", 40, false },
        { "finetuning_type: lora\nstage: dpo\n", 39, true },
        { "use_galore: true\ngalore_layerwise: true\ncompat: clean\n", 40, true },
    };
    for (size_t i = 0; i < WEFT_COUNT(cases); i++) {
        struct run r;
        struct weft_fit fit;
        char dir[64], yaml[256];
        snprintf(dir, sizeof dir, "%s", check_folder());
        snprintf(yaml, sizeof yaml, "per_device_train_batch_size: 2\n%smem: 1\n", cases[i].recipe);
        run_set_up(&r, dir, 1, yaml);
        r.train = run_rows(&r.arena, 80, 1);
        r.train.n = cases[i].rows;
        r.train.two = r.recipe.stage == WEFT_RECIPE_DPO || r.recipe.stage == WEFT_RECIPE_KTO;
        check_fails(weft_fit_choose(&r.job, &(struct weft_fit_limits){ 0 }, &fit, &r.err), &r.err, WEFT_ELIMIT, "E6",
                    cases[i].stays ? "per_device_train_batch_size: 2, gradient_accumulation_steps: 3, "
                                     "gradient_checkpointing: true"
                                   : "per_device_train_batch_size: 1, gradient_accumulation_steps: 6, "
                                     "gradient_checkpointing: true");
        check_folder_gone(dir);
        run_tear_down(&r);
    }
}

static double distance(const struct weft_params *a, const struct weft_params *b)
{
    double d = 0, all = 0;
    assert_int_equal(a->n, b->n);
    for (size_t i = 0; i < a->n; i++)
        for (size_t k = 0; k < a->items[i].rows * a->items[i].cols; k++) {
            double x = (double)a->items[i].w[k], y = (double)b->items[i].w[k];
            d += (x - y) * (x - y), all += x * x;
        }
    return sqrt(d / all);
}

/* 12 rows an update, cut as fit may cut them: nothing but the order of sums differs, and checkpointing nothing. */
static void test_rows_of_an_update_are_cut_without_another_result(void **state)
{
    static const struct weft_fit_plan plans[] = { { .batch = 4, .accumulation = 3 },
                                                  { .batch = 4, .accumulation = 3, .checkpointing = true },
                                                  { .batch = 12, .accumulation = 1 },
                                                  { .batch = 2, .accumulation = 6 },
                                                  { .batch = 1, .accumulation = 12, .checkpointing = true } };
    static const char *const recipes[] = { "bf16: false\n", "bf16: false\nfinetuning_type: lora\n" };
    for (size_t m = 0; m < WEFT_COUNT(recipes); m++) {
        struct run first;
        char dir[64], other[64];
        snprintf(dir, sizeof dir, "%s", check_folder());
        run_set_up_as(&first, dir, 1, recipes[m], true);
        weft_fit_apply(&plans[0], &first.recipe);
        check_ok(run_go(&first), &first.err);
        for (size_t i = 1; i < WEFT_COUNT(plans); i++) {
            struct run r;
            snprintf(other, sizeof other, "%s", check_folder());
            run_set_up_as(&r, other, 1, recipes[m], true);
            weft_fit_apply(&plans[i], &r.recipe);
            check_ok(run_go(&r), &r.err);
            assert_int_equal(r.result.steps, first.result.steps);
            double d = distance(&first.params, &r.params);
            if (plans[i].batch == plans[0].batch) assert_true(d == 0);
            else check_near(d, 0, 2e-5);
            check_near(r.result.last_loss, first.result.last_loss, 1e-5);
            check_folder_gone(other);
            run_tear_down(&r);
        }
        check_folder_gone(dir);
        run_tear_down(&first);
    }
}

/* Layers that share the room for their gradients train in one micro-batch, too, as if each had its own. */
static void test_shared_room_for_gradients_needs_no_accumulation(void **state)
{
    struct run own, shared;
    char dir[64], other[64];
    snprintf(dir, sizeof dir, "%s", check_folder());
    snprintf(other, sizeof other, "%s", check_folder());
    run_set_up(&own, dir, 1, "gradient_accumulation_steps: 1\n");
    run_set_up_as(&shared, other, 1, "gradient_accumulation_steps: 1\n", true);
    assert_true(shared.params.grad_bytes < own.params.grad_bytes);
    check_ok(run_go(&own), &own.err);
    check_ok(run_go(&shared), &shared.err);
    assert_true(distance(&own.params, &shared.params) == 0);
    check_folder_gone(dir);
    check_folder_gone(other);
    run_tear_down(&own);
    run_tear_down(&shared);
}

static void test_a_run_goes_on_with_what_it_began_with(void **state)
{
    struct run r;
    char dir[64];
    snprintf(dir, sizeof dir, "%s", check_folder());
    run_set_up(&r, dir, 1, "finetuning_type: lora\nper_device_train_batch_size: 8\nsave_steps: 2\nmax_steps: 2\n");
    assert_false(weft_fit_begun(dir, &r.recipe));
    struct weft_recipe chosen = r.recipe, asked_again = r.recipe, other = r.recipe, full = r.recipe;
    weft_fit_apply(
        &(struct weft_fit_plan){
            .batch = 2, .accumulation = 12, .checkpointing = true, .base = WEFT_FIT_NF4 },
        &chosen);
    check_ok(weft_fit_save(dir, &chosen, &r.err), &r.err);
    check_ok(weft_fit_resume(dir, &r.arena, &asked_again, &r.err), &r.err);
    assert_true(asked_again.per_device_train_batch_size == 2 && asked_again.gradient_accumulation_steps == 12);
    assert_true(asked_again.gradient_checkpointing && asked_again.quantization_bit == 4);
    assert_string_equal(asked_again.quantization, "nf4");
    other.gradient_accumulation_steps = 5;          /* other rows an update: another run */
    check_ok(weft_fit_resume(dir, &r.arena, &other, &r.err), &r.err);
    assert_true(other.per_device_train_batch_size == 8 && !other.quantization);
    /* a checkpoint makes a run that goes on, unless it is to begin anew */
    check_ok(run_go(&r), &r.err);
    assert_true(weft_fit_begun(dir, &r.recipe));
    r.recipe.overwrite_output_dir = true;
    assert_false(weft_fit_begun(dir, &r.recipe));
    check_ok(weft_fit_forget(dir, &r.err), &r.err);
    check_ok(weft_fit_forget(dir, &r.err), &r.err);
    check_ok(weft_fit_resume(dir, &r.arena, &full, &r.err), &r.err);
    assert_int_equal(full.per_device_train_batch_size, 8);
    check_ok(weft_file_write(check_path(dir, "fit.yaml"), WEFT_STR("per_device_train_batch_size: x\n"), &r.err), &r.err);
    check_fails(weft_fit_resume(dir, &r.arena, &full, &r.err), &r.err, WEFT_EINPUT, NULL, "fit.yaml:1");
    check_folder_gone(dir);
    run_tear_down(&r);
}

static void test_mem_alone_fits_unless_told_otherwise(void **state)
{
    struct weft_recipe r = { .fit = WEFT_FIT_AUTO };
    assert_false(weft_fit_wanted(&r));
    r.mem = "8G";
    assert_true(weft_fit_wanted(&r));
    r.fit = WEFT_FIT_OFF;
    assert_false(weft_fit_wanted(&r));
    r = (struct weft_recipe){ .fit = WEFT_FIT_PRECISION };
    assert_true(weft_fit_wanted(&r));
}

int main(void)
{
    /* What a process has held once bounds its plans from below: those that plan come first, the smallest before. */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_base_is_quantised_only_where_nothing_else_fits),
        cmocka_unit_test(test_less_memory_never_chooses_what_is_faster),
        cmocka_unit_test(test_micro_batches_stay_where_results_hang_on_them),
        cmocka_unit_test(test_rows_of_an_update_are_cut_without_another_result),
        cmocka_unit_test(test_shared_room_for_gradients_needs_no_accumulation),
        cmocka_unit_test(test_a_run_goes_on_with_what_it_began_with),
        cmocka_unit_test(test_mem_alone_fits_unless_told_otherwise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
