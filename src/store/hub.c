/* Pulling a repository: ask for its list, choose, learn the digests the list does not tell, fetch, link.  The order
 * makes a stop at any point harmless: blobs appear under their digest when they are whole, links point to whole
 * blobs only, and refs/<revision>, which says that a commit is here, is written last. */
#include "store/hub_parts.h"

#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/lang.h"
#include "base/url.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Above SIBLINGS files, Hugging Face's answer about a revision may leave some out; its tree does not. */
enum { PAGE = 200, MAX_PAGES = 1000, SIBLINGS = 50000, TRIES = 5, TRIES_WITH_CACHE = 2 };

struct pull {
    struct weft_arena *a;
    const struct weft_hub_repo *repo;
    const struct weft_hub_options *o;
    const char *endpoint, *token, *folder; /* folder: of the repository in the cache */
    const struct weft_hub_settings *settings;
    struct weft_http *http;
    int tries; /* for the list */
    struct weft_err *err;
};

static const char *format(struct pull *p, enum weft_status *st, const char *fmt, ...) WEFT_PRINTF(3, 4);

/* printf into the arena; "" and *st when memory is out. */
static const char *format(struct pull *p, enum weft_status *st, const char *fmt, ...)
{
    char *text = NULL;
    va_list ap;
    va_start(ap, fmt);
    int n = vasprintf(&text, fmt, ap);
    va_end(ap);
    const char *s = n < 0 ? NULL : weft_arena_strndup(p->a, text, (size_t)n);
    if (n >= 0) free(text);
    if (!s && !*st) *st = weft_fail_nomem(p->err, 256, "a path");
    return s ? s : "";
}

static const char *encoded(struct pull *p, enum weft_status *st, const char *part, bool slashes)
{
    struct weft_buf b = { 0 };
    weft_url_encode(&b, weft_str_c(part), slashes);
    const char *s = format(p, st, "%s", b.failed || !b.s ? "" : b.s);
    if (b.failed && !*st) *st = weft_fail_nomem(p->err, strlen(part), "a path");
    weft_buf_clear(&b);
    return s;
}

/* ---- where things are ---- */

static const char *or_else(const char *s, const char *otherwise) { return s && s[0] ? s : otherwise; }

/* A token must not travel readable for everyone. */
static enum weft_status check_endpoint(struct pull *p)
{
    struct weft_url url;
    enum weft_status st = weft_url_parse(weft_str_c(p->endpoint), &url, p->err);
    if (st || !p->token || url.tls) return st;
    if (weft_address_kind(url.host) == WEFT_ADDRESS_PRIVATE || weft_str_is(url.host, "localhost")) return WEFT_OK;
    p->token = NULL;
    char text[512];
    snprintf(text, sizeof text, weft_tr(p->o->http.lang, "%s is not https: the token is not sent there"),
             p->endpoint);
    weft_progress_message(p->o->progress, text);
    return WEFT_OK;
}

static const struct weft_hub_settings hf_settings = { "HF_ENDPOINT", "HF_TOKEN" },
                                      ms_settings = { "MODELSCOPE_DOMAIN", "MODELSCOPE_API_TOKEN" };

