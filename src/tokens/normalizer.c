/* tokens/normalizer.c - what is done to text before it is cut into words
 *
 * A list of steps; each looks first whether it would change anything and copies only then.  A changed copy
 * knows for each byte where it came from, when the caller asked for offsets.
 */
#include "tokens/tokenizer_parts.h"

#include <stdlib.h>
#include <utf8proc.h>

enum kind {
    UNICODE_FORM,
    PREPEND,
    REPLACE,
    LOWERCASE,
    STRIP,
    STRIP_MARKS,
    BERT_CLEAN,
    BERT_CHINESE,
    MAP_BYTES
};

struct weft_normalizer_step {
    enum kind kind;
    enum weft_normal_form form;
    struct weft_str text;             /* Prepend, Replace: content */
    struct weft_text_pattern pattern; /* Replace */
    bool left, right;                 /* Strip */
    bool nonspacing_only;             /* STRIP_MARKS: Mn, not all of M */
};

/* ---- reading ---- */

static enum weft_status add(struct weft_normalizer *n, struct weft_normalizer_step s, struct weft_err *err)
{
    if (n->n == n->cap) {
        size_t cap = n->cap ? n->cap * 2 : 8;
        struct weft_normalizer_step *grown = realloc(n->steps, cap * sizeof *grown);
        if (!grown) return weft_fail_nomem(err, cap * sizeof *grown, "normalizer");
        n->steps = grown;
        n->cap = cap;
    }
    n->steps[n->n++] = s;
    return WEFT_OK;
}

static enum weft_status add_bert(struct weft_normalizer *n, const struct weft_component *c,
                                 struct weft_err *err)
{
    bool clean, chinese, lowercase, strip;
    enum weft_status st = weft_component_bool(c, "clean_text", true, &clean, err);
    if (!st) st = weft_component_bool(c, "handle_chinese_chars", true, &chinese, err);
    if (!st) st = weft_component_bool(c, "lowercase", true, &lowercase, err);
    if (!st) st = weft_component_bool(c, "strip_accents", lowercase, &strip, err);
    if (!st && clean) st = add(n, (struct weft_normalizer_step){ .kind = BERT_CLEAN }, err);
    if (!st && chinese) st = add(n, (struct weft_normalizer_step){ .kind = BERT_CHINESE }, err);
    if (!st && strip)
        st = add(n, (struct weft_normalizer_step){ .kind = UNICODE_FORM, .form = WEFT_NFD }, err);
    if (!st && strip)
        st = add(n, (struct weft_normalizer_step){ .kind = STRIP_MARKS, .nonspacing_only = true }, err);
    if (!st && lowercase) st = add(n, (struct weft_normalizer_step){ .kind = LOWERCASE }, err);
    return st;
}

static enum weft_status add_step(void *ctx, const struct weft_component *c, struct weft_err *err)
{
    static const char *const forms[] = { "NFC", "NFD", "NFKC", "NFKD" };
    struct weft_normalizer *n = ctx;
    struct weft_normalizer_step s = { 0 };
    enum weft_status st = WEFT_OK;
    for (size_t i = 0; i < WEFT_COUNT(forms); i++)
        if (weft_str_is(c->type, forms[i])) {
            s.kind = UNICODE_FORM;
            s.form = (enum weft_normal_form)i;
            return add(n, s, err);
        }
    if (weft_str_is(c->type, "BertNormalizer")) return add_bert(n, c, err);
    if (weft_str_is(c->type, "Prepend")) {
        s.kind = PREPEND;
        st = weft_component_str(c, "prepend", &s.text, err);
    } else if (weft_str_is(c->type, "Replace")) {
        s.kind = REPLACE;
        st = weft_component_str(c, "content", &s.text, err);
        if (!st) st = weft_text_pattern_read(c, &s.pattern, err);
    } else if (weft_str_is(c->type, "Lowercase")) {
        s.kind = LOWERCASE;
    } else if (weft_str_is(c->type, "Strip")) {
        s.kind = STRIP;
        st = weft_component_bool(c, "strip_left", true, &s.left, err);
        if (!st) st = weft_component_bool(c, "strip_right", true, &s.right, err);
    } else if (weft_str_is(c->type, "StripAccents")) {
        s.kind = STRIP_MARKS;
    } else if (weft_str_is(c->type, "ByteLevel")) {
        s.kind = MAP_BYTES;
    } else if (weft_str_is(c->type, "Precompiled")) {
        st = weft_component_fail(c, "Precompiled belongs to Unigram models, which weft does not have yet",
                                 err);
    } else {
        st = weft_component_unknown(
            c,
            "NFC, NFD, NFKC, NFKD, Prepend, Replace, Lowercase, Strip, StripAccents, BertNormalizer, ByteLevel, Sequence",
            err);
    }
    if (!st) st = add(n, s, err);
    if (st) weft_text_pattern_clear(&s.pattern);
    return st;
}

