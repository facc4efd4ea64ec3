/* Reading goes through one table: our rows, then one list row for every foreign key.  A foreign key is so found at
 * its line by the same YAML reader, is never taken for a misspelling, and afterwards its value says whether it was
 * given. */
#include "train/recipe.h"

#include "base/lang.h"
#include "tokens/named.h"
#include "train/deadline.h"
#include "train/preference.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

static const struct weft_option rows[] = {
#include "train/recipe_rows.inc"
};
const struct weft_option_table weft_recipe_options = { rows, WEFT_COUNT(rows) };

/* ---- foreign keys ---- */

#define SPEED "how the computation is done is chosen here by the machine"
#define GPU "it concerns GPUs or several processes"
#define TEMPLATE "the chat template that comes with the model is used, in training as in chat"
#define PADDING "rows are joined without padding and never see each other"
#define LOGS "the run writes log.jsonl and loss.svg beside its checkpoints"
#define RESUME "a run always resumes from its newest good checkpoint; overwrite_output_dir starts anew"
#define OTHER "it belongs to a method that is not chosen"
#define HUB "weft opens no connection while it trains"
#define CACHE "rows are read whole; tokenized_path says where tokens are kept"
#define NOT_YET "this method is not built"
#define TOKENS "the vocabulary of the model cannot be changed here"
#define MEDIA "weft trains language models; there is no part for pictures, sound or film"
#define EXPORT "it belongs to export or to another verb, not to training"

