/* One scan a chunk: from its beginning at most N characters ahead, remembering the last place of each kind where it may
 * end.  The best kind that was met decides, so the text is read twice at most.
 *
 * Why greedy and not balanced: the number of chunks stays the smallest, and a changed paragraph moves only the cuts
 * up to the end of its chapter. */
#include "dataset/chunk.h"

#include "dataset/chapter.h"
#include "dataset/chunk_options.h"
#include "dataset/grow.h"
#include "dataset/marks.h"
#include "dataset/normal.h"
#include "dataset/origin.h"

#include <inttypes.h>
#include <utf8proc.h>

static const struct weft_option option_rows[] = { WEFT_CHUNK_OPTION_ROWS(struct weft_chunk_settings, ) };

struct weft_option_table weft_chunk_options(void)
{
    return (struct weft_option_table){ option_rows, WEFT_COUNT(option_rows) };
}

/* ---- where a chunk may end ---- */

struct place {
    size_t at;      /* 0: none */
    uint64_t chars; /* from the beginning of the chunk */
    uint32_t quote; /* the closer of the quote that is open here; 0: none */
};

struct scan {
    struct weft_str text;
    size_t end;         /* of the chapter */
    size_t visible_end; /* behind its last visible character */
    uint64_t min, max;  /* characters */
    uint32_t quote;     /* the closer that the open quote waits for; 0: none */
    /* the last places of each kind */
    struct place sentence, sentence_out, pause, pause_out, space, any, cluster, character;
};

/* Latin letters, digits: a quote between them is an apostrophe. */
static bool is_latin(uint32_t cp)
{
    return (cp >= 'a' && cp <= 'z') || (cp >= 'A' && cp <= 'Z') || (cp >= 0xC0 && cp < 0x250);
}

/* Quotes do not nest here: within one kind the other kind is part of the text, and an opener met twice means that a
 * closer was lost. */
static void follow_quote(uint32_t *open, uint32_t before, uint32_t cp, uint32_t next)
{
    uint32_t closer = mark_closer_of(cp);
    if (cp == '\n') {
        if (*open == '"' || *open == 0xFF02) *open = 0;
    } else if (*open && cp == *open) {
        if (!(cp == 0x2019 && is_latin(before) && is_latin(next))) *open = 0;
    } else if (closer && (!*open || closer == *open)) *open = closer;
}

/* The next character that is not white space, from `at` on; 0: there is none within some thousand bytes. */
static uint32_t next_visible(struct weft_str s, size_t at, size_t *where)
{
    enum { AHEAD_BYTES = 4096 };
    const size_t end = weft_min_size(s.len, at + AHEAD_BYTES);
    while (at < end) {
        uint32_t cp;
        size_t n = weft_utf8_decode(s.s + at, s.len - at, &cp, NULL);
        if (!weft_is_space(cp)) {
            *where = at;
            return cp;
        }
        at += n;
    }
    *where = at;
    return 0;
}

/* Characters of which none joins its neighbour: nearly all of any text.  utf8proc decides the others. */
static bool stands_alone(uint32_t cp)
{
    return (cp >= 0x20 && cp < 0x300) || (cp >= 0x2010 && cp <= 0x2027) || (cp >= 0x3000 && cp <= 0x3029)
           || (cp >= 0x3031 && cp <= 0x3098) || (cp >= 0x309B && cp <= 0xA66E)
           || (cp >= 0xFF00 && cp <= 0xFF9D) || (cp >= 0x20000 && cp <= 0x323AF);
}

