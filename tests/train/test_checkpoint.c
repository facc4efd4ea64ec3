/* A run that is killed, stopped, damaged or changed: it ends in the same bytes, or says why not. */
#include "train/runs.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

struct folder {
    char name[64];
};
static struct folder new_folder(void)
{
    struct folder f;
    snprintf(f.name, sizeof f.name, "%s", check_folder());
    return f;
}

static bool there(const struct folder *f, const char *name) { return access(check_path(f->name, name), F_OK) == 0; }

/* The bytes a run must end in. */
struct finish {
    struct weft_str params, optimizer, log, rows;
};
static struct finish finish_of(struct run *r, const struct folder *f, const char *last)
{
    char name[128];
    struct finish e;
    snprintf(name, sizeof name, "%s/params.safetensors", last);
    e.params = run_file(r, f->name, name);
    snprintf(name, sizeof name, "%s/optimizer.safetensors", last);
    e.optimizer = run_file(r, f->name, name);
    e.log = run_log(r, f->name);
    e.rows = run_file(r, f->name, "row_loss.jsonl");
    return e;
}
static void check_same_finish(const struct finish *a, const struct finish *b)
{
    check_same_bytes(a->log, b->log);
    check_same_bytes(a->params, b->params);
    check_same_bytes(a->optimizer, b->optimizer);
    check_same_bytes(a->rows, b->rows);
}

/* One whole run without interruption. */
static struct finish straight(struct run *r, int threads, const char *yaml, const char *last)
{
    struct folder f = new_folder();
    run_set_up(r, f.name, threads, yaml);
    r->job.valid = &r->valid;
    check_ok(run_go(r), &r->err);
    struct finish e = finish_of(r, &f, last);
    check_folder_gone(f.name);
    return e;
}

/* ---- kill -9 ---- */

static void wait_ms(long ms)
{
    struct timespec t = { ms / 1000, ms % 1000 * 1000000 };
    nanosleep(&t, NULL);
}

static _Noreturn void child_run(const char *dir, int threads, const char *yaml)
{
    struct run r;
    run_set_up(&r, dir, threads, yaml);
    r.job.valid = &r.valid;
    enum weft_status st = run_go(&r);
    if (st) fprintf(stderr, "run of %s: %s\n", dir, r.err.msg);
    _exit(st ? 1 : 0);
}

/* Kills at random moments until `kills` are spent (WEFT_TEST_KILLS: another number), each time on 1 to 3 threads
 * (WEFT_TEST_THREADS: on so many); runs that finish earlier are compared and begun anew. */
static void check_kills(const char *yaml, const char *last, int kills, uint64_t seed)
{
    struct run r;
    struct finish want = straight(&r, 2, yaml, last);
    const char *asked = getenv("WEFT_TEST_KILLS"), *on = getenv("WEFT_TEST_THREADS");
    int killed = 0, compared = 0;
    if (asked) kills = atoi(asked);
    while (kills > 0) {
        struct folder f = new_folder();
        for (bool finished = false; !finished;) {
            int status, threads = on ? atoi(on) : 1 + (int)(check_random(&seed) % 3);
            pid_t child = fork();
            assert_true(child >= 0);
            if (!child) child_run(f.name, threads, yaml);
            if (kills > 0) {
                wait_ms((long)(check_random(&seed) % 160));
                kill(child, SIGKILL);
            }
            assert_int_equal(waitpid(child, &status, 0), child);
            finished = WIFEXITED(status);
            if (finished) assert_int_equal(WEXITSTATUS(status), 0);
            else kills--, killed++;
        }
        struct finish got = finish_of(&r, &f, last);
        check_same_finish(&got, &want);
        check_folder_gone(f.name);
        compared++;
    }
    if (asked) print_message("%d kills, %d finished runs of the same bytes\n", killed, compared);
    run_tear_down(&r);
}

static void test_killed_at_random_moments_adamw(void **state)
{
    check_kills(
        "num_train_epochs: 8\nsave_steps: 5\nlogging_steps: 3\neval_steps: 11\nfinetuning_type: lora\n",
        "checkpoint-56", 10, 1);
}

