#include "dataset/script_line.h"

#include "dataset/grow.h"
#include "dataset/normal.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif
#include <utf8proc.h>

enum { NAME_MAX_CHARS = 12, LATIN_NAME_MAX_CHARS = 32, LATIN_NAME_MAX_WORDS = 3, TITLE_MAX_CHARS = 40 };

/* ---- brackets ---- */

bool script_brackets_find(struct weft_arena *a, struct script_brackets *b, struct weft_str line)
{
    size_t depth = 0, first;
    b->n = 0;
    first = script_next_open(line, 0, line.len, false);
    for (size_t i = first; i < line.len;) {
        uint32_t cp;
        size_t n = weft_utf8_decode(line.s + i, line.len - i, &cp, NULL);
        if (script_is_open(cp)) {
            if (!WEFT_GROW(a, b->items, b->n, b->cap) || !WEFT_GROW(a, b->stack, depth, b->cap_stack))
                return false;
            b->stack[depth++] = b->n;
            b->items[b->n++] = (struct script_bracket){ i, SIZE_MAX };
        } else if (script_is_close(cp) && depth) b->items[b->stack[--depth]].close = i;
        i += n;
    }
    return true;
}

size_t script_bracket_close(const struct script_brackets *b, size_t open, size_t end)
{
    size_t low = 0, high = b->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (b->items[mid].open < open) low = mid + 1;
        else high = mid;
    }
    if (low == b->n || b->items[low].open != open || b->items[low].close >= end) return SIZE_MAX;
    return b->items[low].close;
}

size_t script_next_open(struct weft_str line, size_t from, size_t to, bool notes)
{
    const unsigned char *u = (const unsigned char *)line.s;
    size_t i = from;
#if defined(__SSE2__)
    const __m128i round = _mm_set1_epi8('('), ef = _mm_set1_epi8((char)0xEF), bc = _mm_set1_epi8((char)0xBC),
                  b88 = _mm_set1_epi8((char)0x88), e3 = _mm_set1_epi8((char)0xE3), b80 = _mm_set1_epi8((char)0x80),
                  b90 = _mm_set1_epi8((char)0x90);
    for (; i + 18 <= to; i += 16) {         /* a character of three bytes may begin with the last of the sixteen */
        __m128i a = _mm_loadu_si128((const __m128i *)(const void *)(u + i)),
                b = _mm_loadu_si128((const __m128i *)(const void *)(u + i + 1)),
                c = _mm_loadu_si128((const __m128i *)(const void *)(u + i + 2));
        __m128i hit = _mm_or_si128(_mm_cmpeq_epi8(a, round),
                                   _mm_and_si128(_mm_cmpeq_epi8(a, ef),
                                                 _mm_and_si128(_mm_cmpeq_epi8(b, bc), _mm_cmpeq_epi8(c, b88))));
        if (notes)
            hit = _mm_or_si128(hit, _mm_and_si128(_mm_cmpeq_epi8(a, e3), _mm_and_si128(_mm_cmpeq_epi8(b, b80),
                                                                                       _mm_cmpeq_epi8(c, b90))));
        int bits = _mm_movemask_epi8(hit);
        if (bits) return i + (size_t)__builtin_ctz((unsigned)bits);
    }
#endif
    for (; i < to; i++) {
        if (u[i] == '(') break;
        if (i + 2 >= to) continue;
        if (u[i] == 0xEF && u[i + 1] == 0xBC && u[i + 2] == 0x88) break;
        if (notes && u[i] == 0xE3 && u[i + 1] == 0x80 && u[i + 2] == 0x90) break;
    }
    return i;
}

/* ---- a cursor over code points ---- */

struct cursor {
    struct weft_str s;
    size_t at;
};

static uint32_t peek(const struct cursor *c)
{
    uint32_t cp = 0;
    if (c->at < c->s.len) weft_utf8_decode(c->s.s + c->at, c->s.len - c->at, &cp, NULL);
    return cp;
}

static void step(struct cursor *c)
{
    uint32_t cp;
    if (c->at < c->s.len) c->at += weft_utf8_decode(c->s.s + c->at, c->s.len - c->at, &cp, NULL);
}

static void skip_space(struct cursor *c)
{
    while (c->at < c->s.len && weft_is_space(peek(c))) step(c);
}

static bool take(struct cursor *c, struct weft_str word)
{
    if (!weft_str_starts(weft_str_skip(c->s, c->at), word)) return false;
    c->at += word.len;
    return true;
}

