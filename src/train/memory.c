/* The memory plan, and what there is.
 *
 * Counted is what must be in memory at once during an update; pages of a weights file that nobody reads any more are
 * not.  What the run will take follows from its shapes.  What the process holds already (its program, tokenizer, text
 * of the rows, what the allocator keeps) is not guessed but measured: its resident memory, less what stands in a line
 * of its own and less the pages of weights files, which are counted by the matrices that lie there.  What the process
 * holds is part of the plan, so it is added to what is free. */
#include "train/run.h"
#include "model/gguf.h"

#include "base/lang.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

static const size_t unmeasured_bytes = (size_t)16 << 20;    /* of program, tokenizer, rows where there is no /proc */
/* What is touched for the first time in an update: code of the program, stacks of the threads, buffers of the log. */
static const size_t later_bytes = (size_t)2 << 20;

/* ---- what there is ---- */

/* A file of /proc or /sys as text: they have no size to ask for. */
static bool read_small(const char *path, char *out, size_t cap)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    size_t n = 0;
    ssize_t got;
    while (n + 1 < cap && (got = read(fd, out + n, cap - 1 - n)) > 0) n += (size_t)got;
    close(fd);
    out[n] = '\0';
    return n > 0;
}

static bool number_after(const char *text, const char *key, size_t *out)
{
    const char *at = strstr(text, key);
    char *end;
    if (!at) return false;
    at += strlen(key);
    errno = 0;
    unsigned long long v = strtoull(at, &end, 10);
    if (end == at || errno) return false;
    *out = (size_t)v;
    return true;
}

/* Pages of this process in memory, and its whole address space. */
static void own_bytes(size_t *resident, size_t *virtual_bytes)
{
    char text[256], *end;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    struct rusage use;
    *virtual_bytes = 0;
    *resident = getrusage(RUSAGE_SELF, &use) == 0 ? (size_t)use.ru_maxrss * 1024 : 0;
    if (!read_small("/proc/self/statm", text, sizeof text)) return; /* no /proc: a bare chroot */
    *virtual_bytes = (size_t)strtoull(text, &end, 10) * page;
    *resident = (size_t)strtoull(end, NULL, 10) * page;
}

struct bound {
    size_t bytes;
    const char *what;
};

static void lower(struct bound *b, size_t bytes, const char *what)
{
    if (bytes < b->bytes) *b = (struct bound){ bytes, what };
}

/* Limit less use of one control group; its file cache can be taken back. */
static void lower_by_group(struct bound *b, const char *dir, const char *limit_name, const char *use_name,
                           const char *cache_key, size_t resident)
{
    char path[4400], text[8192];
    size_t limit, use = 0, cache = 0;
    snprintf(path, sizeof path, "%s/%s", dir, limit_name);
    if (!read_small(path, text, sizeof text) || !isdigit((unsigned char)text[0])
        || !number_after(text, "", &limit))
        return;
    snprintf(path, sizeof path, "%s/%s", dir, use_name);
    if (!read_small(path, text, sizeof text) || !number_after(text, "", &use)) return;
    snprintf(path, sizeof path, "%s/memory.stat", dir);
    if (read_small(path, text, sizeof text) && !number_after(text, cache_key, &cache)) cache = 0;
    use = use > cache ? use - cache : 0;
    if (limit >= SIZE_MAX / 4) return;          /* how version 1 says "no limit" */
    lower(b, (limit > use ? limit - use : 0) + resident, "memory limit of the control group");
}

/* The group's folder and all above it. */
static void lower_by_groups(struct bound *b, const char *root, const char *group, const char *limit_name,
                            const char *use_name, const char *cache_key, size_t resident)
{
    char dir[4200];
    if (snprintf(dir, sizeof dir, "%s%s", root, group) >= (int)sizeof dir) return;
    size_t floor = strlen(root);
    for (;;) {
        lower_by_group(b, dir, limit_name, use_name, cache_key, resident);
        char *slash = strrchr(dir, '/');
        if (!slash || (size_t)(slash - dir) < floor) return;
        *slash = '\0';
    }
}

static void lower_by_cgroups(struct bound *b, size_t resident)
{
    char text[16384];
    if (!read_small("/proc/self/cgroup", text, sizeof text)) return;
    for (char *save = NULL, *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        /* "4:memory:/a/b" (version 1), "0::/a/b" (version 2) */
        char *names = strchr(line, ':'), *group = names ? strchr(names + 1, ':') : NULL;
        if (!group) continue;
        *group++ = '\0';
        names++;
        if (!*names)
            lower_by_groups(b, "/sys/fs/cgroup", group, "memory.max", "memory.current", "\ninactive_file ", resident);
        else if (strstr(names, "memory"))
            lower_by_groups(b, "/sys/fs/cgroup/memory", group, "memory.limit_in_bytes", "memory.usage_in_bytes",
                            "\ntotal_inactive_file ", resident);
    }
}

