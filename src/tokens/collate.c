/* Rows become ids and labels in three steps: the template renders text with spans, the text is encoded, and
 * the runs of tokens without and with loss are taken as the (prompt, answer) pairs that the pair rule
 * shortens.
 *
 * Why recover pairs from spans: the template alone knows where a prompt ends, and a renderer that also
 * returned pairs would say the same thing twice.
 *
 * Threads: rows are cut into chunks whose size never depends on the number of threads (a packing group, or
 * 128 rows).  Each thread has an encoder, a scratch arena and buffers of its own; a finished chunk takes
 * one block of the caller's arena under a lock, so that a corpus of millions of tokens lies in few large
 * blocks. */
#include "tokens/collate.h"

#include <pthread.h>
#include <stdlib.h>

enum {
    GROUP_ROWS = 1000, /* packing: the batch size of the reference's preprocessing */
    CHUNK_ROWS = 128
};

/* ---- one thread's tools ---- */

struct ints {
    int32_t *v;
    size_t n, cap;
};

static bool ints_reserve(struct ints *a, size_t more)
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

static bool ints_add(struct ints *a, const int32_t *v, size_t n)
{
    if (!ints_reserve(a, n)) return false;
    if (n) memcpy(a->v + a->n, v, n * sizeof *v);
    a->n += n;
    return true;
}

/* What every row needs to know of the tokenizer, found once. */
struct tokens {
    const struct weft_tokenizer *t;
    struct weft_chat_settings chat;
    struct weft_chat_shape shape;
    int32_t end_id, pad_id; /* -1: none */
    int32_t bos_id;         /* put before plain texts; -1: the tokenizer does not */
};

struct worker {
    struct weft_arena scratch; /* released after each row */
    struct weft_encoder *encoder;
    bool own_encoder;
    struct weft_ids ids; /* of the row at hand */
    unsigned char *loss; /* [loss_cap], one flag for each of ids */
    size_t loss_cap;
    struct ints out_ids, out_labels; /* of the chunk at hand */
    struct weft_example *items;      /* of the chunk at hand; ids and labels not set yet */
    size_t n_items, cap_items;
    enum weft_status st;
    size_t failed_chunk;
    struct weft_err err;
    size_t full_len; /* tokens of the row at hand before truncation; what nobody reads left out */
};

static void worker_clear(struct worker *w)
{
    weft_arena_clear(&w->scratch);
    if (w->own_encoder) weft_encoder_free(w->encoder);
    weft_ids_clear(&w->ids);
    free(w->loss);
    free(w->out_ids.v);
    free(w->out_labels.v);
    free(w->items);
}

static struct weft_str special_text(const struct weft_tokenizer *t, enum weft_special_token which)
{
    int32_t id = weft_tokenizer_special(t, which);
    return id < 0 ? WEFT_STR("") : weft_tokenizer_content(t, id);
}

static enum weft_status tokens_init(struct tokens *k, const struct weft_tokenizer *t, struct weft_encoder *e,
                                    const struct weft_collate_settings *s, struct weft_err *err)
{
    struct weft_ids probe = { 0 };
    *k = (struct tokens){ .t = t, .bos_id = -1 };
    k->chat.bos_token = special_text(t, WEFT_BOS);
    k->chat.eos_token = special_text(t, WEFT_EOS);
    k->chat.pad_token = special_text(t, WEFT_PAD);
    k->chat.unk_token = special_text(t, WEFT_UNK);
    k->chat.date = s->date;
    k->chat.kwargs = s->kwargs;
    k->chat.train_trailing = !s->clean;
    /* Llama 3 instruct models end a turn, not a text, with their eos. */
    k->end_id = weft_tokenizer_id(t, WEFT_STR("<|end_of_text|>"));
    if (k->end_id < 0) k->end_id = weft_tokenizer_special(t, WEFT_EOS);
    k->pad_id = weft_tokenizer_special(t, WEFT_PAD);
    if (k->pad_id < 0) k->pad_id = weft_tokenizer_special(t, WEFT_EOS);
    /* The post-processor is the only one who knows whether texts begin with bos: ask it about the empty
     * text. */
    enum weft_status st = weft_encode(e, WEFT_STR(""), WEFT_ENCODE_ADD, &probe, err);
    if (!st && probe.n && probe.ids[0] == weft_tokenizer_special(t, WEFT_BOS)) k->bos_id = probe.ids[0];
    weft_ids_clear(&probe);
    return st;
}

