/* tests/zip_make.h - a small zip writer, so that tests build their containers themselves
 *
 * Parts are stored or deflated one after the other; zip_end writes directory and end record.  The places of every
 * record are kept, so that a test can damage exactly one field. */
#ifndef WEFT_TESTS_ZIP_MAKE_H
#define WEFT_TESTS_ZIP_MAKE_H

#include "check.h"

#include <zlib.h>

enum { ZIP_PARTS = 64 };

struct zip_part {
    char name[1100];
    size_t name_len;
    size_t local_at, data_at, central_at;
    uint32_t crc, packed, bytes;
    unsigned flags, method;
};

struct zip_make {
    struct weft_buf b;
    struct zip_part parts[ZIP_PARTS];
    size_t n, dir_at, end_at;
};

static inline void zip_u16(struct weft_buf *b, unsigned v)
{
    weft_buf_char(b, (char)(v & 255));
    weft_buf_char(b, (char)(v >> 8));
}
static inline void zip_u32(struct weft_buf *b, uint32_t v)
{
    zip_u16(b, v & 0xFFFF);
    zip_u16(b, v >> 16);
}
static inline void zip_u64(struct weft_buf *b, uint64_t v)
{
    zip_u32(b, (uint32_t)v);
    zip_u32(b, (uint32_t)(v >> 32));
}
/* Overwrites bytes of what was written. */
static inline void zip_set16(struct zip_make *z, size_t at, unsigned v)
{
    z->b.s[at] = (char)(v & 255);
    z->b.s[at + 1] = (char)(v >> 8);
}
static inline void zip_set32(struct zip_make *z, size_t at, uint32_t v)
{
    zip_set16(z, at, v & 0xFFFF);
    zip_set16(z, at + 2, v >> 16);
}

/* A part: method 0 or 8; with_descriptor: sizes stand behind the data instead of in front. */
static inline struct zip_part *zip_add_as(struct zip_make *z, struct weft_str name, struct weft_str content, int method,
                                          bool with_descriptor)
{
    if (z->n == ZIP_PARTS || name.len >= sizeof z->parts[0].name) fail_msg("zip_make: too many parts or a long name");
    struct zip_part *p = &z->parts[z->n++];
    struct weft_buf packed = { 0 };
    memcpy(p->name, name.s, name.len);
    p->name_len = name.len;
    p->method = (unsigned)method;
    p->flags = with_descriptor ? 8 : 0;
    p->bytes = (uint32_t)content.len;
    p->crc = (uint32_t)crc32(0, (const unsigned char *)content.s, (unsigned)content.len);
    if (method == 8) {
        z_stream s = { 0 };
        if (deflateInit2(&s, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) != Z_OK) fail_msg("deflateInit2");
        if (!weft_buf_reserve(&packed, deflateBound(&s, content.len))) fail_msg("no memory");
        s.next_in = (unsigned char *)(uintptr_t)content.s;
        s.avail_in = (unsigned)content.len;
        s.next_out = (unsigned char *)packed.s;
        s.avail_out = (unsigned)packed.cap;
        if (deflate(&s, Z_FINISH) != Z_STREAM_END) fail_msg("deflate");
        packed.len = s.total_out;
        deflateEnd(&s);
    } else weft_buf_str(&packed, content);
    p->packed = (uint32_t)packed.len;
    p->local_at = z->b.len;
    weft_buf_add(&z->b, "PK\3\4", 4);
    zip_u16(&z->b, 20);
    zip_u16(&z->b, p->flags);
    zip_u16(&z->b, p->method);
    zip_u32(&z->b, 0x58210000);
    zip_u32(&z->b, with_descriptor ? 0 : p->crc);
    zip_u32(&z->b, with_descriptor ? 0 : p->packed);
    zip_u32(&z->b, with_descriptor ? 0 : p->bytes);
    zip_u16(&z->b, (unsigned)name.len);
    zip_u16(&z->b, 0);
    weft_buf_str(&z->b, name);
    p->data_at = z->b.len;
    weft_buf_str(&z->b, weft_buf_view(&packed));
    if (with_descriptor) {
        weft_buf_add(&z->b, "PK\7\10", 4);
        zip_u32(&z->b, p->crc);
        zip_u32(&z->b, p->packed);
        zip_u32(&z->b, p->bytes);
    }
    weft_buf_clear(&packed);
    return p;
}

