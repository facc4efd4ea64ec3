/* text/html.h - HTML -> lines of text that know their bytes
 *
 * Rules HT1-HT5 (docs/robustness.md).  Tags, comments and references are cut as the HTML standard says (WHATWG HTML,
 * section 13.2.5); text/layout.h makes lines of them.  Attributes are not looked at, scripts not run, nothing is
 * fetched.  Time is linear in the bytes for any input.
 *
 * Why not libxml2: its HTML parser takes quadratic time for end tags without a beginning and for many attributes,
 * knows only the 252 names of HTML 4, and drops references to what is no character (measured with 2.9.14).
 */
#ifndef WEFT_TEXT_HTML_H
#define WEFT_TEXT_HTML_H

#include "text/text.h"

/* A whole page, or the chapter of a book.  `out->name` is set before; fills text, lines (bytes in `bytes`, which must
 * outlive the call only), source_lines, title, sections for headings, charset and counts.  A charset in `s` other than
 * AUTO goes before what the page declares; `s` may be NULL.
 * WEFT_EINPUT with TX1, TX2, TX4 (no text in any charset), HT2 (declares a charset that is not read here), TX5 (no
 * visible character). */
WEFT_MUST_USE enum weft_status weft_html_read(struct weft_arena *a, struct weft_str bytes,
                                              const struct weft_text_settings *s, struct weft_text *out,
                                              struct weft_err *err);

/* A piece of HTML inside another text (Markdown): cuts it into the layout `l`.  It stands at bytes [from, to) of that
 * text: byte by byte when the lengths agree. */
struct weft_layout;
void weft_html_scan(struct weft_layout *l, struct weft_str html, uint64_t from, uint64_t to);

/* Do these bytes begin like a page?  `name`: with an ending as .html any tag will do. */
bool weft_html_sniff(struct weft_str bytes, struct weft_str name);

#endif
