/* weft-mpi.so - the ranks of mpirun and srun, as train/cluster.h wants them
 *
 * Built only where an MPI compiler is found, against that MPI (the ABIs of Open MPI and MPICH differ); opened by the
 * program when a launcher has started it as one of several ranks.  It needs no function of weft and no other verb
 * knows of it.
 *
 * Calls are waited for with MPI_Test and short sleeps: a rank that waits leaves its processor to the others, and a
 * rank that is gone does not hold rank 0 for ever.  Launchers end a job that has lost a rank by SIGTERM to the others
 * and SIGKILL soon after (Open MPI: one second), so rank 0, told to stop, waits a moment for the others to come to the
 * same end, then gives them up: in the time that is left it saves the last whole update. */
#include "train/cluster.h"

#include <mpi.h>

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PATIENCE_MS = 300, OTHERS_PATIENCE_MS = 60000, SPINS = 2000 };

struct ranks {
    MPI_Comm comm;
    volatile const int *cancel;
    int rank;
};

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

/* `started`: what the call that made the request returned. */
static int wait_for(struct ranks *r, int started, MPI_Request *q)
{
    double told = 0, most = r->rank == 0 ? PATIENCE_MS : OTHERS_PATIENCE_MS;
    int done = 0;
    if (started != MPI_SUCCESS) return 1;
    for (long spins = 0;; spins++) {
        if (MPI_Test(q, &done, MPI_STATUS_IGNORE) != MPI_SUCCESS) return 1;
        if (done) return 0;
        if (spins < SPINS) {
            sched_yield();
            continue;
        }
        struct timespec pause = { 0, 100000 };
        nanosleep(&pause, NULL);
        if (!*r->cancel) continue;
        if (told == 0) told = now_ms();
        else if (now_ms() - told > most) return 1;
    }
}

static int exchange(void *ctx, const void *send, void *recv, size_t bytes)
{
    struct ranks *r = ctx;
    MPI_Request q;
    int n = (int)bytes;
    return wait_for(r, MPI_Ialltoall(send, n, MPI_BYTE, recv, n, MPI_BYTE, r->comm, &q), &q);
}

static int gather(void *ctx, const void *mine, void *all, size_t bytes)
{
    struct ranks *r = ctx;
    MPI_Request q;
    int n = (int)bytes;
    return wait_for(r, MPI_Iallgather(mine, n, MPI_BYTE, all, n, MPI_BYTE, r->comm, &q), &q);
}

static int spread(void *ctx, int from, void *data, size_t bytes)
{
    struct ranks *r = ctx;
    MPI_Request q;
    return wait_for(r, MPI_Ibcast(data, (int)bytes, MPI_BYTE, from, r->comm, &q), &q);
}

/* "Open MPI v4.1.4, package: Debian ..." -> "Open MPI v4.1.4" */
static void name_library(char out[64])
{
    char text[MPI_MAX_LIBRARY_VERSION_STRING] = "";
    int n = 0;
    if (MPI_Get_library_version(text, &n) != MPI_SUCCESS) n = 0;
    size_t len = strcspn(text, ",\n\t");
    if (len > 63) len = 63;
    memcpy(out, text, len);
    out[len] = '\0';
}

static void leave(struct weft_cluster *c)
{
    /* Without a rank the others cannot say goodbye: the launcher sees how this one ends. */
    if (!c->lost) MPI_Finalize();
    if (!c->lost) free(c->ctx);         /* a request that was given up may still point there */
}

static const char *join(struct weft_cluster *c, volatile const int *cancel)
{
    int level;
    MPI_Comm machine;
    struct ranks *r = calloc(1, sizeof *r);
    *c = (struct weft_cluster){ .ctx = r, .exchange = exchange, .gather = gather, .spread = spread };
    if (!r) return "out of memory";
    if (MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &level) != MPI_SUCCESS) {
        free(r);
        return "MPI_Init_thread failed";
    }
    r->cancel = cancel;
    bool joined = MPI_Comm_dup(MPI_COMM_WORLD, &r->comm) == MPI_SUCCESS
                  && MPI_Comm_set_errhandler(r->comm, MPI_ERRORS_RETURN) == MPI_SUCCESS
                  && MPI_Comm_rank(r->comm, &c->rank) == MPI_SUCCESS && MPI_Comm_size(r->comm, &c->size) == MPI_SUCCESS
                  && MPI_Comm_split_type(r->comm, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &machine) == MPI_SUCCESS
                  && MPI_Comm_size(machine, &c->here) == MPI_SUCCESS && MPI_Comm_free(&machine) == MPI_SUCCESS;
    if (!joined) {
        leave(c);
        return "MPI does not tell who belongs to this run";
    }
    r->rank = c->rank;
    name_library(c->peers);
    return NULL;
}

const struct weft_cluster_plugin weft_cluster_plugin = { WEFT_VERSION, sizeof(struct weft_cluster), join, leave };
