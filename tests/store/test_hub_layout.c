/* store/hub: the folders are those of huggingface_hub, so that either program finds what the other has fetched.
 *
 * The facts below were compared with version 2.4.0 of the Python client against the same server: its
 * snapshot_download and hf_hub_download with local_files_only=True find what weft has pulled, and the trees that both
 * make are equal file by file and link by link. */
#include "mock/spawn.h"
#include "store/hub.h"

#include <sys/stat.h>

#define COMMIT "0123456789abcdef0123456789abcdef01234567"
/* Of "hello\n": git's name of the blob, as Hugging Face's ETag of a small file; SHA-256, as that of a large one. */
#define GIT "ce013625030ba8dba906f756967f9e9ca394464a"
#define SHA "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"

static struct weft_arena arena;
static char dir[64];
static struct mock_server hub;
static char endpoint[64], cache[96];

static const char *path(const char *name)
{
    const char *full = weft_path_join(&arena, dir, name);
    assert_non_null(full);
    return full;
}

static void put(const char *name, const char *content)
{
    struct weft_err err = { 0 };
    char *folder = weft_arena_strndup(&arena, path(name), strlen(path(name)));
    *strrchr(folder, '/') = '\0';
    check_ok(weft_dir_make(folder, &err), &err);
    check_ok(weft_file_write(path(name), weft_str_c(content), &err), &err);
}

static void check_file(const char *name, const char *content)
{
    struct weft_err err = { 0 };
    struct weft_str text;
    check_ok(weft_file_read(&arena, path(name), 0, &text, &err), &err);
    check_str(text, content);
}

static void check_link(const char *name, const char *target)
{
    char have[256];
    ssize_t n = readlink(path(name), have, sizeof have - 1);
    if (n < 0) fail_msg("%s is no link", name);
    have[n] = '\0';
    assert_string_equal(have, target);
}

static void make_link(const char *name, const char *target)
{
    struct weft_err err = { 0 };
    char *folder = weft_arena_strndup(&arena, path(name), strlen(path(name)));
    *strrchr(folder, '/') = '\0';
    check_ok(weft_dir_make(folder, &err), &err);
    assert_int_equal(symlink(target, path(name)), 0);
}

static int setup(void **state)
{
    snprintf(dir, sizeof dir, "/tmp/weft-layout-XXXXXX");
    if (!mkdtemp(dir)) return -1;
    put("root/maker/little.one-1B/config.json", "hello\n");
    put("root/maker/little.one-1B/model.safetensors", "hello\n");
    put("root/maker/talk/data/a b.jsonl", "hello\n");
    hub = mock_start("mock_hub", (const char *const[]){ "--root", path("root"), "--seconds", "60", NULL });
    snprintf(endpoint, sizeof endpoint, "http://127.0.0.1:%d/", hub.ports[0]);
    snprintf(cache, sizeof cache, "%s/hub", dir);
    return 0;
}

static int teardown(void **state)
{
    mock_stop(&hub);
    weft_arena_clear(&arena);
    return weft_dir_remove(dir, NULL) ? -1 : 0;
}

static void pull(const char *name, bool dataset, bool offline, struct weft_hub_result *out)
{
    struct weft_hub_repo repo;
    struct weft_err err = { 0 };
    struct weft_hub_options o = { .hf_endpoint = endpoint, .hf_cache = cache, .offline = offline, .backoff_ms = 10 };
    check_ok(weft_hub_parse(&arena, name, dataset, &repo, &err), &err);
    check_ok(weft_hub_pull(&arena, &repo, &o, out, &err), &err);
}

#define MODEL "hub/models--maker--little.one-1B/"
#define DATASET "hub/datasets--maker--talk/"

static void test_what_weft_writes_is_the_layout_of_huggingface_hub(void **state)
{
    struct weft_hub_result r;
    struct stat info;
    pull("maker/little.one-1B", false, false, &r);
    assert_string_equal(r.path, path(MODEL "snapshots/" COMMIT));
    check_file(MODEL "refs/main", COMMIT); /* 40 characters and no line end */
    check_link(MODEL "snapshots/" COMMIT "/config.json", "../../blobs/" GIT);
    check_link(MODEL "snapshots/" COMMIT "/model.safetensors", "../../blobs/" SHA);
    check_file(MODEL "blobs/" GIT, "hello\n");
    check_file(MODEL "blobs/" SHA, "hello\n");
    assert_true(lstat(path(MODEL "blobs/" SHA), &info) == 0 && S_ISREG(info.st_mode));
    assert_true(weft_file_exists(path("hub/.locks/models--maker--little.one-1B/" GIT ".lock")));
    assert_true(weft_file_exists(path("hub/.locks/models--maker--little.one-1B/" SHA ".lock")));
    pull("maker/talk", true, false, &r);
    check_file(DATASET "refs/main", COMMIT);
    check_link(DATASET "snapshots/" COMMIT "/data/a b.jsonl", "../../../blobs/" GIT);
    /* A revision given as a commit has no ref of its own. */
    pull("maker/little.one-1B@" COMMIT, false, false, &r);
    assert_false(weft_file_exists(path(MODEL "refs/" COMMIT)));
}

/* As the Python client leaves it, with its own extras. */
static void test_what_huggingface_hub_wrote_is_found(void **state)
{
    struct weft_hub_result r;
    put(MODEL "blobs/" GIT, "hello\n");
    put(MODEL "blobs/" SHA, "hello\n");
    make_link(MODEL "snapshots/" COMMIT "/config.json", "../../blobs/" GIT);
    make_link(MODEL "snapshots/" COMMIT "/model.safetensors", "../../blobs/" SHA);
    put(MODEL "refs/main", COMMIT);
    put(MODEL "trees/" COMMIT ".json", "[]");
    put(MODEL ".no_exist/" COMMIT "/tokenizer.model", "");
    put("hub/CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55\n");
    pull("maker/little.one-1B", false, true, &r);
    assert_true(r.from_cache);
    assert_string_equal(r.path, path(MODEL "snapshots/" COMMIT));
    pull("maker/little.one-1B", false, false, &r);
    assert_int_equal(r.fetched_bytes, 0);
    assert_int_equal(r.n_files, 2);
    /* A blob without its link, as after a kill of the other program: linked, not fetched. */
    unlink(path(MODEL "snapshots/" COMMIT "/model.safetensors"));
    pull("maker/little.one-1B", false, false, &r);
    assert_int_equal(r.fetched_bytes, 0);
    check_link(MODEL "snapshots/" COMMIT "/model.safetensors", "../../blobs/" SHA);
}

/* Windows and some shares have no links: there the client puts copies into the snapshot. */
static void test_a_snapshot_of_copies_is_found(void **state)
{
    struct weft_hub_result r;
    put(MODEL "snapshots/" COMMIT "/config.json", "hello\n");
    put(MODEL "snapshots/" COMMIT "/model.safetensors", "hello\n");
    put(MODEL "refs/main", COMMIT);
    pull("maker/little.one-1B", false, true, &r);
    assert_string_equal(r.path, path(MODEL "snapshots/" COMMIT));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_weft_writes_is_the_layout_of_huggingface_hub, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_huggingface_hub_wrote_is_found, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_snapshot_of_copies_is_found, setup, teardown),
    };
    return cmocka_run_group_tests_name("store/hub_layout", tests, NULL, NULL);
}
