#include "train/order.h"

#include "dataset/permute.h"

#include <stdlib.h>

enum { TRY_ROWS = 1 << 26 };    /* rows visited at most when looking for the longest micro-batch: well under a second */

enum weft_status weft_order_init(struct weft_order *o, const struct weft_recipe *r, size_t n, struct weft_arena *a,
                                 struct weft_err *err)
{
    *o = (struct weft_order){ .recipe = r, .n = n, .epoch = UINT64_MAX };
    o->perm = WEFT_NEWS(a, uint32_t, n);
    if (!o->perm) return weft_fail_nomem(err, n * sizeof *o->perm, "the order of the rows");
    return WEFT_OK;
}

void weft_order_epoch(struct weft_order *o, uint64_t epoch)
{
    if (o->epoch == epoch) return;
    uint64_t seed = (uint64_t)(o->recipe->data_seed < 0 ? o->recipe->seed : o->recipe->data_seed);
    if (o->recipe->disable_shuffling)
        for (size_t i = 0; i < o->n; i++) o->perm[i] = (uint32_t)i;
    else
        weft_randperm(seed + epoch, o->n, o->perm);
    o->epoch = epoch;
}

size_t weft_recipe_update_rows(const struct weft_recipe *r, size_t n_rows)
{
    uint64_t b = (uint64_t)r->per_device_train_batch_size, ga = (uint64_t)r->gradient_accumulation_steps;
    return ga > n_rows / b + 1 ? n_rows : weft_min_size((size_t)(b * ga), n_rows);
}

struct weft_group weft_group_of(const struct weft_recipe *r, const struct weft_steps *s, size_t n_rows, uint64_t u)
{
    size_t b = (size_t)r->per_device_train_batch_size;
    uint64_t ga = (uint64_t)r->gradient_accumulation_steps, k = u % s->updates_per_epoch;
    struct weft_group g = { .epoch = u / s->updates_per_epoch };
    uint64_t first_micro = k * ga,
             n_micro = s->micro_per_epoch - first_micro < ga ? s->micro_per_epoch - first_micro : ga;
    g.first = (size_t)first_micro * b;
    g.n_rows = weft_min_size((size_t)n_micro * b, n_rows - g.first);
    g.micro_step = g.epoch * s->micro_per_epoch + first_micro;
    g.epoch_after = (double)g.epoch + (double)(first_micro + n_micro) / (double)s->micro_per_epoch;
    return g;
}

static int longer_first(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? 1 : x > y ? -1 : 0;
}

enum weft_stage weft_recipe_collate_stage(const struct weft_recipe *r)
{
    static const enum weft_stage stages[] = { WEFT_STAGE_SFT, WEFT_STAGE_PT, WEFT_STAGE_PAIR, WEFT_STAGE_KTO };
    return stages[r->stage];
}

enum { PIECE_TOKENS = 256 };    /* products of fewer rows are slower */

size_t weft_piece_room(size_t train_tokens) { return weft_max_size(train_tokens, PIECE_TOKENS); }

size_t weft_piece_rows(const struct weft_examples *e, enum weft_stage stage, const uint32_t *perm,
                       size_t first, size_t n, size_t room)
{
    size_t tokens = 0, k = 0;
    if (stage == WEFT_STAGE_KTO) return n;
    while (k < n) {
        tokens += weft_example_tokens(e, perm ? perm[first + k] : first + k, stage);
        if (k && tokens > room) break;
        k++;
    }
    return k;
}

/* The longest piece of the batches of b rows. */
static size_t longest_piece(const struct weft_examples *e, enum weft_stage stage, size_t b, size_t room)
{
    size_t most = 0;
    for (size_t i = 0; i < e->n; i += b)
        for (size_t at = i, end = weft_min_size(i + b, e->n), rows; at < end; at += rows) {
            size_t sum = 0;
            rows = weft_piece_rows(e, stage, NULL, at, end - at, room);
            for (size_t k = 0; k < rows; k++) sum += weft_example_tokens(e, at + k, stage);
            most = weft_max_size(most, sum);
        }
    return most;
}

static size_t longest_in(const struct weft_examples *e, enum weft_stage stage, const uint32_t *perm, size_t b)
{
    size_t most = 0;
    for (size_t i = 0; i < e->n; i += b) {
        size_t sum = 0;
        for (size_t k = i; k < e->n && k < i + b; k++) sum += weft_example_tokens(e, perm ? perm[k] : k, stage);
        most = weft_max_size(most, sum);
    }
    return most;
}

static enum weft_status longest_possible(struct weft_arena *a, const struct weft_examples *e, enum weft_stage stage,
                                         size_t b, size_t *out, struct weft_err *err)
{
    uint32_t *len = WEFT_NEWS(a, uint32_t, e->n);
    if (!len) return weft_fail_nomem(err, e->n * sizeof *len, "row lengths");
    for (size_t i = 0; i < e->n; i++) len[i] = (uint32_t)weft_example_tokens(e, i, stage);
    qsort(len, e->n, sizeof *len, longer_first);
    *out = 0;
    for (size_t i = 0; i < e->n && i < b; i++) *out += len[i];
    return WEFT_OK;
}

enum weft_status weft_longest_batch(const struct weft_recipe *r, const struct weft_examples *train,
                                    const struct weft_examples *valid, struct weft_longest *out, struct weft_err *err)
{
    struct weft_arena a = { 0 };
    struct weft_order order;
    struct weft_steps steps = weft_steps_of(r, train->n);
    size_t b = (size_t)r->per_device_train_batch_size, most = 0;
    enum weft_stage stage = weft_recipe_collate_stage(r);
    enum weft_status st = WEFT_OK;
    if (steps.epochs > TRY_ROWS / (train->n + 1)) {
        st = longest_possible(&a, train, stage, b, &most, err);
    } else {
        st = weft_order_init(&order, r, train->n, &a, err);
        for (uint64_t e = 0; !st && e < steps.epochs; e++) {
            weft_order_epoch(&order, e);
            most = weft_max_size(most, longest_in(train, stage, order.perm, b));
            if (r->disable_shuffling) break;
        }
    }
    *out = (struct weft_longest){ .train = most };
    if (!st && valid && valid->n)
        out->valid = longest_piece(valid, stage, (size_t)r->per_device_eval_batch_size, weft_piece_room(most));
    weft_arena_clear(&a);
    return st;
}
