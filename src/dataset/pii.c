/* The text is walked once.  Where something may begin (a digit, a plus, an opening parenthesis, a letter with no letter
 * before it) the kinds are tried one after the other, each reading at most a few dozen characters; a text of a million
 * digits costs no more than any other, since what fails is skipped as a whole.
 *
 * Characters are read through `peek`, for which full-width forms are their ASCII ones. */
#include "dataset/pii.h"

#include <arpa/inet.h>

enum { OTHER = 0x7F }; /* any character beyond ASCII */

static const char *const names[WEFT_N_PII] = { "mobile", "landline", "id_card",  "email",
                                               "ipv4",   "ipv6",     "bank_card" };
static const char *const tags[WEFT_N_PII] = { "[PHONE]", "[PHONE]", "[ID]",  "[MAIL]",
                                              "[IPV4]",  "[IPV6]",  "[CARD]" };

const char *weft_pii_name(enum weft_pii_kind kind) { return names[kind]; }

/* The character at `at`, its length in *n; 0 at the end. */
static int peek(struct weft_str s, size_t at, size_t *n)
{
    uint32_t cp;
    *n = 0;
    if (at >= s.len) return 0;
    unsigned char c = (unsigned char)s.s[at];
    *n = 1;
    if (c < 0x80) return c ? c : OTHER;
    *n = weft_utf8_decode(s.s + at, s.len - at, &cp, NULL);
    if (cp >= 0xFF01 && cp <= 0xFF5E) return (int)(cp - 0xFEE0);
    return cp == 0x3000 ? ' ' : OTHER;
}

