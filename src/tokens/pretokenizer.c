/* tokens/pretokenizer.c - cutting text into the words that byte-pair encoding works on
 *
 * A list of steps.  Each takes the words so far, as spans of one text, and gives finer ones; steps that
 * change the text (Metaspace, ByteLevel's prefix space) write a new one.  What nearly all tokenizers have,
 * one known pattern and ByteLevel, is recognised when the file is read and needs no spans at all
 * (`tiles`).
 */
#include "base/lang.h"
#include "tokens/tokenizer_parts.h"

#include <stdlib.h>

enum behavior { ISOLATED, REMOVED, MERGED_WITH_PREVIOUS, MERGED_WITH_NEXT, CONTIGUOUS };
enum prepend { PREPEND_ALWAYS, PREPEND_FIRST, PREPEND_NEVER };
enum kind { SPLIT, BYTE_LEVEL, METASPACE, DIGITS, WHITESPACE, WHITESPACE_SPLIT, PUNCTUATION };

struct weft_pretokenizer_step {
    enum kind kind;
    struct weft_text_pattern pattern; /* Split */
    enum behavior behavior;           /* Split, Punctuation */
    bool invert;                      /* Split */
    bool add_prefix_space, use_regex; /* ByteLevel */
    bool map;                    /* ByteLevel that is not the last step: its characters are written out */
    struct weft_str replacement; /* Metaspace */
    enum prepend prepend;        /* Metaspace */
    bool split;                  /* Metaspace */
    bool individual;             /* Digits */
};

/* ---- reading ---- */

static enum weft_status read_behavior(const struct weft_component *c, enum behavior missing,
                                      enum behavior *out, struct weft_err *err)
{
    static const char *const names[] = { "Isolated", "Removed", "MergedWithPrevious", "MergedWithNext",
                                         "Contiguous" };
    const struct weft_json_value *v = weft_json_get(c->value, "behavior");
    if (!v) return *out = missing, WEFT_OK;
    for (size_t i = 0; i < WEFT_COUNT(names); i++)
        if (v->kind == WEFT_JSON_STRING && weft_str_is(v->text, names[i]))
            return *out = (enum behavior)i, WEFT_OK;
    return weft_component_fail(
        c, "behavior must be Isolated, Removed, MergedWithPrevious, MergedWithNext or Contiguous", err);
}

static enum weft_status read_metaspace(const struct weft_component *c, struct weft_pretokenizer_step *s,
                                       struct weft_err *err)
{
    bool add_prefix_space;
    enum weft_status st = weft_component_str(c, "replacement", &s->replacement, err);
    if (!st) st = weft_component_bool(c, "split", true, &s->split, err);
    if (!st) st = weft_component_bool(c, "add_prefix_space", true, &add_prefix_space, err);
    if (st) return st;
    if (weft_utf8_chars(s->replacement) != 1)
        return weft_component_fail(c, "replacement must be one character", err);
    s->prepend = add_prefix_space ? PREPEND_ALWAYS : PREPEND_NEVER; /* the key of older files */
    const struct weft_json_value *scheme = weft_json_get(c->value, "prepend_scheme");
    if (!scheme || scheme->kind == WEFT_JSON_NULL) return WEFT_OK;
    static const char *const names[] = { "always", "first", "never" };
    for (size_t i = 0; i < WEFT_COUNT(names); i++)
        if (scheme->kind == WEFT_JSON_STRING && weft_str_is(scheme->text, names[i]))
            return s->prepend = (enum prepend)i, WEFT_OK;
    return weft_component_fail(c, "prepend_scheme must be always, first or never", err);
}

static enum weft_status add_step(void *ctx, const struct weft_component *c, struct weft_err *err)
{
    struct weft_pretokenizer *p = ctx;
    struct weft_pretokenizer_step s = { 0 };
    enum weft_status st = WEFT_OK;
    if (weft_str_is(c->type, "Split")) {
        s.kind = SPLIT;
        st = read_behavior(c, ISOLATED, &s.behavior, err);
        if (!st) st = weft_component_bool(c, "invert", false, &s.invert, err);
        if (!st) st = weft_text_pattern_read(c, &s.pattern, err);
    } else if (weft_str_is(c->type, "ByteLevel")) {
        s.kind = BYTE_LEVEL;
        st = weft_component_bool(c, "add_prefix_space", true, &s.add_prefix_space, err);
        if (!st) st = weft_component_bool(c, "use_regex", true, &s.use_regex, err);
        s.pattern.known = weft_pattern_by_name("gpt2");
    } else if (weft_str_is(c->type, "Metaspace")) {
        s.kind = METASPACE;
        st = read_metaspace(c, &s, err);
    } else if (weft_str_is(c->type, "Digits")) {
        s.kind = DIGITS;
        st = weft_component_bool(c, "individual_digits", false, &s.individual, err);
    } else if (weft_str_is(c->type, "Whitespace")) {
        s.kind = WHITESPACE;
    } else if (weft_str_is(c->type, "WhitespaceSplit")) {
        s.kind = WHITESPACE_SPLIT;
    } else if (weft_str_is(c->type, "Punctuation")) {
        s.kind = PUNCTUATION;
        st = read_behavior(c, ISOLATED, &s.behavior, err);
    } else {
        st = weft_component_unknown(
            c, "Split, ByteLevel, Metaspace, Digits, Whitespace, WhitespaceSplit, Punctuation, Sequence",
            err);
    }
    if (!st && p->n == p->cap) {
        size_t cap = p->cap ? p->cap * 2 : 8;
        struct weft_pretokenizer_step *grown = realloc(p->steps, cap * sizeof *grown);
        if (!grown) st = weft_fail_nomem(err, cap * sizeof *grown, "pre-tokenizer");
        else p->steps = grown, p->cap = cap;
    }
    if (st) weft_text_pattern_clear(&s.pattern);
    else p->steps[p->n++] = s;
    return st;
}