static bool at_end(const struct cursor *c) { return c->at >= c->s.len; }

/* Colons and white space from `at` on. */
static size_t skip_colons(struct weft_str s, size_t at)
{
    struct cursor c = { s, at };
    while (!at_end(&c) && (script_is_colon(peek(&c)) || weft_is_space(peek(&c)))) step(&c);
    return c.at;
}

/* ---- numbers ---- */

/* The value of a digit of any script we read, or -1. */
static int digit_of(uint32_t cp)
{
    static const char digits[] = "零一二三四五六七八九";
    if (cp >= '0' && cp <= '9') return (int)(cp - '0');
    if (cp >= 0xFF10 && cp <= 0xFF19) return (int)(cp - 0xFF10);
    if (cp == 0x3007) return 0;         /* 〇 */
    if (cp == 0x4E24) return 2;         /* 两 */
    for (size_t i = 0, v = 0; i < sizeof digits - 1; v++) {
        uint32_t d;
        i += weft_utf8_decode(digits + i, sizeof digits - 1 - i, &d, NULL);
        if (d == cp) return (int)v;
    }
    return -1;
}

static int64_t unit_of(uint32_t cp)
{
    return cp == 0x5341 ? 10 : cp == 0x767E ? 100 : cp == 0x5343 ? 1000 : 0;       /* 十 百 千 */
}

int64_t weft_chinese_number(struct weft_str s)
{
    int64_t total = 0, number = 0, digit = -1;
    bool units = false;
    const int64_t most = INT64_C(1000000000);
    for (size_t i = 0; i < s.len;) {
        uint32_t cp;
        i += weft_utf8_decode(s.s + i, s.len - i, &cp, NULL);
        int d = digit_of(cp);
        int64_t unit = unit_of(cp);
        if (unit) {
            units = true;
            total += (digit < 0 ? 1 : digit) * unit;
            digit = -1;
        } else if (d >= 0) {
            number = number * 10 + d;
            digit = d == 0 ? -1 : d;
        } else return 0;
        if (total > most || number > most) return 0;
    }
    return units ? total + (digit < 0 ? 0 : digit) : number;
}

/* Takes the digits at the cursor; false: none there. */
static bool take_number(struct cursor *c, int64_t *value)
{
    size_t from = c->at;
    while (!at_end(c) && (digit_of(peek(c)) >= 0 || unit_of(peek(c)))) step(c);
    *value = weft_chinese_number(weft_str_sub(c->s, from, c->at));
    return c->at > from;
}

/* ---- headings ---- */

static bool is_title_stop(uint32_t cp)
{
    switch (cp) {
    case 0x3002: case 0xFF01: case '!': case 0xFF1F: case '?': case 0xFF1B: case ';': return true;
    default: return script_is_colon(cp);
    }
}

/* The rest of the line is a title (or nothing). */
static bool is_title(struct weft_str s)
{
    size_t n = 0;
    s = weft_trim(s);
    for (size_t i = 0; i < s.len; n++) {
        uint32_t cp;
        i += weft_utf8_decode(s.s + i, s.len - i, &cp, NULL);
        if (is_title_stop(cp) || n == TITLE_MAX_CHARS) return false;
    }
    return true;
}

static bool take_resumed(struct cursor *c)
{
    struct cursor try = *c;
    skip_space(&try);
    if (!script_is_open(peek(&try))) return false;
    step(&try);
    if (!take(&try, WEFT_STR("续"))) return false;
    if (!script_is_close(peek(&try))) return false;
    step(&try);
    *c = try;
    return true;
}

static bool take_colon(struct cursor *c)
{
    struct cursor try = *c;
    skip_space(&try);
    if (!script_is_colon(peek(&try))) return false;
    step(&try);
    *c = try;
    return true;
}

static bool heading(struct weft_str s, struct script_line *out)
{
    struct cursor c = { s, 0 };
    int64_t number;
    bool scene;
    if (!take(&c, WEFT_STR("第"))) return false;
    skip_space(&c);
    if (!take_number(&c, &number)) return false;
    skip_space(&c);
    scene = !take(&c, WEFT_STR("集"));
    if (scene) {
        if (peek(&c) == ',' || peek(&c) == 0xFF0C) step(&c);
        skip_space(&c);
        if (!take(&c, WEFT_STR("幕")) && !take(&c, WEFT_STR("场")) && !take(&c, WEFT_STR("秒"))) return false;
    }
    out->resumed = take_resumed(&c);
    take_colon(&c);
    /* A scene's title needs a space before it: 第三幕的戏 is a sentence. */
    if (scene && !at_end(&c) && !weft_is_space(peek(&c))) return false;
    if (!is_title(weft_str_skip(s, c.at))) return false;
    out->kind = scene ? SCRIPT_SCENE : SCRIPT_EPISODE;
    out->number = number;
    return true;
}

