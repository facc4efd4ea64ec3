/* Whole runs beside transformers.Trainer, peft and the packages of the optimizers (tests/parity/train.py, optim.py,
 * preference.py): every loss, gradient norm and rate, rewards, the validation loss at the end, the order of the rows,
 * and how far the weights went.
 *
 * With WEFT_PARITY_RUNS=FOLDER, WEFT_PARITY_NAMES="lora full ..." and WEFT_PARITY_CURVES=FILE the runs are those of the
 * folder, and what weft computes is written to the file, a line each, for tests/parity/live.py to compare. */
#include "adapter/lora.h"
#include "check.h"
#include "model/slots.h"
#include "dataset/permute.h"
#include "model/quantise.h"
#include "train/trainer.h"

struct fixture {
    struct weft_arena arena;
    struct weft_json_value base, want;      /* curve.json of the model, and the run */
    struct weft_examples train, valid;
    struct weft_pool *pool;
    struct weft_compute compute;
    struct weft_model *model;
    struct weft_params params;
    struct weft_recipe recipe;
    double loss[64], grad_norm[64], lr[64], rewards[2][64], valid_loss;
    struct weft_train_result result;
    struct weft_err err;
};

/* A file of the runs. */
static const char *run_path(struct fixture *f, const char *file)
{
    const char *outside = getenv("WEFT_PARITY_RUNS");
    if (outside) return weft_path_join(&f->arena, outside, file);
    return check_source(&f->arena, weft_str_printf(&f->arena, "tests/train/data/%s", file).s);
}

static struct weft_json_value read_json(struct fixture *f, const char *path)
{
    struct weft_str text;
    struct weft_json_value v;
    check_ok(weft_file_read(&f->arena, path, 0, &text, &f->err), &f->err);
    check_ok(weft_json_parse(&f->arena, path, text, &v, &f->err), &f->err);
    return v;
}

static int32_t *int_array(struct weft_arena *a, const struct weft_json_value *v)
{
    int32_t *p = WEFT_NEWS(a, int32_t, v->n);
    assert_non_null(p);
    for (size_t i = 0; i < v->n; i++) p[i] = (int32_t)v->items[i].integer;
    return p;
}

static struct weft_examples rows_of(struct fixture *f, size_t from, size_t to, bool first_label)
{
    const struct weft_json_value *rows = weft_json_get(&f->base, "rows");
    struct weft_examples e = { .n = to - from };
    e.items = WEFT_NEWS(&f->arena, struct weft_example, e.n);
    for (size_t i = 0; i < e.n; i++) {
        const struct weft_json_value *ids = weft_json_get(&rows->items[from + i], "ids");
        struct weft_example *x = &e.items[i];
        x->n = x->full_len = (uint32_t)ids->n;
        x->ids = int_array(&f->arena, ids);
        x->labels = first_label ? x->ids : int_array(&f->arena, weft_json_get(&rows->items[from + i], "labels"));
        if (!first_label) x->labels[0] = WEFT_IGNORE;
        x->row_idx = (uint32_t)i;
        for (uint32_t k = 0; k < x->n; k++) x->n_labels += x->labels[k] != WEFT_IGNORE;
    }
    return e;
}

/* Bins of several rows: one attention sequence over all (`joined`), or as many as there are rows. */
static struct weft_examples bins_of(struct fixture *f, const struct weft_json_value *bins, bool joined)
{
    struct weft_examples e = { .n = bins->n };
    e.items = WEFT_NEWS(&f->arena, struct weft_example, e.n);
    assert_non_null(e.items);
    for (size_t i = 0; i < e.n; i++) {
        const struct weft_json_value *ids = weft_json_get(&bins->items[i], "ids");
        const struct weft_json_value *parts = weft_json_get(&bins->items[i], "parts");
        struct weft_example *x = &e.items[i];
        uint32_t *lens = WEFT_NEWS(&f->arena, uint32_t, parts->n);
        assert_non_null(lens);
        for (size_t k = 0; k < parts->n; k++) lens[k] = (uint32_t)parts->items[k].integer;
        x->n = x->full_len = (uint32_t)ids->n;
        x->ids = int_array(&f->arena, ids);
        x->labels = int_array(&f->arena, weft_json_get(&bins->items[i], "labels"));
        x->part_lens = lens, x->n_parts = (uint32_t)parts->n, x->joined = joined;
        x->row_idx = (uint32_t)i;
        for (uint32_t k = 0; k < x->n; k++) x->n_labels += x->labels[k] != WEFT_IGNORE;
    }
    return e;
}

