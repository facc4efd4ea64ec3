/* dataset/script_line.h - the grammar of one screenplay line (docs/dataset.md); inside dataset/ only
 *
 * Pure functions on text: no state, no memory but the bracket table.
 */
#ifndef WEFT_DATASET_SCRIPT_LINE_H
#define WEFT_DATASET_SCRIPT_LINE_H

#include "dataset/screenplay.h"

/* Pairs of round brackets of either width in a line, by position: openers only.  Made once a line, so that a line of
 * a million opening brackets costs no more than any other. */
struct script_bracket {
    size_t open, close;         /* byte offsets of the brackets; close SIZE_MAX: never closed */
};
struct script_brackets {
    struct script_bracket *items;
    size_t n, cap;
    size_t *stack;
    size_t cap_stack;
};
/* Fills `b` for this line; its arrays are reused and live in `a`. */
bool script_brackets_find(struct weft_arena *a, struct script_brackets *b, struct weft_str line);
/* Offset of the bracket that closes the one at `open`, if it does so before `end`; else SIZE_MAX. */
size_t script_bracket_close(const struct script_brackets *b, size_t open, size_t end);

/* Offset in [from, to) of the first "(" or "（", with `notes` also of "【"; `to` when there is none. */
size_t script_next_open(struct weft_str line, size_t from, size_t to, bool notes);

enum script_kind {
    SCRIPT_BLANK,
    SCRIPT_EPISODE,
    SCRIPT_SCENE,
    SCRIPT_BRACKETS,            /* the whole line in parentheses */
    SCRIPT_STAGE,               /* △ */
    SCRIPT_NOTE,                /* the whole line in 【】 */
    SCRIPT_OTHER                /* dialogue, or what goes on with it */
};

struct script_line {
    enum script_kind kind;
    struct weft_str text;       /* the line, trimmed */
    size_t at;                  /* offset of `text` in the line */
    int64_t number;             /* headings */
    bool resumed;               /* scene heading with （续） */
    bool nameless;              /* begins with a colon: the name is lost */
    size_t inner_from,
        inner_to; /* brackets: what is inside; nameless: where the text begins; offsets in `text` */
};
/* `b` must hold the brackets of the trimmed line. */
void script_line_classify(struct weft_str s, const struct script_brackets *b, struct script_line *out);

/* `name directions* [，]? separator text` between offsets from and to of a line. */
struct script_speech {
    struct weft_str name;       /* as written, trimmed; inner spaces still in it */
    char sep;                   /* ':' ';' ',' for the three kinds */
    size_t text_from;           /* the text runs to `to` */
    bool directed;
};
bool script_line_speech(struct weft_str line, size_t from, size_t to, const struct script_brackets *b,
                        struct script_speech *out);

/* The commonest line, found at once: a name of Chinese letters, a colon, text.  True: the line is dialogue, and
 * script_line_speech would say the same.  False decides nothing. */
bool script_line_plain(struct weft_str line, struct script_speech *out);

/* Nothing but marks that end a sentence, at least one. */
bool script_is_ending(struct weft_str s);

/* 时间 地点 旁白 ...: not a speaker. */
bool script_is_stage_word(struct weft_str name);
/* 众…, 大家, 所有人 ...: several people without names. */
bool script_is_everyone(struct weft_str name);

/* Round brackets and colons of either width. */
static inline bool script_is_open(uint32_t cp) { return cp == '(' || cp == 0xFF08; }
static inline bool script_is_close(uint32_t cp) { return cp == ')' || cp == 0xFF09; }
static inline bool script_is_colon(uint32_t cp)
{
    return cp == ':' || cp == 0xFF1A || cp == 0x2236 || cp == 0xFE55;
}

/* NAME colon TEXT at the first colon of any width, neither trimmed; false: there is none. */
static inline bool script_split(struct weft_str s, struct weft_str *name, struct weft_str *text)
{
    for (size_t i = 0; i < s.len; i++) {
        /* the first bytes of the four colons; the others of a text begin no character */
        unsigned char c = (unsigned char)s.s[i];
        if (c != ':' && c != 0xEF && c != 0xE2) continue;
        uint32_t cp;
        size_t n = weft_utf8_decode(s.s + i, s.len - i, &cp, NULL);
        if (script_is_colon(cp)) {
            *name = weft_str_sub(s, 0, i);
            *text = weft_str_skip(s, i + n);
            return true;
        }
    }
    return false;
}

static inline bool script_starts_with_bracket(struct weft_str s)
{
    uint32_t cp = 0;
    if (s.len) weft_utf8_decode(s.s, s.len, &cp, NULL);
    return script_is_open(cp);
}

#endif
