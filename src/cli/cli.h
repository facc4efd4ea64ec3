/* cli/cli.h - what the verbs share
 *
 * A verb is one file with one const entry, and one line in cli/main.c.  A verb parses its options from a table, calls
 * stages, and prints.  Only cli/ prints, reads the environment and exits.
 */
#ifndef WEFT_CLI_CLI_H
#define WEFT_CLI_CLI_H

#include "base/lang.h"
#include "base/option.h"
#include "base/pool.h"
#include "base/progress.h"
#include "kernels/kernels.h"

/* Settings every verb takes; the first member of a verb's own settings struct, so that one option table holds both
 * (WEFT_CLI_COMMON_ROWS(struct my_settings, common)). */
struct weft_cli_common {
    int64_t threads;            /* 0: all; WEFT_THREADS */
    bool json, quiet, help;
    const char *lang;           /* "en", "zh"; LANG */
    const char *isa;            /* "auto"; WEFT_ISA */
};
#define WEFT_CLI_COMMON_ROWS(T, field)                                                                                 \
    { .key = "threads", .type = WEFT_OPT_INT, .offset = offsetof(T, field.threads), .def = "0", .max = 1024,           \
      .group = "General", .help = "threads; 0: one per processor", .help_zh = "线程数；0 表示每个处理器一个" },          \
    { .key = "json", .type = WEFT_OPT_BOOL, .offset = offsetof(T, field.json), .group = "General",                     \
      .help = "machine-readable output on stdout", .help_zh = "在标准输出上打印机器可读的 JSON" },                       \
    { .key = "quiet", .type = WEFT_OPT_BOOL, .offset = offsetof(T, field.quiet), .group = "General",                   \
      .help = "no progress, no hints", .help_zh = "不显示进度和提示", .short_flag = 'q' },                               \
    { .key = "lang", .type = WEFT_OPT_STRING, .offset = offsetof(T, field.lang), .group = "General",                   \
      .help = "language of messages: en or zh", .help_zh = "消息语言：en 或 zh" },                                       \
    { .key = "isa", .type = WEFT_OPT_STRING, .offset = offsetof(T, field.isa), .def = "auto", .group = "General",      \
      .help = "instruction level: auto, ref, avx2, avx512, avx512bf16", .help_zh = "指令集级别：auto、ref、avx2、avx512、avx512bf16" }, \
    { .key = "help", .type = WEFT_OPT_BOOL, .offset = offsetof(T, field.help), .group = "General",                     \
      .help = "show this help", .help_zh = "显示帮助", .short_flag = 'h' }

struct weft_cluster;
struct weft_cluster_plugin;

/* One run of a verb. */
struct weft_cli {
    const char *program;        /* as it was called: hints can be copied */
    int argc;                   /* argv[0] is the verb */
    char **argv;
    enum weft_lang lang;        /* from --lang, WEFT_LANG, LC_ALL, LC_MESSAGES, LANG */
    struct weft_arena arena;    /* lives as long as the process */
    struct weft_err err;
    bool json, quiet;
    const char *isa;
    struct weft_pool *pool;     /* made by weft_cli_compute */
    struct weft_compute compute;
    struct weft_cluster *cluster;       /* the ranks this process is one of; NULL: it is alone (cli/cluster.h) */
    const struct weft_cluster_plugin *plugin;
    int own_stderr;                     /* of a rank that has fallen silent */
    struct weft_progress progress;      /* draws on stderr: one line on a terminal, plain lines elsewhere */
    struct {                            /* what the progress line shows now; cli/progress.c */
        const char *stage;
        uint64_t first_done, started_ms, drawn_ms;
        bool on_line;                   /* an unfinished line stands on the terminal */
    } line;
};

/* A variable of the environment that a verb reads, for its help. */
struct weft_variable {
    const char *name, *help, *help_zh;
};

struct weft_verb {
    const char *name, *usage;           /* "train", "RECIPE.yaml [KEY=VALUE...]" */
    const char *help, *help_zh;         /* one line */
    const struct weft_option_table *options;    /* NULL: none beside the common ones */
    const struct weft_variable *environment;    /* ended by a NULL name; NULL: none beside the common ones */
    const struct weft_verb *const *verbs;       /* sub-verbs ("data script"), ending in NULL; then run is NULL */
    /* Exit status of docs/cli.md.  Errors are in cli->err and printed by the caller. */
    enum weft_status (*run)(struct weft_cli *cli);
};

/* Defaults, then argv into `settings`, whose weft_cli_common is `common`; --help prints the verb's help and
 * sets *done. */
WEFT_MUST_USE enum weft_status weft_cli_options(struct weft_cli *cli, const struct weft_verb *verb,
                                                void *settings, struct weft_cli_common *common,
                                                struct weft_str_list *positional, bool *done);
/* Starts threads and kernels by the common settings; once per process. */
WEFT_MUST_USE enum weft_status weft_cli_compute(struct weft_cli *cli, const struct weft_cli_common *common);

/* "/usr/bin/" of /usr/bin/weft, in arena `a`; NULL: unknown. */
const char *weft_cli_program_folder(struct weft_arena *a);

/* A path for a MODEL word: a directory as it is; "hf:..." and "ms:..." in the cache of `weft pull`; "tiny" is
 * looked for in WEFT_HOME, beside the program, in the source tree and in the installed share folder.
 * WEFT_EARG names the places looked at. */
WEFT_MUST_USE enum weft_status weft_cli_model_path(struct weft_cli *cli, const char *model, const char **path);

/* Output: stdout, checked at the end (a full disk or closed pipe is noticed). */
void weft_say(struct weft_cli *cli, const char *fmt, ...) WEFT_PRINTF(2, 3);        /* translated format, stdout */
/* the same, but stderr with --json */
void weft_tell(struct weft_cli *cli, const char *fmt, ...) WEFT_PRINTF(2, 3);
/* translated format, stderr, not when quiet */
void weft_note(struct weft_cli *cli, const char *fmt, ...) WEFT_PRINTF(2, 3);
void weft_warn(struct weft_cli *cli, const char *fmt, ...) WEFT_PRINTF(2, 3);       /* "warning: ..." on stderr */
void weft_put(struct weft_cli *cli, struct weft_str text);                          /* as it is, stdout */

/* ---- progress (cli/progress.c) ---- */

/* Points cli->progress at the drawer and at the signal flag. */
void weft_cli_progress_init(struct weft_cli *cli);
/* Ends an unfinished progress line, so that other text starts on a line of its own. */
void weft_cli_progress_end(struct weft_cli *cli);
uint64_t weft_cli_now_ms(void);                     /* monotonic */
const char *weft_cli_duration(char out[32], double seconds);      /* "0:07", "2:03:10" */
const char *weft_cli_count(char out[32], uint64_t n);             /* "12,345" */
const char *weft_cli_bytes(char out[32], uint64_t n);             /* "1.9 GiB" */

/* SIGINT and SIGTERM set a flag that long work polls; a second signal leaves at once.  Returns the flag. */
volatile const int *weft_cli_signals(void);

/* Prints the help of a verb (or, with NULL, of the program) on stdout. */
void weft_cli_help(struct weft_cli *cli, const struct weft_verb *verb);
/* The verb table of cli/main.c, ending in NULL. */
const struct weft_verb *const *weft_cli_verbs(void);

bool weft_cli_is_terminal(int fd);
/* width of the terminal, 80 elsewhere */
size_t weft_cli_columns(void);

#endif
