/* From a place near the limit on to the limit, remembering the last place of each kind where the chunk may end; the
 * best kind that was met decides.
 *
 * Nearly every chunk ends with a sentence a few characters before its limit, so the looking begins there: at 48
 * characters before it, then at a quarter of the chunk, and only a chunk without a sentence in it is read from its
 * beginning.  What is known at the beginning of the chunk has to be known there too: the open quote, which is followed
 * from mark to mark; all else is forgotten behind a letter. */
#include "dataset/chunk_scan.h"

#include "dataset/chunk.h"
#include "dataset/marks.h"
#include "dataset/normal.h"
#include "dataset/quote_next.h"

#include <utf8proc.h>

/* Of a quote that costs at most so much of the limit a chunk stays outside. */
enum { OUTSIDE_PERCENT = 15 };

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

uint32_t chunk_quote_at(struct weft_str text, size_t from, size_t to, uint32_t open)
{
    for (size_t i = from; (i = quote_next(text, i, to)) < to;) {
        uint32_t cp, before = 0;
        size_t unused;
        if (i > from) before = mark_before(text, i, &unused);
        i += weft_utf8_decode(text.s + i, text.len - i, &cp, NULL);
        follow_quote(&open, before, cp, mark_at(text, i));
    }
    return open;
}

uint32_t chunk_next_visible(struct weft_str s, size_t at, size_t *where)
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

/* ---- the places of a stretch ---- */

/* Where the looking begins, and what is known there. */
struct start {
    size_t at;
    uint64_t chars;
    uint32_t quote;
    uint32_t before;        /* the character before; 0: the chunk begins here */
};

/* The last places of each kind. */
struct places {
    struct chunk_place sentence, sentence_out, pause, pause_out, space, any, cluster, character;
};

/* Looks from `s` up to x->max characters; places before `fresh` do not count. */
static void find_places(const struct chunk_scan *x, struct start s, size_t fresh, struct places *p)
{
    const size_t end = x->text.len;
    uint32_t quote = s.quote, before = s.before, visible = 0;
    size_t visible_at = 0, at = s.at;
    uint64_t chars = s.chars;
    int32_t joins = 0;
    bool ended = false, latin_stop = false, line_has_text = s.before != 0;
    *p = (struct places){ 0 };
    while (at < end && chars < x->max) {
        uint32_t cp, next;
        at += weft_utf8_decode(x->text.s + at, end - at, &cp, NULL);
        chars++;
        next = mark_at(x->text, at);
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
        if (at <= fresh || at >= end) continue;
        struct chunk_place here = { at, chars, quote };
        p->character = here;
        if (!breaks) continue;
        p->cluster = here;
        if (chars < x->min) continue;
        if (at > visible_at) visible = chunk_next_visible(x->text, at, &visible_at);
        /* A chunk does not begin with what closes a quote or ends a sentence, nor with white space alone. */
        if (at >= x->visible_end || mark_is_closer(visible) || (visible && visible == quote)
            || mark_is_end(visible) || mark_is_pause(visible))
            continue;
        p->any = here;
        if (ended) {
            p->sentence = here;
            if (!quote) p->sentence_out = here;
        }
        if (wrapped || (mark_is_pause(cp) && !(next >= '0' && next <= '9'))) {
            p->pause = here;
            if (!quote) p->pause_out = here;
        }
        if (space) p->space = here;
    }
}

/* ---- which of them ---- */

static bool is_near(uint64_t last, uint64_t chars, uint64_t max)
{
    return (last - chars) * 100 <= max * OUTSIDE_PERCENT;
}

/* Outside a quote when that costs little. */
static struct chunk_place outside(struct chunk_place last, struct chunk_place out, uint64_t max)
{
    return out.at && is_near(last.chars, out.chars, max) ? out : last;
}

static struct chunk_place choose(const struct places *x, uint64_t max, unsigned *flags)
{
    struct chunk_place p;
    *flags = 0;
    if (x->sentence.at) p = outside(x->sentence, x->sentence_out, max);
    else if (x->pause.at) {
        p = outside(x->pause, x->pause_out, max);
        *flags = WEFT_CHUNK_AT_PAUSE;
    } else {
        p = x->space.at ? x->space : x->any.at ? x->any : x->cluster.at ? x->cluster : x->character;
        *flags = WEFT_CHUNK_FORCED;
    }
    if (p.quote) *flags |= WEFT_CHUNK_IN_QUOTE;
    return p;
}

/* A letter behind which nothing is remembered: no mark, no space, joined to nothing. */
static bool is_letter_byte(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= 0xE4 && c <= 0xE9);
}

/* A start at most `back` characters before the limit: between two letters.  False: none near there. */
static bool start_near(const struct chunk_scan *x, size_t from, uint64_t back, struct start *out)
{
    enum { TRIES = 64 };
    uint64_t chars = x->max - back;
    size_t at = from + weft_utf8_offset_of_valid(weft_str_skip(x->text, from), (size_t)chars);
    for (int i = 0; i < TRIES && at < x->text.len && chars < x->max; i++) {
        uint32_t cp;
        bool letter = is_letter_byte((unsigned char)x->text.s[at]);
        at += weft_utf8_decode(x->text.s + at, x->text.len - at, &cp, NULL);
        chars++;
        if (!letter || at >= x->text.len || !is_letter_byte((unsigned char)x->text.s[at])) continue;
        *out = (struct start){ at, chars, chunk_quote_at(x->text, from, at, x->quote), cp };
        return true;
    }
    return false;
}

struct chunk_place chunk_scan_whole(const struct chunk_scan *x, size_t from, size_t fresh, unsigned *flags)
{
    struct places p;
    find_places(x, (struct start){ from, 0, x->quote, 0 }, fresh, &p);
    return choose(&p, x->max, flags);
}

struct chunk_place chunk_scan_end(const struct chunk_scan *x, size_t from, size_t fresh, unsigned *flags)
{
    const uint64_t backs[] = { 48, x->max * (OUTSIDE_PERCENT + 10) / 100 };
    struct places p;
    for (size_t i = 0; i < WEFT_COUNT(backs); i++) {
        struct start s;
        if (backs[i] * 2 > x->max || !start_near(x, from, backs[i], &s)) continue;
        find_places(x, s, fresh, &p);
        /* An end of a sentence before the start matters only to one inside a quote, and only when it is near. */
        if (p.sentence.at && (p.sentence_out.at || !is_near(p.sentence.chars, s.chars, x->max)))
            return choose(&p, x->max, flags);
    }
    return chunk_scan_whole(x, from, fresh, flags);
}