/* Looks at most `max` characters ahead of `from`; places before `fresh` (overlap) do not count. */
static void scan_places(struct scan *x, size_t from, size_t fresh)
{
    uint32_t quote = x->quote, before = 0;
    size_t visible_at = 0, at = from;
    uint32_t visible = 0;
    uint64_t chars = 0;
    int32_t joins = 0;
    bool ended = false, latin_stop = false, line_has_text = false;
    x->sentence = x->sentence_out = x->pause = x->pause_out = x->space = x->any = x->cluster = x->character =
        (struct place){ 0 };
    while (at < x->end && chars < x->max) {
        uint32_t cp, next;
        at += weft_utf8_decode(x->text.s + at, x->text.len - at, &cp, NULL);
        chars++;
        next = at < x->text.len ? mark_at(x->text, at) : 0;
        bool was_open = quote && cp == quote;
        follow_quote(&quote, before, cp, next);
        bool closes = was_open || mark_is_closer(cp);

        /* Does a sentence end here?  Closers and white space behind its end belong to it. */
        bool space = weft_is_space(cp);
        bool wrapped = false; /* a line end inside a sentence: as good as a pause */
        if (cp == '\n') {
            bool paragraph = !next || weft_is_space(next);
            wrapped = line_has_text && !ended && !latin_stop && !paragraph;
            ended = ended || latin_stop || (line_has_text && paragraph);
            line_has_text = false;
        } else if (mark_is_end(cp)) ended = true;
        else if (latin_stop && (space || closes)) ended = true;
        else if (!space && !closes) ended = false;
        if (!closes) latin_stop = cp == '.';
        if (!space) line_has_text = true;

        bool breaks = true;
        if (!stands_alone(cp) || !stands_alone(next))
            breaks =
                next
                && utf8proc_grapheme_break_stateful((utf8proc_int32_t)cp, (utf8proc_int32_t)next, &joins);
        else joins = 0;
        before = cp;
        if (at <= fresh || at >= x->end) continue;
        struct place here = { at, chars, quote };
        x->character = here;
        if (!breaks) continue;
        x->cluster = here;
        if (chars < x->min) continue;
        if (at > visible_at) visible = next_visible(x->text, at, &visible_at);
        /* A chunk does not begin with what closes a quote or ends a sentence, nor with white space alone. */
        if (at >= x->visible_end || mark_is_closer(visible) || (visible && visible == quote)
            || mark_is_end(visible) || mark_is_pause(visible))
            continue;
        x->any = here;
        if (ended) {
            x->sentence = here;
            if (!quote) x->sentence_out = here;
        }
        if (wrapped || (mark_is_pause(cp) && !(next >= '0' && next <= '9'))) {
            x->pause = here;
            if (!quote) x->pause_out = here;
        }
        if (space) x->space = here;
    }
}

/* Outside a quote when that costs at most 15 % of the limit. */
static struct place outside(struct place last, struct place out, uint64_t max)
{
    return out.at && (last.chars - out.chars) * 100 <= max * 15 ? out : last;
}

static struct place choose(const struct scan *x, unsigned *flags)
{
    struct place p;
    *flags = 0;
    if (x->sentence.at) p = outside(x->sentence, x->sentence_out, x->max);
    else if (x->pause.at) {
        p = outside(x->pause, x->pause_out, x->max);
        *flags = WEFT_CHUNK_AT_PAUSE;
    } else {
        p = x->space.at ? x->space : x->any.at ? x->any : x->cluster.at ? x->cluster : x->character;
        *flags = WEFT_CHUNK_FORCED;
    }
    if (p.quote) *flags |= WEFT_CHUNK_IN_QUOTE;
    return p;
}

/* ---- mode default ---- */

struct cutter {
    struct weft_arena *arena;
    const struct weft_chunk_settings *s;
    const struct weft_chunk_counter *counter;
    struct weft_chunks *out;
    struct weft_err *err;
};

static enum weft_status add_chunk(struct cutter *c, struct weft_chunk chunk)
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

static enum weft_status count_tokens(struct cutter *c, struct weft_str text, uint64_t *tokens)
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

/* Where the overlap with the chunk [begin, end) begins: the first sentence, or else clause, of its last `chars`. */
static size_t overlap_from(struct weft_str text, size_t begin, size_t end, uint64_t chars)
{
    size_t at = end, sentence = end, pause = end;
    bool text_behind = false; /* something visible stands between here and the boundary looked at */
    for (uint64_t n = 0; n < chars && at > begin; n++) {
        size_t from, unused;
        uint32_t cp = mark_before(text, at, &from);
        uint32_t next = next_visible(text, at, &unused);
        if (text_behind && at < end && !mark_is_closer(next) && !mark_is_end(next)
            && !weft_is_space(mark_at(text, at))) {
            size_t k = at; /* the character before, closers and white space skipped */
            uint32_t b = cp;
            while (k > begin && (mark_is_closer(b) || (weft_is_space(b) && b != '\n'))) {
                size_t f;
                b = mark_before(text, k, &f);
                k = f;
            }
            if (mark_is_end(b) || b == '\n') sentence = at;
            else if (mark_is_pause(cp)) pause = at;
        }
        if (!weft_is_space(cp)) text_behind = true;
        at = from;
    }
    return sentence < end ? sentence : pause;
}