/* key, refuse, why */
#define FOREIGN(X)                                                                                              \
    X(tool_format, 0, TEMPLATE)                                                                                 \
    X(flash_attn, 0, SPEED) X(use_unsloth, 0, SPEED) X(use_unsloth_gc, 0, SPEED)                                \
    X(enable_liger_kernel, 0, SPEED) X(use_v1_kernels, 0, SPEED) X(use_kt, 0, SPEED)                            \
    X(use_fast_tokenizer, 0, SPEED) X(low_cpu_mem_usage, 0, SPEED) X(use_cache, 0, SPEED)                       \
    X(use_kv_cache, 0, SPEED) X(use_legacy_prediction_loop, 0, SPEED)                                           \
    X(infer_dtype, 0, SPEED) X(half_precision_backend, 0, SPEED) X(jit_mode_eval, 0, SPEED)                     \
    X(infer_backend, 0, SPEED) X(torch_compile, 0, SPEED) X(tf32, 0, SPEED) X(upcast_layernorm, 0, SPEED)       \
    X(torch_compile_backend, 0, SPEED) X(torch_compile_mode, 0, SPEED) X(use_liger_kernel, 0, SPEED)            \
    X(torch_empty_cache_steps, 0, SPEED) X(auto_find_batch_size, 0, SPEED) X(skip_memory_metrics, 0, SPEED)     \
    X(upcast_lmhead_output, 0, SPEED) X(use_reentrant_gc, 0, SPEED) X(disable_gradient_checkpointing, 0, SPEED) \
    X(gradient_checkpointing_kwargs, 0, SPEED)                                                                  \
    X(full_determinism, 0, SPEED) X(offload_folder, 0, SPEED) X(use_cpu, 0, SPEED) X(no_cuda, 0, SPEED)         \
    X(dataloader_num_workers, 0, SPEED) X(dataloader_pin_memory, 0, SPEED)                                      \
    X(dataloader_prefetch_factor, 0, SPEED) X(preprocessing_num_workers, 0, SPEED)                              \
    X(preprocessing_batch_size, 0, SPEED) X(dataloader_persistent_workers, 0, SPEED)                            \
    X(eval_accumulation_steps, 0, SPEED) X(bf16_full_eval, 0, SPEED) X(fp16_full_eval, 0, SPEED)                \
    X(eval_do_concat_batches, 0, SPEED)                                                                         \
    X(ddp_timeout, 0, GPU) X(ddp_find_unused_parameters, 0, GPU) X(deepspeed, 0, GPU) X(fsdp, 0, GPU)           \
    X(fsdp_config, 0, GPU) X(fsdp_min_num_params, 0, GPU) X(fsdp_transformer_layer_cls_to_wrap, 0, GPU)         \
    X(fsdp_auto_wrap_policy, 0, GPU) X(fsdp_sharding_strategy, 0, GPU) X(fsdp_offload_params, 0, GPU)           \
    X(fsdp_backward_prefetch, 0, GPU) X(fsdp_forward_prefetch, 0, GPU) X(fsdp_state_dict_type, 0, GPU)          \
    X(fsdp_use_orig_params, 0, GPU) X(fsdp_sync_module_states, 0, GPU) X(fsdp_cpu_ram_efficient_loading, 0, GPU) \
    X(fsdp_reshard_after_forward, 0, GPU) X(fsdp_activation_checkpointing, 0, GPU) X(fsdp_version, 0, GPU)      \
    X(ddp_static_graph, 0, GPU) X(hyper_parallel_args, 0, GPU) X(dataloader_multiprocessing_context, 0, SPEED)  \
    X(activation_checkpointing, 0, SPEED) X(activation_checkpointing_kwargs, 0, SPEED)                          \
    X(liger_kernel_config, 0, SPEED) X(compute_dtype, 0, SPEED) X(debug, 0, LOGS) X(project, 0, LOGS)           \
    X(prediction_loss_only, 0, LOGS) X(include_for_metrics, 0, LOGS) X(batch_eval_metrics, 0, LOGS)             \
    X(eval_use_gather_object, 0, GPU) X(vllm_config, 0, EXPORT) X(vllm_maxlen, 0, EXPORT)                       \
    X(vllm_gpu_util, 0, EXPORT) X(vllm_enforce_eager, 0, EXPORT) X(vllm_max_lora_rank, 0, EXPORT)               \
    X(sglang_config, 0, EXPORT) X(sglang_maxlen, 0, EXPORT) X(sglang_mem_fraction, 0, EXPORT)                   \
    X(sglang_tp_size, 0, EXPORT) X(sglang_lora_backend, 0, EXPORT) X(generation_config, 0, EXPORT)              \
    X(kt_weight_path, 0, SPEED) X(kt_expert_checkpoint_path, 0, SPEED) X(kt_use_lora_experts, 0, SPEED)         \
    X(kt_lora_expert_num, 0, SPEED) X(kt_lora_expert_intermediate_size, 0, SPEED)                               \
    X(local_rank, 0, GPU) X(ddp_backend, 0, GPU) X(ray_run_name, 0, GPU)                 \
    X(ddp_bucket_cap_mb, 0, GPU) X(ddp_broadcast_buffers, 0, GPU) X(ray_init_kwargs, 0, GPU)                    \
    X(ray_storage_path, 0, GPU) X(ray_storage_filesystem, 0, GPU) X(ray_scope, 0, GPU)                          \
    X(placement_strategy, 0, GPU) X(resources_per_worker, 0, GPU) X(master_addr, 0, GPU) X(master_port, 0, GPU) \
    X(accelerator_config, 0, GPU) X(parallelism_config, 0, GPU) X(use_mca, 0, GPU) X(split_batches, 0, GPU)     \
    X(use_hyper_parallel, 0, GPU) X(device_map, 0, GPU) X(log_on_each_node, 0, GPU)                             \
    X(save_on_each_node, 0, GPU) X(average_tokens_across_devices, 0, GPU)                                       \
    X(ray_num_workers, 0, GPU) X(data_shared_file_system, 0, GPU)                                               \
    X(pad_to_multiple_of, 0, PADDING) X(ignore_pad_token_for_loss, 0, PADDING) X(block_diag_attn, 0, PADDING)   \
    X(length_column_name, 0, PADDING)                                                                           \
    X(run_name, 0, LOGS) X(logging_dir, 0, LOGS) X(logging_strategy, 0, LOGS) X(logging_nan_inf_filter, 0, LOGS) \
    X(logging_first_step, 0, LOGS) X(log_level, 0, LOGS) X(disable_tqdm, 0, LOGS) X(use_swanlab, 0, LOGS)       \
    X(log_level_replica, 0, LOGS) X(trackio_space_id, 0, LOGS)                              \
    X(include_num_input_tokens_seen, 0, LOGS) X(include_effective_tokens_per_second, 0, LOGS)                   \
    X(include_tokens_per_second, 0, LOGS) X(print_param_status, 0, LOGS) X(eval_on_start, 0, LOGS)              \
    X(swanlab_project, 0, LOGS) X(swanlab_workspace, 0, LOGS) X(swanlab_run_name, 0, LOGS)                      \
    X(swanlab_mode, 0, LOGS) X(swanlab_api_key, 0, LOGS) X(swanlab_logdir, 0, LOGS)                             \
    X(swanlab_lark_webhook_url, 0, LOGS) X(swanlab_lark_secret, 0, LOGS)                                        \
    X(enable_torch_profiler, 0, LOGS) X(profiler_output_dir, 0, LOGS) X(profiler_wait_steps, 0, LOGS)           \
    X(profiler_warmup_steps, 0, LOGS) X(profiler_active_steps, 0, LOGS) X(profiler_repeat, 0, LOGS)             \
    X(profiler_record_shapes, 0, LOGS) X(profiler_profile_memory, 0, LOGS) X(profiler_with_stack, 0, LOGS)      \
    X(profile_modules, 0, LOGS)                                                                                 \
    X(resume_from_checkpoint, 0, RESUME) X(save_only_model, 0, RESUME) X(save_safetensors, 0, RESUME)           \
    X(restore_callback_states_from_checkpoint, 0, RESUME) X(ignore_data_skip, 1, RESUME)                        \
    X(cache_dir, 0, CACHE) X(streaming, 0, CACHE)                                                               \
    X(buffer_size, 0, CACHE) X(remove_unused_columns, 0, CACHE) X(download_mode, 0, CACHE)                      \
    X(media_dir, 0, MEDIA) X(image_max_pixels, 0, MEDIA) X(image_min_pixels, 0, MEDIA)                          \
    X(image_do_pan_and_scan, 0, MEDIA) X(crop_to_patches, 0, MEDIA) X(video_max_pixels, 0, MEDIA)               \
    X(video_min_pixels, 0, MEDIA) X(video_fps, 0, MEDIA) X(video_maxlen, 0, MEDIA)                              \
    X(use_audio_in_video, 0, MEDIA) X(audio_sampling_rate, 0, MEDIA) X(freeze_vision_tower, 0, MEDIA)           \
    X(freeze_multi_modal_projector, 0, MEDIA) X(freeze_language_model, 1, MEDIA)                                \
    X(trust_remote_code, 0, HUB) X(model_revision, 0, HUB) X(hf_hub_token, 0, HUB) X(ms_hub_token, 0, HUB)      \
    X(om_hub_token, 0, HUB) X(push_to_hub, 1, HUB) X(hub_model_id, 0, HUB) X(hub_token, 0, HUB)                 \
    X(hub_strategy, 0, HUB) X(hub_private_repo, 0, HUB) X(hub_always_push, 0, HUB) X(hub_revision, 0, HUB)      \
    X(do_train, 0, OTHER) X(do_eval, 0, OTHER) X(predict_with_generate, 0, OTHER) X(adapter_folder, 0, OTHER)   \
    X(do_predict, 1, "weft train trains; weft generate answers the prompts of a file")                          \
    X(eval_num_beams, 0, OTHER) X(eval_on_each_dataset, 0, OTHER) X(generation_max_length, 0, OTHER)            \
    X(generation_num_beams, 0, OTHER) X(eval_delay, 1, NOT_YET)                                                 \
    X(max_new_tokens, 0, EXPORT) X(temperature, 0, EXPORT) X(top_p, 0, EXPORT) X(top_k, 0, EXPORT)              \
    X(do_sample, 0, EXPORT) X(num_beams, 0, EXPORT) X(repetition_penalty, 0, EXPORT) X(max_length, 0, EXPORT)   \
    X(length_penalty, 0, EXPORT) X(skip_special_tokens, 0, EXPORT)                                              \
    X(export_dir, 0, EXPORT) X(export_size, 0, EXPORT) X(export_device, 0, EXPORT)                              \
    X(export_legacy_format, 0, EXPORT) X(export_hub_model_id, 0, EXPORT)                                        \
    X(export_quantization_bit, 0, EXPORT) X(export_quantization_dataset, 0, EXPORT)                             \
    X(export_quantization_nsamples, 0, EXPORT) X(export_quantization_maxlen, 0, EXPORT)                         \
    X(greater_is_better, 1, "the validation loss is compared; less is better") X(compute_accuracy, 0, OTHER)    \
    X(create_new_adapter, 0, OTHER) X(badam_verbose, 0, LOGS)                                                   \
    X(quantization_method, 0, "weft quantises by itself; quantization_bit and quantization_type say how")       \
    X(quantization_device_map, 0, GPU)                                                                          \
    X(reward_model, 0, OTHER) X(reward_model_adapters, 0, OTHER) X(reward_model_quantization_bit, 0, OTHER)     \
    X(reward_model_type, 0, OTHER) X(ppo_buffer_size, 0, OTHER) X(ppo_epochs, 0, OTHER)                         \
    X(ppo_score_norm, 0, OTHER) X(ppo_target, 0, OTHER) X(ppo_whiten_rewards, 0, OTHER)                         \
    X(moe_aux_loss_coef, 0, OTHER) X(oft_rank, 0, OTHER) X(oft_block_size, 0, OTHER) X(oft_target, 0, OTHER)    \
    X(module_dropout, 0, OTHER)                                                                                 \
    X(ld_alpha, 1, NOT_YET) X(pref_bco_weight, 1, NOT_YET) X(ref_model_adapters, 1, NOT_YET)                    \
    X(ref_model_quantization_bit, 1, NOT_YET)                                                                   \
    X(use_adam_mini, 1, NOT_YET) X(mixture_of_depths, 1, NOT_YET)                                               \
    X(shift_attn, 1, NOT_YET) X(use_dft_loss, 1, NOT_YET) X(use_asft_loss, 1, NOT_YET)                          \
    X(asft_alpha, 0, OTHER) X(use_eaft_loss, 1, NOT_YET) X(eaft_alpha, 0, OTHER)                                \
    X(label_smoothing_factor, 1, NOT_YET) X(label_names, 0, OTHER)                                              \
    X(group_by_length, 1, NOT_YET) X(neftune_hook_handle, 0, OTHER)                                             \
    X(dataloader_drop_last, 1, NOT_YET) X(mix_strategy, 1, NOT_YET)                                             \
    X(interleave_probs, 1, NOT_YET) X(optim_args, 1, NOT_YET) X(optim_target_modules, 1, NOT_YET)               \
    X(fp8, 1, "weft multiplies in bf16 or int8 (base_compute); there is no fp8") X(fp8_backend, 0, OTHER)        \
    X(fp8_enable_fsdp_float8_all_gather, 0, OTHER)                                                              \
    X(fp16, 1, "weft multiplies in bf16, which has the range of f32; say bf16: true")                           \
    X(loraplus_lr_embedding, 0, "the token table gets no adapter here; additional_target trains it whole")      \
    X(lr_scheduler_kwargs, 1, "give min_lr_rate, min_lr, wsd_decay_ratio or wsd_decay_type by themselves")      \
    X(resize_vocab, 1, TOKENS) X(split_special_tokens, 1, TOKENS) X(add_tokens, 1, TOKENS)                      \
    X(add_special_tokens, 1, TOKENS) X(new_special_tokens_config, 1, TOKENS) X(init_special_tokens, 0, TOKENS)

