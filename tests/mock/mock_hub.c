/* mock_hub --root DIR [OPTIONS] - Hugging Face and ModelScope over a folder of files
 *
 * DIR/owner/name/... are the repositories, models and datasets alike; branch main (master) is the one that exists.
 * Files ending in .safetensors or .gguf, and those named by --lfs, are "large": Hugging Face's side sends them by a
 * redirect to the second port, another origin.  Two ports are printed: the site's and the storage's.
 *
 *   --root DIR      --token T      needed for repositories whose name begins with "private" (401) or "gated" (403)
 *   --log FILE      one JSON line per request: method, target, port, range, authorization, sent bytes
 *   --cut N --cuts K   the first K file bodies end after N bytes, by a reset
 *   --no-range      ranges are ignored (200)       --wrong K    the first K bodies have a wrong byte
 *   --busy K        the first K requests get 503   --limit K    ... get 429 with Retry-After: 0
 *   --no-digests    the list has no sizes and digests (a mirror); HEAD has them
 *   --short-range   206 replies begin one byte early       --drip MS    1 KiB (--piece N) each MS milliseconds
 *   --evil PATH     the list has this path too
 *   --fault KIND@K  what happens to the Kth request for a range (1, 2 ...); may be given 16 times:
 *                     reset  half of it, then a reset        busy   503        gone   416
 *                     whole  the whole file as 200           place  one byte further on than asked
 *                     etag   another ETag, from this request on
 *   --no-siblings   what a revision says has no list of files (then the tree is asked for)
 *   --page N        the tree comes in pages of N entries, with Link: rel="next"    --no-tree   404
 *   --stray PAGE    the link to the next page leads to this address
 *   --buffer N      send buffers of about N bytes
 *   --seconds N     lives so long at most (default 600)
 *
 * /bill tells how many bytes went out.
 * A plain file is at /plain/owner/name/path on either port. */
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/url.h"
#include "mock/server.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const char commit[] = "0123456789abcdef0123456789abcdef01234567";

enum fault_kind { NONE, CUT, BUSY, GONE, WHOLE, PLACE, ETAG };
struct fault {
    enum fault_kind kind;
    int at; /* number of the request for a range */
};

struct hub {
    const char *root, *token, *evil, *lfs;
    int log_fd, port, storage;
    int cut, cuts, wrong, busy, limit, drip, piece, page, ranged, etags;
    const char *stray;
    struct fault faults[16];
    size_t n_faults;
    bool no_range, no_digests, short_range, no_siblings, no_tree;
    struct weft_arena arena; /* of one request */
};

static bool is(const char *a, const char *b) { return strcmp(a, b) == 0; }

static void die(const char *what, const char *text)
{
    fprintf(stderr, "mock_hub: %s%s\n", what, text);
    exit(2);
}

static bool is_large(const struct hub *h, const char *path)
{
    struct weft_str p = weft_str_c(path);
    return weft_str_ends(p, WEFT_STR(".safetensors")) || weft_str_ends(p, WEFT_STR(".gguf"))
           || (h->lfs && weft_str_ends(p, weft_str_c(h->lfs)));
}

static struct weft_str content_of(struct hub *h, const char *repo, const char *path)
{
    struct weft_str text = { 0 };
    const char *name = weft_str_printf(&h->arena, "%s/%s/%s", h->root, repo, path).s;
    if (!name || strstr(path, "..") || weft_file_read(&h->arena, name, 0, &text, NULL))
        return (struct weft_str){ 0 };
    return text;
}

static const char *git_digest(struct hub *h, struct weft_str text)
{
    struct weft_sha1 s;
    char head[64], *hex = weft_arena_alloc(&h->arena, WEFT_SHA1_HEX);
    int n = snprintf(head, sizeof head, "blob %zu", text.len);
    if (!hex || weft_sha1_init(&s, NULL)) die("memory", "");
    weft_sha1_add(&s, head, (size_t)n + 1);
    weft_sha1_add(&s, text.s, text.len);
    weft_sha1_hex(&s, hex);
    return hex;
}

