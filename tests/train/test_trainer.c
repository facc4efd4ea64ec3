/* The loop on a small model: what it learns, what must not change a bit of it, and what it does with bad input. */
#include "train/order.h"
#include "train/runs.h"

/* The folder of this test; check_folder has one name for the whole program. */
struct folder {
    char name[64];
};
static struct folder new_folder(void)
{
    struct folder f;
    snprintf(f.name, sizeof f.name, "%s", check_folder());
    return f;
}

static void test_loss_falls(void **state)
{
    static const struct {
        const char *yaml;
        double most;            /* of the loss of guessing */
    } recipes[] = {
        { "num_train_epochs: 20\nlearning_rate: 1e-2\n", 0.1 },
        { "num_train_epochs: 20\noptim: muon\nlearning_rate: 1e-2\nadam_beta2: 0.95\n", 0.1 },
        { "num_train_epochs: 30\nfinetuning_type: lora\nlearning_rate: 3e-2\n", 0.75 },
    };
    for (size_t i = 0; i < WEFT_COUNT(recipes); i++) {
        struct run r;
        struct folder f = new_folder();
        run_set_up(&r, f.name, 2, recipes[i].yaml);
        check_ok(run_go(&r), &r.err);
        assert_true(r.result.last_loss < recipes[i].most * log(RUN_VOCAB));
        assert_int_equal(r.result.steps, r.result.total_steps);
        check_folder_gone(f.name);
        run_tear_down(&r);
    }
}

static void test_threads_do_not_change_a_bit(void **state)
{
    static const char *const recipes[] = { "optim: muon\n", "finetuning_type: lora\n" };
    for (size_t i = 0; i < WEFT_COUNT(recipes); i++) {
        struct run runs[3];
        struct weft_str params[3], logs[3];
        static const int threads[] = { 1, 2, 5 };
        for (size_t k = 0; k < 3; k++) {
            struct folder f = new_folder();
            run_set_up(&runs[k], f.name, threads[k], recipes[i]);
            check_ok(run_go(&runs[k]), &runs[k].err);
            params[k] = run_file(&runs[k], f.name, "checkpoint-14/params.safetensors");
            logs[k] = run_log(&runs[k], f.name);
            check_folder_gone(f.name);
            check_same_bytes(params[k], params[0]);
            check_same_bytes(logs[k], logs[0]);
        }
        for (size_t k = 0; k < 3; k++) run_tear_down(&runs[k]);
    }
}

static void test_checkpointing_does_not_change_a_bit(void **state)
{
    struct run runs[2];
    struct weft_str params[2];
    for (size_t k = 0; k < 2; k++) {
        struct folder f = new_folder();
        run_set_up(&runs[k], f.name, 2, k ? "gradient_checkpointing: true\n" : "");
        check_ok(run_go(&runs[k]), &runs[k].err);
        params[k] = run_file(&runs[k], f.name, "checkpoint-14/params.safetensors");
        check_folder_gone(f.name);
    }
    check_same_bytes(params[1], params[0]);
    run_tear_down(&runs[0]), run_tear_down(&runs[1]);
}

/* Three micro-batches of two rows are one of six: the loss is normalised over the whole update, the last partial group
 * by its own size. */
static void test_accumulation_equals_the_big_batch(void **state)
{
    struct run runs[2];
    for (size_t k = 0; k < 2; k++) {
        struct folder f = new_folder();
        run_set_up(&runs[k], f.name, 2,
                   k ? "per_device_train_batch_size: 6\ngradient_accumulation_steps: 1\nbf16: false\n"
                     : "bf16: false\n");
        check_ok(run_go(&runs[k]), &runs[k].err);
        check_folder_gone(f.name);
    }
    assert_int_equal(runs[0].result.steps, 14);
    assert_int_equal(runs[1].result.steps, 14);
    check_near(runs[1].result.last_loss, runs[0].result.last_loss, 1e-5);
    check_near(runs[1].result.train_loss, runs[0].result.train_loss, 1e-5);
    run_tear_down(&runs[0]), run_tear_down(&runs[1]);
}

