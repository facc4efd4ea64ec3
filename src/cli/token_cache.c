#include "cli/token_cache.h"

#include "base/file.h"
#include "cli/store.h"
#include "dataset/canon.h"
#include "tokens/cache.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SUFFIX ".tokens"

/* ---- the key ---- */

/* Every file that a tokenizer is read from.  *known: there is one; a GGUF file carries its own. */
static enum weft_status tokenizer_hash(struct weft_cli *cli, const char *dir, char hex[WEFT_SHA256_HEX], bool *known)
{
    static const char *const names[] = { "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
                                         "vocab.json",     "merges.txt",            "config.json" };
    struct weft_buf all = { 0 };
    enum weft_status st = WEFT_OK;
    *known = false;
    if (!weft_dir_exists(dir)) return WEFT_OK;
    for (size_t i = 0; !st && i < WEFT_COUNT(names); i++) {
        char one[WEFT_SHA256_HEX];
        const char *path = weft_path_join(&cli->arena, dir, names[i]);
        if (!path) st = weft_fail_nomem(&cli->err, strlen(dir), "a path");
        else if (weft_file_exists(path)) {
            st = weft_sha256_file(path, one, &cli->err);
            if (!st) weft_buf_printf(&all, "%s %s\n", names[i], one);
        }
    }
    if (!st) st = weft_buf_check(&all, "a key", &cli->err);
    if (!st) st = weft_sha256_of(weft_buf_view(&all), hex, &cli->err);
    *known = !st && all.len;
    weft_buf_clear(&all);
    return st;
}

/* The day, of templates that print it; else nothing. */
static const char *day_of(const struct weft_tokenizer *t, char day[64])
{
    struct weft_str source = weft_tokenizer_chat_template(t);
    time_t now = time(NULL);
    struct tm here, there;
    day[0] = '\0';
    if (weft_str_find(source, WEFT_STR("strftime_now"), 0) == SIZE_MAX
        && weft_str_find(source, WEFT_STR("date_string"), 0) == SIZE_MAX)
        return day;
    if (localtime_r(&now, &here) && gmtime_r(&now, &there))
        snprintf(day, 64, "%d-%d %d-%d", here.tm_year, here.tm_yday, there.tm_year, there.tm_yday);
    return day;
}

static enum weft_status find_key(struct weft_cli *cli, const char *base_dir, const struct weft_tokenizer *t,
                                 const struct weft_chat_template *chat, const struct weft_rows *rows,
                                 const struct weft_collate_settings *how, char key[WEFT_SHA256_HEX], bool *known)
{
    char of_rows[WEFT_SHA256_HEX], of_tokenizer[WEFT_SHA256_HEX], day[64];
    enum weft_status st = tokenizer_hash(cli, base_dir, of_tokenizer, known);
    if (st || !*known) return st;
    st = weft_dataset_hash_rows(rows, of_rows, &cli->err);
    struct weft_collate_inputs in = { of_rows, of_tokenizer, chat ? weft_chat_fingerprint(chat) : "", day_of(t, day) };
    return st ? st : weft_collate_key(&in, how, key, &cli->err);
}

static uint64_t text_bytes(const struct weft_rows *rows)
{
    uint64_t n = 0;
    for (size_t i = 0; i < rows->n; i++) {
        const struct weft_row *r = &rows->items[i];
        n += r->text.len + r->system.len + r->chosen.text.len + r->rejected.text.len;
        for (size_t k = 0; k < r->n_turns; k++) n += r->turns[k].text.len;
    }
    return n;
}

/* ---- the folder ---- */

/* NULL: there is no place for it. */
static const char *home_folder(struct weft_cli *cli)
{
    const char *home, *path = NULL;
    const struct weft_err before = cli->err;
    if (weft_cli_home(cli, &home)) cli->err = before;
    else path = weft_path_join(&cli->arena, home, "cache/tokens");
    return path;
}

struct kept {
    const char *path;
    uint64_t bytes;
    struct timespec used;
};

static int oldest_first(const void *x, const void *y)
{
    const struct kept *a = x, *b = y;
    if (a->used.tv_sec != b->used.tv_sec) return a->used.tv_sec < b->used.tv_sec ? -1 : 1;
    if (a->used.tv_nsec != b->used.tv_nsec) return a->used.tv_nsec < b->used.tv_nsec ? -1 : 1;
    return strcmp(a->path, b->path);
}