#define AS_ENTRY(name, no, text) { .key = #name, .why = text, .refuse = no },
static const struct weft_recipe_foreign foreign[] = { FOREIGN(AS_ENTRY) };
#define AS_INDEX(name, no, text) FOREIGN_##name,
enum { FOREIGN(AS_INDEX) N_FOREIGN };

struct given {
    struct weft_str_list values;
    const char *where;              /* "recipe.yaml:12:3" */
};

struct recipe_file {
    struct weft_recipe recipe;      /* first: the rows' offsets are its own */
    struct given foreign[N_FOREIGN];
};
#define AS_ROW(name, no, text)                                                                                        \
    { .key = #name, .type = WEFT_OPT_LIST,                                                                            \
      .offset = offsetof(struct recipe_file, foreign) + FOREIGN_##name * sizeof(struct given),                         \
      .where = offsetof(struct recipe_file, foreign) + FOREIGN_##name * sizeof(struct given)                           \
               + offsetof(struct given, where) },
static const struct weft_option file_rows[] = {
#include "train/recipe_rows.inc"
    FOREIGN(AS_ROW)
};
static const struct weft_option_table file_options = { file_rows, WEFT_COUNT(file_rows) };

const struct weft_recipe_foreign *weft_recipe_foreign_keys(size_t *n)
{
    *n = N_FOREIGN;
    return foreign;
}

