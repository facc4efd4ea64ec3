/* Names arrive from expat as "namespace SEPARATOR local".  The separator is a character that XML forbids in names
 * and in attribute values alike, so the first one found is it.
 *
 * The document is handed over in one piece: in several, a long token would be scanned again for each of them.  Element
 * nesting is a list on the heap inside expat, so depth costs no stack. */
#include "text/xml.h"

#include "base/lang.h"

#include <expat.h>
#include <inttypes.h>
#include <limits.h>

enum { SEPARATOR = '\x1F' };

struct parse {
    XML_Parser p;
    const char *name;
    const struct weft_xml_calls *calls;
    struct weft_err *err;
    enum weft_status st;        /* the first error of a call */
    size_t depth, n_spaces;     /* namespaces declared since the last element */
    struct weft_xml_attr attrs[WEFT_XML_ATTRS];
};

static struct weft_xml_place place(struct parse *x)
{
    XML_Index at = XML_GetCurrentByteIndex(x->p);
    uint64_t begin = at > 0 ? (uint64_t)at : 0;
    return (struct weft_xml_place){ begin, begin + (uint64_t)XML_GetCurrentByteCount(x->p) };
}

static void stop(struct parse *x, enum weft_status st)
{
    if (!st || x->st) return;
    x->st = st;
    XML_StopParser(x->p, XML_FALSE);
}

#define LINE(x) ((unsigned long)XML_GetCurrentLineNumber((x)->p))
#define COLUMN(x) ((unsigned long)XML_GetCurrentColumnNumber((x)->p) + 1)

static struct weft_xml_name split(const char *s)
{
    const char *mark = strchr(s, SEPARATOR);
    if (!mark) return (struct weft_xml_name){ { NULL, 0 }, weft_str_c(s) };
    return (struct weft_xml_name){ { s, (size_t)(mark - s) }, weft_str_c(mark + 1) };
}

static void on_space(void *ctx, const XML_Char *prefix, const XML_Char *uri)
{
    struct parse *x = ctx;
    x->n_spaces++;
}

static void on_open(void *ctx, const XML_Char *name, const XML_Char **attrs)
{
    struct parse *x = ctx;
    struct weft_xml_element e = { .name = split(name), .attrs = x->attrs };
    size_t n = x->n_spaces;
    if (x->st) return;
    for (const XML_Char **a = attrs; *a; a += 2) n++;
    x->n_spaces = 0;
    if (n > WEFT_XML_ATTRS) {
        stop(x, weft_fail_rule(x->err, WEFT_ELIMIT, "XM2",
                               "%s:%lu:%lu: %zu attributes on one element; at most %d are allowed", x->name, LINE(x),
                               COLUMN(x), n, WEFT_XML_ATTRS));
        return;
    }
    if (++x->depth > WEFT_XML_DEPTH) {
        stop(x, weft_fail_rule(x->err, WEFT_ELIMIT, "XM2",
                               "%s:%lu:%lu: elements nested more than %d deep", x->name, LINE(x), COLUMN(x),
                               WEFT_XML_DEPTH));
        return;
    }
    for (; attrs[0]; attrs += 2)
        x->attrs[e.n_attrs++] = (struct weft_xml_attr){ split(attrs[0]), weft_str_c(attrs[1]) };
    if (x->calls->open) stop(x, x->calls->open(x->calls->ctx, &e, place(x), x->err));
}

static void on_close(void *ctx, const XML_Char *name)
{
    struct parse *x = ctx;
    if (x->st) return;
    x->depth--;
    if (x->calls->close) stop(x, x->calls->close(x->calls->ctx, split(name), place(x), x->err));
}

static void on_text(void *ctx, const XML_Char *s, int len)
{
    struct parse *x = ctx;
    if (x->st || !x->calls->text) return;
    stop(x, x->calls->text(x->calls->ctx, (struct weft_str){ s, (size_t)len }, place(x), x->err));
}

static enum weft_status unknown_entity(struct parse *x, struct weft_str name)
{
    char shown[256];
    return weft_fail_rule(x->err, WEFT_EINPUT, "XM4",
                          "%s:%lu:%lu: the entity &%s; is not one of XML's (amp, lt, gt, quot, apos)", x->name, LINE(x),
                          COLUMN(x), weft_escape(shown, sizeof shown, name));
}

/* XM4.  Without declarations every entity is unknown to expat, which says so here. */
static void on_entity(void *ctx, const XML_Char *name, int is_parameter)
{
    struct parse *x = ctx;
    char out[16];
    if (x->st) return;
    size_t n = x->calls->entity && !is_parameter ? x->calls->entity(x->calls->ctx, weft_str_c(name), out) : 0;
    if (!n) stop(x, unknown_entity(x, weft_str_c(name)));
    else if (x->calls->text) stop(x, x->calls->text(x->calls->ctx, (struct weft_str){ out, n }, place(x), x->err));
}

