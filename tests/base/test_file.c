#include "base/file.h"
#include "check.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

static struct weft_err err;

static int setup(void **state)
{
    *state = (void *)(uintptr_t)check_folder();
    weft_err_clear(&err);
    return 0;
}

static int teardown(void **state)
{
    check_folder_gone(*state);
    return 0;
}

static void put(const char *path, const char *content)
{
    check_ok(weft_file_write(path, weft_str_c(content), &err), &err);
}

static struct weft_str get(struct weft_arena *a, const char *path)
{
    struct weft_str s = { 0 };
    check_ok(weft_file_read(a, path, 0, &s, &err), &err);
    return s;
}

/* Names in the folder, joined by spaces. */
static const char *listing(struct weft_arena *a, const char *dir)
{
    const char **names;
    size_t n;
    const char *all = "";
    check_ok(weft_dir_list(a, dir, &names, &n, &err), &err);
    for (size_t i = 0; i < n; i++) all = weft_str_printf(a, "%s%s%s", all, i ? " " : "", names[i]).s;
    return all;
}

static void test_written_files_read_back(void **state)
{
    struct weft_arena a = { 0 };
    const char *path = check_path(*state, "a.txt");
    put(path, "");
    assert_int_equal(get(&a, path).len, 0);
    assert_int_equal(get(&a, path).s[0], '\0');
    put(path, "one\0two");
    struct weft_out o;
    check_ok(weft_out_open(&o, path, &err), &err);
    for (int i = 0; i < 200000; i++) weft_out_str(&o, WEFT_STR("0123456789"));
    char *big = calloc(1, 1 << 20);
    weft_out_add(&o, big, 1 << 20); /* one piece larger than the buffer */
    check_ok(weft_out_commit(&o, &err), &err);
    struct weft_str s = get(&a, path);
    assert_int_equal(s.len, 2000000 + (1 << 20));
    assert_memory_equal(s.s + 1999990, "0123456789", 10);
    assert_int_equal(s.s[s.len], '\0');
    free(big);
    weft_arena_clear(&a);
}

static void test_replacing_is_atomic(void **state)
{
    struct weft_arena a = { 0 };
    struct weft_out o;
    const char *path = check_path(*state, "a.txt");
    put(path, "old");
    check_ok(weft_out_open(&o, path, &err), &err);
    weft_out_str(&o, WEFT_STR("new"));
    check_str(get(&a, path), "old"); /* until commit */
    check_ok(weft_out_commit(&o, &err), &err);
    check_str(get(&a, path), "new");
    assert_string_equal(listing(&a, *state), "a.txt");
    weft_arena_clear(&a);
}

static void test_given_up_output_leaves_nothing(void **state)
{
    struct weft_arena a = { 0 };
    struct weft_out o;
    const char *path = check_path(*state, "a.txt");
    put(path, "old");
    check_ok(weft_out_open(&o, path, &err), &err);
    weft_out_str(&o, WEFT_STR("new"));
    weft_out_close(&o);
    weft_out_close(&o);
    check_str(get(&a, path), "old");
    assert_string_equal(listing(&a, *state), "a.txt");
    struct weft_out zero = { 0 };
    weft_out_close(&zero);
    weft_arena_clear(&a);
}

/* A limit on the file size stands for a full disk: write() fails in the middle. */
static void test_failed_write_keeps_the_old_file(void **state)
{
    struct weft_arena a = { 0 };
    struct weft_out o;
    struct rlimit old, small = { 1 << 20, 1 << 20 };
    const char *path = check_path(*state, "a.txt");
    char *big = calloc(1, 1 << 20);
    put(path, "old");
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    small.rlim_max = old.rlim_max;
    setrlimit(RLIMIT_FSIZE, &small);
    check_ok(weft_out_open(&o, path, &err), &err);
    for (int i = 0; i < 3; i++) weft_out_add(&o, big, 1 << 20);
    enum weft_status st = weft_out_commit(&o, &err);
    setrlimit(RLIMIT_FSIZE, &old);
    free(big);
    assert_int_equal(st, WEFT_ESYSTEM);
    check_contains(err.msg, "cannot write ");
    check_contains(err.msg, "File too large");
    weft_err_clear(&err);
    check_str(get(&a, path), "old");
    assert_string_equal(listing(&a, *state), "a.txt");
    weft_arena_clear(&a);
}

static void test_output_to_impossible_places(void **state)
{
    struct weft_out o;
    check_refuses(weft_out_open(&o, *state, &err), &err, WEFT_EARG, "",
                  "is a folder; expected the name of a file");
    check_refuses(weft_out_open(&o, check_path(*state, "no/such/a.txt"), &err), &err, WEFT_ESYSTEM, "",
                  "No such file");
    put(check_path(*state, "file"), "x");
    check_refuses(weft_out_open(&o, check_path(*state, "file/a.txt"), &err), &err, WEFT_ESYSTEM, "",
                  "Not a directory");
}

