/* Rules G1-G7 of databases: kills, locks, full disks, damage, foreign and newer files, upgrades. */
#include "check.h"

#include "base/db.h"
#include "base/hash.h"

#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>

static const char *const steps[] = {
    "CREATE TABLE notes(id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT;",
    "ALTER TABLE notes ADD COLUMN mark TEXT; CREATE INDEX notes_mark ON notes(mark);",
};
static const struct weft_db_schema first = { .application_id = 0x74657374, .what = "the store", .steps = steps,
                                             .n_steps = 1, .log = true, .busy_ms = 300 };
static const struct weft_db_schema second = { .application_id = 0x74657374, .what = "the store", .steps = steps,
                                              .n_steps = 2, .log = true, .busy_ms = 300 };

struct fixture {
    struct weft_arena arena;
    struct weft_err err;
    struct weft_db db;
    struct sqlite3_stmt *add, *count;
    const char *folder, *path;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    if (!f) return -1;
    f->folder = check_folder();
    f->path = check_path(f->folder, "t.db");
    *state = f;
    return 0;
}
static int teardown(void **state)
{
    struct fixture *f = *state;
    weft_db_close(&f->db);
    check_folder_gone(f->folder);
    weft_arena_clear(&f->arena);
    free(f);
    return 0;
}

static void opened(struct fixture *f, const struct weft_db_schema *s)
{
    f->add = f->count = NULL;
    check_ok(weft_db_open(&f->db, f->path, s, &f->err), &f->err);
}

static enum weft_status add_note(struct weft_db *db, struct sqlite3_stmt **st, const char *text, struct weft_err *err)
{
    enum weft_status status = weft_db_prepare(db, st, "INSERT INTO notes(text) VALUES(?1)", err);
    if (status) return status;
    weft_db_bind_str(*st, 1, weft_str_c(text));
    return weft_db_run(db, *st, err);
}

static int64_t count_notes(struct fixture *f)
{
    bool row;
    check_ok(weft_db_prepare(&f->db, &f->count, "SELECT count(*) FROM notes", &f->err), &f->err);
    check_ok(weft_db_step(&f->db, f->count, &row, &f->err), &f->err);
    assert_true(row);
    int64_t n = weft_db_int(f->count, 0);
    weft_db_reset(f->count);
    return n;
}

static void check_whole(struct fixture *f)
{
    struct sqlite3_stmt *st = NULL;
    bool row;
    check_ok(weft_db_prepare(&f->db, &st, "PRAGMA integrity_check", &f->err), &f->err);
    check_ok(weft_db_step(&f->db, st, &row, &f->err), &f->err);
    check_str(weft_db_str(st, 0), "ok");
    weft_db_reset(st);
}

/* A child that adds notes, tells of each that is committed, and is killed after `ms`; how many it told of. */
static int64_t killed_writer(struct fixture *f, unsigned ms)
{
    int told[2];
    char byte;
    int64_t n = 0;
    assert_int_equal(pipe(told), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct weft_db db;
        struct sqlite3_stmt *st = NULL;
        if (weft_db_open(&db, f->path, &first, NULL)) _exit(1);
        for (;;)
            if (!add_note(&db, &st, "a note that was acknowledged", NULL)) (void)!write(told[1], "x", 1);
    }
    close(told[1]);
    usleep(ms * 1000);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    while (read(told[0], &byte, 1) == 1) n++;
    close(told[0]);
    return n;
}

static void test_what_was_acknowledged_survives_kills(void **state)
{
    struct fixture *f = *state;
    uint64_t seed = 42;
    int64_t told = 0;
    bool unclean = false;
    for (int i = 0; i < 25; i++) {
        told += killed_writer(f, 1 + check_random(&seed) % 40);
        opened(f, &first);
        unclean |= f->db.was_unclean;
        assert_true(count_notes(f) >= told);            /* one may be committed and not told of */
        check_whole(f);
        told = count_notes(f);
        weft_db_close(&f->db);
    }
    assert_true(unclean && told > 0);
}

static void test_the_file_belongs_to_its_user_alone(void **state)
{
    struct fixture *f = *state;
    struct stat about;
    opened(f, &first);
    check_ok(add_note(&f->db, &f->add, "x", &f->err), &f->err);
    static const char *const names[] = { "t.db", "t.db-wal", "t.db-shm", "t.db-lock" };
    for (size_t i = 0; i < WEFT_COUNT(names); i++) {
        assert_int_equal(stat(check_path(f->folder, names[i]), &about), 0);
        assert_int_equal(about.st_mode & 0777, 0600);
    }
    assert_true(f->db.wal);
}

