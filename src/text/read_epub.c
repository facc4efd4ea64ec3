/* An EPUB book is a zip file (EPUB 3.3; OPS 2.0.1 says the same where it matters here):
 *
 *   mimetype                   "application/epub+zip", stored, first
 *   META-INF/container.xml     names the package file
 *   META-INF/encryption.xml    lists parts that are encrypted, if there are any
 *   the package file           manifest: id -> file; spine: ids in reading order
 *   chapters                   XHTML; text/layout.h makes lines of their elements, as for web pages
 *
 * A chapter that cannot be had costs only itself and is named (partial); one that is not well-formed is read as HTML.
 * The book's own table of contents is left out: it repeats the headings.
 * Each heading begins a section, so that every line knows its part and its chapter; a line's bytes are those of the
 * chapter's part. */
#include "text/read_epub.h"

#include "base/lang.h"
#include "text/charset.h"
#include "text/html.h"
#include "text/html_names.h"
#include "text/layout.h"
#include "text/part.h"
#include "text/writer.h"
#include "text/xml.h"

#include <inttypes.h>
#include <stdlib.h>

struct item {                   /* of the manifest */
    struct weft_str id, href, media_type;
    size_t order;
    bool contents;              /* the table of contents */
};

struct book {
    struct weft_arena *a;
    struct weft_zip z;
    const struct weft_text_settings *settings;
    struct weft_text *t;
    struct weft_writer w;
    struct weft_str package;            /* part name; s == NULL: none named */
    struct item *items;
    size_t n_items, cap_items;
    struct weft_str *spine;             /* ids */
    size_t n_spine, cap_spine;
    struct weft_buf title_text;         /* of the metadata: the first title */
    bool in_spine, in_manifest, in_title;
    bool *encrypted, *done;             /* [z.n] by entry */
    size_t n_read;                      /* chapters that could be read, empty ones too */
};

/* ---- small help ---- */

static enum weft_status keep(struct book *b, struct weft_str s, struct weft_str *out, struct weft_err *err)
{
    if (!s.s) return WEFT_OK;
    *out = weft_str_dup(b->a, s);
    return out->s ? WEFT_OK : weft_fail_nomem(err, s.len, "a book");
}

/* Room for one more of n elements: the array itself, or a larger copy. */
static void *grown(struct weft_arena *a, void *array, size_t n, size_t *cap, size_t size)
{
    if (n < *cap) return array;
    size_t more = *cap ? 2 * *cap : 64;
    char *p = weft_arena_calloc(a, more, size);
    if (!p) return NULL;
    if (n) memcpy(p, array, n * size);
    *cap = more;
    return p;
}

static bool has_word(struct weft_str s, const char *word)
{
    size_t n = strlen(word);
    for (size_t at = 0; (at = weft_str_find(s, weft_str_c(word), at)) != SIZE_MAX; at++)
        if ((at == 0 || s.s[at - 1] == ' ') && (at + n == s.len || s.s[at + n] == ' ')) return true;
    return false;
}

/* A chapter that is not there or cannot be read. */
static enum weft_status leave_out(struct book *b, struct weft_str what, const char *why, struct weft_err *err)
{
    char shown[256];
    b->t->left_out++;
    return weft_text_note(b->a, b->t, err, "%s: chapter %s is left out: %s", b->t->name.s,
                          weft_escape(shown, sizeof shown, what), weft_tr(err ? err->lang : WEFT_LANG_EN, why));
}

/* The bytes of a part and its place for messages, in `a`. */
static enum weft_status load(struct book *b, struct weft_arena *a, const struct weft_zip_entry *e,
                             struct weft_str *bytes, const char **place, struct weft_err *err)
{
    char shown[256];
    *place = weft_str_printf(a, "%s: %s", b->t->name.s, weft_escape(shown, sizeof shown, e->name)).s;
    if (!*place) return weft_fail_nomem(err, e->name.len, "a part name");
    return weft_zip_read(&b->z, a, e, bytes, err);
}

static enum weft_status parse(struct book *b, const struct weft_zip_entry *e, struct weft_xml_calls calls,
                              struct weft_err *err)
{
    struct weft_arena scratch = { 0 };
    struct weft_str xml;
    const char *place;
    calls.ctx = b;
    calls.doctype = true;
    enum weft_status st = load(b, &scratch, e, &xml, &place, err);
    if (!st) st = weft_xml_parse(place, xml, &calls, err);
    weft_arena_clear(&scratch);
    return st;
}

