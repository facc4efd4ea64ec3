/* Markdown -> text: md4c finds the markup, the layout of text/layout.h makes lines.
 *
 * What must not happen is that a plain text loses characters because some of them look like markup.  So a file counts
 * as Markdown only when its name says so and a piece of markup stands in it that no plain text has by chance
 * (is_evidence); lines stay lines, also where Markdown would join them; strike-through ("~") and formulas
 * ("$") keep their marks.
 *
 * md4c is quadratic in two places (measured with 0.4.8: 240,000 lines "[a]" without a blank line take 26 s; a table of
 * n columns and n short rows gives n^2 cells).  Runs of lines are cut where they become long, and tables of more than
 * 128 columns are left as they are written. */
#include "text/read_markdown.h"

#include "base/library.h"
#include "text/charset.h"
#include "text/html.h"
#include "text/html_names.h"
#include "text/layout.h"
#include "text/magic.h"

#include <strings.h>

#include <md4c.h>

enum { RUN_LINES = 4000, TABLE_COLUMNS = 128, FRONT_MATTER_LINES = 200 };

/* ---- is it Markdown ---- */

static bool is_blank(char c) { return c == ' ' || c == '\t'; }

static struct weft_str trim(struct weft_str s)
{
    return weft_str_trim_ascii(s);
}

/* "```" or "~~~": how many, or 0. */
static size_t fence(struct weft_str line)
{
    size_t n = 0;
    line = trim(line);
    while (n < line.len && (line.s[n] == '`' || line.s[n] == '~') && line.s[n] == line.s[0]) n++;
    return n >= 3 ? n : 0;
}

/* "|---|:--:|": its bars, or 0 when it is no line under the head of a table. */
static size_t table_rule(struct weft_str line)
{
    size_t bars = 0, dashes = 0;
    line = trim(line);
    for (size_t i = 0; i < line.len; i++) {
        if (!strchr("|-: \t", line.s[i])) return 0;
        bars += line.s[i] == '|';
        dashes += line.s[i] == '-';
    }
    return dashes >= 3 ? bars : 0;
}

/* "# 第一章", "```", "[text](target)", "**strong**", "|---|---|", "[id]: target".  Not: lists, quotes, rules, lines of "="
 * and single marks, which plain text has too and which are as good to read with their marks. */
static bool is_evidence(struct weft_str line)
{
    size_t n = 0;
    struct weft_str s = trim(line);
    while (n < s.len && s.s[n] == '#') n++;
    if (n >= 1 && n <= 6 && n + 1 < s.len && is_blank(s.s[n])) return true;
    if (fence(line) || table_rule(line)) return true;
    size_t link = weft_str_find(s, WEFT_STR("]("), 0);
    if (link != SIZE_MAX && memchr(s.s, '[', link) && memchr(s.s + link, ')', s.len - link)) return true;
    size_t colon = weft_str_find(s, WEFT_STR("]: "), 0);
    if (colon != SIZE_MAX && s.s[0] == '[' && colon > 1) return true;
    size_t strong = weft_str_find(s, WEFT_STR("**"), 0);
    return strong != SIZE_MAX && strong + 2 < s.len && !is_blank(s.s[strong + 2]) && s.s[strong + 2] != '*' &&
           weft_str_find(s, WEFT_STR("**"), strong + 3) != SIZE_MAX;
}

static struct weft_str next_line(struct weft_str s, size_t *at)
{
    const char *lf = memchr(s.s + *at, '\n', s.len - *at);
    size_t end = lf ? (size_t)(lf - s.s) : s.len;
    struct weft_str line = weft_str_sub(s, *at, end);
    *at = end + (lf != NULL);
    return line;
}

static bool sniff(struct weft_str bytes, struct weft_str name)
{
    static const char *const endings[] = { ".md", ".markdown", ".mdown", ".mkd" };
    bool named = false;
    for (size_t i = 0; i < WEFT_COUNT(endings); i++) {
        size_t n = strlen(endings[i]);
        named |= name.len > n && strncasecmp(name.s + name.len - n, endings[i], n) == 0;
    }
    if (!named || weft_magic_name(bytes)) return false;
    for (size_t at = 0; at < bytes.len;)
        if (is_evidence(next_line(bytes, &at))) return true;
    return false;
}

/* ---- md4c ---- */

struct md4c {
    void *handle;
    __typeof__(md_parse) *parse;
};

static enum weft_status open_md4c(struct md4c *m, struct weft_err *err)
{
    const struct weft_symbol symbols[] = { { "md_parse", (void **)&m->parse } };
    return weft_library_open(&m->handle, "libmd4c.so.0", "libmd4c0", symbols, WEFT_COUNT(symbols), err);
}