/* Holds the write lock for `ms`. */
static pid_t locker(struct fixture *f, unsigned ms)
{
    int ready[2];
    char byte;
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct weft_db db;
        if (weft_db_open(&db, f->path, &first, NULL) || weft_db_begin(&db, NULL)) _exit(1);
        (void)!write(ready[1], "x", 1);
        usleep(ms * 1000);
        weft_db_close(&db);
        _exit(0);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    close(ready[1]);
    return pid;
}

static void test_a_short_lock_is_waited_for_and_a_long_one_named(void **state)
{
    struct fixture *f = *state;
    struct weft_db_schema patient = first;
    patient.busy_ms = 20000;
    opened(f, &patient);
    pid_t pid = locker(f, 200);
    check_ok(add_note(&f->db, &f->add, "after the wait", &f->err), &f->err);
    assert_int_equal(count_notes(f), 1);
    waitpid(pid, NULL, 0);
    weft_db_close(&f->db);
    opened(f, &first);
    pid = locker(f, 5000);
    check_fails(add_note(&f->db, &f->add, "never", &f->err), &f->err, WEFT_ESYSTEM, "G2", "another program");
    weft_err_clear(&f->err);
    assert_int_equal(count_notes(f), 1);                /* reading goes on */
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    check_ok(add_note(&f->db, &f->add, "now", &f->err), &f->err);
}

static void test_a_full_disk_loses_nothing_and_passes(void **state)
{
    struct fixture *f = *state;
    enum weft_status st = WEFT_OK;
    char text[4001];
    memset(text, 'x', 4000);
    text[4000] = '\0';
    opened(f, &first);
    check_ok(add_note(&f->db, &f->add, "before", &f->err), &f->err);
    check_ok(weft_db_exec(&f->db, "PRAGMA max_page_count=20", &f->err), &f->err);
    int64_t n = 0;
    while (n < 100 && !(st = add_note(&f->db, &f->add, text, &f->err))) n++;
    check_fails(st, &f->err, WEFT_ESYSTEM, "G3", "no space");
    weft_err_clear(&f->err);
    assert_int_equal(count_notes(f), n + 1);
    check_ok(weft_db_exec(&f->db, "PRAGMA max_page_count=1000", &f->err), &f->err);
    check_ok(add_note(&f->db, &f->add, text, &f->err), &f->err);
    check_whole(f);
}

static void test_foreign_and_newer_files_are_refused_and_kept(void **state)
{
    struct fixture *f = *state;
    char before[WEFT_SHA256_HEX], after[WEFT_SHA256_HEX];
    struct weft_db_schema other = first;
    other.application_id = 7;
    opened(f, &other);
    weft_db_close(&f->db);
    check_ok(weft_sha256_file(f->path, before, &f->err), &f->err);
    check_refuses(weft_db_open(&f->db, f->path, &first, &f->err), &f->err, WEFT_EINPUT, "G4", "another program");
    check_ok(weft_sha256_file(f->path, after, &f->err), &f->err);
    assert_string_equal(before, after);
    unlink(f->path);
    opened(f, &second);
    weft_db_close(&f->db);
    check_refuses(weft_db_open(&f->db, f->path, &first, &f->err), &f->err, WEFT_EINPUT, "G4", "newer weft (schema 2");
    check_ok(weft_file_write(f->path, WEFT_STR("not a database at all, but a file of more than a hundred bytes, so that it "
                                               "would be read as one: 0123456789012345678901234567890123456789"), &f->err),
             &f->err);
    check_refuses(weft_db_open(&f->db, f->path, &first, &f->err), &f->err, WEFT_EINPUT, "G4", NULL);
    check_refuses(weft_db_open(&f->db, f->folder, &first, &f->err), &f->err, WEFT_ESYSTEM, "", NULL);
}

/* Pages overwritten while the last user was killed: found before anything is written. */
static void test_damage_after_an_unclean_stop_is_refused(void **state)
{
    struct fixture *f = *state;
    struct stat about;
    char before[WEFT_SHA256_HEX], after[WEFT_SHA256_HEX];
    opened(f, &first);
    check_ok(weft_db_begin(&f->db, &f->err), &f->err);
    for (int i = 0; i < 2000; i++) check_ok(add_note(&f->db, &f->add, "a note of some length, so that there are pages", &f->err), &f->err);
    check_ok(weft_db_commit(&f->db, &f->err), &f->err);
    weft_db_close(&f->db);
    while (killed_writer(f, 60) == 0) {}
    assert_int_equal(stat(f->path, &about), 0);
    int fd = open(f->path, O_RDWR);
    char junk[4096];
    memset(junk, 0xA5, sizeof junk);
    for (off_t at = 4096; at + 4096 <= about.st_size; at += 3 * 4096) assert_int_equal(pwrite(fd, junk, 200, at), 200);
    close(fd);
    check_ok(weft_sha256_file(f->path, before, &f->err), &f->err);
    check_refuses(weft_db_open(&f->db, f->path, &first, &f->err), &f->err, WEFT_EINPUT, "G4", "damaged");
    check_ok(weft_sha256_file(f->path, after, &f->err), &f->err);
    assert_string_equal(before, after);
    check_refuses(weft_db_open(&f->db, f->path, &first, &f->err), &f->err, WEFT_EINPUT, "G4", "damaged");
}

