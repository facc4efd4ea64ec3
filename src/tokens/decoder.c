/* tokens/decoder.c - token ids back to text, one at a time
 *
 * The chain of decoder steps is run token by token; what it gives is text or, from byte tokens, bytes.
 * Bytes wait until they are a whole code point (three at most), so that what is emitted is valid UTF-8 at
 * every moment. Decoding at once is decoding one by one: both give the same by construction.
 */
#include "base/lang.h"
#include "tokens/tokenizer_parts.h"

#include <stdlib.h>

enum kind { BYTE_LEVEL, BYTE_FALLBACK, FUSE, STRIP, REPLACE, METASPACE, BPE_SUFFIX };

struct weft_decoder_step {
    enum kind kind;
    struct weft_str from, to; /* Replace; Metaspace: replacement; BPEDecoder: suffix */
    struct weft_str content;  /* Strip: one character */
    size_t start, stop;       /* Strip */
    bool drop_first;          /* Metaspace: those of the first token vanish */
    bool fused;               /* stands behind Fuse: works on the whole text */
};

/* ---- reading ---- */

static enum weft_status read_strip(const struct weft_component *c, struct weft_decoder_step *s,
                                   struct weft_err *err)
{
    enum weft_status st = weft_component_str(c, "content", &s->content, err);
    if (!st) st = weft_component_uint(c, "start", &s->start, err);
    if (!st) st = weft_component_uint(c, "stop", &s->stop, err);
    if (st) return st;
    if (weft_utf8_chars(s->content) != 1) return weft_component_fail(c, "content must be one character", err);
    if (s->fused && s->stop)
        return weft_component_fail(c, "stop must be 0 behind Fuse: the end of a streamed text is not known",
                                   err);
    return WEFT_OK;
}

static enum weft_status read_replace(const struct weft_component *c, struct weft_decoder_step *s,
                                     struct weft_err *err)
{
    struct weft_text_pattern pattern;
    enum weft_status st = weft_component_str(c, "content", &s->to, err);
    if (!st) st = weft_text_pattern_read(c, &pattern, err);
    if (st) return st;
    s->from = pattern.text;
    if (!pattern.text.len) st = weft_component_fail(c, "a decoder's pattern must be a String", err);
    weft_text_pattern_clear(&pattern);
    if (!st && s->fused && weft_utf8_chars(s->from) != 1)
        st = weft_component_fail(
            c, "behind Fuse a pattern must be one character: a longer one may lie across two tokens", err);
    return st;
}

static enum weft_status add_step(void *ctx, const struct weft_component *c, struct weft_err *err)
{
    struct weft_decoder *d = ctx;
    struct weft_decoder_step s = { 0 };
    enum weft_status st = WEFT_OK;
    bool byte_level = false;
    for (size_t i = 0; i < d->n; i++) {
        s.fused |= d->steps[i].kind == FUSE;
        byte_level |= d->steps[i].kind == BYTE_LEVEL;
    }
    d->present = true;
    if (byte_level) return weft_component_fail(c, "nothing may stand behind ByteLevel", err);
    if (weft_str_is(c->type, "ByteLevel")) {
        s.kind = BYTE_LEVEL;
    } else if (weft_str_is(c->type, "ByteFallback")) {
        s.kind = BYTE_FALLBACK;
    } else if (weft_str_is(c->type, "Fuse")) {
        s.kind = FUSE;
    } else if (weft_str_is(c->type, "Strip")) {
        s.kind = STRIP;
        st = read_strip(c, &s, err);
    } else if (weft_str_is(c->type, "Replace")) {
        s.kind = REPLACE;
        st = read_replace(c, &s, err);
    } else if (weft_str_is(c->type, "Metaspace")) {
        bool add_prefix_space;
        s.kind = METASPACE;
        s.to = WEFT_STR(" ");
        st = weft_component_str(c, "replacement", &s.from, err);
        if (!st) st = weft_component_bool(c, "add_prefix_space", true, &add_prefix_space, err);
        if (!st && weft_utf8_chars(s.from) != 1)
            st = weft_component_fail(c, "replacement must be one character", err);
        const struct weft_json_value *scheme = weft_json_get(c->value, "prepend_scheme");
        if (!st)
            s.drop_first = scheme && scheme->kind == WEFT_JSON_STRING ? !weft_str_is(scheme->text, "never")
                                                                      : add_prefix_space;
    } else if (weft_str_is(c->type, "BPEDecoder")) {
        s.kind = BPE_SUFFIX;
        st = weft_component_str(c, "suffix", &s.from, err);
        if (!st && !s.from.len) st = weft_component_fail(c, "suffix must not be empty", err);
    } else {
        st = weft_component_unknown(
            c, "ByteLevel, ByteFallback, Fuse, Strip, Replace, Metaspace, BPEDecoder, Sequence", err);
    }
    if (!st && s.fused
        && (s.kind == BYTE_LEVEL || s.kind == BYTE_FALLBACK || s.kind == METASPACE || s.kind == BPE_SUFFIX))
        st = weft_component_fail(c, "this decoder works on tokens and cannot stand behind Fuse", err);
    if (!st && d->n == d->cap) {
        size_t cap = d->cap ? d->cap * 2 : 8;
        struct weft_decoder_step *grown = realloc(d->steps, cap * sizeof *grown);
        if (!grown) return weft_fail_nomem(err, cap * sizeof *grown, "decoder");
        d->steps = grown;
        d->cap = cap;
    }
    if (!st) d->steps[d->n++] = s;
    return st;
}

