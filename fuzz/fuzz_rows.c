/* Any bytes as a dataset file.  Every unit is accounted for; a row that was read can be written in a format that has a
 * place for it, and read again it is the same row; check, split,
 * stats, clean and dedup take whatever was read. */
#include "dataset/check.h"
#include "dataset/clean.h"
#include "dataset/dedup.h"
#include "dataset/format_parts.h"
#include "dataset/split.h"
#include "dataset/stats.h"

#include <stdlib.h>

static void check(bool ok)
{
    if (!ok) abort();
}

static bool row_json(struct weft_buf *b, const struct weft_row *row, enum weft_format format)
{
    struct weft_json_out o;
    struct weft_err err = { 0 };
    weft_buf_reset(b);
    weft_json_out_init(&o, b);
    enum weft_status st = weft_row_to_json(&o, row, format, true, &err);
    check(!b->failed && (st == WEFT_OK || (st == WEFT_EINPUT && err.msg[0])));
    return st == WEFT_OK;
}

static void round_trip(struct weft_arena *a, const struct weft_row *row, enum weft_format format)
{
    struct weft_buf once = { 0 }, twice = { 0 };
    struct weft_rows again = { 0 };
    struct weft_err err = { 0 };
    /* Read as what it was written as: a member that nobody read may be named like the mark of another shape. */
    struct weft_rows_settings as = { .format = format };
    if (row_json(&once, row, format)) {
        check(!weft_rows_parse(a, "again", weft_buf_view(&once), &as, &again, NULL, NULL, &err)
              && again.n == 1);
        check(row_json(&twice, again.items, format)
              && weft_str_eq(weft_buf_view(&once), weft_buf_view(&twice)));
    }
    weft_buf_clear(&once);
    weft_buf_clear(&twice);
}

/* Pieces lie in the text, in order; what is masked has as many characters and nothing left to find. */
static void look_for_pii(struct weft_str s)
{
    struct weft_buf once = { 0 }, twice = { 0 };
    struct weft_pii p;
    size_t at = 0, end = 0, n = 0;
    while (s.len && weft_pii_next(s, WEFT_PII_ALL, &at, &p)) {
        check(p.from >= end && p.from < p.to && p.to <= s.len && at == p.to && p.kind < WEFT_N_PII);
        end = p.to;
        n++;
    }
    check(weft_pii_mask(&once, s, WEFT_PII_ALL, NULL) == n);
    check(weft_utf8_chars(weft_buf_view(&once)) == weft_utf8_chars(s));
    weft_pii_mask(&twice, weft_buf_view(&once), WEFT_PII_ALL, NULL);
    check(twice.len == once.len);
    weft_buf_clear(&once);
    weft_buf_clear(&twice);
}

/* Rows to figures, findings, repairs and doubles: everything is accounted for. */
static void care(struct weft_arena *a, const struct weft_rows *rows, unsigned choice, struct weft_err *err)
{
    struct weft_stats stats;
    struct weft_findings findings;
    struct weft_clean *clean = NULL;
    struct weft_dedup *dedup = NULL;
    struct weft_dedup_result doubles;
    struct weft_clean_settings s = { .repairs = choice & 0xFF,
                                     .mask = choice & 1 ? WEFT_PII_ALL : 0,
                                     .drop = choice * 2654435761u,
                                     .keep_per_prompt = choice & 3,
                                     .judged = choice & 4 };
    struct weft_dedup_settings near = { .field = (int)choice % 3, .keep = choice >> 3 & 1 };
    check(!weft_stats_rows(a, rows, NULL, &stats, err) && stats.check.rows == rows->n);
    weft_find_rows(rows, NULL, &findings);
    check(findings.rows_with_signs <= rows->n && findings.rows_with_pii <= rows->n);
    check(!weft_clean_new(&clean, &s, err));
    check(!weft_dedup_new(&dedup, &near, err));
    for (size_t i = 0; i < rows->n; i++) {
        struct weft_clean_result r;
        check(!weft_clean_row(clean, a, &rows->items[i], &r, err) && (r.kept || r.reason.len));
        check(r.row.n_turns == rows->items[i].n_turns);
        check(!weft_dedup_add(dedup, &r.row, err));
        look_for_pii(rows->items[i].text);
        for (size_t t = 0; t < rows->items[i].n_turns && t < 20; t++) look_for_pii(rows->items[i].turns[t].text);
    }
    const struct weft_clean_counts *k = weft_clean_counts(clean);
    check(k->rows_in == rows->n && k->rows_in == k->rows_out + weft_report_dropped(&k->report));
    check(!weft_dedup_finish(dedup, NULL, NULL, &doubles, err));
    check(doubles.n == rows->n && doubles.n == doubles.kept + doubles.exact + doubles.near);
    for (size_t i = 0; i < doubles.n; i++) check(doubles.fates[doubles.fates[i].row].kind == WEFT_ROW_KEPT);
    weft_clean_free(clean);
    weft_dedup_free(dedup);
}

