/* A row is looked through once to find its end, then cut: so a quote without end is known before anything is given, and
 * the unquoted copy has all its room before cells point into it. */
#include "text/csv.h"

static bool at_line_end(struct weft_str s, size_t i)
{
    return s.s[i] == '\n' || (s.s[i] == '\r' && i + 1 < s.len && s.s[i + 1] == '\n');
}

/* Behind the line end at i. */
static size_t past_line_end(struct weft_str s, size_t i)
{
    if (i == s.len) return i;
    return i + (s.s[i] == '\r' ? 2 : 1);
}

/* End of the cell that begins at i: a separator, a line end or the end of the text.  *open: its quote is not closed.
 * *lines counts line breaks inside. */
static size_t cell_end(struct weft_str s, size_t i, char separator, bool *open, uint64_t *lines)
{
    *open = false;
    if (i < s.len && s.s[i] == '"') {
        *open = true;
        for (i++; i < s.len; i++) {
            *lines += s.s[i] == '\n';
            if (s.s[i] != '"') continue;
            if (i + 1 < s.len && s.s[i + 1] == '"') i++;
            else {
                *open = false;
                i++;
                break;
            }
        }
    }
    while (i < s.len && s.s[i] != separator && !at_line_end(s, i)) i++;
    return i;
}

/* ---- which separator ---- */

enum { SNIFF_ROWS = 64, SNIFF_BYTES = 64 << 10 };

/* Of the first rows, those with as many cells as the first; 0 where that is one cell. */
static size_t agreeing(struct weft_str s, char separator, size_t *width)
{
    size_t rows = 0, agree = 0, i = 0;
    bool open;
    uint64_t lines = 0;
    *width = 0;
    while (i < s.len && rows < SNIFF_ROWS) {
        size_t cells = 0, begin = i;
        for (;; i++) {
            i = cell_end(s, i, separator, &open, &lines);
            cells++;
            if (i == s.len || s.s[i] != separator) break;
        }
        bool blank = i == begin;
        if (i == s.len && rows) break;          /* it may be cut short */
        i = past_line_end(s, i);
        if (blank) continue;
        if (!rows++) *width = cells;
        agree += cells == *width;
    }
    return *width > 1 ? agree * SNIFF_ROWS / (rows ? rows : 1) : 0;
}

char weft_csv_separator(struct weft_str text)
{
    static const char candidates[] = { ',', '\t', ';', '|' };
    struct weft_str s = weft_str_sub(text, 0, SNIFF_BYTES);
    size_t best = 0, best_width = 0;
    char found = ',';
    for (size_t k = 0; k < WEFT_COUNT(candidates); k++) {
        size_t width, n = agreeing(s, candidates[k], &width);
        if (n > best || (n == best && n && width > best_width)) {
            best = n;
            best_width = width;
            found = candidates[k];
        }
    }
    return found;
}

/* ---- rows ---- */

void weft_csv_init(struct weft_csv *c, const char *name, struct weft_str text, char separator)
{
    *c = (struct weft_csv){ .name = name, .text = text, .separator = separator, .line = 1 };
    if (weft_str_starts(text, WEFT_STR("\xEF\xBB\xBF"))) c->at = 3;
    if (!separator) c->separator = weft_csv_separator(weft_str_skip(text, c->at));
}

/* The cell at [i, end): without quotes, doubled ones made single. */
static struct weft_str cut_cell(struct weft_csv *c, size_t i, size_t end, bool *loose)
{
    struct weft_str s = weft_str_sub(c->text, i, end);
    if (!s.len) return (struct weft_str){ "", 0 };
    if (s.s[0] != '"') return s;
    const char *quote = memchr(s.s + 1, '"', s.len - 1);
    if (quote && quote == s.s + s.len - 1) return weft_str_sub(s, 1, s.len - 1);
    size_t from = c->unquoted.len, k = 1;
    for (; k < s.len; k++) {
        if (s.s[k] != '"') weft_buf_char(&c->unquoted, s.s[k]);
        else if (k + 1 < s.len && s.s[k + 1] == '"') weft_buf_char(&c->unquoted, s.s[k++]);
        else break;
    }
    if (k + 1 < s.len) {
        *loose = true;
        weft_buf_str(&c->unquoted, weft_str_skip(s, k + 1));
    }
    return (struct weft_str){ c->unquoted.s + from, c->unquoted.len - from };
}

