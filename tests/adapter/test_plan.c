/* The memory plan of every method: each run in a process of its own, whose peak lies within 5 % of the plan. */
#include "adapter/lora.h"
#include "model/gguf.h"
#include "model/quantise.h"
#include "train/fit.h"
#include "train/runs.h"

#include <sys/resource.h>
#include <sys/wait.h>

static const char *const tables[] = { "embed_tokens", "lm_head" };
static const char *const all[] = { "all" };
#define LORA .lora = { .rank = 16 }
static const struct plan_run {
    const char *name;
    struct weft_lora_settings lora;     /* rank 0: the model's own weights, by the recipe */
    struct weft_freeze freeze;          /* n_modules 0: not freeze */
    const char *quant;                  /* of the base; NULL: bf16 mapped from its file */
    bool nested, gguf;                  /* gguf: mapped from a GGUF file of type quant */
    bool two;                           /* pairs of rows */
    bool valid;                         /* batches of validation five times as long as those of training */
    const char *recipe;
} runs[] = {
    { "lora", LORA, .recipe = "finetuning_type: lora\n" },
    { "lora, checkpointing", LORA, .recipe = "finetuning_type: lora\ngradient_checkpointing: true\n" },
    { "dora", .lora = { .rank = 16, .dora = true }, .recipe = "finetuning_type: lora\n" },
    { "dora with dropout", .lora = { .rank = 64, .dora = true, .dropout = 0.1 }, .recipe = "finetuning_type: lora\n" },
    { "pissa", .lora = { .rank = 16, .pissa = true, .pissa_iter = 1 }, .recipe = "finetuning_type: lora\n" },
    { "tables", .lora = { .rank = 4, .tables = tables, .n_tables = 2 }, .recipe = "finetuning_type: lora\n" },
    { "int8", LORA, .quant = "int8", .recipe = "finetuning_type: lora\n" },
    { "q8_0", LORA, .quant = "q8_0", .recipe = "finetuning_type: lora\n" },
    { "q4_0, checkpointing", LORA, .quant = "q4_0", .recipe = "finetuning_type: lora\ngradient_checkpointing: true\n" },
    { "nf4", LORA, .quant = "nf4", .nested = true, .recipe = "finetuning_type: lora\n" },
    { "gguf q4_0", LORA, .quant = "Q4_0", .gguf = true, .recipe = "finetuning_type: lora\n" },
    { "gguf q8_0, checkpointing", LORA, .quant = "Q8_0", .gguf = true,
      .recipe = "finetuning_type: lora\ngradient_checkpointing: true\n" },
    { "freeze", .freeze = { .layers = 1, .modules = all, .n_modules = 1 }, .recipe = "finetuning_type: freeze\n" },
    { "full", .recipe = "" },
    { "full, checkpointing", .recipe = "gradient_checkpointing: true\n" },
    { "adamw_8bit", .recipe = "optim: adamw_8bit\n" },
    { "adamw_bf16", .recipe = "pure_bf16: true\n" },
    { "muon", .recipe = "optim: muon\n" },
    { "galore", .recipe = "use_galore: true\ngalore_rank: 8\n" },
    { "galore, both sides", .recipe = "use_galore: true\ngalore_rank: 8\ngalore_proj_type: full\n" },
    { "galore, 8 bits, layerwise", .recipe = "use_galore: true\ngalore_rank: 8\ngalore_layerwise: true\noptim: adamw_8bit\n" },
    { "badam", .recipe = "use_badam: true\nbadam_switch_interval: 1\n" },
    { "badam, ratio", .recipe = "use_badam: true\nbadam_mode: ratio\n" },
    { "dpo", LORA, .two = true, .recipe = "finetuning_type: lora\nstage: dpo\n" },
    { "dpo, pissa", .lora = { .rank = 16, .pissa = true, .pissa_iter = 1 }, .two = true,
      .recipe = "finetuning_type: lora\nstage: dpo\n" },
    { "lora, validation", LORA, .valid = true, .recipe = "finetuning_type: lora\n" },
    { "lora, checkpointing, validation", LORA, .valid = true,
      .recipe = "finetuning_type: lora\ngradient_checkpointing: true\n" },
    { "full, validation", .valid = true, .recipe = "" },
    { "dpo, validation", LORA, .two = true, .valid = true, .recipe = "finetuning_type: lora\nstage: dpo\n" },
    { "kto, validation", LORA, .two = true, .valid = true, .recipe = "finetuning_type: lora\nstage: kto\n" },
    { "kto, checkpointing", LORA, .two = true,
      .recipe = "finetuning_type: lora\nstage: kto\ngradient_checkpointing: true\n" },
};