/* XM3.  Called before anything of an internal subset is read. */
static void on_doctype(void *ctx, const XML_Char *name, const XML_Char *system, const XML_Char *public,
                       int has_internal_subset)
{
    struct parse *x = ctx;
    if (x->st) return;
    if (!x->calls->doctype)
        stop(x, weft_fail_rule(x->err, WEFT_EINPUT, "XM3",
                               "%s:%lu:%lu: a document type (<!DOCTYPE), which this format does not have", x->name,
                               LINE(x), COLUMN(x)));
    else if (has_internal_subset)
        stop(x, weft_fail_rule(x->err, WEFT_EINPUT, "XM3",
                               "%s:%lu:%lu: a document type with declarations of its own, which are never followed",
                               x->name, LINE(x), COLUMN(x)));
}

static enum weft_status bad_encoding(struct parse *x, const char *encoding)
{
    char shown[256];
    return weft_fail_rule(x->err, WEFT_EINPUT, "XM1", "%s: its encoding is \"%s\"; expected UTF-8 or UTF-16", x->name,
                          weft_escape(shown, sizeof shown, weft_str_c(encoding)));
}

/* XM1. */
static void on_declaration(void *ctx, const XML_Char *version, const XML_Char *encoding, int standalone)
{
    struct parse *x = ctx;
    static const char *const known[] = { "utf-8", "utf8", "utf-16", "utf-16le", "utf-16be", "us-ascii" };
    if (x->st || !encoding) return;
    for (size_t i = 0; i < WEFT_COUNT(known); i++)
        if (!strcasecmp(encoding, known[i])) return;
    stop(x, bad_encoding(x, encoding));
}

/* Asked for the table of an encoding that expat does not have. */
static int on_encoding(void *ctx, const XML_Char *name, XML_Encoding *info)
{
    struct parse *x = ctx;
    if (!x->st) x->st = bad_encoding(x, name);
    return XML_STATUS_ERROR;
}

static enum weft_status not_well_formed(struct parse *x, enum XML_Error code)
{
    switch (code) {
    case XML_ERROR_NO_MEMORY: return weft_fail_nomem(x->err, 0, "an XML document");
    case XML_ERROR_UNDEFINED_ENTITY:
        return weft_fail_rule(x->err, WEFT_EINPUT, "XM4",
                              "%s:%lu:%lu: an entity that is not one of XML's (amp, lt, gt, quot, apos)", x->name, LINE(x),
                              COLUMN(x));
    case XML_ERROR_BAD_CHAR_REF:
        return weft_fail_rule(x->err, WEFT_EINPUT, "XM4", "%s:%lu:%lu: a reference to a character that cannot be",
                              x->name, LINE(x), COLUMN(x));
    default:
        return weft_fail_rule(x->err, WEFT_EINPUT, "XM2", "%s:%lu:%lu: not well-formed XML: %s", x->name, LINE(x),
                              COLUMN(x), XML_ErrorString(code));
    }
}

enum weft_status weft_xml_parse(const char *name, struct weft_str bytes, const struct weft_xml_calls *calls,
                                struct weft_err *err)
{
    struct parse x = { .name = name, .calls = calls, .err = err };
    if (bytes.len > INT_MAX)
        return weft_fail_rule(err, WEFT_ELIMIT, "XM2", "%s: an XML document of %zu bytes; at most %d are allowed", name,
                              bytes.len, INT_MAX);
    x.p = XML_ParserCreateNS(NULL, SEPARATOR);
    if (!x.p) return weft_fail_nomem(err, sizeof x, "an XML document");
    XML_SetUserData(x.p, &x);
    XML_SetElementHandler(x.p, on_open, on_close);
    XML_SetCharacterDataHandler(x.p, on_text);
    XML_SetStartNamespaceDeclHandler(x.p, on_space);
    XML_SetStartDoctypeDeclHandler(x.p, on_doctype);
    XML_SetXmlDeclHandler(x.p, on_declaration);
    XML_SetUnknownEncodingHandler(x.p, on_encoding, &x);
    XML_SetSkippedEntityHandler(x.p, on_entity);
    /* As if there were an external subset: names that XML does not know are then given to on_entity instead of failing.
     * It is never read (XM5): no handler for external entities is set and parameter entities are not parsed. */
    XML_UseForeignDTD(x.p, XML_TRUE);
    enum XML_Status ok = XML_Parse(x.p, bytes.s ? bytes.s : "", (int)bytes.len, XML_TRUE);
    enum weft_status st = x.st;
    if (!st && ok != XML_STATUS_OK) st = not_well_formed(&x, XML_GetErrorCode(x.p));
    XML_ParserFree(x.p);
    return st;
}

struct weft_str weft_xml_attr(const struct weft_xml_element *e, const char *space, const char *local)
{
    for (size_t i = 0; i < e->n_attrs; i++)
        if (weft_str_is(e->attrs[i].name.local, local) && (!space || weft_str_is(e->attrs[i].name.space, space)))
            return e->attrs[i].value;
    return (struct weft_str){ NULL, 0 };
}
