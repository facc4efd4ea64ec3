/* The call ledger: keys, states, and what is left of it after every kind of damage. */
#include "dataset/ledger.h"

#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

static struct weft_err err;

static struct weft_call_key key_number(unsigned n)
{
    struct weft_arena a = { 0 };
    struct weft_call_key k;
    char body[64];
    int len = snprintf(body, sizeof body, "{\"n\":%u}", n);
    check_ok(weft_call_key_of(&a, WEFT_STR("http://x/v1"), WEFT_STR("m"), (struct weft_str){ body, (size_t)len }, &k,
                              &err),
             &err);
    weft_arena_clear(&a);
    return k;
}

static struct weft_call call_of(unsigned n, enum weft_call_state state, const char *text)
{
    return (struct weft_call){ .state = state,
                               .key = key_number(n),
                               .time_ms = 1700000000000 + n,
                               .http_status = state == WEFT_CALL_SENT ? 0 : 200,
                               .prompt_tokens = 10 + n,
                               .completion_tokens = n,
                               .finish = state == WEFT_CALL_SENT ? WEFT_CALL_FINISH_NONE : WEFT_CALL_FINISH_STOP,
                               .text = weft_str_c(text),
                               .note = WEFT_STR("ask/summarise@1") };
}

static void add(struct weft_ledger *l, unsigned n, enum weft_call_state state, const char *text)
{
    struct weft_call c = call_of(n, state, text);
    check_ok(weft_ledger_add(l, &c, &err), &err);
}

static enum weft_call_state state_of(struct weft_ledger *l, unsigned n)
{
    struct weft_call_key k = key_number(n);
    return weft_ledger_find(l, &k);
}

static void key_of(struct weft_arena *a, const char *endpoint, const char *model, const char *body,
                   char hex[WEFT_CALL_KEY_HEX])
{
    struct weft_call_key k;
    check_ok(weft_call_key_of(a, weft_str_c(endpoint), weft_str_c(model), weft_str_c(body), &k, &err), &err);
    weft_call_key_hex(&k, hex);
}

/* LG1 */
static void test_key_is_the_request_and_not_how_it_was_written(void **state)
{
    struct weft_arena a = { 0 };
    struct weft_call_key k;
    char one[WEFT_CALL_KEY_HEX], two[WEFT_CALL_KEY_HEX];
    const char *body = "{\"temperature\":0.7,\"messages\":[{\"role\":\"user\",\"content\":\"你好\"}]}";
    key_of(&a, "http://x/v1", "m", body, one);
    key_of(&a, "http://x/v1/", "m",
           "{ \"messages\" : [ {\"content\":\"\\u4f60好\",\"role\":\"user\"} ], \"temperature\":0.70}", two);
    assert_string_equal(one, two);
    assert_int_equal(strlen(one), 64);
    const char *others[][3] = {
        { "http://y/v1", "m", body },
        { "http://x/v1", "m2", body },
        { "http://x/v1m", "", body }, /* parts do not run together */
        { "http://x/v1", "m", "{\"temperature\":0.71,\"messages\":[{\"role\":\"user\",\"content\":\"你好\"}]}" },
        { "http://x/v1", "m", "{\"temperature\":0.7,\"messages\":[{\"role\":\"user\",\"content\":\"你好 \"}]}" },
    };
    for (size_t i = 0; i < WEFT_COUNT(others); i++) {
        key_of(&a, others[i][0], others[i][1], others[i][2], two);
        assert_string_not_equal(one, two);
    }
    check_refuses(weft_call_key_of(&a, WEFT_STR("e"), WEFT_STR("m"), WEFT_STR("{\"a\":1,}"), &k, &err), &err,
                  WEFT_EINPUT, "JS2", "request:1:");
    weft_arena_clear(&a);
}