/* "owner/name" -> "models--owner--name", and ModelScope's "models/owner/name" with "___" for dots. */
static enum weft_status find_places(struct pull *p)
{
    bool hf = p->repo->site == WEFT_HUB_HF;
    const char *cache = hf ? p->o->hf_cache : p->o->ms_cache, *kind = p->repo->dataset ? "datasets" : "models";
    enum weft_status st = WEFT_OK;
    struct weft_buf b = { 0 };
    if (!cache || !cache[0])
        return weft_fail(p->err, WEFT_EARG, "no folder is known for downloads; set HF_HOME or HOME");
    p->endpoint = hf ? or_else(p->o->hf_endpoint, "https://huggingface.co")
                     : or_else(p->o->ms_endpoint, "https://www.modelscope.cn");
    p->settings = hf ? &hf_settings : &ms_settings;
    p->token = hf ? p->o->hf_token : p->o->ms_token;
    if (p->token && !p->token[0]) p->token = NULL;
    size_t n = strlen(p->endpoint);
    while (n && p->endpoint[n - 1] == '/') n--;
    p->endpoint = format(p, &st, "%.*s", (int)n, p->endpoint);
    weft_buf_printf(&b, "%s/%s%s", cache, kind, hf ? "--" : "/");
    const char *slash = strchr(p->repo->id, '/');
    for (const char *c = p->repo->id; *c; c++) {
        if (*c == '/') weft_buf_cstr(&b, hf ? "--" : "/");
        else if (*c == '.' && !hf && c > slash) weft_buf_cstr(&b, "___");
        else weft_buf_char(&b, *c);
    }
    if (!st) st = weft_buf_check(&b, "a path", p->err);
    if (!st) p->folder = format(p, &st, "%s", b.s);
    weft_buf_clear(&b);
    return st;
}

static const char *list_url(struct pull *p, enum weft_status *st, size_t page)
{
    const struct weft_hub_repo *r = p->repo;
    const char *kind = r->dataset ? "datasets" : "models", *revision = encoded(p, st, r->revision, false);
    if (r->site == WEFT_HUB_HF)
        return format(p, st, "%s/api/%s/%s/revision/%s?blobs=true", p->endpoint, kind, r->id, revision);
    if (!r->dataset)
        return format(p, st, "%s/api/v1/models/%s/repo/files?Revision=%s&Recursive=true", p->endpoint, r->id,
                      revision);
    return format(p, st,
                  "%s/api/v1/datasets/%s/repo/tree?Revision=%s&Recursive=True&Root=/&PageNumber=%zu&PageSize=%d",
                  p->endpoint, r->id, revision, page, PAGE);
}

static const char *file_url(struct pull *p, enum weft_status *st, const char *commit, const char *path)
{
    const struct weft_hub_repo *r = p->repo;
    const char *revision = encoded(p, st, commit[0] ? commit : r->revision, false);
    if (r->site == WEFT_HUB_HF)
        return format(p, st, "%s/%s%s/resolve/%s/%s", p->endpoint, r->dataset ? "datasets/" : "", r->id, revision,
                      encoded(p, st, path, true));
    return format(p, st, "%s/api/v1/%s/%s/repo?%sRevision=%s&FilePath=%s", p->endpoint,
                  r->dataset ? "datasets" : "models", r->id, r->dataset ? "Source=SDK&" : "", revision,
                  encoded(p, st, path, false));
}

/* ---- the cache ---- */

bool weft_hub_has_weights(struct weft_arena *a, const char *folder)
{
    const char *one = weft_path_join(a, folder, "model.safetensors"),
               *index = weft_path_join(a, folder, "model.safetensors.index.json"),
               *adapter = weft_path_join(a, folder, "adapter_model.safetensors");
    struct weft_str text;
    struct weft_json_value v;
    if (!one || !index || !adapter) return false;
    if (weft_file_exists(one) || weft_file_exists(adapter)) return true;
    if (!weft_file_exists(index)) {
        const char **names;
        size_t n;
        if (weft_dir_list(a, folder, &names, &n, NULL)) return false;
        for (size_t i = 0; i < n; i++)
            if (weft_str_ends(weft_str_c(names[i]), WEFT_STR(".gguf"))) return true;
        return false;
    }
    if (weft_file_read(a, index, 256 << 20, &text, NULL) || weft_json_parse(a, index, text, &v, NULL))
        return false;
    const struct weft_json_value *map = weft_json_get(&v, "weight_map");
    if (!map || map->kind != WEFT_JSON_OBJECT) return false;
    for (size_t i = 0; i < map->n; i++) {
        if (map->items[i].kind != WEFT_JSON_STRING || !weft_hub_path_ok(map->items[i].text)) return false;
        if (i && map->items[i - 1].kind == WEFT_JSON_STRING
            && weft_str_eq(map->items[i].text, map->items[i - 1].text))
            continue; /* thousands of tensors, a handful of files */
        const char *shard = weft_path_join(a, folder, weft_str_dup(a, map->items[i].text).s);
        if (!shard || !weft_file_exists(shard)) return false;
    }
    return true;
}

