/* tokens/pattern.c - one function per pattern, built from the same few scans
 *
 * Chinese text is mostly runs of letters between U+4E00 and U+9FFF, English of ASCII letters: both are scanned by
 * byte without decoding; everything else goes through the class table.
 */
#include "tokens/pattern.h"

static inline bool is_ascii_letter(unsigned char c) { return (unsigned char)((c | 32) - 'a') < 26; }

/* U+4E00 - U+9FFF, all of them letters (Lo): E4 B8 80 - E9 BF BF. */
static inline bool is_han(const unsigned char *s, size_t left)
{
    return left >= 3 && (unsigned char)(s[0] - 0xE4) < 6 && (s[0] > 0xE4 || s[1] >= 0xB8);
}

static inline unsigned class_at(const struct weft_unicode *u, const unsigned char *s, size_t *n)
{
    return weft_unicode_class(u, weft_unicode_next(s, n));
}

/* End of the run of characters that have a bit of `mask`. */
static size_t run_of(const struct weft_unicode *u, const unsigned char *s, size_t len, size_t at, unsigned mask)
{
    size_t n;
    while (at < len && (class_at(u, s + at, &n) & mask)) at += n;
    return at;
}

static size_t run_of_letters(const struct weft_unicode *u, const unsigned char *s, size_t len, size_t at)
{
    size_t n;
    for (;;) {
        while (at < len && is_ascii_letter(s[at])) at++;
        while (at < len && is_han(s + at, len - at)) at += 3;
        if (at >= len) return len;
        if (is_ascii_letter(s[at])) continue;
        if (!(class_at(u, s + at, &n) & WEFT_UNI_LETTER)) return at;
        at += n;
    }
}

/* [^\s\p{L}\p{N}]+ */
static size_t run_of_others(const struct weft_unicode *u, const unsigned char *s, size_t len, size_t at)
{
    size_t n;
    while (at < len && !(class_at(u, s + at, &n) & (WEFT_UNI_SPACE | WEFT_UNI_LETTER | WEFT_UNI_NUMBER))) at += n;
    return at;
}

static size_t run_of_line_ends(const unsigned char *s, size_t len, size_t at)
{
    while (at < len && (s[at] == '\r' || s[at] == '\n')) at++;
    return at;
}

/* 's|'t|'re|'ve|'m|'ll|'d at the apostrophe s[at]: its end, or `at` when there is none.  Folding case, the long s
 * (U+017F, C5 BF) counts as s. */