/* Prompt and answer; what is learnt is the answer. */
static struct weft_example answer_of(struct fixture *f, const struct weft_json_value *row, const char *prompt_of_row,
                                     const struct weft_json_value *answer_row, const char *key)
{
    const struct weft_json_value *prompt = weft_json_get(row, prompt_of_row), *answer = weft_json_get(answer_row, key);
    struct weft_example x = { .n = (uint32_t)(prompt->n + answer->n), .n_labels = (uint32_t)answer->n };
    x.full_len = x.n;
    x.ids = WEFT_NEWS(&f->arena, int32_t, x.n);
    x.labels = WEFT_NEWS(&f->arena, int32_t, x.n);
    assert_true(x.ids && x.labels);
    for (size_t i = 0; i < x.n; i++) {
        bool in = i >= prompt->n;
        x.ids[i] = (int32_t)(in ? answer->items[i - prompt->n] : prompt->items[i]).integer;
        x.labels[i] = in ? x.ids[i] : WEFT_IGNORE;
    }
    return x;
}

/* Rows from ... to - 1 as compared answers, or judged ones beside those of the row before. */
static struct weft_examples answers_of(struct fixture *f, const struct weft_json_value *rows, size_t from, size_t to,
                                       bool judged)
{
    struct weft_examples e = { .n = to - from, .two = true };
    e.items = WEFT_NEWS(&f->arena, struct weft_example, 2 * e.n);
    assert_non_null(e.items);
    for (size_t i = 0; i < e.n; i++) {
        const struct weft_json_value *row = &rows->items[from + i], *before = &rows->items[i ? from + i - 1 : to - 1];
        bool own = judged && weft_json_get(row, "kl");      /* says which answer its prompt is judged by */
        const char *second = own ? "kl" : judged ? "chosen" : "rejected";
        e.items[i] = answer_of(f, row, "prompt", row, "chosen");
        e.items[e.n + i] = answer_of(f, row, "prompt", judged && !own ? before : row, second);
        e.items[i].desirable = judged && weft_json_get(row, "desirable")->boolean;
        e.items[i].row_idx = e.items[e.n + i].row_idx = (uint32_t)i;
    }
    return e;
}

static void switch_adapter(void *model, bool reference) { weft_lora_enable(model, !reference); }

static void note(void *ctx, const struct weft_train_report *r)
{
    struct fixture *f = ctx;
    if (isnan(r->valid_loss)) {
        f->loss[r->step - 1] = r->loss;
        f->grad_norm[r->step - 1] = r->grad_norm;
        f->lr[r->step - 1] = r->lr;
    } else {
        f->valid_loss = r->valid_loss;
    }
}

/* The settings of the run are the reference's own names. */
static void read_settings(struct fixture *f, const char *dir)
{
    const struct weft_json_value *s = weft_json_get(&f->want, "settings");
    struct weft_str_list words = { .items = WEFT_NEWS(&f->arena, const char *, s->n + 1) };
    for (size_t i = 0; i < s->n; i++) {
        struct weft_str value = s->items[i].text;
        if (s->items[i].kind == WEFT_JSON_BOOL) value = s->items[i].boolean ? WEFT_STR("true") : WEFT_STR("false");
        if (s->items[i].kind == WEFT_JSON_NULL) continue;
        words.items[words.n++] = weft_str_printf(&f->arena, "%.*s=%.*s", (int)s->keys[i].len, s->keys[i].s, (int)value.len,
                                                 value.s).s;
    }
    check_ok(weft_recipe_read(&f->recipe, &f->arena, "test", (struct weft_str){ 0 }, &words, NULL, &f->err), &f->err);
    f->recipe.output_dir = dir;
    f->recipe.logging_steps = 1;
    f->recipe.save_strategy = WEFT_STRATEGY_NO;
    check_ok(weft_recipe_check(&f->recipe, NULL, &f->err), &f->err);
}

