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
#include "tokens/collate_parts.h"

#include <pthread.h>
#include <stdlib.h>

enum {
    GROUP_ROWS = 1000, /* packing: the batch size of the reference's preprocessing */
    CHUNK_ROWS = 128
};

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

/* ---- pairs and truncation ---- */

struct pair {
    size_t at; /* first token in w->ids */
    int64_t source, target;
};

/* Appends the row at hand, cut to `room` tokens, to the worker's chunk. */
static enum weft_status add_pairs(struct weft_collate_worker *w, const struct weft_collate_tokens *k,
                                  const struct weft_collate_settings *s, int64_t room, struct weft_err *err)
{
    size_t n = w->ids.n, n_pairs = 0;
    if (s->clean && !s->train_on_prompt)
        while (n && !w->loss[n - 1]) n--; /* nothing behind the last label is ever read */
    w->full_len = n + (k->eos_id >= 0);

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
    bool mark_ends = k->eos_id >= 0; /* where the text has no end marks: one more token, and labels at the turns */
    int64_t total = mark_ends;
    size_t first = 0, end = 0, best = s->mask_history ? n_pairs - 1 : 0;
    for (size_t step = 0; step < n_pairs && total < room; step++) {
        struct pair *p = &pairs[s->mask_history ? n_pairs - 1 - step : step];
        weft_collate_fit(p->source, p->target, room - total, &p->source, &p->target);
        total += p->source + p->target;
        if (s->mask_history) first = n_pairs - 1 - step, end = n_pairs;
        else end = step + 1;
    }

    if (!weft_ints_reserve(&w->out_ids, (size_t)total) || !weft_ints_reserve(&w->out_labels, (size_t)total))
        return weft_fail_nomem(err, (size_t)total * 8, "tokens");
    size_t full_source;
    for (size_t p = first; p < end; p++) {
        const int32_t *ids = w->ids.ids + pairs[p].at;
        size_t next = p + 1 < n_pairs ? pairs[p + 1].at : n;
        for (full_source = 0; pairs[p].at + full_source < next && !w->loss[pairs[p].at + full_source];)
            full_source++;
        bool learn = !s->mask_history || p + 1 == n_pairs;
        for (int64_t i = 0; i < pairs[p].source; i++) {
            bool ends = mark_ends && i == 0 && p != best;
            w->out_ids.v[w->out_ids.n++] = ids[i];
            w->out_labels.v[w->out_labels.n++] = s->train_on_prompt ? ids[i] : ends ? k->eos_id : WEFT_IGNORE;
        }
        for (int64_t i = 0; i < pairs[p].target; i++) {
            w->out_ids.v[w->out_ids.n++] = ids[full_source + (size_t)i];
            w->out_labels.v[w->out_labels.n++] = learn ? ids[full_source + (size_t)i] : WEFT_IGNORE;
        }
    }
    if (mark_ends) {
        w->out_ids.v[w->out_ids.n++] = k->eos_id;
        w->out_labels.v[w->out_labels.n++] = k->eos_id;
    }
    return WEFT_OK;
}

