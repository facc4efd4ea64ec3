/* Each sign is a small function on one text; the table at the end names them.  Texts are walked character by character
 * in place: nothing is allocated. */
#include "dataset/quality.h"

#include "dataset/normal.h"
#include "dataset/row_text.h"

#include <utf8proc.h>

enum { NOTE_CHARS = 40, DIRECTION_CHARS = 16, LOOP_PERIOD = 64, LOOP_CHARS = 16 };

static const struct weft_quality_rule rules[WEFT_N_QUALITY] = {
    { "empty_answer", "answers without a character", "drop them: clean --drop empty_answer" },
    { "short_answer", "answers of very few characters",
      "drop them, or raise --short_answer to see where they end" },
    { "short_prompt", "prompts without a character, or with very few",
      "drop them: clean --drop short_prompt" },
    { "long_answer", "answers longer than --long_answer", "cut the source into smaller chunks" },
    { "same_as_prompt", "answers that are their prompt again", "drop them: clean --drop same_as_prompt" },
    { "echo", "answers that begin with their whole prompt",
      "look at them: the prompt was copied into the answer" },
    { "repeats", "answers that repeat themselves", "drop them: a model that looped wrote them" },
    { "marks", "answers of marks rather than letters", "drop them, or lower --letters for code and tables" },
    { "truncated", "answers that break off", "write them again with a higher max_tokens, or drop them" },
    { "mojibake", "text in the wrong charset", "clean --repair mojibake, or read the source with --charset" },
    { "private_use", "characters without a meaning (private use)",
      "find out in the source what they stand for" },
    { "control", "control and invisible characters", "clean --repair stray" },
    { "quotes", "quotes or brackets that do not close", "look at them: sentences were cut inside a quote" },
    { "editor_note", "notes of an editor 【...】", "clean --repair notes" },
    { "direction", "stage directions in an answer", "clean --repair directions" },
    { "boilerplate", "answers that speak as an AI or refuse", "drop them: clean --drop boilerplate" },
    { "nothing_said", "answers such as 无 or N/A", "drop them: clean --drop nothing_said" },
    { "placeholder", "placeholders left open", "fill them in, or drop the rows" },
    { "markup", "HTML in the text", "read the source as html, or strip the tags" },
    { "literal_newline", "the two characters \\n in place of a line end", "clean --repair newlines" },
    { "example", "lines of the examples given with --examples", "drop them: the model copied its examples" },
};

const struct weft_quality_rule *weft_quality_rules(void) { return rules; }

enum weft_status weft_quality_bits(const struct weft_str_list *list, uint32_t *bits, struct weft_err *err)
{
    const char *names[WEFT_N_QUALITY + 1];
    *bits = 0;
    for (size_t i = 0; i < WEFT_N_QUALITY; i++) names[i] = rules[i].name;
    names[WEFT_N_QUALITY] = "all";
    for (size_t i = 0; i < list->n; i++) {
        size_t k = 0;
        while (k <= WEFT_N_QUALITY && strcmp(names[k], list->items[i]) != 0) k++;
        if (k == WEFT_N_QUALITY) *bits = (1u << WEFT_N_QUALITY) - 1;
        else if (k < WEFT_N_QUALITY) *bits |= 1u << k;
        else {
            char word[64];
            const char *nearest = weft_nearest(list->items[i], names, WEFT_COUNT(names));
            return weft_fail(err, WEFT_EARG, "no sign is called \"%s\"; did you mean \"%s\"?",
                             weft_escape(word, sizeof word, weft_str_c(list->items[i])),
                             nearest ? nearest : names[0]);
        }
    }
    return WEFT_OK;
}

/* ---- characters ---- */

static uint32_t next_char(struct weft_str s, size_t *at)
{
    uint32_t cp;
    *at += weft_utf8_decode(s.s + *at, s.len - *at, &cp, NULL);
    return cp;
}

static bool is_letter(uint32_t cp)
{
    if (cp < 0x80) return (cp >= 'a' && cp <= 'z') || (cp >= 'A' && cp <= 'Z') || (cp >= '0' && cp <= '9');
    if (cp >= 0x3400 && cp <= 0x9FFF) return true;
    utf8proc_category_t c = utf8proc_category((utf8proc_int32_t)cp);
    return (c >= UTF8PROC_CATEGORY_LU && c <= UTF8PROC_CATEGORY_LO)
           || (c >= UTF8PROC_CATEGORY_MN && c <= UTF8PROC_CATEGORY_NO);
}

