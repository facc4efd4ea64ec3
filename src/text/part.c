#include "text/part.h"

static bool has_scheme(struct weft_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.s[i], low = (char)(c | 0x20);
        if (c == ':') return i > 0;
        bool letter = low >= 'a' && low <= 'z';
        if (!letter && (i == 0 || !((c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.'))) return false;
    }
    return false;
}

static int hex(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

enum weft_part_fault weft_part_resolve(struct weft_arena *a, struct weft_str base, struct weft_str href,
                                       struct weft_str *out)
{
    href = weft_str_trim_ascii(href);
    if (has_scheme(href) || weft_str_starts(href, WEFT_STR("//"))) return WEFT_PART_REMOTE;
    size_t n = 0, folder = 0;
    while (n < href.len && href.s[n] != '#' && href.s[n] != '?') n++;
    href.len = n;
    for (size_t i = 0; i < base.len; i++)
        if (base.s[i] == '/') folder = i + 1;
    char *path = weft_arena_alloc(a, folder + href.len + 2);
    if (!path) return WEFT_PART_NOMEM;

    /* Folder and decoded reference one behind the other, then `.` and `..` taken out in place. */
    size_t len = 0;
    if (!href.len || href.s[0] != '/') {
        memcpy(path, base.s ? base.s : "", folder);
        len = folder;
    }
    for (size_t i = 0; i < href.len; i++) {
        int high = href.s[i] == '%' && i + 2 < href.len ? hex(href.s[i + 1]) : -1;
        int low = high >= 0 ? hex(href.s[i + 2]) : -1;
        char c = href.s[i];
        if (low >= 0) {
            c = (char)(high << 4 | low);
            i += 2;
        }
        if (!c) return WEFT_PART_OUTSIDE;
        path[len++] = c == '\\' ? '/' : c;
    }
    size_t to = 0;
    for (size_t from = 0; from < len;) {
        const char *slash = memchr(path + from, '/', len - from);
        size_t end = slash ? (size_t)(slash - path) : len, size = end - from;
        size_t next = slash ? end + 1 : end;
        if (size == 2 && path[from] == '.' && path[from + 1] == '.') {
            if (!to) return WEFT_PART_OUTSIDE;
            to--;
            while (to && path[to - 1] != '/') to--;
        } else if (size && !(size == 1 && path[from] == '.')) {
            memmove(path + to, path + from, next - from);
            to += next - from;
        }
        from = next;
    }
    path[to] = '\0';
    *out = (struct weft_str){ path, to };
    return WEFT_PART_FINE;
}
