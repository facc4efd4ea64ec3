/* Where the store is, and the words that name things in it. */
#include "cli/store.h"

#include "base/file.h"

#include <stdlib.h>

enum weft_status weft_cli_home(struct weft_cli *cli, const char **home)
{
    const char *set = getenv("WEFT_HOME"), *data = getenv("XDG_DATA_HOME"), *user = getenv("HOME");
    struct weft_str path = { NULL, 0 };
    if (set && set[0]) path = weft_str_c(set);
    else if (data && data[0] == '/') path = weft_str_printf(&cli->arena, "%s/weft", data);
    else if (user && user[0]) path = weft_str_printf(&cli->arena, "%s/.local/share/weft", user);
    else return weft_fail(&cli->err, WEFT_EARG, "no home for the store: set WEFT_HOME to a folder");
    *home = path.s;
    return path.s ? WEFT_OK : weft_fail_nomem(&cli->err, 4096, "the store");
}

static enum weft_status open_store(struct weft_cli *cli, bool make, struct weft_store **s)
{
    const char *home, *path;
    *s = NULL;
    enum weft_status st = weft_cli_home(cli, &home);
    if (st) return st;
    path = weft_path_join(&cli->arena, home, "weft.db");
    if (!path) return weft_fail_nomem(&cli->err, strlen(home), "the store");
    if (!make && !weft_file_exists(path)) return WEFT_OK;
    st = weft_store_open(s, path, &cli->err);
    if (st) return st;
    struct weft_store_facts f = weft_store_facts(*s);
    if (f.was_unclean) weft_note(cli, "%s: the last program was killed while it used the store; it was checked and is good\n", path);
    if (f.upgraded_from)
        weft_note(cli, "%s: brought up to date from schema %d; a copy of before is %s.v%d.bak\n", path, f.upgraded_from, path,
                  f.upgraded_from);
    if (f.interrupted) weft_note(cli, "%s: %d runs whose program is gone are marked interrupted\n", path, f.interrupted);
    if (!f.wal) weft_warn(cli, "%s: this file system has no write-ahead log; the store works, slower", path);
    return WEFT_OK;
}

enum weft_status weft_cli_store(struct weft_cli *cli, struct weft_store **s) { return open_store(cli, true, s); }
enum weft_status weft_cli_store_if_any(struct weft_cli *cli, struct weft_store **s)
{
    return open_store(cli, false, s);
}

/* Digits to the end, 1 and more; 0: not that. */
static int64_t version_of(struct weft_str digits)
{
    int64_t v = 0;
    if (!digits.len || digits.len > 9) return 0;
    for (size_t i = 0; i < digits.len; i++) {
        if (digits.s[i] < '0' || digits.s[i] > '9') return 0;
        v = v * 10 + (digits.s[i] - '0');
    }
    return v;
}

enum weft_status weft_cli_word(struct weft_cli *cli, const char *text, struct weft_word *w)
{
    struct weft_str rest = weft_str_c(text);
    char shown[200];
    *w = (struct weft_word){ .kind = WEFT_WORD_PROJECT };
    if (weft_str_starts(rest, WEFT_STR("model:"))) {
        w->kind = WEFT_WORD_MODEL;
        w->name = weft_str_skip(rest, 6);
        if (w->name.len && !memchr(w->name.s, '/', w->name.len) && w->name.s[0] != '.') return WEFT_OK;
        goto bad;
    }
    if (weft_str_starts(rest, WEFT_STR("run:"))) {
        w->kind = WEFT_WORD_RUN;
        rest = weft_str_skip(rest, 4);
    }
    size_t slash = weft_str_find(rest, WEFT_STR("/"), 0);
    w->project = slash == SIZE_MAX ? rest : weft_str_sub(rest, 0, slash);
    if (slash == SIZE_MAX) {
        if (w->kind == WEFT_WORD_RUN) goto bad;
        return WEFT_OK;
    }
    w->name = weft_str_skip(rest, slash + 1);
    if (w->kind == WEFT_WORD_RUN) return WEFT_OK;
    w->kind = WEFT_WORD_DATASET;
    size_t at = weft_str_find(w->name, WEFT_STR("@"), 0);
    if (at == SIZE_MAX) return WEFT_OK;
    w->version = version_of(weft_str_skip(w->name, at + 1));
    w->name = weft_str_sub(w->name, 0, at);
    if (w->version) return WEFT_OK;
bad:
    return weft_fail(&cli->err, WEFT_EARG,
                     "\"%s\" names nothing: expected PROJECT, PROJECT/DATASET, PROJECT/DATASET@VERSION, run:PROJECT/NAME or "
                     "model:NAME", weft_escape(shown, sizeof shown, weft_str_c(text)));
}
