/* tokens/encode.c - the encoding pipeline
 *
 *   text -> valid UTF-8 -> cut at added tokens -> normalizer -> cut at normalized added tokens -> words -> BPE
 *
 * Views point into the input as long as nothing changes it, which for byte-level tokenizers is all the
 * way.
 */
#include "tokens/tokenizer_parts.h"

#include <stdlib.h>

struct weft_encoder {
    const struct weft_tokenizer *t;
    struct weft_scratch scratch;
    struct weft_bpe_scratch bpe;
};

enum weft_status weft_encoder_new(struct weft_encoder **out, const struct weft_tokenizer *t,
                                  struct weft_err *err)
{
    struct weft_encoder *e = calloc(1, sizeof *e);
    if (!e) return weft_fail_nomem(err, sizeof *e, "encoder");
    e->t = t;
    *out = e;
    return WEFT_OK;
}

void weft_encoder_free(struct weft_encoder *e)
{
    if (!e) return;
    weft_mapped_clear(&e->scratch.valid);
    for (size_t i = 0; i < WEFT_COUNT(e->scratch.copy); i++) weft_mapped_clear(&e->scratch.copy[i]);
    weft_buf_clear(&e->scratch.text);
    weft_regex_scratch_clear(&e->scratch.regex);
    free(e->scratch.spans[0]);
    free(e->scratch.spans[1]);
    weft_bpe_scratch_clear(&e->bpe);
    free(e);
}

static enum weft_status add_id(struct weft_ids *out, int32_t id, bool offsets, size_t begin,
                               struct weft_err *err)
{
    enum weft_status st = weft_ids_reserve(out, 1, offsets, err);
    if (st) return st;
    if (offsets) out->begin[out->n] = (uint32_t)begin;
    out->ids[out->n++] = id;
    return WEFT_OK;
}

/* One word of v: from `begin` to `end`. */
static enum weft_status encode_word(struct weft_encoder *e, struct weft_view v, size_t begin, size_t end,
                                    bool offsets, struct weft_ids *out, struct weft_err *err)
{
    size_t before = out->n;
    enum weft_status st =
        weft_bpe_encode(&e->t->bpe, &e->bpe, weft_str_sub(v.text, begin, end), v.text.len - begin, offsets,
                        v.origin ? (uint32_t)begin : v.base + (uint32_t)begin, out, err);
    for (size_t i = before; !st && offsets && v.origin && i < out->n; i++)
        out->begin[i] = v.origin[out->begin[i]];
    return st;
}

/* Normalized text without added tokens. */
static enum weft_status encode_words(struct weft_encoder *e, struct weft_view v, bool offsets,
                                     struct weft_ids *out, struct weft_err *err)
{
    const struct weft_pretokenizer *p = &e->t->pretokenizer;
    enum weft_status st = WEFT_OK;
    if (!v.text.len) return WEFT_OK;
    if (p->tiles) {
        for (size_t at = 0, end; at < v.text.len && !st; at = end) {
            end = p->tiles->next(e->t->unicode, (const unsigned char *)v.text.s, v.text.len, at);
            st = encode_word(e, v, at, end, offsets, out, err);
        }
        return st;
    }
    struct weft_span *words;
    size_t n;
    st = weft_pretokenizer_apply(p, e->t->unicode, &e->scratch, offsets || p->needs_origins, &v, &words, &n,
                                 err);
    for (size_t i = 0; i < n && !st; i++)
        st = encode_word(e, v, words[i].begin, words[i].end, offsets, out, err);
    return st;
}

/* A part of the text without added tokens that are matched before normalization. */
static enum weft_status encode_piece(struct weft_encoder *e, struct weft_view v, unsigned flags,
                                     struct weft_ids *out, struct weft_err *err)
{
    const struct weft_tokenizer *t = e->t;
    bool offsets = flags & WEFT_ENCODE_OFFSETS, plain = !(flags & WEFT_ENCODE_SPECIALS);
    struct weft_found found;
    size_t at = 0;
    enum weft_status st = WEFT_OK;
    if (!v.text.len) return WEFT_OK;
    st = weft_normalizer_apply(&t->normalizer, t->unicode, &e->scratch,
                               offsets || t->pretokenizer.needs_origins, &v, err);
    while (!st && weft_finder_next(&t->normal_finder, t->unicode, v.text, at, plain, &found)) {
        st = encode_words(e, weft_view_sub(v, at, found.begin), offsets, out, err);
        if (!st) st = add_id(out, t->added[found.token].id, offsets, weft_view_origin(v, found.begin), err);
        at = found.end;
    }
    return st ? st : encode_words(e, weft_view_sub(v, at, v.text.len), offsets, out, err);
}

/* The text with U+FFFD for each maximal bad part. */
static enum weft_status make_valid(struct weft_mapped *valid, bool offsets, struct weft_view *v,
                                   struct weft_err *err)
{
    weft_mapped_reset(valid, offsets);
    for (size_t i = 0; i < v->text.len;) {
        uint32_t cp;
        size_t good = weft_utf8_check(weft_str_skip(v->text, i));
        weft_mapped_copy(valid, *v, i, i + good);
        i += good;
        if (i == v->text.len) break;
        size_t bad = weft_utf8_decode(v->text.s + i, v->text.len - i, &cp, NULL);
        weft_mapped_add(valid, WEFT_STR("\xEF\xBF\xBD"), weft_view_origin(*v, i));
        i += bad;
    }
    *v = weft_mapped_view(valid);
    return weft_buf_check(&valid->text, "text", err);
}

enum weft_status weft_encode(struct weft_encoder *e, struct weft_str text, unsigned flags,
                             struct weft_ids *out, struct weft_err *err)
{
    const struct weft_tokenizer *t = e->t;
    bool offsets = flags & WEFT_ENCODE_OFFSETS, plain = !(flags & WEFT_ENCODE_SPECIALS);
    struct weft_view v = { text, NULL, 0 };
    struct weft_found found;
    size_t before = out->n, at = 0;
    enum weft_status st = WEFT_OK;

    if (text.len
        > INT32_MAX / 4) /* the longest form, U+FFFD or a mapped character for each byte, must fit too */
        return weft_fail(err, WEFT_ELIMIT,
                         "a text of %zu bytes is too long to encode at once; at most %d bytes are", text.len,
                         INT32_MAX / 4);
    for (size_t i = 0; !st && (flags & WEFT_ENCODE_ADD) && i < t->before.n; i++)
        st = add_id(out, t->before.ids[i], offsets, 0, err);
    if (!st && weft_utf8_check(text) < text.len)
        st = make_valid(&e->scratch.valid, offsets || t->pretokenizer.needs_origins, &v, err);
    while (!st && weft_finder_next(&t->raw_finder, t->unicode, v.text, at, plain, &found)) {
        st = encode_piece(e, weft_view_sub(v, at, found.begin), flags, out, err);
        if (!st) st = add_id(out, t->added[found.token].id, offsets, weft_view_origin(v, found.begin), err);
        at = found.end;
    }
    if (!st) st = encode_piece(e, weft_view_sub(v, at, v.text.len), flags, out, err);
    for (size_t i = 0; !st && (flags & WEFT_ENCODE_ADD) && i < t->after.n; i++)
        st = add_id(out, t->after.ids[i], offsets, text.len, err);
    if (st) out->n = before;
    return st;
}