/* The quote that is open at `to`, when `open` is the one at `from`. */
static uint32_t quote_at(struct weft_str text, size_t from, size_t to, uint32_t open)
{
    uint32_t before = 0;
    for (size_t i = from; i < to;) {
        uint32_t cp;
        i += weft_utf8_decode(text.s + i, text.len - i, &cp, NULL);
        follow_quote(&open, before, cp, mark_at(text, i));
        before = cp;
    }
    return open;
}

/* The end of the chunk that begins at `from` and brings something new behind `at`: `old` characters of overlap, `left`
 * after it.  max: at most so many characters. */
static struct place end_of_chunk(const struct cutter *c, struct scan *x, size_t from, size_t at, uint64_t old,
                                 uint64_t left, uint64_t max, unsigned *flags)
{
    uint64_t min = (uint64_t)c->s->min_chars;
    *flags = 0;
    if (old + left <= max) return (struct place){ x->end, old + left, 0 };
    x->max = max;
    x->min = min < max ? min : max;
    /* The last chunk of a chapter is not to be a scrap: this one ends early enough. */
    if (old + left - max < min && old + left - x->min < max && old + left > 2 * x->min)
        x->max = old + left - x->min;
    scan_places(x, from, at);
    return choose(x, flags);
}

/* The same within the limit of tokens too: the fullest end that a few counts find.  One new character is taken even
 * when it has too many. */
static enum weft_status within_tokens(struct cutter *c, struct scan *x, size_t from, size_t at, uint64_t old,
                                      uint64_t left, struct place *p, uint64_t *tokens, unsigned *flags)
{
    const uint64_t limit = (uint64_t)c->s->max_tokens;
    uint64_t max = (uint64_t)c->s->max_chars, low = 0, high;
    struct place best = { 0 };
    enum weft_status st;
    *p = end_of_chunk(c, x, from, at, old, left, max, flags);
    st = count_tokens(c, weft_str_sub(x->text, from, p->at), tokens);
    if (st || !limit || *tokens <= limit) return st;
    high = p->chars; /* too many */
    max = (uint64_t)((double)high * (double)limit / (double)*tokens);
    while (high > old + 1) {
        uint64_t n;
        unsigned kind;
        if (max >= high) max = high - 1;
        if (max <= old) max = old + 1;
        struct place q = end_of_chunk(c, x, from, at, old, left, max, &kind);
        st = count_tokens(c, weft_str_sub(x->text, from, q.at), &n);
        if (st) return st;
        if (n > limit) high = q.chars;
        else {
            if (q.chars > best.chars) {
                best = *p = q;
                *tokens = n;
                *flags = kind;
            }
            low = max;
        }
        if (q.chars <= old + 1 && n > limit) {
            *p = q;
            *tokens = n;
            *flags = kind;
            break;
        }
        if (low + low / 16 + 1 >= high) break;
        max = low ? low + (high - low) / 2 : high / 2;
    }
    return WEFT_OK;
}

/* A chapter, or a whole text, from begin to end.  `chapters` are all of the text. */
static enum weft_status cut(struct cutter *c, const struct weft_text *t, size_t text_idx, size_t begin,
                            size_t end, const struct weft_chapter *chapter, size_t n_chapters)
{
    struct weft_str trimmed = weft_trim(weft_str_sub(t->text, begin, end));
    struct scan x = { .text = weft_str_sub(t->text, 0, end), .end = end, .visible_end = begin };
    uint64_t left = weft_utf8_chars(weft_str_sub(t->text, begin, end)); /* not yet in a chunk */
    uint64_t old = 0;
    size_t at = begin, from = begin;
    if (trimmed.len) x.visible_end = (size_t)(trimmed.s + trimmed.len - t->text.s);
    while (at < end) {
        struct place p;
        uint64_t tokens;
        unsigned flags;
        enum weft_status st = within_tokens(c, &x, from, at, old, left, &p, &tokens, &flags);
        if (st) return st;
        if (c->s->max_tokens && tokens > (uint64_t)c->s->max_tokens) {
            if (from < at) { /* without the overlap it may fit */
                x.quote = quote_at(t->text, from, at, x.quote);
                from = at;
                old = 0;
                continue;
            }
            c->out->over_tokens++;
        }
        while (n_chapters > 1 && chapter[1].begin <= at) chapter++, n_chapters--;
        st = add_chunk(c, (struct weft_chunk){ .text_idx = text_idx,
                                               .begin = from,
                                               .end = p.at,
                                               .overlap_bytes = at - from,
                                               .chars = p.chars,
                                               .tokens = tokens,
                                               .text = weft_str_sub(t->text, from, p.at),
                                               .chapter = chapter->title,
                                               .volume = chapter->volume,
                                               .flags = flags });
        if (st) return st;
        left -= p.chars - old;
        size_t next = p.at;
        if (c->s->overlap_chars && p.at < end)
            next = overlap_from(t->text, at, p.at, (uint64_t)c->s->overlap_chars);
        x.quote = next == p.at ? p.quote : quote_at(t->text, from, next, x.quote);
        old = weft_utf8_chars(weft_str_sub(t->text, next, p.at));
        from = next;
        at = p.at;
    }
    return WEFT_OK;
}