/* Cut into parts wherever, the bytes are the same rows with the same report. */
static void read_in_parts(struct weft_arena *a, struct weft_str bytes, const struct weft_rows_settings *s,
                          size_t part_bytes, enum weft_status want, const struct weft_rows *rows,
                          const struct weft_report *report, const struct weft_err *err)
{
    struct weft_rows_settings how = *s;
    struct weft_rows cut = { 0 };
    struct weft_report cut_report = { 0 };
    struct weft_err cut_err = { .lang = err->lang };
    struct weft_buf x = { 0 }, y = { 0 };
    how.threads = 1;
    check(weft_rows_parse_parts(a, "fuzz", bytes, &how, part_bytes, &cut, &cut_report, NULL, &cut_err) == want);
    check(strcmp(err->msg, cut_err.msg) == 0);
    check(report->units_in == cut_report.units_in && report->blank == cut_report.blank
          && report->n_places == cut_report.n_places && report->n_drops == cut_report.n_drops);
    for (size_t i = 0; i < report->n_places; i++) check(weft_str_eq(report->places[i], cut_report.places[i]));
    for (size_t i = 0; i < report->n_drops; i++) check(report->drops[i].count == cut_report.drops[i].count);
    check(want || rows->n == cut.n);
    for (size_t i = 0; !want && i < rows->n; i++)
        check(row_json(&x, &rows->items[i], rows->items[i].read_as)
                  == row_json(&y, &cut.items[i], rows->items[i].read_as)
              && weft_str_eq(weft_buf_view(&x), weft_buf_view(&y)));
    weft_buf_clear(&x);
    weft_buf_clear(&y);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weft_arena a = { 0 };
    struct weft_err err = { .lang = size & 1 ? WEFT_LANG_ZH : WEFT_LANG_EN };
    struct weft_rows rows = { 0 };
    struct weft_report report = { 0 };
    struct weft_rows_shape shape;
    const char *columns[] = { "instruction=q", "response=a", "human=user" };
    struct weft_rows_settings s = { 0 };
    if (!size) return 0;
    if (data[0] & 1) s.columns = (struct weft_str_list){ columns, 3 };
    s.format = (data[0] >> 1) % 8 < 6 ? (data[0] >> 1) % 8 : 0;
    enum weft_status st = weft_rows_parse(&a, "fuzz", (struct weft_str){ (const char *)data + 1, size - 1 },
                                          &s, &rows, &report, &shape, &err);
    check(st == WEFT_OK || (st == WEFT_EINPUT && err.msg[0]));
    read_in_parts(&a, (struct weft_str){ (const char *)data + 1, size - 1 }, &s, 1 + size % 61, st, &rows,
                  &report, &err);
    if (!st) {
        check(report.units_in == report.rows_out + report.blank + weft_report_dropped(&report)
              && report.rows_out == rows.n && rows.n);
        for (size_t i = 0; i < rows.n && i < 20; i++)
            for (int f = WEFT_FORMAT_ALPACA; f <= WEFT_FORMAT_DPO; f++)
                round_trip(&a, &rows.items[i], (enum weft_format)f);
        struct weft_check c;
        struct weft_split split;
        check(!weft_check_rows(&a, &rows, NULL, &c, &err) && c.rows == rows.n
              && c.unique_rows + c.duplicate_rows == rows.n);
        st = weft_split_rows(&a, &rows, &(struct weft_split_settings){ .valid = 0.3, .test = 0.1, .seed = 1 },
                             &split, &err);
        check(st == WEFT_EARG || split.train.n + split.valid.n + split.test.n == rows.n);
        weft_err_clear(&err);
        care(&a, &rows, (unsigned)data[0] | (unsigned)size << 8, &err);
    }
    weft_arena_clear(&a);
    return 0;
}
