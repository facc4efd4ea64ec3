/* Names of repositories, their listings, and the choice of files.  Whatever comes from a listing becomes a path on
 * this disk, so every name is checked here, once, before anything else sees it. */
#include "store/hub_parts.h"

#include "base/json.h"
#include "base/option.h"

#include <fnmatch.h>
#include <stdlib.h>

enum { MAX_PATH = 1024, MAX_FILES = 200000, MAX_NAME = 96 };

bool weft_hub_path_ok(struct weft_str path)
{
    if (!path.len || path.len > MAX_PATH || weft_utf8_check(path) < path.len) return false;
    for (size_t from = 0; from <= path.len;) {
        size_t end = from;
        while (end < path.len && path.s[end] != '/') {
            unsigned char c = (unsigned char)path.s[end];
            if (c < ' ' || c == 0x7f || c == '\\') return false;
            end++;
        }
        struct weft_str part = weft_str_sub(path, from, end);
        if (!part.len || part.len > 255 || weft_str_is(part, ".") || weft_str_is(part, "..")) return false;
        from = end + 1;
    }
    return true;
}

/* ---- names ---- */

static bool is_part(struct weft_str s)
{
    if (!s.len || s.len > MAX_NAME || s.s[0] == '.' || s.s[0] == '-') return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.s[i];
        bool plain =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
        if (!plain && !(c == '.' && s.s[i - 1] != '.')) return false;
    }
    return true;
}

static enum weft_status bad_name(const char *text, struct weft_err *err)
{
    char shown[200];
    return weft_fail(err, WEFT_EARG,
                     "\"%s\" names no repository; expected hf:OWNER/NAME, ms:OWNER/NAME, with /FILE, "
                     ":QUANT or @REVISION behind it where wanted, or ./FOLDER",
                     weft_escape(shown, sizeof shown, weft_str_c(text)));
}

bool weft_hub_is_local(const char *text)
{
    return text[0] == '/' || strcmp(text, ".") == 0 || strcmp(text, "..") == 0 || strncmp(text, "./", 2) == 0
           || strncmp(text, "../", 3) == 0 || strncasecmp(text, "file:", 5) == 0;
}

enum weft_status weft_hub_parse(struct weft_arena *a, const char *text, bool dataset, struct weft_hub_repo *out,
                                struct weft_err *err)
{
    if (weft_hub_is_local(text)) {
        *out = (struct weft_hub_repo){ .site = WEFT_HUB_LOCAL, .dataset = dataset, .revision = "" };
        return weft_hub_local_path(a, text, &out->id, err);
    }
    struct weft_str s = weft_str_c(text), revision = { 0 }, quant = { 0 }, file = { 0 };
    struct weft_hub_repo r = { .dataset = dataset };
    if (weft_str_starts(s, WEFT_STR("ms:"))) r.site = WEFT_HUB_MS;
    if (weft_str_starts(s, WEFT_STR("ms:")) || weft_str_starts(s, WEFT_STR("hf:"))) s = weft_str_skip(s, 3);
    size_t at = weft_str_find(s, WEFT_STR("@"), 0);
    if (at != SIZE_MAX) {
        revision = weft_str_skip(s, at + 1);
        s.len = at;
        if (!weft_hub_path_ok(revision) || revision.len > 250) return bad_name(text, err);
    }
    at = weft_str_find(s, WEFT_STR(":"), 0);
    if (at != SIZE_MAX) {
        quant = weft_str_skip(s, at + 1);
        s.len = at;
        if (!is_part(quant)) return bad_name(text, err);
    }
    size_t slash = weft_str_find(s, WEFT_STR("/"), 0), second = SIZE_MAX;
    if (slash != SIZE_MAX) second = weft_str_find(s, WEFT_STR("/"), slash + 1);
    if (second != SIZE_MAX) {
        file = weft_str_skip(s, second + 1);
        s.len = second;
        if (!weft_hub_path_ok(file)) return bad_name(text, err);
    }
    struct weft_str owner = weft_str_sub(s, 0, slash), name = slash == SIZE_MAX ? s : weft_str_skip(s, slash + 1);
    if (!is_part(name) || (slash != SIZE_MAX && !is_part(owner)) || (slash == SIZE_MAX && r.site == WEFT_HUB_MS))
        return bad_name(text, err);
    r.id = weft_arena_strndup(a, s.s, s.len);
    if (!revision.len) revision = r.site == WEFT_HUB_MS ? WEFT_STR("master") : WEFT_STR("main");
    r.revision = weft_arena_strndup(a, revision.s, revision.len);
    if (quant.len) r.quant = weft_arena_strndup(a, quant.s, quant.len);
    if (file.len) r.file = weft_arena_strndup(a, file.s, file.len);
    if (!r.id || !r.revision || (quant.len && !r.quant) || (file.len && !r.file))
        return weft_fail_nomem(err, s.len, "a path");
    *out = r;
    return WEFT_OK;
}

