#include "kernels/levels.h"

#include "base/arena.h"
#include "kernels/ref/ref.h"

/* ---- formats against values worked out by hand ---- */

static float element(enum weft_quant_type type, const unsigned char *data, size_t cols, size_t i)
{
    struct weft_quant q = { .format = weft_quant_format(type), .rows = 1, .cols = cols, .data = data };
    return weft_ref_quant_element(&q, 0, i);
}

static void put_half(unsigned char *p, float f)
{
    uint16_t h = weft_f32_to_f16(f);
    memcpy(p, &h, 2);
}

static void test_formats_of_32_read_as_documented(void **state)
{
    unsigned char b[34] = { 0 };
    put_half(b, 0.5f);
    b[2 + 31] = (unsigned char)-100;
    assert_true(element(WEFT_Q8_0, b, 32, 31) == -50);

    memset(b, 0, sizeof b);
    put_half(b, -0.25f);
    b[2 + 3] = 0x5f;                            /* element 3: 15, element 19: 5 */
    assert_true(element(WEFT_Q4_0, b, 32, 3) == -0.25f * 7);
    assert_true(element(WEFT_Q4_0, b, 32, 19) == -0.25f * -3);

    memset(b, 0, sizeof b);
    put_half(b, 2);
    put_half(b + 2, -7);
    b[4 + 15] = 0xc1;
    assert_true(element(WEFT_Q4_1, b, 32, 15) == 2 - 7);
    assert_true(element(WEFT_Q4_1, b, 32, 31) == 24 - 7);

    memset(b, 0, sizeof b);
    put_half(b, 1);
    b[2 + 2] = 0x08;                            /* fifth bit of element 19 */
    b[6 + 3] = 0x21;
    assert_true(element(WEFT_Q5_0, b, 32, 3) == 1 - 16);
    assert_true(element(WEFT_Q5_0, b, 32, 19) == 2 + 16 - 16);

    memset(b, 0, sizeof b);
    put_half(b, 1);
    put_half(b + 2, 0.5f);
    b[4] = 0x01;
    b[8] = 0x03;
    assert_true(element(WEFT_Q5_1, b, 32, 0) == 19.5f);
    assert_true(element(WEFT_Q5_1, b, 32, 16) == 0.5f);
}

static void test_formats_of_256_read_as_documented(void **state)
{
    unsigned char b[210] = { 0 };
    put_half(b, 0.5f);
    put_half(b + 2, 0.25f);
    b[4 + 1] = 0xc0 | 9;                        /* sub-block 1: scale 9; upper bits of scale 5 */
    b[4 + 5] = 0x40 | 5;                        /* minimum of 1: 5; upper bits of minimum 5 */
    b[4 + 9] = 0x73;                            /* sub-block 5: scale 3 + 48, minimum 7 + 16 */
    b[16 + 2] = 0xd0;                           /* element 34 (sub-block 1): 13 */
    b[16 + 2 * 32 + 31] = 0x60;                 /* element 191 (sub-block 5): 6 */
    assert_true(element(WEFT_Q4_K, b, 256, 34) == 0.5f * 9 * 13 - 0.25f * 5);
    assert_true(element(WEFT_Q4_K, b, 256, 191) == 0.5f * 51 * 6 - 0.25f * 23);

    memmove(b + 48, b + 16, 128);
    memset(b + 16, 0, 32);
    b[16 + 31] = 0x20;                          /* fifth bit of element 191 */
    assert_true(element(WEFT_Q5_K, b, 256, 34) == 0.5f * 9 * 13 - 0.25f * 5);
    assert_true(element(WEFT_Q5_K, b, 256, 191) == 0.5f * 51 * 22 - 0.25f * 23);

    memset(b, 0, sizeof b);
    put_half(b + 208, 0.125f);
    b[64 + 32 + 5] = 0xa0;                      /* half 1, k = 3, l = 5: element 128 + 96 + 5 = 229, low bits 10 */
    b[128 + 32 + 5] = 0xc0;                     /* its upper bits: 3 */
    b[192 + 229 / 16] = (unsigned char)-20;
    assert_true(element(WEFT_Q6_K, b, 256, 229) == 0.125f * -20 * (10 + 48 - 32));
    b[192 + 3] = 3;
    assert_true(element(WEFT_Q6_K, b, 256, 60) == 0.125f * 3 * -32);
}

