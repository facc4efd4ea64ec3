#include "train/advice.h"

#include "train/order.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    FEW_UPDATES = 50,           /* the rate has hardly risen and fallen by then */
    ENOUGH_UPDATES = 150,
    MANY_PASSES = 8,            /* a small set is known by heart by then */
    SMALL_SET = 1000,
    BITS_PER_PARAMETER = 2
};

static void say(struct weft_advice *a, enum weft_lang lang, const char *fmt, ...) WEFT_PRINTF(3, 4);

static void say(struct weft_advice *a, enum weft_lang lang, const char *fmt, ...)
{
    va_list args;
    if (a->n == WEFT_ADVICE_LINES) return;
    va_start(args, fmt);
    vsnprintf(a->lines[a->n++], sizeof a->lines[0], weft_tr(lang, fmt), args);
    va_end(args);
}

static int by_length(const void *x, const void *y)
{
    uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;
    return (a > b) - (a < b);
}

/* The length that all but one in a hundred rows keep to, rounded up to 64; 0: unknown. */
static uint32_t most_rows(const struct weft_examples *e)
{
    uint32_t *len = e->n ? malloc(e->n * sizeof *len) : NULL, out;
    if (!len) return 0;
    for (size_t i = 0; i < e->n; i++) len[i] = e->items[i].full_len;
    qsort(len, e->n, sizeof *len, by_length);
    out = (len[(e->n * 99 + 99) / 100 - 1] + 63) / 64 * 64;
    free(len);
    return out;
}

static void on_length(struct weft_advice *a, const struct weft_recipe *r, const struct weft_examples *e,
                      enum weft_lang lang)
{
    uint64_t over = e->truncated + e->over_long;
    if (over * 50 <= e->rows_in) return;
    uint32_t keeps = r->over_length == WEFT_OVER_CUT ? most_rows(e) : 0;
    if (keeps > r->cutoff_len)
        say(a, lang, "cutoff_len %lld is too short for %.0f %% of the rows; %u holds 99 %%, and short rows cost nothing more",
            (long long)r->cutoff_len, 100.0 * (double)over / (double)e->rows_in, keeps);
    else
        say(a, lang, "cutoff_len %lld is too short for %.0f %% of the rows; the longest has %llu tokens, and short rows cost nothing more",
            (long long)r->cutoff_len, 100.0 * (double)over / (double)e->rows_in, (unsigned long long)e->longest);
}

static void on_updates(struct weft_advice *a, const struct weft_recipe *r, const struct weft_examples *e,
                       size_t n_valid, enum weft_lang lang)
{
    struct weft_steps s = weft_steps_of(r, e->n);
    double passes = (double)s.total / (double)s.updates_per_epoch;
    if (s.total < FEW_UPDATES) {
        double epochs = ceil((double)ENOUGH_UPDATES / (double)s.updates_per_epoch);
        if (epochs <= MANY_PASSES)
            say(a, lang, "%llu updates are few to learn from; num_train_epochs: %.0f gives about %d", (unsigned long long)s.total,
                epochs, ENOUGH_UPDATES);
        else
            say(a, lang, "%llu updates are few to learn from, and %zu rows are few to go through often; a smaller "
                         "gradient_accumulation_steps or batch size gives more, more rows are better",
                (unsigned long long)s.total, e->n);
    }
    if (passes > MANY_PASSES && e->n < SMALL_SET)
        say(a, lang, "each of the %zu rows is seen %.0f times; a set of this size is usually known by heart after 3 to %d. "
                     "val_size: 0.1 with early_stopping_steps: 3 ends the run in time",
            e->n, passes, MANY_PASSES);
    else if (!n_valid && e->n >= 50)
        say(a, lang, "nothing is held out: val_size: 0.1 would show when the model begins to learn the rows by heart");
}

/* Bits to be learnt against the room there is. */
static void on_rank(struct weft_advice *a, const struct weft_recipe *r, const struct weft_examples *e, size_t n_trained,
                    enum weft_lang lang)
{
    double bits = (double)e->total_labels, room = BITS_PER_PARAMETER * (double)n_trained;
    if (r->finetuning_type != WEFT_FINETUNING_LORA || !n_trained || bits <= 0) return;
    if (bits > room) {
        int64_t rank = (int64_t)ceil((double)r->lora_rank * bits / room);
        say(a, lang, "the answers hold about %.1f million tokens, more than an adapter of rank %lld takes in; lora_rank: %lld has room",
            bits / 1e6, (long long)r->lora_rank, (long long)(rank > 1024 ? 1024 : rank));
    }
}

static void on_rate(struct weft_advice *a, const struct weft_recipe *r, const struct weft_examples *e,
                    enum weft_lang lang)
{
    bool tokens = r->stage == WEFT_RECIPE_SFT || r->stage == WEFT_RECIPE_PT;
    if (r->finetuning_type == WEFT_FINETUNING_LORA && tokens && r->learning_rate <= 5e-5
        && weft_steps_of(r, e->n).total < 2000)
        say(a, lang, "learning_rate %g is low for an adapter, which takes about ten times that of full fine-tuning; 1e-4 to 2e-4 is usual",
            r->learning_rate);
}

void weft_advise(const struct weft_recipe *r, const struct weft_examples *train, size_t n_valid, size_t n_trained,
                 enum weft_lang lang, struct weft_advice *out)
{
    out->n = 0;
    if (!train->n) return;
    on_length(out, r, train, lang);
    on_updates(out, r, train, n_valid, lang);
    on_rank(out, r, train, n_trained, lang);
    on_rate(out, r, train, lang);
}