static bool is_commit(const char *s) { return strlen(s) == 40 && strspn(s, "0123456789abcdef") == 40; }

/* The folder of files at the wanted revision, or NULL. */
static const char *snapshot_of(struct pull *p, const char **commit)
{
    enum weft_status st = WEFT_OK;
    struct weft_str text;
    *commit = "";
    if (p->repo->site == WEFT_HUB_MS) return weft_dir_exists(p->folder) ? p->folder : NULL;
    if (is_commit(p->repo->revision)) *commit = p->repo->revision;
    else {
        const char *ref = format(p, &st, "%s/refs/%s", p->folder, p->repo->revision);
        if (st || !weft_file_exists(ref) || weft_file_read(p->a, ref, 4096, &text, NULL)) return NULL;
        text = weft_str_trim_ascii(text);
        *commit = weft_str_dup(p->a, text).s;
        if (!*commit || !is_commit(*commit)) return NULL;
    }
    const char *folder = format(p, &st, "%s/snapshots/%s", p->folder, *commit);
    return !st && weft_dir_exists(folder) ? folder : NULL;
}

static bool wanted_are_there(struct pull *p, const char *folder)
{
    struct weft_arena *a = p->a;
    for (size_t i = 0; i < p->o->n_files; i++) { /* a pattern cannot be answered without the list */
        const char *path = weft_path_join(a, folder, p->o->files[i]);
        if (!weft_hub_path_ok(weft_str_c(p->o->files[i])) || !path || !weft_file_exists(path)) return false;
    }
    if (p->repo->file) {
        const char *path = weft_path_join(a, folder, p->repo->file);
        return path && weft_file_exists(path);
    }
    if (p->o->n_files || p->repo->dataset) return true;
    if (p->repo->quant) {
        const char **names;
        size_t n;
        if (weft_dir_list(a, folder, &names, &n, NULL)) return false;
        for (size_t i = 0; i < n; i++)
            if (weft_str_ends(weft_str_c(names[i]), WEFT_STR(".gguf")) && strcasestr(names[i], p->repo->quant))
                return true;
        return false;
    }
    return weft_hub_has_weights(a, folder);
}

static enum weft_status take_from_cache(struct pull *p, struct weft_hub_result *out)
{
    const char *commit, *folder = snapshot_of(p, &commit);
    if (!folder || !wanted_are_there(p, folder))
        return weft_fail(p->err, WEFT_EARG,
                         "%s is not in the cache, or not all of it (%s); fetch it with: weft pull %s%s",
                         p->repo->id, p->folder, p->repo->site == WEFT_HUB_MS ? "ms:" : "hf:", p->repo->id);
    *out = (struct weft_hub_result){ .path = folder, .commit = commit, .from_cache = true };
    if (p->repo->file) out->path = weft_path_join(p->a, folder, p->repo->file);
    return out->path ? WEFT_OK : weft_fail_nomem(p->err, 256, "a path");
}

enum weft_status weft_hub_find(struct weft_arena *a, const struct weft_hub_repo *repo,
                               const struct weft_hub_options *options, struct weft_hub_result *out,
                               struct weft_err *err)
{
    struct pull p = { .a = a, .repo = repo, .o = options, .err = err };
    if (repo->site == WEFT_HUB_LOCAL) return weft_hub_pull_local(a, repo, options, out, err);
    enum weft_status st = find_places(&p);
    return st ? st : take_from_cache(&p, out);
}

/* ---- listing ---- */

static enum weft_status ask(struct pull *p, const char *name, const char *url, struct weft_str *body,
                            struct weft_http_reply *headers, bool *unreachable)
{
    const struct weft_hub_question what = { name, url, p->token, p->settings, false, p->tries };
    return weft_hub_ask(p->http, p->a, &what, p->o, body, headers, unreachable, p->err);
}

