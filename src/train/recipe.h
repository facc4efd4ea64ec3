/* train/recipe.h - every setting of a training run
 *
 * Keys are LLaMA-Factory's, so that its YAML files run unchanged; one option table feeds YAML, command line, help and
 * the resolved recipe.yaml beside a run.  Keys that LLaMA-Factory knows and that make no sense here (flash_attn,
 * ddp_timeout ...) are in a second table with the reason why they are ignored: named once in a warning, never silently.
 */
#ifndef WEFT_TRAIN_RECIPE_H
#define WEFT_TRAIN_RECIPE_H

#include "base/option.h"

enum weft_recipe_stage { WEFT_RECIPE_SFT, WEFT_RECIPE_PT };
enum weft_finetuning { WEFT_FINETUNING_LORA, WEFT_FINETUNING_FULL };
enum weft_scheduler { WEFT_SCHED_LINEAR, WEFT_SCHED_COSINE, WEFT_SCHED_CONSTANT, WEFT_SCHED_CONSTANT_WARMUP, WEFT_SCHED_WSD };
enum weft_compat { WEFT_COMPAT_HF, WEFT_COMPAT_CLEAN };

struct weft_recipe {
    /* model */
    const char *model_name_or_path;     /* a directory, or "tiny" */
    const char *adapter_name_or_path;   /* continue this adapter */
    bool from_scratch;                  /* random weights from the model's config.json (train_from_scratch) */
    /* method */
    int stage, finetuning_type;         /* enum weft_recipe_stage, enum weft_finetuning */
    int64_t lora_rank;
    double lora_alpha, lora_dropout;    /* lora_alpha 0: 2 * rank */
    bool use_rslora;
    struct weft_str_list lora_target;
    /* data */
    struct weft_str_list dataset, eval_dataset;     /* files */
    double val_size;                    /* fraction below 1, else a count */
    int64_t cutoff_len;                 /* tokens */
    int64_t max_samples;                /* 0: all */
    bool packing, train_on_prompt, mask_history, skip_bad;
    bool packing_set;                   /* packing was given; pt packs by default */
    /* training */
    const char *output_dir;
    int64_t per_device_train_batch_size, per_device_eval_batch_size, gradient_accumulation_steps;
    double learning_rate, weight_decay, adam_beta1, adam_beta2, adam_epsilon, max_grad_norm;
    double num_train_epochs;
    int64_t max_steps;
    int lr_scheduler_type;
    double warmup_ratio, min_lr_rate;
    double warmup_steps;                /* below 1: a ratio */
    const char *optim;                  /* name in the optimizer registry: "adamw", "muon" */
    double muon_adam_lr;                /* rate of the tensors that Muon leaves to Adam; 0: learning_rate */
    bool gradient_checkpointing;
    bool bf16;                          /* false: multiply in f32 */
    int64_t seed, data_seed;            /* data_seed -1: seed */
    bool disable_shuffling;
    int compat;
    /* saving, logging */
    int64_t logging_steps, save_steps, eval_steps, save_total_limit;    /* save_steps 0: only at the end */
    bool overwrite_output_dir, resume_anyway;
    bool plot_loss;
    const char *mem;                    /* "8G": refuse a plan above this; NULL: what the machine has */
    bool allow_nonfinite;
};

extern const struct weft_option_table weft_recipe_options;

/* Defaults, then `yaml` (s == NULL: none).  Warnings, one a line, go to warn. */
WEFT_MUST_USE enum weft_status weft_recipe_read(struct weft_recipe *r, struct weft_arena *a, const char *name, struct weft_str yaml,
                                                struct weft_buf *warn, struct weft_err *err);
/* Combinations that make no sense, and values out of range, named with both keys.  Resolves what has "auto". */
WEFT_MUST_USE enum weft_status weft_recipe_check(struct weft_recipe *r, struct weft_buf *warn, struct weft_err *err);

#endif
