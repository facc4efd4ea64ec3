/* Whole model directories: rules ST11, B2, B3, B5; shards; types; fingerprints. */
#include "model/models.h"
#include "model/slots.h"

struct setup {
    struct weft_arena arena;
    struct weft_config config;
    struct weft_model *model;
    const char *dir;
    struct weft_err err;
};

static int set_up(void **state)
{
    struct setup *s = calloc(1, sizeof *s);
    s->config = small_config();
    s->config.n_layers = 2;
    s->dir = check_folder();
    check_ok(weft_model_random(&s->model, &s->config, 3, NULL, &s->err), &s->err);
    check_ok(weft_model_save(s->model, s->dir, WEFT_F32, false, NULL, &s->err), &s->err);
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    struct setup *s = *state;
    weft_model_free(s->model);
    weft_arena_clear(&s->arena);
    check_folder_gone(s->dir);
    free(s);
    return 0;
}

static const char *file_of(struct setup *s, const char *name) { return weft_path_join(&s->arena, s->dir, name); }

/* The saved weights again, with one tensor changed: what `change` does to the n descriptions. */
static void rewrite(struct setup *s, size_t (*change)(struct weft_st_out *t, size_t n))
{
    check_ok(weft_model_save(s->model, s->dir, WEFT_F32, false, NULL, &s->err), &s->err);
    change_tensors(&s->arena, file_of(s, "model.safetensors"), change, &s->err);
}

static void refused(struct setup *s, size_t (*change)(struct weft_st_out *t, size_t n), const char *part)
{
    struct weft_model *m;
    rewrite(s, change);
    enum weft_status st = weft_model_load(&m, s->dir, NULL, &s->err);
    check_fails(st, &s->err, WEFT_EINPUT, "ST11", part);
    assert_null(m);
    weft_err_clear(&s->err);
}

static size_t remove_one(struct weft_st_out *t, size_t n)
{
    *named(t, n, "model.layers.1.mlp.up_proj.weight") = t[n - 1];
    return n - 1;
}
static size_t rename_one(struct weft_st_out *t, size_t n)
{
    named(t, n, "model.norm.weight")->name = "model.norm.scale";
    return n;
}
static size_t transpose_one(struct weft_st_out *t, size_t n)
{
    struct weft_st_out *x = named(t, n, "model.layers.0.mlp.down_proj.weight");
    size_t rows = x->shape[0];
    x->shape[0] = x->shape[1];
    x->shape[1] = rows;
    return n;
}
static size_t flatten_one(struct weft_st_out *t, size_t n)
{
    struct weft_st_out *x = named(t, n, "model.layers.0.self_attn.k_proj.weight");
    x->shape[0] *= x->shape[1];
    x->n_dims = 1;
    return n;
}
static size_t retype_one(struct weft_st_out *t, size_t n)
{
    named(t, n, "model.layers.0.input_layernorm.weight")->dtype = WEFT_ST_I32;
    return n;
}
static size_t add_six(struct weft_st_out *t, size_t n)
{
    static const char *const names[] = { "x1", "x2", "x3", "x4", "x5", "x6" };
    static const float v[1];
    for (size_t i = 0; i < 6; i++)
        t[n + i] = (struct weft_st_out){ .name = names[i], .dtype = WEFT_ST_F32, .n_dims = 1, .shape = { 1 },
                                         .data = v };
    return n + 6;
}
static size_t add_old_table(struct weft_st_out *t, size_t n)
{
    static const float v[1];
    t[n] = (struct weft_st_out){ .name = "model.layers.0.self_attn.rotary_emb.inv_freq", .dtype = WEFT_ST_F32, .n_dims = 1, .shape = { 1 }, .data = v };
    return n + 1;
}

static void test_ST11_each_tensor_is_there_with_its_shape(void **state)
{
    struct setup *s = *state;
    struct weft_model *m;
    refused(
        s, remove_one,
        "1 tensors do not fit config.json: model.layers.1.mlp.up_proj.weight is missing (expected [172, 60])");
    refused(
        s, rename_one,
        "2 tensors do not fit config.json: model.norm.weight is missing (expected [60]); model.norm.scale is not a tensor");
    refused(s, transpose_one, "down_proj.weight has shape [172, 60] (expected [60, 172])");
    refused(s, flatten_one, "k_proj.weight has shape [1200] (expected [20, 60])");
    refused(s, retype_one, "input_layernorm.weight has type I32");
    refused(s, add_six, "6 tensors do not fit config.json: x1 is not a tensor of this architecture; x2");
    rewrite(s, add_six);
    assert_int_equal(weft_model_load(&m, s->dir, NULL, &s->err), WEFT_EINPUT);
    assert_null(strstr(s->err.msg, "x6 is not"));       /* five are named; the folder may be called anything */
    weft_err_clear(&s->err);
    rewrite(s, add_old_table);
    check_ok(weft_model_load(&m, s->dir, NULL, &s->err), &s->err);
    weft_model_free(m);
}