/* Hugging Face's tree: pages, each with a link to the next. */
static enum weft_status list_tree(struct pull *p, struct weft_hub_list *list)
{
    const struct weft_hub_repo *r = p->repo;
    enum weft_status st = WEFT_OK;
    struct weft_hub_list tree = { .commit = list->commit };
    struct weft_url home, there;
    const char *url = format(p, &st, "%s/api/%s/%s/tree/%s?recursive=true", p->endpoint,
                             r->dataset ? "datasets" : "models", r->id, list->commit);
    if (!st) st = weft_url_parse(weft_str_c(p->endpoint), &home, p->err);
    for (size_t page = 0; !st && url; page++) {
        struct weft_str body = { 0 };
        struct weft_http_reply headers = { 0 };
        st = ask(p, r->id, url, &body, &headers, NULL);
        if (!st) st = weft_hub_tree_read(p->a, r->id, body, &tree, p->err);
        if (st) return st;
        struct weft_str next = weft_hub_next_link(weft_http_header(&headers, "link"));
        if (!next.len) break;
        if (page == MAX_PAGES)
            return weft_fail(p->err, WEFT_ELIMIT, "%s has more than %d files", r->id, PAGE * MAX_PAGES);
        next = weft_url_join(p->a, weft_str_c(url), next);
        if (!next.s) return weft_fail_nomem(p->err, 256, "a path");
        /* The token goes along, so the list goes on at the same site or not at all. */
        if (weft_url_parse(next, &there, NULL) || !weft_url_same_origin(&home, &there)) {
            char shown[200];
            return weft_fail_rule(p->err, WEFT_EINPUT, "B7",
                                  "the listing of %s goes on at another place (%s); expected an address of %s", r->id,
                                  weft_escape(shown, sizeof shown, next), p->endpoint);
        }
        url = format(p, &st, "%.*s", (int)next.len, next.s);
    }
    if (!st) st = weft_hub_list_sort(&tree, r->id, p->err);
    if (!st) *list = tree;
    return st;
}

static enum weft_status list_hf(struct pull *p, struct weft_hub_list *list, bool *unreachable)
{
    enum weft_status st = WEFT_OK;
    struct weft_str body = { 0 };
    const char *url = list_url(p, &st, 1);
    if (!st) st = ask(p, p->repo->id, url, &body, NULL, unreachable);
    if (!st) st = weft_hub_list_read(p->a, WEFT_HUB_HF, p->repo->id, body, list, p->err);
    if (st || !list->commit[0]) return st;
    bool whole = list->n > 0 && list->n < SIBLINGS;
    for (size_t i = 0; whole && i < list->n; i++) {
        const struct weft_hub_file *f = &list->files[i];
        whole = f->size != UINT64_MAX && (f->sha1[0] || f->sha256[0]);
    }
    if (whole) return WEFT_OK;
    if (!list->n) return list_tree(p, list);
    struct weft_err other = { .lang = p->err ? p->err->lang : WEFT_LANG_EN };
    struct pull quiet = *p;
    quiet.err = &other;
    st = list_tree(&quiet, list);
    /* A mirror without the tree: what it does not tell is asked for file by file. */
    if (st == WEFT_EREMOTE) return WEFT_OK;
    if (st && p->err) *p->err = other;
    return st;
}

static enum weft_status list_ms(struct pull *p, struct weft_hub_list *list, bool *unreachable)
{
    enum weft_status st = WEFT_OK;
    for (size_t page = 1;; page++) {
        struct weft_str body = { 0 };
        const char *url = list_url(p, &st, page);
        if (!st) st = ask(p, p->repo->id, url, &body, NULL, unreachable);
        if (!st) st = weft_hub_list_read(p->a, WEFT_HUB_MS, p->repo->id, body, list, p->err);
        if (st || !p->repo->dataset || list->seen < PAGE) return st;
        if (page == MAX_PAGES)
            return weft_fail(p->err, WEFT_ELIMIT, "%s has more than %d files", p->repo->id, PAGE * MAX_PAGES);
    }
}

