/* train/recipe.h - every setting of a training run
 *
 * Keys are LLaMA-Factory's, so that its YAML files run unchanged; one option table feeds YAML, command line, help and
 * the resolved recipe.yaml beside a run.  Keys that LLaMA-Factory knows and that make no sense here (flash_attn,
 * ddp_timeout ...) stand in a second table with the reason why they are ignored: named once in a warning with their
 * place, never silently.  Keys that would change the result and are not built (use_adam_mini, mixture_of_depths ...)
 * are refused unless they are off: the first is the error, all others are told with it.
 */
#ifndef WEFT_TRAIN_RECIPE_H
#define WEFT_TRAIN_RECIPE_H

#include "base/json.h"
#include "base/option.h"

/* In the order of the choices of their settings. */
enum weft_recipe_stage { WEFT_RECIPE_SFT, WEFT_RECIPE_PT, WEFT_RECIPE_DPO, WEFT_RECIPE_KTO };
enum weft_finetuning { WEFT_FINETUNING_LORA, WEFT_FINETUNING_FULL, WEFT_FINETUNING_FREEZE };
enum weft_scheduler {
    WEFT_SCHED_LINEAR, WEFT_SCHED_COSINE, WEFT_SCHED_CONSTANT, WEFT_SCHED_CONSTANT_WARMUP, WEFT_SCHED_WSD,
    WEFT_SCHED_COSINE_MIN_LR, WEFT_SCHED_COSINE_RESTARTS, WEFT_SCHED_POLYNOMIAL, WEFT_SCHED_INVERSE_SQRT
};
enum weft_wsd_decay { WEFT_WSD_COSINE, WEFT_WSD_LINEAR, WEFT_WSD_SQRT };
enum weft_recipe_init { WEFT_INIT_KAIMING, WEFT_INIT_GAUSSIAN };
enum weft_recipe_rng { WEFT_INIT_PHILOX, WEFT_INIT_TORCH };
enum weft_strategy { WEFT_STRATEGY_STEPS, WEFT_STRATEGY_EPOCH, WEFT_STRATEGY_NO };
enum weft_compat { WEFT_COMPAT_HF, WEFT_COMPAT_CLEAN };
enum weft_auto { WEFT_AUTO, WEFT_TRUE, WEFT_FALSE };
enum weft_quantization {
    WEFT_QUANTIZE_AUTO,
    WEFT_QUANTIZE_NF4,
    WEFT_QUANTIZE_INT8,
    WEFT_QUANTIZE_Q4_0,
    WEFT_QUANTIZE_Q8_0
};
enum weft_badam_mode { WEFT_BADAM_LAYER, WEFT_BADAM_RATIO };
enum weft_badam_switch { WEFT_BADAM_ASCENDING, WEFT_BADAM_DESCENDING, WEFT_BADAM_RANDOM, WEFT_BADAM_FIXED };
enum weft_badam_mask { WEFT_BADAM_ADJACENT, WEFT_BADAM_SCATTER };
enum weft_apollo_proj { WEFT_APOLLO_RANDOM, WEFT_APOLLO_SVD };
enum weft_apollo_side { WEFT_APOLLO_STD, WEFT_APOLLO_RIGHT, WEFT_APOLLO_LEFT };
enum weft_apollo_scale { WEFT_APOLLO_CHANNEL, WEFT_APOLLO_TENSOR };
enum weft_base_compute { WEFT_BASE_BF16, WEFT_BASE_INT8 };
enum weft_template_mode { WEFT_TEMPLATE_MODEL, WEFT_TEMPLATE_LLAMAFACTORY };
enum { WEFT_ROPE_SCALING_DYNAMIC = 4 };
enum weft_fit_mode { WEFT_FIT_AUTO, WEFT_FIT_OFF, WEFT_FIT_ON, WEFT_FIT_PRECISION };
enum weft_watchdog { WEFT_WATCHDOG_REPORT, WEFT_WATCHDOG_STOP };