static const char *sha256(struct hub *h, struct weft_str text)
{
    char *hex = weft_arena_alloc(&h->arena, WEFT_SHA256_HEX);
    if (!hex || weft_sha256_of(text, hex, NULL)) die("memory", "");
    return hex;
}

/* ---- lists ---- */

struct list {
    struct hub *h;
    const char *repo;
    struct weft_json_out *o;
    bool ms;
};

/* Calls entry for all below a folder, each with its path there; a folder before what is in it. */
static void walk(struct hub *h, const char *folder, const char *prefix,
                 void (*entry)(void *ctx, const char *path, bool folder), void *ctx)
{
    const char **names;
    size_t n;
    if (weft_dir_list(&h->arena, folder, &names, &n, NULL)) return;
    for (size_t i = 0; i < n; i++) {
        const char *full = weft_path_join(&h->arena, folder, names[i]);
        const char *path = weft_str_printf(&h->arena, "%s%s", prefix, names[i]).s;
        if (!full || !path) die("memory", "");
        bool file = weft_file_exists(full);
        entry(ctx, path, !file);
        if (!file) walk(h, full, weft_str_printf(&h->arena, "%s/", path).s, entry, ctx);
    }
}

static void list_entry(void *ctx, const char *path, bool folder)
{
    struct list *w = ctx;
    struct weft_json_out *o = w->o;
    if (folder) {
        if (!w->ms) return;
        weft_json_out_object(o);
        weft_json_out_key(o, "Path");
        weft_json_out_cstr(o, path);
        weft_json_out_key(o, "Type");
        weft_json_out_cstr(o, "tree");
        weft_json_out_object_end(o);
        return;
    }
    struct weft_str text = content_of(w->h, w->repo, path);
    weft_json_out_object(o);
    weft_json_out_key(o, w->ms ? "Path" : "rfilename");
    weft_json_out_cstr(o, path);
    if (w->ms) {
        weft_json_out_key(o, "Type");
        weft_json_out_cstr(o, "blob");
        weft_json_out_key(o, "Size");
        weft_json_out_uint(o, text.len);
        weft_json_out_key(o, "Sha256");
        weft_json_out_cstr(o, sha256(w->h, text));
    } else if (!w->h->no_digests) {
        weft_json_out_key(o, "size");
        weft_json_out_uint(o, text.len);
        weft_json_out_key(o, "blobId");
        weft_json_out_cstr(o, git_digest(w->h, text));
        if (is_large(w->h, path)) {
            weft_json_out_key(o, "lfs");
            weft_json_out_object(o);
            weft_json_out_key(o, "sha256");
            weft_json_out_cstr(o, sha256(w->h, text));
            weft_json_out_key(o, "size");
            weft_json_out_uint(o, text.len);
            weft_json_out_key(o, "pointerSize");
            weft_json_out_int(o, 134);
            weft_json_out_object_end(o);
        }
    }
    weft_json_out_object_end(o);
}

/* What the tree API lists: folders too, under other keys. */
struct tree {
    struct hub *h;
    const char *repo;
    struct weft_json_out *o;
    size_t n, from, to; /* entries seen; those of this page */
};

static void tree_entry(void *ctx, const char *path, bool folder)
{
    struct tree *t = ctx;
    struct weft_json_out *o = t->o;
    if (t->n++ < t->from || t->n > t->to) return;
    struct weft_str text = folder ? WEFT_STR("") : content_of(t->h, t->repo, path);
    weft_json_out_object(o);
    weft_json_out_key(o, "type");
    weft_json_out_cstr(o, folder ? "directory" : "file");
    weft_json_out_key(o, "oid");
    weft_json_out_cstr(o, git_digest(t->h, text));
    weft_json_out_key(o, "size");
    weft_json_out_uint(o, text.len);
    if (!folder && is_large(t->h, path)) {
        weft_json_out_key(o, "lfs");
        weft_json_out_object(o);
        weft_json_out_key(o, "oid");
        weft_json_out_cstr(o, sha256(t->h, text));
        weft_json_out_key(o, "size");
        weft_json_out_uint(o, text.len);
        weft_json_out_key(o, "pointerSize");
        weft_json_out_int(o, 134);
        weft_json_out_object_end(o);
    }
    weft_json_out_key(o, "path");
    weft_json_out_cstr(o, path);
    weft_json_out_object_end(o);
}

