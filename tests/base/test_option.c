#include "base/option.h"
#include "check.h"

enum schedule { LINEAR, COSINE, CONSTANT };

struct settings {
    bool bf16, packing;
    int64_t rank, seed;
    double lr, warmup;
    const char *output, *name;
    int schedule, method;
    struct weft_str_list target, tags;
};

static const struct weft_option rows[] = {
    { .key = "output_dir",
      .alias = "output",
      .type = WEFT_OPT_STRING,
      .offset = offsetof(struct settings, output),
      .def = "runs/x",
      .group = "Output",
      .help = "folder of the run",
      .help_zh = "运行结果所在的文件夹",
      .short_flag = 'o' },
    { .key = "lora_rank",
      .type = WEFT_OPT_INT,
      .offset = offsetof(struct settings, rank),
      .def = "8",
      .min = 1,
      .max = 1024,
      .warn_min = 4,
      .warn_max = 256,
      .group = "LoRA",
      .help = "rank of the adapters",
      .help_zh = "适配器的秩" },
    { .key = "lora_target",
      .type = WEFT_OPT_LIST,
      .offset = offsetof(struct settings, target),
      .def = "all",
      .group = "LoRA",
      .help = "layers" },
    { .key = "learning_rate",
      .type = WEFT_OPT_FLOAT,
      .offset = offsetof(struct settings, lr),
      .def = "1e-4",
      .min = 1e-12,
      .max = 10,
      .group = "Training",
      .help = "step size" },
    { .key = "warmup_ratio",
      .type = WEFT_OPT_FLOAT,
      .offset = offsetof(struct settings, warmup),
      .group = "Training",
      .help = "part of the steps" },
    { .key = "lr_scheduler_type",
      .type = WEFT_OPT_CHOICE,
      .offset = offsetof(struct settings, schedule),
      .def = "cosine",
      .choices = "linear|cosine|constant",
      .group = "Training",
      .help = "shape" },
    { .key = "method",
      .type = WEFT_OPT_CHOICE,
      .offset = offsetof(struct settings, method),
      .choices = "a|b",
      .group = "Training",
      .help = "no default" },
    { .key = "bf16",
      .type = WEFT_OPT_BOOL,
      .offset = offsetof(struct settings, bf16),
      .def = "true",
      .group = "Training",
      .help = "bfloat16" },
    { .key = "packing",
      .type = WEFT_OPT_BOOL,
      .offset = offsetof(struct settings, packing),
      .group = "Data",
      .help = "pack",
      .short_flag = 'p' },
    { .key = "seed",
      .type = WEFT_OPT_INT,
      .offset = offsetof(struct settings, seed),
      .def = "42",
      .group = "Training",
      .help = "of everything random" },
    { .key = "name",
      .type = WEFT_OPT_STRING,
      .offset = offsetof(struct settings, name),
      .group = "Output",
      .help = "of the run" },
    { .key = "tags",
      .type = WEFT_OPT_LIST,
      .offset = offsetof(struct settings, tags),
      .group = "Output",
      .help = "any" },
};
static const struct weft_option_table table = { rows, WEFT_COUNT(rows) };

static struct weft_err err;
static struct weft_arena arena;
static struct weft_buf warn;
static struct settings s;
static struct weft_str_list rest;

static int setup(void **state)
{
    weft_err_clear(&err);
    memset(&s, 0xAA, sizeof s);
    check_ok(weft_options_defaults(table, &s, &arena, &err), &err);
    return 0;
}

static int teardown(void **state)
{
    weft_arena_clear(&arena);
    weft_buf_clear(&warn);
    return 0;
}

static enum weft_status yaml(const char *text)
{
    return weft_options_yaml(table, &s, &arena, "recipe.yaml", weft_str_c(text), &warn, &err);
}