static bool says_off(const struct weft_str_list *v)
{
    static const char *const off[] = { "false", "no", "0", "0.0", "none", "null", "off", "concat", "" };
    for (size_t i = 0; i < v->n; i++) {
        bool found = false;
        for (size_t k = 0; k < WEFT_COUNT(off) && !found; k++) found = strcasecmp(v->items[i], off[k]) == 0;
        if (!found) return false;
    }
    return true;
}

/* Of "recipe.yaml:12:3": 12 and 3 as one number that grows with the place; words of the command line come last. */
static uint64_t place_of(const char *where)
{
    const char *last = where ? strrchr(where, ':') : NULL, *line = last;
    while (line && line > where && line[-1] != ':') line--;
    if (!line || line == where) return UINT64_MAX;
    return strtoull(line, NULL, 10) << 20 | strtoull(last + 1, NULL, 10);
}

struct foreign_place {
    uint64_t place;
    size_t key;
};

static int by_place(const void *x, const void *y)
{
    const struct foreign_place *a = x, *b = y;
    if (a->place != b->place) return a->place < b->place ? -1 : 1;
    return a->key < b->key ? -1 : a->key > b->key;
}

/* In the order of the file: what is ignored is told, what changes the result is refused: the first is the error, the
 * others are told too. */
static enum weft_status judge_foreign(const struct given *given, struct weft_buf *warn, struct weft_err *err)
{
    enum weft_lang lang = err ? err->lang : WEFT_LANG_EN;
    enum weft_status st = WEFT_OK;
    struct foreign_place order[N_FOREIGN];
    for (size_t i = 0; i < N_FOREIGN; i++) order[i] = (struct foreign_place){ place_of(given[i].where), i };
    qsort(order, N_FOREIGN, sizeof *order, by_place);
    for (size_t k = 0; k < N_FOREIGN; k++) {
        size_t i = order[k].key;
        const struct given *g = &given[i];
        if (!g->values.n || (foreign[i].refuse && says_off(&g->values))) continue;
        const char *why = weft_tr(lang, foreign[i].why), *where = g->where ? g->where : "";
        if (foreign[i].refuse && !st)
            st = weft_fail(err, WEFT_EINPUT, "%s: %s cannot be used: %s; remove the key or switch it off", where,
                           foreign[i].key, why);
        else if (foreign[i].refuse && warn)
            weft_buf_printf(warn, weft_tr(lang, "%s: %s cannot be used: %s\n"), where, foreign[i].key, why);
        else if (warn)
            weft_buf_printf(warn, weft_tr(lang, "%s: %s is ignored: %s\n"), where, foreign[i].key, why);
    }
    return st;
}

/* ---- reading ---- */

static enum weft_status set_words(struct recipe_file *f, struct weft_arena *a, const struct weft_str_list *words,
                                  struct weft_buf *warn, struct weft_err *err)
{
    enum weft_status st = WEFT_OK;
    for (size_t i = 0; !st && i < words->n; i++) {
        const char *word = words->items[i], *sign = strchr(word, '=');
        if (!sign) continue;
        const char *key = weft_arena_strndup(a, word, (size_t)(sign - word));
        st = key ? weft_options_set(file_options, f, a, "command line", key, sign + 1, warn, err)
                 : weft_fail_nomem(err, strlen(word), "a key");
    }
    return st;
}

enum weft_status weft_recipe_read(struct weft_recipe *r, struct weft_arena *a, const char *name, struct weft_str yaml,
                                  const struct weft_str_list *over, struct weft_buf *warn, struct weft_err *err)
{
    struct recipe_file f = { 0 };
    enum weft_status st = weft_options_defaults(weft_recipe_options, &f.recipe, a, err);
    if (!st && yaml.s) st = weft_options_yaml(file_options, &f, a, name, yaml, warn, err);
    if (!st && over) st = set_words(&f, a, over, warn, err);
    if (!st) st = judge_foreign(f.foreign, warn, err);
    if (!st) *r = f.recipe;
    return st;
}

enum weft_status weft_recipe_yaml(struct weft_option_table t, void *settings, size_t bytes, struct weft_arena *a,
                                  const char *name, struct weft_str yaml, struct weft_buf *warn, struct weft_err *err)
{
    /* The foreign values stand behind a copy of the settings, so that one table reaches both. */
    const size_t lists = N_FOREIGN * sizeof(struct given);
    size_t at, n;
    if (!weft_size_align(bytes, _Alignof(struct given), &at) || !weft_size_add(at, lists, &n))
        return weft_fail_nomem(err, bytes, "settings");
    char *both = weft_arena_calloc(a, n, 1);
    struct weft_option *joined = WEFT_NEWS(a, struct weft_option, t.n + N_FOREIGN);
    if (!both || !joined) return weft_fail_nomem(err, n, "settings");
    memcpy(both, settings, bytes);
    memcpy(joined, t.rows, t.n * sizeof *joined);
    for (size_t i = 0; i < N_FOREIGN; i++) {
        size_t place = at + i * sizeof(struct given);
        joined[t.n + i] = (struct weft_option){ .key = foreign[i].key, .type = WEFT_OPT_LIST, .offset = place,
                                                .where = place + offsetof(struct given, where) };
    }
    enum weft_status st = weft_options_yaml((struct weft_option_table){ joined, t.n + N_FOREIGN }, both, a,
                                            name, yaml, warn, err);
    if (!st) st = judge_foreign((const struct given *)(const void *)(both + at), warn, err);
    if (!st) memcpy(settings, both, bytes);
    return st;
}

/* ---- checking ---- */