/* ---- code books and encoders ---- */

static void test_dynamic_map_has_the_published_values(void **state)
{
    float code[256];
    double sum = 0;
    weft_dynamic_map(true, code);
    for (int i = 0; i < 256; i++) sum += code[i];
    assert_true(code[0] == -0.992968738f && code[127] == 0 && code[128] == 5.50000038e-7f);
    assert_true(code[254] == 0.992968738f && code[255] == 1);
    assert_true(fabs(sum - 1) < 1e-6);
    weft_dynamic_map(false, code);
    sum = 0;
    for (int i = 0; i < 256; i++) sum += code[i];
    assert_true(code[0] == 0 && code[1] == 3.2500003e-7f && code[2] == 7.7499999e-7f && code[255] == 1);
    assert_true(fabs(sum - 75.10526) < 1e-4);
}

static void test_nearest_code_takes_the_lower_of_a_tie(void **state)
{
    static const float code[4] = { -1, 0, 0.5f, 1 };
    assert_int_equal(weft_nearest_code(code, 4, -0.5f), 0);
    assert_int_equal(weft_nearest_code(code, 4, nextafterf(-0.5f, 1)), 1);
    assert_int_equal(weft_nearest_code(code, 4, 0.25f), 1);
    assert_int_equal(weft_nearest_code(code, 4, 2), 3);
    assert_int_equal(weft_nearest_code(code, 4, -2), 0);
    for (size_t i = 0; i < 16; i++) assert_int_equal(weft_nearest_code(weft_nf4_code, 16, weft_nf4_code[i]), i);
}

/* The golden block of docs/kernels.md: w_i = sin(.37 i) * .05 * (1 + i / 64), in f32. */
static void test_nf4_matches_the_golden_block(void **state)
{
    struct weft_compute c;
    struct weft_arena a = { 0 };
    struct weft_err err = { 0 };
    struct weft_quant q;
    float w[128];
    unsigned sum = 0;
    static const unsigned char first[8] = { 0x79, 0xbc, 0xdd, 0xcb, 0x86, 0x42, 0x21, 0x23 };
    for (int i = 0; i < 128; i++) w[i] = sinf(.37f * (float)i) * .05f * (1 + (float)i / 64);
    assert_int_equal(weft_compute_init(&c, NULL, NULL, &err), WEFT_OK);
    assert_int_equal(weft_quantise(&c, &a, &q, weft_quant_find("nf4"), false, "w", w, WEFT_F32, 2, 64, &err), WEFT_OK);
    assert_true(fabs(q.scales[0] - .09608635) < 6e-9 && fabs(q.scales[1] - .14595814) < 6e-9);
    assert_memory_equal(q.data, first, sizeof first);
    for (int i = 0; i < 64; i++) sum += q.data[i];
    assert_int_equal(sum, 8345);
    assert_int_equal(weft_quant_bytes(&q), 64 + 8);

    assert_int_equal(weft_quantise(&c, &a, &q, weft_quant_find("nf4"), true, "w", w, WEFT_F32, 2, 64, &err), WEFT_OK);
    assert_int_equal(q.scale_codes[0], 0);
    assert_int_equal(q.scale_codes[1], 255);
    assert_true(fabs(q.nested_scales[0] - .0249359) < 5e-8 && fabs(q.nested_offset - .12102224) < 6e-9);
    assert_true(fabs(weft_quant_scale(&q, 0) - .09626167) < 6e-9 && fabs(weft_quant_scale(&q, 1) - .14595814) < 6e-9);
    weft_arena_clear(&a);
    weft_compute_clear(&c);
}

