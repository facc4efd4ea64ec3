/* The backward pass against finite differences, and what must not change a bit of it. */
#include "model/models.h"

static const uint32_t lengths[] = { 1, 2, 7, 37, 11, 20 };

struct setup {
    struct weft_arena arena;
    struct weft_pool *pool;
    struct weft_compute compute;
    struct weft_model *model;
    struct weft_params params;
    struct weft_branch *branches;
    struct weft_batch batch;
    struct weft_err err;
};

static void set_up(struct setup *s, const struct weft_config *c, int threads, const char *isa)
{
    memset(s, 0, sizeof *s);
    check_ok(weft_pool_new(&s->pool, threads, &s->err), &s->err);
    check_ok(weft_compute_init(&s->compute, isa, s->pool, &s->err), &s->err);
    check_ok(weft_model_random(&s->model, c, 7, NULL, &s->err), &s->err);
    s->model->exact = true;
    s->batch = random_batch(&s->arena, lengths, WEFT_COUNT(lengths), c->vocab_size, 5);
}

static void tear_down(struct setup *s)
{
    weft_model_free(s->model);
    weft_compute_clear(&s->compute);
    weft_pool_free(s->pool);
    weft_arena_clear(&s->arena);
}

/* Branches on every linear layer, both matrices away from zero. */
static void add_branches(struct setup *s, size_t rank, float dropout)
{
    struct weft_model *m = s->model;
    size_t n = weft_model_n_linears(m);
    struct weft_rng rng;
    weft_rng_init(&rng, 3, WEFT_RNG_TEST, 2);
    s->branches = WEFT_NEWS(&s->arena, struct weft_branch, n);
    assert_non_null(s->branches);
    for (size_t i = 0; i < n; i++) {
        struct weft_linear *l = weft_model_linear(m, i);
        struct weft_branch *b = &s->branches[i];
        *b = (struct weft_branch){ .rank = rank, .scale = 2, .dropout = dropout, .enabled = true,
            .module_id = (uint32_t)i };
        size_t n_a = rank * l->n_in, n_b = rank * l->n_out;
        b->a = WEFT_NEWS(&s->arena, float, n_a), b->da = WEFT_NEWS(&s->arena, float, n_a);
        b->b = WEFT_NEWS(&s->arena, float, n_b), b->db = WEFT_NEWS(&s->arena, float, n_b);
        assert_true(b->a && b->da && b->b && b->db);
        for (size_t k = 0; k < n_a; k++) b->a[k] = 0.2f * weft_rng_normal(&rng);
        for (size_t k = 0; k < n_b; k++) b->b[k] = 0.05f * weft_rng_normal(&rng);
        struct weft_param pa = { .name = l->name, .rows = rank, .cols = l->n_in, .w = b->a, .grad = b->da };
        struct weft_param pb = { .name = l->name, .rows = l->n_out, .cols = rank, .w = b->b, .grad = b->db };
        check_ok(weft_params_add(&s->params, &s->arena, &pa, &s->err), &s->err);
        check_ok(weft_params_add(&s->params, &s->arena, &pb, &s->err), &s->err);
        l->branch = b;
    }
}

static double loss_of(struct setup *s, struct weft_pass *pass, bool backward, float coef)
{
    struct weft_loss loss;
    if (backward)
        check_ok(weft_model_loss_backward(s->model, pass, &s->batch, coef, 11, 3, &loss, NULL, NULL, &s->err),
                 &s->err);
    else check_ok(weft_model_loss(s->model, pass, &s->batch, &loss, &s->err), &s->err);
    return loss.sum;
}

static struct weft_pass *new_pass(struct setup *s, struct weft_pass_settings settings)
{
    struct weft_pass *pass;
    settings.max_tokens = s->batch.n_tokens;
    check_ok(weft_pass_new(&pass, &s->compute, s->model, &settings, &s->err), &s->err);
    return pass;
}