/* Other spellings of the same update rule. */
static const struct {
    const char *spelling, *name;
} optim_spellings[] = {
    { "adamw_torch", "adamw" },         { "adamw_torch_fused", "adamw" },   { "adamw_hf", "adamw" },
    { "adamw_apex_fused", "adamw" },    { "paged_adamw", "adamw" },         { "paged_adamw_32bit", "adamw" },
    { "adamw_bnb_8bit", "adamw_8bit" }, { "paged_adamw_8bit", "adamw_8bit" },
};

static void note(struct weft_buf *warn, struct weft_err *err, const char *text)
{
    if (!warn) return;
    weft_buf_cstr(warn, weft_tr(err ? err->lang : WEFT_LANG_EN, text));
    weft_buf_char(warn, '\n');
}

bool weft_recipe_needs_reference(const struct weft_recipe *r)
{
    return r->stage == WEFT_RECIPE_KTO
           || (r->stage == WEFT_RECIPE_DPO && weft_pref_needs_reference((enum weft_pref_loss)r->pref_loss));
}

/* Stages dpo and kto. */
static enum weft_status check_preferences(const struct weft_recipe *r, struct weft_buf *warn, struct weft_err *err)
{
    const char *stage = r->stage == WEFT_RECIPE_DPO ? "dpo" : "kto";
    if (r->packing_choice == WEFT_TRUE || r->neat_packing)
        return weft_fail(err, WEFT_EINPUT, "packing and stage: %s exclude each other; its rows are compared one by one",
                         stage);
    if (r->train_on_prompt || r->mask_history)
        return weft_fail(err, WEFT_EINPUT,
                         "train_on_prompt and mask_history do not go with stage: %s, which trains the last answer alone",
                         stage);
    if (r->dpo_label_smoothing > 0 && (r->stage == WEFT_RECIPE_KTO || r->pref_loss != WEFT_PREF_SIGMOID))
        return weft_fail(err, WEFT_EINPUT,
                         "dpo_label_smoothing goes with stage: dpo and pref_loss: sigmoid only; remove one of them");
    if (r->pref_beta <= 0)
        return weft_fail(err, WEFT_EINPUT, "pref_beta is %g; expected a number above 0, usually 0.1", r->pref_beta);
    if (r->ref_model && !weft_recipe_needs_reference(r))
        return weft_fail(err, WEFT_EINPUT, "ref_model and this pref_loss exclude each other; it compares with no model");
    if (r->neftune_noise_alpha > 0)
        return weft_fail(err, WEFT_EINPUT, "neftune_noise_alpha does not go with stage: %s; it belongs to sft and pt",
                         stage);
    if (r->lora_dropout > 0) note(warn, err, "lora_dropout has no effect in stages dpo and kto");
    return WEFT_OK;
}

/* Where the log goes beside log.jsonl. */
static void check_reports(struct weft_recipe *r, struct weft_buf *warn, struct weft_err *err)
{
    r->tensorboard = false;
    for (size_t i = 0; i < r->report_to.n; i++) {
        const char *to = r->report_to.items[i];
        if (strcmp(to, "tensorboard") == 0 || strcmp(to, "all") == 0) r->tensorboard = true;
        else if (strcmp(to, "none") != 0 && warn)
            weft_buf_printf(warn, weft_tr(err ? err->lang : WEFT_LANG_EN, "report_to: %s is ignored: %s\n"), to,
                            weft_tr(err ? err->lang : WEFT_LANG_EN, LOGS));
    }
}

/* Which chat template, and the settings that only one of LLaMA-Factory's has. */
static enum weft_status check_template(const struct weft_recipe *r, struct weft_buf *warn, struct weft_err *err)
{
    enum weft_lang lang = err ? err->lang : WEFT_LANG_EN;
    const char *where = r->template_where ? r->template_where : "template";
    if (r->template_mode == WEFT_TEMPLATE_MODEL) {
        if (r->default_system)
            return weft_fail(err, WEFT_EINPUT, "default_system needs template_mode: llamafactory; %s",
                             weft_tr(lang, TEMPLATE));
        if (r->template && warn)
            weft_buf_printf(warn, weft_tr(lang, "%s: template is ignored: %s; template_mode: llamafactory takes "
                                                "LLaMA-Factory's instead\n"), where, weft_tr(lang, TEMPLATE));
        if (r->preserve_thinking || r->enable_thinking != WEFT_THINKING_ON)
            note(warn, err, "enable_thinking and preserve_thinking have no effect without template_mode: llamafactory");
        return WEFT_OK;
    }
    if (!r->template)
        return weft_fail(err, WEFT_EINPUT, "template_mode: llamafactory needs \"template: NAME\", such as qwen or llama3");
    enum weft_status st = weft_named_check(where, r->template, err);
    if (!st && r->train_on_prompt && weft_named_marks_ends_by_label(r->template))
        st = weft_fail(err, WEFT_EINPUT, "template: %s and train_on_prompt: true exclude each other: its answers end by a "
                                         "label that stands where the next prompt begins", r->template);
    return st;
}