struct reader {
    struct weft_layout *l;
    struct weft_str text;               /* the decoded text */
    size_t at;                          /* of it, behind what was written last */
    struct weft_buf html, indent;       /* pieces that belong together: of HTML, of blanks before a line of code */
    size_t html_from;
    struct weft_buf pending;            /* "1. " of an item, "$" of a formula: waits for its text to know where it is */
    unsigned images, n_lists;
    struct {
        unsigned number;
        char delimiter;                 /* 0: a list without numbers */
    } lists[64];                        /* the innermost open ones */
};

static void flush_html(struct reader *r)
{
    if (!r->html.len) return;
    /* A newline behind the end of the text is md4c's. */
    size_t n = weft_min_size(r->html.len, r->text.len - r->html_from);
    weft_html_scan(r->l, weft_str_sub(weft_buf_view(&r->html), 0, n), r->html_from, r->html_from + n);
    weft_buf_reset(&r->html);
}

static void begin(struct reader *r, const char *name)
{
    flush_html(r);
    weft_layout_open(r->l, weft_str_c(name), r->at);
}
static void finish(struct reader *r, const char *name)
{
    flush_html(r);
    weft_layout_close(r->l, weft_str_c(name), r->at);
}

/* Text that does not stand in the source as it is. */
static void put(struct reader *r, const char *s, size_t n)
{
    weft_layout_text(r->l, (struct weft_str){ s, n }, r->at, r->at);
}

static void flush_pending(struct reader *r, size_t at)
{
    weft_layout_text(r->l, weft_buf_view(&r->pending), at, at);
    weft_buf_reset(&r->pending);
}

static void open_item(struct reader *r, const MD_BLOCK_LI_DETAIL *item)
{
    begin(r, "li");
    size_t i = r->n_lists - 1;
    const char *task = !item->is_task ? "" : item->task_mark == ' ' ? "[ ] " : "[x] ";
    if (r->n_lists && i < WEFT_COUNT(r->lists) && r->lists[i].delimiter)
        weft_buf_printf(&r->pending, "%u%c ", r->lists[i].number++, r->lists[i].delimiter);
    weft_buf_cstr(&r->pending, task);
}

static void open_list(struct reader *r, unsigned start, char delimiter)
{
    if (r->n_lists < WEFT_COUNT(r->lists)) {
        r->lists[r->n_lists].number = start;
        r->lists[r->n_lists].delimiter = delimiter;
    }
    r->n_lists++;
    begin(r, "ul");
}

static const char *block_name(MD_BLOCKTYPE type, const void *detail)
{
    static const char *const headings[] = { "h1", "h2", "h3", "h4", "h5", "h6" };
    switch (type) {
    case MD_BLOCK_QUOTE: return "blockquote";
    case MD_BLOCK_UL: case MD_BLOCK_OL: return "ul";
    case MD_BLOCK_LI: return "li";
    case MD_BLOCK_HR: return "hr";
    case MD_BLOCK_H: return headings[((const MD_BLOCK_H_DETAIL *)detail)->level - 1];
    case MD_BLOCK_CODE: return "pre";
    case MD_BLOCK_TABLE: return "table";
    case MD_BLOCK_THEAD: return "thead";
    case MD_BLOCK_TBODY: return "tbody";
    case MD_BLOCK_TR: return "tr";
    case MD_BLOCK_TH: return "th";
    case MD_BLOCK_TD: return "td";
    default: return "p";
    }
}

static int enter_block(MD_BLOCKTYPE type, void *detail, void *ctx)
{
    struct reader *r = ctx;
    if (type == MD_BLOCK_DOC) return 0;
    if (type != MD_BLOCK_P) flush_pending(r, r->at);
    if (type == MD_BLOCK_UL) open_list(r, 0, 0);
    else if (type == MD_BLOCK_OL)
        open_list(r, ((MD_BLOCK_OL_DETAIL *)detail)->start, ((MD_BLOCK_OL_DETAIL *)detail)->mark_delimiter);
    else if (type == MD_BLOCK_LI) open_item(r, detail);
    else {
        begin(r, block_name(type, detail));
        /* The newline that HTML drops behind <pre> is none here. */
        r->l->skip_newline = false;
    }
    return 0;
}

static int leave_block(MD_BLOCKTYPE type, void *detail, void *ctx)
{
    struct reader *r = ctx;
    if (type == MD_BLOCK_DOC) return 0;
    if (type == MD_BLOCK_UL || type == MD_BLOCK_OL) r->n_lists--;
    if (type == MD_BLOCK_LI) flush_pending(r, r->at);
    finish(r, block_name(type, detail));
    weft_buf_reset(&r->indent);
    return 0;
}

