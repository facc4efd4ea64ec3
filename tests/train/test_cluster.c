/* Ranks that train together: the bits of one rank that accumulates, whatever the method, and what happens when a rank
 * stops, fails or dies.  The ranks are threads here; tests/cli/test_mpi.sh has them under mpirun. */
#include "train/runs.h"
#include "train/threads.h"

struct folder {
    char name[64];
};
static struct folder new_folder(void)
{
    struct folder f;
    snprintf(f.name, sizeof f.name, "%s", check_folder());
    return f;
}

struct ranks {
    int n;
    struct run runs[MOST_RANKS];
    struct seat seats[MOST_RANKS];
    struct weft_cluster clusters[MOST_RANKS];
    enum weft_status status[MOST_RANKS];
    struct meeting meeting;
};

static void ranks_set_up(struct ranks *r, int n, const char *dir, const char *yaml, bool by_layer)
{
    r->n = n;
    meeting_init(&r->meeting, n);
    for (int k = 0; k < n; k++) {
        /* only rank 0 has a folder that could be written to */
        run_set_up_as(&r->runs[k], k ? "/dev/null/nowhere" : dir, 1 + k % 2, yaml, by_layer);
        r->clusters[k] = threads_cluster(&r->seats[k], &r->meeting, k);
        r->runs[k].job.cluster = &r->clusters[k];
        r->runs[k].job.valid = &r->runs[k].valid;
    }
}

struct start {
    struct ranks *r;
    int rank;
};
static void *one_rank(void *ctx)
{
    struct start *s = ctx;
    s->r->status[s->rank] = run_go(&s->r->runs[s->rank]);
    return NULL;
}

static void ranks_go(struct ranks *r)
{
    pthread_t threads[MOST_RANKS];
    struct start starts[MOST_RANKS];
    for (int k = 0; k < r->n; k++) {
        starts[k] = (struct start){ r, k };
        assert_int_equal(pthread_create(&threads[k], NULL, one_rank, &starts[k]), 0);
    }
    for (int k = 0; k < r->n; k++) pthread_join(threads[k], NULL);
    assert_false(r->meeting.mismatch);
}

static void ranks_tear_down(struct ranks *r)
{
    for (int k = 0; k < r->n; k++) run_tear_down(&r->runs[k]);
}

/* What a run leaves, but for the clock. */
struct left {
    struct weft_str params, optimizer, log, rows;
};
static struct left left_by(struct run *r, const char *dir)
{
    return (struct left){ run_file(r, dir, "checkpoint-14/params.safetensors"),
                          run_file(r, dir, "checkpoint-14/optimizer.safetensors"), run_log(r, dir),
                          run_file(r, dir, "row_loss.jsonl") };
}

static void check_same_run(struct left a, struct left b)
{
    check_same_bytes(a.params, b.params);
    check_same_bytes(a.optimizer, b.optimizer);
    check_same_bytes(a.log, b.log);
    check_same_bytes(a.rows, b.rows);
}

static const char base[] = "logging_steps: 3\neval_steps: 5\nper_device_eval_batch_size: 2\n";

/* 40 rows in micro-batches of 2, three an update: 7 updates an epoch, the last of two micro-batches. */
static void check_ranks(const char *yaml, bool by_layer)
{
    static struct ranks ranks[3];
    static const int counts[] = { 1, 2, 3 };
    char text[1024];
    struct left left[3];
    snprintf(text, sizeof text, "%s%s", base, yaml);
    for (size_t i = 0; i < WEFT_COUNT(counts); i++) {
        struct folder f = new_folder();
        ranks_set_up(&ranks[i], counts[i], f.name, text, by_layer);
        ranks_go(&ranks[i]);
        for (int k = 0; k < counts[i]; k++) check_ok(ranks[i].status[k], &ranks[i].runs[k].err);
        left[i] = left_by(&ranks[i].runs[0], f.name);
        check_folder_gone(f.name);
        check_same_run(left[i], left[0]);
        /* all end with the same weights */
        for (int k = 1; k < counts[i]; k++)
            for (size_t p = 0; p < ranks[i].runs[0].params.n; p++) {
                const struct weft_param *a = &ranks[i].runs[0].params.items[p], *b = &ranks[i].runs[k].params.items[p];
                if (a->w) assert_memory_equal(a->w, b->w, a->rows * a->cols * sizeof *a->w);
                else assert_memory_equal(a->w16, b->w16, a->rows * a->cols * sizeof *a->w16);
            }
    }
    for (size_t i = 0; i < WEFT_COUNT(counts); i++) ranks_tear_down(&ranks[i]);
}

