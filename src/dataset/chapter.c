/* Headings by form, not by layout: indentation and blank lines are the first thing that conversions of books lose. */
#include "dataset/chapter.h"

#include "dataset/grow.h"
#include "dataset/marks.h"
#include "dataset/normal.h"
#include "dataset/screenplay.h"

enum {
    MAX_CHARS = 40,      /* of a Chinese heading */
    MAX_BARE_CHARS = 24, /* with nothing between unit and title */
    MAX_LATIN_CHARS = 80
};

static bool is_number(uint32_t cp)
{
    static const char digits[] = "零〇○一二两三四五六七八九十百千廿卅";
    if ((cp >= '0' && cp <= '9') || (cp >= 0xFF10 && cp <= 0xFF19)) return true;
    if (cp < 0x3000) return cp == 0x25CB;
    char utf8[4];
    size_t n = weft_utf8_encode(cp, utf8);
    return weft_str_find(WEFT_STR(digits), (struct weft_str){ utf8, n }, 0) != SIZE_MAX;
}

static size_t skip_space(struct weft_str s, size_t at)
{
    while (at < s.len) {
        uint32_t cp;
        size_t n = weft_utf8_decode(s.s + at, s.len - at, &cp, NULL);
        if (!weft_is_space(cp)) break;
        at += n;
    }
    return at;
}

/* A title has no sentence in it; behind a bare unit not even a pause. */
static bool is_title(struct weft_str s, bool bare)
{
    for (size_t i = 0; i < s.len;) {
        uint32_t cp;
        i += weft_utf8_decode(s.s + i, s.len - i, &cp, NULL);
        if (cp == 0x3002 || cp == 0xFF1B || cp == ';' || mark_closer_of(cp) || mark_is_quote_closer(cp))
            return false;
        if (bare && (mark_is_end(cp) || mark_is_pause(cp) || mark_is_colon(cp))) return false;
        /* a title may ask or cry out at its end, not go on behind it */
        if (mark_is_end(cp) && cp != 0x2026 && i < s.len && !mark_is_end(mark_at(s, i))
            && mark_at(s, i) != 0xFF09 && mark_at(s, i) != ')')
            return false;
    }
    return true;
}

/* Characters behind 第三节 that make it part of a sentence: 第三节课, 第一回的时候. */
static bool goes_on(uint32_t cp)
{
    static const char words[] = "的课里中时得了是在我你他她它们就都也着过见来去";
    char utf8[4];
    size_t n = cp ? weft_utf8_encode(cp, utf8) : 0;
    return n && weft_str_find(WEFT_STR(words), (struct weft_str){ utf8, n }, 0) != SIZE_MAX;
}

static bool is_separator(uint32_t cp)
{
    return weft_is_space(cp) || mark_is_colon(cp) || cp == 0x3001 || cp == '.' || cp == 0xFF0E || cp == 0xB7
           || cp == '-' || cp == 0x2014 || cp == 0x2500 || cp == '_' || cp == 0x300A || cp == 0xFF08
           || cp == '(';
}

/* The rest of a heading from `at`: nothing, or a title. */
static bool title_fits(struct weft_str s, size_t at)
{
    uint32_t cp = mark_at(s, at);
    size_t chars = weft_utf8_chars(s);
    if (!cp) return true;
    if (is_separator(cp)) return chars <= MAX_CHARS && is_title(weft_str_skip(s, at), false);
    return chars <= MAX_BARE_CHARS && !goes_on(cp) && is_title(weft_str_skip(s, at), true);
}

static int unit_level(uint32_t cp)
{
    switch (cp) {
    case 0x5377:
    case 0x90E8:
    case 0x7BC7:
    case 0x96C6: return 0; /* 卷 部 篇 集 */
    case 0x56DE:
    case 0x7AE0:
    case 0x6298:
    case 0x8BDD:
    case 0x8A71: return 1; /* 回 章 折 话 話 */
    case 0x8282:
    case 0x7BC0: return 2; /* 节 節 */
    default: return -1;
    }
}

/* 第 number unit title. */
static bool numbered(struct weft_str s, struct weft_heading *out)
{
    if (!weft_str_starts(s, WEFT_STR("第"))) return false;
    size_t from = skip_space(s, strlen("第")), to = from, at;
    while (to < s.len && is_number(mark_at(s, to))) {
        uint32_t cp;
        to += weft_utf8_decode(s.s + to, s.len - to, &cp, NULL);
    }
    at = skip_space(s, to);
    int level = unit_level(mark_at(s, at));
    if (to == from || level < 0) return false;
    at += 3;
    if (!title_fits(s, at)) return false;
    out->level = level;
    out->number = weft_chinese_number(weft_str_sub(s, from, to));
    return true;
}

