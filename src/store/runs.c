/* Runs.  A run belongs to the process that began it; a process is known by host, number and the time it was born, so
 * that neither another program with the same number nor another machine's process is taken for it. */
#include "store/parts.h"

#include "dataset/grow.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { HOST = 256, SAME_NAMES = 10000 };

/* ---- whose ---- */

static void host_name(char out[HOST])
{
    if (gethostname(out, HOST - 1) != 0) out[0] = '\0';
    out[HOST - 1] = '\0';
}

/* When a process began, in clock ticks since the machine did (the 22nd word of its stat); 0: there is none, or the
 * system does not say.  Its second word, the program's name, stands in parentheses and may hold anything. */
static int64_t born_of(int64_t pid)
{
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%" PRId64 "/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
    if (fd >= 0) close(fd);
    text[n > 0 ? n : 0] = '\0';
    char *at = strrchr(text, ')');
    for (int word = 2; at && word < 22; word++) at = strchr(at + 1, ' ');
    return at ? strtoll(at, NULL, 10) : 0;
}

static bool is_gone(int64_t pid, int64_t born)
{
    if (kill((pid_t)pid, 0) != 0 && errno == ESRCH) return true;
    int64_t now = born_of(pid);
    return born && now && now != born;      /* its number was given again */
}

enum weft_status weft_store_mark_interrupted(struct weft_store *s, struct weft_err *err)
{
    char here[HOST];
    struct weft_buf dead = { 0 };
    struct sqlite3_stmt *st;
    bool row = true;
    host_name(here);
    enum weft_status status = weft_store_use(s, Q_RUNNING, &st, err);
    while (!status && !(status = weft_db_step(&s->db, st, &row, err)) && row) {
        int64_t id = weft_db_int(st, 0);
        struct weft_str host = weft_db_str(st, 2);
        if (host.len && !weft_str_is(host, here)) continue;
        if (is_gone(weft_db_int(st, 1), weft_db_int(st, 3))) weft_buf_add(&dead, &id, sizeof id);
    }
    if (!status) status = weft_buf_check(&dead, "the runs", err);
    for (size_t i = 0; i < dead.len / sizeof(int64_t) && !status; i++) {
        int64_t id;
        memcpy(&id, dead.s + i * sizeof id, sizeof id);
        status = weft_store_use(s, Q_RUN_INTERRUPT, &st, err);
        if (status) break;
        weft_db_bind_int(st, 1, id);
        weft_db_bind_int(st, 2, weft_store_now());
        status = weft_db_run(&s->db, st, err);
        s->interrupted++;
    }
    weft_buf_clear(&dead);
    return status;
}

/* ---- beginning and ending ---- */

static struct weft_str known(struct weft_str s) { return s.s ? s : WEFT_STR(""); }

/* The number behind (project, word); 0: none.  *same: the row's second column is `second`. */
static enum weft_status look_up(struct weft_store *s, enum weft_store_query q, int64_t project, struct weft_str word,
                                struct weft_str second, int64_t *id, bool *same, struct weft_err *err)
{
    struct sqlite3_stmt *st;
    bool row = false;
    *id = 0;
    *same = false;
    enum weft_status status = weft_store_use(s, q, &st, err);
    if (status) return status;
    weft_db_bind_int(st, 1, project);
    weft_db_bind_str(st, 2, word);
    status = weft_db_step(&s->db, st, &row, err);
    if (row) {
        *id = weft_db_int(st, 0);
        *same = weft_str_eq(weft_db_str(st, 1), second);
    }
    weft_db_reset(st);
    return status;
}

static enum weft_status make_run(struct weft_store *s, int64_t project, struct weft_str name, int64_t *id,
                                 struct weft_err *err)
{
    struct sqlite3_stmt *st;
    enum weft_status status = weft_store_use(s, Q_RUN_MAKE, &st, err);
    if (status) return status;
    weft_db_bind_int(st, 1, project);
    weft_db_bind_str(st, 2, name);
    status = weft_db_run(&s->db, st, err);
    *id = weft_db_last_id(&s->db);
    return status;
}