static void test_planted_link_is_not_followed(void **state)
{
    struct weft_arena a = { 0 };
    char tmp[4096];
    put(check_path(*state, "victim"), "precious");
    snprintf(tmp, sizeof tmp, "%s/a.txt.tmp-%ld", (char *)*state, (long)getpid());
    assert_int_equal(symlink("victim", tmp), 0);
    put(check_path(*state, "a.txt"), "new");
    check_str(get(&a, check_path(*state, "victim")), "precious");
    check_str(get(&a, check_path(*state, "a.txt")), "new");
    weft_arena_clear(&a);
}

static void test_only_regular_files_are_read(void **state)
{
    struct weft_arena a = { 0 };
    struct weft_str s;
    struct weft_map m;
    const char *fifo = check_path(*state, "fifo"), *sock = check_path(*state, "socket"),
               *loop = check_path(*state, "loop");
    assert_int_equal(mkfifo(fifo, 0600), 0);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    snprintf(name.sun_path, sizeof name.sun_path, "%.100s", sock);
    assert_int_equal(bind(fd, (const struct sockaddr *)&name, sizeof name), 0);
    close(fd);
    assert_int_equal(symlink("loop", loop), 0);
    check_refuses(weft_file_read(&a, fifo, 0, &s, &err), &err, WEFT_EINPUT, "",
                  "is a pipe (FIFO); expected a regular file");
    check_refuses(weft_file_read(&a, sock, 0, &s, &err), &err, WEFT_EINPUT, "", "is a socket");
    check_refuses(weft_file_read(&a, "/dev/zero", 0, &s, &err), &err, WEFT_EINPUT, "",
                  "/dev/zero is a device");
    check_refuses(weft_file_read(&a, *state, 0, &s, &err), &err, WEFT_EINPUT, "", "is a folder");
    check_refuses(weft_file_read(&a, loop, 0, &s, &err), &err, WEFT_ESYSTEM, "", "Too many levels");
    check_refuses(weft_file_read(&a, check_path(*state, "none"), 0, &s, &err), &err, WEFT_ESYSTEM, "",
                  "cannot open ");
    check_refuses(weft_map_open(&m, fifo, &err), &err, WEFT_EINPUT, "", "is a pipe");
    check_refuses(weft_map_open(&m, "/dev/zero", &err), &err, WEFT_EINPUT, "", "is a device");
    check_refuses(weft_map_open(&m, *state, &err), &err, WEFT_EINPUT, "", "is a folder");
    weft_arena_clear(&a);
}

static void test_limit_names_itself(void **state)
{
    struct weft_arena a = { 0 };
    struct weft_str s;
    const char *path = check_path(*state, "a.txt");
    put(path, "0123456789");
    check_ok(weft_file_read(&a, path, 10, &s, &err), &err);
    check_refuses(weft_file_read(&a, path, 9, &s, &err), &err, WEFT_ELIMIT, "",
                  "longer than the limit of 9 bytes");
    weft_arena_clear(&a);
}

static void test_standard_input_is_read_to_its_limit(void **state)
{
    struct weft_arena a = { 0 };
    struct weft_str s;
    const char *path = check_path(*state, "in");
    put(path, "0123456789");
    int kept = dup(STDIN_FILENO);
    for (uint64_t max = 9; max <= 11; max++) {
        int fd = open(path, O_RDONLY);
        dup2(fd, STDIN_FILENO);
        close(fd);
        if (max < 10) {
            check_refuses(weft_file_read(&a, "-", max, &s, &err), &err, WEFT_ELIMIT, "",
                          "standard input is longer");
        } else {
            check_ok(weft_file_read(&a, "-", max, &s, &err), &err);
            check_str(s, "0123456789");
        }
    }
    dup2(kept, STDIN_FILENO);
    close(kept);
    weft_arena_clear(&a);
}

static void test_maps(void **state)
{
    struct weft_map m;
    const char *path = check_path(*state, "a.bin");
    put(path, "");
    check_ok(weft_map_open(&m, path, &err), &err);
    assert_null(m.p);
    assert_int_equal(m.len, 0);
    weft_map_close(&m);
    put(path, "abc");
    check_ok(weft_map_open(&m, path, &err), &err);
    assert_memory_equal(m.p, "abc", 3);
    put(path, "xyz!"); /* replaced by rename: the mapped file lives on */
    assert_memory_equal(m.p, "abc", 3);
    weft_map_close(&m);
    weft_map_close(&m);
}

