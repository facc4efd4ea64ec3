/* Any bytes as a table.  Rows lie in the text in order, a row without oddities written again reads back equal, and the
 * reader makes lines whose byte ranges rise through the file. */
#include "text/csv.h"
#include "text/text.h"

#include <stdlib.h>

static void check(bool ok)
{
    if (!ok) abort();
}

static void check_round_trip(const struct weft_csv_row *row, char separator)
{
    struct weft_buf b = { 0 };
    struct weft_csv c = { 0 };
    struct weft_csv_row again;
    weft_csv_write(&b, row->cells, row->n, separator);
    weft_csv_init(&c, "again", weft_buf_view(&b), separator);
    c.at = 0;       /* a cell may begin with the bytes of a mark */
    check(weft_csv_next(&c, &again, NULL) == WEFT_OK && again.n == row->n);
    for (size_t i = 0; i < row->n; i++) check(weft_str_eq(row->cells[i], again.cells[i]));
    weft_csv_clear(&c);
    weft_buf_clear(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char separators[] = { 0, ',', ';', '\t', '|' };
    struct weft_arena a = { 0 };
    struct weft_err err = { .lang = size & 1 ? WEFT_LANG_ZH : WEFT_LANG_EN };
    struct weft_csv c = { 0 };
    struct weft_csv_row row;
    if (size < 2) return 0;
    struct weft_str bytes = { (const char *)data + 1, size - 1 };
    weft_csv_init(&c, "fuzz", bytes, separators[data[0] % sizeof separators]);
    size_t at = 0;
    uint64_t line = 1;
    enum weft_status st;
    while (!(st = weft_csv_next(&c, &row, &err)) && row.cells) {
        check(row.n > 0 && row.begin >= at && row.end >= row.begin && row.end <= bytes.len);
        check(row.line >= line && row.last_line >= row.line);
        at = row.end;
        line = row.last_line + 1;
        if (row.end - row.begin < 4096) check_round_trip(&row, c.separator);
    }
    check(st == WEFT_OK || (st == WEFT_EINPUT && strcmp(err.rule, "CS3") == 0));
    weft_csv_clear(&c);

    struct weft_text_settings s = { .reader = "csv", .charset = data[0] / 5 % 6 };
    struct weft_text t;
    weft_err_clear(&err);
    st = weft_text_from_memory(&a, "fuzz.csv", bytes, &s, &t, &err);
    check(st == WEFT_OK || (st == WEFT_EINPUT && err.msg[0]));
    uint64_t byte = 0;
    for (size_t i = 0; !st && i < t.n_lines; i++) {
        check(t.lines[i].begin >= byte && t.lines[i].end >= t.lines[i].begin && t.lines[i].end <= bytes.len);
        byte = t.lines[i].end;
    }
    weft_arena_clear(&a);
    return 0;
}
