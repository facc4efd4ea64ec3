/* Numbers, from text and to text, exactly: the nearest double, and the shortest text that reads back as the same
 * double, which is what Python's float() and repr() give.
 *
 * Both need w * 10^q to a few more than 64 bits.  10^q = 5^q * 2^q, and 5^q is the product of a power that fits 64
 * bits (5^0 ... 5^26, exact) and one of 26 powers 5^(27 i) kept to 128 bits, so the tables stay small.  The
 * product is known to within a few units in its 128th bit.  Where such a unit could change the answer, which for
 * numbers not made for it happens about once in 2^60, libc's slow exact conversion decides.
 * Why not the full table of 651 powers of Eisel and Lemire: ten kilobytes of cache for nothing. */
#include "base/json_parts.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { COARSE_STEP = 27, FIRST_COARSE = -13, LAST_COARSE = 12, MAX_DIGITS = 19 };

/* 5^(27 i) for i = -13 ... 12: (hi, lo) * 2^e, with the top bit set, cut below. */
static const struct {
    uint64_t hi, lo;
    int e;
} coarse[LAST_COARSE - FIRST_COARSE + 1] = {
    { 0x8049a4ac0c5811ae, 0x205b896d777d6278, -942 }, { 0xcf42894a5dce35ea, 0x52064cac828675b9, -880 },
    { 0xa76c582338ed2621, 0xaf2af2b80af6f24e, -817 }, { 0x873e4f75e2224e68, 0x5a7744a6e804a291, -754 },
    { 0xda7f5bf590966848, 0xaf39a475506a899e, -692 }, { 0xb080392cc4349dec, 0xbd8d794d96aacfb3, -629 },
    { 0x8e938662882af53e, 0x547eb47b7282ee9c, -566 }, { 0xe65829b3046b0afa, 0x0cb4a5a3112a5112, -504 },
    { 0xba121a4650e4ddeb, 0x92f34d62616ce413, -441 }, { 0x964e858c91ba2655, 0x3a6a07f8d510f86f, -378 },
    { 0xf2d56790ab41c2a2, 0xfae27299423fb9c3, -316 }, { 0xc428d05aa4751e4c, 0xaa97e14c3c26b886, -253 },
    { 0x9e74d1b791e07e48, 0x775ea264cf55347d, -190 }, { 0x8000000000000000, 0x0000000000000000, -127 },
    { 0xcecb8f27f4200f3a, 0x0000000000000000, -65 },  { 0xa70c3c40a64e6c51, 0x999090b65f67d924, -2 },
    { 0x86f0ac99b4e8dafd, 0x69a028bb3ded71a3, 61 },   { 0xda01ee641a708de9, 0xe80e6f4820cc9495, 123 },
    { 0xb01ae745b101e9e4, 0x5ec05dcff72e7f8f, 186 },  { 0x8e41ade9fbebc27d, 0x14588f13be847307, 249 },
    { 0xe5d3ef282a242e81, 0x8f1668c8a86da5fa, 311 },  { 0xb9a74a0637ce2ee1, 0x6d953e2bd7173692, 374 },
    { 0x95f83d0a1fb69cd9, 0x4abdaf101564f98e, 437 },  { 0xf24a01a73cf2dccf, 0xbc633b39673c8cec, 499 },
    { 0xc3b8358109e84f07, 0x0a862f80ec4700c8, 562 },  { 0x9e19db92b4e31ba9, 0x6c07a2c26a8346d1, 625 },
};

/* The result is value * 2^*e with bit 127 set; the true one lies in [value, value + SLACK). */
enum { SLACK = 8 };

static inline int top_zeros(uint64_t v) { return __builtin_clzll(v); }

