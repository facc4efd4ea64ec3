#include "kernels/levels.h"

#include "base/pool.h"

static const size_t lengths[] = { 0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 130, 1000 };

/* ---- normalisation ---- */

static void rmsnorm_at(struct weft_compute *c, struct weft_compute *ref)
{
    for (size_t l = 1; l < WEFT_COUNT(lengths); l++) {
        size_t d = lengths[l], rows = 1 + l % 5;
        struct weft_rng r = test_rng(d);
        struct array x = input_new(rows * d, l % 4, &r), w = input_new(d, 1, &r),
                     y = output_new(rows * d, l % 3), rr = output_new(rows, 0);
        weft_rmsnorm(c, y.p, rr.p, x.p, w.p, rows, d, 1e-6f);
        guards_intact(&y), guards_intact(&rr);
        struct array in_place = copy_of(&x, 2);
        weft_rmsnorm(c, in_place.p, NULL, in_place.p, w.p, rows, d, 1e-6f);
        assert_same_bits(in_place.p, y.p, rows * d);
        for (size_t i = 0; i < rows; i++) {
            double sum = 0;
            for (size_t j = 0; j < d; j++) sum += (double)x.p[i * d + j] * x.p[i * d + j];
            double want = 1 / sqrt(sum / (double)d + 1e-6);
            assert_close(rr.p[i], want, 8 * FLT_EPSILON * want);
            for (size_t j = 0; j < d; j++) {
                double v = w.p[j] * x.p[i * d + j] * want;
                assert_close(y.p[i * d + j], v, 10 * FLT_EPSILON * fabs(v));
            }
        }
        /* backward, by the formula in f64 */
        struct array dy = input_new(rows * d, 3, &r), before = input_new(rows * d, 0, &r), dx = copy_of(&before, 1);
        struct array dw0 = input_new(d, 0, &r), dw = copy_of(&dw0, 1), dx2 = output_new(rows * d, 0),
                     same = copy_of(&dy, 0);
        weft_rmsnorm_backward(c, dx.p, true, dw.p, dy.p, x.p, w.p, rr.p, rows, d);
        weft_rmsnorm_backward(c, dx2.p, false, NULL, dy.p, x.p, w.p, rr.p, rows, d);
        weft_rmsnorm_backward(c, same.p, false, NULL, same.p, x.p, w.p, rr.p, rows, d);
        guards_intact(&dx), guards_intact(&dw), guards_intact(&dx2);
        assert_same_bits(same.p, dx2.p, rows * d);
        for (size_t i = 0; i < rows; i++) {
            double mean = 0, all = 0, ri = rr.p[i];
            for (size_t j = 0; j < d; j++) {
                double v = (double)dy.p[i * d + j] * w.p[j] * x.p[i * d + j] * ri / (double)d;
                mean += v, all += fabs(v);
            }
            for (size_t j = 0; j < d; j++) {
                double g = (double)dy.p[i * d + j] * w.p[j], hat = x.p[i * d + j] * ri, v = ri * (g - hat * mean);
                double tol = 16 * FLT_EPSILON * (ri * (fabs(g) + fabs(hat) * all) + 1e-30);
                assert_close(dx2.p[i * d + j], v, tol);
                assert_close(dx.p[i * d + j], before.p[i * d + j] + v, tol + 2 * FLT_EPSILON);
            }
        }
        for (size_t j = 0; j < d; j++) {
            double want = dw0.p[j], all = fabs(want);
            for (size_t i = 0; i < rows; i++) {
                double v = (double)dy.p[i * d + j] * x.p[i * d + j] * rr.p[i];
                want += v, all += fabs(v);
            }
            assert_close(dw.p[j], want, 8 * FLT_EPSILON * all);
        }
        array_free(&x), array_free(&w), array_free(&y), array_free(&rr), array_free(&in_place),
            array_free(&dy), array_free(&before);
        array_free(&dx), array_free(&dw0), array_free(&dw), array_free(&dx2), array_free(&same);
    }
}

static void test_rmsnorm_and_its_gradient(void **state) { at_every_level(rmsnorm_at); }

/* ---- activation ---- */

