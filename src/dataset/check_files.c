/* Each thread of the pool has a checker and findings of its own; where a row stands is told by part and number in the
 * part until all parts are counted.  Rows are digested for the dataset's hash by all threads, part by part, and the
 * digests hashed in order while the next parts are read. */
#include "dataset/check_files.h"

#include "base/pool.h"
#include "dataset/grow.h"

#include <stdlib.h>

enum { MOST_FILES = 1 << 16, FILE_SHIFT = 48 /* an offset in a file is below this bit */, PART_SHIFT = 32 };

struct file {
    struct weft_row_index open;
};

/* What several threads write to at once stands on lines of its own in the cache. */
enum { LINE = 64 };

struct of_thread {
    _Alignas(LINE) struct weft_checker *check;
    struct weft_findings findings;
    struct weft_buf canon;              /* of one row */
};

struct slot {
    _Alignas(LINE) struct weft_buf digests;     /* of the rows of a part */
};

struct weft_file_check {
    struct weft_file_check_settings s;
    struct weft_arena arena;            /* files and what their readers keep */
    struct weft_pool *pool;
    struct of_thread *threads;          /* [n_threads] */
    size_t n_threads, n_slots;
    struct slot *slots;                 /* [n_slots] */
    struct weft_dataset_hash hash;
    struct file **files;
    size_t n_files, cap_files;
    uint64_t *first_row;                /* [n_parts + 1] number of the first row of each part, over all files */
    size_t n_parts, cap_parts;
    uint64_t first_part;                /* of the file that is read */
};

enum weft_status weft_file_check_new(struct weft_file_check **out, const struct weft_file_check_settings *s,
                                     struct weft_err *err)
{
    struct weft_file_check *c = calloc(1, sizeof *c);
    *out = c;
    if (!c) return weft_fail_nomem(err, sizeof *c, "the check");
    c->s = *s;
    /* Where no thread can be had this one does it all. */
    if (weft_pool_new(&c->pool, s->threads, NULL)) c->pool = NULL;
    c->n_threads = (size_t)weft_pool_threads(c->pool);
    c->n_slots = WEFT_ROWS_SLOTS(c->n_threads);
    c->threads = WEFT_NEWS(&c->arena, struct of_thread, c->n_threads);
    c->slots = WEFT_NEWS(&c->arena, struct slot, c->n_slots);
    enum weft_status st = c->threads && c->slots ? WEFT_OK : weft_fail_nomem(err, c->n_slots, "the check");
    for (size_t t = 0; !st && t < c->n_threads; t++) st = weft_checker_new(&c->threads[t].check, &s->check, err);
    if (!st && s->hash) st = weft_dataset_hash_init(&c->hash, err);
    if (!st && !WEFT_GROW(&c->arena, c->first_row, c->n_parts, c->cap_parts))
        st = weft_fail_nomem(err, sizeof *c->first_row, "the check");
    if (!st) c->first_row[0] = 0;
    if (st) {
        weft_file_check_free(c);
        *out = NULL;
    }
    return st;
}

void weft_file_check_free(struct weft_file_check *c)
{
    if (!c) return;
    for (size_t t = 0; c->threads && t < c->n_threads; t++) {
        weft_checker_free(c->threads[t].check);
        weft_buf_clear(&c->threads[t].canon);
    }
    for (size_t i = 0; c->slots && i < c->n_slots; i++) weft_buf_clear(&c->slots[i].digests);
    for (size_t i = 0; i < c->n_files; i++) weft_row_index_close(&c->files[i]->open);
    weft_dataset_hash_clear(&c->hash);
    weft_pool_free(c->pool);
    weft_arena_clear(&c->arena);
    free(c);
}

/* ---- rows ---- */

