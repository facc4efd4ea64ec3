/* weft train RECIPE.yaml, and the training stage that `weft run` shares with it: here the trainer, which knows only a
 * list of parameters, meets the adapter. */
#include "cli/cluster.h"
#include "cli/model_files.h"
#include "cli/profile.h"
#include "cli/record.h"
#include "cli/session.h"
#include "cli/token_cache.h"
#include "cli/train_stage.h"
#include "cli/verbs.h"

#include "base/file.h"
#include "base/hash.h"
#include "dataset/canon.h"
#include "dataset/formats.h"
#include "dataset/info.h"
#include "dataset/split.h"
#include "model/gguf.h"
#include "model/quantise.h"
#include "text/text.h"
#include "tokens/named.h"
#include "train/advice.h"
#include "train/fit.h"
#include "train/order.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum { GENTLE = 15 };       /* of `nice` */

/* Everything of one run, torn down in one place. */
struct stage {
    struct weft_cli *cli;
    struct weft_recipe *recipe;
    const char *base_dir;
    struct weft_tokenizer *tokenizer;
    const struct weft_chat_template *chat;
    struct weft_model *model;
    struct weft_model *reference;           /* stages dpo and kto; NULL: the model without its adapter */
    struct weft_params params;
    struct weft_arena trained;              /* of what is trained */
    struct weft_rows train_rows, valid_rows;
    struct weft_examples train, valid;
    struct weft_store_run_data *data;       /* [n_data] the files of the rows, for the record */
    size_t n_data;
    const char *project;                    /* to record the run in; NULL: that of the data */
    struct weft_buf row_name;               /* of the row asked for last */
    int64_t run_id;                         /* in the store; 0: not recorded */
    char tokenizer_sha[WEFT_SHA256_HEX], base_sha[WEFT_SHA256_HEX];
    char start_sha[WEFT_SHA256_HEX];        /* of the base, and of the adapter that is gone on with */
    const char *pissa_base;                 /* folder of the model that the adapter belongs to; NULL: the base */
    char pissa_sha[WEFT_SHA256_HEX];        /* of that model */
    enum weft_rope_type rope;               /* what positions are stretched by, for so many tokens; 0: they are not */
    size_t rope_length;
};

/* ---- data ---- */

/* A dataset is a file, or a name in dataset_dir/dataset_info.json, which may rename columns. */
static enum weft_status find_dataset(struct stage *s, const char *word, const char **path,
                                     struct weft_rows_settings *how)
{
    struct weft_arena *a = &s->cli->arena;
    struct weft_err *err = &s->cli->err;
    const char *dir = s->recipe->dataset_dir ? s->recipe->dataset_dir : "data";
    const char *under = weft_path_join(a, dir, word), *info = weft_path_join(a, dir, "dataset_info.json");
    struct weft_info found;
    char shown[256];
    *how = (struct weft_rows_settings){ .max_rows = s->recipe->max_samples };
    *path = word;
    if (weft_file_exists(word)) return WEFT_OK;
    if (under && weft_file_exists(under)) {
        *path = under;
        return WEFT_OK;
    }
    if (!info || !weft_file_exists(info))
        return weft_fail(
            err, WEFT_EARG,
            "no dataset \"%s\": it is no file here or in %s, and there is no %s that could name it",
            weft_escape(shown, sizeof shown, weft_str_c(word)), dir, info ? info : "dataset_info.json");
    enum weft_status st = weft_info_find(a, info, word, &found, err);
    if (st) return st;
    *path = found.path;
    how->format = found.format;
    how->columns = found.columns;
    return WEFT_OK;
}

static enum weft_status refuse_or_warn(struct stage *s, const char *path, const struct weft_report *report)
{
    struct weft_cli *cli = s->cli;
    uint64_t dropped = weft_report_dropped(report);
    struct weft_str first = report->n_places ? report->places[0] : (struct weft_str){ 0 };
    if (!dropped) return WEFT_OK;
    if (!s->recipe->skip_bad)
        return weft_fail(
            &cli->err, WEFT_EINPUT,
            "%s: %llu rows cannot be used; the first: %.*s. Repair them (weft data check shows all), or train without them: "
            "skip_bad=true",
            path, (unsigned long long)dropped, (int)first.len, first.s ? first.s : "");
    weft_warn(cli, "%s: training without %llu rows that cannot be used; the first: %.*s", path,
              (unsigned long long)dropped, (int)first.len, first.s ? first.s : "");
    return WEFT_OK;
}

/* JSON in any of its forms, or any text file as one text.  `sha256` is the file's. */
static enum weft_status read_file(struct stage *s, const char *path, const struct weft_rows_settings *how,
                                  struct weft_rows *rows, char sha256[WEFT_SHA256_HEX])
{
    struct weft_arena *a = &s->cli->arena;
    struct weft_err *err = &s->cli->err;
    struct weft_str name = weft_str_c(path);
    if (weft_str_ends(name, WEFT_STR(".txt")) || weft_str_ends(name, WEFT_STR(".md"))) {
        struct weft_text text;
        enum weft_status st = weft_text_read(a, path, NULL, &text, err);
        if (!st && weft_text_partial(&text) && !s->recipe->skip_bad)
            st = weft_fail(
                err, WEFT_EINPUT,
                "%s: %llu places are not text (the first in line %llu); repair them, or train with them "
                "replaced: skip_bad=true",
                path, (unsigned long long)text.repaired + (unsigned long long)text.nul_dropped,
                (unsigned long long)(text.n_places ? text.places[0].line : 0));
        struct weft_row *row = st ? NULL : weft_rows_add(rows, a);
        if (st || !row) return st ? st : weft_fail_nomem(err, sizeof *row, "rows");
        row->text = text.text;
        row->kto_tag = -1;
        row->origin.file = name;
        row->origin.line = 1;
        memcpy(sha256, text.sha256, WEFT_SHA256_HEX);
        return WEFT_OK;
    }
    struct weft_report report = { 0 };
    struct weft_rows_shape shape;
    enum weft_status st = weft_rows_read(a, path, how, rows, &report, &shape, err);
    if (!st) memcpy(sha256, shape.sha256, WEFT_SHA256_HEX);
    return st ? st : refuse_or_warn(s, path, &report);
}