/* ---- listings ---- */

static bool is_hex(struct weft_str s, size_t len)
{
    if (s.len != len) return false;
    for (size_t i = 0; i < len; i++)
        if (!((s.s[i] >= '0' && s.s[i] <= '9') || (s.s[i] >= 'a' && s.s[i] <= 'f')
              || (s.s[i] >= 'A' && s.s[i] <= 'F')))
            return false;
    return true;
}

static struct weft_str text_of(const struct weft_json_value *v, const char *key)
{
    const struct weft_json_value *m = weft_json_get(v, key);
    return m && m->kind == WEFT_JSON_STRING ? m->text : (struct weft_str){ 0 };
}

static void copy_hex(char *out, struct weft_str s, size_t len)
{
    out[0] = '\0';
    if (!is_hex(s, len)) return;
    for (size_t i = 0; i < len; i++) out[i] = (char)(s.s[i] >= 'A' && s.s[i] <= 'F' ? s.s[i] + 32 : s.s[i]);
    out[len] = '\0';
}

static uint64_t size_of(const struct weft_json_value *v)
{
    return v && v->kind == WEFT_JSON_NUMBER && v->is_int && v->integer >= 0 && v->integer < (INT64_C(1) << 50)
               ? (uint64_t)v->integer
               : UINT64_MAX;
}

/* How the entries of a listing are written. */
struct keys {
    const char *path, *size, *sha1, *sha256, *type; /* NULL: there is none */
    const char *other;                              /* a type that is no file */
};
static const struct keys revision_keys = { "rfilename", "size", "blobId", NULL, NULL, NULL },
                         tree_keys = { "path", "size", "oid", NULL, "type", "directory" },
                         modelscope_keys = { "Path", "Size", NULL, "Sha256", "Type", "tree" };

/* One entry of a listing; a folder leaves file->path NULL. */
static enum weft_status read_entry(struct weft_arena *a, const struct keys *keys, const char *name,
                                   const struct weft_json_value *v, struct weft_hub_file *file,
                                   struct weft_err *err)
{
    struct weft_str path = text_of(v, keys->path);
    const struct weft_json_value *lfs = weft_json_get(v, "lfs");
    char shown[200];
    *file = (struct weft_hub_file){ .size = UINT64_MAX };
    if (keys->type && weft_str_is(text_of(v, keys->type), keys->other)) return WEFT_OK;
    if (!weft_hub_path_ok(path))
        return weft_fail_rule(err, WEFT_EINPUT, "B7",
                              "the listing of %s has the file name \"%s\"; expected a path inside "
                              "the repository",
                              name, weft_escape(shown, sizeof shown, path));
    file->size = size_of(weft_json_get(v, keys->size));
    if (keys->sha1) {
        copy_hex(file->sha1, text_of(v, keys->sha1), 40);
        copy_hex(file->sha256, text_of(lfs, "sha256"), 64);
        if (!file->sha256[0]) copy_hex(file->sha256, text_of(lfs, "oid"), 64);
        if (lfs && lfs->kind == WEFT_JSON_OBJECT) {
            file->sha1[0] = '\0'; /* that of the pointer, not of the content */
            uint64_t size = size_of(weft_json_get(lfs, "size"));
            if (size != UINT64_MAX) file->size = size;
        }
    } else copy_hex(file->sha256, text_of(v, keys->sha256), 64);
    file->path = weft_arena_strndup(a, path.s, path.len);
    return file->path ? WEFT_OK : weft_fail_nomem(err, path.len, "a path");
}

