/* Which charset, and decoding by lines.
 *
 * The file is cut into lines in its own bytes and each line is decoded by itself: that gives every line its place in
 * the original for any charset, and works because no byte of a multi-byte character of UTF-8, GB18030 or Big5 is CR
 * or LF (trail bytes are 0x30-0x39 and from 0x40 up).
 *
 * Order of trust (rule TX1): byte order mark, strict UTF-8, slightly damaged UTF-8, then GB18030 and Big5.  Those two
 * accept much of each other's text; what tells them apart is how often the commonest characters and punctuation
 * come up.  (A detection library would do the same with a table of its own, for 200 KB more and C++.)
 * The tables of GB18030 and Big5 are the C library's, through iconv. */
#include "text/charset.h"

#include "base/lang.h"

#include <errno.h>
#include <iconv.h>
#include <inttypes.h>
#include <stdlib.h>

/* TX2: this many whole multi-byte characters for each damaged byte, or it is not UTF-8. */
enum { VALID_PER_BAD = 50 };
/* TX4: one NUL in so many bytes is dropped; more means that this is no text. */
enum { BYTES_PER_NUL = 1000 };
/* Of Chinese prose three in ten characters above ASCII are common ones (the least of 60 characters of real books:
 * 31 %); of Japanese and Korean read as if they were Chinese at most 15 in 100.  Fewer characters say nothing. */
static const double least_common = 0.2;
enum { ENOUGH_CHARACTERS = 40 };

/* ---- a line of bytes ---- */

/* Length of the line beginning at `at` and of its line end (0 at the end of the file).  One pass for both ends: two
 * searches would look through the whole rest for an LF that a file of CRs never has. */
static size_t line_length(struct weft_str b, size_t at, size_t *end_len)
{
    size_t i = at;
    while (i < b.len && b.s[i] != '\n' && b.s[i] != '\r') i++;
    if (i == b.len) *end_len = 0;
    else *end_len = b.s[i] == '\r' && i + 1 < b.len && b.s[i + 1] == '\n' ? 2 : 1;
    return i - at;
}

/* The same for UTF-16 code units. */
static uint32_t unit_at(struct weft_str b, size_t at, bool big)
{
    unsigned char x = (unsigned char)b.s[at], y = (unsigned char)b.s[at + 1];
    return big ? (uint32_t)x << 8 | y : (uint32_t)y << 8 | x;
}

static size_t line_length16(struct weft_str b, size_t at, bool big, size_t *end_len)
{
    size_t i = at;
    for (; i + 1 < b.len; i += 2) {
        uint32_t u = unit_at(b, i, big);
        if (u != '\n' && u != '\r') continue;
        *end_len = u == '\r' && i + 3 < b.len && unit_at(b, i + 2, big) == '\n' ? 4 : 2;
        return i - at;
    }
    *end_len = 0;
    return b.len - at;
}

/* ---- decoding one line into a buffer ---- */

struct decoder {
    enum weft_charset charset;
    iconv_t cd;                     /* GB18030 and Big5 */
    struct weft_text *t;            /* counts and places */
    struct weft_buf *out;
    size_t stop_at;                 /* strict: the first byte that is not in the charset, else SIZE_MAX */
    bool strict;
};

static void note_place(struct weft_text *t, uint64_t line, uint64_t byte)
{
    if (t->n_places < WEFT_TEXT_PLACES) t->places[t->n_places++] = (struct weft_text_place){ line, byte };
}

static void bad(struct decoder *d, uint64_t line, size_t byte)
{
    d->t->repaired++;
    note_place(d->t, line, byte);
    weft_buf_add(d->out, "\xEF\xBF\xBD", 3);
}

static void decode_utf8(struct decoder *d, struct weft_str line, uint64_t number, size_t from)
{
    while (line.len) {
        size_t good = weft_utf8_check(line);
        weft_buf_add(d->out, line.s, good);
        line = weft_str_skip(line, good);
        from += good;
        if (!line.len) return;
        uint32_t cp;
        size_t n = weft_utf8_decode(line.s, line.len, &cp, NULL);
        bad(d, number, from);
        line = weft_str_skip(line, n);
        from += n;
    }
}

/* Two-byte forms of Big5: the C library's table also lets single bytes from 0x80 up pass as controls.  The length of
 * the part that has its form. */
