/* store/hub: names of repositories, listings of both sites, the choice of files, paths that must not leave the folder.
 * What goes over the network is tested by tests/cli/test_pull.sh. */
#include "check.h"
#include "store/hub.h"

static struct weft_arena arena;

static void test_names_of_repositories(void **state)
{
    static const struct {
        const char *text, *id, *revision, *quant, *file;
        enum weft_hub_site site;
    } rows[] = {
        { "Qwen/Qwen3-0.6B", "Qwen/Qwen3-0.6B", "main", NULL, NULL, WEFT_HUB_HF },
        { "hf:gpt2", "gpt2", "main", NULL, NULL, WEFT_HUB_HF },
        { "hf:a/b@v1.0", "a/b", "v1.0", NULL, NULL, WEFT_HUB_HF },
        { "a/b@refs/pr/7", "a/b", "refs/pr/7", NULL, NULL, WEFT_HUB_HF },
        { "a/b:Q4_K_M", "a/b", "main", "Q4_K_M", NULL, WEFT_HUB_HF },
        { "a/b:Q4_K_M@x", "a/b", "x", "Q4_K_M", NULL, WEFT_HUB_HF },
        { "hf:a/b/data/train.jsonl@x", "a/b", "x", NULL, "data/train.jsonl", WEFT_HUB_HF },
        { "ms:a/b.c", "a/b.c", "master", NULL, NULL, WEFT_HUB_MS },
    };
    static const char *const bad[] = { "",       "hf:",  "file:a",    "a/",     "a//b",     "file:///a%2",    "a/..",
                                       "a/.b",   "-a/b", "a/b c",     "a/b@",   "a/b@../x", "a/b:",    "a/b/../c",
                                       "a/b/c/", "ms:b", "a/b@x y\n", "a/b\\c", "甲/乙",    "http:a/b" };
    for (size_t i = 0; i < WEFT_COUNT(rows); i++) {
        struct weft_hub_repo r;
        struct weft_err err = { 0 };
        check_ok(weft_hub_parse(&arena, rows[i].text, false, &r, &err), &err);
        assert_string_equal(r.id, rows[i].id);
        assert_string_equal(r.revision, rows[i].revision);
        assert_int_equal(r.site, rows[i].site);
        assert_string_equal(r.quant ? r.quant : "-", rows[i].quant ? rows[i].quant : "-");
        assert_string_equal(r.file ? r.file : "-", rows[i].file ? rows[i].file : "-");
    }
    for (size_t i = 0; i < WEFT_COUNT(bad); i++) {
        struct weft_hub_repo r;
        struct weft_err err = { 0 };
        enum weft_status st = weft_hub_parse(&arena, bad[i], false, &r, &err);
        if (st != WEFT_EARG) fail_msg("\"%s\": status %d", bad[i], st);
        check_contains(err.msg, "names no ");
    }
}

static void test_paths_stay_inside(void **state)
{
    static const char *const good[] = { "a", "a/b.c", "a b", "数据/一.jsonl", "..a", "a..", ".hidden" };
    static const char *const bad[] = { "",     "/a", "a/",  "a//b", "..",   "../a",  "a/../b",
                                       "a/..", ".",  "./a", "a\\b", "a\nb", "a\x7f", "a/\xff" };
    char longest[1026];
    for (size_t i = 0; i < WEFT_COUNT(good); i++)
        if (!weft_hub_path_ok(weft_str_c(good[i]))) fail_msg("%s", good[i]);
    for (size_t i = 0; i < WEFT_COUNT(bad); i++)
        if (weft_hub_path_ok(weft_str_c(bad[i]))) fail_msg("%s", bad[i]);
    for (size_t i = 0; i < sizeof longest; i++) longest[i] = i % 200 == 199 ? '/' : 'a';
    assert_true(weft_hub_path_ok((struct weft_str){ longest, 1024 }));
    assert_false(weft_hub_path_ok((struct weft_str){ longest, 1025 }));
    memset(longest, 'a', sizeof longest);
    assert_false(weft_hub_path_ok((struct weft_str){ longest, 256 }));
}