static int by_path(const void *x, const void *y)
{
    return strcmp(((const struct weft_hub_file *)x)->path, ((const struct weft_hub_file *)y)->path);
}

enum weft_status weft_hub_list_sort(struct weft_hub_list *list, const char *name, struct weft_err *err)
{
    if (list->n) qsort(list->files, list->n, sizeof *list->files, by_path);
    for (size_t i = 1; i < list->n; i++)
        if (strcmp(list->files[i - 1].path, list->files[i].path) == 0)
            return weft_fail_rule(err, WEFT_EINPUT, "B7", "the listing of %s has a file twice", name);
    return WEFT_OK;
}

/* Adds the files among the entries to the list. */
static enum weft_status add_entries(struct weft_arena *a, const struct keys *keys, const char *name,
                                    const struct weft_json_value *entries, struct weft_hub_list *list,
                                    struct weft_err *err)
{
    if (!entries || entries->kind != WEFT_JSON_ARRAY || entries->n > MAX_FILES)
        return weft_fail_rule(err, WEFT_EINPUT, "B7",
                              "the answer about %s holds no list of files; is the address of the "
                              "site right?",
                              name);
    if (entries->n > MAX_FILES - list->n)
        return weft_fail(err, WEFT_ELIMIT, "%s has more than %d files", name, MAX_FILES);
    /* Doubled: many pages must not fill the arena with copies. */
    if (!list->files || list->cap - list->n < entries->n) {
        size_t cap = list->n + entries->n > 2 * list->cap ? list->n + entries->n : 2 * list->cap;
        struct weft_hub_file *files = WEFT_NEWS(a, struct weft_hub_file, cap);
        if (!files) return weft_fail_nomem(err, cap * sizeof *files, "a listing");
        if (list->n) memcpy(files, list->files, list->n * sizeof *files);
        list->files = files;
        list->cap = cap;
    }
    list->seen = entries->n;
    for (size_t i = 0; i < entries->n; i++) {
        enum weft_status st = read_entry(a, keys, name, &entries->items[i], &list->files[list->n], err);
        if (st) return st;
        if (list->files[list->n].path) list->n++;
    }
    return WEFT_OK;
}

enum weft_status weft_hub_list_read(struct weft_arena *a, enum weft_hub_site site, const char *name,
                                    struct weft_str json, struct weft_hub_list *list, struct weft_err *err)
{
    bool hf = site == WEFT_HUB_HF;
    struct weft_json_value v;
    enum weft_status st = weft_json_parse(a, name, json, &v, err);
    if (st) return st;
    const struct weft_json_value *data = hf ? &v : weft_json_get(&v, "Data"),
                                 *entries = weft_json_get(data, hf ? "siblings" : "Files");
    struct weft_str commit = text_of(&v, "sha");
    if (!list->commit) list->commit = "";
    if (hf && commit.len) {
        if (!is_hex(commit, 40))
            return weft_fail_rule(err, WEFT_EINPUT, "B7", "the answer about %s has no commit of 40 digits", name);
        list->commit = weft_arena_strndup(a, commit.s, commit.len);
        if (!list->commit) return weft_fail_nomem(err, 41, "a path");
        if (!entries) return WEFT_OK; /* the tree has them */
    }
    st = add_entries(a, hf ? &revision_keys : &modelscope_keys, name, entries, list, err);
    return st ? st : weft_hub_list_sort(list, name, err);
}