/* ---- EP1: container.xml ---- */

static enum weft_status on_container(void *ctx, const struct weft_xml_element *e, struct weft_xml_place at,
                                     struct weft_err *err)
{
    struct book *b = ctx;
    struct weft_str path = weft_xml_attr(e, "", "full-path"), type = weft_xml_attr(e, "", "media-type");
    if (!weft_str_is(e->name.local, "rootfile") || b->package.s || !path.s) return WEFT_OK;
    if (type.len && !weft_str_is(type, "application/oebps-package+xml")) return WEFT_OK;
    return keep(b, path, &b->package, err);
}

static enum weft_status find_package(struct book *b, const struct weft_zip_entry **package, struct weft_err *err)
{
    static const char name[] = "META-INF/container.xml";
    char shown[256];
    const struct weft_zip_entry *e = weft_zip_find(&b->z, weft_str_c(name));
    if (!e)
        return weft_fail_rule(err, WEFT_EINPUT, "EP1", "%s: %s is not in the book; expected it to name the package file",
                              b->t->name.s, name);
    enum weft_status st = parse(b, e, (struct weft_xml_calls){ .open = on_container }, err);
    if (st) return st;
    if (!b->package.s)
        return weft_fail_rule(err, WEFT_EINPUT, "EP1", "%s: %s names no package file", b->t->name.s, name);
    *package = weft_zip_find(&b->z, b->package);
    if (!*package)
        return weft_fail_rule(err, WEFT_EINPUT, "EP1", "%s: %s: the package file %s is not in the book", b->t->name.s, name,
                              weft_escape(shown, sizeof shown, b->package));
    return WEFT_OK;
}

/* ---- EP4: what is encrypted ---- */

static enum weft_status on_encryption(void *ctx, const struct weft_xml_element *e, struct weft_xml_place at,
                                      struct weft_err *err)
{
    struct book *b = ctx;
    struct weft_str uri = weft_xml_attr(e, NULL, "URI"), part;
    if (!weft_str_is(e->name.local, "CipherReference") || !uri.s) return WEFT_OK;
    enum weft_part_fault fault = weft_part_resolve(b->a, (struct weft_str){ NULL, 0 }, uri, &part);
    if (fault == WEFT_PART_NOMEM) return weft_fail_nomem(err, uri.len, "a part name");
    const struct weft_zip_entry *found = weft_zip_find(&b->z, uri);
    if (!found && !fault) found = weft_zip_find(&b->z, part);
    if (found) b->encrypted[found - b->z.entries] = true;
    return WEFT_OK;
}

/* ---- the package file ---- */

static enum weft_status on_package_open(void *ctx, const struct weft_xml_element *e, struct weft_xml_place at,
                                        struct weft_err *err)
{
    struct book *b = ctx;
    struct weft_str n = e->name.local;
    enum weft_status st = WEFT_OK;
    if (weft_str_is(n, "manifest")) b->in_manifest = true;
    else if (weft_str_is(n, "spine")) b->in_spine = true;
    else if (weft_str_is(n, "title")) b->in_title = !b->title_text.len;
    else if (b->in_manifest && weft_str_is(n, "item")) {
        struct item *more = grown(b->a, b->items, b->n_items, &b->cap_items, sizeof *more);
        if (!more) return weft_fail_nomem(err, b->n_items * sizeof *more, "a book");
        b->items = more;
        struct item *item = &b->items[b->n_items];
        *item = (struct item){ .order = b->n_items, .contents = has_word(weft_xml_attr(e, "", "properties"), "nav") };
        st = keep(b, weft_xml_attr(e, "", "id"), &item->id, err);
        if (!st) st = keep(b, weft_xml_attr(e, "", "href"), &item->href, err);
        if (!st) st = keep(b, weft_xml_attr(e, "", "media-type"), &item->media_type, err);
        b->n_items++;
    } else if (b->in_spine && weft_str_is(n, "itemref")) {
        struct weft_str *more = grown(b->a, b->spine, b->n_spine, &b->cap_spine, sizeof *more);
        if (!more) return weft_fail_nomem(err, b->n_spine * sizeof *more, "a book");
        b->spine = more;
        b->spine[b->n_spine] = (struct weft_str){ "", 0 };
        st = keep(b, weft_xml_attr(e, "", "idref"), &b->spine[b->n_spine], err);
        b->n_spine++;
    }
    return st;
}

