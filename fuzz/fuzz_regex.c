/* Any bytes as a pattern, a NUL byte, and a text: the pattern is refused by name, or its matches go
 * forward and end. */
#include "tokens/regex.h"

#include <stdlib.h>

static void check(bool ok)
{
    if (!ok) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *nul = size ? memchr(data, 0, size) : NULL;
    size_t len = nul ? (size_t)(nul - data) : size, begin, end, last = 0, n = 0;
    struct weft_str pattern = { (const char *)data, len },
                    text = { (const char *)data + (nul ? len + 1 : size), nul ? size - len - 1 : 0 };
    struct weft_regex *r = NULL;
    struct weft_regex_scratch scratch = { 0 };
    struct weft_regex_walk walk = { 0, SIZE_MAX };
    struct weft_err err = { 0 };
    bool found = true;
    if (weft_utf8_check(pattern) < pattern.len || weft_utf8_check(text) < text.len)
        return 0; /* callers have checked both */
    enum weft_status st = weft_regex_new(&r, "fuzz", pattern, &err);
    check(st == WEFT_OK || ((st == WEFT_EINPUT || st == WEFT_ELIMIT) && strcmp(err.rule, "TK6") == 0));
    while (!st && found) {
        st = weft_regex_next(r, &scratch, text, &walk, &found, &begin, &end, &err);
        check(st == WEFT_OK || strcmp(err.rule, "TK6") == 0);
        if (st || !found) break;
        check(begin >= last && end >= begin && end <= text.len);
        last = end;
        check(++n <= 2 * text.len + 2);
    }
    weft_regex_scratch_clear(&scratch);
    weft_regex_free(r);
    return 0;
}
