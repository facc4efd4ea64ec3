#include "text/read_docx.h"
#include "text/read_html.h"
#include "text/read_txt.h"

/* The list; each entry lives in its own read_<format>.c.  Asked in this order: plain text takes what is left. */
static const struct weft_reader *const readers[] = { &weft_reader_docx, &weft_reader_html, &weft_reader_txt };

const struct weft_reader *const *weft_readers(size_t *n)
{
    *n = WEFT_COUNT(readers);
    return readers;
}
