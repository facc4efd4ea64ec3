#include "base/json_parts.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static inline bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* Numbers never depend on the process's locale: glibc hands out its built-in "C" locale without allocating. */
static double exact_double(struct weft_str s)
{
    char small[128], *text = s.len < sizeof small ? small : malloc(s.len + 1);
    if (!text) return INFINITY;
    memcpy(text, s.s, s.len);
    text[s.len] = '\0';
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    double v = strtod_l(text, NULL, c);
    freelocale(c);
    if (text != small) free(text);
    return v;
}

const char *weft_json_scan_number(struct weft_str s, struct weft_json_number *out, size_t *bad)
{
    static const double tens[] = { 1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                   1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22 };
    size_t i = 0;
    bool minus = s.s[0] == '-', small = true;
    uint64_t m = 0;
    int64_t exponent = 0;
    *out = (struct weft_json_number){ 0 };
    if (minus) i++;
    size_t first = i;
    for (; i < s.len && is_digit(s.s[i]); i++) {
        small = small && !__builtin_mul_overflow(m, 10u, &m) && !__builtin_add_overflow(m, (uint64_t)(s.s[i] - '0'), &m);
    }
    *bad = i;
    if (i == first) return "a digit";
    if (i - first > 1 && s.s[first] == '0') {
        *bad = first;
        return "a number without leading zeros";
    }
    out->is_int = true;
    bool mantissa_ok = small;
    if (i < s.len && s.s[i] == '.') {
        size_t point = ++i;
        out->is_int = false;
        for (; i < s.len && is_digit(s.s[i]); i++)
            mantissa_ok = mantissa_ok && !__builtin_mul_overflow(m, 10u, &m)
                          && !__builtin_add_overflow(m, (uint64_t)(s.s[i] - '0'), &m);
        *bad = i;
        if (i == point) return "a digit after the point";
        exponent = -(int64_t)(i - point);
    }
    if (i < s.len && (s.s[i] == 'e' || s.s[i] == 'E')) {
        i++;
        out->is_int = false;
        bool down = i < s.len && s.s[i] == '-';
        if (i < s.len && (s.s[i] == '-' || s.s[i] == '+')) i++;
        size_t start = i;
        int64_t e = 0;
        for (; i < s.len && is_digit(s.s[i]); i++)
            if (e < 1000000) e = e * 10 + (s.s[i] - '0');
        *bad = i;
        if (i == start) return "a digit in the exponent";
        exponent += down ? -e : e;
    }
    out->text = (struct weft_str){ s.s, i };
    if (out->is_int && small && m <= (uint64_t)INT64_MAX + minus) {
        out->fits_int = true;
        out->integer = minus ? (int64_t)(0 - m) : (int64_t)m;
    }
    /* Clinger: both factors are exact doubles, so one correctly rounded operation gives the answer. */
    if (mantissa_ok && m <= UINT64_C(1) << 53 && exponent >= -22 && exponent <= 22) {
        double v = exponent < 0 ? (double)m / tens[-exponent] : (double)m * tens[exponent];
        out->number = minus ? -v : v;
    } else
        out->number = exact_double(out->text);
    return NULL;
}

const char *weft_json_format_double(char out[32], double v)
{
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0), old = uselocale(c);
    char text[40];
    for (int digits = fabs(v) < 0x1p-1022 ? 1 : 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*e", digits - 1, v);
        if (strtod_l(text, NULL, c) == v) break;
    }
    uselocale(old);
    freelocale(c);
    /* text is [-]d.ddde[+-]xx; Python writes 1e16 and above and below 1e-4 with an exponent of at least two digits. */
    char digits[24], *w = out;
    int n = 0, exponent = 0;
    const char *p = text;
    if (*p == '-') *w++ = *p++;
    for (; *p && *p != 'e'; p++)
        if (is_digit(*p)) digits[n++] = *p;
    exponent = atoi(p + 1);
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
        *w = '\0';
        return out;
    }
    if (exponent < 0) {
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
    return out;
}
