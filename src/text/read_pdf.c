/* A PDF has no text, only glyphs placed on pages; poppler's pdftotext puts them in reading order (text/pdf_child.h says
 * how it is run).  Its output is a table of words and their places (pdf_lines.h), from which pdf_paragraphs.c makes
 * paragraphs; or, with the setting page_lines, the lines of the pages with a form feed behind each page.  Rules PD1-PD6
 * of docs/robustness.md.
 *
 * Bytes of lines are counted in that output, as the parts "pdftotext -tsv" and "pdftotext" say: places in the file itself
 * would be those of compressed drawing commands, of no use to anyone.  `pdftotext -tsv -enc UTF-8 FILE -` gives
 * the same bytes again.
 *
 * When the child does not come to its end, the pages that ended are kept: what is behind the last form feed or
 * begin of a page is cut anywhere. */
#include "text/read_pdf.h"

#include "base/file.h"
#include "base/lang.h"
#include "text/charset.h"
#include "text/pdf_furniture.h"
#include "text/pdf_order.h"
#include "text/pdf_paragraphs.h"

#include <inttypes.h>

enum { SNIFFED = 1024 };

static bool sniff(struct weft_str bytes)
{
    struct weft_str head = weft_str_sub(bytes, 0, SNIFFED);
    size_t at = weft_str_find(head, WEFT_STR("%PDF-"), 0);
    return at != SIZE_MAX && at + 5 < head.len && head.s[at + 5] >= '0' && head.s[at + 5] <= '9';
}

/* ---- output -> lines and pages ---- */

struct pages {
    uint64_t n, blank, first_blank;
};

static void place(struct weft_text *t, size_t byte)
{
    if (t->n_places < WEFT_TEXT_PLACES)
        t->places[t->n_places++] = (struct weft_text_place){ t->n_lines + 1, byte };
}

/* One line without its end; `from` is its place in the output. */
static void add_line(struct weft_text *t, struct weft_buf *text, struct weft_str line, size_t from)
{
    while (line.len) {
        size_t good = weft_min_size(weft_utf8_check(line), line.len);
        const char *nul = memchr(line.s, '\0', good);
        if (nul) good = (size_t)(nul - line.s);
        weft_buf_add(text, line.s, good);
        line = weft_str_skip(line, good);
        from += good;
        if (!line.len) break;
        uint32_t cp;
        size_t n = 1;
        place(t, from);
        if (nul) t->nul_dropped++;
        else {
            n = weft_utf8_decode(line.s, line.len, &cp, NULL);
            t->repaired++;
            weft_buf_utf8(text, 0xFFFD);
        }
        line = weft_str_skip(line, n);
        from += n;
    }
    weft_buf_char(text, '\n');
}

/* Lines that `out` ends in, at most. */
static size_t count_lines(struct weft_str out)
{
    size_t n = 1;
    for (size_t i = 0; i < out.len; i++) n += out.s[i] == '\n' || out.s[i] == '\r' || out.s[i] == '\f';
    return n;
}

static enum weft_status cut(struct weft_arena *a, struct weft_str out, struct weft_buf *text, struct weft_text *t,
                            struct pages *pages, struct weft_err *err)
{
    struct weft_text_section page = { .page = 1, .part = WEFT_STR("pdftotext") };
    enum weft_status st = WEFT_OK;
    size_t cap = count_lines(out), page_at = 0;

    t->lines = WEFT_NEWS(a, struct weft_text_line, cap + 1);
    if (!t->lines) return weft_fail_nomem(err, (cap + 1) * sizeof *t->lines, "the line table");
    for (size_t at = 0; at < out.len && !st;) {
        size_t end = at;
        while (end < out.len && out.s[end] != '\n' && out.s[end] != '\r' && out.s[end] != '\f') end++;
        char by = end < out.len ? out.s[end] : '\f';
        if (end > at || by != '\f') {               /* the form feed behind a whole line ends no other */
            t->lines[t->n_lines] = (struct weft_text_line){ text->len, at, end };
            add_line(t, text, weft_str_sub(out, at, end), at);
            t->n_lines++;
        }
        at = end + 1;
        if (by == '\r') {
            t->cr++;
            if (at < out.len && out.s[at] == '\n') at++;
        }
        if (by != '\f') continue;
        if (text->failed) break;
        if (!weft_text_visible(weft_str_sub(weft_buf_view(text), page_at, text->len))) {
            if (!pages->blank++) pages->first_blank = page.page;
        }
        if (page.first_line < t->n_lines) st = weft_text_section_add(a, t, page, err);
        pages->n++;
        page.page++;
        page.first_line = t->n_lines;
        page_at = text->len;
    }
    if (!st) st = weft_buf_check(text, "the text of the PDF", err);
    if (st) return st;
    t->lines[t->n_lines] = (struct weft_text_line){ text->len, out.len, out.len };
    t->text = weft_str_dup(a, weft_buf_view(text));
    return t->text.s ? WEFT_OK : weft_fail_nomem(err, text->len + 1, "the text");
}