static void test_canonical_json_sorts_members_at_every_level(void **state)
{
    struct weft_arena a = { 0 };
    struct weft_buf b = { 0 };
    check_ok(weft_json_canonical(&a, "x", WEFT_STR("{\"b\":[{\"z\":1,\"a\":1.50}],\"a\":{\"é\":null,\"e\":true}}"), &b, &err),
             &err);
    check_str(weft_buf_view(&b), "{\"a\":{\"e\":true,\"é\":null},\"b\":[{\"a\":1.5,\"z\":1}]}");
    weft_buf_clear(&b);
    weft_arena_clear(&a);
}

static void test_records_are_found_again(void **state)
{
    const char *dir = check_folder(), *path = check_path(dir, "calls");
    struct weft_arena a = { 0 };
    struct weft_ledger *l;
    struct weft_ledger_found f;
    struct weft_call c;
    check_ok(weft_ledger_open(&l, path, &f, &err), &err);
    assert_int_equal(f.records, 0);
    assert_int_equal(state_of(l, 1), WEFT_CALL_NONE);
    for (unsigned n = 0; n < 1000; n++) {
        add(l, n, WEFT_CALL_SENT, "");
        if (n % 4 < 3) add(l, n, WEFT_CALL_FAILED + n % 4, n % 4 == 0 ? "<html>\xff" : "理由");
    }
    c = call_of(7, WEFT_CALL_ANSWERED, "一句话。");
    c.reasoning = WEFT_STR("想一想");
    c.finish = WEFT_CALL_FINISH_LENGTH;
    check_ok(weft_ledger_add(l, &c, &err), &err);
    assert_int_equal(state_of(l, 7), WEFT_CALL_ANSWERED); /* before the sync as well */
    check_ok(weft_ledger_sync(l, &err), &err);
    weft_ledger_close(l);

    check_ok(weft_ledger_open(&l, path, &f, &err), &err);
    assert_int_equal(f.records, 1751);
    assert_int_equal(f.keys, 1000);
    assert_int_equal(f.cut_bytes + f.damaged, 0);
    assert_int_equal(f.state_keys[WEFT_CALL_SENT], 249);
    assert_int_equal(f.state_keys[WEFT_CALL_FAILED], 250);
    assert_int_equal(f.state_keys[WEFT_CALL_EMPTY], 250);
    assert_int_equal(f.state_keys[WEFT_CALL_REFUSED], 250);
    assert_int_equal(f.state_keys[WEFT_CALL_ANSWERED], 1);
    struct weft_call_key k = key_number(7), doubt = key_number(3);
    assert_true(weft_ledger_in_doubt(l, &doubt) && !weft_ledger_in_doubt(l, &k));
    check_ok(weft_ledger_read(l, &a, &k, &c, &err), &err);
    check_str(c.text, "一句话。");
    check_str(c.reasoning, "想一想");
    check_str(c.note, "ask/summarise@1");
    assert_int_equal(c.finish, WEFT_CALL_FINISH_LENGTH);
    assert_int_equal(c.time_ms, 1700000000007);
    assert_int_equal(c.prompt_tokens, 17);
    assert_int_equal(c.completion_tokens, 7);
    assert_int_equal(c.http_status, 200);
    k = key_number(5000);
    check_ok(weft_ledger_read(l, &a, &k, &c, &err), &err);
    assert_int_equal(c.state, WEFT_CALL_NONE);
    weft_ledger_close(l);
    weft_arena_clear(&a);
    check_folder_gone(dir);
}

/* LG3: nothing that comes later makes an answer unknown. */
static void test_best_state_of_a_key_stands(void **state)
{
    const char *dir = check_folder(), *path = check_path(dir, "calls");
    struct weft_arena a = { 0 };
    struct weft_ledger *l;
    struct weft_call c;
    struct weft_call_key k = key_number(1);
    check_ok(weft_ledger_open(&l, path, NULL, &err), &err);
    add(l, 1, WEFT_CALL_FAILED, "a");
    add(l, 1, WEFT_CALL_SENT, "");
    assert_int_equal(state_of(l, 1), WEFT_CALL_FAILED);
    assert_true(weft_ledger_in_doubt(l, &k));
    add(l, 1, WEFT_CALL_EMPTY, "");
    add(l, 1, WEFT_CALL_REFUSED, "不能");
    add(l, 1, WEFT_CALL_FAILED, "b");
    assert_int_equal(state_of(l, 1), WEFT_CALL_REFUSED);
    add(l, 1, WEFT_CALL_ANSWERED, "答");
    add(l, 1, WEFT_CALL_EMPTY, "");
    add(l, 1, WEFT_CALL_SENT, "");
    assert_int_equal(state_of(l, 1), WEFT_CALL_ANSWERED);
    check_ok(weft_ledger_read(l, &a, &k, &c, &err), &err);
    check_str(c.text, "答");
    weft_ledger_close(l);
    weft_arena_clear(&a);
    check_folder_gone(dir);
}

