/* Mode default: chunk after chunk, each ending at the best place within its limits (chunk_scan.c).
 *
 * Why greedy and not balanced: the number of chunks stays the smallest, and a changed paragraph moves only the cuts
 * up to the end of its chapter. */
#include "dataset/chunk_parts.h"
#include "dataset/chunk_scan.h"
#include "dataset/marks.h"
#include "dataset/normal.h"

/* Where the overlap with the chunk [begin, end) begins: the first sentence, or else clause, of its last `chars`. */
static size_t overlap_from(struct weft_str text, size_t begin, size_t end, uint64_t chars)
{
    size_t at = end, sentence = end, pause = end;
    bool text_behind = false; /* something visible stands between here and the boundary looked at */
    for (uint64_t n = 0; n < chars && at > begin; n++) {
        size_t from, unused;
        uint32_t cp = mark_before(text, at, &from);
        uint32_t next = chunk_next_visible(text, at, &unused);
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

/* The end of the chunk that begins at `from` and brings something new behind `at`: `old` characters of overlap, `left`
 * after it.  max: at most so many characters. */
static struct chunk_place end_of_chunk(const struct chunk_cutter *c, struct chunk_scan *x, size_t from, size_t at,
                                       uint64_t old, uint64_t left, uint64_t max, unsigned *flags)
{
    uint64_t min = (uint64_t)c->s->min_chars;
    *flags = 0;
    if (old + left <= max) return (struct chunk_place){ x->text.len, old + left, 0 };
    x->max = max;
    x->min = min < max ? min : max;
    /* The last chunk of a chapter is not to be a scrap: this one ends early enough. */
    if (old + left - max < min && old + left - x->min < max && old + left > 2 * x->min)
        x->max = old + left - x->min;
    return chunk_scan_end(x, from, at, flags);
}

/* The same within the limit of tokens too: the fullest end that a few counts find.  One new character is taken even
 * when it has too many. */
static enum weft_status within_tokens(struct chunk_cutter *c, struct chunk_scan *x, size_t from, size_t at,
                                      uint64_t old, uint64_t left, struct chunk_place *p, uint64_t *tokens,
                                      unsigned *flags)
{
    const uint64_t limit = (uint64_t)c->s->max_tokens;
    uint64_t max = (uint64_t)c->s->max_chars, low = 0, high;
    struct chunk_place best = { 0 };
    enum weft_status st;
    *p = end_of_chunk(c, x, from, at, old, left, max, flags);
    st = chunk_count_tokens(c, weft_str_sub(x->text, from, p->at), tokens);
    if (st || !limit || *tokens <= limit) return st;
    high = p->chars; /* too many */
    max = (uint64_t)((double)high * (double)limit / (double)*tokens);
    while (high > old + 1) {
        uint64_t n;
        unsigned kind;
        if (max >= high) max = high - 1;
        if (max <= old) max = old + 1;
        struct chunk_place q = end_of_chunk(c, x, from, at, old, left, max, &kind);
        st = chunk_count_tokens(c, weft_str_sub(x->text, from, q.at), &n);
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

enum weft_status chunk_cut(struct chunk_cutter *c, const struct weft_text *t, size_t text_idx, size_t begin, size_t end,
                           const struct weft_chapter *chapter, size_t n_chapters)
{
    struct weft_str trimmed = weft_trim(weft_str_sub(t->text, begin, end));
    struct chunk_scan x = { .text = weft_str_sub(t->text, 0, end), .visible_end = begin };
    uint64_t left = weft_utf8_chars_of_valid(weft_str_sub(t->text, begin, end)); /* not yet in a chunk */
    uint64_t old = 0;
    size_t at = begin, from = begin;
    if (trimmed.len) x.visible_end = (size_t)(trimmed.s + trimmed.len - t->text.s);
    while (at < end) {
        struct chunk_place p;
        uint64_t tokens;
        unsigned flags;
        enum weft_status st = within_tokens(c, &x, from, at, old, left, &p, &tokens, &flags);
        if (st) return st;
        if (c->s->max_tokens && tokens > (uint64_t)c->s->max_tokens) {
            if (from < at) { /* without the overlap it may fit */
                x.quote = chunk_quote_at(t->text, from, at, x.quote);
                from = at;
                old = 0;
                continue;
            }
            c->out->over_tokens++;
        }
        while (n_chapters > 1 && chapter[1].begin <= at) chapter++, n_chapters--;
        st = chunk_add(c, (struct weft_chunk){ .text_idx = text_idx,
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
        x.quote = next == p.at ? p.quote : chunk_quote_at(t->text, from, next, x.quote);
        old = weft_utf8_chars_of_valid(weft_str_sub(t->text, next, p.at));
        from = next;
        at = p.at;
    }
    return WEFT_OK;
}
