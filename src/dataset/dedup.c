/* Adding a row finds its text among those seen (one copy of each is kept).  Finishing takes the rows in the order in
 * which they may stay; sketches of the next few thousand texts are made by all threads, then one thread asks the index
 * and adds, text by text. */
#include "dataset/dedup.h"

#include "base/hash.h"
#include "dataset/canon.h"

#include <stdlib.h>

enum { BATCH = 4096, CHUNK = 64, FIRST_ROWS = 1024 };
#define NOBODY UINT32_MAX

enum text_class { CLASS_FIELD, CLASS_WHOLE, CLASS_JUDGED };

struct text {
    struct weft_str s;
    uint32_t owner;      /* the row that was first to stand for it, or NOBODY */
    unsigned char class; /* enum text_class: texts of two classes are never equal */
};

struct row {
    uint32_t text;  /* index */
    uint32_t chars; /* of prompt and answer */
};

struct weft_dedup {
    struct weft_dedup_settings s;
    struct weft_arena text_arena, scratch;
    struct weft_buf buf;
    struct row *rows;
    size_t n_rows, cap_rows;
    struct text *texts;
    size_t n_texts, cap_texts;
    uint32_t *slots; /* open addressing, text + 1 */
    size_t n_slots;
    struct weft_minhash *index;
    uint32_t *row_of; /* [texts in the index] */
    struct weft_dedup_fate *fates;
    struct weft_dedup_result result;
};

enum weft_status weft_dedup_new(struct weft_dedup **out, const struct weft_dedup_settings *s,
                                struct weft_err *err)
{
    struct weft_dedup *d = calloc(1, sizeof *d);
    enum weft_status st;
    if (!d) return weft_fail_nomem(err, sizeof *d, "the search for doubles");
    d->s = *s;
    d->text_arena.block_bytes = (size_t)1 << 20;
    st = weft_minhash_new(&d->index, &s->near, err);
    if (st) free(d);
    else *out = d;
    return st;
}

void weft_dedup_free(struct weft_dedup *d)
{
    if (!d) return;
    weft_minhash_free(d->index);
    weft_arena_clear(&d->text_arena);
    weft_arena_clear(&d->scratch);
    weft_buf_clear(&d->buf);
    free(d->rows);
    free(d->texts);
    free(d->slots);
    free(d->row_of);
    free(d->fates);
    free(d);
}

/* ---- adding ---- */

static bool grow(void *array, size_t n, size_t *cap, size_t size)
{
    void *old, *grown;
    size_t want, bytes;
    if (n < *cap) return true;
    want = *cap ? *cap * 2 : FIRST_ROWS;
    if (want >= UINT32_MAX || !weft_size_mul(want, size, &bytes)) return false;
    memcpy(&old, array, sizeof old);
    grown = realloc(old, bytes);
    if (!grown) return false;
    memcpy(array, &grown, sizeof grown);
    *cap = want;
    return true;
}

static size_t slot_of(const struct weft_dedup *d, struct weft_str s, unsigned char class)
{
    return (size_t)weft_xxh3(s.s, s.len, class) & (d->n_slots - 1);
}

static bool rehash(struct weft_dedup *d)
{
    size_t n = d->n_slots ? d->n_slots * 2 : 2 * FIRST_ROWS;
    uint32_t *slots = calloc(n, sizeof *slots);
    if (!slots) return false;
    free(d->slots);
    d->slots = slots;
    d->n_slots = n;
    for (size_t i = 0; i < d->n_texts; i++) {
        size_t h = slot_of(d, d->texts[i].s, d->texts[i].class);
        while (slots[h]) h = (h + 1) & (n - 1);
        slots[h] = (uint32_t)i + 1;
    }
    return true;
}