/* Relative error on normal values: what the formats are known for, within 5 %. */
static void test_encoders_have_the_error_of_their_format(void **state)
{
    static const struct {
        const char *name;
        double rmse;
    } want[] = { { "q8_0", 0.0053 }, { "q4_0", 0.087 }, { "nf4", 0.093 }, { "int8", 0.0078 } };
    enum { ROWS = 64, COLS = 1024 };
    struct weft_compute c;
    struct weft_arena a = { 0 };
    struct weft_err err = { 0 };
    struct weft_rng r = test_rng(5);
    float *w = WEFT_NEWS(&a, float, ROWS * COLS), *back = WEFT_NEWS(&a, float, ROWS * COLS);
    assert_int_equal(weft_compute_init(&c, NULL, NULL, &err), WEFT_OK);
    for (size_t i = 0; i < ROWS * COLS; i++) w[i] = 0.02f * weft_rng_normal(&r);
    for (size_t k = 0; k < WEFT_COUNT(want); k++) {
        struct weft_quant q;
        double e = 0, s = 0;
        assert_int_equal(weft_quantise(&c, &a, &q, weft_quant_find(want[k].name), true, "w", w, WEFT_F32, ROWS, COLS,
                                       &err), WEFT_OK);
        weft_dequantise(&c, back, WEFT_F32, &q, 0, ROWS);
        for (size_t i = 0; i < ROWS * COLS; i++) {
            e += ((double)back[i] - w[i]) * ((double)back[i] - w[i]);
            s += (double)w[i] * w[i];
        }
        double got = sqrt(e / s);
        if (fabs(got - want[k].rmse) > 0.05 * want[k].rmse) print_message("%s: %.5f\n", want[k].name, got);
        assert_true(fabs(got - want[k].rmse) <= 0.05 * want[k].rmse);
    }
    weft_arena_clear(&a);
    weft_compute_clear(&c);
}

static void test_zero_blocks_stay_zero(void **state)
{
    static const float zeros[64];
    static const char *const names[] = { "q8_0", "q4_0", "nf4", "int8" };
    struct weft_compute c;
    struct weft_arena a = { 0 };
    struct weft_err err = { 0 };
    float back[64];
    assert_int_equal(weft_compute_init(&c, NULL, NULL, &err), WEFT_OK);
    for (size_t k = 0; k < WEFT_COUNT(names); k++) {
        struct weft_quant q;
        assert_int_equal(weft_quantise(&c, &a, &q, weft_quant_find(names[k]), true, "w", zeros, WEFT_F32, 1, 64, &err),
                         WEFT_OK);
        weft_dequantise(&c, back, WEFT_F32, &q, 0, 1);
        for (int i = 0; i < 64; i++) assert_true(back[i] == 0);
        if (k == 2) assert_int_equal(q.data[0], 0x77);
    }
    weft_arena_clear(&a);
    weft_compute_clear(&c);
}

static void test_quantising_refuses_what_it_cannot_do(void **state)
{
    struct weft_compute c;
    struct weft_arena a = { 0 };
    struct weft_err err = { 0 };
    struct weft_quant q = { .rows = 77 };
    float w[48] = { 0 };
    assert_int_equal(weft_compute_init(&c, NULL, NULL, &err), WEFT_OK);
    assert_int_equal(weft_quantise(&c, &a, &q, weft_quant_find("q6_k"), false, "w", w, WEFT_F32, 1, 48, &err), WEFT_EARG);
    assert_non_null(strstr(err.msg, "q6_k"));
    weft_err_clear(&err);
    assert_int_equal(weft_quantise(&c, &a, &q, weft_quant_find("q8_0"), false, "w", w, WEFT_F32, 1, 48, &err), WEFT_EARG);
    assert_non_null(strstr(err.msg, "multiple of 32"));
    weft_err_clear(&err);
    w[40] = INFINITY;
    assert_int_equal(weft_quantise(&c, &a, &q, weft_quant_find("nf4"), false, "w", w, WEFT_F32, 1, 48, &err), WEFT_EINPUT);
    assert_string_equal(err.rule, "B5");
    assert_int_equal(q.rows, 77);
    assert_null(weft_quant_find("q3_k"));
    weft_arena_clear(&a);
    weft_compute_clear(&c);
}