static void send_list(struct hub *h, struct mock_conn *c, const char *repo, bool ms)
{
    struct weft_buf b = { 0 };
    struct weft_json_out o;
    struct list w = { h, repo, &o, ms };
    weft_json_out_init(&o, &b);
    weft_json_out_object(&o);
    if (ms) {
        weft_json_out_key(&o, "Code");
        weft_json_out_int(&o, 200);
        weft_json_out_key(&o, "Data");
        weft_json_out_object(&o);
        weft_json_out_key(&o, "Files");
    } else {
        weft_json_out_key(&o, "id");
        weft_json_out_cstr(&o, repo);
        weft_json_out_key(&o, "sha");
        weft_json_out_cstr(&o, commit);
        if (h->no_siblings) {
            weft_json_out_object_end(&o);
            mock_reply(c, 200, "application/json", "", weft_buf_view(&b));
            weft_buf_clear(&b);
            return;
        }
        weft_json_out_key(&o, "siblings");
    }
    weft_json_out_array(&o);
    walk(h, weft_str_printf(&h->arena, "%s/%s", h->root, repo).s, "", list_entry, &w);
    if (h->evil) list_entry(&w, h->evil, false);
    weft_json_out_array_end(&o);
    if (ms) weft_json_out_object_end(&o);
    weft_json_out_object_end(&o);
    mock_reply(c, 200, "application/json", "", weft_buf_view(&b));
    weft_buf_clear(&b);
}

/* One page of what the tree API says; `query` may hold the number of the first entry as "cursor=". */
static void send_tree(struct hub *h, struct mock_conn *c, const char *repo, const char *target, const char *query)
{
    struct weft_buf b = { 0 }, more = { 0 };
    struct weft_json_out o;
    const char *at = strstr(query, "cursor=");
    size_t from = at ? strtoul(at + 7, NULL, 10) : 0;
    struct tree t = { .h = h, .repo = repo, .o = &o, .from = from, .to = h->page ? from + (size_t)h->page : SIZE_MAX };
    weft_json_out_init(&o, &b);
    weft_json_out_array(&o);
    walk(h, weft_str_printf(&h->arena, "%s/%s", h->root, repo).s, "", tree_entry, &t);
    weft_json_out_array_end(&o);
    if (t.n > t.to) {
        weft_buf_printf(&more, "Link: <http://127.0.0.1:%d/x>; rel=\"last\", ", h->port);
        if (h->stray) weft_buf_printf(&more, "<%s>; rel=\"next\"\r\n", h->stray);
        else
            weft_buf_printf(&more, "<http://127.0.0.1:%d%s?recursive=true&cursor=%zu>; rel=\"next\"\r\n", h->port,
                            target, t.to);
    }
    mock_reply(c, 200, "application/json", more.s ? more.s : "", weft_buf_view(&b));
    weft_buf_clear(&b);
    weft_buf_clear(&more);
}

/* ---- files ---- */

static void send_body(struct hub *h, struct mock_conn *c, struct weft_str body)
{
    if (h->cuts > 0 && body.len > (size_t)h->cut) {
        h->cuts--;
        mock_send(c, weft_str_sub(body, 0, (size_t)h->cut));
        mock_wait(c, 20);
        mock_reset(c);
    } else if (h->drip) mock_drip(c, body, (size_t)h->piece, (unsigned)h->drip);
    else if (h->wrong > 0 && body.len) {
        h->wrong--;
        char *copy = weft_arena_strndup(&h->arena, body.s, body.len);
        if (!copy) die("memory", "");
        copy[body.len / 2] ^= 1;
        mock_send(c, (struct weft_str){ copy, body.len });
    } else mock_send(c, body);
}

