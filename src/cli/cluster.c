/* Ranks of a launcher (mpirun, srun).  What connects them is the plug-in weft-mpi.so, which lies beside the program or
 * in its library folder and is opened only when the environment says that this process is one of several. */
#include "cli/cluster.h"

#include "base/file.h"
#include "base/library.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* How many processes the launcher says it has started; 1: none has. */
static long ranks_started(void)
{
    /* Open MPI; MPICH, Intel MPI; MVAPICH; srun */
    static const char *const names[] = { "OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE",
                                         "SLURM_STEP_NUM_TASKS" };
    for (size_t i = 0; i < WEFT_COUNT(names); i++) {
        const char *value = getenv(names[i]);
        long n = value ? strtol(value, NULL, 10) : 0;
        if (n > 1) return n;
    }
    return 1;
}

enum weft_status weft_cli_alone(struct weft_cli *cli, const char *verb)
{
    long n = ranks_started();
    if (n == 1) return WEFT_OK;
    return weft_fail(&cli->err, WEFT_EARG,
                     "\"weft %s\" runs in one process, and was started as one of %ld; mpirun is for \"weft train\"", verb, n);
}

/* Only rank 0 is heard.  What another has to say when it fails alone goes where its errors went before. */
static void fall_silent(struct weft_cli *cli)
{
    cli->quiet = true;
    cli->progress.update = NULL;
    cli->progress.message = NULL;
    fflush(stdout);
    cli->own_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (null < 0) return;
    dup2(null, STDOUT_FILENO);
    dup2(null, STDERR_FILENO);
    close(null);
}

enum weft_status weft_cli_cluster_join(struct weft_cli *cli)
{
    struct weft_arena *a = &cli->arena;
    long n = ranks_started();
    if (n == 1) return WEFT_OK;
    const char *program = weft_cli_program_folder(a), *path = NULL;
    const char *const places[] = { "weft-mpi.so", WEFT_PLUGINS "/weft-mpi.so" };
    for (size_t i = 0; program && !path && i < WEFT_COUNT(places); i++) {
        const char *at = weft_str_printf(a, "%s%s", program, places[i]).s;
        if (at && weft_file_exists(at)) path = at;
    }
    if (!path)
        return weft_fail(&cli->err, WEFT_EARG,
                         "started as one of %ld ranks, but weft-mpi.so, which connects them, is neither in %s nor in %s%s: "
                         "install an MPI (Debian: libopenmpi-dev) and build weft again, or start it without mpirun",
                         n, program ? program : ".", program ? program : "", WEFT_PLUGINS);
    const struct weft_cluster_plugin *plugin;
    const struct weft_symbol symbols[] = { { "weft_cluster_plugin", (void **)&plugin } };
    void *handle;           /* open until the process ends, as MPI wants it */
    enum weft_status st = weft_library_open(&handle, path, "openmpi-bin", symbols, WEFT_COUNT(symbols), &cli->err);
    if (st) return st;
    struct weft_cluster *c = WEFT_NEW(a, struct weft_cluster);
    if (!c) return weft_fail_nomem(&cli->err, sizeof *c, "ranks");
    if (strcmp(plugin->version, WEFT_VERSION) != 0 || plugin->bytes != sizeof *c)
        return weft_fail(&cli->err, WEFT_EARG, "%s belongs to weft %s, this is %s", path, plugin->version, WEFT_VERSION);
    const char *why = plugin->join(c, cli->progress.cancel);
    if (why) return weft_fail(&cli->err, WEFT_ESYSTEM, "%s: %s", path, why);
    cli->cluster = c;
    cli->plugin = plugin;
    if (c->rank) fall_silent(cli);
    return WEFT_OK;
}

int weft_cli_rank_threads(const struct weft_cli *cli)
{
    cpu_set_t set;
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    if (!cli->cluster || cli->cluster->here < 2 || sched_getaffinity(0, sizeof set, &set)) return 0;
    if (CPU_COUNT(&set) < online) return 0;         /* the launcher has given each its own */
    return online > cli->cluster->here ? (int)(online / cli->cluster->here) : 1;
}

enum weft_status weft_cli_cluster_leave(struct weft_cli *cli, enum weft_status st)
{
    struct weft_cluster *c = cli->cluster;
    if (!c) return st;
    if (st && c->lost && c->rank && st != WEFT_EREMOTE && cli->own_stderr >= 0)
        dprintf(cli->own_stderr, "weft: rank %d: %s\n", c->rank, cli->err.msg);
    cli->plugin->leave(c);
    return c->rank && !c->lost ? WEFT_OK : st;
}