/* ---- a head beside tie_word_embeddings ---- */

static float other_head[333 * 60];
/* CF7: the sizes that the configuration gives are those of the files, or nothing of the model is made: the largest
 * shape there may be has 2^60 bytes. */
static void test_CF7_a_configuration_larger_than_its_files_is_refused(void **state)
{
    static const struct {
        const char *key, *part;
        int value;
    } cases[] = {
        { "vocab_size", "model.embed_tokens.weight has shape [", 16777216 },
        { "intermediate_size", "gate_proj.weight has shape [172, 60] (expected [524288, 60])", 524288 },
        { "num_hidden_layers", "model.layers.2.", 1024 },
        { "num_hidden_layers", "model.layers.1.", 1 },
    };
    struct setup *s = *state;
    struct weft_model *m;
    struct weft_str text;
    check_ok(weft_file_read(&s->arena, file_of(s, "config.json"), 1 << 20, &text, &s->err), &s->err);
    for (size_t i = 0; i < WEFT_COUNT(cases); i++) {
        struct weft_buf b = { 0 };
        char key[64];
        snprintf(key, sizeof key, "\"%s\":", cases[i].key);
        size_t at = weft_str_find(text, weft_str_c(key), 0);
        assert_true(at != SIZE_MAX);
        size_t end = at;
        while (!strchr(",}\n", text.s[end])) end++;
        weft_buf_str(&b, weft_str_sub(text, 0, at));
        weft_buf_printf(&b, "%s %d", key, cases[i].value);
        weft_buf_str(&b, weft_str_skip(text, end));
        check_ok(weft_file_write(file_of(s, "config.json"), weft_buf_view(&b), &s->err), &s->err);
        check_fails(weft_model_load(&m, s->dir, NULL, &s->err), &s->err, WEFT_EINPUT, "ST11", cases[i].part);
        assert_null(m);
        weft_err_clear(&s->err);
        weft_buf_clear(&b);
    }
    check_ok(weft_file_write(file_of(s, "config.json"), text, &s->err), &s->err);
    check_ok(weft_model_load(&m, s->dir, NULL, &s->err), &s->err);
    weft_model_free(m);
}

static size_t add_same_head(struct weft_st_out *t, size_t n)
{
    t[n] = *named(t, n, "model.embed_tokens.weight");
    t[n].name = "lm_head.weight";
    return n + 1;
}
static size_t add_other_head(struct weft_st_out *t, size_t n)
{
    n = add_same_head(t, n);
    t[n - 1].data = other_head;
    return n;
}

static void test_a_head_of_its_own_unties(void **state)
{
    struct setup *s = *state;
    struct weft_model *m;
    rewrite(s, add_same_head);
    check_ok(weft_model_load(&m, s->dir, NULL, &s->err), &s->err);
    assert_true(m->config.tie_word_embeddings && m->head.w == m->embed);
    weft_model_free(m);
    rewrite(s, add_other_head);
    check_ok(weft_model_load(&m, s->dir, NULL, &s->err), &s->err);
    assert_true(!m->config.tie_word_embeddings && m->head.w != m->embed);
    weft_model_free(m);
}

/* ---- values ---- */

static bool same_values(const struct weft_model *a, const struct weft_model *b)
{
    struct weft_arena arena = { 0 };
    struct weft_slot *x, *y;
    size_t n, n_y;
    assert_true(!weft_model_slots(a, &arena, &x, &n, NULL) && !weft_model_slots(b, &arena, &y, &n_y, NULL) && n == n_y);
    bool same = true;
    for (size_t i = 0; same && i < n; i++)
        same = x[i].type == y[i].type && !memcmp(x[i].w, y[i].w, x[i].rows * x[i].cols * weft_dtype_bytes(x[i].type));
    weft_arena_clear(&arena);
    return same;
}