/* ---- damage ---- */

enum { SAMPLE = 6 };

/* Six answered keys; where each record begins, and the end. */
static struct weft_str sample_bytes(struct weft_arena *a, const char *path, size_t starts[SAMPLE + 1])
{
    struct weft_ledger *l;
    struct weft_str bytes;
    check_ok(weft_ledger_open(&l, path, NULL, &err), &err);
    for (unsigned n = 0; n < SAMPLE; n++) {
        check_ok(weft_file_read(a, path, 0, &bytes, &err), &err);
        starts[n] = bytes.len;
        add(l, n, WEFT_CALL_ANSWERED, n % 2 ? "answer" : "一个长一点的回答。WCL1");
        check_ok(weft_ledger_sync(l, &err), &err);    /* only what was synced can be damaged: the rest can be lost */
    }
    weft_ledger_close(l);
    check_ok(weft_file_read(a, path, 0, &bytes, &err), &err);
    starts[SAMPLE] = bytes.len;
    return bytes;
}

static void write_bytes(const char *path, struct weft_str bytes)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0 && write(fd, bytes.s, bytes.len) == (ssize_t)bytes.len && close(fd) == 0);
}

static unsigned answered(const char *path)
{
    struct weft_ledger *l;
    struct weft_err e = { 0 };
    unsigned n = 0;
    check_ok(weft_ledger_open(&l, path, NULL, &e), &e);
    for (unsigned i = 0; i < SAMPLE; i++) n += state_of(l, i) == WEFT_CALL_ANSWERED;
    weft_ledger_close(l);
    return n;
}

/* C10: in the middle it is damage of one known record, and all others are there; at the end a torn tail. */
static void test_each_flipped_byte_is_found(void **state)
{
    const char *dir = check_folder(), *path = check_path(dir, "calls");
    struct weft_arena a = { 0 };
    size_t starts[SAMPLE + 1];
    struct weft_str good = sample_bytes(&a, path, starts);
    char *bytes = weft_arena_strndup(&a, good.s, good.len);
    for (size_t at = 0; at < good.len; at++)
        for (int bit = 0; bit < 8; bit++) {
            struct weft_ledger_found f = { 0 };
            unsigned record = 0;
            while (record < SAMPLE && at >= starts[record + 1]) record++;
            bytes[at] = (char)(bytes[at] ^ (1 << bit));
            check_ok(weft_ledger_scan(path, (struct weft_str){ bytes, good.len }, NULL, NULL, &f, &err), &err);
            bytes[at] = good.s[at];
            if (record == SAMPLE - 1) {
                assert_int_equal(f.cut_bytes, good.len - starts[record]);
                assert_int_equal(f.damaged, 0);
            } else {
                assert_int_equal(f.cut_bytes, 0);
                assert_int_equal(f.damaged, 1);
                assert_int_equal(f.first_damaged_record, at < starts[0] ? 0 : record + 1);
                assert_true(f.first_damaged_byte <= at);
            }
            assert_int_equal(f.records, at < starts[0] ? SAMPLE : SAMPLE - 1);
        }
    weft_arena_clear(&a);
    check_folder_gone(dir);
}