/* The model of tests/parity/optim.py: shape from the fixture, numbers from a formula of name and place. */
static void formula_model(struct fixture *f, bool exact)
{
    const struct weft_json_value *shape = weft_json_get(&f->want, "shape");
    struct weft_config c;
    if (!weft_config_preset("tiny", &c, NULL, NULL)) fail_msg("no preset tiny");
    c.vocab_size = (size_t)weft_json_get(shape, "vocab_size")->integer;
    c.hidden_size = (size_t)weft_json_get(shape, "hidden_size")->integer;
    c.intermediate_size = (size_t)weft_json_get(shape, "intermediate_size")->integer;
    c.n_layers = (size_t)weft_json_get(shape, "num_hidden_layers")->integer;
    c.n_heads = (size_t)weft_json_get(shape, "num_attention_heads")->integer;
    c.n_kv_heads = (size_t)weft_json_get(shape, "num_key_value_heads")->integer;
    c.head_dim = c.hidden_size / c.n_heads;
    c.max_position_embeddings = 256;
    c.rms_norm_eps = 1e-6f;
    c.rope.theta = 10000;
    c.tie_word_embeddings = false;
    c.pad_token_id = -1;
    struct weft_model_settings how = { .exact = exact };
    check_ok(weft_model_random(&f->model, &c, 1, &how, &f->err), &f->err);
    struct weft_slot *slots;
    size_t n;
    check_ok(weft_model_slots(f->model, &f->arena, &slots, &n, &f->err), &f->err);
    for (size_t i = 0; i < n; i++) {
        size_t len = slots[i].rows * slots[i].cols, name_len = strlen(slots[i].name);
        uint32_t key = 2166136261u;
        float *w = WEFT_NEWS(&f->arena, float, len);
        assert_non_null(w);
        for (const char *s = slots[i].name; *s; s++) key = (key ^ (uint32_t)*s) * 16777619u;
        bool norm = name_len > 11 && !strcmp(slots[i].name + name_len - 11, "norm.weight");
        for (size_t k = 0; k < len; k++) {
            uint32_t x = (uint32_t)k * 2654435761u + key;
            x ^= x >> 16, x *= 0x7FEB352Du, x ^= x >> 15, x *= 0x846CA68Bu, x ^= x >> 16;
            float u = (float)(x >> 8) * 0x1p-24f - 0.5f;
            w[k] = norm ? 1 + u * 0.5f : u * 0.5f;
        }
        weft_slot_set(f->model, &slots[i], w, WEFT_F32);
    }
}

