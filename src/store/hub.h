/* store/hub.h - models and datasets from Hugging Face and ModelScope, and single files from anywhere
 *
 * A repository is listed, its files chosen, fetched side by side, verified, and put where the Python tools of the site
 * look too, so that nothing is fetched twice by two programs.  Layouts:
 *
 *     hf   CACHE/models--owner--name/blobs/<etag>, snapshots/<commit>/<path> -> blob, refs/<revision> holding the
 * commit
 *     ms   CACHE/models/owner/name/<path>, dots of the name written "___"
 *
 * A file being fetched is NAME.incomplete; it is renamed only after its size and digest (SHA-256 of LFS files, git's
 * SHA-1 of others) are right (rule B7).  Stopped or killed, the next pull goes on where it was.  Names from a listing
 * are checked before they become paths.  The token goes to the site alone, never to the storage it redirects to.
 *
 * Everything about the user's environment (tokens, mirrors, proxies) comes in through the options.
 */
#ifndef WEFT_STORE_HUB_H
#define WEFT_STORE_HUB_H

#include "base/http.h"

enum weft_hub_site { WEFT_HUB_HF, WEFT_HUB_MS, WEFT_HUB_LOCAL };

struct weft_hub_repo {
    enum weft_hub_site site;
    bool dataset;
    const char *id;       /* "owner/name", or "name" at Hugging Face; of WEFT_HUB_LOCAL the path of a folder or file */
    const char *revision; /* branch, tag or commit; "main" or "master" when none was given */
    const char *quant;    /* "Q4_K_M" of "owner/name:Q4_K_M"; NULL: none */
    const char *file;     /* the path of "owner/name/path/of/file"; NULL: none */
};

/* "[hf:|ms:]owner/name[/file][:QUANT][@revision]"; "/path", "./path", "../path" and "file:///path" are on this machine.
 * WEFT_EARG says what is expected. */
WEFT_MUST_USE enum weft_status weft_hub_parse(struct weft_arena *a, const char *text, bool dataset,
                                              struct weft_hub_repo *out, struct weft_err *err);

struct weft_hub_options {
    const char *hf_endpoint, *hf_token, *hf_cache; /* NULL endpoint: https://huggingface.co; cache: ".../hub" */
    const char *ms_endpoint, *ms_token, *ms_cache; /* NULL endpoint: https://www.modelscope.cn */
    bool offline;                                  /* no connection: what is in the cache, or an error */
    bool all;                                      /* every file of the repository */
    const char *const
        *files; /* [n_files] paths or patterns ("train-*.jsonl") to take; none: what a model needs, or
                                     everything of a dataset */
    size_t n_files;
    int parallel;                        /* files at a time; 0: 4 */
    int ranges;                          /* of one large file at a time; 0: 4, 1: large files come in one stream too */
    uint64_t range_bytes;                /* a larger file is asked for in ranges of this length; 0: 64 MiB */
    uint32_t backoff_ms, max_backoff_ms; /* between tries; 0: 1 s and 30 s */
    uint32_t gap_ms;                     /* silence that ends a transfer; 0: 60 s */
    struct weft_http_options http;
    const struct weft_progress *progress; /* stage "downloading", in bytes; messages about what is odd */
};

struct weft_hub_file {
    const char *path;          /* in the repository */
    uint64_t size;             /* UINT64_MAX: not told */
    char sha256[65], sha1[41]; /* "" where not told; sha1 is git's, of a blob */
};

struct weft_hub_result {
    const char *path;                  /* the folder, or the file when one was asked for */
    const char *commit;                /* "" where the site tells none */
    const struct weft_hub_file *files; /* [n_files] what is there now, of what was asked for */
    size_t n_files;
    uint64_t bytes, fetched_bytes; /* of all these files; of those that came over the network */
    bool from_cache;               /* the site was not asked, or did not answer */
};

/* WEFT_EREMOTE: the site says no or does not answer; the message says what to change.  WEFT_EINPUT (B7): a digest that
 * does not fit, twice.  WEFT_ECANCEL: partial files are kept. */
WEFT_MUST_USE enum weft_status weft_hub_pull(struct weft_arena *a, const struct weft_hub_repo *repo,
                                             const struct weft_hub_options *options, struct weft_hub_result *out,
                                             struct weft_err *err);

/* Of WEFT_HUB_LOCAL nothing is fetched: the folder is looked through as a repository is, and must hold what it says. */

/* Only looks into the cache, without messages: WEFT_EARG when the repository is not there or not complete. */
WEFT_MUST_USE enum weft_status weft_hub_find(struct weft_arena *a, const struct weft_hub_repo *repo,
                                             const struct weft_hub_options *options, struct weft_hub_result *out,
                                             struct weft_err *err);

/* Every whole model in the caches of both sites, in the order of their folders. */
struct weft_hub_cached {
    const char *word, *path;    /* "hf:owner/name"; the folder with its files */
};
WEFT_MUST_USE enum weft_status weft_hub_cached(struct weft_arena *a, const struct weft_hub_options *options,
                                               struct weft_hub_cached **list, size_t *n, struct weft_err *err);

/* One file from any http or https address to `path`.  `sha256`: 64 digits that its content must have, or NULL; an
 * address of a page about a file (github.com/.../blob/...) means the file.  result->files[0].sha256 is what came. */
WEFT_MUST_USE enum weft_status weft_hub_fetch_url(struct weft_arena *a, const char *url, const char *sha256,
                                                  const char *path, const struct weft_hub_options *options,
                                                  struct weft_hub_result *out, struct weft_err *err);

/* ---- listings, separate for tests and fuzzing ---- */

struct weft_hub_list {
    const char *commit;          /* "" where there is none */
    struct weft_hub_file *files; /* [n] paths are checked, unique and sorted */
    size_t n, cap;
    size_t seen; /* entries of the last page, folders too: a short page is the last */
};
/* Adds an answer of the site to *out, which begins zeroed. WEFT_EINPUT: no listing, or a path that leaves the folder
 * (B7).  An answer of Hugging Face with a commit and no list of files leaves n as it was. */
WEFT_MUST_USE enum weft_status weft_hub_list_read(struct weft_arena *a, enum weft_hub_site site, const char *name,
                                                  struct weft_str json, struct weft_hub_list *out,
                                                  struct weft_err *err);
/* The same of a page of Hugging Face's tree API; the files stay in their order until _sort, which refuses a path that
 * stands twice. */
WEFT_MUST_USE enum weft_status weft_hub_tree_read(struct weft_arena *a, const char *name, struct weft_str json,
                                                  struct weft_hub_list *list, struct weft_err *err);
WEFT_MUST_USE enum weft_status weft_hub_list_sort(struct weft_hub_list *list, const char *name, struct weft_err *err);
/* The address with rel="next" of a Link header, as it stands there; s == NULL: none. */
struct weft_str weft_hub_next_link(struct weft_str link);
/* Keeps what `repo` and `options` ask for. WEFT_EARG: nothing, or several where one is wanted; the message names
 * them. */
WEFT_MUST_USE enum weft_status weft_hub_choose(struct weft_arena *a, const struct weft_hub_repo *repo,
                                               const struct weft_hub_options *options, struct weft_hub_list *list,
                                               struct weft_err *err);
/* A relative path of plain names: no "..", ".", empty part, backslash, control character, nothing above 1 KiB. */
bool weft_hub_path_ok(struct weft_str path);
/* Does this word name a place on this machine ("/x", "./x", "../x", "file:///x")? */
bool weft_hub_is_local(const char *text);

#endif