static enum weft_status check_settings(const struct weft_collate_settings *s, struct weft_err *err)
{
    if (s->cutoff_len < 2 || s->cutoff_len > INT32_MAX)
        return weft_fail(err, WEFT_EARG, "cutoff_len is %lld; expected 2 to %d tokens",
                         (long long)s->cutoff_len, INT32_MAX);
    if (s->train_on_prompt && s->mask_history)
        return weft_fail(err, WEFT_EARG,
                         "train_on_prompt and mask_history contradict each other: set one of them to false");
    return WEFT_OK;
}

/* ---- encoding ---- */

static bool loss_reserve(struct worker *w, size_t n)
{
    if (n <= w->loss_cap) return true;
    size_t cap = weft_max_size(n, weft_max_size(1024, w->loss_cap * 2));
    unsigned char *p = realloc(w->loss, cap);
    if (!p) return false;
    w->loss = p;
    w->loss_cap = cap;
    return true;
}

static enum weft_status mark_loss(struct worker *w, size_t from, bool loss, struct weft_err *err)
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
static enum weft_status encode_range(struct worker *w, const struct tokens *k, const struct weft_chat_text *x,
                                     size_t begin, size_t end, bool strict, struct weft_err *err)
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
static enum weft_status encode_chat(struct worker *w, const struct tokens *k, const struct weft_chat_text *x,
                                    const struct weft_collate_settings *s, struct weft_err *err)
{
    enum weft_status st = WEFT_OK;
    if (x->text.len > UINT32_MAX)
        return weft_fail(err, WEFT_ELIMIT, "a rendered row has %zu bytes; at most 4 GiB can be encoded",
                         x->text.len);
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

/* A plain text and the mark of its end. */
static enum weft_status encode_text(struct worker *w, const struct tokens *k, struct weft_str text, bool bos,
                                    const struct weft_collate_settings *s, struct weft_err *err)
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
static enum weft_status encode_row(struct worker *w, const struct tokens *k,
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

/* ---- pairs and truncation ---- */

struct pair {
    size_t at; /* first token in w->ids */
    int64_t source, target;
};

/* Appends the row at hand, cut to `room` tokens, to the worker's chunk. */
static enum weft_status add_pairs(struct worker *w, const struct weft_collate_settings *s, int64_t room,
                                  struct weft_err *err)
{
    size_t n = w->ids.n, n_pairs = 0;
    if (s->clean && !s->train_on_prompt)
        while (n && !w->loss[n - 1]) n--; /* nothing behind the last label is ever read */
    w->full_len = n;

    for (size_t i = 0; i < n; n_pairs++) {
        while (i < n && !w->loss[i]) i++;
        while (i < n && w->loss[i]) i++;
    }
    struct pair *pairs = WEFT_NEWS(&w->scratch, struct pair, n_pairs);
    if (!pairs) return weft_fail_nomem(err, n_pairs * sizeof *pairs, "the turns of a row");
    for (size_t i = 0, p = 0; i < n; p++) {
        pairs[p].at = i;
        while (i < n && !w->loss[i]) i++;
        pairs[p].source = (int64_t)(i - pairs[p].at);
        while (i < n && w->loss[i]) i++;
        pairs[p].target = (int64_t)(i - pairs[p].at) - pairs[p].source;
    }

    /* Which pairs stay, and how long: decided from the last to the first under mask_history. */
    int64_t total = 0;
    size_t first = 0, end = 0;
    for (size_t step = 0; step < n_pairs && total < room; step++) {
        struct pair *p = &pairs[s->mask_history ? n_pairs - 1 - step : step];
        weft_collate_fit(p->source, p->target, room - total, &p->source, &p->target);
        total += p->source + p->target;
        if (s->mask_history) first = n_pairs - 1 - step, end = n_pairs;
        else end = step + 1;
    }

    if (!ints_reserve(&w->out_ids, (size_t)total) || !ints_reserve(&w->out_labels, (size_t)total))
        return weft_fail_nomem(err, (size_t)total * 8, "tokens");
    size_t full_source;
    for (size_t p = first; p < end; p++) {
        const int32_t *ids = w->ids.ids + pairs[p].at;
        size_t next = p + 1 < n_pairs ? pairs[p + 1].at : n;
        for (full_source = 0; pairs[p].at + full_source < next && !w->loss[pairs[p].at + full_source];)
            full_source++;
        bool learn = !s->mask_history || p + 1 == n_pairs;
        for (int64_t i = 0; i < pairs[p].source; i++) {
            w->out_ids.v[w->out_ids.n++] = ids[i];
            w->out_labels.v[w->out_labels.n++] = s->train_on_prompt ? ids[i] : WEFT_IGNORE;
        }
        for (int64_t i = 0; i < pairs[p].target; i++) {
            w->out_ids.v[w->out_ids.n++] = ids[full_source + (size_t)i];
            w->out_labels.v[w->out_labels.n++] = learn ? ids[full_source + (size_t)i] : WEFT_IGNORE;
        }
    }
    return WEFT_OK;
}

/* The row at hand as one text of which every token is learnt, except (Q11) those equal to the pad token. */
static enum weft_status add_text(struct worker *w, const struct tokens *k, size_t room, struct weft_err *err)
{
    size_t n = weft_min_size(w->ids.n, room), at = w->out_labels.n;
    w->full_len = w->ids.n;
    if (!ints_add(&w->out_ids, w->ids.ids, n) || !ints_add(&w->out_labels, w->ids.ids, n))
        return weft_fail_nomem(err, n * 8, "tokens");
    for (size_t i = at; i < w->out_labels.n; i++)
        if (w->out_labels.v[i] == k->pad_id) w->out_labels.v[i] = WEFT_IGNORE;
    return WEFT_OK;
}

/* Counts labels; false when none can be trained, because position 0 is never predicted. */
static bool count_labels(const int32_t *labels, uint32_t n, uint32_t *n_labels)
{
    *n_labels = 0;
    for (uint32_t i = 0; i < n; i++) *n_labels += labels[i] != WEFT_IGNORE;
    return *n_labels > (n && labels[0] != WEFT_IGNORE ? 1u : 0u);
}

/* Encodes `row` and appends its tokens and one item to the worker's chunk.  *kept: it has something to
 * learn. */
static enum weft_status add_row(struct worker *w, const struct tokens *k,
                                const struct weft_chat_template *chat, const struct weft_row *row,
                                uint32_t row_idx, const struct weft_collate_settings *s,
                                struct weft_example *item, bool *kept, struct weft_err *err)
{
    bool bins = s->stage == WEFT_STAGE_SFT && (s->packing || s->neat_packing);
    int64_t room = bins ? s->cutoff_len - 1 : s->cutoff_len;
    size_t at = w->out_ids.n;
    enum weft_status st = encode_row(w, k, chat, row, s, err);
    if (st) return st;
    if (s->stage == WEFT_STAGE_PT || row->text.s) st = add_text(w, k, (size_t)room, err);
    else st = add_pairs(w, s, room, err);
    if (st) return st;
    *item = (struct weft_example){ .n = (uint32_t)(w->out_ids.n - at),
                                   .row_idx = row_idx,
                                   .full_len = (uint32_t)weft_min_size(w->full_len, UINT32_MAX) };
    *kept = item->n && count_labels(w->out_labels.v + at, item->n, &item->n_labels);
    return WEFT_OK;
}

enum weft_status weft_collate_row(struct weft_arena *a, struct weft_encoder *e,
                                  const struct weft_tokenizer *t, const struct weft_chat_template *chat,
                                  const struct weft_row *row, const struct weft_collate_settings *s,
                                  struct weft_example *out, struct weft_err *err)
{
    struct worker w = { .encoder = e };
    struct weft_collate_settings alone = *s;
    struct tokens k;
    bool kept;
    enum weft_status st = check_settings(s, err);
    if (!st) st = tokens_init(&k, t, e, s, err);
    if (st) goto done;
    alone.packing = alone.neat_packing = false;
    st = add_row(&w, &k, chat, row, 0, &alone, out, &kept, err);
    if (st) goto done;
    if (!kept) out->n_labels = 0;
    out->ids = weft_arena_alloc(a, out->n * sizeof *out->ids);
    out->labels = weft_arena_alloc(a, out->n * sizeof *out->labels);
    if (!out->ids || !out->labels) {
        st = weft_fail_nomem(err, out->n * 8u, "tokens");
        goto done;
    }
    if (out->n) {
        memcpy(out->ids, w.out_ids.v, out->n * sizeof *out->ids);
        memcpy(out->labels, w.out_labels.v, out->n * sizeof *out->labels);
    }
done:
    worker_clear(&w);
    return st;
}

/* ---- all rows ---- */

struct chunk {
    struct weft_example *items; /* malloc */
    size_t n;
    uint64_t truncated, no_loss, longest, merged, dropped_tokens;
};

struct job {
    struct weft_arena *a; /* under lock */
    pthread_mutex_t lock;
    struct tokens k;
    const struct weft_chat_template *chat;
    const struct weft_rows *rows;
    const struct weft_collate_settings *s;
    struct worker *workers;
    struct chunk *chunks;
    size_t chunk_rows;
    size_t first_failed; /* lowest failed chunk so far, under lock */
};

static int32_t *job_block(struct job *j, const int32_t *v, size_t n, struct weft_err *err)
{
    pthread_mutex_lock(&j->lock);
    int32_t *block = weft_arena_alloc(j->a, n * sizeof *v);
    pthread_mutex_unlock(&j->lock);
    if (!block) (void)weft_fail_nomem(err, n * sizeof *v, "tokens");
    else if (n) memcpy(block, v, n * sizeof *v);
    return block;
}

static enum weft_status add_item(struct worker *w, const struct weft_example *item, struct weft_err *err)
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

/* Stage pt: the chunk's tokens become blocks of cutoff_len that lie one behind the other in one array. */
static enum weft_status finish_blocks(struct job *j, struct worker *w, size_t c, struct weft_err *err)
{
    size_t len = (size_t)j->s->cutoff_len, n = w->out_ids.n, whole = n / len * len;
    size_t keep = j->s->clean && n - whole >= 2 ? n : whole;
    struct chunk *out = &j->chunks[c];
    enum weft_status st = WEFT_OK;

    w->n_items = 0;
    out->dropped_tokens = n - keep;
    if (j->k.bos_id >= 0)
        for (size_t at = 0; at < keep; at += len) w->out_ids.v[at] = j->k.bos_id;
    int32_t *ids = job_block(j, w->out_ids.v, keep, err);
    if (!ids) return WEFT_ENOMEM;
    for (size_t at = 0; !st && at < keep; at += len) {
        struct weft_example x = { .ids = ids + at,
                                  .labels = ids + at,
                                  .n = (uint32_t)weft_min_size(len, keep - at),
                                  .row_idx = (uint32_t)(c * j->chunk_rows) };
        size_t pads = 0;
        for (uint32_t i = 0; i < x.n; i++) pads += x.ids[i] == j->k.pad_id;
        x.full_len = x.n;
        if (pads) {
            x.labels = job_block(j, x.ids, x.n, err);
            if (!x.labels) return WEFT_ENOMEM;
            for (uint32_t i = 0; i < x.n; i++)
                if (x.labels[i] == j->k.pad_id) x.labels[i] = WEFT_IGNORE;
        }
        if (count_labels(x.labels, x.n, &x.n_labels)) st = add_item(w, &x, err);
        else out->dropped_tokens += x.n;
    }
    return st;
}

/* Stage sft, packed: the chunk's examples, ids and labels lying one behind the other, become bins. */
static enum weft_status finish_bins(struct job *j, struct worker *w, size_t c, struct weft_err *err)
{
    size_t n = w->n_items, n_bins = 0;
    uint32_t *lens = WEFT_NEWS(&w->scratch, uint32_t, n), *order = WEFT_NEWS(&w->scratch, uint32_t, n);
    uint32_t *bins = WEFT_NEWS(&w->scratch, uint32_t, n);
    size_t *at = WEFT_NEWS(&w->scratch, size_t, n + 1);
    if (!lens || !order || !bins || !at) return weft_fail_nomem(err, n * 16, "packing");
    for (size_t i = 0; i < n; i++) {
        lens[i] = w->items[i].n;
        at[i + 1] = at[i] + lens[i];
    }
    enum weft_status st =
        weft_collate_bins(lens, n, (uint32_t)(j->s->cutoff_len - 1), order, bins, &n_bins, err);
    if (st) return st;

    int32_t *ids, *labels;
    uint32_t *part_lens;
    pthread_mutex_lock(&j->lock);
    ids = weft_arena_alloc(j->a, at[n] * sizeof *ids);
    labels = weft_arena_alloc(j->a, at[n] * sizeof *labels);
    part_lens = weft_arena_alloc(j->a, n * sizeof *part_lens);
    pthread_mutex_unlock(&j->lock);
    struct weft_example *packed = WEFT_NEWS(&w->scratch, struct weft_example, n_bins);
    if (!ids || !labels || !part_lens || !packed) return weft_fail_nomem(err, at[n] * 8, "tokens");
    for (size_t i = 0, to = 0; i < n; i++) {
        const struct weft_example *x = &w->items[order[i]];
        struct weft_example *bin = &packed[bins[i]];
        memcpy(ids + to, w->out_ids.v + at[order[i]], x->n * sizeof *ids);
        memcpy(labels + to, w->out_labels.v + at[order[i]], x->n * sizeof *labels);
        if (!bin->n_parts++)
            *bin = (struct weft_example){ .ids = ids + to,
                                          .labels = labels + to,
                                          .row_idx = x->row_idx,
                                          .n_parts = 1,
                                          .part_lens = part_lens + i,
                                          .joined = !j->s->neat_packing };
        part_lens[i] = x->n;
        bin->n += x->n;
        bin->full_len += x->full_len;
        bin->n_labels += x->n_labels;
        to += x->n;
    }
    w->n_items = 0;
    for (size_t i = 0; !st && i < n_bins; i++) st = add_item(w, &packed[i], err);
    return st;
}

/* Unpacked: one block of ids and one of labels, the examples point into them. */
static enum weft_status finish_examples(struct job *j, struct worker *w, struct weft_err *err)
{
    int32_t *ids = job_block(j, w->out_ids.v, w->out_ids.n, err), *labels = ids;
    bool same = !w->out_ids.n || !memcmp(w->out_ids.v, w->out_labels.v, w->out_ids.n * sizeof *ids);
    if (ids && !same) labels = job_block(j, w->out_labels.v, w->out_labels.n, err);
    if (!ids || !labels) return WEFT_ENOMEM;
    for (size_t i = 0, at = 0; i < w->n_items; at += w->items[i++].n) {
        w->items[i].ids = ids + at;
        w->items[i].labels = labels + at;
    }
    return WEFT_OK;
}

static enum weft_status do_chunk(struct job *j, struct worker *w, size_t c, struct weft_err *err)
{
    const struct weft_collate_settings *s = j->s;
    bool blocks = s->stage == WEFT_STAGE_PT && s->packing,
         bins = s->stage == WEFT_STAGE_SFT && (s->packing || s->neat_packing);
    size_t first = c * j->chunk_rows, end = weft_min_size(j->rows->n, first + j->chunk_rows);
    struct chunk *out = &j->chunks[c];
    enum weft_status st = WEFT_OK;

    w->out_ids.n = w->out_labels.n = w->n_items = 0;
    for (size_t r = first; r < end; r++) {
        struct weft_arena_mark mark = weft_arena_mark(&w->scratch);
        size_t at = w->out_ids.n;
        struct weft_example item;
        bool kept = true;
        if (blocks) {
            st = encode_row(w, &j->k, j->chat, &j->rows->items[r], s, err);
            if (!st && !ints_add(&w->out_ids, w->ids.ids, w->ids.n))
                st = weft_fail_nomem(err, w->ids.n * 4, "tokens");
            if (!st) out->merged++, out->longest = weft_max_size(out->longest, w->ids.n);
        } else {
            st = add_row(w, &j->k, j->chat, &j->rows->items[r], (uint32_t)r, s, &item, &kept, err);
            if (!st && !kept) {
                out->no_loss++;
                w->out_ids.n = w->out_labels.n = at;
            } else if (!st) {
                out->truncated += item.full_len > item.n;
                out->longest = weft_max_size(out->longest, item.full_len);
                out->merged += bins;
                st = add_item(w, &item, err);
            }
        }
        weft_arena_release(&w->scratch, mark);
        if (st) return st;
    }
    struct weft_arena_mark mark = weft_arena_mark(&w->scratch);
    st = blocks ? finish_blocks(j, w, c, err) : bins ? finish_bins(j, w, c, err) : finish_examples(j, w, err);
    weft_arena_release(&w->scratch, mark);
    if (st || !w->n_items) return st;
    out->items = malloc(w->n_items * sizeof *out->items);
    if (!out->items) return weft_fail_nomem(err, w->n_items * sizeof *out->items, "examples");
    memcpy(out->items, w->items, w->n_items * sizeof *out->items);
    out->n = w->n_items;
    return WEFT_OK;
}

static void run_chunk(void *ctx, size_t c, int thread)
{
    struct job *j = ctx;
    struct worker *w = &j->workers[thread];
    pthread_mutex_lock(&j->lock);
    bool skip = j->first_failed < c; /* a lower chunk decides what is reported: always the same one */
    pthread_mutex_unlock(&j->lock);
    if (skip) return;
    struct weft_err err = { .lang = w->err.lang };
    enum weft_status st = do_chunk(j, w, c, &err);
    if (!st) return;
    pthread_mutex_lock(&j->lock);
    if (c < j->first_failed) j->first_failed = c;
    pthread_mutex_unlock(&j->lock);
    if (!w->st || c < w->failed_chunk) {
        w->st = st;
        w->failed_chunk = c;
        w->err = err;
    }
}

enum weft_status weft_collate_rows(struct weft_arena *a, const struct weft_tokenizer *t,
                                   const struct weft_chat_template *chat, const struct weft_rows *rows,
                                   const struct weft_collate_settings *s, struct weft_pool *pool,
                                   struct weft_examples *out, struct weft_err *err)
{
    bool grouped = s->packing || (s->stage == WEFT_STAGE_SFT && s->neat_packing);
    struct job j = { .a = a,
                     .chat = chat,
                     .rows = rows,
                     .s = s,
                     .chunk_rows = grouped ? GROUP_ROWS : CHUNK_ROWS,
                     .first_failed = SIZE_MAX,
                     .lock = PTHREAD_MUTEX_INITIALIZER };
    int n_threads = weft_pool_threads(pool);
    size_t n_chunks = weft_ceil_div(rows->n, j.chunk_rows);
    struct weft_examples all = { .rows_in = rows->n };
    enum weft_status st = check_settings(s, err);
    if (st) goto done;
    if (rows->n > UINT32_MAX) {
        st = weft_fail(err, WEFT_ELIMIT, "%zu rows; at most %u can be collated at once", rows->n, UINT32_MAX);
        goto done;
    }
    j.workers = calloc((size_t)n_threads, sizeof *j.workers);
    j.chunks = calloc(weft_max_size(n_chunks, 1), sizeof *j.chunks);
    if (!j.workers || !j.chunks) {
        st = weft_fail_nomem(err, n_chunks * sizeof *j.chunks, "collation");
        goto done;
    }
    for (int i = 0; i < n_threads; i++) {
        j.workers[i].err.lang = err ? err->lang : WEFT_LANG_EN;
        j.workers[i].own_encoder = true;
        st = weft_encoder_new(&j.workers[i].encoder, t, err);
        if (st) goto done;
    }
    st = tokens_init(&j.k, t, j.workers[0].encoder, s, err);
    if (st) goto done;
    if (chat) {
        weft_chat_learn_shape(&j.workers[0].scratch, chat, &j.k.chat, &j.k.shape);
        j.k.chat.shape = &j.k.shape;
    }
    weft_pool_run(pool, n_chunks, run_chunk, &j);

    struct worker *failed = NULL;
    for (int i = 0; i < n_threads; i++)
        if (j.workers[i].st && (!failed || j.workers[i].failed_chunk < failed->failed_chunk))
            failed = &j.workers[i];
    if (failed) {
        st = failed->st;
        if (err && !err->msg[0]) *err = failed->err;
        goto done;
    }
    for (size_t c = 0; c < n_chunks; c++) all.n += j.chunks[c].n;
    all.cap = all.n;
    all.items = WEFT_NEWS(a, struct weft_example, all.n);
    if (!all.items) {
        st = weft_fail_nomem(err, all.n * sizeof *all.items, "examples");
        goto done;
    }
    for (size_t c = 0, at = 0; c < n_chunks; at += j.chunks[c++].n) {
        const struct chunk *k = &j.chunks[c];
        if (k->n) memcpy(all.items + at, k->items, k->n * sizeof *k->items);
        all.truncated += k->truncated;
        all.no_loss += k->no_loss;
        all.merged += k->merged;
        all.dropped_tokens += k->dropped_tokens;
        all.longest = weft_max_size(all.longest, k->longest);
        for (size_t i = 0; i < k->n; i++) {
            all.total_tokens += k->items[i].n;
            all.total_labels += k->items[i].n_labels;
        }
    }
    *out = all;
done:
    for (size_t c = 0; j.chunks && c < n_chunks; c++) free(j.chunks[c].items);
    for (int i = 0; j.workers && i < n_threads; i++) worker_clear(&j.workers[i]);
    free(j.chunks);
    free(j.workers);
    pthread_mutex_destroy(&j.lock);
    return st;
}