static void swiglu_at(struct weft_compute *c, struct weft_compute *ref)
{
    for (size_t l = 0; l < WEFT_COUNT(lengths); l++) {
        size_t n = lengths[l];
        struct weft_rng r = test_rng(n);
        struct array gate = input_new(n, l % 4, &r), up = input_new(n, 1, &r), dh = input_new(n, 2, &r);
        for (size_t i = 0; i < n; i++) gate.p[i] *= i % 7 == 0 ? 120 : 6;      /* both tails of the sigmoid */
        struct array h = output_new(n, 1), same = copy_of(&gate, 0), h2 = output_new(n, 0),
                     dup = output_new(n, 3), dgate = output_new(n, 0);
        struct array over = copy_of(&dh, 1);
        weft_swiglu(c, h.p, gate.p, up.p, n);
        weft_swiglu(c, same.p, same.p, up.p, n);
        weft_swiglu_backward(c, dgate.p, dup.p, h2.p, dh.p, gate.p, up.p, n);
        guards_intact(&h), guards_intact(&h2), guards_intact(&dup), guards_intact(&dgate);
        weft_swiglu_backward(c, over.p, dup.p, NULL, over.p, gate.p, up.p, n);
        assert_same_bits(same.p, h.p, n);
        assert_same_bits(over.p, dgate.p, n);
        for (size_t i = 0; i < n; i++) {
            double g = gate.p[i], u = up.p[i], s = 1 / (1 + exp(-g)), d = dh.p[i];
            assert_close(h.p[i], g * s * u, 8 * FLT_EPSILON * fabs(g * s * u) + 1e-30);
            assert_close(h2.p[i], g * s * u, 8 * FLT_EPSILON * fabs(g * s * u) + 1e-30);
            assert_close(dup.p[i], d * g * s, 8 * FLT_EPSILON * fabs(d * g * s) + 1e-30);
            double want = d * u * s * (1 + g * (1 - s));
            assert_close(dgate.p[i], want, 16 * FLT_EPSILON * fabs(d * u) * s * (1 + fabs(g)) + 1e-30);
        }
        array_free(&gate), array_free(&up), array_free(&dh), array_free(&h), array_free(&same),
            array_free(&h2), array_free(&dup);
        array_free(&dgate), array_free(&over);
    }
}

static void test_swiglu_and_its_gradient(void **state) { at_every_level(swiglu_at); }

/* Forward is that of f32, backward that of the rounded values. */
static void swiglu_kept_at(struct weft_compute *c, struct weft_compute *ref)
{
    for (size_t l = 0; l < WEFT_COUNT(lengths); l++) {
        size_t n = lengths[l];
        struct weft_rng r = test_rng(n + 1);
        struct array gate = input_new(n, l % 4, &r), up = input_new(n, 1, &r), dh = input_new(n, 2, &r);
        struct array h = output_new(n, 1), dgate = output_new(n, 0), dup = output_new(n, 3), pair = output_new(n, 2);
        struct array plain_h = output_new(n, 1), plain_dgate = output_new(n, 0), plain_dup = output_new(n, 3);
        for (size_t i = 0; i < n; i += 5) gate.p[i] = i % 2 ? NAN : 1e-40f;
        struct array over = copy_of(&gate, 3), again = output_new(n, 0);
        weft_swiglu(c, plain_h.p, gate.p, up.p, n);
        weft_swiglu_keep(c, h.p, pair.p, gate.p, up.p, n);
        weft_swiglu_keep(c, over.p, again.p, over.p, up.p, n);
        guards_intact(&h), guards_intact(&pair);
        assert_memory_equal(h.p, plain_h.p, n * 4);
        assert_memory_equal(over.p, plain_h.p, n * 4);
        assert_memory_equal(again.p, pair.p, n * 4);
        memset(again.p, 0, n * 4);
        weft_swiglu_keep(c, NULL, again.p, gate.p, up.p, n);
        assert_memory_equal(again.p, pair.p, n * 4);
        for (size_t i = 0; i < n; i++) {
            uint16_t both[2];
            memcpy(both, &pair.p[i], 4);
            assert_int_equal(both[0], weft_f32_to_bf16(gate.p[i]));
            assert_int_equal(both[1], weft_f32_to_bf16(up.p[i]));
            gate.p[i] = weft_bf16_to_f32(both[0]);
            up.p[i] = weft_bf16_to_f32(both[1]);
        }
        weft_swiglu_backward(c, plain_dgate.p, plain_dup.p, plain_h.p, dh.p, gate.p, up.p, n);
        weft_swiglu_backward_kept(c, dgate.p, dup.p, pair.p, dh.p, n);
        guards_intact(&dgate), guards_intact(&dup), guards_intact(&pair);
        weft_swiglu_backward_kept(c, dh.p, dup.p, again.p, dh.p, n);        /* in place */
        for (size_t i = 0; i < n; i++) {
            if (isnan(gate.p[i])) {
                assert_true(isnan(dgate.p[i]) && isnan(pair.p[i]) && isnan(dup.p[i]) && isnan(dh.p[i]));
                continue;
            }
            assert_true(dgate.p[i] == plain_dgate.p[i] && dup.p[i] == plain_dup.p[i] && pair.p[i] == plain_h.p[i]);
            assert_true(dh.p[i] == dgate.p[i] && again.p[i] == pair.p[i]);
        }
        array_free(&gate), array_free(&up), array_free(&dh), array_free(&h), array_free(&dgate), array_free(&dup);
        array_free(&pair), array_free(&plain_h), array_free(&plain_dgate), array_free(&plain_dup), array_free(&over);
        array_free(&again);
    }
}