/* Where layers share the room for their gradients, each is added up on its own: the same sums. */
static void test_gradients_of_a_layer_at_a_time_add_up_to_the_same(void **state)
{
    static const char *const recipes[] = { "", "optim: muon\n", "compat: clean\nuse_galore: true\ngalore_rank: 4\n" };
    for (size_t i = 0; i < WEFT_COUNT(recipes); i++) {
        struct run runs[2];
        struct weft_str params[2], logs[2];
        for (size_t k = 0; k < 2; k++) {
            struct folder f = new_folder();
            run_set_up_as(&runs[k], f.name, 2, recipes[i], k == 1);
            check_ok(run_go(&runs[k]), &runs[k].err);
            params[k] = run_file(&runs[k], f.name, "checkpoint-14/params.safetensors");
            logs[k] = run_log(&runs[k], f.name);
            check_folder_gone(f.name);
        }
        assert_true(runs[1].params.grad_bytes < runs[0].params.grad_bytes);
        check_same_bytes(params[1], params[0]);
        check_same_bytes(logs[1], logs[0]);
        run_tear_down(&runs[0]), run_tear_down(&runs[1]);
    }
}

static void test_rate_zero_moves_nothing(void **state)
{
    struct run r, still;
    struct folder f = new_folder();
    run_set_up(&still, f.name, 1, "");
    run_set_up(&r, f.name, 2, "learning_rate: 0\nweight_decay: 0.1\n");
    check_ok(run_go(&r), &r.err);
    for (size_t i = 0; i < r.params.n; i++)
        assert_memory_equal(r.params.items[i].w, still.params.items[i].w,
                            r.params.items[i].rows * r.params.items[i].cols * sizeof(float));
    check_folder_gone(f.name);
    run_tear_down(&r), run_tear_down(&still);
}

static void test_log_has_the_keys_other_tools_read(void **state)
{
    struct run r;
    struct folder f = new_folder();
    struct weft_json_value line;
    struct weft_str text;
    run_set_up(&r, f.name, 2, "logging_steps: 4\neval_steps: 7\n");
    r.job.valid = &r.valid;
    check_ok(run_go(&r), &r.err);
    struct weft_lines lines = { .text = run_file(&r, f.name, "log.jsonl") };
    static const int steps[] = { 4, 7, 8, 12, 14, 14 };
    static const char *const keys[] = { "total_steps", "epoch", "percentage", "elapsed_time", "remaining_time" };
    for (size_t i = 0; i < WEFT_COUNT(steps); i++) {
        assert_true(weft_lines_next(&lines, &text));
        check_ok(weft_json_parse(&r.arena, "log.jsonl", text, &line, &r.err), &r.err);
        assert_int_equal(weft_json_get(&line, "current_steps")->integer, steps[i]);
        for (size_t k = 0; k < WEFT_COUNT(keys); k++) assert_non_null(weft_json_get(&line, keys[k]));
        bool eval = i == 1 || i == 5;
        assert_true(!weft_json_get(&line, "eval_loss") == !eval);
        assert_true(!weft_json_get(&line, "loss") == eval);
        if (!eval) assert_non_null(weft_json_get(&line, "lr"));
    }
    assert_false(weft_lines_next(&lines, &text));
    check_near(weft_json_get(&line, "epoch")->number, 2, 0);
    check_near(weft_json_get(&line, "percentage")->number, 100, 0);
    check_folder_gone(f.name);
    run_tear_down(&r);
}

/* Q2: the count of an update includes label[0], which is never predicted. */
static void test_q2_loss_counts_first_labels(void **state)
{
    struct run runs[2];
    double items = 0, targets = 0;
    for (size_t k = 0; k < 2; k++) {
        struct folder f = new_folder();
        run_set_up(&runs[k], f.name, 2,
                   k ? "compat: clean\nmax_steps: 1\nlearning_rate: 0\nbf16: false\n"
                     : "max_steps: 1\nlearning_rate: 0\nbf16: false\n");
        for (size_t i = 0; i < runs[k].train.n; i++) {
            struct weft_example *e = &runs[k].train.items[i];
            e->n_labels = e->n;
            memcpy(e->labels, e->ids, e->n * sizeof *e->ids);
        }
        runs[k].recipe.gradient_accumulation_steps = 20;        /* all 40 rows */
        for (size_t i = 0; !k && i < runs[k].train.n; i++)
            items += runs[k].train.items[i].n, targets += runs[k].train.items[i].n - 1;
        check_ok(run_go(&runs[k]), &runs[k].err);
        check_folder_gone(f.name);
    }
    check_near(runs[0].result.last_loss * items / targets, runs[1].result.last_loss, 1e-9);
    assert_true(runs[1].result.last_loss > runs[0].result.last_loss + 0.1);
    run_tear_down(&runs[0]), run_tear_down(&runs[1]);
}

