/* tokens/pattern.c - one function per pattern, built from the same few scans
 *
 * Each function is the pattern's ordered choice with its backtracking worked out by hand;
 * tests/parity/tokens.py compares them with the reference on all code points. Chinese text is mostly runs
 * of letters between U+4E00 and U+9FFF, English of ASCII letters: both are scanned by byte without
 * decoding; everything else goes through the class table.
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
static size_t run_of(const struct weft_unicode *u, const unsigned char *s, size_t len, size_t at,
                     unsigned mask)
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
    while (at < len && !(class_at(u, s + at, &n) & (WEFT_UNI_SPACE | WEFT_UNI_LETTER | WEFT_UNI_NUMBER)))
        at += n;
    return at;
}

static size_t run_of_line_ends(const unsigned char *s, size_t len, size_t at)
{
    while (at < len && (s[at] == '\r' || s[at] == '\n')) at++;
    return at;
}

/* 's|'t|'re|'ve|'m|'ll|'d at the apostrophe s[at]: its end, or `at` when there is none.  Folding case, the
 * long s (U+017F, C5 BF) counts as s. */
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

/* \s+(?!\S)|\s+ for the white space at `at`, which some character follows or ends the text: all of it at
 * the end of the text, else all but its last character, which goes with the next word; a single one stands
 * alone. */
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
static inline size_t next_qwen_llama(const struct weft_unicode *u, const unsigned char *s, size_t len,
                                     size_t at, int max_digits)
{
    size_t n, m;
    if (is_ascii_letter(s[at]) || is_han(s + at, len - at))
        return run_of_letters(u, s, len, at + 1 + 2 * (s[at] >= 0x80));
    if (s[at] == '\'') {
        size_t end = contraction(s, len, at, true);
        if (end > at) return end;
    }
    unsigned c = class_at(u, s + at, &n);
    if (c & WEFT_UNI_LETTER) return run_of_letters(u, s, len, at + n);
    if (c & WEFT_UNI_NUMBER) {
        size_t end = at + n;
        for (int k = 1; k < max_digits && end < len && (class_at(u, s + end, &m) & WEFT_UNI_NUMBER); k++)
            end += m;
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

/* [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}] and [\p{Ll}\p{Lm}\p{Lo}\p{M}]: letters without case and marks are in
 * both. */
static inline bool is_upper(unsigned c)
{
    return (c & (WEFT_UNI_LETTER | WEFT_UNI_MARK)) && !(c & WEFT_UNI_LOWER);
}
static inline bool is_lower(unsigned c)
{
    return (c & (WEFT_UNI_LETTER | WEFT_UNI_MARK)) && !(c & WEFT_UNI_UPPER);
}

/* upper*lower+ from `at`, or else upper+lower*: its end, or `at` when neither matches.  upper* takes all
 * it can and gives back until lower+ has its first: up to the last that is in both.  *first: it was the
 * first of the two. */
static size_t cased_word(const struct weft_unicode *u, const unsigned char *s, size_t len, size_t at,
                         bool *first)
{
    size_t upper = at, both = at, n; /* end of upper*; end of the last in it that is lower too */
    while (upper < len) {
        if (is_han(s + upper, len - upper)) {
            both = upper += 3;
            continue;
        }
        unsigned c = class_at(u, s + upper, &n);
        if (!is_upper(c)) break;
        upper += n;
        if (is_lower(c)) both = upper;
    }
    size_t end = upper;
    while (end < len && is_lower(class_at(u, s + end, &n))) end += n;
    *first = end > upper || both > at;
    if (end > upper) return end;
    return both > at ? both : upper;
}

/* Tekken and o200k differ in how many digits make a piece and in whether a word takes its contraction
 * along. */
static inline size_t next_cased(const struct weft_unicode *u, const unsigned char *s, size_t len, size_t at,
                                int max_digits, bool contractions)
{
    size_t n, m = 0, end;
    unsigned c = class_at(u, s + at, &n);
    bool line_end = s[at] == '\r' || s[at] == '\n';
    if (c & WEFT_UNI_NUMBER) {
        end = at + n;
        for (int k = 1; k < max_digits && end < len && (class_at(u, s + end, &m) & WEFT_UNI_NUMBER); k++)
            end += m;
        return end;
    }
    if (!line_end) {
        /* One character that is no letter may stand before the word; a mark may be that, or begin the word
         * itself. */
        size_t word = c & WEFT_UNI_LETTER ? at : at + n;
        bool first;
        end = cased_word(u, s, len, word, &first);
        if (c & WEFT_UNI_MARK && !first) end = at + n; /* the mark by itself is upper*lower+ */
        else if (end == word) end = at;
        if (end > at) {
            if (contractions && end < len && s[end] == '\'') end = contraction(s, len, end, true);
            return end;
        }
        bool space = s[at] == ' ' && at + 1 < len
                     && !(class_at(u, s + at + 1, &m) & (WEFT_UNI_SPACE | WEFT_UNI_LETTER | WEFT_UNI_NUMBER));
        if (space || !(c & WEFT_UNI_SPACE)) {
            end = run_of_others(u, s, len, space ? at + 1 : at);
            while (end < len && (s[end] == '\r' || s[end] == '\n' || s[end] == '/')) end++;
            return end;
        }
    }
    return spaces_with_lines(u, s, len, at);
}

static size_t next_tekken(const struct weft_unicode *u, const unsigned char *s, size_t len, size_t at)
{
    return next_cased(u, s, len, at, 1, false);
}

static size_t next_o200k(const struct weft_unicode *u, const unsigned char *s, size_t len, size_t at)
{
    return next_cased(u, s, len, at, 3, true);
}

/* \p{N}{1,3}, and what lies between. */
static size_t next_digits3(const struct weft_unicode *u, const unsigned char *s, size_t len, size_t at)
{
    size_t n, end = at;
    int digits = 0;
    while (end < len && digits < 3 && (class_at(u, s + end, &n) & WEFT_UNI_NUMBER)) end += n, digits++;
    while (end < len && !digits && !(class_at(u, s + end, &n) & WEFT_UNI_NUMBER)) end += n;
    return end;
}

/* [一-龥぀-ゟ゠-ヿ]+: U+4E00 - U+9FA5, U+3040 - U+30FF; and what lies between. */
static inline bool is_chinese_or_kana(uint32_t c)
{
    return (c >= 0x4E00 && c <= 0x9FA5) || (c >= 0x3040 && c <= 0x30FF);
}

static size_t next_chinese_kana(const struct weft_unicode *u, const unsigned char *s, size_t len, size_t at)
{
    size_t n;
    bool first = is_chinese_or_kana(weft_unicode_next(s + at, &n));
    size_t end = at + n;
    while (end < len && is_chinese_or_kana(weft_unicode_next(s + end, &n)) == first) end += n;
    return end;
}

static inline bool is_ascii_punct(unsigned char c)
{
    return (c >= 33 && c <= 47) || (c >= 58 && c <= 64) || (c >= 91 && c <= 96) || (c >= 123 && c <= 126);
}

/* DeepSeek's third pattern.  Control characters, private and unassigned ones match only before a letter;
 * the rest of them are gaps. */
static size_t next_deepseek(const struct weft_unicode *u, const unsigned char *s, size_t len, size_t at)
{
    enum { WORD = WEFT_UNI_LETTER | WEFT_UNI_MARK, SIGN = WEFT_UNI_PUNCT | WEFT_UNI_SYMBOL };
    size_t n, m = 0, end = at;
    unsigned c = class_at(u, s + at, &n), after = at + n < len ? class_at(u, s + at + n, &m) : 0;
    if (is_ascii_punct(s[at]) && at + 1 < len && is_ascii_letter(s[at + 1])) {
        for (end = at + 2; end < len && is_ascii_letter(s[end]);) end++;
        return end;
    }
    if (c & WORD) return run_of(u, s, len, at + n, WORD);
    if (!(c & SIGN) && s[at] != '\r' && s[at] != '\n' && after & WORD)
        return run_of(u, s, len, at + n + m, WORD);
    if (c & SIGN || (s[at] == ' ' && after & SIGN))
        return run_of_line_ends(s, len, run_of(u, s, len, at + n, SIGN));
    if (c & WEFT_UNI_SPACE) return spaces_with_lines(u, s, len, at);
    for (end = at + n; end < len; end += n) {
        c = class_at(u, s + end, &n);
        if (c & (WORD | SIGN | WEFT_UNI_SPACE)) return end;
        if (end + n < len && class_at(u, s + end + n, &m) & WORD) return end;
    }
    return end;
}

#define UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define CASED(suffix)                                                                                        \
    "[^\\r\\n\\p{L}\\p{N}]?" UPPER "*" LOWER "+" suffix "|[^\\r\\n\\p{L}\\p{N}]?" UPPER "+" LOWER "*" suffix \
    "|"
#define SHORT_FORMS "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define SIGNS "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define SIGNS_SLASH "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define DEEPSEEK(cr_lf)                                                                                      \
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^" cr_lf                                         \
    "\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[" cr_lf "]*|\\s*[" cr_lf "]+|\\s+(?!\\S)|\\s+"

static const struct weft_pattern patterns[] = {
    { "gpt2", "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+", next_gpt2,
      false },
    { "qwen2", SHORT_FORMS "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}" SIGNS, next_qwen2, false },
    { "llama3", SHORT_FORMS "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}" SIGNS, next_llama3, false },
    { "tekken", CASED("") "\\p{N}" SIGNS_SLASH, next_tekken, false },
    { "o200k", CASED(SHORT_FORMS "?") "\\p{N}{1,3}" SIGNS_SLASH, next_o200k, false },
    { "digits3", "\\p{N}{1,3}", next_digits3, true },
    { "chinese-kana", "[一-龥぀-ゟ゠-ヿ]+", next_chinese_kana, true },
    { "deepseek", DEEPSEEK("\\r\\n"), next_deepseek, true },
    { "deepseek-raw", DEEPSEEK("\r\n"), next_deepseek, true },
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
        if (!patterns[i].gaps && strcmp(name, patterns[i].name) == 0) return &patterns[i];
    return NULL;
}

void weft_pattern_names(struct weft_buf *out)
{
    for (size_t i = 0; i < WEFT_COUNT(patterns); i++) {
        if (patterns[i].gaps) continue;
        if (i) weft_buf_cstr(out, ", ");
        weft_buf_cstr(out, patterns[i].name);
    }
}