/* A quantised base: how, and what it excludes. */
static enum weft_status check_quantization(struct weft_recipe *r, struct weft_err *err)
{
    static const struct {
        const char *name;
        int bits;
    } kinds[] = { { NULL, 0 }, { "nf4", 4 }, { "int8", 8 }, { "q4_0", 4 }, { "q8_0", 8 } };
    static const char *const types[] = { "lora", "full", "freeze" };
    int type = r->quantization_type;
    r->quantization = NULL;
    if (r->base_compute == WEFT_BASE_INT8) {
        if (!r->quantization_bit && type == WEFT_QUANTIZE_AUTO) type = WEFT_QUANTIZE_INT8;
        if (type != WEFT_QUANTIZE_INT8 && !(type == WEFT_QUANTIZE_AUTO && r->quantization_bit == 8))
            return weft_fail(err, WEFT_EINPUT, "base_compute: int8 needs quantization_type: int8");
        if (!r->bf16)
            return weft_fail(err, WEFT_EINPUT, "base_compute: int8 and bf16: false exclude each other");
    }
    if (!r->quantization_bit && type == WEFT_QUANTIZE_AUTO) return WEFT_OK;
    if (!r->quantization_bit) r->quantization_bit = kinds[type].bits;
    if (r->quantization_bit != 4 && r->quantization_bit != 8)
        return weft_fail(err, WEFT_EINPUT, "quantization_bit is %lld; expected 4 or 8", (long long)r->quantization_bit);
    if (type == WEFT_QUANTIZE_AUTO) type = r->quantization_bit == 4 ? WEFT_QUANTIZE_NF4 : WEFT_QUANTIZE_INT8;
    if (kinds[type].bits != r->quantization_bit)
        return weft_fail(err, WEFT_EINPUT, "quantization_bit: %lld and quantization_type: %s exclude each other",
                         (long long)r->quantization_bit, kinds[type].name);
    if (r->finetuning_type != WEFT_FINETUNING_LORA)
        return weft_fail(err, WEFT_EINPUT,
                         "quantization_bit: %lld and finetuning_type: %s exclude each other; quantised weights stay as they "
                         "are, and lora trains beside them", (long long)r->quantization_bit, types[r->finetuning_type]);
    if (r->pissa_init)
        return weft_fail(err, WEFT_EINPUT, "quantization_bit: %lld and pissa_init: true exclude each other",
                         (long long)r->quantization_bit);
    r->quantization = kinds[type].name;
    return WEFT_OK;
}

/* What stands behind optim: use_galore and its kin choose an optimizer of their own. */
static enum weft_status check_optimizer(struct weft_recipe *r, struct weft_err *err)
{
    bool eight = strcmp(r->optim, "adamw_8bit") == 0, plain = strcmp(r->optim, "adamw") == 0;
    const struct {
        const char *key, *name, *name_8bit;
        bool *on;
    } kinds[] = {
        { "use_muon", "muon", NULL, &r->use_muon },
        { "use_galore", "galore_adamw", "galore_adamw_8bit", &r->use_galore },
        { "use_apollo", "apollo", NULL, &r->use_apollo },
        { "use_badam", "badam", NULL, &r->use_badam },
    };
    const char *chosen = NULL;
    for (size_t i = 0; i < WEFT_COUNT(kinds); i++) {
        bool named = strcmp(r->optim, kinds[i].name) == 0
                     || (kinds[i].name_8bit && strcmp(r->optim, kinds[i].name_8bit) == 0);
        if (named) *kinds[i].on = true;
        if (!*kinds[i].on) continue;
        if (chosen)
            return weft_fail(err, WEFT_EINPUT, "%s: true and %s: true exclude each other; keep one of them", chosen,
                             kinds[i].key);
        if (!named && !plain && !(eight && kinds[i].name_8bit))
            return weft_fail(err, WEFT_EINPUT, "%s: true and optim: %s exclude each other", kinds[i].key, r->optim);
        chosen = kinds[i].key;
        if (!named) r->optim = eight ? kinds[i].name_8bit : kinds[i].name;
    }
    if (chosen && r->finetuning_type == WEFT_FINETUNING_LORA && !r->use_muon)
        return weft_fail(err, WEFT_EINPUT,
                         "%s: true and finetuning_type: lora exclude each other; it needs finetuning_type: full", chosen);
    if (r->use_llama_pro && (r->finetuning_type != WEFT_FINETUNING_FREEZE || r->freeze_trainable_layers <= 0))
        return weft_fail(err, WEFT_EINPUT, "use_llama_pro: true needs finetuning_type: freeze and freeze_trainable_layers "
                                           "above 0, the number of new layers");
    if (r->use_badam && r->finetuning_type == WEFT_FINETUNING_FREEZE)
        return weft_fail(err, WEFT_EINPUT, "use_badam: true and finetuning_type: freeze exclude each other; it needs "
                                           "finetuning_type: full");
    if (r->use_badam && r->badam_mode == WEFT_BADAM_LAYER && r->badam_switch_mode == WEFT_BADAM_FIXED
        && r->badam_start_block < 0)
        return weft_fail(err, WEFT_EINPUT, "badam_switch_mode: fixed needs badam_start_block, the layer that trains");
    if (r->use_galore && r->galore_layerwise && r->gradient_accumulation_steps > 1 && r->compat == WEFT_COMPAT_HF)
        return weft_fail(err, WEFT_EINPUT,
                         "galore_layerwise: true and gradient_accumulation_steps: %lld exclude each other under compat: "
                         "hf; compat: clean adds the projected gradients up",
                         (long long)r->gradient_accumulation_steps);
    if (r->use_apollo && r->apollo_layerwise && r->gradient_accumulation_steps > 1)
        return weft_fail(err, WEFT_EINPUT,
                         "apollo_layerwise: true and gradient_accumulation_steps: %lld exclude each other; a step needs the "
                         "whole gradient of its update", (long long)r->gradient_accumulation_steps);
    return WEFT_OK;
}