static enum weft_status argv_of(const char *a, const char *b, const char *c, const char *d)
{
    const char *words[] = { "weft", a, b, c, d };
    int n = 1 + !!a + !!b + !!c + !!d;
    return weft_options_argv(table, &s, &arena, n, (char **)(uintptr_t)words, &rest, &warn, &err);
}

/* A choice may have a value for its flag alone; a word behind it is its value only if it is one of the choices. */
static void test_a_choice_may_stand_alone(void **state)
{
    int fit = -1;
    static const struct weft_option row = { .key = "fit", .type = WEFT_OPT_CHOICE, .choices = "false|true|precise",
                                            .bare = "true" };
    const struct weft_option_table one = { &row, 1 };
    static const char *const lines[][4] = { { "weft", "--fit", "file", NULL }, { "weft", "--fit", "precise", "file" },
                                            { "weft", "--fit=false", "file", NULL }, { "weft", "file", "--fit", NULL },
                                            { "weft", "--fit", "prec", NULL } };
    static const int values[] = { 1, 2, 0, 1, 1 };
    for (size_t i = 0; i < WEFT_COUNT(lines); i++) {
        int n = 0;
        while (n < 4 && lines[i][n]) n++;
        check_ok(weft_options_argv(one, &fit, &arena, n, (char **)(uintptr_t)lines[i], &rest, NULL, &err), &err);
        assert_int_equal(fit, values[i]);
        assert_int_equal(rest.n, 1);
    }
}

static void test_defaults(void **state)
{
    assert_string_equal(s.output, "runs/x");
    assert_null(s.name);
    assert_int_equal(s.rank, 8);
    assert_true(s.lr == 1e-4);
    assert_true(s.warmup == 0);
    assert_int_equal(s.schedule, COSINE);
    assert_int_equal(s.method, -1);
    assert_true(s.bf16);
    assert_false(s.packing);
    assert_int_equal(s.target.n, 1);
    assert_string_equal(s.target.items[0], "all");
    assert_int_equal(s.tags.n, 0);
}

static void test_yaml_sets_every_type(void **state)
{
    check_ok(yaml("### model\n"
                  "output: 运行/甄嬛\n"
                  "lora_rank: 64   # more\n"
                  "lora_target: [q_proj, \"v,proj\", 'k']\n"
                  "learning_rate: 5.0e-6\n"
                  "warmup_ratio: .1\n"
                  "lr_scheduler_type: linear\n"
                  "bf16: no\n"
                  "packing: True\n"
                  "seed: -7\n"
                  "tags:\n- a\n- 12\n- true\n"
                  "name: |-\n  two\n  lines\n"),
             &err);
    assert_string_equal(s.output, "运行/甄嬛");
    assert_int_equal(s.rank, 64);
    assert_int_equal(s.target.n, 3);
    assert_string_equal(s.target.items[1], "v,proj");
    assert_true(s.lr == 5e-6);
    assert_true(s.warmup == 0.1);
    assert_int_equal(s.schedule, LINEAR);
    assert_false(s.bf16);
    assert_true(s.packing);
    assert_int_equal(s.seed, -7);
    assert_int_equal(s.tags.n, 3);
    assert_string_equal(s.tags.items[1], "12");
    assert_string_equal(s.name, "two\nlines");
    assert_null(warn.s);
}

static void test_yaml_nulls_leave_the_default(void **state)
{
    check_ok(yaml(""), &err);
    check_ok(yaml("# only a comment\n"), &err);
    check_ok(yaml("---\n...\n"), &err);
    check_ok(yaml("lora_rank:\noutput_dir: ~\nlora_target: null\nbf16: NULL\nlearning_rate: \n"), &err);
    assert_int_equal(s.rank, 8);
    assert_string_equal(s.output, "runs/x");
    assert_int_equal(s.target.n, 1);
    assert_true(s.bf16);
    check_ok(yaml("name: \"null\"\nlora_target: []\noutput_dir: ''\n"), &err);
    assert_string_equal(s.name, "null");
    assert_int_equal(s.target.n, 0);
    assert_string_equal(s.output, "");
    check_ok(yaml("{lora_rank: 9, bf16: off}"), &err);
    assert_int_equal(s.rank, 9);
}