static bool find_text(struct weft_dedup *d, struct weft_str s, unsigned char class, uint32_t *out)
{
    if (d->n_texts * 2 >= d->n_slots && !rehash(d)) return false;
    size_t h = slot_of(d, s, class);
    for (; d->slots[h]; h = (h + 1) & (d->n_slots - 1)) {
        const struct text *t = &d->texts[d->slots[h] - 1];
        if (t->class != class || !weft_str_eq(t->s, s)) continue;
        *out = d->slots[h] - 1;
        return true;
    }
    if (!grow(&d->texts, d->n_texts, &d->cap_texts, sizeof *d->texts)) return false;
    struct weft_str copy = weft_str_dup(&d->text_arena, s);
    if (!copy.s) return false;
    *out = (uint32_t)d->n_texts;
    d->texts[d->n_texts] = (struct text){ copy, NOBODY, class };
    d->slots[h] = (uint32_t)++d->n_texts;
    return true;
}

/* The text that stands for the row, in d->buf. */
static bool row_text(struct weft_dedup *d, const struct weft_row *row, enum text_class *class)
{
    weft_buf_reset(&d->buf);
    if (weft_row_is_judged(row)) {
        *class = CLASS_JUDGED;
        weft_row_canonical(&d->buf, row);
        return !d->buf.failed;
    }
    *class = CLASS_FIELD;
    if (!weft_row_field_text(&d->scratch, row, (enum weft_row_field)d->s.field, &d->buf)) return false;
    if (d->buf.len || d->s.field == WEFT_FIELD_BOTH) return true;
    *class = CLASS_WHOLE;
    return weft_row_field_text(&d->scratch, row, WEFT_FIELD_BOTH, &d->buf);
}

/* Of prompt and answer, normalised; uses d->buf. */
static bool row_chars(struct weft_dedup *d, const struct weft_row *row, uint32_t *chars)
{
    weft_buf_reset(&d->buf);
    if (!weft_row_field_text(&d->scratch, row, WEFT_FIELD_BOTH, &d->buf)) return false;
    *chars = (uint32_t)weft_min_size(weft_utf8_chars(weft_buf_view(&d->buf)), UINT32_MAX);
    return true;
}

enum weft_status weft_dedup_add(struct weft_dedup *d, const struct weft_row *row, struct weft_err *err)
{
    enum text_class class;
    struct row r = { 0 };
    if (d->n_rows >= UINT32_MAX - 1)
        return weft_fail(err, WEFT_ELIMIT, "more than %zu rows cannot be compared", d->n_rows);
    if (!grow(&d->rows, d->n_rows, &d->cap_rows, sizeof *d->rows) || !row_text(d, row, &class)
        || !find_text(d, weft_buf_view(&d->buf), (unsigned char)class, &r.text)
        || (d->s.keep == WEFT_KEEP_LONGEST && !row_chars(d, row, &r.chars)))
        return weft_fail_nomem(err, d->buf.len, "the search for doubles");
    d->result.judged += class == CLASS_JUDGED;
    d->rows[d->n_rows++] = r;
    return WEFT_OK;
}

/* ---- finishing ---- */

struct ordered {
    uint32_t row, chars;
};

static int longest_first(const void *x, const void *y)
{
    const struct ordered *a = x, *b = y;
    if (a->chars != b->chars) return a->chars < b->chars ? 1 : -1;
    return (a->row > b->row) - (a->row < b->row);
}

/* Texts of the next rows, each once, and their sketches. */
struct batch {
    struct weft_dedup *d;
    uint32_t texts[BATCH];
    struct weft_sketch sketches[BATCH];
    size_t n, used;
};

static void sketch_chunk(void *ctx, size_t chunk, int thread)
{
    struct batch *b = ctx;
    for (size_t i = chunk * CHUNK; i < weft_min_size(b->n, (chunk + 1) * CHUNK); i++)
        weft_minhash_sketch(b->d->index, b->d->texts[b->texts[i]].s, &b->sketches[i]);
}

