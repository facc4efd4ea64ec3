#include "text/read_csv.h"
#include "text/read_docx.h"
#include "text/read_epub.h"
#include "text/read_html.h"
#include "text/read_markdown.h"
#include "text/read_pdf.h"
#include "text/read_txt.h"

/* The list; each entry lives in its own read_<format>.c.  Asked in this order: plain text takes what is left. */
static const struct weft_reader *const readers[] = {
    &weft_reader_pdf,
    &weft_reader_docx,
    &weft_reader_epub,
    &weft_reader_html,
    &weft_reader_csv,
    &weft_reader_markdown,
    &weft_reader_txt,
};

const struct weft_reader *const *weft_readers(size_t *n)
{
    *n = WEFT_COUNT(readers);
    return readers;
}

enum weft_status weft_reader_find(const char *name, const struct weft_reader **out, struct weft_err *err)
{
    struct weft_buf list = { 0 };
    char shown[64];
    for (size_t i = 0; i < WEFT_COUNT(readers); i++) {
        if (strcmp(readers[i]->name, name) == 0) {
            *out = readers[i];
            weft_buf_clear(&list);
            return WEFT_OK;
        }
        weft_buf_printf(&list, "%s%s", i ? ", " : "", readers[i]->name);
    }
    enum weft_status st = weft_fail(err, WEFT_EARG, "no reader \"%s\"; there are auto, %s",
                                    weft_escape(shown, sizeof shown, weft_str_c(name)), list.s ? list.s : "");
    weft_buf_clear(&list);
    return st;
}
