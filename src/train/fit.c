/* Candidates are few (the divisors of an update's rows, with and without checkpointing), so they are all listed, sorted
 * by what they cost, and planned from the fastest on until one fits.
 *
 * The cost counts tokens.  Computing a layer again adds a third, and a micro-batch costs as much as so many tokens
 * more, since it reads all weights and adds all gradients whatever its length. */
#include "train/fit.h"

#include "base/file.h"
#include "base/lang.h"
#include "kernels/quant.h"
#include "train/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { MICRO_TOKENS = 32,       /* cost of a micro-batch beside its tokens */
       ENOUGH_TOKENS = 2048,    /* a micro-batch that is as long gains nothing by growing */
       MARGIN = 50,             /* a fiftieth is left free: what is held is measured, and moves a little */
       MOST = 256 };
static const double again = 4.0 / 3, habit = 0.98;      /* what was asked for stays unless another is 2 % faster */

static const struct {
    const char *format;
    int type, bits;
} bases[WEFT_FIT_BASES] = { { NULL, 0, 0 }, { "int8", WEFT_QUANTIZE_INT8, 8 }, { "nf4", WEFT_QUANTIZE_NF4, 4 } };

bool weft_fit_wanted(const struct weft_recipe *r)
{
    return r->fit == WEFT_FIT_ON || r->fit == WEFT_FIT_PRECISION || (r->fit == WEFT_FIT_AUTO && r->mem);
}

/* ---- candidates ---- */

static bool may_regroup(const struct weft_train_job *job, int64_t batch)
{
    const struct weft_recipe *r = job->recipe;
    bool pairs = r->stage == WEFT_RECIPE_DPO;
    if (r->stage == WEFT_RECIPE_KTO || weft_recipe_layerwise(r) || r->neftune_noise_alpha > 0
        || (r->finetuning_type == WEFT_FINETUNING_LORA && r->lora_dropout > 0))
        return false;
    /* means of micro-batches are averaged: all must have as many pairs */
    return !pairs
           || (job->train->n % (size_t)r->per_device_train_batch_size == 0
               && job->train->n % (size_t)batch == 0);
}

static double cost_of(const struct weft_train_job *job, int64_t batch, bool checkpointing)
{
    size_t n = job->train->n, micros = weft_ceil_div(n, (size_t)batch);
    return ((double)job->train->total_tokens + MICRO_TOKENS * (double)micros) * (checkpointing ? again : 1);
}

static int cheaper_first(const void *a, const void *b)
{
    const struct weft_fit_plan *x = a, *y = b;
    if (x->cost < y->cost || x->cost > y->cost) return x->cost < y->cost ? -1 : 1;
    if (x->batch != y->batch) return x->batch < y->batch ? -1 : 1;
    return x->checkpointing - y->checkpointing;
}

static size_t list(const struct weft_train_job *job, bool begun, struct weft_fit_plan out[MOST])
{
    const struct weft_recipe *r = job->recipe;
    int64_t asked = r->per_device_train_batch_size, rows = asked * r->gradient_accumulation_steps;
    int64_t ranks = weft_cluster_size(job->cluster);
    double mean = (double)job->train->total_tokens / (double)weft_max_size(job->train->n, 1);
    size_t n = 0;
    for (int64_t b = 1; b <= rows && n + 2 <= MOST; b++) {
        bool longer = b > asked && mean * (double)b > ENOUGH_TOKENS;
        if (rows % b || (b != asked && (begun || longer || rows / b < ranks || !may_regroup(job, b)))) continue;
        for (int again_too = r->gradient_checkpointing; again_too < 2; again_too++) {
            out[n] = (struct weft_fit_plan){ .batch = b, .accumulation = rows / b, .checkpointing = again_too,
                                             .cost = cost_of(job, b, again_too) };
            if (b == asked && again_too == r->gradient_checkpointing) out[n].cost *= habit;
            n++;
        }
    }
    qsort(out, n, sizeof *out, cheaper_first);
    return n;
}

/* ---- choosing ---- */

void weft_fit_apply(const struct weft_fit_plan *plan, struct weft_recipe *r)
{
    r->per_device_train_batch_size = plan->batch;
    r->gradient_accumulation_steps = plan->accumulation;
    r->gradient_checkpointing = plan->checkpointing;
    if (!plan->base) return;
    r->quantization = bases[plan->base].format;
    r->quantization_bit = bases[plan->base].bits;
    r->quantization_type = bases[plan->base].type;
}

static enum weft_status plan_one(const struct weft_train_job *job, struct weft_fit_plan *p, struct weft_err *err)
{
    struct weft_recipe r = *job->recipe;
    struct weft_memory_plan plan;
    r.per_device_train_batch_size = p->batch;
    r.gradient_accumulation_steps = p->accumulation;
    r.gradient_checkpointing = p->checkpointing;
    enum weft_status st =
        weft_memory_plan_of(job, &r, p->base ? weft_quant_find(bases[p->base].format) : NULL, &plan, err);
    p->bytes = plan.total_bytes;
    return st;
}