/* A digest and size out of the headers of a file: what the list of a mirror may lack. */
static enum weft_status learn(struct pull *p, const char *commit, struct weft_hub_file *f)
{
    enum weft_status st = WEFT_OK;
    struct weft_http_reply r = { 0 };
    const char *url = file_url(p, &st, commit, f->path);
    const struct weft_hub_question head = { f->path, url, p->token, p->settings, true, TRIES };
    if (!st) st = weft_hub_ask(p->http, p->a, &head, p->o, NULL, &r, NULL, p->err);
    if (st) return st;
    struct weft_str etag = weft_http_header(&r, "x-linked-etag"), size = weft_http_header(&r, "x-linked-size");
    bool linked = etag.len > 0;
    if (!etag.len) etag = weft_http_header(&r, "etag");
    if (!size.len && r.status == 200) size = weft_http_header(&r, "content-length");
    if (weft_str_starts(etag, WEFT_STR("W/"))) etag = weft_str_skip(etag, 2);
    if (etag.len >= 2 && etag.s[0] == '"') etag = weft_str_sub(etag, 1, etag.len - 1);
    bool hex = true;
    for (size_t i = 0; i < etag.len; i++) hex = hex && strchr("0123456789abcdef", etag.s[i]) && etag.s[i];
    if (hex && etag.len == 64) snprintf(f->sha256, sizeof f->sha256, "%.*s", 64, etag.s);
    else if (hex && etag.len == 40) snprintf(f->sha1, sizeof f->sha1, "%.*s", 40, etag.s);
    if (f->size == UINT64_MAX && size.len && size.len < 18 && (linked || r.status == 200)) {
        f->size = 0;
        for (size_t i = 0; i < size.len && f->size != UINT64_MAX; i++)
            f->size =
                size.s[i] >= '0' && size.s[i] <= '9' ? f->size * 10 + (uint64_t)(size.s[i] - '0') : UINT64_MAX;
    }
    return WEFT_OK;
}

/* ---- fetching into the cache ---- */

static enum weft_status make_parent(struct pull *p, const char *path)
{
    const char *slash = strrchr(path, '/');
    enum weft_status st = WEFT_OK;
    const char *folder = format(p, &st, "%.*s", slash ? (int)(slash - path) : 0, path);
    return st ? st : weft_dir_make(folder[0] ? folder : "/", p->err);
}

/* snapshots/COMMIT/a/b -> ../../../blobs/ETAG; a copy where links cannot be made. */
static enum weft_status link_blob(struct pull *p, const char *blob, const char *path, const char *name)
{
    enum weft_status st = make_parent(p, path);
    struct weft_buf target = { 0 };
    char have[4096];
    weft_buf_cstr(&target, "../../");
    for (const char *c = name; *c; c++)
        if (*c == '/') weft_buf_cstr(&target, "../");
    weft_buf_cstr(&target, "blobs/");
    weft_buf_cstr(&target, strrchr(blob, '/') + 1);
    if (!st) st = weft_buf_check(&target, "a path", p->err);
    if (st) goto done;
    ssize_t n = readlink(path, have, sizeof have);
    if (n == (ssize_t)target.len && memcmp(have, target.s, target.len) == 0) goto done;
    const char *tmp = format(p, &st, "%s.tmp-%ld", path, (long)getpid());
    if (st) goto done;
    unlink(tmp);
    if (symlink(target.s, tmp) == 0) {
        if (rename(tmp, path)) st = weft_fail_errno(p->err, "rename to", path);
    } else if (link(blob, tmp) == 0) {
        if (rename(tmp, path)) st = weft_fail_errno(p->err, "rename to", path);
    } else { /* neither kind of link here */
        struct weft_map m = { 0 };
        st = weft_map_open(&m, blob, p->err);
        if (!st) st = weft_file_write(path, (struct weft_str){ (const char *)m.p, m.len }, p->err);
        weft_map_close(&m);
    }
done:
    weft_buf_clear(&target);
    return st;
}