static void test_swiglu_kept_in_bf16(void **state) { at_every_level(swiglu_kept_at); }

/* ---- position ---- */

static void rope_at(struct weft_compute *c, struct weft_compute *ref)
{
    static const size_t ds[] = { 2, 4, 6, 16, 30, 32, 64, 80, 128 };
    enum { T = 5, HEADS = 3, POSITIONS = 9 };
    for (size_t l = 0; l < WEFT_COUNT(ds); l++) {
        size_t d = ds[l], ld = HEADS * d + 5;
        struct weft_rng r = test_rng(d);
        struct array x = input_new(T * ld, 1, &r), cs = input_new(POSITIONS * d / 2, 1, &r),
                     sn = input_new(POSITIONS * d / 2, 0, &r);
        static const int32_t pos[T] = { 0, 8, 3, 3, 1 };
        for (size_t i = 0; i < POSITIONS * d / 2; i++) {
            float angle = 3 * sn.p[i];
            cs.p[i] = cosf(angle), sn.p[i] = sinf(angle);
        }
        struct array y = copy_of(&x, 2);
        weft_rope(c, y.p, ld, cs.p, sn.p, pos, T, HEADS, d, false);
        guards_intact(&y);
        for (size_t t = 0; t < T; t++) {
            for (size_t h = 0; h < HEADS; h++)
                for (size_t j = 0; j < d / 2; j++) {
                    const float *p = x.p + t * ld + h * d;
                    double co = cs.p[(size_t)pos[t] * d / 2 + j], si = sn.p[(size_t)pos[t] * d / 2 + j];
                    assert_close(y.p[t * ld + h * d + j], p[j] * co - p[j + d / 2] * si, 4 * FLT_EPSILON);
                    assert_close(y.p[t * ld + h * d + j + d / 2], p[j + d / 2] * co + p[j] * si, 4 * FLT_EPSILON);
                }
            for (size_t j = HEADS * d; j < ld; j++) assert_true(y.p[t * ld + j] == x.p[t * ld + j]);
        }
        weft_rope(c, y.p, ld, cs.p, sn.p, pos, T, HEADS, d, true);
        for (size_t i = 0; i < T * ld; i++) assert_close(y.p[i], x.p[i], 8 * FLT_EPSILON);
        array_free(&x), array_free(&cs), array_free(&sn), array_free(&y);
    }
}

static void test_rope_turns_and_turns_back(void **state) { at_every_level(rope_at); }

/* ---- elements and sums ---- */