static inline struct zip_part *zip_add(struct zip_make *z, const char *name, const char *content)
{
    return zip_add_as(z, weft_str_c(name), weft_str_c(content), 8, false);
}

/* Directory and end record.  zip64: every size stands in zip64 records. */
static inline struct weft_str zip_end_as(struct zip_make *z, bool zip64, struct weft_str comment)
{
    z->dir_at = z->b.len;
    for (size_t i = 0; i < z->n; i++) {
        struct zip_part *p = &z->parts[i];
        p->central_at = z->b.len;
        weft_buf_add(&z->b, "PK\1\2", 4);
        zip_u16(&z->b, 45);
        zip_u16(&z->b, 45);
        zip_u16(&z->b, p->flags);
        zip_u16(&z->b, p->method);
        zip_u32(&z->b, 0x58210000);
        zip_u32(&z->b, p->crc);
        zip_u32(&z->b, zip64 ? UINT32_MAX : p->packed);
        zip_u32(&z->b, zip64 ? UINT32_MAX : p->bytes);
        zip_u16(&z->b, (unsigned)p->name_len);
        zip_u16(&z->b, zip64 ? 28 : 0);
        zip_u16(&z->b, 0);
        zip_u16(&z->b, 0);
        zip_u16(&z->b, 0);
        zip_u32(&z->b, 0);
        zip_u32(&z->b, zip64 ? UINT32_MAX : (uint32_t)p->local_at);
        weft_buf_add(&z->b, p->name, p->name_len);
        if (zip64) {
            zip_u16(&z->b, 1);
            zip_u16(&z->b, 24);
            zip_u64(&z->b, p->bytes);
            zip_u64(&z->b, p->packed);
            zip_u64(&z->b, p->local_at);
        }
    }
    size_t dir_bytes = z->b.len - z->dir_at, at64 = z->b.len;
    if (zip64) {
        weft_buf_add(&z->b, "PK\6\6", 4);
        zip_u64(&z->b, 44);
        zip_u16(&z->b, 45);
        zip_u16(&z->b, 45);
        zip_u32(&z->b, 0);
        zip_u32(&z->b, 0);
        zip_u64(&z->b, z->n);
        zip_u64(&z->b, z->n);
        zip_u64(&z->b, dir_bytes);
        zip_u64(&z->b, z->dir_at);
        weft_buf_add(&z->b, "PK\6\7", 4);
        zip_u32(&z->b, 0);
        zip_u64(&z->b, at64);
        zip_u32(&z->b, 1);
    }
    z->end_at = z->b.len;
    weft_buf_add(&z->b, "PK\5\6", 4);
    zip_u16(&z->b, 0);
    zip_u16(&z->b, 0);
    zip_u16(&z->b, zip64 ? 0xFFFF : (unsigned)z->n);
    zip_u16(&z->b, zip64 ? 0xFFFF : (unsigned)z->n);
    zip_u32(&z->b, zip64 ? UINT32_MAX : (uint32_t)dir_bytes);
    zip_u32(&z->b, zip64 ? UINT32_MAX : (uint32_t)z->dir_at);
    zip_u16(&z->b, (unsigned)comment.len);
    weft_buf_str(&z->b, comment);
    if (z->b.failed) fail_msg("zip_make: no memory");
    return weft_buf_view(&z->b);
}

static inline struct weft_str zip_end(struct zip_make *z) { return zip_end_as(z, false, WEFT_STR("")); }
static inline void zip_clear(struct zip_make *z)
{
    weft_buf_clear(&z->b);
    z->n = 0;
}

#endif
