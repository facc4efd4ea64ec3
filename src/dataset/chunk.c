/* The settings, the texts one behind the other, by all threads where they are long, and the chunks as rows.  Where the
 * cuts are: chunk_cut.c and chunk_seed.c. */
#include "base/pool.h"
#include "dataset/chunk_options.h"
#include "dataset/chunk_parts.h"
#include "dataset/grow.h"
#include "dataset/normal.h"
#include "dataset/origin.h"

#include <inttypes.h>

static const struct weft_option option_rows[] = { WEFT_CHUNK_OPTION_ROWS(struct weft_chunk_settings, ) };

struct weft_option_table weft_chunk_options(void)
{
    return (struct weft_option_table){ option_rows, WEFT_COUNT(option_rows) };
}

enum weft_status chunk_add(struct chunk_cutter *c, struct weft_chunk chunk)
{
    struct weft_chunks *out = c->out;
    if (!WEFT_GROW(c->arena, out->items, out->n, out->cap))
        return weft_fail_nomem(c->err, sizeof chunk, "the chunks");
    out->items[out->n++] = chunk;
    out->in_quote += !!(chunk.flags & WEFT_CHUNK_IN_QUOTE);
    out->at_pause += !!(chunk.flags & WEFT_CHUNK_AT_PAUSE);
    out->forced += !!(chunk.flags & WEFT_CHUNK_FORCED);
    if (chunk.chars > out->longest) out->longest = chunk.chars;
    return WEFT_OK;
}

enum weft_status chunk_count_tokens(struct chunk_cutter *c, struct weft_str text, uint64_t *tokens)
{
    *tokens = 0;
    if (!c->counter) return WEFT_OK;
    int64_t n = c->counter->count(c->counter->ctx, text, c->err);
    if (n < 0)
        return c->err && c->err->status ? c->err->status
                                        : weft_fail(c->err, WEFT_EINPUT, "a token count failed");
    *tokens = (uint64_t)n;
    return WEFT_OK;
}


/* ---- characters, and chapters beside them ---- */

enum { PIECE_BYTES = 64 << 10, COUNT_PIECES = 64 };

struct survey {
    struct chunk_cutter *c;
    const struct weft_text *t;
    struct weft_chapter *chapters;
    size_t n_chapters;
    enum weft_status st;                /* of finding them */
    size_t piece_bytes;
    struct {
        size_t chars, spaces;
    } of[COUNT_PIECES];
};

static size_t piece_begin(struct weft_str text, size_t at)
{
    while (at < text.len && ((unsigned char)text.s[at] & 0xC0) == 0x80) at++;
    return weft_min_size(at, text.len);
}

static void survey_piece(void *ctx, size_t chunk, int thread)
{
    struct survey *x = ctx;
    struct weft_str text = x->t->text;
    (void)thread;
    if (!chunk) {
        x->st = weft_chapters_find(x->c->arena, x->t, &x->chapters, &x->n_chapters, x->c->err);
        return;
    }
    size_t i = chunk - 1, from = piece_begin(text, i * x->piece_bytes), to = piece_begin(text, chunk * x->piece_bytes);
    struct weft_str piece = weft_str_sub(text, from, to);
    x->of[i].chars = weft_utf8_chars_of_valid(piece);
    x->of[i].spaces = weft_count_spaces(piece);
}

/* Counts the characters, and finds the chapters. */
static enum weft_status survey(struct chunk_cutter *c, const struct weft_text *t, struct weft_chapter **chapters,
                               size_t *n_chapters)
{
    struct survey x = { .c = c, .t = t,
                        .piece_bytes = weft_max_size(PIECE_BYTES, weft_ceil_div(t->text.len, COUNT_PIECES)) };
    size_t n = weft_ceil_div(t->text.len, x.piece_bytes);
    weft_pool_run(c->pool, n + 1, survey_piece, &x);
    for (size_t i = 0; i < n; i++) {
        c->out->chars += x.of[i].chars;
        c->out->visible_chars += x.of[i].chars - x.of[i].spaces;
    }
    *chapters = x.chapters;
    *n_chapters = x.n_chapters;
    return x.st;
}