/* Along a random direction in each tensor: g.v = (L(w + hv) - L(w - hv)) / 2h. */
static void check_directions(struct setup *s, bool dropout)
{
    struct weft_pass *pass = new_pass(s, (struct weft_pass_settings){ .backward = true });
    struct weft_rng rng;
    weft_rng_init(&rng, 1, WEFT_RNG_TEST, 9);
    for (size_t i = 0; i < s->params.n; i++) {
        struct weft_param *p = &s->params.items[i];
        zero_grads(&s->params);         /* again: with dropout every loss below adds to the gradients */
        loss_of(s, pass, true, 1);
        size_t n = p->rows * p->cols;
        float *v = WEFT_NEWS(&s->arena, float, n), *old = WEFT_NEWS(&s->arena, float, n);
        double gv = 0, norm = 0, loss[2], gg = 0;
        assert_true(v && old);
        for (size_t k = 0; k < n; k++) {
            v[k] = weft_rng_normal(&rng);
            norm += (double)v[k] * (double)v[k];
            gg += (double)p->grad[k] * (double)p->grad[k];
        }
        /* half along the gradient, so that the derivative is not small by chance */
        for (size_t k = 0; k < n; k++) {
            v[k] = (float)((double)v[k] / sqrt(norm) + (gg > 0 ? (double)p->grad[k] / sqrt(gg) : 0));
            gv += (double)p->grad[k] * (double)v[k];
        }
        memcpy(old, p->w, n * sizeof *old);
        const float h = 4e-3f;
        for (int side = 0; side < 2; side++) {
            for (size_t k = 0; k < n; k++) p->w[k] = old[k] + (side ? -h : h) * v[k];
            loss[side] = loss_of(s, pass, dropout, 1);      /* the same masks only in a training pass */
        }
        memcpy(p->w, old, n * sizeof *old);
        double want = (loss[0] - loss[1]) / (2 * (double)h);
        if (!(fabs(gv - want) <= 3e-3 * fabs(want) + 2e-2))
            fail_msg("%s [%zu, %zu]: gradient %.9g along v, difference quotient %.9g", p->name, p->rows,
                     p->cols, gv, want);
    }
    weft_pass_free(pass);
}

static void test_gradients_of_all_weights_match_differences(void **state)
{
    for (int tied = 0; tied < 2; tied++) {
        struct weft_config c = small_config();
        struct setup s;
        c.tie_word_embeddings = tied;
        set_up(&s, &c, 1, NULL);
        check_ok(weft_model_train_all(s.model, &s.arena, &s.params, &s.err), &s.err);
        assert_int_equal(s.params.n_values, weft_config_n_params(&c));
        roughen(&s.params, 1);
        check_directions(&s, false);
        tear_down(&s);
    }
}

static void test_gradients_of_other_architectures_match_differences(void **state)
{
    struct weft_config c = small_config();
    struct setup s;
    c.model_type = "qwen3";         /* per-head norms, d * H != D */
    c.qkv_bias = false;
    c.qk_norm = true;
    c.head_dim = 12;
    set_up(&s, &c, 1, NULL);
    check_ok(weft_model_train_all(s.model, &s.arena, &s.params, &s.err), &s.err);
    roughen(&s.params, 1);
    check_directions(&s, false);
    tear_down(&s);

    c = small_config();
    c.model_type = "mistral";       /* a window, and biases everywhere for good measure */
    c.sliding_window = 8;
    weft_config_slide_from(&c, 1);
    c.o_bias = c.mlp_bias = true;
    set_up(&s, &c, 1, NULL);
    check_ok(weft_model_train_all(s.model, &s.arena, &s.params, &s.err), &s.err);
    roughen(&s.params, 1);
    check_directions(&s, false);
    tear_down(&s);
}