/* ---- mode seed ---- */

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

/* for s in text.split("。"):
 *     if len(chunk) + len(s) <= max: chunk += s + "。"
 *     else: chunks.append(chunk.strip()); chunk = s
 * if chunk: chunks.append(chunk.strip()) */
static enum weft_status seed(struct cutter *c, const struct weft_text *t, size_t text_idx)
{
    const struct weft_str stop = WEFT_STR("。");
    struct weft_buf buf = { 0 };
    uint64_t chars = 0;
    size_t begin = 0, end = 0; /* of the chunk so far */
    bool last = false;
    enum weft_status st = WEFT_OK;
    for (size_t at = 0; !st;) {
        size_t to = last ? t->text.len : weft_str_find(t->text, stop, at);
        bool flush;
        struct weft_str s = { NULL, 0 };
        uint64_t n = 0;
        if (last) flush = buf.len > 0;
        else {
            s = weft_str_sub(t->text, at, to);
            n = weft_utf8_chars(s);
            flush = chars + n > (uint64_t)c->s->max_chars;
        }
        if (flush) {
            struct weft_str text = python_strip(weft_buf_view(&buf));
            struct weft_str copy = weft_str_dup(c->arena, text.s ? text : WEFT_STR(""));
            uint64_t tokens;
            if (!copy.s) st = weft_fail_nomem(c->err, text.len, "the chunks");
            if (!st) st = count_tokens(c, copy, &tokens);
            if (!st)
                st = add_chunk(c, (struct weft_chunk){ .text_idx = text_idx,
                                                       .begin = begin,
                                                       .end = end,
                                                       .chars = weft_utf8_chars(copy),
                                                       .tokens = tokens,
                                                       .text = copy });
            weft_buf_reset(&buf);
            chars = n;
            begin = at;
            weft_buf_str(&buf, s);
        } else if (!last) {
            weft_buf_str(&buf, s);
            weft_buf_str(&buf, stop);
            chars += n + 1;
        }
        if (last || st) break;
        last = to == SIZE_MAX;
        end = last ? t->text.len : to + stop.len;
        at = end;
        if (!st) st = weft_buf_check(&buf, "the chunks", c->err);
    }
    weft_buf_clear(&buf);
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

enum weft_status weft_chunk_texts(struct weft_arena *a, const struct weft_text *texts, size_t n_texts,
                                  const struct weft_chunk_settings *s,
                                  const struct weft_chunk_counter *counter,
                                  const struct weft_progress *progress, struct weft_chunks *out,
                                  struct weft_err *err)
{
    struct weft_chunks chunks = { 0 };
    struct cutter c = { a, s, counter, &chunks, err };
    enum weft_status st = check_settings(s, counter, err);
    for (size_t i = 0; i < n_texts && !st; i++) {
        const struct weft_text *t = &texts[i];
        struct weft_chapter *chapters;
        size_t n;
        for (size_t k = 0; k < t->text.len;) {
            uint32_t cp;
            k += weft_utf8_decode(t->text.s + k, t->text.len - k, &cp, NULL);
            chunks.chars++;
            chunks.visible_chars += !weft_is_space(cp);
        }
        st = weft_chapters_find(a, t, &chapters, &n, err);
        if (st || !n) break;
        for (size_t k = 0; k < n; k++) chunks.chapters += chapters[k].title.s != NULL;
        if (s->mode == WEFT_CHUNK_SEED) st = seed(&c, t, i);
        else if (s->across_chapters) st = cut(&c, t, i, 0, t->text.len, chapters, n);
        else
            for (size_t k = 0; k < n && !st; k++) {
                st = cut(&c, t, i, chapters[k].begin, chapters[k].end, &chapters[k], 1);
                weft_progress_update(progress, "cutting", chapters[k].end, t->text.len, "bytes", "");
                if (!st && weft_progress_cancelled(progress)) st = weft_fail(err, WEFT_ECANCEL, "stopped");
            }
    }
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