/* pure_bf16 takes AdamW's weights and moments; of all else f32 is kept, as is said. */
static enum weft_status check_pure_bf16(struct weft_recipe *r, struct weft_buf *warn, struct weft_err *err)
{
    enum weft_lang lang = err ? err->lang : WEFT_LANG_EN;
    bool lora = r->finetuning_type == WEFT_FINETUNING_LORA, named = strcmp(r->optim, "adamw_bf16") == 0;
    const char *why = NULL;
    if (named && lora)
        return weft_fail(err, WEFT_EINPUT, "optim: adamw_bf16 and finetuning_type: lora exclude each other; adapters keep f32");
    r->pure_bf16 |= named;
    if (!r->pure_bf16) return WEFT_OK;
    r->bf16 = true;
    if (lora) why = "adapters and their moments keep f32, as peft has them over a model in bf16";
    else if (strcmp(r->optim, "adamw") == 0) r->optim = "adamw_bf16";
    else if (!named && !r->use_badam) why = "with this optimizer weights and moments keep f32, which is never less exact";
    if (why && warn)
        weft_buf_printf(warn, weft_tr(lang, "%s: %s is ignored: %s\n"),
                        r->pure_bf16_where ? r->pure_bf16_where : "recipe", "pure_bf16", weft_tr(lang, why));
    return WEFT_OK;
}

bool weft_recipe_layerwise(const struct weft_recipe *r)
{
    return (r->use_galore && r->galore_layerwise) || (r->use_apollo && r->apollo_layerwise);
}

bool weft_recipe_layerwise_sums(const struct weft_recipe *r)
{
    return weft_recipe_layerwise(r) && r->gradient_accumulation_steps > 1;
}

/* What goes with adapters only, and what excludes what among it. */
static enum weft_status check_method(const struct weft_recipe *r, struct weft_buf *warn, struct weft_err *err)
{
    static const char *const types[] = { "lora", "full", "freeze" };
    const struct {
        const char *key;
        bool on;
    } lora_only[] = {
        { "use_dora", r->use_dora },
        { "use_rslora", r->use_rslora },
        { "pissa_init", r->pissa_init },
        { "loraplus_lr_ratio", r->loraplus_lr_ratio > 0 },
        { "additional_target", r->additional_target.n > 0 },
    };
    if (r->finetuning_type != WEFT_FINETUNING_LORA) {
        for (size_t i = 0; i < WEFT_COUNT(lora_only); i++)
            if (lora_only[i].on)
                return weft_fail(err, WEFT_EINPUT, "%s and finetuning_type: %s exclude each other; it belongs to lora",
                                 lora_only[i].key, types[r->finetuning_type]);
        if (r->adapter_name_or_path)
            return weft_fail(err, WEFT_EINPUT,
                             "adapter_name_or_path and finetuning_type: %s exclude each other; merge the adapter first "
                             "(weft export --merge)",
                             types[r->finetuning_type]);
        return WEFT_OK;
    }
    if (r->pissa_init && r->use_dora)
        return weft_fail(err, WEFT_EINPUT, "pissa_init: true and use_dora: true exclude each other");
    if (r->pissa_init && weft_recipe_needs_reference(r))
        return weft_fail(err, WEFT_EINPUT,
                         "pissa_init: true and a stage that compares with the base model (dpo, kto) exclude each other");
    if (r->pissa_init && r->pissa_iter == 0)
        return weft_fail(err, WEFT_EINPUT, "pissa_iter is 0; expected at least 1, or -1 for exact singular vectors");
    if (r->init_rng == WEFT_INIT_TORCH && r->lora_init != WEFT_INIT_KAIMING)
        return weft_fail(err, WEFT_EINPUT, "init_rng: torch and lora_init: gaussian exclude each other");
    if (r->adapter_name_or_path && (r->use_dora || r->pissa_init || r->additional_target.n))
        note(warn, err, "use_dora, pissa_init and additional_target have no effect on an adapter that is gone on with");
    return WEFT_OK;
}

enum weft_status weft_recipe_check(struct weft_recipe *r, struct weft_buf *warn, struct weft_err *err)
{
    for (size_t i = 0; i < WEFT_COUNT(optim_spellings); i++)
        if (strcmp(r->optim, optim_spellings[i].spelling) == 0) r->optim = optim_spellings[i].name;
    enum weft_status st = check_optimizer(r, err);
    if (!st) st = check_pure_bf16(r, warn, err);
    if (st) return st;
    if (r->stage == WEFT_RECIPE_DPO || r->stage == WEFT_RECIPE_KTO) {
        st = check_preferences(r, warn, err);
        if (st) return st;
    } else if (r->ref_model) {
        return weft_fail(err, WEFT_EINPUT, "ref_model goes with stages dpo and kto only; remove it");
    }
    check_reports(r, warn, err);
    if (r->until) {
        time_t at;
        st = weft_deadline_parse(r->until, time(NULL), &at, err);
        if (st) return st;
    }
    if (r->data_seed < 0) r->data_seed = r->seed;
    if (r->lora_alpha <= 0) r->lora_alpha = 2.0 * (double)r->lora_rank;
    if (r->neat_packing && r->packing_choice == WEFT_FALSE)
        return weft_fail(err, WEFT_EINPUT, "packing: false and neat_packing: true exclude each other");
    r->packing = r->packing_choice == WEFT_AUTO ? r->stage == WEFT_RECIPE_PT || r->neat_packing
                                                : r->packing_choice == WEFT_TRUE;