static void test_yaml_errors_name_the_place(void **state)
{
    static const struct {
        const char *text, *message;
    } bad[] = {
        { "lora_rank: 8\nlora_ran: 9\n",
          "recipe.yaml:2:1: there is no setting \"lora_ran\"; did you mean \"lora_rank\"?" },
        { "quantization_bit: 4\n", "recipe.yaml:1:1: there is no setting \"quantization_bit\"; `weft help`" },
        { "lora_rank: 8\nbf16: true\nlora_rank: 9\n", "recipe.yaml:3:1: not valid YAML: duplicate key" },
        { "output: a\nbf16: true\noutput_dir: b\n",
          "recipe.yaml:3:1: the setting \"output_dir\" comes twice" },
        { "lora_rank: 0\n", "recipe.yaml:1:12: lora_rank is 0; expected 1 to 1024" },
        { "lora_rank: 1025\n", "lora_rank is 1025; expected 1 to 1024" },
        { "lora_rank: 8.5\n", "recipe.yaml:1:12: lora_rank is \"8.5\"; expected an integer" },
        { "lora_rank: 1e1\n", "lora_rank is \"1e1\"; expected an integer" },
        { "lora_rank: 0x10\n", "lora_rank is \"0x10\"; expected an integer" },
        { "lora_rank: \"\"\n", "lora_rank is \"\"; expected an integer" },
        { "seed: 99999999999999999999\n",
          "seed is \"99999999999999999999\"; expected an integer of at most 64 bits" },
        { "learning_rate: fast\n", "learning_rate is \"fast\"; expected a number such as" },
        { "learning_rate: .nan\n", "learning_rate is \".nan\"; expected a number" },
        { "learning_rate: .inf\n", "expected a number" },
        { "learning_rate: 1e999\n", "expected a number" },
        { "learning_rate: 1,5\n", "expected a number" },
        { "learning_rate: 11\n", "learning_rate is 11; expected 1e-12 to 10" },
        { "bf16: maybe\n", "recipe.yaml:1:7: bf16 is \"maybe\"; expected true or false" },
        { "bf16: 2\n", "bf16 is \"2\"; expected true or false" },
        { "lr_scheduler_type: cos\n",
          "lr_scheduler_type is \"cos\"; expected one of: linear, cosine, constant" },
        { "lr_scheduler_type: \"\"\n", "expected one of: linear, cosine, constant" },
        { "lora_rank: [8]\n", "recipe.yaml:1:1: found a list or mapping; expected a single value" },
        { "lora_rank: {a: 8}\n", "found a list or mapping" },
        { "lora_target:\n- a\n- [b]\n", "recipe.yaml:2:3: found a list or mapping" },
        { "lora_target:\n- a\n- ~\n", "found nothing; expected a single value" },
        { "lora_target: {a: 8}\n", "found a list or mapping" },
        { "name: &x a\noutput: *x\n", "recipe.yaml:2:10: found an alias" },
        { "[1, 2]: 3\n", "found a key that is no plain name" },
        { "- lora_rank\n", "recipe.yaml:1:1: found no mapping; expected settings as lines" },
        { "lora_rank\n", "found no mapping" },
        { "lora_rank: 8\n---\nlora_rank: 9\n", "recipe.yaml: found a second document" },
        { "lora_rank: 8\n bf16: true\n", "recipe.yaml:1:12: not valid YAML" },
        { "lora_rank: 8\n\tbf16: true\n", "not valid YAML" },
        { "lora_target: [a, b\n", "not valid YAML: flow sequence without a closing bracket" },
        { "name: \"abc\n", "not valid YAML: double-quoted scalar without closing quote" },
        { "name: \"\\q\"\n", "not valid YAML" },
        { "name: \"a\\0b\"\n", "name is \"a\\x00b\"; expected text without NUL" },
        { "tags: [\"a\\0b\"]\n", "found a NUL character" },
    };
    for (size_t i = 0; i < WEFT_COUNT(bad); i++) {
        check_refuses(yaml(bad[i].text), &err, WEFT_EINPUT, "", bad[i].message);
        setup(NULL);
    }
    check_refuses(yaml("name: \xFF\n"), &err, WEFT_EINPUT, "TX1", "byte 6 is 0xff, which is not UTF-8");
    check_refuses(
        weft_options_yaml(table, &s, &arena, "r", (struct weft_str){ "name: a\0b", 9 }, &warn, &err), &err,
        WEFT_EINPUT, "", "found a NUL byte");
    char *huge = calloc(1, 2 << 20);
    memset(huge, '#', (2 << 20) - 1);
    check_refuses(yaml(huge), &err, WEFT_ELIMIT, "", "is longer than 1048576 bytes");
    free(huge);
}