/* Isolated matches that tile the text, or, the same, all but the matches removed. */
static bool cuts_everywhere(const struct weft_pretokenizer_step *s)
{
    return s->kind == SPLIT && s->pattern.known && !s->pattern.known->gaps
           && (s->behavior == ISOLATED || (s->behavior == REMOVED && s->invert));
}

enum weft_status weft_pretokenizer_read(struct weft_pretokenizer *p, struct weft_arena *a,
                                        const struct weft_json *j, const struct weft_json_value *v,
                                        struct weft_err *err)
{
    enum weft_status st = weft_component_walk(a, j, "pre_tokenizer", "pretokenizers", v, add_step, p, err);
    if (st) return st;
    for (size_t i = 0; i < p->n; i++) {
        p->steps[i].map = p->steps[i].kind == BYTE_LEVEL && i + 1 < p->n;
        p->needs_origins |= p->steps[i].kind == METASPACE && p->steps[i].prepend == PREPEND_FIRST;
    }
    const struct weft_pretokenizer_step *last = p->n ? &p->steps[p->n - 1] : NULL;
    p->byte_level = last && last->kind == BYTE_LEVEL;
    if (p->byte_level && !last->add_prefix_space) {
        if (p->n == 1 && last->use_regex) p->tiles = last->pattern.known;
        if (p->n == 2 && !last->use_regex && cuts_everywhere(&p->steps[0]))
            p->tiles = p->steps[0].pattern.known;
    }
    return WEFT_OK;
}

void weft_pretokenizer_clear(struct weft_pretokenizer *p)
{
    for (size_t i = 0; i < p->n; i++) weft_text_pattern_clear(&p->steps[i].pattern);
    free(p->steps);
    *p = (struct weft_pretokenizer){ 0 };
}

/* ---- applying ---- */

struct spans {
    struct weft_span **items;
    size_t *cap, n;
};

static bool add_span(struct spans *l, size_t begin, size_t end)
{
    if (begin == end) return true;
    if (l->n == *l->cap) {
        size_t cap = *l->cap ? *l->cap * 2 : 256;
        struct weft_span *grown = realloc(*l->items, cap * sizeof *grown);
        if (!grown) return false;
        *l->items = grown;
        *l->cap = cap;
    }
    (*l->items)[l->n++] = (struct weft_span){ (uint32_t)begin, (uint32_t)end };
    return true;
}

/* Gaps and matches come in turn; what becomes of them is the behaviour's business. */
struct cutter {
    struct spans *out;
    enum behavior behavior;
    size_t begin, end; /* the piece under construction; begin == end: none */
    bool last_matched, failed;
};

static void flush(struct cutter *c)
{
    if (!add_span(c->out, c->begin, c->end)) c->failed = true;
    c->begin = c->end;
}

static void cut(struct cutter *c, size_t begin, size_t end, bool match)
{
    switch (c->behavior) {
    case REMOVED:
        if (!match && !add_span(c->out, begin, end)) c->failed = true;
        return;
    case ISOLATED:
        if (!add_span(c->out, begin, end)) c->failed = true;
        return;
    case CONTIGUOUS:
        if (c->begin < c->end && match != c->last_matched) flush(c);
        if (c->begin == c->end) c->begin = begin;
        break;
    case MERGED_WITH_PREVIOUS: /* a gap takes the one match that follows it */
        if (c->begin == c->end || !match || c->last_matched) {
            flush(c);
            c->begin = begin;
        }
        break;
    case MERGED_WITH_NEXT: /* a match takes the gap that follows it */
        if (c->begin == c->end || match || !c->last_matched) {
            flush(c);
            c->begin = begin;
        }
        break;
    }
    c->end = end;
    c->last_matched = match;
}