static void test_an_older_file_is_copied_and_brought_up_to_date(void **state)
{
    struct fixture *f = *state;
    opened(f, &first);
    check_ok(add_note(&f->db, &f->add, "old", &f->err), &f->err);
    weft_db_close(&f->db);
    opened(f, &second);
    assert_int_equal(f->db.upgraded_from, 1);
    check_ok(weft_db_exec(&f->db, "UPDATE notes SET mark = 'new'", &f->err), &f->err);
    weft_db_close(&f->db);
    f->path = check_path(f->folder, "t.db.v1.bak");
    opened(f, &first);                  /* the copy is a good file of the old kind */
    assert_int_equal(count_notes(f), 1);
}

static void test_a_kill_during_an_upgrade_leaves_old_or_new(void **state)
{
    struct fixture *f = *state;
    uint64_t seed = 5;
    for (int i = 0; i < 12; i++) {
        opened(f, &first);
        check_ok(add_note(&f->db, &f->add, "old", &f->err), &f->err);
        weft_db_close(&f->db);
        pid_t pid = fork();
        if (pid == 0) {
            struct weft_db db;
            _exit(weft_db_open(&db, f->path, &second, NULL) != WEFT_OK);
        }
        usleep(check_random(&seed) % 30000);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        opened(f, &second);
        assert_int_equal(count_notes(f), 1);
        check_ok(weft_db_exec(&f->db, "UPDATE notes SET mark = 'x'", &f->err), &f->err);
        check_whole(f);
        weft_db_close(&f->db);
        check_folder_gone(f->folder);
        assert_int_equal(mkdir(f->folder, 0700), 0);
    }
}

/* Where there is no shared memory for the log (SQLite's "unix-none" has none), the rollback journal serves. */
static void test_no_log_on_this_file_system(void **state)
{
    struct fixture *f = *state;
    struct weft_db_schema bare = first;
    bare.vfs = "unix-none";
    opened(f, &bare);
    assert_false(f->db.wal);
    check_ok(add_note(&f->db, &f->add, "all the same", &f->err), &f->err);
    weft_db_close(&f->db);
    opened(f, &bare);
    assert_false(f->db.wal);
    assert_int_equal(count_notes(f), 1);
}

static void test_text_is_never_sql(void **state)
{
    struct fixture *f = *state;
    static const char hostile[] = "'); DROP TABLE notes; --";
    bool row;
    struct sqlite3_stmt *st = NULL;
    opened(f, &first);
    check_ok(add_note(&f->db, &f->add, hostile, &f->err), &f->err);
    assert_int_equal(count_notes(f), 1);
    check_ok(weft_db_prepare(&f->db, &st, "SELECT text FROM notes", &f->err), &f->err);
    check_ok(weft_db_step(&f->db, st, &row, &f->err), &f->err);
    check_str(weft_db_str(st, 0), hostile);
    weft_db_reset(st);
    /* Double quotes never fall back to strings; the schema cannot be written to. */
    check_refuses(weft_db_exec(&f->db, "SELECT \"no column\"", &f->err), &f->err, WEFT_ESYSTEM, "", NULL);
    check_refuses(weft_db_exec(&f->db, "PRAGMA writable_schema=ON; DELETE FROM sqlite_schema", &f->err), &f->err,
                  WEFT_ESYSTEM, "", NULL);
}

static void test_in_memory(void **state)
{
    struct fixture *f = *state;
    check_ok(weft_db_open(&f->db, NULL, &second, &f->err), &f->err);
    check_ok(add_note(&f->db, &f->add, "x", &f->err), &f->err);
    assert_int_equal(count_notes(f), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_was_acknowledged_survives_kills, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_file_belongs_to_its_user_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_short_lock_is_waited_for_and_a_long_one_named, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_full_disk_loses_nothing_and_passes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_foreign_and_newer_files_are_refused_and_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damage_after_an_unclean_stop_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_older_file_is_copied_and_brought_up_to_date, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_kill_during_an_upgrade_leaves_old_or_new, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_log_on_this_file_system, setup, teardown),
        cmocka_unit_test_setup_teardown(test_text_is_never_sql, setup, teardown),
        cmocka_unit_test_setup_teardown(test_in_memory, setup, teardown),
    };
    return cmocka_run_group_tests_name("base/db", tests, NULL, NULL);
}
