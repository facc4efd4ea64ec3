/* store/hub_journal: chunks in any order, what is found again after a kill, what is not believed. */
#include "check.h"
#include "store/hub_journal.h"

#include <fcntl.h>
#include <sys/stat.h>

#define DIGEST "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
enum { SIZE = 250, CHUNK = 100 };

static char folder[64], target[96], data[128], table[128], plain[128];
static char content[SIZE];

static int setup(void **state)
{
    snprintf(folder, sizeof folder, "/tmp/weft-journal-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    snprintf(target, sizeof target, "%s/blob", folder);
    snprintf(data, sizeof data, "%s.parts.incomplete", target);
    snprintf(table, sizeof table, "%s.journal.incomplete", target);
    snprintf(plain, sizeof plain, "%s.incomplete", target);
    for (int i = 0; i < SIZE; i++) content[i] = (char)('a' + i % 23);
    return 0;
}

static int teardown(void **state) { return weft_dir_remove(folder, NULL) ? -1 : 0; }

static void reopen(struct weft_hub_journal *j, const char *digest)
{
    struct weft_err err = { 0 };
    check_ok(weft_hub_journal_open(j, target, SIZE, digest, CHUNK, &err), &err);
}

static void add(struct weft_hub_journal *j, size_t chunk, size_t n)
{
    struct weft_err err = { 0 };
    struct weft_str bytes = { content + chunk * CHUNK + j->chunks[chunk].at, n };
    check_ok(weft_hub_journal_add(j, chunk, bytes, &err), &err);
}

/* Closed as by kill -9: nothing is synced, nothing is written any more. */
static void killed(struct weft_hub_journal *j)
{
    j->unsynced = 0;
    weft_hub_journal_close(j);
}

static void finish(struct weft_hub_journal *j)
{
    struct weft_err err = { 0 };
    struct weft_arena a = { 0 };
    struct weft_str text;
    for (size_t i = 0; i < j->n; i++)
        if (j->chunks[i].at < weft_hub_journal_len(j, i)) add(j, i, weft_hub_journal_len(j, i) - j->chunks[i].at);
    assert_int_equal(j->have, SIZE);
    assert_int_equal(weft_hub_journal_prefix(j), SIZE);
    check_ok(weft_hub_journal_commit(j, target, &err), &err);
    weft_hub_journal_close(j);
    check_ok(weft_file_read(&a, target, 0, &text, &err), &err);
    assert_int_equal(text.len, SIZE);
    assert_memory_equal(text.s, content, SIZE);
    assert_false(weft_file_exists(data) || weft_file_exists(table) || weft_file_exists(plain));
    weft_arena_clear(&a);
}

static void test_chunks_in_any_order_and_a_kill_between(void **state)
{
    struct weft_hub_journal j;
    check_needs_proc();
    reopen(&j, DIGEST);
    assert_int_equal(j.n, 3);
    assert_int_equal(weft_hub_journal_len(&j, 2), 50);
    add(&j, 2, 50);
    add(&j, 0, 30);
    add(&j, 0, 10);
    assert_int_equal(weft_hub_journal_prefix(&j), 40);
    assert_int_equal(j.have, 90);
    killed(&j);
    reopen(&j, DIGEST);
    assert_int_equal(j.have, 90);
    assert_int_equal(j.chunks[2].at, 50);
    assert_int_equal(j.chunks[1].at, 0);
    add(&j, 0, 60);
    assert_int_equal(weft_hub_journal_prefix(&j), 100);
    add(&j, 1, 100);
    assert_int_equal(weft_hub_journal_prefix(&j), SIZE);
    finish(&j);
}

static void test_the_chunks_of_an_older_journal_stay(void **state)
{
    struct weft_hub_journal j;
    struct weft_err err = { 0 };
    check_needs_proc();
    reopen(&j, DIGEST);
    add(&j, 1, 70);
    killed(&j);
    check_ok(weft_hub_journal_open(&j, target, SIZE, DIGEST, 1000, &err), &err);
    assert_int_equal(j.n, 3);
    assert_int_equal(j.chunks[1].at, 70);
    finish(&j);
}

static void test_the_part_of_one_stream_is_taken_over(void **state)
{
    struct weft_hub_journal j;
    struct weft_err err = { 0 };
    check_ok(weft_file_write(plain, (struct weft_str){ content, 130 }, &err), &err);
    reopen(&j, DIGEST);
    assert_int_equal(j.have, 130);
    assert_int_equal(weft_hub_journal_prefix(&j), 130);
    assert_false(weft_file_exists(plain));
    finish(&j);
}

/* Power cut: what was synced counts, whatever the other count says. */
static void test_after_another_boot_only_what_was_synced_counts(void **state)
{
    struct weft_hub_journal j;
    struct weft_err err = { 0 };
    reopen(&j, DIGEST);
    add(&j, 0, 20);
    check_ok(weft_hub_journal_sync(&j, &err), &err);
    add(&j, 0, 50);
    add(&j, 1, 10);
    killed(&j);
    int fd = open(table, O_WRONLY);
    assert_int_equal(pwrite(fd, "another-boot", 12, 96), 12);
    close(fd);
    reopen(&j, DIGEST);
    assert_int_equal(j.have, 20);
    killed(&j);
    reopen(&j, DIGEST); /* and it stays so */
    assert_int_equal(j.have, 20);
    finish(&j);
}

static void test_a_journal_that_does_not_fit_begins_anew(void **state)
{
    static const struct {
        off_t at;
        const char *bytes;
    } damage[] = { { 0, "weftrngX" }, { 8, "\x01" }, { 16, "\0\0\0\0" }, { 24, "\x07" }, { 32, "f" } };
    struct weft_hub_journal j;
    for (size_t i = 0; i < WEFT_COUNT(damage); i++) {
        reopen(&j, DIGEST);
        add(&j, 1, 10);
        killed(&j);
        int fd = open(table, O_WRONLY);
        size_t n = strlen(damage[i].bytes) ? strlen(damage[i].bytes) : 4;
        assert_int_equal(pwrite(fd, damage[i].bytes, n, damage[i].at), n);
        close(fd);
        reopen(&j, DIGEST);
        if (j.have) fail_msg("damage at byte %d was not seen", (int)damage[i].at);
        killed(&j);
    }
    reopen(&j, DIGEST);
    add(&j, 0, 10);
    killed(&j);
    reopen(&j, "89abcdef0123456789abcdef0123456701234567"); /* another content */
    assert_int_equal(j.have, 0);
    finish(&j);
}

/* Every prefix of the journal, and counts beyond the data: never more than what the data file can hold. */
static void test_a_torn_journal_promises_nothing_that_is_not_there(void **state)
{
    struct weft_hub_journal j;
    struct stat info;
    for (off_t cut = 0; cut <= 304; cut += 8) {
        reopen(&j, DIGEST);
        add(&j, 0, 5);
        killed(&j);
        assert_int_equal(truncate(table, cut), 0);
        reopen(&j, DIGEST);
        assert_int_equal(stat(data, &info), 0);
        for (size_t i = 0; i < j.n; i++)
            assert_true(j.chunks[i].at == 0 || (off_t)(i * CHUNK + j.chunks[i].at) <= info.st_size);
        weft_hub_journal_discard(&j);
        weft_hub_journal_close(&j);
    }
    reopen(&j, DIGEST);
    add(&j, 1, 100);
    killed(&j);
    assert_int_equal(truncate(data, 150), 0); /* 100 bytes were announced, 50 are there */
    reopen(&j, DIGEST);
    assert_int_equal(j.have, 0);
    finish(&j);
}

static void test_nothing_but_a_regular_file_is_written(void **state)
{
    struct weft_hub_journal j;
    struct weft_err err = { 0 };
    assert_int_equal(symlink("/dev/null", data), 0);
    assert_int_not_equal(weft_hub_journal_open(&j, target, SIZE, DIGEST, CHUNK, &err), WEFT_OK);
    unlink(data);
    unlink(table);
    assert_int_equal(mkfifo(table, 0600), 0);
    weft_err_clear(&err);
    assert_int_equal(weft_hub_journal_open(&j, target, SIZE, DIGEST, CHUNK, &err), WEFT_ESYSTEM);
}

static void test_very_large_files_have_at_most_65536_chunks(void **state)
{
    struct weft_hub_journal j;
    struct weft_err err = { 0 };
    check_ok(weft_hub_journal_open(&j, target, UINT64_C(1) << 49, DIGEST, 1 << 20, &err), &err);
    assert_true(j.n <= 65536 && j.chunk_bytes * j.n >= UINT64_C(1) << 49);
    weft_hub_journal_discard(&j);
    weft_hub_journal_close(&j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_chunks_in_any_order_and_a_kill_between, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_chunks_of_an_older_journal_stay, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_part_of_one_stream_is_taken_over, setup, teardown),
        cmocka_unit_test_setup_teardown(test_after_another_boot_only_what_was_synced_counts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_journal_that_does_not_fit_begins_anew, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_torn_journal_promises_nothing_that_is_not_there, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nothing_but_a_regular_file_is_written, setup, teardown),
        cmocka_unit_test_setup_teardown(test_very_large_files_have_at_most_65536_chunks, setup, teardown),
    };
    return cmocka_run_group_tests_name("store/hub_journal", tests, NULL, NULL);
}