/* Where the rows from `first` on came from: by file, and by what they say. */
static enum weft_status remember_file(struct stage *s, const char *part, const char *path, const char *sha256,
                                      const struct weft_rows *rows, size_t first)
{
    struct weft_arena *a = &s->cli->arena;
    struct weft_rows own = { rows->items + first, rows->n - first, rows->n - first };
    char content[WEFT_SHA256_HEX];
    enum weft_status st = weft_dataset_hash_rows(&own, content, &s->cli->err);
    if (st) return st;
    struct weft_store_run_data *d = &s->data[s->n_data++];
    *d = (struct weft_store_run_data){ .part = weft_str_c(part), .path = weft_str_c(path), .n_rows = own.n,
                                       .sha256 = weft_str_dup(a, weft_str_c(sha256)),
                                       .content = weft_str_dup(a, weft_str_c(content)) };
    return d->sha256.s && d->content.s ? WEFT_OK : weft_fail_nomem(&s->cli->err, sizeof content, "rows");
}

static enum weft_status read_list(struct stage *s, const char *part, const struct weft_str_list *list,
                                  struct weft_rows *rows)
{
    enum weft_status st = WEFT_OK;
    for (size_t i = 0; !st && i < list->n; i++) {
        const char *path;
        char sha256[WEFT_SHA256_HEX];
        size_t first = rows->n;
        struct weft_rows_settings how;
        weft_progress_update(&s->cli->progress, "reading", i, list->n, "files", "");
        st = find_dataset(s, list->items[i], &path, &how);
        if (!st) st = read_file(s, path, &how, rows, sha256);
        if (!st) st = remember_file(s, part, path, sha256, rows, first);
    }
    return st;
}

static enum weft_status take(struct stage *s, const struct weft_rows *from, const struct weft_part *part,
                             struct weft_rows *to)
{
    to->items = WEFT_NEWS(&s->cli->arena, struct weft_row, part->n);
    if (!to->items) return weft_fail_nomem(&s->cli->err, part->n * sizeof *to->items, "rows");
    for (size_t i = 0; i < part->n; i++) to->items[i] = from->items[part->rows[i]];
    to->n = to->cap = part->n;
    return WEFT_OK;
}

static enum weft_status read_rows(struct stage *s)
{
    struct weft_recipe *r = s->recipe;
    struct weft_rows all = { 0 };
    if (!r->dataset.n)
        return weft_fail(&s->cli->err, WEFT_EARG, "no dataset: expected \"dataset: FILE\" in the recipe");
    s->data = WEFT_NEWS(&s->cli->arena, struct weft_store_run_data, r->dataset.n + r->eval_dataset.n);
    if (!s->data) return weft_fail_nomem(&s->cli->err, sizeof *s->data, "rows");
    enum weft_status st = read_list(s, "train", &r->dataset, &all);
    if (!st && r->eval_dataset.n) {
        st = read_list(s, "valid", &r->eval_dataset, &s->valid_rows);
    } else if (!st && r->val_size > 0) {
        struct weft_split split;
        struct weft_split_settings how = { .valid = r->val_size, .seed = r->seed, .by = WEFT_SPLIT_ROW };
        st = weft_split_rows(&s->cli->arena, &all, &how, &split, &s->cli->err);
        if (!st) st = take(s, &all, &split.valid, &s->valid_rows);
        if (!st) st = take(s, &all, &split.train, &s->train_rows);
        return st;
    }
    s->train_rows = all;
    return st;
}

/* ---- model ---- */

static enum weft_status load_words(struct stage *s)
{
    struct weft_err *err = &s->cli->err;
    enum weft_status st = weft_cli_model_path(s->cli, s->recipe->model_name_or_path, &s->base_dir);
    if (!st) st = weft_model_tokenizer(&s->tokenizer, s->base_dir, err);
    const char *file = st ? NULL : weft_path_join(&s->cli->arena, s->base_dir, "tokenizer.json");
    if (!st && file && weft_file_exists(file)) st = weft_sha256_file(file, s->tokenizer_sha, err);
    if (st) return st;
    struct weft_str source = weft_tokenizer_chat_template(s->tokenizer);
    if (s->recipe->template_mode == WEFT_TEMPLATE_LLAMAFACTORY) {
        struct weft_named_settings how = { .default_system = s->recipe->default_system,
                                           .thinking = (enum weft_thinking)s->recipe->enable_thinking,
                                           .preserve_thinking = s->recipe->preserve_thinking };
        st = weft_named_template(&s->cli->arena, s->recipe->template, s->tokenizer, &how, &source, err);
        if (st) return st;
    }
    if (!source.s) {
        weft_warn(s->cli, "%s brings no chat template; ChatML (<|im_start|>role ... <|im_end|>) is used", s->base_dir);
        source = weft_str_c(weft_chat_chatml);
    }
    return weft_chat_parse(&s->cli->arena, "chat_template", source, &s->chat, err);
}

static enum weft_status load_model(struct stage *s)
{
    struct weft_recipe *r = s->recipe;
    struct weft_err *err = &s->cli->err;
    struct weft_model_settings how = { .exact = !r->bf16, .max_positions = (size_t)r->cutoff_len };
    enum weft_status st;
    if (r->from_scratch) {
        struct weft_config config;
        st = weft_config_load(&s->cli->arena, s->base_dir, &config, err);
        if (!st) st = weft_model_random(&s->model, &config, (uint64_t)r->seed, &how, err);
    } else {
        st = weft_model_load(&s->model, s->base_dir, &how, err);
    }
    bool again = s->base_sha[0] != '\0';        /* in fewer bits: all else is known */
    if (!st && !again) weft_warn_model(s->cli, s->base_dir, s->model, s->tokenizer);
    if (!st && weft_tokenizer_vocab_size(s->tokenizer) > s->model->config.vocab_size)
        st = weft_fail_rule(err, WEFT_EINPUT, "TK8",
                            "%s: the tokenizer has %zu tokens, the model only %zu rows", s->base_dir,
                            weft_tokenizer_vocab_size(s->tokenizer), s->model->config.vocab_size);
    if (!st && !again) st = weft_model_fingerprint(s->model, s->base_sha, err);
    memcpy(s->start_sha, s->base_sha, sizeof s->start_sha);
    /* After the fingerprint, which is that of the files: the same base in fewer bits is a setting of the run. */
    struct weft_compute *c = &s->cli->compute;
    c->int8 = r->base_compute == WEFT_BASE_INT8;
    if (!st && c->int8 && !weft_compute_has_int8(c) && c->isa != WEFT_ISA_REF)
        st = weft_fail(err, WEFT_EDEVICE,
                       "base_compute: int8: level %s of this processor does not multiply in int8; it needs AVX-512 with "
                       "VNNI and BF16", weft_isa_name(c->isa));
    if (!st && r->quantization)
        st = weft_model_quantise(s->model, &s->cli->compute, weft_quant_find(r->quantization), r->double_quantization,
                                 &s->cli->progress, err);
    return st;
}