static void test_ranks_give_the_bits_of_one(void **state)
{
    static const char *const recipes[] = {
        "",
        "optim: muon\n",
        "optim: adamw_8bit\nneftune_noise_alpha: 5\n",
        "finetuning_type: lora\nload_best_model_at_end: true\nval_size: 7\n",
        "use_galore: true\ngalore_rank: 4\ngalore_update_interval: 3\n",
        "use_galore: true\ngalore_rank: 4\noptim: adamw_8bit\ncompat: clean\n",
        "use_apollo: true\napollo_rank: 4\napollo_update_interval: 3\n",
        "use_badam: true\nbadam_switch_interval: 2\n",
        "use_badam: true\nbadam_mode: ratio\nbadam_update_ratio: 0.3\n",
    };
    for (size_t i = 0; i < WEFT_COUNT(recipes); i++) check_ranks(recipes[i], false);
}

static void test_ranks_meet_layer_by_layer(void **state)
{
    check_ranks("", true);
    check_ranks("compat: clean\nuse_galore: true\ngalore_layerwise: true\ngalore_rank: 4\ngalore_update_interval: 3\n", true);
}

/* More ranks than an update has micro-batches: some are idle, the bits are the same. */
static void test_idle_ranks_change_nothing(void **state)
{
    static struct ranks many, one;
    struct left left[2];
    for (int layers = 0; layers < 2; layers++) {
        struct folder f = new_folder();
        ranks_set_up(&one, 1, f.name, base, layers);
        ranks_go(&one);
        check_ok(one.status[0], &one.runs[0].err);
        left[0] = left_by(&one.runs[0], f.name);
        check_folder_gone(f.name);
        f = new_folder();
        ranks_set_up(&many, 5, f.name, base, layers);
        ranks_go(&many);
        check_ok(many.status[4], &many.runs[4].err);
        left[1] = left_by(&many.runs[0], f.name);
        check_folder_gone(f.name);
        check_same_run(left[1], left[0]);
        ranks_tear_down(&one), ranks_tear_down(&many);
    }
}

/* A micro-batch without a label is left out, by whichever rank had it. */
static void test_a_micro_batch_without_loss_is_left_out_by_all(void **state)
{
    static struct ranks ranks[2];
    static const char *const recipes[] = {
        "disable_shuffling: true\n",
        "disable_shuffling: true\ncompat: clean\nuse_galore: true\ngalore_layerwise: true\ngalore_rank: 4\n",
    };
    for (size_t c = 0; c < 2 * WEFT_COUNT(recipes); c++) {
        struct left left[2];
        for (size_t i = 0; i < 2; i++) {
            struct folder f = new_folder();
            ranks_set_up(&ranks[i], i ? 3 : 1, f.name, recipes[c / 2], c % 2);
            for (int k = 0; k < ranks[i].n; k++)
                for (size_t x = 2; x < 4; x++) {        /* the second micro-batch of the first update ... */
                    struct weft_example *e[] = { &ranks[i].runs[k].train.items[x],
                                                 &ranks[i].runs[k].train.items[x + 8] };    /* the last of the second */
                    for (size_t z = 0; z < 2; z++) {
                        e[z]->n_labels = 0;
                        for (uint32_t t = 0; t < e[z]->n; t++) e[z]->labels[t] = WEFT_IGNORE;
                    }
                }
            ranks_go(&ranks[i]);
            check_ok(ranks[i].status[0], &ranks[i].runs[0].err);
            left[i] = left_by(&ranks[i].runs[0], f.name);
            check_folder_gone(f.name);
        }
        check_same_run(left[1], left[0]);
        ranks_tear_down(&ranks[0]), ranks_tear_down(&ranks[1]);
    }
}

/* ---- stopping, going on ---- */

struct stopper {
    struct run *run;
    int *cancel;
    uint64_t at;
};
static void stop_at(void *ctx, const struct weft_train_report *r)
{
    struct stopper *s = ctx;
    if (r->step == s->at) *s->cancel = 1;
}