void weft_fit_text(const struct weft_fit_plan *plan, struct weft_buf *out)
{
    weft_buf_printf(out, "per_device_train_batch_size: %lld, gradient_accumulation_steps: %lld, gradient_checkpointing: %s",
                    (long long)plan->batch, (long long)plan->accumulation, plan->checkpointing ? "true" : "false");
    if (plan->base) weft_buf_printf(out, ", quantization_type: %s", bases[plan->base].format);
}

/* The base can be quantised here: an adapter beside matrices that lie in their file as they are. */
static bool may_quantise(const struct weft_train_job *job)
{
    const struct weft_recipe *r = job->recipe;
    if (r->finetuning_type != WEFT_FINETUNING_LORA || r->pissa_init || r->quantization) return false;
    for (size_t i = 0; i < weft_model_n_linears(job->model); i++)
        if (weft_model_linear(job->model, i)->type == WEFT_QUANT) return false;
    return true;
}

static enum weft_status nothing_fits(const struct weft_train_job *job, const struct weft_fit_limits *limits,
                                     const struct weft_fit *fit, const struct weft_fit_plan *least,
                                     struct weft_err *err)
{
    enum weft_lang lang = err ? err->lang : WEFT_LANG_EN;
    struct weft_buf text = { 0 }, advice = { 0 };
    bool lora = job->recipe->finetuning_type == WEFT_FINETUNING_LORA;
    weft_fit_text(least, &text);
    if (!limits->begun && !limits->precision && may_quantise(job)) weft_buf_cstr(&advice, "fit: precision; ");
    weft_buf_cstr(&advice, weft_tr(lang, lora ? "a smaller cutoff_len" : "finetuning_type: lora"));
    enum weft_status st = weft_fail_rule(
        err, WEFT_ELIMIT, "E6",
        limits->begun ? "this run has begun, and goes on as it began: its smallest plan (%s) needs %.0f MiB, there are %.0f "
                        "MiB (%s). Cheapest changes, for a run begun anew (overwrite_output_dir): %s"
                      : "nothing that fit may choose is small enough: the smallest plan (%s) needs %.0f MiB, there are %.0f "
                        "MiB (%s). Cheapest changes: %s",
        text.s ? text.s : "", (double)least->bytes / 1048576, (double)fit->available_bytes / 1048576,
        weft_tr(lang, fit->bound), advice.s ? advice.s : "");
    weft_buf_clear(&text);
    weft_buf_clear(&advice);
    return st;
}

static enum weft_status choose(const struct weft_train_job *job, const struct weft_fit_limits *limits,
                               struct weft_fit *out, struct weft_err *err)
{
    const struct weft_recipe *r = job->recipe;
    struct weft_fit_plan all[MOST], least = { 0 };
    size_t n = list(job, limits->begun, all);
    int last = limits->precision && !limits->begun && may_quantise(job) ? WEFT_FIT_NF4 : WEFT_FIT_AS_IT_IS;
    out->asked = (struct weft_fit_plan){ .batch = r->per_device_train_batch_size,
                                         .accumulation = r->gradient_accumulation_steps,
                                         .checkpointing = r->gradient_checkpointing };
    out->asked.cost = habit * cost_of(job, out->asked.batch, out->asked.checkpointing);
    enum weft_status st = plan_one(job, &out->asked, err);
    for (int base = 0; !st && base <= last; base++) {
        for (size_t i = 0; !st && i < n; i++) {
            struct weft_fit_plan p = all[i];
            p.base = base;
            st = plan_one(job, &p, err);
            if (st) break;
            if (!least.bytes || p.bytes <= least.bytes) least = p;
            if (p.bytes <= out->available_bytes - out->available_bytes / MARGIN) {
                out->chosen = p;
                return WEFT_OK;
            }
            if (!out->faster.bytes || p.bytes < out->faster.bytes) out->faster = p;
        }
        if (!st && least.bytes <= out->available_bytes) {       /* rather without a margin than with fewer bits */
            out->chosen = least;
            return WEFT_OK;
        }
    }
    return st ? st : nothing_fits(job, limits, out, &least, err);
}

enum weft_status weft_fit_choose(const struct weft_train_job *job, const struct weft_fit_limits *limits,
                                 struct weft_fit *out, struct weft_err *err)
{
    struct weft_cluster *c = weft_cluster_size(job->cluster) > 1 ? job->cluster : NULL;
    struct weft_arena a = { 0 };
    *out = (struct weft_fit){ 0 };
    enum weft_status st = weft_memory_available(job, &out->available_bytes, &out->bound, err);
    st = weft_cluster_agree(c, st, err);
    if (!st && c) {         /* the least of all machines */
        size_t mine = out->available_bytes, *theirs = WEFT_NEWS(&a, size_t, (size_t)c->size);
        st = weft_cluster_agree(c, theirs ? WEFT_OK : weft_fail_nomem(err, sizeof mine, "a plan"), err);
        if (!st) st = weft_cluster_gather(c, &mine, theirs, sizeof mine, err);
        for (int k = 0; !st && k < c->size; k++) out->available_bytes = weft_min_size(out->available_bytes, theirs[k]);
    }
    if (!st && weft_cluster_rank(c) == 0) st = choose(job, limits, out, err);
    st = weft_cluster_agree(c, st, err);
    if (!st && c) st = weft_cluster_spread(c, 0, &out->asked, sizeof out->asked, err);
    if (!st && c) st = weft_cluster_spread(c, 0, &out->chosen, sizeof out->chosen, err);
    if (!st && c) st = weft_cluster_spread(c, 0, &out->faster, sizeof out->faster, err);
    weft_arena_clear(&a);
    return st;
}