/* The run of this folder, or one under a name that no other folder has. */
static enum weft_status find_or_make(struct weft_store *s, int64_t project, const struct weft_store_run *run,
                                     int64_t *id, struct weft_err *err)
{
    struct weft_str place = known(run->output_dir), name = run->name;
    char longer[512];
    bool same;
    enum weft_status st = WEFT_OK;
    *id = 0;
    if (place.len) st = look_up(s, Q_RUN_PLACE, project, place, WEFT_STR(""), id, &same, err);
    for (int i = 2; !st && !*id && i < SAME_NAMES; i++) {
        st = look_up(s, Q_RUN_NAMED, project, name, place, id, &same, err);
        if (st || same) break;
        if (!*id) return make_run(s, project, name, id, err);
        *id = 0;
        snprintf(longer, sizeof longer, "%.*s-%d", (int)run->name.len, run->name.s, i);
        name = weft_str_c(longer);
    }
    if (!st && !*id) st = weft_fail(err, WEFT_ELIMIT, "more than %d runs of one name", SAME_NAMES);
    return st;
}

static enum weft_status start_run(struct weft_store *s, int64_t id, const struct weft_store_run *run,
                                  struct weft_err *err)
{
    char here[HOST];
    struct sqlite3_stmt *st;
    enum weft_status status = weft_store_use(s, Q_RUN_START, &st, err);
    if (status) return status;
    host_name(here);
    weft_db_bind_int(st, 1, id);
    weft_db_bind_str(st, 2, known(run->dataset_hash));
    weft_db_bind_str(st, 3, known(run->parameters));
    weft_db_bind_int(st, 4, (int64_t)getpid());
    weft_db_bind_int(st, 5, weft_store_now());
    weft_db_bind_str(st, 6, known(run->output_dir));
    weft_db_bind_str(st, 7, known(run->base));
    weft_db_bind_str(st, 8, known(run->base_sha256));
    weft_db_bind_str(st, 9, weft_str_c(here));
    weft_db_bind_int(st, 10, born_of(getpid()));
    return weft_db_run(&s->db, st, err);
}

static enum weft_status add_data(struct weft_store *s, int64_t id, const struct weft_store_run_data *data, size_t n,
                                 struct weft_err *err)
{
    struct sqlite3_stmt *st;
    enum weft_status status = weft_store_use(s, Q_RUN_DATA_CLEAR, &st, err);
    if (status) return status;
    weft_db_bind_int(st, 1, id);
    status = weft_db_run(&s->db, st, err);
    for (size_t i = 0; i < n && !status; i++) {
        const struct weft_str texts[] = { data[i].part, data[i].path, data[i].sha256, data[i].content };
        status = weft_store_use(s, Q_RUN_DATA_ADD, &st, err);
        if (status) break;
        weft_db_bind_int(st, 1, id);
        weft_db_bind_int(st, 2, (int64_t)i);
        for (int k = 0; k < (int)WEFT_COUNT(texts); k++) weft_db_bind_str(st, 3 + k, known(texts[k]));
        weft_db_bind_int(st, 7, (int64_t)data[i].n_rows);
        status = weft_db_run(&s->db, st, err);
    }
    return status;
}

enum weft_status weft_store_run_begin(struct weft_store *s, int64_t project_id, const struct weft_store_run *run,
                                      const struct weft_store_run_data *data, size_t n_data, int64_t *id,
                                      struct weft_err *err)
{
    enum weft_status st = weft_store_check_name(run->name, "run", err);
    if (!st) st = weft_db_begin(&s->db, err);
    if (st) return st;
    st = find_or_make(s, project_id, run, id, err);
    if (!st) st = start_run(s, *id, run, err);
    if (!st) st = add_data(s, *id, data, n_data, err);
    if (!st) st = weft_db_commit(&s->db, err);
    weft_db_rollback(&s->db);
    return st;
}

