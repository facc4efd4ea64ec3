/* text/html_names.h - character references of HTML: "&amp;", "&#x7532;", "&hellip"
 *
 * Rule HT5.  HTML, EPUB chapters and Markdown share the names.
 */
#ifndef WEFT_TEXT_HTML_NAMES_H
#define WEFT_TEXT_HTML_NAMES_H

#include "base/str.h"

/* The code points of a name without "&" and ";" ("hellip"): writes one or two (cp[1] is 0 where there is one) and
 * returns true.  Upper and lower case differ.  `bare` (may be NULL): the name counts without ";" too. */
bool weft_html_name(struct weft_str name, uint32_t cp[2], bool *bare);

/* Reads the reference at the start of s, which begins with "&", as HTML does it in text: names with or without ";"
 * where HTML allows, the longest that fits; numbers, with those of Windows-1252 mended and what is no character as
 * U+FFFD.  Returns its length in bytes, or 0 when it is none and the "&" stands for itself. */
size_t weft_html_reference(struct weft_str s, uint32_t cp[2]);

#endif