#define SHA "0123456789abcdef0123456789abcdef01234567"
#define SHA256 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void test_listings_of_both_sites(void **state)
{
    struct weft_hub_list l = { 0 };
    struct weft_err err = { 0 };
    check_ok(weft_hub_list_read(
                 &arena, WEFT_HUB_HF, "a/b",
                 WEFT_STR("{\"sha\":\"" SHA "\",\"siblings\":["
                          "{\"rfilename\":\"m.safetensors\",\"size\":7,\"blobId\":\"" SHA
                          "\",\"lfs\":{\"sha256\":\"" SHA256
                          "\",\"size\":900}},{\"rfilename\":\"config.json\",\"size\":12,\"blobId\":\"" SHA "\"},"
                          "{\"rfilename\":\"bare\"}]}"),
                 &l, &err),
             &err);
    assert_string_equal(l.commit, SHA);
    assert_int_equal(l.n, 3);
    assert_string_equal(l.files[0].path, "bare");
    assert_true(l.files[0].size == UINT64_MAX && !l.files[0].sha1[0] && !l.files[0].sha256[0]);
    assert_string_equal(l.files[1].sha1, SHA);
    assert_int_equal(l.files[1].size, 12);
    assert_string_equal(l.files[2].sha256, SHA256);
    assert_string_equal(l.files[2].sha1, ""); /* the pointer's, not the content's */
    assert_int_equal(l.files[2].size, 900);
    l = (struct weft_hub_list){ 0 };
    check_ok(
        weft_hub_list_read(
            &arena, WEFT_HUB_MS, "a/b",
            WEFT_STR(
                "{\"Code\":200,\"Data\":{\"Files\":["
                "{\"Path\":\"d\",\"Type\":\"tree\"},{\"Path\":\"d/x\",\"Type\":\"blob\",\"Size\":5,\"Sha256\":\"" SHA256
                "\"}]}}"),
            &l, &err),
        &err);
    assert_int_equal(l.n, 1);
    assert_int_equal(l.seen, 2);
    assert_string_equal(l.files[0].path, "d/x");
    assert_string_equal(l.files[0].sha256, SHA256);
}

static void test_listings_that_are_refused(void **state)
{
    static const struct {
        const char *json, *rule, *part;
    } rows[] = {
        { "<html>login</html>", "JS2", "" },
        { "[]", "B7", "no list of files" },
        { "{\"siblings\":{}}", "B7", "no list of files" },
        { "{\"sha\":\"../../x\",\"siblings\":[]}", "B7", "commit of 40 digits" },
        { "{\"siblings\":[{\"rfilename\":\"../../.bashrc\"}]}", "B7", "../../.bashrc" },
        { "{\"siblings\":[{\"rfilename\":\"/etc/passwd\"}]}", "B7", "/etc/passwd" },
        { "{\"siblings\":[{\"rfilename\":\"a\\\\b\"}]}", "B7", "inside the repository" },
        { "{\"siblings\":[{\"rfilename\":\"a\\nb\"}]}", "B7", "a\\nb" },
        { "{\"siblings\":[{\"rfilename\":7}]}", "B7", "inside the repository" },
        { "{\"siblings\":[{}]}", "B7", "inside the repository" },
        { "{\"siblings\":[{\"rfilename\":\"a\"},{\"rfilename\":\"a\"}]}", "B7", "twice" },
    };
    for (size_t i = 0; i < WEFT_COUNT(rows); i++) {
        struct weft_hub_list l = { 0 };
        struct weft_err err = { 0 };
        enum weft_status st = weft_hub_list_read(&arena, WEFT_HUB_HF, "a/b", weft_str_c(rows[i].json), &l, &err);
        if (st != WEFT_EINPUT || strcmp(err.rule, rows[i].rule) != 0 || !strstr(err.msg, rows[i].part))
            fail_msg("%s: status %d, %s: %s", rows[i].json, st, err.rule, err.msg);
    }
}

/* Chooses from these paths and writes what is taken, joined by blanks. */
static enum weft_status choose(const char *const *paths, size_t n, struct weft_hub_repo repo,
                               struct weft_hub_options o, char *out, size_t bytes, struct weft_err *err)
{
    struct weft_hub_list l = { .commit = "", .n = n, .files = WEFT_NEWS(&arena, struct weft_hub_file, n) };
    for (size_t i = 0; i < n; i++) l.files[i].path = paths[i];
    repo.id = "a/b";
    *err = (struct weft_err){ 0 };
    enum weft_status st = weft_hub_choose(&arena, &repo, &o, &l, err);
    out[0] = '\0';
    for (size_t i = 0; !st && i < l.n; i++)
        snprintf(out + strlen(out), bytes - strlen(out), "%s%s", i ? " " : "", l.files[i].path);
    return st;
}
#define CHOOSE(paths, repo, o) choose(paths, WEFT_COUNT(paths), repo, o, got, sizeof got, &err)