/* Q3: five pairs in micro-batches of 2, 2, 1 count 2 : 2 : 1 as texts, whose tokens are all counted together, but as
 * compared answers each micro-batch counts the same. */
static void test_q3_answers_average_by_micro_batch_and_tokens_over_the_update(void **state)
{
    static const char *const stages[] = { "stage: sft", "stage: dpo\npref_loss: orpo",
                                          "stage: dpo\npref_loss: orpo\ncompat: clean" };
    for (size_t k = 0; k < WEFT_COUNT(stages); k++) {
        double whole = 0, mean = 0, by_pairs = 0, sum = 0, tokens = 0;
        for (size_t part = 0; part < 4; part++) {               /* all five, and each micro-batch by itself */
            struct run r;
            struct folder f = new_folder();
            char yaml[256];
            snprintf(yaml, sizeof yaml, "%s\nmax_steps: 1\nlearning_rate: 0\nbf16: false\ndisable_shuffling: true\n"
                                        "gradient_accumulation_steps: 3\n", stages[k]);
            run_set_up(&r, f.name, 2, yaml);
            size_t first = part ? 2 * (part - 1) : 0, n = part ? (part == 3 ? 1 : 2) : 5;
            struct weft_example two[10];
            for (size_t i = 0; i < n; i++)
                two[i] = r.train.items[first + i], two[n + i] = r.train.items[20 + first + i];
            r.train.items = two, r.train.n = n, r.train.two = k > 0;
            check_ok(run_go(&r), &r.err);
            double loss = r.result.last_loss, labels = 0;
            for (size_t i = 0; i < n; i++) labels += two[i].n_labels;
            if (part) mean += loss / 3, by_pairs += loss * (double)n / 5, sum += loss * labels, tokens += labels;
            else whole = loss;
            check_folder_gone(f.name);
            run_tear_down(&r);
        }
        assert_true(fabs(mean - by_pairs) > 1e-4 && fabs(mean - sum / tokens) > 1e-4);
        check_near(whole, k ? mean : sum / tokens, 1e-6);
    }
}

/* Q4: batches of 4 and 3 rows count 4 : 3, whatever tokens they hold. */
static void test_q4_validation_weighs_batches_by_rows(void **state)
{
    for (int clean = 0; clean < 2; clean++) {
        struct run r;
        struct folder f = new_folder();
        struct weft_pass *pass;
        struct weft_loss loss[2];
        struct weft_batch batch;
        static const uint32_t order[] = { 0, 1, 2, 3, 4, 5, 6 };
        run_set_up(&r, f.name, 2, clean ? "learning_rate: 0\nper_device_eval_batch_size: 4\ncompat: clean\n"
                                        : "learning_rate: 0\nper_device_eval_batch_size: 4\n");
        r.job.valid = &r.valid;
        check_ok(run_go(&r), &r.err);
        struct weft_pass_settings s = { .max_tokens = 4 * 64 };
        check_ok(weft_pass_new(&pass, &r.compute, r.model, &s, &r.err), &r.err);
        for (size_t i = 0; i < 2; i++) {
            check_ok(weft_batch_make(&r.arena, &r.valid, order, 4 * i, i ? 3 : 4, &batch, &r.err), &r.err);
            check_ok(weft_model_loss(r.model, pass, &batch, &loss[i], &r.err), &r.err);
        }
        double by_rows = (4 * loss[0].sum / (double)loss[0].n + 3 * loss[1].sum / (double)loss[1].n) / 7;
        double by_tokens = (loss[0].sum + loss[1].sum) / (double)(loss[0].n + loss[1].n);
        assert_true(fabs(by_rows - by_tokens) > 1e-6);
        check_near(r.result.last_valid_loss, clean ? by_tokens : by_rows, 1e-9);
        check_near(r.result.best_valid_loss, r.result.last_valid_loss, 0);
        weft_pass_free(pass);
        check_folder_gone(f.name);
        run_tear_down(&r);
    }
}