static size_t big5_form(struct weft_str s)
{
    size_t i = 0;
    while (i < s.len) {
        unsigned char c = (unsigned char)s.s[i];
        if (c < 0x80) {
            i++;
            continue;
        }
        unsigned char trail = i + 1 < s.len ? (unsigned char)s.s[i + 1] : 0;
        if (c < 0xA1 || c > 0xF9 || !((trail >= 0x40 && trail < 0x7F) || (trail >= 0xA1 && trail < 0xFF)))
            break;
        i += 2;
    }
    return i;
}

static void decode_iconv(struct decoder *d, struct weft_str line, uint64_t number, size_t from)
{
    if (d->strict && d->charset == WEFT_CHARSET_BIG5) {
        size_t good = big5_form(line);
        if (good < line.len) {
            d->stop_at = from + good;
            return;
        }
    }
    char *in = (char *)line.s;      /* iconv does not write to its input, its prototype is older than const */
    size_t left = line.len;
    while (left && !d->out->failed) {
        if (!weft_buf_reserve(d->out, left * 3 / 2 + 8)) return;
        char *to = d->out->s + d->out->len;
        size_t room = d->out->cap - d->out->len - 1;
        size_t before = room;
        size_t r = iconv(d->cd, &in, &left, &to, &room);
        d->out->len += before - room;
        if (r != (size_t)-1 || errno == E2BIG) continue;
        /* EILSEQ: a sequence that is not in the charset; EINVAL: one that the line's end cuts short. */
        size_t at = from + (line.len - left);
        if (d->strict) {
            d->stop_at = at;
            return;
        }
        iconv(d->cd, NULL, NULL, NULL, NULL);
        bad(d, number, at);
        in++, left--;
    }
    if (d->out->s) d->out->s[d->out->len] = 0;
}

static void decode_utf16(struct decoder *d, struct weft_str line, uint64_t number, size_t from)
{
    bool big = d->charset == WEFT_CHARSET_UTF16BE;
    size_t i = 0;
    while (i + 1 < line.len) {
        uint32_t u = unit_at(line, i, big), low;
        size_t at = i;
        i += 2;
        if (u >= 0xD800 && u < 0xDC00 && i + 1 < line.len && (low = unit_at(line, i, big)) >= 0xDC00
            && low < 0xE000) {
            u = 0x10000 + ((u - 0xD800) << 10) + (low - 0xDC00);
            i += 2;
        } else if (u >= 0xD800 && u < 0xE000) {
            bad(d, number, from + at);
            continue;
        }
        weft_buf_utf8(d->out, u);
    }
    if (i < line.len) bad(d, number, from + i);     /* an odd last byte */
}

static void decode_line(struct decoder *d, struct weft_str line, uint64_t number, size_t from)
{
    switch (d->charset) {
    case WEFT_CHARSET_UTF16LE: case WEFT_CHARSET_UTF16BE: decode_utf16(d, line, number, from); break;
    case WEFT_CHARSET_GB18030: case WEFT_CHARSET_BIG5: decode_iconv(d, line, number, from); break;
    default: decode_utf8(d, line, number, from);
    }
}

/* Takes NUL bytes out of what was appended from `start` on. */
static void drop_nul(struct decoder *d, size_t start, uint64_t number, size_t from)
{
    struct weft_buf *b = d->out;
    if (b->failed || b->len == start || !memchr(b->s + start, 0, b->len - start)) return;
    size_t to = start;
    for (size_t i = start; i < b->len; i++)
        if (b->s[i]) b->s[to++] = b->s[i];
    d->t->nul_dropped += b->len - to;
    note_place(d->t, number, from);
    b->len = to;
    b->s[to] = 0;
}

static enum weft_status open_iconv(iconv_t *cd, enum weft_charset c, struct weft_err *err)
{
    *cd = iconv_open("UTF-8", c == WEFT_CHARSET_BIG5 ? "BIG5" : "GB18030");
    if (*cd == (iconv_t)-1) return weft_fail_errno(err, "load the table of", weft_charset_name(c));
    return WEFT_OK;
}

/* Decodes all of `b` from byte `begin` on into malloc memory and the line table.  strict: stops at the first bad
 * place, which is written to *bad_at (SIZE_MAX: none). */