/* ---- the whole line in brackets ---- */

static uint32_t last_char(struct weft_str s, size_t *at)
{
    uint32_t cp;
    *at = s.len - 1;
    while (*at && ((unsigned char)s.s[*at] & 0xC0) == 0x80 && s.len - *at < 4) --*at;
    weft_utf8_decode(s.s + *at, s.len - *at, &cp, NULL);
    return cp;
}

static bool has_close(struct weft_str s)
{
    for (size_t i = 0; i < s.len;) {
        uint32_t cp;
        i += weft_utf8_decode(s.s + i, s.len - i, &cp, NULL);
        if (script_is_close(cp)) return true;
    }
    return false;
}

static bool in_brackets(struct weft_str s, const struct script_brackets *b, struct script_line *out)
{
    uint32_t first;
    size_t n = weft_utf8_decode(s.s, s.len, &first, NULL), last_at;
    if (!script_is_open(first)) return false;
    out->inner_from = n;
    out->inner_to = s.len;
    if (!has_close(s)) return true;
    bool closes = script_is_close(last_char(s, &last_at));
    size_t close = script_bracket_close(b, 0, s.len);
    out->inner_to = last_at;
    return closes && (close == SIZE_MAX || close == last_at);
}

static bool starts_with_colon(struct weft_str s, struct script_line *out)
{
    struct cursor c = { s, 0 };
    if (!script_is_colon(peek(&c))) return false;
    out->inner_from = skip_colons(s, 0);
    return true;
}

void script_line_classify(struct weft_str s, const struct script_brackets *b, struct script_line *out)
{
    *out = (struct script_line){ .kind = SCRIPT_OTHER, .text = s };
    if (!s.len) out->kind = SCRIPT_BLANK;
    else if (heading(s, out)) return;
    else if (in_brackets(s, b, out)) out->kind = SCRIPT_BRACKETS;
    else if (weft_str_starts(s, WEFT_STR("△")) || weft_str_starts(s, WEFT_STR("▲"))) out->kind = SCRIPT_STAGE;
    else if (weft_str_starts(s, WEFT_STR("【")) && weft_str_find(s, WEFT_STR("】"), 0) == s.len - 3)
        out->kind = SCRIPT_NOTE;
    else out->nameless = starts_with_colon(s, out);
}

/* ---- dialogue ---- */

static bool ends_name(uint32_t cp)
{
    switch (cp) {
    case 0x3002: case 0xFF01: case '!': case 0xFF1F: case '?': case 0xFF0C: case ',': case 0xFF1B: case ';':
    case 0x2026: case 0x201C: case 0x201D: case '"': case 0x300C: case 0x300D: case 0x300E: case 0x300F:
    case 0x300A: case 0x300B: case 0x3010: case 0x3011: return true;
    default: return script_is_colon(cp) || script_is_open(cp) || script_is_close(cp);
    }
}

static bool is_letter(uint32_t cp)
{
    switch (utf8proc_category((utf8proc_int32_t)cp)) {
    case UTF8PROC_CATEGORY_LU: case UTF8PROC_CATEGORY_LL: case UTF8PROC_CATEGORY_LT: case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO: return true;
    default: return false;
    }
}

/* Length and letters as they will be once the name is cleaned: spaces between Chinese characters do not count. */
static bool is_name(struct weft_str s)
{
    size_t chars = 0, gaps = 0;
    bool letter = false, wide = true, latin = true, before = false;
    for (size_t i = 0; i < s.len;) {
        uint32_t cp;
        i += weft_utf8_decode(s.s + i, s.len - i, &cp, NULL);
        bool space = weft_is_space(cp);
        if (space) gaps += !before;
        else {
            chars++;
            letter |= is_letter(cp);
            wide &= cp >= 0x2E80;
            latin &= cp < 0x2E80;
        }
        before = space;
        if (chars > LATIN_NAME_MAX_CHARS) return false;
    }
    if (!wide) chars += gaps;
    return letter && chars <= (latin ? LATIN_NAME_MAX_CHARS : NAME_MAX_CHARS)
           && (wide || gaps < LATIN_NAME_MAX_WORDS);
}

