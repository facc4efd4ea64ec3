/* weft train of an adapter, beside a base as it is and in fewer bits, killed at random moments: in the end the folder
 * holds the bytes of a run left alone.  The optimizers have such a test of their own (tests/train/test_checkpoint.c).
 * WEFT_TEST_KILLS: so many for each method; WEFT_TEST_THREADS: always on so many threads. */
#include "check.h"
#include "base/file.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { KILLS = 3, ROWS = 24 };

static struct weft_arena arena;
static struct weft_err err;

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static const char *path_to(const char *dir, const char *name)
{
    const char *path = weft_path_join(&arena, dir, name);
    assert_non_null(path);
    return path;
}

static pid_t start(const char *const *argv, const char *errors)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child) return child;
    int out = open("/dev/null", O_WRONLY), to = open(errors, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (out < 0 || to < 0 || dup2(out, 1) < 0 || dup2(to, 2) < 0) _exit(126);
    execv(argv[0], (char *const *)argv);
    _exit(127);
}

static int finish(pid_t child)
{
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static struct weft_str content(const char *dir, const char *name)
{
    struct weft_str s;
    check_ok(weft_file_read(&arena, path_to(dir, name), 0, &s, &err), &err);
    return s;
}

/* The log up to what the clock says. */
static struct weft_str log_of(const char *dir)
{
    struct weft_buf out = { 0 };
    struct weft_lines lines = { .text = content(dir, "log.jsonl") };
    struct weft_str line;
    while (weft_lines_next(&lines, &line)) {
        size_t cut = weft_str_find(line, WEFT_STR(", \"elapsed_time\""), 0);
        assert_int_not_equal(cut, SIZE_MAX);
        weft_buf_str(&out, weft_str_sub(line, 0, cut));
        weft_buf_char(&out, '\n');
    }
    struct weft_str s = weft_str_dup(&arena, weft_buf_view(&out));
    weft_buf_clear(&out);
    return s;
}

static void check_same_folder(const char *got, const char *want)
{
    static const char *const files[] = { "adapter/adapter_model.safetensors", "checkpoint-48/params.safetensors",
                                         "checkpoint-48/optimizer.safetensors", "row_loss.jsonl" };
    for (size_t i = 0; i < WEFT_COUNT(files); i++) {
        struct weft_str a = content(got, files[i]), b = content(want, files[i]);
        assert_true(a.len > 0);
        if (!weft_str_eq(a, b)) fail_msg("%s differs", files[i]);
    }
    struct weft_str a = log_of(got), b = log_of(want);
    if (!weft_str_eq(a, b)) fail_msg("the logs differ:\n%.*s\n%.*s", (int)a.len, a.s, (int)b.len, b.s);
}

static void write_inputs(const char *dir)
{
    static const char config[] =
        "{\"model_type\": \"qwen2\", \"vocab_size\": 8192, \"hidden_size\": 64, \"intermediate_size\": 128, "
        "\"num_hidden_layers\": 2, \"num_attention_heads\": 2, \"num_key_value_heads\": 1, "
        "\"max_position_embeddings\": 512, \"tie_word_embeddings\": true, \"hidden_act\": \"silu\"}\n";
    struct weft_buf rows = { 0 };
    for (int i = 0; i < ROWS; i++)
        weft_buf_printf(&rows, "{\"instruction\": \"第%d问：此物价几何？\", \"output\": \"%d文钱，不二价。\"}\n", i, 3 * i);
    check_ok(weft_file_write(path_to(dir, "config.json"), weft_str_c(config), &err), &err);
    check_ok(weft_file_write(path_to(dir, "rows.jsonl"), weft_buf_view(&rows), &err), &err);
    weft_buf_clear(&rows);
    const char *const argv[] = { WEFT_BINARY, "model", "random", "--config", path_to(dir, "config.json"), "-o",
                                 path_to(dir, "model"), "-q", NULL };
    assert_int_equal(finish(start(argv, path_to(dir, "errors"))), 0);
}

static const char *setting(const char *key, const char *dir, const char *name)
{
    struct weft_str s = weft_str_printf(&arena, "%s=%s", key, path_to(dir, name));
    assert_non_null(s.s);
    return s.s;
}

/* `words`: settings of the method, NULL at the end. */
static pid_t train(const char *dir, const char *run, int threads, const char *const *words)
{
    const char *argv[40] = { WEFT_BINARY, "train", "stage=sft", "cutoff_len=64", "per_device_train_batch_size=2",
                             "num_train_epochs=4", "logging_steps=2", "save_steps=8", "eval_steps=7", "lora_rank=4",
                             "learning_rate=3e-3", "-q", "--threads" };
    size_t n = 13;
    argv[n++] = weft_str_printf(&arena, "%d", threads).s;
    argv[n++] = setting("model_name_or_path", dir, "model");
    argv[n++] = setting("dataset", dir, "rows.jsonl");
    argv[n++] = setting("eval_dataset", dir, "rows.jsonl");
    argv[n++] = setting("output_dir", dir, run);
    while (*words) argv[n++] = *words++;
    return start(argv, path_to(dir, "errors"));
}

static void check_kills(uint64_t seed, const char *const *words)
{
    const char *dir = check_folder(), *asked = getenv("WEFT_TEST_KILLS"), *on = getenv("WEFT_TEST_THREADS");
    int left = asked ? atoi(asked) : KILLS, killed = 0, compared = 0;
    setenv("WEFT_HOME", path_to(dir, "home"), 1);
    write_inputs(dir);
    uint64_t began = now_ms();
    if (finish(train(dir, "alone", 2, words)) != 0) fail_msg("%s", content(dir, "errors").s);
    uint64_t whole = now_ms() - began;
    while (left > 0) {
        for (bool finished = false; !finished;) {
            pid_t child = train(dir, "killed", on ? atoi(on) : 1 + (int)(check_random(&seed) % 2), words);
            if (left > 0) {
                uint64_t ms = check_random(&seed) % (whole + 20);
                nanosleep(&(struct timespec){ (time_t)(ms / 1000), (long)(ms % 1000) * 1000000 }, NULL);
                kill(child, SIGKILL);
            }
            int status = finish(child);
            finished = WIFEXITED(status);
            if (finished && WEXITSTATUS(status) != 0) fail_msg("%s", content(dir, "errors").s);
            if (!finished) left--, killed++;
        }
        check_same_folder(path_to(dir, "killed"), path_to(dir, "alone"));
        check_ok(weft_dir_remove(path_to(dir, "killed"), &err), &err);
        compared++;
    }
    if (asked) print_message("%d kills, %d finished runs of the same bytes\n", killed, compared);
    check_folder_gone(dir);
    weft_arena_clear(&arena);
}

static void test_killed_lora(void **state) { check_kills(1, (const char *const[]){ "lora_dropout=0.1", NULL }); }
static void test_killed_dora_with_a_table(void **state)
{
    check_kills(2, (const char *const[]){ "use_dora=true", "additional_target=lm_head", NULL });
}
static void test_killed_qlora_nf4(void **state) { check_kills(3, (const char *const[]){ "quantization_bit=4", NULL }); }
static void test_killed_qlora_int8(void **state) { check_kills(4, (const char *const[]){ "quantization_bit=8", NULL }); }

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_killed_lora),
        cmocka_unit_test(test_killed_dora_with_a_table),
        cmocka_unit_test(test_killed_qlora_nf4),
        cmocka_unit_test(test_killed_qlora_int8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
