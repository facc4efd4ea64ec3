/* tests/kernels/levels.h - arrays with guards, random numbers, and every level this machine has
 *
 * Inputs end exactly where their memory ends, so that a sanitizer sees a read past them; outputs stand between
 * guard words, so that a write past them is seen without one. */
#ifndef WEFT_TESTS_KERNELS_LEVELS_H
#define WEFT_TESTS_KERNELS_LEVELS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "kernels/table.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define UNUSED __attribute__((unused))

enum { GUARD = 32, GUARD_WORD = 0x7fc0dead };

/* n floats at `offset` floats from a 64-byte boundary. */
struct array {
    void *base;
    float *p;
    size_t n;
    bool guarded;
};

static UNUSED void array_free(struct array *a)
{
    free(a->base);
    *a = (struct array){ 0 };
}

static UNUSED struct array output_new(size_t n, size_t offset)
{
    struct array a = { .n = n, .guarded = true };
    a.base = aligned_alloc(64, ((n + offset + 2 * GUARD) * 4 + 63) / 64 * 64);
    assert_non_null(a.base);
    a.p = (float *)a.base + GUARD + offset;
    uint32_t word = GUARD_WORD;
    for (size_t i = 0; i < GUARD; i++) {
        memcpy(a.p - 1 - i, &word, 4);
        memcpy(a.p + n + i, &word, 4);
    }
    for (size_t i = 0; i < n; i++) a.p[i] = NAN;      /* whatever is not written shows */
    return a;
}

static UNUSED void guards_intact(const struct array *a)
{
    uint32_t word;
    for (size_t i = 0; i < GUARD; i++) {
        memcpy(&word, a->p - 1 - i, 4);
        assert_int_equal(word, GUARD_WORD);
        memcpy(&word, a->p + a->n + i, 4);
        assert_int_equal(word, GUARD_WORD);
    }
}

/* `bytes` of anything, the last byte at the end of the memory, the first at any alignment. */
static UNUSED void *input_bytes(struct array *a, size_t bytes)
{
    *a = (struct array){ .base = malloc(bytes + 1) };
    assert_non_null(a->base);
    return (char *)a->base + 1;
}

static UNUSED float uniform(struct weft_rng *r) { return 2 * weft_rng_f32(r) - 1; }

static UNUSED struct array input_new(size_t n, size_t offset, struct weft_rng *r)
{
    struct array a = { .n = n, .base = malloc((n + offset) * 4 + 1) };
    assert_non_null(a.base);
    a.p = (float *)a.base + offset;
    for (size_t i = 0; i < n; i++) a.p[i] = uniform(r);
    return a;
}

static UNUSED struct array copy_of(const struct array *x, size_t offset)
{
    struct array a = output_new(x->n, offset);
    if (x->n) memcpy(a.p, x->p, x->n * 4);
    return a;
}

static UNUSED struct weft_rng test_rng(uint64_t stream)
{
    struct weft_rng r;
    weft_rng_init(&r, 1, WEFT_RNG_TEST, stream);
    return r;
}

#define assert_close(got, want, tol) assert_close_at((double)(got), (double)(want), (double)(tol), __FILE__, __LINE__)
static UNUSED void assert_close_at(double got, double want, double tol, const char *file, int line)
{
    if (isfinite(got) && fabs(got - want) <= tol) return;
    print_error("%s:%d: got %.9g, want %.9g, tolerance %.3g\n", file, line, got, want, tol);
    _fail(file, line);
}

#define assert_same_bits(a, b, n) assert_memory_equal((a), (b), (n) * sizeof *(a))

/* fn with a compute of each level this machine has, and the level ref beside it. */
static UNUSED void at_every_level(void (*fn)(struct weft_compute *c, struct weft_compute *ref))
{
    struct weft_compute ref, c;
    struct weft_err err = { 0 };
    assert_int_equal(weft_compute_init(&ref, "ref", NULL, &err), WEFT_OK);
    for (int i = 0; i < WEFT_N_ISA; i++) {
        if (!(weft_isa_supported() >> i & 1)) continue;
        assert_int_equal(weft_compute_init(&c, weft_isa_name((enum weft_isa)i), NULL, &err), WEFT_OK);
        fn(&c, &ref);
        weft_compute_clear(&c);
    }
    weft_compute_clear(&ref);
}

/* fn(c, out) at every level with 1, 2 and 5 threads must write the same n floats. */
static UNUSED void same_for_any_threads(void (*fn)(struct weft_compute *c, float *out), size_t n)
{
    static const int threads[] = { 1, 2, 5 };
    struct weft_err err = { 0 };
    float *want = malloc(n * 4), *got = malloc(n * 4);
    assert_true(want && got);
    for (int i = 0; i < WEFT_N_ISA; i++) {
        if (!(weft_isa_supported() >> i & 1)) continue;
        for (size_t t = 0; t < 3; t++) {
            struct weft_pool *pool = NULL;
            struct weft_compute c;
            assert_int_equal(weft_pool_new(&pool, threads[t], &err), WEFT_OK);
            assert_int_equal(weft_compute_init(&c, weft_isa_name((enum weft_isa)i), pool, &err), WEFT_OK);
            for (size_t j = 0; j < n; j++) got[j] = NAN;
            fn(&c, got);
            if (t == 0) memcpy(want, got, n * 4);
            assert_same_bits(got, want, n);
            weft_compute_clear(&c);
            weft_pool_free(pool);
        }
    }
    free(want);
    free(got);
}

#endif
