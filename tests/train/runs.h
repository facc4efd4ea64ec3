/* tests/train/runs.h - a small model, rows it can learn, and runs of them, for the tests of the trainer */
#ifndef WEFT_TESTS_TRAIN_RUNS_H
#define WEFT_TESTS_TRAIN_RUNS_H

#include "check.h"
#include "model/model.h"
#include "train/checkpoint.h"
#include "train/trainer.h"

enum { RUN_VOCAB = 61, RUN_RANK = 4 };

struct run {
    struct weft_arena arena;
    struct weft_pool *pool;
    struct weft_compute compute;
    struct weft_model *model;
    struct weft_params params;
    struct weft_examples train, valid;
    struct weft_recipe recipe;
    struct weft_train_job job;
    struct weft_train_result result;
    struct weft_progress progress;
    int cancel;
    char messages[8192];        /* what the progress sink got */
    struct weft_err err;
};

static inline void run_message(void *ctx, const char *text)
{
    struct run *r = ctx;
    size_t n = strlen(r->messages);
    snprintf(r->messages + n, sizeof r->messages - n, "%s\n", text);
}

static inline struct weft_config run_config(void)
{
    struct weft_config c;
    if (!weft_config_preset("tiny", &c, NULL, NULL)) fail_msg("no preset tiny");
    c.vocab_size = RUN_VOCAB;
    c.hidden_size = 32;
    c.intermediate_size = 56;
    c.n_layers = 2;
    c.n_heads = 4;
    c.n_kv_heads = 2;
    c.head_dim = 8;
    c.max_position_embeddings = 64;
    c.initializer_range = 0.08f;
    c.tie_word_embeddings = false;      /* so that a poisoned row of the token table harms only the rows that hold it */
    c.pad_token_id = -1;
    return c;
}

/* Counting sequences of several lengths: start, start + step, start + 2 step ... modulo 50; the first third is a
 * prompt without loss.  Token 60 occurs in no row. */
static inline struct weft_examples run_rows(struct weft_arena *a, size_t n, uint64_t seed)
{
    struct weft_examples e = { .n = n, .cap = n, .rows_in = n };
    struct weft_rng rng;
    weft_rng_init(&rng, seed, WEFT_RNG_TEST, 9);
    e.items = WEFT_NEWS(a, struct weft_example, n);
    assert_non_null(e.items);
    for (size_t i = 0; i < n; i++) {
        struct weft_example *x = &e.items[i];
        x->n = 6 + (uint32_t)weft_rng_below(&rng, 9);
        x->ids = WEFT_NEWS(a, int32_t, x->n);
        x->labels = WEFT_NEWS(a, int32_t, x->n);
        assert_true(x->ids && x->labels);
        uint32_t v = (uint32_t)weft_rng_below(&rng, 50), step = 1 + (uint32_t)weft_rng_below(&rng, 3);
        for (uint32_t k = 0; k < x->n; k++, v = (v + step) % 50) {
            x->ids[k] = (int32_t)v;
            x->labels[k] = k < x->n / 3 ? WEFT_IGNORE : (int32_t)v;
            x->n_labels += x->labels[k] != WEFT_IGNORE;
        }
        x->row_idx = (uint32_t)i;
        x->full_len = x->n;
    }
    return e;
}

/* Low-rank branches on every layer as the only parameters, A random, B zero. */
static inline void run_add_branches(struct run *r)
{
    size_t n = weft_model_n_linears(r->model);
    struct weft_rng rng;
    weft_rng_init(&rng, 3, WEFT_RNG_TEST, 2);
    struct weft_branch *branches = WEFT_NEWS(&r->arena, struct weft_branch, n);
    assert_non_null(branches);
    for (size_t i = 0; i < n; i++) {
        struct weft_linear *l = weft_model_linear(r->model, i);
        struct weft_branch *b = &branches[i];
        *b = (struct weft_branch){ .rank = RUN_RANK, .scale = 2, .enabled = true, .module_id = (uint32_t)i };
        size_t n_a = RUN_RANK * l->n_in, n_b = RUN_RANK * l->n_out;
        b->a = WEFT_NEWS(&r->arena, float, n_a), b->da = WEFT_NEWS(&r->arena, float, n_a);
        b->b = WEFT_NEWS(&r->arena, float, n_b), b->db = WEFT_NEWS(&r->arena, float, n_b);
        const char *name_a = weft_str_printf(&r->arena, "%s.lora_A.weight", l->name).s;
        const char *name_b = weft_str_printf(&r->arena, "%s.lora_B.weight", l->name).s;
        assert_true(b->a && b->da && b->b && b->db && name_a && name_b);
        for (size_t k = 0; k < n_a; k++) b->a[k] = 0.2f * weft_rng_normal(&rng);
        struct weft_param pa = { .name = name_a, .rows = RUN_RANK, .cols = l->n_in, .w = b->a, .grad = b->da,
            .decay = true };
        struct weft_param pb = { .name = name_b, .rows = l->n_out, .cols = RUN_RANK, .w = b->b, .grad = b->db,
            .decay = true };
        check_ok(weft_params_add(&r->params, &r->arena, &pa, &r->err), &r->err);
        check_ok(weft_params_add(&r->params, &r->arena, &pb, &r->err), &r->err);
        l->branch = b;
    }
}

/* A run in `dir` with `threads`: 40 rows, batches of 2, three of them an update, 2 epochs (14 updates), all weights;
 * `yaml` changes settings.  Every call makes the same run.  by_layer: layers share the room for their gradients. */
