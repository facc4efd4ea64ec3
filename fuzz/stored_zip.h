/* fuzz/stored_zip.h - parts in memory -> a container of stored parts, so that mutated parts have right checksums */
#ifndef WEFT_FUZZ_STORED_ZIP_H
#define WEFT_FUZZ_STORED_ZIP_H

#include "base/str.h"

#include <zlib.h>

struct stored_part {
    const char *name;
    struct weft_str bytes;
};

static inline void stored_16(struct weft_buf *b, unsigned v)
{
    weft_buf_char(b, (char)(v & 255));
    weft_buf_char(b, (char)(v >> 8));
}
static inline void stored_32(struct weft_buf *b, size_t v)
{
    stored_16(b, v & 0xFFFF);
    stored_16(b, v >> 16 & 0xFFFF);
}

/* The fields that local header and directory share: version to lengths. */
static inline void stored_fields(struct weft_buf *b, const struct stored_part *p)
{
    const unsigned char *s = (const unsigned char *)(p->bytes.s ? p->bytes.s : "");
    stored_16(b, 10);
    stored_16(b, 0);
    stored_16(b, 0);
    stored_32(b, 0x58210000);
    stored_32(b, (size_t)crc32_z(crc32_z(0, NULL, 0), s, p->bytes.len));
    stored_32(b, p->bytes.len);
    stored_32(b, p->bytes.len);
    stored_16(b, (unsigned)strlen(p->name));
    stored_16(b, 0);
}

/* At most 16 parts. */
static inline void stored_zip(struct weft_buf *b, const struct stored_part *parts, size_t n)
{
    size_t at[16], dir;
    for (size_t i = 0; i < n; i++) {
        at[i] = b->len;
        weft_buf_add(b, "PK\3\4", 4);
        stored_fields(b, &parts[i]);
        weft_buf_cstr(b, parts[i].name);
        weft_buf_str(b, parts[i].bytes);
    }
    dir = b->len;
    for (size_t i = 0; i < n; i++) {
        weft_buf_add(b, "PK\1\2\24\0", 6);
        stored_fields(b, &parts[i]);
        weft_buf_add(b, "\0\0\0\0\0\0\0\0\0\0", 10);    /* comment, disk, attributes */
        stored_32(b, at[i]);
        weft_buf_cstr(b, parts[i].name);
    }
    size_t dir_bytes = b->len - dir;
    weft_buf_add(b, "PK\5\6\0\0\0\0", 8);
    stored_16(b, (unsigned)n);
    stored_16(b, (unsigned)n);
    stored_32(b, dir_bytes);
    stored_32(b, dir);
    stored_16(b, 0);
}

#endif