static void test_shards_hold_the_same_model(void **state)
{
    struct setup *s = *state;
    struct weft_model *m;
    const char **names;
    size_t n;
    check_ok(weft_model_save_shards(s->model, s->dir, WEFT_F32, false, 100000, NULL, &s->err), &s->err);
    unlink(file_of(s, "model.safetensors"));
    check_ok(weft_dir_list(&s->arena, s->dir, &names, &n, &s->err), &s->err);
    assert_true(n > 4);
    assert_string_equal(names[n - 1], "model.safetensors.index.json");
    assert_non_null(strstr(names[1], "model-00001-of-0000"));
    check_ok(weft_model_load(&m, s->dir, NULL, &s->err), &s->err);
    assert_int_equal(m->weights.n_files, n - 2);
    assert_false(m->weights.total_size_differs);
    assert_true(same_values(m, s->model));
    weft_model_free(m);
    unlink(file_of(s, names[2]));
    enum weft_status st = weft_model_load(&m, s->dir, NULL, &s->err);
    assert_int_not_equal(st, WEFT_OK);
    assert_non_null(strstr(s->err.msg, names[2]));
}

static void test_types_are_rounded_once(void **state)
{
    struct setup *s = *state;
    struct weft_model *m;
    static const enum weft_dtype types[] = { WEFT_BF16, WEFT_F16 };
    for (size_t k = 0; k < WEFT_COUNT(types); k++) {
        check_ok(weft_model_save(s->model, s->dir, types[k], false, NULL, &s->err), &s->err);
        check_ok(weft_model_load(&m, s->dir, NULL, &s->err), &s->err);
        assert_int_equal(m->config.dtype, types[k]);
        assert_int_equal(m->layers[0].q.type, types[k]);
        const float *from = s->model->layers[0].q.w;
        const unsigned char *to = m->layers[0].q.w;
        for (size_t i = 0; i < 60 * 60; i++) {
            uint16_t got;
            memcpy(&got, to + 2 * i, 2);
            assert_int_equal(got, types[k] == WEFT_BF16 ? weft_f32_to_bf16(from[i]) : weft_f32_to_f16(from[i]));
        }
        weft_model_free(m);
        check_ok(weft_model_load(&m, s->dir, &(struct weft_model_settings){ .f32 = true }, &s->err), &s->err);
        assert_int_equal(m->layers[0].q.type, WEFT_F32);
        weft_model_free(m);
    }
}

/* Eight-bit floats become bf16, exactly. */
static unsigned char eight_bits[60 * 60];
static size_t make_e4m3(struct weft_st_out *t, size_t n)
{
    struct weft_st_out *x = named(t, n, "model.layers.0.self_attn.q_proj.weight");
    x->dtype = WEFT_ST_F8_E4M3;
    x->data = eight_bits;
    return n;
}
static size_t make_e5m2(struct weft_st_out *t, size_t n)
{
    make_e4m3(t, n);
    named(t, n, "model.layers.0.self_attn.q_proj.weight")->dtype = WEFT_ST_F8_E5M2;
    return n;
}

static void test_eight_bit_floats(void **state)
{
    static const struct {
        unsigned char bits;
        float e4m3, e5m2;
    } known[] = { { 0x00, 0, 0 },
                  { 0x38, 1, 0.5f },
                  { 0xB8, -1, -0.5f },
                  { 0x3C, 1.5f, 1 },
                  { 0x7E, 448, INFINITY },
                  { 0x01, 0x1p-9f, 0x1p-16f },
                  { 0x07, 7 * 0x1p-9f, 0x1.cp-14f },
                  { 0x08, 0x1p-6f, 0x1p-13f },
                  { 0x7B, 352, 57344 } };
    struct setup *s = *state;
    struct weft_model *m;
    for (int e5m2 = 0; e5m2 < 2; e5m2++) {
        for (size_t i = 0; i < WEFT_COUNT(known); i++) eight_bits[i] = known[i].bits;
        eight_bits[WEFT_COUNT(known)] = 0x7F;
        rewrite(s, e5m2 ? make_e5m2 : make_e4m3);
        check_ok(weft_model_load(&m, s->dir, NULL, &s->err), &s->err);
        assert_int_equal(m->layers[0].q.type, WEFT_BF16);
        const uint16_t *w = m->layers[0].q.w;
        for (size_t i = 0; i < WEFT_COUNT(known); i++) {
            float want = e5m2 ? known[i].e5m2 : known[i].e4m3;
            if (known[i].bits == 0x7E && e5m2) assert_true(isnan(weft_bf16_to_f32(w[i])));
            else assert_true(weft_bf16_to_f32(w[i]) == want);
        }
        assert_true(isnan(weft_bf16_to_f32(w[WEFT_COUNT(known)])));
        weft_model_free(m);
    }
}

