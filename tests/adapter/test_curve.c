/* 50 LoRA updates beside torch and peft: the fixture tests/model/data/curve (tests/parity/model.py, write_curve). */
#include "adapter/lora.h"
#include "model/models.h"

struct row {
    int32_t *ids, *labels;
    size_t n;
};

struct curve {
    struct weft_arena arena;
    struct weft_json_value json;
    struct row *rows;
    size_t n_rows;
};

static int32_t *int_array(struct weft_arena *a, const struct weft_json_value *v, size_t *n)
{
    int32_t *p = WEFT_NEWS(a, int32_t, v->n);
    for (size_t i = 0; i < v->n; i++) p[i] = (int32_t)v->items[i].integer;
    *n = v->n;
    return p;
}

static void read_curve(struct curve *c)
{
    struct weft_err err = { 0 };
    struct weft_str text;
    *c = (struct curve){ 0 };
    const char *path = check_source(&c->arena, "tests/model/data/curve/curve.json");
    check_ok(weft_file_read(&c->arena, path, 0, &text, &err), &err);
    check_ok(weft_json_parse(&c->arena, path, text, &c->json, &err), &err);
    const struct weft_json_value *rows = weft_json_get(&c->json, "rows");
    c->n_rows = rows->n;
    c->rows = WEFT_NEWS(&c->arena, struct row, rows->n);
    for (size_t i = 0; i < rows->n; i++) {
        c->rows[i].ids = int_array(&c->arena, weft_json_get(&rows->items[i], "ids"), &c->rows[i].n);
        c->rows[i].labels = int_array(&c->arena, weft_json_get(&rows->items[i], "labels"), &c->rows[i].n);
    }
}

static double number(const struct curve *c, const char *list, size_t i)
{
    return weft_json_get(&c->json, list)->items[i].number;
}
static double setting(const struct curve *c, const char *key)
{
    return weft_json_get(weft_json_get(&c->json, "settings"), key)->number;
}

/* Rows first ... first + count - 1 as one batch, in arena a. */
static struct weft_batch batch_of(struct weft_arena *a, const struct curve *c, size_t first, size_t count)
{
    struct weft_batch b = { .n_seqs = count };
    for (size_t i = 0; i < count; i++) b.n_tokens += c->rows[first + i].n;
    int32_t *ids = WEFT_NEWS(a, int32_t, b.n_tokens), *labels = WEFT_NEWS(a, int32_t, b.n_tokens);
    int32_t *pos = WEFT_NEWS(a, int32_t, b.n_tokens), *cu = WEFT_NEWS(a, int32_t, count + 1);
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        const struct row *r = &c->rows[first + i];
        for (size_t k = 0; k < r->n; k++, at++) {
            ids[at] = r->ids[k];
            labels[at] = r->labels[k];
            pos[at] = (int32_t)k;
            b.n_labels += labels[at] != WEFT_IGNORE;        /* unshifted, label[0] too */
        }
        cu[i + 1] = (int32_t)at;
    }
    b.ids = ids, b.labels = labels, b.pos = pos, b.cu = cu;
    return b;
}

struct moments {
    float *m, *v;
};

