/* Tags are cut, never judged: whatever stands in the file is a tag, a comment, a reference or text, and every step goes
 * forward.  Which element may stand in which is not looked at; the layout only needs to know where lines end. */
#include "text/html.h"

#include "text/charset.h"
#include "text/html_names.h"
#include "text/layout.h"

#include <strings.h>

/* Where a declaration of the charset is looked for (HT2), and an end of the head for the sniffer. */
enum { DECLARATION_BYTES = 1024, SNIFF_BYTES = 64 << 10, LABEL_BYTES = 40 };

static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
static bool is_space(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\f' || c == '\r'; }

static bool starts_word(struct weft_str s, size_t at, const char *lower)
{
    size_t n = strlen(lower);
    return at <= s.len && s.len - at >= n && strncasecmp(s.s + at, lower, n) == 0;
}

/* ---- tags ---- */

struct scan {
    struct weft_str s;
    struct weft_layout *l;
    uint64_t from, to;          /* where s stands in the text that the layout counts in */
    bool xhtml;                 /* "<br/>" forms and CDATA sections are meant as XML means them */
};

static uint64_t place(const struct scan *p, size_t i) { return p->from + i < p->to ? p->from + i : p->to; }

/* Elements whose content holds no tags. */
enum raw { NOT_RAW, RAW_IGNORED, RAW_SCRIPT, RAW_TEXT, RAW_REFERENCES, RAW_REST };

static enum raw raw_kind(struct weft_str name)
{
    static const struct {
        const char *name;
        enum raw kind;
    } list[] = { { "script", RAW_SCRIPT },     { "style", RAW_IGNORED },    { "iframe", RAW_IGNORED },
                 { "noembed", RAW_IGNORED },   { "noframes", RAW_IGNORED }, { "xmp", RAW_TEXT },
                 { "title", RAW_REFERENCES },  { "textarea", RAW_REFERENCES }, { "plaintext", RAW_REST } };
    for (size_t i = 0; i < WEFT_COUNT(list); i++)
        if (name.len == strlen(list[i].name) && strncasecmp(name.s, list[i].name, name.len) == 0) return list[i].kind;
    return NOT_RAW;
}

/* Behind the ">" that ends the tag whose name ends at i, or SIZE_MAX: the file ends first, and there is no tag. */
static size_t tag_end(struct weft_str s, size_t i, bool *empty)
{
    *empty = false;
    while (i < s.len) {
        char c = s.s[i];
        if (c == '>') return i + 1;
        *empty = c == '/';
        if (is_space(c) || c == '/') {
            i++;
            continue;
        }
        /* An attribute: a name (a leading "=" is part of it), and a value in quotes or up to white space. */
        for (i++; i < s.len && !is_space(s.s[i]) && s.s[i] != '/' && s.s[i] != '>' && s.s[i] != '='; i++);
        size_t value = i;
        while (value < s.len && is_space(s.s[value])) value++;
        if (value == s.len || s.s[value] != '=') {
            i = value;
            continue;
        }
        for (value++; value < s.len && is_space(s.s[value]); value++);
        if (value == s.len) return SIZE_MAX;
        if (s.s[value] == '"' || s.s[value] == '\'') {
            const char *quote = memchr(s.s + value + 1, s.s[value], s.len - value - 1);
            if (!quote) return SIZE_MAX;
            i = (size_t)(quote - s.s) + 1;
        } else
            for (i = value; i < s.len && !is_space(s.s[i]) && s.s[i] != '>'; i++);
    }
    return SIZE_MAX;
}

/* Where "</name" begins from i on, or s.len. */
static size_t raw_end(struct weft_str s, size_t i, struct weft_str name)
{
    for (; i < s.len; i++) {
        const char *lt = memchr(s.s + i, '<', s.len - i);
        if (!lt) return s.len;
        i = (size_t)(lt - s.s);
        size_t end = i + 2 + name.len;
        if (end < s.len && s.s[i + 1] == '/' && strncasecmp(s.s + i + 2, name.s, name.len) == 0 &&
            (is_space(s.s[end]) || s.s[end] == '/' || s.s[end] == '>'))
            return i;
    }
    return s.len;
}

/* The same for a script: inside "<!--" a nested <script>...</script> does not end it. */
static size_t script_end(struct weft_str s, size_t i)
{
    bool comment = false, nested = false;
    for (; i < s.len; i++) {
        if (s.s[i] == '-' && comment && starts_word(s, i, "-->")) comment = nested = false;
        if (s.s[i] != '<') continue;
        if (starts_word(s, i, "<!--")) comment = true;
        else if (comment && starts_word(s, i, "<script")) nested = true;
        else if (starts_word(s, i, "</script")) {
            if (!nested) return i;
            nested = false;
        }
    }
    return s.len;
}

static void put_text(struct scan *p, size_t from, size_t to, bool references);

/* The content of a raw element from i on; returns where its end tag begins. */
static size_t raw_content(struct scan *p, enum raw kind, struct weft_str name, size_t i)
{
    struct weft_str s = p->s;
    size_t end = kind == RAW_REST ? s.len : kind == RAW_SCRIPT ? script_end(s, i) : raw_end(s, i, name);
    if (kind == RAW_TEXT || kind == RAW_REST) put_text(p, i, end, false);
    else if (kind == RAW_REFERENCES) put_text(p, i, end, true);
    weft_layout_close(p->l, name, place(p, end));
    return end;
}

static size_t name_end(struct weft_str s, size_t i)
{
    while (i < s.len && !is_space(s.s[i]) && s.s[i] != '/' && s.s[i] != '>') i++;
    return i;
}

static size_t start_tag(struct scan *p, size_t i)
{
    size_t end = name_end(p->s, i + 1);
    struct weft_str name = weft_str_sub(p->s, i + 1, end);
    bool empty;
    end = tag_end(p->s, end, &empty);
    if (end == SIZE_MAX) {
        p->l->ignored++;
        return p->s.len;
    }
    weft_layout_open(p->l, name, place(p, i));
    enum raw kind = raw_kind(name);
    if (p->xhtml && empty) weft_layout_close(p->l, name, place(p, end));
    else if (kind != NOT_RAW) return raw_content(p, kind, name, end);
    return end;
}

static size_t end_tag(struct scan *p, size_t i)
{
    size_t end = name_end(p->s, i + 2);
    struct weft_str name = weft_str_sub(p->s, i + 2, end);
    bool empty;
    end = tag_end(p->s, end, &empty);
    if (end == SIZE_MAX) return p->s.len;
    if (name.len == 2 && strncasecmp(name.s, "br", 2) == 0)
        weft_layout_open(p->l, name, place(p, i)); /* as browsers take it */
    else weft_layout_close(p->l, name, place(p, i));
    return end;
}

static size_t past(struct weft_str s, size_t i, const char *what)
{
    size_t at = weft_str_find(s, weft_str_c(what), i);
    return at == SIZE_MAX ? s.len : at + strlen(what);
}

/* "<!" at i. */
static size_t declaration(struct scan *p, size_t i)
{
    struct weft_str s = p->s;
    if (p->xhtml && starts_word(s, i, "<![CDATA[")) {
        size_t end = past(s, i, "]]>"), from = weft_min_size(i + 9, s.len);
        bool closed = weft_str_ends(weft_str_sub(s, from, end), WEFT_STR("]]>"));
        put_text(p, from, closed ? end - 3 : end, false);
        return end;
    }
    if (!starts_word(s, i, "<!--")) return past(s, i, ">");
    if (starts_word(s, i + 4, ">")) return i + 5;
    if (starts_word(s, i + 4, "->")) return i + 6;
    for (i += 4; i < s.len; i++) {
        const char *dash = memchr(s.s + i, '-', s.len - i);
        if (!dash) return s.len;
        i = (size_t)(dash - s.s);
        if (starts_word(s, i, "-->")) return i + 3;
        if (starts_word(s, i, "--!>")) return i + 4;
    }
    return s.len;
}

/* ---- text ---- */

/* One character reference at i, or the "&" itself. */
static size_t reference(struct scan *p, size_t i)
{
    uint32_t cp[2];
    char utf8[8];
    size_t n = weft_html_reference(weft_str_skip(p->s, i), cp), len;
    if (!n) {
        weft_layout_text(p->l, weft_str_sub(p->s, i, i + 1), place(p, i), place(p, i + 1));
        return i + 1;
    }
    len = weft_utf8_encode(cp[0], utf8);
    if (cp[1]) len += weft_utf8_encode(cp[1], utf8 + len);
    weft_layout_text(p->l, (struct weft_str){ utf8, len }, place(p, i), place(p, i + n));
    return i + n;
}

static void put_text(struct scan *p, size_t from, size_t to, bool references)
{
    while (from < to) {
        const char *amp = references ? memchr(p->s.s + from, '&', to - from) : NULL;
        size_t end = amp ? (size_t)(amp - p->s.s) : to;
        if (end > from) weft_layout_text(p->l, weft_str_sub(p->s, from, end), place(p, from), place(p, end));
        from = amp ? reference(p, end) : end;
    }
}

static void scan_page(struct scan *p)
{
    struct weft_str s = p->s;
    size_t i = 0;
    while (i < s.len) {
        const char *lt = memchr(s.s + i, '<', s.len - i);
        size_t at = lt ? (size_t)(lt - s.s) : s.len;
        put_text(p, i, at, true);
        if (!lt) break;
        char next = at + 1 < s.len ? s.s[at + 1] : ' ';
        if (is_letter(next)) i = start_tag(p, at);
        else if (next == '/' && at + 2 < s.len && is_letter(s.s[at + 2])) i = end_tag(p, at);
        else if (next == '!') i = declaration(p, at);
        else if (next == '?' || (next == '/' && at + 2 < s.len)) i = past(s, at, ">");
        else {
            put_text(p, at, at + 1, false);
            i = at + 1;
        }
    }
}

void weft_html_scan(struct weft_layout *l, struct weft_str html, uint64_t from, uint64_t to)
{
    struct scan p = { .s = html, .l = l, .from = from, .to = to };
    scan_page(&p);
}

/* ---- which charset ---- */

/* Names by which pages call a charset; NULL ends. */
static const struct label {
    const char *name;
    enum weft_charset charset;          /* AUTO: known to others, not read here */
} labels[] = {
    { "utf-8", WEFT_CHARSET_UTF8 },         { "utf8", WEFT_CHARSET_UTF8 },
    { "unicode-1-1-utf-8", WEFT_CHARSET_UTF8 },
    /* A page whose declaration could be read as bytes is in no UTF-16. */
    { "utf-16", WEFT_CHARSET_UTF8 },        { "utf-16le", WEFT_CHARSET_UTF8 },     { "utf-16be", WEFT_CHARSET_UTF8 },
    { "gb18030", WEFT_CHARSET_GB18030 },    { "gbk", WEFT_CHARSET_GB18030 },       { "x-gbk", WEFT_CHARSET_GB18030 },
    { "gb2312", WEFT_CHARSET_GB18030 },     { "gb_2312", WEFT_CHARSET_GB18030 },   { "gb_2312-80", WEFT_CHARSET_GB18030 },
    { "csgb2312", WEFT_CHARSET_GB18030 },   { "chinese", WEFT_CHARSET_GB18030 },   { "cp936", WEFT_CHARSET_GB18030 },
    { "big5", WEFT_CHARSET_BIG5 },          { "big5-hkscs", WEFT_CHARSET_BIG5 },   { "cn-big5", WEFT_CHARSET_BIG5 },
    { "csbig5", WEFT_CHARSET_BIG5 },        { "x-x-big5", WEFT_CHARSET_BIG5 },
    { "shift_jis", WEFT_CHARSET_AUTO },     { "shift-jis", WEFT_CHARSET_AUTO },    { "sjis", WEFT_CHARSET_AUTO },
    { "windows-31j", WEFT_CHARSET_AUTO },   { "euc-jp", WEFT_CHARSET_AUTO },       { "iso-2022-jp", WEFT_CHARSET_AUTO },
    { "euc-kr", WEFT_CHARSET_AUTO },        { "ks_c_5601-1987", WEFT_CHARSET_AUTO }, { "iso-8859-1", WEFT_CHARSET_AUTO },
    { "latin1", WEFT_CHARSET_AUTO },        { "windows-1252", WEFT_CHARSET_AUTO }, { "iso-8859-2", WEFT_CHARSET_AUTO },
    { "iso-8859-15", WEFT_CHARSET_AUTO },   { "windows-1250", WEFT_CHARSET_AUTO }, { "windows-1251", WEFT_CHARSET_AUTO },
    { "koi8-r", WEFT_CHARSET_AUTO },
};

static const struct label *find_label(struct weft_str name)
{
    for (size_t i = 0; i < WEFT_COUNT(labels); i++)
        if (name.len == strlen(labels[i].name) && strncasecmp(name.s, labels[i].name, name.len) == 0) return &labels[i];
    return NULL;
}

/* The value behind `word` and "=" in s, without quotes: charset=gbk, charset = "gbk", encoding='gbk'. */
static struct weft_str value_of(struct weft_str s, const char *word)
{
    for (size_t i = 0; i < s.len; i++) {
        if (!starts_word(s, i, word)) continue;
        size_t at = i + strlen(word);
        while (at < s.len && is_space(s.s[at])) at++;
        if (at == s.len || s.s[at] != '=') continue;
        for (at++; at < s.len && (is_space(s.s[at]) || s.s[at] == '"' || s.s[at] == '\''); at++);
        size_t end = at;
        while (end < s.len && !is_space(s.s[end]) && !strchr("\"';>?/", s.s[end])) end++;
        return weft_str_sub(s, at, end);
    }
    return (struct weft_str){ NULL, 0 };
}

/* The charset that a page declares in its first bytes, or s == NULL. */
static struct weft_str declared(struct weft_str bytes)
{
    struct weft_str s = weft_str_sub(bytes, 0, DECLARATION_BYTES), found;
    if (starts_word(s, 0, "<?xml")) {
        found = value_of(weft_str_sub(s, 0, past(s, 0, "?>")), "encoding");
        if (found.len) return found;
    }
    for (size_t i = 0; i < s.len; i++) {
        if (s.s[i] != '<') continue;
        if (starts_word(s, i, "<!--")) {
            i = past(s, i + 4, "-->");
            i -= i > 0;         /* the loop goes on from the byte after */
        } else if (starts_word(s, i, "<meta") && i + 5 < s.len && (is_space(s.s[i + 5]) || s.s[i + 5] == '/')) {
            bool empty;
            size_t end = weft_min_size(tag_end(s, i + 5, &empty), s.len);
            found = value_of(weft_str_sub(s, i + 5, end), "charset");
            if (found.len) return found;
        }
    }
    return (struct weft_str){ NULL, 0 };
}

static bool has_mark(struct weft_str b)
{
    return weft_str_starts(b, WEFT_STR("\xEF\xBB\xBF")) || weft_str_starts(b, WEFT_STR("\xFF\xFE")) ||
           weft_str_starts(b, WEFT_STR("\xFE\xFF"));
}

/* HT2: a mark, then what the page declares where its bytes bear it out, then the rules of plain text. */
static enum weft_status decode(struct weft_arena *a, struct weft_str bytes, const struct weft_text_settings *s,
                               const struct weft_text *named, struct weft_text *out, struct weft_err *err)
{
    enum weft_charset given = s ? (enum weft_charset)s->charset : WEFT_CHARSET_AUTO;
    struct weft_str name = { NULL, 0 };
    if (given == WEFT_CHARSET_AUTO && !has_mark(bytes)) name = declared(bytes);
    const struct label *label = find_label(name);
    if (label && label->charset != WEFT_CHARSET_AUTO) {
        struct weft_err unused = { 0 };
        *out = *named;
        enum weft_status st = weft_charset_decode(a, bytes, label->charset, out, &unused);
        if (st == WEFT_OK && !weft_text_partial(out)) return st;
    }
    if (label && label->charset == WEFT_CHARSET_AUTO && weft_utf8_check(bytes) < bytes.len) {
        char shown[LABEL_BYTES];
        return weft_fail_rule(err, WEFT_EINPUT, "HT2",
                              "%s: byte %zu: not UTF-8, and the page says that it is %s, which is not read here; "
                              "save it as UTF-8 (iconv -f %s -t utf-8), or name the encoding with --charset",
                              named->name.s, weft_utf8_check(bytes), weft_escape(shown, sizeof shown, name),
                              label->name);
    }
    *out = *named;
    return weft_charset_decode(a, bytes, given, out, err);
}

/* ---- the whole ---- */

enum weft_status weft_html_read(struct weft_arena *a, struct weft_str bytes, const struct weft_text_settings *s,
                                struct weft_text *out, struct weft_err *err)
{
    struct weft_text page;
    struct weft_layout *l = NULL;
    enum weft_status st = decode(a, bytes, s, out, &page, err);
    if (st) return st;
    l = WEFT_NEW(a, struct weft_layout);
    if (!l) return weft_fail_nomem(err, sizeof *l, "the text");
    struct weft_str head = weft_str_sub(page.text, 0, DECLARATION_BYTES);
    struct scan scan = { .s = page.text, .l = l, .to = page.text.len };
    scan.xhtml = starts_word(head, 0, "<?xml") || weft_str_find(head, WEFT_STR("w3.org/1999/xhtml"), 0) != SIZE_MAX;
    scan_page(&scan);
    struct weft_text t = page;
    st = weft_layout_finish(l, a, page.text.len, &t, err);
    if (!st) st = weft_charset_place_lines(a, &page, bytes, &t, err);
    if (!st && !weft_text_visible(t.text))
        st = weft_fail_rule(err, WEFT_EINPUT, "TX5",
                            "%s: no text: the page has %zu bytes and no visible character outside its markup",
                            out->name.s, bytes.len);
    if (!st) *out = t;
    weft_layout_clear(l);
    return st;
}

/* The start of a file for the sniffer; of UTF-16 every other byte. */
static struct weft_str narrow(struct weft_str bytes, char *room, size_t cap)
{
    bool le = weft_str_starts(bytes, WEFT_STR("\xFF\xFE")), be = weft_str_starts(bytes, WEFT_STR("\xFE\xFF"));
    size_t n = 0;
    if (weft_str_starts(bytes, WEFT_STR("\xEF\xBB\xBF"))) return weft_str_skip(bytes, 3);
    if (!le && !be) return bytes;
    for (size_t i = 2; i + 1 < bytes.len && n < cap; i += 2) room[n++] = bytes.s[i + be];
    return (struct weft_str){ room, n };
}

/* A tag of any name, an end tag or a reference: what a page has and plain text hardly ever. */
static bool has_markup(struct weft_str s)
{
    uint32_t cp[2];
    bool empty;
    for (size_t i = 0; i + 1 < s.len; i++) {
        if (s.s[i] == '&' && weft_html_reference(weft_str_skip(s, i), cp)) return true;
        if (s.s[i] != '<') continue;
        size_t name = i + 1 + (s.s[i + 1] == '/');
        if (name < s.len && is_letter(s.s[name]))
            return tag_end(weft_str_sub(s, 0, name + 4096), name_end(s, name), &empty) != SIZE_MAX;
    }
    return false;
}

bool weft_html_sniff(struct weft_str bytes, struct weft_str name)
{
    static const char *const starts[] = { "<html", "<head", "<body", "<!doctype html" };
    static const char *const endings[] = { ".html", ".htm", ".xhtml", ".xht", ".shtml" };
    char room[DECLARATION_BYTES];
    struct weft_str s = weft_str_sub(narrow(bytes, room, sizeof room), 0, SNIFF_BYTES);
    size_t i = 0;
    for (;;) {          /* white space, comments, the line of XML */
        while (i < s.len && is_space(s.s[i])) i++;
        if (starts_word(s, i, "<!--")) i = past(s, i + 4, "-->");
        else if (starts_word(s, i, "<?xml")) i = past(s, i, "?>");
        else break;
    }
    for (size_t k = 0; k < WEFT_COUNT(starts); k++) {
        size_t end = i + strlen(starts[k]);
        if (starts_word(s, i, starts[k]) && (end == s.len || is_space(s.s[end]) || s.s[end] == '>')) return true;
    }
    for (size_t k = 0; k < WEFT_COUNT(endings); k++) {
        size_t n = strlen(endings[k]);
        if (name.len > n && strncasecmp(name.s + name.len - n, endings[k], n) == 0) return has_markup(s);
    }
    return false;
}