static void elements_at(struct weft_compute *c, struct weft_compute *ref)
{
    for (size_t l = 0; l < WEFT_COUNT(lengths); l++) {
        size_t n = lengths[l];
        struct weft_rng r = test_rng(n);
        struct array x = input_new(n, l % 4, &r), y = input_new(n, 0, &r), got = copy_of(&y, l % 3),
                     want = copy_of(&y, 0);
        weft_add(c, got.p, x.p, n);
        weft_add(ref, want.p, x.p, n);
        assert_same_bits(got.p, want.p, n);
        for (int first = 0; first < 2; first++) {           /* what is added is zero afterwards */
            struct array taken = copy_of(&x, l % 3);
            weft_take(c, got.p, taken.p, n, first);
            if (first) memcpy(want.p, x.p, n * sizeof *x.p);
            else weft_add(ref, want.p, x.p, n);
            for (size_t i = 0; i < n; i++) assert_true(taken.p[i] == 0);
            guards_intact(&taken);
            array_free(&taken);
        }
        assert_same_bits(got.p, want.p, n);
        weft_scale(c, got.p, 0.3f, n);
        weft_scale(ref, want.p, 0.3f, n);
        assert_same_bits(got.p, want.p, n);
        guards_intact(&got);
        double a = weft_sum_squares(c, x.p, n), b = weft_sum_squares(ref, x.p, n);
        assert_memory_equal(&a, &b, sizeof a);
        assert_true(weft_all_finite(c, x.p, n));
        static const float bad[] = { NAN, INFINITY, -INFINITY };
        for (size_t i = 0; i < n; i += 1 + n / 20) {
            float keep = x.p[i];
            x.p[i] = bad[i % 3];
            assert_false(weft_all_finite(c, x.p, n));
            x.p[i] = i % 2 ? FLT_MAX : -FLT_MIN / 4;
            assert_true(weft_all_finite(c, x.p, n));
            x.p[i] = keep;
        }
        array_free(&x), array_free(&y), array_free(&got), array_free(&want);
    }
}

static void test_add_scale_sums_and_finiteness(void **state) { at_every_level(elements_at); }

static void columns_at(struct weft_compute *c, struct weft_compute *ref)
{
    for (size_t l = 0; l < WEFT_COUNT(lengths); l++) {
        size_t n = lengths[l], rows = l % 6;
        struct weft_rng r = test_rng(n);
        struct array dy = input_new(rows * n, l % 4, &r), db = input_new(n, 0, &r), got = copy_of(&db, 1),
                     want = copy_of(&db, 0);
        weft_bias_backward(c, got.p, dy.p, rows, n);
        weft_bias_backward(ref, want.p, dy.p, rows, n);
        guards_intact(&got);
        assert_same_bits(got.p, want.p, n);       /* the order of rows is fixed */
        array_free(&dy), array_free(&db), array_free(&got), array_free(&want);
    }
}

static void test_bias_gradient_adds_rows_in_order(void **state) { at_every_level(columns_at); }

/* ---- dropout ---- */

static void dropout_at(struct weft_compute *c, struct weft_compute *ref)
{
    for (size_t l = 0; l < WEFT_COUNT(lengths); l++) {
        size_t n = lengths[l];
        uint64_t seed = 77 + ((uint64_t)l << 40), stream = (uint64_t)5 << 33 | l;
        struct weft_rng r = test_rng(n), draws;
        struct array x = input_new(n, l % 4, &r), y = output_new(n, l % 3), sum = copy_of(&x, 0);
        weft_dropout(c, y.p, x.p, n, 0.25f, seed, stream);
        weft_dropout_add(c, sum.p, x.p, n, 0.25f, seed, stream);
        guards_intact(&y), guards_intact(&sum);
        weft_rng_init(&draws, seed, WEFT_RNG_DROPOUT, stream);
        for (size_t i = 0; i < n; i++) {
            float want = weft_rng_u32(&draws) >= 1u << 30 ? x.p[i] * (1 / 0.75f) : 0;
            assert_true(y.p[i] == want);
            assert_true(sum.p[i] == x.p[i] + want);
        }
        weft_dropout(c, x.p, x.p, n, 0.25f, seed, stream);
        assert_same_bits(x.p, y.p, n);
        array_free(&x), array_free(&y), array_free(&sum);
    }
}