static enum weft_status on_package_close(void *ctx, struct weft_xml_name name, struct weft_xml_place at,
                                         struct weft_err *err)
{
    struct book *b = ctx;
    if (weft_str_is(name.local, "manifest")) b->in_manifest = false;
    else if (weft_str_is(name.local, "spine")) b->in_spine = false;
    else if (weft_str_is(name.local, "title")) b->in_title = false;
    return WEFT_OK;
}

static enum weft_status on_package_text(void *ctx, struct weft_str s, struct weft_xml_place at, struct weft_err *err)
{
    struct book *b = ctx;
    enum { TITLE_BYTES = 4096 };
    if (b->in_title && b->title_text.len + s.len <= TITLE_BYTES) weft_buf_str(&b->title_text, s);
    return WEFT_OK;
}

static int by_id(const void *x, const void *y)
{
    const struct item *a = x, *b = y;
    int order = weft_str_cmp(a->id, b->id);
    return order ? order : (a->order > b->order) - (a->order < b->order);
}

/* The first item of this id, or NULL; the items are sorted. */
static const struct item *find_item(const struct book *b, struct weft_str id)
{
    size_t low = 0, high = b->n_items;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (weft_str_cmp(b->items[mid].id, id) < 0) low = mid + 1;
        else high = mid;
    }
    return low < b->n_items && id.len && weft_str_eq(b->items[low].id, id) ? &b->items[low] : NULL;
}

/* ---- a chapter ---- */

static enum weft_status on_open(void *ctx, const struct weft_xml_element *e, struct weft_xml_place at,
                                struct weft_err *err)
{
    weft_layout_open(ctx, e->name.local, at.begin);
    return WEFT_OK;
}
static enum weft_status on_close(void *ctx, struct weft_xml_name name, struct weft_xml_place at, struct weft_err *err)
{
    weft_layout_close(ctx, name.local, at.begin);
    return WEFT_OK;
}
static enum weft_status on_text(void *ctx, struct weft_str s, struct weft_xml_place at, struct weft_err *err)
{
    weft_layout_text(ctx, s, at.begin, at.end);
    return WEFT_OK;
}
static size_t on_entity(void *ctx, struct weft_str name, char out[16])
{
    uint32_t cp[2] = { 0, 0 };
    if (!weft_html_name(name, cp, NULL)) return 0;
    size_t n = weft_utf8_encode(cp[0], out);
    if (cp[1]) n += weft_utf8_encode(cp[1], out + n);
    return n;
}

/* The chapter's lines and sections become the book's. */
static enum weft_status append(struct book *b, const struct weft_text *c, struct weft_str part, struct weft_err *err)
{
    size_t first = b->w.n_lines;
    enum weft_status st = WEFT_OK;
    for (size_t i = 0; i < c->n_lines; i++) {
        weft_writer_put(&b->w, weft_text_line(c, i), c->lines[i].begin, c->lines[i].end);
        weft_writer_newline(&b->w, c->lines[i].begin);
    }
    if (!c->n_lines) return WEFT_OK;
    if (!c->n_sections || c->sections[0].first_line)
        st = weft_text_section_add(b->a, b->t, (struct weft_text_section){ .first_line = first, .part = part }, err);
    for (size_t i = 0; !st && i < c->n_sections; i++) {
        struct weft_text_section s = { .first_line = first + c->sections[i].first_line, .part = part };
        if (c->sections[i].first_line >= c->n_lines) break;
        st = keep(b, c->sections[i].title, &s.title, err);
        if (!st) st = weft_text_section_add(b->a, b->t, s, err);
    }
    return st;
}