static const char *formula_mark(MD_SPANTYPE type)
{
    return type == MD_SPAN_LATEXMATH ? "$" : type == MD_SPAN_LATEXMATH_DISPLAY ? "$$" : "";
}

static int enter_span(MD_SPANTYPE type, void *detail, void *ctx)
{
    struct reader *r = ctx;
    (void)detail;
    flush_html(r);
    if (type == MD_SPAN_IMG) r->l->ignored += r->images++ == 0;
    weft_buf_cstr(&r->pending, formula_mark(type));
    return 0;
}

static int leave_span(MD_SPANTYPE type, void *detail, void *ctx)
{
    struct reader *r = ctx;
    (void)detail;
    flush_html(r);
    if (type == MD_SPAN_IMG) r->images--;
    put(r, formula_mark(type), strlen(formula_mark(type)));
    return 0;
}

/* Blanks before a line of code.  md4c makes spaces of tabs: where the source has as many columns from the start of the
 * line, its own blanks are taken. */
static void put_indent(struct reader *r, size_t at)
{
    size_t from = at, columns = 0;
    while (from > 0 && is_blank(r->text.s[from - 1])) from--;
    bool whole = from == 0 || r->text.s[from - 1] == '\n';
    for (size_t i = from; i < at; i++) columns += r->text.s[i] == '\t' ? 4 - columns % 4 : 1;
    if (whole && columns == r->indent.len) weft_layout_text(r->l, weft_str_sub(r->text, from, at), from, at);
    else {
        size_t n = weft_min_size(r->indent.len, at - r->at);
        weft_layout_text(r->l, weft_buf_view(&r->indent), at - n, at);
    }
    weft_buf_reset(&r->indent);
}

static int on_text(MD_TEXTTYPE type, const MD_CHAR *s, MD_SIZE n, void *ctx)
{
    struct reader *r = ctx;
    size_t at = 0;
    bool inside = s >= r->text.s && s <= r->text.s + r->text.len - n && n;
    if (inside) at = (size_t)(s - r->text.s);
    flush_pending(r, inside ? at : r->at);
    if (type == MD_TEXT_HTML) {
        if (!r->html.len) r->html_from = inside ? at : r->at;
        /* What stands between two pieces (tabs that md4c gives as blanks, marks of a quote) keeps its length, so that
         * the bytes behind it keep their places. */
        else if (inside && at >= r->html_from) {
            size_t want = at - r->html_from;
            while (r->html.len > want && r->html.s[r->html.len - 1] == ' ') r->html.len--;
            while (r->html.len < want && !r->html.failed) weft_buf_char(&r->html, ' ');
        }
        weft_buf_add(&r->html, s, n);
        if (inside) r->at = at + n;
        return r->html.failed ? -1 : 0;
    }
    flush_html(r);
    if (r->images) {
        if (inside) r->at = at + n;
        return 0;
    }
    if (type == MD_TEXT_BR || type == MD_TEXT_SOFTBR) {
        weft_layout_open(r->l, WEFT_STR("br"), r->at);
        return 0;
    }
    if (type == MD_TEXT_CODE && !inside && n && s[0] == ' ') {
        weft_buf_add(&r->indent, s, n);
        return r->indent.failed ? -1 : 0;
    }
    if (r->indent.len) {
        if (inside) put_indent(r, at);
        else {
            weft_layout_text(r->l, weft_buf_view(&r->indent), r->at, r->at);
            weft_buf_reset(&r->indent);
        }
    }
    if (type == MD_TEXT_ENTITY && inside) {
        uint32_t cp[2];
        char utf8[8];
        if (weft_html_reference((struct weft_str){ s, n }, cp) == n) {
            size_t len = weft_utf8_encode(cp[0], utf8);
            if (cp[1]) len += weft_utf8_encode(cp[1], utf8 + len);
            weft_layout_text(r->l, (struct weft_str){ utf8, len }, at, at + n);
            r->at = at + n;
            return 0;
        }
    }
    if (!inside) {
        put(r, s, n);
        return 0;
    }
    weft_layout_text(r->l, (struct weft_str){ s, n }, at, at + n);
    r->at = at + n;
    return 0;
}

/* ---- the text in pieces ---- */

/* Behind the block of "---" lines at the start that some programs keep their own settings in; 0: there is none.
 * *title: of the document, where it is in there. */
