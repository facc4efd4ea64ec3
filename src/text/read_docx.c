/* A Word document is a zip file of XML parts (ECMA-376).  _rels/.rels names the main part; that part's own relations
 * name footnotes and endnotes.  The text is that of the w:t elements:
 *
 *   w:p          a line                     w:tab, w:ptab       a tab
 *   w:br, w:cr   a line end                 w:noBreakHyphen     "-"
 *   w:tbl        rows are lines, cells are kept apart by tabs
 *   w:ins, w:moveTo, w:hyperlink, w:sdt ... are looked through
 *
 * Left out, and counted for the user: what a reviewer deleted or moved away, comments, formulas, the small reading
 * above ruby text.  A field is a code ("PAGE", "TOC \o") and the result that was last shown: the result is text, the
 * code is not.  Of mc:AlternateContent the first choice is read: its fallback says the same in older words.
 * Headers and footers stand in parts of their own and are no part of the running text.
 *
 * A line's bytes are those of the XML part, from the first to the last w:t of the line. */
#include "text/read_docx.h"

#include "base/lang.h"
#include "text/part.h"
#include "text/writer.h"
#include "text/xml.h"

#include <inttypes.h>

/* ---- relations ---- */

enum relation { MAIN_PART, FOOTNOTES, ENDNOTES, N_RELATIONS };

struct relations {
    struct weft_arena *a;
    struct weft_str base;                       /* the part whose relations these are */
    struct weft_str target[N_RELATIONS];        /* s == NULL: none */
    bool main_outside;
};

static enum weft_status on_relation(void *ctx, const struct weft_xml_element *e, struct weft_xml_place at,
                                    struct weft_err *err)
{
    static const struct weft_str ends[N_RELATIONS] = { WEFT_STR("/officeDocument"), WEFT_STR("/footnotes"),
                                                       WEFT_STR("/endnotes") };
    struct relations *r = ctx;
    struct weft_str type = weft_xml_attr(e, "", "Type"), target = weft_xml_attr(e, "", "Target");
    if (!weft_str_is(e->name.local, "Relationship") || !target.s) return WEFT_OK;
    for (size_t i = 0; i < N_RELATIONS; i++) {
        if (!weft_str_ends(type, ends[i]) || r->target[i].s) continue;
        enum weft_part_fault fault = WEFT_PART_OUTSIDE;
        if (!weft_str_is(weft_xml_attr(e, "", "TargetMode"), "External"))
            fault = weft_part_resolve(r->a, r->base, target, &r->target[i]);
        if (fault == WEFT_PART_NOMEM) return weft_fail_nomem(err, target.len, "a part name");
        if (fault && i == MAIN_PART) r->main_outside = true;
    }
    return WEFT_OK;
}

/* "a.docx: word/document.xml", for messages about a part. */
static const char *part_place(struct weft_arena *a, const char *file, struct weft_str part)
{
    char shown[256];
    return weft_str_printf(a, "%s: %s", file, weft_escape(shown, sizeof shown, part)).s;
}

static enum weft_status parse_part(struct weft_zip *z, struct weft_arena *a, const struct weft_zip_entry *e,
                                   const struct weft_xml_calls *calls, struct weft_err *err)
{
    struct weft_arena_mark mark = weft_arena_mark(a);
    struct weft_str xml;
    const char *place = part_place(a, z->file, e->name);
    if (!place) return weft_fail_nomem(err, e->name.len, "a part name");
    enum weft_status st = weft_zip_read(z, a, e, &xml, err);
    if (!st) st = weft_xml_parse(place, xml, calls, err);
    weft_arena_release(a, mark);
    return st;
}