/* EP6.  What the HTML reader changed is changed in the book. */
static enum weft_status read_as_html(struct book *b, struct weft_arena *scratch, const char *place,
                                     struct weft_str bytes, struct weft_text *c, struct weft_err *err)
{
    *c = (struct weft_text){ .name = weft_str_c(place), .bytes = bytes.len };
    enum weft_status st = weft_html_read(scratch, bytes, b->settings, c, err);
    if (st) return st;
    struct weft_text *t = b->t;
    for (size_t i = 0; i < c->n_places && t->n_places < WEFT_TEXT_PLACES; i++)
        t->places[t->n_places++] = (struct weft_text_place){ b->w.n_lines + 1, c->places[i].byte };
    t->repaired += c->repaired;
    t->nul_dropped += c->nul_dropped;
    t->cr += c->cr;
    return WEFT_OK;
}

static bool is_one_of(const char *rule, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(rule, list[i])) return true;
    return false;
}

static enum weft_status read_chapter(struct book *b, const struct weft_zip_entry *e, struct weft_err *err)
{
    static const char *const not_well_formed[] = { "XM1", "XM2", "XM4" };
    struct weft_arena scratch = { 0 };
    struct weft_err own = { .lang = err ? err->lang : WEFT_LANG_EN };     /* of this chapter alone */
    struct weft_layout layout = { 0 };
    struct weft_xml_calls calls = { .ctx = &layout, .open = on_open, .close = on_close, .text = on_text,
                                    .entity = on_entity, .doctype = true };
    struct weft_text c = { 0 };
    struct weft_str bytes;
    const char *place;

    enum weft_status st = load(b, &scratch, e, &bytes, &place, &own);
    if (!st) st = weft_xml_parse(place, bytes, &calls, &own);
    if (!st) st = weft_layout_finish(&layout, &scratch, bytes.len, &c, &own);
    if (st && is_one_of(own.rule, not_well_formed, WEFT_COUNT(not_well_formed))) {
        st = weft_text_note(b->a, b->t, err, "%s; the chapter is read as HTML", own.msg);
        weft_err_clear(&own);
        if (!st) st = read_as_html(b, &scratch, place, bytes, &c, &own);
        if (st == WEFT_EINPUT && !strcmp(own.rule, "TX5")) st = WEFT_OK;       /* only pictures */
    }
    if (!st) {
        b->t->ignored += c.ignored;
        struct weft_str part = { NULL, 0 };
        st = keep(b, e->name, &part, &own);
        if (!st) st = append(b, &c, part, &own);
        b->n_read += !st;
    } else if (st == WEFT_EINPUT) {         /* this chapter's fault alone */
        st = leave_out(b, e->name, own.msg, err);
        weft_err_clear(&own);
    }
    if (st && err && !err->msg[0]) *err = own;
    weft_layout_clear(&layout);
    weft_arena_clear(&scratch);
    return st;
}

/* EP2, EP3, EP4. */
static enum weft_status read_item(struct book *b, struct weft_str id, struct weft_err *err)
{
    static const char *const chapters[] = { "", "application/xhtml+xml", "text/html", "text/x-oeb1-document", "application/xml",
                                            "text/xml", "application/x-dtbook+xml" };
    const struct item *item = find_item(b, id);
    struct weft_str part;
    char shown[256], type[128];
    if (!item) return leave_out(b, id, "the manifest has no such id", err);
    if (item->contents) return weft_text_note(b->a, b->t, err, "%s: the table of contents is left out", b->t->name.s);
    switch (weft_part_resolve(b->a, b->package, item->href, &part)) {
    case WEFT_PART_NOMEM: return weft_fail_nomem(err, item->href.len, "a part name");
    case WEFT_PART_REMOTE: return leave_out(b, item->href, "it lies on another machine, and nothing is fetched", err);
    case WEFT_PART_OUTSIDE: return leave_out(b, item->href, "it lies outside the book", err);
    case WEFT_PART_FINE: break;
    }
    const struct weft_zip_entry *e = weft_zip_find(&b->z, part);
    if (!e) return leave_out(b, part, "it is not in the book", err);
    if (b->encrypted[e - b->z.entries] || e->encrypted)
        return weft_fail_rule(err, WEFT_EINPUT, "EP4",
                              "%s: chapter %s is encrypted (DRM or a password); get the book without copy protection",
                              b->t->name.s, weft_escape(shown, sizeof shown, e->name));
    if (!is_one_of(weft_escape(type, sizeof type, item->media_type), chapters, WEFT_COUNT(chapters))) {
        b->t->left_out++;
        return weft_text_note(b->a, b->t, err, "%s: chapter %s is left out: its type is %s, which is not read as text",
                              b->t->name.s, weft_escape(shown, sizeof shown, part), type);
    }
    if (b->done[e - b->z.entries])
        return weft_text_note(b->a, b->t, err, "%s: chapter %s stands twice in the reading order; it is read once",
                              b->t->name.s, weft_escape(shown, sizeof shown, e->name));
    b->done[e - b->z.entries] = true;
    return read_chapter(b, e, err);
}