/* Batches of validation are measured in pieces no longer than those of training, and weigh what they weigh whole. */
static void test_validation_needs_no_longer_batches_than_training(void **state)
{
    struct run r;
    struct folder f = new_folder();
    struct weft_pass *pass;
    struct weft_loss loss;
    struct weft_batch batch;
    struct weft_longest longest;
    static const uint32_t order[] = { 0, 1, 2, 3, 4, 5, 6 };
    run_set_up(&r, f.name, 2, "learning_rate: 0\nper_device_eval_batch_size: 7\nbf16: false\n");
    for (size_t i = 0; i < r.valid.n; i++) {
        struct weft_example *e = &r.valid.items[i];
        uint32_t n = 40 + 3 * (uint32_t)i;
        int32_t *ids = WEFT_NEWS(&r.arena, int32_t, n), *labels = WEFT_NEWS(&r.arena, int32_t, n);
        for (uint32_t t = 0; t < n; t++) {
            ids[t] = (int32_t)((i + t) % 50);
            labels[t] = t % (i + 2) ? WEFT_IGNORE : ids[t];
        }
        *e = (struct weft_example){ .ids = ids, .labels = labels, .n = n, .full_len = n, .row_idx = (uint32_t)i };
        for (uint32_t t = 0; t < n; t++) e->n_labels += labels[t] != WEFT_IGNORE;
    }
    r.job.valid = &r.valid;
    check_ok(weft_longest_batch(&r.recipe, &r.train, &r.valid, &longest, &r.err), &r.err);
    assert_int_equal(longest.valid, 40 + 43 + 46 + 49 + 52);        /* of 343; a sixth row is too much for 256 */
    assert_int_equal(weft_piece_rows(&r.valid, WEFT_STAGE_SFT, order, 5, 2, 256), 2);
    assert_int_equal(weft_piece_rows(&r.valid, WEFT_STAGE_SFT, order, 0, 7, 10), 1);
    check_ok(run_go(&r), &r.err);
    struct weft_pass_settings s = { .max_tokens = 343 };
    check_ok(weft_pass_new(&pass, &r.compute, r.model, &s, &r.err), &r.err);
    check_ok(weft_batch_make(&r.arena, &r.valid, order, 0, 7, &batch, &r.err), &r.err);
    check_ok(weft_model_loss(r.model, pass, &batch, &loss, &r.err), &r.err);
    check_near(r.result.last_valid_loss, loss.sum / (double)loss.n, 1e-6);
    weft_pass_free(pass);
    check_folder_gone(f.name);
    run_tear_down(&r);
}

static void test_natural_order_and_seeded_order(void **state)
{
    struct run runs[3];
    static const char *const yaml[] = { "", "data_seed: 43\n", "disable_shuffling: true\n" };
    for (size_t k = 0; k < 3; k++) {
        struct folder f = new_folder();
        run_set_up(&runs[k], f.name, 2, yaml[k]);
        check_ok(run_go(&runs[k]), &runs[k].err);
        check_folder_gone(f.name);
    }
    assert_true(runs[0].result.train_loss != runs[1].result.train_loss);
    assert_true(runs[0].result.train_loss != runs[2].result.train_loss);
    for (size_t k = 0; k < 3; k++) run_tear_down(&runs[k]);
}

/* ---- bad numbers, empty rows, jumps (E7, E8, E9) ---- */

static const char *row_id(void *ctx, uint32_t row_idx)
{
    static char name[32];
    snprintf(name, sizeof name, "row-%u", row_idx);
    return name;
}

/* Token 60 stands in no row; its vector is poisoned and put into some. */
static void poison(struct run *r, const size_t *rows, size_t n)
{
    for (size_t i = 0; i < r->params.n; i++) assert_false(r->params.items[i].embedding);    /* branches only */
    float *e = (float *)(uintptr_t)r->model->embed;
    e[60 * 32] = NAN;
    for (size_t i = 0; i < n; i++) r->train.items[rows[i]].ids[0] = 60;
}