static void test_the_choice_of_files(void **state)
{
    static const char *const model[] = {
        ".gitattributes",           "LICENSE",           "README.md",        "config.json",
        "consolidated.safetensors", "model.safetensors", "onnx/model.onnx",  "original/params.json",
        "pytorch_model.bin",        "tokenizer.json",    "training_args.bin"
    };
    static const char *const only[] = { "config.json", "consolidated.safetensors" };
    static const char *const quants[] = { "README.md", "mmproj-x-Q8_0.gguf", "x-Q4_K_M.gguf",
                                          "x-Q8_0-00001-of-00002.gguf", "x-Q8_0-00002-of-00002.gguf" };
    static const char *const one[] = { "x.gguf" };
    static const char *const pickles[] = { "config.json", "pytorch_model.bin" };
    static const char *const rows[] = { ".gitattributes", "data/train.jsonl", "x.csv" };
    const struct weft_hub_repo plain = { .site = WEFT_HUB_HF };
    const struct weft_hub_options none = { 0 };
    const char *const some[] = { "onnx/*", "config.json" }, *const wrong[] = { "confg.json" };
    struct weft_err err;
    char got[1024];
    check_ok(CHOOSE(model, plain, none), &err);
    assert_string_equal(got, "LICENSE README.md config.json model.safetensors tokenizer.json");
    check_ok(CHOOSE(only, plain, none), &err);
    assert_string_equal(got, "config.json consolidated.safetensors");
    check_ok(CHOOSE(model, plain, ((struct weft_hub_options){ .files = some, .n_files = 2 })), &err);
    assert_string_equal(got, "config.json onnx/model.onnx");
    check_ok(CHOOSE(pickles, plain, ((struct weft_hub_options){ .all = true })), &err);
    assert_string_equal(got, "config.json pytorch_model.bin");
    check_ok(CHOOSE(quants, ((struct weft_hub_repo){ .quant = "q8_0" }), none), &err);
    assert_string_equal(got, "README.md x-Q8_0-00001-of-00002.gguf x-Q8_0-00002-of-00002.gguf");
    check_ok(CHOOSE(one, plain, none), &err);
    assert_string_equal(got, "x.gguf");
    check_ok(CHOOSE(rows, ((struct weft_hub_repo){ .dataset = true }), none), &err);
    assert_string_equal(got, "data/train.jsonl x.csv");
    check_refuses(CHOOSE(quants, plain, none), &err, WEFT_EARG, NULL, "x-Q4_K_M.gguf, x-Q8_0-00001-of-00002.gguf");
    check_refuses(CHOOSE(quants, ((struct weft_hub_repo){ .quant = "Q2_K" }), none), &err, WEFT_EARG, NULL,
                  "x-Q4_K_M.gguf");
    check_refuses(CHOOSE(pickles, plain, none), &err, WEFT_EARG, NULL, "only pickles");
    check_refuses(CHOOSE(model, plain, ((struct weft_hub_options){ .files = wrong, .n_files = 1 })), &err,
                  WEFT_EARG, NULL, "no file \"confg.json\"; there are");
    check_refuses(CHOOSE(rows, plain, none), &err, WEFT_EARG, NULL, "--all");
}

static void test_places_on_this_machine(void **state)
{
    static const char *const rows[][2] = {
        { "/a/b", "/a/b" },          { "./a/", "./a" },   { "../a", "../a" }, { ".", "." },
        { "file:///a%20b", "/a b" }, { "file:/x", "/x" }, { "/", "/" },       { "FILE://localhost/x/", "/x" },
    };
    static const char *const bad[] = { "file:", "file://host/x", "file:x", "file:///a%00b", "file:///%zz" };
    struct weft_hub_repo r;
    for (size_t i = 0; i < WEFT_COUNT(rows); i++) {
        struct weft_err err = { 0 };
        check_ok(weft_hub_parse(&arena, rows[i][0], false, &r, &err), &err);
        assert_int_equal(r.site, WEFT_HUB_LOCAL);
        assert_string_equal(r.id, rows[i][1]);
    }
    for (size_t i = 0; i < WEFT_COUNT(bad); i++) {
        struct weft_err err = { 0 };
        check_fails(weft_hub_parse(&arena, bad[i], false, &r, &err), &err, WEFT_EARG, NULL, "file:///PATH");
    }
}