static inline void run_set_up_as(struct run *r, const char *dir, int threads, const char *yaml, bool by_layer)
{
    struct weft_buf text = { 0 };
    memset(r, 0, sizeof *r);
    weft_buf_printf(
        &text,
        "output_dir: %s\nfinetuning_type: full\nper_device_train_batch_size: 2\ngradient_accumulation_steps: 3\n"
        "num_train_epochs: 2\nlearning_rate: 2e-3\nlogging_steps: 1\nsave_steps: 4\nlr_scheduler_type: cosine\n"
        "warmup_steps: 2\n",
        dir);
    check_ok(weft_recipe_read(&r->recipe, &r->arena, "test", weft_buf_view(&text), NULL, NULL, &r->err), &r->err);
    weft_buf_clear(&text);
    struct weft_lines lines = { .text = weft_str_c(yaml) };
    for (struct weft_str line; weft_lines_next(&lines, &line);) {
        size_t colon = weft_str_find(line, WEFT_STR(": "), 0);
        assert_int_not_equal(colon, SIZE_MAX);
        const char *key = weft_arena_strndup(&r->arena, line.s, colon);
        const char *value = weft_arena_strndup(&r->arena, line.s + colon + 2, line.len - colon - 2);
        assert_true(key && value);
        check_ok(weft_options_set(weft_recipe_options, &r->recipe, &r->arena, "test", key, value, NULL, &r->err), &r->err);
    }
    check_ok(weft_recipe_check(&r->recipe, NULL, &r->err), &r->err);

    check_ok(weft_pool_new(&r->pool, threads, &r->err), &r->err);
    check_ok(weft_compute_init(&r->compute, NULL, r->pool, &r->err), &r->err);
    struct weft_config c = run_config();
    if (strstr(r->recipe.optim, "8bit")) c.intermediate_size = 136;     /* 4352 values: moments in codes */
    check_ok(weft_model_random(&r->model, &c, 7, NULL, &r->err), &r->err);
    r->model->exact = !r->recipe.bf16;
    r->model->train_low = strcmp(r->recipe.optim, "adamw_bf16") == 0;
    if (r->recipe.use_badam)
        check_ok(weft_model_train_blocks(r->model, &r->arena, r->recipe.badam_mode == WEFT_BADAM_RATIO, r->recipe.bf16,
                                         &r->params, &r->err), &r->err);
    else if (by_layer || weft_recipe_layerwise(&r->recipe))
        check_ok(weft_model_train_layerwise(r->model, &r->arena, &r->params, &r->err), &r->err);
    else if (r->recipe.finetuning_type == WEFT_FINETUNING_FULL)
        check_ok(weft_model_train_all(r->model, &r->arena, &r->params, &r->err), &r->err);
    else
        run_add_branches(r);
    r->train = run_rows(&r->arena, 40, 1);
    r->valid = run_rows(&r->arena, 7, 2);
    r->progress = (struct weft_progress){ .message = run_message, .ctx = r, .cancel = &r->cancel };
    r->job = (struct weft_train_job){
        .model = r->model, .params = &r->params, .train = &r->train, .recipe = &r->recipe, .compute = &r->compute,
        .progress = &r->progress,
    };
}

static inline void run_set_up(struct run *r, const char *dir, int threads, const char *yaml)
{
    run_set_up_as(r, dir, threads, yaml, false);
}

static inline void run_tear_down(struct run *r)
{
    weft_model_free(r->model);
    weft_compute_clear(&r->compute);
    weft_pool_free(r->pool);
    weft_arena_clear(&r->arena);
}

static inline enum weft_status run_go(struct run *r)
{
    weft_err_clear(&r->err);
    return weft_train(&r->job, &r->result, &r->err);
}

/* The whole file, in the run's arena. */
static inline struct weft_str run_file(struct run *r, const char *dir, const char *name)
{
    struct weft_str s = { 0 };
    check_ok(weft_file_read(&r->arena, check_path(dir, name), 0, &s, &r->err), &r->err);
    return s;
}

/* log.jsonl without what depends on the clock. */
static inline struct weft_str run_log(struct run *r, const char *dir)
{
    struct weft_buf out = { 0 };
    struct weft_lines lines = { .text = run_file(r, dir, "log.jsonl") };
    struct weft_str line;
    while (weft_lines_next(&lines, &line)) {
        size_t cut = weft_str_find(line, WEFT_STR(", \"elapsed_time\""), 0);
        assert_int_not_equal(cut, SIZE_MAX);
        weft_buf_str(&out, weft_str_sub(line, 0, cut));
        weft_buf_cstr(&out, "\n");
    }
    struct weft_str s = weft_str_dup(&r->arena, weft_buf_view(&out));
    weft_buf_clear(&out);
    return s;
}

#define check_same_bytes(a, b) check_same_bytes_at((a), (b), __FILE__, __LINE__)
static inline void check_same_bytes_at(struct weft_str a, struct weft_str b, const char *file, int line)
{
    if (weft_str_eq(a, b)) return;
    size_t i = 0;
    while (i < a.len && i < b.len && a.s[i] == b.s[i]) i++;
    print_error("%zu and %zu bytes differ from byte %zu on:\n...%.*s\n...%.*s\n", a.len, b.len, i,
                (int)weft_min_size(a.len - i, 200), a.s + i, (int)weft_min_size(b.len - i, 200), b.s + i);
    _fail(file, line);
}

#endif
