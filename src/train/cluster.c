#include "train/cluster.h"

#include "base/str.h"

#include <stdlib.h>

static enum weft_status answer(struct weft_cluster *c, int failed, struct weft_err *err)
{
    if (!failed) return WEFT_OK;
    c->lost = true;
    return weft_fail(err, WEFT_EREMOTE, "a rank of this run is gone, or does not answer any more");
}

enum weft_status weft_cluster_exchange(struct weft_cluster *c, const void *send, void *recv, size_t bytes,
                                       struct weft_err *err)
{
    return answer(c, c->lost || c->exchange(c->ctx, send, recv, bytes), err);
}

enum weft_status weft_cluster_gather(struct weft_cluster *c, const void *mine, void *all, size_t bytes,
                                     struct weft_err *err)
{
    return answer(c, c->lost || c->gather(c->ctx, mine, all, bytes), err);
}

enum weft_status weft_cluster_spread(struct weft_cluster *c, int from, void *data, size_t bytes, struct weft_err *err)
{
    enum { MOST = 1 << 28 };        /* a count of MPI is an int */
    enum weft_status st = WEFT_OK;
    for (size_t at = 0; !st && at < bytes; at += MOST) {
        size_t n = bytes - at < MOST ? bytes - at : MOST;
        st = answer(c, c->lost || c->spread(c->ctx, from, (char *)data + at, n), err);
    }
    return st;
}

enum weft_status weft_cluster_agree(struct weft_cluster *c, enum weft_status st, struct weft_err *err)
{
    int one = (int)st, worst = -1;
    if (weft_cluster_size(c) == 1) return st;
    int *all = calloc((size_t)c->size, sizeof *all);
    if (!all) {
        c->lost = true;         /* the others must not wait for what cannot be said */
        return weft_fail_nomem(err, (size_t)c->size * sizeof *all, "answers of the ranks");
    }
    enum weft_status met = weft_cluster_gather(c, &one, all, sizeof one, err);
    for (int k = 0; !met && k < c->size; k++) {
        if (all[k] && worst < 0) worst = k;
        if (all[k] == WEFT_ECANCEL && all[worst] != WEFT_ECANCEL) worst = k;
    }
    enum weft_status agreed = met ? met : worst < 0 ? WEFT_OK : (enum weft_status)all[worst];
    free(all);
    if (met || worst < 0) return st ? st : agreed;

    struct weft_err theirs = { .lang = err ? err->lang : WEFT_LANG_EN };
    if (c->rank == worst && err) theirs = *err;
    met = weft_cluster_spread(c, worst, &theirs, sizeof theirs, err);
    if (met) return met;
    if (c->rank != worst && err) {
        weft_err_clear(err);
        enum weft_status ignored = weft_fail_rule(err, agreed, theirs.rule, "rank %d: %s", worst, theirs.msg);
        (void)ignored;
    }
    return agreed;
}
