#include "dataset/check.h"

#include "base/hash.h"
#include "base/lang.h"
#include "dataset/row_text.h"
#include "dataset/tally.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { SHORT_ANSWER = 2, LISTED = 20, REASONS = 8 /* at least the calls of say in judge */ };

/* ---- what a row says ---- */

uint64_t weft_row_hash(struct weft_arena *scratch, const struct weft_row *row, bool prompt_only)
{
    struct weft_arena_mark mark = weft_arena_mark(scratch);
    struct weft_str answer;
    size_t n = weft_row_answer(row, &answer);
    uint64_t h = 0;
    for (size_t i = 0; i < n; i++) {
        struct weft_str text = weft_normalise(scratch, row->turns[i].text);
        h = weft_xxh3(text.s, text.len, h * 31 + (uint64_t)row->turns[i].role + 1);
    }
    if (!prompt_only || !n) {
        struct weft_str text = weft_normalise(scratch, row->text.s ? row->text : answer);
        h = weft_xxh3(text.s, text.len, h * 31 + 101);
    }
    weft_arena_release(scratch, mark);
    return h;
}

/* ---- lengths ---- */

static int by_length(const void *x, const void *y)
{
    const uint32_t *a = x, *b = y;
    return (*a > *b) - (*a < *b);
}

/* The nearest-rank percentile: the smallest value with at least p hundredths of the values at or below it. */
static uint64_t percentile(const uint32_t *sorted, size_t n, unsigned p)
{
    return sorted[(n * p + 99) / 100 - 1];
}

uint64_t weft_length_bin(size_t bin)
{
    static const unsigned char steps[3] = { 1, 2, 5 };
    uint64_t first = 1;
    if (!bin) return 0;
    for (size_t i = 3; i <= bin - 1; i += 3) first *= 10;
    return first * steps[(bin - 1) % 3];
}

void weft_lengths_of(uint32_t *len, size_t n, struct weft_lengths *out)
{
    size_t bin = 0;
    if (!n) return;
    qsort(len, n, sizeof *len, by_length);
    for (size_t i = 0; i < n; i++) {
        out->total += len[i];
        while (bin + 1 < WEFT_LENGTH_BINS && len[i] >= weft_length_bin(bin + 1)) bin++;
        out->bins[bin]++;
    }
    out->n = n;
    out->min = len[0];
    out->p5 = percentile(len, n, 5);
    out->p50 = percentile(len, n, 50);
    out->p90 = percentile(len, n, 90);
    out->p95 = percentile(len, n, 95);
    out->p99 = percentile(len, n, 99);
    out->max = len[n - 1];
    out->mean = (double)out->total / (double)n;
}

static uint32_t chars(struct weft_str s)
{
    size_t n = weft_utf8_chars(s);
    return n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
}

/* ---- text that looks like a control token ---- */

/* "<|im_end|>", "</s>", "[INST]" ...: DS7 says that it is plain text; here it is only pointed out. */
static struct weft_str next_lookalike(struct weft_str s, size_t *from)
{
    static const char *const words[] = {
        "<s>",   "</s>",    "[INST]",   "[/INST]",     "<pad>",        "<unk>",           "<eos>",
        "<bos>", "<think>", "</think>", "<tool_call>", "</tool_call>", "<start_of_turn>", "<end_of_turn>"
    };
    for (size_t i = *from; i < s.len; i++) {
        if (s.s[i] != '<' && s.s[i] != '[') continue;
        struct weft_str rest = weft_str_skip(s, i);
        if (weft_str_starts(rest, WEFT_STR("<|"))) {
            size_t end = weft_str_find(weft_str_sub(rest, 0, 64), WEFT_STR("|>"), 2);
            if (end != SIZE_MAX) {
                *from = i + end + 2;
                return weft_str_sub(rest, 0, end + 2);
            }
        }
        for (size_t k = 0; k < WEFT_COUNT(words); k++)
            if (weft_str_starts(rest, weft_str_c(words[k]))) {
                *from = i + strlen(words[k]);
                return weft_str_sub(rest, 0, strlen(words[k]));
            }
    }
    *from = s.len;
    return (struct weft_str){ NULL, 0 };
}

