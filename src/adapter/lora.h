/* adapter/lora.h - low-rank adapters on linear layers, and trained copies of the tables beside them
 *
 * LoRA adds scale * B(A x) to a frozen y = Wx (arXiv:2106.09685, section 4.1); scale is lora_alpha / r, with rsLoRA
 * lora_alpha / sqrt(r) (arXiv:2312.03732).  B starts at zero, so a fresh adapter leaves every logit unchanged.
 * DoRA (arXiv:2402.09353) stretches each row of W + scale * B A to a trained length, which starts as that of W.  PiSSA
 * (arXiv:2404.02948) begins with the largest singular directions of W in A and B and takes them out of W; its files are
 * plain LoRA of twice the rank over the original W.  LoRA+ (arXiv:2402.12354) gives B a higher rate.
 * additional_target trains a copy of the token table or the head; a tied model is then tied no more (Q10).
 * Files are PEFT's: adapter_config.json and adapter_model.safetensors load in peft and vLLM unchanged, and theirs
 * load here.  Rules AD1-AD7 (docs/robustness.md).
 *
 * Owner:   the arena given to attach or load; nothing to free one by one.
 * Threads: read-only after attach or load, any number of readers; training has one writer.
 */
#ifndef WEFT_ADAPTER_LORA_H
#define WEFT_ADAPTER_LORA_H

#include "model/model.h"

enum weft_lora_init {
    WEFT_LORA_KAIMING,              /* U(-1/sqrt(n_in), 1/sqrt(n_in)) */
    WEFT_LORA_GAUSSIAN              /* N(0, 1/rank^2) */
};

struct weft_lora_settings {
    size_t rank;                    /* 1..1024 */
    double alpha;                   /* 0: 2 * rank, as LLaMA-Factory */
    double dropout;                 /* of the input of A */
    bool rslora;
    const char *const *targets;     /* "all", or module names: "q_proj" ... */
    size_t n_targets;
    enum weft_lora_init init;       /* of A */
    bool torch_rng;                 /* Kaiming-uniform draws from torch's generator, in peft's order */
    uint64_t seed;
    bool dora;
    bool pissa;                     /* excludes dora */
    int pissa_iter;                 /* steps of the subspace iteration; 0: 16; -1: exact singular vectors */
    const char *const *tables;      /* additional_target: "embed_tokens", "lm_head" */
    size_t n_tables;
    struct weft_pool *pool;         /* for PiSSA and DoRA's norms; NULL: one thread */
};

/* Gives each target a branch A [r, n_in], B [n_out, r], f32; with `params` they are trainable and appended in model
 * order: A, B, the magnitudes of DoRA, and behind all the copies of tables.  What replaces base weights (PiSSA) lies
 * in the model's arena.  WEFT_EARG: no layer has such a name; the message lists the names there are. */
WEFT_MUST_USE enum weft_status weft_lora_attach(struct weft_arena *a, struct weft_model *model,
                                                const struct weft_lora_settings *s,
                                                struct weft_params *params, struct weft_err *err);

/* What an adapter folder says besides its tensors, and what we write into one. */
struct weft_lora_info {
    const char *base_model;         /* base_model_name_or_path; may be "" */
    const char *template_sha256;    /* fingerprint of the chat template it was trained with; NULL: unknown */
    const char *base_sha256;        /* of the base model's config and tensor shapes and values; NULL: unknown */
    enum weft_rope_type rope;       /* what the base's positions were stretched by (weft_model_stretch) ... */
    size_t rope_length;             /* ... for so many tokens; 0: they were not */
    bool keep_pissa;                /* PiSSA's branches as they are, for the model that lacks where they began */
};
/* adapter_config.json, adapter_model.safetensors and weft.json (the fingerprints) into an existing folder. */
WEFT_MUST_USE enum weft_status weft_lora_save(const struct weft_model *model, const char *dir,
                                              const struct weft_lora_info *info, struct weft_err *err);
/* Attaches the adapter of `dir`.  With `params` its tensors are trainable.  info may be NULL. */
WEFT_MUST_USE enum weft_status weft_lora_load(struct weft_arena *a, struct weft_model *model, const char *dir,
                                              struct weft_params *params, struct weft_lora_info *info,
                                              struct weft_err *err);

/* LoRA+: B, and vectors, learn at `ratio` times the rate. */
void weft_lora_plus(struct weft_params *params, double ratio);

/* Switches all branches and copies of tables, and with PiSSA the whole base back: base and tuned model side by side
 * from one set of weights. */
void weft_lora_enable(struct weft_model *model, bool enabled);
/* Bytes that branches hold besides their values and gradients (the memory plan). */
size_t weft_lora_held_bytes(const struct weft_model *model);
/* Bytes that weft_lora_save takes while it works: PiSSA's branches are written as others. */
size_t weft_lora_save_bytes(const struct weft_model *model);

#endif