/* ---- chapters by several threads ---- */

/* Chapters one behind the other until they have so many bytes are a piece, which one thread cuts. */
struct piece {
    size_t first, n;            /* chapters */
    struct weft_arena arena;
    struct weft_chunks chunks;
    enum weft_status st;
    struct weft_err err;
};

struct pieces {
    const struct chunk_cutter *all;
    const struct weft_text *t;
    size_t text_idx;
    const struct weft_chapter *chapters;
    struct piece *items;
};

static void cut_piece(void *ctx, size_t i, int thread)
{
    const struct pieces *x = ctx;
    struct piece *p = &x->items[i];
    struct chunk_cutter c = *x->all;
    (void)thread;
    c.arena = &p->arena;
    c.pool = NULL;
    c.out = &p->chunks;
    c.err = &p->err;
    for (size_t k = p->first; k < p->first + p->n && !p->st; k++)
        p->st = chunk_cut(&c, x->t, x->text_idx, x->chapters[k].begin, x->chapters[k].end, &x->chapters[k], 1);
}

/* The chunks of a piece behind those there are. */
static enum weft_status take_piece(struct chunk_cutter *c, const struct piece *p)
{
    if (p->st) return weft_fail_rule(c->err, p->st, p->err.rule, "%s", p->err.msg);
    c->out->over_tokens += p->chunks.over_tokens;
    for (size_t i = 0; i < p->chunks.n; i++) {
        enum weft_status st = chunk_add(c, p->chunks.items[i]);
        if (st) return st;
    }
    return WEFT_OK;
}

static enum weft_status cut_chapters(struct chunk_cutter *c, const struct weft_text *t, size_t text_idx,
                                     const struct weft_chapter *chapters, size_t n)
{
    struct pieces x = { c, t, text_idx, chapters, WEFT_NEWS(c->arena, struct piece, n) };
    enum weft_status st = WEFT_OK;
    size_t n_pieces = 0;
    if (!x.items) return weft_fail_nomem(c->err, n * sizeof *x.items, "the chunks");
    for (size_t k = 0; k < n; n_pieces++) {
        struct piece *p = &x.items[n_pieces];
        size_t bytes = 0;
        p->first = k;
        p->err.lang = c->err ? c->err->lang : WEFT_LANG_EN;
        for (; k < n && bytes < PIECE_BYTES; k++, p->n++) bytes += chapters[k].end - chapters[k].begin;
    }
    weft_pool_run(c->pool, n_pieces, cut_piece, &x);
    for (size_t i = 0; i < n_pieces; i++) {
        if (!st) st = take_piece(c, &x.items[i]);
        weft_arena_clear(&x.items[i].arena);
    }
    return st;
}

/* ---- all ---- */

static enum weft_status check_settings(const struct weft_chunk_settings *s,
                                       const struct weft_chunk_counter *counter, struct weft_err *err)
{
    if (s->max_chars < 8)
        return weft_fail(err, WEFT_EARG, "max is %" PRId64 "; expected at least 8", s->max_chars);
    if (s->min_chars > s->max_chars / 2)
        return weft_fail(err, WEFT_EARG, "min is %" PRId64 "; expected at most half of max, %" PRId64,
                         s->min_chars, s->max_chars / 2);
    if (s->overlap_chars > s->max_chars / 2)
        return weft_fail(err, WEFT_EARG, "overlap is %" PRId64 "; expected at most half of max, %" PRId64,
                         s->overlap_chars, s->max_chars / 2);
    if (s->max_tokens && !counter)
        return weft_fail(err, WEFT_EARG, "max_tokens needs a model that counts them");
    if (s->mode == WEFT_CHUNK_SEED && (s->overlap_chars || s->min_chars || s->max_tokens))
        return weft_fail(err, WEFT_EARG, "mode seed knows only max");
    return WEFT_OK;
}