/* ---- counting ---- */

struct counter {
    struct weft_arena *arena, scratch;
    struct weft_check *out;
    struct weft_check_settings s;
    struct weft_tally speakers, systems, lookalikes, flags;
    uint32_t *prompt_len, *answer_len, *row_len;
    size_t n_prompts, n_answers;
    uint64_t (*hash)[2];                /* [rows] prompt, prompt and answer */
};

static bool count_lookalikes(struct counter *c, struct weft_str s, size_t row)
{
    for (size_t at = 0; at < s.len;) {
        struct weft_str hit = next_lookalike(s, &at);
        if (hit.s && !weft_tally_add(&c->lookalikes, hit, row)) return false;
    }
    return true;
}

static bool count_words(struct weft_tally *t, struct weft_str list, size_t row)
{
    for (size_t from = 0; list.len && from <= list.len;) {
        size_t comma = weft_str_find(list, WEFT_STR(","), from);
        if (!weft_tally_add(t, weft_str_sub(list, from, comma), row)) return false;
        if (comma == SIZE_MAX) break;
        from = comma + 1;
    }
    return true;
}

static bool is_blank(struct weft_str s) { return weft_trim(s).len == 0; }

static bool count_row(struct counter *c, const struct weft_row *row, size_t i)
{
    struct weft_check *k = c->out;
    struct weft_str answer;
    size_t n = weft_row_answer(row, &answer);
    uint64_t total = 0;
    bool ok = true;

    k->turns += row->n_turns;
    k->text_rows += row->text.s != NULL;
    k->preference_rows += row->chosen.text.s != NULL;
    k->kto_rows += row->kto_tag >= 0;
    k->tool_rows += row->tools.s != NULL;
    k->system_rows += row->system.s != NULL;
    k->history_rows += n > 1;
    k->with_origin += row->origin.file.s != NULL;
    k->flagged += row->origin.flags.len > 0;
    for (size_t t = 0; ok && t < row->n_turns; t++) {
        const struct weft_turn *turn = &row->turns[t];
        uint32_t len = chars(turn->text);
        total += len;
        ok = count_lookalikes(c, turn->text, i);
        if (!weft_role_answers(turn->role)) {
            c->prompt_len[c->n_prompts++] = len;
            continue;
        }
        c->answer_len[c->n_answers++] = len;
        k->answers++;
        if (is_blank(turn->text)) k->empty_answers++;
        else if (len < (uint64_t)c->s.short_answer_chars) k->short_answers++;
        if (t && len && weft_str_eq(weft_trim(turn->text), weft_trim(row->turns[t - 1].text)))
            k->copied_answers++;
    }
    if (row->text.s) {
        total += chars(row->text);
        k->empty_answers += is_blank(row->text);
        ok = ok && count_lookalikes(c, row->text, i);
    }
    total += chars(row->system);
    c->row_len[i] = total > UINT32_MAX ? UINT32_MAX : (uint32_t)total;
    k->long_rows += c->s.long_chars > 0 && total > (uint64_t)c->s.long_chars;
    if (ok && row->origin.prompt_speaker.len)
        ok = weft_tally_add(&c->speakers, row->origin.prompt_speaker, i) != NULL;
    if (ok && row->system.s) ok = weft_tally_add(&c->systems, row->system, i) != NULL;
    ok = ok && count_words(&c->flags, row->origin.flags, i);
    c->hash[i][0] = weft_row_hash(&c->scratch, row, true);
    c->hash[i][1] = weft_row_hash(&c->scratch, row, false);
    return ok;
}

static bool list_items(struct weft_arena *a, struct weft_tally *t, size_t most,
                       struct weft_check_item **items, size_t *n)
{
    weft_tally_sort(t);
    *n = weft_min_size(t->n, most);
    *items = WEFT_NEWS(a, struct weft_check_item, *n + 1);
    for (size_t i = 0; *items && i < *n; i++)
        (*items)[i] = (struct weft_check_item){ t->items[i].text, t->items[i].count, t->items[i].first };
    return *items != NULL;
}

/* ---- rows that are alike ---- */

struct keyed {
    uint64_t prompt, both;
    size_t row;
};