static void test_killed_at_random_moments_muon(void **state)
{
    check_kills(
        "num_train_epochs: 8\nsave_steps: 4\nlogging_steps: 3\neval_steps: 9\noptim: muon\nwatchdog_ratio: 2\n",
        "checkpoint-56", 10, 2);
}

/* Matrices of this run are large enough for codes. */
static void test_killed_at_random_moments_adamw_8bit(void **state)
{
    check_kills("num_train_epochs: 8\nsave_steps: 4\nlogging_steps: 3\neval_steps: 9\noptim: adamw_8bit\n",
                "checkpoint-56", 8, 3);
}

static void test_killed_at_random_moments_adamw_bf16(void **state)
{
    check_kills("num_train_epochs: 8\nsave_steps: 4\nlogging_steps: 3\neval_steps: 9\npure_bf16: true\n",
                "checkpoint-56", 6, 13);
}

static void test_killed_at_random_moments_galore(void **state)
{
    check_kills("num_train_epochs: 8\nsave_steps: 4\nlogging_steps: 3\neval_steps: 9\nuse_galore: true\ngalore_rank: 4\n"
                "galore_update_interval: 6\n",
                "checkpoint-56", 8, 4);
    check_kills("num_train_epochs: 8\nsave_steps: 4\nlogging_steps: 3\neval_steps: 9\nuse_galore: true\ngalore_rank: 40\n"
                "galore_proj_type: reverse_std\noptim: adamw_8bit\ngalore_update_interval: 5\ncompat: clean\n",
                "checkpoint-56", 4, 5);
    check_kills("num_train_epochs: 8\nsave_steps: 4\nlogging_steps: 3\neval_steps: 9\nuse_galore: true\ngalore_rank: 4\n"
                "galore_update_interval: 6\ngalore_layerwise: true\ncompat: clean\n",
                "checkpoint-56", 4, 8);
}

static void test_killed_at_random_moments_apollo(void **state)
{
    check_kills("num_train_epochs: 8\nsave_steps: 4\nlogging_steps: 3\neval_steps: 9\nuse_apollo: true\napollo_rank: 4\n"
                "apollo_update_interval: 6\n",
                "checkpoint-56", 8, 9);
    check_kills("num_train_epochs: 8\nsave_steps: 4\nlogging_steps: 3\neval_steps: 9\nuse_apollo: true\napollo_rank: 1\n"
                "apollo_scale_type: tensor\napollo_proj: svd\napollo_update_interval: 5\ncompat: clean\n",
                "checkpoint-56", 4, 10);
}

static void test_killed_at_random_moments_badam(void **state)
{
    check_kills("num_train_epochs: 8\nsave_steps: 4\nlogging_steps: 3\neval_steps: 9\nuse_badam: true\n"
                "badam_switch_interval: 3\nbadam_switch_mode: random\n",
                "checkpoint-56", 8, 6);
    check_kills("num_train_epochs: 20\nsave_steps: 9\nlogging_steps: 3\neval_steps: 70\nuse_badam: true\n"
                "badam_mode: ratio\nbadam_mask_mode: scatter\n",
                "checkpoint-140", 8, 7);
}

/* What a killed run leaves half written goes at the next start. */
static void test_half_written_folder_is_removed(void **state)
{
    struct run r;
    struct folder f = new_folder();
    run_set_up(&r, f.name, 1, "");
    assert_int_equal(mkdir(check_path(f.name, "checkpoint-8.tmp-1"), 0777), 0);
    assert_int_equal(mkdir(check_path(f.name, "checkpoint-notes"), 0777), 0);
    check_ok(run_go(&r), &r.err);
    assert_false(there(&f, "checkpoint-8.tmp-1"));
    assert_true(there(&f, "checkpoint-notes"));     /* not ours */
    check_folder_gone(f.name);
    run_tear_down(&r);
}

/* ---- stopping ---- */

struct stop {
    struct run *run;
    uint64_t at;
};
static void stop_at(void *ctx, const struct weft_train_report *report)
{
    const struct stop *s = ctx;
    if (report->step == s->at) s->run->cancel = 1;
}

