/* Any bytes as a tokenizer.json, a NUL byte, and a text.  What is accepted encodes the text without harm:
 * ids there are, offsets in order, the same a second time, and the text that streaming gives is the one
 * that decoding at once gives. */
#include "tokens/tokenizer.h"

#include <stdlib.h>

static void check(bool ok)
{
    if (!ok) abort();
}

static void encode(const struct weft_tokenizer *t, struct weft_encoder *e, struct weft_str text,
                   unsigned flags)
{
    struct weft_ids ids = { 0 }, again = { 0 };
    struct weft_buf whole = { 0 }, streamed = { 0 };
    struct weft_err err = { 0 };
    struct weft_detok d;
    enum weft_status st = weft_encode(e, text, flags | WEFT_ENCODE_OFFSETS, &ids, &err);
    check(st == WEFT_OK || err.msg[0]);
    check(weft_encode(e, text, flags, &again, &err) == st);
    check(again.n == ids.n);
    for (size_t i = 0; i < ids.n; i++) {
        check(ids.ids[i] == again.ids[i] && ids.begin[i] <= text.len);
        bool from_template = ids.ids[i] >= 0 && (size_t)ids.ids[i] >= weft_tokenizer_vocab_size(t);
        check(from_template || weft_tokenizer_content(t, ids.ids[i]).s || flags & WEFT_ENCODE_ADD);
    }
    check(weft_decode(t, ids.ids, ids.n, flags & 1, &whole, &err) == WEFT_OK);
    weft_detok_init(&d, t, flags & 1);
    for (size_t i = 0; i < ids.n; i++) {
        weft_detok_push(&d, ids.ids[i], &streamed);
        check(d.n_held <= 3);
    }
    weft_detok_finish(&d, &streamed);
    check(weft_str_eq(weft_buf_view(&whole), weft_buf_view(&streamed)));
    check(weft_utf8_check(weft_buf_view(&whole)) == whole.len);
    weft_buf_clear(&whole);
    weft_buf_clear(&streamed);
    weft_ids_clear(&ids);
    weft_ids_clear(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *nul = size ? memchr(data, 0, size) : NULL;
    size_t json = nul ? (size_t)(nul - data) : size;
    struct weft_str text = { (const char *)data + (nul ? json + 1 : size), nul ? size - json - 1 : 0 };
    struct weft_tokenizer *t = NULL;
    struct weft_encoder *e = NULL;
    struct weft_err err = { .lang = size & 1 ? WEFT_LANG_ZH : WEFT_LANG_EN };
    enum weft_status st = weft_tokenizer_parse(&t, "fuzz", (struct weft_str){ (const char *)data, json },
                                               (struct weft_str){ 0 }, &err);
    check(st == WEFT_OK || ((st == WEFT_EINPUT || st == WEFT_ELIMIT) && err.msg[0]));
    if (st) return 0;
    check(weft_encoder_new(&e, t, &err) == WEFT_OK);
    for (unsigned flags = 0; flags < 4; flags++) encode(t, e, text, flags);
    weft_encoder_free(e);
    weft_tokenizer_free(t);
    return 0;
}