static enum weft_status list_kept(struct weft_cli *cli, const char *folder, struct kept **list, size_t *n,
                                  uint64_t *bytes)
{
    const char **names;
    size_t n_names = 0;
    *list = NULL;
    *n = 0;
    *bytes = 0;
    if (!folder || !weft_dir_exists(folder)) return WEFT_OK;
    enum weft_status st = weft_dir_list(&cli->arena, folder, &names, &n_names, &cli->err);
    if (st) return st;
    *list = WEFT_NEWS(&cli->arena, struct kept, n_names);
    if (!*list) return weft_fail_nomem(&cli->err, n_names * sizeof **list, "the token cache");
    for (size_t i = 0; i < n_names; i++) {
        struct stat s;
        const char *path = weft_path_join(&cli->arena, folder, names[i]);
        if (!path || !weft_str_ends(weft_str_c(path), WEFT_STR(SUFFIX))) continue;
        if (lstat(path, &s) || !S_ISREG(s.st_mode)) continue;
        (*list)[(*n)++] = (struct kept){ path, (uint64_t)s.st_size, s.st_mtim };
        *bytes += (uint64_t)s.st_size;
    }
    if (*n) qsort(*list, *n, sizeof **list, oldest_first);
    return WEFT_OK;
}

/* Makes room for `more` bytes. */
static enum weft_status make_room(struct weft_cli *cli, const char *folder, uint64_t more)
{
    struct kept *list;
    size_t n;
    uint64_t bytes;
    enum weft_status st = list_kept(cli, folder, &list, &n, &bytes);
    for (size_t i = 0; !st && i < n && bytes + more > WEFT_TOKEN_CACHE_BYTES; i++)
        if (unlink(list[i].path) == 0) bytes -= list[i].bytes;
    return st;
}

enum weft_status weft_token_cache_size(struct weft_cli *cli, size_t *files, uint64_t *bytes)
{
    struct kept *list;
    return list_kept(cli, home_folder(cli), &list, files, bytes);
}

enum weft_status weft_token_cache_remove(struct weft_cli *cli)
{
    const char *folder = home_folder(cli);
    return folder ? weft_dir_remove(folder, &cli->err) : WEFT_OK;
}

/* ---- collating ---- */

static void keep(struct weft_cli *cli, const char *folder, bool bounded, const char *path, const char *key,
                 const struct weft_examples *ex)
{
    const struct weft_err before = cli->err;
    if (bounded && weft_cache_bytes(ex) > WEFT_TOKEN_CACHE_BYTES) return;
    enum weft_status st = weft_dir_make(folder, &cli->err);
    if (!st && bounded) st = make_room(cli, folder, weft_cache_bytes(ex));
    if (!st) st = weft_cache_save(path, key, ex, &cli->err);
    if (!st) return;
    weft_warn(cli, "the tokens are not kept for the next run: %s", cli->err.msg);
    cli->err = before;
}

enum weft_status weft_cli_collate(struct weft_cli *cli, const struct weft_recipe *r, const char *base_dir,
                                  const struct weft_tokenizer *t, const struct weft_chat_template *chat,
                                  const struct weft_rows *rows, const struct weft_collate_settings *how,
                                  struct weft_examples *out)
{
    char key[WEFT_SHA256_HEX];
    const char *folder = r->tokenized_path, *path = NULL;
    bool known = false;
    enum weft_cache_found found = WEFT_CACHE_ABSENT;
    enum weft_status st = WEFT_OK;
    if (!folder && text_bytes(rows) >= WEFT_TOKEN_CACHE_TEXT) folder = home_folder(cli);
    if (folder) st = find_key(cli, base_dir, t, chat, rows, how, key, &known);
    if (!st && known) path = weft_str_printf(&cli->arena, "%s/%s" SUFFIX, folder, key).s;
    if (!st && path && !r->overwrite_cache)
        st = weft_cache_load(&cli->arena, path, key, rows->n, weft_tokenizer_vocab_size(t), out, &found, &cli->err);
    if (st) return st;
    if (found == WEFT_CACHE_TAKEN) {
        weft_tell(cli, "  tokens: taken from %s\n", path);
        if (utimensat(AT_FDCWD, path, NULL, 0)) { /* used just now; if that cannot be noted, it goes earlier */ }
        return WEFT_OK;
    }
    if (found != WEFT_CACHE_ABSENT) weft_warn(cli, "%s is damaged or another program's; the rows are tokenized anew", path);
    st = weft_collate_rows(&cli->arena, t, chat, rows, how, cli->pool, out, &cli->err);
    if (!st && path) keep(cli, folder, !r->tokenized_path, path, key, out);
    return st;
}
