/* Any text in chunks; the first bytes choose the limits.  Without overlap the chunks are the text, byte for byte; none
 * is longer than the limit, in characters and in tokens; with overlap what is new adds up to the text. */
#include "dataset/chunk.h"

#include <stdlib.h>

static void check(bool ok)
{
    if (!ok) abort();
}

/* A token for each three bytes begun. */
static int64_t count(void *ctx, struct weft_str text, struct weft_err *err)
{
    return (int64_t)((text.len + 2) / 3);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weft_arena a = { 0 };
    struct weft_err err = { 0 };
    struct weft_chunk_settings s = { 0 };
    struct weft_text t;
    struct weft_chunks c = { 0 };
    struct weft_rows rows = { 0 };
    struct weft_chunk_counter counter = { count, NULL };
    struct weft_text_settings utf8 = { .charset = WEFT_CHARSET_UTF8 };
    if (size < 4 || weft_options_defaults(weft_chunk_options(), &s, &a, &err)) goto done;
    struct weft_str all = weft_str_dup(&a, (struct weft_str){ (const char *)data + 3, size - 3 });
    if (!all.s || weft_text_from_memory(&a, "text", all, &utf8, &t, &err)) goto done;
    s.max_chars = 8 + data[0];
    s.min_chars = data[1] & 1 ? s.max_chars / 3 : 0;
    s.overlap_chars = data[1] & 2 ? s.max_chars / 4 : 0;
    s.across_chapters = data[1] & 4;
    s.max_tokens = data[1] & 8 ? 1 + data[2] : 0;
    if (data[1] & 16) {
        s = (struct weft_chunk_settings){ .mode = WEFT_CHUNK_SEED, .max_chars = s.max_chars };
        check(!weft_chunk_texts(&a, &t, 1, &s, NULL, NULL, &c, &err));
        check(!weft_chunk_rows(&a, &t, &c, s.mode, &rows, &err) && rows.n == c.n);
        goto done;
    }
    check(!weft_chunk_texts(&a, &t, 1, &s, s.max_tokens ? &counter : NULL, NULL, &c, &err));
    size_t at = 0;
    uint64_t over = 0;
    for (size_t i = 0; i < c.n; i++) {
        const struct weft_chunk *k = &c.items[i];
        check(k->begin + k->overlap_bytes == at && k->end > at);
        check(k->text.s == t.text.s + k->begin && k->text.len == k->end - k->begin);
        check(weft_utf8_check(k->text) == k->text.len);
        check(k->chars == weft_utf8_chars(k->text) && k->chars <= (uint64_t)s.max_chars);
        if (s.max_tokens && k->tokens > (uint64_t)s.max_tokens) over++;
        at = k->end;
    }
    check(at == t.text.len && over == c.over_tokens);
    check(!weft_chunk_rows(&a, &t, &c, s.mode, &rows, &err) && rows.n == c.n);
    uint64_t byte = rows.n ? rows.items[0].origin.byte_begin : 0;
    for (size_t i = 0; i < rows.n; i++) {
        check(rows.items[i].origin.byte_begin <= rows.items[i].origin.byte_end);
        /* bytes of a part are those of what was unpacked, or of what a program made of it */
        check(rows.items[i].origin.part.len || rows.items[i].origin.byte_end <= t.bytes);
        if (!s.overlap_chars) check(rows.items[i].origin.byte_begin >= byte);
        byte = rows.items[i].origin.byte_begin;
    }
done:
    weft_arena_clear(&a);
    return 0;
}
