/* The authority is cut at the first "/", "?" or "#" and then holds nothing but host and port: no "@", no backslash, no
 * percent sign.  Readers of URLs disagree about exactly those, and a check that disagrees with the connection is
 * none. */
#include "base/url.h"

#include "base/lang.h"

#include <arpa/inet.h>

static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c; }

static bool same_letters(struct weft_str a, struct weft_str b)
{
    if (a.len != b.len) return false;
    for (size_t i = 0; i < a.len; i++)
        if (lower(a.s[i]) != lower(b.s[i])) return false;
    return true;
}

/* The length of "scheme:" at the start of a reference, or 0. */
static size_t scheme_length(struct weft_str s)
{
    size_t i = 0;
    if (!s.len || !is_letter(s.s[0])) return 0;
    while (i < s.len && (is_letter(s.s[i]) || is_digit(s.s[i]) || s.s[i] == '+' || s.s[i] == '-' || s.s[i] == '.'))
        i++;
    return i < s.len && s.s[i] == ':' ? i + 1 : 0;
}

static size_t authority_end(struct weft_str s, size_t from)
{
    while (from < s.len && s.s[from] != '/' && s.s[from] != '?' && s.s[from] != '#') from++;
    return from;
}

/* The text for a message: the part between "//" and "@" could be a password. */
static const char *shown(char *out, size_t bytes, struct weft_str text)
{
    size_t from = weft_str_find(text, WEFT_STR("//"), 0);
    from = from == SIZE_MAX ? 0 : from + 2;
    size_t end = authority_end(text, from), at = SIZE_MAX;
    for (size_t i = from; i < end; i++)
        if (text.s[i] == '@') at = i;
    weft_escape(out, bytes, at == SIZE_MAX ? text : weft_str_skip(text, at + 1));
    return out;
}

static enum weft_status refuse(struct weft_str text, const char *why, struct weft_err *err)
{
    char out[256];
    return weft_fail_rule(err, WEFT_EARG, "D9", "the address \"%s\" cannot be used: %s",
                          shown(out, sizeof out, text), weft_tr(err ? err->lang : WEFT_LANG_EN, why));
}

static bool read_port(struct weft_str digits, int *port)
{
    long n = 0;
    if (!digits.len || digits.len > 5) return false;
    for (size_t i = 0; i < digits.len; i++) {
        if (!is_digit(digits.s[i])) return false;
        n = n * 10 + (digits.s[i] - '0');
    }
    *port = (int)n;
    return n >= 1 && n <= 65535;
}

static bool is_name(struct weft_str host)
{
    if (!host.len || host.len > 253) return false;
    for (size_t i = 0; i < host.len; i++) {
        char c = host.s[i];
        bool dot = c == '.' && i && host.s[i - 1] != '.';
        if (!is_letter(c) && !is_digit(c) && c != '-' && c != '_' && !dot) return false;
    }
    return true;
}

static bool is_ip6(struct weft_str host)
{
    char text[64];
    unsigned char address[16];
    if (host.len >= sizeof text) return false;
    memcpy(text, host.s, host.len);
    text[host.len] = '\0';
    return inet_pton(AF_INET6, text, address) == 1;
}