static size_t front_matter(struct weft_str s, struct weft_str *title)
{
    size_t at = 0, n = 0;
    if (!weft_str_is(next_line(s, &at), "---")) return 0;
    while (at < s.len && n++ < FRONT_MATTER_LINES) {
        struct weft_str line = next_line(s, &at), words = trim(line);
        if (weft_str_is(words, "---") || weft_str_is(words, "...")) return at;
        size_t colon = weft_str_find(line, WEFT_STR(":"), 0);
        /* Settings: "key: value", and what belongs to one: lists, indented lines, comments. */
        bool key = colon != SIZE_MAX && colon > 0;
        for (size_t i = 0; key && i < colon; i++)
            key = (line.s[i] | 32) >= 'a' ? (line.s[i] | 32) <= 'z' : strchr("0123456789_-. ", line.s[i]) != NULL;
        if (!key && words.len && !is_blank(line.s[0]) && words.s[0] != '-' && words.s[0] != '#') return 0;
        if (weft_str_starts(line, WEFT_STR("title:"))) {
            *title = trim(weft_str_skip(line, 6));
            char quote = title->len > 1 ? title->s[0] : 'x';
            if ((quote == '"' || quote == '\'') && title->s[title->len - 1] == quote)
                *title = weft_str_sub(*title, 1, title->len - 1);
        }
    }
    return 0;
}

/* End of a piece from `from` on that md4c reads in linear time: the whole rest, unless too many lines follow each other
 * without a blank one; then it ends between two of them, outside a block of code. */
static size_t piece_end(struct weft_str s, size_t from)
{
    size_t at = from, run = 0, open_fence = 0;
    char mark = 0;
    while (at < s.len) {
        if (run >= RUN_LINES && !open_fence) return at;
        struct weft_str line = next_line(s, &at), words = trim(line);
        size_t n = fence(line);
        run = words.len ? run + 1 : 0;
        if (!n) continue;
        if (!open_fence) {
            open_fence = n;
            mark = words.s[0];
        } else if (words.s[0] == mark && n >= open_fence && n == words.len) open_fence = 0;
    }
    return s.len;
}

static bool has_wide_table(struct weft_str s)
{
    for (size_t at = 0; at < s.len;)
        if (table_rule(next_line(s, &at)) > TABLE_COLUMNS) return true;
    return false;
}

static enum weft_status parse(const struct md4c *m, struct reader *r, size_t from, struct weft_err *err)
{
    MD_PARSER parser = {
        .flags = MD_FLAG_TABLES | MD_FLAG_TASKLISTS | MD_FLAG_LATEXMATHSPANS,
        .enter_block = enter_block,
        .leave_block = leave_block,
        .enter_span = enter_span,
        .leave_span = leave_span,
        .text = on_text,
    };
    if (has_wide_table(r->text)) parser.flags &= ~(unsigned)MD_FLAG_TABLES;
    while (from < r->text.len) {
        size_t end = piece_end(r->text, from);
        r->at = from;
        r->n_lists = r->images = 0;
        if (m->parse(r->text.s + from, (MD_SIZE)(end - from), &parser, r))
            return weft_fail_nomem(err, end - from, "the text");
        flush_html(r);
        from = end;
    }
    return WEFT_OK;
}

static enum weft_status read_markdown(struct weft_arena *a, struct weft_str bytes, const struct weft_text_settings *s,
                                      struct weft_text *out, struct weft_err *err)
{
    struct weft_text source = *out, t;
    struct md4c m = { 0 };
    struct reader r = { 0 };
    struct weft_str title = { NULL, 0 };
    enum weft_status st = open_md4c(&m, err);
    if (st) return st;
    st = weft_charset_decode(a, bytes, s->charset, &source, err);
    if (st) goto done;
    r.l = WEFT_NEW(a, struct weft_layout);
    if (!r.l) {
        st = weft_fail_nomem(err, sizeof *r.l, "the text");
        goto done;
    }
    r.text = source.text;
    size_t from = front_matter(r.text, &title);
    if (from) r.l->ignored++;
    weft_buf_str(&r.l->title, title);
    st = parse(&m, &r, from, err);
    if (st) goto done;
    t = source;
    st = weft_layout_finish(r.l, a, source.text.len, &t, err);
    if (!st) st = weft_charset_place_lines(a, &source, bytes, &t, err);
    if (!st && !weft_text_visible(t.text))
        st = weft_fail_rule(err, WEFT_EINPUT, "TX5",
                            "%s: no text: the page has %zu bytes and no visible character outside its markup",
                            out->name.s, bytes.len);
    if (!st) *out = t;
done:
    if (r.l) weft_layout_clear(r.l);
    weft_buf_clear(&r.html);
    weft_buf_clear(&r.indent);
    weft_buf_clear(&r.pending);
    weft_library_close(m.handle);
    return st;
}

const struct weft_reader weft_reader_markdown = {
    .name = "markdown",
    .suffixes = ".md .markdown",
    .help = "Markdown: the text without its markup, lines and code as they are",
    .help_zh = "Markdown：去掉标记后的文字，行和代码保持原样",
    .sniff_named = sniff,
    .read = read_markdown,
};
