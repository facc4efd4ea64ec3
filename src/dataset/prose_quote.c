/* Paragraphs are lines.  A quote that is still open where its paragraph ends has lost its closer, or its paragraph was
 * broken in two, or it goes on over several paragraphs; what the next paragraphs hold tells which. */
#include "dataset/prose_quote.h"

#include "dataset/grow.h"
#include "dataset/marks.h"
#include "dataset/normal.h"
#include "dataset/prose_words.h"

enum {
    AHEAD_LINES = 6, /* a closer further away than so many paragraphs with text belongs to something else */
    LOST_BYTES = 6000,          /* an opener is looked for no further back */
    NESTED = 64      /* marks of one kind within a paragraph that are still weighed against each other */
};

struct quoter {
    struct weft_arena *arena;
    const struct weft_text *t;
    struct weft_str text;
    struct prose_spans *out;
    struct weft_err *err;
    bool open;
    uint32_t opener, closer;
    size_t depth;           /* marks of the same kind inside */
    struct prose_span span; /* while open */
    size_t text_end;        /* of the last paragraph with text, trimmed */
    size_t line;
};

static bool is_latin(uint32_t cp) { return cp < 0x250 && cp > ' ' && cp != '"' && !(cp >= '!' && cp <= '/'); }
static bool is_symmetric(uint32_t cp) { return cp == '"' || cp == 0xFF02; }

static enum weft_status add(struct quoter *q, struct prose_span span)
{
    struct prose_spans *out = q->out;
    if (!WEFT_GROW(q->arena, out->items, out->n, out->cap))
        return weft_fail_nomem(q->err, sizeof span, "the quotes");
    out->repaired += span.repaired;
    out->items[out->n++] = span;
    return WEFT_OK;
}

static void open_at(struct quoter *q, size_t at, size_t begin, uint32_t opener)
{
    q->open = true;
    q->opener = opener;
    q->closer = mark_closer_of(opener);
    q->depth = 0;
    q->span = (struct prose_span){ .open = at, .begin = begin, .line = q->line };
}

static enum weft_status close_at(struct quoter *q, size_t end, size_t close, bool repaired)
{
    q->open = false;
    q->span.end = end;
    q->span.close = close;
    q->span.repaired |= repaired;
    return add(q, q->span);
}

/* Is the mark at `at` an apostrophe? */
static bool is_apostrophe(struct weft_str s, uint32_t before, uint32_t cp, size_t next)
{
    return (cp == 0x2019 || cp == 0x2018) && is_latin(before) && is_latin(mark_at(s, next));
}

/* The first mark of the open quote's kind from `at` to `end`: 1 closer, -1 opener, 0 none. */
static int first_mark(const struct quoter *q, size_t at, size_t end)
{
    while (at < end) {
        uint32_t cp;
        at += weft_utf8_decode(q->text.s + at, end - at, &cp, NULL);
        if (cp == q->closer) return 1;
        if (cp == q->opener) return -1;
    }
    return 0;
}

/* The open quote at the beginning of the paragraph of line `line`: does it go on here? */
static bool goes_on(const struct quoter *q, size_t line, size_t end)
{
    size_t seen = 0;
    for (size_t i = line; i < q->t->n_lines && q->t->lines[i].at < end && seen < AHEAD_LINES; i++) {
        struct weft_str s = weft_text_line(q->t, i);
        int mark = first_mark(q, q->t->lines[i].at, q->t->lines[i].at + s.len);
        if (mark) return mark > 0;
        seen += weft_trim(s).len > 0;
    }
    return false;
}

/* Marks of the open quote's kind in the rest of the paragraph: openers are nested when each of them has a closer and
 * one is left for the quote itself. */
static bool is_nested(const struct quoter *q, size_t at, size_t end)
{
    size_t openers = 0, closers = 0;
    while (at < end && openers + closers < NESTED) {
        uint32_t cp;
        at += weft_utf8_decode(q->text.s + at, end - at, &cp, NULL);
        openers += cp == q->opener;
        closers += cp == q->closer;
    }
    return closers > openers;
}

/* Where a quote that lost its closer ends: behind the last sentence before `at`, and before `at` when it has none. */
static size_t lost_end(const struct quoter *q, size_t at)
{
    for (size_t i = at; i > q->span.begin;) {
        size_t begin;
        if (mark_is_end(mark_before(q->text, i, &begin))) return i;
        i = begin;
    }
    return at;
}