static void test_one_rank_that_is_stopped_stops_all_and_any_number_goes_on(void **state)
{
    static const char yaml[] = "eval_steps: 4\nlearning_rate: 3e-3\n";
    static struct ranks whole, first, second, third;
    struct folder f = new_folder();
    ranks_set_up(&whole, 1, f.name, yaml, false);
    ranks_go(&whole);
    check_ok(whole.status[0], &whole.runs[0].err);
    struct left want = left_by(&whole.runs[0], f.name);
    check_folder_gone(f.name);

    f = new_folder();
    ranks_set_up(&first, 3, f.name, yaml, false);
    struct stopper s = { .cancel = &first.runs[2].cancel, .at = 6 };
    first.runs[2].job.report = stop_at;
    first.runs[2].job.report_ctx = &s;
    ranks_go(&first);
    for (int k = 0; k < 3; k++) assert_int_equal(first.status[k], WEFT_ECANCEL);
    assert_true(access(check_path(f.name, "checkpoint-6/manifest.json"), F_OK) == 0);
    check_contains(first.runs[0].messages, "update 6 of 14 is saved");

    ranks_set_up(&second, 1, f.name, yaml, false);
    struct stopper again = { .cancel = &second.runs[0].cancel, .at = 9 };
    second.runs[0].job.report = stop_at;
    second.runs[0].job.report_ctx = &again;
    ranks_go(&second);
    assert_int_equal(second.status[0], WEFT_ECANCEL);
    assert_int_equal(second.runs[0].result.resumed_from, 6);

    ranks_set_up(&third, 2, f.name, yaml, false);
    ranks_go(&third);
    for (int k = 0; k < 2; k++) {
        check_ok(third.status[k], &third.runs[k].err);
        assert_int_equal(third.runs[k].result.resumed_from, 9);
    }
    check_same_run(left_by(&third.runs[0], f.name), want);
    check_folder_gone(f.name);
    ranks_tear_down(&whole), ranks_tear_down(&first), ranks_tear_down(&second), ranks_tear_down(&third);
}

/* In turns and in codes, too: what a checkpoint holds reaches every rank. */
static void test_ranks_go_on_from_every_kind_of_state(void **state)
{
    static const char *const recipes[] = {
        "optim: adamw_8bit\n",
        "use_galore: true\ngalore_rank: 4\ngalore_update_interval: 5\n",
        "use_badam: true\nbadam_switch_interval: 4\n",
    };
    for (size_t i = 0; i < WEFT_COUNT(recipes); i++) {
        static struct ranks whole, first, second;
        struct folder f = new_folder();
        ranks_set_up(&whole, 1, f.name, recipes[i], false);
        ranks_go(&whole);
        struct left want = left_by(&whole.runs[0], f.name);
        check_folder_gone(f.name);
        f = new_folder();
        ranks_set_up(&first, 2, f.name, recipes[i], false);
        struct stopper s = { .cancel = &first.runs[0].cancel, .at = 5 };
        first.runs[0].job.report = stop_at;
        first.runs[0].job.report_ctx = &s;
        ranks_go(&first);
        ranks_set_up(&second, 3, f.name, recipes[i], false);
        ranks_go(&second);
        check_ok(second.status[0], &second.runs[0].err);
        assert_int_equal(second.runs[2].result.resumed_from, 5);
        check_same_run(left_by(&second.runs[0], f.name), want);
        check_folder_gone(f.name);
        ranks_tear_down(&whole), ranks_tear_down(&first), ranks_tear_down(&second);
    }
}

/* ---- what can go wrong ---- */

/* Three ranks, one of which dies in the midst of anything; one goes on. */
static void check_deaths(const char *yaml, bool by_layer, const char *said, uint64_t *saved)
{
    static struct ranks whole, dying, again;
    struct folder f = new_folder();
    char short_yaml[512];
    ranks_set_up(&whole, 3, f.name, yaml, by_layer);
    ranks_go(&whole);
    struct left want = left_by(&whole.runs[0], f.name);
    uint64_t calls = whole.seats[0].calls, opening;
    check_folder_gone(f.name);
    f = new_folder();                                   /* what comes before the third update */
    snprintf(short_yaml, sizeof short_yaml, "%smax_steps: 2\n", yaml);
    ranks_set_up(&again, 3, f.name, short_yaml, by_layer);
    ranks_go(&again);
    opening = again.seats[0].calls;
    check_folder_gone(f.name);
    ranks_tear_down(&again);
    assert_true(calls > opening + 30);
    *saved = 0;
    for (uint64_t at = opening + 1; at < calls; at += (calls - opening) / 7) {
        f = new_folder();
        ranks_set_up(&dying, 3, f.name, yaml, by_layer);
        dying.seats[1].dies_at = at;
        ranks_go(&dying);
        for (int k = 0; k < 3; k++) assert_int_equal(dying.status[k], WEFT_EREMOTE);
        check_contains(dying.runs[0].err.msg, said);
        ranks_set_up(&again, 1, f.name, yaml, by_layer);
        ranks_go(&again);
        check_ok(again.status[0], &again.runs[0].err);
        if (again.runs[0].result.resumed_from > *saved) *saved = again.runs[0].result.resumed_from;
        check_same_run(left_by(&again.runs[0], f.name), want);
        check_folder_gone(f.name);
        ranks_tear_down(&dying), ranks_tear_down(&again);
    }
    ranks_tear_down(&whole);
}

