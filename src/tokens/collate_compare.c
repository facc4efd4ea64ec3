/* Rows whose answers were compared (chosen, rejected) or judged (kto_tag): two examples each, of one prompt.
 *
 * The prompt is everything before the last answer; of it the first tokens are kept, and of both answers the first
 * tokens, by the pair rule for the longer one (docs/training.md, "Preferences"). */
#include "tokens/collate_parts.h"

/* A prompt and its answer, whole. */
struct exchange {
    const int32_t *ids;     /* [source + target] in the scratch arena */
    size_t source, target;
};

/* The row with `answer` (NULL: as it is) as tokens, split before its last answer. */
static enum weft_status encode_exchange(struct weft_collate_worker *w, const struct weft_collate_tokens *k,
                                        const struct weft_chat_template *chat, const struct weft_row *row,
                                        const struct weft_turn *answer, const struct weft_collate_settings *s,
                                        struct exchange *out, struct weft_err *err)
{
    struct weft_row full = *row;
    if (answer) {
        full.turns = WEFT_NEWS(&w->scratch, struct weft_turn, row->n_turns + 1);
        if (!full.turns) return weft_fail_nomem(err, (row->n_turns + 1) * sizeof *full.turns, "the turns of a row");
        memcpy(full.turns, row->turns, row->n_turns * sizeof *full.turns);
        full.turns[full.n_turns++] = *answer;
        full.turn_extras = NULL;
        full.chosen.text = full.rejected.text = (struct weft_str){ NULL, 0 };
    }
    enum weft_status st = weft_collate_encode(w, k, chat, &full, s, err);
    if (st) return st;
    size_t end = w->ids.n, begin;
    while (end && !w->loss[end - 1]) end--;
    for (begin = end; begin && w->loss[begin - 1];) begin--;
    int32_t *ids = WEFT_NEWS(&w->scratch, int32_t, end + 1);
    if (!ids) return weft_fail_nomem(err, (end + 1) * sizeof *ids, "tokens");
    memcpy(ids, w->ids.ids, end * sizeof *ids);
    if (k->eos_id >= 0) ids[end++] = k->eos_id; /* the template prints no end mark */
    *out = (struct exchange){ ids, begin, end - begin };
    return WEFT_OK;
}

/* Appends the first `source` tokens of the prompt and `target` of the answer as one item. */
static enum weft_status add(struct weft_collate_worker *w, const struct exchange *prompt, const struct exchange *answer,
                            size_t source, size_t target, const struct weft_example *like, struct weft_err *err)
{
    struct weft_example item = *like;
    size_t n = source + target;
    target = weft_min_size(target, answer->target);
    item.n = (uint32_t)(source + target);
    item.n_labels = (uint32_t)(target - (!source && target));
    item.full_len = (uint32_t)weft_min_size(prompt->source + answer->target, UINT32_MAX);
    if (!weft_ints_reserve(&w->out_ids, n) || !weft_ints_reserve(&w->out_labels, n))
        return weft_fail_nomem(err, n * 8, "tokens");
    const int32_t *reply = answer->ids + answer->source;
    memcpy(w->out_ids.v + w->out_ids.n, prompt->ids, source * sizeof *prompt->ids);
    memcpy(w->out_ids.v + w->out_ids.n + source, reply, target * sizeof *reply);
    for (size_t i = 0; i < source; i++) w->out_labels.v[w->out_labels.n + i] = WEFT_IGNORE;
    memcpy(w->out_labels.v + w->out_labels.n + source, reply, target * sizeof *reply);
    /* The first token of a sequence is never predicted: an answer whose prompt was cut away does not count it. */
    if (!source && target) w->out_labels.v[w->out_labels.n] = WEFT_IGNORE;
    w->out_ids.n += source + target;
    w->out_labels.n += source + target;
    return weft_collate_add_item(w, &item, err);
}

static void fit(const struct exchange *x, size_t target, const struct weft_collate_settings *s, size_t *keep_source,
                size_t *keep_target)
{
    int64_t source, answer;
    weft_collate_fit((int64_t)x->source, (int64_t)target, s->cutoff_len, &source, &answer);
    *keep_source = (size_t)source;
    *keep_target = (size_t)answer;
}

