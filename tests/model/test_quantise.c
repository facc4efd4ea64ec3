#include "model/models.h"

#include "base/json.h"
#include "model/quantise.h"
#include "model/slots.h"

static struct weft_model *load(struct weft_arena *a, const char *dir, bool f32)
{
    struct weft_model *m = NULL;
    struct weft_err err = { 0 };
    check_ok(weft_model_load(&m, check_source(a, dir),
                             &(struct weft_model_settings){ .f32 = f32, .exact = true }, &err),
             &err);
    return m;
}

static struct weft_compute compute(void)
{
    struct weft_compute c;
    struct weft_err err = { 0 };
    check_ok(weft_compute_init(&c, NULL, NULL, &err), &err);
    return c;
}

/* Mean loss of a batch. */
static double loss_of(struct weft_model *m, struct weft_compute *c, struct weft_arena *a)
{
    static const uint32_t lengths[] = { 5, 17, 9 };
    struct weft_err err = { 0 };
    struct weft_pass *pass = NULL;
    struct weft_loss loss;
    struct weft_batch b = random_batch(a, lengths, 3, m->config.vocab_size, 4);
    check_ok(weft_pass_new(&pass, c, m, &(struct weft_pass_settings){ .max_tokens = b.n_tokens }, &err),
             &err);
    check_ok(weft_model_loss(m, pass, &b, &loss, &err), &err);
    weft_pass_free(pass);
    return loss.sum / (double)loss.n;
}

/* ---- bitsandbytes ---- */

/* That of the repository, or one that was made just now (tests/parity/run.sh). */
static const char *bnb_folder(void)
{
    const char *outside = getenv("WEFT_PARITY_BNB");
    return outside ? outside : "tests/model/data/bnb";
}

static void test_bitsandbytes_checkpoints_are_read_to_the_bit(void **state)
{
    struct fixture f;
    struct weft_arena a = { 0 };
    struct weft_compute c = compute();
    const char *dir = bnb_folder();
    if (*dir == '/') fixture_open_at(&f, weft_path_join(&a, dir, "expect.safetensors"));
    else fixture_open(&f, "tests/model/data/bnb/expect.safetensors");
    struct weft_model *m = load(&a, dir, false);
    assert_int_equal(f.file.n, 2);
    for (size_t i = 0; i < f.file.n; i++) {
        char name[100];
        size_t n;
        snprintf(name, sizeof name, "%.*s", (int)f.file.tensors[i].name.len, f.file.tensors[i].name.s);
        const float *want = fixture_values(&f, name, &n);
        bool first = strstr(name, "layers.0.") != NULL;
        const struct weft_linear *l = first ? &m->layers[0].q : &m->layers[1].down;
        const struct weft_quant *q = l->w;
        float *got = WEFT_NEWS(&a, float, n);
        assert_int_equal(l->type, WEFT_QUANT);
        assert_int_equal(q->format->type, WEFT_NF4);
        assert_true((q->scale_codes != NULL) == first);
        assert_int_equal(q->rows * q->cols, n);
        weft_dequantise(&c, got, WEFT_F32, q, 0, q->rows);
        assert_memory_equal(got, want, n * sizeof *got);
    }
    assert_int_equal(m->embed_type, WEFT_BF16);
    struct weft_model *wide = load(&a, dir, true);
    assert_int_equal(wide->layers[0].q.type, WEFT_F32);
    double one = loss_of(m, &c, &a), two = loss_of(wide, &c, &a);
    check_near(one, two, 1e-6);
    weft_model_free(m);
    weft_model_free(wide);
    weft_compute_clear(&c);
    fixture_close(&f);
    weft_arena_clear(&a);
}

/* One byte or name changed at a time. */
static void test_bitsandbytes_checkpoints_that_do_not_fit_are_refused(void **state)
{
    static const struct {
        const char *find, *put, *part;
    } cases[] = {
        { "\"quant_type\": \"nf4\"", "\"quant_type\": \"fp4\"", "nf4" },
        { "\"blocksize\": 64", "\"blocksize\": 32", "blocks of 64" },
        { "\"shape\": [36, 36]", "\"shape\": [35, 36]", "shape" },
        { "\"nested_blocksize\": 256", "\"nested_blocksize\": 128", "blocks of 256" },
        { "layers.0.self_attn.q_proj.weight.nested_absmax", "layers.0.self_attn.q_proj.weight.nested_absmaX", "q_proj" },
        { "layers.0.self_attn.q_proj.weight.quant_map", "layers.0.self_attn.q_proj.weight.quant_maX", "q_proj" },
    };
    struct weft_arena a = { 0 };
    struct weft_err err = { 0 };
    char dir[] = "/tmp/weft-bnb-XXXXXX";
    struct weft_str config, weights;
    assert_non_null(mkdtemp(dir));
    check_ok(weft_file_read(&a, check_source(&a, "tests/model/data/bnb/config.json"), 1 << 20, &config, &err), &err);
    check_ok(weft_file_write(check_path(dir, "config.json"), config, &err), &err);
    for (size_t i = 0; i < WEFT_COUNT(cases); i++) {
        struct weft_model *m = NULL;
        check_ok(weft_file_read(&a, check_source(&a, "tests/model/data/bnb/model.safetensors"), 1 << 20, &weights, &err),
                 &err);
        size_t at = weft_str_find(weights, weft_str_c(cases[i].find), 0);
        if (at == SIZE_MAX) print_message("no %s\n", cases[i].find);
        assert_true(at != SIZE_MAX && strlen(cases[i].find) >= strlen(cases[i].put));
        memcpy((char *)(uintptr_t)weights.s + at, cases[i].put, strlen(cases[i].put));
        check_ok(weft_file_write(check_path(dir, "model.safetensors"), weights, &err), &err);
        check_refuses(weft_model_load(&m, dir, NULL, &err), &err, WEFT_EINPUT, "ST11", cases[i].part);
    }
    check_ok(weft_dir_remove(dir, &err), &err);
    weft_arena_clear(&a);
}