/* An adapter that is gone on with is part of what the run starts from. */
static enum weft_status load_adapter(struct stage *s, const char *dir)
{
    struct weft_err *err = &s->cli->err;
    struct weft_arena *a = &s->trained;
    char adapter[WEFT_SHA256_HEX];
    const char *file = weft_path_join(a, dir, "adapter_model.safetensors");
    struct weft_lora_info info = { 0 };
    enum weft_status st = weft_lora_load(a, s->model, dir, &s->params, &info, err);
    if (!s->recipe->rope_scaling) {
        s->rope = info.rope;
        s->rope_length = info.rope_length;
    }
    if (!st) st = file ? weft_sha256_file(file, adapter, err) : weft_fail_nomem(err, strlen(dir), "a path");
    if (st) return st;
    struct weft_str both = weft_str_printf(a, "%s %s", s->base_sha, adapter);
    return both.s ? weft_sha256_of(both, s->start_sha, err) : weft_fail_nomem(err, 2 * sizeof adapter, "an identity");
}

/* Over several micro-batches, or as soon as fit cuts batches into such. */
static bool may_accumulate(const struct weft_recipe *r)
{
    return r->gradient_accumulation_steps > 1 || (weft_fit_wanted(r) && r->per_device_train_batch_size > 1);
}

static enum weft_status train_part(struct stage *s)
{
    struct weft_recipe *r = s->recipe;
    struct weft_arena *a = &s->trained;
    struct weft_err *err = &s->cli->err;
    s->model->train_low = strcmp(r->optim, "adamw_bf16") == 0;
    if (r->use_badam)
        return weft_model_train_blocks(s->model, a, r->badam_mode == WEFT_BADAM_RATIO, r->bf16, &s->params, err);
    /* Several micro-batches are added up in a place of its own: one layer's room is enough for what is added. */
    if (r->finetuning_type == WEFT_FINETUNING_FULL && (weft_recipe_layerwise(r) || may_accumulate(r)))
        return weft_model_train_layerwise(s->model, a, &s->params, err);
    if (r->finetuning_type == WEFT_FINETUNING_FULL) return weft_model_train_all(s->model, a, &s->params, err);
    if (r->finetuning_type == WEFT_FINETUNING_FREEZE) {
        struct weft_freeze freeze = { r->freeze_trainable_layers, r->freeze_trainable_modules.items,
                                      r->freeze_trainable_modules.n, r->freeze_extra_modules.items,
                                      r->freeze_extra_modules.n, r->use_llama_pro };
        return weft_model_train_some(s->model, a, &freeze, &s->params, err);
    }
    if (r->adapter_name_or_path) {
        const char *dir = weft_adapter_folder(a, r->adapter_name_or_path);
        if (!dir)
            return weft_fail(
                err, WEFT_EARG,
                "%s holds no adapter: expected adapter_config.json in it or in its folder adapter/",
                r->adapter_name_or_path);
        return load_adapter(s, dir);
    }
    struct weft_lora_settings lora = { .rank = (size_t)r->lora_rank,
                                       .alpha = r->lora_alpha,
                                       .dropout = r->lora_dropout,
                                       .rslora = r->use_rslora,
                                       .targets = r->lora_target.items,
                                       .n_targets = r->lora_target.n,
                                       .init = r->lora_init == WEFT_INIT_GAUSSIAN ? WEFT_LORA_GAUSSIAN
                                                                                  : WEFT_LORA_KAIMING,
                                       .torch_rng = r->init_rng == WEFT_INIT_TORCH,
                                       .seed = (uint64_t)r->seed,
                                       .dora = r->use_dora,
                                       .pissa = r->pissa_init,
                                       .pissa_iter = (int)r->pissa_iter,
                                       .tables = r->additional_target.items,
                                       .n_tables = r->additional_target.n,
                                       .pool = s->cli->pool };
    return weft_lora_attach(a, s->model, &lora, &s->params, err);
}

/* rope_scaling: more positions than the model was made for.  After the fingerprints, which are of the files. */
static enum weft_status stretch(struct stage *s)
{
    struct weft_recipe *r = s->recipe;
    size_t before = s->model->config.max_position_embeddings;
    if (r->rope_scaling) {
        struct weft_config would = s->model->config;
        s->rope = (enum weft_rope_type)r->rope_scaling;
        s->rope_length = (size_t)r->cutoff_len;
        if (!weft_config_stretch(&would, s->rope, s->rope_length)) {
            s->rope_length = 0;
            weft_warn(s->cli, "rope_scaling has no effect: cutoff_len %lld is within what the model was made for",
                      (long long)r->cutoff_len);
        }
    }
    if (!s->rope_length) return WEFT_OK;
    enum weft_status st = weft_model_stretch(s->model, s->rope, s->rope_length, &s->cli->err);
    const struct weft_config *c = &s->model->config;
    if (!st)
        weft_tell(s->cli, "  positions: %zu instead of %zu (rope_scaling: %s, factor %g)\n", c->max_position_embeddings,
                  before, weft_rope_type_name(c->rope.type), c->rope.factor);
    return st;
}

/* The fingerprint of what was written: files have one, models in memory do not. */
static enum weft_status read_pissa_base(struct stage *s)
{
    struct weft_model_settings how = { .max_positions = 1 };
    struct weft_model *m = NULL;
    enum weft_status st = weft_model_load(&m, s->pissa_base, &how, &s->cli->err);
    if (!st) st = weft_model_fingerprint(m, s->pissa_sha, &s->cli->err);
    weft_model_free(m);
    return st;
}

/* pissa_convert: false.  The adapter belongs to what is left of the model without the directions it began with: that
 * is a model of its own, written once, before the run. */
