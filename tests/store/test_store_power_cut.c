/* The store, whenever the power goes: it opens, every version that was committed is there with its rows, and no part of
 * one that was not. */
#include "power_cut.h"

#include "store/store.h"

enum { VERSIONS = 4, ROWS = 12 };

static void put(struct weft_store *s, int64_t project, unsigned version)
{
    struct weft_arena a = { 0 };
    struct weft_err err = { 0 };
    struct weft_store_writer *w;
    struct weft_store_dataset d;
    check_ok(weft_store_dataset_begin(s, project, WEFT_STR("pairs"), WEFT_STR("role: 阿沅"), &w, &err), &err);
    for (unsigned i = 0; i < ROWS; i++) {
        char answer[600];
        snprintf(answer, sizeof answer, "version %u, row %u: %0*d", version, i, 400, 7);
        struct weft_turn turns[] = { { WEFT_ROLE_USER, WEFT_STR("谁在那儿？") }, { WEFT_ROLE_ASSISTANT, weft_str_c(answer) } };
        struct weft_row row = { .turns = turns, .n_turns = 2, .kto_tag = -1, .origin = { .file = WEFT_STR("a.txt") } };
        check_ok(weft_store_dataset_add(w, &row, WEFT_FORMAT_ALPACA, &err), &err);
    }
    check_ok(weft_store_dataset_commit(w, &a, &d, &err), &err);
    weft_arena_clear(&a);
}

static enum weft_status count(void *ctx, struct weft_str line, struct weft_err *err)
{
    ++*(size_t *)ctx;
    return WEFT_OK;
}

struct tally {
    size_t ahead;
};

static void opens_with_all_that_was_committed(void *ctx, const char *folder, size_t promises, const char *moment)
{
    struct tally *t = ctx;
    struct weft_arena a = { 0 };
    struct weft_err err = { 0 };
    struct weft_store *s = NULL;
    struct weft_store_dataset *list = NULL;
    size_t n = 0;
    if (weft_store_open(&s, check_path(folder, "weft.db"), &err)) fail_msg("%s: %s [%s]", moment, err.msg, err.rule);
    check_ok(weft_store_datasets(s, &a, 0, &list, &n, &err), &err);
    if (n < promises || n > promises + 1) fail_msg("%s: %zu versions after %zu commits", moment, n, promises);
    t->ahead += n > promises;
    for (size_t i = 0; i < n; i++) {
        size_t rows = 0;
        check_ok(weft_store_dataset_rows(s, list[i].id, count, &rows, &err), &err);
        if (rows != ROWS) fail_msg("%s: version %lld has %zu rows", moment, (long long)list[i].version, rows);
    }
    int64_t project = 0;
    check_ok(weft_store_project(s, WEFT_STR("渡口"), true, &project, &err), &err);
    put(s, project, 99);                            /* and it goes on */
    weft_store_close(s);
    weft_arena_clear(&a);
}

static void test_a_committed_version_is_never_lost(void **state)
{
    struct weft_err err = { 0 };
    struct weft_store *s = NULL;
    struct tally t = { 0 };
    int64_t project = 0;
    char folder[64];
    power_folder(folder);
    power_record(folder);
    for (unsigned v = 0; v < VERSIONS; v++) {
        if (v % 2 == 0) check_ok(weft_store_open(&s, check_path(folder, "weft.db"), &err), &err);
        check_ok(weft_store_project(s, WEFT_STR("渡口"), true, &project, &err), &err);
        put(s, project, v);
        power_acknowledge();
        if (v % 2 == 1) weft_store_close(s);
    }
    power_stop();
    size_t n = power_replay(&(struct power_check){ opens_with_all_that_was_committed, &t, 1000 });
    print_message("%zu moments behind %zu events; %zu times a version was there before its promise\n", n, power_count(), t.ahead);
    assert_true(n > 300 && t.ahead > 0);
    power_forget();
    check_folder_gone(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_a_committed_version_is_never_lost) };
    return cmocka_run_group_tests_name("store/power cut", tests, NULL, NULL);
}
