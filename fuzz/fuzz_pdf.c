/* Any bytes as what the PDF child wrote, plain text or a table of words, and any end it may come to.  The text is UTF-8
 * with LF line ends; lines cover it, lie in the child's output (and rise in it where it is plain), and belong to
 * pages in order; a child that came to no good end never passes for whole. */
#include "text/read_pdf.h"

#include <stdlib.h>

static void check(bool ok)
{
    if (!ok) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weft_arena a = { 0 };
    struct weft_err err = { .lang = size & 1 ? WEFT_LANG_ZH : WEFT_LANG_EN };
    if (size < 2) return 0;
    struct weft_pdf_result r = { .end = (enum weft_pdf_end)(data[0] & 3), .code = data[0] >> 2 & 3,
                                 .words = data[0] >> 4 & 1,
                                 .limits = { 1 << 30, 120, 1 << 28 } };
    size_t messages = weft_min_size(data[1], size - 2);
    weft_buf_add(&r.messages, data + 2, messages);
    weft_buf_add(&r.text, data + 2 + messages, size - 2 - messages);
    bool whole = r.end == WEFT_PDF_EXITED && r.code == 0;
    struct weft_text t = { .name = WEFT_STR("fuzz.pdf") };
    enum weft_status st = weft_pdf_text(&a, &r, &t, &err);
    check(st == WEFT_OK || ((st == WEFT_EINPUT || st == WEFT_ELIMIT) && err.msg[0] && err.rule[0] == 'P'));
    if (!st) {
        size_t at = 0;
        uint64_t byte = 0, page = 0;
        check(weft_utf8_check(t.text) == t.text.len && !memchr(t.text.s, '\r', t.text.len)
              && !memchr(t.text.s, '\f', t.text.len) && !memchr(t.text.s, 0, t.text.len));
        check(t.n_lines > 0 && t.n_sections > 0 && (whole || weft_text_partial(&t)));
        for (size_t i = 0; i < t.n_lines; i++) {
            check(t.lines[i].at == at && (r.words || t.lines[i].begin >= byte) && t.lines[i].end >= t.lines[i].begin
                  && t.lines[i].end <= r.text.len);
            check(weft_text_span_of(&t, i, i).last_page >= weft_text_page_of(&t, i));
            check(weft_text_page_of(&t, i) >= page && weft_text_page_of(&t, i) > 0);
            page = weft_text_page_of(&t, i);
            byte = t.lines[i].end;
            at = t.lines[i + 1].at;
        }
        check(at == t.text.len);
        for (size_t i = 0; i < t.n_places; i++) check(t.places[i].line > 0 && t.places[i].line <= t.n_lines);
    }
    weft_pdf_result_clear(&r);
    weft_arena_clear(&a);
    return 0;
}