static enum weft_status write_pissa_base(struct stage *s)
{
    struct weft_recipe *r = s->recipe;
    struct weft_err *err = &s->cli->err;
    const char *tmp = NULL;
    if (!r->pissa_init || r->pissa_convert) return WEFT_OK;
    s->pissa_base = weft_path_join(&s->cli->arena, r->output_dir, "pissa_base");
    if (!s->pissa_base) return weft_fail_nomem(err, strlen(r->output_dir), "a path");
    if (!weft_cli_is_first(s->cli)) return WEFT_OK;
    if (weft_dir_exists(s->pissa_base) && !r->overwrite_output_dir) return read_pissa_base(s);
    enum weft_status st = weft_dir_begin(&s->cli->arena, s->pissa_base, &tmp, err);
    if (!st) st = weft_model_save(s->model, tmp, weft_model_linear(s->model, 0)->type, false, &s->cli->progress, err);
    if (!st) st = weft_copy_model_files(s->cli, s->base_dir, tmp);
    if (!st) st = weft_dir_commit(tmp, s->pissa_base, err);
    if (!st) weft_tell(s->cli, "  pissa_base: the model that the adapter belongs to, in %s\n", s->pissa_base);
    return st ? st : read_pissa_base(s);
}

static enum weft_status make_trainable(struct stage *s)
{
    enum weft_status st = train_part(s);
    if (!st) st = write_pissa_base(s);
    if (!st) st = stretch(s);
    if (!st && s->recipe->loraplus_lr_ratio > 0) weft_lora_plus(&s->params, s->recipe->loraplus_lr_ratio);
    return st;
}

static bool same_shape(const struct weft_config *a, const struct weft_config *b)
{
    return a->hidden_size == b->hidden_size && a->intermediate_size == b->intermediate_size
           && a->n_layers == b->n_layers && a->n_heads == b->n_heads && a->n_kv_heads == b->n_kv_heads
           && a->head_dim == b->head_dim && a->qk_norm == b->qk_norm;
}

/* What preferences are compared with: a model of its own, where the user names one or no adapter can be switched
 * off. */
static enum weft_status load_reference(struct stage *s)
{
    struct weft_recipe *r = s->recipe;
    struct weft_model_settings how = { .exact = !r->bf16, .max_positions = (size_t)r->cutoff_len };
    const char *dir = s->base_dir;
    enum weft_status st = WEFT_OK;
    if (!weft_recipe_needs_reference(r)) return WEFT_OK;
    if (!r->ref_model && r->finetuning_type == WEFT_FINETUNING_LORA) return WEFT_OK;
    if (r->ref_model) st = weft_cli_model_path(s->cli, r->ref_model, &dir);
    if (!st) st = weft_model_load(&s->reference, dir, &how, &s->cli->err);
    if (!st) st = weft_model_stretch(s->reference, s->rope, s->rope_length, &s->cli->err);
    if (!st && s->reference->config.vocab_size != s->model->config.vocab_size)
        st = weft_fail(&s->cli->err, WEFT_EINPUT,
                       "ref_model: %s knows %zu tokens, the model in training %zu; they need the same tokenizer", dir,
                       s->reference->config.vocab_size, s->model->config.vocab_size);
    if (!st && !same_shape(&s->reference->config, &s->model->config))
        st = weft_fail(&s->cli->err, WEFT_EINPUT,
                       "ref_model: %s has other layers than the model in training; both run in the same memory, and need "
                       "the same shape", dir);
    return st;
}

static void as_reference(void *ctx, bool on)
{
    struct stage *s = ctx;
    weft_lora_enable(s->model, !on);
}

static enum weft_status collate(struct stage *s)
{
    struct weft_recipe *r = s->recipe;
    struct weft_collate_settings how = { .stage = weft_recipe_collate_stage(r),
                                         .cutoff_len = r->cutoff_len,
                                         .over_length = (enum weft_over_length)r->over_length,
                                         .train_on_prompt = r->train_on_prompt,
                                         .mask_history = r->mask_history,
                                         .packing = r->packing,
                                         .neat_packing = r->neat_packing,
                                         .clean = r->compat == WEFT_COMPAT_CLEAN };
    enum weft_status st =
        weft_cli_collate(s->cli, r, s->base_dir, s->tokenizer, s->chat, &s->train_rows, &how, &s->train);
    if (!st && s->valid_rows.n)
        st = weft_cli_collate(s->cli, r, s->base_dir, s->tokenizer, s->chat, &s->valid_rows, &how, &s->valid);
    return st;
}

/* ---- what the user sees ---- */

enum { LENGTH_BAR = 32 };

/* Rows by length, where some were too long: what another cutoff_len would cost. */
static void print_lengths(struct stage *s)
{
    const struct weft_examples *e = &s->train;
    uint64_t most = 1;
    size_t first = WEFT_COLLATE_BINS, last = 0;
    for (size_t i = 0; i < WEFT_COLLATE_BINS; i++) {
        if (!e->by_length[i]) continue;
        if (first == WEFT_COLLATE_BINS) first = i;
        last = i;
        if (e->by_length[i] > most) most = e->by_length[i];
    }
    weft_tell(s->cli, "  rows by length in tokens:\n");
    for (size_t i = first; i <= last && i < WEFT_COLLATE_BINS; i++) {
        char bar[3 * LENGTH_BAR + 1] = "";
        uint64_t wide = (e->by_length[i] * LENGTH_BAR + most - 1) / most;
        for (uint64_t k = 0; k < wide; k++) memcpy(bar + 3 * k, "\xe2\x96\x88", 4);       /* a full block */
        weft_tell(s->cli, "  %8u-%-8u %s %llu%s\n", 1u << i, (2u << i) - 1, bar, (unsigned long long)e->by_length[i],
                  INT64_C(1) << i > s->recipe->cutoff_len ? weft_tr(s->cli->lang, "  all longer than cutoff_len") : "");
    }
}

static void print_data(struct stage *s)
{
    char rows[32], examples[32], tokens[32], labels[32], longest[32];
    const struct weft_examples *e = &s->train;
    weft_tell(s->cli, "  data: %s rows, %s examples of at most %s tokens; %s tokens, %s with loss\n",
              weft_cli_count(rows, e->rows_in), weft_cli_count(examples, e->n),
              weft_cli_count(longest, e->longest), weft_cli_count(tokens, e->total_tokens),
              weft_cli_count(labels, e->total_labels));
    if (e->over_long)
        weft_warn(s->cli, "%llu rows are longer than cutoff_len %lld and were left out (over_length: drop)",
                  (unsigned long long)e->over_long, (long long)s->recipe->cutoff_len);
    if (e->truncated)
        weft_tell(s->cli, "  %llu examples are longer than cutoff_len %lld and were cut\n",
                  (unsigned long long)e->truncated, (long long)s->recipe->cutoff_len);
    if (e->truncated || e->over_long) print_lengths(s);
    if (e->no_loss) weft_tell(s->cli, "  %llu rows carry no loss and were left out\n", (unsigned long long)e->no_loss);
    if (s->valid.n) weft_tell(s->cli, "  validation: %s examples\n", weft_cli_count(rows, s->valid.n));
}