enum weft_status weft_url_parse(struct weft_str text, struct weft_url *out, struct weft_err *err)
{
    struct weft_url u = { 0 };
    if (text.len > WEFT_URL_BYTES) return refuse(weft_str_sub(text, 0, 100), "it is longer than 8 KiB", err);
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.s[i] <= ' ' || text.s[i] == 0x7f || text.s[i] == '\\')
            return refuse(text, "it holds a blank, a control character or a backslash", err);
    size_t at = scheme_length(text);
    struct weft_str scheme = weft_str_sub(text, 0, at);
    u.tls = same_letters(scheme, WEFT_STR("https:"));
    if (!u.tls && !same_letters(scheme, WEFT_STR("http:")))
        return refuse(text, "expected http:// or https:// in front", err);
    if (!weft_str_starts(weft_str_skip(text, at), WEFT_STR("//")))
        return refuse(text, "expected http:// or https:// in front", err);
    at += 2;
    size_t end = authority_end(text, at);
    struct weft_str authority = weft_str_sub(text, at, end), port = { 0 };
    if (memchr(authority.s, '@', authority.len))
        return refuse(text, "a user name or password does not belong into an address", err);
    size_t host_end = authority.len;
    if (authority.len && authority.s[0] == '[') {
        size_t close = weft_str_find(authority, WEFT_STR("]"), 0);
        if (close == SIZE_MAX) return refuse(text, "the bracket of its host is not closed", err);
        u.host = weft_str_sub(authority, 1, close);
        u.ip6 = is_ip6(u.host);
        if (!u.ip6) return refuse(text, "expected an IPv6 address in the brackets", err);
        host_end = close + 1;
    } else {
        size_t colon = weft_str_find(authority, WEFT_STR(":"), 0);
        if (colon != SIZE_MAX) host_end = colon;
        u.host = weft_str_sub(authority, 0, host_end);
        if (!is_name(u.host)) return refuse(text, "expected a host of letters, digits, dots and hyphens", err);
    }
    u.port = u.tls ? 443 : 80;
    port = weft_str_skip(authority, host_end);
    u.has_port = port.len > 0;
    if (u.has_port && (port.s[0] != ':' || !read_port(weft_str_skip(port, 1), &u.port)))
        return refuse(text, "expected a port from 1 to 65535 after the host", err);
    size_t fragment = weft_str_find(text, WEFT_STR("#"), end);
    u.path = weft_str_sub(text, end, fragment == SIZE_MAX ? text.len : fragment);
    *out = u;
    return WEFT_OK;
}

bool weft_url_same_origin(const struct weft_url *a, const struct weft_url *b)
{
    return a->tls == b->tls && a->port == b->port && same_letters(a->host, b->host);
}

struct weft_str weft_url_join(struct weft_arena *a, struct weft_str base, struct weft_str ref)
{
    size_t scheme = scheme_length(base), end = authority_end(base, weft_min_size(scheme + 2, base.len));
    size_t query = end, slash = end;
    if (scheme_length(ref)) return weft_str_dup(a, ref);
    while (query < base.len && base.s[query] != '?' && base.s[query] != '#') {
        if (base.s[query] == '/') slash = query + 1;
        query++;
    }
    struct weft_str front = base;
    const char *between = "";
    if (weft_str_starts(ref, WEFT_STR("//"))) front.len = scheme;
    else if (weft_str_starts(ref, WEFT_STR("/"))) front.len = end;
    else if (weft_str_starts(ref, WEFT_STR("?")) || !ref.len) front.len = query;
    else if (weft_str_starts(ref, WEFT_STR("#")))
        front.len = weft_min_size(weft_str_find(base, WEFT_STR("#"), end), base.len);
    else {
        front.len = slash;
        if (slash == end) between = "/";
    }
    return weft_str_printf(a, "%.*s%s%.*s", (int)front.len, front.s, between, (int)ref.len, ref.s ? ref.s : "");
}

void weft_url_encode(struct weft_buf *b, struct weft_str part, bool keep_slashes)
{
    static const char hex[] = "0123456789ABCDEF";
    for (size_t i = 0; i < part.len; i++) {
        char c = part.s[i];
        if (is_letter(c) || is_digit(c) || strchr("-._~", c) || (keep_slashes && c == '/')) {
            if (c) {
                weft_buf_char(b, c);
                continue;
            }
        }
        weft_buf_char(b, '%');
        weft_buf_char(b, hex[(unsigned char)c >> 4]);
        weft_buf_char(b, hex[c & 15]);
    }
}

/* ---- kinds of addresses ---- */

struct net4 {
    uint32_t first;
    int bits;
    enum weft_address_kind kind;
};

