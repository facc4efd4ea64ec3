/* Any bytes as a patch file.  What is read can be written and read again; applied to rows it loses none silently. */
#include "dataset/formats.h"
#include "dataset/patch.h"

#include <stdlib.h>

static void check(bool ok)
{
    if (!ok) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char lines[] =
        "{\"instruction\":\"q\",\"output\":\"a\",\"weft\":{\"id\":\"s1\",\"src\":{\"file\":\"f\",\"line\":1,\"last_line\":1,\"bytes\":[1,2]}}}\n"
        "{\"text\":\"t\"}\n{\"text\":\"t\"}\n";
    struct weft_arena a = { 0 };
    struct weft_err err = { .lang = size & 1 ? WEFT_LANG_ZH : WEFT_LANG_EN };
    struct weft_patches patches = { 0 }, again = { 0 };
    struct weft_rows rows = { 0 };
    struct weft_patch_result r;
    struct weft_buf b = { 0 };
    enum weft_status st = weft_patches_parse(&a, "fuzz", (struct weft_str){ (const char *)data, size }, &patches, &err);
    check(st == WEFT_OK || (st == WEFT_EINPUT && err.msg[0] && err.rule[0]));
    if (!st) {
        bool written = true;        /* a row of an edit may have no place in messages (a call that is no JSON) */
        weft_err_clear(&err);
        for (size_t i = 0; i < patches.n && written; i++) written = !weft_patch_write(&b, &patches.items[i], &err);
        if (written) check(!weft_patches_parse(&a, "again", weft_buf_view(&b), &again, &err) && again.n == patches.n);
        weft_err_clear(&err);
        check(!weft_rows_parse(&a, "rows", WEFT_STR(lines), NULL, &rows, NULL, NULL, &err) && rows.n == 3);
        check(!weft_patches_apply(&a, &rows, &patches, &r, &err) && r.rows_in == r.rows_out + r.dropped
              && rows.n == r.rows_out);
        check(r.match.fits + r.match.moved + r.match.replaced + r.match.already + r.match.unfit == patches.n);
    }
    weft_buf_clear(&b);
    weft_arena_clear(&a);
    return 0;
}