struct weft_recipe {
    /* model */
    const char *model_name_or_path;     /* a directory, or "tiny" */
    const char *adapter_name_or_path;   /* continue this adapter */
    int64_t quantization_bit;           /* 0: the base stays as it is; 4, 8 */
    int quantization_type;              /* enum weft_quantization: what the user said */
    const char *quantization;           /* resolved by weft_recipe_check: a name of kernels/quant.h, or NULL */
    bool double_quantization;
    int base_compute;                   /* enum weft_base_compute */
    int rope_scaling;                   /* 0: none; else enum weft_rope_type, or WEFT_ROPE_SCALING_DYNAMIC */
    bool from_scratch;                  /* random weights from the model's config.json (train_from_scratch) */
    /* method */
    int stage, finetuning_type;         /* enum weft_recipe_stage, enum weft_finetuning */
    int64_t lora_rank;
    double lora_alpha, lora_dropout;    /* lora_alpha 0: 2 * rank */
    bool use_rslora;
    struct weft_str_list lora_target;
    struct weft_str_list additional_target;         /* embed_tokens, lm_head: trained whole beside the adapter */
    bool use_dora, pissa_init;
    bool pissa_convert;                 /* false: the adapter belongs to a model that is written beside it */
    int64_t pissa_iter;                 /* -1: exact */
    double loraplus_lr_ratio;           /* 0: off */
    int lora_init, init_rng;            /* enum weft_recipe_init, enum weft_recipe_rng */
    int64_t freeze_trainable_layers;    /* the last so many, or, below 0, the first */
    bool use_llama_pro;                 /* these layers lie evenly among all, each the last of its group */
    struct weft_str_list freeze_trainable_modules, freeze_extra_modules;
    /* preferences (stages dpo, kto) */
    int pref_loss;                      /* enum weft_pref_loss */
    double pref_beta, pref_ftx, simpo_gamma, dpo_label_smoothing, kto_chosen_weight, kto_rejected_weight;
    const char *ref_model;              /* the reference; NULL: the model before training */
    /* data */
    struct weft_str_list dataset, eval_dataset;     /* files, or names in dataset_dir/dataset_info.json */
    const char *dataset_dir;
    double val_size;                    /* fraction below 1, else a count */
    int64_t cutoff_len;                 /* tokens */
    int over_length;                    /* enum weft_over_length (tokens/collate.h) */
    int64_t max_samples;                /* 0: all */
    const char *template, *template_where;          /* LLaMA-Factory's name, and where it stands; NULL: not given */
    int template_mode;                  /* enum weft_template_mode: of whom the template is */
    const char *default_system;         /* NULL: the template's own */
    int enable_thinking;                /* enum weft_thinking */
    bool preserve_thinking;
    int packing_choice;                 /* enum weft_auto: what the user said */
    bool overwrite_cache;               /* tokens kept by an earlier run are made anew */
    const char *tokenized_path;         /* folder to keep tokens in; NULL: the store's, of large datasets */
    bool packing;                       /* resolved by weft_recipe_check: on for pt unless said otherwise */
    bool neat_packing;                  /* sft: packed rows do not see each other */
    bool train_on_prompt, mask_history, skip_bad;
    double neftune_noise_alpha;         /* 0: none */
    /* training */
    const char *output_dir;
    int64_t per_device_train_batch_size, per_device_eval_batch_size, gradient_accumulation_steps;
    double learning_rate, weight_decay, adam_beta1, adam_beta2, adam_epsilon, max_grad_norm;
    double num_train_epochs;
    int64_t max_steps;
    const char *until;                  /* be done by then: "07:00", "+2h"; NULL: no hurry */
    bool nice;                          /* give way to other programs */
    int lr_scheduler_type;
    double warmup_ratio, min_lr_rate, min_lr;       /* min_lr: absolute; wins over min_lr_rate when not 0 */
    double warmup_steps;                /* below 1: a ratio */
    /* of all updates, spent on the decay; 0: two thirds of those after the warmup */
    double wsd_decay_ratio;
    int wsd_decay_type;                 /* enum weft_wsd_decay */
    const char *optim;                  /* name in the optimizer registry: "adamw", "muon" */
    bool pure_bf16;                     /* after weft_recipe_check optim is adamw_bf16, or it was said why not */
    const char *pure_bf16_where;
    bool use_muon;                      /* LLaMA-Factory's spelling of optim: muon */
    double muon_adam_lr;                /* rate of the tensors that Muon leaves to Adam; 0: learning_rate */
    /* galore; apollo; badam: the reference's names and defaults */
    bool use_galore, galore_layerwise;
    struct weft_str_list galore_target;
    int64_t galore_rank, galore_update_interval;
    double galore_scale;
    bool use_apollo, apollo_layerwise, apollo_scale_front;
    struct weft_str_list apollo_target;
    int64_t apollo_rank, apollo_update_interval;
    double apollo_scale;
    int apollo_proj, apollo_proj_type, apollo_scale_type;   /* enum weft_apollo_proj, _side, _scale */
    bool use_badam;
    int badam_mode, badam_switch_mode, badam_mask_mode;     /* enum weft_badam_mode, _switch, _mask */
    int64_t badam_start_block, badam_switch_interval;       /* -1: the first of the order; 0: never */
    double badam_update_ratio;
    int galore_proj_type;               /* enum weft_proj_type (train/projection.h) */
    bool gradient_checkpointing;
    bool bf16;                          /* false: multiply in f32 */
    int64_t seed, data_seed;            /* data_seed -1: seed */
    bool disable_shuffling;
    int compat;
    /* saving, logging */
    int64_t logging_steps;
    int save_strategy, eval_strategy;   /* enum weft_strategy */
    int64_t save_steps, save_total_limit;           /* save_steps 0: only at the end; save_total_limit 0: keep all */
    int64_t eval_steps;                 /* 0: ten times a run */
    bool load_best_model_at_end;        /* the result is the checkpoint of the lowest validation loss */
    int64_t early_stopping_steps;       /* validations without a better one before the run ends; 0: never */
    const char *metric_for_best_model;  /* "eval_loss" */
    bool overwrite_output_dir, resume_anyway;
    bool plot_loss;
    struct weft_str_list report_to;     /* tensorboard, all, none */
    bool tensorboard;                   /* resolved by weft_recipe_check */
    double watchdog_ratio;              /* loss above so many times its running median; 0: off */
    int watchdog_action;                /* enum weft_watchdog */
    const char *mem;                    /* "8G": stay below this; NULL: what the machine has */
    int fit; /* enum weft_fit_mode: settings may be chosen so that the run fits (train/fit.h) */
    bool profile;                       /* measure where the time goes */
    bool allow_nonfinite;
};