static bool is_wide_letter(uint32_t cp) { return cp >= 0x3400 && is_letter(cp); }

bool weft_is_stray(uint32_t cp)
{
    return (cp < 0x20 && cp != '\t' && cp != '\n' && cp != '\r') || (cp >= 0x7F && cp < 0xA0) || cp == 0xFEFF
           || cp == 0x200B || cp == 0x2060 || (cp >= 0xFDD0 && cp <= 0xFDEF) || (cp & 0xFFFE) == 0xFFFE;
}

static bool is_private_use(uint32_t cp)
{
    return (cp >= 0xE000 && cp <= 0xF8FF) || (cp >= 0xF0000 && cp <= 0x10FFFD);
}

static bool any_char(struct weft_str s, bool (*is)(uint32_t cp))
{
    for (size_t at = 0; at < s.len;)
        if (is(next_char(s, &at))) return true;
    return false;
}

static bool has(struct weft_str s, const char *word)
{
    return weft_str_find(s, weft_str_c(word), 0) != SIZE_MAX;
}

static bool has_any(struct weft_str s, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (has(s, words[i])) return true;
    return false;
}

/* ---- signs ---- */

/* A piece of 1 to 64 characters that comes at least three times in a row, 16 characters in all, with a letter in it.
 * How many characters stand in such loops, for the period that has most. */
static size_t looping_chars(struct weft_str s)
{
    uint32_t ring[LOOP_PERIOD];
    size_t run[LOOP_PERIOD + 1] = { 0 }, total[LOOP_PERIOD + 1] = { 0 }, n = 0, most = 0, last_letter = 0;
    for (size_t at = 0; at < s.len; n++) {
        uint32_t cp = next_char(s, &at);
        if (is_letter(cp)) last_letter = n + 1;
        for (size_t p = 1; p <= LOOP_PERIOD && p <= n; p++) {
            if (ring[(n - p) % LOOP_PERIOD] != cp) {
                run[p] = 0;
                continue;
            }
            /* `run` characters equal the one a period before; the loop itself is a period longer */
            size_t loop = ++run[p] + p;
            bool lettered = last_letter + loop > n + 1;
            if (loop < LOOP_CHARS || loop < 3 * p || !lettered) continue;
            total[p] += run[p] == weft_max_size(LOOP_CHARS - weft_min_size(p, LOOP_CHARS), 2 * p) ? loop : 1;
            if (total[p] > most) most = total[p];
        }
        ring[n % LOOP_PERIOD] = cp;
    }
    return most;
}

static double letter_share(struct weft_str s, size_t *visible)
{
    size_t letters = 0;
    *visible = 0;
    for (size_t at = 0; at < s.len;) {
        uint32_t cp = next_char(s, &at);
        if (weft_is_space(cp)) continue;
        (*visible)++;
        letters += is_letter(cp);
    }
    return *visible ? (double)letters / (double)*visible : 1;
}

static bool ends_sentence(uint32_t cp)
{
    static const uint32_t marks[] = { 0x3002, 0xFF01, 0xFF1F, 0xFF1B, 0x2026, 0x2014,
                                      '.',    '!',    '?',    ';',    '~',    0xFF5E };
    for (size_t i = 0; i < WEFT_COUNT(marks); i++)
        if (marks[i] == cp) return true;
    return false;
}

/* Long enough, with whole sentences in it, and the end is a letter, a comma or something that opens. */
static bool breaks_off(struct weft_str s, size_t least)
{
    uint32_t cp = 0;
    size_t n = 0, sentences = 0;
    s = weft_trim(s);
    for (size_t at = 0; at < s.len; n++) {
        cp = next_char(s, &at);
        sentences += cp == 0x3002 || cp == 0xFF01 || cp == 0xFF1F
                     || ((cp == '.' || cp == '!' || cp == '?') && at < s.len);
    }
    if (n < least || !sentences || ends_sentence(cp)) return false;
    /* a list, a table or a line of code at the end needs no full stop */
    size_t line = s.len;
    while (line && s.s[line - 1] != '\n') line--;
    if (line && weft_utf8_chars(weft_str_skip(s, line)) < least / 2) return false;
    return is_letter(cp) || cp == ',' || cp == 0xFF0C || cp == 0x3001 || cp == ':' || cp == 0xFF1A
           || cp == 0x201C || cp == 0xFF08 || cp == 0x300C || cp == '(';
}

/* Bytes 0x80 to 0x9F of Windows-1252; 0: undefined there. */
static const uint16_t cp1252[32] = { 0x20AC, 0,      0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021,
                                     0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0,      0x017D, 0,
                                     0,      0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014,
                                     0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0,      0x017E, 0x0178 };