enum weft_status weft_decoder_read(struct weft_decoder *d, struct weft_arena *a, const struct weft_json *j,
                                   const struct weft_json_value *v, struct weft_err *err)
{
    enum weft_status st = weft_component_walk(a, j, "decoder", "decoders", v, add_step, d, err);
    if (!st && v && v->kind == WEFT_JSON_OBJECT) d->present = true;
    return st;
}

void weft_decoder_clear(struct weft_decoder *d)
{
    free(d->steps);
    *d = (struct weft_decoder){ 0 };
}

/* ---- bytes that become code points ---- */

/* How many bytes of s [n], a sequence that is cut short at its end at worst, may still become a code
 * point: 0 when the last character is whole or beyond hope. */
static size_t unfinished(const char *s, size_t n)
{
    for (size_t back = 1; back <= 3 && back <= n; back++) {
        const unsigned char *p = (const unsigned char *)s + n - back;
        if ((p[0] & 0xC0) == 0x80) continue; /* a continuation: its lead is further back */
        size_t need = p[0] >= 0xF0 ? 4 : p[0] >= 0xE0 ? 3 : p[0] >= 0xC2 ? 2 : 1;
        if (back >= need || p[0] > 0xF4) return 0;
        uint32_t cp;
        bool ok;
        /* Cut short but good so far: the maximal bad part is all of it. */
        return weft_utf8_decode((const char *)p, back, &cp, &ok) == back && !ok ? back : 0;
    }
    return 0;
}

/* Appends s, which begins with all that was held, but for an unfinished end, which is held. */
static void emit_bytes(struct weft_detok *d, struct weft_str s, struct weft_buf *out)
{
    size_t keep = unfinished(s.s, s.len), end = s.len - keep;
    for (size_t i = 0; i < end;) {
        uint32_t cp;
        size_t good = weft_utf8_check(weft_str_sub(s, i, end));
        weft_buf_add(out, s.s + i, good);
        i += good;
        if (i == end) break;
        i += weft_utf8_decode(s.s + i, end - i, &cp, NULL);
        weft_buf_utf8(out, 0xFFFD);
    }
    memmove(d->held, s.s + end, keep);
    d->n_held = (unsigned)keep;
}

static void add_bytes(struct weft_detok *d, struct weft_str s, struct weft_buf *out)
{
    char joined[64];
    if (!d->n_held) {
        emit_bytes(d, s, out);
        return;
    }
    /* The held bytes and the front of s; what is held after that was all in s, or s was used up. */
    size_t front = weft_min_size(s.len, sizeof joined - d->n_held), held = d->n_held;
    memcpy(joined, d->held, held);
    memcpy(joined + held, s.s, front);
    emit_bytes(d, (struct weft_str){ joined, held + front }, out);
    if (front < s.len) {
        size_t back = d->n_held;
        d->n_held = 0;
        emit_bytes(d, weft_str_skip(s, front - back), out);
    }
}

/* Bytes that nothing will complete any more. */
static void flush_bytes(struct weft_detok *d, struct weft_buf *out)
{
    if (d->n_held) weft_buf_utf8(out, 0xFFFD); /* good so far means one maximal bad part */
    d->n_held = 0;
}

/* ---- the chain ---- */

/* state[0..3]: characters that Strip behind Fuse still looks at, + 1; state[4]: a space waits
 * (BPEDecoder). */
