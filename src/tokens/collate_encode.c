/* One row as tokens and marks: the template renders text with spans, the text is encoded. */
#include "tokens/collate_parts.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- one thread's tools ---- */

bool weft_ints_reserve(struct weft_ints *a, size_t more)
{
    size_t need, bytes;
    if (!weft_size_add(a->n, more, &need)) return false;
    if (need <= a->cap) return true;
    size_t cap = weft_max_size(need, weft_max_size(1024, a->cap + a->cap / 2));
    if (!weft_size_mul(cap, sizeof *a->v, &bytes)) return false;
    int32_t *v = realloc(a->v, bytes);
    if (!v) return false;
    a->v = v;
    a->cap = cap;
    return true;
}

bool weft_ints_add(struct weft_ints *a, const int32_t *v, size_t n)
{
    if (!weft_ints_reserve(a, n)) return false;
    if (n) memcpy(a->v + a->n, v, n * sizeof *v);
    a->n += n;
    return true;
}

void weft_collate_worker_clear(struct weft_collate_worker *w)
{
    weft_arena_clear(&w->scratch);
    if (w->own_encoder) weft_encoder_free(w->encoder);
    weft_ids_clear(&w->ids);
    free(w->loss);
    free(w->out_ids.v);
    free(w->out_labels.v);
    free(w->items);
}

enum weft_status weft_collate_add_item(struct weft_collate_worker *w, const struct weft_example *item,
                                       struct weft_err *err)
{
    if (w->n_items == w->cap_items) {
        size_t cap = weft_max_size(64, w->cap_items * 2);
        struct weft_example *items = realloc(w->items, cap * sizeof *items);
        if (!items) return weft_fail_nomem(err, cap * sizeof *items, "examples");
        w->items = items;
        w->cap_items = cap;
    }
    w->items[w->n_items++] = *item;
    return WEFT_OK;
}

static struct weft_str special_text(const struct weft_tokenizer *t, enum weft_special_token which)
{
    int32_t id = weft_tokenizer_special(t, which);
    return id < 0 ? WEFT_STR("") : weft_tokenizer_content(t, id);
}

enum weft_status weft_collate_tokens_init(struct weft_collate_tokens *k, const struct weft_tokenizer *t,
                                          const struct weft_chat_template *chat, struct weft_encoder *e,
                                          const struct weft_collate_settings *s, struct weft_err *err)
{
    struct weft_ids probe = { 0 };
    const struct weft_chat_rules none = { 0 }, *rules = chat ? weft_chat_rules(chat) : &none;
    *k = (struct weft_collate_tokens){ .t = t, .bos_id = -1, .eos_id = -1 };
    k->chat.bos_token = special_text(t, WEFT_BOS);
    k->chat.eos_token = special_text(t, WEFT_EOS);
    k->chat.pad_token = special_text(t, WEFT_PAD);
    k->chat.unk_token = special_text(t, WEFT_UNK);
    k->chat.date = s->date;
    k->chat.kwargs = s->kwargs;
    k->chat.train_trailing = !s->clean;
    /* Llama 3 instruct models end a turn, not a text, with their eos. */
    int32_t eos = rules->eos.s ? weft_tokenizer_id(t, rules->eos) : weft_tokenizer_special(t, WEFT_EOS);
    if (rules->eos.s) k->chat.eos_token = rules->eos;
    if (rules->eos_label) k->eos_id = eos;
    k->chat.every_answer = s->stage == WEFT_STAGE_SFT && (!s->mask_history || rules->preserve_thinking);
    k->end_id = weft_tokenizer_id(t, WEFT_STR("<|end_of_text|>"));
    if (k->end_id < 0 || (rules->name.s && !weft_str_is(rules->name, "llama3"))) k->end_id = eos;
    k->pad_id = weft_tokenizer_special(t, WEFT_PAD);
    if (k->pad_id < 0) k->pad_id = eos;
    /* The post-processor is the only one who knows whether texts begin with bos: ask it about the empty
     * text. */
    enum weft_status st = weft_encode(e, WEFT_STR(""), WEFT_ENCODE_ADD, &probe, err);
    if (!st && probe.n && probe.ids[0] == weft_tokenizer_special(t, WEFT_BOS)) k->bos_id = probe.ids[0];
    weft_ids_clear(&probe);
    return st;
}

/* ---- rows that are too long ---- */

const char *weft_collate_place(const struct weft_row *row, uint32_t row_idx, char place[160])
{
    char file[128];
    if (row->origin.file.s && row->origin.line)
        snprintf(place, 160, "%s:%llu", weft_escape(file, sizeof file, row->origin.file),
                 (unsigned long long)row->origin.line);
    else snprintf(place, 160, "%u", row_idx + 1);
    return place;
}

