/* adapter/parts.h - what making and loading branches share; nobody outside adapter/ includes it */
#ifndef WEFT_ADAPTER_PARTS_H
#define WEFT_ADAPTER_PARTS_H

#include "adapter/lora.h"

enum { WEFT_LORA_MAX_RANK = 1024 };

/* `target` is the module's path, or the end of it at a dot. */
bool weft_lora_matches(const char *path, struct weft_str target);
/* What is hung on a model in one step. */
struct weft_lora_parts {
    struct weft_branch **branches;      /* [n_linears], NULL: none */
    struct weft_table_copy embed, head; /* w NULL: none */
    const void **residuals;             /* [n_linears] PiSSA: weights in place of W, of W's type; NULL: none */
};

/* A zeroed branch for l in arena `a`, with gradients when `train`.  NULL: no memory, reported. */
struct weft_branch *weft_lora_branch(struct weft_arena *a, const struct weft_linear *l, size_t rank,
                                     double alpha, double dropout, bool rslora, size_t module_id, bool train,
                                     struct weft_err *err);
/* Gives all branches DoRA's vectors; m is left to the caller.  One scratch for all. */
WEFT_MUST_USE enum weft_status weft_lora_add_dora(struct weft_arena *a, struct weft_model *model,
                                                  struct weft_branch *const *branches, bool train,
                                                  struct weft_err *err);
/* The norms of W for DoRA, and m from them when `fresh`; then inv and k. */
WEFT_MUST_USE enum weft_status weft_lora_start_dora(struct weft_model *model, struct weft_branch *const *branches,
                                                    bool fresh, struct weft_pool *pool, struct weft_err *err);
/* A copy of the token table or the head, values as the base has them. */
WEFT_MUST_USE enum weft_status weft_lora_copy_table(struct weft_arena *a, struct weft_model *model, bool head,
                                                    bool train, struct weft_table_copy *out, struct weft_err *err);
/* PiSSA of every branch: A, B, a0, b0, and the residuals in the model's arena. */
WEFT_MUST_USE enum weft_status weft_lora_pissa(struct weft_arena *a, struct weft_model *model,
                                               const struct weft_lora_settings *s, struct weft_lora_parts *parts,
                                               struct weft_err *err);
/* Hangs the parts on the model in one step and lists them in params (may be NULL).  What hung there before is gone. */
WEFT_MUST_USE enum weft_status weft_lora_hang(struct weft_arena *a, struct weft_model *model,
                                              const struct weft_lora_parts *parts, struct weft_params *params,
                                              struct weft_err *err);

#endif
