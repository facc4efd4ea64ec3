/* Mode seed is this Python, where the length of a text is that of its code points:
 *
 *     for s in text.split("。"):
 *         if len(chunk) + len(s) <= max: chunk += s + "。"
 *         else: chunks.append(chunk.strip()); chunk = s
 *     if chunk: chunks.append(chunk.strip())
 *
 * A chunk takes one sentence after the other, and its length is that of the text from its beginning (less the one 。
 * that it loses), so there is no need to look at the sentences one by one: the last 。 that is not more than `max`
 * characters on ends the chunk, and only the characters up to there have to be counted.  Where the cuts are is found
 * first, then the chunks are copied, by all threads. */
#include "base/pool.h"
#include "dataset/chunk_parts.h"
#include "dataset/marks.h"
#include "dataset/normal.h"

enum { STOP_BYTES = 3 };        /* 。 is E3 80 82 */

/* What Python's str.strip() takes off. */
static bool python_space(uint32_t cp)
{
    return (cp >= 0x1C && cp <= 0x1F) || (weft_is_space(cp) && cp != 0x200B && cp != 0xFEFF);
}

static struct weft_str python_strip(struct weft_str s)
{
    while (s.len) {
        uint32_t cp;
        size_t n = weft_utf8_decode(s.s, s.len, &cp, NULL);
        if (!python_space(cp)) break;
        s = weft_str_skip(s, n);
    }
    while (s.len) {
        size_t begin;
        if (!python_space(mark_before(s, s.len, &begin))) break;
        s.len = begin;
    }
    return s;
}

/* The last 。 that begins in [from, to], SIZE_MAX: none. */
static size_t last_stop(struct weft_str text, size_t from, size_t to)
{
    size_t end = weft_min_size(to + STOP_BYTES, text.len);
    while (end >= from + STOP_BYTES) {
        const char *hit = memrchr(text.s + from + 2, '\x82', end - from - 2);
        if (!hit) break;
        if (hit[-1] == '\x80' && hit[-2] == '\xE3') return (size_t)(hit - 2 - text.s);
        end = (size_t)(hit - text.s);
    }
    return SIZE_MAX;
}

/* Behind the last sentence of the chunk that begins at `begin`; text.len only when the last sentence, which has no 。
 * behind it, is in it.  first: nothing was lost before it, so it is one character shorter, and it may be empty. */
static size_t chunk_end(struct weft_str text, size_t begin, int64_t max, bool first)
{
    size_t limit = begin + weft_utf8_offset_of_valid(weft_str_skip(text, begin), (size_t)max + !first), stop;
    if (limit == text.len) return limit;
    stop = last_stop(text, begin, limit);
    if (stop == SIZE_MAX && first) return begin;
    if (stop == SIZE_MAX) stop = weft_str_find(text, WEFT_STR("。"), limit);
    return stop == SIZE_MAX ? text.len : stop + STOP_BYTES;
}

/* ---- the copies ---- */

/* Each chunk is copied to where it stood in its text: it is never longer than that, but the last one by a 。. */
struct copies {
    struct weft_chunk *chunks;
    size_t n;
    struct weft_str text;
    int64_t max;
    char *to;                   /* [text.len + STOP_BYTES] */
};

static void copy(const struct copies *x, struct weft_chunk *c, bool first)
{
    struct weft_str source = weft_str_sub(x->text, c->begin, c->end);
    char *to = x->to + c->begin;
    /* Is what stands behind the last 。 of the text in it?  That gains a 。, even when it is nothing at all. */
    bool last = c->end == x->text.len && weft_utf8_chars_of_valid(source) <= (size_t)x->max + !first;
    size_t stop = first ? SIZE_MAX : weft_str_find(source, WEFT_STR("。"), 0), n = source.len;
    if (stop == SIZE_MAX) memcpy(to, source.s, n);
    else {      /* its first sentence without the 。 */
        memcpy(to, source.s, stop);
        memcpy(to + stop, source.s + stop + STOP_BYTES, n - stop - STOP_BYTES);
        n -= STOP_BYTES;
    }
    if (last && (first || stop != SIZE_MAX)) {
        memcpy(to + n, "。", STOP_BYTES);
        n += STOP_BYTES;
    }
    c->text = python_strip((struct weft_str){ to, n });
    c->chars = weft_utf8_chars_of_valid(c->text);
}

enum { CHUNKS_A_PIECE = 64 };

static void copy_piece(void *ctx, size_t piece, int thread)
{
    const struct copies *x = ctx;
    size_t from = piece * CHUNKS_A_PIECE, to = weft_min_size(x->n, from + CHUNKS_A_PIECE);
    (void)thread;
    for (size_t i = from; i < to; i++) copy(x, &x->chunks[i], i == 0);
}

enum weft_status chunk_seed(struct chunk_cutter *c, const struct weft_text *t, size_t text_idx)
{
    struct weft_chunks *out = c->out;
    size_t first = out->n, begin = 0;
    enum weft_status st = WEFT_OK;
    do {
        bool is_first = out->n == first;
        size_t end = chunk_end(t->text, begin, c->s->max_chars, is_first);
        st = chunk_add(c, (struct weft_chunk){ .text_idx = text_idx, .begin = begin, .end = end });
        begin = end;
    } while (!st && begin < t->text.len);
    if (st) return st;
    struct copies x = { out->items + first, out->n - first, t->text, c->s->max_chars,
                        weft_arena_alloc(c->arena, t->text.len + STOP_BYTES) };
    if (!x.to) return weft_fail_nomem(c->err, t->text.len, "the chunks");
    weft_pool_run(c->pool, weft_ceil_div(x.n, CHUNKS_A_PIECE), copy_piece, &x);
    for (size_t i = first; i < out->n && !st; i++) {
        struct weft_chunk *k = &out->items[i];
        if (k->chars > out->longest) out->longest = k->chars;
        st = chunk_count_tokens(c, k->text, &k->tokens);
    }
    return st;
}