static void set_up(struct fixture *f, const char *name, const char *dir, const char *isa, bool exact)
{
    memset(f, 0, sizeof *f);
    f->base = read_json(f, check_source(&f->arena, "tests/model/data/curve/curve.json"));
    f->want = read_json(f, run_path(f, weft_str_printf(&f->arena, "%s.json", name).s));
    read_settings(f, dir);
    if (f->recipe.stage == WEFT_RECIPE_DPO || f->recipe.stage == WEFT_RECIPE_KTO) {
        bool own = weft_json_get(&f->want, "rows");
        struct weft_json_value all = own ? f->want : read_json(f, run_path(f, "preference/rows.json"));
        const struct weft_json_value *rows = weft_json_get(&all, "rows");
        size_t n_train = (size_t)weft_json_get(&all, "n_train")->integer;
        bool judged = f->recipe.stage == WEFT_RECIPE_KTO;
        f->train = answers_of(f, rows, 0, n_train, judged);
        f->valid = answers_of(f, rows, n_train, rows->n, judged);
    } else {
        bool first = weft_json_get(&f->want, "first_label")->boolean;
        size_t n_train = (size_t)weft_json_get(&f->want, "n_train")->integer, n = weft_json_get(&f->base, "rows")->n;
        const struct weft_json_value *bins = weft_json_get(&f->want, "bins");
        f->train = bins ? bins_of(f, bins, !f->recipe.neat_packing) : rows_of(f, 0, n_train, first);
        f->valid = rows_of(f, n_train, n, first);
    }
    check_ok(weft_pool_new(&f->pool, 2, &f->err), &f->err);
    check_ok(weft_compute_init(&f->compute, isa, f->pool, &f->err), &f->err);
    const char *base = check_source(&f->arena, "tests/model/data/curve");
    struct weft_model_settings how = { .exact = exact, .f32 = f->recipe.pissa_init };
    if (weft_json_get(&f->want, "shape")) formula_model(f, exact);
    else check_ok(weft_model_load(&f->model, base, &how, &f->err), &f->err);
    if (f->recipe.quantization)
        check_ok(weft_model_quantise(f->model, &f->compute, weft_quant_find(f->recipe.quantization),
                                     f->recipe.double_quantization, NULL, &f->err), &f->err);
    const struct weft_json_value *start = weft_json_get(&f->want, "start");
    const struct weft_recipe *r = &f->recipe;
    const char *adapter = NULL;
    if (f->train.two || (start && weft_str_is(start->text, "curve")))       /* that of the model's own folder */
        adapter = weft_path_join(&f->arena, base, "adapter");
    else if (start && start->kind == WEFT_JSON_STRING)
        adapter = run_path(f, weft_str_printf(&f->arena, "start-%.*s", (int)start->text.len, start->text.s).s);
    if (r->pissa_init) {
        static const char *const all[] = { "all" };
        struct weft_lora_settings how_lora = { .rank = (size_t)r->lora_rank, .alpha = (double)r->lora_alpha,
                                               .pissa = true, .targets = all, .n_targets = 1,
                                               .pissa_iter = (int)r->pissa_iter };
        check_ok(weft_lora_attach(&f->arena, f->model, &how_lora, &f->params, &f->err), &f->err);
    } else if (adapter)
        check_ok(weft_lora_load(&f->arena, f->model, adapter, &f->params, NULL, &f->err), &f->err);
    else if (r->use_badam)
        check_ok(weft_model_train_blocks(f->model, &f->arena, r->badam_mode == WEFT_BADAM_RATIO, !exact, &f->params,
                                         &f->err), &f->err);
    else if (r->finetuning_type == WEFT_FINETUNING_FREEZE)
        check_ok(weft_model_train_some(
                     f->model, &f->arena,
                     &(struct weft_freeze){ r->freeze_trainable_layers, r->freeze_trainable_modules.items,
                                            r->freeze_trainable_modules.n, r->freeze_extra_modules.items,
                                            r->freeze_extra_modules.n, false },
                     &f->params, &f->err),
                 &f->err);
    else
        check_ok(weft_model_train_all(f->model, &f->arena, &f->params, &f->err), &f->err);
}

static void tear_down(struct fixture *f)
{
    weft_model_free(f->model);
    weft_compute_clear(&f->compute);
    weft_pool_free(f->pool);
    weft_arena_clear(&f->arena);
}

static double number(const struct fixture *f, const char *list, size_t i)
{
    return weft_json_get(&f->want, list)->items[i].number;
}

/* Rewards of each update, from the log. */
static void read_rewards(struct fixture *f, const char *dir)
{
    static const char *const names[] = { "rewards/chosen", "rewards/rejected" };
    struct weft_str text, line;
    struct weft_json_value v;
    check_ok(weft_file_read(&f->arena, check_path(dir, "log.jsonl"), 0, &text, &f->err), &f->err);
    for (struct weft_lines lines = { .text = text }; weft_lines_next(&lines, &line);) {
        check_ok(weft_json_parse(&f->arena, "log.jsonl", line, &v, &f->err), &f->err);
        const struct weft_json_value *step = weft_json_get(&v, "current_steps");
        for (size_t k = 0; k < 2; k++) {
            const struct weft_json_value *r = weft_json_get(&v, names[k]);
            if (r && weft_json_get(&v, "loss")) f->rewards[k][step->integer - 1] = r->number;
        }
    }
}