/* The byte that was read as this character, or -1. */
static int byte_of(uint32_t cp)
{
    if (cp < 0x100) return (int)cp;
    for (int i = 0; i < 32; i++)
        if (cp1252[i] == cp) return 0x80 + i;
    return -1;
}

bool weft_undo_mojibake(struct weft_buf *b, struct weft_str s)
{
    size_t start = b->len, high = 0;
    for (size_t at = 0; at < s.len;) {
        int byte = byte_of(next_char(s, &at));
        if (byte < 0) goto no;
        high += byte >= 0x80;
        weft_buf_char(b, (char)byte);
    }
    struct weft_str out = weft_str_skip(weft_buf_view(b), start);
    /* one accented letter alone may be read either way: "Ã©" is a word in no language, but two bytes prove little */
    if (b->failed || high < 4 || weft_utf8_check(out) != out.len) goto no;
    return true;
no:
    if (b->s) b->s[b->len = start] = 0;
    return false;
}

/* Bytes of a lead and its followers, as Latin letters and marks; or the characters that UTF-8 read as GBK shows. */
static bool is_mojibake(struct weft_str s)
{
    static const char *const words[] = { "锟斤拷", "烫烫烫", "屯屯屯", "\xEF\xBF\xBD" };
    static const char *const gbk[] = { "锛", "銆", "鈥", "鐨勭" };
    size_t pairs = 0, odd = 0;
    int before = 0;
    if (has_any(s, words, WEFT_COUNT(words))) return true;
    for (size_t at = 0; at < s.len;) {
        int byte = byte_of(next_char(s, &at));
        pairs += before >= 0xC2 && before <= 0xF4 && byte >= 0x80 && byte <= 0xBF;
        before = byte;
    }
    for (size_t i = 0; i < WEFT_COUNT(gbk); i++)
        for (size_t at = 0; (at = weft_str_find(s, weft_str_c(gbk[i]), at)) != SIZE_MAX; at++) odd++;
    return pairs >= 2 || odd >= 2;
}

/* Pairs of quotes and brackets that do not nest or close.  ’ is also an apostrophe and is not looked at. */
static bool is_unbalanced(struct weft_str s)
{
    static const uint32_t pairs[][2] = { { 0x201C, 0x201D }, { 0x300C, 0x300D }, { 0x300E, 0x300F },
                                         { 0x300A, 0x300B }, { 0xFF08, 0xFF09 }, { 0x3010, 0x3011 } };
    long depth[WEFT_COUNT(pairs)] = { 0 };
    for (size_t at = 0; at < s.len;) {
        uint32_t cp = next_char(s, &at);
        for (size_t k = 0; k < WEFT_COUNT(pairs); k++) {
            depth[k] += cp == pairs[k][0];
            depth[k] -= cp == pairs[k][1];
            if (depth[k] < 0) return true;
        }
    }
    for (size_t k = 0; k < WEFT_COUNT(pairs); k++)
        if (depth[k]) return true;
    return false;
}

/* A span from one of `open` to its closing mark, without line end or another opening one. */
static bool next_span(struct weft_str s, const uint32_t (*marks)[2], size_t n_marks, size_t most, size_t *at,
                      size_t *from, size_t *to)
{
    uint32_t close = 0;
    size_t chars = 0;
    for (size_t i = *at; i < s.len;) {
        size_t begin = i;
        uint32_t cp = next_char(s, &i);
        for (size_t k = 0; k < n_marks; k++)
            if (cp == marks[k][0]) {
                close = marks[k][1];
                *from = begin;
                chars = 0;
            }
        if (!close || begin == *from) continue;
        if (cp == close && chars) {
            *to = *at = i;
            return true;
        }
        if (cp == '\n' || cp == close || ++chars > most) close = 0;
    }
    *at = s.len;
    return false;
}

bool weft_next_note(struct weft_str s, size_t *at, size_t *from, size_t *to)
{
    static const uint32_t marks[][2] = { { 0x3010, 0x3011 } };
    return next_span(s, marks, 1, NOTE_CHARS, at, from, to);
}

