/* Any bytes as a zip container.  What is opened has names that stay inside and come once; a part that is read has the
 * size and checksum that the directory says; limits hold. */
#include "text/zip.h"

#include <stdlib.h>
#include <zlib.h>

static void check(bool ok)
{
    if (!ok) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weft_arena a = { 0 };
    struct weft_err err = { .lang = size & 1 ? WEFT_LANG_ZH : WEFT_LANG_EN };
    const struct weft_zip_limits limits = { .max_entries = 100, .max_entry_bytes = 1 << 20,
                                            .max_total_bytes = 4 << 20 };
    struct weft_str bytes = { (const char *)data, size };
    struct weft_zip z;
    weft_zip_kind(bytes);
    enum weft_status st = weft_zip_open(&z, &a, "fuzz", bytes, &limits, &err);
    check(!st || ((st == WEFT_EINPUT || st == WEFT_ELIMIT) && err.msg[0] && err.rule[0] == 'Z'));
    uint64_t total = 0;
    for (size_t i = 0; !st && i < z.n; i++) {
        const struct weft_zip_entry *e = &z.entries[i];
        struct weft_str part;
        check(e->name.len && e->name.s[0] != '/' && !memchr(e->name.s, 0, e->name.len)
              && !memchr(e->name.s, '\\', e->name.len) && weft_zip_find(&z, e->name) == e);
        check(!weft_str_starts(e->name, WEFT_STR("../")) && weft_str_find(e->name, WEFT_STR("/../"), 0) == SIZE_MAX);
        weft_err_clear(&err);
        enum weft_status read = weft_zip_read(&z, &a, e, &part, &err);
        if (read) {
            check((read == WEFT_EINPUT || read == WEFT_ELIMIT) && err.msg[0] && err.rule[0] == 'Z');
            continue;
        }
        total += part.len;
        check(part.len == e->bytes && part.s[part.len] == '\0');
        check(crc32_z(crc32_z(0, NULL, 0), (const unsigned char *)part.s, part.len) == e->crc);
    }
    check(total <= 4 << 20);
    weft_arena_clear(&a);
    return 0;
}
