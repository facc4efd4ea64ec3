/* train/advice.h - what the size of the data says about the settings
 *
 * Rules of thumb with their reason, printed before a run; nothing is changed.  Sources: capacity of an adapter against
 * the information in the answers (arXiv:2404.05405: about two bits a parameter; about one bit a trained token),
 * rates of LoRA and full fine-tuning and the number of updates (docs/training.md, "Advice").
 */
#ifndef WEFT_TRAIN_ADVICE_H
#define WEFT_TRAIN_ADVICE_H

#include "base/lang.h"
#include "tokens/collate.h"
#include "train/optimizer.h"

enum { WEFT_ADVICE_LINES = 6 };
struct weft_advice {
    char lines[WEFT_ADVICE_LINES][400];     /* in the user's language */
    size_t n;
};

/* n_trained: parameters that train; n_valid: validation rows. */
void weft_advise(const struct weft_recipe *r, const struct weft_examples *train, size_t n_valid, size_t n_trained,
                 enum weft_lang lang, struct weft_advice *out);

#endif