/* B5: each number that a scale is made of counts, also the table of its codes. */
static void test_scales_that_are_not_finite_are_found(void **state)
{
    struct weft_arena a = { 0 };
    struct weft_model *m = load(&a, "tests/model/data/bnb", false);
    struct weft_linear *l = &m->layers[0].q;
    const struct weft_quant *q = l->w;
    struct weft_quant bad = *q;
    float table[256];
    assert_null(weft_model_nonfinite(m, &a));
    memcpy(table, q->nested_code, sizeof table);
    table[q->scale_codes[3]] = NAN;
    bad.nested_code = table;
    l->w = &bad;
    assert_string_equal(weft_model_nonfinite(m, &a), "model.layers.0.self_attn.q_proj.weight");
    bad.nested_code = q->nested_code, bad.nested_offset = INFINITY;
    assert_non_null(weft_model_nonfinite(m, &a));
    l->w = q;
    weft_model_free(m);
    weft_arena_clear(&a);
}

/* ---- our own ---- */

static void test_layers_are_quantised_and_nothing_else(void **state)
{
    static const char *const names[] = { "nf4", "int8" };
    for (size_t k = 0; k < WEFT_COUNT(names); k++) {
        struct weft_arena a = { 0 };
        struct weft_compute c = compute();
        struct weft_err err = { 0 };
        char before[WEFT_SHA256_HEX], after[WEFT_SHA256_HEX];
        struct weft_model *m = load(&a, "tests/model/data/curve", false), *wide = load(&a, "tests/model/data/curve", true);
        double plain = loss_of(m, &c, &a);
        check_ok(weft_model_fingerprint(m, before, &err), &err);
        check_ok(weft_model_quantise(m, &c, weft_quant_find(names[k]), true, NULL, &err), &err);
        check_ok(weft_model_fingerprint(m, after, &err), &err);
        assert_string_equal(before, after);             /* of the files: fewer bits are a setting */
        assert_int_not_equal(m->embed_type, WEFT_QUANT);
        assert_int_not_equal(m->head.type, WEFT_QUANT);
        assert_null(weft_model_nonfinite(m, &a));
        for (size_t i = 0; i < weft_model_n_linears(m); i++) {
            const struct weft_linear *l = weft_model_linear(m, i), *w = weft_model_linear(wide, i);
            float *got = WEFT_NEWS(&a, float, l->n_in * l->n_out);
            assert_int_equal(l->type, WEFT_QUANT);
            weft_dequantise(&c, got, WEFT_F32, l->w, 0, l->n_out);
            double error = rel_l2(got, w->w, l->n_in * l->n_out);
            assert_true(error > 0.001 && error < (k ? 0.01 : 0.12));
            memcpy((float *)(uintptr_t)w->w, got, l->n_in * l->n_out * sizeof *got);
        }
        double quantised = loss_of(m, &c, &a);
        check_near(quantised, loss_of(wide, &c, &a), 1e-6);       /* as if the values were there */
        check_near(quantised, plain, 0.1);
        check_fails(weft_model_quantise(m, &c, weft_quant_find(names[k]), true, NULL, &err), &err, WEFT_EARG, "", "already");
        weft_model_free(m);
        weft_model_free(wide);
        weft_compute_clear(&c);
        weft_arena_clear(&a);
    }
}

static void test_rows_that_a_format_cannot_cut_are_named(void **state)
{
    struct weft_arena a = { 0 };
    struct weft_compute c = compute();
    struct weft_err err = { 0 };
    struct weft_model *m = load(&a, "tests/model/data/curve", false);
    check_fails(weft_model_quantise(m, &c, weft_quant_find("q8_0"), true, NULL, &err), &err, WEFT_EARG, "",
                "model.layers.0.self_attn.q_proj");
    weft_model_free(m);
    weft_compute_clear(&c);
    weft_arena_clear(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bitsandbytes_checkpoints_are_read_to_the_bit),
        cmocka_unit_test(test_bitsandbytes_checkpoints_that_do_not_fit_are_refused),
        cmocka_unit_test(test_scales_that_are_not_finite_are_found),
        cmocka_unit_test(test_layers_are_quantised_and_nothing_else),
        cmocka_unit_test(test_rows_that_a_format_cannot_cut_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