static void print_model(struct stage *s)
{
    char all[32], trained[32];
    weft_tell(s->cli, "  model: %s, %s parameters, of which %s are trained (%s)\n", s->recipe->model_name_or_path,
              weft_cli_count(all, weft_config_n_params(&s->model->config)), weft_cli_count(trained, s->params.n_values),
              s->recipe->finetuning_type == WEFT_FINETUNING_LORA   ? "lora"
              : s->recipe->finetuning_type == WEFT_FINETUNING_FULL ? "full"
                                                                   : "freeze");
}

static void print_ranks(struct stage *s)
{
    const struct weft_cluster *c = s->cli->cluster;
    if (c)
        weft_tell(s->cli, "  ranks: %d over %s, %d on this machine; %lld micro-batches an update\n", c->size, c->peers, c->here,
                  (long long)s->recipe->gradient_accumulation_steps);
}

static void print_plan(struct stage *s, const struct weft_memory_plan *plan)
{
    char bytes[32], of[32];
    weft_tell(s->cli, "  memory plan: %s of %s available\n", weft_cli_bytes(bytes, plan->total_bytes),
              weft_cli_bytes(of, plan->available_bytes));
    for (size_t i = 0; i < plan->n; i++)
        if (plan->lines[i].bytes)
            weft_tell(s->cli, "    %-10s %s\n", weft_cli_bytes(bytes, plan->lines[i].bytes),
                      weft_tr(s->cli->lang, plan->lines[i].item));
}

static void print_advice(struct stage *s)
{
    struct weft_advice advice;
    weft_advise(s->recipe, &s->train, s->valid.n, s->params.n_values, s->cli->lang, &advice);
    for (size_t i = 0; i < advice.n; i++) weft_tell(s->cli, "  advice: %s\n", advice.lines[i]);
}

/* The live line is the trainer's own; what is worth keeping on the screen is the validation. */
static void on_report(void *ctx, const struct weft_train_report *r)
{
    struct stage *s = ctx;
    if (!isnan(r->valid_loss))
        weft_tell(s->cli, "  step %llu: validation loss %.4f (training %.4f)\n", (unsigned long long)r->step,
                  r->valid_loss, r->loss);
}

static const char *row_name(void *ctx, uint32_t row_idx)
{
    struct stage *s = ctx;
    if (row_idx >= s->train_rows.n) return NULL;
    const struct weft_origin *o = &s->train_rows.items[row_idx].origin;
    if (!o->id.s) return NULL;
    weft_buf_reset(&s->row_name);
    weft_buf_str(&s->row_name, o->id);
    weft_buf_char(&s->row_name, '\0');
    return s->row_name.failed ? NULL : s->row_name.s;
}

/* ---- results ---- */

static enum weft_status save_result(void *ctx, const char *dir, struct weft_err *err)
{
    struct stage *s = ctx;
    if (s->recipe->finetuning_type == WEFT_FINETUNING_LORA) {
        struct weft_lora_info info = { .base_model = s->pissa_base ? s->pissa_base : s->recipe->model_name_or_path,
                                       .base_sha256 = s->pissa_base ? s->pissa_sha : s->base_sha,
                                       .template_sha256 = weft_chat_fingerprint(s->chat), .rope = s->rope,
                                       .rope_length = s->rope_length, .keep_pissa = s->pissa_base != NULL };
        enum weft_status st = weft_lora_save(s->model, dir, &info, err);
        return st ? st : weft_write_template(s->cli, s->chat, dir);
    }
    enum weft_status st = weft_model_save(s->model, dir, WEFT_BF16, false, NULL, err);
    if (!st) st = weft_copy_model_files(s->cli, s->base_dir, dir);
    return st ? st : weft_write_template(s->cli, s->chat, dir);
}

static enum weft_status write_result(struct stage *s)
{
    struct weft_err *err = &s->cli->err;
    const char *name = s->recipe->finetuning_type == WEFT_FINETUNING_LORA ? "adapter" : "model", *tmp;
    const char *path = weft_path_join(&s->cli->arena, s->recipe->output_dir, name);
    if (!path) return weft_fail_nomem(err, 0, "a path");
    enum weft_status st = weft_dir_begin(&s->cli->arena, path, &tmp, err);
    if (!st) st = save_result(s, tmp, err);
    if (!st) st = weft_dir_commit(tmp, path, err);
    return st;
}

enum { CURVE_ROWS = 12, CURVE_COLUMNS = 78 };

/* loss.svg, also of a run that was stopped; the curve in the terminal when it is done. */
static enum weft_status draw_curve(struct stage *s, bool finished)
{
    struct weft_cli *cli = s->cli;
    struct weft_curve curves[WEFT_N_CURVES];
    struct weft_buf svg = { 0 }, text = { 0 };
    const char *dir = s->recipe->output_dir, *log = weft_path_join(&cli->arena, dir, "log.jsonl"),
               *path = weft_path_join(&cli->arena, dir, "loss.svg");
    const char *name = strrchr(dir, '/') && strrchr(dir, '/')[1] ? strrchr(dir, '/') + 1 : dir;
    struct weft_str title = weft_str_printf(&cli->arena, "%s: %s", weft_tr(cli->lang, "loss"), name);
    if (!log || !path || !title.s) return weft_fail_nomem(&cli->err, strlen(dir), "a path");
    if (!weft_file_exists(log)) return WEFT_OK;
    enum weft_status st = weft_log_curves(&cli->arena, log, curves, &cli->err);
    for (size_t i = 0; !st && i < WEFT_N_CURVES; i++) curves[i].label = weft_tr(cli->lang, curves[i].label);
    if (!st && s->recipe->plot_loss) {
        weft_curve_svg(&svg, curves, WEFT_N_CURVES, title.s, weft_tr(cli->lang, "step"), weft_tr(cli->lang, "loss"));
        st = weft_buf_check(&svg, "loss.svg", &cli->err);
        if (!st) st = weft_file_write(path, weft_buf_view(&svg), &cli->err);
    }
    if (!st && finished) {
        weft_curve_text(&text, curves, WEFT_N_CURVES, weft_min_size(weft_cli_columns() - 2, CURVE_COLUMNS), CURVE_ROWS);
        if (text.len) weft_tell(cli, "\n%s\n", text.s);
    }
    weft_buf_clear(&svg);
    weft_buf_clear(&text);
    return st;
}

