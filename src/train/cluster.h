/* train/cluster.h - processes that train one model together
 *
 * The ranks of a run see the same files and settings; micro-batch number i of an update is computed by rank i mod size,
 * and the gradients are added in the order of the micro-batches (train/sums.h), so that N ranks end in the bits of one
 * rank that accumulates N times as many.  Rank 0 alone reads and writes output_dir.
 *
 * What connects the ranks is somebody else's: a plug-in over MPI (plugins/weft_mpi.c), threads in the tests.  It
 * fills this struct, which is plain C, so that a plug-in needs no function of weft.
 *
 * Threads: all calls come from the thread that trains.
 */
#ifndef WEFT_TRAIN_CLUSTER_H
#define WEFT_TRAIN_CLUSTER_H

#include "base/status.h"

#include <stdbool.h>

struct weft_cluster {
    int rank, size;
    int here;                   /* ranks on this machine, this one included */
    void *ctx;
    /* Every rank calls the same of these with the same sizes.  Not 0: a rank is gone, and no further call will succeed.
     * exchange: block k of `send` goes to rank k, block k of `recv` has come from it, each of `bytes`.
     * gather:   all [size][bytes], block k is the `mine` of rank k.
     * spread:   `data` of rank `from` to all. */
    int (*exchange)(void *ctx, const void *send, void *recv, size_t bytes);
    int (*gather)(void *ctx, const void *mine, void *all, size_t bytes);
    int (*spread)(void *ctx, int from, void *data, size_t bytes);
    bool lost;                  /* a call has failed */
    char peers[64];             /* what connects them: "Open MPI 4.1.4" */
};

/* What a plug-in exports as `weft_cluster_plugin`. */
struct weft_cluster_plugin {
    const char *version;        /* WEFT_VERSION, and ... */
    size_t bytes;               /* ... sizeof(struct weft_cluster), as it was built */
    /* NULL, or why there are no ranks.  `cancel` is set when the process is told to stop: rank 0 then does not wait
     * long for others that do not come. */
    const char *(*join)(struct weft_cluster *c, volatile const int *cancel);
    void (*leave)(struct weft_cluster *c);
};

/* No cluster (NULL) is one of size 1. */
static inline int weft_cluster_rank(const struct weft_cluster *c) { return c ? c->rank : 0; }
static inline int weft_cluster_size(const struct weft_cluster *c) { return c ? c->size : 1; }

/* These fail with WEFT_EREMOTE when a rank is gone, and from then on at once. */
WEFT_MUST_USE enum weft_status weft_cluster_exchange(struct weft_cluster *c, const void *send, void *recv, size_t bytes,
                                                     struct weft_err *err);
WEFT_MUST_USE enum weft_status weft_cluster_gather(struct weft_cluster *c, const void *mine, void *all, size_t bytes,
                                                   struct weft_err *err);
WEFT_MUST_USE enum weft_status weft_cluster_spread(struct weft_cluster *c, int from, void *data, size_t bytes,
                                                   struct weft_err *err);

/* All ranks leave with the same status: WEFT_OK where all bring that; else WEFT_ECANCEL where one does; else the error
 * of the lowest rank that failed, with its message and its number.  Alone: `st`. */
WEFT_MUST_USE enum weft_status weft_cluster_agree(struct weft_cluster *c, enum weft_status st, struct weft_err *err);

#endif