static void test_lines_end_at_lf_only(void **state)
{
    static const char text[] = "one\r\n\n\rtwo\xE2\x80\xA8still\x0bthree\rlast";
    struct weft_lines l = { .text = { text, sizeof text - 1 } };
    struct weft_str line;
    assert_true(weft_lines_next(&l, &line));
    check_str(line, "one");
    assert_int_equal(l.line, 1);
    assert_true(weft_lines_next(&l, &line));
    check_str(line, "");
    assert_int_equal(l.line_start, 5);
    assert_true(weft_lines_next(&l, &line));
    check_str(line, "\rtwo\xE2\x80\xA8still\x0bthree\rlast");
    assert_int_equal(l.line, 3);
    assert_int_equal(l.line_start, 6);
    assert_false(weft_lines_next(&l, &line));
    struct weft_lines ends = { .text = WEFT_STR("a\n") };
    assert_true(weft_lines_next(&ends, &line));
    assert_false(weft_lines_next(&ends, &line));
    struct weft_lines cr = { .text = WEFT_STR("a\r") }; /* no LF: the CR is content */
    assert_true(weft_lines_next(&cr, &line));
    check_str(line, "a\r");
    struct weft_lines none = { 0 };
    assert_false(weft_lines_next(&none, &line));
}

static void test_append_adds_lines(void **state)
{
    struct weft_arena a = { 0 };
    const char *path = check_path(*state, "log.jsonl");
    check_ok(weft_file_append(path, WEFT_STR("1\n"), &err), &err);
    check_ok(weft_file_append(path, WEFT_STR("2\n"), &err), &err);
    check_str(get(&a, path), "1\n2\n");
    check_refuses(weft_file_append(*state, WEFT_STR("1\n"), &err), &err, WEFT_ESYSTEM, "", "Is a directory");
    weft_arena_clear(&a);
}

static void test_folders_are_made_and_removed(void **state)
{
    struct weft_arena a = { 0 };
    const char *deep = check_path(*state, "a//b/c/");
    check_ok(weft_dir_make(deep, &err), &err);
    check_ok(weft_dir_make(deep, &err), &err);
    assert_true(weft_dir_exists(deep));
    put(check_path(*state, "a/b/c/file"), "x");
    put(check_path(*state, "keep"), "kept");
    assert_int_equal(symlink("../keep", check_path(*state, "a/link")), 0);
    assert_int_equal(symlink("..", check_path(*state, "a/up")), 0);
    check_refuses(weft_dir_make(check_path(*state, "keep/sub"), &err), &err, WEFT_EARG, "",
                  "keep exists and is no folder");
    check_ok(weft_dir_remove(check_path(*state, "a"), &err), &err);
    assert_string_equal(listing(&a, *state), "keep");
    check_str(get(&a, check_path(*state, "keep")), "kept");
    check_ok(weft_dir_remove(check_path(*state, "a"), &err), &err);
    assert_int_equal(symlink("keep", check_path(*state, "l")), 0);
    check_ok(weft_dir_remove(check_path(*state, "l"), &err), &err); /* the link, not what it names */
    assert_string_equal(listing(&a, *state), "keep");
    weft_arena_clear(&a);
}

static void test_deep_folders_need_no_stack(void **state)
{
    char *path = strdup(*state);
    /* Deeper than PATH_MAX allows in one name: made and left by relative steps. */
    int top = open(path, O_RDONLY | O_DIRECTORY), fd = dup(top);
    for (int i = 0; i < 1500; i++) {
        assert_int_equal(mkdirat(fd, "down", 0700), 0);
        int next = openat(fd, "down", O_RDONLY | O_DIRECTORY);
        close(fd);
        fd = next;
    }
    close(fd);
    close(top);
    struct rlimit old, few;
    getrlimit(RLIMIT_NOFILE, &old);
    few = old;
    if (few.rlim_cur < 1600) few.rlim_cur = few.rlim_max < 4096 ? few.rlim_max : 4096;
    setrlimit(RLIMIT_NOFILE, &few);
    check_ok(weft_dir_remove(check_path(path, "down"), &err), &err);
    assert_false(weft_dir_exists(check_path(path, "down")));
    setrlimit(RLIMIT_NOFILE, &old);
    free(path);
}

static void test_folder_is_swapped_in_whole(void **state)
{
    struct weft_arena a = { 0 };
    const char *target = check_path(*state, "checkpoint/"), *tmp;
    for (int round = 0; round < 3; round++) {
        check_ok(weft_dir_begin(&a, target, &tmp, &err), &err);
        assert_string_equal(listing(&a, tmp), "");
        put(check_path(tmp, "weights"), round == 0 ? "first" : round == 1 ? "second" : "third");
        check_ok(weft_dir_make(check_path(tmp, "sub"), &err), &err);
        put(check_path(tmp, "sub/x"), "x");
        if (round < 2) put(check_path(tmp, round ? "b" : "a"), "");
        check_ok(weft_dir_commit(tmp, target, &err), &err);
        assert_string_equal(listing(&a, *state), "checkpoint");
    }
    check_str(get(&a, check_path(*state, "checkpoint/weights")), "third");
    assert_string_equal(listing(&a, check_path(*state, "checkpoint")), "sub weights");
    /* A temporary left by a killed process of the same number is emptied. */
    check_ok(weft_dir_begin(&a, target, &tmp, &err), &err);
    put(check_path(tmp, "stale"), "");
    check_ok(weft_dir_begin(&a, target, &tmp, &err), &err);
    assert_string_equal(listing(&a, tmp), "");
    check_refuses(weft_dir_commit(check_path(*state, "none"), target, &err), &err, WEFT_ESYSTEM, "",
                  "cannot open");
    weft_arena_clear(&a);
}

