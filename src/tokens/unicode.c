/* tokens/unicode.c - normalization that stays linear
 *
 * libutf8proc decomposes single code points and composes a decomposed sequence; sorting the marks between
 * is done here, because its own insertion sort is quadratic in the length of a run of marks, and that
 * length is the input's.
 */
#include "tokens/unicode.h"

#include <stdlib.h>
#include <utf8proc.h>

size_t weft_unicode_nfc_prefix(const struct weft_unicode *u, struct weft_str s)
{
    const unsigned char *p = (const unsigned char *)s.s;
    size_t border = 0; /* start of the last character that begins anew whatever follows */
    for (size_t i = 0, n; i < s.len; i += n) {
        if (p[i] < 0x80) { /* whole runs of ASCII */
            while (i + 1 < s.len && p[i + 1] < 0x80) i++;
            border = i;
            n = 1;
            continue;
        }
        if (weft_unicode_class(u, weft_unicode_next(p + i, &n)) & WEFT_UNI_COMPOSES) return border;
        border = i;
    }
    return s.len;
}

struct points {
    utf8proc_int32_t *cp;
    size_t n, cap;
};

static bool push(struct points *a, utf8proc_int32_t cp)
{
    if (a->n == a->cap) {
        size_t cap = a->cap ? a->cap * 2 : 256;
        utf8proc_int32_t *grown = realloc(a->cp, cap * sizeof *grown);
        if (!grown) return false;
        a->cp = grown;
        a->cap = cap;
    }
    a->cp[a->n++] = cp;
    return true;
}

static int combining_class(utf8proc_int32_t cp) { return utf8proc_get_property(cp)->combining_class; }

/* Canonical order: each run of marks sorted by combining class, equal classes staying in order.  Counting
 * sort: there are at most 255 classes. */
static bool order_marks(struct points *a, struct points *scratch)
{
    for (size_t i = 0; i < a->n;) {
        if (!combining_class(a->cp[i])) {
            i++;
            continue;
        }
        size_t end = i, count[257] = { 0 };
        bool sorted = true;
        for (int before = 0; end < a->n; end++) {
            int c = combining_class(a->cp[end]);
            if (!c) break;
            sorted &= c >= before;
            before = c;
            count[c + 1]++;
        }
        if (!sorted) {
            scratch->n = 0;
            for (size_t k = i; k < end; k++)
                if (!push(scratch, a->cp[k])) return false;
            for (int c = 1; c < 257; c++) count[c] += count[c - 1];
            for (size_t k = 0; k < scratch->n; k++)
                a->cp[i + count[combining_class(scratch->cp[k])]++] = scratch->cp[k];
        }
        i = end;
    }
    return true;
}

/* Decomposes one character; how many code points it makes. */
static size_t decompose(enum weft_normal_form form, uint32_t cp, utf8proc_int32_t part[32])
{
    bool compat = form == WEFT_NFKC || form == WEFT_NFKD;
    utf8proc_option_t how = (utf8proc_option_t)(UTF8PROC_DECOMPOSE | (compat ? UTF8PROC_COMPAT : 0));
    int boundclass = 0;
    utf8proc_ssize_t n =
        cp < 0xA0 ? 0 : utf8proc_decompose_char((utf8proc_int32_t)cp, part, 32, how, &boundclass);
    if (n >= 1 && n <= 32) return (size_t)n;
    part[0] = (utf8proc_int32_t)cp;
    return 1;
}

size_t weft_unicode_stretch(const struct weft_unicode *u, enum weft_normal_form form, struct weft_str s,
                            size_t from)
{
    const unsigned char *p = (const unsigned char *)s.s;
    size_t n;
    weft_unicode_next(p + from, &n);
    for (size_t at = from + n; at < s.len; at += n) {
        utf8proc_int32_t part[32];
        uint32_t cp = weft_unicode_next(p + at, &n);
        if (cp < 0x300) return at;
        /* What counts is the first part of what it is taken apart into: U+F900 stands for one plain
         * letter; U+FF9E is no mark, but the U+3099 that NFKC makes of it is. */
        decompose(form, cp, part);
        if (!(weft_unicode_class(u, (uint32_t)part[0]) & WEFT_UNI_COMPOSES)) return at;
    }
    return s.len;
}

/* One stretch of text that begins and ends at borders. */
static bool normalize_stretch(enum weft_normal_form form, struct weft_str s, struct points *a,
                              struct points *scratch, struct weft_buf *out)
{
    const unsigned char *p = (const unsigned char *)s.s;
    a->n = 0;
    for (size_t i = 0, n; i < s.len; i += n) {
        utf8proc_int32_t part[32];
        size_t k = decompose(form, weft_unicode_next(p + i, &n), part);
        for (size_t j = 0; j < k; j++)
            if (!push(a, part[j])) return false;
    }
    if (!order_marks(a, scratch)) return false;
    if (form == WEFT_NFC || form == WEFT_NFKC) {
        utf8proc_ssize_t k =
            utf8proc_normalize_utf32(a->cp, (utf8proc_ssize_t)a->n, UTF8PROC_COMPOSE | UTF8PROC_STABLE);
        if (k >= 0) a->n = (size_t)k;
    }
    for (size_t i = 0; i < a->n; i++) weft_buf_utf8(out, (uint32_t)a->cp[i]);
    return true;
}

enum weft_status weft_unicode_normalize(const struct weft_unicode *u, enum weft_normal_form form,
                                        struct weft_str s, struct weft_buf *out, struct weft_err *err)
{
    struct points a = { 0 }, scratch = { 0 };
    enum weft_status st = WEFT_OK;

    for (size_t i = 0; i < s.len;) {
        if (form == WEFT_NFC) {
            size_t same = weft_unicode_nfc_prefix(u, weft_str_skip(s, i));
            weft_buf_add(out, s.s + i, same);
            i += same;
        }
        if (i == s.len) break;
        size_t end = weft_unicode_stretch(u, form, s, i);
        if (!normalize_stretch(form, weft_str_sub(s, i, end), &a, &scratch, out)) {
            st = weft_fail_nomem(err, a.cap * 2 * sizeof a.cp[0], "normalization");
            goto done;
        }
        i = end;
    }
    st = weft_buf_check(out, "normalized text", err);
done:
    free(a.cp);
    free(scratch.cp);
    return st;
}