static enum weft_status decode_all(struct weft_arena *a, struct weft_str b, size_t begin,
                                   enum weft_charset charset, bool strict, struct weft_buf *buf,
                                   struct weft_text *t, size_t *bad_at, struct weft_err *err)
{
    bool wide = charset == WEFT_CHARSET_UTF16LE || charset == WEFT_CHARSET_UTF16BE;
    struct decoder d = { .charset = charset, .t = t, .out = buf, .strict = strict, .stop_at = SIZE_MAX };
    enum weft_status st = WEFT_OK;
    size_t cap = 0, n = 0, at = begin;
    bool open = false;

    d.cd = (iconv_t)-1;
    if (charset == WEFT_CHARSET_GB18030 || charset == WEFT_CHARSET_BIG5) {
        st = open_iconv(&d.cd, charset, err);
        if (st) return st;
        open = true;
    }
    for (size_t i = at, end_len; i < b.len; cap++)
        i += (wide ? line_length16(b, i, charset == WEFT_CHARSET_UTF16BE, &end_len)
                   : line_length(b, i, &end_len))
             + end_len;
    if (!strict) {
        t->lines = WEFT_NEWS(a, struct weft_text_line, cap + 1);
        if (!t->lines) {
            st = weft_fail_nomem(err, (cap + 1) * sizeof *t->lines, "the line table");
            goto done;
        }
    }
    while (at < b.len) {
        size_t end_len, len = wide ? line_length16(b, at, charset == WEFT_CHARSET_UTF16BE, &end_len)
                                   : line_length(b, at, &end_len);
        size_t start = buf->len;
        if (t->lines) t->lines[n] = (struct weft_text_line){ start, at, at + len };
        n++;
        decode_line(&d, weft_str_sub(b, at, at + len), n, at);
        if (d.stop_at != SIZE_MAX || buf->failed) break;
        drop_nul(&d, start, n, at);
        if (end_len) weft_buf_char(buf, '\n');
        if (end_len
            && !(end_len == (wide ? 2u : 1u) && b.s[at + len + (charset == WEFT_CHARSET_UTF16BE)] == '\n'))
            t->cr++;
        at += len + end_len;
    }
    *bad_at = d.stop_at;
    st = weft_buf_check(buf, "the text", err);
    if (st) goto done;
    t->n_lines = n;
    if (t->lines) t->lines[n] = (struct weft_text_line){ buf->len, b.len, b.len };
    t->charset = charset;
done:
    if (open) iconv_close(d.cd);
    return st;
}

/* UTF-8 without damage, NUL or CR stays where it is: no copy, only the line table. */
static enum weft_status keep_utf8(struct weft_arena *a, struct weft_str b, size_t begin, struct weft_text *t,
                                  struct weft_err *err)
{
    struct weft_str text = weft_str_skip(b, begin);
    size_t n = text.len && text.s[text.len - 1] != '\n';
    for (const char *p = text.s, *end = p + text.len; (p = memchr(p, '\n', (size_t)(end - p))); p++) n++;
    t->lines = WEFT_NEWS(a, struct weft_text_line, n + 1);
    if (!t->lines) return weft_fail_nomem(err, (n + 1) * sizeof *t->lines, "the line table");
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        const char *lf = memchr(text.s + at, '\n', text.len - at);
        size_t end = lf ? (size_t)(lf - text.s) : text.len;
        t->lines[i] = (struct weft_text_line){ at, begin + at, begin + end };
        at = end + 1;
    }
    t->lines[n] = (struct weft_text_line){ text.len, b.len, b.len };
    t->n_lines = n;
    t->text = text;
    t->charset = WEFT_CHARSET_UTF8;
    return WEFT_OK;
}

/* Decodes for good: repairs what does not fit and counts it. */
static enum weft_status decode_repairing(struct weft_arena *a, struct weft_str b, size_t begin,
                                         enum weft_charset charset, struct weft_text *t, struct weft_err *err)
{
    struct weft_buf buf = { 0 };
    size_t bad_at;
    enum weft_status st = decode_all(a, b, begin, charset, false, &buf, t, &bad_at, err);
    if (!st) {
        t->text = weft_str_dup(a, weft_buf_view(&buf));
        if (!t->text.s) st = weft_fail_nomem(err, buf.len + 1, "the text");
    }
    weft_buf_clear(&buf);
    return st;
}

/* ---- which charset ---- */