static void test_a_rank_that_dies_ends_the_run_with_its_last_update_saved(void **state)
{
    uint64_t saved;
    check_deaths("save_strategy: no\n", false, "of 14 is saved in", &saved);
    assert_true(saved > 10);
    check_deaths("save_strategy: no\n", true, "of 14 is saved in", &saved);
    assert_true(saved > 10);
}

/* Weights that move layer by layer have begun to: the last checkpoint is what counts. */
static void test_a_rank_that_dies_while_weights_move_leaves_the_last_checkpoint(void **state)
{
    uint64_t saved;
    check_deaths("compat: clean\nuse_galore: true\ngalore_layerwise: true\ngalore_rank: 4\nsave_steps: 2\n", true,
                 "it goes on from its last checkpoint", &saved);
    assert_true(saved > 8 && saved % 2 == 0);
}

static void test_ranks_with_other_inputs_are_named(void **state)
{
    static struct ranks r;
    struct folder f = new_folder();
    ranks_set_up(&r, 3, f.name, "", false);
    r.runs[2].train.items[5].ids[1]++;
    ranks_go(&r);
    for (int k = 0; k < 3; k++) check_fails(r.status[k], &r.runs[k].err, WEFT_EINPUT, "", "rank 2 differs from rank 0: the rows");
    ranks_tear_down(&r);
    ranks_set_up(&r, 2, f.name, "", false);
    r.runs[1].recipe.learning_rate *= 2;
    ranks_go(&r);
    for (int k = 0; k < 2; k++) check_fails(r.status[k], &r.runs[k].err, WEFT_EINPUT, "", "rank 1 differs from rank 0: the settings");
    ranks_tear_down(&r);
    check_folder_gone(f.name);
}

static void test_the_error_of_one_rank_is_that_of_all(void **state)
{
    static struct ranks r;
    struct folder f = new_folder();
    ranks_set_up(&r, 3, f.name, "", false);
    r.runs[1].params.items[3].w[1] = NAN;
    ranks_go(&r);
    for (int k = 0; k < 3; k++) check_fails(r.status[k], &r.runs[k].err, WEFT_EINPUT, "B5", "holds NaN or infinity");
    check_contains(r.runs[0].err.msg, "rank 1: ");
    ranks_tear_down(&r);
    ranks_set_up(&r, 2, "/dev/null/nowhere", "", false);
    ranks_go(&r);
    for (int k = 0; k < 2; k++) assert_true(r.status[k] && r.status[k] == r.status[0]);
    check_contains(r.runs[1].err.msg, "rank 0: ");
    ranks_tear_down(&r);
    check_folder_gone(f.name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranks_give_the_bits_of_one),
        cmocka_unit_test(test_ranks_meet_layer_by_layer),
        cmocka_unit_test(test_idle_ranks_change_nothing),
        cmocka_unit_test(test_a_micro_batch_without_loss_is_left_out_by_all),
        cmocka_unit_test(test_one_rank_that_is_stopped_stops_all_and_any_number_goes_on),
        cmocka_unit_test(test_ranks_go_on_from_every_kind_of_state),
        cmocka_unit_test(test_a_rank_that_dies_ends_the_run_with_its_last_update_saved),
        cmocka_unit_test(test_a_rank_that_dies_while_weights_move_leaves_the_last_checkpoint),
        cmocka_unit_test(test_ranks_with_other_inputs_are_named),
        cmocka_unit_test(test_the_error_of_one_rank_is_that_of_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