static enum weft_status fetch_hf(struct pull *p, struct weft_hub_list *list, struct weft_hub_result *out)
{
    enum weft_status st = WEFT_OK;
    const char *locks = NULL, *base = strrchr(p->folder, '/') + 1;
    struct weft_hub_fetch *f = WEFT_NEWS(p->a, struct weft_hub_fetch, list->n);
    if (!f) return weft_fail_nomem(p->err, list->n * sizeof *f, "a listing");
    for (size_t i = 0; !st && i < list->n; i++)
        if ((!list->files[i].sha256[0] && !list->files[i].sha1[0]) || list->files[i].size == UINT64_MAX)
            st = learn(p, list->commit, &list->files[i]);
    if (!st) st = weft_dir_make(format(p, &st, "%s/blobs", p->folder), p->err);
    if (!st) locks = format(p, &st, "%.*s/.locks/%s", (int)(base - 1 - p->folder), p->folder, base);
    if (!st) st = weft_dir_make(locks, p->err);
    for (size_t i = 0; !st && i < list->n; i++) {
        struct weft_hub_file *file = &list->files[i];
        const char *digest = file->sha256[0] ? file->sha256 : file->sha1;
        char own[WEFT_SHA256_HEX];
        if (!digest[0]) { /* a mirror that tells none: a name of its own, from commit and path */
            struct weft_str what = weft_str_printf(p->a, "%s %s", list->commit, file->path);
            st = what.s ? weft_sha256_of(what, own, p->err) : weft_fail_nomem(p->err, 64, "a path");
            if (st) break;
            digest = format(p, &st, "unverified-%s", own);
        }
        f[i] = (struct weft_hub_fetch){
            .name = file->path,
            .url = file_url(p, &st, list->commit, file->path),
            .bearer = p->token,
            .settings = p->settings,
            .target = format(p, &st, "%s/blobs/%s", p->folder, digest),
            .lock = format(p, &st, "%s/%s.lock", locks, digest),
            .size = file->size,
            .sha256 = file->sha256,
            .sha1 = file->sha1,
            .resume = true,
        };
    }
    /* Two names of one content are fetched once. */
    size_t n = 0;
    struct weft_hub_fetch *unique = WEFT_NEWS(p->a, struct weft_hub_fetch, list->n);
    if (!st && !unique) st = weft_fail_nomem(p->err, list->n * sizeof *f, "a listing");
    for (size_t i = 0; !st && i < list->n; i++) {
        bool seen = false;
        for (size_t k = 0; k < n && !seen; k++) seen = strcmp(unique[k].target, f[i].target) == 0;
        if (!seen) unique[n++] = f[i];
    }
    if (!st) st = weft_hub_fetch_all(p->http, unique, n, p->o, p->err);
    for (size_t i = 0; !st && i < list->n; i++) {
        const char *path = format(p, &st, "%s/snapshots/%s/%s", p->folder, list->commit, list->files[i].path);
        if (!st) st = link_blob(p, f[i].target, path, list->files[i].path);
    }
    for (size_t k = 0; k < n; k++) out->fetched_bytes += unique[k].fetched;
    if (!st && !is_commit(p->repo->revision)) {
        const char *ref = format(p, &st, "%s/refs/%s", p->folder, p->repo->revision);
        if (!st) st = make_parent(p, ref);
        if (!st) st = weft_file_write(ref, weft_str_c(list->commit), p->err);
    }
    if (!st) out->path = format(p, &st, "%s/snapshots/%s", p->folder, list->commit);
    return st;
}