extern const struct weft_option_table weft_recipe_options;

/* A key of LLaMA-Factory's that is not one of ours. */
struct weft_recipe_foreign {
    const char *key;
    const char *why;        /* English; a key of the catalogue */
    bool refuse;            /* an error unless the value says off (false, 0, none, null) */
};
const struct weft_recipe_foreign *weft_recipe_foreign_keys(size_t *n);

/* Defaults, then `yaml` (s == NULL: none).  Warnings, one a line, go to warn.  `over` (may be NULL): words KEY=VALUE of
 * the command line that go before the file's values, foreign keys too ("use_adam_mini=false"); other words are passed
 * over. */
WEFT_MUST_USE enum weft_status weft_recipe_read(struct weft_recipe *r, struct weft_arena *a, const char *name,
                                                struct weft_str yaml, const struct weft_str_list *over,
                                                struct weft_buf *warn, struct weft_err *err);
/* The same for a table that holds more than a recipe's rows (weft run): sets `settings`, `bytes` long, from `yaml`.
 * Foreign keys that are none of its rows are ignored or refused as above. */
WEFT_MUST_USE enum weft_status weft_recipe_yaml(struct weft_option_table t, void *settings, size_t bytes,
                                                struct weft_arena *a, const char *name, struct weft_str yaml,
                                                struct weft_buf *warn, struct weft_err *err);
/* Combinations that make no sense, and values out of range, named with both keys.  Resolves what has a default that
 * depends on others (packing, lora_alpha, data_seed, spellings of optim). */
WEFT_MUST_USE enum weft_status weft_recipe_check(struct weft_recipe *r, struct weft_buf *warn, struct weft_err *err);

/* Gradients are consumed layer by layer. */
bool weft_recipe_layerwise(const struct weft_recipe *r);
/* Gradients are consumed layer by layer, over more than one micro-batch: the optimizer keeps sums of its own. */
bool weft_recipe_layerwise_sums(const struct weft_recipe *r);

/* Stages whose loss compares with the model before training. */
bool weft_recipe_needs_reference(const struct weft_recipe *r);

/* The settings a run's numbers depend on, as one JSON object: paths, limits and saving are left out.  Written into
 * every checkpoint; a resume compares value by value. */
void weft_recipe_settings(const struct weft_recipe *r, struct weft_json_out *out);

#endif
