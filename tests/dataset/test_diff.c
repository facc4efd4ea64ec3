/* Versions of a dataset: who is whose partner, what changed in a row, and shortest edits of a text. */
#include "dataset/rows.h"

#include "dataset/diff.h"

#define ROW(q, a, id, line)                                                                                            \
    "{\"instruction\":\"" q "\",\"output\":\"" a "\",\"weft\":{\"id\":\"" id "\",\"src\":{\"file\":\"f.txt\",\"sha256\":\"00\","  \
    "\"line\":" line ",\"last_line\":" line ",\"bytes\":[" line "," line "]}}}\n"

static void diff(struct fixture *f, const char *before, const char *after, struct weft_diff *d)
{
    struct weft_rows x = parse(f, before), y = parse(f, after);
    check_ok(weft_diff_rows(&f->arena, &x, &y, d, &f->err), &f->err);
    assert_int_equal(d->before, d->same + d->changed + d->removed);
    assert_int_equal(d->after, d->same + d->changed + d->added);
    assert_int_equal(d->n_items, d->changed + d->added + d->removed);
}

static void test_diff_of_equal_sets_is_empty_whatever_their_format(void **state)
{
    struct fixture *f = *state;
    struct weft_diff d;
    diff(f, ROW("q", "a", "s1", "1") ROW("q", "a", "s2", "2"),
         "{\"conversations\":[{\"from\":\"human\",\"value\":\"q\"},{\"from\":\"gpt\",\"value\":\"a\"}]}\n"
         "{\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":\"a\"}]}\n",
         &d);
    assert_int_equal(d.same, 2);
    assert_int_equal(d.n_items + d.moved, 0);
    assert_string_equal(d.hash_before, d.hash_after);
}

/* A row at the top renumbers all others: still one row was added. */
static void test_diff_sees_through_new_numbers(void **state)
{
    struct fixture *f = *state;
    struct weft_diff d;
    diff(f, ROW("q1", "a1", "s1", "5") ROW("q2", "a2", "s2", "7") ROW("q3", "a3", "s3", "9"),
         ROW("q0", "a0", "s1", "3") ROW("q1", "a1", "s2", "5") ROW("q2", "a2x", "s3", "7")
             ROW("q3", "a3", "s4", "9"),
         &d);
    assert_int_equal(d.added, 1);
    assert_int_equal(d.changed, 1);
    assert_int_equal(d.same, 2);
    assert_int_equal(d.renumbered, 2);
    assert_int_equal(d.items[0].kind, WEFT_DIFF_ADDED);
    assert_int_equal(d.items[1].kind, WEFT_DIFF_CHANGED);
    assert_int_equal(d.items[1].before, 1);
    assert_int_equal(d.items[1].after, 2);
}

static void test_diff_counts_moved_and_removed_rows(void **state)
{
    struct fixture *f = *state;
    struct weft_diff d;
    diff(f, "{\"text\":\"a\"}\n{\"text\":\"b\"}\n{\"text\":\"c\"}\n{\"text\":\"d\"}\n{\"text\":\"d\"}\n",
         "{\"text\":\"d\"}\n{\"text\":\"a\"}\n{\"text\":\"c\"}\n", &d);
    assert_int_equal(d.removed, 2);         /* b, and one of the two d */
    assert_int_equal(d.moved, 1);
    assert_string_not_equal(d.hash_before, d.hash_after);
    assert_int_equal(d.items[d.n_items - 1].before, 4);
}

static void test_diff_by_id_where_places_say_nothing(void **state)
{
    struct fixture *f = *state;
    struct weft_diff d;
    diff(f, "{\"text\":\"a\",\"weft\":{\"id\":\"x\"}}\n{\"text\":\"b\",\"weft\":{\"id\":\"y\"}}\n",
         "{\"text\":\"a1\",\"weft\":{\"id\":\"x\"}}\n{\"text\":\"b1\",\"weft\":{\"id\":\"z\"}}\n", &d);
    assert_int_equal(d.changed, 1);
    assert_int_equal(d.added, 1);
    assert_int_equal(d.removed, 1);
}