/* Sets up and trains; what came out is in f. */
static void go(struct fixture *f, const char *name, const char *isa, bool exact)
{
    static char dir[64];
    snprintf(dir, sizeof dir, "%s", check_folder());
    set_up(f, name, dir, isa, exact);
    if (f->recipe.loraplus_lr_ratio > 0) weft_lora_plus(&f->params, f->recipe.loraplus_lr_ratio);
    struct weft_train_job job = { .model = f->model,
                                  .params = &f->params,
                                  .train = &f->train,
                                  .valid = &f->valid,
                                  .recipe = &f->recipe,
                                  .compute = &f->compute,
                                  .as_reference = switch_adapter,
                                  .reference_ctx = f->model,
                                  .report = note,
                                  .report_ctx = f };
    check_ok(weft_train(&job, &f->result, &f->err), &f->err);
    assert_int_equal(f->result.steps, weft_json_get(&f->want, "loss")->n);
    if (f->train.two) read_rewards(f, dir);
    check_folder_gone(dir);
}

/* loss_tol: of every loss, absolute; norm_tol: of every gradient norm, relative. */
static void check_run(const char *name, const char *isa, bool exact, double loss_tol, double norm_tol)
{
    struct fixture f;
    go(&f, name, isa, exact);
    size_t n = f.result.steps;
    double worst = 0, worst_norm = 0, worst_reward = 0, sum = 0;
    const struct weft_json_value *rewards = weft_json_get(&f.want, "rewards");
    for (size_t i = 0; i < n; i++) {
        worst = fmax(worst, fabs(f.loss[i] - number(&f, "loss", i)));
        worst_norm = fmax(worst_norm, fabs(f.grad_norm[i] / number(&f, "grad_norm", i) - 1));
        for (size_t k = 0; rewards && k < 2; k++)
            worst_reward = fmax(worst_reward, fabs(f.rewards[k][i] - rewards->items[k].items[i].number));
        check_near(f.lr[i], number(&f, "lr", i), 1e-12);
    }
    print_message("%s on %s%s: %zu updates, largest difference of a loss %.1e, of a gradient norm %.1e", name,
                  weft_isa_name(f.compute.isa), exact ? ", exact" : "", n, worst, worst_norm);
    if (rewards) print_message(", of a reward %.1e", worst_reward);
    print_message("\n");
    assert_true(worst <= loss_tol && worst_norm <= norm_tol && worst_reward <= 1e-3);
    const struct weft_json_value *valid = weft_json_get(&f.want, "eval_loss");
    if (valid->kind == WEFT_JSON_NUMBER) check_near(f.valid_loss, valid->number, loss_tol);
    for (size_t i = 0; i < f.params.n; i++)
        if (f.params.items[i].w)
            sum += weft_sum_squares(&f.compute, f.params.items[i].w, f.params.items[i].rows * f.params.items[i].cols);
    const struct weft_json_value *norm = weft_json_get(&f.want, "norm_of_weights");
    if (norm) check_near(sqrt(sum) / norm->number, 1, exact ? 1e-5 : 1e-3);
    tear_down(&f);
}