static enum weft_status add_pair(struct weft_collate_worker *w, const struct weft_collate_tokens *k,
                                 const struct weft_chat_template *chat, const struct weft_row *row, uint32_t row_idx,
                                 const struct weft_collate_settings *s, uint64_t *no_loss, struct weft_err *err)
{
    struct exchange chosen, rejected;
    char place[160];
    const struct weft_example like = { .row_idx = row_idx };
    size_t source, target;
    bool drop;
    if (!row->chosen.text.s || !row->rejected.text.s)
        return weft_fail(err, WEFT_EINPUT,
                         "row %s has no chosen and rejected answers; stage dpo needs them in every row",
                         weft_collate_place(row, row_idx, place));
    enum weft_status st = encode_exchange(w, k, chat, row, &row->chosen, s, &chosen, err);
    if (!st) st = encode_exchange(w, k, chat, row, &row->rejected, s, &rejected, err);
    if (st) return st;
    st = weft_collate_length(w, s, row, row_idx,
                             chosen.source + weft_max_size(chosen.target, rejected.target), &drop, err);
    if (st || drop) return st;
    fit(&chosen, weft_max_size(chosen.target, rejected.target), s, &source, &target);
    if (source + weft_min_size(target, chosen.target) < 2 || source + weft_min_size(target, rejected.target) < 2
        || !weft_min_size(chosen.target, rejected.target) || !target) {
        ++*no_loss;
        return WEFT_OK;
    }
    st = add(w, &chosen, &chosen, source, target, &like, err);
    return st ? st : add(w, &chosen, &rejected, source, target, &like, err);
}

static enum weft_status add_judged(struct weft_collate_worker *w, const struct exchange *x,
                                   const struct exchange *before, const struct weft_row *row,
                                   uint32_t row_idx, const struct weft_collate_settings *s, uint64_t *no_loss,
                                   struct weft_err *err)
{
    struct weft_example like = { .row_idx = row_idx, .desirable = row->kto_tag > 0 };
    size_t source, target;
    bool drop;
    enum weft_status st = weft_collate_length(w, s, row, row_idx, x->source + x->target, &drop, err);
    if (st || drop) return st;
    fit(x, x->target, s, &source, &target);
    if (!target || source + target < 2) {
        ++*no_loss;
        return WEFT_OK;
    }
    st = add(w, x, x, source, target, &like, err);
    fit(x, before->target, s, &source, &target);
    return st ? st : add(w, x, before, source, target, &like, err);
}

enum weft_status weft_collate_compared(struct weft_collate_worker *w, const struct weft_collate_tokens *k,
                                       const struct weft_chat_template *chat, const struct weft_row *rows, size_t n,
                                       uint32_t first_idx, const struct weft_collate_settings *s, uint64_t *no_loss,
                                       struct weft_err *err)
{
    struct weft_arena_mark mark = weft_arena_mark(&w->scratch);
    enum weft_status st = WEFT_OK;
    char place[160];
    if (s->stage == WEFT_STAGE_PAIR) {
        for (size_t i = 0; !st && i < n; i++) {
            st = add_pair(w, k, chat, &rows[i], first_idx + (uint32_t)i, s, no_loss, err);
            weft_arena_release(&w->scratch, mark);
        }
        return st;
    }
    struct exchange *all = WEFT_NEWS(&w->scratch, struct exchange, n);
    if (!all) return weft_fail_nomem(err, n * sizeof *all, "rows");
    for (size_t i = 0; !st && i < n; i++) {
        const struct weft_row *row = &rows[i];
        if (row->kto_tag < 0)
            st = weft_fail(err, WEFT_EINPUT,
                           "row %s has no kto_tag; stage kto needs one (true or false) in every row",
                           weft_collate_place(row, first_idx + (uint32_t)i, place));
        else st = encode_exchange(w, k, chat, row, NULL, s, &all[i], err);
    }
    /* The mismatched answer is that of the row before; the first row of a group takes the last one's. */
    for (size_t i = 0; !st && i < n; i++)
        st = add_judged(w, &all[i], &all[i ? i - 1 : n - 1], &rows[i], first_idx + (uint32_t)i, s, no_loss, err);
    weft_arena_release(&w->scratch, mark);
    return st;
}