static void test_diff_fields_name_what_changed(void **state)
{
    struct fixture *f = *state;
    struct weft_rows
        x = parse(f, "{\"instruction\":\"q\",\"output\":\"a\",\"system\":\"s\",\"kto_tag\":true}"),
        y = parse(
            f,
            "{\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":\"b\"},"
            "{\"role\":\"user\",\"content\":\"r\"},{\"role\":\"assistant\",\"content\":\"c\"}],\"topic\":1}");
    struct weft_diff_field *fields;
    static const char *const names[] = { "system", "turn 2", "turn 3", "turn 4", "kto_tag", "other members" };
    size_t n;
    check_ok(weft_diff_fields(&f->arena, &x.items[0], &y.items[0], &fields, &n, &f->err), &f->err);
    assert_int_equal(n, WEFT_COUNT(names));
    for (size_t i = 0; i < n; i++) check_str(fields[i].name, names[i]);
    assert_null(fields[0].after.s);
    check_str(fields[1].before, "a");
    check_str(fields[2].after, "user: r");
    check_str(fields[4].before, "true");
}

/* ---- characters ---- */

/* The pieces put together give both texts; returns the number of characters that are not common. */
static size_t edits(struct fixture *f, const char *before, const char *after)
{
    struct weft_diff_piece *p;
    struct weft_buf x = { 0 }, y = { 0 };
    size_t n, count = 0;
    check_ok(weft_diff_text(&f->arena, weft_str_c(before), weft_str_c(after), &p, &n, &f->err), &f->err);
    for (size_t i = 0; i < n; i++) {
        if (p[i].op != WEFT_DIFF_INSERT) weft_buf_str(&x, p[i].text);
        if (p[i].op != WEFT_DIFF_DELETE) weft_buf_str(&y, p[i].text);
        if (p[i].op != WEFT_DIFF_EQUAL) count += weft_utf8_chars(p[i].text);
    }
    check_str(weft_buf_view(&x), before);
    check_str(weft_buf_view(&y), after);
    weft_buf_clear(&x);
    weft_buf_clear(&y);
    return count;
}

static void test_text_diff_is_a_shortest_edit(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(edits(f, "", ""), 0);
    assert_int_equal(edits(f, "", "新"), 1);
    assert_int_equal(edits(f, "ABCABBA", "CBABAC"), 5);         /* the paper's example */
    assert_int_equal(edits(f, "臣妾谢皇上。", "臣妾多谢皇上！"), 3);
    /* Against the table of longest common subsequences, on random short texts. */
    uint64_t seed = 11;
    for (int t = 0; t < 300; t++) {
        char x[24], y[24];
        int table[24][24] = { { 0 } };
        size_t n = check_random(&seed) % 20, m = check_random(&seed) % 20;
        for (size_t i = 0; i < n; i++) x[i] = (char)('a' + check_random(&seed) % 3);
        for (size_t i = 0; i < m; i++) y[i] = (char)('a' + check_random(&seed) % 3);
        x[n] = y[m] = 0;
        for (size_t i = 1; i <= n; i++)
            for (size_t k = 1; k <= m; k++)
                table[i][k] = x[i - 1] == y[k - 1]                 ? table[i - 1][k - 1] + 1
                              : table[i - 1][k] > table[i][k - 1] ? table[i - 1][k]
                                                                   : table[i][k - 1];
        assert_int_equal(edits(f, x, y), n + m - 2 * (size_t)table[n][m]);
    }
}

static void test_text_diff_of_long_different_texts_gives_up_in_time(void **state)
{
    struct fixture *f = *state;
    enum { N = 60000 };
    char *x = malloc(N + 1), *y = malloc(N + 1);
    uint64_t seed = 3;
    for (size_t i = 0; i < N; i++) {
        x[i] = (char)('a' + check_random(&seed) % 26);
        y[i] = (char)('a' + check_random(&seed) % 26);
    }
    x[0] = y[0] = '(';
    x[N] = y[N] = 0;
    assert_true(edits(f, x, y) >= 2 * (N - 100));
    free(x);
    free(y);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_diff_of_equal_sets_is_empty_whatever_their_format, setup, teardown),
        cmocka_unit_test_setup_teardown(test_diff_sees_through_new_numbers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_diff_counts_moved_and_removed_rows, setup, teardown),
        cmocka_unit_test_setup_teardown(test_diff_by_id_where_places_say_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_diff_fields_name_what_changed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_text_diff_is_a_shortest_edit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_text_diff_of_long_different_texts_gives_up_in_time, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
