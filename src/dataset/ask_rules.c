/* Rules for where no model is at hand.  They invent nothing: a summary is a sentence of the passage, an answer is a
 * sentence of the source, a persona's line is one it has said.  Rows carry "rule/..." in via and a confidence of 0.5. */
#include "dataset/ask_parts.h"
#include "dataset/normal.h"
#include "dataset/tally.h"

#include <stdio.h>

/* ---- sentences ---- */

static bool ends_sentence(uint32_t cp)
{
    return cp == 0x3002 || cp == 0xFF01 || cp == 0xFF1F || cp == 0x2026 || cp == '!' || cp == '?' || cp == '\n';
}
static bool closes(uint32_t cp)
{
    return cp == 0x201D || cp == 0x2019 || cp == 0x300D || cp == 0x300F || cp == 0xFF09 || cp == 0x300B || cp == ')'
           || cp == 0x2026;
}
static bool pauses(uint32_t cp) { return cp == 0xFF0C || cp == 0x3001 || cp == 0xFF1B || cp == ',' || cp == ';'; }

/* The next sentence from *at, trimmed; false at the end.  A full stop ends one when a space or the end follows. */
static bool next_sentence(struct weft_str text, size_t *at, struct weft_str *out)
{
    size_t begin = *at, i = begin;
    while (i < text.len) {
        uint32_t cp, after;
        i += weft_utf8_decode(text.s + i, text.len - i, &cp, NULL);
        bool stop = ends_sentence(cp)
                    || (cp == '.' && (i >= text.len || text.s[i] == ' ' || text.s[i] == '\n' || text.s[i] == '"'));
        if (!stop) continue;
        while (i < text.len) {
            size_t n = weft_utf8_decode(text.s + i, text.len - i, &after, NULL);
            if (!closes(after) && !(after == '"' && cp == '.')) break;
            i += n;
        }
        break;
    }
    if (begin >= text.len) return false;
    *at = i;
    *out = weft_trim(weft_str_sub(text, begin, i));
    return true;
}

/* ---- summarise: the sentence that shares most with the rest of its passage ---- */

/* Calls for each pair of neighbouring letters or characters; punctuation parts them. */
static bool count_pairs(struct weft_tally *t, struct weft_str s, double *sum, size_t *n)
{
    size_t last = SIZE_MAX;
    for (size_t at = 0; at < s.len;) {
        uint32_t cp;
        size_t len = weft_utf8_decode(s.s + at, s.len - at, &cp, NULL);
        bool letter = cp > 0x7F ? cp >= 0x3400 && cp < 0xFF00 : (cp | 32) >= 'a' && (cp | 32) <= 'z';
        if (letter && last != SIZE_MAX) {
            struct weft_tally_item *item = weft_tally_add(t, weft_str_sub(s, last, at + len), last);
            if (!item) return false;
            if (sum) {
                item->count--; /* only looked up */
                *sum += (double)item->count;
                ++*n;
            }
        }
        last = letter ? at : SIZE_MAX;
        at += len;
    }
    return true;
}

static bool quotes_match(struct weft_str s)
{
    int open = 0;
    for (size_t at = 0; at < s.len;) {
        uint32_t cp;
        at += weft_utf8_decode(s.s + at, s.len - at, &cp, NULL);
        if (cp == 0x201C || cp == 0x300C) open++;
        if ((cp == 0x201D || cp == 0x300D) && --open < 0) return false;
    }
    return open == 0;
}

/* The longest beginning of at most `max` characters that ends before a pause. */
static struct weft_str cut_at_pause(struct weft_str s, size_t max)
{
    size_t at = 0, chars = 0, cut = 0;
    while (at < s.len && chars < max) {
        uint32_t cp;
        size_t n = weft_utf8_decode(s.s + at, s.len - at, &cp, NULL);
        if (pauses(cp)) cut = at;
        at += n;
        chars++;
    }
    return weft_trim(weft_str_sub(s, 0, cut ? cut : weft_utf8_offset(s, max)));
}

