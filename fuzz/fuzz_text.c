/* Any bytes as a text file, found and forced charsets.  What comes out is UTF-8 with LF line ends; lines cover
 * it and their byte ranges cover the original in order; a strict reading means no repairs. */
#include "text/text.h"

#include <stdlib.h>

static void check(bool ok)
{
    if (!ok) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weft_arena a = { 0 };
    struct weft_err err = { .lang = size & 1 ? WEFT_LANG_ZH : WEFT_LANG_EN };
    if (!size) return 0;
    struct weft_text_settings s = { .charset = data[0] % 6, .reader = "txt" };
    struct weft_str bytes = { (const char *)data + 1, size - 1 };
    struct weft_text t;
    enum weft_status st = weft_text_from_memory(&a, "fuzz", bytes, &s, &t, &err);
    check(st == WEFT_OK || (st == WEFT_EINPUT && err.msg[0] && err.rule[0] == 'T'));
    if (!st) {
        size_t at = 0;
        uint64_t byte = 0;
        check(weft_utf8_check(t.text) == t.text.len && !memchr(t.text.s, '\r', t.text.len)
              && !memchr(t.text.s, 0, t.text.len));
        check(t.charset != WEFT_CHARSET_AUTO && t.n_lines > 0);
        for (size_t i = 0; i < t.n_lines; i++) {
            struct weft_str line = weft_text_line(&t, i);
            check(t.lines[i].at == at && !memchr(line.s, '\n', line.len));
            check(t.lines[i].begin >= byte && t.lines[i].end >= t.lines[i].begin
                  && t.lines[i].end <= bytes.len);
            check(weft_text_line_of(&t, at) == i + 1);
            byte = t.lines[i].end;
            at = t.lines[i + 1].at;
        }
        check(at == t.text.len);
        check(t.n_places == 0 || t.places[0].byte < bytes.len);
        /* UTF-8 that came through unrepaired is the file itself, less mark and CRs. */
        if (t.charset == WEFT_CHARSET_UTF8 && !weft_text_partial(&t) && !t.cr)
            check(weft_str_eq(t.text, weft_str_skip(bytes, t.bom ? 3 : 0)));
    }
    weft_arena_clear(&a);
    return 0;
}