/* ---- levels ---- */

/* Random bytes as a matrix of any format; scales that are finite. */
static struct weft_quant random_matrix(struct weft_arena *a, enum weft_quant_type type, size_t rows, size_t cols,
                                       bool nested, struct weft_rng *r)
{
    struct weft_quant q = { .format = weft_quant_format(type), .rows = rows, .cols = cols };
    size_t bytes = 0, blocks = weft_ceil_div(rows * cols, 64);
    assert_true(weft_quant_data_bytes(q.format, rows, cols, &bytes));
    unsigned char *data = (unsigned char *)weft_arena_alloc(a, bytes + 1) + 1;
    for (size_t i = 0; i < bytes; i++) data[i] = (unsigned char)weft_rng_u32(r);
    for (size_t i = 0; type != WEFT_NF4 && type != WEFT_INT8 && i < bytes; i += q.format->block_bytes) {
        size_t at = i + (type == WEFT_Q6_K ? 208 : 0);
        put_half(data + at, uniform(r) * 0.01f);
        if (type == WEFT_Q4_K || type == WEFT_Q5_K || type == WEFT_Q4_1 || type == WEFT_Q5_1)
            put_half(data + at + 2, uniform(r) * 0.01f);
    }
    q.data = data;
    if (type == WEFT_INT8 || (type == WEFT_NF4 && !nested)) {
        size_t n = type == WEFT_INT8 ? rows : blocks;
        float *scales = WEFT_NEWS(a, float, n);
        for (size_t i = 0; i < n; i++)
            scales[i] = uniform(r) * (i % 5 == 4 ? 1e-36f : 0.1f); /* some denormal products */
        q.scales = scales;
    } else if (type == WEFT_NF4) {
        uint8_t *codes = weft_arena_alloc(a, blocks);
        float *scales = WEFT_NEWS(a, float, blocks / 256 + 1), *code = WEFT_NEWS(a, float, 256);
        for (size_t i = 0; i < blocks; i++) codes[i] = (uint8_t)weft_rng_u32(r);
        for (size_t i = 0; i <= blocks / 256; i++) scales[i] = 0.01f + 0.01f * weft_rng_f32(r);
        weft_dynamic_map(true, code);
        q.scale_codes = codes, q.nested_scales = scales, q.nested_code = code, q.nested_offset = 0.03f;
    }
    return q;
}

static void same_bits_as_ref(struct weft_compute *c, struct weft_compute *ref)
{
    struct weft_rng r = test_rng(11);
    for (int type = 0; type < WEFT_N_QUANT_TYPES; type++)
        for (int nested = 0; nested < (type == WEFT_NF4 ? 2 : 1); nested++)
            for (int wide = 0; wide < 2; wide++) {
                /* rows that are no multiple of 32 where the format allows that */
                size_t cols = type >= WEFT_NF4    ? (wide ? 330 : 64)
                              : type >= WEFT_Q4_K ? 512
                              : wide              ? 320
                                                  : 32,
                       rows = 5;
                struct weft_arena a = { 0 };
                struct weft_quant q = random_matrix(&a, (enum weft_quant_type)type, rows, cols, nested, &r);
                for (int t = 0; t < 40; t++) {
                    size_t row = weft_rng_u32(&r) % rows, col = t < 8 ? 32 * (size_t)t % cols : weft_rng_u32(&r) % cols;
                    size_t n = t == 0 ? cols : weft_rng_u32(&r) % (cols - col + 1);
                    for (int half = 0; half < 2; half++) {
                        struct array want = output_new(n, 1), got = output_new(n, 3);
                        enum weft_dtype to = half ? WEFT_BF16 : WEFT_F32;
                        ref->k->dequantise(want.p, to, &q, row, col, n);
                        c->k->dequantise(got.p, to, &q, row, col, n);
                        if (memcmp(want.p, got.p, n * weft_dtype_bytes(to)))
                            print_message("%s %s row %zu col %zu n %zu to %d\n", c->k->isa, q.format->name, row, col, n, to);
                        assert_memory_equal(want.p, got.p, n * weft_dtype_bytes(to));
                        guards_intact(&got);
                        array_free(&want);
                        array_free(&got);
                    }
                }
                weft_arena_clear(&a);
            }
}

