/* tests/train/threads.h - ranks that are threads of one process: the seam of train/cluster.h without MPI */
#ifndef WEFT_TESTS_TRAIN_THREADS_H
#define WEFT_TESTS_TRAIN_THREADS_H

#include "train/cluster.h"

#include <pthread.h>
#include <stdint.h>
#include <string.h>

enum { MOST_RANKS = 8 };

/* Where they meet. */
struct meeting {
    pthread_mutex_t lock;
    pthread_cond_t all_here;
    int size, waiting;
    uint64_t met;
    bool gone;                          /* a rank has left for good */
    const void *data[MOST_RANKS];
    size_t bytes[MOST_RANKS];
    bool mismatch;                      /* two ranks did not ask for the same */
};

struct seat {
    struct meeting *at;
    int rank;
    uint64_t calls, dies_at;            /* the call that never happens; 0: none */
};

static inline int meet(struct meeting *m)
{
    pthread_mutex_lock(&m->lock);
    uint64_t now = m->met;
    if (++m->waiting == m->size) {
        m->waiting = 0;
        m->met++;
        pthread_cond_broadcast(&m->all_here);
    }
    while (m->met == now && !m->gone) pthread_cond_wait(&m->all_here, &m->lock);
    bool came = m->met != now;
    pthread_mutex_unlock(&m->lock);
    return !came;
}

static inline void leave_for_good(struct meeting *m)
{
    pthread_mutex_lock(&m->lock);
    m->gone = true;
    pthread_cond_broadcast(&m->all_here);
    pthread_mutex_unlock(&m->lock);
}

/* All show their data, look at the others', and wait until everybody has looked. */
static inline int show_data(struct seat *s, const void *data, size_t bytes, uint64_t kind)
{
    struct meeting *m = s->at;
    bool same = true;
    if (++s->calls == s->dies_at) {
        leave_for_good(m);
        return 1;
    }
    m->data[s->rank] = data;
    m->bytes[s->rank] = bytes * 4 + kind;
    if (meet(m)) return 1;
    for (int k = 0; k < m->size; k++) same = same && m->bytes[k] == m->bytes[s->rank];
    if (same) return 0;
    pthread_mutex_lock(&m->lock);
    m->mismatch = true;
    pthread_mutex_unlock(&m->lock);
    return 1;
}

static inline int threads_exchange(void *ctx, const void *send, void *recv, size_t bytes)
{
    struct seat *s = ctx;
    if (show_data(s, send, bytes, 0)) return 1;
    for (int k = 0; k < s->at->size; k++)
        memcpy((char *)recv + (size_t)k * bytes, (const char *)s->at->data[k] + (size_t)s->rank * bytes, bytes);
    return meet(s->at);
}

static inline int threads_gather(void *ctx, const void *mine, void *all, size_t bytes)
{
    struct seat *s = ctx;
    if (show_data(s, mine, bytes, 1)) return 1;
    for (int k = 0; k < s->at->size; k++) memcpy((char *)all + (size_t)k * bytes, s->at->data[k], bytes);
    return meet(s->at);
}

static inline int threads_spread(void *ctx, int from, void *data, size_t bytes)
{
    struct seat *s = ctx;
    if (show_data(s, data, bytes, 2)) return 1;
    if (s->rank != from) memcpy(data, s->at->data[from], bytes);
    return meet(s->at);
}

static inline void meeting_init(struct meeting *m, int size)
{
    memset(m, 0, sizeof *m);
    pthread_mutex_init(&m->lock, NULL);
    pthread_cond_init(&m->all_here, NULL);
    m->size = size;
}

static inline struct weft_cluster threads_cluster(struct seat *s, struct meeting *m, int rank)
{
    *s = (struct seat){ .at = m, .rank = rank };
    return (struct weft_cluster){ .rank = rank, .size = m->size, .here = 1, .ctx = s, .exchange = threads_exchange,
                                  .gather = threads_gather, .spread = threads_spread, .peers = "threads" };
}

#endif