enum weft_status weft_csv_next(struct weft_csv *c, struct weft_csv_row *row, struct weft_err *err)
{
    struct weft_str s = c->text;
    *row = (struct weft_csv_row){ 0 };
    while (c->at < s.len && at_line_end(s, c->at)) {
        c->at = past_line_end(s, c->at);
        c->line++;
        c->blank++;
    }
    if (c->at == s.len) return WEFT_OK;
    row->begin = c->at;
    row->line = c->line;
    size_t i = c->at;
    uint64_t breaks = 0;
    for (;; i++) {
        bool open;
        uint64_t line = c->line + breaks;
        size_t begin = i;
        i = cell_end(s, i, c->separator, &open, &breaks);
        if (open) {
            char start[64];
            return weft_fail_rule(err, WEFT_EINPUT, "CS3",
                                  "%s:%llu: the quote before \"%s\" is never closed; close it, or double a quote that is "
                                  "meant to stand in a cell",
                                  c->name, (unsigned long long)line,
                                  weft_escape(start, sizeof start, weft_str_sub(s, begin + 1, begin + 21)));
        }
        if (i == s.len || s.s[i] != c->separator) break;
    }
    row->end = i;
    row->last_line = c->line + breaks;
    weft_buf_reset(&c->cells);
    weft_buf_reset(&c->unquoted);
    weft_buf_reserve(&c->unquoted, row->end - row->begin);
    for (i = row->begin; !c->unquoted.failed; i++) {
        bool open;
        uint64_t lines = 0;
        size_t end = cell_end(s, i, c->separator, &open, &lines);
        struct weft_str cell = cut_cell(c, i, end, &row->loose);
        weft_buf_add(&c->cells, &cell, sizeof cell);
        row->n++;
        i = end;
        if (end == row->end) break;
    }
    enum weft_status st = weft_buf_check(&c->cells, "the cells of a row", err);
    if (!st) st = weft_buf_check(&c->unquoted, "the cells of a row", err);
    if (st) return st;
    row->cells = (const struct weft_str *)(const void *)c->cells.s;
    if (!c->rows++) c->width = row->n;
    row->ragged = row->n != c->width;
    c->at = past_line_end(s, row->end);
    c->line = row->last_line + 1;
    return WEFT_OK;
}

void weft_csv_clear(struct weft_csv *c)
{
    weft_buf_clear(&c->cells);
    weft_buf_clear(&c->unquoted);
}

/* ---- writing ---- */

static bool needs_quotes(struct weft_str s, char separator)
{
    if (s.len && (s.s[0] == ' ' || s.s[s.len - 1] == ' ')) return true;
    for (size_t i = 0; i < s.len; i++)
        if (s.s[i] == separator || s.s[i] == '"' || s.s[i] == '\n' || s.s[i] == '\r') return true;
    return false;
}

void weft_csv_write(struct weft_buf *b, const struct weft_str *cells, size_t n, char separator)
{
    for (size_t k = 0; k < n; k++) {
        struct weft_str s = cells[k];
        if (k) weft_buf_char(b, separator);
        /* One empty cell would be a blank line, which is no row. */
        if (!needs_quotes(s, separator) && !(n == 1 && !s.len)) {
            weft_buf_str(b, s);
            continue;
        }
        weft_buf_char(b, '"');
        for (size_t i = 0; i < s.len; i++) {
            if (s.s[i] == '"') weft_buf_char(b, '"');
            weft_buf_char(b, s.s[i]);
        }
        weft_buf_char(b, '"');
    }
    weft_buf_cstr(b, "\r\n");
}