static enum fault_kind next_fault(struct hub *h)
{
    h->ranged++;
    for (size_t i = 0; i < h->n_faults; i++)
        if (h->faults[i].at == h->ranged) return h->faults[i].kind;
    return NONE;
}

static void send_file(struct hub *h, struct mock_conn *c, const struct mock_request *r, const char *repo,
                      const char *path, const char *etag)
{
    struct weft_str text = content_of(h, repo, path), range = mock_header(r, "range");
    unsigned long long from = 0, to = text.len ? text.len - 1 : 0, last = to;
    enum fault_kind fault = NONE;
    if (!text.s) {
        mock_reply(c, 404, "text/plain", "X-Error-Code: EntryNotFound\r\n", WEFT_STR("Entry not found"));
        return;
    }
    bool head = weft_str_is(r->method, "HEAD"),
         part = range.s && !h->no_range && sscanf(range.s, "bytes=%llu-%llu", &from, &to) >= 1;
    if (to > last) to = last;
    if (part && !head) fault = next_fault(h);
    if (fault == ETAG) h->etags++;
    if (fault == BUSY) {
        mock_reply(c, 503, "text/plain", "", WEFT_STR("busy"));
        return;
    }
    if (part && (from >= text.len || fault == GONE)) {
        mock_printf(c, "HTTP/1.1 416 Mock\r\nContent-Range: bytes */%zu\r\nContent-Length: 0\r\n\r\n", text.len);
        return;
    }
    if (fault == WHOLE) {
        part = false;
        from = 0;
        to = last;
    }
    if (part && h->short_range && from) from--;
    if (fault == PLACE && from < to) from++;
    if (part)
        mock_printf(c,
                    "HTTP/1.1 206 Mock\r\nETag: \"%s%.*s\"\r\nContent-Range: bytes %llu-%llu/%zu\r\n"
                    "Content-Length: %llu\r\n\r\n",
                    etag, h->etags, "++++++++", from, to, text.len, to + 1 - from);
    else
        mock_printf(c, "HTTP/1.1 200 Mock\r\nETag: \"%s%.*s\"\r\nX-Repo-Commit: %s\r\nContent-Length: %zu\r\n\r\n",
                    etag, h->etags, "++++++++", commit, text.len);
    if (head) return;
    if (part) text = weft_str_sub(text, (size_t)from, (size_t)to + 1);
    if (fault == CUT) {
        mock_send(c, weft_str_sub(text, 0, text.len / 2));
        mock_wait(c, 20);
        mock_reset(c);
    } else send_body(h, c, text);
}

static void resolve(struct hub *h, struct mock_conn *c, const struct mock_request *r, const char *repo,
                    const char *path)
{
    struct weft_str text = content_of(h, repo, path);
    if (!text.s || !is_large(h, path)) {
        send_file(h, c, r, repo, path, text.s ? git_digest(h, text) : "");
        return;
    }
    const char *digest = sha256(h, text);
    mock_printf(
        c,
        "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:%d/plain/%s/%s?sig=1\r\nX-Linked-Etag: \"%s\"\r\n"
        "X-Linked-Size: %zu\r\nX-Repo-Commit: %s\r\nContent-Length: 0\r\n\r\n",
        h->storage, repo, path, digest, text.len, commit);
}

/* ---- requests ---- */

static void decode(char *s)
{
    char *w = s;
    for (; *s; s++) {
        unsigned v;
        if (*s == '%' && sscanf(s + 1, "%2x", &v) == 1) {
            *w++ = (char)v;
            s += 2;
        } else *w++ = *s;
    }
    *w = '\0';
}

/* Splits "owner/name/rest" off; NULL: too short. */
static char *take_repo(char *s, char **rest)
{
    char *slash = strchr(s, '/'), *second = slash ? strchr(slash + 1, '/') : NULL;
    if (!second) return NULL;
    *second = '\0';
    *rest = second + 1;
    return s;
}