static uint32_t strip_left(const struct weft_detok *d)
{
    uint32_t n;
    memcpy(&n, d->state, sizeof n);
    return n;
}

static void set_strip_left(struct weft_detok *d, uint32_t n) { memcpy(d->state, &n, sizeof n); }

static void replace_all(struct weft_str s, struct weft_str from, struct weft_str to, struct weft_buf *out)
{
    for (size_t at = 0;;) {
        size_t hit = weft_str_find(s, from, at);
        weft_buf_str(out, weft_str_sub(s, at, hit == SIZE_MAX ? s.len : hit));
        if (hit == SIZE_MAX) return;
        weft_buf_str(out, to);
        at = hit + from.len;
    }
}

static struct weft_str strip_start(struct weft_str s, struct weft_str content, size_t n)
{
    for (; n && content.len && weft_str_starts(s, content); n--) s = weft_str_skip(s, content.len);
    return s;
}

/* The whole text's first characters; later ones pass. */
static struct weft_str strip_text_start(struct weft_detok *d, const struct weft_decoder_step *step,
                                        struct weft_str s)
{
    for (uint32_t n; (n = strip_left(d)) > 1 && s.len;) {
        if (!weft_str_starts(s, step->content)) {
            set_strip_left(d, 1); /* the first other character ends it */
            break;
        }
        s = weft_str_skip(s, step->content.len);
        set_strip_left(d, n - 1);
    }
    return s;
}

static bool is_byte_token(struct weft_str s, char *byte)
{
    int value = 0;
    if (s.len != 6 || memcmp(s.s, "<0x", 3) != 0 || s.s[5] != '>') return false;
    for (int i = 3; i < 5; i++) {
        char c = s.s[i];
        int digit = c >= '0' && c <= '9'                 ? c - '0'
                    : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                         : -1;
        if (digit < 0) return false;
        value = value * 16 + digit;
    }
    *byte = (char)value;
    return true;
}

/* Text s of a token from step i on. */
static void run_steps(struct weft_detok *d, size_t i, struct weft_str s, bool first, struct weft_buf *out)
{
    const struct weft_decoder *chain = &d->t->decoder;
    struct weft_buf text[2] = { { 0 }, { 0 } };
    int turn = 0;
    for (; i < chain->n; i++) {
        const struct weft_decoder_step *step = &chain->steps[i];
        struct weft_buf *to = &text[turn];
        switch (step->kind) {
        case FUSE:
        case BYTE_LEVEL: /* the tokens' bytes were looked up before the chain */
        case BYTE_FALLBACK: continue;
        case STRIP:
            if (step->fused) {
                s = strip_text_start(d, step, s);
                continue;
            }
            s = strip_start(s, step->content, step->start);
            for (size_t n = step->stop; n && weft_str_ends(s, step->content); n--) s.len -= step->content.len;
            continue;
        case BPE_SUFFIX:
            if (d->state[4]) weft_buf_char(out, ' ');
            d->state[4] = weft_str_ends(s, step->from);
            if (d->state[4]) s.len -= step->from.len;
            weft_buf_reset(to);
            replace_all(s, step->from, WEFT_STR(" "), to);
            break;
        default:
            weft_buf_reset(to);
            replace_all(
                s, step->from,
                step->kind == METASPACE && step->drop_first && first ? (struct weft_str){ 0 } : step->to, to);
        }
        if (to->failed) out->failed = true;
        s = weft_buf_view(to);
        turn ^= 1;
    }
    weft_buf_str(out, s);
    weft_buf_clear(&text[0]);
    weft_buf_clear(&text[1]);
}

static const struct weft_decoder_step *find_step(const struct weft_decoder *d, enum kind kind, size_t *at)
{
    for (size_t i = 0; i < d->n; i++)
        if (d->steps[i].kind == kind) return *at = i, &d->steps[i];
    return NULL;
}

void weft_detok_init(struct weft_detok *d, const struct weft_tokenizer *t, bool skip_special)
{
    *d = (struct weft_detok){ .t = t, .skip_special = skip_special };
    for (size_t i = 0; i < t->decoder.n; i++)
        if (t->decoder.steps[i].kind == STRIP && t->decoder.steps[i].fused) {
            set_strip_left(d, (uint32_t)weft_min_size(t->decoder.steps[i].start, UINT32_MAX - 1) + 1);
            break; /* a second one would need a count of its own */
        }
}