static void test_B5_values_that_are_no_numbers_are_found_and_not_written(void **state)
{
    struct setup *s = *state;
    struct weft_model *m;
    struct weft_params params = { 0 };
    check_ok(weft_model_train_all(s->model, &s->arena, &params, &s->err), &s->err);
    assert_null(weft_model_nonfinite(s->model, &s->arena));
    static const float bad[] = { INFINITY, -INFINITY, NAN };
    for (size_t i = 0; i < WEFT_COUNT(bad); i++) {
        float *w = &params.items[5].w[17], old = *w;
        *w = bad[i];
        assert_string_equal(weft_model_nonfinite(s->model, &s->arena), params.items[5].name);
        enum weft_status st = weft_model_save(s->model, s->dir, WEFT_BF16, false, NULL, &s->err);
        check_fails(st, &s->err, WEFT_EINPUT, "B5", params.items[5].name);
        weft_err_clear(&s->err);
        *w = old;
        /* the file that was there is untouched, and reading accepts what it finds */
        check_ok(weft_model_load(&m, s->dir, NULL, &s->err), &s->err);
        assert_int_equal(m->layers[0].q.type, WEFT_F32);
        weft_model_free(m);
    }
}

static void test_fingerprints_follow_the_files(void **state)
{
    struct setup *s = *state;
    struct weft_model *m;
    char first[WEFT_SHA256_HEX], again[WEFT_SHA256_HEX], other[WEFT_SHA256_HEX];
    check_ok(weft_model_load(&m, s->dir, NULL, &s->err), &s->err);
    check_ok(weft_model_fingerprint(m, first, &s->err), &s->err);
    weft_model_free(m);
    check_ok(weft_model_load(&m, s->dir,
                             &(struct weft_model_settings){ .f32 = true, .exact = true, .max_positions = 8 },
                             &s->err),
             &s->err);
    check_ok(weft_model_fingerprint(m, again, &s->err), &s->err);
    weft_model_free(m);
    assert_string_equal(first, again);
    ((float *)(uintptr_t)s->model->layers[1].up.w)[3] += 0.25f;      /* one value of our own model */
    check_ok(weft_model_save(s->model, s->dir, WEFT_F32, false, NULL, &s->err), &s->err);
    check_ok(weft_model_load(&m, s->dir, NULL, &s->err), &s->err);
    check_ok(weft_model_fingerprint(m, other, &s->err), &s->err);
    weft_model_free(m);
    assert_string_not_equal(first, other);
}

static void test_one_seed_gives_one_model(void **state)
{
    struct setup *s = *state;
    struct weft_model *m;
    for (uint64_t seed = 3; seed < 5; seed++) {
        check_ok(weft_model_random(&m, &s->config, seed, NULL, &s->err), &s->err);
        assert_true(same_values(m, s->model) == (seed == 3));
        weft_model_free(m);
    }
    /* N(0, initializer_range) */
    const float *w = s->model->embed;
    double sum = 0, squares = 0, n = 333 * 60;
    for (size_t i = 0; i < 333 * 60; i++) {
        sum += (double)w[i];
        squares += (double)w[i] * (double)w[i];
    }
    assert_true(fabs(sum / n) < 0.15 * 4 / sqrt(n) && fabs(sqrt(squares / n) / 0.15 - 1) < 0.03);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(test_ST11_each_tensor_is_there_with_its_shape),
        CASE(test_CF7_a_configuration_larger_than_its_files_is_refused),
        CASE(test_a_head_of_its_own_unties),
        CASE(test_shards_hold_the_same_model),
        CASE(test_types_are_rounded_once),
        CASE(test_eight_bit_floats),
        CASE(test_B5_values_that_are_no_numbers_are_found_and_not_written),
        CASE(test_fingerprints_follow_the_files),
        CASE(test_one_seed_gives_one_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