enum weft_status weft_hub_tree_read(struct weft_arena *a, const char *name, struct weft_str json,
                                    struct weft_hub_list *list, struct weft_err *err)
{
    struct weft_json_value v;
    enum weft_status st = weft_json_parse(a, name, json, &v, err);
    return st ? st : add_entries(a, &tree_keys, name, &v, list, err);
}

/* <address>; rel="next", <address>; rel="last" */
struct weft_str weft_hub_next_link(struct weft_str link)
{
    for (size_t at = 0; at < link.len;) {
        size_t open = weft_str_find(link, WEFT_STR("<"), at),
               close = open == SIZE_MAX ? open : weft_str_find(link, WEFT_STR(">"), open);
        if (close == SIZE_MAX) break;
        size_t end = weft_str_find(link, WEFT_STR("<"), close);
        struct weft_str rest = weft_str_sub(link, close, end == SIZE_MAX ? link.len : end);
        if (weft_str_find(rest, WEFT_STR("rel=\"next\""), 0) != SIZE_MAX
            || weft_str_find(rest, WEFT_STR("rel=next"), 0) != SIZE_MAX)
            return weft_str_sub(link, open + 1, close);
        at = close;
    }
    return (struct weft_str){ 0 };
}

/* ---- the choice ---- */

static bool ends(const char *s, const char *suffix) { return weft_str_ends(weft_str_c(s), weft_str_c(suffix)); }

/* What a model needs to be used, and what one should read about it. */
static bool belongs_to_model(const char *path)
{
    static const char *const names[] = {
        "config.json",
        "generation_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "tokenizer.model",
        "vocab.json",
        "merges.txt",
        "special_tokens_map.json",
        "added_tokens.json",
        "chat_template.jinja",
        "chat_template.json",
        "adapter_config.json",
        "model.safetensors.index.json",
    };
    for (size_t i = 0; i < WEFT_COUNT(names); i++)
        if (strcmp(path, names[i]) == 0) return true;
    if (fnmatch("additional_chat_templates/*.jinja", path, FNM_PATHNAME) == 0) return true;
    if (strchr(path, '/')) return false;
    return ends(path, ".safetensors") || strncmp(path, "LICENSE", 7) == 0 || strncmp(path, "README", 6) == 0;
}

static bool is_extra(const char *path) { return strncmp(path, "consolidated", 12) == 0; }

/* "model-00002-of-00003.gguf": files that belong together differ in that number alone. */
static bool same_split(const char *x, const char *y)
{
    const char *of = strstr(x, "-of-");
    if (!of || of - x < 6) return strcmp(x, y) == 0;
    size_t front = (size_t)(of - x) - 5;
    return strncmp(x, y, front) == 0 && strlen(y) > front + 5 && strcmp(of, y + front + 5) == 0;
}

static void name_files(struct weft_buf *b, const struct weft_hub_list *list, const bool *take)
{
    size_t n = 0;
    char shown[128];
    for (size_t i = 0; i < list->n; i++) {
        if (take && !take[i]) continue;
        if (n++ == 20) {
            weft_buf_cstr(b, " ...");
            return;
        }
        weft_buf_printf(b, "%s%s", n > 1 ? ", " : "",
                        weft_escape(shown, sizeof shown, weft_str_c(list->files[i].path)));
    }
}