/* ---- the table -> paragraphs and pages ---- */

/* Places of repairs are known by their bytes; now the lines have their numbers.  One in what was left out goes by the
 * last line that begins before it. */
static void number_places(struct weft_text *t)
{
    for (size_t i = 0; i < t->n_places; i++) {
        uint64_t byte = t->places[i].byte, nearest = 0;
        t->places[i].line = 1;
        for (size_t k = 0; k < t->n_lines; k++) {
            if (t->lines[k].begin > byte || t->lines[k].begin < nearest) continue;
            nearest = t->lines[k].begin;
            t->places[i].line = k + 1;
        }
    }
}

static enum weft_status join_lines(struct weft_arena *a, struct weft_str table, struct weft_text *t,
                                   struct pages *pages, struct weft_err *err)
{
    struct weft_pdf_lines lines = { 0 };
    struct weft_pdf_furniture furniture = { 0 };
    char shown[80];
    enum weft_status st = weft_pdf_lines_parse(&lines, table, t, err);
    for (size_t i = 0; !st && i < lines.n_pages; i++) {
        const struct weft_pdf_page *page = &weft_pdf_page_items(&lines)[i];
        pages->n++;
        if (page[1].first_line == page[0].first_line && !pages->blank++) pages->first_blank = pages->n;
    }
    if (!st && pages->blank < pages->n) {
        st = weft_pdf_furniture_take(&lines, &furniture, err);
        weft_escape(shown, sizeof shown, furniture.text);       /* ordering writes on in the buffer that holds it */
        if (!st) st = weft_pdf_order(&lines, err);
        if (!st) st = weft_pdf_paragraphs(a, &lines, t, err);
        if (!st) number_places(t);
    }
    if (!st && furniture.n)
        st = weft_text_note(a, t, err, "%s: %" PRIu64 " lines that come again at the top or bottom of pages were left out "
                            "(page numbers, running titles), the first on page %" PRIu64 ": %s; --page-lines keeps them",
                            t->name.s, furniture.n, furniture.page, shown);
    weft_pdf_lines_clear(&lines);
    return st;
}

/* ---- what the child said and how it ended ---- */

/* The first line of its messages, safe to print. */
static const char *first_message(char *shown, size_t room, const struct weft_pdf_result *r)
{
    struct weft_lines lines = { .text = weft_buf_view(&r->messages) };
    struct weft_str line = { NULL, 0 };
    (void)weft_lines_next(&lines, &line);
    return weft_escape(shown, room, line);
}

static bool said(const struct weft_pdf_result *r, const char *words)
{
    return weft_str_find(weft_buf_view(&r->messages), weft_str_c(words), 0) != SIZE_MAX;
}

/* Why the text ends early, as a clause with its numbers: a translated sentence. */
static void say_end(const struct weft_pdf_result *r, enum weft_lang lang, char *why, size_t room)
{
    struct weft_buf b = { 0 };
    char shown[200];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    if (r->end == WEFT_PDF_SLOW)
        weft_buf_printf(&b, weft_tr(lang, "pdftotext did not end in %" PRId64
                                          " seconds, half of them on the processor (max_pdf_seconds)"),
                        r->limits.seconds);
    else if (r->end == WEFT_PDF_FLOODED)
        weft_buf_printf(&b, weft_tr(lang, "more than %" PRId64 " bytes of text (max_pdf_text_bytes)"),
                        r->limits.text_bytes);
    else if (said(r, "emory") || said(r, "bad_alloc"))
        weft_buf_printf(&b, weft_tr(lang, "pdftotext needs more than %" PRId64
                                          " bytes of memory (max_pdf_memory_bytes)"),
                        r->limits.memory_bytes);
    else if (r->end == WEFT_PDF_CRASHED)
        weft_buf_printf(&b, weft_tr(lang, "pdftotext was ended by signal %d"), r->code);
    else
        weft_buf_printf(&b, weft_tr(lang, "pdftotext ended with status %d: %s"), r->code,
                        first_message(shown, sizeof shown, r));
#pragma GCC diagnostic pop
    weft_escape(why, room, weft_buf_view(&b));
    weft_buf_clear(&b);
}

