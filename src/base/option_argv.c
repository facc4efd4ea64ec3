/* The command line.  A flag is found in the table like any other spelling of its row; there is no second list. */
#include "base/file.h"
#include "base/option_parts.h"

#include <stdio.h>

struct reader {
    struct weft_option_table table;
    struct weft_option_sink to;
    int argc, at;
    char **argv;
    bool *seen; /* [table.n]: this row had a flag; the next one of a list appends */
    const char **positional;
    size_t n_positional;
};

static enum weft_status set(struct reader *r, const struct weft_option *row, const char *flag,
                            struct weft_str value)
{
    size_t i = (size_t)(row - r->table.rows);
    enum weft_status st = weft_option_assign(&r->to, row, flag, value, r->seen[i]);
    r->seen[i] = true;
    return st;
}

static bool is_choice(const struct weft_option *row, const char *word)
{
    size_t n = strlen(word);
    for (const char *at = row->choices; at && n; at = strchr(at, '|') ? strchr(at, '|') + 1 : NULL)
        if (strncmp(at, word, n) == 0 && (at[n] == '|' || !at[n])) return true;
    return false;
}

/* The value of `flag`: what stood behind '=' or directly behind a letter, else the next argument. */
static enum weft_status take_value(struct reader *r, const struct weft_option *row, const char *flag,
                                   const char *attached)
{
    if (row->type == WEFT_OPT_BOOL && !attached) {
        /* `--bf16 true`, as other trainers write it. */
        const char *next = r->at + 1 < r->argc ? r->argv[r->at + 1] : "";
        if (strcmp(next, "true") == 0 || strcmp(next, "false") == 0) attached = r->argv[++r->at];
        else attached = "true";
    }
    if (row->type == WEFT_OPT_CHOICE && row->bare && !attached) {
        const char *next = r->at + 1 < r->argc ? r->argv[r->at + 1] : "";
        attached = is_choice(row, next) ? r->argv[++r->at] : row->bare;
    }
    if (!attached) {
        if (r->at + 1 >= r->argc)
            return weft_fail(r->to.err, WEFT_EARG, "%s needs a value; `weft help` shows which", flag);
        attached = r->argv[++r->at];
    }
    return set(r, row, flag, weft_str_c(attached));
}

static enum weft_status long_flag(struct reader *r, const char *arg)
{
    const char *equals = strchr(arg, '=');
    struct weft_str name = { arg + 2, equals ? (size_t)(equals - arg - 2) : strlen(arg + 2) };
    char flag[80];
    snprintf(flag, sizeof flag, "--%.*s", (int)weft_min_size(name.len, 64), name.s);
    const struct weft_option *row = weft_option_find(r->table, name, true);
    if (row) return take_value(r, row, flag, equals ? equals + 1 : NULL);
    if (!equals && (weft_str_starts(name, WEFT_STR("no-")) || weft_str_starts(name, WEFT_STR("no_")))) {
        row = weft_option_find(r->table, weft_str_skip(name, 3), true);
        if (row && row->type == WEFT_OPT_BOOL) return set(r, row, flag, WEFT_STR("false"));
    }
    return weft_option_unknown(r->table, flag, name, r->to.err);
}

static enum weft_status short_flag(struct reader *r, const char *arg)
{
    char flag[3] = { '-', arg[1], '\0' };
    for (size_t i = 0; i < r->table.n; i++) {
        const struct weft_option *row = &r->table.rows[i];
        if (!row->short_flag || row->short_flag != arg[1]) continue;
        if (row->type == WEFT_OPT_BOOL && arg[2]) break; /* -qv: bundles are not known here */
        const char *attached = arg[2] == '=' ? arg + 3 : arg[2] ? arg + 2 : NULL;
        return take_value(r, row, flag, attached);
    }
    char shown[64];
    return weft_fail(r->to.err, WEFT_EARG,
                     "there is no option \"%s\"; put -- before names that begin with a dash",
                     weft_escape(shown, sizeof shown, weft_str_c(arg)));
}

/* KEY=VALUE sets a row.  A key that is nearly a row is a slip, unless a file has that very name. */
static enum weft_status plain(struct reader *r, const char *arg)
{
    size_t n = strspn(arg, "abcdefghijklmnopqrstuvwxyz0123456789_");
    if (n && arg[n] == '=') {
        struct weft_str key = { arg, n };
        const struct weft_option *row = weft_option_find(r->table, key, false);
        char where[80];
        snprintf(where, sizeof where, "%.*s", (int)weft_min_size(n, 64), arg);
        if (row) return set(r, row, where, weft_str_c(arg + n + 1));
        if (n <= 64 && !weft_file_exists(arg)) {
            for (size_t i = 0; i < r->table.n; i++) {
                const char *names[] = { r->table.rows[i].key, r->table.rows[i].alias };
                if (weft_nearest(where, names, 2))
                    return weft_option_unknown(r->table, where, key, r->to.err);
            }
        }
    }
    r->positional[r->n_positional++] = arg;
    return WEFT_OK;
}

enum weft_status weft_options_argv(struct weft_option_table t, void *settings, struct weft_arena *a, int argc,
                                   char **argv, struct weft_str_list *positional, struct weft_buf *warn,
                                   struct weft_err *err)
{
    struct reader r = { .table = t, .to = { settings, a, warn, err }, .argc = argc, .argv = argv };
    bool flags = true;
    r.seen = WEFT_NEWS(a, bool, t.n);
    r.positional = WEFT_NEWS(a, const char *, (size_t)(argc > 0 ? argc : 0));
    if (!r.seen || !r.positional)
        return weft_fail_nomem(err, (size_t)argc * sizeof(char *), "the command line");
    for (r.at = 1; r.at < argc; r.at++) {
        const char *arg = argv[r.at];
        enum weft_status st = WEFT_OK;
        if (!flags) r.positional[r.n_positional++] = arg;
        else if (strcmp(arg, "--") == 0) flags = false;
        else if (arg[0] == '-' && arg[1] == '-') st = long_flag(&r, arg);
        else if (arg[0] == '-' && arg[1]) st = short_flag(&r, arg);
        else st = plain(&r, arg);
        if (st) return st;
    }
    *positional = (struct weft_str_list){ r.positional, r.n_positional };
    return WEFT_OK;
}