/* The relations of `base` (len 0: of the package).  A part without relations has none. */
static enum weft_status read_relations(struct weft_zip *z, struct weft_arena *a, struct weft_str base,
                                       struct relations *out, struct weft_err *err)
{
    /* Two arenas would do as well: what on_relation keeps must not be released with the bytes of the part. */
    struct weft_arena scratch = { 0 };
    size_t folder = 0;
    for (size_t i = 0; i < base.len; i++)
        if (base.s[i] == '/') folder = i + 1;
    *out = (struct relations){ .a = a, .base = base };
    struct weft_str name = weft_str_printf(&scratch, "%.*s_rels/%.*s.rels", (int)folder, base.s ? base.s : "",
                                           (int)(base.len - folder), base.s ? base.s + folder : "");
    const struct weft_zip_entry *e = name.s ? weft_zip_find(z, name) : NULL;
    struct weft_xml_calls calls = { .ctx = out, .open = on_relation };
    enum weft_status st = WEFT_OK;
    if (!name.s) st = weft_fail_nomem(err, base.len, "a part name");
    else if (e) st = parse_part(z, &scratch, e, &calls, err);
    weft_arena_clear(&scratch);
    return st;
}

/* ---- the text of a part ---- */

/* Elements that matter, by what they do. */
enum element {
    E_OTHER,
    E_BODY,             /* w:document */
    E_NOTES,            /* w:footnotes, w:endnotes */
    E_NOTE,
    E_P,
    E_P_PROPS,
    E_R_PROPS,
    E_R,
    E_T,
    E_TAB,
    E_BR,
    E_HYPHEN,
    E_SYM,
    E_FIELD_CHAR,
    E_DELETED,
    E_RUBY_READING,
    E_TABLE,
    E_ROW,
    E_CELL,
    E_COMMENT,
    E_IMPORT,           /* another document brought in: w:altChunk, w:subDoc */
    E_FORMULA,
    E_CHOICES,          /* mc:AlternateContent */
    E_CHOICES_DONE,     /* one of them was read */
    E_CHOICE,
    E_FALLBACK
};

struct word {
    const char *local;
    enum element what;
};

static const struct word words[] = {
    { "t", E_T },               { "r", E_R },              { "p", E_P },
    { "rPr", E_R_PROPS },       { "pPr", E_P_PROPS },      { "tab", E_TAB },
    { "br", E_BR },             { "cr", E_BR },            { "ptab", E_TAB },
    { "tc", E_CELL },           { "tr", E_ROW },           { "tbl", E_TABLE },
    { "del", E_DELETED },       { "moveFrom", E_DELETED }, { "fldChar", E_FIELD_CHAR },
    { "noBreakHyphen", E_HYPHEN }, { "sym", E_SYM },       { "rt", E_RUBY_READING },
    { "commentReference", E_COMMENT }, { "altChunk", E_IMPORT }, { "subDoc", E_IMPORT },
    { "footnote", E_NOTE },     { "endnote", E_NOTE },     { "document", E_BODY },
    { "footnotes", E_NOTES },   { "endnotes", E_NOTES },
};

static enum element element_of(struct weft_xml_name n)
{
    if (weft_str_is(n.space, "http://schemas.openxmlformats.org/wordprocessingml/2006/main")
        || weft_str_is(n.space, "http://purl.oclc.org/ooxml/wordprocessingml/main")) {
        for (size_t i = 0; i < WEFT_COUNT(words); i++)
            if (weft_str_is(n.local, words[i].local)) return words[i].what;
        return E_OTHER;
    }
    if (weft_str_is(n.space, "http://schemas.openxmlformats.org/markup-compatibility/2006")) {
        if (weft_str_is(n.local, "AlternateContent")) return E_CHOICES;
        if (weft_str_is(n.local, "Choice")) return E_CHOICE;
        if (weft_str_is(n.local, "Fallback")) return E_FALLBACK;
        return E_OTHER;
    }
    if (weft_str_is(n.local, "oMath")
        && (weft_str_is(n.space, "http://schemas.openxmlformats.org/officeDocument/2006/math")
            || weft_str_is(n.space, "http://purl.oclc.org/ooxml/officeDocument/math")))
        return E_FORMULA;
    return E_OTHER;
}