/* Pages of the tree API: folders are no files, other keys than a revision's, a path twice is seen across pages. */
static void test_pages_of_the_tree(void **state)
{
    struct weft_hub_list l = { .commit = "" };
    struct weft_err err = { 0 };
    check_ok(weft_hub_list_read(&arena, WEFT_HUB_HF, "a/b", WEFT_STR("{\"id\":\"a/b\",\"sha\":\"" SHA "\"}"), &l, &err), &err);
    assert_int_equal(l.n, 0);
    assert_string_equal(l.commit, SHA);
    check_ok(weft_hub_tree_read(&arena, "a/b",
                                WEFT_STR("[{\"type\":\"file\",\"oid\":\"" SHA "\",\"size\":5,\"path\":\"z\"},"
                                         "{\"type\":\"directory\",\"oid\":\"" SHA "\",\"size\":0,\"path\":\"d\"}]"),
                                &l, &err),
             &err);
    assert_int_equal(l.seen, 2);
    check_ok(weft_hub_tree_read(&arena, "a/b",
                                WEFT_STR("[{\"type\":\"file\",\"oid\":\"" SHA "\",\"size\":133,\"lfs\":{\"oid\":\"" SHA256
                                         "\",\"size\":9000,\"pointerSize\":133},\"path\":\"d/m.safetensors\"}]"),
                                &l, &err),
             &err);
    check_ok(weft_hub_list_sort(&l, "a/b", &err), &err);
    assert_int_equal(l.n, 2);
    assert_string_equal(l.files[0].path, "d/m.safetensors");
    assert_int_equal(l.files[0].size, 9000);
    assert_string_equal(l.files[0].sha256, SHA256);
    assert_string_equal(l.files[0].sha1, "");
    assert_string_equal(l.files[1].sha1, SHA);
    check_ok(weft_hub_tree_read(&arena, "a/b", WEFT_STR("[{\"type\":\"file\",\"path\":\"z\"}]"), &l, &err), &err);
    check_refuses(weft_hub_list_sort(&l, "a/b", &err), &err, WEFT_EINPUT, "B7", "twice");
    check_refuses(weft_hub_tree_read(&arena, "a/b", WEFT_STR("{}"), &l, &err), &err, WEFT_EINPUT, "B7", "no list");
    check_refuses(weft_hub_tree_read(&arena, "a/b", WEFT_STR("[{\"type\":\"file\",\"path\":\"../z\"}]"), &l, &err), &err,
                  WEFT_EINPUT, "B7", "inside the repository");
}

static void test_the_link_to_the_next_page(void **state)
{
    static const char *const rows[][2] = {
        { "<https://h/x?cursor=a%3D>; rel=\"next\"", "https://h/x?cursor=a%3D" },
        { "<https://h/1>; rel=\"prev\", </2>;rel=next; title=x", "/2" },
        { "<https://h/1>; rel=\"last\"", "" },
        { "<https://h/1; rel=\"next\"", "" },
        { "", "" },
    };
    for (size_t i = 0; i < WEFT_COUNT(rows); i++) check_str(weft_hub_next_link(weft_str_c(rows[i][0])), rows[i][1]);
}

static int clear(void **state)
{
    weft_arena_clear(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_names_of_repositories, clear),
        cmocka_unit_test_teardown(test_paths_stay_inside, clear),
        cmocka_unit_test_teardown(test_listings_of_both_sites, clear),
        cmocka_unit_test_teardown(test_listings_that_are_refused, clear),
        cmocka_unit_test_teardown(test_the_choice_of_files, clear),
        cmocka_unit_test_teardown(test_places_on_this_machine, clear),
        cmocka_unit_test_teardown(test_pages_of_the_tree, clear),
        cmocka_unit_test_teardown(test_the_link_to_the_next_page, clear),
    };
    return cmocka_run_group_tests_name("store/hub", tests, NULL, NULL);
}
