/* weft VERB ...: finds the verb, runs it, says what went wrong, and turns the status into an exit code. */
#include "cli/cli.h"
#include "cli/verbs.h"

#include <errno.h>
#include <locale.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const struct weft_verb *const verbs[] = {
    &weft_verb_run,    &weft_verb_read,     &weft_verb_data,   &weft_verb_train,     &weft_verb_chat,
    &weft_verb_generate, &weft_verb_export, &weft_verb_tokenizer, &weft_verb_model, &weft_verb_inspect,
    &weft_verb_ls,     &weft_verb_rm,       &weft_verb_pull,   &weft_verb_doctor,   &weft_verb_bench,
    &weft_verb_plot,   &weft_verb_help,     NULL,
};

const struct weft_verb *const *weft_cli_verbs(void) { return verbs; }

/* The language must be known before the first message: --lang anywhere, then the environment as for locales. */
static enum weft_lang find_language(int argc, char **argv)
{
    const char *word = NULL;
    for (int i = 1; i < argc && !word; i++) {
        if (strncmp(argv[i], "--lang=", 7) == 0) word = argv[i] + 7;
        else if (strcmp(argv[i], "--lang") == 0 && i + 1 < argc) word = argv[i + 1];
    }
    static const char *const names[] = { "WEFT_LANG", "LC_ALL", "LC_MESSAGES", "LANG" };
    for (size_t i = 0; i < WEFT_COUNT(names) && !(word && word[0]); i++) word = getenv(names[i]);
    return word && strncmp(word, "zh", 2) == 0 ? WEFT_LANG_ZH : WEFT_LANG_EN;
}

static const struct weft_verb *find_verb(const struct weft_verb *const *list, const char *name)
{
    for (; *list; list++)
        if (strcmp((*list)->name, name) == 0) return *list;
    return NULL;
}

static enum weft_status unknown_verb(struct weft_cli *cli, const struct weft_verb *const *list,
                                     const char *of, const char *word)
{
    const char *names[64];
    size_t n = 0;
    char shown[128];
    for (; list[n] && n < WEFT_COUNT(names); n++) names[n] = list[n]->name;
    const char *near = weft_nearest(word, names, n);
    weft_escape(shown, sizeof shown, weft_str_c(word));
    if (near)
        return weft_fail(&cli->err, WEFT_EARG, "unknown verb \"%s\"; did you mean \"weft %s%s\"?", shown, of, near);
    return weft_fail(&cli->err, WEFT_EARG, "unknown verb \"%s\"; \"weft help\" lists the verbs", shown);
}

static bool is_help(const char *word) { return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0; }

static enum weft_status dispatch(struct weft_cli *cli, int argc, char **argv)
{
    while (argc > 1 && strncmp(argv[1], "--lang", 6) == 0) {        /* read already by find_language */
        int n = argv[1][6] == '\0' && argc > 2 ? 2 : 1;
        argc -= n;
        argv += n;
    }
    if (argc < 2 || is_help(argv[1])) {
        weft_cli_help(cli, NULL);
        return WEFT_OK;
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "version") == 0) {
        printf("weft %s\n", WEFT_VERSION);
        return WEFT_OK;
    }
    const struct weft_verb *verb = find_verb(verbs, argv[1]);
    if (!verb) return unknown_verb(cli, verbs, "", argv[1]);
    cli->argc = argc - 1;
    cli->argv = argv + 1;
    if (verb->verbs) {
        char prefix[64];
        snprintf(prefix, sizeof prefix, "%s ", verb->name);
        if (argc < 3 || is_help(argv[2])) {
            weft_cli_help(cli, verb);
            return WEFT_OK;
        }
        const struct weft_verb *sub = find_verb(verb->verbs, argv[2]);
        if (!sub) return unknown_verb(cli, verb->verbs, prefix, argv[2]);
        verb = sub;
        cli->argc--;
        cli->argv++;
    }
    return verb->run(cli);
}

/* True when nobody reads stdout any more. */
static bool reader_is_gone(void)
{
    struct pollfd out = { .fd = STDOUT_FILENO, .events = POLLOUT };
    return poll(&out, 1, 0) == 1 && (out.revents & POLLERR);
}

/* A full disk behind stdout must not pass for success; a reader that has seen enough (head -1) is no failure.  The
 * write that failed may lie far back, so errno no longer tells which of the two it was. */
static enum weft_status finish_output(struct weft_cli *cli, enum weft_status st)
{
    errno = 0;
    bool failed = fflush(stdout) != 0 || ferror(stdout);
    if (!failed || st || errno == EPIPE || reader_is_gone()) return st;
    return weft_fail(&cli->err, WEFT_ESYSTEM, "cannot write to standard output: %s", strerror(errno ? errno : ENOSPC));
}

int main(int argc, char **argv)
{
    struct weft_cli cli = { .program = argc ? argv[0] : "weft", .lang = find_language(argc, argv),
                            .arena.grows = true };
    setlocale(LC_ALL, "C");             /* numbers never depend on where the user lives */
    cli.err.lang = cli.lang;
    weft_cli_progress_init(&cli);
    enum weft_status st = finish_output(&cli, dispatch(&cli, argc, argv));
    weft_cli_progress_end(&cli);
    if (st && cli.err.msg[0]) {
        fprintf(stderr, "weft: %s", cli.err.msg);
        if (cli.err.rule[0]) fprintf(stderr, " [%s]", cli.err.rule);
        fputc('\n', stderr);
    }
    int code = st == WEFT_ECANCEL && *cli.progress.cancel ? 128 + *cli.progress.cancel : weft_exit_code(st);
    weft_compute_clear(&cli.compute);
    weft_pool_free(cli.pool);
    weft_arena_clear(&cli.arena);
    return code;
}