static void test_deep_yaml_is_refused(void **state)
{
    struct weft_buf b = { 0 };
    weft_buf_cstr(&b, "name: ");
    for (int i = 0; i < 20000; i++) weft_buf_char(&b, '[');
    check_refuses(yaml(b.s), &err, WEFT_EINPUT, "", "not valid YAML");
    weft_buf_clear(&b);
}

static void test_unusual_values_are_warned_about(void **state)
{
    check_ok(yaml("lora_rank: 512\n"), &err);
    assert_int_equal(s.rank, 512);
    assert_string_equal(warn.s, "recipe.yaml:1:12: lora_rank is 512; usual is 4 to 256\n");
    check_ok(weft_options_set(table, &s, &arena, "--lora_rank", "lora_rank", "2", &warn, &err), &err);
    check_contains(warn.s, "\n--lora_rank is 2; usual is 4 to 256\n");
    check_ok(weft_options_set(table, &s, &arena, "x", "lora_rank", "2", NULL, &err), &err);
    err.lang = WEFT_LANG_ZH;
    check_ok(weft_options_set(table, &s, &arena, "--lora_rank", "lora_rank", "2", &warn, &err), &err);
    check_contains(warn.s, "--lora_rank 为 2；通常在 4 至 256 之间\n");
    err.lang = WEFT_LANG_EN;
}

static void test_set_refuses_unknown_keys(void **state)
{
    check_refuses(weft_options_set(table, &s, &arena, "PATCH", "lora_rnak", "2", NULL, &err), &err, WEFT_EARG,
                  "", "PATCH: there is no setting \"lora_rnak\"; did you mean \"lora_rank\"?");
    check_refuses(weft_options_set(table, &s, &arena, "x", "", "2", NULL, &err), &err, WEFT_EARG, "",
                  "there is no setting \"\"");
    check_refuses(weft_options_set(table, &s, &arena, "x", "lora_rank\x1b[", "2", NULL, &err), &err,
                  WEFT_EARG, "", "\\x1b[");
    check_ok(weft_options_set(table, &s, &arena, "x", "output", "elsewhere", NULL, &err), &err);
    assert_string_equal(s.output, "elsewhere");
}

static void test_flags(void **state)
{
    check_ok(argv_of("--lora_rank", "16", "--learning-rate=2e-5", "--packing"), &err);
    assert_int_equal(s.rank, 16);
    assert_true(s.lr == 2e-5);
    assert_true(s.packing);
    check_ok(argv_of("--no-packing", "--no_bf16", "-o", "dir"), &err);
    assert_false(s.packing);
    assert_false(s.bf16);
    assert_string_equal(s.output, "dir");
    check_ok(argv_of("-odir2", "-p", "--bf16", "true"), &err);
    assert_string_equal(s.output, "dir2");
    assert_true(s.packing && s.bf16);
    check_ok(argv_of("-o=dir3", "--bf16=no", "--packing", "false"), &err);
    assert_string_equal(s.output, "dir3");
    assert_true(!s.packing && !s.bf16);
    check_ok(argv_of("--seed", "-3", "--output", "--x"), &err); /* a value may begin with a dash */
    assert_int_equal(s.seed, -3);
    assert_string_equal(s.output, "--x");
    assert_int_equal(rest.n, 0);
}