/* 卷三 标题, 卷之三, 番外二 */
static bool unit_first(struct weft_str s, struct weft_heading *out)
{
    static const char *const units[] = { "卷之", "卷", "番外篇", "番外" };
    for (size_t i = 0; i < WEFT_COUNT(units); i++) {
        if (!weft_str_starts(s, weft_str_c(units[i]))) continue;
        size_t from = skip_space(s, strlen(units[i])), to = from;
        while (to < s.len && is_number(mark_at(s, to))) {
            uint32_t cp;
            to += weft_utf8_decode(s.s + to, s.len - to, &cp, NULL);
        }
        if (to == from || (to < s.len && !is_separator(mark_at(s, to))) || !title_fits(s, to)) continue;
        out->level = i < 2 ? 0 : 1;
        out->number = weft_chinese_number(weft_str_sub(s, from, to));
        return true;
    }
    return false;
}

static bool named(struct weft_str s, struct weft_heading *out)
{
    static const char *const words[] = { "楔子",     "序章",     "序言",     "自序",    "序幕",   "序",
                                         "前言",     "引子",     "引言",     "尾声",    "终章",   "后记",
                                         "後記",     "跋",       "番外篇",   "番外",    "大结局", "Prologue",
                                         "PROLOGUE", "Epilogue", "EPILOGUE", "Preface", "PREFACE" };
    for (size_t i = 0; i < WEFT_COUNT(words); i++) {
        struct weft_str word = weft_str_c(words[i]);
        if (!weft_str_starts(s, word)) continue;
        if (s.len > word.len && (!is_separator(mark_at(s, word.len)) || !title_fits(s, word.len))) continue;
        out->level = 1;
        out->number = 0;
        return true;
    }
    return false;
}

static bool same_word(struct weft_str s, size_t at, const char *word)
{
    size_t n = strlen(word);
    if (s.len - at < n) return false;
    for (size_t i = 0; i < n; i++)
        if ((s.s[at + i] | 0x20) != word[i]) return false;
    unsigned char next = at + n < s.len ? (unsigned char)s.s[at + n] | 0x20 : ' ';
    return !(next >= 'a' && next <= 'z');
}

/* The length of a number at `at`: 12, XIV, twelve; 0: none. */
static size_t latin_number(struct weft_str s, size_t at, int64_t *number)
{
    static const char *const words[] = { "one",     "two",       "three",    "four",     "five",
                                         "six",     "seven",     "eight",    "nine",     "ten",
                                         "eleven",  "twelve",    "thirteen", "fourteen", "fifteen",
                                         "sixteen", "seventeen", "eighteen", "nineteen", "twenty" };
    size_t n = 0;
    int64_t total = 0, before = 0;
    while (at + n < s.len && s.s[at + n] >= '0' && s.s[at + n] <= '9' && n < 9)
        total = total * 10 + s.s[at + n++] - '0';
    if (n) {
        *number = total;
        return n;
    }
    for (size_t i = 0; i < WEFT_COUNT(words); i++)
        if (same_word(s, at, words[i])) {
            *number = (int64_t)i + 1;
            return strlen(words[i]);
        }
    for (; at + n < s.len; n++) { /* roman, from the left: a digit above the one before takes it off twice */
        int64_t v;
        switch (s.s[at + n]) {
        case 'I': v = 1; break;
        case 'V': v = 5; break;
        case 'X': v = 10; break;
        case 'L': v = 50; break;
        case 'C': v = 100; break;
        default: v = 0; break;
        }
        if (!v || n > 12) break;
        total += v > before && before ? v - 2 * before : v;
        before = v;
    }
    *number = total;
    return n;
}

static bool latin(struct weft_str s, struct weft_heading *out)
{
    static const struct {
        const char *word;
        int level;
    } words[] = { { "chapter", 1 }, { "part", 0 }, { "book", 0 }, { "volume", 0 }, { "section", 2 } };
    for (size_t i = 0; i < WEFT_COUNT(words); i++) {
        size_t n = strlen(words[i].word), at, digits;
        if (!same_word(s, 0, words[i].word) || (s.s[0] & 0x20)) continue; /* "part two of it": begins small */
        at = skip_space(s, n);
        digits = at > n ? latin_number(s, at, &out->number) : 0;
        if (!digits || weft_utf8_chars(s) > MAX_LATIN_CHARS) continue;
        at += digits;
        /* a title behind a colon, a stop or a dash; "Chapter 3 was long." is a sentence */
        if (at < s.len
            && !(s.s[at] == '.' || mark_is_colon(mark_at(s, at)) || mark_at(s, skip_space(s, at)) == '-'
                 || mark_at(s, skip_space(s, at)) == 0x2014 || mark_at(s, skip_space(s, at)) >= 0x2E80))
            continue;
        out->level = words[i].level;
        return true;
    }
    return false;
}