static void test_gradients_of_branches_match_differences(void **state)
{
    for (int dropout = 0; dropout < 2; dropout++) {
        struct weft_config c = small_config();
        struct setup s;
        set_up(&s, &c, 1, NULL);
        add_branches(&s, 4, dropout ? 0.2f : 0);
        check_directions(&s, dropout);
        tear_down(&s);
    }
}

/* Gradients of all parameters, one behind the other. */
static float *all_grads(struct setup *s, struct weft_pass_settings settings, size_t *n, double *loss)
{
    struct weft_pass *pass = new_pass(s, settings);
    zero_grads(&s->params);
    *loss = loss_of(s, pass, true, 1.0f / 64);
    weft_pass_free(pass);
    *n = s->params.n_values;
    float *all = malloc(*n * sizeof *all), *p = all;
    assert_non_null(all);
    for (size_t i = 0; i < s->params.n; i++) {
        size_t k = s->params.items[i].rows * s->params.items[i].cols;
        memcpy(p, s->params.items[i].grad, k * sizeof *p);
        p += k;
    }
    return all;
}

static void compare_passes(bool full, struct weft_pass_settings one, int threads_one,
                           struct weft_pass_settings two, int threads_two, double tolerance)
{
    struct weft_config c = small_config();
    float *grads[2];
    double loss[2];
    size_t n;
    for (int i = 0; i < 2; i++) {
        struct setup s;
        set_up(&s, &c, i ? threads_two : threads_one, NULL);
        s.model->exact = tolerance > 0;     /* one row at a time is multiplied in f32 anyway */
        if (full) check_ok(weft_model_train_all(s.model, &s.arena, &s.params, &s.err), &s.err);
        else add_branches(&s, 4, 0.1f);
        grads[i] = all_grads(&s, i ? two : one, &n, &loss[i]);
        tear_down(&s);
    }
    if (tolerance == 0) {
        assert_memory_equal(grads[0], grads[1], n * sizeof(float));
        assert_memory_equal(&loss[0], &loss[1], sizeof loss[0]);
    } else {
        assert_true(rel_l2(grads[0], grads[1], n) <= tolerance);
        assert_true(fabs(loss[0] - loss[1]) <= tolerance * fabs(loss[1]));
    }
    free(grads[0]);
    free(grads[1]);
}

static void test_checkpointing_changes_no_bit(void **state)
{
    for (int full = 0; full < 2; full++)
        compare_passes(full, (struct weft_pass_settings){ .backward = true }, 1,
                       (struct weft_pass_settings){ .backward = true, .checkpointing = true }, 1, 0);
}

/* Longer batches than it trains on may be measured: in the memory of training, and with the same bits. */
static void test_longer_batches_are_measured_in_the_memory_of_training(void **state)
{
    struct weft_config c = small_config();
    struct setup s;
    struct weft_pass *pass;
    struct weft_loss loss;
    struct weft_pass_bytes plain, both;
    set_up(&s, &c, 1, NULL);
    add_branches(&s, 3, 0);
    struct weft_pass *whole = new_pass(&s, (struct weft_pass_settings){ .backward = true });
    double want = loss_of(&s, whole, false, 0);
    struct weft_pass_settings settings = { .max_tokens = s.batch.n_tokens - 1, .backward = true };
    check_ok(weft_pass_plan(&s.compute, s.model, &settings, &plain, &s.err), &s.err);
    settings.loss_tokens = s.batch.n_tokens;
    check_ok(weft_pass_plan(&s.compute, s.model, &settings, &both, &s.err), &s.err);
    assert_true(both.activations == plain.activations && both.scratch == plain.scratch && !both.losses);
    check_ok(weft_pass_new(&pass, &s.compute, s.model, &settings, &s.err), &s.err);
    assert_true(loss_of(&s, pass, false, 0) == want);
    check_fails(weft_model_loss_backward(s.model, pass, &s.batch, 1, 0, 0, &loss, NULL, NULL, &s.err), &s.err,
                WEFT_EARG, "", "has room for");
    weft_pass_free(pass);
    weft_pass_free(whole);
    settings.loss_tokens = 100 * s.batch.n_tokens;
    check_ok(weft_pass_plan(&s.compute, s.model, &settings, &both, &s.err), &s.err);
    assert_true(both.losses > both.activations);
    tear_down(&s);
}