static void test_lists_on_the_command_line(void **state)
{
    check_ok(argv_of("--lora_target", "q, v,", "--lora_target=k", NULL), &err);
    assert_int_equal(s.target.n, 3);
    assert_string_equal(s.target.items[0], "q");
    assert_string_equal(s.target.items[1], "v");
    assert_string_equal(s.target.items[2], "k");
    check_ok(argv_of("--lora_target", "", NULL, NULL), &err);
    assert_int_equal(s.target.n, 0);
}

static void test_positional_arguments_keep_their_order(void **state)
{
    check_ok(argv_of("recipe.yaml", "lora_rank=32", "-", "a=b"), &err);
    assert_int_equal(s.rank, 32);
    assert_int_equal(rest.n, 3);
    assert_string_equal(rest.items[0], "recipe.yaml");
    assert_string_equal(rest.items[1], "-");
    assert_string_equal(rest.items[2], "a=b");
    check_ok(argv_of("--", "--lora_rank", "lora_rank=1", "-x"), &err);
    assert_int_equal(rest.n, 3);
    assert_string_equal(rest.items[1], "lora_rank=1");
    assert_int_equal(s.rank, 32);
    check_ok(argv_of("name=", "tags=a,b", "output=x=y", NULL), &err);
    assert_string_equal(s.name, "");
    assert_int_equal(s.tags.n, 2);
    assert_string_equal(s.output, "x=y");
}

static void test_command_line_errors(void **state)
{
    check_refuses(argv_of("--lora-rnk", "3", NULL, NULL), &err, WEFT_EARG, "",
                  "--lora-rnk: there is no setting \"lora-rnk\"; did you mean \"lora_rank\"?");
    check_refuses(argv_of("--no-lora_rank", NULL, NULL, NULL), &err, WEFT_EARG, "",
                  "there is no setting \"no-lora_rank\"");
    check_refuses(argv_of("--lora_rank", NULL, NULL, NULL), &err, WEFT_EARG, "", "--lora_rank needs a value");
    check_refuses(argv_of("-o", NULL, NULL, NULL), &err, WEFT_EARG, "", "-o needs a value");
    check_refuses(argv_of("-x", NULL, NULL, NULL), &err, WEFT_EARG, "", "there is no option \"-x\"");
    check_refuses(argv_of("-pq", NULL, NULL, NULL), &err, WEFT_EARG, "", "there is no option \"-pq\"");
    check_refuses(argv_of("--lora_rank=0", NULL, NULL, NULL), &err, WEFT_EARG, "",
                  "--lora_rank is 0; expected 1 to 1024");
    check_refuses(argv_of("lora_rank=x", NULL, NULL, NULL), &err, WEFT_EARG, "",
                  "lora_rank is \"x\"; expected an integer");
    check_refuses(argv_of("lora_rnk=3", NULL, NULL, NULL), &err, WEFT_EARG, "",
                  "did you mean \"lora_rank\"?");
    check_refuses(argv_of("--bf16=maybe", NULL, NULL, NULL), &err, WEFT_EARG, "", "--bf16 is \"maybe\"");
}

/* dump, then read it into fresh settings, must give the same dump. */
static void check_round_trip(void)
{
    struct weft_buf once = { 0 }, twice = { 0 };
    weft_options_dump(table, &s, &once);
    check_ok(weft_buf_check(&once, "dump", &err), &err);
    setup(NULL);
    check_ok(yaml(once.s), &err);
    weft_options_dump(table, &s, &twice);
    assert_string_equal(twice.s, once.s);
    weft_buf_clear(&once);
    weft_buf_clear(&twice);
}