enum weft_status weft_store_run_end(struct weft_store *s, int64_t id, const struct weft_store_run *run,
                                    struct weft_err *err)
{
    struct sqlite3_stmt *st;
    enum weft_status status = weft_store_use(s, Q_RUN_END, &st, err);
    if (status) return status;
    weft_db_bind_int(st, 1, id);
    weft_db_bind_str(st, 2, run->state);
    weft_db_bind_str(st, 3, known(run->result));
    weft_db_bind_int(st, 4, weft_store_now());
    weft_db_bind_int(st, 5, (int64_t)run->steps);
    if (isfinite(run->loss)) weft_db_bind_double(st, 6, run->loss);
    if (isfinite(run->valid_loss)) weft_db_bind_double(st, 7, run->valid_loss);
    return weft_db_run(&s->db, st, err);
}

/* ---- reading ---- */

static double number(struct sqlite3_stmt *st, int column)
{
    return weft_db_str(st, column).s ? weft_db_double(st, column) : (double)NAN;
}

enum weft_status weft_store_runs(struct weft_store *s, struct weft_arena *a, int64_t project_id,
                                 struct weft_store_run **list, size_t *n, struct weft_err *err)
{
    struct weft_store_run *items = NULL;
    struct sqlite3_stmt *st;
    size_t count = 0, cap = 0;
    bool row = true;
    enum weft_status status = weft_store_use(s, Q_RUNS, &st, err);
    if (!status) weft_db_bind_int(st, 1, project_id);
    while (!status && !(status = weft_db_step(&s->db, st, &row, err)) && row) {
        if (!WEFT_GROW(a, items, count, cap)) return weft_fail_nomem(err, count * sizeof *items, "the runs");
        struct weft_store_run *r = &items[count++];
        *r = (struct weft_store_run){ .id = weft_db_int(st, 0), .started = weft_db_int(st, 10),
                                      .ended = weft_db_int(st, 11), .steps = (uint64_t)weft_db_int(st, 12),
                                      .loss = number(st, 13), .valid_loss = number(st, 14) };
        struct weft_str *const texts[] = { &r->project, &r->name, &r->dataset_hash, &r->parameters, &r->state,
                                           &r->result, &r->output_dir, &r->base, &r->base_sha256 };
        for (int i = 0; i < (int)WEFT_COUNT(texts) && !status; i++)
            status = weft_store_text(a, st, 1 + i, texts[i], err);
    }
    *list = items;
    *n = count;
    return status;
}

enum weft_status weft_store_run_data(struct weft_store *s, struct weft_arena *a, int64_t id,
                                     struct weft_store_run_data **list, size_t *n, struct weft_err *err)
{
    struct weft_store_run_data *items = NULL;
    struct sqlite3_stmt *st;
    size_t count = 0, cap = 0;
    bool row = true;
    enum weft_status status = weft_store_use(s, Q_RUN_DATA, &st, err);
    if (!status) weft_db_bind_int(st, 1, id);
    while (!status && !(status = weft_db_step(&s->db, st, &row, err)) && row) {
        if (!WEFT_GROW(a, items, count, cap)) return weft_fail_nomem(err, count * sizeof *items, "the runs");
        struct weft_store_run_data *d = &items[count++];
        *d = (struct weft_store_run_data){ .n_rows = (uint64_t)weft_db_int(st, 4) };
        struct weft_str *const texts[] = { &d->part, &d->path, &d->sha256, &d->content };
        for (int i = 0; i < (int)WEFT_COUNT(texts) && !status; i++) status = weft_store_text(a, st, i, texts[i], err);
    }
    *list = items;
    *n = count;
    return status;
}

enum weft_status weft_store_run_remove(struct weft_store *s, int64_t project_id, struct weft_str name,
                                       struct weft_err *err)
{
    char shown[200];
    struct sqlite3_stmt *st;
    enum weft_status status = weft_store_use(s, Q_RUN_REMOVE, &st, err);
    if (status) return status;
    weft_db_bind_int(st, 1, project_id);
    weft_db_bind_str(st, 2, name);
    status = weft_db_run(&s->db, st, err);
    if (!status && !weft_db_changes(&s->db))
        return weft_fail(err, WEFT_EARG, "no run \"%s\" in this project", weft_escape(shown, sizeof shown, name));
    return status;
}