static void test_commit_over_a_file_is_refused(void **state)
{
    struct weft_arena a = { 0 };
    const char *tmp;
    put(check_path(*state, "out"), "file");
    check_ok(weft_dir_begin(&a, check_path(*state, "out"), &tmp, &err), &err);
    check_refuses(weft_dir_commit(tmp, check_path(*state, "out"), &err), &err, WEFT_ESYSTEM, "",
                  "Not a directory");
    check_str(get(&a, check_path(*state, "out")), "file");
    weft_arena_clear(&a);
}

static void test_names_are_sorted_by_bytes(void **state)
{
    struct weft_arena a = { 0 };
    const char *names[] = { "b", "a10", "中", "a2", "B" };
    for (size_t i = 0; i < WEFT_COUNT(names); i++) put(check_path(*state, names[i]), "");
    assert_string_equal(listing(&a, *state), "B a10 a2 b 中");
    const char **list;
    size_t n;
    check_refuses(weft_dir_list(&a, check_path(*state, "none"), &list, &n, &err), &err, WEFT_ESYSTEM, "",
                  "No such file");
    weft_arena_clear(&a);
}

static void test_paths_join(void **state)
{
    struct weft_arena a = { 0 };
    assert_string_equal(weft_path_join(&a, "runs", "x"), "runs/x");
    assert_string_equal(weft_path_join(&a, "runs/", "x"), "runs/x");
    assert_string_equal(weft_path_join(&a, "/", "x"), "/x");
    assert_string_equal(weft_path_join(&a, "runs", "/x"), "/x");
    assert_string_equal(weft_path_join(&a, "", "x"), "x");
    weft_arena_clear(&a);
}

/* Memory that gives out at any point: an error, no crash, nothing half done. */
static void test_reading_survives_every_failed_allocation(void **state)
{
    const char *path = check_path(*state, "a.txt");
    struct weft_str s;
    bool done = false;
    put(path, "0123456789");
    for (size_t max = 64; !done; max += 64) {
        struct weft_arena a = { 0 };
        const char **names;
        size_t n;
        weft_arena_init(&a, 64, max);
        enum weft_status st = weft_file_read(&a, path, 0, &s, &err);
        assert_true(st == WEFT_OK || st == WEFT_ENOMEM);
        if (!st) st = weft_dir_list(&a, *state, &names, &n, &err);
        assert_true(st == WEFT_OK || st == WEFT_ENOMEM);
        done = st == WEFT_OK;
        weft_err_clear(&err);
        weft_arena_clear(&a);
    }
}

/* What is no regular file is written, not replaced by one. */
static void test_a_device_is_written_and_stays_a_device(void **state)
{
    struct stat info;
    (void)state;
    weft_err_clear(&err);
    check_ok(weft_file_write("/dev/null", WEFT_STR("x"), &err), &err);
    check_fails(weft_file_write("/dev/full", WEFT_STR("x"), &err), &err, WEFT_ESYSTEM, NULL, "/dev/full");
    assert_int_equal(stat("/dev/null", &info), 0);
    assert_true(S_ISCHR(info.st_mode));
    assert_int_equal(stat("/dev/full", &info), 0);
    assert_true(S_ISCHR(info.st_mode));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_device_is_written_and_stays_a_device),
        TEST(test_written_files_read_back),
        TEST(test_replacing_is_atomic),
        TEST(test_given_up_output_leaves_nothing),
        TEST(test_failed_write_keeps_the_old_file),
        TEST(test_output_to_impossible_places),
        TEST(test_planted_link_is_not_followed),
        TEST(test_only_regular_files_are_read),
        TEST(test_limit_names_itself),
        TEST(test_standard_input_is_read_to_its_limit),
        TEST(test_maps),
        TEST(test_lines_end_at_lf_only),
        TEST(test_append_adds_lines),
        TEST(test_folders_are_made_and_removed),
        TEST(test_deep_folders_need_no_stack),
        TEST(test_folder_is_swapped_in_whole),
        TEST(test_commit_over_a_file_is_refused),
        TEST(test_names_are_sorted_by_bytes),
        TEST(test_paths_join),
        TEST(test_reading_survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