static void test_dropout_mask_is_the_rng_stream(void **state) { at_every_level(dropout_at); }

static void test_dropout_rate_and_repeatability(void **state)
{
    enum { N = 100000 };
    struct weft_compute c;
    assert_int_equal(weft_compute_init(&c, NULL, NULL, NULL), WEFT_OK);
    float *x = malloc(N * 4), *y = malloc(N * 4), *again = malloc(N * 4);
    assert_true(x && y && again);
    for (size_t i = 0; i < N; i++) x[i] = 1;
    weft_dropout(&c, y, x, N, 0.1f, 3, 4);
    weft_dropout(&c, again, x, N, 0.1f, 3, 4);
    assert_same_bits(again, y, N);
    size_t kept = 0;
    for (size_t i = 0; i < N; i++) kept += y[i] != 0;
    assert_close((double)kept / N, 0.9, 5 * sqrt(0.09 / N));
    weft_dropout(&c, again, x, N, 0.1f, 3, 5);
    assert_memory_not_equal(again, y, N * 4);
    weft_dropout(&c, y, x, N, 0, 3, 4);
    assert_same_bits(y, x, N);
    free(x), free(y), free(again);
    weft_compute_clear(&c);
}

/* ---- optimizer ---- */

static void adamw_at(struct weft_compute *c, struct weft_compute *ref)
{
    for (size_t l = 0; l < WEFT_COUNT(lengths); l++) {
        size_t n = lengths[l];
        struct weft_rng r = test_rng(n);
        struct array p0 = input_new(n, 0, &r), m0 = input_new(n, 0, &r), v0 = input_new(n, 0, &r),
                     g = input_new(n, l % 4, &r);
        for (size_t i = 0; i < n; i++) v0.p[i] = fabsf(v0.p[i]);
        struct array p = copy_of(&p0, 1), m = copy_of(&m0, 2), v = copy_of(&v0, 3), rp = copy_of(&p0, 0),
                     rm = copy_of(&m0, 0), rv = copy_of(&v0, 0);
        struct weft_adamw_step s = { .lr = 1e-3f,
                                     .wd = 0.1f,
                                     .beta1 = 0.9f,
                                     .beta2 = 0.999f,
                                     .eps = 1e-8f,
                                     .step_size = 1e-2f,
                                     .inv_sqrt_bc2 = 31.6f,
                                     .g_scale = 0.5f };
        weft_adamw(c, p.p, m.p, v.p, g.p, n, &s);
        weft_adamw(ref, rp.p, rm.p, rv.p, g.p, n, &s);
        guards_intact(&p), guards_intact(&m), guards_intact(&v);
        assert_same_bits(p.p, rp.p, n);           /* every operation is rounded by itself, at every level */
        assert_same_bits(m.p, rm.p, n);
        assert_same_bits(v.p, rv.p, n);
        for (size_t i = 0; i < n; i++) {
            double gi = 0.5 * g.p[i], mi = 0.9 * m0.p[i] + 0.1 * gi, vi = 0.999 * v0.p[i] + 0.001 * gi * gi;
            double want = p0.p[i] * (1 - 1e-3 * 0.1) - 1e-2 * mi / (sqrt(vi) * 31.6 + 1e-8);
            assert_close(m.p[i], mi, 4 * FLT_EPSILON);
            assert_close(v.p[i], vi, 4 * FLT_EPSILON);
            assert_close(p.p[i], want,
                         1e-6 * (fabs(want) + 1e-2 * fabs(mi) / (sqrt(vi) * 31.6 + 1e-8)) + 4 * FLT_EPSILON);
        }
        array_free(&p0), array_free(&m0), array_free(&v0), array_free(&g), array_free(&p), array_free(&m),
            array_free(&v);
        array_free(&rp), array_free(&rm), array_free(&rv);
    }
}

static void test_adamw_follows_the_formula(void **state) { at_every_level(adamw_at); }

/* ---- conversions ---- */