/* The row at hand as one text of which every token is learnt, except (Q11) those equal to the pad token. */
static enum weft_status add_text(struct weft_collate_worker *w, const struct weft_collate_tokens *k,
                                 size_t room, struct weft_err *err)
{
    size_t n = weft_min_size(w->ids.n, room), at = w->out_labels.n;
    w->full_len = w->ids.n;
    if (!weft_ints_add(&w->out_ids, w->ids.ids, n) || !weft_ints_add(&w->out_labels, w->ids.ids, n))
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
static enum weft_status add_row(struct weft_collate_worker *w, const struct weft_collate_tokens *k,
                                const struct weft_chat_template *chat, const struct weft_row *row,
                                uint32_t row_idx, const struct weft_collate_settings *s,
                                struct weft_example *item, bool *kept, struct weft_err *err)
{
    bool bins = s->stage == WEFT_STAGE_SFT && (s->packing || s->neat_packing);
    int64_t room = bins ? s->cutoff_len - 1 : s->cutoff_len;
    size_t at = w->out_ids.n;
    enum weft_status st = weft_collate_encode(w, k, chat, row, s, err);
    if (st) return st;
    if (s->stage == WEFT_STAGE_PT || row->text.s) st = add_text(w, k, (size_t)room, err);
    else st = add_pairs(w, k, s, room, err);
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
    struct weft_collate_worker w = { .encoder = e };
    struct weft_collate_settings alone = *s;
    struct weft_collate_tokens k;
    bool kept;
    enum weft_status st = check_settings(s, err);
    if (!st) st = weft_collate_tokens_init(&k, t, chat, e, s, err);
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
    weft_collate_worker_clear(&w);
    return st;
}

/* ---- all rows ---- */

struct chunk {
    struct weft_example *items; /* malloc */
    size_t n;
    uint64_t truncated, no_loss, longest, merged, dropped_tokens, over_long, by_length[WEFT_COLLATE_BINS];
};

struct job {
    struct weft_arena *a; /* under lock */
    pthread_mutex_t lock;
    struct weft_collate_tokens k;
    const struct weft_chat_template *chat;
    const struct weft_rows *rows;
    const struct weft_collate_settings *s;
    struct weft_collate_worker *workers;
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

/* Stage pt: the chunk's tokens become blocks of cutoff_len that lie one behind the other in one array. */
static enum weft_status finish_blocks(struct job *j, struct weft_collate_worker *w, size_t c, struct weft_err *err)
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
        if (count_labels(x.labels, x.n, &x.n_labels)) st = weft_collate_add_item(w, &x, err);
        else out->dropped_tokens += x.n;
    }
    return st;
}

/* Stage sft, packed: the chunk's examples, ids and labels lying one behind the other, become bins. */
static enum weft_status finish_bins(struct job *j, struct weft_collate_worker *w, size_t c, struct weft_err *err)
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
    for (size_t i = 0; !st && i < n_bins; i++) st = weft_collate_add_item(w, &packed[i], err);
    return st;
}

/* Unpacked: one block of ids and one of labels, the examples point into them. */
static enum weft_status finish_examples(struct job *j, struct weft_collate_worker *w, struct weft_err *err)
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

static bool compared(const struct weft_collate_settings *s)
{
    return s->stage == WEFT_STAGE_PAIR || s->stage == WEFT_STAGE_KTO;
}

static enum weft_status keep_items(const struct weft_collate_worker *w, struct chunk *out, struct weft_err *err)
{
    out->over_long = w->over_long;
    memcpy(out->by_length, w->by_length, sizeof out->by_length);
    if (!w->n_items) return WEFT_OK;
    out->items = malloc(w->n_items * sizeof *out->items);
    if (!out->items) return weft_fail_nomem(err, w->n_items * sizeof *out->items, "examples");
    memcpy(out->items, w->items, w->n_items * sizeof *out->items);
    out->n = w->n_items;
    return WEFT_OK;
}

static enum weft_status do_chunk(struct job *j, struct weft_collate_worker *w, size_t c, struct weft_err *err)
{
    const struct weft_collate_settings *s = j->s;
    bool blocks = s->stage == WEFT_STAGE_PT && s->packing,
         bins = s->stage == WEFT_STAGE_SFT && (s->packing || s->neat_packing);
    size_t first = c * j->chunk_rows, end = weft_min_size(j->rows->n, first + j->chunk_rows);
    struct chunk *out = &j->chunks[c];
    enum weft_status st = WEFT_OK;

