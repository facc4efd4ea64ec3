/* What the size of the data says: each rule speaks where it should and is silent where it should. */
#include "check.h"

#include "train/advice.h"

struct fixture {
    struct weft_arena arena;
    struct weft_recipe r;
    struct weft_examples e;
    struct weft_advice a;
    struct weft_err err;
};

static void set_up(struct fixture *f, size_t rows, uint32_t tokens, const char *yaml)
{
    memset(f, 0, sizeof *f);
    check_ok(weft_recipe_read(&f->r, &f->arena, "test", weft_str_c(yaml), NULL, NULL, &f->err), &f->err);
    check_ok(weft_recipe_check(&f->r, NULL, &f->err), &f->err);
    f->e = (struct weft_examples){ .n = rows, .rows_in = rows, .longest = tokens };
    f->e.items = WEFT_NEWS(&f->arena, struct weft_example, rows);
    assert_non_null(f->e.items);
    for (size_t i = 0; i < rows; i++) {
        f->e.items[i] = (struct weft_example){ .n = tokens, .full_len = tokens, .n_labels = tokens / 2 };
        f->e.total_labels += tokens / 2;
    }
}

static bool said(const struct fixture *f, const char *part)
{
    for (size_t i = 0; i < f->a.n; i++)
        if (strstr(f->a.lines[i], part)) return true;
    return false;
}

#define ADVISE(f, n_valid, n_trained) weft_advise(&(f).r, &(f).e, (n_valid), (n_trained), WEFT_LANG_EN, &(f).a)

static const char good[] = "dataset: a\nlearning_rate: 1e-4\nnum_train_epochs: 3\nlora_rank: 8\n";

static void test_sound_settings_need_no_advice(void **state)
{
    struct fixture f;
    (void)state;
    set_up(&f, 2000, 200, good);
    ADVISE(f, 100, 1000000);
    assert_int_equal(f.a.n, 0);
    weft_arena_clear(&f.arena);
}

static void test_a_cutoff_that_cuts_names_one_that_does_not(void **state)
{
    struct fixture f;
    (void)state;
    set_up(&f, 2000, 100, "dataset: a\nlearning_rate: 1e-4\ncutoff_len: 128\n");
    for (size_t i = 0; i < 200; i++) f.e.items[i].full_len = 300;
    f.e.truncated = 200;
    ADVISE(f, 100, 1000000);
    assert_true(said(&f, "cutoff_len 128 is too short for 10 % of the rows; 320 holds 99 %"));
    f.e.truncated = 40;                     /* 2 in a hundred are nobody's business */
    ADVISE(f, 100, 1000000);
    assert_false(said(&f, "cutoff_len"));
    f.r.over_length = WEFT_OVER_DROP;       /* the dropped rows' lengths are gone */
    f.e.truncated = 0, f.e.over_long = 200, f.e.longest = 100;
    ADVISE(f, 100, 1000000);
    assert_true(said(&f, "cutoff_len 128"));
    weft_arena_clear(&f.arena);
}

static void test_few_updates_and_many_passes(void **state)
{
    struct fixture f;
    (void)state;
    set_up(&f, 160, 100, "dataset: a\nlearning_rate: 1e-4\nnum_train_epochs: 1\ngradient_accumulation_steps: 4\n");
    ADVISE(f, 16, 1000000);
    assert_true(said(&f, "20 updates are few to learn from; num_train_epochs: 8 gives about 150"));
    weft_arena_clear(&f.arena);
    set_up(&f, 100, 100, "dataset: a\nlearning_rate: 1e-4\nnum_train_epochs: 20\n");
    ADVISE(f, 0, 1000000);
    assert_true(said(&f, "each of the 100 rows is seen 20 times"));
    assert_false(said(&f, "nothing is held out"));          /* one of the two is enough */
    f.r.num_train_epochs = 3;
    ADVISE(f, 0, 1000000);
    assert_true(said(&f, "nothing is held out"));
    ADVISE(f, 10, 1000000);
    assert_false(said(&f, "nothing is held out"));
    weft_arena_clear(&f.arena);
}

static void test_rank_and_rate(void **state)
{
    struct fixture f;
    (void)state;
    set_up(&f, 2000, 2000, good);                           /* 2 million tokens with loss */
    ADVISE(f, 100, 500000);
    assert_true(said(&f, "lora_rank: 16 has room"));
    ADVISE(f, 100, 1000000);
    assert_false(said(&f, "lora_rank"));
    f.r.num_train_epochs = 1;
    f.r.learning_rate = 1e-5;
    ADVISE(f, 100, 1000000);
    assert_true(said(&f, "learning_rate 1e-05 is low for an adapter"));
    f.r.stage = WEFT_RECIPE_DPO;                            /* where low rates are right */
    ADVISE(f, 100, 1000000);
    assert_false(said(&f, "learning_rate"));
    weft_arena_clear(&f.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sound_settings_need_no_advice),
        cmocka_unit_test(test_a_cutoff_that_cuts_names_one_that_does_not),
        cmocka_unit_test(test_few_updates_and_many_passes),
        cmocka_unit_test(test_rank_and_rate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