/* ---- what a run began with ---- */

struct kept {
    int64_t per_device_train_batch_size, gradient_accumulation_steps;
    bool gradient_checkpointing, double_quantization;
    int64_t quantization_bit;
    int quantization_type;
};
#define ROW(field, kind) .key = #field, .type = WEFT_OPT_##kind, .offset = offsetof(struct kept, field)
static const struct weft_option rows[] = {
    { ROW(per_device_train_batch_size, INT), .min = 1, .max = 65536 },
    { ROW(gradient_accumulation_steps, INT), .min = 1, .max = 1e9 },
    { ROW(gradient_checkpointing, BOOL) },
    { ROW(quantization_bit, INT), .min = 0, .max = 8 },
    { ROW(quantization_type, CHOICE), .choices = "auto|nf4|int8|q4_0|q8_0" },
    { ROW(double_quantization, BOOL) },
};
#undef ROW
static const struct weft_option_table table = { rows, WEFT_COUNT(rows) };

enum weft_status weft_fit_save(const char *output_dir, const struct weft_recipe *r, struct weft_err *err)
{
    struct kept k = { r->per_device_train_batch_size, r->gradient_accumulation_steps, r->gradient_checkpointing,
                      r->double_quantization, r->quantization_bit, r->quantization_type };
    struct weft_buf text = { 0 };
    struct weft_arena a = { 0 };
    const char *path = weft_path_join(&a, output_dir, "fit.yaml");
    weft_options_dump(table, &k, &text);
    enum weft_status st = path ? weft_buf_check(&text, "fit.yaml", err) : weft_fail_nomem(err, strlen(output_dir), "a path");
    if (!st) st = weft_file_write(path, weft_buf_view(&text), err);
    weft_buf_clear(&text);
    weft_arena_clear(&a);
    return st;
}

enum weft_status weft_fit_resume(const char *output_dir, struct weft_arena *a, struct weft_recipe *r,
                                 struct weft_err *err)
{
    struct kept k = { 0 };
    struct weft_str text = { 0 };
    const char *path = weft_path_join(a, output_dir, "fit.yaml");
    if (!path) return weft_fail_nomem(err, strlen(output_dir), "a path");
    if (!weft_file_exists(path)) return WEFT_OK;
    enum weft_status st = weft_file_read(a, path, 1 << 16, &text, err);
    if (!st) st = weft_options_defaults(table, &k, a, err);
    if (!st) st = weft_options_yaml(table, &k, a, path, text, NULL, err);
    if (st) return st;
    bool same_rows = k.per_device_train_batch_size * k.gradient_accumulation_steps
                     == r->per_device_train_batch_size * r->gradient_accumulation_steps;
    if (!same_rows || (r->quantization && r->quantization_type != k.quantization_type)) return WEFT_OK;
    r->per_device_train_batch_size = k.per_device_train_batch_size;
    r->gradient_accumulation_steps = k.gradient_accumulation_steps;
    r->gradient_checkpointing = r->gradient_checkpointing || k.gradient_checkpointing;
    for (int base = 1; base < WEFT_FIT_BASES; base++)
        if (k.quantization_bit && k.quantization_type == bases[base].type && !r->quantization) {
            r->quantization = bases[base].format;
            r->quantization_bit = k.quantization_bit;
            r->quantization_type = k.quantization_type;
            r->double_quantization = k.double_quantization;
        }
    return WEFT_OK;
}

enum weft_status weft_fit_forget(const char *output_dir, struct weft_err *err)
{
    struct weft_arena a = { 0 };
    const char *path = weft_path_join(&a, output_dir, "fit.yaml");
    enum weft_status st = path ? WEFT_OK : weft_fail_nomem(err, strlen(output_dir), "a path");
    if (!st && weft_file_exists(path) && unlink(path)) st = weft_fail_errno(err, "remove", path);
    weft_arena_clear(&a);
    return st;
}

bool weft_fit_begun(const char *output_dir, const struct weft_recipe *r)
{
    struct weft_arena a = { 0 };
    const char **names = NULL;
    size_t n = 0;
    bool found = false;
    if (r->overwrite_output_dir || weft_dir_list(&a, output_dir, &names, &n, NULL)) n = 0;
    for (size_t i = 0; i < n; i++) found = found || strncmp(names[i], "checkpoint-", 11) == 0;
    weft_arena_clear(&a);
    return found;
}
