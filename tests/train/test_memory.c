/* The plan against what a run takes, and what is said when it does not fit. */
#include "train/runs.h"

#include <sys/resource.h>
#include <sys/wait.h>

struct folder {
    char name[64];
};
static struct folder new_folder(void)
{
    struct folder f;
    snprintf(f.name, sizeof f.name, "%s", check_folder());
    return f;
}

static void test_sizes_as_people_write_them(void **state)
{
    struct weft_err err = { 0 };
    size_t n;
    static const struct {
        const char *text;
        size_t bytes;
    } good[] = { { "8G", (size_t)8 << 30 }, { "900M", (size_t)900 << 20 }, { "1.5 GiB", (size_t)3 << 29 },
                 { "4096", 4096 },          { "2tb", (size_t)2 << 40 },    { "10k", 10240 } };
    static const char *const bad[] = { "", "G", "8X", "-1G", "0", "8GG", "nan", "1e30T" };
    for (size_t i = 0; i < WEFT_COUNT(good); i++) {
        check_ok(weft_memory_size(good[i].text, &n, &err), &err);
        assert_int_equal(n, good[i].bytes);
    }
    for (size_t i = 0; i < WEFT_COUNT(bad); i++)
        check_refuses(weft_memory_size(bad[i], &n, &err), &err, WEFT_EINPUT, NULL, "8G");
}

static size_t line_of(const struct weft_memory_plan *p, const char *item)
{
    for (size_t i = 0; i < p->n; i++)
        if (strcmp(p->lines[i].item, item) == 0) return p->lines[i].bytes;
    return 0;
}

static void test_plan_adds_up(void **state)
{
    struct run r;
    struct weft_memory_plan full, lora;
    struct folder f = new_folder();
    run_set_up(&r, f.name, 2, "");
    check_ok(weft_memory_plan(&r.job, &full, &r.err), &r.err);
    size_t sum = 0;
    for (size_t i = 0; i < full.n; i++) sum += full.lines[i].bytes;
    assert_int_equal(sum, full.total_bytes);
    assert_int_equal(line_of(&full, "trainable weights"), 4 * r.params.n_values);
    /* those of a micro-batch, and their sum over three */
    assert_int_equal(line_of(&full, "gradients"), 8 * r.params.n_values);
    assert_int_equal(line_of(&full, "optimizer"), 8 * r.params.n_values);
    assert_true(full.available_bytes > 0 && full.available_bytes < (size_t)1 << 50);
    /* the longest pair of neighbours of the two epochs: more than the mean, no more than twice the longest row */
    size_t longest = 0, tokens = 0;
    for (size_t i = 0; i < r.train.n; i++)
        longest = weft_max_size(longest, r.train.items[i].n), tokens += r.train.items[i].n;
    assert_true(full.batch_tokens <= 2 * longest && full.batch_tokens * r.train.n > 2 * tokens);
    run_tear_down(&r);
    run_set_up(&r, f.name, 2, "finetuning_type: lora\n");
    check_ok(weft_memory_plan(&r.job, &lora, &r.err), &r.err);
    assert_true(line_of(&lora, "base weights") > 0);
    assert_true(line_of(&lora, "optimizer") < line_of(&full, "optimizer") / 2);
    check_folder_gone(f.name);
    run_tear_down(&r);
}

/* Three ranks on this machine: each may have its share, and room for what ranks send each other is planned. */
static void test_ranks_of_one_machine_share_its_memory(void **state)
{
    struct run r;
    struct weft_memory_plan one, three;
    struct weft_cluster cluster = { .size = 3, .here = 3 };
    struct folder f = new_folder();
    run_set_up(&r, f.name, 2, "mem: 600M\n");
    check_ok(weft_memory_plan(&r.job, &one, &r.err), &r.err);
    r.job.cluster = &cluster;
    check_ok(weft_memory_plan(&r.job, &three, &r.err), &r.err);
    assert_int_equal(one.available_bytes, (size_t)600 << 20);
    assert_int_equal(three.available_bytes, (size_t)200 << 20);
    assert_int_equal(line_of(&three, "gradients"), line_of(&one, "gradients") + 4 * 2 * (r.params.n_values + 3));
    check_folder_gone(f.name);
    run_tear_down(&r);
}