/* A text that two rows of one batch share stands in it twice; its second sketch is not used. */
static void fill_batch(struct batch *b, const struct ordered *order, size_t from, size_t to,
                       struct weft_pool *pool)
{
    b->n = b->used = 0;
    for (size_t i = from; i < to; i++) {
        const struct text *t = &b->d->texts[b->d->rows[order[i].row].text];
        if (t->owner == NOBODY && t->class == CLASS_FIELD) b->texts[b->n++] = b->d->rows[order[i].row].text;
    }
    weft_pool_run(pool, weft_ceil_div(b->n, CHUNK), sketch_chunk, b);
}

static const struct weft_sketch *sketch_for(struct batch *b, uint32_t text)
{
    while (b->texts[b->used] != text) b->used++;
    return &b->sketches[b->used++];
}

/* The fate of one row; those before it in the order have theirs. */
static enum weft_status decide(struct weft_dedup *d, struct batch *b, uint32_t row, struct weft_err *err)
{
    uint32_t text = d->rows[row].text;
    struct text *t = &d->texts[text];
    struct weft_dedup_fate *fate = &d->fates[row];
    struct weft_near near = { 0 };
    size_t id;
    enum weft_status st;
    *fate = (struct weft_dedup_fate){ row, 1, WEFT_ROW_KEPT };
    if (t->owner != NOBODY) { /* its equal was kept, or dropped for a near row: then it is near that too */
        *fate = d->fates[t->owner];
        if (fate->kind == WEFT_ROW_KEPT) fate->kind = WEFT_ROW_EXACT;
        return WEFT_OK;
    }
    t->owner = row;
    if (d->s.exact || t->class != CLASS_FIELD) return WEFT_OK;
    const struct weft_sketch *sketch = sketch_for(b, text);
    st = weft_minhash_nearest_sketch(d->index, t->s, sketch, &near, err);
    if (st) return st;
    d->result.cut += near.cut;
    if (near.found) {
        *fate = (struct weft_dedup_fate){ d->row_of[near.id], (float)near.jaccard, WEFT_ROW_NEAR };
        return WEFT_OK;
    }
    st = weft_minhash_add_sketch(d->index, t->s, false, sketch, &id, err);
    if (!st) d->row_of[id] = row;
    return st;
}

enum weft_status weft_dedup_finish(struct weft_dedup *d, struct weft_pool *pool,
                                   const struct weft_progress *progress, struct weft_dedup_result *out,
                                   struct weft_err *err)
{
    size_t n = d->n_rows;
    struct ordered *order = calloc(n + 1, sizeof *order);
    struct batch *b = calloc(1, sizeof *b);
    enum weft_status st = WEFT_OK;
    d->fates = calloc(n + 1, sizeof *d->fates);
    d->row_of = calloc(d->n_texts + 1, sizeof *d->row_of);
    if (!order || !b || !d->fates || !d->row_of) {
        st = weft_fail_nomem(err, n * (sizeof *order + sizeof *d->fates), "the search for doubles");
        goto done;
    }
    b->d = d;
    for (size_t i = 0; i < n; i++) order[i] = (struct ordered){ (uint32_t)i, d->rows[i].chars };
    if (d->s.keep == WEFT_KEEP_LONGEST && n) qsort(order, n, sizeof *order, longest_first);
    for (size_t from = 0; !st && from < n; from += BATCH) {
        size_t to = weft_min_size(n, from + BATCH);
        if (!d->s.exact) fill_batch(b, order, from, to, pool);
        for (size_t i = from; !st && i < to; i++) st = decide(d, b, order[i].row, err);
        weft_progress_update(progress, "comparing", to, n, "rows", "");
        if (!st && weft_progress_cancelled(progress)) st = weft_fail(err, WEFT_ECANCEL, "stopped");
    }
    if (st) goto done;
    d->result.fates = d->fates;
    d->result.n = n;
    for (size_t i = 0; i < n; i++) {
        d->result.kept += d->fates[i].kind == WEFT_ROW_KEPT;
        d->result.exact += d->fates[i].kind == WEFT_ROW_EXACT;
        d->result.near += d->fates[i].kind == WEFT_ROW_NEAR;
    }
    *out = d->result;
done:
    free(order);
    free(b);
    return st;
}