static void conversions_at(struct weft_compute *c, struct weft_compute *ref)
{
    static const float special[] = { 0.0f,        -0.0f,       INFINITY,     -INFINITY, FLT_MAX,
                                     -FLT_MAX,    FLT_MIN,     FLT_MIN / 8,  65504,     65520,
                                     65519,       1e-8f,       0x1p-24f,     0x1p-25f,  0x1.8p-24f,
                                     1.00390625f, 1.01171875f, 3.3895314e38f };
    for (size_t l = 0; l < WEFT_COUNT(lengths); l++)
        for (int type = WEFT_F32; type <= WEFT_F16; type++) {
            size_t n = lengths[l], bytes = n * weft_dtype_bytes((enum weft_dtype)type);
            struct weft_rng r = test_rng(n);
            struct array x = input_new(n, l % 4, &r), in, want, y = output_new(n, 1), y2 = output_new(n, 0),
                         got = output_new((bytes + 3) / 4, 1);
            for (size_t i = 0; i < n; i++)
                if (i % 3 == 1) x.p[i] = special[(i / 3 + l) % WEFT_COUNT(special)];
                else if (i % 3 == 2) x.p[i] *= 1e-5f;
            char *b = input_bytes(&in, bytes), *w = input_bytes(&want, bytes);
            weft_from_f32(ref, w, (enum weft_dtype)type, x.p, n);
            weft_from_f32(c, got.p, (enum weft_dtype)type, x.p, n);
            guards_intact(&got);
            assert_memory_equal(got.p, w, bytes);
            memcpy(b, w, bytes);
            weft_to_f32(c, y.p, b, (enum weft_dtype)type, n);
            weft_to_f32(ref, y2.p, b, (enum weft_dtype)type, n);
            guards_intact(&y);
            assert_same_bits(y.p, y2.p, n);
            array_free(&x), array_free(&in), array_free(&want), array_free(&y), array_free(&y2), array_free(&got);
        }
}

static void test_conversions_are_exact_at_every_level(void **state) { at_every_level(conversions_at); }

static void test_all_halves_survive_the_round_trip(void **state)
{
    for (int i = 0; i < WEFT_N_ISA; i++) {
        if (!(weft_isa_supported() >> i & 1)) continue;
        struct weft_compute c;
        assert_int_equal(weft_compute_init(&c, weft_isa_name((enum weft_isa)i), NULL, NULL), WEFT_OK);
        uint16_t *h = malloc(65536 * 2), *back = malloc(65536 * 2);
        float *f = malloc(65536 * 4);
        assert_true(h && back && f);
        for (unsigned v = 0; v < 65536; v++) h[v] = (uint16_t)v;
        for (int type = WEFT_BF16; type <= WEFT_F16; type++) {
            weft_to_f32(&c, f, h, (enum weft_dtype)type, 65536);
            weft_from_f32(&c, back, (enum weft_dtype)type, f, 65536);
            for (unsigned v = 0; v < 65536; v++)
                if (isnan(f[v]))
                    assert_true(
                        isnan(type == WEFT_BF16 ? weft_bf16_to_f32(back[v]) : weft_f16_to_f32(back[v])));
                else assert_int_equal(back[v], v);
        }
        free(h), free(back), free(f);
        weft_compute_clear(&c);
    }
}

/* ---- embedding and loss ---- */

