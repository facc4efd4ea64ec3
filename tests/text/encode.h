/* tests/text/encode.h - text in another charset */
#ifndef WEFT_TESTS_TEXT_ENCODE_H
#define WEFT_TESTS_TEXT_ENCODE_H

#include "check.h"

#include <iconv.h>

static inline struct weft_str encode(struct weft_arena *a, const char *utf8, const char *charset)
{
    iconv_t cd = iconv_open(charset, "UTF-8");
    assert_true(cd != (iconv_t)-1);
    size_t left = strlen(utf8), room = left * 4 + 16, cap = room;
    char *out = weft_arena_alloc(a, room), *to = out, *in = (char *)(uintptr_t)utf8;
    assert_non_null(out);
    assert_int_equal(iconv(cd, &in, &left, &to, &room), 0);
    iconv_close(cd);
    return (struct weft_str){ out, cap - room };
}

#endif