static void test_threads_change_no_bit(void **state)
{
    for (int full = 0; full < 2; full++) {
        struct weft_pass_settings s = { .backward = true };
        compare_passes(full, s, 1, s, 2, 0);
        compare_passes(full, s, 1, s, 5, 0);
    }
}

static void test_rows_of_logits_at_a_time_hardly_matter(void **state)
{
    static const size_t rows[] = { 1, 7 };
    for (int full = 0; full < 2; full++)
        for (size_t i = 0; i < WEFT_COUNT(rows); i++)
            compare_passes(full, (struct weft_pass_settings){ .backward = true, .loss_rows = rows[i] }, 1,
                           (struct weft_pass_settings){ .backward = true, .loss_rows = 4096 }, 1, 1e-6);
}

/* Two sequences in one batch compute what each computes alone. */
static void test_packed_sequences_do_not_see_each_other(void **state)
{
    struct weft_config c = small_config();
    struct setup s;
    double alone = 0, together, by_row[WEFT_COUNT(lengths)];
    struct weft_loss loss;
    set_up(&s, &c, 1, NULL);
    add_branches(&s, 4, 0);
    struct weft_pass *pass = new_pass(&s, (struct weft_pass_settings){ .backward = true });
    struct weft_batch all = s.batch;
    check_ok(weft_model_loss_backward(s.model, pass, &all, 1, 0, 0, &loss, by_row, NULL, &s.err), &s.err);
    together = loss.sum;
    for (size_t i = 0; i < all.n_seqs; i++) {
        int32_t at = all.cu[i], cu[2] = { 0, all.cu[i + 1] - at };
        s.batch = (struct weft_batch){ .ids = all.ids + at, .labels = all.labels + at, .pos = all.pos + at, .cu = cu,
                                       .n_tokens = (size_t)cu[1], .n_seqs = 1 };
        double one = loss_of(&s, pass, false, 0);
        assert_true(fabs(one - by_row[i]) <= 1e-5 * fabs(one));
        alone += one;
    }
    assert_true(fabs(alone - together) <= 1e-6 * together);
    weft_pass_free(pass);
    tear_down(&s);
}

static void test_nothing_is_computed_for_a_batch_without_labels(void **state)
{
    struct weft_config c = small_config();
    struct setup s;
    struct weft_loss loss = { 5, 5 };
    set_up(&s, &c, 1, NULL);
    add_branches(&s, 2, 0);
    int32_t *none = WEFT_NEWS(&s.arena, int32_t, s.batch.n_tokens);
    for (size_t i = 0; i < s.batch.n_tokens; i++) none[i] = WEFT_IGNORE;
    s.batch.labels = none;
    struct weft_pass *pass = new_pass(&s, (struct weft_pass_settings){ .backward = true });
    check_ok(weft_model_loss_backward(s.model, pass, &s.batch, 1, 0, 0, &loss, NULL, NULL, &s.err), &s.err);
    assert_true(loss.n == 0 && loss.sum == 0);
    weft_pass_free(pass);
    tear_down(&s);
}