static void as_reference(void *ctx, bool on)
{
    struct run *r = ctx;
    weft_lora_enable(r->model, !on);
}

/* A model in its file, made by a process of its own: what that took is not the run's. */
static void make_base(const struct plan_run *p, const char *dir)
{
    int status;
    pid_t child = fork();
    if (!child) {
        struct weft_model *m = NULL;
        struct weft_err err = { 0 };
        struct weft_config c = run_config();
        c.vocab_size = 6000, c.hidden_size = 256, c.intermediate_size = 704, c.n_layers = 8, c.head_dim = 64;
        c.max_position_embeddings = 1024;
        check_ok(weft_model_random(&m, &c, 1, &(struct weft_model_settings){ .random_type = WEFT_BF16 }, &err), &err);
        if (p->gguf)
            check_ok(weft_gguf_write(m, check_path(dir, "base.gguf"),
                                     &(struct weft_gguf_save){ .type = p->quant, .name = "t" }, &err), &err);
        else check_ok(weft_model_save(m, dir, WEFT_BF16, false, NULL, &err), &err);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static enum weft_status make_trainable(struct run *r, const struct plan_run *p)
{
    r->model->train_low = strcmp(r->recipe.optim, "adamw_bf16") == 0;
    if (p->lora.rank) return weft_lora_attach(&r->arena, r->model, &p->lora, &r->params, &r->err);
    if (p->freeze.n_modules) return weft_model_train_some(r->model, &r->arena, &p->freeze, &r->params, &r->err);
    if (r->recipe.use_badam)
        return weft_model_train_blocks(r->model, &r->arena, r->recipe.badam_mode == WEFT_BADAM_RATIO, r->recipe.bf16,
                                       &r->params, &r->err);
    if (weft_recipe_layerwise(&r->recipe))
        return weft_model_train_layerwise(r->model, &r->arena, &r->params, &r->err);
    return weft_model_train_all(r->model, &r->arena, &r->params, &r->err);
}

static struct weft_examples make_rows(struct run *r, size_t n, bool two)
{
    struct weft_examples rows = { .n = n, .rows_in = n, .two = two };
    rows.items = WEFT_NEWS(&r->arena, struct weft_example, 2 * n);
    for (size_t k = 0; k < (two ? 2 * n : n); k++) {
        struct weft_example *e = &rows.items[k];
        e->n = two ? 250 : 500, e->n_labels = e->n, e->row_idx = (uint32_t)(k % n);
        e->desirable = k % 2;
        e->ids = WEFT_NEWS(&r->arena, int32_t, e->n);
        e->labels = WEFT_NEWS(&r->arena, int32_t, e->n);
        for (uint32_t t = 0; t < e->n; t++) e->ids[t] = e->labels[t] = (int32_t)((t * 7 + k) % 6000);
        rows.total_tokens += e->n;
    }
    return rows;
}

static enum weft_status save(void *ctx, const char *dir, struct weft_err *err)
{
    struct run *r = ctx;
    return r->recipe.finetuning_type == WEFT_FINETUNING_LORA
               ? weft_lora_save(r->model, dir, &(struct weft_lora_info){ .base_model = "t" }, err)
               : weft_model_save(r->model, dir, WEFT_BF16, false, NULL, err);
}

/* The plan's total to `out`, then the run; the exit status of the process. */
static int train_one(const struct plan_run *p, const char *base, const char *dir, int out)
{
    struct run r;
    struct weft_memory_plan plan;
    char yaml[512];
    snprintf(yaml, sizeof yaml, "max_steps: 2\nsave_steps: 1\ngradient_accumulation_steps: 1\n"
                              "per_device_eval_batch_size: 10\n%s", p->recipe);
    run_set_up(&r, dir, 2, yaml);
    weft_model_free(r.model);
    r.model = NULL;
    memset(&r.params, 0, sizeof r.params);
    if (weft_model_load(&r.model, p->gguf ? check_path(base, "base.gguf") : base, NULL, &r.err)) return 2;
    if (p->quant && !p->gguf
        && weft_model_quantise(r.model, &r.compute, weft_quant_find(p->quant), p->nested, NULL, &r.err))
        return 3;
    if (make_trainable(&r, p)) return 4;
    r.train = make_rows(&r, 8, p->two);
    r.valid = make_rows(&r, 10, p->two);
    if (p->valid) r.job.valid = &r.valid;
    r.job.model = r.model;
    r.job.held_bytes = weft_lora_held_bytes(r.model);
    r.job.save_bytes = weft_lora_save_bytes(r.model);
    r.job.as_reference = as_reference;
    r.job.reference_ctx = &r;
    r.job.save = save;
    r.job.save_ctx = &r;
    if (weft_memory_plan(&r.job, &plan, &r.err)) return 5;
    if (write(out, &plan.total_bytes, sizeof plan.total_bytes) != sizeof plan.total_bytes) return 6;
    if (run_go(&r)) {
        print_error("%s\n", r.err.msg);
        return 7;
    }
    return 0;
}

static void test_peak_is_what_was_planned(void **state)
{
    if (!check_memory_is_measured()) skip();
    size_t outside = 0;
    for (size_t i = 0; i < WEFT_COUNT(runs); i++) {
        char dir[64], base[64];
        int out[2], status;
        size_t planned = 0;
        struct rusage use;
        snprintf(dir, sizeof dir, "%s", check_folder());
        snprintf(base, sizeof base, "%s", check_folder());
        make_base(&runs[i], base);
        assert_int_equal(pipe(out), 0);
        pid_t child = fork();
        if (!child) _exit(train_one(&runs[i], base, dir, out[1]));
        close(out[1]);
        ssize_t got = read(out[0], &planned, sizeof planned);
        assert_int_equal(wait4(child, &status, 0, &use), child);
        close(out[0]);
        check_folder_gone(dir);
        check_folder_gone(base);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) fail_msg("%s: status %x", runs[i].name, (unsigned)status);
        assert_int_equal(got, sizeof planned);
        double peak = (double)use.ru_maxrss * 1024, plan = (double)planned, off = peak / plan - 1;
        bool good = off > -0.05 && off < 0.05;
        print_message("%s: planned %.1f MiB, peak %.1f MiB (%+.1f %%)%s\n", runs[i].name, plan / 1048576, peak / 1048576,
                      100 * off, good ? "" : "  outside");
        outside += !good;
    }
    assert_int_equal(outside, 0);
}

/* ---- a large model in little memory, scaled down ---- */

enum { ROWS_AT_A_TIME = 4 };

/* Of the shape of large models, wide and with a large vocabulary; never held while it is made. */
static void draw_base(const char *path)
{
    struct weft_model *m = NULL;
    struct weft_err err = { 0 };
    struct weft_config c;
    assert_true(weft_config_preset("qwen2.5-7b", &c, NULL, NULL));
    c.vocab_size = 12000, c.hidden_size = 512, c.intermediate_size = 2688, c.n_layers = 8, c.n_heads = 8,
    c.n_kv_heads = 2, c.head_dim = 64;
    check_ok(weft_model_drawn(&m, &c, 1, &err), &err);
    check_ok(weft_gguf_write(m, path, &(struct weft_gguf_save){ .type = "Q4_0", .name = "t" }, &err), &err);
    weft_model_free(m);
}

/* What is asked for does not fit; what is chosen is trained. */
static int train_within(const char *base, const char *dir, int out)
{
    struct run r;
    struct weft_fit fit;
    struct weft_memory_plan plan;
    struct weft_lora_settings lora = { .rank = 16 };
    run_set_up(&r, dir, 2, "max_steps: 2\nsave_steps: 1\ngradient_accumulation_steps: 1\nfinetuning_type: lora\n");
    weft_model_free(r.model);
    r.model = NULL;
    memset(&r.params, 0, sizeof r.params);
    if (weft_model_load(&r.model, base, NULL, &r.err)) return 2;
    if (weft_lora_attach(&r.arena, r.model, &lora, &r.params, &r.err)) return 3;
    r.train = make_rows(&r, 8, false);
    r.job.model = r.model;
    r.job.held_bytes = weft_lora_held_bytes(r.model);
    r.job.save = save;
    r.job.save_ctx = &r;
    /* a little more than the smallest plan takes at this level of the processor */
    weft_fit_apply(
        &(struct weft_fit_plan){ .batch = 1, .accumulation = ROWS_AT_A_TIME, .checkpointing = true },
        &r.recipe);
    if (weft_memory_plan(&r.job, &plan, &r.err)) return 4;
    r.recipe.mem = weft_str_printf(&r.arena, "%zu", plan.total_bytes + plan.total_bytes / 25).s;
    weft_fit_apply(&(struct weft_fit_plan){ .batch = ROWS_AT_A_TIME, .accumulation = 1 }, &r.recipe);
    if (weft_fit_choose(&r.job, &(struct weft_fit_limits){ 0 }, &fit, &r.err)) {
        print_error("%s\n", r.err.msg);
        return 4;
    }
    weft_fit_apply(&fit.chosen, &r.recipe);
    if (write(out, &fit, sizeof fit) != sizeof fit) return 5;
    return run_go(&r) ? 6 : 0;
}

static void test_a_quantised_file_trains_within_its_limit(void **state)
{
    if (!check_memory_is_measured()) skip();
    char dir[64];
    int out[2], status;
    struct weft_fit fit = { 0 };
    struct rusage use;
    snprintf(dir, sizeof dir, "%s", check_folder());
    const char *base = check_path(dir, "base.gguf");
    draw_base(base);
    assert_int_equal(pipe(out), 0);
    pid_t child = fork();
    if (!child) _exit(train_within(base, check_path(dir, "run"), out[1]));
    close(out[1]);
    ssize_t got = read(out[0], &fit, sizeof fit);
    assert_int_equal(wait4(child, &status, 0, &use), child);
    close(out[0]);
    check_folder_gone(dir);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) fail_msg("status %x", (unsigned)status);
    assert_int_equal(got, sizeof fit);
    double peak = (double)use.ru_maxrss * 1024, plan = (double)fit.chosen.bytes,
           limit = (double)fit.available_bytes;
    print_message("asked %.1f MiB; %lld rows at a time%s: planned %.1f MiB, peak %.1f MiB of %.1f\n",
                  (double)fit.asked.bytes / 1048576, (long long)fit.chosen.batch,
                  fit.chosen.checkpointing ? ", checkpointing" : "", plan / 1048576, peak / 1048576, limit / 1048576);
    assert_true((double)fit.asked.bytes > limit && plan <= limit && peak <= limit);
    assert_true(fit.chosen.batch == 1 && fit.chosen.checkpointing);
    assert_int_equal(fit.chosen.batch * fit.chosen.accumulation, ROWS_AT_A_TIME);
    check_near(peak, plan, 0.05 * plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_quantised_file_trains_within_its_limit),
        cmocka_unit_test(test_peak_is_what_was_planned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