/* A product with a quantised matrix has the bits of the product with what it dequantises to. */
static void product_of_dequantised(struct weft_compute *c, struct weft_compute *ref)
{
    struct weft_rng r = test_rng(12);
    static const struct {
        size_t T, n_out, n_in;
    } shapes[] = { { 1, 40, 64 },    { 7, 70, 512 },   { 33, 130, 512 },
                   { 50, 300, 512 }, { 41, 66, 9216 }, { 43, 37, 256 } };
    for (int type = 0; type < WEFT_N_QUANT_TYPES; type++)
        for (size_t s = 0; s < WEFT_COUNT(shapes); s++)
            for (int exact = 0; exact < 2; exact++)
                for (int forward = 0; forward < 2; forward++) {
                    struct weft_arena a = { 0 };
                    size_t T = shapes[s].T, n_out = shapes[s].n_out, n_in = shapes[s].n_in;
                    if (type >= WEFT_Q4_K && type <= WEFT_Q6_K && n_in % 256) continue;
                    if (type >= WEFT_NF4 && s == 5) n_in -= 3;
                    struct weft_quant q = random_matrix(&a, (enum weft_quant_type)type, n_out, n_in, type % 2, &r);
                    bool bf16 = !exact && c->k->gemm && c->k->gemm->unit_len == 2;
                    size_t k = forward ? n_in : n_out, n = forward ? n_out : n_in;
                    /* few rows forward are multiplied in f32 at every level */
                    if (forward && T <= WEFT_GEMV_ROWS) bf16 = false;
                    enum weft_dtype to = bf16 ? WEFT_BF16 : WEFT_F32;
                    void *plain = weft_arena_alloc(&a, n_out * n_in * 4);
                    float *x = WEFT_NEWS(&a, float, T * k), *want = WEFT_NEWS(&a, float, T * n),
                          *got = WEFT_NEWS(&a, float, T * n), *bias = WEFT_NEWS(&a, float, n);
                    for (size_t i = 0; i < T * k; i++) x[i] = uniform(&r);
                    for (size_t i = 0; i < n; i++) bias[i] = uniform(&r);
                    for (size_t i = 0; i < T * n; i++) want[i] = got[i] = uniform(&r);
                    for (size_t i = 0; i < n_out; i++)
                        ref->k->dequantise((char *)plain + i * n_in * weft_dtype_bytes(to), to, &q, i, 0, n_in);
                    struct weft_gemm g = { .m = T, .n = n, .k = k, .a = x, .lda = k, .b = plain, .b_type = to,
                                           .ldb = n_in, .b_rows_are_outputs = forward, .c = want, .ldc = n,
                                           .accumulate = true, .exact = exact, .bias = bias };
                    weft_gemm(c, &g);
                    g.b = &q, g.b_type = WEFT_QUANT, g.c = got;
                    weft_gemm(c, &g);
                    /* arrays take loops of their own for few rows: f32 arithmetic, or another order of the sums */
                    bool streamed = T <= 40;
                    double close = c->k->gemm && c->k->gemm->unit_len == 2 && !exact ? 0.02 : 2e-5;
                    double worst = 0, size = 0;
                    for (size_t i = 0; i < T * n; i++) {
                        worst = fmax(worst, fabs((double)got[i] - want[i]));
                        size = fmax(size, fabs((double)want[i]));
                    }
                    if (!(streamed ? worst <= close * size : worst == 0))
                        print_message("%s %s %zu %zu %zu: %g of %g\n", c->k->isa, q.format->name, T, n_out, n_in, worst, size);
                    assert_true(streamed ? worst <= close * size : worst == 0);
                    weft_arena_clear(&a);
                }
}

