/* Any bytes as a GGUF file.  What is accepted lies inside the bytes, in order, and is found by its name; its
 * configuration and its tokenizer are made or refused by a rule. */
#include "model/gguf.h"

#include <stdlib.h>

static void check(bool ok)
{
    if (!ok) abort();
}

static void check_status(enum weft_status st, struct weft_err *err)
{
    check(st == WEFT_OK || ((st == WEFT_EINPUT || st == WEFT_ELIMIT) && err->msg[0]));
    weft_err_clear(err);
}

static const char *name_of(struct weft_arena *a, struct weft_str s)
{
    return memchr(s.s, '\0', s.len) ? NULL : weft_str_dup(a, s).s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weft_arena a = { 0 };
    struct weft_err err = { .lang = size & 1 ? WEFT_LANG_ZH : WEFT_LANG_EN };
    struct weft_gguf g;
    enum weft_status st = weft_gguf_parse(&g, &a, "fuzz", (struct weft_str){ (const char *)data, size }, &err);

    check(st == WEFT_OK || err.rule[0]);
    check_status(st, &err);
    if (!st) {
        const unsigned char *end = data;
        volatile unsigned char sink = 0;
        for (size_t i = 0; i < g.n_tensors; i++) {
            const struct weft_gguf_tensor *t = &g.tensors[i];
            const char *name = name_of(&a, t->name);
            check(t->data >= end && t->bytes <= (size_t)(data + size - t->data));
            end = t->data + t->bytes;
            sink = (unsigned char)(sink + t->data[0] + end[-1]);
            check(!name || weft_gguf_tensor(&g, name) == t);
        }
        for (size_t i = 0; i < g.n_keys; i++) {
            const struct weft_gguf_key *k = &g.keys[i];
            const char *name = name_of(&a, k->key);
            struct weft_str s;
            size_t items = 0;
            for (size_t at = 0; weft_gguf_next_string(k, &at, &s); items++)
                check(s.s + s.len <= (const char *)data + size);
            check(k->type != WEFT_GGUF_ARRAY || k->item != WEFT_GGUF_STRING || items == k->count);
            check(!name || weft_gguf_key(&g, name) == k);
        }
        struct weft_config config;
        struct weft_buf json = { 0 }, settings = { 0 };
        struct weft_tokenizer *t = NULL;
        check_status(weft_gguf_config(&g, &a, &config, &err), &err);
        st = weft_gguf_tokenizer_files(&g, &json, &settings, &err);
        check_status(st, &err);
        if (!st) {
            st = weft_tokenizer_parse(&t, "fuzz", weft_buf_view(&json), weft_buf_view(&settings), &err);
            check_status(st, &err);
            weft_tokenizer_free(st ? NULL : t);
        }
        weft_buf_clear(&json);
        weft_buf_clear(&settings);
    }
    weft_gguf_close(&g);
    weft_arena_clear(&a);
    return 0;
}
