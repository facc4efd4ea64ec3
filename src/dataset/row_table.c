#include "dataset/row_table_parts.h"

#include "dataset/grow.h"

/* ---- cells ---- */

static const char *const text_members[] = { "instruction", "input", "output", "text", "tools" };
static const char *const mostly_text_members[] = { "system", "chosen", "rejected" };

/* `s`: how the members are named in the file. */
static enum weft_cell kind_of(struct weft_str name, const struct weft_rows_settings *s)
{
    const struct weft_row_reader r = { .s = s };
    for (size_t i = 0; i < WEFT_COUNT(text_members); i++)
        if (weft_str_is(name, weft_row_column(&r, text_members[i]))) return WEFT_CELL_TEXT;
    for (size_t i = 0; i < WEFT_COUNT(mostly_text_members); i++)
        if (weft_str_is(name, weft_row_column(&r, mostly_text_members[i]))) return WEFT_CELL_MOSTLY_TEXT;
    return WEFT_CELL_JSON;
}

/* Is the cell JSON, where it stands? */
static bool is_json(struct weft_arena *a, struct weft_str cell, enum weft_cell kind, struct weft_json_value *v)
{
    struct weft_err ignored = { 0 };
    if (!cell.len || kind == WEFT_CELL_TEXT
        || (kind == WEFT_CELL_MOSTLY_TEXT && cell.s[0] != '{' && cell.s[0] != '[' && cell.s[0] != '"'))
        return false;
    return weft_json_parse(a, "cell", cell, v, &ignored) == WEFT_OK;
}

/* ---- reading ---- */

/* Does a column carry the key that marks a row of some shape? */
static bool has_key(const struct weft_csv_row *row, const struct weft_rows_settings *s)
{
    const struct weft_row_reader r = { .s = s };
    size_t n;
    const struct weft_row_format *const *formats = weft_row_formats(&n);
    for (size_t i = 0; i < row->n; i++)
        for (size_t k = 0; k < n; k++)
            if (weft_str_is(weft_str_trim_ascii(row->cells[i]), weft_row_column(&r, formats[k]->key.s))) return true;
    return false;
}

/* What the columns are, by the names that the settings give the members. */
static bool describe(struct weft_arena *a, const struct weft_csv_row *row, const struct weft_rows_settings *s,
                     struct weft_row_header *h)
{
    const struct weft_row_reader r = { .s = s };
    size_t n_formats;
    const struct weft_row_format *const *formats = weft_row_formats(&n_formats);
    h->names = WEFT_NEWS(a, struct weft_str, row->n + 1);
    h->cells = WEFT_NEWS(a, enum weft_cell, row->n + 1);
    h->shapes = WEFT_NEWS(a, bool, row->n + 1);
    h->n = row->n;
    h->instruction = h->output = h->chosen = h->preferred = SIZE_MAX;
    for (size_t i = 0; h->names && h->cells && h->shapes && i < row->n; i++) {
        struct weft_str name = weft_str_trim_ascii(row->cells[i]);
        h->names[i] = name.len ? weft_str_dup(a, name) : weft_str_printf(a, "column %zu", i + 1);
        if (!h->names[i].s) return false;
        h->cells[i] = kind_of(name, s);
        if (weft_str_is(name, weft_row_column(&r, "instruction"))) h->instruction = i;
        if (weft_str_is(name, weft_row_column(&r, "output"))) h->output = i;
        if (weft_str_is(name, weft_row_column(&r, "chosen"))) h->chosen = i;
        if (weft_str_is(name, weft_row_column(&r, "preferred_output"))) h->preferred = i;
        for (size_t k = 0; k < n_formats; k++)
            h->shapes[i] |= formats[k]->id != WEFT_FORMAT_ALPACA
                            && weft_str_is(name, weft_row_column(&r, formats[k]->key.s));
    }
    return h->names && h->cells && h->shapes;
}

bool weft_table_sniff(struct weft_arena *a, struct weft_str text, const struct weft_rows_settings *s,
                      struct weft_row_header *out)
{
    static const char separators[] = { 0, ',', '\t', ';' };
    for (size_t k = 0; k < WEFT_COUNT(separators); k++) {
        struct weft_csv csv;
        struct weft_csv_row row = { 0 };
        struct weft_err ignored = { 0 };
        weft_csv_init(&csv, "", text, separators[k]);
        bool found = !weft_csv_next(&csv, &row, &ignored) && row.cells && has_key(&row, s), ok = true;
        *out = (struct weft_row_header){ .separator = csv.separator };
        if (found) ok = describe(a, &row, s, out);
        weft_csv_clear(&csv);
        if (found) return ok;
    }
    return false;
}