static enum weft_status fetch_ms(struct pull *p, struct weft_hub_list *list, struct weft_hub_result *out)
{
    enum weft_status st = WEFT_OK;
    char name[WEFT_SHA256_HEX];
    struct weft_hub_fetch *f = WEFT_NEWS(p->a, struct weft_hub_fetch, list->n);
    if (!f) return weft_fail_nomem(p->err, list->n * sizeof *f, "a listing");
    const char *locks = format(p, &st, "%s/.lock/weft", p->o->ms_cache);
    if (!st) st = weft_dir_make(locks, p->err);
    for (size_t i = 0; !st && i < list->n; i++) {
        struct weft_hub_file *file = &list->files[i];
        f[i] = (struct weft_hub_fetch){ .name = file->path,
                                        .url = file_url(p, &st, "", file->path),
                                        .bearer = p->token,
                                        .settings = p->settings,
                                        .target = format(p, &st, "%s/%s", p->folder, file->path),
                                        .size = file->size,
                                        .sha256 = file->sha256,
                                        .resume = true };
        /* Locks stand apart: the folder of a model is for its files. */
        if (!st) st = weft_sha256_of(weft_str_c(f[i].target), name, p->err);
        if (!st) f[i].lock = format(p, &st, "%s/%s", locks, name);
        if (!st) st = make_parent(p, f[i].target);
        /* The branch may have moved on: a file of the same length with another digest is fetched again. */
        char have[WEFT_SHA256_HEX];
        if (!st && file->sha256[0] && weft_file_exists(f[i].target) && !weft_sha256_file(f[i].target, have, NULL)
            && strcmp(have, file->sha256) != 0 && unlink(f[i].target))
            st = weft_fail_errno(p->err, "remove", f[i].target);
    }
    if (!st) st = weft_hub_fetch_all(p->http, f, list->n, p->o, p->err);
    for (size_t i = 0; i < list->n; i++) out->fetched_bytes += f[i].fetched;
    out->path = p->folder;
    return st;
}

enum weft_status weft_hub_pull(struct weft_arena *a, const struct weft_hub_repo *repo,
                               const struct weft_hub_options *options, struct weft_hub_result *out,
                               struct weft_err *err)
{
    struct pull p = { .a = a, .repo = repo, .o = options, .err = err };
    struct weft_hub_list list = { 0 };
    struct weft_hub_result result = { 0 };
    bool unreachable = false;
    if (repo->site == WEFT_HUB_LOCAL) return weft_hub_pull_local(a, repo, options, out, err);
    enum weft_status st = find_places(&p);
    if (st) return st;
    if (options->offline) return take_from_cache(&p, out);
    st = check_endpoint(&p);
    if (!st) st = weft_http_new(&p.http, &options->http, err);
    if (st) return st;
    /* Who has it all already should not wait long for a site that does not answer. */
    const char *commit, *cached = snapshot_of(&p, &commit);
    p.tries = cached && wanted_are_there(&p, cached) ? TRIES_WITH_CACHE : TRIES;
    st = repo->site == WEFT_HUB_HF ? list_hf(&p, &list, &unreachable) : list_ms(&p, &list, &unreachable);
    if (st && unreachable) { /* better what is here than nothing; the reason is told */
        struct weft_err other = { .lang = err ? err->lang : WEFT_LANG_EN };
        struct pull quiet = p;
        quiet.err = &other;
        if (take_from_cache(&quiet, out) == WEFT_OK) {
            if (err) weft_progress_message(options->progress, err->msg);
            weft_err_clear(err);
            st = WEFT_OK;
        }
        weft_http_free(p.http);
        return st;
    }
    if (!st) st = weft_hub_choose(a, repo, options, &list, err);
    if (!st && repo->site == WEFT_HUB_HF && !list.commit[0])
        st = weft_fail_rule(err, WEFT_EINPUT, "B7", "the answer about %s has no commit of 40 digits", repo->id);
    result.commit = st ? "" : list.commit;
    if (!st) st = repo->site == WEFT_HUB_HF ? fetch_hf(&p, &list, &result) : fetch_ms(&p, &list, &result);
    weft_http_free(p.http);
    if (st) return st;
    result.files = list.files;
    result.n_files = list.n;
    for (size_t i = 0; i < list.n; i++)
        if (list.files[i].size != UINT64_MAX) result.bytes += list.files[i].size;
    const char *one = repo->file ? repo->file : options->n_files == 1 && list.n == 1 ? list.files[0].path : NULL;
    if (one) result.path = weft_path_join(a, result.path, one);
    if (!result.path) return weft_fail_nomem(err, 256, "a path");
    *out = result;
    return WEFT_OK;
}

