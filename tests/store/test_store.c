/* The store: projects, versions of datasets, prompts, calls, patches, files and runs, through kills and hostile
 * text. */
#include "check.h"

#include "store/store.h"

#include <math.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/wait.h>

struct fixture {
    struct weft_arena arena;
    struct weft_err err;
    struct weft_store *store;
    const char *folder, *path;
    int64_t project;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    if (!f) return -1;
    f->folder = check_folder();
    f->path = check_path(f->folder, "deep/er/weft.db");
    *state = f;
    check_ok(weft_store_open(&f->store, f->path, &f->err), &f->err);
    check_ok(weft_store_project(f->store, WEFT_STR("渡口"), true, &f->project, &f->err), &f->err);
    return 0;
}
static int teardown(void **state)
{
    struct fixture *f = *state;
    weft_store_close(f->store);
    check_folder_gone(f->folder);
    weft_arena_clear(&f->arena);
    free(f);
    return 0;
}

static void reopen(struct fixture *f)
{
    weft_store_close(f->store);
    f->store = NULL;
    check_ok(weft_store_open(&f->store, f->path, &f->err), &f->err);
}

static const char hostile[] = "'); DROP TABLE rows; --\"\n\x01 \xF0\xA0\xAE\xB7";

static void add_row(struct weft_store_writer *w, const char *prompt, const char *answer, struct weft_err *err)
{
    struct weft_turn turns[] = { { WEFT_ROLE_USER, weft_str_c(prompt) }, { WEFT_ROLE_ASSISTANT, weft_str_c(answer) } };
    struct weft_row row = { .turns = turns, .n_turns = 2, .kto_tag = -1,
                            .origin = { .id = WEFT_STR("s1"), .file = WEFT_STR("a.txt"), .line = 3, .last_line = 4 } };
    check_ok(weft_store_dataset_add(w, &row, WEFT_FORMAT_ALPACA, err), err);
}

static struct weft_store_dataset put(struct fixture *f, const char *name, const char *answer)
{
    struct weft_store_writer *w;
    struct weft_store_dataset d;
    check_ok(weft_store_dataset_begin(f->store, f->project, weft_str_c(name), WEFT_STR("role: 阿沅"), &w, &f->err), &f->err);
    add_row(w, "谁在那儿？", answer, &f->err);
    add_row(w, hostile, hostile, &f->err);
    check_ok(weft_store_dataset_commit(w, &f->arena, &d, &f->err), &f->err);
    return d;
}

struct lines {
    struct weft_buf b;
};
static enum weft_status gather(void *ctx, struct weft_str line, struct weft_err *err)
{
    struct lines *l = ctx;
    weft_buf_str(&l->b, line);
    weft_buf_char(&l->b, '\n');
    return WEFT_OK;
}

static void test_versions_keep_their_rows_and_hash(void **state)
{
    struct fixture *f = *state;
    struct weft_store_dataset a = put(f, "pairs", "是我。"), b = put(f, "pairs", "没有人。"), again, got;
    assert_int_equal(a.version, 1);
    assert_int_equal(b.version, 2);
    assert_int_equal(a.n_rows, 2);
    check_str(a.recipe, "role: 阿沅");
    check_str(a.project, "渡口");
    again = put(f, "pairs", "没有人。");
    assert_true(again.unchanged);
    assert_int_equal(again.version, 2);
    reopen(f);
    check_ok(weft_store_dataset(f->store, &f->arena, f->project, WEFT_STR("pairs"), 0, &got, &f->err), &f->err);
    assert_int_equal(got.version, 2);
    check_ok(weft_store_dataset(f->store, &f->arena, f->project, WEFT_STR("pairs"), 1, &got, &f->err), &f->err);
    check_str(got.hash, a.hash.s);
    /* The hash is that of the lines, and the lines are good rows with their origin. */
    struct lines l = { 0 };
    char hash[WEFT_SHA256_HEX];
    struct weft_rows rows = { 0 };
    struct weft_report report = { 0 };
    check_ok(weft_store_dataset_rows(f->store, got.id, gather, &l, &f->err), &f->err);
    check_ok(weft_sha256_of(weft_buf_view(&l.b), hash, &f->err), &f->err);
    check_str(got.hash, hash);
    check_ok(weft_rows_parse(&f->arena, "x", weft_buf_view(&l.b), NULL, &rows, &report, NULL, &f->err), &f->err);
    assert_int_equal(rows.n, 2);
    check_str(rows.items[0].turns[1].text, "是我。");
    check_str(rows.items[1].turns[0].text, hostile);
    check_str(rows.items[0].origin.file, "a.txt");
    assert_int_equal(rows.items[0].origin.line, 3);
    weft_buf_clear(&l.b);
    bool found;
    check_ok(weft_store_dataset_by_hash(f->store, &f->arena, b.hash, &got, &found, &f->err), &f->err);
    assert_true(found && got.version == 2);
    check_ok(weft_store_dataset_by_hash(f->store, &f->arena, WEFT_STR("0"), &got, &found, &f->err), &f->err);
    assert_false(found);
}

