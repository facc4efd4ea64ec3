#include "dataset/stats.h"

#include "dataset/normal.h"
#include "dataset/tally.h"

#include <math.h>
#include <utf8proc.h>

const uint64_t weft_cutoffs[WEFT_N_CUTOFFS] = { 512, 1024, 2048 };

static const char *const letter_names[WEFT_N_LETTERS] = { "Han",      "kana",          "Hangul", "Latin",
                                                          "Cyrillic", "other letters", "digits", "marks" };

const char *weft_letter_name(enum weft_letter_kind k) { return letter_names[k]; }

/* ---- letters ---- */

static enum weft_letter_kind kind_of(uint32_t cp)
{
    if (cp < 0x80) {
        if ((cp | 32) >= 'a' && (cp | 32) <= 'z') return WEFT_LETTER_LATIN;
        return cp >= '0' && cp <= '9' ? WEFT_LETTER_DIGIT : WEFT_LETTER_MARK;
    }
    if ((cp >= 0x3400 && cp <= 0x9FFF) || (cp >= 0xF900 && cp <= 0xFAFF) || (cp >= 0x20000 && cp <= 0x323AF)
        || cp == 0x3007)
        return WEFT_LETTER_HAN;
    if ((cp >= 0x3041 && cp <= 0x30FF && cp != 0x30FB) || (cp >= 0x31F0 && cp <= 0x31FF)
        || (cp >= 0xFF66 && cp <= 0xFF9D))
        return WEFT_LETTER_KANA;
    if ((cp >= 0xAC00 && cp <= 0xD7A3) || (cp >= 0x1100 && cp <= 0x11FF) || (cp >= 0x3131 && cp <= 0x318E))
        return WEFT_LETTER_HANGUL;
    utf8proc_category_t c = utf8proc_category((utf8proc_int32_t)cp);
    if (c >= UTF8PROC_CATEGORY_ND && c <= UTF8PROC_CATEGORY_NO) return WEFT_LETTER_DIGIT;
    if (c < UTF8PROC_CATEGORY_LU || c > UTF8PROC_CATEGORY_MC) return WEFT_LETTER_MARK;
    if (cp <= 0x24F || (cp >= 0x1E00 && cp <= 0x1EFF) || (cp >= 0xFF21 && cp <= 0xFF5A))
        return WEFT_LETTER_LATIN;
    return cp >= 0x400 && cp <= 0x52F ? WEFT_LETTER_CYRILLIC : WEFT_LETTER_OTHER;
}

static void count_letters(uint64_t *n, struct weft_str s)
{
    for (size_t at = 0; at < s.len;) {
        uint32_t cp;
        at += weft_utf8_decode(s.s + at, s.len - at, &cp, NULL);
        if (!weft_is_space(cp)) n[kind_of(cp)]++;
    }
}

static void count_row_letters(struct weft_stats *out, const struct weft_row *row)
{
    uint64_t n[WEFT_N_LETTERS] = { 0 };
    int most = WEFT_LETTER_OTHER;
    count_letters(n, row->text);
    for (size_t i = 0; i < row->n_turns; i++) count_letters(n, row->turns[i].text);
    count_letters(n, row->chosen.text);
    count_letters(n, row->rejected.text);
    for (int k = 0; k < WEFT_N_LETTERS; k++) out->letters[k] += n[k];
    for (int k = 0; k < WEFT_LETTER_DIGIT; k++)
        if (n[k] > n[most]) most = k;
    if (!n[most]) most = n[WEFT_LETTER_DIGIT] > n[WEFT_LETTER_MARK] ? WEFT_LETTER_DIGIT : WEFT_LETTER_MARK;
    /* Japanese text has more Han characters than kana, and Chinese text has none of these */
    if (most == WEFT_LETTER_HAN && n[WEFT_LETTER_KANA] * 5 > n[WEFT_LETTER_HAN]) most = WEFT_LETTER_KANA;
    out->mostly[most]++;
}

/* ---- hints ---- */

static double between(const double at[3], double log_rows)
{
    double x = log_rows < 2 ? 2 : log_rows > 4 ? 4 : log_rows;
    return x < 3 ? at[0] + (at[1] - at[0]) * (x - 2) : at[1] + (at[2] - at[1]) * (x - 3);
}

void weft_suggest_epochs(uint64_t rows, int *from, int *to, int *middle)
{
    static const double least[3] = { 10, 5, 2 }, most[3] = { 20, 10, 5 }; /* at 100, 1,000 and 10,000 rows */
    double x = rows ? log10((double)rows) : 0, low = between(least, x), high = between(most, x);
    *from = rows ? (int)lround(low) : 0;
    *to = rows ? (int)lround(high) : 0;
    *middle = rows ? (int)lround((low + high) / 2) : 0;
}

static void suggest_cutoff(struct weft_stats *out)
{
    if (!out->tokens.n) return;
    out->cutoff_len = weft_cutoffs[WEFT_N_CUTOFFS - 1];
    for (int i = WEFT_N_CUTOFFS; i-- > 0;)
        if (out->longer[i] * 100 < out->tokens.n) out->cutoff_len = weft_cutoffs[i];
}

/* ---- rows ---- */