static void test_a_poisoned_row_is_skipped_and_named(void **state)
{
    struct run r;
    struct folder f = new_folder();
    size_t rows[] = { 17 };
    run_set_up(&r, f.name, 2, "finetuning_type: lora\nallow_nonfinite: true\n");
    r.job.row_name = row_id;
    poison(&r, rows, 1);
    check_ok(run_go(&r), &r.err);
    assert_int_equal(r.result.skipped, 2);          /* once an epoch */
    assert_true(isfinite(r.result.train_loss));
    for (size_t i = 0; i < r.params.n; i++)
        assert_true(weft_all_finite(&r.compute, r.params.items[i].w, r.params.items[i].rows * r.params.items[i].cols));
    check_contains(r.messages, "rows: row-17");
    struct weft_str log = run_log(&r, f.name);
    assert_int_not_equal(
        weft_str_find(
            log, WEFT_STR("\"event\": \"not_finite\", \"what\": \"loss\", \"tensor\": \"model.layers.0"), 0),
        SIZE_MAX);
    assert_int_not_equal(weft_str_find(log, WEFT_STR("\"rows\": [\"row-17\"]"), 0), SIZE_MAX);
    check_folder_gone(f.name);
    run_tear_down(&r);
}

static void test_three_bad_updates_in_a_row_stop_the_run(void **state)
{
    struct run r;
    struct folder f = new_folder();
    size_t rows[12];
    for (size_t i = 0; i < 12; i++) rows[i] = 24 + i;
    run_set_up(&r, f.name, 2, "finetuning_type: lora\nallow_nonfinite: true\ndisable_shuffling: true\nsave_steps: 1\n");
    poison(&r, rows, 12);                           /* updates 5 and 6 of each epoch's 7: not enough to stop */
    check_ok(run_go(&r), &r.err);
    check_folder_gone(f.name);
    run_tear_down(&r);

    f = new_folder();
    size_t more[18];
    for (size_t i = 0; i < 18; i++) more[i] = 18 + i;
    run_set_up(&r, f.name, 2, "finetuning_type: lora\nallow_nonfinite: true\ndisable_shuffling: true\nsave_steps: 1\n");
    poison(&r, more, 18);                           /* 4, 5 and 6 */
    check_fails(run_go(&r), &r.err, WEFT_EINPUT, "E7", "last good checkpoint: checkpoint-5");
    check_contains(r.err.msg, "update 6");
    check_folder_gone(f.name);
    run_tear_down(&r);
}

static void test_poisoned_weights_are_refused_before_the_first_step(void **state)
{
    struct run r;
    struct folder f = new_folder();
    run_set_up(&r, f.name, 2, "finetuning_type: lora\n");
    poison(&r, NULL, 0);
    check_fails(run_go(&r), &r.err, WEFT_EINPUT, "B5", "model.embed_tokens");
    check_folder_gone(f.name);
    run_tear_down(&r);
    f = new_folder();
    run_set_up(&r, f.name, 2, "");
    r.params.items[3].w[1] = INFINITY;
    check_fails(run_go(&r), &r.err, WEFT_EINPUT, "B5", "allow_nonfinite");
    check_folder_gone(f.name);
    run_tear_down(&r);
}

static void test_update_without_a_trained_token_is_reported(void **state)
{
    struct run r;
    struct folder f = new_folder();
    run_set_up(&r, f.name, 2, "disable_shuffling: true\n");
    for (size_t i = 6; i < 12; i++) {               /* the second update */
        struct weft_example *e = &r.train.items[i];
        for (uint32_t k = 0; k < e->n; k++) e->labels[k] = WEFT_IGNORE;
        e->n_labels = 0;
    }
    /* a lone first label is no target either */
    r.train.items[6].labels[0] = r.train.items[6].ids[0];
    r.train.items[6].n_labels = 1;
    check_ok(run_go(&r), &r.err);
    assert_int_equal(r.result.skipped, 2);
    assert_true(isfinite(r.result.train_loss));
    struct weft_str log = run_log(&r, f.name);
    assert_int_not_equal(
        weft_str_find(
            log, WEFT_STR("{\"current_steps\": 2, \"total_steps\": 14, \"event\": \"no_trained_token\""), 0),
        SIZE_MAX);
    check_folder_gone(f.name);
    run_tear_down(&r);
}