/* ---- any address ---- */

/* "https://github.com/o/r/blob/main/x" is a page about x; /raw/ is x.  huggingface.co: /blob/ and /resolve/. */
static const char *file_behind_page(struct pull *p, enum weft_status *st, const char *url)
{
    static const struct {
        const char *host, *file;
    } pages[] = { { "github.com", "/raw/" }, { "huggingface.co", "/resolve/" }, { "hf-mirror.com", "/resolve/" } };
    struct weft_url u;
    if (weft_url_parse(weft_str_c(url), &u, NULL)) return url;
    size_t at = weft_str_find(u.path, WEFT_STR("/blob/"), 0);
    for (size_t i = 0; i < WEFT_COUNT(pages) && at != SIZE_MAX; i++)
        if (weft_str_is(u.host, pages[i].host)) {
            const char *rest = u.path.s + at;
            return format(p, st, "%.*s%s%s", (int)(rest - url), url, pages[i].file, rest + 6);
        }
    return url;
}

enum weft_status weft_hub_fetch_url(struct weft_arena *a, const char *url, const char *sha256, const char *path,
                                    const struct weft_hub_options *options, struct weft_hub_result *out,
                                    struct weft_err *err)
{
    struct pull p = { .a = a, .o = options, .err = err };
    struct weft_url parsed;
    struct weft_hub_file *file = WEFT_NEW(a, struct weft_hub_file);
    char have[WEFT_SHA256_HEX];
    enum weft_status st = weft_url_parse(weft_str_c(url), &parsed, err);
    if (!st && !file) st = weft_fail_nomem(err, sizeof *file, "a path");
    if (!st && sha256 && (strlen(sha256) != 64 || strspn(sha256, "0123456789abcdefABCDEF") != 64))
        st = weft_fail(err, WEFT_EARG, "a SHA-256 has 64 digits 0-9 and a-f, this one has %zu characters",
                       strlen(sha256));
    if (st) return st;
    if (weft_file_exists(path)) { /* what is here stays unless its digest is another one */
        st = weft_sha256_file(path, have, err);
        if (!st && sha256 && strcasecmp(have, sha256) != 0)
            st = weft_fail_rule(err, WEFT_EINPUT, "B7",
                                "%s is here already and has another SHA-256 (%s); remove it, or name "
                                "another place with -o",
                                path, have);
        if (!st && !sha256 && !options->offline)
            st = weft_fail(err, WEFT_EARG,
                           "%s is here already; remove it, name another place with -o, or give --sha256", path);
        *out = (struct weft_hub_result){
            .path = path, .commit = "", .files = file, .n_files = 1, .from_cache = true
        };
        struct stat info;
        if (stat(path, &info) == 0) out->bytes = file->size = (uint64_t)info.st_size;
        file->path = path;
        memcpy(file->sha256, have, sizeof have);
        return st;
    }
    if (options->offline)
        return weft_fail(err, WEFT_EARG, "%s is not here, and no connection may be made (offline)", path);
    struct weft_hub_fetch f = { .name = path,
                                .url = file_behind_page(&p, &st, url),
                                .target = path,
                                .size = UINT64_MAX,
                                .sha256 = sha256,
                                .resume = sha256 != NULL };
    if (!st && strchr(path, '/')) st = make_parent(&p, path);
    if (!st) st = weft_http_new(&p.http, &options->http, err);
    if (st) return st;
    st = weft_hub_fetch_all(p.http, &f, 1, options, err);
    weft_http_free(p.http);
    if (st) return st;
    *file = (struct weft_hub_file){ .path = path, .size = f.size };
    memcpy(file->sha256, f.got_sha256, sizeof file->sha256);
    *out = (struct weft_hub_result){
        .path = path, .commit = "", .files = file, .n_files = 1, .bytes = f.size, .fetched_bytes = f.fetched
    };
    return WEFT_OK;
}
