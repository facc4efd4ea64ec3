/* Any bytes as a web page.  Syntax never fails (HT1), so only charset and missing text may; what comes out is UTF-8
 * whose lines cover it and whose byte ranges rise through the page; sections begin at lines that are there. */
#include "text/html.h"

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
    struct weft_text_settings s = { .charset = data[0] % 6 };
    struct weft_str bytes = { (const char *)data + 1, size - 1 };
    struct weft_text t = { .name = WEFT_STR("fuzz") };
    if (bytes.len) {
        weft_html_sniff(bytes, WEFT_STR("fuzz.html"));
        enum weft_status st = weft_html_read(&a, bytes, &s, &t, &err);
        check(st == WEFT_OK || (st == WEFT_EINPUT && err.msg[0] && err.rule[0]));
        if (!st) {
            size_t at = 0;
            uint64_t byte = 0;
            check(weft_utf8_check(t.text) == t.text.len && !memchr(t.text.s, '\r', t.text.len));
            check(t.n_lines > 0 && t.text.s[t.text.len - 1] == '\n');
            for (size_t i = 0; i < t.n_lines; i++) {
                struct weft_str line = weft_text_line(&t, i);
                check(t.lines[i].at == at && !memchr(line.s ? line.s : "", '\n', line.len));
                check(t.lines[i].begin >= byte && t.lines[i].end >= t.lines[i].begin && t.lines[i].end <= bytes.len);
                check(weft_text_source_line(&t, i) >= 1);
                byte = t.lines[i].end;
                at = t.lines[i + 1].at;
            }
            check(at == t.text.len);
            for (size_t i = 0; i < t.n_sections; i++)
                check(t.sections[i].first_line < t.n_lines && (i || t.sections[i].first_line == 0));
        }
    }
    weft_arena_clear(&a);
    return 0;
}