/* Can a heading, or a mark in front of one, begin like this?  Nearly every line of a text answers here: no.  The words
 * are those of weft_heading_read and of what it asks, by their first character. */
static bool may_be_heading(struct weft_str s)
{
    static const char firsts[] = "【《〖正第卷番楔序自前引尾终后後跋大";
    if (!s.len) return false;
    unsigned char c = (unsigned char)s.s[0];
    if (c < 0x80) return c == '#' || c == '[' || c == '=' || (c >= 'A' && c <= 'Z');
    if (s.len < 3) return false;
    bool found = false;
    for (size_t i = 0; i < sizeof firsts - 1; i += 3) found |= memcmp(firsts + i, s.s, 3) == 0;
    return found;
}

bool weft_heading_read(struct weft_str line, struct weft_heading *out)
{
    static const struct {
        const char *open, *close;
    } around[] = { { "【", "】" }, { "[", "]" }, { "《", "》" }, { "〖", "〗" }, { "==", "==" } };
    struct weft_str s;
    /* Most lines are longer than any heading: they cost nothing. */
    if (line.len > 4096 || !may_be_heading(s = weft_trim_left(line))) return false;
    s = weft_trim(s);
    while (s.len && s.s[0] == '#') s = weft_str_skip(s, 1);
    s = weft_trim(s);
    for (size_t i = 0; i < WEFT_COUNT(around); i++) {
        struct weft_str open = weft_str_c(around[i].open), close = weft_str_c(around[i].close);
        if (s.len > open.len + close.len && weft_str_starts(s, open) && weft_str_ends(s, close))
            s = weft_trim(weft_str_sub(s, open.len, s.len - close.len));
    }
    if (weft_str_starts(s, WEFT_STR("正文"))) {
        size_t at = strlen("正文");
        if (at < s.len && is_separator(mark_at(s, at))) s = weft_str_skip(s, skip_space(s, at));
    }
    if (!s.len || s.len > 4 * MAX_LATIN_CHARS) return false;
    *out = (struct weft_heading){ .text = s };
    return numbered(s, out) || unit_first(s, out) || named(s, out) || latin(s, out);
}

/* Nothing, or the title of the book and its author: no chapter of its own. */
static bool is_front(struct weft_str s)
{
    s = weft_trim(s);
    if (weft_utf8_chars(s) > 2 * MAX_CHARS) return false;
    for (size_t i = 0; i < s.len;) {
        uint32_t cp;
        i += weft_utf8_decode(s.s + i, s.len - i, &cp, NULL);
        if (mark_is_end(cp)) return false;
    }
    return true;
}

enum weft_status weft_chapters_find(struct weft_arena *a, const struct weft_text *t,
                                    struct weft_chapter **out, size_t *n, struct weft_err *err)
{
    struct weft_chapter *list = NULL;
    size_t len = 0, cap = 0;
    struct weft_str volume = { NULL, 0 };
    bool in_run = false, deep = false; /* deep: the run has met a chapter, so a volume opens the next one */
    for (size_t i = 0; i < t->n_lines; i++) {
        struct weft_str line = weft_text_line(t, i);
        struct weft_heading h;
        bool heading = weft_heading_read(line, &h);
        if (!heading && in_run && !weft_trim(line).len) continue;
        if (heading && (!in_run || (h.level == 0 && deep))) {
            bool front = !len && is_front(weft_str_sub(t->text, 0, t->lines[i].at));
            deep = false;
            if (!WEFT_GROW(a, list, len, cap)) return weft_fail_nomem(err, sizeof *list, "the chapters");
            if (!len && !front) { /* what stands before the first heading */
                list[len++] = (struct weft_chapter){ .begin = 0 };
                if (!WEFT_GROW(a, list, len, cap)) return weft_fail_nomem(err, sizeof *list, "the chapters");
            }
            if (len) list[len - 1].end = t->lines[i].at;
            list[len] = (struct weft_chapter){ .begin = len ? t->lines[i].at : 0, .first_line = i };
            len++;
        }
        if (heading) {
            deep |= h.level > 0;
            if (h.level == 0) volume = h.text;
            list[len - 1].title = h.text;
            list[len - 1].volume = volume;
            list[len - 1].body = t->lines[i + 1].at;
        }
        in_run = heading;
    }
    if (!len && t->text.len) {
        if (!WEFT_GROW(a, list, len, cap)) return weft_fail_nomem(err, sizeof *list, "the chapters");
        list[len++] = (struct weft_chapter){ .begin = 0 };
    }
    if (len) list[len - 1].end = t->text.len;
    *out = list;
    *n = len;
    return WEFT_OK;
}