/* int8 by int8: the bits of the definition at the level that has it, and near the product of the dequantised matrix. */
static void int8_products(struct weft_compute *c, struct weft_compute *ref)
{
    static const struct {
        size_t T, n_out, n_in;
    } shapes[] = { { 9, 1, 3 },      { 12, 64, 512 },  { 31, 130, 516 },
                   { 50, 70, 1030 }, { 1100, 65, 40 }, { 20, 700, 96 } };
    struct weft_rng r = test_rng(15);
    if (!c->k->int8) return;
    c->int8 = ref->int8 = true;
    for (size_t s = 0; s < WEFT_COUNT(shapes); s++)
        for (int forward = 0; forward < 2; forward++)
            for (int add = 0; add < 2; add++) {
                struct weft_arena a = { 0 };
                size_t T = shapes[s].T, n_out = shapes[s].n_out, n_in = shapes[s].n_in;
                size_t k = forward ? n_in : n_out, n = forward ? n_out : n_in;
                struct weft_quant q = random_matrix(&a, WEFT_INT8, n_out, n_in, false, &r);
                float *x = WEFT_NEWS(&a, float, T *k), *exact = WEFT_NEWS(&a, float, T *n),
                      *bias = WEFT_NEWS(&a, float, n);
                struct array want = input_new(T * n, 0, &r), got = copy_of(&want, 1);
                for (size_t i = 0; i < T * k; i++) x[i] = i / k == 3 ? 0 : uniform(&r);     /* a row of zeros too */
                for (size_t i = 0; i < n; i++) bias[i] = uniform(&r);
                memcpy(exact, want.p, T * n * sizeof *exact);
                struct weft_gemm g = { .m = T, .n = n, .k = k, .a = x, .lda = k, .b = &q, .b_type = WEFT_QUANT,
                                       .b_rows_are_outputs = forward, .c = want.p, .ldc = n, .accumulate = add,
                                       .bias = add ? bias : NULL, .alpha = 0.5f };
                weft_gemm(ref, &g);
                g.c = got.p;
                weft_gemm(c, &g);
                assert_memory_equal(want.p, got.p, T * n * sizeof(float));
                guards_intact(&got);
                g.c = exact;
                g.exact = true;
                weft_gemm(c, &g);
                double e = 0, size = 0;
                for (size_t i = 0; i < T * n; i++) {
                    e += ((double)got.p[i] - exact[i]) * ((double)got.p[i] - exact[i]);
                    size += (double)exact[i] * exact[i];
                }
                assert_true(k < 20 || sqrt(e / size) < 0.012);
                array_free(&want);
                array_free(&got);
                weft_arena_clear(&a);
            }
    c->int8 = ref->int8 = false;
}

static void test_int8_products_have_the_bits_of_the_definition(void **state) { at_every_level(int8_products); }

static void test_every_level_reads_the_bits_of_ref(void **state) { at_every_level(same_bits_as_ref); }
static void test_products_have_the_bits_of_the_dequantised_matrix(void **state)
{
    at_every_level(product_of_dequantised);
}