enum weft_status weft_collate_length(struct weft_collate_worker *w, const struct weft_collate_settings *s,
                                     const struct weft_row *row, uint32_t row_idx, size_t full_len, bool *drop,
                                     struct weft_err *err)
{
    char place[160];
    size_t bin = 0;
    while (bin + 1 < WEFT_COLLATE_BINS && full_len >> (bin + 1)) bin++;
    w->by_length[bin]++;
    *drop = false;
    if (s->over_length == WEFT_OVER_CUT || full_len <= (size_t)s->cutoff_len) return WEFT_OK;
    if (s->over_length == WEFT_OVER_REFUSE)
        return weft_fail(err, WEFT_EINPUT,
                         "row %s has %zu tokens, more than cutoff_len %lld; raise cutoff_len, or set over_length to cut or "
                         "drop",
                         weft_collate_place(row, row_idx, place), full_len, (long long)s->cutoff_len);
    w->over_long++;
    *drop = true;
    return WEFT_OK;
}

/* ---- encoding ---- */

static bool loss_reserve(struct weft_collate_worker *w, size_t n)
{
    if (n <= w->loss_cap) return true;
    size_t cap = weft_max_size(n, weft_max_size(1024, w->loss_cap * 2));
    unsigned char *p = realloc(w->loss, cap);
    if (!p) return false;
    w->loss = p;
    w->loss_cap = cap;
    return true;
}

static enum weft_status mark_loss(struct weft_collate_worker *w, size_t from, bool loss, struct weft_err *err)
{
    if (!loss_reserve(w, w->ids.n)) return weft_fail_nomem(err, w->ids.n, "the marks of a row");
    if (w->ids.n > from) memset(w->loss + from, loss, w->ids.n - from);
    return WEFT_OK;
}

/* The span holding byte `at`; spans are ascending and cover the text.  `hint` only moves forward. */
static const struct weft_chat_span *span_at(const struct weft_chat_text *x, size_t at, size_t *hint)
{
    while (*hint + 1 < x->n_spans && x->spans[*hint].end <= at) ++*hint;
    return &x->spans[*hint];
}

static bool all_template(const struct weft_chat_text *x, size_t begin, size_t end, size_t hint)
{
    for (size_t i = hint; i < x->n_spans && x->spans[i].begin < end; i++)
        if (x->spans[i].end > begin && !x->spans[i].from_template) return false;
    return true;
}

/* Bytes [begin, end) of the rendered text, appended to w->ids with offsets into the whole text. strict: a
 * special token counts only where all its bytes are the template's.  Special tokens cut a text into pieces
 * that are encoded independently, so what lies between two accepted ones can be encoded again as plain text
 * without touching the rest. */
static enum weft_status encode_range(struct weft_collate_worker *w, const struct weft_collate_tokens *k,
                                     const struct weft_chat_text *x, size_t begin, size_t end, bool strict,
                                     struct weft_err *err)
{
    struct weft_str text = weft_str_sub(x->text, begin, end);
    size_t first = w->ids.n, hint = 0, refused = 0;
    enum weft_status st =
        weft_encode(w->encoder, text, WEFT_ENCODE_SPECIALS | WEFT_ENCODE_OFFSETS, &w->ids, err);
    if (st) return st;
    for (size_t i = first; i < w->ids.n; i++) w->ids.begin[i] += (uint32_t)begin;
    if (!strict) return WEFT_OK;

    size_t n = w->ids.n - first;
    struct piece {
        size_t begin, end;
        int32_t id;
    } * keep; /* accepted special tokens */
    size_t n_keep = 0;
    for (size_t i = first; i < w->ids.n; i++) n_keep += weft_tokenizer_is_special(k->t, w->ids.ids[i]);
    keep = WEFT_NEWS(&w->scratch, struct piece, n_keep);
    if (!keep) return weft_fail_nomem(err, n_keep * sizeof *keep, "the special tokens of a row");
    n_keep = 0;
    for (size_t i = 0; i < n; i++) {
        int32_t id = w->ids.ids[first + i];
        if (!weft_tokenizer_is_special(k->t, id)) continue;
        size_t from = w->ids.begin[first + i], to = i + 1 < n ? w->ids.begin[first + i + 1] : end;
        span_at(x, from, &hint);
        if (all_template(x, from, to, hint)) keep[n_keep++] = (struct piece){ from, to, id };
        else refused++;
    }
    if (!refused) return WEFT_OK;

    w->ids.n = first;
    for (size_t i = 0, at = begin; i <= n_keep; i++) {
        size_t to = i < n_keep ? keep[i].begin : end, from = w->ids.n;
        st = weft_encode(w->encoder, weft_str_sub(x->text, at, to), WEFT_ENCODE_OFFSETS, &w->ids, err);
        if (st) return st;
        for (size_t j = from; j < w->ids.n; j++) w->ids.begin[j] += (uint32_t)at;
        if (i == n_keep) break;
        /* The token itself, by its own text: encoding it alone gives its id. */
        from = w->ids.n;
        st = weft_encode(w->encoder, weft_str_sub(x->text, keep[i].begin, keep[i].end),
                         WEFT_ENCODE_SPECIALS | WEFT_ENCODE_OFFSETS, &w->ids, err);
        if (st) return st;
        for (size_t j = from; j < w->ids.n; j++) w->ids.begin[j] += (uint32_t)keep[i].begin;
        at = keep[i].end;
    }
    return WEFT_OK;
}