/* A whole text of one kind or the other. */
static enum weft_status cut_text(struct chunk_cutter *c, const struct weft_text *t, size_t i,
                                 const struct weft_progress *progress)
{
    const struct weft_chunk_settings *s = c->s;
    struct weft_chapter *chapters;
    size_t n;
    enum weft_status st = survey(c, t, &chapters, &n);
    if (st || !n) return st;
    for (size_t k = 0; k < n; k++) c->out->chapters += chapters[k].title.s != NULL;
    if (s->mode == WEFT_CHUNK_SEED) return chunk_seed(c, t, i);
    if (s->across_chapters) return chunk_cut(c, t, i, 0, t->text.len, chapters, n);
    if (!c->counter) return cut_chapters(c, t, i, chapters, n);
    for (size_t k = 0; k < n && !st; k++) {     /* counting tokens takes its time, and one thread */
        st = chunk_cut(c, t, i, chapters[k].begin, chapters[k].end, &chapters[k], 1);
        weft_progress_update(progress, "cutting", chapters[k].end, t->text.len, "bytes", "");
        if (!st && weft_progress_cancelled(progress)) st = weft_fail(c->err, WEFT_ECANCEL, "stopped");
    }
    return st;
}

/* Below this a thread is not worth its start. */
enum { LONG_TEXT = 1 << 20 };

enum weft_status weft_chunk_texts(struct weft_arena *a, const struct weft_text *texts, size_t n_texts,
                                  const struct weft_chunk_settings *s,
                                  const struct weft_chunk_counter *counter,
                                  const struct weft_progress *progress, struct weft_chunks *out,
                                  struct weft_err *err)
{
    struct weft_chunks chunks = { 0 };
    struct weft_pool *pool = NULL;
    size_t longest = 0;
    for (size_t i = 0; i < n_texts; i++) longest = weft_max_size(longest, texts[i].text.len);
    enum weft_status st = check_settings(s, counter, err);
    /* Where no thread can be had this one does it all. */
    if (!st && (longest >= LONG_TEXT || s->threads > 0) && weft_pool_new(&pool, (int)s->threads, NULL)) pool = NULL;
    struct chunk_cutter c = { a, s, counter, pool, &chunks, err };
    for (size_t i = 0; i < n_texts && !st; i++) {
        st = cut_text(&c, &texts[i], i, progress);
        weft_progress_update(progress, "cutting", i + 1, n_texts, "files", "");
        if (!st && weft_progress_cancelled(progress)) st = weft_fail(err, WEFT_ECANCEL, "stopped");
    }
    weft_pool_free(pool);
    if (!st) *out = chunks;
    return st;
}

enum weft_status weft_chunk_rows(struct weft_arena *a, const struct weft_text *texts,
                                 const struct weft_chunks *chunks, int mode, struct weft_rows *rows,
                                 struct weft_err *err)
{
    static const struct {
        unsigned flag;
        const char *name;
    } names[] = { { WEFT_CHUNK_IN_QUOTE, "in-quote" },
                  { WEFT_CHUNK_AT_PAUSE, "at-pause" },
                  { WEFT_CHUNK_FORCED, "forced" } };
    for (size_t i = 0; i < chunks->n; i++) {
        const struct weft_chunk *c = &chunks->items[i];
        struct weft_row *row = weft_rows_add(rows, a);
        char flags[64] = "";
        if (!row) return weft_fail_nomem(err, sizeof *row, "the rows");
        row->text = c->text;
        weft_origin_of_span(&texts[c->text_idx], c->begin, c->end, &row->origin);
        for (size_t k = 0; k < WEFT_COUNT(names); k++)
            if (c->flags & names[k].flag) {
                if (*flags) strcat(flags, ",");
                strcat(flags, names[k].name);
            }
        if (*flags) row->origin.flags = weft_str_dup(a, weft_str_c(flags));
        row->origin.id = weft_row_id(a, 'c', rows->n);
        row->origin.via = mode == WEFT_CHUNK_SEED ? WEFT_STR("chunk/seed@1") : WEFT_STR("chunk/default@1");
        row->origin.scene = c->chapter;
        row->origin.episode = c->volume;
        if (!row->origin.id.s || (*flags && !row->origin.flags.s))
            return weft_fail_nomem(err, 64, "the rows");
    }
    return WEFT_OK;
}