/* E4: stopped after update 5 or in the validation that follows update 6, gone on, nothing lost or doubled. */
static void test_stopped_run_goes_on_to_the_same_bytes(void **state)
{
    static const char yaml[] = "save_steps: 100\nlogging_steps: 1\neval_steps: 6\n";
    struct run first, r;
    struct finish want = straight(&first, 2, yaml, "checkpoint-14");
    for (uint64_t at = 5; at <= 6; at++) {
        struct folder f = new_folder();
        run_set_up(&r, f.name, 1, yaml);
        struct stop stop = { &r, at };
        r.job.valid = &r.valid;
        r.job.report = stop_at;
        r.job.report_ctx = &stop;
        check_fails(run_go(&r), &r.err, WEFT_ECANCEL, "", NULL);
        assert_int_equal(r.result.steps, at);
        assert_true(there(&f, at == 5 ? "checkpoint-5/manifest.json" : "checkpoint-6/manifest.json"));
        run_tear_down(&r);

        run_set_up(&r, f.name, 3, yaml);
        r.job.valid = &r.valid;
        check_ok(run_go(&r), &r.err);
        assert_int_equal(r.result.resumed_from, at);
        struct finish got = finish_of(&r, &f, "checkpoint-14");
        check_same_finish(&got, &want);
        check_folder_gone(f.name);
        run_tear_down(&r);
    }
    run_tear_down(&first);
}

static void test_finished_run_is_left_as_it_is(void **state)
{
    struct run r;
    struct folder f = new_folder();
    run_set_up(&r, f.name, 2, "");
    check_ok(run_go(&r), &r.err);
    double loss = r.result.train_loss;
    struct weft_str log = run_file(&r, f.name, "log.jsonl");
    struct run again;
    run_set_up(&again, f.name, 1, "");
    check_ok(run_go(&again), &again.err);
    assert_int_equal(again.result.resumed_from, 14);
    check_near(again.result.train_loss, loss, 0);
    check_same_bytes(run_file(&again, f.name, "log.jsonl"), log);
    for (size_t i = 0; i < r.params.n; i++)         /* the parameters are those of the end */
        assert_memory_equal(again.params.items[i].w, r.params.items[i].w,
                            r.params.items[i].rows * r.params.items[i].cols * 4);
    run_tear_down(&again);

    run_set_up(&again, f.name, 1, "overwrite_output_dir: true\nmax_steps: 3\n");
    check_ok(run_go(&again), &again.err);
    assert_int_equal(again.result.resumed_from, 0);
    assert_false(there(&f, "checkpoint-14"));
    assert_true(there(&f, "checkpoint-3"));
    check_folder_gone(f.name);
    run_tear_down(&r), run_tear_down(&again);
}

static void test_only_the_newest_are_kept(void **state)
{
    static const struct {
        const char *yaml;
        bool four, eight, twelve;
    } cases[] = { { "save_total_limit: 2\n", false, false, true },
                  { "save_total_limit: 3\n", false, true, true },
                  { "save_total_limit: 0\n", true, true, true } };
    for (size_t i = 0; i < WEFT_COUNT(cases); i++) {
        struct run r;
        struct folder f = new_folder();
        run_set_up(&r, f.name, 2, cases[i].yaml);
        check_ok(run_go(&r), &r.err);
        assert_int_equal(there(&f, "checkpoint-4"), cases[i].four);
        assert_int_equal(there(&f, "checkpoint-8"), cases[i].eight);
        assert_int_equal(there(&f, "checkpoint-12"), cases[i].twelve);
        assert_true(there(&f, "checkpoint-14"));
        check_folder_gone(f.name);
        run_tear_down(&r);
    }
}

