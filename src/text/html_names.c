#include "text/html_names.h"

#include <stdlib.h>

enum { NAME_MAX_BYTES = 31, BARE_MAX_BYTES = 6 };       /* the longest names of the table, with and without ";" */

/* Names as arrays: pointers would cost the program 2,125 relocations at every start. */
static const struct name {
    char name[NAME_MAX_BYTES + 1];
    uint32_t first, second;
    bool bare;
} names[] = {
#include "text/html_names.inc"
};

static int by_name(const void *key, const void *entry)
{
    return weft_str_cmp(*(const struct weft_str *)key, weft_str_c(((const struct name *)entry)->name));
}

bool weft_html_name(struct weft_str name, uint32_t cp[2], bool *bare)
{
    const struct name *n = bsearch(&name, names, WEFT_COUNT(names), sizeof names[0], by_name);
    if (!n) return false;
    cp[0] = n->first;
    cp[1] = n->second;
    if (bare) *bare = n->bare;
    return true;
}

static bool is_alnum(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Value of a digit in base 10 or 16, or -1. */
static int digit(char c, int base)
{
    int v = c >= '0' && c <= '9'   ? c - '0'
            : c >= 'a' && c <= 'f' ? c - 'a' + 10
            : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                   : 99;
    return v < base ? v : -1;
}

/* What pages mean by numbers from 128 to 159: the characters of Windows-1252; 0 where it has none. */
static const uint16_t windows_1252[32] = {
    0x20AC, 0,      0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0,
    0x017D, 0,
    0,      0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0, 0x017E,
    0x0178,
};

static size_t number(struct weft_str s, uint32_t cp[2])
{
    size_t i = 2;
    int base = 10, d;
    uint32_t v = 0;
    if (i < s.len && (s.s[i] == 'x' || s.s[i] == 'X')) {
        base = 16;
        i++;
    }
    size_t first = i;
    for (; i < s.len && (d = digit(s.s[i], base)) >= 0; i++)
        v = v > 0x10FFFF ? v : v * (uint32_t)base + (uint32_t)d;    /* too large once is too large */
    if (i == first) return 0;
    if (i < s.len && s.s[i] == ';') i++;
    if (v >= 0x80 && v < 0xA0 && windows_1252[v - 0x80]) v = windows_1252[v - 0x80];
    cp[0] = v == 0 || v > 0x10FFFF || (v >= 0xD800 && v < 0xE000) ? 0xFFFD : v;
    cp[1] = 0;
    return i;
}

size_t weft_html_reference(struct weft_str s, uint32_t cp[2])
{
    size_t n = 0;
    bool bare;
    if (s.len > 1 && s.s[1] == '#') return number(s, cp);
    struct weft_str rest = weft_str_skip(s, 1);
    while (n < rest.len && n <= NAME_MAX_BYTES && is_alnum(rest.s[n])) n++;
    if (n && n < rest.len && rest.s[n] == ';' && weft_html_name(weft_str_sub(rest, 0, n), cp, NULL)) return n + 2;
    for (n = weft_min_size(n, BARE_MAX_BYTES); n; n--)
        if (weft_html_name(weft_str_sub(rest, 0, n), cp, &bare) && bare) return n + 1;
    return 0;
}
