/* Parts that do not leak: whole scenes, no prompt on both sides, the same for the same seed. */
#include "check.h"

#include "dataset/check.h"
#include "dataset/permute.h"
#include "dataset/split.h"

struct fixture {
    struct weft_arena arena;
    struct weft_err err;
    struct weft_rows rows;
};

static int setup(void **state)
{
    *state = calloc(1, sizeof(struct fixture));
    return *state ? 0 : -1;
}
static int teardown(void **state)
{
    struct fixture *f = *state;
    weft_arena_clear(&f->arena);
    free(f);
    return 0;
}

static struct weft_row *add(struct fixture *f, const char *prompt, const char *answer, const char *scene)
{
    struct weft_row *row = weft_rows_add(&f->rows, &f->arena);
    assert_non_null(row);
    row->n_turns = 2;
    row->turns = WEFT_NEWS(&f->arena, struct weft_turn, 2);
    assert_non_null(row->turns);
    row->turns[0] = (struct weft_turn){ WEFT_ROLE_USER, weft_str_dup(&f->arena, weft_str_c(prompt)) };
    row->turns[1] = (struct weft_turn){ WEFT_ROLE_ASSISTANT, weft_str_dup(&f->arena, weft_str_c(answer)) };
    if (scene) row->origin.scene = weft_str_dup(&f->arena, weft_str_c(scene));
    row->origin.file = WEFT_STR("a.txt");
    return row;
}

/* 60 scenes of 1 to 7 rows; every ninth row repeats an earlier one. */
static void fill(struct fixture *f)
{
    char prompt[64], answer[64], scene[64];
    uint64_t seed = 5;
    size_t n = 0;
    for (int s = 1; s <= 60; s++) {
        size_t rows = 1 + check_random(&seed) % 7;
        snprintf(scene, sizeof scene, "第%d幕%s", s > 55 ? s - 10 : s, s > 55 ? "（续）" : "");
        for (size_t i = 0; i < rows; i++, n++) {
            size_t k = n % 9 == 8 ? n / 2 : n;
            snprintf(prompt, sizeof prompt, "问题%zu%s", k, n % 18 == 17 ? " " : "");
            snprintf(answer, sizeof answer, "回答%zu", k);
            add(f, prompt, answer, scene);
        }
    }
}

/* Which part each row is in; asserts that each is in exactly one. */
static void parts_of(struct fixture *f, const struct weft_split *split, int *part)
{
    const struct weft_part *parts[] = { &split->train, &split->valid, &split->test };
    for (size_t i = 0; i < f->rows.n; i++) part[i] = -1;
    for (int p = 0; p < 3; p++)
        for (size_t i = 0; i < parts[p]->n; i++) {
            assert_int_equal(part[parts[p]->rows[i]], -1);
            part[parts[p]->rows[i]] = p;
        }
    for (size_t i = 0; i < f->rows.n; i++) assert_true(part[i] >= 0);
}

static void test_scenes_stay_whole_and_prompts_stay_together(void **state)
{
    struct fixture *f = *state;
    struct weft_split_settings s = { .valid = 0.1, .test = 0.1, .seed = 42 };
    struct weft_split split;
    struct weft_arena scratch = { 0 };
    fill(f);
    int *part = calloc(f->rows.n, sizeof *part);
    check_ok(weft_split_rows(&f->arena, &f->rows, &s, &split, &f->err), &f->err);
    parts_of(f, &split, part);
    uint64_t moved = 0;
    for (size_t i = 0; i < f->rows.n; i++)
        for (size_t k = 0; k < i; k++) {
            bool same_prompt = weft_row_hash(&scratch, &f->rows.items[i], true)
                               == weft_row_hash(&scratch, &f->rows.items[k], true);
            if (same_prompt) assert_int_equal(part[i], part[k]);
            if (same_prompt) moved++;
        }
    assert_true(moved > 10);
    assert_int_equal(split.groups, 55);         /* 5 of the 60 headings go on with an earlier scene */
    assert_true(split.moved > 0);
    size_t want = weft_val_count(f->rows.n, 0.1);
    assert_true(split.valid.n > want / 2 && split.valid.n < want * 3 / 2);
    assert_true(split.test.n > want / 2 && split.test.n < want * 3 / 2);
    /* A scene is in two parts only through rows that followed their duplicate. */
    uint64_t strays = 0;
    for (size_t i = 1; i < f->rows.n; i++)
        strays += weft_str_eq(f->rows.items[i].origin.scene, f->rows.items[i - 1].origin.scene)
                  && part[i] != part[i - 1];
    assert_true(strays <= 2 * split.moved);
    weft_arena_clear(&scratch);
    free(part);
}

