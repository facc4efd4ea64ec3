/* weft data augment and weft run of the novelist recipe, killed at random moments: no answered request is asked again,
 * and what is written in the end is, byte by byte, what an undisturbed run writes.  WEFT_KILLS=40 for each, by hand. */
#include "mock/ask_job.h"

enum { KILLS = 6 };

static void write_at(struct job *j, const char *name, const char *text)
{
    check_ok(weft_file_write(job_path(j, name), weft_str_c(text), &err), &err);
}

static void check_same(struct job *x, struct job *y, const char *name)
{
    struct weft_str a, b;
    check_ok(weft_file_read(&x->a, job_path(x, name), 0, &a, &err), &err);
    check_ok(weft_file_read(&y->a, job_path(y, name), 0, &b, &err), &err);
    assert_true(a.len > 0);
    if (!weft_str_eq(a, b)) fail_msg("%s/%s and %s/%s differ", x->dir, name, y->dir, name);
}

/* ---- augment ---- */

static void augment_open(struct job *j, bool persona)
{
    /* Every request gets rows of its own, so that none is dropped as nearly equal. */
    static const char answers[] =
        "{\"match\": \"请仿照口吻另写\", \"answer\": \"[{\\\"instruction\\\":\\\"{hash}是谁？\\\",\\\"output\\\":\\\"答{hash}。\\\"}]\"}\n"
        "{\"match\": \"请写出秤婆会怎样回答\", \"answer\": \"老身不知{hash}\"}\n";
    char path[] = "/tmp/weft-answers-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0 && write(fd, answers, sizeof answers - 1) == (ssize_t)sizeof answers - 1);
    close(fd);
    const char *const mock[] = { "--answers", path, "--delay", "10", NULL };
    job_open(j, mock);
    unlink(path); /* it was read before the port was printed */
    j->calls = job_path(j, "out.jsonl.calls");
    struct weft_buf rows = { 0 };
    for (int i = 1; i <= 40; i++)
        weft_buf_printf(&rows, "{\"instruction\":\"第%d回，茶多少钱一碗？\",\"output\":\"%d文一碗，多了不要。\"}\n", i, i * 3);
    check_ok(weft_file_write(job_path(j, "rows.jsonl"), weft_buf_view(&rows), &err), &err);
    weft_buf_clear(&rows);
    write_at(j, "persona.jsonl",
             "{\"instruction\":\"老人家，茶多少钱？\",\"output\":\"两文一碗，真话不要钱。\"}\n"
             "{\"instruction\":\"秤准不准？\",\"output\":\"一两是一两，少一钱也不成。\"}\n");
    const char *const argv[] = { WEFT_BINARY, "data", "augment", job_path(j, "rows.jsonl"), "--endpoint", j->url, "-m",
                                 "mock", "--concurrency", "4", "-q", "-o", job_path(j, "out.jsonl") },
               *const draws[] = { "--examples", "2", "--draws", "60" },
               *const voice[] = { "--persona", job_path(j, "persona.jsonl"), "--role", "秤婆" };
    for (size_t i = 0; i < WEFT_COUNT(argv); i++) job_add(j, argv[i]);
    for (size_t i = 0; i < WEFT_COUNT(draws); i++) job_add(j, persona ? voice[i] : draws[i]);
}

static void augment_fresh(struct job *j)
{
    remove(j->calls);
    remove(job_path(j, "out.jsonl"));
}

/* Rows name their file, and the two jobs have folders of their own: names of equal length, so only they may differ. */
static void check_same_rows(struct job *x, struct job *y, const char *name)
{
    struct weft_str a, b;
    check_ok(weft_file_read(&x->a, job_path(x, name), 0, &a, &err), &err);
    check_ok(weft_file_read(&y->a, job_path(y, name), 0, &b, &err), &err);
    assert_true(a.len > 1000 && a.len == b.len && strlen(x->dir) == strlen(y->dir));
    for (size_t i = 0; i < a.len;) {
        bool dir = weft_str_starts(weft_str_skip(a, i), weft_str_c(x->dir))
                   && weft_str_starts(weft_str_skip(b, i), weft_str_c(y->dir));
        if (!dir && a.s[i] != b.s[i]) fail_msg("byte %zu of %s differs: %.60s | %.60s", i, name, a.s + i, b.s + i);
        i += dir ? strlen(x->dir) : 1;
    }
}