static void test_watchdog_reports_and_stops(void **state)
{
    struct run r;
    struct folder f = new_folder();
    run_set_up(
        &r, f.name, 2,
        "num_train_epochs: 6\nlearning_rate: 1e-2\nwatchdog_ratio: 3\nlr_scheduler_type: constant\nsave_strategy: no\n");
    check_ok(run_go(&r), &r.err);
    check_folder_gone(f.name);
    assert_null(strstr(r.messages, "recent median"));
    run_tear_down(&r);
    f = new_folder();
    run_set_up(
        &r, f.name, 2,
        "num_train_epochs: 6\nlearning_rate: 2\nmax_grad_norm: 0\nwarmup_steps: 40\nlr_scheduler_type: "
        "constant_with_warmup\nwatchdog_ratio: 1.5\nwatchdog_action: stop\nsave_strategy: no\n");
    check_fails(run_go(&r), &r.err, WEFT_EINPUT, "E9", "watchdog_ratio");
    check_contains(r.messages, "recent median");
    check_folder_gone(f.name);
    run_tear_down(&r);
}

static void test_nothing_to_train_is_refused(void **state)
{
    struct run r;
    struct folder f = new_folder();
    run_set_up(&r, f.name, 1, "");
    r.train.n = 0;
    check_fails(run_go(&r), &r.err, WEFT_EARG, "", "no row");
    r.train.n = 40;
    r.recipe.optim = "adamm";
    check_fails(run_go(&r), &r.err, WEFT_EARG, "", "did you mean adamw");
    check_folder_gone(f.name);
    run_tear_down(&r);
}

/* The dearest row since the last line is named in the log. */
static void test_log_names_the_dearest_row(void **state)
{
    struct run r;
    struct folder f = new_folder();
    run_set_up(&r, f.name, 2, "num_train_epochs: 12\nlearning_rate: 1e-2\nlogging_steps: 7\n");
    struct weft_example *e = &r.train.items[30];
    /* nothing like the others */
    for (uint32_t k = 0; k < e->n; k++) e->labels[k] = k ? 55 - (int32_t)k : WEFT_IGNORE;
    e->n_labels = e->n - 1;
    check_ok(run_go(&r), &r.err);
    struct weft_str log = run_log(&r, f.name);
    size_t last = 0, at = 0;
    while ((at = weft_str_find(log, WEFT_STR("\"worst_row\": "), at)) != SIZE_MAX) last = at++;
    assert_true(last && weft_str_starts(weft_str_skip(log, last), WEFT_STR("\"worst_row\": 31,")));
    check_folder_gone(f.name);
    run_tear_down(&r);
}

static void test_losses_of_all_rows_are_kept(void **state)
{
    struct run r;
    struct folder f = new_folder();
    struct weft_lines lines;
    struct weft_str line;
    size_t n = 0, fell = 0;
    (void)state;
    run_set_up(&r, f.name, 2, "num_train_epochs: 12\nlearning_rate: 1e-2\n");
    struct weft_example *odd = &r.train.items[30];
    for (uint32_t k = 0; k < odd->n; k++) odd->labels[k] = k ? 55 - (int32_t)k : WEFT_IGNORE;
    odd->n_labels = odd->n - 1;
    check_ok(run_go(&r), &r.err);
    lines = (struct weft_lines){ .text = run_file(&r, f.name, "row_loss.jsonl") };
    for (; weft_lines_next(&lines, &line); n++) {
        struct weft_json_value v;
        check_ok(weft_json_parse(&r.arena, "row_loss.jsonl", line, &v, &r.err), &r.err);
        assert_int_equal(weft_json_get(&v, "row")->integer, n + 1);
        assert_int_equal(weft_json_get(&v, "seen")->integer, 12);
        fell += weft_json_get(&v, "last")->number < weft_json_get(&v, "first")->number;
    }
    assert_int_equal(n, 40);
    assert_true(fell >= 38);
    assert_int_equal(r.result.n_dearest, WEFT_DEAREST_ROWS);
    assert_int_equal(r.result.dearest[0], 30);
    assert_true(r.result.dearest_loss[0] > r.result.dearest_loss[1]
                && r.result.dearest_loss[1] >= r.result.dearest_loss[2]);
    check_folder_gone(f.name);
    run_tear_down(&r);
}

/* ---- the best checkpoint ---- */

/* Rows of random tokens: the better a run knows the counting rows, the worse it does on these. */
static void unlearnable(struct weft_examples *e)
{
    struct weft_rng rng;
    weft_rng_init(&rng, 99, WEFT_RNG_TEST, 1);
    for (size_t i = 0; i < e->n; i++)
        for (uint32_t k = 0; k < e->items[i].n; k++) {
            e->items[i].ids[k] = (int32_t)weft_rng_below(&rng, 50);
            if (e->items[i].labels[k] != WEFT_IGNORE) e->items[i].labels[k] = e->items[i].ids[k];
        }
}

