/* store/hub_parts.h - fetching files side by side; shared by the parts of store/hub */
#ifndef WEFT_STORE_HUB_PARTS_H
#define WEFT_STORE_HUB_PARTS_H

#include "store/hub.h"

/* What a user can set about a site, named in messages. */
struct weft_hub_settings {
    const char *endpoint, *token; /* "HF_ENDPOINT", "HF_TOKEN" */
};

struct weft_hub_fetch {
    const char *name;                         /* for messages */
    const char *url, *bearer;                 /* bearer NULL: none */
    const struct weft_hub_settings *settings; /* NULL: any address */
    const char *target;        /* the final name; TARGET.incomplete beside it while it is fetched */
    const char *lock;          /* a file to lock while fetching, or NULL */
    uint64_t size;             /* UINT64_MAX: not known */
    const char *sha256, *sha1; /* what the content must have; NULL or "": not known */
    bool resume;               /* an .incomplete of an earlier run may be continued (the digest will tell) */
    bool present;              /* out: the target was there already */
    uint64_t fetched;          /* out: bytes that came over the network */
    char got_sha256[65];       /* out */
};

/* Fetches all, `options->parallel` at a time.  The first failure stops the others; what came is kept. */
WEFT_MUST_USE enum weft_status weft_hub_fetch_all(struct weft_http *http, struct weft_hub_fetch *fetches, size_t n,
                                                  const struct weft_hub_options *options, struct weft_err *err);

struct weft_hub_question {
    const char *name, *url, *bearer;
    const struct weft_hub_settings *settings;
    bool head; /* a HEAD request, where a redirect to elsewhere is an answer as well */
    int tries;
};
/* One short reply, tried again like a file; statuses other than 200 are errors explained by weft_hub_refused.  *body
 * and *headers (may be NULL) are strings in `a`; *unreachable (may be NULL): no reply came at all. */
WEFT_MUST_USE enum weft_status weft_hub_ask(struct weft_http *http, struct weft_arena *a,
                                            const struct weft_hub_question *question,
                                            const struct weft_hub_options *options, struct weft_str *body,
                                            struct weft_http_reply *headers, bool *unreachable,
                                            struct weft_err *err);
/* Why a site did not give `name`: its reply was no, or none came; and what to set. */
enum weft_status weft_hub_refused(const struct weft_http_reply *reply, const char *name,
                                  const struct weft_hub_settings *settings, struct weft_err *err);

/* "file:///a%20b", "file://localhost/a" or a path -> the path. */
WEFT_MUST_USE enum weft_status weft_hub_local_path(struct weft_arena *a, const char *text, const char **path,
                                                   struct weft_err *err);
/* A folder or file of this machine as if it had been pulled. */
WEFT_MUST_USE enum weft_status weft_hub_pull_local(struct weft_arena *a, const struct weft_hub_repo *repo,
                                                   const struct weft_hub_options *options,
                                                   struct weft_hub_result *out, struct weft_err *err);
/* Are the weights that a folder announces all there? */
bool weft_hub_has_weights(struct weft_arena *a, const char *folder);

/* fsync of the folder that holds path. */
void weft_hub_sync_folder(const char *path);

#endif