/* Trains through the fixture and hands each update's loss and gradient norm to `check`. */
static void
run_curve(bool exact,
          void (*check)(const struct curve *c, size_t update, double loss, double norm, void *ctx), void *ctx)
{
    struct curve c;
    struct weft_arena step = { 0 };
    struct weft_pool *pool;
    struct weft_compute compute = { 0 };
    struct weft_model *model;
    struct weft_model_settings settings = { .exact = exact };
    struct weft_params params = { 0 };
    struct weft_pass *pass;
    struct weft_err err = { 0 };

    read_curve(&c);
    size_t batch = (size_t)setting(&c, "batch"), accumulation = (size_t)setting(&c, "accumulation");
    size_t updates = (size_t)setting(&c, "updates"), n_micro = weft_ceil_div(c.n_rows, batch);
    double b1 = setting(&c, "beta1"), b2 = setting(&c, "beta2"), max_norm = setting(&c, "max_grad_norm");
    check_ok(weft_pool_new(&pool, 2, &err), &err);
    check_ok(weft_compute_init(&compute, NULL, pool, &err), &err);
    check_ok(weft_model_load(&model, check_source(&c.arena, "tests/model/data/curve"), &settings, &err), &err);
    check_ok(weft_lora_load(&c.arena, model, check_source(&c.arena, "tests/model/data/curve/adapter"),
                            &params, NULL, &err),
             &err);
    check_ok(weft_pass_new(&pass, &compute, model,
                           &(struct weft_pass_settings){ .max_tokens = 64, .backward = true }, &err),
             &err);
    struct moments *moments = WEFT_NEWS(&c.arena, struct moments, params.n);
    for (size_t i = 0; i < params.n; i++) {
        size_t n = params.items[i].rows * params.items[i].cols;
        moments[i] = (struct moments){ WEFT_NEWS(&c.arena, float, n), WEFT_NEWS(&c.arena, float, n) };
    }
    for (size_t u = 0, micro = 0; u < updates; u++) {
        struct weft_arena_mark mark = weft_arena_mark(&step);
        struct weft_batch batches[8];
        size_t n = 0, items = 0;
        double sum = 0, squares = 0;
        for (; n < accumulation && micro < n_micro; n++, micro++) {
            batches[n] = batch_of(&step, &c, micro * batch, weft_min_size(batch, c.n_rows - micro * batch));
            items += batches[n].n_labels;
        }
        if (micro == n_micro) micro = 0;        /* groups never cross epochs */
        zero_grads(&params);
        for (size_t i = 0; i < n; i++) {
            struct weft_loss loss;
            check_ok(weft_model_loss_backward(model, pass, &batches[i], 1 / (float)items, 0, 0, &loss, NULL,
                                              NULL, &err),
                     &err);
            sum += loss.sum;
        }
        for (size_t i = 0; i < params.n; i++)
            squares += weft_sum_squares(&compute, params.items[i].grad, params.items[i].rows * params.items[i].cols);
        check(&c, u, sum / (double)items, sqrt(squares), ctx);
        double lr = number(&c, "lr", u), t = (double)u + 1;
        struct weft_adamw_step s = {
            .lr = (float)lr,
            .wd = (float)setting(&c, "weight_decay"),
            .beta1 = (float)b1,
            .beta2 = (float)b2,
            .eps = (float)setting(&c, "eps"),
            .step_size = (float)(lr / (1 - pow(b1, t))),
            .inv_sqrt_bc2 = (float)(1 / sqrt(1 - pow(b2, t))),
            .g_scale = (float)fmin(1, max_norm / (sqrt(squares) + 1e-6)),
        };
        for (size_t i = 0; i < params.n; i++)
            weft_adamw(&compute, params.items[i].w, moments[i].m, moments[i].v, params.items[i].grad,
                       params.items[i].rows * params.items[i].cols, &s);
        weft_arena_release(&step, mark);
    }
    weft_pass_free(pass);
    weft_model_free(model);
    weft_compute_clear(&compute);
    weft_pool_free(pool);
    weft_arena_clear(&step);
    weft_arena_clear(&c.arena);
}

struct worst {
    double loss, norm, mean, first, last;
};

static void compare(const struct curve *c, size_t update, double loss, double norm, void *ctx)
{
    struct worst *w = ctx;
    double d_loss = fabs(loss - number(c, "loss", update)), d_norm = fabs(norm / number(c, "grad_norm", update) - 1);
    if (!isfinite(d_loss) || !isfinite(d_norm)) fail_msg("update %zu: loss %g, norm %g", update, loss, norm);
    w->loss = fmax(w->loss, d_loss);
    w->norm = fmax(w->norm, d_norm);
    w->mean += d_loss / number(c, "loss", update) / 50;
    if (!update) w->first = loss;
    w->last = loss;
}

static void test_losses_over_50_updates_are_those_of_torch(void **state)
{
    struct worst w = { 0 };
    run_curve(true, compare, &w);
    print_message("f32: largest difference of a loss %.2g, of a gradient norm %.2g; loss %.4f -> %.4f\n",
                  w.loss, w.norm, w.first, w.last);
    assert_true(w.loss <= 1e-4);
    assert_true(w.norm <= 1e-3);
    assert_true(w.last < w.first);
}

static void test_losses_in_bf16_stay_close(void **state)
{
    struct worst w = { 0 };
    run_curve(false, compare, &w);
    print_message("bf16: mean difference %.3f %%\n", 100 * w.mean);
    assert_true(w.mean <= 0.005);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_losses_over_50_updates_are_those_of_torch),
        cmocka_unit_test(test_losses_in_bf16_stay_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
