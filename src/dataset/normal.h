/* dataset/normal.h - texts made comparable: trimming, NFC, folded white space */
#ifndef WEFT_DATASET_NORMAL_H
#define WEFT_DATASET_NORMAL_H

#include "base/str.h"

/* White space as a writer sees it: Unicode's, and zero width space and BOM, which stray into copied text. */
bool weft_is_space(uint32_t cp);
/* How many characters of UTF-8 are such. */
size_t weft_count_spaces(struct weft_str s);

/* Can white space begin with this byte?  Most text answers here. */
static inline bool weft_may_be_space(unsigned char c)
{
    return c <= ' ' || c == 0xC2 || (c >= 0xE1 && c <= 0xE3) || c == 0xEF;
}

/* Ends, for all one sees at once, in something else than white space: ASCII, U+4000..U+9FFF, and 。 and the full-width
 * marks that end most lines (U+3001..U+303F, U+FF00..U+FF7F).  False decides nothing. */
static inline bool weft_ends_in_ink(struct weft_str s)
{
    unsigned char last = s.len ? (unsigned char)s.s[s.len - 1] : 0, second, first;
    if (last < 0x80) return last > ' ';
    if (s.len < 3 || (last & 0xC0) != 0x80) return false;
    second = (unsigned char)s.s[s.len - 2];
    first = (unsigned char)s.s[s.len - 3];
    if (first >= 0xE4 && first <= 0xE9) return (second & 0xC0) == 0x80;
    return (first == 0xE3 && second == 0x80 && last != 0x80) || (first == 0xEF && (second | 1) == 0xBD);
}

/* Without white space at its beginning, at its end, at both. */
struct weft_str weft_trim_left_space(struct weft_str s);
struct weft_str weft_trim_right_space(struct weft_str s);
static inline struct weft_str weft_trim_left(struct weft_str s)
{
    return s.len && weft_may_be_space((unsigned char)s.s[0]) ? weft_trim_left_space(s) : s;
}
static inline struct weft_str weft_trim_right(struct weft_str s)
{
    return weft_ends_in_ink(s) ? s : weft_trim_right_space(s);
}
static inline struct weft_str weft_trim(struct weft_str s) { return weft_trim_right(weft_trim_left(s)); }

/* Canonical composition.  Returns `s` itself where nothing changes, else a copy in `a`; s == NULL: no memory. */
WEFT_MUST_USE struct weft_str weft_nfc(struct weft_arena *a, struct weft_str s);

/* Would it certainly return `s`?  False decides nothing. */
bool weft_nfc_keeps(struct weft_str s);

/* Text for comparing: NFC, runs of white space as one space, trimmed.  As weft_nfc. */
WEFT_MUST_USE struct weft_str weft_normalise(struct weft_arena *a, struct weft_str s);

/* One look at a text (UTF-8) for all that the check wants to know of it. */
enum { WEFT_SPOTS = 64 };
struct weft_survey {
    size_t chars;
    bool bracket;               /* it has a '<' or a '[' */
    size_t n_spots;             /* WEFT_SPOTS + 1: more than there is room for */
    size_t spots[WEFT_SPOTS];   /* offsets of the characters that weft_normalise may change or be stopped by */
};
void weft_survey(struct weft_str s, struct weft_survey *out);
void weft_survey_plain(struct weft_str s, struct weft_survey *out);     /* the definition, and for tests */
/* weft_normalise of a text that was surveyed; `trimmed` is its weft_trim. */
WEFT_MUST_USE struct weft_str weft_normalise_surveyed(struct weft_arena *a, struct weft_str s, struct weft_str trimmed,
                                                      const struct weft_survey *survey);

/* Characters from CJK blocks and full-width forms: between these no space is set. */
static inline bool weft_is_wide(uint32_t cp) { return cp >= 0x2E80 || (cp >= 0x2010 && cp <= 0x205E); }

#endif
