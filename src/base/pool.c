/* One word holds the region's number and how many of its chunks nobody has taken; a chunk is taken by lowering it with
 * compare-and-swap.  Whoever succeeds holds an unfinished chunk of the region he saw, and weft_pool_run does not
 * return before it is done: so a thread that comes late takes nothing, and nobody has to wait until it has looked.
 * That matters where the processors are shared: a worker that the system has put aside for milliseconds holds up
 * only what it has begun.
 *
 * Waiting is spinning for some tens of microseconds, because the next region of a training step comes soon, then
 * sleeping on a condition variable (a futex), because a busy neighbour needs the processor more than a waiting
 * thread does.  Who goes to sleep says so first and then looks once more; who has news tells it first and then looks
 * whether someone sleeps.  Both orders are sequentially consistent, so no wake-up is missed, and as long as
 * everyone spins no lock is taken.  Why not sched_yield: it hands the processor away for a whole time slice, to
 * win a wait of microseconds. */
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
    _Atomic uint64_t region; /* number << 32 | chunks not taken */
    _Atomic size_t n_done;   /* chunks of this region that workers have finished */
    _Atomic bool stop;
    size_t n_chunks;         /* these three change only while no chunk is under way */
    weft_pool_fn *fn;
    void *ctx;
    pthread_mutex_t lock; /* held to fall asleep and to wake */
    pthread_cond_t start, finish;
    _Atomic int n_asleep;       /* 0: no worker waits for `start` that nobody has woken */
    _Atomic bool caller_asleep; /* weft_pool_run waits for `finish` */
};

static inline void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

/* Takes and computes chunks until none is left, in ascending order; how many. */
static size_t take_chunks(struct weft_pool *p, int thread)
{
    size_t n_taken = 0;
    uint64_t seen = atomic_load_explicit(&p->region, memory_order_acquire);
    while ((uint32_t)seen) {
        if (!atomic_compare_exchange_weak_explicit(&p->region, &seen, seen - 1, memory_order_acquire,
                                                   memory_order_acquire))
            continue;
        p->fn(p->ctx, p->n_chunks - (uint32_t)seen, thread);
        n_taken++;
        seen = atomic_load_explicit(&p->region, memory_order_acquire);
    }
    return n_taken;
}

static bool is_news(struct weft_pool *p, uint32_t seen)
{
    return (uint32_t)(atomic_load(&p->region) >> 32) != seen;
}

static void await_region(struct weft_pool *p, uint32_t seen)
{
    for (int spins = 0; spins < SPINS; spins++) {
        if (is_news(p, seen)) return;
        relax();
    }
    pthread_mutex_lock(&p->lock);
    for (;;) {
        /* Anew each time: who opened a region that is over already may have been late to wake, and has reset it. */
        atomic_fetch_add(&p->n_asleep, 1);
        if (is_news(p, seen)) break;
        pthread_cond_wait(&p->start, &p->lock);
    }
    pthread_mutex_unlock(&p->lock);
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    struct weft_pool *p = w->pool;
    for (uint32_t seen = 0;;) {
        await_region(p, seen);
        seen = (uint32_t)(atomic_load(&p->region) >> 32);
        if (atomic_load(&p->stop)) return NULL;
        size_t n_taken = take_chunks(p, w->thread);
        if (!n_taken) continue;
        atomic_fetch_add(&p->n_done, n_taken);
        if (!atomic_load(&p->caller_asleep)) continue;
        pthread_mutex_lock(&p->lock);
        pthread_cond_signal(&p->finish);
        pthread_mutex_unlock(&p->lock);
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

/* Opens the next region, of n chunks, and wakes who sleeps. */
static void open_region(struct weft_pool *p, uint32_t n)
{
    uint32_t number = (uint32_t)(atomic_load_explicit(&p->region, memory_order_relaxed) >> 32);
    atomic_store(&p->region, (uint64_t)(number + 1) << 32 | n);
    if (!atomic_load(&p->n_asleep)) return;
    pthread_mutex_lock(&p->lock);
    atomic_store(&p->n_asleep, 0);
    pthread_cond_broadcast(&p->start);
    pthread_mutex_unlock(&p->lock);
}

static void await_done(struct weft_pool *p, size_t n)
{
    for (int spins = 0; spins < SPINS; spins++) {
        if (atomic_load(&p->n_done) == n) return;
        relax();
    }
    pthread_mutex_lock(&p->lock);
    atomic_store(&p->caller_asleep, true);
    while (atomic_load(&p->n_done) != n) pthread_cond_wait(&p->finish, &p->lock);
    atomic_store(&p->caller_asleep, false);
    pthread_mutex_unlock(&p->lock);
}

void weft_pool_free(struct weft_pool *p)
{
    if (!p) return;
    atomic_store(&p->stop, true);
    open_region(p, 0);
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
    if (!p || p->n_threads == 1 || n_chunks <= 1 || n_chunks > UINT32_MAX) {
        for (size_t c = 0; c < n_chunks; c++) fn(ctx, c, 0);
        return;
    }
    p->fn = fn;
    p->ctx = ctx;
    p->n_chunks = n_chunks;
    atomic_store_explicit(&p->n_done, 0, memory_order_relaxed);
    open_region(p, (uint32_t)n_chunks);
    await_done(p, n_chunks - take_chunks(p, 0));
}