    if (r->train_on_prompt && r->mask_history)
        return weft_fail(err, WEFT_EINPUT, "train_on_prompt: true and mask_history: true exclude each other");
    if (r->from_scratch && r->finetuning_type != WEFT_FINETUNING_FULL)
        return weft_fail(
            err, WEFT_EINPUT,
            "train_from_scratch: true needs finetuning_type: full; adapters beside random weights learn nothing");
    if (r->rope_scaling == WEFT_ROPE_SCALING_DYNAMIC)
        return weft_fail(err, WEFT_EINPUT,
                         "rope_scaling: dynamic cannot be trained: positions would depend on the longest row met so far; "
                         "yarn is the usual choice");
    st = check_template(r, warn, err);
    if (!st) st = check_method(r, warn, err);
    if (!st) st = check_quantization(r, err);
    if (st) return st;
    if (r->eval_dataset.n && r->val_size > 0)
        return weft_fail(err, WEFT_EINPUT,
                         "eval_dataset and val_size: %g exclude each other; keep one of them", r->val_size);
    if (r->val_size >= 1 && r->val_size != floor(r->val_size))
        return weft_fail(err, WEFT_EINPUT,
                         "val_size is %g; expected a fraction below 1 or a whole number of rows",
                         r->val_size);
    if (r->max_steps <= 0 && r->num_train_epochs <= 0)
        return weft_fail(err, WEFT_EINPUT, "num_train_epochs and max_steps are both 0; nothing would be trained");
    if (r->max_steps == 0) r->max_steps = -1;
    if (r->warmup_steps >= 1 && r->warmup_steps != floor(r->warmup_steps))
        return weft_fail(err, WEFT_EINPUT,
                         "warmup_steps is %g; expected a whole number, or a fraction below 1",
                         r->warmup_steps);
    if (r->min_lr > r->learning_rate)
        return weft_fail(err, WEFT_EINPUT, "min_lr is %g, above learning_rate %g", r->min_lr, r->learning_rate);

    if (strcmp(r->metric_for_best_model, "eval_loss") != 0 && strcmp(r->metric_for_best_model, "loss") != 0)
        return weft_fail(err, WEFT_EINPUT, "metric_for_best_model is %s; only eval_loss can be compared",
                         r->metric_for_best_model);
    if ((r->load_best_model_at_end || r->early_stopping_steps > 0) && !r->eval_dataset.n && !(r->val_size > 0))
        return weft_fail(err, WEFT_EINPUT,
                         "load_best_model_at_end and early_stopping_steps need a validation: set val_size or eval_dataset");
    if ((r->load_best_model_at_end || r->early_stopping_steps > 0) && r->eval_strategy == WEFT_STRATEGY_NO)
        return weft_fail(err, WEFT_EINPUT,
                         "load_best_model_at_end and early_stopping_steps need a validation on the way: eval_strategy is no");

    if (r->stage == WEFT_RECIPE_SFT && r->packing && !r->neat_packing)
        note(warn, err, "packing: rows packed together see each other; neat_packing keeps them apart");
    if (r->min_lr_rate > 0 || r->min_lr > 0)
        if (r->lr_scheduler_type != WEFT_SCHED_WSD && r->lr_scheduler_type != WEFT_SCHED_COSINE_MIN_LR)
            note(warn, err, "min_lr and min_lr_rate have no effect with this lr_scheduler_type");
    if (r->wsd_decay_ratio > 0 && r->lr_scheduler_type != WEFT_SCHED_WSD)
        note(warn, err, "wsd_decay_ratio has no effect without lr_scheduler_type: warmup_stable_decay");
    if (r->finetuning_type != WEFT_FINETUNING_LORA && r->learning_rate > 1e-3 && !r->from_scratch)
        note(warn, err, "learning_rate is above 1e-3 for full fine-tuning; 1e-5 to 5e-5 is usual");
    return WEFT_OK;
}

/* ---- what numbers depend on ---- */

/* Number `index` of "a|b|c". */
static struct weft_str choice_name(const char *choices, int index)
{
    for (; index > 0 && strchr(choices, '|'); index--) choices = strchr(choices, '|') + 1;
    return (struct weft_str){ choices, strcspn(choices, "|") };
}

void weft_recipe_settings(const struct weft_recipe *r, struct weft_json_out *out)
{
    /* Where things lie, how often they are saved, and choices that give the same bits. */
    static const char *const free_keys[] = {
        "model_name_or_path",
        "adapter_name_or_path",
        "dataset",
        "eval_dataset",
        "dataset_dir",
        "max_samples",
        "skip_bad",
        "template", /* what comes of these five is compared as the template's fingerprint */
        "template_mode",
        "default_system",
        "enable_thinking",
        "preserve_thinking",
        "overwrite_cache",
        "tokenized_path",
        "output_dir",
        "gradient_checkpointing",
        "save_strategy",
        "save_steps",
        "save_total_limit",
        "overwrite_output_dir",
        "resume_anyway",
        "plot_loss",
        "until",
        "nice",
        "report_to",
        "mem",
        "fit",
        "profile",
        "allow_nonfinite",
        "use_muon",
        "use_galore",
        "use_apollo",
        "use_badam",
        "watchdog_action",
    };
    const char *base = (const char *)r;
    weft_json_out_object(out);
    for (size_t i = 0; i < WEFT_COUNT(rows); i++) {
        const struct weft_option *o = &rows[i];
        bool skip = false;
        for (size_t k = 0; k < WEFT_COUNT(free_keys) && !skip; k++) skip = strcmp(o->key, free_keys[k]) == 0;
        if (skip) continue;
        weft_json_out_key(out, o->key);
        const void *at = base + o->offset;
        switch (o->type) {
        case WEFT_OPT_BOOL: weft_json_out_bool(out, *(const bool *)at); break;
        case WEFT_OPT_INT: weft_json_out_int(out, *(const int64_t *)at); break;
        case WEFT_OPT_CHOICE: weft_json_out_str(out, choice_name(o->choices, *(const int *)at)); break;
        case WEFT_OPT_FLOAT: weft_json_out_double(out, *(const double *)at); break;
        case WEFT_OPT_STRING: {
            const char *s = *(const char *const *)at;
            if (s) weft_json_out_cstr(out, s);
            else weft_json_out_null(out);
            break;
        }
        case WEFT_OPT_LIST: {
            const struct weft_str_list *l = at;
            weft_json_out_array(out);
            for (size_t k = 0; k < l->n; k++) weft_json_out_cstr(out, l->items[k]);
            weft_json_out_array_end(out);
            break;
        }
        }
    }
    weft_json_out_object_end(out);
}