/* The commonest characters of Chinese prose and its punctuation, simplified and traditional. */
static const char common[] =
    "的一是了不在有人我他这中大来上国个到说们为子和你地出也时年得就那要下以生会自着去之过家学对可她里后小么心多天而能好"
    "都然没日于起还成事只作当想看文无开手十用主行方又如前所本见经头面同三已老从动两长知样现分将外但身些与高意进把法此回"
    "二点月明其种全己话儿者向情部正名问力等几很最间什打便位因被走电四第门相次让真听世气信叫臣妾皇娘本宫姐妹王爷道笑"
    "這來國說們為時過學對裡後麼還從開動兩長樣現將進點種話問幾間門讓聽氣個沒無頭經會與當見東車書親愛請誰實總馬"
    "，。、！？：；“”‘’（）《》…—　「」『』";

struct common_set {
    uint32_t cp[512];
    size_t n;
};

static int by_code(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void common_fill(struct common_set *set)
{
    struct weft_str s = WEFT_STR(common);
    set->n = 0;
    for (size_t i = 0; i < s.len && set->n < WEFT_COUNT(set->cp); set->n++)
        i += weft_utf8_decode(s.s + i, s.len - i, &set->cp[set->n], NULL);
    qsort(set->cp, set->n, sizeof set->cp[0], by_code);
}

/* Share of the n characters above ASCII that are common ones; the first 64 KiB decide.  -1: there are none. */
static double share_of_common(struct weft_str text, size_t *n_characters)
{
    struct common_set set;
    size_t n = 0, hits = 0;
    common_fill(&set);
    text = weft_str_sub(text, 0, 64 << 10);
    for (size_t i = 0; i < text.len;) {
        uint32_t cp;
        i += weft_utf8_decode(text.s + i, text.len - i, &cp, NULL);
        if (cp < 0x80) continue;
        n++;
        hits += bsearch(&cp, set.cp, set.n, sizeof cp, by_code) != NULL;
    }
    *n_characters = n;
    return n ? (double)hits / (double)n : -1;
}

static double plausible(struct weft_str text)
{
    size_t n;
    return share_of_common(text, &n);
}

/* Any bytes of Shift_JIS, EUC-KR and others pass for GB18030 or Big5: what then reads as no Chinese is told. */
static enum weft_status tell_doubt(struct weft_arena *a, struct weft_text *t, struct weft_err *err)
{
    size_t n;
    double share = share_of_common(t->text, &n);
    if (n < ENOUGH_CHARACTERS || share >= least_common) return WEFT_OK;
    return weft_text_note(a, t, err, "%s: read as %s, but few of its characters are common in Chinese; if it reads wrong, "
                          "save it as UTF-8 from its own encoding", t->name.s, weft_charset_name(t->charset));
}

/* Whole multi-byte characters, damaged places and their bytes, read as UTF-8. */
static void count_utf8(struct weft_str b, uint64_t *whole, uint64_t *damaged, uint64_t *damaged_bytes)
{
    *whole = *damaged = *damaged_bytes = 0;
    for (size_t i = 0; i < b.len;) {
        uint32_t cp;
        bool ok;
        if ((unsigned char)b.s[i] < 0x80) {
            i++;
            continue;
        }
        size_t n = weft_utf8_decode(b.s + i, b.len - i, &cp, &ok);
        i += n;
        if (ok) ++*whole;
        else {
            ++*damaged;
            *damaged_bytes += n;
        }
    }
}

/* Tries a strict reading: its plausibility, or -2 and the first bad byte. */
static enum weft_status try_strict(struct weft_str b, enum weft_charset charset, double *score, size_t *bad_at,
                                   struct weft_err *err)
{
    struct weft_buf buf = { 0 };
    struct weft_text scratch = { 0 };
    enum weft_status st = decode_all(NULL, b, 0, charset, true, &buf, &scratch, bad_at, err);
    *score = -2;
    if (!st && *bad_at == SIZE_MAX) *score = plausible(weft_buf_view(&buf));
    weft_buf_clear(&buf);
    return st;
}

static uint64_t count_nul(struct weft_str b)
{
    uint64_t n = 0;
    for (const char *p = b.s, *end = p + b.len; p < end && (p = memchr(p, 0, (size_t)(end - p))); p++) n++;
    return n;
}

/* UTF-16 without a mark shows as NUL at every other byte where it holds ASCII: worth a hint. */
static const char *utf16_hint(struct weft_str b)
{
    size_t nul[2] = { 0, 0 }, n = weft_min_size(b.len, 4096) & ~(size_t)1;
    for (size_t i = 0; i < n; i++) nul[i & 1] += b.s[i] == 0;
    if (nul[0] > 4 * nul[1] + n / 64) return "utf-16be";
    if (nul[1] > 4 * nul[0] + n / 64) return "utf-16le";
    return NULL;
}

/* TX4. */
static enum weft_status check_nul(struct weft_str b, const char *name, struct weft_err *err)
{
    uint64_t nul = count_nul(b);
    if (!nul || nul <= b.len / BYTES_PER_NUL) return WEFT_OK;
    size_t first = (size_t)((const char *)memchr(b.s, 0, b.len) - b.s);
    const char *hint = utf16_hint(b);
    if (hint)
        return weft_fail_rule(err, WEFT_EINPUT, "TX4",
                              "%s: byte %zu: a NUL byte, %" PRIu64 " in all; if this is UTF-16 "
                              "without a byte order mark, say --charset %s",
                              name, first, nul, hint);
    return weft_fail_rule(err, WEFT_EINPUT, "TX4",
                          "%s: byte %zu: a NUL byte, %" PRIu64 " in all: this is a binary file; expected text", name,
                          first, nul);
}

static bool starts(struct weft_str b, const char *mark, size_t n)
{
    return b.len >= n && !memcmp(b.s, mark, n);
}

/* TX1-TX3.  *begin: where the text starts behind a mark. */
static enum weft_status find_charset(struct weft_str b, struct weft_text *t, size_t *begin,
                                     enum weft_charset *found, struct weft_err *err)
{
    const char *name = t->name.s;
    enum weft_status st;
    uint64_t whole, damaged, damaged_bytes;
    size_t first, gb_bad, big5_bad;
    double gb, big5;

    *begin = 0;
    if (starts(b, "\xFF\xFE\0\0", 4) || starts(b, "\0\0\xFE\xFF", 4))
        return weft_fail_rule(err, WEFT_EINPUT, "TX1",
                              "%s: byte 0: the byte order mark of UTF-32, which is not read; "
                              "save the file as UTF-8",
                              name);
    if (starts(b, "\xEF\xBB\xBF", 3)) {
        *begin = 3;
        t->bom = true;
        *found = WEFT_CHARSET_UTF8;
        return check_nul(b, name, err);
    }
    if (starts(b, "\xFF\xFE", 2) || starts(b, "\xFE\xFF", 2)) {
        *begin = 2;
        t->bom = true;
        *found = b.s[0] == '\xFF' ? WEFT_CHARSET_UTF16LE : WEFT_CHARSET_UTF16BE;
        return WEFT_OK;
    }
    st = check_nul(b, name, err);
    if (st) return st;
    *found = WEFT_CHARSET_UTF8;
    first = weft_utf8_check(b);
    if (first == b.len) return WEFT_OK;
    count_utf8(b, &whole, &damaged, &damaged_bytes);
    if (whole / VALID_PER_BAD >= damaged_bytes) return WEFT_OK;

    st = try_strict(b, WEFT_CHARSET_GB18030, &gb, &gb_bad, err);
    if (st) return st;
    st = try_strict(b, WEFT_CHARSET_BIG5, &big5, &big5_bad, err);
    if (st) return st;
    /* UTF-8 with more damage than TX2 repairs also passes for GB18030 now and then: it then reads as rare
     * characters, while the undamaged part makes sense as UTF-8. */
    if (whole > damaged && plausible(b) > (gb > big5 ? gb : big5))
        return weft_fail_rule(
            err, WEFT_EINPUT, "TX2",
            "%s: byte %zu: UTF-8 with %" PRIu64 " damaged places among %" PRIu64
            " characters, too many to repair unasked; say --charset utf-8 to read it all the same",
            name, first, damaged, whole);
    if (gb > -2 && gb >= big5) *found = WEFT_CHARSET_GB18030;
    else if (big5 > -2) *found = WEFT_CHARSET_BIG5;
    else
        return weft_fail_rule(err, WEFT_EINPUT, "TX1",
                              "%s: byte %zu: not UTF-8, not GB18030 (byte %zu), not Big5 (byte "
                              "%zu); name the encoding with --charset, or save the file as UTF-8",
                              name, first, gb_bad, big5_bad);
    return WEFT_OK;
}

/* ---- odd characters ---- */

void weft_charset_count_odd(struct weft_text *t)
{
    const unsigned char *p = (const unsigned char *)t->text.s, *end = p + t->text.len;
    /* Most of a text in steps whose counts fit into bytes: comparisons alone, which compilers turn into vectors. */
    enum { STEP = 192 };
    for (; (size_t)(end - p) >= STEP + 2; p += STEP) {
        unsigned char controls = 0, private_use = 0, replacement = 0;
        for (size_t i = 0; i < STEP; i++) {
            unsigned char a = p[i], b = p[i + 1], c = p[i + 2];
            controls += (unsigned char)(((a < 0x20) & (a != '\n') & (a != '\t')) | (a == 0x7F)
                                        | ((a == 0xC2) & (b < 0xA0)));
            private_use += (unsigned char)((a == 0xEE) | ((a == 0xEF) & (b < 0xA4))
                                           | ((a == 0xF3) & (b >= 0xB0)) | (a == 0xF4));
            replacement += (unsigned char)((a == 0xEF) & (b == 0xBF) & (c == 0xBD));
        }
        t->controls += controls;
        t->private_use += private_use;
        t->replacement += replacement;
    }
    for (; p < end; p++) {
        if (*p >= 0x20 && *p < 0x7F) continue;
        if (*p < 0x20 || *p == 0x7F) t->controls += *p != '\n' && *p != '\t';
        else if (*p == 0xC2) t->controls += p[1] < 0xA0;
        else if (*p == 0xEE) t->private_use++;                              /* U+E000 ... */
        else if (*p == 0xEF) {
            if (p[1] < 0xA4) t->private_use++;                              /* ... U+F8FF */
            else if (p[1] == 0xBF && p[2] == 0xBD) t->replacement++;
        } else if ((*p == 0xF3 && p[1] >= 0xB0) || *p == 0xF4) t->private_use++;    /* planes 15 and 16 */
    }
    t->replacement -= t->repaired;      /* ours are counted apart */
}

enum weft_status weft_charset_decode(struct weft_arena *a, struct weft_str bytes, enum weft_charset given,
                                     struct weft_text *out, struct weft_err *err)
{
    enum weft_charset charset = given;
    enum weft_status st;
    size_t begin = 0;

    if (given == WEFT_CHARSET_AUTO) {
        st = find_charset(bytes, out, &begin, &charset, err);
        if (st) return st;
    } else {
        static const struct weft_str marks[] = { [WEFT_CHARSET_UTF8] = { "\xEF\xBB\xBF", 3 },
                                                 [WEFT_CHARSET_UTF16LE] = { "\xFF\xFE", 2 },
                                                 [WEFT_CHARSET_UTF16BE] = { "\xFE\xFF", 2 } };
        struct weft_str mark =
            (unsigned)given < WEFT_COUNT(marks) ? marks[given] : (struct weft_str){ NULL, 0 };
        out->bom = mark.len && weft_str_starts(bytes, mark);
        if (out->bom) begin = mark.len;
        if (given != WEFT_CHARSET_UTF16LE && given != WEFT_CHARSET_UTF16BE) {
            st = check_nul(bytes, out->name.s, err);
            if (st) return st;
        }
    }
    struct weft_str body = weft_str_skip(bytes, begin);
    if (charset == WEFT_CHARSET_UTF8 && weft_utf8_check(body) == body.len && !memchr(body.s, '\r', body.len) &&
        !memchr(body.s, 0, body.len))
        st = keep_utf8(a, bytes, begin, out, err);
    else
        st = decode_repairing(a, bytes, begin, charset, out, err);
    if (st) return st;
    if (given != WEFT_CHARSET_AUTO && out->repaired > weft_utf8_chars(out->text) / 2)
        return weft_fail_rule(err, WEFT_EINPUT, "TX1",
                              "%s: byte %" PRIu64 ": not %s: %" PRIu64 " places do not fit; leave "
                              "--charset out to let weft find the encoding",
                              out->name.s, out->places[0].byte, weft_charset_name(given), out->repaired);
    weft_charset_count_odd(out);
    bool guessed = given == WEFT_CHARSET_AUTO && (charset == WEFT_CHARSET_GB18030 || charset == WEFT_CHARSET_BIG5);
    return guessed ? tell_doubt(a, out, err) : WEFT_OK;
}

/* ---- back to the original ---- */

void weft_charset_cursor_init(struct weft_charset_cursor *c, const struct weft_text *text, struct weft_str bytes)
{
    *c = (struct weft_charset_cursor){ .text = text, .bytes = bytes };
    c->byte = text->lines[0].begin;
}

/* Bytes that the character `cp`, decoded from the start of s, takes there. */
static size_t source_length(enum weft_charset charset, struct weft_str s, uint32_t cp)
{
    unsigned char first = (unsigned char)s.s[0];
    bool bad = cp == 0xFFFD;
    switch (charset) {
    case WEFT_CHARSET_UTF16LE: case WEFT_CHARSET_UTF16BE: return cp >= 0x10000 ? 4 : 2;
    case WEFT_CHARSET_GB18030:
        if (first < 0x80) return 1;
        if (bad) return weft_str_starts(s, WEFT_STR("\x84\x31\xA4\x37")) ? 4 : 1;
        return s.len > 1 && s.s[1] >= '0' && s.s[1] <= '9' ? 4 : 2;
    case WEFT_CHARSET_BIG5: return first < 0x80 || bad || cp < 0xA0 ? 1 : 2;
    default: return weft_utf8_decode(s.s, s.len, &cp, NULL);
    }
}

/* Takes the cursor over one character, and over NULs that were dropped before it. */
static void step(struct weft_charset_cursor *c, uint64_t line_end)
{
    enum weft_charset charset = c->text->charset;
    size_t unit = charset == WEFT_CHARSET_UTF16LE || charset == WEFT_CHARSET_UTF16BE ? 2 : 1;
    uint32_t cp;
    c->at += weft_utf8_decode(c->text->text.s + c->at, c->text->text.len - c->at, &cp, NULL);
    while (c->byte + unit <= line_end && !c->bytes.s[c->byte] && !c->bytes.s[c->byte + unit - 1]) c->byte += unit;
    if (c->byte >= line_end) return;
    c->byte += source_length(charset, weft_str_sub(c->bytes, c->byte, line_end), cp);
    if (c->byte > line_end) c->byte = line_end;
}

uint64_t weft_charset_locate(struct weft_charset_cursor *c, size_t at)
{
    const struct weft_text *t = c->text;
    if (at >= t->text.len) {
        c->line = t->n_lines ? t->n_lines - 1 : 0;
        c->at = t->lines[c->line].at;
        c->byte = t->lines[c->line].begin;
        return t->lines[c->line].end;
    }
    if (at < c->at) {
        c->line = weft_text_line_of(t, at) - 1;
        c->at = t->lines[c->line].at;
        c->byte = t->lines[c->line].begin;
    }
    while (c->line + 1 < t->n_lines && t->lines[c->line + 1].at <= at) {
        c->line++;
        c->at = t->lines[c->line].at;
        c->byte = t->lines[c->line].begin;
    }
    const struct weft_text_line *line = &t->lines[c->line];
    if (t->charset == WEFT_CHARSET_UTF8 && line->end - line->begin == weft_text_line(t, c->line).len)
        return line->begin + (at - line->at);
    while (c->at < at) step(c, line->end);
    return c->byte;
}

enum weft_status weft_charset_place_lines(struct weft_arena *a, const struct weft_text *decoded, struct weft_str bytes,
                                          struct weft_text *t, struct weft_err *err)
{
    struct weft_charset_cursor c;
    weft_charset_cursor_init(&c, decoded, bytes);
    t->source_lines = WEFT_NEWS(a, uint64_t, t->n_lines + 1);
    if (!t->source_lines) return weft_fail_nomem(err, (t->n_lines + 1) * sizeof *t->source_lines, "the line table");
    for (size_t i = 0; i < t->n_lines; i++) {
        struct weft_text_line *line = &t->lines[i];
        line->begin = weft_charset_locate(&c, line->begin);
        t->source_lines[i] = c.line + 1;
        line->end = weft_charset_locate(&c, line->end);
        if (line->end < line->begin) line->end = line->begin;
    }
    t->lines[t->n_lines].begin = t->lines[t->n_lines].end = bytes.len;
    return WEFT_OK;
}