struct counts {
    uint64_t deletions, comments, formulas, readings, notes, imports, cut_fields;
};

struct cell {                   /* one for each level of nested tables */
    bool row_has_cell, has_text;
};

struct docx {
    struct weft_writer *w;
    const char *file;
    struct weft_str part;
    struct counts *counts;
    bool notes;                                 /* a part of footnotes or endnotes, not the main part */
    unsigned char kinds[WEFT_XML_DEPTH + 1];    /* enum element of each open element; [0] is the document */
    size_t depth;
    size_t skip;                                /* depth of the element that is left out; 0: none */
    size_t n_p;                                 /* open paragraphs: a text box is one inside another */
    bool mark_deleted;                          /* the paragraph's end is deleted: it goes on with the next */
    bool after_box;                             /* nothing was put since a paragraph inside ended */
    struct cell cells[WEFT_XML_DEPTH + 1];
    size_t n_tables;
    bool cell_break;                            /* a line end is due before more text of this cell */
    struct weft_buf fields;                     /* of each open field: 'c' in its code, 'r' in its result */
    size_t n_codes;                             /* fields that are in their code */
    uint64_t code_bytes;                        /* text left out as code of the fields that are open */
};

static void put(struct docx *d, struct weft_str s, struct weft_xml_place at)
{
    if (d->n_codes) {
        d->code_bytes += s.len;
        return;
    }
    if (d->cell_break) weft_writer_newline(d->w, at.begin);
    d->cell_break = false;
    d->after_box = false;
    if (d->n_tables) d->cells[d->n_tables].has_text = true;
    weft_writer_put(d->w, s, at.begin, at.end);
}

static void line_end(struct docx *d, struct weft_xml_place at)
{
    if (d->n_codes) return;
    weft_writer_newline(d->w, at.begin);
    d->cell_break = false;
    d->after_box = false;
}

static void open_paragraph(struct docx *d, struct weft_xml_place at)
{
    if (d->n_tables) {
        if (d->cells[d->n_tables].has_text) d->cell_break = true;
    } else if (d->n_p && d->w->open) weft_writer_newline(d->w, at.begin);
    d->n_p++;
    d->mark_deleted = false;
    d->after_box = false;
}

static void close_paragraph(struct docx *d, struct weft_xml_place at)
{
    d->n_p--;
    if (d->n_tables) d->cell_break |= d->n_p && d->cells[d->n_tables].has_text;
    else if (!(d->after_box && !d->w->open) && !d->mark_deleted && !d->n_codes) weft_writer_newline(d->w, at.begin);
    d->after_box = d->n_p > 0;
    d->mark_deleted = false;
}

static void open_row(struct docx *d)
{
    if (d->n_tables > 1 && d->cells[d->n_tables - 1].has_text) d->cell_break = true;
    d->cells[d->n_tables] = (struct cell){ 0 };
}

static void close_row(struct docx *d, struct weft_xml_place at)
{
    if (d->n_tables == 1) line_end(d, at);
    else if (d->n_tables > 1) {
        d->cells[d->n_tables - 1].has_text = true;
        d->cell_break = true;
    }
}

static void open_cell(struct docx *d, struct weft_xml_place at)
{
    struct cell *c = &d->cells[d->n_tables];
    if (c->row_has_cell) put(d, WEFT_STR("\t"), at);
    *c = (struct cell){ .row_has_cell = true };
}

static void close_cell(struct docx *d)
{
    if (d->cells[d->n_tables].has_text) d->cell_break = false;
}

static void field_char(struct docx *d, const struct weft_xml_element *e)
{
    struct weft_str type = weft_xml_attr(e, NULL, "fldCharType");
    struct weft_buf *f = &d->fields;
    if (weft_str_is(type, "begin")) {
        weft_buf_char(f, 'c');
        d->n_codes++;
    } else if (f->len && weft_str_is(type, "separate") && f->s[f->len - 1] == 'c') {
        f->s[f->len - 1] = 'r';
        d->n_codes--;
    } else if (f->len && weft_str_is(type, "end")) {
        d->n_codes -= f->s[--f->len] == 'c';
    }
    if (!d->n_codes) d->code_bytes = 0;
}