static enum weft_status take_row(void *ctx, const struct weft_row_at *at, const struct weft_row *row,
                                 struct weft_err *err)
{
    struct weft_file_check *c = ctx;
    struct of_thread *own = &c->threads[at->thread];
    struct file *f = c->files[c->n_files - 1];
    uint64_t order = (c->first_part + at->part) << PART_SHIFT | at->in_part;
    enum weft_status st = weft_checker_add(own->check, row, order, (uint64_t)(c->n_files - 1) << FILE_SHIFT | at->begin,
                                           &f->open.text, err);
    if (!st && c->s.findings) weft_find_row(row, order, c->s.quality, &own->findings);
    if (st || !c->s.hash) return st;
    struct weft_buf *digests = &c->slots[at->slot].digests;
    weft_row_digest(digests, row, &own->canon);
    return weft_buf_check(digests, "a row", err);
}

static enum weft_status take_part(void *ctx, unsigned slot, uint64_t part, uint64_t n, struct weft_err *err)
{
    struct weft_file_check *c = ctx;
    uint64_t first = c->first_row[c->n_parts];
    c->n_parts++;
    if (!WEFT_GROW(&c->arena, c->first_row, c->n_parts, c->cap_parts))
        return weft_fail_nomem(err, c->n_parts * sizeof *c->first_row, "the check");
    c->first_row[c->n_parts] = first + n;
    if (!c->s.hash) return WEFT_OK;
    weft_dataset_hash_digests(&c->hash, weft_buf_view(&c->slots[slot].digests));
    weft_buf_reset(&c->slots[slot].digests);
    return WEFT_OK;
}

enum weft_status weft_file_check_add(struct weft_file_check *c, const char *path, const struct weft_rows_settings *how,
                                     struct weft_report *report, struct weft_rows_shape *shape, struct weft_err *err)
{
    struct weft_rows_sink sink = { c, take_row, take_part };
    struct file *f = WEFT_NEW(&c->arena, struct file);
    if (c->n_files >= MOST_FILES) return weft_fail(err, WEFT_ELIMIT, "more than %d files at once", MOST_FILES);
    if (!f || !WEFT_GROW(&c->arena, c->files, c->n_files, c->cap_files))
        return weft_fail_nomem(err, sizeof *f, "the check");
    c->files[c->n_files++] = f;
    c->first_part = c->n_parts;
    enum weft_status st = weft_rows_stream(&c->arena, path, how, c->pool, &sink, &f->open, report, err);
    if (!st) *shape = f->open.shape;
    return st;
}

/* ---- the result ---- */

static size_t number_of(void *ctx, uint64_t order)
{
    const struct weft_file_check *c = ctx;
    return (size_t)(c->first_row[order >> PART_SHIFT] + (order & ((UINT64_C(1) << PART_SHIFT) - 1)));
}

static enum weft_status row_of(void *ctx, struct weft_arena *a, uint64_t place, struct weft_row *row,
                               struct weft_err *err)
{
    const struct weft_file_check *c = ctx;
    return weft_rows_at(&c->files[place >> FILE_SHIFT]->open, a, place & ((UINT64_C(1) << FILE_SHIFT) - 1), row, err);
}

enum weft_status weft_file_check_finish(struct weft_file_check *c, struct weft_arena *a, struct weft_check *out,
                                        char hash[WEFT_SHA256_HEX], struct weft_findings *findings,
                                        struct weft_err *err)
{
    struct weft_check_source source = { c, number_of, row_of };
    enum weft_status st = WEFT_OK;
    for (size_t t = 1; !st && t < c->n_threads; t++) {
        st = weft_checker_join(c->threads[0].check, c->threads[t].check, err);
        weft_findings_join(&c->threads[0].findings, &c->threads[t].findings);
    }
    if (!st) st = weft_checker_finish(c->threads[0].check, a, c->pool, &source, out, err);
    if (st) return st;
    if (hash) weft_dataset_hash_finish(&c->hash, hash);
    if (!findings) return WEFT_OK;
    *findings = c->threads[0].findings;
    for (int i = 0; i < WEFT_N_QUALITY; i++)
        if (findings->signs[i].rows) findings->signs[i].first_row = number_of(c, findings->signs[i].first_row);
    for (int i = 0; i < WEFT_N_PII; i++)
        if (findings->pii[i].rows) findings->pii[i].first_row = number_of(c, findings->pii[i].first_row);
    return WEFT_OK;
}