static struct bound available(size_t mem_setting)
{
    struct bound b = { SIZE_MAX, "unknown" };
    char text[8192];
    size_t resident, virtual_bytes, kib;
    struct rlimit limit;
    own_bytes(&resident, &virtual_bytes);
    if (read_small("/proc/meminfo", text, sizeof text) && number_after(text, "MemAvailable:", &kib))
        lower(&b, kib * 1024 + resident, "free memory");
    else if (sysconf(_SC_AVPHYS_PAGES) > 0)
        lower(&b, (size_t)sysconf(_SC_AVPHYS_PAGES) * (size_t)sysconf(_SC_PAGESIZE) + resident, "free memory");
    lower_by_cgroups(&b, resident);
    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        lower(&b, (limit.rlim_cur > virtual_bytes ? limit.rlim_cur - virtual_bytes : 0) + resident,
              "limit of the address space (ulimit -v)");
    if (getrlimit(RLIMIT_DATA, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        lower(&b, limit.rlim_cur, "limit of the data segment (ulimit -d)");
    if (mem_setting) lower(&b, mem_setting, "setting mem");
    return b;
}

enum weft_status weft_memory_size(const char *text, size_t *bytes, struct weft_err *err)
{
    static const struct {
        const char *unit;
        int shift;
    } units[] = { { "", 0 },    { "B", 0 },    { "K", 10 },   { "KB", 10 },  { "KIB", 10 }, { "M", 20 }, { "MB", 20 },
                  { "MIB", 20 }, { "G", 30 },   { "GB", 30 },  { "GIB", 30 }, { "T", 40 },   { "TB", 40 }, { "TIB", 40 } };
    char *end, unit[4] = "";
    double v = strtod(text, &end);
    size_t n = 0;
    while (*end == ' ') end++;
    while (n < 3 && end[n]) unit[n] = (char)toupper((unsigned char)end[n]), n++;
    for (size_t i = 0; end != text && !end[n] && i < WEFT_COUNT(units); i++) {
        double size = v * (double)((uint64_t)1 << units[i].shift);
        if (strcmp(unit, units[i].unit) != 0 || !(size >= 1) || size >= 9e18) continue;
        *bytes = (size_t)size;
        return WEFT_OK;
    }
    return weft_fail(err, WEFT_EINPUT, "mem is \"%s\"; expected a size such as 8G or 900M", text);
}

/* ---- the plan ---- */

static bool is_mapped(const struct weft_model *m, const void *w)
{
    for (size_t i = 0; i < m->weights.n_files; i++) {
        const struct weft_map *map = &m->weights.files[i].map;
        if ((const unsigned char *)w >= map->p && (const unsigned char *)w < map->p + map->len) return true;
    }
    for (size_t i = 0; i < m->n_gguf; i++) {
        const struct weft_map *map = &m->gguf[i].map;
        if ((const unsigned char *)w >= map->p && (const unsigned char *)w < map->p + map->len) return true;
    }
    return false;
}

/* Of a matrix that lies in its file; 0: it is in the model's arena, which is counted as a whole. */
static size_t mapped_bytes(const struct weft_model *m, const void *w, enum weft_dtype type, size_t rows, size_t cols)
{
    const struct weft_quant *q = w;
    if (type != WEFT_QUANT) return is_mapped(m, w) ? rows * cols * weft_dtype_bytes(type) : 0;
    return is_mapped(m, q->data) ? weft_quant_bytes(q) : 0;
}

/* Weights read from the file's pages as they are, and what the model holds in memory of its own.  PiSSA's whole
 * matrices are read where the model without its adapter is asked (`whole`). */
static size_t base_bytes(struct weft_model *m, bool whole)
{
    const struct weft_config *c = &m->config;
    size_t sum = m->arena.used_bytes + mapped_bytes(m, m->embed, m->embed_type, c->vocab_size, c->hidden_size);
    if (m->head.w != m->embed) sum += mapped_bytes(m, m->head.w, m->head.type, m->head.n_out, m->head.n_in);
    for (size_t i = 0; i < weft_model_n_linears(m); i++) {
        const struct weft_linear *l = weft_model_linear(m, i);
        sum += mapped_bytes(m, l->w, l->type, l->n_out, l->n_in);
        if (whole && l->branch && l->branch->whole)
            sum += mapped_bytes(m, l->branch->whole, l->type, l->n_out, l->n_in);
    }
    return sum;
}

static size_t data_bytes(const struct weft_examples *e)
{
    return e ? (size_t)e->total_tokens * 2 * sizeof(int32_t) + (e->two ? 2 : 1) * e->n * sizeof *e->items : 0;
}

static bool in_weights(const struct weft_model *m, uintptr_t from, uintptr_t to)
{
    for (size_t i = 0; m && i < m->weights.n_files; i++)
        if ((uintptr_t)m->weights.files[i].map.p >= from && (uintptr_t)m->weights.files[i].map.p < to) return true;
    for (size_t i = 0; m && i < m->n_gguf; i++)
        if ((uintptr_t)m->gguf[i].map.p >= from && (uintptr_t)m->gguf[i].map.p < to) return true;
    return false;
}

/* A line of /proc/self/smaps: the head of a mapping, "from-to perms ...", or one of its "Key: value"s. */
static void read_mapping(const struct weft_train_job *job, const char *line, bool *counts, size_t *sum)
{
    char *end;
    size_t kib;
    uintptr_t from = strtoul(line, &end, 16);
    if (end != line && *end == '-') {
        uintptr_t to = strtoul(end + 1, NULL, 16);
        *counts = !in_weights(job->model, from, to) && !in_weights(job->reference, from, to);
    } else if (strncmp(line, "Rss:", 4) == 0 && number_after(line, "Rss:", &kib)) {
        if (*counts) *sum += kib * 1024;
    }
}

/* Resident memory without weights files; 0: unknown. */
static size_t resident_bytes(const struct weft_train_job *job)
{
    char line[512];
    bool counts = false;
    size_t sum = 0;
    FILE *f = fopen("/proc/self/smaps", "re");
    if (!f) return 0;
    while (fgets(line, sizeof line, f)) read_mapping(job, line, &counts, &sum);
    if (fclose(f)) return 0;
    return sum;
}

/* Held now, by lines of the plan. */
static size_t listed_bytes(const struct weft_train_job *job)
{
    return job->model->arena.used_bytes + (job->reference ? job->reference->arena.used_bytes : 0)
           + job->params->weight_bytes + job->held_bytes + job->params->grad_bytes + data_bytes(job->train)
           + data_bytes(job->valid) + job->compute->arena.used_bytes;
}

static size_t other_bytes(const struct weft_train_job *job)
{
    size_t resident = resident_bytes(job), listed = listed_bytes(job);
    if (!resident) return unmeasured_bytes + later_bytes;
    return (resident > listed ? resident - listed : 0) + later_bytes;
}

static void add_line(struct weft_memory_plan *p, const char *item, size_t bytes)
{
    if (!bytes) return;
    p->lines[p->n++] = (struct weft_memory_line){ item, bytes };
    p->total_bytes += bytes;
}

/* The most that was resident so far; 0: unknown. */
static size_t reached_bytes(void)
{
    char text[8192];
    size_t kib;
    return read_small("/proc/self/status", text, sizeof text) && number_after(text, "VmHWM:", &kib) ? kib * 1024 : 0;
}

/* The base with its matrices in another format: they leave their files for memory. */
static size_t quantised_bytes(struct weft_model *m, const struct weft_quant_format *f, bool nested)
{
    size_t sum = base_bytes(m, false);
    for (size_t i = 0; i < weft_model_n_linears(m); i++) {
        const struct weft_linear *l = weft_model_linear(m, i);
        sum -= mapped_bytes(m, l->w, l->type, l->n_out, l->n_in);
        sum += weft_quant_planned_bytes(f, nested, l->n_out, l->n_in);
    }
    return sum;
}

enum weft_status weft_memory_plan_of(const struct weft_train_job *job, const struct weft_recipe *r,
                                     const struct weft_quant_format *base, struct weft_memory_plan *out,
                                     struct weft_err *err)
{
    struct weft_pass_settings settings;
    struct weft_pass_bytes pass;
    *out = (struct weft_memory_plan){ 0 };
    const struct weft_optimizer *kind = weft_optimizer_find(r->optim, NULL, NULL);
    if (!kind)
        return weft_fail(err, WEFT_EARG, "optim: %s is unknown; did you mean %s? (adamw, adamw_8bit, muon)", r->optim,
                         "adamw");
    enum weft_status st = weft_run_pass(job, r, kind, &settings, err);
    if (!st) st = weft_pass_plan(job->compute, job->model, &settings, &pass, err);
    out->batch_tokens = settings.max_tokens;
    if (st) return st;
    add_line(out, "base weights",
             base ? quantised_bytes(job->model, base, r->double_quantization)
                  : base_bytes(job->model, weft_recipe_needs_reference(r) && !job->reference));
    if (job->reference) add_line(out, "reference model", base_bytes(job->reference, false));
    add_line(out, "trainable weights", job->params->weight_bytes + job->held_bytes);
    add_line(out, "gradients", job->params->grad_bytes + weft_sums_bytes(r, job->params, weft_cluster_size(job->cluster)));
    add_line(out, "optimizer", kind->bytes(r, job->params));
    add_line(out, "activations", pass.activations);
    add_line(out, "scratch of a layer", pass.scratch);
    add_line(out, "logits of a block", pass.logits);
    add_line(out, "more, for batches of validation", pass.losses);
    add_line(out, "rows as tokens",
             data_bytes(job->train) + data_bytes(job->valid)
                 + weft_row_loss_bytes(job->train->n, weft_recipe_update_rows(r, job->train->n)));
    add_line(out, "scratch of the kernels", job->compute->arena.used_bytes + pass.kernels);
    add_line(out, "saving", job->save_bytes);
    add_line(out, "program, tokenizer, text of the rows", other_bytes(job));
    size_t reached = reached_bytes();
    if (reached > out->total_bytes) add_line(out, "more, while loading", reached - out->total_bytes);
    return WEFT_OK;
}

enum weft_status weft_memory_available(const struct weft_train_job *job, size_t *bytes, const char **what,
                                       struct weft_err *err)
{
    size_t setting = 0;
    enum weft_status st = job->recipe->mem ? weft_memory_size(job->recipe->mem, &setting, err) : WEFT_OK;
    if (st) return st;
    struct bound b = available(setting);
    /* Ranks of one machine share what there is, and the pages of the weights' file. */
    size_t here = job->cluster ? (size_t)job->cluster->here : 1;
    size_t mapped = here > 1 ? base_bytes(job->model, false) - job->model->arena.used_bytes : 0;
    *bytes = (b.bytes - weft_min_size(mapped, b.bytes)) / here + weft_min_size(mapped, b.bytes);
    *what = b.what;
    return WEFT_OK;
}

enum weft_status weft_memory_plan(const struct weft_train_job *job, struct weft_memory_plan *out, struct weft_err *err)
{
    enum weft_status st = weft_memory_plan_of(job, job->recipe, NULL, out, err);
    return st ? st : weft_memory_available(job, &out->available_bytes, &out->bound, err);
}

/* ---- when it does not fit ---- */

static double mib(size_t bytes) { return (double)bytes / 1048576; }

/* The changes, cheapest for the user first: same result and slower; same batch in smaller pieces; less text. */
static void checkpoint(struct weft_recipe *r) { r->gradient_checkpointing = true; }
static void smaller_batch(struct weft_recipe *r)
{
    r->gradient_accumulation_steps *= r->per_device_train_batch_size;
    r->per_device_train_batch_size = 1;
    r->per_device_eval_batch_size = 1;
}
static void both(struct weft_recipe *r)
{
    checkpoint(r);
    smaller_batch(r);
}

static const struct {
    const char *name;           /* NULL: the smaller batch, which has a number in it */
    void (*change)(struct weft_recipe *r);
} changes[] = {
    { "gradient_checkpointing: true", checkpoint },
    { NULL, smaller_batch },
    { "both of these", both },
};

enum weft_status weft_memory_check(const struct weft_train_job *job, const struct weft_memory_plan *plan,
                                   struct weft_err *err)
{
    if (plan->total_bytes <= plan->available_bytes) return WEFT_OK;
    enum weft_lang lang = err ? err->lang : WEFT_LANG_EN;
    struct weft_buf advice = { 0 };
    const struct weft_recipe *r = job->recipe;
    for (size_t i = 0; i < WEFT_COUNT(changes); i++) {
        struct weft_recipe other = *r;
        struct weft_memory_plan p;
        char text[256];
        changes[i].change(&other);
        bool recompute = other.gradient_checkpointing != r->gradient_checkpointing;
        bool smaller = other.per_device_train_batch_size != r->per_device_train_batch_size;
        if (changes[i].change == both ? !recompute || !smaller : !recompute && !smaller) continue;
        if (weft_memory_plan_of(job, &other, NULL, &p, NULL) || p.total_bytes >= plan->total_bytes) continue;
        if (!changes[i].name)
            snprintf(
                text, sizeof text,
                "per_device_train_batch_size: 1, per_device_eval_batch_size: 1, gradient_accumulation_steps: %lld",
                (long long)other.gradient_accumulation_steps);
        else
            snprintf(text, sizeof text, "%s", weft_tr(lang, changes[i].name));
        weft_buf_printf(&advice, "%s%s (%.0f MiB)", advice.len ? "; " : "", text, mib(p.total_bytes));
    }
    weft_buf_printf(&advice, "%s%s", advice.len ? "; " : "",
                    weft_tr(lang, r->finetuning_type != WEFT_FINETUNING_LORA ? "finetuning_type: lora"
                                                                             : "a smaller cutoff_len"));
    enum weft_status st = weft_fail_rule(
        err, WEFT_ELIMIT, "E6", "this run needs %.0f MiB, there are %.0f MiB (%s). Cheapest changes: %s",
        mib(plan->total_bytes), mib(plan->available_bytes), weft_tr(lang, plan->bound), advice.s);
    weft_buf_clear(&advice);
    return st;
}