/* The same through the file: opening refuses and names the record, repair keeps the rest and the file as it was. */
static void test_damage_is_refused_until_repaired(void **state)
{
    const char *dir = check_folder();
    struct weft_arena a = { 0 };
    size_t starts[SAMPLE + 1];
    const char *path = weft_path_join(&a, dir, "calls");
    struct weft_str good = sample_bytes(&a, path, starts), kept;
    char *bytes = weft_arena_strndup(&a, good.s, good.len);
    for (size_t at = 3; at < good.len; at += 41) {
        struct weft_ledger *l = NULL;
        struct weft_ledger_found f = { 0 };
        unsigned record = 0;
        char want[64];
        while (record < SAMPLE && at >= starts[record + 1]) record++;
        bytes[at] ^= 1;
        write_bytes(path, (struct weft_str){ bytes, good.len });
        if (record == SAMPLE - 1) {
            check_ok(weft_ledger_open(&l, path, &f, &err), &err);
            assert_int_equal(f.records, SAMPLE - 1);
            weft_ledger_close(l);
            check_ok(weft_file_read(&a, check_path(dir, "calls.cut"), 0, &kept, &err), &err);
            assert_true(weft_str_ends((struct weft_str){ bytes, good.len }, kept) || kept.len > f.cut_bytes);
        } else {
            snprintf(want, sizeof want, "record %u (byte ", at < starts[0] ? 0 : record + 1);
            check_refuses(weft_ledger_open(&l, path, &f, &err), &err, WEFT_EINPUT, "LG2", want);
            check_ok(weft_ledger_repair(path, &f, &err), &err);
            check_ok(weft_file_read(&a, check_path(dir, "calls.damaged"), 0, &kept, &err), &err);
            assert_true(weft_str_eq(kept, (struct weft_str){ bytes, good.len }));
        }
        assert_int_equal(answered(path), at < starts[0] ? SAMPLE : SAMPLE - 1);
        bytes[at] = good.s[at];
    }
    weft_arena_clear(&a);
    check_folder_gone(dir);
}

static void test_ledger_cut_at_each_byte_keeps_whole_records(void **state)
{
    const char *dir = check_folder();
    struct weft_arena a = { 0 };
    const char *path = weft_path_join(&a, dir, "calls");
    size_t starts[SAMPLE + 1];
    struct weft_str good = sample_bytes(&a, path, starts);
    for (size_t len = 1; len < good.len; len++) {
        struct weft_ledger *l = NULL;
        struct weft_ledger_found f = { 0 };
        unsigned whole = 0;
        if (len >= starts[0] && len % 7) { /* in memory all of them, through the file some: each costs an fsync */
            check_ok(weft_ledger_scan(path, weft_str_sub(good, 0, len), NULL, NULL, &f, &err), &err);
            while (whole < SAMPLE && starts[whole + 1] <= len) whole++;
            assert_true(f.records == whole && f.cut_bytes == len - starts[whole] && !f.damaged);
            continue;
        }
        write_bytes(path, weft_str_sub(good, 0, len));
        if (len < starts[0]) {
            check_refuses(weft_ledger_open(&l, path, &f, &err), &err, WEFT_EINPUT, "LG2", "a ledger has at least");
            continue;
        }
        while (whole < SAMPLE && starts[whole + 1] <= len) whole++;
        check_ok(weft_ledger_open(&l, path, &f, &err), &err);
        assert_int_equal(f.records, whole);
        assert_int_equal(f.cut_bytes, len - starts[whole]);
        /* What follows the cut is whole again. */
        add(l, 100, WEFT_CALL_ANSWERED, "after");
        weft_ledger_close(l);
        assert_int_equal(answered(path), whole);
    }
    weft_arena_clear(&a);
    check_folder_gone(dir);
}

static void test_repair_leaves_a_good_ledger_alone(void **state)
{
    const char *dir = check_folder(), *path = check_path(dir, "calls");
    struct weft_arena a = { 0 };
    size_t starts[SAMPLE + 1];
    struct weft_ledger_found f;
    struct weft_str good = sample_bytes(&a, path, starts), after;
    check_ok(weft_ledger_repair(path, &f, &err), &err);
    check_ok(weft_file_read(&a, path, 0, &after, &err), &err);
    assert_true(weft_str_eq(good, after) && f.damaged == 0 && f.records == SAMPLE);
    assert_false(weft_file_exists(check_path(dir, "calls.damaged")));
    write_bytes(path, WEFT_STR("this is a text that is long enough to hold two heads, and no ledger at all"));
    check_refuses(weft_ledger_repair(path, &f, &err), &err, WEFT_EINPUT, "LG2", "no head of a ledger");
    weft_arena_clear(&a);
    check_folder_gone(dir);
}