static void test_two_processes_do_not_share_a_run(void **state)
{
    struct run r;
    struct folder f = new_folder();
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (!child) {
        int fd = open(check_path(f.name, ".lock"), O_RDWR | O_CREAT, 0666);
        if (fd < 0 || flock(fd, LOCK_EX)) _exit(1);
        if (write(ready[1], "x", 1) != 1) _exit(1);
        pause();
        _exit(0);
    }
    char c;
    assert_int_equal(read(ready[0], &c, 1), 1);
    run_set_up(&r, f.name, 1, "");
    check_fails(run_go(&r), &r.err, WEFT_EARG, "", "another process");
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    check_ok(run_go(&r), &r.err);
    close(ready[0]), close(ready[1]);
    check_folder_gone(f.name);
    run_tear_down(&r);
}

/* ---- damage (E3) ---- */

static void flip(const char *path, size_t at)
{
    struct stat info;
    int fd = open(path, O_RDWR);
    unsigned char b;
    assert_true(fd >= 0 && fstat(fd, &info) == 0 && info.st_size > 0);
    at %= (size_t)info.st_size;
    assert_int_equal(pread(fd, &b, 1, (off_t)at), 1);
    b ^= 1;
    assert_int_equal(pwrite(fd, &b, 1, (off_t)at), 1);
    close(fd);
}

enum damage { FLIP_FIRST, FLIP_MIDDLE, FLIP_LAST, CUT, GONE };

static void damage(const char *path, enum damage kind)
{
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    if (kind == FLIP_FIRST) flip(path, 0);
    if (kind == FLIP_MIDDLE) flip(path, (size_t)info.st_size / 2);
    if (kind == FLIP_LAST) flip(path, (size_t)info.st_size - 1);
    if (kind == CUT) assert_int_equal(truncate(path, info.st_size - 1), 0);
    if (kind == GONE) assert_int_equal(unlink(path), 0);
}

/* One file of the newest checkpoint is damaged: the one before is taken, and the run ends in the same bytes. */
static void test_damaged_checkpoint_falls_back_to_the_one_before(void **state)
{
    static const char *const files[] = { "params.safetensors", "optimizer.safetensors", "state.json", "manifest.json" };
    static const char yaml[] = "finetuning_type: lora\n";
    struct run first, r;
    struct finish want = straight(&first, 2, yaml, "checkpoint-14");
    for (size_t i = 0; i < WEFT_COUNT(files); i++)
        for (enum damage kind = FLIP_FIRST; kind <= GONE; kind++) {
            struct folder f = new_folder();
            run_set_up(&r, f.name, 2, yaml);
            struct stop stop = { &r, 9 };
            r.job.valid = &r.valid;
            r.job.report = stop_at;
            r.job.report_ctx = &stop;
            check_fails(run_go(&r), &r.err, WEFT_ECANCEL, "", NULL);
            run_tear_down(&r);
            char path[128];
            snprintf(path, sizeof path, "%s/checkpoint-9/%s", f.name, files[i]);
            damage(path, kind);

            run_set_up(&r, f.name, 2, yaml);
            r.job.valid = &r.valid;
            check_ok(run_go(&r), &r.err);
            assert_int_equal(r.result.resumed_from, 8);
            check_contains(r.messages, "damaged checkpoint put aside");
            check_contains(r.messages, files[i]);
            assert_true(there(&f, "checkpoint-9.damaged"));
            struct finish got = finish_of(&r, &f, "checkpoint-14");
            check_same_finish(&got, &want);
            check_folder_gone(f.name);
            run_tear_down(&r);
        }
    run_tear_down(&first);
}

/* Each byte of a manifest is guarded. */
static void test_every_byte_of_a_manifest_counts(void **state)
{
    struct run r;
    struct folder f = new_folder();
    struct weft_err err = { 0 };
    run_set_up(&r, f.name, 1, "finetuning_type: lora\n");
    check_ok(run_go(&r), &r.err);
    const char *dir = check_path(f.name, "checkpoint-14"),
               *manifest = check_path(f.name, "checkpoint-14/manifest.json");
    struct weft_str text = run_file(&r, f.name, "checkpoint-14/manifest.json");
    check_ok(weft_checkpoint_verify(dir, &err), &err);
    for (size_t i = 0; i < text.len; i++) {
        flip(manifest, i);
        check_refuses(weft_checkpoint_verify(dir, &err), &err, WEFT_EINPUT, "CK4", "manifest.json");
        flip(manifest, i);
    }
    check_ok(weft_checkpoint_verify(dir, &err), &err);
    check_folder_gone(f.name);
    run_tear_down(&r);
}

