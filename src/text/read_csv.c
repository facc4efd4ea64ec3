/* A row becomes a line with tabs between its cells.  A line break in a cell stays one, so that prose in a cell keeps
 * its paragraphs: such a row has several lines.
 *
 * Commas are no evidence: prose is full of them.  So only a name that says so makes a file a table. */
#include "text/read_csv.h"

#include "text/charset.h"
#include "text/csv.h"
#include "text/magic.h"

#include <inttypes.h>
#include <strings.h>

static bool sniff(struct weft_str bytes, struct weft_str name)
{
    static const char *const endings[] = { ".csv", ".tsv", ".tab" };
    for (size_t i = 0; i < WEFT_COUNT(endings); i++) {
        size_t n = strlen(endings[i]);
        if (name.len > n && strncasecmp(name.s + name.len - n, endings[i], n) == 0) return !weft_magic_name(bytes);
    }
    return false;
}

struct table {
    struct weft_buf out, lines;         /* text; struct weft_text_line with bytes of the decoded text */
    size_t line_at, source_at;          /* the line being made begins here, in both texts */
};

static void end_line(struct table *t, size_t source_end)
{
    struct weft_text_line line = { t->line_at, t->source_at, source_end };
    weft_buf_add(&t->lines, &line, sizeof line);
    weft_buf_char(&t->out, '\n');
    t->line_at = t->out.len;
    t->source_at = source_end + 1;
}

/* Line breaks of the cells are those of the row, in the same order: the k-th ends the same line in both. */
static void add_row(struct table *t, struct weft_str text, const struct weft_csv_row *row)
{
    t->source_at = row->begin;
    for (size_t k = 0; k < row->n; k++) {
        struct weft_str s = row->cells[k];
        if (k) weft_buf_char(&t->out, '\t');
        for (;;) {
            size_t lf = weft_str_find(s, WEFT_STR("\n"), 0);
            weft_buf_str(&t->out, weft_str_sub(s, 0, lf));
            if (lf == SIZE_MAX) break;
            size_t end = weft_str_find(text, WEFT_STR("\n"), t->source_at);
            end_line(t, weft_min_size(end, row->end));
            s = weft_str_skip(s, lf + 1);
        }
    }
    end_line(t, row->end);
}

/* The first row that is odd in some way, and how many there are. */
struct odd {
    uint64_t n, line;
};
static void count(struct odd *o, bool is, uint64_t line)
{
    if (is && !o->n++) o->line = line;
}

static enum weft_status read_csv(struct weft_arena *a, struct weft_str bytes, const struct weft_text_settings *s,
                                 struct weft_text *out, struct weft_err *err)
{
    struct weft_text source = *out, t;
    struct weft_csv csv = { 0 };
    struct weft_csv_row row = { 0 };
    struct table table = { 0 };
    struct odd ragged = { 0 }, loose = { 0 };
    enum weft_status st = weft_charset_decode(a, bytes, s->charset, &source, err);
    if (st) goto done;
    weft_csv_init(&csv, out->name.s, source.text, 0);
    while (!(st = weft_csv_next(&csv, &row, err)) && row.cells) {
        add_row(&table, source.text, &row);
        count(&ragged, row.ragged, row.line);
        count(&loose, row.loose, row.line);
    }
    if (st) goto done;
    struct weft_text_line last = { table.out.len, source.text.len, source.text.len };
    weft_buf_add(&table.lines, &last, sizeof last);
    st = weft_buf_check(&table.out, "the text", err);
    if (!st) st = weft_buf_check(&table.lines, "the line table", err);
    if (st) goto done;
    if (!weft_text_visible(weft_buf_view(&table.out))) {
        st = weft_fail_rule(err, WEFT_EINPUT, "TX5",
                            "%s: no text: the file has %zu bytes and no visible character", out->name.s, bytes.len);
        goto done;
    }
    t = source;
    t.n_lines = table.lines.len / sizeof last - 1;
    t.lines = WEFT_NEWS(a, struct weft_text_line, t.n_lines + 1);
    t.text = weft_str_dup(a, weft_buf_view(&table.out));
    if (!t.lines || !t.text.s) {
        st = weft_fail_nomem(err, table.lines.len + table.out.len, "the text");
        goto done;
    }
    memcpy(t.lines, table.lines.s, table.lines.len);
    st = weft_charset_place_lines(a, &source, bytes, &t, err);
    if (!st && ragged.n)
        st = weft_text_note(a, &t, err,
                            "%s:%" PRIu64 ": not %zu cells as in the first row; %" PRIu64 " of %" PRIu64
                            " rows are like that, kept as they are",
                            out->name.s, ragged.line, csv.width, ragged.n, csv.rows);
    if (!st && loose.n)
        st = weft_text_note(a, &t, err,
                            "%s:%" PRIu64 ": something stands behind the closing quote of a cell; %" PRIu64
                            " rows are like that, kept as they are",
                            out->name.s, loose.line, loose.n);
    if (!st) *out = t;
done:
    weft_csv_clear(&csv);
    weft_buf_clear(&table.out);
    weft_buf_clear(&table.lines);
    return st;
}

const struct weft_reader weft_reader_csv = {
    .name = "csv",
    .suffixes = ".csv .tsv",
    .help = "tables: cells parted by tabs, a row a line",
    .help_zh = "表格：单元格之间用制表符隔开，一行数据占一行",
    .sniff_named = sniff,
    .read = read_csv,
};