/* A reply may quote a whole record of another ledger; behind damage it is not taken for one of this. */
static void test_record_inside_a_reply_is_text(void **state)
{
    const char *dir = check_folder(), *one = check_path(dir, "one"), *two = check_path(dir, "two");
    struct weft_arena a = { 0 };
    struct weft_ledger *l;
    struct weft_ledger_found f;
    struct weft_str bytes;
    check_ok(weft_ledger_open(&l, one, NULL, &err), &err);
    add(l, 1, WEFT_CALL_ANSWERED, "stolen");
    weft_ledger_close(l);
    check_ok(weft_file_read(&a, one, 0, &bytes, &err), &err);
    struct weft_call c = call_of(2, WEFT_CALL_ANSWERED, "");
    c.text = weft_str_skip(bytes, 48);
    check_ok(weft_ledger_open(&l, two, NULL, &err), &err);
    check_ok(weft_ledger_add(l, &c, &err), &err);
    add(l, 3, WEFT_CALL_ANSWERED, "mine");
    weft_ledger_close(l);
    check_ok(weft_file_read(&a, two, 0, &bytes, &err), &err);
    char *p = weft_arena_strndup(&a, bytes.s, bytes.len);
    p[48 + 8] ^= 1;
    write_bytes(two, (struct weft_str){ p, bytes.len });
    check_ok(weft_ledger_repair(two, &f, &err), &err);
    check_ok(weft_ledger_open(&l, two, &f, &err), &err);
    assert_int_equal(f.keys, 1);
    assert_int_equal(state_of(l, 3), WEFT_CALL_ANSWERED);
    assert_int_equal(state_of(l, 1), WEFT_CALL_NONE);
    weft_ledger_close(l);
    weft_arena_clear(&a);
    check_folder_gone(dir);
}

/* C9 */
static void test_second_process_is_told_who_holds_it(void **state)
{
    const char *dir = check_folder(), *path = check_path(dir, "calls");
    struct weft_ledger *l, *second = NULL;
    struct weft_ledger_found f;
    char pid[32];
    int status;
    check_ok(weft_ledger_open(&l, path, NULL, &err), &err);
    snprintf(pid, sizeof pid, "process %ld;", (long)getpid());
    pid_t child = fork();
    if (child == 0) {
        enum weft_status st = weft_ledger_open(&second, path, NULL, &err);
        _exit(st == WEFT_EARG && strcmp(err.rule, "C9") == 0 && strstr(err.msg, pid) ? 0 : 1);
    }
    assert_true(waitpid(child, &status, 0) == child && status == 0);
    check_refuses(weft_ledger_open(&second, path, NULL, &err), &err, WEFT_EARG, "C9", pid);
    check_refuses(weft_ledger_repair(path, &f, &err), &err, WEFT_EARG, "C9", pid);
    weft_ledger_close(l);
    check_ok(weft_ledger_open(&l, path, NULL, &err), &err);
    weft_ledger_close(l);
    check_folder_gone(dir);
}