enum weft_status weft_normalizer_read(struct weft_normalizer *n, struct weft_arena *a,
                                      const struct weft_json *j, const struct weft_json_value *v,
                                      struct weft_err *err)
{
    return weft_component_walk(a, j, "normalizer", "normalizers", v, add_step, n, err);
}

void weft_normalizer_clear(struct weft_normalizer *n)
{
    for (size_t i = 0; i < n->n; i++) weft_text_pattern_clear(&n->steps[i].pattern);
    free(n->steps);
    *n = (struct weft_normalizer){ 0 };
}

/* ---- applying ---- */

static bool is_chinese(uint32_t c)
{
    return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x2A6DF)
           || (c >= 0x2A700 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) || (c >= 0xF900 && c <= 0xFAFF)
           || (c >= 0x2F800 && c <= 0x2FA1F);
}

/* The reference's tables of marks are older than ours, and its two steps have different ones: what became a mark since
 * stays.  Between the ranges' ends lies nothing that it strips. */
struct range {
    uint32_t first, last;
};
static const struct range no_mark_yet[] = {
    { 0x7FD, 0x7FD }, { 0x897, 0x8D3 }, { 0x9FE, 0x9FE }, { 0xAFA, 0xAFF }, { 0xB55, 0xB55 }, { 0xC04, 0xC3C },
    { 0xCF3, 0xD00 }, { 0xD3B, 0xD3C }, { 0xD81, 0xD81 }, { 0xEBA, 0xEBA }, { 0xECE, 0xECE },
    { 0x1715, 0x1715 }, { 0x180F, 0x180F }, { 0x1ABF, 0x1ACE }, { 0x1CF7, 0x1CF7 }, { 0x1DF6, 0x1DFA },
    { 0xA82C, 0xA82C }, { 0xA8FF, 0xA8FF }, { 0x10D24, 0x10F85 }, { 0x11070, 0x11074 }, { 0x110C2, 0x110C2 },
    { 0x11145, 0x11146 }, { 0x111C9, 0x111C9 }, { 0x111CE, 0x111CF }, { 0x11241, 0x11241 },
    { 0x1133B, 0x1133B }, { 0x113B8, 0x113E2 }, { 0x1145E, 0x1145E }, { 0x1182C, 0x11A99 },
    { 0x11D31, 0x1612F }, { 0x16F4F, 0x16F4F }, { 0x16F7F, 0x16F87 }, { 0x16FE4, 0x16FF1 },
    { 0x1CF00, 0x1CF46 }, { 0x1E08F, 0x1E5EF }
};
static const struct range no_mark_of_bert_yet[] = {
    { 0x7FD, 0x7FD }, { 0x898, 0x8E1 }, { 0x9FE, 0x9FE }, { 0xAFA, 0xAFF }, { 0xB55, 0xB55 }, { 0xC04, 0xC3C },
    { 0xD00, 0xD00 }, { 0xD3B, 0xD3C }, { 0xD81, 0xD81 }, { 0xEBA, 0xEBA }, { 0xECE, 0xECE },
    { 0x180F, 0x1886 }, { 0x1ABF, 0x1ACE }, { 0x1DF6, 0x1DFB }, { 0xA82C, 0xA82C }, { 0xA8C5, 0xA8C5 },
    { 0xA8FF, 0xA8FF }, { 0xA9BD, 0xA9BD }, { 0x10D24, 0x10F85 }, { 0x11070, 0x11074 }, { 0x110C2, 0x110C2 },
    { 0x111C9, 0x111C9 }, { 0x111CF, 0x111CF }, { 0x1123E, 0x11241 }, { 0x1133B, 0x1133B },
    { 0x11438, 0x1145E }, { 0x1182F, 0x13455 }, { 0x16F4F, 0x16F4F }, { 0x16FE4, 0x16FE4 },
    { 0x1CF00, 0x1CF46 }, { 0x1E000, 0x1E4EF }, { 0x1E944, 0x1E94A }
};

