/* Workers wait for a new generation number: they spin for some tens of microseconds, because the next region of
 * a training step comes soon, then sleep on a futex-backed condition variable, because a busy neighbour needs the
 * processor more than a waiting thread does. */
#include "base/pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

enum { SPINS = 2000 };

struct worker {
    struct weft_pool *pool;
    pthread_t id;
    int thread;
};

struct weft_pool {
    int n_threads, n_started;
    struct worker *workers; /* [n_threads - 1] */
    pthread_mutex_t lock;   /* guards `generation` changes, `sleeping` and the two conditions */
    pthread_cond_t start, finish;
    _Atomic uint64_t generation;
    _Atomic size_t next_chunk;
    _Atomic int n_busy; /* workers that have not finished this generation */
    _Atomic bool stop;
    size_t n_chunks;
    weft_pool_fn *fn;
    void *ctx;
};

static inline void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

static void take_chunks(struct weft_pool *p, int thread)
{
    for (;;) {
        size_t chunk = atomic_fetch_add_explicit(&p->next_chunk, 1, memory_order_relaxed);
        if (chunk >= p->n_chunks) return;
        p->fn(p->ctx, chunk, thread);
    }
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    struct weft_pool *p = w->pool;
    uint64_t seen = 0;
    for (;;) {
        int spins = 0;
        while (atomic_load_explicit(&p->generation, memory_order_acquire) == seen && spins++ < SPINS) relax();
        if (atomic_load_explicit(&p->generation, memory_order_acquire) == seen) {
            pthread_mutex_lock(&p->lock);
            while (atomic_load_explicit(&p->generation, memory_order_acquire) == seen)
                pthread_cond_wait(&p->start, &p->lock);
            pthread_mutex_unlock(&p->lock);
        }
        seen = atomic_load_explicit(&p->generation, memory_order_acquire);
        if (atomic_load_explicit(&p->stop, memory_order_acquire)) return NULL;
        take_chunks(p, w->thread);
        if (atomic_fetch_sub_explicit(&p->n_busy, 1, memory_order_acq_rel) == 1) {
            pthread_mutex_lock(&p->lock);
            pthread_cond_signal(&p->finish);
            pthread_mutex_unlock(&p->lock);
        }
    }
}

static int processors(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set)) return 1;
    int n = CPU_COUNT(&set);
    return n > 0 ? n : 1;
}

enum weft_status weft_pool_new(struct weft_pool **out, int n_threads, struct weft_err *err)
{
    *out = NULL;
    if (n_threads < 0 || n_threads > 1024)
        return weft_fail(err, WEFT_EARG, "threads is %d; expected 0 (all processors) to 1024", n_threads);
    if (!n_threads) n_threads = processors();
    struct weft_pool *p = calloc(1, sizeof *p);
    struct worker *workers = calloc((size_t)n_threads, sizeof *workers);
    if (!p || !workers) {
        free(p);
        free(workers);
        return weft_fail_nomem(err, (size_t)n_threads * sizeof *workers, "threads");
    }
    p->n_threads = n_threads;
    p->workers = workers;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->start, NULL);
    pthread_cond_init(&p->finish, NULL);
    for (int t = 1; t < n_threads; t++) {
        struct worker *w = &workers[t - 1];
        *w = (struct worker){ .pool = p, .thread = t };
        if (pthread_create(&w->id, NULL, worker_main, w)) {
            weft_pool_free(p);
            return weft_fail(err, WEFT_ESYSTEM, "cannot start thread %d of %d", t + 1, n_threads);
        }
        p->n_started++;
    }
    *out = p;
    return WEFT_OK;
}

/* Publishes a new generation; sleeping workers need the lock to miss no wake-up. */
static void wake(struct weft_pool *p)
{
    pthread_mutex_lock(&p->lock);
    atomic_fetch_add_explicit(&p->generation, 1, memory_order_release);
    pthread_cond_broadcast(&p->start);
    pthread_mutex_unlock(&p->lock);
}

void weft_pool_free(struct weft_pool *p)
{
    if (!p) return;
    atomic_store_explicit(&p->stop, true, memory_order_release);
    wake(p);
    for (int t = 0; t < p->n_started; t++) pthread_join(p->workers[t].id, NULL);
    pthread_cond_destroy(&p->finish);
    pthread_cond_destroy(&p->start);
    pthread_mutex_destroy(&p->lock);
    free(p->workers);
    free(p);
}

int weft_pool_threads(const struct weft_pool *p) { return p ? p->n_threads : 1; }

void weft_pool_run(struct weft_pool *p, size_t n_chunks, weft_pool_fn *fn, void *ctx)
{
    if (!p || p->n_threads == 1 || n_chunks <= 1) {
        for (size_t c = 0; c < n_chunks; c++) fn(ctx, c, 0);
        return;
    }
    p->fn = fn;
    p->ctx = ctx;
    p->n_chunks = n_chunks;
    atomic_store_explicit(&p->next_chunk, 0, memory_order_relaxed);
    atomic_store_explicit(&p->n_busy, p->n_started, memory_order_relaxed);
    wake(p);
    take_chunks(p, 0);
    for (int spins = 0; atomic_load_explicit(&p->n_busy, memory_order_acquire) && spins < SPINS; spins++)
        relax();
    if (atomic_load_explicit(&p->n_busy, memory_order_acquire)) {
        pthread_mutex_lock(&p->lock);
        while (atomic_load_explicit(&p->n_busy, memory_order_acquire))
            pthread_cond_wait(&p->finish, &p->lock);
        pthread_mutex_unlock(&p->lock);
    }
}