static void cut_end(struct cutter *c)
{
    if (c->behavior != REMOVED && c->behavior != ISOLATED) flush(c);
}

static void cut_begin(struct cutter *c, struct spans *out, enum behavior behavior, size_t at)
{
    *c = (struct cutter){ .out = out, .behavior = behavior, .begin = at, .end = at };
}

static enum weft_status split_by_pattern(const struct weft_pretokenizer_step *s, const struct weft_unicode *u,
                                         struct weft_scratch *scratch, struct weft_str text, size_t from,
                                         size_t to, struct spans *out, struct weft_err *err)
{
    struct weft_str word = weft_str_sub(text, from, to);
    struct weft_regex_walk walk = { 0, SIZE_MAX };
    struct cutter c;
    size_t at = 0;
    cut_begin(&c, out, s->kind == BYTE_LEVEL ? ISOLATED : s->behavior, from);
    for (;;) {
        size_t begin, end;
        bool found;
        enum weft_status st =
            weft_text_pattern_next(&s->pattern, u, &scratch->regex, word, &walk, &found, &begin, &end, err);
        if (st) return st;
        if (!found) break;
        if (begin > at) cut(&c, from + at, from + begin, s->invert);
        cut(&c, from + begin, from + end, !s->invert);
        at = end;
    }
    if (at < word.len) cut(&c, from + at, to, s->invert);
    cut_end(&c);
    return c.failed ? weft_fail_nomem(err, *out->cap * 2 * sizeof **out->items, "words") : WEFT_OK;
}

/* What a character is to a step that cuts by classes: equal neighbours stay together, -1 is dropped. */
static int group_of(const struct weft_pretokenizer_step *s, unsigned cls, uint32_t cp)
{
    bool ascii_punct = (cp >= 33 && cp <= 47) || (cp >= 58 && cp <= 64) || (cp >= 91 && cp <= 96)
                       || (cp >= 123 && cp <= 126);
    switch (s->kind) {
    case DIGITS: return cls & WEFT_UNI_NUMBER ? 1 : 0;
    case WHITESPACE: return cls & WEFT_UNI_SPACE ? -1 : cls & WEFT_UNI_WORD ? 1 : 0;
    case WHITESPACE_SPLIT: return cls & WEFT_UNI_SPACE ? -1 : 0;
    default: return ascii_punct || cls & WEFT_UNI_PUNCT ? 1 : 0;
    }
}

static enum weft_status split_by_class(const struct weft_pretokenizer_step *s, const struct weft_unicode *u,
                                       struct weft_str text, size_t from, size_t to, struct spans *out,
                                       struct weft_err *err)
{
    struct cutter c;
    enum behavior behavior = s->kind == PUNCTUATION               ? s->behavior
                             : s->kind == DIGITS && s->individual ? ISOLATED
                                                                  : CONTIGUOUS;
    bool single =
        s->kind == PUNCTUATION || (s->kind == DIGITS && s->individual); /* a match is one character */
    cut_begin(&c, out, behavior, from);
    for (size_t i = from, n; i < to;) {
        uint32_t cp = weft_unicode_next((const unsigned char *)text.s + i, &n);
        int group = group_of(s, weft_unicode_class(u, cp), cp);
        size_t end = i + n;
        while (end < to && !(single && group == 1)) {
            cp = weft_unicode_next((const unsigned char *)text.s + end, &n);
            if (group_of(s, weft_unicode_class(u, cp), cp) != group) break;
            end += n;
        }
        if (group >= 0) cut(&c, i, end, group == 1);
        else cut_end(&c), c.begin = c.end = end;
        i = end;
    }
    cut_end(&c);
    return c.failed ? weft_fail_nomem(err, *out->cap * 2 * sizeof **out->items, "words") : WEFT_OK;
}

/* " " becomes the replacement, one is put in front when the scheme says so. */
static void metaspace_text(const struct weft_pretokenizer_step *s, struct weft_view v,
                           struct weft_mapped *out)
{
    bool has = weft_str_starts(v.text, s->replacement) || weft_str_starts(v.text, WEFT_STR(" "));
    bool wanted =
        s->prepend == PREPEND_ALWAYS || (s->prepend == PREPEND_FIRST && weft_view_origin(v, 0) == 0);
    if (wanted && !has) weft_mapped_add(out, s->replacement, weft_view_origin(v, 0));
    for (size_t i = 0; i < v.text.len;) {
        const char *space = memchr(v.text.s + i, ' ', v.text.len - i);
        size_t end = space ? (size_t)(space - v.text.s) : v.text.len;
        weft_mapped_copy(out, v, i, end);
        if (space) weft_mapped_add(out, s->replacement, weft_view_origin(v, end++));
        i = end;
    }
}