static void test_ids_beyond_the_vocabulary_are_refused(void **state)
{
    struct weft_config c = small_config();
    struct setup s;
    struct weft_loss loss;
    set_up(&s, &c, 1, NULL);
    int32_t *ids = WEFT_NEWS(&s.arena, int32_t, s.batch.n_tokens);
    memcpy(ids, s.batch.ids, s.batch.n_tokens * sizeof *ids);
    ids[20] = (int32_t)c.vocab_size;
    s.batch.ids = ids;
    struct weft_pass *pass = new_pass(&s, (struct weft_pass_settings){ 0 });
    check_fails(weft_model_loss(s.model, pass, &s.batch, &loss, &s.err), &s.err, WEFT_EINPUT, "B6", "token 20");
    ids[20] = 1;
    int32_t *labels = WEFT_NEWS(&s.arena, int32_t, s.batch.n_tokens);
    memcpy(labels, s.batch.labels, s.batch.n_tokens * sizeof *labels);
    labels[30] = -7;
    s.batch.labels = labels;
    weft_err_clear(&s.err);
    check_fails(weft_model_loss(s.model, pass, &s.batch, &loss, &s.err), &s.err, WEFT_EINPUT, "B6", "label -7");
    weft_pass_free(pass);
    tear_down(&s);
}

/* Only the trained layers are run backward: an adapter on the upper layer alone gives the same gradients there. */
static void test_layers_below_the_lowest_trained_one_keep_nothing(void **state)
{
    struct weft_config c = small_config();
    float *grads[2];
    size_t n = 0;
    for (int only_top = 0; only_top < 2; only_top++) {
        struct setup s;
        double loss;
        set_up(&s, &c, 1, NULL);
        add_branches(&s, 4, 0);
        if (only_top) {
            /* the lower branches stay, but frozen */
            for (size_t i = 0; i < 14; i++) s.branches[i].da = s.branches[i].db = NULL;
            s.params.items += 28;
            s.params.n -= 28;
            s.params.n_values = 0;
            for (size_t i = 0; i < s.params.n; i++)
                s.params.n_values += s.params.items[i].rows * s.params.items[i].cols;
        }
        grads[only_top] = all_grads(&s, (struct weft_pass_settings){ .backward = true }, &n, &loss);
        if (!only_top) {
            size_t all = n;
            n = 0;
            for (size_t i = 28; i < s.params.n; i++) n += s.params.items[i].rows * s.params.items[i].cols;
            memmove(grads[0], grads[0] + (all - n), n * sizeof(float));
        }
        tear_down(&s);
    }
    assert_memory_equal(grads[0], grads[1], n * sizeof(float));
    free(grads[0]);
    free(grads[1]);
}

/* ---- noise on the embeddings ---- */

static void test_noise_is_drawn_for_training_alone_and_named_by_its_step(void **state)
{
    struct weft_config c = small_config();
    struct setup s;
    struct weft_loss loss, again, other;
    float y[1000] = { 0 };
    double worst = 0, sum = 0;
    (void)state;
    set_up(&s, &c, 2, "auto");
    check_ok(weft_model_train_all(s.model, &s.arena, &s.params, &s.err), &s.err);
    struct weft_pass *plain = new_pass(&s, (struct weft_pass_settings){ .backward = true }),
                     *noisy = new_pass(&s, (struct weft_pass_settings){ .backward = true, .neftune_noise_alpha = 5 });
    double without = loss_of(&s, plain, false, 0);
    assert_true(loss_of(&s, noisy, false, 0) == without);
    check_ok(weft_model_loss_backward(s.model, noisy, &s.batch, 1, 11, 3, &loss, NULL, NULL, &s.err), &s.err);
    check_ok(weft_model_loss_backward(s.model, noisy, &s.batch, 1, 11, 3, &again, NULL, NULL, &s.err), &s.err);
    check_ok(weft_model_loss_backward(s.model, noisy, &s.batch, 1, 11, 4, &other, NULL, NULL, &s.err), &s.err);
    assert_true(loss.sum == again.sum && loss.sum != other.sum && loss.sum != without);
    /* U(-m, m) */
    weft_add_noise(&s.compute, y, WEFT_COUNT(y), 0.25f, 11, 3);
    for (size_t i = 0; i < WEFT_COUNT(y); i++) {
        worst = fmax(worst, fabs((double)y[i]));
        sum += (double)y[i] * (double)y[i];
    }
    assert_true(worst <= 0.25 && worst > 0.24);
    check_near(sum / WEFT_COUNT(y), 0.25 * 0.25 / 3, 0.002);
    weft_pass_free(plain);
    weft_pass_free(noisy);
    tear_down(&s);
}