/* A character of a symbol font; most stand in the private use area, where they are counted as odd. */
static void symbol(struct docx *d, const struct weft_xml_element *e, struct weft_xml_place at)
{
    struct weft_str hex = weft_xml_attr(e, NULL, "char");
    uint32_t cp = 0;
    char utf8[4];
    for (size_t i = 0; i < hex.len && i < 8; i++) {
        char c = hex.s[i], low = (char)(c | 0x20);
        if (c >= '0' && c <= '9') cp = cp << 4 | (uint32_t)(c - '0');
        else if (low >= 'a' && low <= 'f') cp = cp << 4 | (uint32_t)(low - 'a' + 10);
        else return;
    }
    if (cp < 0x20 || (cp >= 0xD800 && cp < 0xE000) || cp > 0x10FFFF) return;
    put(d, (struct weft_str){ utf8, weft_utf8_encode(cp, utf8) }, at);
}

/* A root that is something else than what the relation promised. */
static enum weft_status check_root(const struct docx *d, const struct weft_xml_element *e, enum element what,
                                   struct weft_err *err)
{
    char root[128], part[256];
    if (what == (d->notes ? E_NOTES : E_BODY)) return WEFT_OK;
    return weft_fail_rule(err, WEFT_EINPUT, "DX1",
                          "%s: %s:1:1: the root element is %s; expected the text of a Word document", d->file,
                          weft_escape(part, sizeof part, d->part), weft_escape(root, sizeof root, e->name.local));
}

static void leave_out(struct docx *d, uint64_t *count)
{
    if (count) ++*count;
    d->skip = d->depth;
}

static enum weft_status on_open(void *ctx, const struct weft_xml_element *e, struct weft_xml_place at,
                                struct weft_err *err)
{
    struct docx *d = ctx;
    unsigned char *parent = &d->kinds[d->depth];
    if (d->skip) {
        d->kinds[++d->depth] = E_OTHER;
        return WEFT_OK;
    }
    enum element what = element_of(e->name);
    if (!d->depth) {
        enum weft_status st = check_root(d, e, what, err);
        if (st) return st;
    }
    d->kinds[++d->depth] = (unsigned char)what;
    switch (what) {
    case E_P: open_paragraph(d, at); break;
    case E_TAB: if (*parent == E_R) put(d, WEFT_STR("\t"), at); break;    /* elsewhere: a tab stop */
    case E_BR: if (*parent == E_R) line_end(d, at); break;
    case E_HYPHEN: put(d, WEFT_STR("-"), at); break;
    case E_SYM: symbol(d, e, at); break;
    case E_FIELD_CHAR: field_char(d, e); break;
    case E_TABLE:
        if (d->n_p && !d->n_tables && d->w->open) weft_writer_newline(d->w, at.begin);
        d->cells[++d->n_tables] = (struct cell){ 0 };
        break;
    case E_ROW: if (d->n_tables) open_row(d); break;
    case E_CELL: if (d->n_tables) open_cell(d, at); break;
    case E_COMMENT: d->counts->comments++; break;
    case E_FORMULA: leave_out(d, &d->counts->formulas); break;
    case E_RUBY_READING: leave_out(d, &d->counts->readings); break;
    case E_IMPORT: leave_out(d, &d->counts->imports); break;
    case E_DELETED:
        /* Among properties it says that a paragraph's end, or a row, was deleted. */
        if (*parent == E_R_PROPS) d->mark_deleted = d->depth > 2 && d->kinds[d->depth - 2] == E_P_PROPS;
        else leave_out(d, &d->counts->deletions);
        break;
    case E_NOTE: {
        struct weft_str type = weft_xml_attr(e, NULL, "type");
        if (type.s && !weft_str_is(type, "normal")) leave_out(d, NULL);   /* the lines that set notes apart */
        else d->counts->notes++;
        break;
    }
    case E_CHOICE:
    case E_FALLBACK:
        if (*parent == E_CHOICES_DONE) leave_out(d, NULL);
        else if (*parent == E_CHOICES) *parent = E_CHOICES_DONE;
        break;
    default: break;
    }
    return WEFT_OK;
}

