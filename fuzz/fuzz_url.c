/* Any bytes as an address and as a reference (their halves): what is accepted has a host of plain characters and no
 * password, and what joining makes of it stays on the same host unless the reference names another. */
#include "base/url.h"

#include <stdlib.h>

static void check(bool ok)
{
    if (!ok) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weft_arena a = { .block_bytes = 4096 };
    struct weft_str text = { (const char *)data, size }, base = text, ref = { 0 };
    struct weft_url u, joined;
    struct weft_err err = { 0 };
    struct weft_buf encoded = { 0 };
    size_t cut =
        size ? (size_t)(memchr(data, '\n', size) ? (const uint8_t *)memchr(data, '\n', size) - data : (long)size)
             : 0;
    base.len = cut;
    if (cut < size) ref = weft_str_skip(text, cut + 1);
    if (weft_url_parse(base, &u, &err) == WEFT_OK) {
        check(u.host.len > 0 && u.host.len <= 253 && u.port >= 1 && u.port <= 65535);
        for (size_t i = 0; i < u.host.len; i++)
            check(u.host.s[i] != '@' && u.host.s[i] != '/' && u.host.s[i] > ' ');
        check(u.path.len == 0 || u.path.s[0] == '/' || u.path.s[0] == '?');
        check(weft_url_same_origin(&u, &u));
        (void)weft_address_kind(u.host);
        struct weft_str target = weft_url_join(&a, base, ref);
        check(target.s != NULL);
        bool elsewhere = weft_str_starts(ref, WEFT_STR("//")) || (ref.len && memchr(ref.s, ':', ref.len));
        if (weft_url_parse(target, &joined, NULL) == WEFT_OK)
            check(elsewhere || weft_url_same_origin(&u, &joined));
    } else check(err.msg[0] != '\0');
    weft_url_encode(&encoded, text, true);
    for (size_t i = 0; i < encoded.len; i++) check(encoded.s[i] > ' ' && (unsigned char)encoded.s[i] < 0x7f);
    weft_buf_clear(&encoded);
    weft_arena_clear(&a);
    return 0;
}