static enum weft_status choose_gguf(const struct weft_hub_repo *repo, const struct weft_hub_list *list, bool *take,
                                    struct weft_err *err)
{
    struct weft_buf names = { 0 };
    const char *first = NULL;
    bool several = false;
    for (size_t i = 0; i < list->n; i++) {
        const char *path = list->files[i].path;
        take[i] =
            ends(path, ".gguf") && !strstr(path, "mmproj") && (!repo->quant || strcasestr(path, repo->quant));
        if (!take[i]) continue;
        if (!first) first = path;
        else if (!same_split(first, path)) several = true;
    }
    enum weft_status st = WEFT_OK;
    if (!first || several) {
        if (!first)
            for (size_t i = 0; i < list->n; i++) take[i] = ends(list->files[i].path, ".gguf");
        name_files(&names, list, take);
        st = weft_fail(err, WEFT_EARG, "%s: name one of the GGUF files, as in %s:Q4_K_M; there are %s", repo->id,
                       repo->id, names.s ? names.s : "-");
    }
    for (size_t i = 0; !st && i < list->n; i++)
        if (!strchr(list->files[i].path, '/') && belongs_to_model(list->files[i].path)) take[i] = true;
    weft_buf_clear(&names);
    return st;
}

static enum weft_status choose_model(const struct weft_hub_repo *repo, const struct weft_hub_list *list,
                                     bool *take, struct weft_err *err)
{
    bool safetensors = false, gguf = false, plain = false, pickle = false;
    for (size_t i = 0; i < list->n; i++) {
        const char *path = list->files[i].path;
        bool top = !strchr(path, '/');
        safetensors = safetensors || (top && ends(path, ".safetensors"));
        plain = plain || (top && ends(path, ".safetensors") && !is_extra(path));
        gguf = gguf || ends(path, ".gguf");
        pickle = pickle || ends(path, ".bin") || ends(path, ".pth") || ends(path, ".pt");
    }
    if (repo->quant || (gguf && !safetensors)) return choose_gguf(repo, list, take, err);
    if (!safetensors && pickle)
        return weft_fail(err, WEFT_EARG,
                         "%s has no safetensors files, only pickles, which can run code when they are read; "
                         "choose another repository, or --all to fetch it as it is",
                         repo->id);
    for (size_t i = 0; i < list->n; i++)
        take[i] = belongs_to_model(list->files[i].path) && !(plain && is_extra(list->files[i].path));
    return WEFT_OK;
}

enum weft_status weft_hub_choose(struct weft_arena *a, const struct weft_hub_repo *repo,
                                 const struct weft_hub_options *o, struct weft_hub_list *list,
                                 struct weft_err *err)
{
    enum weft_status st = WEFT_OK;
    bool *take = WEFT_NEWS(a, bool, list->n);
    struct weft_buf names = { 0 };
    size_t n = 0;
    if (!take) return weft_fail_nomem(err, list->n, "a listing");
    if (repo->file || o->n_files) {
        for (size_t k = 0; !st && k < o->n_files + (repo->file ? 1 : 0); k++) {
            const char *wanted = k < o->n_files ? o->files[k] : repo->file;
            bool found = false;
            for (size_t i = 0; i < list->n; i++)
                if (strcmp(wanted, list->files[i].path) == 0
                    || (k < o->n_files && fnmatch(wanted, list->files[i].path, 0) == 0))
                    take[i] = found = true;
            if (found) continue;
            char shown[200];
            name_files(&names, list, NULL);
            st = weft_fail(err, WEFT_EARG, "%s has no file \"%s\"; there are %s", repo->id,
                           weft_escape(shown, sizeof shown, weft_str_c(wanted)), names.s ? names.s : "-");
        }
    } else if (o->all || repo->dataset) {
        for (size_t i = 0; i < list->n; i++)
            take[i] = o->all || strcmp(list->files[i].path, ".gitattributes") != 0;
    } else st = choose_model(repo, list, take, err);
    for (size_t i = 0; !st && i < list->n; i++)
        if (take[i]) list->files[n++] = list->files[i];
    if (!st && !n) {
        name_files(&names, list, NULL);
        st = weft_fail(err, WEFT_EARG,
                       "%s holds nothing that a model needs; name the files, or take --all; there are %s",
                       repo->id, names.s ? names.s : "-");
    }
    if (!st) list->n = n;
    weft_buf_clear(&names);
    return st;
}