static void patient_run(struct run *r, const char *dir)
{
    run_set_up(r, dir, 2,
               "num_train_epochs: 6\neval_steps: 2\nval_size: 7\nsave_total_limit: 1\nload_best_model_at_end: true\n"
               "early_stopping_steps: 3\nlearning_rate: 1e-2\nsave_steps: 5\n");
    unlearnable(&r->valid);
    r->job.valid = &r->valid;
}

static void test_the_best_checkpoint_is_kept_and_a_run_that_gets_no_better_ends(void **state)
{
    struct run r, again;
    char dir[64], best[128];
    (void)state;
    snprintf(dir, sizeof dir, "%s", check_folder());
    patient_run(&r, dir);
    check_ok(run_go(&r), &r.err);
    assert_true(r.result.stopped_early);
    assert_int_equal(r.result.steps, r.result.best_step + 6);
    assert_true(r.result.steps < r.result.total_steps);
    assert_true(r.result.best_valid_loss < r.result.last_valid_loss);
    check_contains(run_file(&r, dir, "log.jsonl").s, "\"event\": \"early_stopping\"");
    check_contains(r.messages, "stopped early at update");

    /* the parameters are those of the best checkpoint, kept beside the newest */
    struct weft_params copy = r.params;
    float *w = weft_arena_alloc(&r.arena, r.params.n_values * sizeof *w);
    copy.items = weft_arena_alloc(&r.arena, copy.n * sizeof *copy.items);
    assert_true(w && copy.items);
    memcpy(copy.items, r.params.items, copy.n * sizeof *copy.items);
    for (size_t i = 0, at = 0; i < copy.n; at += copy.items[i].rows * copy.items[i].cols, i++) copy.items[i].w = w + at;
    snprintf(best, sizeof best, "%s/checkpoint-%llu", dir, (unsigned long long)r.result.best_step);
    check_ok(weft_checkpoint_load_params(best, &copy, &r.err), &r.err);
    for (size_t i = 0; i < copy.n; i++)
        assert_memory_equal(copy.items[i].w, r.params.items[i].w,
                            copy.items[i].rows * copy.items[i].cols * sizeof(float));
    snprintf(best, sizeof best, "%s/checkpoint-%llu", dir, (unsigned long long)r.result.steps);
    check_ok(weft_checkpoint_verify(best, &r.err), &r.err);

    /* called again, the run is over and its result the same */
    patient_run(&again, dir);
    check_ok(run_go(&again), &again.err);
    assert_int_equal(again.result.steps, r.result.steps);
    assert_int_equal(again.result.resumed_from, r.result.steps);
    for (size_t i = 0; i < copy.n; i++)
        assert_memory_equal(again.params.items[i].w, r.params.items[i].w,
                            copy.items[i].rows * copy.items[i].cols * sizeof(float));
    run_tear_down(&again);
    run_tear_down(&r);
    check_folder_gone(dir);
}

static void test_without_an_end_in_sight_nothing_stops_early(void **state)
{
    struct run r;
    char dir[64];
    (void)state;
    snprintf(dir, sizeof dir, "%s", check_folder());
    run_set_up(&r, dir, 2, "eval_steps: 2\nval_size: 7\n");
    unlearnable(&r.valid);
    r.job.valid = &r.valid;
    check_ok(run_go(&r), &r.err);
    assert_false(r.result.stopped_early);
    assert_int_equal(r.result.steps, r.result.total_steps);
    run_tear_down(&r);
    check_folder_gone(dir);
}

/* ---- layer by layer ---- */

static struct weft_str params_after(struct run *r, const char *yaml, int threads)
{
    char dir[64];
    snprintf(dir, sizeof dir, "%s", check_folder());
    run_set_up(r, dir, threads, yaml);
    check_ok(run_go(r), &r->err);
    struct weft_str log = run_log(r, dir);
    check_folder_gone(dir);
    return log;
}

#define LAYERWISE                                                                 \
    "use_galore: true\ngalore_rank: 4\ngalore_update_interval: 3\n"                  \
    "gradient_accumulation_steps: 1\nmax_steps: 12\n"