static enum weft_status on_close(void *ctx, struct weft_xml_name name, struct weft_xml_place at, struct weft_err *err)
{
    struct docx *d = ctx;
    enum element what = d->kinds[d->depth--];
    if (d->skip) {
        if (d->depth < d->skip) d->skip = 0;
        return WEFT_OK;
    }
    switch (what) {
    case E_P: close_paragraph(d, at); break;
    case E_TABLE: d->n_tables--; break;
    case E_ROW: if (d->n_tables) close_row(d, at); break;
    case E_CELL: if (d->n_tables) close_cell(d); break;
    default: break;
    }
    return WEFT_OK;
}

static enum weft_status on_text(void *ctx, struct weft_str s, struct weft_xml_place at, struct weft_err *err)
{
    struct docx *d = ctx;
    if (d->skip || d->kinds[d->depth] != E_T) return WEFT_OK;
    /* A line end inside w:t is white space, as in Word. */
    while (s.len) {
        size_t n = 0;
        while (n < s.len && s.s[n] != '\n' && s.s[n] != '\r') n++;
        put(d, weft_str_sub(s, 0, n), at);
        if (n < s.len) put(d, WEFT_STR(" "), at);
        s = weft_str_skip(s, n + (n < s.len));
    }
    return WEFT_OK;
}

static enum weft_status read_part(struct weft_zip *z, struct weft_arena *a, const struct weft_zip_entry *part,
                                  bool notes, struct weft_writer *w, struct counts *counts, struct weft_err *err)
{
    struct docx *d = WEFT_NEW(a, struct docx);
    if (!d) return weft_fail_nomem(err, sizeof *d, "a Word document");
    *d = (struct docx){ .w = w, .file = z->file, .part = part->name, .counts = counts, .notes = notes };
    struct weft_xml_calls calls = { .ctx = d, .open = on_open, .close = on_close, .text = on_text };
    enum weft_status st = parse_part(z, a, part, &calls, err);
    if (!st) st = weft_buf_check(&d->fields, "a Word document", err);
    if (d->code_bytes) counts->cut_fields++;
    weft_buf_clear(&d->fields);
    return st;
}

/* ---- the document ---- */

static enum weft_status tell(struct weft_arena *a, const struct counts *c, struct weft_text *t, struct weft_err *err)
{
    enum weft_status st = WEFT_OK;
    const char *name = t->name.s;
    t->left_out += c->imports + c->cut_fields;
    if (c->imports)
        st = weft_text_note(a, t, err, "%s: %" PRIu64 " other documents brought in are not read; convert them by themselves",
                            name, c->imports);
    if (!st && c->cut_fields)
        st = weft_text_note(a, t, err, "%s: a field whose code never ends: the text behind it is left out", name);
    if (!st && c->notes)
        st = weft_text_note(a, t, err, "%s: %" PRIu64 " footnotes and endnotes stand behind the text", name, c->notes);
    if (!st && c->deletions)
        st = weft_text_note(a, t, err, "%s: %" PRIu64 " deletions marked in review are left out", name, c->deletions);
    if (!st && c->comments)
        st = weft_text_note(a, t, err, "%s: %" PRIu64 " comments are left out", name, c->comments);
    if (!st && c->formulas)
        st = weft_text_note(a, t, err, "%s: %" PRIu64 " formulas are left out", name, c->formulas);
    if (!st && c->readings)
        st = weft_text_note(a, t, err, "%s: %" PRIu64 " readings above characters (ruby) are left out", name, c->readings);
    return st;
}