static void print_result(struct stage *s, const struct weft_train_result *r)
{
    char tokens[32], time[32], rate[32];
    if (r->resumed_from && r->resumed_from >= r->total_steps)
        weft_tell(s->cli, "  finished already; nothing to train\n");
    weft_tell(
        s->cli, "  %llu steps, %s tokens in %s (%s tokens/s); loss %.4f\n", (unsigned long long)r->steps,
        weft_cli_count(tokens, r->tokens), weft_cli_duration(time, r->seconds),
        weft_cli_count(rate, r->seconds > 0 ? (uint64_t)((double)r->tokens / r->seconds) : 0), r->last_loss);
    if (!r->exact) weft_warn(s->cli, "this run was resumed from other inputs; its result cannot be repeated exactly");
    if (!isnan(r->last_valid_loss))
        weft_tell(s->cli, "  validation loss %.4f, the best on the way %.4f\n", r->last_valid_loss, r->best_valid_loss);
    double mean = r->train_loss;
    for (size_t i = 0; i < r->n_dearest && r->dearest_loss[i] > 2 * mean; i++) {
        const char *id = row_name(s, r->dearest[i]);
        char number[24];
        snprintf(number, sizeof number, "%u", r->dearest[i] + 1);
        weft_tell(s->cli, "  row %s costs %.2f, the mean of the run is %.2f: is its answer right? (row_loss.jsonl has all)\n",
                  id ? id : number, r->dearest_loss[i], mean);
    }
    if (r->skipped)
        weft_warn(s->cli, "%llu updates were skipped; log.jsonl says which and why",
                  (unsigned long long)r->skipped);
}

/* All threads there are: each has a priority of its own.  Without /proc the calling one alone. */
static void give_way(struct weft_cli *cli)
{
    const char **names = NULL;
    size_t n = 0;
    struct weft_err ignored = { 0 };
    if (weft_dir_list(&cli->arena, "/proc/self/task", &names, &n, &ignored)) n = 0;
    bool done = setpriority(PRIO_PROCESS, 0, GENTLE) == 0;
    for (size_t i = 0; i < n; i++)
        done = setpriority(PRIO_PROCESS, (id_t)strtoul(names[i], NULL, 10), GENTLE) == 0 && done;
    if (!done) weft_warn(cli, "nice: the system did not lower the priority of this run");
}

/* ---- the record ---- */

static void record_begin(struct stage *s)
{
    struct weft_buf yaml = { 0 };
    if (!weft_cli_is_first(s->cli)) return;
    weft_options_dump(weft_recipe_options, s->recipe, &yaml);
    const struct weft_record_run run = { .project = s->project, .output_dir = s->recipe->output_dir,
                                         .base = s->recipe->model_name_or_path, .base_sha256 = s->base_sha,
                                         .parameters = weft_buf_view(&yaml), .data = s->data, .n_data = s->n_data };
    if (!yaml.failed) s->run_id = weft_record_run_begin(s->cli, &run);
    weft_buf_clear(&yaml);
}

static void record_end(struct stage *s, enum weft_status st, const struct weft_train_result *r)
{
    if (!weft_cli_is_first(s->cli)) return;
    /* What was asked for wrongly is no run. */
    if (!s->run_id && s->n_data && st != WEFT_OK && st != WEFT_ECANCEL && st != WEFT_EARG) record_begin(s);
    weft_record_run_end(s->cli, s->run_id, st, s->recipe->output_dir, r->steps, r->steps ? r->last_loss : (double)NAN,
                        r->steps ? r->last_valid_loss : (double)NAN);
}

/* ---- what fits ---- */

/* What a run on disk began with.  Rank 0 alone sees it. */
static enum weft_status resume_fit(struct stage *s, bool *begun)
{
    struct weft_cli *cli = s->cli;
    struct weft_recipe *r = s->recipe;
    struct weft_err *err = &cli->err;
    enum weft_status st = WEFT_OK;
    struct {
        int64_t batch, accumulation, bit;
        int type;
        bool checkpointing, nested, begun;
    } kept = { 0 };
    if (weft_cli_is_first(cli)) {
        kept.begun = weft_fit_begun(r->output_dir, r);
        if (kept.begun && weft_fit_wanted(r)) st = weft_fit_resume(r->output_dir, &cli->arena, r, err);
        if (!st && !kept.begun) st = weft_fit_forget(r->output_dir, err);
        kept.batch = r->per_device_train_batch_size;
        kept.accumulation = r->gradient_accumulation_steps;
        kept.bit = r->quantization_bit;
        kept.type = r->quantization_type;
        kept.checkpointing = r->gradient_checkpointing;
        kept.nested = r->double_quantization;
    }
    if (weft_cluster_size(cli->cluster) > 1) {
        st = weft_cluster_agree(cli->cluster, st, err);
        if (!st) st = weft_cluster_spread(cli->cluster, 0, &kept, sizeof kept, err);
    }
    if (st) return st;
    bool quantised = weft_cli_is_first(cli) ? false : kept.bit != r->quantization_bit;
    *begun = kept.begun;
    r->per_device_train_batch_size = kept.batch;
    r->gradient_accumulation_steps = kept.accumulation;
    r->quantization_bit = kept.bit;
    r->quantization_type = kept.type;
    r->gradient_checkpointing = kept.checkpointing;
    r->double_quantization = kept.nested;
    return quantised ? weft_recipe_check(r, NULL, err) : WEFT_OK;       /* rank 0 has resolved it */
}