/* It came to no good end before any page did. */
static enum weft_status fail_whole(const struct weft_pdf_result *r, const char *name, const char *why,
                                   struct weft_err *err)
{
    if (r->end == WEFT_PDF_EXITED && said(r, "Incorrect password"))
        return weft_fail_rule(err, WEFT_EINPUT, "PD3",
                              "%s: encrypted: a password is needed to open it; save a copy without password", name);
    if (r->end == WEFT_PDF_EXITED && r->code == 3)
        return weft_fail_rule(err, WEFT_EINPUT, "PD3", "%s: its owner does not allow text to be copied", name);
    if (r->end == WEFT_PDF_EXITED && r->code == 1)
        return weft_fail_rule(err, WEFT_EINPUT, "PD4", "%s: begins as a PDF and cannot be read as one (--reader txt shows it as it stands): %s", name, why);
    return weft_fail_rule(err, r->end == WEFT_PDF_EXITED || r->end == WEFT_PDF_CRASHED ? WEFT_EINPUT : WEFT_ELIMIT,
                          "PD1", "%s: page 1: %s", name, why);
}

enum weft_status weft_pdf_text(struct weft_arena *a, const struct weft_pdf_result *r, struct weft_text *out,
                               struct weft_err *err)
{
    bool whole = r->end == WEFT_PDF_EXITED && r->code == 0;
    struct weft_str bytes = weft_buf_view(&r->text);
    struct weft_buf text = { 0 };
    struct pages pages = { 0 };
    char why[400], shown[200];
    enum weft_status st;

    say_end(r, err ? err->lang : WEFT_LANG_EN, why, sizeof why);
    if (!whole) {
        if (r->words) bytes.len = weft_pdf_lines_whole(bytes);
        else
            while (bytes.len && bytes.s[bytes.len - 1] != '\f') bytes.len--;
        if (!bytes.len || (r->words && !weft_pdf_lines_whole(bytes))) return fail_whole(r, out->name.s, why, err);
    }
    st = r->words ? join_lines(a, bytes, out, &pages, err) : cut(a, bytes, &text, out, &pages, err);
    if (st) goto done;
    if (pages.blank == pages.n) {
        if (!pages.n) st = weft_fail_rule(err, WEFT_EINPUT, "PD4", "%s: a PDF without pages", out->name.s);
        else if (!whole) st = fail_whole(r, out->name.s, why, err);
        else
            st = weft_fail_rule(err, WEFT_EINPUT, "PD2",
                                "%s: no text layer on %" PRIu64 " of %" PRIu64 " pages: a scan is images; expected "
                                "text; recognise it first (OCR), for example with ocrmypdf",
                                out->name.s, pages.blank, pages.n);
        goto done;
    }
    if (!r->words) weft_charset_count_odd(out);
    out->charset = WEFT_CHARSET_UTF8;
    if (!whole) {
        out->left_out++;
        st = weft_text_note(a, out, err, "%s: the text from page %" PRIu64 " on is missing: %s", out->name.s,
                            pages.n + 1, why);
    }
    if (!st && said(r, "Missing language pack")) {
        out->left_out++;
        st = weft_text_note(a, out, err, "%s: characters are missing: install the package poppler-data and read it "
                            "again (%s)", out->name.s, first_message(shown, sizeof shown, r));
    } else if (!st && whole && r->messages.len)
        st = weft_text_note(a, out, err, "%s: pdftotext found faults in the file: %s", out->name.s,
                            first_message(shown, sizeof shown, r));
    if (!st && pages.blank)
        st = weft_text_note(a, out, err, "%s: no text on %" PRIu64 " of %" PRIu64 " pages, the first is page %" PRIu64,
                            out->name.s, pages.blank, pages.n, pages.first_blank);
done:
    weft_buf_clear(&text);
    return st;
}

static enum weft_status read_pdf(struct weft_arena *a, struct weft_str bytes, const struct weft_text_settings *s,
                                 struct weft_text *out, struct weft_err *err)
{
    const char *program = weft_pdf_program();
    struct weft_pdf_result r = { 0 };
    enum weft_status st;
    if (!program)
        return weft_fail(err, WEFT_ESYSTEM,
                         "%s: this needs the program pdftotext, which is not here; install the package poppler-utils "
                         "(and poppler-data for Chinese)", out->name.s);
    st = weft_pdf_run(program, bytes, &s->pdf, !s->page_lines, &r, err);
    if (!st) st = weft_pdf_text(a, &r, out, err);
    weft_pdf_result_clear(&r);
    return st;
}

const struct weft_reader weft_reader_pdf = {
    .name = "pdf",
    .suffixes = ".pdf",
    .help = "PDF with a text layer, through pdftotext of poppler-utils",
    .help_zh = "带文字层的 PDF，通过 poppler-utils 的 pdftotext 读取",
    .sniff = sniff,
    .read = read_pdf,
};