static size_t contraction(const unsigned char *s, size_t len, size_t at, bool fold)
{
    size_t left = len - at;
    if (left < 2) return at;
    unsigned char a = s[at + 1], b = left > 2 ? s[at + 2] : 0;
    if (fold) {
        if (a == 0xC5 && b == 0xBF) return at + 3;
        if (a >= 'A' && a <= 'Z') a |= 32;
        if (b >= 'A' && b <= 'Z') b |= 32;
    }
    if (a == 's' || a == 't' || a == 'm' || a == 'd') return at + 2;
    if ((a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l')) return at + 3;
    return at;
}

/* \s+(?!\S)|\s+ for the white space at `at`, which some character follows or ends the text: all of it at the end
 * of the text, else all but its last character, which goes with the next word; a single one stands alone. */
static size_t spaces_before_word(const struct weft_unicode *u, const unsigned char *s, size_t len, size_t at)
{
    size_t end = at, last = at, n;
    while (end < len && (class_at(u, s + end, &n) & WEFT_UNI_SPACE)) last = end, end += n;
    return end == len || last == at ? end : last;
}

/* \s*[\r\n]+|\s+(?!\S)|\s+ : white space with a line end in it goes up to its last line end. */
static size_t spaces_with_lines(const struct weft_unicode *u, const unsigned char *s, size_t len, size_t at)
{
    size_t end = at, last = at, line_end = at, n;
    while (end < len && (class_at(u, s + end, &n) & WEFT_UNI_SPACE)) {
        last = end;
        end += n;
        if (s[last] == '\r' || s[last] == '\n') line_end = end;
    }
    if (line_end > at) return line_end;
    return end == len || last == at ? end : last;
}

static size_t next_gpt2(const struct weft_unicode *u, const unsigned char *s, size_t len, size_t at)
{
    size_t n, i = at;
    if (s[at] == '\'') {
        size_t end = contraction(s, len, at, false);
        if (end > at) return end;
    }
    unsigned c = class_at(u, s + i, &n);
    if (s[i] == ' ' && i + 1 < len) {
        unsigned after = class_at(u, s + i + 1, &n);
        if (!(after & WEFT_UNI_SPACE)) c = after, i++;
    }
    if (c & WEFT_UNI_LETTER) return run_of_letters(u, s, len, i);
    if (c & WEFT_UNI_NUMBER) return run_of(u, s, len, i, WEFT_UNI_NUMBER);
    if (c & WEFT_UNI_SPACE) return spaces_before_word(u, s, len, at);
    return run_of_others(u, s, len, i);
}

/* Qwen2 and Llama 3 differ in how many digits make a piece. */
static inline size_t next_qwen_llama(const struct weft_unicode *u, const unsigned char *s, size_t len, size_t at,
                                     int max_digits)
{
    size_t n, m;
    if (is_ascii_letter(s[at]) || is_han(s + at, len - at)) return run_of_letters(u, s, len, at + 1 + 2 * (s[at] >= 0x80));
    if (s[at] == '\'') {
        size_t end = contraction(s, len, at, true);
        if (end > at) return end;
    }
    unsigned c = class_at(u, s + at, &n);
    if (c & WEFT_UNI_LETTER) return run_of_letters(u, s, len, at + n);
    if (c & WEFT_UNI_NUMBER) {
        size_t end = at + n;
        for (int k = 1; k < max_digits && end < len && (class_at(u, s + end, &m) & WEFT_UNI_NUMBER); k++) end += m;
        return end;
    }
    if (s[at] != '\r' && s[at] != '\n' && at + n < len) {
        unsigned after = class_at(u, s + at + n, &m);
        if (after & WEFT_UNI_LETTER) return run_of_letters(u, s, len, at + n + m);
        if (s[at] == ' ' && !(after & (WEFT_UNI_SPACE | WEFT_UNI_NUMBER)))
            return run_of_line_ends(s, len, run_of_others(u, s, len, at + 1));
    }
    if (c & WEFT_UNI_SPACE) return spaces_with_lines(u, s, len, at);
    return run_of_line_ends(s, len, run_of_others(u, s, len, at));
}

static size_t next_qwen2(const struct weft_unicode *u, const unsigned char *s, size_t len, size_t at)
{
    return next_qwen_llama(u, s, len, at, 1);
}

static size_t next_llama3(const struct weft_unicode *u, const unsigned char *s, size_t len, size_t at)
{
    return next_qwen_llama(u, s, len, at, 3);
}

static const struct weft_pattern patterns[] = {
    { "gpt2", "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+", next_gpt2 },
    { "qwen2",
      "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|"
      "\\s+(?!\\S)|\\s+",
      next_qwen2 },
    { "llama3",
      "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|"
      "\\s+(?!\\S)|\\s+",
      next_llama3 },
};

const struct weft_pattern *weft_pattern_by_text(struct weft_str text)
{
    for (size_t i = 0; i < WEFT_COUNT(patterns); i++)
        if (weft_str_is(text, patterns[i].text)) return &patterns[i];
    return NULL;
}

const struct weft_pattern *weft_pattern_by_name(const char *name)
{
    for (size_t i = 0; i < WEFT_COUNT(patterns); i++)
        if (strcmp(name, patterns[i].name) == 0) return &patterns[i];
    return NULL;
}

void weft_pattern_names(struct weft_buf *out)
{
    for (size_t i = 0; i < WEFT_COUNT(patterns); i++) {
        if (i) weft_buf_cstr(out, ", ");
        weft_buf_cstr(out, patterns[i].name);
    }
}