static void test_two_files_swapped_between_checkpoints(void **state)
{
    struct run r;
    struct folder f = new_folder();
    struct weft_err err = { 0 };
    run_set_up(&r, f.name, 1, "finetuning_type: lora\n");
    check_ok(run_go(&r), &r.err);
    assert_int_equal(rename(check_path(f.name, "checkpoint-12/params.safetensors"),
                            check_path(f.name, "checkpoint-14/params.safetensors")),
                     0);
    check_refuses(weft_checkpoint_verify(check_path(f.name, "checkpoint-14"), &err), &err, WEFT_EINPUT, "CK4",
                  "params.safetensors");
    check_folder_gone(f.name);
    run_tear_down(&r);
}

/* ---- other inputs under a run (E10) ---- */

struct changed {
    const char *yaml, *part;
    void (*change)(struct run *r);
};

static void change_data(struct run *r) { r->train.items[3].ids[2]++; }
static void change_valid(struct run *r) { r->valid.n--; }
static void change_base(struct run *r) { r->job.identity.base = "f00d"; }
static void change_tokenizer(struct run *r) { r->job.identity.tokenizer = "f00d"; }
static void change_template(struct run *r) { r->job.identity.chat_template = "f00d"; }

static void test_changed_inputs_are_named(void **state)
{
    static const struct changed cases[] = {
        { "", "the training data: ", change_data },
        { "", "the validation data: ", change_valid },
        { "", "the base model: \"cafe\" then, \"f00d\" now", change_base },
        { "", "the tokenizer: null then, \"f00d\" now", change_tokenizer },
        { "", "the chat template: ", change_template },
        { "learning_rate: 3e-3\n", "learning_rate: 0.002 then, 0.003 now", NULL },
        { "seed: 7\n", "seed: 42 then, 7 now", NULL },
        { "num_train_epochs: 3\n", "num_train_epochs: 2.0 then, 3.0 now", NULL },
    };
    struct run r;
    struct folder f = new_folder();
    run_set_up(&r, f.name, 2, "");
    struct stop stop = { &r, 6 };
    r.job.valid = &r.valid;
    r.job.identity.base = "cafe";
    r.job.report = stop_at;
    r.job.report_ctx = &stop;
    check_fails(run_go(&r), &r.err, WEFT_ECANCEL, "", NULL);
    run_tear_down(&r);
    for (size_t i = 0; i < WEFT_COUNT(cases); i++) {
        run_set_up(&r, f.name, 2, cases[i].yaml);
        r.job.valid = &r.valid;
        r.job.identity.base = "cafe";
        if (cases[i].change) cases[i].change(&r);
        check_fails(run_go(&r), &r.err, WEFT_EINPUT, "E10", cases[i].part);
        check_contains(r.err.msg, "resume_anyway");
        run_tear_down(&r);
    }
    /* where files lie and how often they are saved may change */
    run_set_up(&r, f.name, 1, "save_steps: 2\nsave_total_limit: 5\ngradient_checkpointing: true\n");
    r.job.valid = &r.valid;
    r.job.identity.base = "cafe";
    check_ok(run_go(&r), &r.err);
    assert_true(r.result.exact);
    check_folder_gone(f.name);
    run_tear_down(&r);
}

static void test_resume_anyway_marks_the_run(void **state)
{
    struct run r;
    struct folder f = new_folder();
    run_set_up(&r, f.name, 2, "");
    check_ok(run_go(&r), &r.err);
    run_tear_down(&r);
    run_set_up(&r, f.name, 2, "num_train_epochs: 3\nresume_anyway: true\n");
    check_ok(run_go(&r), &r.err);
    assert_int_equal(r.result.resumed_from, 14);
    assert_int_equal(r.result.steps, 21);
    assert_false(r.result.exact);
    check_contains(r.messages, "not exact");
    struct weft_str history = run_file(&r, f.name, "history.jsonl");
    assert_int_not_equal(weft_str_find(history, WEFT_STR("\"exact\": \"no\""), 0), SIZE_MAX);
    run_tear_down(&r);
    /* once inexact, always inexact */
    run_set_up(&r, f.name, 2, "num_train_epochs: 3\n");
    check_ok(run_go(&r), &r.err);
    assert_false(r.result.exact);
    check_folder_gone(f.name);
    run_tear_down(&r);
}