/* The noise is the same in every pass of a step, so differences of the noisy loss are its gradient. */
static void test_gradients_under_noise_match_differences(void **state)
{
    struct weft_config c = small_config();
    struct setup s;
    (void)state;
    set_up(&s, &c, 2, "auto");
    check_ok(weft_model_train_all(s.model, &s.arena, &s.params, &s.err), &s.err);
    struct weft_pass *pass = new_pass(&s, (struct weft_pass_settings){ .backward = true, .neftune_noise_alpha = 5 });
    struct weft_param *p = &s.params.items[0];      /* the token table, which the noise is added to */
    zero_grads(&s.params);
    loss_of(&s, pass, true, 1);
    size_t n = p->rows * p->cols;
    float *g = WEFT_NEWS(&s.arena, float, n);
    double norm = 0, sides[2];
    assert_non_null(g);
    memcpy(g, p->grad, n * sizeof *g);
    for (size_t i = 0; i < n; i++) norm += (double)g[i] * (double)g[i];
    norm = sqrt(norm);
    for (int side = 0; side < 2; side++) {
        const float h = side ? -4e-3f : 4e-3f;
        for (size_t i = 0; i < n; i++) p->w[i] += h * g[i] / (float)norm;
        sides[side] = loss_of(&s, pass, true, 1);
        for (size_t i = 0; i < n; i++) p->w[i] -= h * g[i] / (float)norm;
    }
    check_near((sides[0] - sides[1]) / 8e-3 / norm, 1, 3e-3);
    weft_pass_free(pass);
    tear_down(&s);
}

/* ---- losses of whole sequences ---- */

struct weigher {
    const float *coef;
    double sum;
};

static void weigh(void *ctx, size_t n_seqs, const double *seq_loss, const size_t *seq_n, float *coef)
{
    struct weigher *w = ctx;
    for (size_t i = 0; i < n_seqs; i++) {
        coef[i] = w->coef[i];
        w->sum += seq_loss[i];
        assert_true((seq_n[i] > 0) == (seq_loss[i] > 0));
    }
}

static void weighted_backward(struct setup *s, struct weft_pass *pass, const float *coef, double *sum)
{
    double seq_loss[WEFT_COUNT(lengths)];
    size_t seq_n[WEFT_COUNT(lengths)];
    float given[WEFT_COUNT(lengths)];
    struct weigher w = { .coef = coef };
    struct weft_seq_weights how = { .weigh = weigh, .ctx = &w, .seq_loss = seq_loss, .seq_n = seq_n, .coef = given };
    zero_grads(&s->params);
    check_ok(weft_model_seq_backward(s->model, pass, &s->batch, &how, NULL, &s->err), &s->err);
    *sum = w.sum;
}

static void copy_grads(const struct weft_params *p, float *to, bool add)
{
    for (size_t i = 0; i < p->n; i++)
        for (size_t k = 0; k < p->items[i].rows * p->items[i].cols; k++, to++)
            *to = (add ? *to : 0) + p->items[i].grad[k];
}

static void test_sequences_of_one_weight_are_the_plain_loss(void **state)
{
    struct weft_config c = small_config();
    struct setup s;
    const float same[WEFT_COUNT(lengths)] = { .25f, .25f, .25f, .25f, .25f, .25f };
    double sum;
    (void)state;
    set_up(&s, &c, 2, "auto");
    check_ok(weft_model_train_all(s.model, &s.arena, &s.params, &s.err), &s.err);
    /* blocks of 16 rows of logits: several chunks, whose rows belong to several sequences */
    struct weft_pass *pass = new_pass(&s, (struct weft_pass_settings){ .backward = true, .loss_rows = 16 });
    float *want = WEFT_NEWS(&s.arena, float, s.params.n_values), *got = WEFT_NEWS(&s.arena, float, s.params.n_values);
    assert_true(want && got);
    zero_grads(&s.params);
    double loss = loss_of(&s, pass, true, .25f);
    copy_grads(&s.params, want, false);
    weighted_backward(&s, pass, same, &sum);
    copy_grads(&s.params, got, false);
    check_near(sum, loss, 1e-9);
    assert_memory_equal(got, want, s.params.n_values * sizeof *got);
    weft_pass_free(pass);
    tear_down(&s);
}