static void test_the_same_seed_gives_the_same_parts_another_seed_others(void **state)
{
    struct fixture *f = *state;
    struct weft_split_settings s = { .valid = 0.2, .seed = 1 };
    struct weft_split x, y, z;
    fill(f);
    check_ok(weft_split_rows(&f->arena, &f->rows, &s, &x, &f->err), &f->err);
    check_ok(weft_split_rows(&f->arena, &f->rows, &s, &y, &f->err), &f->err);
    s.seed = 2;
    check_ok(weft_split_rows(&f->arena, &f->rows, &s, &z, &f->err), &f->err);
    assert_int_equal(x.valid.n, y.valid.n);
    assert_memory_equal(x.valid.rows, y.valid.rows, x.valid.n * sizeof *x.valid.rows);
    assert_false(x.valid.n == z.valid.n
                 && !memcmp(x.valid.rows, z.valid.rows, x.valid.n * sizeof *x.valid.rows));
}

static void test_a_common_instruction_does_not_glue_all_rows_together(void **state)
{
    struct fixture *f = *state;
    struct weft_split_settings s = { .valid = 0.25, .seed = 3 };
    struct weft_split split;
    char answer[32];
    for (int i = 0; i < 200; i++) {
        snprintf(answer, sizeof answer, "诗%d", i);
        add(f, "写一首诗。", answer, NULL);
    }
    check_ok(weft_split_rows(&f->arena, &f->rows, &s, &split, &f->err), &f->err);
    assert_int_equal(split.valid.n, 50);
    assert_int_equal(split.moved, 0);
}

static void test_by_row_is_numpy_permutation_in_permuted_order(void **state)
{
    struct fixture *f = *state;
    struct weft_split_settings s = { .valid = 0.25, .seed = 42, .by = WEFT_SPLIT_ROW };
    static const size_t order[] = { 5, 6, 0, 7, 3, 2, 4, 9, 1, 8 };
    struct weft_split split;
    char prompt[16];
    for (int i = 0; i < 10; i++) {
        snprintf(prompt, sizeof prompt, "问%d", i);
        add(f, prompt, "答", NULL);
    }
    check_ok(weft_split_rows(&f->arena, &f->rows, &s, &split, &f->err), &f->err);
    assert_int_equal(split.valid.n, 3);
    assert_memory_equal(split.valid.rows, order, 3 * sizeof *order);
    assert_memory_equal(split.train.rows, order + 3, 7 * sizeof *order);
    s.valid = 0;        /* no validation: natural order */
    check_ok(weft_split_rows(&f->arena, &f->rows, &s, &split, &f->err), &f->err);
    assert_int_equal(split.train.rows[3], 3);
}

static void test_nonsense_is_refused(void **state)
{
    struct fixture *f = *state;
    struct weft_split_settings s = { .valid = 0.5, .test = 0.6 };
    struct weft_split split;
    for (int i = 0; i < 4; i++) add(f, i & 1 ? "甲" : "乙", "丙", NULL);
    s.valid = 4;
    s.test = 0;
    check_fails(weft_split_rows(&f->arena, &f->rows, &s, &split, &f->err), &f->err, WEFT_EARG, NULL,
                "no row is left");
    weft_err_clear(&f->err);
    s.valid = -1;
    check_fails(weft_split_rows(&f->arena, &f->rows, &s, &split, &f->err), &f->err, WEFT_EARG, NULL,
                "fractions");
    weft_err_clear(&f->err);
    s = (struct weft_split_settings){ .valid = 1, .test = 1, .by = WEFT_SPLIT_ROW };
    check_fails(weft_split_rows(&f->arena, &f->rows, &s, &split, &f->err), &f->err, WEFT_EARG, NULL,
                "by scene");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_scenes_stay_whole_and_prompts_stay_together),
        TEST(test_the_same_seed_gives_the_same_parts_another_seed_others),
        TEST(test_a_common_instruction_does_not_glue_all_rows_together),
        TEST(test_by_row_is_numpy_permutation_in_permuted_order),
        TEST(test_nonsense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