static void print_fit(struct stage *s, const struct weft_fit *f)
{
    struct weft_buf chosen = { 0 };
    char bytes[32], of[32], other[32];
    const struct weft_fit_plan *was = &f->asked, *is = &f->chosen;
    bool same = was->batch == is->batch && was->checkpointing == is->checkpointing && was->base == is->base;
    weft_fit_text(is, &chosen);
    weft_cli_bytes(bytes, is->bytes);
    weft_cli_bytes(of, f->available_bytes);
    weft_cli_bytes(other, was->bytes);
    if (same) {
        weft_tell(s->cli, "  fit: nothing needs to change: %s of %s (%s)\n", bytes, of, chosen.s ? chosen.s : "");
    } else {
        weft_tell(s->cli, "  fit: %s: %s of %s\n", chosen.s ? chosen.s : "", bytes, of);
        if (was->cost <= is->cost) weft_tell(s->cli, "    as asked it takes %s\n", other);
        else weft_tell(s->cli, "    as asked it takes %s, and longer\n", other);
    }
    if (f->faster.bytes && is->base)
        weft_tell(s->cli, "    with more bits for the base it takes at least %s\n", weft_cli_bytes(other, f->faster.bytes));
    else if (f->faster.bytes && f->faster.bytes != was->bytes)
        weft_tell(s->cli, "    what is faster takes at least %s\n", weft_cli_bytes(other, f->faster.bytes));
    weft_buf_clear(&chosen);
}

static void measure_adapter(struct stage *s, struct weft_train_job *job)
{
    job->model = s->model;
    job->held_bytes = weft_lora_held_bytes(s->model);
    job->save_bytes = weft_lora_save_bytes(s->model);
}

/* The base once more, quantised as the recipe says by now. */
static enum weft_status load_again(struct stage *s, struct weft_train_job *job)
{
    weft_model_free(s->model);
    s->model = NULL;
    weft_arena_clear(&s->trained);
    s->params = (struct weft_params){ 0 };
    enum weft_status st = load_model(s);
    if (!st) st = make_trainable(s);
    if (!st) measure_adapter(s, job);
    return st;
}

static enum weft_status fit_into_memory(struct stage *s, struct weft_train_job *job, bool begun)
{
    struct weft_recipe *r = s->recipe;
    struct weft_err *err = &s->cli->err;
    struct weft_fit_limits limits = { .precision = r->fit == WEFT_FIT_PRECISION, .begun = begun };
    struct weft_fit fit;
    enum weft_status st = weft_fit_choose(job, &limits, &fit, err);
    if (st) return st;
    weft_fit_apply(&fit.chosen, r);
    if (fit.chosen.base) st = weft_cluster_agree(s->cli->cluster, load_again(s, job), err);
    if (!st) print_fit(s, &fit);
    if (!st && weft_cli_is_first(s->cli)) st = weft_fit_save(r->output_dir, r, err);
    return weft_cluster_agree(s->cli->cluster, st, err);
}

/* The resolved recipe beside the run.  Before the run only where there is none: a run that refuses to resume with other
 * settings must not leave them there. */
static enum weft_status write_recipe(struct weft_cli *cli, const struct weft_recipe *r, bool before)
{
    struct weft_buf yaml = { 0 };
    const char *path = weft_path_join(&cli->arena, r->output_dir, "recipe.yaml");
    if (!path) return weft_fail_nomem(&cli->err, strlen(r->output_dir), "a path");
    if (!weft_cli_is_first(cli) || (before && weft_file_exists(path))) return WEFT_OK;
    weft_options_dump(weft_recipe_options, r, &yaml);
    enum weft_status st = weft_buf_check(&yaml, "recipe.yaml", &cli->err);
    if (!st) st = weft_dir_make(r->output_dir, &cli->err);
    if (!st) st = weft_file_write(path, weft_buf_view(&yaml), &cli->err);
    weft_buf_clear(&yaml);
    return st;
}

/* own_recipe: recipe.yaml is written here, once it is known. */
static enum weft_status train_stage(struct weft_cli *cli, struct weft_recipe *recipe, const char *project,
                                    bool own_recipe, struct weft_train_result *result)
{
    struct stage s = { .cli = cli, .recipe = recipe, .project = project };
    struct weft_memory_plan plan = { 0 };
    bool begun = false;
    bool first = weft_cli_is_first(cli);        /* of the ranks; it alone writes */
    if (recipe->nice) give_way(cli);
    enum weft_status st = load_words(&s);
    if (!st && first) st = weft_dir_make(recipe->output_dir, &cli->err);
    st = weft_cluster_agree(cli->cluster, st, &cli->err);
    if (!st) st = resume_fit(&s, &begun);
    if (!st) st = read_rows(&s);
    if (!st) st = load_model(&s);
    if (!st) st = make_trainable(&s);
    if (!st) st = load_reference(&s);
    if (!st) st = collate(&s);
    struct weft_train_job job = {
        .model = s.model,
        .params = &s.params,
        .train = &s.train,
        .valid = s.valid.n ? &s.valid : NULL,
        .recipe = recipe,
        .compute = &cli->compute,
        .save = save_result,
        .save_ctx = &s,
        .report = on_report,
        .report_ctx = &s,
        .row_name = row_name,
        .row_ctx = &s,
        .progress = &cli->progress,
        .reference = s.reference,
        .as_reference = recipe->finetuning_type == WEFT_FINETUNING_LORA ? as_reference : NULL,
        .reference_ctx = &s,
        .cluster = cli->cluster,
        /* the rows' hashes are taken by the trainer, of the examples as they are trained */
        .identity = { .tokenizer = s.tokenizer_sha[0] ? s.tokenizer_sha : NULL,
                      .chat_template = s.chat ? weft_chat_fingerprint(s.chat) : NULL,
                      .base = s.start_sha },
    };
    if (!st) {
        measure_adapter(&s, &job);
        if (recipe->profile) job.profile = WEFT_NEW(&cli->arena, struct weft_profile);
        print_model(&s);
        print_data(&s);
    }
    st = weft_cluster_agree(cli->cluster, st, &cli->err);
    if (!st && weft_fit_wanted(recipe)) st = fit_into_memory(&s, &job, begun);
    if (!st && own_recipe) st = write_recipe(cli, recipe, true);
    if (!st) st = weft_memory_plan(&job, &plan, &cli->err);
    st = weft_cluster_agree(cli->cluster, st, &cli->err);
    if (!st) {
        print_ranks(&s);
        print_plan(&s, &plan);
        print_advice(&s);
        fflush(stdout);
        record_begin(&s);
        st = weft_train(&job, result, &cli->err);
    }
    if (!st && first) st = write_result(&s);
    if (!st && first) st = draw_curve(&s, true);
    else if (st == WEFT_ECANCEL && first && draw_curve(&s, false)) { /* the drawing can wait */ }
    if (!st) print_result(&s, result);
    if (!st && result->profile) weft_cli_profile(cli, result->profile);
    record_end(&s, st, result);
    weft_buf_clear(&s.row_name);
    weft_model_free(s.model);
    weft_model_free(s.reference);
    weft_tokenizer_free(s.tokenizer);
    weft_arena_clear(&s.trained);
    return st;
}