static void test_other_parameters_are_refused_whole(void **state)
{
    struct run r;
    struct folder f = new_folder();
    run_set_up(&r, f.name, 2, "finetuning_type: lora\n");
    check_ok(run_go(&r), &r.err);
    run_tear_down(&r);
    run_set_up(&r, f.name, 2, "resume_anyway: true\n");
    float before = r.params.items[5].w[1];
    check_fails(run_go(&r), &r.err, WEFT_EINPUT, "", "trains other parameters");
    assert_true(r.params.items[5].w[1] == before);
    check_folder_gone(f.name);
    run_tear_down(&r);
}

/* E7: what is not finite never reaches the disk. */
static void test_nonfinite_values_are_not_saved(void **state)
{
    struct run r;
    struct folder f = new_folder();
    struct weft_optimizer_state opt;
    struct weft_run_state s = { .step = 3 };
    struct weft_checkpoint_identity id = { .program = "x", .isa = "ref", .settings = WEFT_STR("{}") };
    run_set_up(&r, f.name, 1, "");
    check_ok(weft_optimizer_init(&opt, weft_optimizer_find("adamw", NULL, NULL), &r.recipe, &r.params,
                                 &r.arena, &r.err),
             &r.err);
    ((float *)opt.slot[1][2])[0] = NAN;
    check_refuses(weft_checkpoint_save(&r.job, f.name, &s, &opt, &id, &r.err), &r.err, WEFT_EINPUT, NULL,
                  "NaN or infinity");
    ((float *)opt.slot[1][2])[0] = 0;
    r.params.items[4].w[3] = INFINITY;
    check_refuses(weft_checkpoint_save(&r.job, f.name, &s, &opt, &id, &r.err), &r.err, WEFT_EINPUT, NULL,
                  r.params.items[4].name);
    assert_false(there(&f, "checkpoint-3"));
    r.params.items[4].w[3] = 0;
    check_ok(weft_checkpoint_save(&r.job, f.name, &s, &opt, &id, &r.err), &r.err);
    assert_true(there(&f, "checkpoint-3/manifest.json"));
    check_folder_gone(f.name);
    run_tear_down(&r);
}

/* The caller's files stand in the folder and are guarded like ours. */
static enum weft_status save_note(void *ctx, const char *dir, struct weft_err *err)
{
    char path[256];
    snprintf(path, sizeof path, "%s/note.txt", dir);
    return weft_file_write(path, weft_str_c(ctx), err);
}
static void test_callers_files_are_part_of_the_checkpoint(void **state)
{
    struct run r;
    struct folder f = new_folder();
    struct weft_err err = { 0 };
    run_set_up(&r, f.name, 1, "max_steps: 2\n");
    r.job.save = save_note;
    r.job.save_ctx = (char[]){ "hello" };
    check_ok(run_go(&r), &r.err);
    check_str(run_file(&r, f.name, "checkpoint-2/note.txt"), "hello");
    flip(check_path(f.name, "checkpoint-2/note.txt"), 1);
    check_refuses(weft_checkpoint_verify(check_path(f.name, "checkpoint-2"), &err), &err, WEFT_EINPUT, "CK4",
                  "note.txt");
    check_folder_gone(f.name);
    run_tear_down(&r);
}

/* ---- a full disk (E5) ---- */

static bool write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY);
    bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    if (fd >= 0) close(fd);
    return ok;
}

