/* base/pool.h - worker threads
 *
 * weft_pool_run cuts work into numbered chunks; which thread takes a chunk is left to chance, what a chunk
 * computes is not: chunks never depend on the number of threads, so that 1 and 64 threads give the same bits.
 * Regions should be few and large (a region costs about a microsecond while the workers spin).  On a machine that is
 * shared, a worker that does not get a processor is not waited for: the others take its chunks.
 * Why not OpenMP: its threads are process-wide state, ThreadSanitizer cannot see its barriers, and a server
 * wants several pools of different sizes.
 */
#ifndef WEFT_BASE_POOL_H
#define WEFT_BASE_POOL_H

#include "base/status.h"

#include <stddef.h>

struct weft_pool;

/* n_threads in all, the caller's included; 0 means one per processor this process may use. */
WEFT_MUST_USE enum weft_status weft_pool_new(struct weft_pool **out, int n_threads, struct weft_err *err);
void weft_pool_free(struct weft_pool *p);         /* accepts NULL */
int weft_pool_threads(const struct weft_pool *p); /* NULL: 1 */

/* Calls fn(ctx, chunk, thread) for chunk = 0 ... n_chunks-1, on the caller's and the pool's threads, and returns
 * when all are done.  `thread` is 0 ... threads-1 and indexes per-thread scratch.  A NULL pool runs in place.
 * Not reentrant: fn must not call weft_pool_run on the same pool; one caller at a time. */
typedef void weft_pool_fn(void *ctx, size_t chunk, int thread);
void weft_pool_run(struct weft_pool *p, size_t n_chunks, weft_pool_fn *fn, void *ctx);

#endif