/* No space: the call that does not fit fails by name, what was there stays, and nothing is appended behind a hole. */
static void test_full_disk_leaves_whole_records(void **state)
{
    const char *dir = check_folder(), *path = check_path(dir, "calls");
    struct rlimit old, small;
    struct weft_ledger *l;
    struct weft_ledger_found f;
    struct weft_call c = call_of(1, WEFT_CALL_ANSWERED, "0123456789012345678901234567890123456789");
    getrlimit(RLIMIT_FSIZE, &old);
    small = (struct rlimit){ 1000, old.rlim_max };
    signal(SIGXFSZ, SIG_IGN);
    check_ok(weft_ledger_open(&l, path, NULL, &err), &err);
    setrlimit(RLIMIT_FSIZE, &small);
    unsigned n = 0;
    while (!weft_ledger_add(l, &c, &err)) n++;
    setrlimit(RLIMIT_FSIZE, &old);
    assert_int_equal(n, 6);
    check_fails(err.status, &err, WEFT_ESYSTEM, "", "cannot write");
    check_refuses(weft_ledger_add(l, &c, &err), &err, WEFT_ESYSTEM, "", "failed before");
    check_refuses(weft_ledger_sync(l, &err), &err, WEFT_ESYSTEM, "", "failed before");
    weft_ledger_close(l);
    check_ok(weft_ledger_open(&l, path, &f, &err), &err);
    assert_int_equal(f.records, n);
    assert_int_equal(f.cut_bytes, 0);
    weft_ledger_close(l);
    check_folder_gone(dir);
}

/* C8 for the file alone: a child asks, syncs and says so through a pipe; it is killed at a random moment, and whatever
 * it had said is there. */
static void kill_once(const char *path, unsigned round, unsigned *acknowledged)
{
    int pipes[2], status;
    assert_int_equal(pipe(pipes), 0);
    pid_t child = fork();
    if (child == 0) {
        struct weft_ledger *l;
        if (weft_ledger_open(&l, path, NULL, &err)) _exit(1);
        for (unsigned n = *acknowledged;; n++) {
            struct weft_call sent = call_of(n, WEFT_CALL_SENT, ""), got = call_of(n, WEFT_CALL_ANSWERED, "答");
            if (weft_ledger_add(l, &sent, &err) || weft_ledger_add(l, &got, &err) || weft_ledger_sync(l, &err)
                || write(pipes[1], &n, sizeof n) != (ssize_t)sizeof n)
                _exit(2);
        }
    }
    unsigned n;
    close(pipes[1]);
    /* On a slow disk a child may never get so far: every third one is given the time for its first answer. */
    if (round % 3 == 0 && read(pipes[0], &n, sizeof n) == (ssize_t)sizeof n) *acknowledged = n + 1;
    struct timespec pause = { 0, (long)(round * 7919 % 23) * 400000 };
    nanosleep(&pause, NULL);
    kill(child, SIGKILL);
    assert_true(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
    while (read(pipes[0], &n, sizeof n) == (ssize_t)sizeof n) *acknowledged = n + 1;
    close(pipes[0]);
}

static void test_killed_process_lost_nothing_it_acknowledged(void **state)
{
    const char *dir = check_folder(), *path = check_path(dir, "calls");
    unsigned acknowledged = 0;
    for (unsigned round = 0; round < 40; round++) {
        struct weft_ledger *l;
        struct weft_ledger_found f;
        kill_once(path, round, &acknowledged);
        check_ok(weft_ledger_open(&l, path, &f, &err), &err);
        for (unsigned n = 0; n < acknowledged; n++) assert_int_equal(state_of(l, n), WEFT_CALL_ANSWERED);
        assert_true(f.keys <= acknowledged + 1);
        weft_ledger_close(l);
    }
    assert_true(acknowledged > 0);
    check_folder_gone(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_key_is_the_request_and_not_how_it_was_written),
        cmocka_unit_test(test_canonical_json_sorts_members_at_every_level),
        cmocka_unit_test(test_records_are_found_again),
        cmocka_unit_test(test_best_state_of_a_key_stands),
        cmocka_unit_test(test_each_flipped_byte_is_found),
        cmocka_unit_test(test_damage_is_refused_until_repaired),
        cmocka_unit_test(test_ledger_cut_at_each_byte_keeps_whole_records),
        cmocka_unit_test(test_repair_leaves_a_good_ledger_alone),
        cmocka_unit_test(test_record_inside_a_reply_is_text),
        cmocka_unit_test(test_second_process_is_told_who_holds_it),
        cmocka_unit_test(test_full_disk_leaves_whole_records),
        cmocka_unit_test(test_killed_process_lost_nothing_it_acknowledged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