    w->out_ids.n = w->out_labels.n = w->n_items = 0;
    w->over_long = 0;
    memset(w->by_length, 0, sizeof w->by_length);
    if (compared(s)) {
        st = weft_collate_compared(w, &j->k, j->chat, j->rows->items + first, end - first, (uint32_t)first, s,
                                   &out->no_loss, err);
        for (size_t i = 0; i < w->n_items; i += 2) {
            const struct weft_example *x = &w->items[i], *y = &w->items[i + 1];
            out->truncated += x->full_len > x->n || y->full_len > y->n;
            out->longest = weft_max_size(out->longest, weft_max_size(x->full_len, y->full_len));
        }
        if (!st) st = finish_examples(j, w, err);
        return st ? st : keep_items(w, out, err);
    }
    for (size_t r = first; r < end; r++) {
        struct weft_arena_mark mark = weft_arena_mark(&w->scratch);
        size_t at = w->out_ids.n;
        struct weft_example item;
        bool kept = true, drop = false;
        if (blocks) {
            st = weft_collate_encode(w, &j->k, j->chat, &j->rows->items[r], s, err);
            if (!st && !weft_ints_add(&w->out_ids, w->ids.ids, w->ids.n))
                st = weft_fail_nomem(err, w->ids.n * 4, "tokens");
            if (!st) out->merged++, out->longest = weft_max_size(out->longest, w->ids.n);
        } else {
            st = add_row(w, &j->k, j->chat, &j->rows->items[r], (uint32_t)r, s, &item, &kept, err);
            if (!st && kept)
                st = weft_collate_length(w, s, &j->rows->items[r], (uint32_t)r, item.full_len, &drop, err);
            if (!st && (!kept || drop)) {
                out->no_loss += !kept;
                w->out_ids.n = w->out_labels.n = at;
            } else if (!st) {
                out->truncated += item.full_len > item.n;
                out->longest = weft_max_size(out->longest, item.full_len);
                out->merged += bins;
                st = weft_collate_add_item(w, &item, err);
            }
        }
        weft_arena_release(&w->scratch, mark);
        if (st) return st;
    }
    struct weft_arena_mark mark = weft_arena_mark(&w->scratch);
    st = blocks ? finish_blocks(j, w, c, err) : bins ? finish_bins(j, w, c, err) : finish_examples(j, w, err);
    weft_arena_release(&w->scratch, mark);
    return st ? st : keep_items(w, out, err);
}

static void run_chunk(void *ctx, size_t c, int thread)
{
    struct job *j = ctx;
    struct weft_collate_worker *w = &j->workers[thread];
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
    bool two = compared(s), grouped = s->stage == WEFT_STAGE_KTO || (!two && s->packing)
                                      || (s->stage == WEFT_STAGE_SFT && s->neat_packing);
    struct job j = { .a = a,
                     .chat = chat,
                     .rows = rows,
                     .s = s,
                     .chunk_rows = grouped ? GROUP_ROWS : CHUNK_ROWS,
                     .first_failed = SIZE_MAX,
                     .lock = PTHREAD_MUTEX_INITIALIZER };
    int n_threads = weft_pool_threads(pool);
    size_t n_chunks = weft_ceil_div(rows->n, j.chunk_rows);
    struct weft_examples all = { .rows_in = rows->n, .two = two };
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
    st = weft_collate_tokens_init(&j.k, t, chat, j.workers[0].encoder, s, err);
    if (st) goto done;
    if (chat) {
        weft_chat_learn_shape(&j.workers[0].scratch, chat, &j.k.chat, &j.k.shape);
        j.k.chat.shape = &j.k.shape;
    }
    weft_pool_run(pool, n_chunks, run_chunk, &j);

    struct weft_collate_worker *failed = NULL;
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
        if (k->n && !two) memcpy(all.items + at, k->items, k->n * sizeof *k->items);
        for (size_t i = 0; two && i < k->n; i++) all.items[(i % 2 ? all.cap / 2 : 0) + (at + i) / 2] = k->items[i];
        all.truncated += k->truncated;
        all.no_loss += k->no_loss;
        all.merged += k->merged;
        all.over_long += k->over_long;
        for (size_t i = 0; i < WEFT_COLLATE_BINS; i++) all.by_length[i] += k->by_length[i];
        all.dropped_tokens += k->dropped_tokens;
        all.longest = weft_max_size(all.longest, k->longest);
        for (size_t i = 0; i < k->n; i++) {
            all.total_tokens += k->items[i].n;
            all.total_labels += k->items[i].n_labels;
        }
    }
    if (two) all.n /= 2;
    *out = all;
done:
    for (size_t c = 0; j.chunks && c < n_chunks; c++) free(j.chunks[c].items);
    for (int i = 0; j.workers && i < n_threads; i++) weft_collate_worker_clear(&j.workers[i]);
    free(j.chunks);
    free(j.workers);
    pthread_mutex_destroy(&j.lock);
    return st;
}
