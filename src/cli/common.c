/* What every verb needs: its options, its threads and kernels, the way to a model, and output. */
#include "cli/cli.h"
#include "cli/network.h"

#include "base/file.h"
#include "model/gguf.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* ---- output ---- */

bool weft_cli_is_terminal(int fd)
{
    const char *term = getenv("TERM");
    return isatty(fd) && !(term && strcmp(term, "dumb") == 0);
}

size_t weft_cli_columns(void)
{
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 20) return size.ws_col;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 20) return size.ws_col;
    const char *columns = getenv("COLUMNS");
    long n = columns ? strtol(columns, NULL, 10) : 0;
    return n >= 20 && n <= 1000 ? (size_t)n : 80;
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored                                                                               \
    "-Wformat-nonliteral" /* a translation has its key's conversions; a test checks that */
void weft_say(struct weft_cli *cli, const char *fmt, ...)
{
    va_list ap;
    weft_cli_progress_end(cli);
    va_start(ap, fmt);
    vprintf(weft_tr(cli->lang, fmt), ap);
    va_end(ap);
}

void weft_tell(struct weft_cli *cli, const char *fmt, ...)
{
    va_list ap;
    weft_cli_progress_end(cli);
    va_start(ap, fmt);
    vfprintf(cli->json ? stderr : stdout, weft_tr(cli->lang, fmt), ap);
    va_end(ap);
}

void weft_note(struct weft_cli *cli, const char *fmt, ...)
{
    va_list ap;
    if (cli->quiet) return;
    weft_cli_progress_end(cli);
    va_start(ap, fmt);
    vfprintf(stderr, weft_tr(cli->lang, fmt), ap);
    va_end(ap);
}

void weft_warn(struct weft_cli *cli, const char *fmt, ...)
{
    va_list ap;
    weft_cli_progress_end(cli);
    fputs(cli->lang == WEFT_LANG_ZH ? "警告：" : "warning: ", stderr);
    va_start(ap, fmt);
    vfprintf(stderr, weft_tr(cli->lang, fmt), ap);
    va_end(ap);
    fputc('\n', stderr);
}
#pragma GCC diagnostic pop

void weft_put(struct weft_cli *cli, struct weft_str text)
{
    weft_cli_progress_end(cli);
    if (text.len) fwrite(text.s, 1, text.len, stdout);
}

/* ---- options ---- */

/* Precedence: flag > environment > default (a recipe stands between flag and environment: its verb sets it). */
static enum weft_status read_environment(struct weft_cli *cli, const struct weft_verb *verb, void *settings)
{
    static const char *const rows[][2] = { { "WEFT_THREADS", "threads" }, { "WEFT_ISA", "isa" } };
    enum weft_status st = WEFT_OK;
    for (size_t i = 0; !st && i < WEFT_COUNT(rows); i++) {
        const char *value = getenv(rows[i][0]);
        if (value && value[0])
            st = weft_options_set(*verb->options, settings, &cli->arena, rows[i][0], rows[i][1], value, NULL,
                                  &cli->err);
    }
    return st;
}

enum weft_status weft_cli_options(struct weft_cli *cli, const struct weft_verb *verb, void *settings,
                                  struct weft_cli_common *common, struct weft_str_list *positional, bool *done)
{
    struct weft_buf warn = { 0 };
    *done = false;
    enum weft_status st = weft_options_defaults(*verb->options, settings, &cli->arena, &cli->err);
    if (!st) st = read_environment(cli, verb, settings);
    if (!st)
        st = weft_options_argv(*verb->options, settings, &cli->arena, cli->argc, cli->argv, positional, &warn,
                               &cli->err);
    if (warn.len) fprintf(stderr, "%s", warn.s);
    weft_buf_clear(&warn);
    if (st) return st;
    cli->json = common->json;
    cli->quiet = common->quiet;
    if (common->help) {
        weft_cli_help(cli, verb);
        *done = true;
    }
    return WEFT_OK;
}

enum weft_status weft_cli_compute(struct weft_cli *cli, const struct weft_cli_common *common)
{
    if (cli->pool) return WEFT_OK;
    enum weft_status st = weft_pool_new(&cli->pool, (int)common->threads, &cli->err);
    if (!st) st = weft_compute_init(&cli->compute, common->isa, cli->pool, &cli->err);
    return st;
}

/* ---- models by name ---- */

static bool is_model(struct weft_arena *a, const char *dir)
{
    const char *config = weft_path_join(a, dir, "config.json");
    return config && weft_file_exists(config);
}