/* w * 10^q, w > 0, q within the table. */
static unsigned __int128 scaled(uint64_t w, int q, int *e)
{
    int i = (q >= 0 ? q : q - (COARSE_STEP - 1)) / COARSE_STEP, r = q - i * COARSE_STEP;
    uint64_t five = 1;
    static const uint64_t fives[] = { 1, 5, 25, 125, 625, 3125, 15625, 78125, 390625 };
    /* 5^r, r < 27: 5^(8a) * 5^b */
    for (; r >= 8; r -= 8) five *= 390625;
    five *= fives[r];
    int w_shift = top_zeros(w), f_shift = top_zeros(five);
    unsigned __int128 x = (unsigned __int128)(w << w_shift) * (five << f_shift);
    uint64_t x_hi = (uint64_t)(x >> 64), x_lo = (uint64_t)x;
    uint64_t c_hi = coarse[i - FIRST_COARSE].hi, c_lo = coarse[i - FIRST_COARSE].lo;
    /* The upper half of the 256-bit product. */
    unsigned __int128 low = (unsigned __int128)x_lo * c_lo, mid1 = (unsigned __int128)x_hi * c_lo,
                      mid2 = (unsigned __int128)x_lo * c_hi, high = (unsigned __int128)x_hi * c_hi;
    unsigned __int128 mid = (low >> 64) + (uint64_t)mid1 + (uint64_t)mid2;
    high += (mid1 >> 64) + (mid2 >> 64) + (mid >> 64);
    int shift = top_zeros((uint64_t)(high >> 64)); /* at most 2: three factors in [1/2, 1) */
    *e = 128 - w_shift - f_shift + coarse[i - FIRST_COARSE].e + q - shift;
    return high << shift;
}

/* The double nearest to w * 10^q; false when the approximation cannot tell, or the result is not normal. */
static bool nearest_double(uint64_t w, int64_t q, double *out)
{
    enum { DROP = 128 - 53 };
    const unsigned __int128 half = (unsigned __int128)1 << (DROP - 1);
    if (!w) {
        *out = 0;
        return true;
    }
    if (q > 310) {
        *out = INFINITY;
        return true;
    }
    if (q < FIRST_COARSE * COARSE_STEP) return false;
    int e;
    unsigned __int128 v = scaled(w, (int)q, &e), rest = v & (half * 2 - 1);
    if (rest <= half && rest + SLACK >= half) return false;
    uint64_t mantissa = (uint64_t)(v >> DROP) + (rest > half);
    int biased = e + 127 + 1023;
    if (biased <= 0) return false;
    if (biased > 2046) {
        *out = INFINITY;
        return true;
    }
    /* The hidden bit adds one to the exponent; so does a mantissa that was rounded up to 2^53. */
    uint64_t bits = ((uint64_t)(biased - 1) << 52) + mantissa;
    memcpy(out, &bits, sizeof bits);
    return true;
}

/* ---- reading ---- */

static inline bool is_digit(char c) { return (unsigned char)(c - '0') < 10; }

/* libc's answer.  Of more than 800 digits only "there is more" matters: no double, nor the middle of two, has
 * more than 767.  Numbers never depend on the process's locale: glibc hands out "C" without allocating. */
static double exact_double(struct weft_str s, int64_t exponent)
{
    enum { KEPT = 800 };
    char text[KEPT + 32];
    size_t n = 0, dropped = 0;
    bool point = false, more = false;
    for (size_t i = 0; i < s.len && s.s[i] != 'e' && s.s[i] != 'E'; i++) {
        if (s.s[i] == '.') point = true;
        if (!is_digit(s.s[i]) || (!n && s.s[i] == '0')) continue;
        if (n < KEPT) text[n++] = s.s[i];
        else {
            more = more || s.s[i] != '0';
            dropped += !point;
            exponent += point; /* a digit behind the point that is not kept */
        }
    }
    exponent += (int64_t)dropped;
    if (more) {
        text[n++] = '1';
        exponent--;
    }
    snprintf(text + n, 32, "e%lld", (long long)exponent);
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    double v = n ? strtod_l(text, NULL, c) : 0;
    freelocale(c);
    return v;
}

/* Eight digits at once: pairs, fours and eights are put together in the lanes of one word. */
static inline bool eight_digits(const char *s, uint64_t *value)
{
    uint64_t w;
    memcpy(&w, s, 8);
    if (__BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__) return false;
    /* A digit is 0x30 ... 0x39: its high half is 3, and stays 3 when 6 is added. */
    if (((w & 0xF0F0F0F0F0F0F0F0u) | ((w + 0x0606060606060606u) & 0xF0F0F0F0F0F0F0F0u) >> 4)
        != 0x3333333333333333u)
        return false;
    w -= 0x3030303030303030u;
    w = w * 10 + (w >> 8);
    w = ((w & 0x000000FF000000FFu) * 0x000F424000000064u
         + ((w >> 16) & 0x000000FF000000FFu) * 0x0000271000000001u)
        >> 32;
    *value = w;
    return true;
}

/* The digits from s[*i] on go into *w, which holds *n significant ones already, as long as there are fewer than
 * 19; *cut counts those that found no room, and *lost says that one of them was not 0. */
