#include "check.h"

static void test_pieces_are_aligned_and_apart(void **state)
{
    struct weft_arena a = { 0 };
    char *last = NULL;
    for (size_t n = 0; n < 300; n++) {
        char *p = weft_arena_alloc(&a, n);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 64, 0);
        memset(p, (int)n, n);
        assert_true(p != last);
        last = p;
    }
    weft_arena_clear(&a);
    assert_int_equal(a.used_bytes, 0);
    assert_int_equal(a.held_bytes, 0);
}

static void test_strings_stand_close_together(void **state)
{
    struct weft_arena a = { 0 };
    char *one = weft_arena_strndup(&a, "one", 3), *two = weft_arena_strndup(&a, "two!", 3);
    assert_string_equal(one, "one");
    assert_string_equal(two, "two");
    assert_ptr_equal(two, one + 4);
    assert_int_equal((uintptr_t)weft_arena_alloc(&a, 1) % 64, 0);
    assert_string_equal(weft_arena_strndup(&a, NULL, 0), "");
    weft_arena_clear(&a);
}

static void test_release_gives_the_same_memory_again(void **state)
{
    struct weft_arena a = { 0 };
    weft_arena_init(&a, 4096, 0);
    void *kept = weft_arena_alloc(&a, 1000);
    memset(kept, 7, 1000);
    struct weft_arena_mark mark = weft_arena_mark(&a);
    size_t used = a.used_bytes, held = 0;
    for (int step = 0; step < 5; step++) {
        for (int i = 0; i < 40; i++) memset(weft_arena_alloc(&a, 1000), step, 1000);
        if (!step) held = a.held_bytes;
        assert_int_equal(a.held_bytes, held); /* warm: nothing more is asked from the system */
        weft_arena_release(&a, mark);
        assert_int_equal(a.used_bytes, used);
    }
    for (int i = 0; i < 1000; i++) assert_int_equal(((char *)kept)[i], 7);
    assert_true(a.peak_bytes >= 41 * 1000);
    weft_arena_clear(&a);
}

static void test_release_to_the_empty_arena(void **state)
{
    struct weft_arena a = { 0 };
    struct weft_arena_mark mark = weft_arena_mark(&a);
    assert_non_null(weft_arena_alloc(&a, 10));
    weft_arena_release(&a, mark);
    assert_int_equal(a.used_bytes, 0);
    assert_non_null(weft_arena_alloc(&a, 10));
    weft_arena_clear(&a);
}

static void test_limit_is_kept(void **state)
{
    struct weft_arena a = { 0 };
    weft_arena_init(&a, 4096, 3 * 4096);
    int n = 0;
    while (weft_arena_alloc(&a, 2048)) n++;
    assert_true(n >= 2 && n <= 6);
    assert_true(a.held_bytes <= 3 * 4096);
    assert_null(weft_arena_alloc(&a, 1u << 20));
    weft_arena_clear(&a);
    assert_non_null(weft_arena_alloc(&a, 2048)); /* the limit is on what is held, not on a lifetime */
    weft_arena_clear(&a);
}

static void test_sizes_that_overflow_give_null(void **state)
{
    struct weft_arena a = { 0 };
    assert_null(weft_arena_alloc(&a, SIZE_MAX));
    assert_null(weft_arena_alloc(&a, SIZE_MAX - 64));
    assert_null(weft_arena_calloc(&a, SIZE_MAX / 2, 3));
    assert_null(weft_arena_strndup(&a, "", SIZE_MAX));
    weft_arena_clear(&a);
}

static void test_calloc_zeroes_reused_memory(void **state)
{
    struct weft_arena a = { 0 };
    struct weft_arena_mark mark = weft_arena_mark(&a);
    memset(weft_arena_alloc(&a, 5000), 0xFF, 5000);
    weft_arena_release(&a, mark);
    uint64_t *zero = WEFT_NEWS(&a, uint64_t, 600);
    for (int i = 0; i < 600; i++) assert_int_equal(zero[i], 0);
    weft_arena_clear(&a);
}

static void test_large_pieces_get_blocks_of_their_own(void **state)
{
    struct weft_arena a = { 0 };
    size_t n = (size_t)5 << 20;
    char *p = weft_arena_alloc(&a, n), *q = weft_arena_alloc(&a, 100);
    memset(p, 1, n);
    memset(q, 2, 100);
    assert_int_equal(p[n - 1], 1);
    weft_arena_clear(&a);
}