static void test_dump_is_grouped_and_complete(void **state)
{
    struct weft_buf b = { 0 };
    weft_options_dump(table, &s, &b);
    assert_string_equal(b.s,
                        "# Output\noutput_dir: runs/x\nname: null\ntags: []\n\n"
                        "# LoRA\nlora_rank: 8\nlora_target: [all]\n\n"
                        "# Training\nlearning_rate: 0.0001\nwarmup_ratio: 0.0\nlr_scheduler_type: cosine\n"
                        "method: null\nbf16: true\nseed: 42\n\n"
                        "# Data\npacking: false\n");
    weft_buf_clear(&b);
    check_round_trip();
}

#define LONG_TEXT                                                                                               \
    "very long text very long text very long text very long text very long text very long text very long text " \
    "very long text very long text very long text very long text very long text very long text very long text"

static void test_dump_reads_back_equal(void **state)
{
    static const char *const texts[] = {
        "",
        " ",
        "null",
        "~",
        "Yes",
        "no",
        "on",
        "12",
        "1e3",
        "1.5",
        "- a",
        "a: b",
        "#c",
        "a #c",
        "'",
        "\"",
        "\\",
        "a\nb",
        "a\tb",
        "\x01\x1f",
        "\x7f",
        "\xC2\x85",
        "\xE2\x80\xA8",
        "\xEF\xBB\xBF",
        "中文，句子。",
        "😀",
        "{a}",
        "[a",
        "*x",
        "&x",
        "!x",
        "%x",
        "@x",
        "`x",
        "|",
        ">",
        "?",
        ": ",
        ",",
        "a,b",
        "---",
        "...",
        "=",
        "<<",
        "0x10",
        "0o7",
        "2024-01-01",
        "é",
        LONG_TEXT,
    };
    for (size_t i = 0; i < WEFT_COUNT(texts); i++) {
        const char *items[] = { texts[i], "x", texts[i] };
        s.name = texts[i];
        s.output = texts[i];
        s.tags = (struct weft_str_list){ items, 3 };
        s.lr = 1e-10 * (double)(i + 1);
        check_round_trip();
        assert_string_equal(s.name, texts[i]);
        assert_int_equal(s.tags.n, 3);
        assert_string_equal(s.tags.items[2], texts[i]);
        assert_true(s.lr == 1e-10 * (double)(i + 1));
    }
    struct weft_buf b = { 0 };
    s.lr = 5e-6;
    weft_options_dump(table, &s, &b);
    check_contains(b.s, "\nlearning_rate: 5.0e-06\n"); /* a float for YAML 1.1 readers too */
    weft_buf_clear(&b);
}

static void test_help(void **state)
{
    struct weft_buf b = { 0 };
    weft_options_help(table, WEFT_LANG_EN, &b);
    check_contains(b.s, "LoRA:\n  --lora_rank N               rank of the adapters (1 to 1024, default 8)\n");
    check_contains(b.s, "Output:\n  -o, --output_dir TEXT       folder of the run (default runs/x)\n");
    check_contains(b.s, "shape: linear, cosine, constant (default cosine)\n");
    check_contains(b.s, "\n  -p, --packing               pack\n");
    weft_buf_reset(&b);
    weft_options_help(table, WEFT_LANG_ZH, &b);
    check_contains(b.s, "运行结果所在的文件夹（默认 runs/x）\n");
    check_contains(b.s, "适配器的秩（1 至 1024，默认 8）\n");
    weft_buf_clear(&b);
}

static void test_a_manual_page_escapes_what_roff_would_read(void **state)
{
    struct weft_buf b = { 0 };
    weft_options_man(table, WEFT_LANG_EN, &b);
    check_contains(b.s, ".SS \"LoRA\"\n.TP\n\\fB\\-\\-lora_rank\\fR\\fI N\\fR\nrank of the adapters (1 to 1024, default 8)\n");
    check_contains(b.s, ".TP\n\\fB\\-o\\fR, \\fB\\-\\-output_dir\\fR");
    weft_buf_reset(&b);
    weft_man_text(&b, WEFT_STR(".a-b\\c\n'd\n.e"));
    check_contains(b.s, "\\&.a\\-b\\ec\n\\&'d\n\\&.e");
    weft_buf_clear(&b);
}