static bool is_within(const struct range *r, size_t n, uint32_t cp)
{
    while (n && cp > r->last) r++, n--;
    return n && cp >= r->first;
}

static bool is_stripped(bool nonspacing_only, unsigned cls, uint32_t cp)
{
    if (cp < 0x300) return false;
    if (!nonspacing_only)
        return cp == 0x1CF2 || cp == 0x1CF3     /* marks then, letters now */
               || (cls & WEFT_UNI_MARK && !is_within(no_mark_yet, WEFT_COUNT(no_mark_yet), cp));
    return cp == 0x1734                         /* takes room since */
           || (cls & WEFT_UNI_MARK && utf8proc_category((utf8proc_int32_t)cp) == UTF8PROC_CATEGORY_MN
               && !is_within(no_mark_of_bert_yet, WEFT_COUNT(no_mark_of_bert_yet), cp));
}

/* What a step makes of one character: its replacement in out [8 bytes], or the character itself. */
static struct weft_str of_character(const struct weft_normalizer_step *s, unsigned cls, uint32_t cp,
                                    struct weft_str itself, char out[16])
{
    utf8proc_category_t category;
    size_t n = 0;
    switch (s->kind) {
    case LOWERCASE:
        if (cp < 0x80) {
            if (cp < 'A' || cp > 'Z') return itself;
            out[0] = (char)(cp | 32);
            return (struct weft_str){ out, 1 };
        }
        if (cp == 0x130) return WEFT_STR("i\xCC\x87"); /* the one letter whose small form is two characters */
        n = weft_utf8_encode((uint32_t)utf8proc_tolower((utf8proc_int32_t)cp), out);
        return (struct weft_str){ out, n };
    case STRIP_MARKS:
        return is_stripped(s->nonspacing_only, cls, cp) ? (struct weft_str){ 0 } : itself;
    case BERT_CLEAN:
        if (cls & WEFT_UNI_SPACE || cp == '\t' || cp == '\n' || cp == '\r') return WEFT_STR(" ");
        category = utf8proc_category((utf8proc_int32_t)cp);
        if (!cp || cp == 0xFFFD || category == UTF8PROC_CATEGORY_CC || category == UTF8PROC_CATEGORY_CF
            || category == UTF8PROC_CATEGORY_CO || (category == UTF8PROC_CATEGORY_CN && !cls))
            return (struct weft_str){ 0 };
        return itself;
    case BERT_CHINESE:
        if (!is_chinese(cp)) return itself;
        out[n++] = ' ';
        n += weft_utf8_encode(cp, out + n);
        out[n++] = ' ';
        return (struct weft_str){ out, n };
    default: return itself;
    }
}

static void by_character(const struct weft_normalizer_step *s, const struct weft_unicode *u,
                         struct weft_view v, struct weft_mapped *out)
{
    for (size_t i = 0, n; i < v.text.len; i += n) {
        char text[16];
        uint32_t cp = weft_unicode_next((const unsigned char *)v.text.s + i, &n);
        weft_mapped_add(out,
                        of_character(s, weft_unicode_class(u, cp), cp, weft_str_sub(v.text, i, i + n), text),
                        weft_view_origin(v, i));
    }
}