/* A closer without its opener: the quote began behind the colon of a speech cue, if there is one. */
static enum weft_status lost_opener(struct quoter *q, size_t para, size_t at, size_t close)
{
    size_t from = para;
    if (q->out->n && q->out->items[q->out->n - 1].close > from) from = q->out->items[q->out->n - 1].close;
    if (at - from > LOST_BYTES) from = at;
    for (size_t i = at; i > from;) {
        size_t begin;
        if (mark_is_colon(mark_before(q->text, i, &begin))) {
            struct prose_cue cue;
            if (!prose_cue_find(weft_str_sub(q->text, from, begin), true, &cue) || i == at) break;
            return add(q, (struct prose_span){ i, i, at, close, q->line, true, false });
        }
        i = begin;
    }
    q->out->stray++;
    return WEFT_OK;
}

static enum weft_status begin_paragraph(struct quoter *q, size_t begin, size_t chapter_end)
{
    uint32_t cp = mark_at(q->text, begin);
    if (cp == q->opener && !is_symmetric(cp)) {
        enum weft_status st = close_at(q, q->text_end, q->text_end, false);
        open_at(q, begin, begin + weft_utf8_decode(q->text.s + begin, q->text.len - begin, &cp, NULL), cp);
        q->open = false; /* the loop opens it; only the flag is kept */
        q->span.continues = true;
        return st;
    }
    if (cp == q->closer) { /* damaged: “…！ and ” in the next paragraph */
        q->span.repaired = true;
        return WEFT_OK;
    }
    if (!is_symmetric(q->opener) && goes_on(q, q->line, chapter_end)) {
        q->span.repaired = true;
        return WEFT_OK;
    }
    return close_at(q, q->text_end, q->text_end, true);
}

static enum weft_status paragraph(struct quoter *q, size_t begin, size_t end, size_t chapter_end)
{
    enum weft_status st = WEFT_OK;
    bool continues = false;
    uint32_t before = ' ';
    if (q->open) {
        st = begin_paragraph(q, begin, chapter_end);
        continues = !q->open && q->span.continues && q->span.open == begin;
    }
    for (size_t at = begin; at < end && !st;) {
        uint32_t cp, closer;
        size_t next = at + weft_utf8_decode(q->text.s + at, end - at, &cp, NULL);
        closer = mark_closer_of(cp);
        if (is_apostrophe(q->text, before, cp, next)) {
            /* no quote */
        } else if (!q->open && closer) {
            open_at(q, at, next, cp);
            q->span.continues = continues && at == begin;
        } else if (!q->open && mark_is_quote_closer(cp)) st = lost_opener(q, begin, at, next);
        else if (q->open && cp == q->closer && q->depth) q->depth--;
        else if (q->open && cp == q->closer) {
            size_t to = at;
            if (at == begin) to = q->text_end; /* it belongs behind the paragraph before */
            st = close_at(q, to, next, false);
        } else if (q->open && cp == q->opener) {
            if (is_nested(q, next, end)) q->depth++;
            else {
                size_t to = lost_end(q, at);
                st = close_at(q, to, to, true);
                open_at(q, at, next, cp);
            }
        }
        before = cp;
        at = next;
    }
    q->text_end = end;
    return st;
}

enum weft_status prose_quotes(struct weft_arena *a, const struct weft_text *t,
                              const struct weft_chapter *chapter, struct prose_spans *out,
                              struct weft_err *err)
{
    struct quoter q = { .arena = a, .t = t, .text = t->text, .out = out, .err = err };
    enum weft_status st = WEFT_OK;
    q.line = chapter->body < t->text.len ? (size_t)weft_text_line_of(t, chapter->body) - 1 : t->n_lines;
    for (; q.line < t->n_lines && t->lines[q.line].at < chapter->end && !st; q.line++) {
        struct weft_str s = weft_trim(weft_text_line(t, q.line));
        if (!s.len) continue;
        st = paragraph(&q, (size_t)(s.s - t->text.s), (size_t)(s.s - t->text.s) + s.len, chapter->end);
    }
    if (!st && q.open) st = close_at(&q, q.text_end, q.text_end, true);
    return st;
}
