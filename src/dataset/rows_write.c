/* All rows at once.  JSON lines are made by all threads, some rows into a buffer, and go to the file in order,
 * one wave of buffers while the next one is made: memory is bounded, and the file is as if one thread had written it.
 * Arrays and tables, whose rows depend on those before them, are written row by row. */
#include "base/pool.h"
#include "dataset/formats.h"

#include <stdlib.h>

/* Buffers are used again from wave to wave: few, and just large enough to go to the file uncopied. */
enum { PIECE_BYTES = 320 << 10, PIECES_OF_WAVE = 2 /* a thread */ };
/* Below this a thread is not worth its start. */
enum { MANY_BYTES = 1 << 20 };

struct piece {
    size_t first, n;
    struct weft_buf buf;
    enum weft_status st;
    struct weft_err err;
};

struct wave {
    const struct weft_rows *rows;
    const struct weft_rows_writer_settings *s;
    struct weft_out *out;
    struct piece *now, *last;           /* [most] each: being made, and going to the file */
    size_t n_now, n_last, most;
};

/* About as many bytes as the row will have in the file. */
static size_t size_of(const struct weft_row *row)
{
    enum { MEMBERS = 400 };
    size_t n = MEMBERS + row->system.len + row->text.len;
    for (size_t i = 0; i < row->n_turns; i++) n += row->turns[i].text.len;
    return n;
}

static void make_piece(const struct wave *w, struct piece *p)
{
    struct weft_json_out o;
    weft_buf_reset(&p->buf);
    for (size_t i = p->first; i < p->first + p->n && !p->st; i++) {
        weft_json_out_init(&o, &p->buf);
        p->st = weft_row_to_json(&o, &w->rows->items[i], (enum weft_format)w->s->format, !w->s->no_origin, &p->err);
        weft_buf_char(&p->buf, '\n');
    }
    if (!p->st) p->st = weft_buf_check(&p->buf, "a row", &p->err);
}

static void work(void *ctx, size_t chunk, int thread)
{
    struct wave *w = ctx;
    (void)thread;
    if (chunk) make_piece(w, &w->now[chunk - 1]);
    else
        for (size_t i = 0; i < w->n_last; i++) weft_out_str(w->out, weft_buf_view(&w->last[i].buf));
}

static void next_wave(struct wave *w, size_t *at)
{
    struct piece *made = w->now;
    w->now = w->last;
    w->last = made;
    w->n_last = w->n_now;
    for (w->n_now = 0; w->n_now < w->most && *at < w->rows->n; w->n_now++) {
        struct piece *p = &w->now[w->n_now];
        p->first = *at;
        for (size_t bytes = 0; *at < w->rows->n && bytes < PIECE_BYTES; ++*at) bytes += size_of(&w->rows->items[*at]);
        p->n = *at - p->first;
    }
}

/* st: of the first row that cannot be written. */
static enum weft_status write_lines(struct weft_pool *pool, struct weft_out *out,
                                    const struct weft_rows_writer_settings *s, const struct weft_rows *rows,
                                    struct weft_err *err)
{
    size_t most = (size_t)weft_pool_threads(pool) * PIECES_OF_WAVE, at = 0;
    struct piece *pieces = calloc(2 * most, sizeof *pieces);
    struct wave w = { rows, s, out, pieces, pieces + most, 0, 0, most };
    enum weft_status st = WEFT_OK;
    if (!pieces) return weft_fail_nomem(err, 2 * most * sizeof *pieces, "the rows");
    for (size_t i = 0; i < 2 * most; i++) pieces[i].err.lang = err ? err->lang : WEFT_LANG_EN;
    do {
        next_wave(&w, &at);
        weft_pool_run(pool, w.n_now + 1, work, &w);
        for (size_t i = 0; i < w.n_now && !st; i++)
            if (w.now[i].st) st = weft_fail_rule(err, w.now[i].st, w.now[i].err.rule, "%s", w.now[i].err.msg);
    } while (!st && w.n_now);
    for (size_t i = 0; i < 2 * most; i++) weft_buf_clear(&pieces[i].buf);
    free(pieces);
    return st;
}

enum weft_status weft_rows_write(const char *path, const struct weft_rows_writer_settings *s,
                                 const struct weft_rows *rows, struct weft_err *err)
{
    struct weft_rows_writer w = { 0 };
    struct weft_pool *pool = NULL;
    enum weft_status st = weft_rows_writer_open(&w, path, s, err);
    if (!st && w.s.layout == WEFT_LAYOUT_JSONL) {
        /* Where no thread can be had this one does it all. */
        size_t bytes = 0;
        for (size_t i = 0; i < rows->n && bytes < MANY_BYTES; i++) bytes += size_of(&rows->items[i]);
        bool many = bytes >= MANY_BYTES || (s && s->threads > 0);
        if (many && weft_pool_new(&pool, s ? (int)s->threads : 0, NULL)) pool = NULL;
        st = write_lines(pool, &w.out, &w.s, rows, err);
    } else
        for (size_t i = 0; !st && i < rows->n; i++) st = weft_rows_writer_add(&w, &rows->items[i], err);
    if (!st) st = weft_rows_writer_commit(&w, err);
    weft_rows_writer_close(&w);
    weft_pool_free(pool);
    return st;
}