static void augment(bool persona)
{
    struct job whole, j;
    struct kill_figures f;
    augment_open(&whole, persona);
    assert_int_equal(job_wait(job_start(&whole)), 0);
    augment_open(&j, persona);
    job_kill_often(&j, job_kills(KILLS), 250, augment_fresh, &f);
    check_same_rows(&whole, &j, "out.jsonl");
    job_clear(&whole);
    job_clear(&j);
}

static void test_augment_killed_at_random_moments(void **state) { augment(false); }
static void test_a_personas_voice_killed_at_random_moments(void **state) { augment(true); }

/* ---- run ---- */

static void run_open(struct job *j)
{
    const char *const mock[] = { "--delay", "20", NULL };
    job_open(j, mock);
    j->calls = job_path(j, "run/answers.calls");
    write_at(j, "config.json",
             "{\"model_type\": \"qwen2\", \"architectures\": [\"Qwen2ForCausalLM\"], \"vocab_size\": 8192, "
             "\"hidden_size\": 32, \"intermediate_size\": 64, \"num_hidden_layers\": 2, \"num_attention_heads\": 2, "
             "\"num_key_value_heads\": 1, \"max_position_embeddings\": 512, \"rms_norm_eps\": 1e-6, "
             "\"rope_theta\": 10000.0, \"tie_word_embeddings\": true, \"hidden_act\": \"silu\"}");
    const char *const make[] = { WEFT_BINARY, "model", "random", "--config", job_path(j, "config.json"),
                                 "-o", job_path(j, "model"), "-q" };
    for (size_t i = 0; i < WEFT_COUNT(make); i++) job_add(j, make[i]);
    assert_int_equal(job_wait(job_start(j)), 0);
    memset(j->argv, 0, sizeof j->argv);
    const char *const run[] = { WEFT_BINARY,
                                "run",
                                WEFT_SOURCE_DIR "/examples/novelist/recipe.yaml",
                                weft_str_printf(&j->a, "model_name_or_path=%s", job_path(j, "model")).s,
                                weft_str_printf(&j->a, "output_dir=%s", job_path(j, "run")).s,
                                weft_str_printf(&j->a, "endpoint=%s", j->url).s,
                                "offline=false",
                                "ask_model=mock",
                                "concurrency=4",
                                "chunk_max=60",
                                "lora_rank=4",
                                "cutoff_len=128",
                                "max_steps=4",
                                "save_steps=2",
                                "logging_steps=1",
                                "max_new_tokens=4",
                                "--threads",
                                "1",
                                "-q" };
    for (size_t i = 0; i < WEFT_COUNT(run); i++) job_add(j, run[i]);
}

static void run_fresh(struct job *j) { check_ok(weft_dir_remove(job_path(j, "run"), &err), &err); }

static void test_the_novelist_road_killed_at_random_moments(void **state)
{
    static const char *const outputs[] = { "run/dataset/chunks.jsonl", "run/dataset/train.jsonl",
                                           "run/dataset/valid.jsonl", "run/adapter/adapter_model.safetensors" };
    struct job whole, j;
    struct kill_figures f;
    run_open(&whole);
    assert_int_equal(job_wait(job_start(&whole)), 0);
    run_open(&j);
    job_kill_often(&j, job_kills(KILLS), 700, run_fresh, &f);
    for (size_t i = 0; i < WEFT_COUNT(outputs); i++) check_same(&whole, &j, outputs[i]);
    job_clear(&whole);
    job_clear(&j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_augment_killed_at_random_moments),
        cmocka_unit_test(test_a_personas_voice_killed_at_random_moments),
        cmocka_unit_test(test_the_novelist_road_killed_at_random_moments),
    };
    return cmocka_run_group_tests_name("cli/asking_kills", tests, NULL, NULL);
}