/* A memory disk of `kib` on `dir`, seen by this process and its children only. */
static bool small_disk(const char *dir, size_t kib)
{
    char options[64], uid_map[64], gid_map[64];
    snprintf(options, sizeof options, "size=%zuk", kib);
    snprintf(uid_map, sizeof uid_map, "0 %u 1", (unsigned)getuid());
    snprintf(gid_map, sizeof gid_map, "0 %u 1", (unsigned)getgid());
    return !unshare(CLONE_NEWUSER | CLONE_NEWNS) && write_text("/proc/self/setgroups", "deny") &&
           write_text("/proc/self/uid_map", uid_map) && write_text("/proc/self/gid_map", gid_map) &&
           !mount("none", dir, "tmpfs", 0, options);
}

struct filler {
    const char *dir;
    int free_after_s;
};

/* After update 5 something else takes all the room there is, and gives it back after a while. */
static void fill_disk(void *ctx, const struct weft_train_report *report)
{
    const struct filler *f = ctx;
    char block[4096] = { 1 }, path[256];
    if (report->step != 5) return;
    snprintf(path, sizeof path, "%s/big", f->dir);
    int fd = open(path, O_CREAT | O_WRONLY, 0666);
    while (write(fd, block, sizeof block) > 0) {}
    close(fd);
    if (fork()) return;
    wait_ms(1000L * f->free_after_s);
    unlink(path);
    _exit(0);
}

static _Noreturn void on_small_disk(const char *dir, size_t kib, int free_after_s)
{
    struct run r;
    if (!small_disk(dir, kib)) _exit(77);
    run_set_up(&r, dir, 1, "finetuning_type: lora\nsave_steps: 2\nsave_total_limit: 0\n");
    r.job.disk_retry_s = 1;
    struct filler filler = { dir, free_after_s };
    if (free_after_s >= 0) r.job.report = fill_disk, r.job.report_ctx = &filler;
    enum weft_status st = run_go(&r);
    if (free_after_s >= 0) _exit(st == WEFT_OK && strstr(r.messages, "is full; next try") ? 0 : 1);
    _exit(st == WEFT_ESYSTEM && strcmp(r.err.rule, "E5") == 0 ? 0 : 1);
}

static void check_small_disk(size_t kib, int free_after_s)
{
    struct folder f = new_folder();
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (!child) on_small_disk(f.name, kib, free_after_s);
    assert_int_equal(waitpid(child, &status, 0), child);
    check_folder_gone(f.name);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77) skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_too_small_disk_is_refused_at_the_start(void **state) { check_small_disk(100, -1); }

static void test_full_disk_is_waited_for(void **state) { check_small_disk(4096, 3); }

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_killed_at_random_moments_adamw),
        cmocka_unit_test(test_killed_at_random_moments_muon),
        cmocka_unit_test(test_killed_at_random_moments_adamw_8bit),
        cmocka_unit_test(test_killed_at_random_moments_adamw_bf16),
        cmocka_unit_test(test_killed_at_random_moments_galore),
        cmocka_unit_test(test_killed_at_random_moments_apollo),
        cmocka_unit_test(test_killed_at_random_moments_badam),
        cmocka_unit_test(test_half_written_folder_is_removed),
        cmocka_unit_test(test_stopped_run_goes_on_to_the_same_bytes),
        cmocka_unit_test(test_finished_run_is_left_as_it_is),
        cmocka_unit_test(test_only_the_newest_are_kept),
        cmocka_unit_test(test_two_processes_do_not_share_a_run),
        cmocka_unit_test(test_damaged_checkpoint_falls_back_to_the_one_before),
        cmocka_unit_test(test_every_byte_of_a_manifest_counts),
        cmocka_unit_test(test_two_files_swapped_between_checkpoints),
        cmocka_unit_test(test_changed_inputs_are_named),
        cmocka_unit_test(test_resume_anyway_marks_the_run),
        cmocka_unit_test(test_other_parameters_are_refused_whole),
        cmocka_unit_test(test_nonfinite_values_are_not_saved),
        cmocka_unit_test(test_callers_files_are_part_of_the_checkpoint),
        cmocka_unit_test(test_too_small_disk_is_refused_at_the_start),
        cmocka_unit_test(test_full_disk_is_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