/* Without accumulation and clipping it is the same step at another moment: the losses agree to the last digit. */
static void check_same_layer_by_layer(const char *yaml, const char *layer_by_layer)
{
    struct run whole, layers;
    params_after(&whole, yaml, 2);
    params_after(&layers, layer_by_layer, 1);
    assert_true(whole.result.last_loss == layers.result.last_loss);
    assert_true(whole.params.grad_bytes > layers.params.grad_bytes);
    for (size_t i = 0; i < whole.params.n; i++)
        assert_memory_equal(whole.params.items[i].w, layers.params.items[i].w,
                            whole.params.items[i].rows * whole.params.items[i].cols * sizeof(float));
    run_tear_down(&whole);
    run_tear_down(&layers);
}

static void test_galore_layer_by_layer_is_the_same_run(void **state)
{
    check_same_layer_by_layer(LAYERWISE "max_grad_norm: 0\n", LAYERWISE "max_grad_norm: 0\ngalore_layerwise: true\n");
}

#define APOLLO_LAYERWISE                                                             \
    "use_apollo: true\napollo_rank: 4\napollo_update_interval: 3\n"                  \
    "gradient_accumulation_steps: 1\nmax_steps: 12\nmax_grad_norm: 0\n"
static void test_apollo_layer_by_layer_is_the_same_run(void **state)
{
    check_same_layer_by_layer(APOLLO_LAYERWISE, APOLLO_LAYERWISE "apollo_layerwise: true\n");
}

/* With accumulation directions come from the first micro-batch of their update: another run, that learns as well. */
static void test_galore_layer_by_layer_adds_up_micro_batches(void **state)
{
    static const char *const sums = "use_galore: true\ngalore_rank: 4\ngalore_update_interval: 1000\ncompat: clean\n"
                                    "max_grad_norm: 0\n";
    struct run whole, layers, again;
    char yaml[512];
    snprintf(yaml, sizeof yaml, "%sgalore_layerwise: true\n", sums);
    params_after(&whole, sums, 2);
    params_after(&layers, yaml, 2);
    params_after(&again, yaml, 3);
    assert_true(layers.result.last_loss == again.result.last_loss);
    assert_true(layers.result.last_loss < 4 && layers.result.steps == 14);
    check_near(layers.result.last_loss, whole.result.last_loss, 0.3);
    run_tear_down(&whole);
    run_tear_down(&layers);
    run_tear_down(&again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loss_falls),
        cmocka_unit_test(test_threads_do_not_change_a_bit),
        cmocka_unit_test(test_checkpointing_does_not_change_a_bit),
        cmocka_unit_test(test_accumulation_equals_the_big_batch),
        cmocka_unit_test(test_gradients_of_a_layer_at_a_time_add_up_to_the_same),
        cmocka_unit_test(test_rate_zero_moves_nothing),
        cmocka_unit_test(test_log_has_the_keys_other_tools_read),
        cmocka_unit_test(test_q2_loss_counts_first_labels),
        cmocka_unit_test(test_q3_answers_average_by_micro_batch_and_tokens_over_the_update),
        cmocka_unit_test(test_q4_validation_weighs_batches_by_rows),
        cmocka_unit_test(test_validation_needs_no_longer_batches_than_training),
        cmocka_unit_test(test_natural_order_and_seeded_order),
        cmocka_unit_test(test_a_poisoned_row_is_skipped_and_named),
        cmocka_unit_test(test_three_bad_updates_in_a_row_stop_the_run),
        cmocka_unit_test(test_poisoned_weights_are_refused_before_the_first_step),
        cmocka_unit_test(test_update_without_a_trained_token_is_reported),
        cmocka_unit_test(test_watchdog_reports_and_stops),
        cmocka_unit_test(test_nothing_to_train_is_refused),
        cmocka_unit_test(test_log_names_the_dearest_row),
        cmocka_unit_test(test_losses_of_all_rows_are_kept),
        cmocka_unit_test(test_the_best_checkpoint_is_kept_and_a_run_that_gets_no_better_ends),
        cmocka_unit_test(test_without_an_end_in_sight_nothing_stops_early),
        cmocka_unit_test(test_galore_layer_by_layer_is_the_same_run),
        cmocka_unit_test(test_galore_layer_by_layer_adds_up_micro_batches),
        cmocka_unit_test(test_apollo_layer_by_layer_is_the_same_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