/* NFC leaves most text alone; what it changes is done stretch by stretch, so that origins stay close. */
static enum weft_status unicode_form(const struct weft_normalizer_step *s, const struct weft_unicode *u,
                                     struct weft_scratch *scratch, struct weft_view v,
                                     struct weft_mapped *out, struct weft_err *err)
{
    for (size_t i = 0; i < v.text.len;) {
        if (s->form == WEFT_NFC) {
            size_t same = weft_unicode_nfc_prefix(u, weft_str_skip(v.text, i));
            weft_mapped_copy(out, v, i, i + same);
            i += same;
            if (i == v.text.len) break;
        }
        size_t end = weft_unicode_stretch(u, s->form, v.text, i);
        weft_buf_reset(&scratch->text);
        enum weft_status st =
            weft_unicode_normalize(u, s->form, weft_str_sub(v.text, i, end), &scratch->text, err);
        if (st) return st;
        weft_mapped_add(out, weft_buf_view(&scratch->text), weft_view_origin(v, i));
        i = end;
    }
    return WEFT_OK;
}

static enum weft_status replace(const struct weft_normalizer_step *s, const struct weft_unicode *u,
                                struct weft_scratch *scratch, struct weft_view v, struct weft_mapped *out,
                                struct weft_err *err)
{
    struct weft_regex_walk walk = { 0, SIZE_MAX };
    size_t at = 0, begin, end;
    for (;;) {
        bool found;
        enum weft_status st =
            weft_text_pattern_next(&s->pattern, u, &scratch->regex, v.text, &walk, &found, &begin, &end, err);
        if (st) return st;
        if (!found) break;
        weft_mapped_copy(out, v, at, begin);
        uint32_t origin = v.text.len ? weft_view_origin(v, weft_min_size(begin, v.text.len - 1)) : v.base;
        weft_mapped_add(out, s->text, origin);
        at = end;
    }
    weft_mapped_copy(out, v, at, v.text.len);
    return WEFT_OK;
}

static struct weft_view strip(const struct weft_normalizer_step *s, const struct weft_unicode *u,
                              struct weft_view v)
{
    const unsigned char *p = (const unsigned char *)v.text.s;
    size_t from = 0, to = v.text.len, n;
    while (s->left && from < to && weft_unicode_class(u, weft_unicode_next(p + from, &n)) & WEFT_UNI_SPACE)
        from += n;
    while (s->right && to > from) {
        size_t last = to - 1;
        while (last > from && (p[last] & 0xC0) == 0x80) last--;
        if (!(weft_unicode_class(u, weft_unicode_next(p + last, &n)) & WEFT_UNI_SPACE)) break;
        to = last;
    }
    return weft_view_sub(v, from, to);
}

static void map_bytes(struct weft_view v, struct weft_mapped *out)
{
    struct weft_byte_level map;
    weft_byte_level_init(&map);
    for (size_t i = 0; i < v.text.len; i++) {
        char c[4];
        size_t n = weft_utf8_encode(map.of_byte[(unsigned char)v.text.s[i]], c);
        weft_mapped_add(out, (struct weft_str){ c, n }, weft_view_origin(v, i));
    }
}

enum weft_status weft_normalizer_apply(const struct weft_normalizer *n, const struct weft_unicode *u,
                                       struct weft_scratch *s, bool origins, struct weft_view *v,
                                       struct weft_err *err)
{
    int copy = 0;
    for (size_t i = 0; i < n->n && v->text.len; i++) {
        const struct weft_normalizer_step *step = &n->steps[i];
        struct weft_mapped *to = &s->copy[copy];
        enum weft_status st = WEFT_OK;
        if (step->kind == UNICODE_FORM && step->form == WEFT_NFC
            && weft_unicode_nfc_prefix(u, v->text) == v->text.len)
            continue;
        if (step->kind == STRIP) {
            *v = strip(step, u, *v);
            continue;
        }
        weft_mapped_reset(to, origins);
        switch (step->kind) {
        case UNICODE_FORM: st = unicode_form(step, u, s, *v, to, err); break;
        case PREPEND:
            weft_mapped_add(to, step->text, weft_view_origin(*v, 0));
            weft_mapped_copy(to, *v, 0, v->text.len);
            break;
        case REPLACE: st = replace(step, u, s, *v, to, err); break;
        case MAP_BYTES: map_bytes(*v, to); break;
        default: by_character(step, u, *v, to); break;
        }
        if (!st) st = weft_buf_check(&to->text, "normalized text", err);
        if (st) return st;
        *v = weft_mapped_view(to);
        copy ^= 1;
    }
    return WEFT_OK;
}
