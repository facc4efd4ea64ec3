/* Folders and files of this machine, asked for as repositories are: nothing is fetched or copied, but what is asked for
 * must be there.  A folder is looked through to a depth of 16, through links too, for a snapshot of the cache is made
 * of links. */
#include "store/hub_parts.h"

#include "base/file.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_DEPTH = 16, MAX_ENTRIES = 200000 };

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

enum weft_status weft_hub_local_path(struct weft_arena *a, const char *text, const char **path, struct weft_err *err)
{
    bool address = strncasecmp(text, "file:", 5) == 0;
    const char *s = address ? text + 5 : text;
    char shown[200];
    if (address && strncmp(s, "//", 2) == 0) {
        s += 2;
        if (strncasecmp(s, "localhost/", 10) == 0) s += 9;
    }
    if (address && s[0] != '/')
        return weft_fail(err, WEFT_EARG, "\"%s\" names no place on this machine; expected file:///PATH",
                         weft_escape(shown, sizeof shown, weft_str_c(text)));
    char *out = weft_arena_strndup(a, s, strlen(s)), *w = out;
    if (!out) return weft_fail_nomem(err, strlen(s), "a path");
    for (const char *c = out; address && *c; c++) {
        bool escaped = *c == '%';
        int high = escaped ? hex_digit(c[1]) : -1, low = high >= 0 ? hex_digit(c[2]) : -1;
        if (escaped && (low < 0 || high + low == 0))
            return weft_fail(err, WEFT_EARG, "\"%s\" names no place on this machine; expected file:///PATH",
                             weft_escape(shown, sizeof shown, weft_str_c(text)));
        *w++ = escaped ? (char)(high << 4 | low) : *c;
        if (escaped) c += 2;
    }
    if (address) *w = '\0';
    for (size_t n = strlen(out); n > 1 && out[n - 1] == '/';) out[--n] = '\0';
    *path = out;
    return WEFT_OK;
}

/* Adds the files below `folder`; `prefix` is its path in the repository, with a final slash. */
static enum weft_status walk(struct weft_arena *a, const char *folder, const char *prefix, int depth,
                             struct weft_hub_list *list, struct weft_err *err)
{
    const char **names;
    size_t n;
    enum weft_status st = weft_dir_list(a, folder, &names, &n, err);
    for (size_t i = 0; !st && i < n; i++) {
        struct stat info;
        const char *full = weft_path_join(a, folder, names[i]), *path = weft_str_printf(a, "%s%s", prefix, names[i]).s;
        if (!full || !path) return weft_fail_nomem(err, 256, "a path");
        if (names[i][0] == '.' || !weft_hub_path_ok(weft_str_c(path)) || stat(full, &info)) continue;
        if (S_ISDIR(info.st_mode) && depth < MAX_DEPTH) {
            const char *below = weft_str_printf(a, "%s/", path).s;
            st = below ? walk(a, full, below, depth + 1, list, err) : weft_fail_nomem(err, 256, "a path");
        }
        if (!S_ISREG(info.st_mode)) continue;
        if (list->n == MAX_ENTRIES)
            return weft_fail(err, WEFT_ELIMIT, "%s has more than %d files", folder, MAX_ENTRIES);
        if (list->n == list->cap) {
            size_t cap = list->cap ? 2 * list->cap : 64;
            struct weft_hub_file *files = WEFT_NEWS(a, struct weft_hub_file, cap);
            if (!files) return weft_fail_nomem(err, cap * sizeof *files, "a listing");
            if (list->n) memcpy(files, list->files, list->n * sizeof *files);
            list->files = files;
            list->cap = cap;
        }
        list->files[list->n++] = (struct weft_hub_file){ .path = path, .size = (uint64_t)info.st_size };
    }
    return st;
}

enum weft_status weft_hub_pull_local(struct weft_arena *a, const struct weft_hub_repo *repo,
                                     const struct weft_hub_options *options, struct weft_hub_result *out,
                                     struct weft_err *err)
{
    struct weft_hub_list list = { .commit = "" };
    struct stat info;
    struct weft_hub_result result = { .path = repo->id, .commit = "", .from_cache = true };
    enum weft_status st = WEFT_OK;
    if (stat(repo->id, &info)) return weft_fail_errno(err, "open", repo->id);
    if (S_ISREG(info.st_mode)) {
        struct weft_hub_file *file = WEFT_NEW(a, struct weft_hub_file);
        if (!file) return weft_fail_nomem(err, sizeof *file, "a listing");
        if (options->n_files)
            return weft_fail(err, WEFT_EARG, "%s is one file; found %zu words behind it", repo->id, options->n_files);
        const char *slash = strrchr(repo->id, '/');
        *file = (struct weft_hub_file){ .path = slash ? slash + 1 : repo->id, .size = (uint64_t)info.st_size };
        result.files = file;
        result.n_files = 1;
        result.bytes = file->size;
        *out = result;
        return WEFT_OK;
    }
    if (!S_ISDIR(info.st_mode)) {
        errno = EINVAL;
        return weft_fail_errno(err, "read", repo->id);
    }
    st = walk(a, repo->id, "", 0, &list, err);
    if (!st) st = weft_hub_list_sort(&list, repo->id, err);
    if (!st) st = weft_hub_choose(a, repo, options, &list, err);
    if (!st && !repo->dataset && !options->n_files && !options->all && !weft_hub_has_weights(a, repo->id))
        st = weft_fail(err, WEFT_EARG, "%s does not hold the weights of a model, or not all that its index names",
                       repo->id);
    if (st) return st;
    result.files = list.files;
    result.n_files = list.n;
    for (size_t i = 0; i < list.n; i++) result.bytes += list.files[i].size;
    if (options->n_files == 1 && list.n == 1) result.path = weft_path_join(a, repo->id, list.files[0].path);
    if (!result.path) return weft_fail_nomem(err, 256, "a path");
    *out = result;
    return WEFT_OK;
}
