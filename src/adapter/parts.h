/* adapter/parts.h - what making and loading branches share; nobody outside adapter/ includes it */
#ifndef WEFT_ADAPTER_PARTS_H
#define WEFT_ADAPTER_PARTS_H

#include "adapter/lora.h"

enum { WEFT_LORA_MAX_RANK = 1024 };

/* `target` is the module's path, or the end of it at a dot. */
bool weft_lora_matches(const char *path, struct weft_str target);
/* A zeroed branch for l in arena `a`, with gradients when `train`.  NULL: no memory, reported. */
struct weft_branch *weft_lora_branch(struct weft_arena *a, const struct weft_linear *l, size_t rank,
                                     double alpha, double dropout, bool rslora, size_t module_id, bool train,
                                     struct weft_err *err);
/* Hangs branches [n_linears] (NULL: none) on the model in one step and lists them in params (may be NULL). */
WEFT_MUST_USE enum weft_status weft_lora_hang(struct weft_arena *a, struct weft_model *model,
                                              struct weft_branch *const *branches, struct weft_params *params,
                                              struct weft_err *err);

#endif