static int by_keys(const void *x, const void *y)
{
    const struct keyed *a = x, *b = y;
    if (a->prompt != b->prompt) return a->prompt < b->prompt ? -1 : 1;
    if (a->both != b->both) return a->both < b->both ? -1 : 1;
    return (a->row > b->row) - (a->row < b->row);
}

static int by_item(const void *x, const void *y)
{
    const struct weft_check_item *a = x, *b = y;
    if (a->count != b->count) return a->count < b->count ? 1 : -1;
    return (a->first_row > b->first_row) - (a->first_row < b->first_row);
}

/* Sorted by prompt and answer, equal rows stand side by side, and so do the answers to one prompt. */
static bool find_alike(struct counter *c, const struct weft_rows *rows)
{
    struct weft_check *k = c->out;
    struct keyed *keys = WEFT_NEWS(c->arena, struct keyed, rows->n + 1);
    k->duplicates = WEFT_NEWS(c->arena, struct weft_check_item, rows->n + 1);
    k->conflicts = WEFT_NEWS(c->arena, struct weft_check_item, rows->n + 1);
    if (!keys || !k->duplicates || !k->conflicts) return false;
    for (size_t i = 0; i < rows->n; i++) keys[i] = (struct keyed){ c->hash[i][0], c->hash[i][1], i };
    if (rows->n) qsort(keys, rows->n, sizeof *keys, by_keys);
    for (size_t i = 0; i < rows->n;) {
        size_t end = i, answers = 0, first = keys[i].row;
        while (end < rows->n && keys[end].prompt == keys[i].prompt) {
            size_t same = end;
            while (end < rows->n && keys[end].prompt == keys[same].prompt
                   && keys[end].both == keys[same].both)
                end++;
            answers++;
            if (keys[same].row < first) first = keys[same].row;
            if (end - same > 1)
                k->duplicates[k->n_duplicates++] =
                    (struct weft_check_item){ weft_row_headline(&rows->items[keys[same].row]), end - same,
                                              keys[same].row };
            k->unique_rows++;
        }
        if (answers > 1) {
            k->conflicting_prompts++;
            k->conflicting_rows += end - i;
            k->conflicts[k->n_conflicts++] =
                (struct weft_check_item){ weft_row_headline(&rows->items[first]), end - i, first };
        }
        i = end;
    }
    k->duplicate_rows = rows->n - k->unique_rows;
    if (k->n_duplicates) qsort(k->duplicates, k->n_duplicates, sizeof *k->duplicates, by_item);
    if (k->n_conflicts) qsort(k->conflicts, k->n_conflicts, sizeof *k->conflicts, by_item);
    k->n_duplicates = weft_min_size(k->n_duplicates, LISTED);
    k->n_conflicts = weft_min_size(k->n_conflicts, LISTED);
    return true;
}

/* ---- the verdict ---- */

/* `fix` is a key of the catalogue. */
static bool say(struct counter *c, enum weft_lang lang, enum weft_verdict verdict, const char *fix,
                const char *fmt, ...) WEFT_PRINTF(5, 6);

static bool say(struct counter *c, enum weft_lang lang, enum weft_verdict verdict, const char *fix,
                const char *fmt, ...)
{
    struct weft_check *k = c->out;
    char text[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, weft_tr(lang, fmt), ap);
    va_end(ap);
    if (verdict > k->verdict) k->verdict = verdict;
    k->fixes[k->n_reasons] = weft_str_c(weft_tr(lang, fix));
    k->reasons[k->n_reasons] = weft_str_dup(c->arena, weft_str_c(text));
    return k->reasons[k->n_reasons++].s != NULL;
}