static void test_too_big_a_run_is_refused_with_changes_that_help(void **state)
{
    if (!check_memory_is_measured()) skip();
    struct run r;
    struct folder f = new_folder();
    run_set_up(&r, f.name, 2, "per_device_train_batch_size: 8\nmem: 1M\n");
    check_fails(run_go(&r), &r.err, WEFT_ELIMIT, "E6", "setting mem");
    check_contains(r.err.msg, "gradient_checkpointing: true (");
    check_contains(
        r.err.msg,
        "per_device_train_batch_size: 1, per_device_eval_batch_size: 1, gradient_accumulation_steps: 24 (");
    check_contains(r.err.msg, "finetuning_type: lora");
    assert_false(access(check_path(f.name, "checkpoint-4"), F_OK) == 0);
    run_tear_down(&r);
    /* what helps already is not advised */
    run_set_up(&r, f.name, 2, "per_device_train_batch_size: 1\ngradient_checkpointing: true\nmem: 1M\n");
    check_fails(run_go(&r), &r.err, WEFT_ELIMIT, "E6", "Cheapest changes: finetuning_type: lora");
    run_tear_down(&r);
    run_set_up(&r, f.name, 2, "mem: 8G\n");
    check_ok(run_go(&r), &r.err);
    check_folder_gone(f.name);
    run_tear_down(&r);
}

/* A run of a few hundred MiB: a model of 8 million weights, rows of 500 tokens. */
static bool large_run(struct run *r, const char *dir, const char *recipe)
{
    run_set_up(r, dir, 2, recipe);
    weft_model_free(r->model);
    memset(&r->params, 0, sizeof r->params);
    struct weft_config c = run_config();
    c.vocab_size = 6000, c.hidden_size = 256, c.intermediate_size = 700, c.n_layers = 6, c.head_dim = 64;
    c.max_position_embeddings = 1024;
    if (weft_model_random(&r->model, &c, 1, NULL, &r->err)) return false;
    if (weft_model_train_all(r->model, &r->arena, &r->params, &r->err)) return false;
    for (size_t k = 0; k < r->train.n; k++) {
        struct weft_example *e = &r->train.items[k];
        e->n = 500, e->n_labels = 500;
        e->ids = WEFT_NEWS(&r->arena, int32_t, e->n);
        e->labels = e->ids;
    }
    r->job.model = r->model;
    return true;
}

/* A limit of the process counts like a small machine: above what is held here, so that planning itself has room, below
 * what the run takes. */
static void test_process_limit_bounds_the_plan(void **state)
{
    if (!check_memory_is_measured()) skip();
    enum { LIMIT = 200 << 20 };
    struct folder f = new_folder();
    pid_t child = fork();
    if (!child) {
        struct run r;
        struct weft_memory_plan plan;
        if (!large_run(&r, f.name, "max_steps: 2\n")) _exit(2);
        struct rlimit limit = { LIMIT, LIMIT };
        if (setrlimit(RLIMIT_DATA, &limit)) _exit(2);
        if (weft_memory_plan(&r.job, &plan, &r.err)) _exit(3);
        if (plan.available_bytes != LIMIT || !strstr(plan.bound, "ulimit -d")) _exit(4);
        _exit(weft_memory_check(&r.job, &plan, &r.err) == WEFT_ELIMIT ? 0 : 1);
    }
    int status;
    waitpid(child, &status, 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    check_folder_gone(f.name);
}

/* In a process of its own: its peak lies within 5 % of the plan, where what a process holds can be measured. */
static void test_peak_is_what_was_planned(void **state)
{
    if (!check_memory_is_measured()) skip();
    static const char *const recipes[] = { "max_steps: 2\n",
                                           "max_steps: 2\noptim: muon\ngradient_checkpointing: true\n" };
    for (size_t i = 0; i < WEFT_COUNT(recipes); i++) {
        struct folder f = new_folder();
        int out[2];
        size_t planned = 0;
        struct rusage use;
        assert_int_equal(pipe(out), 0);
        pid_t child = fork();
        if (!child) {
            struct run r;
            struct weft_memory_plan plan;
            if (!large_run(&r, f.name, recipes[i])) _exit(2);
            if (weft_memory_plan(&r.job, &plan, &r.err)) _exit(3);
            if (write(out[1], &plan.total_bytes, sizeof plan.total_bytes) != sizeof plan.total_bytes) _exit(4);
            _exit(run_go(&r) ? 5 : 0);
        }
        int status;
        assert_int_equal(read(out[0], &planned, sizeof planned), sizeof planned);
        assert_int_equal(wait4(child, &status, 0, &use), child);
        close(out[0]), close(out[1]);
        check_folder_gone(f.name);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        double peak = (double)use.ru_maxrss * 1024;
        print_message("planned %.0f MiB, peak %.0f MiB\n", (double)planned / 1048576, peak / 1048576);
        check_near(peak, (double)planned, 0.05 * (double)planned);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes_as_people_write_them),
        cmocka_unit_test(test_plan_adds_up),
        cmocka_unit_test(test_ranks_of_one_machine_share_its_memory),
        cmocka_unit_test(test_too_big_a_run_is_refused_with_changes_that_help),
        cmocka_unit_test(test_process_limit_bounds_the_plan),
        cmocka_unit_test(test_peak_is_what_was_planned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
