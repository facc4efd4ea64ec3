/* text/xml.h - one XML document in memory as a series of calls: open, text, close
 *
 * A thin layer over expat that adds what a reader of foreign files needs (rules XM1-XM5 of docs/robustness.md): UTF-8
 * and UTF-16 only, no document type definition that could declare anything, no entities but the five of XML (and
 * names that the caller knows), depth and attributes counted, nothing outside ever opened.  Since nothing can be
 * declared, nothing can be expanded: expat's own guard against amplification stays on behind that.
 *
 * Owner:   every string handed to a call lives until it returns.
 * Threads: a document is parsed on the caller's thread; documents are independent of each other.
 */
#ifndef WEFT_TEXT_XML_H
#define WEFT_TEXT_XML_H

#include "base/str.h"

enum { WEFT_XML_DEPTH = 512, WEFT_XML_ATTRS = 256 };

struct weft_xml_name {
    struct weft_str space;      /* namespace, len 0: none */
    struct weft_str local;
};

struct weft_xml_attr {
    struct weft_xml_name name;
    struct weft_str value;
};

struct weft_xml_element {
    struct weft_xml_name name;
    const struct weft_xml_attr *attrs;
    size_t n_attrs;
};

/* Where the call stands in the bytes of the document: its markup or text is [begin, end). */
struct weft_xml_place {
    uint64_t begin, end;
};

/* Calls may be NULL.  One that returns an error stops the parse with that error. */
struct weft_xml_calls {
    void *ctx;
    enum weft_status (*open)(void *ctx, const struct weft_xml_element *e, struct weft_xml_place at,
                             struct weft_err *err);
    enum weft_status (*close)(void *ctx, struct weft_xml_name name, struct weft_xml_place at, struct weft_err *err);
    /* A run of characters, often a part of what stands between two tags. */
    enum weft_status (*text)(void *ctx, struct weft_str text, struct weft_xml_place at, struct weft_err *err);
    /* The text of an entity that XML does not know ("nbsp"), written to `out` (at most 16 bytes); its length, or 0
     * where it is unknown here too.  NULL: XML's five alone. */
    size_t (*entity)(void *ctx, struct weft_str name, char out[16]);
    bool doctype;               /* a document type without internal subset is skipped instead of refused */
};

/* Parses the whole document.  `name` stands in messages ("a.docx: word/document.xml").
 * WEFT_EINPUT with XM1 (another encoding), XM2 (not well-formed; line and column), XM3 (document type), XM4 (an
 * entity); WEFT_ELIMIT with XM2 (depth, attributes). */
WEFT_MUST_USE enum weft_status weft_xml_parse(const char *name, struct weft_str bytes,
                                              const struct weft_xml_calls *calls, struct weft_err *err);

/* The value of an attribute; s == NULL: it is not there.  `space` may be "" for none, or NULL for any. */
struct weft_str weft_xml_attr(const struct weft_xml_element *e, const char *space, const char *local);

#endif
