/* train/optimizers.h - the entries behind the registry of train/optimizer.h; each lives in its own opt_<name>.c */
#ifndef WEFT_TRAIN_OPTIMIZERS_H
#define WEFT_TRAIN_OPTIMIZERS_H

#include "train/optimizer.h"

extern const struct weft_optimizer weft_opt_adamw, weft_opt_adamw_bf16, weft_opt_adamw_8bit, weft_opt_galore,
    weft_opt_galore_8bit, weft_opt_apollo, weft_opt_badam, weft_opt_muon;

/* Muon's orthogonalisation by itself, for tests and measurements: x [rows, cols] in place.
 * scratch: 2 * min(rows, cols)^2 + rows * cols floats. */
void weft_muon_orthogonalise(struct weft_compute *c, float *x, size_t rows, size_t cols, float *scratch, bool exact);

#endif