static bool list_items(struct weft_arena *a, struct weft_tally *t, struct weft_check_item **items, size_t *n)
{
    weft_tally_sort(t);
    *n = t->n;
    *items = WEFT_NEWS(a, struct weft_check_item, *n + 1);
    for (size_t i = 0; *items && i < *n; i++)
        (*items)[i] = (struct weft_check_item){ t->items[i].text, t->items[i].count, t->items[i].first };
    return *items != NULL;
}

static enum weft_status count_tokens(struct weft_arena *a, const struct weft_rows *rows,
                                     const struct weft_row_tokens *tokens, struct weft_stats *out,
                                     struct weft_err *err)
{
    uint32_t *len = WEFT_NEWS(a, uint32_t, rows->n + 1);
    size_t n = 0;
    enum weft_status st = len ? WEFT_OK : weft_fail_nomem(err, rows->n * sizeof *len, "the figures");
    for (size_t i = 0; !st && i < rows->n; i++) {
        uint64_t count = 0;
        bool counted = true;
        st = tokens->count(tokens->ctx, &rows->items[i], &count, &counted, err);
        if (st) break;
        if (!counted) {
            out->not_counted++;
            continue;
        }
        len[n++] = count > UINT32_MAX ? UINT32_MAX : (uint32_t)count;
        for (int k = 0; k < WEFT_N_CUTOFFS; k++) out->longer[k] += count > weft_cutoffs[k];
    }
    if (!st && !weft_lengths_of(len, n, &out->tokens)) st = weft_fail_nomem(err, n * sizeof *len, "the figures");
    if (!st) suggest_cutoff(out);
    return st;
}

enum weft_status weft_stats_rows(struct weft_arena *a, const struct weft_rows *rows,
                                 const struct weft_row_tokens *tokens, struct weft_stats *out,
                                 struct weft_err *err)
{
    struct weft_tally speakers = { .arena = a }, vias = { .arena = a };
    bool ok = true;
    *out = (struct weft_stats){ 0 };
    enum weft_status st = weft_check_rows(a, rows, NULL, &out->check, err);
    for (size_t i = 0; !st && ok && i < rows->n; i++) {
        const struct weft_row *row = &rows->items[i];
        count_row_letters(out, row);
        if (row->origin.speaker.len) ok = weft_tally_add(&speakers, row->origin.speaker, i) != NULL;
        if (ok && row->origin.via.len) ok = weft_tally_add(&vias, row->origin.via, i) != NULL;
    }
    if (st) return st;
    if (!ok || !list_items(a, &speakers, &out->speakers, &out->n_speakers)
        || !list_items(a, &vias, &out->vias, &out->n_vias))
        return weft_fail_nomem(err, rows->n, "the figures");
    weft_suggest_epochs(rows->n, &out->epochs_from, &out->epochs_to, &out->epochs);
    return tokens ? count_tokens(a, rows, tokens, out, err) : WEFT_OK;
}

/* ---- findings ---- */

/* Rows may come in any order. */
static void found(struct weft_finding *f, size_t row, size_t turn, bool new_row)
{
    if (!f->rows || row < f->first_row) f->first_row = row, f->first_turn = turn;
    f->rows += new_row;
}

static void find_pii(struct weft_findings *out, struct weft_str s, size_t row, size_t turn, unsigned *kinds)
{
    struct weft_pii p;
    size_t at = 0;
    while (s.len && weft_pii_next(s, WEFT_PII_ALL, &at, &p)) {
        found(&out->pii[p.kind], row, turn, !(*kinds >> p.kind & 1));
        out->pii[p.kind].pieces++;
        *kinds |= 1u << p.kind;
    }
}

void weft_find_row(const struct weft_row *row, uint64_t number, const struct weft_quality_settings *quality,
                   struct weft_findings *out)
{
    size_t turn[WEFT_N_QUALITY], i = (size_t)number;
    unsigned kinds = 0;
    uint32_t signs = weft_quality_row(row, quality, turn);
    for (int q = 0; q < WEFT_N_QUALITY; q++)
        if (signs >> q & 1) found(&out->signs[q], i, turn[q], true);
    out->rows_with_signs += signs != 0;
    find_pii(out, row->system, i, 0, &kinds);
    find_pii(out, row->text, i, 0, &kinds);
    for (size_t t = 0; t < row->n_turns; t++) find_pii(out, row->turns[t].text, i, t, &kinds);
    find_pii(out, row->chosen.text, i, row->n_turns, &kinds);
    find_pii(out, row->rejected.text, i, row->n_turns, &kinds);
    out->rows_with_pii += kinds != 0;
}

static void join(struct weft_finding *to, const struct weft_finding *from)
{
    if (from->rows && (!to->rows || from->first_row < to->first_row)) {
        to->first_row = from->first_row;
        to->first_turn = from->first_turn;
    }
    to->rows += from->rows;
    to->pieces += from->pieces;
}

void weft_findings_join(struct weft_findings *to, const struct weft_findings *from)
{
    for (int i = 0; i < WEFT_N_QUALITY; i++) join(&to->signs[i], &from->signs[i]);
    for (int i = 0; i < WEFT_N_PII; i++) join(&to->pii[i], &from->pii[i]);
    to->rows_with_signs += from->rows_with_signs;
    to->rows_with_pii += from->rows_with_pii;
}

void weft_find_rows(const struct weft_rows *rows, const struct weft_quality_settings *quality,
                    struct weft_findings *out)
{
    *out = (struct weft_findings){ 0 };
    for (size_t i = 0; i < rows->n; i++) weft_find_row(&rows->items[i], i, quality, out);
}