enum weft_status weft_train_stage(struct weft_cli *cli, struct weft_recipe *recipe, const char *project,
                                  struct weft_train_result *result)
{
    return train_stage(cli, recipe, project, false, result);
}

/* ---- the verb ---- */

struct settings {
    struct weft_recipe recipe;          /* first: the rows' offsets are its own */
    const char *project;
    struct weft_cli_common common;
};
/* Every setting of a recipe is a flag, too. */
static const struct weft_option rows[] = {
#include "train/recipe_rows.inc"
    WEFT_RECORD_ROW(struct settings, project),
    WEFT_CLI_COMMON_ROWS(struct settings, common),
};
static const struct weft_option_table table = { rows, WEFT_COUNT(rows) };

/* The recipe file, then flags and KEY=VALUE over it. */
static enum weft_status read_recipe(struct weft_cli *cli, struct settings *set, const struct weft_str_list *words)
{
    struct weft_str yaml = { 0 };
    struct weft_buf warn = { 0 };
    struct weft_str_list again = { 0 };
    struct weft_recipe *r = &set->recipe;
    const char *name = NULL;
    enum weft_status st = WEFT_OK;
    for (size_t i = 0; i < words->n; i++) {
        if (strchr(words->items[i], '=')) continue;
        if (name)
            return weft_fail(&cli->err, WEFT_EARG, "expected one RECIPE.yaml, found %s and %s", name,
                             words->items[i]);
        name = words->items[i];
    }
    if (name) st = weft_file_read(&cli->arena, name, 1u << 20, &yaml, &cli->err);
    if (!st) st = weft_recipe_read(r, &cli->arena, name ? name : "command line", yaml, words, &warn, &cli->err);
    if (!st) st = weft_options_argv(table, set, &cli->arena, cli->argc, cli->argv, &again, NULL, &cli->err);
    if (!st && !name && !r->model_name_or_path)
        st = weft_fail(&cli->err, WEFT_EARG, "expected a RECIPE.yaml; \"weft help train\" lists what may stand in it");
    if (!st && !r->model_name_or_path)
        st = weft_fail(&cli->err, WEFT_EARG,
                       "%s names no model: expected \"model_name_or_path: DIRECTORY\", or tiny", name);
    if (!st && !r->output_dir) {
        const char *base = name ? (strrchr(name, '/') ? strrchr(name, '/') + 1 : name) : "train";
        r->output_dir = weft_str_printf(&cli->arena, "runs/%.*s", (int)strcspn(base, "."), base).s;
    }
    /* from here on: of all ranks together */
    r->gradient_accumulation_steps *= weft_cluster_size(cli->cluster);
    if (!st) st = weft_recipe_check(r, &warn, &cli->err);
    if (warn.len) weft_note(cli, "%s", warn.s);
    weft_buf_clear(&warn);
    return st;
}

static void print_json(struct weft_cli *cli, const struct weft_recipe *r, const struct weft_train_result *result)
{
    struct weft_buf buf = { 0 };
    struct weft_json_out o;
    weft_json_out_init(&o, &buf);
    weft_json_out_object(&o);
    weft_json_out_key(&o, "output_dir");
    weft_json_out_cstr(&o, r->output_dir);
    weft_json_out_key(&o, "steps");
    weft_json_out_uint(&o, result->steps);
    weft_json_out_key(&o, "tokens");
    weft_json_out_uint(&o, result->tokens);
    weft_json_out_key(&o, "train_loss");
    weft_json_out_double(&o, result->train_loss);
    weft_json_out_key(&o, "eval_loss");
    weft_json_out_double(&o, result->last_valid_loss);
    if (weft_fit_wanted(r)) {
        weft_json_out_key(&o, "per_device_train_batch_size");
        weft_json_out_int(&o, r->per_device_train_batch_size);
        weft_json_out_key(&o, "gradient_accumulation_steps");
        weft_json_out_int(&o, r->gradient_accumulation_steps);
        weft_json_out_key(&o, "gradient_checkpointing");
        weft_json_out_bool(&o, r->gradient_checkpointing);
    }
    weft_json_out_key(&o, "seconds");
    weft_json_out_double(&o, result->seconds);
    if (result->profile) {
        weft_json_out_key(&o, "profile");
        weft_cli_profile_json(&o, result->profile);
    }
    weft_json_out_object_end(&o);
    weft_buf_char(&buf, '\n');
    weft_put(cli, weft_buf_view(&buf));
    weft_buf_clear(&buf);
}

static enum weft_status run(struct weft_cli *cli)
{
    struct settings set;
    struct weft_str_list words = { 0 };
    struct weft_train_result result = { 0 };
    bool done;
    enum weft_status st = weft_cli_cluster_join(cli);
    if (st) return st;
    st = weft_cli_options(cli, &weft_verb_train, &set, &set.common, &words, &done);
    if (!st && done) return weft_cli_cluster_leave(cli, st);
    if (!st) st = read_recipe(cli, &set, &words);
    if (!st && !set.common.threads) set.common.threads = weft_cli_rank_threads(cli);
    if (!st) st = weft_cli_compute(cli, &set.common);
    if (!st && !weft_fit_wanted(&set.recipe)) st = write_recipe(cli, &set.recipe, true);
    st = weft_cluster_agree(cli->cluster, st, &cli->err);
    if (!st) st = train_stage(cli, &set.recipe, set.project, true, &result);
    if (!st) st = write_recipe(cli, &set.recipe, false);
    if (!st && cli->json) print_json(cli, &set.recipe, &result);
    return weft_cli_cluster_leave(cli, st);
}

const struct weft_verb weft_verb_train = {
    .name = "train", .usage = "RECIPE.yaml [KEY=VALUE...]", .options = &table, .run = run,
    .help = "train an adapter or all weights; the keys are LLaMA-Factory's", .help_zh = "训练适配器或全部参数；设置项沿用 LLaMA-Factory 的名称",
};