enum weft_address_kind weft_address_kind4(uint32_t address)
{
    /* In this order: the metadata services of two clouds lie inside wider nets. */
    static const struct net4 nets[] = {
        { 0xa9fe0000, 16, WEFT_ADDRESS_FORBIDDEN }, /* 169.254/16: link-local; metadata is 169.254.169.254 */
        { 0x646464c8, 32, WEFT_ADDRESS_FORBIDDEN }, /* 100.100.100.200: metadata */
        { 0xc0000a00, 24, WEFT_ADDRESS_FORBIDDEN }, /* 192.0.0/24 and its like are nobody's */
        { 0xe0000000, 3, WEFT_ADDRESS_FORBIDDEN },  /* 224/4 multicast, 240/4 reserved, broadcast */
        { 0x00000000, 8, WEFT_ADDRESS_PRIVATE },    /* 0.0.0.0 is this machine */
        { 0x7f000000, 8, WEFT_ADDRESS_PRIVATE },    { 0x0a000000, 8, WEFT_ADDRESS_PRIVATE },
        { 0xac100000, 12, WEFT_ADDRESS_PRIVATE },   { 0xc0a80000, 16, WEFT_ADDRESS_PRIVATE },
        { 0x64400000, 10, WEFT_ADDRESS_PRIVATE },
    };
    for (size_t i = 0; i < WEFT_COUNT(nets); i++)
        if (((address ^ nets[i].first) >> (32 - nets[i].bits)) == 0) return nets[i].kind;
    return WEFT_ADDRESS_PUBLIC;
}

enum weft_address_kind weft_address_kind6(const unsigned char b[16])
{
    static const unsigned char zero[16] = { 0 },
                               metadata[16] = { 0xfd, 0x00, 0x0e, 0xc2, [14] = 0x02, [15] = 0x54 };
    if (memcmp(b, metadata, 16) == 0) return WEFT_ADDRESS_FORBIDDEN;
    uint32_t last = (uint32_t)b[12] << 24 | (uint32_t)b[13] << 16 | (uint32_t)b[14] << 8 | b[15];
    bool mapped = memcmp(b, zero, 10) == 0 && b[10] == 0xff && b[11] == 0xff;
    bool nat64 = b[0] == 0x00 && b[1] == 0x64 && b[2] == 0xff && b[3] == 0x9b;
    if (mapped || nat64) return weft_address_kind4(last);
    if (b[0] == 0x20 && b[1] == 0x02) /* 6to4: the IPv4 address follows */
        return weft_address_kind4((uint32_t)b[2] << 24 | (uint32_t)b[3] << 16 | (uint32_t)b[4] << 8 | b[5]);
    if (memcmp(b, zero, 15) == 0 && b[15] <= 1) return WEFT_ADDRESS_PRIVATE; /* :: and ::1 */
    if (memcmp(b, zero, 12) == 0) return weft_address_kind4(last);
    if (b[0] == 0xff) return WEFT_ADDRESS_FORBIDDEN;
    if (b[0] == 0xfe && b[1] >= 0x80)
        return WEFT_ADDRESS_FORBIDDEN; /* fe80::/10 and the old site-local fec0::/10 */
    if ((b[0] & 0xfe) == 0xfc) return WEFT_ADDRESS_PRIVATE;
    return WEFT_ADDRESS_PUBLIC;
}

enum weft_address_kind weft_address_kind(struct weft_str host)
{
    char text[64];
    struct in_addr four;
    unsigned char six[16];
    if (host.len >= sizeof text) return WEFT_ADDRESS_NONE;
    memcpy(text, host.s ? host.s : "", host.len);
    text[host.len] = '\0';
    if (inet_pton(AF_INET6, text, six) == 1) return weft_address_kind6(six);
    /* inet_aton, not inet_pton: resolvers take "127.1", "0x7f000001" and "2130706433" too. */
    if (inet_aton(text, &four)) return weft_address_kind4(ntohl(four.s_addr));
    return WEFT_ADDRESS_NONE;
}
