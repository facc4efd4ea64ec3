/* The memory plan of runs with adapters and of freeze training: each in a process of its own, whose peak lies near. */
#include "adapter/lora.h"
#include "train/runs.h"

#include <sys/resource.h>
#include <sys/wait.h>

static const char *const tables[] = { "embed_tokens", "lm_head" };
static const char *const all[] = { "all" };
static const struct {
    const char *name;
    struct weft_lora_settings lora;     /* rank 0: freeze */
    struct weft_freeze freeze;
    const char *recipe;
} runs[] = {
    { "lora", { .rank = 16 }, { 0 }, "finetuning_type: lora\nmax_steps: 1\ngradient_accumulation_steps: 1\n" },
    { "dora", { .rank = 16, .dora = true }, { 0 }, "finetuning_type: lora\nmax_steps: 1\ngradient_accumulation_steps: 1\ngradient_checkpointing: true\n" },
    { "dora with dropout", { .rank = 64, .dora = true, .dropout = 0.1 }, { 0 }, "finetuning_type: lora\nmax_steps: 1\ngradient_accumulation_steps: 1\n" },
    { "pissa", { .rank = 16, .pissa = true, .pissa_iter = 1 }, { 0 }, "finetuning_type: lora\nmax_steps: 1\ngradient_accumulation_steps: 1\n" },
    { "tables", { .rank = 4, .tables = tables, .n_tables = 2 }, { 0 }, "finetuning_type: lora\nmax_steps: 1\ngradient_accumulation_steps: 1\n" },
    { "freeze", { 0 }, { .layers = 1, .modules = all, .n_modules = 1 }, "finetuning_type: freeze\nmax_steps: 1\ngradient_accumulation_steps: 1\n" },
};

/* The plan's total to `out`, then the run; the exit status of the process. */
static int train_one(size_t i, const char *dir, int out)
{
    struct run r;
    struct weft_memory_plan plan;
    run_set_up(&r, dir, 2, runs[i].recipe);
    weft_model_free(r.model);
    memset(&r.params, 0, sizeof r.params);
    struct weft_config c = run_config();
    c.vocab_size = 6000, c.hidden_size = 256, c.intermediate_size = 700, c.n_layers = 8, c.head_dim = 64;
    c.max_position_embeddings = 1024;
    if (weft_model_random(&r.model, &c, 1, NULL, &r.err)) return 2;
    if (runs[i].lora.rank ? weft_lora_attach(&r.arena, r.model, &runs[i].lora, &r.params, &r.err)
                          : weft_model_train_some(r.model, &r.arena, &runs[i].freeze, &r.params, &r.err))
        return 2;
    for (size_t k = 0; k < r.train.n; k++) {
        struct weft_example *e = &r.train.items[k];
        e->n = 500, e->n_labels = 500;
        e->ids = WEFT_NEWS(&r.arena, int32_t, e->n);
        e->labels = e->ids;
    }
    r.job.model = r.model;
    r.job.held_bytes = weft_lora_held_bytes(r.model);
    if (weft_memory_plan(&r.job, &plan, &r.err)) return 3;
    if (write(out, &plan.total_bytes, sizeof plan.total_bytes) != sizeof plan.total_bytes) return 4;
    return run_go(&r) ? 5 : 0;
}

static void test_peak_is_what_was_planned(void **state)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip();
#endif
    for (size_t i = 0; i < WEFT_COUNT(runs); i++) {
        char dir[64];
        int out[2], status;
        size_t planned = 0;
        struct rusage use;
        snprintf(dir, sizeof dir, "%s", check_folder());
        assert_int_equal(pipe(out), 0);
        pid_t child = fork();
        if (!child) _exit(train_one(i, dir, out[1]));
        assert_int_equal(read(out[0], &planned, sizeof planned), sizeof planned);
        assert_int_equal(wait4(child, &status, 0, &use), child);
        close(out[0]), close(out[1]);
        check_folder_gone(dir);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        double peak = (double)use.ru_maxrss * 1024, plan = (double)planned;
        print_message("%s: planned %.0f MiB, peak %.0f MiB (%+.1f %%)\n", runs[i].name, plan / 1048576, peak / 1048576,
                      100 * (peak / plan - 1));
        check_near(peak, plan, 0.05 * plan + (24 << 20));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_peak_is_what_was_planned) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
