/* Parts that do not leak: whole scenes, no prompt on both sides, the same for the same seed. */
#include "check.h"

#include "dataset/check.h"
#include "dataset/minhash.h"
#include "dataset/permute.h"
#include "dataset/row_text.h"
#include "dataset/split.h"

struct fixture {
    struct weft_arena arena;
    struct weft_err err;
    struct weft_rows rows;
};

#include "fixture.h"

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

/* Each value of the field is in one part. */
static void check_whole(struct fixture *f, int by, struct weft_str (*value)(const struct weft_row *))
{
    struct weft_split_settings s = { .valid = 0.2, .test = 0.1, .seed = 3, .by = by };
    struct weft_split split;
    check_ok(weft_split_rows(&f->arena, &f->rows, &s, &split, &f->err), &f->err);
    assert_true(split.valid.n > 0 && split.test.n > 0 && split.groups > 2);
    assert_int_equal(split.n_moves, 0);
    int *part = calloc(f->rows.n, sizeof *part);
    parts_of(f, &split, part);
    for (size_t i = 0; i < f->rows.n; i++)
        for (size_t k = 0; k < i; k++)
            if (weft_str_eq(value(&f->rows.items[i]), value(&f->rows.items[k]))) assert_int_equal(part[i], part[k]);
    free(part);
}

static struct weft_str of_source(const struct weft_row *r) { return r->origin.file; }
static struct weft_str of_episode(const struct weft_row *r) { return r->origin.episode; }
static struct weft_str of_speaker(const struct weft_row *r) { return r->origin.speaker; }
static struct weft_str of_parent(const struct weft_row *r)
{
    return r->origin.parents.len ? r->origin.parents : r->origin.id;
}
static struct weft_str of_set(const struct weft_row *r) { return r->origin.from_set; }

static void test_any_part_of_the_origin_stays_whole(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 200; i++) {
        char text[64];
        snprintf(text, sizeof text, "问%d", i);
        struct weft_row *row = add(f, text, text, "第1幕");
        row->origin.file = weft_str_printf(&f->arena, "f%d.txt", i % 11);
        row->origin.episode = weft_str_printf(&f->arena, "第%d集", i % 13);
        row->origin.speaker = weft_str_printf(&f->arena, "人%d", i % 17);
        row->origin.id = weft_str_printf(&f->arena, "c%d", i < 20 ? i : 100 + i);
        if (i >= 20) row->origin.parents = weft_str_printf(&f->arena, "c%d", i % 20);
        row->origin.from_set = weft_str_printf(&f->arena, "s%d", i % 7);
    }
    check_whole(f, WEFT_SPLIT_SOURCE, of_source);
    for (size_t i = 0; i < f->rows.n; i++) f->rows.items[i].origin.file = WEFT_STR("a.txt");
    check_whole(f, WEFT_SPLIT_EPISODE, of_episode);
    check_whole(f, WEFT_SPLIT_SPEAKER, of_speaker);
    check_whole(f, WEFT_SPLIT_PARENT, of_parent);
    check_whole(f, WEFT_SPLIT_SET, of_set);
}

/* Held-out rows near to a training row go there, and those near to them, until none is left; each move is told. */
static void test_near_doubles_do_not_stand_in_both_halves(void **state)
{
    struct fixture *f = *state;
    struct weft_split_settings s = { .valid = 0.2, .test = 0.1, .seed = 5, .near = 0.6 };
    struct weft_split split;
    uint64_t seed = 9;
    for (int i = 0; i < 120; i++) {
        char text[256] = "", near[300], scene[32];
        for (int k = 0; k < 30; k++) snprintf(text + strlen(text), 8, "%c", (char)('a' + check_random(&seed) % 26));
        for (int k = 0; k < 3; k++) {       /* a chain: each is near to the one before */
            snprintf(scene, sizeof scene, "第%d幕", 3 * i + k);
            snprintf(near, sizeof near, "%s%.*s", text, i % 4 == 0 ? 2 * k : 0, "xyzuvw");
            if (i % 4 && k) continue;
            add(f, near, near, scene);
        }
    }
    check_ok(weft_split_rows(&f->arena, &f->rows, &s, &split, &f->err), &f->err);
    assert_true(split.moved_near > 0);
    assert_int_equal(split.moved + split.moved_near, split.n_moves);
    for (size_t i = 0; i < split.n_moves; i++)
        if (split.moves[i].jaccard > 0)
            assert_true(split.moves[i].jaccard >= 0.6 && split.moves[i].to == WEFT_PART_TRAIN);
    const struct weft_part *held[] = { &split.valid, &split.test };
    struct weft_arena scratch = { 0 };
    for (size_t h = 0; h < 2; h++)
        for (size_t i = 0; i < held[h]->n; i++)
            for (size_t k = 0; k < split.train.n; k++) {
                struct weft_buf x = { 0 }, y = { 0 };
                double j;
                assert_true(weft_row_field_text(&scratch, &f->rows.items[held[h]->rows[i]], WEFT_FIELD_BOTH, &x));
                assert_true(weft_row_field_text(&scratch, &f->rows.items[split.train.rows[k]], WEFT_FIELD_BOTH, &y));
                check_ok(weft_jaccard(&scratch, weft_buf_view(&x), weft_buf_view(&y), 3, &j, &f->err), &f->err);
                assert_true(j < 0.6);
                weft_buf_clear(&x);
                weft_buf_clear(&y);
            }
    weft_arena_clear(&scratch);
}

/* Item 35: no normalised prompt in both halves; only a common instruction may be, and then it is counted. */
static void test_item_35_no_prompt_in_both_halves(void **state)
{
    struct fixture *f = *state;
    struct weft_split_settings s = { .valid = 0.2, .test = 0.2, .seed = 1, .near = 0.8 };
    struct weft_split split;
    fill(f);
    check_ok(weft_split_rows(&f->arena, &f->rows, &s, &split, &f->err), &f->err);
    assert_int_equal(split.shared_prompts, 0);
    int *part = calloc(f->rows.n + 100, sizeof *part);
    struct weft_arena scratch = { 0 };
    parts_of(f, &split, part);
    for (size_t i = 0; i < f->rows.n; i++)
        for (size_t k = 0; k < i; k++)
            if (weft_row_hash(&scratch, &f->rows.items[i], true) == weft_row_hash(&scratch, &f->rows.items[k], true))
                assert_int_equal(part[i], part[k]);
    for (int i = 0; i < 60; i++) {
        char scene[32], answer[64];
        snprintf(scene, sizeof scene, "第%d幕", 1000 + i);
        snprintf(answer, sizeof answer, "完全不同的回答%d%d%d", i * 7919, i * 104729, i);
        add(f, "写一段故事", answer, scene);
    }
    check_ok(weft_split_rows(&f->arena, &f->rows, &s, &split, &f->err), &f->err);
    assert_int_equal(split.shared_prompts, 1);
    weft_arena_clear(&scratch);
    free(part);
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
        TEST(test_any_part_of_the_origin_stays_whole),
        TEST(test_near_doubles_do_not_stand_in_both_halves),
        TEST(test_item_35_no_prompt_in_both_halves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