static enum weft_status add_part(struct weft_zip *z, struct weft_arena *a, struct weft_str name, bool notes,
                                 struct weft_writer *w, struct counts *c, struct weft_text *t, struct weft_err *err)
{
    const struct weft_zip_entry *e = weft_zip_find(z, name);
    char shown[256];
    if (!e && !notes)
        return weft_fail_rule(err, WEFT_EINPUT, "DX1", "%s: _rels/.rels: the main part %s is not in the file", z->file,
                              weft_escape(shown, sizeof shown, name));
    if (!e) {
        t->left_out++;
        return weft_text_note(a, t, err, "%s: the notes in %s are not in the file", z->file,
                              weft_escape(shown, sizeof shown, name));
    }
    struct weft_text_section section = { .first_line = w->n_lines, .part = weft_str_dup(a, e->name) };
    if (!section.part.s) return weft_fail_nomem(err, e->name.len, "a part name");
    enum weft_status st = weft_text_section_add(a, t, section, err);
    if (!st) st = read_part(z, a, e, notes, w, c, err);
    if (!st && w->open) weft_writer_newline(w, 0);      /* a paragraph whose end was deleted, as the last */
    return st;
}

/* The container of Office before 2007, and of documents with a password since. */
static bool is_ole(struct weft_str bytes)
{
    return weft_str_starts(bytes, WEFT_STR("\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1"));
}

static bool sniff(struct weft_str bytes) { return weft_zip_kind(bytes) == WEFT_ZIP_DOCX || is_ole(bytes); }

static enum weft_status read_docx(struct weft_arena *a, struct weft_str bytes, const struct weft_text_settings *s,
                                  struct weft_text *t, struct weft_err *err)
{
    struct weft_zip z = { 0 };
    struct weft_writer w = { 0 };
    struct relations package, own;
    struct counts counts = { 0 };
    enum weft_status st;

    if (is_ole(bytes))
        return weft_fail_rule(err, WEFT_EINPUT, "DX3",
                              "%s: byte 0: this is an old Office document (.doc, .xls) or one with a password; open it "
                              "in Word or LibreOffice and save it as .docx without a password",
                              t->name.s);
    st = weft_zip_open(&z, a, t->name.s, bytes, &s->zip, err);
    if (!st) st = read_relations(&z, a, (struct weft_str){ NULL, 0 }, &package, err);
    if (st) goto done;
    if (!package.target[MAIN_PART].s) {
        st = package.main_outside
                 ? weft_fail_rule(err, WEFT_EINPUT, "DX1", "%s: _rels/.rels: the main part lies outside the file", t->name.s)
                 : weft_fail_rule(err, WEFT_EINPUT, "DX1", "%s: _rels/.rels: no main part is named in it", t->name.s);
        goto done;
    }
    st = add_part(&z, a, package.target[MAIN_PART], false, &w, &counts, t, err);
    if (!st) st = read_relations(&z, a, package.target[MAIN_PART], &own, err);
    for (int i = FOOTNOTES; !st && i <= ENDNOTES; i++)
        if (own.target[i].s) st = add_part(&z, a, own.target[i], true, &w, &counts, t, err);
    if (!st) st = weft_writer_finish(&w, a, t, err);
    if (!st) st = tell(a, &counts, t, err);
    if (!st && !weft_text_visible(t->text))
        st = weft_fail_rule(err, WEFT_EINPUT, "DX4",
                            "%s: %s: no text: the document has no visible character (only pictures?)", t->name.s,
                            t->n_sections ? t->sections[0].part.s : package.target[MAIN_PART].s);
done:
    weft_writer_clear(&w);
    return st;
}

const struct weft_reader weft_reader_docx = {
    .name = "docx",
    .suffixes = ".docx .docm .dotx",
    .help = "Word documents",
    .help_zh = "Word 文档",
    .sniff = sniff,
    .read = read_docx,
};