bool weft_table_tree(struct weft_arena *a, const struct weft_row_header *h, const struct weft_csv_row *row,
                     struct weft_json_value *out)
{
    size_t n = weft_min_size(h->n, row->n);
    bool dpo = h->preferred < n && row->cells[h->preferred].len;     /* there `input` is an object */
    bool other = false, judged = h->chosen < n && row->cells[h->chosen].len;
    *out = (struct weft_json_value){ .kind = WEFT_JSON_OBJECT };
    out->items = WEFT_NEWS(a, struct weft_json_value, n + 1);
    out->keys = WEFT_NEWS(a, struct weft_str, n + 1);
    if (!out->items || !out->keys) return false;
    for (size_t i = 0; i < n; i++) other |= h->shapes[i] && row->cells[i].len;
    for (size_t i = 0; i < n; i++) {
        bool needed = !other && (i == h->instruction || (i == h->output && !judged));
        if (!row->cells[i].len && !needed) continue;
        struct weft_json_value *v = &out->items[out->n];
        bool object = dpo && weft_str_is(h->names[i], "input");
        if (!is_json(a, row->cells[i], object ? WEFT_CELL_JSON : h->cells[i], v))
            *v = (struct weft_json_value){ .kind = WEFT_JSON_STRING, .text = row->cells[i] };
        if (v->kind == WEFT_JSON_STRING && !v->text.s) v->text.s = "";
        out->keys[out->n++] = h->names[i];
    }
    return true;
}

/* ---- writing ---- */

struct columns {
    struct weft_arena *arena;
    struct weft_str *names;
    size_t n, cap;
};

static size_t column_of(const struct columns *c, struct weft_str name)
{
    size_t i = 0;
    while (i < c->n && !weft_str_eq(c->names[i], name)) i++;
    return i;
}

static enum weft_status find_columns(struct columns *c, struct weft_str text, struct weft_err *err)
{
    struct weft_arena scratch = { 0 };
    struct weft_lines lines = { .text = text };
    struct weft_str line;
    enum weft_status st = WEFT_OK;
    while (!st && weft_lines_next(&lines, &line)) {
        struct weft_arena_mark mark = weft_arena_mark(&scratch);
        struct weft_json_value v;
        st = weft_json_parse(&scratch, "row", line, &v, err);
        for (size_t i = 0; !st && i < v.n; i++) {
            if (column_of(c, v.keys[i]) < c->n) continue;
            if (!WEFT_GROW(c->arena, c->names, c->n, c->cap)) st = weft_fail_nomem(err, 64, "the columns");
            else c->names[c->n] = weft_str_dup(c->arena, v.keys[i]);
            if (!st && !c->names[c->n++].s) st = weft_fail_nomem(err, v.keys[i].len, "the columns");
        }
        weft_arena_release(&scratch, mark);
    }
    weft_arena_clear(&scratch);
    return st;
}

/* Text as it is, or as a JSON string where it would not be read as this text; any other value as JSON. */
static bool cell_of(struct weft_arena *a, struct weft_str name, const struct weft_json_value *v, struct weft_str *out)
{
    enum weft_cell kind = kind_of(name, NULL);
    struct weft_json_value ignored;
    struct weft_buf b = { 0 };
    struct weft_json_out o;
    *out = v->text;
    if (v->kind == WEFT_JSON_STRING
        && (kind == WEFT_CELL_TEXT || (v->text.len && !is_json(a, v->text, kind, &ignored))))
        return true;
    weft_json_out_init(&o, &b);
    weft_json_out_value(&o, v);
    *out = weft_str_dup(a, weft_buf_view(&b));
    weft_buf_clear(&b);
    return out->s != NULL;
}

enum weft_status weft_table_write(const struct weft_table_out *t, char separator, struct weft_out *out,
                                  struct weft_err *err)
{
    struct weft_arena keep = { 0 }, scratch = { 0 };
    struct columns c = { .arena = &keep };
    struct weft_lines lines = { .text = weft_buf_view(&t->lines) };
    struct weft_buf b = { 0 };
    struct weft_str line, *cells = NULL;
    enum weft_status st = find_columns(&c, lines.text, err);
    if (!st) cells = WEFT_NEWS(&keep, struct weft_str, c.n + 1);
    if (!st && !cells) st = weft_fail_nomem(err, c.n * sizeof *cells, "the columns");
    weft_buf_cstr(&b, "\xEF\xBB\xBF");      /* without it Excel takes Chinese for another charset */
    if (!st) weft_csv_write(&b, c.names, c.n, separator);
    while (!st && weft_lines_next(&lines, &line)) {
        struct weft_arena_mark mark = weft_arena_mark(&scratch);
        struct weft_json_value v;
        bool ok = true;
        st = weft_json_parse(&scratch, "row", line, &v, err);
        memset(cells, 0, c.n * sizeof *cells);
        for (size_t i = 0; !st && ok && i < v.n; i++)
            ok = cell_of(&scratch, v.keys[i], &v.items[i], &cells[column_of(&c, v.keys[i])]);
        if (!st && !ok) st = weft_fail_nomem(err, line.len, "a row");
        if (!st) weft_csv_write(&b, cells, c.n, separator);
        if (!st) st = weft_buf_check(&b, "a row", err);
        if (!st) weft_out_str(out, weft_buf_view(&b));
        weft_buf_reset(&b);
        weft_arena_release(&scratch, mark);
    }
    weft_buf_clear(&b);
    weft_arena_clear(&scratch);
    weft_arena_clear(&keep);
    return st;
}