static bool judge(struct counter *c, uint64_t rows, enum weft_lang lang)
{
    struct weft_check *k = c->out;
    bool ok = true;
    k->reasons = WEFT_NEWS(c->arena, struct weft_str, REASONS);
    k->fixes = WEFT_NEWS(c->arena, struct weft_str, REASONS);
    if (!k->reasons || !k->fixes) return false;
    if (k->empty_answers)
        ok = ok
             && say(c, lang, WEFT_VERDICT_BAD, "weft data clean --drop empty_answer leaves them out",
                    "%" PRIu64 " of %" PRIu64 " answers are empty: training on them teaches silence",
                    k->empty_answers, k->answers + k->text_rows);
    if (k->copied_answers * 50 > rows)
        ok = ok
             && say(c, lang, WEFT_VERDICT_BAD, "weft data clean --drop same_as_prompt leaves them out", "%" PRIu64 " of %" PRIu64 " rows answer with their own prompt",
                    k->copied_answers, rows);
    if (k->duplicate_rows * 10 > rows)
        ok = ok
             && say(c, lang, WEFT_VERDICT_LOOK, "weft data dedup keeps one of each, near doubles too",
                    "%" PRIu64 " of %" PRIu64
                    " rows are duplicates: they weigh double in training and leak into the validation part",
                    k->duplicate_rows, rows);
    if (k->conflicting_rows * 10 > rows)
        ok = ok
             && say(c, lang, WEFT_VERDICT_LOOK, "weft data clean --keep-per-prompt K keeps K answers of each prompt",
                    "%" PRIu64 " of %" PRIu64
                    " rows give different answers to one prompt: keep a few of each (keep_per_prompt)",
                    k->conflicting_rows, rows);
    if (k->short_answers * 10 > k->answers)
        ok = ok
             && say(c, lang, WEFT_VERDICT_LOOK, "weft data clean --drop short_answer, or more turns a row (--turns multi)",
                    "%" PRIu64 " of %" PRIu64 " answers are very short: the model will be too",
                    k->short_answers, k->answers);
    if (k->n_lookalikes)
        ok = ok
             && say(c, lang, WEFT_VERDICT_LOOK, "harmless where they are meant as text; look at them",
                    "%zu kinds of text look like control tokens; they are trained as plain text",
                    k->n_lookalikes);
    if (rows < 50)
        ok = ok
             && say(c, lang, WEFT_VERDICT_LOOK, "more source text, more speakers, or weft data augment",
                    "%" PRIu64 " rows are few: expect the model to learn them by heart", rows);
    return ok;
}

enum weft_status weft_check_rows(struct weft_arena *a, const struct weft_rows *rows,
                                 const struct weft_check_settings *s, struct weft_check *out,
                                 struct weft_err *err)
{
    struct counter c = { .arena = a, .out = out, .speakers = { .arena = a }, .systems = { .arena = a },
                         .lookalikes = { .arena = a }, .flags = { .arena = a } };
    size_t turns = 0;
    bool ok;

    *out = (struct weft_check){ .rows = rows->n };
    if (s) c.s = *s;
    if (!c.s.short_answer_chars) c.s.short_answer_chars = SHORT_ANSWER;
    for (size_t i = 0; i < rows->n; i++) turns += rows->items[i].n_turns;
    c.prompt_len = WEFT_NEWS(a, uint32_t, turns + 1);
    c.answer_len = WEFT_NEWS(a, uint32_t, turns + 1);
    c.row_len = WEFT_NEWS(a, uint32_t, rows->n + 1);
    c.hash = weft_arena_calloc(a, rows->n + 1, sizeof *c.hash);
    ok = c.prompt_len && c.answer_len && c.row_len && c.hash;
    for (size_t i = 0; ok && i < rows->n; i++) ok = count_row(&c, &rows->items[i], i);
    if (ok) {
        weft_lengths_of(c.prompt_len, c.n_prompts, &out->prompt);
        weft_lengths_of(c.answer_len, c.n_answers, &out->answer);
        weft_lengths_of(c.row_len, rows->n, &out->row);
    }
    ok = ok && list_items(a, &c.speakers, SIZE_MAX, &out->speakers, &out->n_speakers) &&
         list_items(a, &c.systems, LISTED, &out->systems, &out->n_systems) &&
         list_items(a, &c.lookalikes, LISTED, &out->lookalikes, &out->n_lookalikes) &&
         list_items(a, &c.flags, SIZE_MAX, &out->flags, &out->n_flags) && find_alike(&c, rows) &&
         judge(&c, rows->n, err ? err->lang : WEFT_LANG_EN);
    weft_arena_clear(&c.scratch);
    return ok ? WEFT_OK : weft_fail_nomem(err, rows->n * sizeof(struct keyed), "the check");
}