enum weft_status ask_rule_summarise(struct ask_reading *r)
{
    struct weft_arena scratch = { 0 };
    struct weft_tally pairs = { .arena = &scratch };
    struct weft_str text = r->unit->text, sentence, best = { NULL, 0 };
    size_t max = (size_t)ask_max_chars(r->prompt, r->s), at = 0, number = 0;
    double best_score = -1;
    bool ok = count_pairs(&pairs, text, NULL, NULL);
    if (!max) max = 50;
    while (ok && next_sentence(text, &at, &sentence)) {
        double sum = 0, score;
        size_t n = 0, chars = weft_utf8_chars(sentence);
        if (chars > max) {
            sentence = cut_at_pause(sentence, max);
            chars = weft_utf8_chars(sentence);
        }
        if (chars < 4 || memchr(sentence.s, '\n', sentence.len)) continue;
        ok = count_pairs(&pairs, sentence, &sum, &n);
        /* Shared pairs, damped by length so that neither a scrap nor the longest sentence always wins. */
        score = n ? sum / ((double)n + 6) * (number == 0 ? 1.1 : 1) : 0;
        if (!quotes_match(sentence)) score /= 2; /* half of somebody's speech */
        if (score > best_score) {
            best_score = score;
            best = sentence;
        }
        number++;
    }
    weft_arena_clear(&scratch);
    if (!ok) return weft_fail_nomem(r->err, 0, "rows");
    if (!best.len) {
        ask_problem(r, "has no sentence to take");
        return WEFT_OK;
    }
    const char *instruction = r->s->instruction ? r->s->instruction : r->prompt->instruction;
    struct weft_row *row = ask_row(r);
    if (!row) return r->err->status;
    row->origin.flags = WEFT_STR("offline");
    return ask_row_turns(r, row, weft_str_c(instruction), best, text);
}

/* ---- qa: sentences that say what something is ---- */

/* 甲是…, 甲叫做…, 甲位于…: the question is made of 甲, the answer is the sentence. */
static const struct {
    const char *verb, *before, *behind;
} definitions[] = {
    { "位于", "", "在哪里？" },   { "指的是", "", "指的是什么？" }, { "叫做", "", "叫做什么？" },
    { "又叫", "", "又叫什么？" }, { "分为", "", "分为哪几种？" },   { "包括", "", "包括什么？" },
    { "是", "", "是什么？" },     { " is ", "What is ", "?" },      { " are ", "What are ", "?" },
};

static bool is_subject(struct weft_str s)
{
    static const char *const no[] = { "这", "那", "他", "她", "它", "我", "你", "就", "也", "都", "不", "但", "可", "还",
                                      "于", "因", "如", "This", "That", "It", "He", "She", "They", "These", "There" };
    size_t chars = weft_utf8_chars(s);
    if (chars < 2 || chars > (s.len == chars ? 40u : 12u)) return false;
    for (size_t i = 0; i < WEFT_COUNT(no); i++)
        if (weft_str_starts(s, weft_str_c(no[i]))) return false;
    for (size_t at = 0; at < s.len;) {
        uint32_t cp;
        at += weft_utf8_decode(s.s + at, s.len - at, &cp, NULL);
        if (pauses(cp) || closes(cp) || ends_sentence(cp) || cp == 0xFF1A || cp == ':' || cp == 0x201C || cp == 0x300C)
            return false;
    }
    return true;
}

enum weft_status ask_rule_qa(struct ask_reading *r)
{
    struct weft_str sentence;
    size_t at = 0;
    enum weft_status st = WEFT_OK;
    int64_t left = ask_pairs(r->prompt, r->s);
    while (!st && left > 0 && next_sentence(r->unit->text, &at, &sentence)) {
        if (weft_utf8_chars(sentence) < 10 || memchr(sentence.s, '\n', sentence.len)) continue;
        for (size_t d = 0; d < WEFT_COUNT(definitions); d++) {
            size_t verb = weft_str_find(sentence, weft_str_c(definitions[d].verb), 0);
            struct weft_str subject = weft_str_sub(sentence, 0, verb == SIZE_MAX ? 0 : verb);
            if (verb == SIZE_MAX || !is_subject(subject)) continue;
            struct weft_str q = weft_str_printf(r->a, "%s%.*s%s", definitions[d].before, (int)subject.len, subject.s,
                                                definitions[d].behind);
            struct weft_row *row = q.s ? ask_row(r) : NULL;
            if (!row) return weft_fail_nomem(r->err, 0, "rows");
            row->origin.flags = WEFT_STR("offline");
            st = ask_row_turns(r, row, q, (struct weft_str){ NULL, 0 }, sentence);
            r->pieces->units_in++;
            r->pieces->rows_out++;
            left--;
            break;
        }
    }
    if (!st && !r->out->rows.n) ask_problem(r, "has no sentence that says what something is");
    return st;
}

/* ---- rag: the best line that was retrieved ---- */

enum weft_status ask_rule_rag(struct ask_reading *r)
{
    if (!r->unit->n_examples) {
        ask_problem(r, "has no line that fits");
        return WEFT_OK;
    }
    struct weft_str line = weft_ask_answer(r->unit->examples[0]);
    struct weft_row *row = ask_row(r);
    if (!row) return r->err->status;
    row->origin.flags = WEFT_STR("aug,offline");
    row->origin.speaker = weft_str_c(r->s->role);
    r->pieces->units_in++;
    r->pieces->rows_out++;
    return ask_row_turns(r, row, r->unit->text, (struct weft_str){ NULL, 0 }, line);
}
