/* After its first updates a run takes no memory any more: the allocator of this program is replaced and counts.
 * Sanitizers bring their own, so that the test is skipped there. */
#include "train/runs.h"

#include <errno.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__GLIBC__)
int main(void) { return 0; }
#else

extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t n);
extern void *__libc_memalign(size_t align, size_t n);

static size_t n_taken;

void *malloc(size_t n)
{
    n_taken++;
    return __libc_malloc(n);
}
void *calloc(size_t n, size_t size)
{
    n_taken++;
    return __libc_calloc(n, size);
}
void *realloc(void *p, size_t n)
{
    n_taken++;
    return __libc_realloc(p, n);
}
int posix_memalign(void **out, size_t align, size_t n)
{
    n_taken++;
    *out = __libc_memalign(align, n);
    return *out ? 0 : ENOMEM;
}

enum { WARM = 4 };      /* updates: the second validation is behind them */
struct watch {
    size_t at_warm, at_last;
    uint64_t last;
};

static void on_report(void *ctx, const struct weft_train_report *r)
{
    struct watch *w = ctx;
    if (!isnan(r->valid_loss)) return;
    if (r->step == WARM) w->at_warm = n_taken;
    if (r->step < r->total_steps) w->at_last = n_taken, w->last = r->step;
}

static void test_no_memory_is_taken_after_the_first_update(void **state)
{
    static const char *const recipes[] = {
        "finetuning_type: lora\nmax_steps: 14\n",
        "finetuning_type: lora\nmax_steps: 14\ngradient_checkpointing: true\n",
        "max_steps: 14\n",
        "max_steps: 14\noptim: adamw_8bit\n",
        "max_steps: 14\npure_bf16: true\n",
        "max_steps: 14\noptim: muon\n",
        "max_steps: 14\nuse_galore: true\ngalore_rank: 4\ngalore_update_interval: 3\n",
        "max_steps: 14\nuse_galore: true\ngalore_rank: 4\ngalore_update_interval: 3\ngalore_layerwise: true\ncompat: clean\n",
        "max_steps: 14\nuse_badam: true\nbadam_switch_interval: 2\n",
        "max_steps: 14\nuse_badam: true\nbadam_mode: ratio\n",
    };
    for (size_t i = 0; i < WEFT_COUNT(recipes); i++) {
        struct run r;
        struct watch w = { 0 };
        char dir[64], yaml[512];
        snprintf(dir, sizeof dir, "%s", check_folder());
        snprintf(yaml, sizeof yaml, "save_strategy: no\neval_steps: 2\n%s", recipes[i]);
        run_set_up(&r, dir, 2, yaml);
        r.job.valid = &r.valid;
        r.job.report = on_report;
        r.job.report_ctx = &w;
        check_ok(run_go(&r), &r.err);
        assert_int_equal(w.last, 13);
        assert_true(w.at_warm > 0);
        if (w.at_last != w.at_warm)
            fail_msg("%s: %zu allocations in updates %d to %d", recipes[i], w.at_last - w.at_warm, WARM + 1, 13);
        run_tear_down(&r);
        check_folder_gone(dir);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_no_memory_is_taken_after_the_first_update) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
#endif