static bool may_read(struct hub *h, struct mock_conn *c, const struct mock_request *r, const char *repo)
{
    char bearer[256];
    const char *name = strchr(repo, '/');
    bool gated = name && strncmp(name, "/gated", 6) == 0,
         closed = gated || (name && strncmp(name, "/private", 8) == 0);
    snprintf(bearer, sizeof bearer, "Bearer %s", h->token ? h->token : "");
    if (!closed || (h->token && weft_str_is(mock_header(r, "authorization"), bearer))) {
        if (weft_dir_exists(weft_str_printf(&h->arena, "%s/%s", h->root, repo).s)) return true;
        mock_reply(c, 404, "text/plain", "X-Error-Code: RepoNotFound\r\n", WEFT_STR("Repository not found"));
        return false;
    }
    if (gated) mock_reply(c, 403, "text/plain", "X-Error-Code: GatedRepo\r\n", WEFT_STR("Access is restricted"));
    else mock_reply(c, 401, "text/plain", "X-Error-Code: RepoNotFound\r\n", WEFT_STR("Repository not found"));
    return false;
}

static void answer(struct hub *h, struct mock_conn *c, const struct mock_request *r, char *path, char *query)
{
    char *rest, *repo, *at;
    const char *full = weft_arena_strndup(&h->arena, path, strlen(path));
    bool ms = strncmp(path, "/api/v1/", 8) == 0, api = strncmp(path, "/api/", 5) == 0;
    if (!full) die("memory", "");
    if (is(path, "/bill")) {
        struct weft_str bill = weft_str_printf(&h->arena, "%llu\n", (unsigned long long)mock_sent(c));
        mock_reply(c, 200, "text/plain", "", bill);
        return;
    }
    if (strncmp(path, "/plain/", 7) == 0) {
        decode(path);
        repo = take_repo(path + 7, &rest);
        if (repo) send_file(h, c, r, repo, rest, "plain-1");
        else mock_reply(c, 404, "text/plain", "", WEFT_STR("no such file"));
        return;
    }
    at = path + (ms ? 7 : api ? 4 : 0);
    if (strncmp(at, "/models/", 8) == 0) at += 8;
    else if (strncmp(at, "/datasets/", 10) == 0) at += 10;
    else at += 1;
    repo = take_repo(at, &rest);
    if (!repo) mock_reply(c, 404, "text/plain", "", WEFT_STR("no such path"));
    else if (!may_read(h, c, r, repo)) return;
    else if (ms && (is(rest, "repo/files") || is(rest, "repo/tree"))) {
        char *page = strstr(query, "PageNumber=");
        if (page && atoi(page + 11) > 1)
            mock_reply(c, 200, "application/json", "", WEFT_STR("{\"Data\":{\"Files\":[]}}"));
        else send_list(h, c, repo, true);
    } else if (ms && is(rest, "repo")) {
        char *file = strstr(query, "FilePath=");
        if (!file) file = strstr(query, "");
        else file += 9;
        file[strcspn(file, "&")] = '\0';
        decode(file);
        send_file(h, c, r, repo, file, "ms-1");
    } else if (api && strncmp(rest, "revision/", 9) == 0) {
        if (is(rest + 9, "main") || is(rest + 9, commit)) send_list(h, c, repo, false);
        else mock_reply(c, 404, "text/plain", "X-Error-Code: RevisionNotFound\r\n", WEFT_STR("Invalid rev id"));
    } else if (api && strncmp(rest, "tree/", 5) == 0 && !h->no_tree) {
        send_tree(h, c, repo, full, query);
    } else if (strncmp(rest, "resolve/", 8) == 0 && strchr(rest + 8, '/')) {
        char *file = strchr(rest + 8, '/') + 1;
        decode(file);
        resolve(h, c, r, repo, file);
    } else mock_reply(c, 404, "text/plain", "", WEFT_STR("no such path"));
}