/* In round brackets, of Chinese characters and commas only, and no more than a few words: （笑）, (起身，行礼). */
bool weft_next_direction(struct weft_str s, size_t *at, size_t *from, size_t *to)
{
    static const uint32_t marks[][2] = { { 0xFF08, 0xFF09 }, { '(', ')' } };
    while (next_span(s, marks, 2, DIRECTION_CHARS, at, from, to)) {
        struct weft_str inner = weft_str_sub(s, *from, *to);
        size_t i = 0, end, wide = 0, other = 0;
        next_char(inner, &i);
        for (end = inner.len - 1; ((unsigned char)inner.s[end] & 0xC0) == 0x80;) end--;
        while (i < end) {
            uint32_t cp = next_char(inner, &i);
            bool mark =
                cp == 0xFF0C || cp == 0x3001 || cp == ',' || cp == ' ' || cp == 0x3002 || cp == 0x2026;
            wide += is_wide_letter(cp);
            other += !is_wide_letter(cp) && !mark;
        }
        if (wide && !other) return true;
    }
    return false;
}

static bool has_direction(struct weft_str s)
{
    size_t at = 0, from, to;
    return weft_next_direction(s, &at, &from, &to);
}

static bool has_note(struct weft_str s)
{
    static const char *const words[] = {
        "编者按", "译者注", "校对注", "（注：", "(注：", "（编者注", "[注："
    };
    size_t at = 0, from, to;
    return weft_next_note(s, &at, &from, &to) || has_any(s, words, WEFT_COUNT(words));
}

static bool speaks_as_ai(struct weft_str s)
{
    static const char *const words[] = { "作为一个AI",
                                         "作为一个 AI",
                                         "作为一名AI",
                                         "作为一个人工智能",
                                         "作为人工智能",
                                         "作为AI",
                                         "作为一个语言模型",
                                         "作为语言模型",
                                         "我是一个AI",
                                         "我是一个人工智能",
                                         "我是一个语言模型",
                                         "AI语言模型",
                                         "AI助手，",
                                         "我无法提供",
                                         "我不能提供",
                                         "很抱歉，我无法",
                                         "抱歉，我无法",
                                         "抱歉，我不能",
                                         "As an AI",
                                         "as an AI",
                                         "as a language model",
                                         "As a language model",
                                         "I'm sorry, but I can",
                                         "I cannot assist",
                                         "I can't assist",
                                         "I am an AI",
                                         "I'm an AI" };
    return has_any(s, words, WEFT_COUNT(words));
}

static bool says_nothing(struct weft_str s)
{
    static const char *const words[] = { "无",         "无。",   "没有",     "没有。", "（无）", "无对话",
                                         "（无对话）", "无内容", "略",       "（略）", "N/A",    "n/a",
                                         "None",       "none",   "null",     "NULL",   "nan",    "NaN",
                                         "TODO",       "待补充", "undefined" };
    s = weft_trim(s);
    for (size_t i = 0; i < WEFT_COUNT(words); i++)
        if (weft_str_is(s, words[i])) return true;
    return false;
}

static bool has_placeholder(struct weft_str s)
{
    static const char *const words[] = { "{{",      "{role}", "{speaker}", "{input}", "{text}", "{name}",
                                         "[INSERT", "[Your ", "[你的",     "<your ",  "【此处", "（此处填",
                                         "XXXX",    "xxxx",   "[插入",     "[填写",   "[姓名]", "{0}" };
    return has_any(s, words, WEFT_COUNT(words));
}

static bool has_markup(struct weft_str s)
{
    static const char *const words[] = { "</p>",  "<br",     "</div>", "<div ", "</span>", "<span ",
                                         "</a>",  "<a href", "&nbsp;", "&lt;",  "&quot;",  "&amp;",
                                         "<img ", "</td>",   "</b>",   "</h1>", "</h2>",   "<p>" };
    return has_any(s, words, WEFT_COUNT(words));
}

/* \n between letters of a text without program code: not "C:\new", not a regular expression. */
static bool has_literal_newline(struct weft_str s)
{
    for (size_t at = 0; (at = weft_str_find(s, WEFT_STR("\\n"), at)) != SIZE_MAX; at += 2) {
        uint32_t cp = '\n';
        size_t next = at + 2;
        if (at && s.s[at - 1] == '\\') continue;
        if (next < s.len) cp = next_char(s, &next);
        if (cp == '\n' || cp >= 0x2E80 || cp == '\\' || weft_is_space(cp) || (cp >= '0' && cp <= '9')
            || cp == '-')
            return true;
    }
    return false;
}

static bool holds_example(struct weft_str s, const struct weft_quality_settings *q)
{
    for (size_t i = 0; i < q->n_examples; i++) {
        struct weft_str example = weft_trim(q->examples[i]);
        if (weft_utf8_chars(example) >= 4 && weft_str_find(s, example, 0) != SIZE_MAX) return true;
    }
    return false;
}