static void test_adopted_memory_goes_with_its_new_arena(void **state)
{
    struct weft_arena a = { .max_bytes = 1 << 20 }, b = { 0 }, empty = { 0 };
    char *first = weft_arena_strndup(&a, "first", 5);
    struct weft_arena_mark mark = weft_arena_mark(&a);
    char *theirs = weft_arena_strndup(&b, "theirs", 6);
    assert_non_null(weft_arena_alloc(&b, 100000));
    size_t held = a.held_bytes + b.held_bytes;
    assert_true(weft_arena_adopt(&a, &b));
    assert_int_equal(a.held_bytes, held);
    assert_int_equal(b.held_bytes, 0);
    assert_null(b.top);
    char *last = weft_arena_strndup(&a, "last", 4);
    assert_string_equal(first, "first");
    assert_string_equal(theirs, "theirs");
    assert_string_equal(last, "last");
    assert_true(weft_arena_adopt(&a, &empty));
    assert_non_null(weft_arena_alloc(&b, 2 << 20)); /* more than a may hold */
    assert_false(weft_arena_adopt(&a, &b));
    assert_true(b.held_bytes > 2 << 20);
    weft_arena_release(&a, mark); /* theirs came after the mark */
    assert_int_equal(a.held_bytes, held);
    assert_string_equal(first, "first");
    weft_arena_clear(&a);
    weft_arena_clear(&b);
}

static void test_the_rest_of_a_block_is_taken_when_its_length_is_known(void **state)
{
    struct weft_arena a = { .block_bytes = 256, .max_bytes = 4096 };
    size_t room, again;
    assert_null(weft_arena_rest(&a, 5000, &room));
    assert_non_null(weft_arena_rest(&a, 100, &room));
    assert_true(room >= 256);
    weft_arena_took(&a, 0);
    assert_int_equal(a.used_bytes, 0);
    char *first = weft_arena_strndup(&a, "first", 5), *rest = weft_arena_rest(&a, 1, &room);
    size_t used = a.used_bytes;
    assert_ptr_equal(rest, first + 6);
    assert_true(room >= 250);
    memset(rest, 'x', room);
    weft_arena_took(&a, 3);
    assert_int_equal(a.used_bytes, used + 3);
    assert_ptr_equal(weft_arena_rest(&a, 0, &again), rest + 3);
    assert_int_equal(again, room - 3);
    weft_arena_took(&a, 0);
    struct weft_arena_mark mark = weft_arena_mark(&a);
    char *other = weft_arena_rest(&a, 1000, &again);
    assert_true(again >= 1000 && (other < first || other > rest + room));
    memset(other, 'z', again);
    weft_arena_took(&a, again);
    weft_arena_release(&a, mark);
    assert_ptr_equal(weft_arena_strndup(&a, "y", 1), rest + 3);
    assert_memory_equal(rest, "xxxy", 5);
    assert_string_equal(first, "first");
    weft_arena_clear(&a);
}

static void test_checked_sizes(void **state)
{
    size_t out;
    assert_true(weft_size_mul3(3, 5, 7, &out));
    assert_int_equal(out, 105);
    assert_false(weft_size_mul3(SIZE_MAX, 1, 2, &out));
    assert_false(weft_size_mul3(1ull << 32, 1ull << 31, 2, &out));
    assert_false(weft_size_add(SIZE_MAX, 1, &out));
    assert_true(weft_size_align(65, 64, &out));
    assert_int_equal(out, 128);
    assert_true(weft_size_align(0, 64, &out));
    assert_int_equal(out, 0);
    assert_false(weft_size_align(SIZE_MAX - 3, 64, &out));
    assert_int_equal(weft_ceil_div(0, 3), 0);
    assert_int_equal(weft_ceil_div(7, 3), 3);
    assert_int_equal(weft_ceil_div(SIZE_MAX, 1), SIZE_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces_are_aligned_and_apart),
        cmocka_unit_test(test_strings_stand_close_together),
        cmocka_unit_test(test_release_gives_the_same_memory_again),
        cmocka_unit_test(test_release_to_the_empty_arena),
        cmocka_unit_test(test_limit_is_kept),
        cmocka_unit_test(test_sizes_that_overflow_give_null),
        cmocka_unit_test(test_calloc_zeroes_reused_memory),
        cmocka_unit_test(test_large_pieces_get_blocks_of_their_own),
        cmocka_unit_test(test_adopted_memory_goes_with_its_new_arena),
        cmocka_unit_test(test_the_rest_of_a_block_is_taken_when_its_length_is_known),
        cmocka_unit_test(test_checked_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
