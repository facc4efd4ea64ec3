#include "tokens/byte_level.h"

#include "tokens/unicode.h"

void weft_byte_level_init(struct weft_byte_level *b)
{
    unsigned next = 0x100;
    for (unsigned i = 0; i <= WEFT_BYTE_LEVEL_MAX; i++) b->to_byte[i] = -1;
    for (unsigned i = 0; i < 256; i++) {
        bool itself = (i >= 33 && i <= 126) || (i >= 161 && i <= 172) || i >= 174;
        b->of_byte[i] = (uint16_t)(itself ? i : next++);
        b->to_byte[b->of_byte[i]] = (int16_t)i;
    }
}

void weft_byte_level_map(const struct weft_byte_level *b, struct weft_str s, struct weft_buf *out)
{
    for (size_t i = 0; i < s.len; i++) weft_buf_utf8(out, b->of_byte[(unsigned char)s.s[i]]);
}

size_t weft_byte_level_bytes(const struct weft_byte_level *b, struct weft_str s, char *out)
{
    const unsigned char *p = (const unsigned char *)s.s;
    size_t n, made = 0;
    for (size_t i = 0; i < s.len; i += n) {
        uint32_t cp = weft_unicode_next(p + i, &n);
        if (cp > WEFT_BYTE_LEVEL_MAX || b->to_byte[cp] < 0) return 0;
        out[made++] = (char)b->to_byte[cp];
    }
    return made;
}

bool weft_byte_level_unmap(const struct weft_byte_level *b, struct weft_str s, struct weft_buf *out)
{
    if (!s.len) return true;
    if (!weft_buf_reserve(out, s.len)) return true; /* the buffer remembers */
    size_t n = weft_byte_level_bytes(b, s, out->s + out->len);
    out->len += n;
    out->s[out->len] = '\0';
    return n > 0;
}