/* Code points completed from byte tokens go through the steps behind ByteFallback. */
static void after_fallback(struct weft_detok *d, size_t step, struct weft_buf *bytes, bool first,
                           struct weft_buf *out)
{
    if (bytes->failed) out->failed = true;
    if (bytes->len) run_steps(d, step + 1, weft_buf_view(bytes), first, out);
    weft_buf_clear(bytes);
}

/* The bytes of a token of a byte-level vocabulary: the chain, whose last step ByteLevel is, and the map back. */
static void byte_level_raw(struct weft_detok *d, struct weft_str s, bool first, struct weft_buf *raw)
{
    struct weft_buf text = { 0 };
    size_t from = raw->len;
    run_steps(d, 0, s, first, &text); /* steps before ByteLevel are rare */
    if (text.len && !weft_byte_level_unmap(&d->t->bytes, weft_buf_view(&text), raw)) {
        raw->len = from;
        weft_buf_str(raw, weft_buf_view(&text));
    }
    if (text.failed) raw->failed = true;
    weft_buf_clear(&text);
}

bool weft_token_bytes(const struct weft_tokenizer *t, int32_t id, struct weft_buf *out)
{
    struct weft_detok d;
    struct weft_str s = weft_tokenizer_content(t, id);
    size_t at = 0;
    char byte;
    if (!s.s || weft_tokenizer_is_special(t, id) || find_step(&t->decoder, BPE_SUFFIX, &at)) return false;
    weft_detok_init(&d, t, true);
    d.started = true;
    set_strip_left(&d, 1);
    if (!t->decoder.present) weft_buf_char(out, ' ');
    if (find_step(&t->decoder, BYTE_LEVEL, &at)) byte_level_raw(&d, s, false, out);
    else if (find_step(&t->decoder, BYTE_FALLBACK, &at) && is_byte_token(s, &byte)) weft_buf_char(out, byte);
    else run_steps(&d, 0, s, false, out);
    return true;
}

void weft_detok_push(struct weft_detok *d, int32_t id, struct weft_buf *out)
{
    const struct weft_tokenizer *t = d->t;
    struct weft_str s = weft_tokenizer_content(t, id);
    size_t at = 0;
    if (!s.s || (d->skip_special && weft_tokenizer_is_special(t, id))) return;
    bool first = !d->started;
    d->started = true;
    if (!t->decoder.present) {
        if (!first) weft_buf_char(out, ' ');
        weft_buf_str(out, s);
        return;
    }
    if (t->decoder.n == 1 && t->decoder.steps[0].kind == BYTE_LEVEL
        && s.len <= 128) { /* nearly every token of nearly every model */
        char raw[128];
        size_t n = weft_byte_level_bytes(&t->bytes, s, raw);
        if (n || s.len) add_bytes(d, n ? (struct weft_str){ raw, n } : s, out);
        return;
    }
    if (find_step(&t->decoder, BYTE_LEVEL, &at)) {
        struct weft_buf raw = { 0 };
        byte_level_raw(d, s, first, &raw);
        if (raw.len) add_bytes(d, weft_buf_view(&raw), out);
        if (raw.failed) out->failed = true;
        weft_buf_clear(&raw);
        return;
    }
    if (find_step(&t->decoder, BYTE_FALLBACK, &at)) {
        struct weft_buf bytes = { 0 };
        char byte;
        if (is_byte_token(s, &byte)) {
            add_bytes(d, (struct weft_str){ &byte, 1 }, &bytes);
            after_fallback(d, at, &bytes, first, out);
            return;
        }
        flush_bytes(d, &bytes);
        after_fallback(d, at, &bytes, first, out);
    }
    run_steps(d, 0, s, first, out);
}

void weft_detok_finish(struct weft_detok *d, struct weft_buf *out)
{
    struct weft_buf bytes = { 0 };
    size_t at = 0;
    flush_bytes(d, &bytes);
    if (find_step(&d->t->decoder, BYTE_FALLBACK, &at)) after_fallback(d, at, &bytes, false, out);
    else weft_buf_str(out, weft_buf_view(&bytes));
    if (bytes.failed) out->failed = true;
    weft_buf_clear(&bytes);
}

enum weft_status weft_decode(const struct weft_tokenizer *t, const int32_t *ids, size_t n, bool skip_special,
                             struct weft_buf *out, struct weft_err *err)
{
    struct weft_detok d;
    weft_detok_init(&d, t, skip_special);
    for (size_t i = 0; i < n; i++) weft_detok_push(&d, ids[i], out);
    weft_detok_finish(&d, out);
    return weft_buf_check(out, "decoded text", err);
}