static void test_help_wraps_by_columns(void **state)
{
    struct weft_option row = { .key = "x", .type = WEFT_OPT_BOOL, .help_zh = "" };
    struct weft_buf text = { 0 }, b = { 0 };
    for (int i = 0; i < 60; i++) weft_buf_cstr(&text, i % 7 == 6 ? "，" : "字");
    for (int i = 0; i < 30; i++) weft_buf_cstr(&text, " word");
    row.help = row.help_zh = text.s;
    weft_options_help((struct weft_option_table){ &row, 1 }, WEFT_LANG_ZH, &b);
    size_t lines = 0;
    for (const char *p = b.s; *p;) {
        size_t n = strcspn(p, "\n");
        struct weft_str line = { p, n };
        assert_true(weft_utf8_width(line) <= 102); /* closing punctuation may hang over */
        assert_false(weft_str_starts(weft_str_trim_ascii(line), WEFT_STR("，")));
        lines++;
        p += n + 1;
    }
    assert_true(lines >= 4);
    weft_buf_clear(&text);
    weft_buf_clear(&b);
}

static void test_nearest(void **state)
{
    static const char *const names[] = { "train", "chat", NULL, "inspect", "export" };
    assert_string_equal(weft_nearest("trian", names, 5), "train"); /* two neighbours swapped: one step */
    assert_string_equal(weft_nearest("cht", names, 5), "chat");
    assert_string_equal(weft_nearest("inspekt", names, 5), "inspect");
    assert_null(weft_nearest("serve", names, 5));
    assert_null(weft_nearest("x", names, 5));
    assert_null(weft_nearest("", names, 5));
    assert_null(weft_nearest("train", names, 0));
    assert_null(weft_nearest(
        "a word that is far longer than the matrix of the distance has room for, so never near", names, 5));
}

static void test_settings_survive_every_failed_allocation(void **state)
{
    const char *words[] = { "weft", "--lora_target", "a,b,c", "-o", "x", "file" };
    int failed = 0;
    for (size_t max = 1;; max += 64) {
        struct weft_arena small;
        weft_arena_init(&small, 64, max);
        enum weft_status st = weft_options_defaults(table, &s, &small, &err);
        if (!st)
            st = weft_options_yaml(table, &s, &small, "r", WEFT_STR("tags: [a, b]\nname: x\n"), NULL, &err);
        if (!st) st = weft_options_argv(table, &s, &small, 6, (char **)(uintptr_t)words, &rest, NULL, &err);
        weft_arena_clear(&small);
        if (!st) break;
        check_fails(st, &err, WEFT_ENOMEM, "", "cannot allocate");
        weft_err_clear(&err);
        failed++;
    }
    assert_true(failed > 5);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_choice_may_stand_alone),
        TEST(test_defaults),
        TEST(test_yaml_sets_every_type),
        TEST(test_yaml_nulls_leave_the_default),
        TEST(test_yaml_errors_name_the_place),
        TEST(test_deep_yaml_is_refused),
        TEST(test_unusual_values_are_warned_about),
        TEST(test_set_refuses_unknown_keys),
        TEST(test_flags),
        TEST(test_lists_on_the_command_line),
        TEST(test_positional_arguments_keep_their_order),
        TEST(test_command_line_errors),
        TEST(test_dump_is_grouped_and_complete),
        TEST(test_dump_reads_back_equal),
        TEST(test_help),
        TEST(test_help_wraps_by_columns),
        TEST(test_a_manual_page_escapes_what_roff_would_read),
        TEST(test_nearest),
        TEST(test_settings_survive_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