static uint64_t found(struct fixture *f, const char *words, bool all_versions, struct weft_store_hit **hits)
{
    struct weft_store_words q = { .text = weft_str_c(words), .all_versions = all_versions, .limit = 3 };
    uint64_t all;
    size_t n;
    check_ok(weft_store_search(f->store, &f->arena, &q, hits, &n, &all, &f->err), &f->err);
    assert_true(n == (all < 3 ? all : 3));
    return all;
}

/* What is written is found from its commit on, what is dropped or removed never again; also in a store that was made
 * before there was an index. */
static void test_rows_are_found_while_they_are_there(void **state)
{
    struct fixture *f = *state;
    struct weft_store_hit *hits;
    struct weft_store_writer *w;
    struct sqlite3 *sql;
    struct weft_store_dataset a = put(f, "pairs", "老槐树下。"), b = put(f, "pairs", "新月如钩。");
    assert_int_equal(found(f, "槐树", false, &hits), 0);
    assert_int_equal(found(f, "槐树", true, &hits), 1);
    assert_int_equal(hits[0].row, 1);
    assert_int_equal(hits[0].dataset.version, 1);
    check_str(hits[0].text, "谁在那儿？\n老槐树下。");
    assert_int_equal(found(f, "新月", false, &hits), 1);
    assert_int_equal(found(f, "DROP table", true, &hits), 2);
    assert_int_equal(found(f, "a.txt", true, &hits), 0);
    check_ok(weft_store_dataset_begin(f->store, f->project, WEFT_STR("half"), WEFT_STR(""), &w, &f->err), &f->err);
    add_row(w, "槐树呢？", "b", &f->err);
    weft_store_dataset_drop(w);
    assert_int_equal(found(f, "槐树", true, &hits), 1);
    check_ok(weft_store_dataset_remove(f->store, a.id, &f->err), &f->err);
    assert_int_equal(found(f, "槐树", true, &hits), 0);
    weft_store_close(f->store);
    f->store = NULL;
    assert_int_equal(sqlite3_open(f->path, &sql), SQLITE_OK);
    assert_int_equal(sqlite3_exec(sql, "DROP VIEW row_texts; PRAGMA user_version = 3; PRAGMA writable_schema = ON;"
                                  "DELETE FROM sqlite_schema WHERE name LIKE 'row_words%'; PRAGMA writable_schema = RESET",
                                  NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(sql);
    reopen(f);
    assert_int_equal(weft_store_facts(f->store).upgraded_from, 3);
    assert_int_equal(found(f, "新月", false, &hits), 1);
    assert_int_equal(hits[0].dataset.id, b.id);
    check_ok(weft_store_project_remove(f->store, f->project, &f->err), &f->err);
    assert_int_equal(found(f, "新月", true, &hits), 0);
}

static void test_numbers_of_versions_are_never_given_twice(void **state)
{
    struct fixture *f = *state;
    struct weft_store_dataset d, *list;
    size_t n;
    put(f, "pairs", "一");
    d = put(f, "pairs", "二");
    check_ok(weft_store_dataset_remove(f->store, d.id, &f->err), &f->err);
    d = put(f, "pairs", "三");
    assert_int_equal(d.version, 3);
    check_ok(weft_store_datasets(f->store, &f->arena, f->project, &list, &n, &f->err), &f->err);
    assert_int_equal(n, 2);
    assert_int_equal(list[1].version, 3);
    check_ok(weft_store_datasets(f->store, &f->arena, 0, &list, &n, &f->err), &f->err);
    assert_int_equal(n, 2);
}

static void test_what_was_not_committed_is_not_there(void **state)
{
    struct fixture *f = *state;
    struct weft_store_writer *w, *other;
    struct weft_store_dataset *list, d;
    size_t n;
    check_ok(weft_store_dataset_begin(f->store, f->project, WEFT_STR("half"), WEFT_STR(""), &w, &f->err), &f->err);
    add_row(w, "a", "b", &f->err);
    check_refuses(weft_store_dataset_begin(f->store, f->project, WEFT_STR("x"), WEFT_STR(""), &other, &f->err), &f->err,
                  WEFT_EARG, "", "another dataset");
    weft_store_dataset_drop(w);
    check_ok(weft_store_dataset_begin(f->store, f->project, WEFT_STR("none"), WEFT_STR(""), &w, &f->err), &f->err);
    check_refuses(weft_store_dataset_commit(w, &f->arena, &d, &f->err), &f->err, WEFT_EINPUT, "", "without rows");
    check_ok(weft_store_datasets(f->store, &f->arena, 0, &list, &n, &f->err), &f->err);
    assert_int_equal(n, 0);
}

static void test_words_that_name_nothing(void **state)
{
    struct fixture *f = *state;
    struct weft_store_dataset d;
    int64_t id;
    put(f, "pairs", "x");
    check_refuses(weft_store_project(f->store, WEFT_STR("渡囗"), false, &id, &f->err), &f->err, WEFT_EARG, "", "no project");
    check_refuses(weft_store_dataset(f->store, &f->arena, f->project, WEFT_STR("pair"), 0, &d, &f->err), &f->err,
                  WEFT_EARG, "", "there are: pairs");
    check_refuses(weft_store_dataset(f->store, &f->arena, f->project, WEFT_STR("pairs"), 9, &d, &f->err), &f->err, WEFT_EARG,
                  "", "no version 9");
    static const char *const bad[] = { "", "a/b", "a@1", "a:b", "-x", ".x", "a b", "a\nb", "\xFF" };
    for (size_t i = 0; i < WEFT_COUNT(bad); i++)
        check_refuses(weft_store_project(f->store, weft_str_c(bad[i]), true, &id, &f->err), &f->err, WEFT_EARG, "", "is no name");
}

static void test_prompts_have_versions(void **state)
{
    struct fixture *f = *state;
    int64_t v;
    struct weft_str text;
    check_ok(weft_store_prompt_put(f->store, f->project, WEFT_STR("summary"), WEFT_STR("用一句话"), &v, &f->err), &f->err);
    assert_int_equal(v, 1);
    check_ok(weft_store_prompt_put(f->store, f->project, WEFT_STR("summary"), weft_str_c(hostile), &v, &f->err), &f->err);
    assert_int_equal(v, 2);
    check_ok(weft_store_prompt_put(f->store, f->project, WEFT_STR("summary"), weft_str_c(hostile), &v, &f->err), &f->err);
    assert_int_equal(v, 2);
    reopen(f);
    v = 1;
    check_ok(weft_store_prompt_get(f->store, &f->arena, f->project, WEFT_STR("summary"), &v, &text, &f->err), &f->err);
    check_str(text, "用一句话");
    v = 0;
    check_ok(weft_store_prompt_get(f->store, &f->arena, f->project, WEFT_STR("summary"), &v, &text, &f->err), &f->err);
    check_str(text, hostile);
    assert_int_equal(v, 2);
    struct weft_store_prompt *prompts;
    char hash[WEFT_SHA256_HEX];
    size_t n;
    check_ok(weft_store_prompts(f->store, &f->arena, f->project, &prompts, &n, &f->err), &f->err);
    check_ok(weft_sha256_of(weft_str_c(hostile), hash, &f->err), &f->err);
    assert_true(n == 2 && prompts[1].version == 2);
    assert_string_equal(prompts[1].sha256, hash);
    v = 7;
    check_refuses(weft_store_prompt_get(f->store, &f->arena, f->project, WEFT_STR("summary"), &v, &text, &f->err), &f->err,
                  WEFT_EARG, "", "no prompt");
}

static void test_calls_patches_and_files(void **state)
{
    struct fixture *f = *state;
    bool found;
    struct weft_store_call call = { .key = WEFT_STR("ab12"), .ledger = WEFT_STR("calls.ledger"), .model = WEFT_STR("m"),
                                    .endpoint = WEFT_STR("https://x"), .state = WEFT_STR("sent"), .at = 5 }, got;
    check_ok(weft_store_call_put(f->store, f->project, &call, &f->err), &f->err);
    call.state = WEFT_STR("answered");
    call.completion_tokens = 9;
    check_ok(weft_store_call_put(f->store, f->project, &call, &f->err), &f->err);
    check_ok(weft_store_call_get(f->store, &f->arena, WEFT_STR("ab12"), &got, &found, &f->err), &f->err);
    assert_true(found);
    check_str(got.state, "answered");
    check_str(got.ledger, "calls.ledger");
    assert_int_equal(got.completion_tokens, 9);
    check_ok(weft_store_call_get(f->store, &f->arena, WEFT_STR("ab13"), &got, &found, &f->err), &f->err);
    assert_false(found);

    /* Many at once; totals count a request once, by its last word. */
    struct weft_store_call more[] = { call, call, call, call };
    struct weft_store_call_total *totals;
    size_t n_totals;
    more[0].key = WEFT_STR("01"), more[1].key = WEFT_STR("02"), more[2].key = WEFT_STR("02"), more[3].key = WEFT_STR("03");
    more[0].prompt_tokens = 100;
    more[1].state = WEFT_STR("failed");
    more[2].state = WEFT_STR("refused");
    more[3].endpoint = weft_str_c(hostile);
    more[3].at = 9;
    check_ok(weft_store_calls_put(f->store, f->project, more, WEFT_COUNT(more), &f->err), &f->err);
    for (int pass = 0; pass < 2; pass++) {
        int64_t project = pass ? f->project : 0;
        check_ok(weft_store_call_totals(f->store, &f->arena, project, &totals, &n_totals, &f->err), &f->err);
        assert_int_equal(n_totals, 2);
        check_str(totals[0].endpoint, hostile);
        assert_true(totals[0].requests == 1 && totals[0].answered == 1 && totals[0].last == 9);
        check_str(totals[1].endpoint, "https://x");
        check_str(totals[1].model, "m");
        assert_true(totals[1].requests == 3 && totals[1].answered == 2 && totals[1].unusable == 1);
        assert_true(totals[1].prompt_tokens == 100 && totals[1].completion_tokens == 27);
    }
    check_ok(weft_store_call_totals(f->store, &f->arena, f->project + 1, &totals, &n_totals, &f->err), &f->err);
    assert_int_equal(n_totals, 0);

    struct lines l = { 0 };
    check_ok(weft_store_patch_add(f->store, f->project, WEFT_STR("pairs"), WEFT_STR("{\"do\":\"keep\"}"), &f->err), &f->err);
    check_ok(weft_store_patch_add(f->store, f->project, WEFT_STR("pairs"), weft_str_c(hostile), &f->err), &f->err);
    check_ok(weft_store_patch_add(f->store, f->project, WEFT_STR("other"), WEFT_STR("no"), &f->err), &f->err);
    check_ok(weft_store_patches(f->store, f->project, WEFT_STR("pairs"), gather, &l, &f->err), &f->err);
    assert_true(weft_str_starts(weft_buf_view(&l.b), WEFT_STR("{\"do\":\"keep\"}\n'); DROP")));
    weft_buf_clear(&l.b);

    /* A line is kept once; whole files add what is new. */
    uint64_t added;
    struct weft_store_patch_set *sets;
    size_t n;
    check_ok(weft_store_patches_add(f->store, f->project, WEFT_STR("other"), WEFT_STR("no\n\nyes\nyes\n"), &added, &f->err),
             &f->err);
    assert_int_equal(added, 1);
    check_ok(weft_store_patch_sets(f->store, &f->arena, 0, &sets, &n, &f->err), &f->err);
    assert_true(n == 2 && sets[0].n == 2 && sets[1].n == 2);
    check_str(sets[0].dataset, "other");

    struct weft_store_batch batch = { .task = WEFT_STR("qa"), .prompt = WEFT_STR("ask/qa@1+00"), .model = weft_str_c(hostile),
                                      .state = WEFT_STR("done"), .units = 5, .asked = 4, .reused = 1, .failed = 2,
                                      .prompt_tokens = 10, .completion_tokens = 20, .rows = 3, .cost = 0.5 }, *batches;
    check_ok(weft_store_batch_add(f->store, f->project, &batch, &f->err), &f->err);
    check_ok(weft_store_batches(f->store, &f->arena, f->project, &batches, &n, &f->err), &f->err);
    assert_int_equal(n, 1);
    check_str(batches[0].model, hostile);
    check_str(batches[0].project, "渡口");
    assert_true(batches[0].rows == 3 && batches[0].completion_tokens == 20 && batches[0].cost == 0.5);

    struct weft_store_file file = { WEFT_STR("00ff"), WEFT_STR("西游记.txt"), 123, WEFT_STR("https://y") }, back;
    check_ok(weft_store_file_put(f->store, &file, &f->err), &f->err);
    check_ok(weft_store_file_get(f->store, &f->arena, WEFT_STR("00ff"), &back, &found, &f->err), &f->err);
    assert_true(found && back.bytes == 123);
    check_str(back.name, "西游记.txt");
}

static void test_a_run_names_its_dataset_and_a_dead_one_is_interrupted(void **state)
{
    struct fixture *f = *state;
    struct weft_store_dataset d = put(f, "pairs", "x"), of;
    struct weft_store_run *runs;
    int64_t id;
    size_t n;
    bool found;
    const struct weft_store_run_data data[] = {
        { WEFT_STR("train"), WEFT_STR("/d/pairs.json"), WEFT_STR("ff"), d.content, 2 },
        { WEFT_STR("valid"), WEFT_STR("/d/valid.json"), WEFT_STR("ee"), WEFT_STR("cc"), 1 },
    };
    struct weft_store_run run = { .name = WEFT_STR("first"), .output_dir = WEFT_STR("/runs/first"), .dataset_hash = d.content,
                                  .base = WEFT_STR("tiny"), .base_sha256 = WEFT_STR("ba5e"),
                                  .parameters = WEFT_STR("lora_rank: 8\n"), .state = WEFT_STR("done"),
                                  .result = WEFT_STR("runs/first/adapter"), .steps = 7, .loss = 2.5, .valid_loss = (double)NAN };
    check_ok(weft_store_run_begin(f->store, f->project, &run, data, 2, &id, &f->err), &f->err);
    check_ok(weft_store_run_end(f->store, id, &run, &f->err), &f->err);
    weft_store_close(f->store);
    f->store = NULL;
    pid_t pid = fork();
    if (pid == 0) {                     /* begins a run and dies in it */
        struct weft_store *s;
        if (weft_store_open(&s, f->path, NULL)) _exit(1);
        run.name = WEFT_STR("second");
        run.output_dir = WEFT_STR("/runs/second");
        if (weft_store_run_begin(s, f->project, &run, data, 1, &id, NULL)) _exit(1);
        kill(getpid(), SIGKILL);
    }
    int how;
    waitpid(pid, &how, 0);
    assert_true(WIFSIGNALED(how));
    reopen(f);
    assert_true(weft_store_facts(f->store).was_unclean);
    assert_int_equal(weft_store_facts(f->store).interrupted, 1);
    check_ok(weft_store_runs(f->store, &f->arena, 0, &runs, &n, &f->err), &f->err);
    assert_int_equal(n, 2);
    for (size_t i = 0; i < n; i++)
        check_str(runs[i].state, weft_str_is(runs[i].name, "second") ? "interrupted" : "done");
    size_t first = weft_str_is(runs[0].name, "first") ? 0 : 1;
    check_str(runs[first].parameters, "lora_rank: 8\n");
    check_str(runs[first].result, "runs/first/adapter");
    check_str(runs[first].base_sha256, "ba5e");
    assert_int_equal(runs[first].steps, 7);
    assert_true(runs[first].loss == 2.5 && isnan(runs[first].valid_loss) && isnan(runs[!first].loss));
    struct weft_store_run_data *read;
    check_ok(weft_store_run_data(f->store, &f->arena, id, &read, &n, &f->err), &f->err);
    assert_int_equal(n, 2);
    check_str(read[0].path, "/d/pairs.json");
    check_str(read[1].part, "valid");
    check_str(read[1].content, "cc");
    check_ok(weft_store_dataset_by_hash(f->store, &f->arena, runs[first].dataset_hash, &of, &found, &f->err), &f->err);
    assert_true(found && of.version == 1);
    check_ok(weft_store_run_remove(f->store, f->project, WEFT_STR("second"), &f->err), &f->err);
    check_refuses(weft_store_run_remove(f->store, f->project, WEFT_STR("second"), &f->err), &f->err, WEFT_EARG, "", "no run");
}

static void test_runs_in_two_folders_of_one_name_are_two(void **state)
{
    struct fixture *f = *state;
    struct weft_store_run run = { .name = WEFT_STR("mine"), .output_dir = WEFT_STR("/a/mine"), .state = WEFT_STR("failed"),
                                  .result = WEFT_STR("no space") }, *runs;
    int64_t a, b, again;
    size_t n;
    check_ok(weft_store_run_begin(f->store, f->project, &run, NULL, 0, &a, &f->err), &f->err);
    check_ok(weft_store_run_end(f->store, a, &run, &f->err), &f->err);
    run.output_dir = WEFT_STR("/b/mine");
    check_ok(weft_store_run_begin(f->store, f->project, &run, NULL, 0, &b, &f->err), &f->err);
    run.output_dir = WEFT_STR("/a/mine");
    check_ok(weft_store_run_begin(f->store, f->project, &run, NULL, 0, &again, &f->err), &f->err);
    assert_true(a == again && a != b);
    /* This process lives: its runs are running, also for another that looks. */
    reopen(f);
    check_ok(weft_store_runs(f->store, &f->arena, 0, &runs, &n, &f->err), &f->err);
    assert_int_equal(n, 2);
    for (size_t i = 0; i < n; i++) {
        check_str(runs[i].state, "running");
        check_str(runs[i].result, "");
        check_str(runs[i].name, runs[i].id == a ? "mine" : "mine-2");
    }
}

/* The number of a process that is gone was given to another: told by when it was born.  A run on another machine is
 * left alone. */
static void test_a_number_given_again_is_not_the_run(void **state)
{
    struct fixture *f = *state;
    struct weft_store_run run = { .name = WEFT_STR("old"), .output_dir = WEFT_STR("/old") }, *runs;
    struct sqlite3 *sql;
    int64_t id;
    size_t n;
    check_needs_proc();
    check_ok(weft_store_run_begin(f->store, f->project, &run, NULL, 0, &id, &f->err), &f->err);
    run.name = run.output_dir = WEFT_STR("far");
    check_ok(weft_store_run_begin(f->store, f->project, &run, NULL, 0, &id, &f->err), &f->err);
    assert_int_equal(sqlite3_open(f->path, &sql), SQLITE_OK);
    assert_int_equal(sqlite3_exec(sql, "UPDATE runs SET born = born - 1 WHERE name = 'old';"
                                  "UPDATE runs SET host = 'elsewhere', pid = 2147483646 WHERE name = 'far'", NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(sql);
    reopen(f);
    check_ok(weft_store_runs(f->store, &f->arena, 0, &runs, &n, &f->err), &f->err);
    assert_int_equal(n, 2);
    for (size_t i = 0; i < n; i++) check_str(runs[i].state, weft_str_is(runs[i].name, "old") ? "interrupted" : "running");
}

static void test_a_project_goes_with_all_it_has(void **state)
{
    struct fixture *f = *state;
    struct weft_store_project *list;
    struct weft_store_dataset *sets;
    size_t n;
    put(f, "pairs", "x");
    check_ok(weft_store_projects(f->store, &f->arena, &list, &n, &f->err), &f->err);
    assert_int_equal(n, 1);
    assert_int_equal(list[0].n_datasets, 1);
    assert_int_equal(list[0].n_rows, 2);
    check_ok(weft_store_project_remove(f->store, f->project, &f->err), &f->err);
    check_ok(weft_store_datasets(f->store, &f->arena, 0, &sets, &n, &f->err), &f->err);
    assert_int_equal(n, 0);
    check_ok(weft_store_projects(f->store, &f->arena, &list, &n, &f->err), &f->err);
    assert_int_equal(n, 0);
}

/* Writers killed anywhere: a version is there as a whole, with its hash, or not at all. */
static void test_kills_while_a_dataset_is_written(void **state)
{
    struct fixture *f = *state;
    uint64_t seed = 11;
    weft_store_close(f->store);
    f->store = NULL;
    int64_t versions = 0;
    for (int i = 0; i < 20; i++) {
        int told[2];
        char byte;
        assert_int_equal(pipe(told), 0);
        pid_t pid = fork();
        if (pid == 0) {
            struct weft_store *s;
            struct weft_err err = { 0 };
            if (weft_store_open(&s, f->path, &err)) _exit(1);
            for (int k = 0;; k++) {
                struct weft_arena a = { 0 };
                struct weft_store_writer *w;
                struct weft_store_dataset d;
                char text[32];
                if (weft_store_dataset_begin(s, f->project, WEFT_STR("pairs"), WEFT_STR(""), &w, &err)) _exit(1);
                for (int r = 0; r < 50; r++) {
                    snprintf(text, sizeof text, "%d.%d.%d", i, k, r);
                    add_row(w, "q", text, &err);
                }
                if (weft_store_dataset_commit(w, &a, &d, &err)) _exit(1);
                (void)!write(told[1], "x", 1);
                weft_arena_clear(&a);
            }
        }
        close(told[1]);
        usleep((1 + check_random(&seed) % 40) * 1000);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        while (read(told[0], &byte, 1) == 1) versions++;
        close(told[0]);
    }
    struct weft_store_dataset *list;
    size_t n;
    reopen(f);
    check_ok(weft_store_datasets(f->store, &f->arena, 0, &list, &n, &f->err), &f->err);
    assert_true((int64_t)n >= versions && (int64_t)n <= versions + 20 && n > 0);
    for (size_t i = 0; i < n; i++) {
        struct lines l = { 0 };
        char hash[WEFT_SHA256_HEX];
        assert_int_equal(list[i].n_rows, 50);
        check_ok(weft_store_dataset_rows(f->store, list[i].id, gather, &l, &f->err), &f->err);
        check_ok(weft_sha256_of(weft_buf_view(&l.b), hash, &f->err), &f->err);
        check_str(list[i].hash, hash);
        weft_buf_clear(&l.b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_versions_keep_their_rows_and_hash, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rows_are_found_while_they_are_there, setup, teardown),
        cmocka_unit_test_setup_teardown(test_numbers_of_versions_are_never_given_twice, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_was_not_committed_is_not_there, setup, teardown),
        cmocka_unit_test_setup_teardown(test_words_that_name_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_prompts_have_versions, setup, teardown),
        cmocka_unit_test_setup_teardown(test_calls_patches_and_files, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_run_names_its_dataset_and_a_dead_one_is_interrupted, setup, teardown),
        cmocka_unit_test_setup_teardown(test_runs_in_two_folders_of_one_name_are_two, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_number_given_again_is_not_the_run, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_project_goes_with_all_it_has, setup, teardown),
        cmocka_unit_test_setup_teardown(test_kills_while_a_dataset_is_written, setup, teardown),
    };
    return cmocka_run_group_tests_name("store/store", tests, NULL, NULL);
}
