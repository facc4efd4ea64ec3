#include "text/read_html.h"

#include "text/html.h"

const struct weft_reader weft_reader_html = {
    .name = "html",
    .suffixes = ".html .htm .xhtml",
    .help = "web pages: the text between the tags, blocks as lines",
    .help_zh = "网页：标签之间的文字，每个块占一行",
    .sniff_named = weft_html_sniff,
    .read = weft_html_read,
};