static bool is_digit(int c) { return c >= '0' && c <= '9'; }
static bool is_letter(int c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
static bool is_word(int c) { return is_digit(c) || is_letter(c) || c == '_'; }
static bool is_hex(int c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

/* Reads up to `most` digits into `out` (as numbers) from *at on; no separators. */
static size_t take_digits(struct weft_str s, size_t *at, unsigned char *out, size_t most)
{
    size_t n = 0, len;
    int c;
    while (n < most && is_digit(c = peek(s, *at, &len))) {
        out[n++] = (unsigned char)(c - '0');
        *at += len;
    }
    return n;
}

/* One hyphen or space. */
static bool take_separator(struct weft_str s, size_t *at)
{
    size_t len;
    int c = peek(s, *at, &len);
    if (c != '-' && c != ' ') return false;
    *at += len;
    return true;
}

/* Nothing that would make a longer number or word of it: no letter or digit, no decimal point with a digit behind. */
static bool ends_here(struct weft_str s, size_t at)
{
    size_t len, after;
    int c = peek(s, at, &len);
    if (is_word(c)) return false;
    return !(c == '.' && is_digit(peek(s, at + len, &after)));
}

/* Amounts: 13800000000元, 13800000000 万. */
static bool is_amount(struct weft_str s, size_t at)
{
    static const char *const units[] = { "元", "块", "万", "亿", "円", "%", "％" };
    size_t len;
    if (peek(s, at, &len) == ' ') at += len;
    for (size_t i = 0; i < WEFT_COUNT(units); i++)
        if (weft_str_starts(weft_str_skip(s, at), weft_str_c(units[i]))) return true;
    return false;
}

/* ---- telephones ---- */

static bool mobile_prefix(const unsigned char *d)
{
    /* Third digits in use, by the second one (3 ... 9). */
    static const unsigned short used[10] = { 0, 0, 0, 0x3FF, 0x3F3, 0x3EF, 0x0E4, 0x1FF, 0x3FF, 0x3EF };
    return d[0] == 1 && (used[d[1]] >> d[2] & 1);
}

/* 11 digits, or 3-4-4 or 3-8 with gaps; before them +86, 0086 or 86 and a gap. */
static bool read_mobile(struct weft_str s, size_t *end)
{
    unsigned char d[11];
    size_t at = *end, len;
    bool plus = peek(s, at, &len) == '+', prefixed = plus;
    if (plus) at += len;
    size_t begin = at, n = take_digits(s, &at, d, 4);
    if (n == 4 && d[0] == 0 && d[1] == 0 && d[2] == 8 && d[3] == 6) prefixed = true;
    else if (n >= 2 && d[0] == 8 && d[1] == 6) {
        at = begin;
        take_digits(s, &at, d, 2);
        prefixed = true;
    } else if (plus) return false;
    else at = begin;
    if (prefixed) take_separator(s, &at);
    n = take_digits(s, &at, d, 3);
    if (n < 3 || !mobile_prefix(d)) return false;
    bool gap = take_separator(s, &at);
    if (take_digits(s, &at, d + 3, 4) < 4 || (take_separator(s, &at) && !gap)) return false;
    if (take_digits(s, &at, d + 7, 4) < 4 || !ends_here(s, at) || is_amount(s, at)) return false;
    *end = at;
    return true;
}

/* Area code (010, 02x, 0xxx), perhaps in parentheses, and seven or eight digits; perhaps an extension. */
static bool read_landline(struct weft_str s, size_t *end)
{
    unsigned char d[12];
    size_t at = *end, len, n = 0, local;
    bool bracket = peek(s, at, &len) == '(', gap;
    if (bracket) at += len;
    if (take_digits(s, &at, d, 3) < 3 || d[0] != 0 || d[1] == 0) return false;
    if (d[1] == 1 ? d[2] != 0 : d[1] == 2 && d[2] == 6) return false;
    if (d[1] >= 3 && take_digits(s, &at, d + 3, 1) < 1) return false;
    if (bracket) {
        if (peek(s, at, &len) != ')') return false;
        at += len;
    }
    gap = take_separator(s, &at) || bracket;
    local = take_digits(s, &at, d, 8);
    if (local < 7 || d[0] < 2 || d[0] > 8) return false;
    if (!gap && !ends_here(s, at)) return false;
    /* An extension: -8001, 转8001. */
    size_t ext = at;
    if (weft_str_starts(weft_str_skip(s, ext), WEFT_STR("转"))) ext += strlen("转");
    else if (peek(s, ext, &len) == '-') ext += len;
    if (ext > at) n = take_digits(s, &ext, d, 6);
    if (n && ends_here(s, ext)) at = ext;
    if (!ends_here(s, at) || is_amount(s, at)) return false;
    *end = at;
    return true;
}

/* ---- identity and bank cards ---- */

static bool is_date(const unsigned char *d)
{
    static const unsigned char days[12] = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    unsigned year = d[0] * 1000u + d[1] * 100u + d[2] * 10u + d[3], month = d[4] * 10u + d[5],
             day = d[6] * 10u + d[7];
    return year >= 1900 && year <= 2099 && month >= 1 && month <= 12 && day >= 1 && day <= days[month - 1];
}

/* GB 11643: area, date of birth, sequence, check character. */
static bool read_id_card(struct weft_str s, size_t *end)
{
    static const unsigned char weight[17] = { 7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2 };
    static const char *const areas =
        "11 12 13 14 15 21 22 23 31 32 33 34 35 36 37 41 42 43 44 45 46 50 51 52 53 54 "
        "61 62 63 64 65 71 81 82 83 91";
    unsigned char d[17];
    size_t at = *end, len;
    unsigned sum = 0;
    if (take_digits(s, &at, d, 17) < 17) return false;
    char area[3] = { (char)('0' + d[0]), (char)('0' + d[1]), 0 };
    int c = peek(s, at, &len);
    if (!strstr(areas, area) || !is_date(d + 6)) return false;
    for (int i = 0; i < 17; i++) sum += (unsigned)d[i] * weight[i];
    if (c == 'x') c = 'X';
    if (c != "10X98765432"[sum % 11] || !ends_here(s, at + len)) return false;
    *end = at + len;
    return true;
}

/* Lengths a prefix allows, as bits. */
static unsigned card_lengths(const unsigned char *d)
{
    unsigned two = d[0] * 10u + d[1], four = two * 100u + d[2] * 10u + d[3];
    const unsigned l14 = 1u << 14, l15 = 1u << 15, l16 = 1u << 16,
                   to19 = l16 | 1u << 17 | 1u << 18 | 1u << 19;
    if (two == 62 || two == 60 || two == 65) return to19;
    if (d[0] == 4) return l16 | 1u << 19;
    if ((two >= 51 && two <= 55) || (four >= 2221 && four <= 2720)) return l16;
    if (two == 34 || two == 37) return l15;
    if (two == 36 || two == 38) return l14;
    return two == 35 ? l16 : 0;
}

/* Digits, or groups of four (the last may be shorter) with one kind of gap. */
static bool read_bank_card(struct weft_str s, size_t *end)
{
    unsigned char d[20];
    size_t at = *end, n = take_digits(s, &at, d, 20);
    unsigned sum = 0;
    bool same = true;
    if (n == 4) {
        size_t group = 4;
        while (group == 4 && n < 16 + 4) {
            size_t next = at;
            if (!take_separator(s, &next)) break;
            group = take_digits(s, &next, d + n, weft_min_size(4, 20 - n));
            if (!group) break;
            n += group;
            at = next;
        }
    }
    if (n < 14 || n > 19 || !(card_lengths(d) >> n & 1) || !ends_here(s, at)) return false;
    for (size_t i = 0; i < n; i++) {
        unsigned v = d[n - 1 - i];
        if (i & 1) v = v * 2 > 9 ? v * 2 - 9 : v * 2;
        sum += v;
        same = same && d[i] == d[0];
    }
    if (sum % 10 || same) return false;
    *end = at;
    return true;
}

/* ---- addresses ---- */

/* One of the words in the few characters before. */
static bool said_before(struct weft_str s, size_t at, const char *const *words, size_t n)
{
    struct weft_str before = weft_str_sub(s, at > 24 ? at - 24 : 0, at);
    for (size_t i = 0; i < n; i++)
        if (weft_str_find(before, weft_str_c(words[i]), 0) != SIZE_MAX) return true;
    return false;
}

/* Four numbers with points between them may be a version or a section: said to be one, or all of them small. */
static bool is_version(struct weft_str s, size_t at, unsigned largest)
{
    static const char *const ip[] = { "IP", "ip", "Ip", "地址", "主机", "host" };
    static const char *const version[] = { "版本", "ersion", "ver", "章", "节" };
    if (said_before(s, at, ip, WEFT_COUNT(ip))) return false;
    return largest < 20 || said_before(s, at, version, WEFT_COUNT(version));
}

static bool read_ipv4(struct weft_str s, size_t *end)
{
    size_t at = *end, len;
    unsigned part[4], largest = 0;
    for (int i = 0; i < 4; i++) {
        unsigned char d[3];
        size_t n = take_digits(s, &at, d, 3);
        if (!n || (n > 1 && d[0] == 0)) return false;
        part[i] = 0;
        for (size_t k = 0; k < n; k++) part[i] = part[i] * 10 + d[k];
        if (part[i] > 255) return false;
        largest = part[i] > largest ? part[i] : largest;
        if (i == 3) break;
        if (peek(s, at, &len) != '.') return false;
        at += len;
    }
    if (!ends_here(s, at) || part[0] == 0 || part[0] == 127 || (part[0] == 255 && part[3] == 255))
        return false;
    if (is_version(s, *end, largest)) return false;
    *end = at;
    return true;
}

static bool read_ipv6(struct weft_str s, size_t *end)
{
    char text[INET6_ADDRSTRLEN + 1];
    struct in6_addr address;
    size_t at = *end, n = 0, len, groups = 0, colons = 0;
    int c, before = 0;
    while (n < sizeof text - 1 && (is_hex(c = peek(s, at, &len)) || c == ':' || c == '.')) {
        groups += c != ':' && c != '.' && (n == 0 || before == ':');
        colons += c == ':';
        text[n++] = (char)c;
        before = c;
        at += len;
    }
    if (before == '.') n--, at--; /* the full stop of the sentence */
    text[n] = 0;
    if (colons < 2 || !ends_here(s, at) || peek(s, at, &len) == ':') return false;
    /* a::b is a name in a program; an address of two groups is one only where its first part says so */
    bool routed = n > 4 && text[4] == ':'
                  && (strncmp(text, "fe80", 4) == 0 || strncmp(text, "FE80", 4) == 0 || text[0] == '2'
                      || strncmp(text, "fd", 2) == 0 || strncmp(text, "FD", 2) == 0);
    if (groups < (routed ? 2u : 3u) || inet_pton(AF_INET6, text, &address) != 1) return false;
    *end = at;
    return true;
}

static bool is_local(int c)
{
    return is_digit(c) || is_letter(c) || c == '.' || c == '_' || c == '%' || c == '+' || c == '-';
}

/* icon@2x.png is a file. */
static bool is_file_suffix(const char *tld)
{
    static const char *const suffixes[] = { "png", "jpg", "jpeg", "gif", "svg", "webp", "bmp", "css", "js" };
    for (size_t i = 0; i < WEFT_COUNT(suffixes); i++)
        if (strcasecmp(tld, suffixes[i]) == 0) return true;
    return false;
}

/* From the start of a run of local characters.  *skip: where that run ends. */
static bool read_email(struct weft_str s, size_t *end, size_t *skip)
{
    size_t at = *end, len, local = 0, labels = 0, good = 0;
    int c, before = '.';
    bool dots = false;
    while (is_local(c = peek(s, at, &len))) {
        dots |= c == '.' && before == '.';
        before = c;
        at += len;
        local++;
    }
    *skip = at;
    if (c != '@' || local < 1 || local > 64 || dots || before == '.') return false;
    at += len;
    for (;;) {
        char label[64];
        size_t n = 0;
        bool letters = true;
        while ((is_digit(c = peek(s, at, &len)) || is_letter(c) || (c == '-' && n)) && n < sizeof label - 1) {
            label[n++] = (char)c;
            letters &= is_letter(c);
            at += len;
        }
        label[n] = 0;
        if (!n || label[n - 1] == '-') break;
        if (++labels >= 2 && letters && n >= 2) good = is_file_suffix(label) ? 0 : at;
        if (peek(s, at, &len) != '.' || labels > 8) break;
        at += len;
    }
    if (!good || is_word(peek(s, good, &len))) return false;
    *end = good;
    return true;
}

/* ---- the walk ---- */

static bool try_number(struct weft_str s, unsigned kinds, size_t at, struct weft_pii *out)
{
    static const struct {
        enum weft_pii_kind kind;
        bool (*read)(struct weft_str s, size_t *end);
    } readers[] = { { WEFT_PII_ID_CARD, read_id_card }, { WEFT_PII_BANK_CARD, read_bank_card },
                    { WEFT_PII_MOBILE, read_mobile },   { WEFT_PII_LANDLINE, read_landline },
                    { WEFT_PII_IPV4, read_ipv4 },       { WEFT_PII_IPV6, read_ipv6 } };
    for (size_t i = 0; i < WEFT_COUNT(readers); i++) {
        size_t end = at;
        if (!(kinds >> readers[i].kind & 1) || !readers[i].read(s, &end)) continue;
        *out = (struct weft_pii){ readers[i].kind, at, end };
        return true;
    }
    return false;
}

/* Behind a decimal point, a money sign, a range's hyphen or within a word no number begins. */
static bool may_begin(int before, int before_that)
{
    if (is_word(before) || before == '$') return false;
    return !((before == '.' || before == '-') && is_digit(before_that));
}

bool weft_pii_next(struct weft_str s, unsigned kinds, size_t *at, struct weft_pii *out)
{
    size_t len, email_from = *at;
    int before = OTHER, before_that = OTHER, c;
    for (size_t i = *at; (c = peek(s, i, &len)) != 0; i += len, before_that = before, before = c) {
        if (c == OTHER) {
            struct weft_str rest = weft_str_skip(s, i);
            if (weft_str_starts(rest, WEFT_STR("¥")) || weft_str_starts(rest, WEFT_STR("￥"))) c = '$';
            continue;
        }
        if (i >= email_from && is_local(c) && c != '.' && !is_local(before)
            && (kinds >> WEFT_PII_EMAIL & 1)) {
            size_t end = i;
            if (read_email(s, &end, &email_from)) {
                *out = (struct weft_pii){ WEFT_PII_EMAIL, i, end };
                *at = end;
                return true;
            }
        }
        if (!is_hex(c) && c != '+' && c != '(' && c != ':') continue;
        /* within a run of groups and colons no IPv6 address begins */
        unsigned here = before == ':' ? kinds & ~(1u << WEFT_PII_IPV6) : kinds;
        if (!may_begin(before, before_that) || !try_number(s, here, i, out)) continue;
        *at = out->to;
        return true;
    }
    *at = s.len;
    return false;
}

size_t weft_pii_mask(struct weft_buf *b, struct weft_str s, unsigned kinds, uint64_t *counts)
{
    struct weft_pii p;
    size_t at = 0, done = 0, n = 0;
    while (weft_pii_next(s, kinds, &at, &p)) {
        size_t chars = weft_utf8_chars(weft_str_sub(s, p.from, p.to)), tag = strlen(tags[p.kind]);
        weft_buf_str(b, weft_str_sub(s, done, p.from));
        weft_buf_add(b, tags[p.kind], weft_min_size(tag, chars));
        for (size_t i = tag; i < chars; i++) weft_buf_char(b, '*');
        if (counts) counts[p.kind]++;
        done = p.to;
        n++;
    }
    weft_buf_str(b, weft_str_skip(s, done));
    return n;
}