static void embedding_at(struct weft_compute *c, struct weft_compute *ref)
{
    enum { V = 11, T = 9 };
    static const int32_t ids[T] = { 3, 0, 10, 3, 3, 7, 0, 10, 2 };
    for (size_t l = 1; l < WEFT_COUNT(lengths); l++)
        for (int type = WEFT_F32; type <= WEFT_F16; type++) {
            size_t d = lengths[l];
            struct weft_rng r = test_rng(d);
            struct array source = input_new(V * d, 0, &r), e, y = output_new(T * d, 1), dy = input_new(T * d, 1, &r);
            char *b = input_bytes(&e, V * d * weft_dtype_bytes((enum weft_dtype)type));
            weft_from_f32(ref, b, (enum weft_dtype)type, source.p, V * d);
            weft_embed(c, y.p, b, (enum weft_dtype)type, ids, T, d);
            guards_intact(&y);
            for (size_t t = 0; t < T; t++)
                for (size_t j = 0; j < d; j++) {
                    float want;
                    ref->k->to_f32(&want, weft_element(b, (enum weft_dtype)type, (size_t)ids[t] * d + j),
                                   (enum weft_dtype)type, 1);
                    assert_true(y.p[t * d + j] == want);
                }
            struct array de = copy_of(&source, 2);
            weft_embed_backward(c, de.p, dy.p, ids, T, d, 7);
            guards_intact(&de);
            for (size_t v = 0; v < V; v++)
                for (size_t j = 0; j < d; j++) {
                    float want = source.p[v * d + j];
                    for (size_t t = 0; t < T; t++)
                        if ((size_t)ids[t] == v && v != 7) want += dy.p[t * d + j];
                    assert_true(de.p[v * d + j] == want);
                }
            array_free(&source), array_free(&e), array_free(&y), array_free(&dy), array_free(&de);
        }
}

static void test_embedding_and_its_gradient(void **state) { at_every_level(embedding_at); }

static void cross_entropy_at(struct weft_compute *c, struct weft_compute *ref)
{
    static const size_t vs[] = { 1, 2, 7, 16, 33, 100, 1000, 5003 };
    static const float spreads[] = { 0.5f, 20, 300 };
    enum { ROWS = 3 };
    for (size_t l = 0; l < WEFT_COUNT(vs); l++)
        for (size_t s = 0; s < WEFT_COUNT(spreads); s++) {
            size_t v = vs[l], ldz = v + l % 3;
            struct weft_rng r = test_rng(v);
            struct array z = input_new((ROWS - 1) * ldz + v, 1, &r);
            for (size_t i = 0; i < z.n; i++) z.p[i] *= spreads[s];
            int32_t target[ROWS];
            for (size_t i = 0; i < ROWS; i++) target[i] = (int32_t)weft_rng_below(&r, v);
            if (v > 16) z.p[4] = -INFINITY;            /* a forbidden token */
            static const float coef[ROWS] = { 0.25f, -1, 0 };
            struct array dz = copy_of(&z, 2);
            double loss[ROWS], only[ROWS];
            weft_cross_entropy(c, only, dz.p, ldz, target, NULL, ROWS, v);
            assert_memory_equal(dz.p, z.p, z.n * 4);
            weft_cross_entropy(c, loss, dz.p, ldz, target, coef, ROWS, v);
            guards_intact(&dz);
            assert_memory_equal(loss, only, sizeof loss);
            for (size_t i = 0; i < ROWS; i++) {
                if (v > 16 && i == 0 && target[0] == 4) continue;
                double max = -INFINITY, sum = 0;
                for (size_t j = 0; j < v; j++) max = fmax(max, z.p[i * ldz + j]);
                for (size_t j = 0; j < v; j++) sum += exp(z.p[i * ldz + j] - max);
                double lse = max + log(sum), want = lse - z.p[i * ldz + (size_t)target[i]];
                assert_close(loss[i], want, 4 * FLT_EPSILON * (1 + fabs(want)));
                for (size_t j = 0; j < v; j++) {
                    double p = exp(z.p[i * ldz + j] - lse), g = coef[i] * (p - ((size_t)target[i] == j));
                    assert_close(dz.p[i * ldz + j], g,
                                 fabs(coef[i]) * FLT_EPSILON * (4 + fabs(lse))
                                         * (p + ((size_t)target[i] == j))
                                     + 1e-37);
                }
                for (size_t j = v; j < ldz && i + 1 < ROWS; j++) assert_true(dz.p[i * ldz + j] == z.p[i * ldz + j]);
            }
            array_free(&z), array_free(&dz);
        }
}

static void test_cross_entropy_and_its_gradient(void **state) { at_every_level(cross_entropy_at); }