static void test_each_sequence_has_its_own_weight(void **state)
{
    struct weft_config c = small_config();
    struct setup s;
    const float mixed[WEFT_COUNT(lengths)] = { 1, -2, .5f, 3, 7, -.25f };
    double sum, norm = 0, off = 0;
    (void)state;
    set_up(&s, &c, 2, "auto");
    check_ok(weft_model_train_all(s.model, &s.arena, &s.params, &s.err), &s.err);
    struct weft_pass *pass = new_pass(&s, (struct weft_pass_settings){ .backward = true, .loss_rows = 16 });
    float *want = WEFT_NEWS(&s.arena, float, s.params.n_values), *got = WEFT_NEWS(&s.arena, float, s.params.n_values);
    assert_true(want && got);
    for (size_t i = 0; i < WEFT_COUNT(lengths); i++) {
        float alone[WEFT_COUNT(lengths)] = { 0 };
        alone[i] = mixed[i];
        weighted_backward(&s, pass, alone, &sum);
        copy_grads(&s.params, want, i > 0);
    }
    weighted_backward(&s, pass, mixed, &sum);
    copy_grads(&s.params, got, false);
    for (size_t k = 0; k < s.params.n_values; k++) {
        norm += (double)want[k] * (double)want[k];
        off += ((double)got[k] - (double)want[k]) * ((double)got[k] - (double)want[k]);
    }
    assert_true(norm > 0);
    assert_true(sqrt(off) <= 1e-5 * sqrt(norm));

    double seq_loss[WEFT_COUNT(lengths)], total = 0;
    size_t seq_n[WEFT_COUNT(lengths)], n = 0;
    check_ok(weft_model_seq_loss(s.model, pass, &s.batch, seq_loss, seq_n, &s.err), &s.err);
    for (size_t i = 0; i < WEFT_COUNT(lengths); i++) total += seq_loss[i], n += seq_n[i];
    check_near(total, sum, 1e-9);
    struct weft_loss plain;
    check_ok(weft_model_loss(s.model, pass, &s.batch, &plain, &s.err), &s.err);
    assert_int_equal(n, plain.n);
    weft_pass_free(pass);
    tear_down(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gradients_of_all_weights_match_differences),
        cmocka_unit_test(test_noise_is_drawn_for_training_alone_and_named_by_its_step),
        cmocka_unit_test(test_gradients_under_noise_match_differences),
        cmocka_unit_test(test_sequences_of_one_weight_are_the_plain_loss),
        cmocka_unit_test(test_each_sequence_has_its_own_weight),
        cmocka_unit_test(test_gradients_of_other_architectures_match_differences),
        cmocka_unit_test(test_gradients_of_branches_match_differences),
        cmocka_unit_test(test_checkpointing_changes_no_bit),
        cmocka_unit_test(test_longer_batches_are_measured_in_the_memory_of_training),
        cmocka_unit_test(test_threads_change_no_bit),
        cmocka_unit_test(test_rows_of_logits_at_a_time_hardly_matter),
        cmocka_unit_test(test_packed_sequences_do_not_see_each_other),
        cmocka_unit_test(test_nothing_is_computed_for_a_batch_without_labels),
        cmocka_unit_test(test_ids_beyond_the_vocabulary_are_refused),
        cmocka_unit_test(test_layers_below_the_lowest_trained_one_keep_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