static inline void take_digits(struct weft_str s, size_t *i, uint64_t *w, int *n, int64_t *cut, bool *lost)
{
    size_t k = *i;
    uint64_t eight;
    while (s.len - k >= 8 && *w && *n <= MAX_DIGITS - 8 && eight_digits(s.s + k, &eight)) {
        *w = *w * 100000000 + eight;
        *n += 8;
        k += 8;
    }
    for (; k < s.len && is_digit(s.s[k]); k++) {
        uint64_t d = (uint64_t)(s.s[k] - '0');
        if (*n < MAX_DIGITS) {
            *w = *w * 10 + d;
            *n += *w != 0; /* leading zeros are not significant */
        } else {
            *lost = *lost || d;
            ++*cut;
        }
    }
    *i = k;
}

const char *weft_json_scan_number(struct weft_str s, struct weft_json_number *out, size_t *bad)
{
    static const double tens[] = { 1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                   1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22 };
    bool minus = s.s[0] == '-', lost = false;
    size_t i = minus;
    uint64_t w = 0;
    int n = 0;
    int64_t cut = 0, exponent = 0; /* the value is w * 10^exponent, and a little more when digits were lost */
    *out = (struct weft_json_number){ 0 };

    size_t first = i;
    take_digits(s, &i, &w, &n, &cut, &lost);
    *bad = i;
    if (i == first) return "a digit";
    if (i - first > 1 && s.s[first] == '0') {
        *bad = first;
        return "a number without leading zeros";
    }
    exponent = cut;
    out->is_int = true;
    if (i < s.len && s.s[i] == '.') {
        size_t point = ++i;
        out->is_int = false;
        cut = 0;
        take_digits(s, &i, &w, &n, &cut, &lost);
        *bad = i;
        if (i == point) return "a digit after the point";
        exponent -= (int64_t)(i - point) - cut;
    }
    int64_t e = 0;
    if (i < s.len && (s.s[i] == 'e' || s.s[i] == 'E')) {
        i++;
        out->is_int = false;
        bool down = i < s.len && s.s[i] == '-';
        if (i < s.len && (s.s[i] == '-' || s.s[i] == '+')) i++;
        size_t start = i;
        for (; i < s.len && is_digit(s.s[i]); i++)
            if (e < INT64_C(1) << 50) e = e * 10 + (s.s[i] - '0');
        *bad = i;
        if (i == start) return "a digit in the exponent";
        if (down) e = -e;
        exponent += e;
    }
    out->text = (struct weft_str){ s.s, i };
    if (out->is_int && !exponent && w <= (uint64_t)INT64_MAX + minus) {
        out->fits_int = true;
        out->integer = minus ? (int64_t)(0 - w) : (int64_t)w;
    }

    /* Clinger: both factors are exact doubles, so one correctly rounded operation gives the answer. */
    double v, above;
    if (!lost && w <= UINT64_C(1) << 53 && exponent >= -22 && exponent <= 22)
        v = exponent < 0 ? (double)w / tens[-exponent] : (double)w * tens[exponent];
    else if (!nearest_double(w, exponent, &v)
             || (lost && (!nearest_double(w + 1, exponent, &above) || above != v))) {
        /* exact_double counts the digits anew; it needs the exponent of the number without its point. */
        const char *p = memchr(s.s, '.', i);
        int64_t behind = 0;
        for (size_t k = p ? (size_t)(p - s.s) + 1 : i; k < i && is_digit(s.s[k]); k++) behind++;
        v = exact_double(out->text, e - behind);
    }
    out->number = minus ? -v : v;
    return NULL;
}

/* ---- writing ---- */

/* digits d1 d2 ... dn mean d1.d2...dn * 10^exponent, as Python lays them out: exponents from -4 to 15 are written
 * as zeros. */
static void lay_out(char *w, const char *digits, int n, int exponent)
{
    while (n > 1 && digits[n - 1] == '0') n--;
    if (exponent < -4 || exponent >= 16) {
        *w++ = digits[0];
        if (n > 1) *w++ = '.';
        for (int i = 1; i < n; i++) *w++ = digits[i];
        *w++ = 'e';
        *w++ = exponent < 0 ? '-' : '+';
        exponent = abs(exponent);
        if (exponent >= 100) *w++ = (char)('0' + exponent / 100);
        *w++ = (char)('0' + exponent / 10 % 10);
        *w++ = (char)('0' + exponent % 10);
    } else if (exponent < 0) {
        *w++ = '0';
        *w++ = '.';
        for (int i = -1; i > exponent; i--) *w++ = '0';
        for (int i = 0; i < n; i++) *w++ = digits[i];
    } else {
        for (int i = 0; i <= exponent || i < n; i++) {
            if (i == exponent + 1) *w++ = '.';
            *w++ = i < n ? digits[i] : '0';
        }
        if (n <= exponent + 1) {
            *w++ = '.';
            *w++ = '0';
        }
    }
    *w = '\0';
}