/* Without /proc (a bare chroot) the name the program was started by serves, unless the folder was changed since. */
const char *weft_cli_program_folder(struct weft_arena *a)
{
    char path[PATH_MAX];
    const char *started = (const char *)getauxval(AT_EXECFN);
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    if (n > 0) path[n] = '\0';
    else if (!started || !realpath(started, path)) return NULL;
    char *slash = strrchr(path, '/');
    return slash ? weft_arena_strndup(a, path, (size_t)(slash + 1 - path)) : NULL;
}

/* The GGUF model of a folder that holds no other: its only file, or the first of its only split model. */
static const char *only_gguf(struct weft_arena *a, const char *dir)
{
    const char **names = NULL, *found = NULL;
    size_t n = 0;
    if (is_model(a, dir) || !weft_dir_exists(dir) || weft_dir_list(a, dir, &names, &n, NULL)) return NULL;
    for (size_t i = 0; i < n; i++) {
        struct weft_str name = weft_str_c(names[i]);
        if (!weft_str_ends(name, WEFT_STR(".gguf")) || weft_str_find(name, WEFT_STR("mmproj"), 0) != SIZE_MAX) continue;
        size_t part = weft_str_find(name, WEFT_STR("-of-"), 0);
        if (part != SIZE_MAX && part >= 5 && memcmp(name.s + part - 5, "00001", 5) != 0) continue;
        if (found) return NULL;
        found = weft_path_join(a, dir, names[i]);
    }
    return found;
}

/* A repository that was pulled before; nothing is fetched here. */
static enum weft_status path_in_hub_cache(struct weft_cli *cli, const char *model, const char **path)
{
    struct weft_hub_options options;
    struct weft_hub_repo repo;
    struct weft_hub_result found;
    enum weft_status st = weft_cli_hub(cli, &options);
    if (!st) st = weft_hub_parse(&cli->arena, model, false, &repo, &cli->err);
    if (!st) st = weft_hub_find(&cli->arena, &repo, &options, &found, &cli->err);
    if (!st) {
        const char *gguf = only_gguf(&cli->arena, found.path);
        *path = gguf ? gguf : found.path;
    }
    return st;
}

enum weft_status weft_cli_model_path(struct weft_cli *cli, const char *model, const char **path)
{
    if (weft_cli_is_repo(model)) return path_in_hub_cache(cli, model, path);
    struct weft_arena *a = &cli->arena;
    const char *home = getenv("WEFT_HOME"), *data = getenv("XDG_DATA_HOME"), *user = getenv("HOME"),
               *program = weft_cli_program_folder(a);
    struct weft_str tried[6];
    size_t n = 0;
    const char *gguf = weft_gguf_is(model) ? model : only_gguf(a, model);
    if (gguf) {
        *path = gguf;
        return WEFT_OK;
    }
    if (weft_dir_exists(model) && (is_model(a, model) || strchr(model, '/'))) {
        *path = model;
        return WEFT_OK;
    }
    if (!strchr(model, '/')) {
        if (home && home[0]) tried[n++] = weft_str_printf(a, "%s/models/%s", home, model);
        if (data && data[0]) tried[n++] = weft_str_printf(a, "%s/weft/models/%s", data, model);
        else if (user && user[0]) tried[n++] = weft_str_printf(a, "%s/.local/share/weft/models/%s", user, model);
        if (program) {
            tried[n++] = weft_str_printf(a, "%s../models/%s", program, model);
            tried[n++] = weft_str_printf(a, "%s../share/weft/models/%s", program, model);
        }
    }
    struct weft_buf list = { 0 };
    for (size_t i = 0; i < n; i++) {
        if (tried[i].s && is_model(a, tried[i].s)) {
            *path = tried[i].s;
            weft_buf_clear(&list);
            return WEFT_OK;
        }
        weft_buf_printf(&list, "%s%s", i ? ", " : "", tried[i].s ? tried[i].s : "?");
    }
    char name[256];
    enum weft_status st =
        n ? weft_fail(&cli->err, WEFT_EARG,
                      "no model \"%s\": it is no folder with a config.json, no GGUF file, and was not found in %s",
                      weft_escape(name, sizeof name, weft_str_c(model)), list.s ? list.s : "")
          : weft_fail(&cli->err, WEFT_EARG, "no model \"%s\": expected a folder that holds config.json, or a GGUF file",
                      weft_escape(name, sizeof name, weft_str_c(model)));
    weft_buf_clear(&list);
    return st;
}
