/* Any bytes as Markdown.  What comes out is UTF-8 whose lines cover it and whose byte ranges rise through the file;
 * without libmd4c there is nothing to test. */
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
    struct weft_text_settings s = { .reader = "markdown" };
    struct weft_text t;
    if (!size) return 0;
    s.charset = data[0] % 6;
    struct weft_str bytes = { (const char *)data + 1, size - 1 };
    enum weft_status st = weft_text_from_memory(&a, "fuzz.md", bytes, &s, &t, &err);
    check(st == WEFT_OK || st == WEFT_ESYSTEM || (st == WEFT_EINPUT && err.msg[0] && err.rule[0]));
    if (!st) {
        size_t at = 0;
        uint64_t byte = 0;
        check(weft_utf8_check(t.text) == t.text.len && !memchr(t.text.s, '\r', t.text.len) && t.n_lines > 0);
        for (size_t i = 0; i < t.n_lines; i++) {
            struct weft_str line = weft_text_line(&t, i);
            check(t.lines[i].at == at && !memchr(line.s ? line.s : "", '\n', line.len));
            check(t.lines[i].begin >= byte && t.lines[i].end >= t.lines[i].begin && t.lines[i].end <= bytes.len);
            byte = t.lines[i].end;
            at = t.lines[i + 1].at;
        }
        check(at == t.text.len);
        for (size_t i = 0; i < t.n_sections; i++)
            check(t.sections[i].first_line < t.n_lines && (i || t.sections[i].first_line == 0));
    }
    weft_arena_clear(&a);
    return 0;
}