static int decimal_digits(uint64_t v, char out[24])
{
    char back[24];
    int n = 0;
    do back[n++] = (char)('0' + v % 10);
    while (v /= 10);
    for (int i = 0; i < n; i++) out[i] = back[n - 1 - i];
    return n;
}

/* Seventeen digits always suffice, fifteen are always unambiguous: the shortest is the first of 15, 16 and 17
 * rounded digits that lies within half a step between doubles of v, so that it reads back as v (zeros at the end
 * are dropped later).  False: the approximation cannot tell. */
static bool shortest_fast(char *out, double v)
{
    uint64_t bits, m;
    memcpy(&bits, &v, sizeof bits);
    int biased = (int)(bits >> 52 & 0x7FF), e;
    m = bits & ((UINT64_C(1) << 52) - 1);
    /* Below a power of two doubles lie closer than above it: nearest and shortest differ. */
    if (!biased || !m) return false;
    m |= UINT64_C(1) << 52;
    int e2 = biased - 1075;
    /* floor(log10 2^(e2 + 52)), which is that of v or one less; the scaled value must have 17 digits before its
     * point. */
    int k = 16 - ((e2 + 52) * 315653 >> 20);
    unsigned __int128 x = scaled(m, k, &e);
    if ((uint64_t)(x >> -(e + e2)) >= UINT64_C(100000000000000000)) x = scaled(m, --k, &e);
    int s = -(e + e2); /* x has s bits behind its binary point, 70 or so */
    int e_step;
    unsigned __int128 step = scaled(1, k, &e_step); /* 10^k * 2^(e2 - 1) is half the step */
    step >>= -(e_step + e2 - 1 + s);
    uint64_t whole = (uint64_t)(x >> s);
    unsigned __int128 fraction = x & (((unsigned __int128)1 << s) - 1);
    static const uint64_t units[] = { 100, 10, 1 };
    for (int i = 0; i < 3; i++) {
        uint64_t unit = units[i], d = whole / unit;
        unsigned __int128 rest = ((unsigned __int128)(whole % unit) << s) | fraction,
                          half = (unsigned __int128)unit << (s - 1);
        if (rest <= half && rest + SLACK >= half) return false;
        d += rest > half;
        if (unit > 1) {
            unsigned __int128 distance = rest > half ? 2 * half - rest : rest;
            if (distance > step + 2 * SLACK) continue;
            if (distance + 2 * SLACK >= step) return false;
        }
        char digits[24];
        int n = decimal_digits(d, digits);
        lay_out(out, digits, n, n - 1 + 2 - i - k);
        return true;
    }
    return false;
}

/* The same by libc, for every finite v > 0: few digits first, because a subnormal has few. */
static void shortest_exact(char *out, double v)
{
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0), old = uselocale(c);
    char text[40], digits[24];
    int n, exponent;
    bool found = false;
    for (n = v < 0x1p-1022 ? 1 : 15; !found; n += !found) {
        snprintf(text, sizeof text, "%.*e", n - 1, v);
        digits[0] = text[0];
        if (n > 1) memcpy(digits + 1, text + 2, (size_t)n - 1);
        exponent = (int)strtol(strchr(text, 'e') + 1, NULL, 10);
        found = strtod_l(text, NULL, c) == v;
        /* At a power of two the nearest may miss where the next one up does not. */
        for (int i = n - 1; !found && n < 17; i--) {
            char *d = i == 0 ? &text[0] : &text[i + 1];
            if (*d != '9') {
                ++*d;
                found = strtod_l(text, NULL, c) == v;
                digits[0] = text[0];
                if (n > 1) memcpy(digits + 1, text + 2, (size_t)n - 1);
                break;
            }
            if (i == 0) break;
            *d = '0';
        }
    }
    uselocale(old);
    freelocale(c);
    lay_out(out, digits, n, exponent);
}

const char *weft_json_format_double(char out[32], double v)
{
    char *w = out, digits[24];
    if (signbit(v)) *w++ = '-';
    v = fabs(v);
    if (v < 0x1p53 && v == (double)(uint64_t)v) { /* an integer: its digits */
        int n = decimal_digits((uint64_t)v, digits);
        lay_out(w, digits, n, n - 1);
    } else if (!shortest_fast(w, v)) shortest_exact(w, v);
    return out;
}