static void handle(void *ctx, struct mock_conn *c, const struct mock_request *r)
{
    struct hub *h = ctx;
    char path[8192], none[1] = "", *query = none;
    struct weft_str range = mock_header(r, "range"), auth = mock_header(r, "authorization");
    snprintf(path, sizeof path, "%.*s", (int)r->target.len, r->target.s);
    if (h->log_fd >= 0)
        dprintf(h->log_fd,
                "{\"method\":\"%.*s\",\"target\":\"%s\",\"port\":\"%s\",\"range\":\"%.*s\",\"auth\":\"%.*s\"}\n",
                (int)r->method.len, r->method.s, path, r->port == h->port ? "site" : "storage", (int)range.len,
                range.s ? range.s : "", (int)auth.len, auth.s ? auth.s : "");
    if (strchr(path, '?')) {
        query = strchr(path, '?');
        *query++ = '\0';
    }
    if (h->busy > 0) {
        h->busy--;
        mock_reply(c, 503, "text/plain", "", WEFT_STR("busy"));
    } else if (h->limit > 0) {
        h->limit--;
        mock_reply(c, 429, "text/plain", "Retry-After: 0\r\n", WEFT_STR("slow down"));
    } else answer(h, c, r, path, query);
    weft_arena_clear(&h->arena);
}

static void add_fault(struct hub *h, const char *text)
{
    static const char *const names[] = { "", "reset@", "busy@", "gone@", "whole@", "place@", "etag@" };
    for (int i = 1; i < (int)WEFT_COUNT(names); i++) {
        size_t n = strlen(names[i]);
        if (strncmp(text, names[i], n) != 0 || h->n_faults == WEFT_COUNT(h->faults)) continue;
        h->faults[h->n_faults++] = (struct fault){ (enum fault_kind)i, atoi(text + n) };
        return;
    }
    die("no such fault: ", text);
}

int main(int argc, char **argv)
{
    static struct hub h = { .log_fd = -1, .piece = 1024 };
    int seconds = 600, buffer = 0;
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i];
        if (is(name, "--no-range")) h.no_range = true;
        else if (is(name, "--no-digests")) h.no_digests = true;
        else if (is(name, "--short-range")) h.short_range = true;
        else if (is(name, "--no-siblings")) h.no_siblings = true;
        else if (is(name, "--no-tree")) h.no_tree = true;
        else if (i + 1 == argc) die("this option takes a value: ", name);
        else if (is(name, "--root")) h.root = argv[++i];
        else if (is(name, "--token")) h.token = argv[++i];
        else if (is(name, "--evil")) h.evil = argv[++i];
        else if (is(name, "--lfs")) h.lfs = argv[++i];
        else if (is(name, "--cut")) h.cut = atoi(argv[++i]);
        else if (is(name, "--cuts")) h.cuts = atoi(argv[++i]);
        else if (is(name, "--wrong")) h.wrong = atoi(argv[++i]);
        else if (is(name, "--busy")) h.busy = atoi(argv[++i]);
        else if (is(name, "--limit")) h.limit = atoi(argv[++i]);
        else if (is(name, "--fault")) add_fault(&h, argv[++i]);
        else if (is(name, "--piece")) h.piece = atoi(argv[++i]);
        else if (is(name, "--page")) h.page = atoi(argv[++i]);
        else if (is(name, "--stray")) h.stray = argv[++i];
        else if (is(name, "--buffer")) buffer = atoi(argv[++i]);
        else if (is(name, "--drip")) h.drip = atoi(argv[++i]);
        else if (is(name, "--port")) h.port = atoi(argv[++i]);
        else if (is(name, "--seconds")) seconds = atoi(argv[++i]);
        else if (is(name, "--log")) {
            h.log_fd = open(argv[++i], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
            if (h.log_fd < 0) die("cannot write ", argv[i]);
        } else die("unknown option ", name);
    }
    if (!h.root) die("--root is needed", "");
    struct mock *server = mock_new(handle, &h);
    if (buffer) mock_buffer(server, buffer);
    mock_listen(server, &h.port);
    mock_listen(server, &h.storage);
    mock_run(server, seconds);
    return 0;
}