/* ---- the book ---- */

/* EP5. */
static enum weft_status check_mimetype(struct book *b, struct weft_err *err)
{
    static const char type[] = "application/epub+zip";
    const struct weft_zip_entry *e = weft_zip_find(&b->z, WEFT_STR("mimetype"));
    struct weft_arena scratch = { 0 };
    struct weft_str content = { NULL, 0 };
    bool right = e && e == &b->z.entries[0] && b->z.first_is_first && e->bytes < 64
                 && weft_zip_read(&b->z, &scratch, e, &content, NULL) == WEFT_OK
                 && weft_str_is(weft_str_trim_ascii(content), type);
    weft_arena_clear(&scratch);
    if (right) return WEFT_OK;
    return weft_text_note(b->a, b->t, err, "%s: expected a first part \"mimetype\" that says %s; read all the same",
                          b->t->name.s, type);
}

static enum weft_status read_parts(struct book *b, struct weft_str bytes, struct weft_err *err)
{
    const struct weft_zip_entry *package;
    enum weft_status st = weft_zip_open(&b->z, b->a, b->t->name.s, bytes, &b->settings->zip, err);
    if (st) return st;
    b->encrypted = WEFT_NEWS(b->a, bool, b->z.n + 1);
    b->done = WEFT_NEWS(b->a, bool, b->z.n + 1);
    if (!b->encrypted || !b->done) return weft_fail_nomem(err, b->z.n, "a book");
    st = check_mimetype(b, err);
    if (!st) st = find_package(b, &package, err);
    if (st) return st;
    const struct weft_zip_entry *encryption = weft_zip_find(&b->z, WEFT_STR("META-INF/encryption.xml"));
    if (encryption) st = parse(b, encryption, (struct weft_xml_calls){ .open = on_encryption }, err);
    const struct weft_xml_calls calls = { .open = on_package_open, .close = on_package_close,
                                          .text = on_package_text };
    if (!st) st = parse(b, package, calls, err);
    if (!st) st = weft_buf_check(&b->title_text, "the title of a section", err);
    if (!st) st = keep(b, weft_str_trim_ascii(weft_buf_view(&b->title_text)), &b->t->title, err);
    if (st) return st;
    if (b->n_items) qsort(b->items, b->n_items, sizeof *b->items, by_id);
    for (size_t i = 0; !st && i < b->n_spine; i++) st = read_item(b, b->spine[i], err);
    return st;
}

static bool sniff(struct weft_str bytes) { return weft_zip_kind(bytes) == WEFT_ZIP_EPUB; }

static enum weft_status read_epub(struct weft_arena *a, struct weft_str bytes, const struct weft_text_settings *s,
                                  struct weft_text *t, struct weft_err *err)
{
    struct book b = { .a = a, .settings = s, .t = t };
    char shown[256];
    enum weft_status st = read_parts(&b, bytes, err);
    if (!st) st = weft_writer_finish(&b.w, a, t, err);
    if (!st && !weft_text_visible(t->text))
        st = weft_fail_rule(err, WEFT_EINPUT, "EP3",
                            "%s: %s: no text: %zu of %zu chapters in the reading order could be read, and none has a "
                            "visible character%s%s",
                            t->name.s, weft_escape(shown, sizeof shown, b.package), b.n_read, b.n_spine,
                            t->n_notes ? "; " : "", t->n_notes ? t->notes[t->n_notes - 1].s : "");
    weft_writer_clear(&b.w);
    weft_buf_clear(&b.title_text);
    return st;
}

const struct weft_reader weft_reader_epub = {
    .name = "epub",
    .suffixes = ".epub",
    .help = "EPUB books",
    .help_zh = "EPUB 电子书",
    .sniff = sniff,
    .read = read_epub,
};