static void byte_level_text(const struct weft_pretokenizer_step *s, struct weft_view v,
                            struct weft_mapped *out)
{
    if (s->add_prefix_space && v.text.s[0] != ' ')
        weft_mapped_add(out, WEFT_STR(" "), weft_view_origin(v, 0));
    weft_mapped_copy(out, v, 0, v.text.len);
}

/* Each byte of words [n] becomes its mapped character. */
static void map_bytes(struct weft_view v, struct weft_span *words, size_t n, struct weft_mapped *out)
{
    struct weft_byte_level map;
    weft_byte_level_init(&map);
    for (size_t k = 0; k < n; k++) {
        size_t begin = out->text.len;
        for (size_t i = words[k].begin; i < words[k].end; i++) {
            char c[4];
            size_t len = weft_utf8_encode(map.of_byte[(unsigned char)v.text.s[i]], c);
            weft_mapped_add(out, (struct weft_str){ c, len }, weft_view_origin(v, i));
        }
        words[k] = (struct weft_span){ (uint32_t)begin, (uint32_t)out->text.len };
    }
}

static bool changes_text(const struct weft_pretokenizer_step *s)
{
    return s->kind == METASPACE || (s->kind == BYTE_LEVEL && s->add_prefix_space);
}

/* Rewrites every word, one behind the other, into `to`. */
static void rewrite(const struct weft_pretokenizer_step *s, struct weft_view v, struct weft_span *words,
                    size_t n, struct weft_mapped *to)
{
    for (size_t k = 0; k < n; k++) {
        struct weft_view word = weft_view_sub(v, words[k].begin, words[k].end);
        size_t begin = to->text.len;
        if (s->kind == METASPACE) metaspace_text(s, word, to);
        else byte_level_text(s, word, to);
        words[k] = (struct weft_span){ (uint32_t)begin, (uint32_t)to->text.len };
    }
}

/* Metaspace with split: a new word before each replacement. */
static bool split_metaspace(const struct weft_pretokenizer_step *s, struct weft_str text,
                            struct weft_span word, struct spans *out)
{
    size_t at = word.begin;
    for (;;) {
        size_t next =
            at < word.end ? weft_str_find(weft_str_sub(text, 0, word.end), s->replacement, at + 1) : SIZE_MAX;
        if (next == SIZE_MAX) return add_span(out, at, word.end);
        if (!add_span(out, at, next)) return false;
        at = next;
    }
}

enum weft_status weft_pretokenizer_apply(const struct weft_pretokenizer *p, const struct weft_unicode *u,
                                         struct weft_scratch *s, bool origins, struct weft_view *v,
                                         struct weft_span **spans, size_t *n, struct weft_err *err)
{
    struct spans now = { &s->spans[0], &s->cap_spans[0], 0 }, next = { &s->spans[1], &s->cap_spans[1], 0 };
    enum weft_status st = WEFT_OK;
    int copy = 2;
    if (!add_span(&now, 0, v->text.len)) return weft_fail_nomem(err, 256 * sizeof(struct weft_span), "words");
    for (size_t i = 0; i < p->n; i++) {
        const struct weft_pretokenizer_step *step = &p->steps[i];
        if (changes_text(step)) {
            struct weft_mapped *to = &s->copy[copy];
            weft_mapped_reset(to, origins);
            rewrite(step, *v, *now.items, now.n, to);
            st = weft_buf_check(&to->text, "words", err);
            if (st) return st;
            *v = weft_mapped_view(to);
            copy ^= 1;
        }
        next.n = 0;
        bool cuts = step->kind != BYTE_LEVEL || step->use_regex;
        cuts &= step->kind != METASPACE || step->split;
        for (size_t k = 0; k < now.n && cuts && !st; k++) {
            struct weft_span w = (*now.items)[k];
            if (step->kind == SPLIT || step->kind == BYTE_LEVEL)
                st = split_by_pattern(step, u, s, v->text, w.begin, w.end, &next, err);
            else if (step->kind != METASPACE)
                st = split_by_class(step, u, v->text, w.begin, w.end, &next, err);
            else if (!split_metaspace(step, v->text, w, &next))
                st = weft_fail_nomem(err, *next.cap * 2 * sizeof(struct weft_span), "words");
        }
        if (st) return st;
        if (cuts) {
            struct spans swap = now;
            now = next;
            next = swap;
        }
        if (step->map) {
            struct weft_mapped *to = &s->copy[copy];
            weft_mapped_reset(to, origins);
            map_bytes(*v, *now.items, now.n, to);
            st = weft_buf_check(&to->text, "words", err);
            if (st) return st;
            *v = weft_mapped_view(to);
            copy ^= 1;
        }
    }
    *spans = *now.items;
    *n = now.n;
    return WEFT_OK;
}