/* ---- rows ---- */

struct judge {
    const struct weft_quality_settings *s;
    uint32_t bits;
    size_t *turn, now;
};

static void note(struct judge *j, enum weft_quality q, bool shown)
{
    if (!shown || (j->bits >> q & 1)) return;
    j->bits |= 1u << q;
    if (j->turn) j->turn[q] = j->now;
}

/* What any text may show. */
static void judge_text(struct judge *j, struct weft_str s)
{
    note(j, WEFT_Q_MOJIBAKE, is_mojibake(s));
    note(j, WEFT_Q_PRIVATE_USE, any_char(s, is_private_use));
    note(j, WEFT_Q_CONTROL, any_char(s, weft_is_stray));
    note(j, WEFT_Q_QUOTES, is_unbalanced(s));
    note(j, WEFT_Q_EDITOR_NOTE, has_note(s));
    note(j, WEFT_Q_PLACEHOLDER, has_placeholder(s));
    note(j, WEFT_Q_MARKUP, has_markup(s));
    note(j, WEFT_Q_LITERAL_NEWLINE, has_literal_newline(s));
    note(j, WEFT_Q_EXAMPLE, j->s->n_examples && holds_example(s, j->s));
}

/* What an answer may show. */
static void judge_answer(struct judge *j, struct weft_str s)
{
    const struct weft_quality_settings *q = j->s;
    size_t chars = weft_utf8_chars(weft_trim(s)), visible;
    note(j, WEFT_Q_EMPTY_ANSWER, chars == 0);
    note(j, WEFT_Q_SHORT_ANSWER,
         chars > 0 && chars < (size_t)(q->short_answer_chars > 0 ? q->short_answer_chars : 2));
    note(j, WEFT_Q_LONG_ANSWER, q->long_answer_chars > 0 && chars > (size_t)q->long_answer_chars);
    if (!chars) return;
    note(j, WEFT_Q_REPEATS,
         (double)looping_chars(s) >= (q->repeats > 0 ? q->repeats : 0.3) * (double)weft_utf8_chars(s));
    double letters = letter_share(s, &visible);
    note(j, WEFT_Q_MARKS, visible > 3 && letters < (q->letters > 0 ? q->letters : 0.4));
    note(j, WEFT_Q_TRUNCATED, breaks_off(s, (size_t)(q->sentence_chars > 0 ? q->sentence_chars : 40)));
    note(j, WEFT_Q_BOILERPLATE, speaks_as_ai(s));
    note(j, WEFT_Q_NOTHING_SAID, says_nothing(s));
    note(j, WEFT_Q_DIRECTION, has_direction(s));
}

static void judge_prompt(struct judge *j, struct weft_str s)
{
    size_t chars = weft_utf8_chars(weft_trim(s));
    note(j, WEFT_Q_SHORT_PROMPT,
         chars < (size_t)(j->s->short_prompt_chars > 0 ? j->s->short_prompt_chars : 1));
}

uint32_t weft_quality_row(const struct weft_row *row, const struct weft_quality_settings *s, size_t *turn)
{
    static const struct weft_quality_settings defaults;
    struct judge j = { .s = s ? s : &defaults, .turn = turn };
    if (row->text.s) {
        judge_text(&j, row->text);
        note(&j, WEFT_Q_EMPTY_ANSWER, weft_trim(row->text).len == 0);
        return j.bits;
    }
    for (size_t i = 0; i < row->n_turns; i++) {
        const struct weft_turn *t = &row->turns[i];
        j.now = i;
        if (t->role == WEFT_ROLE_TOOL_CALL || t->role == WEFT_ROLE_TOOL_RESULT)
            continue; /* JSON, not prose */
        judge_text(&j, t->text);
        if (t->role == WEFT_ROLE_USER) judge_prompt(&j, t->text);
        if (t->role != WEFT_ROLE_ASSISTANT || weft_row_is_judged(row)) continue;
        judge_answer(&j, t->text);
        if (!i || row->turns[i - 1].role != WEFT_ROLE_USER) continue;
        struct weft_str prompt = weft_trim(row->turns[i - 1].text), answer = weft_trim(t->text);
        bool same = prompt.len && weft_str_eq(prompt, answer);
        note(&j, WEFT_Q_SAME_AS_PROMPT, same);
        note(&j, WEFT_Q_ECHO, !same && weft_utf8_chars(prompt) >= 8 && weft_str_starts(answer, prompt));
    }
    return j.bits;
}
