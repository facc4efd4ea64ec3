/* A file that is written anew is the old one or the new one, whenever the power goes. */
#include "power_cut.h"

#include "base/file.h"

static const char *const versions[] = { "the first version\n", "a second one, a good deal longer than the first was\n",
                                        "third\n" };

static void is_old_or_new(void *ctx, const char *folder, size_t promises, const char *moment)
{
    struct weft_arena a = { 0 };
    struct weft_err err = { 0 };
    struct weft_str got = { 0 };
    const char *path = check_path(folder, "rows.jsonl");
    uint64_t *lost = ctx;
    if (!weft_file_exists(path)) {
        if (promises) fail_msg("%s: the file is gone after %zu commits", moment, promises);
        return;
    }
    check_ok(weft_file_read(&a, path, 0, &got, &err), &err);
    bool is_last = promises && weft_str_is(got, versions[promises - 1]);
    bool is_next = promises < WEFT_COUNT(versions) && weft_str_is(got, versions[promises]);
    if (!is_last && !is_next)
        fail_msg("%s: after %zu commits the file holds \"%.*s\"", moment, promises, (int)got.len, got.s);
    *lost += is_next;
    weft_arena_clear(&a);
}

static void test_a_file_is_whole_or_as_before(void **state)
{
    struct weft_err err = { 0 };
    char folder[64];
    power_folder(folder);
    uint64_t early = 0;
    power_record(folder);
    for (size_t i = 0; i < WEFT_COUNT(versions); i++) {
        check_ok(weft_file_write(check_path(folder, "rows.jsonl"), weft_str_c(versions[i]), &err), &err);
        power_acknowledge();
    }
    power_stop();
    /* Opened, written, synced, renamed, folder synced, acknowledged; three times. */
    assert_int_equal(power_count(), 3 * 6);
    size_t n = power_replay(&(struct power_check){ is_old_or_new, &early, 1 });
    print_message("%zu moments, in %llu of them the file was ahead of its promise\n", n, (unsigned long long)early);
    assert_true(n > 150 && early > 0);
    power_forget();
    check_folder_gone(folder);
}

/* The replay finds what it is made to find: a writer that renames without syncing first. */
static void finds_torn(void *ctx, const char *folder, size_t promises, const char *moment)
{
    struct weft_arena a = { 0 };
    struct weft_err err = { 0 };
    struct weft_str got = { 0 };
    const char *path = check_path(folder, "careless");
    if (promises && !weft_file_exists(path)) ++*(size_t *)ctx;
    if (weft_file_exists(path)) {
        check_ok(weft_file_read(&a, path, 0, &got, &err), &err);
        *(size_t *)ctx += !weft_str_is(got, versions[0]);
    }
    weft_arena_clear(&a);
}

static void test_a_careless_writer_is_found_out(void **state)
{
    char folder[64];
    power_folder(folder);
    size_t found = 0;
    power_record(folder);
    int fd = open(check_path(folder, "careless.new"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, versions[0], strlen(versions[0])), strlen(versions[0]));
    close(fd);
    assert_int_equal(rename(check_path(folder, "careless.new"), check_path(folder, "careless")), 0);
    power_acknowledge();
    power_stop();
    power_replay(&(struct power_check){ finds_torn, &found, 1 });
    assert_true(found > 2);
    power_forget();
    check_folder_gone(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_file_is_whole_or_as_before),
        cmocka_unit_test(test_a_careless_writer_is_found_out),
    };
    return cmocka_run_group_tests_name("base/power cut", tests, NULL, NULL);
}