/* A rendered conversation into w->ids and w->loss. */
static enum weft_status encode_chat(struct weft_collate_worker *w, const struct weft_collate_tokens *k,
                                    const struct weft_chat_text *x, const struct weft_collate_settings *s,
                                    struct weft_err *err)
{
    enum weft_status st = WEFT_OK;
    if (x->text.len > UINT32_MAX)
        return weft_fail(err, WEFT_ELIMIT, "a rendered row has %zu bytes; at most 4 GiB can be encoded",
                         x->text.len);
    if (x->n_pieces) {
        for (size_t i = 0, at = 0, hint = 0; !st && i < x->n_pieces; at = x->pieces[i++]) {
            size_t from = w->ids.n;
            st = encode_range(w, k, x, at, x->pieces[i], s->strict_specials, err);
            if (!st) st = mark_loss(w, from, span_at(x, at, &hint)->loss, err);
        }
        return st;
    }
    if (s->clean) {
        st = encode_range(w, k, x, 0, x->text.len, s->strict_specials, err);
        if (st) return st;
        if (!loss_reserve(w, w->ids.n)) return weft_fail_nomem(err, w->ids.n, "the marks of a row");
        for (size_t i = 0, hint = 0; i < w->ids.n; i++) w->loss[i] = span_at(x, w->ids.begin[i], &hint)->loss;
        return WEFT_OK;
    }
    for (size_t i = 0, next; !st && i < x->n_spans; i = next) {
        bool loss = x->spans[i].loss;
        size_t from = w->ids.n;
        for (next = i + 1; next < x->n_spans && x->spans[next].loss == loss; next++) continue;
        st = encode_range(w, k, x, x->spans[i].begin, x->spans[next - 1].end, s->strict_specials, err);
        if (!st) st = mark_loss(w, from, loss, err);
    }
    return st;
}

enum weft_status weft_collate_prompt(struct weft_encoder *e, const struct weft_chat_text *x, struct weft_ids *ids,
                                     struct weft_err *err)
{
    enum weft_status st = WEFT_OK;
    if (!x->n_pieces) return weft_encode(e, x->text, WEFT_ENCODE_SPECIALS, ids, err);
    for (size_t i = 0, at = 0; !st && i < x->n_pieces; at = x->pieces[i++])
        st = weft_encode(e, weft_str_sub(x->text, at, x->pieces[i]), WEFT_ENCODE_SPECIALS, ids, err);
    return st;
}

/* A plain text and the mark of its end. */
static enum weft_status encode_text(struct weft_collate_worker *w, const struct weft_collate_tokens *k,
                                    struct weft_str text, bool bos, const struct weft_collate_settings *s,
                                    struct weft_err *err)
{
    unsigned flags = s->strict_specials ? WEFT_ENCODE_PLAIN : WEFT_ENCODE_SPECIALS;
    struct weft_str end = k->end_id < 0 ? WEFT_STR("") : weft_tokenizer_content(k->t, k->end_id);
    enum weft_status st = WEFT_OK;
    if (bos && k->bos_id >= 0)
        st = weft_encode(w->encoder, k->chat.bos_token, WEFT_ENCODE_SPECIALS, &w->ids, err);
    if (!st) st = weft_encode(w->encoder, text, flags, &w->ids, err);
    if (!st && end.len) st = weft_encode(w->encoder, end, WEFT_ENCODE_SPECIALS, &w->ids, err);
    if (!st) st = mark_loss(w, 0, true, err);
    return st;
}

/* Renders and encodes a row into w->ids and w->loss. */
enum weft_status weft_collate_encode(struct weft_collate_worker *w, const struct weft_collate_tokens *k,
                                   const struct weft_chat_template *chat, const struct weft_row *row,
                                   const struct weft_collate_settings *s, struct weft_err *err)
{
    struct weft_chat_text x = { 0 };
    struct weft_err inner = { .lang = err ? err->lang : WEFT_LANG_EN };
    char file[128];
    enum weft_status st;

    w->ids.n = 0;
    if (row->text.s && !row->n_turns)
        return encode_text(w, k, row->text, s->stage != WEFT_STAGE_PT || !s->packing, s, err);
    if (!chat)
        return weft_fail(
            err, WEFT_EARG, "row %s:%llu is a conversation, but there is no chat template to render it",
            weft_escape(file, sizeof file, row->origin.file), (unsigned long long)row->origin.line);
    st = weft_chat_render_row(&w->scratch, chat, row, &k->chat, &x, &inner);
    if (!st) st = encode_chat(w, k, &x, s, &inner);
    if (!st && s->stage == WEFT_STAGE_PT) st = mark_loss(w, 0, true, &inner);
    if (st)
        return weft_fail(err, st, "row %s:%llu: %s", weft_escape(file, sizeof file, row->origin.file),
                         (unsigned long long)row->origin.line, inner.msg);
    return WEFT_OK;
}