static void test_products_do_not_depend_on_the_threads(void **state)
{
    enum { T = 100, N_OUT = 300, N_IN = 512 };
    struct weft_rng r = test_rng(13);
    struct weft_arena a = { 0 };
    struct weft_err err = { 0 };
    float *x = WEFT_NEWS(&a, float, T * N_IN), *dy = WEFT_NEWS(&a, float, T * N_OUT);
    for (size_t i = 0; i < T * N_IN; i++) x[i] = uniform(&r);
    for (size_t i = 0; i < T * N_OUT; i++) dy[i] = uniform(&r);
    for (int t = 0; t <= WEFT_N_QUANT_TYPES; t++) { /* int8 twice: dequantised, and multiplied as it is */
        int type = t < WEFT_N_QUANT_TYPES ? t : WEFT_INT8;
        struct weft_quant q = random_matrix(&a, (enum weft_quant_type)type, N_OUT, N_IN, false, &r);
        float *y[2], *dx[2];
        for (int i = 0; i < 2; i++) {
            struct weft_pool *pool = NULL;
            struct weft_compute c;
            assert_int_equal(weft_pool_new(&pool, i ? 3 : 1, &err), WEFT_OK);
            assert_int_equal(weft_compute_init(&c, NULL, pool, &err), WEFT_OK);
            c.int8 = t == WEFT_N_QUANT_TYPES;
            y[i] = WEFT_NEWS(&a, float, T * N_OUT);
            dx[i] = WEFT_NEWS(&a, float, T * N_IN);
            weft_gemm(&c, &(struct weft_gemm){ .m = T, .n = N_OUT, .k = N_IN, .a = x, .lda = N_IN, .b = &q,
                .b_type = WEFT_QUANT, .b_rows_are_outputs = true, .c = y[i], .ldc = N_OUT });
            weft_gemm(&c, &(struct weft_gemm){ .m = T, .n = N_IN, .k = N_OUT, .a = dy, .lda = N_OUT, .b = &q,
                .b_type = WEFT_QUANT, .c = dx[i], .ldc = N_IN });
            weft_compute_clear(&c);
            weft_pool_free(pool);
        }
        assert_memory_equal(y[0], y[1], T * N_OUT * sizeof(float));
        assert_memory_equal(dx[0], dx[1], T * N_IN * sizeof(float));
    }
    weft_arena_clear(&a);
}

static void test_embedding_rows_are_dequantised(void **state)
{
    struct weft_rng r = test_rng(14);
    struct weft_arena a = { 0 };
    struct weft_err err = { 0 };
    struct weft_compute c;
    struct weft_quant q = random_matrix(&a, WEFT_Q6_K, 20, 256, false, &r);
    static const int32_t ids[3] = { 19, 0, 7 };
    float y[3 * 256];
    assert_int_equal(weft_compute_init(&c, NULL, NULL, &err), WEFT_OK);
    weft_embed(&c, y, &q, WEFT_QUANT, ids, 3, 256);
    for (size_t t = 0; t < 3; t++)
        for (size_t i = 0; i < 256; i++) assert_true(y[t * 256 + i] == weft_ref_quant_element(&q, (size_t)ids[t], i));
    weft_compute_clear(&c);
    weft_arena_clear(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formats_of_32_read_as_documented),
        cmocka_unit_test(test_formats_of_256_read_as_documented),
        cmocka_unit_test(test_dynamic_map_has_the_published_values),
        cmocka_unit_test(test_nearest_code_takes_the_lower_of_a_tie),
        cmocka_unit_test(test_nf4_matches_the_golden_block),
        cmocka_unit_test(test_encoders_have_the_error_of_their_format),
        cmocka_unit_test(test_zero_blocks_stay_zero),
        cmocka_unit_test(test_quantising_refuses_what_it_cannot_do),
        cmocka_unit_test(test_every_level_reads_the_bits_of_ref),
        cmocka_unit_test(test_products_have_the_bits_of_the_dequantised_matrix),
        cmocka_unit_test(test_products_do_not_depend_on_the_threads),
        cmocka_unit_test(test_int8_products_have_the_bits_of_the_definition),
        cmocka_unit_test(test_embedding_rows_are_dequantised),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