static void nan_at(struct weft_compute *c, struct weft_compute *ref)
{
    enum { N = 37 };
    for (size_t at = 0; at < N; at += 9) {
        struct weft_rng r = test_rng(at);
        struct array x = input_new(N, 0, &r), ones = input_new(N, 0, &r), y = output_new(N, 0);
        for (size_t i = 0; i < N; i++) ones.p[i] = 1;
        x.p[at] = NAN;
        weft_rmsnorm(c, y.p, NULL, x.p, ones.p, 1, N, 1e-6f);
        for (size_t i = 0; i < N; i++) assert_true(isnan(y.p[i]));
        weft_swiglu(c, y.p, x.p, ones.p, N);
        for (size_t i = 0; i < N; i++) assert_int_equal(isnan(y.p[i]) != 0, i == at);
        assert_true(isnan(weft_sum_squares(c, x.p, N)));
        int32_t target = 1;
        float coef = 1;
        double loss;
        weft_cross_entropy(c, &loss, x.p, N, &target, &coef, 1, N);
        assert_true(isnan(loss));
        for (size_t i = 0; i < N; i++) assert_true(isnan(x.p[i]));
        array_free(&x), array_free(&ones), array_free(&y);
    }
}

static void test_nan_is_never_swallowed(void **state) { at_every_level(nan_at); }

/* ---- threads ---- */

enum { THREAD_ROWS = 70, THREAD_D = 701, THREAD_N = THREAD_ROWS * THREAD_D };

static void ops_for_threads(struct weft_compute *c, float *out)
{
    struct weft_rng r = test_rng(12);
    struct array x = input_new(THREAD_N, 0, &r), y = input_new(THREAD_N, 0, &r), w = input_new(THREAD_D, 0, &r);
    float *rr = out, *a = out + THREAD_ROWS, *b = a + THREAD_N, *dw = b + THREAD_N, *last = dw + THREAD_D;
    weft_rmsnorm(c, a, rr, x.p, w.p, THREAD_ROWS, THREAD_D, 1e-5f);
    memset(dw, 0, THREAD_D * 4);
    weft_rmsnorm_backward(c, b, false, dw, y.p, x.p, w.p, rr, THREAD_ROWS, THREAD_D);
    weft_bias_backward(c, dw, y.p, THREAD_ROWS, THREAD_D);
    weft_swiglu(c, a, a, y.p, THREAD_N);
    weft_dropout_add(c, b, a, THREAD_N, 0.3f, 1, 2);
    double sum = weft_sum_squares(c, b, THREAD_N), loss[THREAD_ROWS];
    int32_t target[THREAD_ROWS];
    float coef[THREAD_ROWS];
    for (size_t i = 0; i < THREAD_ROWS; i++) target[i] = (int32_t)i, coef[i] = 0.1f;
    weft_cross_entropy(c, loss, a, THREAD_D, target, coef, THREAD_ROWS, THREAD_D);
    memcpy(last, &sum, 8);
    memcpy(last + 2, loss, sizeof loss);
    array_free(&x), array_free(&y), array_free(&w);
}

static void test_same_bits_for_any_number_of_threads(void **state)
{
    same_for_any_threads(ops_for_threads, THREAD_ROWS + 2 * THREAD_N + THREAD_D + 2 + 2 * THREAD_ROWS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rmsnorm_and_its_gradient),
        cmocka_unit_test(test_swiglu_and_its_gradient),
        cmocka_unit_test(test_swiglu_kept_in_bf16),
        cmocka_unit_test(test_rope_turns_and_turns_back),
        cmocka_unit_test(test_add_scale_sums_and_finiteness),
        cmocka_unit_test(test_bias_gradient_adds_rows_in_order),
        cmocka_unit_test(test_dropout_mask_is_the_rng_stream),
        cmocka_unit_test(test_dropout_rate_and_repeatability),
        cmocka_unit_test(test_adamw_follows_the_formula),
        cmocka_unit_test(test_conversions_are_exact_at_every_level),
        cmocka_unit_test(test_all_halves_survive_the_round_trip),
        cmocka_unit_test(test_embedding_and_its_gradient),
        cmocka_unit_test(test_cross_entropy_and_its_gradient),
        cmocka_unit_test(test_nan_is_never_swallowed),
        cmocka_unit_test(test_same_bits_for_any_number_of_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