bool script_line_speech(struct weft_str line, size_t from, size_t to, const struct script_brackets *b,
                        struct script_speech *out)
{
    struct cursor c = { weft_str_sub(line, 0, to), from };
    size_t chars = 0;
    *out = (struct script_speech){ 0 };
    while (!at_end(&c) && !ends_name(peek(&c))) {
        if (!weft_is_space(peek(&c)) && ++chars > LATIN_NAME_MAX_CHARS) return false;
        step(&c);
    }
    out->name = weft_trim(weft_str_sub(line, from, c.at));
    if (!is_name(out->name)) return false;
    for (skip_space(&c); script_is_open(peek(&c)); skip_space(&c)) {
        size_t close = script_bracket_close(b, c.at, to);
        if (close == SIZE_MAX) return false;
        c.at = close;
        step(&c);
        out->directed = true;
    }
    struct cursor behind = c;
    if (peek(&behind) == ',' || peek(&behind) == 0xFF0C) {
        step(&behind);
        skip_space(&behind);
    }
    if (script_is_colon(peek(&behind))) {
        out->sep = ':';
        out->text_from = skip_colons(behind.s, behind.at);
        return true;
    }
    switch (peek(&c)) {
    case ';': case 0xFF1B: out->sep = ';'; break;
    case ',': case 0xFF0C: case '?': case 0xFF1F: out->sep = ','; break;
    default: return false;
    }
    step(&c);
    out->text_from = c.at;
    return true;
}

bool script_line_plain(struct weft_str s, struct script_speech *out)
{
    enum { LETTER_BYTES = 3 };
    const unsigned char *u = (const unsigned char *)s.s;
    size_t n = 0;
    /* U+4000..U+4DBF and U+4E00..U+9FBF; between them stand signs, and behind them may stand what is no letter yet. */
    for (; n + LETTER_BYTES < s.len && u[n] >= 0xE4 && u[n] <= 0xE9; n += LETTER_BYTES)
        if ((u[n] == 0xE4 && u[n + 1] == 0xB7) || (u[n] == 0xE9 && u[n + 1] == 0xBF)) return false;
    if (!n || n > NAME_MAX_CHARS * LETTER_BYTES || weft_str_starts(s, WEFT_STR("第"))) return false;
    if (u[n] != ':' && !weft_str_starts(weft_str_skip(s, n), WEFT_STR("："))) return false;
    *out = (struct script_speech){ .name = weft_str_sub(s, 0, n), .sep = ':' };
    out->text_from = n + (u[n] == ':' ? 1 : LETTER_BYTES);
    if (out->text_from < s.len && !(u[out->text_from] >= 0xE4 && u[out->text_from] <= 0xE9))
        out->text_from = skip_colons(s, out->text_from);
    return true;
}

bool script_is_ending(struct weft_str s)
{
    bool mark = false;
    for (size_t i = 0; i < s.len;) {
        uint32_t cp;
        i += weft_utf8_decode(s.s + i, s.len - i, &cp, NULL);
        switch (cp) {
        case 0x3002: case 0xFF0E: case 0xFF01: case 0xFF1F: case '!': case '?': case '.': case 0xFF0C: case ',':
        case 0xFF1B: case ';': case 0x2026: case 0x2014: case 0xFF5E: case '~': mark = true; continue;
        default: if (!weft_is_space(cp)) return false;
        }
    }
    return mark;
}

/* ---- word lists ---- */

#define WORD(s) { s, sizeof s - 1 }

static bool in_list(struct weft_str name, const struct weft_str *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (weft_str_eq(name, words[i])) return true;
    return false;
}

bool script_is_stage_word(struct weft_str name)
{
    static const struct weft_str words[] = { WORD("时间"), WORD("地点"), WORD("人物"), WORD("场景"), WORD("道具"),
                                             WORD("布景"), WORD("景"), WORD("出场人物"), WORD("登场人物"),
                                             WORD("旁白"), WORD("画外音"), WORD("字幕") };
    return in_list(name, words, WEFT_COUNT(words));
}

bool script_is_everyone(struct weft_str name)
{
    static const struct weft_str words[] = { WORD("大家"), WORD("所有人"), WORD("全体"), WORD("齐声"), WORD("同声"),
                                             WORD("合"), WORD("二人"), WORD("两人"), WORD("三人"), WORD("四人"),
                                             WORD("几人"), WORD("其他人"), WORD("其余人"), WORD("人们") };
    return weft_str_starts(name, WEFT_STR("众")) || in_list(name, words, WEFT_COUNT(words));
}