/* What weft computes in the runs that somebody made just now. */
static void test_runs_from_outside(void **state)
{
    const char *names = getenv("WEFT_PARITY_NAMES"), *to = getenv("WEFT_PARITY_CURVES");
    struct weft_lines lines = { .text = weft_str_c(names ? names : "") };
    struct weft_str name;
    struct weft_err err = { 0 };
    struct weft_buf out = { 0 };
    if (!names || !to) skip();
    while (weft_lines_next(&lines, &name)) {
        struct fixture f;
        char path[96];
        snprintf(path, sizeof path, "%.*s", (int)name.len, name.s);
        go(&f, path, NULL, !weft_str_ends(name, WEFT_STR("-bf16")));
        weft_buf_printf(&out, "{\"name\": \"%s\", \"isa\": \"%s\", \"valid\": %.17g", path,
                        weft_isa_name(f.compute.isa), f.valid_loss);
        const struct { const char *key; const double *v; } lists[] = {
            { "loss", f.loss }, { "grad_norm", f.grad_norm }, { "chosen", f.rewards[0] }, { "rejected", f.rewards[1] }
        };
        for (size_t k = 0; k < (f.train.two ? 4 : 2); k++) {
            weft_buf_printf(&out, ", \"%s\": [", lists[k].key);
            for (size_t i = 0; i < f.result.steps; i++) weft_buf_printf(&out, "%s%.17g", i ? ", " : "", lists[k].v[i]);
            weft_buf_cstr(&out, "]");
        }
        weft_buf_cstr(&out, "}\n");
        tear_down(&f);
    }
    check_ok(weft_file_write(to, weft_buf_view(&out), &err), &err);
    weft_buf_clear(&out);
}

static void test_lora_50_updates(void **state) { check_run("lora", NULL, true, 1e-4, 1e-3); }
static void test_lora_50_updates_on_the_plain_level(void **state) { check_run("lora", "ref", true, 1e-4, 1e-3); }
static void test_rslora_50_updates(void **state) { check_run("rslora", NULL, true, 1e-4, 1e-3); }
static void test_dora_50_updates(void **state) { check_run("dora", NULL, true, 1e-4, 1e-3); }
static void test_loraplus_50_updates(void **state) { check_run("loraplus", NULL, true, 1e-4, 1e-3); }
static void test_copies_of_tables_50_updates(void **state) { check_run("tables", NULL, true, 1e-4, 1e-3); }
static void test_qlora_50_updates(void **state)
{
    check_run("qlora", NULL, true, 1e-4, 1e-3);
    check_run("qlora", "ref", true, 1e-4, 1e-3);
    check_run("qlora-plain", NULL, true, 1e-4, 1e-3);
}
static void test_pissa_50_updates(void **state) { check_run("pissa", NULL, true, 1e-4, 1e-3); }
static void test_bins_of_rows_50_updates(void **state)
{
    check_run("packing", NULL, true, 5e-5, 1e-3);
    check_run("neat_packing", NULL, true, 5e-5, 1e-3);
}
static void test_freeze_50_updates(void **state) { check_run("freeze", NULL, true, 5e-5, 1e-3); }
static void test_full_50_updates(void **state) { check_run("full", NULL, true, 5e-5, 1e-3); }
static void test_q2_first_labels_counted(void **state) { check_run("first", NULL, true, 5e-5, 1e-3); }
static void test_linear_with_its_own_data_seed_and_half_an_epoch(void **state)
{
    check_run("linear", NULL, true, 5e-5, 1e-3);
}

/* As fast as the machine does it, bf16 where it multiplies so: within 2 % of the f32 curve. */
static void test_lora_and_full_in_bf16(void **state)
{
    check_run("lora", NULL, false, 0.08, 0.1);
    check_run("full", NULL, false, 0.08, 0.1);
    check_run("dora", NULL, false, 0.08, 0.1);
    check_run("qlora", NULL, false, 0.08, 0.1);
}

/* The packages' own steps are f32 sums in another order; codes of moments flip where a value lies between two. */
static void test_adamw_8bit_50_updates(void **state) { check_run("optim/adamw_8bit", NULL, true, 2e-3, 2e-2); }
/* The five steps of Newton and Schulz are in bf16 there, in f32 here. */
static void test_muon_50_updates(void **state) { check_run("optim/muon", NULL, true, 5e-3, 5e-3); }
static void test_galore_50_updates(void **state) { check_run("optim/galore", NULL, true, 1e-4, 1e-3); }
static void test_galore_with_new_directions_every_5_updates(void **state)
{
    check_run("optim/galore_gap5", NULL, true, 1e-4, 1e-3);
    check_run("optim/galore_full", NULL, true, 1e-4, 1e-3);
}

