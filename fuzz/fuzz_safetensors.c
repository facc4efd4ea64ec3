/* Any bytes as a safetensors file.  What is accepted lies inside the bytes, covers the data and is found by its name;
 * what is refused says why. */
#include "model/safetensors.h"

#include <stdlib.h>

static void check(bool ok)
{
    if (!ok) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weft_arena a = { 0 };
    struct weft_err err = { .lang = size & 1 ? WEFT_LANG_ZH : WEFT_LANG_EN };
    struct weft_safetensors f;
    enum weft_status st = weft_safetensors_parse(&f, &a, "fuzz", (struct weft_str){ (const char *)data, size }, &err);

    check(st == WEFT_OK || ((st == WEFT_EINPUT || st == WEFT_ELIMIT) && err.msg[0] && err.rule[0]));
    if (!st) {
        size_t bytes = 0, header = 0;
        volatile unsigned char sink = 0;
        for (int i = 7; i >= 0; i--) header = header << 8 | data[i];
        for (size_t i = 0; i < f.n; i++) {
            const struct weft_st_tensor *t = &f.tensors[i];
            bytes += t->bytes;
            check(t->data >= data + 8 + header && t->bytes <= (size_t)(data + size - t->data));
            if (t->bytes) sink = (unsigned char)(sink + t->data[0] + t->data[t->bytes - 1]);
            check(weft_safetensors_find(&f, t->name) == t);
        }
        check(bytes == size - 8 - header);
    }
    weft_safetensors_close(&f);
    weft_arena_clear(&a);
    return 0;
}