static void test_apollo_50_updates(void **state)
{
    check_run("optim/apollo", NULL, true, 1e-4, 1e-3);
    check_run("optim/apollo_svd", NULL, true, 1e-4, 1e-3);
    check_run("optim/apollo_mini", NULL, true, 1e-4, 1e-3);
}

/* The gradient norm is that of the active layer: a switch at another update would show.  A layer begins with m = v = 0,
 * and its first step goes by the signs of the gradient: where one is near 0 the curves may part (5.9e-5 at avx2). */
static void test_badam_50_updates(void **state)
{
    check_run("optim/badam", NULL, true, 1e-4, 1e-3);
    check_run("optim/badam_descending", NULL, true, 1e-4, 1e-3);
    check_run("optim/badam_ratio", NULL, true, 1e-4, 1e-3);
    check_run("optim/badam", NULL, false, 0.08, 0.1);
}

static void test_compared_answers_50_updates(void **state)
{
    static const char *const names[] = { "sigmoid", "smoothed", "hinge", "ipo", "orpo", "simpo" };
    for (size_t i = 0; i < WEFT_COUNT(names); i++) {
        char name[64];
        snprintf(name, sizeof name, "preference/%s", names[i]);
        check_run(name, NULL, true, 2e-4, 1e-3);
    }
}

static void test_judged_answers_50_updates(void **state) { check_run("preference/kto", NULL, true, 2e-4, 1e-3); }

static void test_order_of_rows_is_the_reference_loaders(void **state)
{
    static const char *const names[] = { "lora", "linear" };
    for (size_t k = 0; k < WEFT_COUNT(names); k++) {
        struct fixture f = { 0 };
        f.want = read_json(&f, run_path(&f, weft_str_printf(&f.arena, "%s.json", names[k]).s));
        const struct weft_json_value *order = weft_json_get(&f.want, "order");
        size_t n = (size_t)weft_json_get(&f.want, "n_train")->integer;
        uint32_t perm[64];
        assert_true(n <= 64 && order->n > n);
        for (size_t i = 0; i < order->n; i++) {
            if (i % n == 0) weft_randperm((k ? 7 : 42) + i / n, n, perm);
            assert_int_equal(order->items[i].integer, perm[i % n]);
        }
        weft_arena_clear(&f.arena);
    }
}

int main(void)
{
    const struct CMUnitTest outside[] = { cmocka_unit_test(test_runs_from_outside) };
    if (getenv("WEFT_PARITY_RUNS")) return cmocka_run_group_tests(outside, NULL, NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lora_50_updates),
        cmocka_unit_test(test_lora_50_updates_on_the_plain_level),
        cmocka_unit_test(test_rslora_50_updates),
        cmocka_unit_test(test_dora_50_updates),
        cmocka_unit_test(test_loraplus_50_updates),
        cmocka_unit_test(test_copies_of_tables_50_updates),
        cmocka_unit_test(test_qlora_50_updates),
        cmocka_unit_test(test_pissa_50_updates),
        cmocka_unit_test(test_bins_of_rows_50_updates),
        cmocka_unit_test(test_freeze_50_updates),
        cmocka_unit_test(test_full_50_updates),
        cmocka_unit_test(test_q2_first_labels_counted),
        cmocka_unit_test(test_linear_with_its_own_data_seed_and_half_an_epoch),
        cmocka_unit_test(test_lora_and_full_in_bf16),
        cmocka_unit_test(test_adamw_8bit_50_updates),
        cmocka_unit_test(test_muon_50_updates),
        cmocka_unit_test(test_galore_50_updates),
        cmocka_unit_test(test_galore_with_new_directions_every_5_updates),
        cmocka_unit_test(test_apollo_50_updates),
        cmocka_unit_test(test_badam_50_updates),
        cmocka_unit_test(test_compared_answers_50_updates),
        cmocka_unit_test(test_judged_answers_50_updates),
        cmocka_unit_test(test_order_of_rows_is_the_reference_loaders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
